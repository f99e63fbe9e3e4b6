"""KNIME's configuration files: a tree of typed entries, read strictly and written to fixed bytes.

The grammar is that of `workflow.knime` and `settings.xml`: ``config`` elements hold ``entry``
elements and further ``config`` elements, each under a key.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias
from xml.parsers import expat
from xml.sax import saxutils

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
"""Largest file read, in bytes; the largest that KNIME writes for a workflow is far smaller."""
MAX_DEPTH = 100
"""Deepest nesting of ``config`` elements read."""

Value: TypeAlias = "str | int | float | bool | None"

_INTEGER_BITS = {"xint": 31, "xlong": 63, "xshort": 15, "xbyte": 7}
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?(NaN|Infinity|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[fFdD]?)")
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that an XML file cannot hold."""
_ESCAPED = re.compile(r"%%([0-9]{5})")
_TYPES = {*_INTEGER_BITS, "xdouble", "xfloat", "xstring", "xboolean", "xchar", "xpassword"}
_NULLABLE = {"xstring", "xpassword"}
_ROOT_ATTRIBUTES = (
    'xmlns="http://www.knime.org/2008/09/XMLConfig" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="http://www.knime.org/2008/09/XMLConfig '
    'http://www.knime.org/XMLConfig_2008_09.xsd"'
)


@dataclass(frozen=True)
class Entry:
    """One value with its KNIME type, for example ``xint``; None only for strings."""

    type: str
    value: Value


class Config(dict[str, "Config | Entry"]):
    """Entries and sub-configurations by key, in file order.

    `where` names the file and the path of keys for messages; it is no part of equality.
    """

    def __init__(self, where: str = "") -> None:
        super().__init__()
        self.where = where

    def add(self, key: str, kind: str, value: Value) -> None:
        """Put an entry of type `kind` under `key`."""
        self[key] = Entry(kind, value)

    def add_config(self, key: str) -> Config:
        """Put an empty sub-configuration under `key` and return it."""
        child = Config(f"{self.where}/{key}")
        self[key] = child
        return child

    def add_array(self, key: str, kind: str, values: Sequence[Value]) -> Config:
        """Put a typed array under `key`: its size, then the values numbered from 0."""
        child = self.add_config(key)
        child.add("array-size", "xint", len(values))
        for index, value in enumerate(values):
            child.add(str(index), kind, value)
        return child

    def config(self, key: str) -> Config:
        """Return the sub-configuration under `key`, an empty one where there is none."""
        found = self.get(key)
        if found is None:
            return Config(f"{self.where}/{key}")
        if isinstance(found, Entry):
            raise ValueError(f'{self.where}: "{key}" must be a <config>, found a single value.')
        return found

    def configs(self) -> Iterator[tuple[str, Config]]:
        """Yield every sub-configuration with its key."""
        for key in self:
            yield key, self.config(key)

    def text(self, key: str) -> str | None:
        """Return the string under `key`; None where it is missing or null."""
        value = self._value(key, "xstring")
        return value if isinstance(value, str) else None

    def require_text(self, key: str) -> str:
        """Return the string under `key`, which must be there."""
        value = self.text(key)
        if value is None:
            raise ValueError(f'{self.where}: the text "{key}" is missing; save the workflow again.')
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        """Return the integer under `key`, or `default` where it is missing."""
        value = self._value(key, "xint")
        if isinstance(value, int):
            return value
        if default is None:
            raise ValueError(
                f'{self.where}: the whole number "{key}" is missing; save the workflow again.'
            )
        return default

    def _value(self, key: str, kind: str) -> Value:
        found = self.get(key)
        if found is None:
            return None
        if isinstance(found, Config) or found.type != kind:
            actual = "a <config>" if isinstance(found, Config) else found.type
            raise ValueError(f'{self.where}: "{key}" must be of type {kind}, found {actual}.')
        return found.value


def escape(text: str) -> str:
    r"""Write characters that XML cannot hold as ``%%`` and five decimal digits per UTF-16 unit.

    Escaped are control characters, everything above U+D7FF, and a percent sign before another.

    >>> escape("a\nb 100%%")
    'a%%00010b 100%%00037%'
    """
    raw = text.encode("utf-16-le", "surrogatepass")
    units = [raw[i] | raw[i + 1] << 8 for i in range(0, len(raw), 2)]
    return "".join(
        f"%%{unit:05d}" if unit < 32 or unit > 0xD7FF or (unit == 37 and after == 37) else chr(unit)
        for unit, after in pairwise([*units, 0])
    )


def unescape(text: str) -> str:
    r"""Undo `escape`.

    >>> unescape("a%%00010b")
    'a\nb'
    """
    if "%%" not in text:
        return text
    spread = _ESCAPED.sub(lambda match: chr(int(match[1]) & 0xFFFF), text)
    return spread.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def read_config(path: Path, *, name: str = "") -> Config:
    """Read one KNIME configuration file; `name` stands for the file in messages.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    ValueError : if the file is too large or is not what KNIME writes.
    """
    name = name or path.name
    if not path.is_file():
        raise FileNotFoundError(f"{name}: there is no such file; the workflow is incomplete.")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(
            f"{name}: expected at most {MAX_BYTES // 2**20} MB of workflow settings, "
            f"found {path.stat().st_size / 2**20:.0f} MB."
        )
    return parse_config(path.read_bytes(), name)


def parse_config(data: bytes, name: str) -> Config:
    """Read a configuration from the bytes of the file called `name` in messages."""
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"{name}: expected at most {MAX_BYTES // 2**20} MB of workflow settings, "
            f"found {len(data) / 2**20:.0f} MB."
        )
    builder = _Builder(name)
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.StartDoctypeDeclHandler = builder.doctype
    try:
        parser.Parse(data, True)  # noqa: FBT003 expat's own signature
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(f"{name}: this is no well-formed XML ({error}).") from error
    if builder.root is None:
        raise ValueError(f"{name}: expected a <config> element, found none.")
    return builder.root


class _Builder:
    """Collects the elements of one file into a `Config`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Config | None = None
        self.open: list[Config] = []
        self.in_entry = False

    def doctype(self, *_: object) -> None:
        raise ValueError(
            f"{self.name}: a document type declaration is not allowed in a workflow file."
        )

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag not in ("config", "entry") or self.in_entry:
            raise ValueError(f"{self.name}: expected <config> or <entry>, found <{tag}>.")
        where = self.open[-1].where if self.open else self.name
        if "key" not in attributes:
            raise ValueError(f"{where}: a <{tag}> has no key.")
        key = attributes["key"]
        if tag == "config":
            self._start_config(key)
            return
        if not self.open:
            raise ValueError(f"{self.name}: expected <config> as the outermost element.")
        self.in_entry = True
        self._refuse_twice(key)
        self.open[-1][key] = _entry(attributes, f'{where}: entry "{key}"')

    def _start_config(self, key: str) -> None:
        if not self.open:
            self.root = Config(self.name)
            self.open.append(self.root)
            return
        if len(self.open) >= MAX_DEPTH:
            raise ValueError(f"{self.name}: settings are nested deeper than {MAX_DEPTH} levels.")
        self._refuse_twice(key)
        self.open.append(self.open[-1].add_config(key))

    def _refuse_twice(self, key: str) -> None:
        if key in self.open[-1]:
            raise ValueError(f'{self.open[-1].where}: the key "{key}" occurs twice.')

    def end(self, tag: str) -> None:
        if tag == "config":
            self.open.pop()
        self.in_entry = False


def _entry(attributes: dict[str, str], where: str) -> Entry:
    kind = attributes.get("type", "")
    if kind not in _TYPES:
        raise ValueError(f'{where}: "{kind}" is no type of a workflow setting.')
    if attributes.get("isnull") == "true":
        if kind not in _NULLABLE:
            raise ValueError(f"{where}: a value of type {kind} must not be null.")
        return Entry(kind, None)
    if "value" not in attributes:
        raise ValueError(f"{where}: the value is missing.")
    return Entry(kind, _parse_value(kind, unescape(attributes["value"]), where))


def _parse_value(kind: str, text: str, where: str) -> Value:
    if kind in _INTEGER_BITS:
        limit = 1 << _INTEGER_BITS[kind]
        if not _INTEGER.fullmatch(text) or not -limit <= int(text) < limit:
            raise ValueError(
                f'{where}: expected a whole number from {-limit} to {limit - 1}, found "{text}".'
            )
        return int(text)
    if kind in ("xdouble", "xfloat"):
        if not _FLOAT.fullmatch(text):
            raise ValueError(f'{where}: expected a number, found "{text}".')
        return float(text if "N" in text or "I" in text else text.rstrip("fFdD"))
    if kind == "xboolean":
        if text.lower() not in ("true", "false"):
            raise ValueError(f'{where}: expected true or false, found "{text}".')
        return text.lower() == "true"
    if kind == "xchar" and len(text) != 1:
        raise ValueError(f'{where}: expected one character, found "{text}".')
    return text


def config_bytes(config: Config, key: str) -> bytes:
    """Write `config` as the file whose root has `key`; the same tree gives the same bytes."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    if config:
        lines.append(f"<config {_ROOT_ATTRIBUTES} key={_attribute(key)}>")
        _write(config, lines, "  ")
        lines.append("</config>")
    else:
        lines.append(f"<config {_ROOT_ATTRIBUTES} key={_attribute(key)}/>")
    return ("\n".join(lines) + "\n").encode("utf-8")


def _write(config: Config, lines: list[str], indent: str) -> None:
    for key, item in config.items():
        if isinstance(item, Config):
            if item:
                lines.append(f"{indent}<config key={_attribute(key)}>")
                _write(item, lines, indent + "  ")
                lines.append(f"{indent}</config>")
            else:
                lines.append(f"{indent}<config key={_attribute(key)}/>")
            continue
        null = ' isnull="true"' if item.value is None else ""
        value = _attribute(escape(_format_value(item)))
        lines.append(
            f'{indent}<entry key={_attribute(key)} type="{item.type}"{null} value={value}/>'
        )


def _attribute(text: str) -> str:
    unwritable = NOT_XML.search(text)
    if unwritable:
        raise ValueError(
            f"A workflow setting cannot be called {text!r}: remove {unwritable[0]!r} from its name."
        )
    quoted = saxutils.escape(text, {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})
    return f'"{quoted}"'


def _format_value(entry: Entry) -> str:
    value = entry.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value)
