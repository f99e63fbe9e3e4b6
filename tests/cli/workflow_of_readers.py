"""A workflow that does little: read two images, and read them again from their paths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import tifffile

from microshot.headless import standin
from microshot.headless.declaration import declare_nodes, new_node, read_extension
from microshot.headless.workflow import Connection, Workflow
from microshot.headless.workflow_writer import write_workflow

if TYPE_CHECKING:
    import numpy as np

ROOT = Path(__file__).parents[2]


def write_workflow_of_readers(folder: Path, made: tuple[np.ndarray, np.ndarray]) -> Path:
    """Write the workflow with its images."""
    standin.install()
    extension, declared = read_extension(ROOT), declare_nodes(standin.Host(ROOT))
    paths = {"folder": "Bilder ä", "form": "PATH"}
    nodes = (
        new_node(extension, declared["read_images"], 1, settings=paths, position=(80, 80)),
        new_node(
            extension, declared["read_images"], 2, position=(240, 80),
            settings={"path_column": "Image", "label_path_column": "Label"},
            added_ports={"Paths": 1},
        ),
    )  # fmt: skip
    workflow = Workflow("readers", nodes, (Connection(1, 1, 2, 1),))
    write_workflow(workflow, folder, extension=extension, node_declarations=declared)
    (folder / "data" / "Bilder ä").mkdir(parents=True)
    for name in ("a", "b"):
        tifffile.imwrite(folder / "data" / "Bilder ä" / f"{name}.tif", made[0])
    return folder
