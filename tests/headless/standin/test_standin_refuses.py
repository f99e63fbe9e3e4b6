"""The stand-in refuses whatever KNIME's own code refuses, of all that a node can do wrong."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from both_hosts import HEADLESS, Extension, needs_knime, run_ours, run_real, step

if TYPE_CHECKING:
    from microshot.headless import standin

TOY = Extension(HEADLESS / "toy_extension", "toy_nodes", "0.2.0", HEADLESS / "toy_tables.py")
#: What KNIME 5.5 or a later one refused when this was recorded, and at which stage. The test that
#: asks KNIME writes it where it is missing.
RECORD = HEADLESS / "refused_by_knime.json"
STAGES = ("refused", "configure_failed", "execute_failed")
TAKEN = ("announced", "outputs", "warnings", "configure_warnings", "flow", "configure_flow", "view")


def steps() -> list[dict[str, Any]]:
    """Return a step for every way to make a table, and to use the API when called."""
    tables, misuse = importlib.import_module("toy_cases"), importlib.import_module("toy_misuse")
    return [
        *(step(f"table: {n}", "probe", [], set={"case": n}) for n in tables.CASES),
        *(step(f"configure: {n}", "misuse", [], set={"configuring": n}) for n in misuse.CONFIGURE),
        *(step(f"execute: {n}", "misuse", [], set={"executing": n}) for n in misuse.EXECUTE),
    ]


def stage_of(result: dict[str, Any]) -> str | None:
    """Return where a step was refused; None where it was not."""
    return next((stage for stage in STAGES if stage in result), None)


@pytest.fixture(scope="module")
def ours(toy: standin.Host) -> dict[str, dict]:
    return run_ours(toy, TOY, steps())


def test_what_knime_refused_is_refused_at_the_same_stage(ours: dict[str, dict]) -> None:
    record = json.loads(RECORD.read_text("utf-8"))
    assert len(record) > 100
    found = {name: stage_of(ours[name]) for name in record}
    assert found == record


def test_the_message_says_what_was_found(ours: dict[str, dict]) -> None:
    for name, result in ours.items():
        if (stage := stage_of(result)) is not None:
            assert result[stage][0].strip(), name


@needs_knime
def test_knime_refuses_nothing_that_the_stand_in_takes(ours: dict[str, dict]) -> None:
    real = run_real(TOY, steps())
    refused = {name: stage for name, one in real.items() if (stage := stage_of(one))}
    if not RECORD.exists():
        RECORD.write_text(json.dumps(refused, indent=1, sort_keys=True) + "\n", "utf-8")
    assert {name: stage_of(ours[name]) for name in refused} == refused
    assert refused.items() <= json.loads(RECORD.read_text("utf-8")).items()
    for name, mine in ours.items():
        if stage_of(mine) is None:
            for key in TAKEN:  # as text, in which nan equals nan
                assert json.dumps(mine.get(key)) == json.dumps(real[name].get(key)), (name, key)
