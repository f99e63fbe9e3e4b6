"""Runs nodes on KNIME's own Python code, in a process of its own: JSON in, JSON out.

Plays KNIME's Java side by hand: file stores, table files and contexts. Reads a job from stdin
(``knime``: checkout of knime-python, ``root``: folder of knime.yml, ``module``, ``version``,
``tables``: Python file whose function ``frame`` makes input tables, ``folder``: where outputs are
kept for the process that comes after, ``steps``) and writes one result per step to stdout.
"""

# ruff: noqa: N802 - the names are those of Java methods
from __future__ import annotations

import base64
import copy
import importlib
import itertools
import json
import logging
import sys
import tempfile
import threading
import time
import uuid
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_T = "org.knime.core.data."
_CELLS = {  # Java value factory: (name shown, value class, Python class, Java storage)
    _T + "image.png.PNGImageValueFactory": (
        "PNG Image",
        _T + "image.png.PNGImageValue",
        "PIL.Image.Image",
        ["string", "variable_width_binary"],
        "PNGImageValueFactory",
    ),
    _T + "v2.value.DenseByteVectorValueFactory": (
        "Byte vector",
        _T + "vector.bytevector.ByteVectorValue",
        "knime.types.builtin.DenseByteVectorValue",
        "variable_width_binary",
        "DenseByteVectorValueFactory",
    ),
    "org.knime.filehandling.core.data.location.FSLocationValueFactory": (
        "Path",
        "org.knime.filehandling.core.data.location.FSLocationValue",
        "knime.types.builtin.FSLocationValue",
        ["string", "string", "string"],
        "FSLocationValueFactory",
    ),
}
_PLAIN = {
    "Int": ("Number (Integer)", _T + "IntValue"),
    "Long": ("Number (Long)", _T + "LongValue"),
    "Double": ("Number (Float)", _T + "DoubleValue"),
    "String": ("String", _T + "StringValue"),
    "Boolean": ("Boolean", _T + "BooleanValue"),
    "Void": ("?", _T + "DataValue"),
}
_LIST = _T + "collection.ListDataValue"


def _shown(trait: dict) -> tuple[str, str]:
    """Return (name shown, Java value class) of the type with the given traits."""
    factory = json.loads(trait["traits"]["logical_type"])["value_factory_class"]
    if factory in _CELLS:
        return _CELLS[factory][:2]
    name = factory.rsplit(".", 1)[-1].removesuffix("ValueFactory")
    if name == "List":
        return f"List (Collection of: {_shown(trait['inner'])[0]})", _LIST
    if name.endswith("List"):
        return f"List (Collection of: {_PLAIN[name.removesuffix('List')][0]})", _LIST
    return _PLAIN[name]


def _columns(spec: dict) -> list[list[str]]:
    types = [_shown(trait) for trait in spec["schema"]["traits"][1:]]
    return [[name, shown[0]] for name, shown in zip(spec["columnNames"][1:], types, strict=True)]


def _with_metadata(spec: dict) -> dict:
    spec = json.loads(json.dumps(spec))
    spec["columnMetaData"] = [None, *_metadata(spec)]
    return spec


def _metadata(spec: dict) -> list[dict]:
    types = [_shown(trait) for trait in spec["schema"]["traits"][1:]]
    return [{"preferred_value_type": v, "displayed_column_type": s} for s, v in types]


class JavaSpec:
    def __init__(self, java_class: str, data: dict) -> None:
        self._class, self.data = java_class, data

    def getJavaClassName(self) -> str:
        return self._class

    def toJsonString(self) -> str:
        return json.dumps(self.data)


class TableFile:
    """A table as Java hands it to Python and takes it back."""

    def __init__(self, path: Path) -> None:
        self.path, self.names = path, []

    def getJavaClassName(self) -> str:
        return "org.knime.core.node.BufferedDataTable"

    def getDataSource(self) -> TableFile:
        return self

    def getIdentifier(self) -> str:
        return "org.knime.python3.arrow"

    def getAbsolutePath(self) -> str:
        return str(self.path)

    def isFooterWritten(self) -> bool:
        return True

    def hasColumnNames(self) -> bool:
        return True

    def getColumnNames(self) -> list[str]:
        return self.names

    def reportBatchWritten(self, offset: int) -> None: ...
    def setColumnarSchema(self, schema: Any) -> None: ...
    def setFinalSize(self, size: int) -> None: ...


class Blob:
    def __init__(self, path: Path, spec: JavaSpec) -> None:
        self._path, self._spec = path, spec

    def getJavaClassName(self) -> str:
        return "org.knime.python3.nodes.ports.PythonBinaryBlobFileStorePortObject"

    def getFilePath(self) -> str:
        return str(self._path)

    def getSpec(self) -> JavaSpec:
        return self._spec


class JavaMap(dict):
    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(value, bool | int | float | str | list):
            raise AttributeError("'object' object has no attribute '_get_object_id'")
        super().__setitem__(key, value)


class Jvm:
    """Any Java class that is asked for; calling it gives something as empty."""

    def __getattr__(self, name: str) -> Jvm:
        return self

    def __call__(self, *args: Any) -> Jvm:
        return self


class Java:
    """Callback, context and file stores of one call."""

    def __init__(self, folder: Path, n_polls: int | None = None) -> None:
        self.folder, self.n_polls = folder, n_polls
        self.failure: tuple[str, bool] | None = None
        self.flow: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.progress: list[list] = []
        self.view: str | None = None
        self.ports: tuple[dict, dict] = ({}, {})
        self.specs: list[Any] = []
        self.asked: list[float] = []  # when the node asked whether it is cancelled, in CPU seconds
        self.cancelled: float | None = None

    def log(self, *args: Any) -> None: ...
    def get_credential_names(self) -> list:
        return []

    def get_global_proxy_list(self) -> list:
        return []

    def get_global_tmp_dir_path(self) -> str:
        return str(self.folder)

    def set_failure(self, message: str, details: str, invalid: bool) -> None:
        self.failure = (message, invalid)

    def get_flow_variables(self) -> dict:
        return dict(self.flow)

    def set_flow_variables(self, variables: dict) -> None:
        self.flow = dict(variables)

    def get_preferred_value_types_as_json(self, schema: str) -> str:
        return json.dumps(_metadata(json.loads(schema)))

    def create_sink(self) -> TableFile:
        return TableFile(self.folder / f"{uuid.uuid4().hex}.arrow")

    def create_file_store(self) -> tuple[str, str]:
        key = uuid.uuid4().hex
        return str(self.folder / key), key

    def create_filestore_file(self) -> Any:
        path, key = self.create_file_store()
        return SimpleNamespace(get_key=lambda: key, get_file_path=lambda: path)

    def file_store_key_to_absolute_path(self, key: str) -> str:
        return str(self.folder / key)

    def create_view_sink(self) -> Any:
        path = self.folder / f"{uuid.uuid4().hex}.html"
        self.view = str(path)
        return SimpleNamespace(
            getIdentifier=lambda: "org.knime.python3.views",
            getOutputFilePath=lambda: str(path),
            setCanBeUsedInReport=lambda value: None,
        )

    def get_input_port_map(self) -> dict:
        return self.ports[0]

    def get_output_port_map(self) -> dict:
        return self.ports[1]

    def get_input_specs(self) -> list:
        return self.specs

    def get_node_id(self) -> str:
        return "0:1"

    def set_warning(self, message: str) -> None:
        self.warnings.append(message)

    def set_progress(self, progress: float, message: str | None = None) -> None:
        self.progress.append([progress, message])

    def is_canceled(self) -> bool:
        self.asked.append(time.process_time())  # which other work on the machine does not slow
        if self.n_polls is None:
            return False
        self.n_polls -= 1
        if self.n_polls < 0 and self.cancelled is None:
            self.cancelled = self.asked[-1]
        return self.n_polls < 0

    def waits(self, begin: float, end: float) -> list[float]:
        """Return how long the node did not ask, from begin to end, in CPU seconds."""
        times = [begin, *self.asked, end]
        return [b - a for a, b in itertools.pairwise(times)]

    def get_knime_home_dir(self) -> str:
        return str(self.folder)

    def get_workflow_dir(self) -> str:
        return str(self.folder)


class RealHost:
    def __init__(self, job: dict, folder: Path) -> None:
        self.job, self.folder = job, folder
        tables = Path(job["tables"])
        roots = ["nodes", "", "arrow", "views"]
        names = ["org.knime.python3" + (f".{root}" if root else "") for root in roots]
        paths = [str(Path(job["knime"]) / name / "src/main/python") for name in names]
        types = str(Path(job["knime"]) / "org.knime.python3.arrow.types/src/main/python")
        sys.path[:0] = [*paths, str(Path(job["root"]) / "src"), types]
        sys.path += [str(one) for one in (Path(__file__).parent, Path(__file__).parents[1])]
        sys.path.append(str(tables.parent))
        sys.dont_write_bytecode = True
        warnings.filterwarnings("ignore")
        import _node_backend_launcher as launcher
        import knime._backend._gateway as gateway

        gateway.client_server = SimpleNamespace(
            jvm=Jvm(), _gateway_client=None, new_array=lambda _, n: [None] * n
        )
        launcher.ListConverter = lambda: SimpleNamespace(convert=lambda values, _: list(values))
        launcher._create_linked_hashmap = JavaMap
        self.gateway = gateway
        self.backend = launcher._KnimeNodeBackend()
        self.backend.registerExtensions(["knime._arrow._backend", "knime._views"])
        self.backend.initializeJavaCallback(Java(folder))
        for factory, (shown, _, python_type, storage, python_factory) in _CELLS.items():
            traits = {
                "logical_type": json.dumps({"value_factory_class": factory}, separators=(",", ":"))
            }
            inner: Any = {"type": "simple", "traits": traits}
            spec: Any = storage
            if isinstance(storage, list):
                spec = {"type": "struct", "inner_types": storage}
                parts = [{"type": "simple", "traits": {}} for _ in storage]
                inner = {"type": "struct", "traits": traits, "inner": parts}
            self.backend.registerPythonValueFactory(
                "knime.types.builtin", python_factory, shown, json.dumps(spec), json.dumps(inner),
                python_type, True,
            )  # fmt: skip
        self.backend.loadExtension("org.example.toy", job["module"], job["version"])
        self.frame = importlib.import_module(tables.stem).frame
        import knime.extension.nodes as nodes

        self.infos = nodes._nodes
        self.results: dict[str, list] = {}
        self.restore()

    # ------------------------------------------------------------- from process to process
    def keep(self) -> None:
        """Write down where the outputs lie, for the process that comes after."""

        def told(one: Any) -> Any:
            if one is None:
                return None
            data, spec = one
            file = {"path": str(data.path), "names": data.names} if hasattr(data, "path") else None
            path = None if file else data.getFilePath()
            return {"file": file, "blob": path, "class": spec.getJavaClassName(), "spec": spec.data}

        kept = {name: [told(one) for one in listed] for name, listed in self.results.items()}
        (self.folder / "kept.json").write_text(json.dumps(kept), encoding="utf-8")

    def restore(self) -> None:
        """Take over the outputs of the process before."""
        path = self.folder / "kept.json"
        if not path.exists():
            return
        for name, listed in json.loads(path.read_text(encoding="utf-8")).items():
            self.results[name] = [one and self.restored(one) for one in listed]

    @staticmethod
    def restored(kept: dict) -> tuple[Any, JavaSpec]:
        spec = JavaSpec(kept["class"], kept["spec"])
        if kept["file"] is None:
            return Blob(Path(kept["blob"]), spec), spec
        file = TableFile(Path(kept["file"]["path"]))
        file.names = kept["file"]["names"]
        return file, spec

    # -------------------------------------------------------------------------- data
    def table(self, name: str, rows: int | None) -> tuple[TableFile, JavaSpec]:
        import knime._arrow._backend as files
        import knime._arrow._table as tables
        import knime.api.table as api
        import pyarrow as pa

        java = Java(self.folder)
        api._backend = tables._ArrowBackend(
            lambda: self.gateway.data_sink_mapper(java.create_sink())
        )
        api._backend.file_store_handler = java
        table = api.Table.from_pandas(self.frame(name))
        data, schema = table._get_table().combine_chunks(), table.schema
        api._backend = None
        file = TableFile(self.folder / f"{name}_{uuid.uuid4().hex}.arrow")
        file.names = data.column_names[1:]
        chunk = rows or max(1, len(data))
        written = files.schema_with_knime_metadata(data.schema, chunk)
        with pa.OSFile(str(file.path), "wb") as out, pa.ipc.new_file(out, written) as writer:
            for batch in data.to_batches(max_chunksize=chunk):
                writer.write_batch(batch)
            if len(data) == 0:  # Java writes an empty table as one batch without rows
                empty = [files._create_empty_array(one.type) for one in data.schema]
                writer.write_batch(pa.record_batch(empty, schema=data.schema))
        spec = _with_metadata(schema.serialize())
        return file, JavaSpec("org.knime.core.data.DataTableSpec", spec)

    def read(self, file: TableFile) -> tuple[dict, list[int], Any]:
        """Return content, batch sizes and schema of a table file."""
        import knime._arrow._table as tables
        import knime.api.table as api
        import pyarrow as pa
        from toy_tables import content

        with pa.memory_map(str(file.path)) as source:
            reader = pa.ipc.open_file(source)
            sizes = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
            file.names = reader.schema.names[1:]
        api._backend = tables._ArrowBackend(lambda: None)
        api._backend.file_store_handler = Java(self.folder)
        table = tables.ArrowSourceTable(self.gateway.data_source_mapper(file))
        cells = content(table.to_pandas())
        api._backend = None
        return cells, sizes, table.schema

    def output(self, one: Any) -> tuple[dict, Any]:
        """Return (what a test compares, what the next node receives)."""
        if hasattr(one, "getPythonArrowDataSink"):
            file = one.getPythonArrowDataSink()
            if file.path.stat().st_size == 0:  # nothing was written: Java makes an empty table
                return {"columns": [], "cells": {"<RowID>": []}, "batches": []}, None
            cells, sizes, schema = self.read(file)
            spec = _with_metadata(schema.serialize())
            shown = {"columns": _columns(spec), "cells": cells, "batches": sizes}
            return shown, (file, JavaSpec("org.knime.core.data.DataTableSpec", spec))
        if hasattr(one, "getFileStoreKey"):
            path = self.folder / one.getFileStoreKey()
            spec = json.loads(one.getSpec().toJsonString())
            java_spec = JavaSpec(
                "org.knime.python3.nodes.ports.PythonBinaryBlobPortObjectSpec", spec
            )
            return {"spec": spec, "data": path.read_bytes().hex()}, (
                Blob(path, java_spec),
                java_spec,
            )
        return {"image": base64.b64decode(one.getImageBytes()).hex()}, None

    def inputs(self, step: dict) -> list[list | None]:
        def one(given: Any) -> Any:
            if given is None:
                return None
            if "table" in given:
                return self.table(given["table"], given.get("rows"))
            return self.results[given["from"]][given["port"]]

        return [
            [one(x) for x in given] if isinstance(given, list) else one(given)
            for given in step["inputs"]
        ]

    # ------------------------------------------------------------------------- calls
    def step(self, step: dict) -> dict:
        info = self.infos[step["node"]]
        inputs = self.inputs(step)
        flat: list[Any] = []
        in_map: dict[str, list[int]] = {}
        for i, (port, given) in enumerate(zip(info.input_ports, inputs, strict=True)):
            group = not hasattr(port, "optional")
            listed = given if isinstance(given, list) else [] if given is None else [given]
            named = group or port.optional
            in_map[port.name if named else f"Input {port.name} # {i}"] = list(
                range(len(flat), len(flat) + len(listed))
            )
            flat.extend(listed)
        out_map = {f"Output {p.name} # {i}": [i] for i, p in enumerate(info.output_ports)}
        ports = (in_map, out_map)
        result: dict[str, Any] = {}
        proxy = self.proxy(info, Java(self.folder))
        result["schema"] = json.loads(proxy.getSchema(self.job["version"]))
        result["defaults"] = json.loads(proxy.getParameters())
        settings, version = copy.deepcopy(result["defaults"]), self.job["version"]
        if "load" in step:
            settings, version = {"model": step["load"]}, step["version"]
        for name, value in step.get("set", {}).items():
            *groups, last = name.split(".")
            place = settings["model"]
            for group in groups:
                place = place[group]
            place[last] = value
        if (refused := proxy.validateParameters(json.dumps(settings), version)) is not None:
            return {**result, "refused": refused}
        if step.get("until") == "validate":
            proxy.setParameters(json.dumps(settings), version)
            return {**result, "taken": json.loads(proxy.getParameters())["model"]}
        java = Java(self.folder)
        java.ports, java.specs = ports, [spec for _, spec in flat]
        proxy = self.proxy(info, java)
        shown = proxy.getDialogRepresentation(json.dumps(settings), version, java)
        result["dialog"] = None if shown is None else json.loads(shown)
        java = Java(self.folder)
        java.ports = ports
        proxy = self.proxy(info, java)
        proxy.setParameters(json.dumps(settings), version)
        try:  # KNIME shows what is raised behind the node's own code, too
            announced = proxy.configure([spec for _, spec in flat], java)
            if java.failure:
                return {**result, "configure_failed": java.failure}
            result["announced"] = [None if one is None else self.spec(one) for one in announced]
            if len(announced) != len(info.output_ports):  # Java expects one for every port
                raise ValueError(f"{len(announced)} specs")
            result["configured"] = settings = json.loads(proxy.getParameters())
        except Exception as error:  # noqa: BLE001 - whatever it is
            return {**result, "configure_failed": (f"raised: {error!r}", False)}
        result["configure_warnings"] = java.warnings
        result["configure_flow"] = java.flow
        if step.get("until") == "configure":
            return result
        java = Java(self.folder, step.get("cancel_after"))
        java.ports, java.flow = ports, dict(result["configure_flow"])
        return {**result, **self.execute(step, info, flat, java, settings)}

    def execute(self, step: dict, info: Any, flat: list, java: Java, settings: dict) -> dict:
        proxy = self.proxy(info, java)
        proxy.setParameters(json.dumps(settings), self.job["version"])
        returned: list[Any] = []
        worker = threading.Thread(
            target=lambda: returned.append(proxy.execute([data for data, _ in flat], java))
        )
        begin = time.process_time()
        worker.start()
        worker.join()
        end = time.process_time()
        told = {"progress": java.progress, "waits": java.waits(begin, end)}
        if java.cancelled is not None:
            told["stopped_after"] = end - java.cancelled
        if java.failure:
            return {**told, "execute_failed": java.failure}
        if not returned:
            return {**told, "execute_failed": ("raised", False)}
        try:
            outputs = [self.output(one) for one in returned[0]]
        except (RuntimeError, ValueError, OSError, TypeError) as error:  # nobody could read it
            return {"execute_failed": (f"unreadable: {error}", False)}
        if len(outputs) != len(info.output_ports):  # Java would find too few or too many
            return {"execute_failed": (f"{len(outputs)} outputs", False)}
        self.results[step["name"]] = [follow for _, follow in outputs]
        return {
            "outputs": [shown for shown, _ in outputs],
            **told,
            "warnings": java.warnings,
            "flow": java.flow,
            "view": None if java.view is None else Path(java.view).read_text(encoding="utf-8"),
            "executed": json.loads(proxy.getParameters()),
        }

    def spec(self, one: Any) -> Any:
        data = json.loads(one.toJsonString())
        return {"columns": _columns(data)} if "columnNames" in data else data

    def proxy(self, info: Any, java: Java) -> Any:
        proxy = self.backend.createNodeFromExtension(info.id)
        proxy.initializeJavaCallback(java)
        return proxy


def main() -> None:
    job = json.load(sys.stdin)
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        host = RealHost(job, Path(job["folder"] or folder))
        results = []
        for step in job["steps"]:
            begin = time.monotonic()
            results.append(host.step(step))
            sys.stderr.write(f"{time.monotonic() - begin:8.2f} s  {step['name']}\n")
        if job["folder"]:
            host.keep()
    json.dump(results, sys.stdout, default=repr)


if __name__ == "__main__":
    main()
