from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.headless.workflow_xml import (
    MAX_BYTES,
    MAX_DEPTH,
    Config,
    config_bytes,
    escape,
    parse_config,
    read_config,
    unescape,
)

ANY_TEXT = st.text(st.characters(codec=None)) | st.text("%0123456789a\n😀\ud800")
KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=8)
LEAVES = st.one_of(
    st.tuples(st.just("xstring"), ANY_TEXT | st.none()),
    st.tuples(st.just("xint"), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just("xlong"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("xdouble"), st.floats(allow_nan=False)),
    st.tuples(st.just("xboolean"), st.booleans()),
    st.tuples(st.just("xchar"), st.characters(codec="ascii")),
)
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)


def tree(content: dict) -> Config:
    config = Config()
    for key, value in content.items():
        if isinstance(value, dict):
            config[key] = tree(value)
        else:
            config.add(key, value[0], value[1])
    return config


def document(body: str) -> bytes:
    return f'<?xml version="1.0"?><config key="k">{body}</config>'.encode()


@given(ANY_TEXT)
def test_unescape_undoes_escape_for_every_string(text):
    assert unescape(escape(text)) == text


@given(ANY_TEXT)
def test_escaped_text_holds_nothing_that_xml_forbids(text):
    assert all(32 <= ord(char) <= 0xD7FF for char in escape(text))


@given(st.dictionaries(KEYS, TREES, max_size=5))
def test_what_is_written_is_read_back(content):
    config = tree(content)
    assert parse_config(config_bytes(config, "settings.xml"), "settings.xml") == config


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_the_same_tree_gives_the_same_bytes(content):
    assert config_bytes(tree(content), "a") == config_bytes(tree(content), "a")


def test_known_escapes_are_read():
    config = parse_config(
        document('<entry key="a" type="xstring" value="1&lt;2%%00010&amp;%%55357%%56832"/>'), "f"
    )
    assert config.text("a") == "1<2\n&😀"


def test_java_number_spellings_are_read():
    body = "".join(
        f'<entry key="{i}" type="xdouble" value="{v}"/>'
        for i, v in enumerate(["1.0E-3", "-Infinity", "2d", ".5", "7"])
    )
    assert [e.value for e in parse_config(document(body), "f").values()] == [
        0.001,
        float("-inf"),
        2.0,
        0.5,
        7.0,
    ]


def test_arrays_start_with_their_size():
    config = Config()
    config.add_array("a", "xint", [4, 5])
    assert list(config.config("a")) == ["array-size", "0", "1"]
    assert config.config("a").integer("array-size") == 2


HOSTILE = {
    "entity": b'<!DOCTYPE c [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><config key="k">'
    b'<entry key="x" type="xstring" value="&b;"/></config>',
    "external": b'<!DOCTYPE c SYSTEM "file:///etc/passwd"><config key="k"/>',
    "truncated": b'<config key="k"><entry key="a" ty',
    "not xml": b"PK\x03\x04 nothing",
    "empty": b"",
    "unknown encoding": b'<?xml version="1.0" encoding="no-such"?><config key="k"/>',
    "prefixed tag": document('<k:entry key="a" type="xint" value="1"/>'),
    "other tag": document("<script/>"),
    "nested entry": document('<entry key="a" type="xint" value="1"><config key="b"/></entry>'),
    "entry as root": b'<entry key="a" type="xint" value="1"/>',
    "no key": document('<entry type="xint" value="1"/>'),
    "no key on config": document("<config/>"),
    "no type": document('<entry key="a" value="1"/>'),
    "unknown type": document('<entry key="a" type="xtransientstring" value="1"/>'),
    "no value": document('<entry key="a" type="xint"/>'),
    "not a number": document('<entry key="a" type="xint" value="1.0"/>'),
    "arabic digits": document('<entry key="a" type="xint" value="١"/>'),
    "int32 overflow": document('<entry key="a" type="xint" value="2147483648"/>'),
    "endless number": document(f'<entry key="a" type="xlong" value="{"9" * 5000}"/>'),
    "not a float": document('<entry key="a" type="xdouble" value="1,5"/>'),
    "not a boolean": document('<entry key="a" type="xboolean" value="yes"/>'),
    "two characters": document('<entry key="a" type="xchar" value="ab"/>'),
    "null number": document('<entry key="a" type="xint" isnull="true" value=""/>'),
    "twice": document('<entry key="a" type="xint" value="1"/><config key="a"/>'),
    "too deep": document('<config key="a">' * MAX_DEPTH + "</config>" * MAX_DEPTH),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_malformed_files_give_one_sentence_that_names_the_file(data):
    with pytest.raises(ValueError, match=r"settings\.xml") as caught:
        parse_config(data, "settings.xml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")


def test_messages_name_the_path_of_keys():
    body = '<config key="model"><config key="training"><entry key="epochs" type="xint" value="x"/>'
    with pytest.raises(ValueError, match=r'f/model/training: entry "epochs".*found "x"'):
        parse_config(document(body + "</config></config>"), "f")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused_with_a_sentence(data):
    try:
        parse_config(data, "f")
    except ValueError as error:
        assert str(error).startswith("f")  # noqa: PT017 not raising is fine, too


def test_large_files_are_refused_before_they_are_parsed(tmp_path):
    path = tmp_path / "workflow.knime"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(ValueError, match="at most 16 MB"):
        read_config(path)
    with pytest.raises(ValueError, match="at most 16 MB"):
        parse_config(bytes(MAX_BYTES + 1), "f")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"settings\.xml: there is no such file"):
        read_config(tmp_path / "settings.xml")


def test_values_of_another_type_are_refused():
    config = parse_config(document('<entry key="a" type="xint" value="1"/><config key="b"/>'), "f")
    with pytest.raises(ValueError, match='"a" must be of type xstring, found xint'):
        config.text("a")
    with pytest.raises(ValueError, match='"b" must be of type xint, found a <config>'):
        config.integer("b")
    with pytest.raises(ValueError, match='"a" must be a <config>'):
        config.config("a")
    with pytest.raises(ValueError, match='the text "c" is missing'):
        config.require_text("c")
    with pytest.raises(ValueError, match='the whole number "c" is missing'):
        config.integer("c")
    assert config.integer("c", 7) == 7
    assert config.config("c") == Config()


def test_names_that_xml_cannot_hold_are_refused():
    config = Config()
    config.add("a\x01", "xint", 1)
    with pytest.raises(ValueError, match="remove"):
        config_bytes(config, "k")
