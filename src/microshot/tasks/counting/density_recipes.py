"""The choices of the density counter: scale, network, normalisation and training values."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data import augment
from microshot.data.augment import STRENGTHS, Strength
from microshot.data.objects import median_diameter
from microshot.nn.geometry import halo_px, side_multiple
from microshot.settings.density import DensitySettings
from microshot.tasks.base import Recipe
from microshot.tasks.counting.base import checked_thresholds, true_count
from microshot.tasks.hyper import Hyper, all_synthetic, patch_side, resolved
from microshot.tasks.object_scale import clipped, preparation
from microshot.tasks.segmenting import recipes as segmenting
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.data.dataset import Sample
    from microshot.tasks.base import Intent

#: Median diameter of objects at the scale the network works at, in px.
WORKING_DIAMETER_PX = 16.0
#: Diameters guessed from points stay within these; images with objects of a size between the
#: next two are used at their own scale.
GUESSED_PX = (6.0, 64.0)
UNSCALED_PX = (8.0, 24.0)
#: How far from a point its object is looked for.
MOST_RADIUS_PX = 32
#: Images with counts only are reduced to this side, as they are trained on as a whole.
MOST_SIDE_PX = 768
#: Standard deviation of the spot of an object in diameters.
SPREAD = 0.3
#: Least standard deviation in values of the map; narrower spots would fall between them.
LEAST_SPREAD = 0.75
#: Weight of the count beside the map.
COUNT_WEIGHT = 0.2
#: Side of the patches in working diameters, and the least and greatest in px.
PATCH_DIAMETERS, PATCH_PX = 7.0, (64, 128)
#: The head, and the features before it: half of what outlines need.
HEAD = "foreground"
HEAD_FEATURES = 32
#: The usual random changes but for those of size and of the order of grey values: how much
#: brighter overlapping objects are than single ones tells how many they are.
STRENGTH = dataclasses.replace(
    STRENGTHS["standard"], scale=(1.0, 1.0), shear_deg=0, stretch=0, gamma=(1.0, 1.0)
)
FAST = Hyper(
    learning_rate=3e-3, batch_size=4, patch_px=0, augmentation="counting", ema=0.99,
    foreground_fraction=0.5,
)  # fmt: skip
#: With no more counted images and nothing else, a model that knows objects already counts better
#: (`benchmarks`, counting after a change of technique): after 4, 10 and 40 of a new stain, MAE 1.4
#: instead of 4.2, 1.2 instead of 1.8, 0.8 instead of 1.2.
FEW_COUNTED = 40
#: Training on synthetic images only prepares for real ones of whatever contrast.
PREPARE = dataclasses.replace(FAST, augmentation="contrasts")


def hyper(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Hyper:
    """Resolve automatic training values; patches get a side that the network can take."""
    fresh = start is None
    prepare = fresh and all_synthetic(samples)
    network = segmenting.architecture(settings, 1, HEAD) if fresh else start.architecture
    working = float(_preparation(samples, settings, start)["working_diameter_px"])
    usual = round(float(np.clip(PATCH_DIAMETERS * working, *PATCH_PX)))
    side = patch_side(settings.images.patch_px or usual, side_multiple(network))
    return resolved(PREPARE if prepare else FAST, settings, patch_px=side)


def remarks(samples: Sequence[Sample], unlabelled: Sequence[Sample], intent: Intent) -> list[str]:
    """Recommend the starter model where few counts are all there is to learn from."""
    fresh = getattr(intent.settings, "start", "") == "fresh"
    if not fresh or len(samples) > FEW_COUNTED or any(map(_is_marked, samples)):
        return []
    return [
        f"What objects are is hard to learn from {how_many(len(samples), 'count')} alone: mark the objects by "
        "points or label images, or try the starter model cells-density (Start from)."
    ]


def _is_marked(sample: Sample) -> bool:
    return sample.labels is not None or sample.points is not None


def recipe(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Recipe:
    """Choose scale, normalisation and network; a retrained model keeps the last two."""
    n_channels = samples[0].image.n_channels
    prepared = _preparation(samples, settings, start)
    if start is not None:
        network = {**start.architecture, "in_channels": n_channels}
    else:
        network = _architecture(samples, settings, prepared)
    normalization = segmenting.normalization(settings, start)
    halo = {"halo_px": halo_px(network)}
    return Recipe(network, normalization, prepared, halo, checked_thresholds({}))


def strength_of(given: Hyper) -> Strength:
    """Return how strongly crops are changed."""
    return STRENGTH if given.augmentation == FAST.augmentation else STRENGTHS[given.augmentation]


def libraries(given: Hyper) -> tuple[str, ...]:
    """Return the large libraries that training needs beside PyTorch."""
    return augment.libraries(strength_of(given))


def _preparation(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> dict[str, Any]:
    """Choose the scale: that of the objects where labels or the user tell their size, else 1."""
    own = median_diameter([s.labels for s in samples if s.labels is not None])
    if start is not None or settings.images.diameter_px or own:
        return preparation(samples, settings, start, WORKING_DIAMETER_PX)
    guess = guessed_diameter(samples)
    if guess is not None:
        working, diameter = float(np.clip(guess, *UNSCALED_PX)), guess
    else:
        working = WORKING_DIAMETER_PX
        diameter = working * max(1.0, max(max(s.image.shape) for s in samples) / MOST_SIDE_PX)
    return {"working_diameter_px": working, "image_diameter_px": diameter, "each_image": False}


def guessed_diameter(samples: Sequence[Sample]) -> float | None:
    """Return about how large the objects around points are, in px; None without points.

    Twice the distance from the points at which the image becomes as it is elsewhere, but not
    more than the median distance between neighbours.
    """
    marked = [(s.image.pixels, s.points) for s in samples if s.points is not None]
    marked = [(pixels, points) for pixels, points in marked if len(points)]
    if not marked:
        return None
    contrast = np.mean([_contrast(pixels, points) for pixels, points in marked], axis=0)
    falling = contrast[int(contrast.argmax()) :]
    low = np.flatnonzero(falling < falling[0] / 4)
    radius = int(contrast.argmax()) + (int(low[0]) if len(low) else len(falling))
    neighbours = [d for _, points in marked for d in _nearest(points)]
    limit = float(np.median(neighbours)) if neighbours else np.inf
    return float(np.clip(min(2 * radius, limit), *GUESSED_PX))


def _contrast(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return how much more the image deviates from its median at each distance from points.

    (R,) for the distances 0, 1 … px; 0 is the mean deviation farther away.
    """
    from scipy.ndimage import distance_transform_edt

    away = np.ones(pixels.shape[1:], bool)
    y, x = np.clip(np.rint(points).astype(int), 0, np.array(away.shape) - 1).T
    away[y, x] = False
    distance = np.asarray(distance_transform_edt(away)).astype(int)
    values = pixels.astype(np.float32)
    deviation = np.abs(values - np.median(values, axis=(1, 2), keepdims=True)).mean(0)
    deviation /= deviation.mean() or 1.0
    rings = np.minimum(distance, MOST_RADIUS_PX).ravel()
    sums = np.bincount(rings, deviation.ravel(), MOST_RADIUS_PX + 1)
    sizes = np.bincount(rings, minlength=MOST_RADIUS_PX + 1)
    means = sums / np.maximum(sizes, 1)
    elsewhere = means[-1] if sizes[-1] else means[sizes > 0][-1]
    return np.where(sizes > 0, means - elsewhere, 0)[:-1]


def _nearest(points: np.ndarray) -> np.ndarray:
    """Return the distance of every point to the nearest other one, in px."""
    from scipy.spatial import KDTree

    if len(points) < 2:
        return np.zeros(0)
    return KDTree(points).query(points, 2)[0][:, 1]


def _architecture(
    samples: Sequence[Sample], settings: Any, prepared: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the network that the settings describe, beginning with the right mean density."""
    a = segmenting.architecture(settings, samples[0].image.n_channels, HEAD)
    working = float(prepared["working_diameter_px"])
    scale = clipped(working / float(prepared["image_diameter_px"]))
    per_px = [(true_count(s) or 0.0) / float(np.prod(s.image.shape)) for s in samples]
    part = density_settings(settings).spread or SPREAD
    return {
        **a,
        "name": "density",
        "head_features": HEAD_FEATURES,
        "count_weight": density_settings(settings).count_weight or COUNT_WEIGHT,
        "spread_px": round(max(part * working, LEAST_SPREAD * a["grid"]), 3),
        "initial_density": float(np.mean(per_px)) / scale**2,
    }


def density_settings(settings: Any) -> DensitySettings:
    """Return the counter's own settings; those of a retraining have none."""
    count = getattr(settings, "count", None)
    return DensitySettings() if count is None else count.density


def checked(given: Recipe) -> Recipe:
    """Return the recipe of a model file with what is optional filled in.

    Raises
    ------
    ValueError
        If the network is none that can be built, or a number makes no sense.
    """
    a = given.architecture
    made = segmenting.checked_network(given, WORKING_DIAMETER_PX)
    if a["head"] != HEAD:
        raise ValueError(
            f"Network: expected the head {HEAD} of a density counter, found {a['head']!r:.60}."
        )
    segmenting.number(a, "initial_density", 0.0, 0.0, 1e6)
    numbers = {
        "spread_px": segmenting.number(a, "spread_px", 3.0, 1e-2, 1e4),
        "count_weight": segmenting.number(a, "count_weight", COUNT_WEIGHT, 0.0, 1e6),
    }
    thresholds = checked_thresholds(given.thresholds)
    return dataclasses.replace(made, architecture={**a, **numbers}, thresholds=thresholds)
