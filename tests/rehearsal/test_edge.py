"""The edge before a real API process of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rehearsal.edge import API_HOST, APP_HOST, create_edge


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Serve an application and yield its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


def api() -> Starlette:
    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def validate(request: Request) -> Response:
        names = ("host", "x-forwarded-for", "x-forwarded-proto", "authorization")
        headers = {name: request.headers.get(name, "") for name in names}
        answer = {"bytes": len(await request.body()), "query": request.url.query, "headers": headers}
        return JSONResponse(answer, 200, {"x-request-id": "r1"})

    return Starlette(routes=[Route("/healthz", healthz), Route("/api/validate/", validate, methods=["POST"])])


@pytest.fixture(scope="module")
def edge() -> Iterator[str]:
    with ExitStack() as stack:
        behind = stack.enter_context(serving(api()))
        yield stack.enter_context(serving(create_edge({"EDGE_API_URL": behind})))


def get(url: str, host: str, path: str) -> tuple[int, str]:
    answer = httpx.get(url + path, headers={"Host": host})
    return answer.status_code, answer.headers.get("content-type", "").partition(";")[0]


JSON, HTML = "application/json", "text/html"
ROUTES = {
    "api host": (API_HOST, "/healthz", (200, JSON)),
    "api host with port": (f"{API_HOST}:443", "/healthz", (200, JSON)),
    "api host, API path": (API_HOST, "/api/validate/", (405, "text/plain")),
    "api host, no such path": (API_HOST, "/none", (404, "text/plain")),
    "app page": (APP_HOST, "/", (200, HTML)),
    "app page below": (APP_HOST, "/cases/1", (200, HTML)),
    "app host, health is the app's": (APP_HOST, "/healthz", (200, HTML)),
    "app host, API path": (APP_HOST, "/api/validate/", (405, "text/plain")),
    "app host, no such API path": (APP_HOST, "/api/none", (404, "text/plain")),
    "another host": ("www.trdrhub.rehearsal", "/", (404, JSON)),
    "no host we know": ("127.0.0.1", "/healthz", (404, JSON)),
    "the edge itself": ("127.0.0.1", "/.edge/health", (200, JSON)),
}


@pytest.mark.parametrize(("host", "path", "answer"), ROUTES.values(), ids=ROUTES)
def test_the_host_decides_who_answers(edge: str, host: str, path: str, answer: tuple[int, str]) -> None:
    assert get(edge, host, path) == answer


@pytest.mark.parametrize("host", [API_HOST, APP_HOST])
def test_a_bundle_goes_through_whole_with_its_headers(edge: str, host: str) -> None:
    answer = httpx.post(
        f"{edge}/api/validate/?a=b%20c",
        headers={"Host": host, "Authorization": "Bearer x"},
        files=[("files", ("LC.pdf", b"0" * 300_000, "application/pdf"))],
    )
    seen = answer.json()
    assert answer.headers["x-request-id"] == "r1"
    assert seen["bytes"] > 300_000
    assert seen["query"] == "a=b%20c"
    assert seen["headers"] == {
        "host": host,
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "authorization": "Bearer x",
    }


def test_an_api_that_is_gone_is_a_bad_gateway() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with serving(create_edge({"EDGE_API_URL": f"http://127.0.0.1:{port}"})) as url:
        assert get(url, API_HOST, "/healthz") == (502, JSON)
        assert get(url, APP_HOST, "/") == (200, HTML)


FAULTS = {
    "edge_404": {(API_HOST, "/healthz"): (404, JSON), (APP_HOST, "/"): (404, JSON)},
    "edge_html_on_api": {
        (APP_HOST, "/api/validate/"): (200, HTML),
        (API_HOST, "/api/validate/"): (200, HTML),
        (API_HOST, "/healthz"): (200, JSON),
    },
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_edge_can_be_switched_on_by_name(fault: str) -> None:
    with serving(api()) as behind, serving(create_edge({"EDGE_API_URL": behind, "EDGE_FAULTS": fault})) as url:
        assert {key: get(url, *key) for key in FAULTS[fault]} == FAULTS[fault]
        assert httpx.get(f"{url}/.edge/health").json()["faults"] == [fault]


def test_a_fault_that_the_edge_does_not_have_is_refused() -> None:
    with pytest.raises(SystemExit, match="found unknown fault edge_x, need one of edge_404, edge_html_on_api"):
        create_edge({"EDGE_API_URL": "http://127.0.0.1:1", "EDGE_FAULTS": "edge_404, edge_x"})
