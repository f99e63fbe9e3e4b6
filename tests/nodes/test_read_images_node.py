"""Microscopy Image Reader: what lies in folders and tables gets into the table, or is named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from node_tables import arrays, cells, row_ids, spec_of, write_png, write_tiff

from microshot.headless.standin import NodeFailure
from tiny_images import discs, page_text

COLUMNS = ["Image", "Label", "Count", "File", "Pixel size (µm)"]


@pytest.fixture
def reader(host):
    return host.node("read_images")


def fill(folder, n=3):
    for i in range(n):
        pixels, labels = discs(n=i + 1, seed=i)
        write_png(folder / "images" / f"Zelle Ä {i}.png", pixels)
        write_png(folder / "labels" / f"Zelle Ä {i}.png", labels)


def test_a_folder_with_umlauts_is_read_with_labels_16_bit_and_batches_of_32(reader, area):
    fill(area / "Bilder 1", 35)
    reader.set("folder", "Bilder 1")
    (table,) = reader.execute([None], data_area=area)
    assert table.column_names == COLUMNS
    assert table.batch_sizes == [32, 3]
    assert row_ids(table) == [f"Row{i}" for i in range(35)]
    assert cells(table, "File")[10] == "Zelle Ä 10.png"
    for i in (0, 34):
        pixels, labels = discs(n=i + 1, seed=i)
        np.testing.assert_array_equal(arrays(table, "Image")[i], pixels)
        np.testing.assert_array_equal(arrays(table, "Label")[i], labels)
    assert arrays(table, "Image")[0].dtype == np.uint16
    assert reader.warnings == []
    text = page_text(reader.view_html)
    assert "Zelle Ä 0.png" in text
    assert "one number per object, 5 objects" in text
    assert "first 24 of 35 images" in text


def test_one_image_gives_one_row_and_announced_columns_are_those_delivered(reader, area):
    fill(area / "images", 1)
    (announced,) = reader.configure([None])
    (table,) = reader.execute([None], data_area=area)
    assert table.num_rows == 1
    assert announced.columns == table.spec.columns


def test_paths_keep_what_a_png_cannot_hold(reader, area):
    image = np.linspace(0, 1, 30, dtype=np.float32).reshape(5, 6)
    write_tiff(area / "images" / "float.tif", image)
    with pytest.raises(NodeFailure, match=r'float\.tif: .*choose "Paths" under "Images as"'):
        reader.execute([None], data_area=area)
    reader.set("form", "PATH")
    (table,) = reader.execute([None], data_area=area)
    assert cells(table, "Image") == [str(area / "images" / "float.tif")]
    assert cells(table, "Label") == [None]


@pytest.mark.parametrize(
    ("pixels", "shape"),
    [
        (np.arange(36, dtype=np.uint8).reshape(3, 4, 3) * 7, (3, 4, 3)),
        (np.full((1, 1), 7, np.uint16), (1, 1)),
        (np.arange(9, dtype=np.uint16)[None], (1, 9)),
    ],
    ids=["RGB", "one pixel", "one row"],
)
def test_odd_shapes_are_read_as_they_are(reader, area, pixels, shape):
    write_png(area / "images" / "a.png", pixels)
    (table,) = reader.execute([None], data_area=area)
    (read,) = arrays(table, "Image")
    assert read.shape == shape
    np.testing.assert_array_equal(read, pixels)


def test_16_bit_colour_and_stacks_are_sent_to_paths_by_name(reader, area):
    write_tiff(area / "images" / "deep.tif", np.zeros((3, 4, 5), np.uint16))
    with pytest.raises(NodeFailure, match=r"deep\.tif: an image of 3 planes, uint16"):
        reader.execute([None], data_area=area)


def test_a_black_and_white_mask_is_said_to_be_one_and_its_regions_are_counted(reader, area):
    pixels, labels = discs(n=3)
    write_png(area / "images" / "a.png", pixels)
    write_png(area / "images" / "masks" / "a.png", ((labels > 0) * 255).astype(np.uint8))
    (table,) = reader.execute([None], data_area=area)
    assert arrays(table, "Label")[0].max() == 3
    assert "binary mask, 3 objects" in page_text(reader.view_html)


def test_counts_come_from_the_table_beside_the_images(reader, area):
    fill(area / "images", 2)
    (area / "images" / "counts.csv").write_text("file,count\nZelle Ä 1.png,7\n", "utf-8")
    (table,) = reader.execute([None], data_area=area)
    assert cells(table, "Count") == [None, 7.0]


def test_counts_are_found_whatever_the_case_of_letters_and_lost_ones_are_told(reader, area):
    for name in ("a", "B", "c"):
        write_png(area / "images" / f"{name}.png", discs()[0])
    table = area / "images" / "counts.csv"
    table.write_text("file,count\nA.PNG,3\nb.png,4\nd.png,5\n", "utf-8")
    (made,) = reader.execute([None], data_area=area)
    assert cells(made, "Count") == [3.0, 4.0, None]
    assert reader.warnings == ["Counts without image: 1 (d)."]
    reader.set("pattern", "c*")
    (made,) = reader.execute([None], data_area=area)
    assert cells(made, "Count") == [None]
    table.write_text("file,count\nd.png,5\n", "utf-8")
    with pytest.raises(NodeFailure, match=r'counts\.csv": expected a count for images such as'):
        reader.execute([None], data_area=area)


def test_what_matched_nothing_is_told_in_one_warning(reader, area):
    fill(area / "images", 2)
    write_png(area / "images" / "images" / "extra.png", discs()[0])
    write_png(area / "images" / "labels" / "lost.png", discs()[1])
    (table,) = reader.execute([None], data_area=area)
    assert table.num_rows == 3
    (warning,) = reader.warnings
    assert warning.splitlines() == [
        "Images without label image: 1 (extra.png).",
        "Label images without image: 1 (lost.png).",
    ]


def test_a_table_of_points_that_names_none_of_the_images_is_told_unless_a_pattern_hides_them(
    reader, area
):
    fill(area, 2)
    (area / "images" / "points.csv").write_text("file,y,x\nother.png,1,2\n", "utf-8")
    shutil.rmtree(area / "labels")
    reader.execute([None], data_area=area)
    assert len(reader.warnings) == 1
    assert (
        'points.csv labels none of these images: expected names such as "Zelle'
        in reader.warnings[0]
    )
    (area / "images" / "points.csv").write_text("file,y,x\nZelle Ä 1.png,1,2\n", "utf-8")
    reader.set("pattern", "*0.png")
    reader.execute([None], data_area=area)
    assert reader.warnings == []


def test_images_beside_the_subfolder_that_is_read_are_told(reader, area):
    fill(area / "images", 1)
    write_png(area / "images" / "mine.png", discs()[0])
    (table,) = reader.execute([None], data_area=area)
    assert table.num_rows == 1
    told = '1 image not read: mine.png; only those in the subfolder "images" are.'
    assert reader.warnings == [told]


def test_files_that_other_programs_must_open_are_told(reader, area):
    fill(area / "images", 1)
    (area / "images" / "images" / "a.oib").touch()
    (area / "images" / "images" / "a_seg.npy").touch()
    reader.execute([None], data_area=area)
    told = "1 file not read (a.oib): open it in Fiji and save it as TIFF."
    assert reader.warnings == [told]
    (area / "images" / "images" / "Zelle Ä 0.png").unlink()
    with pytest.raises(
        NodeFailure, match=r"a\.oib\): open it in Fiji.*a_seg\.npy\): open it in Cell"
    ):
        reader.execute([None], data_area=area)


def test_two_files_of_one_stem_are_both_named(reader, area):
    write_png(area / "images" / "a.png", discs()[0])
    write_png(area / "images" / "a.bmp", discs(dtype=np.uint8)[0])
    with pytest.raises(NodeFailure, match=r'a\.bmp" and ".*a\.png": two image files'):
        reader.execute([None], data_area=area)


def test_a_folder_without_images_or_that_does_not_exist_is_an_error(reader, area):
    with pytest.raises(NodeFailure, match="expected a folder of images, but it does not exist"):
        reader.execute([None], data_area=area)
    fill(area / "images", 1)
    reader.set("pattern", "*.tif")
    with pytest.raises(NodeFailure, match=r'names fit "\*\.tif", found none'):
        reader.execute([None], data_area=area)
    reader.set("folder", " ")
    with pytest.raises(NodeFailure, match="Give the folder") as caught:
        reader.configure([None])
    assert caught.value.invalid_settings


def test_unreadable_images_stop_the_node_or_are_skipped_with_one_warning(reader, area):
    fill(area / "images", 3)
    whole = (area / "images" / "images" / "Zelle Ä 1.png").read_bytes()
    (area / "images" / "images" / "Zelle Ä 1.png").write_bytes(whole[:60])
    (area / "images" / "images" / "Zelle Ä 2.png").write_bytes(b"")
    with pytest.raises(NodeFailure, match=r"Zelle Ä 1\.png"):
        reader.execute([None], data_area=area)
    reader.set("unreadable", "SKIP")
    (table,) = reader.execute([None], data_area=area)
    assert row_ids(table) == ["Row0"]
    assert len(reader.warnings) == 1
    assert len(reader.warnings[0].splitlines()) == 2


def test_a_label_image_of_another_size_is_refused(reader, area):
    write_png(area / "images" / "a.png", discs()[0])
    write_png(area / "images" / "a_mask.png", discs(side=64)[1])
    with pytest.raises(NodeFailure, match=r"a_mask\.png: .*expected 48 x 48 px, found 64 x 64 px"):
        reader.execute([None], data_area=area)


def test_a_table_of_paths_is_read_under_its_row_ids(reader, tables, area):
    from knime.types.builtin import FSLocationValue

    fill(area / "in", 3)
    names = [f"Zelle Ä {i}.png" for i in range(3)]
    texts = [
        f"in/images/{names[0]}",
        None,
        str(area / "in" / "images" / names[1]),
        f"knime://knime.workflow/data/in/images/{names[2]}",
    ]
    labels = [f"in/labels/{names[0]}", None, None, f"in/labels/{names[2]}"]
    table = tables.of(["a", "b", "c", "d"], Path=texts, Label_path=labels)
    (read,) = reader.execute([table], data_area=area)
    assert row_ids(read) == ["a", "c", "d"]
    assert [v is None for v in arrays(read, "Label")] == [False, True, False]
    assert reader.warnings == ["Rows left out because the path is missing: 1."]
    cells_ = [
        FSLocationValue("LOCAL", None, str(area / "in" / "images" / names[0])),
        FSLocationValue("RELATIVE", "knime.workflow.data", f"/in/images/{names[1]}"),
    ]
    (read,) = again(reader).execute([tables.of(Path=cells_)], data_area=area)
    assert cells(read, "File") == names[:2]


def test_addresses_are_read_as_knime_writes_them_and_as_people_do(reader, tables, area):
    fill(area / "in", 3)
    images = area / "in" / "images"
    (images / "Zelle Ä 1.png").rename(images / "100%25.png")
    texts = ["Zelle%20%C3%84%200.png", "100%25.png", "Zelle Ä 2.png"]
    table = tables.of(Path=[f"knime://knime.workflow/data/in/images/{text}" for text in texts])
    (read,) = reader.execute([table], data_area=area)
    assert cells(read, "File") == ["Zelle Ä 0.png", "100%25.png", "Zelle Ä 2.png"]
    local = (images / "Zelle Ä 0.png").as_uri()  # as Path to URI gives; others write file:/
    table = tables.of(Path=[local, local.replace("file:///", "file:/")])
    (read,) = again(reader).execute([table], data_area=area)
    assert cells(read, "File") == ["Zelle Ä 0.png"] * 2


def test_a_folder_is_found_though_windows_copies_its_path_in_quotes(reader, area):
    fill(area / "in")
    reader.set("folder", f'"{area / "in"}"')
    (read,) = reader.execute([None], data_area=area)
    assert read.num_rows == 3


def again(node):
    """Return a fresh node of the same kind."""
    return node._host.node(node.info.id)


def test_pictures_are_no_paths_and_labels_may_be_declined(reader, tables, area):
    fill(area / "in", 3)
    names = [f"Zelle Ä {i}.png" for i in range(3)]
    table = tables.of(
        Preview=[discs()[0]] * 3, Mask=[discs()[1]] * 3, Path=[f"in/images/{n}" for n in names],
        Label_path=[f"in/labels/{n}" for n in names],
    )  # fmt: skip
    (read,) = reader.execute([table], data_area=area)
    chosen = reader.settings["path_column"], reader.settings["label_path_column"]
    assert chosen == ("Path", "Label path")
    assert cells(read, "File") == names
    reader = again(reader)
    reader.set("label_path_column", "<none>")
    (read,) = reader.execute([table], data_area=area)
    assert arrays(read, "Label") == [None] * 3


def test_counts_as_text_are_told_where_no_column_holds_numbers(host, reader, tables, area):
    path = str(write_png(area / "a.png", discs()[0]))
    (table,) = reader.execute([tables.of(Path=[path], Count=["12"])], data_area=area)
    assert cells(table, "Count") == [None]
    (told,) = reader.warnings
    assert told.startswith('The column "Count" holds text, no numbers')
    for others in ({"Count": ["12"], "Cells": [3]}, {"Cells": ["HeLa"]}):
        reader = host.node("read_images")
        reader.execute([tables.of(Path=[path], **others)], data_area=area)
        assert reader.warnings == []


def test_a_path_that_leads_nowhere_names_row_and_column(reader, tables, area):
    table = tables.of(Path=["no.png", "gone.png"])
    with pytest.raises(NodeFailure, match=r'Row "row 0", column "Path".*no\.png'):
        reader.execute([table], data_area=area)
    fill(area / "in", 1)
    addresses = tables.of(Path=[*["in/images/Zelle Ä 0.png"] * 2, "https://example.org/a.png"])
    with pytest.raises(NodeFailure, match=r'Row "row 2", column "Path": .*expected a path, or an'):
        reader.execute([addresses], data_area=area)
    reader.set("unreadable", "SKIP")
    (read,) = reader.execute([addresses], data_area=area)
    assert row_ids(read) == ["row 0", "row 1"]
    assert reader.warnings[0].startswith('Skipped: Row "row 2", column "Path": ')


def test_a_table_without_rows_gives_a_table_without_rows(reader, tables, area):
    (table,) = reader.execute([empty_paths(tables)], data_area=area)
    assert table.num_rows == 0
    assert table.column_names == COLUMNS
    page_text(reader.view_html)


def empty_paths(tables):
    import pandas as pd

    from microshot.headless import standin

    frame = pd.DataFrame({"Path": pd.array([], dtype="string")}, index=pd.Index([], dtype=object))
    return standin.table_from_pandas(tables.host, frame)


def test_a_table_without_paths_is_refused_before_it_runs(reader):
    with pytest.raises(NodeFailure, match="no column with paths") as caught:
        reader.configure([spec_of(Area="number")])
    assert caught.value.invalid_settings
    reader.set("path_column", "Gone")
    with pytest.raises(NodeFailure, match=r'path column "Gone" is not in the input table.*Path'):
        reader.configure([spec_of(Path="text")])


def test_reading_reports_every_image_and_stops_when_cancelled(reader, area):
    fill(area / "images", 3)
    reader.execute([None], data_area=area)
    assert [m for _, m in reader.progress] == [f"reading image {i} of 3" for i in (1, 2, 3)]
    asked = iter([False, True])
    with pytest.raises(NodeFailure, match="Canceled"):
        reader.execute([None], data_area=area, is_cancelled=lambda: next(asked, True))


def outlined(folder, names=("a", "b", "c")):
    """Write images with labels of three kinds from other programs beside them."""
    from microshot.export.labels import export

    made = {}
    for index, name in enumerate(names):
        image, made[name] = discs(n=2 + index, seed=index)
        write_tiff(folder / f"{name}.tif", image)
    export(folder / "a.geojson", made["a"], "geojson")
    export(folder / "b_RoiSet.zip", made["b"], "roi")
    export(folder / "c_points.csv", made["c"], "csv", image="c.tif")
    return made


def test_outlines_of_other_programs_become_label_images_and_points_counts(host, tmp_path):
    made = outlined(tmp_path / "images")
    reader = host.node("read_images")
    reader.set("folder", str(tmp_path / "images"))
    (table,) = reader.execute([None])
    a, b, c = arrays(table, "Label")
    assert np.array_equal(a, made["a"])
    assert np.array_equal(b, made["b"])
    assert c is None
    assert cells(table, "Count") == [None, None, 4]
    assert any("Points were turned into counts" in w for w in reader.warnings)
    assert "QuPath GeoJSON, 2 objects" in page_text(reader.view_html)


def test_outlines_of_labelme_become_label_images_and_files_about_others_are_told(host, tmp_path):
    ring = [[3, 4], [13, 4], [13, 9], [3, 9]]
    shape = {"label": "cell", "points": ring, "group_id": None, "shape_type": "polygon"}
    for name in "ab":
        write_tiff(tmp_path / "images" / f"{name}.tif", discs()[0])
    labels = tmp_path / "images" / "labels"
    labels.mkdir()
    (labels / "a.json").write_text(json.dumps({"imagePath": "a.png", "shapes": [shape]}))
    others = [{"id": n, "file_name": f"{n}.tif"} for n in (1, 2)]
    (labels / "b.json").write_text(json.dumps({"images": others, "annotations": []}))
    reader = host.node("read_images")
    reader.set("folder", str(tmp_path / "images"))
    (table,) = reader.execute([None])
    a, b = arrays(table, "Label")
    assert (a[4:9, 3:13] == 1).all()
    assert np.count_nonzero(a) == 50
    assert b is None
    assert "labelme outlines, 1 object" in page_text(reader.view_html)
    assert any("b.json holds labels of other images only" in w for w in reader.warnings)


def test_paths_of_outlines_travel_through_tables_to_the_score(host, tables, tmp_path):
    made = outlined(tmp_path / "images")
    reader = host.node("read_images")
    reader.set("folder", str(tmp_path / "images"))
    reader.set("form", "PATH")
    (table,) = reader.execute([None])
    paths = cells(table, "Label")
    assert [p.rsplit(".", 1)[1] for p in paths] == ["geojson", "zip", "csv"]
    scored = tables.of(["a", "b"], Label=paths[:2], Prediction=[made["a"], made["b"]])
    scorer = host.node("score")
    scorer.set("truth_column", "Label")
    scorer.set("prediction_columns", ["Prediction"])
    rows, _ = scorer.execute([scored])
    assert cells(rows, "F1") == [1, 1]


@pytest.mark.parametrize("pattern", ["/data/*.tif", "**/*.tif", "day1/*"])
def test_a_pattern_that_names_folders_is_refused_instead_of_leaving_images_out(
    reader, area, pattern
):
    write_png(area / "images" / "top.png", discs()[0])
    write_png(area / "images" / "day1" / "deep.png", discs()[0])
    reader.set("folder", "images")
    reader.set("pattern", pattern)
    with pytest.raises(NodeFailure, match=r"found none; .* in which no folders are named\."):
        reader.execute([None], data_area=area)
