"""From an image to its objects: network output, decoding, thresholds."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from microshot.data.objects import selected
from microshot.data.scale import brought_to, resize_image, scaled_shape
from microshot.inference.predictor import run_tiles
from microshot.metrics.labels import match, sum_tallies
from microshot.progress import Progress, silent, throttled
from microshot.tasks.base import image_for
from microshot.tasks.object_scale import scale_of
from microshot.tasks.segmenting import pixels, stardist
from microshot.tasks.segmenting.recipes import DEFAULT_THRESHOLDS, tiling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from microshot.data.dataset import Sample
    from microshot.inference.predictor import Network
    from microshot.inference.tiling import Tile
    from microshot.tasks.base import Recipe

#: The default threshold counts for as much as the best one of so many images.
PRIOR_IMAGES = 4
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class RawSegmentation:
    """What the network said of one image, before any threshold."""

    shape: tuple[int, int]
    """(Y, X) of the image."""
    scale: tuple[float, float]
    """px of the network's input per px of the image, along y and x."""
    candidates: stardist.Candidates | None = None
    maps: np.ndarray | None = None
    """(K, Y, X) float16 probabilities of a pixel head at the image's own size."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Objects found in one image."""

    labels: np.ndarray
    """(Y, X) int32, 0 background, 1..n objects."""
    probability: np.ndarray
    """(n,) float32, one per object."""
    outlines: np.ndarray | None = None
    """(n, R, 2) float32 (y, x) corners, where the head draws polygons."""
    diameter_px: float = 0.0
    """What objects were taken to measure; 0 = what the model knows."""
    place: tuple[int, int] | None = None
    """y, x of its first pixel, where it is of a part of an image."""

    @property
    def n_objects(self) -> int:
        """Number of objects."""
        return len(self.probability)

    @property
    def confidence(self) -> float | None:
        """Mean probability of the objects; None where there are none."""
        return float(self.probability.mean()) if len(self.probability) else None


@dataclass(frozen=True)
class Options:
    """What a user may change when predicting; 0 = as the model says."""

    probability: float = 0.0
    overlap: float = 0.0
    diameter_px: float = 0.0
    size_found: str = "auto"
    """See `tasks.common_size`."""
    least_area_px: int = 0
    tile_px: int = 0
    measured: bool = False
    """Whether the size that is looked for is what the objects measure, as counting takes it, and not the
    one with which they are found best."""

    def thresholds(self, recipe: Recipe) -> tuple[float, float]:
        """Return those of probability and overlap, the model's own where the user set none."""
        known = recipe.thresholds
        probability, overlap = float(known["probability"]), float(known["overlap"])
        return self.probability or probability, self.overlap or overlap


def raw_output(
    network: Network,
    recipe: Recipe,
    sample: Sample,
    options: Options,
    progress: Progress = silent,
) -> RawSegmentation:
    """Run the network over one image of any size.

    Raises
    ------
    ValueError
        If the image has another number of channels than the network takes.
    """
    a = recipe.architecture
    grid, image = int(a["grid"]), image_for(sample, recipe)
    shape = scaled_shape(image.shape, scale_of(recipe, options.diameter_px))
    scale = (shape[0] / image.shape[0], shape[1] / image.shape[1])
    candidates, maps = None, None
    if a["head"] == "stardist":
        least, _ = options.thresholds(recipe)
        sink: Any = _CandidateSink(shape, grid, least)
        candidates = sink.candidates
    else:
        sink = _PixelSink(1 if a["head"] == "foreground" else 3, shape, grid)
    whole = brought_to(image.pixels, shape)
    run_tiles(
        network, whole, sink, normalization=recipe.normalization.for_image(whole),
        **tiling(recipe, options.tile_px), progress=progress,
    )  # fmt: skip
    if candidates is None:
        maps = sink.at_size(image.shape).astype(np.float16)
    return RawSegmentation(image.shape, scale, candidates, maps)


def gather(
    found: stardist.Candidates, tile: Tile, output: np.ndarray, shape: tuple[int, int], grid: int,
    least: float,
) -> None:  # fmt: skip
    """Take what may be objects in a tile's inner part from its output (K, y/g, x/g), halo included.

    `shape` is that of the network's whole input, `least` the least probability. What lies around
    the inner part is compared with, so that it does not matter where tiles meet.
    """
    offset = (tile.y.read_start, tile.x.read_start)
    n_rows, n_columns = (-(-(n - o) // grid) for n, o in zip(shape, offset, strict=True))
    inside = output[:, :n_rows, :n_columns]  # what was mirrored is no neighbour
    found.add(inside, offset, grid, least, tile.points(grid))


class _CandidateSink:
    """Gathers what may be objects."""

    def __init__(self, shape: tuple[int, int], grid: int, least: float) -> None:
        self.shape, self.grid, self.least = shape, grid, least
        self.candidates = stardist.Candidates()

    def __call__(self, tile: Tile, output: np.ndarray) -> None:
        gather(self.candidates, tile, output, self.shape, self.grid, self.least)


class _PixelSink:
    """Puts the probabilities of a pixel head in their place, one per grid point."""

    def __init__(self, n: int, shape: tuple[int, int], grid: int) -> None:
        self.shape, self.grid = shape, grid
        self.maps = np.zeros((n, -(-shape[0] // grid), -(-shape[1] // grid)), np.float32)

    def __call__(self, tile: Tile, output: np.ndarray) -> None:
        y, x = tile.y.start // self.grid, tile.x.start // self.grid
        values = pixels.probabilities(output[:, *tile.points(self.grid)])
        self.maps[:, y : y + values.shape[1], x : x + values.shape[2]] = values

    def at_size(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the maps resampled to the image's own `shape`.

        Grid point i lies in the middle of the input's pixel i · grid, where its target was
        taken from.
        """
        g = self.grid
        start = 0.5 - 0.5 / g
        stop = [(n - 0.5) / g + 0.5 for n in self.shape]
        maps = np.pad(self.maps, ((0, 0), (0, 1), (0, 1)), mode="edge")
        return resize_image(maps, shape, (start, start, stop[0], stop[1]))


def decoded(raw: RawSegmentation, recipe: Recipe, options: Options) -> Segmentation:
    """Turn the network's output into objects."""
    threshold, overlap = options.thresholds(recipe)
    if raw.candidates is not None:
        found = stardist.suppress(raw.candidates, raw.shape, raw.scale, threshold, overlap)
        labels, source = stardist.draw(found, raw.shape)
        outlines = stardist.polygons(found.points, found.distance)[source].astype(np.float32)
        made = Segmentation(labels, found.probability[source], outlines)
    else:
        made = _decoded_maps(raw, recipe, threshold)
    made = dataclasses.replace(made, diameter_px=options.diameter_px)
    return _without_small(made, options.least_area_px)


def _decoded_maps(raw: RawSegmentation, recipe: Recipe, threshold: float) -> Segmentation:
    assert raw.maps is not None
    maps = raw.maps.astype(np.float32)
    if recipe.architecture["head"] == "foreground":
        # the target lacks one grid point at the edge of every object
        border_px = int(recipe.architecture["grid"]) / (raw.scale[0] * raw.scale[1]) ** 0.5
        labels = pixels.objects_from_foreground(maps[0], threshold, border_px)
        inside = maps[0]
    else:
        background = maps[pixels.BACKGROUND]
        labels = pixels.objects_from_boundary(maps[pixels.INTERIOR], background, threshold)
        inside = 1 - background
    return Segmentation(labels, pixels.mean_by_object(labels, inside).astype(np.float32))


def _without_small(found: Segmentation, least_area_px: int) -> Segmentation:
    """Leave out objects smaller than `least_area_px` and number the others anew."""
    if least_area_px <= 1 or not found.n_objects:
        return found
    areas = np.bincount(found.labels.ravel(), minlength=found.n_objects + 1)[1:]
    keep = areas >= least_area_px
    outlines = None if found.outlines is None else found.outlines[keep]
    labels, probability = selected(found.labels, keep), found.probability[keep]
    return dataclasses.replace(found, labels=labels, probability=probability, outlines=outlines)


def best_thresholds(
    raw: Sequence[RawSegmentation],
    samples: Sequence[Sample],
    recipe: Recipe,
    progress: Progress = silent,
) -> dict[str, float]:
    """Find thresholds that promise the best mean accuracy at IoU 0.3, 0.5 and 0.7.

    The best probability on few images is best by chance, too; so it is drawn towards the
    default, see `towards_default`. Never worse on these samples than the default thresholds, which
    are returned where the network finds nothing at all.
    """
    truth = [s.labels for s in samples if s.labels is not None]
    greatest = max((_greatest(r) for r in raw), default=0.0)
    if greatest <= stardist.LEAST_PROBABILITY:
        return dict(DEFAULT_THRESHOLDS)
    report = throttled(progress)
    n_done = 0

    def asked(items: Iterable[T]) -> Iterator[T]:
        for item in items:  # of a network that has learned little, each may take a second
            report(1 - 0.9**n_done, "setting thresholds")
            yield item

    found = _Trials(raw, recipe, stardist.least_threshold(greatest), asked)

    @functools.cache
    def score(probability: float, overlap: float) -> float:
        nonlocal n_done
        n_done += 1
        pairs = list(zip(truth, found(probability, overlap), strict=True))
        values = [
            sum_tallies(match(true, labels, threshold) for true, labels in asked(pairs)).accuracy
            for threshold in (0.3, 0.5, 0.7)
        ]
        return float(np.mean(values))

    overlaps = stardist.OVERLAP_THRESHOLDS if raw[0].candidates is not None else (0.4,)
    probability, overlap, _ = stardist.optimize_thresholds(score, greatest, overlaps)
    probability = towards_default(score, probability, overlap, len(truth))
    return {"probability": probability, "overlap": overlap}


def towards_default(
    score: Callable[[float, float], float], best: float, overlap: float, n_images: int
) -> float:
    """Draw the best probability threshold of n images towards the default.

    As far as if `PRIOR_IMAGES` more images had asked for the default: half the way with 4
    images, hardly with 100. Which rule does best on images that took no part was measured
    (`benchmarks/threshold_rules.py`). `best` stays where the score between the two is below the line
    that joins theirs, as with a network that is never as sure as the default asks.

    Parameters
    ----------
    score : of (probability, overlap).
    overlap : threshold that goes with `best`.
    """
    usual = DEFAULT_THRESHOLDS["probability"]
    own = n_images / (n_images + PRIOR_IMAGES)
    drawn = own * best + (1 - own) * usual
    reached = score(usual, DEFAULT_THRESHOLDS["overlap"])
    line = own * score(best, overlap) + (1 - own) * reached
    return drawn if score(drawn, overlap) >= line else best


class _Trials:
    """Objects of several images at one threshold after another, none below `least`.

    Suppression and drawing go by probability, so the polygons above a threshold are the first of
    those above `least`, and each pixel belongs to the first that covers it: both are done
    once per overlap threshold.
    """

    def __init__(
        self,
        raw: Sequence[RawSegmentation],
        recipe: Recipe,
        least: float,
        asked: Callable[[Iterable[RawSegmentation]], Iterator[RawSegmentation]] = iter,
    ) -> None:
        self.raw, self.recipe, self.least, self.asked = raw, recipe, least, asked
        self.overlap = math.nan
        self.drawn: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, probability: float, overlap: float) -> list[np.ndarray]:
        """Return a label image (Y, X) int32 per image; ids may have gaps."""
        if self.raw[0].candidates is None:
            options = Options(probability=probability, overlap=overlap)
            return [decoded(r, self.recipe, options).labels for r in self.asked(self.raw)]
        if overlap != self.overlap:
            self.drawn = [self._draw(r, overlap) for r in self.asked(self.raw)]
            self.overlap = overlap
        return [
            np.where(rank <= np.count_nonzero(values > probability), rank, 0)
            for rank, values in self.drawn
        ]

    def _draw(self, raw: RawSegmentation, overlap: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the rank of the object at every pixel, from 1, and all their probabilities."""
        assert raw.candidates is not None
        found = stardist.suppress(raw.candidates, raw.shape, raw.scale, self.least, overlap)
        labels, source = stardist.draw(found, raw.shape)
        rank = np.concatenate([[0], source + 1]).astype(np.int32)
        return rank[labels], found.probability


def _greatest(raw: RawSegmentation) -> float:
    """Return the greatest object probability anywhere in the image."""
    if raw.maps is not None:
        channel = 0 if len(raw.maps) == 1 else pixels.INTERIOR
        return float(raw.maps[channel].max())
    assert raw.candidates is not None
    return max((float(p.max()) for p in raw.candidates.probability if len(p)), default=0.0)
