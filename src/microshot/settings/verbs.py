"""The settings of each verb, made of knobs and of the sections in the modules beside this one."""

from __future__ import annotations

from dataclasses import dataclass

from microshot.knobs import Choice, knob, section
from microshot.settings import translating
from microshot.settings.counting import TwinVaeSettings, TwinVaeTraining
from microshot.settings.density import CountSettings
from microshot.settings.learning import (
    CHANNEL,
    DEVICE,
    DIAMETER,
    PRECISIONS,
    TILE,
    CropSettings,
    ImageSettings,
    NetworkSettings,
    OptimizerSettings,
)
from microshot.settings.translating import (
    TranslationSettings,
    TranslationTraining,
)
from microshot.starters import STARTERS, task_of

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
    "translate": translating.TASK,
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
    **translating.PRESETS,
}

LEARNED = (
    "How the weights are learned. Of these, counters without a network that learns (watershed, frozen "
    "network) heed the seed and the device."
)


@dataclass(frozen=True)
class TrainSettings:
    """Settings of *Train Microscopy Model*."""

    task: str = knob("segment", "Task", "What the model is to do.", choices=TASKS)
    start: str = knob(
        "fresh", "Start from", "What the network knows when training begins. A starter model keeps its "
        "network, its normalisation and the size at which it sees objects: settings of these, the "
        "preset among them, have no effect then, and a warning names those you made.",
        choices={"fresh": Choice("Nothing", "Fresh weights drawn at random."), **STARTERS},
    )  # fmt: skip
    preset: str = knob(
        "fast", "Preset", "Where the automatic settings come from; a starter model has them of its own.",
        choices=PRESETS,
    )  # fmt: skip
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
    origin: str = knob(
        "", "Origin of the images", "Where the images come from and under which licence; stored "
        "in the model file for those who use the model.", advanced=True,
    )  # fmt: skip
    count: CountSettings = section(
        CountSettings, "Counting", "How objects are counted; only for the task *Count objects*.",
        show_if=("task", ("count",)),
    )  # fmt: skip
    network: NetworkSettings = section(
        NetworkSettings, "Network", "Shape of the network, unless a starter model brings its own; for "
        "counting, that of the density map.", advanced=True,
        show_if=("task", ("segment", "count")),
    )  # fmt: skip
    twin_vae: TwinVaeSettings = section(
        TwinVaeSettings, "Twin-VAE", "Only for the counter *Twin-VAE*.", advanced=True,
        show_if=("task", ("count",)),
    )  # fmt: skip
    translation: TranslationSettings = section(
        TranslationSettings, "Translation",
        "How stains are learned; only for the task *Translate bright field to fluorescence*.",
        advanced=True, show_if=("task", ("translate",)),
    )  # fmt: skip
    images: ImageSettings = section(ImageSettings, "Images", "How images are prepared.")
    training: OptimizerSettings = section(OptimizerSettings, "Training", LEARNED, advanced=True)

    def check_together(self) -> None:
        """Refuse a preset or a starter model that was made for another task."""
        if self.start != "fresh" and task_of(self.start) != self.task:
            raise ValueError(
                f'"Start from" (start): the starter model "{self.start}" is made for the task '
                f"{task_of(self.start)}, found the task {self.task}; choose another of them."
            )
        if self.preset in translating.PRESETS and self.task != "translate":
            own = [name for name in PRESETS if name not in translating.PRESETS]
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
        "all", "What may change", "Which parts of the network learn. Layers that begin anew, such as "
        "the first one for another number of channels, always do.",
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
        True, "Pass on the better model", "If the retrained model is not clearly better on images it "
        "has not seen, pass on the old one.", show_if=("check", ("leave-one-out",)),
    )  # fmt: skip
    learning_curve: bool = knob(
        False, "How many images do I need?", "Also retrain on fewer of your images, and draw how good "
        "the model is with 1, 2, 3 … of them. Shares the time of the check, so give more of it.",
        show_if=("check", ("leave-one-out",)),
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
    training: OptimizerSettings = section(OptimizerSettings, "Training", LEARNED, advanced=True)


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
    diameter_px: float = DIAMETER
    size_found: str = knob(
        "auto", "Where no object diameter is given", "How the size of the objects is found, with a model "
        "made for objects of any size. For one that counts, the starter cells-generalist-fast finds it.",
        choices={
            "auto": Choice(
                "Once where images agree", "Looks at eight images, spread over all; where they agree, their "
                "size is taken for all images, else it is found in each.",
            ),
            "each": Choice(
                "In each image", "For images with objects of different sizes; takes several times as long.",
            ),
            "once": Choice(
                "Once for all images", "As the first, but also where images do not agree.",
            ),
        },
    )  # fmt: skip
    channel: str = CHANNEL
    least_area_px: int = knob(
        0, "Least area (px)", "Smaller objects are left out. Not for models that count.",
        minimum=0, maximum=1_000_000,
    )  # fmt: skip
    mirrored: bool = knob(
        False, "Look at mirror images, too", "Averages what the network makes of the image and of its "
        "three mirror images: outlines are a little better, and it takes four times as long. Only for "
        "models that segment.", advanced=True,
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
    large_mpx: float = knob(
        64.0, "Large images from (million pixels)", "TIFF, CZI, LIF and ND2 files with more pixels are worked through "
        "block by block without ever being in memory as a whole, and an interrupted run goes on where it "
        "stopped. Only for files, and for models that segment.", minimum=0.0, maximum=1e6,
        advanced=True,
    )  # fmt: skip
    tile_px: int = TILE
    device: str = DEVICE
    precision: str = knob(
        "float32", "Precision", "Number format in which the network computes. 16 bits are faster for many or "
        "large images, once PyTorch has started, which takes seconds; outlines may move by a pixel. Only for "
        "models that segment.", choices=PRECISIONS, advanced=True,
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
    features: bool = knob(
        True, "Compare measurements of stains", "For stains: also measure nuclei, cells and lipid "
        "droplets in measured and predicted stains, as an analysis would, and say how far the "
        "measurements are off. Takes seconds per image.",
    )  # fmt: skip
