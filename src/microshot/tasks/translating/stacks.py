"""What is odd about stacks of bright-field planes: saturation, colour, order, grey values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from microshot.data.dataset import Sample
    from microshot.data.image import Image
    from microshot.data.normalize import Normalization

#: Part of a plane's pixels at its greatest value from which on it counts as saturated.
SATURATED_FRACTION = 0.01
#: Sides of the blocks that planes are averaged over before their focus is measured, px.
FOCUS_BLOCK_PX = 2
#: Widths of the bands in which focus is measured, blocks.
FOCUS_SIGMA = 4.0
#: Stacks of fewer planes have no direction.
LEAST_PLANES = 3
#: A stack is reversed where its focus curve holds so much of the training's direction, negated.
REVERSED = -0.35
#: A focus curve that differs less from its own mirror image has no direction.
LEAST_DIRECTION = 0.3
#: How the order of planes is told.
_SEEN_BY = "(sharpness and contrast change the other way through focus)"
#: Median of a normalised plane, from 0 (least) to 1 (greatest), beyond which greys are others.
MOST_OUTSIDE = 2.0


@dataclass(frozen=True)
class Oddity:
    """Something odd about one stack."""

    kind: str
    """The same for all stacks of which the same is to be said."""
    image: str
    text: str


def told(found: Iterable[Oddity]) -> list[str]:
    """Return one sentence per kind: what is odd about its first image, and how many more are alike."""
    kinds: dict[str, dict[str, str]] = {}
    for one in found:
        kinds.setdefault(one.kind, {}).setdefault(one.image, one.text)
    notes = []
    for texts in kinds.values():
        (image, text), *others = texts.items()
        notes.append(f"{image}{f' and {len(others)} more' * bool(others)}: {text}")
    return notes


def saturated(sample: Sample) -> list[Oddity]:
    """Say which plane and which stain have lost most of their bright end."""
    made = []
    for what, image in (("plane", sample.image), ("stain", sample.target)):
        found = [(part, i) for i, p in enumerate(_pixels(image)) if (part := _at_the_top(p))]
        if not found:
            continue
        part, index = max(found, key=lambda one: one[0])
        top = _pixels(image)[index].max()
        made.append(
            _of_planes(
                f"saturated {what}", sample.name, what, len(found) - 1,
                f"{part:.0%} of {what} {index + 1} has the greatest value {top}",
                "it is saturated, expose it less", "they are saturated, expose them less",
            )
        )  # fmt: skip
    return made


def flat(sample: Sample) -> list[Oddity]:
    """Say which planes show nothing at all."""
    planes = sample.image.pixels
    found = [i for i, plane in enumerate(planes) if np.ptp(plane) == 0]
    if not found:
        return []
    first = found[0]
    return [
        _of_planes(
            "flat plane", sample.name, "plane", len(found) - 1,
            f"every pixel of plane {first + 1} has the value {planes[first].flat[0]:g}",
            "it shows nothing, record it again", "they show nothing, record them again",
        )
    ]  # fmt: skip


def _of_planes(
    kind: str, image: str, what: str, n_more: int, finding: str, one: str, many: str
) -> Oddity:
    """Return what is odd about a plane or stain and `n_more` others of the same image."""
    if not n_more:
        return Oddity(kind, image, f"{finding}; {one}.")
    alike = f"{how_many(n_more, f'more {what}')} {form(n_more, 'is', 'are')} alike"
    return Oddity(kind, image, f"{finding}, {alike}; {many}.")


def _pixels(image: Image | None) -> Sequence[np.ndarray]:
    return () if image is None else tuple(image.pixels)


def _at_the_top(pixels: np.ndarray) -> float:
    """Return the part of the pixels that have the greatest value; 0 where that is not saturation."""
    if pixels.dtype == np.float32 or np.ptp(pixels) == 0:
        return 0.0
    top = pixels.max()
    part = np.count_nonzero(pixels == top) / pixels.size
    below = np.count_nonzero(pixels == top - 1) / pixels.size
    return part if part > max(SATURATED_FRACTION, 3 * below) else 0.0


def refuse_coloured_stains(samples: Sequence[Sample]) -> None:
    """Refuse stains that are photographs in colour: which colour would be the stain is not known.

    Raises
    ------
    ValueError
        If a stain is one.
    """
    for sample in samples:
        if sample.target is not None and sample.target.is_colour:
            raise ValueError(
                f"{sample.name}: expected stains in shades of grey, found an image in colour (red, "
                "green, blue); export every stain as a grey image of its own."
            )


def coloured(sample: Sample) -> list[Oddity]:
    """Say so where a stack is a photograph in colour."""
    if not sample.image.is_colour:
        return []
    text = (
        "expected planes in shades of grey, found an image in colour, whose red, green and blue are "
        "taken for planes; export every plane as a grey image."
    )
    return [Oddity("colour", sample.name, text)]


def focus_curve(image: Image) -> list[list[float]]:
    """Return how the contrast of every plane of a stack looks, (C, 2) numbers.

    Per plane the logarithm of the contrast of small structures, less its mean over the planes, and
    tanh(skewness / 2) of their grey values: bright middles become dark ones through focus, which
    tells above from below. Neither depends on exposure.
    """
    rows = []
    for plane in image.pixels:
        band = _band(plane)
        deviation = float(band.std())
        skewness = float(np.mean(band**3)) / deviation**3 if deviation > 0 else 0.0
        brightness = float(np.mean(plane, dtype=np.float64))
        contrast = deviation / brightness if brightness > 0 else 0.0
        rows.append([np.log(max(contrast, 1e-6)), np.tanh(skewness / 2)])
    curve = np.asarray(rows)
    curve[:, 0] -= curve[:, 0].mean()
    return np.round(curve, 4).tolist()


def _band(plane: np.ndarray) -> np.ndarray:
    """Return the small structures of a plane, half as large in each direction, float64."""
    from scipy.ndimage import gaussian_filter

    n = FOCUS_BLOCK_PX
    height, width = (max(side // n, 1) * n if side >= n else side for side in plane.shape)
    small = np.asarray(plane[:height, :width], np.float64)
    if min(plane.shape) >= n:
        small = small.reshape(height // n, n, width // n, n).mean(axis=(1, 3))
    return small - gaussian_filter(small, FOCUS_SIGMA)


def mean_focus(samples: Sequence[Sample]) -> list[list[float]] | None:
    """Return the focus curve of training stacks; None for stacks without direction."""
    if samples[0].image.n_channels < LEAST_PLANES:
        return None
    curve = np.mean([focus_curve(s.image) for s in samples], axis=0)
    return np.round(curve, 4).tolist()


def reversed_order(sample: Sample, trained: Sequence[Sequence[float]]) -> list[Oddity]:
    """Say so where the planes of a stack seem to lie the other way around than in training."""
    if not _is_turned(focus_curve(sample.image), trained):
        return []
    text = (
        f"the planes seem to be in the opposite order to the model's training images {_SEEN_BY}; choose "
        "the columns in the order of the training."
    )
    return [Oddity("order", sample.name, text)]


def turned_around(
    samples: Sequence[Sample], old: Sequence[Sequence[float]] | None = None
) -> list[str]:
    """Say which training stacks lie the other way around than the others, and where all of them do.

    Parameters
    ----------
    samples : all with the same number of planes.
    old : `mean_focus` of the images that the model to start from has learned.
    """
    if samples[0].image.n_channels < LEAST_PLANES:
        return []
    curves = np.asarray([focus_curve(s.image) for s in samples])
    text = (
        f"the planes seem to be in the opposite order to those of the other images {_SEEN_BY}; give all "
        "stacks in one order, or the network learns from contradictions."
    )
    notes = told(Oddity("order", samples[i].name, text) for i in _against_the_rest(curves))
    if old is not None and _is_turned(curves.mean(axis=0), old):
        notes.append(
            "The planes seem to be in the opposite order to the images that the model to start from has "
            f"learned {_SEEN_BY}; if so, choose the columns the other way around, and it has less to learn anew."
        )
    return notes


def _against_the_rest(curves: np.ndarray) -> list[int]:
    """Return which of (N, C, 2) focus curves, at most half of them, run the other way around.

    The one that is most against the mean of the others is turned around before the next is sought.
    """
    directions, n = np.stack([_direction(c) for c in curves]), len(curves)
    found: list[int] = []
    for _ in range(n // 2):
        rest = (directions.sum(axis=0) - directions) / (n - 1)
        agreement = (directions * rest).sum(axis=(1, 2))
        size = (rest**2).sum(axis=(1, 2))
        agreement[found] = 0.0
        agreement[(size < LEAST_DIRECTION**2) | (agreement >= REVERSED * size)] = 0.0
        most = int(agreement.argmin())
        if agreement[most] == 0:
            break
        directions[most] *= -1
        found.append(most)
    return sorted(found)


def _is_turned(curve: Any, trained: Any) -> bool:
    """Say whether a focus curve runs the other way around."""
    if len(curve) != len(trained):
        return False
    direction = _direction(trained)
    size = float((direction**2).sum())
    if size**0.5 < LEAST_DIRECTION:
        return False
    return float((_direction(curve) * direction).sum()) / size < REVERSED


def _direction(curve: Any) -> np.ndarray:
    """Return what turns its sign when the planes are turned around, (C, 2)."""
    values = np.asarray(curve, np.float64)
    return values - values[::-1]


def other_greys(sample: Sample, fitted: Normalization) -> list[Oddity]:
    """Say so where grey values lie far from those that the model's normalisation was fitted to."""
    if fitted.offset is None or fitted.scale is None or fitted.kind == "zscore":
        return []
    medians = [float(np.median(plane)) for plane in sample.image.pixels]
    numbers = zip(medians, fitted.offset, fitted.scale, strict=True)
    for index, (median, offset, scale) in enumerate(numbers):
        if not -MOST_OUTSIDE < (median - offset) / scale < 1 + MOST_OUTSIDE:
            kind = "decimal numbers" if sample.image.pixels.dtype == np.float32 else "whole numbers"
            expected = f"{offset:.4g} to {offset + scale:.4g}"
            text = (
                f"expected grey values of about {expected} in plane {index + 1} as in the model's "
                f"training images, found {kind} around {median:.4g}; give the camera's own numbers, "
                "not rescaled ones."
            )
            return [Oddity(f"greys {expected}", sample.name, text)]
    return []


def checked_focus(preparation: Mapping[str, Any], n_planes: int) -> bool:
    """Say whether a model file's focus curve is none, or numbers for `n_planes` planes."""
    curve = preparation.get("focus_curve")
    if curve is None:
        return True
    return (
        isinstance(curve, list)
        and len(curve) == n_planes
        and all(
            isinstance(row, list)
            and len(row) == 2
            and all(type(v) in (int, float) and abs(v) < 100 for v in row)
            for row in curve
        )
    )
