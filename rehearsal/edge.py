"""The edge in front of the API, like the one of production: the ``Host`` header decides.

The API's host is handed through. The app's host serves a page of its own and hands ``/api/*`` through. Any other host
is answered 404. Two faults seen in the field can be switched on: ``edge_404`` (nothing is deployed) and
``edge_html_on_api`` (the rewrite of ``/api/*`` is missing, so the page answers there, with 200).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

API_HOST = "api.trdrhub.rehearsal"
APP_HOST = "app.trdrhub.rehearsal"
FAULTS = frozenset({"edge_404", "edge_html_on_api"})
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

#: Headers that belong to one connection (RFC 9110, 7.6.1), not to the message.
HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>LCopilot (rehearsal)</title></head>
<body><main id="app"><h1>LCopilot</h1><p>This is the rehearsal of the app; no customer works here.</p></main></body>
</html>
"""


def create_edge(environ: Mapping[str, str] = os.environ) -> Starlette:
    """Return the edge; ``EDGE_API_URL`` names the API, ``EDGE_FAULTS`` the faults, separated by commas.

    :raises SystemExit: a fault that the edge does not have
    """
    faults = {name for name in environ.get("EDGE_FAULTS", "").replace(" ", "").split(",") if name}
    if unknown := sorted(faults - FAULTS):
        raise SystemExit(f"edge: found unknown fault {', '.join(unknown)}, need one of {', '.join(sorted(FAULTS))}")
    api = environ["EDGE_API_URL"].rstrip("/")

    async def forward(request: Request) -> Response:
        client: httpx.AsyncClient = request.state.client
        headers = [(name, value) for name, value in request.headers.items() if name not in HOP_BY_HOP]
        sender = request.client.host if request.client else "unknown"
        headers += [("x-forwarded-for", sender), ("x-forwarded-proto", request.url.scheme)]
        target = f"{api}{request.url.path}" + (f"?{request.url.query}" if request.url.query else "")
        has_body = {"content-length", "transfer-encoding"} & set(request.headers)
        content = request.stream() if has_body else None
        sent = client.build_request(request.method, target, headers=headers, content=content)
        try:
            answer = await client.send(sent, stream=True)
        except httpx.HTTPError as error:
            return JSONResponse({"error": "bad_gateway", "message": type(error).__name__}, status_code=502)
        kept = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
        return StreamingResponse(answer.aiter_raw(), answer.status_code, kept, background=BackgroundTask(answer.aclose))

    async def answer(request: Request) -> Response:
        host = request.headers.get("host", "").partition(":")[0].lower()
        path = request.url.path
        if path == "/.edge/health":
            return JSONResponse({"status": "ok", "service": "edge", "rehearsal": True, "faults": sorted(faults)})
        if host not in (API_HOST, APP_HOST) or "edge_404" in faults:
            return JSONResponse({"error": "not_found", "message": "no deployment answers here"}, status_code=404)
        on_api = path.startswith("/api/")
        if on_api and "edge_html_on_api" in faults:
            return HTMLResponse(PAGE)
        if host == API_HOST or on_api:
            return await forward(request)
        return HTMLResponse(PAGE) if request.method in ("GET", "HEAD") else Response(status_code=405)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
        # The API's own timeouts count; a document bundle takes seconds to read. No proxy of the environment between us.
        async with httpx.AsyncClient(timeout=httpx.Timeout(300, connect=5), trust_env=False) as client:
            yield {"client": client}

    return Starlette(routes=[Route("/{path:path}", answer, methods=METHODS)], lifespan=lifespan)
