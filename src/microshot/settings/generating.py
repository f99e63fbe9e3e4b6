"""The knobs of the generator of synthetic images."""

from __future__ import annotations

from dataclasses import dataclass

from microshot.knobs import Choice, knob, section

#: Laws of the number of objects per image.
COUNT_LAWS = {
    "auto": Choice(
        "Automatic", "As suits the kind of images, or as many as the reference images show."
    ),
    "linear": Choice(
        "Published (36 - n)", "Many images with few objects: n objects in proportion to 36 - n, for 1 "
        "to 30; stretched where the objects per image are given.",
    ),
    "uniform": Choice(
        "Uniform", "All numbers from 1 to 30 equally often, or from half to one and a half times the "
        "objects per image where given.",
    ),
    "reference": Choice(
        "Match my labels", "As often as the labels or counts of the reference images have each "
        "number; in images of another size in proportion to the area.",
    ),
    "poisson": Choice("Poisson", "Scattered by chance around the objects per image."),
    "geometric": Choice(
        "Growing culture", "Each further object is less likely by the same factor, as in a culture that "
        "divides; needs the objects per image.",
    ),
    "fixed": Choice("Always the same", "Exactly the objects per image."),
}  # fmt: skip
_SOFT = "blurred by this part, with the rim that the authors noted for it."


@dataclass(frozen=True)
class LegacySettings:
    """Variants of the published counting images."""

    recipe: str = knob(
        "released", "Recipe", "What is drawn.",
        choices={
            "released": Choice("As released", "What the published code draws: plain ellipses."),
            "paper": Choice(
                "As in the paper", "Also brightness, blur and noise of each cell, and dividing pairs "
                "with rough rims.",
            ),
        },
    )  # fmt: skip
    softness: str = knob(
        "released", "Softness", "How much the cells are blurred.",
        choices={
            "released": Choice("As released", "By half; in phase contrast the darkest rim."),
            **{value: Choice(value, _SOFT.capitalize()) for value in ("0.1", "0.5", "0.75", "1")},
        },
    )  # fmt: skip
    high_contrast: bool = knob(
        False,
        "High contrast",
        "Rims 40 greys darker in bright field, 20 brighter in phase contrast.",
    )


SCENES = {
    "mixed": Choice(
        "Mixed", "All kinds, both bright and dark objects; to prepare a model for any technique."
    ),
    "fluorescence-nuclei": Choice("Fluorescent nuclei", "Bright nuclei on a dark background."),
    "phase-contrast": Choice("Phase contrast", "Adherent and rounded cells with halos on grey."),
    "bright-field": Choice("Bright field", "Cells with bright and dark rims, low contrast."),
    "legacy-bright-field": Choice(
        "Published, bright field",
        "The simple bright-field images published for counting with a "
        "Twin-VAE: 1 to 30 cells in a chamber, 128 x 128 px.",
    ),
    "legacy-phase-contrast": Choice(
        "Published, phase contrast",
        "The same in phase contrast.",
    ),
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
    height_px: int = knob(
        0, "Height (px)", "Of every image; 0 = 256, of the published kinds 128.", minimum=0,
        maximum=8192,
    )  # fmt: skip
    width_px: int = knob(
        0, "Width (px)", "Of every image; 0 = 256, of the published kinds 128.", minimum=0,
        maximum=8192,
    )  # fmt: skip
    mean_count: float = knob(
        0.0, "Objects per image", "On average; 0 = as suits the kind of images.",
        minimum=0.0, maximum=10_000.0,
    )  # fmt: skip
    count_law: str = knob(
        "auto",
        "How numbers vary",
        "How the number of objects differs from image to image.",
        choices=COUNT_LAWS,
    )
    diameter_px: float = knob(
        0.0, "Object diameter (px)", "On average; 0 = as suits the kind of images, or as in the "
        "reference images, but for the published kinds.", minimum=0.0, maximum=2000.0,
    )  # fmt: skip
    noise: str = knob(
        "mixed", "Camera noise", "As after long, medium or short exposure; the published kinds have none.",
        choices={
            "low": Choice("Low", "Long exposure (500 ms)."),
            "medium": Choice("Medium", "Medium exposure (100 ms), or as in reference images."),
            "high": Choice("High", "Short exposure (20 ms)."),
            "mixed": Choice(
                "Mixed", "Drawn anew for every image, or as in the reference images that looks are "
                "fitted to.",
            ),
        },
    )  # fmt: skip
    fit: bool = knob(
        True, "Fit to reference images", "Search for looks, sizes and contrast whose images resemble "
        "the reference images most; takes about half a minute. Otherwise only background, object "
        "size, contrast and noise follow. Only with reference images; not for the published kinds.",
    )  # fmt: skip
    legacy: LegacySettings = section(
        LegacySettings, "Published images", "Only for the kinds *Published, ...*.", advanced=True,
        show_if=("scene", ("legacy-bright-field", "legacy-phase-contrast")),
    )  # fmt: skip

    def check_together(self) -> None:
        """Refuse image sizes too small to hold anything, and laws that lack their mean."""
        for name, value in (("Height", self.height_px), ("Width", self.width_px)):
            if 0 < value < 16:
                raise ValueError(
                    f'"{name} (px)" ({name.lower()}_px): must be 0 or at least 16, found {value}.'
                )
        if self.count_law in ("fixed", "geometric", "poisson") and self.mean_count == 0:
            raise ValueError(
                f'"Objects per image" (mean_count): the law "{COUNT_LAWS[self.count_law].label}" needs '
                "a mean number of objects, found 0."
            )
