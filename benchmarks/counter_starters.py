"""What a counter gains from its start: fresh weights, the starter, and other models of the same kind.

    python benchmarks/counter_starters.py
    python benchmarks/counter_starters.py --architecture density --other earlier.microshot

The pairs, counted images and test images of `count_transfer.py`; all learn for as many steps, so that rows of
different machines compare. A Twin-VAE learns from synthetic images like the new technique, too.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from typing import TYPE_CHECKING

from count_transfer import PAIRS, Case, retraining, scores, settings
from measuring import Results, one_thread
from starts import BEFORE, add_option, starts_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from microshot.bundle import Bundle

ABOUT = (
    "Counts of images of a new technique after few counted ones by density counters and Twin-VAEs that start from "
    "fresh weights, from the starters cells-density and cells-count and from earlier ones; before = the start, not "
    "retrained. As many steps for all. Test images that took no part in choosing settings."
)
STEPS, SHOTS, SEEDS = 150, (4, 20), (0, 1, 2)
STARTERS = {"density": "cells-density", "twin-vae": "cells-count"}
#: Of a network with fresh weights.
FRESH = {"density": "fresh weights", "twin-vae": "Twin-VAE, fresh weights"}
#: Of the Twin-VAE *cells-count*.
WIDTH = 0.5


def retrained(case: Case, architecture: str, start: Bundle | None) -> Bundle:
    """Return a counter that has learned from the few counted images."""
    from microshot import api

    few, _ = case.data.few(case.n_labelled, case.seed)
    extra = case.like_target() if architecture == "twin-vae" else None
    if start is None:
        wish = settings(architecture, 0.0, case.seed, STEPS)
        wish = dataclasses.replace(wish, twin_vae=dataclasses.replace(wish.twin_vae, width=WIDTH))
        return api.train(few, wish, synthetic=extra).bundle
    wish = retraining("all", 0.0, case.seed, STEPS)
    return api.retrain(start, few, wish, synthetic=extra).bundle


def main() -> None:
    """Measure all starts on all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option(parser)
    parser.add_argument("--architecture", choices=list(STARTERS), help="one only")
    parser.add_argument("--pairs", default=",".join(PAIRS))
    given = parser.parse_args()
    if given.other and not given.architecture:
        parser.error("--other: say of which --architecture the models are")
    one_thread()
    results = Results("counter_starters", ABOUT)
    for architecture in [given.architecture] if given.architecture else STARTERS:
        measure(results, architecture, given.pairs.split(","), given.other)


def measure(
    results: Results, architecture: str, pairs: Sequence[str], others: Sequence[Path]
) -> None:
    """Measure the starts of one architecture on all cases, where they are not measured yet."""
    starts = starts_of(STARTERS[architecture], others, results)
    first = Case("", 0, 0, 0.0, 0.0, "test")
    for pair in pairs:
        for name, start in starts.items():
            key = {
                "pair": pair, "start": name, "id": start.card.id, "n_labelled": 0, "seed": BEFORE,
            }  # fmt: skip
            if not results.has(key):
                case = dataclasses.replace(first, pair=pair)
                results.add({**key, **scores(start, case.data.scored("test"))})
        for n, seed in itertools.product(SHOTS, SEEDS):
            case = dataclasses.replace(first, pair=pair, n_labelled=n, seed=seed)
            for name, start in {FRESH[architecture]: None, **starts}.items():
                key = {
                    "pair": pair, "start": name, "id": start.card.id if start else "",
                    "n_labelled": n, "seed": seed,
                }  # fmt: skip
                if not results.has(key):
                    made = retrained(case, architecture, start)
                    found = scores(made, case.data.scored("test"))
                    results.add({**key, "steps": made.card.training["steps"], **found})


if __name__ == "__main__":
    main()
