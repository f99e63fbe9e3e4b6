"""Train Microscopy Model: from tables of any kind to a model, or to a sentence that says why not."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from node_tables import card_of, cells, row_ids, set_tiny, spec_of, write_png, write_tiff

from microshot.bundle import Bundle
from microshot.headless.standin import NodeFailure
from tiny_images import discs, page_text

HISTORY = [
    "Stage", "Step", "Epoch", "Seconds", "Learning rate", "Loss", "Validation loss",
]  # fmt: skip


@pytest.fixture
def trainer(host):
    return set_tiny(host.node("train"))


def test_a_table_in_several_batches_gives_model_history_and_report(host, tables, trainer):
    trainer.set("licence", "CC BY 4.0")
    trainer.set("name", "My <model>")
    table = tables.images(8)
    assert table.batch_sizes == [2, 2, 2, 2]
    model, history = trainer.execute([table, None])
    card = card_of(model)
    assert card["task"] == "segment"
    assert card["architecture"]["in_channels"] == 1
    assert (card["name"], card["licence"]) == ("My <model>", "CC BY 4.0")
    assert card["data"]["n_images"] == 8
    assert card["data"]["n_objects"] == sum(2 + i % 3 for i in range(8))
    assert card["scores"]["images"] == "held out"
    assert card["preparation"]["each_image"] is False
    assert Bundle.from_bytes(model.data).card.id == card["id"]
    assert history.column_names == HISTORY
    assert cells(history, "Step")[-1] == 2
    assert all(v > 0 for v in cells(history, "Loss"))
    text = page_text(trainer.view_html)
    assert "My <model>" in text
    assert "held out" in text
    assert trainer.warnings == []


def cancel_when(node, words):
    """Return a question that is answered with yes once a message of progress holds `words`."""
    return lambda: any(words in (message or "") for _, message in node.progress)


def test_progress_never_goes_back_and_ends_near_the_end(tables, trainer):
    trainer.execute([tables.images(2), None])
    fractions = [fraction for fraction, _ in trainer.progress]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] > 0.95
    assert trainer.progress[0][1] == "reading image 1 of 2"


def test_progress_tells_step_loss_and_time_left(host, tables, area):
    node = set_tiny(host.node("train"), epochs=100_000)
    with pytest.raises(NodeFailure, match="Canceled"):
        node.execute(
            [tables.images(2), None], data_area=area, is_cancelled=cancel_when(node, "loss")
        )
    message = node.progress[-1][1]
    assert re.fullmatch(r"training, step \d+, loss \d+\.\d{3}, [\d.]+ (s|min|h) left", message)


def test_columns_are_guessed_when_the_node_is_configured(host):
    cases = {
        ("Raw", "Cell_mask"): {"Raw": "png", "Cell_mask": "png"},
        ("Image path", "Label path"): {"Image_path": "text", "Label_path": "path"},
        ("Picture", "Truth"): {"N": "number", "Truth": "png", "Picture": "png"},
    }
    for (image, label), columns in cases.items():
        node = host.node("train")
        model, _ = node.configure([spec_of(**columns), None])
        assert node.settings["image_column"] == image
        assert node.settings["label_column"] == label.replace("_", " ")
        assert model.data["data"]["card"] == {"task": "segment"}


@pytest.mark.parametrize("task", ["SEGMENT", "COUNT", "TRANSLATE"])
def test_the_chosen_label_column_is_not_guessed_to_be_the_image(host, task):
    node = host.node("train")
    node.set("task", task)
    node.set("label_column", "Cells 1")
    first, second = ({"Cells_1": "png", name: "png", "DAPI": "png"} for name in ("Raw", "Made"))
    node.configure([spec_of(**first), spec_of(**second)])
    assert node.settings["image_column"] == "Raw"
    assert node.settings["label_column"] == "Cells 1"

    from microshot.nodes import readers

    found = readers.synthetic_columns(
        SimpleNamespace(**node.settings), spec_of(**second).schema, task.lower()
    )
    assert (found.image, found.more, found.label) == ("Made", (), "Cells 1")


@pytest.mark.parametrize(
    ("settings", "columns", "words"),
    [
        ({}, {"N": "number"}, "The input table has no image column"),
        ({}, {"Image": "png"}, "The input table has no label column"),
        ({"image_column": "Gone"}, {"A": "png", "Label": "png"},
         'The image column "Gone" is not in the input table; choose one of A, Label'),
        ({"image_column": "N"}, {"N": "number", "Label": "png"},
         'The column "N" cannot be the image column because of its type'),
        ({"label_column": "Gone"}, {"Image": "png"}, 'label column "Gone" is not in the input'),
        ({"more_channels": ["Gone"]}, {"Image": "png", "Label": "png"},
         'channel column "Gone" is not in the input'),
        ({"image_column": "A", "label_column": "A"}, {"A": "png", "B": "png"},
         'The column "A" is chosen both as image and as label; choose the photographs under'),
        ({"more_channels": ["Label"]}, {"Image": "png", "Label": "png"},
         'The column "Label" is chosen both as image and as label'),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit_are_refused_before_it_runs(host, settings, columns, words):
    node = host.node("train")
    for name, value in settings.items():
        node.set(name, value)
    with pytest.raises(NodeFailure, match=words) as caught:
        node.configure([spec_of(**columns), None])
    assert caught.value.invalid_settings
    assert "\n" not in caught.value.message


def test_a_second_table_without_labels_is_refused_before_it_runs(host):
    node = host.node("train")
    first = spec_of(Image="png", Label="png")
    with pytest.raises(NodeFailure, match="The second table needs an image column") as caught:
        node.configure([first, spec_of(Image="png")])
    assert caught.value.invalid_settings


def test_png_and_path_columns_teach_the_same(tables, trainer, area):
    made = [discs(n=3, seed=i) for i in range(3)]
    for i, (pixels, labels) in enumerate(made):
        write_tiff(area / "Bilder ü" / f"{i}.tif", pixels)
        write_png(area / "Bilder ü" / f"{i}_mask.png", labels)
    pngs = tables.of(Image=[m[0] for m in made], Label=[m[1] for m in made])
    mixed = tables.of(Image=[f"Bilder ü/{i}.tif" for i in range(3)], Label=[m[1] for m in made])
    paths = tables.of(
        Image=[m[0] for m in made],
        Label=[str(area / "Bilder ü" / f"{i}_mask.png") for i in range(3)],
    )
    ids = set()
    for table in (pngs, mixed, paths):
        (model, _) = trainer.execute([table, None], data_area=area)
        ids.add(card_of(model)["id"])
    assert len(ids) == 1


def test_missing_images_are_counted_and_rows_without_label_are_not_used(tables, trainer):
    pixels, labels = discs()
    table = tables.of(
        Image=[pixels, None, pixels, pixels // 2, None], Label=[labels, labels, None, labels, None]
    )
    model, _ = trainer.execute([table, None])
    assert card_of(model)["data"]["n_images"] == 2
    assert trainer.warnings == ["2 rows were skipped because the image is missing."]


def test_one_labelled_image_is_enough(tables, trainer):
    model, _ = trainer.execute([tables.images(1), None])
    assert card_of(model)["scores"]["images"] == "training images"


def test_pixel_size_and_channel_names_get_into_the_model(tables, trainer):
    pixels, labels = discs()
    table = tables.of(
        **{"Image": [pixels] * 3, "DAPI": [pixels // 2] * 3, "Label": [labels] * 3},
        **{"Pixel_size_(µm)": [0.5, None, 0.7]},
    )
    trainer.set("more_channels", ["DAPI"])
    model, _ = trainer.execute([table, None])
    card = card_of(model)
    assert card["channels"] == ["Image", "DAPI"]
    assert card["architecture"]["in_channels"] == 2
    assert card["pixel_size_um"] == pytest.approx(0.6)


def test_colour_images_are_three_channels(tables, trainer):
    pixels, labels = discs(dtype=np.uint8)
    colour = np.stack([pixels, pixels // 2, pixels // 3], axis=-1)
    model, _ = trainer.execute([tables.of(Image=[colour], Label=[labels]), None])
    assert card_of(model)["architecture"]["in_channels"] == 3


def test_float_files_are_trained_on_as_they_are(tables, trainer, area):
    pixels, labels = discs()
    write_tiff(area / "a.tif", pixels.astype(np.float32) / 3000 - 0.5)
    model, _ = trainer.execute([tables.of(Image=["a.tif"], Label=[labels]), None], data_area=area)
    assert card_of(model)["data"]["n_images"] == 1


def test_generated_images_are_known_as_synthetic_and_scaled_one_by_one(host, trainer, tables):
    generate = host.node("generate_synthetic")
    for name, value in {"n": 4, "height_px": 64, "width_px": 64}.items():
        generate.set(name, value)
    (made,) = generate.execute([None])
    alone, _ = trainer.execute([made, None])
    assert card_of(alone)["preparation"]["each_image"] is True
    assert trainer.settings["image_column"] == "Image"
    mixed, _ = set_tiny(host.node("train")).execute([tables.images(2), made])
    assert card_of(mixed)["preparation"]["each_image"] is False
    assert card_of(mixed)["data"]["n_images"] == 6


def test_a_mask_is_told_and_its_regions_become_objects(tables, trainer):
    pixels, labels = discs(n=3)
    mask = ((labels > 0) * 255).astype(np.uint8)
    model, _ = trainer.execute([tables.of(Image=[pixels] * 2, Label=[mask] * 2), None])
    assert card_of(model)["data"]["n_objects"] == 6
    (warning,) = trainer.warnings
    assert "2 label images taken for binary masks" in warning


def test_ids_of_a_single_object_are_not_called_a_mask(tables, trainer):
    pixels, labels = discs(n=1)
    trainer.execute([tables.of(Image=[pixels], Label=[labels]), None])
    assert trainer.warnings == []


def test_suspicious_labels_are_told_in_one_warning(tables, trainer):
    pixels, labels = discs()
    full = np.ones_like(labels)
    table = tables.of(Image=[pixels] * 3, Label=[labels, np.zeros_like(labels), full])
    trainer.execute([table, None])
    (warning,) = trainer.warnings
    assert "1 of 3 label images holds no object." in warning
    assert "row 2: one object covers 100% of the image" in warning


BROKEN = np.zeros((48, 48), np.int32)
COLOUR = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"Image": [discs()[0]] * 2, "Label": [None, None]}, "None of the 2 images is labelled"),
        ({"Image": [None], "Label": [discs()[1]]}, "None of the 0 images is labelled"),
        ({"Image": [discs()[0]], "Label": [BROKEN]}, "The label images hold no object at all"),
        ({"Image": [discs()[0]] * 2, "Label": [discs()[1], discs(side=64)[1]]},
         "row 1: the label image must have the size of the image, expected 48 x 48 px, found 64"),
        ({"Image": ["no.tif"], "Label": [discs()[1]]}, r'Row "row 0", column "Image".*no\.tif'),
        ({"Image": [discs()[0]], "Label": ["no.tif"]}, r'Row "row 0", column "Label".*no\.tif'),
        ({"Image": [discs()[0], COLOUR], "Label": [discs()[1]] * 2},
         r"row 1: expected 1 channel as in row 0, found 3"),
    ],
    ids=["no labels", "no images", "background only", "label of other size", "no image file",
         "no label file", "mixed channels"],
)  # fmt: skip
def test_what_cannot_teach_is_refused_in_one_sentence(tables, trainer, area, columns, words):
    with pytest.raises(NodeFailure, match=words) as caught:
        trainer.execute([tables.of(**columns), None], data_area=area)
    assert "\n" not in caught.value.message


def test_a_table_without_rows_is_refused(tables, trainer):
    empty = tables.of(Image=[], Label=[])
    assert empty.num_rows == 0
    with pytest.raises(NodeFailure, match="None of the 0 images is labelled"):
        trainer.execute([empty, None])


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1)])
def test_images_of_next_to_no_pixels_are_no_obstacle(tables, trainer, shape):
    pixels, labels = discs()
    tiny = np.full(shape, 100, np.uint16)
    table = tables.of(Image=[pixels, tiny], Label=[labels, np.zeros(shape, np.int32)])
    trainer.execute([table, None])


def test_unreadable_images_stop_or_are_skipped_as_the_user_says(tables, trainer, area):
    pixels, labels = discs()
    (area / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    good = write_png(area / "good.png", pixels)
    table = tables.of(Image=[str(good), "bad.png", "gone.png"], Label=[labels] * 3)
    with pytest.raises(NodeFailure, match=r'Row "row 1", column "Image".*bad\.png'):
        trainer.execute([table, None], data_area=area)
    trainer.set("unreadable", "SKIP")
    model, _ = trainer.execute([table, None], data_area=area)
    assert card_of(model)["data"]["n_images"] == 1
    (warning,) = trainer.warnings
    assert warning.startswith(
        '2 rows were skipped because the image could not be read, the first: Row "row 1"'
    )


def test_wells_in_whole_numbers_are_held_out_together_beside_a_missing_one(host, tables):
    node = set_tiny(host.node("train"))
    node.set("group_column", "Well")
    node.execute([tables.images(8, Well=[1, 1, 2, None, 2, 2, 3, 3]), None])
    assert any("of 3 groups (" in w for w in node.warnings)


def test_cancelling_keeps_the_best_model_as_a_file_in_the_data_area(host, tables, area):
    node = set_tiny(host.node("train"), epochs=100_000, steps=5)
    for expected in ("train_1", "train_2"):
        with pytest.raises(NodeFailure, match="Canceled") as caught:
            node.execute(
                [tables.images(2), None], data_area=area, is_cancelled=cancel_when(node, "loss")
            )
        assert caught.value.cancelled
        assert f"data/cancelled/{expected}.microshot" in caught.value.details
        kept = Bundle.load(area / "cancelled" / f"{expected}.microshot")
        assert kept.card.training["stopped"] == "cancelled"
        assert kept.card.training["steps"] > 0


def test_cancelling_while_reading_leaves_nothing_behind(tables, trainer, area):
    with pytest.raises(NodeFailure, match="Canceled"):
        trainer.execute(
            [tables.images(4), None],
            data_area=area,
            is_cancelled=cancel_when(trainer, "reading image 2"),
        )
    assert list(area.iterdir()) == []


def test_row_ids_of_the_history_are_new(tables, trainer):
    _, history = trainer.execute([tables.images(2), None])
    assert row_ids(history) == [f"Row{i}" for i in range(history.num_rows)]


def test_rows_whose_label_file_is_about_other_images_are_counted(tables, trainer, tmp_path):
    images, ids = zip(*(discs(n=2, seed=i) for i in range(3)), strict=True)
    others = [{"id": i, "file_name": f"{i}.tif", "width": 48, "height": 48} for i in (1, 2)]
    document = {"images": others, "annotations": []}
    (tmp_path / "b.json").write_text(json.dumps(document))
    given = {
        "Image": [
            str(write_tiff(tmp_path / f"{n}.tif", i)) for n, i in zip("abc", images, strict=True)
        ],
        "Label": [str(write_tiff(tmp_path / "ids.tif", ids[0].astype(np.uint16)))]
        + [str(tmp_path / "b.json")] * 2,
    }
    table = tables.of(**given)
    trainer.set("image_column", "Image")
    trainer.set("label_column", "Label")
    model, _ = trainer.execute([table, None])
    assert card_of(model)["data"]["n_images"] == 1
    (note,) = (w for one in trainer.warnings for w in one.split("\n") if "other images only" in w)
    assert note.startswith("2 rows are taken as without label because")
    assert note.endswith(f'Row "row 1", column "Label", {tmp_path / "b.json"}.')
