"""The verb that turns bright-field stacks into stains."""

from __future__ import annotations

import functools
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import settings
from microshot.cli import skipping
from microshot.cli.calls import (
    DONE,
    UsageError,
    images_and_names,
    leave,
    refuse_results,
    with_device,
)
from microshot.cli.stain_table import remember, withdrawn
from microshot.cli.tables import STAINS
from microshot.cli.telling import told
from microshot.data.disk import aside, made_folder, put
from microshot.data.new_files import new_files
from microshot.device import cost, peak_memory_mb
from microshot.progress import Cancelled, Progress, silent, span

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from microshot.api import Predictor
    from microshot.cli.console import Console
    from microshot.cluster import Cluster
    from microshot.data.new_files import NewFiles
    from microshot.tasks.translating.stacks import Oddity
    from microshot.tasks.translating.translation import Translation


@dataclass(frozen=True)
class Stained:
    """What has become of one image."""

    row: dict[str, Any]
    """The names of its file and of those written of it, with what else is known of it."""
    odd: list[Oddity] = field(default_factory=list)
    skipped: str = ""
    """Why the image was passed by; then `row` has the name of its file alone."""


def translate(given: argparse.Namespace, console: Console) -> int:
    """Write one TIFF per image and stain, the mask of models that know one, and stains.csv.

    All models share one pass over the tiles of an image.
    """
    from microshot import provenance, trust
    from microshot.cluster import connected
    from microshot.tasks.translating import stacks
    from microshot.tasks.translating.translation import NO_CONFIDENCE

    values = with_device(settings.TranslateSettings(), given)
    files, names = images_and_names(given.images, console)
    predictors = _predictors(given.model, values)
    endings = _endings(predictors)
    results = [given.out / f"{name}_{ending}.tif" for name in names for ending in endings]
    work = Work(
        tuple(given.model), values, given.out, overwrite=given.overwrite, skip=given.skip_unreadable
    )
    items, started = list(zip(files, names, strict=True)), time.monotonic()
    with ExitStack() as stack:
        new = stack.enter_context(new_files(given.out, overwrite=given.overwrite))
        refuse_results(given, given.images, "images", results)
        cluster = stack.enter_context(connected(given.scheduler)) if given.scheduler else None
        console.say(f"Device: {predictors[0].device.line if cluster is None else cluster.line}.")
        made_folder(given.out)
        found = _stained(work, predictors, items, cluster, console.progress)
        planned = {path.name for path in results}
        written, odd, skipped = _written(given.out, found, planned, new, len(items), console)
    notes = [*skipping.notes(skipped, len(items)), *stacks.told(odd)]
    if values.confidence and not any("confidence" in one.recipe.thresholds for one in predictors):
        notes.append(NO_CONFIDENCE)
    notes += filter(None, [trust.joined([w["warning"] for w in written])])
    seconds, device = time.monotonic() - started, predictors[0].device
    console.say(*(f"Note: {note}" for note in notes))
    console.result(
        {"out": str(given.out), "images": written, "skipped": skipped, "device": device.line,
         "notes": notes, "seconds": round(seconds, 4), "peak_memory_mb": peak_memory_mb(device),
         "provenance": provenance.record([one.card for one in predictors], device, seconds)},
        [f"{w['file']}: {', '.join(w['stains'].values())}" for w in written]
        + [f"Written to {given.out}. {cost(device, len(written), seconds)}"],
    )  # fmt: skip
    return DONE


def _written(
    out: Path,
    found: Iterable[Stained],
    planned: Collection[str],
    new: NewFiles,
    n: int,
    console: Console,
) -> tuple[list[dict[str, Any]], list[Oddity], dict[str, str]]:
    """Write stains.csv; return what was written of the `n` images, what is odd about them, what was skipped.

    Whatever ends the work, the table tells of the images before. Files are `new` until it does; of
    work that the user stopped they stay so, for it may be begun again. From the first image on until
    then, the table tells of none of the files that are `planned`, which may be new or those of an
    earlier run.
    """
    written, odd, table = [], [], out / STAINS
    is_first, earlier = not table.exists(), []
    skipped: dict[str, str] = {}
    try:
        for one in found:
            if one.skipped:
                skipped[one.row["file"]] = one.skipped
                continue
            if not written:
                earlier = withdrawn(table, planned)
            for name in _files(one.row):
                new.add(out / name)
            written.append(one.row)
            odd += one.odd
        skipping.check(skipped, n)
    except BaseException as error:
        if not written:
            raise
        remember(table, earlier, written)
        if not isinstance(error, Cancelled):
            new.keep()
            raise
        done = f"Written to {out}: the stains of {skipping.progress(len(written), skipped, n)}"
        leave(new, [table] if is_first else [], done, console)  # else it tells of other runs, too
        raise
    remember(table, earlier, written)
    new.keep()
    return written, odd, skipped


def _files(row: dict[str, Any]) -> list[str]:
    """Return the names of all files that were written of an image."""
    maps = [*([row["maps"]] if "maps" in row else []), *row.get("more_maps", [])]
    named = [row["stains"], *maps]
    return [*(name for names in named for name in names.values()), *row.get("masks", [])]


@dataclass(frozen=True)
class Work:
    """What is done to every image."""

    models: tuple[Path, ...]
    values: settings.TranslateSettings
    out: Path
    overwrite: bool
    skip: bool = False
    """Whether images that cannot be used are passed by."""

    def predictors(self) -> list[Predictor]:
        """Return the models, loaded."""
        return _predictors(self.models, self.values)


def _stained(
    work: Work,
    predictors: list[Predictor],
    items: Sequence[tuple[Path, str]],
    cluster: Cluster | None,
    progress: Progress,
) -> Iterator[Stained]:
    """Yield what has become of each image, here or on the workers of a cluster."""
    if cluster is not None:
        yield from _on_workers(work, items, cluster, progress)
        return
    n = len(items)
    for index, item in enumerate(items):
        here = span(progress, index / n, (index + 1) / n)
        here(0.0, f"image {index + 1} of {n}, {item[0].name}")
        yield one_stack(work, predictors, item, here)


def _on_workers(
    work: Work, items: Sequence[tuple[Path, str]], cluster: Cluster, progress: Progress
) -> Iterator[Stained]:
    """Yield what the workers of a cluster have made of each image; files come to their places in order."""
    models = tuple(model.resolve() for model in work.models)
    absolute = [(file.resolve(), name) for file, name in items]
    with aside(work.out.resolve()) as part:
        # an image may have been written by a worker that was lost before it could say so
        again = replace(work, models=models, out=part, overwrite=True)
        do = functools.partial(one_stack, again)
        with closing(cluster.run(again.predictors, do, absolute, progress)) as found:
            for one in found:
                for name in [] if one.skipped else _files(one.row):
                    put(part / name, work.out / name, overwrite=work.overwrite)
                yield one


def one_stack(
    work: Work, predictors: list[Predictor], item: tuple[Path, str], progress: Progress = silent
) -> Stained:
    """Translate one image and write its stains.

    Raises
    ------
    ValueError or OSError
        If the image cannot be read or is not what the models take, and is not to be passed by.
    """
    from microshot import api, trust
    from microshot.data.dataset import Sample
    from microshot.data.read import read_image

    file, name = item
    try:
        sample, begun = Sample(name, read_image(file)), time.perf_counter()
        for one in predictors:
            one.seen(sample)
    except (ValueError, OSError) as error:
        return Stained({"file": file.name}, skipped=skipping.reason(error, skip=work.skip))
    made = api.translate(predictors, sample, progress)
    judges = [trust.Judge(one.card, one.recipe) for one in predictors]
    sure = trust.together([j(sample, one) for j, one in zip(judges, made, strict=True)])
    pairs = zip(predictors, made, strict=True)
    stains = _write(work, name, pairs, maps=work.values.confidence)
    row = {"file": file.name, **stains, **told(sure, predictors, begun)}
    return Stained(row, [note for found in made for note in found.notes])


def _predictors(models: Sequence[Path], values: settings.TranslateSettings) -> list[Predictor]:
    """Load the models; refuse those of other tasks before any is loaded whole."""
    from microshot import api
    from microshot.bundle import Bundle, read_card

    for path in models:
        task = read_card(path).task
        if task != "translate":
            raise ValueError(
                f'"{path}": the model is made for the task "{task}"; `microshot translate` takes '
                "models for translate, use `microshot predict`."
            )
    return [api.Predictor(Bundle.load(path), values) for path in models]


def _endings(predictors: Sequence[Predictor]) -> list[str]:
    """Return what is put behind the name of an image for every stain.

    Raises
    ------
    UsageError
        If two models predict the same stain.
    """
    found: dict[str, str] = {}
    for predictor in predictors:
        for stain in predictor.recipe.preparation["targets"]:
            ending = file_part(stain)
            if ending in found:
                raise UsageError(
                    f'The models "{found[ending]}" and "{predictor.card.name}" both predict '
                    f'"{stain}"; translate with one after the other into different folders.'
                )
            found[ending] = predictor.card.name
    return list(found)


def file_part(stain: str) -> str:
    """Return the name of a stain as part of a file name."""
    kept = "".join(c if c.isalnum() or c in "-. " else "-" for c in stain).strip(" .-")
    return kept or "stain"


def _write(work: Work, name: str, found: Any, *, maps: bool) -> dict[str, Any]:
    """Write stains, masks and, with `maps`, confidence and seeds of one image; return file names.

    Masks and what belongs to them are named after the model's stain of nuclei, where one is called so,
    else after its first. Of several models that know their confidence, the first says how sure the image is.
    """
    from microshot.data.image import Image
    from microshot.data.write import write_image, write_labels
    from microshot.metrics.stain_features import NUCLEI, kind_of

    written: dict[str, Any] = {"stains": {}}

    def write(ending: str, pixels: np.ndarray, size: float | None) -> str:
        path = work.out / f"{name}_{ending}.tif"
        if pixels.dtype == np.int32:
            write_labels(path, pixels, pixel_size_um=size, overwrite=work.overwrite)
        else:
            write_image(path, Image(pixels[None], size), overwrite=work.overwrite)
        return path.name

    for predictor, translation in found:
        size = translation.stains.pixel_size_um
        planes = _in_numbers(predictor, translation)
        targets = predictor.recipe.preparation["targets"]
        for stain, plane in zip(targets, planes, strict=True):
            written["stains"][stain] = write(file_part(stain), plane, size)
        of_nuclei = file_part(next((t for t in targets if kind_of(t) == NUCLEI), targets[0]))
        if translation.mask is not None:
            pixels = translation.mask.astype(np.uint8) * np.uint8(255)
            written.setdefault("masks", []).append(write(f"{of_nuclei}-mask", pixels, size))
        if maps and translation.maps is not None:
            files = {
                "confidence": write(f"{of_nuclei}-confidence", translation.maps.confidence, size),
                "credibility": write(
                    f"{of_nuclei}-credibility", translation.maps.credibility, size
                ),
                "seeds": write(f"{of_nuclei}-seeds", translation.seeds, size),
                "nuclei": write(f"{of_nuclei}-nuclei", translation.nuclei, size),
            }
            if "maps" in written:
                written.setdefault("more_maps", []).append(files)
            else:
                written["maps"] = files
                written["mean_confidence"] = translation.confidence
                written["certain"] = translation.certain
    return written


def _in_numbers(predictor: Predictor, translation: Translation) -> np.ndarray:
    """Return stains (K, Y, X) as uint16, or as measured where they were decimal numbers."""
    if predictor.recipe.preparation["target_dtype"] == "float32":
        return translation.stains.pixels
    return translation.as_camera()
