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
from models_of_all_kinds import STAINS, made

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
    ],
)
def test_a_package_is_called_in_the_characters_of_the_specification(name, written):
    description, files = opened(package(made("unet-stains", FIXED, name=name)))
    assert description["name"] == written
    assert name in files["README.md"].decode()


def test_stains_called_like_words_of_python_get_names_that_the_specification_allows():
    bundle = made("unet-stains", FIXED, targets=("IF", "DAPI 1"))
    description, _ = opened(package(bundle))
    assert description["outputs"][0]["axes"][1]["channel_names"] == ["if_", "dapi_1"]


def test_stains_that_are_in_the_cameras_numbers_already_need_no_step_back():
    same = {"kind": "minmax", "per": "dataset", "offset": [0.0, 0.0], "scale": [1.0, 1.0]}
    bundle = made("unet-stains", FIXED, preparation={**STAINS, "stain_range": same})
    description, _ = opened(package(bundle))
    assert description["outputs"][0]["postprocessing"] == []


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
