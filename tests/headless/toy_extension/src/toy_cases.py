"""Ways to make an output table, accepted or refused by KNIME."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any

import knime.extension as knext
import knime.types.builtin as builtin
import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

CASES: dict[str, Callable[[], Any]] = {}


def frame(name: str, index: Any = None, row_ids: str = "auto", **columns: Any) -> None:
    CASES[name] = lambda: knext.Table.from_pandas(pd.DataFrame(columns, index), row_ids=row_ids)


def arrow(name: str, *arrays: Any, row_ids: str = "auto", names: Any = None) -> None:
    names = names or [f"c{i}" for i in range(len(arrays))]

    def make() -> Any:
        return knext.Table.from_pyarrow(pa.table(list(arrays), names=names), row_ids=row_ids)

    CASES[name] = make


def case(make: Callable[[], Any]) -> Callable[[], Any]:
    CASES[make.__name__.replace("_", " ")] = make
    return make


for dtype in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
    frame(dtype, a=np.array([1, 2], dtype))
for dtype in ("float16", "float32", "float64", "bool", "string", "Int64", "Int32", "boolean"):
    frame(dtype, a=pd.Series([1, 0], dtype=dtype if dtype != "string" else None).astype(dtype))
frame("Float64", a=pd.array([1.5, None], dtype="Float64"))
frame("missing Int64", a=pd.array([1, None], dtype="Int64"))
frame("missing string", a=pd.array(["a", None], dtype="string"))
frame("missing boolean", a=pd.array([True, None], dtype="boolean"))
frame("object texts", a=["a", None])
frame("object numbers", a=pd.Series([1, None], dtype=object))
frame("object bools", a=pd.Series([True, None], dtype=object))
frame("object mixed", a=["a", 1])
frame("object floats and ints", a=pd.Series([1, 2.5], dtype=object))
frame("all missing", a=[None, None])
frame("not a number", a=[1.0, np.nan])
frame("categories", a=pd.Categorical(["x", "y", "x"]))
frame("categories of numbers", a=pd.Categorical([1, 2, 1]))
frame("ordered categories", a=pd.Categorical(["x", None], ordered=True))
frame("bytes", a=[b"ab", b"c"])
frame("dicts", a=[{"x": 1}, {"x": 2}])
frame("lists of floats", a=[[1.0, 2.0], []])
frame("lists of ints", a=[[1, 2], [3]])
frame("lists of texts", a=[["a"], None])
frame("lists of bools", a=[[True], [False]])
frame("lists of nothing", a=[[None], []])
frame("lists of lists", a=[[[1]], [[2]]])
frame("arrays of floats", a=[np.array([1.0]), np.array([2.0, 3.0])])
frame("arrays of float32", a=[np.array([1.0], "float32"), np.array([2.0], "float32")])
frame("arrays of uint8", a=[np.array([1], "uint8"), np.array([2], "uint8")])
frame("tuples", a=[(1, 2), (3, 4)])
frame("sets", a=[{1}, {2}])
frame("complex", a=[1j, 2j])
frame("decimals", a=[decimal.Decimal(1), decimal.Decimal(2)])
frame("numbers as names", **{"1": [1, 2]})
frame("no columns", index=["a", "b"])
frame("no rows", a=pd.Series([], dtype="int64"))
frame("no rows of objects", a=pd.Series([], dtype=object))
frame("no rows of texts", a=pd.Series([], dtype="string"))
CASES["nothing at all"] = lambda: knext.Table.from_pandas(pd.DataFrame())
CASES["nothing kept"] = lambda: knext.Table.from_pandas(pd.DataFrame(), row_ids="keep")
CASES["number as name"] = lambda: knext.Table.from_pandas(pd.DataFrame({1: [1, 2]}))
CASES["not a frame"] = lambda: knext.Table.from_pandas({"a": [1]})
CASES["name twice"] = lambda: knext.Table.from_pandas(pd.DataFrame([[1, 2]], columns=["a", "a"]))
CASES["series"] = lambda: knext.Table.from_pandas(pd.Series([1, 2]))
CASES["sliced"] = lambda: knext.Table.from_pandas(pd.DataFrame({"a": [1], "b": [2]}))[["b"]]
CASES["without the second"] = lambda: knext.Table.from_pandas(
    pd.DataFrame({"a": [1], "b": [2]})
).remove(1)
CASES["without numbers in a list"] = lambda: knext.Table.from_pandas(
    pd.DataFrame({"a": [1], "b": [2]})
).remove([0])
CASES["a frame"] = lambda: pd.DataFrame({"a": [1]})
CASES["nothing"] = lambda: None
CASES["two tables"] = lambda: [knext.Table.from_pandas(pd.DataFrame({"a": [1]}))] * 2
frame("empty name", **{"": [1, 2]})
frame("reserved name", **{"<RowID>": [1, 2]})
for rule in ("auto", "keep", "generate", "other"):
    frame(f"{rule}: texts as index", index=["x", "y"], row_ids=rule, a=[1, 2])
    frame(f"{rule}: numbers as index", index=[7, 9], row_ids=rule, a=[1, 2])
    frame(f"{rule}: floats as index", index=[0.5, 1.5], row_ids=rule, a=[1, 2])
    frame(f"{rule}: same index", index=["x", "x"], row_ids=rule, a=[1, 2])
    ids = pa.array(["x", "y"])
    arrow(f"{rule}: arrow texts", ids, pa.array([1, 2]), row_ids=rule, names=["<RowID>", "a"])
    arrow(f"{rule}: arrow numbers", pa.array([7, 9]), row_ids=rule, names=["<RowID>"])
    arrow(f"{rule}: arrow floats", pa.array([0.5]), row_ids=rule, names=["<RowID>"])
    arrow(f"{rule}: arrow unnamed", ids, pa.array([1, 2]), row_ids=rule)
arrow("arrow int32", pa.array([1], pa.int32()))
arrow("arrow half", pa.array([np.float16(1)]))
arrow("arrow float32", pa.array([1.5], pa.float32()))
arrow("arrow null", pa.nulls(2))
arrow("arrow large text", pa.array(["a"], pa.large_string()))
arrow("arrow binary", pa.array([b"a"]))
arrow("arrow large binary", pa.array([b"a"], pa.large_binary()))
arrow("arrow struct", pa.array([{"a": 1}]))
arrow("arrow dictionary", pa.array(["a", "b", "a"]).dictionary_encode())
arrow("arrow dictionary of bytes", pa.array([b"a"]).dictionary_encode())
arrow("arrow list", pa.array([[1, 2]]))
arrow("arrow list of float32", pa.array([[1.0]], pa.list_(pa.float32())))
arrow("arrow list of uint8", pa.array([[1]], pa.list_(pa.uint8())))
arrow("arrow large list", pa.array([[1]], pa.large_list(pa.int64())))
arrow("arrow fixed list", pa.array([[1]], pa.list_(pa.int64(), 1)))
arrow("arrow equal chunks", pa.chunked_array([[1, 2], [3, 4], [5]]))
arrow("arrow growing chunks", pa.chunked_array([[1], [2, 3]]))
arrow("arrow uneven chunks", pa.chunked_array([[1, 2], [3], [4, 5]]))
CASES["arrow without columns"] = lambda: knext.Table.from_pyarrow(pa.table({}))
for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F", "YCbCr", "HSV", "LAB"):
    CASES[f"image {mode}"] = lambda mode=mode: knext.Table.from_pandas(
        pd.DataFrame({"a": [None, Image.new(mode, (3, 2), 1 if mode in ("1", "I;16") else None)]})
    )


def cells(values: list, kind: type) -> pd.Series:
    return pd.Series(values, dtype=object).astype(knext.logical(kind).to_pandas())


@case
def images_cast():
    return knext.Table.from_pandas(
        pd.DataFrame({"a": cells([Image.new("L", (2, 2))], Image.Image)})
    )


@case
def no_image_cast():
    return knext.Table.from_pandas(pd.DataFrame({"a": cells([None, None], Image.Image)}))


def joined(name: str, *sizes: int, change: Callable[[Any], Any] = lambda frame: frame) -> None:
    """Add a frame of images made of several, perhaps changed afterwards."""

    def make() -> Any:
        parts = [
            pd.DataFrame({"n": range(n), "a": cells([Image.new("L", (2, 2))] * n, Image.Image)})
            for n in sizes
        ]
        return knext.Table.from_pandas(change(pd.concat(parts, ignore_index=True)))

    CASES[f"joined: {name}"] = make


joined("equal", 1, 1)
joined("equal and a smaller last", 2, 2, 1)
joined("growing", 1, 2)
joined("smaller between", 2, 1, 2)
joined("none and some", 0, 2)
joined("some and none", 2, 0)
joined("growing, all rows", 1, 2, change=lambda frame: frame.iloc[[0, 1, 2]])
joined("growing, some rows", 1, 2, change=lambda frame: frame.iloc[[0, 2]])
joined("growing, turned round", 1, 2, change=lambda frame: frame.iloc[::-1])
joined("growing, cast", 1, 2, change=lambda f: f.assign(a=cells(list(f["a"]), Image.Image)))


@case
def image_and_nan_cast():
    return knext.Table.from_pandas(pd.DataFrame({"a": cells([np.nan], Image.Image)}))


@case
def array_cast_as_image():
    return knext.Table.from_pandas(
        pd.DataFrame({"a": cells([np.zeros((2, 2), "uint8")], Image.Image)})
    )


@case
def image_of_no_pixels():
    return knext.Table.from_pandas(pd.DataFrame({"a": [Image.new("L", (0, 2))]}))


@case
def images_and_texts():
    return knext.Table.from_pandas(pd.DataFrame({"a": [Image.new("L", (2, 2)), "x"]}))


@case
def byte_vectors():
    values = [builtin.DenseByteVectorValue(b"ab"), None]
    return knext.Table.from_pandas(pd.DataFrame({"a": values}))


@case
def paths():
    return knext.Table.from_pandas(
        pd.DataFrame({"a": [builtin.FSLocationValue("LOCAL", None, "/a"), None]})
    )


@case
def unknown_objects():
    return knext.Table.from_pandas(pd.DataFrame({"a": [object()]}))


def batches(name: str, *made: Callable[[], Any], row_ids: str = "keep") -> None:
    def make() -> Any:
        out = knext.BatchOutputTable.create(row_ids=row_ids)
        for one in made:
            out.append(one())
        return out

    CASES[f"batches: {name}"] = make


def rows(n: int, start: int = 0, text: str = "r") -> Callable[[], Any]:
    index = [f"{text}{i}" for i in range(start, start + n)]
    return lambda: pd.DataFrame({"a": np.arange(n, dtype="int64")}, index)


def numbered(n: int) -> Callable[[], Any]:
    return lambda: pd.DataFrame({"a": np.arange(n, dtype="int64")})


batches("none")
batches("equal", rows(2), rows(2, 2))
batches("smaller last", rows(2), rows(1, 2))
batches("smaller between", rows(2), rows(1, 2), rows(2, 3))
batches("growing", rows(1), rows(2, 1))
batches("empty", rows(0))
batches("empty first", rows(0), rows(2))
batches("empty last", rows(2), rows(0))
batches("empty last and more", rows(2), rows(0), rows(2, 2))
batches("two empty", rows(0), rows(0))
batches("generated", numbered(2), numbered(2), row_ids="generate")
batches("numbers kept", numbered(2))
batches("same numbers kept", numbered(2), numbered(2))
batches("auto", numbered(2), row_ids="auto")
batches("nothing", pd.DataFrame)
batches("nothing generated", pd.DataFrame, row_ids="generate")
batches("other type", rows(1), lambda: pd.DataFrame({"a": ["x"]}, ["r2"]))
batches("other name", rows(1), lambda: pd.DataFrame({"b": [1]}, ["r2"]))
batches("more columns", rows(1), lambda: pd.DataFrame({"a": [1], "b": [1]}, ["r2"]))
batches(
    "all missing later",
    lambda: pd.DataFrame({"a": ["x"]}, ["r1"]),
    lambda: pd.DataFrame({"a": [None]}, ["r2"]),
)
batches("table", lambda: knext.Table.from_pandas(rows(2)()))
batches("table generated", lambda: knext.Table.from_pandas(rows(2)()), row_ids="generate")
batches("sliced table", lambda: knext.Table.from_pandas(rows(2)())[["a"]])
batches("sliced and got", lambda: knext.Table.from_pandas(rows(2)())[["a"]].get())
batches("record batch", lambda: pa.record_batch([pa.array(["x"]), pa.array([1])], names=["i", "a"]))
batches("record batch without ids", lambda: pa.record_batch([pa.array([1])], names=["a"]))
batches("chunks", lambda: pa.table({"i": pa.chunked_array([["x"], ["y"]])}))
batches("list", lambda: [1, 2])
CASES["from batches"] = lambda: knext.BatchOutputTable.from_batches(numbered(2)() for _ in range(2))
