"""The node *Suggest Images to Label*."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.nodes import columns, inputs, readers
from microshot.nodes.category import CATEGORY
from microshot.nodes.context import Notes, reporter
from microshot.nodes.image_names import ImageNames
from microshot.nodes.parameters import settings_of, with_settings
from microshot.nodes.ports import MODEL, ModelObject, ModelSpec
from microshot.nodes.samples import unreadable_parameter
from microshot.nodes.tables import (
    Output,
    Walk,
    arrow_of,
    batches_of,
    rows_of,
    schema_of,
    table_of,
)
from microshot.progress import span
from microshot.settings import TASKS
from microshot.settings.suggesting import SuggestSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

#: Images shown in the view.
MAX_SHOWN = 12
#: Rows of one chunk of the output.
CHUNK = 100
NEW = {
    "Rank": knext.int32(),
    "Expected benefit": knext.double(),
    "Doubt": knext.double(),
    "Reason": knext.string(),
    "Model": knext.string(),
    "Device": knext.string(),
    "Seconds": knext.double(),
}

#: Types whose cells are taken over as they are; those of other types are decoded.
_PLAIN = (knext.string(), knext.int32(), knext.int64(), knext.double(), knext.bool_())


def kept_columns(schema: knext.Schema) -> dict[str, Any]:
    """Return names and types of the columns that can be put into another order.

    Those of types that only another extension knows cannot: their rows depend on each other.
    """
    return {c.name: c.ktype for c in schema if c.ktype in _PLAIN or columns.is_image(c)}


def new_columns(schema: knext.Schema) -> dict[str, Any]:
    """Return names and types of the columns this node adds."""
    taken = list(schema.column_names)
    return {columns.unique(name, taken): kind for name, kind in NEW.items()}


@knext.node(
    name="Suggest Images to Label",
    node_type=knext.NodeType.MANIPULATOR,
    icon_path="icons/suggest.png",
    category=CATEGORY,
    id="suggest",
    keywords=["active learning", "label", "annotate", "few-shot", "uncertain", "select"],
)
@knext.input_port("Model", "The model that is to be improved.", MODEL)
@knext.input_table("Images", "Images that are not labelled yet, one row per field of view.")
@knext.output_table(
    "Suggestions", "The images in the order in which to label them, with rank and reason."
)
@knext.output_view("Suggestions", "The images to label first, and why.")
@with_settings(SuggestSettings)
class SuggestNode(knext.PythonNode):
    """Puts unlabelled images into an order: doubtful, typical and unlike each other first.

    This node lets the model look at every image before you label any. Label the first ones (four
    are a good number), then give them to *Retrain Microscopy Model*.

    **What to expect.** In our simulation with real images, a model retrained on four suggested
    images was no better than one retrained on four drawn at random. Use the order to see which
    images the model is unsure of and which are unlike the others, not in the hope of better scores.

    **The order.** An image comes early if the model is *unsure* of it (it finds objects by halves,
    or finds other ones when the image is mirrored), if it *stands for* many other images, and if
    it is *unlike* those before it. The column *Reason* says which, *Expected benefit* is an estimate relative
    to the first image (1), *Doubt* goes from 0 (sure) to 1. *Model*, *Device* and *Seconds* say where
    this comes from. Benefits fall as more images have been
    chosen: when they are small, further images of the table teach little new.

    **Works for every task.** A model that finds nothing yet can still tell which images differ.

    **Input.** The model and a table with the images, prepared as in *Predict Microscopy Images*.
    Rows without image are left out. Columns of types that only other KNIME extensions know are
    left out as well; join them again by RowID.
    """

    image_column = inputs.image_parameter(1)
    more_channels = inputs.channels_parameter(1)
    unreadable = unreadable_parameter()

    def configure(
        self, context: knext.ConfigurationContext, model: ModelSpec, images: knext.Schema
    ) -> knext.Schema:
        model.require(*TASKS)
        if model.task == "translate":
            inputs.choose_planes(self, images)
        inputs.choose(self, images)
        inputs.check_channels(self, images, model.n_channels)
        settings_of(self, SuggestSettings)
        return schema_of(kept_columns(images) | new_columns(images))

    def execute(
        self, context: knext.ExecutionContext, model: ModelObject, images: knext.Table
    ) -> tuple[Any, Any]:
        from microshot import provenance, suggesting
        from microshot.pages import suggestion_page

        notes, progress = Notes(), reporter(context)
        settings = settings_of(self, SuggestSettings)
        reader = readers.reader(self, images.schema, context, notes)
        observer, begun = suggesting.Observer(model.bundle, settings, progress), time.perf_counter()
        reader.seen = observer.predictor.seen
        looks, seconds = looked_at(reader, observer, images, span(progress, 0.0, 0.9))
        found = suggesting.ranked(looks, settings, progress=span(progress, 0.9, 0.95))
        reader.finish()
        left_out = [n for n in images.schema.column_names if n not in kept_columns(images.schema)]
        if left_out:
            notes.add(f"Left out because of their types: {', '.join(left_out)}; join by RowID.")
        p = observer.predictor
        record = provenance.record([p.card], p.device, time.perf_counter() - begun)
        origin = provenance.models_told([p.card]), p.device.line
        out = ordered(images, found, {name: (*origin, s) for name, s in seconds.items()})
        first = {s.name for s in found[:MAX_SHOWN]}
        shown = samples_of(reader, images, first, span(progress, 0.95, 0.97))
        notes.show(context)
        names = ImageNames(images, [self.image_column])
        shown = [names.named(sample) for sample in shown]
        named = [names.named(one) for one in found]
        last = span(progress, 0.97, 1.0)
        page = suggestion_page(p, shown, named, notes.lines, record, last)
        return out, knext.view_html(page)


def looked_at(
    reader: Any, observer: Any, images: knext.Table, progress: Any
) -> tuple[list[Any], dict[str, float]]:
    """Return what the model makes of every image that is there, and the seconds each took."""
    looks, seconds, walk = [], {}, Walk(images, progress, "looking at image")
    for batch in images.batches():
        for row_id, row, here in walk(reader.frame(batch)):
            sample = reader.sample(row_id, row)
            if sample is not None:
                begun = time.perf_counter()
                looks.append(observer(sample, here))
                seconds[row_id] = round(time.perf_counter() - begun, 3)
    return looks, seconds


def samples_of(reader: Any, images: knext.Table, names: set[str], progress: Any) -> list[Any]:
    """Read a few rows again."""
    found = []
    for batch in images.batches():
        progress(len(found) / max(len(names), 1), "making the view")
        found += [reader.sample(*one) for one in rows_of(reader.frame(batch), names)]
    return found


def ordered(
    images: knext.Table, found: Sequence[Any], origins: Mapping[str, tuple[str, str, float]]
) -> Any:
    """Return the rows of a table in the order of the suggestions, with the new columns.

    `origins` are model, device and seconds by RowID.
    """
    import pyarrow as pa

    kept, new = kept_columns(images.schema), new_columns(images.schema)
    decoded = {name: kind for name, kind in kept.items() if kind not in _PLAIN}
    plain = [name for name in kept if name not in decoded]
    every, rows = _gathered(images, plain, list(decoded), {s.name for s in found})
    places = {row_id: place for place, row_id in enumerate(every.column(0).to_pylist())}
    out = Output(CHUNK)
    for start in range(0, max(len(found), 1), CHUNK):
        part = found[start : start + CHUNK]
        made = [
            rows.get(s.name, {})
            | dict(zip(new, (s.rank, s.benefit, s.doubt, s.reason, *origins[s.name]), strict=True))
            for s in part
        ]
        cells = arrow_of(table_of(decoded | new, made, [s.name for s in part]))
        taken = every.take(pa.array([places[s.name] for s in part], pa.int64()))
        names = [*kept, *new]
        values = [(taken if name in plain else cells).column(name) for name in names]
        out.append(pa.table([cells.column(0), *values], [cells.schema.names[0], *names]))
    return out.finish()


def _gathered(
    images: knext.Table, plain: list[str], decoded: list[str], wanted: set[str]
) -> tuple[pa.Table, dict[str, dict[str, Any]]]:
    """Return the RowIDs and `plain` columns of all batches, and `decoded` cells of wanted rows."""
    import pyarrow as pa

    tables, rows = [], {}
    for batch in batches_of(images):
        own = arrow_of(batch)
        tables.append(own.select([own.schema.names[0], *plain]))
        if decoded:
            rows |= dict(rows_of(batch[decoded].to_pandas(), wanted))
    return pa.concat_tables(tables), rows
