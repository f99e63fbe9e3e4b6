"""From table rows to samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.data.dataset import Dataset, Domain, Sample
from microshot.data.image import Image, stack
from microshot.nodes.context import Notes, resolve_cell
from microshot.nodes.image_names import all_differ
from microshot.nodes.label_cells import annotation_of, name_of
from microshot.nodes.numbers import cells_of, count_of, size_of
from microshot.nodes.tables import Walk, is_missing
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from microshot.progress import Progress

PIXEL_SIZE = "Pixel size (µm)"
#: Column of generated tables: ``synthetic``; images without it came from a microscope.
DOMAIN = "Domain"
#: Part of the progress bar for reading the images, where training follows.
READING_SHARE = 0.06
#: What to do with an image that cannot be read.
FAIL, SKIP = "FAIL", "SKIP"


class Unreadable(knext.EnumParameterOptions):
    """What to do with images that cannot be read."""

    FAIL = ("Stop with an error", "The message names the row, the column and the reason.")
    SKIP = ("Skip the row", "The row is left out, or gets missing values, and a warning says so.")


def unreadable_parameter() -> knext.EnumParameter:
    """Return the parameter that every node with an image input has."""
    return knext.EnumParameter(
        "Unreadable images",
        "What to do when an image or label image is damaged or of an unknown kind.",
        FAIL,
        Unreadable,
        is_advanced=True,
    )


@dataclass(frozen=True)
class Columns:
    """Names of the columns a sample is made from."""

    image: str
    more: tuple[str, ...] = ()
    """Further channels or planes."""
    label: str | None = None
    pixel_size: str | None = None
    domain: str | None = None
    count: str | None = None
    targets: tuple[str, ...] = ()
    """Stains to be predicted, one column each."""
    group: str | None = None
    name: str | None = None
    """What images are called in messages and reports; RowIDs where there is none."""

    @property
    def all(self) -> list[str]:
        """Every column read, each once."""
        names = [
            self.image, *self.more, self.label, self.pixel_size, self.domain, self.count,
            *self.targets, self.group, self.name,
        ]  # fmt: skip
        return list(dict.fromkeys(n for n in names if n))


class Reader:
    """Turns rows into samples; counts what is missing and what could not be read."""

    def __init__(
        self,
        columns: Columns,
        folder: Path,
        unreadable: str,
        notes: Notes,
        domain: Domain = "natural",
    ) -> None:
        self.columns, self.folder, self.notes = columns, folder, notes
        self.skip = unreadable == SKIP
        self.domain: Domain = domain
        self.missing = 0
        self.broken: list[str] = []
        self.taken: dict[str, int] = {}
        self.of_others: list[str] = []
        """Label cells whose files are about other images, and these files."""
        self.seen: Callable[[Sample], Sample] = lambda sample: sample
        """Returns a sample as a model sees it; refuses one that it cannot take."""

    def passing_by(self) -> Reader:
        """Return a reader of the same columns that passes by what cannot be read, without a word."""
        made = Reader(self.columns, self.folder, SKIP, Notes(), self.domain)
        made.seen = self.seen
        return made

    def frame(self, batch: knext.Table) -> pd.DataFrame:
        """Return the columns to be read of one batch; RowIDs are the index."""
        frame = batch[self.columns.all].to_pandas()
        for name in (self.columns.count, self.columns.group):
            if name is not None:
                frame[name] = cells_of(batch, name)
        return frame

    def sample(self, row_id: str, row: Any) -> Sample | None:
        """Read one row; None where the image is missing, or unreadable and to be skipped.

        Raises
        ------
        ValueError
            If an image cannot be read or is not what a model takes, and is not to be skipped, or a
            count is none; names row, column, reason.
        """
        if any(is_missing(row[name]) for name in (self.columns.image, *self.columns.more)):
            self.missing += 1
            return None
        column = self.columns.count
        count = None
        if column is not None:
            count = count_of(row[column], f'Row "{row_id}", column "{column}"')
        try:
            return replace(self.seen(self._read(row_id, row)), count=count)
        except (ValueError, OSError) as error:
            self.give_up(error)
            return None

    def give_up(self, error: Exception) -> None:
        """Note why a row is left out.

        Raises
        ------
        ValueError
            If rows are not to be skipped; with the words of `error`.
        """
        if not self.skip:
            raise ValueError(str(error)) from error
        self.broken.append(str(error))

    def _read(self, row_id: str, row: Any) -> Sample:
        names = (self.columns.image, *self.columns.more)
        images = [self._image(row[name], row_id, name) for name in names]
        image = stack(images, [f'Row "{row_id}", column "{n}"' for n in names])
        image = replace(image, channels=names if image.n_channels == len(names) > 1 else ())
        if (size := self.pixel_size(row_id, row)) is not None:
            image = replace(image, pixel_size_um=size)
        domain: Domain = self.domain
        if self.columns.domain and row[self.columns.domain] == "synthetic":
            domain = "synthetic"
        known = {}
        if self.columns.label and not is_missing(row[self.columns.label]):
            name = name_of(row[self.columns.image], row_id)
            known = self._known(row[self.columns.label], row_id, domain, image.shape, name)
        group = "" if self.columns.group is None else group_of(row[self.columns.group])
        target = self._target(row_id, row)
        return Sample(row_id, image, target=target, domain=domain, group=group, **known)

    def pixel_size(self, row_id: str, row: Any) -> float | None:
        """Return the pixel size that the table tells of a row; None where it tells none."""
        column = self.columns.pixel_size
        return size_of(row[column], f'Row "{row_id}", column "{column}"') if column else None

    def _target(self, row_id: str, row: Any) -> Image | None:
        """Read the stains of one row; None where one is missing, so that the row is not used."""
        names = self.columns.targets
        if not names or any(is_missing(row[name]) for name in names):
            return None
        images = [self.stain(row[name], row_id, name) for name in names]
        wheres = [f'Row "{row_id}", column "{name}"' for name in names]
        return replace(stack(images, wheres), channels=names)

    def stain(self, cell: Any, row_id: str, column: str) -> Image:
        """Read the cell of a stain, an image of one channel."""
        image = self._image(cell, row_id, column)
        if image.n_channels != 1:
            raise ValueError(
                f'Row "{row_id}", column "{column}": expected one stain in shades of grey, found '
                f"{image.n_channels} channels; give every stain a column of its own."
            )
        return image

    def _image(self, cell: Any, row_id: str, column: str) -> Image:
        from microshot.data.codec import image_from_pil
        from microshot.data.read import read_image

        where = f'Row "{row_id}", column "{column}"'
        if hasattr(cell, "getpixel"):
            return image_from_pil(cell, where)
        return read_image(resolve_cell(cell, self.folder, where), where=where)

    def _known(
        self, cell: Any, row_id: str, domain: Domain, shape: tuple[int, int], name: str
    ) -> dict[str, Any]:
        """Return what a label cell says of an image, as arguments of `Sample`."""
        where = f'Row "{row_id}", column "{self.columns.label}"'
        reading = annotation_of(cell, self.folder, where, shape, name)
        if reading is None:
            self.of_others.append(f"{where}, {name_of(cell, '')}")
            return {}
        if domain == "synthetic":  # known to be right, whatever it looks like
            return reading.known()
        if reading.n_objects > 1:  # one object is the same as ids and as a mask
            self.taken[reading.taken_as] = self.taken.get(reading.taken_as, 0) + 1
        if reading.note and reading.taken_as != "empty":  # empty ones are counted, not listed
            self.notes.add(f"{where}: {reading.note}")
        return reading.known()

    def finish(self) -> None:
        """Put what was skipped into the notes."""
        if self.missing:
            self.notes.add(f"{_rows(self.missing)} skipped because the image is missing.")
        if self.broken:
            self.notes.add(
                f"{_rows(len(self.broken))} skipped because the image could not be read, "
                f"the first: {self.broken[0]}"
            )
        if self.of_others:
            self.notes.add(
                f"{how_many(len(self.of_others), 'row is', 'rows are')} taken as without label because "
                f"the label file is about other images only, the first: {self.of_others[0]}."
            )
        masks = self.taken.get("binary mask", 0)
        if masks:
            self.notes.add(
                f"{how_many(masks, 'label image')} taken for binary masks: each connected "
                "region counts as one object."
            )

    def dataset(self, table: knext.Table, progress: Progress) -> Dataset:
        """Read all rows of an input table; samples are called by RowID, or by name if all differ."""
        samples, names, walk = [], [], Walk(table, progress, "reading image")
        for batch in table.batches():
            for row_id, row, _ in walk(self.frame(batch)):
                sample = self.sample(row_id, row)
                if sample is not None:
                    samples.append(sample)
                    names.append(row[self.columns.name] if self.columns.name else None)
        self.finish()
        if all_differ(names):
            samples = [replace(s, name=n) for s, n in zip(samples, names, strict=True)]
        return Dataset.of(samples)


def group_of(cell: Any) -> str:
    """Return a cell as the name of a group; missing cells belong to none."""
    return "" if is_missing(cell) else str(cell).strip()


def _rows(n: int) -> str:
    return how_many(n, "row was", "rows were")
