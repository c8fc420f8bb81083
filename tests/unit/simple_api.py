"""A small API on loopback: answers every POST with what a function says, and remembers what it got."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Status, body and headers of an answer.
Answer = tuple[int, Any, Mapping[str, str]]


def passing(number: int, body: bytes) -> Answer:
    """Answer with a verdict that depends on the body alone."""
    label = ("pass", "warn", "reject")[len(body) % 3]
    documents = [
        {"filename": name, "document_type": kind, "extraction_status": "success"}
        for name, kind in (("LC.pdf", "letter_of_credit"), ("Invoice.pdf", "commercial_invoice"))
    ]
    result = {
        "documents_structured": documents,
        "final_verdict": {"pass": "SUBMIT", "warn": "HOLD"}.get(label, "REJECT"),
    }
    answer = {"job_id": f"job-{number}", "authoritative_verdict": {"label": label}, "structured_result": result}
    return 200, answer, {}


class SimpleApi:
    """Listens until it is closed; ``received`` holds the body of each request in the order of arrival.

    :param answer: gets the number of the request (0 is the first) and its body
    :param latency: seconds before an answer
    """

    def __init__(self, answer: Callable[[int, bytes], Answer] = passing, latency: float = 0.0) -> None:
        self.received: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []
        self._lock = threading.Lock()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with api._lock:
                    number = len(api.received)
                    api.received.append(body)
                    api.headers.append(dict(self.headers))
                time.sleep(latency)
                status, value, headers = answer(number, body)
                data = json.dumps(value).encode()
                self.send_response(status)
                for name, text in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that was killed is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/validate/"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
