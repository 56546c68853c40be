"""The addresses of this server, and the vendors' wires behind them, as the few names under which they are counted."""

WIRES = {"chat": "openai_chat", "messages": "anthropic_messages", "responses": "openai_responses"}
"""The vendors' wires, by the part of the address behind /v1."""

ADDRESSES = (
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/responses",
    "/v1/models",
)
AREAS = ("v1", "api", "c", "r", "static")
NO_WIRE, OTHER = "none", "other"


def address_of(path: str) -> str:
    """Return an address as one of few: what is not known by itself is known by its beginning, or is `other`."""
    if path in ADDRESSES:
        return path
    area = path.split("/", 2)[1] if path.startswith("/") else ""
    return f"/{area}/..." if area in AREAS else OTHER


def wire_of(path: str) -> str:
    """Return which vendor's wire an address speaks, or `none`."""
    parts = path.split("/", 3)
    return WIRES.get(parts[2], NO_WIRE) if len(parts) > 2 and parts[1] == "v1" else NO_WIRE
