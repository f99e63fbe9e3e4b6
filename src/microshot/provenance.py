"""Where a model or a result comes from: versions, fingerprints and descriptions of data."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
import platform
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import __version__
from microshot.device import peak_memory_mb
from microshot.tasks.counting.base import true_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.bundle import Card
    from microshot.data.dataset import Dataset, Sample
    from microshot.device import Device

_PACKAGES = ("torch", "numpy", "stardist", "albumentations", "scikit-image", "pyarrow")
#: Side in px of the preview's pictures.
PREVIEW_PX = 96
#: Between the models of one result, before those that one was retrained from, and between these.
_BETWEEN, _RETRAINED, _THEN = "; ", ", retrained from ", " → "


def versions() -> dict[str, str]:
    """Return the versions of Microshot, Python and the packages that shape results."""
    found = {"microshot": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def record(
    models: Sequence[Card | str], device: Device, seconds: float, *, where: str = ""
) -> dict[str, Any]:
    """Return where results come from: models and their lineage, versions, device, time and memory.

    Parameters
    ----------
    models : that made the results; of one whose file is not at hand, what tables of results say of
        it (see `models_told`).
    device : that computed.
    seconds : the work took.
    where : who computed, if not this process's `device` alone.
    """
    return {
        "models": [told for one in models for told in _models(one)],
        "versions": versions(),
        "device": where or device.line,
        "seconds": round(seconds, 4),
        "peak_memory_mb": peak_memory_mb(device),
        "finished": now(),
    }


def models_told(cards: Sequence[Card]) -> str:
    """Return names and ids of models as a table of results has them, with those before them.

    A model that was retrained reads ``mine (1f), retrained from first (2e) → second (3d)``.
    """
    return _BETWEEN.join(_told(card) for card in cards)


def _told(card: Card) -> str:
    before = [f"{one.get('name', '')} ({one.get('id', '')})" for one in card.lineage]
    return f"{card.name} ({card.id})" + (_RETRAINED + _THEN.join(before) if before else "")


def _understood(told: str) -> dict[str, Any] | None:
    """Return what was told of one model; None if it is not as `models_told` writes it."""
    own, _, before = told.partition(_RETRAINED)
    texts = [own, *(before.split(_THEN) if before else ())]
    parts = [re.fullmatch(r"(.*) \((\w+)\)", text) for text in texts]
    found = [{"name": part[1], "id": part[2]} for part in parts if part]
    if len(found) < len(parts):
        return None
    return {**found[0], "lineage": found[1:]} if before else dict(found[0])


def roles(told: Sequence[str]) -> list[str]:
    """Return for each of several results that are compared what its model is to the others.

    Parameters
    ----------
    told : of each result the model that made it (see `models_told`); empty where not known.

    Returns
    -------
    ``new`` of a model that was retrained from another one of them, ``old`` of that other one, else
    nothing.
    """
    models = [_understood(one) or {"id": ""} for one in told]
    before = [{str(one["id"]) for one in model.get("lineage", ())} for model in models]
    ids = {str(model["id"]) for model in models}
    return [
        "new" if own & ids else "old" if any(model["id"] in one for one in before) else ""
        for model, own in zip(models, before, strict=True)
    ]


def _models(one: Card | str) -> list[dict[str, Any]]:
    """Return what a record says of a model, or of those that a table names."""
    if isinstance(one, str):
        found = [_understood(told) for told in one.split(_BETWEEN)]
        known = [told for told in found if told]
        return known if len(known) == len(found) else [{"name": one, "id": ""}]
    return [
        {
            "name": one.name,
            "id": one.id,
            "task": one.task,
            "created": one.created,
            "licence": one.licence,
            "data": one.data.get("fingerprint", ""),
            "lineage": [dict(before) for before in one.lineage],
        }
    ]


def now() -> str:
    """Return the time in ISO format, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def fingerprint(sample: Sample) -> str:
    """Return 16 hexadecimal digits that identify a sample's pixels and what is known of it."""
    digest = hashlib.sha256()
    target = sample.target and sample.target.pixels
    parts = [sample.image.pixels, sample.labels, target, sample.points, sample.ignore]
    for part in parts:
        if part is not None:
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
    if sample.count is not None:
        digest.update(f"{sample.count:g}".encode())
    return digest.hexdigest()[:16]


def describe(data: Dataset, origin: str = "") -> dict[str, Any]:
    """Describe a data set by numbers and hashes; holds no names of files or rows.

    `origin` is what its owner says of where it comes from.
    """
    said = {"origin": origin} if origin else {}
    if not len(data):
        return {"n_images": 0, **said}
    counts = [true_count(s) for s in data]
    hashes = sorted(fingerprint(s) for s in data)
    sizes = sorted({f"{s.image.shape[0]}x{s.image.shape[1]}" for s in data})
    kinds = sorted({str(s.image.pixels.dtype) for s in data})
    return {
        "n_images": len(data),
        "n_labelled": sum(s.labels is not None for s in data),
        "n_counted": sum(count is not None for count in counts),
        "n_objects": int(sum(count or 0 for count in counts)),
        "sizes_px": sizes[:20],
        "dtypes": kinds,
        "n_channels": data[0].image.n_channels,
        "hashes": hashes[:1000],
        "fingerprint": hashlib.sha256("".join(hashes).encode()).hexdigest()[:16],
        **said,
    }


def descent(card: Card) -> tuple[Mapping[str, Any], ...]:
    """Return the lineage of a model made from that of `card`: its own, and then itself."""
    itself = {
        "id": card.id,
        "name": card.name,
        "created": card.created,
        "data": card.data.get("fingerprint", ""),
        "licence": card.licence,
    }
    return (*card.lineage, itself)


def preview(samples: Sequence[Sample]) -> str:
    """Return a small PNG, base64, of up to four images with their outlines."""
    from PIL import Image as PILImage

    from microshot.data.scale import resize_image, resize_labels

    tiles = []
    for sample in list(samples)[:4]:
        pixels = resize_image(sample.image.pixels[:1], (PREVIEW_PX, PREVIEW_PX))[0]
        low, high = np.percentile(pixels, [1, 99.8])
        grey = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1)
        rgb = np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=2)
        if sample.labels is not None:
            rgb[_edges(resize_labels(sample.labels, (PREVIEW_PX, PREVIEW_PX)))] = (255, 200, 0)
        tiles.append(rgb)
    if not tiles:
        return ""
    buffer = io.BytesIO()
    PILImage.fromarray(np.hstack(tiles)).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _edges(labels: np.ndarray) -> np.ndarray:
    """Return the pixels of objects beside which another label lies, (Y, X) bool."""
    from scipy.ndimage import generate_binary_structure, maximum_filter, minimum_filter

    beside = generate_binary_structure(2, 1)
    differ = maximum_filter(labels, footprint=beside) != minimum_filter(labels, footprint=beside)
    return differ & (labels > 0)
