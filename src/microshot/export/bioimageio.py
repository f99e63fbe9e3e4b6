"""Models as packages of the BioImage Model Zoo (resource description 0.5).

References
----------
.. [1] bioimage.io specification, "Model description 0.5".
"""

from __future__ import annotations

import hashlib
import io
import json
import keyword
import re
import unicodedata
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import __version__
from microshot.export.onnx import OnnxModel, about, how_to_prepare, run_onnx, to_onnx
from microshot.export.package_texts import cover, references, spdx, text
from microshot.progress import Progress, silent, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from microshot.bundle import Bundle
    from microshot.data.normalize import Normalization
    from microshot.tasks.exchange import Output

FORMAT = "0.5.4"
DESCRIPTION = "rdf.yaml"
#: Least side in px of the images that the package names and is tested with.
_LEAST_SIDE = 64
#: Time stamp in archives, so that equal models make equal bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


def package(bundle: Bundle, progress: Progress = silent) -> bytes:
    """Return a model as a zip archive: description, ONNX weights, test data, texts, cover.

    The description is JSON, which is YAML too. The test image is drawn (bright discs), not one of
    the model's training images.

    Raises
    ------
    ValueError
        See `onnx.to_onnx`.
    """
    model = to_onnx(bundle, span(progress, 0.0, 0.8))
    progress(0.8, "packing test data and texts")
    image = _discs(model)
    outputs = _outputs(model, image)
    files = {
        "weights.onnx": model.content,
        "test_input.npy": _npy(image[None]),
        **{
            f"test_{o.name}.npy": _npy(found)
            for o, found in zip(model.interface.outputs, outputs, strict=True)
        },
        "README.md": text(bundle, model, how_to_prepare(bundle, model.interface)).encode(),
        "LICENSE.txt": f"{bundle.card.licence or 'Licence not stated.'}\n".encode(),
        "cover.png": cover(image[0], outputs[0][0]),
    }
    description = _description(bundle, model, files)
    files = {DESCRIPTION: json.dumps(description, indent=2, ensure_ascii=False).encode()} | files
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, _TIME)
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(member, content)
    return buffer.getvalue()


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values.astype(np.float32), allow_pickle=False)
    return buffer.getvalue()


def _side(model: OnnxModel) -> int:
    """Return the least side in px that the package names."""
    known = model.interface
    return known.side or -(-_LEAST_SIDE // known.multiple) * known.multiple


def _discs(model: OnnxModel) -> np.ndarray:
    """Return a drawn image (C, Y, X) float32: noisy bright discs, each channel of its own height."""
    side = _side(model)
    shape = (side, side) if model.interface.side else (2 * side, 2 * side)
    rng = np.random.default_rng(7)
    y, x = np.mgrid[: shape[0], : shape[1]]
    diameter = float(model.recipe.preparation.get("working_diameter_px", 0)) or side / 4
    pixels = np.zeros(shape)
    for _ in range(6):
        cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        pixels += np.hypot(y - cy, x - cx) < diameter / 2 * rng.uniform(0.8, 1.2)
    heights = np.linspace(1000, 600, model.interface.n_channels)[:, None, None]
    noise = rng.normal(0, 25, (model.interface.n_channels, *shape))
    return np.round(200 + heights * np.minimum(pixels, 1) + noise).astype(np.float32)


def _outputs(model: OnnxModel, image: np.ndarray) -> list[np.ndarray]:
    """Return what the network says of a raw image (C, Y, X), stains in the camera's numbers."""
    normalization = model.recipe.normalization
    outputs = run_onnx(model.content, normalization.apply(image)[None])
    if (stains := _stain_range(model)) is not None:
        outputs[0] = stains.invert(outputs[0][0])[None]
    return outputs


def _stain_range(model: OnnxModel) -> Normalization | None:
    from microshot.tasks.translating.recipes import stain_range

    return stain_range(model.recipe) if "stain_range" in model.recipe.preparation else None


def _description(bundle: Bundle, model: OnnxModel, files: Mapping[str, bytes]) -> dict[str, Any]:
    card = bundle.card
    name = _plain(card.name).strip()[:100]
    known = about(bundle, model.interface)
    return {
        "type": "model",
        "format_version": FORMAT,
        "name": name if len(name) > 4 else f"{name or card.task} model",
        "description": f"{card.task} model for microscopy images, made with Microshot {__version__}",
        **({"license": spdx(card.licence)} if spdx(card.licence) else {}),
        "authors": [],
        "cite": references(card),
        "documentation": _file("README.md", files),
        "covers": [_file("cover.png", files)],
        "attachments": [_file("LICENSE.txt", files)],
        "tags": ["microscopy", "2d", "microshot", card.task],
        "timestamp": card.created or "1980-01-01T00:00:00+00:00",
        "inputs": [_input(bundle, model, files)],
        "outputs": [_output(o, bundle, model, files) for o in model.interface.outputs],
        "weights": {
            "onnx": {**_file("weights.onnx", files), "opset_version": _opset()},
        },
        "config": {"microshot": {key: value for key, value in known.items() if key != "outputs"}},
    }


def _plain(name: str) -> str:
    """Return a name in the characters that the specification allows, letters without accents."""
    bare = (c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[^A-Za-z0-9_ +()\-]", "_", "".join(bare))


def _opset() -> int:
    from microshot.inference.torch_export import OPSET

    return OPSET


def _file(name: str, files: Mapping[str, bytes]) -> dict[str, str]:
    return {"source": name, "sha256": hashlib.sha256(files[name]).hexdigest()}


def _identifiers(names: tuple[str, ...], n: int) -> list[str]:
    """Return `n` different names of channels that a program can use as words.

    As the specification asks for identifiers of Python that are no words of its own, such as "if".
    """
    given = [re.sub(r"\W+", "_", name).strip("_").lower() for name in names]
    given = [f"{name}_" if keyword.iskeyword(name) else name for name in given]
    usable = len(given) == n == len(set(given)) and all(name.isidentifier() for name in given)
    return given if usable else [f"channel{i}" for i in range(n)]


def _input(bundle: Bundle, model: OnnxModel, files: Mapping[str, bytes]) -> dict[str, Any]:
    known, side = model.interface, _side(model)
    size: Any = side if known.side else {"min": side, "step": known.multiple}
    return {
        "id": "image",
        "description": how_to_prepare(bundle, known)[:128],
        "axes": [
            {"type": "batch"},
            {
                "type": "channel",
                "channel_names": _identifiers(bundle.card.channels, known.n_channels),
            },
            *({"type": "space", "id": axis, "size": size} for axis in "yx"),
        ],
        "data": {"type": "float32"},
        "test_tensor": _file("test_input.npy", files),
        "preprocessing": [_preprocessing(model.recipe.normalization)],
    }


def _preprocessing(normalization: Normalization) -> dict[str, Any]:
    """Return the step of the specification that is the model's normalisation."""
    n, axes = normalization, ["y", "x"]
    if n.offset is not None and n.scale is not None:
        fixed = {"mean": list(n.offset), "std": list(n.scale), "axis": "channel"}
        return {"id": "fixed_zero_mean_unit_variance", "kwargs": fixed}
    if n.kind == "zscore":
        return {"id": "zero_mean_unit_variance", "kwargs": {"axes": axes}}
    low, high = (n.low, n.high) if n.kind == "percentile" else (0.0, 100.0)
    limits = {"min_percentile": low, "max_percentile": high}
    return {"id": "scale_range", "kwargs": {"axes": axes, **limits}}


def _output(
    output: Output, bundle: Bundle, model: OnnxModel, files: Mapping[str, bytes]
) -> dict[str, Any]:
    targets = bundle.card.targets if output.name == "stains" else ()
    axes: list[dict[str, Any]] = [
        {"type": "batch"},
        {"type": "channel", "channel_names": _identifiers(targets, output.n_channels)},
    ]
    if output.stride:
        scale = {"scale": float(output.stride)}
        for axis in "yx":
            size = {"tensor_id": "image", "axis_id": axis}
            axes.append({"type": "space", "id": axis, "size": size, **scale})
    stains = _stain_range(model) if output.name == "stains" else None
    return {
        "id": output.name,
        "description": output.meaning[:128],
        "axes": axes,
        "data": {"type": "float32"},
        "test_tensor": _file(f"test_{output.name}.npy", files),
        "postprocessing": [] if stains is None else _postprocessing(stains),
    }


def _postprocessing(stains: Normalization) -> list[dict[str, Any]]:
    """Return the step back to the camera's numbers; none where it would change nothing."""
    offset, scale = stains.offset, stains.scale
    if offset is None or scale is None or not (any(offset) or any(g != 1 for g in scale)):
        return []
    numbers = {"gain": list(scale), "offset": list(offset)}
    return [{"id": "scale_linear", "kwargs": {"axis": "channel", **numbers}}]
