"""For whoever looks after the server: does it live, may it be asked, and what does it count."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adjourn.core.errors import StoreError
from adjourn.host import Host
from adjourn.web.metrics import Metrics
from adjourn.web.stopping import Stopping


async def health(_: Request) -> Response:
    """Answer `GET /healthz`: the process lives."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Answer `GET /readyz`: the store can write, and the server is not being stopped; else 503 says what is not so."""
    host: Host | None = request.state.host
    stopping: Stopping = request.app.state.stopping
    if stopping.begun:
        return JSONResponse({"status": "stopping", "message": "this server is being stopped"}, 503)
    try:
        if host is not None:
            await host.store.ready()
    except StoreError:
        return JSONResponse({"status": "not ready", "message": "the store cannot write just now"}, 503)
    return JSONResponse({"status": "ready"})


async def metrics(request: Request) -> Response:
    """Answer `GET /metrics`, as Prometheus reads it."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.page(), media_type=CONTENT_TYPE_LATEST)


ROUTES = [Route("/healthz", health), Route("/readyz", ready), Route("/metrics", metrics)]
