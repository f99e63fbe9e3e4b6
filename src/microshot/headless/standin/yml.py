"""The few lines of knime.yml that KNIME itself reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from microshot.headless.standin.runtime import Version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LINE = re.compile(r"([A-Za-z_][\w-]*)\s*:(?:\s+(.*))?$")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$", re.IGNORECASE)
_NEEDED = ("name", "group_id", "version", "extension_module")


@dataclass(frozen=True)
class ExtensionFile:
    """What knime.yml says about the extension."""

    extension_id: str
    version: Version
    module: str
    module_dir: Path
    path: Path
    values: Mapping[str, str]
    """What stands behind each key, as it is written."""

    def text(self, key: str) -> str:
        """Return the text of a key that KNIME could do without.

        Raises
        ------
        ValueError : if it is missing, or no text on one line.
        """
        if key not in self.values:
            raise ValueError(f'{self.path}: the entry "{key}" is missing.')
        return _text(self.path, key, self.values[key])


def read_yml(root: Path) -> ExtensionFile:
    """Read ``root/knime.yml``.

    Raises
    ------
    FileNotFoundError : if there is none.
    ValueError : if a key that KNIME needs is missing or would be read as something else.
    """
    path = root / "knime.yml"
    if not path.is_file():
        raise FileNotFoundError(f"{root} has no knime.yml; it is no KNIME extension.")
    values: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line[0] in "# -\t" or line.startswith("---"):
            continue  # comments, and lines that belong to the key before
        found = _LINE.match(line.rstrip())
        if found is None:
            raise ValueError(f"{path}, line {number}: expected `key: value`, found {line!r}.")
        if found[1] in values:
            raise ValueError(f"{path}, line {number}: the key {found[1]} occurs twice.")
        values[found[1]] = (found[2] or "").strip()
    texts = {key: _text(path, key, values.get(key, "")) for key in _NEEDED}
    if not re.fullmatch(r"\d+\.\d+\.\d+", texts["version"]):
        raise ValueError(
            f'{path}: the version must be three numbers such as "0.1.0", found {texts["version"]!r}.'
        )
    module = root / texts["extension_module"]
    if module.suffix == ".py":
        raise ValueError(f"{path}: extension_module must not end in .py, found {module.name}.")
    return ExtensionFile(
        f"{texts['group_id']}.{texts['name']}",
        Version.parse_version(texts["version"]),
        module.name,
        module.parent.resolve(),
        path,
        values,
    )


def _text(path: Path, key: str, value: str) -> str:
    """Return a plain or quoted one-line text."""
    if value[:1] in ("'", '"'):
        end = value.find(value[0], 1)
        rest = value[end + 1 :].strip()
        if end < 0 or (rest and not rest.startswith("#")):
            raise ValueError(f"{path}: the value of {key} has an open quote: {value}.")
        return value[1:end]
    value = re.split(r"\s+#", value)[0].strip()
    if _NUMBER.match(value):
        raise ValueError(
            f'{path}: KNIME reads the {key} {value} as a number; quote it, as "0.1.0".'
        )
    if not value or value[0] in "|>[{&*!%@`":
        raise ValueError(f"{path}: {key} must be a text on one line, found {value!r}.")
    return value
