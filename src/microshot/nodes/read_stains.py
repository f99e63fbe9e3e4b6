"""Measured stains beside the images that *Microscopy Image Reader* reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from microshot.nodes.context import Notes


def names_of(text: str, taken: Iterable[str]) -> tuple[str, ...]:
    """Return the names of stains in a text with commas.

    Raises
    ------
    knext.InvalidParametersError
        If a name is there twice or is that of another column.
    """
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    known = {name.lower() for name in taken}
    for name in names:
        if name.lower() in known:
            raise knext.InvalidParametersError(
                f'The stain "{name}" is named twice or like a column of the table; name every stain '
                'once under "Measured stains".'
            )
        known.add(name.lower())
    return names


def files_of(
    folder: Path, images: Sequence[Path], stains: Sequence[str], notes: Notes
) -> dict[Path, tuple[Path | None, ...]]:
    """Return the files of the stains of every image, in the order of `stains`.

    Images that are only to be worked on have none: where the folder of stains is missing or empty,
    a note says so.

    Raises
    ------
    ValueError
        If there are stains, but one for no image.
    """
    from microshot.data.folders import TARGET_FOLDERS, find_targets, list_images, stem_of
    from microshot.data.matching import group_by_stem

    where = find_targets(folder)
    files = [] if where is None else list_images(where)
    if not files:
        notes.add(
            f'No measured stains: "{folder}" has none in a subfolder {" or ".join(TARGET_FOLDERS[::2])}; '
            "their columns are empty."
        )
        return {image: (None,) * len(stains) for image in images}
    groups, _ = group_by_stem(images, files)
    found = {
        image: {k.lower(): path for k, path in group.items()} for image, group in groups.items()
    }
    own = {
        image: tuple(found.get(image, {}).get(stain.lower()) for stain in stains)
        for image in images
    }
    for index, stain in enumerate(stains):
        without = sum(files[index] is None for files in own.values())
        if without == len(own):
            raise ValueError(
                f'"{where}": expected a file of the stain "{stain}" for images such as '
                f'"{images[0].name}", found none; call it {stem_of(images[0])}_{stain}.tif.'
            )
        if without:
            notes.add(f"Images without the stain {stain}: {without}.")
    return own


def read(files: Sequence[Path | None], image: Any, *, as_png: bool) -> list[Any]:
    """Return one cell per stain: a PNG image, a path, or None.

    Raises
    ------
    ValueError
        Naming the file that does not lie on the image's pixels or does not fit into a PNG image.
    """
    from microshot.data.codec import image_to_pil
    from microshot.data.read import read_image

    cells: list[Any] = []
    for path in files:
        stain = None if path is None else read_image(path)
        if stain is None or path is None:
            cells.append(None)
            continue
        if stain.shape != image.shape or stain.n_channels != 1:
            raise ValueError(
                f"{path.name}: a stain must be one plane of the size of its image, expected "
                f"{image.shape[0]} x {image.shape[1]} px, found {how_many(stain.n_channels, 'plane')} of "
                f"{stain.shape[0]} x {stain.shape[1]} px."
            )
        if as_png and stain.pixels.dtype.kind != "u":
            raise ValueError(
                f'{path.name}: decimal numbers do not fit into a PNG image; choose "Paths" under '
                '"Images as".'
            )
        cells.append(image_to_pil(stain.pixels) if as_png else str(path))
    return cells
