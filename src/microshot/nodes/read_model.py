"""The nodes *Microscopy Model Reader* and *Microscopy Model Writer*."""

from __future__ import annotations

from typing import Any

import knime.extension as knext

from microshot.data.addresses import resolve
from microshot.nodes.category import CATEGORY
from microshot.nodes.context import data_area, reporter
from microshot.nodes.parameters import member
from microshot.nodes.ports import MODEL, ModelObject, ModelSpec
from microshot.starters import STARTERS, path_of, task_of

FILE = "FILE"
_FILE_CHOICE = ("Model file", "A file with the ending .microshot.")
#: Where the model comes from, as KNIME stores it.
Source = knext.EnumParameterOptions(  # type: ignore[call-arg]
    "Source",
    {FILE: _FILE_CHOICE, **{member(n): (c.label, c.help) for n, c in STARTERS.items()}},
)


@knext.node(
    name="Microscopy Model Reader",
    node_type=knext.NodeType.SOURCE,
    icon_path="icons/read_model.png",
    category=CATEGORY,
    id="read_model",
    keywords=["load", "import", "open", "microshot", "StarDist"],
)
@knext.output_port("Model", "The model in the file.", MODEL)
@knext.output_view("Model card", "What the model does, where it comes from, how good it was.")
class ReadModelNode(knext.PythonNode):
    """Reads a model file with the ending .microshot, a model of StarDist, or a starter model.

    **Starter models** come with Microshot and need no file: choose one, look at its card in the
    view (what it learned from, how well it does, its licence), apply it, or connect it to *Retrain
    Microscopy Model* with four labelled images of your own.

    The view shows the model card: what the model does, on which images it was trained and how
    well it did, from which model it was retrained, and its licence.

    A model file holds numbers and a description, nothing that could run as a program; damaged
    files and files of other kinds are refused.

    **StarDist models** (2-D, official ones or your own) are read from their folder or its zip archive,
    with *config.json*, *weights_best.h5* and *thresholds.json*. They find the same objects here as in
    StarDist. TensorFlow is not needed, but the package *h5py* is. For the licence, see where the model
    comes from. To retrain one on objects whose diameter is far from 24 px, import it with
    `microshot import --diameter`.
    """

    source = knext.EnumParameter(
        "Model",
        "A file of your own, or one of the models that come with Microshot.",
        FILE,
        Source,
    )
    path = knext.StringParameter(
        "Model file",
        "Path of the file: relative to the workflow's data area (such as *models/nuclei.microshot*), "
        "an address that begins with knime://knime.workflow/data/, or a full path. For a StarDist "
        "model, its folder or zip archive.",
        "",
    ).rule(knext.OneOf(source, [FILE]), knext.Effect.SHOW)

    def configure(self, context: knext.ConfigurationContext) -> ModelSpec | None:
        if self.source != FILE:
            return ModelSpec.announced(task_of(self.starter))
        if not self.path.strip():
            raise knext.InvalidParametersError("Choose the model file in the node's dialog.")
        return None

    @property
    def starter(self) -> str:
        """Name of the chosen starter model."""
        return next(name for name in STARTERS if member(name) == self.source)

    def execute(self, context: knext.ExecutionContext) -> tuple[ModelObject, Any]:
        from microshot.importing import open_model
        from microshot.pages import model_page

        own = self.source == FILE
        path = resolve(self.path, data_area(context)) if own else path_of(self.starter)
        bundle = open_model(path)
        return ModelObject.of(bundle), knext.view_html(model_page(bundle.card))


#: Names of members of `Form`, as KNIME stores them.
MICROSHOT, ONNX = "MICROSHOT", "ONNX"


class Form(knext.EnumParameterOptions):
    """Which kind of file is written."""

    MICROSHOT = (
        "Microshot model",
        "Everything, to use or retrain the model here (.microshot).",
    )
    ONNX = (
        "ONNX",
        "The network for other programs (.onnx). Its metadata tell how images are to be prepared.",
    )
    BIOIMAGEIO = (
        "bioimage.io package",
        "A package of the BioImage Model Zoo (.zip) with the network as ONNX, test data and a page.",
    )


@knext.node(
    name="Microscopy Model Writer",
    node_type=knext.NodeType.SINK,
    icon_path="icons/write_model.png",
    category=CATEGORY,
    id="write_model",
    keywords=["save", "export", "share", "microshot", "ONNX", "bioimage.io", "model zoo"],
)
@knext.input_port("Model", "The model to write.", MODEL)
class WriteModelNode(knext.PythonNode):
    """Writes a model into a file, to keep or share it, or for another program.

    A **Microshot model** (.microshot) holds everything that is needed to use the model: weights,
    normalisation, thresholds, its history, the numbers of its training images (not the images, but for
    a few small pictures of the worst results), and its licence. Beside it the node writes a report that
    opens in any browser, offline, and can be printed: training curve, scores of every image, the worst
    ones with outlines, settings, data, lineage, versions.

    **ONNX and bioimage.io packages** hold the network for other programs. They return what the
    network says, such as probabilities and distances, not yet objects. Before the file is written,
    its output is compared with that of the model on images of three sizes; it is refused if they
    differ by more than 0.0001, or by that part of the greatest value where this is above 1.
    """

    path = knext.StringParameter(
        "Model file",
        "Path of the file: relative to the workflow's data area or a full path. The ending "
        "(.microshot, .onnx or .zip) is added if it is missing; folders are made.",
        "model.microshot",
    )
    form = knext.EnumParameter("Kind of file", "Which program the file is for.", MICROSHOT, Form)
    overwrite = knext.BoolParameter(
        "Replace an existing file", "Whether a file of that name is replaced; else it is an error.",
        False,
    )  # fmt: skip
    report = knext.BoolParameter(
        "Write a report beside the model",
        "For Microshot models: whether a page of the same name with the ending .html is written, too. It "
        "follows the setting *Replace an existing file*.",
        True,
    )

    def configure(self, context: knext.ConfigurationContext, model: ModelSpec) -> None:
        if not self.path.strip():
            raise knext.InvalidParametersError("Give a name for the model file in the dialog.")

    def execute(self, context: knext.ExecutionContext, model: ModelObject) -> None:
        from microshot.bundle import SUFFIX
        from microshot.export.models import export_model
        from microshot.pages import write_model

        path = resolve(self.path, data_area(context))
        if self.form != MICROSHOT:
            export_model(
                model.bundle, self.form.lower(), path, overwrite=self.overwrite,
                progress=reporter(context),
            )  # fmt: skip
            return
        if path.suffix != SUFFIX:
            path = path.with_name(path.name + SUFFIX)
        write_model(model.bundle, path, report=self.report, overwrite=self.overwrite)
