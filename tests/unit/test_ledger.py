"""The ledger: what is changed in it is found, what is torn off is repaired, what was written stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from batch_world import steady
from clocks import TurnedClock
from hypothesis import given
from hypothesis import strategies as st
from solidgreen import jsonio, ledger
from solidgreen.errors import BadInput, InfrastructureStop, IntegrityError, Refused
from solidgreen.ledger import Writer

REGISTRATION = {"run_id": "smoke1-x", "kind": "smoke", "selection": ["A", "B", "C"], "cases_sha256": "0" * 64}
CASES = REGISTRATION["selection"]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A property test writes thousands of records; what fsync adds is time alone."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def observed(case_id: str, seq: int, at: str = "2026-03-01T12:00:01.000000Z") -> dict[str, Any]:
    return {"type": "observation", "seq": seq, "case_id": case_id, "attempts": [], "finished_at": at}


def written(path: Path, count: int = 3, *, end: bool = True, clock: TurnedClock | None = None) -> bytes:
    """Write a run with that many observations and return its bytes."""
    path.unlink(missing_ok=True)
    with Writer(path, REGISTRATION, clock=clock or TurnedClock()) as writer:
        for seq, case_id in enumerate(CASES[:count], start=1):
            writer.append(observed(case_id, seq))
        if end:
            writer.append({"type": "end", "at": "2026-03-01T12:00:02.000000Z", "state": "finished"})
    return path.read_bytes()


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    written(tmp_path / "o.jsonl")
    found = ledger.verify(tmp_path / "o.jsonl")
    assert [record["case_id"] for record in found.observations] == CASES
    assert (found.run_id, found.missing, found.active_s) == ("smoke1-x", [], 2.0)
    assert found.end is not None
    assert found.registration["prev_sha256"] == ledger.GENESIS


@steady
@given(st.data())
def test_a_changed_byte_anywhere_is_found_and_located(tmp_path_factory: Any, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("ledger") / "o.jsonl"
    whole = written(path)
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
    with pytest.raises(IntegrityError) as caught:
        ledger.verify(path)
    line = whole[:place].count(b"\n") + 1
    # The record's own line, or the last line end: then the line before it has no end any more.
    assert f"line {line}:" in str(caught.value) or place == len(whole) - 1


@pytest.mark.parametrize("number", range(1, 5))
def test_a_line_taken_out_of_the_middle_is_found(tmp_path: Path, number: int) -> None:
    path = tmp_path / "o.jsonl"
    lines = written(path).splitlines(keepends=True)
    path.write_bytes(b"".join(line for at, line in enumerate(lines, start=1) if at != number))
    with pytest.raises(IntegrityError, match=f"line {number}"):
        ledger.verify(path)


def test_a_cut_off_tail_shows_by_the_missing_end(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    path.write_bytes(b"".join(written(path).splitlines(keepends=True)[:-2]))
    found = ledger.verify(path)
    assert found.end is None
    assert found.missing == ["C"]


@steady
@given(st.integers(0, 2000))
def test_a_run_torn_at_any_byte_keeps_every_whole_record_and_goes_on(tmp_path_factory: Any, cut: int) -> None:
    path = tmp_path_factory.mktemp("ledger") / "o.jsonl"
    whole = written(path, end=False)
    kept = whole[: min(cut, len(whole))]
    path.write_bytes(kept)
    complete = [json.loads(line)["case_id"] for line in whole.splitlines()[1 : kept.count(b"\n")]]
    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        done = [record["case_id"] for record in writer.ledger.observations]
        # A record that lacks only its line end is whole as well.
        assert done[: len(complete)] == complete
        assert len(done) <= len(complete) + 1
        for case_id in writer.ledger.missing:
            writer.append(observed(case_id, len(writer.ledger.observations) + 1))
    found = ledger.verify(path)
    assert sorted(record["case_id"] for record in found.observations) == CASES
    torn = kept[kept.rfind(b"\n") + 1 :]
    assert sum(record["torn_bytes"] for record in found.resumes) == (len(torn) if b"\n" in kept else 0) or not done


def test_a_torn_line_of_zeros_after_a_power_cut_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    whole = written(path, 1, end=False)
    path.write_bytes(whole + b"\0" * 64)
    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        assert writer.ledger.resumes[-1]["torn_bytes"] == 64
    assert ledger.verify(path).missing == ["B", "C"]


def test_verify_does_not_forgive_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    path.write_bytes(written(path)[:-1])
    with pytest.raises(IntegrityError, match="after the last whole line"):
        ledger.verify(path)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (observed("A", 2), "case A a second time"),
        (observed("Z", 2), "case Z that was not selected"),
        (observed("B", 7), "observation 7 in the place of 2"),
        ({"type": "registration", **REGISTRATION, "at": "x"}, "not the first record"),
        ({"type": "remark", "at": "x"}, "type 'remark'"),
    ],
)
def test_a_record_that_cannot_follow_is_not_written(tmp_path: Path, record: dict[str, Any], words: str) -> None:
    path = tmp_path / "o.jsonl"
    before = written(path, 1, end=False)
    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer, pytest.raises(ValueError, match=words):
        writer.append(record)
    assert path.read_bytes().startswith(before)
    assert path.read_bytes().count(b'"observation"') == 1


def test_nothing_follows_the_end(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    before = written(path, 1)
    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        assert path.read_bytes() == before
        with pytest.raises(ValueError, match="after the end"):
            writer.append(observed("B", 2))
    assert path.read_bytes() == before


def test_a_run_over_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    before = written(path, 1, end=False)
    with pytest.raises(Refused, match="cases_sha256 changed since it was registered"):
        Writer(path, {**REGISTRATION, "cases_sha256": "1" * 64}, clock=TurnedClock()).__enter__()
    assert path.read_bytes() == before


def test_time_between_sessions_is_nobodys_waiting(tmp_path: Path) -> None:
    path, clock = tmp_path / "o.jsonl", TurnedClock()
    with Writer(path, REGISTRATION, clock=clock) as writer:
        writer.append(observed("A", 1, "2026-03-01T12:00:10.000000Z"))
    clock.sleep(3600)
    with Writer(path, REGISTRATION, clock=clock) as writer:
        writer.append(observed("B", 2, "2026-03-01T13:00:05.000000Z"))
    assert ledger.verify(path).active_s == 15.0


def test_a_second_writer_is_kept_out_until_the_first_process_dies(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    program = (
        "import sys, time; from pathlib import Path; from solidgreen.clock import SystemClock\n"
        "from solidgreen.ledger import Writer\n"
        f"with Writer(Path(sys.argv[1]), {REGISTRATION!r}, clock=SystemClock()):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Refused, match="another process that is writing it"):
            Writer(path, REGISTRATION, clock=TurnedClock()).__enter__()
        holder.kill()
        holder.wait()
    with Writer(path, REGISTRATION, clock=TurnedClock(), lock_timeout_s=5) as writer:
        assert writer.ledger.missing == CASES


def test_a_full_disk_ends_with_a_sentence_and_a_whole_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "o.jsonl"
    before = written(path, 1, end=False)
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 60:
            raise OSError(28, "No space left on device")
        return write(descriptor, bytes(data)[: len(data) // 2])

    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        resumed = path.read_bytes()
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(InfrastructureStop, match=r"a disk that does not take it \(No space left on device\)"):
            writer.append(observed("B", 2))
    assert resumed.startswith(before)
    assert path.read_bytes() == resumed
    assert ledger.verify(path).missing == ["B", "C"]


def test_a_ledger_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.jsonl: found no file"):
        ledger.verify(tmp_path / "none.jsonl")


def test_a_record_is_its_canonical_bytes(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    for line in written(path).splitlines():
        assert jsonio.canonical(json.loads(line)) == line
