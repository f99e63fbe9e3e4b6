"""What a knob is, and how groups of knobs are checked, stored and set from text.

A group of knobs is a frozen dataclass; a section of a dialog is a dataclass inside a
dataclass. The knobs themselves are in `settings`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_type_hints, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

S = TypeVar("S")


@dataclass(frozen=True)
class Choice:
    """One of several answers: what the user reads, and what it means."""

    label: str
    help: str


#: The answer that most choices offer.
AUTO = Choice("Automatic", "Leave it to the preset.")


@dataclass(frozen=True)
class Knob:
    """What a user is told about a setting, and what is allowed."""

    label: str
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: Mapping[str, Choice] | None = None
    advanced: bool = False
    since: str = "0.1.0"
    file: bool = False
    """A file that is read; in a workflow, a relative path is taken from its data area."""
    show_if: tuple[str, tuple[Any, ...]] | None = None
    """Shown only while the named knob of the same group has one of the values."""


@runtime_checkable
class CheckedTogether(Protocol):
    """A group of knobs some of whose values exclude each other."""

    def check_together(self) -> None:
        """Raise ``ValueError`` where values that are allowed alone do not go together."""
        ...


def knob(default: Any, label: str, help: str, **rest: Any) -> Any:  # noqa: A002
    """Declare a dataclass field that is a knob."""
    return field(default=default, metadata={"knob": Knob(label, help, **rest)})


def section(kind: type, label: str, help: str, **rest: Any) -> Any:  # noqa: A002
    """Declare a dataclass field that is a group of knobs with a heading of its own."""
    return field(default_factory=kind, metadata={"section": Knob(label, help, **rest)})


def knobs(kind: type) -> Iterator[tuple[str, Knob, Any]]:
    """Yield (name, knob, default) of the group's own knobs, sections left out."""
    for f in fields(kind):
        if "knob" in f.metadata:
            yield f.name, f.metadata["knob"], f.default


def sections(kind: type) -> Iterator[tuple[str, Knob, type]]:
    """Yield (name, heading, dataclass) of the group's sections."""
    hints = get_type_hints(kind)
    for f in fields(kind):
        if "section" in f.metadata:
            yield f.name, f.metadata["section"], hints[f.name]


def by_path(kind: type, prefix: str = "") -> dict[str, tuple[Knob, Any]]:
    """Return knob and default by path (``images.patch_px``), those of sections behind the own."""
    known = {f"{prefix}{name}": (k, default) for name, k, default in knobs(kind)}
    for name, _, inner in sections(kind):
        known |= by_path(inner, f"{prefix}{name}.")
    return known


def check(settings: S) -> S:
    """Return `settings` if every value is allowed.

    Raises
    ------
    ValueError
        Naming the knob, what is allowed, and the value found; also where a group that has a
        method ``check_together`` finds that its values do not belong together.
    """
    _check_values(settings)
    _check_together(settings)
    return settings


def _check_values(settings: Any) -> None:
    """Refuse a value that is not allowed, whatever the others are."""
    for name, k, default in knobs(type(settings)):
        _check_value(f'"{k.label}" ({name})', k, default, getattr(settings, name))
    for name, heading, kind in sections(type(settings)):
        inner = getattr(settings, name)
        if not isinstance(inner, kind):
            raise ValueError(
                f'"{heading.label}" ({name}): expected its settings, found {inner!r:.60}.'
            )
        _check_values(inner)


def _check_together(settings: Any) -> None:
    """Refuse values that do not belong together, those of sections first."""
    for name, _, _ in sections(type(settings)):
        _check_together(getattr(settings, name))
    if isinstance(settings, CheckedTogether):
        settings.check_together()


def _check_value(what: str, k: Knob, default: Any, value: Any) -> None:
    """Refuse a value of the wrong kind, out of range, or not among the choices."""
    if k.choices is not None:
        if not isinstance(value, str) or value not in k.choices:
            raise ValueError(
                f"{what}: expected one of {', '.join(k.choices)}, found {value!r:.60}."
            )
        return
    if isinstance(default, (bool, str)):
        if type(value) is not type(default):
            kind = "true or false" if isinstance(default, bool) else "a text"
            raise ValueError(f"{what}: expected {kind}, found {value!r:.60}.")
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
    whole = isinstance(default, int)
    if not number or (whole and not isinstance(value, int)):
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{what}: expected {kind}, found {value!r:.60}.")
    low, high = k.minimum, k.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        found = f"{value:.15g}" if abs(value) < 1e300 else "a far larger one"
        raise ValueError(f"{what}: expected {_range(low, high)}, found {found}.")


def allowed(k: Knob, default: Any) -> str:
    """Say in few words which values a knob may have; empty where any text will do."""
    if k.choices is not None:
        return ", ".join(k.choices)
    if isinstance(default, bool):
        return "true, false"
    if isinstance(default, str) or (k.minimum is None and k.maximum is None):
        return ""
    return _range(k.minimum, k.maximum)


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {low:.15g}" if high is None else f"at most {high:.15g}"
    return f"{low:.15g} to {high:.15g}"


def with_files(settings: S, change: Callable[[str], str]) -> S:
    """Return `settings` with every path of a file that is given changed."""
    for path, (k, _) in by_path(type(settings)).items():
        text = attrgetter(path)(settings) if k.file else ""
        if text.strip():
            settings = assign(settings, path, change(text.strip()))
    return settings


class Asked:
    """Settings that remember which of their knobs were asked for, by path."""

    def __init__(self, settings: Any, prefix: str = "", paths: set[str] | None = None) -> None:
        self._settings, self._prefix = settings, prefix
        self.paths: set[str] = set() if paths is None else paths

    def __getattr__(self, name: str) -> Any:
        value, path = getattr(self._settings, name), f"{self._prefix}{name}"
        if is_dataclass(value):
            return Asked(value, f"{path}.", self.paths)
        self.paths.add(path)
        return value


def turned_in_vain(settings: Any, used: Collection[str]) -> list[str]:
    """Return label and path of every knob that was turned and is not `used`, or hidden as they are set.

    ``"Rays" (network.rays)``; a knob that stands as it does by default was not turned.
    """
    found = []
    for path, (k, default) in by_path(type(settings)).items():
        hidden = False
        if k.show_if is not None:
            subject, values = k.show_if
            hidden = attrgetter(".".join([*path.split(".")[:-1], subject]))(settings) not in values
        if attrgetter(path)(settings) != default and (hidden or path not in used):
            found.append(f'"{k.label}" ({path})')
    return found


def to_json(settings: Any) -> dict[str, Any]:
    """Return `settings` as plain nested dictionaries."""
    return dataclasses.asdict(settings)


def from_json(kind: type[S], values: Mapping[str, Any]) -> S:
    """Build settings from nested dictionaries; missing keys take their default.

    Raises
    ------
    ValueError
        For an unknown key (the message lists the known ones) or a value that is not allowed.
    """
    hints = get_type_hints(kind)
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f'Unknown setting "{unknown[0]}"; there are {", ".join(sorted(known))}.')
    made = {
        name: from_json(hints[name], value)
        if is_dataclass(hints[name]) and isinstance(value, Mapping)
        else value
        for name, value in values.items()
    }
    return check(kind(**made))


def assign(settings: S, key: str, text: str) -> S:
    """Return `settings` with one knob set from text, as on a command line.

    `key` is a knob's name, with the name of its section before it (``images.patch_px``) or
    without where only one section has it. The value is checked alone; whether it goes together
    with others is left to `check`, once all are set.

    Raises
    ------
    ValueError
        If the key is unknown or ambiguous, or the text is no value that the knob allows.
    """
    every = by_path(type(settings))
    paths = [p for p in every if p == key or p.split(".")[-1] == key]
    if len(paths) != 1:
        why = "is not a setting" if not paths else "could mean " + " or ".join(paths)
        raise ValueError(f'"{" ".join(key.split()):.60}" {why}; there are {", ".join(every)}.')
    made = _assign(settings, paths[0].split("."), text)
    _check_values(made)
    return made


def _assign(settings: Any, path: list[str], text: str) -> Any:
    name, *rest = path
    old = getattr(settings, name)
    new = _assign(old, rest, text) if rest else _parse(text, old, name)
    return dataclasses.replace(settings, **{name: new})


def _parse(text: str, like: Any, name: str) -> Any:
    """Read `text` as a value of the type of `like`."""
    if isinstance(like, bool):
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise ValueError(f"{name}: expected true or false, found {text!r:.60}.")
        return words[text.lower()]
    if isinstance(like, (int, float)):
        try:
            return type(like)(text)
        except ValueError:
            kind = "a whole number" if isinstance(like, int) else "a number"
            raise ValueError(f"{name}: expected {kind}, found {text!r:.60}.") from None
    return text
