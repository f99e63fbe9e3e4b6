"""The network's pass over the tiles of a large image, on the workers of a cluster."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from microshot.large.segmenting import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from microshot.large.segmenting import Compute
    from microshot.tasks.segmenting.blocks import Output

    #: `cluster.Cluster.run`, with progress bound.
    Run = Callable[[Callable[[], Any], Callable[[Any, int], Any], Sequence[int]], Iterator[Any]]


def compute_with(run: Run, model: Path) -> Compute:
    """Return what lets the workers behind `run` compute tiles; they load `model` themselves.

    Model and image must be there under the same path on every worker.
    """

    def compute(work: Work, tiles: Sequence[int]) -> Iterator[tuple[int, Output]]:
        prepare = functools.partial(
            _prepared, model.resolve(), work.source.path.resolve(), work.predictor.settings,
            work.normalization,
        )  # fmt: skip
        yield from zip(tiles, run(prepare, _output, tiles), strict=True)

    return compute


def _prepared(model: Path, image: Path, settings: Any, normalization: Any) -> Work:
    from microshot import api
    from microshot.bundle import Bundle
    from microshot.data.windows import opened
    from microshot.large.plan import plan_of, seen

    predictor = api.Predictor(Bundle.load(model), settings)
    source = seen(opened(image), predictor.recipe)
    shape = source.facts.shape[1:]
    plan = plan_of((shape[0], shape[1]), predictor.recipe, predictor.options)
    return Work(predictor, source, plan, normalization)


def _output(work: Work, index: int) -> Output:
    return work.output(index)
