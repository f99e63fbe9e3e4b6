"""Many workers give what one process gives, in order and once, also when a worker is lost."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from distributed import CancelledError
from distributed.comm.core import CommClosedError

from microshot import cluster
from microshot.cli import main
from microshot.cli.images_one_by_one import Work, on_workers, one_image
from microshot.cluster import Cluster, connected
from microshot.data.windows import opened
from microshot.device import processor
from microshot.large.elsewhere import compute_with
from microshot.large.segmenting import segmented
from microshot.progress import Cancelled, silent
from microshot.settings import PredictSettings
from tiny_images import discs
from tiny_models import model

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

VALUES = PredictSettings(tile_px=256, device="cpu")


@pytest.fixture
def inside():
    """Return a cluster of two workers in this process."""
    from distributed import Client, LocalCluster

    options: dict[str, Any] = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "dashboard_address": "127.0.0.1:0",
    }
    with LocalCluster(processes=False, **options) as made, Client(made) as client:
        yield Cluster(client)
    cluster._states.clear()


def ten() -> int:
    return 10


def added(state: int, item: int) -> int:
    return state + item


def failing(state: int, item: int) -> int:
    if item == 3:
        raise ValueError("image 3: is damaged.")
    return item


def first_is_slow(state: int, item: int) -> int:
    if item == 0:
        time.sleep(0.5)
    return failing(state, 3 if item == 1 else item)


def cancel_past_a_quarter(fraction: float, message: str = "") -> None:
    if fraction > 0.25:
        raise Cancelled(message)


def images(folder: Path, n: int) -> list[tuple[Path, str, Path]]:
    items = []
    for i in range(n):
        tifffile.imwrite(folder / f"i{i}.tif", discs(side=64, n=1 + i % 4, seed=i)[0])
        items.append((folder / f"i{i}.tif", f"i{i}", folder / f"out{i}.tif"))
    return items


def rows_of(found: list[Any]) -> list[dict[str, Any]]:
    """Return the rows of counts.csv but for the time they took."""
    return [{k: v for k, v in one.row.items() if k != "seconds"} for one in found]


def work(folder: Path) -> Work:
    model().save(folder / "m.microshot")
    return Work(folder / "m.microshot", VALUES, counting=False, overwrite=False)


def test_results_come_in_order_errors_as_they_are_and_cancel_stops(inside, tmp_path) -> None:
    assert list(inside.run(ten, added, range(20))) == list(range(10, 30))
    with pytest.raises(ValueError, match="image 3: is damaged"):
        list(inside.run(ten, failing, range(6)))
    with pytest.raises(Cancelled):
        list(inside.run(ten, added, range(40), cancel_past_a_quarter))
    # the same model on workers and here
    own, items = work(tmp_path), images(tmp_path, 3)
    there = list(on_workers(own, items, inside, silent))
    for _, _, out in items:
        out.unlink()
    p = own.predictor()
    here = [one_image(own, p, item) for item in items]
    assert rows_of(there) == rows_of(here)
    assert [list(a.places) for a in there] == [list(a.places) for a in here]
    # the blocks of one large image
    tifffile.imwrite(tmp_path / "big.tif", discs(side=150, n=9, seed=3)[0], tile=(32, 32))
    run = functools.partial(inside.run, progress=silent, what="block")
    made = []
    for name, more in (("a", {"compute": compute_with(run, own.model)}), ("b", {})):
        source, out = opened(tmp_path / "big.tif"), tmp_path / f"{name}.tif"
        with segmented(own.predictor(), source, out, **more) as found:
            assert found.n_blocks > 3
        made.append(tifffile.imread(out))
    assert np.array_equal(*made)


def test_what_comes_before_an_image_that_fails_is_there_and_nothing_behind_it(
    inside, tmp_path
) -> None:
    found = inside.run(ten, first_is_slow, range(6))
    assert next(found) == 0
    with pytest.raises(ValueError, match="image 3: is damaged"):
        next(found)
    own, items = work(tmp_path), images(tmp_path, 4)
    items[1][0].write_bytes(b"II*")
    before = {*tmp_path.iterdir()}
    applied = on_workers(own, items, inside, silent)
    assert next(applied).labels == items[0][2]
    with pytest.raises(ValueError, match=r"i1\.tif"):
        next(applied)
    assert {*tmp_path.iterdir()} - before == {items[0][2]}


def test_a_model_that_took_the_place_of_another_is_the_one_applied(inside, tmp_path) -> None:
    own, items = work(tmp_path), images(tmp_path, 1)
    first = rows_of(list(on_workers(own, items, inside, silent)))
    other = model(head="foreground")
    other.save(own.model, overwrite=True)
    items[0][2].unlink()
    (row,) = rows_of(list(on_workers(own, items, inside, silent)))
    assert other.card.id in row["model"]
    assert other.card.id not in first[0]["model"]


class Unanswering:
    """A client whose scheduler has ended: `told` is what the library raises then."""

    def __init__(self, told: Exception) -> None:
        self.told = told

    def nthreads(self) -> Any:
        raise self.told

    def cancel(self, futures: list[Any]) -> None:
        raise CommClosedError("in <TCP (closed)>: Stream is closed")


@pytest.mark.parametrize("told", [CommClosedError("closed"), CancelledError("lost")])
def test_a_scheduler_that_ends_is_told_in_one_sentence(told) -> None:
    with pytest.raises(RuntimeError, match=r"scheduler no longer answers.*repeat the command"):
        list(Cluster(Unanswering(told)).run(ten, added, range(3)))


def printed(capsys, *words: object) -> dict[str, Any]:
    """Run a command and return what it says as JSON."""
    assert main([*map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def lent(inside, monkeypatch):
    """Let every command use the cluster in this process, whatever its address."""
    monkeypatch.setattr(cluster, "connected", lambda _address: contextlib.nullcontext(inside))


def test_scores_are_the_same_from_workers(lent, inside, tmp_path, capsys) -> None:
    from microshot.data.write import write_labels

    for i in range(3):
        labels = discs(side=64, n=2 + i, seed=i)[1]
        for folder, shift in (("truth", 0), ("found", i)):
            path = tmp_path / folder / f"i{i}.tif"
            path.parent.mkdir(exist_ok=True)
            write_labels(path, np.roll(labels, shift, 0))
    folders = "--truth", tmp_path / "truth", "--prediction", tmp_path / "found"
    for kind in ((), ("--stains", "--set", "features=yes")):
        here = printed(capsys, "score", *folders, *kind)
        there = printed(capsys, "score", *folders, *kind, "--scheduler", "there")
        assert there.pop("provenance")["device"] == inside.line
        assert here.pop("provenance")["device"] == processor().line
        assert there == here
        assert len(here["images"]) == 3
    table = tmp_path / "counts.csv"
    table.write_text("file,count\ni0,3\n", "utf-8")
    words = ["score", "--truth", str(table), "--prediction", str(table), "--scheduler", "there"]
    assert main(words) == 2
    assert "leave it out" in capsys.readouterr().err


def test_trainings_of_a_study_are_the_same_from_workers(lent, tmp_path, capsys) -> None:
    from tiny_models import write_fields

    write_fields(tmp_path)
    model().save(tmp_path / "discs.microshot")
    shared = [
        "--model", tmp_path / "discs.microshot", "--images", tmp_path / "images", "--labels",
        tmp_path / "labels", "--device", "cpu", "--minutes", "0", "--repeats", "1", "--set", "epochs=1",
        "--set", "steps_per_epoch=2", "--set", "patch_px=48",
    ]  # fmt: skip
    more = {"study": ["--sizes", "1,2"], "sweep": ["--set", "strategy=all,head"]}
    for verb, own in more.items():
        rows = []
        for name, where in (("here", ()), ("there", ("--scheduler", "there"))):
            printed(capsys, verb, *shared, *own, *where, "--out", tmp_path / verb / name)
            text = (tmp_path / verb / name / "runs.csv").read_text("utf-8")
            rows.append([{**row, "seconds": ""} for row in csv.DictReader(text.splitlines())])
        assert rows[0] == rows[1]
        assert len(rows[0]) == (4 if verb == "study" else 2)


def last_one_dies(folder: Path, state: Any, item: tuple[Path, str, Path]) -> Any:
    """Kill the worker that works on image 5, once and after its label image is written."""
    from microshot.cli.images_one_by_one import one_image

    own = Work(folder / "m.microshot", VALUES, counting=False, overwrite=True)
    found = one_image(own, state, item)
    if item[1] == "i5" and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return found


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_costs_no_row_and_doubles_none(tmp_path) -> None:
    own, items = work(tmp_path), images(tmp_path, 12)
    with connected("local") as made:
        do = functools.partial(last_one_dies, tmp_path)
        there = list(made.run(own.predictor, do, items))
    assert (tmp_path / "died").exists()
    labels = [tifffile.imread(out) for _, _, out in items]
    for _, _, out in items:
        out.unlink()
    p = own.predictor()
    here = [one_image(own, p, item) for item in items]
    assert rows_of(there) == rows_of(here)
    assert [list(a.places) for a in there] == [list(a.places) for a in here]
    for (_, _, out), found in zip(items, labels, strict=True):
        assert np.array_equal(tifffile.imread(out), found)


@pytest.mark.parametrize(
    ("versions", "told"),
    [({"w": "0.0.1"}, "workers have Microshot 0.0.1, this is"),
     (Exception("No module named 'microshot'"), "workers cannot load Microshot .*; install version"),
     ({"w": cluster.__version__}, "")],
)  # fmt: skip
def test_workers_without_this_version_are_told_before_the_work(versions, told, monkeypatch) -> None:
    class Client(contextlib.nullcontext):
        def __enter__(self) -> Client:
            return self

        def wait_for_workers(self, *_args, **_more) -> None: ...

        def run(self, _asked) -> dict[str, str]:
            if isinstance(versions, Exception):
                raise versions
            return versions

    monkeypatch.setattr("distributed.Client", lambda *_args, **_more: Client())
    expected = pytest.raises(ValueError, match=told) if told else contextlib.nullcontext()
    with expected, connected("tcp://head:8786"):
        pass


def test_nobody_at_the_address_is_said_in_one_sentence(monkeypatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.3)
    with (
        pytest.raises(ValueError, match=r"no scheduler answers there.*dask scheduler"),
        connected("tcp://127.0.0.1:9"),
    ):
        pass


def test_workers_that_do_not_start_are_told_in_one_sentence(monkeypatch) -> None:
    def failing(**_options: Any) -> None:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr("distributed.LocalCluster", failing)
    with pytest.raises(RuntimeError) as told, connected("local"):
        pass
    assert str(told.value) == (
        "--scheduler local: its processes could not be started (Nanny failed to start); repeat the "
        "command, or leave the option out to work in one process."
    )
