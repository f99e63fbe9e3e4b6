"""The network's pass over the tiles of a large image, on the workers of a cluster."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from microshot.data.windowed import OneChannel
from microshot.large.segmenting import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from microshot.data.windowed import Windowed
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
            _prepared, model.resolve(), work.source.path.resolve(), _channel(work.source),
            work.predictor.settings, work.normalization,
        )  # fmt: skip
        yield from zip(tiles, run(prepare, _output, tiles), strict=True)

    return compute


def _channel(source: Windowed) -> int | None:
    """Return which channel of its file is looked at, None for all."""
    return source.index if isinstance(source, OneChannel) else None


def _prepared(
    model: Path, image: Path, channel: int | None, settings: Any, normalization: Any
) -> Work:
    from microshot import api
    from microshot.bundle import Bundle
    from microshot.data.windows import opened
    from microshot.large.plan import plan_of

    predictor = api.Predictor(Bundle.load(model), settings)
    whole = opened(image)
    source = whole if channel is None else OneChannel(whole, channel)
    _, height, width = source.facts.shape
    plan = plan_of((height, width), predictor.recipe, predictor.options)
    return Work(predictor, source, plan, normalization)


def _output(work: Work, index: int) -> Output:
    return work.output(index)
