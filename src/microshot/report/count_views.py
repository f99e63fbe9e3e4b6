"""What reports show of counts: headline, intervals, true against predicted, latent space."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.metrics.counts import count_scores
from microshot.report import count_figures as figures
from microshot.report import overlay, wording
from microshot.report.page import (
    Markup,
    callout,
    figure,
    folded,
    paragraph,
    section,
    side_by_side,
    table,
)
from microshot.report.wording import is_number, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Bars of a chart per true count; with more counts, several share one.
MOST_BARS = 16
#: Scores drawn for every true count (Kenneweg, Stallmann & Hammer 2022, Fig. 14).
PER_COUNT = ("accuracy", "mae", "mre")
#: With fewer images there is no map of the latent space.
LEAST_FOR_MAP = 5
#: Predictions drawn beside each other.
MOST_COMPARED = 6
DRAWN_PX, DRAWN_BYTES = 256, 24_000
_DRAWN = {
    "image": "as the network sees it",
    "natural": "drawn as a natural image",
    "synthetic": "drawn as a synthetic image",
}


@dataclass(frozen=True, eq=False)
class Counted:
    """What is known and predicted about the number of objects in one image."""

    name: str = ""
    true: float | None = None
    count: float | None = None
    """Not rounded."""
    low: float = 0.0
    high: float = math.inf
    """Interval; inf = without bound."""
    level: float | None = None
    """How often such intervals hold the true count."""
    points: np.ndarray | None = None
    """(n, 2) y and x of what was counted."""
    true_points: np.ndarray | None = None
    """(n, 2) y and x of the true objects, where they are marked."""
    heat: np.ndarray | None = None
    """(Y, X) objects per px."""
    embedding: np.ndarray | None = None
    """(L,) latent mean."""
    domain: str = "natural"
    old: Counted | None = None
    """What the model before retraining counted."""

    @property
    def interval(self) -> str:
        """The interval in words: ``9 to 14``, ``3 or more``; empty where nothing is known."""
        return interval_text(self.low, self.high)

    @property
    def text(self) -> str:
        """The count in one phrase: ``counted 11.6 (9 to 14), true 12``."""
        said = "" if self.count is None else f"counted {number(self.count)}"
        if said and self.interval and math.isfinite(self.high):
            said += f" ({self.interval})"
        known = "" if self.true is None else f"true {number(self.true)}"
        return ", ".join(part for part in (said, known) if part)


def interval_text(low: Any, high: Any) -> str:
    """Write an interval of counts; one that says nothing is said to be without bound."""
    if is_number(low) and is_number(high):
        return f"{number(low)} to {number(high)}"
    return f"{number(low)} or more" if is_number(low) and low > 0 else "without bound"


def exact_share(scores: Mapping[str, Any]) -> str:
    """Say how many images were counted exactly; empty where that is not known."""
    value = scores.get("accuracy")
    if value is None or not is_number(value):
        return ""
    return f", exact in {wording.percent(value)}"


def unbounded_note(notes: Sequence[str], n_images: int = 0) -> Markup:
    """Say what it means that intervals have no bound, and how to get bounded ones.

    Parameters
    ----------
    notes : why, of every image whose interval is without bound.
    n_images : images in all.
    """
    if not notes:
        return Markup("")
    whose = "The intervals have"
    if len(notes) < n_images:
        whose = wording.count_of(len(notes), "interval has", "intervals have")
    reasons = " ".join(dict.fromkeys(note for note in notes if note))
    return callout(
        f"{whose} no upper bound. {reasons} The counts themselves are as good as the model is; "
        "it is only not known how far they may be off. With more counted images to train on, "
        "more are held out, and intervals become bounded.".replace("  ", " "),
        minor=True,
    )


def scatter_section(counted: Sequence[Counted]) -> Markup:
    """Return true against predicted counts, and scores per true count behind a fold."""
    known = [c for c in counted if c.true is not None and c.count is not None]
    if not known:
        return Markup("")
    told = "Each dot is an image; on the dashed line the count is right."
    levels = {c.level for c in known if c.level and math.isfinite(c.high)}
    if len(levels) == 1:
        told += f" Bars: intervals that hold {wording.percent(levels.pop())} of true counts."
    return section(
        "True and predicted counts",
        side_by_side(figure(figures.count_scatter(known), told)),
        _per_count(known),
    )


def compared_parts(rows: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Return true against predicted counts of one or more predictions, and all counts in a table.

    Parameters
    ----------
    rows : one per image and prediction: ``name``, ``prediction``, ``true_count`` and ``count``.
    """
    models = list(dict.fromkeys(str(r.get("prediction") or "") for r in rows))
    of = {m: [r for r in rows if str(r.get("prediction") or "") == m] for m in models}
    drawn = [
        figure(
            figures.count_scatter([_of_row(r) for r in of[m]]),
            f"{m}. Each dot is an image; on the dashed line the count is right.".lstrip(". "),
        )
        for m in models[:MOST_COMPARED]
    ]
    heads = {"name": "Image", "true": "True count"} | {f"count {m}": m or "Count" for m in models}
    made: dict[str, dict[str, Any]] = {}
    for row in rows:
        name, model = str(row.get("name")), str(row.get("prediction") or "")
        cells = {"name": name, "true": row.get("true_count"), f"count {model}": row.get("count")}
        made.setdefault(name, {}).update(cells)
    return [side_by_side(*drawn), table(heads, list(made.values()))]


def _of_row(row: Mapping[str, Any]) -> Counted:
    true, count = (row.get(k) if is_number(row.get(k)) else None for k in ("true_count", "count"))
    return Counted(str(row.get("name")), true, count)


def _per_count(known: Sequence[Counted]) -> Markup:
    """Return accuracy, MAE and MRE for every true count; with one count there is nothing to see."""
    rows = per_count_rows(known)
    if len(rows) < 2:
        return Markup("")
    charts = [
        figure(figures.per_count_bars(rows, key))
        for key in PER_COUNT
        if any(is_number(row.get(key)) for row in rows)
    ]
    return folded("How good it is for few and for many objects", side_by_side(*charts))


def per_count_rows(known: Sequence[Counted]) -> list[dict[str, Any]]:
    """Return `count_scores` for every true count, or ranges of counts where there are many."""
    true = np.array([c.true for c in known], float)
    found = np.array([c.count for c in known], float)
    width = max(1, math.ceil((true.max() - true.min() + 1) / MOST_BARS))
    several = len(np.unique(true)) > MOST_BARS
    group = np.floor((true - true.min()) / width) if several else true
    rows = []
    for value in np.unique(group):
        at = group == value
        low, high = true[at].min(), true[at].max()
        name = number(low) if low == high else f"{number(low)}–{number(high)}"
        rows.append({**count_scores(true[at], found[at]), "count": name})
    return rows


# ------------------------------------------------------------------------------------ latent


def main_axes(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of n points on the two axes along which they vary most (PCA).

    Parameters
    ----------
    embeddings : (n, L), n and L at least 2.

    Returns
    -------
    (n, 2) float64 places, and (2,) the part of the variance on either axis. The sign of an axis is
    such that its largest entry is positive.
    """
    centred = np.asarray(embeddings, np.float64) - np.mean(embeddings, axis=0, dtype=np.float64)
    left, size, axes = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(1)])
    total = float(np.square(size).sum())
    part = np.square(size[:2]) / total if total > 0 else np.zeros(2)
    return left[:, :2] * size[:2] * np.where(signs == 0, 1, signs), part


def latent_section(counted: Sequence[Counted]) -> Markup:
    """Return maps of the latent space, by number of objects and by origin of the images."""
    known = [c for c in counted if c.embedding is not None and c.embedding.size >= 2]
    if len(known) < LEAST_FOR_MAP:
        return Markup("")
    places, part = main_axes(np.stack([np.ravel(c.embedding) for c in known]))  # type: ignore[arg-type]
    at = [(float(x), float(y)) for x, y in places]
    told = (
        "Every dot is an image, placed by what the network makes of it; the two axes hold "
        f"{wording.percent(float(part.sum()))} of the variation. "
    )
    drawn = [
        figure(
            figures.map_by_count(at, known),
            told + "Images with like counts should lie together.",
        )
    ]
    if len({c.domain for c in known}) > 1:
        drawn.append(
            figure(
                figures.map_by_domain(at, known),
                "The same map: the more natural and synthetic images mix, the more synthetic ones "
                "teach about natural ones.",
            )
        )
    return section("Map of the latent space", side_by_side(*drawn))


def drawn_section(pictures: Sequence[tuple[str, str, Mapping[str, np.ndarray]]]) -> Markup:
    """Return what a Twin-VAE draws of images: itself, and with the writer of the other domain.

    Parameters
    ----------
    pictures : name, domain, and (Y, X) pictures from 0 to 1: ``image``, ``natural``,
        ``synthetic``.
    """
    if not pictures:
        return Markup("")
    tiles = "".join(_drawn_tile(*one) for one in pictures)
    return section(
        "Reconstructions",
        paragraph(
            "What the network keeps of an image, drawn by the writer of its own kind of images and "
            "(switched) by that of the other kind. The more objects come back in their places, the "
            "more of the image the network has understood. The writer of a kind of images that the "
            "model never saw draws nothing sensible."
        ),
        Markup(f'<div class="gallery"><div class="tiles">{tiles}</div></div>'),
    )


def _drawn_tile(name: str, domain: str, pictures: Mapping[str, np.ndarray]) -> str:
    panels = []
    for kind, pixels in pictures.items():
        title = _DRAWN.get(kind, kind)
        title += ", switched" if kind not in ("image", domain) else ""
        rgb = overlay.render(np.asarray(pixels)[None], low_high=(0.0, 1.0), max_px=DRAWN_PX)
        source, size = overlay.jpeg_data_uri(rgb, DRAWN_BYTES), rgb.shape
        alt = escape(f"{name}, {title}")
        panels.append(
            f'<div><div class="panel"><b>{escape(title)}</b></div><div class="picture">'
            f'<img src="{source}" alt="{alt}" width="{size[1]}" height="{size[0]}"/></div></div>'
        )
    return (
        f'<figure class="tile wide"><figcaption><span class="name">{escape(name)}</span>'
        f'</figcaption><div class="row">{"".join(panels)}</div></figure>'
    )
