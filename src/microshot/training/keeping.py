"""Images of a training kept on a graphics card, where the stage knows how and they fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from microshot.device import Device
    from microshot.training.trainer import Stage

#: Part of a card's free memory that images may take; the rest is the network's.
SHARE = 0.25


def kept_on_card(stage: Stage, device: Device) -> Stage:
    """Return a stage whose batches are cut from images on the card; else the stage as it is."""
    if device.name != "cuda" or stage.keep is None:
        return stage
    free, _ = torch.cuda.mem_get_info()
    found = stage.keep(device.torch, int(SHARE * free))
    return stage if found is None else replace(stage, draw=found[0], make=found[1])
