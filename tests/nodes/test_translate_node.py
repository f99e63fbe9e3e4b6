"""Translate Bright-Field to Fluorescence, and training it: stacks in, one image per stain out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from node_tables import arrays, card_of, cells, row_ids, set_tiny, spec_of, write_tiff

from microshot.headless.standin import NodeFailure
from microshot.synth.generator import GenerateOptions, generate_one
from microshot.tasks.translating.translation import NO_CONFIDENCE
from tiny_images import page_text

if TYPE_CHECKING:
    from microshot.data.dataset import Sample

PLANES = [f"z{i}" for i in range(7)]
STAINS = ["nuclei", "lipids", "cytoplasm"]
TRUST = ["Unlike training", "Warning", "Model", "Device", "Seconds"]
PREDICTED = [f"{name} (predicted)" for name in STAINS]


def stack(i: int) -> Sample:
    return generate_one("adipocyte-stack", i, 3, GenerateOptions(size_px=(40, 48), diameter_px=10))


def columns_of(samples: list[Sample], *, stains: list[str] = STAINS) -> dict[str, list[Any]]:
    """Return one column per plane and stain, and the nuclei."""
    made: dict[str, list[Any]] = {z: [s.image.pixels[i] for s in samples] for i, z in enumerate(PLANES)}  # fmt: skip
    for name in stains:
        made[name] = [s.target.pixels[STAINS.index(name)] for s in samples]  # type: ignore[union-attr]
    return made | {"Label": [s.labels for s in samples]}


def set_small(node):
    set_tiny(node)
    for name, value in {"width": 4, "depth": 1, "growth": 2, "layers": 2}.items():
        if name in node.settings["translation"]:
            node.set(f"translation.{name}", value)
    return node


def trainer(host, **settings):
    node = set_small(host.node("train"))
    node.set("task", "TRANSLATE")
    for name, value in settings.items():
        node.set(name.replace("__", "."), value)
    return node


@pytest.fixture(scope="module")
def samples():
    return [stack(i) for i in range(5)]


@pytest.fixture(scope="module")
def stains(host, tables, samples):
    """A model of seven planes and three stains that knows at least how bright they are."""
    made, _ = trainer(host, training__steps_per_epoch=60).execute(
        [tables.of(**columns_of(samples[:3])), None]
    )
    return made


@pytest.fixture
def translator(host):
    node = host.node("translate")
    node.set("device", "CPU")
    return node


# ------------------------------------------------------------------------------ training


def test_planes_stains_and_nuclei_are_found_by_name_and_name_the_stains(host, tables, samples):
    node = trainer(host)
    table = tables.of(**columns_of(samples[:3]))
    announced, _ = node.configure([table.spec, None])
    assert announced.data["data"]["card"]["targets"] == STAINS
    assert node.settings["image_column"] == "z0"
    assert node.settings["more_channels"] == PLANES[1:]
    assert node.settings["target_columns"] == STAINS
    assert node.settings["label_column"] == "Label"
    made, history = node.execute([table, None])
    card = card_of(made)
    assert card["targets"] == STAINS
    assert card["channels"] == PLANES
    assert card["data"]["n_images"] == 3
    assert len(cells(history, "Loss")) >= 1
    text = page_text(node.view_html)
    assert "Scores per stain" in text
    for word in (
        "Pearson r",
        "SSIM",
        "PSNR (dB)",
        "medMAE",
        "lipids, measured",
        "lipids, predicted",
    ):
        assert word in text


def test_a_starter_announces_the_stains_in_its_own_order(host, tables, samples):
    node = trainer(host, start="VIRTUAL_STAIN")
    table = tables.of(**columns_of(samples[:1], stains=STAINS[::-1]))
    announced, _ = node.configure([table.spec, None])
    assert announced.data["data"]["card"]["targets"] == STAINS


def test_rows_without_a_stain_are_not_used_and_a_second_table_is(host, tables, samples):
    given = columns_of(samples[:3])
    given["lipids"][1] = None
    extra = columns_of(samples[3:])
    node = trainer(host)
    inputs = [tables.of(**given), tables.of(**extra)]
    node.configure([table.spec for table in inputs])
    made, _ = node.execute(inputs)
    assert card_of(made)["data"]["n_images"] == 4


def test_retraining_compares_by_correlation_and_keeps_the_order_of_the_stains(
    host, tables, samples, stains
):
    node = set_small(host.node("retrain"))
    node.set("keep_better", False)
    given = columns_of(samples[2:], stains=STAINS[::-1])
    table = tables.of(**{"DAPI" if name == "nuclei" else name: v for name, v in given.items()})
    announced, _ = node.configure([stains.spec, table.spec, None])
    made, comparison = node.execute([stains, table, None])
    expected = ["DAPI" if name == "nuclei" else name for name in STAINS]
    assert announced.data["data"]["card"]["targets"] == card_of(made)["targets"] == expected
    assert cells(comparison, "Score") == ["Pearson r"] * 3
    text = page_text(node.view_html)
    for word in ("Scores per stain", "DAPI, old model", "DAPI, retrained model"):
        assert word in text


def test_no_model_is_better_on_an_image_without_any_stain(host, tables, samples, stains):
    given = columns_of(samples[2:])
    for name in STAINS:
        given[name][2] = np.full_like(given[name][2], 300)
    node = set_small(host.node("retrain"))
    _, comparison = node.execute([stains, tables.of(**given), None])
    assert cells(comparison, "Old model")[2] is None
    assert [one is None for one in cells(comparison, "Better")] == [False, False, True]


def test_images_of_one_well_are_held_out_together(host, tables):
    samples = [stack(i) for i in range(8)]
    wells = ["A1", "A2", "B1", "B2"] * 2
    table = tables.of(**columns_of(samples), Well=wells)
    node = trainer(host, group_column="Well")
    node.configure([table.spec, None])
    node.execute([table, None])
    assert any("Held out: 2 of 8 images, 1 of 4 groups (" in w for w in node.warnings)
    with pytest.raises(NodeFailure, match='group column "Slide" is not in the input table'):
        trainer(host, group_column="Slide").configure([table.spec, None])


def test_8_bit_stains_are_told(host, tables, samples):
    given = columns_of(samples[:2])
    given["lipids"] = [(v // 256).astype(np.uint8) for v in given["lipids"]]
    node = trainer(host, target_columns=["lipids"])
    node.execute([tables.of(**given), None])
    assert any("8 bits, not 16, in 2 of 2 images" in warning for warning in node.warnings)


def test_what_cannot_be_learned_is_refused_before_training(host, tables, samples):
    given = columns_of(samples[:2])
    planes = tables.of(**{name: given[name] for name in PLANES})
    with pytest.raises(NodeFailure, match="has no column with a measured stain"):
        trainer(host).configure([planes.spec, None])
    table = tables.of(**given)
    both = trainer(host, image_column="z0", more_channels=["nuclei"], target_columns=["nuclei"])
    with pytest.raises(NodeFailure, match='"nuclei" is chosen both as plane and as target'):
        both.configure([table.spec, None])
    with pytest.raises(NodeFailure, match='target column "DAPI" is not in the input table'):
        trainer(host, target_columns=["DAPI"]).configure([table.spec, None])
    few = tables.of(**{name: given[name] for name in [*PLANES, "lipids"]})
    with pytest.raises(NodeFailure, match=r"second table needs the planes .* 3 target"):
        trainer(host).configure([table.spec, few.spec])
    with pytest.raises(NodeFailure, match='"lipids" is made for the task translate'):
        trainer(host, task="SEGMENT", preset="LIPIDS").configure([table.spec, None])


def test_stains_that_do_not_fit_their_planes_are_refused(host, tables, samples):
    given = columns_of(samples[:2])
    given["lipids"][1] = given["lipids"][1][:30]
    with pytest.raises(NodeFailure, match=r'"row 1", column "lipids".* 40 x 48 px.* 30 x 48 px'):
        trainer(host).execute([tables.of(**given), None])
    given = columns_of(samples[:2])
    for name in STAINS:
        given[name][1] = given[name][1][:30]
    with pytest.raises(
        NodeFailure, match="row 1: the target image must have the size of the image"
    ):
        trainer(host).execute([tables.of(**given), None])
    given = columns_of(samples[:2])
    given["lipids"] = [np.zeros((40, 48, 3), np.uint8)] * 2
    with pytest.raises(
        NodeFailure, match=r'"row 0", column "lipids": expected one stain .* found 3'
    ):
        trainer(host).execute([tables.of(**given), None])


# --------------------------------------------------------------------------- translating


def test_the_input_is_passed_through_with_16_bit_stains_behind_it(
    translator, tables, samples, stains
):
    given = columns_of(samples)
    table = tables.of(["b", "a", "Ä 1", "x/y", "z"], Note=["1", "2", None, "4", "5"], **given)
    (announced,) = translator.configure([stains.spec, table.spec, []])
    (found,) = translator.execute([stains, table, []])
    assert announced.columns == found.spec.columns
    assert found.column_names == ["Note", *PLANES, *STAINS, "Label", *PREDICTED, *TRUST]
    assert found.batch_sizes == [2, 2, 1]
    assert row_ids(found) == ["b", "a", "Ä 1", "x/y", "z"]
    assert cells(found, "Note") == ["1", "2", None, "4", "5"]
    np.testing.assert_array_equal(arrays(found, "lipids")[3], given["lipids"][3])
    for name, truth in zip(PREDICTED, STAINS, strict=True):
        images = [image for image in arrays(found, name) if image is not None]
        assert [image.shape for image in images] == [(40, 48)] * 5
        assert 0.3 < np.mean(images) / np.mean(given[truth]) < 3  # in the camera's numbers
    assert cells(found, "Device")[0].startswith("CPU")
    assert not any("skipped" in warning for warning in translator.warnings)
    assert all(score >= 0 for score in cells(found, "Unlike training"))
    assert "lipids, predicted" in page_text(translator.view_html)


def test_a_path_of_a_multi_page_tiff_is_the_same_as_a_column_per_plane(
    host, tables, samples, stains, tmp_path
):
    found = []
    paths = [str(write_tiff(tmp_path / f"{i}.tif", s.image.pixels)) for i, s in enumerate(samples[:3])]  # fmt: skip
    for table in (tables.of(**columns_of(samples[:3])), tables.of(Path=paths)):
        node = host.node("translate")
        node.configure([stains.spec, table.spec, []])
        found += node.execute([stains, table, []])
    for name in PREDICTED:
        for a, b in zip(arrays(found[0], name), arrays(found[1], name), strict=True):
            np.testing.assert_array_equal(a, b)


def test_stacks_with_a_missing_plane_get_no_stains_and_are_counted(
    translator, tables, samples, stains
):
    given = columns_of(samples[:3])
    given["z4"][1] = None
    table = tables.of(**given)
    translator.configure([stains.spec, table.spec, []])
    (found,) = translator.execute([stains, table, []])
    assert [image is None for image in arrays(found, "nuclei (predicted)")] == [False, True, False]
    assert translator.warnings[0].startswith("1 row was skipped because the image is missing.")
    assert [w is None for w in cells(found, "Warning")] == [False, True, False]


def test_the_view_also_tells_of_stacks_unlike_the_training_that_it_does_not_show(
    translator, tables, samples, stains
):
    given = columns_of([samples[0]] * 13, stains=[])
    for plane in PLANES:
        given[plane][12] = np.full_like(given[plane][0], 7)
    (found,) = translator.execute([stains, tables.of(**given), []])
    assert cells(found, "Warning")[12] == "one grey value everywhere"
    shown = page_text(translator.view_html)
    assert "the first 12 of 13 images only" in shown
    assert "of 13 images" in shown.replace("the first 12 of 13", "")


@pytest.mark.parametrize(("form", "dtype"), [("TIFF", np.uint16), ("FLOAT", np.float32)])
def test_stains_as_files(translator, tables, samples, stains, tmp_path, form, dtype):
    translator.set("form", form)
    translator.set("folder", str(tmp_path / "gefärbt"))
    table = tables.of(["a/b", "a_b"], **columns_of(samples[:2]))
    translator.configure([stains.spec, table.spec, []])
    (found,) = translator.execute([stains, table, []])
    paths = cells(found, "lipids (predicted)")
    assert len(set(paths)) == 2
    pixels = tifffile.imread(paths[0])
    assert pixels.dtype == dtype
    assert pixels.shape == (40, 48)
    with pytest.raises(NodeFailure, match="exists already"):
        translator.execute([stains, table, []])


def test_models_taught_by_label_images_also_give_a_mask(host, tables, samples, stains):
    table = tables.of(**columns_of(samples[:3]))
    node = trainer(host, translation__network="LUPI_UNET", target_columns=["nuclei"])
    node.configure([table.spec, None])
    nuclei, _ = node.execute([table, None])
    for model, known in ((nuclei, True), (stains, False)):
        node = host.node("translate")
        node.set("mask", True)
        (announced,) = node.configure([model.spec, table.spec, []])
        (found,) = node.execute([model, table, []])
        assert announced.columns == found.spec.columns
        masks = arrays(found, "Mask (predicted)")
        assert [mask is not None for mask in masks] == [known] * 3
        assert cells(found, "Confidence (predicted)") == [None] * 3  # checked on nothing unseen
        if known:
            assert all(set(m.ravel().tolist()) <= {0, 255} for m in masks if m is not None)


SURE = ["Confidence", "Confidence map", "Certain", "Seeds", "Nuclei from seeds"]


def test_several_models_share_a_pass_and_give_what_each_gives_alone(host, tables, stains):
    table = tables.of(**columns_of([stack(i) for i in range(8)]))
    node = trainer(host, translation__network="LUPI_UNET", target_columns=["nuclei"])
    node.configure([table.spec, None])
    nuclei, _ = node.execute([table, None])
    assert "confidence" in card_of(nuclei)["thresholds"]
    node = host.node("translate")
    node.set("confidence", True)
    (announced,) = node.configure([stains.spec, table.spec, [nuclei.spec]])
    (found,) = node.execute([stains, table, [nuclei]])
    assert announced.columns == found.spec.columns
    both = ["nuclei (predicted) (#1)", *(f"{name} (predicted)" for name in SURE)]
    assert found.column_names[-14:] == [*PREDICTED, *both, *TRUST]
    alone = []
    for model in (stains, nuclei):
        one = host.node("translate")
        one.configure([model.spec, table.spec, []])
        alone += one.execute([model, table, []])
    for name, own, result in (
        ("lipids (predicted)", "lipids (predicted)", alone[0]),
        ("nuclei (predicted) (#1)", "nuclei (predicted)", alone[1]),
    ):
        for a, b in zip(arrays(found, name), arrays(result, own), strict=True):
            assert np.abs(a.astype(int) - b).max() <= 1
    maps, seeds = (arrays(found, f"{name} (predicted)") for name in ("Confidence map", "Seeds"))
    grown = arrays(found, "Nuclei from seeds (predicted)")
    assert all(m.shape == (40, 48) and m.dtype == np.uint8 for m in maps)
    for s, g in zip(seeds, grown, strict=True):
        assert set(np.unique(s)) - {0} == set(np.unique(g)) - {0}
    assert all(0 <= value <= 1 for value in cells(found, "Certain (predicted)"))
    text = page_text(node.view_html)
    assert "confidence" in text
    assert "Most memory" in text


def test_a_model_that_was_never_checked_gives_no_confidence_and_says_so(
    translator, tables, samples, stains
):
    table = tables.of(**columns_of(samples[:1]))
    translator.set("confidence", True)
    translator.configure([stains.spec, table.spec, []])
    (found,) = translator.execute([stains, table, []])
    for name in SURE:
        assert cells(found, f"{name} (predicted)") == [None]
    assert any(NO_CONFIDENCE in w for w in translator.warnings)


def test_a_stack_of_another_magnification_that_is_refused_can_be_skipped(host, tables, samples):
    size = "Pixel size (µm)"
    learned = tables.of(**columns_of(samples[:2]), **{size: [0.5, 0.5]})
    made, _ = trainer(host, training__steps_per_epoch=2).execute([learned, None])
    given = columns_of(samples[:2])
    table = tables.of(**{name: given[name] for name in PLANES}, **{size: [0.5, 0.9]})
    node = host.node("translate")
    node.set("magnification", "REFUSE")
    with pytest.raises(NodeFailure, match=r"expected pixels of 0.5 µm .* found 0.9 µm"):
        node.execute([made, table, []])
    node.set("unreadable", "SKIP")
    (found,) = node.execute([made, table, []])
    assert [cell is None for cell in cells(found, "Device")] == [False, True]
    assert any("1 row was skipped" in w and "0.9 µm" in w for w in node.warnings), node.warnings


def test_planes_in_the_opposite_order_are_told_with_their_row(host, tables, samples, stains):
    given = columns_of(samples[:2])
    turned = {name: given[name] for name in PLANES}
    turned = dict(zip(PLANES, reversed(turned.values()), strict=True))
    table = tables.of(**turned)
    node = host.node("translate")
    node.configure([stains.spec, table.spec, []])
    node.execute([stains, table, []])
    assert any("opposite order" in w for w in node.warnings), node.warnings


def test_stains_get_new_names_where_theirs_are_taken(translator, tables, samples, stains):
    given = columns_of(samples[:1])
    table = tables.of(**given)
    translator.set("ending", "")
    translator.configure([stains.spec, table.spec, []])
    (found,) = translator.execute([stains, table, []])
    assert found.column_names[-8:] == [f"{name} (#1)" for name in STAINS] + TRUST


def test_other_planes_and_other_models_are_refused(
    host, translator, tables, samples, stains, model, tmp_path
):
    given = columns_of(samples[:2])
    table = tables.of(**given)
    translator.set("image_column", "z0")
    translator.set("more_channels", ["z1"])
    with pytest.raises(NodeFailure, match=r"images of 7 channels.*z0, z1 cannot hold as many"):
        translator.configure([stains.spec, table.spec, []])
    path = write_tiff(tmp_path / "few.tif", samples[0].image.pixels[:5])
    node, paths = host.node("translate"), tables.of(Path=[str(path)])
    node.configure([stains.spec, paths.spec, []])
    with pytest.raises(NodeFailure, match=r"row 0: expected 7 planes .*found 5; choose the same"):
        node.execute([stains, paths, []])
    right = write_tiff(tmp_path / "all.tif", samples[0].image.pixels)
    node.set("unreadable", "SKIP")
    (found,) = node.execute([stains, tables.of(Path=[str(path), str(right)]), [stains]])
    assert [cell is None for cell in cells(found, "Device")] == [True, False]
    assert "1 row was skipped" in node.warnings[0]
    with pytest.raises(NodeFailure, match='made for the task "segment"'):
        host.node("translate").configure([model.spec, table.spec, []])
    with pytest.raises(NodeFailure, match='made for the task "translate"'):
        host.node("predict").configure([stains.spec, table.spec])
    with pytest.raises(NodeFailure, match="no image column"):
        host.node("translate").configure([stains.spec, spec_of(N="number"), []])


def test_stains_in_decimal_numbers_are_not_rounded(host, tables, samples, stains, tmp_path):
    paths = []
    for i, sample in enumerate(samples[:2]):
        pixels = (sample.target.pixels[1] / 65535).astype(np.float32)
        paths.append(str(write_tiff(tmp_path / f"{i}.tif", pixels)))
    given = {name: columns_of(samples[:2])[name] for name in PLANES}
    table = tables.of(Stain=paths, **given)
    node = trainer(host)
    node.configure([table.spec, None])
    made, _ = node.execute([table, None])
    node = host.node("translate")
    with pytest.raises(NodeFailure, match="stains in decimal numbers"):
        node.configure([made.spec, table.spec, []])
    node.set("form", "FLOAT")
    node.set("folder", str(tmp_path / "out"))
    node.configure([made.spec, table.spec, []])
    (found,) = node.execute([made, table, []])
    pixels = tifffile.imread(cells(found, "Stain (predicted)")[0])
    assert pixels.max() < 5


# ---------------------------------------------------------------------------- generating


def test_generated_stacks_have_a_column_per_plane_and_stain_that_training_understands(host):
    node = host.node("generate_synthetic")
    for name, value in {
        "n": 3,
        "height_px": 40,
        "width_px": 48,
        "scene": "ADIPOCYTE_STACK",
    }.items():
        node.set(name, value)
    (announced,) = node.configure([None])
    (table,) = node.execute([None])
    assert announced.columns == table.spec.columns
    assert table.column_names == [
        *PLANES,
        *STAINS,
        "Label",
        "Count",
        "Domain",
        "Kind",
        "Seed",
        "Version",
    ]
    assert all(m is not None and m.max() > 255 for m in arrays(table, "lipids"))
    assert "lipids" in page_text(node.view_html)
    learner = trainer(host)
    learner.configure([table.spec, None])
    assert learner.settings["target_columns"] == STAINS
    made, _ = learner.execute([table, None])
    assert card_of(made)["data"]["n_images"] == 3


def test_stacks_cannot_follow_reference_images(host, tables):
    node = host.node("generate_synthetic")
    node.set("scene", "ADIPOCYTE_STACK")
    with pytest.raises(NodeFailure, match=r"Adipocytes.* cannot follow reference images"):
        node.configure([tables.images(1).spec])
