"""Is a container engine answering? Every call is bounded: an engine can hang while it starts."""

from __future__ import annotations

import json

from .check import Check, Status
from .clock import Clock, stamp
from .freeze import Command

NEXT_STEPS = (
    ("permission denied", "join the docker group or run the command elevated, then invoke phase --only 1"),
    (
        "no end after",
        "the engine hangs: restart it (systemctl restart docker, or Docker Desktop), then invoke phase --only 1",
    ),
    ("no such file", "install Docker Engine or Docker Desktop, then invoke phase --only 1"),
    ("cannot connect", "start it: systemctl start docker, or Docker Desktop; then invoke phase --only 1"),
)


def engine(*, docker_host: str | None, run: Command, clock: Clock) -> Check:
    """Ask the engine for its version with ``docker version`` and return what it said."""
    host = ["--host", docker_host] if docker_host else []
    outcome = run(["docker", *host, "version", "--format", "{{json .Server.Version}}"])
    version = _version(outcome.said) if outcome.rc == 0 else None
    said = outcome.said.lower()
    step = next((step for words, step in NEXT_STEPS if words in said), "start Docker, then invoke phase --only 1")
    return Check(
        id="engine",
        title="Docker engine answers",
        status=Status.PASS if version else Status.FAIL,
        seen=f"engine {version}" if version else outcome.said or f"docker version ended with {outcome.rc}",
        needed="an engine that answers docker version",
        next_step="" if version else step,
        owner="Infra Lead",
        at=stamp(clock.now()),
        exit_code=12,
        facts={"version": version},
    )


def _version(said: str) -> str | None:
    try:
        value = json.loads(said)
    except ValueError:
        return None
    return str(value) if value else None
