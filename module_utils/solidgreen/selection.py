"""Which cases a smoke is over: drawn by strata and a seed, the same ones whoever draws them and whenever.

The qualification draws them to be sent, the judgement to see whether those were sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from .errors import BadInput
from .manifest import Label


def rank(seed: int, purpose: str, case_id: str) -> str:
    """Return the place of a case in a drawing: of the seed and the case alone, so that new rows move no other."""
    return hashlib.sha256(f"{seed}:{purpose}:{case_id}".encode()).hexdigest()


def draw(labels: Sequence[Label], strata: Mapping[str, int], seed: int) -> list[str]:
    """Return case ids, as many of each scenario as *strata* asks for, in an order that tells nothing.

    :raises BadInput: a scenario has too few cases
    """
    drawn: list[str] = []
    for scenario, size in strata.items():
        members = sorted(
            (label.case_id for label in labels if label.scenario == scenario), key=lambda i: rank(seed, "draw", i)
        )
        if len(members) < size:
            raise BadInput(
                f"smoke stratum {scenario}",
                found=f"{len(members)} cases",
                need=f"{size}",
                next_step="complete the data set or change smoke.strata in the policy",
            )
        drawn += members[:size]
    return sorted(drawn, key=lambda case_id: rank(seed, "order", case_id))
