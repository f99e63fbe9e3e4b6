"""The trainings of a study or a sweep, one after the other here or on the workers of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microshot.progress import Progress, silent, span
from microshot.studies.trials import trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from microshot.bundle import Bundle
    from microshot.cluster import Cluster
    from microshot.data.dataset import Dataset
    from microshot.settings import RetrainSettings, TrainSettings

    #: How trainings are carried out: `here` or what `on` returns.
    Carry = Callable[["Material", Sequence["Job"], Progress], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class Material:
    """What all trainings of a study or a sweep share."""

    data: Dataset
    test: Dataset
    """Images that are scored and never learned from."""
    synthetic: Dataset | None
    models: Mapping[str, Bundle]
    """Models to start from."""


@dataclass(frozen=True)
class Job:
    """One training and its scores."""

    told: str
    """What the user reads while it runs."""
    settings: TrainSettings | RetrainSettings
    start: str | None = None
    """Name of the model to start from; None = fresh weights."""
    chosen: tuple[int, ...] | None = None
    """Images to learn from; None = all."""

    def row(self, material: Material, progress: Progress = silent) -> dict[str, Any]:
        """Train and return the scores.

        Raises
        ------
        ValueError
            If this training cannot be; says which it is, for others may go well.
        """
        m = material
        own = m.data if self.chosen is None else m.data.take(list(self.chosen))
        start = None if self.start is None else m.models[self.start]
        try:
            return trial(start, own, m.test, self.settings, m.synthetic, progress)
        except ValueError as error:
            raise ValueError(f"{self.told}{error}") from error


def here(material: Material, jobs: Sequence[Job], progress: Progress) -> Iterator[dict[str, Any]]:
    """Yield the row of every job, in their order."""
    for index, job in enumerate(jobs):
        within = span(progress, index / len(jobs), (index + 1) / len(jobs), job.told)
        yield job.row(material, within)


def on(cluster: Cluster | None, prepare: Callable[[], Material]) -> Carry:
    """Return what carries trainings out as `here`, the workers of a cluster; `here` without one.

    `prepare` makes the material once on every worker, so that images do not travel with each job.
    """

    def carry(
        _material: Material, jobs: Sequence[Job], progress: Progress
    ) -> Iterator[dict[str, Any]]:
        assert cluster is not None
        yield from cluster.run(prepare, _row, jobs, progress, "training")

    return here if cluster is None else carry


def _row(material: Material, job: Job) -> dict[str, Any]:
    return job.row(material)
