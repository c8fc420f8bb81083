"""Servers the API's tests talk to: real ones from the wheels, on free loopback ports, gone when the tests are."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from rehearsal.processes import demotion, unprivileged_ids
from rehearsal.stack import binaries, redis_server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """A PostgreSQL that can be stopped and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "--wait", "--log", str(self.folder / "server.log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "--wait", "--mode=immediate", "stop")

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(binaries() / program), "--pgdata", str(self.folder / "data"), *arguments]
        log = self.folder / "commands.log"
        with log.open("ab") as out:  # a pipe would stay open in the server that pg_ctl leaves behind
            code = subprocess.call(command, stdout=out, stderr=out, preexec_fn=demotion(), timeout=60)
        assert code == 0, log.read_text("utf-8", "replace")[-800:]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="api-tests-pg-"))
    if ids := unprivileged_ids():
        os.chown(folder, *ids)
    server = Postgres(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def postgres(postgres_server: Postgres) -> Iterator[Postgres]:
    """The server, running, without a table; a test may stop it."""
    postgres_server.execute("DROP TABLE IF EXISTS validation_jobs")
    yield postgres_server
    try:
        postgres_server.execute("SELECT 1")
    except psycopg.OperationalError:
        postgres_server.start()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]
    with tempfile.TemporaryDirectory(prefix="api-tests-redis-") as folder:
        process = subprocess.Popen([str(redis_server()), *options], cwd=folder, stdout=subprocess.DEVNULL)
        client = redis.Redis(port=port)
        deadline = time.monotonic() + 10
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "redis did not start"
                time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}"
        client.close()
        process.terminate()
        process.wait(10)


@pytest.fixture
def limits(redis_url: str) -> str:
    """Redis without any counted request."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url
