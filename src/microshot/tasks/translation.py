"""From bright-field planes to stains in the camera's own numbers, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.image import Image
from microshot.inference.blending import run_blended
from microshot.nn.translator_geometry import has_mask, side_multiple
from microshot.progress import Progress, silent
from microshot.tasks.translate_recipe import stain_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Sample
    from microshot.tasks.base import Network, Recipe

#: Pixel sizes that differ by more are another magnification.
PIXEL_SIZE_TOLERANCE = 0.1


@dataclass(frozen=True)
class Options:
    """What a user may change when predicting."""

    tile_px: int = 1024
    """Greatest side of a tile; the model's own is never exceeded."""


@dataclass(frozen=True, eq=False)
class RawTranslation:
    """What the network said of one image."""

    stains: np.ndarray
    """(T, Y, X) float32 in the network's range."""
    mask: np.ndarray | None = None
    """(Y, X) float16 probability of a nucleus, from networks that know it."""
    pixel_size_um: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Translation:
    """Stains predicted for one image."""

    stains: Image
    """(T, Y, X) float32 in the camera's own numbers; not clamped."""
    mask_probability: np.ndarray | None = None
    """(Y, X) float32."""
    mask_threshold: float = 0.5
    notes: tuple[str, ...] = ()
    """Warnings for the user, one sentence each."""

    @property
    def mask(self) -> np.ndarray | None:
        """(Y, X) bool: where nuclei are; None from networks that do not know."""
        if self.mask_probability is None:
            return None
        return self.mask_probability > self.mask_threshold

    @property
    def confidence(self) -> float | None:
        """How sure the network is of the mask on average, 0 to 1; None without one."""
        if self.mask_probability is None:
            return None
        return float(np.abs(2 * self.mask_probability - 1).mean())

    def as_camera(self, dtype: type[np.unsignedinteger] = np.uint16) -> np.ndarray:
        """Return the stains (T, Y, X) as whole numbers, kept within the type's range."""
        return clamped(self.stains.pixels, dtype)


def clamped(pixels: np.ndarray, dtype: type[np.unsignedinteger] = np.uint16) -> np.ndarray:
    """Round `pixels` and keep them within the range of `dtype`; never wraps around."""
    limits = np.iinfo(dtype)
    return np.clip(np.rint(pixels), limits.min, limits.max).astype(dtype)


def raw_output(
    network: Network, recipe: Recipe, sample: Sample, options: Options, progress: Progress = silent
) -> RawTranslation:
    """Run the network over one image of any size."""
    return translate_together([(network, recipe)], sample, options, progress)[0]


def translate_together(
    models: Sequence[tuple[Network, Recipe]],
    sample: Sample,
    options: Options,
    progress: Progress = silent,
) -> list[RawTranslation]:
    """Run several networks over the same tiles of one image.

    Each normalises the whole image in its own way. Tiles are as small and as aligned as the most
    demanding network asks.

    Raises
    ------
    ValueError
        If the image has another number of planes than a network takes.
    """
    image, steps, counts = sample.image, [], []
    for network, recipe in models:
        a = recipe.architecture
        if image.n_channels != int(a["in_channels"]):
            raise ValueError(
                f"{sample.name}: expected {a['in_channels']} plane(s) as in the model's training "
                f"images, found {image.n_channels}; choose the same planes in the same order."
            )
        normalization = recipe.normalization.for_image(image.pixels)
        steps.append((network, normalization))
        counts.append(int(a["out_channels"]) + has_mask(a))

    def together(tile: np.ndarray) -> np.ndarray:
        return np.concatenate([net(norm.apply(tile[0])[None]) for net, norm in steps], axis=1)

    blended = run_blended(
        together,
        image.pixels,
        sum(counts),
        tile_px=min([options.tile_px, *(int(r.tile["tile_px"]) for _, r in models)]),
        multiple=max(side_multiple(r.architecture) for _, r in models),
        progress=progress,
    )
    parts = np.split(blended, np.cumsum(counts)[:-1])
    return [_raw(part, recipe, sample) for part, (_, recipe) in zip(parts, models, strict=True)]


def _raw(output: np.ndarray, recipe: Recipe, sample: Sample) -> RawTranslation:
    n = int(recipe.architecture["out_channels"])
    mask = output[n].astype(np.float16) if has_mask(recipe.architecture) else None
    return RawTranslation(
        output[:n], mask, sample.image.pixel_size_um, tuple(_magnification(recipe, sample))
    )


def _magnification(recipe: Recipe, sample: Sample) -> list[str]:
    """Say where an image was taken at another magnification than the model was trained for."""
    own, here = recipe.preparation.get("pixel_size_um"), sample.image.pixel_size_um
    if not own or not here or abs(here / own - 1) <= PIXEL_SIZE_TOLERANCE:
        return []
    return [
        f"{sample.name}: one pixel is {here:g} µm, but {own:g} µm in the model's training images; "
        "use a model for this magnification."
    ]


def decoded(raw: RawTranslation, recipe: Recipe) -> Translation:
    """Bring what the network said back to the camera's own numbers."""
    pixels = stain_range(recipe).invert(raw.stains)
    stains = Image(pixels, raw.pixel_size_um, tuple(recipe.preparation["targets"]))
    mask = None if raw.mask is None else raw.mask.astype(np.float32)
    return Translation(stains, mask, float(recipe.thresholds.get("mask", 0.5)), raw.notes)
