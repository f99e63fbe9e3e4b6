"""Objects by a marker-controlled watershed: a search without a network, as a module with six numbers.

An image is turned into one in which objects are bright, smoothed and cut off at a multiple of
Otsu's threshold; the points farthest from the background become markers; the watershed of the
distance to the background parts objects that touch; small regions are dropped.

References
----------
.. [1] Meyer & Beucher 1990, doi:10.1016/1047-3203(90)90014-M (marker-controlled watershed).
.. [2] Otsu 1979, doi:10.1109/TSMC.1979.4310076.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What makes an object stand out: bright, dark, or unsteady grey values whatever their mean.
LOOKS = ("bright", "dark", "unsteady")
SMOOTHING_PX = (2.0, 1.0, 4.0)
THRESHOLDS = (1.0, 0.7, 1.4)
#: Diameters, see `Parameters`.
DISTANCES_PX = (7.0, 4.0, 11.0, 16.0)
#: Least area as a part of the disc with that diameter.
LEAST_PARTS = (0.25, 1.0)


@dataclass(frozen=True)
class Cut:
    """How a picture is cut off, beside the parameters of the watershed."""

    look: int = 0
    """Index into `LOOKS`."""
    smoothing_px: float = 2.0
    threshold: float = 1.0
    """In units of Otsu's."""


@dataclass(frozen=True)
class Parameters(Cut):
    """All numbers of the watershed."""

    distance_px: float = 7.0
    """About the diameter of an object: two markers lie half of it apart at least."""
    least_area_px: float = 10.0


def cuts() -> Iterator[Cut]:
    """Yield every way of the grid to cut off a picture."""
    for threshold, smoothing, look in itertools.product(
        THRESHOLDS, SMOOTHING_PX, range(len(LOOKS))
    ):
        yield Cut(look, smoothing, threshold)


def foreground(grey: np.ndarray, cut: Cut) -> np.ndarray:
    """Return where objects are, (Y, X) bool, in a picture (Y, X) float32."""
    from scipy.ndimage import gaussian_filter
    from skimage.filters import threshold_otsu

    smooth = gaussian_filter(grey, cut.smoothing_px)
    look = LOOKS[cut.look]
    if look == "unsteady":
        square = gaussian_filter(np.square(grey), cut.smoothing_px)
        level = np.sqrt(np.maximum(square - np.square(smooth), 0))
    else:
        level = smooth if look == "bright" else -smooth
        level = level - np.median(level)
    if float(level.max()) <= float(level.min()):
        return np.zeros(grey.shape, bool)
    return level > cut.threshold * threshold_otsu(level)


def regions(inside: np.ndarray, distance_px: float) -> np.ndarray:
    """Part the foreground (Y, X) bool into regions, (Y, X) int32 from 1 on; 0 is background."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.feature import peak_local_max
    from skimage.measure import label
    from skimage.segmentation import watershed

    if not inside.any():
        return np.zeros(inside.shape, np.int32)
    padded = np.pad(inside, 1, mode="edge")  # an object at the border goes on beyond it
    depth = gaussian_filter(np.asarray(distance_transform_edt(padded))[1:-1, 1:-1], 1.0)
    peaks = peak_local_max(
        depth, min_distance=max(1, round(distance_px / 2)), labels=label(inside),
        exclude_border=False,
    )  # fmt: skip
    markers = np.zeros(inside.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-depth, markers, mask=inside).astype(np.int32)


def without_small(found: np.ndarray, least_area_px: float) -> np.ndarray:
    """Drop regions below an area and number the others from 1 on."""
    areas = np.bincount(found.ravel())
    kept = areas >= least_area_px
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0)
    return numbers[found].astype(np.int32)


def search(
    pictures: Sequence[np.ndarray], counts: Sequence[float]
) -> Iterator[tuple[float, float, Parameters]]:
    """Try the grid on pictures (Y, X) with known counts.

    Yields the part that is over, the mean absolute error and the parameters, for every cut
    the best ones of its watersheds.
    """
    truth, every = np.asarray(counts, float), list(cuts())
    for index, cut in enumerate(every):
        masks = [foreground(p, cut) for p in pictures]
        best: tuple[float, Parameters] | None = None
        for distance in DISTANCES_PX:
            areas = [np.bincount(regions(m, distance).ravel())[1:] for m in masks]
            for part in LEAST_PARTS:
                least = part * np.pi / 4 * distance**2
                found = np.array([(a >= least).sum() for a in areas])
                error = float(np.abs(found - truth).mean())
                if best is None or error < best[0]:
                    best = (
                        error,
                        Parameters(**asdict(cut), distance_px=distance, least_area_px=least),
                    )
        assert best is not None
        yield (index + 1) / len(every), *best


class Watershed(nn.Module):
    """The parameters as buffers, so that they travel in a model file like weights."""

    def __init__(self) -> None:
        super().__init__()
        for name, value in asdict(Parameters()).items():
            self.register_buffer(name, torch.tensor(float(value)))

    @property
    def parameters_now(self) -> Parameters:
        """The numbers in use."""
        values = {name: float(buffer) for name, buffer in self.named_buffers()}
        look = min(max(round(values.pop("look")), 0), len(LOOKS) - 1)
        return Parameters(look=look, **values)

    def set(self, to: Parameters) -> None:
        """Use other numbers."""
        for name, value in zip(asdict(to), astuple(to), strict=True):
            getattr(self, name).fill_(float(value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map grey pictures (N, 1, Y, X) to regions (N, 1, Y, X), numbered from 1 on."""
        now = self.parameters_now
        found = [
            without_small(regions(foreground(grey, now), now.distance_px), now.least_area_px)
            for grey in x[:, 0].float().cpu().numpy()
        ]
        return torch.from_numpy(np.stack(found)[:, None]).to(x.device, torch.float32)
