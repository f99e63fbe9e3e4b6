"""Batches and losses of the density counter (imports torch)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microshot.data.augment import Augmenter
from microshot.data.objects import centroids
from microshot.data.patches import draw_patch, mirrored
from microshot.nn.density import density_loss
from microshot.nn.geometry import side_multiple
from microshot.tasks.batches import Patch, collate, n_validation_patches, validation
from microshot.tasks.counting.density_maps import spots
from microshot.tasks.counting.density_recipes import strength_of
from microshot.training.trainer import Batch, Losses, Player, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from microshot.tasks.base import Recipe
    from microshot.tasks.counting.density import Counted
    from microshot.tasks.hyper import Hyper
    from microshot.tasks.lesson import Lesson

#: Whole images with counts only: so many times the pixels of a batch of patches, at most.
_WHOLE_PX = 4
#: Most places along a side of a patch; their numbers, up to its square, are exact in float32.
_MOST_PLACES = 4096


class Batches:
    """Draws training batches; batch *i* depends only on the seed and *i*.

    A batch is either patches of images with labels or points, or whole images with counts
    only: what part of a count lies in a patch is not known. Both come in proportion to the
    images there are, and to the part of synthetic ones.
    """

    def __init__(self, lesson: Lesson[Counted, Hyper]) -> None:
        self.hyper, self.seed, self.recipe = lesson.hyper, lesson.seed, lesson.recipe
        natural, synthetic = lesson.natural, lesson.synthetic
        strength = strength_of(self.hyper)
        middle = self.recipe.normalization.middle
        self.augment = Augmenter(strength, middle)
        self.augment_whole = Augmenter(strength.of_shades, middle)
        self.margin = self.augment.margin(self.hyper.patch_px)
        share = self.hyper.synthetic_fraction if natural and synthetic else float(bool(synthetic))
        pools = ((natural, 1 - share), (synthetic, share))
        self.placed = [([c for c in p if c.known != "count"], s / max(len(p), 1)) for p, s in pools]
        self.counted = [
            ([c for c in p if c.known == "count"], s / max(len(p), 1)) for p, s in pools
        ]

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step (see `collate` and `nn.density.density_loss`)."""
        rng = np.random.default_rng((self.seed, step))
        placed, counted = (sum(len(p) * s for p, s in k) for k in (self.placed, self.counted))
        size = self.hyper.batch_size
        if rng.random() * (placed + counted) < placed:
            return collate([self._patch(_draw(self.placed, rng), rng) for _ in range(size)])
        items = [_draw(self.counted, rng) for _ in range(size)]
        most = _WHOLE_PX * size * self.hyper.patch_px**2
        side = _side(items, self.recipe)
        items = items[: max(1, most // side**2)]
        side = _side(items, self.recipe)
        return collate([self._whole(item, side, rng) for item in items])

    def _patch(self, item: Counted, rng: np.random.Generator) -> Patch:
        size, field = self.hyper.patch_px, item.field
        image, labels = draw_patch(field, size, rng, self.hyper.foreground_fraction, self.margin)
        if item.known == "labels":
            image, labels = self.augment(image, labels, size, rng)
            return patch(image, centroids(labels), labels >= 0, self.recipe)
        source, block = places(labels.shape[0])
        image, source = self.augment(image, source, size, rng)
        points = moved(dots_of(labels), source, labels.shape[0], block)
        return patch(image, points, seen(labels, source, block), self.recipe)

    def _whole(self, item: Counted, side: int, rng: np.random.Generator) -> Patch:
        image, inside = _padded(item, side)
        image, inside = self.augment_whole(image, inside, side, rng)
        return whole(image, inside > 0, item.count, self.recipe)


def _draw(pools: Sequence[tuple[list[Counted], float]], rng: np.random.Generator) -> Counted:
    """Draw one of the items, each with the weight of its pool."""
    at = rng.random() * sum(len(items) * weight for items, weight in pools)
    (first, weight), (second, _) = pools
    pool = first if (first and at < len(first) * weight) or not second else second
    return pool[int(rng.integers(len(pool)))]


def dots_of(dots: np.ndarray) -> np.ndarray:
    """Return the points (n, 2) of a map that says how many lie in each pixel."""
    y, x = np.nonzero(dots > 0)
    return np.repeat(np.stack([y, x], 1), dots[y, x], axis=0).astype(np.float64)


def places(side: int) -> tuple[np.ndarray, int]:
    """Return a number for every place of a patch (side, side), and the side of a place in px.

    Places are pixels, but blocks of them in huge patches: the numbers travel as float32.
    """
    block = -(-side // _MOST_PLACES)
    at = np.arange(side, dtype=np.int32) // block
    return at[:, None] * (int(at[-1]) + 1) + at, block


def seen(dots: np.ndarray, source: np.ndarray, block: int = 1) -> np.ndarray:
    """Return where a changed patch shows what was looked at, (P, P) bool.

    Parameters
    ----------
    dots : (S, S) points per pixel of the patch before; negative = ignore.
    source : (P, P) int32, for every pixel afterwards the place it was (see `places`).
    """
    last = dots.shape[0] - 1
    row, column = np.divmod(source, -(-dots.shape[0] // block))
    middle = block // 2
    return (
        dots[np.minimum(row * block + middle, last), np.minimum(column * block + middle, last)] >= 0
    )


def moved(points: np.ndarray, source: np.ndarray, side: int, block: int = 1) -> np.ndarray:
    """Return where points of a patch lie after it was changed; those outside are left out.

    Parameters
    ----------
    points : (n, 2) y and x in the patch before.
    source : (P, P) int32, for every pixel afterwards the place it was (see `places`).
    side : of the patch before, in px.

    Notes
    -----
    All changes of shape are affine. The map back is fitted to `source` by least squares,
    which averages out that places are whole, and inverted.
    """
    step = max(1, source.shape[0] // 32)
    y, x = np.mgrid[: source.shape[0] : step, : source.shape[1] : step]
    here = np.stack([y.ravel(), x.ravel(), np.ones(y.size)], 1)
    place = np.stack(np.divmod(source[::step, ::step].ravel(), -(-side // block)), 1)
    there = place * block + (block - 1) / 2
    back = np.linalg.lstsq(here, there, rcond=None)[0]  # (3, 2)
    new = (points - back[2]) @ np.linalg.inv(back[:2])
    inside = (new >= -0.5) & (new < np.asarray(source.shape) - 0.5)
    return new[inside.all(axis=1)]


def patch(image: np.ndarray, points: np.ndarray, known: np.ndarray, recipe: Recipe) -> Patch:
    """Return what the loss needs of a patch (C, P, P) with objects at `points`."""
    grid, spread = int(recipe.architecture["grid"]), float(recipe.architecture["spread_px"])
    weight = _reduced(known, grid, np.min)
    density = spots(points, weight.shape, spread, grid)
    return {
        "image": image, "density": density, "weight": weight,
        "count": np.array((density * weight).sum(), np.float32), "placed": np.array(1, np.float32),
    }  # fmt: skip


def whole(image: np.ndarray, inside: np.ndarray, count: float, recipe: Recipe) -> Patch:
    """Return what the loss needs of an image (C, S, S) that is `inside` and has a count only."""
    weight = _reduced(inside, int(recipe.architecture["grid"]), np.max)
    return {
        "image": image, "density": np.zeros_like(weight), "weight": weight,
        "count": np.array(count, np.float32), "placed": np.array(0, np.float32),
    }  # fmt: skip


def _reduced(mask: np.ndarray, grid: int, how: Callable[..., np.ndarray]) -> np.ndarray:
    """Return a mask (P, P) per value of the map, (P/g, P/g) float32."""
    n = mask.shape[0] // grid
    return how(mask.reshape(n, grid, n, grid), axis=(1, 3)).astype(np.float32)


def _side(items: Sequence[Counted], recipe: Recipe) -> int:
    """Return the side of the smallest square that holds all the images."""
    multiple = side_multiple(recipe.architecture)
    longest = max(max(item.field.labels.shape) for item in items)
    return -(-longest // multiple) * multiple


def _padded(item: Counted, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the image mirrored to (C, side, side), and 1 where it is its own, (side, side)."""
    height, width = item.field.labels.shape
    places = np.arange(side)
    image = item.field.image[:, mirrored(places, height)[:, None], mirrored(places, width)[None]]
    inside = (places < height)[:, None] & (places < width)[None]
    return image, inside.astype(np.int32)


def stage(model: nn.Module, lesson: Lesson[Counted, Hyper]) -> Stage:
    """Return the training of a density network."""
    player = Player(
        "network",
        list(model.parameters()),
        lambda batch: loss_of(model, batch, lesson.recipe),
        lesson.hyper.learning_rate,
    )
    check = _validation(lesson) if lesson.validation else None
    return Stage("training", [player], Batches(lesson), check)


def loss_of(model: nn.Module, batch: Batch, recipe: Recipe) -> Losses:
    """Return the loss of a batch and its terms."""
    return density_loss(
        model(batch["image"])[:, 0], batch["density"], batch["weight"], batch["count"],
        batch["placed"], unit=float(model.unit),  # type: ignore[arg-type]
        count_weight=float(recipe.architecture["count_weight"]),
    )  # fmt: skip


def _validation(lesson: Lesson[Counted, Hyper]) -> Callable[[nn.Module], dict[str, float]]:
    """Return a function that computes the loss on fixed, unchanged patches and whole images."""
    items, hyper, recipe = lesson.validation, lesson.hyper, lesson.recipe
    rng = np.random.default_rng((lesson.seed, 2**31))
    size, made = hyper.patch_px, []
    for index in range(n_validation_patches(len(items), hyper)):
        item = items[index % len(items)]
        if item.known == "count":
            if index < len(items):
                image, inside = _padded(item, _side([item], recipe))
                made.append(whole(image, inside > 0, item.count, recipe))
            continue
        image, labels = draw_patch(item.field, size, rng, hyper.foreground_fraction)
        points = centroids(labels) if item.known == "labels" else dots_of(labels)
        made.append(patch(image, points, labels >= 0, recipe))

    return validation(made, 1, lambda model, batch: loss_of(model, batch, recipe))  # sizes differ
