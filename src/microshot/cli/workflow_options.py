"""What the verbs for saved workflows understand: run, pack, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def _run(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("run", help="run a saved KNIME workflow without KNIME")
    verb.add_argument("workflow", type=Path, help="workflow folder or .knwf file")
    verb.add_argument("--out", type=Path, metavar="DIR", help="folder for tables, models, views")
    verb.add_argument(
        "--set", action="append", default=[], metavar="NODE.PARAMETER=VALUE",
        help='change a node\'s parameter; NODE is its name, label, id or "#number"',
    )  # fmt: skip


def _pack(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser(
        "pack", help="pack a workflow folder into one .knwf file, and say what others would lack"
    )
    verb.add_argument("workflow", type=Path, metavar="FOLDER", help="workflow folder")
    verb.add_argument("--overwrite", action="store_true", help="replace an existing file")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE",
                      help="file to write; the ending .knwf is added if it is missing")  # fmt: skip


def _demo(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("demo", help="the main job on real images, with a report to open")
    verb.add_argument("--out", type=Path, metavar="DIR", help="folder for results (demo-report)",
                      default=Path("demo-report"))  # fmt: skip


workflow_verbs = (_run, _pack, _demo)
