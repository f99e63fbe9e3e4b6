"""Every knob a user can turn, once: name, default, range, unit, help.

Dialogs, the command line, the model file and the documentation read them here.
``0`` and ``auto`` leave a value to the preset, which knows what suits the task.
"""

from __future__ import annotations

from dataclasses import dataclass

from microshot import translate_settings
from microshot.count_settings import TwinVaeSettings, TwinVaeTraining
from microshot.density_settings import CountSettings
from microshot.knobs import Choice, knob, section
from microshot.translate_settings import TranslationSettings, TranslationTraining

TASKS = {
    "segment": Choice(
        "Segment objects",
        "Find every cell or nucleus and its outline. Needs images with instance labels.",
    ),
    "count": Choice(
        "Count objects",
        "Say how many objects are in an image, with an interval. Needs images with counts, or with "
        "instance labels.",
    ),
    "translate": translate_settings.TASK,
}
PRESETS = {
    "fast": Choice(
        "Fast",
        "Made for few labelled images and a CPU: objects are brought to one size, contrast is "
        "normalised so that it does not matter what background grey is.",
    ),
    "faithful": Choice(
        "Faithful",
        "The published method with its published settings, image at its own scale. Needs many "
        "labelled images and hours on a CPU.",
    ),
    **translate_settings.PRESETS,
}
DEVICES = {
    "auto": Choice("Automatic", "A CUDA graphics card where PyTorch sees one, else the processor."),
    "cpu": Choice("Processor (CPU)", "Always the processor."),
    "cuda": Choice("Graphics card (CUDA)", "A CUDA graphics card; an error where there is none."),
    "mps": Choice("Apple graphics (MPS)", "The graphics part of an Apple processor."),
}
_DEVICE = knob("auto", "Device", "Where to compute.", choices=DEVICES, advanced=True)
_AUTO = Choice("Automatic", "Leave it to the preset.")


@dataclass(frozen=True)
class NetworkSettings:
    """Shape of the network of the task *segment*."""

    backbone: str = knob(
        "auto", "Backbone", "The part of the network that looks at the image.",
        choices={
            "auto": _AUTO,
            "unet": Choice("U-Net", "The network of StarDist."),
            "res-unet": Choice("Res-U-Net", "U-Net of residual blocks with batch normalisation."),
            "plain-unet": Choice("Plain U-Net", "Res-U-Net without its shortcuts, to compare."),
            "resnet18": Choice("ResNet-18 U-Net", "Encoder of an ImageNet network."),
            "resnet34": Choice("ResNet-34 U-Net", "Encoder of an ImageNet network."),
            "resnet50": Choice("ResNet-50 U-Net", "Encoder of an ImageNet network."),
        },
    )  # fmt: skip
    head: str = knob(
        "auto", "Head", "How objects are told apart.",
        choices={
            "auto": _AUTO,
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
        "a quarter of the computing.", minimum=0, maximum=256,
    )  # fmt: skip
    depth: int = knob(3, "Depth", "How often the U-Net halves the image.", minimum=1, maximum=5)
    rays: int = knob(
        32, "Rays", "Corners of a star-convex polygon.", minimum=8, maximum=128,
        show_if=("head", ("auto", "stardist")),
    )  # fmt: skip
    grid: str = knob(
        "auto", "Grid", "At which pixels objects are looked for.",
        choices={
            "auto": _AUTO,
            "1": Choice("Every pixel", "Finest and slowest."),
            "2": Choice("Every 2nd pixel", "Four times less work."),
            "4": Choice("Every 4th pixel", "For large objects at full scale."),
        },
    )  # fmt: skip
    encoder_weights: str = knob(
        "", "Encoder weights", "A file with ImageNet weights of the chosen ResNet (.safetensors or "
        ".pth state dict); empty = random start.",
        show_if=("backbone", ("resnet18", "resnet34", "resnet50")),
    )  # fmt: skip


NORMALIZATIONS = {
    "auto": _AUTO,
    "zscore": Choice("Mean 0, deviation 1", "Subtract the image's mean, divide by its deviation."),
    "percentile": Choice("Percentiles", "The low percentile becomes 0, the high percentile 1."),
    "minmax": Choice("Minimum and maximum", "The least value becomes 0, the greatest 1."),
}
AUGMENTATIONS = {
    "auto": _AUTO,
    "none": Choice("None", "Only mirror images and quarter turns."),
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
        "labels.", minimum=0.0, maximum=2000.0,
    )  # fmt: skip
    augmentation: str = knob(
        "auto", "Augmentation", "Random changes of the crops that keep their labels true.",
        choices=AUGMENTATIONS,
    )  # fmt: skip
    patch_px: int = knob(
        0, "Patch size (px)", "Side of the random crops; 0 = as the preset says.",
        minimum=0, maximum=2048, advanced=True,
    )  # fmt: skip
    synthetic_fraction: float = knob(
        0.5, "Part of synthetic crops", "Part of each batch that is drawn from the table of "
        "synthetic images, where one is connected.", minimum=0.0, maximum=0.95, advanced=True,
    )  # fmt: skip


@dataclass(frozen=True)
class ImageSettings(CropSettings):
    """How images are prepared when a model is trained from scratch."""

    normalization: str = knob(
        "auto", "Normalisation", "How grey values are brought to a common range; always measured "
        "on the whole image and stored with the model.", choices=NORMALIZATIONS, advanced=True,
    )  # fmt: skip
    low_percentile: float = knob(
        1.0, "Low percentile", "In percent of the pixels.", minimum=0.0, maximum=50.0,
        show_if=("normalization", ("percentile",)), advanced=True,
    )  # fmt: skip
    high_percentile: float = knob(
        99.8, "High percentile", "In percent of the pixels.", minimum=50.0, maximum=100.0,
        show_if=("normalization", ("percentile",)), advanced=True,
    )  # fmt: skip
    rescale: str = knob(
        "auto", "Bring objects to one size", "Whether images are resampled so that objects have "
        "the network's working diameter.",
        choices={
            "auto": _AUTO,
            "yes": Choice("Yes", "Resample all to the working diameter, by the same factor."),
            "each": Choice(
                "Each by itself",
                "Resample every training image by its own objects: for collections of mixed "
                "magnifications that prepare for being retrained. Automatic for synthetic images.",
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
            "auto": _AUTO,
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
            "auto": _AUTO,
            "cosine": Choice("Cosine", "Falls smoothly to 2 percent at the end."),
            "late-cosine": Choice("Late cosine", "Stays up in the first half."),
            "plateau": Choice("Plateau", "Is halved when 40 epochs brought nothing."),
            "warm-restarts": Choice(
                "Warm restarts", "Falls to nothing five times, each time twice as slowly.",
            ),
            "constant": Choice("Constant", "Stays as it is."),
        },
    )  # fmt: skip
    patience: int = knob(
        0, "Patience (epochs)", "Stop when so many epochs in a row brought no better validation "
        "loss; 0 = never.", minimum=0, maximum=100_000,
    )  # fmt: skip
    seed: int = knob(
        42, "Random seed", "The same seed and a limit in epochs repeat a training exactly on a "
        "CPU.", minimum=0, maximum=2**31 - 1,
    )  # fmt: skip
    device: str = _DEVICE


@dataclass(frozen=True)
class TrainSettings:
    """Settings of *Train Microscopy Model*."""

    task: str = knob("segment", "Task", "What the model is to do.", choices=TASKS)
    preset: str = knob("fast", "Preset", "Where the automatic settings come from.", choices=PRESETS)
    minutes: float = knob(
        10.0, "Time limit (minutes)", "Stop after this time with the best model so far; 0 = no "
        "limit beside the epochs.", minimum=0.0, maximum=100_000.0,
    )  # fmt: skip
    name: str = knob(
        "", "Model name", "Shown wherever the model is used; empty = made from the task and date.",
        advanced=True,
    )  # fmt: skip
    licence: str = knob(
        "", "Licence of the model", "Under which conditions others may use it, for example CC0 or "
        "CC BY 4.0; stored in the model file.", advanced=True,
    )  # fmt: skip
    count: CountSettings = section(
        CountSettings, "Counting", "How objects are counted; only for the task *Count objects*."
    )
    network: NetworkSettings = section(
        NetworkSettings, "Network", "Shape of the network.", advanced=True
    )
    twin_vae: TwinVaeSettings = section(
        TwinVaeSettings, "Twin-VAE", "Only for the counter *Twin-VAE*.", advanced=True
    )
    translation: TranslationSettings = section(
        TranslationSettings, "Translation",
        "How stains are learned; only for the task *Translate bright field to fluorescence*.",
        advanced=True,
    )  # fmt: skip
    images: ImageSettings = section(ImageSettings, "Images", "How images are prepared.")
    training: OptimizerSettings = section(
        OptimizerSettings, "Training", "How the weights are learned.", advanced=True
    )

    def check_together(self) -> None:
        """Refuse a preset that was made for another task."""
        if self.preset in translate_settings.PRESETS and self.task != "translate":
            own = [name for name in PRESETS if name not in translate_settings.PRESETS]
            raise ValueError(
                f'"Preset" (preset): "{self.preset}" is made for the task translate; for the task '
                f"{self.task} choose one of {', '.join(own)}."
            )


@dataclass(frozen=True)
class RetrainSettings:
    """Settings of *Retrain Microscopy Model*."""

    minutes: float = knob(
        5.0, "Time limit (minutes)", "For everything: the check on left-out images and the final "
        "training.", minimum=0.0, maximum=100_000.0,
    )  # fmt: skip
    strategy: str = knob(
        "all", "What may change", "Which parts of the network learn.",
        choices={
            "all": Choice("Everything", "All weights learn. Best in our measurements."),
            "freeze-encoder": Choice("Keep the encoder", "Only decoder and head learn."),
            "head": Choice("Only the head", "Everything before the head stays as it is."),
            "thaw": Choice("Thaw step by step", "Head first, then decoder, encoder and stem."),
            "freeze-core": Choice(
                "Keep the core", "Twin-VAE only: readers and writers learn, what both branches "
                "share stays as it is.",
            ),
            "freeze-outer": Choice(
                "Keep readers and writers", "Twin-VAE only: what both branches share learns.",
            ),
        },
    )  # fmt: skip
    new_head: bool = knob(
        False, "Start with a new head", "Forget the old head, for example when the objects are of "
        "another kind.", advanced=True,
    )  # fmt: skip
    check: str = knob(
        "leave-one-out", "Check", "How old and new model are compared on images the new model has "
        "not seen.",
        choices={
            "leave-one-out": Choice(
                "Leave one image out",
                "Retrain once per labelled image without that image (up to 8 images, else 5 "
                "groups). Takes about half of the time limit.",
            ),
            "none": Choice("No check", "Use all the time for the final model; no comparison."),
        },
    )  # fmt: skip
    keep_better: bool = knob(
        True, "Pass on the better model", "If the retrained model is not better on images it has "
        "not seen, pass on the old one.", show_if=("check", ("leave-one-out",)),
    )  # fmt: skip
    name: str = knob(
        "", "Model name", "Shown wherever the model is used; empty = made from the old model's "
        "name.", advanced=True,
    )  # fmt: skip
    twin_vae: TwinVaeTraining = section(
        TwinVaeTraining, "Twin-VAE", "Only for models that are Twin-VAEs.", advanced=True
    )
    translation: TranslationTraining = section(
        TranslationTraining, "Translation",
        "How stains are learned; only for models that translate to fluorescence.", advanced=True,
    )  # fmt: skip
    images: CropSettings = section(CropSettings, "Images", "How crops are drawn from images.")
    training: OptimizerSettings = section(
        OptimizerSettings, "Training", "How the weights are learned.", advanced=True
    )


@dataclass(frozen=True)
class PredictSettings:
    """Settings of *Predict Microscopy Images*."""

    probability: float = knob(
        0.0, "Probability threshold", "Least probability of an object; 0 = the threshold found "
        "best in training. Higher finds fewer, surer objects. Not for models that count.",
        minimum=0.0, maximum=1.0,
    )  # fmt: skip
    overlap: float = knob(
        0.0, "Overlap threshold", "How much of the smaller of two objects may overlap before the "
        "less probable is dropped; 0 = the threshold found best in training. Not for models that "
        "count.",
        minimum=0.0, maximum=1.0, advanced=True,
    )  # fmt: skip
    diameter_px: float = knob(
        0.0, "Object diameter (px)", "Typical diameter of objects in these images; 0 = as in the "
        "images the model was trained on.", minimum=0.0, maximum=2000.0,
    )  # fmt: skip
    least_area_px: int = knob(
        0, "Least area (px)", "Smaller objects are left out. Not for models that count.",
        minimum=0, maximum=1_000_000,
    )  # fmt: skip
    interval: str = knob(
        "auto", "Interval of counts", "How often the interval around a count holds the true count; "
        "only for models that count.",
        choices={
            "auto": Choice("Automatic", "90 %, or 80 % where the model has too few images for it."),
            "80": Choice("80 %", "Narrower; misses one count in five."),
            "90": Choice("90 %", "Misses one count in ten."),
            "95": Choice("95 %", "Wider; misses one count in twenty."),
        },
    )  # fmt: skip
    tile_px: int = knob(
        1024, "Tile size (px)", "Larger images are worked through in tiles of this side; smaller "
        "tiles need less memory.", minimum=128, maximum=16384, advanced=True,
    )  # fmt: skip
    device: str = _DEVICE


SCENES = {
    "mixed": Choice(
        "Mixed", "All kinds, both bright and dark objects; to prepare a model for any technique."
    ),
    "fluorescence-nuclei": Choice("Fluorescent nuclei", "Bright nuclei on a dark background."),
    "phase-contrast": Choice("Phase contrast", "Adherent and rounded cells with halos on grey."),
    "bright-field": Choice("Bright field", "Cells with bright and dark rims, low contrast."),
    "adipocyte-stack": Choice(
        "Adipocytes, bright field and stains",
        "Fat cells in seven bright-field planes through focus, with three stains (nuclei, lipids, "
        "cytoplasm) beside them: for the task *Translate bright field to fluorescence*.",
    ),
}


@dataclass(frozen=True)
class GenerateSettings:
    """Settings of *Generate Synthetic Images*."""

    scene: str = knob("mixed", "Kind of images", "What the images look like.", choices=SCENES)
    n: int = knob(100, "Number of images", "How many images to make.", minimum=1, maximum=100_000)
    seed: int = knob(
        42, "Random seed", "The same seed gives the same images.", minimum=0, maximum=2**31 - 1
    )
    height_px: int = knob(256, "Height (px)", "Of every image.", minimum=16, maximum=8192)
    width_px: int = knob(256, "Width (px)", "Of every image.", minimum=16, maximum=8192)
    mean_count: float = knob(
        0.0, "Objects per image", "On average; 0 = as suits the kind of images.",
        minimum=0.0, maximum=100_000.0,
    )  # fmt: skip
    diameter_px: float = knob(
        0.0, "Object diameter (px)", "On average; 0 = as suits the kind of images, or as in the "
        "reference images.", minimum=0.0, maximum=2000.0,
    )  # fmt: skip
    noise: str = knob(
        "mixed", "Camera noise", "As after long, medium or short exposure.",
        choices={
            "low": Choice("Low", "Long exposure (500 ms)."),
            "medium": Choice("Medium", "Medium exposure (100 ms), or as in reference images."),
            "high": Choice("High", "Short exposure (20 ms)."),
            "mixed": Choice("Mixed", "Drawn anew for every image."),
        },
    )  # fmt: skip


@dataclass(frozen=True)
class ScoreSettings:
    """Settings of *Score Microscopy Predictions*."""

    threshold: float = knob(
        0.5, "IoU threshold", "A predicted object counts as found when its overlap with a true "
        "one, divided by their union, reaches this. Not for counts.", minimum=0.1, maximum=1.0,
    )  # fmt: skip
    border_px: int = knob(
        0, "Ignore objects in a border of (px)", "Objects that lie entirely in a border of this "
        "width are not scored, for labels that leave them out. Not for counts.",
        minimum=0, maximum=10_000,
    )  # fmt: skip
