"""The nodes *Microscopy Model Reader* and *Microscopy Model Writer*."""

from __future__ import annotations

from typing import Any

import knime.extension as knext

from microshot.nodes.category import CATEGORY
from microshot.nodes.context import data_area, resolve
from microshot.nodes.ports import MODEL, ModelObject, ModelSpec


@knext.node(
    name="Microscopy Model Reader",
    node_type=knext.NodeType.SOURCE,
    icon_path="icons/read_model.png",
    category=CATEGORY,
    id="read_model",
    keywords=["load", "import", "open", "microshot"],
)
@knext.output_port("Model", "The model in the file.", MODEL)
@knext.output_view("Model card", "What the model does, where it comes from, how good it was.")
class ReadModelNode(knext.PythonNode):
    """Reads a model from a file with the ending .microshot.

    The view shows the model card: what the model does, on which images it was trained and how
    well it did, from which model it was retrained, and its licence.

    A model file holds numbers and a description, nothing that could run as a program; damaged
    files and files of other kinds are refused.
    """

    path = knext.StringParameter(
        "Model file",
        "Path of the file: relative to the workflow's data area (such as *models/nuclei.microshot*), "
        "an address that begins with knime://knime.workflow/data/, or a full path.",
        "",
    )

    def configure(self, context: knext.ConfigurationContext) -> None:
        if not self.path.strip():
            raise knext.InvalidParametersError("Choose the model file in the node's dialog.")

    def execute(self, context: knext.ExecutionContext) -> tuple[ModelObject, Any]:
        from microshot.bundle import Bundle
        from microshot.pages import model_page

        bundle = Bundle.load(resolve(self.path, data_area(context)))
        return ModelObject.of(bundle), knext.view_html(model_page(bundle.card))


@knext.node(
    name="Microscopy Model Writer",
    node_type=knext.NodeType.SINK,
    icon_path="icons/write_model.png",
    category=CATEGORY,
    id="write_model",
    keywords=["save", "export", "share", "microshot"],
)
@knext.input_port("Model", "The model to write.", MODEL)
class WriteModelNode(knext.PythonNode):
    """Writes a model into a file with the ending .microshot, to keep or share it.

    The file holds everything that is needed to use the model: weights, normalisation, thresholds,
    its history, the numbers of its training images (not the images), and its licence.
    """

    path = knext.StringParameter(
        "Model file",
        "Path of the file: relative to the workflow's data area or a full path. The ending "
        ".microshot is added if it is missing; folders are made.",
        "model.microshot",
    )
    overwrite = knext.BoolParameter(
        "Replace an existing file", "Whether a file of that name is replaced; else it is an error.",
        False,
    )  # fmt: skip

    def configure(self, context: knext.ConfigurationContext, model: ModelSpec) -> None:
        if not self.path.strip():
            raise knext.InvalidParametersError("Give a name for the model file in the dialog.")

    def execute(self, context: knext.ExecutionContext, model: ModelObject) -> None:
        from microshot.bundle import SUFFIX

        path = resolve(self.path, data_area(context))
        if path.suffix != SUFFIX:
            path = path.with_name(path.name + SUFFIX)
        model.bundle.save(path, overwrite=self.overwrite)
