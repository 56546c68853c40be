"""The laboratory: what would have happened in recorded conversations, and why. It never imports `web`."""
