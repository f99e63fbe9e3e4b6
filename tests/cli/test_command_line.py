"""The command line: files, one JSON object, exit codes, and errors of one sentence."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from microshot import __version__, settings
from microshot.bundle import Bundle
from microshot.cli import applying, console, main
from microshot.knobs import by_path
from microshot.synth.prepare import prepare
from tiny_images import discs, page_text
from tiny_models import any_size

ROOT = Path(__file__).parents[2]
TINY = [
    "--device", "cpu", "--minutes", "0", "--seed", "3",
    "--set", "network.width=4", "--set", "network.depth=1", "--set", "rays=8",
    "--set", "patch_px=32", "--set", "augmentation=none", "--set", "learning_rate=0.01",
    "--set", "epochs=1",
]  # fmt: skip
TINY_RETRAIN = [*TINY[:6], *TINY[12:]]


def write(folder: Path, n: int = 4, *, seed: int = 0, side: int = 48) -> Path:
    """Write `n` images with labels below `folder`, as they come from an annotation program."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for i in range(n):
        pixels, labels = discs(side=side, n=2 + i % 3, seed=seed + i)
        tifffile.imwrite(folder / "images" / f"Bild ä {i}.tif", pixels)
        tifffile.imwrite(folder / "labels" / f"Bild ä {i}_mask.tif", labels.astype(np.uint16))
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("Daten für uns"), 8)


@pytest.fixture(scope="session")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that finds every disc."""
    path = tmp_path_factory.mktemp("models") / "discs.microshot"
    arguments = ["--images", str(data / "images"), "--labels", str(data / "labels")]
    done = main(["train", *arguments, *TINY, "--set", "steps_per_epoch=150", "--out", str(path)])
    assert done == 0
    return path


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]):
    """Return a function that runs a command line: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stopped:
            code = stopped.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def ok(call):
    """Return a function that runs a command line with --json: its object, and stderr."""

    def run(*arguments: object) -> tuple[dict, str]:
        code, out, err = call(*arguments, "--json")
        assert code == 0, err
        assert out.count("\n") == 1
        return json.loads(out, parse_constant=pytest.fail), err

    return run


@pytest.fixture
def refused(call):
    """Return a function that runs a command line that must fail: its one sentence."""

    def run(*arguments: object, code: int = 1) -> str:
        found, out, err = call(*arguments)
        assert found == code, err
        assert out == ""
        assert "Traceback" not in err
        last = err.strip().splitlines()[-1]
        assert last.startswith(f"microshot {arguments[0]}: ")
        assert last.endswith(".")
        return last

    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --------------------------------------------------------------------------------- generate


def test_generate_writes_images_labels_and_their_counts(ok, tmp_path):
    out = tmp_path / "künstlich"
    small = ["--set", "height_px=32", "--set", "width_px=48"]
    values, err = ok("generate", "--preset", "mixed", "--n", 3, "--seed", 7, "--out", out, *small)
    assert values.pop("provenance")["versions"]["microshot"] == __version__
    assert values == {"images": 3, "out": str(out)}
    assert "image 1 of 3" in err
    counts = rows(out / "counts.csv")
    assert [c["file"] for c in counts] == [f"mixed_{i}.tif" for i in range(3)]
    for row in counts:
        assert tifffile.imread(out / "images" / row["file"]).shape == (32, 48)
        labels = tifffile.imread(out / "labels" / row["file"])
        assert int(row["count"]) == labels.max() == len(np.unique(labels)) - 1


def test_generate_repeats_itself_and_refuses_to_mix_results(ok, refused, tmp_path):
    arguments = ["generate", "--preset", "phase-contrast", "--n", 1, "--set", "height_px=32"]
    for name in ("a", "b"):
        ok(*arguments, "--out", tmp_path / name)
    one, two = ((tmp_path / n / "images" / "phase-contrast_0.tif").read_bytes() for n in ("a", "b"))
    assert one == two
    assert "is not empty" in refused(*arguments, "--out", tmp_path / "a")


def test_generate_keeps_a_table_of_counts_that_is_there(refused, tmp_path):
    (tmp_path / "counts.csv").write_text("file,count\nmine,3\n")
    told = refused("generate", "--preset", "mixed", "--n", 1, "--out", tmp_path)
    assert 'counts.csv" exists already; choose another folder' in told
    assert (tmp_path / "counts.csv").read_text() == "file,count\nmine,3\n"
    assert not (tmp_path / "images").exists()


def test_generating_that_is_stopped_tells_what_is_there_and_begins_anew(
    call, tmp_path, monkeypatch
):
    from microshot.cli.console import Console
    from microshot.progress import Cancelled

    def stop(_self: object, _fraction: float, message: str = "") -> None:
        if message.startswith("image 3 of"):
            raise Cancelled

    out = tmp_path / "out"
    arguments = ["generate", "--preset", "mixed", "--n", 4, "--set", "height_px=32", "--out", out]
    with monkeypatch.context() as patched:
        patched.setattr(Console, "progress", stop)
        code, _, err = call(*arguments)
    assert code == 1
    assert f"Written to {out}: 2 of 4 images; the same command begins anew." in err
    made = [row["file"] for row in rows(out / "counts.csv")]
    for folder in ("images", "labels"):
        assert (
            sorted(p.name for p in (out / folder).glob("[!.]*"))
            == made
            == ["mixed_0.tif", "mixed_1.tif"]
        )
    (out / "images" / "mine.tif").write_bytes(b"mine")
    assert "is not empty" in call(*arguments)[2]
    assert [p.name for p in (out / "images").iterdir()] == ["mine.tif"]
    (out / "images" / "mine.tif").unlink()
    assert call(*arguments)[0] == 0
    assert len(list((out / "images").iterdir())) == len(rows(out / "counts.csv")) == 4


def test_two_interrupts_stop_at_once_without_a_traceback(call, tmp_path, monkeypatch):
    from microshot.cli.console import Console

    def interrupted(*_told: object) -> None:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Console, "progress", interrupted)
    before = signal.getsignal(signal.SIGINT)
    code, out, err = call("generate", "--preset", "mixed", "--n", 2, "--out", tmp_path / "a")
    assert (code, out, err.strip()) == (1, "", "Stopped at once by the user.")
    assert signal.getsignal(signal.SIGINT) is before


def test_generate_says_which_images_had_no_room_for_all_objects(ok, tmp_path):
    few = ["height_px=48", "width_px=48", "count_law=fixed", "mean_count=99", "diameter_px=20"]
    sets = [word for one in few for word in ("--set", one)]
    _, err = ok("generate", "--preset", "bright-field", "--n", 2, "--out", tmp_path / "a", *sets)
    assert (
        "2 images of 2 had no room for all objects asked for, first bright-field_0.tif: room for"
        in err
    )


def test_settings_may_be_given_in_any_order(ok, refused, tmp_path):
    law, mean = ("--set", "count_law=fixed"), ("--set", "mean_count=3")
    arguments = ["generate", "--preset", "fluorescence-nuclei", "--n", 1, "--set", "height_px=64"]
    for order in ((*law, *mean), (*mean, *law)):
        ok(*arguments, *order, "--out", tmp_path / order[1])
    assert "needs a mean number" in refused(*arguments, *law, "--out", tmp_path / "c", code=2)
    start, task = ("--set", "start=cells-count"), ("--set", "task=count")
    missing = ["--images", tmp_path / "none", "--out", tmp_path / "m.microshot"]
    for order in ((*start, *task), (*task, *start)):
        assert "none" in refused("train", *missing, *order, code=1)


def test_generate_can_resemble_images(ok, data, tmp_path, monkeypatch):
    def slow(*given):
        time.sleep(0.5)
        return prepare(*given)

    monkeypatch.setattr("microshot.synth.prepare.prepare", slow)
    values, err = ok(
        "generate", "--preset", "fluorescence-nuclei", "--n", 1, "--set", "height_px=64",
        "--like", data, "--set", "fit=false", "--out", tmp_path / "a",
    )  # fmt: skip
    assert set(values["distance"]) == {"before", "after", "floor"}
    assert "Distance between synthetic and reference images" in err
    assert "to see the empty field takes 20, found 8 with fewer than 5 objects." in err
    assert (
        values["provenance"]["seconds"] >= 0.5
    )  # measuring the images to be resembled belongs to it
    assert tifffile.imread(tmp_path / "a/images/fluorescence-nuclei_0.tif").dtype == np.uint16


# ------------------------------------------------------------------------ train and retrain


def test_train_says_what_matched_and_writes_model_and_report(ok, data, tmp_path):
    out = tmp_path / "Modelle" / "m.microshot"
    values, err = ok(
        "train", "--images", data / "images", "--labels", data / "labels", *TINY,
        "--set", "steps_per_epoch=2", "--name", "My model", "--out", out,
        "--report", tmp_path / "new" / "report.html",
    )  # fmt: skip
    card = Bundle.load(out).card
    assert card.name == "My model"
    assert card.settings["training"]["seed"] == 3
    assert values["model"] == str(out)
    assert (values["id"], values["steps"], values["stopped"]) == (card.id, 2, "finished")
    assert values["scores"] == card.scores
    assert "8 images matched with a label by name." in err
    assert "Bild ä 0.tif ↔ labels/Bild ä 0_mask.tif" in err
    report = page_text((tmp_path / "new" / "report.html").read_text("utf-8"))
    assert "My model" in report
    assert any(line.startswith("Labels were taken for: 8 × ") for line in values["read"])
    assert all(line in err and line in report for line in values["read"])


def test_labels_beside_or_below_the_images_are_found(ok, data, tmp_path):
    values, err = ok(
        "train", "--images", data, *TINY, "--set", "steps_per_epoch=1",
        "--out", tmp_path / "m.microshot",
    )  # fmt: skip
    assert values["scores"]["n_images"] == 1
    assert "8 images matched" in err


def test_an_existing_model_is_replaced_only_when_told(ok, refused, data, tmp_path):
    out = tmp_path / "m.microshot"
    out.write_bytes(b"mine")
    arguments = ["train", "--images", data, *TINY, "--set", "steps_per_epoch=1", "--out", out]
    assert "exists already; choose another name or add --overwrite" in refused(*arguments)
    assert out.read_bytes() == b"mine"
    ok(*arguments, "--overwrite")
    Bundle.load(out)


def test_an_existing_report_is_replaced_only_when_told(refused, data, model, tmp_path):
    out, report = tmp_path / "m.microshot", tmp_path / "r.html"
    report.write_bytes(b"mine")
    for verb in (["train", "--images", data], ["retrain", "--model", model, "--images", data]):
        assert 'r.html" exists already' in refused(*verb, "--out", out, "--report", report)
    assert report.read_bytes() == b"mine"
    assert not out.exists()


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_files_that_cannot_be_written_are_refused_before_the_work(
    refused, data, model, tmp_path, more
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"mine")
    images = ["--images", data / "images"]
    verbs = [
        ["train", *images, "--labels", data / "labels", *TINY],
        ["retrain", "--model", model, *images, "--labels", data / "labels"],
        ["suggest", "--model", model, *images],
    ]
    for verb in verbs:
        out = ["--out", tmp_path / "m", *more]
        for bad in (["--out", tmp_path / "folder", *more], [*out, "--report", tmp_path / "folder"]):
            assert 'folder": expected the name of a file to write' in refused(*verb, *bad)
        for bad in (["--out", tmp_path / "file/m", *more], [*out, "--report", tmp_path / "file/m"]):
            assert "found a file on the way" in refused(*verb, *bad)
        assert "given for two files" in refused(*verb, *out, "--report", tmp_path / "m", code=2)
    assert not (tmp_path / "m").exists()


def test_a_model_whose_report_cannot_be_written_is_there(call, data, tmp_path):
    out = tmp_path / "m"
    code, _, err = call(
        "train", "--images", data / "images", "--labels", data / "labels", *TINY,
        "--set", "steps_per_epoch=1", "--out", out, "--report", out / "report.html",
    )  # fmt: skip
    assert code == 1
    assert f"The model is written to {out}, its report is not:" in err
    Bundle.load(out)


def test_generated_images_can_be_mixed_in(ok, data, tmp_path):
    ok("generate", "--preset", "mixed", "--n", 2, "--set", "height_px=48", "--set", "width_px=48",
       "--out", tmp_path / "made")  # fmt: skip
    _, err = ok(
        "train", "--images", data, "--synthetic", tmp_path / "made", *TINY,
        "--set", "steps_per_epoch=1", "--out", tmp_path / "m.microshot",
    )  # fmt: skip
    assert "synthetic: 2 images matched with a label by name." in err
    assert Bundle.load(tmp_path / "m.microshot").card.data["n_images"] == 10


def test_retrain_compares_old_and_new_and_says_which_was_kept(ok, model, tmp_path):
    few = write(tmp_path / "few", 2, seed=60)
    values, _ = ok(
        "retrain", "--model", model, "--images", few, *TINY_RETRAIN, "--set", "steps_per_epoch=2",
        "--strategy", "head", "--out", tmp_path / "new.microshot", "--set", "learning_curve=true",
        "--report", tmp_path / "report.html",
    )  # fmt: skip
    assert [p["n_images"] for p in values["learning_curve"]] == [0, 1]
    assert values["advice"] == ""  # two images make one step, which is none
    assert values["kept"] in ("old", "new")
    assert [c["name"] for c in values["comparison"]] == ["Bild ä 0", "Bild ä 1"]
    assert all(0 <= c["old"]["f1"] <= 1 >= c["new"]["f1"] for c in values["comparison"])
    assert values["verdict"].startswith("Retrained model F1 ")
    kept = Bundle.load(tmp_path / "new.microshot").card
    old = Bundle.load(model).card
    assert (kept.id == old.id) == (values["kept"] == "old")
    assert values["verdict"] in page_text((tmp_path / "report.html").read_text("utf-8"))


def test_a_model_that_is_no_better_is_not_written_and_the_old_one_is_called_old(
    call, model, tmp_path
):
    few, out = write(tmp_path / "few", 2, seed=60), tmp_path / "new.microshot"
    code, told, err = call(
        "retrain", "--model", model, "--images", few, *TINY_RETRAIN, "--set", "steps_per_epoch=1",
        "--set", "learning_rate=1e-7", "--out", out,
    )  # fmt: skip
    assert code == 0, err
    first, verdict = told.strip().splitlines()
    assert first == f"Old model written to {out}."
    assert verdict.endswith("keep the old model.")
    assert Bundle.load(out).card.id == Bundle.load(model).card.id


class Interrupting(io.StringIO):
    """A stderr at which the user presses Ctrl-C on reading some words."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    def write(self, text: str) -> int:
        if self.words in text and "%" in text:
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


@pytest.fixture
def interrupted(monkeypatch):
    """Return a function that runs a command line until some words: exit code and stderr."""
    monkeypatch.setattr(console, "_LINE_SECONDS", 0.0)

    def run(words: str, *arguments: object) -> tuple[int, str]:
        before = signal.getsignal(signal.SIGINT)
        stream = Interrupting(words)
        monkeypatch.setattr("sys.stderr", stream)
        code = main([str(a) for a in arguments])
        assert signal.getsignal(signal.SIGINT) == before
        assert "Traceback" not in stream.getvalue()
        return code, stream.getvalue()

    return run


def test_ctrl_c_ends_training_with_the_best_model_so_far(interrupted, data, tmp_path):
    out = tmp_path / "m.microshot"
    arguments = ["train", "--images", data, *TINY, "--set", "epochs=100000", "--out", out]
    code, err = interrupted("loss", *arguments)
    assert code == 1
    assert "Stopped by the user: this is the best model so far." in err
    assert Bundle.load(out).card.training["stopped"] == "cancelled"


def test_ctrl_c_amid_the_check_says_where_the_same_command_goes_on(
    interrupted, ok, model, tmp_path, monkeypatch
):
    few, out = write(tmp_path / "few", 2, seed=60), tmp_path / "new.microshot"
    report = tmp_path / "report.html"
    command = [
        "retrain", "--model", model, "--images", few, *TINY_RETRAIN,
        "--set", "steps_per_epoch=2", "--out", out, "--report", report,
    ]  # fmt: skip
    code, err = interrupted("check: 2 of 2", *command)
    kept = tmp_path / ".new.microshot.unfinished"
    assert code == 1
    assert f"Kept in {kept}: what was learned; the same command goes on from there, with " in err
    assert list(kept.glob("fit_0.safetensors"))
    assert not out.exists()
    monkeypatch.undo()
    values, _ = ok(*command)
    said = "Went on with the training that was interrupted: "
    assert values["notes"][0].startswith(said)
    assert said.strip() in page_text(report.read_text("utf-8"))


def test_ctrl_c_amid_a_study_says_where_finished_trainings_are(interrupted, model, data, tmp_path):
    out = tmp_path / "study"
    code, err = interrupted(
        f"{model.stem}, 2 images", "study", "--model", model, "--images", data, "--sizes", "2",
        "--repeats", "1", *TINY, "--set", "steps_per_epoch=1", "--out", out,
    )  # fmt: skip
    assert code == 1
    assert (
        f"Kept in {out / 'runs.csv'}: the trainings that are finished; the same command goes" in err
    )
    assert [row["start"] for row in rows(out / "runs.csv")] == ["random start"]


def test_ctrl_c_elsewhere_stops_the_work_and_keeps_what_is_done(interrupted, model, data, tmp_path):
    out = tmp_path / "o"
    arguments = ["predict", "--model", model, "--images", data / "images", "--out", out]
    code, err = interrupted("image 3 of 8", *arguments)
    assert code == 1
    assert "Stopped by the user" in err
    done = [row["file"] for row in rows(out / "counts.csv")]
    assert len(done) in (2, 3)
    assert f"what was found in {len(done)} of 8 images; the same command begins anew" in err
    assert sorted(p.name for p in out.glob("*.tif")) == done
    assert {row["file"] for row in rows(out / "objects.csv")} <= set(done)
    code, err = interrupted("never", *arguments)
    assert code == 0, err
    assert len(rows(out / "counts.csv")) == 8
    code, err = interrupted("never", *arguments)
    assert code == 1
    assert "exists already" in err


# -------------------------------------------------------------------------- predict and score


@pytest.fixture
def predicted(ok, model, data, tmp_path) -> Path:
    out = tmp_path / "Ergebnis"
    ok("predict", "--model", model, "--images", data / "images", "--device", "cpu", "--out", out)
    return out


def test_an_image_of_one_grey_value_is_told(ok, model, tmp_path):
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "black.tif", np.zeros((48, 48), np.uint8))
    found, err = ok("predict", "--model", model, "--images", tmp_path / "images", "--device", "cpu",
                    "--out", tmp_path / "out")  # fmt: skip
    (row,) = rows(tmp_path / "out" / "counts.csv")
    assert (row["unlike_training"], row["warning"]) == ("", "one grey value everywhere")
    assert "Warning: 1 of 1 image is unlike the training images (1 × one grey value" in err
    assert found["images"][0]["warning"] == row["warning"]


def test_predict_writes_labels_counts_and_objects(predicted, data):
    counts = rows(predicted / "counts.csv")
    assert [c["file"] for c in counts] == [f"Bild ä {i}.tif" for i in range(8)]
    objects = rows(predicted / "objects.csv")
    for row in counts:
        labels = tifffile.imread(predicted / row["file"])
        truth = tifffile.imread(data / "labels" / row["file"].replace(".tif", "_mask.tif"))
        assert labels.max() == int(row["count"]) == truth.max()
        assert 0 < float(row["confidence"]) <= 1
        assert (float(row["unlike_training"]) > 1) == (row["warning"] != "")
        assert row["model"].endswith(")")
        assert row["device"].startswith("CPU")
        own = [o for o in objects if o["file"] == row["file"]]
        assert [int(o["id"]) for o in own] == list(range(1, labels.max() + 1))
        assert [float(o["area_px"]) for o in own] == [
            np.count_nonzero(labels == i) for i in range(1, labels.max() + 1)
        ]


def test_predict_tells_of_files_that_other_programs_must_open(call, refused, model, data, tmp_path):
    (folder := tmp_path / "images").mkdir()
    (folder / "a.oib").touch()
    arguments = ("predict", "--model", model, "--images", folder, "--out", tmp_path / "out")
    assert "found none; 1 file not read (a.oib): open it in Fiji" in refused(*arguments)
    shutil.copy(data / "images" / "Bild ä 0.tif", folder)
    code, _, err = call(*arguments)
    assert code == 0
    assert "Note: 1 file not read (a.oib): open it in Fiji and save it as TIFF.\n" in err


def test_predict_takes_one_file_and_says_what_it_found(call, ok, model, data, tmp_path):
    image = data / "images" / "Bild ä 1.tif"
    code, out, _ = call("predict", "--model", model, "--images", image, "--out", tmp_path / "a")
    assert code == 0
    assert out.splitlines() == ["Bild ä 1.tif: 3 objects", f"Written to {tmp_path / 'a'}."]
    values, _ = ok(
        "predict", "--model", model, "--images", image, "--out", tmp_path / "b",
        "--set", "least_area_px=5000",
    )  # fmt: skip
    made = values["provenance"]
    assert made["models"][0]["id"] in values["images"][0]["model"]
    assert made["versions"]["microshot"]
    assert made["seconds"] > 0
    (row,) = values["images"]
    assert {k: row[k] for k in ("file", "count", "confidence")} == {
        "file": "Bild ä 1.tif", "count": 0, "confidence": None,
    }  # fmt: skip
    assert rows(tmp_path / "b" / "objects.csv") == []
    assert (tmp_path / "b" / "objects.csv").read_text("utf-8").startswith("file,id,")


def test_an_image_of_one_grey_value_is_warned_of(call, model, tmp_path):
    tifffile.imwrite(tmp_path / "blank.tif", np.full((40, 40), 700, np.uint16))
    out = tmp_path / "out"
    code, said, err = call("predict", "--model", model, "--images", tmp_path, "--out", out)
    assert (code, said.splitlines()[0]) == (0, "blank.tif: 0 objects, one grey value everywhere")
    assert "1 of 1 image is unlike the training images (1 × one grey value everywhere)" in err
    assert [row["warning"] for row in rows(out / "counts.csv")] == ["one grey value everywhere"]


def test_predict_keeps_what_was_found_before_an_image_that_cannot_be_used(
    call, model, data, tmp_path
):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("Bild ä 1.tif", "Bild ä 2.tif"):
        shutil.copy(data / "images" / name, images)
    colour = np.random.default_rng(0).integers(0, 255, (3, 40, 40), np.uint8)
    tifffile.imwrite(images / "z.tif", colour, photometric="rgb", planarconfig="separate")
    code, _, err = call("predict", "--model", model, "--images", images, "--out", tmp_path / "out")
    assert code == 1
    assert "what was found in 2 of 3 images" in err
    assert "z: expected 1 channel" in err
    counts = rows(tmp_path / "out" / "counts.csv")
    assert [c["file"] for c in counts] == ["Bild ä 1.tif", "Bild ä 2.tif"]
    n_found = sum(int(c["count"]) for c in counts)
    assert len(rows(tmp_path / "out" / "objects.csv")) == n_found > 0


def test_what_another_run_wrote_meanwhile_stays(call, model, data, tmp_path, monkeypatch):
    whole, out = applying.one_image, tmp_path / "out"
    others = {out / "counts.csv": "its counts", out / "objects.csv": "its objects"}

    def one_image(*arguments):
        found = whole(*arguments)
        for path, text in others.items():
            path.write_text(text, "utf-8")
        return found

    monkeypatch.setattr(applying, "one_image", one_image)
    image = data / "images" / "Bild ä 1.tif"
    code, said, err = call("predict", "--model", model, "--images", image, "--out", out)
    assert (code, said) == (1, "")
    assert "exists already; choose another name or folder" in err
    assert {path: path.read_text("utf-8") for path in out.iterdir()} == others


def found_in(table: Path) -> list[dict[str, str]]:
    """What was found, without where and how fast."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("device", "seconds")} for row in rows]


def test_results_are_replaced_only_when_told_and_images_never(
    ok, refused, predicted, model, data, tmp_path
):
    arguments = ["predict", "--model", model, "--images", data / "images"]
    before = found_in(predicted / "counts.csv")
    assert "add --overwrite" in refused(*arguments, "--out", predicted)
    for name in predicted.glob("*.tif"):
        name.unlink()
    assert 'counts.csv" exists already' in refused(*arguments, "--out", predicted)
    ok(*arguments, "--out", predicted, "--overwrite")
    assert found_in(predicted / "counts.csv") == before
    copy = shutil.copytree(data / "images", tmp_path / "copy")
    image = (copy / "Bild ä 0.tif").read_bytes()
    arguments = ["predict", "--model", model, "--images", copy, "--out", copy, "--overwrite"]
    assert "is the folder of the images" in refused(*arguments, code=2)
    assert (copy / "Bild ä 0.tif").read_bytes() == image


def test_images_of_one_name_are_refused_before_the_work(refused, model, data, tmp_path):
    folder = shutil.copytree(data / "images", tmp_path / "twice")
    shutil.copy(folder / "Bild ä 0.tif", folder / "Bild ä 0.tiff")
    arguments = ["predict", "--model", model, "--images", folder, "--out", tmp_path / "o"]
    assert 'Two images are called "Bild ä 0"' in refused(*arguments)
    assert not (tmp_path / "o").exists()


def test_score_says_what_matched_and_how_good_it_is(call, ok, predicted, data):
    arguments = ["score", "--truth", data / "labels", "--prediction", predicted]
    values, err = ok(*arguments)
    assert "8 images matched with a prediction by name." in err
    assert values["summary"]["F1"] == 1.0
    assert len(values["provenance"]["models"]) == 1
    assert values["summary"]["Found"] == sum(2 + i % 3 for i in range(8))
    assert [row["image"] for row in values["images"]] == [f"Bild ä {i}_mask.tif" for i in range(8)]
    code, out, _ = call(*arguments, "--set", "threshold=1.0")
    assert code == 0
    assert "Found: " in out
    found = re.search(r"^F1: ([\d.]+)$", out, re.MULTILINE)
    assert found
    assert float(found[1]) < 1


def test_score_names_what_does_not_fit(refused, predicted, data, tmp_path):
    other = write(tmp_path / "other", 1, side=64) / "labels"
    message = refused("score", "--truth", other, "--prediction", predicted)
    assert "Bild ä 0_mask.tif" in message
    assert "expected 64 x 64 px, found 48 x 48 px" in message
    (other / "Bild ä 0_mask.tif").rename(other / "quite different.tif")
    assert "has the name of one in" in refused("score", "--truth", other, "--prediction", predicted)
    assert "is no folder" in refused("score", "--truth", tmp_path / "no", "--prediction", other)
    (tmp_path / "empty").mkdir()
    for more, what in (([], "label images"), (["--stains"], "stains")):
        told = refused("score", "--truth", other, "--prediction", tmp_path / "empty", *more)
        assert f'empty": expected {what}, found none' in told


# ------------------------------------------------------------------------------ info and run


def test_info_tells_what_a_model_is(call, ok, model):
    values, _ = ok("info", model)
    assert values == Bundle.load(model).card.to_json()
    code, out, _ = call("info", model)
    assert code == 0
    lines = {line.split(":")[0]: line for line in out.splitlines() if ":" in line}
    assert lines["task"].endswith("segment")
    assert lines["trained on"].endswith("8 images, 23 objects")
    assert re.fullmatch(r"scores: +F1 1.00, AP .*, Images \d \(held out\)", lines["scores"])
    assert "iou_sum" not in out
    assert lines["from"].endswith("scratch")


@pytest.mark.parametrize(
    ("verb", "kind"),
    [("train", settings.TrainSettings), ("retrain", settings.RetrainSettings),
     ("predict", settings.PredictSettings), ("translate", settings.TranslateSettings),
     ("score", settings.ScoreSettings), ("generate", settings.GenerateSettings)],
)  # fmt: skip
def test_help_names_every_setting_that_set_changes(verb, kind, capsys):
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    told = re.sub(r"\n {5,}", " ", capsys.readouterr().out)
    for path, (knob, default) in by_path(kind).items():
        (line,) = re.findall(rf"^  {re.escape(path)} +({re.escape(knob.label)}.*)$", told, re.M)
        for choice in knob.choices or ():
            assert re.search(rf"[ ,]{re.escape(choice)}\b", line), (path, choice)
        shown = str(default).lower() if isinstance(default, bool) else default
        assert shown == "" or line.endswith(
            f" [{shown:g}]" if type(default) is float else f" [{shown}]"
        )


def test_help_says_what_settings_may_be(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    told = capsys.readouterr().out.splitlines()
    assert "  probability    Probability threshold: 0 to 1 [0]" in told
    assert "  size_found     Where no object diameter is given: auto, each, once [auto]" in told
    assert "  mirrored       Look at mirror images, too: true, false [false]" in told
    assert "  channel        Channel" in told


def test_letters_that_the_usual_encoding_lacks_are_written_into_a_file_too():
    """As on Windows, where the thin space between thousands ended the call."""
    done = subprocess.run(
        [sys.executable, "-m", "microshot", "info", "cells-generalist"],
        env=os.environ | {"PYTHONIOENCODING": "cp1252"}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1\u202f681 images" in done.stdout.decode("utf-8")


def test_files_that_are_no_model_are_refused(refused, model, tmp_path):
    told = refused("info", tmp_path / "no.microshot")
    assert told.endswith("there is no such model file; check folder and name.")
    assert "name (starter models: nuclei-fluorescence, " in refused("info", "nuclei-fluorescense")
    bad = tmp_path / "bad.microshot"
    bad.write_bytes(model.read_bytes()[:500])
    assert refused("info", bad).startswith("microshot info: bad.microshot: ")
    bad.write_bytes(b"PK\x03\x04" + bytes(50))
    arguments = ["predict", "--model", bad, "--images", tmp_path, "--out", tmp_path / "o"]
    write(tmp_path, 1)
    arguments[4] = tmp_path / "images"
    assert "could run code" in refused(*arguments)


WORKFLOW = ROOT / "workflows" / "few-shot-segmentation"


def test_run_refuses_workflows_and_settings_that_do_not_exist(refused, tmp_path):
    assert "no-such-workflow" in refused("run", tmp_path / "no-such-workflow")
    (tmp_path / "bad.knwf").write_bytes(b"PK\x03\x04 damaged")
    refused("run", tmp_path / "bad.knwf")
    assert "NODE.PARAMETER=VALUE" in refused("run", WORKFLOW, "--set", "minutes", code=2)
    assert "nonsense" in refused("run", WORKFLOW, "--set", "#2.nonsense=1", code=2)
    assert "#99" in refused("run", WORKFLOW, "--set", "#99.minutes=1", code=2)
    assert "minutes" in refused("run", WORKFLOW, "--set", "#2.minutes=soon", code=2)


def test_run_writes_what_every_node_gave(ok, tmp_path):
    from workflow_of_readers import write_workflow_of_readers

    workflow = write_workflow_of_readers(tmp_path / "readers", discs())
    values, err = ok("run", workflow, "--out", tmp_path / "out")
    assert [n["state"] for n in values["nodes"]] == ["executed"] * 2
    assert values["out"] == str(tmp_path / "out")
    assert "Microscopy Image Reader" in err
    assert (tmp_path / "out" / "index.html").is_file()
    values, _ = ok("run", workflow, "--set", "read_images.pattern=a*")
    assert [n["state"] for n in values["nodes"]] == ["executed"] * 2


def test_run_names_the_node_that_failed(refused, tmp_path):
    from workflow_of_readers import write_workflow_of_readers

    workflow = write_workflow_of_readers(tmp_path / "readers", discs())
    message = refused("run", workflow, "--set", "read_images.pattern=z*")
    assert "Microscopy Image Reader (#1" in message
    assert "found none" in message


def test_run_takes_a_text_with_its_spaces(refused, tmp_path):
    from workflow_of_readers import write_workflow_of_readers

    workflow = write_workflow_of_readers(tmp_path / "readers", discs())
    assert '" Image"' in refused("run", workflow, "--set", "#2.path_column= Image")


def test_a_run_that_ends_early_says_where_its_results_are_and_on_request_where_it_failed(
    call, tmp_path, monkeypatch
):
    from workflow_of_readers import write_workflow_of_readers

    from microshot.cli.console import Console
    from microshot.progress import Cancelled

    def stop(*_told: object) -> None:
        raise Cancelled

    out = tmp_path / "out"
    workflow = write_workflow_of_readers(tmp_path / "readers", discs())
    arguments = ["run", workflow, "--out", out, "--set", "read_images.pattern=z*"]
    where = f"What the nodes gave until then: {out / 'index.html'}."
    code, _, err = call(*arguments)
    assert (code, where in err, "Traceback" in err) == (1, True, False)
    code, _, err = call(*arguments, "--debug")
    assert (code, "read_images.py" in err, where in err) == (1, True, True)
    code, _, err = call(*arguments[:-1], "#2.path_column=Gone")
    assert (code, where in err) == (1, False)  # refused before any node ran: nothing was written
    monkeypatch.setattr(Console, "progress", stop)
    code, _, err = call(*arguments)
    assert code == 1
    assert err.index(where) < err.index("nothing was written beyond what is named above")


# ----------------------------------------------------------------------- usage and errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: VERB"),
        (["dance"], "invalid choice: 'dance'"),
        (["train"], "required: --images"),
        (["generate", "--preset", "moon", "--out", "x"], "invalid choice: 'moon'"),
        (["generate", "--preset", "mixed", "--n", "many", "--out", "x"], "invalid int value"),
        (["info"], "required: MODEL"),
    ],
)
def test_wrong_usage_is_one_sentence_and_code_2(call, arguments, words):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert "--help" in err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("nonsense=1", '"nonsense" is not a setting; there are scene, n, seed'),
        ("n", "expected KEY=VALUE"),
        ("n=many", "expected a whole number, found 'many'"),
        ("n=0", "expected 1 to 100000, found 0"),
        ("noise=loud", "expected one of low, medium, high, mixed, found 'loud'"),
    ],
)
def test_settings_that_do_not_exist_or_do_not_fit_are_wrong_usage(refused, tmp_path, option, words):
    arguments = ["generate", "--preset", "mixed", "--set", option, "--out", tmp_path / "x"]
    assert words in refused(*arguments, code=2)
    assert not (tmp_path / "x").exists()


def test_options_are_checked_like_settings(refused, data, model, tmp_path):
    out = ["--out", tmp_path / "m.microshot"]
    for arguments in (
        ["train", "--images", data, "--minutes", "-1", *out],
        ["train", "--images", data, "--seed", "-1", *out],
        ["retrain", "--model", model, "--images", data, "--strategy", "half", *out],
        ["predict", "--model", model, "--images", data, "--set", "probability=2", *out],
        ["score", "--truth", data, "--prediction", data, "--set", "threshold=0"],
    ):
        assert "expected" in refused(*arguments, code=2)


def test_a_traceback_is_shown_only_on_demand(call, tmp_path):
    for debug in ([], ["--debug"]):
        code, _, err = call("info", tmp_path / "no.microshot", *debug)
        assert code == 1
        assert ("Traceback" in err) == bool(debug)
        assert err.strip().splitlines()[-1].startswith("microshot info: ")


def test_folders_that_hold_nothing_useful_are_named(refused, model, tmp_path):
    empty = tmp_path / "leer"
    empty.mkdir()
    out = ["--out", tmp_path / "m.microshot"]
    assert "leer" in refused("train", "--images", empty, *out)
    assert "leer" in refused("train", "--images", empty / "no", *out)
    assert "leer" in refused("predict", "--model", model, "--images", empty, *out)
    tifffile.imwrite(empty / "a.tif", discs()[0])
    assert "The only image is not labelled" in refused("train", "--images", empty, *out)
    (empty / "b.tif").write_bytes(b"II*\0")
    assert "b.tif" in refused("predict", "--model", model, "--images", empty, *out)


def test_help_and_version_are_told(call):
    from microshot import __version__

    assert call("--version")[:2] == (0, f"microshot {__version__}\n")
    code, out, _ = call("--help")
    assert code == 0
    for verb in ("generate", "train", "retrain", "predict", "score", "info", "run", "demo"):
        assert f"\n    {verb} " in out
    assert "0 done, 1 the work failed, 2 wrong usage" in " ".join(out.split())


# ---------------------------------------------------------------------------------- counting


def write_table(path: Path, names: list[str], counts: list[object], header: str = "file,count"):
    lines = [header, *(f"{n},{c}" for n, c in zip(names, counts, strict=True))]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images without label images; their counts lie in a table of its own."""
    folder = tmp_path_factory.mktemp("Zählen")
    (folder / "images").mkdir()
    names = [f"Bild ä {i}.tif" for i in range(8)]
    for i, name in enumerate(names):
        tifffile.imwrite(folder / "images" / name, discs(n=2 + i % 3, seed=i)[0])
    write_table(folder / "true.csv", names, [*(2 + i % 3 for i in range(7)), ""])
    return folder


@pytest.fixture(scope="session")
def counter(counted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that counts, from counts alone."""
    path = tmp_path_factory.mktemp("models") / "counter.microshot"
    arguments = ["--images", str(counted / "images"), "--labels", str(counted / "true.csv")]
    length = ["--set", "steps_per_epoch=3"]
    done = main(["train", "--task", "count", *arguments, *TINY, *length, "--out", str(path)])
    assert done == 0
    return path


def test_counts_in_a_table_train_a_model_that_counts(call, ok, counted, tmp_path):
    arguments = [
        "train", "--task", "count", "--images", counted / "images", "--labels",
        counted / "true.csv", *TINY, "--set", "steps_per_epoch=1",
    ]  # fmt: skip
    values, err = ok(*arguments, "--out", tmp_path / "a", "--report", tmp_path / "a.html")
    assert "7 of 8 images have a count in true.csv." in err
    assert Bundle.load(tmp_path / "a").card.task == "count"
    assert values["scores"]["mae"] >= 0
    assert "MAE" in page_text((tmp_path / "a.html").read_text("utf-8"))
    code, out, _ = call(*arguments, "--out", tmp_path / "b")
    assert code == 0
    assert re.match(r"MAE \d+\.\d\d on 7 images \(training images\)\.\n", out)


def test_label_images_train_a_model_that_counts(ok, data, tmp_path):
    ok("train", "--task", "count", "--images", data, *TINY, "--set", "steps_per_epoch=1",
       "--out", tmp_path / "m")  # fmt: skip
    assert Bundle.load(tmp_path / "m").card.data["n_images"] == 8


@pytest.mark.parametrize("count", ["-1", "2.5", "three", "inf"])
def test_what_is_no_count_is_named_with_its_line(refused, counted, tmp_path, count):
    table = write_table(tmp_path / "t.csv", ["Bild ä 0.tif", "Bild ä 1.tif"], [1, count])
    message = refused(
        "train", "--task", "count", "--images", counted / "images", "--labels", table,
        "--out", tmp_path / "m",
    )  # fmt: skip
    assert 'line 3, column "count": expected a whole number' in message


def test_report_and_result_tell_of_the_images_that_were_generated_to_learn_from(
    ok, counted, tmp_path
):
    report = tmp_path / "report.html"
    values, _ = ok(
        "train", "--task", "count", "--images", counted / "images", "--labels",
        counted / "true.csv", "--device", "cpu", "--minutes", "0", "--set",
        "count.architecture=twin-vae", "--set", "twin_vae.side_px=64", "--set", "twin_vae.width=0.1",
        "--set", "generate=phase-contrast", "--set", "epochs=1", "--set", "steps_per_epoch=1",
        "--out", tmp_path / "m", "--report", report,
    )  # fmt: skip
    said = "100 synthetic images of the kind phase-contrast were generated to learn from as well"
    assert any(note.startswith(said) for note in values["notes"])
    assert said in page_text(report.read_text("utf-8"))


def test_models_that_count_are_retrained_and_compared_by_their_errors(
    call, ok, counted, counter, tmp_path
):
    values, _ = ok(
        "retrain", "--model", counter, "--images", counted / "images", "--labels",
        write_table(tmp_path / "few.csv", ["Bild ä 0.tif", "Bild ä 1.tif"], [0, 3]), *TINY_RETRAIN,
        "--set", "steps_per_epoch=1", "--out", tmp_path / "new.microshot",
        "--report", tmp_path / "report.html",
    )  # fmt: skip
    assert [c["name"] for c in values["comparison"]] == ["Bild ä 0", "Bild ä 1"]
    assert all(c["old"]["mae"] >= 0 and c["new"]["mae"] >= 0 for c in values["comparison"])
    assert values["comparison"][0]["new"]["relative_error"] is None
    assert "MAE" in values["verdict"]
    code, out, _ = call("info", counter)
    assert code == 0
    assert "task:       count" in out
    assert "network:    density" in out
    assert "MAE " in out
    ok("info", counter)


@pytest.fixture(scope="session")
def counts(counted: Path, counter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the model that counts."""
    out = tmp_path_factory.mktemp("Ergebnis")
    arguments = ["--model", str(counter), "--images", str(counted / "images"), "--device", "cpu"]
    assert main(["predict", *arguments, "--set", "interval=80", "--out", str(out)]) == 0
    return out


def test_counts_places_and_intervals_are_written_and_no_label_images(counts):
    assert sorted(p.name for p in counts.iterdir()) == ["counts.csv", "objects.csv"]
    found = rows(counts / "counts.csv")
    assert list(found[0])[:5] == ["file", "count", "count_raw", "low", "high"]
    assert [row["file"] for row in found] == [f"Bild ä {i}.tif" for i in range(8)]
    for row in found:
        assert int(row["count"]) == round(float(row["count_raw"]))
    assert (counts / "objects.csv").read_text("utf-8").startswith("file,id,y,x\n")
    for row in rows(counts / "objects.csv"):
        assert 0 <= float(row["y"]) <= 48 >= float(row["x"])


def test_a_counter_of_any_size_says_which_it_found_unless_told(call, counted, counter, tmp_path):
    any_model = any_size(Bundle.load(counter)).save(tmp_path / "any.microshot")
    image, told = (
        counted / "images" / "Bild ä 0.tif",
        "Note: The size of the objects was looked for",
    )
    arguments = ["predict", "--images", image, "--model"]
    assert told in call(*arguments, any_model, "--out", tmp_path / "a")[2]
    named = ["--set", "diameter_px=12"]
    assert told not in call(*arguments, any_model, "--out", tmp_path / "b", *named)[2]
    assert told not in call(*arguments, counter, "--out", tmp_path / "c")[2]


def test_intervals_without_bound_are_left_empty_and_said(call, counted, counter, tmp_path):
    image = counted / "images" / "Bild ä 0.tif"
    arguments = ["predict", "--model", counter, "--images", image, "--set", "interval=95"]
    code, out, err = call(*arguments, "--out", tmp_path / "a")
    assert code == 0
    assert "Note: no interval around the counts: An interval that holds 95%" in err
    (row,) = rows(tmp_path / "a" / "counts.csv")
    assert row["low"] == row["high"] == ""
    assert out.splitlines()[0].startswith(f"Bild ä 0.tif: {row['count']} objects")
    code, _, err = call(*arguments, "--out", tmp_path / "a")
    assert code == 1
    assert 'counts.csv" exists already' in err


def test_tables_of_counts_are_scored(ok, call, counted, counts, data, tmp_path):
    truth = counted / "true.csv"
    values, err = ok("score", "--truth", truth, "--prediction", counts)
    assert "7 images with a true and a predicted count." in err
    assert "1 image with only one of the two: Bild ä 7." in err
    summary = values["summary"]
    found = rows(counts / "counts.csv")[:7]
    (used,) = values["provenance"]["models"]
    assert found[0]["model"] == f"{used['name']} ({used['id']})"
    wrong = [abs(int(row["count"]) - 2 - i % 3) for i, row in enumerate(found)]
    assert summary["MAE"] == pytest.approx(np.mean(wrong))
    bias = np.mean([float(row["count_raw"]) - 2 - i % 3 for i, row in enumerate(found)])
    assert summary["Bias"] == pytest.approx(bias)
    assert [row["image"] for row in values["images"]] == [f"Bild ä {i}" for i in range(7)]
    same, _ = ok("score", "--truth", truth, "--prediction", counts / "counts.csv")
    assert values.pop("provenance")["models"] == same.pop("provenance")["models"]
    assert same == values
    perfect, _ = ok("score", "--truth", truth, "--prediction", truth)
    assert (perfect["summary"]["MAE"], perfect["summary"]["Interval coverage"]) == (0.0, None)
    code, out, _ = call("score", "--truth", truth, "--prediction", truth)
    assert code == 0
    assert "Accuracy: 1.000\n" in out
    assert "coverage" not in out


def test_intervals_in_a_table_are_scored(ok, tmp_path):
    truth = write_table(tmp_path / "t.csv", ["a", "b", "c"], [2, 5, 0])
    prediction = write_table(
        tmp_path / "p.csv", ["a", "b", "c"], ["3,2.6,2,4", "1,1.2,0,2", "0,0.2,,"],
        "file,count,count_raw,low,high",
    )  # fmt: skip
    values, _ = ok("score", "--truth", truth, "--prediction", prediction)
    assert [row["Inside interval"] for row in values["images"]] == [True, False, None]
    assert values["summary"]["Interval coverage"] == 0.5
    assert values["summary"]["Intervals"] == 2


def test_counts_are_matched_whatever_the_case_of_their_names(ok, tmp_path):
    truth = write_table(tmp_path / "t.csv", ["Well_A1.TIF", "B2.tif"], [2, 5])
    prediction = write_table(
        tmp_path / "p.csv", ["well_a1.tif", "b3.tif"], ["3,2.6,2,4", "1,1.2,0,2"],
        "file,count,count_raw,low,high",
    )  # fmt: skip
    values, err = ok("score", "--truth", truth, "--prediction", prediction)
    (row,) = values["images"]
    assert (row["image"], row["Count"], row["Inside interval"]) == ("Well_A1", 2.6, True)
    assert "2 images with only one of the two: B2, b3." in err


def test_what_cannot_be_scored_as_counts_is_named(refused, counted, data, tmp_path):
    truth = counted / "true.csv"
    message = refused("score", "--truth", truth, "--prediction", data / "labels")
    assert "holds no counts.csv; give a table" in message
    other = write_table(tmp_path / "o.csv", ["x.tif"], [1])
    assert "No image with a count in" in refused("score", "--truth", truth, "--prediction", other)
    bad = write_table(
        tmp_path / "b.csv", ["Bild ä 0.tif"], ["1,1.0,x,2"], "file,count,count_raw,low,high"
    )
    message = refused("score", "--truth", truth, "--prediction", bad)
    assert 'line 2, column "low": expected a number from 0 on, found "x"' in message
    assert "is no folder" in refused("score", "--truth", tmp_path / "no", "--prediction", counted)
