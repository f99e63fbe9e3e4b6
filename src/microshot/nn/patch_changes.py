"""Patches of a batch cut out of images where those are kept, and changed there, all at once.

What `data.patches` and `data.augment` do with one patch after the other on the processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

#: Parameter of cubic convolution, that of OpenCV.
CUBIC = -0.75


class Kept(NamedTuple):
    """Images of any sizes with their labels, one after the other, M pixels in all."""

    pixels: torch.Tensor
    """(M, C) float32."""
    labels: torch.Tensor
    """(M,) int32."""
    first: torch.Tensor
    """(F,) int64, the first pixel of each image."""
    shapes: torch.Tensor
    """(F, 2) int64, height and width of each image."""


def kept(images: Sequence[np.ndarray], labels: Sequence[np.ndarray], device: torch.device) -> Kept:
    """Bring images (C, Y, X) float32 and labels (Y, X) int32 to a device."""
    shapes = torch.tensor([one.shape for one in labels])
    ends = shapes.prod(1).cumsum(0)
    pixels = torch.empty((int(ends[-1]), len(images[0])), device=device)
    ids = torch.empty(len(pixels), dtype=torch.int32, device=device)
    for image, own, end in zip(images, labels, ends.tolist(), strict=True):
        here = slice(end - own.size, end)
        pixels[here] = torch.from_numpy(image).to(device).flatten(1).t()
        ids[here] = torch.from_numpy(own).to(device).flatten()
    return Kept(pixels, ids, (ends - shapes.prod(1)).to(device), shapes.to(device))


def cut(
    images: Kept, which: torch.Tensor, corner: torch.Tensor, back: torch.Tensor, size: int,
    *, cubic: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Return patches (N, C, P, P) and their labels (N, P, P) int32.

    Grey values are interpolated linearly between four pixels, or by cubic convolution of
    sixteen [1]_, labels are those of the nearest. What lies over the edge of an image is
    mirrored at its edge pixels, any distance away.

    Parameters
    ----------
    which : (N,) int64, the image of every patch.
    corner : (N, 2) int64, where its first pixel would lie if it was not moved, y and x.
    back : (N, 2, 2) float32, see `data.augment.drawn_map`.
    size : P.

    References
    ----------
    .. [1] Keys 1981, doi:10.1109/TASSP.1981.1163711, with the parameter `CUBIC`.
    """
    at = torch.arange(size, device=back.device) - (size - 1) / 2
    rows, columns = back.unbind(2)  # (N, 2) each
    there = rows[..., None, None] * at[:, None] + columns[..., None, None] * at  # (N, 2, P, P)
    there = there + (size - 1) / 2
    low = there.floor()
    first = low.long() + corner[..., None, None]
    shapes, start = images.shapes[which], images.first[which][:, None, None]
    width = shapes[:, 1, None, None]

    def place(down: int | torch.Tensor, right: int | torch.Tensor) -> torch.Tensor:
        y = _mirrored(first[:, 0] + down, shapes[:, 0, None, None])
        return start + y * width + _mirrored(first[:, 1] + right, width)  # (N, P, P)

    weights = _cubic if cubic else _linear
    y, x = (weights(part) for part in (there - low)[..., None].unbind(1))  # of (N, P, P, 1)
    image = _mixed(y, lambda down: _mixed(x, lambda right: images.pixels[place(down, right)]))
    nearest = (there - low + 0.5).long()
    return image.permute(0, 3, 1, 2), images.labels[place(*nearest.unbind(1))]


def _mixed(
    weights: Mapping[int, torch.Tensor], pixels: Callable[[int], torch.Tensor]
) -> torch.Tensor:
    """Return the weighted sum of the pixels at each of some steps."""
    (step, weight), *others = weights.items()
    mixed = pixels(step) * weight
    for step, weight in others:
        mixed = mixed.addcmul_(pixels(step), weight)
    return mixed


def _linear(part: torch.Tensor) -> dict[int, torch.Tensor]:
    """Return what pixels weigh by their steps from the one before.

    `part` is how far a place lies from there to the next pixel, 0 to 1.
    """
    return {0: 1 - part, 1: part}


def _cubic(part: torch.Tensor) -> dict[int, torch.Tensor]:
    """Do what `_linear` does for cubic convolution."""

    def near(apart: torch.Tensor) -> torch.Tensor:
        return ((CUBIC + 2) * apart - (CUBIC + 3)) * apart**2 + 1

    def far(apart: torch.Tensor) -> torch.Tensor:
        return CUBIC * (((apart - 5) * apart + 8) * apart - 4)

    return {-1: far(1 + part), 0: near(part), 1: near(1 - part), 2: far(2 - part)}


def _mirrored(position: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """Do what `data.patches.mirrored` does."""
    period = (2 * (length - 1)).clamp_min(1)
    folded = position.remainder(period)
    return torch.where(folded < length, folded, period - folded)


def shaded(image: torch.Tensor, batch: Mapping[str, torch.Tensor], middle: float) -> torch.Tensor:
    """Change the grey values of patches (N, C, P, P) as drawn.

    Parameters
    ----------
    batch : (N,) float32 for those fields of `data.augment.Shade` that change anything, among others.
        Noise is drawn here, from PyTorch's own generator.
    middle : value around which contrast is inverted.
    """

    def drawn(name: str) -> torch.Tensor:
        return batch[name][:, None, None, None]

    if "inverted" in batch:
        image = torch.where(drawn("inverted") > 0, 2 * middle - image, image)
    if "exponent" in batch:
        image = _bent(image, drawn("exponent"))
    if "blur_px" in batch:
        across = _blurring(batch["blur_px"], image.shape[-1])[:, None]  # (N, 1, P, P)
        image = across @ image @ across
    if "gain" in batch:
        image = image * drawn("gain")
    if "offset" in batch:
        image = image + drawn("offset")
    if "rise" in batch:
        at = torch.linspace(-0.5, 0.5, image.shape[-1], device=image.device)
        angle = drawn("angle")
        image = image + drawn("rise") * (angle.sin() * at[:, None] + angle.cos() * at)
    if "noise" in batch:
        image = image + torch.randn_like(image) * drawn("noise")
    return image


def _bent(image: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
    """Bend the values between each patch's least and greatest, which stay where they are."""
    low, high = image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True)
    span = high - low
    bent = ((image - low) / span.clamp_min(1e-6)) ** exponent * span + low
    return torch.where(span < 1e-6, image, bent)


def _blurring(sd: torch.Tensor, size: int) -> torch.Tensor:
    """Return symmetric matrices (N, size, size) that blur rows or columns with sd px (N,).

    Weights end at four sd and are mirrored between pixels at the edge, as those of
    `scipy.ndimage.gaussian_filter`; an sd of 0 leaves everything as it is.
    """
    apart = torch.arange(2 * size, device=sd.device)
    sd = sd.clamp_min(0.1)[:, None]
    weight = torch.exp(-((apart / sd) ** 2) / 2) * (apart <= (4 * sd + 0.5).floor())
    weight = weight / (2 * weight.sum(1, keepdim=True) - weight[:, :1])
    at = apart[:size]
    beside, across = (at[:, None] - at).abs(), at[:, None] + at
    return weight[:, beside] + weight[:, across + 1] + weight[:, 2 * size - 1 - across]
