"""Does the recipe in a model file make sense? Read from files of other versions and other programs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from microshot.data.normalize import Normalization
from microshot.metrics.conformal_maps import MaskCalibration
from microshot.nn.translator_geometry import check_translator, has_mask
from microshot.tasks.translating import stacks
from microshot.tasks.translating.recipes import DEFAULT_MASK_THRESHOLD, PRESETS, TILE_PX
from microshot.words import how_many

if TYPE_CHECKING:
    from microshot.tasks.base import Recipe


def checked(given: Recipe) -> Recipe:
    """Return the recipe of a model file with what is optional filled in.

    Raises
    ------
    ValueError
        If the network is none that can be built, or a number makes no sense.
    """
    check_translator(given.architecture)
    n = int(given.architecture["out_channels"])
    p: dict[str, Any] = {
        "preset": "fast",
        "targets": [f"stain {i + 1}" for i in range(n)],
        "target_dtype": "uint16",
        "pixel_size_um": None,
        "focus_curve": None,
        "colour": False,
        **given.preparation,
    }
    _expect("stain_range" in p, "know in which range its stains lie", None)
    fitted = Normalization.from_json(p["stain_range"])
    _expect(
        len(fitted.offset or ()) == n, f"know the range of {how_many(n, 'stain')}", fitted.offset
    )
    names, size = p["targets"], p["pixel_size_um"]
    ok = isinstance(names, list) and len(names) == n and all(isinstance(v, str) for v in names)
    _expect(ok, f"name {how_many(n, 'stain')}", names)
    _expect(
        p["target_dtype"] in ("uint8", "uint16", "float32"),
        "have a type of stains",
        p["target_dtype"],
    )
    _expect(p["preset"] in list(PRESETS), f"come from one of {', '.join(PRESETS)}", p["preset"])
    _expect(size is None or _within(size, 1e-6, 1e6), "have a pixel size above 0", size)
    focus_ok = stacks.checked_focus(p, int(given.architecture["in_channels"]))
    _expect(focus_ok, "have a focus curve of its planes", p["focus_curve"])
    tile = given.tile.get("tile_px", TILE_PX)
    _expect(type(tile) is int and 1 <= tile <= 1 << 16, "have a tile size in px", tile)
    thresholds = dict(given.thresholds)
    if has_mask(given.architecture):
        mask = thresholds.setdefault("mask", DEFAULT_MASK_THRESHOLD)
        _expect(_within(mask, 0, 1), "have a mask threshold from 0 to 1", mask)
        if "confidence" in thresholds:
            MaskCalibration.from_json(thresholds["confidence"])
    tiles = {**given.tile, "tile_px": tile}
    return dataclasses.replace(given, preparation=p, tile=tiles, thresholds=thresholds)


def _within(value: Any, low: float, high: float) -> bool:
    return type(value) in (int, float) and low <= value <= high


def _expect(ok: bool, what: str, found: Any) -> None:  # noqa: FBT001 - reads as a sentence
    if not ok:
        raise ValueError(
            f"The model must {what}, found {found!r:.60}; the model file was changed by another "
            "program."
        )
