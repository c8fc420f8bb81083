"""What gates take and who passes them: against closed forms, scipy, and the gates themselves."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import shipped
from scipy.stats import binom
from solidgreen import gates, power
from solidgreen.check import Status
from solidgreen.manifest import Label
from solidgreen.metrics import VERDICTS
from solidgreen.power import Answers, Cases, Plan

SHARES = st.floats(0.01, 0.99)


@cache
def plan() -> Plan:
    return Plan(shipped(), power.planned(shipped()))


def needs(asked: Plan) -> dict[str, str]:
    return {rule.name: rule.need() for rules in asked.rules.values() for rule in rules}


# --- whole cases ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "need"),
    [
        ("smoke:accuracy", "14 of 20"),
        ("smoke:accuracy_lower", "17 of 20"),
        ("smoke:accuracy_strict", "14 of 20"),
        ("smoke:comparable", "18 of 20"),
        ("smoke:pass_recall", "3 of 5"),
        ("smoke:critical_false_pass", "none of 7"),
        ("smoke:http_422", "none of 20"),
        ("smoke:http_429_exhaustion", "at most 1 of 20"),
        ("smoke:pass_blocked", "at most 1 of 5"),
        ("smoke:blocked_share", "at most 14 of 20"),
        ("smoke:blocked_share_by_class", "at most 1 of 5 (pass, warn), at most 2 of 7 (reject)"),
        ("pair:consistency", "19 of 20"),
        ("pair:independent", "a single sign of dependence fails it"),
        ("full:accuracy", "59 of 90"),
        ("full:accuracy_lower", "59 of 90"),
        ("full:comparable", "85 of 90"),
        ("full:critical_false_pass", "none of 35"),
        ("full:pass_blocked", "at most 5 of 20"),
        ("full:blocked_share", "at most 63 of 90"),
        ("full:http_429_exhaustion", "at most 4 of 90"),
        ("full:duration", "<= 45 min"),
        ("full:min_interval", ">= 2.5 s"),
        ("full:ledger", "a single damaged place fails it"),
    ],
)
def test_a_gate_takes_so_many_cases(gate: str, need: str) -> None:
    assert needs(plan())[gate] == need


def test_every_gate_of_the_policy_says_what_it_takes() -> None:
    said = needs(plan())
    assert all(said.values())
    assert {name.partition(":")[2] for name in said} == {gate.id for gate in shipped().gates}


def test_another_threshold_takes_another_number_of_cases() -> None:
    harder = replace(
        shipped(),
        gates=tuple(
            replace(gate, threshold=Fraction(9, 10), threshold_text="0.9") if gate.id == "accuracy" else gate
            for gate in shipped().gates
        ),
    )
    said = needs(Plan(harder, plan().cases, like=plan()))
    assert (said["smoke:accuracy"], said["full:accuracy"]) == ("18 of 20", "81 of 90")


def test_of_too_few_cases_nothing_passes_and_no_system_does() -> None:
    few = Plan(shipped(), Cases(VERDICTS * 3, ("P",) * 12, (True,) * 12), like=plan())
    assert needs(few)["full:accuracy"] == "no result of 12 passes"
    assert few.together(power.spread(1.0), systems=10)["same"] == 0


def test_the_planned_cases_are_those_of_the_policy() -> None:
    cases = power.planned(shipped())
    assert cases.classes("full") == {"pass": 20, "warn": 20, "reject": 35, "blocked": 15}
    assert cases.classes("smoke") == {"pass": 5, "warn": 5, "reject": 7, "blocked": 3}
    assert cases.sizes("full") == [1] * 90
    assert cases.shared(9).sizes("full") == [10] * 9
    assert sum(cases.shared(9).sizes("smoke")) == 20


def test_labels_bring_their_own_parents_and_smoke() -> None:
    labels = [Label(f"c{n}", VERDICTS[n % 4], "pass", f"P{n // 3}", "", "") for n in range(7)]
    cases = power.labelled(labels, {"c0", "c1", "c6"})
    assert cases.classes("smoke") == {"pass": 1, "warn": 1, "reject": 1, "blocked": 0}
    assert (cases.sizes("full"), cases.sizes("smoke")) == ([3, 3, 1], [2, 1])
    assert cases.alone().sizes("full") == [1] * 7


# --- exact chances -------------------------------------------------------------------------------------------------


@given(st.integers(0, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(-1, n + 1))), st.floats(0, 1))
def test_the_chance_of_enough_right_answers_is_scipys(drawn: tuple[int, int], accuracy: float) -> None:
    n, needed = drawn
    found = power.run_power(n, needed, [accuracy])
    assert found == {accuracy: pytest.approx(binom.sf(needed - 1, n, accuracy), abs=1e-10)}


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))), SHARES, SHARES)
def test_the_chance_rises_with_the_accuracy(drawn: tuple[int, int], one: float, other: float) -> None:
    low, high = sorted((one, other))
    chances = power.run_power(*drawn, [low, high])
    assert chances[low] <= chances[high] + 1e-12


@pytest.mark.parametrize("accuracy", [0.0, 0.3, 0.7, 0.85, 0.99, 1.0])
def test_the_exact_chances_are_the_closed_forms(accuracy: float) -> None:
    found, wrong = plan().exact(power.spread(accuracy)), (1 - accuracy) / 3

    def most(limit: int, n: int) -> float:
        return float(binom.cdf(limit, n, wrong))

    assert (
        found
        | {
            "smoke:accuracy": pytest.approx(binom.sf(13, 20, accuracy)),
            "smoke:accuracy_lower": pytest.approx(binom.sf(16, 20, accuracy)),
            "smoke:pass_recall": pytest.approx(binom.sf(2, 5, accuracy)),
            "smoke:critical_false_pass": pytest.approx((1 - wrong) ** 7),
            "smoke:pass_blocked": pytest.approx(most(1, 5)),
            "smoke:blocked_share_by_class": pytest.approx(most(1, 5) ** 2 * most(2, 7)),
            "pair:consistency": pytest.approx(binom.sf(18, 20, accuracy**2 + 3 * wrong**2)),
            "full:accuracy_lower": pytest.approx(binom.sf(58, 90, accuracy)),
            "full:critical_false_pass": pytest.approx((1 - wrong) ** 35),
            "full:pass_blocked": pytest.approx(most(5, 20)),
            "full:comparable": pytest.approx(1.0),
        }
        == found
    )


def test_a_careful_system_passes_nothing_it_must_reject() -> None:
    for accuracy in (0.0, 0.5, 0.9):
        answers = power.careful(accuracy)
        assert answers["reject"]["pass"] == 0
        assert all(sum(row.values()) == pytest.approx(1) for row in answers.values())
        assert plan().exact(answers)["full:critical_false_pass"] == 1


# --- drawn systems -------------------------------------------------------------------------------------------------


def test_drawn_answers_have_the_shares_that_were_asked_for() -> None:
    answers = {
        **power.careful(0.8),
        "warn": {"pass": 0.5, "warn": 0.25, "reject": 0.25, "blocked": 0.0},
    }
    drawn = plan().draw(np.random.default_rng(5), answers, 20_000, correlation=0.3)
    for place in (0, 25, 45, 65):
        expected = plan().cases.expected[place]
        shares = np.bincount(drawn[:, place], minlength=4) / len(drawn)
        assert shares == pytest.approx([answers[expected][verdict] for verdict in VERDICTS], abs=0.015)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.7, 1.0])
def test_the_outcomes_of_two_cases_of_one_parent_correlate_as_declared(correlation: float) -> None:
    cases = Cases(("warn", "reject", "warn"), ("A", "A", "B"), (True,) * 3)
    asked = Plan(shipped(), cases, like=plan())
    drawn = asked.draw(np.random.default_rng(7), power.spread(0.7), 40_000, correlation)
    right = drawn == [VERDICTS.index(verdict) for verdict in cases.expected]
    assert right.mean(axis=0) == pytest.approx([0.7] * 3, abs=0.01)
    found = np.corrcoef(right, rowvar=False)
    assert found[0, 1] == pytest.approx(correlation, abs=0.02)
    assert found[0, 2] == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("model", [power.spread, power.careful])
def test_simulated_and_exact_chances_of_a_gate_agree(model: object) -> None:
    answers = model(0.85)  # type: ignore[operator]
    exact, found = plan().exact(answers), plan().together(answers, systems=20_000)
    assert {name: found[name] for name in exact} == pytest.approx(exact, abs=0.02)


def test_a_system_that_answers_alike_each_time_passes_more_often_and_a_perfect_one_always() -> None:
    found = plan().together(power.spread(0.9), systems=2000)
    assert 0 < found["fresh"] < found["same"] < found["smoke:accuracy_lower"]
    assert set(plan().together(power.spread(1.0), systems=50).values()) == {1.0}
    assert plan().together(power.spread(0.0), systems=50)["same"] == 0


def test_the_chances_of_the_plan_rise_with_the_accuracy() -> None:
    for model in (power.spread, power.careful):
        chances = [plan().together(model(accuracy), systems=2000)["same"] for accuracy in (0.6, 0.7, 0.8, 0.9, 0.97, 1)]
        assert chances == sorted(chances)


def test_the_same_systems_are_drawn_whoever_draws_them() -> None:
    once, again = (plan().together(power.spread(0.8), correlation=0.3, systems=500) for _ in range(2))
    assert once == again != plan().together(power.spread(0.8), correlation=0.3, systems=500, seed=1)


@cache
def shared() -> Plan:
    return Plan(shipped(), plan().cases.shared(15), like=plan())


SYSTEMS: tuple[Answers, ...] = (
    *(power.spread(accuracy) for accuracy in (0.6, 0.9, 0.97)),
    power.careful(0.85),
    {**power.spread(1.0), "warn": {"pass": 0.0, "warn": 0.6, "reject": 0.0, "blocked": 0.4}},
    {name: {answer: float(answer == "blocked") for answer in VERDICTS} for name in VERDICTS},
)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SYSTEMS), st.sampled_from(SYSTEMS), st.integers(0, 2**32))
def test_looked_up_outcomes_are_what_the_gates_say_of_the_whole_run(one: Answers, other: Answers, seed: int) -> None:
    asked, rng = shared(), np.random.default_rng(seed)
    first = asked.draw(rng, one, 1)
    second = np.where(rng.random(first.shape) < 0.1, asked.draw(rng, other, 1), first)
    full = asked.draw(rng, other, 1)
    passed = asked.passed(first, second, full)
    summaries = {}
    for run, kind, answers in (("smoke1", "smoke", first), ("smoke2", "smoke", second), ("full1", "full", full)):
        places = asked.cases.of(kind)
        columns = [
            [asked.cases.expected[place] for place in places],
            [VERDICTS[answers[0, place]] for place in places],
            [asked.cases.parents[place] for place in places],
        ]
        summaries[run] = asked.summary(*columns)
    same = sum(first[0, place] == second[0, place] for place in asked.cases.of("smoke"))
    pair = asked.pair(int(same), 20)
    for run, kind, ordinal in (("smoke1", "smoke", 1), ("smoke2", "smoke", 2), ("full1", "full", 1)):
        results = gates.evaluate(
            shipped(),
            kind=kind,
            ordinal=ordinal,
            summary=summaries[run],
            facts=asked.facts(summaries["smoke1"] if ordinal == 2 else None),
            pair=pair if ordinal == 2 else None,
        )
        assert bool(passed[run][0]) == all(result.effect is Status.PASS for result in results)
        judged = {result.name: result.status is Status.PASS for result in results if result.name in passed}
        assert {name: bool(passed[name][0]) for name in judged} == judged
        counted = {result.name for result in results if result.severity != "advisory" and result.hits is not None}
        assert counted - judged.keys() <= {
            f"{subject}:{name}"
            for subject in (run, "pair")
            for name in ("independent", "classes_present", "unanswered", "ledger", "registration", "verdicts_blind")
        }
