"""From files and folders to images, labels and data sets, with a report of what was understood."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from microshot.data.count_table import COUNTS, overlooked, read_counts
from microshot.data.dataset import Dataset, Sample
from microshot.data.files import image_pixels, named, read_raw
from microshot.data.folders import (
    list_images,
    list_labels,
    listed,
    natural_key,
    stem_of,
    unread,
    without_images,
)
from microshot.data.image import Image, stack
from microshot.data.label_files import (
    find_labels,
    is_point_table,
    labels_in,
    labels_of_others,
    of_others,
    read_annotation,
)
from microshot.data.matching import group_by_stem
from microshot.data.microscope_files import file_of, images_in, is_microscope
from microshot.data.text_tables import TABLE_SUFFIXES
from microshot.data.windows import is_zarr, whole_image
from microshot.progress import Progress, each, silent
from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.data.label_reading import LabelReading

#: Label files that a report names one by one before it sums up.
_MAX_NOTES = 8


def read_image(path: Path | str, *, where: str | None = None) -> Image:
    """Read a TIFF, OME-TIFF, PNG, JPEG or BMP file, an OME-Zarr folder, or an image of a microscope's file.

    All planes of a file become channels in page order; numbers are kept (`files.image_pixels`,
    `tiff.read_tiff` say how the rarer kinds are treated). Pixel size and channel names come from
    OME or ImageJ metadata, or the microscope's own (`microscope_files`).

    Parameters
    ----------
    where : names the table cell in errors, such as ``column "Path", row "Row3"``.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    ValueError : one sentence that names the file, for whatever is no intact image.
    """
    if is_zarr(Path(path)) or is_microscope(Path(path)):
        try:
            return whole_image(Path(path))
        except ValueError as error:
            raise ValueError(f"{where}: {error}" if where else str(error)) from error
    raw = read_raw(path, where)
    pixels = image_pixels(raw.pixels, named(Path(path), where))
    return Image(pixels, raw.pixel_size_um, raw.channels, raw.is_colour and len(pixels) == 3)


@dataclass(frozen=True)
class _Plan:
    """Which files make up each sample."""

    images: tuple[Path, ...]
    labels: Mapping[Path, Path]
    counts: Mapping[str, float | None]
    targets: Mapping[Path, Mapping[str, Path]]
    lines: tuple[str, ...]


def read_dataset(
    images: Path | str,
    labels: Path | str | None = None,
    targets: Path | str | None = None,
    *,
    progress: Progress = silent,
) -> tuple[Dataset, list[str]]:
    """Read images with whatever is known about them.

    Parameters
    ----------
    images : a folder (see `matching.find_pairs` for its arrangement) or one file.
    labels : a folder of label files (see `label_files.read_annotation` for their kinds), one such
        file for one image, one that labels many images (COCO JSON, CSV of points with a column
        for the file), or a table of counts (CSV); if None, labels and ``counts.csv`` are looked
        for in the folder of the images and beside it; if that folder itself, in it alone.
    targets : a folder of images to predict, one file per image or one per image and stain.

    Returns
    -------
    Samples in natural order of their names, named by file stem; images without label, count
    or target stay in, without it. And sentences for the user: what matched what, what label images
    were taken for, what to check.

    Raises
    ------
    FileNotFoundError : for a missing file or folder.
    ValueError : if there is no image, nothing matches, or a file cannot be read.
    """
    plan = _plan(Path(images), _path(labels), _path(targets))
    samples: list[Sample] = []
    readings: list[tuple[str, LabelReading]] = []
    others: list[str] = []
    for path in each(plan.images, len(plan.images), progress, "Reading image"):
        sample, reading = _read_sample(path, plan)
        samples.append(sample)
        if reading is not None:
            readings.append((plan.labels[path].name, reading))
        elif path in plan.labels:
            others.append(of_others(plan.labels[path].name, path.name))
    return Dataset.of(samples), _report(plan, samples, readings, others)


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)


def _plan(images: Path, labels: Path | None, targets: Path | None) -> _Plan:
    files, label_files, lines = _found_in(images, labels)
    if not files:
        raise ValueError(
            f'"{images}": expected TIFF, PNG, JPEG, BMP, CZI, LIF or ND2 images, found none; '
            f"{without_images(images)}."
        )
    counts: Mapping[str, float | None] = {}
    table = _counts_table(images, labels)
    if table is not None:
        counts, alone = matched_counts(files, table)
        n_counted = sum(counts.get(stem_of(path).casefold()) is not None for path in files)
        have = form(n_counted, "has", "have")
        among = how_many(len(files), "image")
        lines.append(f"{n_counted} of {among} {have} a count in {table.name}.")
        if alone:
            lines.append(f"{how_many(len(alone), 'count')} without image: {listed(alone)}.")
    elif labels is not None and labels.is_file() and len(files) == 1:
        label_files = {files[0]: labels}
    elif labels is not None and _same(images, labels):
        if not label_files:
            raise _no_labels(files[0], labels)
    elif labels is not None:
        matches = labels_in(files, labels)
        if not matches.pairs:
            if said := labels_of_others(files, labels):
                raise ValueError(f'"{labels}": {said}')
            others = [labels] if labels.is_file() else list_labels(labels)
            raise _nothing_matches(files, others, labels, "label")
        label_files = dict(matches.pairs)
        lines += matches.lines()
    if labels is not None and (alone := _taken_for_its_own_label(label_files)) is not None:
        raise _no_labels(alone, labels)
    lacking = len(label_files) < len(files) and table is None
    if lacking and labels is None:
        others = "" if label_files else labels_of_others(files, images)
        lines += filter(None, (overlooked(files, images), others))
    places = filter(None, (images, labels, targets))
    found = (said for place in places for said in unread(place, labels=lacking))
    lines += [f"{said}." for said in dict.fromkeys(found)]
    groups = _matched_targets(files, targets, lines)
    return _Plan(files, label_files, counts, groups, tuple(lines))


def _same(images: Path, labels: Path) -> bool:
    return images.is_dir() and images.resolve() == labels.resolve()


def _found_in(
    images: Path, labels: Path | None
) -> tuple[tuple[Path, ...], dict[Path, Path], list[str]]:
    """Return images in natural order, the labels found with them if these are wanted, and what to tell."""
    if file_of(images).is_file():
        return tuple(images_in(images)), {}, []
    found = find_labels(images)
    pairs = dict(found.pairs) if labels is None or _same(images, labels) else {}
    if labels is not None:  # those of a folder beside it were not asked for
        pairs = {image: path for image, path in pairs.items() if _within(path, labels)}
    told = found.lines() if pairs or (labels is None and found.labels_alone) else ()
    lines = [*told, *found.not_taken()]
    return tuple(sorted(found.images, key=natural_key)), pairs, lines


def _taken_for_its_own_label(labels: Mapping[Path, Path]) -> Path | None:
    """Return the first image whose label file is itself; `labels` holds the label of each image."""
    alike = (image for image, path in labels.items() if image.name == path.name)
    return next((image for image in alike if image.resolve() == labels[image].resolve()), None)


def _within(path: Path, folder: Path) -> bool:
    return (path.parent.resolve() / path.name).is_relative_to(folder.resolve())


def _no_labels(image: Path, labels: Path) -> ValueError:
    suffix = ".tif" if is_microscope(image) else image.suffix
    return ValueError(
        f'"{labels}": expected labels, such as "{stem_of(image)}_mask{suffix}" for '
        f'"{image.name}", found the images themselves; give the folder or the file of the labels.'
    )


def _counts_table(images: Path, labels: Path | None) -> Path | None:
    """Return the table of counts: the one given, or ``counts.csv`` beside the images."""
    if labels is not None and labels.suffix.lower() in TABLE_SUFFIXES and not labels.is_dir():
        return None if is_point_table(labels) else labels
    beside = images / COUNTS
    wanted = labels is None or _same(images, labels)
    return beside if wanted and beside.is_file() else None


def matched_counts(files: Sequence[Path], table: Path) -> tuple[dict[str, float | None], list[str]]:
    """Return the counts in a table by file stem in lower case, and the stems without image.

    Raises
    ------
    ValueError
        If no count is that of one of the `files`, and as `read_counts` does.
    """
    counts = {stem.casefold(): count for stem, count in read_counts(table).items()}
    stems = {stem_of(path).casefold() for path in files}
    if not stems & set(counts):
        raise _nothing_matches(files, sorted(counts), table, "count")
    return counts, sorted(set(counts) - stems, key=natural_key)


def _matched_targets(
    files: tuple[Path, ...], targets: Path | None, lines: list[str]
) -> dict[Path, Mapping[str, Path]]:
    if targets is None:
        return {}
    if targets.is_file() and len(files) == 1:
        return {files[0]: {"": targets}}
    target_files = list_images(targets)
    groups, alone = group_by_stem(files, target_files)
    if not groups:
        raise _nothing_matches(files, target_files, targets, "target")
    first, stains = next((path, tuple(group)) for path, group in groups.items())
    for path, group in groups.items():
        if tuple(group) != stains:
            raise ValueError(
                f'"{path}": expected the targets {_stains(stains)} as for "{first.name}", found '
                f"{_stains(tuple(group))}; add the missing files or remove the image."
            )
    have, images = form(len(groups), "has", "have"), how_many(len(files), "image")
    lines.append(f"{len(groups)} of {images} {have} a target ({_stains(stains)}).")
    if alone:
        lines.append(f"{how_many(len(alone), 'target')} without image: {listed(alone)}.")
    return groups


def _stains(stains: tuple[str, ...]) -> str:
    return ", ".join(stain or "one file" for stain in stains)


def _nothing_matches(
    files: Sequence[Path], others: list[Path] | list[str], where: Path, what: str
) -> ValueError:
    example = f'such as "{listed(others, 1)}"' if others else "none at all"
    return ValueError(
        f'"{where}": expected a {what} for images such as "{files[0].name}", found {example}; '
        f"{'; '.join(unread(where)) or f'give each {what} the name of its image'}."
    )


def _read_sample(path: Path, plan: _Plan) -> tuple[Sample, LabelReading | None]:
    image = read_image(path)
    label_file = plan.labels.get(path)
    reading = None
    if label_file is not None:
        reading = read_annotation(label_file, shape=image.shape, image=path.name)
    target = None
    if path in plan.targets:
        stains = plan.targets[path]
        names = list(stains) if all(stains) else []
        files = stains.values()
        target = stack([read_image(file) for file in files], names, [f'"{f}"' for f in files])
    sample = Sample(
        stem_of(path),
        image,
        count=plan.counts.get(stem_of(path).casefold()),
        target=target,
        **({} if reading is None else reading.known()),
    )
    return sample, reading


def _report(
    plan: _Plan,
    samples: list[Sample],
    readings: list[tuple[str, LabelReading]],
    others: list[str],
) -> list[str]:
    lines = [f"{how_many(len(samples), 'image')} read.", *plan.lines, *others]
    taken = Counter(reading.taken_as for _, reading in readings)
    if taken:
        kinds = ", ".join(f"{n} × {kind}" for kind, n in taken.most_common())
        n_objects = sum(reading.n_objects for _, reading in readings)
        lines.append(f"Labels were taken for: {kinds}; {how_many(n_objects, 'object')} in all.")
    ordered = sorted(
        readings, key=lambda named: not named[1].note
    )  # stable: those to look at first
    lines += [f"{name}: {reading.describe()}." for name, reading in ordered[:_MAX_NOTES]]
    if len(ordered) > _MAX_NOTES:
        n_notes = sum(bool(reading.note) for _, reading in ordered[_MAX_NOTES:])
        more = f", {n_notes} of them with {form(n_notes, 'a note', 'notes')}" if n_notes else ""
        lines.append(f"… and {how_many(len(ordered) - _MAX_NOTES, 'more label file')}{more}.")
    kinds = Counter(
        f"{how_many(s.image.n_channels, 'channel')}, {s.image.pixels.dtype}" for s in samples
    )
    if len(kinds) > 1:
        mixed = "; ".join(f"{n} with {kind}" for kind, n in kinds.most_common())
        lines.append(f"The images differ in kind: {mixed}.")
    sizes = {_pixel_size(sample) for sample in samples}
    if len(sizes) > 1:
        said = listed(sorted(sizes, key=natural_key))
        lines.append(f"The images differ in pixel size: {said}.")
    return lines


def _pixel_size(sample: Sample) -> str:
    """Return the pixel size as it is told; files keep no more digits than that."""
    size = sample.image.pixel_size_um
    return "unknown" if size is None else f"{size:.4g} µm"
