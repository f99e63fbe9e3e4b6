"""Knobs of the task *translate*: what a user can choose beyond the settings of every task."""

from __future__ import annotations

from dataclasses import dataclass

from microshot.knobs import AUTO, Choice, knob
from microshot.settings.learning import DEVICE, TILE

TASK = Choice(
    "Translate bright field to fluorescence",
    "Predict stains from bright-field planes. Needs images with the measured stain beside them.",
)
#: The published systems, beside the presets that every task has.
PRESETS = {
    "nuclei": Choice(
        "Nuclei",
        "The published system for nuclei: masks of the nuclei teach beside the stain where the "
        "table has them. Hours on a graphics card.",
    ),
    "lipids": Choice(
        "Lipids",
        "The published system for lipid droplets: a second network learns to tell made from real "
        "stains, which sharpens fine detail. A day on a graphics card.",
    ),
    "cytoplasm": Choice(
        "Cytoplasm", "As for lipids, with ten times the weight on edges and fewer epochs."
    ),
}


@dataclass(frozen=True)
class TranslationTraining:
    """How a stain is learned; the same for training and retraining."""

    objective: str = knob(
        "auto", "What is learned", "How a predicted stain is compared with the measured one.",
        choices={
            "auto": AUTO,
            "l2": Choice("Squared error", "Large differences count most; learns fastest."),
            "l1": Choice("Absolute error", "The mean difference; steady, but slow on sparse stains."),
            "l1-gradient": Choice("Absolute error and edges", "Sharper edges of small structures."),
            "foreground": Choice(
                "Absolute error, stain weighted",
                "Stained pixels count up to five times as much as dark ones: for sparse stains.",
            ),
            "nuclei": Choice(
                "With masks of nuclei", "The published loss for nuclei; for the network with two "
                "decoders.",
            ),
            "adversarial": Choice(
                "With an adversary",
                "A second network learns to tell made from real stains. For fine detail; needs "
                "many images and much time.",
            ),
        },
    )  # fmt: skip
    gradient_weight: float = knob(
        -1.0, "Weight of edges", "-1 = as the preset says (lipids 10, cytoplasm 100, else 5).",
        minimum=-1.0, maximum=1000.0, advanced=True,
    )  # fmt: skip
    adversarial_weight: float = knob(
        -1.0, "Weight of the adversary", "-1 = as the preset says (0.01).",
        minimum=-1.0, maximum=10.0, advanced=True, show_if=("objective", ("auto", "adversarial")),
    )  # fmt: skip
    adversary_rate: float = knob(
        0.0, "Learning rate of the adversary", "0 = as the preset says (0.000001); slower than "
        "the network it judges.", minimum=0.0, maximum=1.0, advanced=True,
        show_if=("objective", ("auto", "adversarial")),
    )  # fmt: skip
    adversary_field: str = knob(
        "142", "The adversary looks at (px)", "Side of the patch that one judgement is made on.",
        choices={
            "142": Choice("142", "Four halvings, as in the released code."),
            "70": Choice("70", "Three halvings, as in the report's text."),
        },
        advanced=True, show_if=("objective", ("auto", "adversarial")),
    )  # fmt: skip
    selection: str = knob(
        "loss", "Keep the state with the best", "Score on held-out images that decides which "
        "state of the training is kept. Where there are none, as in retraining and with fewer than 8 "
        "images, the last one is.",
        choices={
            "loss": Choice("Loss", "The weighted sum that is learned, without the adversary."),
            "pixel": Choice("Pixel score", "Mean error over the stain's median."),
            "feature": Choice(
                "Feature score",
                "Error of what an analysis measures: number, shape and light of nuclei, cells and "
                "lipid droplets, defects, granularity. Takes time after every epoch.",
            ),
            "both": Choice("Both scores", "Mean of pixel score and feature score."),
        },
        advanced=True,
    )  # fmt: skip
    registration: str = knob(
        "check", "Planes and stains lie", "Cameras and filters shift and stretch stains against "
        "bright field; a network then learns blurred stains.",
        choices={
            "check": Choice(
                "Check only", "Measure the shift of every image and warn where it is large."
            ),
            "shift": Choice("Correct shifts", "Shift every stain onto its planes."),
            "affine": Choice(
                "Correct shifts and scale",
                "Also undo a stretch and a turn that all images share, and cut off the edges.",
            ),
            "off": Choice("No check", "Take them as they are."),
        },
    )  # fmt: skip
    save_memory: str = knob(
        "auto", "Save memory", "Compute features of dense networks twice instead of keeping them.",
        choices={
            "auto": Choice("Automatic", "For large crops."),
            "yes": Choice("Yes", "Half the memory or less, a third more time; same result."),
            "no": Choice("No", "Fastest."),
        },
        advanced=True,
    )  # fmt: skip


@dataclass(frozen=True)
class TranslationSettings(TranslationTraining):
    """A translation model trained from scratch: also its shape and the range of the stains."""

    network: str = knob(
        "auto", "Network", "What turns bright-field planes into stains.",
        choices={
            "auto": AUTO,
            "unet": Choice("U-Net", "Plain and fast; best on a CPU."),
            "dense-unet": Choice("Dense U-Net", "The published network for lipids and cytoplasm."),
            "lupi-unet": Choice(
                "Dense U-Net with masks",
                "The published network for nuclei; also predicts where nuclei are. Needs label "
                "images for training.",
            ),
            "res-unet": Choice("Res-U-Net", "U-Net of residual blocks with batch normalisation."),
        },
    )  # fmt: skip
    width: int = knob(
        0, "Width", "Features of the first level; 0 = as the preset says.", minimum=0, maximum=256
    )
    depth: int = knob(
        0, "Depth", "How often the network halves the image; 0 = as the preset says.",
        minimum=0, maximum=6,
    )  # fmt: skip
    growth: int = knob(
        0, "Growth", "Features that each dense layer adds; 0 = as the preset says (fast 6, else 12).",
        minimum=0, maximum=64,
        show_if=("network", ("auto", "dense-unet", "lupi-unet")),
    )  # fmt: skip
    layers: int = knob(
        0, "Layers", "Dense layers per block; 0 = 4.", minimum=0, maximum=12,
        show_if=("network", ("auto", "dense-unet", "lupi-unet")),
    )  # fmt: skip
    attention: str = knob(
        "sum", "Attention", "How the stain takes in what the network knows of the mask.",
        choices={
            "sum": Choice("Sum", "As in the released code."),
            "multiply": Choice("Product", "As in the report's text."),
            "gated": Choice("Gate", "Multiply with a learned gate."),
        },
        advanced=True, show_if=("network", ("auto", "lupi-unet")),
    )  # fmt: skip
    stain_range: str = knob(
        "auto", "Range of the stains", "What becomes 0 and 1 while the network learns; stored with "
        "the model and undone after prediction.",
        choices={
            "auto": Choice("Automatic", "Percentiles."),
            "percentile": Choice(
                "Percentiles", "0.01 and 99.99 percent of all pixels, so that one hot pixel does "
                "not set the range.",
            ),
            "minmax": Choice("Minimum and maximum", "As published."),
        },
        advanced=True,
    )  # fmt: skip


@dataclass(frozen=True)
class TranslateSettings:
    """Settings of *Translate Bright-Field to Fluorescence*."""

    confidence: bool = knob(
        False, "Confidence and seeds", "Whether models that know where nuclei are also say how far "
        "to trust them: a map of the confidence, seeds of nuclei from sure pixels, and "
        "nuclei grown from them. Needs a model that was checked on images it had not seen.",
    )  # fmt: skip
    allowed_error: float = knob(
        0.05, "Allowed errors", "At most this part of the pixels of nuclei and of background is "
        "told to be surely the other, in images like those the model was checked on. "
        "Less gives fewer, surer seeds.", minimum=0.005, maximum=0.5,
    )  # fmt: skip
    magnification: str = knob(
        "warn", "Another pixel size", "What to do with images whose pixel size is known and differs by "
        "more than a tenth from the model's training images.",
        choices={
            "warn": Choice("Warn", "Translate as it is and say so: the stains will be poor."),
            "rescale": Choice(
                "Rescale", "Resample to the model's pixel size and the stains back; finer detail "
                "than the microscope saw does not come back.",
            ),
            "refuse": Choice("Stop with an error", "Translate nothing at the wrong scale."),
        },
        advanced=True,
    )  # fmt: skip
    mirrored: bool = knob(
        False, "Look at mirror images, too", "Averages what the network makes of the image and of its "
        "three mirror images: stains are a little better and smoother, and it takes four times as "
        "long. Masks and their confidence stay as they are.", advanced=True,
    )  # fmt: skip
    tile_px: int = TILE
    device: str = DEVICE
