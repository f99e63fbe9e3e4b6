"""The verbs that train many times: study and sweep."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microshot import settings
from microshot.cli.calls import DONE, UsageError, checked, with_sets, with_training
from microshot.cli.going_on import keeping
from microshot.cli.learning import learning_data
from microshot.cli.tables import write_csv, write_text
from microshot.knobs import assign
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from microshot.cli.console import Console
    from microshot.cluster import Cluster
    from microshot.studies.jobs import Material

RUNS, SUMMARY, REPORT, CURVE = "runs.csv", "summary.csv", "report.html", "curves.svg"
_DONE_SO_FAR = "the trainings that are finished"
#: Options that name the images of a study.
_SOURCES = ("images", "labels", "targets", "synthetic")


@dataclass(frozen=True)
class Sources:
    """Files of a study or sweep, of which every worker makes the same material."""

    paths: Mapping[str, Path | None]
    """Of the images, by option."""
    models: Mapping[str, Path]
    task: str
    fraction: float
    """Part of the images to score on."""
    seed: int
    group: str | None
    """Pattern that finds the group of each image in its name."""

    @classmethod
    def of(
        cls, given: argparse.Namespace, models: Mapping[str, Path], task: str, seed: int
    ) -> Sources:
        """Take the files that the command line names."""
        own = {name: getattr(given, name) for name in _SOURCES}
        paths = {name: None if p is None else p.resolve() for name, p in own.items()}
        models = {name: path.resolve() for name, path in models.items()}
        return cls(paths, models, task, given.test_fraction, seed, given.group)

    def material(self, console: Console | None = None) -> Material:
        """Read all; the same files and seed give the same images to learn from and to score."""
        from microshot.bundle import Bundle
        from microshot.cli.console import Quiet
        from microshot.studies.jobs import Material
        from microshot.studies.trials import set_aside

        given = argparse.Namespace(**self.paths)
        data, synthetic, _ = learning_data(given, console or Quiet(), self.task, self.group)
        own, test = set_aside(self.task, data, self.fraction, self.seed)
        models = {name: Bundle.load(path) for name, path in self.models.items()}
        return Material(own, test, synthetic, models)


def _check(given: argparse.Namespace) -> None:
    """Refuse what cannot be meant, before any image is read.

    Raises
    ------
    UsageError
        If a part, the repeats or the sizes make no sense.
    """
    from microshot.studies.study import sizes_of

    if not 0 < given.test_fraction < 1:
        raise UsageError(
            f"--test-fraction: expected a number between 0 and 1, found {given.test_fraction:g}."
        )
    if given.repeats < 1:
        raise UsageError(f"--repeats: expected 1 or more, found {given.repeats}.")
    try:
        sizes_of(getattr(given, "sizes", "full"), sys.maxsize)
    except ValueError as error:
        raise UsageError(str(error)) from None


def study(given: argparse.Namespace, console: Console) -> int:
    """Compare pretrained and random start with more and more labelled images."""
    _check(given)
    from microshot.bundle import read_card
    from microshot.cluster import perhaps
    from microshot.studies import study as studies
    from microshot.studies.jobs import on
    from microshot.studies.tables import study_curve, study_page, study_sentence

    models = {path.stem: path for path in given.model}
    tasks = {read_card(path).task for path in given.model}
    task = next(iter(tasks))
    if len(models) < len(given.model) or len(tasks) > 1:
        raise UsageError("--model: expected models of one task with different file names.")
    if studies.SCRATCH in models:
        raise UsageError(
            f'--model: "{studies.SCRATCH}" is what models are compared with; give this one another file name.'
        )
    scratch, pretrained = _both(given, task)
    sources = Sources.of(given, models, task, scratch.training.seed)
    m = sources.material(console)
    sizes = studies.sizes_of(given.sizes, len(m.data))
    console.say(
        f"{how_many(len(m.test), 'image is', 'images are')} set aside to score on; "
        f"{', '.join(map(str, sizes))} of the other {len(m.data)} are trained on."
    )
    plan = studies.Plan(sizes, given.repeats, scratch, pretrained, scratch.training.seed)
    begun = time.perf_counter()
    with keeping(given.out / RUNS, _DONE_SO_FAR, console), perhaps(given.scheduler) as cluster:
        ledger = studies.study(
            m.models, m.data, m.test, plan, given.out / RUNS, synthetic=m.synthetic,
            progress=console.progress, carry=on(cluster, sources.material),
        )  # fmt: skip
        record = _record(m, scratch, cluster, time.perf_counter() - begun)
    rows = studies.summary(ledger.rows, task)
    write_csv(given.out / SUMMARY, rows, tuple(dict.fromkeys(k for row in rows for k in row)))
    write_text(given.out / CURVE, study_curve(rows, task))
    write_text(given.out / REPORT, study_page(rows, task, record, ledger.notes))
    said = study_sentence(rows, task)
    values = {"out": str(given.out), "summary": rows, "verdict": said,
              "notes": ledger.notes, "provenance": record}  # fmt: skip
    console.say(*ledger.notes)
    console.result(values, [*map(_line, rows), said, f"Written to {given.out}."])
    return DONE


def _record(
    material: Material, values: Any, cluster: Cluster | None, seconds: float
) -> dict[str, Any]:
    """Return where the rows come from that were made now (see `provenance.record`)."""
    from microshot.device import choose_device
    from microshot.provenance import record

    cards = [model.card for model in material.models.values()]
    where = "" if cluster is None else cluster.line
    return record(cards, choose_device(values.training.device), seconds, where=where)


def _line(row: dict[str, Any]) -> str:
    p = row.get("p")
    told = "" if p is None else f", p = {p:.2g}"
    return f"{how_many(row['n_images'], 'image')}, {row['start']}: {row['mean']:.3f}{told}"


def _both(
    given: argparse.Namespace, task: str
) -> tuple[settings.TrainSettings, settings.RetrainSettings]:
    """Return the settings of both starts; ``--set`` holds for those that know the setting."""
    scratch = settings.TrainSettings(task=task, preset=given.preset)
    pretrained = settings.RetrainSettings(check="none")
    made: list[Any] = []
    known = dict.fromkeys(given.set, 0)
    for values in (scratch, pretrained):
        changed = _common(values, given)
        for one in given.set:
            key, separator, text = one.partition("=")
            if not separator:
                raise UsageError(f'--set "{one}": expected KEY=VALUE.')
            if _knows(values, key.strip()):
                known[one] += 1
                changed = with_sets(changed, [f"{key}={text}"])
        made.append(checked(changed))
    unknown = next((one for one, n in known.items() if not n), None)
    if unknown is not None:
        with_sets(scratch, [unknown])  # says what there is
    return made[0], made[1]


def _knows(values: Any, key: str) -> bool:
    try:
        assign(values, key, "?")
    except ValueError as error:
        return "is not a setting" not in str(error)
    return True


def _common(values: Any, given: argparse.Namespace) -> Any:
    return dataclasses.replace(with_training(values, given), minutes=given.minutes)


def sweep(given: argparse.Namespace, console: Console) -> int:
    """Train with every combination of some settings."""
    _check(given)
    from microshot.bundle import read_card
    from microshot.cluster import perhaps
    from microshot.studies import sweep as sweeps
    from microshot.studies.jobs import on
    from microshot.studies.tables import sweep_page

    task = given.task if given.model is None else read_card(given.model).task
    values: Any = settings.RetrainSettings(check="none")
    if given.model is None:
        values = settings.TrainSettings(task=task, preset=given.preset)
    values = _common(values, given)
    grid = _grid(given.set)
    for sets in sweeps.grid(grid):
        checked(with_sets(values, [f"{key}={text}" for key, text in sets.items()]))
    models = {} if given.model is None else {sweeps.START: given.model}
    sources = Sources.of(given, models, task, values.training.seed)
    m = sources.material(console)
    console.say(
        f"Training on {how_many(len(m.data), 'image')}, scoring on the {how_many(len(m.test), 'other')}."
    )
    seeds = [values.training.seed + i for i in range(given.repeats)]
    begun = time.perf_counter()
    with keeping(given.out / RUNS, _DONE_SO_FAR, console), perhaps(given.scheduler) as cluster:
        ledger = sweeps.sweep(
            m.models.get(sweeps.START), m.data, m.test, values, grid, seeds, given.out / RUNS,
            synthetic=m.synthetic, progress=console.progress,
            carry=on(cluster, sources.material),
        )  # fmt: skip
        record = _record(m, values, cluster, time.perf_counter() - begun)
    rows = sweeps.summary(ledger.rows, list(grid), task)
    write_csv(given.out / SUMMARY, rows)
    write_text(given.out / REPORT, sweep_page(rows, task, record, ledger.notes))
    lines = [f"{row['mean']:.3f}  {row['settings']}" for row in rows]
    found = {"out": str(given.out), "summary": rows, "notes": ledger.notes, "provenance": record}
    console.say(*ledger.notes)
    console.result(found, [*lines, f"Written to {given.out}."])
    return DONE


def _grid(given: Sequence[str]) -> dict[str, list[str]]:
    """Read ``--set key=a,b,c`` options."""
    made: dict[str, list[str]] = {}
    for one in given:
        key, separator, text = one.partition("=")
        values = [part.strip() for part in text.split(",") if part.strip()]
        if not separator or not values:
            raise UsageError(f'--set "{one}": expected KEY=VALUE,VALUE,…')
        if key.strip() in ("seed", "training.seed"):
            raise UsageError("--set seed: seeds go up from --seed; give their number as --repeats.")
        made[key.strip()] = list(dict.fromkeys(values))
    return made
