"""The choices of the task *segment*: network, normalisation and training values."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from microshot.data.normalize import Normalization
from microshot.nn.geometry import (
    RESNETS,
    STARTABLE,
    check_architecture,
    halo_px,
    side_multiple,
    tile_px,
)
from microshot.settings import NetworkSettings
from microshot.tasks.base import Recipe
from microshot.tasks.hyper import Hyper, all_synthetic, patch_side, percentiles, resolved
from microshot.tasks.object_scale import preparation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.data.dataset import Sample

#: Median diameter of objects at the scale the network works at, in px.
WORKING_DIAMETER_PX = 24.0
#: Where no threshold was found, as in StarDist.
DEFAULT_THRESHOLDS = {"probability": 0.5, "overlap": 0.4}

#: The rate was chosen by measurement (`benchmarks`, how fast to learn): for minutes on few images,
#: 1e-3 is too slow and 8e-3 too fast.
FAST = Hyper(
    learning_rate=3e-3, batch_size=4, patch_px=128, augmentation="standard", ema=0.99,
)  # fmt: skip
#: StarDist's own values (Config2D defaults and example notebooks).
FAITHFUL = Hyper(
    learning_rate=3e-4, batch_size=4, patch_px=256, augmentation="light", schedule="plateau",
    ema=0.0, clip=0.0, warmup_steps=0, epochs=400,
)  # fmt: skip
PRESETS = {"fast": FAST, "faithful": FAITHFUL}
#: Training on synthetic images only prepares for real ones of whatever contrast, at the rate of all
#: starts that `benchmarks` measure.
PREPARE = dataclasses.replace(FAST, augmentation="contrasts", learning_rate=1e-3)


def hyper(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Hyper:
    """Resolve automatic training values; patches get a side that the network can take."""
    base = FAST if start is not None else PRESETS[settings.preset]
    if start is None and base is FAST and all_synthetic(samples):
        base = PREPARE
    network = architecture(settings, 1) if start is None else start.architecture
    side = patch_side(settings.images.patch_px or base.patch_px, side_multiple(network))
    return resolved(base, settings, patch_px=side)


def recipe(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Recipe:
    """Choose scale, normalisation and network; a retrained model keeps the last two."""
    n_channels = samples[0].image.n_channels
    prepared = preparation(samples, settings, start, WORKING_DIAMETER_PX)
    if start is not None:
        network = {**start.architecture, "in_channels": n_channels}
    else:
        distance = round(prepared["working_diameter_px"] / 3, 2)
        network = {**architecture(settings, n_channels), "initial_distance_px": distance}
    halo = {"halo_px": halo_px(network)}
    return Recipe(network, normalization(settings, start), prepared, halo, DEFAULT_THRESHOLDS)


def normalization(settings: Any, start: Recipe | None) -> Normalization:
    """Return the normalisation the settings describe; a retrained model keeps its own."""
    if start is not None:
        return start.normalization
    i, kind = settings.images, settings.images.normalization
    if kind == "auto":
        kind = "percentile" if settings.preset == "faithful" else "zscore"
    return Normalization(kind, **percentiles(kind, i))


def architecture(settings: Any, n_channels: int, head: str = "") -> dict[str, Any]:
    """Return the network that the settings describe, with another `head` where the task has its own.

    Published encoder weights know images as they are, so with them nothing is put before the
    encoder unless the user asks for it.
    """
    n, faithful = settings.network, settings.preset == "faithful"
    backbone = "unet" if n.backbone == "auto" else n.backbone
    shaped = backbone not in RESNETS
    pretrained = backbone in STARTABLE and bool(n.encoder_weights)
    return {
        "name": "segmenter",
        "backbone": backbone,
        "head": head or ("stardist" if n.head == "auto" else n.head),
        "in_channels": n_channels,
        "width": (shaped and n.width) or (32 if backbone == "unet" and faithful else 16),
        "head_features": 128 if faithful else 64,
        "depth": n.depth if shaped else NetworkSettings.depth,
        "rays": NetworkSettings.rays if head else n.rays,
        "grid": (1 if pretrained else 2) if n.grid == "auto" else int(n.grid),
    }


def checked(given: Recipe) -> Recipe:
    """Return the recipe of a model file with what is optional filled in.

    Raises
    ------
    ValueError
        If the network is none that can be built, or a number makes no sense.
    """
    thresholds = {
        name: number(given.thresholds, name, default, 0, 1)
        for name, default in DEFAULT_THRESHOLDS.items()
    }
    completed = checked_network(given, WORKING_DIAMETER_PX)
    return dataclasses.replace(completed, thresholds={**given.thresholds, **thresholds})


def checked_network(given: Recipe, working_px: float) -> Recipe:
    """Return `given` with network and scale checked and completed, thresholds as they are."""
    check_architecture(given.architecture)
    number(given.architecture, "initial_distance_px", 8.0, 0, 1e6)
    working = number(given.preparation, "working_diameter_px", working_px, 1e-3, 1e6)
    diameters = {
        "working_diameter_px": working,
        "image_diameter_px": number(given.preparation, "image_diameter_px", working, 1e-3, 1e6),
    }
    halo = halo_px(given.architecture)  # a file of an earlier version may ask for more
    halo = min(halo, number(given.tile, "halo_px", halo, 0, 1e5))
    return dataclasses.replace(
        given,
        preparation={**given.preparation, **diameters},
        tile={**given.tile, "halo_px": int(halo)},
    )


def number(
    values: Mapping[str, Any], name: str, default: float, least: float, greatest: float
) -> float:
    """Return a number of a model file, or `default` where it has none; ValueError if senseless."""
    value = values.get(name, default)
    ok = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not ok or not least <= value <= greatest:
        raise ValueError(
            f"The model's {name} must be a number from {least:g} to {greatest:g}, found "
            f"{value!r:.60}; the model file was changed by another program."
        )
    return float(value)


def tiling(given: Recipe, wished_px: int = 0) -> dict[str, int]:
    """Return how images are cut into tiles, by the names that `run_tiles` and `tiles_of` give to it.

    `wished_px` is the greatest side of a tile; 0 = as suits the network.
    """
    a = given.architecture
    return {
        "tile_px": wished_px or tile_px(a),
        "halo_px": int(given.tile["halo_px"]),
        "multiple": side_multiple(a),
    }
