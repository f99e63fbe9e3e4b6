"""What KNIME refuses before any node runs: knime.yml, icons, texts, ids."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from microshot.headless import standin
from microshot.headless.standin.runtime import Version
from microshot.headless.standin.yml import read_yml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TINY = """
@knext.node(name="Tiny", id="tiny", {node})
class Tiny:
    {doc}

    {body}

    def configure(self, ctx):
        return None

    def execute(self, ctx):
        return None
"""


def tiny(body: str = "", doc: str = "'''Does it.\n\n    In full.'''", node: str = "**NODE") -> str:
    return TINY.format(body=body, doc=doc, node=node)


def problems(host: standin.Host) -> str:
    return "\n".join(host.problems())


def test_the_toy_extension_is_fine(toy: standin.Host) -> None:
    assert toy.problems() == []
    assert toy.extension_id == "org.example.toy"
    assert toy.version == Version(0, 2, 0)


def test_a_node_tells_what_it_is(toy: standin.Host) -> None:
    info = toy.nodes["learn"]
    assert (info.name, info.node_type, info.category) == (
        "Toy Learner",
        "Learner",
        "/community/toy",
    )
    assert [port.name for port in info.input_ports] == ["Images", "More images"]
    assert [port.name for port in info.output_ports] == ["Model", "History", "Curve"]
    assert info.short_description == "Learns the mean."
    assert "description" in info.full_description


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("version: 1.0", "quote it"),
        ('version: "1.0"', "three numbers"),
        ("version: 0.1", "quote it"),
        ("version:", "one line"),
        ("version: |", "one line"),
        ("version: '0.1.0", "open quote"),
        ("name: other", "occurs twice"),
        ("extension_module: src/tiny.py", "occurs twice"),
        ("just words", "key: value"),
    ],
)
def test_a_knime_yml_that_knime_reads_otherwise_is_refused(
    line: str, message: str, tmp_path: Path
) -> None:
    text = "name: tiny\ngroup_id: org.example\nextension_module: src/tiny\n"
    (tmp_path / "knime.yml").write_text(text + line + "\n")
    with pytest.raises(ValueError, match=message):
        read_yml(tmp_path)


def test_the_extension_module_has_no_ending(tmp_path: Path) -> None:
    text = "name: a\ngroup_id: b\nversion: 0.1.0\nextension_module: src/tiny.py\n"
    (tmp_path / "knime.yml").write_text(text)
    with pytest.raises(ValueError, match=r"must not end in \.py"):
        read_yml(tmp_path)


def test_a_folder_without_knime_yml_is_no_extension(installed: None, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no knime\.yml"):
        standin.Host(tmp_path)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", "registers no node"),
        (tiny(doc="'''Research & development.\n\nMore.'''"), "first line of the docstring is not XML"),
        (tiny(doc="'''Counts n < 10.\n\nMore.'''"), "first line of the docstring is not XML"),
        (tiny(doc="'''Only one line.'''"), "no text after its first line"),
        (tiny(doc="pass"), "must begin with a short description"),
        (tiny(node='**{**NODE, "icon_path": "icons/none.png"}'), "does not exist"),
        (tiny(node='**{**NODE, "icon_path": "../icons/node.png"}'), "below the folder"),
        (tiny(node='**{**NODE, "icon_path": "icons\\\\node.png"}'), "path with /"),
        (tiny(node='**{**NODE, "icon_path": None}'), "icon path is None"),
        (tiny(node='**{**NODE, "icon_path": "knime.yml"}'), "no PNG"),
        (tiny(node='**{**NODE, "node_type": "Learner"}'), "no knext.NodeType"),
        (tiny(node='**{**NODE, "category": "/other"}'), "not registered"),
        (tiny(node='**NODE, after="nothing"'), "no node of the extension"),
        (tiny(node='**NODE, keywords="cells"'), "keywords must be a list"),
        (tiny() + tiny(), "node id tiny is registered more than once"),
        (tiny("a = knext.IntParameter('A', '')"), "parameter a: the description is empty"),
        (tiny("a = knext.IntParameter('', 'A.')"), "parameter a: the label is empty"),
        (tiny("a_Internals = knext.IntParameter('A', 'A.')"), "_Internals"),
        (tiny("a = knext.IntParameter('A', 'A.', 5, max_value=4)"), "its own default is refused"),
        (tiny("a = knext.IntParameter('A', 'A.', 2**31)"), "32-bit"),
        (tiny("a = knext.StringParameter('A', 'A.', None)"), "its own default is refused"),
        (tiny("a = knext.IntParameter('A', 'A.', since_version='0.4.0')"), "newer than knime.yml"),
        (tiny("a = knext.ColumnParameter('A', 'A.')"), "port_index 0 does not exist"),
        (
            tiny(
                "a = knext.IntParameter('A', 'A.').rule(knext.DialogContextCondition("
                "lambda c: c.get_input_specs()[0]), knext.Effect.SHOW)"
            ),
            "dialog does not open with nothing connected",
        ),
        ("knext.category('/community', 'tiny', 'T', 'T.', 'icons/category.png')" + tiny(),
         "category /community/tiny is registered more than once"),
        ("knext.category('community', 'b', 'T', 'T.', 'icons/category.png')" + tiny(), "absolute"),
        ("knext.category('/community', 'b', 'T', '', 'icons/category.png')" + tiny(),
         "description is empty"),
        ("knext.category('/community', 'b', 'T', 'T.', 'icons/node.png')" + tiny(), "16x16"),
    ],
)  # fmt: skip
def test_an_extension_that_knime_would_not_load_is_refused(
    code: str, message: str, extension: Callable[..., standin.Host]
) -> None:
    host = extension(code)
    assert message in problems(host)
    for node_id in host.nodes:
        with pytest.raises(RuntimeError, match="KNIME would not accept"):
            host.node(node_id)


def test_a_node_needs_an_explicit_id(extension: Callable[..., standin.Host]) -> None:
    host = extension(tiny().replace('id="tiny", ', ""))
    assert "no explicit id" in problems(host)


def test_a_view_description_must_be_xml(extension: Callable[..., standin.Host]) -> None:
    host = extension(tiny().replace("class", "@knext.output_view('V', 'A & B')\nclass", 1))
    assert "description of the view is not XML" in problems(host)


def test_a_module_beside_the_entry_must_not_hide_one_of_python(
    extension: Callable[..., standin.Host],
) -> None:
    host = extension(tiny())
    (host.root / "src" / "statistics.py").write_text("")
    assert "statistics.py" in problems(host)


def test_missing_icons_are_found(extension: Callable[..., standin.Host]) -> None:
    assert problems(extension(tiny(), icons=False)).count("does not exist") == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("a = knext.IntParameter('A', 'A.', min_value=0, validator=print)", "ignores min_value"),
        ("a = knext.EnumParameter('A', 'A.', enum=Options, validator=print)", "validator"),
        ("a = knext.EnumParameter('A', 'A.', Options.ONE, Options)", "must be a name"),
        ("a = knext.EnumParameter('A', 'A.', enum=['a'])", "EnumParameterOptions"),
        (
            "a = knext.StringParameter('A', 'A.', 'a', enum=['a', 'b'])",
            "not offer.* to choose from",
        ),
        ("a = knext.StringParameter('A', 'A.', choices=print)", "not offer.* to choose from"),
        ("a = knext.StringParameter('A', 'A.', str)", "not offer.*depends on the version"),
        ("a = knext.StringParameter('A', 'A.', since_version='0.1')", "three whole numbers"),
        ("a = knext.ColumnParameter('A', 'A.', include_row_key=True)", "include_row_key"),
        ("a = knext.ColumnParameter('A', 'A.', schema_provider=print)", "schema_provider"),
        ("a = knext.ColumnParameter('A', 'A.', (0, 1))", "port_index"),
        ("a = knext.IntParameter('A', 'A.').rule(True, knext.Effect.SHOW)", "condition"),
        (
            "a = knext.IntParameter('A', 'A.').rule(knext.OneOf(3, [1]), knext.Effect.SHOW)",
            "same class",
        ),
    ],
)
def test_a_parameter_that_knime_mistakes_is_refused_at_import(
    body: str, message: str, extension: Callable[..., standin.Host]
) -> None:
    options = "class Options(knext.EnumParameterOptions):\n    ONE = ('One', 'One.')\n"
    with pytest.raises((TypeError, ValueError, AttributeError, NotImplementedError), match=message):
        extension(options + tiny(body))


GROUPS = """
@knext.parameter_group("Group")
class Group:
    '''A group.'''
    inner = knext.BoolParameter("Inner", "Inner.")

outer = knext.BoolParameter("Outer", "Outer.")

@knext.parameter_group("Other")
class Other:
    '''Another.'''
    a = knext.IntParameter("A", "A.").rule(knext.OneOf(SUBJECT, [True]), knext.Effect.SHOW)
"""


def test_a_rule_cannot_look_into_another_group(extension: Callable[..., standin.Host]) -> None:
    code = GROUPS.replace("SUBJECT", "Group.inner") + tiny("g = Group()\n    o = Other()")
    assert "not in the same group" in problems(extension(code))
    with pytest.raises(TypeError, match="same class body"):
        extension(GROUPS.replace("SUBJECT", "Group().inner") + tiny("o = Other()"))


def test_a_rule_cannot_look_at_a_parameter_outside_its_group(
    extension: Callable[..., standin.Host],
) -> None:
    code = GROUPS.replace("SUBJECT", "outer") + tiny("outer = outer\n    o = Other()")
    assert "not in the same group" in problems(extension(code))


def test_a_rule_must_be_able_to_apply(extension: Callable[..., standin.Host]) -> None:
    body = (
        "a = knext.BoolParameter('A', 'A.')\n    b = knext.IntParameter('B', 'B.').rule("
        "knext.OneOf(a, ['yes']), knext.Effect.SHOW)"
    )
    assert "its rule cannot work" in problems(extension(tiny(body)))


def test_a_group_needs_a_description(extension: Callable[..., standin.Host]) -> None:
    code = (
        GROUPS.replace("'''Another.'''", "")
        .replace("SUBJECT", "a0")
        .replace("    a =", "    a0 = knext.BoolParameter('A', 'A.')\n    a =")
    )
    assert "parameter o: the description is empty" in problems(
        extension(code + tiny("o = Other()"))
    )


def test_parameters_belong_on_the_class(extension: Callable[..., standin.Host]) -> None:
    body = "def __init__(self):\n        self.a = knext.IntParameter('A', 'A.')"
    with pytest.raises(AttributeError, match="on the class"):
        extension(tiny(body)).nodes  # noqa: B018


PORTS = """
class Spec(knext.PortObjectSpec):
    def serialize(self): return {}
    @classmethod
    def deserialize(cls, data): return cls()

class Thing(knext.PortObject):
    def serialize(self): return b""
    @classmethod
    def deserialize(cls, spec, storage): return cls(spec)

"""


def test_port_types_are_registered_once(extension: Callable[..., standin.Host]) -> None:
    line = "knext.port_type('Thing', Thing, Spec, id='org.example.thing')\n"
    host = extension(PORTS + line + line + tiny())
    assert "port type id org.example.thing is registered more than once" in problems(host)
    assert "port object class Thing" in problems(host)


def test_a_port_type_needs_an_id_and_its_classes(extension: Callable[..., standin.Host]) -> None:
    with pytest.raises(ValueError, match="explicit id"):
        extension(PORTS + "knext.port_type('Thing', Thing, Spec)")
    with pytest.raises(TypeError, match="PortObject"):
        extension(PORTS + "knext.port_type('Thing', Spec, Spec, id='a')")


@pytest.mark.parametrize(
    ("decorator", "message"),
    [
        ("@knext.input_table('', 'A.')", "name and a description"),
        ("@knext.input_table('A', '')", "name and a description"),
        ("@knext.output_binary('A', 'A.', id=None)", "needs an id"),
        ("@knext.input_port('A', 'A.', knext.PortType.IMAGE)", "no image inputs"),
        ("@knext.input_port('A', 'A.', knext.PortType.CREDENTIAL)", "CREDENTIAL"),
        ("@knext.output_view('A', '')", "name and a description"),
        ("@knext.output_view('A', 'A.', static_resources='x')", "static resources"),
        ("@knext.output_table_group('A', 'A.')", "output_table_group"),
        ("@knext.input_table_group('A', 'A.')\n@knext.input_table_group('A', 'A.')", "two ports"),
        ("@knext.output_view('A', 'A.')\n@knext.output_view('B', 'B.')", "two views"),
    ],
)
def test_ports_that_knime_refuses_are_refused_at_import(
    decorator: str, message: str, extension: Callable[..., standin.Host]
) -> None:
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=message):
        extension(tiny().replace("class", f"{decorator}\nclass", 1))


def test_a_decorated_class_is_a_function(extension: Callable[..., standin.Host]) -> None:
    with pytest.raises(TypeError):
        extension(tiny() + "class Child(Tiny):\n    pass\n")


def test_two_extensions_cannot_share_a_module_name(
    extension: Callable[..., standin.Host], tmp_path: Path
) -> None:
    host = extension(tiny())
    copy = tmp_path / "copy"
    shutil.copytree(host.root, copy)
    with pytest.raises(ImportError, match="already loaded"):
        standin.Host(copy)
    assert standin.Host(host.root).problems() == []


def test_an_unknown_node_is_named(toy: standin.Host) -> None:
    with pytest.raises(KeyError, match=r"nothing.*learn"):
        toy.node("nothing")
