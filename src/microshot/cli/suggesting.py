"""The verb that says which images to label next."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from microshot.cli.calls import DONE, checked, images_and_names, refuse_existing, with_sets
from microshot.cli.tables import write_csv, write_text
from microshot.data.disk import made_folder
from microshot.progress import span
from microshot.settings.suggesting import SuggestSettings

if TYPE_CHECKING:
    import argparse

    from microshot.cli.console import Console

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
    seen, looks, seconds, errors = [], [], [], []
    for index, (file, name) in enumerate(zip(files, names, strict=True)):
        here = span(console.progress, 0.9 * index / len(files), 0.9 * (index + 1) / len(files))
        here(0.0, f"looking at image {index + 1} of {len(files)}, {file.name}")
        started = time.perf_counter()
        try:
            looks.append(observer(Sample(name, read_image(file)), here))
        except (ValueError, OSError) as error:
            errors.append(error)
            continue
        seen.append(index)
        seconds.append(round(time.perf_counter() - started, 3))
    if not looks:
        raise errors[0]
    notes = [f"Left out: {error}" for error in errors]
    console.say(*notes)
    found = suggesting.ranked(looks, values, progress=span(console.progress, 0.9, 0.95))
    used = observer.predictor
    record = provenance.record([used.card], used.device, time.perf_counter() - begun)
    origin = {"model": provenance.models_told([used.card]), "device": used.device.line}
    rows = [
        {**dataclasses.asdict(s), "index": seen[s.index], "file": files[seen[s.index]].name,
         **origin, "seconds": seconds[s.index]}
        for s in found
    ]  # fmt: skip
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
