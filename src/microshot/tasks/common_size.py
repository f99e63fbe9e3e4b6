"""How large objects are that have one size in all images of an experiment, found in a few of them.

What speaks for a size is pooled over these images, so that one in which it is hard to tell does not go
wrong by itself, and the others are not looked at on every scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from microshot.tasks.object_scale import is_asked
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.tasks.base import Recipe

    #: By the diameter in px that objects of an image were taken to have.
    Trials = Mapping[float, "Trial"]

#: Answers of the setting ``size_found``.
AUTO, EACH, ONCE = "auto", "each", "once"
#: Images that are looked at, and how few can be said to agree.
LOOKED_AT, FEWEST = 8, 4
#: Images agree if the size they share has, on average, at least this part of the evidence that the
#: best size of each image has.
AGREE = 0.85
#: An image whose best size has less than this part of the evidence that the image with the second most
#: has (one may be an exception) is as good as empty: what was found in it may be anything.
FAINT = 0.05


class Trial(NamedTuple):
    """What came of taking the objects of an image to have one size."""

    evidence: float
    """How much speaks for it, 0 or more."""
    measured_px: float
    """Diameter that the objects found then have; 0 without any."""


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
        if known and len(known) < len(self.found):
            where += f" and found in {len(known)} of these"
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


def likeliest(trials: Trials, options: Any) -> float:
    """Return the diameter in px for which most speaks.

    Of those tried, or, where `options` want it ``measured``, what the objects found with it measure,
    though not less than the smallest tried. 0, which stands for that of the model's training images,
    where nothing speaks for any.
    """
    best = max(trials, key=lambda diameter: trials[diameter].evidence)
    if trials[best].evidence <= 0:
        return 0.0
    return _shown(max(trials[best].measured_px, min(trials))) if options.measured else best


def common_size(trials: Mapping[str, Trials], options: Any) -> Sizes:
    """Return the size that images share, where they do or the user says so.

    Parameters
    ----------
    trials : of each image, by its name; at least one.

    Notes
    -----
    Every image that is not `FAINT` speaks as much as any other: pooled is the mean of the evidence as part of that of
    its best size. The peak is taken from a parabola through three sizes on a logarithmic scale, or,
    where the size is to be ``measured``, the median over the images of what the objects found with
    the best size measure.
    """
    found = {name: likeliest(one, options) for name, one in trials.items()}
    best = {name: max(t.evidence for t in one.values()) for name, one in trials.items()}
    enough = FAINT * sorted(best.values())[-2:][0]
    telling = [one for name, one in trials.items() if found[name] and best[name] >= enough]
    if not telling:
        return Sizes(found, 0.0 if options.size_found == ONCE else None, agree=False)
    tried = sorted({diameter for one in telling for diameter in one})
    nothing = Trial(0.0, 0.0)
    parts = [
        [one.get(d, nothing).evidence / max(one.values()).evidence for d in tried]
        for one in telling
    ]
    pooled = np.mean(parts, 0)
    agree = bool(pooled.max() >= AGREE)
    if not (options.size_found == ONCE or (agree and len(telling) >= FEWEST)):
        return Sizes(found, None, agree)
    if not options.measured:
        return Sizes(found, _shown(_peak(tried, pooled)), agree)
    best = tried[int(np.argmax(pooled))]
    there = [one[best] for one in telling if one.get(best, nothing).evidence > 0]
    measured = [max(one.measured_px, tried[0]) for one in there]
    return Sizes(found, _shown(float(np.median(measured))), agree)


def _peak(tried: Sequence[float], pooled: np.ndarray) -> float:
    """Return the diameter for which most speaks, between those tried."""
    best = int(np.argmax(pooled))
    shift, size = 0.0, np.log(tried)
    if 0 < best < len(tried) - 1:
        before, here, after = pooled[best - 1 : best + 2]
        shift = 0.5 * (before - after) / (before - 2 * here + after)
    step = size[1] - size[0] if len(tried) > 1 else 0.0
    return float(np.exp(size[best] + shift * step))


def _shown(diameter_px: float) -> float:
    """Return a diameter as it is told to the user, who can name the same one."""
    return float(f"{diameter_px:.3g}")
