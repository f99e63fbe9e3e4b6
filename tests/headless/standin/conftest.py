"""The toy extension, and small extensions written for one test."""

from __future__ import annotations

import itertools
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from microshot.headless import standin

if TYPE_CHECKING:
    from collections.abc import Callable

TOY = Path(__file__).parents[1] / "toy_extension"
_count = itertools.count()

HEAD = """
import knime.extension as knext

category = knext.category(
    path="/community", level_id="tiny", name="Tiny", description="Tiny nodes.",
    icon="icons/category.png",
)
NODE = {"node_type": knext.NodeType.OTHER, "icon_path": "icons/node.png", "category": category}
"""


@pytest.fixture(scope="session")
def installed() -> None:
    if not standin.install():
        pytest.skip("KNIME's own API is installed, so the stand-in is not used")


@pytest.fixture(scope="session")
def toy(installed: None, tmp_path_factory: pytest.TempPathFactory) -> standin.Host:
    return standin.Host(TOY, tmp_path_factory.mktemp("toy"))


@pytest.fixture
def extension(installed: None, tmp_path: Path) -> Callable[..., standin.Host]:
    """Return a function that writes an extension with the given code and loads it."""
    added = list(sys.path)

    def make(
        code: str = "", *, head: str = HEAD, yml: str = "", icons: bool = True
    ) -> standin.Host:
        name = f"tiny_extension_{next(_count)}"
        root = tmp_path / name
        (root / "src").mkdir(parents=True)
        (root / "src" / f"{name}.py").write_text(head + textwrap.dedent(code), encoding="utf-8")
        text = "name: tiny\ngroup_id: org.example\nversion: 0.3.0\n" + yml
        (root / "knime.yml").write_text(f"{text}extension_module: src/{name}\n", encoding="utf-8")
        if icons:
            shutil.copytree(TOY / "icons", root / "icons")
        return standin.Host(root, tmp_path / "work")

    yield make
    sys.path[:] = added


@pytest.fixture
def node(extension: Callable[..., standin.Host]) -> Callable[..., standin.CanvasNode]:
    """Return a function that makes the node of an extension from decorators and class body."""

    def make(
        body: str, ports: str = "", doc: str = "Does it.\n\nIn full.", before: str = ""
    ) -> standin.CanvasNode:
        code = (
            f"{textwrap.dedent(before)}\n@knext.node(name='Tiny', id='tiny', **NODE)\n"
            f"{textwrap.dedent(ports)}\nclass Tiny:\n    {doc!r}\n"
            + textwrap.indent(textwrap.dedent(body), "    ")
        )
        return extension(code).node("tiny")

    return make
