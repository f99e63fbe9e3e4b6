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
from microshot.data.tiff_windows import TiffWindows
from microshot.data.windowed import OneChannel, one_channel
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
    axes = '{"shape": [5, 50, 70], "axes": "ABC"}'
    tifffile.imwrite(tmp_path / "c.tif", noise(5, 50, 70), metadata=None, description=axes)
    with pytest.raises(ValueError, match=r'c.tif": the TIFF file is damaged or of a kind'):
        opened(tmp_path / "c.tif")


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


@pytest.mark.parametrize("layout", ["plain", "tiled", "zarr"])
@pytest.mark.parametrize("shape", [(30, 50, 70), (2, 15, 50, 70), (10, 50, 70, 3)])
def test_of_many_channels_only_the_one_that_is_looked_at_is_read(layout, shape, tmp_path) -> None:
    pixels, path = noise(*shape), tmp_path / f"a.{'zarr' if layout == 'zarr' else 'tif'}"
    whole = np.moveaxis(pixels, -1, 1) if shape[-1] == 3 else pixels
    if layout == "zarr":
        import zarr

        zarr.create_array(str(path), data=whole, chunks=(1,) * (whole.ndim - 2) + (25, 35))
    else:
        kind = "rgb" if shape[-1] == 3 else "minisblack"
        tifffile.imwrite(path, pixels, photometric=kind, **LAYOUTS[layout])
    whole = whole.reshape(30, 50, 70)
    with closing(opened(path)) as source:
        for place in PLACES:
            for index in (0, 17, 29):
                part = pixels_of(OneChannel(source, index), *place)
                assert np.array_equal(part, whole[index : index + 1, *place])
        if layout == "tiled":
            assert len({page for page, _ in source._cache}) == 3


def test_tiles_that_a_file_leaves_out_are_zero(tmp_path) -> None:
    tiles = [noise(16, 32) + 1, None, None, noise(16, 32) + 2]
    tifffile.imwrite(
        tmp_path / "a.tif", iter(tiles), shape=(30, 50), dtype=np.uint16, tile=(16, 32),
        compression="zlib", photometric="minisblack",
    )  # fmt: skip
    expected = np.zeros((30, 50), np.uint16)
    expected[:16, :32], expected[16:, 32:] = noise(16, 32) + 1, (noise(16, 32) + 2)[:14, :18]
    with closing(opened(tmp_path / "a.tif")) as source:
        assert np.array_equal(pixels_of(source, slice(0, 30), slice(0, 50))[0], expected)
        assert np.array_equal(pixels_of(source, *np.s_[10:20, 30:40])[0], expected[10:20, 30:40])


def test_transparency_that_lies_apart_is_dropped_from_a_part(tmp_path) -> None:
    pixels = noise(4, 50, 70, dtype=np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="rgb", planarconfig="separate",
        extrasamples=["unassalpha"], compression="zlib", rowsperstrip=7,
    )  # fmt: skip
    with closing(opened(tmp_path / "a.tif")) as source:
        assert np.array_equal(pixels_of(source, *PLACES[1]), pixels[:3, *PLACES[1]])


def test_no_more_tiles_are_kept_in_memory_than_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("microshot.data.tiff_windows.CACHE_BYTES", 1100)
    tifffile.imwrite(tmp_path / "a.tif", noise(50, 70), tile=(16, 16), compression="zlib")
    with closing(TiffWindows(tmp_path / "a.tif", "a")) as source:
        for place in (*PLACES, *PLACES):
            assert np.array_equal(source.stored(*place)[0], noise(50, 70)[place])
            assert len(source._cache) == 2  # of 512 bytes each


@pytest.mark.parametrize(("most", "said"), [(20_999, "compressed in one piece"), (21_000, "")])
def test_an_image_that_is_one_large_piece_is_refused(most, said, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("microshot.data.tiff_windows.MAX_SEGMENT_BYTES", most)
    pixels = noise(50, 70, 3)  # 50 * 70 * 3 numbers of 2 bytes
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="rgb", compression="zlib", rowsperstrip=50
    )
    with closing(opened(tmp_path / "a.tif")) as source:
        if not said:
            source.check()
            return
        with pytest.raises(ValueError, match=f"{said}.*save it as tiled TIFF"):
            source.check()


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


@pytest.mark.parametrize(
    ("unit", "steps", "side"),
    [("micrometer", [], None),
     ("micrometer", [{"type": "translation", "translation": [3, 3]}], None),
     ("micrometer", [{"type": "scale", "scale": [0.4, 0.403]}], 0.4),
     ("micrometer", [{"type": "scale", "scale": [0.4, 0.405]}], None),
     ("micrometer", [{"type": "scale", "scale": [1, 0.4, 0.4]}], None),
     ("micrometer", [{"type": "scale", "scale": [0, 0]}], None),
     ("millimeter", [{"type": "scale", "scale": [0.0004, 0.0004]}], 0.4),
     ("parsec", [{"type": "scale", "scale": [0.4, 0.4]}], None),
     (None, [{"type": "scale", "scale": [0.4, 0.4]}], None)],
)  # fmt: skip
def test_the_pixel_size_of_ome_zarr_is_never_guessed(unit, steps, side, tmp_path) -> None:
    import zarr

    group = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=noise(5, 7))
    axes = [{"name": name, "type": "space", **({"unit": unit} if unit else {})} for name in "yx"]
    datasets = [{"path": "0", **({"coordinateTransformations": steps} if steps else {})}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    with closing(opened(tmp_path / "a.ome.zarr")) as source:
        assert source.facts.pixel_size_um == (None if side is None else pytest.approx(side))


def test_the_only_image_of_a_file_that_bioformats2raw_converted_is_read(tmp_path) -> None:
    import zarr

    path, pixels = tmp_path / "a.zarr", noise(5, 7)
    for version in (2, 3):
        root = zarr.open_group(str(path), mode="w", zarr_format=version)
        layout = {"bioformats2raw.layout": 3}
        root.attrs.update(layout if version == 2 else {"ome": {"version": "0.5", **layout}})
        for name in "01":
            if name == "1":
                with closing(opened(path)) as source:
                    np.testing.assert_array_equal(source.stored(slice(5), slice(7))[0], pixels)
                    assert source.files()[-1].is_file()
            series = root.create_group(name)
            series.create_array("0", data=pixels)
            scales = {
                "multiscales": [
                    {"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}
                ]
            }
            series.attrs.update(scales if version == 2 else {"ome": {"version": "0.5", **scales}})
        with pytest.raises(ValueError, match=r"one image in it, such as series\.zarr/0 or"):
            opened(path)


def test_numbers_of_ome_zarr_that_no_part_can_decide_are_refused(tmp_path) -> None:
    import zarr

    zarr.create_array(str(tmp_path / "a.zarr"), data=noise(5, 7, dtype=np.int16))
    with (
        closing(opened(tmp_path / "a.zarr")) as source,
        pytest.raises(ValueError, match=r"a\.zarr.*found int16; save it as 16-bit"),
    ):
        source.check()


@pytest.mark.parametrize("shape", [(0, 7), (5, 0), (0, 5, 7)])
def test_ome_zarr_without_pixels_is_told(shape, tmp_path) -> None:
    import zarr

    zarr.create_array(str(tmp_path / "a.zarr"), shape=shape, dtype="u2", chunks=(5,) * len(shape))
    size = " x ".join(map(str, shape))
    with pytest.raises(
        ValueError, match=f'a.zarr": expected .* one pixel, found an array of {size}'
    ):
        opened(tmp_path / "a.zarr")


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
