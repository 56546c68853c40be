"""A model that says what a test wants: the words behind `say:`, or, for what begins with `slow`, piece by piece."""

import asyncio
import json
import queue
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from adjourn.web.titles import ASKS
from tests.models import FORK

OVER = None
"""The piece after which an answer is whole."""


class Model:
    """What it is asked is in `asked`; `pieces` are what it says next to a slow question."""

    def __init__(self) -> None:
        self.pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.asked: list[dict[str, Any]] = []
        self.app = Starlette(routes=[Route("/v1/chat/completions", self.answer, methods=["POST"])])

    async def answer(self, request: Request) -> Response:
        body = await request.json()
        last = next(one["content"] for one in reversed(body["messages"]) if one["role"] == "user")
        if ASKS in last:
            return JSONResponse({"choices": [{"index": 0, "message": {"role": "assistant", "content": "A title"}}]})
        self.asked.append(body)
        if FORK in last or not body.get("stream"):
            return JSONResponse({"choices": [{"index": 0, "message": {"role": "assistant", "content": "CONTINUE"}}]})
        if last.startswith("fail") and sum(one["messages"][-1] == body["messages"][-1] for one in self.asked) == 1:
            return JSONResponse({"error": {"message": "there is too much to do"}}, 429)
        return StreamingResponse(self.words(last, body), media_type="text/event-stream")

    async def words(self, last: str, body: dict[str, Any]) -> AsyncIterator[bytes]:
        if last.startswith("slow"):
            while (piece := await asyncio.to_thread(self.pieces.get)) is not OVER:
                yield said(piece)
        else:
            yield said(last.partition("say:")[2] or f"{body.get('model') or 'It'} heard: {last}")
        yield said("", "stop") + b"data: [DONE]\n\n"


def said(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"
