"""Values of parameters: what they take, what is stored, and what old workflows get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from microshot.headless import standin
from microshot.headless.standin.runtime import Version

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., standin.CanvasNode]

CALLS = """
def configure(self, ctx, *inputs):
    {configure}

def execute(self, ctx, *inputs):
    {execute}
"""


def calls(configure: str = "return None", execute: str = "return []") -> str:
    return CALLS.format(configure=configure, execute=execute)


OPTIONS = """
class Options(knext.EnumParameterOptions):
    ONE = ("One", "The first.")
    TWO = ("Two", "The second.")
"""


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("IntParameter('P', 'P.')", [0, -(2**31), 2**31 - 1], [2**31, 1.0, "1", True, None]),
        ("IntParameter('P', 'P.', 3, min_value=2, max_value=4)", [2, 4], [1, 5]),
        ("DoubleParameter('P', 'P.')", [0.5, 1, -1e300], [float("nan"), float("inf"), "1", True]),
        ("DoubleParameter('P', 'P.', 0.5, min_value=0, max_value=1)", [0, 1.0], [-0.1, 1.1]),
        ("BoolParameter('P', 'P.')", [True, False], [0, "true", None]),
        ("StringParameter('P', 'P.')", ["", "a"], [None, 1]),
        ("EnumParameter('P', 'P.', enum=Options)", ["ONE", "TWO"], ["One", "", None, 1]),
        ("ColumnParameter('P', 'P.')", ["a", "", "<none>"], [1, ["a"]]),
        ("MultiColumnParameter('P', 'P.')", [[], ["a"]], ["a", [1]]),
    ],
)
def test_a_parameter_takes_what_knime_stores(
    parameter: str, good: list, bad: list, node: Make
) -> None:
    tiny = node(f"p = knext.{parameter}{calls()}", "@knext.input_table('A', 'A.')", before=OPTIONS)
    for value in good:
        tiny.set("p", value)
        assert tiny.settings["p"] == value
    for value in bad:
        before = tiny.settings
        with pytest.raises(standin.NodeFailure) as failure:
            tiny.set("p", value)
        assert failure.value.invalid_settings
        assert tiny.settings == before


def test_an_unknown_parameter_is_named(node: Make) -> None:
    tiny = node(f"a = knext.IntParameter('A', 'A.'){calls()}")
    for name in ("b", "a.b", "b.a"):
        with pytest.raises(KeyError, match=name):
            tiny.set(name, 1)


def test_an_unset_column_arrives_as_none_and_no_column_as_knimes_word(node: Make) -> None:
    body = "p = knext.ColumnParameter('P', 'P.', include_none_column=True)" + calls(
        "ctx.flow_variables['seen'] = repr(self.p)"
    )
    tiny = node(body, "@knext.input_table('A', 'A.')")
    import knime.extension as knext

    empty = knext.Schema.from_columns([])
    for stored, seen in (("", "None"), ("<none>", "'<none>'"), ("a", "'a'")):
        tiny.set("p", stored)
        tiny.configure([empty])
        assert tiny.flow_variables["seen"] == seen


def test_options_arrive_as_names(node: Make) -> None:
    body = "p = knext.EnumParameter('P', 'P.', Options.TWO.name, Options)" + calls(
        "ctx.flow_variables['seen'] = self.p"
    )
    tiny = node(body, before=OPTIONS)
    tiny.configure([])
    assert tiny.flow_variables["seen"] == "TWO"


VALIDATED = """
p = knext.IntParameter("P", "P.", 4)

@p.validator
def check(value):
    if value % 2:
        raise ValueError("The number is odd.")
"""


def test_a_validator_speaks_in_its_own_words(node: Make) -> None:
    tiny = node(VALIDATED + calls())
    with pytest.raises(standin.NodeFailure, match=r"^The number is odd\.$"):
        tiny.set("p", 3)


def test_a_validator_also_guards_assignments(node: Make) -> None:
    tiny = node(VALIDATED + calls("self.p = 5"))
    with pytest.raises(standin.NodeFailure, match=r"^The number is odd\.$"):
        tiny.configure([])


GROUP = """
@knext.parameter_group("Inner")
class Inner:
    '''Inside.'''
    n = knext.IntParameter("N", "N.", 1)

@knext.parameter_group("Outer")
class Outer:
    '''Outside.'''
    m = knext.IntParameter("M", "M.", 1)
    inner = Inner()

    def total(self):
        return self.m + self.inner.n

    def validate(self, values):
        if values["m"] < values["inner"]["n"]:
            raise ValueError("Outside is smaller than inside.")
"""


def test_groups_are_nested_and_keep_their_methods(node: Make) -> None:
    tiny = node(
        "g = Outer()\nh = Outer()"
        + calls(
            "self.g.inner.n = 2\n    ctx.flow_variables['t'] = [self.g.total(), self.h.total()]"
        ),
        before=GROUP,
    )
    assert tiny.settings == {"g": {"m": 1, "inner": {"n": 1}}, "h": {"m": 1, "inner": {"n": 1}}}
    tiny.set("g.m", 5)
    tiny.configure([])
    assert tiny.flow_variables["t"] == [7, 2]
    assert tiny.settings["g"] == {"m": 5, "inner": {"n": 2}}
    assert tiny.settings["h"] == {"m": 1, "inner": {"n": 1}}


def test_a_group_checks_its_values_together(node: Make) -> None:
    tiny = node("g = Outer()" + calls(), before=GROUP)
    with pytest.raises(standin.NodeFailure, match="smaller than inside"):
        tiny.set("g.inner.n", 2)


def test_a_group_cannot_be_replaced(node: Make) -> None:
    tiny = node("g = Outer()" + calls("self.g = 3"), before=GROUP)
    with pytest.raises(standin.NodeFailure, match="cannot be replaced"):
        tiny.configure([])


def test_values_set_when_a_group_is_made_are_its_defaults(node: Make) -> None:
    before = GROUP + "first = Outer()\nfirst.m = 9\n"
    tiny = node("g = first" + calls(), before=before)
    assert tiny.settings["g"]["m"] == 9


def test_only_parameters_survive_a_call(node: Make) -> None:
    body = "p = knext.IntParameter('P', 'P.', 1)" + calls(
        "self.p = 2\n    self.other = 3",
        "ctx.flow_variables['seen'] = [self.p, getattr(self, 'other', 0)]\n    self.p += 1\n    return []",
    )
    tiny = node(body)
    tiny.execute([])
    assert tiny.flow_variables["seen"] == [2, 0]
    assert tiny.settings["p"] == 3


def test_a_node_that_fails_leaves_its_settings(node: Make) -> None:
    tiny = node(
        "p = knext.IntParameter('P', 'P.', 1)" + calls("self.p = 2\n    raise ValueError('No.')")
    )
    with pytest.raises(standin.NodeFailure):
        tiny.configure([])
    assert tiny.settings["p"] == 1


NEWER = """
a = knext.IntParameter("A", "A.", 1)
b = knext.IntParameter("B", "B.", 2{since})
g = Late()
"""
LATE = """
@knext.parameter_group("Late", since_version="0.2.0")
class Late:
    '''Came later.'''
    c = knext.StringParameter("C", "C.", "none")
"""


def test_old_settings_get_the_default_of_a_parameter_with_since_version(node: Make) -> None:
    tiny = node(NEWER.format(since=", since_version='0.2.0'") + calls(), before=LATE)
    assert tiny.settings == {"a": 1, "b": 2, "g": {"c": "none"}}
    tiny.load_settings({"a": 7}, "0.1.0")
    assert tiny.settings == {"a": 7, "b": 2, "g": {"c": "none"}}


def test_old_settings_without_since_version_do_not_load(node: Make) -> None:
    tiny = node(NEWER.format(since="") + calls(), before=LATE)
    with pytest.raises(standin.NodeFailure, match="no value for 'b'"):
        tiny.load_settings({"a": 7}, "0.1.0")


def test_missing_settings_say_what_to_do_and_where_they_are_missing(node: Make) -> None:
    tiny = node("g = Outer()" + calls(), before=GROUP)
    with pytest.raises(standin.NodeFailure) as failure:
        tiny.load_settings({"g": {"m": 1, "inner": {}}}, "0.1.0")
    assert failure.value.message.startswith(
        "The settings of version 0.1.0 have no value for 'g.inner.n'; open the workflow in KNIME "
        "with this version of the extension, confirm the node's dialog and save the workflow again."
    )


def test_settings_of_this_version_must_be_complete(node: Make) -> None:
    tiny = node(NEWER.format(since=", since_version='0.2.0'") + calls(), before=LATE)
    with pytest.raises(standin.NodeFailure, match="no value for 'b'"):
        tiny.load_settings({"a": 7, "g": {"c": ""}}, "0.3.0")
    tiny.load_settings({"a": 7, "b": 3, "g": {"c": ""}, "gone": 1}, Version(0, 3, 0))
    assert tiny.settings == {"a": 7, "b": 3, "g": {"c": ""}}


def test_a_node_can_rename_what_it_loads(node: Make) -> None:
    body = (
        "b = knext.IntParameter('B', 'B.', 2, since_version='0.2.0')"
        "\ndef _modify_parameters(self, saved):\n    return {'b': saved.get('a', 0), **saved}\n"
    )
    tiny = node(body + calls())
    tiny.load_settings({"a": 7}, "0.1.0")
    assert tiny.settings == {"b": 7}


def test_the_schema_names_knimes_types(node: Make) -> None:
    tiny = node("a = knext.IntParameter('A', 'A.')\nb = knext.DoubleParameter('B', 'B.')" + calls())
    assert tiny.schema()["properties"] == {
        "a": {"title": "A", "description": "A.", "type": "integer", "format": "int32"},
        "b": {"title": "B", "description": "B.", "type": "number", "format": "double"},
    }


def elements(tiny: standin.CanvasNode, specs: Any = None) -> dict[str, dict]:
    return {e["label"]: e for e in tiny.dialog(specs)["ui_schema"]["elements"]}


def test_the_dialog_tells_ranges_rules_and_what_is_advanced(node: Make) -> None:
    body = (
        "a = knext.BoolParameter('A', 'A.')\n"
        "b = knext.IntParameter('B', 'B.', 1, min_value=1, is_advanced=True).rule("
        "knext.OneOf(a, [True]), knext.Effect.HIDE)\n"
        "c = knext.IntParameter('C', 'C.').rule("
        "knext.DialogContextCondition(lambda ctx: False), knext.Effect.SHOW)\n"
    )
    described = elements(node(body + calls()))
    shown = described["B"]
    assert shown["scope"] == "#/properties/model/properties/b"
    assert shown["options"]["isAdvanced"]
    assert shown["options"]["validation"]["min"]["parameters"]["min"] == 1
    assert shown["rule"]["effect"] == "HIDE"
    assert shown["rule"]["condition"] == {
        "scope": "#/properties/model/properties/a",
        "schema": {"oneOf": [{"const": True}]},
    }
    assert described["C"]["rule"]["condition"] == {"scope": "#", "schema": {"type": ["null"]}}


def test_the_dialog_offers_the_columns_that_fit(node: Make) -> None:
    import knime.extension as knext

    body = "p = knext.ColumnParameter('P', 'P.', column_filter=lambda c: c.ktype == knext.int32())"
    tiny = node(body + calls(), "@knext.input_table('A', 'A.')")
    columns = [knext.Column(knext.int32(), "n"), knext.Column(knext.string(), "s")]
    offered = elements(tiny, [knext.Schema.from_columns(columns)])["P"]["options"]
    assert [one["id"] for one in offered["possibleValues"]] == ["n"]
    assert elements(tiny)["P"]["options"]["possibleValues"] == []


def test_a_mutable_default_is_not_shared_between_nodes(node: Make) -> None:
    body = "p = knext.MultiColumnParameter('P', 'P.')" + calls("self.p.append('x')")
    tiny = node(body, "@knext.input_table('A', 'A.')")
    import knime.extension as knext

    tiny.configure([knext.Schema.from_columns([])])
    assert tiny.settings["p"] == ["x"]
    assert tiny.info.make().p == []
