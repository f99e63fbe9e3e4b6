"""How numbers, scores, settings and durations are written in reports."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.words import form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

#: Separates thousands: a thin space at which no line breaks.
THIN = "\u202f"
NOTHING = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Score:
    """How a score is called, written and read."""

    label: str
    meaning: str = ""
    kind: str = "number"
    """``unit`` (0 to 1, two decimals), ``count`` (whole number), ``tenth`` and ``hundredth`` (one and
    two decimals) or ``number`` (three digits)."""
    better: int = 1
    """1 where more is better, -1 where less is, 0 where neither."""
    of_one: str = ""
    """How it is called of a single image, where `label` speaks of a mean."""

    @property
    def label_of_one(self) -> str:
        """How the score of a single image is called."""
        return self.of_one or self.label


#: Those of one kind, the most important first: the order in which reports list them.
SCORES = {
    "f1": Score("F1", "found objects over found, false and missed ones, 2·found / "
                "(2·found + false + missed); 1 is perfect", "unit"),
    "precision": Score("Precision", "part of the predicted objects that are true", "unit"),
    "recall": Score("Recall", "part of the true objects that were found", "unit"),
    "average_precision": Score("AP 0.50:0.95", "found / (found + false + missed), averaged over "
                               "overlaps from 0.50 to 0.95; rewards exact outlines", "unit"),
    "panoptic_quality": Score("PQ", "F1 times the mean overlap (IoU) of the found objects", "unit"),
    "dice": Score("Dice", "overlap of object pixels, whatever object they belong to", "unit"),
    "true_positives": Score("Found", "true objects that were found", "count"),
    "false_positives": Score("False", "predicted objects that are none", "count", -1),
    "false_negatives": Score("Missed", "true objects that were not found", "count", -1),
    "n_images": Score("Images", "", "count", 0),
    "n_objects": Score("Objects", "", "count", 0),
    "count": Score("Count", "", "tenth", 0),
    "not_rounded": Score("Not rounded", "", "tenth", 0),
    "true_count": Score("True count", "", "number", 0),
    "mae": Score("MAE", "mean difference between rounded predicted and true count", "number", -1,
                 of_one="Absolute error"),
    "mae_unrounded": Score("MAE, not rounded", "the same for counts before rounding",
                           "number", -1),
    "error": Score("Error", "predicted less true count, before rounding", "tenth", 0),
    "relative_error": Score("Relative error", "difference between predicted and true count, as "
                            "part of the true count", "unit", -1),
    "mre": Score("MRE", "mean difference of rounded counts, relative to the true count", "unit", -1),
    "accuracy": Score("Accuracy", "part that is exactly right", "unit"),
    "coverage": Score("Interval coverage", "part of the true counts inside their intervals", "unit",
                      0),
    "n_intervals": Score("Intervals", "images with an interval", "count", 0),
    "inside_interval": Score("Inside interval", "", "number", 0),
    "rmse": Score("RMSE", "root of the mean squared difference, before rounding", "number", -1),
    "bias": Score("Bias", "mean of predicted less true, before rounding; 0 is best", "number", 0),
    "pearson": Score("Pearson r", "correlation of the pixels; 1 is perfect", "unit"),
    "ssim": Score("SSIM", "similarity of structure; 1 is perfect", "unit"),
    "med_mae": Score("medMAE", "mean difference from the measured stain, over the stain's median",
                     "number", -1),
    "feature_score": Score("Feature score", "mean error of what an analysis measures on the stains "
                           "(number, shape and light of objects), over each measure's median; "
                           "0 is perfect", "number", -1),
    "psnr": Score("PSNR (dB)", "signal over error", "tenth"),
    "mask_iou": Score("IoU of mask", "shared pixels over all pixels of true and predicted mask",
                      "unit"),
    "mask_dice": Score("Dice of mask", "overlap of true and predicted mask", "unit"),
    "confidence": Score("Confidence", "mean over the objects", "unit", 0),
    "diameter_px": Score("Size taken (px)", "what objects were taken to measure", "tenth", 0),
    "unlike": Score("Unlike training", "above 1 the image is unlike the training images",
                    "hundredth", -1),
    "warning": Score("Warning", "", "number", 0),
    "pixel_size_um": Score("Pixel size (µm)", "", "number", 0),
}  # fmt: skip
#: Scores that every stain has of its own, where there are several, in the order of tables.
PER_STAIN = ("pearson", "ssim", "psnr", "med_mae")
#: Sums that scores are computed from, and the number of images under another name; of no interest to a reader.
INTERNAL = ("iou_sum", "n")


#: Decimals of the kinds of scores that always have as many.
_DECIMALS = {"unit": 2, "hundredth": 2, "tenth": 1}
#: Headings of score tables (`metrics.object_scoring`) and the scores they stand for.
_HEADINGS = {
    "Image": "name",
    "Prediction": "prediction",
    "Images": "n_images",
    "F1": "f1",
    "Precision": "precision",
    "Recall": "recall",
    "Average precision (0.50-0.95)": "average_precision",
    "Panoptic quality": "panoptic_quality",
    "Foreground Dice": "dice",
    "Found": "true_positives",
    "False": "false_positives",
    "Missed": "false_negatives",
    "True count": "true_count",
    "Count": "count",
    "Error": "error",
    "Absolute error": "mae",
    "Inside interval": "inside_interval",
    "Interval coverage": "coverage",
    "Intervals": "n_intervals",
    "MAE": "mae",
    "MRE": "mre",
    "Accuracy": "accuracy",
    "Bias": "bias",
    "RMSE": "rmse",
    "Stain": "stain",
    "Pearson r": "pearson",
    "SSIM": "ssim",
    "PSNR (dB)": "psnr",
    "medMAE": "med_mae",
    "Feature score": "feature_score",
}


def by_key(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a score table with keys instead of headings."""
    return {_HEADINGS.get(name, name): value for name, value in row.items()}


def score_of(key: str) -> Score:
    """Return how the score `key` is written; an unknown one under its own name.

    Scores of single stains are called like ``pearson_nuclei``.
    """
    if key in SCORES:
        return SCORES[key]
    of = _all_stains(key)
    if of is not None:
        return replace(SCORES[of], label=f"{SCORES[of].label}, {key[len(of) + 1 :]}")
    return Score(words(key), better=0)


def _all_stains(key: str) -> str | None:
    """Return the score over all stains to which that of a single one belongs."""
    return next((k for k in PER_STAIN if key.startswith(f"{k}_")), None)


def score_text(key: str, value: Any) -> str:
    """Write a score as its kind wants it: ``0.86``, ``1 204``, ``3.14``."""
    if not is_number(value):
        return plain(value)
    kind = score_of(key).kind
    if kind in _DECIMALS:
        return _fixed(value, _DECIMALS[kind])
    return number(round(value) if kind == "count" else value)


def _fixed(value: Any, decimals: int) -> str:
    rounded = round(float(value), decimals) + 0.0  # no minus before a zero
    return f"{rounded:,.{decimals}f}".replace(",", THIN).replace("-", "−")


def writer(key: str, values: Iterable[Any]) -> Callable[[Any], str]:
    """Return what writes the scores `key` of one column or figure, as `score_text` writes one.

    All have as many decimals as one of `values` needs; two at most where one is 1 or more.
    """
    known = [value for value in values if is_number(value)]
    texts = [score_text(key, value) for value in known]
    if score_of(key).kind != "number" or any("×" in text for text in texts):
        return partial(score_text, key)
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    if any(abs(value) >= 1 for value in known):
        decimals = min(decimals, 2)
    return lambda value: _fixed(value, decimals) if is_number(value) else plain(value)


def writers(
    keys: Iterable[str], rows: Iterable[Mapping[str, Any]]
) -> dict[str, Callable[[Any], str]]:
    """Return what writes the columns `keys` of a table with `rows`, see `writer`."""
    rows = list(rows)
    return {key: writer(key, [row.get(key) for row in rows]) for key in keys}


def difference(key: str, old: Any, new: Any) -> str:
    """Write new less old with its sign: ``+0.04``; three decimals where two say nothing.

    For scores of two decimals it is the difference of what is shown, so that the row adds up.
    """
    if not (is_number(old) and is_number(new)):
        return NOTHING
    change = float(new) - float(old)
    text = number(abs(change), 2)
    if score_of(key).kind == "unit":
        shown = abs(round(float(new), 2) - round(float(old), 2))
        text = f"{shown:.2f}" if shown >= 0.005 else f"{abs(change):.3f}"
        if text == "0.000":
            change = 0.0
    return ("+" if change > 0 else "−") + text if change else "0"


def is_number(value: Any) -> bool:
    """Say whether `value` is a finite number (and not yes or no)."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        return False
    return math.isfinite(float(value))


def number(value: Any, digits: int = 3) -> str:
    """Write a number with `digits` significant digits, thousands set apart: ``12 400``, ``0.0312``.

    Whole numbers are written whole. What is no finite number becomes a dash.
    """
    if not is_number(value):
        return NOTHING
    value = float(value)
    sign, value = ("−" if value < 0 else ""), abs(value)
    if value == round(value) and value < 1e15:
        return sign + f"{value:,.0f}".replace(",", THIN)
    if value >= 1e15 or value < 1e-4:
        mantissa, exponent = f"{value:.{max(digits - 1, 0)}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{sign}{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    decimals = max(0, digits - 1 - math.floor(math.log10(value)))
    text = f"{value:,.{decimals}f}".replace(",", THIN)
    return sign + (text.rstrip("0").rstrip(".") if "." in text else text)


def percent(fraction: float) -> str:
    """Write a part of 1 in percent: ``86 %``."""
    return f"{100 * fraction:.0f}{THIN}%"


def duration(seconds: Any) -> str:
    """Write a time: ``0.8 s``, ``45 s``, ``3.2 min``, ``1.5 h``."""
    if not is_number(seconds):
        return NOTHING
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plain(value: Any) -> str:
    """Write any value a table or a setting may hold."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOTHING
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if is_number(value):
        return number(value)
    if isinstance(value, (list, tuple, set, np.ndarray)):
        return ", ".join(plain(v) for v in value) or NOTHING
    if isinstance(value, dict):
        return ", ".join(f"{words(str(k))}: {plain(v)}" for k, v in value.items()) or NOTHING
    return str(value) or NOTHING


def words(key: str) -> str:
    """Make a heading of a name: ``patch_px`` becomes ``Patch (px)``."""
    stem, _, unit = key.rpartition("_")
    units = {"px": "px", "um": "µm", "s": "s", "um2": "µm²", "px2": "px²", "deg": "°"}
    if stem and unit in units:
        return f"{words(stem)} ({units[unit]})"
    text = " ".join(part for part in key.replace("_", " ").split() if part)
    if key.startswith("n_"):
        text = f"number of {text[2:]}"
    return text[:1].upper() + text[1:]


def count_of(n: float, one: str, many: str = "") -> str:
    """Write a number with its noun: ``1 image``, ``1 204 images``."""
    return f"{number(n)} {form(n, one, many)}"


def shown_keys(rows: Iterable[dict[str, Any]], without: Iterable[str] = ()) -> list[str]:
    """Return the keys of `rows` in order of appearance, sums and `without` left out."""
    left_out = {*INTERNAL, *without}
    return list(dict.fromkeys(k for row in rows for k in row if k not in left_out))


def by_kind(keys: Iterable[str], first: str = "", stains: Sequence[str] = ()) -> list[str]:
    """Return the keys in the order of reports, whatever that of a model file is.

    The key `first` leads, then come scores from 0 to 1, other numbers, and counts; those of one
    kind as in `SCORES`, those of single stains behind that of all and in the order of `stains`,
    unknown ones at the end.
    """
    kinds = ("unit", "number", "hundredth", "tenth", "count")
    rank, order = ({key: i for i, key in enumerate(names)} for names in (SCORES, stains))

    def place(key: str) -> tuple[bool, int, int, int]:
        known = key if key in rank else _all_stains(key)
        kind = kinds.index(score_of(key).kind)
        own = 0 if known in (key, None) else 1 + order.get(key[len(known or "") + 1 :], len(order))
        return key != first, kind, rank.get(known or "", len(rank)), own

    return sorted(keys, key=place)


def shortened(text: str, most: int) -> str:
    """Cut `text` in its middle to `most` characters, for names that differ at their ends."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def differing(names: Sequence[str], most: int) -> list[str]:
    """Cut `names` to `most` characters; where that makes two alike, to the part in which they differ.

    So names of a plate's images, alike at both ends, become ``…A01_field_0007_chan…``.
    """
    made = [shortened(name, most) for name in names]
    if len(set(made)) == len(set(names)):
        return made
    begin = _alike(names)
    end = _alike([name[begin:][::-1] for name in names])
    widest = max(len(name) for name in names) - begin - end
    spare = max(most - 2 - widest, 0)
    begin = max(begin - (spare + 1) // 2, 0)
    end = max(end - spare // 2, 0)
    return [
        shortened(
            ("…" if begin else "") + name[begin : len(name) - end] + ("…" if end else ""), most
        )
        for name in names
    ]


def _alike(names: Sequence[str]) -> int:
    """Return how many letters all names begin with."""
    columns = enumerate(zip(*names, strict=False))
    shortest = min(len(name) for name in names)
    return next((i for i, letters in columns if len(set(letters)) > 1), shortest)
