"""What is shown after reading images and after generating them."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.objects import object_areas, object_diameters
from microshot.report import figures, overlay, wording
from microshot.report.page import (
    Markup,
    facts,
    figure,
    notes_list,
    page,
    paragraph,
    section,
    side_by_side,
    table,
)
from microshot.report.panels import truth_panel
from microshot.report.pictures import Example, gallery
from microshot.report.style import NEW, OLD
from microshot.report.wording import count_of, is_number, number, score_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Thumbnails in the table of images read; further rows have none.
MOST_THUMBNAILS = 60
THUMBNAIL_PX, THUMBNAIL_BYTES = 96, 9_000
_HEADS = {
    "name": "Image",
    "picture": "Picture",
    "size": "Size, y × x (px)",
    "n_labels": "Labelled objects",
    "taken_for": "Label image taken for",
    "channels": "Channels",
}
#: Columns of the table of images read that come before all others.
_FIRST = (
    "name", "picture", "taken_for", "n_labels", "count", "size", "pixel_size_um", "channels",
)  # fmt: skip
MOST_GENERATED, MOST_REFERENCES = 16, 8
#: Width of an image in the comparison with real ones, on a page that is wide enough.
COMPARED_PX = 256


@dataclass(frozen=True)
class Likeness:
    """What is told about the likeness of generated and real images."""

    sentences: Sequence[str] = ()
    """What follows the real images, and how far both are apart."""
    found: Sequence[tuple[str, str]] = ()
    """Labels and values measured in the real images."""


def generated_view(
    images: Sequence[Example] = (),
    reference: Sequence[Example] = (),
    described: Sequence[tuple[str, Any]] = (),
    notes: Sequence[str] = (),
    likeness: Likeness | None = None,
    last: Sequence[Markup] = (),
) -> str:
    """Return the page with a contact sheet of generated images, beside real ones where there are some.

    Parameters
    ----------
    images : generated images with `truth`.
    reference : real images they shall look like; with `truth` where labelled.
    described : labels and values worth knowing, such as preset and seed.
    notes : warnings, one sentence each.
    likeness : how alike both are.
    last : parts behind all others.
    """
    own, real = _measured(images), _measured(reference)
    likeness = likeness or Likeness()
    body = [
        notes_list(notes),
        section("Summary", facts([*described, *_facts(images, own)])),
        section(
            "Real and generated images, for comparison",
            *(paragraph(sentence) for sentence in likeness.sentences),
            facts(list(likeness.found)),
            _beside(reference, images),
        )
        if reference
        else Markup(""),
        section(
            "Generated images",
            gallery(images, truth_panel, _truth_key(images), most=MOST_GENERATED),
        ),
        section("Counts and sizes", _histograms(own, real)),
        *last,
    ]
    return page("Synthetic images", body)


def _beside(reference: Sequence[Example], images: Sequence[Example]) -> Markup:
    """Real images on the left, generated ones on the right, without outlines, on one grey scale.

    Each pair is cut to its smaller size around the middle, so that both are magnified alike.
    """
    n = min(len(reference), len(images), MOST_REFERENCES)
    step = max(len(reference) // n, 1) if n else 1
    pairs = list(zip(reference[::step][:n], images[:n], strict=True))
    values = np.concatenate([r.pixels.mean(axis=0).ravel()[::7] for r, _ in pairs])
    low, high = np.percentile(values, [0.3, 99.7])
    rows = []
    for real, made in pairs:
        y, x = (
            min(a, b) for a, b in zip(real.pixels.shape[1:], made.pixels.shape[1:], strict=True)
        )
        cells = {}
        for key, one in (("real", real), ("generated", made)):
            top, left = (one.pixels.shape[1] - y) // 2, (one.pixels.shape[2] - x) // 2
            grey = one.pixels[:, top : top + y, left : left + x].mean(axis=0)
            scaled = np.clip((grey - low) / max(float(high - low), 1e-9), 0, 1) * 255
            source = overlay.jpeg_data_uri(np.repeat(scaled.astype(np.uint8)[..., None], 3, axis=2))
            cells[key] = Markup(
                f'<img src="{source}" alt="{escape(f"{one.name}, {key}")}" '
                f'style="width:min({COMPARED_PX}px, 42vw)"/>'
            )
        rows.append(cells)
    return table({"real": "Real", "generated": "Generated"}, rows)


def _truth_key(examples: Sequence[Example]) -> list[str]:
    return ["truth"] if any(e.truth is not None for e in examples) else []


def _measured(examples: Sequence[Example]) -> tuple[list[int], list[float]]:
    """Return objects per labelled image, and the diameter in px of every object."""
    diameters = [object_diameters(e.truth) for e in examples if e.truth is not None]
    return [len(own) for own in diameters], np.concatenate([np.zeros(0), *diameters]).tolist()


def _facts(
    images: Sequence[Example], measured: tuple[list[int], list[float]]
) -> list[tuple[str, Any]]:
    counts, diameters = measured
    sizes = sorted({f"{e.pixels.shape[1]} × {e.pixels.shape[2]}" for e in images})
    return [
        ("Images", number(len(images))),
        ("Size (px)", ", ".join(sizes[:6])),
        ("Objects", number(sum(counts)) if counts else None),
        ("Objects per image", number(np.mean(counts)) if counts else None),
        ("Median diameter (px)", number(np.median(diameters)) if diameters else None),
    ]


def _histograms(own: tuple[list[int], list[float]], real: tuple[list[int], list[float]]) -> Markup:
    drawn = []
    for index, (label, what, told) in enumerate(
        [
            ("objects per image", "images", "How many objects the images hold."),
            ("diameter (px)", "objects", "Diameter of a circle of each object's area."),
        ]
    ):
        series = [("real", real[index], OLD), ("generated", own[index], NEW)]
        known = [s for s in series if len(s[1])]
        if known:
            drawn.append(figure(figures.histogram(known, label, y_label=what), told))
    return side_by_side(*drawn)


def images_view(rows: Sequence[Mapping[str, Any]] = (), notes: Sequence[str] = ()) -> str:
    """Return the page of what was read: a thumbnail, what each file was taken for, sizes.

    Parameters
    ----------
    rows : one per image: ``name``, ``pixels`` (C, Y, X) or None, ``labels`` (Y, X) or None, and any
        further values (``file``, ``taken_for``, ``count``, ``pixel_size_um`` …), which become
        columns. Size and number of channels are added.
    notes : warnings, one sentence each.
    """
    body = _images(rows) if rows else [paragraph("No images.", quiet=True)]
    return page("Images read", [notes_list(notes), *body], subtitle=count_of(len(rows), "image"))


def _images(rows: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Return what was read in numbers, and image by image."""
    made = [_image_row(row, thumbnail=i < MOST_THUMBNAILS) for i, row in enumerate(rows)]
    keys = wording.shown_keys(made, ("name", "picture"))
    heads = {k: score_of(k).label for k in keys} | _HEADS
    known = [k for k in keys if any(row.get(k) is not None for row in made)]
    first = [k for k in _FIRST if k == "name" or any(row.get(k) is not None for row in made)]
    columns = {k: heads[k] for k in (*first, *(k for k in known if k not in first))}
    n_labelled = sum(row.get("labels") is not None for row in rows)
    n_counted = sum(is_number(row.get("count")) for row in rows)
    summary = [
        ("Images", number(len(rows))),
        ("With label image", number(n_labelled)),
        ("With count", number(n_counted) if n_counted else None),
    ]
    more = len(rows) - MOST_THUMBNAILS
    return [
        section("Summary", facts(summary)),
        section(
            "Images",
            table(columns, made),
            paragraph(f"Pictures of the first {MOST_THUMBNAILS} images only.", quiet=True)
            if more > 0
            else "",
        ),
    ]


def _image_row(row: Mapping[str, Any], *, thumbnail: bool) -> dict[str, Any]:
    made = {k: v for k, v in row.items() if k not in ("pixels", "labels")}
    pixels, labels = row.get("pixels"), row.get("labels")
    if pixels is not None:
        made["size"] = f"{pixels.shape[1]}\u00a0×\u00a0{pixels.shape[2]}"
        made["channels"] = made.get("channels", len(pixels))
        if thumbnail:
            made["picture"] = _thumbnail(str(row.get("name", "")), pixels, labels)
    if labels is not None:
        made["n_labels"] = len(object_areas(labels))
    return made


def _thumbnail(name: str, pixels: np.ndarray, labels: np.ndarray | None) -> Markup:
    rgb = overlay.render(pixels, max_px=THUMBNAIL_PX)
    if labels is not None:
        shape = (rgb.shape[0], rgb.shape[1])
        rgb = overlay.outline_layer([(labels, "truth")], shape).over(rgb)
    source = overlay.jpeg_data_uri(rgb, THUMBNAIL_BYTES)
    alt = escape(wording.shortened(name, 60))
    return Markup(f'<img class="small" src="{source}" alt="{alt}"/>')
