"""What a counter gains from its start: fresh weights, the starter, and other models of the same kind.

    python benchmarks/counter_starters.py
    python benchmarks/counter_starters.py --other earlier.microshot

The pairs, counted images and test images of `count_transfer.py`; all learn for as many steps, so that rows of
different machines compare.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from count_transfer import PAIRS, Case, retraining, scores, settings
from measuring import Results, one_thread

if TYPE_CHECKING:
    from microshot.bundle import Bundle

ABOUT = (
    "Counts of images of a new technique after few counted ones by density counters that start from fresh "
    "weights, from the starter cells-density and from an earlier one; before = the start, not retrained. As many "
    "steps for all. Test images that took no part in choosing settings."
)
STEPS, SHOTS, SEEDS = 150, (4, 20), (0, 1, 2)
FRESH, BEFORE = "fresh weights", "before"


def retrained(case: Case, start: Bundle | None) -> Bundle:
    """Return a counter that has learned from the few counted images."""
    from microshot import api

    few, _ = case.data.few(case.n_labelled, case.seed)
    if start is None:
        return api.train(few, settings("density", 0.0, case.seed, STEPS)).bundle
    return api.retrain(start, few, retraining("all", 0.0, case.seed, STEPS)).bundle


def main() -> None:
    """Measure all starts on all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--other", type=Path, action="append", default=[], help="a model to compare"
    )
    given = parser.parse_args()
    one_thread()
    from microshot.bundle import Bundle
    from microshot.starters import path_of

    starts = {"cells-density": Bundle.load(path_of("cells-density"))}
    starts |= {f"cells-density, {path.stem}": Bundle.load(path) for path in given.other}
    results = Results("counter_starters", ABOUT)
    shipped = starts["cells-density"].card.id
    results.rows = [r for r in results.rows if r["start"] != "cells-density" or r["id"] == shipped]
    first = Case("", 0, 0, 0.0, 0.0, "test")
    for pair in PAIRS:
        for name, start in starts.items():
            key = {
                "pair": pair,
                "start": name,
                "id": start.card.id,
                "n_labelled": 0,
                "seed": BEFORE,
            }
            if not results.has(key):
                case = dataclasses.replace(first, pair=pair)
                results.add({**key, **scores(start, case.data.scored("test"))})
        for n in SHOTS:
            for seed in SEEDS:
                case = dataclasses.replace(first, pair=pair, n_labelled=n, seed=seed)
                for name, start in {FRESH: None, **starts}.items():
                    key = {
                        "pair": pair, "start": name, "id": start.card.id if start else "",
                        "n_labelled": n, "seed": seed,
                    }  # fmt: skip
                    if not results.has(key):
                        made = retrained(case, start)
                        found = scores(made, case.data.scored("test"))
                        results.add({**key, "steps": made.card.training["steps"], **found})


if __name__ == "__main__":
    main()
