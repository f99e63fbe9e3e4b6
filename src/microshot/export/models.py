"""Writing a model into a file for other programs, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microshot.data.disk import made_folder, replacing
from microshot.libraries import load
from microshot.progress import Progress, silent

if TYPE_CHECKING:
    from pathlib import Path

    from microshot.bundle import Bundle

#: Kinds of files for other programs and their endings.
SUFFIXES = {"onnx": ".onnx", "bioimageio": ".zip"}
#: What each kind of file is, for people.
DESCRIPTIONS = {"onnx": "an ONNX file", "bioimageio": "a bioimage.io package"}


def export_model(
    bundle: Bundle,
    kind: str,
    path: Path,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write a model as a file of a kind (`SUFFIXES`) and return where; the ending is added.

    Raises
    ------
    ValueError
        If this model cannot be written that way, see `onnx.to_onnx`.
    FileExistsError
        If there is a file already and `overwrite` is not set; found out before the work begins.
    Cancelled
        If cancelled; nothing is written then.
    """
    from microshot.export.bioimageio import package
    from microshot.export.onnx import to_onnx

    target = path if path.suffix == SUFFIXES[kind] else path.with_name(path.name + SUFFIXES[kind])
    made_folder(target.parent)
    with replacing(target, overwrite=overwrite) as part:
        load(progress, "torch", "torch.onnx", "onnx", "onnxruntime")
        if kind == "onnx":
            part.write_bytes(to_onnx(bundle, progress).content)
        else:
            part.write_bytes(package(bundle, progress))
    return target
