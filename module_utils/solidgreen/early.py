"""What is certain about a run before its last answer: the gates that can no longer be met, however the rest ends.

The cases without a record are filled in with the best that can come of them, and every gate is judged as it always is.
Nothing here ever makes a gate pass.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import metrics
from .check import Status
from .gates import Facts, GateResult, Pair, evaluate
from .metrics import VERDICTS
from .policy import Policy
from .text import plural

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]

#: How the ledger of such a run ends.
ENDED = "early_stop"
#: Metrics that no end of a run can raise above, or lower below, the best of those that :meth:`Partial._best` yields. A
#: gate over any other metric, or one that asks for the opposite, is never certain.
RAISED = (
    "comparable",
    "accuracy",
    "accuracy_lower",
    "accuracy_strict",
    "pass_recall",
    "consistency",
    "min_interval",
    "retries_429",
)
LOWERED = (
    "critical_false_pass",
    "http_422",
    "http_429_exhaustion",
    "pass_blocked",
    "blocked_share",
    "blocked_share_by_class",
    "classes_missing",
    "new_errors",
    "drift",
    "duration_minutes",
    "secrets",
    "flips",
)


@dataclass(frozen=True)
class Partial:
    """A run of which some cases have no record.

    :param rows: one a terminal record
    :param unsent: labels of the selected cases without one, by case id
    :param facts: what the rows do not tell; whatever of it can still change must only get worse
    :param first_rows: of the first smoke, where the second is judged
    """

    policy: Policy
    kind: str
    ordinal: int
    rows: Sequence[Row]
    unsent: Mapping[str, Mapping[str, Any]]
    facts: Facts
    first_rows: Sequence[Row] = ()

    @cached_property
    def seen(self) -> pd.DataFrame:
        """What was recorded."""
        return metrics.frame(self.rows)

    @cached_property
    def first(self) -> pd.DataFrame:
        """The first smoke."""
        return metrics.frame(self.first_rows)

    @cached_property
    def shared(self) -> pd.DataFrame:
        """The first smoke as it is held against: where cases have no record, those that have one."""
        return self.first[self.first["case_id"].isin(self.seen["case_id"])] if self.unsent else self.first

    @cached_property
    def pair(self) -> Pair | None:
        """The first smoke against this second one, None where there is nothing to hold against."""
        if not len(self.shared):
            return None
        return Pair(metrics.consistency(self.shared, self.seen), metrics.dependence(self.shared, self.seen))

    def certain(self) -> list[GateResult]:
        """Return the hard gates, integrity left out, that make the run fail however the cases without a record end.

        Whatever verdict each of them gets, if any: the gate fails, or so many went unanswered that it cannot be judged,
        and then the gate over how many can be compared fails.
        """
        return [
            result
            for result in self.settled()
            if result.status is Status.FAIL and result.severity == "hard" and result.group != "integrity"
            if _served(result)
        ]

    def settled(self) -> list[GateResult]:
        """Return every gate of the run, judged for good: it will get no further record.

        What can no longer be met is failed; what the cases without a record could still turn is inconclusive; what they
        do not bear on stands. The two smokes are held against each other over the cases that both have.
        """
        seen = self._judged(self.seen, self.shared)
        if not self.unsent:
            return seen
        best = [self._judged(self._filled(verdicts), self.first) for verdicts in self._best()]
        none = self._judged(self._filled({}), self.first)
        lost = [
            all(result.status is Status.FAIL for result in each) and _served(each[0])
            for each in zip(*best, strict=True)
        ]
        # What fails with no further answer has enough of them; anything else could still end below its minimum n.
        short = any(gone and end.status is not Status.FAIL for gone, end in zip(lost, none, strict=True))
        spare = self._spare() if short else len(self.unsent)
        return [
            self._settle(now, each, end, lost=gone and (end.status is Status.FAIL or each[0].n - spare >= now.min_n))
            for now, end, gone, *each in zip(seen, none, lost, *best, strict=True)
        ]

    def _best(self) -> Iterator[dict[str, str]]:
        """Yield verdicts by case, among which is the best for any gate: their own, none blocked, the first smoke's."""
        own = {case: str(label["expected"]) for case, label in self.unsent.items()}
        yield own
        yield {case: "warn" if verdict == "blocked" else verdict for case, verdict in own.items()}
        if len(self.first):
            before = dict(zip(self.first["case_id"], self.first["actual_verdict"], strict=True))
            yield {case: before[case] if before.get(case) in VERDICTS else own[case] for case in own}

    def _spare(self) -> int:
        """Return how many of the cases may go unanswered before too few can be compared; all, where no gate asks."""
        own = next(self._best())
        names = list(own)

        def too_few(gone: int) -> bool:
            judged = self._judged(self._filled({case: own[case] for case in names[gone:]}), self.first)
            asking = [r for r in judged if r.metric == "comparable" and r.severity == "hard" and _served(r)]
            return any(result.status is Status.FAIL for result in asking)

        return bisect_left(range(len(names) + 1), True, key=too_few) - 1

    @cached_property
    def _unanswered(self) -> pd.DataFrame:
        """The run where no case without a record, which are its last rows, is answered."""
        records = (
            {"type": "observation", "case_id": case, "outcome": "transport_error", "http_status": None, "secrets": 0}
            for case in self.unsent
        )
        registration = {"type": "registration", "run_id": None, "kind": None, "ordinal": None}
        return metrics.frame([*self.rows, *metrics.join([registration, *records], self.unsent)])

    def _filled(self, verdicts: Mapping[str, str]) -> pd.DataFrame:
        """Return the run where each case without a record is answered by *verdicts*, or not at all."""
        return metrics.answered(self._unanswered, [verdicts.get(case) for case in self.unsent])

    def _judged(self, rows: pd.DataFrame, first: pd.DataFrame) -> list[GateResult]:
        pair = self.pair
        if pair and rows is not self.seen:
            pair = replace(pair, consistency=metrics.consistency(first, rows))
        summary = metrics.summarise(rows, self.policy.level)
        return evaluate(self.policy, kind=self.kind, ordinal=self.ordinal, summary=summary, facts=self.facts, pair=pair)

    def _settle(self, now: GateResult, best: Sequence[GateResult], none: GateResult, *, lost: bool) -> GateResult:
        """Return a gate over the rows as it is to be read, given how it ends where the run goes on."""
        cases = f"{plural(len(self.unsent), 'case')} without a record"
        if all(_measured(end) == _measured(now) for end in (*best, none)):
            return now
        if not lost:
            return replace(now, status=Status.INCONCLUSIVE, counterfactual=f"the {cases} could still turn it")
        at_best = (max if now.metric in RAISED else min)(best, key=lambda end: end.value or 0.0)
        reachable = at_best.seen.removesuffix(f": {at_best.detail}")
        seen = f"{now.seen}, at best {reachable} however the {cases} end"
        return replace(now, status=Status.FAIL, seen=seen, counterfactual="")


def _served(result: GateResult) -> bool:
    """Tell whether the gate asks its metric for what the best ends give."""
    if result.metric in RAISED:
        return result.operator in (">=", ">")
    return result.metric in LOWERED and result.operator in ("<=", "<", "==")


def _measured(result: GateResult) -> tuple[float | None, int | None, int]:
    return result.value, result.hits, result.n
