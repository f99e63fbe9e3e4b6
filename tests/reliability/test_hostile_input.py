"""Damaged and hostile files: one sentence, nothing elsewhere touched, nothing swells, no code runs."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import logging
import re
import socket
import struct
import tempfile
import time
import tracemalloc
from pathlib import Path

import fuzz_targets as fuzz
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot import api
from microshot.bundle import Bundle
from microshot.data import label_files
from microshot.data.normalize import Normalization
from microshot.data.png import decode_png
from microshot.data.read import read_image
from microshot.data.roi_files import read_roi, read_roi_zip
from microshot.headless import standin
from microshot.headless.workflow_reader import read_workflow
from microshot.opening import recipe_of, skeleton_of
from microshot.settings import TrainSettings

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
NAMES = (
    "model file", "network of a model", "GeoJSON", "COCO", "labelme", "VIA", "ImageJ ROI", "ImageJ ROI set", "label file",
    "PNG", "TIFF", "JPEG and BMP", "table of counts", "table of points", "settings of a node",
    "packed workflow", "settings", "--set",
)  # fmt: skip


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    return fuzz.targets(folder), fuzz.Watch(folder, Path(tempfile.gettempdir()))


def test_every_target_is_fuzzed_here(targets) -> None:
    assert tuple(targets[0]) == NAMES


def test_every_format_of_outlines_and_points_is_fuzzed() -> None:
    known = {one.__name__ for one in vars(label_files).values() if inspect.ismodule(one)}
    fuzzed = {
        getattr(one, "__module__", getattr(one, "__name__", "")) for one in vars(fuzz).values()
    }
    assert len(known) >= 6
    assert known - fuzzed == set()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_damaged_bytes_are_read_or_refused_in_one_sentence(name, targets) -> None:
    """A thousandth of what `benchmarks/fuzz.py` does."""
    target, watch = targets[0][name], targets[1]
    for number in range(max(4, round(20 * min(target.share, 5)))):
        data = fuzz.case(target, 77, number)
        with watch() as seen:
            assert fuzz.outcome(target, data) == "", number
        assert seen == []


@pytest.mark.parametrize("name", NAMES)
def test_intact_examples_are_read(name, targets) -> None:
    """So that damage is done to what gets through to the end."""
    target, good = targets[0][name], 0
    for data in target.seeds:
        try:
            target.read(data)
        except ValueError:
            continue
        else:
            good += 1
    assert good


def test_the_watch_sees_what_must_not_happen(tmp_path) -> None:
    watch = fuzz.Watch(tmp_path)
    (tmp_path / "inside").write_text("")
    with watch() as seen:
        (tmp_path / "inside").read_text()
    assert seen == []
    with watch() as seen:
        Path("/etc/hostname").exists()
        with open("/etc/passwd"):  # noqa: PTH123 - any file that is none of ours
            pass
    assert seen == ["opened /etc/passwd"]


# ------------------------------------------------------------------- what was found by fuzzing


def roi_oval(**changes: float) -> bytes:
    import roifile

    roi = roifile.ImagejRoi.frompoints(np.array([[1, 2], [30, 20], [3, 9]]))
    roi.roitype, roi.n_coordinates = roifile.ROI_TYPE.OVAL, 0
    roi.integer_coordinates = roi.subpixel_coordinates = None
    roi.options |= roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    roi.version, roi.xd, roi.yd, roi.widthd, roi.heightd = 227, 1, 2, 8, 6
    for key, value in changes.items():
        setattr(roi, key, value)
    return roi.tobytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_oval_without_size_is_refused(value) -> None:
    assert len(read_roi(roi_oval(), "file").regions) == 1
    with pytest.raises(ValueError, match=r"^file: the ImageJ oval has no size; save it again\.$"):
        read_roi(roi_oval(widthd=value), "file")


def test_an_archive_whose_members_lie_before_its_start_is_refused() -> None:
    data = bytearray(fuzz.zipped({"a.roi": roi_oval()}))
    directory = data.rindex(b"PK\x05\x06")
    struct.pack_into("<I", data, directory + 16, 1 << 31)
    struct.pack_into("<I", data, directory + 12, 1 << 31)
    with pytest.raises(ValueError, match=r"^file: the ZIP archive is damaged .*\.$"):
        read_roi_zip(bytes(data), "file")
    with pytest.raises(ValueError, match=r"^file: the ZIP archive is damaged .*\.$"):
        read_roi_zip(fuzz.zipped({"a.roi": roi_oval()})[:-9], "file")


def test_what_a_model_file_holds_does_not_fill_the_message() -> None:
    header, card, weights = fuzz._parts(fuzz.tiny_bundle().to_bytes())
    header["a"]["data_offsets"] = "x\n" * 5000
    with pytest.raises(ValueError, match="damaged model file") as caught:
        Bundle.from_bytes(fuzz._model_file(header, card, weights))
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_what_a_coco_file_holds_does_not_fill_the_message() -> None:
    long = "x\n" * 900
    document = json.loads(fuzz._cocos()[0])
    image, annotation = document["images"][0], document["annotations"][0]
    for change in (
        {"images": [image | {"file_name": long}] * 2},
        {"images": [image | {"id": long}] * 2},
        {"annotations": [annotation | {"id": long, "segmentation": [[1]]}]},
        {"annotations": [annotation | {"image_id": long}]},
    ):
        with pytest.raises(ValueError, match=r"^file.*\.$") as caught:
            fuzz.read_coco(json.dumps(document | change).encode())
        assert len(str(caught.value)) < 300
        assert "\n" not in str(caught.value)


def test_what_settings_hold_is_told_without_filling_the_message() -> None:
    for value in (
        '{"training": {"learning_rate": 1%s}}' % ("0" * 400),
        '{"task": "%s"}' % ("x" * 3000),
    ):
        read = fuzz.Target("", lambda data: fuzz.settings_of(TrainSettings, data), [], fuzz.damaged)
        assert fuzz.outcome(read, value.encode()) == ""
        with pytest.raises(ValueError, match="found") as caught:
            read.read(value.encode())
        assert len(str(caught.value)) < 400


def test_a_translation_model_of_an_odd_preset_is_refused() -> None:
    from tasks_of_all_kinds import one_of_each

    card = one_of_each("translate")[0].card
    recipe_of(card)
    for preset in ([], {}, None, 3):
        with pytest.raises(ValueError, match=r"come from one of"):
            recipe_of(dataclasses.replace(card, preparation={**card.preparation, "preset": preset}))


def test_what_a_model_file_may_leave_out_is_also_known_where_its_network_is_built() -> None:
    from tasks_of_all_kinds import one_of_each

    bundle, data = one_of_each("count")
    less = {k: v for k, v in bundle.card.architecture.items() if k != "spread_px"}
    card = dataclasses.replace(bundle.card, architecture=less)
    api.Predictor(Bundle(card, bundle.weights))(data[0])


@pytest.mark.parametrize("key", ["kind", "per", "low", "high", "offset", "scale"])
def test_an_odd_normalisation_does_not_fill_the_message(key) -> None:
    with pytest.raises(ValueError, match=r"^Normalisation: ") as caught:
        Normalization.from_json({**Normalization("percentile").to_json(), key: "x" * 3000})
    assert len(str(caught.value)) < 300


def test_a_counter_that_begins_with_many_objects_can_be_built() -> None:
    from tasks_of_all_kinds import one_of_each

    bundle, _ = one_of_each("count")
    architecture = {**bundle.card.architecture, "initial_density": 1e6, "spread_px": 1e3}
    skeleton_of(Bundle(dataclasses.replace(bundle.card, architecture=architecture), bundle.weights))


def test_a_card_of_the_future_does_not_fill_the_message() -> None:
    header, card, weights = fuzz._parts(fuzz.tiny_bundle().to_bytes())
    card |= {"schema": 10**400, "versions": {"microshot": "x\n" * 3000}}
    with pytest.raises(ValueError, match="written by Microshot x x") as caught:
        Bundle.from_bytes(fuzz._model_file(header, card, weights))
    assert len(str(caught.value)) < 300


def test_numbers_of_a_model_file_that_are_none_are_refused() -> None:
    from tasks_of_all_kinds import one_of_each
    from tiny_models import model

    count, segment = one_of_each("count")[0].card, model().card
    for card, part, key, value in (
        (segment, "architecture", "initial_distance_px", "../../etc/passwd"),
        (segment, "architecture", "initial_distance_px", -1),
        (count, "thresholds", "calibration_images", 10**400),
    ):
        changed = {part: {**getattr(card, part), key: value}}
        with pytest.raises(ValueError, match=rf"^The model's {key} must be a number from .*\.$"):
            recipe_of(dataclasses.replace(card, **changed))


def test_a_damaged_tiff_is_told_in_one_sentence_and_not_also_by_a_library(tmp_path, caplog) -> None:
    data = bytearray(fuzz._tiffs()[0])
    first = struct.unpack_from("<I", data, 4)[0]
    struct.pack_into("<H", data, first + 2 + 2, 999)  # the first tag's type
    (tmp_path / "a.tif").write_bytes(data)
    with caplog.at_level(logging.NOTSET):
        target = fuzz.Target("", lambda _: read_image(tmp_path / "a.tif"), [], fuzz.damaged)
        assert fuzz.outcome(target, b"") == ""
    assert caplog.records == []


# ------------------------------------------------------------------------- any bytes at all

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["type", "features", "geometry", "coordinates", "properties", "images", "annotations",
             "id", "image_id", "file_name", "segmentation", "size", "counts", "minutes", "network"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(value=_JSON)
def test_any_json_is_read_or_refused_in_one_sentence(value, targets) -> None:
    data = json.dumps(value).encode()
    for name in ("GeoJSON", "COCO", "settings"):
        assert fuzz.outcome(targets[0][name], data) == ""


@settings(deadline=None, max_examples=40)
@given(
    value=st.sampled_from([b"", b"Iout", b"PK\x03\x04", b"II*\0", b"MM\0+", b"y,x\n"]),
    data=st.binary(),
)
def test_any_bytes_are_read_or_refused_in_one_sentence(value, data, targets) -> None:
    for name in NAMES:
        if name != "packed workflow":
            assert fuzz.outcome(targets[0][name], value + data) == ""


# -------------------------------------------------------------------- what swells when unpacked


def memory_of(work) -> int:
    """Return the most memory in MiB that Python takes while `work` is refused."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"\.$"):
            work()
        return tracemalloc.get_traced_memory()[1] >> 20
    finally:
        tracemalloc.stop()


def forged_tiff(width: int, height: int, *, bits: int = 16, compression: int = 1) -> bytes:
    """Return a TIFF of a few bytes that claims to be `width` x `height` px."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, compression),
            (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 8)]  # fmt: skip
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return (
        b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(tags)) + body + bytes(4)
    )


@pytest.mark.parametrize("size", [(1 << 16, 1 << 16), (1 << 31, 1 << 31), (40_000, 30_000), (0, 5)])
@pytest.mark.parametrize("compression", [1, 8, 5])
def test_a_tiff_of_absurd_size_is_refused_before_memory_is_taken(size, compression, tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(forged_tiff(*size, compression=compression))
    assert memory_of(lambda: read_image(path)) < 50


def test_a_png_of_absurd_size_is_refused_before_memory_is_taken() -> None:
    png = bytearray(fuzz._pngs()[0])
    struct.pack_into(">II", png, 16, 100_000, 100_000)
    assert memory_of(lambda: decode_png(fuzz.with_checksums(bytes(png)), "file")) < 50


def test_regions_that_swell_are_refused() -> None:
    bomb = fuzz.zipped({"a.roi": b"Iout" + bytes(70 << 20)}, compress=True)
    assert len(bomb) < 1 << 20
    with pytest.raises(ValueError, match=r"at most 64 MiB each .* unpacks to more"):
        read_roi_zip(bomb, "file")


def test_a_workflow_that_swells_is_refused_by_what_it_says_it_holds(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("microshot.headless.knwf.MAX_UNPACKED_BYTES", 1 << 20)
    path = tmp_path / "w.knwf"
    path.write_bytes(fuzz.zipped({"w/workflow.knime": bytes(2 << 20)}, compress=True))
    with pytest.raises(ValueError, match="is larger than the"):
        read_workflow(path)


def test_entities_that_multiply_in_a_tiffs_description_do_not(tmp_path) -> None:
    lines = [f'<!ENTITY e{i + 1} "{f"&e{i};" * 12}">' for i in range(9)]
    laughs = f'<!DOCTYPE OME [<!ENTITY e0 "ha">{"".join(lines)}]><OME><Image>&e9;</Image></OME>'
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path,
        np.zeros((4, 4), np.uint8),
        description=f'<?xml version="1.0"?>{laughs}',
        metadata=None,
    )
    started = time.process_time()
    tracemalloc.start()
    try:
        fuzz_outcome = fuzz.outcome(
            fuzz.Target("", lambda _: read_image(path), [], fuzz.damaged), b""
        )
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert fuzz_outcome == ""
    assert time.process_time() - started < 5


# ---------------------------------------------------------------------------- files elsewhere


@pytest.mark.parametrize(
    "name", ["../out", "w/../../out", "/tmp/out", "C:\\out", "w\\..\\..\\out", "//server/out"]
)
def test_a_packed_workflow_cannot_write_elsewhere(name, tmp_path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / "w.knwf"
    path.write_bytes(fuzz.zipped({"w/workflow.knime": b"<config/>", name: b"evil"}))
    with pytest.raises(ValueError, match="leaves the workflow folder"):
        read_workflow(path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["inner", "w.knwf"]


def test_a_region_named_like_a_path_stays_a_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = fuzz.zipped({"../../evil.roi": roi_oval(), "/tmp/evil.roi": roi_oval()})
    assert len(read_roi_zip(data, "file").regions) == 2
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------- code and network


def calls(tree: ast.AST) -> list[str]:
    """Return the dotted names of everything called in a module."""
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return {name.split(".")[0] for name in found - {"urllib.parse"}}  # that one only writes text


_FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "pickle.load",
    "pickle.loads", "yaml.load", "joblib.load", "pd.read_pickle",
}  # fmt: skip
_FORBIDDEN_IMPORTS = {
    "pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "yaml", "socket",
    "ssl", "http", "urllib", "urllib3", "requests", "httpx", "ftplib", "smtplib", "telnetlib",
    "subprocess", "xmlrpc",
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT / "src").as_posix())
def test_no_module_can_run_foreign_code_or_reach_the_network(path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    used = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    of_pickle = {name for name in used if re.fullmatch(r"pickle\.\w+", name)}
    only_writes = of_pickle <= {"pickle.UnpicklingError", "pickle.dumps"}
    harmless = {"pickle"} if only_writes else set()
    assert imports(tree) & _FORBIDDEN_IMPORTS <= harmless
    assert set(calls(tree)) & _FORBIDDEN_CALLS == set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            assert not any(
                k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords
            )
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("torch.load"):
            assert any(
                k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords
            )


def test_the_guard_would_notice() -> None:
    tree = ast.parse("import pickle, os\ndef f(x):\n    return eval(x), pickle.loads(x)\n")
    assert imports(tree) & _FORBIDDEN_IMPORTS == {"pickle"}
    assert set(calls(tree)) & _FORBIDDEN_CALLS == {"eval", "pickle.loads"}


def test_the_nodes_work_without_any_socket(tmp_path, monkeypatch) -> None:
    """Generate, train, retrain, predict, score, suggest, and write; a socket would raise."""
    if not standin.install():
        pytest.skip("KNIME's own API is installed, so the stand-in is not used")

    def no_socket(*_: object, **__: object) -> None:
        raise AssertionError("a socket was asked for")

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, no_socket)
    host = standin.Host(ROOT, tmp_path / "host")
    generate = host.node("generate_synthetic")
    for key, value in {"n": 3, "height_px": 64, "width_px": 64}.items():
        generate.set(key, value)
    (images,) = generate.execute([None])
    train = _tiny(host.node("train"))
    model, _ = train.execute([images, None])
    retrain = _tiny(host.node("retrain"))
    retrain.set("check", "NONE")
    model, _ = retrain.execute([model, images, None])
    predict = host.node("predict")
    predict.set("device", "CPU")
    found, _ = predict.execute([model, images])
    assert found.num_rows == 3
    host.node("score").execute([found])
    host.node("suggest").execute([model, images])
    writer = host.node("write_model")
    area = tmp_path / "data"
    area.mkdir()
    writer.execute([model], data_area=area)
    assert {p.suffix for p in area.iterdir()} == {".microshot", ".html"}


def _tiny(node):
    node.set("minutes", 0.0)
    for name, value in {
        "training.epochs": 1, "training.steps_per_epoch": 2, "training.device": "CPU",
        "network.width": 4, "network.depth": 1, "network.rays": 8, "images.patch_px": 32,
        "images.augmentation": "NONE",
    }.items():  # fmt: skip
        group, key = name.split(".")
        if key in node.settings.get(group, {}):
            node.set(name, value)
    return node
