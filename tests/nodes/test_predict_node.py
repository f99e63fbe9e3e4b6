"""Predict Microscopy Images: the input with labels behind it, and a row per object."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
import tifffile
from node_tables import arrays, card_of, cells, row_ids, set_tiny, spec_of, write_png, write_tiff

from microshot.bundle import Bundle
from microshot.data.read import read_image
from microshot.headless import standin
from microshot.headless.standin import NodeFailure
from microshot.headless.standin.data import Spec
from tiny_images import discs, page_text
from tiny_models import any_size

TRUST = ["Unlike training", "Warning", "Model", "Device", "Seconds"]
NEW = ["Labels", "Objects", "Confidence", *TRUST]
OBJECTS = [
    "Image", "Object", "Probability", "Confidence", "Y (px)", "X (px)", "Area (px)",
    "Area (µm²)", "Perimeter (px)", "Major axis (px)", "Minor axis (px)", "Eccentricity", "Solidity",
    "Mean intensity",
]  # fmt: skip


@pytest.fixture
def predictor(host):
    node = host.node("predict")
    node.set("device", "CPU")
    return node


def test_the_input_is_passed_through_with_labels_behind_it(predictor, model, tables):
    made = [discs(n=n, seed=40 + n) for n in (2, 3, 4, 1, 2)]
    table = tables.of(
        ["b", "a", "Ä 1", "x/y", "z"],
        Image=[m[0] for m in made], Note=["1", None, "3", "4", "5"], Label=[m[1] for m in made],
        N=[1, 2, 3, 4, None],
    )  # fmt: skip
    announced = predictor.configure([model.spec, table.spec])
    found, objects = predictor.execute([model, table])
    assert [one.columns for one in announced] == [found.spec.columns, objects.spec.columns]
    assert found.column_names == ["Image", "Note", "Label", "N", *NEW]
    assert found.batch_sizes == [2, 2, 1]
    assert row_ids(found) == ["b", "a", "Ä 1", "x/y", "z"]
    assert cells(found, "Note") == ["1", None, "3", "4", "5"]
    assert cells(found, "N") == [1, 2, 3, 4, None]
    for i, (pixels, labels) in enumerate(made):
        np.testing.assert_array_equal(arrays(found, "Image")[i], pixels)
        np.testing.assert_array_equal(arrays(found, "Label")[i], labels)
        own = arrays(found, "Labels")[i]
        assert own.shape == labels.shape
        assert own.max() == cells(found, "Objects")[i] == labels.max()
        overlap = np.count_nonzero((own > 0) & (labels > 0)) / np.count_nonzero(
            (own > 0) | (labels > 0)
        )
        assert overlap > 0.6
    assert all(0.3 < c <= 1 for c in cells(found, "Confidence"))
    assert cells(found, "Device")[0].startswith("CPU")
    assert cells(found, "Model")[0].startswith("Discs (")
    assert min(cells(found, "Seconds")) > 0
    alike = [warning == "" for warning in cells(found, "Warning")]
    assert alike == [score <= 1 for score in cells(found, "Unlike training")]
    assert alike[1:3] == [True, True]  # as many objects as in the training images
    assert all(warning.startswith("1 of 5 images") for warning in predictor.warnings)
    shown = page_text(predictor.view_html)
    assert "12" in shown
    assert "Where these results come from" in shown


def test_images_unlike_the_training_images_are_named_in_one_warning(predictor, model, tables):
    images = [discs(n=3, seed=i)[0] for i in range(4)]
    images[2] = (images[2].max() - images[2]).astype(images[2].dtype)
    images[3][:] = 0
    table = tables.of(["a", "b", "c", "black", "d"], Image=[*images, None])
    found, _ = predictor.execute([model, table])
    score, told = cells(found, "Unlike training"), cells(found, "Warning")
    assert score[2] > 1 > max(score[:2])
    assert told == ["", "", "inverted contrast", "one grey value everywhere", None]
    assert score[3] is None
    (warning,) = predictor.warnings
    assert "2 of 4 images are unlike the training images (1 × inverted contrast, 1 × one" in warning
    shown = page_text(predictor.view_html)
    assert "2 of 4 images are unlike the training images" in shown
    assert "inverted contrast" in shown
    assert "one grey value everywhere" in shown


def test_an_image_of_one_grey_value_is_named_in_table_and_view(predictor, model, tables):
    blank = np.full_like(discs(n=3)[0], 700)
    found, _ = predictor.execute([model, tables.of(["a"], Image=[blank])])
    told = (cells(found, "Unlike training"), cells(found, "Warning"))
    assert told == ([None], ["one grey value everywhere"])
    assert "one grey value everywhere" in page_text(predictor.view_html)


def test_every_object_has_its_own_row_with_the_number_in_the_label_image(predictor, model, tables):
    pixels, _ = discs(n=4, seed=3)
    table = tables.of(
        ["a", "b", "c"], **{"Image": [pixels] * 3, "Pixel_size_(µm)": [0.5, None, 2.0]}
    )
    found, objects = predictor.execute([model, table])
    assert objects.column_names == OBJECTS
    assert row_ids(objects) == [f"{name}_{i}" for name in "abc" for i in (1, 2, 3, 4)]
    own = arrays(found, "Labels")[0]
    for i in range(4):
        place = np.argwhere(own == cells(objects, "Object")[i])
        assert cells(objects, "Area (px)")[i] == len(place)
        centre = [cells(objects, "Y (px)")[i], cells(objects, "X (px)")[i]]
        np.testing.assert_allclose(centre, place.mean(axis=0), atol=1e-3)
        assert cells(objects, "Area (µm²)")[i] == pytest.approx(len(place) * 0.25)
        assert cells(objects, "Mean intensity")[i] == pytest.approx(
            pixels[own == i + 1].mean(), rel=1e-6
        )
    assert cells(objects, "Area (µm²)")[4:8] == [None] * 4


def test_a_model_for_objects_of_any_size_looks_for_it_unless_told(predictor, model, tables):
    data = any_size(Bundle.from_bytes(model.data)).to_bytes()
    any_model = dataclasses.replace(model, data=data)
    pixels, labels = discs(n=4, seed=3)
    table = tables.of(["a", "b"], Image=[pixels, np.kron(pixels, np.ones((2, 2), pixels.dtype))])
    found, _ = predictor.execute([any_model, table])
    assert cells(found, "Objects") == [labels.max()] * 2
    (warning,) = predictor.warnings
    assert "The size of the objects was looked for in each image: " in warning
    shown = page_text(predictor.view_html)
    assert "The size of the objects was looked for" in shown
    assert "Size taken (px)" in shown
    predictor.set("diameter_px", 16.0)
    predictor.execute([any_model, table])
    assert "looked for" not in "".join(predictor.warnings[1:])


@pytest.mark.parametrize("rows", [2, 5, 100])
def test_one_size_is_found_for_all_rows_however_they_come(predictor, model, host, area, rows):
    data = any_size(Bundle.from_bytes(model.data)).to_bytes()
    any_model = dataclasses.replace(model, data=data)
    files = []
    for i in range(11):
        files.append(f"i{i}.tif")
        write_tiff(area / files[-1], discs(n=3 + i % 2, seed=i)[0])
    (area / "i0.tif").write_bytes(b"II*\0 damaged")
    frame = pd.DataFrame({"Image": [*files, None]}, index=[f"row {i}" for i in range(12)])
    table = standin.table_from_pandas(host, frame.astype("string"), rows)
    predictor.set("unreadable", "SKIP")
    predictor.set("size_found", "ONCE")
    found, _ = predictor.execute([any_model, table], data_area=area)
    warning = "".join(predictor.warnings)
    (size,) = re.findall(r"was looked for in 7 of 10 images: ([0-9.]+) px, taken for all", warning)
    assert warning.count("could not be read") == warning.count("image is missing") == 1
    predictor.set("diameter_px", float(size))
    told, _ = predictor.execute([any_model, table], data_area=area)
    assert cells(told, "Objects") == cells(found, "Objects")
    assert cells(found, "Objects")[1:11] != [None] * 10


def test_an_image_that_cannot_be_read_is_named_as_without_a_look_at_some(
    predictor, model, tables, area
):
    any_model = dataclasses.replace(model, data=any_size(Bundle.from_bytes(model.data)).to_bytes())
    for i in range(6):
        write_tiff(area / f"i{i}.tif", discs(n=3, seed=i)[0])
    for i in (1, 3):
        (area / f"i{i}.tif").write_bytes(b"II*\0 damaged")
    table = tables.of(Image=[f"i{i}.tif" for i in range(6)])
    with pytest.raises(NodeFailure, match='Row "row 1", column "Image"'):
        predictor.execute([any_model, table], data_area=area)


def test_missing_images_give_missing_values(predictor, model, tables):
    pixels, _ = discs()
    table = tables.of(Image=[None, pixels, None])
    found, objects = predictor.execute([model, table])
    assert [v is None for v in arrays(found, "Labels")] == [True, False, True]
    assert cells(found, "Objects") == [None, 3, None]
    assert set(cells(objects, "Image")) == {"row 1"}
    assert predictor.warnings == ["2 rows were skipped because the image is missing."]


@pytest.mark.parametrize("images", [[], [None, None]])
def test_tables_without_images_give_tables_with_the_announced_columns(
    predictor, model, tables, images
):
    found, objects = predictor.execute([model, tables.of(Image=images)])
    assert found.num_rows == len(images)
    assert found.column_names == ["Image", *NEW]
    assert (objects.num_rows, objects.column_names) == (0, OBJECTS)
    page_text(predictor.view_html)


def test_files_and_cells_give_the_same_labels(predictor, model, tables, area):
    pixels, _ = discs(n=3, seed=9)
    write_tiff(area / "ein Bild.tif", pixels)
    write_png(area / "zwei.png", pixels)
    found, _ = predictor.execute(
        [model, tables.of(Path=["ein Bild.tif", "zwei.png"])], data_area=area
    )
    (cell, _) = predictor_again(predictor).execute([model, tables.of(Image=[pixels])])
    for labels in arrays(found, "Labels"):
        np.testing.assert_array_equal(labels, arrays(cell, "Labels")[0])


def predictor_again(node):
    """Return a fresh node of the same kind."""
    return node._host.node(node.info.id)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (7, 5)])
def test_images_of_next_to_no_pixels_work(predictor, model, tables, shape):
    found, _ = predictor.execute([model, tables.of(Image=[np.full(shape, 9, np.uint16)])])
    assert arrays(found, "Labels")[0].shape == shape


def test_label_files_are_written_and_never_replaced_unasked(predictor, model, tables, area):
    pixels, _ = discs(n=3)
    table = tables.of(
        ["a/b", "a_b", "ü"], **{"Image": [pixels, pixels[:40], None], "Pixel_size_(µm)": [0.5] * 3}
    )
    predictor.set("label_form", "TIFF")
    predictor.set("label_folder", "Ergebnis ä")
    announced, _ = predictor.configure([model.spec, table.spec])
    assert ("Labels", "String") in announced.columns
    found, _ = predictor.execute([model, table], data_area=area)
    paths = cells(found, "Labels")
    assert paths == [
        str(area / "Ergebnis ä" / "a_b.tif"),
        str(area / "Ergebnis ä" / "a_b (#1).tif"),
        None,
    ]
    for path, shape, n in zip(
        paths[:2], [(48, 48), (40, 48)], cells(found, "Objects"), strict=False
    ):
        labels = tifffile.imread(path)
        assert labels.shape == shape
        assert labels.max() == n
    old = (area / "Ergebnis ä" / "a_b.tif").read_bytes()
    (area / "Ergebnis ä" / "a_b.tif").write_bytes(b"mine")
    with pytest.raises(NodeFailure, match=r'a_b\.tif" exists already; choose another name'):
        predictor.execute([model, table], data_area=area)
    assert (area / "Ergebnis ä" / "a_b.tif").read_bytes() == b"mine"
    predictor.set("overwrite", True)
    predictor.execute([model, table], data_area=area)
    assert (area / "Ergebnis ä" / "a_b.tif").read_bytes() == old


@pytest.mark.parametrize("large_mpx", [64.0, 0.001])
def test_label_files_never_replace_the_images_of_the_table(
    predictor, model, tables, area, large_mpx
):
    pixels, _ = discs(n=3)
    for name in "ab":
        write_tiff(area / f"{name}.tif", pixels)
    predictor.set("label_form", "TIFF")
    predictor.set("label_folder", ".")
    predictor.set("overwrite", True)
    predictor.set("large_mpx", large_mpx)
    with pytest.raises(NodeFailure, match=r'Row "a".*is an image of the table; choose another'):
        predictor.execute([model, tables.of(["c", "a"], Path=["b.tif", "a.tif"])], data_area=area)
    for order in (["a", "b"], ["b", "a"]):
        with pytest.raises(NodeFailure, match="is an image of the table; choose another"):
            predictor.execute([model, tables.of(order, Path=["a.tif", "b.tif"])], data_area=area)
    for name in "ab":
        np.testing.assert_array_equal(tifffile.imread(area / f"{name}.tif"), pixels)


@pytest.mark.parametrize("starter", ["NUCLEI_FLUORESCENCE", "CELLS_DENSITY"])
def test_the_description_tells_of_every_new_column(host, tables, starter):
    reader = host.node("read_model")
    reader.set("source", starter)
    images = tables.images(1).spec
    found, _ = host.node("predict").configure([*reader.configure([]), images])
    new = [column[0] for column in found.columns if column not in images.columns]
    assert len(new) >= 8
    text = " ".join(host.nodes["predict"].full_description.split())
    assert [name for name in new if f"*{name}*" not in text] == []


def test_several_models_can_be_applied_one_after_the_other(host, model, tables):
    first, _ = host.node("predict").execute([model, tables.images(1)])
    node = host.node("predict")
    node.set("prefix", "Second")
    second, _ = node.execute([model, first])
    assert second.column_names[-8:] == [
        "Second", *(f"{name} (Second)" for name in NEW[1:])
    ]  # fmt: skip
    third, _ = host.node("predict").execute([model, second])
    assert third.column_names[-8:] == [f"{name} (#1)" for name in NEW]
    np.testing.assert_array_equal(arrays(third, "Labels")[0], arrays(third, "Labels (#1)")[0])


def test_thresholds_of_the_user_count(predictor, model, tables):
    table = tables.images(2)
    predictor.set("least_area_px", 5000)
    found, objects = predictor.execute([model, table])
    assert cells(found, "Objects") == [0, 0]
    assert objects.num_rows == 0
    assert cells(found, "Confidence") in ([None, None], [0.0, 0.0])


def announced_model(model, n_channels):
    data = model.spec.data
    data["data"]["card"]["architecture"]["in_channels"] = n_channels
    return Spec.of("port", data)


@pytest.mark.parametrize(
    ("n_channels", "columns", "more", "fits"),
    [
        (1, {"Image": "png"}, [], True),
        (3, {"Image": "png"}, [], True),
        (4, {"Image": "png"}, [], False),
        (1, {"Image": "png", "DAPI": "png"}, ["DAPI"], False),
        (2, {"Image": "png", "DAPI": "png"}, ["DAPI"], True),
        (9, {"Image_path": "text"}, [], True),
        (1, {"Image_path": "text", "Other_path": "text"}, ["Other path"], False),
    ],
)
def test_columns_that_cannot_hold_the_models_channels_are_refused_before_it_runs(
    predictor, model, n_channels, columns, more, fits
):
    predictor.set("more_channels", more)
    specs = [announced_model(model, n_channels), spec_of(**columns)]
    if fits:
        predictor.configure(specs)
        return
    with pytest.raises(NodeFailure, match=rf"takes images of {n_channels} channel") as caught:
        predictor.configure(specs)
    assert caught.value.invalid_settings


def test_further_channels_are_used(host, tables):
    pixels, labels = discs()
    table = tables.of(Image=[pixels] * 2, DAPI=[pixels // 2] * 2, Label=[labels] * 2)
    train = set_tiny(host.node("train"))
    train.set("more_channels", ["DAPI"])
    two, _ = train.execute([table, None])
    node = host.node("predict")
    node.set("more_channels", ["DAPI"])
    found, _ = node.execute([two, table])
    assert found.num_rows == 2


def test_colour_images_do_not_fit_a_model_of_one_channel(predictor, model, tables):
    colour = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    told = r'row 0: expected 1 channel .* found 3 \(red, green and blue\); say which .* "Channel"'
    with pytest.raises(NodeFailure, match=told):
        predictor.execute([model, tables.of(Image=[colour])])
    predictor.set("channel", "green")
    (own,), (alone,) = (
        cells(predictor.execute([model, tables.of(Image=[pixels])])[0], "Objects")
        for pixels in (colour, colour[..., 1])
    )
    assert own == alone


def test_a_grey_image_saved_in_colour_is_one_channel(predictor, model, tables):
    grey = (discs()[0] / 256).astype(np.uint8)
    blue = np.stack([np.zeros_like(grey), np.zeros_like(grey), grey], axis=-1)
    found, objects = predictor.execute(
        [model, tables.of(Image=[grey, np.stack([grey] * 3, -1), blue])]
    )
    counts = cells(found, "Objects")
    assert counts[0] > 0
    assert counts == [counts[0]] * 3
    assert objects.num_rows == sum(counts)
    means = np.reshape(cells(objects, "Mean intensity"), (3, -1))
    assert (means == means[0]).all()  # also where red, the first, is black


def test_a_model_announced_before_its_training_is_good_enough_to_configure(host, predictor, tables):
    table = tables.images(1)
    announced, _ = host.node("train").configure([table.spec, None])
    predictor.configure([announced, table.spec])


def test_unreadable_images_stop_or_give_missing_values(predictor, model, tables, area):
    write_png(area / "good.png", discs(n=2)[0])
    (area / "bad.tif").write_bytes(b"II*\0 damaged")
    table = tables.of(["a", "b", "c"], Path=["bad.tif", "good.png", "gone.png"])
    with pytest.raises(NodeFailure, match=r'Row "a", column "Path".*bad\.tif'):
        predictor.execute([model, table], data_area=area)
    predictor.set("unreadable", "SKIP")
    found, _ = predictor.execute([model, table], data_area=area)
    assert cells(found, "Objects") == [None, 2, None]
    (warning,) = predictor.warnings
    assert warning.startswith(
        '2 rows were skipped because the image could not be read, the first: Row "a"'
    )


@pytest.mark.parametrize(
    ("settings", "columns", "words"),
    [
        ({}, {"N": "number"}, "no image column"),
        ({"image_column": "Gone"}, {"Image": "png"}, 'image column "Gone".*choose one of Image'),
        ({"more_channels": ["N"]}, {"Image": "png", "N": "number"}, '"N" cannot be the channel'),
    ],
)
def test_columns_that_do_not_fit_are_refused_before_it_runs(
    predictor, model, settings, columns, words
):
    for name, value in settings.items():
        predictor.set(name, value)
    with pytest.raises(NodeFailure, match=words) as caught:
        predictor.configure([model.spec, spec_of(**columns)])
    assert caught.value.invalid_settings


def test_progress_counts_images_and_cancel_stops(predictor, model, tables):
    predictor.execute([model, tables.images(4)])
    fractions = [fraction for fraction, _ in predictor.progress]
    assert fractions == sorted(fractions)
    starts = {m: f for f, m in reversed(predictor.progress) if m and m.startswith("image ")}
    assert starts == {f"image {i + 1} of 4": i / 4 for i in range(4)}
    with pytest.raises(NodeFailure, match="Canceled") as caught:
        predictor.execute(
            [model, tables.images(4)],
            is_cancelled=lambda: any(m == "image 3 of 4" for _, m in predictor.progress),
        )
    assert caught.value.cancelled


def test_a_model_remembers_pixel_size_and_name_in_the_view(predictor, model, tables):
    predictor.execute([model, tables.images(1)])
    assert f"with the model {card_of(model)['name']}" in page_text(predictor.view_html)


def test_an_image_with_other_channels_than_the_models_stops_or_is_skipped(predictor, model, tables):
    grey = discs()[0]
    colour = np.stack([grey // 256, grey // 512, grey // 1024], axis=-1).astype(np.uint8)
    table = tables.of(Image=[grey, colour, grey])
    with pytest.raises(NodeFailure, match="expected 1 channel"):
        predictor.execute([model, table])
    predictor.set("unreadable", "SKIP")
    found, _ = predictor.execute([model, table])
    assert [n is None for n in cells(found, "Objects")] == [False, True, False]


@pytest.mark.parametrize("size", ["0,5", "-1", "inf"])
def test_a_pixel_size_that_is_none_names_its_row(predictor, model, tables, size):
    images = [discs()[0]] * 3
    table = tables.of(Image=images, **{"Pixel_size_(µm)": ["0.5", None, size]})
    with pytest.raises(NodeFailure, match=rf'Row "row 2", column "Pixel size .*found "{size}"'):
        predictor.execute([model, table])
    predictor.set("unreadable", "SKIP")
    found, objects = predictor.execute([model, table])
    assert [n is None for n in cells(found, "Objects")] == [False, False, True]
    n = int(cells(found, "Objects")[0])
    assert [one is None for one in cells(objects, "Area (µm²)")] == [False] * n + [True] * n


def test_a_pixel_size_of_0_stands_for_one_that_is_not_known(predictor, model, tables):
    table = tables.of(Image=[discs()[0]], **{"Pixel_size_(µm)": [0.0]})
    _, objects = predictor.execute([model, table])
    assert set(cells(objects, "Area (µm²)")) == {None}


def test_an_address_of_the_web_names_its_row(predictor, model, tables):
    with pytest.raises(NodeFailure, match=r'Row "row 2", column "Path": .*expected a path, or'):
        predictor.execute([model, tables.of(Path=[None, None, "https://example.org/a.png"])])


def test_images_that_are_not_shown_are_counted(predictor, model, tables):
    predictor.execute([model, tables.images(14)])
    assert "12 of 14 images shown." in page_text(predictor.view_html)


def test_images_unlike_the_training_images_are_drawn_also_behind_the_first_ones(
    predictor, model, tables
):
    images = [discs(n=3, seed=i)[0] for i in range(24)]
    unlike = range(14, 22)
    for i in unlike:
        images[i][:] = 0
    predictor.execute([model, tables.of([f"no {i:02d}" for i in range(24)], Image=images)])
    drawn = re.findall(r'class="name">no (\d+)<', predictor.view_html)
    assert [int(name) for name in drawn] == [*range(6), *unlike[:6]]
    assert "12 of 24 images shown." in page_text(predictor.view_html)


def test_a_time_column_gives_a_growth_curve_in_the_view(predictor, model, tables):
    made = [discs(n=2 + i, seed=60 + i)[0] for i in range(5)]
    table = tables.of(
        Image=[*made, None], Hours=[0.0, 6.0, 12.0, None, 24.0, 30.0], Drug=["a"] * 4 + ["b"] * 2
    )
    predictor.set("time_column", "Hours")
    found, _ = predictor.execute([model, table])
    assert found.column_names == ["Image", "Hours", "Drug", *NEW]
    text = page_text(predictor.view_html)
    assert "Growth over time" in text
    assert "4 images at 4 times" in text
    assert "20 25 Hours " in text  # the axis is called by the column
    predictor.set("group_column", "Drug")
    predictor.execute([model, table])
    text = page_text(predictor.view_html)
    assert "a: " in text
    assert "b: A growth curve needs counts at 3 or more times, found 1" in text


def test_a_group_in_whole_numbers_stays_one_beside_a_missing_cell(predictor, model, tables):
    made = [discs(n=2 + i, seed=60 + i)[0] for i in range(4)]
    table = tables.of(Image=made, Hours=[0.0, 6.0, 12.0, 24.0], Well=[2, 2, 2, None])
    predictor.set("time_column", "Hours")
    predictor.set("group_column", "Well")
    predictor.execute([model, table])
    text = page_text(predictor.view_html)
    assert "2: " in text
    assert "2.0: " not in text


def test_large_files_are_worked_through_in_blocks_with_the_same_result(
    predictor, model, tables, area
):
    for i in (1, 2):
        pixels, _ = discs(side=150, n=9, seed=i)
        write_tiff(area / f"{i}.tif", pixels)
    write_tiff(area / "small.tif", discs(n=2)[0])
    table, made = tables.of(["a", "b", "c"], Path=["1.tif", "small.tif", "2.tif"]), []
    for large in (0.01, 64.0):
        node = predictor_again(predictor)
        for name, value in (
            ("device", "CPU"), ("label_form", "TIFF"), ("label_folder", f"l{large}"),
            ("large_mpx", large), ("tile_px", 256),
        ):  # fmt: skip
            node.set(name, value)
        found, objects = node.execute([model, table], data_area=area)
        labels = [tifffile.imread(path) for path in cells(found, "Labels")]
        made.append((cells(found, "Objects"), row_ids(found), [one > 0 for one in labels]))
        assert len(cells(objects, "Object")) == sum(cells(found, "Objects"))
        assert objects.column_names == OBJECTS
        assert not list((area / f"l{large}").glob(".*"))
    assert made[0][:2] == made[1][:2]
    for one, other in zip(made[0][2], made[1][2], strict=True):
        np.testing.assert_array_equal(one, other)


def in_blocks(predictor, large=0.01):
    """Return a node that works through images of more than `large` million pixels in blocks."""
    node = predictor_again(predictor)
    for name, value in (
        ("device", "CPU"), ("label_form", "TIFF"), ("label_folder", "found"), ("large_mpx", large),
        ("tile_px", 256),
    ):  # fmt: skip
        node.set(name, value)
    return node


def test_ome_zarr_is_read_whole_where_it_is_not_worked_through_in_blocks(
    predictor, model, tables, area
):
    import zarr

    pixels = discs(side=64, n=3, seed=1)[0]
    zarr.create_array(str(area / "a.zarr"), data=pixels, chunks=(25, 35))
    write_tiff(area / "a.tif", pixels)
    table = tables.of(["a", "b"], Path=["a.zarr", "a.tif"])
    found, _ = predictor.execute([model, table], data_area=area)
    assert np.array_equal(*arrays(found, "Labels"))
    assert cells(found, "Objects") == [3, 3]
    (area / "a.zarr" / "zarr.json").write_text("{")
    with pytest.raises(NodeFailure, match=r'Row "a", column "Path".*a\.zarr'):
        predictor_again(predictor).execute([model, table], data_area=area)


def test_the_view_shows_a_part_of_large_files_with_their_outlines(
    predictor, model, tables, area, monkeypatch
):
    from microshot.large import typical

    monkeypatch.setattr(typical, "PART_PX", 100)
    pixels = np.zeros((300, 310), np.uint16)
    pixels[140:290, 150:300] = discs(side=150, n=9, seed=1)[0]
    write_tiff(area / "a.tif", pixels)
    node = in_blocks(predictor)
    found, _ = node.execute([model, tables.of(["row"], Path=["a.tif"])], data_area=area)
    page = node.view_html
    assert f"{cells(found, 'Objects')[0]} objects in all" in page_text(page)
    shown = re.search(r"shown: 100 × 100 px at y (\d+), x (\d+)", page)
    assert shown
    top, left = map(int, shown.groups())
    assert 140 <= top <= 200
    assert 150 <= left <= 210
    assert 'class="layer"' in page  # outlines
    assert "No images" not in page


def test_large_files_unlike_the_training_images_are_named_as_small_ones_are(
    predictor, model, tables, area
):
    pixels = discs(side=150, n=9, seed=1)[0]
    write_tiff(area / "like.tif", pixels)
    write_tiff(area / "inverted.tif", (pixels.max() - pixels).astype(pixels.dtype))
    write_tiff(area / "blank.tif", np.full_like(pixels, 700))
    table = tables.of(["a", "b", "c"], Path=["like.tif", "inverted.tif", "blank.tif"])
    told, scores = [], []
    for large in (0.01, 64.0):
        node = in_blocks(predictor, large)
        node.set("label_folder", f"l{large}")
        found, _ = node.execute([model, table], data_area=area)
        told.append((cells(found, "Warning"), node.warnings))
        scores.append(cells(found, "Unlike training"))
        assert "one grey value everywhere" in page_text(node.view_html)
    assert told[0] == told[1]
    assert "inverted contrast" in told[0][0][1]
    assert told[0][0][2] == "one grey value everywhere"
    assert any("images are unlike the training images" in one for one in told[0][1])
    assert scores[0][:2] == pytest.approx(scores[1][:2], rel=0.01)
    assert scores[0][2] is None


def test_large_files_have_the_pixel_size_of_the_table(predictor, model, tables, area):
    write_tiff(area / "1.tif", discs(side=150, n=9, seed=1)[0])
    table = tables.of(["a", "b", "c"], Path=["1.tif"] * 3, **{"Pixel_size_(µm)": [0.5, 2.0, None]})
    found, objects = in_blocks(predictor).execute([model, table], data_area=area)
    n, areas = len(cells(objects, "Area (px)")) // 3, cells(objects, "Area (px)")
    in_um = cells(objects, "Area (µm²)")
    assert in_um[:n] == pytest.approx([value * 0.25 for value in areas[:n]])
    assert in_um[n : 2 * n] == pytest.approx([value * 4 for value in areas[:n]])
    assert in_um[2 * n :] == [None] * n
    labels = [read_image(path) for path in cells(found, "Labels")]
    assert [one.pixel_size_um for one in labels] == [0.5, 2.0, None]


def damaged(path):
    """Write a large TIFF file of which a part cannot be read."""
    tifffile.imwrite(path, discs(side=150, n=9)[0], compression="zlib", rowsperstrip=16)
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[5]
    content = bytearray(path.read_bytes())
    content[start : start + 50] = bytes(50)
    path.write_bytes(content)


def test_large_files_that_cannot_be_read_stop_or_are_skipped(
    predictor, model, tables, area, monkeypatch
):
    from microshot.data import windows

    damaged(area / "bad.tif")
    write_tiff(area / "good.tif", discs(side=150, n=9, seed=1)[0])
    table = tables.of(["a", "b", "c"], Path=["good.tif", "bad.tif", "good.tif"])
    sources, opened = [], windows.opened
    monkeypatch.setattr(windows, "opened", lambda *a: sources.append(opened(*a)) or sources[-1])
    with pytest.raises(NodeFailure, match=r'Row "b", column "Path": .*bad.tif": the TIFF'):
        in_blocks(predictor).execute([model, table], data_area=area)
    assert all(source._file.filehandle.closed for source in sources)
    node = in_blocks(predictor)
    node.set("unreadable", "SKIP")
    node.set("label_folder", "skipped")
    found, _ = node.execute([model, table], data_area=area)
    assert [n is None for n in cells(found, "Objects")] == [False, True, False]
    assert "1 row was skipped because the image could not be read, the first: Row" in "".join(
        node.warnings
    )
    assert sorted(p.name for p in (area / "skipped").iterdir()) == ["a.tif", "c.tif"]


def test_after_a_cancel_small_images_are_not_in_the_way_of_large_ones(
    predictor, model, tables, area
):
    write_tiff(area / "small.tif", discs(n=2)[0])
    write_tiff(area / "large.tif", discs(side=150, n=9, seed=1)[0])
    (area / "found").mkdir()
    (area / "found" / "mine.tif").write_text("mine")
    table = tables.of(["a", "b", "c"], Path=["small.tif", "small.tif", "large.tif"])
    node = in_blocks(predictor)
    with pytest.raises(NodeFailure, match="Canceled"):
        node.execute(
            [model, table], data_area=area,
            is_cancelled=lambda: any("network, block" in (m or "") for _, m in node.progress),
        )  # fmt: skip
    assert sorted(p.name for p in (area / "found").iterdir()) == [".c.tif.unfinished", "mine.tif"]
    found, _ = node.execute([model, table], data_area=area)
    assert all(cells(found, "Objects"))
    names = ["a.tif", "b.tif", "c.tif", "mine.tif"]
    assert sorted(p.name for p in (area / "found").iterdir()) == names


def test_a_long_table_passes_through_without_piling_up(predictor, model, tables, monkeypatch):
    """Images, predictions and rows of objects are let go as soon as they are written."""
    import gc
    import weakref

    from microshot import api
    from microshot.nodes import prediction_rows
    from microshot.tasks.segmenting.segmentation import Segmentation

    alive: weakref.WeakSet = weakref.WeakSet()
    most = [0]

    class Fake(api.Predictor):
        def __call__(self, sample, progress=None):
            labels = np.zeros(sample.image.shape, np.int32)
            labels[2:5, 2:5], labels[6:8, 6:8] = 1, 2
            found = Segmentation(labels, np.array([0.9, 0.8], np.float32))
            alive.add(found)
            alive.add(sample)
            most[0] = max(most[0], len(alive))
            return found

    monkeypatch.setattr(api, "Predictor", Fake)
    n, small = 300, np.full((9, 9), 7, np.uint16)
    found, objects = predictor.execute([model, tables.of(Image=[small] * n)])
    assert (found.num_rows, objects.num_rows) == (n, 2 * n)
    assert len(set(row_ids(objects))) == 2 * n
    gc.collect()
    assert most[0] <= 2 * (prediction_rows.MAX_SHOWN + 8)
