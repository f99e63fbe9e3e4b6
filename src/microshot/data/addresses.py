"""Which file is meant by a path that is given in a workflow."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

#: The data area of a workflow, the folder ``data`` in it, wherever the workflow is.
ADDRESS = "knime://knime.workflow/data"


def resolve(text: str, folder: Path) -> Path:
    r"""Return the file or folder that a user's text means.

    A relative path and ``knime://knime.workflow/data/…`` are taken from the workflow's data
    area `folder`; in the latter, ``%20`` stands for a space, as KNIME writes addresses, unless a
    file is called so. An absolute path is taken as it is, also as an address that begins with
    ``file:/``; ``~`` is the user's own folder. Both ``/`` and ``\`` separate folders, so that
    workflows made on Windows run anywhere, and the quotes around a path that Windows copies are
    left out.

    Raises
    ------
    ValueError
        If the text is empty, another ``knime://`` address, or a web address.
    """
    text = text.strip()
    if len(text) > 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not text:
        raise ValueError(
            "The path is empty; give a path in the workflow's data area or a full one."
        )
    if text == ADDRESS or text.startswith(f"{ADDRESS}/"):
        rest = text[len(ADDRESS) :].lstrip("/")
        return folder / (rest if (folder / rest).exists() else unquote(rest))
    if text.lower().startswith("file:/"):
        place = unquote(re.sub(r"^file:(//(localhost)?(?=/))?", "", text, flags=re.IGNORECASE))
        return Path(place[1:] if place[2:3] == ":" else place)  # /C:/…
    if "://" in text:
        raise ValueError(
            f'"{text}": expected a path, or an address that begins with {ADDRESS}/; '
            "copy the files to the workflow's data area or a local folder first."
        )
    path = folder / _from_home(Path(text))
    if "\\" in text and text[1:2] != ":" and not path.exists():  # written on Windows
        return folder / _from_home(Path(text.replace("\\", "/")))
    return path


def _from_home(path: Path) -> Path:
    """Return `path` with ``~`` as the user's own folder; a tilde before a name belongs to the name."""
    return path.expanduser() if path.parts[:1] == ("~",) else path
