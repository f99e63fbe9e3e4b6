"""The measurements that an analysis would take from stained images, as one row per image.

They are those that the adipocyte challenge exports: how many nuclei, cells, lipid droplets and
defective droplets there are, means and standard deviations over objects of their shapes and
intensities, and the granularity of the lipids. Which stains there are decides which can be had.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microshot.metrics.granularity import granularity
from microshot.metrics.stain_objects import (
    NUCLEUS_PX,
    GreyScale,
    defect_depth,
    find_cells,
    find_droplets,
    find_nuclei,
    least_defect,
    nucleus_diameter,
    without_edge,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NUCLEI, LIPIDS, CYTOPLASM = "nuclei", "lipids", "cytoplasm"
#: Words in the name of a stain that say what it shows; the first that fits decides.
_WORDS = {
    NUCLEI: r"nucle|dapi|hoechst|dna|draq|histone|\bh2b|c01",
    LIPIDS: r"lipid|bodipy|droplet|nile ?red|oil ?red|c02",
    CYTOPLASM: r"cyto|cell|calcein|membrane|c03",
}
#: What the pipeline measures of every object's outline, and its unit.
SHAPES = {
    "area": "px²",
    "perimeter": "px",
    "compactness": "",
    "form factor": "",
    "solidity": "",
    "mean radius": "px",
}
#: And of its light, per stain.
INTENSITIES = {
    "mean": "grey values",
    "integrated": "grey values",
    "sd": "grey values",
}


@dataclass(frozen=True)
class Objects:
    """What was found in one image; None where the stain for it is missing."""

    nuclei: np.ndarray | None = None
    """(Y, X) int32, all of them."""
    inner_nuclei: np.ndarray | None = None
    """Those whose cell does not touch the image's edge; the nucleus itself where no stain shows cells."""
    cells: np.ndarray | None = None
    """Cells that do not touch the edge."""
    droplets: np.ndarray | None = None
    """Lipid droplets that do not touch the edge."""
    defects: np.ndarray | None = None
    """(Y, X) float64, see `stain_objects.defect_depth`."""


def kind_of(name: str) -> str:
    """Return what a stain of this name shows: nuclei, lipids, cytoplasm or "" where unknown.

    >>> kind_of("Hoechst 33342"), kind_of("BODIPY"), kind_of("CellTracker Red"), kind_of("actin")
    ('nuclei', 'lipids', 'cytoplasm', '')
    """
    text = name.lower().replace("_", " ")
    return next((kind for kind, words in _WORDS.items() if re.search(words, text)), "")


def kinds_of(names: Sequence[str]) -> list[str]:
    """Return what each stain shows; a kind goes to one stain that has it, the others get "".

    That is the stain called exactly so, else the first. A single stain without a telling name is
    taken for nuclei, which most single stains show.
    """
    found = [kind_of(name) for name in names]
    spelled = list(names), [name.casefold() for name in names], found
    owners = {kind: next(s for s in spelled if kind in s).index(kind) for kind in found if kind}
    kinds = [kind if owners.get(kind) == i else "" for i, kind in enumerate(found)]
    return [NUCLEI] if kinds == [""] else kinds


def stain_keys(names: Sequence[str]) -> list[str]:
    """Return what each stain shows, or its name where that is not known."""
    return [kind or name for kind, name in zip(kinds_of(names), names, strict=True)]


def places_of(known: Sequence[str], names: Sequence[str]) -> list[int] | None:
    """Return where among `names` each of the `known` stains is; None where names do not tell.

    They tell where they are the same but for case, or where every stain shows a kind of its own
    and both show the same ones. A single stain is the other single one.

    >>> places_of(["nuclei", "lipids"], ["BODIPY", "DAPI"])
    [1, 0]
    """
    if len(known) == len(names) == 1:
        return [0]
    for spelled in (str.casefold, _kind_or_name):
        wanted, found = [*map(spelled, known)], [*map(spelled, names)]
        if len(set(wanted)) == len(wanted) and sorted(wanted) == sorted(found):
            return [found.index(one) for one in wanted]
    return None


def _kind_or_name(name: str) -> str:
    return kind_of(name) or name.casefold()


def typical_nucleus(names: Sequence[str], truths: Iterable[np.ndarray]) -> float:
    """Return the typical width of nuclei, px, in measured stains (T, Y, X) called `names`.

    `NUCLEUS_PX` where none of them shows nuclei.
    """
    keys = stain_keys(names)
    if NUCLEI not in keys:
        return NUCLEUS_PX
    return nucleus_diameter(stains[keys.index(NUCLEI)] for stains in truths)


def find_objects(
    stains: Mapping[str, np.ndarray],
    scales: Mapping[str, GreyScale],
    nucleus_px: float = NUCLEUS_PX,
) -> Objects:
    """Find what the stains show; `stains` are (Y, X) by kind, see `kinds_of`."""
    grey = {kind: scales[kind](stains[kind]) for kind in stains if kind in _WORDS}
    nuclei = inner = cells = droplets = defects = None
    if NUCLEI in grey:
        nuclei = find_nuclei(grey[NUCLEI], nucleus_px)
        inner = without_edge(nuclei)
        bodies = [grey[kind] for kind in (LIPIDS, CYTOPLASM) if kind in grey]
        if bodies:
            body = np.minimum(np.sum(bodies, axis=0), 1)
            cells = without_edge(find_cells(nuclei, body, nucleus_px))
            inner = np.where(np.isin(nuclei, cells[cells > 0]), nuclei, 0)
    if LIPIDS in grey:
        found = find_droplets(grey[LIPIDS], nucleus_px)
        defects = defect_depth(grey[LIPIDS], found, nucleus_px)
        droplets = without_edge(found)
    return Objects(nuclei, inner, cells, droplets, defects)


def measure_stains(
    stains: Mapping[str, np.ndarray],
    scales: Mapping[str, GreyScale],
    nucleus_px: float = NUCLEUS_PX,
) -> dict[str, float]:
    """Return the features of one image by their plain names, always the same for the same stains.

    NaN where there is no object to measure, and for all of an image with a pixel that is no finite
    number, as a network that has diverged predicts. Lengths are in px, light in the numbers of
    `stains`.

    Parameters
    ----------
    stains : (Y, X) by kind, or by name where the kind is not known: those give mean, standard
        deviation and granularity only, as does cytoplasm without nuclei.
    scales : the grey scale of every stain.
    nucleus_px : typical width of a nucleus, the unit of all lengths in the search for objects.
    """
    if not all(np.isfinite(pixels).all() for pixels in stains.values()):
        blank = {kind: np.zeros(pixels.shape, np.float32) for kind, pixels in stains.items()}
        return dict.fromkeys(measure_stains(blank, scales, nucleus_px), float("nan"))
    found = find_objects(stains, scales, nucleus_px)
    row: dict[str, float] = {}
    if found.nuclei is not None and found.inner_nuclei is not None:
        row["Nuclei: number"] = float(_n(found.nuclei))
        row["Nuclei inside: number"] = float(_n(found.inner_nuclei))
        row |= _objects("Nuclei", found.inner_nuclei, {k: stains[k] for k in _WORDS if k in stains})
    if found.cells is not None:
        row["Cells inside: number"] = float(_n(found.cells))
        light = {k: stains[k] for k in (LIPIDS, CYTOPLASM) if k in stains}
        row |= _objects("Cells", found.cells, light)
    if found.droplets is not None and found.defects is not None:
        row["Droplets: number"] = float(_n(found.droplets))
        row["Defective droplets: number"] = float(n_defective(found, nucleus_px))
        light = {LIPIDS: stains[LIPIDS], "defects": found.defects}
        row |= _objects("Droplets", found.droplets, light)
        row |= _grains(LIPIDS, stains[LIPIDS])
    for name, pixels in stains.items():
        if name not in _WORDS or (name == CYTOPLASM and found.cells is None):
            row[f"{_title(name)}: mean (grey values)"] = float(np.mean(pixels, dtype=np.float64))
            row[f"{_title(name)}: sd (grey values)"] = float(np.std(pixels, dtype=np.float64))
            row |= _grains(name, pixels)
    return row


def n_defective(found: Objects, nucleus_px: float) -> int:
    """Return how many droplets have holes of some weight."""
    assert found.droplets is not None
    assert found.defects is not None
    sums = np.bincount(found.droplets.ravel(), found.defects.ravel())[1:]
    return int(np.count_nonzero(sums >= least_defect(nucleus_px)))


def _grains(name: str, pixels: np.ndarray) -> dict[str, float]:
    return {
        f"{_title(name)}: granularity {size} (%)": float(value)
        for size, value in enumerate(granularity(pixels), 1)
    }


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def _objects(title: str, labels: np.ndarray, light: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return mean and standard deviation over objects of their shapes and of their light."""
    columns = dict(zip(SHAPES, object_shapes(labels).T, strict=True))
    units = dict(SHAPES)
    for name, pixels in light.items():
        for key, values in zip(INTENSITIES, object_light(labels, pixels).T, strict=True):
            columns[f"{name} {key}"] = values
            units[f"{name} {key}"] = "" if name == "defects" else INTENSITIES[key]
    row = {}
    for name, values in columns.items():
        unit = f" ({units[name]})" if units[name] else ""
        row[f"{title}: {name}, mean{unit}"] = float(values.mean()) if len(values) else np.nan
        row[f"{title}: {name}, sd{unit}"] = _spread(values) if len(values) else np.nan
    return row


def _spread(values: np.ndarray) -> float:
    """Return the standard deviation; 0 where the values differ by nothing but rounding."""
    sd = float(values.std())
    return sd if sd > 1e-9 * float(np.abs(values).max()) else 0.0


def object_shapes(labels: np.ndarray) -> np.ndarray:
    """Return the `SHAPES` of every object in `labels`, (n, 6) float64 in the order of ids.

    Compactness is perimeter² / (4π area), form factor its inverse (1 for a circle); solidity is
    the area over that of the convex hull; the mean radius is the mean distance of the object's
    pixels to the nearest pixel outside of it.

    References
    ----------
    .. [1] CellProfiler, module MeasureObjectSizeShape.
    """
    from scipy.ndimage import distance_transform_edt
    from skimage.measure import regionprops

    rows = []
    for region in regionprops(labels):
        area, perimeter = float(region.area), max(float(region.perimeter), 1.0)
        depth = distance_transform_edt(np.pad(region.image, 1))
        radius = float(np.sum(depth)) / area  # type: ignore[arg-type]
        form = 4 * np.pi * area / perimeter**2
        rows.append((area, perimeter, 1 / form, form, float(region.solidity), radius))
    return np.array(rows, np.float64).reshape(-1, len(SHAPES))


def object_light(labels: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Return mean, sum and standard deviation of `pixels` over every object, (n, 3) float64."""
    ids, flat = labels.ravel(), np.asarray(pixels, np.float64).ravel()
    n = np.bincount(ids)
    present = np.flatnonzero(n[1:]) + 1
    sums = np.bincount(ids, flat)
    means = sums / np.maximum(n, 1)
    spread = np.bincount(ids, np.square(flat - means[ids]))
    sd = np.sqrt(spread / np.maximum(n, 1))
    return np.stack([means, sums, sd], axis=1)[present]


def _n(labels: np.ndarray) -> int:
    ids = np.unique(labels)
    return int(np.count_nonzero(ids))
