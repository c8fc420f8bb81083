"""Show that no gate stays green: make, for each gate of the policy, the smallest change that must turn it, and judge.

A record set that passes is made on disk, changed file by file, and given to ``invoke judge`` as a command. How small a
change may be is worked out from the policy's own numbers; one step less must not fire, one case below the minimum n
must not pass. A gate without a drill, one that stays green, and a record set that does not pass as it is, each fail the
drill: then nothing that was judged by these gates can be trusted, which is why it ends with 14.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import drill_changes as to
import drill_records
import yaml
from drill_changes import A_WRONG_ONE, CLASSES, Impossible
from drill_records import RUNS, RecordSet, put
from judge import Parser
from solidgreen import jsonio, policy
from solidgreen.clock import stamp
from solidgreen.errors import BadInput, ExitCode, SolidGreenError, worst
from solidgreen.judgement import ROWS as ROWS_OF_A_RUN
from solidgreen.judgement import document
from solidgreen.paths import SNAPSHOT_PREFIX, DataRoot
from solidgreen.policy import GateSpec, Policy
from solidgreen.stats import clustered, wilson
from solidgreen.text import plural, visible

ROOT = Path(__file__).resolve().parent.parent
POLICY, POLICY_SCHEMA = ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json"
SCHEMA = "solidgreen/drill-gates/1"
#: Judges at a time.
WORKERS = max(2, min(os.cpu_count() or 2, 8))
JUDGE_TIMEOUT_S = 120
#: How a run is given to the judge: its ledger where it lies, or its rows alone.
LEDGER, ROWS = "ledger", "rows"
FAIL, PASS, INCONCLUSIVE = "fail", "pass", "inconclusive"
#: Metrics that rows alone cannot show: inconclusive there.
NOT_IN_ROWS = ("min_interval", "retries_429", "ledger_damage", "registration_changes", "verdict_faults")
#: Metrics that hold whatever was answered: a run without a record leaves them as they are.
NOT_OF_RECORDS = ("min_interval", "retries_429", "ledger_damage", "registration_changes")
#: How a case ends without an answer so that no other gate takes offence.
NO_ANSWER = "client_error"
#: The comparisons of a policy, here a second time: what is to be shown must not be computed by what it is shown of.
HOLDS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt, "==": operator.eq}
#: Gates that a line of the table names.
SHOWN = 4

#: A function of ``drill_changes`` and what it is given beside the set.
Step = tuple[Any, ...]
#: Of a count of cases, what a gate compares.
Value = Callable[[int], Fraction | float]


# --- drills --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """What is changed in the record set, and which run is judged then.

    :param edits: made to the records, ``forged`` to the files afterwards
    :param bent: gate of the policy (scope, id, threshold) that is written otherwise, and judged by
    """

    text: str
    run: str
    edits: tuple[Step, ...] = ()
    forged: tuple[Step, ...] = ()
    bent: tuple[str, str, str] | None = None

    @property
    def work(self) -> tuple[Any, ...]:
        """What is done, whatever it is called: equal changes are judged once."""
        return self.run, self.edits, self.forged, self.bent


@dataclass(frozen=True)
class Drill:
    """A change and what the judge has to make of it.

    :param gates: what must say *wanted*; none where the command itself has to refuse
    :param way: :data:`LEDGER` or :data:`ROWS`
    :param code: the exit code where the gates do not tell it
    :param named: what the deviations of the document have to name
    :param called: mark that has to be called out, empty where none may be, None where it does not matter
    """

    gates: tuple[GateSpec, ...]
    change: Change
    wanted: str
    way: str = LEDGER
    code: int | None = None
    named: str = ""
    called: str | None = None


@dataclass(frozen=True)
class Place:
    """A gate in a run of the record set, and the numbers its changes are worked out from."""

    rules: Policy
    found: RecordSet
    gate: GateSpec
    run: str

    def n(self, *classes: str) -> int:
        """Return how many cases the run has, of these classes only where some are named."""
        return sum(self.found.expected(r) in (classes or CLASSES) for r in self.found.observations(self.run))

    def right(self, *classes: str) -> int:
        """Return how many of them were answered right."""
        records = self.found.observations(self.run)
        return sum(self.found.right(r) for r in records if self.found.expected(r) in (classes or CLASSES))

    def tries(self, *, again: bool) -> tuple[int, int]:
        """Return right answers and cases of the run that were tried once, or more than once."""
        records = [r for r in self.found.observations(self.run) if (len(r["attempts"]) > 1) is again]
        return sum(map(self.found.right, records)), len(records)

    def share(self, *classes: str) -> Value:
        """Return the share that a count is of the cases of these classes."""
        n = self.n(*classes)
        return lambda hits: Fraction(hits, n)

    def bound(self) -> Value:
        """Return the lower bound of the share that a count is of all cases."""
        n = self.n()
        return lambda hits: getattr(wilson(hits, n, self.rules.level), "lower", 0.0)

    def effective_bound(self) -> Value:
        """Return that bound where the cases of one parent count as the policy declares."""
        parents = [self.found.labels[record["case_id"]]["parent"] for record in self.found.observations(self.run)]
        sizes = [parents.count(name) for name in dict.fromkeys(parents)]
        given = sizes, self.rules.correlation, self.rules.level
        return lambda hits: getattr(clustered(hits, *given), "lower", 0.0)

    def over_baseline(self) -> Value:
        """Return by how much the share that a count is of all cases exceeds that of the largest class."""
        n, most = self.n(), max(self.n(name) for name in CLASSES)
        return lambda hits: Fraction(hits - most, n)

    def first_try_gap(self) -> Value:
        """Return how far first tries and retries lie apart where a count of right answers after a retry is lost."""
        (first, n_first), (again, n_again) = self.tries(again=False), self.tries(again=True)
        return lambda lost: abs(Fraction(first, n_first) - Fraction(again - lost, n_again))

    def turn(self, n: int, value: Value) -> tuple[int, int]:
        """Return the two neighbouring counts of 0 to *n* between which the gate turns: where it fails, where it holds.

        :raises Impossible: it holds, or fails, at every count
        """

        def holds(hits: int) -> bool:
            seen = value(hits)
            limit = self.gate.threshold if isinstance(seen, Fraction) else float(self.gate.threshold)
            return bool(HOLDS[self.gate.operator](seen, limit))

        for low in range(n):
            if holds(low) != holds(low + 1):
                return (low + 1, low) if holds(low) else (low, low + 1)
        raise Impossible(f"{self.gate.operator} {self.gate.threshold_text} comes out the same for 0 to {n} of {n}")

    def fires(self, text: str, *edits: Step, **more: Any) -> Drill:
        """Return a change that must turn the gate."""
        return Drill((self.gate,), Change(text, self.run, edits, **more), FAIL)

    def holds(self, text: str, *edits: Step, **more: Any) -> Drill:
        """Return a change, one step smaller or of another kind, that must not."""
        return replace(self.fires(text, *edits, **more), wanted=PASS)

    def opens(self, text: str, *edits: Step, **more: Any) -> Drill:
        """Return a change that leaves too little to judge by."""
        return replace(self.fires(text, *edits, **more), wanted=INCONCLUSIVE)

    def edge(self, n: int, value: Value, change: Callable[[int], tuple[str, Step]]) -> list[Drill]:
        """Return the two drills at the threshold: the count that fails, and the one beside it that holds."""
        bad, good = self.turn(n, value)
        return [self.fires(*change(bad)), self.holds(*change(good))]

    def few_answers(self, *classes: str) -> Drill:
        """Return the drill that leaves one answered case of these classes fewer than the minimum n."""
        n, left = self.n(*classes), self.gate.min_n - 1
        return self.opens(f"{left} of {n} answered", (to.answer, self.run, n - left, classes or CLASSES, NO_ANSWER))

    def few_records(self, *classes: str) -> Drill:
        """Return the drill that leaves one record fewer than the minimum n, in both smokes where they are compared."""
        gone = self.n(*classes) - (self.gate.min_n - 1)
        runs = ("smoke1", "smoke2") if self.gate.scope == "pair" else (self.run,)
        steps = [(to.unsent, run, gone, classes or CLASSES) for run in runs]
        return self.opens(f"{plural(gone, 'record')} taken out, the chain signed anew", *steps)


def agreement(at: Place, value: Value) -> list[Drill]:
    """Return the drills of a gate over the right answers among the comparable."""
    n, right = at.n(), at.right()
    return [
        *at.edge(n, value, lambda hits: (f"{hits} of {n} right", (to.wrong, at.run, right - hits))),
        at.few_answers(),
    ]


def of_class(at: Place, name: str, said: str, word: str) -> list[Drill]:
    """Return the drills of a gate over the cases of a class that are answered so."""
    n = at.n(name)
    edit = (to.answer, at.run)
    return at.edge(n, at.share(name), lambda hits: (f"{hits} of {n} {name} cases {word}", (*edit, hits, (name,), said)))


def critical_false_pass(at: Place) -> list[Drill]:
    """Return the drills of the gate over rejects that were passed."""
    count = int(at.gate.threshold) + 1
    return [
        at.fires(f"{plural(count, 'reject')} answered pass", (to.answer, at.run, count, ("reject",), "pass")),
        at.holds("1 answer wrong, but no false pass", (to.wrong, at.run, 1)),
        at.few_answers("reject"),
    ]


def accuracy_strict(at: Place) -> list[Drill]:
    """Return the drills of the agreement over all records: at its edge an error in place of a hit turns it."""
    n, right = at.n(), at.right()
    bad, good = at.turn(n, at.share())
    edge, error = (to.wrong, at.run, right - good), (to.answer, at.run, good - bad, CLASSES, NO_ANSWER)
    return [
        at.fires(f"{good} of {n} right, then {plural(good - bad, 'error')} in place of a hit", edge, error),
        at.holds(f"{good} of {n} right", edge),
        at.few_records(),
    ]


def blocked_share(at: Place) -> list[Drill]:
    """Return the drills of the blocked share of all answers."""
    n, already = at.n(), at.right("blocked")
    others = ("pass", "warn", "reject")
    edit = (to.answer, at.run)
    return [
        *at.edge(n, at.share(), lambda hits: (f"{hits} of {n} blocked", (*edit, hits - already, others, "blocked"))),
        at.few_answers(),
    ]


def classes_missing(at: Place) -> list[Drill]:
    """Return the drills of the classes that must be there."""
    first, *_, last = at.rules.classes
    n, none = at.n(last), (last,)
    return [
        at.fires(f"a run of {first} cases only", (to.only, at.run, first)),
        at.fires(f"no {last} case answered", (to.answer, at.run, n, none, NO_ANSWER)),
        at.holds(f"1 {last} case answered", (to.answer, at.run, n - 1, none, NO_ANSWER)),
    ]


def unanswered(at: Place) -> list[Drill]:
    """Return the drills of the gates that a case without an answer could have turned."""
    reject, blocked = ((to.answer, at.run, 1, (name,), NO_ANSWER) for name in ("reject", "blocked"))
    return [
        at.fires("1 reject without an answer: it could have been passed", reject),
        at.holds("1 blocked without an answer: no gate hangs on it", blocked),
    ]


def drift(at: Place) -> list[Drill]:
    """Return the drills of the drop of a class's recall, against the first smoke or the cycle before."""
    names = ("pass", "warn", "reject")
    # The class with most cases takes the finest steps; one of which a share is exactly the threshold shows the edge.
    finest = max(names, key=at.n)
    exact = [name for name in names if (at.gate.threshold * at.n(name)).denominator == 1]
    made = []
    for name in dict.fromkeys([finest, *exact[:1]]):
        n, right = at.n(name), at.right(name)

        def fallen(drop: int, name: str = name, n: int = n, right: int = right) -> tuple[str, Step]:
            text = f"recall of {name} down by {drop / n:.3f}, from {right} to {right - drop} of {n}"
            return text, (to.answer, at.run, drop, (name,), A_WRONG_ONE)

        made += at.edge(right, at.share(name), fallen)
    if at.run == "full1":
        made.append(at.opens("no cycle before it", forged=((to.first_cycle,),)))
    return made


def duration_minutes(at: Place) -> list[Drill]:
    """Return the drills of the time a run takes."""
    minutes = float(at.gate.threshold)
    return [
        at.fires(f"{minutes:g} minutes and 1 second", (to.lasting, at.run, minutes * 60 + 1)),
        at.holds(f"{minutes:g} minutes", (to.lasting, at.run, minutes * 60)),
    ]


def pacing(at: Place, name: str, step: float) -> list[Drill]:
    """Return the drills of a number that a run was registered with, *step* being the smallest change."""
    limit = type(step)(at.gate.threshold)
    less = round(limit - step, 6)
    return [
        at.fires(f"registered with {name} {less:g}", (to.paced, at.run, name, less)),
        at.holds(f"registered with {name} {limit:g}", (to.paced, at.run, name, limit)),
        at.opens(f"registered without {name}", (to.paced, at.run, name, None)),
    ]


def ledger_damage(at: Place) -> list[Drill]:
    """Return the drills of the chain of a ledger."""
    return [
        at.fires("1 byte of the ledger changed", forged=((to.one_byte, at.run),)),
        at.fires("1 line taken out of the ledger", forged=((to.without_line, at.run, 5),)),
        at.fires("the ledger cut off before its end", forged=((to.without_line, at.run, -1),)),
    ]


def registration_changes(at: Place) -> list[Drill]:
    """Return the drills of the inputs that were registered."""
    later = stamp(drill_records.START + timedelta(days=1))
    zero, registered = "0" * 64, ("registration",)
    return [
        at.fires("2 labels swapped", forged=((to.swapped_labels, at.run),)),
        at.fires("another document", forged=((to.other_document,),)),
        at.fires("labels of another manifest", forged=((to.other_manifest,),)),
        at.fires("another verdict map", (to.registered, at.run, "verdict_map_sha256", zero)),
        at.fires("another request template", (to.registered, at.run, "request_template_sha256", zero)),
        at.fires("another target", (to.registered, at.run, "target", "url", "http://127.0.0.1:9/")),
        at.fires("a smoke of other cases than were drawn", (to.chosen, "smoke1"))
        if at.run == "smoke1"
        else at.fires("a case less in the selection", (to.deselected, at.run)),
        at.fires("an input that nobody looked at", forged=((to.in_cycle, *registered, "digests", "image", zero),)),
        at.fires("no input registered at all", forged=((to.unregistered,),)),
        at.fires("the snapshot before the cycle taken away", forged=((to.no_snapshot,),)),
        at.fires("run before it was registered", forged=((to.in_cycle, *registered, "at", later),)),
        at.fires("its registration rewritten, the chain signed anew", forged=((to.repaced, at.run),)),
        at.fires("the policy loosened after it was registered", bent=bend(at.rules, -1)),
        at.opens("a cycle that was never registered", forged=((to.in_cycle, "registration", None),)),
    ]


def verdict_faults(at: Place) -> list[Drill]:
    """Return the drills of the verdicts that have to follow again from the answers."""
    return [
        at.fires("a wrong verdict rewritten to its label, the chain signed anew", forged=((to.calibrated, at.run),)),
        at.fires("nothing kept of the answers, the chain signed anew", forged=((to.unrecorded, at.run),)),
        at.fires("another verdict map in the place of the registered one", forged=((to.other_map,),)),
        at.holds("1 case answered otherwise", (to.wrong, at.run, 1)),
        at.opens("no verdict map to read the answers again by", forged=((to.without_map,),)),
    ]


def new_errors(at: Place) -> list[Drill]:
    """Return the drills of the kinds of error that the smokes did not show."""
    heal = (to.healed, at.run, 503)
    return [
        at.fires("1 answer after a 503 that the smokes did not show", heal),
        at.fires("1 case lost to a timeout", (to.answer, at.run, 1, ("blocked",), "transport_error")),
        at.holds("1 answer after a 503 that a smoke showed too", (to.healed, "smoke1", 503), heal),
        at.opens("no second smoke to compare with", forged=((to.without_ledger, "smoke2"),)),
        at.few_records(),
    ]


def first_try_gap(at: Place) -> list[Drill]:
    """Return the drills of the difference between first tries and retries."""
    (first, n_first), (again, n_again) = at.tries(again=False), at.tries(again=True)

    def lose(lost: int) -> tuple[str, Step]:
        text = f"{again - lost} of {n_again} right after a retry, {first} of {n_first} at the first try"
        return text, (to.retried, at.run, lost, A_WRONG_ONE)

    left = at.gate.min_n - 1
    few = at.opens(f"{left} answered after a retry", (to.retried, at.run, n_again - left, NO_ANSWER))
    return [*at.edge(again, at.first_try_gap(), lose), few]


def dependence(at: Place) -> list[Drill]:
    """Return the drills of the signs that the second smoke is no run of its own."""
    return [
        at.fires("1 job id shared", (to.share_job,)),
        at.fires("the answers of the first replayed", (to.replay,)),
        at.fires("begun before the first ended", (to.overlap,)),
        at.opens("no job ids to compare", (to.without_jobs,)),
    ]


def flips(at: Place, same: bool = False) -> list[Drill]:
    """Return the drills of the cases whose verdict changes: their share that agrees, or their count."""
    n = at.n()

    def flip(count: int) -> tuple[str, Step]:
        count = n - count if same else count
        return f"{plural(count, 'flip')} in {n} cases", (to.flip, count)

    made = at.edge(n, at.share() if same else Fraction, flip)
    return [*made[: 2 if same else 1], at.few_records()]  # no flip at all is the set as it is


#: The changes by what a gate measures, so that a second gate over the same thing has them from its own numbers.
TABLE: dict[str, Callable[[Place], list[Drill]]] = {
    "critical_false_pass": critical_false_pass,
    "comparable": lambda at: [
        *at.edge(
            at.n(),
            at.share(),
            lambda hits: (
                f"{at.n() - hits} without an answer",
                (to.answer, at.run, at.n() - hits, CLASSES, NO_ANSWER),
            ),
        ),
        at.few_records(),
    ],
    "accuracy": lambda at: agreement(at, at.share()),
    "accuracy_lower": lambda at: agreement(at, at.bound()),
    "accuracy_lower_effective": lambda at: agreement(at, at.effective_bound()),
    "accuracy_over_baseline": lambda at: agreement(at, at.over_baseline()),
    "accuracy_strict": accuracy_strict,
    "pass_recall": lambda at: [
        *at.edge(
            at.n("pass"),
            at.share("pass"),
            lambda hits: (
                f"{hits} of {at.n('pass')} pass cases passed",
                (to.answer, at.run, at.right("pass") - hits, ("pass",), A_WRONG_ONE),
            ),
        ),
        at.few_records("pass"),
    ],
    "http_422": lambda at: [
        at.fires("1 case answered with 422", (to.answer, at.run, 1, ("pass",), "unprocessable")),
        at.holds("1 case answered with 400", (to.answer, at.run, 1, ("pass",), "client_error")),
        at.few_records(),
    ],
    "http_429_exhaustion": lambda at: [
        *at.edge(
            at.n(),
            at.share(),
            lambda hits: (
                f"{hits} of {at.n()} given up on 429",
                (to.answer, at.run, hits, CLASSES, "rate_limited"),
            ),
        ),
        at.few_records(),
    ],
    "pass_blocked": lambda at: [*of_class(at, "pass", "blocked", "blocked"), at.few_answers("pass")],
    "blocked_share_by_class": lambda at: [*of_class(at, "warn", "blocked", "blocked"), at.few_answers("warn")],
    "blocked_share": blocked_share,
    "classes_missing": classes_missing,
    "unanswered": unanswered,
    "drift": drift,
    "duration_minutes": duration_minutes,
    "min_interval": lambda at: pacing(at, "min_interval", 0.1),
    "retries_429": lambda at: pacing(at, "retries_429", 1),
    "ledger_damage": ledger_damage,
    "registration_changes": registration_changes,
    "verdict_faults": verdict_faults,
    "secrets": lambda at: [at.fires("1 answer with a secret in it", (to.secret, at.run))],
    "new_errors": new_errors,
    "first_try_gap": first_try_gap,
    "consistency": lambda at: flips(at, same=True),
    "flips": flips,
    "dependence": dependence,
}
#: The runs a gate is drilled in, by its scope or what it measures: in the first from both sides, in a further one it
#: only has to fire.
RUNS_OF = {
    "smoke": ("smoke1",),
    "pair": ("smoke2",),
    "full": ("full1",),
    "run": ("smoke1",),
    "drift": ("full1", "smoke2"),
    "blocked_share_by_class": ("full1", "smoke1"),
}
#: How many of its changes a gate is given by rows alone as well, where that is not one: those look at other fields.
ROWS_OF = {"dependence": 3, "new_errors": 2}


def drills(rules: Policy, found: RecordSet, only: str = "") -> tuple[list[Drill], list[str]]:
    """Return every drill of the policy's gates, in its order, and why a gate has none that must turn it.

    :param only: a gate as ``scope:id``; empty for all, and for what is about no gate in particular
    """
    made = [] if only else [*baseline(rules), *without_records(rules), *beside_the_gates(rules)]
    without, by_rows = [], set[str]()
    for gate in rules.gates:
        name = ":".join(gate.key)
        first, *others = RUNS_OF.get(gate.metric, RUNS_OF[gate.scope])
        try:
            whole = TABLE[gate.metric](Place(rules, found, gate, first))
            whole += [TABLE[gate.metric](Place(rules, found, gate, run))[0] for run in others]
        except KeyError:
            without.append(f"{name} measures {gate.metric}, which no drill changes")
            continue
        except Impossible as error:
            without.append(f"{name}: {error}")
            continue
        if gate.metric not in (*NOT_IN_ROWS, *by_rows) and gate.severity != "advisory":
            by_rows.add(gate.metric)  # once is enough: both kinds of run are judged by the same functions
            turned = [drill for drill in whole if drill.wanted == FAIL and not drill.change.forged]
            whole += [replace(drill, way=ROWS) for drill in turned[: ROWS_OF.get(gate.metric, 1)]]
        if only in ("", name):
            made += whole
    return made, without


def baseline(rules: Policy) -> Iterator[Drill]:
    """Yield what has to pass before anything is changed: every gate by the ledger, all but a few by the rows."""
    for run, (kind, ordinal) in RUNS.items():
        asked, same = rules.gates_for(kind, ordinal), Change("nothing changed", run)
        yield Drill(asked, same, PASS, code=int(ExitCode.OK), called="")
        # A first smoke that is given alone has no run before it.
        dark = (*NOT_IN_ROWS, *(["drift"] if run == "smoke1" else []))
        yield Drill(tuple(gate for gate in asked if gate.metric not in dark), same, PASS, ROWS, called="")
        yield Drill(tuple(gate for gate in asked if gate.metric in dark), same, INCONCLUSIVE, ROWS, called="")


def without_records(rules: Policy) -> Iterator[Drill]:
    """Yield the drills of a run that has not a single record: no gate that counts them may pass."""
    text = "every record taken out, the chain signed anew"
    counted = [gate for gate in rules.gates if gate.metric not in NOT_OF_RECORDS]
    for run, scopes in (("smoke1", ("smoke", "run")), ("full1", ("full", "run"))):
        asked = tuple(gate for gate in counted if gate.scope in scopes)
        yield Drill(asked, Change(text, run, ((to.nothing, run),)), INCONCLUSIVE)
    first = ((to.nothing, "smoke1"),)
    pair = tuple(gate for gate in counted if gate.scope == "pair")
    yield Drill(pair, Change(f"{text}, in the first smoke", "smoke2", first), INCONCLUSIVE)
    yield Drill((), Change("a results file without a row", "smoke1", first), "", ROWS, int(ExitCode.BAD_INPUT))


def beside_the_gates(rules: Policy) -> Iterator[Drill]:
    """Yield what the command itself has to refuse or to say, whatever the gates say."""
    gone = Change("its ledger removed", "full1", forged=((to.without_ledger, "full1"),))
    yield Drill((), gone, "", code=int(ExitCode.BAD_INPUT))
    copied = ((to.duplicated, "smoke1", "smoke2"),)
    text = "the first smoke's ledger in the place of the second's"
    yield Drill((), Change(text, "smoke2", forged=copied), "", code=int(ExitCode.INTEGRITY))
    suspicious: tuple[tuple[str, str, str, Step], ...] = (
        ("follows-labels", "smoke1", "every verdict is what its scenario stands for", (to.perfect, "smoke1")),
        ("one-class", "smoke1", "a smoke of pass cases only", (to.only, "smoke1", "pass")),
        ("shared-job-ids", "smoke2", "1 job id shared", (to.share_job,)),
        ("replayed-run", "smoke2", "the answers of the first replayed", (to.replay,)),
        ("against-itself", "smoke2", "a smoke held against itself", (to.same_run,)),
    )
    for mark, run, text, edit in suspicious:
        yield Drill((), Change(text, run, (edit,)), "", ROWS, called=mark)
    for gate in [gate for gate in rules.gates if gate.metric == "accuracy_lower" and gate.scope == "smoke"]:
        wrong, unsigned = (to.wrong, "smoke1", 10), (to.waived, ":".join(gate.key))
        yield Drill((gate,), Change("a waiver that nobody signed", "smoke1", (wrong,), (unsigned,)), FAIL)
    if jsonio.digest(rules.data) != policy.SHIPPED:
        return  # a policy that deviates already says so in every drill
    for text, sign, code in (("loosened", -1, ExitCode.INCONCLUSIVE), ("tightened", 1, ExitCode.OK)):
        bent = bend(rules, sign)
        name, sha256 = ":".join(bent[:2]), jsonio.sha256_bytes(bent_policy(rules, bent))
        forged = ((to.in_cycle, "registration", "digests", "policy", sha256),)
        change = Change(
            f"the policy {text}, {name} at {bent[2]}, and registered so", "smoke1", forged=forged, bent=bent
        )
        yield Drill(rules.gates_for("smoke", 1), change, PASS, code=int(code), named=name)


def bend(rules: Policy, sign: int) -> tuple[str, str, str]:
    """Return a gate over the agreement with a threshold that is a little easier (-1) or harder (+1).

    :raises BadInput: the policy has no such gate
    """
    gate = next((gate for gate in rules.gates if gate.metric == "accuracy"), None)
    if gate is None:
        need = "one that compares accuracy, to be loosened and tightened"
        raise BadInput("policy", found="no gate over the agreement", need=need, next_step="take the shipped one")
    return *gate.key, f"{float(gate.threshold) + sign * 0.05:.2f}"


def bent_policy(rules: Policy, bent: tuple[str, str, str]) -> bytes:
    """Return the policy with another threshold of one gate."""
    *key, threshold = bent
    entries = [
        {**entry, "threshold": float(threshold)} if [entry["scope"], entry["id"]] == key else entry
        for entry in rules.data["gates"]
    ]
    return yaml.safe_dump({**rules.data, "gates": entries}, sort_keys=False, allow_unicode=True).encode()


# --- judging -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """What the command ended with: code, document (empty where it refused), last line for people."""

    code: int
    document: Mapping[str, Any]
    words: str

    def status(self, gate: GateSpec) -> str:
        """Return what it says of a gate; of a gate it does not mention, that."""
        entries = [e for e in self.document.get("gates", ()) if (e["scope"], e["id"]) == gate.key]
        return str(entries[0]["status"]) if len(entries) == 1 else f"named {len(entries)} times"

    @property
    def marks(self) -> list[str]:
        """Ids of what it calls out."""
        return [str(mark["id"]) for mark in self.document.get("callouts", ())]

    def of(self, status: str) -> list[str]:
        """Return the gates of a status."""
        return [str(entry["id"]) for entry in self.document.get("gates", ()) if entry["status"] == status]


@dataclass(frozen=True)
class Bench:
    """Where drills are done.

    :param base: folder of the record set that passes
    :param policy_file: what is judged by, and what *rules* were read from
    :param cap: exit code that its deviations from the shipped policy come to
    """

    base: Path
    work: Path
    judge: Sequence[str]
    rules: Policy
    policy_file: Path
    cap: int
    keep: bool = False

    def judged(self, number: int, drill: Drill) -> Judged:
        """Make the change in a copy of the record set, judge that as a command, and return what came of it.

        :raises Impossible: the change cannot be made
        """
        folder = self.work / f"{number:03} {drill.change.run} {drill.way}"
        try:
            return self._run(self._made(folder, drill))
        finally:
            if not self.keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _made(self, folder: Path, drill: Drill) -> list[str]:
        """Return the command over a changed copy of the record set."""
        change = drill.change
        # The documents are never changed: a link to them, most of the time a copy would take.
        shutil.copytree(self.base, folder, ignore=shutil.ignore_patterns(drill_records.BUNDLES))
        (folder / drill_records.BUNDLES).symlink_to(self.base / drill_records.BUNDLES)
        found = RecordSet.load(DataRoot(folder))
        for edit, *arguments in change.edits:
            edit(found, *arguments)
        command = [*self.judge, "--json"]
        if drill.way == ROWS:
            command += self._rows(folder, found, change.run)
        else:
            if change.edits:
                found.save()
            for forge, *arguments in change.forged:
                forge(found, *arguments)
            command += ["--results", str(found.path(change.run))]
        rules = self.policy_file
        if change.bent:
            rules = folder / "policy.yml"
            put(rules, bent_policy(self.rules, change.bent))
        return [*command, "--policy", str(rules)]

    def _rows(self, folder: Path, found: RecordSet, run: str) -> list[str]:
        """Return the arguments for a run that is given by its rows alone.

        A second smoke is held against the first; a full run stands in the file of its cycle and is held against the
        one of the cycle before.
        """
        kind, ordinal = RUNS[run]
        results, against = folder / "day3_results.jsonl", folder / "against.jsonl"
        shown = RUNS if kind == "full" else (run,)
        put(results, b"".join(drill_records.lines(found.rows(label)) for label in shown))
        arguments = ["--results", str(results), "--gates", kind]
        if (kind, ordinal) == ("smoke", 2):
            put(against, drill_records.lines(found.rows("smoke1")))
        elif kind == "full":
            (before,) = found.root.results.glob(f"{SNAPSHOT_PREFIX}*/runs/full1-*/{ROWS_OF_A_RUN}")
            against = before
        return [*arguments, "--against", str(against)] if run != "smoke1" else arguments

    def _run(self, command: Sequence[str]) -> Judged:
        # As many judges as cores: threads that each of them would start only take time from the others.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        given: dict[str, Any] = {"cwd": self.work, "env": environment, "timeout": JUDGE_TIMEOUT_S}
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, **given)  # noqa: S603 - ours
        except subprocess.TimeoutExpired:
            return Judged(-1, {}, f"no answer within {JUDGE_TIMEOUT_S} s")
        words = visible((done.stderr.strip().splitlines() or [""])[-1])
        try:
            found = json.loads(done.stdout) if done.stdout else {}
        except ValueError:
            return Judged(done.returncode, {}, f"no JSON document on standard output; {words}")
        return Judged(done.returncode, found, words)

    def faults(self, drill: Drill, judged: Judged) -> list[str]:
        """Return in what the judge did otherwise than it has to."""
        if drill.gates and not judged.document.get("gates"):
            return [f"it named no gate and ended with {judged.code} ({judged.words})"]
        found = [
            f"{':'.join(gate.key)} is {status}, need {drill.wanted}"
            for gate in drill.gates
            if (status := judged.status(gate)) != drill.wanted
        ]
        # What was not tampered with must not be called so: a drill that fires for another reason shows nothing.
        tampered = [
            str(gate["id"])
            for gate in judged.document.get("gates", ())
            if (gate["status"], gate["exit_code"]) == (FAIL, ExitCode.INTEGRITY)
        ]
        if drill.gates and tampered and all(gate.exit_code != ExitCode.INTEGRITY for gate in drill.gates):
            found.append(f"{', '.join(tampered)} fired, though nothing was tampered with")
        said = judged.document.get("exit_code", judged.code)
        if judged.code != said:
            found.append(f"ended with {judged.code}, its document says {said}")
        codes = [_owed(gate) for gate in judged.document.get("gates", ())] if drill.code is None else [drill.code]
        if judged.document:
            codes.append(self.cap)
        if judged.marks:  # what is called out decides with the gates, and can only make it worse
            codes.append(judged.code)
        if judged.code != worst(codes):
            found.append(f"ended with {judged.code}, need {worst(codes)} ({judged.words})")
        if drill.named not in " ".join(map(str, judged.document.get("deviations", ()))):
            found.append(f"no deviation names {drill.named}")
        if drill.called is not None and (drill.called not in judged.marks if drill.called else judged.marks):
            found.append(f"called out: {', '.join(judged.marks) or 'nothing'}, need {drill.called or 'nothing'}")
        return found


def _owed(gate: Mapping[str, Any]) -> int:
    """Return what a gate of the document alone makes the command end with, counted anew."""
    if gate["status"] == FAIL and gate["severity"] == "hard":
        return int(gate["exit_code"])
    waits = (gate["status"], gate["severity"]) in ((FAIL, "review"), (INCONCLUSIVE, "hard"))
    return int(ExitCode.INCONCLUSIVE if waits else ExitCode.OK)


# --- the command ---------------------------------------------------------------------------------------------------


def drill(bench: Bench, plan: Sequence[Drill]) -> Iterator[tuple[Drill, Judged, list[str]]]:
    """Do the drills and yield each, in its order, with what the judge said and in what that is not as it has to be.

    Drills that make the same change are judged once.
    """
    work: dict[tuple[Any, ...], Future[Judged]] = {}
    pool = ThreadPoolExecutor(WORKERS)
    try:
        for number, each in enumerate(plan):
            key = (each.way, each.change.work)
            if key not in work:
                work[key] = pool.submit(bench.judged, number, each)
        for each in plan:
            try:
                judged = work[each.way, each.change.work].result()
            except Impossible as error:
                yield each, Judged(-1, {}, ""), [f"cannot be made: {error}"]
            else:
                yield each, judged, bench.faults(each, judged)
    finally:
        pool.shutdown(cancel_futures=True)


def line(each: Drill, judged: Judged, faults: Sequence[str]) -> str:
    """Return a drill as a line of the table, with a line for each fault."""
    fired = [*judged.of(FAIL), *(f"called out: {mark}" for mark in judged.marks)]
    fired = fired or [f"{name}?" for name in judged.of(INCONCLUSIVE)]
    others = len(fired) - SHOWN
    shown = ", ".join(fired[:SHOWN]) + (f" and {others} more" if others > 0 else "")
    text = f"{each.change.run}{' (rows)' if each.way == ROWS else ''}: {each.change.text}"
    row = f"{'NOT' if faults else 'ok':<4}{named(each):<31} {text:<85} {wanted(each):<12} {judged.code:>3}  "
    return "\n".join([f"{row}{shown or '-'}", *(f"    -> {fault}" for fault in faults)])


def wanted(each: Drill) -> str:
    """Return what the judge has to say in a drill, in a word."""
    return each.wanted or ("called out" if each.called else "refused")


def named(each: Drill) -> str:
    """Return what a drill is about: its gate, how many, or the command."""
    if len(each.gates) == 1:
        return ":".join(each.gates[0].key)
    return plural(len(each.gates), "gate") if each.gates else "the command"


def entry(each: Drill, judged: Judged, faults: Sequence[str]) -> dict[str, Any]:
    """Return a drill as the document has it."""
    return {
        "gates": [":".join(gate.key) for gate in each.gates],
        "run": each.change.run,
        "way": each.way,
        "change": each.change.text,
        "wanted": wanted(each),
        "statuses": {":".join(gate.key): judged.status(gate) for gate in each.gates},
        "fired": judged.of(FAIL),
        "inconclusive": judged.of(INCONCLUSIVE),
        "callouts": judged.marks,
        "deviations": list(judged.document.get("deviations", ())),
        "exit_code": judged.code,
        "as_expected": not faults,
        "faults": list(faults),
    }


def conclude(
    done: Sequence[tuple[Drill, Judged, list[str]]], without: Sequence[str], seconds: float
) -> tuple[int, str]:
    """Return the exit code and the last line: what the drills come to."""
    keys = {gate.key for each, _, _ in done for gate in each.gates if each.wanted == FAIL}
    text = f"{plural(len(done), 'drill')} of {plural(len(keys), 'gate')} in {seconds:.0f} s"
    bad = [f"{named(each)}, {each.change.text}: {faults[0]}" for each, _, faults in done if faults]
    bad += [] if done else ["nothing was drilled"]
    if without:
        text = f"{text}; found {plural(len(without), 'gate')} that no change turns ({'; '.join(without)})"
        return int(ExitCode.INTEGRITY), f"{text}, need one for each. Next: add it to TABLE in scripts/drill_gates.py"
    if bad:
        text = f"{text}; found {len(bad)} not as expected ({bad[0]}), need none"
        return int(ExitCode.INTEGRITY), f"{text}. Next: take nothing for judged by these gates until that is mended"
    return int(ExitCode.OK), f"{text}: each fired when it had to, held one step before, and never passed without data"


def run(options: argparse.Namespace, folder: Path) -> int:
    """Make the record set, do the drills, print them, and return the exit code."""
    start = time.monotonic()
    # Judged by a copy: whoever edits the file meanwhile changes no drill half way.
    given = options.policy or POLICY
    rules = policy.load(given, POLICY_SCHEMA)
    taken = folder / "policy" / given.name
    for path in (given, rules.approvers):
        if path.is_file():
            put(taken.with_name(path.name), path.read_bytes())
    rules = policy.load(taken, POLICY_SCHEMA)
    shipped = policy.load(POLICY, POLICY_SCHEMA)
    known = [":".join(gate.key) for gate in rules.gates]
    if options.only and options.only not in known:
        need = f"one of {', '.join(known)}"
        raise BadInput("option --only", found=repr(options.only), need=need, next_step="leave it out for all")
    base = folder / "passing"
    drill_records.make(DataRoot(base), rules)
    plan, without = drills(rules, RecordSet.load(DataRoot(base)), options.only)
    capped = any(deviation.loosens for deviation in policy.deviations(rules, shipped))
    bench = Bench(
        base=base,
        work=folder,
        judge=(sys.executable, str(options.judge.resolve())),
        rules=rules,
        policy_file=taken,
        cap=int(ExitCode.INCONCLUSIVE if capped else ExitCode.OK),
        keep=options.keep is not None,
    )
    people, done = sys.stderr if options.json else sys.stdout, []
    for one in drill(bench, plan):
        done.append(one)
        print(line(*one), file=people, flush=True)
    code, sentence = conclude(done, without, time.monotonic() - start)
    print(f"\n{sentence}", file=people)
    if options.json:
        found = {
            "schema": SCHEMA,
            "policy_sha256": rules.sha256,
            "drills": [entry(*one) for one in done],
            "without_drill": without,
            "seconds": round(time.monotonic() - start, 1),
            "exit_code": code,
            "sentence": sentence,
        }
        sys.stdout.write(document(found).decode())
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the drills in a folder that is removed, or kept, and return the exit code."""
    parser = Parser(prog="invoke drill --gates", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--only", default="", metavar="SCOPE:ID", help="the drills of one gate (default: all)")
    parser.add_argument("--policy", type=Path, help="file of the gates (default: policy/day3.yml)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave every record set there (default: remove them)")
    parser.add_argument("--judge", type=Path, default=ROOT / "scripts" / "judge.py", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.keep is None:
            with tempfile.TemporaryDirectory(prefix="drill of gates ") as folder:
                return run(options, Path(folder).resolve())
        if options.keep.exists() and (not options.keep.is_dir() or any(options.keep.iterdir())):
            need = "a new or an empty folder"
            raise BadInput(f"folder {options.keep}", found="something in it", need=need, next_step="name another")
        options.keep.mkdir(parents=True, exist_ok=True)
        return run(options, options.keep.resolve())
    except SolidGreenError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except OSError as error:
        refused = jsonio.not_taken(Path(error.filename or tempfile.gettempdir()), error)
        print(refused, file=sys.stderr)
        return int(refused.exit_code)
    except KeyboardInterrupt:
        print("stopped by hand: found drills undone, need all of them. Next: the same command", file=sys.stderr)
        return int(ExitCode.INCONCLUSIVE)


if __name__ == "__main__":
    sys.exit(main())
