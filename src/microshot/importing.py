"""Models of other programs as models of ours: StarDist 2-D, without TensorFlow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import provenance
from microshot.bundle import Bundle, Card
from microshot.data.keras_weights import KerasFile, Layer
from microshot.data.normalize import Normalization
from microshot.data.stardist_folder import StarDistFiles, is_stardist, read_stardist
from microshot.nn.geometry import LIMITS, halo_px
from microshot.tasks.segmenting.recipes import DEFAULT_THRESHOLDS, WORKING_DIAMETER_PX

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: What a configuration must say for our network to be the same; a missing entry means this.
_FIXED: dict[str, Any] = {
    "n_dim": 2, "backbone": "unet", "n_classes": None, "unet_kernel_size": [3, 3],
    "unet_n_conv_per_depth": 2, "unet_pool": [2, 2], "unet_activation": "relu",
    "unet_last_activation": "relu", "unet_batch_norm": False, "unet_prefix": "", "unet_expansion": 2,
}  # fmt: skip
#: Entries of our architecture, StarDist's names for them and its defaults.
_NUMBERS = {
    "in_channels": ("n_channel_in", 1), "width": ("unet_n_filter_base", 32),
    "depth": ("unet_n_depth", 3), "rays": ("n_rays", 32),
    "head_features": ("net_conv_after_unet", 128),
}  # fmt: skip


def open_model(path: Path) -> Bundle:
    """Read a model: a `.microshot` file, or a StarDist model as a folder or zip.

    Raises
    ------
    FileNotFoundError, ValueError, RuntimeError
        See `Bundle.load` and `from_stardist`.
    """
    return from_stardist(path) if is_stardist(path) else Bundle.load(path)


def from_stardist(path: Path, *, diameter_px: float = 0.0, name: str = "") -> Bundle:
    """Return a StarDist 2-D model as a model of ours with the same output.

    Parameters
    ----------
    path : folder or zip with ``config.json``, ``weights_best.h5`` and, if it has one,
        ``thresholds.json``.
    diameter_px : median diameter of objects in the images it was trained on, which the files do not
        tell; images to retrain it with are brought to it. 0 = 24 px.

    Raises
    ------
    FileNotFoundError, RuntimeError
        If files are missing, or the package that reads weights is.
    ValueError
        If a file is damaged, or our network cannot be the same; names the key.

    References
    ----------
    .. [1] Schmidt et al. 2018, doi:10.1007/978-3-030-00934-2_30; network and names of its layers as
       in the released stardist and csbdeep.
    """
    files = read_stardist(path)
    a = architecture_of(files.config, files.name)
    file = KerasFile(files.weights, f"{files.name}, {files.weights_name}")
    weights = _weights(file, a)
    diameter = diameter_px or WORKING_DIAMETER_PX
    card = Card(
        "segment",
        a,
        Normalization("percentile", low=1.0, high=99.8).to_json(),
        name=name or files.name,
        channels=tuple(f"channel {i + 1}" for i in range(a["in_channels"])),
        preparation={
            "working_diameter_px": diameter, "image_diameter_px": diameter, "each_image": False,
        },
        tile={"halo_px": halo_px(a)},
        thresholds=_thresholds(files),
        training={"imported_from": "StarDist"},
        licence="see source",
        versions=provenance.versions(),
        created=provenance.now(),
    )  # fmt: skip
    return Bundle.make(card, weights)


def architecture_of(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the network of ours that equals the one a StarDist configuration describes.

    Raises
    ------
    ValueError
        If there is none; names the key, what it must be, and what was found.
    """
    for key, value in _FIXED.items():
        if (found := config.get(key, value)) != value:
            raise ValueError(
                f'{where}: "{key}" is {found!r:.60} in {where}\'s configuration; only {value!r} can be '
                "rebuilt here."
            )
    a: dict[str, Any] = {"name": "segmenter", "backbone": "unet", "head": "stardist"}
    for ours, (key, default) in _NUMBERS.items():
        low, high = LIMITS[ours]
        found = config.get(key, default)
        if type(found) is not int or not low <= found <= high:
            raise ValueError(
                f'{where}: "{key}" in the configuration must be a whole number from {low} to {high} '
                f"to be rebuilt here, found {found!r:.60}."
            )
        a[ours] = found
    grid = config.get("grid", [1, 1])
    if grid not in ([1, 1], [2, 2], [4, 4]):
        raise ValueError(
            f'{where}: "grid" in the configuration must be [1, 1], [2, 2] or [4, 4] to be rebuilt here, '
            f"found {grid!r:.60}."
        )
    return {**a, "grid": int(grid[0])}


def _thresholds(files: StarDistFiles) -> dict[str, float]:
    found = dict(DEFAULT_THRESHOLDS)
    for ours, theirs in (("probability", "prob"), ("overlap", "nms")):
        value = files.thresholds.get(theirs, found[ours])
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise ValueError(
                f'{files.name}: "{theirs}" in thresholds.json must be a number from 0 to 1, found '
                f"{value!r:.60}."
            )
        found[ours] = float(value)
    return found


def _plan(a: Mapping[str, Any]) -> list[tuple[str, str, tuple[int, int]]]:
    """Return our name, Keras' name and the channels (in, out) of every layer but stem and head."""
    width, depth = a["width"], a["depth"]
    widths = [width * 2**level for level in range(depth + 1)]
    rows = []
    n = a["in_channels"] if a["grid"] == 1 else width
    for level, w in enumerate(widths[:-1]):
        for i, c in enumerate((n, w)):
            rows.append((f"backbone.encoder.{level}.{i}.0", f"down_level_{level}_no_{i}", (c, w)))
        n = w
    rows.append(("backbone.bottleneck.0.0", "middle_0", (n, widths[-1])))
    rows.append(("backbone.bottleneck.1.0", "middle_2", (widths[-1], widths[max(depth - 1, 0)])))
    n = widths[max(depth - 1, 0)]
    for step, level in enumerate(reversed(range(depth))):
        w, following = widths[level], widths[max(level - 1, 0)]
        up = f"backbone.decoder.{step}"
        rows.append((f"{up}.0.0", f"up_level_{level}_no_0", (n + w, w)))
        rows.append((f"{up}.1.0", f"up_level_{level}_no_2", (w, following)))
        n = following
    rows.append(("features.0", "features", (n, a["head_features"])))
    return rows


def _stem(file: KerasFile, a: Mapping[str, Any]) -> list[tuple[str, str, tuple[int, int]]]:
    """Return the layers before the backbone, which Keras numbers as it likes.

    Two convolutions per halving; in the file they are called ``conv2d``, ``conv2d_1`` or with
    greater numbers, in the order in which they were made.
    """
    n_halvings = a["grid"].bit_length() - 1
    named = [name for name in file.tensor_names() if re.fullmatch(r"conv2d(_\d{1,6})?", name)]
    named.sort(key=lambda name: int(name[7:] or 0))
    if len(named) != 2 * n_halvings:
        raise ValueError(
            f"{file.where}: expected {2 * n_halvings} layers before the U-Net for grid {a['grid']}, "
            f"found {len(named)}."
        )
    ours = [f"stem.{5 * level + at}" for level in range(n_halvings) for at in (0, 2)]
    channels = [(a["width"] if i else a["in_channels"], a["width"]) for i in range(len(ours))]
    return list(zip(ours, named, channels, strict=True))


def _weights(file: KerasFile, a: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return our tensors by name; kernels (h, w, in, out) become (out, in, h, w)."""
    plan = [*_stem(file, a), *_plan(a)]
    shapes = {theirs: (3, 3, *channels) for _, theirs, channels in plan}
    heads = {"prob": (1, 1, a["head_features"], 1), "dist": (1, 1, a["head_features"], a["rays"])}
    layers = file.layers({**shapes, **heads})
    weights: dict[str, np.ndarray] = {}
    for ours, theirs, _ in plan:
        _put(weights, ours, layers[theirs])
    both = tuple(
        np.concatenate([p, d], -1) for p, d in zip(layers["prob"], layers["dist"], strict=True)
    )
    _put(weights, "head", (both[0], both[1]))
    return weights


def _put(weights: dict[str, np.ndarray], name: str, layer: Layer) -> None:
    kernel, bias = layer
    weights[f"{name}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    weights[f"{name}.bias"] = bias
