"""How long a newcomer waits from the clone to the first result, and what that result is.

    python benchmarks/newcomer.py

Clones the repository into a temporary folder and calls there what the README says. Where pip takes
its packages from, and how far away that is, decides how long installing takes.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import HERE, Results

ABOUT = (
    "Seconds of the clock and of processor time for the steps of the README in a fresh clone; MB on "
    "the disk after each; F1 of the demo's models on images that took no part."
)
STEPS = {
    "clone": ("git", "clone", "--quiet", str(HERE.parent), "."),
    "install": (sys.executable, "dev.py", "setup"),
    "demo": (sys.executable, "dev.py", "demo", "--out", "report"),
}


def timed(command: tuple[str, ...], folder: Path) -> dict[str, float]:
    """Run one step in a process of its own."""
    before, started = os.times(), time.perf_counter()
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return {"wall_s": round(time.perf_counter() - started, 1), "cpu_s": round(used, 1)}


def megabytes(folder: Path) -> float:
    """Return what a folder takes on the disk."""
    sizes = (path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    return round(sum(sizes) / 1e6, 1)


def scores(folder: Path) -> dict[str, float]:
    """Return the F1 of every model that the demo compares, by the name of its column."""
    (table,) = folder.rglob("*compare*/*Summary.csv")
    with table.open(newline="", encoding="utf-8") as file:
        return {row["Prediction"]: round(float(row["F1"]), 3) for row in csv.DictReader(file)}


def main() -> None:
    """Walk from the clone to the report once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.parse_args()
    results = Results("newcomer", ABOUT)
    results.rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for step, command in STEPS.items():
            row: dict[str, Any] = {"step": step, **timed(command, folder)}
            row |= {"disk_mb": megabytes(folder)}
            results.add(row | (scores(folder / "report") if step == "demo" else {}))


if __name__ == "__main__":
    main()
