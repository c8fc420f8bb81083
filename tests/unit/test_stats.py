"""Intervals against known answers, independent implementations, and what must hold for every count."""

from math import exp as e_to
from math import fsum, inf, lgamma, log, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest, norm
from solidgreen.stats import Interval, clustered, effective_n, exact_upper, wilson

COUNTS = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
PARENTS = st.lists(st.integers(1, 40), min_size=1, max_size=40)


def found(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


def score_ends(hits: int, n: int, level: float) -> tuple[float, float]:
    """Return the two shares that the score test just does not refuse, found by halving and by no closed form."""
    z, share = float(norm.ppf((1 + level) / 2)), hits / n

    def end(inside: float, outside: float) -> float:
        for _ in range(34):
            middle = (inside + outside) / 2
            kept = (share - middle) ** 2 * n <= z * z * middle * (1 - middle)
            inside, outside = (middle, outside) if kept else (inside, middle)
        return inside

    return (0.0 if hits == 0 else end(share, 0.0)), (1.0 if hits == n else end(share, 1.0))


# --- one sample of independent cases -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "n", "lower", "upper"),
    [
        pytest.param(20, 20, 0.8389, 1.0, id="20 of 20 does not collapse"),
        pytest.param(17, 20, 0.6396, None, id="17 of 20 is above 0.60"),
        pytest.param(16, 20, 0.5840, None, id="16 of 20 is not"),
        pytest.param(6, 22, 0.1315, 0.4815, id="6 of 22"),
        # 0.55283472 by the root of the score equation to 40 digits; where 0.5530 is quoted, its last digits are wrong.
        pytest.param(59, 90, 0.5528, 0.7455, id="59 of 90 is above 0.55"),
        pytest.param(58, 90, 0.5415, None, id="58 of 90 is not"),
        pytest.param(0, 20, 0.0, 0.1611, id="0 of 20"),
    ],
)
def test_the_interval_has_the_known_ends(hits: int, n: int, lower: float, upper: float | None) -> None:
    interval = found(wilson(hits, n))
    assert interval.lower == pytest.approx(lower, abs=5e-5)
    assert upper is None or interval.upper == pytest.approx(upper, abs=5e-5)
    assert (interval.method, interval.level, interval.sides) == ("wilson", 0.95, 2)


def test_the_interval_is_scipys_and_the_score_tests_for_every_count_up_to_120() -> None:
    for n in range(1, 121):
        for hits in range(n + 1):
            oracle = binomtest(hits, n).proportion_ci(0.95, method="wilson")
            interval = found(wilson(hits, n))
            assert (interval.lower, interval.upper) == pytest.approx((oracle.low, oracle.high), abs=1e-12)
            assert (interval.lower, interval.upper) == pytest.approx(score_ends(hits, n, 0.95), abs=1e-9)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99, 0.999])
def test_the_interval_is_scipys_at_other_levels(level: float) -> None:
    for n in (1, 2, 7, 20, 90):
        for hits in range(n + 1):
            oracle = binomtest(hits, n).proportion_ci(level, method="wilson")
            interval = found(wilson(hits, n, level))
            assert (interval.lower, interval.upper) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_no_data_has_no_interval() -> None:
    assert wilson(0, 0) is exact_upper(0, 0) is clustered(0, [], 0.3) is clustered(0, {}, 0.3) is None
    assert effective_n([], 0.3) == 0


@pytest.mark.parametrize(
    ("hits", "n", "level"),
    [(-1, 5, 0.95), (6, 5, 0.95), (1, 5, 0.0), (1, 5, 1.0), (nan, 5, 0.95), (1, nan, 0.95), (0, -inf, 0.95)],
)
def test_impossible_counts_are_refused(hits: float, n: float, level: float) -> None:
    for interval in (wilson, exact_upper):
        with pytest.raises(ValueError, match="no interval"):
            interval(hits, n, level)


@given(COUNTS)
def test_the_interval_holds_its_share_and_mirrors(drawn: tuple[int, int]) -> None:
    hits, n = drawn
    interval, mirrored = found(wilson(hits, n)), found(wilson(n - hits, n))
    assert 0 <= interval.lower <= hits / n <= interval.upper <= 1
    assert interval.lower == pytest.approx(1 - mirrored.upper, abs=1e-12)


@given(COUNTS)
def test_a_hit_more_moves_both_ends_up_and_more_data_of_the_same_share_narrow_them(drawn: tuple[int, int]) -> None:
    hits, n = drawn
    interval, more = found(wilson(hits, n)), found(wilson(2 * hits, 2 * n))
    assert more.upper - more.lower < interval.upper - interval.lower
    if hits < n:
        higher = found(wilson(hits + 1, n))
        assert (higher.lower > interval.lower, higher.upper > interval.upper or hits + 1 == n) == (True, True)


# --- what a zero leaves possible -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "n", "upper"),
    [
        pytest.param(0, 12, 0.2209, id="none of 12"),
        pytest.param(0, 7, 0.3482, id="none of 7, the rejects of a smoke"),
        pytest.param(0, 35, 0.0820, id="none of 35, the rejects of the full run"),
        pytest.param(0, 90, 0.0327, id="none of 90, about 3 of 90"),
        pytest.param(1, 35, 0.1285, id="one of 35"),
        pytest.param(7, 7, 1.0, id="all of them"),
    ],
)
def test_the_one_sided_bound_has_the_known_end(hits: int, n: int, upper: float) -> None:
    interval = found(exact_upper(hits, n))
    assert interval.upper == pytest.approx(upper, abs=5e-5)
    assert (interval.lower, interval.method, interval.sides) == (0.0, "clopper-pearson", 1)


def test_the_one_sided_bound_is_scipys_and_so_unlikely_as_it_says() -> None:
    for n in (1, 2, 3, 5, 7, 12, 20, 35, 60, 90, 120):
        for hits in range(n + 1):
            upper = found(exact_upper(hits, n)).upper
            assert upper == pytest.approx(binomtest(hits, n, alternative="less").proportion_ci(0.95).high, abs=1e-10)
            if hits < n:  # at the bound, so few hits or fewer come in 5 % of all samples
                terms = (
                    lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(upper) + (n - k) * log(1 - upper)
                    for k in range(hits + 1)
                )
                assert fsum(map(e_to, terms)) == pytest.approx(0.05, abs=1e-9)


@given(COUNTS)
def test_the_one_sided_bound_rises_with_the_hits(drawn: tuple[int, int]) -> None:
    hits, n = drawn
    assert hits / n <= found(exact_upper(hits, n)).upper <= 1
    if hits < n:
        assert found(exact_upper(hits, n)).upper < found(exact_upper(hits + 1, n)).upper


# --- cases that share a parent -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "correlation", "effective"),
    [
        pytest.param([1] * 20, 0.3, 20.0, id="a parent each"),
        pytest.param([10] * 9, 0.0, 90.0, id="no correlation"),
        pytest.param([10] * 9, 1.0, 9.0, id="copies count once a parent"),
        pytest.param([10] * 9, 0.3, 24.3243, id="nine parents of ten"),
        pytest.param([3] * 30, 0.3, 56.25, id="thirty parents of three"),
        pytest.param([82] + [1] * 8, 0.3, 3.8894, id="nine parents, one of which has nearly all"),
        pytest.param({10: 9}, 0.3, 24.3243, id="sizes counted"),
        pytest.param({"10": 9}, 0.3, 24.3243, id="sizes counted as JSON has them"),
        pytest.param({"3": 10, "03": 20}, 0.3, 56.25, id="one size under two names"),
        pytest.param([0, 3, 0], 0.0, 3.0, id="parents without a case do not count"),
    ],
)
def test_the_effective_size_is_known(sizes: object, correlation: float, effective: float) -> None:
    assert effective_n(sizes, correlation) == pytest.approx(effective, abs=5e-5)  # type: ignore[arg-type]


@given(PARENTS, st.floats(0, 1))
def test_the_effective_size_gives_the_variance_of_the_sum(sizes: list[int], correlation: float) -> None:
    # Var(sum)/p(1-p) of exchangeable outcomes: the ones on the diagonal and a correlation for each pair of a parent.
    variance = sum(m + correlation * m * (m - 1) for m in sizes)
    assert sum(sizes) ** 2 / variance == pytest.approx(effective_n(sizes, correlation), rel=1e-9)


@given(PARENTS, st.floats(0, 1), st.randoms())
def test_the_effective_size_is_below_n_and_knows_no_order(sizes: list[int], correlation: float, chance: object) -> None:
    shuffled = list(sizes)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert 1 - 1e-9 <= effective_n(sizes, correlation) <= sum(sizes) + 1e-9
    assert effective_n(iter(shuffled), correlation) == effective_n(sizes, correlation)


def test_without_correlation_the_interval_is_the_exact_one() -> None:
    for n in (1, 7, 20, 90):
        for hits in range(n + 1):
            oracle = binomtest(hits, n).proportion_ci(0.95, method="exact")
            interval = found(clustered(hits, [n], 0.0))
            assert (interval.lower, interval.upper) == pytest.approx((oracle.low, oracle.high), abs=1e-10)


@pytest.mark.parametrize("hits", [0, 1, 45, 80, 89, 90])
def test_the_interval_is_the_beta_quantiles_at_the_effective_size(hits: int) -> None:
    size = 90 / 3.7
    seen = hits * size / 90
    lower = beta.ppf(0.025, seen, size - seen + 1) if hits else 0.0
    upper = beta.ppf(0.975, seen + 1, size - seen) if hits < 90 else 1.0
    interval = found(clustered(hits, {"10": 9}, 0.3))
    assert (interval.lower, interval.upper) == pytest.approx((lower, upper), abs=1e-9)
    assert (interval.method, interval.level, interval.sides) == ("clopper-pearson, effective n", 0.95, 2)


@given(PARENTS.flatmap(lambda s: st.tuples(st.just(s), st.integers(0, sum(s)))), st.floats(0, 1))
def test_the_clustered_interval_holds_its_share_mirrors_and_rises(
    drawn: tuple[list[int], int], correlation: float
) -> None:
    sizes, hits = drawn
    n = sum(sizes)
    interval, mirrored = found(clustered(hits, sizes, correlation)), found(clustered(n - hits, sizes, correlation))
    assert -1e-9 <= interval.lower <= hits / n + 1e-9
    assert hits / n - 1e-9 <= interval.upper <= 1
    assert interval.lower == pytest.approx(1 - mirrored.upper, abs=1e-9)
    if hits < n:
        assert found(clustered(hits + 1, sizes, correlation)).lower >= interval.lower


@given(PARENTS.flatmap(lambda s: st.tuples(st.just(s), st.integers(0, sum(s)))), st.floats(0, 1), st.floats(0, 1))
def test_more_correlation_never_narrows_the_interval(drawn: tuple[list[int], int], one: float, other: float) -> None:
    sizes, hits = drawn
    less, more = (found(clustered(hits, sizes, value)) for value in sorted((one, other)))
    assert more.upper - more.lower >= less.upper - less.lower - 1e-9


@pytest.mark.parametrize(
    ("hits", "sizes", "correlation", "words"),
    [
        pytest.param(1, [3, -1], 0.3, "parents of -1 cases", id="a negative size"),
        pytest.param(1, {3: -1}, 0.3, "-1 parents of 3 cases", id="a negative number of parents"),
        pytest.param(1, [3], 1.1, "at correlation 1.1", id="a correlation above 1"),
        pytest.param(1, [3], nan, "at correlation nan", id="a correlation that is no number"),
        pytest.param(4, [3], 0.3, "no interval for 4 of 3", id="more hits than cases"),
    ],
)
def test_impossible_parents_are_refused(hits: int, sizes: object, correlation: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        clustered(hits, sizes, correlation)  # type: ignore[arg-type]
