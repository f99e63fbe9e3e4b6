"""What a training has finished, kept beside its model file until that is written.

The folder holds ``job.json`` (which images, settings and model), ``fit_N.safetensors`` (what came
out of fit N: a check trains several times) and ``step_N.safetensors`` (the state of the fit that is
under way, written now and then). Every file appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from microshot.data.disk import replacing
from microshot.data.jobs import begin, damaged, goes_on
from microshot.training.trainer import Fit
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from microshot.training.state import Tensors

#: The state of a fit is written at most so often, in seconds.
EVERY_SECONDS = 60.0
#: Entry of a file's header that holds its numbers as JSON.
_HEADER = "microshot-training"


class Unfinished:
    """The folder of one training that is not finished."""

    def __init__(self, folder: Path, job: Mapping[str, Any], *, forgiving: bool = False) -> None:
        """Keep a training in `folder`; a `forgiving` one does without what the disk refuses."""
        self.folder, self.job = folder, job
        self._forgiven = (OSError,) if forgiving else ()
        self._n_fits = 0

    @classmethod
    def opened(cls, folder: Path, job: Mapping[str, Any], *, restart: bool) -> Unfinished:
        """Return what lies in `folder`, or what will as soon as there is something to keep.

        Raises
        ------
        ValueError
            If the folder is that of another job and not to `restart`, see `jobs.goes_on`.
        """
        goes_on(folder, job, "training", restart=restart)
        return cls(folder, job)

    @property
    def told(self) -> str:
        """How far the training came; empty where it begins."""
        done = len(list(self.folder.glob("fit_*.safetensors")))
        parts = [f"{how_many(done, 'training')} of the check finished"] if done else []
        for path in sorted(self.folder.glob("step_*.safetensors"))[-1:]:
            values = _read(path)[1]
            minutes = values["elapsed"] / 60
            parts.append(f"the present one at step {values['fit']['steps']}, {minutes:.1f} min")
        return ", ".join(parts)

    def intact(self) -> bool:
        """Say whether every state in the folder can be read."""
        try:
            for path in self.folder.glob("*.safetensors"):
                _read(path)
        except ValueError:
            return False
        return True

    def next(self) -> Place:
        """Return the place of the next fit; a training always has the same ones in the same order."""
        self._n_fits += 1
        return Place(self, self._n_fits - 1)

    def write(self, name: str, tensors: Tensors, values: Mapping[str, Any]) -> None:
        """Write a file of the folder, whole or not at all."""
        from safetensors.torch import save

        with contextlib.suppress(*self._forgiven):
            if not (self.folder / "job.json").is_file():
                begin(self.folder, self.job)
            with replacing(self.folder / name, overwrite=True) as part, part.open("wb") as file:
                file.write(save(tensors, {_HEADER: json.dumps(values)}))
                file.flush()
                os.fsync(file.fileno())

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Place:
    """Where one fit of a training keeps its state and, at the end, what came out."""

    def __init__(self, owner: Unfinished, number: int) -> None:
        self.owner, self.number = owner, number
        self._done, self._step = (f"{kind}_{number}.safetensors" for kind in ("fit", "step"))
        self._written = time.monotonic()

    def finished(self) -> Fit | None:
        """Return what came out, if this fit was finished before."""
        path = self.owner.folder / self._done
        if not path.is_file():
            return None
        state, values = _read(path)
        return Fit(state, **values)

    def finish(self, fit: Fit) -> None:
        """Keep what came out in place of the last state."""
        values = {f.name: getattr(fit, f.name) for f in dataclasses.fields(fit)}
        state = values.pop("state")
        self.owner.write(self._done, {k: v.contiguous() for k, v in state.items()}, values)
        (self.owner.folder / self._step).unlink(missing_ok=True)

    def due(self) -> bool:
        """Say whether it is time to keep the state again."""
        return time.monotonic() - self._written >= EVERY_SECONDS

    def keep(self, tensors: Tensors, values: Mapping[str, Any]) -> None:
        """Keep the state in place of the one before."""
        self.owner.write(self._step, tensors, values)
        self._written = time.monotonic()

    def kept(self) -> tuple[Tensors, dict[str, Any]] | None:
        """Return the last state, if there is one."""
        path = self.owner.folder / self._step
        return _read(path) if path.is_file() else None


def _read(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Read a file that `Unfinished.write` wrote.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            values = json.loads((file.metadata() or {})[_HEADER])
            return {name: file.get_tensor(name) for name in file.keys()}, values  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError):
        raise ValueError(damaged(path)) from None
