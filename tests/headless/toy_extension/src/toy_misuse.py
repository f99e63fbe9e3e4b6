"""What nodes do wrong when they are configured and executed, refused by KNIME or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import knime.extension as knext

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIGURE: dict[str, Any] = {}
EXECUTE: dict[str, Any] = {}
PAGE = "<!DOCTYPE html><html><body>page</body></html>"


def schema(*names: str) -> Any:
    return knext.Schema.from_columns([knext.Column(knext.int64(), n) for n in names or ("a",)])


def frame(*names: str) -> Any:
    import pandas as pd

    return pd.DataFrame({n: [1, 2] for n in names or ("a",)})


def table(*names: str) -> Any:
    return knext.Table.from_pandas(frame(*names))


def numpy(kind: str, value: Any) -> Callable[[], Any]:
    """Return a function that makes a number of NumPy, which is imported only when it is wanted."""

    def make() -> Any:
        import numpy as np

        return getattr(np, kind)(value)

    return make


def value_of(value: Any) -> Any:
    return value() if callable(value) else value


def view() -> Any:
    return knext.view_html(PAGE)


class Spec(knext.PortObjectSpec):
    def __init__(self, content: Any) -> None:
        self.content = content

    def serialize(self) -> dict:
        return self.content

    @classmethod
    def deserialize(cls, data: dict) -> Spec:
        return cls(data)


class Thing(knext.PortObject):
    def __init__(self, spec: Spec, data: Any = b"data") -> None:
        super().__init__(spec)
        self.data = data

    def serialize(self) -> bytes:
        return self.data

    @classmethod
    def deserialize(cls, spec: Spec, storage: bytes) -> Thing:
        return cls(spec, storage)


def spec() -> Spec:
    return Spec({"n": 1})


def fine(_: Any, ctx: Any) -> list:
    return [schema(), spec()]


def done(_: Any, ctx: Any) -> list:
    return [table(), Thing(spec()), view()]


# ---------------------------------------------------------------- what the two calls return
CONFIGURE |= {
    "fine": fine,
    "nothing known": lambda *_: None,
    "one unknown": lambda *_: [schema(), None],
    "a tuple": lambda *_: (schema(), spec()),
    "too few": lambda *_: [schema()],
    "only the first": lambda *_: schema(),
    "too many": lambda *_: [schema(), spec(), None],
    "too many of the right kind": lambda *_: [schema(), spec(), spec()],
    "the other way round": lambda *_: [spec(), schema()],
    "a column": lambda *_: [knext.Column(knext.int64(), "a"), spec()],
    "a list of columns": lambda *_: [[knext.Column(knext.int64(), "a")], spec()],
    "a slice of a schema": lambda *_: [schema("a", "b")[["b"]], spec()],
    "a slice that was got": lambda *_: [schema("a", "b")[["b"]].get(), spec()],
    "a name": lambda *_: ["a", spec()],
    "a dict": lambda *_: {"table": schema(), "model": spec()},
    "a frame": lambda *_: [frame(), spec()],
    "no columns": lambda *_: [knext.Schema.from_columns([]), spec()],
    "columns that come one by one": lambda *_: [
        knext.Schema.from_columns(c for c in schema("a")), spec()],  # type: ignore[arg-type]
    "a schema made of a schema": lambda *_: [
        knext.Schema.from_columns(schema("a")), spec()],  # type: ignore[arg-type]
    "a column twice": lambda *_: [schema("a", "a"), spec()],
    "a name that is a number": lambda *_: [
        knext.Schema.from_columns([knext.Column(knext.int64(), 1)]), spec()],  # type: ignore[arg-type]
    "no name": lambda *_: [schema(""), spec()],
    "a name of spaces": lambda *_: [schema("  "), spec()],
    "a Python type": lambda *_: [
        knext.Schema.from_columns([knext.Column(int, "a")]), spec()],  # type: ignore[arg-type]
    "raw bytes": lambda *_: [knext.Schema.from_columns([knext.Column(knext.blob(), "a")]), spec()],
    "a struct": lambda *_: [
        knext.Schema.from_columns([knext.Column(knext.struct(knext.int64()), "a")]), spec()],
    "a missing column asked for": lambda *_: [schema("a")["b"].get(), spec()],
    "a missing column removed": lambda *_: [schema("a").remove("b"), spec()],
    "a spec of another class": lambda *_: [schema(), knext.ImagePortObjectSpec("png")],
    "a spec with numbers of numpy": lambda *_: [schema(), Spec({"n": numpy("int64", 1)()})],
    "a spec with an array": lambda *_: [schema(), Spec({"n": numpy("zeros", 2)()})],
    "a spec that is a list": lambda *_: [schema(), Spec([1, 2])],
    "a spec that is nothing": lambda *_: [schema(), Spec(None)],
    "a spec with a set": lambda *_: [schema(), Spec({"n": {1}})],
    "a spec with bytes": lambda *_: [schema(), Spec({"n": b"a"})],
    "an object for a spec": lambda *_: [schema(), Thing(spec())],
    "a table made": lambda *_: [table(), spec()],
}  # fmt: skip
EXECUTE |= {
    "fine": done,
    "a tuple": lambda *_: (table(), Thing(spec()), view()),
    "nothing": lambda *_: None,
    "an empty list": lambda *_: [],
    "no view": lambda *_: [table(), Thing(spec())],
    "view first": lambda *_: [view(), table(), Thing(spec())],
    "view twice": lambda *_: [table(), Thing(spec()), view(), view()],
    "too many": lambda *_: [table(), Thing(spec()), Thing(spec()), view()],
    "only a table": lambda *_: table(),
    "only a view": lambda *_: view(),
    "one missing": lambda *_: [table(), None, view()],
    "the other way round": lambda *_: [Thing(spec()), table(), view()],
    "a generator": lambda *_: (one for one in (table(), Thing(spec()), view())),
    "a dict": lambda *_: {"table": table(), "model": Thing(spec()), "view": view()},
    "a frame": lambda *_: [frame(), Thing(spec()), view()],
    "a schema": lambda *_: [schema(), Thing(spec()), view()],
    "a spec": lambda *_: [table(), spec(), view()],
    "bytes": lambda *_: [table(), b"data", view()],
    "an object of text": lambda *_: [table(), Thing(spec(), "data"), view()],
    "an object of nothing": lambda *_: [table(), Thing(spec(), None), view()],
    "an object of a buffer": lambda *_: [table(), Thing(spec(), bytearray(b"data")), view()],
    "an object without spec": lambda *_: [table(), Thing(None), view()],  # type: ignore[arg-type]
    "an object with an array": lambda *_: [table(), Thing(Spec({"n": numpy("zeros", 2)()})), view()],
    "other columns": lambda *_: [table("b"), Thing(spec()), view()],
    "more columns": lambda *_: [table("a", "b"), Thing(spec()), view()],
    "a view of text": lambda *_: [table(), Thing(spec()), "a page"],
    "a view of HTML": lambda *_: [table(), Thing(spec()), PAGE],
    "a view of nothing": lambda *_: [table(), Thing(spec()), None],
    "a view of a number": lambda *_: [table(), Thing(spec()), 3],
    "a view in a list": lambda *_: [table(), Thing(spec()), [view()]],
    "a view from elsewhere": lambda *_: [
        table(), Thing(spec()),
        knext.view_html('<!DOCTYPE html><script src="https://a.org/b.js"></script>')],
}  # fmt: skip


# ---------------------------------------------------------------- what they ask of the context
def asking(question: Callable[[Any, Any], Any], answer: Any) -> Any:
    def make(node: Any, ctx: Any) -> Any:
        question(node, ctx)
        return answer(node, ctx)

    return make


def ask(name: str, question: Callable[[Any, Any], Any], *, only: Any = None) -> None:
    for cases, answer in ((CONFIGURE, fine), (EXECUTE, done)):
        if only in (None, cases):
            cases[name] = asking(question, answer)


for text in ("a warning", "", "  ", None, 3, b"bytes", ["a", "list"], ValueError("an error")):
    ask(f"warning {text!r}", lambda _, ctx, text=text: ctx.set_warning(text))
ask("warning twice", lambda _, ctx: [ctx.set_warning(one) for one in ("first", "second")])
for value in (
    1, 1.5, "text", True, None, [1, 2], [1, "a"], [1.5, 2], [], [None], ["a", "b"], (1, 2), {1: 2},
    b"bytes", 2**40, float("nan"),
):  # fmt: skip
    name = f"flow variable {value!r}"
    ask(name, lambda _, ctx, value=value: ctx.flow_variables.__setitem__("v", value))
for kind, value in (("int64", 3), ("float64", 1.5), ("bool_", True), ("array", [3])):
    made = numpy(kind, value)
    name = f"flow variable numpy.{kind} {value!r}"
    ask(name, lambda _, ctx, made=made: ctx.flow_variables.__setitem__("v", made()))
    name = f"flow variable list of numpy.{kind} {value!r}"
    ask(name, lambda _, ctx, made=made: ctx.flow_variables.__setitem__("v", [made()]))
for key in (1, None, "", "knime", "knime.x", "a b"):
    ask(f"flow name {key!r}", lambda _, ctx, key=key: ctx.flow_variables.__setitem__(key, 1))
ask("flow variable deleted", lambda _, ctx: ctx.flow_variables.__delitem__("given"))
ask("flow variable missing", lambda _, ctx: ctx.flow_variables["missing"])
ask("flow variable popped", lambda _, ctx: ctx.flow_variables.pop("missing"))
ask("flow variables cleared", lambda _, ctx: ctx.flow_variables.clear())
ask("flow variables updated", lambda _, ctx: ctx.flow_variables.update({"x": 1}))
ask("flow variable not there", lambda _, ctx: ctx.flow_variables.get("missing"))
ask("credentials", lambda _, ctx: ctx.get_credentials("missing"))
ask("names of credentials", lambda _, ctx: list(ctx.get_credential_names()))
for value in (
    0, 1, 0.5, 1.5, -0.5, float("nan"), float("inf"), True, None, "0.5",
):  # fmt: skip
    name = f"progress {value!r}"
    ask(name, lambda _, ctx, value=value: ctx.set_progress(value), only=EXECUTE)
for kind, value in (("float64", 0.5), ("float32", 0.5), ("int64", 1)):
    name, made = f"progress numpy.{kind} {value!r}", numpy(kind, value)
    ask(name, lambda _, ctx, made=made: ctx.set_progress(made()), only=EXECUTE)
ask("progress in configure", lambda _, ctx: ctx.set_progress(0.5), only=CONFIGURE)
ask("cancelled in configure", lambda _, ctx: ctx.is_canceled(), only=CONFIGURE)
ask("progress of text", lambda _, ctx: ctx.set_progress(0.5, 3), only=EXECUTE)
ask("progress with words", lambda _, ctx: ctx.set_progress(0.5, "half"), only=EXECUTE)
ask("progress without number", lambda _, ctx: ctx.set_progress(message="half"), only=EXECUTE)
ask("progress by place", lambda _, ctx: ctx.set_progress("half", 0.5), only=EXECUTE)
ask("cancelled in British", lambda _, ctx: ctx.is_cancelled(), only=EXECUTE)
ask("a table where none can be", lambda *_: table(), only=CONFIGURE)
ask("batches where none can be", lambda *_: knext.BatchOutputTable.create(), only=CONFIGURE)

# ---------------------------------------------------------------- what they do to themselves
for name, value in {
    "a number": 5, "too large a number": 500, "text for a number": "5", "nothing for a number": None,
    "a number of numpy": numpy("int64", 5), "a fraction": 1.5, "a truth": True,
}.items():  # fmt: skip
    ask(f"set to {name}", lambda node, _, value=value: setattr(node, "number", value_of(value)))
ask("set to an unknown option", lambda node, _: setattr(node, "option", "C"))
ask("set to an option", lambda node, _: setattr(node, "option", "B"))
ask("set something else", lambda node, _: setattr(node, "anything", object()))
ask("set in a group", lambda node, _: setattr(node.group, "inner", 7))
ask("set a group", lambda node, _: setattr(node, "group", 7))
ask("set too much in a group", lambda node, _: setattr(node.group, "inner", 700))


def raising(error: BaseException) -> Any:
    def question(*_: Any) -> None:
        raise error

    return question


for error in (
    ValueError("A sentence."), ValueError(""), KeyError("key"), RuntimeError("two\nlines"),
    knext.InvalidParametersError("A setting."), StopIteration("stopped"), MemoryError(),
    AssertionError(), OSError(2, "No such file", "a.tif"), NotImplementedError("not yet"),
):  # fmt: skip
    ask(f"raise {error!r}", raising(error))
