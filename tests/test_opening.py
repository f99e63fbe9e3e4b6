"""Which engine computes a model file's network, and that PyTorch is not needed for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from microshot import api, device, opening
from microshot.device import choose_device
from microshot.inference.onnx_network import OnnxNetwork
from microshot.inference.predictor import TorchNetwork
from microshot.settings import PredictSettings
from tasks_of_all_kinds import one_of_each
from test_bundle import pattern
from tiny_models import field, fields, model

CPU = PredictSettings(device="cpu")
#: Predicts as `microshot predict` and the node do, in a process of its own.
WITHOUT_TORCH = """
import sys
import numpy as np
from microshot import api
from microshot.bundle import Bundle
from microshot.data.dataset import Sample
from microshot.data.image import Image

predictor = api.Predictor(Bundle.load(sys.argv[1]))
found = predictor(Sample("field", Image(np.load(sys.argv[2]))))
slow = {"torch", "albumentations", "matplotlib", "numba", "stardist"} & set(sys.modules)
print(sorted(slow), predictor.device.line)
np.save(sys.argv[3], found.labels)
"""


@pytest.fixture(autouse=True)
def no_graphics_card(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("head", ["stardist", "foreground", "boundary"])
def test_both_engines_find_the_same_objects(head) -> None:
    bundle, sample = model(head=head), field(5, shape=(150, 170))
    fast = api.Predictor(bundle, CPU)
    slow = api.Predictor(bundle, CPU, inspected=True)
    assert isinstance(fast.network, OnnxNetwork)
    assert isinstance(slow.network, TorchNetwork)
    a, b = fast(sample), slow(sample)
    assert a.n_objects == b.n_objects > 5
    assert np.array_equal(a.labels, b.labels)
    assert np.allclose(a.probability, b.probability, atol=1e-4)


def processor_with(monkeypatch, *instructions: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(instructions, True))


@pytest.mark.parametrize("head", ["stardist", "foreground", "boundary"])
def test_in_bfloat16_almost_the_same_pixels_are_found(head, monkeypatch) -> None:
    processor_with(monkeypatch, "avx512_bf16")
    bundle, sample = model(head=head), field(5, shape=(150, 170))
    fast = api.Predictor(bundle, PredictSettings(device="cpu", precision="auto"))
    assert isinstance(fast.network, TorchNetwork)
    assert ", bfloat16: chosen by the user" in fast.device.line
    found, wanted = fast(sample), api.Predictor(bundle, CPU)(sample)
    assert found.n_objects == wanted.n_objects > 5
    assert np.mean((found.labels > 0) != (wanted.labels > 0)) < 0.01
    sure, surer = (np.sort(one.probability) for one in (found, wanted))
    assert not np.array_equal(sure, surer)
    assert np.allclose(sure, surer, atol=0.02)


@pytest.mark.parametrize("task", ["segment", "count"])
def test_32_bits_stay_where_16_are_slow_or_would_change_the_answer(task, monkeypatch) -> None:
    processor_with(monkeypatch, *(["avx512_bf16"] if task == "count" else ["avx512_f"]))
    bundle = model() if task == "segment" else one_of_each(task)[0]
    asked = api.Predictor(bundle, PredictSettings(device="cpu", precision="auto"))
    assert "bfloat16" not in asked.device.line
    assert isinstance(asked.network, OnnxNetwork)


def test_the_device_line_names_the_engine() -> None:
    line = api.Predictor(model(), CPU).device.line
    assert line.startswith("CPU, ONNX Runtime 1.")
    assert "thread" in line
    assert line.endswith(": chosen by the user")
    assert "ONNX" not in api.Predictor(model(), CPU, inspected=True).device.line


def test_predicting_imports_neither_pytorch_nor_what_takes_long(tmp_path: Path) -> None:
    source, given = Path(api.__file__).parents[1], Path(__file__).parent / "models"
    image, labels = tmp_path / "image.npy", tmp_path / "labels.npy"
    np.save(image, pattern().image.pixels)
    files = [given / "schema_1.microshot", image, labels]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, files)], capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": str(source)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[] CPU, ONNX Runtime"), done.stdout
    expected = np.loadtxt(given / "schema_1.csv", delimiter=",", dtype=int)
    assert (np.load(labels) != expected).mean() < 0.002  # rounding differs between processors


def test_weights_that_do_not_fit_are_refused_by_both_engines() -> None:
    import dataclasses

    from microshot.bundle import Bundle

    card = model().card
    wrong = dataclasses.replace(card, architecture={**card.architecture, "rays": 16})
    bundle, messages = Bundle(wrong, model().weights), []
    for load in (opening.graph_of, lambda b: opening.network_of(b, choose_device("cpu"))):
        with pytest.raises(ValueError, match=r"2 tensors do not fit .*head.bias") as caught:
            load(bundle)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_network_too_large_for_an_onnx_file_is_left_to_pytorch(monkeypatch) -> None:
    monkeypatch.setattr(opening, "MAX_GRAPH_BYTES", 100)
    predictor = api.Predictor(model(), CPU)
    assert isinstance(predictor.network, TorchNetwork)
    assert predictor(fields(1)[0]).n_objects > 0


@pytest.mark.parametrize(
    ("version", "driver", "words"),
    [
        ("2.9.0+cpu", True, "PyTorch 2.9.0 is built without CUDA"),
        ("2.9.0", False, "there is no NVIDIA driver"),
        ("2.9.0+cu128", False, "there is no NVIDIA driver"),
        ("2.9.0+cu128", True, ""),
        ("2.9.0+rocm6.3", False, ""),
    ],
)
def test_a_graphics_card_is_looked_for_without_pytorch(monkeypatch, version, driver, words) -> None:
    def load(name: str) -> None:
        if not driver:
            raise OSError(name)

    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr("importlib.metadata.version", lambda _: version)
    monkeypatch.setattr(device.ctypes, "CDLL", load)
    monkeypatch.setattr(device.sys, "platform", "linux")
    assert device.why_no_cuda() == words


def test_pytorch_is_asked_once_it_is_there_anyway() -> None:
    assert device.why_no_cuda() == ""
    line = api.Predictor(model()).device.line
    assert line.startswith("CPU, ONNX Runtime")
    assert line.endswith("is built without CUDA")
