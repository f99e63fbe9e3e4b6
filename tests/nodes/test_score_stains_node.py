"""Score Microscopy Predictions on stains: pairs found by name, scores, pictures."""

from __future__ import annotations

import numpy as np
import pytest
from node_tables import cells, row_ids, spec_of, write_tiff

from microshot.headless.standin import NodeFailure
from tiny_images import discs, page_text


@pytest.fixture
def scorer(host):
    return host.node("score")


def stain(seed: int) -> np.ndarray:
    """Return a measured stain (48, 48) uint16."""
    return np.where(discs(n=4, seed=seed)[1] > 0, 900, 300).astype(np.uint16)


def translated(tables, more=None, n=3):
    """Return a table of two measured stains and their predictions, the second one worse."""
    noise = np.random.default_rng(0)
    dapi, gfp = [stain(i) for i in range(n)], [stain(i + 9) for i in range(n)]
    worse = [np.clip(g + noise.normal(0, 300, g.shape), 0, 65535).astype(np.uint16) for g in gfp]
    columns = {"z0": dapi, "DAPI": dapi, "GFP": gfp, "Label": [discs(n=2)[1]] * n}
    columns |= {"DAPI_(predicted)": [d + np.uint16(9) for d in dapi], "GFP_(predicted)": worse}
    return tables.of([f"f{i}" for i in range(n)], **columns, **(more or {}))


def test_predicted_stains_find_their_measured_ones_by_name(scorer, tables):
    table = translated(tables)
    announced = scorer.configure([table.spec])
    rows, summary = scorer.execute([table])
    assert [one.columns for one in announced] == [rows.spec.columns, summary.spec.columns]
    assert rows.column_names == [
        "Image", "Stain", "Prediction", "Pearson r", "SSIM", "PSNR (dB)", "medMAE", "Model",
    ]  # fmt: skip
    assert cells(summary, "Stain") == ["DAPI", "GFP"]
    assert row_ids(summary) == ["DAPI (predicted)", "GFP (predicted)"]
    assert cells(summary, "Images") == [3, 3]
    assert row_ids(rows)[:2] == ["f0_DAPI (predicted)", "f1_DAPI (predicted)"]
    good, bad = cells(summary, "Pearson r")
    assert good == pytest.approx(1)
    assert bad < 0.95
    medians = [np.median(stain(i)) for i in range(3)]
    assert cells(rows, "medMAE")[:3] == pytest.approx([9 / m for m in medians])
    text = page_text(scorer.view_html)
    assert "DAPI: Pearson r 1.00. GFP: Pearson r " in text
    for title in ("DAPI, measured", "DAPI (predicted)", "difference"):
        assert title in text
    assert scorer.warnings == []


def test_the_worst_stains_are_shown_and_the_others_counted(scorer, tables):
    measured = [stain(i) for i in range(14)]
    found = [*measured[:13], np.roll(measured[13], 9, axis=0)]
    scorer.set("features", value=False)
    scorer.execute([tables.of(DAPI=measured, **{"DAPI_(predicted)": found})])
    text = page_text(scorer.view_html)
    shown = text.split("Images, worst first")[1].split("Scores per image")[0]
    assert shown.index("row 13 ") < shown.index("row 0 ")
    assert "row 12 " not in shown
    assert "12 of 14 images shown." in shown


def test_what_an_analysis_measures_is_scored_and_listed(scorer, tables):
    table = translated(tables)
    summary = scorer.execute([table])[1]
    scores = cells(summary, "Feature score")
    assert scores[0] == scores[1] > 0  # stains with one ending are measured together
    text = page_text(scorer.view_html)
    assert "What an analysis would measure: predicted" in text
    assert "Nuclei: number" in text
    assert "GFP: granularity 1 (%)" in text
    scorer.set("features", value=False)
    summary = scorer.execute([table])[1]
    assert cells(summary, "Feature score") == [None, None]
    assert "What an analysis" not in page_text(scorer.view_html)


def test_measurements_do_not_depend_on_which_image_comes_first(scorer, tables):
    """One without nuclei tells nothing of their size, which is that of all images."""
    noise = np.random.default_rng(0).normal(0, 60, (48, 48))
    measured = [np.full((48, 48), 300, np.uint16), *map(stain, range(3))]
    found = [np.clip(m + noise, 0, None).astype(np.uint16) for m in measured]
    scores = []
    for order in (slice(None), slice(None, None, -1)):
        table = tables.of(DAPI=measured[order], **{"DAPI_(predicted)": found[order]})
        scores += cells(scorer.execute([table])[1], "Feature score")
    assert scores[0] == pytest.approx(scores[1], rel=1e-9)


def test_predictions_with_different_endings_are_measured_apart(scorer, tables):
    same = {"DAPI_(exact)": [stain(i) for i in range(3)]}
    summary = scorer.execute([translated(tables, same)])[1]
    by_name = dict(zip(row_ids(summary), cells(summary, "Feature score"), strict=True))
    assert by_name["DAPI (exact)"] == 0
    assert by_name["DAPI (predicted)"] > 0


def test_several_predictions_of_one_stain_are_compared(scorer, tables):
    table = translated(tables, {"GFP_(retrained)": [stain(i + 9) for i in range(3)]})
    scorer.set("prediction_columns", ["GFP (predicted)", "GFP (retrained)"])
    scorer.set("truth_column", "GFP")
    _, summary = scorer.execute([table])
    assert cells(summary, "Stain") == ["GFP", "GFP"]
    assert cells(summary, "PSNR (dB)")[1] is None
    assert "GFP: GFP (retrained) is best, Pearson r 1.00 against" in page_text(scorer.view_html)


def test_stains_of_several_models_in_one_node_are_scored_against_the_same_ones(scorer, tables):
    table = translated(tables, {"DAPI_(predicted)_(#1)": [stain(i) for i in range(3)]})
    _, summary = scorer.execute([table])
    by_name = dict(zip(cells(summary, "Prediction"), cells(summary, "Stain"), strict=True))
    assert by_name["DAPI (predicted) (#1)"] == by_name["DAPI (predicted)"] == "DAPI"
    assert by_name["GFP (predicted)"] == "GFP"


def test_names_that_do_not_tell_are_chosen(scorer, tables):
    table = tables.of(A=[stain(0)] * 2, B=[stain(1)] * 2)
    scorer.set("compared", "STAINS")
    scorer.set("prediction_columns", ["B"])
    with pytest.raises(NodeFailure, match='"B" is called like no measured one'):
        scorer.configure([table.spec])
    scorer.set("truth_column", "A")
    _, summary = scorer.execute([table])
    assert cells(summary, "Stain") == ["A"]
    scorer.set("prediction_columns", [])
    with pytest.raises(NodeFailure, match="no column with a predicted stain"):
        scorer.configure([table.spec])


@pytest.mark.parametrize(
    ("compared", "columns", "chosen"),
    [
        ("OBJECTS", {"Label": "png", "DAPI": "png", "DAPI_(predicted)": "png"}, ["DAPI (predicted)"]),
        ("AUTO", {"Label": "png", "Labels": "png", "DAPI": "png", "DAPI_(predicted)": "png",
                  "New": "png"}, ["New"]),
        ("AUTO", {"Label": "png", "Label_(predicted)": "png"}, ["Label (predicted)"]),
    ],
)  # fmt: skip
def test_objects_are_compared_where_objects_are_meant(scorer, compared, columns, chosen):
    scorer.set("compared", compared)
    rows, _ = scorer.configure([spec_of(**columns)])
    assert scorer.settings["prediction_columns"] == chosen
    assert "F1" in [name for name, *_ in rows.columns]


def test_rows_that_lack_a_stain_count_for_no_prediction(scorer, tables):
    d = stain(0)
    table = tables.of(
        DAPI=[d, d, None], **{"DAPI_(predicted)": [d, None, d], "DAPI_(other)": [d, d, d]}
    )
    scorer.set("prediction_columns", ["DAPI (predicted)", "DAPI (other)"])
    _, summary = scorer.execute([table])
    assert cells(summary, "Images") == [1, 1]
    assert scorer.warnings == ["2 rows left out because a stain is missing."]


def test_stains_in_files_are_scored_and_broken_ones_left_out(scorer, tables, area):
    write_tiff(area / "a.tif", stain(0))
    write_tiff(area / "small.tif", stain(0)[:40])
    table = tables.of(["x", "y"], DAPI=["a.tif", "a.tif"], **{"DAPI_(predicted)": [stain(0)] * 2})
    _, summary = scorer.execute([table], data_area=area)
    assert cells(summary, "Images") == [2]
    table = tables.of(
        ["x", "y"], DAPI=["a.tif", "small.tif"], **{"DAPI_(predicted)": [stain(0)] * 2}
    )
    with pytest.raises(
        NodeFailure, match=r'Row "y", column "DAPI \(predicted\)": expected the size'
    ):
        scorer.execute([table], data_area=area)
    scorer.set("unreadable", "SKIP")
    _, summary = scorer.execute([table], data_area=area)
    assert cells(summary, "Images") == [1]
    assert scorer.warnings[0].startswith('Left out: Row "y"')
