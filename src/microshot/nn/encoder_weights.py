"""Published weights for encoders, read from a file without running anything in it."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from microshot.nn.channels import adapt_input_channels, differs_in_channels

if TYPE_CHECKING:
    from torch import nn

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
        with file.open("rb") as content:
            if content.read(4) not in _TORCH_MAGIC:
                raise ValueError
        return torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, *_UNREADABLE):
        raise ValueError(
            f"{file.name}: no readable encoder weights; expected a state dict that holds nothing "
            "but tensors, the file may be damaged or of another kind."
        ) from None


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
