"""Small untrained models of every kind that can be exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.bundle import Bundle, Card
from microshot.tasks import task_named

if TYPE_CHECKING:
    from collections.abc import Mapping

SEGMENTER: dict[str, Any] = {
    "name": "segmenter", "backbone": "unet", "head": "stardist", "in_channels": 1, "width": 8,
    "head_features": 16, "depth": 2, "rays": 8, "grid": 2,
}  # fmt: skip
TRANSLATOR: dict[str, Any] = {
    "name": "translator", "kind": "dense-unet", "in_channels": 3, "out_channels": 2, "width": 8,
    "depth": 2, "growth": 4, "layers": 2, "output": "scaled-tanh",
}  # fmt: skip
TWIN_VAE: dict[str, Any] = {"name": "twin-vae", "side": 64, "width": 1 / 16}
STAINS = {
    "targets": ["lipids", "nuclei"],
    "stain_range": {"kind": "minmax", "per": "dataset", "offset": [100.0, 7.0], "scale": [900.0, 50.0]},
}  # fmt: skip
WIDE = {"in_channels": 3, "grid": 1}

KINDS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "stardist": ("segment", SEGMENTER),
    "foreground": ("segment", SEGMENTER | WIDE | {"head": "foreground"}),
    "boundary": ("segment", SEGMENTER | {"head": "boundary", "backbone": "res-unet", "width": 4}),
    "plain": ("segment", SEGMENTER | {"backbone": "plain-unet", "width": 4, "grid": 1}),
    "resnet": ("segment", SEGMENTER | {"backbone": "resnet18", "grid": 1}),
    "density": (
        "count",
        SEGMENTER | {"name": "density", "head": "foreground", "spread_px": 3.0},
    ),
    "twin-vae": ("count", TWIN_VAE),
    "twin-vae-drawing": ("count", TWIN_VAE | {"regressor_input": "decoder", "input": "centred"}),
    "frozen-unet": ("count", {"name": "frozen-cnn", "encoder": "unet", "widths": [4, 8, 8]}),
    "dense-unet": ("translate", TRANSLATOR),
    "lupi-unet": ("translate", TRANSLATOR | {"kind": "lupi-unet", "attention": "gated"}),
    "unet-stains": ("translate", TRANSLATOR | {"kind": "unet", "output": "identity"}),
}


def made(kind: str, normalization: Mapping[str, Any] | None = None, **card: Any) -> Bundle:
    """Return a model of a kind with random weights, none of them zero."""
    task, architecture = KINDS[kind]
    a = {"in_channels": 1, **architecture}
    rng = np.random.default_rng(5)
    state = task_named(task).build(a, 1).state_dict()
    weights = {k: v.numpy() for k, v in state.items()}
    for name, value in weights.items():
        if value.dtype.kind == "f" and (not value.any() or name.startswith("head.")):
            weights[name] = rng.normal(0, 0.1, value.shape).astype(np.float32)
            if name.endswith("running_var"):
                weights[name] = np.square(weights[name]) + 1
    preparation: dict[str, Any] = {"large_images": "resize"} if a["name"] == "twin-vae" else {}
    if task == "translate":
        preparation = STAINS
        card = {"targets": ("lipids", "nuclei"), **card}
    values = {
        "name": f"tiny {kind}", "licence": "CC0-1.0", "preparation": preparation, "created": "2026-01-02",
        **card,
    }  # fmt: skip
    usual = {"kind": "minmax" if a["name"] == "twin-vae" else "zscore"}
    return Bundle.make(Card(task, a, normalization or usual, **values), weights)
