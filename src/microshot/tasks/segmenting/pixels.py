"""Pixel heads: targets of the foreground and boundary networks, and objects from their maps."""

from __future__ import annotations

import numpy as np

BACKGROUND, INTERIOR, BOUNDARY = 0, 1, 2
#: Weights of the classes in the boundary head's cross-entropy.
CLASS_WEIGHTS = (1.0, 1.0, 3.0)
#: Extra weight of a pixel on any border, and of one between two objects.
BORDER_WEIGHT, SEPARATION_WEIGHT = 6.0, 20.0


def probabilities(output: np.ndarray) -> np.ndarray:
    """Turn logits (K, Y, X) into probabilities: sigmoid of one channel, softmax of several."""
    from scipy.special import expit, softmax

    return expit(output) if len(output) == 1 else softmax(output, axis=0)


def borders(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where objects end and where they meet, as two masks (Y, X).

    A border pixel belongs to an object and has a 4-neighbour of another label; it is a
    separation where that neighbour belongs to another object.
    """
    objects = np.maximum(labels, 0)
    border = np.zeros(labels.shape, bool)
    separation = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        first = [slice(None), slice(None)]
        second = [slice(None), slice(None)]
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        a, b = objects[tuple(first)], objects[tuple(second)]
        differ, both = a != b, (a != b) & (a > 0) & (b > 0)
        border[tuple(first)] |= differ
        border[tuple(second)] |= differ
        separation[tuple(first)] |= both
        separation[tuple(second)] |= both
    inside = objects > 0
    return border & inside, separation & inside


def foreground_targets(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return target mask and pixel weights of the border-weighted foreground head.

    The target is the objects without their border pixels; the weight is 1 + 6 border + 20
    separation, the border masks blurred with sd 1 px; 0 where the label is negative. Both
    (Y, X) float32.

    References
    ----------
    .. [1] Wilhelm 2019, University of Konstanz (weighted foreground/background head). Border
       pixels are those of both touching objects here, not only of one.
    """
    from scipy.ndimage import gaussian_filter

    border, separation = borders(labels)
    target = ((labels > 0) & ~border).astype(np.float32)
    weight = 1 + BORDER_WEIGHT * gaussian_filter(border.astype(np.float32), 1)
    weight += SEPARATION_WEIGHT * gaussian_filter(separation.astype(np.float32), 1)
    weight[labels < 0] = 0
    return target, weight.astype(np.float32)


def boundary_targets(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return classes (background, interior, boundary; int64) and pixel weights (float32).

    The boundary is two pixels wide on the inside of every object, one where an object
    would vanish otherwise.
    """
    border, _ = borders(labels)
    inner = np.where(border, 0, np.maximum(labels, 0))
    second, _ = borders(inner)
    boundary = border | second
    vanished = np.setdiff1d(labels[labels > 0], labels[(labels > 0) & ~boundary])
    boundary &= ~(np.isin(labels, vanished) & ~border)
    classes = np.where(labels > 0, INTERIOR, BACKGROUND)
    classes[boundary] = BOUNDARY
    weight = np.asarray(CLASS_WEIGHTS, np.float32)[classes]
    weight[labels < 0] = 0
    return classes.astype(np.int64), weight


def objects_from_foreground(
    probability: np.ndarray, threshold: float, border_px: float = 1.0
) -> np.ndarray:
    """Label the connected regions above `threshold` and give them back their border.

    (Y, X) float32 to (Y, X) int32, ids 1..n. Regions are connected over edges only;
    `border_px` is how much of the edge of an object its target lacked.
    """
    from skimage.measure import label
    from skimage.segmentation import expand_labels

    regions = np.asarray(label(probability > threshold, connectivity=1))
    return expand_labels(regions, border_px).astype(np.int32)  # type: ignore[arg-type]


def objects_from_boundary(
    interior: np.ndarray, background: np.ndarray, threshold: float
) -> np.ndarray:
    """Grow connected interiors back over the boundary.

    Interiors are the connected regions of `interior` above `threshold`; a watershed on the
    probability of `interior` grows them into every pixel whose background probability is
    below one half. (Y, X) float32 to (Y, X) int32, ids 1..n.
    """
    from skimage.measure import label
    from skimage.segmentation import watershed

    seeds = np.asarray(label(interior > threshold, connectivity=1))
    return watershed(-interior, seeds, mask=(background < 0.5) | (seeds > 0)).astype(np.int32)


def mean_by_object(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean of `values` over each object 1..n, (n,) float64."""
    n = int(labels.max(initial=0))
    counts = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    sums = np.bincount(labels.ravel(), values.ravel(), minlength=n + 1)[1:]
    return sums / np.maximum(counts, 1)
