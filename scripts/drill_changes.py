"""Changes to a record set, for drills: what the API or the batch did otherwise, and what somebody did to the files.

A change of the first kind is made before the set is saved, so that every ledger is whole; one of the second kind is
made to the files afterwards. Each says in one line what it does; all take the set first.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from drill_records import RecordSet, chained, put
from solidgreen import cases, jsonio, waivers
from solidgreen.clock import parse, stamp
from solidgreen.judgement import document

#: What a wrong answer is, by the verdict that was expected: neither a false pass nor blocked.
WRONG = {"reject": "warn", "warn": "reject", "blocked": "warn", "pass": "warn"}
CLASSES = tuple(WRONG)
#: How cases are answered that are answered wrong.
A_WRONG_ONE = "a wrong one"


class Impossible(Exception):
    """No change of the record set can do what a drill needs; the text says why."""


def answer(found: RecordSet, run: str, count: int, classes: Sequence[str], said: str) -> None:
    """Have *count* more cases of these classes answered otherwise, right answers first, from each class in turn."""
    members = {name: [r for r in found.observations(run) if found.expected(r) == name] for name in classes}
    sides = [sorted(members[name], key=lambda record: not found.right(record)) for name in classes]
    turns = [record for turn in itertools.zip_longest(*sides) for record in turn if record is not None]
    turns.sort(key=lambda record: not found.right(record))
    for record in _taken(turns, count, f"cases of {run} expected {' or '.join(classes)}"):
        found.answer(record, WRONG[found.expected(record)] if said == A_WRONG_ONE else said)


def wrong(found: RecordSet, run: str, count: int) -> None:
    """Have *count* more right answers of a run be wrong ones."""
    right = sum(map(found.right, found.observations(run)))
    _taken(range(right), count, f"right answers of {run}")
    answer(found, run, count, CLASSES, A_WRONG_ONE)


def retried(found: RecordSet, run: str, count: int, said: str) -> None:
    """Have *count* cases of a run that were tried more than once end otherwise, right answers first."""
    members = [record for record in found.observations(run) if len(record["attempts"]) > 1]
    members.sort(key=lambda record: not found.right(record))
    for record in _taken(members, count, f"cases of {run} that were tried again"):
        found.answer(record, WRONG[found.expected(record)] if said == A_WRONG_ONE else said)


def healed(found: RecordSet, run: str, status: int) -> None:
    """Have a case be answered after an attempt that ended with that HTTP status."""
    record = next(r for r in found.observations(run) if len(r["attempts"]) == 1)
    (last,) = record["attempts"]
    first = {**last, "http_status": status, "reason": f"http_{status}", "duration_s": 0.1, "wait_s": 0.1}
    later = stamp(parse(last["started_at"]) + timedelta(seconds=0.2))
    record["attempts"] = [first, {**last, "n": 2, "at_s": last["at_s"] + 0.2, "started_at": later}]


def unsent(found: RecordSet, run: str, count: int, classes: Sequence[str]) -> None:
    """Take the records of *count* cases of these classes out of a run, and sign the chain anew."""
    members = [r for r in found.observations(run) if found.expected(r) in classes]
    members.sort(key=lambda record: len(record["attempts"]))
    found.drop(run, _taken(members, count, f"records of {run}"))


def only(found: RecordSet, run: str, name: str) -> None:
    """Take the records of every other class out of a run."""
    found.drop(run, [record for record in found.observations(run) if found.expected(record) != name])


def perfect(found: RecordSet, run: str) -> None:
    """Have every case of a run be answered right."""
    for record in found.observations(run):
        found.answer(record, found.expected(record))


def nothing(found: RecordSet, run: str) -> None:
    """Take every record out of a run."""
    found.drop(run, found.observations(run))


def lasting(found: RecordSet, run: str, seconds: float) -> None:
    """Have the last answer of a run arrive that many seconds after its first request."""
    records = found.observations(run)
    begun, last = parse(records[0]["attempts"][0]["started_at"]), records[-1]["attempts"][-1]
    at_s = seconds - last["duration_s"]
    last |= {"at_s": at_s, "started_at": stamp(begun + timedelta(seconds=at_s))}
    records[-1]["finished_at"] = stamp(begun + timedelta(seconds=seconds))


def paced(found: RecordSet, run: str, name: str, value: float | None) -> None:
    """Have a run be registered with that pacing, None with none of that name."""
    pacing = found.runs[run][0]["pacing"]
    pacing.pop(name) if value is None else pacing.update({name: value})


def flip(found: RecordSet, count: int) -> None:
    """Have *count* cases, right in both smokes, be wrong in the second."""
    wrong(found, "smoke2", count)


def share_job(found: RecordSet) -> None:
    """Give a case of the second smoke the job id that a case of the first one has."""
    found.observations("smoke2")[0]["job_id"] = found.observations("smoke1")[0]["job_id"]


def replay(found: RecordSet) -> None:
    """Have the second smoke record the answers of the first one: the same jobs, the same bytes, times of its own."""
    for first, second in zip(found.observations("smoke1"), found.observations("smoke2"), strict=True):
        second |= {name: first[name] for name in ("job_id", "body_sha256", "body_bytes", "response")}


def overlap(found: RecordSet) -> None:
    """Have the second smoke begin when the first one ended, so that both were under way at that moment."""
    end = max(record["finished_at"] for record in found.observations("smoke1"))
    found.observations("smoke2")[0]["attempts"][0]["started_at"] = end


def without_jobs(found: RecordSet) -> None:
    """Have no answer of the second smoke name its job."""
    for record in found.observations("smoke2"):
        record["job_id"] = None


def secret(found: RecordSet, run: str) -> None:
    """Have one answer of a run carry a secret, which was kept out."""
    found.observations(run)[0]["secrets"] = 1


def registered(found: RecordSet, run: str, *steps_and_value: str) -> None:
    """Have a run be registered with another value, at the place the steps lead to."""
    _write(found.runs[run][0], steps_and_value)


def same_run(found: RecordSet) -> None:
    """Hold the first smoke against itself."""
    found.runs["smoke2"] = found.runs["smoke1"]


def chosen(found: RecordSet, run: str) -> None:
    """Have a smoke be over a case that was not drawn, in place of one of its class that was."""
    first, sent = found.observations(run)[0], set(found.runs[run][0]["selection"])
    other = next(
        case for case, label in found.labels.items() if case not in sent and label["expected"] == found.expected(first)
    )
    selection = found.runs[run][0]["selection"]
    found.runs[run][0]["selection"] = [other if case == first["case_id"] else case for case in selection]
    for record in found.runs[run]:
        if record.get("case_id") == first["case_id"]:
            record |= {"case_id": other, "content_sha256": found.cases[other].content_sha256}


def deselected(found: RecordSet, run: str) -> None:
    """Have a run be registered over one case less than there are."""
    first = found.observations(run)[0]
    found.drop(run, [first])
    found.runs[run][0]["selection"].remove(first["case_id"])


def _taken(members: Sequence[Any], count: int, what: str) -> Sequence[Any]:
    if not 0 <= count <= len(members):
        raise Impossible(f"{count} of {len(members)} {what} cannot be changed")
    return members[:count]


# --- forgeries -----------------------------------------------------------------------------------------------------


def calibrated(found: RecordSet, run: str) -> None:
    """Write the expected verdict over a wrong one and sign the chain anew, as the first attempt at the plan did."""
    record = next(r for r in found.observations(run) if not found.right(r))
    record["verdict"] = found.expected(record)
    _resigned(found, run)


def unrecorded(found: RecordSet, run: str) -> None:
    """Take what was recorded of every answer out of a run and sign the chain anew."""
    for record in found.observations(run):
        record["response"] = None
    _resigned(found, run)


def repaced(found: RecordSet, run: str) -> None:
    """Write another pacing into the registration of a run and sign the chain anew."""
    found.runs[run][0]["pacing"]["min_interval"] += 1
    _resigned(found, run)


def _resigned(found: RecordSet, run: str) -> None:
    put(found.path(run), chained(found.runs[run]))


def one_byte(found: RecordSet, run: str) -> None:
    """Change one byte in the middle of a ledger."""
    data = bytearray(found.path(run).read_bytes())
    place = data.index(b'"outcome":"', len(data) // 2) + len(b'"outcome":"')
    data[place] ^= 1
    put(found.path(run), bytes(data))


def without_line(found: RecordSet, run: str, number: int) -> None:
    """Take a line out of a ledger."""
    lines = found.path(run).read_bytes().splitlines(keepends=True)
    del lines[number]
    put(found.path(run), b"".join(lines))


def without_ledger(found: RecordSet, run: str) -> None:
    """Remove the ledger of a run."""
    found.path(run).unlink()


def duplicated(found: RecordSet, source: str, run: str) -> None:
    """Put the ledger of one run in the place of another's."""
    put(found.path(run), found.path(source).read_bytes())


def swapped_labels(found: RecordSet, run: str) -> None:
    """Swap what a wrong answer had to be with the label of a case that expects what was answered."""
    sealed = jsonio.read_json(found.root.labels)
    labels = sealed["labels"]
    record = next(r for r in found.observations(run) if not found.right(r))
    mine = record["case_id"]
    other = next(case for case, label in labels.items() if label["expected"] == record["verdict"])
    labels[mine], labels[other] = labels[other], labels[mine]
    put(found.root.labels, document(sealed))


def other_document(found: RecordSet) -> None:
    """Have the cases name another document than was registered."""
    first, *others = found.cases.values()
    lead, *rest = first.documents
    changed = (replace(lead, sha256=jsonio.digest("another")), *rest)
    fresh = replace(first, documents=changed, content_sha256=cases.content_digest(changed))
    manifest = jsonio.read_json(found.root.labels)["manifest_sha256"]
    put(found.root.cases, cases.payload([fresh, *others], manifest_sha256=manifest))


def other_manifest(found: RecordSet) -> None:
    """Have the labels come from another manifest."""
    put(found.root.labels, document({**jsonio.read_json(found.root.labels), "manifest_sha256": "0" * 64}))


def other_map(found: RecordSet) -> None:
    """Put a verdict map in the place of the registered one that reads the same."""
    put(found.root.verdict_map, found.root.verdict_map.read_bytes() + b"# and one line more\n")


def without_map(found: RecordSet) -> None:
    """Remove the verdict map that was kept when the cycle was registered."""
    found.root.verdict_map.unlink()


def in_cycle(found: RecordSet, *steps_and_value: Any) -> None:
    """Write another value into the cycle, at the place the steps lead to."""
    cycle = jsonio.read_json(found.root.cycle)
    _write(cycle, steps_and_value)
    put(found.root.cycle, document(cycle))


def _write(place: dict[str, Any], steps_and_value: Sequence[Any]) -> None:
    *steps, last, value = steps_and_value
    for step in steps:
        place = place[step]
    place[last] = value


def waived(found: RecordSet, gate: str) -> None:
    """Put a waiver of a gate beside the runs, with a signature that is made up."""
    waiver = {
        "schema": waivers.SCHEMA,
        "waives": gate,
        "manifest_sha256": jsonio.read_json(found.root.labels)["manifest_sha256"],
        "reason": "it will be fine",
        "expires": "2036-03-01T12:00:00Z",
        "signed_by": "cto",
        "signature": "-----BEGIN SSH SIGNATURE-----\nbWFkZSB1cA==\n-----END SSH SIGNATURE-----",
    }
    put(found.root.waivers / "waiver.yml", document(waiver))


def first_cycle(found: RecordSet) -> None:
    """Make the snapshot one of a folder in which no cycle had been."""
    (found.root.results / jsonio.read_json(found.root.cycle)["snapshot"] / "cycle.json").unlink()


def unregistered(found: RecordSet) -> None:
    """Take every digest out of the registration."""
    in_cycle(found, "registration", "digests", {})


def no_snapshot(found: RecordSet) -> None:
    """Remove the snapshot that was taken before the cycle."""
    shutil.rmtree(found.root.results / jsonio.read_json(found.root.cycle)["snapshot"])
