"""Every gate of the policy: fail, pass, exactly at its threshold, no data, one below its minimum n."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import FULL, SMOKE, WHOLE, Counts, counts, gate, rows, shipped
from solidgreen import gates, jsonio, metrics
from solidgreen.check import Status
from solidgreen.gates import Facts, Kind, Measurement, Pair
from solidgreen.metrics import VERDICTS, Tally

PASS, FAIL, OPEN = Status.PASS, Status.FAIL, Status.INCONCLUSIVE


def perfect(base: Counts) -> Any:
    return metrics.summarise(rows(base))


def facts(**changes: Any) -> Facts:
    return replace(WHOLE, **changes)


def pair(same: int, total: int, faults: tuple[str, ...] = (), n: int = 5) -> Pair:
    flips = [{"case_id": f"p-{number:03}", "first": "pass", "second": "warn"} for number in range(total - same)]
    return Pair({"same": same, "total": total, "flips": flips}, Tally(faults, n))


#: A gate, what happens, the run's cases (moves), its facts, the two smokes against each other, and the outcome.
Case = tuple[str, str, tuple[str, ...], Facts, Pair | None, Status]
EMPTY = ("pass -5", "warn -5", "reject -7", "blocked -3")
SMOKE_CASES: list[Case] = [
    ("comparable", "three errors", ("warn>server_error 3",), WHOLE, None, FAIL),
    ("comparable", "none", (), WHOLE, None, PASS),
    ("comparable", "at 18 of 20", ("warn>server_error 2",), WHOLE, None, PASS),
    ("comparable", "below n", ("warn -1",), WHOLE, None, OPEN),
    ("accuracy", "13 of 20", ("warn>reject 5", "reject>warn 2"), WHOLE, None, FAIL),
    ("accuracy", "all", (), WHOLE, None, PASS),
    ("accuracy", "at 14 of 20", ("warn>reject 5", "reject>warn 1"), WHOLE, None, PASS),
    ("accuracy", "below n", ("warn>server_error 3",), WHOLE, None, OPEN),
    ("accuracy_lower", "16 of 20", ("warn>reject 4",), WHOLE, None, FAIL),
    ("accuracy_lower", "at 17 of 20", ("warn>reject 3",), WHOLE, None, PASS),
    ("accuracy_lower", "all", (), WHOLE, None, PASS),
    ("accuracy_lower", "below n", ("warn>server_error 3",), WHOLE, None, OPEN),
    ("accuracy_strict", "13 of 20", ("warn>server_error 5", "pass>reject 2"), WHOLE, None, FAIL),
    ("accuracy_strict", "at 14 of 20", ("warn>server_error 5", "pass>reject 1"), WHOLE, None, PASS),
    ("accuracy_strict", "all", (), WHOLE, None, PASS),
    ("accuracy_strict", "below n", ("warn -1",), WHOLE, None, OPEN),
    ("pass_recall", "2 of 5", ("pass>warn 3",), WHOLE, None, FAIL),
    ("pass_recall", "an error is a miss", ("pass>warn 2", "pass>server_error 1"), WHOLE, None, FAIL),
    ("pass_recall", "at 3 of 5", ("pass>warn 2",), WHOLE, None, PASS),
    ("pass_recall", "all", (), WHOLE, None, PASS),
    ("pass_recall", "below n", ("pass -1",), WHOLE, None, OPEN),
    ("critical_false_pass", "one", ("reject>pass 1",), WHOLE, None, FAIL),
    ("critical_false_pass", "one, below n", ("reject>pass 1", "reject>server_error 6"), WHOLE, None, FAIL),
    ("critical_false_pass", "at none", (), WHOLE, None, PASS),
    ("critical_false_pass", "below n", ("reject>server_error 3",), WHOLE, None, OPEN),
    ("http_422", "one", ("warn>unprocessable 1",), WHOLE, None, FAIL),
    ("http_422", "at none", (), WHOLE, None, PASS),
    ("http_422", "below n", ("warn -1",), WHOLE, None, OPEN),
    ("http_429_exhaustion", "2 of 20", ("warn>rate_limited 2",), WHOLE, None, FAIL),
    ("http_429_exhaustion", "at 1 of 20", ("warn>rate_limited 1",), WHOLE, None, PASS),
    ("http_429_exhaustion", "none", (), WHOLE, None, PASS),
    ("http_429_exhaustion", "below n", ("warn -1",), WHOLE, None, OPEN),
    ("pass_blocked", "2 of 5", ("pass>blocked 2",), WHOLE, None, FAIL),
    ("pass_blocked", "at 3 of 10 the limit is not under", ("pass 5", "pass>blocked 3"), WHOLE, None, FAIL),
    ("pass_blocked", "1 of 5", ("pass>blocked 1",), WHOLE, None, PASS),
    ("pass_blocked", "below n", ("pass>server_error 3",), WHOLE, None, OPEN),
    ("duration", "46 min", (), facts(active_minutes=46.0), None, FAIL),
    ("duration", "at 45 min", (), facts(active_minutes=45.0), None, PASS),
    ("duration", "one minute", (), WHOLE, None, PASS),
    ("blocked_share", "15 of 20", ("pass>blocked 5", "warn>blocked 5", "reject>blocked 2"), WHOLE, None, FAIL),
    ("blocked_share", "at 14 of 20", ("pass>blocked 5", "warn>blocked 5", "reject>blocked 1"), WHOLE, None, PASS),
    ("blocked_share", "those expected", (), WHOLE, None, PASS),
    ("blocked_share", "below n", ("pass -5", "warn -5", "reject -1"), WHOLE, None, OPEN),
    ("blocked_share_by_class", "2 of 5 warn", ("warn>blocked 2",), WHOLE, None, FAIL),
    ("blocked_share_by_class", "at 3 of 10 warn", ("warn 5", "warn>blocked 3"), WHOLE, None, PASS),
    ("blocked_share_by_class", "none", (), WHOLE, None, PASS),
    ("blocked_share_by_class", "below n", ("pass -3", "warn -3", "reject -5"), WHOLE, None, OPEN),
    ("blocked_share_by_class", "two of two", ("warn -3", "warn>blocked 2"), WHOLE, None, OPEN),
    (
        "blocked_share_by_class",
        "2 of 5 beside two of two",
        ("warn -3", "warn>blocked 2", "pass>blocked 2"),
        WHOLE,
        None,
        FAIL,
    ),
    ("blocked_share_by_class", "one of five beside none of two", ("warn -3", "pass>blocked 1"), WHOLE, None, OPEN),
    ("classes_present", "no warn", ("warn -5",), WHOLE, None, FAIL),
    ("classes_present", "warn unanswered", ("warn>server_error 5",), WHOLE, None, FAIL),
    ("classes_present", "at all four", (), WHOLE, None, PASS),
    ("unanswered", "a reject case without an answer", ("reject>server_error 1",), WHOLE, None, FAIL),
    ("unanswered", "two pass cases without one", ("pass>server_error 2",), WHOLE, None, FAIL),
    ("unanswered", "at none that matters", ("warn>server_error 1",), WHOLE, None, PASS),
    ("unanswered", "none", (), WHOLE, None, PASS),
    ("drift", "0.40 of warn", ("warn>pass 2",), facts(prior=perfect(SMOKE)), None, FAIL),
    ("drift", "at 0.30 of warn", ("warn 5", "warn>pass 3"), facts(prior=perfect(SMOKE)), None, PASS),
    ("drift", "a blocked class may drop", ("blocked>pass 3",), facts(prior=perfect(SMOKE)), None, PASS),
    ("drift", "no run before", (), WHOLE, None, OPEN),
    ("min_interval", "2.4 s", (), facts(pacing={"min_interval": 2.4}), None, FAIL),
    ("min_interval", "at 2.5 s", (), facts(pacing={"min_interval": 2.5}), None, PASS),
    ("min_interval", "3 s", (), WHOLE, None, PASS),
    ("retries_429", "5", (), facts(pacing={"retries_429": 5}), None, FAIL),
    ("retries_429", "at 6", (), facts(pacing={"retries_429": 6}), None, PASS),
    ("retries_429", "8", (), WHOLE, None, PASS),
    ("ledger", "a changed line", (), facts(ledger=Tally(("line 4: changed",), 1)), None, FAIL),
    ("ledger", "at none", (), WHOLE, None, PASS),
    ("registration", "another policy", (), facts(registration=Tally(("policy",), 8)), None, FAIL),
    ("registration", "at none", (), WHOLE, None, PASS),
    ("consistency", "18 of 20", (), WHOLE, pair(18, 20), FAIL),
    ("consistency", "at 19 of 20", (), WHOLE, pair(19, 20), PASS),
    ("consistency", "all", (), WHOLE, pair(20, 20), PASS),
    ("consistency", "below n", (), WHOLE, pair(19, 19), OPEN),
    ("independent", "a shared job id", (), WHOLE, pair(20, 20, ("1 job ids in both",)), FAIL),
    ("independent", "at no sign", (), WHOLE, pair(20, 20), PASS),
    ("independent", "below n", (), WHOLE, pair(20, 20, n=4), OPEN),
    ("flips", "one", (), WHOLE, pair(19, 20), FAIL),
    ("flips", "at none", (), WHOLE, pair(20, 20), PASS),
    ("flips", "below n", (), WHOLE, pair(19, 19), OPEN),
    ("verdicts_blind", "one that its answer does not give", (), facts(verdicts=Tally(("p-001",), 20)), None, FAIL),
    ("verdicts_blind", "at none", (), WHOLE, None, PASS),
    ("verdicts_blind", "nobody looked", (), facts(verdicts=None), None, OPEN),
    ("secrets", "at none", (), WHOLE, None, PASS),
    ("accuracy_lower_effective", "15 of 20 from three parents", ("warn>reject 5",), WHOLE, None, FAIL),
    ("accuracy_lower_effective", "all", (), WHOLE, None, PASS),
    ("accuracy_lower_effective", "below n", ("warn>server_error 3",), WHOLE, None, OPEN),
    (
        "majority_baseline",
        "everything rejected",
        ("pass>reject 5", "warn>reject 5", "blocked>reject 3"),
        WHOLE,
        None,
        FAIL,
    ),
    (
        "majority_baseline",
        "one more than reject would get",
        ("pass>reject 5", "warn>reject 5", "blocked>reject 2"),
        WHOLE,
        None,
        PASS,
    ),
    ("majority_baseline", "below n", ("warn>server_error 3",), WHOLE, None, OPEN),
    ("first_try", "5 of 5 after a retry, 11 of 15 before", ("warn>warn* 5", "reject>warn 4"), WHOLE, None, FAIL),
    ("first_try", "at 8 of 10 before", ("warn>warn* 5", "pass -2", "blocked -3", "reject>warn 2"), WHOLE, None, PASS),
    ("first_try", "below n", ("warn>warn* 4",), WHOLE, None, OPEN),
    ("first_try", "nothing was tried again", (), WHOLE, None, OPEN),
    ("secrets", "one", ("warn>warn! 1",), WHOLE, None, FAIL),
]
FULL_CASES: list[Case] = [
    ("comparable", "84 of 90", ("warn>server_error 6",), WHOLE, None, FAIL),
    ("comparable", "at 85 of 90", ("warn>server_error 5",), WHOLE, None, PASS),
    ("comparable", "all", (), WHOLE, None, PASS),
    ("comparable", "below n", ("warn -1",), WHOLE, None, OPEN),
    ("accuracy", "58 of 90", ("reject>warn 32",), WHOLE, None, FAIL),
    ("accuracy", "at 65 of 100", ("warn 10", "reject>warn 35"), WHOLE, None, PASS),
    ("accuracy", "all", (), WHOLE, None, PASS),
    ("accuracy", "below n", ("warn>server_error 6",), WHOLE, None, OPEN),
    ("accuracy_lower", "58 of 90", ("reject>warn 32",), WHOLE, None, FAIL),
    ("accuracy_lower", "at 59 of 90", ("reject>warn 31",), WHOLE, None, PASS),
    ("accuracy_lower", "all", (), WHOLE, None, PASS),
    ("accuracy_lower", "below n", ("warn>server_error 6",), WHOLE, None, OPEN),
    ("accuracy_strict", "58 of 90", ("reject>server_error 5", "reject>warn 27"), WHOLE, None, FAIL),
    ("accuracy_strict", "at 65 of 100", ("warn 10", "reject>server_error 5", "reject>warn 30"), WHOLE, None, PASS),
    ("accuracy_strict", "all", (), WHOLE, None, PASS),
    ("accuracy_strict", "below n", ("warn -1",), WHOLE, None, OPEN),
    ("critical_false_pass", "one of 35", ("reject>pass 1",), WHOLE, None, FAIL),
    ("critical_false_pass", "at none", (), WHOLE, None, PASS),
    ("critical_false_pass", "below n", ("reject>server_error 6",), WHOLE, None, OPEN),
    ("http_429_exhaustion", "5 of 90", ("warn>rate_limited 5",), WHOLE, None, FAIL),
    ("http_429_exhaustion", "4 of 90", ("warn>rate_limited 4",), WHOLE, None, PASS),
    ("http_429_exhaustion", "at 5 of 100", ("warn 10", "warn>rate_limited 5"), WHOLE, None, PASS),
    ("http_429_exhaustion", "below n", ("warn -1",), WHOLE, None, OPEN),
    ("pass_blocked", "at 6 of 20 the limit is not under", ("pass>blocked 6",), WHOLE, None, FAIL),
    ("pass_blocked", "5 of 20", ("pass>blocked 5",), WHOLE, None, PASS),
    ("pass_blocked", "below n", ("pass>server_error 6",), WHOLE, None, OPEN),
    ("duration", "46 min", (), facts(active_minutes=46.0), None, FAIL),
    ("duration", "at 45 min", (), facts(active_minutes=45.0), None, PASS),
    ("duration", "three minutes", (), WHOLE, None, PASS),
    ("new_errors", "one the smokes did not show", ("warn>server_error 1",), WHOLE, None, FAIL),
    ("new_errors", "one they did", ("warn>server_error 1",), facts(known_errors={"server_error 500"}), None, PASS),
    ("new_errors", "at none", (), WHOLE, None, PASS),
    ("new_errors", "no smokes to compare with", (), facts(known_errors=None), None, OPEN),
    ("new_errors", "below n", ("warn -1",), WHOLE, None, OPEN),
    ("accuracy_lower_effective", "71 of 90 from seven parents", ("reject>warn 19",), WHOLE, None, FAIL),
    ("accuracy_lower_effective", "all", (), WHOLE, None, PASS),
    ("accuracy_lower_effective", "below n", ("warn>server_error 6",), WHOLE, None, OPEN),
    (
        "majority_baseline",
        "everything rejected",
        ("pass>reject 20", "warn>reject 20", "blocked>reject 15"),
        WHOLE,
        None,
        FAIL,
    ),
    ("majority_baseline", "all", (), WHOLE, None, PASS),
    ("majority_baseline", "below n", ("warn>server_error 6",), WHOLE, None, OPEN),
    ("first_try", "20 of 20 after a retry, 55 of 70 before", ("warn>warn* 20", "reject>warn 15"), WHOLE, None, FAIL),
    ("first_try", "at 56 of 70", ("warn>warn* 20", "reject>warn 14"), WHOLE, None, PASS),
    ("first_try", "below n", ("warn>warn* 4",), WHOLE, None, OPEN),
]


@dataclass(frozen=True)
class Drawn:
    """A row of the tables, with its kind."""

    kind: str
    case: Case


def drawn() -> Iterator[Any]:
    for kind, table in (("smoke", SMOKE_CASES), ("full", FULL_CASES)):
        for case in table:
            yield pytest.param(Drawn(kind, case), id=f"{kind} {case[0]}, {case[1]}: {case[5]}")


@pytest.mark.parametrize("row", list(drawn()))
def test_a_gate_comes_to_what_the_plan_says(row: Drawn) -> None:
    name, _, moves, found, against, expected = row.case
    table = counts(SMOKE if row.kind == "smoke" else FULL, *moves)
    result = gate(name, table, found, kind=row.kind, pair=against)
    assert result.status is expected, result.sentence()
    assert result.seen in result.sentence()
    assert result.needed in result.sentence()


def test_the_tables_fail_and_pass_every_gate_of_the_policy() -> None:
    seen = {
        (kind, case[0], case[5]) for kind, table in (("smoke", SMOKE_CASES), ("full", FULL_CASES)) for case in table
    }
    for spec in shipped().gates:
        kind = "full" if spec.scope == "full" else "smoke"
        assert {(kind, spec.id, PASS), (kind, spec.id, FAIL)} <= seen, spec.key


@pytest.mark.parametrize("kind", ["smoke", "full"])
def test_without_data_every_gate_is_inconclusive(kind: str) -> None:
    found = gates.evaluate(
        shipped(), kind=kind, ordinal=2 if kind == "smoke" else 1, summary=metrics.summarise([]), facts=Facts()
    )
    assert {result.status for result in found} == {OPEN}
    assert all("nothing to measure" in result.seen for result in found)
    assert gates.conclude(found).exit_code == 11


@pytest.mark.parametrize("spec", shipped().gates, ids=lambda spec: f"{spec.scope}:{spec.id}")
def test_a_shipped_gate_is_inconclusive_one_below_its_minimum_n(spec: Any) -> None:
    rising = spec.operator in (">=", ">")
    below = Measurement(Kind.SHARE, spec.min_n - 1, spec.min_n - 1 if rising else 0)
    enough = Measurement(Kind.SHARE, spec.min_n, spec.min_n if rising else 0)
    bounded = replace(spec, threshold=Fraction(1, 2) if spec.operator != "==" else Fraction(0))
    assert gates.judge(bounded, below, "smoke1", 0.95).status is OPEN
    assert gates.judge(bounded, enough, "smoke1", 0.95).status is PASS


def test_a_bound_that_equals_its_threshold_is_not_above_it() -> None:
    spec = next(g for g in shipped().gates if g.key == ("smoke", "accuracy_lower"))
    at = gates.judge(spec, Measurement(Kind.BOUND, 20, 17), "smoke1", 0.95).value
    assert at is not None
    exactly = replace(spec, threshold=Fraction(at))
    assert gates.judge(exactly, Measurement(Kind.BOUND, 20, 17), "smoke1", 0.95).status is FAIL
    assert gates.judge(replace(exactly, operator=">="), Measurement(Kind.BOUND, 20, 17), "x", 0.95).status is PASS


@pytest.mark.parametrize(
    ("name", "moves", "sentence"),
    [
        pytest.param(
            "accuracy_lower",
            ("warn>reject 4",),
            'gate "smoke1:accuracy_lower" failed: lower bound 0.584 (16 of 20, wilson 95%), need > 0.6; '
            "passes with 17 of 20; 1 more right answer. Next: look at failed_cases.csv",
            id="16 of 20 needs one more",
        ),
        pytest.param(
            "critical_false_pass",
            ("reject>pass 2",),
            'gate "smoke1:critical_false_pass" failed: 2 of 7: r-006, r-007, need == 0; '
            "passes with at most 0 of 7; 2 fewer false passes. Next: open the named cases",
            id="false passes are named",
        ),
        pytest.param(
            "comparable",
            (),
            'gate "smoke1:comparable" passed: 1.000 (20 of 20), need >= 18 of 20; holds down to 18 of 20; 2 to spare',
            id="a pass says what it has to spare",
        ),
        pytest.param(
            "comparable",
            ("warn>server_error 3", "pass>rate_limited 1"),
            "0.800 (16 of 20): 1 rate_limited, 3 server_error, need >= 18 of 20; "
            "passes with 18 of 20; 2 more comparable records",
            id="errors are told apart",
        ),
        pytest.param(
            "blocked_share_by_class",
            ("warn>blocked 3",),
            "0.600 (3 of 5): expected warn, need <= 0.3; passes with at most 1 of 5; 2 fewer blocked answers",
            id="the class is named",
        ),
        pytest.param(
            "accuracy",
            ("warn>server_error 3",),
            "inconclusive: 1.000 (17 of 17), need >= 0.7; can be judged from n = 18, has 17",
            id="too few say how many are needed",
        ),
    ],
)
def test_a_gate_says_what_it_saw_and_what_would_change_it(name: str, moves: tuple[str, ...], sentence: str) -> None:
    assert sentence in gate(name, counts(SMOKE, *moves)).sentence()


def test_an_amount_says_how_far_off_it_is() -> None:
    result = gate("min_interval", SMOKE, facts(pacing={"min_interval": 0.5}))
    assert "0.5 s, need >= 2.5 s; passes at >= 2.5 s; 2 s off" in result.sentence()


def test_a_threshold_no_count_can_reach_is_said() -> None:
    spec = next(g for g in shipped().gates if g.key == ("smoke", "accuracy_lower"))
    result = gates.judge(replace(spec, min_n=1), Measurement(Kind.BOUND, 5, 5), "smoke1", 0.95)
    assert (result.status, result.counterfactual) == (FAIL, "no result of 5 can pass")


@given(
    st.sampled_from([">=", ">", "<=", "<"]),
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.fractions(0, 1, max_denominator=40),
    st.sampled_from([Kind.SHARE, Kind.BOUND]),
)
def test_the_counterfactual_is_true(operator: str, tally: tuple[int, int], threshold: Fraction, kind: Kind) -> None:
    spec = replace(shipped().gates[0], operator=operator, threshold=threshold, min_n=1)
    hits, n = tally
    result = gates.judge(spec, Measurement(kind, n, hits), "smoke1", 0.95)
    if "a single record" in result.counterfactual:
        assert (hits, gates.judge(spec, Measurement(kind, n, 1), "smoke1", 0.95).status) == (0, FAIL)
        return
    if "no result" in result.counterfactual:
        everything = [gates.judge(spec, Measurement(kind, n, k), "smoke1", 0.95).status for k in range(n + 1)]
        assert PASS not in everything
        return
    edge = int(result.counterfactual.split(f" of {n}")[0].split()[-1])
    beyond = edge - 1 if operator in (">=", ">") else edge + 1
    assert gates.judge(spec, Measurement(kind, n, edge), "smoke1", 0.95).status is PASS
    if 0 <= beyond <= n:
        assert gates.judge(spec, Measurement(kind, n, beyond), "smoke1", 0.95).status is FAIL


# --- what the gates come to ----------------------------------------------------------------------------------------


def conclusion(table: Counts, found: Facts = WHOLE, kind: str = "smoke", against: Pair | None = None) -> Any:
    ordinal = 2 if against else 1
    return gates.conclude(
        gates.evaluate(
            shipped(), kind=kind, ordinal=ordinal, summary=metrics.summarise(rows(table)), facts=found, pair=against
        )
    )


@pytest.mark.parametrize(
    ("moves", "found", "status", "code", "decided"),
    [
        pytest.param((), WHOLE, PASS, 0, "accuracy_lower", id="all right: the bound decides"),
        pytest.param(("warn>reject 4",), WHOLE, FAIL, 10, "accuracy_lower", id="a failed gate"),
        pytest.param(("warn -1",), WHOLE, OPEN, 11, "comparable", id="a gate without enough data"),
        pytest.param(("reject>server_error 1",), WHOLE, OPEN, 11, "unanswered", id="a review gate that fired"),
        pytest.param(
            ("warn>reject 4", "reject>server_error 1"), WHOLE, FAIL, 10, "accuracy_lower", id="fail over open"
        ),
        pytest.param(("warn>reject 4",), facts(ledger=Tally(("x",), 1)), FAIL, 14, "ledger", id="integrity over all"),
        pytest.param((), facts(ledger=None), OPEN, 11, "ledger", id="nobody looked at the ledger"),
        pytest.param((), facts(prior=None), PASS, 0, "accuracy_lower", id="no prior run holds nothing up"),
    ],
)
def test_gates_come_to_the_worst_of_their_effects(
    moves: tuple[str, ...], found: Facts, status: Status, code: int, decided: str
) -> None:
    result = conclusion(counts(SMOKE, *moves), found)
    assert (result.status, result.exit_code) == (status, code), result.sentence
    assert f'"smoke1:{decided}"' in result.sentence


def test_a_rehearsal_may_be_paced_faster_and_says_so() -> None:
    quick = facts(pacing={"min_interval": 0.05, "retries_429": 8})
    assert conclusion(SMOKE, quick).status is FAIL
    eased = conclusion(SMOKE, replace(quick, rehearsal_pacing=True))
    assert eased.status is PASS
    assert eased.deviations == ("smoke1:min_interval is 0.05 s, the plan needs >= 2.5 s",)


def test_a_rehearsals_pacing_eases_no_other_gate() -> None:
    assert conclusion(counts(SMOKE, "warn>reject 4"), facts(rehearsal_pacing=True)).status is FAIL


def test_the_second_smoke_without_its_first_is_inconclusive() -> None:
    found = gates.evaluate(shipped(), kind="smoke", ordinal=2, summary=perfect(SMOKE), facts=WHOLE)
    assert {result.id for result in found if result.status is OPEN and result.severity == "hard"} == {
        "independent",
        "consistency",
    }
    assert gates.conclude(found).exit_code == 11


def test_no_gate_at_all_is_inconclusive() -> None:
    assert (gates.conclude([]).status, gates.conclude([]).exit_code) == (OPEN, 11)


def test_an_all_blocked_run_fails_whatever_its_accuracy() -> None:
    blocked = counts(SMOKE, "pass>blocked 5", "warn>blocked 5", "reject>blocked 7")
    found = gates.evaluate(shipped(), kind="smoke", ordinal=1, summary=metrics.summarise(rows(blocked)), facts=WHOLE)
    failed = {result.id for result in found if result.status is FAIL}
    assert {"blocked_share", "blocked_share_by_class", "pass_blocked", "accuracy"} <= failed
    assert "critical_false_pass" not in failed


def test_a_gate_result_survives_its_file() -> None:
    for result in gates.evaluate(shipped(), kind="full", ordinal=1, summary=perfect(FULL), facts=WHOLE):
        assert gates.from_dict(jsonio.to_plain(result)) == result


def test_a_gate_becomes_a_check_with_its_effect() -> None:
    check = gate("unanswered", counts(SMOKE, "reject>server_error 1")).check("QA Lead", "2026-03-01T12:00:00Z")
    assert (check.id, check.status, check.exit_code) == ("smoke1:unanswered", OPEN, None)
    assert check.facts["gate"] == "fail"
    check = gate("ledger", SMOKE, facts(ledger=Tally(("x",), 1))).check("QA Lead", "")
    assert (check.status, check.exit_code) == (FAIL, 14)


# --- properties ----------------------------------------------------------------------------------------------------

cells = st.tuples(st.sampled_from(VERDICTS), st.sampled_from([*VERDICTS, "server_error"]))
tables = st.dictionaries(cells, st.integers(1, 6), min_size=1).map(
    lambda moves: {cell: SMOKE.get(cell, 0) + moves.get(cell, 0) for cell in {*SMOKE, *moves}}
)


@settings(max_examples=60, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(table: Counts, random: Any) -> None:
    ordered = rows(table)
    shuffled = list(ordered)
    random.shuffle(shuffled)
    assert jsonio.canonical(metrics.summarise(ordered)) == jsonio.canonical(metrics.summarise(shuffled))
    assert metrics.failed_csv(ordered) == metrics.failed_csv(shuffled)
    assert metrics.rate_limit_stats(ordered) == metrics.rate_limit_stats(shuffled)
    assert metrics.consistency(ordered, shuffled)["flips"] == metrics.consistency(shuffled, ordered)["flips"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(sorted({(a, b) for a in VERDICTS for b in VERDICTS})), max_size=4),
    st.sampled_from(VERDICTS),
    st.sampled_from(VERDICTS),
    st.booleans(),
)
def test_an_error_never_turns_a_decision_into_a_go(
    wrong: list[tuple[str, str]], expected: str, actual: str, in_place: bool
) -> None:
    """In place of an answer, whatever it was, or in addition: what did not pass before does not pass then."""
    table = dict(SMOKE)
    for right, given_instead in wrong:
        if table[right, right] > 0:
            table[right, right] -= 1
            table[right, given_instead] = table.get((right, given_instead), 0) + 1
    before = conclusion(table).status
    after = dict(table)
    if in_place and after.get((expected, actual), 0) > 0:
        after[expected, actual] -= 1
    after[expected, "server_error"] = after.get((expected, "server_error"), 0) + 1
    if conclusion(after).status is PASS:
        assert before is PASS


def test_the_effective_bound_of_records_that_name_no_parent_is_inconclusive() -> None:
    nameless = [{**row, "parent": None if row["expected_verdict"] == "warn" else row["parent"]} for row in rows(SMOKE)]
    found = gates.evaluate(shipped(), kind="smoke", ordinal=1, summary=metrics.summarise(nameless), facts=WHOLE)
    result = next(result for result in found if result.id == "accuracy_lower_effective")
    assert result.status is OPEN
    assert "no run whose every record names its parent" in result.seen
