"""How a large image is cut, by hand."""

from __future__ import annotations

from typing import Any

from microshot import api
from microshot.inference.blocks import Rect
from microshot.large.plan import plan_of
from microshot.large.segmenting import Work
from microshot.opening import recipe_of
from microshot.settings import PredictSettings
from microshot.tasks.segmenting.segmentation import Options
from tiny_models import model


def test_a_narrow_strip_is_scaled_otherwise_along_and_across() -> None:
    recipe = recipe_of(model().card)
    working = recipe.preparation["working_diameter_px"]
    plan = plan_of((5, 1001), recipe, Options(diameter_px=2 * working, tile_px=128))
    assert plan.scaled == (2, 500)  # 2.5 and 500.5, rounded to the even
    assert plan.scale == (2 / 5, 500 / 1001)
    assert plan.cores[0].left == plan.parts[0].left == 0
    assert plan.cores[-1] == Rect(0, plan.cores[-2].right, 5, 1001)
    assert plan.cores[0].right == round(plan.parts[0].right * 1001 / 500)


def test_candidates_are_kept_down_to_the_probability_that_the_user_asks_for() -> None:
    wish = PredictSettings(device="cpu", probability=0.2, overlap=0.7)
    unused: Any = None
    assert Work(api.Predictor(model(), wish), unused, unused, unused).least == 0.2
