"""Interval estimates for small counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from statistics import NormalDist

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A two-sided interval for a proportion; ends in [0, 1]."""

    lower: float
    upper: float
    method: str
    level: float


@lru_cache(maxsize=4096)
def wilson(hits: int, n: int, level: float = LEVEL) -> Interval | None:
    """Return the Wilson score interval for *hits* of *n*, None for no data.

    The closed form of Wilson (1927) without continuity correction. It keeps its width at 0 and n of n, where the
    textbook interval collapses to a point. ``scipy.stats.binomtest(...).proportion_ci("wilson")`` is its oracle in the
    tests; the closed form saves the 1.3 s that importing scipy costs every verb.

    :raises ValueError: hits is not between 0 and n, or level not between 0 and 1
    """
    if not 0 <= hits <= n or not 0 < level < 1:
        raise ValueError(f"no interval for {hits} of {n} at level {level}")
    if n == 0:
        return None
    z = NormalDist().inv_cdf(1 - (1 - level) / 2)
    share, spread = hits / n, z * z / n
    centre = share + spread / 2
    reach = z * sqrt(share * (1 - share) / n + spread / (4 * n))
    lower, upper = (centre - reach) / (1 + spread), (centre + reach) / (1 + spread)
    # At the ends the algebra gives exactly 0 and 1; rounding must not say otherwise.
    return Interval(0.0 if hits == 0 else lower, 1.0 if hits == n else upper, "wilson", level)
