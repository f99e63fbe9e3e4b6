"""Which samples take part in a training, and which are kept aside to judge the result."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from microshot.data.dataset import Dataset, spaced, split
from microshot.data.folders import listed, natural_key
from microshot.data.image import channel_of, grey_of
from microshot.metrics.stain_features import places_of
from microshot.tasks.base import CHOOSE_CHANNEL
from microshot.tasks.translating.recipes import names_of_stains
from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.progress import Progress
    from microshot.tasks.base import Intent, Recipe, Task

#: With fewer labelled images than this, none is held out for validation.
LEAST_FOR_VALIDATION = 8
#: Where none is held out, thresholds are set on at most so many of the training images.
MOST_JUDGED = 32


def hold_out(data: Dataset, settings: Any) -> tuple[list[int], list[int]]:
    """Choose which rows are trained on and which are kept aside for validation.

    Images of one group, and those with equal pixels, are always on the same side.
    """
    if len(data) < LEAST_FOR_VALIDATION:
        return list(range(len(data))), []
    return split(data.groups, settings.images.validation_fraction, settings.training.seed)


def held_back(data: Dataset, out: Sequence[int], settings: Any) -> list[str]:
    """Say which groups were held out, or that there is only one."""
    groups = {s.group for s in data} - {""}
    if len(data) < LEAST_FOR_VALIDATION or not settings.images.validation_fraction:
        return []
    if not out:
        return [
            f"All {len(data)} images {data.bond}, so none could be held out; scores are those on "
            "training images."
        ]
    if not groups:
        return []
    names = sorted({data[i].group for i in out} - {""}, key=natural_key)
    n = f"{len(names)} of {len(groups)} groups"
    return [f"Held out: {len(out)} of {len(data)} images, {n} ({listed(names)})."]


def to_judge_by(keep: Sequence[int]) -> list[int]:
    """Choose the training images to set thresholds on and to score, where none is held out."""
    return spaced(keep, MOST_JUDGED)


def in_channel(data: Dataset, wanted: str) -> Dataset:
    """Return the samples with the channel called `wanted` of their images (see `channel_of`).

    Raises
    ------
    ValueError
        If an image with several channels has none of that name or number.
    """
    return Dataset.of(
        dataclasses.replace(s, image=channel_of(s.image, wanted, s.name)) for s in data
    )


def in_grey(
    data: Dataset, synthetic: Dataset | None, start: Recipe | None
) -> tuple[Dataset, Dataset | None, list[str]]:
    """Return both tables with one channel where all images are grey, some of them saved in colour.

    Also a note that says so. Where `start` takes more channels, nothing is changed.
    """
    tables, n_saved = [data, synthetic or Dataset()], 0
    if start is not None and start.architecture["in_channels"] != 1:
        return data, synthetic, []
    for index, table in enumerate(tables):
        made = []
        for sample in table:
            grey = grey_of(sample.image)
            if grey is None and sample.image.n_channels != 1:
                return data, synthetic, []
            n_saved += grey is not None
            made.append(sample if grey is None else dataclasses.replace(sample, image=grey))
        tables[index] = Dataset.of(made)
    if not n_saved:
        return data, synthetic, []
    n = sum(map(len, tables))
    told = (
        f"{n_saved} of {how_many(n, 'image')} {form(n_saved, 'is', 'are')} grey but saved in colour: "
        "one channel is used."
    )
    return tables[0], None if synthetic is None else tables[1], [told]


def as_taken(task: Task, data: Dataset, recipe: Recipe) -> Dataset:
    """Return the samples with their images as a model of this recipe takes them."""
    return Dataset.of(dataclasses.replace(s, image=task.image(s, recipe)) for s in data)


def without_copies(
    task: Task, data: Dataset, synthetic: Dataset | None
) -> tuple[Dataset | None, list[str]]:
    """Return the second table without the labelled images of the first, and a note on them.

    An image that is in both would be learned from while it is held out to judge the result.
    """
    own = {s.image.digest for s in data if task.is_labelled(s)} if synthetic else set()
    kept = [s for s in synthetic or () if s.image.digest not in own]
    n = len(synthetic or ()) - len(kept)
    if not n:
        return synthetic, []
    told = (
        f"{how_many(n, 'image')} to learn from as well {form(n, 'is', 'are')} among the labelled "
        f"images, too, and {form(n, 'was', 'were')} left out there: none may be both learned from and "
        "judged by."
    )
    return Dataset.of(kept), [told]


def labelled(
    task: Task, data: Dataset, synthetic: Dataset | None, stains: Sequence[str] = ()
) -> tuple[Dataset, Dataset, list[str]]:
    """Return the samples of both tables that can teach, with their stains in the order of `stains`.

    Without `stains`, the order is that of the first sample. Also return notes on stains whose
    names do not tell which they are.

    Raises
    ------
    ValueError
        If there are none, or they differ in their channels.
    """
    own = Dataset.of(s for s in data if task.is_labelled(s))
    extra = Dataset.of(s for s in synthetic or () if task.is_labelled(s))
    usable = own + extra
    if not len(usable):
        found = "The only image is not" if len(data) == 1 else f"None of the {len(data)} images is"
        raise ValueError(
            f"{found} labelled; the task {task.name} needs at least one image with its {task.needs}: "
            "label some, or check whether their labels were found by name."
        )
    _same_channels(usable)
    ordered, notes = _in_one_order(usable, stains)
    n_own = len(own)
    return ordered.take(range(n_own)), ordered.take(range(n_own, len(ordered))), notes


def _in_one_order(data: Dataset, stains: Sequence[str]) -> tuple[Dataset, list[str]]:
    """Return the samples with their stains in one order under their own names, and notes.

    Stains that names do not tell stay where they are, and those of later samples follow them.
    """
    orders, notes, made = [tuple(stains)] if stains else [], [], []
    for sample in data:
        target = sample.target
        if target is None:
            made.append(sample)
            continue
        names = names_of_stains(target)
        places = next((p for o in orders if (p := places_of(o, names)) is not None), None)
        if places is None:
            if orders and len(orders[0]) == len(names):
                notes.append(_taken_for(orders[0], names))
            orders.append(names)
        elif places != sorted(places):
            channels = tuple(names[i] for i in places)
            ordered = dataclasses.replace(target, pixels=target.pixels[places], channels=channels)
            sample = dataclasses.replace(sample, target=ordered)
        made.append(sample)
    return Dataset.of(made), notes


def _taken_for(known: Sequence[str], names: Sequence[str]) -> str:
    """Say which stain is taken for which, where names do not tell."""
    pairs = enumerate(zip(names, known, strict=True), 1)
    told = ", ".join(f'stain {i} "{name}" is taken for "{one}"' for i, (name, one) in pairs)
    return f"Names do not tell which stain is which: {told}; if that is wrong, call them alike."


def arranged(
    task: Task, own: Dataset, extra: Dataset, settings: Any, progress: Progress
) -> tuple[Dataset, list[str]]:
    """Check the samples and bring `own` into the form they are learned from; also return notes.

    Raises
    ------
    ValueError
        If labels can teach nothing.
    """
    notes = task.check((own + extra).samples)
    samples, told = task.arranged(own.samples, settings, progress)
    return Dataset.of(samples), [*notes, *told]


def _unlabelled(task: Task, data: Dataset, synthetic: Dataset | None, known: Dataset) -> Dataset:
    """Return the samples of both tables of which nothing is known.

    Raises
    ------
    ValueError
        If they differ in their channels from those that are `known`.
    """
    spare = Dataset.of(s for s in (*data, *(synthetic or ())) if not task.is_labelled(s))
    _same_channels(known.take([0]) + spare)
    return spare


def _same_channels(data: Dataset) -> None:
    first = data[0]
    mend = "" if any(sample.target is not None for sample in data) else f", or {CHOOSE_CHANNEL}"
    for sample in data:
        if sample.image.n_channels != first.image.n_channels:
            raise ValueError(
                f"{sample.name}: expected {how_many(first.image.n_channels, 'channel')} as in "
                f"{first.name}, found {sample.image.n_channels}; all images must have the same{mend}."
            )


def others(
    task: Task,
    data: Dataset,
    synthetic: Dataset | None,
    known: Dataset,
    intent: Intent,
) -> tuple[Dataset, list[str]]:
    """Return the unlabelled samples of both tables that take part, and the task's remarks.

    Parameters
    ----------
    known : the labelled samples of both tables.

    Raises
    ------
    ValueError
        If an unlabelled sample has other channels than those that are `known`.
    """
    spare = _unlabelled(task, data, synthetic, known)
    notes = task.remarks(known.samples, spare.samples, intent)
    return (spare if task.learns_unlabelled(intent.recipe, intent.hyper) else Dataset()), notes
