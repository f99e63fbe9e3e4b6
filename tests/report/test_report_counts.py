"""Reports of counts: marks where they belong, numbers as they are, nothing unescaped."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_markup import read, text_of

from microshot.bundle import Card
from microshot.metrics.counts import count_scores
from microshot.report import count_figures, count_views, latent_views
from microshot.report.count_marks import marks_layer
from microshot.report.count_views import per_count_rows
from microshot.report.counted import Counted, interval_text
from microshot.report.details import detail_of_points
from microshot.report.latent_views import main_axes
from microshot.report.model_views import model_view
from microshot.report.overlay import MARKS
from microshot.report.page import page
from microshot.report.panels import keys_for, old_new_panels, result_panel
from microshot.report.pictures import Example, gallery
from microshot.report.result_views import prediction_view
from microshot.report.training_views import retrain_view, training_view

NASTY = "<b>&\"'</b>.tif"
RNG = np.random.default_rng(0)
POINTS = np.array([[10.0, 20.0], [40.0, 41.0], [60.0, 5.0]])


def one(name: str = NASTY, **more) -> Counted:
    values = {"true": 4.0, "count": 3.2, "low": 2.0, "high": 5.0, "level": 0.9} | more
    return Counted(name, **values)


def field(counted: Counted) -> Example:
    return Example(counted.name, RNG.integers(0, 4000, (1, 64, 64)).astype(np.uint16),
                   counted=counted)  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(2, 5, "2 to 5"), (3, math.inf, "3 or more"), (0, math.inf, "without bound"),
     (None, None, "without bound"), (7, None, "7 or more")],
)  # fmt: skip
def test_an_interval_is_written_as_far_as_it_is_known(low, high, text) -> None:
    assert interval_text(low, high) == text


def test_a_count_is_told_with_its_interval_and_the_truth() -> None:
    assert one().text == "counted 3.2 (2 to 5), true 4"
    assert one(high=math.inf).text == "counted 3.2, true 4"
    assert Counted("a", true=2).text == "true 2"


@given(
    st.lists(st.tuples(st.floats(0, 63), st.floats(0, 63)), max_size=8),
    st.integers(1, 4),
)
def test_rings_lie_around_counted_places_and_dots_on_true_ones(places, width) -> None:
    points = np.array(places, float).reshape(-1, 2)
    whole = (slice(0, 64), slice(0, 64))
    dots = marks_layer(None, points, whole, (256, 256), width).marks
    for y, x in points:
        at = tuple(np.clip(np.rint((np.array([y, x]) + 0.5) * 4 - 0.5), 0, 255).astype(int))
        assert dots[at] == MARKS["truth"]
    rings = marks_layer(points[:1], None, whole, (256, 256), width).marks
    if len(points) and (points[0] > 8).all() and (points[0] < 56).all():
        y, x = np.nonzero(rings == MARKS["found"])
        middle = (points[0] + 0.5) * 4 - 0.5
        assert np.allclose([y.mean(), x.mean()], middle, atol=0.6)
        assert rings[tuple(np.rint(middle).astype(int))] != MARKS["found"]


def test_marks_have_a_dark_casing_on_any_ground() -> None:
    layer = marks_layer(POINTS, POINTS, (slice(0, 64), slice(0, 64)), (192, 192), 2)
    for ground in (0, 255):
        shown = layer.over(np.full((192, 192, 3), ground, np.uint8)).astype(int)
        assert np.ptp(shown.sum(2)) > 150


def test_many_points_are_shown_in_the_part_that_has_most() -> None:
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.uniform(0, 2000, (4000, 2)), rng.uniform(900, 1000, (500, 2))])
    part = detail_of_points((2000, 2000), [points], 460)
    assert part is not None
    assert part[0].start < 950 < part[0].stop
    assert part[1].start < 950 < part[1].stop
    assert detail_of_points((2000, 2000), [points[:20]], 460) is None
    assert detail_of_points((64, 64), [], 460) is None
    assert detail_of_points((460, 460), [points / 5], 460) is None


def test_pictures_of_counts_say_true_and_predicted_numbers() -> None:
    shown = [field(one(points=POINTS, true_points=POINTS[:2])), field(one("b", true=None))]
    html = page("Counts", [gallery(shown, result_panel, keys_for(shown))])
    text = text_of(html)
    assert "counted 3.2 (2 to 5), true 4" in text
    assert "counted 3.2 (2 to 5)" in text
    assert keys_for(shown) == ["counted", "true place"]
    assert "show marks" in text
    assert html.count('class="layer"') == 1


def test_a_map_is_shown_where_places_are_not_known() -> None:
    heat = np.zeros((64, 64), np.float32)
    heat[20, 30] = 2
    html = page("Counts", [gallery([field(one(heat=heat))], result_panel)])
    assert "objects per px" in text_of(html)
    known = page("Counts", [gallery([field(one(heat=heat, points=POINTS))], result_panel)])
    assert "objects per px" not in text_of(known)


def test_the_scale_of_counts_is_at_least_one_object_long() -> None:
    drawn = count_figures.count_scatter([one(true=12.0, count=12.00001, low=0, high=math.inf)])
    assert sorted(re.findall(r">(1\d)</text>", drawn)) == ["11", "11", "12", "12", "13", "13"]


def test_an_interval_that_the_chart_has_no_room_for_has_no_end_in_it() -> None:
    inside, beyond = (
        one(true=10.0, count=9.0, low=7, high=12),
        one(true=8.0, count=9.0, low=5, high=90),
    )
    for known, n_ends, told in (([inside], 2, False), ([inside, beyond], 3, True)):
        drawn = count_views.scatter_section(known)
        ends = [
            line
            for line in re.findall(r"<line [^>]*>", drawn)
            if "1.4" in line and "00736f" in line
        ]
        flat = [line for line in ends if re.search(r'y1="([\d.]+)" x2="[\d.]+" y2="\1"', line)]
        assert len(flat) == n_ends
        assert ("goes on beyond the chart" in drawn) == told


def test_columns_that_a_prediction_leaves_empty_are_not_in_its_table() -> None:
    rows = [{"name": "a", "n_objects": 3, "confidence": None, "warning": None, "unlike": 0.5}]
    text = text_of(prediction_view(None, [], rows))
    assert "Image Objects Unlike training a 3 0.50" in text
    more = [*rows, {"name": "b", "n_objects": 4, "warning": "one grey value everywhere"}]
    assert "Image Objects Warning Unlike training" in text_of(prediction_view(None, [], more))


def test_old_and_new_counts_stand_side_by_side() -> None:
    made = one(points=POINTS, old=one(count=9.0, low=0, high=math.inf))
    text = text_of(page("Counts", [gallery([field(made)], old_new_panels)]))
    for expected in ("old model", "retrained model", "counted 9, true 4", "counted 3.2 (2 to 5)"):
        assert expected in text


counts = st.lists(
    st.tuples(st.integers(0, 400), st.floats(0, 400, allow_nan=False)), min_size=1, max_size=60
)


@given(counts)
def test_charts_of_any_counts_are_drawings(pairs) -> None:
    known = [one(str(i), true=float(t), count=p, low=max(0.0, p - 3), high=math.inf if i % 2 else
                 p + 3) for i, (t, p) in enumerate(pairs)]  # fmt: skip
    rows = per_count_rows(known)
    assert sum(r["n"] for r in rows) == len(known)
    assert len(rows) <= count_views.MOST_BARS
    drawn = [count_figures.count_scatter(known)]
    drawn += [count_figures.per_count_bars(rows, key) for key in count_views.PER_COUNT]
    for svg in drawn:
        assert svg.startswith("<svg")
        assert "nan" not in svg
        assert "inf" not in svg.replace("infinite", "")


def test_a_right_count_lies_on_the_diagonal() -> None:
    svg = count_figures.count_scatter([one("a", true=5.0, count=5.0), one("b", true=9.0)])
    _, _, rest = svg.partition('stroke-dasharray="5 4"')
    ends = svg.split("<polyline points=")[1].split('"')[1].split()
    (x0, y0), (x1, y1) = (map(float, end.split(",")) for end in ends)
    at = rest.split("<title>a:")[0].rsplit("<circle", 1)[1].split('"')
    x, y = float(at[1]), float(at[3])
    assert (x - x0) / (x1 - x0) == pytest.approx((y - y0) / (y1 - y0), abs=0.01)


@given(st.integers(3, 20), st.integers(2, 30), st.integers(0, 5))
def test_main_axes_hold_most_variance_in_order(n, dimensions, seed) -> None:
    values = np.random.default_rng(seed).normal(size=(n, dimensions))
    places, part = main_axes(values)
    assert places.shape == (n, 2)
    assert places.mean(0) == pytest.approx(0, abs=1e-9)
    assert part[0] >= part[1] >= 0
    assert part.sum() <= 1 + 1e-9
    total = np.square(values - values.mean(0)).sum()
    assert np.square(places).sum(0) / total == pytest.approx(part)
    again, _ = main_axes(values + 5)
    assert again == pytest.approx(places, abs=1e-6)


def test_equal_embeddings_lie_on_one_spot() -> None:
    places, part = main_axes(np.ones((5, 4)))
    assert not places.any()
    assert not part.any()


def map_of(known, kind: str = "pca"):
    return latent_views.map_section(
        latent_views.latent_map(known, kind), [one.name for one in known]
    )


def test_the_latent_map_tells_domains_apart_where_there_are_two() -> None:
    known = [
        one(f"{NASTY}{i}", embedding=RNG.normal(size=8), domain="synthetic" if i % 2 else "natural")
        for i in range(8)
    ]
    html = page("Map", [map_of(known)])
    assert "synthetic images" in text_of(html)
    counts = [dataclasses.replace(c, true=1.0 + 9 * (i > 4)) for i, c in enumerate(known)]
    legend = text_of(page("Map", [map_of(counts)]))
    assert "1 object " in legend
    assert "10 objects" in legend
    alone = [dataclasses.replace(c, domain="natural") for c in known]
    assert page("Map", [map_of(alone)]).count("<svg") == 1
    assert map_of(known[:2]) == ""


DOTS = [[0.1 * i, -0.2 * i, i, "natural"] for i in range(6)]


@pytest.mark.parametrize(
    "bad",
    [[], [0, 0, 1], [0, 0, 1, "moon"], [math.nan, 0, 1, "natural"], ["0", 0, 1, "natural"], 7],
)
def test_dots_of_a_file_that_are_none_are_left_out(bad) -> None:
    html = latent_views.map_section({"kind": "pca", "part": "x", "dots": [*DOTS, bad]})
    assert "image 6: 5 objects" in html
    assert "image 7" not in html
    assert "variation" not in html


@pytest.mark.parametrize("values", [None, 3, {}, {"dots": 3}, {"dots": DOTS[:4]}])
def test_without_enough_dots_there_is_no_map(values) -> None:
    assert latent_views.map_section(values) == ""


def test_the_map_by_umap_is_laid_out_by_its_package(monkeypatch) -> None:
    class Umap:
        def __init__(self, *, n_neighbors: int, random_state: int, n_jobs: int, init: str) -> None:
            assert (n_neighbors, random_state, n_jobs, init) == (7, 0, 1, "random")

        def fit_transform(self, points: np.ndarray) -> np.ndarray:
            return points[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Umap))
    known = [one(f"{i}", embedding=RNG.normal(size=8)) for i in range(8)]
    text = text_of(page("Map", [map_of(known, "umap")]))
    assert "(UMAP)" in text
    assert "first UMAP axis" in text
    assert "main axis" not in text


def test_drawn_images_say_which_one_is_switched() -> None:
    drawn = {name: RNG.random((32, 32)) for name in ("image", "natural", "synthetic")}
    text = text_of(page("Drawn", [latent_views.drawn_section([(NASTY, "natural", drawn)])]))
    assert NASTY in text
    assert "drawn as a synthetic image, switched" in text
    assert "drawn as a natural image, switched" not in text


@pytest.mark.parametrize(("noise", "told"), [(0.1, False), (30.0, True)])
def test_drawings_that_show_nothing_of_their_images_are_told(noise: float, told: bool) -> None:
    image = RNG.random((32, 32))
    drawn = {"image": image, "natural": image + noise * RNG.random((32, 32)), "synthetic": image}
    text = text_of(page("Drawn", [latent_views.drawn_section([("a", "natural", drawn)])]))
    assert "drawings by the writer of their own kind correlate with r = " in text
    assert ("drawing is not learned yet: give the training more time" in text) == told
    flat = {name: np.zeros((8, 8)) for name in drawn}
    text = text_of(page("Drawn", [latent_views.drawn_section([("a", "natural", flat)])]))
    assert "correlate" not in text


SCORES = [
    {"name": n, "held_out": True, "true_count": t, "count": p, "interval": "2 to 5",
     "mae": abs(round(p) - t), "error": p - t, "relative_error": abs(round(p) - t) / t}
    for n, t, p in [(NASTY, 4.0, 4.2), ("b.tif", 6.0, 3.1), ("c.tif", 10.0, 10.4)]
]  # fmt: skip
CARD = Card(
    task="count", architecture={"name": "density"}, normalization={}, name=f"Counter {NASTY}",
    scores={"images": "held out", "n_images": 3,
            **count_scores([4, 6, 10], [4.2, 3.1, 10.4])},
    thresholds={"calibration_images": 12.0, "interval_80": 0.3, "interval_90": 0.5},
    data={"n_images": 3, "n_labelled": 0, "n_objects": 0},
)  # fmt: skip


def test_the_headline_of_a_count_says_how_many_objects_and_how_many_exact() -> None:
    text = text_of(training_view(CARD, (), SCORES))
    assert "MAE 1 objects on 3 images held out from training, exact in 67\u202f%." in text
    assert "2 to 5" in text


def test_the_card_of_a_counter_claims_no_labels_and_says_its_intervals() -> None:
    text = text_of(model_view(CARD))
    assert "Labelled objects" not in text
    assert "With labels" not in text
    assert "80\u202f%, 90\u202f% of the true counts, from 12 images not trained on" in text
    none = text_of(model_view(dataclasses.replace(CARD, thresholds={})))
    assert "without bound" in none


def test_less_error_is_better_in_a_comparison() -> None:
    rows = [
        {"name": r["name"], "old": r | {"mae": 9.0, "count": 13.0, "error": 9.0}, "new": r}
        for r in SCORES
    ]
    html = retrain_view(CARD, (), rows, "Use it.", "new")
    read(html)
    text = text_of(html)
    assert "Less MAE is better." in text
    assert 'callout good"' in html
    assert "told how large" not in text


def test_unbounded_intervals_are_explained_once() -> None:
    said = count_views.unbounded_note(["Too few <b>.", "Too few <b>."], 2)
    text = text_of(page("x", [said]))
    assert text.count("Too few <b>.") == 1
    assert "The intervals have no upper bound." in text
    assert count_views.unbounded_note([]) == ""
    assert "1 intervals" not in text_of(page("x", [count_views.unbounded_note([""], 3)]))
