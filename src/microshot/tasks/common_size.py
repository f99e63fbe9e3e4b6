"""How large objects are that have one size in all images of an experiment, found in a few of them.

What speaks for a size is pooled over these images, so that one in which it is hard to tell does not go
wrong by itself, and the others are not looked at on every scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.tasks.object_scale import is_asked
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.tasks.base import Recipe

    #: How much speaks for each diameter in px that was tried on an image.
    Speaks = Mapping[float, float]

#: Answers of the setting ``size_found``.
AUTO, EACH, ONCE = "auto", "each", "once"
#: Images that are looked at, and how few can be said to agree.
LOOKED_AT, FEWEST = 8, 4
#: Images agree if the size they share has, on average, at least this part of the evidence that the
#: best size of each image has.
AGREE = 0.85


@dataclass(frozen=True)
class Sizes:
    """What was found in some images before all are worked on."""

    found: Mapping[str, float]
    """Diameter in px by the name of the image, 0 where nothing was found."""
    common: float | None
    """The one for all images, 0 where nothing was found in any; None = each image has its own."""
    agree: bool
    """Whether the images speak for one size."""

    def of(self, name: str) -> float | None:
        """Return the diameter in px to take in an image, None where it is still to be found."""
        return self.found.get(name) if self.common is None else self.common

    def note(self, n: int, recipe: Recipe) -> str:
        """Say in one sentence which size was taken in all of `n` images; empty if each has its own."""
        if self.common is None:
            return ""
        where = f"in {len(self.found)} of {how_many(n, 'image')}"
        known = sorted(size for size in self.found.values() if size)
        if not known:
            own = recipe.preparation["image_diameter_px"]
            said = f"none was found, and {own:.3g} px was taken as in the training images"
        elif self.agree:
            said = f"{self.common:.3g} px, taken for all"
        else:
            said = (
                f"{self.common:.3g} px, taken for all, though single ones speak for {known[0]:.3g} to "
                f"{known[-1]:.3g} px"
            )
        return (
            f"The size of the objects was looked for {where}: {said}; where that is wrong, tell their "
            "diameter, or, if images differ, let it be found in each."
        )


def n_looked_at(recipe: Recipe, options: Any, n: int) -> int:
    """Return in how many of `n` images the common size is to be looked for; 0 = not at all."""
    fewest = {AUTO: FEWEST, ONCE: 1}.get(options.size_found)
    if fewest is None or n < fewest or not is_asked(recipe, options):
        return 0
    return min(n, LOOKED_AT)


def likeliest(speaks: Speaks) -> float:
    """Return the diameter in px for which most speaks, of those that were tried.

    0, which stands for that of the model's training images, where nothing speaks for any.
    """
    best = max(speaks, key=lambda diameter: speaks[diameter])
    return best if speaks[best] > 0 else 0.0


def common_size(speaks: Mapping[str, Speaks], options: Any) -> Sizes:
    """Return the size that images share, where they do or the user says so.

    Parameters
    ----------
    speaks : what speaks for each diameter, by the name of the image; at least one.

    Notes
    -----
    Every image speaks as much as any other: pooled is the mean of the evidence as part of that of
    its best size. The peak is taken from a parabola through three sizes on a logarithmic scale.
    """
    found = {name: likeliest(one) for name, one in speaks.items()}
    telling = [one for name, one in speaks.items() if found[name]]
    if not telling:
        return Sizes(found, 0.0 if options.size_found == ONCE else None, agree=False)
    tried = sorted({diameter for one in telling for diameter in one})
    parts = [[one.get(d, 0.0) / max(one.values()) for d in tried] for one in telling]
    pooled = np.mean(parts, 0)
    agree = bool(pooled.max() >= AGREE)
    together = options.size_found == ONCE or (agree and len(telling) >= FEWEST)
    return Sizes(found, _peak(tried, pooled) if together else None, agree)


def _peak(tried: Sequence[float], pooled: np.ndarray) -> float:
    """Return the diameter for which most speaks, between those tried, to three digits."""
    best = int(np.argmax(pooled))
    shift, size = 0.0, np.log(tried)
    if 0 < best < len(tried) - 1:
        before, here, after = pooled[best - 1 : best + 2]
        shift = 0.5 * (before - after) / (before - 2 * here + after)
    step = size[1] - size[0] if len(tried) > 1 else 0.0
    return float(f"{np.exp(size[best] + shift * step):.3g}")
