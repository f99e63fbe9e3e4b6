"""Label images of large images as files."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import tifffile

from microshot.data.windows import opened
from microshot.inference.blocks import Rect
from microshot.large import label_files
from microshot.large.journal import Journal
from microshot.large.label_files import write_large_labels
from microshot.progress import silent


@pytest.fixture
def journal(tmp_path):
    """Return a journal whose only object is the last pixel of 30 x 40."""
    return Journal.opened(tmp_path / "job", {}, (30, 40), restart=False)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.zarr"])
@pytest.mark.parametrize(("greatest", "dtype"), [(65535, np.uint16), (65536, np.uint32)])
def test_ids_keep_their_numbers_and_pixels_their_size(name, greatest, dtype, journal) -> None:
    journal.paint(Rect(29, 39, 30, 40), np.array([[greatest]]))
    out = journal.folder.parent / name
    write_large_labels(out, journal, greatest, 0.25, silent)
    with closing(opened(out)) as source:
        labels = source.stored(slice(0, 30), slice(0, 40))[0]
        assert source.facts.pixel_size_um == 0.25
    if name.endswith(".tif"):
        with tifffile.TiffFile(out) as tif:
            told = tif.ome_metadata
        assert all(f'PhysicalSize{axis}="0.25"' in told for axis in "XY")
    assert labels.dtype == dtype
    assert labels[29, 39] == labels.sum(dtype=np.int64) == greatest


@pytest.mark.parametrize(("most", "big"), [(30 * 40 * 2, False), (30 * 40 * 2 - 1, True)])
def test_files_too_large_for_tiff_are_bigtiff(most, big, journal, monkeypatch) -> None:
    assert (
        0.9 * 2**32 < label_files.BIG_BYTES < 0.95 * 2**32
    )  # TIFF ends at 2**32 with all it holds
    monkeypatch.setattr(label_files, "BIG_BYTES", most)
    write_large_labels(journal.folder.parent / "a.tif", journal, 1, None, silent)
    with tifffile.TiffFile(journal.folder.parent / "a.tif") as tif:
        assert tif.is_bigtiff == big
