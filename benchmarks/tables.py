"""Writes the tables and the figure of `benchmarks/README.md` from the files in `results/`.

    python benchmarks/tables.py

Between two marker comments of the README the text is replaced; the rest is written by hand.
"""

from __future__ import annotations

import re
from pathlib import Path

import choosing_tables
import counting_tables
import rate_tables
import reliability_tables
import segmenting_tables
import speed_tables
import starting_tables
import translating_tables
import trust_tables

README = Path(__file__).resolve().parent / "README.md"
GROUPS = (
    segmenting_tables,
    rate_tables,
    counting_tables,
    translating_tables,
    starting_tables,
    choosing_tables,
    trust_tables,
    speed_tables,
    reliability_tables,
)


def main() -> None:
    """Replace every marked part of the README."""
    text = README.read_text(encoding="utf-8")
    for name, make in ((n, m) for group in GROUPS for n, m in group.PARTS.items()):
        pattern = re.compile(rf"<!-- {name} -->\n.*?<!-- end -->", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f'{README}: the markers of the table "{name}" are missing.')
        start, end = f"<!-- {name} -->\n", "\n<!-- end -->"
        text = pattern.sub((start + make() + end).replace("\\", r"\\"), text)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
