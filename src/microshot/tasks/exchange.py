"""What other programs need to know of a network: its outputs by name, sides it takes, strides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from microshot.nn import geometry, translator_geometry
from microshot.nn.twin_vae_shapes import latent_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    from microshot.tasks.base import Recipe


@dataclass(frozen=True)
class Output:
    """One tensor that a network returns."""

    name: str
    meaning: str
    """One sentence for people."""
    n_channels: int
    stride: int = 1
    """px of the input per px of the output; 0 = numbers for the whole image, (N, channels)."""


@dataclass(frozen=True, eq=False)
class Interface:
    """How a network is called: one input ``image`` (N, C, Y, X) float32, normalised."""

    n_channels: int
    outputs: tuple[Output, ...]
    wrap: Callable[[nn.Module], nn.Module]
    """Makes of the network one that returns `outputs`."""
    multiple: int = 1
    """Sides must be divisible by this."""
    side: int = 0
    """The only side that the network takes; 0 = any."""
    halo_px: int = 0
    """px that an output pixel may look at to either side."""


def interface(task: str, recipe: Recipe) -> Interface:
    """Return how other programs call the network of a model.

    Parameters
    ----------
    recipe : checked, see `tasks.base.Task.checked`.

    Raises
    ------
    ValueError
        If the model has no network.
    """
    a = recipe.architecture
    if task == "segment":
        return _segmenter(a)
    if task == "translate":
        return _translator(a)
    return _counter(a)


def _unet(a: Mapping[str, Any], outputs: tuple[Output, ...], wrap: Any) -> Interface:
    return Interface(
        int(a["in_channels"]), outputs, wrap, geometry.side_multiple(a),
        halo_px=geometry.receptive_radius(a),
    )  # fmt: skip


def _segmenter(a: Mapping[str, Any]) -> Interface:
    from microshot.nn import exchange

    grid, head = int(a["grid"]), a["head"]
    if head == "stardist":
        outputs = (
            Output("probability", "Probability that an object has its middle here.", 1, grid),
            Output(
                "distance",
                "Distance in px of the input to the object's edge along each ray; the first ray "
                "points to the right, the next ones turn towards larger y.",
                int(a["rays"]),
                grid,
            ),
        )
        return _unet(a, outputs, exchange.StarDistOutputs)
    n = geometry.HEAD_CHANNELS[head]
    meaning = "Probability that the pixel belongs to an object."
    if n > 1:
        meaning = "Probabilities of background, inside of an object, and edge of an object."
    outputs = (Output("probability", meaning, n, grid),)
    return _unet(a, outputs, partial(exchange.PixelOutputs, n_logits=n))


def _counter(a: Mapping[str, Any]) -> Interface:
    from microshot.nn import exchange

    way = a["name"]
    if way == "density":
        meaning = "Objects per output pixel; the sum is the count."
        outputs = (Output("density", meaning, 1, int(a["grid"])),)
        return _unet(a, outputs, exchange.PlainOutput)
    if way == "twin-vae":
        outputs = (
            Output("count", "Number of objects in the image.", 1, 0),
            Output("latent", "Means of the latent variables.", latent_size(a), 0),
        )
        side = int(a["side"])
        return Interface(1, outputs, exchange.TwinVaeOutputs, side, side)  # type: ignore[arg-type]
    if way == "frozen-cnn":
        outputs = (Output("density", "Mean number of objects per px of the image.", 1, 0),)
        multiple = 2 ** max(len(a["widths"]) - 1, 0)
        return Interface(int(a["in_channels"]), outputs, exchange.NumberOutput, multiple)
    raise ValueError(
        f'A model that counts by "{way}" has no network that other programs could run; share its '
        ".microshot file instead."
    )


def _translator(a: Mapping[str, Any]) -> Interface:
    from microshot.nn import exchange

    n = int(a["out_channels"])
    outputs = (Output("stains", "One virtual stain per channel.", n),)
    wrap: Any = exchange.PlainOutput
    if translator_geometry.has_mask(a):
        outputs = (*outputs, Output("mask", "Probability of a nucleus.", 1))
        wrap = partial(exchange.StainOutputs, n_stains=n)
    return Interface(
        int(a["in_channels"]), outputs, wrap, translator_geometry.side_multiple(a),
        halo_px=translator_geometry.receptive_radius(a),
    )  # fmt: skip
