"""Published weights for encoders, read from a file without running anything in it."""

from __future__ import annotations

import itertools
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from microshot.nn.channels import adapt_input_channels, differs_in_channels
from microshot.nn.geometry import RESNETS

if TYPE_CHECKING:
    from microshot.nn.resnet import ResNetEncoder

#: Put before the names of tensors by wrappers that people train and publish with.
_WRAPPERS = ("module.", "model.", "backbone.", "encoder.")
#: Entries of checkpoints under which the weights themselves lie.
_NESTED = ("state_dict", "model_state_dict", "model")
#: First bytes of what `torch.save` writes today, and wrote before PyTorch 1.6.
_TORCH_MAGIC = (b"PK\x03\x04", b"\x80\x02\x8a\x0a")
#: What readers raise on files that are damaged or of another kind.
_UNREADABLE = (
    pickle.UnpicklingError, struct.error, RuntimeError, ValueError, EOFError, LookupError,
    AttributeError, TypeError, AssertionError, ArithmeticError,
)  # fmt: skip


def load_backbone_weights(backbone: nn.Module, path: str | Path, variant: str) -> None:
    """Give a backbone (one of `geometry.STARTABLE`) the published weights in a file.

    A ResNet gets those of its encoder. A U-Net gets the downward path of a U-Net as torch-em and
    the BioImage Model Zoo publish them (``encoders.0.0``, ``base.0``); on the way up those are built
    otherwise than ours, so that stays fresh.

    Raises
    ------
    FileNotFoundError, ValueError
        See `load_encoder_weights`; also if the U-Net in the file has another width or depth.
    """
    parts: Any = backbone
    if variant in RESNETS:
        load_encoder_weights(parts.encoder, path, variant)
        return
    file = Path(path)
    found = _tensors(_read(file))
    _check_unet(found, parts, file.name)
    names = {"base.0": "bottleneck.0"}
    for level, i in itertools.product(range(len(parts.encoder)), range(2)):
        names[f"encoders.{level}.{i}"] = f"encoder.{level}.{i}.0"
    renamed = {f"{ours}.{end}": found[f"{theirs}.{end}"] for theirs, ours in names.items()
               for end in ("weight", "bias") if f"{theirs}.{end}" in found}  # fmt: skip
    down = nn.ModuleDict({"encoder": parts.encoder, "bottleneck": parts.bottleneck[0]})
    put_weights(down, renamed, file.name, "U-Net", "encoder.0.0.0.weight")


def _check_unet(found: Mapping[str, torch.Tensor], backbone: Any, file: str) -> None:
    """Refuse what is no such U-Net, or one of another width or depth; says which it has."""
    first, depth = found.get("encoders.0.0.weight"), 0
    while f"encoders.{depth}.0.weight" in found:
        depth += 1
    if first is None or first.ndim != 4:
        raise ValueError(
            f"{file}: expected the weights of a U-Net (encoders.0.0.weight and so on), found "
            f"{len(found)} tensors of another network; choose the file that belongs to the backbone."
        )
    width, own = int(first.shape[0]), int(backbone.encoder[0][0][0].out_channels)
    if (width, depth) != (own, len(backbone.encoder)):
        raise ValueError(
            f"{file}: this U-Net has width {width} and depth {depth}, the one to train width {own} and "
            f"depth {len(backbone.encoder)}; set width and depth to those of the file."
        )


def load_encoder_weights(encoder: ResNetEncoder, path: str | Path, variant: str) -> None:
    """Give `encoder` the weights in a file, for example those published for ImageNet.

    The classifier in the file is left aside; the first convolution is brought to the
    number of channels that the encoder takes (see `channels.adapt_input_channels`).

    Parameters
    ----------
    path : a state dict as .safetensors, .pth or .pt; of the latter two only tensors are
        read, nothing in them is run.
    variant : name of the encoder for messages, such as ``resnet18``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is of another kind or damaged, or a tensor is missing or of another shape;
        the message says how many were right.
    """
    file = Path(path)
    put_weights(encoder, read_tensors(file), file.name, variant, "conv1.weight")


def put_weights(
    encoder: nn.Module, found: Mapping[str, torch.Tensor], file: str, variant: str, first: str
) -> None:
    """Give `encoder` the tensors `found` in a file; its convolution `first` may differ in channels.

    Raises
    ------
    ValueError
        If a tensor is missing or of another shape.
    """
    state = encoder.state_dict()
    wrong = []
    for name, own in state.items():
        old = found.get(name)
        if old is not None and old.shape == own.shape:
            state[name] = old.to(own.dtype)
        elif old is not None and name == first and differs_in_channels(old, own):
            state[name] = adapt_input_channels(old, own.shape[1]).to(own.dtype)
        elif not name.endswith("num_batches_tracked"):
            wrong.append((name, tuple(own.shape), "none" if old is None else tuple(old.shape)))
    if wrong:
        n = sum(not name.endswith("num_batches_tracked") for name in state)
        name, expected, instead = wrong[0]
        raise ValueError(
            f"{file}: only {n - len(wrong)} of the {n} tensors of a {variant} encoder are in "
            f"this file with the right shape (first that is not: {name}, expected {expected}, found "
            f"{instead}); choose the file that belongs to the backbone {variant}."
        )
    encoder.load_state_dict(state)


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a state dict by their published names, without wrappers' prefixes.

    Raises
    ------
    FileNotFoundError, ValueError
        As `load_encoder_weights`.
    """
    return _tensors(_read(Path(path)))


def _read(file: Path) -> Any:
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: there is no such file with encoder weights; check folder and name."
        )
    kind = file.suffix.lower()
    if kind not in (".safetensors", ".pth", ".pt"):
        raise ValueError(
            f"{file.name}: expected encoder weights as .safetensors, .pth or .pt, found "
            f'"{kind or "no ending"}".'
        )
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if kind == ".safetensors":
            return load_file(file)
        if (reason := _foreign(file)) is not None:
            raise _Foreign(reason)
        return torch.load(file, map_location="cpu", weights_only=True)
    except _Foreign as error:
        raise ValueError(
            f"{file.name}: no readable encoder weights but {error}; expected a state dict that holds "
            "nothing but tensors, as torch.save(model.state_dict(), …) writes it."
        ) from None
    except (SafetensorError, zipfile.BadZipFile, *_UNREADABLE):
        raise ValueError(
            f"{file.name}: no readable encoder weights; expected a state dict that holds nothing "
            "but tensors, the file may be damaged or of another kind."
        ) from None


class _Foreign(Exception):
    """The file is of a kind that is never read."""


def _foreign(file: Path) -> str | None:
    """Say what a .pt or .pth file is that is no state dict; None where it may be one."""
    with file.open("rb") as content:
        head = content.read(4)
    if head == _TORCH_MAGIC[0] and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            folders = {part for name in archive.namelist() for part in name.split("/")[1:-1]}
        return "a TorchScript archive, which holds a program" if "code" in folders else None
    if head in _TORCH_MAGIC:
        return None
    if head[:1] == b"\x80":
        return "a pickle, which could run a program when opened"
    return "a file of another kind"


def _tensors(content: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of a state dict by the names that published ResNets have."""
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        return {}
    found = {}
    for name, value in content.items():
        if isinstance(value, torch.Tensor):
            found[_bare(str(name))] = value
    return found


def _bare(name: str) -> str:
    while wrapper := next((w for w in _WRAPPERS if name.startswith(w)), ""):
        name = name.removeprefix(wrapper)
    return name
