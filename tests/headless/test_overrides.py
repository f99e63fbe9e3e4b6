from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workflow_examples import NODES, example

from microshot.headless.overrides import parse_value, resolve_overrides

WORKFLOW = example()
SCHEMAS = {
    node.id: NODES[node.kind.node_id].schema
    for node in WORKFLOW.nodes
    if hasattr(node.kind, "node_id")
}


def resolve(*pairs):
    return resolve_overrides(dict(pairs), WORKFLOW.nodes, SCHEMAS)


@pytest.mark.parametrize(
    ("key", "nodes"),
    [
        ("Train Model.training.minutes", [2, 3]),
        ("train model.training.minutes", [2, 3]),
        ("train.training.minutes", [2, 3]),
        ("train.minutes", [2, 3]),
        ("#3.minutes", [3]),
        ("second.minutes", [3]),
        ("Second.training.minutes", [3]),
        ("Train Model (#3: second).minutes", [3]),
    ],
)
def test_nodes_are_found_by_name_id_number_and_label(key, nodes):
    assert resolve((key, "0.5")) == {number: {"training.minutes": 0.5} for number in nodes}


def test_labels_may_hold_dots_and_line_ends():
    nodes = tuple(
        replace(node, label="train. v2\nslow") if node.id == 2 else node for node in WORKFLOW.nodes
    )
    found = resolve_overrides({"Train. v2 slow.epochs": "3"}, nodes, SCHEMAS)
    assert found == {2: {"training.epochs": 3}}


def test_later_overrides_win():
    assert resolve(("train.epochs", "3"), ("#2.epochs", 4)) == {
        2: {"training.epochs": 4},
        3: {"training.epochs": 3},
    }


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("Trian.minutes", '"train", "#2", "#3", "merge", "#4"'),
        ("minutes", 'There is no node for "minutes"'),
        ("#9.minutes", 'There is no node for "#9.minutes"'),
        ("train.hours", 'no parameter "hours".*training.epochs, training.minutes'),
        ("Table View.x", r"Table View \(#5\) has no parameter.*one of: none"),
    ],
)
def test_unknown_names_give_one_sentence_with_the_possible_ones(key, words):
    with pytest.raises(ValueError, match=words) as caught:
        resolve((key, "1"))
    assert "\n" not in str(caught.value)


def test_an_ambiguous_end_of_a_name_lists_the_candidates():
    group = {"type": "object", "properties": {"n": {"type": "integer"}}}
    schemas = {2: {"type": "object", "properties": {"a": group, "b": group}}}
    with pytest.raises(ValueError, match=r'several parameters "n", expected one of: a\.n, b\.n'):
        resolve_overrides({"#2.n": "1"}, WORKFLOW.nodes, schemas)


CHOICE = {"oneOf": [{"const": "GOOD", "title": "Very good"}, {"const": "BAD", "title": "Bad"}]}
INT = {"type": "integer"}
NUMBER = {"type": "number"}
BOOL = {"type": "boolean"}
TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
GROUP = {"type": "object", "properties": {"a": INT, "b": TEXT}}


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("7", INT, 7),
        ("1e3", INT, 1000),
        (7.0, INT, 7),
        ("9223372036854775807", INT, 2**63 - 1),
        ("-0.5", NUMBER, -0.5),
        (2, NUMBER, 2),
        ("Yes", BOOL, True),
        ("0", BOOL, False),
        (True, BOOL, True),
        ("very GOOD", CHOICE, "GOOD"),
        (" bad", CHOICE, "BAD"),
        (" 7 ", INT, 7),
        (" no", BOOL, False),
        (" (new)", TEXT, " (new)"),
        ("a=b, c", TEXT, "a=b, c"),
        ("a, b,", TEXTS, ["a", "b"]),
        ('["a, b"]', TEXTS, ["a, b"]),
        ("", TEXTS, []),
        (("a",), TEXTS, ["a"]),
        ("1,2", {"type": "array", "items": INT}, [1, 2]),
        ('[{"a": 1, "b": "x"}]', {"type": "array", "items": GROUP}, [{"a": 1, "b": "x"}]),
        ("x", {"anyOf": [{"const": "x"}]}, ["x"]),
    ],
)
def test_values_are_read_by_the_type_of_the_parameter(text, schema, value):
    assert parse_value(text, schema, "k") == value
    assert type(parse_value(text, schema, "k")) is type(value)


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("7.5", INT),
        ("much", NUMBER),
        ("nan", NUMBER),
        ("inf", INT),
        (True, INT),
        (None, NUMBER),
        ("maybe", BOOL),
        ("UGLY", CHOICE),
        (3, CHOICE),
        (3, TEXT),
        (3, TEXTS),
        ("[1", TEXTS),
        ("[1]", TEXTS),
        ("[3]", {"type": "array", "items": GROUP}),
        ('[{"a": 1}]', {"type": "array", "items": GROUP}),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(text, schema):
    with pytest.raises(ValueError, match=r'^"train\.x": expected') as caught:
        parse_value(text, schema, "train.x")
    assert "\n" not in str(caught.value)


@given(st.integers() | st.just(10**400))
def test_whole_numbers_are_read_exactly(number):
    assert parse_value(str(number), INT, "k") == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_exactly(number):
    assert parse_value(repr(number), NUMBER, "k") == number


@given(st.lists(st.text()))
def test_lists_of_texts_can_be_given_as_json(texts):
    assert parse_value(json.dumps(texts), TEXTS, "k") == texts
