"""The verb that makes synthetic images."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from microshot import settings
from microshot.cli.calls import DONE, checked, with_sets
from microshot.cli.tables import COUNTS, write_csv
from microshot.data.disk import made_folder
from microshot.device import processor
from microshot.words import how_many

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from microshot.cli.console import Console
    from microshot.data.dataset import Sample

#: Folder of the stains, which lies beside the one of the images.
TARGETS = "targets"


def generate(given: argparse.Namespace, console: Console) -> int:
    """Write images, labels and counts.csv, of stacks also the stains."""
    from microshot import provenance
    from microshot.data.image import Image
    from microshot.data.read import read_dataset
    from microshot.data.write import write_image, write_labels
    from microshot.synth.generator import generated, shortage
    from microshot.synth.prepare import prepare
    from microshot.synth.presets import PRESETS

    values = settings.GenerateSettings(scene=given.preset, n=given.n, seed=given.seed)
    values = checked(with_sets(values, given.set))
    reference = None
    if given.reference is not None:
        reference, report = read_dataset(given.reference, progress=console.progress)
        console.say(*report.lines)
    stacks = PRESETS[values.scene].is_stack
    folders = _folders(given.out, ("images", "labels", TARGETS)[: 2 + stacks])
    prepared = prepare(values, reference, console.progress)
    console.say(*prepared.warnings, *prepared.notes)
    counts, short, begun = [], [], time.perf_counter()
    width = len(str(values.n - 1))
    images = generated(values.scene, values.n, values.seed, prepared.options, console.progress)
    for index, (sample, note) in enumerate(images):
        short += [note] if note else []
        name = f"{values.scene}_{index:0{width}d}.tif"
        write_image(folders[0] / name, sample.image)
        write_labels(folders[1] / name, _labels(sample))
        for stain, pixels in _stains(sample):
            write_image(folders[2] / name.replace(".tif", f"_{stain}.tif"), Image(pixels[None]))
        counts.append({"file": name, "count": int(sample.count or 0), "domain": sample.domain})
    write_csv(given.out / COUNTS, counts)
    console.say(*shortage(short, values.n))
    judged = prepared.likeness
    console.result(
        {
            "images": values.n,
            "out": str(given.out),
            **({} if judged is None else {"distance": dataclasses.asdict(judged)}),
            "provenance": provenance.record([], processor(), time.perf_counter() - begun),
        },
        [
            f"{how_many(values.n, 'image')} with {'labels, stains' if stacks else 'labels'} "
            f"and counts.csv written to {given.out}."
        ],
    )
    return DONE


def _folders(out: Path, parts: Sequence[str]) -> list[Path]:
    """Make the folders for the images and what belongs to them; refuse to mix or replace files."""
    folders = [out / part for part in parts]
    for folder in folders:
        if folder.is_dir() and any(folder.iterdir()):
            raise FileExistsError(f'"{folder}" is not empty; choose another folder.')
    if (out / COUNTS).exists():
        raise FileExistsError(f'"{out / COUNTS}" exists already; choose another folder.')
    for folder in folders:
        made_folder(folder)
    return folders


def _labels(sample: Any) -> np.ndarray:
    assert sample.labels is not None
    return sample.labels


def _stains(sample: Sample) -> list[tuple[str, np.ndarray]]:
    """Return names and pixels (Y, X) of the stains; none where there is no target."""
    target = sample.target
    return [] if target is None else list(zip(target.channels, target.pixels, strict=True))
