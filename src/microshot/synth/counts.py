"""Laws for the number of objects in an image, as finite tables of probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

LawName = Literal["fixed", "uniform", "linear", "geometric", "poisson"]
#: Laws that can be asked for by name.
LAW_NAMES: tuple[LawName, ...] = get_args(LawName)

#: Fewest and most cells of the published counting images.
LEGACY_COUNTS = (1, 30)
#: Largest mean number of objects per image.
MAX_MEAN = 10_000.0


@dataclass(frozen=True)
class CountLaw:
    """How likely each number of objects is."""

    values: tuple[int, ...]
    """Possible numbers, each 0 or more, ascending."""
    weights: tuple[float, ...]
    """Their probabilities up to a common factor."""

    def __post_init__(self) -> None:
        """Refuse tables that are no probability law."""
        if not self.values or len(self.values) != len(self.weights):
            raise ValueError(
                "A count law needs one weight per number of objects, found "
                f"{how_many(len(self.values), 'number')} and {how_many(len(self.weights), 'weight')}."
            )
        if min(self.values) < 0 or min(self.weights) < 0 or not sum(self.weights) > 0:
            raise ValueError(
                "A count law needs numbers and weights of 0 or more and at least one weight "
                f"above 0, found numbers from {min(self.values)} and weights from {min(self.weights)}."
            )

    @property
    def probabilities(self) -> np.ndarray:
        """(len(values),) float64, sum 1."""
        weights = np.asarray(self.weights, dtype=np.float64)
        return weights / weights.sum()

    @property
    def mean(self) -> float:
        """Expected number of objects."""
        return float(np.dot(self.values, self.probabilities))

    def sample(self, rng: np.random.Generator) -> int:
        """Draw a number of objects."""
        edges = np.cumsum(self.probabilities)
        index = int(np.searchsorted(edges, rng.random(), side="right"))
        return self.values[min(index, len(self.values) - 1)]

    def scaled(self, factor: float) -> CountLaw:
        """Return the law of `factor` times as many objects, as `empirical` has parts of an object."""
        return _table(np.multiply(self.values, factor), self.probabilities)


def fixed(n: int) -> CountLaw:
    """Always `n` objects."""
    return CountLaw((int(n),), (1.0,))


def uniform(low: int, high: int) -> CountLaw:
    """Every number from `low` to `high`, both included, equally likely."""
    values = tuple(range(int(low), int(high) + 1))
    return CountLaw(values, (1.0,) * len(values))


def linear(low: int = 1, high: int = 30, zero: float = 36.0) -> CountLaw:
    """P(n) proportional to `zero` - n for n from `low` to `high`.

    The default, 36 - n for 1 to 30 cells (mean 11.8), is the law of the synthetic images of
    Kenneweg, Stallmann & Hammer 2022, doi:10.1007/s00521-022-08115-2 (released code).
    """
    values = tuple(range(int(low), int(high) + 1))
    return CountLaw(values, tuple(max(zero - n, 0.0) for n in values))


def poisson(mean: float) -> CountLaw:
    """Poisson law, cut where less than about 1e-12 of it is left on either side."""
    _check_mean(mean)
    if mean == 0:
        return fixed(0)
    spread = 8 * np.sqrt(mean) + 12
    low, high = max(int(mean - spread), 0), int(mean + spread)
    n = np.arange(low, high + 1)
    factorial = np.cumsum(np.log(np.maximum(np.arange(high + 1), 1)))[low:]
    logs = n * np.log(mean) - factorial
    return CountLaw(tuple(n.tolist()), tuple(np.exp(logs - logs.max()).tolist()))


def geometric(mean: float) -> CountLaw:
    """P(n) = p (1 - p)^n for n = 0, 1, ... with the given mean: many sparse images, few full ones.

    The ages of a culture that divides at a constant rate give this law. Cut at 1e-12.
    """
    _check_mean(mean)
    if mean == 0:
        return fixed(0)
    ratio = mean / (1 + mean)
    n = np.arange(int(np.ceil(-12 * np.log(10) / np.log(ratio))) + 1)
    return CountLaw(tuple(n.tolist()), tuple((ratio**n).tolist()))


def empirical(counts: Sequence[float]) -> CountLaw:
    """The histogram of observed counts; a count of 2.5 adds half to 2 and half to 3."""
    observed = np.asarray(counts, dtype=np.float64)
    if observed.size == 0 or not np.isfinite(observed).all() or observed.min() < 0:
        raise ValueError(
            "The counts to imitate must be one or more numbers of 0 or above, found "
            f"{observed.tolist()[:8]}."
        )
    return _table(observed, np.ones(observed.size))


def _table(counts: np.ndarray, weights: np.ndarray) -> CountLaw:
    """Return the law of counts (n,) with weights (n,); parts go to the whole numbers beside them."""
    floor = np.floor(counts).astype(int)
    part = counts - floor
    table = np.bincount(floor, weights=weights * (1 - part), minlength=int(floor.max()) + 2)
    table += np.bincount(floor + 1, weights=weights * part, minlength=len(table))
    present = np.flatnonzero(table)
    return CountLaw(tuple(present.tolist()), tuple(table[present].tolist()))


def named(name: str, mean: float) -> CountLaw:
    """Return the law called `name` with (nearly, as counts are whole) the given mean.

    ``"uniform"`` runs from half to one and a half times the mean; ``"linear"`` is the
    36 - n law stretched to the mean, with one object at least.

    Raises
    ------
    ValueError
        If the name is not one of `LAW_NAMES`, or the mean is below 0 or above `MAX_MEAN`.
    """
    _check_mean(mean)
    if name not in LAW_NAMES:
        raise ValueError(f'Unknown count law "{name}": choose one of {", ".join(LAW_NAMES)}.')
    if name == "fixed" or mean == 0:
        return fixed(round(mean))
    if name == "uniform":
        low = int(mean // 2)
        return uniform(low, max(round(2 * mean) - low, low))
    if name == "linear":
        high = _stretched(mean)
        return linear(1, high, 1.2 * high)
    if name == "geometric":
        return geometric(mean)
    return poisson(mean)


def _stretched(mean: float) -> int:
    """Return the greatest number h of a linear law that ends at 1.2 h, as the published one does.

    Its mean is (h + 1) (8 h - 5) / (21 h - 15).
    """
    b, c = 21 * mean - 3, 15 * mean - 5
    return max(round((b + max(b**2 - 32 * c, 0.0) ** 0.5) / 16), 1)


def _check_mean(mean: float) -> None:
    if not 0 <= mean <= MAX_MEAN:
        raise ValueError(
            f"The mean number of objects per image must lie between 0 and {MAX_MEAN:.0f}, "
            f"found {mean}."
        )
