"""The same toy nodes on KNIME's own Python code and on the stand-in give the same."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from microshot.headless import standin

HEADLESS = Path(__file__).parents[1]
KNIME = os.environ.get("KNIME_PYTHON")
PYTHON = os.environ.get("MICROSHOT_KNIME_ENV")

pytestmark = pytest.mark.skipif(
    not (KNIME and PYTHON),
    reason="needs KNIME_PYTHON (a checkout of knime/knime-python) and MICROSHOT_KNIME_ENV "
    "(a Python with KNIME's packages)",
)

SOURCE, LEARN = {"from": "source", "port": 0}, {"from": "learn", "port": 0}
NUMBERS = {
    "mode": "REGEX",
    "patternFilter": {"pattern": "^(n|x)$", "isCaseSensitive": False, "isInverted": False},
    "typeFilter": {"selectedTypes": [], "typeDisplays": []},
    "manualFilter": {
        "manuallySelected": [],
        "manuallyDeselected": [],
        "includeUnknownColumns": True,
    },
}
BY_TYPE = {
    **NUMBERS,
    "mode": "TYPE",
    "typeFilter": {"selectedTypes": ["org.knime.core.data.StringValue"], "typeDisplays": []},
}
FIVE = {"table": "five", "rows": 2}


def step(name: str, node: str, inputs: list, **more: Any) -> dict[str, Any]:
    return {"name": name, "node": node, "inputs": inputs, **more}


STEPS = [
    step("source", "source", [], set={"n_rows": 4}),
    step("source 8", "source", [], set={"n_rows": 2, "depth": "8", "size": 1}),
    step("source of none", "source", [], set={"n_rows": 0}),
    step("source cancelled", "source", [], set={"n_rows": 5}, cancel_after=2),
    step("source refused", "source", [], set={"n_rows": 2000}),
    step("source of a text", "source", [], set={"n_rows": "2"}),
    step("bytes", "bytes", []),
    step("learn", "learn", [SOURCE, None]),
    step("learn more", "learn", [FIVE, SOURCE], set={"image": "Image", "label": "<none>"}),
    step("learn from none", "learn", [{"table": "text"}, None]),
    step("learn deep", "learn", [FIVE, None], set={"depth": "DEEP", "optimisation.rate": 1}),
    step("learn wrong option", "learn", [FIVE, None], set={"depth": "Deep"}),
    step("learn wrong rate", "learn", [FIVE, None], set={"optimisation.rate": 2.0}),
    step("learn wrong seed", "learn", [FIVE, None], set={"seed": -1}),
    step("learn wrong folder", "learn", [FIVE, None], set={"folder": "/no/such/folder"}),
    step(
        "learn wrong group",
        "learn",
        [FIVE, None],
        set={"optimisation.schedule.warm_epochs": 9},
    ),
    step("apply", "apply", [LEARN, SOURCE]),
    step("apply batches", "apply", [LEARN, FIVE]),
    step("apply one", "apply", [LEARN, {"table": "one"}]),
    step("apply empty", "apply", [LEARN, {"table": "empty"}]),
    step("apply fails", "apply", [LEARN, FIVE], set={"fail": "value"}),
    step("apply key error", "apply", [LEARN, FIVE], set={"fail": "key"}),
    step("apply invalid", "apply", [LEARN, FIVE], set={"fail": "invalid"}),
    step("apply without column", "apply", [LEARN, {"table": "text"}]),
    step("apply subclass", "apply", [{"from": "bytes", "port": 1}, FIVE]),
    step("apply stranger", "apply", [{"from": "bytes", "port": 2}, FIVE]),
    step("join none", "join", [[], None, None]),
    step(
        "join all",
        "join",
        [[SOURCE, FIVE, {"table": "empty"}], LEARN, {"from": "bytes", "port": 0}],
    ),
    step("slice", "slice", [FIVE], set={"columns": NUMBERS}),
    step("slice type", "slice", [FIVE], set={"columns": BY_TYPE, "stop": 5, "step": 2}),
    step("slice late", "slice", [FIVE], set={"start": 3, "stop": 5}),
]
OLD = {
    "version": "0.1.0",
    "load": {
        "image": "Image",
        "label": "",
        "depth": "DEEP",
        "depths": [],
        "fixed": False,
        "seed": 7,
        "note": "old",
        "folder": "",
        "kept": ["N"],
        "extra": NUMBERS,
        "choice": "",
        "optimisation": {"rate": 0.5, "schedule": {"epochs": 3, "warm": True, "warm_epochs": 1}},
    },
}
STEPS += [
    step("learn old", "learn", [FIVE, None], **OLD),
    step("learn old as new", "learn", [FIVE, None], **{**OLD, "version": "0.2.0"}),
]


@pytest.fixture(scope="module")
def real() -> dict[str, dict]:
    return run_real(STEPS)


def run_real(steps: list[dict]) -> dict[str, dict]:
    job = {
        "knime": str(KNIME),
        "root": str(HEADLESS / "toy_extension"),
        "module": "toy_nodes",
        "version": "0.2.0",
        "steps": steps,
    }
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(PYTHON), str(HEADLESS / "real_host.py")],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout)
    return {one["name"]: result for one, result in zip(steps, results, strict=True)}


class Ours:
    """Runs the steps on the stand-in and tells what the real host tells."""

    def __init__(self, host: standin.Host) -> None:
        self.host = host
        self.made: dict[str, list] = {}

    def input(self, given: Any) -> Any:
        from toy_tables import frame

        if given is None:
            return None
        if isinstance(given, list):
            return [self.input(one) for one in given]
        if "table" in given:
            table = frame(given["table"])
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
        polls = iter(range(one.get("cancel_after", 10**9)))
        try:
            outputs = node.execute(inputs, is_cancelled=lambda: next(polls, None) is None)
        except standin.NodeFailure as failure:
            failed = [failure.message, failure.invalid_settings]
            return {
                **result,
                "execute_failed": failed,
                "cancelled": failure.cancelled,
                "progress": [list(x) for x in node.progress],
            }
        self.made[one["name"]] = outputs
        return {
            **result,
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


@pytest.fixture(scope="module")
def ours(toy: standin.Host) -> dict[str, dict]:
    return run_ours(toy, STEPS)


def run_ours(toy: standin.Host, steps: list[dict]) -> dict[str, dict]:
    sys.path.insert(0, str(HEADLESS))
    runner = Ours(toy)
    results = {one["name"]: json.loads(json.dumps(runner.run(one))) for one in steps}
    sys.path.remove(str(HEADLESS))
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


def comparable(data: Any, real: dict) -> Any:
    """Return settings, schema or dialog without Markdown and, for KNIME 5.5, what it wrote else."""
    older = "minimum" in json.dumps(real["source"]["schema"])
    if isinstance(data, list):
        listed = [comparable(one, real) for one in data]
        return [one for one in listed if not (older and one in NO_CHOICES)]
    if isinstance(data, dict):
        return {
            key: comparable(value, real)
            for key, value in data.items()
            if not (key == "description" and isinstance(value, str))
            and not (older and key in OLDER)
        }
    if older and data is None:
        return ""
    return RENAMED.get(data, data) if older and isinstance(data, str) else data


NAMES = [one["name"] for one in STEPS]


@pytest.mark.parametrize("name", NAMES)
def test_settings_and_their_schema_are_those_of_knime(name: str, real: dict, ours: dict) -> None:
    mine, theirs = ours[name], real[name]
    schema = theirs["schema"]["properties"]["model"]
    assert comparable(mine["schema"], real) == comparable(schema, real)
    for stage in ("defaults", "configured", "executed"):
        if stage in theirs:
            assert mine[stage] == comparable(theirs[stage]["model"], real)


@pytest.mark.parametrize("name", NAMES)
def test_the_dialog_is_that_of_knime(name: str, real: dict, ours: dict) -> None:
    mine, theirs = ours[name].get("dialog"), real[name].get("dialog")
    assert comparable(mine, real) == comparable(theirs, real)


@pytest.mark.parametrize("name", NAMES)
def test_a_node_is_refused_where_knime_refuses_it(name: str, real: dict, ours: dict) -> None:
    assert ("refused" in ours[name]) == ("refused" in real[name])
    for stage in ("configure_failed", "execute_failed"):
        assert (stage in ours[name]) == (stage in real[name])
        if stage in real[name]:
            assert ours[name][stage][1] == real[name][stage][1]


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("apply ") or "none" in n])
def test_a_message_of_a_node_is_shown_word_by_word(name: str, real: dict, ours: dict) -> None:
    if "stranger" in name:
        return  # this message is KNIME's own, not the node's
    for stage in ("configure_failed", "execute_failed"):
        assert ours[name].get(stage) == real[name].get(stage)


@pytest.mark.parametrize("name", NAMES)
def test_results_are_those_of_knime(name: str, real: dict, ours: dict) -> None:
    for key in ("announced", "outputs", "configure_warnings", "warnings", "flow", "view"):
        assert ours[name].get(key) == real[name].get(key)
    assert ours[name].get("progress") == real[name].get("progress")


STRICTER = {  # what the stand-in refuses although KNIME's Python code takes it, and why
    "auto: same index": "KNIME's Java side refuses duplicate RowIDs",
    "keep: same index": "KNIME's Java side refuses duplicate RowIDs",
    "batches: same numbers kept": "KNIME's Java side refuses duplicate RowIDs",
    "arrow large list": "never made by pandas, and not known to be read by Java",
    "image LA": "not among the modes that are known to survive",
    "image P": "not among the modes that are known to survive",
    "image I": "KNIME loses values above 65535, and pillow 13 refuses",
    "batches: all missing later": "a column that changes its type works for text only, by chance",
}


def test_tables_are_taken_and_refused_as_by_knime(toy: standin.Host) -> None:
    toy_cases = importlib.import_module("toy_cases")
    steps = [step(name, "probe", [], set={"case": name}) for name in toy_cases.CASES]
    real, ours = run_real(steps), run_ours(toy, steps)
    differing = {}
    for name in toy_cases.CASES:
        theirs, mine = real[name].get("outputs"), ours[name].get("outputs")
        if name in STRICTER:
            assert mine is None, (name, theirs)
        elif mine != theirs:
            differing[name] = (
                mine or ours[name]["execute_failed"],
                theirs or real[name]["execute_failed"],
            )
    assert not differing
