"""Where in a large image the size of objects is looked for."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import tifffile

from microshot import api
from microshot.data.windows import opened
from microshot.knobs import to_json
from microshot.large import sizing, typical
from microshot.large.journal import Journal
from microshot.large.sizing import with_size
from microshot.large.typical import typical_part
from microshot.progress import silent
from microshot.settings import PredictSettings
from tiny_models import any_size, field, model


def test_a_model_is_told_the_size_it_finds_and_stays_as_it_was(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "large.tif", field(5).image.pixels[0])
    predictor = api.Predictor(any_size(model()), PredictSettings(device="cpu"))
    journal = Journal.opened(tmp_path / "job", {}, (64, 72), restart=False)
    with closing(opened(tmp_path / "large.tif")) as source:
        part = typical_part(source)
        told = with_size(predictor, part, journal, silent)
        assert told.options.diameter_px == to_json(told.settings)["diameter_px"] > 0
        assert predictor.options.diameter_px == to_json(predictor.settings)["diameter_px"] == 0
        assert with_size(told, part, journal, silent) is told


def test_the_part_is_that_of_the_channel_that_the_model_looks_at(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(typical, "PART_PX", 200)
    noise = np.random.default_rng(0).integers(0, 255, (2, 300, 300), np.uint8)
    noise[0, :, 100:], noise[1, :, :200] = 0, 0  # the other channel has most contrast on the left
    noise[1] //= 4
    tifffile.imwrite(tmp_path / "two.tif", noise, ome=True, metadata={"axes": "CYX"})
    predictor = api.Predictor(model(), PredictSettings(device="cpu", channel="2"))
    found = sizing.to_look_at(predictor, tmp_path / "two.tif").image
    assert found.pixels.shape == (1, 200, 200)
    assert found.pixels[0, :, -100:].any(axis=0).all()
    assert not found.pixels[0, :, :-100].any()
