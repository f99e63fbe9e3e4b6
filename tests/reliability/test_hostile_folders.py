"""Models of others, Zarr folders, kept states and options of commands: read, or refused in a sentence."""

from __future__ import annotations

import importlib.util
import json
import zipfile

import fuzz_more_targets as more
import fuzz_targets as fuzz
import numpy as np
import pytest

from microshot.cluster import connected
from microshot.data.stardist_folder import read_stardist
from microshot.headless.overrides import resolve_overrides
from microshot.headless.workflow import ExtensionNode, WorkflowNode
from microshot.nn.encoder_weights import read_tensors

NAMES = (
    "StarDist model", "encoder weights", "OME-Zarr", "CZI", "LIF", "ND2", "state of a training", "job of a training",
    "table of times", "--set of a workflow", "shared workflow",
)  # fmt: skip


def installed(*packages: str) -> bool:
    return all(importlib.util.find_spec(one) for one in packages)


NEEDS_ZARR = pytest.mark.skipif(not installed("zarr"), reason="zarr is not installed")


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    if not installed("zarr", "h5py", "pylibCZIrw", "liffile", "nd2"):
        pytest.skip("optional packages are not installed")
    folder = tmp_path_factory.mktemp("fuzz")
    return more.targets(folder)


def test_every_target_is_fuzzed_here(targets) -> None:
    assert tuple(targets) == NAMES


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_damaged_bytes_are_read_or_refused_in_one_sentence(name, targets) -> None:
    target = targets[name]
    for number in range(20):
        assert fuzz.outcome(target, fuzz.case(target, 77, number)) == "", number


@pytest.mark.parametrize("name", NAMES)
def test_intact_examples_are_read(name, targets) -> None:
    for data in targets[name].seeds[:1]:
        targets[name].read(data)


# ------------------------------------------------------------------------ what was found


def test_an_archive_with_offsets_outside_of_it_is_no_model_of_stardist(
    tmp_path, monkeypatch
) -> None:
    path = tmp_path / "m.zip"
    path.write_bytes(fuzz.zipped({"config.json": b"{}", "weights_best.h5": b"x"}))

    def failing(self, *arguments, **options):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(zipfile.ZipFile, "open", failing)
    with pytest.raises(
        ValueError, match=r"it is damaged, locked or of another kind; copy it again\.$"
    ):
        read_stardist(path)


def test_an_archive_of_weights_with_a_damaged_directory_is_refused(tmp_path) -> None:
    content = bytearray(fuzz.zipped({"a/data.pkl": b"x"}))
    content[content.index(b"PK\x01\x02")] = 0
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no readable encoder weights; .* of another kind\.$"):
        read_tensors(path)


@NEEDS_ZARR
@pytest.mark.parametrize(
    "change",
    [
        {"ome": 5}, {"ome": {"multiscales": "x"}}, {"ome": {"multiscales": [{"datasets": [3]}]}},
        {"ome": {"multiscales": [{"datasets": [{"path": ["0"]}]}]}},
        {"ome": {"multiscales": [{"datasets": [{"path": "none"}]}]}},
    ],
)  # fmt: skip
def test_a_zarr_folder_whose_description_is_odd_is_refused(change, tmp_path) -> None:
    more.zarr_images(tmp_path)
    path = tmp_path / "own.zarr" / "zarr.json"
    document = json.loads(path.read_text("utf-8"))
    document["attributes"] = change
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(ValueError, match=r"^image\.zarr: the Zarr folder is damaged \(.*\); .*\.$"):
        more.read_zarr(tmp_path / "own.zarr")


@NEEDS_ZARR
def test_a_zarr_group_instead_of_an_image_is_named(tmp_path) -> None:
    import zarr

    group = zarr.open_group(str(tmp_path / "g.zarr"), mode="w")
    group.create_group("0")
    group.attrs["multiscales"] = [{"datasets": [{"path": "0"}]}]
    with pytest.raises(ValueError, match="found another Zarr group"):
        more.read_zarr(tmp_path / "g.zarr")


@NEEDS_ZARR
def test_chunks_that_would_fill_the_memory_are_refused_before_they_are_read(tmp_path) -> None:
    import zarr

    side = 1 << 17
    zarr.create_array(
        str(tmp_path / "a.zarr"), shape=(side, side), chunks=(side, side), dtype=np.uint16
    )
    with pytest.raises(ValueError, match=r"its chunks of 32 GiB are too large"):
        more.read_zarr(tmp_path / "a.zarr")


def test_a_line_break_in_an_option_does_not_break_the_sentence() -> None:
    node = WorkflowNode(1, ExtensionNode("org.x", "train"), "Train")
    for key in ("train.min\nutes", "tr\nain.minutes"):
        with pytest.raises(ValueError, match=r"^[^\n]+\.$"):
            resolve_overrides(
                {key: "1"}, [node], {1: {"properties": {"minutes": {"type": "number"}}}}
            )


def test_a_time_over_several_lines_does_not_break_the_sentence(tmp_path) -> None:
    table = tmp_path / "t.csv"
    table.write_text('file,time\na.tif,"1\n2"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r'expected a number as time, found "1 2"; correct it\.$'):
        more.read_times(table)


@pytest.mark.skipif(not installed("distributed"), reason="dask.distributed is not installed")
@pytest.mark.parametrize(
    "address",
    [
        "inproc://x", "ucx://x", "foo://x:1", "://x", "x", "tcp://127.0.0.1:x", "tcp://x:99999",
        "a\x00b", "a\nb:1", "9" * 400, "tcp://[::1", "",
    ],
)  # fmt: skip
def test_what_cannot_be_the_address_of_a_scheduler_is_told_at_once(address) -> None:
    told = pytest.raises(ValueError, match="expected an address such as tcp://head:8786, or local")
    with told, connected(address):
        pass
