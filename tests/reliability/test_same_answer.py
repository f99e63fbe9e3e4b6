"""The same seed, the same images: the same model and labels in any process, order, locale, folder."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from microshot import api
from microshot.bundle import Bundle
from microshot.data.dataset import Dataset
from microshot.headless import standin
from microshot.settings import PredictSettings, TranslateSettings
from tasks_of_all_kinds import answer as found_in
from tasks_of_all_kinds import one_of_each
from tiny_images import discs
from tiny_models import TRAIN, changed, field, fields, model

ROOT = Path(__file__).parents[2]
LOCALE = "de_DE.UTF-8"
CODE = """
import json, locale, os, sys, time
if sys.argv[1:]:
    locale.setlocale(locale.LC_ALL, "")
    assert locale.localeconv()["decimal_point"] == ","
from test_same_answer import answer
print(json.dumps(answer()))
"""


def weights_of(bundle: Bundle) -> str:
    """Return a fingerprint of names, shapes and bytes of all weights."""
    digest = hashlib.sha256()
    for name, value in sorted(bundle.weights.items()):
        digest.update(f"{name} {value.dtype} {value.shape}".encode() + value.tobytes())
    return digest.hexdigest()


def answer() -> dict[str, str]:
    """Train, write, read, predict; return what must be the same everywhere."""
    settings = changed(TRAIN, images__augmentation="standard", training__steps_per_epoch=6)
    made = api.train(fields(3), settings).bundle
    again = Bundle.from_bytes(made.to_bytes())
    labels = api.Predictor(again, PredictSettings(device="cpu"))(field(9)).labels
    values = [made.card.thresholds, made.card.normalization, made.card.architecture]
    return {
        "weights": weights_of(again),
        "id": made.card.id,
        "labels": hashlib.sha256(labels.tobytes()).hexdigest(),
        "numbers": json.dumps(values, sort_keys=True),
        "date": str(made.card.created.endswith("+00:00")),
        **{task: answer_of(task) for task in ("count", "twin-vae", "translate")},
    }


def answer_of(task: str) -> str:
    """Train a model of another task and apply it; return a fingerprint of both."""
    bundle, data = one_of_each.__wrapped__(task)
    kind = TranslateSettings if task == "translate" else PredictSettings
    found = api.Predictor(Bundle.from_bytes(bundle.to_bytes()), kind(device="cpu"))(data.samples[0])
    seen = found.stains.pixels.tobytes() if task == "translate" else repr(found.count).encode()
    return weights_of(bundle) + hashlib.sha256(seen).hexdigest()


def german(folder: Path) -> dict[str, str]:
    """Return variables that make a locale with decimal commas known, or nothing."""
    tool = shutil.which("localedef")
    if tool is None:
        return {}
    made = subprocess.run(
        [tool, "-i", "de_DE", "-f", "UTF-8", str(folder / LOCALE)], capture_output=True, check=False
    )
    there = (folder / LOCALE / "LC_NUMERIC").is_file()
    return {"LOCPATH": str(folder), "LC_ALL": LOCALE} if there and made.returncode <= 1 else {}


def test_a_fresh_process_of_another_user_elsewhere_gives_the_same_bytes(
    tmp_path, monkeypatch
) -> None:
    """Decimal commas, another time zone and hash seed, and a long home of umlauts and spaces."""
    comma = german(tmp_path)
    home = tmp_path / "Jürgen Größe 日本" / ("sehr langer Ordnername " * 6).strip()
    home.mkdir(parents=True)
    path = [ROOT / "src", ROOT / "tests", ROOT / "tests" / "reliability"]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "TZ"))},
        **comma,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONHASHSEED": "4711",
        "TZ": "Asia/Kathmandu",
        "HOME": str(home),
        "USERPROFILE": str(home),
        "USER": "Jürgen",
        "TMPDIR": str(home),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE, *(["comma"] if comma else [])],
        env=environment, cwd=home, capture_output=True, text=True, check=False, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    assert json.loads(done.stdout) == answer()


def predicted(content: bytes) -> np.ndarray:
    """Return labels, pixels of the stains or the count that a process finds with a model."""
    os.environ["OMP_NUM_THREADS"] = "1"
    bundle = Bundle.from_bytes(content)
    kind = TranslateSettings if bundle.card.task == "translate" else PredictSettings
    return found_in(api.Predictor(bundle, kind(device="cpu"))(field(9)))


def test_a_spawned_process_gives_the_same_answer() -> None:
    """As processes begin on Windows and macOS."""
    kinds = [model(), *(one_of_each(task)[0] for task in ("count", "twin-vae", "translate"))]
    contents = [bundle.to_bytes() for bundle in kinds]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        elsewhere = pool.map(predicted, contents)
    for content, found in zip(contents, elsewhere, strict=True):
        np.testing.assert_array_equal(found, predicted(content))


@pytest.mark.parametrize("head", ["stardist", "foreground"])
def test_the_number_of_threads_does_not_change_labels(head, monkeypatch) -> None:
    found, before = [], torch.get_num_threads()
    try:
        for threads in ("1", "2", "3"):
            monkeypatch.setenv("OMP_NUM_THREADS", threads)
            predictor = api.Predictor(model(head=head), PredictSettings(device="cpu"))
            assert f"{threads} thread" in predictor.device.line
            found.append(predictor(field(9, shape=(180, 190))).labels)
    finally:
        torch.set_num_threads(before)
    assert found[0].max() > 10
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("head", ["stardist", "foreground"])
def test_the_size_of_tiles_does_not_change_the_objects(head) -> None:
    found = [
        api.Predictor(model(head=head), PredictSettings(device="cpu", tile_px=px))(
            field(9, shape=(200, 210))
        ).labels
        for px in (128, 16384)
    ]
    assert found[0].max() > 10
    for other in found[1:]:
        pairs = np.unique(np.stack([found[0].ravel(), other.ravel()]), axis=1)
        assert pairs.shape[1] == found[0].max() + 1


def test_images_do_not_change_each_others_labels() -> None:
    """One predictor, in any order, and again."""
    samples = Dataset.of(field(i, shape=(64 + 9 * i, 70)) for i in range(4))
    alone = [api.Predictor(model())(s).labels for s in samples]
    shared = api.Predictor(model())
    for i in (3, 1, 2, 0, 3):
        np.testing.assert_array_equal(shared(samples[i]).labels, alone[i])


def port_of(host: standin.Host, folder: Path):
    """Return the tiny model as the reader node gives it."""
    model().save(folder / "m.microshot", overwrite=True)
    reader = host.node("read_model")
    reader.set("path", "m.microshot")
    (port,) = reader.execute([], data_area=folder)
    return port


def table_of(host: standin.Host, ids: list[str], pixels: list[np.ndarray], rows: int):
    import knime.extension as knext
    import pandas as pd
    from PIL import Image

    index = pd.Index(ids, dtype=object)
    cells = pd.Series([Image.fromarray(p) for p in pixels], index=index, dtype=object)
    frame = pd.DataFrame(
        {"Image": cells.astype(knext.logical(Image.Image).to_pandas())}, index=index
    )
    return standin.table_from_pandas(host, frame, rows)


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_batches_and_the_order_of_rows_do_not_change_labels(rows, host, tmp_path) -> None:
    port = port_of(host, tmp_path)
    pixels = {f"r{i}": discs(n=2 + i % 3, seed=i)[0] for i in range(5)}
    order = ["r3", "r0", "r4", "r1", "r2"]
    node = host.node("predict")
    node.set("device", "CPU")
    straight, _ = node.execute([port, table_of(host, list(pixels), list(pixels.values()), 2)])
    other, _ = node.execute([port, table_of(host, order, [pixels[o] for o in order], rows)])
    a, b = straight.to_pandas(), other.to_pandas()
    assert [str(i) for i in b.index] == order
    for name in pixels:
        np.testing.assert_array_equal(np.asarray(a["Labels"][name]), np.asarray(b["Labels"][name]))
        assert a["Confidence"][name] == b["Confidence"][name]


def test_labels_of_rows_that_differ_in_case_only_get_files_of_their_own(host, tmp_path) -> None:
    """Also names that Windows keeps for devices, and those longer than a file name may be."""
    port = port_of(host, tmp_path)
    ids = ["A", "a", "con", "x/y", "x\\y", "ä" * 300, "ä" * 300 + "b"]
    node = host.node("predict")
    node.set("device", "CPU")
    node.set("label_form", "TIFF")
    node.set("overwrite", True)
    found, _ = node.execute(
        [port, table_of(host, ids, [discs(seed=1)[0]] * len(ids), 2)], data_area=tmp_path
    )
    files = [Path(p) for p in found.to_pandas()["Labels"]]
    assert all(path.is_file() for path in files)
    assert len({path.name.casefold() for path in files}) == len(ids)
    assert not any(path.stem.casefold() in ("con", "nul") for path in files)
    assert max(len(path.name) for path in files) < 200


def test_paths_written_on_windows_are_understood(host, tmp_path) -> None:
    import tifffile

    (tmp_path / "Bilder" / "Tag 1").mkdir(parents=True)
    tifffile.imwrite(tmp_path / "Bilder" / "Tag 1" / "ä.tif", discs(seed=1)[0])
    reader = host.node("read_images")
    for folder in ("Bilder\\Tag 1", "Bilder/Tag 1", ".\\Bilder\\Tag 1\\"):
        reader.set("folder", folder)
        (found,) = reader.execute([None], data_area=tmp_path)
        assert found.num_rows == 1
