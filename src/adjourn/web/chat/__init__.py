"""The chat page: rendered on the server, which owns every answer, and a client of `host` like the gateway."""
