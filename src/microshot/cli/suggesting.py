"""The verb that says which images to label next."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from microshot.cli.calls import DONE, checked, images_and_names, refuse_existing, with_sets
from microshot.cli.tables import write_csv, write_text
from microshot.data.disk import made_folder
from microshot.progress import span
from microshot.settings.suggesting import SuggestSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from microshot.cli.console import Console
    from microshot.progress import Progress

#: Images shown in the report.
MAX_SHOWN = 12
COLUMNS = ("rank", "file", "benefit", "doubt", "reason", "model", "device", "seconds")


def suggest(given: argparse.Namespace, console: Console) -> int:
    """Write a table of images in the order in which to label them.

    Images that the model cannot look at are left out and named: the order is one of all others.
    """
    from microshot import provenance, suggesting
    from microshot.bundle import Bundle
    from microshot.data.dataset import Sample
    from microshot.data.read import read_image

    known = {"n": given.n, "device": given.device}
    values = SuggestSettings(**{k: v for k, v in known.items() if v is not None})
    values = checked(with_sets(values, given.set))
    refuse_existing(given.out, given.report, overwrite=given.overwrite)
    files, names = images_and_names(given.images, console)
    observer, begun = suggesting.Observer(Bundle.load(given.model), values), time.perf_counter()
    console.say(f"Device: {observer.predictor.device.line}.")
    seen, errors = _looked(observer, files, names, span(console.progress, 0.0, 0.9))
    if not seen:
        raise errors[0]
    notes = [f"Left out: {error}" for error in errors]
    console.say(*notes)
    looks = [look for _, look, _ in seen]
    found = suggesting.ranked(looks, values, progress=span(console.progress, 0.9, 0.95))
    used = observer.predictor
    record = provenance.record([used.card], used.device, time.perf_counter() - begun)
    origin = {"model": provenance.models_told([used.card]), "device": used.device.line}
    rows = []
    for one in found:
        index, _, seconds = seen[one.index]
        own = {"index": index, "file": files[index].name, **origin, "seconds": seconds}
        rows.append({**dataclasses.asdict(one), **own})
    made_folder(given.out.parent)
    write_csv(given.out, rows, COLUMNS)
    if given.report:
        from microshot.pages import suggestion_page

        shown = [Sample(row["name"], read_image(files[row["index"]])) for row in rows[:MAX_SHOWN]]
        last = span(console.progress, 0.95, 1.0)
        page = suggestion_page(observer.predictor, shown, found, notes, record, last)
        write_text(given.report, page)
    lines = [f"{row['rank']}. {row['file']}: {row['reason']}" for row in rows[:MAX_SHOWN]]
    more = len(rows) - len(lines)
    lines += [f"… and {more} more."] if more > 0 else []
    console.result(
        {"out": str(given.out), "images": rows, "notes": notes, "provenance": record},
        [*lines, f"Written to {given.out}."],
    )
    return DONE


def _looked(
    observer: Any, files: Sequence[Path], names: Sequence[str], progress: Progress
) -> tuple[list[tuple[int, Any, float]], list[Exception]]:
    """Let the model look at all images it can; return index, look and seconds of each, and all errors."""
    from microshot.data.dataset import Sample
    from microshot.data.read import read_image

    seen, errors, n = [], [], len(files)
    for index, (file, name) in enumerate(zip(files, names, strict=True)):
        here = span(progress, index / n, (index + 1) / n)
        here(0.0, f"looking at image {index + 1} of {n}, {file.name}")
        started = time.perf_counter()
        try:
            look = observer(Sample(name, read_image(file)), here)
        except (ValueError, OSError) as error:
            errors.append(error)
        else:
            seen.append((index, look, round(time.perf_counter() - started, 3)))
    return seen, errors
