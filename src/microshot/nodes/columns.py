"""Which columns hold images, labels and counts: choice, guesses, checks."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import knime.extension as knext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    #: Says whether a column is of the right type.
    Fits = Callable[[knext.Column], bool]

#: Values by which KNIME versions say that no column was chosen.
_NOTHING = (None, "", "<none>")
_LABEL_WORDS = ("label", "mask", "truth", "segmentation", "annotation", "ground")
_DERIVED_WORDS = ("prediction", "predicted", "overlay")
#: Words by one of which a column of counts is known.
_COUNT_WORDS = frozenset(("count", "counts", "counted", "cells", "number", "nuclei"))
#: Behind the name of a column of predicted counts: the same count before it was rounded, and the
#: bounds of its interval.
NOT_ROUNDED, LOW, HIGH = " (not rounded)", " from", " to"
#: Words by one of which the column of a measured stain is known.
_STAIN_WORDS = (
    "nuclei", "lipid", "cytoplasm", "stain", "fluorescen", "target", "dapi", "hoechst", "gfp",
)  # fmt: skip
#: What a column with the names of files is called.
_FILE_NAMES = ("file", "file name", "filename")
#: The name of a plane: what all planes of a stack share, and a number.
_PLANE = re.compile(r"(.*?)\d+")
_NUMBERS = (knext.int32(), knext.int64(), knext.double())
MODEL, _OBJECTS = "Model", "Objects"
#: How the columns begin that a result may have between its own and that of its model.
_BETWEEN = (
    _OBJECTS, "Confidence", "Mask", "Certain", "Seeds", "Nuclei from seeds", "Unlike training",
    "Warning",
)  # fmt: skip
#: What stands behind a name that is there already.
NUMBERED = re.compile(r" \(#\d+\)$")


def is_image(column: knext.Column) -> bool:
    """Say whether a column may hold images: PNG cells, or texts and paths naming files."""
    kind = getattr(column.ktype, "logical_type", "")
    return (
        "PNGImageValueFactory" in kind
        or "FSLocationValueFactory" in kind
        or column.ktype == knext.string()
    )


def is_png(column: knext.Column) -> bool:
    """Say whether a column holds PNG images."""
    return "PNGImageValueFactory" in getattr(column.ktype, "logical_type", "")


def is_text(column: knext.Column) -> bool:
    """Say whether a column holds texts or paths."""
    return is_image(column) and not is_png(column)


def is_number(column: knext.Column) -> bool:
    """Say whether a column holds numbers."""
    return column.ktype in _NUMBERS


def is_group(column: knext.Column) -> bool:
    """Say whether a column may divide rows into groups: texts and whole numbers."""
    return column.ktype in (knext.string(), knext.int32(), knext.int64())


def is_image_or_number(column: knext.Column) -> bool:
    """Say whether a column may hold images or numbers."""
    return is_image(column) or is_number(column)


def declined(name: str | None) -> bool:
    """Say whether the user chose *None*, so that nothing is to be guessed."""
    return name == "<none>"


def chosen(name: str | None) -> str | None:
    """Return the name of the chosen column, or None where none is chosen."""
    return None if name in _NOTHING else name


def _has(name: str, words: Iterable[str]) -> bool:
    return any(word in name.lower() for word in words)


def guess_image(
    schema: knext.Schema, without: Iterable[str] = (), fits: Fits = is_image
) -> str | None:
    """Return the column that most likely holds the images, none of those in `without`.

    Truth and predictions are none, as far as their names or columns behind them tell.
    """
    others = {*without, *predicted_labels(schema)}
    free = [
        c
        for c in schema
        if fits(c) and c.name not in others and not _has(c.name, (*_LABEL_WORDS, *_DERIVED_WORDS))
    ]
    plain = [c.name for c in free if is_png(c)]
    named = [c.name for c in free if is_text(c) and _has(c.name, ("path", "file", "image"))]
    named.sort(key=lambda n: "path" not in n.lower())
    return next(iter([*plain, *named]), None)


def guess_planes(schema: knext.Schema, image: str | None) -> list[str]:
    """Return the other planes of the stack to which `image` belongs, in the table's order.

    They are PNG images whose names differ from its own in the number at the end only.
    """
    found = _PLANE.fullmatch(image or "")
    if found is None:
        return []
    planes = {c.name: _PLANE.fullmatch(c.name) for c in schema if is_png(c)}
    return [
        name for name, own in planes.items() if own and own[1] == found[1] and name != image
    ]  # fmt: skip


def guess_targets(schema: knext.Schema, known: Iterable[str | None]) -> list[str]:
    """Return the columns beside the `known` ones that most likely hold measured stains."""
    known = set(known)
    fits = [c for c in schema if is_image(c) and c.name not in known and is_stain(c.name)]
    pngs = [c.name for c in fits if is_png(c)]
    return pngs or [c.name for c in fits]


def is_stain(name: str) -> bool:
    """Say whether a column is called like a measured stain."""
    return _has(name, _STAIN_WORDS) and not _has(name, (*_LABEL_WORDS, *_DERIVED_WORDS))


def guess_label(schema: knext.Schema, image: str | None, fits: Fits = is_image) -> str | None:
    """Return the column that most likely holds true labels."""
    made = predicted_labels(schema)
    named = [
        c
        for c in schema
        if fits(c)
        and c.name != image
        and _has(c.name, _LABEL_WORDS)
        and not _has(c.name, _DERIVED_WORDS)
        and c.name not in made
    ]
    named.sort(key=lambda c: not is_png(c))
    return named[0].name if named else None


def predicted_labels(schema: knext.Schema) -> list[str]:
    """Return the columns of label images that *Predict Microscopy Images* made.

    The number of objects stands right behind them, and their model.
    """
    return [
        column.name
        for column, behind in pairwise(schema)
        if is_image(column)
        and is_number(behind)
        and _begins(behind.name, _OBJECTS)
        and model_column(schema, column.name) is not None
    ]


def predicted_counts(schema: knext.Schema) -> list[str]:
    """Return the columns of counts that *Predict Microscopy Images* made, without their bounds."""
    numbers = {c.name for c in schema if is_number(c)}
    return [c.name for c in schema if c.name in numbers and c.name + NOT_ROUNDED in numbers]


def guess_count(
    schema: knext.Schema, without: Iterable[str] = (), fits: Fits = is_number
) -> str | None:
    """Return the column that most likely holds true counts: a number with a telling name.

    None of those in `without`.
    """
    made = {
        name + part for name in predicted_counts(schema) for part in ("", NOT_ROUNDED, LOW, HIGH)
    }
    made |= set(without)
    for column in schema:
        words = set(re.split(r"[\W\d_]+", column.name.lower()))
        if (
            fits(column)
            and column.name not in made
            and words & _COUNT_WORDS
            and not _has(column.name, _DERIVED_WORDS)
        ):
            return column.name
    return None


def counts_as_text(schema: knext.Schema) -> str | None:
    """Return what to do about a column called like counts that holds text, where none holds numbers."""
    texts = [c.name for c in schema if c.ktype == knext.string() and _has(c.name, ("count",))]
    name = guess_count(schema, fits=lambda column: column.name in texts)
    if name is None or guess_count(schema) is not None:
        return None
    return (
        f'The column "{name}" holds text, no numbers; for counts turn it into numbers with the node '
        "String to Number."
    )


def guess_file_name(schema: knext.Schema, known: Iterable[str | None]) -> str | None:
    """Return the column beside the `known` ones with the names of the images' files, a text."""
    names = [c.name for c in schema if c.ktype == knext.string() and c.name not in set(known)]
    return next((n for n in names if n.lower() in _FILE_NAMES), None)


def guess_prediction(schema: knext.Schema, known: Iterable[str | None]) -> str | None:
    """Return the column that most likely holds predicted labels.

    That is the last one beside the `known` ones that holds PNG images and is not called an
    image, or has a telling name.
    """
    free = [c for c in schema if is_image(c) and c.name not in known]
    fits = [
        c.name
        for c in free
        if _has(c.name, (*_LABEL_WORDS, *_DERIVED_WORDS))
        or (is_png(c) and not _has(c.name, ("image",)))
    ]
    return fits[-1] if fits else None


def model_column(schema: knext.Schema, prediction: str, ending: str = "") -> str | None:
    """Return the column with the model that made a prediction; None where the table does not tell.

    *Predict Microscopy Images* and *Translate Bright-Field to Fluorescence* put it behind the
    prediction, with nothing but columns of the same result between.

    Parameters
    ----------
    prediction : label image, count or stain.
    ending : of the names of all stains of one translation, such as ``(predicted)``.
    """
    stem = prediction.removesuffix(NOT_ROUNDED)
    own = {stem + part for part in (NOT_ROUNDED, LOW, HIGH)}
    names = list(schema.column_names)
    for column in list(schema)[names.index(prediction) + 1 :]:
        name = NUMBERED.sub("", column.name)
        if _begins(name, MODEL):
            return column.name if column.ktype == knext.string() else None
        known = column.name in own or any(_begins(name, word) for word in _BETWEEN)
        if not (known or (ending and name.endswith(ending))):
            return None
    return None


def _begins(name: str, word: str) -> bool:
    return name == word or name.startswith(f"{word} ")


def require(schema: knext.Schema, name: str, what: str, fits: Fits) -> None:
    """Refuse a column that is missing or of another type.

    Raises
    ------
    knext.InvalidParametersError
        Naming the column, what it is for, and the columns that would fit.
    """
    good = [c.name for c in schema if fits(c)]
    options = f"choose one of {', '.join(good)}" if good else "the table has none that would fit"
    if name not in schema.column_names:
        raise knext.InvalidParametersError(
            f'The {what} column "{name}" is not in the input table; {options}.'
        )
    if name not in good:
        raise knext.InvalidParametersError(
            f'The column "{name}" cannot be the {what} column because of its type; {options}.'
        )


def unique(name: str, taken: Iterable[str]) -> str:
    """Return `name`, with ``(#1)``, ``(#2)`` … behind it where it is taken."""
    taken = set(taken)
    if name not in taken:
        return name
    number = 1
    while f"{name} (#{number})" in taken:
        number += 1
    return f"{name} (#{number})"


def unique_file(text: str, taken: set[str]) -> str:
    """Return `text` as a file name that is not in `taken`, and put it there.

    Names that differ in upper and lower case only are one name on Windows and macOS.
    """
    from microshot.export.labels import safe_name

    base = safe_name(text)
    name, number = base, 0
    while name.casefold() in taken:
        number += 1
        name = f"{base} (#{number})"
    taken.add(name.casefold())
    return name
