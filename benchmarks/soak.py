"""Execute *Predict* a thousand times in one process, and in three processes at the same time.

    python benchmarks/soak.py

The node runs through its class as in KNIME, on three small images per execution, for two tasks in
turn. Written down are memory, open handles and files after the first hundred executions
and at the end, and the processor time of an execution alone and beside two others.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "tests"
PATHS = [str(TESTS), str(TESTS / "reliability"), str(HERE.parent / "src")]
sys.path[:0] = PATHS
RESULTS = HERE / "results" / "soak.json"
EVERY, TOGETHER = 100, 3


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=1000, help="executions in one process")
    parser.add_argument("--side-by-side", type=int, default=60, help="executions of each process")
    given = parser.parse_args()
    from microshot import provenance
    from microshot.headless import standin

    standin.install()
    import soaking

    alone, beside = [seconds(n, given.side_by_side) for n in (1, TOGETHER)]
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        seen = soaking.soak(Path(name), given.n, EVERY)
    row = {
        "executions": given.n,
        "tasks": soaking.TASKS,
        "images_each": soaking.N_IMAGES,
        "warm": asdict(seen[1]),
        "last": asdict(seen[-1]),
        "resident_mb": [round(one.resident_mb, 1) for one in seen],
        "used_mb": [round(one.used_mb, 1) for one in seen],
        "seconds_alone": alone,
        "seconds_beside": beside,
        "cores": os.cpu_count(),
        "versions": provenance.versions(),
    }
    RESULTS.write_text(json.dumps({"rows": [row]}, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(row, indent=1))


def seconds(processes: int, n: int) -> list[float]:
    """Return the processor time per execution of so many processes that run at the same time."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)}
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        running = []
        for number in range(processes):
            folder = Path(name) / str(number)
            folder.mkdir()
            command = [sys.executable, str(TESTS / "reliability" / "soaking.py"), folder, str(n)]
            running.append(
                subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            )
        told = [process.communicate()[0] for process in running]
    return [round(float(text.split()[-1]), 4) for text in told]


if __name__ == "__main__":
    main()
