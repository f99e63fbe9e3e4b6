"""From images that were read or made to HTML pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.pages import translating

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.data.dataset import Dataset, Sample
    from microshot.settings import GenerateSettings
    from microshot.synth.prepare import Prepared


def generated_page(
    shown: Sequence[Sample],
    reference: Dataset | None,
    settings: GenerateSettings,
    prepared: Prepared,
    record: Mapping[str, Any] | None = None,
) -> str:
    """Return the page of *Generate Synthetic Images*.

    `record` says where the images come from (see `provenance.record`).
    """
    from microshot.report import image_views
    from microshot.report.pictures import Example as Picture
    from microshot.report.record_views import recorded
    from microshot.settings import SCENES

    described = [
        ("Kind of images", SCENES[settings.scene].label),
        ("Random seed", str(settings.seed)),
    ]
    made = [
        translating.generated(s)
        if s.target is not None
        else Picture(s.name, s.image.pixels, truth=s.labels)
        for s in shown
    ]
    given = [Picture(s.name, s.image.pixels, truth=s.labels) for s in reference or ()]
    notes = [*prepared.warnings, *only_first(len(shown), settings.n)]
    likeness = image_views.Likeness(prepared.notes, prepared.found)
    return image_views.generated_view(made, given, described, notes, likeness, recorded(record))


def images_page(shown: Sequence[dict[str, Any]], notes: Sequence[str], n_images: int) -> str:
    """Return the page of *Microscopy Image Reader*; `shown` are the first of `n_images`."""
    from microshot.report import image_views

    rows, notes = [], [*notes, *only_first(len(shown), n_images)]
    for one in shown:
        reading = one["reading"]
        rows.append(
            {
                "name": one["name"],
                "pixels": one["image"].pixels,
                "labels": reading.labels if reading else None,
                "taken_for": reading.describe() if reading else "no label image",
                "count": one["count"],
                "pixel_size_um": one["image"].pixel_size_um,
            }
        )
    return image_views.images_view(rows, notes)


def only_first(n_shown: int, n_images: int) -> list[str]:
    """Say that a page does not show all images, where it does not."""
    if n_shown >= n_images:
        return []
    return [f"This page shows and counts the first {n_shown} of {n_images} images only."]
