"""TIFF in its many kinds: planes in page order, numbers untouched, damage told in one sentence."""

from __future__ import annotations

import struct
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as pillow  # noqa: N813

from microshot.data.label_files import read_labels
from microshot.data.read import read_image
from microshot.data.windows import opened, pixels_of

if TYPE_CHECKING:
    from pathlib import Path

stack = np.random.default_rng(0).integers(0, 60000, (3, 9, 11)).astype(np.uint16)


def saved(path: Path, pixels: np.ndarray = stack, **options: Any) -> Path:
    options.setdefault("photometric", "minisblack")
    tifffile.imwrite(path, pixels, **options)
    return path


def problem_of(path: Path) -> str:
    try:
        read_image(path)
    except ValueError as error:
        return str(error)
    return ""


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "deflate": {"compression": "zlib"},
    "deflate with predictor": {"compression": "zlib", "predictor": True},
    "ImageJ": {"imagej": True, "resolution": (2, 2), "metadata": {"axes": "ZYX", "unit": "um"}},
    "OME": {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.5}},
    "BigTIFF": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "tiled": {"tile": (16, 16)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_pages_in_order(tmp_path: Path, kind: str) -> None:
    image = read_image(saved(tmp_path / "ä ö.tif", **KINDS[kind]))
    assert image.pixels.dtype == np.uint16
    assert np.array_equal(image.pixels, stack)


@pytest.mark.parametrize("kind", KINDS)
def test_truncation_anywhere_gives_one_sentence(tmp_path: Path, kind: str) -> None:
    whole = saved(tmp_path / "whole.tif", **KINDS[kind]).read_bytes()
    cut = tmp_path / "cut.tif"
    for length in range(0, len(whole), 7):
        cut.write_bytes(whole[:length])
        problem = problem_of(cut)
        if problem:
            assert problem.startswith(f'"{cut}"')
            assert "\n" not in problem
        else:  # only unused bytes at the end are missing
            assert length > len(whole) - 20
            assert np.array_equal(read_image(cut).pixels, stack)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(sorted(KINDS)),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damaged_bytes_give_an_image_or_one_sentence(tmp_path: Path, kind: str, changes) -> None:
    damaged = bytearray(saved(tmp_path / "whole.tif", **KINDS[kind]).read_bytes())
    for position, value in changes:
        damaged[position] = value
    path = tmp_path / "damaged.tif"
    path.write_bytes(damaged)
    problem = problem_of(path)
    assert not problem or problem.startswith(f'"{path}"')
    assert "\n" not in problem


def test_channels_slices_and_times_become_channels_in_page_order(tmp_path: Path) -> None:
    pixels = np.arange(2 * 3 * 2 * 4 * 5, dtype=np.uint16).reshape(2, 3, 2, 4, 5)
    for name, options in (("a.ome.tif", {"ome": True}), ("b.tif", {"imagej": True})):
        image = read_image(saved(tmp_path / name, pixels, metadata={"axes": "TZCYX"}, **options))
        assert np.array_equal(image.pixels, pixels.reshape(12, 4, 5))


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_becomes_three_channels_and_transparency_is_dropped(tmp_path, planar: str) -> None:
    colour = np.random.default_rng(1).integers(0, 255, (4, 6, 7)).astype(np.uint8)
    options = {"photometric": "rgb", "planarconfig": planar, "extrasamples": ["unassalpha"]}
    pixels = np.moveaxis(colour, 0, -1) if planar == "contig" else colour
    image = read_image(saved(tmp_path / "a.tif", pixels, **options))
    assert np.array_equal(image.pixels, colour[:3])


def test_stack_of_colour_images_keeps_page_order(tmp_path: Path) -> None:
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    image = read_image(saved(tmp_path / "a.tif", pixels, photometric="rgb"))
    assert np.array_equal(image.pixels, pixels.transpose(0, 3, 1, 2).reshape(6, 4, 5))


def test_zero_is_white_and_colour_tables_leave_numbers_as_stored(tmp_path: Path) -> None:
    plane = np.arange(20, dtype=np.uint8).reshape(4, 5)
    white = read_image(saved(tmp_path / "a.tif", plane, photometric="miniswhite"))
    table = np.zeros((3, 256), np.uint16)
    table[1] = np.arange(256) * 257
    green = read_image(saved(tmp_path / "b.tif", plane, photometric="palette", colormap=table))
    assert np.array_equal(white.pixels[0], plane)
    assert np.array_equal(green.pixels[0], plane)


@pytest.mark.parametrize(
    ("pixels", "dtype"),
    [
        (np.array([[0, 1]], bool), np.uint8),
        (np.array([[0, 200]], np.uint8), np.uint8),
        (np.array([[0, 100]], np.int8), np.uint8),
        (np.array([[-1, 100]], np.int8), np.float32),
        (np.array([[0, 30000]], np.int16), np.uint16),
        (np.array([[-5, 30000]], np.int16), np.float32),
        (np.array([[0, 65535]], np.uint32), np.uint16),
        (np.array([[0, 1 << 24]], np.uint32), np.float32),
        (np.array([[0, 1 << 30]], np.uint32), np.float32),
        (np.array([[-(1 << 20), 1]], np.int64), np.float32),
        (np.array([[0.5, 1e20]], np.float32), np.float32),
        (np.array([[0.25, -1e9]], np.float64), np.float32),
        (np.array([[0.25, 2]], np.float16), np.float32),
    ],
)
def test_numbers_are_kept_whatever_their_type(tmp_path: Path, pixels, dtype) -> None:
    image = read_image(saved(tmp_path / "a.tif", pixels))
    expected = pixels * 255 if pixels.dtype == bool else pixels
    assert image.pixels.dtype == dtype
    assert np.array_equal(image.pixels[0].astype(np.float64), expected.astype(np.float64))


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.array([[0, (1 << 24) + 1]], np.uint32), "0 to 16777217, which 32-bit floats would"),
        (np.array([[0, 1], [np.nan, 1]], np.float32), "found nan at channel 1, y=1, x=0"),
        (np.array([[0, np.inf]], np.float64), "found inf at channel 1, y=0, x=1"),
        (np.array([[0, 1e300]], np.float64), "found inf"),
        (np.array([[0, 1j]], np.complex64), "complex64"),
    ],
)
def test_numbers_that_no_image_keeps_are_refused(tmp_path: Path, pixels, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_image(saved(tmp_path / "a.tif", pixels))


@pytest.mark.parametrize(
    ("unit", "per_unit", "micrometres"),
    [
        ("um", 1 / 0.65, 0.65),
        ("micron", 1 / 0.65, 0.65),
        ("\\u00B5m", 1 / 0.65, 0.65),
        ("nm", 1 / 0.65, 0.00065),
        ("mm", 1 / 0.65, 650),
        ("cm", 10_000 / 0.65, 0.65),
        ("inch", 25_400 / 0.65, 0.65),
        ("inch", 300, None),
        ("cm", 118.11, None),
        ("pixel", 1, None),
        ("", 1, None),
    ],
)
def test_imagej_pixel_size_in_any_unit_but_no_printing_resolution(
    tmp_path: Path, unit: str, per_unit: float, micrometres
) -> None:
    options = {"imagej": True, "resolution": (per_unit, per_unit), "metadata": {"unit": unit}}
    size = read_image(saved(tmp_path / "a.tif", stack[0], **options)).pixel_size_um
    assert size == (None if micrometres is None else pytest.approx(micrometres, rel=1e-6))


@pytest.mark.parametrize(
    ("unit", "micrometres"),
    [("µm", 0.65), ("nm", 0.00065), ("mm", 650), ("Å", 0.000065), ("pixel", None)],
)
def test_ome_pixel_size_in_any_unit(tmp_path: Path, unit: str, micrometres) -> None:
    metadata = {f"PhysicalSize{axis}": 0.65 for axis in "XY"}
    metadata |= {f"PhysicalSize{axis}Unit": unit for axis in "XY"}
    path = saved(tmp_path / "a.ome.tif", stack[0], ome=True, metadata=metadata)
    size = read_image(path).pixel_size_um
    assert size == (None if micrometres is None else pytest.approx(micrometres))


def test_pixel_size_is_unknown_for_oblong_pixels_and_printing_resolutions(tmp_path: Path) -> None:
    oblong = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.7}
    assert read_image(saved(tmp_path / "a.tif", ome=True, metadata=oblong)).pixel_size_um is None
    plain = saved(tmp_path / "b.tif", resolution=(72, 72), resolutionunit="inch")
    assert read_image(plain).pixel_size_um is None


def test_ome_channel_names_are_read(tmp_path: Path) -> None:
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP", "BF"]}}
    image = read_image(saved(tmp_path / "a.ome.tif", ome=True, metadata=metadata))
    assert image.channels == ("DAPI", "GFP", "BF")


def test_one_file_of_a_spread_ome_image_gives_its_own_planes(tmp_path: Path) -> None:
    def tiff_data(first: int, name: str) -> str:
        return f'<TiffData IFD="0" FirstT="{first}"><UUID FileName="{name}">urn:uuid:{name}</UUID></TiffData>'

    description = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="11" '
        'SizeY="9" SizeC="1" SizeZ="1" SizeT="2" PhysicalSizeX="0.3">'
        + tiff_data(0, "t0.ome.tif")
        + tiff_data(1, "t1.ome.tif")
        + "</Pixels></Image></OME>"
    )
    for t in (0, 1):
        saved(tmp_path / f"t{t}.ome.tif", stack[t], description=description, metadata=None)
    image = read_image(tmp_path / "t1.ome.tif")
    assert np.array_equal(image.pixels, stack[1:2])
    assert image.pixel_size_um == pytest.approx(0.3)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_planes_that_an_ome_image_tells_of_but_that_were_never_written_are_none(
    tmp_path: Path, options
) -> None:
    metadata = {"axes": "TYX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3}
    with tifffile.TiffFile(saved(tmp_path / "a.ome.tif", ome=True, metadata=metadata)) as tif:
        described = str(tif.ome_metadata).encode()
    path = tmp_path / "stopped.ome.tif"
    for n in (1, 2):  # of three
        saved(path, stack[:n], description=described, metadata=None, **options)
        image = read_image(path)
        assert np.array_equal(image.pixels, stack[:n])
        assert image.pixel_size_um == pytest.approx(0.3)
        with closing(opened(path)) as source:
            source.check()
            part = pixels_of(source, slice(1, 5), slice(2, 11))
        assert np.array_equal(part, stack[:n, 1:5, 2:11])


def test_pages_that_imagej_tells_of_but_that_were_cut_off_are_told_in_one_sentence(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.tif"
    text = "ImageJ=1.53\nimages=3\nslices=3\n"
    saved(path, stack[0], description=text, metadata=None, compression="zlib")
    with pytest.raises(ValueError, match=r'a.tif": the TIFF file is damaged.*save it as TIFF'):
        read_image(path)
    with (
        closing(opened(path)) as source,
        pytest.raises(ValueError, match=r'a.tif": the TIFF file is damaged.*save it as TIFF'),
    ):
        source.check()


def test_overviews_are_left_out_and_further_images_refused(tmp_path: Path) -> None:
    for name, shape in (("slide.tif", (4, 5)), ("positions.tif", (11, 9))):
        with tifffile.TiffWriter(tmp_path / name) as writer:
            writer.write(stack[0], photometric="minisblack")
            writer.write(np.zeros(shape, np.uint8), photometric="minisblack")
    assert np.array_equal(read_image(tmp_path / "slide.tif").pixels, stack[:1])
    with pytest.raises(ValueError, match="expected one image, found 2"):
        read_image(tmp_path / "positions.tif")


def test_a_smaller_plane_amid_the_others_is_no_overview(tmp_path: Path) -> None:
    planes = [pillow.fromarray(plane) for plane in (*stack[:2], stack[2][:4, :5], stack[2])]
    planes[0].save(tmp_path / "planes.tif", save_all=True, append_images=planes[1:])
    words = (
        r"expected planes of one size .* 9 x 11 px \(uint16\) and, as page 3, 4 x 5 px \(uint16\)"
    )
    with pytest.raises(ValueError, match=words):
        read_image(tmp_path / "planes.tif")
    with tifffile.TiffWriter(tmp_path / "previews.tif") as writer:
        for plane in stack:
            writer.write(plane, photometric="minisblack", metadata=None)
            writer.write(plane[:3, :3], photometric="minisblack", metadata=None, subfiletype=1)
    assert np.array_equal(read_image(tmp_path / "previews.tif").pixels, stack)
    planes[0].save(tmp_path / "last.tif", save_all=True, append_images=planes[1:3])
    assert np.array_equal(read_image(tmp_path / "last.tif").pixels, stack[:2])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("n_pages", [1, 3])
def test_lzw_is_read_without_further_packages(tmp_path: Path, dtype, n_pages: int) -> None:
    pages = [pillow.fromarray(plane.astype(dtype)) for plane in stack[:n_pages]]
    options = {"save_all": True, "append_images": pages[1:], "compression": "tiff_lzw"}
    pages[0].save(tmp_path / "a.tif", **options)
    image = read_image(tmp_path / "a.tif")
    assert image.pixels.dtype == dtype
    assert np.array_equal(image.pixels, stack[:n_pages].astype(dtype))


def test_lzw_colour_is_read_without_further_packages(tmp_path: Path) -> None:
    colour = stack.astype(np.uint8)
    pillow.fromarray(np.moveaxis(colour, 0, -1)).save(tmp_path / "a.tif", compression="tiff_lzw")
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, colour)


def test_other_compression_names_the_package_that_is_missing(tmp_path: Path) -> None:
    if find_spec("imagecodecs"):
        pytest.skip("imagecodecs is installed: nothing is missing")
    pillow.fromarray(stack[0].astype(np.uint8)).save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(
        ValueError, match=r"compressed \(JPEG\), which needs the package imagecodecs"
    ):
        read_image(tmp_path / "a.tif")


def forged(tmp_path: Path, tag: int, value: int) -> Path:
    """Return a valid file in which one number of the first page is replaced."""
    path = saved(tmp_path / "a.tif", stack[0])
    data = bytearray(path.read_bytes())
    (n_tags,) = struct.unpack_from("<H", data, 8)
    for entry in range(10, 10 + 12 * n_tags, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<HII", data, entry + 2, 4, 1, value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("width", "said"), [(2**31, "at most 4 billion pixels"), (2**27, "promises|cut off")]
)
def test_absurd_size_is_refused_before_memory_is_asked_for(tmp_path, width: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_image(forged(tmp_path, 256, width))


def test_absurd_ome_size_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    huge = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels '
        'ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="11" SizeY="9" SizeC="1" '
        'SizeZ="1" SizeT="9999999999"><TiffData/></Pixels></Image></OME>'
    )
    path = saved(tmp_path / "a.ome.tif", stack[0], description=huge, metadata=None)
    with pytest.raises(ValueError, match="at most 4 billion pixels"):
        read_image(path)


def test_pages_in_a_loop_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", stack[0], metadata=None)
    data = bytearray(path.read_bytes())
    (n_tags,) = struct.unpack_from("<H", data, 8)
    struct.pack_into("<I", data, 10 + 12 * n_tags, 8)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="loop"):
        read_image(path)


def test_labels_are_read_from_any_integer_type_without_rounding(tmp_path: Path) -> None:
    ids = np.array([[0, 0, 0, 0], [5, 5, 0, 70001], [5, 5, 0, (1 << 24) + 1]], np.uint32)
    reading = read_labels(saved(tmp_path / "a.tif", ids))
    assert reading.labels.tolist() == [[0, 0, 0, 0], [1, 1, 0, 2], [1, 1, 0, 3]]
    assert reading.taken_as == "one number per object"


def test_label_stacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one plane, found 3 planes"):
        read_labels(saved(tmp_path / "a.tif", stack.astype(np.uint8)))


def test_a_tiff_without_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + bytes(20))
    assert "holds no image" in problem_of(path)


def test_broken_ome_text_costs_the_pixel_size_not_the_image(tmp_path: Path) -> None:
    text = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/"><Image></OME>'
    path = saved(tmp_path / "a.tif", stack[0], description=text, metadata=None)
    image = read_image(path)
    assert np.array_equal(image.pixels, stack[:1])
    assert image.pixel_size_um is None


def test_lzw_that_pillow_would_change_is_refused(tmp_path: Path) -> None:
    if find_spec("imagecodecs"):
        pytest.skip("imagecodecs is installed: it reads every LZW file")
    white = pillow.fromarray(stack[0] > 30000)
    white.save(tmp_path / "a.tif", compression="tiff_lzw")
    assert "needs the package imagecodecs" in problem_of(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("labels", "axes", "found"),
    [
        (["GFP", "DAPI\nexposure 20 ms"], "CYX", ("GFP", "DAPI")),
        (["GFP", ""], "CYX", ()),
        (["GFP"], "CYX", ()),
        (["first", "second"], "ZYX", ()),  # slices of a stack
    ],
)
def test_names_that_imagej_gives_to_channels_are_kept(tmp_path, labels, axes, found) -> None:
    path = tmp_path / "a.tif"
    pixels = np.zeros((2, 5, 6), np.uint16)
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": axes, "Labels": labels})
    assert read_image(path).channels == found
