"""How fast to learn: the same trainings at several learning rates.

    python benchmarks/learning_rates.py segment --sets usiigaci_phc,ctc_phc_u373 --minutes 1
    python benchmarks/learning_rates.py count --sets "phase to bright,stains" --images 10,40
    python benchmarks/learning_rates.py translate --sets bf2fluo_isl --minutes 1

Everything but the rate is as in `four_images.py`, `count_transfer.py` (with the density counter) and
`translate.py`.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

import count_transfer
import four_images
import stained
import translate
from measuring import Results, count_processor_time, one_thread, rounded

if TYPE_CHECKING:
    from collections.abc import Callable

    from microshot.bundle import Bundle

ABOUT = (
    "Trainings that differ in the learning rate alone. F1 at IoU 0.5, MAE of rounded counts, Pearson r. "
    "Budgets in minutes of processor time on one thread. Development data."
)
RATES = (3e-4, 1e-3, 2e-3, 4e-3)
#: Of each task: the methods, from scratch and retrained.
METHODS = {
    "segment": ("scratch", "retrained"),
    "count": ("density", "density, starter"),
    "translate": ("unet", "four, after generated"),
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One training."""

    task: str
    data: str
    method: str
    n_images: int
    """Counted images; 4 of *segment*, 0 = all of *translate*."""
    minutes: float
    seed: int
    rate: float


def segment(cell: Cell) -> tuple[Bundle, dict[str, float]]:
    """Return a model for outlines and its scores."""
    four, rest = four_images.drawn(cell.data, cell.seed)
    bundle = four_images.trained(cell.method, "synthetic", four, cell.minutes, cell.seed, cell.rate)
    return bundle, four_images.scored(bundle, four, rest, four_images.TARGETS[cell.data])


def count(cell: Cell) -> tuple[Bundle, dict[str, float]]:
    """Return a counter and its scores."""
    case = count_transfer.Case(
        cell.data, cell.n_images, cell.seed, cell.minutes, 0.6, "development"
    )
    method = count_transfer.METHODS[cell.method]
    bundle = count_transfer.model(method, case, rate=cell.rate)
    return bundle, count_transfer.scores(bundle, case.data.scored(case.part))


def stain(cell: Cell) -> tuple[Bundle, dict[str, float]]:
    """Return a model for stains and its scores."""
    from microshot import api

    learned, rest = stained.divided(cell.data, cell.seed)
    bundle = translate.trained(
        cell.method,
        cell.data,
        learned,
        cell.minutes,
        cell.seed,
        translate.How(augmentation="none", rate=cell.rate),
    )
    predictor = api.Predictor(bundle)
    _, total = api.score("translate", [predictor(sample) for sample in rest], rest)
    return bundle, rounded(total, translate.SCORES)


TASKS: dict[str, Callable[[Cell], tuple[Bundle, dict[str, float]]]] = {
    "segment": segment,
    "count": count,
    "translate": stain,
}


def measure(results: Results, cell: Cell) -> None:
    """Measure one cell unless it is there."""
    key: dict[str, Any] = dataclasses.asdict(cell)
    if not results.has(key):
        bundle, scores = TASKS[cell.task](cell)
        results.add({**key, **scores, "steps": bundle.card.training["steps"]})


def main() -> None:
    """Run the cells that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--sets", required=True)
    parser.add_argument("--methods", help="with semicolons between them")
    parser.add_argument("--images", default="0", help="numbers of counted images")
    parser.add_argument("--minutes", default="1", help="of processor time")
    parser.add_argument("--rates", default=",".join(map(str, RATES)))
    parser.add_argument("--seeds", default="0,1")
    given = parser.parse_args()
    one_thread()
    count_processor_time()
    results = Results("learning_rates", ABOUT)
    methods = given.methods.split(";") if given.methods else METHODS[given.task]
    for minutes in map(float, given.minutes.split(",")):
        for n_images in map(int, given.images.split(",")):
            for seed in map(int, given.seeds.split(",")):
                for data in given.sets.split(","):
                    for method in methods:
                        for rate in map(float, given.rates.split(",")):
                            n = 4 if given.task == "segment" else n_images
                            cell = Cell(given.task, data, method, n, minutes, seed, rate)
                            measure(results, cell)


if __name__ == "__main__":
    main()
