"""What the images of a set have in common, and how it follows from the user's settings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from microshot.synth.camera import NOISE_LEVELS
from microshot.synth.counts import (
    LAW_NAMES,
    LEGACY_COUNTS,
    MAX_MEAN,
    CountLaw,
    empirical,
    linear,
    named,
    uniform,
)
from microshot.synth.legacy import LegacyVariant

if TYPE_CHECKING:
    from microshot.data.dataset import Dataset
    from microshot.settings import GenerateSettings
    from microshot.synth.reference import ReferenceStatistics
    from microshot.synth.styles import Style

Bits = Literal[8, 12, 16]


@dataclass(frozen=True, eq=False)
class GenerateOptions:
    """What all images of a set have in common, beside preset and seed."""

    size_px: tuple[int, int] = (256, 256)
    """Height and width."""
    noise: str = "medium"
    """``"low"``, ``"medium"``, ``"high"`` or, drawn per image, ``"mixed"``. With a reference,
    ``"medium"`` is the noise of the reference images, and so is ``"mixed"`` with styles. The
    published kinds have none."""
    mean_count: float | None = None
    """Mean number of objects per image; None = as the preset's cover and size give it."""
    diameter_px: float | None = None
    """Typical diameter (disc of equal area); None = the reference's, else the preset's range (the
    published kinds: always that)."""
    count_law: str | CountLaw | None = None
    """A law, one of `LAW_NAMES` around `mean_count`, or ``"reference"`` for the histogram of the
    reference images' counts, in an image of another size in proportion to the area; None =
    ``"poisson"`` if `mean_count` is given."""
    reference: ReferenceStatistics | None = None
    """Images to follow in size, background, contrast, noise and pixel type."""
    styles: tuple[Style, ...] = ()
    """Looks fitted to the reference images (`fit_styles`); one is drawn per image."""
    legacy: LegacyVariant = field(default_factory=LegacyVariant)
    """Which variant of the published counting images; only for those kinds."""
    bits: Bits | None = None
    """8 (uint8), 12 or 16 (uint16); None = the reference's type, else 8, for stacks 16."""

    def __post_init__(self) -> None:
        """Refuse values outside their ranges and combinations that contradict each other."""
        if min(self.size_px) < 1:
            raise ValueError(
                f"The image size must be at least 1 x 1 px, found {self.size_px[0]} x {self.size_px[1]} px."
            )
        if self.noise not in (*NOISE_LEVELS, "mixed"):
            raise ValueError(
                f'Unknown noise level "{self.noise}": choose one of {", ".join(NOISE_LEVELS)}, mixed.'
            )
        if self.diameter_px is not None and not self.diameter_px > 0:
            raise ValueError(f"The diameter must be above 0 px, found {self.diameter_px}.")
        if self.bits is not None and self.reference is not None:
            raise ValueError(
                f"Images that follow a reference have its pixel type; leave bits unset, found {self.bits}."
            )
        if self.bits not in (None, 8, 12, 16):
            raise ValueError(f"The bit depth must be 8, 12 or 16, found {self.bits}.")
        self.law()

    def law(self) -> CountLaw | None:
        """Return the law of the number of objects; None = that of the preset's cover.

        Raises
        ------
        ValueError
            If the law is unknown or lacks what it needs.
        """
        if isinstance(self.count_law, CountLaw):
            return self.count_law
        if self.count_law == "reference":
            if self.reference is None or not self.reference.counts:
                raise ValueError(
                    '"How numbers vary" (count_law): "Match my labels" needs reference images with labels or '
                    "counts, found none; give some, or choose another law."
                )
            height, width = self.size_px
            shares = [height * width / area for area in self.reference.areas_px]
            return empirical(np.multiply(self.reference.counts, shares).tolist())
        if self.mean_count is not None:
            return named(self.count_law or "poisson", self.mean_count)
        if self.count_law is None:
            return None
        if self.count_law == "linear":
            return linear()
        if self.count_law == "uniform":
            return uniform(*LEGACY_COUNTS)
        if self.count_law in LAW_NAMES:
            raise ValueError(
                f'The count law "{self.count_law}" needs a mean number of objects between 0 and '
                f"{MAX_MEAN:.0f}, found none."
            )
        raise ValueError(
            f'Unknown count law "{self.count_law}": choose one of {", ".join(LAW_NAMES)}, reference.'
        )

    def resized(self, size_px: tuple[int, int]) -> GenerateOptions:
        """Return the options of images of another size with as many objects per area."""
        if self.count_law == "reference":
            return replace(self, size_px=size_px)
        law = self.law()
        if law is not None:
            law = law.scaled(size_px[0] * size_px[1] / (self.size_px[0] * self.size_px[1]))
        return replace(self, size_px=size_px, mean_count=None, count_law=law)


def options_of(settings: GenerateSettings, reference: Dataset | None) -> GenerateOptions:
    """Return the generator's options for settings and, where given, images to resemble."""
    from microshot.synth.legacy import LEGACY, SIDE_PX
    from microshot.synth.reference import fit_reference

    statistics = None
    if reference is not None and len(reference):
        images = [s.image.pixels for s in reference]
        counts = [s.count for s in reference]
        statistics = fit_reference(images, [s.labels for s in reference], counts)
    side = SIDE_PX if settings.scene in LEGACY else 256
    return GenerateOptions(
        size_px=(settings.height_px or side, settings.width_px or side),
        noise=settings.noise,
        mean_count=settings.mean_count or None,
        diameter_px=settings.diameter_px or None,
        count_law=None if settings.count_law == "auto" else settings.count_law,
        reference=statistics,
        legacy=LegacyVariant(
            paper=settings.legacy.recipe == "paper",
            softness=settings.legacy.softness,  # type: ignore[arg-type]
            high_contrast=settings.legacy.high_contrast,
        ),
    )
