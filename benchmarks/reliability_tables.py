"""Tables of `benchmarks/README.md` on damaged files and on many executions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).resolve().parent / "results"


def _read(name: str) -> Any:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def fuzz() -> str:
    """How many damaged files were read, and what was found."""
    kept = _read("fuzz")
    targets = kept["targets"]
    left = sum(len(one["findings"]) for one in targets.values())
    minutes = sum(one["seconds"] for one in targets.values()) / 60
    return (
        f"**{kept['cases']:,} cases** of {len(targets)} kinds in {minutes:.0f} minutes of processor time; "
        f"{len(kept['mended'])} findings were mended, {left} are left."
    )


def soak() -> str:
    """What a process has after a hundred executions and at the end."""
    kept = _read("soak")
    if kept is None:
        return "not measured"
    (row,) = kept["rows"]
    warm, last = row["warm"], row["last"]
    alone, beside = (row[key] for key in ("seconds_alone", "seconds_beside"))
    ratio = sum(beside) / len(beside) / (sum(alone) / len(alone))
    lines = [
        f"| {name} (MiB) | {warm[key]:.0f} | {last[key]:.0f} ({last[key] / warm[key] - 1:+.1%}) |"
        for key, name in (("used_mb", "memory in use"), ("resident_mb", "memory of the process"))
        if key in warm
    ]
    lines += [
        f"| open handles | {warm['handles']} | {last['handles']} |",
        f"| temporary files | {warm['files']} | {last['files']} |",
    ]
    return "\n".join(
        [
            f"| | after 100 executions | after {row['executions']:,} |",
            "|---|---|---|",
            *lines,
            "",
            f"{len(beside)} processes at the same time on {row['cores']} cores: an execution takes "
            f"{ratio:.2f} times the processor time of one alone ({sum(alone) / len(alone):.3f} s).",
        ]
    )


PARTS: dict[str, Callable[[], str]] = {"fuzz": fuzz, "soak": soak}
