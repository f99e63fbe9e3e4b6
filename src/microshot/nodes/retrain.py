"""The node *Retrain Microscopy Model*."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.nodes import inputs, readers
from microshot.nodes.category import CATEGORY
from microshot.nodes.context import Notes, going_on, reporter
from microshot.nodes.parameters import of_model, settings_of, with_settings
from microshot.nodes.ports import MODEL, ModelObject, ModelSpec
from microshot.nodes.samples import READING_SHARE, unreadable_parameter
from microshot.nodes.tables import schema_of, table_of
from microshot.nodes.train import keep_if_cancelled
from microshot.progress import span
from microshot.settings import TASKS, RetrainSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.tasks.base import Task

COMPARISON = {
    "Image": knext.string(),
    "Score": knext.string(),
    "Old model": knext.double(),
    "Retrained model": knext.double(),
    "Difference": knext.double(),
    "Better": knext.string(),
}


def comparison_table(result: Any, task: Task) -> knext.Table:
    """Return one row per image that was left out: old against new."""
    rows = []
    for example in result.comparison:
        old, new = example.old_scores[task.primary], example.scores[task.primary]
        better = _better(task.improvement(new - old))
        values = (example.sample.name, task.primary_label, old, new, new - old, better)
        rows.append(dict(zip(COMPARISON, values, strict=True)))
    return table_of(COMPARISON, rows, [f"Row{i}" for i in range(len(rows))])


def _better(gain: float) -> str | None:
    """Return which model is better; None where a score does not exist, as of an empty stain."""
    if not math.isfinite(gain):
        return None
    return "retrained" if gain > 0 else "old" if gain < 0 else "equal"


@knext.node(
    name="Retrain Microscopy Model",
    node_type=knext.NodeType.LEARNER,
    icon_path="icons/retrain.png",
    category=CATEGORY,
    id="retrain",
    keywords=["transfer learning", "few-shot", "fine-tune", "StarDist", "cell", "count", "adapt"],
)
@knext.input_port("Model", "The model to start from.", MODEL)
@knext.input_table(
    "Labelled images",
    "A few labelled or counted images of your own, four are a good number. Rows without label image "
    "or count are not used, but for a Twin-VAE that also learns to draw images.",
)
@knext.input_table(
    "Synthetic images",
    "More labelled or counted images to mix in, usually synthetic ones.",
    optional=True,
)
@knext.output_port(
    "Model",
    "The retrained model, or the old one where the retrained one is not clearly better.",
    MODEL,
)
@knext.output_table(
    "Comparison", "Old against retrained model, one row per image that was left out."
)
@knext.output_view("Retraining report", "Verdict, comparison, example images, curve.")
@with_settings(
    RetrainSettings,
    shown={
        "count_column": of_model(0, "count"),
        "target_columns": of_model(0, "translate"),
        "twin_vae": of_model(0, "count"),
        "translation": of_model(0, "translate"),
    },
)
class RetrainNode(knext.PythonNode):
    """Adapts a model to a handful of your own labelled images, and checks that it got better.

    Four labelled images are usually enough if the objects resemble those the model knows; the
    imaging technique may differ, for example a model for fluorescent nuclei can be retrained
    for phase contrast. Training always starts from the model at the first port.

    **The check.** A score on the images a model was trained on says nothing. Therefore the node
    retrains once for every labelled image with that image left out, and compares the old and
    the retrained model on it. The report gives the verdict in one sentence, such as
    *Retrained model F1 0.86 against 0.31 on images it had not seen (4 of 4 better): use it*. The
    model that is passed on is then trained on all images. If the retrained model is not clearly
    better, the old one is passed on (this can be switched off): a gain below 0.02 (of an error,
    below 5 percent), or one that few images might show by chance, does not count.

    **How many images do I need?** If asked to, the node also retrains on fewer of your images. The
    report then draws how good the model is with 1, 2, 3 … labelled images, and says whether
    another one is likely to help. This takes about twice as many trainings, so give more time.

    **Input.** A model, and a table with image and label column as in *Train Microscopy Model*. Label
    every object in the image, also the difficult ones; four images that differ teach more than
    four that look alike. Images are called by their RowIDs, or by the column *File*.

    **To retrain a model that counts**, a column with the number of objects in each image is enough
    (missing = not counted, 0 = none found); label images may be used instead or as well. The
    score is then the MAE, by how many objects a count is wrong on average: less is better. Four
    counts tell the model much less than four label images, so give more images if you only count
    (10 to 20). The errors on the left-out images also give the interval around later counts;
    that takes at least 4 images for 80 percent and 9 for 90 percent.

    **To retrain a model that translates**, the table needs the same bright-field planes in the same
    order and, under *Target columns*, the measured stains. The score is Pearson's r between
    predicted and measured stain. Stains are put into the model's order by their names, which may
    be other words for the same, such as *DAPI* for *nuclei*; where names do not tell which is which,
    they are taken in the order given, and the models are not compared.

    **Time.** The limit is for everything, half of it goes into the check. On a laptop 5 minutes are
    usually enough.

    **Cancel** during the final training keeps the best model so far as a file in the workflow's
    data area.

    **If KNIME ends** meanwhile, the node goes on where it was when it is executed again with the same
    settings and images; so it does after a cancel. Its state is kept every minute in KNIME's own
    folder on this computer, and deleted when the node is done, or after two weeks.
    """

    image_column = inputs.image_parameter(1)
    label_column = inputs.label_parameter(1)
    count_column = inputs.count_parameter(1)
    more_channels = inputs.channels_parameter(1)
    target_columns = inputs.targets_parameter(1)
    group_column = inputs.group_parameter(1)
    unreadable = unreadable_parameter()

    def configure(
        self,
        context: knext.ConfigurationContext,
        model: ModelSpec,
        images: knext.Schema,
        synthetic: knext.Schema | None,
    ) -> tuple[ModelSpec, knext.Schema]:
        model.require(*TASKS)
        inputs.choose(self, images, model.task)
        if synthetic is not None:
            readers.synthetic_columns(self, synthetic, model.task)
        settings_of(self, RetrainSettings)
        stains: Sequence[str] = ()
        if model.task == "translate":
            stains = readers.stains_like(model.targets, self.target_columns)
        return ModelSpec.announced(model.task, targets=stains), schema_of(COMPARISON)

    def execute(
        self,
        context: knext.ExecutionContext,
        model: ModelObject,
        images: knext.Table,
        synthetic: knext.Table | None,
    ) -> tuple[ModelObject, knext.Table, Any]:
        from microshot import api
        from microshot.learning.interrupted import job_of
        from microshot.learning.supplying import supplied
        from microshot.pages import retrain_page
        from microshot.pages.evidence import with_evidence
        from microshot.tasks import task_named

        notes, progress, start = Notes(), reporter(context), model.bundle
        data, extra = readers.learning_data(
            self, images, synthetic, context, notes, start.card.task,
            span(progress, 0.0, READING_SHARE),
        )  # fmt: skip
        settings = settings_of(self, RetrainSettings)
        extra, told = supplied(
            data, extra, settings, start.card, span(progress, READING_SHARE, READING_SHARE)
        )
        notes.extend(told)
        job = job_of(settings, data, extra, start)
        with going_on(context, progress, job) as kept:
            result = api.retrain(
                start, data, settings, synthetic=extra,
                progress=span(progress, READING_SHARE, 1.0), unfinished=kept,
            )  # fmt: skip
            keep_if_cancelled(result, context, "retrain")
        result.bundle = with_evidence(result)
        notes.extend([*result.notes, result.verdict if result.kept == "old" else ""])
        notes.show(context)
        task = task_named(result.bundle.card.task)
        return (
            ModelObject.of(result.bundle),
            comparison_table(result, task),
            knext.view_html(retrain_page(result, notes.lines)),
        )
