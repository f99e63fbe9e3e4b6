"""`microshot study` and `microshot sweep`: what they learn from and what they score on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tifffile

from microshot.cli import main
from microshot.cli.parser import parser
from microshot.cli.studying import Sources
from microshot.data.dataset import Dataset
from microshot.studies.trials import fingerprint
from models_of_all_kinds import made
from tiny_images import discs


@pytest.fixture
def folder(tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    for i in range(8):
        image, labels = discs(n=2, seed=i)
        name = f"well {'AB'[i // 4]} field {i}.tif"
        tifffile.imwrite(tmp_path / "images" / name, image)
        tifffile.imwrite(tmp_path / "labels" / name, labels.astype("uint16"))
    return tmp_path


@pytest.mark.parametrize("verb", [("study", "--model", "cells-generalist"), ("sweep",)])
def test_images_of_one_well_are_never_both_learned_from_and_scored(folder, verb):
    given = [*verb, "--images", str(folder / "images"), "--out", str(folder / "out")]
    alone, grouped = (
        Sources.of(parser().parse_args([*given, *more]), {}, "segment", 42).material()
        for more in ([], ["--group", "well ([A-Z])"])
    )
    assert len(alone.test) == 2
    learned, scored = ({s.group for s in side} for side in (grouped.data, grouped.test))
    assert len(learned) == len(scored) == 1
    assert learned.isdisjoint(scored)
    ungrouped = Dataset.of(replace(s, group="") for s in grouped.data)
    assert fingerprint([ungrouped]) != fingerprint([grouped.data])  # runs.csv tells them apart


def test_a_pattern_that_fits_no_name_is_wrong_usage(folder, capsys):
    out = folder / "out"
    code = main(["sweep", "--images", str(folder / "images"), "--group", "plate ([0-9])",
                 "--out", str(out)])  # fmt: skip
    assert code == 2
    assert 'found none in "well A field 0"' in capsys.readouterr().err
    assert not out.exists()


def test_a_model_is_not_called_like_what_it_is_compared_with(folder, capsys):
    """Their rows could not be told apart, and the model would never be trained."""
    model, out = made("stardist").save(folder / "random start.microshot"), folder / "out"
    code = main(
        ["study", "--model", str(model), "--images", str(folder / "images"), "--sizes", "1",
         "--minutes", "0.01", "--repeats", "1", "--out", str(out)]
    )  # fmt: skip
    assert code == 2
    assert '"random start" is what models are compared with' in capsys.readouterr().err
    assert not out.exists()
