"""How time and memory grow with the size of the work: images, objects, rows, labels, workers.

    python benchmarks/growth.py

Every point is measured once in a process of its own, on one thread, in processor time, after the
least size was done once. `growth_cases.py` says what is done; the whole takes about
five minutes of processor time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from typing import Any

from growth_cases import CASES
from measuring import CACHE, Results, one_thread

ABOUT = (
    "`x`: how much of what grows; `processor_s`: of the work alone; `more_mb`: peak memory of the "
    "process less its peak before the work (0: fits into what was there)."
)


def measured(name: str, size: int) -> dict[str, Any]:
    """Do one piece of work in this process."""
    one_thread()
    from microshot.device import Device, peak_memory_mb

    cpu, case = Device("cpu", "", 1), CASES[name]
    case.make(case.least)[1]()  # libraries are loaded, files read
    x, work = case.make(size)
    before, started = peak_memory_mb(cpu) or 0, time.process_time()
    found = work()
    seconds = time.process_time() - started
    more = (peak_memory_mb(cpu) or 0) - before
    return {"case": name, "size": size, "x": x, "processor_s": round(seconds, 4), "more_mb": more,
            "mb_before": before, **found}  # fmt: skip


def exponents(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the slope of log y against log x: by least squares, and of the last step alone."""
    logs = [(math.log(x), math.log(max(y, 1e-9))) for x, y in sorted(points)]
    mx, my = (sum(v) / len(logs) for v in zip(*logs, strict=True))
    slope = sum((x - mx) * (y - my) for x, y in logs) / sum((x - mx) ** 2 for x, _ in logs)
    (x0, y0), (x1, y1) = logs[-2:]
    return slope, (y1 - y0) / (x1 - x0)


def main() -> None:
    """Measure what is missing in the result file, or one point where it is named."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cases", default=",".join(CASES), help="which kinds of work")
    arguments.add_argument("--again", action="store_true", help="also what was measured before")
    arguments.add_argument("--only", metavar="CASE,SIZE", help="measure one point, print JSON")
    given = arguments.parse_args()
    CACHE.mkdir(exist_ok=True)
    if given.only:
        name, size = given.only.split(",")
        sys.stdout.write(json.dumps(measured(name, int(size))) + "\n")
        sys.stdout.flush()
        os._exit(0)  # clusters in this process need not be taken down
    results = Results("growth", ABOUT)
    for name in given.cases.split(","):
        for size in CASES[name].sizes:
            if results.wanted({"case": name, "size": size}, again=given.again):
                command = [sys.executable, __file__, "--only", f"{name},{size}"]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                results.add(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
