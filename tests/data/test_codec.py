"""Table cells: what goes in comes out, and damage is told in one sentence."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as pillow  # noqa: N813

from microshot.data.codec import image_from_pil, image_to_pil, labels_from_pil, labels_to_pil
from microshot.data.png import decode_png
from tiny_images import png_bytes

planes = hnp.arrays(
    st.sampled_from([np.uint8, np.uint16]),
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.integers(0, 255),
)
colours = hnp.arrays(np.uint8, st.tuples(st.just(3), st.integers(1, 9), st.integers(1, 9)))


def png(pil: pillow.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    pil.save(buffer, "PNG", **options)
    return buffer.getvalue()


@settings(max_examples=60, deadline=None)
@given(planes, st.integers(0, 257))
def test_decode_returns_what_was_encoded(pixels: np.ndarray, factor: int) -> None:
    pixels = pixels if pixels.dtype == np.uint8 else pixels * np.uint16(factor)
    image = decode_png(png_bytes(pixels))
    assert image.pixels.dtype == pixels.dtype
    assert np.array_equal(image.pixels[0], pixels)
    assert png_bytes(image.pixels) == png_bytes(pixels)


@settings(max_examples=30, deadline=None)
@given(colours)
def test_decode_returns_the_colours_that_were_encoded(pixels: np.ndarray) -> None:
    assert np.array_equal(decode_png(png_bytes(pixels)).pixels, pixels)


@pytest.mark.parametrize("view", [lambda a: a[:, ::2], lambda a: a.T, lambda a: a[::-1]])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "u1"])
def test_strides_and_byte_order_do_not_matter(view, dtype) -> None:
    pixels = view(np.arange(42, dtype=dtype).reshape(6, 7) * 5)
    image = image_from_pil(image_to_pil(pixels))
    assert image.pixels.dtype == pixels.dtype.newbyteorder("=")
    assert np.array_equal(image.pixels[0], pixels)


@settings(max_examples=40, deadline=None)
@given(planes | colours, st.data())
def test_truncation_anywhere_gives_one_sentence(pixels: np.ndarray, data: st.DataObject) -> None:
    encoded = png_bytes(pixels)
    cut = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    with pytest.raises(ValueError, match=r'^column "Image", row "Row7": .*\.$'):
        decode_png(cut, 'column "Image", row "Row7"')


def with_new_checksums(data: bytes) -> bytes:
    out, position = bytearray(data[:8]), 8
    while position + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, position)
        body = data[position + 4 : position + 8 + size]
        out += data[position : position + 4] + body + struct.pack(">I", zlib.crc32(body))
        position += 12 + size
    return bytes(out)


def problem_of(data: bytes) -> str:
    try:
        decode_png(data, "row 1")
    except ValueError as error:
        return str(error)
    return ""


@settings(max_examples=150, deadline=None)
@given(
    planes | colours, st.lists(st.tuples(st.integers(8, 10**6), st.integers(0, 255)), max_size=4)
)
def test_forged_bytes_give_an_image_or_one_sentence(pixels, changes) -> None:
    forged = bytearray(png_bytes(pixels))
    for position, value in changes:
        forged[8 + position % (len(forged) - 8)] = value
    problem = problem_of(with_new_checksums(bytes(forged)))
    assert not problem or problem.startswith("row 1: ")
    assert "\n" not in problem


def test_flipped_bit_is_noticed_by_the_checksum() -> None:
    data = bytearray(png_bytes(np.arange(100, dtype=np.uint8).reshape(10, 10)))
    data[50] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        decode_png(bytes(data))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"hello world", "text"),
        (b"\xff\xd8\xff\xe0" + bytes(9), "ff d8 ff e0"),
        (b"PK\x03\x04....", "ZIP archive"),
    ],
)
def test_foreign_bytes_are_named(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode_png(data)


def test_absurd_size_is_refused_before_memory_is_asked_for() -> None:
    data = png_bytes(np.zeros((4, 4), np.uint8))
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="far more than its"):
        decode_png(with_new_checksums(data[:16] + header + data[29:]))


def test_more_than_178_megapixels_are_refused_in_our_words(monkeypatch) -> None:
    monkeypatch.setattr(pillow, "MAX_IMAGE_PIXELS", 50)
    assert decode_png(png_bytes(np.zeros((8, 8), np.uint8))).shape == (8, 8)  # only a warning
    with pytest.raises(ValueError, match=r"too large for PNG.*TIFF"):
        decode_png(png_bytes(np.zeros((11, 11), np.uint8)))


def test_sixteen_bit_colour_is_refused_not_cut_to_eight() -> None:
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    packed = zlib.compress(b"\0" + struct.pack(">HHH", 1, 2, 3))
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    with pytest.raises(ValueError, match="16-bit colour"):
        decode_png(data)
    with pytest.raises(ValueError, match=r'^row "a": 16-bit colour'):
        image_from_pil(pillow.open(io.BytesIO(data)), 'row "a"')


grey = np.array([[0, 85], [170, 255]], np.uint8)


@pytest.mark.parametrize("mode", ["L", "LA", "La"])
def test_transparency_of_grey_is_dropped(mode: str) -> None:
    assert np.array_equal(
        image_from_pil(pillow.fromarray(grey).convert("LA").convert(mode)).pixels[0], grey
    )


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "RGBa"])
def test_transparency_of_colour_is_dropped(mode: str) -> None:
    colour = np.stack([grey, grey[::-1], grey.T], -1)
    pil = pillow.fromarray(colour)
    pil = pil.convert("RGBA").convert(mode) if mode == "RGBa" else pil.convert(mode)
    assert np.array_equal(image_from_pil(pil).pixels, np.moveaxis(colour, -1, 0))


def test_one_bit_becomes_0_and_255() -> None:
    pil = pillow.fromarray(grey > 100)
    assert pil.mode == "1"
    assert image_from_pil(pil).pixels.tolist() == [[[0, 0], [255, 255]]]


def test_palette_is_expanded_to_colours_and_grey_palette_to_grey() -> None:
    indices = pillow.fromarray(np.array([[0, 1], [2, 0]], np.uint8))
    indices.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    image = image_from_pil(indices)
    assert image.pixels[:, 0, 1].tolist() == [255, 0, 0]
    assert image.pixels[:, 1, 0].tolist() == [0, 0, 255]
    indices.putpalette([9, 9, 9, 40, 40, 40, 77, 77, 77])
    assert decode_png(png(indices)).pixels.tolist() == [[[9, 40], [77, 9]]]


def test_32_bit_grey_of_old_pillow_becomes_16_bit_again() -> None:
    pil = pillow.fromarray(np.array([[0, 65535]], np.int32))
    assert pil.mode == "I"
    image = image_from_pil(pil)
    assert image.pixels.dtype == np.uint16
    assert image.pixels.tolist() == [[[0, 65535]]]
    with pytest.raises(ValueError, match="0 to 65536"):
        image_from_pil(pillow.fromarray(np.array([[0, 65536]], np.int32)))


def test_floats_are_read_but_not_nan() -> None:
    pixels = np.array([[0.5, -2]], np.float32)
    assert np.array_equal(image_from_pil(pillow.fromarray(pixels)).pixels[0], pixels)
    pixels[0, 1] = np.nan
    with pytest.raises(ValueError, match="found nan at channel 1, y=0, x=1"):
        image_from_pil(pillow.fromarray(pixels))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "LAB"])
def test_printing_colours_are_refused(mode: str) -> None:
    with pytest.raises(ValueError, match=f"colour mode {mode}; convert it to RGB"):
        image_from_pil(pillow.new(mode, (2, 2)))


def test_several_pages_are_refused_not_silently_dropped() -> None:
    buffer = io.BytesIO()
    pages = [pillow.fromarray(grey), pillow.fromarray(grey)]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match="found 2 pages"):
        image_from_pil(pillow.open(buffer))


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((2, 2), np.float32), "found float32; round them to uint16"),
        (np.zeros((2, 2), bool), "found bool"),
        (np.zeros((2, 2), np.int32), "found int32"),
        (np.zeros((3, 2, 2), np.uint16), r"found uint16 pixels of shape \(3, 2, 2\)"),
        (np.zeros((2, 2, 2), np.uint8), "one PNG column per channel"),
        (np.zeros((0, 2), np.uint8), "shape"),
    ],
)
def test_what_a_png_cell_cannot_hold_is_refused_with_a_way_out(pixels, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        image_to_pil(pixels)


def test_labels_keep_their_ids_up_to_16_bits() -> None:
    labels = np.array([[0, 1], [300, 65535]], np.int32)
    pil = labels_to_pil(labels)
    assert pil.mode == "I;16"
    assert np.array_equal(np.asarray(pillow.open(io.BytesIO(png(pil)))), labels)
    for wrong in (65536, -1):
        with pytest.raises(ValueError, match="label TIFF"):
            labels_to_pil(np.array([[0, wrong]], np.int32))


def test_label_cells_are_read_with_a_statement() -> None:
    ids = np.array([0, 7, 9], np.uint16)[np.repeat([[0, 1, 2]], 6, axis=0)]
    reading = labels_from_pil(pillow.fromarray(ids))
    assert reading.labels[0].tolist() == [0, 1, 2]
    assert reading.describe() == "one number per object, 2 objects"


def test_jpeg_labels_are_refused_as_lossy() -> None:
    buffer = io.BytesIO()
    pillow.fromarray(grey).save(buffer, "JPEG")
    with pytest.raises(ValueError, match=r'^row "a": JPEG compression changes'):
        labels_from_pil(pillow.open(buffer), 'row "a"')
