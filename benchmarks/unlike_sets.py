"""Images for the benchmark of unlike images, and models that are trained on some of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from measuring import CACHE, dataset, folder_of, once
from stained import cut, fields
from suggest import start_model

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset, Sample

#: Sets of other kinds with their technique; the same one is not unlike a set that names it.
OTHERS = {
    "dsb2018_fluo": "fluorescence",
    "usiigaci_phc": "phase contrast",
    "ctc_phc_u373": "phase contrast",
    "phc_bacteria_trpL": "phase contrast",
    "count_bf_suspension": "bright field",
    "bf2fluo_isl": "bright field",
}
N_OTHER, SIDE_PX = 6, 256
#: Side in px of the parts of a single field, and of generated images.
PART_PX, GENERATED_PX = 112, 128
GENERATED = "generated "
N_GENERATED, GENERATED_SEED = 160, 7
#: Minutes that a model learns to count or to translate: what it remembers of its images is the same
#: after more.
MINUTES = 0.1


@dataclass(frozen=True)
class Scenario:
    """What a model was trained on."""

    data: str
    n: int
    model: str = ""
    """A kept model whose network is asked; empty = one that has seen generated images."""
    task: str = "segment"
    technique: str = ""
    """Of the images; others of the same technique are left out."""

    @property
    def others(self) -> list[str]:
        """Sets of other kinds."""
        return [k for k, v in OTHERS.items() if k != self.data and v != self.technique]


SCENARIOS = (
    Scenario("dsb2018_fluo", 48, "dsb2018_12_1"),
    Scenario("dsb2018_fluo", 4),
    Scenario("usiigaci_phc", 4),
    Scenario("ctc_phc_u373", 4),
    Scenario("count_bf_suspension", 40, task="count", technique="bright field"),
    Scenario("count_vgg_synthetic", 32, task="count", technique="fluorescence"),
    Scenario("count_bbbc005", 48, task="count", technique="fluorescence"),
    Scenario("generated bright-field", 120, task="count", technique="bright field"),
    Scenario("generated phase-contrast", 120, task="count", technique="phase contrast"),
    Scenario("bf2fluo_isl", 24, task="translate", technique="bright field"),
    Scenario("phc2dapi_cohen", 6, task="translate", technique="phase contrast"),
    Scenario("fluo3_aits", 8, task="translate", technique="fluorescence"),
    Scenario("generated adipocyte-stack", 48, task="translate", technique="bright field"),
)


def learned_and_like(scenario: Scenario, seed: int, n_like: int) -> tuple[Dataset, Dataset]:
    """Return the images to learn from, and others like them."""
    data = images(scenario)
    order = np.random.default_rng(seed).permutation(len(data)).tolist()
    n = scenario.n
    return data.take(order[:n]), data.take(order[n : n + n_like])


def images(scenario: Scenario) -> Dataset:
    """Return all images of a set with what the task needs; stacks with their middle plane alone."""
    from microshot.data.dataset import Dataset
    from microshot.data.read import read_dataset
    from microshot.synth.generator import generate

    name = scenario.data
    if name.startswith(GENERATED):
        kind, side = name.removeprefix(GENERATED), (GENERATED_PX, GENERATED_PX)
        found = generate(kind, N_GENERATED, GENERATED_SEED, size_px=side, noise="mixed")
        return found if scenario.task == "count" else Dataset.of(map(middle_plane, found))
    if scenario.task == "translate":
        whole = [middle_plane(field) for field in fields(name)]
        return Dataset.of(whole if len(whole) > 1 else parts(whole[0]))
    if scenario.task == "count":
        folder = folder_of(name)
        return read_dataset(folder / "images", folder / "labels.csv")[0]
    return dataset(name)


def middle_plane(sample: Sample) -> Sample:
    """Return a stack's middle plane and its first stain, as a translating model of one plane has it."""
    from microshot.data.image import Image

    assert sample.target is not None
    planes, stains = sample.image.pixels, sample.target
    middle = len(planes) // 2
    return dataclasses.replace(
        sample,
        image=Image(planes[middle : middle + 1]),
        target=Image(stains.pixels[:1], channels=stains.channels[:1]),
        labels=None,
        count=None,
    )


def parts(sample: Sample) -> list[Sample]:
    """Return squares of a field that do not overlap."""
    height, width = sample.image.shape
    return [
        cut(sample, np.s_[y : y + PART_PX, x : x + PART_PX], f"{sample.name} {y} {x}")
        for y in range(0, height - PART_PX + 1, PART_PX)
        for x in range(0, width - PART_PX + 1, PART_PX)
    ]


def pictures(name: str) -> list[Sample]:
    """Return some images of another set, first channel, cut to a square."""
    from microshot.data.dataset import Sample, spaced
    from microshot.data.image import Image
    from microshot.data.read import read_image

    folder = folder_of(name)
    pattern = "transmission*.tif" if name == "bf2fluo_isl" else "*"
    inner = folder / "images"
    files = sorted((inner if inner.is_dir() else folder).glob(pattern))
    found = []
    for file in (files[i] for i in spaced(range(len(files)), N_OTHER)):
        pixels = read_image(file).pixels[:1]
        for top in range(0, pixels.shape[1], SIDE_PX) if len(files) == 1 else (0,):
            part = pixels[:, top : top + SIDE_PX, :SIDE_PX]
            found.append(Sample(f"{file.name} {top}", Image(part)))
    return found[:N_OTHER]


def model(scenario: Scenario, learned: Dataset, seed: int) -> Bundle:
    """Return the model whose network is asked; those that count or translate learn from the images."""
    from microshot import api
    from microshot.bundle import Bundle
    from microshot.settings import OptimizerSettings, TrainSettings

    if scenario.model:
        return Bundle.load(CACHE / f"{scenario.model}.microshot")
    if scenario.task == "segment":
        return start_model(scenario.data, 0)
    training = OptimizerSettings(seed=seed, device="cpu")
    wish = TrainSettings(task=scenario.task, minutes=MINUTES, training=training)
    stem = f"unlike_{scenario.data.replace(' ', '_')}_{scenario.n}_{seed}"
    return once(stem, lambda: api.train(learned, wish).bundle)
