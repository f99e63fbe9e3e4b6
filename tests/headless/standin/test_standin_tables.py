"""Tables on their way through nodes: types, RowIDs, batches, images."""

from __future__ import annotations

import textwrap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from microshot.headless import standin

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., standin.CanvasNode]
    Run = Callable[..., Any]

IN = "@knext.input_table('In', 'A table.')"
OUT = "@knext.output_table('Out', 'A table.')"
IMPORTS = "import numpy as np, pandas as pd, pyarrow as pa\nfrom PIL import Image\n"


@pytest.fixture
def made(node: Make) -> Run:
    """Return a function that runs `code` in execute of a node and gives its output table."""

    def run(code: str, announced: str = "None") -> standin.TableData:
        body = (
            f"def configure(self, ctx):\n    return {announced}\n"
            "def execute(self, ctx):\n" + textwrap.indent(IMPORTS + textwrap.dedent(code), "    ")
        )
        (out,) = node(body, OUT).execute([])
        return out

    return run


@pytest.fixture
def passed(node: Make) -> Run:
    """Return a function that passes a table through `code`, where it is called `table`."""

    def run(code: str, frame: pd.DataFrame, rows: int | None = None, **more: Any) -> Any:
        body = (
            "def configure(self, ctx, schema):\n    return None\n"
            "def execute(self, ctx, table):\n"
            + textwrap.indent(IMPORTS + textwrap.dedent(code), "    ")
        )
        tiny = node(body, f"{IN}\n{OUT}")
        table = standin.table_from_pandas(tiny._host, frame, rows)
        (out,) = tiny.execute([table], **more)
        return out

    return run


def frame(n: int, **more: Any) -> pd.DataFrame:
    index = pd.Index([f"id {i}" for i in range(n)], dtype=object)
    return pd.DataFrame({"n": np.arange(n, dtype="int64"), **more}, index)


REFUSED = [
    "int8", "uint8", "int16", "uint16", "uint32", "uint64", "float16",
]  # fmt: skip


@pytest.mark.parametrize("dtype", REFUSED)
def test_numbers_of_other_sizes_are_refused(dtype: str, made: Run) -> None:
    with pytest.raises(standin.NodeFailure, match=r"Column 'a' has the Arrow type .* KNIME"):
        made(f"return knext.Table.from_pandas(pd.DataFrame({{'a': np.zeros(2, '{dtype}')}}))")


@pytest.mark.parametrize(
    "values",
    [
        "pa.array([b'a'])",
        "pa.array([b'a'], pa.large_binary())",
        "pa.array(['a'], pa.large_string())",
        "pa.array([{'a': 1}])",
        "pa.array([[[1]]])",
        "pa.array([[1]], pa.list_(pa.uint8()))",
    ],
)
def test_arrow_types_that_knime_has_no_column_for_are_refused(values: str, made: Run) -> None:
    with pytest.raises(standin.NodeFailure, match="KNIME does not take"):
        made(f"return knext.Table.from_pyarrow(pa.table({{'a': {values}}}))")


def test_dates_are_named_as_not_offered(made: Run) -> None:
    with pytest.raises(standin.NodeFailure, match="date and time"):
        made("return knext.Table.from_pandas(pd.DataFrame({'a': pd.to_datetime(['2020-01-01'])}))")


def test_small_floats_are_widened(made: Run) -> None:
    out = made("return knext.Table.from_pandas(pd.DataFrame({'a': np.ones(1, 'float32')}))")
    assert out.spec.columns == [("a", "Number (Float)")]


@pytest.mark.parametrize("name", ["<RowID>", "", "  "])
def test_reserved_and_empty_names_are_refused(name: str, made: Run) -> None:
    with pytest.raises(standin.NodeFailure, match=r"reserved|empty"):
        made(f"return knext.Table.from_pandas(pd.DataFrame({{{name!r}: [1]}}))")


def test_a_name_cannot_occur_twice(made: Run) -> None:
    with pytest.raises(standin.NodeFailure, match="occurs twice"):
        made("return knext.Table.from_pandas(pd.DataFrame([[1, 2]], columns=['a', 'a']))")


def test_duplicate_row_ids_are_refused(made: Run) -> None:
    with pytest.raises(standin.NodeFailure, match=r"RowID 'x' occurs twice.*generate"):
        made("return knext.Table.from_pandas(pd.DataFrame({'a': [1, 2]}, ['x', 'x']))")


def test_row_ids_must_be_text(made: Run) -> None:
    with pytest.raises(standin.NodeFailure, match="RowIDs as text"):
        made("return knext.Table.from_pyarrow(pa.table({'a': [1]}), row_ids='keep')")


def test_missing_row_ids_are_refused(made: Run) -> None:
    with pytest.raises(standin.NodeFailure, match="has no RowID"):
        made("return knext.Table.from_pyarrow(pa.table({'<RowID>': ['a', None]}))")


def test_batches_keep_their_row_ids_by_default(made: Run) -> None:
    code = """
    out = knext.BatchOutputTable.create({})
    for i in range(2):
        out.append(pd.DataFrame({{'a': [i]}}))
    return out
    """
    with pytest.raises(standin.NodeFailure, match="RowID '0' occurs twice"):
        made(code.format(""))
    out = made(code.format("row_ids='generate'"))
    assert list(out.to_pandas().index) == ["Row0", "Row1"]


@pytest.mark.parametrize("sizes", [[1, 2], [2, 1, 1], [2, 1, 2], [0, 1], [2, 0, 2]])
def test_batches_of_other_sizes_are_refused(sizes: list[int], made: Run) -> None:
    code = f"""
    out = knext.BatchOutputTable.create(row_ids='generate')
    for n in {sizes}:
        out.append(pd.DataFrame({{'a': np.zeros(n)}}))
    return out
    """
    with pytest.raises(standin.NodeFailure, match="same number of rows"):
        made(code)


@given(n=st.integers(1, 5), batches=st.integers(0, 3), last=st.integers(0, 4))
@settings(max_examples=20, deadline=None)
def test_batches_are_equal_but_for_the_last(n: int, batches: int, last: int) -> None:
    sizes = [n] * batches + ([last] if 0 < last <= n else [])
    host = _host()
    from microshot.headless.standin.runtime import calling
    from microshot.headless.standin.table import BatchOutputTable

    with calling(host.session(executing=True)):
        out = BatchOutputTable.create(row_ids="generate")
        for size in sizes:
            out.append(pd.DataFrame({"a": np.zeros(size)}))
        out.sink.close()  # type: ignore[attr-defined]
        table = standin.TableData(out.sink.path)  # type: ignore[attr-defined]
    assert table.batch_sizes == sizes
    assert table.num_rows == sum(sizes)


@cache
def _host() -> standin.Host:
    standin.install()
    return standin.Host(Path(__file__).parents[1] / "toy_extension")


def test_batches_must_agree_in_their_columns(made: Run) -> None:
    code = """
    out = knext.BatchOutputTable.create(row_ids='generate')
    out.append(pd.DataFrame({'a': [1]}))
    out.append(pd.DataFrame({'a': ['x']}))
    return out
    """
    with pytest.raises(standin.NodeFailure, match="same columns and types"):
        made(code)


def test_a_slice_cannot_be_appended(made: Run) -> None:
    code = """
    out = knext.BatchOutputTable.create()
    out.append(knext.Table.from_pandas(pd.DataFrame({'a': [1]}))[['a']])
    return out
    """
    with pytest.raises(standin.NodeFailure, match=r"slice\.get"):
        made(code)


def test_uneven_chunks_are_refused(made: Run) -> None:
    with pytest.raises(standin.NodeFailure, match="combine_chunks"):
        made("return knext.Table.from_pyarrow(pa.table({'a': pa.chunked_array([[1], [2, 3]])}))")


def test_a_row_larger_than_a_batch_is_refused(made: Run) -> None:
    code = """
    import knime.types.builtin as b
    cell = b.DenseByteVectorValue(bytes(1 << 27))
    return knext.Table.from_pandas(pd.DataFrame({'a': [cell]}))
    """
    with pytest.raises(standin.NodeFailure, match="64 MiB"):
        made(code)


ANNOUNCED = "knext.Schema.from_columns([knext.Column(knext.int64(), 'a'), knext.Column(knext.string(), 'b')])"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("{'a': [1], 'b': ['x']}", None),
        ("{'b': ['x'], 'a': [1]}", "announced the columns"),
        ("{'a': [1]}", "announced the columns"),
        ("{'a': [1.0], 'b': ['x']}", r"announced column 'a' as Number \(Long\).*Number \(Float\)"),
        ("{'a': [1], 'b': [None]}", r"as String.*as \? because every cell is missing"),
    ],
)
def test_execute_returns_what_configure_announced(
    columns: str, message: str | None, made: Run
) -> None:
    code = f"return knext.Table.from_pandas(pd.DataFrame({columns}))"
    if message is None:
        assert made(code, ANNOUNCED).num_rows == 1
        return
    with pytest.raises(standin.NodeFailure, match=message):
        made(code, ANNOUNCED)


def test_an_output_into_which_nothing_was_appended_has_no_columns(made: Run) -> None:
    code = "return knext.BatchOutputTable.create()"
    assert made(code).spec.columns == []
    with pytest.raises(standin.NodeFailure, match="without columns"):
        made(code, ANNOUNCED)


@pytest.mark.parametrize(
    "kind",
    ["knext.blob()", "knext.struct(knext.int32())", "knext.string(knext.DictEncodingKeyType.INT)"],
)
def test_types_without_a_column_cannot_be_announced(kind: str, made: Run) -> None:
    with pytest.raises(standin.NodeFailure, match="no column type"):
        made("return None", f"knext.Schema.from_columns([knext.Column({kind}, 'a')])")


def test_a_name_cannot_be_announced_twice(made: Run) -> None:
    with pytest.raises(standin.NodeFailure, match="occurs twice"):
        made("return None", "knext.Schema.from_columns([knext.Column(knext.int32(), 'a')] * 2)")


def test_tables_are_made_in_execute_only(node: Make) -> None:
    body = (
        "def configure(self, ctx):\n    import pandas as pd\n"
        "    knext.Table.from_pandas(pd.DataFrame({'a': [1]}))\n"
        "def execute(self, ctx):\n    return None\n"
    )
    with pytest.raises(standin.NodeFailure, match="only inside a node's execute"):
        node(body, OUT).configure([])


def test_a_table_arrives_with_row_ids_as_index(passed: Run) -> None:
    data = frame(3, s=pd.array(["a", None, "c"], dtype="string"))
    out = passed("return knext.Table.from_pandas(table.to_pandas())", data)
    pd.testing.assert_frame_equal(out.to_pandas(), data, check_index_type=False, check_names=False)
    assert out.to_pandas().index.name == "<RowID>"
    assert out.to_pyarrow().column_names[0] == "<RowID>"


@pytest.mark.parametrize("n", [0, 1, 5])
def test_batches_can_be_passed_on_one_by_one(n: int, passed: Run) -> None:
    code = """
    out = knext.BatchOutputTable.create()
    for batch in table.batches():
        out.append(batch.to_pyarrow())
    return out
    """
    out = passed(code, frame(n), 2)
    assert out.num_rows == n
    assert out.batch_sizes == {0: [0], 1: [1], 5: [2, 2, 1]}[n]
    assert out.spec.columns == [("n", "Number (Long)")]


@pytest.mark.parametrize(
    "code",
    ["next(table[['n']].batches())", "next(next(table.batches()).batches())"],
)
def test_only_unchanged_inputs_have_batches(code: str, passed: Run) -> None:
    with pytest.raises(standin.NodeFailure, match="as they are passed to execute"):
        passed(code, frame(2))


def test_tables_are_sliced_by_columns_and_rows(passed: Run) -> None:
    out = passed("return table[['n'], 1:3]", frame(5, x=np.zeros(5)))
    assert list(out.to_pandas()["n"]) == [1, 2]
    assert list(out.to_pandas().index) == ["id 1", "id 2"]
    with pytest.raises(standin.NodeFailure, match="'y' does not exist"):
        passed("return table[['y']]", frame(1))


def test_a_column_of_a_slice_is_not_looked_up_with_in(passed: Run) -> None:
    with pytest.raises(standin.NodeFailure, match=r"in view\.column_names"):
        passed("return 'n' in table[['n']]", frame(1))


def test_tables_cannot_be_appended_to(passed: Run) -> None:
    with pytest.raises(standin.NodeFailure, match="cannot append columns"):
        passed("return table.append(table)", frame(1))


def test_what_knime_says_of_a_column_is_part_of_it(passed: Run) -> None:
    code = """
    column = next(iter(table.schema))
    assert column.metadata["displayed_column_type"] == "Number (Long)"
    assert column != knext.Column(knext.int64(), "n")
    assert column.ktype == knext.int64()
    assert table.schema["n"].ktype == knext.int64()
    return table
    """
    passed(code, frame(1))


def test_images_are_found_by_their_value_factory(passed: Run) -> None:
    code = """
    kinds = [getattr(c.ktype, "logical_type", "") for c in table.schema]
    assert ["PNGImageValueFactory" in kind for kind in kinds] == [False, True]
    assert table.schema["i"].ktype == knext.logical(Image.Image)
    assert str(table.schema["i"].ktype) == "PNG Image"
    return table
    """
    passed(code, frame(1, i=[Image.new("L", (2, 2))]))


pixels = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "I;16"])
@given(drawn=pixels)
@settings(max_examples=10, deadline=None)
def test_images_survive_without_loss(mode: str, drawn: tuple[int, int, int]) -> None:
    height, width, seed = drawn
    rng = np.random.default_rng(seed)
    channels = {"RGB": (3,), "RGBA": (4,)}.get(mode, ())
    top, dtype = {"1": (2, bool), "I;16": (2**16, np.uint16)}.get(mode, (256, np.uint8))
    values = rng.integers(0, top, (height, width, *channels)).astype(dtype)
    image = Image.fromarray(values)
    assert image.mode == mode
    table = standin.table_from_pandas(_host(), pd.DataFrame({"i": [image, None]}))
    back, nothing = table.to_pandas()["i"]
    assert nothing is None
    np.testing.assert_array_equal(np.asarray(back), values)
    assert np.asarray(back).dtype == dtype


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("Image.new('F', (2, 2))", "mode F"),
        ("Image.new('I', (2, 2))", "mode I;"),
        ("Image.new('LA', (2, 2))", "mode LA"),
        ("Image.new('CMYK', (2, 2))", "mode CMYK"),
        ("Image.new('L', (0, 2))", "at least one pixel"),
        ("np.zeros((2, 2), 'uint8')", "needs a PIL image"),
        ("float('nan')", "needs a PIL image"),
        ("'x.png'", "needs a PIL image"),
    ],
)
def test_images_that_would_be_damaged_are_refused(image: str, message: str, made: Run) -> None:
    code = f"""
    values = pd.Series([None], dtype=object)
    values[0] = {image}
    return knext.Table.from_pandas(
        pd.DataFrame({{'a': values.astype(knext.logical(Image.Image).to_pandas())}})
    )
    """
    with pytest.raises(standin.NodeFailure, match=message):
        made(code)


def test_a_file_of_several_pages_is_refused(made: Run) -> None:
    code = """
    import io
    buffer = io.BytesIO()
    page = Image.new('L', (2, 2))
    page.save(buffer, 'TIFF', save_all=True, append_images=[page])
    pages = pd.Series([Image.open(buffer)]).astype(knext.logical(Image.Image).to_pandas())
    return knext.Table.from_pandas(pd.DataFrame({'a': pages}))
    """
    with pytest.raises(standin.NodeFailure, match="2 pages"):
        made(code)


def test_an_image_column_of_nothing_keeps_its_type_if_cast(made: Run) -> None:
    code = """
    cells = pd.Series([None, None], dtype=object).astype(knext.logical(Image.Image).to_pandas())
    return knext.Table.from_pandas(pd.DataFrame({'a': cells, 'b': [None, None]}))
    """
    out = made(code)
    assert out.spec.columns == [("a", "PNG Image"), ("b", "?")]
    assert list(out.to_pandas()["a"]) == [None, None]


@pytest.mark.parametrize(
    "code",
    [
        "return table",
        "return table[['i', 'n']]",
        "return knext.Table.from_pyarrow(table.to_pyarrow())",
        "return knext.Table.from_pandas(table.to_pandas())",
        "out = knext.BatchOutputTable.create()\nfor b in table.batches():\n    out.append(b)\nreturn out",
        "return knext.Table.from_pandas(table.to_pandas().iloc[::-1])",
        "d = table.to_pandas()\nreturn knext.Table.from_pandas(d[d['n'] > 0])",
    ],
)
def test_images_that_pass_through_are_neither_decoded_nor_written_again(
    code: str, passed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = frame(4, i=[Image.new("L", (2, 2), i) if i else None for i in range(4)])
    used: list[str] = []
    from microshot.headless.standin import cells

    def watched(name: str, function: Callable) -> Callable:
        def call(value: Any) -> Any:
            used.append(name)
            return function(value)

        return call

    encode, decode = cells._CODECS[cells.PNG]
    watching = (watched("encode", encode), watched("decode", decode))
    monkeypatch.setitem(cells._CODECS, cells.PNG, watching)
    out = passed(code, data, 2)
    assert used == ["encode"] * 3  # when the input was made
    shown = out.to_pandas().sort_values("n")
    assert [im and im.getpixel((0, 0)) for im in shown["i"] if im] == [1, 2, 3]


def test_cells_of_a_column_can_be_replaced(passed: Run) -> None:
    code = """
    data = table.to_pandas()
    data.loc["id 1", "i"] = Image.new('L', (2, 2), 9)
    assert list(data["i"].isna()) == [True, False, False]
    return knext.Table.from_pandas(data)
    """
    out = passed(code, frame(3, i=[None, *(Image.new("L", (2, 2), i) for i in (1, 2))]))
    assert [im and im.getpixel((0, 0)) for im in out.to_pandas()["i"]] == [None, 9, 2]


def test_arrow_gives_decoded_images(passed: Run) -> None:
    code = """
    column = table.to_pyarrow().column("i")
    assert [one and one.size for one in column.to_pylist()] == [None, (2, 3)]
    assert column[1].as_py().size == (2, 3) and column[0].as_py() is None
    return table
    """
    passed(code, frame(2, i=[None, Image.new("L", (2, 3))]), 1)


def test_bytes_and_paths_survive(made: Run) -> None:
    code = """
    import knime.types.builtin as b
    data = pd.DataFrame({
        'v': [b.DenseByteVectorValue(b'ab'), None],
        'p': [b.FSLocationValue('LOCAL', None, '/a.tif'), None],
    })
    return knext.Table.from_pandas(data)
    """
    out = made(code)
    assert out.spec.columns == [("v", "Byte vector"), ("p", "Path")]
    shown = out.to_pandas()
    assert list(shown["v"]) == [b"ab", None]
    assert shown["p"].iloc[0].path == "/a.tif"
    assert shown["p"].iloc[1] is None


def test_inputs_obey_the_rules_for_outputs(toy: standin.Host) -> None:
    with pytest.raises(ValueError, match="KNIME does not take"):
        standin.table_from_pandas(toy, pd.DataFrame({"a": np.zeros(2, "uint8")}))
    data = pa.table({"<RowID>": ["x", "y", "z"], "a": [1, 2, 3]})
    assert standin.table_from_pyarrow(toy, data, 2).batch_sizes == [2, 1]


def test_images_can_be_cast_before_they_enter_a_host(toy: standin.Host) -> None:
    import knime.extension as knext

    cells = pd.Series([Image.new("L", (2, 2), 5), None], dtype=object)
    data = pd.DataFrame({"i": cells.astype(knext.logical(Image.Image).to_pandas())})
    assert standin.table_from_pandas(toy, data).to_pandas()["i"].iloc[0].getpixel((0, 0)) == 5


def test_sentinels_are_not_offered(passed: Run) -> None:
    with pytest.raises(standin.NodeFailure, match="sentinel"):
        passed("return table.to_pandas(sentinel='min')", frame(1))
