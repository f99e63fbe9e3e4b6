"""Where in a large image the size of objects is looked for."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import tifffile

from microshot import api
from microshot.data.windows import opened
from microshot.knobs import to_json
from microshot.large import sizing
from microshot.large.journal import Journal
from microshot.large.sizing import with_size
from microshot.progress import silent
from microshot.settings import PredictSettings
from tiny_models import any_size, field, model


@pytest.fixture
def part_of(tmp_path):
    """Return a function that gives rows and columns of the part of an image that is looked at."""

    def part(pixels: np.ndarray, **options) -> tuple[slice, slice]:
        tifffile.imwrite(tmp_path / "large.tif", pixels, **options)
        with closing(opened(tmp_path / "large.tif")) as source:
            return sizing._part(source)

    return part


def test_the_part_lies_around_most_contrast_and_within_the_image(part_of, monkeypatch) -> None:
    monkeypatch.setattr(sizing, "PART_PX", 500)
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
        min(sizing.PART_PX, side) for side in shape
    )


def test_a_model_is_told_the_size_it_finds_and_stays_as_it_was(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "large.tif", field(5).image.pixels[0])
    predictor = api.Predictor(any_size(model()), PredictSettings(device="cpu"))
    journal = Journal.opened(tmp_path / "job", {}, (64, 72), restart=False)
    with closing(opened(tmp_path / "large.tif")) as source:
        told = with_size(predictor, source, journal, silent)
        assert told.options.diameter_px == to_json(told.settings)["diameter_px"] > 0
        assert predictor.options.diameter_px == to_json(predictor.settings)["diameter_px"] == 0
        assert with_size(told, source, journal, silent) is told


def test_the_part_is_that_of_the_channel_that_the_model_looks_at(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sizing, "PART_PX", 200)
    noise = np.random.default_rng(0).integers(0, 255, (2, 300, 300), np.uint8)
    noise[0, :, 100:], noise[1, :, :200] = 0, 0  # the other channel has most contrast on the left
    noise[1] //= 4
    tifffile.imwrite(tmp_path / "two.tif", noise, ome=True, metadata={"axes": "CYX"})
    predictor = api.Predictor(model(), PredictSettings(device="cpu", channel="2"))
    found = sizing.to_look_at(predictor, tmp_path / "two.tif").image
    assert found.pixels.shape == (1, 200, 200)
    assert found.pixels[0, :, -100:].any(axis=0).all()
    assert not found.pixels[0, :, :-100].any()
