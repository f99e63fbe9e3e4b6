"""From the words of a call to its exit status."""

from __future__ import annotations

import io
import sys
import traceback
from typing import TYPE_CHECKING

from microshot.cli.calls import FAILED, USAGE, UsageError
from microshot.cli.console import Console, Quiet
from microshot.cli.parser import parser
from microshot.device import rank_and_size
from microshot.progress import Cancelled

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    _know_all_letters()
    try:
        given = parser().parse_args(arguments)
        kind = Quiet if rank_and_size()[0] > 0 else Console  # of a team, the first process speaks
        console = kind(as_json=given.json)
        with console.listening():
            return _carried_out(given, console)
    except KeyboardInterrupt:  # the second one, or the first before anything listened
        sys.stderr.write("\nStopped at once by the user.\n")
        return FAILED


def _know_all_letters() -> None:
    """Write UTF-8 into files and pipes, also where that is not the usual encoding, as on Windows.

    A terminal keeps its own; letters that it does not know become question marks.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="replace")


def _carried_out(given: argparse.Namespace, console: Console) -> int:
    """Do what was asked for; whatever fails is told in one sentence."""
    try:
        return _verbs()[given.verb](given, console)
    except Cancelled:
        console.say("Stopped by the user; nothing was written beyond what is named above.")
        return FAILED
    except UsageError as error:
        console.say(f"microshot {given.verb}: {error}")
        return USAGE
    except MemoryError as error:
        text = str(error) or "There is not enough memory"
        console.say(f"microshot {given.verb}: {text.rstrip('.')}.")
        return FAILED
    except (ValueError, OSError, FloatingPointError, RuntimeError) as error:
        if given.debug:
            traceback.print_exc(file=sys.stderr)
        console.say(f"microshot {given.verb}: {error}")
        return FAILED


def _verbs() -> dict[str, Callable[[argparse.Namespace, Console], int]]:
    """Return what carries out each verb."""
    from microshot.cli import (
        applying,
        exporting,
        generating,
        learning,
        reporting,
        scoring,
        studying,
        suggesting,
        translating,
        workflows,
    )

    return {
        "generate": generating.generate,
        "train": learning.train,
        "retrain": learning.retrain,
        "predict": applying.predict,
        "translate": translating.translate,
        "score": scoring.score,
        "suggest": suggesting.suggest,
        "export-labels": exporting.export_labels,
        "study": studying.study,
        "sweep": studying.sweep,
        "export": exporting.export_model,
        "import": exporting.import_model,
        "info": reporting.info,
        "report": reporting.report,
        "run": workflows.run,
        "pack": workflows.pack,
        "demo": workflows.demo,
    }
