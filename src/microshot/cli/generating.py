"""The verb that makes synthetic images."""

from __future__ import annotations

import dataclasses
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from microshot import settings
from microshot.cli.calls import DONE, checked, leave, with_sets
from microshot.cli.tables import write_csv
from microshot.data.count_table import COUNTS
from microshot.data.disk import made_folder
from microshot.data.new_files import new_files
from microshot.device import processor
from microshot.progress import Cancelled
from microshot.words import how_many

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy as np

    from microshot.cli.console import Console
    from microshot.data.dataset import Sample
    from microshot.data.new_files import NewFiles

#: Folder of the stains, which lies beside the one of the images.
TARGETS = "targets"


def generate(given: argparse.Namespace, console: Console) -> int:
    """Write images, labels and counts.csv, of stacks also the stains."""
    from microshot import provenance
    from microshot.data.read import read_dataset
    from microshot.synth.generator import generated, shortage
    from microshot.synth.prepare import prepare
    from microshot.synth.presets import PRESETS

    values = settings.GenerateSettings(scene=given.preset, n=given.n, seed=given.seed)
    values = checked(with_sets(values, given.set))
    reference, begun = None, time.perf_counter()
    if given.reference is not None:
        reference, report = read_dataset(given.reference, progress=console.progress)
        console.say(*report)
    stacks = PRESETS[values.scene].is_stack
    with _Made.at(given.out, ("images", "labels", TARGETS)[: 2 + stacks]) as made:
        prepared = prepare(values, reference, console.progress)
        console.say(*prepared.warnings, *prepared.notes)
        images = generated(values.scene, values.n, values.seed, prepared.options, console.progress)
        short = made.write_all(images, values, console)
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


@dataclasses.dataclass(frozen=True)
class _Made:
    """The folders for the images and what belongs to them, and what is new there."""

    out: Path
    folders: Sequence[Path]
    new: Sequence[NewFiles]
    """Of `out` and of the folders."""

    @classmethod
    @contextmanager
    def at(cls, out: Path, parts: Sequence[str]) -> Iterator[_Made]:
        """Make the folders; refuse to mix or replace files, but for those that a stopped run left."""
        folders = [out / part for part in parts]
        with ExitStack() as stack:
            new = [
                stack.enter_context(new_files(folder, overwrite=False))
                for folder in (out, *folders)
            ]
            for folder in folders:
                if folder.is_dir() and any(folder.iterdir()):
                    raise FileExistsError(f'"{folder}" is not empty; choose another folder.')
            if (out / COUNTS).exists():
                raise FileExistsError(f'"{out / COUNTS}" exists already; choose another folder.')
            for folder in folders:
                made_folder(folder)
            yield cls(out, folders, new)

    def write_all(
        self,
        images: Iterable[tuple[Sample, str]],
        values: settings.GenerateSettings,
        console: Console,
    ) -> list[str]:
        """Write all images and their table, of stopped work those until then; return all notes."""
        counts, notes, width = [], [], len(str(values.n - 1))
        try:
            for index, (sample, note) in enumerate(images):
                name = f"{values.scene}_{index:0{width}d}.tif"
                notes += [f"{name}: {note}."] if note else []
                self._write(name, sample)
                counts.append(
                    {"file": name, "count": int(sample.count or 0), "domain": sample.domain}
                )
        except Cancelled:
            if counts:
                write_csv(self.out / COUNTS, counts)
                done = f"Written to {self.out}: {len(counts)} of {how_many(values.n, 'image')}"
                for one in self.new[1:]:
                    one.leave()
                leave(self.new[0], [self.out / COUNTS], done, console)
            raise
        write_csv(self.out / COUNTS, counts)
        return notes

    def _write(self, name: str, sample: Sample) -> None:
        """Write what belongs to one image."""
        from microshot.data.image import Image
        from microshot.data.write import write_image, write_labels

        write_image(self.folders[0] / name, sample.image)
        self.new[1].add(self.folders[0] / name)
        write_labels(self.folders[1] / name, _labels(sample))
        self.new[2].add(self.folders[1] / name)
        for stain, pixels in _stains(sample):
            file = self.folders[2] / name.replace(".tif", f"_{stain}.tif")
            write_image(file, Image(pixels[None]))
            self.new[3].add(file)


def _labels(sample: Any) -> np.ndarray:
    assert sample.labels is not None
    return sample.labels


def _stains(sample: Sample) -> list[tuple[str, np.ndarray]]:
    """Return names and pixels (Y, X) of the stains; none where there is no target."""
    target = sample.target
    return [] if target is None else list(zip(target.channels, target.pixels, strict=True))
