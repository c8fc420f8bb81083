"""Which exit code counts where several hold."""

import pytest
from solidgreen.errors import worst


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([0, 0], 0),
        ([11, 10, 0], 10),
        ([10, 12], 12),
        ([12, 13], 13),
        ([13, 14], 14),
        ([2], 14),
        ([0, -9], 14),
        ([10, 1], 14),
    ],
)
def test_the_code_that_counts_is_never_0_beside_another(codes: list[int], code: int) -> None:
    assert worst(codes) == code
