"""Where results come from: models, versions, device, time and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.report.page import Markup, facts, folded
from microshot.report.wording import duration
from microshot.words import memory

if TYPE_CHECKING:
    from collections.abc import Mapping


def recorded(record: Mapping[str, Any] | None) -> list[Markup]:
    """Return a folded section with a record (see `provenance.record`); none without one."""
    if not record:
        return []
    pairs: list[tuple[str, Any]] = []
    for model in record["models"]:
        lineage = model.get("lineage", ())
        before = [f"{one.get('name', '')} ({one.get('id', '')})" for one in lineage]
        own = f"{model['name']} ({model['id']})" if model["id"] else model["name"]
        pairs += [
            ("Model", f"{own}, made {model['created']}" if "created" in model else own),
            ("Retrained from", " → ".join(before) or None),
            ("Licence", model.get("licence") or None),
            ("Training data", model.get("data") or None),
        ]
    peak = record["peak_memory_mb"]
    pairs += [
        ("Device", record["device"]),
        ("Time", duration(record["seconds"])),
        ("Most memory", None if peak is None else memory(peak)),
        ("Finished", record["finished"]),
        ("Versions", ", ".join(f"{name} {one}" for name, one in record["versions"].items())),
    ]
    return [folded("Where these results come from", facts(pairs))]
