"""The verbs that write labels and models for other programs, and take theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microshot.cli.calls import DONE, UsageError, refuse_results
from microshot.data.disk import made_folder
from microshot.progress import span
from microshot.words import how_many

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from microshot.cli.console import Console
    from microshot.data.label_reading import LabelReading


def export_labels(given: argparse.Namespace, console: Console) -> int:
    """Write one file per label image, all names settled before the first is written."""
    from microshot.export.labels import DESCRIPTIONS, Names, export

    refuse_results(given, given.labels, "labels")
    jobs = _jobs(given.labels, given.images, console)
    files = Names.of(jobs, given.out, given.to, overwrite=given.overwrite).files
    made_folder(given.out)
    rows = []
    for index, (name, (labels, image)) in enumerate(jobs.items()):
        told = f"labels {index + 1} of {len(jobs)}, {labels.name}"
        here = span(console.progress, index / len(jobs), (index + 1) / len(jobs), f"{told}, ")
        console.progress(index / len(jobs), told)
        reading, size = _read(labels, image)
        n = export(
            files[name], reading.numbered(), given.to, image=name if image is None else image.name,
            pixel_size_um=size, overwrite=given.overwrite, progress=here,
        )  # fmt: skip
        console.say(f"{labels.name}: {reading.describe()}.")
        rows.append({"labels": str(labels), "file": str(files[name]), "objects": n})
    said = f"{how_many(len(rows), 'file')} written to {given.out}: {DESCRIPTIONS[given.to]}."
    console.result({"out": str(given.out), "to": given.to, "files": rows}, [said])
    return DONE


def export_model(given: argparse.Namespace, console: Console) -> int:
    """Write a model as ONNX or as a package of the BioImage Model Zoo."""
    from microshot.bundle import Bundle
    from microshot.export import models

    bundle = Bundle.load(given.model)
    file = models.export_model(
        bundle, given.to, given.out, overwrite=given.overwrite, progress=console.progress
    )
    size = file.stat().st_size
    said = f"{models.DESCRIPTIONS[given.to]} of {size / 1e6:.1f} MB written to {file}."
    console.result({"out": str(file), "to": given.to, "bytes": size}, [said])
    return DONE


def import_model(given: argparse.Namespace, console: Console) -> int:
    """Write a StarDist model as a model file of ours."""
    from microshot.importing import from_stardist

    if not 0 <= given.diameter <= 10_000:
        raise UsageError(f"--diameter must be from 0 to 10000 px, found {given.diameter:g}.")
    bundle = from_stardist(given.source, diameter_px=given.diameter, name=given.name)
    file = bundle.save(given.out, overwrite=given.overwrite)
    card = bundle.card
    said = [f"{card.name} ({card.id}) written to {file}."]
    if not given.diameter:
        px = card.preparation["working_diameter_px"]
        console.say(
            f"How large objects were in its training images is not in the files: {px:g} px is assumed "
            "where images are scaled to retrain it; say it with --diameter."
        )
    console.result({"out": str(file), "id": card.id, "name": card.name}, said)
    return DONE


def _jobs(
    labels: Path, images: Path | None, console: Console
) -> dict[str, tuple[Path, Path | None]]:
    """Return label file and image by the name of the result; say what of a folder stayed alone."""
    from microshot.data.folders import list_images, list_labels, listed, stem_of
    from microshot.data.label_files import labels_in
    from microshot.data.microscope_files import images_in

    if images is None:
        own = list_labels(labels) if labels.is_dir() else [labels]
        pairs: list[tuple[Path, Path | None]] = [(label, None) for label in own]
        names = [stem_of(label) for label in own]
    else:
        files = list_images(images) if images.is_dir() else images_in(images)
        found = labels_in(files, labels)
        matched = found.pairs
        if images.is_dir() and matched:
            console.say(*found.lines())
        if not matched and len(files) == 1 and labels.is_file():
            matched = ((files[0], labels),)
        pairs = [(label, image) for image, label in matched]
        names = [stem_of(image) for image, _ in matched]
    if not pairs:
        raise FileNotFoundError(
            f'"{labels}": expected label files, found none that belongs to an image; check the folder.'
        )
    double = [name for index, name in enumerate(names) if name in names[:index]]
    if double:
        raise ValueError(
            f'"{labels}": two label files for the name {listed(double, 1)}; rename one of them.'
        )
    return dict(zip(names, pairs, strict=True))


def _read(labels: Path, image: Path | None) -> tuple[LabelReading, float | None]:
    """Return the labels, and the pixel size where the image knows it."""
    from microshot.data.label_files import read_labels
    from microshot.data.read import read_image

    if image is None:
        return read_labels(labels), None
    pixels = read_image(image)
    return read_labels(labels, shape=pixels.shape, image=image.name), pixels.pixel_size_um
