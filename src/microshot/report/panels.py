"""What is drawn over an image: outlines and marks of what is true, predicted, found and missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microshot.report import overlay, stains, wording
from microshot.report.count_marks import marks_layer
from microshot.report.pictures import Example, Panel, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from microshot.report.counted import Counted


def plain_panel(example: Example, view: View) -> Sequence[Panel]:
    """Show the photograph alone."""
    return [Panel("image", view.layered(None, example.name))]


def truth_panel(example: Example, view: View) -> Sequence[Panel]:
    """Show the photograph with its true outlines, and the stains of a stack."""
    outlined = _outlined(example, view, example.truth, "truth", "truth")
    return [outlined, *_stain_panels(example, view)] if stains.versions(example) else [outlined]


def result_panel(
    example: Example, view: View, *, threshold: float = 0.5, border_px: int = 0
) -> Sequence[Panel]:
    """Show found, false and missed objects where the truth is known, else what was predicted.

    See `overlay.comparison_parts` for `threshold` and `border_px`.
    """
    if example.translated is not None or example.target is not None:
        return translation_panels(example, view)
    if example.counted is not None:
        return count_panels(example, view)
    return [_judged(example, view, example.prediction, "prediction", threshold, border_px)]


def old_new_panels(example: Example, view: View) -> Sequence[Panel]:
    """Show old model, new model and truth side by side."""
    if stains.versions(example):
        return translation_panels(example, view)
    if (new := example.counted) is not None:
        old = [] if new.old is None else [_marked(example, view, new.old, "old model")]
        return [*old, _marked(example, view, new, "retrained model")]
    made = [
        _judged(example, view, labels, title)
        for labels, title in ((example.old, "old model"), (example.prediction, "retrained model"))
        if labels is not None
    ]
    if example.truth is not None:
        made.append(_outlined(example, view, example.truth, "truth", "truth"))
    return made or plain_panel(example, view)


def compared_panels(
    example: Example, view: View, *, threshold: float = 0.5, border_px: int = 0
) -> Sequence[Panel]:
    """Show the truth and the predictions of every model side by side."""
    truth = [] if example.truth is None else truth_panel(example, view)
    judged = [
        _judged(example, view, labels, name, threshold, border_px)
        for name, labels in example.predictions.items()
    ]
    return [*truth, *judged] or plain_panel(example, view)


def translation_panels(example: Example, view: View) -> Sequence[Panel]:
    """Show input with nuclei, every stain (its truth sets black and white), and confidence."""
    shown = [_outlined(example, view, example.prediction, "found", "input")]
    shown += _stain_panels(example, view)
    if example.confidence is not None:
        map_ = view.image(example.confidence[None], (0.0, 1.0), f"{example.name}, confidence")
        in_lines = any(panel.column for panel in shown)
        shown.append(Panel("confidence", map_, "white = sure", column=int(in_lines)))
    return shown


def _stain_panels(example: Example, view: View) -> list[Panel]:
    """Show the stains: where there are several in several versions each in a line of its own.

    The first column of such lines is left to what is shown before.
    """
    made, known = [], stains.versions(example)
    first = known[0][1]
    in_lines = len(known) > 1 and len(first) > 1
    for i, truth in enumerate(first):
        low_high = stains.black_and_white(truth)
        for column, (version, pixels) in enumerate(known, 2):
            title = ", ".join(t for t in (*example.stains[i : i + 1], version) if t)
            own = pixels is not first
            shown, told = stains.drawn_as(pixels[i], low_high) if own else (low_high, "")
            drawn = view.image(pixels[i][None], shown, f"{example.name}, {title}")
            made.append(Panel(title, drawn, told, column if in_lines else 0))
    return made


def count_panels(example: Example, view: View) -> Sequence[Panel]:
    """Show where objects were counted: rings, or a map of objects per px beside the photograph."""
    counted = example.counted
    assert counted is not None
    made = [_marked(example, view, counted, "image")]
    if counted.points is None and counted.heat is not None:
        most = float(counted.heat.max()) or 1.0
        alt = f"{example.name}, where objects were counted"
        made.append(Panel("objects per px", view.image(counted.heat[None], (0.0, most), alt)))
    return made


def _marked(example: Example, view: View, counted: Counted, title: str) -> Panel:
    layer = marks_layer(counted.points, counted.true_points, view.crop, view.shape, view.width)
    return Panel(title, view.layered(layer, f"{example.name}: {counted.text}"), counted.text)


def _outlined(
    example: Example, view: View, labels: np.ndarray | None, kind: str, title: str
) -> Panel:
    if labels is None:
        return Panel(title, view.layered(None, f"{example.name}, {title}"))
    layer = overlay.outline_layer([(view.cut(labels), kind)], view.shape, view.width)
    if example.place is not None:  # how many there are in a part is of no interest
        return Panel(title, view.layered(layer, f"{example.name}: {title}"))
    n = len(np.unique(labels[labels > 0]))
    note = wording.count_of(n, "object")
    return Panel(title, view.layered(layer, f"{example.name}: {title}, {note}"), note)


def _judged(
    example: Example,
    view: View,
    labels: np.ndarray | None,
    title: str,
    threshold: float = 0.5,
    border_px: int = 0,
) -> Panel:
    if labels is None or example.truth is None:
        return _outlined(example, view, labels, "found", title)
    parts, m = overlay.comparison_parts(example.truth, labels, threshold, border_px=border_px)
    layer = overlay.outline_layer(
        [(view.cut(part), kind) for part, kind in parts], view.shape, view.width
    )
    note = f"F1 {m.f1:.2f}: {m.tp} found, {m.fp} false, {m.fn} missed"
    return Panel(title, view.layered(layer, f"{example.name}, {title}: {note}"), note)


def keys_for(examples: Iterable[Example]) -> list[str]:
    """Return the colour key that a gallery of `result_panel` needs."""
    known = list(examples)
    keys: list[str] = []
    if counts := [c for e in known if (c := e.counted) is not None]:
        keys = ["counted"] if any(c.points is not None for c in counts) else []
        return [*keys, "true place"] if any(c.true_points is not None for c in counts) else keys
    if any(e.predictions and e.truth is not None for e in known):
        return ["truth", "found", "false", "missed"]
    if any(e.prediction is not None and e.truth is None for e in known):
        keys.append("predicted")
    if any(e.prediction is not None and e.truth is not None for e in known):
        keys = ["found", "false", "missed"]
    return keys
