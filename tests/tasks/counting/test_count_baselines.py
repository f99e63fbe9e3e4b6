"""The counters without learning: watershed and a line on the features of a frozen network."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as settings_of_tests
from hypothesis import strategies as st

import discs
from microshot import api
from microshot.bundle import Bundle
from microshot.data.dataset import Dataset
from microshot.nn.frozen_counter import FrozenCounter, UNetEncoder, check_architecture, described
from microshot.nn.resnet import ResNetEncoder
from microshot.nn.ridge import PENALTIES, ridge
from microshot.nn.watershed import (
    DISTANCES_PX,
    LEAST_PARTS,
    Cut,
    Parameters,
    Watershed,
    foreground,
    regions,
    search,
    without_small,
)
from microshot.progress import Cancelled
from microshot.settings import OptimizerSettings, RetrainSettings, TrainSettings
from microshot.settings.density import CountSettings
from microshot.tasks.counting import frozen as frozen_counter
from microshot.tasks.counting import watershed as watershed_counter
from microshot.tasks.lesson import Lesson

WIDTHS = [4, 8, 12]


def counted(n: int, seed: int, **kwargs) -> Dataset:
    """Images with 1 to 8 discs, and their counts only."""
    made = [
        discs.sample(f"image{i}", 100 * seed + i, (64, 64), 1 + i % 8, (4, 6), **kwargs)
        for i in range(n)
    ]
    return Dataset.of(
        dataclasses.replace(s, labels=None, count=float(s.labels.max())) for s in made
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with the weights of a small U-Net, as torch-em names them."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "unet.pt"
    torch.save(UNetEncoder(1, WIDTHS).state_dict(), path)
    return path


def settings(way: str, weights="", **training) -> TrainSettings:
    return TrainSettings(
        task="count", minutes=0,
        count=CountSettings(architecture=way, frozen_weights=str(weights)),
        training=OptimizerSettings(device="cpu", **training),
    )  # fmt: skip


@pytest.fixture(scope="module")
def watershed() -> api.Trained:
    return api.train(counted(4, 1), settings("watershed"))


@pytest.fixture(scope="module")
def frozen(weights) -> api.Trained:
    return api.train(counted(20, 1), settings("frozen-cnn", weights))


def mae(bundle: Bundle, data: Dataset) -> float:
    predictor = api.Predictor(Bundle.from_bytes(bundle.to_bytes()))
    return api.score("count", [predictor(s) for s in data], data)[1]["mae"]


# ---- both, through the verbs


def test_the_watershed_counts_discs(watershed) -> None:
    data = counted(10, 2)
    assert mae(watershed.bundle, data) <= 0.7
    prediction = api.Predictor(watershed.bundle)(data[5])
    assert len(prediction.points) == prediction.n_objects
    assert watershed.history[-1]["loss"] == min(row["loss"] for row in watershed.history)
    assert watershed.bundle.weights["distance_px"].shape == ()
    _, error, first = next(search([np.zeros((9, 9), np.float32)], [0.0]))  # all are as good
    assert (error, first.distance_px) == (0, DISTANCES_PX[0])
    assert first.least_area_px == pytest.approx(LEAST_PARTS[0] * math.pi / 4 * DISTANCES_PX[0] ** 2)


def test_the_frozen_network_counts_better_than_the_mean(frozen) -> None:
    data = counted(20, 3)
    constant = float(np.mean([abs(s.count - 4.5) for s in data]))
    assert mae(frozen.bundle, data) < 0.5 * constant
    assert frozen.bundle.card.thresholds["calibration_images"] == 3  # held out of 20
    assert frozen.bundle.card.architecture["widths"] == WIDTHS


def test_retraining_fits_anew_without_the_file(frozen, watershed) -> None:
    new = counted(10, 4, dark=True)
    once = RetrainSettings(minutes=0, check="none", training=OptimizerSettings(device="cpu"))
    for start in (frozen, watershed):
        made = api.retrain(start.bundle, Dataset(new.samples[4:7]), once)
        assert mae(made.bundle, new) < mae(start.bundle, new)
        assert made.bundle.card.lineage[0]["id"] == start.bundle.card.id
    same = [k for k in frozen.bundle.weights if k.startswith("encoder.")]
    again = api.retrain(frozen.bundle, new, once).bundle.weights
    assert all((again[k] == frozen.bundle.weights[k]).all() for k in same)


def test_left_out_images_are_not_used_to_fit(frozen) -> None:
    new = counted(4, 5)
    check = RetrainSettings(minutes=0, keep_better=False, training=OptimizerSettings(device="cpu"))
    made = api.retrain(frozen.bundle, new, check)
    assert [e.sample.name for e in made.comparison] == [s.name for s in new]
    whole = api.Predictor(made.bundle)
    assert any(e.prediction.count != whole(e.sample).count for e in made.comparison)
    assert made.bundle.card.thresholds["calibration_images"] == 4


def test_the_same_seed_gives_the_same_model(weights) -> None:
    for one in (settings("frozen-cnn", weights, seed=3), settings("watershed", seed=3)):
        first, second = (api.train(counted(2, 6), one).bundle.card.id for _ in range(2))
        assert first == second


def test_a_time_limit_ends_the_search_with_what_was_found() -> None:
    hurried = dataclasses.replace(settings("watershed"), minutes=1e-9)
    made = api.train(counted(2, 7), hurried)
    assert len(made.history) == 1
    assert np.isfinite(mae(made.bundle, counted(2, 7)))


def test_cancelling_keeps_the_best_so_far() -> None:
    def cancel(fraction: float, message: str = "") -> None:
        if fraction > 0.3 and "trying" in message:
            raise Cancelled

    made = api.train(counted(2, 7), settings("watershed"), progress=cancel)
    assert made.stopped == "cancelled"
    assert made.history


def test_images_of_other_channels_are_refused(watershed, frozen) -> None:
    colour = discs.sample("colour", 1, n_channels=3)
    for model in (watershed, frozen):
        with pytest.raises(ValueError, match=r"colour: expected 1 channel.*found 3"):
            api.Predictor(model.bundle)(colour)


def test_a_count_is_the_sum_over_the_windows_of_a_large_image(frozen, monkeypatch) -> None:
    sample = counted(7, 8)[6]
    pixels = np.tile(sample.image.pixels, (1, 8, 8))
    large = dataclasses.replace(sample, image=dataclasses.replace(sample.image, pixels=pixels))
    predictor = api.Predictor(frozen.bundle)
    whole = predictor(large).count
    monkeypatch.setattr(frozen_counter, "WINDOW_PX", 256)
    assert predictor(large).count == pytest.approx(whole, rel=0.1)  # convolutions see edges


class Means(FrozenCounter):
    """Its one feature is the mean of a window."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.where = torch.nn.Linear(1, 1)  # what tells where the model is
        self.register_buffer("slope", torch.zeros(1))
        self.register_buffer("intercept", torch.zeros(()))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


def test_the_line_is_fitted_to_counts_per_px_of_whole_images_that_are_counted(monkeypatch) -> None:
    def window(height: int, width: int, value: float) -> np.ndarray:
        return np.full((1, height, width), value, np.float32)

    images = [
        frozen_counter.Windows([window(1, 4, 1.0), window(1, 2, 5.0)], 3.0),  # of 6 px, mean 14 / 6
        frozen_counter.Windows([window(2, 5, 2.0)], 1.0),  # of 10 px
        frozen_counter.Windows([window(9, 9, 7.0)], np.nan),  # not counted
        frozen_counter.Windows([window(1, 5, 1.0), window(3, 5, 3.0)], 10.0),  # of 20 px, mean 2.5
    ]
    seen: list[np.ndarray] = []

    def line(features: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, float, float]:
        seen.extend((features, counts))
        return np.array([6.0]), 24.0, 0.25

    monkeypatch.setattr("microshot.nn.ridge.ridge", line)
    model, nothing = Means(), cast("Any", None)
    found = frozen_counter.stages(model, Lesson(nothing, nothing, images)).find(model)
    assert list(found) == [(0.25, {}), (0.5, {}), (0.75, {}), (1.0, {"loss": 0.25})]
    assert seen[0] == pytest.approx(np.array([[14 / 6], [2.0], [2.5]]))
    assert seen[1] == pytest.approx(np.array([6.0, 1.2, 6.0]))  # in 12 px, the mean size
    assert model(torch.full((1, 1, 2, 2), 3.0)).item() == pytest.approx(0.5 * 3 + 2)


def test_the_grid_is_tried_on_counted_images_and_not_on_too_many(monkeypatch) -> None:
    seen: list[list[float]] = []

    def no_search(pictures: Any, counts: list[float]) -> Any:
        assert [float(grey[0, 0]) for grey in pictures] == counts
        seen.append(counts)
        return iter(())

    monkeypatch.setattr("microshot.nn.watershed.search", no_search)
    monkeypatch.setattr(watershed_counter, "MOST_TRIED", 3)
    model, nothing = Watershed(), cast("Any", None)
    images = [
        watershed_counter.Picture(np.full((2, 2), n), n) for n in (1.0, np.nan, 2.0, 4.0, 5.0)
    ]
    for chosen in (images[:4], images):
        list(watershed_counter.stages(model, Lesson(nothing, nothing, chosen)).find(model))
    assert sorted(seen[0]) == [1.0, 2.0, 4.0]
    assert len(set(seen[1])) == 3


# ---- weights from a file


@pytest.mark.parametrize("kind", ["resnet18", "resnet34", "resnet50"])
def test_resnets_are_told_apart(kind) -> None:
    with torch.device("meta"):
        state = ResNetEncoder(3, kind).state_dict()
    assert described(state, "a.pth") == {"encoder": kind, "widths": []}


def test_safetensors_are_read_too(tmp_path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "unet.safetensors"
    save_file(UNetEncoder(1, WIDTHS).state_dict(), path)
    made = api.train(counted(2, 9), settings("frozen-cnn", path))
    assert made.bundle.card.architecture["encoder"] == "unet"


class Harmful:
    """A pickle that would run code when opened."""

    def __reduce__(self):
        return (print, ("run",))


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": Harmful()}, path)
    with pytest.raises(ValueError, match=r"weights.pt: no readable encoder weights"):
        api.train(counted(2, 9), settings("frozen-cnn", path))
    path.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ValueError, match=r"weights.pt: no readable encoder weights"):
        api.train(counted(2, 9), settings("frozen-cnn", path))
    assert "run" not in capsys.readouterr().out


def test_what_is_missing_is_said_in_one_sentence(tmp_path, weights) -> None:
    with pytest.raises(ValueError, match='"Weights of the frozen network" is empty'):
        api.train(counted(2, 9), settings("frozen-cnn"))
    with pytest.raises(FileNotFoundError, match="there is no such file with encoder weights"):
        api.train(counted(2, 9), settings("frozen-cnn", tmp_path / "none.pt"))
    other = tmp_path / "other.pt"
    torch.save({"linear.weight": torch.zeros(2, 2)}, other)
    with pytest.raises(
        ValueError, match=r"other.pt: expected the weights of a ResNet-18.*1 tensor"
    ):
        api.train(counted(2, 9), settings("frozen-cnn", other))
    state = torch.load(weights, weights_only=True)
    torch.save({k: v for k, v in state.items() if k != "base.1.bias"}, other)
    with pytest.raises(ValueError, match="only 11 of the 12 tensors of a unet encoder"):
        api.train(counted(2, 9), settings("frozen-cnn", other))


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": "oracle"},
        {"widths": [0]},
        {"widths": []},
        {"in_channels": 0},
        {"widths": "many"},
    ],
)
def test_a_senseless_network_is_refused(changes) -> None:
    good = {"in_channels": 1, "encoder": "unet", "widths": WIDTHS}
    assert check_architecture(good) == good
    with pytest.raises(ValueError, match="Frozen network: expected"):
        check_architecture({**good, **changes})


# ---- parts


def left_out_error(x: np.ndarray, y: np.ndarray, penalty: float) -> float:
    """Leave out one row after the other, fit line and intercept, and predict it."""
    errors = []
    for i in range(len(y)):
        kept = np.arange(len(y)) != i
        middle, level = x[kept].mean(0), y[kept].mean()
        z = x[kept] - middle
        slope = np.linalg.solve(z.T @ z + penalty * np.eye(x.shape[1]), z.T @ (y[kept] - level))
        errors.append(y[i] - level - (x[i] - middle) @ slope)
    return float(np.sqrt(np.mean(np.square(errors))))


@settings_of_tests(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 9), st.integers(1, 12))
def test_the_error_on_left_out_examples_is_what_leaving_out_gives(seed, n, n_features) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(5, 3, size=(n, n_features)), rng.normal(size=n)
    _, _, error = ridge(x, y)
    z = (x - x.mean(0)) / x.std(0)
    unit = np.mean(np.square(np.linalg.svd(z, full_matrices=False)[1]))
    assert error == pytest.approx(min(left_out_error(z, y, p * unit) for p in PENALTIES), rel=1e-3)


def test_a_line_is_found_and_features_that_never_differ_are_ignored() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=50), np.full(50, 1e3)])
    slope, intercept, error = ridge(x, 3 * x[:, 0] + 2)
    assert slope[0] == pytest.approx(3, rel=1e-3)
    assert intercept == pytest.approx(2, abs=1e-2)
    assert error < 1e-2
    assert slope[1] == 0
    slope, intercept, error = ridge(x[:1], np.array([4.0]))
    assert (slope == 0).all()
    assert intercept == 4
    assert np.isnan(error)


def test_the_frozen_network_is_linear_in_the_mean_features() -> None:
    torch.manual_seed(1)
    model = FrozenCounter({"in_channels": 2, "encoder": "unet", "widths": WIDTHS}).eval()
    model.set(torch.arange(24.0), 0.5)
    x = torch.randn(3, 2, 33, 20)
    features = model.features(x)
    assert features.shape == (3, 24)
    assert torch.allclose(model(x)[:, 0, 0, 0], features @ torch.arange(24.0) + 0.5, rtol=1e-4)
    assert not any(p.requires_grad for p in model.parameters())
    maps = model.encoder(x)
    assert [tuple(m.shape[2:]) for m in maps] == [(33, 20), (17, 10), (9, 5)]
    assert all(float(m.min()) == 0 for m in maps)  # cut off at 0, the last layer's too


@pytest.mark.parametrize("look", ["bright", "dark", "unsteady"])
def test_every_look_finds_its_objects(look) -> None:
    rng = np.random.default_rng(0)
    grey = rng.normal(0.5, 0.01, (64, 64)).astype(np.float32)
    inside = np.zeros((64, 64), bool)
    for y, x in ((12, 12), (12, 50), (48, 30)):
        inside |= (np.indices(inside.shape)[0] - y) ** 2 + (
            np.indices(inside.shape)[1] - x
        ) ** 2 < 50
    step = {"bright": 0.3, "dark": -0.3, "unsteady": 0.0}[look]
    grey[inside] += step + (rng.normal(0, 0.3, int(inside.sum())) if not step else 0)
    now = Parameters(("bright", "dark", "unsteady").index(look), 2.0, 1.0, 7.0, 10.0)
    model = Watershed()
    model.set(now)
    assert model.parameters_now == now
    labels = model(torch.from_numpy(grey[None, None]))[0, 0].numpy()
    assert labels.max() == 3


def test_the_picture_is_cut_off_at_a_multiple_of_otsus_threshold_over_the_median() -> None:
    grey = np.full((40, 40), 0.5, np.float32)
    grey[:20, :16], grey[20:, :16] = 0.6, 0.9  # Otsu parts 0.4 above the median from 0.1 and 0
    dim, bright = np.zeros((2, 40, 40), bool)
    dim[:20, :16] = bright[20:, :16] = True
    for threshold, inside in ((0.7, dim | bright), (1.0, bright), (1.4, bright)):
        assert np.array_equal(foreground(grey, Cut(0, 0.0, threshold)), inside)
        assert np.array_equal(foreground(-grey, Cut(1, 0.0, threshold)), inside)


def test_markers_lie_half_the_distance_apart_at_least_and_at_the_image_s_edge_too() -> None:
    y, x = np.indices((40, 60))

    def parted(row: int, radius: int, apart: int, distance_px: float) -> int:
        discs = [(y - row) ** 2 + (x - c) ** 2 <= radius**2 for c in (20, 20 + apart)]
        return int(regions(np.logical_or(*discs), distance_px).max())

    assert [parted(20, 4, 6, d) for d in (7.0, 11.0, 16.0)] == [2, 2, 1]
    assert [parted(20, 4, 8, d) for d in (7.0, 11.0, 16.0)] == [2, 2, 2]
    # discs cut in half by the edge are parted as whole ones are
    for apart in (4, 5, 7, 9):
        assert parted(0, 5, apart, 7.0) == parted(20, 5, apart, 7.0)
    assert without_small(np.array([[1, 1, 2, 3, 3, 3]]), 2).tolist() == [[1, 1, 0, 2, 2, 2]]


def test_touching_discs_are_parted_and_small_regions_dropped() -> None:
    y, x = np.indices((40, 60))
    inside = ((y - 20) ** 2 + (x - 20) ** 2 < 81) | ((y - 20) ** 2 + (x - 36) ** 2 < 81)
    inside[2:4, 2:4] = True
    found = regions(inside, 7.0)
    assert found.max() == 3
    assert without_small(found, 10).max() == 2
    assert (regions(np.zeros((9, 9), bool), 7.0) == 0).all()
    assert not foreground(np.full((9, 9), 0.5, np.float32), Parameters()).any()
