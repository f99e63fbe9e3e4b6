"""What an image looks like in sixteen numbers that neither brightness nor gain of a camera changes."""

from __future__ import annotations

import numpy as np

N_OCTAVES = 5
#: Numbers of a signature: contrast, then energy, skewness and tailedness of every octave.
N_NUMBERS = 1 + 3 * N_OCTAVES
CONTRAST, ENERGY, SKEWNESS = 0, slice(1, 1 + N_OCTAVES), slice(1 + N_OCTAVES, 1 + 2 * N_OCTAVES)
TAILS = slice(1 + 2 * N_OCTAVES, N_NUMBERS)
#: Largest difference of the tails of the three finest octaves of noise from those of a normal distribution.
_NOISE_TAILS = 0.25
#: Scatter of each number among images of one kind; about that of the development images.
TYPICAL_SCATTER = np.repeat([0.1, 0.5, 0.25, 0.4], [1, N_OCTAVES, N_OCTAVES, N_OCTAVES])
#: At most so many px along each side are looked at, in the middle of the image.
MOST_PX = 768
#: Percentiles taken for the darkest and the brightest grey value.
DARK, BRIGHT = 0.5, 99.5
#: Octaves by which the mean energy rises per octave that the finest one loses, between images of the same
#: sharpness with structures of different size; measured on fluorescence nuclei of 10 to 60 px.
_SIZE_SLOPE = 2.5


def signature(pixels: np.ndarray) -> np.ndarray | None:
    """Return the signature of an image, (16,) float64; None where it is constant.

    =========  ==============================================================================
    contrast   -1 to 1: above 0 where bright structures lie on dark ground, below where dark
               ones lie on bright ground
    energy     log2 of the part of the variance in each octave, finest first
    skewness   cube root of the third standardised moment of each octave
    tails      log2 of the fourth standardised moment of each octave
    =========  ==============================================================================

    Parameters
    ----------
    pixels : (C, Y, X) of any real type; channels are averaged after each was brought to the
        range 0 to 1.

    Notes
    -----
    Octave i is the difference of the image blurred by 2**i and by 2**(i + 1) px. Noise of single
    pixels lies below the first octave and counts little.

    References
    ----------
    .. [1] Burt & Adelson 1983, doi:10.1109/TCOM.1983.1095851 (octaves of an image).
    .. [2] Portilla & Simoncelli 2000, doi:10.1023/A:1026553619983 (their moments as texture).
    .. [3] Bowley 1901, Elements of Statistics (skewness by quantiles, the contrast).
    """
    planes = [
        scaled
        for channel in pixels
        if (scaled := _scaled(channel[looked_at(channel.shape)])) is not None
    ]
    if not planes:
        return None
    grey = np.asarray(np.mean(planes, axis=0, dtype=np.float32))
    low, middle, high = np.percentile(_thinned(grey), [DARK, 50, BRIGHT])
    if not high > low:
        return None
    moments = np.array([_moments(octave) for octave in _octaves(grey)])  # (octaves, 3)
    total = moments[:, 0].sum()
    if not total > 0:
        return None
    energy = np.log2(np.maximum(moments[:, 0] / total, 2.0**-20))
    contrast = [(high + low - 2 * middle) / (high - low)]
    return np.concatenate([contrast, energy, moments[:, 1], moments[:, 2]])


def inverted(signatures: np.ndarray) -> np.ndarray:
    """Return the signatures (..., 16) of the same images with bright and dark exchanged."""
    made = np.array(signatures)
    made[..., CONTRAST] *= -1
    made[..., SKEWNESS] *= -1
    return made


def sharpness(signatures: np.ndarray) -> np.ndarray:
    """Return how sharp images are, in octaves, whatever the size of their structures.

    The energy of the finest octave, and what it is expected to fall where structures are larger.
    """
    energy = signatures[..., ENERGY]
    return energy[..., 0] + _SIZE_SLOPE * (np.exp2(energy) @ np.arange(N_OCTAVES))


def is_noise(signature: np.ndarray) -> bool:
    """Say whether an image is camera noise without any structure, of its signature (16,).

    Most of the energy lies in the finest octave then, and the three finest have the tails of a normal
    distribution. Twenty objects half as bright as the scatter of the noise change that, or one as bright.
    """
    tails = signature[TAILS][:3] - np.log2(3.0)
    return bool(signature[ENERGY][0] > -1 and np.abs(tails).max() < _NOISE_TAILS)


def _octaves(grey: np.ndarray) -> list[np.ndarray]:
    """Return the octaves of (Y, X); coarse ones have fewer px."""
    from scipy.ndimage import gaussian_filter

    made, width = [], 1.0
    finer = gaussian_filter(grey, width, mode="nearest", truncate=3)
    for _ in range(N_OCTAVES):
        # blurs add up as squares: (2 w)² = w² + 3 w²
        coarser = gaussian_filter(finer, 3**0.5 * width, mode="nearest", truncate=3)
        made.append((finer - coarser).astype(np.float64))
        finer, width = coarser, 2 * width
        if width >= 4:
            finer, width = finer[::2, ::2], width / 2
    return made


def _moments(octave: np.ndarray) -> tuple[float, float, float]:
    """Return variance, cube root of the skewness, and log2 of the kurtosis."""
    centred = octave - octave.mean()
    squared = centred * centred  # powers above the second take twenty times as long
    variance = float(squared.mean())
    if not variance > 1e-14:
        return 0.0, 0.0, np.log2(3.0)
    skewness = float((squared * centred).mean()) / variance**1.5
    kurtosis = float((squared * squared).mean()) / variance**2
    return variance, float(np.cbrt(skewness)), float(np.log2(kurtosis))


def looked_at(shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of an image (Y, X) that a signature is made of: its middle."""
    first = (max(0, (n - MOST_PX) // 2) for n in shape)
    rows, columns = (slice(i, min(n, i + MOST_PX)) for i, n in zip(first, shape, strict=True))
    return rows, columns


def _thinned(plane: np.ndarray) -> np.ndarray:
    """Return evenly spread pixels of (Y, X), enough for percentiles."""
    return plane.ravel()[:: max(1, plane.size // 60_000) | 1]  # odd: not always the same column


def _scaled(plane: np.ndarray) -> np.ndarray | None:
    """Return (Y, X) float32 with dark at 0 and bright at 1, cut off there; None if constant."""
    values = np.asarray(plane, np.float32)
    low, high = np.percentile(_thinned(values), [DARK, BRIGHT])
    if not high - low > 1e-6 * max(abs(low), abs(high)):
        return None
    return np.clip((values - low) / (high - low), 0, 1)
