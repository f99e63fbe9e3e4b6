"""Files of microscopes: every image in them, to the pixel, whole and in parts; or one sentence."""

from __future__ import annotations

import gc
import importlib.util
import itertools
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microscope_writers import noise, write_czi, write_lif, write_nd2
from microshot.data import microscope_files, nd2_images
from microshot.data.czi_structure import Tiles
from microshot.data.folders import list_images, list_labels, stem_of, unread
from microshot.data.matching import find_pairs
from microshot.data.microscope_files import KINDS, file_of, images_in
from microshot.data.read import read_dataset, read_image
from microshot.data.windows import is_large, opened
from microshot.data.write import write_labels

for kind in KINDS.values():
    if not kind.is_installed:
        pytest.skip(f"{kind.package} is not installed", allow_module_level=True)

ENDINGS = list(KINDS)
SHAPES = {
    "one plane": (1, 1, 1, 30, 41), "channels": (1, 1, 3, 30, 41), "depths": (1, 4, 1, 30, 41),
    "all": (2, 3, 2, 30, 41),
}  # fmt: skip


def write(path: Path, images: list[np.ndarray]) -> Path:
    """Write images into one file of the kind its ending says."""
    if path.suffix == ".czi":
        return write_czi(path, images, size_um=0.5)
    if path.suffix == ".lif":
        return write_lif(path, {f"image {i}": pixels for i, pixels in enumerate(images)})
    return write_nd2(path, images)


def planes(pixels: np.ndarray) -> np.ndarray:
    """Return what an image of (T, Z, C, Y, X) is when it is read."""
    return pixels.reshape(-1, *pixels.shape[-2:])


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_image_is_read_to_the_pixel(ending, dtype, shape, tmp_path) -> None:
    made = [noise(shape, dtype, seed) for seed in range(2)]
    file = write(tmp_path / f"ä 1{ending}", made)
    assert [path.name for path in images_in(file)] == [f"ä 1{ending}#1", f"ä 1{ending}#2"]
    for path, pixels in zip(images_in(file), made, strict=True):
        image = read_image(path)
        assert image.pixels.dtype == dtype
        assert np.array_equal(image.pixels, planes(pixels))
        assert image.pixel_size_um == pytest.approx(0.5)
        assert not image.is_colour
        assert file_of(path) == file


@pytest.mark.parametrize("ending", ENDINGS)
def test_one_image_alone_is_its_file_and_photographs_keep_their_colours(ending, tmp_path) -> None:
    pixels = noise((30, 41, 3), np.uint8)
    file = write(tmp_path / f"a{ending}", [pixels])
    assert images_in(file) == [file]
    for path in (file, tmp_path / f"a{ending}#1"):
        image = read_image(path)
        assert image.is_colour
        assert np.array_equal(image.pixels, np.moveaxis(pixels, -1, 0))
        with closing(opened(path)) as source:
            assert np.array_equal(source.stored(np.s_[2:9], np.s_[3:5], 2)[0], pixels[2:9, 3:5, 2])


def test_channels_have_their_names_where_each_plane_is_one(tmp_path) -> None:
    one, many = noise((1, 1, 2, 20, 21), np.uint8), noise((1, 2, 2, 20, 21), np.uint8)
    names = ("DAPI", "GFP")
    assert read_image(write_czi(tmp_path / "a.czi", [one], names=names)).channels == names
    assert read_image(write_nd2(tmp_path / "a.nd2", [one], names=names)).channels == names
    assert read_image(write_lif(tmp_path / "a.lif", {"": one})).channels == ("A", "B")
    assert read_image(write_czi(tmp_path / "b.czi", [many], names=names)).channels == ()
    assert read_image(write_czi(tmp_path / "c.czi", [one])).pixel_size_um is None


@pytest.mark.parametrize("compression", [None, "zstd1:ExplicitLevel=2"])
def test_tiles_of_a_slide_are_put_together(compression, tmp_path) -> None:
    made = [noise((1, 1, 2, 50, 70), np.uint16, seed) for seed in range(2)]
    file = write_czi(tmp_path / "a.czi", made, tile=16, compression=compression)
    for path, pixels in zip(images_in(file), made, strict=True):
        assert np.array_equal(read_image(path).pixels, planes(pixels))


def test_tiles_that_were_not_merged_are_images(tmp_path) -> None:
    tiles = noise((3, 1, 2, 20, 21), np.uint8)
    file = write_lif(
        tmp_path / "a.lif", {"first": noise((1, 1, 1, 9, 9), np.uint8), "tiles": tiles}
    )
    paths = images_in(file)
    assert len(paths) == 4
    for path, pixels in zip(paths[1:], tiles, strict=True):
        assert np.array_equal(read_image(path).pixels, planes(pixels))


def test_an_odd_image_of_an_experiment_does_not_hide_the_others(tmp_path) -> None:
    made = {name: noise((1, 1, 2, 20, 21), np.uint16) for name in "ab"}
    file = write_lif(tmp_path / "a.lif", made)
    data, same = file.read_bytes(), 'Resolution="16"'.encode("utf-16-le")
    head, _, tail = data.rpartition(same)  # another number of bits in one channel of the second
    file.write_bytes(head + 'Resolution="08"'.encode("utf-16-le") + tail)
    first, second = images_in(file)
    assert np.array_equal(read_image(first).pixels, planes(made["a"]))
    with pytest.raises(ValueError, match=r"a\.lif#2.*heterogeneous channel data types"):
        read_image(second)


def test_planes_that_were_not_recorded_are_not_read_as_black(tmp_path) -> None:
    made = [noise((2, 3, 2, 20, 21), np.uint16, seed) for seed in range(2)]
    path = write_nd2(tmp_path / "a.nd2", made, n_recorded=10)
    first, second = map(read_image, images_in(path))
    assert np.array_equal(first.pixels, planes(made[0]))
    assert np.array_equal(second.pixels, planes(made[1])[:8])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return an image of each kind and its pixels."""
    folder, pixels = tmp_path_factory.mktemp("files"), noise((2, 2, 2, 50, 70), np.uint16)
    czi = write_czi(folder / "a.czi", [pixels], tile=16)
    return [czi, write(folder / "a.lif", [pixels]), write(folder / "a.nd2", [pixels])], planes(
        pixels
    )


@settings(max_examples=40, deadline=None)
@given(
    rows=st.tuples(st.integers(0, 49), st.integers(1, 50)),
    columns=st.tuples(st.integers(0, 69), st.integers(1, 70)),
    channel=st.none() | st.integers(0, 7),
)
def test_a_part_is_what_the_whole_holds_there(files, rows, columns, channel) -> None:
    rows, columns = (slice(min(a, b - 1), max(a + 1, b)) for a, b in (rows, columns))
    for path in files[0]:
        with closing(opened(path)) as source:
            source.check()
            assert source.facts.shape == files[1].shape
            assert list(source.files()) == [path]
            part = source.stored(rows, columns, channel)
        wanted = slice(None) if channel is None else slice(channel, channel + 1)
        assert np.array_equal(part, files[1][wanted, rows, columns])


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_image_of_several_has_to_be_named_by_a_number_that_there_is(ending, tmp_path) -> None:
    made = [noise((1, 1, 1, 20, 21), np.uint8, seed) for seed in range(3)]
    file = write(tmp_path / f"a{ending}", made)
    with pytest.raises(ValueError, match=rf"found 3 in it; give one .* such as a\{ending}#1\.$"):
        read_image(file)
    with pytest.raises(ValueError, match="of a number up to 3, found 4"):
        read_image(tmp_path / f"a{ending}#4")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_image(tmp_path / f"b{ending}#1")
    assert not is_large(images_in(file)[1], 1)
    assert is_large(images_in(file)[1], 1e-5)


def test_folders_list_every_image_by_a_name_of_its_own(tmp_path) -> None:
    made = [noise((1, 1, 1, 20, 21), np.uint8, seed) for seed in range(11)]
    write(tmp_path / "exp.lif", made)
    write(tmp_path / "b.czi", made[:1])
    write(tmp_path / "mask of a.nd2", made[:2])
    (tmp_path / "c.nd2").write_bytes(b"damaged")
    found = list_images(tmp_path)
    assert [stem_of(p) for p in found[:2] + found[-3:]] == [
        "b", "c", "exp 11", "mask of a 1", "mask of a 2",
    ]  # fmt: skip
    assert [p.name for p in found[2:13]] == [f"exp.lif#{i}" for i in range(1, 12)]
    assert [p.name for p in list_images(tmp_path, "B*.czi")] == ["b.czi"]
    assert not list_labels(tmp_path)
    assert not unread(tmp_path)
    with pytest.raises(ValueError, match="expected a Nikon ND2 file, but it looks like text"):
        read_image(tmp_path / "c.nd2")
    assert find_pairs(tmp_path).images_alone == tuple(found)


def test_labels_belong_to_images_by_name_and_number(tmp_path) -> None:
    file = write(tmp_path / "exp.lif", [noise((1, 1, 1, 20, 21), np.uint8, s) for s in range(3)])
    labels = np.zeros((20, 21), np.int32)
    labels[2:9, 2:9], labels[12:18, 12:18] = 1, 2
    (tmp_path / "masks").mkdir()
    write_labels(tmp_path / "masks" / "exp 2.tif", labels)
    write_labels(tmp_path / "masks" / "exp 3_mask.tif", labels)
    for place in (tmp_path, file):
        data, said = read_dataset(place, tmp_path / "masks")
        assert [sample.name for sample in data.samples] == ["exp 1", "exp 2", "exp 3"]
        assert [sample.labels is None for sample in data.samples] == [True, False, False]
        assert "exp.lif#2 ↔ masks/exp 2.tif" in said
    data, _ = read_dataset(tmp_path / "exp.lif#2", tmp_path / "masks" / "exp 2.tif")
    assert [sample.name for sample in data.samples] == ["exp 2"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_damaged_files_are_refused_in_one_sentence(ending, tmp_path) -> None:
    file = write(tmp_path / f"a{ending}", [noise((1, 1, 2, 20, 21), np.uint16)])
    whole = file.read_bytes()
    for n, said in (
        (0, r"is empty \(0 bytes\); export or copy it again"),
        (3, "expected a .* file, but it .* ending of its kind"),
        (20, "is damaged or of a kind that cannot be read"),
        (len(whole) // 2, "is damaged or of a kind that cannot be read"),
        (len(whole) - 100, "is damaged or of a kind that cannot be read"),
    ):
        file.write_bytes(whole[:n])
        assert images_in(file) == [file]
        with pytest.raises(ValueError, match=rf'^"[^"]*a\{ending}": [^\n]*{said}[^\n]*\.$'):
            read_image(file)
    file.write_bytes(b"II*\0" + whole)
    with pytest.raises(ValueError, match="but it starts with the bytes 49 49 2a 00"):
        read_image(file, where="row 1")
    file.unlink()
    file.mkdir()
    with pytest.raises(ValueError, match="found a folder"):
        read_image(file)


def test_what_crashes_the_library_of_zeiss_is_refused_before(tmp_path) -> None:
    file = write_czi(tmp_path / "a.czi", [noise((1, 1, 2, 20, 21), np.uint16)])
    whole = file.read_bytes()
    entry, tile = whole.index(b"ZISRAWDIRECTORY") + 160, whole.index(b"ZISRAWSUBBLOCK")
    for place, value, said in (
        (entry + 28, 47, "a tile has 47 axes"),
        (tile + 76, 255, "a tile has 255 axes"),
        (tile + 44, 255, "a tile is larger than the file"),
    ):
        file.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=said):
            read_image(file)
    file.write_bytes(whole)
    with closing(Tiles(file)) as tiles, pytest.raises(ValueError, match="its list of tiles"):
        tiles.check(2)


def test_another_file_in_the_place_of_one_is_looked_at_anew(tmp_path) -> None:
    made = [noise((1, 1, 1, 20, 21), np.uint8, seed) for seed in range(3)]
    for n in (1, 3, 2):
        assert len(images_in(write(tmp_path / "a.lif", made[:n]))) == n


def test_without_the_packages_such_files_are_told_with_both_ways_to_mend(
    tmp_path, monkeypatch
) -> None:
    file = write(tmp_path / "a.lif", [noise((1, 1, 1, 20, 21), np.uint8)])
    find = importlib.util.find_spec
    lacking = {kind.package for kind in KINDS.values()}
    monkeypatch.setattr(
        microscope_files.importlib.util, "find_spec", lambda n: None if n in lacking else find(n)
    )
    assert list_images(tmp_path) == []
    (said,) = unread(tmp_path)
    assert said.startswith("1 file not read (a.lif): install the packages")
    assert said.endswith(
        'pip install "microshot[microscopes]", or open it in Fiji and save it as TIFF'
    )
    with pytest.raises(ValueError, match=r'need the package liffile, .*pip install "microshot\['):
        read_image(file)


def test_a_package_that_cannot_be_loaded_is_named(tmp_path, monkeypatch) -> None:
    file = write(tmp_path / "a.nd2", [noise((1, 1, 1, 20, 21), np.uint8)])

    def failing(_: Path) -> None:
        raise ImportError("DLL load failed")

    monkeypatch.setattr(nd2_images, "_opened", failing)
    with pytest.raises(
        ValueError, match=r"the package nd2, .* lacks something \(DLL load failed\)"
    ):
        read_image(file)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_image_that_nobody_holds_is_closed(ending, tmp_path) -> None:
    file = write(tmp_path / f"a{ending}", [noise((1, 1, 1, 20, 21), np.uint8)])
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0
    source = opened(file)
    source.close()
    source.close()
    opened(file)  # not kept
    gc.collect()
    assert not before or len(list(Path("/proc/self/fd").iterdir())) == before


def test_names_that_only_look_like_addresses_are_names() -> None:
    for name, stem in (
        ("a.czi", "a"), ("A.LIF#12", "A 12"), ("a.tif#1", "a.tif#1"), ("a.lif#0", "a.lif#0"),
        ("a.czi#1.tif", "a.czi#1"), (".czi", ".czi"), ("day 1/b.nd2#3", "b 3"),
    ):  # fmt: skip
        assert stem_of(name) == stem
    assert all(p.is_installed for p in itertools.chain(KINDS.values()))
