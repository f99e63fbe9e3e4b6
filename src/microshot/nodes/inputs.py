"""Parameters for choosing columns, the same in every node that takes images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.nodes import columns
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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


def label_parameter(port: int) -> knext.ColumnParameter:
    """Return the parameter for the label column of a table port."""
    return knext.ColumnParameter(
        "Label column",
        "Column with the label images: every object has a number of its own, 0 is background. PNG images "
        "or paths of label files. Rows without label image are not used, for the task Count objects "
        "rows with neither count nor label image. For the task Translate bright field to "
        "fluorescence: nuclei, if you have them. If none is chosen, the first column with a name "
        "like label or mask is.",
        port_index=port,
        column_filter=columns.is_image,
        include_none_column=True,
    )


def count_parameter(port: int) -> knext.ColumnParameter:
    """Return the parameter for the column of counts of a table port."""
    return knext.ColumnParameter(
        "Count column",
        "For the task Count objects: column (Integer or Double) with the number of objects in each "
        "image. Missing means not counted, 0 means counted and none found. If none is chosen, the "
        "first column with a name like count, cells or number is. With label images it is not "
        "needed. Other tasks do not use it.",
        port_index=port,
        column_filter=columns.is_number,
        include_none_column=True,
    )


def targets_parameter(port: int) -> knext.MultiColumnParameter:
    """Return the parameter for the columns with measured stains of a table port."""
    return knext.MultiColumnParameter(
        "Target columns",
        "For the task Translate bright field to fluorescence: one column per measured stain (PNG "
        "images, or paths of image files), as large as the planes. 16-bit images keep what the "
        "camera measured. The model's stains are named after these columns. If none is chosen, "
        "columns with names like nuclei, lipids, stain or DAPI are. Other tasks do not use them.",
        port_index=port,
        column_filter=columns.is_image,
    )


def group_parameter(port: int) -> knext.ColumnParameter:
    """Return the parameter for the column that says which images belong together."""
    return knext.ColumnParameter(
        "Group column",
        "Well, slide, patient or day of each image (text or whole number). Images of one group are "
        "never both learned from and judged by. None = every image stands for itself.",
        port_index=port,
        column_filter=columns.is_group,
        include_none_column=True,
        is_advanced=True,
    )


def choose(node: Any, schema: knext.Schema, task: str = "") -> None:
    """Fill in columns that were not chosen and check all, as every ``configure`` needs.

    `task` is the one to be learned; empty where nothing is, so that only images are needed.

    Raises
    ------
    knext.InvalidParametersError
        If a column is missing, of a wrong type, or cannot be guessed.
    """
    label = columns.chosen(node.label_column) if task else None
    if task == "translate":
        _choose_stains(node, schema, label)
    image = columns.chosen(node.image_column) or columns.guess_image(schema, [label or ""])
    if image is None:
        raise knext.InvalidParametersError(
            "The input table has no image column; expected PNG images, or paths of image files in "
            "a String or Path column (the Microscopy Image Reader makes such a table)."
        )
    columns.require(schema, image, "image", columns.is_image)
    node.image_column = image
    for name in node.more_channels:
        columns.require(schema, name, "channel", columns.is_image)
    if task and (group := columns.chosen(node.group_column)) is not None:
        columns.require(schema, group, "group", columns.is_group)
    if task == "count":
        _choose_counts(node, schema, image)
    elif task == "translate":
        _choose_mask(node, schema, image)
    elif task:
        _choose_labels(node, schema, image)
    if task:
        _check_apart(columns.chosen(node.label_column), [image, *node.more_channels])


def _check_apart(label: str | None, planes: Sequence[str]) -> None:
    """Refuse label images among the images that are looked at, which would give the answer away."""
    if label in planes:
        raise knext.InvalidParametersError(
            f'The column "{label}" is chosen both as image and as label; choose the photographs under '
            '"Image column" and the label images under "Label column".'
        )


def choose_planes(node: Any, schema: knext.Schema, others: Iterable[str] = ()) -> None:
    """Choose the planes of a stack where none was chosen: columns that differ in a number only.

    Columns that hold something else, `others` or measured stains by their names, are no planes.
    """
    if columns.chosen(node.image_column) is not None:
        return
    image = columns.guess_image(schema, [*others, *columns.guess_targets(schema, ())])
    if image is not None:
        node.image_column = image
        node.more_channels = node.more_channels or columns.guess_planes(schema, image)


def _choose_stains(node: Any, schema: knext.Schema, label: str | None) -> None:
    """Choose planes and stains; the chosen column of label images is neither.

    Raises
    ------
    knext.InvalidParametersError
        If there is no stain, or a column is both plane and stain.
    """
    choose_planes(node, schema, [*node.target_columns, label or ""])
    planes = [node.image_column, *node.more_channels]
    if not node.target_columns:
        node.target_columns = columns.guess_targets(schema, [*planes, label])
    if not node.target_columns:
        raise knext.InvalidParametersError(
            "The input table has no column with a measured stain; choose one or more under "
            '"Target columns" (they would be found by themselves if their names held "stain" or '
            '"nuclei").'
        )
    for name in node.target_columns:
        columns.require(schema, name, "target", columns.is_image)
        if name in planes:
            raise knext.InvalidParametersError(
                f'The column "{name}" is chosen both as plane and as target; choose the measured '
                'stains under "Target columns" only.'
            )


def _choose_mask(node: Any, schema: knext.Schema, image: str) -> None:
    """Choose the label images of nuclei, which are not needed."""
    label = columns.chosen(node.label_column)
    if label is None and not columns.declined(node.label_column):
        label = columns.guess_label(schema, image)
    if label is not None:
        columns.require(schema, label, "label", columns.is_image)
        node.label_column = label


def _choose_labels(node: Any, schema: knext.Schema, image: str) -> None:
    found = columns.chosen(node.label_column) or columns.guess_label(schema, image)
    if found is None:
        raise knext.InvalidParametersError(
            "The input table has no label column; choose the column with the label images (its "
            'name would be found by itself if it held "label" or "mask").'
        )
    columns.require(schema, found, "label", columns.is_image)
    node.label_column = found


def _choose_counts(node: Any, schema: knext.Schema, image: str) -> None:
    """Choose what counting is learned from: counts, label images, or both."""
    count, label = _known(node, schema, image)
    if count is None and label is None:
        raise knext.InvalidParametersError(
            columns.counts_as_text(schema)
            or "The input table has neither a count column nor a label column; choose the column "
            "(Integer or Double) with the number of objects in each image, or the one with the "
            'label images (they would be found by themselves if their names held "count" or '
            '"label").'
        )
    if count is not None:
        columns.require(schema, count, "count", columns.is_number)
        node.count_column = count
    if label is not None:
        columns.require(schema, label, "label", columns.is_image)
        node.label_column = label


def _known(node: Any, schema: knext.Schema, image: str) -> tuple[str | None, str | None]:
    """Return the chosen or guessed columns of counts and of label images."""
    count, label = columns.chosen(node.count_column), columns.chosen(node.label_column)
    if count is None and not columns.declined(node.count_column):
        count = columns.guess_count(schema)
    if label is None and not columns.declined(node.label_column):
        label = columns.guess_label(schema, image)
    return count, label


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
        f"The model takes images of {how_many(n_channels, 'channel')}, but the chosen columns "
        f"{', '.join(names)} cannot hold as many; choose {how_many(n_channels, 'column')} in all under "
        '"Image column" and "Further channels", as in training.'
    )
