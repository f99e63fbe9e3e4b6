"""Tables for the inputs of nodes, and one small trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from node_tables import Tables, set_tiny

if TYPE_CHECKING:
    from microshot.headless import standin
    from microshot.headless.standin import PortData

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tables(host: standin.Host) -> Tables:
    """Makes tables of several batches."""
    return Tables(host)


@pytest.fixture(scope="session")
def model(host: standin.Host, tables: Tables) -> PortData:
    """A model of one channel, trained by the train node until it finds every disc."""
    node = set_tiny(host.node("train"), steps=150)
    node.set("licence", "CC0 1.0")
    node.set("name", "Discs")
    made, _ = node.execute([tables.images(8), None])
    return made  # type: ignore[return-value]


@pytest.fixture
def area(tmp_path: Path) -> Path:
    """The data area of a workflow, under a name with spaces and umlauts."""
    folder = tmp_path / "Meine Zellen für später" / "data"
    folder.mkdir(parents=True)
    return folder
