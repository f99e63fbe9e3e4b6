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
    names: Sequence[str] = schema.column_names
    image = node.image_column if node.image_column in names else columns.guess_image(schema)
    wished = columns.chosen(node.label_column)
    label = wished if wished in names else columns.guess_label(schema, image)
    if image is None or label is None:
        raise ValueError(
            "The second table needs an image column and a label column; the Generate Synthetic "
            "Images node makes such a table."
        )
    found = Columns(image, (), label, PIXEL_SIZE if PIXEL_SIZE in names else None)
    return Reader(found, data_area(context), node.unreadable, notes, "synthetic")
