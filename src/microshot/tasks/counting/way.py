"""What a way to count consists of: the parts of a task in which the ways differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

    from microshot.data.dataset import Sample
    from microshot.data.image import Image
    from microshot.inference.predictor import Network
    from microshot.nn.onnx_graph import Graph
    from microshot.progress import Progress
    from microshot.tasks.base import Intent, Recipe
    from microshot.tasks.counting.base import RawCount
    from microshot.tasks.hyper import Hyper
    from microshot.tasks.lesson import Lesson
    from microshot.training.solving import Solution
    from microshot.training.trainer import Stage


@dataclass(frozen=True)
class Way:
    """A way to count. Each part does what the method of its name in `tasks.base.Task` does.

    Where a way has nothing of its own, the part is None. A new way is a module with one of these as
    ``WAY``, an entry in `task.WAYS`, a choice in `settings.density.COUNTERS` and, if other programs can
    run its network, what they see of it in `tasks.exchange`.
    """

    hyper: Callable[[Sequence[Sample], Any, Recipe | None], Hyper]
    recipe: Callable[[Sequence[Sample], Any, Recipe | None], Recipe]
    checked: Callable[[Recipe], Recipe]
    build: Callable[[Mapping[str, Any], int], nn.Module]
    prepare: Callable[[Sample, Recipe], Any]
    stages: Callable[[nn.Module, Lesson[Any, Any]], list[Stage] | Solution]
    raw: Callable[..., RawCount]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strategies: Mapping[str, Any] = field(default_factory=dict)
    """Tables of frozen and thawed parts in place of the usual ones, as in `training.transfer`."""
    learns_unlabelled: Callable[[Recipe, Hyper], bool] | None = None
    libraries: Callable[[Hyper], tuple[str, ...]] | None = None
    remarks: Callable[[Sequence[Sample], Sequence[Sample], Intent], list[str]] | None = None
    image: Callable[[Sample, Recipe], Image] | None = None
    graph: Callable[[Mapping[str, Any]], Graph] | None = None
    fresh: Callable[[Mapping[str, Any], Any, int], nn.Module] | None = None
    sized: (
        Callable[
            [Network, Recipe, Sequence[Sample], Any, Callable[[], float], Progress],
            tuple[Recipe, list[str]],
        ]
        | None
    ) = None
