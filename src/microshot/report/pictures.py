"""Galleries: example images side by side, each with its panels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from microshot.report import overlay, stains
from microshot.report.details import detail, detail_of_points
from microshot.report.page import Markup, paragraph
from microshot.report.style import FALSE, FOUND, MISSED, TRUTH

if TYPE_CHECKING:
    import numpy as np

    from microshot.report.counted import Counted

#: Images shown in one gallery.
MOST_TILES = 24
#: Bytes that all photographs of a gallery take together, at most.
GALLERY_BYTES = 1_100_000
#: Width of a picture, in px, for every px of its outlines; pages show it at about 260 px.
PX_PER_OUTLINE = 170
KEYS = {
    "found": (FOUND, "solid", "found"),
    "false": (FALSE, "solid", "false"),
    "missed": (MISSED, "dashed", "missed"),
    "predicted": (FOUND, "solid", "predicted"),
    "truth": (TRUTH, "solid", "truth"),
    "counted": (FOUND, "solid", "counted"),
    "true place": (TRUTH, "solid", "true place"),
}
#: Keys of marks that are no outlines.
_OF_POINTS = {"counted", "true place"}


@dataclass(frozen=True, eq=False)
class Example:
    """One image with whatever is known about it; everything but name and pixels may be missing."""

    name: str
    pixels: np.ndarray
    """(C, Y, X) of any number type."""
    truth: np.ndarray | None = None
    """(Y, X) true ids: 0 background, negative = not annotated."""
    prediction: np.ndarray | None = None
    """(Y, X) predicted ids (of the new model, where two are compared)."""
    old: np.ndarray | None = None
    """(Y, X) ids predicted by the model before retraining."""
    target: np.ndarray | None = None
    """(K, Y, X) true fluorescence."""
    translated: np.ndarray | None = None
    """(K, Y, X) predicted fluorescence, in the units of `target`."""
    old_translated: np.ndarray | None = None
    """(K, Y, X) fluorescence predicted by the model before retraining."""
    stains: tuple[str, ...] = ()
    """Names of the K stains."""
    caption: str = ""
    predictions: Mapping[str, np.ndarray] = field(default_factory=dict)
    """(Y, X) predicted ids by model, where several models are compared."""
    counted: Counted | None = None
    """True and predicted number of objects."""
    confidence: np.ndarray | None = None
    """(Y, X) how far a mask of nuclei can be trusted, 0 to 1."""
    place: tuple[int, int] | None = None
    """y, x of the first pixel, where all this is of a part of an image."""


@dataclass(frozen=True)
class Panel:
    """One picture of a tile."""

    title: str
    picture: Markup
    note: str = ""
    column: int = 0
    """Which column of its tile it stands in, counted from 1; 0 = wherever there is room."""


class View:
    """How one example is shown: its part, its size, and the photograph itself (made once)."""

    def __init__(self, example: Example, max_px: int, max_bytes: int) -> None:
        labels = (example.truth, example.prediction, example.old, *example.predictions.values())
        known = [a for a in labels if a is not None]
        size = (example.pixels.shape[1], example.pixels.shape[2])
        self.part = detail(size, known, max_px) or detail_of_points(
            size, _points(example.counted), max_px
        )
        self.place = example.place or (0, 0)
        self.is_whole = self.part is None and example.place is None
        rows, columns = self.part or (slice(0, size[0]), slice(0, size[1]))
        self.n_planes, is_stack = len(example.pixels), bool(stains.versions(example))
        self.plane = overlay.plane_shown(example.pixels, is_stack=is_stack)
        planes = slice(None) if self.plane is None else slice(self.plane, self.plane + 1)
        self.pixels = example.pixels[planes, rows, columns]
        self.crop = (rows, columns)
        self.max_px, self.max_bytes = max_px, max_bytes
        self.shape = overlay.display_shape(self.pixels.shape[1:], max_px)  # type: ignore[arg-type]
        self.width = max(2, round(max_px / PX_PER_OUTLINE))
        self.photo = overlay.jpeg_data_uri(overlay.render(self.pixels, max_px=max_px), max_bytes)

    def cut(self, labels: np.ndarray) -> np.ndarray:
        return labels[self.crop]

    def layered(self, layer: overlay.Layer | None, alt: str) -> Markup:
        drawn = layer.data_uri() if layer is not None and layer.marks.any() else ""
        return picture(self.photo, self.shape, alt, drawn)

    def image(self, pixels: np.ndarray, low_high: tuple[float, float] | None, alt: str) -> Markup:
        rgb = overlay.render(
            pixels[(slice(None), *self.crop)], low_high=low_high, max_px=self.max_px
        )
        return picture(overlay.jpeg_data_uri(rgb, self.max_bytes), self.shape, alt)

    @property
    def note(self) -> str:
        """Say which part and which plane are shown, where it is not the whole."""
        told = []
        if self.plane is not None:
            told.append(f"input: plane {self.plane + 1} of {self.n_planes}")
        if not self.is_whole:
            y, x = self.crop
            top, left = (a + b.start for a, b in zip(self.place, self.crop, strict=True))
            size = f"{y.stop - y.start} × {x.stop - x.start} px"
            told.append(f"shown: {size} at y {top}, x {left}")
        return " · ".join(told)


def _points(counted: Counted | None) -> list[np.ndarray]:
    if counted is None:
        return []
    return [p for p in (counted.points, counted.true_points) if p is not None]


def picture(source: str, shape: tuple[int, int], alt: str, layer: str = "") -> Markup:
    """Return a photograph with outlines over it (``data:`` addresses) that can be switched off."""
    size = f'width="{shape[1]}" height="{shape[0]}"'
    over = f'<img class="layer" src="{layer}" alt="" {size}/>' if layer else ""
    return Markup(
        f'<div class="picture"><img src="{source}" alt="{escape(alt)}" {size}/>{over}</div>'
    )


Maker = Callable[[Example, View], Sequence[Panel]]


def gallery(
    examples: Sequence[Example],
    panels: Maker,
    keys: Sequence[str] = (),
    *,
    per_example: int = 1,
    empty: str = "No images.",
    most: int = MOST_TILES,
    of: int = 0,
    what: str = "images",
) -> Markup:
    """Return tiles of examples, each with the panels that `panels` makes of it.

    Parameters
    ----------
    keys : entries of the colour key (names of `KEYS`); with one there is a switch for outlines.
    per_example : photographs a tile holds, to share out the bytes.
    most : tiles shown; the others are counted below.
    of : images that there are, where `examples` are only some of them.
    what : `examples` are, in the plural.
    """
    if not examples:
        return paragraph(empty, quiet=True) if empty else Markup("")
    shown = list(examples[:most])
    stained = max(stains.n_panels(e) for e in shown)
    n = len(shown) * (1 + stained if stained else per_example)
    max_px = 560 if n <= 6 else 460 if n <= 12 else 360
    limit = max(GALLERY_BYTES // n, 14_000)
    tiles = "".join(_tile(e, panels, max_px, min(limit, 110_000)) for e in shown)
    n_images = max(len(examples), of)
    more = n_images > len(shown)
    below = paragraph(f"{len(shown)} of {n_images} {what} shown.", quiet=True) if more else ""
    return gallery_of(tiles, keys, below)


def gallery_of(tiles: str, keys: Sequence[str], below: str = "") -> Markup:
    """Return tiles under their colour key."""
    return Markup(f'<div class="gallery">{_bar(keys)}<div class="tiles">{tiles}</div>{below}</div>')


def _bar(keys: Sequence[str]) -> str:
    if not keys:
        return ""
    marks = "".join(
        f'<span class="key"><i style="border-color:{KEYS[k][0]};border-style:{KEYS[k][1]}"></i>'
        f"{KEYS[k][2]}</span>"
        for k in keys
    )
    what = "marks" if set(keys) & _OF_POINTS else "outlines"
    toggle = f'<label class="toggle"><input type="checkbox" checked="checked"/>show {what}</label>'
    return f'<div class="bar">{marks}{toggle}</div>'


def _tile(example: Example, panels: Maker, max_px: int, max_bytes: int) -> str:
    view = View(example, max_px, max_bytes)
    return tile(example.name, panels(example, view), example.caption, view.note)


def tile(name: str, made: Sequence[Panel], *told: str) -> str:
    """Return the panels of one image under its name, with what else is told of it."""
    alone = len(made) == 1
    inner = "".join(
        f"<div{_column(panel)}>{'' if alone else _panel_head(panel)}{panel.picture}</div>"
        for panel in made
    )
    notes = [made[0].note if alone else "", *told]
    text = " · ".join(note for note in notes if note)
    under = f'<span class="name">{escape(name)}</span>{escape(text)}'
    columns = max((panel.column for panel in made), default=0)
    lines = f' lines" style="--columns:{columns}' if columns else ""
    row, told_by = f'<div class="row{lines}">{inner}</div>', f"<figcaption>{under}</figcaption>"
    if alone:
        return f'<figure class="tile">{row}{told_by}</figure>'
    return f'<figure class="tile wide">{told_by}{row}</figure>'


def _column(panel: Panel) -> str:
    return f' style="grid-column:{panel.column}"' if panel.column else ""


def _panel_head(panel: Panel) -> str:
    return f'<div class="panel"><b>{escape(panel.title)}</b>{escape(panel.note)}</div>'


# ------------------------------------------------------------------------------------ panels
