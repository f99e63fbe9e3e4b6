"""What reference images tell the generator: background, object size, contrast, noise, range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microshot.synth import fields

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Images with fewer objects than this count as background (Stallmann et al. 2021,
#: arXiv:2106.09719, section on synthetic data).
MAX_BACKGROUND_COUNT = 5
#: Fewer images than this leave ghosts of objects in a mean or median; then only its level is used.
MIN_BACKGROUND_IMAGES = 20


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
    level = float(np.median([_level(g, m) for g, m in zip(grey, known, strict=True)]))
    objects = [_objects(g, m) for g, m in zip(grey, known, strict=True)]
    diameters = np.concatenate([d for d, _, _ in objects]) if objects else np.zeros(0)
    rms = [value for _, value, _ in objects if value > 0]
    step = [value for _, _, value in objects if value != 0]
    signed = float(np.median(step)) / max(rms) if step and rms else 0.0
    background = None
    few = sum(n is not None and n < MAX_BACKGROUND_COUNT for n in n_objects)
    if len({g.shape for g in grey}) == 1 and (few or len(grey)) >= MIN_BACKGROUND_IMAGES:
        background = background_image([g[None] for g in grey], n_objects)[0]
    values = np.concatenate([g.ravel()[:: max(g.size // 100_000, 1)] for g in grey])
    return ReferenceStatistics(
        background_level=level,
        background=background,
        diameter_px=float(np.median(diameters)) if len(diameters) else None,
        diameter_spread=_log_spread(diameters if labels is not None else diameters[:0]),
        contrast=float(np.median(rms)) if rms else 0.0,
        brighter=None if abs(signed) < 0.1 else signed > 0,
        noise_sd=float(np.median([noise_sd(g) for g in grey])),
        low=float(np.percentile(values, 0.1)),
        high=float(np.percentile(values, 99.9)),
        dtype=np.result_type(*[image.dtype for image in images]),
        counts=tuple(float(n) for n in n_objects if n is not None),
    )


def background_image(
    images: Sequence[np.ndarray],
    counts: Sequence[float | None] | None = None,
    max_count: int = MAX_BACKGROUND_COUNT,
) -> np.ndarray:
    """Return the pixel mean of the images that hold fewer than `max_count` objects.

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
    few = [im for im, n in zip(images, known, strict=True) if n is not None and n < max_count]
    if few:
        return np.asarray(np.mean(np.stack(few), axis=0, dtype=np.float64))
    return np.asarray(np.median(np.stack(list(images)), axis=0), dtype=np.float64)


def noise_sd(image: np.ndarray) -> float:
    """Standard deviation of pixel noise in a (Y, X) image, robust to its content.

    Median absolute deviation of a second-difference mask whose noise gain is 6 (Immerkaer
    1996, doi:10.1006/cviu.1996.0060), divided by 0.6745.
    """
    if min(image.shape) < 3:
        return 0.0
    g = image.astype(np.float64)
    rows = g[:-2] - 2 * g[1:-1] + g[2:]
    both = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.median(np.abs(both - np.median(both))) / 0.6745 / 6)


def blob_diameters(image: np.ndarray) -> np.ndarray:
    """Estimate the diameters in pixels of the blobs of a (Y, X) image.

    The activity (see `_activity`) is made nearly binary; then come the maxima of the
    scale-normalised Laplacian of Gaussian over scales. A disc of radius r and height 1
    responds most, by 2/e, at sigma = r / sqrt(2) (Lindeberg 1998,
    doi:10.1023/A:1008045108935); maxima below half of that are left out.
    """
    from scipy import ndimage

    shrink = max(int(np.ceil(max(image.shape) / 512)), 1)
    activity, threshold = _activity(image[::shrink, ::shrink])
    if threshold <= 0:
        return np.zeros(0)
    ratio = (activity / threshold) ** 4
    binary = ratio / (1 + ratio)
    limit = max(min(binary.shape) / 5, 2.6)
    sigmas = np.geomspace(1.5, limit, max(int(np.log(limit / 1.5) / np.log(1.2)) + 1, 2))
    stack = _laplacians(binary, sigmas)
    peak = (stack == ndimage.maximum_filter(stack, size=(3, 5, 5))) & (stack > 0.37)
    return 2 * np.sqrt(2) * sigmas[np.nonzero(peak)[0]] * shrink


def typical_diameter(diameters: np.ndarray) -> float:
    """Median of diameters weighted by area: half of the covered area lies in larger blobs.

    Debris and the parts into which cells in transmitted light fall apart then count little.
    """
    ordered = np.sort(diameters)
    area = np.cumsum(ordered**2)
    return float(ordered[np.searchsorted(area, area[-1] / 2)])


def _laplacians(image: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Scale-normalised, negated Laplacians of Gaussian (S, Y, X) of an image with mirrored edges."""
    from scipy import fft

    ky, kx = (np.pi * np.arange(n) / n for n in image.shape)
    squared = (ky**2)[:, None] + (kx**2)[None, :]
    waves = np.asarray(fft.dctn(image))
    scales = [s**2 * squared for s in sigmas]
    return np.stack([np.asarray(fft.idctn(waves * scale * np.exp(-scale / 2))) for scale in scales])


def _activity(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """(Y, X) blurred difference from the median, and the threshold between noise and objects.

    The threshold is halfway between the means of what lies above and below it (Ridler &
    Calvard 1978, doi:10.1109/TSMC.1978.4310039), at least 3 standard deviations of the
    noise; 0 where nothing reaches it.
    """
    away = fields.blurred(np.abs(grey - np.median(grey)).astype(np.float32), 1.5)
    threshold = float(away.mean())
    for _ in range(20):
        above, below = away[away > threshold], away[away <= threshold]
        if above.size == 0 or below.size == 0:
            return away, 0.0
        threshold = float(above.mean() + below.mean()) / 2
    threshold = max(threshold, 3 * noise_sd(grey))
    return away, threshold if bool((away > threshold).any()) else 0.0


def _objects(grey: np.ndarray, labels: np.ndarray | None) -> tuple[np.ndarray, float, float]:
    """Diameters, root mean square contrast and step across the edge of one image.

    The step is the mean just inside minus the mean just outside the objects; without
    labels, the mean deep inside minus that along the edge of what stands out.
    """
    from scipy import ndimage

    away = grey - _level(grey, labels)
    if labels is not None:
        areas = np.bincount(labels[labels > 0].ravel())
        diameters = 2 * np.sqrt(areas[areas > 0] / np.pi)
        inside, outer = labels > 0, labels == 0
        inner = np.asarray(ndimage.binary_erosion(inside, iterations=2), dtype=bool)
        outer &= np.asarray(ndimage.binary_dilation(inside, iterations=3), dtype=bool)
    else:
        blobs = blob_diameters(grey)
        diameters = np.array([typical_diameter(blobs)]) if len(blobs) else blobs
        activity, threshold = _activity(grey)
        inside = (activity > threshold) if threshold > 0 else np.zeros(grey.shape, dtype=bool)
        inside = np.asarray(ndimage.binary_fill_holes(inside), dtype=bool)
        depth = np.asarray(ndimage.distance_transform_edt(inside))
        inner = inside & (depth > (0.25 * diameters[0] if len(diameters) else 0))
        outer = np.asarray(ndimage.binary_dilation(inside, iterations=2), dtype=bool)
        outer &= (depth <= 2) & ~inner
    if not inside.any():
        return diameters, 0.0, 0.0
    step = float(away[inner].mean() - away[outer].mean()) if inner.any() and outer.any() else 0.0
    return diameters, float(np.sqrt(np.mean(away[inside] ** 2))), step


def _level(grey: np.ndarray, labels: np.ndarray | None) -> float:
    """Median of the background; without labels, of all pixels."""
    if labels is not None and (labels == 0).any():
        return float(np.median(grey[labels == 0]))
    return float(np.median(grey))


def _grey(image: np.ndarray) -> np.ndarray:
    if image.ndim != 3:
        raise ValueError(
            f"A reference image needs axes (channel, y, x), found shape {image.shape}."
        )
    return image.mean(axis=0, dtype=np.float64)


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
