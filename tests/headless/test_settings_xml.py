from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.headless.settings_xml import (
    EXPOSED,
    config_to_settings,
    settings_to_config,
    settings_version,
    used_variables,
    variables_config,
)
from microshot.headless.workflow_xml import Config, config_bytes, parse_config

STRING = {"type": "string"}
INT = {"type": "integer", "format": "int32"}
STRINGS = {"type": "array", "items": STRING}
FILTER = {
    "type": "object",
    "properties": {
        "mode": {"oneOf": [{"const": "MANUAL", "title": "Manual"}]},
        "typeFilter": {
            "type": "object",
            "properties": {
                "selectedTypes": STRINGS,
                "typeDisplays": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"id": STRING, "text": STRING}},
                },
            },
        },
        "selected": {"type": "array", "items": STRING, "configKeys": ["selected_Internals"]},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {
        "count": INT,
        "big": {"type": "integer", "format": "int64"},
        "rate": {"type": "number", "format": "double"},
        "on": {"type": "boolean"},
        "text": STRING,
        "choice": {"oneOf": [{"const": "GOOD", "title": "Good"}, {"const": "BAD", "title": "Bad"}]},
        "choices": {"anyOf": [{"const": "GOOD", "title": "Good"}]},
        "columns": STRINGS,
        "numbers": {"type": "array", "items": {"type": "number"}},
        "ints": {"type": "array", "items": INT},
        "longs": {"type": "array", "items": {"type": "integer", "format": "int64"}},
        "flags": {"type": "array", "items": {"type": "boolean"}},
        "filter": FILTER,
        "when": {"type": "string", "format": "date-time"},
        "group": {
            "type": "object",
            "properties": {"a": INT, "inner": {"type": "object", "properties": {"s": STRING}}},
        },
        "rows": {
            "type": "array",
            "items": {"type": "object", "properties": {"x": INT, "s": STRING}},
        },
        "nothing": {"type": "object", "properties": {}},
    },
}
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(codec=None), max_size=12)


def listed(items: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | st.lists(items, max_size=4)


SETTINGS = st.fixed_dictionaries(
    {
        "count": INT32,
        "big": INT64,
        "rate": NUMBER,
        "on": st.booleans(),
        "text": TEXT | st.none(),
        "choice": st.sampled_from(["GOOD", "BAD"]),
        "choices": listed(TEXT),
        "columns": listed(TEXT),
        "numbers": listed(NUMBER),
        "ints": listed(INT32),
        "longs": listed(INT64),
        "flags": listed(st.booleans()),
        "filter": st.fixed_dictionaries(
            {
                "mode": st.just("MANUAL"),
                "typeFilter": st.fixed_dictionaries(
                    {
                        "selectedTypes": listed(TEXT),
                        "typeDisplays": listed(st.fixed_dictionaries({"id": TEXT, "text": TEXT})),
                    }
                ),
            }
        ),
        "when": st.datetimes().map(lambda time: time.isoformat()),
        "group": st.fixed_dictionaries(
            {"a": INT32, "inner": st.fixed_dictionaries({"s": TEXT})},
        ),
        "rows": listed(st.fixed_dictionaries({"x": INT32, "s": TEXT})),
        "nothing": st.just({}),
    }
)


def stored(settings: dict, schema: dict = SCHEMA) -> Config:
    config = Config("settings.xml")
    config["model"] = settings_to_config(settings, schema, version="0.1.0", where="Node (#1)")
    data = config_bytes(config, "settings.xml")
    return parse_config(data, "settings.xml").config("model")


@given(SETTINGS)
def test_every_parameter_type_survives_the_file(settings):
    assert config_to_settings(stored(settings)) == settings


def test_the_version_of_the_extension_is_kept():
    config = stored({"on": True}, {"properties": {"on": {"type": "boolean"}}})
    assert settings_version(config) == "0.1.0"
    assert settings_version(Config()) == "0.0.0"


def one(schema: dict) -> dict:
    return {"type": "object", "properties": {"x": schema}}


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        (INT, 1.5, "whole number"),
        (INT, True, "whole number"),
        (INT, 2**31, "from -2147483648 to 2147483647"),
        ({"type": "number"}, "1", "expected a number"),
        ({"type": "number"}, float("nan"), "finite"),
        ({"type": "boolean"}, 1, "true or false"),
        (STRING, 3, "expected a text"),
        ({"oneOf": [{"const": "A"}, {"const": "B"}]}, "C", "one of A, B"),
        (STRINGS, "abc", "expected a list"),
        (STRINGS, [1], "expected a text"),
        ({"type": "object", "properties": {}}, 3, "group of parameters"),
        ({"type": "array", "items": {"type": "object"}}, [3], "group of parameters"),
    ],
)
def test_values_of_the_wrong_type_are_refused_by_name(schema, value, words):
    with pytest.raises(ValueError, match=words) as caught:
        settings_to_config({"x": value}, one(schema), version="0.1.0", where="Node (#1)")
    assert str(caught.value).startswith("Node (#1)")


def test_missing_and_unknown_parameters_are_refused():
    with pytest.raises(ValueError, match='value of parameter "x" is missing'):
        settings_to_config({}, one(INT), version="0.1.0", where="Node (#1)")
    with pytest.raises(ValueError, match='no parameter "y", expected one of: x'):
        settings_to_config({"y": 1}, one(INT), version="0.1.0", where="Node (#1)")


def entries(body: str) -> Config:
    return parse_config(f'<config key="model">{body}</config>'.encode(), "model")


OBJECT = '<entry key="json-type_Internals" type="xstring" value="OBJECT"/>'


def test_lists_are_recognised_without_a_mark():
    body = (
        '<config key="a"><entry key="array-size" type="xint" value="2"/>'
        '<entry key="0" type="xint" value="4"/><entry key="1" type="xint" value="5"/></config>'
        '<config key="b"><entry key="array-size" type="xint" value="0"/></config>'
        '<config key="c"/>'
    )
    assert config_to_settings(entries(OBJECT + body)) == {"a": [4, 5], "b": [], "c": []}


@pytest.mark.parametrize(
    "body",
    [
        '<entry key="x" type="xint" value="1"/>',
        f'{OBJECT}<config key="a"><entry key="q" type="xint" value="1"/></config>',
        f'{OBJECT}<entry key="a" type="xpassword" value="q"/>',
        '<entry key="json-type_Internals" type="xstring" value="WHAT"/>',
        '<entry key="json-type_Internals" type="xstring" value="NULL"/>',
        f'{OBJECT}<config key="a"><entry key="json-type_Internals" type="xstring" '
        'value="INT_ARRAY"/><entry key="array-size" type="xint" value="2"/>'
        '<entry key="0" type="xstring" value="1"/></config>',
        f'{OBJECT}<config key="a"><entry key="json-type_Internals" type="xstring" '
        'value="INT_ARRAY"/><entry key="array-size" type="xint" value="999999999"/></config>',
    ],
)
def test_settings_that_no_python_node_writes_are_refused(body):
    with pytest.raises(ValueError, match="model"):
        config_to_settings(entries(body))


@given(
    st.dictionaries(
        st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=2).map(".".join),
        st.text(min_size=1),
        max_size=4,
    )
)
def test_flow_variables_of_parameters_survive(variables):
    assert used_variables(variables_config(variables)) == variables
    assert used_variables(variables_config({}, variables), EXPOSED) == variables
    used = dict(list(variables.items())[::2])
    both = variables_config(used, variables)
    assert (used_variables(both), used_variables(both, EXPOSED)) == (used, variables)
