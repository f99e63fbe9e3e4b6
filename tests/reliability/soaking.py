"""Executing nodes over and over: what one process needs and leaves behind."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microshot.headless import standin
from tasks_of_all_kinds import one_of_each
from tiny_images import discs
from tiny_models import model

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
TASKS = ("segment", "count")
#: Images per execution, in Arrow batches of two.
N_IMAGES, BATCH = 3, 2


@dataclass(frozen=True)
class Left:
    """What a process has at a moment."""

    resident_mb: float
    used_mb: float
    """What is allocated of it; the rest is code, and what the allocator keeps for later."""
    handles: int
    """Open files, sockets and pipes."""
    files: int
    """Files below the folders that were named."""
    objects: int
    """Python objects that the garbage collector knows."""


def left(*folders: Path) -> Left:
    """Look at this process (Linux)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return Left(
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        allocated_mb(),
        len(list(Path("/proc/self/fd").iterdir())),
        sum(path.is_file() for folder in folders for path in folder.rglob("*")),
        len(gc.get_objects()),
    )


class _Allocator(ctypes.Structure):
    """What glibc tells of its allocator (mallinfo2(3))."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def allocated_mb() -> float:
    """Return the bytes that this process has allocated and not freed, in MiB; NaN where unknown."""
    told = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if told is None:
        return math.nan
    told.restype = _Allocator
    found = told()
    return (found.uordblks + found.hblkhd) / 2**20


def executions(host: standin.Host, folder: Path) -> list[Callable[[], int]]:
    """Return a function per task that executes *Predict* once and returns the number of rows."""
    return [_execution(host, folder, task) for task in TASKS]


def _execution(host: standin.Host, folder: Path, task: str) -> Callable[[], int]:
    bundle = model() if task == "segment" else one_of_each(task)[0]
    bundle.save(folder / f"{task}.microshot")
    reader = host.node("read_model")
    reader.set("path", f"{task}.microshot")
    (port,) = reader.execute([], data_area=folder)
    frame = images()

    def execute() -> int:
        node = host.node("predict")
        node.set("device", "CPU")
        table = standin.table_from_pandas(host, frame, BATCH)
        found, _ = node.execute([port, table], data_area=folder)
        return int(found.num_rows)

    return execute


def images() -> Any:
    """Return a pandas frame of small images as KNIME hands them over."""
    import knime.extension as knext
    import pandas as pd
    from PIL import Image

    index = pd.Index([f"r{i}" for i in range(N_IMAGES)], dtype=object)
    cells = [Image.fromarray(discs(seed=i)[0]) for i in range(N_IMAGES)]
    column = pd.Series(cells, index=index, dtype=object)
    kind = knext.logical(Image.Image).to_pandas()
    return pd.DataFrame({"Image": column.astype(kind)}, index=index)


def soak(folder: Path, n: int, every: int) -> list[Left]:
    """Execute `n` times, the tasks in turn; return what there was before and after every `every`.

    Temporary files go to a folder of their own. Tables and models between nodes are the stand-in's
    (in KNIME: KNIME's), which keeps them as long as the host, so they are not counted.
    """
    host = standin.Host(ROOT, folder / "host")
    area, temporary = folder / "area", folder / "temporary"
    area.mkdir()
    temporary.mkdir()
    watched = (area, temporary, host.work_dir / "temp", host.work_dir / "home")
    runs = executions(host, area)
    seen, before = [], tempfile.tempdir
    tempfile.tempdir = str(temporary)
    try:
        for number in range(n):
            if number % every == 0:
                seen.append(left(*watched))
            if runs[number % len(runs)]() != N_IMAGES:
                raise AssertionError("An execution gave another number of rows.")
    finally:
        tempfile.tempdir = before
    return [*seen, left(*watched)]


def seconds_each(folder: Path, n: int) -> float:
    """Return the processor time of one execution, after a first of each task."""
    host = standin.Host(ROOT, folder)
    runs = executions(host, folder)
    for run in runs:
        run()
    begin = time.process_time()
    for number in range(n):
        runs[number % len(runs)]()
    return (time.process_time() - begin) / n


if __name__ == "__main__":
    standin.install()
    sys.stdout.write(f"{seconds_each(Path(sys.argv[1]), int(sys.argv[2]))}\n")
