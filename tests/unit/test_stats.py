import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from solidgreen.stats import wilson


@pytest.mark.parametrize(
    ("hits", "n", "lower", "upper"),
    [
        pytest.param(20, 20, 0.8389, 1.0, id="20 of 20 does not collapse"),
        pytest.param(17, 20, 0.6396, None, id="17 of 20 is above 0.60"),
        pytest.param(16, 20, 0.5840, None, id="16 of 20 is not"),
        pytest.param(6, 22, 0.1315, 0.4815, id="6 of 22"),
        # 0.55283 by scipy and by the root of the score equation.
        pytest.param(59, 90, 0.5528, None, id="59 of 90 is above 0.55"),
        pytest.param(58, 90, 0.5415, None, id="58 of 90 is not"),
        pytest.param(0, 20, 0.0, 0.1611, id="0 of 20"),
    ],
)
def test_the_interval_has_the_known_ends(hits: int, n: int, lower: float, upper: float | None) -> None:
    found = wilson(hits, n)
    assert found is not None
    assert found.lower == pytest.approx(lower, abs=5e-5)
    if upper is not None:
        assert found.upper == pytest.approx(upper, abs=5e-5)


def test_the_interval_is_scipys_for_every_count_up_to_120_at_three_levels() -> None:
    for level in (0.9, 0.95, 0.99):
        for n in (*range(1, 41), 60, 85, 89, 90, 120):
            for hits in range(n + 1):
                oracle = binomtest(hits, n).proportion_ci(level, method="wilson")
                found = wilson(hits, n, level)
                assert found is not None
                assert (found.lower, found.upper) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


@pytest.mark.parametrize(("hits", "n"), [(59, 90), (17, 20), (16, 20), (6, 22)])
def test_the_lower_end_is_the_root_of_the_score_equation(hits: int, n: int) -> None:
    z, share = 1.959963984540054, hits / n
    low, high = 0.0, share
    for _ in range(100):
        middle = (low + high) / 2
        far = (share - middle) ** 2 > z * z * middle * (1 - middle) / n
        low, high = (middle, high) if far else (low, middle)
    found = wilson(hits, n)
    assert found is not None
    assert found.lower == pytest.approx(low, abs=1e-12)


def test_no_data_has_no_interval() -> None:
    assert wilson(0, 0) is None


@pytest.mark.parametrize(("hits", "n", "level"), [(-1, 5, 0.95), (6, 5, 0.95), (1, 5, 0.0), (1, 5, 1.0)])
def test_impossible_counts_are_refused(hits: int, n: int, level: float) -> None:
    with pytest.raises(ValueError, match="no interval"):
        wilson(hits, n, level)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_its_share_and_mirrors(drawn: tuple[int, int]) -> None:
    hits, n = drawn
    found, mirrored = wilson(hits, n), wilson(n - hits, n)
    assert found is not None
    assert mirrored is not None
    assert 0 <= found.lower <= hits / n <= found.upper <= 1
    assert found.lower == pytest.approx(1 - mirrored.upper, abs=1e-12)
