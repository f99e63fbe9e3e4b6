"""Training values that follow from others."""

from __future__ import annotations

import pytest

from microshot.tasks.hyper import patch_side


@pytest.mark.parametrize(
    ("wish", "multiple", "least", "side"),
    [(128, 16, 0, 128), (100, 16, 0, 112), (1, 16, 0, 32), (100, 16, 200, 208), (7, 1, 0, 7)],
)
def test_patches_have_the_next_larger_side_with_two_pixels_at_the_coarsest_level(
    wish, multiple, least, side
) -> None:
    assert patch_side(wish, multiple, least) == side
