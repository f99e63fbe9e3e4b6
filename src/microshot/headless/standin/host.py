"""KNIME's part without KNIME: load an extension, check it, and make its nodes."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
import weakref
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microshot.headless.standin import checks, dialog
from microshot.headless.standin.canvas import CanvasNode
from microshot.headless.standin.contexts import DialogCreationContext, FlowVariables
from microshot.headless.standin.data import TableData
from microshot.headless.standin.exchange import Exchange
from microshot.headless.standin.install import is_installed
from microshot.headless.standin.ports import Port, PortGroup, PortType
from microshot.headless.standin.runtime import FileStores, Session, calling, registered_below
from microshot.headless.standin.settings import check_storable, read, schema
from microshot.headless.standin.sink import Sink
from microshot.headless.standin.table import Table
from microshot.headless.standin.yml import read_yml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    import pyarrow as pa

    from microshot.headless.standin.nodes import Declared
    from microshot.headless.standin.ports import ViewDeclaration
    from microshot.headless.standin.runtime import Version


@dataclass(frozen=True)
class NodeInfo:
    """What the extension says about a node."""

    id: str
    name: str
    node_type: str
    category: str
    icon_path: str
    keywords: tuple[str, ...]
    is_deprecated: bool
    is_hidden: bool
    input_ports: tuple[Port, ...]
    output_ports: tuple[Port, ...]
    view: ViewDeclaration | None
    short_description: str
    full_description: str
    make: Callable[[], Any]
    """Makes a fresh instance of the node's class."""


class Host:
    """One extension, loaded from the folder that holds its knime.yml.

    Parameters
    ----------
    root : folder with knime.yml.
    work_dir : where tables and images are kept; a temporary folder that goes with the host
        if not given.

    Raises
    ------
    RuntimeError : if KNIME's own API is installed, or `install` was not called.
    ImportError : if the extension cannot be imported.
    """

    def __init__(self, root: Path, work_dir: Path | None = None) -> None:
        if not is_installed():
            raise RuntimeError(
                "Call standin.install() first; where it returns False, KNIME's own API is used."
            )
        self.root = Path(root).resolve()
        self._file = read_yml(self.root)
        if work_dir is None:
            work_dir = Path(tempfile.mkdtemp(prefix="microshot-"))
            weakref.finalize(self, shutil.rmtree, work_dir, ignore_errors=True)
        self.work_dir = Path(work_dir).resolve()
        for name in ("tables", "temp", "home"):
            (self.work_dir / name).mkdir(parents=True, exist_ok=True)
        self._stores = FileStores(self.work_dir / "filestores")
        self._load()
        found = registered_below(self._file.module_dir)
        self._declared: list[Declared] = [one.value for one in found if one.kind == "node"]
        self._categories = [one.value for one in found if one.kind == "category"]
        self._port_types: list[PortType] = [o.value for o in found if o.kind == "port type"]
        types = {one.id: one for one in self._port_types}
        self.exchange = Exchange(types, self._makers_of)

    @property
    def version(self) -> Version:
        """The version of the extension, from knime.yml."""
        return self._file.version

    @property
    def extension_id(self) -> str:
        """``group_id.name``, part of every saved workflow."""
        return self._file.extension_id

    @cached_property
    def nodes(self) -> Mapping[str, NodeInfo]:
        """The nodes of the extension by id."""
        return {info.id: info for info in map(self._info, self._declared)}

    def problems(self) -> list[str]:
        """Return what KNIME would refuse or get wrong before any node runs; empty when fine."""
        return list(self._problems)

    def node(self, node_id: str) -> CanvasNode:
        """Return a new node with default settings, as if dropped on the canvas.

        Raises
        ------
        KeyError : if the extension has no such node.
        RuntimeError : if KNIME would not accept the extension (see `problems`).
        """
        if node_id not in self.nodes:
            raise KeyError(f"No node '{node_id}'; the extension has {', '.join(self.nodes)}.")
        if self._problems:
            raise RuntimeError(checks.joined(self._problems))
        return CanvasNode(self, self.nodes[node_id])

    def session(self, *, executing: bool = False) -> Session:
        """Return the surroundings of one call into a node."""
        tables = self.work_dir / "tables" if executing else None
        return Session(self.version, self._stores, tables)

    def folders(self, data_area: Path | None) -> dict[str, Path]:
        """Return the folders a node can ask for; `data_area` need not exist."""
        data = Path(data_area or self.work_dir / "data").resolve()
        return {"data": data, "temp": self.work_dir / "temp", "home": self.work_dir / "home"}

    def _load(self) -> None:
        module, folder = self._file.module, str(self._file.module_dir)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        loaded = importlib.import_module(module)
        source = Path(loaded.__file__ or "").resolve()
        if not source.is_relative_to(self._file.module_dir):
            raise ImportError(
                f"The extension module {module} was already loaded from {source}; modules of one "
                "process need different names."
            )

    def _info(self, one: Declared) -> NodeInfo:
        doc = (one.make().__doc__ or "").removeprefix("\n").splitlines()
        return NodeInfo(
            id=str(one.id or one.class_name),
            name=one.name,
            node_type=getattr(one.node_type, "value", "Unknown"),
            category=one.category,
            icon_path=one.icon_path,
            keywords=tuple(one.keywords or ()),
            is_deprecated=one.is_deprecated,
            is_hidden=one.is_hidden,
            input_ports=one.input_ports,
            output_ports=one.output_ports,
            view=one.view,
            short_description=doc[0] if doc else "",
            full_description="\n".join(doc[1:]),
            make=one.make,
        )

    @cached_property
    def _problems(self) -> list[str]:
        found = list(
            checks.extension_problems(
                self.root,
                self._file.module_dir,
                self._categories,
                self._declared,
                self._port_types,
            )
        )
        for one in self._declared:
            where = f"Node {one.id or one.class_name}"
            with calling(self.session()):
                made = one.make()
                found.extend(checks.documentation_problems(where, made.__doc__))
                in_parameters = list(checks.parameter_problems(where, made, one, self.version))
                found.extend(in_parameters or self._dialog_problems(where, made, one))
        return found

    def _dialog_problems(self, where: str, made: Any, one: Declared) -> list[str]:
        """Open the dialog with nothing connected, as a user may, and save the defaults."""
        specs = [[] if isinstance(port, PortGroup) else None for port in one.input_ports]
        try:
            check_storable(read(made), schema(made, self.version))
            context = DialogCreationContext(FlowVariables({}), specs)
            dialog.describe(made, self.version, context)
        except Exception as error:  # noqa: BLE001 - functions of the extension may raise anything
            raised = f"{type(error).__name__}: {error}"
            return [f"{where}: the dialog does not open with nothing connected ({raised})"]
        return []

    def _makers_of(self, port_type: PortType) -> list[str]:
        return [
            one.name
            for one in self._declared
            if not (one.is_hidden or one.is_deprecated)
            and any(
                isinstance(port.type, PortType) and port_type.is_super_type_of(port.type)
                for port in one.output_ports
            )
        ]


def table_from_pandas(
    host: Host, frame: pd.DataFrame, rows_per_batch: int | None = None
) -> TableData:
    """Make a table for the input of a node, by the rules that nodes obey.

    Parameters
    ----------
    frame : its index becomes the RowID, whole numbers n as ``Rown``; image columns hold PIL
        images and, if they can be all missing, have the dtype of ``knext.logical``.
    rows_per_batch : rows per batch; all in one batch if not given. An empty table has one batch without rows.
    """
    with calling(host.session(executing=True)):
        return _stored(Table.from_pandas(frame), rows_per_batch)


def table_from_pyarrow(host: Host, data: pa.Table, rows_per_batch: int | None = None) -> TableData:
    """Make a table from Arrow data; a first column ``<RowID>`` of text is the RowID."""
    with calling(host.session(executing=True)):
        return _stored(Table.from_pyarrow(data), rows_per_batch)


def _stored(table: Any, rows_per_batch: int | None) -> TableData:
    data = table.to_pyarrow().combine_chunks()
    sink = Sink("A table")
    for batch in data.to_batches(max_chunksize=rows_per_batch) or [data]:
        sink.write(batch)
    sink.close()
    return TableData(sink.path)
