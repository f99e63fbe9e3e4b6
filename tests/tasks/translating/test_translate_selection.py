"""Which state of a translation training is kept."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from translation_scenes import TRAIN, scenes

from microshot import api
from microshot.data.image import Image
from microshot.report.training_curve import criterion, kept_row
from microshot.tasks.lesson import Lesson
from microshot.tasks.translating.recipes import stain_range
from microshot.tasks.translating.selection import FeatureJudge, Selection
from microshot.tasks.translating.task import TranslateTask
from tiny_models import changed

if TYPE_CHECKING:
    from microshot.settings import TrainSettings

TASK = TranslateTask()
WISH = changed(TRAIN, images__patch_px=64)


def selection(by: str, wish: TrainSettings = WISH) -> Selection:
    data = scenes(2, shape=(80, 80)).samples
    wish = changed(wish, translation__selection=by)
    recipe = TASK.recipe(data, wish, None)
    items = [TASK.prepare(s, recipe) for s in data]
    return Selection(Lesson(recipe, TASK.hyper(data, wish, None), [], validation=items))


def scores(by: str, made: Any) -> dict[str, float]:
    """Score what `made` turns the measured stains into, as if a network had said it."""

    def learning(batch: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        image = torch.from_numpy(made(batch["target"].numpy()).astype(np.float32))
        return image, {"loss": (image - batch["target"]).square().mean()}

    return selection(by).by(learning)(torch.nn.Linear(1, 1))


def moved(stain: np.ndarray) -> np.ndarray:
    """All objects as they are, but elsewhere."""
    return stain[..., ::-1].copy()


def washed_out(stain: np.ndarray) -> np.ndarray:
    """Objects where they are, but dim and blurred."""
    return 0.7 * gaussian_filter(stain, (0, 0, 2, 2))


def test_perfect_stains_have_no_error() -> None:
    assert scores("both", np.copy) == {
        "loss": 0, "weighted_loss": 0, "pixel_score": 0, "feature_score": 0,
    }  # fmt: skip


def test_the_pixel_score_and_the_feature_score_keep_different_states() -> None:
    """The challenge's finding: the best by one is not the best by the other."""
    loss = {
        by: [scores(by, made)["loss"] for made in (moved, washed_out)]
        for by in ("loss", "pixel", "feature", "both")
    }
    assert loss["pixel"][0] > loss["pixel"][1]
    assert loss["feature"][0] < loss["feature"][1]
    assert loss["both"] == pytest.approx(np.mean([loss["pixel"], loss["feature"]], axis=0))


def test_the_pixel_score_is_the_mean_of_the_stains_own() -> None:
    """|x - y| = 0.1 or 0.3 everywhere, in the camera's numbers over the median of each stain."""
    data = scenes(2, shape=(80, 80), n_stains=2).samples
    recipe = TASK.recipe(data, WISH, None)
    items = [TASK.prepare(s, recipe) for s in data]
    chosen = Selection(Lesson(recipe, TASK.hyper(data, WISH, None), [], validation=items))
    truth = np.stack([p["target"] for p in chosen.patches])
    off = np.array([0.1, 0.3], np.float32)[:, None, None]
    found = chosen.by(lambda b: (b["target"] + torch.from_numpy(off), {"loss": b["target"].mean()}))
    fitted = stain_range(recipe)
    camera = np.stack([fitted.invert(crop) for crop in truth])
    errors = np.stack([fitted.invert(crop + off) for crop in truth]) - camera
    expected = errors.mean(axis=(0, 2, 3)) / np.median(camera, axis=(0, 2, 3))
    assert min(fitted.offset or ()) > 0
    score = found(torch.nn.Linear(1, 1))["pixel_score"]
    assert score == pytest.approx(expected.mean(), rel=1e-3)


def test_black_stains_are_divided_by_a_thousandth_of_their_range() -> None:
    black = [
        dataclasses.replace(s, target=Image(np.where(s.target.pixels > 900, s.target.pixels, 0)))  # type: ignore[union-attr]
        for s in scenes(2, shape=(80, 80)).samples
    ]
    recipe = TASK.recipe(black, WISH, None)
    items = [TASK.prepare(s, recipe) for s in black]
    chosen = Selection(Lesson(recipe, TASK.hyper(black, WISH, None), [], validation=items))
    found = chosen.by(lambda b: (b["target"] + 0.1, {"loss": b["target"].mean()}))
    assert found(torch.nn.Linear(1, 1))["pixel_score"] == pytest.approx(0.1 / 0.001, rel=1e-4)


def test_measuring_is_left_out_where_nobody_asks_for_it() -> None:
    assert selection("pixel").judge is None
    assert "feature_score" not in scores("loss", np.copy)


def test_a_judge_is_blind_to_nothing_it_measures() -> None:
    truths = np.stack([s.target.pixels for s in scenes(2)]).astype(np.float32)  # type: ignore[union-attr]
    judge = FeatureJudge(["DAPI"], truths)
    assert judge(truths.copy()) == 0
    assert judge(0.8 * truths) > 0.05
    assert judge(np.zeros_like(truths)) > judge(0.8 * truths)
    assert np.isnan(judge(np.full_like(truths, np.nan)))  # never the best


@pytest.mark.parametrize(
    ("by", "said"),
    [("feature", "feature score"), ("both", "mean of pixel and feature score"), ("loss", "")],
)
def test_the_history_tells_the_criterion_and_the_kept_state_is_its_best(by: str, said: str) -> None:
    wish = changed(TRAIN, training__epochs=3, translation__selection=by)
    history = api.train(scenes(8, shape=(40, 40)), wish).history
    assert criterion(history) == said
    best = min(history, key=lambda row: row["validation_loss"])
    kept = kept_row(history)
    assert kept is not None
    assert kept.step == best["step"]
    if by == "both":
        parts = [best["validation_pixel_score"], best["validation_feature_score"]]
        assert best["validation_loss"] == pytest.approx(np.mean(parts))
