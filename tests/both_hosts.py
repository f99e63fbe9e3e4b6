"""The same steps on KNIME's own Python code and on the stand-in, told in the same form."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from microshot.headless import standin

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADLESS = Path(__file__).parent / "headless"
KNIME = os.environ.get("KNIME_PYTHON")
PYTHON = os.environ.get("MICROSHOT_KNIME_ENV")

needs_knime = pytest.mark.skipif(
    not (KNIME and PYTHON),
    reason="needs KNIME_PYTHON (a checkout of knime/knime-python) and MICROSHOT_KNIME_ENV "
    "(a Python with KNIME's packages and those of Microshot)",
)


@dataclass(frozen=True)
class Extension:
    """An extension on disk, and the file whose function ``frame`` makes its input tables."""

    root: Path
    module: str
    version: str
    tables: Path


def step(name: str, node: str, inputs: list, **more: Any) -> dict[str, Any]:
    """Return one step: a node, what it receives, and perhaps ``set``, ``load``, ``cancel_after`` and
    ``until="configure"``, or with KNIME only ``until="validate"``.

    An input is None, a list for a group of ports, ``{"from": step, "port": i}``, or
    ``{"table": name, "rows": per batch}``.
    """
    return {"name": name, "node": node, "inputs": inputs, **more}


def run_real(
    extension: Extension, steps: Sequence[dict], folder: Path | None = None
) -> dict[str, dict]:
    """Return what KNIME's Python code makes of every step, in a process of its own.

    With a folder, steps may refer to steps that an earlier process ran there.
    """
    job = {
        "knime": str(KNIME),
        "root": str(extension.root),
        "module": extension.module,
        "version": extension.version,
        "tables": str(extension.tables),
        "folder": folder and str(folder),
        "steps": list(steps),
    }
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(PYTHON), str(HEADLESS / "real_host.py")],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout)
    return {one["name"]: result for one, result in zip(steps, results, strict=True)}


class Ours:
    """Runs steps on the stand-in and tells what `run_real` tells."""

    def __init__(self, host: standin.Host, extension: Extension) -> None:
        self.host = host
        self.made: dict[str, list] = {}
        self._frame = importlib.import_module(extension.tables.stem).frame

    def input(self, given: Any) -> Any:
        if given is None:
            return None
        if isinstance(given, list):
            return [self.input(one) for one in given]
        if "table" in given:
            table = self._frame(given["table"])
            return standin.table_from_pandas(self.host, table, given.get("rows"))
        return self.made[given["from"]][given["port"]]

    def run(self, one: dict) -> dict[str, Any]:
        node = self.host.node(one["node"])
        result: dict[str, Any] = {"schema": node.schema(), "defaults": node.settings}
        try:
            if "load" in one:
                node.load_settings(one["load"], one["version"])
            for name, value in one.get("set", {}).items():
                node.set(name, value)
        except standin.NodeFailure as failure:
            return {**result, "refused": failure.message}
        inputs = [self.input(given) for given in one["inputs"]]
        specs = [[s.spec for s in x] if isinstance(x, list) else x and x.spec for x in inputs]
        try:
            result["dialog"] = node.dialog(specs)
        except standin.NodeFailure:
            result["dialog"] = None
        try:
            result["announced"] = [s and self.spec(s) for s in node.configure(specs)]
        except standin.NodeFailure as failure:
            return {**result, "configure_failed": [failure.message, failure.invalid_settings]}
        result["configure_warnings"] = node.warnings
        result["configured"] = node.settings
        result["configure_flow"] = node.flow_variables
        if one.get("until") == "configure":
            return result
        return {**result, **self.execute(one, node, inputs)}

    def execute(self, one: dict, node: standin.CanvasNode, inputs: list) -> dict[str, Any]:
        polls = iter(range(one.get("cancel_after", 10**9)))
        try:
            outputs = node.execute(inputs, is_cancelled=lambda: next(polls, None) is None)
        except standin.NodeFailure as failure:
            return {
                "execute_failed": [failure.message, failure.invalid_settings],
                "cancelled": failure.cancelled,
                "progress": [list(x) for x in node.progress],
            }
        self.made[one["name"]] = outputs
        return {
            "outputs": [self.output(x) for x in outputs],
            "warnings": node.warnings,
            "progress": [list(x) for x in node.progress],
            "flow": node.flow_variables,
            "view": node.view_html,
            "executed": node.settings,
        }

    @staticmethod
    def spec(spec: standin.Spec) -> Any:
        return {"columns": [list(c) for c in spec.columns]} if spec.kind == "table" else spec.data

    def output(self, one: Any) -> dict[str, Any]:
        from toy_tables import content

        if isinstance(one, standin.TableData):
            cells = content(one.to_pandas())
            return {**self.spec(one.spec), "cells": cells, "batches": one.batch_sizes}
        if isinstance(one, standin.ImageData):
            return {"image": one.data.hex()}
        return {"spec": one.spec.data, "data": one.data.hex()}


def run_ours(
    host: standin.Host, extension: Extension, steps: Sequence[dict]
) -> dict[str, dict[str, Any]]:
    """Return what the stand-in makes of every step, as JSON."""
    added = [str(HEADLESS), str(extension.tables.parent)]
    sys.path[:0] = added
    runner = Ours(host, extension)
    results = {one["name"]: json.loads(json.dumps(runner.run(one))) for one in steps}
    for one in added:
        sys.path.remove(one)
    return results


NO_CHOICES = [{"id": "<none>", "text": "None"}, {"id": "", "text": ""}]
OLDER = {  # dialogs before KNIME 5.6 have these in other places or not at all
    "minimum", "maximum", "validation", "fileSystem",
    "showSearch", "showMode", "unknownValuesText", "emptyStateLabel",
}  # fmt: skip
RENAMED = {
    "localFileChooser": "stringFileChooser",
    "columnFilter": "typedStringFilter",
    "radio": "string",
}


def comparable(data: Any, *, older: bool) -> Any:
    """Return settings, schema or dialog without Markdown and, for KNIME 5.5, what it wrote else."""
    if isinstance(data, list):
        listed = [comparable(one, older=older) for one in data]
        return [one for one in listed if not (older and one in NO_CHOICES)]
    if isinstance(data, dict):
        return {
            key: comparable(value, older=older)
            for key, value in data.items()
            if not (key == "description" and isinstance(value, str))
            and not (older and key in OLDER)
        }
    if older and data is None:
        return ""
    return RENAMED.get(data, data) if older and isinstance(data, str) else data
