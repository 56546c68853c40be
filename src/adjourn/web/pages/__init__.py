"""The pages beside the chat: about closing, help lines, feedback, settings. Each works without scripts."""
