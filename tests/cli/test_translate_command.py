"""The command line from generated stacks to predicted stains."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile

from microshot.bundle import Bundle
from microshot.cli import console, main, translating
from microshot.cli.scoring_stains import paired, stain_names
from microshot.cli.translating import file_part
from microshot.tasks.translating.translation import NO_CONFIDENCE
from models_of_all_kinds import STAINS as TWO
from models_of_all_kinds import made

STAINS = ["nuclei", "lipids", "cytoplasm"]
SMALL = ["--set", "height_px=40", "--set", "width_px=48", "--set", "scene=adipocyte-stack"]
TINY = [
    "--device", "cpu", "--minutes", "0", "--seed", "3", "--set", "patch_px=32",
    "--set", "epochs=1", "--set", "steps_per_epoch=2",
]  # fmt: skip
NETWORK = ["--set", "translation.width=4", "--set", "translation.depth=1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("Färbungen") / "daten"
    arguments = ["--preset", "adipocyte-stack", "--n", "3", "--out", str(out)]
    assert main(["generate", *arguments, *SMALL]) == 0
    return out


@pytest.fixture(scope="module")
def model(data, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "stains.microshot"
    arguments = ["--task", "translate", "--images", str(data / "images"), "--out", str(path)]
    assert main(["train", *arguments, *TINY, *NETWORK]) == 0
    return path


@pytest.fixture
def call(capsys):
    """Return a function that runs a command line: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_files_written_before_an_image_that_cannot_be_translated_are_known(
    call, data, model, tmp_path
):
    images = tmp_path / "images"
    images.mkdir()
    shutil.copy(data / "images" / "adipocyte-stack_0.tif", images)
    tifffile.imwrite(images / "z.tif", np.zeros((2, 40, 48), np.uint16))
    code, _, err = call("translate", "--model", model, "--images", images, "--out", tmp_path / "o")
    assert (code, "z: expected 7 planes" in err) == (1, True)
    table = list(csv.DictReader((tmp_path / "o" / "stains.csv").read_text("utf-8").splitlines()))
    assert sorted(row["file"] for row in table) == [
        p.name for p in sorted((tmp_path / "o").glob("*.tif"))
    ]
    assert {row["image"] for row in table} == {"adipocyte-stack_0.tif"}


def test_the_table_never_tells_of_stains_that_others_have_replaced(
    call, data, model, tmp_path, monkeypatch
):
    arguments = ["translate", "--model", model, "--images", data / "images", "--out", tmp_path]
    assert call(*arguments)[0] == 0
    stained, table, seen = translating._stained, tmp_path / "stains.csv", []

    def told() -> list[str]:
        lines = table.read_text("utf-8").splitlines() if table.exists() else []
        return sorted(row["file"] for row in csv.DictReader(lines))

    def looked_at(*args):
        for one in stained(*args):
            seen.append(told())
            yield one
            if len(seen) == 5:
                raise OSError("The disk is full.")

    before = told()
    monkeypatch.setattr(translating, "_stained", looked_at)
    assert call(*arguments, "--overwrite")[0] == 0
    assert seen == [before, [], []]
    assert told() == before
    with table.open("a", encoding="utf-8") as lines:
        lines.write("other.tif,DAPI\n")
    assert call(*arguments, "--overwrite")[0] == 1
    assert seen[3:] == [[*before, "other.tif"], ["other.tif"]]
    assert told() == [*before, "other.tif"]


class Interrupting(io.StringIO):
    """A stderr at which the user presses Ctrl-C when the second image begins."""

    def write(self, text: str) -> int:
        if "image 2 of 3" in text:
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


def test_ctrl_c_keeps_the_stains_that_are_done_and_the_same_command_begins_anew(
    call, data, model, tmp_path, monkeypatch
):
    out, arguments = tmp_path / "o", ["translate", "--model", model, "--images", data / "images"]
    with monkeypatch.context() as patched:
        patched.setattr(console, "_LINE_SECONDS", 0.0)
        stream = Interrupting()
        patched.setattr("sys.stderr", stream)
        assert main([str(a) for a in [*arguments, "--out", out]]) == 1
    assert "the stains of 1 of 3 images; the same command begins anew" in stream.getvalue()
    table = list(csv.DictReader((out / "stains.csv").read_text("utf-8").splitlines()))
    assert sorted(row["file"] for row in table) == sorted(p.name for p in out.glob("*.tif"))
    code, _, err = call(*arguments, "--out", out)
    assert code == 0, err
    assert len(list(out.glob("*.tif"))) == 3 * len(table)
    assert not list(out.glob(".*"))
    code, _, err = call(*arguments, "--out", out)
    assert (code, "exists already" in err) == (1, True)


def test_generate_writes_stacks_stains_and_nuclei(data):
    names = sorted(p.name for p in (data / "images").iterdir())
    assert names == [f"adipocyte-stack_{i}.tif" for i in range(3)]
    assert tifffile.imread(data / "images" / names[0]).shape == (7, 40, 48)
    stains = sorted(p.name for p in (data / "targets").iterdir())
    assert stains == sorted(f"adipocyte-stack_{i}_{s}.tif" for i in range(3) for s in STAINS)
    lipids = tifffile.imread(data / "targets" / "adipocyte-stack_1_lipids.tif")
    assert lipids.dtype == np.uint16
    assert lipids.shape == (40, 48)
    assert (data / "labels" / names[0]).exists()


def test_training_finds_stains_and_nuclei_beside_the_images(data, model):
    card = Bundle.load(model).card
    assert card.task == "translate"
    assert sorted(card.targets) == sorted(STAINS)
    assert card.data["n_images"] == 3
    assert card.architecture["in_channels"] == 7


def test_a_part_of_the_file_name_says_which_images_belong_together(call, data, tmp_path):
    given = ["train", "--task", "translate", "--images", data / "images", *TINY, *NETWORK]
    code, _, err = call(*given, "--out", tmp_path / "m", "--group", r"_(\d)$")
    assert code == 0, err
    assert "3 groups: 0, 1, 2." in err
    code, _, err = call(*given, "--out", tmp_path / "n", "--group", r"well_(\d)")
    assert code == 2
    assert 'found none in "adipocyte-stack_0"' in err
    code, _, err = call(*given, "--out", tmp_path / "n", "--group", "(")
    assert code == 2
    assert "no regular expression" in err


def test_info_names_the_stains(call, model):
    code, out, err = call("info", model)
    assert code == 0
    assert "cytoplasm, lipids, nuclei" in out + err


def test_a_stack_becomes_one_16_bit_tiff_per_stain(call, data, model, tmp_path):
    out = tmp_path / "aus"
    arguments = ["translate", "--model", model, "--images", data / "images", "--out", out]
    code, text, err = call(*arguments, "--json")
    assert code == 0, err
    values = json.loads(text)
    assert [w["file"] for w in values["images"]] == [f"adipocyte-stack_{i}.tif" for i in range(3)]
    assert values["images"][0]["stains"]["lipids"] == "adipocyte-stack_0_lipids.tif"
    table = list(csv.DictReader((out / "stains.csv").read_text("utf-8").splitlines()))
    assert sorted(row["file"] for row in table) == sorted(path.name for path in out.glob("*.tif"))
    assert len(table) == len(list(out.iterdir())) - 1 == 9
    assert {row["stain"] for row in table} == set(STAINS)
    assert values["seconds"] > 0
    assert values["peak_memory_mb"] is None or values["peak_memory_mb"] > 50
    pixels = tifffile.imread(out / "adipocyte-stack_0_lipids.tif")
    assert pixels.dtype == np.uint16
    assert pixels.shape == (40, 48)
    code, _, err = call(*arguments)
    assert code == 1
    assert "exists already; choose another folder or add --overwrite" in err
    more = "file,stain,model\nother.tif,DAPI,mine (1)\n"
    (out / "stains.csv").write_text(more, "utf-8")
    assert call(*arguments, "--overwrite")[0] == 0
    again = list(csv.DictReader((out / "stains.csv").read_text("utf-8").splitlines()))
    assert [row["file"] for row in again] == ["other.tif", *(row["file"] for row in table)]
    assert again[0]["model"] == "mine (1)"


def _said(text):
    """Return what is said of each image but for the time it took."""
    return [{k: v for k, v in one.items() if k != "seconds"} for one in json.loads(text)["images"]]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_workers_of_a_cluster_write_the_same_stains(call, data, model, tmp_path):
    from distributed import LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    given = ["translate", "--model", model, "--images", data / "images", "--json", "--out"]
    _, here, _ = call(*given, tmp_path / "here")
    with LocalCluster(processes=False, protocol="tcp", **options) as made:
        code, there, err = call(*given, tmp_path / "there", "--scheduler", made.scheduler_address)
    assert code == 0, err
    assert "2 workers" in err
    assert _said(there) == _said(here)
    for path in (tmp_path / "here").glob("*.tif"):
        there_too = tifffile.imread(tmp_path / "there" / path.name)
        assert np.array_equal(tifffile.imread(path), there_too)


def test_several_models_translate_in_one_pass_as_each_alone(call, data, tmp_path):
    """With masks where a model knows them."""
    models = []
    for stain in STAINS[:2]:
        folder = tmp_path / stain
        folder.mkdir()
        for path in (data / "targets").glob(f"*_{stain}.tif"):
            (folder / path.name).write_bytes(path.read_bytes())
        models.append(tmp_path / f"{stain}.microshot")
        masks = stain == "nuclei"
        more = ["--set", "network=lupi-unet"] if masks else []
        more = ["--set", "translation.network=lupi-unet", "--set", "growth=2", "--set", "layers=2"]
        call("train", "--task", "translate", "--images", data / "images", "--targets", folder,
             "--out", models[-1], *TINY, *NETWORK, *(more if masks else []))  # fmt: skip
    image = data / "images" / "adipocyte-stack_2.tif"
    for out, used in (("both", models), ("one", models[:1]), ("two", models[1:])):
        given = [part for path in used for part in ("--model", path)]
        code, _, err = call("translate", *given, "--images", image, "--out", tmp_path / out)
        assert code == 0, err
    for name in ("adipocyte-stack_2_nuclei.tif", "adipocyte-stack_2_nuclei-mask.tif"):
        both, one = (tifffile.imread(tmp_path / out / name) for out in ("both", "one"))
        np.testing.assert_allclose(both, one.astype(float), atol=1)
    both, two = (
        tifffile.imread(tmp_path / out / "adipocyte-stack_2_lipids.tif") for out in ("both", "two")
    )
    np.testing.assert_allclose(both, two.astype(float), atol=1)
    same = ["--model", models[0], "--model", models[0]]
    code, _, err = call("translate", *same, "--images", image, "--out", tmp_path / "same")
    assert code == 2
    assert 'both predict "nuclei"' in err


def test_the_first_model_that_knows_its_confidence_says_it_and_no_file_is_lost(call, tmp_path):
    given = []
    for stain, low in (("a", 0.2), ("b", 0.0)):
        confidence = {"background": [low, 0.4, 0.6], "nucleus": [low, 0.5, 0.7]}
        preparation = {**TWO, "targets": [stain, f"{stain}2"]}
        bundle = made("lupi-unet", name=stain, targets=(stain, f"{stain}2"), preparation=preparation,
                      thresholds={"mask": 0.5, "confidence": confidence})  # fmt: skip
        bundle.save(tmp_path / f"{stain}.microshot")
        given += ["--model", tmp_path / f"{stain}.microshot"]
    image, out = tmp_path / "im.tif", tmp_path / "out"
    planes = np.random.default_rng(1).integers(0, 4000, (3, 64, 64)).astype(np.uint16)
    tifffile.imwrite(image, planes, photometric="minisblack")
    seen = []
    for models in (given, given[:2]):
        arguments = [*models, "--images", image, "--out", out, "--set", "confidence=true"]
        code, text, err = call("translate", *arguments, "--overwrite", "--json")
        assert code == 0, err
        seen.append(json.loads(text)["images"][0])
    both, first = seen
    assert both["maps"] == first["maps"]
    assert both["mean_confidence"] == pytest.approx(first["mean_confidence"], abs=1e-4)
    assert both["certain"] == first["certain"]
    assert [more["seeds"] for more in both["more_maps"]] == ["im_b-seeds.tif"]
    named = {*both["stains"].values(), *both["masks"], *both["maps"].values()}
    assert named | {*both["more_maps"][0].values()} == {p.name for p in out.glob("*.tif")}


def test_a_mask_is_named_after_the_stain_of_nuclei_and_without_a_check_no_confidence_is_told(
    call, tmp_path
):
    image, out, model = (tmp_path / name for name in ("im.tif", "out", "m.microshot"))
    preparation = {**TWO, "targets": ["BODIPY", "Hoechst 33342"]}
    made("lupi-unet", targets=("BODIPY", "Hoechst 33342"), preparation=preparation).save(model)
    tifffile.imwrite(image, np.ones((3, 64, 64), np.uint16), photometric="minisblack")
    code, text, err = call(
        "translate", "--model", model, "--images", image, "--out", out,
        "--set", "confidence=true", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert NO_CONFIDENCE in json.loads(text)["notes"]
    (mask,) = out.glob("*-mask.tif")
    assert mask.name == "im_Hoechst 33342-mask.tif"


def test_retraining_and_its_report(call, data, model, tmp_path):
    report = tmp_path / "report.html"
    code, out, err = call("retrain", "--model", model, "--images", data / "images", "--synthetic",
                          data, "--out", tmp_path / "new.microshot", "--report", report,
                          "--json", *TINY)  # fmt: skip
    assert code == 0, err
    assert "Pearson r" in json.loads(out)["verdict"]
    text = report.read_text(encoding="utf-8")
    assert "Scores per stain" in text
    assert "lipids, old model" in text


def test_wrong_calls_are_refused_with_one_sentence(call, data, model, tmp_path):
    alone = tmp_path / "alone" / "images"
    alone.mkdir(parents=True)
    tifffile.imwrite(alone / "a.tif", np.zeros((5, 40, 48), np.uint16), photometric="minisblack")
    out = tmp_path / "m.microshot"
    cases = [
        (["train", "--task", "translate", "--images", alone, "--out", out], 2,
         "needs measured stains, found no folder"),
        (["train", "--images", alone, "--targets", data, "--out", out], 2,
         "--targets is for the task translate, found the task segment"),
        (["train", "--preset", "lipids", "--images", alone, "--out", out], 2,
         "is made for the task translate"),
        (["translate", "--model", model, "--images", alone, "--out", tmp_path / "x"], 1,
         "a: expected 7 planes as in the model's training images, found 5"),
        (["translate", "--model", model, "--images", alone, "--out", alone], 2,
         "is the folder of the images"),
        (["predict", "--model", model, "--images", alone, "--out", tmp_path / "x"], 1,
         "use `microshot translate`"),
    ]  # fmt: skip
    for arguments, expected, sentence in cases:
        code, _, err = call(*arguments)
        assert code == expected, err
        assert sentence in err
        assert "Traceback" not in err


def test_targets_of_another_size_are_refused(call, data, tmp_path):
    folder = tmp_path / "targets"
    folder.mkdir()
    for path in (data / "targets").glob("*_lipids.tif"):
        tifffile.imwrite(folder / path.name, tifffile.imread(path)[:30], photometric="minisblack")
    code, _, err = call("train", "--task", "translate", "--images", data / "images", "--targets",
                        folder, "--out", tmp_path / "m.microshot")  # fmt: skip
    assert code == 1
    assert "the target image must have the size of the image, expected 40 x 48 px" in err


def test_names_of_stains_make_file_names():
    assert file_part("Lipids/BODIPY (488)") == "Lipids-BODIPY -488"
    assert file_part("???") == "stain"


def test_score_compares_stains_file_by_file(call, data, model, tmp_path):
    out = tmp_path / "stains"
    assert call("translate", "--model", model, "--images", data / "images", "--out", out)[0] == 0
    (out / "other_nuclei.tif").write_bytes((out / "adipocyte-stack_0_nuclei.tif").read_bytes())
    arguments = ["score", "--stains", "--truth", data / "targets", "--prediction", out]
    code, text, err = call(*arguments, "--json")
    assert code == 0
    assert "9 stains measured and predicted." in err
    assert "1 file in only one of the folders: other_nuclei.tif." in err
    values = json.loads(text)
    (used,) = values["provenance"]["models"]
    table = list(csv.DictReader((out / "stains.csv").read_text("utf-8").splitlines()))
    assert {row["model"] for row in table} == {f"{used['name']} ({used['id']})"}
    assert sorted(row["stain"] for row in values["summary"]) == sorted(STAINS)
    assert {row["images"] for row in values["summary"]} == {3}
    assert len(values["images"]) == 9
    assert {"Pearson r", "SSIM", "PSNR (dB)", "medMAE"} < values["images"][0].keys()
    assert values["features"]["score"] >= 0
    assert values["features"]["nucleus_px"] > 0
    names = {row["feature"] for row in values["features"]["table"]}
    assert {"Nuclei: number", "Droplets: number", "Lipids: granularity 16 (%)"} <= names
    code, text, _ = call(*arguments)
    assert "nuclei: Pearson r " in text
    assert f"feature score: {values['features']['score']:.3f} ({len(names)} features" in text
    code, text, _ = call(*arguments, "--set", "features=false")
    assert code == 0
    assert "feature" not in text


@pytest.mark.parametrize(
    ("true", "made", "pairs"),
    [
        (["a_lipid_droplets", "a_nuclei"], ["a_lipid-droplets", "a_nuclei"], [(0, 0), (1, 1)]),
        (["a_fat (488)"], ["a_fat -488"], [(0, 0)]),
        (["a", "b_1"], ["a_stain 1", "a_stain 1-mask", "b_1_stain 1"], [(0, 0), (1, 2)]),
        (["a"], ["a_cell-nuclei"], [(0, 0)]),
        (["a"], ["a_nuclei", "a_lipids"], []),
        (["a", "a_nuclei"], ["a_nuclei", "a_lipids"], [(1, 0)]),
        (["a", "a_nuclei"], ["a_nuclei"], [(1, 0)]),
        (["a_x_y", "a_x-y"], ["a_x y"], []),
        (["a_x_y"], ["a_x-y", "a_x y"], []),
    ],
)
def test_predicted_stains_are_found_by_their_words_or_where_only_one_is_predicted(
    true, made, pairs
):
    found = paired({n: Path(f"t/{n}.tif") for n in true}, {n: Path(f"p/{n}.tif") for n in made})
    assert found == [(Path(f"t/{true[i]}.tif"), Path(f"p/{made[j]}.tif")) for i, j in pairs]


def test_score_takes_stains_as_translate_spells_them(call, data, tmp_path):
    folders = tmp_path / "true", tmp_path / "made"
    for folder, end in zip(folders, ("fat_drops", "fat-drops"), strict=True):
        folder.mkdir()
        for i in range(2):
            shutil.copy(data / f"targets/adipocyte-stack_{i}_lipids.tif", folder / f"{i}_{end}.tif")
    arguments = ["--truth", folders[0], "--prediction", folders[1], "--set", "features=false"]
    code, text, err = call("score", "--stains", *arguments, "--json")
    assert code == 0, err
    assert "only one of the folders" not in err
    assert [(r["stain"], r["images"]) for r in json.loads(text)["summary"]] == [("fat-drops", 2)]


def test_measured_stains_against_themselves_have_a_feature_score_of_zero(call, data):
    code, text, _ = call(
        "score", "--stains", "--truth", data / "targets", "--prediction", data / "targets"
    )
    assert code == 0
    assert text.splitlines()[-1].startswith("feature score: 0.000 (")


def test_a_missing_stain_leaves_the_others_told_apart(call, data, tmp_path):
    some = shutil.copytree(data / "targets", tmp_path / "some")
    (some / "adipocyte-stack_0_lipids.tif").unlink()
    arguments = ["score", "--stains", "--truth", data / "targets", "--prediction", some]
    code, text, err = call(*arguments, "--json")
    assert code == 0
    values = json.loads(text)
    assert {row["stain"]: row["images"] for row in values["summary"]} == {
        "nuclei": 3, "lipids": 2, "cytoplasm": 3,
    }  # fmt: skip
    assert "measured on 1 image without all of cytoplasm, nuclei, lipids: " in err
    assert "adipocyte-stack_0." in err
    assert values["features"]["score"] == 0


def test_stains_that_file_names_do_not_tell_are_not_taken_for_nuclei(call, data, tmp_path):
    for number, file in enumerate(sorted((data / "targets").iterdir())):
        (tmp_path / f"{number}.tif").write_bytes(file.read_bytes())
    code, text, err = call(
        "score", "--stains", "--truth", tmp_path, "--prediction", tmp_path, "--json"
    )
    assert code == 0
    assert "file names do not tell which they are" in err
    assert "features" not in json.loads(text)


def test_score_names_stains_that_do_not_fit(call, data, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    arguments = ["score", "--stains", "--truth", data / "targets", "--prediction", other]
    assert "expected stains, found none" in call(*arguments)[2]
    tifffile.imwrite(other / "another.tif", np.zeros((40, 48), np.uint16))
    assert "No stain in" in call(*arguments)[2]
    (other / "another.tif").unlink()
    name = "adipocyte-stack_0_nuclei.tif"
    tifffile.imwrite(other / name, np.zeros((2, 40, 48), np.uint16), photometric="minisblack")
    assert "expected one stain in shades of grey, found 2 channels" in call(*arguments)[2]
    tifffile.imwrite(other / name, np.zeros((30, 48), np.uint16))
    assert "expected the size of the measured stain, 40 x 48 px" in call(*arguments)[2]


@pytest.mark.parametrize(
    ("stems", "stains"),
    [
        (["a_x", "a_y", "b_1_x", "b_1_y"], ["x", "y", "x", "y"]),
        (["a_x", "a_y", "b_x"], ["stain"] * 3),
        (["a_x", "a_y", "b_x", "b_y", "c_x"], ["x", "y", "x", "y", "x"]),
        (["a_x", "a_y"], ["x", "y"]),
        (["field_1", "field_2"], ["stain"] * 2),
        (["a", "b"], ["stain"] * 2),
    ],
)
def test_stains_are_named_by_what_every_image_has(stems, stains):
    assert [stain for _, stain in stain_names(stems)] == stains
