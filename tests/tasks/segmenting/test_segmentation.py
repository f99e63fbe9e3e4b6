"""From network output to objects: scale, tiles, thresholds, small objects."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.data.normalize import Normalization
from microshot.data.scale import resize_labels
from microshot.inference.tiling import Span, Tile
from microshot.metrics.labels import match, sum_tallies
from microshot.progress import Cancelled
from microshot.tasks import task_named
from microshot.tasks.base import Recipe
from microshot.tasks.segmenting.pixels import (
    BACKGROUND,
    BOUNDARY,
    INTERIOR,
    boundary_targets,
    foreground_targets,
)
from microshot.tasks.segmenting.recipes import checked
from microshot.tasks.segmenting.segmentation import (
    Options,
    RawSegmentation,
    best_thresholds,
    decoded,
    gather,
    raw_output,
    towards_default,
)
from microshot.tasks.segmenting.stardist import Candidates, targets
from tiny_models import CancelWhen, Watch, field, fields

SEGMENT = task_named("segment")
HEADS = ("stardist", "foreground", "boundary")


def recipe(head: str, grid: int = 1, image_diameter: float = 24.0) -> Recipe:
    architecture = {
        "backbone": "unet", "head": head, "in_channels": 1, "width": 4, "depth": 1, "rays": 16,
        "grid": grid,
    }  # fmt: skip
    given_recipe = Recipe(
        architecture, Normalization("minmax"), {"image_diameter_px": image_diameter}
    )
    return checked(given_recipe)


class Oracle:
    """A network that knows the truth: answers with what its targets would be, made less sure.

    It must be shown the whole image at once; `scale` brings the truth to the size it works at.
    """

    def __init__(self, labels: np.ndarray, head: str, grid: int = 1, noise: float = 0.0) -> None:
        self.labels, self.head, self.grid = labels, head, grid
        self.noise = noise

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        _, _, height, width = batch.shape
        g = self.grid
        labels = np.zeros((height, width), np.int32)
        labels[: self.labels.shape[0], : self.labels.shape[1]] = self.labels
        small = np.ascontiguousarray(labels[::g, ::g])
        if self.head == "stardist":
            probability, distance = targets(labels, 16, g)
            p = np.clip(probability, 0.01, 0.99)
            output = np.concatenate([np.log(p / (1 - p))[None], distance])
        elif self.head == "foreground":
            output = 8 * foreground_targets(small)[0][None] - 4
        else:
            classes, _ = boundary_targets(small)
            output = np.stack([8.0 * (classes == c) for c in (BACKGROUND, INTERIOR, BOUNDARY)])
        noise = np.random.default_rng(0).normal(0, self.noise, output.shape)
        return (output + noise)[None].astype(np.float32)


def found(sample: Sample, head: str, grid: int = 1, diameter: float = 24.0, **options: Any) -> Any:
    from microshot.data.scale import scaled_shape
    from microshot.tasks.object_scale import scale_of

    r, o = recipe(head, grid, diameter), Options(**options)
    assert sample.labels is not None
    shape = scaled_shape(sample.image.shape, scale_of(r, o.diameter_px))
    network = Oracle(resize_labels(sample.labels, shape), head, grid)
    return decoded(raw_output(network, r, sample, o), r, o)


def shift(truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how far objects away from the edges lie from the true ones on average, (y, x) px."""
    apart = []
    for number in range(1, int(truth.max()) + 1):
        mask = truth == number
        if mask[[0, -1]].any() or mask[:, [0, -1]].any():
            continue
        other = np.bincount(labels[mask]).argmax()
        apart.append(np.argwhere(labels == other).mean(0) - np.argwhere(mask).mean(0))
    assert len(apart) > 10
    return np.mean(apart, 0)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("grid", [1, 2])
@pytest.mark.parametrize("diameter", [24.0, 12.0, 40.0])
def test_a_perfect_network_gives_the_truth_back_where_it_was(head, grid, diameter) -> None:
    sample = field(3, shape=(121, 151), radius=9)
    assert sample.labels is not None
    result = found(sample, head, grid, diameter)
    assert result.labels.shape == (121, 151)
    assert match(sample.labels, result.labels, 0.6).f1 > 0.9
    assert np.abs(shift(sample.labels, result.labels)).max() < 0.15


@pytest.mark.parametrize("head", HEADS)
def test_the_diameter_of_new_images_sets_the_scale(head) -> None:
    shapes = []

    def network(batch: np.ndarray) -> np.ndarray:
        shapes.append(batch.shape[2:])
        n = {"stardist": 17, "foreground": 1, "boundary": 3}[head]
        return np.full((1, n, *batch.shape[2:]), -9, np.float32)

    for diameter, side in ((0.0, 40), (24.0, 40), (48.0, 20), (12.0, 80), (1.0, 80), (1e6, 6)):
        sample = Sample("x", Image(np.zeros((1, 40, 40), np.uint8)))
        raw_output(network, recipe(head), sample, Options(diameter_px=diameter))
        assert shapes.pop() == (side, side)


def test_an_image_of_other_channels_is_refused_by_name() -> None:
    sample = Sample("photo", Image(np.zeros((3, 5, 5), np.uint8)))
    with pytest.raises(ValueError, match=r"^photo: expected 1 channel .*found 3"):
        raw_output(lambda batch: batch, recipe("foreground"), sample, Options())


@pytest.mark.parametrize("head", HEADS)
def test_small_objects_are_left_out_and_the_others_numbered_anew(head) -> None:
    labels = np.zeros((60, 90), np.int32)
    labels[10:30, 10:30], labels[10:16, 50:56], labels[35:55, 50:70] = 1, 2, 3
    sample = Sample("x", Image((labels > 0).astype(np.uint8)[None]), labels)
    everything, large = (found(sample, head, least_area_px=n) for n in (0, 100))
    assert everything.n_objects == 3
    assert large.n_objects == large.labels.max() == 2
    assert np.unique(large.labels).tolist() == [0, 1, 2]
    assert len(large.probability) == 2
    assert not large.labels[10:16, 50:56].any()
    areas = np.bincount(everything.labels.ravel())[1:]
    kept = everything.probability[areas >= 100]
    assert np.array_equal(large.probability, kept)
    if head == "stardist":
        assert np.array_equal(large.outlines, everything.outlines[areas >= 100])
    exact = found(sample, head, least_area_px=int(areas.min()))
    assert exact.n_objects == 3  # an object of that area is not smaller
    assert found(sample, head, least_area_px=int(areas.min()) + 1).n_objects == 2
    assert found(sample, head, least_area_px=10**6).n_objects == 0
    assert found(sample, head, least_area_px=10**6).confidence is None


def test_the_least_area_of_two_pixels_leaves_out_single_ones() -> None:
    labels = np.array([[1, 0, 2, 2]], np.int32)
    maps = (labels > 0).astype(np.float16)[None]
    r = recipe("foreground", image_diameter=1.0)
    raw = RawSegmentation((1, 4), (10.0, 10.0), maps=maps)  # grows objects by a tenth of a pixel
    assert decoded(raw, r, Options(least_area_px=1)).labels.tolist() == [[1, 0, 2, 2]]
    assert decoded(raw, r, Options(least_area_px=2)).labels.tolist() == [[0, 0, 1, 1]]


def test_probabilities_are_those_of_the_object_by_hand() -> None:
    background = np.array([[0.125, 0.25, 0.75, 0.0, 0.5]], np.float16)
    interior = np.array([[0.75, 0.5, 0.0, 0.875, 0.25]], np.float16)
    maps = np.stack([background, interior, 1 - background - interior])
    raw = RawSegmentation((1, 5), (1.0, 1.0), maps=maps)
    made = decoded(raw, recipe("boundary"), Options(probability=0.4))
    assert made.labels.tolist() == [[1, 1, 0, 2, 0]]
    assert made.probability == pytest.approx([(0.875 + 0.75) / 2, 1.0])
    maps = np.array([[[0.75, 0.5, 0.0, 0.875, 0.0]]], np.float16)
    made = decoded(
        RawSegmentation((1, 5), (10.0, 10.0), maps=maps), recipe("foreground"), Options(0.4)
    )
    assert made.labels.tolist() == [[1, 1, 0, 2, 0]]
    assert made.probability == pytest.approx([0.625, 0.875])


def test_what_is_mirrored_beyond_the_image_is_no_better_neighbour() -> None:
    output = np.full((1 + 8, 8, 8), -9.0, np.float32)
    output[0, 4, 2], output[0, 5, 2] = 3.0, 4.0  # the second one lies outside
    candidates = Candidates()
    whole = Tile(Span(0, 8, 0, 5), Span(0, 8, 0, 7))
    gather(candidates, whole, output, (5, 7), 1, 0.5)
    assert candidates.merged()[0].tolist() == [[4, 2]]


def test_an_object_hidden_altogether_takes_no_other_s_probability_away() -> None:
    candidates = Candidates()
    output = np.full((1 + 16, 40, 40), -9.0, np.float32)
    for y, x, logit, reach in ((10, 10, 3.0, 8.0), (11, 15, 2.0, 0.4), (30, 30, 1.0, 6.0)):
        output[0, y, x], output[1:, y, x] = logit, reach
    candidates.add(output, (0, 0), 1, 0.05)
    raw = RawSegmentation((40, 40), (1.0, 1.0), candidates)
    made = decoded(raw, recipe("stardist"), Options(probability=0.5, overlap=1.0))
    assert made.probability == pytest.approx([1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-1))])
    assert made.outlines[1].mean(0) == pytest.approx([30, 30], abs=1e-3)


def test_the_users_thresholds_come_before_the_models() -> None:
    sample = field(3, radius=9)
    strict = dataclasses.replace(
        recipe("stardist"), thresholds={"probability": 0.999, "overlap": 0.4}
    )
    raw = raw_output(Oracle(sample.labels, "stardist"), strict, sample, Options(probability=0.3))
    assert decoded(raw, strict, Options()).n_objects == 0
    assert decoded(raw, strict, Options(probability=0.3)).n_objects > 3


# --------------------------------------------------------------------------------- thresholds


def accuracy(raw: Any, samples: Any, r: Recipe, thresholds: Any) -> float:
    """What thresholds are set by, written out: objects drawn anew for each."""
    r = dataclasses.replace(r, thresholds=thresholds)
    pairs = [
        (s.labels, decoded(one, r, Options()).labels) for one, s in zip(raw, samples, strict=True)
    ]
    return float(np.mean([
        sum_tallies(match(a, b, t) for a, b in pairs).accuracy for t in (0.3, 0.5, 0.7)
    ]))  # fmt: skip


def outputs(head: str, noise: float, r: Recipe) -> tuple[list[Any], Any]:
    samples = fields(2, radius=9).samples
    raw = [
        raw_output(Oracle(s.labels, head, noise=noise), r, s, Options(probability=0.05))
        for s in samples
        if s.labels is not None
    ]
    return raw, samples


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("noise", [0.0, 1.5])
def test_thresholds_are_never_worse_than_the_default(head, noise) -> None:
    r = recipe(head)
    raw, samples = outputs(head, noise, r)
    best = best_thresholds(raw, samples, r)
    assert accuracy(raw, samples, r, best) >= accuracy(raw, samples, r, r.thresholds)


def test_better_thresholds_are_found_and_what_they_promise_holds(monkeypatch) -> None:
    """The search draws objects once for many thresholds; the user gets them drawn by one."""
    from microshot.tasks.segmenting import stardist

    r = recipe("stardist")
    raw, samples = outputs("stardist", 2.0, r)
    seen: dict[tuple[float, float], float] = {}
    search = stardist.optimize_thresholds

    def watched(score: Any, *rest: Any) -> Any:
        def noted(probability: float, overlap: float) -> float:
            return seen.setdefault((probability, overlap), score(probability, overlap))

        return search(noted, *rest)

    monkeypatch.setattr(stardist, "optimize_thresholds", watched)
    best = best_thresholds(raw, samples, r)
    assert accuracy(raw, samples, r, best) > accuracy(raw, samples, r, r.thresholds) + 0.02
    assert len(seen) > 10
    assert len({overlap for _, overlap in seen}) == 3
    for (probability, overlap), value in seen.items():
        thresholds = {"probability": probability, "overlap": overlap}
        assert accuracy(raw, samples, r, thresholds) == pytest.approx(value)


def test_two_images_move_the_threshold_a_third_of_the_way(monkeypatch) -> None:
    from microshot.tasks.segmenting import stardist

    r = recipe("stardist")
    raw, samples = outputs("stardist", 1.5, r)
    asked_for: list[float] = []
    search = stardist.optimize_thresholds

    def watched(*given: Any) -> Any:
        made = search(*given)
        asked_for.append(made[0])
        return made

    monkeypatch.setattr(stardist, "optimize_thresholds", watched)
    best = best_thresholds(raw, samples, r)
    assert asked_for[0] > 0.6
    assert best["probability"] == pytest.approx(0.5 + (asked_for[0] - 0.5) / 3)


def test_into_how_many_tiles_an_image_was_cut_does_not_change_thresholds() -> None:
    r = recipe("stardist")
    raw, samples = outputs("stardist", 2.0, r)
    whole = best_thresholds(raw, samples, r)
    cut = []
    for one in raw:
        assert one.candidates is not None
        points, probability, distance = one.candidates.merged()  # best first
        halves = [slice(None, len(points) // 2), slice(len(points) // 2, None)]
        parts = Candidates(*([a[h] for h in halves] for a in (points, probability, distance)))
        cut.append(dataclasses.replace(one, candidates=parts))
    assert best_thresholds(cut, samples, r) == whole


@pytest.mark.parametrize("head", ["foreground", "boundary"])
def test_heads_without_polygons_keep_the_usual_overlap(head) -> None:
    r = recipe(head)
    raw, samples = outputs(head, 1.5, r)
    assert best_thresholds(raw, samples, r)["overlap"] == 0.4


def test_thresholds_are_sought_among_the_probabilities_of_interiors() -> None:
    """Where a network is surer of background and boundaries, higher ones would find no object."""
    sample = field(1)
    assert sample.labels is not None
    classes, _ = boundary_targets(sample.labels)
    maps = np.stack([classes == BACKGROUND, 0.3 * (classes == INTERIOR), classes == BOUNDARY])
    raw = RawSegmentation(sample.image.shape, (1.0, 1.0), maps=maps.astype(np.float16))
    r = recipe("boundary")
    best = best_thresholds([raw], [sample], r)
    assert 0.15 <= best["probability"] < 0.3
    assert accuracy([raw], [sample], r, best) == 1


def hill(probability: float, overlap: float) -> float:
    """Be greatest at 0.7, and nothing where a network is never as sure."""
    return max(0.0, 1 - 4 * (probability - 0.7) ** 2) if probability < 0.9 else 0.0


@pytest.mark.parametrize(("n", "expected"), [(0, 0.5), (4, 0.6), (12, 0.65), (396, 0.698)])
def test_the_more_images_the_less_the_best_threshold_is_drawn_to_the_default(n, expected) -> None:
    assert towards_default(hill, 0.7, 0.4, n) == pytest.approx(expected)


@given(st.floats(0.05, 0.95), st.integers(0, 50))
def test_a_drawn_threshold_lies_between_and_scores_no_worse_than_the_default(best, n) -> None:
    drawn = towards_default(hill, best, 0.4, n)
    assert min(best, 0.5) <= drawn <= max(best, 0.5)
    assert hill(drawn, 0.4) >= min(hill(best, 0.4), hill(0.5, 0.4)) - 1e-9


def test_a_threshold_is_not_drawn_to_a_default_that_is_far_better() -> None:
    """The default scores 1.34 with its own overlap, so at half the way 1.17 is asked for."""

    def score(probability: float, overlap: float) -> float:
        return hill(probability, overlap) + 0.5 * ((probability, overlap) == (0.5, 0.4))

    assert towards_default(score, 0.7, 0.3, 4) == 0.7
    assert towards_default(hill, 0.7, 0.3, 4) == pytest.approx(0.6)


def test_a_network_that_is_never_sure_keeps_its_low_threshold() -> None:
    assert towards_default(lambda p, _: float(p < 0.35), 0.3, 0.4, 4) == 0.3


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10_000), st.floats(0.05, 0.9), st.floats(0, 1), st.sampled_from([0.3, 0.4, 0.5])
)
def test_objects_above_a_threshold_are_the_first_of_those_above_a_lower_one(
    seed, least, part, overlap
) -> None:
    from microshot.tasks.segmenting.segmentation import _Trials

    rng = np.random.default_rng(seed)
    r = recipe("stardist")
    output = np.concatenate([rng.normal(0, 2, (1, 24, 28)), rng.uniform(1, 8, (16, 24, 28))])
    sample = Sample("x", Image(np.zeros((1, 24, 28), np.uint8)))
    raw = raw_output(
        lambda _: output[None].astype(np.float32), r, sample, Options(probability=0.04)
    )
    threshold = least + part * (1 - least)
    (quick,) = _Trials([raw], r, least)(threshold, overlap)
    slow = decoded(raw, r, Options(probability=threshold, overlap=overlap)).labels
    ids = np.unique(quick)
    assert np.array_equal(np.searchsorted(ids[ids > 0], quick) + (quick > 0), slow)


@pytest.mark.parametrize("head", HEADS)
def test_a_network_that_finds_nothing_keeps_the_default_thresholds(head) -> None:
    r = recipe(head)
    sample = field(1)
    n = {"stardist": 17, "foreground": 1, "boundary": 3}[head]

    def nothing(batch: np.ndarray) -> np.ndarray:
        output = np.full((1, n, *batch.shape[2:]), -20, np.float32)
        output[:, BACKGROUND if head == "boundary" else 0] = 20 if head == "boundary" else -20
        return output

    raw = raw_output(nothing, r, sample, Options(probability=0.05))
    assert best_thresholds([raw], [sample], r) == {"probability": 0.5, "overlap": 0.4}
    assert best_thresholds([], [], r) == {"probability": 0.5, "overlap": 0.4}


def test_setting_thresholds_can_be_stopped() -> None:
    r = recipe("stardist")
    raw, samples = outputs("stardist", 1.0, r)
    watch = Watch()
    best_thresholds(raw, samples, r, watch)
    assert watch.fractions == sorted(watch.fractions)
    assert set(watch.messages) == {"setting thresholds"}
    with pytest.raises(Cancelled):
        best_thresholds(raw, samples, r, CancelWhen("setting"))


def test_for_calibration_every_maximum_is_kept() -> None:
    sample = field(3, radius=9)
    r = recipe("stardist")
    assert sample.labels is not None
    network = Oracle(sample.labels, "stardist", noise=1.5)
    kept, used = (f(network, r, sample) for f in (SEGMENT.raw_for_calibration, SEGMENT.raw))
    for raw, least in ((kept, 0.05), (used, 0.5)):
        probability = np.concatenate(raw.candidates.probability)
        assert least < probability.min() < least + 0.15
    assert len(kept.candidates.merged()[0]) > len(used.candidates.merged()[0])
