"""A model as ONNX says the same as in PyTorch, at any size, and tells how it is to be used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from microshot import opening
from microshot.device import choose_device
from microshot.export import onnx as export
from microshot.export.onnx import run_onnx, to_onnx
from microshot.inference import torch_export
from microshot.nn.twin_vae_shapes import reading
from models_of_all_kinds import KINDS, made


@pytest.mark.parametrize("kind", [*KINDS])
def test_every_network_says_the_same_in_onnx_and_names_what_it_says(kind):
    bundle = made(kind)
    model = to_onnx(bundle)
    known = model.interface
    assert model.difference <= export.TOLERANCE
    side = known.side or 3 * max(known.multiple, 8)
    image = np.random.default_rng(3).normal(
        size=(2, known.n_channels, side, known.side or 2 * side)
    )
    parts = run_onnx(model.content, image.astype(np.float32))
    network = opening.network_of(bundle, choose_device("cpu"))
    whole = network(image.astype(np.float32))
    for output, part in zip(known.outputs, parts, strict=True):
        shape = (2, output.n_channels)
        if output.stride:
            shape += tuple(n // output.stride for n in image.shape[2:])
        assert part.shape == shape
        assert part.std() > 1e-6
    if bundle.card.task == "translate":
        np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-4)
    elif kind == "density":
        np.testing.assert_allclose(parts[0], whole, atol=1e-4)
    elif known.side:
        np.testing.assert_allclose(parts[0][:, 0], reading(whole, opening.recipe_of(bundle.card).architecture).count, atol=1e-3)  # fmt: skip
    elif kind == "stardist":
        np.testing.assert_allclose(parts[0], 1 / (1 + np.exp(-whole[:, :1])), atol=1e-4)
        np.testing.assert_allclose(parts[1], whole[:, 1:], atol=1e-4)
    elif kind == "boundary":
        np.testing.assert_allclose(parts[0].sum(1), 1, atol=1e-5)


def test_the_file_tells_how_it_is_used():
    import onnx
    import onnxruntime

    bundle = made("stardist", {"kind": "minmax"}, thresholds={"probability": 0.6, "overlap": 0.3})
    content = to_onnx(bundle).content
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    kept = session.get_modelmeta().custom_metadata_map
    about = json.loads(kept["microshot"])
    assert about["thresholds"] == {"probability": 0.6, "overlap": 0.3}
    assert (about["normalization"]["low"], about["normalization"]["high"]) == (0, 100)
    assert about["id"] == bundle.card.id
    assert about["licence"] == kept["licence"] == "CC0-1.0"
    assert (about["sides_multiple_of"], about["side"], about["halo_px"]) == (8, None, 51)
    assert about["outputs"]["distance"].items() >= {"stride": 2, "channels": 8}.items()
    assert kept["output probability"] == "Probability that an object has its middle here."
    assert "sides divisible by 8" in kept["input"]
    assert session.get_inputs()[0].shape == ["batch", 1, "height", "width"]
    assert session.get_outputs()[1].shape == ["batch", 8, "height_by_2", "width_by_2"]
    model = onnx.load_from_string(content)
    assert model.opset_import[0].version == 18
    assert (model.producer_name, model.doc_string) == ("microshot", "tiny stardist")


def test_a_model_that_came_out_different_is_refused(monkeypatch):
    def slightly_off(content, image):
        return [part + np.float32(0.01) for part in run_onnx(content, image)]

    monkeypatch.setattr(export, "run_onnx", slightly_off)
    with pytest.raises(
        ValueError, match=r"differs from PyTorch by .* in probability .* not exported"
    ):
        to_onnx(made("stardist"))


def compared_with(monkeypatch, here: float, there: list[float]) -> export.OnnxModel:
    """Return a model of which PyTorch says one number everywhere and ONNX another one at each size."""
    said = iter(there)
    monkeypatch.setattr(export, "run_onnx", lambda *_: [np.full((1, 1, 4, 4), next(said))])
    monkeypatch.setattr(torch_export, "outputs_of", lambda *_: [np.full((1, 1, 4, 4), here)])
    return to_onnx(made("density"))


def test_large_outputs_may_differ_by_a_part_of_them_and_small_ones_by_as_much(monkeypatch):
    """The greatest part counts, whichever size of image it is found at."""
    found = compared_with(monkeypatch, -1000.0, [-1000.02, -1000.08, -1000.0])
    assert found.difference == pytest.approx(8e-5)
    found = compared_with(monkeypatch, 0.001, [0.001, 0.00109, 0.00102])
    assert found.difference == pytest.approx(9e-5)
    for here, there in ((-1000.0, -1000.12), (0.001, 0.00112), (1.0, 1.00012), (1.0, np.nan)):
        with pytest.raises(ValueError, match=r"in density \(allowed 0.0001\); the model was not"):
            compared_with(monkeypatch, here, [here, there, here])


def test_an_output_of_another_shape_is_refused(monkeypatch):
    monkeypatch.setattr(export, "run_onnx", lambda *_: [np.zeros((2, 1))])
    words = r'"tiny density": its ONNX form returns density of shape \(2, 1\) instead of \(2, 1, 24, 16\)'
    with pytest.raises(ValueError, match=words):
        to_onnx(made("density"))


def test_fixed_sides_and_a_licence_that_is_not_stated_are_told_as_such():
    import onnxruntime

    session = onnxruntime.InferenceSession(
        to_onnx(made("twin-vae", licence="")).content, providers=["CPUExecutionProvider"]
    )
    assert session.get_inputs()[0].shape == ["batch", 1, 64, 64]
    kept = session.get_modelmeta().custom_metadata_map
    about = json.loads(kept["microshot"])
    assert (about["sides_multiple_of"], about["side"], about["halo_px"]) == (64, 64, 0)
    assert (about["licence"], kept["licence"]) == ("", "not stated")


def test_a_model_without_a_network_is_refused():
    from microshot.bundle import Bundle, Card

    card = Card("count", {"name": "watershed", "in_channels": 1}, {"kind": "zscore"})
    with pytest.raises(ValueError, match="has no network that other programs could run"):
        to_onnx(Bundle.make(card, {}))


def test_the_example_for_other_programs_gives_what_microshot_gives(tmp_path, monkeypatch):
    import tifffile

    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import json.*?)```", readme, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 10
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(1).integers(100, 900, (61, 70)).astype(np.uint16)
    tifffile.imwrite("cells.tif", pixels)
    for normalization in ({"kind": "zscore"}, {"kind": "percentile", "low": 1.0, "high": 99.8}):
        bundle = made("stardist", normalization)
        Path("nuclei.onnx").write_bytes(to_onnx(bundle).content)
        found: dict[str, np.ndarray] = {}
        exec(compile(code, "README.md", "exec"), found)
        network = opening.network_of(bundle, choose_device("cpu"))
        image = opening.recipe_of(bundle.card).normalization.apply(pixels[None])
        padded = np.pad(image, ((0, 0), (0, 3), (0, 2)), mode="reflect")
        np.testing.assert_allclose(found["distance"], network(padded[None])[:, 1:], atol=1e-4)
