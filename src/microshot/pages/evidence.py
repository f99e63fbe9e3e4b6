"""What a model file carries of its own check: scores per image, the worst pictures, latent map."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from microshot.bundle import Bundle
from microshot.pages import counting
from microshot.pages.examples import comparison_rows, example_pictures, score_rows, worst_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.api import Example, Trained

#: Images whose scores are written down, the worst ones where there are more.
MOST_ROWS = 100
#: Digits of a score.
DIGITS = 5


def with_evidence(result: Trained) -> Bundle:
    """Return the model of `result` with scores per image and pictures of the worst in its card.

    A Twin-VAE's has the map of its latent space, too.

    Images are called by their number, not by their name; the model's id stays as it is. An
    old model that retraining passed on keeps the evidence of its own training.
    """
    if getattr(result, "kept", "new") == "old":
        return result.bundle
    card = dataclasses.replace(result.bundle.card, report=_report(result))
    return Bundle(card, result.bundle.weights)


def _report(result: Trained) -> dict[str, Any]:
    from microshot.report.carried_pictures import packed
    from microshot.report.panels import keys_for, old_new_panels, result_panel
    from microshot.report.training_views import old_new_keys

    compared: Sequence[Example] = getattr(result, "comparison", ())
    examples = compared or result.examples
    names = _numbers(result, examples)
    pictures = example_pictures(examples, result.bundle.card.task)
    mapped = counting.latent_map(result)
    more = {"latent_map": _rounded(mapped)} if mapped else {}
    if compared:
        rows = comparison_rows(result)  # type: ignore[arg-type]
        shown = packed(pictures, old_new_panels, old_new_keys(pictures), names)
        written = _written(_worst(rows, examples, result), names)
        return {"comparison": written, "pictures": shown, **more}
    rows = _worst(score_rows(result), examples, result)
    shown = packed(pictures, result_panel, keys_for(pictures), names)
    return {"rows": _written(rows, names), "pictures": shown, **more}


def _numbers(result: Trained, examples: Sequence[Example]) -> dict[str, str]:
    """Return what images are called in the file, by their name: their place among all, from 1."""
    places = {id(sample): i for i, sample in enumerate(result.data, 1)}
    return {
        e.sample.name: f"image {places.get(id(e.sample), i)}" for i, e in enumerate(examples, 1)
    }


def _worst(
    rows: Sequence[dict[str, Any]], examples: Sequence[Example], result: Trained
) -> list[dict[str, Any]]:
    """Return all rows, or of many the worst, in their order."""
    kept = worst_first(examples, result.bundle.card.task)[:MOST_ROWS]
    return [rows[i] for i in sorted(kept)]


def _written(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{k: names[v] if k == "name" else _rounded(v) for k, v in row.items()} for row in rows]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
