"""The model file: round trips, strictness, and files written by released versions."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import json
import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save

from microshot import __version__, api
from microshot.bundle import MAX_CARD_BYTES, SCHEMA, Bundle, Card, read_card
from microshot.data.dataset import Sample
from microshot.data.image import Image

KEPT = sorted((Path(__file__).parent / "models").glob("*.microshot"))

BASE = {"schema": 1, "task": "segment", "architecture": {}, "normalization": {}}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
documents = st.dictionaries(st.text(max_size=6), json_values, max_size=3)
cards = st.builds(
    Card,
    task=st.text(max_size=8),
    architecture=documents,
    normalization=documents,
    name=st.text(max_size=20),
    channels=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    pixel_size_um=st.none() | st.floats(1e-6, 1e6),
    thresholds=documents,
    lineage=st.lists(documents, max_size=2).map(tuple),
    scores=documents,
    preview=st.text(max_size=5),
)
weights = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
    hnp.arrays(
        st.sampled_from([np.float32, np.float16, np.int64]),
        hnp.array_shapes(min_dims=0, max_dims=3, max_side=3),
    ),
    max_size=4,
)


def small(**changes: Any) -> Bundle:
    card = Card("segment", {"name": "x"}, {"kind": "zscore"}, name="small", **changes)
    return Bundle.make(card, {"a": np.arange(6, dtype=np.float32).reshape(2, 3)})


def raw(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def with_card(card: Any, **tensors: Any) -> dict[str, Any]:
    text = card if isinstance(card, str) else json.dumps(card)
    return {"__metadata__": {"microshot": text}, **tensors}


# ------------------------------------------------------------------------------- round trips


@settings(max_examples=60, deadline=None)
@given(cards, weights)
def test_what_is_written_is_read(card, tensors) -> None:
    made = Bundle.make(card, tensors)
    content = made.to_bytes()
    again = Bundle.from_bytes(content)
    assert again.card.to_json() == made.card.to_json()
    assert again.card.lineage == card.lineage
    assert again.weights.keys() == tensors.keys()
    for name, value in tensors.items():
        assert again.weights[name].dtype == value.dtype
        assert again.weights[name].shape == value.shape
        assert again.weights[name].tobytes() == value.tobytes()
    assert again.to_bytes() == content  # also the same bytes once more


@settings(max_examples=30, deadline=None)
@given(cards, weights)
def test_the_id_is_that_of_weights_and_use(card, tensors) -> None:
    made = Bundle.make(card, tensors)
    assert len(made.card.id) == 16
    assert int(made.card.id, 16) >= 0
    renamed = dataclasses.replace(card, name=card.name + "!", preview="x", scores={"f1": 0.5})
    assert Bundle.make(renamed, dict(reversed(tensors.items()))).card.id == made.card.id
    other = dataclasses.replace(card, thresholds={"probability": 0.123456})
    assert Bundle.make(other, tensors).card.id != made.card.id
    more = {**tensors, "one more": np.zeros(1, np.float32)}
    assert Bundle.make(card, more).card.id != made.card.id


@pytest.mark.parametrize("length", [640 + 65536, 640 + 2 * 65536])
def test_a_header_of_any_length_can_be_read(length) -> None:
    """These lengths begin with the bytes of a pickle."""
    without = int.from_bytes(small().to_bytes()[:8], "little")
    content = small(licence="x" * (length - without)).to_bytes()
    assert int.from_bytes(content[:8], "little") == length
    assert content[:2] == b"\x80\x02"
    assert Bundle.from_bytes(content).card.name == "small"


def test_single_numbers_keep_their_shape() -> None:
    """Batch normalisation counts its batches in one."""
    tensors = {"n": np.array(7, np.int64), "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    again = Bundle.from_bytes(Bundle.make(small().card, tensors).to_bytes()).weights
    assert again["n"].shape == ()
    assert np.array_equal(again["turned"], tensors["turned"])


def test_one_changed_weight_gives_another_id() -> None:
    a = small()
    changed = a.weights["a"].copy()
    changed[1, 2] += 1e-6 * changed[1, 2]
    assert Bundle.make(a.card, {"a": changed}).card.id != a.card.id
    assert Bundle.make(a.card, {"a": a.weights["a"].reshape(3, 2)}).card.id != a.card.id


def test_numbers_that_json_lacks_become_null() -> None:
    card = dataclasses.replace(
        small().card,
        training={"history": [{"loss": math.nan, "best": np.float32(2.5)}], "n": np.int64(3)},
    )
    document = Card.from_json(json.loads(json.dumps(card.to_json(), allow_nan=False))).training
    assert document == {"history": [{"loss": None, "best": 2.5}], "n": 3}


def test_names_that_no_encoding_can_hold_do_not_stop_the_writing() -> None:
    """As a command line hands over bytes that are no UTF-8."""
    odd = dataclasses.replace(small().card, name="cells \udcff")
    assert Bundle.from_bytes(Bundle.make(odd, small().weights).to_bytes()).card.name == "cells ?"


# ------------------------------------------------------------------------------------- files


def test_files_are_written_and_read_whole_or_by_their_card(tmp_path) -> None:
    path = small().save(tmp_path / "deep" / "er" / "a.microshot")
    assert Bundle.load(path).card.id == small().card.id
    assert read_card(path) == Bundle.load(path).card
    assert path.read_bytes() == small().to_bytes()
    assert list(path.parent.iterdir()) == [path]


def test_existing_files_are_kept_unless_told(tmp_path) -> None:
    path = small().save(tmp_path / "a.microshot")
    other = Bundle.make(dataclasses.replace(small().card, name="other"), small().weights)
    with pytest.raises(FileExistsError, match=r"a\.microshot.* exists already"):
        other.save(path)
    assert read_card(path).name == "small"
    other.save(path, overwrite=True)
    assert read_card(path).name == "other"


def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch) -> None:
    path = small().save(tmp_path / "a.microshot")
    before = path.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for target in (path, tmp_path / "b.microshot"):
        with pytest.raises(OSError, match="the disk is full"):
            Bundle.make(dataclasses.replace(small().card, name="other"), {}).save(
                target, overwrite=True
            )
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_are_not_there_are_named(tmp_path) -> None:
    for read in (Bundle.load, read_card):
        with pytest.raises(FileNotFoundError, match=r"no\.microshot: there is no such model file"):
            read(tmp_path / "no.microshot")


def test_of_a_stardist_model_it_is_said_how_to_bring_it_here(tmp_path) -> None:
    archive = tmp_path / "2D_mine.zip"
    archive.write_bytes(b"PK\x03\x04 a zip")
    for read, (path, found) in itertools.product(
        (Bundle.load, read_card), ((tmp_path, "a folder"), (archive, "a zip archive"))
    ):
        with pytest.raises(ValueError, match=f"found {found}; make one of .* `microshot import`"):
            read(path)


def test_the_card_can_be_read_of_a_file_whose_weights_are_cut_off(tmp_path) -> None:
    (tmp_path / "a.microshot").write_bytes(small().to_bytes()[:-5])
    assert read_card(tmp_path / "a.microshot").name == "small"
    with pytest.raises(ValueError, match=r"^a\.microshot: damaged model file \(it is cut off: "):
        Bundle.load(tmp_path / "a.microshot")


# -------------------------------------------------------------------------------- strictness


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_file_cut_off_anywhere_is_refused_in_one_sentence(data) -> None:
    content = small().to_bytes()
    end = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ValueError, match=r"^here: [^\n]*[.;]") as caught:
        Bundle.from_bytes(content[:end], "here")
    assert str(caught.value).endswith(".")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_byte_never_ends_in_anything_but_a_value_error(data) -> None:
    content = bytearray(small().to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = Bundle.from_bytes(bytes(content))
    except ValueError as error:
        assert str(error).endswith(".")  # noqa: PT017
    else:
        assert all(isinstance(v, np.ndarray) for v in found.weights.values())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(content) -> None:
    for given_bytes in (content, raw(content)):
        with pytest.raises(ValueError, match="model"):
            Bundle.from_bytes(given_bytes)


FLOAT = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "expected at least 8 bytes, found 0"),
        (b"PK\x03\x04 a zip", "PyTorch archive, which could run code"),
        (b"\x80\x02\x8a\x0apickle", "PyTorch archive, which could run code"),
        (struct.pack("<Q", MAX_CARD_BYTES + 1) + b"x" * 99, "claims 16777217 bytes"),
        (struct.pack("<Q", 2**63) + b"x" * 99, "claims 9223372036854775808 bytes"),
        (struct.pack("<Q", 50) + b"{}", "is cut off"),
        (raw(b"{ no json"), "its header is not readable"),
        (raw(b'{"a": ' + b"9" * 5000 + b"}"), "its header is not readable"),
        (raw(b"[" * 100_000), "its header is not readable"),
        (raw(b"\xff\xfe{}"), "its header is not readable"),
        (raw([1, 2]), "its header is no JSON object"),
        (raw({"a": FLOAT}, bytes(8)), "safetensors file without a Microshot model card"),
        (raw({"__metadata__": 3}), "without a Microshot model card"),
        (raw(with_card("{ no json")), "the model card is damaged"),
        (raw(with_card("[" * 100_000)), "the model card is damaged"),
        (raw(with_card("9" * 5000)), "the model card is damaged"),
        (raw(with_card([1])), r"expected a JSON object as model card, found \[1\]"),
        (raw(with_card(BASE, a=FLOAT)), "weights of 8 bytes announced, 0 found"),
        (raw(with_card(BASE), bytes(8)), "weights of 0 bytes announced, 8 found"),
        (raw(with_card(BASE, a={**FLOAT, "dtype": "F64"}), bytes(8)), 'tensor "a" has a type'),
        (raw(with_card(BASE, a={**FLOAT, "shape": [-2]}), bytes(8)), 'tensor "a" has a type'),
        (raw(with_card(BASE, a={**FLOAT, "shape": [2**40]}), bytes(8)), 'tensor "a" has a type'),
        (raw(with_card(BASE, a={**FLOAT, "shape": [2.0]}), bytes(8)), 'tensor "a" has a type'),
        (raw(with_card(BASE, a={**FLOAT, "shape": [1] * 9}), bytes(8)), 'tensor "a" has a type'),
        (raw(with_card(BASE, a={"dtype": ["F32"], "shape": [2]}), bytes(8)), 'tensor "a" has a type'),
        (raw(with_card(BASE, a=7), bytes(8)), 'tensor "a" has a type'),
        (raw(with_card(BASE, a={**FLOAT, "shape": [2**31 - 1, 2**31 - 1]})), "announced, 0 found"),
        (raw(with_card(BASE, a={**FLOAT, "data_offsets": [4, 12]}), bytes(8)), "damaged"),
        (raw(with_card(BASE, a=FLOAT, b=FLOAT), bytes(16)), "damaged"),
        (raw(with_card(BASE, **{str(i): FLOAT for i in range(20_001)})), "20001 tensors are more"),
    ],
)  # fmt: skip
def test_foreign_and_forged_files_are_refused(content, words) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Bundle.from_bytes(content, "file.microshot")
    assert str(caught.value).startswith("file.microshot: ")
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": None}, "no valid schema number"),
        ({"schema": True}, "no valid schema number"),
        ({"schema": 0}, "no valid schema number"),
        ({"task": None}, '"task" in the model card has a wrong value: None'),
        ({"architecture": []}, '"architecture" in the model card has a wrong value'),
        ({"name": 5}, '"name" in the model card has a wrong value: 5'),
        ({"channels": "DAPI"}, '"channels" in the model card must be a list'),
        ({"channels": [1]}, '"channels" in the model card must be a list'),
        ({"lineage": ["x"]}, '"lineage" in the model card must be a list'),
        ({"thresholds": None}, '"thresholds" in the model card has a wrong value'),
        ({"pixel_size_um": 0}, '"pixel_size_um" in the model card has a wrong value: 0'),
        ({"pixel_size_um": True}, '"pixel_size_um" in the model card has a wrong value: True'),
        ({"pixel_size_um": math.nan}, '"pixel_size_um" in the model card has a wrong value: nan'),
        ({"pixel_size_um": math.inf}, '"pixel_size_um" in the model card has a wrong value: inf'),
    ],
)
def test_cards_with_wrong_values_are_refused(changes, words) -> None:
    with pytest.raises(ValueError, match=words):
        Bundle.from_bytes(raw(with_card({**BASE, **changes})))


@pytest.mark.parametrize("missing", ["task", "architecture", "normalization", "schema"])
def test_what_a_card_must_have(missing) -> None:
    document = {k: v for k, v in BASE.items() if k != missing}
    with pytest.raises(ValueError, match=f'lacks "{missing}"|no valid schema'):
        Card.from_json(document)


def test_unknown_keys_are_ignored_and_optional_ones_may_be_missing() -> None:
    card = Card.from_json({**BASE, "from the future": [1, 2]})
    assert card == Card("segment", {}, {})
    assert Card.from_json({**BASE, "pixel_size_um": 10**400}).pixel_size_um == 10**400


def test_a_newer_schema_says_which_version_wrote_it() -> None:
    newer = {**BASE, "schema": SCHEMA + 1, "versions": {"microshot": "9.7"}, "task": {}}
    with pytest.raises(ValueError, match=r"written by Microshot 9\.7 \(schema 2\)") as caught:
        Bundle.from_bytes(raw(with_card(newer)))
    assert f"this is Microshot {__version__} (schema {SCHEMA}); update" in str(caught.value)
    for versions in ({}, [], None):
        with pytest.raises(ValueError, match="update Microshot to use this model"):
            Card.from_json({**newer, "versions": versions})


def test_other_safetensors_files_are_refused() -> None:
    content = save({"weight": np.zeros(3, np.float32)}, {"format": "pt"})
    with pytest.raises(ValueError, match="only models written by Microshot can be used"):
        Bundle.from_bytes(content)


def test_a_larger_file_than_any_model_is_refused_before_it_is_read(tmp_path) -> None:
    path = tmp_path / "huge.microshot"
    with path.open("wb") as file:
        file.truncate((4 << 30) + 1)  # a hole, no disk space
    with pytest.raises(ValueError, match=r"4294967297 bytes are more than a model file may have"):
        Bundle.load(path)


# ---------------------------------------------------------------- files of released versions


def pattern() -> Sample:
    """Return the image that the kept models were asked about: bright discs on a slope."""
    y, x = np.mgrid[:64, :96]
    inside = ((y % 32 - 16) ** 2 + (x % 32 - 16) ** 2 < 81 + x) & (x < 90)
    return Sample("pattern", Image((500 + 5 * x + 2000 * inside).astype(np.uint16)[None]))


@pytest.mark.parametrize("path", KEPT, ids=lambda p: p.stem)
def test_files_written_by_released_versions_stay_readable(path) -> None:
    """See tests/models/README.md: kept files are never written again."""
    bundle = Bundle.load(path)
    assert bundle.card == read_card(path)
    assert Bundle.from_bytes(bundle.to_bytes()).card == bundle.card
    assert Bundle.make(bundle.card, bundle.weights).card.id == bundle.card.id
    found = api.Predictor(bundle)(pattern())
    expected = np.loadtxt(path.with_suffix(".csv"), delimiter=",", dtype=int)
    assert expected.max() == 6
    assert found.n_objects == expected.max()
    assert (found.labels != expected).mean() < 0.002  # rounding differs between processors


def test_there_is_a_kept_file_of_every_schema() -> None:
    assert {read_card(path).schema for path in KEPT} == set(range(1, SCHEMA + 1))
