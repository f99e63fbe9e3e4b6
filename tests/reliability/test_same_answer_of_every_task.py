"""What all tasks promise: threads, batches, order of rows and tiles do not change what is found."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from microshot import api
from microshot.headless import standin
from microshot.settings import PredictSettings, TranslateSettings
from tasks_of_all_kinds import answer, one_of_each
from tiny_models import field, fields

if TYPE_CHECKING:
    from microshot.data.dataset import Sample

ROOT = Path(__file__).parents[2]
TASKS = ("count", "twin-vae", "translate")


def predictor(task: str, **options: Any) -> api.Predictor:
    kind = TranslateSettings if task == "translate" else PredictSettings
    return api.Predictor(one_of_each(task)[0], kind(device="cpu", **options))


def bare(sample: Sample) -> Sample:
    """Return a sample of which nothing is known but its image."""
    return dataclasses.replace(sample, target=None, labels=None)


@pytest.mark.parametrize("task", TASKS)
def test_threads_do_not_change_the_answer(task, monkeypatch) -> None:
    found, before = [], torch.get_num_threads()
    try:
        for threads in ("1", "2", "3"):
            monkeypatch.setenv("OMP_NUM_THREADS", threads)
            asked = predictor(task)
            assert f"{threads} thread" in asked.device.line
            found.append(answer(asked(bare(field(9, shape=(130, 140))))))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-5, atol=1)  # a grey value of 65 535


@pytest.mark.parametrize("task", TASKS)
def test_images_do_not_change_each_others_answer(task) -> None:
    samples = [bare(s) for s in fields(4)]
    alone = [answer(predictor(task)(s)) for s in samples]
    shared = predictor(task)
    for i in (3, 1, 2, 0, 3):
        np.testing.assert_array_equal(answer(shared(samples[i])), alone[i])


def test_the_size_of_tiles_does_not_change_counts() -> None:
    sample = bare(field(4, shape=(200, 210)))
    small, large = (answer(predictor("count", tile_px=px)(sample)) for px in (128, 16384))
    np.testing.assert_allclose(small, large, rtol=1e-4)


def test_the_size_of_tiles_hardly_changes_stains() -> None:
    """Tiles are blended: where they end, a network sees less of the surroundings."""
    sample = bare(field(4, shape=(300, 310)))
    small, large = (answer(predictor("translate", tile_px=px)(sample)) for px in (128, 16384))
    difference, span = np.abs(small - large), large.max() - large.min()
    assert np.median(difference) < 0.02 * span
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.97
    shifted = np.corrcoef(np.roll(small, 4, axis=2).ravel(), large.ravel())[0, 1]
    assert shifted < 0.95  # tiles that lie wrong would be seen


def port_of(host: standin.Host, task: str, folder: Path) -> Any:
    one_of_each(task)[0].save(folder / "m.microshot", overwrite=True)
    reader = host.node("read_model")
    reader.set("path", "m.microshot")
    (port,) = reader.execute([], data_area=folder)
    return port


def table_of(host: standin.Host, ids: list[str], rows: int) -> Any:
    import knime.extension as knext
    import pandas as pd
    from PIL import Image

    index = pd.Index(ids, dtype=object)
    images = [Image.fromarray(field(int(i[1:])).image.pixels[0]) for i in ids]
    cells = pd.Series(images, index=index, dtype=object)
    kind = knext.logical(Image.Image).to_pandas()
    return standin.table_from_pandas(
        host, pd.DataFrame({"Image": cells.astype(kind)}, index=index), rows
    )


@pytest.mark.parametrize("task", TASKS)
def test_batches_and_the_order_of_rows_do_not_change_the_answer(task, host, tmp_path) -> None:
    port = port_of(host, task, tmp_path)
    node = host.node("translate" if task == "translate" else "predict")
    node.set("device", "CPU")
    orders = [["r0", "r1", "r2", "r3"], ["r3", "r0", "r2", "r1"]]
    made = []
    for ids, rows in zip(orders, (4, 1), strict=True):
        inputs = [port, table_of(host, ids, rows), *([[]] if task == "translate" else [])]
        table = node.execute(inputs, data_area=tmp_path)[0].to_pandas()
        assert [str(i) for i in table.index] == ids
        made.append(table)
    new = [c for c in made[0].columns if c not in ("Image", "Seconds")]
    assert len(new) >= 2
    for name in new:
        for row in orders[0]:
            first, second = made[0][name][row], made[1][name][row]
            np.testing.assert_array_equal(np.asarray(first), np.asarray(second), err_msg=name)
