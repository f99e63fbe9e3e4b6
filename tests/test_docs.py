"""Documents that run: every shell command of the guides is executed, the node page is up to date."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from microshot import conformal
from microshot.cli.main import main
from microshot.data.dataset import split
from microshot.data.image import Image
from microshot.data.write import write_image, write_labels
from microshot.headless import standin
from microshot.settings import ImageSettings
from tiny_images import discs

ROOT = Path(__file__).parents[1]
GUIDES = sorted([ROOT / "README.md", ROOT / "workflows/README.md", *(ROOT / "docs").glob("*.md")])
_LEARN = "training.epochs=1 training.steps_per_epoch=2 training.batch_size=2 training.device=cpu images.patch_px=32"
_NETWORK = "network.width=4 network.depth=1"
#: Options added to commands that would take long; everything else stays as it is documented.
QUICK = {
    "generate": "--n 3 --set height_px=64 --set width_px=64 --set fit=false",
    "train": f"--minutes 0 --set {_LEARN} {_NETWORK}",
    "retrain": f"--minutes 0 --set {_LEARN}",
    "predict": "--device cpu",
    "study": f"--sizes 2 --repeats 2 --minutes 0 --set {_LEARN} {_NETWORK}",
    "sweep": f"--repeats 1 --minutes 0 --set {_LEARN} {_NETWORK}",
    "run": "--set #1.n=3 #1.height_px=64 #1.width_px=64 "
    + " ".join(
        f"#{node}.{one}"
        for node in (2, 4, 5)
        for one in (
            "minutes=0", "training.epochs=1", "training.steps_per_epoch=2",
            "training.device=CPU", "images.patch_px=32",
        )
    ),
}  # fmt: skip
#: Packages without which a command cannot run.
NEEDS = {"export": "onnx", "import": "h5py"}


def commands(path: Path) -> list[str]:
    """Return the shell commands of a guide, in fenced blocks or indented after a dollar sign."""
    blocks = re.findall(
        r"^```(?:sh|bash|console)?\n(.*?)^```", path.read_text("utf-8"), re.M | re.S
    )
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    starts = ("microshot ", "python", ".venv/")
    return [shlex.join(shlex.split(ln, comments=True)) for ln in lines if ln.startswith(starts)]


def documented() -> list[str]:
    return list(dict.fromkeys(one for path in GUIDES for one in commands(path)))


def verb_of(command: str) -> list[str]:
    """Return the arguments of a call of Microshot; nothing for another program."""
    words = shlex.split(command)
    if words[0] == "microshot":
        return words[1:]
    return words[3:] if words[1:3] == ["-m", "microshot"] else []


def quick(arguments: list[str]) -> list[str]:
    """Add what makes a command quick; several values behind one --set get one each."""
    more: list[str] = []
    setting = False
    for word in QUICK.get(arguments[0], "").split():
        if word.startswith("--"):
            setting = word == "--set"
            more += [] if setting else [word]
        else:
            more += ["--set", word] if setting else [word]
    return [*arguments, *more]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Return a folder with the files that the guides speak of."""
    here = tmp_path_factory.mktemp("place")
    for number, name in enumerate(("my_images", "four", "new", "all")):
        images = here / name / "images" if name != "my_images" else here / name
        for folder in (images, here / name / "labels"):
            folder.mkdir(parents=True, exist_ok=True)
        for i in range(4 if name != "all" else 6):
            pixels, labels = discs(side=64, n=4, seed=10 * number + i)
            write_image(images / f"cells_{i}.tif", Image(pixels[None]))
            write_labels(here / name / "labels" / f"cells_{i}.tif", labels)
    shutil.copytree(here / "four" / "images", here / "counted")
    rows = "".join(f"cells_{i}.tif,4\n" for i in range(4))
    (here / "counted" / "counts.csv").write_text(f"file,count\n{rows}", encoding="utf-8")
    hours = "".join(f"cells_{i}.tif,{i}\n" for i in range(4))
    (here / "times.csv").write_text(f"file,time\n{hours}", encoding="utf-8")
    stained = ROOT / "workflows/bright-field-to-fluorescence/data/four_stained"
    for part in ("images", "targets"):
        (here / "stacks" / part).mkdir(parents=True)
        for file in sorted((stained / part).glob("field_[12]*")):
            shutil.copy(file, here / "stacks" / part)
    shutil.copytree(ROOT / "workflows" / "few-shot-segmentation", here / "my-nuclei")
    return here


def test_there_are_commands_in_the_guides():
    found = documented()
    assert sum(bool(verb_of(c)) for c in found) >= 20
    assert {verb_of(c)[0] for c in found if verb_of(c)} >= {
        "train",
        "retrain",
        "report",
        "run",
        "pack",
    }


def test_every_documented_command_of_microshot_does_what_it_says(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    for command in documented():
        arguments = verb_of(command)
        if not arguments:
            continue
        needed = NEEDS.get(arguments[0])
        if needed and importlib.util.find_spec(needed) is None:
            continue
        if arguments[0] == "import":
            from stardist_files import write_model

            (place / "stardist").mkdir()
            folder = write_model(place / "stardist" / "2D_versatile_fluo")
            shutil.make_archive("2D_versatile_fluo", "zip", folder)
        if arguments[0] == "run" and (ROOT / arguments[1]).exists():
            arguments[1] = str(ROOT / arguments[1])
        status = main(quick(arguments))
        assert status == 0, f"{command}\n{capsys.readouterr().err[-2000:]}"
        if "--out" in arguments:
            assert (place / arguments[arguments.index("--out") + 1]).exists(), command
        capsys.readouterr()
    assert (place / "growth" / "growth.csv").is_file()
    assert np.any([p.suffix == ".zip" for p in (place / "rois").iterdir()])


@pytest.mark.parametrize("command", [c for c in documented() if not verb_of(c)])
def test_every_other_documented_command_is_known(command):
    program, script, *rest = shlex.split(command)
    assert program.startswith(("python", ".venv/bin/python"))
    assert (ROOT / script).is_file()
    if script == "dev.py":
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        told = subprocess.run(
            [sys.executable, ROOT / script, *rest, "--help"],
            capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr


def test_the_readme_shows_engineers_every_room_and_names_none_that_is_not_there():
    text, rooms = (ROOT / "README.md").read_text("utf-8"), ROOT / "src" / "microshot"
    drawn, below = text.split("\nsrc/microshot/\n", 1)[1].split("```", 1)
    shown = set(re.findall(r"\b([a-z]+(?:/|\.py))(?=[\s:,;])", drawn))
    there = {p.name + "/" for p in rooms.iterdir() if p.is_dir() and p.name[0] != "_"}
    there |= {p.name for p in rooms.glob("[a-z]*.py")}
    assert shown == there
    named = re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?)`", below)
    assert len(named) > 15
    for path in named:
        assert (rooms / path).exists() or (ROOT / path).exists(), path


def test_links_of_the_guides_lead_somewhere():
    for path in GUIDES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.fixture(scope="module")
def builder():
    if not standin.install():
        pytest.skip("KNIME's own API is installed")
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_nodes_is_what_the_nodes_say(builder):
    assert builder.PAGE.read_text("utf-8") == builder.page(), "run python3 dev.py docs and commit"


def test_train_says_from_how_many_counted_images_on_there_is_an_interval():
    text = " ".join((ROOT / "docs" / "nodes.md").read_text("utf-8").split())
    told = re.search(r"usual (\S+) held out that takes (\d+) or (\d+) counted images", text)
    assert told
    part = ImageSettings().validation_fraction
    assert float(told[1]) == part
    for number, level in ((told[2], 0.9), (told[3], 0.8)):
        held_out = [len(split([""] * n, part, 0)[1]) for n in range(int(number) + 1)]
        enough = [n for n, out in enumerate(held_out) if out >= conformal.least_images(level)]
        assert enough == [int(number)]


def test_pictures_of_workflows_show_the_workflows_as_they_are(builder, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    drawn = builder.canvases()
    assert len(drawn) == len(list((ROOT / "workflows").glob("*.knwf")))
    for path, drawing in drawn.items():
        assert path.read_text("utf-8") == drawing, "run python3 dev.py docs and commit"


def test_notes_and_lines_of_workflows_lie_over_no_node(builder, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    t = np.linspace(0, 1, 101)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    for path, drawing in builder.canvases().items():
        box = r'<rect x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"'
        nodes = np.array(re.findall(box + " rx=", drawing), float)
        (note,) = np.array(re.findall(box + ' fill="[^"]+" stroke=', drawing), float)
        words = re.findall(r'<text x="(\S+)" y="(\S+)" text-anchor', drawing)
        assert len(nodes) > 4
        for x, y in np.vstack([nodes[:, :2], np.array(words, float) - (40, 11)]):
            assert x > note[0] + note[2] or y > note[1] + note[3], (
                f"{path.name}: note over ({x}, {y})"
            )
        curve = r'<path d="M(\S+) (\S+) C(\S+) (\S+) (\S+) (\S+) (\S+) (\S+)"'
        for line in re.findall(curve, drawing):
            points = weights @ np.array(line, float).reshape(4, 2)  # (101, 2)
            for x, y, wide, high in nodes:
                inside = (points > (x, y)) & (points < (x + wide, y + high))
                assert not inside.all(axis=1).any(), f"{path.name}: line over ({x}, {y})"


def test_pictures_of_the_docs_are_small_and_used():
    pictures = sorted((ROOT / "docs" / "img").iterdir())
    text = "".join(guide.read_text("utf-8") for guide in GUIDES)
    assert pictures
    assert [p.name for p in pictures if f"img/{p.name}" not in text] == []
    assert sum(p.stat().st_size for p in pictures) < 1_500_000


def texts_of_the_program() -> list[str]:
    """Return all texts in the source; those around inserted values are texts of their own."""
    trees = [ast.parse(file.read_text("utf-8")) for file in (ROOT / "src").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def test_messages_that_the_guide_explains_are_those_of_the_program():
    text = (ROOT / "workflows" / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| \*(.+?)\* \|", text.split("## When something", 1)[1], re.MULTILINE)
    assert len(rows) >= 12
    known = texts_of_the_program()
    for fragment in (part.strip() for row in rows for part in row.split("…")):
        assert any(fragment in one for one in known), fragment
