"""Cells that are more than a number or text: PNG images, byte vectors and paths in Arrow."""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from microshot.headless.standin.runtime import current, stored_file, writing
from microshot.headless.standin.types import (
    BYTES,
    CELL_TYPES,
    PATH,
    PNG,
    KnimeType,
    PrimitiveTypeId,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LOSSLESS_MODES = ("1", "L", "RGB", "RGBA", "I;16")  # what a PNG cell keeps bit for bit


class FSLocationValue:
    """A KNIME path: for a local file category "LOCAL", specifier None and an absolute path."""

    def __init__(self, fs_category: str, fs_specifier: str | None, path: str) -> None:
        self.fs_category = fs_category
        self.fs_specifier = fs_specifier
        self.path = path

    def to_dict(self) -> dict[str, str | None]:
        return {
            "fs_category": self.fs_category,
            "fs_specifier": self.fs_specifier,
            "path": self.path,
        }

    def __repr__(self) -> str:
        return str(self.to_dict())


class DenseByteVectorValue(bytes):
    """The bytes of a KNIME byte vector cell."""


def _encode_png(value: Any) -> dict[str, Any]:
    """Write an image to a file store: length as 4 little-endian bytes, then the PNG.

    Outside of a node the bytes stay in the cell, as KNIME allows too.

    Raises
    ------
    TypeError : if it is not a PIL image.
    ValueError : if a PNG cell would not keep every pixel, or the image is empty.
    """
    from PIL import Image

    if not isinstance(value, Image.Image):
        raise TypeError(
            f"An image cell needs a PIL image or None, found {type(value).__name__}; "
            "use PIL.Image.fromarray."
        )
    if value.mode not in LOSSLESS_MODES:
        raise ValueError(
            f"A PNG cell keeps images of mode {', '.join(LOSSLESS_MODES)} without loss, found mode "
            f"{value.mode}; convert it to 8- or 16-bit grey or RGB, or pass a path to a TIFF."
        )
    if 0 in value.size:
        raise ValueError(f"An image cell needs at least one pixel, found {value.size}.")
    if getattr(value, "n_frames", 1) > 1:
        raise ValueError(
            f"A PNG cell keeps one plane, found an image file of {value.n_frames} pages; "  # type: ignore[attr-defined]
            "write one column per plane or pass the path."
        )
    with io.BytesIO() as buffer:
        value.save(buffer, format="PNG")
        png = buffer.getvalue()
    content = len(png).to_bytes(4, "little") + png
    if current() is None:  # a test or runner prepares an input: the cell carries its own bytes
        return {"0": None, "1": content}
    path, key = writing("Writing an image cell").stores.create()
    path.write_bytes(content)
    return {"0": key, "1": None}


def _decode_png(storage: dict) -> Any:
    from PIL import Image

    content = stored_file(storage["0"]).read_bytes() if storage["0"] else storage["1"]
    length = int.from_bytes(content[:4], "little")
    return Image.open(io.BytesIO(content[4 : 4 + length]))


def _encode_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"A byte vector cell needs bytes or None, found {type(value).__name__}.")
    return value


def _encode_path(value: Any) -> dict[str, str | None]:
    if not isinstance(value, FSLocationValue):
        raise TypeError(
            f"A path cell needs an FSLocationValue or None, found {type(value).__name__}."
        )
    return {"0": value.fs_category, "1": value.fs_specifier, "2": value.path}


def _decode_path(storage: dict) -> FSLocationValue:
    return FSLocationValue(storage["0"], storage["1"], storage["2"])


_CODECS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    PNG: (_encode_png, _decode_png),
    BYTES: (_encode_bytes, DenseByteVectorValue),
    PATH: (_encode_path, _decode_path),
}


def _storage_type(ktype: KnimeType) -> pa.DataType:
    inner = getattr(ktype, "inner_types", None)
    if inner is not None:
        return pa.struct([(str(i), _storage_type(one)) for i, one in enumerate(inner)])
    if getattr(ktype, "type_id", None) is PrimitiveTypeId.BLOB:
        return pa.large_binary()
    return pa.string()


class CellType(pa.ExtensionType):
    """The Arrow type of a logical column; values are encoded and decoded one by one."""

    def __init__(self, logical_type: str) -> None:
        self._logical_type = logical_type
        super().__init__(_storage_type(CELL_TYPES[logical_type].storage), "knime.logical_type")

    @property
    def logical_type(self) -> str:
        return self._logical_type

    def encode(self, value: Any) -> Any:
        return None if value is None else _CODECS[self._logical_type][0](value)

    def decode(self, storage: Any) -> Any:
        return None if storage is None else _CODECS[self._logical_type][1](storage)

    def array(self, values: Any) -> pa.ExtensionArray:
        """Encode a sequence of values and Nones."""
        storage = pa.array([self.encode(value) for value in values], type=self.storage_type)
        return pa.ExtensionArray.from_storage(self, storage)

    def __arrow_ext_serialize__(self) -> bytes:
        return self._logical_type.encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> CellType:
        return cls(serialized.decode())

    def __arrow_ext_class__(self) -> type[CellArray]:
        return CellArray

    def __arrow_ext_scalar_class__(self) -> type[CellScalar]:
        return CellScalar

    def to_pandas_dtype(self) -> Any:
        from microshot.headless.standin.frames import CellDtype

        return CellDtype(self._logical_type)


class CellScalar(pa.ExtensionScalar):
    """One cell; `as_py` gives the image, bytes or path."""

    def as_py(self, **kwargs: Any) -> Any:
        return self.type.decode(None if self.value is None else self.value.as_py())


class CellArray(pa.ExtensionArray):
    """A column of cells; an element is decoded when it is asked for."""

    def to_pylist(self, **kwargs: Any) -> list:
        return [self.type.decode(one) for one in self.storage.to_pylist()]

    def to_numpy(self, *args: Any, **kwargs: Any) -> Any:
        import numpy as np

        values = np.empty(len(self), dtype=object)
        values[:] = self.to_pylist()
        return values


@cache
def cell_type(logical_type: str) -> CellType:
    """Return the Arrow type of a logical type."""
    return CellType(logical_type)


def register_cell_type() -> None:
    """Make pyarrow recognise cell columns when it reads a table file."""
    try:
        pa.register_extension_type(CellType(PNG))
    except pa.ArrowKeyError:  # already registered in this process
        return
