"""From a user's settings and reference images to the generator's options, fitted and judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from microshot.progress import silent, span
from microshot.synth.legacy import LEGACY
from microshot.synth.options import options_of

if TYPE_CHECKING:
    from microshot.data.dataset import Dataset
    from microshot.progress import Progress
    from microshot.settings import GenerateSettings
    from microshot.synth.fit_styles import Likeness
    from microshot.synth.options import GenerateOptions
    from microshot.synth.reference import ReferenceStatistics


@dataclass(frozen=True)
class Prepared:
    """Options of the generator, and what to tell about them."""

    options: GenerateOptions
    likeness: Likeness | None = None
    """How near the images come to the reference images; None without any."""
    found: tuple[tuple[str, str], ...] = ()
    """What was measured in the reference images, as labels and values."""
    notes: tuple[str, ...] = ()
    """What was learned from the reference images, one sentence each."""
    warnings: tuple[str, ...] = ()
    """What could not be learned from them, one sentence each."""


def prepare(
    settings: GenerateSettings, reference: Dataset | None, progress: Progress = silent
) -> Prepared:
    """Measure reference images, fit looks to them if asked for, and judge the result.

    Raises
    ------
    ValueError
        If the settings contradict each other or the reference images.
    """
    from microshot.synth.fit_styles import fit_styles, likeness
    from microshot.synth.generator import check_request

    options = options_of(settings, reference)
    check_request(settings.scene, settings.seed, options)
    statistics = options.reference
    if statistics is None or reference is None:
        return Prepared(options)
    images = [sample.image.pixels for sample in reference]
    notes: list[str] = []
    warnings: list[str] = []
    if settings.count_law == "auto" and settings.mean_count == 0 and statistics.counts:
        options = replace(options, count_law="reference")
    blank = not any(one.contrast > 0 for one in statistics.each)
    if settings.fit and settings.scene not in LEGACY and not blank:
        search = span(progress, 0.0, 0.85)
        styles = fit_styles(settings.scene, images, options, settings.seed, search)
        options = replace(options, styles=styles)
        if not styles:
            warnings.append(
                "No look of this kind of images came nearer to the reference images than "
                "background, size and contrast alone; only these follow them."
            )
    judged = likeness(settings.scene, images, options, settings.seed, span(progress, 0.85, 1.0))
    (warnings if blank else notes).append(statistics.note)
    if judged.after >= judged.before:
        warnings.append(judged.sentence())
    else:
        notes.append(judged.sentence())
    return Prepared(options, judged, _found(statistics), tuple(notes), tuple(warnings))


def _found(s: ReferenceStatistics) -> tuple[tuple[str, str], ...]:
    """Measured values as the user reads them."""
    sign = {True: "brighter", False: "darker", None: "not clear"}[s.brighter]
    size = "none found" if s.diameter_px is None else f"{s.diameter_px:.0f} px"
    return (
        ("Background (grey value)", f"{s.background_level:.4g}"),
        ("Objects against their surroundings", sign),
        ("Object diameter", size),
        ("Rim and inside (above background)", f"{s.rim:+.3g} and {s.inner:+.3g}"),
        ("Noise (grey values)", f"{s.noise_sd:.3g}"),
    )
