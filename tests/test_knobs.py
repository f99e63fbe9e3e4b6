"""Knobs in general: checking, storing, setting from text."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.knobs import (
    Choice,
    assign,
    check,
    from_json,
    knob,
    knobs,
    section,
    sections,
    to_json,
)


@dataclass(frozen=True)
class Inner:
    size: int = knob(3, "Size", "How large.", minimum=1, maximum=9)
    shared: float = knob(0.5, "Shared", "In both.", minimum=0.0, maximum=1.0)


@dataclass(frozen=True)
class Other:
    shared: float = knob(0.5, "Shared", "In both.", minimum=0.0, maximum=1.0)


@dataclass(frozen=True)
class Outer:
    kind: str = knob("a", "Kind", "Which.", choices={k: Choice(k, k) for k in "ab"})
    yes: bool = knob(True, "Yes", "Whether.")
    note: str = knob("", "Note", "Anything.")
    inner: Inner = section(Inner, "Inner", "Inside.")  # noqa: RUF009
    other: Other = section(Other, "Other", "Beside.", advanced=True)  # noqa: RUF009


values = st.builds(
    Outer,
    kind=st.sampled_from("ab"),
    yes=st.booleans(),
    note=st.text(),
    inner=st.builds(Inner, size=st.integers(1, 9), shared=st.floats(0, 1)),
)


@given(values)
def test_settings_survive_json(settings) -> None:
    assert from_json(Outer, to_json(settings)) == settings


@dataclass(frozen=True)
class Open:
    least: int = knob(3, "Least", "One limit.", minimum=1)
    most: float = knob(0.5, "Most", "The other.", maximum=1.0)
    free: float = knob(0.5, "Free", "None.")


def test_one_limit_is_enough() -> None:
    with pytest.raises(ValueError, match=r'"Least" \(least\): expected at least 1, found 0\.'):
        check(Open(least=0))
    with pytest.raises(ValueError, match=r'"Most" \(most\): expected at most 1, found 2\.'):
        check(Open(most=2))
    assert check(Open(least=10**6, most=-1e9, free=-1e300)).least == 10**6


def test_missing_keys_take_their_default() -> None:
    assert from_json(Outer, {}) == Outer()
    assert from_json(Outer, {"inner": {"size": 5}}) == Outer(inner=Inner(size=5))


def test_unknown_keys_are_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r'^Unknown setting "sise"; there are shared, size\.$'):
        from_json(Outer, {"inner": {"sise": 5}})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Outer(kind="c"), r'"Kind" \(kind\): expected one of a, b, found \'c\'\.'),
        (Outer(inner=Inner(size=12_345_678)), r"expected 1 to 9, found 12345678\."),
        (Outer(inner=Inner(size=0)), r'"Size" \(size\): expected 1 to 9, found 0\.'),
        (Outer(inner=Inner(size=10)), r'"Size" \(size\): expected 1 to 9, found 10\.'),
        (Outer(inner=Inner(shared=math.nan)), r'"Shared" \(shared\): expected a number, found nan'),
        (Outer(kind=["a"]), r'"Kind" \(kind\): expected one of a, b'),  # type: ignore[arg-type]
        (Outer(inner=Inner(size=True)), "expected a whole number, found True"),
        (Outer(inner=Inner(shared=True)), "expected a number, found True"),
        (Outer(inner=Inner(size="3")), "expected a whole number, found '3'"),  # type: ignore[arg-type]
        (Outer(inner=Inner(size=2.5)), "expected a whole number, found 2.5"),  # type: ignore[arg-type]
        (Outer(yes="no"), r'"Yes" \(yes\): expected true or false, found \'no\''),  # type: ignore[arg-type]
        (Outer(note=7), r'"Note" \(note\): expected a text, found 7'),  # type: ignore[arg-type]
        (Outer(inner=7), r'"Inner" \(inner\): expected its settings, found 7'),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(settings, words) -> None:
    with pytest.raises(ValueError, match=words):
        check(settings)
    if not isinstance(settings.inner, int):
        with pytest.raises(ValueError, match=words):
            from_json(Outer, to_json(settings))


def test_limits_themselves_are_allowed() -> None:
    for size in (1, 9):
        assert check(Outer(inner=Inner(size=size, shared=1))).inner.size == size


@pytest.mark.parametrize("section_value", [7, None, [1], "text"])
def test_a_section_that_is_none_is_refused(section_value) -> None:
    with pytest.raises(ValueError, match=r'"Inner" \(inner\): expected its settings, found'):
        from_json(Outer, {"inner": section_value})


@pytest.mark.parametrize(
    ("key", "text", "found"),
    [
        ("kind", "b", lambda s: s.kind == "b"),
        ("size", "7", lambda s: s.inner.size == 7 and type(s.inner.size) is int),
        ("inner.size", "7", lambda s: s.inner.size == 7),
        ("other.shared", "0.25", lambda s: (s.other.shared, s.inner.shared) == (0.25, 0.5)),
        ("yes", "No", lambda s: s.yes is False),
        ("yes", "1", lambda s: s.yes is True),
        ("note", "a=b c", lambda s: s.note == "a=b c"),
    ],
)
def test_one_knob_is_set_from_text_and_no_other(key, text, found) -> None:
    settings = assign(Outer(), key, text)
    assert found(settings)
    differ = [k for k in _flat(settings) if _flat(settings)[k] != _flat(Outer())[k]]
    assert len(differ) <= 1


def _flat(settings: Outer) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in to_json(settings).items():
        flat |= (
            {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
        )
    return flat


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("colour", "1", r'"colour" is not a setting; there are kind, yes, note, inner\.size'),
        ("shared", "1", r'"shared" could mean inner\.shared or other\.shared'),
        ("inner", "1", '"inner" is not a setting'),
        ("", "1", '"" is not a setting'),
        ("size", "7.5", r"size: expected a whole number, found '7\.5'"),
        ("other.shared", "half", "shared: expected a number, found 'half'"),
        ("other.shared", "nan", "expected a number, found nan"),
        ("other.shared", "2", "expected 0 to 1, found 2"),
        ("yes", "perhaps", "yes: expected true or false, found 'perhaps'"),
        ("kind", "c", "expected one of a, b, found 'c'"),
    ],
)
def test_text_that_is_no_value_is_refused(key, text, words) -> None:
    with pytest.raises(ValueError, match=words):
        assign(Outer(), key, text)


@dataclass(frozen=True)
class Limits:
    low: int = knob(0, "Low", "Below.", minimum=0)
    high: int = knob(1, "High", "Above.", minimum=0)

    def check_together(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")


@dataclass(frozen=True)
class Limited:
    limits: Limits = section(Limits, "Limits", "Inside.")  # noqa: RUF009


def test_values_are_set_in_any_order_and_checked_together_at_the_end() -> None:
    for order in (("low", "high"), ("high", "low")):
        made = Limited()
        for key in order:
            made = assign(made, key, {"low": "5", "high": "7"}[key])
        assert check(made) == Limited(Limits(5, 7))
    with pytest.raises(ValueError, match="low 5 is above high 1"):
        check(assign(Limited(), "low", "5"))
    with pytest.raises(ValueError, match="at least 0, found -1"):
        assign(Limited(), "low", "-1")


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        Outer().kind = "b"  # type: ignore[misc]


def test_knobs_and_sections_are_listed_in_order() -> None:
    assert [(name, default) for name, _, default in knobs(Outer)] == [
        ("kind", "a"), ("yes", True), ("note", ""),
    ]  # fmt: skip
    assert [(name, heading.advanced, kind) for name, heading, kind in sections(Outer)] == [
        ("inner", False, Inner),
        ("other", True, Other),
    ]
