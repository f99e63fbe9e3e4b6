"""Running a network over an image: tiled equals whole, whatever the size and the grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from microshot.data.normalize import Normalization
from microshot.device import Device
from microshot.inference.onnx_network import OnnxNetwork
from microshot.inference.predictor import TorchNetwork, run_tiles
from microshot.progress import Cancelled
from tiny_models import CancelWhen, Watch

CPU = Device("cpu", "test", 1)


class Box:
    """Mean over a neighbourhood of `radius` px, at every `grid`-th pixel; remembers its inputs."""

    def __init__(self, radius: int, grid: int = 1) -> None:
        self.radius, self.grid = radius, grid
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        from scipy.ndimage import uniform_filter

        self.shapes.append(batch.shape)
        size = 2 * self.radius + 1
        blurred = np.stack([uniform_filter(c, size, mode="constant") for c in batch[0]])
        return blurred[None, :, :: self.grid, :: self.grid]


def collected(network: Box, image: np.ndarray, **options: Any) -> np.ndarray:
    """Return what the tiles gave, put together on the grid."""
    grid = options.pop("grid", 1)
    made = np.full((len(image), -(-image.shape[1] // grid), -(-image.shape[2] // grid)), np.nan)

    def sink(tile, output) -> None:
        output = output[:, *tile.points(grid)]
        y, x = tile.y.start // grid, tile.x.start // grid
        part = made[:, y : y + output.shape[1], x : x + output.shape[2]]
        assert part.shape == output.shape
        assert np.isnan(part).all()  # nothing is given twice
        part[...] = output

    run_tiles(network, image, sink, **options)  # type: ignore[arg-type]
    return made


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 120), st.integers(1, 120), st.integers(0, 6), st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2]),
)  # fmt: skip
def test_tiled_equals_whole_where_the_halo_covers_the_receptive_field(
    height, width, radius, grid, factor
) -> None:
    image = np.random.default_rng(0).normal(size=(2, height, width)).astype(np.float32)
    options = {"halo_px": radius, "multiple": factor * grid, "grid": grid}
    tiled = collected(Box(radius, grid), image, tile_px=32, **options)
    whole = collected(Box(radius, grid), image, tile_px=1000, **options)
    assert not np.isnan(tiled).any()
    assert np.allclose(tiled, whole, atol=1e-5)


def test_too_small_a_halo_shows() -> None:
    """The law above would be empty if it held with any halo."""
    image = np.random.default_rng(0).normal(size=(1, 100, 100)).astype(np.float32)
    options = {"multiple": 1, "grid": 1}
    tiled = collected(Box(6), image, tile_px=32, halo_px=2, **options)
    whole = collected(Box(6), image, tile_px=1000, halo_px=2, **options)
    assert not np.allclose(tiled, whole, atol=1e-3)


@pytest.mark.parametrize(("tile", "halo", "greatest"), [(64, 8, 64), (16, 8, 32), (1, 30, 80)])
def test_memory_is_bounded_by_the_tile_or_what_the_halo_asks_for(tile, halo, greatest) -> None:
    network = Box(1)
    collected(network, np.zeros((1, 150, 300), np.float32), tile_px=tile, halo_px=halo, multiple=4)
    assert {shape[:2] for shape in network.shapes} == {(1, 1)}
    assert max(max(shape[2:]) for shape in network.shapes) <= greatest


def test_progress_counts_tiles_and_can_stop_between_them() -> None:
    image, watch = np.zeros((1, 60, 60), np.float32), Watch()
    run_tiles(Box(0), image, lambda *_: None, tile_px=32, halo_px=0, multiple=1, progress=watch)
    assert watch.messages[:2] == ["tile 1 of 4", "tile 2 of 4"]
    assert watch.fractions == [0, 0.25, 0.5, 0.75, 1]
    network = Box(0)
    with pytest.raises(Cancelled):
        run_tiles(
            network, image, lambda *_: None, tile_px=32, halo_px=0, multiple=1,
            progress=CancelWhen("tile 3"),
        )  # fmt: skip
    assert len(network.shapes) == 2


@pytest.mark.parametrize(("side", "rests"), [(60, 0), (90, 1)])
def test_after_an_image_of_many_tiles_a_network_gives_its_memory_back(side, rests) -> None:
    class Greedy(OnnxNetwork):
        def __init__(self) -> None:
            self.works, self.rested = 0, []

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            self.works += 1
            return batch

        def rest(self, batch: np.ndarray) -> None:
            self.rested.append((self.works, batch.shape))

    network, image = Greedy(), np.zeros((2, side, side), np.float32)
    run_tiles(network, image, lambda *_: None, tile_px=32, halo_px=0, multiple=2)
    assert network.rested == [(9, (1, 2, 4, 4))] * rests


def test_one_tile_is_not_worth_a_message() -> None:
    watch = Watch()
    run_tiles(
        Box(0), np.zeros((1, 9, 9), np.float32), lambda *_: None, tile_px=32, halo_px=0,
        multiple=1, progress=watch,
    )  # fmt: skip
    assert watch.messages == ["", ""]


def test_a_network_predicts_in_evaluation_mode_and_without_gradients() -> None:
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.9))
    network = TorchNetwork(model, CPU)
    model.train()  # as if training went on
    batch = np.random.default_rng(0).normal(5, 2, (1, 1, 8, 8)).astype(np.float32)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    first, second = network(batch), network(batch)
    assert np.array_equal(first, second)
    assert np.allclose(first, batch, atol=1e-4)  # mean 0 and deviation 1 are what it knows
    assert first.dtype == np.float32
    assert model.training
    model.eval()
    network(batch)
    assert not model.training  # left as it was
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_network_takes_any_layout_of_memory() -> None:
    network = TorchNetwork(nn.Conv2d(2, 3, 3, padding=1), CPU)
    batch = np.random.default_rng(0).normal(size=(1, 2, 6, 7)).astype(np.float32)
    turned = np.ascontiguousarray(batch.transpose(0, 3, 2, 1)).transpose(0, 3, 2, 1)
    assert np.allclose(network(batch), network(turned), atol=1e-6)
    assert np.allclose(network(batch), network(batch.astype(np.float64)), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_tiles_are_normalised_with_the_numbers_of_the_whole_image(dtype) -> None:
    image = np.random.default_rng(0).integers(0, 200, (2, 70, 90)).astype(dtype)
    normalization = Normalization("zscore").for_image(image)
    options = {"tile_px": 32, "halo_px": 2, "multiple": 4}
    tiled = collected(Box(0), image, normalization=normalization, **options)
    assert np.array_equal(tiled, normalization.apply(image.astype(np.float32)))
