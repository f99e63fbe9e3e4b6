"""Generate Synthetic Images: exact labels, marked as synthetic, the same for the same seed."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile
from node_tables import arrays, cells, row_ids, spec_of

from microshot import __version__
from microshot.headless.standin import NodeFailure
from microshot.synth import fit_styles
from tiny_images import discs, page_text

COLUMNS = ["Image", "Label", "Count", "Domain", "Kind", "Seed", "Version"]


def generator(host, n=5, **settings):
    node = host.node("generate_synthetic")
    for name, value in {"n": n, "height_px": 64, "width_px": 48, "fit": False, **settings}.items():
        node.set(name, value)
    return node


def test_every_image_has_exact_labels_a_count_and_the_domain_synthetic(host):
    node = generator(host)
    (announced,) = node.configure([None])
    (table,) = node.execute([None])
    assert announced.columns == table.spec.columns
    assert table.column_names == COLUMNS
    assert row_ids(table) == [f"Row{i}" for i in range(5)]
    for image, label, count in zip(
        arrays(table, "Image"), arrays(table, "Label"), cells(table, "Count"), strict=True
    ):
        assert image.shape == label.shape == (64, 48)
        assert count == len(np.unique(label[label > 0])) == label.max()
    assert set(cells(table, "Domain")) == {"synthetic"}
    assert set(cells(table, "Kind")) == {"mixed"}
    assert set(cells(table, "Version")) == {f"Microshot {__version__}"}
    assert "Where these results come from" in page_text(node.view_html)
    assert node.warnings == []


def test_tables_come_in_batches_of_32_and_the_view_says_that_it_shows_the_first(host):
    node = generator(host, n=33, height_px=16, width_px=16)
    (table,) = node.execute([None])
    assert table.batch_sizes == [32, 1]
    text = page_text(node.view_html)
    assert "first 24 of 33 images" in text
    assert "Random seed" in text


def test_an_image_depends_on_seed_and_number_only(host):
    (few,) = generator(host, n=1).execute([None])
    (more,) = generator(host, n=3).execute([None])
    (other,) = generator(host, n=1, seed=7).execute([None])
    np.testing.assert_array_equal(arrays(few, "Image")[0], arrays(more, "Image")[0])
    assert not np.array_equal(arrays(few, "Image")[0], arrays(other, "Image")[0])
    assert cells(other, "Seed") == [7]


def test_reference_images_give_their_object_size(host, tables):
    node = generator(host, n=4, scene="FLUORESCENCE_NUCLEI", height_px=96, width_px=96)
    (plain,) = node.execute([None])
    node = generator(host, n=4, scene="FLUORESCENCE_NUCLEI", height_px=96, width_px=96)
    table = tables.images(3)
    (like,) = node.execute([table])
    assert node.settings["image_column"] == "Image"
    areas = [
        np.median([np.count_nonzero(label == i) for label in arrays(made, "Label")
                   for i in range(1, label.max() + 1)])
        for made in (plain, like)
    ]  # fmt: skip
    disc = np.count_nonzero(discs()[1] == 1)
    assert abs(np.log(areas[1] / disc)) < abs(np.log(areas[0] / disc))
    assert "for comparison" in page_text(node.view_html)


def test_a_reference_that_cannot_be_read_is_left_out_with_a_warning(host, tables):
    node = generator(host, n=1)
    pixels, labels = discs()
    table = tables.of(Image=[pixels, None, pixels], Label=[labels, labels, discs(side=64)[1]])
    node.execute([table])
    (warning,) = node.warnings
    assert "1 row was skipped because the image is missing." in warning
    assert "1 row was skipped because the image could not be read, the first: row 2" in warning


def test_label_images_are_not_read_where_none_are_chosen(host, tables):
    labels = [discs(side=64)[1]] * 3  # of another size than the images
    table = tables.of(Image=[discs()[0]] * 3, Label=labels)
    node = generator(host, n=1, label_column="<none>")
    node.execute([table])
    assert not any("could not be read" in warning for warning in node.warnings)


@pytest.mark.parametrize(
    ("settings", "columns", "words"),
    [
        ({}, {"Area": "number"}, "no image column"),
        ({"image_column": "Area"}, {"Area": "number", "Image": "png"}, "cannot be the image"),
        ({"label_column": "Gone"}, {"Image": "png"}, 'label column "Gone" is not in the input'),
    ],
)
def test_reference_columns_that_do_not_fit_are_refused_before_it_runs(
    host, settings, columns, words
):
    node = generator(host, **settings)
    with pytest.raises(NodeFailure, match=words) as caught:
        node.configure([spec_of(**columns)])
    assert caught.value.invalid_settings


def test_numbers_out_of_range_are_refused_when_the_dialog_is_applied(host):
    with pytest.raises(NodeFailure, match="must be at least 1, found 0"):
        generator(host, n=0)


def test_progress_counts_images_and_cancel_stops(host):
    node = generator(host)
    node.execute([None])
    assert [m for _, m in node.progress] == [f"image {i} of 5" for i in range(1, 6)]
    asked = iter([False, False, True])
    with pytest.raises(NodeFailure, match="Canceled") as caught:
        node.execute([None], is_cancelled=lambda: next(asked, True))
    assert caught.value.cancelled


def test_fitted_images_are_shown_beside_the_real_ones_with_their_distance(
    host, tables, monkeypatch
):
    for name, value in {"N_RANDOM": 6, "N_CHILDREN": 2, "N_PARENTS": 2, "N_ROUNDS": 1}.items():
        monkeypatch.setattr(fit_styles, name, value)
    node = generator(host, n=3, scene="FLUORESCENCE_NUCLEI", fit=True)
    table = tables.images(3)
    (made,) = node.execute([table])
    text = page_text(node.view_html)
    assert "Real and generated images, for comparison" in text
    distance = re.search(r"([\d.]+) before following them, ([\d.]+) after", text)
    assert distance
    assert float(distance[2]) < float(distance[1])
    assert "Object diameter" in text
    assert arrays(made, "Image")[0].dtype == arrays(table, "Image")[0].dtype


def test_counts_of_the_reference_images_are_matched(host, tables):
    node = generator(
        host, n=40, height_px=48, scene="FLUORESCENCE_NUCLEI", count_law="REFERENCE",
        diameter_px=8.0,
    )  # fmt: skip
    pixels, _ = discs()
    (made,) = node.execute([tables.of(Image=[pixels] * 3, Cells=[1, 1, 4])])
    assert set(cells(made, "Count")) == {1, 4}


def test_published_images_have_128_pixels_and_1_to_30_cells(host):
    node = generator(host, n=6, scene="LEGACY_PHASE_CONTRAST", height_px=0, width_px=0)
    (made,) = node.execute([None])
    assert {image.shape for image in arrays(made, "Image")} == {(128, 128)}
    assert all(1 <= n <= 30 for n in cells(made, "Count"))


def test_a_law_without_its_mean_is_refused_when_the_dialog_is_applied(host):
    with pytest.raises(NodeFailure, match="needs a mean number of objects, found 0"):
        generator(host, count_law="POISSON").configure([None])


def test_images_without_room_for_all_objects_are_told_of(host):
    node = generator(host, n=3, mean_count=400.0, count_law="FIXED", diameter_px=20.0)
    (table,) = node.execute([None])
    counts = cells(table, "Count")
    assert max(counts) < 400
    (warning,) = node.warnings
    assert "3 images of 3 had no room for all objects asked for" in warning
    assert f"Row0: room for {counts[0]} of the 400 objects" in warning
    assert warning in page_text(node.view_html)


def test_the_view_calls_images_and_stains_as_the_table_does(host):
    node = generator(host, n=2, scene="ADIPOCYTE_STACK", height_px=64, width_px=64)
    (table,) = node.execute([None])
    shown = page_text(node.view_html)
    for row in row_ids(table):
        assert row in shown
    assert "nuclei" in shown
    assert "measured" not in shown


def test_images_follow_references_of_decimal_numbers_in_16_bits(host, tables, tmp_path):
    paths = []
    for i in range(3):
        paths.append(str(tmp_path / f"{i}.tif"))
        tifffile.imwrite(paths[-1], discs(seed=i)[0].astype(np.float32) / 3000 - 0.5)
    node = generator(host, n=2, scene="FLUORESCENCE_NUCLEI")
    (made,) = node.execute([tables.of(Image=paths)])
    assert {image.dtype for image in arrays(made, "Image")} == {np.dtype(np.uint16)}
    assert 3000 < np.median(arrays(made, "Image")) < 12_000
    assert any("decimal numbers were stretched to 16 bits" in line for line in node.warnings)


def test_a_table_without_any_reference_image_is_told(host, tables):
    node = host.node("generate_synthetic")
    for name, value in {"n": 1, "height_px": 32, "width_px": 32}.items():
        node.set(name, value)
    node.execute([tables.of(Image=[])])
    assert node.warnings == [
        "The table of reference images holds none that can be read: none is followed."
    ]
