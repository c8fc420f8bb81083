"""A stand-in for the API: enough to see that the stack starts, feeds and ends what it is told to run."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

NAMES = ("USE_STUBS", "REHEARSAL_FAULTS", "RATE_LIMIT_ANONYMOUS", "ENVIRONMENT", "DAY3_API_TOKEN")


def create_app() -> Starlette:
    if "refuse" in os.environ["REHEARSAL_FAULTS"]:
        raise SystemExit("api: found unknown fault refuse, need one it has")

    async def live(request: Request) -> Response:
        environment = {name: os.environ.get(name) for name in NAMES}
        return JSONResponse({"status": "ok", "pid": os.getpid(), "environment": environment})

    async def validate(request: Request) -> Response:
        import psycopg

        with psycopg.connect(os.environ["DATABASE_URL"]) as session:
            session.execute("create table if not exists jobs (body text)")
            session.execute("insert into jobs values (%s)", [(await request.body()).decode()])
            count = session.execute("select count(*) from jobs").fetchone()
        headers = {name: request.headers.get(name, "") for name in ("host", "x-forwarded-for", "authorization")}
        return JSONResponse({"jobs": count[0] if count else 0, "headers": headers, "query": request.url.query})

    return Starlette(
        routes=[
            Route("/health/live", live),
            Route("/healthz", live),
            Route("/api/validate/", validate, methods=["POST"]),
        ]
    )
