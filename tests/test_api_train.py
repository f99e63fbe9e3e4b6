"""Training from scratch: what goes in, what comes out, what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microshot import api
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.nn.segmenter import Segmenter
from microshot.progress import Cancelled
from microshot.tasks import task_named
from tiny_models import TRAIN, CancelWhen, Watch, changed, field, fields, synthetic, unlabelled


def test_the_same_seed_and_a_limit_in_epochs_repeat_a_training_exactly() -> None:
    settings = changed(TRAIN, images__augmentation="heavy")
    first, second = (api.train(fields(3), settings).bundle for _ in range(2))
    assert first.weights.keys() == second.weights.keys()
    for name, value in first.weights.items():
        assert np.array_equal(value, second.weights[name]), name
    assert first.card.id == second.card.id
    assert first.card.thresholds == second.card.thresholds


def test_another_seed_gives_another_model() -> None:
    other = api.train(fields(2), changed(TRAIN, training__seed=1)).bundle
    same = api.train(fields(2), TRAIN).bundle
    assert other.card.id != same.card.id
    assert not np.array_equal(other.weights["head.weight"], same.weights["head.weight"])


def test_a_training_learns_from_its_images() -> None:
    """Weights move, and the batches come from the images: others give other weights."""
    start = task_named("segment").build(
        api.train(fields(2), TRAIN).bundle.card.architecture, TRAIN.training.seed
    )
    moved = api.train(fields(2), TRAIN).bundle.weights
    elsewhere = api.train(fields(2, seed=5), TRAIN).bundle.weights
    for name, value in start.state_dict().items():
        assert not np.array_equal(value.numpy(), moved[name]), name
        assert not np.array_equal(moved[name], elsewhere[name]), name


def test_the_card_says_how_the_model_came_about() -> None:
    data = fields(3)
    settings = changed(TRAIN, name="my cells", licence="CC BY 4.0")
    card = api.train(data, settings).bundle.card
    assert (card.task, card.name, card.licence) == ("segment", "my cells", "CC BY 4.0")
    assert card.lineage == ()
    assert card.pixel_size_um == 0.5
    assert card.channels == ("channel 1",)
    assert card.architecture["width"] == 8
    assert card.settings["training"]["seed"] == settings.training.seed
    assert card.data["n_images"] == 3
    assert card.data["n_objects"] == sum(int(s.labels.max()) for s in data if s.labels is not None)
    assert card.training["steps"] == 3
    assert card.training["stopped"] == "finished"
    assert card.training["hyper"]["patch_px"] == 48
    assert len(card.training["history"]) == 1
    assert card.scores["images"] == "training images"
    assert card.scores["n_images"] == 3
    assert 0 <= card.scores["f1"] <= 1
    assert card.device.startswith("CPU")
    assert card.versions["microshot"]
    assert card.preview
    text = str(card.to_json())
    assert not any(s.name in text for s in data)  # names of files and rows stay at home


def test_a_model_without_a_name_is_called_by_task_and_date() -> None:
    card = api.train(fields(1), TRAIN).bundle.card
    assert card.name == f"segment {card.created[:10]}"


def test_channel_names_of_the_images_are_kept() -> None:
    sample = field(1, n_channels=2)
    named = dataclasses.replace(sample.image, channels=("DAPI", "actin"))
    card = api.train(Dataset((dataclasses.replace(sample, image=named),)), TRAIN).bundle.card
    assert card.channels == ("DAPI", "actin")
    assert card.architecture["in_channels"] == 2


def test_with_eight_images_some_are_held_out_and_scored() -> None:
    data = fields(8, shape=(48, 48))
    result = api.train(data, TRAIN)
    held = [e.sample.name for e in result.examples]
    assert len(held) == 1
    assert all(e.held_out for e in result.examples)
    assert result.bundle.card.scores["images"] == "held out"
    assert result.bundle.card.scores["n_images"] == 1
    assert "validation_loss" in result.history[-1]
    fewer = api.train(data.take(range(7)), TRAIN)
    assert len(fewer.examples) == 7
    assert not any(e.held_out for e in fewer.examples)
    assert "validation_loss" not in fewer.history[-1]


def test_what_is_held_out_is_not_trained_on() -> None:
    data = fields(8, shape=(48, 48))
    held = {e.sample.name for e in api.train(data, TRAIN).examples}
    rng = np.random.default_rng(0)
    noise = Image(rng.integers(0, 60000, (1, 48, 48)).astype(np.uint16))
    changed_out = Dataset.of(
        dataclasses.replace(s, image=noise) if s.name in held else s for s in data
    )
    settings = changed(TRAIN, training__steps_per_epoch=20)  # draws every image
    same, other = (api.train(d, settings).bundle.weights for d in (data, changed_out))
    for name, value in same.items():
        assert np.array_equal(value, other[name]), name


def test_unlabelled_images_are_left_aside() -> None:
    data = fields(2)
    more = Dataset((unlabelled(field(50)), *data, unlabelled(field(51))))
    plain, mixed = (api.train(d, TRAIN) for d in (data, more))
    assert plain.bundle.card.id == mixed.bundle.card.id
    assert mixed.bundle.card.data["n_images"] == 2


def test_synthetic_images_are_trained_on_beside_the_others() -> None:
    data = fields(2)
    alone = api.train(data, TRAIN)
    both = api.train(data, TRAIN, synthetic=synthetic(3))
    assert both.bundle.card.data["n_images"] == 5
    assert {e.sample.name for e in both.examples} == {s.name for s in data}
    weights = both.bundle.weights["head.weight"]
    assert not np.array_equal(weights, alone.bundle.weights["head.weight"])
    none = api.train(data, changed(TRAIN, images__synthetic_fraction=0.0), synthetic=synthetic(3))
    other = api.train(data, changed(TRAIN, images__synthetic_fraction=0.0), synthetic=synthetic(9))
    assert np.array_equal(none.bundle.weights["head.weight"], other.bundle.weights["head.weight"])


def test_every_labelled_image_counts_whatever_table_it_came_in() -> None:
    """Generated images in the first table are trained on, also where a second one is given."""
    first = Dataset((field(1), *synthetic(1)))
    result = api.train(first, TRAIN, synthetic=synthetic(2, seed=8))
    assert result.bundle.card.data["n_images"] == 4


def test_synthetic_images_alone_take_the_place_of_labelled_ones() -> None:
    result = api.train(Dataset((unlabelled(field(1)),)), TRAIN, synthetic=synthetic(2))
    assert result.bundle.card.data["n_images"] == 2
    assert len(result.examples) == 2
    assert api.train(synthetic(2), TRAIN).bundle.card.id == result.bundle.card.id


def test_progress_rises_and_names_the_loss_and_the_time_left() -> None:
    watch = Watch()
    api.train(fields(3), changed(TRAIN, training__steps_per_epoch=20), progress=watch)
    assert watch.fractions == sorted(watch.fractions)
    assert 0 <= watch.fractions[0] < 0.1
    assert 0.95 < watch.fractions[-1] <= 1
    assert any(m.startswith("training, step 1") for m in watch.messages)
    assert any("scoring image 3 of 3" in m for m in watch.messages)


# ----------------------------------------------------------------------------------- cancel


def test_a_cancelled_training_returns_the_best_model_so_far() -> None:
    settings = changed(TRAIN, minutes=5.0, training__epochs=0)
    stop = CancelWhen("step ", after=1)
    result = api.train(fields(2), settings, progress=stop)
    assert result.stopped == "cancelled"
    card = result.bundle.card
    assert card.training["stopped"] == "cancelled"
    assert card.training["steps"] >= 1
    assert card.scores["n_images"] == 0
    assert result.examples == []
    assert len(result.history) >= 1
    assert api.Predictor(result.bundle)(field(3)).labels.shape == (64, 72)
    start = task_named("segment").build(card.architecture, settings.training.seed).state_dict()
    weights = result.bundle.weights
    assert any(not np.array_equal(start[k].numpy(), weights[k]) for k in weights)


def test_a_cancel_before_the_first_step_leaves_no_model() -> None:
    with pytest.raises(Cancelled):
        api.train(fields(1), TRAIN, progress=CancelWhen("step 1"))


@pytest.mark.parametrize("moment", ["predicting image 1", "setting thresholds", "scoring image"])
def test_a_cancel_after_training_keeps_the_model(moment) -> None:
    result = api.train(fields(2), TRAIN, progress=CancelWhen(moment))
    assert result.stopped == "cancelled"
    assert result.bundle.card.training["steps"] == 3
    assert result.examples == []


# --------------------------------------------------------------------------- published weights


def test_published_encoder_weights_are_where_training_begins(tmp_path) -> None:
    from safetensors.torch import save_file

    network = {"backbone": "resnet18", "width": 4, "head": "foreground"}
    settings = changed(TRAIN, **{f"network__{k}": v for k, v in network.items()})
    settings = changed(settings, training__steps_per_epoch=1, training__learning_rate=1e-9)
    settings = changed(settings, images__patch_px=32, training__batch_size=1)
    data = fields(1, shape=(32, 32), n_channels=3)
    architecture = api.train(data, settings).bundle.card.architecture
    published = Segmenter(architecture).backbone.encoder.state_dict()
    published = {k: v.clone() for k, v in published.items()}
    published["layer1.0.conv1.weight"] += 1
    save_file(published, tmp_path / "resnet18.safetensors")
    settings = changed(settings, network__encoder_weights=str(tmp_path / "resnet18.safetensors"))
    weights = api.train(data, settings).bundle.weights
    found = weights["backbone.encoder.layer1.0.conv1.weight"]
    assert np.abs(found - published["layer1.0.conv1.weight"].numpy()).max() < 1e-4
    with pytest.raises(FileNotFoundError, match=r"there is no such file with encoder weights"):
        api.train(data, changed(settings, network__encoder_weights=str(tmp_path / "no.pth")))


# ---------------------------------------------------------------------------------- bad input


def one_sentence(text: str) -> bool:
    return text.endswith(".") and "\n" not in text and len(text) < 400


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Dataset(), "None of the 0 images is labelled"),
        (Dataset((unlabelled(field(1)), unlabelled(field(2)))), "None of the 2 images is labelled"),
        (
            Dataset((dataclasses.replace(field(1), labels=np.zeros((64, 72), np.int32)),)),
            "hold no object at all",
        ),
        (
            Dataset((dataclasses.replace(field(1), labels=np.full((64, 72), -1, np.int32)),)),
            "hold no object at all",
        ),
        (
            Dataset((field(1), field(2, n_channels=3))),
            r'^field2: expected 1 channel as in field1, found 3; .*, or say which one as "Channel"',
        ),
    ],
)
def test_images_that_can_teach_nothing_are_refused_in_one_sentence(data, words) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        api.train(data, TRAIN)
    assert one_sentence(str(caught.value))


def test_synthetic_images_with_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected 1 channel as in field0, found 2"):
        api.train(fields(1), TRAIN, synthetic=synthetic(1, n_channels=2))


def test_settings_are_checked_before_anything_runs() -> None:
    with pytest.raises(ValueError, match=r'"Time limit \(minutes\)" \(minutes\)'):
        api.train(fields(1), changed(TRAIN, minutes=-1.0))
    with pytest.raises(ValueError, match="set the minutes or the number of epochs above 0"):
        api.train(fields(1), changed(TRAIN, minutes=0.0, training__epochs=0))
    with pytest.raises(ValueError, match='"Task"'):
        api.train(fields(1), changed(TRAIN, task="juggle"))


def test_suspicious_labels_are_noted_and_trained_on_all_the_same() -> None:
    whole = dataclasses.replace(field(1), labels=np.ones((64, 72), np.int32))
    empty = dataclasses.replace(field(2), labels=np.zeros((64, 72), np.int32))
    notes = api.train(Dataset((whole, empty, field(3))), TRAIN).notes
    assert len(notes) == 2
    assert notes[0].startswith("field1: one object covers 100% of the image")
    assert notes[1] == "1 of 3 label images holds no object."
    assert api.train(Dataset((whole,)), TRAIN).notes == notes[:1]
    assert api.train(fields(2), TRAIN).notes == []


def odd(pixels: np.ndarray, labels: np.ndarray) -> Sample:
    return Sample("odd", Image(pixels), labels.astype(np.int32))


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.int32)


ODD = {
    "float": odd(np.random.default_rng(0).normal(size=(1, 40, 40)).astype(np.float32), np.eye(40)),
    "colour": odd(np.random.default_rng(0).integers(0, 255, (3, 40, 40)).astype(np.uint8), ones(40, 40)),
    "pixel": odd(np.full((1, 1, 1), 7, np.uint8), ones(1, 1)),
    "row": odd(np.arange(50, dtype=np.uint16).reshape(1, 1, 50), ones(1, 50)),
    "column": odd(np.arange(50, dtype=np.uint16).reshape(1, 50, 1), ones(50, 1)),
    "constant": odd(np.full((1, 30, 30), 9, np.uint8), np.tri(30)),
    "huge values": odd(np.full((1, 30, 30), 1e30, np.float32) * np.tri(30, dtype=np.float32), np.tri(30)),
    "huge ids": odd(np.zeros((1, 30, 30), np.uint8), np.tri(30) * (2**31 - 1)),
    "partly ignored": odd(np.zeros((1, 30, 30), np.uint8), np.tri(30) * 2 - 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("head", ["stardist", "foreground", "boundary"])
def test_odd_images_go_through_training_and_prediction(kind, head) -> None:
    sample = ODD[kind]
    result = api.train(Dataset((sample,)), changed(TRAIN, network__head=head))
    assert all(np.isfinite(v).all() for v in result.bundle.weights.values())
    found = api.Predictor(result.bundle)(sample)
    assert found.labels.shape == sample.image.shape
    assert found.labels.dtype == np.int32
    assert set(np.unique(found.labels)) - {0} == set(range(1, found.n_objects + 1))
