"""Progress: parts of a whole, thinned reports, cancel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot import progress as module
from microshot.progress import Cancelled, each, remaining, silent, span, throttled
from tiny_models import Watch

fractions = st.floats(0, 1)


@given(fractions, fractions, fractions)
def test_a_part_maps_onto_its_share_of_the_whole(start, stop, fraction) -> None:
    watch = Watch()
    part = span(watch, min(start, stop), max(start, stop))
    for value in (0.0, fraction, 1.0):
        part(value, "x")
    low, middle, high = watch.fractions
    assert low == min(start, stop)
    assert high == pytest.approx(max(start, stop))
    assert low <= middle <= high + 1e-12


@given(st.floats(allow_nan=False))
def test_a_part_never_leaves_its_share(fraction) -> None:
    watch = Watch()
    span(watch, 0.25, 0.5)(fraction)
    assert 0.25 <= watch.fractions[0] <= 0.5


def test_parts_of_parts_put_their_words_in_front() -> None:
    watch = Watch()
    span(span(watch, 0.5, 1.0, "outer, "), 0.0, 0.5, "inner: ")(1.0, "now")
    assert watch.fractions == [0.75]
    assert watch.messages == ["outer, inner: now"]
    span(watch, 0, 1, "never alone: ")(0.5)
    assert watch.messages[-1] == ""


def test_each_counts_from_one_and_passes_everything_on() -> None:
    watch = Watch()
    assert list(each("abc", 3, watch, "letter")) == ["a", "b", "c"]
    assert watch.messages == ["letter 1 of 3", "letter 2 of 3", "letter 3 of 3"]
    assert watch.fractions == [0, 1 / 3, 2 / 3]
    assert list(each([], 0, watch, "nothing")) == []


def test_a_cancel_comes_before_the_work() -> None:
    done: list[int] = []

    def stop(fraction: float, message: str = "") -> None:
        if "2 of" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        done.extend(each([1, 2, 3], 3, stop, "item"))
    assert done == [1]


def test_reports_are_thinned_by_time_but_never_the_first_and_the_last(monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    watch = Watch()
    thin = throttled(watch, 1.0)
    for step in range(31):
        thin(step / 30)
        now[0] += 0.1
    assert watch.fractions[0] == 0
    assert watch.fractions[-1] == 1
    assert 4 <= len(watch.fractions) <= 5
    thin(1.0)
    thin(0.0)
    assert watch.fractions[-2:] == [1, 0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s left"), (0, "0 s left"), (89.4, "89 s left"), (90, "2 min left"),
     (3600, "60 min left"), (5400, "1.5 h left"), (90_000, "25.0 h left")],
)  # fmt: skip
def test_durations_are_said_as_a_user_reads_them(seconds, words) -> None:
    assert remaining(seconds) == words


def test_silence_is_silent() -> None:
    assert silent(0.5, "x") is None  # type: ignore[func-returns-value]
