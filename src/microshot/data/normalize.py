"""Bringing grey values of different cameras to one scale, and back to a camera's own numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from microshot.data.bands import bands
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import DTypeLike

Kind = Literal["percentile", "minmax", "zscore"]
Per = Literal["image", "dataset"]
#: A contrast below this part of the largest value is rounding, not signal (4 float32 steps).
_ROUNDING = 4 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Normalization:
    """``normalised = (pixels - offset) / scale``, channel by channel; nothing is clipped.

    =============  ===============  ===========================
    kind           offset           scale
    =============  ===============  ===========================
    ``percentile`` `low` percentile `high` less `low` percentile
    ``minmax``     minimum          maximum less minimum
    ``zscore``     mean             standard deviation
    =============  ===============  ===========================

    The defaults 1 and 99.8 are those of StarDist (csbdeep ``normalize``). Percentiles that
    coincide, as in a nearly black image, give way to minimum and maximum; a constant channel
    becomes 0.
    """

    kind: Kind = "percentile"
    low: float = 1.0
    """Lower percentile, 0 to 100."""
    high: float = 99.8
    """Upper percentile, 0 to 100."""
    per: Per = "image"
    """Whether the numbers belong to each image or to a whole data set."""
    offset: tuple[float, ...] | None = None
    """One number per channel in grey values, or None until they are known."""
    scale: tuple[float, ...] | None = None
    """One positive number per channel in grey values, or None until they are known."""

    def __post_init__(self) -> None:
        """Check what a file or a user may have got wrong."""
        if self.kind not in get_args(Kind):
            raise ValueError(
                f"Normalisation: expected one of {', '.join(get_args(Kind))}, found {self.kind!r:.60}."
            )
        if self.per not in get_args(Per):
            raise ValueError(
                f'Normalisation: expected per "image" or "dataset", found {self.per!r:.60}.'
            )
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(
                "Normalisation: the percentiles must rise within 0 to 100, found "
                f"{self.low} and {self.high}."
            )
        if (self.offset is None) != (self.scale is None):
            raise ValueError("Normalisation: offset and scale belong together, found only one.")
        offset, scale = self.offset or (), self.scale or ()
        if (self.offset is not None and not offset) or len(offset) != len(scale):
            raise ValueError(
                "Normalisation: expected one offset and one scale per channel, found "
                f"{len(offset)} and {len(scale)}."
            )
        if not (np.isfinite([*offset, *scale]).all() and all(s > 0 for s in scale)):
            raise ValueError(
                "Normalisation: offsets must be finite and scales positive, found "
                f"{offset} and {scale}."
            )

    @classmethod
    def fit(
        cls,
        kind: Kind,
        images: Iterable[np.ndarray] = (),
        *,
        per: Per = "image",
        low: float = 1.0,
        high: float = 99.8,
    ) -> Normalization:
        """Return the normalisation for `images`.

        ``per="image"`` needs no images: each is measured when it is normalised.
        ``per="dataset"`` measures all pixels of all images together, none left out.

        Parameters
        ----------
        images : (C, Y, X) arrays of uint8, uint16 or float32 with the same C.

        Raises
        ------
        ValueError : if a data set holds no image, or images differ in their channels.
        """
        normalization = cls(kind, low, high, per)
        if per == "image":
            return normalization
        pixels = [np.asarray(image) for image in images]
        n_channels = {len(image) for image in pixels}
        if len(n_channels) != 1:
            found = "no image" if not pixels else f"images with {sorted(n_channels)} channels"
            raise ValueError(
                f"Normalisation over a data set needs images with the same channels, found {found}."
            )
        numbers = [
            normalization._measure([image[c] for image in pixels]) for c in range(n_channels.pop())
        ]
        return replace(
            normalization,
            offset=tuple(offset for offset, _ in numbers),
            scale=tuple(scale for _, scale in numbers),
        )

    @property
    def middle(self) -> float:
        """The normalised value between dark and bright, around which contrast is inverted."""
        return 0.0 if self.kind == "zscore" else 0.5

    def parameters(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return offset and scale, (C,) float64 each, for a whole image (C, Y, X).

        The stored numbers where they are known, else those measured on `pixels`.
        """
        if self.offset is not None and self.scale is not None:
            if len(self.offset) != len(pixels):
                raise ValueError(
                    f"Normalisation: expected {how_many(len(self.offset), 'channel')}, found {len(pixels)}."
                )
            return np.array(self.offset), np.array(self.scale)
        if self.per == "dataset":
            raise ValueError("Normalisation over a data set must be fitted before it is used.")
        numbers = [self._measure([channel]) for channel in np.asarray(pixels)]
        return np.array([n[0] for n in numbers]), np.array([n[1] for n in numbers])

    def for_image(self, pixels: np.ndarray) -> Normalization:
        """Return a copy that knows the numbers of this whole image (C, Y, X).

        It normalises tiles and regions exactly as the whole, and can be inverted.
        """
        offset, scale = self.parameters(pixels)
        return replace(self, offset=tuple(offset.tolist()), scale=tuple(scale.tolist()))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Return (C, Y, X) float32; `pixels` is a whole image unless the numbers are known."""
        offset, scale = self.parameters(pixels)
        normalised = np.empty(pixels.shape, np.float32)
        working = np.float64 if pixels.dtype.itemsize > 2 else np.float32
        for channel, target, o, s in zip(pixels, normalised, offset, scale, strict=True):
            for rows in bands(channel):
                values = channel[rows].astype(working)
                values -= working(o)
                values /= working(s)
                target[rows] = values
        return normalised

    def invert(self, normalised: np.ndarray, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return normalised (C, Y, X) in the camera's own numbers.

        Parameters
        ----------
        dtype : float32 if None; for integer types values are rounded and kept within their
            range, never wrapped around.

        Raises
        ------
        ValueError : where the numbers are not known (``per="image"`` without `for_image`), the
            channels differ, or NaN is to become an integer.
        """
        if self.offset is None or self.scale is None:
            raise ValueError(
                "Normalisation: the original grey values of this image are not known; "
                "take `for_image` of it, or a normalisation fitted to a data set."
            )
        offset, scale = self.parameters(normalised)
        shape = (-1,) + (1,) * (np.ndim(normalised) - 1)
        values = np.asarray(normalised, np.float64) * scale.reshape(shape) + offset.reshape(shape)
        wanted: np.dtype[Any] = np.dtype(np.float32 if dtype is None else dtype)
        if wanted.kind not in "iu":
            return values.astype(wanted)
        if np.isnan(values).any():
            raise ValueError(f"Normalisation: NaN cannot become {wanted}; the prediction failed.")
        limits = np.iinfo(wanted.type)
        return np.clip(np.rint(values), limits.min, limits.max).astype(wanted)

    def to_json(self) -> dict[str, Any]:
        """Return a document of strings, numbers, lists and None."""
        document = asdict(self)
        for name in ("offset", "scale"):
            document[name] = None if document[name] is None else list(document[name])
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Normalization:
        """Return what `to_json` wrote; missing keys other than ``kind`` take their defaults.

        Raises
        ------
        ValueError : for unknown keys, wrong types and numbers that make no sense.
        """
        known = {field.name for field in fields(cls)}
        if not hasattr(document, "keys") or "kind" not in document or set(document) - known:
            raise ValueError(
                f"Normalisation: expected the entries {', '.join(sorted(known))}, found {document!r:.60}."
            )
        values = dict(document)
        for name in ("low", "high"):
            if name in values:
                values[name] = _number(name, values[name])
        for name in ("offset", "scale"):
            numbers = values.get(name)
            if numbers is not None:
                if not isinstance(numbers, list | tuple):
                    raise ValueError(
                        f"Normalisation: expected a list as {name}, found {numbers!r:.60}."
                    )
                values[name] = tuple(_number(name, number) for number in numbers)
        return cls(**values)

    def _measure(self, parts: list[np.ndarray]) -> tuple[float, float]:
        """Return offset and scale of one channel that lies in several (Y, X) parts."""
        if self.kind == "zscore":
            offset, scale = _mean_std(parts)
        else:
            quantiles = (self.low, self.high) if self.kind == "percentile" else (0.0, 100.0)
            bottom, top, minimum, maximum = percentiles(parts, (*quantiles, 0.0, 100.0))
            offset, scale = between(bottom, top, minimum, maximum)
        largest = max(max(abs(float(p.min())), abs(float(p.max()))) for p in parts)
        return offset, guarded(scale, largest)


def between(bottom: float, top: float, minimum: float, maximum: float) -> tuple[float, float]:
    """Return offset and scale from two percentiles; from the extremes where these coincide."""
    if top - bottom <= _ROUNDING * max(abs(bottom), abs(top)):
        bottom, top = minimum, maximum
    return bottom, top - bottom


def guarded(scale: float, largest: float) -> float:
    """Return `scale`, or 1 where it is rounding against the `largest` absolute value."""
    return scale if scale > _ROUNDING * largest else 1.0


def percentiles(parts: list[np.ndarray], q: tuple[float, ...]) -> list[float]:
    """Return percentiles of all values in `parts` together, every pixel counted.

    Equal to ``numpy.percentile`` with linear interpolation; for 8- and 16-bit values from
    their histogram, for others with one copy in memory.
    """
    position = (sum(part.size for part in parts) - 1) * np.asarray(q, np.float64) / 100
    below, above = np.floor(position).astype(np.int64), np.ceil(position).astype(np.int64)
    if all(part.dtype.type in (np.uint8, np.uint16) for part in parts):
        lower, upper = _ranked_by_histogram(parts, below, above)
    else:
        lower, upper = _ranked(parts, below, above)
    return (lower + (upper - lower) * (position - below)).tolist()


def _ranked_by_histogram(
    parts: list[np.ndarray], below: np.ndarray, above: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    counts = np.zeros(1 << 16, np.int64)
    for part in parts:
        for rows in bands(part):
            histogram = np.bincount(part[rows].ravel())
            counts[: len(histogram)] += histogram
    ranks = np.cumsum(counts)
    return np.searchsorted(ranks, below, side="right"), np.searchsorted(ranks, above, side="right")


def _ranked(
    parts: list[np.ndarray], below: np.ndarray, above: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of two sets of ranks; NaN where any value is NaN, as it is last of all."""
    pooled = np.concatenate([part.ravel() for part in parts])
    last = pooled.size - 1
    pooled.partition(np.unique([*below, *above, last]))
    if np.isnan(pooled[last]):
        return np.full(len(below), np.nan), np.full(len(above), np.nan)
    return pooled[below].astype(np.float64), pooled[above].astype(np.float64)


def _mean_std(parts: list[np.ndarray]) -> tuple[float, float]:
    n = sum(part.size for part in parts)
    mean = sum(float(part.sum(dtype=np.float64)) for part in parts) / n
    squares = sum(
        float(np.square(part[rows] - np.float64(mean)).sum())
        for part in parts
        for rows in bands(part)
    )
    return mean, (squares / n) ** 0.5


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise ValueError(f"Normalisation: expected a number as {name}, found {value!r:.60}.")
    return float(value)
