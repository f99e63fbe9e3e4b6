"""Microscopy Image Reader: measured stains beside bright-field stacks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from node_tables import arrays, cells, write_tiff

from microshot.headless.standin import NodeFailure

OWN = ["Image", "Label", "Count", "File", "Pixel size (µm)"]


@pytest.fixture
def reader(host):
    node = host.node("read_images")
    node.set("stains", "nuclei, lipids")
    return node


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 60000, shape).astype(np.uint16)


def fill(folder, n=2, planes=(7,)):
    """Write stacks with two stains each."""
    for i in range(n):
        write_tiff(folder / "images" / f"Feld_{i}.tif", pixels(i, *planes, 8, 9))
        for k, stain in enumerate(("nuclei", "lipids")):
            write_tiff(folder / "targets" / f"Feld_{i}_{stain}.tif", pixels(10 + 2 * i + k, 8, 9))


def test_stains_get_a_column_each_as_paths_beside_stacks(reader, area):
    fill(area / "images")
    reader.set("form", "PATH")
    (announced,) = reader.configure([None])
    (table,) = reader.execute([None], data_area=area)
    assert announced.columns == table.spec.columns
    assert table.column_names == [*OWN, "nuclei", "lipids"]
    folder = area / "images" / "targets"
    assert cells(table, "nuclei") == [str(folder / f"Feld_{i}_nuclei.tif") for i in range(2)]
    assert reader.warnings == []


def test_stains_of_single_planes_are_images_in_the_table(reader, area):
    fill(area / "pairs", planes=())
    reader.set("folder", "pairs/images")
    (table,) = reader.execute([None], data_area=area)
    np.testing.assert_array_equal(arrays(table, "lipids")[1], pixels(13, 8, 9))


def test_an_image_without_a_stain_stays_in_and_is_told(reader, area):
    fill(area / "images", planes=())
    (area / "images" / "targets" / "Feld_0_lipids.tif").unlink()
    (table,) = reader.execute([None], data_area=area)
    assert arrays(table, "lipids")[0] is None
    assert reader.warnings == ["Images without the stain lipids: 1."]


@pytest.mark.parametrize(
    ("stains", "words"),
    [("nuclei, Nuclei", '"Nuclei" is named twice'), ("label", '"label" is named twice or like')],
)
def test_names_must_be_unique(reader, stains, words):
    reader.set("stains", stains)
    with pytest.raises(NodeFailure, match=words) as caught:
        reader.configure([None])
    assert caught.value.invalid_settings


@pytest.mark.parametrize("form", ["PNG", "PATH"])
def test_images_to_work_on_need_no_stains(reader, area, form):
    write_tiff(area / "images" / "images" / "a.tif", pixels(0, 8, 9))
    reader.set("form", form)
    for _ in range(2):
        (table,) = reader.execute([None], data_area=area)
        assert cells(table, "nuclei") == cells(table, "lipids") == [None]
        (told,) = reader.warnings
        assert re.fullmatch(r'No measured stains: ".*images" has none in a subfolder .*', told)
        (area / "images" / "targets").mkdir(exist_ok=True)


def test_what_is_missing_or_does_not_fit_is_named(reader, area):
    write_tiff(area / "images" / "a.tif", pixels(0, 8, 9))
    write_tiff(area / "images" / "stains" / "a_nuclei.tif", pixels(1, 8, 8))
    with pytest.raises(NodeFailure, match=r'the stain "lipids".*call it a_lipids\.tif'):
        reader.execute([None], data_area=area)
    reader.set("stains", "nuclei")
    with pytest.raises(NodeFailure, match=r"a_nuclei\.tif: .* expected 8 x 9 px, found 1 plane"):
        reader.execute([None], data_area=area)
    write_tiff(area / "images" / "stains" / "a_nuclei.tif", np.ones((8, 9), np.float32) / 3)
    with pytest.raises(NodeFailure, match="decimal numbers do not fit into a PNG image"):
        reader.execute([None], data_area=area)
