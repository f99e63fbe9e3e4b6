"""What is shipped: one version everywhere, licences that allow it, a list of every package."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from microshot import __version__

ROOT = Path(__file__).parents[2]


def supply():
    spec = importlib.util.spec_from_file_location("supply", ROOT / "release" / "supply.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


chain = supply()
PACKAGES = chain.runtime()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SHIPPED = [Requirement(line) for line in chain.direct()]
DIRECT = {chain.key_of(one.name) for one in SHIPPED}


def test_there_is_one_version_also_in_the_list_of_changes() -> None:
    knime = re.search(r'^version: "(.+)"$', (ROOT / "knime.yml").read_text("utf-8"), re.MULTILINE)
    changes = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert knime is not None
    assert changes is not None
    assert knime[1] == PROJECT["version"] == __version__ == changes[1]
    assert str(Version(__version__)) == __version__


def test_all_that_is_required_is_looked_at() -> None:
    assert set(PACKAGES) >= DIRECT
    assert {"networkx", "opencv-python-headless", "tqdm"} <= set(PACKAGES)  # needed by those
    assert not {"pytest", "hypothesis", "ruff"} & set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_may_be_shipped(name) -> None:
    licence = chain.licence_of(PACKAGES[name])
    assert chain.is_allowed(licence), f"{name}: {licence}"


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("MPL-2.0 AND MIT", True),
        ("Apache-2.0 WITH LLVM-exception AND BSD-3-Clause", True),
        ("MIT AND GPL-3.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("LGPL-2.1-only", False),
        ("LGPL-3.0-only", True),  # a library of its own, unchanged
        ("none stated", False),
        ("", False),
    ],
)
def test_licences_that_bind_the_whole_program_are_not_allowed(expression, allowed) -> None:
    assert chain.is_allowed(expression) is allowed


def test_the_list_names_every_package_and_is_the_same_for_the_same_packages() -> None:
    document = chain.sbom(PACKAGES, __version__)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert len(document["components"]) == len(PACKAGES)
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", document["serialNumber"])
    refs = [one["bom-ref"] for one in document["components"]]
    assert len(set(refs)) == len(refs)
    known = {*refs, document["metadata"]["component"]["bom-ref"]}
    for edge in document["dependencies"]:
        assert {edge["ref"], *edge["dependsOn"]} <= known
    assert document == chain.sbom(PACKAGES, __version__)


def test_the_list_that_is_kept_holds_this_version_and_every_direct_dependency() -> None:
    kept = json.loads((ROOT / "release" / "sbom.cdx.json").read_text("utf-8"))
    assert kept["metadata"]["component"]["version"] == __version__
    names = {chain.key_of(one["name"]) for one in kept["components"]}
    assert names >= DIRECT
    page = (ROOT / "release" / "README.md").read_text("utf-8")
    for name in DIRECT:
        assert f"\n| {name} | " in page


def test_what_knime_bundles_agrees_with_what_pip_installs() -> None:
    pixi = tomllib.loads((ROOT / "pixi.toml").read_text("utf-8"))
    ours = {chain.key_of(one.name): one for one in SHIPPED}
    from_conda = {"numpy", "pandas", "pyarrow", "pillow"}  # brought by KNIME's own package
    bundled = {chain.key_of(n): v for n, v in pixi["pypi-dependencies"].items()}
    assert set(bundled) | from_conda == set(ours)
    for name, wanted in bundled.items():
        assert str(ours[name].specifier) == wanted, name


def test_constraints_pin_every_direct_dependency_and_allow_what_is_installed() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(one.split("==") for one in lines if one and not one.startswith("#"))
    pins = {chain.key_of(name): version for name, version in pins.items()}
    for requirement in SHIPPED:
        assert requirement.specifier.contains(pins[chain.key_of(requirement.name)])


def test_imports_name_no_package_that_is_not_required() -> None:
    """What is imported without being asked for would be missing elsewhere."""
    import ast

    own_names = {"PIL": "pillow", "skimage": "scikit-image"}
    optional = {"zarr", "umap", "h5py", "distributed", "dask", "imagecodecs"}
    provided = {
        "knime",
        "microshot",
        "microshot_extension",
        "matplotlib",
        "csbdeep",
        "llvmlite",
        "cv2",
    }
    found: dict[str, str] = {}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            found |= {name.split(".")[0]: path.name for name in names}
    foreign = {n: f for n, f in found.items() if n not in sys.stdlib_module_names}
    unknown = {
        name: file
        for name, file in foreign.items()
        if chain.key_of(own_names.get(name, name)) not in DIRECT | optional | provided
    }
    assert unknown == {}
