"""Pairs of imaging techniques to transfer a counter between: images, counts, splits, synthetic images."""

from __future__ import annotations

import csv
import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from measuring import folder_of

from microshot.data.dataset import Dataset, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Decides which images are never trained on, for all seeds.
SPLIT_SEED = 2026
#: Images that settings are tuned on, and those that are reported.
N_DEVELOPMENT, N_TEST = 300, 458
#: Layouts of cells that settings are tuned on, and those that are reported; of 18.
N_DEVELOPMENT_LAYOUTS, N_TEST_LAYOUTS = 3, 6
#: Side of all images in px.
SIDE = 128
#: Images of the target technique that are looked at to generate images like them.
N_REFERENCE = 40
SIZE = (SIDE, SIDE)


@dataclass(frozen=True)
class Pair:
    """Two techniques, from one to the other."""

    source: Dataset
    """Counted images of the technique that is known."""
    pool: Dataset
    """Images of the new technique; few of them count as counted, the others as not counted."""
    development: Dataset
    test: Dataset
    scenes: tuple[str, str]
    """Kinds of synthetic images for both techniques."""
    balanced: bool
    """Whether counts are drawn evenly: each occurs equally often."""

    def few(self, n: int, seed: int) -> tuple[Dataset, Dataset]:
        """Draw `n` counted images of the new technique; return them and all the others."""
        order = np.random.default_rng((seed, n)).permutation(len(self.pool))
        if self.balanced:  # neither 4 times the same count nor 4 blurs of the same layout
            order = _one_of_each(order, [s.count for s in self.pool])
        return self.pool.take(order[:n].tolist()), self.pool.take(order[n:].tolist())

    def scored(self, part: str) -> Dataset:
        """Return the images of a part, ``development`` or ``test``."""
        return self.development if part == "development" else self.test


def _one_of_each(order: np.ndarray, counts: Sequence[float | None]) -> np.ndarray:
    """Reorder `order` so that every count comes once before any comes twice."""
    seen: dict[float | None, int] = {}
    turn = []
    for index in order:
        seen[counts[index]] = seen.get(counts[index], -1) + 1
        turn.append(seen[counts[index]])
    return order[np.argsort(turn, kind="stable")]


@functools.cache
def pair(name: str) -> Pair:
    """Return a pair by its name, ``stains`` or ``phase to bright``.

    Raises
    ------
    FileNotFoundError
        If the data are not there.
    """
    return {"stains": _stains, "phase to bright": _phase_to_bright}[name]()


def _stains() -> Pair:
    """Simulated cells in two stains; the same layouts occur in all blurs and both stains."""
    data, rows = read("count_bbbc005")
    layouts = sorted({row["layout_sample"] for row in rows}, key=int)
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(layouts).tolist()
    test, rest = shuffled[:N_TEST_LAYOUTS], shuffled[N_TEST_LAYOUTS:]
    development, training = rest[:N_DEVELOPMENT_LAYOUTS], rest[N_DEVELOPMENT_LAYOUTS:]

    def part(stain: str, among: Sequence[str]) -> Dataset:
        chosen = zip(data, rows, strict=True)
        return Dataset.of(
            s for s, r in chosen if r["stain"] == stain and r["layout_sample"] in among
        )

    scene = "fluorescence-nuclei"
    return Pair(
        part("1", training), part("2", training), part("2", development), part("2", test),
        (scene, scene), balanced=True,
    )  # fmt: skip


def _phase_to_bright() -> Pair:
    """Tiles of adherent cells in phase contrast, then suspended cells in bright field."""
    source, _ = read("count_phc_usiigaci")
    target, _ = read("count_bf_suspension")
    order = np.random.default_rng(SPLIT_SEED).permutation(len(target)).tolist()
    test, rest = order[:N_TEST], order[N_TEST:]
    development, training = rest[:N_DEVELOPMENT], rest[N_DEVELOPMENT:]
    return Pair(
        source, target.take(training), target.take(development), target.take(test),
        ("phase-contrast", "bright-field"), balanced=False,
    )  # fmt: skip


def read(name: str) -> tuple[Dataset, list[dict[str, str]]]:
    """Return the images of a data set, see `folder_of`, with their counts, and the rows of its table."""
    from microshot.data.read import read_image

    folder = folder_of(name)
    with (folder / "labels.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    samples = [
        Sample(row["file"], read_image(folder / "images" / row["file"]), count=float(row["count"]))
        for row in rows
    ]
    return Dataset.of(samples), rows


def uncounted(data: Dataset) -> Dataset:
    """Return the same images without their counts."""
    return Dataset.of(dataclasses.replace(s, count=None) for s in data)


def synthetic(scene: str, n: int, seed: int, like: Dataset | None = None) -> Dataset:
    """Return synthetic images with counts and labels, in the look of images `like` these if given."""
    from microshot.synth.generator import generate
    from microshot.synth.reference import fit_reference

    if like is None:
        return generate(scene, n, seed, size_px=SIZE)
    reference = fit_reference([s.image.pixels for s in like], counts=[s.count for s in like])
    return generate(scene, n, seed, size_px=SIZE, reference=reference, count_law="reference")
