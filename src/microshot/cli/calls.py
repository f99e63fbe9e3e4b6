"""What all verbs share of a call: its options, what is wrong with it, files that must not be lost."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from microshot import knobs
from microshot.data.disk import check_way

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from microshot.cli.console import Console
    from microshot.data.new_files import NewFiles

S = TypeVar("S")
DONE, FAILED, USAGE = 0, 1, 2


class UsageError(ValueError):
    """The call itself is wrong, not the work."""


def with_sets(values: S, given: Sequence[str]) -> S:
    """Apply ``--set key=value`` options, whose order does not matter; see `checked`."""
    for one in given:
        key, separator, text = one.partition("=")
        if not separator:
            raise UsageError(f'--set "{one}": expected KEY=VALUE.')
        try:
            values = knobs.assign(values, key.strip(), text.strip())
        except ValueError as error:
            raise UsageError(str(error)) from None
    return values


def checked(values: S) -> S:
    """Refuse options that are not allowed as wrong usage."""
    try:
        return knobs.check(values)
    except ValueError as error:
        raise UsageError(str(error)) from None


def with_training(values: S, given: argparse.Namespace) -> S:
    """Apply the options ``--seed`` and ``--device`` of verbs that train."""
    changed = {n: v for n in ("seed", "device") if (v := getattr(given, n)) is not None}
    training: Any = values.training  # type: ignore[attr-defined]
    return dataclasses.replace(values, training=dataclasses.replace(training, **changed))  # type: ignore[type-var]


def with_device(values: S, given: argparse.Namespace) -> S:
    """Apply the options ``--device`` and ``--set`` of verbs that apply a model."""
    if given.device is not None:
        values = dataclasses.replace(values, device=given.device)  # type: ignore[type-var]
    return checked(with_sets(values, given.set))


def refuse_existing(*paths: Path | None, overwrite: bool) -> None:
    """Refuse, before the work, files that cannot be written; None is not asked for.

    Those are two of one name, folders, what lies where no file can be, and files that exist and may
    not be replaced.
    """
    files = [path for path in paths if path is not None]
    if len({path.resolve() for path in files}) < len(files):
        raise UsageError(
            f'"{files[0]}" is given for two files; choose another name for one of them.'
        )
    for path in files:
        check_way(path)
        if path.exists() and not overwrite:
            raise FileExistsError(
                f'"{path}" exists already; choose another name or add --overwrite.'
            )


def refuse_results(
    given: argparse.Namespace, source: Path, what: str, results: Sequence[Path] = ()
) -> None:
    """Refuse, before the work, to write into the folder of `source` or over earlier results.

    Parameters
    ----------
    source : file or folder that is read; an OME-Zarr folder is one file.
    what : it holds, such as ``images``.
    results : files that will be written to ``--out``.
    """
    from microshot.data.windows import is_zarr

    folder = source if source.is_dir() and not is_zarr(source) else source.parent
    if folder.resolve() == given.out.resolve():
        raise UsageError(
            f'"{given.out}" is the folder of the {what}; give another folder as --out.'
        )
    old = next((result for result in results if result.exists()), None)
    if old is not None and not given.overwrite:
        raise FileExistsError(f'"{old}" exists already; choose another folder or add --overwrite.')


def check_folders(
    given: argparse.Namespace, what: str, files: Callable[[Path], Sequence[Path]]
) -> None:
    """Refuse truth or predictions that are in no folder, or a folder without such `files`."""
    from microshot.data.folders import unread

    for folder in (given.truth, given.prediction):
        if not folder.is_dir():
            raise FileNotFoundError(f'"{folder}" is no folder; give the folder with {what}.')
        if not files(folder):
            advice = "; ".join(unread(folder)) or "give the folder with them"
            raise ValueError(f'"{folder}": expected {what}, found none; {advice}.')


def resolved(pairs: Sequence[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """Return paths that are the same wherever a worker was started."""
    return [(a.resolve(), b.resolve()) for a, b in pairs]


def images_and_names(
    source: Path, console: Console, *, zarr: bool = False
) -> tuple[list[Path], list[str]]:
    """Return the images, with `zarr` also OME-Zarr folders, and the names of their results.

    Files of other programs are told.
    """
    from microshot.data.folders import (
        entries,
        list_images,
        natural_key,
        stem_of,
        unread,
        without_images,
    )
    from microshot.data.microscope_files import images_in
    from microshot.data.windows import is_zarr

    if source.is_dir() and not (zarr and is_zarr(source)):
        folders = [child for child in entries(source) if zarr and is_zarr(child)]
        files = sorted([*list_images(source), *folders], key=natural_key)
    else:
        files = images_in(source)
    if not files:
        raise ValueError(
            f'"{source}": expected TIFF, PNG, JPEG, BMP, CZI, LIF or ND2 images, found none; '
            f"{without_images(source)}."
        )
    console.say(*(f"Note: {said}." for said in unread(source, labels=False)))
    names = [stem_of(f.name.removesuffix(".zarr").removesuffix(".ome")) if f.is_dir() else stem_of(f)
             for f in files]  # fmt: skip
    double = next((n for i, n in enumerate(names) if n in names[:i]), None)
    if double is not None:
        raise ValueError(f'Two images are called "{double}"; rename one, results are named alike.')
    return files, names


def leave(new: NewFiles, tables: Iterable[Path], done: str, console: Console) -> None:
    """Leave the user what stopped work has written, with the `tables` of it, and say what is `done`.

    All of it is deleted where the same work begins anew (see `data.new_files`).
    """
    for table in tables:
        new.add(table)
    new.leave()
    console.say(f"{done}; the same command begins anew.")
