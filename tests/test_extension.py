"""The extension as KNIME finds it: names, ids and ports as promised, loaded in an instant."""

from __future__ import annotations

import ast
import re
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from microshot import __version__

ROOT = Path(__file__).parents[1]
TABLE, MODEL = "Table", "Microscopy Model"
#: DESIGN.md, section 4: id, name, input ports (with ? where they may be missing), output ports.
PROMISED = {
    "read_images": ("Microscopy Image Reader", ["Table?"], [TABLE]),
    "generate_synthetic": ("Generate Synthetic Images", ["Table?"], [TABLE]),
    "train": ("Train Microscopy Model", [TABLE, "Table?"], [MODEL, TABLE]),
    "retrain": ("Retrain Microscopy Model", [MODEL, TABLE, "Table?"], [MODEL, TABLE]),
    "translate": ("Translate Bright-Field to Fluorescence", [MODEL, TABLE, MODEL], [TABLE]),
    "predict": ("Predict Microscopy Images", [MODEL, TABLE], [TABLE, TABLE]),
    "score": ("Score Microscopy Predictions", [TABLE], [TABLE, TABLE]),
    "suggest": ("Suggest Images to Label", [MODEL, TABLE], [TABLE]),
    "read_model": ("Microscopy Model Reader", [], [MODEL]),
    "write_labels": ("Export Labels", [TABLE], []),
    "write_model": ("Microscopy Model Writer", [MODEL], []),
}
HEAVY = [
    "torch", "albumentations", "stardist", "skimage", "matplotlib", "onnxruntime", "scipy", "cv2",
    "numba", "tifffile", "safetensors", "pylibCZIrw", "liffile", "nd2",
]  # fmt: skip
NODES = pytest.mark.parametrize("node_id", PROMISED)


def test_loading_the_extension_loads_no_heavy_library():
    code = (
        "import sys\n"
        "from microshot.headless import standin\n"
        "assert standin.install()\n"
        "import microshot_extension\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def imported(path: Path) -> set[str]:
    """Return the names of all modules that a file imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_knime_is_imported_by_nodes_and_headless_only():
    package = ROOT / "src" / "microshot"
    users = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        if any(name.split(".")[0] == "knime" for name in imported(path))
    }
    assert "nodes" in users
    assert users <= {"nodes", "headless"}


def test_knime_would_accept_the_extension(host):
    assert host.problems() == []


def test_all_nodes_are_known_here(host):
    assert set(host.nodes) == set(PROMISED)


def shown(port) -> str:
    """Return the kind of a port, with ? if it may be missing."""
    is_model = getattr(port.type, "id", "") == "org.microshot.microshot.model"
    return (MODEL if is_model else TABLE) + ("?" if port.optional else "")


@NODES
def test_every_node_has_its_promised_id_name_and_ports(host, node_id):
    name, inputs, outputs = PROMISED[node_id]
    info = host.nodes[node_id]
    assert info.name == name
    assert [shown(port) for port in info.input_ports] == inputs
    assert [shown(port) for port in info.output_ports] == outputs
    assert info.category.rstrip("/") == "/community/microshot"
    assert not info.is_deprecated
    assert not info.is_hidden


@NODES
def test_every_port_and_view_is_described(host, node_id):
    info = host.nodes[node_id]
    ports = [*info.input_ports, *info.output_ports, *([info.view] if info.view else [])]
    assert ports
    for port in ports:
        assert port.name.strip()
        assert len(port.description.split()) >= 3, port.name
        assert port.description.rstrip().endswith("."), port.name


def parameters(schema: dict, path: str = "") -> dict[str, dict]:
    """Return every parameter of a dialog's schema by its dotted name."""
    found = {}
    for name, value in schema.get("properties", {}).items():
        if value.get("type") == "object" and "properties" in value:
            found |= parameters(value, f"{path}{name}.")
        else:
            found[path + name] = value
    return found


@NODES
def test_every_parameter_has_a_label_and_a_description(host, node_id):
    found = parameters(host.node(node_id).dialog()["schema"])
    assert found
    for name, value in found.items():
        assert value.get("title", "").strip(), name
        assert len(value.get("description", "").split()) >= 2, name


@NODES
def test_descriptions_open_with_a_short_plain_sentence(host, node_id):
    info = host.nodes[node_id]
    assert 20 < len(info.short_description) <= 90
    assert not set("&<>") & set(info.short_description)
    assert info.short_description.endswith(".")
    assert len(info.full_description.split()) > 20
    assert len(info.keywords) > 2


def png_size(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


@NODES
def test_every_node_has_an_icon_of_its_own(host, node_id):
    icon = ROOT / host.nodes[node_id].icon_path
    assert icon.name == f"{node_id}.png"
    assert png_size(icon) in ((16, 16), (32, 32))


def test_the_category_has_a_small_icon():
    assert png_size(ROOT / "icons" / "category.png") == (16, 16)


def yml() -> dict[str, str]:
    lines = (ROOT / "knime.yml").read_text("utf-8").splitlines()
    found = [re.match(r"(\w+): *(.*)", line) for line in lines]
    return {m[1]: m[2].strip('"') for m in found if m}


def test_knime_yml_names_what_saved_workflows_rely_on():
    values = yml()
    assert (values["group_id"], values["name"]) == ("org.microshot", "microshot")
    assert values["extension_module"] == "src/microshot_extension"
    for key in ("description", "long_description", "author", "vendor"):
        assert values[key]
    for key in ("license_file", "pixi_toml_path"):
        assert (ROOT / values[key]).is_file(), key
    assert (ROOT / f"{values['extension_module']}.py").is_file()
    assert '\nversion: "' in (ROOT / "knime.yml").read_text("utf-8")


def test_there_is_one_version():
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert yml()["version"] == project["version"] == __version__


def test_a_node_dialog_opens_without_anything_connected(host):
    for node_id in PROMISED:
        assert host.node(node_id).dialog()["ui_schema"]
