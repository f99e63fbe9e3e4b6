"""Draw the extension's PNG icons from their SVG sources: `python icons/render.py`.

Needs resvg-py (`pip install resvg-py==0.5.0`, a wheel without system libraries); nothing else in
the project does. `rsvg-convert -w 32 src/NAME.svg -o NAME.png` (16 for the
category) draws the same shapes with slightly other edge pixels.
"""
# /// script
# requires-python = ">=3.11"
# dependencies = ["resvg-py==0.5.0"]
# ///

# The family: 32 x 32 grid, no text. A cell is a white disc with a dark rim (#16213c) and a magenta
# nucleus (#d6146e); greys stand for what is not yet labelled or stained. Magenta never touches the
# ground, only white, grey or dark, so that it reads on every colour KNIME gives a node. Straight
# rims are 2 units wide and lie on even coordinates: sharp also when halved to 16 pixels.

from __future__ import annotations

from pathlib import Path

import resvg_py

ICONS = Path(__file__).parent
SIZES = {"category": 16}  # KNIME wants 16 pixels for a category; nodes get 32
NODE_SIZE = 32


def main() -> None:
    for source in sorted((ICONS / "src").glob("*.svg")):
        size = SIZES.get(source.stem, NODE_SIZE)
        png = resvg_py.svg_to_bytes(
            svg_path=str(source), width=size, height=size, skip_system_fonts=True
        )
        (ICONS / f"{source.stem}.png").write_bytes(bytes(png))


if __name__ == "__main__":
    main()
