"""The settings that a model was made with, as a report lists them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from microshot import knobs, settings
from microshot.report.page import Markup, facts, folded
from microshot.report.wording import (
    plain,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from microshot.bundle import Card


_USED = {
    "ema": "Weight averaging (decay)",
    "clip": "Greatest gradient norm",
    "foreground_fraction": "Patches with objects",
    "selection": "Best state by",
    "synthetic_fraction": "Part of synthetic crops",
    "warmup_steps": "Steps of warm-up",
}


def settings_list(card: Card) -> Markup:
    """Return what the user changed, and behind a fold all settings and the values they led to."""
    known = _known_settings(card.settings)
    changed, all_of_them, labels = [], [], _labels(known)
    order = {path: i for i, path in enumerate(known)}
    for path, value in sorted(_flat(card.settings), key=lambda one: order.get(one[0], len(order))):
        knob, default = known.get(path, (None, value))
        label = labels.get(path) or words(path.rpartition(".")[2])
        text = _choice(knob, value)
        all_of_them.append((label, text))
        if value != default:
            usual = "" if default in ("", None) else f" (default: {_choice(knob, default)})"
            changed.append((label, f"{text}{usual}"))
    hyper = card.training.get("hyper")
    values = hyper if isinstance(hyper, dict) else {}
    used = [(_USED.get(k) or words(k), plain(v)) for k, v in sorted(values.items())]
    nothing = [("Changed settings", "none; all have their defaults")] if all_of_them else []
    return Markup(
        facts(changed or nothing)
        + folded("All settings", facts(all_of_them))
        + folded("Values used in training", facts(used))
    )


def _known_settings(values: Mapping[str, Any]) -> dict[str, tuple[knobs.Knob, Any]]:
    """Return knob and default of every setting by its path, of the verb that `values` belong to."""
    verbs = (settings.TrainSettings, settings.RetrainSettings)
    verb = max(verbs, key=lambda kind: len(knobs.to_json(kind()).keys() & values.keys()))
    return knobs.by_path(verb)


def _labels(known: Mapping[str, tuple[knobs.Knob, Any]]) -> dict[str, str]:
    """Return the labels of settings by path; those that several have with their section's heading."""
    n = Counter(knob.label for knob, _ in known.values())
    of = {name: heading.label for name, heading, _ in knobs.sections(settings.TrainSettings)}
    return {
        path: knob.label + (f" ({of[path.partition('.')[0]]})" if n[knob.label] > 1 else "")
        for path, (knob, _) in known.items()
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    made: list[tuple[str, Any]] = []
    for key, value in values.items():
        inner = isinstance(value, dict)
        made += _flat(value, f"{prefix}{key}.") if inner else [(prefix + key, value)]
    return made


def _choice(knob: knobs.Knob | None, value: Any) -> str:
    """Write a setting as the dialog shows it; whole numbers without spaces, so that they can be copied."""
    if type(value) is int:
        return str(value)
    if knob and knob.choices and isinstance(value, str) and value in knob.choices:
        return knob.choices[value].label
    return plain(value)


def normalization(values: Mapping[str, Any]) -> str:
    """Write in words what a normalisation does."""
    whose = (
        "each image" if values.get("per", "image") == "image" else "all training images together"
    )
    match values.get("kind"):
        case "percentile":
            low, high = plain(values.get("low")), plain(values.get("high"))
            return f"percentiles {low} and {high} of {whose} become 0 and 1"
        case "zscore":
            return f"mean and standard deviation of {whose} become 0 and 1"
        case "minmax":
            return f"least and greatest value of {whose} become 0 and 1"
        case _:
            return pairs(values)


def network(architecture: Mapping[str, Any]) -> str:
    """Write an architecture: its name, and all else in parentheses."""
    name = str(architecture.get("name") or "")
    rest = pairs({k: v for k, v in architecture.items() if k != "name"})
    return f"{name} ({rest})" if name and rest else name or rest


def pairs(values: Mapping[str, Any]) -> str:
    """Write names and values in the order of the names."""
    known = sorted((k, v) for k, v in values.items() if v is not None)
    return ", ".join(f"{words(k).lower()} {plain(v)}" for k, v in known)
