"""Random changes of the Twin-VAE's training pictures: drawn beside the data, made by the batch.

Imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from microshot.tasks.counting.twin_vae_recipes import TwinVaeHyper
    from microshot.training.trainer import Batch

#: Pictures that are turned and cropped alike: where a picture is read from takes longer to compute
#: than reading it.
TOGETHER = 4
#: Values of a field of noise beyond those that one batch takes.
_SPARE = 1 << 16


@dataclass(frozen=True)
class Contrast:
    """Ranges of random changes of brightness, beside the paper's changes of place."""

    gain: tuple[float, float] = (1.0, 1.0)
    """Factor around the middle of the range, 0.5."""
    offset: float = 0.0
    invert: float = 0.0
    """Probability of turning bright into dark."""


#: ``light`` is the paper's augmentation, ``shapes`` all of it but noise; ``none`` leaves mirror
#: images and quarter turns.
CONTRASTS = {
    "none": Contrast(),
    "shapes": Contrast(),
    "light": Contrast(),
    "standard": Contrast((0.7, 1.4), 0.1),
    "contrasts": Contrast((0.7, 1.4), 0.1, 0.5),
    "heavy": Contrast((0.5, 1.8), 0.2, 0.3),
}


def changes(n: int, side: int, h: TwinVaeHyper, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw how `n` pictures of a side are changed; what leaves all as they are is not there.

    ``place`` (m, 2, 3) float32 affine maps, one for every n / m pictures, ``light`` (n, 2) float32
    gains and offsets, ``shift`` (n, 2) int64 px.
    """
    made = {"place": _places(n if n % TOGETHER else n // TOGETHER, h, rng)}
    contrast = CONTRASTS[h.augmentation]
    if contrast != Contrast():
        made["light"] = _lights(n, contrast, rng)
    if h.augmentation != "none" and h.shifted_share > 0:
        moved = rng.random((n, 1)) < h.shifted_share
        made["shift"] = rng.integers(side, size=(n, 2)) * moved
    return made


def _places(n: int, h: TwinVaeHyper, rng: np.random.Generator) -> np.ndarray:
    changed = rng.random(n) < (0.0 if h.augmentation == "none" else h.changed_share)
    crop = np.where(changed, h.crop_fraction, 1.0)
    turn = np.deg2rad(rng.uniform(-h.rotate_deg, h.rotate_deg, n)) * changed
    angle = turn + np.pi / 2 * rng.integers(4, size=n)
    mirror = rng.choice([-1.0, 1.0], n)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = rng.uniform(-1, 1, (2, n)) * (1 - crop)
    rows = [crop * cos * mirror, -crop * sin, x, crop * sin * mirror, crop * cos, y]
    return np.stack(rows, 1).reshape(n, 2, 3).astype(np.float32)


def _lights(n: int, contrast: Contrast, rng: np.random.Generator) -> np.ndarray:
    low, high = np.log(contrast.gain)
    gain = np.exp(rng.uniform(low, high, n)) * np.where(rng.random(n) < contrast.invert, -1, 1)
    offset = rng.uniform(-contrast.offset, contrast.offset, n)
    return np.stack([gain, offset], 1).astype(np.float32)


def shifted(image: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Move pictures (N, 1, S, S) by (N, 2) px; what leaves on one side comes in on the other.

    Whole rows are copied, once upright and once lying down.
    """
    side = image.shape[-1]
    at = torch.arange(side, device=image.device)
    first = side * torch.arange(len(image), device=image.device)[:, None]
    for axis in (0, 1):
        rows = (at - shift[:, axis, None]) % side + first
        image = image.reshape(-1, side)[rows.view(-1)].view(-1, 1, side, side).transpose(2, 3)
    return image


def sampled(image: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Turn, mirror and crop pictures (N, 1, S, S) by (M, 2, 3) affine maps, in one resampling.

    Every N / M pictures share a map. What a turn brings in from outside repeats the edge. The points
    are those of `F.affine_grid`, as sums of what depends on the row and on the column alone, which
    takes a fifth of its time.
    """
    side = image.shape[-1]
    at = (2 * torch.arange(side, device=image.device) + 1) / side - 1
    across = at[:, None] * place[:, None, :, 0]
    down = at[:, None] * place[:, None, :, 1] + place[:, None, :, 2]
    points = across[:, None] + down[:, :, None]
    alike = image.reshape(len(place), -1, side, side)
    made = F.grid_sample(alike, points, padding_mode="border", align_corners=False)
    return made.reshape(image.shape)


class Noise:
    """Normal noise of a strength: a field drawn once, of which every batch takes another part.

    The field depends on the seed and the size of a batch alone, so that a training which goes on
    after it was killed has the same. Where its part begins is drawn by PyTorch, whose state is kept.
    """

    def __init__(self, strength: float, seed: int) -> None:
        self.strength, self.seed = strength, seed
        self.fields: dict[int, torch.Tensor] = {}

    def add_to(self, image: torch.Tensor) -> None:
        """Add noise to pictures, in place."""
        n = image.numel()
        if n not in self.fields:
            self.fields[n] = self._field(n).to(image.device)
        begin = int(torch.randint(_SPARE + 1, ()))
        image += self.fields[n][begin : begin + n].view_as(image)

    def _field(self, n: int) -> torch.Tensor:
        rng = np.random.default_rng((self.seed, n))
        return self.strength * torch.from_numpy(rng.standard_normal(n + _SPARE, np.float32))


def augmented(batch: Batch, domain: str, noise: Noise | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pictures (N, 1, S, S) of a domain, changed as drawn, and their counts (N,)."""
    image = batch[f"{domain}_image"]
    if (shift := batch.get(f"{domain}_shift")) is not None:
        image = shifted(image, shift)
    image = sampled(image.float(), batch[f"{domain}_place"])
    if (light := batch.get(f"{domain}_light")) is not None:
        gain, offset = light[:, 0, None, None, None], light[:, 1, None, None, None]
        image = (image - 0.5) * gain + 0.5 + offset
    if noise is not None:
        noise.add_to(image)
    return image.clamp_(0, 1), batch[f"{domain}_count"]
