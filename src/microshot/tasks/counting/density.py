"""The way *density* of the task *count*: a map that says how many objects lie at every pixel.

An image goes: scaled so that objects have the network's working diameter, normalised as a
whole, through the network in tiles; the map is added up. It learns from label images, from
points, and from counts alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.objects import renumbered
from microshot.data.patches import Field
from microshot.data.scale import brought_to, resize_image, resize_labels, scaled_shape
from microshot.inference.predictor import run_tiles
from microshot.nn.geometry import PARTS
from microshot.progress import Progress, silent
from microshot.tasks.base import image_for
from microshot.tasks.counting import density_maps, density_size
from microshot.tasks.counting.base import Options, RawCount, true_count
from microshot.tasks.counting.density_recipes import checked, hyper, libraries, recipe, remarks
from microshot.tasks.counting.way import Way
from microshot.tasks.object_scale import scale_of, training_scale
from microshot.tasks.segmenting.recipes import tiling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

    from microshot.data.dataset import Sample
    from microshot.inference.predictor import Network
    from microshot.inference.tiling import Tile
    from microshot.nn.onnx_graph import Graph
    from microshot.tasks.base import Recipe
    from microshot.tasks.hyper import Hyper
    from microshot.tasks.lesson import Lesson
    from microshot.training.trainer import Stage


@dataclass(frozen=True, eq=False)
class Counted:
    """A field of view ready for cropping, and what is known of its objects."""

    field: Field
    """Its labels are ids (``labels``), points per pixel (``points``), or all 0 (``count``)."""
    known: str
    """``labels``, ``points`` or ``count``."""
    count: float


def build(architecture: Mapping[str, Any], seed: int) -> nn.Module:
    """Return the network with fresh weights drawn from `seed`."""
    from microshot.device import seeded
    from microshot.nn.density import DensityNetwork

    with seeded(seed):
        return DensityNetwork(architecture)


def graph(architecture: Mapping[str, Any]) -> Graph:
    """Return the network as ONNX operators."""
    from microshot.nn.onnx_segmenter import density_network

    return density_network(architecture)


def prepare(sample: Sample, recipe: Recipe) -> Counted:
    """Scale and normalise an image and what is known of its objects."""
    count = true_count(sample)
    if count is None and sample.partly_known:
        count = 0.0  # what is known is where the objects are; the loss counts them itself
    if count is None:
        raise ValueError(f"{sample.name}: has neither a count nor points nor a label image.")
    shape = scaled_shape(sample.image.shape, training_scale(recipe, sample))
    image = recipe.normalization.apply(resize_image(sample.image.pixels, shape))
    if sample.points is not None:
        return Counted(
            Field.of(image, _dots(sample.points, sample.ignore, sample.image.shape, shape)),
            "points",
            count,
        )
    if sample.labels is not None:
        labels = renumbered(resize_labels(sample.labels, shape))
        return Counted(Field.of(image, labels), "labels", count)
    return Counted(Field.of(image, np.zeros(shape, np.int32)), "count", count)


def _dots(
    points: np.ndarray,
    ignore: np.ndarray | None,
    shape: tuple[int, int],
    scaled: tuple[int, int],
) -> np.ndarray:
    """Return how many points lie in each pixel of the scaled image, (Y, X) int32; -1 = ignore."""
    dots = np.zeros(scaled, np.int32)
    factor = np.asarray(scaled) / np.asarray(shape)
    place = np.rint((np.asarray(points, float) + 0.5) * factor - 0.5).astype(int)
    place = np.clip(place, 0, np.asarray(scaled) - 1)
    np.add.at(dots, (place[:, 0], place[:, 1]), 1)
    if ignore is not None:
        dots[resize_labels(ignore.astype(np.int32), scaled) > 0] = -1
    return dots


def stages(model: nn.Module, lesson: Lesson[Counted, Hyper]) -> list[Stage]:
    """Return the one stage of this way."""
    from microshot.tasks.counting.density_training import stage

    return [stage(model, lesson)]


def sized(
    network: Network,
    recipe: Recipe,
    samples: Sequence[Sample],
    settings: Any,
    find: Callable[[], float],
    progress: Progress = silent,
) -> tuple[Recipe, list[str]]:
    """See `tasks.base.Task.sized`: where no labels tell the size, that which explains counts best."""

    def count(sample: Sample, options: Options) -> float:
        return raw(network, recipe, sample, options).count

    return density_size.sized(count, recipe, samples, settings, find, progress)


def raw(
    network: Network,
    recipe: Recipe,
    sample: Sample,
    options: Options | None = None,
    progress: Progress = silent,
) -> RawCount:
    """Count the objects of one image of any size.

    Raises
    ------
    ValueError
        If the image has another number of channels than the network takes.
    """
    options = options or Options()
    a, image = recipe.architecture, image_for(sample, recipe)
    grid, spread = int(a["grid"]), float(a["spread_px"])
    shape = scaled_shape(image.shape, scale_of(recipe, options.diameter_px))
    sink = _MapSink(shape, grid)
    whole = brought_to(image.pixels, shape)
    run_tiles(
        network, whole, sink, normalization=recipe.normalization.for_image(whole),
        **tiling(recipe, options.tile_px), progress=progress,
    )  # fmt: skip
    count = float(sink.density.sum(dtype=np.float64))
    found = density_maps.find_points(sink.density, round(count), spread / grid)
    scale = np.asarray(shape) / np.asarray(image.shape)
    points = ((found + 0.5) * grid / scale - 0.5).astype(np.float32)
    points = np.clip(points, -0.5, np.asarray(image.shape, np.float32) - 0.5)
    return RawCount(
        count,
        points,
        _at_size(sink.density, count, shape, grid, image.shape),
        clarity=density_maps.clarity(sink.density, found, spread / grid),
    )


class _MapSink:
    """Puts the parts of the density map in their place."""

    def __init__(self, shape: tuple[int, int], grid: int) -> None:
        self.grid = grid
        self.density = np.zeros((-(-shape[0] // grid), -(-shape[1] // grid)), np.float32)

    def __call__(self, tile: Tile, output: np.ndarray) -> None:
        y, x = tile.y.start // self.grid, tile.x.start // self.grid
        part = output[0][tile.points(self.grid)]
        self.density[y : y + part.shape[0], x : x + part.shape[1]] = part


def _at_size(
    density: np.ndarray, count: float, scaled: tuple[int, int], grid: int, shape: tuple[int, int]
) -> np.ndarray:
    """Return the map as objects per px of the image, (Y, X) float32; it adds up to `count`."""
    box = (0.0, 0.0, scaled[0] / grid, scaled[1] / grid)
    heat = np.maximum(resize_image(density[None], shape, box)[0], 0)
    total = float(heat.sum(dtype=np.float64))
    return (heat * (count / total)).astype(np.float32) if total > 0 else np.zeros_like(heat)


WAY = Way(
    hyper, recipe, checked, build, prepare, stages, raw, PARTS,
    libraries=libraries, remarks=remarks, graph=graph, sized=sized,
)  # fmt: skip
