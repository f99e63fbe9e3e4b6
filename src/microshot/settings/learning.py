"""Knobs of how a network is built and learns, the same for training and retraining."""

from __future__ import annotations

from dataclasses import dataclass

from microshot.knobs import AUTO, Choice, knob

DEVICES = {
    "auto": Choice("Automatic", "A CUDA graphics card where PyTorch sees one, else the processor."),
    "cpu": Choice("Processor (CPU)", "Always the processor."),
    "cuda": Choice("Graphics card (CUDA)", "A CUDA graphics card; an error where there is none."),
    "mps": Choice("Apple graphics (MPS)", "The graphics part of an Apple processor."),
}
DEVICE = knob("auto", "Device", "Where to compute.", choices=DEVICES, advanced=True)
PRECISIONS = {
    "auto": Choice(
        "16 bits where possible",
        "Where the processor or the graphics card has instructions for bfloat16, else 32 bits.",
    ),
    "float32": Choice("32 bits", "Everywhere."),
}
TILE = knob(
    0, "Tile size (px)", "Larger images are worked through in tiles of at most this side; smaller tiles need "
    "less memory; 0 = as suits the model, for which two gigabytes are enough.", minimum=0, maximum=16384,
    advanced=True,
)  # fmt: skip
DIAMETER = knob(
    0.0, "Object diameter (px)", "Typical diameter of objects in these images; 0 = as in the images the "
    "model was trained on, or, with a model for objects of any size, found in them.",
    minimum=0.0, maximum=2000.0,
)  # fmt: skip
CHANNEL = knob(
    "", "Channel", "Which channel of images that have several: its number, counted from 1, or its name, such "
    "as DAPI, or blue in a colour image; empty = all, or the one that the model was trained on. Stacks "
    "to be translated keep all planes.",
)  # fmt: skip


#: Networks whose shape can be chosen.
_SHAPED = ("auto", "unet", "res-unet", "plain-unet")


@dataclass(frozen=True)
class NetworkSettings:
    """Shape of the network of the tasks *segment* and, with a density map, *count*."""

    backbone: str = knob(
        "auto", "Backbone", "The part of the network that looks at the image.",
        choices={
            "auto": AUTO,
            "unet": Choice("U-Net", "The network of StarDist."),
            "res-unet": Choice("Res-U-Net", "U-Net of residual blocks with batch normalisation."),
            "plain-unet": Choice("Plain U-Net", "Res-U-Net without its shortcuts, to compare."),
            "resnet18": Choice("ResNet-18 U-Net", "Encoder of an ImageNet network."),
            "resnet34": Choice("ResNet-34 U-Net", "Encoder of an ImageNet network."),
            "resnet50": Choice("ResNet-50 U-Net", "Encoder of an ImageNet network."),
        },
    )  # fmt: skip
    head: str = knob(
        "auto", "Head", "How objects are told apart; only for the task *Segment objects*.",
        choices={
            "auto": AUTO,
            "stardist": Choice(
                "Star-convex polygons",
                "StarDist: a polygon per object. For roundish objects, also when they touch.",
            ),
            "foreground": Choice(
                "Foreground, borders weighted",
                "Foreground against background with extra weight where objects touch; each "
                "connected region is an object.",
            ),
            "boundary": Choice(
                "Interior and boundary",
                "Background, interior and boundary; interiors are grown back to their boundary. "
                "For any shape.",
            ),
        },
    )  # fmt: skip
    width: int = knob(
        0, "Width", "Features of the first level; 0 = as the preset says. Half the width is about "
        "a quarter of the computing.", minimum=0, maximum=256, show_if=("backbone", _SHAPED),
    )  # fmt: skip
    depth: int = knob(
        3, "Depth", "How often the U-Net halves the image.", minimum=1, maximum=5,
        show_if=("backbone", _SHAPED),
    )  # fmt: skip
    rays: int = knob(
        32, "Rays", "Corners of a star-convex polygon; only for the task *Segment objects*.",
        minimum=8, maximum=128,
        show_if=("head", ("auto", "stardist")),
    )  # fmt: skip
    grid: str = knob(
        "auto", "Grid", "At which pixels objects are looked for.",
        choices={
            "auto": AUTO,
            "1": Choice("Every pixel", "Finest and slowest."),
            "2": Choice("Every 2nd pixel", "Four times less work."),
            "4": Choice("Every 4th pixel", "For large objects at full scale."),
        },
    )  # fmt: skip
    encoder_weights: str = knob(
        "", "Encoder weights", "A file with ImageNet weights of the chosen ResNet, or, for the U-Net, "
        "with those of a U-Net of the BioImage Model Zoo of the same width and depth (state dict as "
        ".safetensors, .pth or .pt); empty = random start. In a workflow, a relative path is taken from "
        "its data area.",
        show_if=("backbone", ("auto", "unet", "resnet18", "resnet34", "resnet50")), file=True,
    )  # fmt: skip


NORMALIZATIONS = {
    "auto": AUTO,
    "zscore": Choice("Mean 0, deviation 1", "Subtract the image's mean, divide by its deviation."),
    "percentile": Choice("Percentiles", "The low percentile becomes 0, the high percentile 1."),
    "minmax": Choice("Minimum and maximum", "The least value becomes 0, the greatest 1."),
}
AUGMENTATIONS = {
    "auto": AUTO,
    "none": Choice("None", "Only mirror images and quarter turns."),
    "shapes": Choice(
        "Shapes", "Rotation and size; grey values stay as they are. Automatic for measured stains."
    ),
    "light": Choice("Light", "Brightness, contrast and noise, as in StarDist's examples."),
    "standard": Choice("Standard", "Also rotation, size, blur and uneven light."),
    "contrasts": Choice(
        "Standard, both contrasts",
        "Bright and dark are exchanged in every other crop: prepares a model for being retrained "
        "on images of another technique. Automatic for synthetic images.",
    ),
    "heavy": Choice("Heavy", "Wide ranges, sometimes with inverted contrast."),
}


@dataclass(frozen=True)
class CropSettings:
    """How crops are drawn from images; the same for training and retraining."""

    diameter_px: float = knob(
        0.0, "Object diameter (px)", "Typical diameter of the objects in your images, so that "
        "they can be brought to the size the network is at home with; 0 = measured from the "
        "labels; where a model is retrained on counts or points alone, the size at which it counts "
        "best. Not for stains and not for a Twin-VAE.", minimum=0.0, maximum=2000.0,
    )  # fmt: skip
    augmentation: str = knob(
        "auto", "Augmentation", "Random changes of the crops that keep their labels true.",
        choices=AUGMENTATIONS,
    )  # fmt: skip
    channel: str = CHANNEL
    patch_px: int = knob(
        0, "Patch size (px)", "Side of the random crops; 0 = as the preset says, in the task *Translate* no "
        "larger than the images. Not for a Twin-VAE.",
        minimum=0, maximum=2048, advanced=True,
    )  # fmt: skip
    synthetic_fraction: float = knob(
        0.5, "Part of synthetic crops", "Part of each batch that is drawn from the table of "
        "synthetic images, where one is connected.", minimum=0.0, maximum=0.95, advanced=True,
    )  # fmt: skip


@dataclass(frozen=True)
class ImageSettings(CropSettings):
    """How images are prepared when a model is trained from scratch.

    A starter model keeps its own normalisation and the size at which it sees objects.
    """

    normalization: str = knob(
        "auto", "Normalisation", "How grey values are brought to a common range; always measured "
        "on the whole image and stored with the model. A starter model keeps its own.",
        choices=NORMALIZATIONS, advanced=True,
    )  # fmt: skip
    low_percentile: float = knob(
        1.0, "Low percentile", "In percent of the pixels; for the normalisation by percentiles.",
        minimum=0.0, maximum=50.0, show_if=("normalization", ("auto", "percentile")), advanced=True,
    )  # fmt: skip
    high_percentile: float = knob(
        99.8, "High percentile", "In percent of the pixels; for the normalisation by percentiles.",
        minimum=50.0, maximum=100.0, show_if=("normalization", ("auto", "percentile")), advanced=True,
    )  # fmt: skip
    rescale: str = knob(
        "auto", "Bring objects to one size", "Whether images are resampled so that objects have "
        "the network's working diameter. A starter model does so always; not for stains and not for a "
        "Twin-VAE.",
        choices={
            "auto": AUTO,
            "yes": Choice("Yes", "Resample all to the working diameter, by the same factor."),
            "each": Choice(
                "Each by itself",
                "Resample every training image by its own objects: for collections of mixed "
                "magnifications that prepare for being retrained. Automatic for synthetic images. Predict "
                "finds out how large objects are then, unless told.",
            ),
            "no": Choice("No", "Use the images at their own scale."),
        },
        advanced=True,
    )  # fmt: skip
    validation_fraction: float = knob(
        0.15, "Held-out fraction", "Part of the labelled images that is kept aside to draw the "
        "validation curve, to keep the best state and to set thresholds; with fewer than 8 "
        "labelled images none is.", minimum=0.0, maximum=0.5, advanced=True,
    )  # fmt: skip


@dataclass(frozen=True)
class OptimizerSettings:
    """How the weights are learned."""

    optimizer: str = knob(
        "auto", "Optimiser", "The rule of the weight updates.",
        choices={
            "auto": AUTO,
            "adam": Choice("Adam", "The usual choice."),
            "adamw": Choice("AdamW", "Adam with decoupled weight decay."),
            "radam": Choice("RAdam", "Adam with a rectified start."),
        },
    )  # fmt: skip
    learning_rate: float = knob(
        0.0, "Learning rate", "0 = as the preset says.", minimum=0.0, maximum=1.0
    )
    batch_size: int = knob(
        0, "Batch size", "Crops per step; 0 = as the preset says.", minimum=0, maximum=1024
    )
    epochs: int = knob(
        0, "Epochs", "Greatest number of epochs; 0 = as the preset says, or no limit beside the "
        "minutes.", minimum=0, maximum=100_000,
    )  # fmt: skip
    steps_per_epoch: int = knob(
        100, "Steps per epoch", "Batches after which the model is scored.", minimum=1,
        maximum=100_000,
    )  # fmt: skip
    schedule: str = knob(
        "auto", "Learning rate schedule", "How the learning rate falls.",
        choices={
            "auto": AUTO,
            "cosine": Choice("Cosine", "Falls smoothly to 2 percent at the end."),
            "late-cosine": Choice("Late cosine", "Stays up in the first half."),
            "plateau": Choice("Plateau", "Is halved when 40 epochs brought nothing."),
            "warm-restarts": Choice(
                "Warm restarts", "Falls to nothing five times, each time twice as slowly.",
            ),
            "ramp": Choice(
                "Ramp", "Rises for the first tenth, then falls by 0.1 percent per epoch; an option of "
                "the Twin-VAE's released code, whose paper keeps the rate constant.",
            ),
            "constant": Choice("Constant", "Stays as it is."),
        },
    )  # fmt: skip
    patience: int = knob(
        0, "Patience (epochs)", "Stop when so many epochs in a row brought no better validation "
        "loss; 0 = never. Needs held-out images, which there are neither in retraining nor with fewer "
        "than 8 labelled images.", minimum=0, maximum=100_000,
    )  # fmt: skip
    seed: int = knob(
        42, "Random seed", "The same seed and a limit in epochs repeat a training exactly on "
        "processors of one kind.", minimum=0, maximum=2**31 - 1,
    )  # fmt: skip
    device: str = DEVICE
    precision: str = knob(
        "auto", "Precision", "Number format in which the network learns, which is faster and needs less "
        "memory in 16 bits.", choices=PRECISIONS, advanced=True,
    )  # fmt: skip
