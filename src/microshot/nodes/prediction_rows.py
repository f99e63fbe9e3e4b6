"""Rows that *Predict Microscopy Images* adds to its tables."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from microshot.data.disk import made_folder
from microshot.data.new_files import new_files
from microshot.nodes import columns, large_images, trust_columns
from microshot.nodes.context import resolve_cell
from microshot.nodes.object_rows import object_rows
from microshot.nodes.tables import is_missing, places

if TYPE_CHECKING:
    from pathlib import Path

    from microshot.nodes.context import Notes
    from microshot.nodes.tables import RowOutput

#: Images shown in the view, and how many of them those unlike the training images may take away
#: from the first ones of a longer table.
MAX_SHOWN, MAX_UNLIKE = 12, 6


class Writer:
    """Turns one sample into an output row and the rows of its objects."""

    def __init__(self, predictor: Any, made: dict[str, Any], notes: Notes) -> None:
        from microshot import trust

        self.predictor, self.names, self.notes = predictor, list(made), notes
        self.judge = trust.Judge(predictor.card, predictor.recipe, predictor.options.diameter_px)
        self.warnings: list[str | None] = []
        self.started = time.perf_counter()
        self.rows: list[dict[str, Any]] = []
        """What the view says of each image."""
        self.shown: list[tuple[Any, Any, bool]] = []
        """What the view draws: samples, their predictions, whether unlike the training images."""
        self.stack = ExitStack()
        """To be left when all is written: what unfinished large images need stays until then."""

    def row(self, sample: Any, progress: Any, objects: RowOutput) -> dict[str, Any]:
        """Predict one sample as the model sees it; a missing one gives missing values."""
        if sample is None:
            return {}
        started = time.perf_counter()
        found = self.predictor(sample, progress)
        trusted = self.judge(sample, found)
        self.show(sample, found, unlike=bool(trusted.warning))
        objects.add(*self.objects(sample, found, trusted.confidences))
        sure = found.confidence if trusted.confidence is None else trusted.confidence
        known = {"name": sample.name, "n_objects": found.n_objects, "confidence": sure}
        self.warnings.append(trusted.warning)
        self.rows.append(known | self.more(found) | trust_columns.shown(trusted))
        values = [*self.values(sample, found), sure]
        p, seconds = self.predictor, time.perf_counter() - started
        values += trust_columns.cells(trusted, [p.card], p.device.line, seconds)
        return dict(zip(self.names, values, strict=True))

    def show(self, sample: Any, found: Any, *, unlike: bool) -> None:
        """Let the view draw the first images, and of those unlike the training images some behind them."""
        alike = [i for i, one in enumerate(self.shown) if not one[2]]
        if len(self.shown) == MAX_SHOWN:
            if not unlike or len(alike) <= MAX_SHOWN - MAX_UNLIKE:
                return
            del self.shown[alike[-1]]
        self.shown.append((sample, found, unlike))

    def warning(self) -> str:
        """Return one sentence about the images unlike those of the training."""
        from microshot import trust

        return trust.joined(self.warnings)

    def size_note(self) -> str:
        """Return one sentence about the sizes of objects that were looked for, or are taken for granted."""
        return self.predictor.size_note(self.rows)

    def record(self) -> dict[str, Any]:
        """Return where the results come from."""
        from microshot import provenance

        seconds = time.perf_counter() - self.started
        return provenance.record([self.predictor.card], self.predictor.device, seconds)

    def spare(self, reader: Any, frame: Any) -> None:
        """Remember the image files of the rows that follow, so that none is written over."""

    def large(self, reader: Any, row: dict[str, Any]) -> Any:
        """Return the file of an image that is too large for memory, where it can be worked on."""
        return None

    def looked(self, reader: Any, images: Any, progress: Any) -> Any:
        """Let the model look at some rows of a table for what is the same in all; see `Predictor.look`.

        Rows that cannot be read are passed by: the work itself says why. Returns the rest of `progress`.
        """
        from microshot.large import sizing

        quiet = reader.passing_by()

        def take(place: Any) -> Any:
            name, row = place()
            if (file := self.large(quiet, row)) is None:
                return quiet.sample(name, row)
            with suppress(ValueError, OSError):
                return sizing.to_look_at(self.predictor, file)
            return None

        return self.predictor.look(places(images, quiet.frame), images.num_rows, take, progress)

    def values(self, sample: Any, found: Any) -> list[Any]:
        """Return the cells before the confidence."""
        raise NotImplementedError

    def objects(
        self, sample: Any, found: Any, confidences: Any
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """Return RowIDs and rows of the image's objects; `confidences` are theirs, if known."""
        raise NotImplementedError

    def more(self, found: Any) -> dict[str, Any]:
        """Return what the view says of an image beside the number of its objects."""
        return {}


class CountWriter(Writer):
    """Writes counts with their intervals, and the places of objects where they are known."""

    def values(self, sample: Any, found: Any) -> list[Any]:
        bounded = math.isfinite(found.high)
        if not bounded:
            self.notes.add(f"No interval around the counts: {found.note}")
        bounds = [int(found.low), int(found.high)] if bounded else [None, None]
        return [found.n_objects, found.count, *bounds]

    def objects(
        self, sample: Any, found: Any, confidences: Any
    ) -> tuple[list[str], list[dict[str, Any]]]:
        points: Any = () if found.points is None else found.points
        rows = [
            {"Image": sample.name, "Object": i, "Y (px)": float(y), "X (px)": float(x)}
            for i, (y, x) in enumerate(points, 1)
        ]
        return [f"{sample.name}_{row['Object']}" for row in rows], rows

    def more(self, found: Any) -> dict[str, Any]:
        known = {"not_rounded": found.count, "low": found.low, "high": found.high}
        return known | self.predictor.size_taken(found)


class LabelWriter(Writer):
    """Writes label images and measures their objects."""

    def __init__(
        self, predictor: Any, made: dict[str, Any], notes: Notes, folder: Any, overwrite: Any
    ) -> None:
        super().__init__(predictor, made, notes)
        self.folder, self.overwrite = folder, bool(overwrite)
        self.written: set[str] = set()
        self.read: set[Path] = set()
        self.new = self.stack.enter_context(new_files(folder, overwrite=self.overwrite))

    def values(self, sample: Any, found: Any) -> list[Any]:
        return [self._labels(sample, found), found.n_objects]

    def more(self, found: Any) -> dict[str, Any]:
        return self.predictor.size_taken(found)

    def _labels(self, sample: Any, found: Any) -> Any:
        if self.folder is None:
            from microshot.data.codec import labels_to_pil

            return labels_to_pil(found.labels)
        from microshot.data.write import write_labels

        path = self.path(sample.name)
        size = sample.image.pixel_size_um
        write_labels(path, found.labels, pixel_size_um=size, overwrite=self.overwrite)
        self.new.add(path)
        return str(path)

    def path(self, name: str) -> Any:
        """Return the label file of a row.

        Raises
        ------
        ValueError
            If it is one of the images.
        """
        made_folder(self.folder)
        path = self.folder / f"{columns.unique_file(name, self.written)}.tif"
        if path.resolve() in self.read:
            raise ValueError(
                f'Row "{name}": expected a label file beside the images, found that "{path}" is an image '
                "of the table; choose another folder for label files."
            )
        return path

    def spare(self, reader: Any, frame: Any) -> None:
        if self.folder is None:
            return
        for name in (reader.columns.image, *reader.columns.more):
            for cell in frame[name]:
                if not is_missing(cell) and not hasattr(cell, "getpixel"):
                    with suppress(ValueError, OSError):  # reading it says why
                        self.read.add(resolve_cell(cell, reader.folder, name).resolve())

    def objects(
        self, sample: Any, found: Any, confidences: Any
    ) -> tuple[list[str], list[dict[str, Any]]]:
        from microshot.tasks.measure import measure

        table = measure(found.labels, sample.image, found.probability, confidences)
        return object_rows(sample.name, table)

    def large(self, reader: Any, row: dict[str, Any]) -> Any:
        if self.folder is None:
            return None
        return large_images.large_file(reader, row, self.predictor.settings.large_mpx)
