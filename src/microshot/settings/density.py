"""The knobs of the task *count*: which counter, and those of all but the Twin-VAE."""

from __future__ import annotations

from dataclasses import dataclass

from microshot.knobs import Choice, knob, section

COUNTERS = {
    "auto": Choice("Automatic", "The density counter."),
    "density": Choice(
        "Density map",
        "Says where objects are and adds them up. Learns from label images, from points and from "
        "plain counts; counts images of any size, also more objects than it has seen.",
    ),
    "twin-vae": Choice(
        "Twin-VAE",
        "The published network of two branches for real and synthetic images. Needs nothing but "
        "counts; for small images of one size with few objects.",
    ),
    "watershed": Choice(
        "Watershed",
        "No network: a threshold and a watershed, their numbers found by trying a grid on the counted "
        "images. A baseline that learned counters should beat. Does not use synthetic images.",
    ),
    "frozen-cnn": Choice(
        "Frozen network",
        "Fits a line to the features of a published network that does not learn, from a file on "
        "this machine. A baseline that takes seconds. Does not use synthetic images.",
    ),
}


@dataclass(frozen=True)
class DensitySettings:
    """Settings of the density counter."""

    spread: float = knob(
        0.0, "Spread of an object", "Standard deviation of the spot that stands for an object in "
        "the density map, as a part of the object's diameter; 0 = as the preset says.",
        minimum=0.0, maximum=1.0, advanced=True,
    )  # fmt: skip
    count_weight: float = knob(
        0.0, "Weight of the count", "How much the sum over a crop matters beside where the objects "
        "lie, for images with labels or points; 0 = as the preset says.",
        minimum=0.0, maximum=100.0, advanced=True,
    )  # fmt: skip


@dataclass(frozen=True)
class CountSettings:
    """How objects are counted."""

    architecture: str = knob("auto", "Counter", "How objects are counted.", choices=COUNTERS)
    frozen_weights: str = knob(
        "", "Weights of the frozen network", "A file with the weights of a ResNet-18, -34 or -50 or of "
        "a plain U-Net (.safetensors, .pth or .pt). Nothing in it is run, and the model file takes the "
        "weights over. In a workflow, a relative path is taken from its data area.",
        show_if=("architecture", ("frozen-cnn",)), file=True,
    )  # fmt: skip
    density: DensitySettings = section(
        DensitySettings, "Density map", "The density counter.", advanced=True,
        show_if=("architecture", ("auto", "density")),
    )  # fmt: skip
