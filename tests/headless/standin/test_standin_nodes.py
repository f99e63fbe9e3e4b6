"""Nodes as KNIME calls them: ports, contexts, messages, views."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from microshot.headless import standin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., standin.CanvasNode]

OUT = "@knext.output_table('Out', 'A table.')"
TABLE = "__import__('pandas').DataFrame({'a': [1]})"


def calls(execute: str = "return []", configure: str = "return None") -> str:
    return (
        f"def configure(self, ctx, *inputs):\n    {configure}\n"
        f"def execute(self, ctx, *inputs):\n    {execute}\n"
    )


def failing(tiny: standin.CanvasNode, inputs: Any = (), **more: Any) -> standin.NodeFailure:
    with pytest.raises(standin.NodeFailure) as caught:
        tiny.execute(list(inputs), **more)
    return caught.value


@pytest.mark.parametrize("fraction", ["0.5", "0", "1", "1.0"])
def test_progress_is_a_python_number_from_0_to_1(fraction: str, node: Make) -> None:
    tiny = node(calls(f"ctx.set_progress({fraction}, 'half')\n    return []"))
    heard: list = []
    tiny.execute([], progress=lambda *said: heard.append(said))
    assert tiny.progress == heard == [(float(fraction), "half")]


@pytest.mark.parametrize(
    "said",
    ["np.float32(0.5)", "np.float64(0.5)", "np.int64(1)", "'0.5'", "None", "1.1", "-0.1",
     "float('nan')", "0.5, 7"],
)  # fmt: skip
def test_other_progress_is_refused(said: str, node: Make) -> None:
    failure = failing(node(calls(f"import numpy as np\n    ctx.set_progress({said})")))
    assert "rogress" in failure.message


def test_a_warning_that_is_replaced_can_be_seen(node: Make) -> None:
    tiny = node(calls("ctx.set_warning('One.')\n    ctx.set_warning('Two.')\n    return []"))
    tiny.execute([])
    assert tiny.warnings == ["One.", "Two."]
    tiny.configure([])
    assert tiny.warnings == []


@pytest.mark.parametrize("text", ["None", "''", "3"])
def test_a_warning_is_a_text(text: str, node: Make) -> None:
    assert "warning" in failing(node(calls(f"ctx.set_warning({text})"))).message


@pytest.mark.parametrize("value", ["'a'", "1", "1.5", "True", "[1, 2]", "['a']", "[]"])
def test_flow_variables_of_knimes_kinds_go_out(value: str, node: Make) -> None:
    tiny = node(calls(f"ctx.flow_variables['v'] = {value}\n    return []"))
    tiny.flow_variables["given"] = 3
    tiny.execute([])
    assert tiny.flow_variables == {"given": 3, "v": eval(value)}


@pytest.mark.parametrize(
    "value",
    ["None", "np.int64(1)", "np.float64(1)", "[1, 'a']", "{'a': 1}", "(1, 2)", "[[1]]", "[None]",
     "__import__('pathlib').Path('/')"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["configure", "execute"])
def test_other_flow_variables_are_refused(value: str, where: str, node: Make) -> None:
    line = f"import numpy as np\n    ctx.flow_variables['v'] = {value}\n    return None"
    body = calls(configure=line) if where == "configure" else calls(line)
    assert "flow variable 'v'" in failing(node(body, OUT if where == "configure" else "")).message


@pytest.mark.parametrize(
    "line",
    ["ctx.flow_variables['knime.workspace'] = 'x'", "del ctx.flow_variables['given']",
     "ctx.flow_variables[1] = 'x'", "ctx.flow_variables.clear()"],
)  # fmt: skip
def test_flow_variables_of_knime_cannot_be_changed_and_none_deleted(line: str, node: Make) -> None:
    tiny = node(calls(line))
    tiny.flow_variables["given"] = 3
    assert "flow variable" in failing(tiny).message


def test_execute_runs_outside_of_the_main_thread(node: Make) -> None:
    tiny = node(
        calls(
            "ctx.flow_variables['thread'] = __import__('threading').current_thread().name\n    return []"
        )
    )
    tiny.execute([])
    assert tiny.flow_variables["thread"] != threading.main_thread().name
    failure = failing(node(calls("import signal\n    signal.signal(signal.SIGINT, print)")))
    assert "main thread" in failure.message


def test_folders_are_known_in_execute_only(node: Make, tmp_path: Path) -> None:
    names = ("workflow_data_area_dir", "workflow_temp_dir", "knime_home_dir")
    lines = "".join(f"ctx.flow_variables['the {n}'] = ctx.get_{n}()\n    " for n in names)
    tiny = node(calls(f"{lines}return []"))
    tiny.execute([], data_area=tmp_path / "data")
    assert tiny.flow_variables["the workflow_data_area_dir"] == str(tmp_path / "data")
    assert not (tmp_path / "data").exists()
    for name in names:
        failure = failing(node(calls(configure=f"ctx.get_{name}()")))
        assert f"get_{name}" in failure.message


@pytest.mark.parametrize("ending", ["return []", "raise RuntimeError('Stopped.')"])
def test_a_cancelled_node_is_cancelled_whatever_it_returns(ending: str, node: Make) -> None:
    code = f"while not ctx.is_canceled():\n        pass\n    {ending}"
    polls = iter(range(3))
    failure = failing(node(calls(code)), is_cancelled=lambda: next(polls, None) is None)
    assert failure.cancelled
    assert failure.message == "Canceled"


@pytest.mark.parametrize("where", ["configure", "execute"])
def test_the_message_of_a_failure_is_the_text_of_the_exception(where: str, node: Make) -> None:
    def shown(line: str) -> standin.NodeFailure:
        body = calls(configure=line) if where == "configure" else calls(line)
        return failing(node(body))

    failure = shown("raise ValueError('It is wrong.')")
    assert (failure.message, failure.invalid_settings) == ("It is wrong.", False)
    assert "Traceback" in failure.details
    failure = shown("raise knext.InvalidParametersError('It does not fit.')")
    assert (failure.message, failure.invalid_settings) == ("It does not fit.", True)
    assert shown("raise KeyError('column')").message == "'column'"


@pytest.mark.parametrize("line", ["raise ValueError", "assert False", "raise ValueError('  ')"])
def test_a_failure_without_words_is_itself_a_failure(line: str, node: Make) -> None:
    assert "would show an empty message" in failing(node(calls(line))).message


def test_a_node_cannot_end_python(node: Make) -> None:
    assert "end Python" in failing(node(calls("raise SystemExit(3)"))).message


def test_every_call_has_an_instance_of_its_own(node: Make) -> None:
    body = "made = []\ndef __init__(self):\n    self.made.append(self)\n" + calls(
        "ctx.flow_variables['n'] = len({id(one) for one in self.made})\n    return []"
    )
    tiny = node(body)
    tiny.execute([])
    before = tiny.flow_variables["n"]
    tiny.dialog()
    tiny.configure([])
    tiny.execute([])
    assert tiny.flow_variables["n"] == before + 4


@pytest.mark.parametrize(
    ("ports", "returned", "message"),
    [
        (OUT, "None", "has 1 output ports, execute returned 0"),
        (OUT, "[]", "has 1 output ports, execute returned 0"),
        (OUT, f"[knext.Table.from_pandas({TABLE})] * 2", "execute returned 2"),
        (
            f"{OUT}\n{OUT.replace('Out', 'Two')}",
            f"knext.Table.from_pandas({TABLE}), None",
            "None for",
        ),
        (OUT, TABLE, "needs a Table or BatchOutputTable from execute, found DataFrame"),
        ("@knext.output_binary('B', 'B.', id='x')", "'text'", "needs a bytes"),
        ("@knext.output_image('I', 'I.')", "b'no image'", "no PNG or SVG"),
        ("@knext.output_image('I', 'I.')", "3", "bytes of an image"),
        ("@knext.output_view('V', 'V.')", "None", "returned none"),
        ("@knext.output_view('V', 'V.')", "[]", "returned none"),
        ("@knext.output_view('V', 'V.')", "'plain text'", "must be the node's view"),
        (
            f"{OUT}\n@knext.output_view('V', 'V.')",
            f"knext.Table.from_pandas({TABLE})",
            "must be the node's view",
        ),
    ],
)
def test_execute_must_return_what_the_ports_promise(
    ports: str, returned: str, message: str, node: Make
) -> None:
    assert message in failing(node(calls(f"return {returned}"), ports)).message


@pytest.mark.parametrize(
    ("ports", "returned", "message"),
    [
        (OUT, "[]", "has 1 output ports, configure returned 0"),
        (OUT, "'text'", "needs a Schema from configure, found str"),
        ("@knext.output_binary('B', 'B.', id='x')", "knext.BinaryPortObjectSpec('y')", "has id x"),
        (
            "@knext.output_binary('B', 'B.', id='x')",
            "knext.Schema.from_columns([])",
            "needs a Binary",
        ),
        ("@knext.output_image('I', 'I.')", "knext.ImagePortObjectSpec('gif')", "png or svg"),
        ("@knext.output_image('I', 'I.')", "knext.Schema.from_columns([])", "needs a Image"),
    ],
)
def test_configure_must_announce_what_the_ports_promise(
    ports: str, returned: str, message: str, node: Make
) -> None:
    tiny = node(calls(configure=f"return {returned}"), ports)
    with pytest.raises(standin.NodeFailure, match=message):
        tiny.configure([])


def test_configure_may_announce_nothing_or_one_column(node: Make) -> None:
    assert node(calls(), OUT).configure([]) == [None]
    (spec,) = node(calls(configure="return knext.Column(knext.int32(), 'a')"), OUT).configure([])
    assert spec is not None
    assert spec.columns == [("a", "Number (Integer)")]


def test_an_image_must_have_the_announced_format(node: Make) -> None:
    svg = "b'<svg xmlns=\"http://www.w3.org/2000/svg\"/>'"
    announced = "return knext.ImagePortObjectSpec(knext.ImageFormat.PNG)"
    ports = "@knext.output_image('I', 'I.')"
    assert (
        "announced as png, found svg"
        in failing(node(calls(f"return {svg}", announced), ports)).message
    )
    (image,) = node(calls(f"return {svg}", announced.replace("PNG", "SVG")), ports).execute([])
    assert isinstance(image, standin.ImageData)
    assert image.spec.data == {"format": "svg"}


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("knext.view_html('<!DOCTYPE html><p>Hello</p>')", None),
        ("'<!DOCTYPE html><p>Hello</p>'", None),
        ("knext.view_html('<img src=\"data:image/png;base64,AA\">')", None),
        ("knext.view_html('<a href=\"https://example.org\">Hello</a>')", None),
        ("knext.view_png(b'Hello')", None),
        ("knext.view_html('<script src=\"https://example.org/x.js\"></script>')", "self-contained"),
        ("knext.view_html('<img src=\"figure.png\">')", "self-contained"),
        ("knext.view_html(3)", "needs an HTML text"),
        ("__import__('pandas').DataFrame({'a': [1]})", "views of DataFrame"),
    ],
)
def test_a_view_is_one_self_contained_page(returned: str, message: str | None, node: Make) -> None:
    tiny = node(calls(f"return {returned}"), "@knext.output_view('V', 'V.')")
    if message is None:
        assert tiny.execute([]) == []
        assert tiny.view_html
    else:
        assert message in failing(tiny).message
        assert tiny.view_html is None


ONE, MAYBE = "@knext.input_table('One', 'One.')", "@knext.input_table('May', 'May.', optional=True)"
GROUP = "@knext.input_table_group('Many', 'Many.')"
SEEN = calls(
    "ctx.flow_variables['seen'] = repr([x if not x else [t.num_rows for t in x] if "
    "isinstance(x, list) else x.num_rows for x in inputs])\n    return []",
    "ctx.flow_variables['connected'] = ctx.get_connected_input_port_numbers()",
)


def test_optional_ports_and_groups_may_be_empty(node: Make) -> None:
    tiny = node(SEEN, f"{ONE}\n{MAYBE}\n{GROUP}")
    table = standin.table_from_pandas(tiny._host, pd.DataFrame({"a": [1, 2]}))
    tiny.execute([table, None, []])
    assert tiny.flow_variables == {"seen": "[2, None, []]", "connected": [1, 1, 0]}
    tiny.execute([table, table, [table, table]])
    assert tiny.flow_variables == {"seen": "[2, 2, [2, 2]]", "connected": [1, 1, 2]}


def test_ports_that_are_not_optional_must_be_connected(node: Make) -> None:
    tiny = node(SEEN, f"{ONE}\n{MAYBE}")
    failure = failing(tiny, [None, None])
    assert failure.invalid_settings
    assert "'One' is not connected" in failure.message
    assert "has 2 input ports, found 0" in failing(tiny).message


def test_an_input_is_an_output_of_a_node(node: Make) -> None:
    tiny = node(SEEN, ONE)
    with pytest.raises(TypeError, match="must be the output of a node"):
        tiny.execute([pd.DataFrame({"a": [1]})])
    port = standin.PortData(standin.Spec.of("port", {"id": "x", "data": {}}), b"")
    assert "takes a table, a port is connected" in failing(tiny, [port]).message


def test_a_group_takes_a_list_and_a_port_does_not(node: Make) -> None:
    table = standin.table_from_pandas
    tiny = node(SEEN, f"{ONE}\n{GROUP}")
    one = table(tiny._host, pd.DataFrame({"a": [1]}))
    assert "a list exactly for groups" in failing(tiny, [[one], []]).message
    assert "a list exactly for groups" in failing(tiny, [one, one]).message


MODEL = """
class Spec(knext.PortObjectSpec):
    def __init__(self, data): self.data = data
    def serialize(self): return self.data
    @classmethod
    def deserialize(cls, data): return cls(data)

class Thing(knext.PortObject):
    def __init__(self, spec, content): super().__init__(spec); self.content = content
    def serialize(self): return self.content
    @classmethod
    def deserialize(cls, spec, storage): return cls(spec, storage)

class Loner(knext.PortObject):
    def serialize(self): return b""
    @classmethod
    def deserialize(cls, spec, storage): return cls(spec)

thing = knext.port_type("Thing", Thing, Spec, id="org.example.tiny.thing")
"""
THING = "@knext.output_port('Thing', 'A thing.', thing)"


@pytest.mark.parametrize(
    ("spec", "content", "message"),
    [
        ("{'a': 1}", "b'x'", None),
        ("{'a': object()}", "b'x'", "texts, finite numbers, lists and dicts"),
        ("{'a': float('nan')}", "b'x'", "texts, finite numbers, lists and dicts"),
        ("['a']", "b'x'", "must serialize to a dict"),
        ("{'a': 1}", "'text'", "must serialize to bytes"),
    ],
)
def test_port_objects_travel_as_json_and_bytes(
    spec: str, content: str, message: str | None, node: Make
) -> None:
    tiny = node(calls(f"return Thing(Spec({spec}), {content})"), THING, before=MODEL)
    if message is not None:
        assert message in failing(tiny).message
        return
    (port,) = tiny.execute([])
    assert isinstance(port, standin.PortData)
    assert port.spec.data == {"id": "org.example.tiny.thing", "data": {"a": 1}}
    assert (port.type_id, port.data) == ("org.example.tiny.thing", b"x")


def test_an_object_of_another_class_is_refused(node: Make) -> None:
    body = calls("return Loner(Spec({}))", "return Spec({})")
    assert (
        "needs a Thing from execute, found Loner"
        in failing(node(body, THING, before=MODEL)).message
    )
    body = calls("return None", "return knext.Schema.from_columns([])")
    assert "needs a Spec from configure" in failing(node(body, THING, before=MODEL)).message


def test_the_next_node_receives_a_copy(node: Make) -> None:
    body = calls("global last\n    last = Thing(Spec({'a': (1, 2)}), b'x')\n    return last")
    tiny = node(body, THING, before=MODEL)
    (port,) = tiny.execute([])
    taking = calls(
        "ctx.flow_variables['seen'] = [str(inputs[0].spec.data), str(inputs[0].content)]\n    return []"
    )
    ports = "@knext.input_port('Thing', 'A thing.', thing)"
    other = node(taking, ports, before=MODEL)
    other.execute([port])
    assert other.flow_variables["seen"] == ["{'a': [1, 2]}", "b'x'"]


def test_an_object_of_an_unknown_type_names_the_nodes_that_fit(toy: standin.Host) -> None:
    strange = standin.PortData(standin.Spec.of("port", {"id": "org.other", "data": {}}), b"")
    table = standin.table_from_pandas(toy, pd.DataFrame({"a": [1]}))
    failure = failing(toy.node("apply"), [strange, table])
    assert failure.invalid_settings
    assert "takes a Toy Model, found org.other; it is made by: Toy Learner" in failure.message


def test_bytes_of_another_id_do_not_fit(toy: standin.Host) -> None:
    other = standin.PortData(standin.Spec.of("port", {"id": "org.other"}), b"")
    failure = failing(toy.node("join"), [[], None, other])
    assert "takes bytes of type org.example.toy.bytes" in failure.message


def test_a_whole_chain_runs(toy: standin.Host, tmp_path: Path) -> None:
    source = toy.node("source")
    source.set("n_rows", 4)
    (images,) = source.execute([])
    learn = toy.node("learn")
    model, history, curve = learn.execute([images, None], data_area=tmp_path)
    assert learn.settings["image"] == "Image"
    assert learn.settings["note"] == "3 images"
    assert learn.flow_variables == {"loss": 0.5, "epochs": [1, 2]}
    assert learn.view_html == "<!DOCTYPE html><html><body>3 images</body></html>"
    assert history.to_pandas()["Epoch"].tolist() == [0, 1]
    assert curve.data.startswith(b"\x89PNG")
    (scores,) = toy.node("apply").execute([model, images])
    assert scores.column_names[-1] == "Score"
    assert scores.to_pandas()["Score"].isna().tolist() == [False, True, False, False]


def test_a_warning_of_configure_is_seen_after_configure(toy: standin.Host) -> None:
    (images,) = toy.node("source").execute([])
    learn = toy.node("learn")
    learn.configure([images.spec, None])
    assert learn.warnings == ["The column Image is used."]
    assert learn.settings["image"] == "Image"
