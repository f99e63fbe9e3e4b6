"""Models as files of other programs: their names, progress, whole or not at all."""

from __future__ import annotations

import pytest

from microshot.export.models import export_model
from microshot.progress import Cancelled
from models_of_all_kinds import made
from tiny_models import CancelWhen, Watch


@pytest.mark.parametrize(
    ("given", "written"),
    [("nuclei", "nuclei.onnx"), ("nuclei.onnx", "nuclei.onnx"), ("nuclei v1.2", "nuclei v1.2.onnx")],
)  # fmt: skip
def test_the_ending_is_added_to_a_name_and_nothing_taken_from_it(tmp_path, given, written):
    assert export_model(made("density"), "onnx", tmp_path / given) == tmp_path / written
    assert [file.name for file in tmp_path.iterdir()] == [written]


@pytest.mark.parametrize("kind", ["onnx", "bioimageio"])
def test_progress_rises_to_its_end_and_names_every_step(tmp_path, kind):
    watch = Watch()
    export_model(made("density"), kind, tmp_path / "m", progress=watch)
    said = " ".join(watch.messages)
    assert "writing the network as ONNX" in said
    assert "comparing with PyTorch, size 3 of 3" in said
    assert ("packing test data and texts" in said) == (kind == "bioimageio")
    assert watch.fractions == sorted(watch.fractions)


@pytest.mark.parametrize("kind", ["onnx", "bioimageio"])
def test_a_cancelled_export_leaves_nothing(tmp_path, kind):
    with pytest.raises(Cancelled):
        export_model(made("density"), kind, tmp_path / "m", progress=CancelWhen("size 2 of 3"))
    assert list(tmp_path.iterdir()) == []
