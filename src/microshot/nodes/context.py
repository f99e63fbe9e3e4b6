"""Between KNIME's execution context and the core: progress, cancel, warnings, paths."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microshot.data.addresses import resolve
from microshot.libraries import load
from microshot.progress import Cancelled, Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import knime.extension as knext

    from microshot.training.unfinished import Unfinished


def reporter(context: knext.ExecutionContext) -> Progress:
    """Return a callback that reports to KNIME and raises `Cancelled` when the user cancels.

    KNIME's bar never moves backwards.
    """
    reached = [0.0]

    def report(fraction: float, message: str = "") -> None:
        if context.is_canceled():
            raise Cancelled("The execution was cancelled.")
        reached[0] = max(reached[0], min(float(fraction), 1.0))
        context.set_progress(reached[0], message or None)

    return report


class Notes:
    """Collects warnings; KNIME keeps only the last one that is set, so they are joined."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, *lines: str) -> None:
        """Remember sentences, each once."""
        self.lines += [line for line in lines if line and line not in self.lines]

    def extend(self, lines: Iterable[str]) -> None:
        """Remember several sentences."""
        self.add(*lines)

    def show(self, context: Any) -> None:
        """Show everything remembered in one warning."""
        if self.lines:
            context.set_warning("\n".join(self.lines))


@contextmanager
def going_on(
    context: knext.ExecutionContext, progress: Progress, job: Mapping[str, Any]
) -> Iterator[Unfinished | None]:
    """Give a training a place to go on from if KNIME ends.

    The place is KNIME's own folder on this computer; it is empty again as soon as a node
    has trained. See `learning.interrupted.waiting`.
    """
    from microshot.learning.interrupted import waiting

    load(progress, "torch")
    folder = Path(context.get_knime_home_dir()) / "microshot" / "unfinished"
    with waiting(folder, job) as unfinished:
        yield unfinished


def data_area(context: knext.ExecutionContext) -> Path:
    """Return the folder ``data`` of the workflow; it need not exist."""
    return Path(context.get_workflow_data_area_dir())


def resolve_cell(value: Any, folder: Path, where: str) -> Path:
    """Return the file that a String or Path cell means (see `resolve`).

    Raises
    ------
    ValueError
        If a Path cell belongs to a file system other than the local one and the workflow's
        data area, and as `resolve` does; `where` names the cell.
    """
    with named(where):
        category = getattr(value, "fs_category", None)
        if category is None:
            return resolve(str(value), folder)
        if category == "LOCAL":
            return resolve(value.path, folder)
        if category == "RELATIVE" and value.fs_specifier == "knime.workflow.data":
            return folder / value.path.lstrip("/")
        raise ValueError(
            f'"{value.path}": the path belongs to the file system {category} '
            f"{value.fs_specifier or ''}; expected a local path or one in the workflow's data area, "
            "transfer the files there first."
        )


@contextmanager
def named(where: str) -> Iterator[None]:
    """Put `where`, such as row and column, before what is wrong with a value (ValueError)."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
