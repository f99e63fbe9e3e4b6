"""Overlapping tiles: an identity network gives back its input, whatever the size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.inference.blending import overlapping, pyramid_window, run_blended
from microshot.progress import Cancelled


@given(st.integers(1, 150), st.integers(1, 150), st.sampled_from([16, 32, 48, 64, 500]))
def test_an_identity_network_reproduces_its_input(height, width, tile_px) -> None:
    image = np.random.default_rng(height).random((2, height, width), np.float32)
    out = run_blended(lambda x: x, image, 2, tile_px=tile_px, multiple=8)
    assert out.shape == image.shape
    assert out.dtype == np.float32
    assert np.abs(out - image).max() <= 1e-6


def test_the_window_of_512_px_is_as_published() -> None:
    window = pyramid_window((512, 512))
    assert window.mean() == pytest.approx(1, abs=1e-5)
    assert window[255, 255] == pytest.approx(3.20, abs=0.01)
    assert window[0, 256] == pytest.approx(0.009, abs=5e-4)
    assert window[0, 0] == pytest.approx(0.006, abs=5e-4)
    assert np.array_equal(window, window[::-1])
    assert np.array_equal(window, window.T)


def test_the_middle_of_a_tile_outweighs_the_edge_of_its_neighbour() -> None:
    seen = []

    def tile_number(batch: np.ndarray) -> np.ndarray:
        seen.append(batch.shape[2:])
        return np.full((1, 1, *batch.shape[2:]), len(seen), np.float32)

    out = run_blended(tile_number, np.zeros((1, 32, 64), np.float32), 1, tile_px=32, multiple=8)[0]
    assert seen == [(32, 32)] * 3
    assert out[16, 0] == 1
    assert out[16, 31] == pytest.approx(2, abs=0.15)
    assert out[16, 63] == 3


@given(st.integers(1, 3000), st.integers(16, 600), st.sampled_from([1, 4, 16]))
def test_tiles_cover_every_pixel_and_reach_no_further_than_needed(length, tile, multiple) -> None:
    spans = overlapping(length, tile, multiple)
    covered = np.zeros(length, bool)
    for span in spans:
        covered[span.start : span.stop] = True
        assert (span.read_stop - span.read_start) % multiple == 0
        assert span.start < length
    assert covered.all()
    if len(spans) > 1:
        assert spans[-2].stop < length


def test_tiles_of_512_px_start_every_256_px() -> None:
    assert [s.read_start for s in overlapping(2160, 512, 16)] == list(range(0, 1793, 256))
    assert len(overlapping(512, 512, 16)) == 1
    assert len(overlapping(1024, 512, 16)) == 3


def test_a_cancel_request_ends_it() -> None:
    def cancel(fraction: float, message: str = "") -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        run_blended(lambda x: x, np.zeros((1, 8, 8)), 1, tile_px=8, multiple=1, progress=cancel)
