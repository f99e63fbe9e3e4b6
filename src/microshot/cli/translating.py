"""The verb that turns bright-field stacks into stains."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import settings
from microshot.cli.commands import DONE, UsageError, checked, with_sets
from microshot.cli.large_images import images_and_names
from microshot.cli.telling import told
from microshot.data.disk import made_folder
from microshot.device import cost, peak_memory_mb
from microshot.progress import span

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from microshot.api import Predictor
    from microshot.cli.console import Console
    from microshot.tasks.translation import Translation


def translate(given: argparse.Namespace, console: Console) -> int:
    """Write one TIFF per image and stain, and the mask of models that know one.

    All models share one pass over the tiles of an image.
    """
    from microshot import api, provenance, trust
    from microshot.data.dataset import Sample
    from microshot.data.read import read_image

    values = settings.TranslateSettings()
    if given.device is not None:
        values = dataclasses.replace(values, device=given.device)
    values = checked(with_sets(values, given.set))
    files, names = images_and_names(given.images)
    predictors = _predictors(given.model, values)
    endings = _endings(predictors)
    _check_results(given, [f"{name}_{ending}.tif" for name in names for ending in endings])
    console.say(f"Device: {predictors[0].device.line}.")
    made_folder(given.out)
    judges = [trust.Judge(one.card, one.recipe) for one in predictors]
    written, notes, warnings, started = [], [], [], time.monotonic()
    for index, (file, name) in enumerate(zip(files, names, strict=True)):
        here = span(console.progress, index / len(files), (index + 1) / len(files))
        here(0.0, f"image {index + 1} of {len(files)}, {file.name}")
        sample, begun = Sample(name, read_image(file)), time.perf_counter()
        made = api.translate(predictors, sample, here)
        sure = trust.together([j(sample, one) for j, one in zip(judges, made, strict=True)])
        warnings.append(sure.warning)
        stains = _write(given, name, zip(predictors, made, strict=True), maps=values.confidence)
        written.append({"file": file.name, **stains, **told(sure, predictors, begun)})
        notes += [note for found in made for note in found.notes]
    if values.confidence and not any("maps" in w for w in written):
        notes.append(
            "No model can tell its confidence: none was taught by label images and checked on labelled "
            "images it had not seen."
        )
    notes += filter(None, [trust.joined(warnings)])
    notes, seconds, device = (
        list(dict.fromkeys(notes)),
        time.monotonic() - started,
        predictors[0].device,
    )
    console.say(*(f"Note: {note}" for note in notes))
    console.result(
        {"out": str(given.out), "images": written, "device": device.line, "notes": notes,
         "seconds": round(seconds, 2), "peak_memory_mb": peak_memory_mb(device),
         "provenance": provenance.record([one.card for one in predictors], device, seconds)},
        [f"{w['file']}: {', '.join(w['stains'].values())}" for w in written]
        + [f"Written to {given.out}. {cost(device, len(files), seconds)}"],
    )  # fmt: skip
    return DONE


def _predictors(models: Sequence[Path], values: settings.TranslateSettings) -> list[Predictor]:
    """Load the models; refuse those of other tasks before any is loaded whole."""
    from microshot import api
    from microshot.bundle import Bundle, read_card

    for path in models:
        task = read_card(path).task
        if task != "translate":
            raise ValueError(
                f'"{path}": the model is made for the task "{task}"; `microshot translate` takes '
                "models for translate, use `microshot predict`."
            )
    return [api.Predictor(Bundle.load(path), values) for path in models]


def _endings(predictors: Sequence[Predictor]) -> list[str]:
    """Return what is put behind the name of an image for every stain.

    Raises
    ------
    UsageError
        If two models predict the same stain.
    """
    found: dict[str, str] = {}
    for predictor in predictors:
        for stain in predictor.recipe.preparation["targets"]:
            ending = file_part(stain)
            if ending in found:
                raise UsageError(
                    f'The models "{found[ending]}" and "{predictor.card.name}" both predict '
                    f'"{stain}"; translate with one after the other into different folders.'
                )
            found[ending] = predictor.card.name
    return list(found)


def file_part(stain: str) -> str:
    """Return the name of a stain as part of a file name."""
    kept = "".join(c if c.isalnum() or c in "-. " else "-" for c in stain).strip(" .-")
    return kept or "stain"


def _check_results(given: argparse.Namespace, results: Sequence[str]) -> None:
    """Refuse, before the work, to write over images or over earlier results."""
    source = given.images if given.images.is_dir() else given.images.parent
    if source.resolve() == given.out.resolve():
        raise UsageError(
            f'"{given.out}" is the folder of the images; give another folder as --out.'
        )
    old = next((given.out / r for r in results if (given.out / r).exists()), None)
    if old is not None and not given.overwrite:
        raise FileExistsError(f'"{old}" exists already; choose another folder or add --overwrite.')


def _write(given: argparse.Namespace, name: str, found: Any, *, maps: bool) -> dict[str, Any]:
    """Write stains, masks and, with `maps`, confidence and seeds of one image; return file names."""
    from microshot.data.image import Image
    from microshot.data.write import write_image, write_labels

    written: dict[str, Any] = {"stains": {}}

    def write(ending: str, pixels: np.ndarray, size: float | None) -> str:
        path = given.out / f"{name}_{ending}.tif"
        if pixels.dtype == np.int32:
            write_labels(path, pixels, pixel_size_um=size, overwrite=given.overwrite)
        else:
            write_image(path, Image(pixels[None], size), overwrite=given.overwrite)
        return path.name

    for predictor, translation in found:
        size = translation.stains.pixel_size_um
        planes = _in_numbers(predictor, translation)
        targets = predictor.recipe.preparation["targets"]
        for stain, plane in zip(targets, planes, strict=True):
            written["stains"][stain] = write(file_part(stain), plane, size)
        first = file_part(targets[0])
        if translation.mask is not None:
            pixels = translation.mask.astype(np.uint8) * np.uint8(255)
            written.setdefault("masks", []).append(write(f"{first}-mask", pixels, size))
        if maps and translation.maps is not None:
            written["maps"] = {
                "confidence": write(f"{first}-confidence", translation.maps.confidence, size),
                "credibility": write(f"{first}-credibility", translation.maps.credibility, size),
                "seeds": write(f"{first}-seeds", translation.seeds, size),
                "nuclei": write(f"{first}-nuclei", translation.nuclei, size),
            }
            written["mean_confidence"] = translation.confidence
            written["certain"] = translation.certain
    return written


def _in_numbers(predictor: Predictor, translation: Translation) -> np.ndarray:
    """Return stains (K, Y, X) as uint16, or as measured where they were decimal numbers."""
    if predictor.recipe.preparation["target_dtype"] == "float32":
        return translation.stains.pixels
    return translation.as_camera()
