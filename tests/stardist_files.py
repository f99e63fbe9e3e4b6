"""StarDist models on disk as StarDist saves them, with random weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONFIG: dict[str, Any] = {
    "n_dim": 2, "axes": "YXC", "n_channel_in": 1, "n_channel_out": 9, "backbone": "unet",
    "n_rays": 8, "grid": [2, 2], "n_classes": None, "unet_n_depth": 2, "unet_kernel_size": [3, 3],
    "unet_n_filter_base": 4, "unet_n_conv_per_depth": 2, "unet_pool": [2, 2],
    "unet_activation": "relu", "unet_last_activation": "relu", "unet_batch_norm": False,
    "unet_dropout": 0.0, "unet_prefix": "", "net_conv_after_unet": 6, "train_epochs": 400,
}  # fmt: skip
#: Layers of `CONFIG` and their kernels (h, w, in, out).
SHAPES = {
    "conv2d_7": (3, 3, 1, 4), "conv2d_10": (3, 3, 4, 4), "down_level_0_no_0": (3, 3, 4, 4),
    "down_level_0_no_1": (3, 3, 4, 4), "down_level_1_no_0": (3, 3, 4, 8),
    "down_level_1_no_1": (3, 3, 8, 8), "middle_0": (3, 3, 8, 16), "middle_2": (3, 3, 16, 8),
    "up_level_1_no_0": (3, 3, 16, 8), "up_level_1_no_2": (3, 3, 8, 4),
    "up_level_0_no_0": (3, 3, 8, 4), "up_level_0_no_2": (3, 3, 4, 4), "features": (3, 3, 4, 6),
    "prob": (1, 1, 6, 1), "dist": (1, 1, 6, 8),
}  # fmt: skip


def weights(seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return kernel and bias of every layer."""
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.normal(0, 0.3, shape).astype(np.float32),
            rng.normal(0, 0.3, shape[-1:]).astype(np.float32),
        )
        for name, shape in SHAPES.items()
    }


def write_h5(path: Path, layers: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write weights in the layout of Keras 2, among layers that have none."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"input", *(n.encode() for n in layers), b"max_0"]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.13.1"
        for name in ("input", "max_0", "concatenate"):
            file.create_group(name).attrs["weight_names"] = []
        for name, (kernel, bias) in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
            inner = group.create_group(name)
            inner["kernel:0"], inner["bias:0"] = kernel, bias


def write_model(folder: Path, **config: Any) -> Path:
    """Write a whole model; `config` changes entries of its configuration."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    (folder / "thresholds.json").write_text('{"prob": 0.479, "nms": 0.3}')
    write_h5(folder / "weights_best.h5", weights())
    return folder
