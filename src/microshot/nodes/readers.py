"""From the columns chosen in a dialog to what reads the rows of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.nodes import columns
from microshot.nodes.context import Notes, data_area
from microshot.nodes.samples import DOMAIN, PIXEL_SIZE, Columns, Reader
from microshot.progress import span
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Dataset
    from microshot.progress import Progress


def reader(
    node: Any,
    schema: knext.Schema,
    context: knext.ExecutionContext,
    notes: Notes,
    task: str = "",
) -> Reader:
    """Return what turns rows of a table with this schema into samples.

    `task` is the one to be learned; empty where nothing is, so that only images are read.
    """
    names = schema.column_names
    label_column = columns.chosen(node.label_column) if task else None
    count_column = columns.chosen(node.count_column) if task == "count" else None
    found = Columns(
        node.image_column,
        tuple(n for n in node.more_channels if n != node.image_column),
        label_column if label_column in names else None,
        PIXEL_SIZE if PIXEL_SIZE in names else None, DOMAIN if DOMAIN in names else None,
        count_column if count_column in names else None,
        tuple(node.target_columns) if task == "translate" else (),
        columns.chosen(node.group_column) if task else None,
        columns.guess_file_name(schema, [node.image_column]) if task else None,
    )  # fmt: skip
    return Reader(found, data_area(context), node.unreadable, notes)


def synthetic_reader(
    node: Any, schema: knext.Schema, context: knext.ExecutionContext, notes: Notes, task: str
) -> Reader:
    """Return the reader of a second table; its columns are those of the first or guessed."""
    found = synthetic_columns(node, schema, task)
    return Reader(found, data_area(context), node.unreadable, notes, "synthetic")


def learning_data(
    node: Any,
    images: knext.Table,
    synthetic: knext.Table | None,
    context: knext.ExecutionContext,
    notes: Notes,
    task: str,
    progress: Progress,
) -> tuple[Dataset, Dataset | None]:
    """Read the table to learn from and, where it is connected, the second one."""
    first = reader(node, images.schema, context, notes, task)
    data = first.dataset(images, span(progress, 0.0, 0.5))
    if synthetic is None:
        return data, None
    second = synthetic_reader(node, synthetic.schema, context, notes, task)
    return data, second.dataset(synthetic, span(progress, 0.5, 1.0))


def synthetic_columns(node: Any, schema: knext.Schema, task: str) -> Columns:
    """Return the columns of a second table: those of the first, or guessed.

    Raises
    ------
    knext.InvalidParametersError
        If the table has no image column or nothing that `task` could be learned from.
    """
    names: Sequence[str] = schema.column_names
    if task == "translate":
        return _synthetic_stacks(node, schema)
    wished = columns.chosen(node.label_column)
    image = node.image_column
    if image not in names:
        image = columns.guess_image(schema, [wished or ""])
    label = wished if wished in names else columns.guess_label(schema, image)
    count, needed = None, "a label column"
    if task == "count":
        wished = columns.chosen(node.count_column)
        numbers = [c.name for c in schema if columns.is_number(c)]
        count = wished if wished in numbers else columns.guess_count(schema)
        count = None if columns.declined(node.count_column) else count
        label = None if columns.declined(node.label_column) else label
        needed = "a count column or a label column"
    if image is None or (label is None and count is None):
        raise knext.InvalidParametersError(
            f"The second table needs an image column and {needed}; the Generate Synthetic Images "
            "node makes such a table."
        )
    size = PIXEL_SIZE if PIXEL_SIZE in names else None
    return Columns(image, (), label, size, count=count)


def stains_like(known: Sequence[str], columns: Sequence[str]) -> Sequence[str]:
    """Return the target columns in the order in which a model that knows stains learns them."""
    from microshot.metrics.stain_features import places_of

    places = places_of(known, columns)
    return columns if places is None else [columns[i] for i in places]


def _synthetic_stacks(node: Any, schema: knext.Schema) -> Columns:
    """Return planes, stains and label images of a second table."""
    names: Sequence[str] = schema.column_names
    planes = list(dict.fromkeys([node.image_column, *node.more_channels]))
    label = columns.chosen(node.label_column)
    if not set(planes) <= set(names):
        image = columns.guess_image(schema, [*columns.guess_targets(schema, ()), label or ""])
        planes = [] if image is None else [image, *columns.guess_planes(schema, image)]
    targets = list(node.target_columns)
    if not set(targets) <= set(names):
        targets = columns.guess_targets(schema, [*planes, label])
    if not planes or len(targets) != len(node.target_columns):
        raise knext.InvalidParametersError(
            "The second table needs the planes of a stack and "
            f"{how_many(len(node.target_columns), 'target column')}, as the first has them "
            f"({', '.join(node.target_columns)}); the Generate Synthetic Images node makes such a table."
        )
    if label not in names and not columns.declined(node.label_column):
        label = columns.guess_label(schema, planes[0])
    size = PIXEL_SIZE if PIXEL_SIZE in names else None
    return Columns(
        planes[0], tuple(planes[1:]), label if label in names else None, size,
        targets=tuple(targets),
    )  # fmt: skip
