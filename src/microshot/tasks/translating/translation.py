"""From bright-field planes to stains in the camera's own numbers, tile by tile."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.image import Image
from microshot.data.scale import resize_image, scaled_shape
from microshot.inference.blending import n_tiles, run_blended
from microshot.inference.predictor import MANY_TILES, give_back
from microshot.metrics.conformal_maps import ConfidenceMaps, MaskCalibration, grown
from microshot.metrics.stain_features import places_of
from microshot.nn.translator_geometry import has_mask, side_multiple
from microshot.progress import Progress, silent, span
from microshot.tasks.base import image_for
from microshot.tasks.translating import magnification, stacks
from microshot.tasks.translating.magnification import scale_for
from microshot.tasks.translating.recipes import names_of_stains, stain_range
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Sample
    from microshot.data.normalize import Normalization
    from microshot.inference.predictor import Network
    from microshot.tasks.base import Recipe


#: Said where confidence is asked for and no model has a ``confidence`` among its thresholds.
NO_CONFIDENCE = (
    "No model can tell its confidence: none was taught by label images and checked on labelled "
    "images it had not seen (8 labelled images in training, or the check in retraining)."
)


@dataclass(frozen=True)
class Options:
    """What a user may change when predicting."""

    tile_px: int = 0
    """Greatest side of a tile; the model's own is never exceeded."""
    magnification: str = "warn"
    """What is done where pixel sizes differ: ``warn``, ``rescale`` or ``refuse``."""
    allowed_error: float = 0.05
    """Part of each class's pixels that may be told to be surely the other."""


@dataclass(frozen=True, eq=False)
class RawTranslation:
    """What the network said of one image."""

    stains: np.ndarray
    """(T, Y, X) float32 in the network's range."""
    mask: np.ndarray | None = None
    """(Y, X) float16 probability of a nucleus, from networks that know it."""
    pixel_size_um: float | None = None
    notes: tuple[stacks.Oddity, ...] = ()


@dataclass(frozen=True, eq=False)
class Translation:
    """Stains predicted for one image."""

    stains: Image
    """(T, Y, X) float32 in the camera's own numbers; not clamped."""
    mask_probability: np.ndarray | None = None
    """(Y, X) float32."""
    mask_threshold: float = 0.5
    calibration: MaskCalibration | None = None
    """What confidence is told from; None where the model was not checked on unseen images."""
    allowed_error: float = 0.05
    notes: tuple[stacks.Oddity, ...] = ()
    """Warnings for the user; `stacks.told` tells those of all images together."""

    @property
    def mask(self) -> np.ndarray | None:
        """(Y, X) bool: where nuclei are; None from networks that do not know."""
        if self.mask_probability is None:
            return None
        return self.mask_probability > self.mask_threshold

    @cached_property
    def maps(self) -> ConfidenceMaps | None:
        """How far the mask can be trusted at every pixel; None where that is not known."""
        if self.mask_probability is None or self.calibration is None:
            return None
        return self.calibration.maps(self.mask_probability)

    @property
    def confidence(self) -> float | None:
        """How sure it is, on average over the pixels, that they are not of the other class, 0 to 1."""
        return None if self.maps is None else float(self.maps.confidence.mean())

    @property
    def certain(self) -> float | None:
        """Part of the pixels, 0 to 1, at which one class alone remains possible."""
        return None if self.maps is None else self.maps.certain(self.allowed_error)

    @property
    def seeds(self) -> np.ndarray | None:
        """(Y, X) int32 ids of the regions that are surely nuclei."""
        return None if self.maps is None else self.maps.seeds(self.allowed_error)

    @property
    def nuclei(self) -> np.ndarray | None:
        """(Y, X) int32 ids: `seeds` grown over the mask by watershed."""
        seeds, mask, probability = self.seeds, self.mask, self.mask_probability
        if seeds is None or mask is None or probability is None:
            return None
        return grown(seeds, probability, mask | (seeds > 0))

    def measured(self, sample: Sample) -> np.ndarray:
        """Return the measured stains of `sample` (T, Y, X) in the order of the predicted ones.

        Their names tell which is which; where they do not, the order is taken to be the same.

        Raises
        ------
        ValueError
            If the sample has none, or another number of them.
        """
        truth, n = sample.target, self.stains.n_channels
        if truth is None:
            raise ValueError(f"{sample.name}: has no measured stain to compare with.")
        if truth.n_channels != n:
            raise ValueError(
                f"{sample.name}: expected {how_many(truth.n_channels, 'predicted stain')} as measured, "
                f"found {n}."
            )
        places = places_of(names_of_stains(self.stains), names_of_stains(truth))
        return truth.pixels if places is None else truth.pixels[places]

    def as_camera(self) -> np.ndarray:
        """Return the stains (T, Y, X) uint16, rounded."""
        return clamped(self.stains.pixels)


def clamped(pixels: np.ndarray) -> np.ndarray:
    """Round `pixels` to uint16 and keep them within its range; never wraps around."""
    return np.clip(np.rint(pixels), 0, 65535).astype(np.uint16)


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
    """Run several networks over the same tiles of one image, one after the other.

    Each normalises the whole image in its own way. Tiles are as small and as aligned as the most
    demanding network asks. Models that the image is rescaled for share a pass with those of
    the same scale, and models of one plane, if it is a grey image saved in colour, with each other.

    Raises
    ------
    ValueError
        If the image has another number of planes than a network takes, or another pixel size that
        is to be refused.
    """
    found: list[RawTranslation | None] = [None] * len(models)
    taken = [
        dataclasses.replace(sample, image=image_for(sample, recipe, planes=True))
        for _, recipe in models
    ]
    scales = [scale_for(recipe, sample, options.magnification) for _, recipe in models]
    passes = [(s.image.n_channels, scale) for s, scale in zip(taken, scales, strict=True)]
    order = list(dict.fromkeys(passes))
    for step, one in enumerate(order):
        mine = [i for i, own in enumerate(passes) if own == one]
        seen, scale = taken[mine[0]], scales[mine[0]]
        here = span(progress, step / len(order), (step + 1) / len(order))
        outputs = _one_pass([models[i] for i in mine], _rescaled(seen, scale), options, here)
        for i, output in zip(mine, outputs, strict=True):
            whole = resize_image(output, sample.image.shape)
            found[i] = _raw(whole, models[i][1], seen, scale)
    return [raw for raw in found if raw is not None]


def _one_pass(
    models: Sequence[tuple[Network, Recipe]], sample: Sample, options: Options, progress: Progress
) -> list[np.ndarray]:
    """Return what each network says of the image, (stains and mask, Y, X) float32.

    One network after the other works through the tiles, and in large images gives its memory back
    before the next one begins: so the greediest of them decides how much is needed, not their sum.
    """
    image = sample.image
    own = min(int(r.tile["tile_px"]) for _, r in models)
    tile_px = min(options.tile_px or own, own)
    multiple = max(side_multiple(r.architecture) for _, r in models)
    many = len(models) > 1 and n_tiles(image.shape, tile_px, multiple) >= MANY_TILES
    found = []
    for index, (network, recipe) in enumerate(models):
        norm, a = recipe.normalization.for_image(image.pixels), recipe.architecture

        def normalised(
            tile: np.ndarray, net: Network = network, norm: Normalization = norm
        ) -> np.ndarray:
            return net(norm.apply(tile[0])[None])

        here = span(progress, index / len(models), (index + 1) / len(models))
        found.append(
            run_blended(
                normalised, image.pixels, int(a["out_channels"]) + has_mask(a), tile_px=tile_px,
                multiple=multiple, progress=here,
            )
        )  # fmt: skip
        if many:
            give_back(network, image.n_channels, side_multiple(a))
    return found


def _raw(output: np.ndarray, recipe: Recipe, sample: Sample, scale: float) -> RawTranslation:
    n = int(recipe.architecture["out_channels"])
    mask = output[n].astype(np.float16) if has_mask(recipe.architecture) else None
    notes = [*magnification.oddities(recipe, sample, scale), *_oddities(recipe, sample)]
    return RawTranslation(output[:n], mask, sample.image.pixel_size_um, tuple(notes))


def _rescaled(sample: Sample, scale: float) -> Sample:
    if scale == 1.0:
        return sample
    pixels = resize_image(sample.image.pixels, scaled_shape(sample.image.shape, scale))
    image = dataclasses.replace(sample.image, pixels=pixels)
    return dataclasses.replace(
        sample, image=image, labels=None, points=None, target=None
    )  # fmt: skip


def _oddities(recipe: Recipe, sample: Sample) -> list[stacks.Oddity]:
    """Say where a stack differs from those of the training in ways that stain it wrongly.

    One grey value everywhere is told elsewhere (`trust`).
    """
    p, found = recipe.preparation, stacks.other_greys(sample, recipe.normalization)
    if p.get("focus_curve") is not None:
        found += stacks.reversed_order(sample, p["focus_curve"])
    if not p.get("colour"):
        found += stacks.coloured(sample)
    if np.ptp(sample.image.pixels):
        found += stacks.flat(sample)
    return found + stacks.saturated(dataclasses.replace(sample, target=None))


def decoded(raw: RawTranslation, recipe: Recipe, options: Options) -> Translation:
    """Bring what the network said back to the camera's own numbers."""
    pixels = stain_range(recipe).invert(raw.stains)
    stains = Image(pixels, raw.pixel_size_um, tuple(recipe.preparation["targets"]))
    mask = None if raw.mask is None else raw.mask.astype(np.float32)
    known = recipe.thresholds.get("confidence")
    return Translation(
        stains,
        mask,
        float(recipe.thresholds.get("mask", 0.5)),
        None if known is None else MaskCalibration.from_json(known),
        options.allowed_error,
        raw.notes,
    )
