"""Every node on KNIME's own Python code: the same results and the same refusals as on the stand-in."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from knime_steps import every_step

from both_hosts import PYTHON, Extension, comparable, needs_knime, run_ours, run_real
from microshot import __version__
from tiny_images import page_text

ROOT = Path(__file__).parents[2]
NODES = Extension(
    ROOT, "microshot_extension", __version__, Path(__file__).parent / "knime_tables.py"
)
NAMES = [one["name"] for one in every_step(Path())]
#: Columns that depend on the clock.
TIMED = ("Seconds", "Seconds (Kerne)")
#: Values that KNIME's code takes and only the node refuses, if it notices: of columns and numbers.
STRICTER = {
    "train.image_column = 3", "train.more_channels = 'Image'", "train.more_channels = [1]",
    "retrain.minutes = True", "predict.time_column = 1", "score.prediction_columns = 'Label'",
    "score.truth_column = 0", "write_labels.name_column = True",
}  # fmt: skip

pytestmark = needs_knime
each = pytest.mark.parametrize("name", [name for name in NAMES if name not in STRICTER])


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> dict[str, dict]:
    return run_real(NODES, every_step(tmp_path_factory.mktemp("real")))


@pytest.fixture(scope="module")
def ours(host, tmp_path_factory) -> dict[str, dict]:
    return run_ours(host, NODES, every_step(tmp_path_factory.mktemp("ours")))


@pytest.fixture(scope="module")
def older(real) -> bool:
    """Tell whether these are the dialogs of KNIME 5.5."""
    return "minimum" in str(real["made"]["schema"])


@each
def test_settings_and_dialog_are_those_of_knime(name, real, ours, older):
    mine, theirs = ours[name], real[name]
    schema = theirs["schema"]["properties"]["model"]
    assert comparable(mine["schema"], older=older) == comparable(schema, older=older)
    for stage in ("defaults", "configured", "executed"):
        assert (stage in mine) == (stage in theirs)
        if stage in theirs:
            saved = comparable(theirs[stage]["model"], older=older)
            assert without_paths(mine[stage]) == without_paths(saved)
    shown = [comparable(one.get("dialog"), older=older) for one in (mine, theirs)]
    assert without_paths(shown[0]) == without_paths(shown[1])


def without_paths(data: Any) -> Any:
    """Return settings without the folders of one of the two runs."""
    if isinstance(data, dict):
        return {key: without_paths(value) for key, value in data.items()}
    if isinstance(data, list):
        return [without_paths(one) for one in data]
    return re.sub(r"/\S*/((real|ours)\d+|data/)", "", data) if isinstance(data, str) else data


@each
def test_what_knime_refuses_is_refused_in_the_same_words(name, real, ours):
    mine, theirs = ours[name], real[name]
    assert ("refused" in mine) == ("refused" in theirs), (
        mine.get("refused"),
        theirs.get("refused"),
    )
    for stage in ("configure_failed", "execute_failed"):
        assert without_paths(mine.get(stage)) == without_paths(theirs.get(stage))


def test_the_stand_in_is_stricter_in_few_places(real, ours):
    assert {n for n in NAMES if "refused" in ours[n] and "refused" not in real[n]} == STRICTER


@each
def test_results_are_those_of_knime(name, real, ours, alike):
    mine, theirs = ours[name], real[name]
    assert mine.get("announced") == theirs.get("announced")
    for key in ("configure_warnings", "warnings", "flow"):
        assert without_paths(mine.get(key)) == without_paths(theirs.get(key))
    assert len(mine.get("outputs", [])) == len(theirs.get("outputs", []))
    for own, found in zip(mine.get("outputs", []), theirs.get("outputs", []), strict=True):
        if "cells" in found:
            same_table(own, found, alike=alike)
        else:
            cards = [one["spec"]["data"]["card"] for one in (own, found)]
            assert is_near(cards[0]["scores"], cards[1]["scores"], 1e-9 if alike else 1e-3)
            if alike:
                assert cards[0]["id"] == cards[1]["id"]


@pytest.fixture(scope="module")
def alike() -> bool:
    """Tell whether KNIME's Python has our libraries; other versions round differently."""
    code = (
        "from importlib.metadata import version\n"
        "print([version(n) for n in ('numpy', 'scipy', 'scikit-image', 'torch', 'onnxruntime')])"
    )
    told = [
        subprocess.run([str(one), "-c", code], capture_output=True, text=True, check=True).stdout
        for one in (sys.executable, PYTHON)
    ]
    return told[0] == told[1]


def same_table(own: dict[str, Any], found: dict[str, Any], *, alike: bool) -> None:
    assert own["columns"] == found["columns"]
    assert own["batches"] == found["batches"]
    kinds = dict([*own["columns"], ("<RowID>", "String")])
    for column, expected in own["cells"].items():
        values = found["cells"][column]
        if column in TIMED:
            assert [v is None for v in values] == [v is None for v in expected]
        elif kinds[column].startswith("Number"):
            assert is_near(values, expected, 1e-6 if alike else 1e-3), (column, values, expected)
        elif kinds[column] == "PNG Image" and not alike:
            assert [v and v[:2] for v in values] == [v and v[:2] for v in expected], column
        else:
            masked = [
                without_paths(one if alike else without_ids(one)) for one in (values, expected)
            ]
            assert masked[0] == masked[1], column


def is_near(one: Any, other: Any, part: float) -> bool:
    """Tell whether numbers differ by a small part at most, and everything else not at all."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_near(one[k], other[k], part) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_near, one, other, [part] * len(one)))
    if isinstance(one, float) and isinstance(other, int | float):
        both_nan = math.isnan(one) and math.isnan(other)
        return both_nan or math.isclose(one, other, rel_tol=part, abs_tol=part / 10)
    return one == other


def without_ids(values: list[Any]) -> list[Any]:
    """Return cells without the ids of models, which follow from every bit of their weights."""
    return [re.sub(r"[0-9a-f]{16}", "", v) if isinstance(v, str) else v for v in values]


@each
def test_outputs_are_as_announced(name, real):
    theirs = real[name]
    for spec, found in zip(theirs.get("announced", []), theirs.get("outputs", []), strict=False):
        if spec is not None and "cells" in found:
            assert spec["columns"] == found["columns"]
        elif spec is not None:
            card, card_then = found["spec"]["data"]["card"], spec["data"]["card"]
            assert {key: card[key] for key in card_then} == card_then


@each
def test_one_warning_a_progress_that_only_grows_and_a_page_that_loads_nothing(name, real):
    theirs = real[name]
    assert len(theirs.get("warnings", [])) <= 1
    assert len(theirs.get("configure_warnings", [])) <= 1
    fractions = [fraction for fraction, _ in theirs.get("progress", [])]
    assert fractions == sorted(fractions)
    assert all(0 <= fraction <= 1 for fraction in fractions)
    if theirs.get("view") is not None:
        page_text(theirs["view"])
