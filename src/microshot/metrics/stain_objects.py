"""Nuclei, cells and lipid droplets in stained images, found by classical means.

The steps are those of the adipocyte challenge's CellProfiler pipeline [1]_, rebuilt with
scikit-image. Two things differ so that they hold for any camera and magnification: grey values are
those of a `GreyScale` that is taken from the measured stain and used for the predicted one too,
where the pipeline has absolute numbers or stretches each image by itself; and lengths are in units
of the typical nucleus, which is 40 px wide in the pipeline for 20x. Very bright (dying) nuclei stay
in: the pipeline drops them by an absolute number.

.. [1] github.com/aidotse/adipocyte_cell_challenge, Adipocyte_pipeline_20x_ver3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Width of a nucleus in the pipeline's images at 20x, px; lengths below are for it.
NUCLEUS_PX = 40.0
#: Percentiles of a stain that become 0 and 1.
RANGE_PERCENTILES = (0.1, 99.9)
#: Lowest threshold for nuclei and for droplets, and for large droplets after 0.4 was taken off.
LEAST_NUCLEI, LEAST_DROPLETS, LEAST_LARGE, LARGE_OFFSET = 0.05, 0.05, 0.2, 0.4
#: Objects' mean less the background's, in standard deviations of the background, below which there
#: is nothing but noise: cut anywhere, Gaussian noise reaches 3.
DISTINCT = 4.0
#: A local threshold stays within these multiples of the one for the whole image (CellProfiler).
LOCAL_LIMITS = (0.7, 1.5)
#: Relative depth from which a dark place in a droplet is a defect, and the least sum of it.
DEFECT_DEPTH, DEFECT_SUM = 0.15, 0.5


@dataclass(frozen=True)
class GreyScale:
    """What grey value becomes 0, and how many make 1."""

    low: float
    span: float

    @classmethod
    def of(cls, truth: np.ndarray, prediction: np.ndarray | None = None) -> GreyScale:
        """Return the scale of a measured stain; of the predicted one where that is constant."""
        for pixels in (truth, prediction):
            if pixels is not None and np.ptp(pixels) > 0:
                low, high = np.percentile(pixels, RANGE_PERCENTILES)
                if not high > low:
                    low, high = pixels.min(), pixels.max()
                return cls(float(low), float(high) - float(low))
        return cls(float(truth.flat[0]) if truth.size else 0.0, 1.0)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels from 0 to 1, float64; what lies outside is cut off."""
        return np.clip((np.asarray(pixels, np.float64) - self.low) / self.span, 0, 1)


# ---------------------------------------------------------------------------------- nuclei, cells


def find_nuclei(stain: np.ndarray, nucleus_px: float = NUCLEUS_PX) -> np.ndarray:
    """Return nuclei half to twice as wide as is typical, (Y, X) int32 ids 1..n.

    Local minimum cross-entropy threshold, holes filled, touching nuclei parted by their shape.

    Parameters
    ----------
    stain : (Y, X) from 0 to 1, see `GreyScale`.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    part = nucleus_px / NUCLEUS_PX
    smooth = gaussian_filter(stain, max(2 * part, 0.5))
    mask = _filled(_above_local(smooth, 1.7 * nucleus_px, LEAST_NUCLEI, 1.0))
    depth = gaussian_filter(distance_transform_edt(mask), 0.1 * nucleus_px)  # type: ignore[arg-type]
    labels = _parted(depth, mask, 0.4 * nucleus_px)
    return _of_area(labels, _disc(0.5 * nucleus_px), _disc(2 * nucleus_px))


def nucleus_diameter(stains: Iterable[np.ndarray]) -> float:
    """Return the typical width of nuclei in measured stains, px; `NUCLEUS_PX` where there are none.

    Half of the nuclei's area lies in connected regions that are wider; the median over images.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.measure import label

    widths = []
    for pixels in stains:
        smooth = gaussian_filter(GreyScale.of(pixels)(pixels), 1.0)
        mask = _filled(_above(smooth, LEAST_NUCLEI, 1.0))
        sizes = np.sort(np.bincount(np.asarray(label(mask)).ravel())[1:])
        sizes = sizes[sizes >= 9]
        if len(sizes):
            half = int(np.searchsorted(np.cumsum(sizes), sizes.sum() / 2))
            widths.append(2 * float(np.sqrt(sizes[half] / np.pi)))
    return float(np.median(widths)) if widths else NUCLEUS_PX


def find_cells(nuclei: np.ndarray, body: np.ndarray, nucleus_px: float = NUCLEUS_PX) -> np.ndarray:
    """Return the cell of every nucleus, (Y, X) int32 with the nuclei's ids.

    Nuclei grow over `body`, the sum of lipid and cytoplasm stain from 0 to 1, as far as 0.7 times
    the local threshold; cells meet where the light changes most. (The pipeline propagates from
    the nuclei; this is a watershed on the gradient.)
    """
    from scipy.ndimage import gaussian_filter
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    smooth = gaussian_filter(body, max(0.7 * nucleus_px / NUCLEUS_PX, 0.5))
    mask = _above_local(smooth, 4.6 * nucleus_px, 0.0, 0.7) | (nuclei > 0)
    return np.asarray(watershed(sobel(smooth), nuclei, mask=mask), np.int32)


def without_edge(labels: np.ndarray) -> np.ndarray:
    """Return the objects that do not touch the image's edge, with their ids."""
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.where(np.isin(labels, edge[edge > 0]), 0, labels).astype(np.int32)


# ------------------------------------------------------------------------------- lipid droplets


def find_droplets(stain: np.ndarray, nucleus_px: float = NUCLEUS_PX) -> np.ndarray:
    """Return lipid droplets of all sizes, (Y, X) int32 ids 1..n.

    Small and large ones are found apart; a small one that lies on a large one belongs to it.

    Parameters
    ----------
    stain : (Y, X) from 0 to 1, see `GreyScale`.
    """
    from scipy.ndimage import gaussian_filter, median_filter, uniform_filter
    from skimage.morphology import disk, white_tophat

    part = nucleus_px / NUCLEUS_PX
    speckles = white_tophat(stain, disk(max(2, round(5 * part)), decomposition="sequence"))
    speckles = median_filter(speckles, 3)
    broad = uniform_filter(stain, max(3, round(10 * part)))
    broad = np.maximum(broad - LARGE_OFFSET, 0)
    mixed = (stain + speckles + broad) / 2
    small_mask = _filled(_above(gaussian_filter(mixed, 1.0), LEAST_DROPLETS, 1.0))
    small = _parted(gaussian_filter(mixed, 1.0), small_mask, max(2.0, 3 * part))
    small = _of_area(small, _disc(max(3 * part, 2.5)), np.inf)
    large_mask = _filled(_above(broad, LEAST_LARGE, 2.0))
    large = _parted(gaussian_filter(broad, 2 * part), large_mask, 13 * part)
    return _merged(_of_area(large, _disc(20 * part), np.inf), small)


def defect_depth(stain: np.ndarray, droplets: np.ndarray, nucleus_px: float) -> np.ndarray:
    """Return how deep dark holes inside droplets are, (Y, X) float64, 0 to 0.85.

    1 less the part of the surrounding light that is left, less 0.15 for noise; 0 wherever nothing
    darker is surrounded by light. Holes up to a quarter of a nucleus in width count that lie
    within one droplet; what lies between several is a gap. (The pipeline stretches
    its hole image by the deepest hole of the image; this is relative to the droplet itself, so
    that an image without holes has none.)
    """
    from scipy.ndimage import gaussian_filter, maximum, minimum
    from skimage.measure import label
    from skimage.morphology import dilation, disk, reconstruction

    smooth = gaussian_filter(stain, 0.7 * max(nucleus_px / NUCLEUS_PX, 1.0))
    radius = max(2, round(5 * nucleus_px / NUCLEUS_PX))
    around = dilation(smooth, disk(radius, decomposition="sequence"))
    filled = reconstruction(np.maximum(around, smooth), smooth, method="erosion")
    depth = (filled - smooth) / np.maximum(filled, LEAST_DROPLETS)
    depth = np.maximum(depth - DEFECT_DEPTH, 0)
    holes = np.asarray(label(depth > 0, connectivity=1))
    numbers = np.arange(1, int(holes.max(initial=0)) + 1)
    first, last = np.zeros((2, len(numbers) + 1))
    first[1:], last[1:] = minimum(droplets, holes, numbers), maximum(droplets, holes, numbers)
    within = (first == last) & (first > 0)
    return np.where(within[holes], depth, 0.0)


def least_defect(nucleus_px: float) -> float:
    """Return the sum of `defect_depth` over a droplet from which it is defective."""
    return DEFECT_SUM * max(1.0, (nucleus_px / NUCLEUS_PX) ** 2)


# ------------------------------------------------------------------------------------ their parts


def _above(pixels: np.ndarray, least: float, factor: float) -> np.ndarray:
    """Return where pixels exceed the minimum cross-entropy threshold; nowhere if all is noise.

    References
    ----------
    .. [1] Li & Tam 1998, doi:10.1016/S0167-8655(98)00057-9.
    """
    threshold = _li(pixels)
    if threshold is None:
        return np.zeros(pixels.shape, bool)
    return pixels > max(factor * threshold, least)


def _above_local(pixels: np.ndarray, window: float, least: float, factor: float) -> np.ndarray:
    """Return where pixels exceed the threshold of their surroundings, `window` px wide."""
    threshold = _li(pixels)
    if threshold is None:
        return np.zeros(pixels.shape, bool)
    blocks = [max(1, round(side / window)) for side in pixels.shape]
    local = np.full(blocks, threshold)
    low, high = (limit * threshold for limit in LOCAL_LIMITS)
    for i, rows in enumerate(np.array_split(pixels, blocks[0], axis=0)):
        for j, block in enumerate(np.array_split(rows, blocks[1], axis=1)):
            own = _li(block)
            local[i, j] = threshold if own is None else np.clip(own, low, high)
    from skimage.transform import resize

    spread = np.asarray(resize(local, pixels.shape, order=1, mode="edge", anti_aliasing=False))
    return pixels > np.maximum(factor * spread, least)


def _li(pixels: np.ndarray) -> float | None:
    """Return the minimum cross-entropy threshold; None where it parts nothing but noise."""
    from skimage.filters import threshold_li

    if not np.ptp(pixels) > 1e-9:
        return None
    threshold = float(threshold_li(pixels))
    above = pixels > threshold
    if not above.any() or above.all():
        return None
    background = pixels[~above]
    distance = float(pixels[above].mean() - background.mean())
    return threshold if distance > DISTINCT * float(background.std()) else None


def _filled(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_fill_holes

    return np.asarray(binary_fill_holes(mask))


def _parted(height: np.ndarray, mask: np.ndarray, distance_px: float) -> np.ndarray:
    """Part regions of `mask` at the valleys between maxima of `height` at least so far apart."""
    from skimage.feature import peak_local_max
    from skimage.measure import label
    from skimage.segmentation import watershed

    regions = np.asarray(label(mask))
    peaks = peak_local_max(
        height, min_distance=max(1, round(distance_px)), labels=regions, exclude_border=False
    )
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(watershed(-height, seeds, mask=mask), np.int32)


def _merged(large: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Give small objects that overlap a large one its id, the others new ones."""
    n = int(small.max(initial=0))
    both = (small > 0) & (large > 0)
    owner = np.zeros(n + 1, np.int64)
    owner[small[both]] = large[both]
    alone = (owner == 0) & (np.bincount(small.ravel(), minlength=n + 1) > 0)
    alone[0] = False
    owner[alone] = int(large.max(initial=0)) + np.arange(1, int(alone.sum()) + 1)
    return np.where(large > 0, large, owner[small]).astype(np.int32)


def _of_area(labels: np.ndarray, least: float, most: float) -> np.ndarray:
    """Return objects of `least` to `most` px, numbered anew."""
    areas = np.bincount(labels.ravel())
    keep = (areas >= least) & (areas <= most)
    keep[0] = False
    ids = np.zeros(len(areas), np.int32)
    ids[keep] = np.arange(1, int(keep.sum()) + 1)
    return ids[labels]


def _disc(diameter: float) -> float:
    return np.pi * diameter**2 / 4
