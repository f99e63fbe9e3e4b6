"""What stands out in an image without labels: noise, activity and the sizes of blobs."""

from __future__ import annotations

import numpy as np

from microshot.synth import fields


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

    The activity (see `activity_of`) is made nearly binary; then come the maxima of the
    scale-normalised Laplacian of Gaussian over scales. A disc of radius r and height 1
    responds most, by 2/e, at sigma = r / sqrt(2) (Lindeberg 1998,
    doi:10.1023/A:1008045108935); maxima below half of that are left out.
    """
    from scipy import ndimage

    shrink = max(int(np.ceil(max(image.shape) / 512)), 1)
    activity, threshold = activity_of(image[::shrink, ::shrink])
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


def activity_of(grey: np.ndarray) -> tuple[np.ndarray, float]:
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
