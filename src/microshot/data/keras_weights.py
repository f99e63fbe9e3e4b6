"""Weights that Keras saved as HDF5, read without TensorFlow and without trusting the file."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Greatest size of a file and of all its tensors together, in bytes.
MAX_BYTES = 1 << 30
#: Entries that a group may have.
_MOST_ENTRIES = 1000
#: Groups inside each other between a layer and its tensors.
_DEEPEST = 3
_PARTS = ("kernel", "bias")
#: What the reader of HDF5 raises on damaged files.
_UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)

Layer = tuple[np.ndarray, np.ndarray]


class KerasFile:
    """The layers of one weights file.

    Parameters
    ----------
    content : the file's bytes.
    where : its name for messages.

    Raises
    ------
    RuntimeError
        If h5py is not installed.
    ValueError
        If it is no HDF5 file, damaged, or not laid out as Keras 2 does.
    """

    def __init__(self, content: bytes, where: str) -> None:
        try:
            import h5py
        except ImportError:
            raise RuntimeError(
                f"{where}: reading weights saved by Keras needs the package h5py, which is not "
                "installed; install it (pip install h5py) and try again."
            ) from None
        self.where, self._h5 = where, h5py
        if not content.startswith(b"\x89HDF\r\n\x1a\n"):
            raise ValueError(
                f"{where}: expected weights as HDF5 (.h5), found a file of another kind."
            )
        try:
            self._file = h5py.File(io.BytesIO(content), "r")
            root: Any = self._file
            if self._is_group(root, "model_weights"):
                root = root["model_weights"]
            self.names = self._entries(root)
        except _UNREADABLE:
            raise ValueError(f"{where}: the weights file is damaged; copy it again.") from None
        self._root = root
        if "layers" in self.names and "_layer_checkpoint_dependencies" in self.names:
            raise ValueError(
                f"{where}: expected weights as StarDist saves them (Keras 2), found the layout of "
                "Keras 3; save them with Keras 2 (tf-keras)."
            )

    def layers(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Layer]:
        """Return kernel and bias of layers by name, float32.

        Parameters
        ----------
        shapes : what shape the kernel of each layer must have, (h, w, in, out).

        Raises
        ------
        ValueError
            If a layer is missing, or a tensor is of another shape or type or lies elsewhere; told
            before memory is taken for it.
        """
        if 4 * sum(math.prod(shape) for shape in shapes.values()) > MAX_BYTES:
            raise ValueError(
                f"{self.where}: the configuration asks for a network of more than {MAX_BYTES >> 30} GiB."
            )
        try:
            return {
                name: (self._tensor(name, "kernel", shape), self._tensor(name, "bias", shape[-1:]))
                for name, shape in shapes.items()
            }
        except ValueError as error:
            if str(error).startswith(self.where):
                raise
            raise self._damaged() from None
        except _UNREADABLE:
            raise self._damaged() from None

    def tensor_names(self) -> set[str]:
        """Return the names of layers that hold tensors."""
        try:
            return {n for n in self.names if self._is_group(self._root, n) and len(self._root[n])}
        except _UNREADABLE:
            raise self._damaged() from None

    def _damaged(self) -> ValueError:
        return ValueError(f"{self.where}: the weights file is damaged; copy it again.")

    def _entries(self, group: Any) -> list[str]:
        if len(group) > _MOST_ENTRIES:
            raise ValueError
        return [str(name) for name in group]

    def _is_hard(self, group: Any, name: str) -> bool:
        link = group.get(name, getlink=True)
        return isinstance(link, self._h5.HardLink)

    def _is_group(self, group: Any, name: str) -> bool:
        if name not in group.keys() or not self._is_hard(group, name):  # noqa: SIM118 - HDF5
            return False
        return group.get(name, getclass=True) is self._h5.Group

    def _tensor(self, layer: str, part: str, shape: tuple[int, ...]) -> np.ndarray:
        if layer not in self.names:
            raise ValueError(f'{self.where}: expected a layer "{layer}", found none of that name.')
        name = f'{self.where}: the {part} of layer "{layer}"'
        if not self._is_group(self._root, layer):
            raise ValueError(f"{name} is a link or no group of tensors; only plain files are read.")
        found = self._find(self._root[layer], part, name, _DEEPEST)
        if found is None:
            raise ValueError(f"{name} is missing.")
        self._check(found, name, shape)
        values = np.empty(shape, found.dtype)
        found.read_direct(values)
        values = values.astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds numbers that are not finite.")
        return values

    def _find(self, group: Any, part: str, name: str, depth: int) -> Any:
        """Return the data set of a part, in this group or in one below."""
        if not depth:
            return None
        entries = self._entries(group)
        for entry in entries:
            if entry.split(":")[0] in _PARTS and not self._is_hard(group, entry):
                raise ValueError(f"{name} is a link to another place; only plain files are read.")
        for entry in (part, f"{part}:0"):
            if entry in entries:
                if group.get(entry, getclass=True) is not self._h5.Dataset:
                    raise ValueError(f"{name} is no array.")
                return group[entry]
        below = (
            self._find(group[e], part, name, depth - 1) for e in entries if self._is_group(group, e)
        )
        return next((found for found in below if found is not None), None)

    def _check(self, found: Any, name: str, shape: tuple[int, ...]) -> None:
        if found.shape != shape:
            raise ValueError(f"{name} has the shape {found.shape}, expected {shape}.")
        if found.dtype.kind != "f" or found.dtype.itemsize not in (2, 4, 8):
            raise ValueError(f"{name} holds {found.dtype} instead of floating-point numbers.")
        if found.external or found.is_virtual:
            raise ValueError(f"{name} lies in another file; only plain files are read.")
        chunks = found.chunks or ()
        if found.compression not in (None, "gzip") or any(
            c > n for c, n in zip(chunks, shape, strict=False)
        ):
            raise ValueError(f"{name} is packed in a way that Keras does not use.")
