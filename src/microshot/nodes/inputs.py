"""Parameters for choosing columns, the same in every node that takes images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.nodes import columns
from microshot.nodes.cells import DOMAIN, PIXEL_SIZE, Columns, Reader
from microshot.nodes.context import Notes, data_area

if TYPE_CHECKING:
    from collections.abc import Sequence


def image_parameter(port: int, what: str = "the images") -> knext.ColumnParameter:
    """Return the parameter for the image column of a table port."""
    return knext.ColumnParameter(
        "Image column",
        f"Column with {what}: PNG images, or paths (String or Path) of image files. A relative "
        "path is taken from the workflow's data area. If none is chosen, the first that fits is.",
        port_index=port,
        column_filter=columns.is_image,
    )


def channels_parameter(port: int) -> knext.MultiColumnParameter:
    """Return the parameter for further channels of the same field of view."""
    return knext.MultiColumnParameter(
        "Further channels",
        "Columns with further channels of the same fields of view, in the table's order. Leave "
        "empty for images of one channel or colour images.",
        port_index=port,
        column_filter=columns.is_image,
        is_advanced=True,
    )


def label_parameter(port: int, what: str = "Column with the label images") -> knext.ColumnParameter:
    """Return the parameter for the label column of a table port."""
    return knext.ColumnParameter(
        "Label column",
        f"{what}: every object has a number of its own, 0 is background. PNG images "
        "or paths of label files. Rows without label image are not used. If none is chosen, the "
        "first column with a name like label or mask is.",
        port_index=port,
        column_filter=columns.is_image,
    )


def choose(
    node: Any,
    schema: knext.Schema,
    *,
    label: bool = False,
) -> None:
    """Fill in columns that were not chosen and check all, as every ``configure`` needs.

    Raises
    ------
    knext.InvalidParametersError
        If a column is missing, of a wrong type, or cannot be guessed.
    """
    image = columns.chosen(node.image_column) or columns.guess_image(schema)
    if image is None:
        raise knext.InvalidParametersError(
            "The input table has no image column; expected PNG images, or paths of image files in "
            "a String or Path column (the Microscopy Image Reader makes such a table)."
        )
    columns.require(schema, image, "image", columns.is_image)
    node.image_column = image
    for name in node.more_channels:
        columns.require(schema, name, "channel", columns.is_image)
    if not label:
        return
    found = columns.chosen(node.label_column) or columns.guess_label(schema, image)
    if found is None:
        raise knext.InvalidParametersError(
            "The input table has no label column; choose the column with the label images (its "
            'name would be found by itself if it held "label" or "mask").'
        )
    columns.require(schema, found, "label", columns.is_image)
    node.label_column = found


def check_channels(node: Any, schema: knext.Schema, n_channels: int | None) -> None:
    """Refuse columns that cannot hold the channels of the model.

    A PNG image has one channel or three colours; a file can hold any number.

    Raises
    ------
    knext.InvalidParametersError
        Naming the columns and the number of channels that the model takes.
    """
    names = list(dict.fromkeys([node.image_column, *node.more_channels]))
    pngs_only = all(columns.is_png(c) for c in schema if c.name in names)
    most = 3 * len(names) if pngs_only else None
    if n_channels is None or (len(names) <= n_channels and (most is None or n_channels <= most)):
        return
    raise knext.InvalidParametersError(
        f"The model takes images of {n_channels} channel(s), but the chosen column(s) "
        f"{', '.join(names)} cannot hold as many; choose {n_channels} column(s) in all under "
        '"Image column" and "Further channels", as in training.'
    )


def reader(
    node: Any,
    schema: knext.Schema,
    context: knext.ExecutionContext,
    notes: Notes,
    *,
    label: bool = False,
) -> Reader:
    """Return what turns rows of a table with this schema into samples."""
    names = schema.column_names
    label_column = columns.chosen(node.label_column) if label else None
    found = Columns(
        node.image_column,
        tuple(n for n in node.more_channels if n != node.image_column),
        label_column if label_column in names else None,
        PIXEL_SIZE if PIXEL_SIZE in names else None,
        DOMAIN if DOMAIN in names else None,
    )
    return Reader(found, data_area(context), node.unreadable, notes)


def synthetic_reader(
    node: Any, schema: knext.Schema, context: knext.ExecutionContext, notes: Notes
) -> Reader:
    """Return the reader of a second table; its columns are those of the first or guessed."""
    found = synthetic_columns(node, schema)
    return Reader(found, data_area(context), node.unreadable, notes, "synthetic")


def synthetic_columns(node: Any, schema: knext.Schema) -> Columns:
    """Return the columns of a second table: those of the first, or guessed.

    Raises
    ------
    knext.InvalidParametersError
        If the table has no image column or no label column.
    """
    names: Sequence[str] = schema.column_names
    image = node.image_column if node.image_column in names else columns.guess_image(schema)
    wished = columns.chosen(node.label_column)
    label = wished if wished in names else columns.guess_label(schema, image)
    if image is None or label is None:
        raise knext.InvalidParametersError(
            "The second table needs an image column and a label column; the Generate Synthetic "
            "Images node makes such a table."
        )
    return Columns(image, (), label, PIXEL_SIZE if PIXEL_SIZE in names else None)
