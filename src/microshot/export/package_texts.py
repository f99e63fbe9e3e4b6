"""What people read in a model package: its page, its cover, its sources, its licence."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from microshot.bundle import Bundle, Card
    from microshot.export.onnx import OnnxModel

#: Licences by what people write, letters and digits only, in small letters.
_LICENCES = {
    "cc0": "CC0-1.0", "cc010": "CC0-1.0", "publicdomain": "CC0-1.0",
    "ccby40": "CC-BY-4.0", "ccby4": "CC-BY-4.0", "ccbysa40": "CC-BY-SA-4.0",
    "ccbync40": "CC-BY-NC-4.0", "ccbyncsa40": "CC-BY-NC-SA-4.0", "mit": "MIT",
    "bsd3clause": "BSD-3-Clause", "bsd2clause": "BSD-2-Clause", "apache20": "Apache-2.0",
    "gpl30": "GPL-3.0-only", "gpl30only": "GPL-3.0-only",
}  # fmt: skip
_STARDIST = ("Schmidt et al. 2018, Cell Detection with Star-convex Polygons",
             "10.1007/978-3-030-00934-2_30")  # fmt: skip
_UNET = ("Ronneberger et al. 2015, U-Net", "10.1007/978-3-319-24574-4_28")
_TIRAMISU = ("Jégou et al. 2017, The One Hundred Layers Tiramisu", "10.1109/CVPRW.2017.156")
_TWIN_VAE = ("Kenneweg, Stallmann & Hammer 2022, Novel transfer learning schemes based on Siamese "
             "networks and synthetic data", "10.1007/s00521-022-08115-2")  # fmt: skip
#: Side in px of each of the two pictures of the cover.
_COVER_PX = 256


def spdx(licence: str) -> str | None:
    """Return the licence's identifier in the list of SPDX, or None where it is not known.

    >>> spdx("CC BY 4.0")
    'CC-BY-4.0'
    """
    return _LICENCES.get(re.sub(r"[^a-z0-9]", "", licence.lower()))


def references(card: Card) -> list[dict[str, str]]:
    """Return the publications that a model's network comes from."""
    a = card.architecture
    if a.get("name") == "twin-vae":
        found = [_TWIN_VAE]
    elif a.get("kind") in ("dense-unet", "lupi-unet"):
        found = [_TIRAMISU]
    else:
        found = [_STARDIST, _UNET] if a.get("head") == "stardist" else [_UNET]
    return [{"text": text, "doi": doi} for text, doi in found]


def text(bundle: Bundle, model: OnnxModel, prepare: str) -> str:
    """Return the package's page in Markdown."""
    card, data = bundle.card, bundle.card.data
    lines = [
        f"# {card.name or 'Microscopy model'}",
        "",
        f"Task: {card.task}. Made with Microshot {__version__}; model id {card.id}.",
        "",
        "## How to use it",
        f"- Input: {prepare} The package's preprocessing does the normalisation.",
        *_scale(model),
        *(f"- Output *{o.name}*: {o.meaning}" for o in model.interface.outputs),
        *[f"- Threshold *{k}*: {v:g}" for k, v in _numbers(card.thresholds).items()],
        f"- An output pixel depends on up to {model.interface.halo_px} px around it: let tiles overlap."
        if model.interface.halo_px
        else "",
        "",
        "## Training data",
        f"{data.get('n_images', 'Unknown number of')} images with "
        f"{data.get('n_objects', 'an unknown number of')} objects.",
        "",
        "## Validation",
        *[f"- {k}: {v:.4g}" for k, v in _numbers(card.scores).items()],
        f"- ONNX against PyTorch: greatest difference {model.difference:.1e}.",
        "",
        f"## Licence\n{card.licence or 'not stated'}",
    ]
    return "\n".join(lines) + "\n"


def _scale(model: OnnxModel) -> list[str]:
    """Return the line about the size to which images are brought; none where there is no such size."""
    p, side = model.recipe.preparation, model.interface.side
    if size := p.get("working_diameter_px"):
        return [f"- Scale: bring objects to a diameter of about {float(size):g} px first."]
    return {
        "resize": [
            f"- Scale: bring the longer side of an image to {side} px, and fill up the shorter one with "
            "the image's edge."
        ],
        "windows": [
            f"- Scale: cut images into squares of {side} px, the last ones filled up with the image's "
            "edge, and add their counts."
        ],
    }.get(str(p.get("large_images")), [])


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in values.items() if isinstance(value, (int, float))}


def cover(image: np.ndarray, output: np.ndarray) -> bytes:
    """Return a PNG of an image (Y, X) beside what the network makes of it, (K, Y', X') or (K,)."""
    from PIL import Image as PILImage

    right = output[0] if output.ndim == 3 else output[:, None][:64]
    pictures = [_grey(image), _grey(right)]
    side = (_COVER_PX, _COVER_PX)
    nearest = PILImage.Resampling.NEAREST
    row = [np.asarray(PILImage.fromarray(p).resize(side, nearest)) for p in pictures]
    buffer = io.BytesIO()
    PILImage.fromarray(np.hstack(row)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _grey(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return (255 * (values - low) / (high - low or 1.0)).astype(np.uint8)
