"""Writes the example workflows and their data; run it after changing a node's settings.

    python workflows/build.py            all of them, in place
    python workflows/build.py FOLDER     elsewhere

Each workflow is a folder that KNIME opens (copy it into the workspace) with its images inside,
and a `.knwf` file that can be mailed and imported. Settings come from the nodes' own
declarations, so nothing here is typed twice. Images are cut from files that come with Python
packages, or generated; origin and licence are written beside them.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from example_canvas import Canvas
from example_nuclei import count_transfer, counted_images, few_shot_segmentation, labelled_images
from example_stains import bright_field_to_fluorescence, stained_fields

from microshot.headless import standin
from microshot.headless.declaration import Extension, declare_nodes, read_extension
from microshot.headless.knwf import pack_workflow
from microshot.headless.wiring import node_states
from microshot.headless.workflow_writer import write_workflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from microshot.headless.workflow import Workflow

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def build(out: Path = HERE) -> None:
    """Write every workflow folder and its `.knwf` into the folder `out`."""
    if not standin.install():
        sys.exit("Run this where KNIME's own Python API is not installed.")
    host = standin.Host(ROOT)
    extension, declarations = read_extension(ROOT), declare_nodes(host)
    for make, fill in (
        (few_shot_segmentation, labelled_images),
        (count_transfer, counted_images),
        (bright_field_to_fluorescence, stained_fields),
    ):
        workflow = make(Canvas(extension, declarations))
        _write(workflow, fill, out, host, extension, declarations)


def _write(
    workflow: Workflow, fill: Callable[[Path], None], out: Path, host: standin.Host,
    extension: Extension, declarations: dict,
) -> None:  # fmt: skip
    """Write the folder of one workflow, with the data that `fill` puts into it, and its file."""
    states = node_states(workflow, host)
    workflow = replace(
        workflow, nodes=tuple(replace(n, state=states[n.id]) for n in workflow.nodes)
    )
    folder = write_workflow(
        workflow, out / workflow.name, extension=extension, node_declarations=declarations,
        replace=True,
    )  # fmt: skip
    shutil.rmtree(folder / "data", ignore_errors=True)
    fill(folder / "data")
    pack_workflow(folder, out / f"{workflow.name}.knwf", replace=True)


if __name__ == "__main__":
    build(*map(Path, sys.argv[1:2]))
