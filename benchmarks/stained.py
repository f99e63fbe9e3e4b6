"""Pairs of transmitted light and stain for the benchmark of translation: what is learned from and
what is scored.

A set of one field is cut by columns into two images with a gap between them. Networks see the
two apart, so nothing reaches across, and the gap is wider than the reach of the plain U-Net
(46 px to either side) and than the structures.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from measuring import folder_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Dataset, Sample
    from microshot.data.image import Image


@dataclass(frozen=True)
class Pairs:
    """One data set: its files, how it is divided, and what resembles it."""

    planes: str
    """Ending of the file with the planes; what stands before it names the field."""
    stains: dict[str, str]
    """Ending of each stain's file by the name of the stain."""
    columns: tuple[int, int] = (0, 0)
    """Learned from up to the first, scored from the second; 0 = divided by fields."""
    crop_px: int = 256
    """Side of the four small images."""
    other: str = ""
    """The data set that a model to be retrained comes from."""
    n_learned: int = 10
    """Fields to learn from, where there are several."""


SETS = {
    "bf2fluo_isl": Pairs(
        "transmission_z7.tif",
        {"nuclei": "DAPI_CONFOCAL.tif", "lipids": "MAP2_CONFOCAL.tif",
         "cytoplasm": "NFH_CONFOCAL.tif"},
        (400, 496), other="adipocyte60x_fig",
    ),
    "phc2dapi_cohen": Pairs(
        "phase.tif", {"nuclei": "dapi.tif"}, (176, 224), crop_px=128, other="bf2fluo_isl"
    ),
    "adipocyte60x_fig": Pairs(
        "brightfield.png",
        {"nuclei": "target_nuclei.png", "lipids": "target_lipids.png",
         "cytoplasm": "target_cytoplasm.png"},
        (1056, 1184), other="bf2fluo_isl",
    ),
    "fluo3_aits": Pairs(
        "_cytoplasm.png", {"nuclei": "_nuclei.png", "lipids": "_vesicles.png"},
        other="adipocyte60x_fig",
    ),
}  # fmt: skip
N_GENERATED, SIDE_PX = 60, 256


def fields(name: str) -> list[Sample]:
    """Return every field of a data set with its stains, in the order of their names.

    Stains are called by the nearest one of the generated stacks, so that models can be handed
    from set to set: dendrites (MAP2) and vesicles as lipids, neurofilaments as cytoplasm.

    Raises
    ------
    FileNotFoundError
        If the data are not there.
    """
    from microshot.data.dataset import Sample
    from microshot.data.image import stack
    from microshot.data.read import read_image

    pairs, folder = SETS[name], folder_of(name)
    made = []
    for file in sorted(folder.glob(f"*{pairs.planes}")):
        field = file.name.removesuffix(pairs.planes)
        stains = [read_image(folder / f"{field}{ending}") for ending in pairs.stains.values()]
        target = stack(stains, list(pairs.stains))
        made.append(Sample(field or name, read_image(file), target=target))
    return made


def divided(name: str, seed: int) -> tuple[Dataset, Dataset]:
    """Return what is learned from and what is scored."""
    from microshot.data.dataset import Dataset

    samples, (end, start) = fields(name), SETS[name].columns
    if end:
        return Dataset.of([cut(samples[0], np.s_[:, :end])]), Dataset.of(
            [cut(samples[0], np.s_[:, start:])]
        )
    order = np.random.default_rng(seed).permutation(len(samples))
    n = SETS[name].n_learned
    every = Dataset.of(samples)
    return every.take(sorted(order[:n])), every.take(sorted(order[n:]))


def cut(sample: Sample, where: tuple[slice, slice], name: str = "") -> Sample:
    """Return a rectangle of a sample, with its stains and labels if it has any."""

    def part(one: Image) -> Image:
        return dataclasses.replace(one, pixels=np.ascontiguousarray(one.pixels[:, *where]))

    return dataclasses.replace(
        sample,
        name=name or sample.name,
        image=part(sample.image),
        target=None if sample.target is None else part(sample.target),
        labels=None if sample.labels is None else sample.labels[where],
    )


def four_crops(name: str, learned: Dataset, seed: int) -> Dataset:
    """Return four small squares that do not overlap, drawn from what is learned from."""
    from microshot.data.dataset import Dataset

    side, rng, places = SETS[name].crop_px, np.random.default_rng((seed, 4)), []
    for index, sample in enumerate(learned):
        height, width = sample.image.shape
        y0, x0 = rng.integers(0, [height % side + 1, width % side + 1])
        places += [
            (index, y, x)
            for y in range(int(y0), height - side + 1, side)
            for x in range(int(x0), width - side + 1, side)
        ]
    chosen = [places[i] for i in sorted(rng.permutation(len(places))[:4])]
    return Dataset.of(
        cut(learned[i], np.s_[y : y + side, x : x + side], f"crop {n}")
        for n, (i, y, x) in enumerate(chosen)
    )


def generated(like: str, seed: int) -> Dataset:
    """Return generated stacks with the planes and stains that a data set has.

    A set of one transmitted plane gets the middle one, just out of focus; the one that goes from stain
    to stain the stained cytoplasm.
    """
    from microshot.data.dataset import Dataset
    from microshot.synth.generator import generate

    wanted, first = list(SETS[like].stains), fields(like)[0]
    made = []
    for sample in generate("adipocyte-stack", N_GENERATED, seed, size_px=(SIDE_PX, SIDE_PX)):
        target = sample.target
        assert target is not None
        names = list(target.channels)
        kept = dataclasses.replace(
            target, pixels=target.pixels[[names.index(n) for n in wanted]], channels=tuple(wanted)
        )
        planes = sample.image.pixels
        if like == "fluo3_aits":
            planes = target.pixels[[names.index("cytoplasm")]]
        elif first.image.n_channels == 1:
            planes = planes[len(planes) // 2 + 1][None]
        image = dataclasses.replace(sample.image, pixels=planes, channels=())
        made.append(dataclasses.replace(sample, image=image, target=kept, labels=None))
    return Dataset.of(made)


def same_shape(data: Dataset, like: str) -> Dataset:
    """Return samples of another set with as many planes and the stains of the set `like`.

    Planes are left out, or the one there is repeated. A stain the other set lacks is replaced by
    its last.
    """
    from microshot.data.dataset import Dataset

    wanted, n = list(SETS[like].stains), fields(like)[0].image.n_channels
    made = []
    for sample in data:
        target = sample.target
        assert target is not None
        names = list(target.channels)
        chosen = [names.index(w) if w in names else len(names) - 1 for w in wanted]
        planes = sample.image.pixels[_planes(sample.image.n_channels, n)]
        made.append(
            dataclasses.replace(
                sample,
                image=dataclasses.replace(sample.image, pixels=planes, channels=()),
                target=dataclasses.replace(
                    target, pixels=target.pixels[chosen], channels=tuple(wanted)
                ),
            )
        )
    return Dataset.of(made)


def _planes(have: int, want: int) -> Sequence[int]:
    """Return which planes of `have` stand for `want`."""
    if want == 1:
        return [have // 2]
    return [round(i * (have - 1) / (want - 1)) for i in range(want)]
