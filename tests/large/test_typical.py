"""Which part of a large image stands for all of it."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import tifffile

from microshot.data.windows import opened
from microshot.large import typical
from microshot.large.typical import typical_part


@pytest.fixture
def part_of(tmp_path):
    """Return a function that gives rows and columns of the part of an image that is looked at."""

    def part(pixels: np.ndarray, **options) -> tuple[slice, slice]:
        tifffile.imwrite(tmp_path / "large.tif", pixels, **options)
        with closing(opened(tmp_path / "large.tif")) as source:
            return (found := typical_part(source)).rows, found.columns

    return part


def test_the_part_lies_around_most_contrast_and_within_the_image(part_of, monkeypatch) -> None:
    monkeypatch.setattr(typical, "PART_PX", 500)
    pixels = np.full((1200, 1500), 200, np.uint8)  # brighter than what differs
    pixels[440:560, 820:930] = np.random.default_rng(0).integers(0, 255, (120, 110))
    assert part_of(pixels) == (slice(250, 750), slice(625, 1125))
    assert part_of(pixels.T) == (slice(625, 1125), slice(250, 750))
    pixels[:] = 0
    pixels[1050:, 1300:] = np.eye(150, 200, dtype=np.uint8)
    assert part_of(pixels) == (slice(700, 1200), slice(1000, 1500))


@pytest.mark.parametrize("stored", [{"tile": (64, 64)}, {"rowsperstrip": 8}])
@pytest.mark.parametrize("shape", [(100, 2500), (300, 2500), (2500, 300)])
def test_also_of_narrow_strips_only_what_is_there_is_read(part_of, shape, stored) -> None:
    rows, columns = part_of(np.eye(*shape, dtype=np.uint8), compression="zlib", **stored)
    assert (rows.stop - rows.start, columns.stop - columns.start) == tuple(
        min(typical.PART_PX, side) for side in shape
    )
