"""One self-contained HTML page: its frame, and the blocks it is made of.

Every text is escaped; only what these functions return (`Markup`) goes into the page as it is.
The page asks for nothing from outside and is complete without JavaScript.
"""

from __future__ import annotations

import math
import re
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from microshot import __version__
from microshot.report import wording
from microshot.report.style import SCRIPT, STYLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Kind = Literal["good", "neutral", "bad"]
FOOTER = f"Made with Microshot {__version__}."
_SIGNS = {"good": "✓", "neutral": "•", "bad": "!"}
#: Rows of a table that are written out; further ones are counted.
MOST_ROWS = 300
#: Columns beside those that name the row, as far as a printed page is wide enough.
MOST_COLUMNS = 6
#: Letters from which on a name, or a heading, in a table may break at its joints.
LONG_NAME, LONG_HEADING = 24, 12
_FIGURE = re.compile(r"([+−]?[\d.\u202f]+|–)( (→|to) [−\d.\u202f–]+)?|")


class Markup(str):
    """HTML that is ready to go into a page; any other string is escaped."""

    __slots__ = ()


def page(title: str, body_parts: Iterable[str], *, subtitle: str = "", footer: str = FOOTER) -> str:
    """Return a complete HTML document of `body_parts`; plain strings become paragraphs."""
    under = Markup(f'<p class="subtitle">{escape(subtitle)}</p>') if subtitle else ""
    end = f"<footer>{escape(footer)}</footer>" if footer else ""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8"/>',
            '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
            f"<header><h1>{escape(title)}</h1>{under}</header>",
            f"<main>{_joined(body_parts)}</main>{end}",
            f"<script>{SCRIPT}</script></body></html>\n",
        ]
    )


def section(heading: str, *parts: str) -> Markup:
    """Return `parts` under a heading; empty ones are left out, none at all gives nothing."""
    inner = _joined(parts)
    return Markup(f"<section><h2>{escape(heading)}</h2>{inner}</section>" if inner else "")


def chapters(parts: Sequence[tuple[str, Sequence[str]]]) -> list[Markup]:
    """Return several bodies one after the other, with a table of contents.

    Headings inside a chapter go down one level.
    """
    if not parts:
        return []
    links = "".join(
        f'<li><a href="#chapter{i}">{escape(heading)}</a></li>'
        for i, (heading, _) in enumerate(parts, 1)
    )
    made = [Markup(f'<nav aria-label="Contents"><ol class="contents">{links}</ol></nav>')]
    for i, (heading, body) in enumerate(parts, 1):
        inner = _joined(body).replace("<h2>", "<h3>").replace("</h2>", "</h3>")
        made.append(
            Markup(
                f'<section class="chapter" id="chapter{i}"><h2>{escape(heading)}</h2>'
                f"{inner}</section>"
            )
        )
    return made


def paragraph(text: str, *, quiet: bool = False) -> Markup:
    """Return one paragraph."""
    css = ' class="quiet"' if quiet else ""
    return Markup(f"<p{css}>{_inner(text)}</p>")


def callout(sentence: str, kind: Kind = "neutral", *, minor: bool = False) -> Markup:
    """Return one sentence that must not be overlooked: a verdict, or (`minor`) a warning."""
    extra = " minor" if minor else ""
    return Markup(
        f'<div class="callout {kind}{extra}"><span class="sign" aria-hidden="true">'
        f"{_SIGNS[kind]}</span><p>{_inner(sentence)}</p></div>"
    )


def notes_list(notes: Sequence[str]) -> Markup:
    """Return warnings, one box each."""
    return Markup("".join(callout(note, "neutral", minor=True) for note in notes))


def facts(pairs: Iterable[tuple[str, Any]], *, css: str = "facts") -> Markup:
    """Return labels with their values; pairs without a value (None, empty) are left out."""
    items = "".join(
        f"<dt>{escape(label)}</dt><dd>{_inner(value)}</dd>"
        for label, value in pairs
        if value is not None and value != ""
    )
    return Markup(f'<dl class="{css}">{items}</dl>' if items else "")


def folded(summary: str, *parts: str) -> Markup:
    """Return `parts` behind a line that opens them; printed open."""
    inner = _joined(parts)
    return Markup(
        f"<details><summary>{escape(summary)}</summary>{inner}</details>" if inner else ""
    )


def figure(svg_or_png: str, caption: str = "", alt: str = "", width_px: int = 0) -> Markup:
    """Return a drawing (``<svg …>`` of `figures`) or a picture (``data:`` address) with caption.

    A picture takes `width_px` at most, 0 = the whole width of a drawing.

    Raises
    ------
    ValueError
        If it is neither: a page must not depend on files.
    """
    if svg_or_png.startswith("<svg"):
        inner = svg_or_png
    elif svg_or_png.startswith("data:image/"):
        wide = f' style="max-width:{width_px}px"' if width_px else ""
        inner = f'<img src="{escape(svg_or_png)}" alt="{escape(alt or caption)}"{wide}/>'
    else:
        raise ValueError(
            "A figure of a report must be an SVG element or a data: address, found "
            f"{svg_or_png[:40]!r}."
        )
    under = f"<figcaption>{_inner(caption)}</figcaption>" if caption else ""
    return Markup(f"<figure>{inner}{under}</figure>")


def side_by_side(*parts: str) -> Markup:
    """Return figures beside each other where there is room."""
    inner = _joined(parts)
    return Markup(f'<div class="figures">{inner}</div>' if inner else "")


def table(
    columns: Mapping[str, str] | Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    formats: Mapping[str, Callable[[Any], str]] | None = None,
    total: Mapping[str, Any] | None = None,
    caption: str = "",
    empty: str = "No images.",
    most: int = MOST_ROWS,
) -> Markup:
    """Return a table; the first column names the row.

    Parameters
    ----------
    columns : keys in order, with the heading of each, or keys that are their own heading.
    rows : values by key; a missing one is a dash, `Markup` goes in as it is.
    formats : how to write a column's values; others are written by their type.
    total : a last row set apart.
    empty : said instead of a table without rows.
    most : rows written out; the others are counted below.
    """
    if not rows:
        return paragraph(empty, quiet=True)
    if not hasattr(columns, "items"):
        columns = {key: key for key in columns}
    heads: Mapping[str, str] = columns  # type: ignore[assignment]
    numeric = {key: _numeric(rows, key) for key in heads}
    formats = formats or {}
    body = "".join(_row(heads, row, formats, numeric) for row in rows[:most])
    if total is not None:
        body += _row(heads, total, formats, numeric, ' class="total"')
    more = len(rows) - most
    if more > 0:
        caption = f"{caption} {wording.count_of(more, 'more row')} not shown.".strip()
    under = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Markup(
        f'<div class="scroll"><table>{under}<thead><tr>{_heads(heads, numeric)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def side_tables(
    first: Mapping[str, str],
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    **more: Any,
) -> Markup:
    """Return as many tables as `columns` need to fit on a printed page, each behind `first`.

    Parameters
    ----------
    first, columns : keys in order, with the heading of each.
    more : as `table` takes it.
    """
    n = max(math.ceil(len(columns) / MOST_COLUMNS), 1)
    most = math.ceil(len(columns) / n)  # so that none has one column only
    keys = list(columns)
    parts = [keys[i : i + most] for i in range(0, len(keys), most)] or [[]]
    made = [table({**first, **{k: columns[k] for k in part}}, rows, **more) for part in parts]
    return Markup("".join(made))


def _heads(heads: Mapping[str, str], numeric: Mapping[str, bool]) -> str:
    return "".join(
        f'<th scope="col"{_align(numeric[key])}>{_breakable(escape(heading), heading, LONG_HEADING)}</th>'
        for key, heading in heads.items()
    )


def _numeric(rows: Sequence[Mapping[str, Any]], key: str) -> bool:
    values = [row[key] for row in rows if row.get(key) is not None]
    return bool(values) and all(
        isinstance(v, float)
        or wording.is_number(v)
        or (isinstance(v, str) and _FIGURE.fullmatch(v))
        for v in values
    )


def _row(
    heads: Mapping[str, str],
    row: Mapping[str, Any],
    formats: Mapping[str, Callable[[Any], str]],
    numeric: Mapping[str, bool],
    css: str = "",
) -> str:
    cells = []
    for index, key in enumerate(heads):
        value = row.get(key)
        if value is not None and not isinstance(value, Markup) and key in formats:
            value = formats[key](value)
        tag = 'th scope="row"' if index == 0 else "td"
        cells.append(f"<{tag}{_align(numeric[key])}>{_breakable(_inner(value), value)}</{tag[:2]}>")
    return f"<tr{css}>{''.join(cells)}</tr>"


def _align(numeric: bool) -> str:  # noqa: FBT001
    return ' class="n"' if numeric else ""


def _inner(value: Any) -> str:
    return value if isinstance(value, Markup) else escape(wording.plain(value))


def _breakable(text: str, value: Any, most: int = LONG_NAME) -> str:
    """Let a long name break after ``_``, ``/`` and ``-``, so that it does not stretch its column."""
    if isinstance(value, Markup) or len(text) <= most:
        return text
    return re.sub(r"([_/\\-])", r"\1<wbr/>", text)


def _joined(parts: Iterable[str]) -> str:
    return "".join(p if isinstance(p, Markup) else str(paragraph(p)) for p in parts if p)
