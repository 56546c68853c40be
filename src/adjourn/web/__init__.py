"""The server: the guard, the gateway on the vendors' wires, the chat page."""
