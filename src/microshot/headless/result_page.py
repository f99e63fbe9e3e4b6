"""The overview page of a finished workflow: one HTML file that needs nothing but itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; background: #fff; margin: 2rem auto;
  max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .3rem; border-bottom: 1px solid #cfd7df; }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
p { margin: .4rem 0; } a { color: #0b5cad; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .87rem; }
th, td { border: 1px solid #d8dfe6; padding: .2rem .5rem; text-align: left; vertical-align: top;
  max-width: 24rem; overflow-wrap: break-word; }
th { background: #eef2f6; vertical-align: bottom; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.long { min-width: 12rem; }
img { display: block; max-width: none; image-rendering: pixelated; }
.about { white-space: pre-line; } .quiet { color: #5b6875; }
.box { border-left: 4px solid; padding: .3rem .8rem; margin: .5rem 0; white-space: pre-line; }
.warning { border-color: #d9a400; background: #fff8e1; }
.error { border-color: #c62828; background: #fdecea; }
@media print {
  @page { size: A4 landscape; margin: 10mm; }
  body { font-size: 10pt; max-width: none; margin: 0; padding: 0; }
  h2 { break-after: avoid; } tr, .box { break-inside: avoid; } .table { overflow: visible; }
  a { color: inherit; text-decoration: none; }
  table { font-size: 6pt; } th.n { white-space: normal; } .long { min-width: 0; }
  th, td { padding: .1rem .15rem; }
  td img { width: 11mm; height: auto; }
}
"""

Cell: TypeAlias = "str | Picture"
_NUMBER = re.compile(r"-?[0-9.]+(e[+-]?[0-9]+)?|inf|-inf")
_LONG = 30
"""Texts of more letters get a column of at least 12 em."""


@dataclass(frozen=True)
class Picture:
    """A small picture in a table."""

    source: str
    """A ``data:`` address."""
    text: str
    """What is said where the picture cannot be seen."""
    href: str = ""
    """The file in full size, relative to the page; empty if it was not written."""


@dataclass(frozen=True)
class TablePart:
    """The first rows of a table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    n_rows: int
    """Number of rows of the whole table."""


@dataclass(frozen=True)
class NodePart:
    """What the page says about one node."""

    title: str
    state: str
    seconds: float
    warnings: tuple[str, ...] = ()
    error: str | None = None
    files: tuple[str, ...] = ()
    """Files written for the node, relative to the page."""
    tables: tuple[TablePart, ...] = ()


def overview_page(name: str, description: str, parts: Sequence[NodePart], n_nodes: int) -> str:
    """Return the page for a workflow; `parts` are the nodes that have had their turn."""
    done = sum(part.state == "executed" for part in parts)
    seconds = sum(part.seconds for part in parts)
    body = [f"<h1>{escape(name)}</h1>"]
    if description:
        body.append(f'<p class="about">{escape(description)}</p>')
    body.append(
        f'<p class="quiet">{done} of {n_nodes} nodes executed in {escape(_time(seconds))}.</p>'
    )
    body += [
        f'<p class="box error">{escape(f"{part.title}: {part.error}")}</p>'
        for part in parts
        if part.error
    ]
    body.append(_contents(parts))
    for number, part in enumerate(parts, 1):
        body += _node(number, part)
    return page(name, body)


def table_page(part: TablePart) -> str:
    """Return a page that shows one table."""
    return page(part.title, [f"<h1>{escape(part.title)}</h1>", _table(part)])


def page(title: str, body: Sequence[str]) -> str:
    """Return a complete HTML document."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            *body,
            "</body></html>\n",
        ]
    )


def _contents(parts: Sequence[NodePart]) -> str:
    rows = "".join(
        f'<tr><td>{number}</td><td><a href="#node{number}">{escape(part.title)}</a></td>'
        f'<td>{escape(part.state)}</td><td class="n">{escape(_time(part.seconds))}</td>'
        f"<td>{_view_link(part)}</td></tr>"
        for number, part in enumerate(parts, 1)
    )
    head = '<tr><th></th><th>Node</th><th>State</th><th class="n">Time</th><th>View</th></tr>'
    return f'<div class="table"><table>{head}{rows}</table></div>'


def _view_link(part: NodePart) -> str:
    """Return a link to the page with the node's pictures and charts, where it has one."""
    views = [file for file in part.files if file.rpartition("/")[2] in ("view.html", "table.html")]
    return f'<a href="{quote(views[0])}">open</a>' if views else ""


def _node(number: int, part: NodePart) -> list[str]:
    lines = [f'<h2 id="node{number}">{number}. {escape(part.title)}</h2>']
    lines += [f'<p class="box warning">{escape(text)}</p>' for text in part.warnings]
    if part.error:
        lines.append(f'<p class="box error">{escape(part.error)}</p>')
    if part.files:
        links = ", ".join(
            f'<a href="{quote(file)}">{escape(file.rpartition("/")[2])}</a>' for file in part.files
        )
        lines.append(f"<p>{links}</p>")
    for table in part.tables:
        lines += [f"<h3>{escape(table.title)}</h3>", _table(table)]
    return lines


def _table(part: TablePart) -> str:
    kinds = [_kind([row[i] for row in part.rows]) for i in range(len(part.columns))]
    head = "".join(
        f"<th{kind}>{escape(column)}</th>" for column, kind in zip(part.columns, kinds, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{_cell(cell)}</td>" for cell, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in part.rows
    )
    shown = len(part.rows)
    more = (
        f"{shown} of {part.n_rows} rows shown."
        if shown < part.n_rows
        else f"{how_many(shown, 'row')}."
    )
    return (
        f'<div class="table"><table><tr>{head}</tr>{rows}</table></div><p class="quiet">{more}</p>'
    )


def _kind(cells: Sequence[Cell]) -> str:
    """Return how a column is set: numbers to the right, long texts with room."""
    texts = [cell for cell in cells if isinstance(cell, str) and cell]
    if texts and len(texts) == sum(map(bool, cells)) and all(map(_NUMBER.fullmatch, texts)):
        return ' class="n"'
    return ' class="long"' if any(len(text) > _LONG for text in texts) else ""


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    image = f'<img src="{cell.source}" alt="{escape(cell.text)}" title="{escape(cell.text)}">'
    return f'<a href="{quote(cell.href)}">{image}</a>' if cell.href else image


def _time(seconds: float) -> str:
    if seconds < 0.1:
        return "< 0.1 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
