"""Times at which images were taken, and groups of images: parameters, checks, cells."""

from __future__ import annotations

from typing import Any

import knime.extension as knext

from microshot.nodes import columns
from microshot.nodes.numbers import cells_of
from microshot.nodes.samples import group_of
from microshot.nodes.tables import is_missing


def time_parameter(port: int) -> knext.ColumnParameter:
    """Return the parameter for the column of times of a table port."""
    return knext.ColumnParameter(
        "Time column",
        "Column (Integer or Double) with the time at which each image was taken, in any unit. The "
        "view then shows how the number of objects grows, with its doubling time. None = no curve.",
        port_index=port,
        column_filter=columns.is_number,
        include_none_column=True,
    )


def group_parameter(port: int) -> knext.ColumnParameter:
    """Return the parameter for the column that divides images into groups."""
    return knext.ColumnParameter(
        "Group column",
        "Column with what the images are divided by, for example the treatment: each group gets a "
        "growth curve of its own. Only with a time column.",
        port_index=port,
        column_filter=columns.is_group,
        include_none_column=True,
        is_advanced=True,
    )


def check(node: Any, schema: knext.Schema) -> None:
    """Refuse columns of times and groups that are missing or of another type.

    Raises
    ------
    knext.InvalidParametersError
        Naming the column and those that would fit.
    """
    for name, what, fits in (
        (columns.chosen(node.time_column), "time", columns.is_number),
        (columns.chosen(node.group_column), "group", columns.is_group),
    ):
        if name is not None:
            columns.require(schema, name, what, fits)


def moments(node: Any, batch: knext.Table) -> dict[str, dict[str, Any]]:
    """Return time and group of the images of one batch by RowID; nothing without times."""
    time, group = columns.chosen(node.time_column), columns.chosen(node.group_column)
    if time is None:
        return {}
    row_ids = batch[[time]].to_pyarrow().column(0).to_pylist()
    times = cells_of(batch, time)
    groups = [None] * len(times) if group is None else cells_of(batch, group)
    return {
        str(row_id): {
            "time": None if is_missing(moment) else float(moment), "group": group_of(own),
        }
        for row_id, moment, own in zip(row_ids, times, groups, strict=True)
    }  # fmt: skip
