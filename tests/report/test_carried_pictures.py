"""Pictures in a model file are shown again as they were, whatever the file claims."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from microshot.report import carried_pictures, panels
from microshot.report.pictures import Example, gallery

RNG = np.random.default_rng(0)
STAINS = ("nuclei", "lipids", "cytoplasm")


def stack(name: str) -> Example:
    planes, *stains = (RNG.random((n, 48, 40)).astype(np.float32) for n in (5, 3, 3, 3))
    target, translated, old = stains
    return Example(
        name, planes, target=target, translated=translated, old_translated=old, stains=STAINS,
        confidence=RNG.random((48, 40)).astype(np.float32),
    )  # fmt: skip


def columns(html: str) -> list[str]:
    return re.findall(r"grid-column:([^\"]*)\"", html)


def test_every_stain_has_a_line_of_its_own_beside_the_input() -> None:
    shown = gallery([stack("a")], panels.old_new_panels)
    assert columns(shown) == ["2", "3", "4"] * 3 + ["1"]
    assert "input: plane 3 of 5" in shown
    one = Example("b", RNG.random((1, 48, 40)), target=RNG.random((3, 48, 40)), stains=STAINS)
    assert not columns(gallery([one], panels.truth_panel))


def test_a_model_file_shows_all_stains_in_their_places() -> None:
    examples = [stack("a"), stack("b")]
    packed = carried_pictures.packed(examples, panels.old_new_panels, (), {"a": "image 1"})
    again = carried_pictures.unpacked(json.loads(json.dumps(packed)))
    assert columns(again) == columns(gallery(examples, panels.old_new_panels))
    assert all(f"{stain}, retrained model" in again for stain in STAINS)
    assert len(json.dumps(packed)) < 3 * carried_pictures.ALL_BYTES


@pytest.mark.parametrize("column", [None, "2", "2;color:red", [2], [2, "4"], -1, True, 2.0, 10**9])
def test_a_column_that_makes_no_sense_is_none(column: object) -> None:
    packed = carried_pictures.packed([stack("a")], panels.old_new_panels, (), {})
    for panel in packed["tiles"][0]["panels"]:
        panel["column"] = column
    assert not columns(carried_pictures.unpacked(packed))
