"""What an engine says, told apart: the docker command is replaced at its seam by one that answers as real ones did."""

from __future__ import annotations

import pytest
from clocks import TurnedClock
from solidgreen.check import Status
from solidgreen.engine import engine
from solidgreen.freeze import Outcome


@pytest.mark.parametrize(
    ("outcome", "status", "seen", "step"),
    [
        (Outcome(0, '"28.2.2"'), Status.PASS, "engine 28.2.2", ""),
        (Outcome(0, '""'), Status.FAIL, '""', "start Docker"),
        (Outcome(0, "<no value>"), Status.FAIL, "<no value>", "start Docker"),
        (
            Outcome(1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is it running?"),
            Status.FAIL,
            "Cannot connect",
            "start it",
        ),
        (Outcome(1, "permission denied while trying to connect"), Status.FAIL, "permission denied", "docker group"),
        (Outcome(1, "request returned 500 Internal Server Error"), Status.FAIL, "500", "start Docker"),
        (Outcome(None, "no end after 15 s"), Status.FAIL, "no end", "the engine hangs"),
        (Outcome(None, "No such file or directory"), Status.FAIL, "No such file", "install Docker"),
    ],
    ids=["answers", "client only", "no version", "down", "denied", "500 to everything", "hangs", "not installed"],
)
def test_an_engine_is_believed_only_when_it_names_its_version(outcome, status, seen, step):
    asked = []
    check = engine(docker_host="tcp://h", run=lambda argv: asked.append(argv) or outcome, clock=TurnedClock())
    assert check.status is status
    assert seen in check.seen
    assert step in check.next_step
    assert asked == [["docker", "--host", "tcp://h", "version", "--format", "{{json .Server.Version}}"]]
