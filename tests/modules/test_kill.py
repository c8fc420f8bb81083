"""A batch under ``kill -9``: the script has two hundred kills, here are ten; and it would see what must not be."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts" / "bench"))

import kill
from kill import Kill, Run
from loopback import Arrival


def test_killed_ten_times_no_case_is_lost_or_sent_again_once_it_has_its_record(tmp_path: Path) -> None:
    tally = kill.torture(tmp_path, kills=10, cases=12, seed=24)
    assert tally.found == []
    seen = tally.counts
    assert seen["kills"] == 10
    assert min(seen["kills at a random time"], seen["kills at a random byte of the record"]) > 0
    assert seen["kills that left a torn line"] > 0
    assert seen["requests that arrived"] >= seen["requests with a record"] >= seen["cases"]


# --- what it would see: a run of two cases that was killed once, and what is put into it ------------------------------


def line(kind: str, **fields: Any) -> bytes:
    """Return a record as far as it is looked at."""
    return json.dumps({"type": kind, **fields}).encode() + b"\n"


def observed(case_id: str, outcome: str = "answer") -> bytes:
    return line("observation", case_id=case_id, outcome=outcome, attempts=[{}])


#: Asked at 12:00:10 to wait for 5 s, on record half a second later; the kill comes while that lasts.
NOTED = 1772366410.5
PAUSE = line(
    "attempt",
    case_id="B",
    at="2026-03-01T12:00:10.500000Z",
    started_at="2026-03-01T12:00:10.000000Z",
    duration_s=0.5,
    retry_after_s=5,
)
REGISTERED, RESUMED = line("registration"), line("resume", torn_bytes=14)
FINISHED = line("end", state="finished")
BEFORE = REGISTERED + observed("A") + PAUSE
SOUND = Run(
    kills=(Kill("time", NOTED + 1, BEFORE + b'{"type": "obs', arrived=2),),
    ledger=BEFORE + RESUMED + observed("B") + FINISHED,
    arrivals=(Arrival(NOTED - 5, 200, "a"), Arrival(NOTED - 0.4, 429, "b"), Arrival(NOTED + 6, 200, "b")),
    case_of={"a": "A", "b": "B"},
)


def test_a_sound_run_has_no_violation() -> None:
    assert list(kill.violations(SOUND)) == []


def test_what_happened_is_counted() -> None:
    seen = kill.count(SOUND)
    assert {name: number for name, number in seen.items() if number} == {
        "runs": 1,
        "kills": 1,
        "kills at a random time": 1,
        "kills that left a torn line": 1,
        "kills in a pause the API had asked for": 1,
        "torn lines repaired": 1,
        "cases": 2,
        "requests that arrived": 3,
        "requests with a record": 3,
        "429s": 1,
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param(
            {"arrivals": (*SOUND.arrivals, Arrival(NOTED + 7, 200, "a"))},
            "kill 1: A sent again, with a terminal record at the kill",
            id="a recorded case sent again",
        ),
        pytest.param(
            {"arrivals": (*SOUND.arrivals, Arrival(NOTED + 2, 200, "b"))},
            "1 requests in a pause, the first 3.000 s before its end",
            id="a pause forgotten",
        ),
        pytest.param(
            {"arrivals": (*SOUND.arrivals, Arrival(NOTED + 7, 200, "c"))}, "1 requests of no case", id="other bytes"
        ),
        pytest.param(
            {"ledger": BEFORE + RESUMED + observed("B") + observed("A") + FINISHED},
            "case A has 2 terminal records",
            id="a case twice",
        ),
        pytest.param({"ledger": BEFORE + RESUMED + FINISHED}, "case B has 0 terminal records", id="a case lost"),
        pytest.param(
            {"ledger": REGISTERED + PAUSE + observed("A") + observed("B") + FINISHED},
            "kill 1: a whole line of the record is gone or another one",
            id="a record moved",
        ),
        pytest.param(
            {"ledger": SOUND.ledger.replace(FINISHED, line("end", state="exhausted"))},
            "the run ended ['exhausted']",
            id="another end",
        ),
        pytest.param({"ledger": SOUND.ledger.replace(FINISHED, b"")}, "the run ended never", id="no end"),
        pytest.param(
            {"ledger": SOUND.ledger.replace(observed("B"), observed("B", "transport_error"))},
            "1 cases without the answer the API had for each",
            id="an answer lost",
        ),
    ],
)
def test_what_must_not_be_is_seen(changes: Mapping[str, Any], words: str) -> None:
    assert list(kill.violations(dataclasses.replace(SOUND, **changes))) == [words]


def test_what_was_found_ends_the_script_with_14(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    bad = dataclasses.replace(SOUND, ledger=BEFORE + RESUMED + FINISHED)
    monkeypatch.setattr(kill, "one_run", lambda *_: bad)
    monkeypatch.setattr(kill, "count", lambda _: Counter({"runs": 1, "kills": 1}))
    monkeypatch.setattr(sys, "argv", ["kill.py", "--kills", "1"])
    assert kill.main() == 14
    assert "run 1 (seed 1): case B has 0 terminal records" in capsys.readouterr().out
