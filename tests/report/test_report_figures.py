"""Charts: every point is there, at its place, whatever the numbers."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microshot.learning.verdict import Point
from microshot.report import figures, plot
from microshot.report.count_figures import count_scatter
from microshot.report.counted import Counted
from microshot.report.growth_views import growth_curve
from microshot.report.learning_figures import Curve, Spent, learning_curves
from microshot.report.style import NEW, OLD, SERIES, model_colours
from microshot.report.training_curve import kept_row, loss_keys, training_curve
from microshot.report.training_views import need_section

SVG = "{http://www.w3.org/2000/svg}"
few = settings(max_examples=40, deadline=None)


def parts(svg: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(svg).iter(SVG + tag))


def texts(svg: str) -> list[str]:
    return [e.text or "" for e in parts(svg, "text")]


def points(svg: str, colour: str) -> list[tuple[float, float]]:
    """Return the corners of all lines of one colour."""
    found = []
    for line in parts(svg, "polyline"):
        if line.get("stroke") == colour:
            corners = line.get("points", "").split()
            found += [tuple(float(v) for v in corner.split(",")) for corner in corners]
    return found


def check_inside(svg: str) -> None:
    """Check that nothing drawn lies outside the picture, nor any text (by its estimated width)."""
    root = ET.fromstring(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    for e in root.iter():
        if e.tag == SVG + "polyline":
            for corner in e.get("points").split():
                x, y = map(float, corner.split(","))
                assert -1 <= x <= width + 1
                assert -1 <= y <= height + 1
        if e.tag == SVG + "circle":
            assert -1 <= float(e.get("cx")) <= width + 1
            assert -1 <= float(e.get("cy")) <= height + 1
        if e.tag == SVG + "text":
            x, y = float(e.get("x")), float(e.get("y"))
            told = "".join(e.itertext()) if e.find(SVG + "title") is None else ""
            wide = plot.width_of(told) * 0.9
            start = x - {"start": 0, "middle": wide / 2, "end": wide}[e.get("text-anchor")]
            assert start >= -3, told
            assert start + wide <= width + 3, told
            assert 8 <= y <= height, told


def history(n: int, **more) -> list[dict]:
    return [
        {
            "stage": "training", "step": 10.0 * i, "seconds": 2.0 * i, "epoch": i / 10,
            "learning_rate": 1e-3 / i, "loss": 2.0 / i, "probability_loss": 1.0 / i,
            "validation_loss": 1.0 / i + 0.01 * i,
        } | more
        for i in range(1, n + 1)
    ]  # fmt: skip


# -------------------------------------------------------------------------------- training


def test_the_curve_holds_every_row() -> None:
    svg = training_curve(history(30))
    assert len(points(svg, NEW)) == 30
    training = list(points(svg, SERIES[1]))
    assert len(training) == 30
    assert all(a[0] < b[0] for a, b in pairwise(training))
    assert all(a[1] < b[1] for a, b in pairwise(training))  # falls, and y grows downwards
    check_inside(svg)


def test_the_kept_weights_are_those_of_the_least_validation_loss() -> None:
    rows = history(30)
    best = kept_row(rows)
    assert best is not None
    assert best.step == 100
    svg = training_curve(rows)
    ring = [c for c in parts(svg, "circle") if c.get("fill") == "#fff"]
    assert any(abs(float(c.get("cx")) - points(svg, NEW)[9][0]) < 0.11 for c in ring)
    assert "kept: 0.2 at step 100" in texts(svg)


def test_the_kept_weights_are_those_of_the_last_stage() -> None:
    rows = [
        {"stage": "a", "step": 1, "validation_loss": 0.1},
        {"stage": "b", "step": 2, "validation_loss": 0.5},
        {"stage": "b", "step": 3, "validation_loss": 0.4},
    ]
    best = kept_row(rows)
    assert best is not None
    assert best.step == 3


def test_without_validation_nothing_is_ringed() -> None:
    rows = [{k: v for k, v in r.items() if k != "validation_loss"} for r in history(5)]
    svg = training_curve(rows)
    assert not parts(svg, "circle")
    assert "validation images" not in texts(svg)


def test_stages_are_named_and_not_joined() -> None:
    rows = history(10) + history(10, stage="second", step=200.0)
    svg = training_curve(rows)
    assert {"training", "second"} <= set(texts(svg))
    assert len([p for p in parts(svg, "polyline") if p.get("stroke") == SERIES[1]]) == 2


def test_the_name_of_a_stage_that_was_cut_short_is_not() -> None:
    rows = history(99, stage="generator", loss=1.0)
    svg = training_curve([*rows, {**rows[-1], "step": 1000.0, "stage": "adversarial"}])
    assert "adversarial" in texts(svg)
    check_inside(svg)


def test_an_adversarial_stage_shows_its_players_not_their_terms() -> None:
    rows = [
        {"generator_loss": 1, "generator_l1_loss": 2, "discriminator_loss": 3, "step": i}
        for i in range(3)
    ]
    assert loss_keys(rows) == ["discriminator_loss", "generator_loss"]
    assert loss_keys([*history(2), *rows])[0] == "loss"
    assert loss_keys(history(2)) == ["loss"]


@pytest.mark.parametrize(("ratio", "label"), [(3, "loss"), (300, "loss (logarithmic)")])
def test_great_falls_are_drawn_on_a_logarithmic_axis(ratio, label) -> None:
    rows = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 1.0 / ratio}]
    assert label in texts(training_curve(rows))


numbers = st.one_of(st.none(), st.floats(), st.floats(-10, 1e9))


@few
@given(
    st.lists(
        st.fixed_dictionaries(
            {"step": st.one_of(st.none(), st.floats(0, 1e7))},
            optional={
                "loss": numbers, "validation_loss": numbers, "learning_rate": st.floats(0, 1),
                "seconds": st.floats(0, 1e5), "stage": st.sampled_from(["a", "b", "<&>"]),
            },
        ),
        max_size=6,
    ),
)  # fmt: skip
@example([{"step": 0.0, "loss": 1.0, "validation_loss": 9.999000099989349e307}])
@example([{"step": 0.0, "loss": 5e-324, "validation_loss": 1.0}])
def test_any_history_can_be_drawn(rows) -> None:
    ET.fromstring(training_curve(rows))


# ---------------------------------------------------------------------------------- others


def comparison(n: int) -> list[dict]:
    return [
        {"name": f"image <{i}> & co.tif", "old": {"f1": 0.5}, "new": {"f1": 0.5 + i / 100}}
        for i in range(n)
    ]


def test_old_and_new_have_a_pair_of_dots_per_image() -> None:
    svg = figures.old_new_chart(comparison(6), "f1", "F1", (0.5, 0.53))
    dots = parts(svg, "circle")
    assert len([d for d in dots if d.get("fill") == OLD]) == 7 + 1  # and one in the legend
    assert len([d for d in dots if d.get("fill") == NEW]) == 7 + 1
    assert "All together" in "".join(ET.fromstring(svg).itertext())
    assert "+0.03" in texts(svg)
    check_inside(svg)


def test_many_images_show_the_greatest_changes() -> None:
    svg = figures.old_new_chart(comparison(90), "f1", "F1")
    assert len([d for d in parts(svg, "circle") if d.get("fill") == NEW]) == figures.MOST_ROWS + 1
    assert "image <89>" in "".join(ET.fromstring(svg).itertext())
    note = next(e for e in parts(svg, "text") if "of 90 drawn" in (e.text or ""))
    assert note.text == f"{figures.MOST_ROWS} of 90 drawn, greatest changes first"
    first = min(
        float(d.get("cy")) for d in parts(svg, "circle") if d.find(SVG + "title") is not None
    )
    assert first - float(note.get("y")) > 2 * plot.SIZE
    check_inside(svg)


def test_names_of_a_plate_are_told_apart() -> None:
    names = [f"2024-03-17_HeLa_20x_well_A01_field_{f:04d}_channel_0_denoised.tif" for f in range(4)]
    rows = [{"name": n, "old": {"f1": 0.3}, "new": {"f1": 0.4}} for n in names]
    svg = figures.old_new_chart(rows, "f1", "F1", (0.3, 0.4))
    told = ["".join(e.itertext()) for e in parts(svg, "text")]
    assert all(
        sum(f"field_{f:04d}_ch" in text.partition(".tif")[2] for text in told) == 1
        for f in range(4)
    )
    check_inside(svg)


def test_what_is_written_as_no_difference_is_not_drawn_as_a_worse_score() -> None:
    def worse(new: float) -> bool:
        rows = [{"name": "a", "old": {"f1": 0.9}, "new": {"f1": new}}]
        return "#b01050" in figures.old_new_chart(rows, "f1", "F1")

    assert worse(0.899)
    assert not worse(0.8996)


def test_for_an_error_less_is_better() -> None:
    rows = [{"name": "a", "old": {"mae": 3.0}, "new": {"mae": 1.0}}]
    svg = figures.old_new_chart(rows, "mae", "MAE")
    colours = {line.get("stroke") for line in parts(svg, "line")}
    assert NEW in colours
    assert "#c2185b" not in colours


def test_bars_are_as_long_as_their_scores() -> None:
    svg = figures.score_bars([("a", {"f1": 0.5, "dice": 1.0}), ("b", {"f1": 0.25})])
    bars = [r for r in parts(svg, "rect") if r.get("fill") == NEW][1:]
    assert float(bars[0].get("width")) == pytest.approx(float(bars[1].get("width")) / 2, abs=0.1)
    assert texts(svg).count("–") == 1
    check_inside(svg)


def test_old_and_new_models_have_their_colours_wherever_they_stand() -> None:
    assert model_colours(["", "", ""]) == SERIES[:3]
    assert model_colours(["old", "", "new"]) == (OLD, SERIES[1], NEW)
    assert model_colours(["new", "", "new", "old"]) == (NEW, SERIES[1], SERIES[2], OLD)
    many = model_colours(["old", "new", *[""] * 20])
    assert len(many) == len({*many}) == len(SERIES) + 1


@pytest.mark.parametrize("key", ["rmse", "mae"])
def test_labels_of_capitals_lie_inside_the_picture(key) -> None:
    """In DejaVu Sans, one of the widest letters of a browser, RMSE is 2.83 times as wide as high."""
    svg = figures.score_bars([("a", {key: 3.0})])
    label = next(e for e in parts(svg, "text") if e.text == key.upper())
    assert float(label.get("x")) > {"rmse": 2.83, "mae": 2.18}[key] * plot.SIZE


def test_what_is_not_drawn_of_many_series_is_counted() -> None:
    names = [f"n{i}" for i in range(8)]
    groups = {name: [(float(t), 2.0**t) for t in range(3)] for name in names}
    for svg in (
        learning_curves([Curve(name, [(1, 0.5, 0.4, 0.6)]) for name in names], "F1"),
        growth_curve(groups, {}, "time"),
        figures.score_bars([(name, {"f1": 0.5}) for name in names]),
    ):
        assert "6 of 8 drawn" in texts(svg)
        assert "n5" in texts(svg)
        assert "n6" not in texts(svg)
        check_inside(svg)
    few_curves = learning_curves([Curve("one", [(1, 0.5, 0.4, 0.6)])], "F1")
    assert not any("drawn" in text for text in texts(few_curves))


@pytest.mark.parametrize("most", [8000, 123_456])
def test_numbers_at_the_end_of_an_axis_are_not_cut_off(most) -> None:
    counted = [Counted(f"n{i}", float(i * most / 4), i * most / 5) for i in range(5)]
    growing = {"a": [(float(t * most / 4), t + 1.0) for t in range(5)]}
    for svg in (
        count_scatter(counted),
        growth_curve(growing, {}, "time"),
        figures.histogram([("a", [0, most], NEW)], "objects"),
        learning_curves([Curve("a", [(1, 0.5, 0.4, 0.6), (most, 0.6, 0.5, 0.7)])], "F1"),
    ):
        check_inside(svg)


@pytest.mark.parametrize("name", ["plate_" * 40, "PLATE " * 40, "\u5b9f\u9a13" * 60])
def test_long_names_are_cut_in_their_middle_and_told_in_full(name) -> None:
    """A Chinese, Japanese or Korean sign is as wide as high."""
    rows = [{"name": name, "old": {"f1": 0.3}, "new": {"f1": 0.4}}]
    for svg in (
        learning_curves([Curve(name, [(1, 0.5, 0.4, 0.6)])], "F1"),
        growth_curve({name: [(0.0, 1.0), (1.0, 2.0)]}, {}, "time"),
        figures.old_new_chart(rows, "f1", "F1"),
        figures.score_bars([(name, {"f1": 0.5}), ("b", {"f1": 0.4})]),
    ):
        label = next(e for e in parts(svg, "text") if "\u2026" in "".join(e.itertext()))
        told = "".join(label.itertext()).removeprefix(name)
        room = float(label.get("x"))
        if label.get("text-anchor") == "start":
            room = plot.WIDTH - room
        square = max(1.0 if sign > "\u3000" else 0.56 for sign in told)
        assert len(told) * square * plot.SIZE <= room
        title = label.find(SVG + "title")
        assert title is not None
        assert title.text == name


def test_steps_of_a_short_training_have_whole_ticks() -> None:
    rows = [{"step": i, "seconds": i, "loss": float(i)} for i in (1, 2)]
    frame = [e for e in parts(training_curve(rows), "text") if e.get("text-anchor") == "middle"]
    assert [e.text for e in frame] == ["0", "1", "2", "step"]


def test_few_whole_numbers_have_whole_ticks_in_a_histogram() -> None:
    svg = figures.histogram([("images", [1, 1, 1], NEW)], "objects per image")
    assert not any("." in text for text in texts(svg))


def test_learning_curves_and_their_table_leave_out_what_has_no_score() -> None:
    points_ = [Point(0, 0.3, 1, 3), Point(1, math.nan, 2, 3), Point(2, 0.6, 3, 3)]
    section = str(need_section(points_, "Pearson r", "Label more."))
    assert "nan" not in section
    assert section.count("<circle") == 2
    nothing = learning_curves([Curve("one", [(1, math.nan, math.nan, math.nan)])], "F1")
    assert "nan" not in nothing
    check_inside(nothing)


def test_curves_against_time_hold_all_points_and_skip_unknown_ones() -> None:
    ours = Curve("ours", [(1, 0.5, 0.4, 0.6), (2, 0.6, 0.5, 0.7), (5, 0.7, 0.6, 0.8)])
    theirs = Curve("theirs", [(m, v, v, v) for m, v in ((1, 0.1), (2, math.nan), (5, 0.3))])
    minutes = Spent("training time", "minutes", lambda m: f"after {m:g} min", most_linear=0)
    svg = learning_curves([ours, theirs], "F1", "least to greatest of 3 seeds", spent=minutes)
    assert {"F1", "minutes", "ours", "theirs"} <= set(texts(svg))
    assert "ours: 0.7 after 5 min" in svg
    assert len(points(svg, NEW)) == 3
    assert len(points(svg, SERIES[1])) == 2
    assert len(parts(svg, "polygon")) == 1
    xs = [x for x, _ in points(svg, NEW)]
    ratio = (xs[2] - xs[1]) / (xs[1] - xs[0])
    assert ratio == pytest.approx(math.log(2.5) / math.log(2), abs=0.02)
    check_inside(svg)


def test_losses_of_several_models_share_one_frame() -> None:
    series = [
        ("slow", [{"seconds": s, "loss": 4 / s} for s in (1, 2, 4)], OLD),
        ("quick", [{"seconds": 1, "loss": 1.0}, {"seconds": 2, "loss": None},
                   {"seconds": 3, "loss": 0.5}], NEW),
    ]  # fmt: skip
    svg = figures.loss_curves(series)
    slow, quick = (line.get("points").split() for line in parts(svg, "polyline"))
    assert (len(slow), len(quick)) == (3, 2)
    assert slow[2].split(",")[1] == quick[0].split(",")[1]  # both losses are 1
    assert {"slow", "quick"} <= set(texts(svg))
    check_inside(svg)


@few
@given(st.lists(st.one_of(st.integers(0, 500), st.floats(-1e6, 1e6)), max_size=30))
def test_a_histogram_counts_every_value_once(values) -> None:
    if not values:
        assert "no values" in figures.histogram([("a", values, NEW)], "x")
        return
    edges = figures._edges([float(v) for v in values], 20)
    assert sum(figures._counted([float(v) for v in values], edges)) == len(values)
    ET.fromstring(figures.histogram([("a", values, NEW), ("b", values[:1], OLD)], "x"))


@pytest.mark.parametrize(
    "svg",
    [
        training_curve([]),
        figures.old_new_chart([], "f1", "F1"),
        figures.old_new_chart([{"name": "a", "old": {}, "new": {"f1": 1}}], "f1", "F1"),
        figures.score_bars([]),
        figures.score_bars([("a", {})]),
        learning_curves([], "F1"),
        figures.loss_curves([("a", [], NEW)]),
        figures.histogram([], "x"),
    ],
)
def test_nothing_to_draw_is_said(svg) -> None:
    assert "no values" in "".join(texts(svg))


# ---------------------------------------------------------------------------------- scales


@few
@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.booleans())
@example([-5e-324], False)
def test_a_scale_holds_its_values_and_has_ticks(values, zero) -> None:
    scale = plot.linear(values, zero=zero)
    slack = 1e-9 * (scale.high - scale.low)
    assert scale.low - slack <= min(values)
    assert scale.high + slack >= max(values)
    assert 2 <= len(scale.ticks()) <= 13
    assert 0 <= scale(values[0]) <= 1


@few
@given(st.lists(st.integers(0, 10_000), min_size=1))
def test_whole_numbers_have_whole_ticks(values) -> None:
    scale = plot.linear([float(v) for v in values], zero=True, whole=True)
    ticks = scale.ticks(4)
    assert all(tick == round(tick) for tick in ticks)
    assert len(ticks) >= 2
    assert scale.high >= max(values)


@few
@given(st.lists(st.floats(1e-9, 1e9), min_size=1))
def test_a_logarithmic_scale_holds_its_values_and_has_ticks(values) -> None:
    scale = plot.logarithmic(values)
    assert scale.low <= min(values) * 1.0002
    assert scale.high >= max(values)
    assert 1 <= len(scale.ticks()) <= 16
