"""Where models come from: fingerprints, descriptions without names, previews."""

from __future__ import annotations

import base64
import dataclasses
import io
from datetime import datetime

import numpy as np
import pytest
from PIL import Image as PILImage

from microshot import __version__
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.device import processor
from microshot.provenance import (
    PREVIEW_PX,
    descent,
    describe,
    fingerprint,
    models_told,
    now,
    preview,
    record,
    roles,
    versions,
)
from tiny_models import field, fields, model, unlabelled


def test_versions_name_what_shapes_results() -> None:
    found = versions()
    assert found["microshot"] == __version__
    assert {"python", "torch", "numpy", "stardist"} <= set(found)


def test_a_record_names_models_from_their_cards_and_from_tables_alike() -> None:
    card = model().card
    told = models_told([card, card])
    device = processor()
    whole = record([card], device, 0.00423456)
    assert whole["models"][0]["lineage"] == [dict(one) for one in card.lineage]
    assert (whole["device"], whole["seconds"]) == (device.line, 0.0042)
    assert record([], device, 0.0, where="3 workers")["device"] == "3 workers"
    named = {"name": card.name, "id": card.id}
    assert record([told], device, 0.0)["models"] == [named, named]


def test_tables_and_records_made_of_them_say_what_a_model_was_retrained_from() -> None:
    first = model().card
    second = dataclasses.replace(first, name="second", id="2b", lineage=descent(first))
    third = dataclasses.replace(first, name="third", id="3c", lineage=descent(second))
    told = models_told([first, third])
    oldest = {"name": first.name, "id": first.id}
    before = [oldest, {"name": "second", "id": "2b"}]
    assert told.endswith(f"third (3c), retrained from {first.name} ({first.id}) → second (2b)")
    assert record([told], processor(), 0.0)["models"] == [
        oldest,
        {"name": "third", "id": "3c", "lineage": before},
    ]


def test_of_compared_models_it_is_known_which_was_retrained_from_which() -> None:
    first, other, second = (
        "first (1f)",
        "scratch (9a)",
        "mine (2b), retrained from zero (0) → first (1f)",
    )
    assert roles([other, first, second]) == ["", "old", "new"]
    assert roles([other, second, ""]) == ["", "", ""]
    assert roles(["", "", "any; two (1f)"]) == ["", "", ""]


@pytest.mark.parametrize(
    "text",
    ["mine", "a (1), retrained from b", "a, retrained from b (1)", "a; b (1)", "a (1); b", ""],
)
def test_what_does_not_look_like_a_name_and_an_id_is_kept_as_it_is(text) -> None:
    assert record([text], processor(), 0.0)["models"] == [{"name": text, "id": ""}]


def test_times_are_in_utc() -> None:
    assert datetime.fromisoformat(now()).utcoffset() is not None
    assert now().endswith("+00:00")


def test_fingerprints_are_those_of_pixels_and_labels_not_of_names() -> None:
    sample = field(1)
    assert len(fingerprint(sample)) == 16
    renamed = dataclasses.replace(sample, name="other")
    assert fingerprint(renamed) == fingerprint(sample)
    turned = sample.image.pixels.copy(order="F")
    same = dataclasses.replace(sample, image=Image(turned))
    assert fingerprint(same) == fingerprint(sample)
    other = sample.image.pixels.copy()
    other[0, 0, 0] += 1
    changed = [
        unlabelled(sample),
        dataclasses.replace(sample, image=Image(other)),
        dataclasses.replace(sample, image=Image(sample.image.pixels.astype(np.float32))),
        dataclasses.replace(sample, count=3),
        dataclasses.replace(sample, count=0),
        dataclasses.replace(sample, target=sample.image),
    ]
    points, nowhere = np.array([[3.0, 4.0]]), np.zeros(sample.image.shape, bool)
    changed += [
        dataclasses.replace(sample, points=points),
        dataclasses.replace(sample, points=points + 1),
        dataclasses.replace(sample, points=points, ignore=nowhere),
        dataclasses.replace(sample, points=points, ignore=~nowhere),
    ]
    assert len({fingerprint(s) for s in [sample, *changed]}) == 11


def test_a_data_set_is_described_by_numbers_only() -> None:
    data = Dataset((*fields(2), unlabelled(field(9, shape=(30, 40)))))
    found = describe(data)
    assert found["n_images"] == 3
    assert found["n_labelled"] == 2
    assert found["n_objects"] == sum(int(s.labels.max()) for s in fields(2) if s.labels is not None)
    assert found["sizes_px"] == ["30x40", "64x72"]
    assert found["dtypes"] == ["uint16"]
    assert found["n_channels"] == 1
    assert len(found["hashes"]) == 3
    assert "field" not in str(found)


def test_the_order_of_images_does_not_matter() -> None:
    a, b = field(1), field(2)
    assert describe(Dataset((a, b))) == describe(Dataset((b, a)))
    assert describe(Dataset((a, b)))["fingerprint"] != describe(Dataset((a, a)))["fingerprint"]


def test_nothing_is_described_as_nothing() -> None:
    assert describe(Dataset()) == {"n_images": 0}


def picture(samples: list[Sample]) -> np.ndarray:
    return np.asarray(PILImage.open(io.BytesIO(base64.b64decode(preview(samples)))))


def test_a_preview_shows_up_to_four_images_with_outlines() -> None:
    pixels = picture(list(fields(6)))
    assert pixels.shape == (PREVIEW_PX, 4 * PREVIEW_PX, 3)
    assert (pixels == (255, 200, 0)).all(-1).any()
    plain = picture([unlabelled(field(0))])
    assert plain.shape == (PREVIEW_PX, PREVIEW_PX, 3)
    assert (plain[..., 0] == plain[..., 2]).all()  # grey, no outline
    assert preview([]) == ""


def test_outlines_lie_on_the_edge_of_objects() -> None:
    labels = np.zeros((PREVIEW_PX, PREVIEW_PX), np.int32)
    labels[20:40, 20:40], labels[20:40, 40:60], labels[:10] = 1, 2, -1
    image = Image(np.zeros((1, PREVIEW_PX, PREVIEW_PX), np.uint8))
    edge = (picture([Sample("x", image, labels)]) == (255, 200, 0)).all(-1)
    expected = np.zeros(labels.shape, bool)
    for left in (20, 40):
        expected[20:40, left : left + 20] = True
        expected[21:39, left + 1 : left + 19] = False
    assert np.array_equal(edge, expected)


@pytest.mark.parametrize("value", [0, 65535])
def test_an_even_image_has_a_preview(value) -> None:
    image = Image(np.full((3, 1, 5), value, np.uint16))
    assert picture([Sample("x", image, np.ones((1, 5), np.int32))]).shape[0] == PREVIEW_PX
