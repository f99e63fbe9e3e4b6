"""Writing the results of a workflow: one folder per node and an overview page."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from microshot.data.disk import explained, made_folder, replacing
from microshot.headless.cell_text import cell_text, is_image, rows_of, thumbnail
from microshot.headless.result_page import (
    Cell,
    NodePart,
    Picture,
    TablePart,
    overview_page,
    table_page,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from microshot.headless.results import NodeResult, PortResult
    from microshot.headless.workflow import Workflow

MAX_IMAGES = 200
"""Most image files written per table; the table names the size of the others."""
OVERVIEW_ROWS = 8
"""Rows of a table shown on the overview page."""
VIEW_ROWS = 200
"""Rows of a table shown for a Table View."""

_OVERVIEW = "index.html"
_SUMMARY = "results.json"


@dataclass
class ResultFolder:
    """The folder that fills while a workflow runs; complete after every node.

    Making one refuses a folder that holds anything but results; `begin` clears what an earlier run
    wrote there.
    """

    folder: Path
    workflow: Workflow
    told: Callable[[str], str] = str
    """Returns the text of a cell as it is true when the run is over."""
    _earlier: list[str] | None = None
    """Names that an earlier run has left; None in a folder without any."""
    _parts: list[NodePart] = field(default_factory=list)
    _nodes: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Look at what the folder holds, which is not touched."""
        made_folder(self.folder)
        with explained(self.folder):
            if any(self.folder.iterdir()):
                self._earlier = self._listed()

    def _listed(self) -> list[str]:
        """Return the names that the summary of an earlier run lists."""
        summary = self.folder / _SUMMARY
        try:
            return [node["folder"] for node in json.loads(summary.read_text("utf-8"))["nodes"]]
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise FileExistsError(
                f"{self.folder}: the folder holds other files; give a new or an empty folder."
            ) from error

    @property
    def holds_results(self) -> bool:
        """Whether an earlier run wrote here."""
        return self._earlier is not None

    @property
    def page(self) -> Path:
        """The overview page."""
        return self.folder / _OVERVIEW

    def begin(self) -> None:
        """Delete what an earlier run wrote, and say that no node has run yet."""
        with explained(self.folder):
            for name in self._earlier or ():
                is_ours = isinstance(name, str) and re.fullmatch(r"[0-9]{2,}_[^/\\]*", name)
                if is_ours and (self.folder / name).is_dir():
                    shutil.rmtree(self.folder / name)
            self._write_overview()

    def add(self, result: NodeResult) -> Path:
        """Write what a node gave and return its folder."""
        name = f"{len(self._nodes) + 1:02d}_{_portable(result.node.label or result.node.name)}"
        folder = self.folder / name
        messages = {
            "node": result.node.title,
            "state": result.state,
            "seconds": round(result.seconds, 3),
            "warnings": list(result.warnings),
            "error": result.error,
        }
        self._nodes.append({"folder": name, **messages, "files": []})
        with explained(folder):
            self._write_summary()  # so that a later run clears the folder, whatever happens here
            folder.mkdir()
            files, tables = _write_outputs(result, folder, self.told)
            _write_json(folder / "messages.json", messages)
            self._nodes[-1]["files"] = files
            self._parts.append(
                NodePart(
                    title=result.node.title,
                    state=result.state,
                    seconds=result.seconds,
                    warnings=result.warnings,
                    error=result.error,
                    files=tuple(f"{name}/{file}" for file in files),
                    tables=tuple(_moved(table, name) for table in tables),
                )
            )
            self._write_overview()
        return folder

    def _write_summary(self) -> None:
        content = {"workflow": self.workflow.name, "nodes": self._nodes}
        _write_json(self.folder / _SUMMARY, content)

    def _write_overview(self) -> None:
        self._write_summary()
        workflow = self.workflow
        html = overview_page(workflow.name, workflow.description, self._parts, len(workflow.nodes))
        self.page.write_text(html, "utf-8")


def _portable(name: str) -> str:
    """Return `name` as it can be in a path on every system, at most 60 characters long."""
    return re.sub(r"[^\w .()-]+", "_", " ".join(name.split()))[:60].strip(" .") or "node"


def _write_json(path: Path, content: Any) -> None:
    with replacing(path, overwrite=True) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _write_outputs(
    result: NodeResult, folder: Path, told: Callable[[str], str]
) -> tuple[list[str], list[TablePart]]:
    """Write every output and return the files' names and the first rows of every table."""
    files: list[str] = []
    tables: list[TablePart] = []
    ports = [*result.outputs, *([result.shown] if result.shown else [])]
    for number, port in enumerate(ports, 1):
        stem = f"port_{number}_{_portable(port.name)}" if port is not result.shown else "table"
        if hasattr(port.data, "to_pandas"):
            n_rows = VIEW_ROWS if port is result.shown else OVERVIEW_ROWS
            table = _write_table(port, folder, stem, n_rows, told)
            files.append(f"{stem}.csv")
            tables.append(table)
            if port is result.shown:
                (folder / "table.html").write_text(table_page(table), "utf-8")
                files.append("table.html")
        else:
            files.append(_write_port(port, folder, stem))
    if result.view_html is not None:
        (folder / "view.html").write_text(result.view_html, "utf-8")
        files.append("view.html")
    return files, tables


def _write_port(port: PortResult, folder: Path, stem: str) -> str:
    """Write a model or a picture and return the file's name."""
    spec: dict[str, Any] = port.data.spec.data
    if port.data.spec.kind == "image":
        suffix = spec["format"]
    else:
        suffix = "microshot" if "data" in spec else "bin"
    (folder / f"{stem}.{suffix}").write_bytes(port.data.data)
    return f"{stem}.{suffix}"


def _write_table(
    port: PortResult, folder: Path, stem: str, n_preview: int, told: Callable[[str], str]
) -> TablePart:
    """Write a table as CSV with its images beside it; return its first rows."""
    frame = _frame(port.data)
    columns = ("RowID", *map(str, frame.columns))
    preview: list[tuple[Cell, ...]] = []
    n_images = 0
    with (folder / f"{stem}.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(columns)
        for row, (row_id, cells) in enumerate(rows_of(frame)):
            texts: list[str] = [row_id]
            shown: list[Cell] = [row_id]
            for number, (column, cell) in enumerate(zip(columns[1:], cells, strict=True), 1):
                text, href = told(cell_text(cell)), ""
                if is_image(cell) and n_images < MAX_IMAGES:
                    n_images += 1
                    name = f"{row + 1:04d}_{number}_{_portable(f'{row_id}_{column}')}"
                    href = f"{stem}_images/{name}.png"
                    (folder / href).parent.mkdir(exist_ok=True)
                    cell.save(folder / href)
                texts.append(href or text)
                if row < n_preview and is_image(cell):
                    shown.append(Picture(thumbnail(cell), text, href))
                elif row < n_preview:
                    shown.append(f"{cell:.5g}" if text and isinstance(cell, float) else text)
            rows.writerow(texts)
            if row < n_preview:
                preview.append(tuple(shown))
    return TablePart(port.name, columns, tuple(preview), len(frame))


def _frame(table: Any) -> pd.DataFrame:
    """Return a table whose whole numbers stay whole beside missing ones.

    (`to_pandas` makes decimal numbers of them.)
    """
    import pandas as pd
    import pyarrow as pa

    frame, cells = table.to_pandas(), table.to_pyarrow()
    for name in frame.columns:
        if pa.types.is_integer(cells.schema.field(name).type):
            frame[name] = pd.Series(cells[name].to_pylist(), frame.index, dtype=object)
    return frame


def _moved(table: TablePart, folder: str) -> TablePart:
    """Return `table` as seen from the folder above, where its pictures lie in `folder`."""

    def moved(cell: Cell) -> Cell:
        if isinstance(cell, str) or not cell.href:
            return cell
        return Picture(cell.source, cell.text, f"{folder}/{cell.href}")

    rows = tuple(tuple(map(moved, row)) for row in table.rows[:OVERVIEW_ROWS])
    return TablePart(table.title, table.columns, rows, table.n_rows)
