"""Facts about the Twin-VAE that need no torch: its sizes, its parts, what its output holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

DOMAINS = ("natural", "synthetic")
#: Sides in px of the images that the two sizes of the network take.
SIDES = (64, 128)
#: Features at width 1, from the image inwards, and of the shared layer in the middle.
#: The network for 64 px is that for 128 px without its outermost layer, so the core is the same.
OUTER = {128: (32, 64, 128, 256), 64: (64, 128, 256)}
CORE, LATENT, HIDDEN = 512, 256, (256, 128)
LEAST_WIDTH = 1 / 16

CHOICES = {
    "regressor_input": ("latent", "decoder"),
    "regressor_activation": ("none", "leaky-relu"),
    "decoder_norm": ("batch", "group"),
    "latent_at_inference": ("mean", "sample"),
    "initialisation": ("orthogonal", "default"),
    "input": ("plain", "centred"),
}
#: What an architecture may leave out: the released network as the paper describes it.
DEFAULTS: dict[str, Any] = {
    "in_channels": 1, "side": 128, "width": 1.0, "decoder": True, "dropout": 0.1,
    "regressor_input": "latent", "regressor_activation": "none", "decoder_norm": "batch",
    "latent_at_inference": "mean", "initialisation": "orthogonal", "input": "plain",
    "count_scale": 1.0, "initial_count": 0.0,
}  # fmt: skip
_RANGES = {
    "width": (LEAST_WIDTH, 1.0), "dropout": (0.0, 0.9), "count_scale": (1e-6, 1e9),
    "initial_count": (0.0, 1e9),
}  # fmt: skip

_READERS, _WRITERS = ("reader.",), ("writer.",)
_CORE = ("core_encoder.", "mu.", "logvar.", "expand.", "core_decoder.")


def _level(number: int) -> tuple[str, ...]:
    return tuple(
        f"{part}.{domain}.{number}." for part in ("reader", "writer") for domain in DOMAINS
    )


#: Parts that can be frozen or renewed: prefixes of parameter names. The first three are those
#: of every network here; ``core`` and ``outer`` are the two halves that the paper freezes, the
#: others its steps of thawing (layers of readers and writers count from the image inwards).
PARTS = {
    "encoder": (*_READERS, "core_encoder.", "mu.", "logvar."),
    "decoder": ("expand.", "core_decoder.", *_WRITERS),
    "head": ("regressor.",),
    "core": (*_CORE, "regressor."),
    "outer": (*_READERS, *_WRITERS),
    "shared": ("core_encoder.", "core_decoder."),
    "level-2": _level(2),
    "level-3": _level(3),
    "level-4": _level(4),
}
#: Frozen parts by transfer strategy, as in the paper's section 4.1.
FROZEN = {
    "all": (),
    "freeze-core": ("core",),
    "freeze-outer": ("outer",),
    "freeze-encoder": ("encoder",),
    "head": ("encoder", "decoder"),
}
#: Thawing by fifths of the training: first the linear layers with the outermost layers of readers
#: and writers, then inwards; from which part on which parts are still frozen. Nothing is left for
#: the last fifth, from which on the released code trains everything.
#: The released code means this order; there, a comparison of epochs keeps the first step
#: from ever being set, and layer names are found by parts of words.
THAW = (
    (0.0, ("head", "shared", "level-2", "level-3", "level-4")),
    (0.2, ("shared", "level-3", "level-4")),
    (0.4, ("level-4",)),
    (0.6, ()),
)


def check_architecture(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an architecture with what is optional filled in.

    Raises
    ------
    ValueError
        Naming the entry, what is allowed and what was found.
    """
    a = {**DEFAULTS, **given, "name": "twin-vae"}
    allowed = {**CHOICES, "side": SIDES, "in_channels": (1,), "decoder": (True, False)}
    for name, values in allowed.items():
        if type(a[name]) is not type(values[0]) or a[name] not in values:
            listed = ", ".join(str(v) for v in values)
            raise ValueError(
                f"Twin-VAE: expected one of {listed} as {name}, found {a[name]!r:.60}."
            )
    for name, (low, high) in _RANGES.items():
        value = a[name]
        if (
            not isinstance(value, (int, float))
            or isinstance(value, bool)
            or not low <= value <= high
        ):
            raise ValueError(
                f"Twin-VAE: expected a number from {low:g} to {high:g} as {name}, found {value!r:.60}."
            )
    return a


def features(full: int, width: float) -> int:
    """Return how many features a layer has that has `full` at width 1."""
    return max(1, round(full * width))


def latent_size(architecture: Mapping[str, Any]) -> int:
    """Return the number of latent variables."""
    return features(LATENT, float(architecture["width"]))


@dataclass(frozen=True, eq=False)
class Reading:
    """The network's output for N images, taken apart."""

    count: np.ndarray
    """(N,) float32."""
    spread: np.ndarray
    """(N,) float32 standard deviation of the count over latent samples."""
    latent: np.ndarray
    """(N, L) float32 latent means."""
    reconstructions: Mapping[str, np.ndarray]
    """(N, S, S) float32, 0 to 1, as the writer of each domain draws it; empty without decoder."""


def reading(output: np.ndarray, architecture: Mapping[str, Any]) -> Reading:
    """Take apart what `nn.twin_vae.TwinVAE` returns: (N, K, 1, 1) float32."""
    n, latent, side = len(output), latent_size(architecture), int(architecture["side"])
    flat = output.reshape(n, -1)
    pictures = flat[:, 2 + latent :].reshape(n, -1, side, side)  # (N, 0 or 2, S, S)
    named = zip(DOMAINS, pictures.transpose(1, 0, 2, 3), strict=False)
    return Reading(flat[:, 0], flat[:, 1], flat[:, 2 : 2 + latent], dict(named))
