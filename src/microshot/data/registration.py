"""How far a stain lies from where the planes of bright field show it, and how to undo that.

The planes look nothing like the stain, so that correlating one with the other finds nothing.
Instead the stain is explained by isotropic features of the planes at every shift; where the
explanation is best, the two lie on each other. What explains it best then stands for
the stain in a phase correlation that tells fractions of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Sample

#: Greatest shift looked for, px; a quarter of the patch at most.
MOST_SHIFT_PX = 24
#: Patches that an image is divided into per side, and limits of their side, px.
PATCHES_PER_SIDE, LEAST_PATCH_PX, MOST_PATCH_PX = 4, 64, 256
#: Planes from which features are taken, spaced evenly.
MOST_PLANES = 5
#: Widths of the Gaussians whose difference keeps what is neither noise nor uneven light, px.
FINE_PX, COARSE_PX = 1.0, 8.0
#: Patches whose own shift differs by more from that of all together are not believed, px.
MOST_REST_PX = 3.0
#: Deviations by which the best shift must stand out from all others to be believed, and patches that
#: must show it by themselves. Of 600 generated stains of 128 to 256 px that lay right or 6 px off, 307
#: stood out so far, 10 of them at a wrong shift; 262 were also seen in three patches, one wrongly.
LEAST_EVIDENCE, LEAST_AGREEING = 15.0, 3
#: Patches needed before a common stretch is fitted, and the greatest one believed.
LEAST_PATCHES, MOST_STRETCH = 6, 0.05


@dataclass(frozen=True)
class Offset:
    """Where a stain lies against its planes."""

    shift: tuple[float, float]
    """(y, x) px: what the planes show at p is stained at p + shift."""
    evidence: float
    """Deviations by which this shift explains the stain better than others."""
    places: np.ndarray
    """(N, 2) y, x of the middles of the patches looked at, px from the image's middle."""
    local: np.ndarray
    """(N, 2) shift of every patch, px."""

    @property
    def is_sure(self) -> bool:
        """Whether the shift stands out from chance, and not in a corner alone."""
        return self.evidence >= LEAST_EVIDENCE and len(self.local) >= LEAST_AGREEING

    @property
    def distance(self) -> float:
        """Length of the shift in px."""
        return float(np.hypot(*self.shift))


def offset_of(features: Sequence[np.ndarray], stain: np.ndarray) -> Offset | None:
    """Return where `stain` (Y, X) lies against its planes; None for images too small or flat.

    Parameters
    ----------
    features : (Y, X) each, from `features_of` the planes.

    References
    ----------
    .. [1] Guizar-Sicairos et al. 2008, doi:10.1364/OL.33.000156 (sub-pixel phase correlation).
    """
    side = min(stain.shape)
    patch = int(np.clip(side // PATCHES_PER_SIDE, LEAST_PATCH_PX, MOST_PATCH_PX))
    if side < LEAST_PATCH_PX:
        return None
    corners = [
        (y, x) for y in _starts(stain.shape[0], patch) for x in _starts(stain.shape[1], patch)
    ]
    target = _band(stain)
    cut = [np.s_[y : y + patch, x : x + patch] for y, x in corners]
    parts = [(np.stack([f[c] for f in features]), target[c]) for c in cut]
    if not (any(f.any() for f, _ in parts) and any(t.any() for _, t in parts)):
        return None
    explained, weights = _explained([f for f, _ in parts], [t for _, t in parts])
    reach = min(MOST_SHIFT_PX, patch // 4)
    near = np.arange(-reach, reach + 1)
    window = explained[np.ix_(near, near)]
    best = np.unravel_index(int(window.argmax()), window.shape)
    whole = np.array([near[best[0]], near[best[1]]])
    mix = weights(whole)
    rest = _refined([np.tensordot(mix, f, 1) for f, _ in parts], [t for _, t in parts], whole)
    sure = np.abs(rest).max(axis=1) <= MOST_REST_PX
    local = whole + rest
    middle = (np.array(stain.shape) - patch) / 2
    shift = np.median(local[sure], axis=0) if sure.any() else whole
    return Offset(
        (float(shift[0]), float(shift[1])), _evidence(window, best),
        (np.asarray(corners, np.float64) - middle)[sure], local[sure],
    )  # fmt: skip


def _starts(length: int, patch: int) -> list[int]:
    n = max(1, min(length // patch, 6))
    return np.linspace(0, length - patch, n).astype(int).tolist()


def _band(pixels: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    values = np.asarray(pixels, np.float32)
    return gaussian_filter(values, FINE_PX) - gaussian_filter(values, COARSE_PX)


def features_of(planes: np.ndarray) -> list[np.ndarray]:
    """Return (Y, X) features without direction: structure, edges, change through focus."""
    from scipy.ndimage import gaussian_gradient_magnitude

    chosen = np.unique(np.linspace(0, len(planes) - 1, MOST_PLANES).astype(int))
    few = np.asarray(planes[chosen], np.float32)
    made = [_band(plane) for plane in few]
    made += [_band(gaussian_gradient_magnitude(plane, FINE_PX)) for plane in few]
    if len(few) > 1:
        made.append(_band(few.std(axis=0)))
    return [f / (float(f.std()) or 1.0) for f in made]


def _explained(features: Sequence[np.ndarray], targets: Sequence[np.ndarray]):
    """Return how much of the targets the features explain at every shift, and their weights there.

    The first is (P, P), 0 to 1, negative shifts from the end as in a Fourier transform.
    """
    side = targets[0].shape[0]
    window = np.outer(np.hanning(side), np.hanning(side))
    n = len(features[0])
    gram, cross = np.zeros((n, n)), np.zeros((n, side, side))
    power = np.zeros((side, side))
    spectrum = np.conj(np.fft.fft2(window))
    for f, t in zip(features, targets, strict=True):
        weighted = f * window
        gram += np.tensordot(weighted, f, ((1, 2), (1, 2)))
        transformed = np.fft.fft2(t)
        cross += np.fft.ifft2(np.conj(np.fft.fft2(weighted)) * transformed).real
        power += np.fft.ifft2(spectrum * np.fft.fft2(t**2)).real
    gram += 1e-3 * np.trace(gram) / n * np.eye(n)
    solved = np.linalg.solve(gram, cross.reshape(n, -1)).reshape(cross.shape)
    explained = (solved * cross).sum(axis=0) / np.maximum(power, 1e-9 * power.max())

    def weights(shift: np.ndarray) -> np.ndarray:
        return solved[:, shift[0], shift[1]]

    return explained, weights


def _evidence(window: np.ndarray, best: tuple[np.intp, ...]) -> float:
    """Return by how many deviations the best shift stands out from those further away."""
    y, x = np.indices(window.shape)
    away = window[np.hypot(y - best[0], x - best[1]) > 0.3 * len(window)]
    middle = float(np.median(away))
    deviation = 1.4826 * float(np.median(np.abs(away - middle)))
    return (float(window.max()) - middle) / max(deviation, 1e-9)


def _refined(
    made: Sequence[np.ndarray], targets: Sequence[np.ndarray], whole: np.ndarray
) -> np.ndarray:
    """Return what is left of every patch's shift after `whole` pixels, (N, 2); inf of a flat patch."""
    from skimage.registration import phase_cross_correlation

    side = made[0].shape[0]
    window = np.outer(np.hanning(side), np.hanning(side))
    rest = []
    for own, target in zip(made, targets, strict=True):
        moved = np.roll(target, (-int(whole[0]), -int(whole[1])), axis=(0, 1))
        pair = (moved * window, own * window)
        if not (np.ptp(target) and np.ptp(own) and all(one.any() for one in pair)):
            rest.append((np.inf, np.inf))
            continue
        found = phase_cross_correlation(
            *pair,
            upsample_factor=20,
            normalization=None,  # type: ignore[arg-type]
        )
        rest.append(found[0])
    return np.asarray(rest, np.float64)


@dataclass(frozen=True, eq=False)
class Mapping:
    """From pixels of the planes to those of the stain: p goes to p + stretch (p - middle) + shift."""

    shift: tuple[float, float]
    stretch: np.ndarray
    """(2, 2), 0 where nothing is stretched or turned."""

    def corners(self, shape: tuple[int, int]) -> np.ndarray:
        """Return by how many px each corner of an image of `shape` moves, (4, 2)."""
        half = (np.asarray(shape) - 1) / 2
        signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
        return (signs * half) @ self.stretch.T + self.shift


def common_stretch(offsets: Sequence[Offset]) -> np.ndarray:
    """Return the stretch (2, 2) that all images share; 0 where too little is known of it.

    Least squares over the patches of all images with a shift of its own for each, twice: the
    second time without patches more than 1 px off.
    """
    none = np.zeros((2, 2))
    places = np.concatenate([o.places - o.places.mean(axis=0) for o in offsets])
    moved = np.concatenate([o.local - o.local.mean(axis=0) for o in offsets])
    kept = np.ones(len(places), bool)
    found = none
    for _ in range(2):
        if kept.sum() < LEAST_PATCHES or np.linalg.matrix_rank(places[kept]) < 2:
            return none
        found = np.linalg.lstsq(places[kept], moved[kept], rcond=None)[0].T
        kept = np.abs(moved - places @ found.T).max(axis=1) <= 1.0
    return found if np.abs(found).max() <= MOST_STRETCH else none


def corrected(sample: Sample, mapping: Mapping) -> Sample:
    """Return the sample with stains, labels and points on its planes, cut to where all are known.

    Stains are interpolated by cubic splines and keep their range of values; labels take the
    nearest pixel. Points that lie outside of what is left are left out.
    """
    from scipy.ndimage import affine_transform

    assert sample.target is not None
    shape = np.asarray(sample.image.shape)
    matrix = np.eye(2) + mapping.stretch
    middle = (shape - 1) / 2
    start = middle - matrix @ middle + np.asarray(mapping.shift)

    def moved(pixels: np.ndarray, order: int) -> np.ndarray:
        made = affine_transform(
            np.asarray(pixels, np.float64), matrix, start.tolist(), order=order, mode="nearest"
        ).clip(pixels.min(), pixels.max())
        return (made if pixels.dtype == np.float32 else np.rint(made)).astype(pixels.dtype)

    box = _inner(mapping.corners(sample.image.shape), sample.image.shape)
    stains = np.stack([moved(stain, 3)[box] for stain in sample.target.pixels])
    labels, ignore = (
        None if pixels is None else moved(pixels, 0)[box]
        for pixels in (sample.labels, sample.ignore)
    )
    points = sample.points
    if points is not None:
        points = (points - start) @ np.linalg.inv(matrix).T - [side.start for side in box]
        inside = (points >= -0.5) & (points <= np.asarray(stains.shape[1:]) - 0.5)
        points = points[inside.all(axis=1)]
    return replace(
        sample, image=replace(sample.image, pixels=sample.image.pixels[:, *box]), labels=labels,
        points=points, ignore=ignore, target=replace(sample.target, pixels=stains),
    )  # fmt: skip


def _inner(corners: np.ndarray, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the part of the planes whose stain was recorded."""
    low, high = (
        np.ceil(np.maximum(-corners.min(axis=0), 0)),
        np.ceil(np.maximum(corners.max(axis=0), 0)),
    )
    y, x = (slice(int(a), n - int(b)) for a, b, n in zip(low, high, shape, strict=True))
    return y, x
