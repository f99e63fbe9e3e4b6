"""Export Labels: one file per row, named safely, nothing replaced unasked."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from node_tables import spec_of

from microshot.data.label_files import read_annotation
from microshot.headless.standin import NodeFailure
from tiny_images import discs


@pytest.fixture
def writer(host, tmp_path):
    node = host.node("write_labels")
    node.set("folder", str(tmp_path / "out"))
    return node


LABELS = [discs(n=2 + i, seed=i)[1] for i in range(3)]


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("TIFF", ".tif"), ("ROI", ".zip"), ("GEOJSON", ".geojson"), ("CSV", ".csv")],
)
def test_every_row_becomes_a_file_that_is_read_again(writer, tables, tmp_path, kind, ending):
    table = tables.of(["a", "b 2", "c"], Label=LABELS)
    writer.set("kind", kind)
    assert writer.configure([table.spec]) == []
    assert writer.execute([table]) == []
    files = sorted((tmp_path / "out").iterdir())
    assert [f.name for f in files] == [f"{name}{ending}" for name in ("a", "b 2", "c")]
    for file, labels in zip(files, LABELS, strict=True):
        reading = read_annotation(file, shape=labels.shape, image=file.name)
        assert reading is not None
        assert reading.n_objects == labels.max()
        if kind != "CSV":
            assert np.array_equal(reading.labels, labels)


def test_numbers_stay_and_one_object_in_pieces_stays_one(writer, tables, tmp_path):
    labels = np.zeros((20, 20), np.int32)
    labels[2:4, 2:4] = labels[9:12, 9:12] = 7
    writer.execute([tables.of(["a"], Label=[labels])])
    assert np.array_equal(tifffile.imread(tmp_path / "out" / "a.tif"), labels)


def test_numbers_of_a_label_file_stay_too(writer, tables, tmp_path):
    tifffile.imwrite(tmp_path / "mine.tif", (LABELS[1] * 5).astype(np.uint32))
    writer.execute([tables.of(["a"], Label=[str(tmp_path / "mine.tif")])])
    assert np.array_equal(tifffile.imread(tmp_path / "out" / "a.tif"), LABELS[1] * 5)


def test_names_come_from_a_column_without_folder_and_ending(writer, tables, tmp_path):
    table = tables.of(["a", "b", "c"], Label=[LABELS[0], None, LABELS[2]],
                      File=["day 1/x.tif", "y.tif", "../z.ome.tif"])  # fmt: skip
    writer.set("name_column", "File")
    writer.execute([table])
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == ["x.tif", "z.tif"]
    assert writer.warnings == ["Rows left out because the label image is missing: 1."]


def test_two_rows_for_one_file_are_refused_before_anything_is_written(writer, tables, tmp_path):
    table = tables.of(["a", "b", "c"], Label=LABELS, File=["1/x.tif", "w.tif", "2/x.tif"])
    writer.set("name_column", "File")
    with pytest.raises(NodeFailure, match='"x" and "x": two label images for the file'):
        writer.execute([table])
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_there_is_replaced_only_when_asked(writer, tables, tmp_path):
    old = tmp_path / "out" / "c.tif"
    old.parent.mkdir()
    old.write_text("mine")
    table = tables.of(["a", "b", "c"], Label=LABELS)
    with pytest.raises(NodeFailure, match="exists already"):
        writer.execute([table])
    assert [p.name for p in old.parent.iterdir()] == ["c.tif"]
    assert old.read_text() == "mine"
    writer.set("overwrite", True)
    writer.execute([table])
    assert len(list(old.parent.iterdir())) == 3


def test_a_missing_name_names_its_row(writer, tables):
    writer.set("name_column", "File")
    with pytest.raises(NodeFailure, match='Row "b", column "File": expected a file name'):
        writer.execute([tables.of(["a", "b", "c"], Label=LABELS, File=["x", None, "y"])])


def test_the_label_column_is_guessed_and_required(writer, host):
    writer.configure([spec_of(Image="png", Labels="png")])
    assert writer.settings["label_column"] == "Labels"
    with pytest.raises(NodeFailure, match="no column with label images"):
        host.node("write_labels").configure([spec_of(Count="number")])


def test_predicted_labels_are_exported_rather_than_true_ones(writer, host, model, tables, tmp_path):
    table = tables.of(["a", "b", "c"], Image=[discs(n=3, seed=i)[0] for i in range(3)],
                      Label=[None, LABELS[1], None])  # fmt: skip
    predicted, _ = host.node("predict").execute([model, table])
    writer.execute([predicted])
    assert writer.settings["label_column"] == "Labels"
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert writer.warnings == []


def test_a_pixel_size_that_is_none_names_its_row(writer, tables):
    table = tables.of(["a", "b", "c"], Label=LABELS, **{"Pixel_size_(µm)": ["0.5", None, "0,5"]})
    with pytest.raises(NodeFailure, match=r'Row "c", column "Pixel size .*, found "0,5"; correct'):
        writer.execute([table])


def test_no_row_writes_nothing(writer, tables, tmp_path):
    writer.execute([tables.of(["a"], Label=[None])])
    assert list((tmp_path / "out").iterdir()) == []


def test_a_photograph_is_no_label_image(writer, tables, tmp_path):
    photo = np.random.default_rng(0).integers(0, 60000, (48, 48)).astype(np.uint16)
    with pytest.raises(NodeFailure, match=r'Row "row 0", column "Label".*as in a photograph'):
        writer.execute([tables.of(Label=[photo])])
    assert not list((tmp_path / "out").iterdir())
