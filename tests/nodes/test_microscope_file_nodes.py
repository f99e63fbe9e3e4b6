"""Files of microscopes in the nodes: each image in them is a row, or is named by a path cell."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from node_tables import arrays, cells, write_png, write_tiff

from microscope_writers import noise, write_czi, write_lif, write_nd2
from microshot.data.microscope_files import KINDS
from microshot.headless.standin import NodeFailure
from tiny_images import discs

for kind in KINDS.values():
    pytest.importorskip(kind.package, reason=f"{kind.package} is not installed")


def fields(n, side=64):
    return [discs(side=side, n=i + 2, seed=i) for i in range(n)]


def stacks(made):
    return [pixels[None, None, None] for pixels, _ in made]


def test_every_image_of_a_folder_of_such_files_is_a_row_with_its_label(host, area):
    made = fields(3)
    (area / "images").mkdir()
    write_lif(area / "images" / "exp.lif", dict(zip("abc", stacks(made), strict=True)), size_um=0.5)
    write_nd2(area / "images" / "one.nd2", stacks(made)[:1])
    write_png(area / "labels" / "exp 2.png", made[1][1])
    reader = host.node("read_images")
    (table,) = reader.execute([None], data_area=area)
    assert cells(table, "File") == ["exp.lif#2", "exp.lif#1", "exp.lif#3", "one.nd2"]
    for found, i in zip(arrays(table, "Image"), (1, 0, 2, 0), strict=True):
        np.testing.assert_array_equal(found, made[i][0])
    labels = arrays(table, "Label")
    assert labels[1:] == [None] * 3
    np.testing.assert_array_equal(labels[0], made[1][1])
    assert cells(table, "Pixel size (µm)") == pytest.approx([0.5] * 4)


def test_paths_name_one_image_of_several_and_stacks_stay_paths(host, tables, model, area):
    made = fields(3)
    write_czi(area / "a.czi", stacks(made))
    write_tiff(area / "a.tif", made[1][0])
    address = "knime://knime.workflow/data/a.czi#2"
    table = tables.of(["a", "b", "c"], Path=["a.czi#2", address, "a.tif"])
    predictor = host.node("predict")
    predictor.set("device", "CPU")
    found, _ = predictor.execute([model, table], data_area=area)
    assert cells(found, "Objects") == [3, 3, 3]
    for labels in arrays(found, "Labels")[:2]:
        np.testing.assert_array_equal(labels, arrays(found, "Labels")[2])
    whole = tables.of(["all"], Path=["a.czi"])
    said = r'Row "all", column "Path".*a\.czi": expected a file of one image, found 3 in it'
    with pytest.raises(NodeFailure, match=said):
        host.node("predict").execute([model, whole], data_area=area)
    write_lif(area / "images.lif", {"a": noise((1, 3, 2, 20, 21), np.uint16)})
    reader = host.node("read_images")
    with pytest.raises(NodeFailure, match='choose "Paths"'):
        reader.execute([tables.of(["a"], Path=["images.lif"])], data_area=area)
    reader = host.node("read_images")
    reader.set("form", "PATH")
    (read,) = reader.execute([tables.of(["a"], Path=["images.lif"])], data_area=area)
    assert cells(read, "Image") == [str(area / "images.lif")]


def test_large_images_of_such_files_are_worked_through_block_by_block(host, tables, model, area):
    pixels = discs(side=150, n=9, seed=1)[0]
    write_tiff(area / "a.tif", pixels)
    write_czi(area / "a.czi", [pixels[None, None, None]] * 2, tile=64)
    node = host.node("predict")
    for name, value in (
        ("device", "CPU"), ("label_form", "TIFF"), ("label_folder", "found"), ("large_mpx", 0.01),
        ("tile_px", 256),
    ):  # fmt: skip
        node.set(name, value)
    table = tables.of(["a", "b"], Path=["a.tif", "a.czi#2"])
    found, _ = node.execute([model, table], data_area=area)
    assert len(set(cells(found, "Objects"))) == 1
    np.testing.assert_array_equal(*map(tifffile.imread, cells(found, "Labels")))
