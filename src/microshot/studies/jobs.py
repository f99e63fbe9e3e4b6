"""The trainings of a study or a sweep, one after the other here or on the workers of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from microshot.progress import Progress, silent, span
from microshot.studies.trials import trial
from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from microshot.bundle import Bundle
    from microshot.cluster import Cluster
    from microshot.data.dataset import Dataset
    from microshot.settings import RetrainSettings, TrainSettings
    from microshot.studies.trials import Ledger

    #: How trainings are carried out: `here` or what `on` returns.
    Carry = Callable[["Material", Sequence["Job"], Progress], Iterator["Scored"]]


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
class Failed:
    """A training that gave no scores; others may go well."""

    reason: str
    """One sentence that names the training."""


#: What became of a training: the scores of its row, or why it has none.
Scored: TypeAlias = dict[str, Any] | Failed
#: What is wrong with one training and not with all: settings, a loss that grows without bound, memory.
_OWN_FAULTS = (ValueError, FloatingPointError, MemoryError)


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

    def row(self, material: Material, progress: Progress = silent) -> Scored:
        """Train and return the scores, or why there are none."""
        m = material
        own = m.data if self.chosen is None else m.data.take(list(self.chosen))
        start = None if self.start is None else m.models[self.start]
        try:
            return trial(start, own, m.test, self.settings, m.synthetic, progress)
        except _OWN_FAULTS as error:
            return Failed(f"{self.told}{error}")


def enter(
    ledger: Ledger, cells: Iterable[Mapping[str, Any]], rows: Iterator[Scored], n: int
) -> None:
    """Write what trainings, some of `n`, gave beside what they are, as it arrives; note what failed.

    What a training is (its cell) has the last word: "device" as it was set, not the line of the row.

    Raises
    ------
    ValueError
        If no training has ever given anything; says why the first did not.
    """
    failed = []
    for cell, row in zip(cells, rows, strict=True):
        if isinstance(row, Failed):
            failed.append(row.reason)
        else:
            ledger.add({**cell, **row, **cell})
    if failed and not ledger.rows:
        raise ValueError(failed[0])
    if failed:
        ledger.notes.append(
            f"{len(failed)} of {how_many(n, 'training')} failed and {form(len(failed), 'is', 'are')} tried "
            f"again by the same command, the first: {failed[0]}"
        )


def here(material: Material, jobs: Sequence[Job], progress: Progress) -> Iterator[Scored]:
    """Yield the row of every job, in their order."""
    for index, job in enumerate(jobs):
        within = span(progress, index / len(jobs), (index + 1) / len(jobs), job.told)
        yield job.row(material, within)


def on(cluster: Cluster | None, prepare: Callable[[], Material]) -> Carry:
    """Return what carries trainings out as `here`, the workers of a cluster; `here` without one.

    `prepare` makes the material once on every worker, so that images do not travel with each job.
    """

    def carry(_material: Material, jobs: Sequence[Job], progress: Progress) -> Iterator[Scored]:
        assert cluster is not None
        yield from cluster.run(prepare, _row, jobs, progress, "training")

    return here if cluster is None else carry


def _row(material: Material, job: Job) -> Scored:
    return job.row(material)
