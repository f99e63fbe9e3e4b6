"""Parts of large images: the same numbers as reading the whole, whatever the layout of the file."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import closing

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.data.image import COLOURS, channel_of
from microshot.data.read import read_image
from microshot.data.scale import resize_image, resize_window
from microshot.data.windowed import one_channel
from microshot.data.windows import image_of, is_large, is_zarr, opened, pixels_of
from microshot.data.zarr_images import write_zarr_labels

LAYOUTS = {
    "plain": {},
    "tiled": {"tile": (32, 16)},
    "compressed tiles": {"tile": (32, 32), "compression": "zlib", "predictor": True},
    "compressed strips": {"rowsperstrip": 7, "compression": "zlib"},
    "big endian": {"byteorder": ">"},
    "big tiff": {"bigtiff": True, "tile": (16, 16)},
}
PLACES = [np.s_[0:50, 0:70], np.s_[13:14, 30:69], np.s_[31:50, 15:18]]


def noise(*shape: int, dtype: type = np.uint16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 250, shape).astype(dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "options"),
    [((50, 70), {}), ((3, 50, 70), {}), ((50, 70, 3), {"photometric": "rgb"}),
     ((3, 50, 70), {"photometric": "rgb", "planarconfig": "separate"})],
)  # fmt: skip
def test_a_part_is_what_the_whole_holds_there(layout, shape, options, tmp_path) -> None:
    more = {"photometric": "minisblack", **LAYOUTS[layout], **options}
    tifffile.imwrite(tmp_path / "a.tif", noise(*shape), **more)
    whole = read_image(tmp_path / "a.tif")
    with closing(opened(tmp_path / "a.tif")) as source:
        source.check()
        assert source.facts.shape == whole.pixels.shape
        for rows, columns in PLACES:
            part = pixels_of(source, rows, columns)
            assert part.dtype == whole.pixels.dtype
            assert np.array_equal(part, whole.pixels[:, rows, columns])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, bool])
def test_numbers_become_what_they_become_in_a_whole_image(dtype, tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(50, 70, dtype=dtype), tile=(16, 16))
    with closing(opened(tmp_path / "a.tif")) as source:
        part = pixels_of(source, *PLACES[0])
    whole = read_image(tmp_path / "a.tif").pixels
    assert part.dtype == whole.dtype
    assert np.array_equal(part, whole)


def test_the_pixel_size_and_the_order_of_an_ome_stack_are_kept(tmp_path) -> None:
    stack, metadata = noise(2, 3, 50, 70), {"axes": "CZYX", "PhysicalSizeX": 0.25}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata=metadata, tile=(16, 16))
    with closing(opened(tmp_path / "a.ome.tif")) as source:
        part = image_of(source, *PLACES[1])
    assert part.pixel_size_um == 0.25
    assert np.array_equal(part.pixels, stack.reshape(6, 50, 70)[:, 13:14, 30:69])


OME = {"axes": "CYX", "Channel": {"Name": ["GFP", "DAPI"]}}
IMAGEJ = {"axes": "CYX", "Labels": ["GFP", "DAPI"]}


@pytest.mark.parametrize(
    ("shape", "options", "names"),
    [((2, 50, 70), {"ome": True, "metadata": OME}, ("GFP", "DAPI")),
     ((2, 2, 50, 70), {"ome": True, "metadata": {**OME, "axes": "ZCYX"}}, ()),
     ((2, 50, 70), {"imagej": True, "metadata": IMAGEJ}, ("GFP", "DAPI")),
     ((3, 50, 70), {"photometric": "minisblack"}, ()),
     ((50, 70, 3), {"photometric": "rgb"}, COLOURS)],
)  # fmt: skip
def test_channels_are_called_as_in_the_whole_image(shape, options, names, tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(*shape), **options)
    whole = read_image(tmp_path / "a.tif")
    with closing(opened(tmp_path / "a.tif")) as source:
        assert image_of(source, *PLACES[1]).channels == names
        for name in names:
            one = image_of(one_channel(source, name.lower()), *PLACES[0])
            expected = channel_of(whole, name, "a.tif")
            assert one.channels == expected.channels == (name,)
            assert np.array_equal(one.pixels, expected.pixels)


@pytest.mark.parametrize(
    ("shown", "names"),
    [({"channels": [{"label": "GFP"}, {"label": "DAPI"}]}, ("GFP", "DAPI")),
     ({"channels": [{"label": "GFP"}]}, ()),
     ({"channels": [{"label": "GFP"}, {}]}, ()),
     ({"channels": 2}, ()),
     ([], ())],
)  # fmt: skip
def test_channels_of_ome_zarr_are_called_as_viewers_call_them(shown, names, tmp_path) -> None:
    import zarr

    group = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="w", zarr_format=3)
    group.create_array("0", data=noise(2, 50, 70))
    group.attrs["ome"] = {"multiscales": [{"datasets": [{"path": "0"}]}], "omero": shown}
    with closing(opened(tmp_path / "a.ome.zarr")) as source:
        assert source.facts.channels == names


def test_what_cannot_be_read_in_parts_is_said_in_one_sentence(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(50, 70, dtype=np.int32))
    with (
        closing(opened(tmp_path / "a.tif")) as source,
        pytest.raises(ValueError, match="found int32"),
    ):
        source.check()
    tifffile.imwrite(tmp_path / "b.tif", np.full((50, 70), np.nan, np.float32))
    with (
        closing(opened(tmp_path / "b.tif")) as source,
        pytest.raises(ValueError, match="rows from 31"),
    ):
        pixels_of(source, *PLACES[2])
    with pytest.raises(FileNotFoundError, match="check the path"):
        opened(tmp_path / "none.tif")


def test_a_part_of_a_colour_image_with_transparency_costs_no_more_than_itself(tmp_path) -> None:
    pixels = noise(500, 600, 4, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    with closing(opened(tmp_path / "a.tif")) as source:
        tracemalloc.start()
        part = source.stored(slice(7, 30), slice(100, 150))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert np.array_equal(part, np.moveaxis(pixels[7:30, 100:150, :3], -1, 0))
    assert peak < pixels.nbytes / 4


def test_of_several_images_in_a_file_none_is_chosen_but_overviews_are_left_out(tmp_path) -> None:
    for name, further in (("two.tif", (70, 50)), ("overview.tif", (25, 35))):
        with tifffile.TiffWriter(tmp_path / name) as tif:
            tif.write(noise(50, 70), photometric="minisblack")
            tif.write(noise(*further), photometric="minisblack")
    with closing(opened(tmp_path / "overview.tif")) as source:
        assert source.facts.shape == (1, 50, 70)
    for read in (opened, read_image):
        with pytest.raises(ValueError, match="expected one image, found 2"):
            read(tmp_path / "two.tif")


def test_only_large_tiff_files_are_large(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(50, 70))
    (tmp_path / "b.png").write_bytes(b"no TIFF")
    assert is_large(tmp_path / "a.tif", 0.0034)
    assert not is_large(tmp_path / "a.tif", 0.0035)
    assert not is_large(tmp_path / "b.png", 0)


@pytest.mark.parametrize("axes", ["cyx", "cxy", "yxc", "xyc", "names"])
def test_axes_of_ome_zarr_are_those_that_it_names(axes, tmp_path) -> None:
    import zarr

    pixels, order = noise(2, 50, 70, dtype=np.uint16), axes if axes != "names" else "cyx"
    named = [{"name": a, "unit": "nanometer"} for a in order] if axes != "names" else list(order)
    sides = {"c": 1, "y": 250, "x": 250}
    own = {
        "axes": named,
        "datasets": [{"path": "0", "coordinateTransformations": [scale(sides[a] for a in order)]}],
        "coordinateTransformations": [scale(1 if a == "c" else 2 for a in order)],
    }
    group = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="w", zarr_format=3)
    stored = np.ascontiguousarray(pixels.transpose(["cyx".index(a) for a in order]))
    group.create_array("0", data=stored, chunks=(2, 16, 16) if order[0] == "c" else (16, 16, 2))
    group.attrs["ome"] = {"multiscales": [own]}
    with closing(opened(tmp_path / "a.ome.zarr")) as source:
        assert source.facts.shape == (2, 50, 70)
        assert source.facts.pixel_size_um == (None if axes == "names" else pytest.approx(0.5))
        part = pixels_of(source, slice(3, 40), slice(20, 70))
    assert np.array_equal(part, pixels[:, 3:40, 20:70])


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_that_was_cut_off_is_told_also_where_its_decoder_reads_on_behind_it(
    version, tmp_path
) -> None:
    import numcodecs
    import zarr
    from zarr.codecs import BloscCodec

    blosc = BloscCodec(cname="lz4", shuffle="noshuffle")
    if version == 2:
        blosc = numcodecs.Blosc(cname="lz4", shuffle=0)
    pixels, folder = noise(50, 70), tmp_path / "a.zarr"
    pixels = pixels * 250 + noise(50, 70)[::-1]  # what cannot be compressed
    array = zarr.create_array(
        str(folder), shape=(50, 70), dtype="u2", chunks=(20, 30), compressors=blosc,
        zarr_format=version, fill_value=7,
    )  # fmt: skip
    array[...] = pixels
    chunk = folder.joinpath(*(["c", "1", "2"] if version == 3 else ["1.2"]))
    with closing(opened(folder)) as source:
        assert np.array_equal(source.stored(slice(0, 50), slice(0, 70))[0], pixels)
        chunk.write_bytes(chunk.read_bytes()[:-1])
        whole = pixels_of(source, slice(0, 40), slice(0, 60)), pixels_of(source, *np.s_[40:50, 60:])
        assert np.array_equal(whole[0][0], pixels[:40, :60])
        assert np.array_equal(whole[1][0], pixels[40:, 60:])
        for rows, columns in (np.s_[39:40, 60:61], np.s_[0:21, 0:70]):
            with pytest.raises(ValueError, match=r"a\.zarr.*1.2 is cut off.*copy it again"):
                source.stored(rows, columns)
        chunk.unlink()  # as the format says: all of it is of the same value
        assert (source.stored(slice(20, 40), slice(60, 70)) == 7).all()


def scale(sides) -> dict:
    return {"type": "scale", "scale": list(sides)}


@pytest.mark.parametrize("pixel_size", [None, 0.5])
def test_ome_zarr_is_read_and_written_with_its_scale(pixel_size, tmp_path) -> None:
    labels, folder = noise(50, 70, dtype=np.uint32), tmp_path / "a.ome.zarr"
    parts = [((rows, slice(0, 70)), labels[rows]) for rows in (slice(0, 20), slice(20, 50))]
    write_zarr_labels(folder, (50, 70), np.dtype(np.uint16), parts, pixel_size)
    assert is_zarr(folder)
    multiscale = json.loads((folder / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][
        0
    ]
    assert [axis["name"] for axis in multiscale["axes"]] == ["y", "x"]
    with closing(opened(folder)) as source:
        source.check()
        part = image_of(source, *PLACES[1])
    assert part.pixel_size_um == pixel_size
    assert np.array_equal(part.pixels[0], labels[PLACES[1]])


@settings(max_examples=30, deadline=None)
@given(st.data(), st.integers(1, 40), st.integers(1, 40), st.floats(0.15, 2.0))
def test_a_window_of_a_resampled_image_is_that_window_of_the_whole(
    data, height, width, scale
) -> None:
    image = np.random.default_rng(1).normal(size=(2, height, width)).astype(np.float32)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    whole = resize_image(image, shape)
    (top, bottom), (left, right) = (
        sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True)))
        for n in shape
    )
    rows, columns = slice(top, bottom), slice(left, right)
    part = resize_window(lambda y, x: image[:, y, x], image.shape[1:], shape, rows, columns)
    assert np.allclose(part, whole[:, rows, columns], atol=1e-4)
