"""What a saved workflow would lack on somebody else's machine."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from microshot.data.addresses import resolve
from microshot.export.labels import safe_name
from microshot.headless.knwf import files_of
from microshot.headless.workflow import TABLE_VIEW_FACTORY, CoreNode, ExtensionNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from microshot.headless.settings_xml import Json
    from microshot.headless.workflow import Workflow, WorkflowNode

#: Parameters that name a file or folder which a node reads, by node id.
_READ = {
    "read_images": ("folder",),
    "read_model": ("path",),
    "train": ("count.frozen_weights", "network.encoder_weights"),
}


def unfit(folder: Path) -> list[str]:
    """Say which files of a workflow should not be sent, or cannot be unpacked everywhere."""
    found, seen = [], dict[str, str]()
    if any(path.is_dir() for path in folder.glob("* (#*)/port_*")):
        found.append(
            "The workflow holds results of its nodes, images among them, which would be sent along; reset "
            "it in KNIME and save it."
        )
    for file in files_of(folder):
        name = file.relative_to(folder).as_posix()
        fit = "/".join(map(_fit, name.split("/")))
        if fit != unicodedata.normalize("NFC", name):
            found.append(f'"{name}" cannot be unpacked on Windows; name it "{fit}".')
        twin = seen.setdefault(name.lower(), name)
        if twin != name:
            found.append(
                f'"{name}" and "{twin}" are one file on Windows and macOS; rename one of them.'
            )
    return found


def _fit(part: str) -> str:
    """Return one name on a path as every system can hold it; hidden ones stay hidden."""
    shown = part.lstrip(".")
    return part[: len(part) - len(shown)] + safe_name(shown, longest=255)


def lacks(workflow: Workflow, data_area: Path, own_extension: str) -> list[str]:
    """Say what would be missing where only this workflow's folder and the extension are.

    Parameters
    ----------
    data_area : the workflow's folder ``data``.
    own_extension : id of the extension that everybody is taken to have.

    Returns
    -------
    A sentence per finding: full paths, files that do not lie in `data_area`, nodes of others.
    """
    found = []
    for node in workflow.nodes:
        kind = node.kind
        if isinstance(kind, CoreNode):
            if kind.factory != TABLE_VIEW_FACTORY and kind.feature:
                needed = kind.feature_name or kind.feature
                found.append(f'{node.title} needs the KNIME feature "{needed}".')
            continue
        if kind.extension_id != own_extension:
            found.append(f'{node.title} needs the extension "{kind.extension_id}".')
            continue
        found += [
            f'{node.title}: "{text}" ({name}) is a full path, which other computers do not have; copy '
            "the files into the workflow's folder data and give the path from there."
            for name, text in _texts(node.settings)
            if _is_full(text)
        ]
        found += _missing(node, kind, workflow, data_area)
    return found


def _texts(settings: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text among the settings with its dotted name."""
    for name, value in settings.items():
        if isinstance(value, str):
            yield prefix + name, value.strip()
        elif isinstance(value, dict):
            yield from _texts(value, f"{prefix}{name}.")


def _is_full(text: str) -> bool:
    """Say whether a text is a path that begins at a drive or at the root."""
    if PureWindowsPath(text).drive or text.startswith("\\\\"):
        return True
    return text.startswith("~/") or (PurePosixPath(text).is_absolute() and len(text) > 1)


def _missing(
    node: WorkflowNode, kind: ExtensionNode, workflow: Workflow, data_area: Path
) -> list[str]:
    """Return a sentence for all that a node reads from the data area and is not there."""
    reads_table = any(line.carries_data for line in workflow.inputs(node.id))
    is_starter = node.settings.get("source", "FILE") != "FILE"
    if is_starter or (kind.node_id == "read_images" and reads_table):
        return []
    return [
        f'{node.title}: "{text}" does not lie in the workflow\'s folder data; put it there.'
        for name, text in _texts(node.settings)
        if name in _READ.get(kind.node_id, ()) and text and not _is_full(text)
        if not _lies_in(text, data_area)
    ]


def _lies_in(text: str, data_area: Path) -> bool:
    try:
        place = resolve(text, data_area)
    except ValueError:  # an address of another place
        return False
    return place.exists() and place.resolve().is_relative_to(data_area.resolve())
