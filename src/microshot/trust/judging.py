"""Judging predictions by what a model remembers of its training images and of its errors.

Learned when a model is made and kept in its card's calibration; older model files know neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.dataset import spaced
from microshot.data.objects import object_diameters
from microshot.data.scale import resize_image, resize_window, scaled_shape
from microshot.metrics.labels import match
from microshot.metrics.texture import looked_at, signature
from microshot.progress import Progress, each, silent
from microshot.trust import certainty, likeness
from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.bundle import Card
    from microshot.data.dataset import Sample
    from microshot.tasks.base import Recipe

#: Widths in px of the blurs that stand for images out of focus.
OUT_OF_FOCUS_PX = (2.0, 4.0)
#: IoU from which on an object is right.
RIGHT_FROM = 0.5
_DIAMETER = "image_diameter_px"
#: Why nothing can be said of what was found in an image without contrast.
BLANK_WORDS = "one grey value everywhere"


@dataclass(frozen=True, eq=False)
class Trust:
    """What is said of one prediction beside the prediction itself."""

    unlike: float | None = None
    """0 or more, above 1 the image is unlike the training images; None = this cannot be said."""
    warning: str | None = None
    """What is different, in plain words; empty where nothing is, None = this cannot be said."""
    confidences: np.ndarray | None = None
    """(n,) float64, how often such objects are right; None = the model cannot say."""

    @property
    def confidence(self) -> float | None:
        """Mean confidence of the objects; None where it is not known or there are none."""
        known = self.confidences
        return None if known is None or not len(known) else float(known.mean())


class Judge:
    """Judges predictions by what a model remembers.

    Raises
    ------
    ValueError
        If the model file holds senseless numbers.
    """

    def __init__(self, card: Card, recipe: Recipe, diameter_px: float = 0.0) -> None:
        known = card.calibration
        self.likeness = likeness.Likeness.from_json(known.get("likeness"))
        self.curve = certainty.curve_of(known)
        self.learned = _size(known.get(_DIAMETER))
        self.now = diameter_px or _size(recipe.preparation.get(_DIAMETER))

    def __call__(self, sample: Sample, found: Any) -> Trust:
        """Judge what a model found in one image."""
        probability = getattr(found, "probability", None)
        confidences = None
        if self.curve is not None and probability is not None:
            confidences = self.curve(probability)
        if _is_blank(sample.image.pixels):
            return Trust(warning=BLANK_WORDS, confidences=confidences)
        diameters = _diameters(getattr(found, "labels", None))
        alike = self.looks(sample.image.pixels, diameters, getattr(found, "diameter_px", 0.0))
        return replace(alike, confidences=confidences)

    def looks(self, pixels: np.ndarray, diameters: np.ndarray, diameter_px: float = 0.0) -> Trust:
        """Judge the looks of an image, or of a part that stands for it.

        Parameters
        ----------
        pixels : (C, Y, X) in numbers of the camera.
        diameters : (n,) in px, of the objects found in the image.
        diameter_px : what objects were taken to measure; 0 = what is known.
        """
        now = diameter_px or self.now
        scale = self.learned / now if self.learned and now else 1.0
        look = None if self.likeness is None else _look(pixels, scale)
        if self.likeness is None or look is None:
            return Trust()
        verdict = self.likeness.judge(look, scale * diameters)
        return Trust(verdict.score, verdict.warning)


def _is_blank(pixels: np.ndarray) -> bool:
    """Say whether an image (C, Y, X) has but one grey value in each channel."""
    return bool((pixels == pixels[:, :1, :1]).all())


def together(every: Sequence[Trust]) -> Trust:
    """Return what several models say of one image: the greatest score and all warnings."""
    known = [one.unlike for one in every if one.unlike is not None]
    warnings = dict.fromkeys(one.warning for one in every if one.warning is not None)
    said = ", ".join(filter(None, warnings)) if warnings else None
    return Trust(max(known, default=None), said)


def joined(warnings: Sequence[str | None]) -> str:
    """Return one sentence about the warnings of all images, one each; empty if there is none."""
    n = sum(bool(w) for w in warnings)
    if not n:
        return ""
    kinds: dict[str, int] = {}
    for warning in filter(None, warnings):
        kinds[warning] = kinds.get(warning, 0) + 1
    told = ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items(), key=_by_count))
    return (
        f"{n} of {how_many(len(warnings), 'image')} {form(n, 'is', 'are')} unlike the training images "
        f"({told}): check the results there, or label one of them and retrain."
    )


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _size(value: Any) -> float:
    """Return a diameter of a model file in px; 0 where it has none."""
    return float(value) if type(value) in (int, float) and 1e-3 < value < 1e6 else 0.0


def learned(
    shown: Sequence[Sample],
    examples: Sequence[Any],
    recipe: Recipe,
    progress: Progress = silent,
    *,
    brief: bool = False,
) -> dict[str, Any]:
    """Return what a model remembers to judge its predictions by.

    Parameters
    ----------
    shown : images that stand for those it is meant for.
    examples : scored images (`fitting.Example`); only those count that the model had not seen.
    brief : whether to look at a few images only, for users who do not want to wait.
    """
    made: dict[str, Any] = {}
    most = likeness.MOST_VARIED if brief else likeness.MOST_KEPT
    samples = [shown[i] for i in spaced(range(len(shown)), most)]
    looks, sizes = [], []
    for sample in each(samples, len(samples), progress, "remembering image"):
        look = signature(sample.image.pixels)
        looks += [] if look is None else [look]
        diameters = _diameters(sample.labels)
        if len(diameters) >= likeness.LEAST_OBJECTS:
            sizes.append(float(np.median(diameters)))
    known = likeness.Likeness.of(looks, sizes, {} if brief else _variants(samples, progress))
    if known is not None:
        made["likeness"] = known.to_json()
    if _DIAMETER in recipe.preparation:
        made[_DIAMETER] = float(recipe.preparation[_DIAMETER])
    objects = [objects_of(e) for e in examples if e.held_out and not e.sample.partly_known]
    objects = [pair for pair in objects if pair is not None]
    if objects:
        made["confidence"] = certainty.calibrated(objects)
    return made


def objects_of(example: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return probability and truth of the objects of an image; None without labels."""
    truth, found = example.sample.labels, getattr(example.prediction, "labels", None)
    if truth is None or found is None:
        return None
    right = np.zeros(len(example.prediction.probability), bool)
    hits = [prediction for _, prediction in match(truth, found, RIGHT_FROM).pairs]
    right[np.array(hits, int) - 1] = True
    return example.prediction.probability, right


def _look(pixels: np.ndarray, scale: float) -> np.ndarray | None:
    """Return the signature of an image at the scale of the training images."""
    if abs(scale - 1) < 0.05:
        return signature(pixels)
    shape = (pixels.shape[1], pixels.shape[2])
    scaled = scaled_shape(shape, scale)

    def read(rows: slice, columns: slice) -> np.ndarray:
        return pixels[:, rows, columns]

    return signature(resize_window(read, shape, scaled, *looked_at(scaled)))


def _variants(samples: Sequence[Sample], progress: Progress) -> dict[str, list[np.ndarray]]:
    """Return signatures of some images as they would be out of focus and at other magnifications."""
    from scipy.ndimage import gaussian_filter

    made: dict[str, list[np.ndarray | None]] = {}
    for index in spaced(range(len(samples)), likeness.MOST_VARIED):
        progress(1.0, "remembering how images would look out of focus")
        pixels = np.asarray(samples[index].image.pixels, np.float32)
        width = OUT_OF_FOCUS_PX[index % len(OUT_OF_FOCUS_PX)]
        blurred = np.stack([gaussian_filter(plane, width, mode="nearest") for plane in pixels])
        made.setdefault(likeness.BLURRED, []).append(signature(blurred))
        half = scaled_shape((pixels.shape[1], pixels.shape[2]), 0.5)
        top, left = ((n - m) // 2 for n, m in zip(pixels.shape[1:], half, strict=True))
        inner = pixels[:, top : top + half[0], left : left + half[1]]
        larger = resize_image(inner, scaled_shape(half, 2.0))
        made.setdefault(likeness.LARGER, []).append(signature(larger))
        made.setdefault(likeness.SMALLER, []).append(signature(resize_image(pixels, half)))
    return {name: [one for one in found if one is not None] for name, found in made.items()}


def _diameters(labels: np.ndarray | None) -> np.ndarray:
    """Return the diameters in px of circles of the objects' areas, (n,)."""
    return np.zeros(0) if labels is None else object_diameters(labels)
