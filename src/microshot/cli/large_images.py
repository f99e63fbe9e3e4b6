"""`microshot predict` on images too large for memory, and on OME-Zarr."""

from __future__ import annotations

import functools
import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from microshot.cli import skipping
from microshot.cli.calls import UsageError
from microshot.cli.telling import told
from microshot.progress import span

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from microshot.cli.images_one_by_one import Applied, Work
    from microshot.cluster import Cluster
    from microshot.progress import Progress

TIFF, ZARR = "tiff", "zarr"


def in_parts(files: Sequence[Path], large_mpx: float, *, counting: bool, skip: bool) -> set[Path]:
    """Return the images that are read in parts and segmented block by block.

    OME-Zarr always is, a TIFF or microscope's file with more than `large_mpx` million pixels.

    Raises
    ------
    ValueError
        For a file that cannot be opened, unless those are passed by (`skip`).
    """
    from microshot.data.windows import is_large, is_zarr

    found: set[Path] = set()
    for file in [] if counting else files:
        try:
            if is_zarr(file) or is_large(file, large_mpx):
                found.add(file)
        except (ValueError, OSError) as error:
            skipping.reason(error, skip=skip)  # reading it says why
    return found


def label_file(given: argparse.Namespace, name: str, *, large: bool) -> Path:
    """Return the path of the label image of an image."""
    return given.out / f"{name}.{'ome.zarr' if large and given.labels_as == ZARR else 'tif'}"


def segment_large(
    work: Work,
    predictor: Any,
    file: Path,
    out: Path,
    stack: ExitStack,
    cluster: Cluster | None,
    progress: Progress,
) -> Applied:
    """Segment an image block by block; temporary files go when `stack` is left without error.

    Those of an image that is passed by go at once, if an earlier run has not left them.
    """
    from microshot.cli.images_one_by_one import Applied
    from microshot.large.segmenting import unfinished

    begun_before = unfinished(out).exists()
    try:
        return _segmented(work, predictor, file, out, stack, cluster, progress)
    except ValueError as error:
        made = Applied({}, skipped=skipping.reason(error, skip=work.skip))
        if not begun_before:
            shutil.rmtree(unfinished(out), ignore_errors=True)
        return made


def _segmented(
    work: Work,
    predictor: Any,
    file: Path,
    out: Path,
    stack: ExitStack,
    cluster: Cluster | None,
    progress: Progress,
) -> Applied:
    from microshot.cli.images_one_by_one import Applied
    from microshot.data.windows import opened
    from microshot.large.elsewhere import compute_with
    from microshot.large.segmenting import MEASURED, NETWORK, here, segmented

    compute, started = here, time.perf_counter()
    if cluster is not None:
        network = span(progress, MEASURED, NETWORK)
        compute = compute_with(
            functools.partial(cluster.run, progress=network, what="network, block"), work.model
        )
    source = stack.enter_context(closing(opened(file)))
    found = stack.enter_context(
        segmented(
            predictor, source, out, overwrite=work.overwrite, compute=compute, progress=progress
        )
    )
    notes = [f"{file.name}: {note}" for note in found.notes]
    if found.n_resumed:
        notes.append(
            f"{file.name}: {found.n_resumed} of {found.n_blocks} blocks had been finished by an "
            "earlier run."
        )
    size = predictor.size_taken(found)
    row = {"count": found.n_objects, "confidence": found.confidence, **size}
    return Applied({**row, **told(found.trust, [predictor], started)}, found.rows(), notes)


def check_form(given: argparse.Namespace, *, counting: bool) -> None:
    """Refuse a form of label images that the model cannot fill."""
    if counting and given.labels_as == ZARR:
        raise UsageError(
            "--labels-as zarr: the model counts and writes no label images; leave it out."
        )
