"""From the user's settings to the generator's options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microshot.synth.generator import GenerateOptions

if TYPE_CHECKING:
    from microshot.data.dataset import Dataset
    from microshot.settings import GenerateSettings


def options_of(settings: GenerateSettings, reference: Dataset | None) -> GenerateOptions:
    """Return the generator's options for settings and, where given, images to resemble."""
    from microshot.synth.reference import fit_reference

    statistics = None
    if reference is not None and len(reference):
        images = [s.image.pixels for s in reference]
        statistics = fit_reference(images, [s.labels for s in reference])
    return GenerateOptions(
        size_px=(settings.height_px, settings.width_px),
        noise=settings.noise,
        mean_count=settings.mean_count or None,
        diameter_px=settings.diameter_px or None,
        reference=statistics,
    )
