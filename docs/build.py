"""Writes `nodes.md`, what every node says of itself in KNIME, and pictures of the example workflows.

`python3 dev.py docs` runs it after the workflows are built; a test says when something is out of
date. PNG pictures in `img` are views rendered by a browser, named after the node's id.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microshot.headless import standin
from microshot.headless.standin import settings
from microshot.headless.standin.groups import Group
from microshot.headless.workflow_reader import read_workflow

if TYPE_CHECKING:
    from microshot.headless.standin.host import NodeInfo

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "nodes.md"
#: In the order in which a workflow uses them.
ORDER = (
    "read_images", "generate_synthetic", "train", "retrain", "predict", "translate", "score",
    "suggest", "read_model", "write_model", "write_labels",
)  # fmt: skip
INTRODUCTION = """\
# The nodes

What each node says of itself in KNIME, with its ports and the settings of its dialog. This page is
written by `python3 dev.py docs` from the nodes themselves. The pictures are views of the example
workflows *few-shot-segmentation* and, of *Score*, *count-transfer*; the model card is a starter model's.
"""


def page() -> str:
    """Return the page as Markdown.

    Raises
    ------
    ValueError
        If a node is missing in `ORDER`.
    """
    standin.install()
    host = standin.Host(ROOT)
    if missing := set(host.nodes) ^ set(ORDER):
        raise ValueError(f"docs/build.py: give these nodes a place in ORDER: {sorted(missing)}.")
    nodes = [host.nodes[node_id] for node_id in ORDER]
    contents = "\n".join(f"- [{n.name}](#{_anchor(n.name)}): {n.short_description}" for n in nodes)
    return "\n\n".join([INTRODUCTION, contents, *map(_node, nodes)]) + "\n"


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-")


def _node(node: NodeInfo) -> str:
    parts = [f"## {node.name}", f"![](../{node.icon_path}) {node.short_description}"]
    picture = PAGE.parent / "img" / f"{node.id}.png"
    parts.append(_dedented(node.full_description))
    if picture.is_file():
        title = node.view.name if node.view else node.name
        parts.append(f"![{title}](img/{picture.name})")
    parts += [_ports("Inputs", node.input_ports), _ports("Outputs", node.output_ports, node.view)]
    parts.append(_parameters(node.make()))
    return "\n\n".join(part for part in parts if part)


def _dedented(text: str) -> str:
    """Return a docstring without the indentation of its lines, the first excepted."""
    lines = text.expandtabs().splitlines()
    margins = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    margin = min(margins, default=0)
    return "\n".join(line[margin:].rstrip() for line in lines).strip()


def _ports(heading: str, ports: Any, view: Any = None) -> str:
    lines = [
        f"- *{port.name}*{' (optional)' if _is_optional(port) else ''}: {_line(port.description)}"
        for port in ports
    ]
    if view is not None:
        lines.append(f"- view *{view.name}*: {_line(view.description)}")
    return "\n".join([f"**{heading}**", "", *lines]) if lines else ""


def _is_optional(port: Any) -> bool:
    return bool(getattr(port, "optional", False))


def _parameters(made: Any) -> str:
    rows = _rows(made)
    if not rows:
        return ""
    table = ["| setting | what it does | default |", "|---|---|---|", *rows]
    return "\n".join(["<details><summary>Settings</summary>", "", *table, "", "</details>"])


def _rows(holder: Any) -> list[str]:
    """Return a row per setting, those of a section below its name."""
    rows = []
    for entry in settings.entries(holder).values():
        if isinstance(entry, Group):
            rows += [f"| **{_cell(entry._label)}** | | |", *_rows(entry._of(holder))]
            continue
        advanced = " *(advanced)*" if entry._is_advanced else ""
        told = _cell(entry.__doc__) + _options(entry)
        rows.append(f"| {_cell(entry._label)}{advanced} | {told} | {_default(entry)} |")
    return rows


def _options(entry: Any) -> str:
    """Return the choices of a setting with what each means."""
    return "".join(
        f"<br/>*{_cell(m.label)}*: {_cell(m.description)}" for m in _members(entry).values()
    )


def _members(entry: Any) -> dict[str, Any]:
    return getattr(entry, "_enum", None) or {}


def _default(entry: Any) -> str:
    value = entry._default_value
    if callable(value) or value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    named = {name: member.label for name, member in _members(entry).items()}
    if isinstance(value, (list, tuple)):
        return _cell(", ".join(named.get(str(v), str(v)) for v in value))
    return _cell(named.get(str(value), f"{value:g}" if isinstance(value, float) else str(value)))


def _cell(text: str | None) -> str:
    return _line(text or "").replace("|", "\\|")


def _line(text: str) -> str:
    return " ".join(text.split())


def canvases() -> dict[Path, str]:
    """Return a drawing of every example workflow by the file that it belongs into."""
    sys.path.insert(0, str(ROOT / "docs"))
    from canvas import picture

    folders = sorted(path.parent for path in (ROOT / "workflows").glob("*/workflow.knime"))
    image = PAGE.parent / "img"
    return {image / f"{f.name}.svg": picture(read_workflow(f), ROOT / "icons") for f in folders}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    for path, drawing in canvases().items():
        path.write_text(drawing, encoding="utf-8")
