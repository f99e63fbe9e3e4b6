"""Large libraries are imported when they are needed, and the user can cancel meanwhile."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING

from microshot.device import prepare_process

if TYPE_CHECKING:
    from microshot.progress import Progress

#: Pause between two questions whether the user has cancelled, in seconds.
ASKING_SECONDS = 0.2
#: Modules that are in `sys.modules` but not yet complete.
_coming: set[str] = set()


def load(progress: Progress, *modules: str) -> None:
    """Import modules in a thread of their own while this one asks whether to go on.

    PyTorch takes 2 to 4 seconds, several times that on a busy computer. A cancelled import is not
    broken off, which would leave half a library behind: it goes on in its thread, and the next one
    who needs the library waits for the same import. Not to be called while a module is imported,
    whose lock the thread might wait for.

    Raises
    ------
    Cancelled
        If cancelled.
    Exception
        What an import has raised, as it is.
    """
    prepare_process()
    missing = [name for name in modules if name not in sys.modules or name in _coming]
    if not missing:
        return
    failures: list[BaseException] = []
    thread = threading.Thread(
        target=_import, args=(missing, failures), name="libraries", daemon=False
    )  # a process that ends waits for it: half-loaded libraries crash when they are torn down
    thread.start()
    while thread.is_alive():
        progress(0.0, "loading libraries")
        thread.join(ASKING_SECONDS)
    if failures:
        raise failures[0]


def _import(names: list[str], failures: list[BaseException]) -> None:
    for name in names:
        _coming.add(name)
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            failures.append(error)
            return
        finally:
            _coming.discard(name)
