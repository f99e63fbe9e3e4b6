"""Draws a saved workflow as it lies on KNIME's canvas, as SVG, without KNIME."""

from __future__ import annotations

import base64
import textwrap
from html import escape
from typing import TYPE_CHECKING

from microshot.headless.workflow import ExtensionNode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from microshot.headless.workflow import Annotation, Connection, Workflow, WorkflowNode

SIDE, MARGIN = 40, 70
#: Distance between two ports of a node, and between two lines of text.
PORT_STEP, LINE = 14, 14
_COLOURS = {
    "read_images": "#d7532f", "generate_synthetic": "#d7532f", "read_model": "#d7532f",
    "train": "#74a32b", "retrain": "#74a32b", "predict": "#74a32b", "translate": "#74a32b",
    "write_model": "#b33a3a", "write_labels": "#b33a3a",
}  # fmt: skip
_SPACE = "&#160;"
#: Of nodes that only show or compare.
_OTHER = "#3c7fb5"


def picture(workflow: Workflow, icons: Path) -> str:
    """Return a workflow as a drawing; the same workflow gives the same text.

    Parameters
    ----------
    icons : folder with ``<node id>.png``; they are put into the drawing.
    """
    parts = [_note(one) for one in workflow.annotations]
    parts += [_line(workflow, one) for one in workflow.connections if one.carries_data]
    parts += [_node(one, workflow, icons) for one in workflow.nodes]
    left, top, right, bottom = _bounds(workflow)
    size = f'width="{right - left}" height="{bottom - top}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
        f'viewBox="{left} {top} {right - left} {bottom - top}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="11">\n'
        f'<rect x="{left}" y="{top}" width="100%" height="100%" fill="#ffffff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _bounds(workflow: Workflow) -> tuple[int, int, int, int]:
    xs = [n.position[0] for n in workflow.nodes]
    ys = [n.position[1] for n in workflow.nodes]
    notes = workflow.annotations
    left = min([x - MARGIN for x in xs] + [a.x - 10 for a in notes])
    right = max([x + SIDE + MARGIN for x in xs] + [a.x + a.width + 10 for a in notes])
    top = min([y - MARGIN for y in ys] + [a.y - 10 for a in notes])
    bottom = max([y + SIDE + MARGIN for y in ys] + [a.y + a.height + 10 for a in notes])
    return left, top, right, bottom


def _note(note: Annotation) -> str:
    lines = []
    for paragraph in note.text.splitlines():
        lines += textwrap.wrap(paragraph, round(note.width / 5.6)) or [""]
    spans = [
        f'<tspan x="{note.x + 8}" dy="{LINE}"{_bold(wanted=i == 0)}>{escape(text) or _SPACE}</tspan>'
        for i, text in enumerate(lines)
    ]
    height = max(note.height, LINE * len(lines) + 12)
    return (
        f'<rect x="{note.x}" y="{note.y}" width="{note.width}" height="{height}" '
        f'fill="#{note.background:06x}" stroke="#{note.border:06x}" stroke-width="2"/>'
        f'<text y="{note.y + 4}">{"".join(spans)}</text>'
    )


def _bold(*, wanted: bool) -> str:
    return ' font-weight="bold"' if wanted else ""


def _ports(numbers: Iterable[int]) -> list[int]:
    return sorted({n for n in numbers if n > 0})


def _port_y(node: WorkflowNode, number: int, numbers: list[int]) -> float:
    """Return where a port lies; the ports in use are spread around the middle of the node."""
    place = numbers.index(number) - (len(numbers) - 1) / 2
    return node.position[1] + SIDE / 2 + PORT_STEP * place


def _used(workflow: Workflow, node: WorkflowNode) -> tuple[list[int], list[int]]:
    lines = workflow.connections
    entering = _ports(one.destination_port for one in lines if one.destination == node.id)
    return entering, _ports(one.source_port for one in lines if one.source == node.id)


def _line(workflow: Workflow, line: Connection) -> str:
    source, target = workflow.node(line.source), workflow.node(line.destination)
    x0, x1 = source.position[0] + SIDE + 6, target.position[0] - 6
    y0 = _port_y(source, line.source_port, _used(workflow, source)[1])
    y1 = _port_y(target, line.destination_port, _used(workflow, target)[0])
    bend = max(24, abs(x1 - x0) / 2)
    return (
        f'<path d="M{x0} {y0:g} C{x0 + bend:g} {y0:g} {x1 - bend:g} {y1:g} {x1} {y1:g}" '
        'fill="none" stroke="#8f8f8f" stroke-width="1.5"/>'
    )


def _node(node: WorkflowNode, workflow: Workflow, icons: Path) -> str:
    x, y = node.position
    kind = node.kind
    colour = _COLOURS.get(kind.node_id, _OTHER) if isinstance(kind, ExtensionNode) else _OTHER
    entering, leaving = _used(workflow, node)
    parts = [f'<rect x="{x}" y="{y}" width="{SIDE}" height="{SIDE}" rx="5" fill="{colour}"/>']
    if isinstance(kind, ExtensionNode):
        data = base64.b64encode((icons / f"{kind.node_id}.png").read_bytes()).decode()
        parts.append(
            f'<image x="{x + 4}" y="{y + 4}" width="32" height="32" '
            f'href="data:image/png;base64,{data}"/>'
        )
    else:
        rows = "".join(f"M{x + 8} {y + dy} h24 " for dy in (10, 17, 24, 31))
        parts.append(f'<path d="{rows}" stroke="#ffffff" stroke-width="3"/>')
    sides = [(x - 6, _port_y(node, n, entering)) for n in entering]
    sides += [(x + SIDE, _port_y(node, n, leaving)) for n in leaving]
    parts += [f'<path d="M{px} {py - 5:g} l6 5 l-6 5 z" fill="#404040"/>' for px, py in sides]
    middle = x + SIDE // 2
    above = textwrap.wrap(node.name, 18)
    parts += [
        _words(middle, y - 6 - LINE * (len(above) - 1 - i), text, strong=True)
        for i, text in enumerate(above)
    ]
    below = textwrap.wrap(node.label, 22)
    parts += [_words(middle, y + SIDE + LINE * (i + 1), text) for i, text in enumerate(below)]
    return "".join(parts)


def _words(x: int, y: int, text: str, *, strong: bool = False) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="middle"{_bold(wanted=strong)}>{escape(text)}</text>'
