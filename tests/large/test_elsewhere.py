"""What workers elsewhere compute of a large image is what would be computed here."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import tifffile

from microshot import api
from microshot.data.windowed import one_channel
from microshot.data.windows import opened
from microshot.large.elsewhere import compute_with
from microshot.large.plan import fitted_to, plan_of
from microshot.large.segmenting import Work, here
from microshot.progress import silent
from microshot.settings import PredictSettings
from tiny_models import field, model


def test_workers_look_at_the_same_channel_and_parts_of_an_image(tmp_path) -> None:
    pixels = np.stack(
        [field(1, shape=(90, 300)).image.pixels[0], field(2, shape=(90, 300)).image.pixels[0]]
    )
    tifffile.imwrite(tmp_path / "two.tif", pixels, ome=True, metadata={"axes": "CYX"})
    model().save(tmp_path / "discs.microshot")
    wish = PredictSettings(device="cpu", channel="2", tile_px=192)
    predictor = api.Predictor(model(), wish)

    def run(prepare, output, tiles):
        made = prepare()
        return [output(made, index) for index in tiles]

    with closing(opened(tmp_path / "two.tif")) as whole:
        source = one_channel(whole, "2")
        plan = plan_of((90, 300), predictor.recipe, predictor.options)
        numbers = fitted_to(source, plan, predictor.recipe.normalization, silent)
        work, tiles = Work(predictor, source, plan, numbers), range(len(plan.tiles))
        there = list(compute_with(run, tmp_path / "discs.microshot")(work, tiles))
        for (index, own), (same, other) in zip(here(work, tiles), there, strict=True):
            assert index == same
            assert own.keys() == other.keys()
            assert all(np.array_equal(own[name], other[name]) for name in own)
    assert len(tiles) > 1
