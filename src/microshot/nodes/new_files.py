"""Files that a node writes beside its tables."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def new_files(*, overwrite: bool) -> Iterator[list[Path]]:
    """Yield a list to note files in once they are written, so that a node can be executed again.

    Where files may not be replaced, those noted are deleted if the block ends in an error or a
    cancel: they would be in the way, and no table tells of them.
    """
    made: list[Path] = []
    try:
        yield made
    except BaseException:
        for path in () if overwrite else made:
            path.unlink(missing_ok=True)
        raise
