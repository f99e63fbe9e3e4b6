"""What reference images tell the generator: background, object size, contrast, noise, range."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.objects import object_diameters
from microshot.synth.blobs import activity_of, blob_diameters, noise_sd, typical_diameter

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Images with fewer objects than this count as background (Kenneweg, Stallmann &
#: Hammer 2022, doi:10.1007/s00521-022-08115-2, section 2.2).
MAX_BACKGROUND_COUNT = 5
#: Fewer images than this leave ghosts of objects in a mean or median; then only its level is used.
MIN_BACKGROUND_IMAGES = 20
#: Most images without labels that are measured, evenly spread; the background is from all.
MAX_MEASURED = 24
NOTHING_FOUND = (
    "Nothing in the reference images stands out from the background, so the objects are those of "
    "the kind of images chosen."
)


@dataclass(frozen=True, eq=False)
class ReferenceStatistics:
    """Numbers that synthetic images imitate; grey values are those of the reference images."""

    background_level: float
    """Typical grey value of the empty field."""
    background: np.ndarray | None
    """(Y, X) float64 image of the empty field, or None where too few images show it."""
    diameter_px: float | None
    """Median diameter of the disc of equal area; None where nothing was found."""
    diameter_spread: float
    """Standard deviation of the logarithm of the diameter."""
    contrast: float
    """Root mean square difference between object pixels and the background, in grey values."""
    brighter: bool | None
    """True where objects are brighter than what surrounds them, False where darker (a dark body
    in a bright halo), None where that is not clear."""
    noise_sd: float
    """Standard deviation of the pixel noise in grey values."""
    low: float
    """0.1th percentile of the grey values."""
    high: float
    """99.9th percentile of the grey values."""
    dtype: np.dtype
    """Type of the pixels."""
    counts: tuple[float, ...] = ()
    """Numbers of objects per image where known."""
    areas_px: tuple[int, ...] = ()
    """Pixels of each image with such a number."""
    rim: float = 0.0
    """Grey value of the rims of objects minus that of the background; 0 where none was found."""
    inner: float = 0.0
    """The same for their insides."""
    each: tuple[ImageStatistics, ...] = ()
    """What was found in each image."""
    note: str = ""
    """One sentence: where the background comes from, and whether any object was found."""

    @property
    def labelled(self) -> bool:
        """Whether labels tell the size of objects; else it is estimated."""
        return any(one.known_sizes for one in self.each)


@dataclass(frozen=True)
class ImageStatistics:
    """What one reference image shows; grey values are its own."""

    level: float
    """Background."""
    contrast: float
    """Root mean square difference of objects from it, 0 where there are none."""
    cover: float
    """Part of the image that objects cover, 0 to 1."""
    diameters: tuple[float, ...]
    """Of the objects, or without labels one typical diameter; empty where there are none."""
    rim: float
    """Mean difference from the background along the edges of the objects."""
    inner: float
    """The same deep inside."""
    step: float
    """Inside minus outside of the edge."""
    density: float | None = None
    """Objects per pixel where there are labels; else None."""

    @property
    def known_sizes(self) -> tuple[float, float] | None:
        """Median diameter of the objects and the standard deviation of its logarithm, from labels.

        Those of the log-normal law with the spread and the mean area of the objects, so that
        as many objects of it cover as much. None without labels, or without objects.
        """
        if self.density is None or not self.diameters:
            return None
        spread = _log_spread(np.array(self.diameters))
        return float(np.sqrt(np.mean(np.square(self.diameters))) * np.exp(-(spread**2))), spread


def fit_reference(
    images: Sequence[np.ndarray],
    labels: Sequence[np.ndarray | None] | None = None,
    counts: Sequence[float | None] | None = None,
) -> ReferenceStatistics:
    """Measure reference images.

    Parameters
    ----------
    images : (C, Y, X) uint8, uint16 or float32; channels are averaged. Sizes may differ.
    labels : per image, (Y, X) integer instance labels (0 background, negative ignored) or
        None. Size, contrast and counts come from labels where there are any; otherwise they
        are estimated from blobs, which is rough (nuclei to about 20 %, spread cells to a factor of 1.5).
    counts : per image, number of objects or None; used for the background and as counts.

    Raises
    ------
    ValueError
        If there are no images, or labels or counts do not match them.
    """
    grey = [_grey(image) for image in images]
    _check(grey, labels, counts)
    known = list(labels) if labels is not None else [None] * len(grey)
    n_objects = _counts(known, counts, len(grey))
    each = _without_outliers(
        [
            _measured(grey[i], known[i], n_objects[i])
            for i in _looked_at(len(grey), labelled=all(m is not None for m in known))
        ]
    )
    level = float(np.median([one.level for one in each]))
    diameters = np.array([d for one in each for d in one.diameters])
    seen = [one for one in each if one.contrast > 0]
    contrast, step, rim, inner = (
        float(np.median([getattr(one, name) for one in seen])) if seen else 0.0
        for name in ("contrast", "step", "rim", "inner")
    )
    signed = step / max(one.contrast for one in seen) if seen else 0.0
    background, told = _background(grey, n_objects)
    values = np.concatenate([g.ravel()[:: max(g.size // 100_000, 1)] for g in grey])
    return ReferenceStatistics(
        background_level=level,
        background=background,
        diameter_px=float(np.median(diameters)) if len(diameters) else None,
        diameter_spread=_log_spread(diameters),
        contrast=contrast,
        brighter=None if abs(signed) < 0.1 else signed > 0,
        noise_sd=float(np.median([noise_sd(g) for g in grey])),
        low=float(np.percentile(values, 0.1)),
        high=float(np.percentile(values, 99.9)),
        dtype=np.result_type(*[image.dtype for image in images]),
        counts=tuple(float(n) for n in n_objects if n is not None),
        areas_px=tuple(g.size for g, n in zip(grey, n_objects, strict=True) if n is not None),
        rim=rim,
        inner=inner,
        each=each,
        note=told if seen else f"{told} {NOTHING_FOUND}",
    )


def _looked_at(n: int, *, labelled: bool) -> list[int]:
    """Indices of the images that are measured one by one: without labels that takes long."""
    most = n if labelled else MAX_MEASURED
    return sorted({i * n // min(n, most) for i in range(min(n, most))})


def _without_outliers(each: Sequence[ImageStatistics]) -> tuple[ImageStatistics, ...]:
    """Limit the cover of each image to three times the usual one: a wall or fold is no object."""
    covers = [one.cover for one in each if one.cover > 0]
    top = 3 * float(np.median(covers)) if covers else 0.0
    return tuple(replace(one, cover=min(one.cover, top)) for one in each)


def _background(
    grey: Sequence[np.ndarray], n_objects: Sequence[float | None]
) -> tuple[np.ndarray | None, str]:
    """Image of the empty field where enough images show it, and one sentence that says so."""
    few = sum(map(_has_few, n_objects))
    alike = len({g.shape for g in grey}) == 1
    if not alike or (few or len(grey)) < MIN_BACKGROUND_IMAGES:
        which = f" with fewer than {MAX_BACKGROUND_COUNT} objects" if few else ""
        why = (
            f"to see the empty field takes {MIN_BACKGROUND_IMAGES}, found {few or len(grey)}{which}"
            if alike
            else "their sizes differ"
        )
        return None, f"Only the brightness of the background follows the reference images: {why}."
    image = background_image([g[None] for g in grey], n_objects)[0]
    if few:
        return image, (
            f"The background is the mean of the {few} reference images with fewer than "
            f"{MAX_BACKGROUND_COUNT} objects."
        )
    return image, (
        f"The background is the pixel median of all {len(grey)} reference images, because none is "
        f"known to hold fewer than {MAX_BACKGROUND_COUNT} objects."
    )


def background_image(
    images: Sequence[np.ndarray],
    counts: Sequence[float | None] | None = None,
) -> np.ndarray:
    """Return the pixel mean of the images that hold fewer than `MAX_BACKGROUND_COUNT` objects.

    Chamber walls stay, objects average away. Where no image is known to hold so few, the
    pixel median of all images.

    Parameters
    ----------
    images : (C, Y, X), all of one size.
    counts : number of objects per image, None = unknown.

    Returns
    -------
    (C, Y, X) float64.

    Raises
    ------
    ValueError
        If there are no images or their sizes differ.
    """
    if not images:
        raise ValueError("A background needs at least one image, found none.")
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ValueError(
            "A background needs images of one size, found "
            f"{' and '.join(' x '.join(map(str, s)) for s in sorted(shapes)[:3])} px; crop them first."
        )
    known = counts if counts is not None else [None] * len(images)
    few = [image for image, n in zip(images, known, strict=True) if _has_few(n)]
    if few:
        return np.asarray(np.mean(np.stack(few), axis=0, dtype=np.float64))
    return np.asarray(np.median(np.stack(list(images)), axis=0), dtype=np.float64)


def _has_few(n_objects: float | None) -> bool:
    return n_objects is not None and n_objects < MAX_BACKGROUND_COUNT


def _measured(
    grey: np.ndarray, labels: np.ndarray | None, n_objects: float | None = None
) -> ImageStatistics:
    """Measure one image.

    The step is the mean just inside minus the mean just outside the objects; without
    labels, the mean deep inside minus that along the edge of what stands out.
    """
    from scipy import ndimage

    grey = grey.astype(np.float64)
    level, density = _level(grey, labels), None
    away = grey - level
    if labels is not None:
        diameters = object_diameters(labels)
        inside, outer = labels > 0, labels == 0
        inner = np.asarray(ndimage.binary_erosion(inside, iterations=2), dtype=bool)
        outer &= np.asarray(ndimage.binary_dilation(inside, iterations=3), dtype=bool)
        rim, shown = inside & ~inner, inside
        n = len(diameters) if n_objects is None else n_objects
        density = n / grey.size
    else:
        blobs = blob_diameters(grey)
        diameters = np.array([typical_diameter(blobs)]) if len(blobs) else blobs
        activity, threshold = activity_of(grey)
        inside = (activity > threshold) if threshold > 0 else np.zeros(grey.shape, dtype=bool)
        shown = inside
        inside = np.asarray(ndimage.binary_fill_holes(inside), dtype=bool)
        depth = np.asarray(ndimage.distance_transform_edt(inside))
        inner = inside & (depth > (0.25 * diameters[0] if len(diameters) else 0))
        outer = np.asarray(ndimage.binary_dilation(inside, iterations=2), dtype=bool)
        outer &= (depth <= 2) & ~inner
        rim = inside & ~inner
    if not inside.any():
        none = tuple(diameters.tolist())
        return ImageStatistics(level, 0.0, 0.0, none, 0.0, 0.0, 0.0, density)
    means = [float(away[part].mean()) if part.any() else 0.0 for part in (rim, inner, outer)]
    return ImageStatistics(
        level=level,
        contrast=float(np.sqrt(np.mean(away[inside] ** 2))),
        cover=float(shown.mean()),
        diameters=tuple(diameters.tolist()),
        rim=means[0],
        inner=means[1],
        step=means[1] - means[2] if inner.any() and outer.any() else 0.0,
        density=density,
    )


def _level(grey: np.ndarray, labels: np.ndarray | None) -> float:
    """Median of the background; without labels, of all pixels."""
    if labels is not None and (labels == 0).any():
        return float(np.median(grey[labels == 0]))
    return float(np.median(grey))


def _grey(image: np.ndarray) -> np.ndarray:
    """Mean of the channels (Y, X); of one channel its own pixels, not copied."""
    if image.ndim != 3:
        raise ValueError(
            f"A reference image needs axes (channel, y, x), found shape {image.shape}."
        )
    return image[0] if len(image) == 1 else image.mean(axis=0, dtype=np.float64)


def _counts(
    labels: Sequence[np.ndarray | None], counts: Sequence[float | None] | None, n: int
) -> list[float | None]:
    """Per image: the given count, else the number of labels, else None."""
    given = list(counts) if counts is not None else [None] * n
    return [
        g if g is not None else (None if m is None else float(len(np.unique(m[m > 0]))))
        for g, m in zip(given, labels, strict=True)
    ]


def _log_spread(diameters: np.ndarray) -> float:
    """Robust standard deviation of the logarithm, 0.15 where unknown, within 0.05 to 0.5."""
    if len(diameters) < 3:
        return 0.15
    q25, q75 = np.percentile(np.log(diameters), [25, 75])
    return float(np.clip((q75 - q25) / 1.349, 0.05, 0.5))


def _check(
    grey: Sequence[np.ndarray],
    labels: Sequence[np.ndarray | None] | None,
    counts: Sequence[float | None] | None,
) -> None:
    if not grey:
        raise ValueError("The generator needs at least one reference image, found none.")
    for what, given in (("label images", labels), ("counts", counts)):
        if given is not None and len(given) != len(grey):
            raise ValueError(
                f"Reference images and {what} must be as many, found {len(grey)} and {len(given)}."
            )
    for index, mask in enumerate(labels or ()):
        if mask is not None and mask.shape != grey[index].shape:
            raise ValueError(
                f"Reference image {index + 1}: the label image must have its size, expected "
                f"{grey[index].shape}, found {mask.shape}."
            )
