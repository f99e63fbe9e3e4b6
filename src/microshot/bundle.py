"""The model file: weights and everything needed to use them rightly, in one `.microshot`.

The bytes are a safetensors file whose header carries one JSON document (the card). They are
at once the file on disk, KNIME's port object and the command line's argument. Nothing in
it can run code. torch is not needed to read or write one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import __version__
from microshot.data.disk import made_folder, replacing
from microshot.starters import STARTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Raised when a reader of an older version would misread the card.
SCHEMA = 1
SUFFIX = ".microshot"
MAX_CARD_BYTES = 16 << 20
MAX_TENSORS = 20_000
MAX_WEIGHT_BYTES = 4 << 30
_DTYPES = {"F32": 4, "F16": 2, "I64": 8}
_CARD_KEY = "microshot"
#: First bytes of what `torch.save` writes; as a length they are more than a header may have.
_TORCH_MAGIC = (b"PK\x03\x04", b"\x80\x02\x8a\x0a")
_IMPORT = "make one of a StarDist model with `microshot import`, or choose a .microshot file."


@dataclass(frozen=True)
class Card:
    """What a model is: the JSON document in the file's header, and KNIME's port spec."""

    task: str
    architecture: Mapping[str, Any]
    """Name of the network and the arguments that rebuild it."""
    normalization: Mapping[str, Any]
    """Kind and fitted numbers (see `data.normalize`)."""
    name: str = ""
    id: str = ""
    """Fingerprint of weights and use; 16 hexadecimal digits."""
    schema: int = SCHEMA
    channels: tuple[str, ...] = ()
    """Names of the input channels; as many as the network takes."""
    targets: tuple[str, ...] = ()
    pixel_size_um: float | None = None
    preparation: Mapping[str, Any] = field(default_factory=dict)
    """How images are brought to the network, such as the diameter objects are scaled to."""
    tile: Mapping[str, Any] = field(default_factory=dict)
    """Halo and greatest tile in px of the network's input."""
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    """What the model reached, on which images."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """History, why it stopped, seconds, steps."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    lineage: tuple[Mapping[str, Any], ...] = ()
    """The models it was retrained from, first one first: id, name, data fingerprint."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Description of the training images: counts, sizes, hashes; no file names."""
    licence: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    created: str = ""
    preview: str = ""
    """A small PNG of training images with outlines, base64."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """Scores per image and pictures of the worst ones (see `evidence`), for the model's report."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; numbers that JSON lacks become null."""
        return _plain(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, values: Any, where: str = "model file") -> Card:
        """Read a card; unknown keys are ignored, missing optional ones take their default.

        Raises
        ------
        ValueError
            If it is no card, lacks a required key, has a value of the wrong kind, or was
            written by a newer schema (the message says by which version).
        """
        if not isinstance(values, dict):
            raise ValueError(
                f"{where}: expected a JSON object as model card, found {values!r:.60}."
            )
        schema = values.get("schema")
        if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
            raise ValueError(f"{where}: the model card has no valid schema number.")
        if schema > SCHEMA:
            written = values.get("versions", {})
            version = (
                written.get("microshot", "a newer version") if isinstance(written, dict) else "?"
            )
            version = " ".join(str(version).split())[:40]
            raise ValueError(
                f"{where}: written by Microshot {version} (schema {str(schema)[:20]}), this is Microshot "
                f"{__version__} (schema {SCHEMA}); update Microshot to use this model."
            )
        made: dict[str, Any] = {}
        for f in dataclasses.fields(cls):
            if f.name not in values:
                if f.name in ("task", "architecture", "normalization"):
                    raise ValueError(f'{where}: the model card lacks "{f.name}".')
                continue
            made[f.name] = _typed(f.name, values[f.name], where)
        return cls(**made)


def _typed(name: str, value: Any, where: str) -> Any:
    """Check one value of the card and bring lists to tuples."""
    if name in ("channels", "targets", "lineage"):
        inner = dict if name == "lineage" else str
        if not isinstance(value, list) or not all(isinstance(v, inner) for v in value):
            raise ValueError(
                f'{where}: "{name}" in the model card must be a list, found {value!r:.60}.'
            )
        return tuple(value)
    if name == "pixel_size_um":
        ok = value is None or (type(value) in (int, float) and 0 < value < math.inf)
    elif name == "schema":
        ok = True
    elif name in ("task", "name", "id", "licence", "device", "created", "preview"):
        ok = isinstance(value, str)
    else:
        ok = isinstance(value, dict)
    if not ok:
        raise ValueError(f'{where}: "{name}" in the model card has a wrong value: {value!r:.60}.')
    return value


def _plain(value: Any) -> Any:
    """Turn tuples, numpy numbers, non-finite floats and broken text into what JSON can hold."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model: its card and its weights."""

    card: Card
    weights: Mapping[str, np.ndarray]

    @classmethod
    def make(cls, card: Card, weights: Mapping[str, np.ndarray]) -> Bundle:
        """Give the model its fingerprint: the same weights used the same way have the same id."""
        digest = hashlib.sha256()
        used = (
            "task",
            "architecture",
            "normalization",
            "channels",
            "targets",
            "preparation",
            "thresholds",
        )
        document = {k: v for k, v in card.to_json().items() if k in used}
        digest.update(json.dumps(document, sort_keys=True).encode())
        for name in sorted(weights):
            value = np.asarray(weights[name], order="C")  # keeps () as shape
            digest.update(f"{name}{value.dtype}{value.shape}".encode())
            digest.update(value.tobytes())
        return cls(dataclasses.replace(card, id=digest.hexdigest()[:16]), dict(weights))

    def to_bytes(self) -> bytes:
        """Return the model file's content."""
        from safetensors.numpy import save

        text = json.dumps(self.card.to_json(), sort_keys=True, ensure_ascii=False)
        tensors = {k: np.asarray(v, order="C") for k, v in sorted(self.weights.items())}
        return save(tensors, {_CARD_KEY: text})

    @classmethod
    def from_bytes(cls, content: bytes, where: str = "model file") -> Bundle:
        """Read a model file's content.

        Raises
        ------
        ValueError
            If it is damaged, truncated, of another kind, or larger than a model may be;
            everything is checked before memory is taken for it.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        header, start = _header(content, where)
        card = _card(header, where)
        _check_tensors(header, len(content) - start, where)
        try:
            return cls(card, load(bytes(content)))
        except SafetensorError as error:
            detail = " ".join(str(error).split())[:120]
            raise ValueError(f"{where}: damaged model file ({detail}); copy it again.") from None

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the model under `path`: whole or not at all.

        Raises
        ------
        FileExistsError
            If there is a file already and `overwrite` is not set.
        """
        target = Path(path)
        made_folder(target.parent)
        with replacing(target, overwrite=overwrite) as part, part.open("wb") as file:
            file.write(self.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Bundle:
        """Read a model file.

        Raises
        ------
        FileNotFoundError, ValueError
            If it is not there or is no intact model file.
        """
        return cls.from_bytes(_read(Path(path), MAX_WEIGHT_BYTES), Path(path).name)


def read_card(path: str | os.PathLike[str]) -> Card:
    """Read what a model file says of itself, without its weights."""
    target = Path(path)
    content = _read(target, MAX_CARD_BYTES + 8, whole=False)
    header, _ = _header(content, target.name)
    return _card(header, target.name)


def _read(path: Path, limit: int, *, whole: bool = True) -> bytes:
    if path.is_dir():
        raise ValueError(f"{path}: expected a model file, found a folder; {_IMPORT}")
    if not path.is_file():
        known = (
            ""
            if path.suffix or path.name != str(path)
            else f" (starter models: {', '.join(STARTERS)})"
        )
        raise FileNotFoundError(
            f"{path}: there is no such model file; check folder and name{known}."
        )
    size = path.stat().st_size
    if whole and size > limit:
        raise ValueError(
            f"{path.name}: {size} bytes are more than a model file may have ({limit})."
        )
    with path.open("rb") as file:
        return file.read(limit)


def _header(content: bytes, where: str) -> tuple[dict[str, Any], int]:
    """Return the safetensors header and where the weights begin."""
    kind = f"{where}: not a Microshot model file"
    mend = "choose a .microshot file, or copy it again."
    if where.lower().endswith(".zip"):
        raise ValueError(f"{kind}, found a zip archive; {_IMPORT}")
    if content[:4] in _TORCH_MAGIC:
        raise ValueError(
            f"{kind} but a PyTorch archive, which could run code when opened; "
            "only .microshot files are read."
        )
    if len(content) < 8:
        raise ValueError(f"{kind}; expected at least 8 bytes, found {len(content)}; {mend}")
    length = int.from_bytes(content[:8], "little")
    if length > MAX_CARD_BYTES or length < 2:
        raise ValueError(f"{kind}, or a damaged one: its header claims {length} bytes; {mend}")
    if len(content) < 8 + length:
        raise ValueError(f"{where}: damaged model file (it is cut off); copy it again.")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or numbers of thousands of digits
        raise ValueError(f"{kind}, or a damaged one: its header is not readable; {mend}") from None
    if not isinstance(header, dict):
        raise ValueError(f"{kind}: its header is no JSON object; {mend}")
    return header, 8 + length


def _card(header: Mapping[str, Any], where: str) -> Card:
    metadata = header.get("__metadata__")
    text = metadata.get(_CARD_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ValueError(
            f"{where}: a safetensors file without a Microshot model card; "
            "only models written by Microshot can be used."
        )
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{where}: the model card is damaged; copy the file again.") from None
    return Card.from_json(values, where)


def _check_tensors(header: Mapping[str, Any], available: int, where: str) -> None:
    """Refuse types, shapes and sizes that no model of ours has."""
    names = [name for name in header if name != "__metadata__"]
    if len(names) > MAX_TENSORS:
        raise ValueError(f"{where}: {len(names)} tensors are more than a model has.")
    total = 0
    for name in names:
        entry = header[name]
        shape = entry.get("shape") if isinstance(entry, dict) else None
        dtype = str(entry.get("dtype")) if isinstance(entry, dict) else ""
        sides = shape if isinstance(shape, list) and len(shape) <= 8 else None
        if sides is not None and not all(type(n) is int and 0 <= n < 2**31 for n in sides):
            sides = None
        if dtype not in _DTYPES or sides is None:
            raise ValueError(
                f'{where}: tensor "{name:.60}" has a type or shape that no model of Microshot has.'
            )
        total += math.prod(sides) * _DTYPES[dtype]
    if total > MAX_WEIGHT_BYTES or total != available:
        cut = "it is cut off: " if total > available else ""
        raise ValueError(
            f"{where}: damaged model file ({cut}weights of {total} bytes announced, {available} found); "
            "copy it again."
        )
