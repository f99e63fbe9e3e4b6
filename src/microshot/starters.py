"""The models that come with the extension, by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from microshot.knobs import Choice

if TYPE_CHECKING:
    import os

FOLDER = Path(__file__).resolve().parent / "models"

#: Name of each model (its file's stem) with what users are told of it. `benchmarks/starters.py`
#: makes the files.
STARTERS = {
    "nuclei-fluorescence": Choice(
        "Starter: fluorescent nuclei",
        "Segments bright nuclei on a dark background; learned from the 2018 Data Science Bowl.",
    ),
    "nuclei-fluorescence-fast": Choice(
        "Starter: fluorescent nuclei, fast",
        "The same with half as many features: finds as many nuclei and outlines them a little less "
        "exactly, in less than half the time.",
    ),
    "cells-generalist": Choice(
        "Starter: cells of any kind",
        "Segments; learned from generated scenes of all kinds, from real nuclei and from cells in phase "
        "contrast, bright and dark alike. Finds out how large they are; made for being "
        "retrained.",
    ),
    "cells-generalist-fast": Choice(
        "Starter: cells of any kind, fast",
        "The same with half as many features: misses a few more and outlines them a little less exactly, in "
        "two fifths of the time.",
    ),
    "cells-count": Choice(
        "Starter: counting small images",
        "Counts with a Twin-VAE; learned from the published generated bright-field and "
        "phase-contrast images, so retrain it on your own.",
    ),
    "cells-density": Choice(
        "Starter: counting images of any size",
        "Counts with a density map, as a start; learned from generated scenes of all kinds, from real nuclei "
        "and from cells in phase contrast, bright and dark alike. Finds out how large they are.",
    ),
    "virtual-stain": Choice(
        "Starter: virtual stains",
        "Translates seven bright-field planes to nuclei, lipids and cytoplasm; learned from "
        "generated fat cells only, so it is a start for retraining and no more.",
    ),
}
_TASKS = {"cells-count": "count", "cells-density": "count", "virtual-stain": "translate"}


def task_of(name: str) -> str:
    """Return the task of a starter model."""
    return _TASKS.get(name, "segment")


def path_of(model: str | os.PathLike[str]) -> Path:
    """Return the file of a model that is given by a starter's name or by its path.

    A file of that name in the working folder comes first.
    """
    path = Path(model)
    known = str(model) in STARTERS and not path.is_file()
    return FOLDER / f"{model}.microshot" if known else path
