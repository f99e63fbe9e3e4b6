"""What the benchmarks share: budgets in processor time, data, and result files that resume."""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
#: Models that benchmarks train once and use again; not kept in the repository.
CACHE = HERE / "cache"
#: Where the public data sets lie that benchmarks are run on (see `benchmarks/README.md`).
DATA = Path(os.environ.get("MICROSHOT_DATA", HERE.parents[1] / "shared" / "data"))


def once(stem: str, made: Callable[[], Bundle], wish: str = "auto") -> Bundle:
    """Return a model that is trained once and kept; `wish` is the setting of its precision."""
    from microshot.bundle import Bundle

    path = CACHE / f"{stem}_{precision(wish)}.microshot"
    if not path.is_file():
        bundle = made()
        CACHE.mkdir(exist_ok=True)
        bundle.save(path)
    return Bundle.load(path)


def one_thread() -> None:
    """Compute on one thread; call before PyTorch is imported."""
    os.environ["OMP_NUM_THREADS"] = "1"
    from microshot.device import prepare_process

    prepare_process()


def count_processor_time() -> None:
    """Let time limits of trainings mean processor seconds of this process.

    So a machine busy with other work gives the same results as an idle one.
    """
    from microshot.training import solving, trainer

    trainer.Plan = functools.partial(trainer.Plan, clock=time.process_time)  # type: ignore[misc]
    solving.solve = functools.partial(solving.solve, clock=time.process_time)  # type: ignore[assignment]


def precision(wish: str = "auto") -> str:
    """Return the number format that networks learn in on this processor, if `wish` is the setting."""
    from microshot.device import choose_device, quickened

    return "bfloat16" if wish == "auto" and quickened(choose_device("cpu")).half else "float32"


def folder_of(name: str) -> Path:
    """Return the folder of one data set.

    Raises
    ------
    FileNotFoundError
        If the data are not there.
    """
    folder = DATA / name / "dev"
    if not folder.is_dir():
        raise FileNotFoundError(
            f'"{folder}" is missing; set MICROSHOT_DATA to the folder with the data sets.'
        )
    return folder


def dataset(name: str) -> Dataset:
    """Return the images and label images of one data set, see `folder_of`, in the order of their names."""
    from microshot.data.read import read_dataset

    folder = folder_of(name)
    data, _ = read_dataset(folder / "images", folder / "masks")
    return data


def machine() -> dict[str, Any]:
    """Describe the machine and the versions a result was measured with."""
    from microshot import provenance

    return {
        "versions": provenance.versions(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": "CPU, 1 thread, budgets in processor time",
    }


class Worker:
    """A program in a process of its own that does something whenever it is asked.

    Parameters
    ----------
    command : the program; the number of threads becomes its last argument.
    """

    def __init__(self, command: Sequence[str], threads: int) -> None:
        env = {
            **os.environ, "OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [*command, str(threads)], env=env, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self) -> dict[str, Any]:
        """Let it do its work once and return what it says of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        """Let it go."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


class Results:
    """Rows of one benchmark in a JSON file; written whole after every row."""

    def __init__(self, name: str, about: str) -> None:
        self.path = RESULTS / f"{name}.json"
        self.about = about
        self.rows: list[dict[str, Any]] = []
        if self.path.is_file():
            self.rows = json.loads(self.path.read_text(encoding="utf-8"))["rows"]

    def has(self, key: Mapping[str, Any]) -> bool:
        """Say whether a row with these values was measured before."""
        return self.find(key) is not None

    def find(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the row with these values, if it was measured before."""
        for row in self.rows:
            if all(row.get(k) == v for k, v in key.items()):
                return row
        return None

    def wanted(self, key: Mapping[str, Any], *, again: bool) -> bool:
        """Say whether to measure these values; older rows of them are let go if they are again."""
        if again:
            self.rows = [r for r in self.rows if any(r.get(k) != v for k, v in key.items())]
        return not self.has(key)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row and save."""
        self.rows.append(dict(row))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"about": self.about, **machine(), "rows": self.rows}, indent=1)
        part = self.path.with_suffix(".part")
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(self.path)
        print(json.dumps(row), flush=True)


def rounded(scores: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """Return the named scores to four digits."""
    return {name: round(float(scores[name]), 4) for name in names}
