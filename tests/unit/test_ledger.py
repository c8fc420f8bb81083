"""The ledger: what is changed in it is found, what is torn off is repaired, what was written stays."""

from __future__ import annotations

import contextlib
import copy
import errno
import json
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from clocks import TurnedClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from solidgreen import jsonio, ledger
from solidgreen.clock import parse, stamp
from solidgreen.errors import BadInput, InfrastructureStop, IntegrityError, Refused
from solidgreen.ledger import Ledger, Writer

REGISTRATION = {"run_id": "smoke1-x", "kind": "smoke", "selection": ["A", "B", "C"], "cases_sha256": "0" * 64}
CASES = REGISTRATION["selection"]
END = {"type": "end", "at": "2026-03-01T12:00:02.000000Z", "state": "finished"}
steady = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), max_examples=60)


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
            writer.append(END)
    return path.read_bytes()


def tried(
    case_id: str, at_s: float, wait_s: float = 0.0, reason: str | None = "http_503", **more: Any
) -> dict[str, Any]:
    """Return an attempt; with ``at`` it is a record of its own."""
    started = stamp(TurnedClock().start + timedelta(seconds=at_s))
    one = {"started_at": started, "at_s": at_s, "duration_s": 0.5, "reason": reason, "wait_s": wait_s, **more}
    return {"type": "attempt", "case_id": case_id, **one} if "at" in more else one


def facts(found: Ledger) -> dict[str, Any]:
    """Return all that a ledger says beside the terminal records."""
    hidden = {"keep", "observations", "_open", "_starts", "_session"}
    told = {name: value for name, value in vars(found).items() if name not in hidden}
    return copy.deepcopy({**told, "missing": found.missing, "gap": found.smallest_gap_s})


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    written(tmp_path / "o.jsonl")
    found = ledger.verify(tmp_path / "o.jsonl")
    assert [record["case_id"] for record in found.observations] == CASES
    assert (found.run_id, found.missing, found.active_s) == ("smoke1-x", [], 0.0)
    assert found.end is not None
    assert found.registration["prev_sha256"] == ledger.GENESIS
    assert (found.lines, found.size) == (5, (tmp_path / "o.jsonl").stat().st_size)


@steady
@given(st.data())
def test_folded_or_kept_or_as_it_was_being_written_a_ledger_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "o.jsonl"
    path.unlink(missing_ok=True)
    made: dict[str, list[dict[str, Any]]] = {case_id: [] for case_id in CASES}
    order, closed = [], []
    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        for case_id in data.draw(st.lists(st.sampled_from(CASES), max_size=12)):
            if case_id in closed:
                continue
            at_s, wait_s = data.draw(st.integers(0, 99)) / 4, data.draw(st.sampled_from([0.0, 2.5, 61.0]))
            one = tried(case_id, at_s, wait_s, data.draw(st.sampled_from(["http_429", "http_503", None])))
            made[case_id].append(one)
            order.append(one)
            if data.draw(st.booleans()):
                writer.append({**tried(case_id, at_s, at="2026-03-01T12:00:01.000000Z"), **one})
                continue
            closed.append(case_id)
            verdict = data.draw(st.sampled_from(["pass", "warn", None]))
            told = {"attempts": made[case_id], "outcome": "answer" if verdict else "rate_limited", "verdict": verdict}
            writer.append({**observed(case_id, len(closed)), **told})
        if data.draw(st.booleans()):
            writer.append(
                {
                    "type": "pace",
                    "at": END["at"],
                    "limit": {"requests": 10, "window_s": 60},
                    "source": "429",
                    "certain": True,
                }
            )
        writing = writer.ledger
    kept, folded = ledger.verify(path), ledger.verify(path, keep=False)
    assert facts(kept) == facts(folded) == facts(writing)
    assert ([record["case_id"] for record in kept.observations], folded.observations) == (closed, [])
    assert (folded.done, folded.missing) == (len(closed), [case_id for case_id in CASES if case_id not in closed])
    assert (folded.requests, len(kept.attempts)) == (len(order), len(order))
    assert folded.http_429 == sum(one["reason"] == "http_429" for one in order)
    assert folded.outcomes == Counter(record["outcome"] for record in kept.observations)
    assert folded.verdicts == Counter(record["verdict"] for record in kept.observations if record["verdict"])
    assert [one["started_at"] for one in folded.recent] == [one["started_at"] for one in order]
    starts = sorted(one["at_s"] for one in order)
    assert folded.smallest_gap_s == min((later - sooner for sooner, later in pairwise(starts)), default=None)
    ends = [parse(one["started_at"]) + timedelta(seconds=0.5 + one["wait_s"]) for one in order if one["wait_s"]]
    assert folded.held_until == max(ends, default=None)


def test_a_sink_is_given_each_record_that_was_taken_in_and_none_after_a_broken_one(tmp_path: Path) -> None:
    path, given = tmp_path / "o.jsonl", []
    whole = written(path)
    found = ledger.closed(path, "finished", keep=False, sink=given.append)
    assert given == [json.loads(line) for line in whole.splitlines()]
    assert (found.observations, found.done) == ([], 3)
    path.write_bytes(whole.replace(b'"B"', b'"X"'))
    given.clear()
    with pytest.raises(IntegrityError, match=r"o\.jsonl line 1"):
        ledger.verify(path, sink=given.append)
    assert given == []


def test_the_latest_pace_counts_and_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        for requests in (20, 10):
            limit = {"requests": requests, "window_s": 60.0}
            writer.append({"type": "pace", "at": END["at"], "limit": limit, "source": "an episode", "certain": True})
    found = ledger.verify(path)
    assert found.pace is not None
    assert (found.pace["limit"]["requests"], found.missing, found.requests) == (10, CASES, 0)


def test_reading_takes_memory_for_ids_alone(tmp_path: Path) -> None:
    def write(count: int) -> Path:
        path, ids = tmp_path / f"{count}.jsonl", [f"D3-{number:06d}" for number in range(count)]
        with Writer(path, {**REGISTRATION, "selection": ids}, clock=TurnedClock()) as writer:
            for seq, case_id in enumerate(ids, start=1):
                more = {"attempts": [tried(case_id, 3.0 * seq)], "response": "x" * 2000}
                writer.append({**observed(case_id, seq), **more})
        return path

    def peak(path: Path, keep: bool) -> int:
        tracemalloc.start()
        try:
            assert ledger.verify(path, keep=keep).missing == []
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    some, more = write(ledger.RECENT), write(2 * ledger.RECENT)
    assert peak(more, keep=False) - peak(some, keep=False) < 300 * ledger.RECENT
    assert peak(more, keep=True) > 2000 * 2 * ledger.RECENT


@st.composite
def changed(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return other bytes than those of the ledger: one flipped, some taken out or put in, whole lines moved about."""
    lines = whole.splitlines(keepends=True)
    place, number = draw(st.integers(0, len(whole))), draw(st.integers(0, len(lines) - 1))
    other = draw(st.integers(0, len(lines) - 1))
    swapped = [lines[{number: other, other: number}.get(at, at)] for at in range(len(lines))]
    into = draw(st.binary(min_size=1, max_size=3) | st.sampled_from([b"\n", b" ", b"\r", *lines]))
    return draw(
        st.sampled_from(
            [
                whole[:place] + draw(st.binary(min_size=1, max_size=1)) + whole[place + 1 :],
                whole[:place] + whole[place + draw(st.integers(1, 400)) :],
                whole[:place] + into + whole[place:],
                b"".join(swapped),
                b"".join(lines[:number] + lines[number + 1 :]),
                b"".join([*lines[: number + 1], *lines[number:]]),
                b"".join(lines[:number]),
            ]
        ).filter(lambda bytes_: bytes_ != whole)
    )


@settings(steady, max_examples=600)
@given(st.data(), st.booleans())
def test_whatever_is_changed_is_found_in_the_line_where_it_begins(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, keep: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "o.jsonl"
    whole = written(path)
    path.write_bytes(data.draw(changed(whole)))
    was, now = (bytes_.splitlines(keepends=True) for bytes_ in (whole, path.read_bytes()))
    with pytest.raises(IntegrityError) as caught:
        ledger.closed(path, "finished", keep=keep)
    same = next(
        (at for at, (old, new) in enumerate(zip(was, now, strict=False)) if old != new), min(len(was), len(now))
    )
    # Whole records that were cut off at the end leave no line behind that could be named, but no end either.
    words = "no end in the record" if 0 < same == len(now) < len(was) else f"line {same + 1}:"
    assert words in str(caught.value)


def test_a_digest_moved_to_another_place_of_its_line_is_found(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    whole = written(path)
    digest = b'"sha256":"' + json.loads(whole.splitlines()[1])["sha256"].encode() + b'",'
    moved = whole.replace(digest, b"").replace(
        b'{"attempts":[],"case_id":"A"', b"{" + digest + b'"attempts":[],"case_id":"A"'
    )
    assert len(moved) == len(whole)
    path.write_bytes(moved)
    with pytest.raises(IntegrityError, match="line 2: found a record changed after it was written"):
        ledger.verify(path)


@pytest.mark.parametrize("line", [b"[" * 100_000, b"[]", b"7", b'"x"', b"{}", b"null", b"\xff", b'{"prev_sha256":[]}'])
def test_a_line_of_any_other_form_is_a_sentence(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "o.jsonl"
    path.write_bytes(written(path, end=False) + line + b"\n")
    with pytest.raises(IntegrityError, match="line 5: found"):
        ledger.read(path)


def test_a_cut_off_tail_shows_by_the_missing_end(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    path.write_bytes(b"".join(written(path).splitlines(keepends=True)[:-2]))
    found = ledger.verify(path)
    assert found.end is None
    assert found.missing == ["C"]


@pytest.mark.parametrize(
    ("end", "state"),
    [("finished", "finished"), ("early_stop", "early_stop"), ("exhausted", "stopped"), ("quota", "stopped")],
)
def test_a_run_ended_as_its_cycle_says_or_is_not_believed(tmp_path: Path, end: str, state: str) -> None:
    path = tmp_path / "o.jsonl"
    written(path, 2, end=False)
    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        writer.append({**END, "state": end})
    assert ledger.closed(path, state, keep=False).done == 2
    for other in {"finished", "early_stop", "stopped"} - {state}:
        with pytest.raises(
            IntegrityError, match=f"the end '{end}' in the record of a run that the cycle calls {other}"
        ):
            ledger.closed(path, other)


@steady
@given(st.integers(0, 2000))
def test_a_run_torn_at_any_byte_keeps_every_whole_record_and_goes_on(tmp_path_factory: Any, cut: int) -> None:
    path = tmp_path_factory.mktemp("ledger") / "o.jsonl"
    whole = written(path, end=False)
    kept = whole[: min(cut, len(whole))]
    path.write_bytes(kept)
    complete = [json.loads(line)["case_id"] for line in whole.splitlines()[1 : kept.count(b"\n")]]
    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        # A record that lacks only its line end is whole as well.
        assert len(complete) <= writer.ledger.done <= len(complete) + 1
        for case_id in writer.ledger.missing:
            writer.append(observed(case_id, writer.ledger.done + 1))
    found = ledger.verify(path)
    assert [record["case_id"] for record in found.observations] == CASES
    torn = kept[kept.rfind(b"\n") + 1 :]
    # Where not even the registration was whole, nothing had been sent and the run begins anew.
    assert [record["torn_bytes"] for record in found.resumes] == ([len(torn)] if whole.index(b"\n") <= cut else [])


@pytest.mark.parametrize(
    ("tail", "done"),
    [
        pytest.param(lambda line: b"\0" * 64, 1, id="zeros"),
        pytest.param(lambda line: line[:40] + b"\0" * 24, 1, id="half a record and zeros"),
        pytest.param(lambda line: line[:-1], 2, id="all but the line end"),
        pytest.param(lambda line: line[:-1] + b"\0" * 24, 2, id="all but the line end and zeros"),
    ],
)
def test_a_line_torn_by_a_power_cut_is_repaired_and_reported(
    tmp_path: Path, tail: Callable[[bytes], bytes], done: int
) -> None:
    path = tmp_path / "o.jsonl"
    lines = written(path, 2, end=False).splitlines(keepends=True)
    torn = tail(lines[2])
    path.write_bytes(b"".join(lines[:2]) + torn)
    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        assert (writer.ledger.done, writer.ledger.resumes[-1]["torn_bytes"]) == (done, len(torn))
    assert ledger.verify(path).missing == CASES[done:]
    assert path.read_bytes().startswith(b"".join(lines[: done + 1]))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        pytest.param(lambda whole: whole[:-1] + b" ", 5, id="the last line end is a space"),
        pytest.param(lambda whole: whole.replace(b"\n", b" "), 1, id="every line end is a space"),
        pytest.param(lambda whole: whole[:-1].replace(b'"finished"', b'"quota"'), 5, id="the end says otherwise"),
        pytest.param(lambda whole: whole + b'{"attempts":', 6, id="half a record after the end"),
    ],
)
def test_a_last_line_that_is_no_torn_record_is_not_repaired_away(
    tmp_path: Path, change: Callable[[bytes], bytes], line: int
) -> None:
    path = tmp_path / "o.jsonl"
    path.write_bytes(change(written(path)))
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match=f"line {line}:"):
        Writer(path, REGISTRATION, clock=TurnedClock()).__enter__()
    assert path.read_bytes() == before


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
        ({"type": "resume", "at": "yesterday"}, "yesterday"),
        ({**observed("B", 2), "finished_at": "never"}, "never"),
        ({"type": "pace", "at": END["at"], "limit": {}, "source": "?", "certain": True}, "requests"),
        ({**observed("B", 2), "attempts": [{"wait_s": 1, "started_at": "then", "duration_s": 0, "at_s": 0}]}, "then"),
    ],
)
def test_a_record_that_cannot_follow_is_neither_written_nor_taken_in(
    tmp_path: Path, record: dict[str, Any], words: str
) -> None:
    path = tmp_path / "o.jsonl"
    written(path, 1, end=False)
    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        before, known = path.read_bytes(), facts(writer.ledger)
        with pytest.raises((ValueError, KeyError), match=words):
            writer.append(record)
        assert (path.read_bytes(), facts(writer.ledger)) == (before, known)
        writer.append(observed("B", 2))
    assert ledger.verify(path).missing == ["C"]


def test_a_case_is_not_closed_without_the_attempts_it_took(tmp_path: Path) -> None:
    with Writer(tmp_path / "o.jsonl", REGISTRATION, clock=TurnedClock()) as writer:
        writer.append(tried("A", 0.0, at=stamp(TurnedClock().now())))
        with pytest.raises(ValueError, match="case A closed without 1 of its attempts"):
            writer.append(observed("A", 1))


def test_every_record_is_synced_before_the_next_and_the_folder_with_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "o.jsonl"
    synced: list[int | str] = []

    def sync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append("folder" if found.st_ino == tmp_path.stat().st_ino else found.st_size)

    monkeypatch.setattr(os, "fsync", sync)
    lines = written(path).splitlines(keepends=True)
    assert synced == ["folder", *(sum(map(len, lines[:count])) for count in range(1, len(lines) + 1))]


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


@pytest.mark.parametrize("jump_s", [3600, -7200, 0], ids=["a break", "a clock set back", "at once"])
def test_only_the_runs_own_seconds_count_whatever_the_wall_clock_does(tmp_path: Path, jump_s: float) -> None:
    path, clock = tmp_path / "o.jsonl", TurnedClock()
    with Writer(path, REGISTRATION, clock=clock) as writer:
        writer.append({**observed("A", 1, stamp(clock.now())), "attempts": [tried("A", 10.0)]})
    clock.sleep(jump_s)
    with Writer(path, REGISTRATION, clock=clock) as writer:
        writer.append({**observed("B", 2, stamp(clock.now())), "attempts": [tried("B", 14.5)]})
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


def test_a_run_killed_while_it_writes_is_gone_on_with_from_whole_records(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    registration = {**REGISTRATION, "selection": [f"D3-{number}" for number in range(100_000)]}
    program = (
        "import sys; from pathlib import Path; from solidgreen.clock import SystemClock, stamp\n"
        "from solidgreen.ledger import Writer\n"
        "clock = SystemClock(); ids = [f'D3-{n}' for n in range(100_000)]\n"
        f"registration = {REGISTRATION!r} | {{'selection': ids}}\n"
        "with Writer(Path(sys.argv[1]), registration, clock=clock, lock_timeout_s=5) as w:\n"
        "    print('writing', flush=True)\n"
        "    for seq in range(w.ledger.done + 1, 100_000):\n"
        "        w.append({'type': 'observation', 'seq': seq, 'case_id': ids[seq - 1], 'attempts': [],\n"
        "                  'response': 'x' * 20_000, 'finished_at': stamp(clock.now())})\n"
    )
    done = 0
    for turn in range(4):
        with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "writing\n"
            size = path.stat().st_size
            while path.stat().st_size < size + 100_000:
                assert process.poll() is None
            time.sleep(0.0007 * turn)
            process.kill()
        killed = ledger.read(path, keep=False)
        assert killed.done > done
        done = killed.done
    with Writer(path, registration, clock=TurnedClock(), lock_timeout_s=5) as writer:
        # A record that lacked only its line end is counted too.
        assert done <= writer.ledger.done <= done + 1
        assert len(writer.ledger.resumes) == 4
    assert ledger.verify(path, keep=False).torn == b""


@contextlib.contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond that many bytes: the kernel writes up to there, and then refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 40, 200, -1], ids="{} bytes of the line".format)
def test_a_disk_full_in_the_middle_of_a_line_ends_with_a_sentence_and_whole_records(tmp_path: Path, room: int) -> None:
    path = tmp_path / "o.jsonl"
    line = len(written(path, 2, end=False).splitlines(keepends=True)[-1])
    written(path, 1, end=False)
    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        before, known = path.read_bytes(), facts(writer.ledger)
        with (
            room_for(len(before) + room % line),
            pytest.raises(InfrastructureStop, match=r"a disk that does not take it \(File too large\)"),
        ):
            writer.append(observed("B", 2))
        assert (path.read_bytes(), facts(writer.ledger)) == (before, known)
        assert ledger.verify(path).missing == ["B", "C"]
        writer.append(observed("B", 2))  # there is room again
    assert ledger.verify(path).missing == ["C"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()], ids=["disk", "hand"])
def test_what_a_broken_off_write_left_is_taken_off_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "o.jsonl"
    write = os.write

    def broken(descriptor: int, data: bytes) -> int:
        write(descriptor, bytes(data)[:70])
        raise error

    def refuse(*_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Writer(path, REGISTRATION, clock=TurnedClock()) as writer:
        with monkeypatch.context() as broken_disk:
            broken_disk.setattr(os, "write", broken)
            broken_disk.setattr(os, "ftruncate", refuse)
            for _ in range(2):
                with pytest.raises((InfrastructureStop, KeyboardInterrupt)):
                    writer.append(observed("A", 1))
        assert ledger.read(path).torn
        writer.append(observed("A", 1))
    assert ledger.verify(path).missing == ["B", "C"]


def test_a_disk_that_may_only_be_read_is_a_sentence(tmp_path: Path) -> None:
    before = written(tmp_path / "o.jsonl", 1, end=False)
    program = (
        "import os, sys; from pathlib import Path; from solidgreen.clock import SystemClock\n"
        "from solidgreen.errors import SolidGreenError; from solidgreen.ledger import Writer, read\n"
        "os.geteuid() or os.seteuid(65534)  # permissions bind everyone but root\n"
        "try:\n"
        f"    Writer(Path('o.jsonl'), {REGISTRATION!r}, clock=SystemClock()).__enter__()\n"
        "except SolidGreenError as error:\n"
        "    print(type(error).__name__, error, read(Path('o.jsonl')).missing)\n"
    )
    for path in (*tmp_path.iterdir(), tmp_path):
        path.chmod(0o555)
    out = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    tmp_path.chmod(0o755)
    assert out.stdout.startswith(
        "InfrastructureStop ledger o.jsonl: found a disk that does not take it (Permission denied)"
    )
    assert out.stdout.endswith("['B', 'C']\n")
    assert (tmp_path / "o.jsonl").read_bytes() == before


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder_elsewhere(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.symlink_to("elsewhere")


def folder_a_file(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.write_text("")


@pytest.mark.parametrize(
    ("occupy", "reads"),
    [
        pytest.param(lambda path: [path.rename(path.with_name("x")), path.symlink_to("x")], False, id="a link"),
        pytest.param(lambda path: [path.unlink(), path.symlink_to("nowhere")], False, id="a link to nowhere"),
        pytest.param(lambda path: [path.unlink(), path.mkdir()], False, id="a folder"),
        pytest.param(pipe, False, id="a pipe"),
        pytest.param(folder_a_file, False, id="its folder a file"),
        pytest.param(folder_elsewhere, True, id="its folder a link"),
        pytest.param(
            lambda path: [
                path.with_name(".o.jsonl.lock").unlink(missing_ok=True),
                path.with_name(".o.jsonl.lock").mkdir(),
            ],
            True,
            id="its lock a folder",
        ),
    ],
)
def test_something_else_in_the_place_of_a_ledger_is_a_sentence(
    tmp_path: Path, occupy: Callable[[Path], Any], reads: bool
) -> None:
    path = tmp_path / "run" / "o.jsonl"
    written(path, 1, end=False)
    occupy(path)
    with pytest.raises(IntegrityError, match="found something else in its place"):
        Writer(path, REGISTRATION, clock=TurnedClock()).__enter__()
    if reads:
        assert ledger.verify(path).missing == ["B", "C"]
    else:
        with pytest.raises(IntegrityError, match="found something else in its place"):
            ledger.read(path)


def test_a_ledger_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.jsonl: found no file"):
        ledger.verify(tmp_path / "none.jsonl")


def test_a_record_is_its_canonical_bytes(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    for line in written(path).splitlines():
        assert jsonio.canonical(json.loads(line)) == line
