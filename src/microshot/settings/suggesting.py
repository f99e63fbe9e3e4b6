"""The knobs of *Suggest Images to Label*."""

from __future__ import annotations

from dataclasses import dataclass

from microshot.knobs import Choice, knob
from microshot.settings.learning import CHANNEL, DEVICE, DIAMETER, TILE

#: Ways to order images.
CRITERIA = {
    "both": Choice(
        "Unsure and different",
        "Images that stand for many others of which the model is unsure, each unlike those before.",
    ),
    "unsure": Choice("Unsure", "The image of which the model is least sure comes first."),
    "different": Choice(
        "Different", "Images that stand for as many others as possible, whatever the model says."
    ),
}


@dataclass(frozen=True)
class SuggestSettings:
    """Settings of *Suggest Images to Label*."""

    n: int = knob(
        0, "Number of images", "How many images to suggest; 0 = put all of them into order.",
        minimum=0, maximum=1_000_000,
    )  # fmt: skip
    criterion: str = knob(
        "both", "Which images come first", "What makes an image worth labelling.", choices=CRITERIA
    )
    diameter_px: float = DIAMETER
    channel: str = CHANNEL
    tile_px: int = TILE
    device: str = DEVICE
