"""A table that ends in an error: what was written is whole, and the work can be done again."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from microshot.headless import standin
from tasks_of_all_kinds import one_of_each
from tiny_images import discs
from tiny_models import model

ROOT = Path(__file__).parents[2]


def inputs(host: standin.Host, folder: Path, bundle=None):
    """Return a model (the tiny one) and a table of five images in batches of two."""
    import pandas as pd

    (bundle or model()).save(folder / "m.microshot")
    reader = host.node("read_model")
    reader.set("path", "m.microshot")
    (port,) = reader.execute([], data_area=folder)
    (folder / "images").mkdir()
    for i in range(5):
        tifffile.imwrite(folder / "images" / f"{i}.tif", discs(seed=i)[0])
    frame = pd.DataFrame({"Path": pd.Series([f"images/{i}.tif" for i in range(5)], dtype="string")})
    frame.index = pd.Index([f"r{i}" for i in range(5)], dtype=object)
    return port, standin.table_from_pandas(host, frame, 2)


def breaking_off(batches_of):
    def broken(table):
        for number, batch in enumerate(batches_of(table)):
            if number == 1:
                raise OSError("The temporary file of the table cannot be read.")
            yield batch

    return broken


def test_a_table_that_breaks_off_leaves_whole_files_and_can_be_done_again(
    host, tmp_path, monkeypatch
) -> None:
    port, table = inputs(host, tmp_path)
    from microshot.nodes import predict

    node = host.node("predict")
    for name, value in {"device": "CPU", "label_form": "TIFF", "overwrite": True}.items():
        node.set(name, value)
    with monkeypatch.context() as broken:
        broken.setattr(predict, "batches_of", breaking_off(predict.batches_of))
        with pytest.raises(standin.NodeFailure, match="temporary file of the table"):
            node.execute([port, table], data_area=tmp_path)
    labels = tmp_path / "labels"
    assert sorted(p.name for p in labels.iterdir()) == ["r0.tif", "r1.tif"]
    first = [tifffile.imread(labels / f"r{i}.tif") for i in range(2)]
    found, _ = node.execute([port, table], data_area=tmp_path)
    assert found.num_rows == 5
    assert sorted(p.name for p in labels.iterdir()) == [f"r{i}.tif" for i in range(5)]
    for i, before in enumerate(first):
        np.testing.assert_array_equal(tifffile.imread(labels / f"r{i}.tif"), before)


def test_stains_of_a_table_that_breaks_off_are_whole_and_can_be_made_again(
    host, tmp_path, monkeypatch
) -> None:
    port, table = inputs(host, tmp_path, one_of_each("translate")[0])
    from microshot.nodes import translate

    node = host.node("translate")
    for name, value in {"device": "CPU", "form": "TIFF", "folder": "s", "overwrite": True}.items():
        node.set(name, value)
    with monkeypatch.context() as broken:
        broken.setattr(translate, "batches_of", breaking_off(translate.batches_of))
        with pytest.raises(standin.NodeFailure, match="temporary file of the table"):
            node.execute([port, table, []], data_area=tmp_path)
    first = {p.name: tifffile.imread(p) for p in (tmp_path / "s").iterdir()}
    assert len(first) == 2
    found = node.execute([port, table, []], data_area=tmp_path)[0]
    assert found.num_rows == 5
    assert len(list((tmp_path / "s").iterdir())) == 5
    for name, before in first.items():
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "s" / name), before)


@pytest.mark.parametrize("node_and_setting", [("predict", "label_form"), ("translate", "form")])
def test_where_nothing_may_be_replaced_a_table_that_breaks_off_leaves_nothing_in_the_way(
    host, tmp_path, monkeypatch, node_and_setting
) -> None:
    name, form = node_and_setting
    port, table = inputs(host, tmp_path, one_of_each(name)[0] if name == "translate" else None)
    module = importlib.import_module(f"microshot.nodes.{name}")
    node, more = host.node(name), [[]] if name == "translate" else []
    folder = {"translate": "folder", "predict": "label_folder"}[name]
    for key, value in {"device": "CPU", form: "TIFF", folder: "made"}.items():
        node.set(key, value)
    mine = tmp_path / "made" / "mine.tif"
    mine.parent.mkdir()
    mine.touch()
    with monkeypatch.context() as broken:
        broken.setattr(module, "batches_of", breaking_off(module.batches_of))
        with pytest.raises(standin.NodeFailure, match="temporary file of the table"):
            node.execute([port, table, *more], data_area=tmp_path)
    assert list(mine.parent.iterdir()) == [mine]
    assert node.execute([port, table, *more], data_area=tmp_path)[0].num_rows == 5
    before = {p.name: p.read_bytes() for p in mine.parent.iterdir()}
    with pytest.raises(standin.NodeFailure, match="exists already"):
        node.execute([port, table, *more], data_area=tmp_path)
    assert {p.name: p.read_bytes() for p in mine.parent.iterdir()} == before


def test_a_training_whose_table_breaks_off_writes_nothing_and_says_why(
    host, tmp_path, monkeypatch
) -> None:
    import pandas as pd

    from microshot.headless.standin.table import SourceTable

    files = {"Path": [f"{i}.tif" for i in range(5)], "Label": [f"{i}_mask.tif" for i in range(5)]}
    for i in range(5):
        for file, pixels in zip((f"{i}.tif", f"{i}_mask.tif"), discs(seed=i), strict=True):
            tifffile.imwrite(tmp_path / file, pixels.astype(np.uint16))
    columns = {name: pd.Series(values, dtype="string") for name, values in files.items()}
    table = standin.table_from_pandas(host, pd.DataFrame(columns), 2)
    before = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))
    monkeypatch.setattr(SourceTable, "batches", breaking_off(SourceTable.batches))
    node = host.node("train")
    node.set("image_column", "Path")
    node.set("label_column", "Label")
    with pytest.raises(standin.NodeFailure, match="temporary file of the table"):
        node.execute([table, None], data_area=tmp_path)
    assert sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*")) == before
