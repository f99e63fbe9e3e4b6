"""Images too large for memory: blockwise equals whole, whatever the blocks, and kills cost nothing."""

from __future__ import annotations

import dataclasses
import errno
import signal
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot import api
from microshot.bundle import Bundle
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.data.windows import opened
from microshot.large import block_objects, segmenting, typical
from microshot.large.segmenting import segmented
from microshot.progress import Cancelled
from microshot.settings import PredictSettings
from microshot.tasks.measure import measure
from microshot.tasks.segmenting import task
from tiny_models import CancelWhen, Watch, any_size, model, same_objects

SETTINGS = PredictSettings(tile_px=256, device="cpu")


def crowded(seed: int, shape: tuple[int, int] = (150, 170), n: int = 40) -> np.ndarray:
    """Return an image (Y, X) uint16 of discs of many sizes, many of them touching."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = rng.normal(1000, 150, shape)
    for _ in range(n):
        cy, cx, r = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(4, 11)
        image[(y - cy) ** 2 + (x - cx) ** 2 < r * r] += rng.uniform(1500, 3500)
    return image.clip(0, 65535).astype(np.uint16)


def whole(predictor: api.Predictor, pixels: np.ndarray) -> Any:
    return predictor(Sample("whole", Image(pixels[None], 0.5)))


def in_blocks(predictor: api.Predictor, path: Path, out: Path, **more: Any):
    with closing(opened(path)) as source, segmented(predictor, source, out, **more) as found:
        rows = list(found.rows())
    return found, rows, tifffile.imread(out)


@pytest.mark.parametrize("name", ["found.tif", "found.ome.zarr"])
def test_what_is_found_in_the_part_with_most_contrast_is_as_in_the_label_image(
    tmp_path, monkeypatch, name
) -> None:
    monkeypatch.setattr(typical, "PART_PX", 90)
    tifffile.imwrite(tmp_path / "large.tif", crowded(3))
    predictor = api.Predictor(model(), SETTINGS)
    with (
        closing(opened(tmp_path / "large.tif")) as source,
        segmented(predictor, source, tmp_path / name) as found,
    ):
        part, rows, seen = found.of_part(), list(found.rows()), found.part
    with closing(opened(tmp_path / name)) as labels:
        ids = labels.stored(seen.rows, seen.columns)[0]
    np.testing.assert_array_equal(seen.sample.image.pixels[0], crowded(3)[seen.rows, seen.columns])
    assert part.place == (seen.rows.start, seen.columns.start)
    assert part.labels.shape == ids.shape == (90, 90)
    known = {row["id"]: row["probability"] for row in rows}
    own = np.concatenate([[0], sorted(set(ids[ids > 0].tolist()))])
    assert 1 < part.n_objects < len(rows)
    np.testing.assert_array_equal(own[part.labels], ids)
    np.testing.assert_allclose(part.probability, [known[i] for i in own[1:]], rtol=1e-6)


@pytest.mark.parametrize(
    ("head", "diameter"),
    [("stardist", 0.0), ("stardist", 24.0), ("foreground", 0.0), ("boundary", 20.0)],
)
def test_blockwise_equals_whole_but_for_the_numbers_of_objects(head, diameter, tmp_path) -> None:
    tile = 128 if diameter else 192
    wish = dataclasses.replace(SETTINGS, diameter_px=diameter, tile_px=tile)
    predictor, pixels = api.Predictor(model(head=head), wish), crowded(3, (230, 250), 80)
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(64, 64))
    found, rows, labels = in_blocks(predictor, tmp_path / "a.tif", tmp_path / "out.tif")
    truth = whole(predictor, pixels)
    assert found.n_blocks > 4
    assert found.n_objects == truth.n_objects > 20
    assert same_objects(labels, truth.labels)
    assert found.confidence == pytest.approx(truth.confidence, rel=1e-5)
    own = measure(truth.labels, Image(pixels[None]), truth.probability)
    assert len(rows) == len(own)
    assert {row["area_um2"] for row in rows} == {None}  # of an image without a pixel size
    for name in ("y", "x", "area_px", "perimeter_px", "solidity", "mean_intensity"):
        assert sorted(r[name] for r in rows) == pytest.approx(sorted(r[name] for r in own))
    for row in rows[:: max(1, len(rows) // 9)]:
        assert np.count_nonzero(labels == row["id"]) == row["area_px"]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@settings(max_examples=3, deadline=None)
@given(
    st.integers(0, 99), st.integers(40, 150), st.integers(40, 150), st.sampled_from([224, 256, 320])
)
def test_blocks_of_any_size_give_the_same_objects(seed, height, width, tile) -> None:
    wish = dataclasses.replace(SETTINGS, tile_px=tile)
    predictor, pixels = api.Predictor(model(), wish), crowded(seed, (height, width), 40)
    truth = whole(api.Predictor(model(), PredictSettings(device="cpu")), pixels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tif"
        tifffile.imwrite(path, pixels, photometric="minisblack")
        found, _, labels = in_blocks(predictor, path, Path(folder) / "out.tif")
    assert found.n_objects == truth.n_objects
    assert same_objects(labels, truth.labels)


def test_a_cancelled_run_goes_on_and_ends_as_if_nothing_had_happened(tmp_path) -> None:
    predictor, pixels = api.Predictor(model(), SETTINGS), crowded(5)
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(64, 64), ome=True, metadata=size)
    _, _, expected = in_blocks(predictor, tmp_path / "a.tif", tmp_path / "whole.tif")
    out = tmp_path / "out.tif"
    for text in (
        "measuring grey values, block 3",
        "network, block 3",
        "objects, block 4",
        "writing",
    ):
        with pytest.raises(Cancelled):
            in_blocks(predictor, tmp_path / "a.tif", out, progress=CancelWhen(text))
        assert not out.exists()
    watch = Watch()
    found, rows, labels = in_blocks(predictor, tmp_path / "a.tif", out, progress=watch)
    assert not any("network" in m or "objects" in m for m in watch.messages)
    assert found.n_resumed == found.n_blocks
    assert np.array_equal(labels, expected)
    assert [r["id"] for r in rows] == list(range(1, found.n_objects + 1))
    assert [r["area_um2"] for r in rows] == [0.25 * r["area_px"] for r in rows]
    with closing(opened(out)) as written:
        assert written.facts.pixel_size_um == 0.5


KILLED = """
import os, signal, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from microshot import api
from microshot.bundle import Bundle
from microshot.data.windows import opened
from microshot.large import block_objects, segmenting, typical
from microshot.large.segmenting import segmented
from microshot.settings import PredictSettings

def report(fraction, message=""):
    if {text!r} in message:
        os.kill(os.getpid(), signal.SIGKILL)

predictor = api.Predictor(Bundle.load(Path({folder!r}) / "m.microshot"),
                          PredictSettings(tile_px=256, device="cpu"))
with segmented(predictor, opened({folder!r} + "/a.tif"), Path({folder!r}) / "out.tif",
               progress=report):
    pass
"""


def test_a_killed_run_resumes_without_redoing_blocks(tmp_path) -> None:
    predictor, pixels = api.Predictor(model(), SETTINGS), crowded(6)
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(64, 64))
    model().save(tmp_path / "m.microshot")
    paths = [str(Path(api.__file__).parents[1])]
    code = KILLED.format(paths=paths, text="objects, block 4 of", folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = tmp_path / ".out.tif.unfinished"
    with (folder / "objects.csv").open("a") as file:
        file.write("half a li")  # what a kill in the middle of writing leaves
    watch = Watch()
    found, rows, labels = in_blocks(
        predictor, tmp_path / "a.tif", tmp_path / "out.tif", progress=watch
    )
    assert found.n_resumed == 3
    assert not any("network" in m for m in watch.messages)
    truth = whole(predictor, pixels)
    assert same_objects(labels, truth.labels)
    assert [r["id"] for r in rows] == list(range(1, truth.n_objects + 1))
    assert not folder.exists()


def test_a_resumed_run_takes_the_size_that_was_found_and_looks_for_no_other(
    tmp_path, monkeypatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", crowded(3, (230, 250), 80), tile=(64, 64))
    wish = dataclasses.replace(SETTINGS, tile_px=192)
    out, predictor = tmp_path / "out.tif", api.Predictor(any_size(model()), wish)
    expected, _, labels = in_blocks(predictor, tmp_path / "a.tif", tmp_path / "whole.tif")
    with pytest.raises(Cancelled):
        in_blocks(predictor, tmp_path / "a.tif", out, progress=CancelWhen("objects, block 3"))
    monkeypatch.setattr(task, "likeliest", lambda *_: 77.0)  # as another device might
    other = dataclasses.replace(wish, device="auto", large_mpx=9.0)
    predictor = api.Predictor(any_size(model()), other)
    found, _, again = in_blocks(predictor, tmp_path / "a.tif", out)
    assert (found.n_resumed, found.diameter_px) == (2, expected.diameter_px)
    assert 0 < found.diameter_px != 77
    assert np.array_equal(again, labels)


def test_an_unfinished_run_of_another_kind_is_not_gone_on_with(tmp_path, monkeypatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", crowded(7), tile=(64, 64))
    out, predictor = tmp_path / "out.tif", api.Predictor(model(), SETTINGS)
    with pytest.raises(Cancelled):
        in_blocks(predictor, tmp_path / "a.tif", out, progress=CancelWhen("network"))
    other = api.Predictor(model(), dataclasses.replace(SETTINGS, probability=0.7))
    with pytest.raises(ValueError, match="prediction that differs in settings lies there"):
        in_blocks(other, tmp_path / "a.tif", out)
    with pytest.raises(ValueError, match="prediction that differs in model lies there"):
        in_blocks(api.Predictor(any_size(model()), SETTINGS), tmp_path / "a.tif", out)
    with monkeypatch.context() as later:
        later.setattr(segmenting, "__version__", "99.0")  # which may find other objects
        with pytest.raises(ValueError, match="prediction that differs in version lies there"):
            in_blocks(predictor, tmp_path / "a.tif", out)
    tifffile.imwrite(tmp_path / "a.tif", crowded(8), tile=(64, 64))
    with pytest.raises(ValueError, match="prediction that differs in image lies there"):
        in_blocks(predictor, tmp_path / "a.tif", out)
    with closing(opened(tmp_path / "a.tif")) as source:
        source.facts = dataclasses.replace(source.facts, pixel_size_um=0.5)
        told = "differs in image and pixel size lies there"
        with pytest.raises(ValueError, match=told), segmented(predictor, source, out):
            pass
    found, _, labels = in_blocks(other, tmp_path / "a.tif", out, overwrite=True)
    assert labels.max() == found.n_objects
    with pytest.raises(FileExistsError, match="exists already"):
        in_blocks(other, tmp_path / "a.tif", out)


@pytest.mark.parametrize("out", ["a.tif", "linked/a.tif", "a.tif/labels.tif", "."])
def test_the_image_is_never_replaced_by_its_labels(out, tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", crowded(5), tile=(64, 64))
    (tmp_path / "linked").symlink_to(tmp_path)
    predictor = api.Predictor(model(), SETTINGS)
    with pytest.raises(ValueError, match=r'the image ".*a.tif" is read from there; choose another'):
        in_blocks(predictor, tmp_path / "a.tif", tmp_path / out, overwrite=True)
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), crowded(5))


@pytest.mark.parametrize(("name", "said"), [("out.tif", "a folder"), ("out.zarr", "a file")])
def test_what_a_label_image_cannot_replace_is_told_before_the_work(name, said, tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", crowded(5), tile=(64, 64))
    out, predictor, watch = tmp_path / name, api.Predictor(model(), SETTINGS), Watch()
    out.mkdir() if said == "a folder" else out.write_text("mine")
    with pytest.raises(OSError, match=rf'"{out}": expected .*, found {said}'):
        in_blocks(predictor, tmp_path / "a.tif", out, overwrite=True, progress=watch)
    assert not watch.messages
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", name]


def test_an_ome_zarr_replaces_a_link_and_leaves_alone_what_it_leads_to(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", crowded(5), tile=(64, 64))
    out, predictor = tmp_path / "out.zarr", api.Predictor(model(), SETTINGS)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "old.txt").write_text("old")
    out.symlink_to(tmp_path / "elsewhere")
    with (
        closing(opened(tmp_path / "a.tif")) as source,
        segmented(predictor, source, out, overwrite=True),
    ):
        assert not out.is_symlink()
        with closing(opened(out)) as made:
            assert made.facts.shape == (1, 150, 170)
    assert [p.name for p in (tmp_path / "elsewhere").iterdir()] == ["old.txt"]


def test_a_disk_that_is_full_is_told_of_an_ome_zarr_too_which_is_written_later(
    tmp_path, monkeypatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", crowded(5), tile=(64, 64))
    out, predictor = tmp_path / "out.zarr", api.Predictor(model(), SETTINGS)

    def full(*_args) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("microshot.data.zarr_images.write_zarr_labels", full)
        with (
            closing(opened(tmp_path / "a.tif")) as source,
            pytest.raises(OSError, match=rf'"{out}": the disk is full; free some space'),
            segmented(predictor, source, out),
        ):
            pass
    with closing(opened(tmp_path / "a.tif")) as source, segmented(predictor, source, out) as found:
        assert found.n_resumed == found.n_blocks


def test_a_label_image_that_was_moved_away_is_made_anew(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", crowded(5), tile=(64, 64))
    out, predictor = tmp_path / "out.tif", api.Predictor(model(), SETTINGS)
    with (
        closing(opened(tmp_path / "a.tif")) as source,
        pytest.raises(OSError, match="full"),
        segmented(predictor, source, out),
    ):
        raise OSError("full")
    out.rename(tmp_path / "moved.tif")
    found, _, labels = in_blocks(predictor, tmp_path / "a.tif", out)
    assert found.n_resumed == 0
    assert np.array_equal(labels, tifffile.imread(tmp_path / "moved.tif"))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("anew", [True, False])
def test_an_ome_zarr_whose_pixels_were_replaced_is_another_image(version, anew, tmp_path) -> None:
    import zarr

    def put(pixels: np.ndarray) -> None:
        group = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="w", zarr_format=version)
        group.create_array("s/0", data=pixels, chunks=(64, 64))
        own = {"multiscales": [{"datasets": [{"path": "s/0"}]}]}
        group.attrs.update(own if version == 2 else {"ome": own})

    put(crowded(5))
    out, predictor = tmp_path / "out.tif", api.Predictor(model(), SETTINGS)
    with pytest.raises(Cancelled):
        in_blocks(predictor, tmp_path / "a.ome.zarr", out, progress=CancelWhen("network"))
    with pytest.raises(Cancelled):  # the same goes on
        in_blocks(predictor, tmp_path / "a.ome.zarr", out, progress=CancelWhen("network"))
    if anew:
        put(crowded(6))
    else:
        zarr.open(str(tmp_path / "a.ome.zarr"), mode="r+")["s/0"][:] = crowded(6)
    with pytest.raises(ValueError, match="prediction that differs in image lies there"):
        in_blocks(predictor, tmp_path / "a.ome.zarr", out)


def test_two_runs_do_not_make_the_same_label_image_at_the_same_time(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", crowded(5), tile=(64, 64))
    out, predictor = tmp_path / "out.tif", api.Predictor(model(), SETTINGS)
    refused = []

    def begin_another(fraction: float, message: str = "") -> None:
        if "objects, block 3" in message:
            with pytest.raises(ValueError, match="another run makes this label image") as error:
                in_blocks(predictor, tmp_path / "a.tif", out)
            refused.append(error)

    found, rows, labels = in_blocks(predictor, tmp_path / "a.tif", out, progress=begin_another)
    assert len(refused) == 1
    assert found.n_objects == len(rows) == labels.max()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "out.tif"]


def test_another_file_beside_an_unfinished_run_is_not_replaced_unasked(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", crowded(5), tile=(64, 64))
    out, predictor = tmp_path / "out.tif", api.Predictor(model(), SETTINGS)
    with pytest.raises(Cancelled):
        in_blocks(predictor, tmp_path / "a.tif", out, progress=CancelWhen("objects, block 3"))
    out.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="exists already"):
        in_blocks(predictor, tmp_path / "a.tif", out)
    assert out.read_bytes() == b"mine"
    found, _, _ = in_blocks(predictor, tmp_path / "a.tif", out, overwrite=True)
    assert found.n_resumed == 2


@pytest.mark.parametrize("fill", [0, 9])
def test_an_image_without_objects_gives_an_empty_label_image(fill, tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((150, 20), fill, np.uint16))
    found, rows, labels = in_blocks(
        api.Predictor(model(), SETTINGS), tmp_path / "a.tif", tmp_path / "out.tif"
    )
    assert (found.n_objects, found.confidence, rows) == (0, None, [])
    assert labels.shape == (150, 20)
    assert not labels.any()


@pytest.mark.parametrize("most", [256, 6144])
def test_an_object_that_is_too_large_to_be_looked_at_whole_is_told(
    most, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(block_objects, "MAX_WINDOW_PX", most)
    pixels = np.random.default_rng(0).normal(1000, 150, (60, 700))
    pixels[25:35, 5:-5] = 4000
    tifffile.imwrite(tmp_path / "a.tif", pixels.astype(np.uint16))
    predictor = api.Predictor(model(head="foreground"), dataclasses.replace(SETTINGS, tile_px=192))
    found, _, labels = in_blocks(predictor, tmp_path / "a.tif", tmp_path / "out.tif")
    assert found.n_blocks > 4
    assert found.n_objects == 1
    is_whole = same_objects(labels, whole(predictor, pixels.astype(np.uint16)).labels)
    told = ["1 object is too large to be looked at whole and cut off"]
    assert (is_whole, [n.partition(";")[0] for n in found.notes]) == (
        (False, told) if most == 256 else (True, [])
    )


def test_objects_are_as_sure_as_the_model_has_learned_to_say(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", crowded(5), tile=(64, 64))
    curve = {"confidence": {"slope": 0.0, "offset": float(np.log(3))}}  # 3 of 4 are right
    card = dataclasses.replace(model().card, calibration=curve)
    predictor = api.Predictor(Bundle.make(card, model().weights), SETTINGS)
    found, rows, _ = in_blocks(predictor, tmp_path / "a.tif", tmp_path / "out.tif")
    assert len(rows) > 20
    assert [row["confidence"] for row in rows] == pytest.approx([0.75] * len(rows))
    assert found.confidence == pytest.approx(0.75)
    assert len({row["probability"] for row in rows}) > 9


def test_small_objects_are_left_out_as_in_the_whole_image(tmp_path) -> None:
    wish = dataclasses.replace(SETTINGS, least_area_px=120)
    predictor, pixels = api.Predictor(model(), wish), crowded(4)
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(64, 64))
    _, _, labels = in_blocks(predictor, tmp_path / "a.tif", tmp_path / "out.tif")
    assert same_objects(labels, whole(predictor, pixels).labels)


def test_other_channels_than_the_model_s_are_refused_before_anything_is_written(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 40, 40), np.uint16))
    with pytest.raises(ValueError, match=r"expected 1 channel.*found 2"):
        in_blocks(api.Predictor(model(), SETTINGS), tmp_path / "a.tif", tmp_path / "out.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_of_a_large_image_with_several_channels_one_is_read(tmp_path) -> None:
    pixels = crowded(5)
    others = np.random.default_rng(0).integers(0, 60000, (2, *pixels.shape)).astype(np.uint16)
    stacked = np.stack([others[0], pixels, others[1]])
    tifffile.imwrite(tmp_path / "a.tif", stacked, tile=(64, 64), photometric="minisblack")
    truth = whole(api.Predictor(model(), SETTINGS), pixels)
    names = {"axes": "CYX", "Channel": {"Name": ["GFP", "DAPI", "Cy5"]}}
    tifffile.imwrite(tmp_path / "b.ome.tif", stacked, tile=(64, 64), metadata=names)
    for wanted, file in (("2", "a.tif"), ("dapi", "b.ome.tif")):
        predictor = api.Predictor(model(), dataclasses.replace(SETTINGS, channel=wanted))
        _, _, labels = in_blocks(predictor, tmp_path / file, tmp_path / f"out {file}")
        assert labels.max() > 0
        assert same_objects(labels, truth.labels)
    for wanted, told in (("", "found 3"), ("DAPI", "from 1 to 3"), ("4", "from 1 to 3")):
        predictor = api.Predictor(model(), dataclasses.replace(SETTINGS, channel=wanted))
        with pytest.raises(ValueError, match=told):
            in_blocks(predictor, tmp_path / "a.tif", tmp_path / "no.tif")


@pytest.mark.parametrize("lit", [(0, 1, 2), (2,), (0, 1)], ids=["grey", "blue", "yellow"])
def test_a_large_grey_image_saved_in_colour_is_taken_as_a_small_one_is(lit, tmp_path) -> None:
    pixels, predictor = crowded(5), api.Predictor(model(), SETTINGS)
    colours = np.stack([pixels if c in lit else np.zeros_like(pixels) for c in range(3)], axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", colours, tile=(64, 64), photometric="rgb")
    asked = CancelWhen("objects, block 2")
    with pytest.raises(Cancelled):
        in_blocks(predictor, tmp_path / "a.tif", tmp_path / "out.tif", progress=asked)
    _, rows, labels = in_blocks(predictor, tmp_path / "a.tif", tmp_path / "out.tif")
    truth = whole(predictor, pixels)
    assert same_objects(labels, truth.labels)
    own = measure(truth.labels, Image(pixels[None]), truth.probability)
    means = sorted(r["mean_intensity"] for r in rows)
    assert means == pytest.approx(sorted(r["mean_intensity"] for r in own))


def test_one_pixel_of_colour_in_a_large_image_is_told_where_one_channel_is_needed(tmp_path) -> None:
    colours = np.repeat(crowded(5)[..., None], 3, axis=-1)
    colours[-1, -1, 1] += 1
    tifffile.imwrite(tmp_path / "a.tif", colours, tile=(64, 64), photometric="rgb")
    with pytest.raises(ValueError, match=r"found 3 \(red, green and blue\); .*\"Channel\""):
        in_blocks(api.Predictor(model(), SETTINGS), tmp_path / "a.tif", tmp_path / "out.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
