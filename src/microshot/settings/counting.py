"""Knobs of the ways of counting: what a user can choose beyond the settings of every task."""

from __future__ import annotations

from dataclasses import dataclass

from microshot.knobs import AUTO, Choice, knob
from microshot.settings.generating import SCENES

_SWITCH = {
    "auto": AUTO,
    "yes": Choice("Yes", "Switch it on."),
    "no": Choice("No", "Switch it off."),
}


#: Kinds of images that can be generated where none are given.
GENERATED = {
    "none": Choice("None", "Learn from the microscope images alone."),
    **{name: SCENES[name] for name in ("phase-contrast", "bright-field", "fluorescence-nuclei")},
    "mixed": Choice("Mixed", "All kinds."),
}


@dataclass(frozen=True)
class TwinVaeTraining:
    """How a Twin-VAE learns; the same for training and retraining.

    -1 leaves a number to the preset where 0 has a meaning of its own.
    """

    decoder: str = knob(
        "auto", "Reconstruct images", "Whether the network also learns to draw the images it "
        "sees. Needed to learn from images without a count and to see what it has understood; "
        "takes two to three times as long.", choices=_SWITCH,
    )  # fmt: skip
    reconstruction: str = knob(
        "auto", "Reconstruction loss", "How a drawn image is compared with the true one.",
        choices={
            "auto": AUTO,
            "mse": Choice("Squared error", "Mean over all pixels; the paper's for phase contrast."),
            "bce": Choice("Cross-entropy", "Mean over all pixels; the paper's for bright field."),
            "bce-sum": Choice(
                "Cross-entropy, summed",
                "Sum over all pixels, as in the released code; needs a factor near 0.001.",
            ),
        },
        advanced=True,
    )  # fmt: skip
    reconstruction_factor: float = knob(
        -1.0, "Factor of the reconstruction", "-1 = as the preset says (100).",
        minimum=-1.0, maximum=1e6, advanced=True,
    )  # fmt: skip
    counting_factor: float = knob(
        -1.0, "Factor of the count", "-1 = as the preset says (fast 1, faithful 3).",
        minimum=-1.0, maximum=1e6, advanced=True,
    )  # fmt: skip
    divergence_factor: float = knob(
        -1.0, "Factor of the divergence", "How strongly the latent variables are held to a normal "
        "distribution; -1 = as the preset says (2).", minimum=-1.0, maximum=1e6, advanced=True,
    )  # fmt: skip
    reconstruction_decay: float = knob(
        -1.0, "Decay of the reconstruction", "Part by which its factor falls with every epoch; "
        "-1 = as the preset says (0; the paper has 0.00003 for bright field).",
        minimum=-1.0, maximum=1.0, advanced=True,
    )  # fmt: skip
    delay_epochs: int = knob(
        -1, "Count after (epochs)", "Epochs in which only images are learned, at most a tenth of "
        "the training; -1 = as the preset says (fast 0, faithful 100).",
        minimum=-1, maximum=100_000, advanced=True,
    )  # fmt: skip
    mean: str = knob(
        "auto", "Mean of the counting loss", "What it is averaged over.",
        choices={
            "auto": AUTO,
            "counted": Choice("Counted images", "So that few counted images still weigh fully."),
            "all": Choice("All images", "As in the released code; few counted images weigh little."),
        },
        advanced=True,
    )  # fmt: skip
    labelled_share: float = knob(
        -1.0, "Part of counted images", "Part of the microscope images of each batch that have a "
        "count; 0 = as they come, -1 = as the preset says (fast 0.25, faithful 0).",
        minimum=-1.0, maximum=1.0, advanced=True,
    )  # fmt: skip
    batches: str = knob(
        "auto", "Batches", "How microscope and synthetic images are mixed.",
        choices={
            "auto": AUTO,
            "joint": Choice("Both in every step", "The losses of both are added."),
            "alternating": Choice(
                "In turns", "First all batches of synthetic images, then all of microscope images, "
                "as in the released code.",
            ),
        },
        advanced=True,
    )  # fmt: skip
    synthetic_ratio: float = knob(
        0.0, "Synthetic per microscope image", "How many synthetic images are shown per microscope "
        "image, 0.25 to 10; the paper's best is 2. 0 = fast: as the part of synthetic crops says, "
        "faithful: as many as there are.", minimum=0.0, maximum=10.0,
    )  # fmt: skip
    generate: str = knob(
        "none", "Generate synthetic images", "Where no table of synthetic images is given: make two "
        "per microscope image (100 to 1000) of this kind, as large as yours, with as many objects "
        "and with their background, contrast and noise, and learn from them as well.",
        choices=GENERATED,
    )  # fmt: skip
    latent_map: str = knob(
        "pca", "Map of the latent space", "How the report lays out the images by what the network "
        "makes of them.",
        choices={
            "pca": Choice("Main axes (PCA)", "The two directions in which images differ most."),
            "umap": Choice(
                "UMAP", "As in the paper: like images lie together. Needs the Python package "
                "umap-learn.",
            ),
        },
        advanced=True,
    )  # fmt: skip
    begin_with: str = knob(
        "both", "Begin with", "Images of the first tenth of the training.",
        choices={
            "both": Choice("Both", "Microscope and synthetic images."),
            "synthetic": Choice("Synthetic", "Synthetic images only."),
            "natural": Choice("Microscope", "Microscope images only."),
        },
        advanced=True,
    )  # fmt: skip
    cross_feed: bool = knob(
        default=False, label="Cross-feed", help="Redraw synthetic images in the style of the "
        "microscope and learn from them too, with their counts. Needs reconstruction; from the "
        "released code, not in the paper.", advanced=True,
    )  # fmt: skip
    crop_fraction: float = knob(
        0.9, "Crop", "Side of the random crops as part of the image's side (paper: 115 of 128 px "
        "= 0.9, released code 0.949); 1 = no crop.", minimum=0.5, maximum=1.0, advanced=True,
    )  # fmt: skip
    rotate_deg: float = knob(
        5.0, "Rotation (degrees)", "Greatest small rotation, beside quarter turns and mirror "
        "images.", minimum=0.0, maximum=45.0, advanced=True,
    )  # fmt: skip
    shifted_share: float = knob(
        -1.0, "Part of shifted images", "Part of the images that are moved around at random, what leaves "
        "on one side coming in on the other: keeps few counted images from being learned by heart. "
        "-1 = as the preset says (fast 1, faithful 0).", minimum=-1.0, maximum=1.0, advanced=True,
    )  # fmt: skip
    noise: float = knob(
        0.0025, "Noise", "Standard deviation of the noise added, images reaching from 0 to 1.",
        minimum=0.0, maximum=0.5, advanced=True,
    )  # fmt: skip


@dataclass(frozen=True)
class TwinVaeSettings(TwinVaeTraining):
    """A Twin-VAE trained from scratch: also its shape."""

    side_px: str = knob(
        "128", "Image size (px)", "Side of the images the network sees.",
        choices={
            "128": Choice("128", "The published network."),
            "64": Choice("64", "Without the outermost layer: four times faster, for few objects."),
        },
    )  # fmt: skip
    width: float = knob(
        0.0, "Width", "Features of every layer relative to the published network, 0.0625 to 1; "
        "0 = as the preset says (fast 0.25, faithful 1).", minimum=0.0, maximum=1.0,
    )  # fmt: skip
    large_images: str = knob(
        "auto", "Larger images", "What to do with images larger than the network's.",
        choices={
            "auto": Choice(
                "Automatic",
                "Reduce the whole image; count in windows only where objects would become smaller "
                "than 8 px.",
            ),
            "windows": Choice(
                "Add up windows",
                "Count window by window at the image's own scale. Learning needs label images, to "
                "know where the objects are.",
            ),
            "resize": Choice("Reduce", "Bring the whole image to the network's size."),
        },
    )  # fmt: skip
    regressor_input: str = knob(
        "latent", "The count is read from", "Paper and released code differ.",
        choices={
            "latent": Choice("Latent variables", "As in the released code."),
            "decoder": Choice("Shared decoder", "As the paper says."),
        },
        advanced=True,
    )  # fmt: skip
    regressor_activation: str = knob(
        "none", "Activation of the counting layers", "Between its linear layers.",
        choices={
            "none": Choice("None", "Linear, as published."),
            "leaky-relu": Choice("Leaky ReLU", "Was not better in our measurements."),
        },
        advanced=True,
    )  # fmt: skip
    latent_at_inference: str = knob(
        "mean", "Latent variables of a prediction", "What new images are counted from.",
        choices={
            "mean": Choice("Mean", "The same image always gives the same count."),
            "sample": Choice("Random sample", "As in the released code: counts vary by chance."),
        },
        advanced=True,
    )  # fmt: skip
    initialisation: str = knob(
        "orthogonal", "Fresh weights", "Paper and released code differ.",
        choices={
            "orthogonal": Choice("Orthogonal", "As the paper says."),
            "default": Choice("PyTorch's default", "As in the released code."),
        },
        advanced=True,
    )  # fmt: skip
