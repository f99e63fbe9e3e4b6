"""A bioimage.io package holds what it names, says how images are prepared, and repeats its test."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from microshot.export.bioimageio import package
from microshot.export.onnx import run_onnx
from microshot.export.package_texts import cover
from microshot.nn import geometry
from models_of_all_kinds import KINDS, STAINS, made

FIXED = {
    "kind": "percentile", "low": 0.01, "high": 99.99, "per": "dataset",
    "offset": [100.0, 120.0, 90.0], "scale": [900.0, 800.0, 1000.0],
}  # fmt: skip


def opened(content: bytes) -> tuple[dict, dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files["rdf.yaml"]), files


def sources(value: object):
    """Yield every file named in a description."""
    if isinstance(value, dict):
        if "source" in value:
            yield value["source"], value["sha256"]
        for one in value.values():
            yield from sources(one)
    elif isinstance(value, list):
        for one in value:
            yield from sources(one)


def array(content: bytes) -> np.ndarray:
    return np.load(io.BytesIO(content), allow_pickle=False)


@pytest.mark.parametrize(
    ("kind", "normalization", "step"),
    [
        ("stardist", {"kind": "percentile"}, "scale_range"),
        ("dense-unet", FIXED, "fixed_zero_mean_unit_variance"),
        ("twin-vae", None, "scale_range"),
    ],
)
def test_a_package_repeats_its_own_test_by_its_own_description(kind, normalization, step):
    description, files = opened(package(made(kind, normalization)))
    named = dict(sources(description))
    assert {*named} == {*files} - {"rdf.yaml"}
    for name, digest in named.items():
        assert hashlib.sha256(files[name]).hexdigest() == digest
    (entry,) = description["inputs"]
    raw = array(files["test_input.npy"])
    (before,) = entry["preprocessing"]
    assert before["id"] == step
    values = before["kwargs"]
    if step == "scale_range":
        limits = [values["min_percentile"], values["max_percentile"]]
        low, high = np.percentile(raw, limits, axis=(2, 3), keepdims=True)
        prepared = (raw - low) / (high - low + 1e-6)
    else:
        mean, std = (np.reshape(values[k], (1, -1, 1, 1)) for k in ("mean", "std"))
        prepared = (raw - mean) / std
    found = run_onnx(files["weights.onnx"], prepared.astype(np.float32))
    for output, values in zip(description["outputs"], found, strict=True):
        for after in output["postprocessing"]:
            gain, offset = (
                np.reshape(after["kwargs"][k], (1, -1, 1, 1)) for k in ("gain", "offset")
            )
            values = values * gain + offset
        expected = array(files[f"test_{output['id']}.npy"])
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-3)
        assert len(output["axes"]) == values.ndim
        assert len(output["axes"][1]["channel_names"]) == values.shape[1]
    assert description["license"] == "CC0-1.0"


def test_a_package_is_the_same_bytes_each_time_and_names_stains_and_unknown_licences():
    bundle = made("dense-unet", FIXED, licence="see source")
    content = package(bundle)
    assert content == package(bundle)
    description, files = opened(content)
    assert description["outputs"][0]["axes"][1]["channel_names"] == ["lipids", "nuclei"]
    assert "license" not in description
    assert b"see source" in files["LICENSE.txt"]
    assert files["cover.png"].startswith(b"\x89PNG")


def test_sizes_of_the_image_and_what_comes_of_it_are_told_in_the_words_of_the_specification():
    """An output of stride 2 has half as many px, which the specification calls the scale 2."""
    description, files = opened(package(made("stardist")))
    (entry,) = description["inputs"]
    assert [a["id"] for a in entry["axes"][2:]] == ["y", "x"]
    assert [a["size"] for a in entry["axes"][2:]] == [{"min": 64, "step": 8}] * 2
    assert [array(files[f"test_{n}.npy"]).shape for n in ("input", "probability", "distance")] == [
        (1, 1, 128, 128), (1, 1, 64, 64), (1, 8, 64, 64),
    ]  # fmt: skip
    for output in description["outputs"]:
        for axis, name in zip(output["axes"][2:], "yx", strict=True):
            size = {"tensor_id": "image", "axis_id": name}
            assert axis == {"type": "space", "id": name, "size": size, "scale": 2.0}
    assert all(len(o["description"]) <= 128 for o in [entry, *description["outputs"]])
    known = description["config"]["microshot"]
    assert (known["task"], known["halo_px"], "outputs" in known) == ("segment", 51, False)
    assert description["outputs"][1]["axes"][1]["channel_names"][:2] == ["channel0", "channel1"]


def test_an_image_of_fixed_size_is_told_as_such_and_its_outputs_have_no_sides():
    description, files = opened(package(made("twin-vae")))
    assert [a["size"] for a in description["inputs"][0]["axes"][2:]] == [64, 64]
    assert array(files["test_input.npy"]).shape == (1, 1, 64, 64)
    assert [len(output["axes"]) for output in description["outputs"]] == [2, 2]


@pytest.mark.parametrize(
    ("normalization", "step", "values"),
    [
        ({"kind": "zscore"}, "zero_mean_unit_variance", {}),
        ({"kind": "minmax"}, "scale_range", {"min_percentile": 0.0, "max_percentile": 100.0}),
        ({"kind": "percentile", "low": 3.0, "high": 97.0}, "scale_range",
         {"min_percentile": 3.0, "max_percentile": 97.0}),
    ],
)  # fmt: skip
def test_each_image_is_normalised_by_itself_over_its_sides(normalization, step, values):
    description, _ = opened(package(made("density", normalization)))
    (before,) = description["inputs"][0]["preprocessing"]
    assert before == {"id": step, "kwargs": {"axes": ["y", "x"], **values}}


def test_the_test_image_has_a_side_that_the_network_takes_and_channels_that_differ(monkeypatch):
    """Of a network that takes multiples of 24 px: 72, the least from 64 on, and twice that."""
    monkeypatch.setattr(geometry, "side_multiple", lambda _: 24)
    description, files = opened(package(made("foreground")))
    assert description["inputs"][0]["axes"][2]["size"] == {"min": 72, "step": 24}
    image = array(files["test_input.npy"])[0]
    assert image.shape == (3, 144, 144)
    disc = image[0] > 700
    assert [np.median(c[disc]) for c in image] == pytest.approx([1200, 1000, 800], abs=10)
    assert [np.median(c[~disc]) for c in image] == pytest.approx([200] * 3, abs=10)


@pytest.mark.parametrize(
    ("kind", "card", "diameter"),
    [("density", {"preparation": {"working_diameter_px": 20.0}}, 20), ("twin-vae", {}, 16)],
)
def test_the_discs_of_the_test_image_are_as_large_as_the_model_knows_objects(kind, card, diameter):
    """Or a quarter of the side; six of 0.8 to 1.2 of it, and what of them lies within the image."""
    _, files = opened(package(made(kind, **card)))
    area = np.count_nonzero(array(files["test_input.npy"]) > 700)
    assert 1 < area / (np.pi / 4 * diameter**2) < 6 * 1.2**2


def test_the_cover_shows_the_test_image_beside_the_first_output():
    _, files = opened(package(made("density")))
    shown = cover(array(files["test_input.npy"])[0, 0], array(files["test_density.npy"])[0])
    assert files["cover.png"] == shown


def test_a_model_without_licence_date_or_short_name_is_packed_with_what_the_specification_asks():
    bundle = made("density", name="x" * 120, licence="", created="")
    description, files = opened(package(bundle))
    assert description["name"] == "x" * 100
    assert files["LICENSE.txt"] == b"Licence not stated.\n"
    assert description["timestamp"] == "1980-01-01T00:00:00+00:00"


def test_a_model_that_knows_its_confidence_is_packed_with_its_thresholds():
    confidence = {"background": [0.1, 0.2], "nucleus": [0.1, 0.3]}
    bundle = made("lupi-unet", thresholds={"mask": 0.5, "confidence": confidence})
    _, files = opened(package(bundle))
    assert b"- Threshold *mask*: 0.5\n" in files["README.md"]
    assert b"Threshold *confidence*" not in files["README.md"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Nuclei v1.2", "Nuclei v1_2"),
        ("Zellkerne, Köln", "Zellkerne_ Koln"),
        ("10-fold (A+B)", "10-fold (A+B)"),
        ("核", "_ model"),
        ("cell", "cell model"),
        ("cells", "cells"),
    ],
)
def test_a_package_is_called_in_the_characters_of_the_specification(name, written):
    description, files = opened(package(made("unet-stains", FIXED, name=name)))
    assert description["name"] == written
    assert name in files["README.md"].decode()


@pytest.mark.parametrize(
    ("targets", "names"),
    [(("IF", "DAPI 1"), ["if_", "dapi_1"]), (("-GFP-", "DAPI"), ["gfp", "dapi"]),
     (("A b", "a B"), ["channel0", "channel1"]), (("405 nm", "DAPI"), ["channel0", "channel1"])],
)  # fmt: skip
def test_stains_get_names_that_the_specification_allows(targets, names):
    """Identifiers of Python that are no words of its own, and differ."""
    description, _ = opened(package(made("unet-stains", FIXED, targets=targets)))
    assert description["outputs"][0]["axes"][1]["channel_names"] == names


def test_a_mask_is_not_called_like_the_stain(monkeypatch):
    one = {
        "targets": ["nuclei"],
        "stain_range": STAINS["stain_range"] | {"offset": [1.0], "scale": [9.0]},
    }
    monkeypatch.setitem(KINDS, "one", ("translate", KINDS["lupi-unet"][1] | {"out_channels": 1}))
    description, _ = opened(package(made("one", FIXED, preparation=one, targets=("nuclei",))))
    names = [output["axes"][1]["channel_names"] for output in description["outputs"]]
    assert names == [["nuclei"], ["channel0"]]


@pytest.mark.parametrize(
    ("offset", "scale", "steps"), [(0.0, 1.0, 0), (5.0, 1.0, 1), (0.0, 2.0, 1)]
)
def test_stains_that_are_in_the_cameras_numbers_already_need_no_step_back(offset, scale, steps):
    own = {"kind": "minmax", "per": "dataset", "offset": [0.0, offset], "scale": [1.0, scale]}
    bundle = made("unet-stains", FIXED, preparation={**STAINS, "stain_range": own})
    description, _ = opened(package(bundle))
    numbers = {"axis": "channel", "gain": [1.0, scale], "offset": [0.0, offset]}
    step = {"id": "scale_linear", "kwargs": numbers}
    assert description["outputs"][0]["postprocessing"] == [step] * steps


def _core() -> str:
    """Return a Python that has bioimageio.core; empty where there is none."""
    given = os.environ.get("BIOIMAGEIO_PYTHON", "")
    return given or (sys.executable if importlib.util.find_spec("bioimageio") else "")


@pytest.mark.skipif(
    not _core(), reason="needs bioimageio.core here or in the Python that $BIOIMAGEIO_PYTHON names"
)
@pytest.mark.parametrize("kind", ["stardist", "dense-unet", "twin-vae", "density", "boundary"])
def test_packages_pass_the_test_of_bioimageio_core(kind, tmp_path):
    file = tmp_path / "model.zip"
    file.write_bytes(package(made(kind, FIXED if kind == "dense-unet" else None)))
    code = (
        "import sys; from bioimageio.core import test_model; print(test_model(sys.argv[1]).status)"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [_core(), "-c", code, str(file)],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert done.stdout.strip().splitlines()[-1] == "passed"
