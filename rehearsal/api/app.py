"""The HTTP side: routes, the rate limit in front of them, and errors in the shapes of the contract."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import Headers, MutableHeaders, UploadFile
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import answers, logs
from .extract import matches_declared_type, ocr_available
from .faults import HANG_SECONDS, SLOW_SECONDS, Faults, Truncated, distort
from .jobs import Jobs
from .limiter import Limiter, exempt
from .papers import TYPES
from .settings import Settings, SettingsError
from .validation import Upload, validate

VERSION = "1.0.0"
ENDPOINT = "/api/validate/"
#: Requests that may be worked on at once; more wait for a thread.
_THREADS = 8
_TOO_MANY = "Too many requests. Please try again later."
_FAILED = "Validation processing failed. Please retry or contact support."


class InvalidRequest(Exception):
    """The request breaks the extraction contract (422)."""


def build_id() -> str:
    """Return the SHA-256 of this package's sources: what image ids are to a container."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


class Front:
    """Rate limit and request id, before any route; a refused request gets no id."""

    def __init__(self, app: ASGIApp, limiter: Limiter, faults: Faults) -> None:
        self._app = app
        self._limiter = limiter
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 429, or pass the request on and name its id in the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        endpoint = scope["path"] == ENDPOINT
        met = self._faults.met(arrives=endpoint and scope["method"] == "POST")
        if not exempt(scope["path"]):
            client = scope["client"][0] if scope.get("client") else "unknown"
            authenticated = "authorization" in Headers(scope=scope)
            wait = await self._limiter.retry_after(client, authenticated=authenticated)
            if "rate_limited" in met or wait is not None:
                headers = {"Retry-After": str(0 if wait is None else wait)}
                await JSONResponse({"detail": _TOO_MANY}, 429, headers)(scope, receive, send)
                return
        if endpoint and "redirected" in met:
            await RedirectResponse("/api/v2/validate/")(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        scope.setdefault("state", {}).update(request_id=request_id, met=met)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        await self._app(scope, receive, named)


def create_app(environment: Mapping[str, str] | None = None) -> FastAPI:
    """Return the application for a process environment (by default this process's).

    :raises SystemExit: the environment cannot be used; the sentence that says why is on standard error
    """
    try:
        settings = Settings.from_environment(os.environ if environment is None else environment)
    except SettingsError as error:
        print(error, file=sys.stderr)
        raise SystemExit(13) from error
    log = logs.configure(settings.environment)
    jobs = Jobs(settings.database_url)
    faults = Faults(settings.faults)
    limits = {"anonymous": settings.anonymous_per_minute, "authenticated": settings.authenticated_per_minute}
    limiter = Limiter(
        settings.redis_url,
        anonymous=settings.anonymous_per_minute,
        authenticated=settings.authenticated_per_minute,
    )
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="validate")
    started = time.monotonic()
    build = build_id()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        facts = {
            "environment": settings.environment,
            "stub_mode": settings.use_stubs,
            "faults": ",".join(faults.names) or "none",
            "rate_limit": "/".join(str(limit) for limit in limits.values()),
        }
        log.info("Application configuration", extra={"facts": facts})
        if not ocr_available() or faults.always("startup_issue"):
            log.warning("Startup issues detected", extra={"facts": {"missing": "OCR engine (rapidocr)"}})
        try:
            await asyncio.to_thread(jobs.prepare)
            log.info("Database connection established")
        except psycopg.Error as error:  # the API starts nevertheless and answers 503 until the database is there
            log.error("Database connection failed", extra={"facts": {"error_type": type(error).__name__}})
        yield
        pool.shutdown(wait=False, cancel_futures=True)
        await limiter.close()

    app = FastAPI(title="Rehearsal validation API", version=VERSION, lifespan=lifespan)
    app.add_middleware(Front, limiter=limiter, faults=faults)

    @app.exception_handler(psycopg.OperationalError)
    async def database_gone(_: Request, error: Exception) -> JSONResponse:
        log.error("Database unavailable", extra={"facts": {"error_type": type(error).__name__}})
        message = "The database is temporarily unavailable. Please retry."
        return JSONResponse({"error": "database_unavailable", "message": message}, 503)

    @app.exception_handler(psycopg.ProgrammingError)
    async def schema_drift(_: Request, error: Exception) -> JSONResponse:
        log.error("Database schema differs", extra={"facts": {"error_type": type(error).__name__}})
        return JSONResponse(answers.error("quota_error", _FAILED, "ProgrammingError"), 500)

    @app.exception_handler(InvalidRequest)
    async def invalid(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse(answers.error("extraction_contract_invalid", str(error), "ContractError"), 422)

    @app.get("/healthz")
    @app.get("/health")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/health/live")
    async def live() -> dict[str, Any]:
        return {
            "status": "alive",
            "timestamp": datetime.now(UTC).isoformat(),
            "version": VERSION,
            "environment": settings.environment,
            "uptime_seconds": round(time.monotonic() - started, 3),
        }

    @app.get("/health/ready")
    async def ready() -> dict[str, Any]:
        checks = {
            "database": await asyncio.to_thread(jobs.healthy),
            "redis": await limiter.healthy(),
            "ocr": ocr_available(),
        }
        healthy = all(checks.values())  # the code stays 200 either way, as the real API has it
        return {
            "status": "ok" if healthy else "error",
            "overall_healthy": healthy,
            "timestamp": datetime.now(UTC).isoformat(),
            "checks": {name: {"healthy": good} for name, good in checks.items()},
        }

    @app.get("/health/info")
    async def info() -> dict[str, Any]:
        return {
            "service": "lcopilot",
            "rehearsal": True,
            "version": VERSION,
            "build": build,
            "environment": settings.environment,
            "configuration": {
                "use_stubs": settings.use_stubs,
                "faults": faults.names,
                "rate_limit": limits,
            },
        }

    @app.get("/health/stub-status")
    async def stub_status() -> dict[str, Any]:
        return {"stub_mode_enabled": settings.use_stubs}

    @app.post(ENDPOINT)
    async def validate_documents(request: Request) -> JSONResponse:
        met: frozenset[str] = request.state.met
        await _misbehave(met)
        try:
            uploads, tags = await _presentation(request)
        except (ValueError, KeyError) as error:
            return JSONResponse(answers.error("validation_internal_error", _FAILED, type(error).__name__), 500)
        work = (uploads, tags, request.state.request_id, settings, jobs, faults, met)
        body = await asyncio.get_running_loop().run_in_executor(pool, validate, *work)
        body = distort(body, met, login=request.headers.get("authorization", ""), cache=settings.redis_url)
        return Truncated(body) if "truncated" in met else JSONResponse(body)

    return app


async def _misbehave(met: frozenset[str]) -> None:
    """Do what the faults that need no documents ask for."""
    if "slow" in met:
        await asyncio.sleep(SLOW_SECONDS)
    if "hang" in met:
        await asyncio.sleep(HANG_SECONDS)
    if "database_gone" in met:
        raise psycopg.OperationalError
    if "schema_drift" in met:
        raise psycopg.errors.UndefinedColumn
    if "server_error" in met:
        raise HTTPException(500, answers.error("validation_internal_error", _FAILED, "RuntimeError")["detail"])
    if "unprocessable" in met:
        raise InvalidRequest("The extraction result does not keep its contract.")
    if "quota_exceeded" in met:
        raise HTTPException(429, {"error_code": "QUOTA_EXCEEDED", "message": "The monthly quota is used up."})


async def _presentation(request: Request) -> tuple[list[Upload], dict[str, str]]:
    """Return the files of a request and the role of each by its name.

    :raises ValueError: neither a form nor JSON, or a form without ``user_type``: the real API fails on both
    :raises HTTPException: 400, a file is not what it is declared to be
    :raises InvalidRequest: ``document_tags`` or ``metadata`` cannot be used
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        if not isinstance(json.loads(await request.body()), dict):
            raise ValueError("a JSON object was expected")
        return [], {}
    async with request.form(max_files=20) as form:
        if not form.get("user_type"):
            raise KeyError("user_type")
        _json_object(form.get("metadata"), "metadata")
        tags = _json_object(form.get("document_tags"), "document_tags")
        if unknown := sorted({str(tag) for tag in tags.values()} - TYPES.keys()):
            raise InvalidRequest(f"document_tags: unknown role {', '.join(unknown)}.")
        uploads = []
        for part in form.getlist("files"):
            if not isinstance(part, UploadFile):
                raise HTTPException(400, "A part named files is not a file.")
            upload = Upload(part.filename or "document", (part.content_type or "").split(";")[0], await part.read())
            if not matches_declared_type(upload.content_type, upload.data):
                raise HTTPException(400, f"File content does not match its declared type: {upload.filename}")
            uploads.append(upload)
    return uploads, tags


def _json_object(text: Any, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"{name} is not JSON.") from error
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} is not a JSON object.")
    return value
