"""The column types of KNIME that nodes may use, and what KNIME calls them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

from microshot.headless.standin.failure import missing


class KnimeType:
    """Base class of all column types."""

    def __init__(self) -> None:
        if type(self) is KnimeType:
            raise TypeError(
                "KnimeType is a base class; use knext.int32(), knext.string() and so on."
            )

    def __repr__(self) -> str:
        return str(self)


class PrimitiveTypeId(Enum):
    """The primitive types and their names in KNIME's table view."""

    INT = "Number (Integer)"
    LONG = "Number (Long Integer)"
    STRING = "String"
    DOUBLE = "Number (Float)"
    BOOL = "Boolean"
    BLOB = "blob"
    NULL = "null"


class DictEncodingKeyType(Enum):
    """Key types of dictionary-encoded columns; a node cannot output such a column."""

    INT = "INT_KEY"
    LONG = "LONG_KEY"
    BYTE = "BYTE_KEY"


@dataclass(frozen=True, repr=False)
class PrimitiveType(KnimeType):
    type_id: PrimitiveTypeId
    dict_encoding_key_type: DictEncodingKeyType | None = None

    def __str__(self) -> str:
        key = self.dict_encoding_key_type
        return self.type_id.value + (f"[dict_encoding={key.value}]" if key else "")

    @property
    def plain_type(self) -> PrimitiveType:
        return _primitive(self.type_id)


@dataclass(frozen=True, repr=False)
class ListType(KnimeType):
    inner_type: KnimeType

    def __post_init__(self) -> None:
        if not isinstance(self.inner_type, KnimeType):
            raise TypeError(f"A list type needs a KNIME type inside, found {self.inner_type!r}.")

    def __str__(self) -> str:
        return f"List (Collection of: {self.inner_type})"


@dataclass(frozen=True, repr=False)
class StructType(KnimeType):
    inner_types: tuple[KnimeType, ...]

    def __str__(self) -> str:
        return f"struct<{', '.join(map(str, self.inner_types))}>"


@dataclass(frozen=True, repr=False)
class LogicalType(KnimeType):
    """A type with a meaning in KNIME, for example "PNG Image", stored as something simpler."""

    logical_type: str
    storage_type: KnimeType
    proxy_type = None

    def __str__(self) -> str:
        return CELL_TYPES[self.logical_type].name

    @property
    def value_type(self) -> str:
        """The Python type of the values, as ``"PIL.Image.Image"``."""
        return CELL_TYPES[self.logical_type].python_type

    def to_pyarrow(self) -> Any:
        """Return the Arrow extension type of such a column."""
        from microshot.headless.standin.cells import cell_type

        return cell_type(self.logical_type)

    def to_pandas(self) -> Any:
        """Return the pandas dtype of such a column, for ``series.astype``."""
        return self.to_pyarrow().to_pandas_dtype()

    @staticmethod
    def supported_value_types() -> str:
        """Name the Python types that `logical` accepts."""
        names = ", ".join(cell.python_type for cell in CELL_TYPES.values())
        return f"The stand-in for KNIME offers logical types for {names}."


@cache
def _primitive(type_id: PrimitiveTypeId, key: DictEncodingKeyType | None = None) -> PrimitiveType:
    return PrimitiveType(type_id, key)


def int32() -> PrimitiveType:
    return _primitive(PrimitiveTypeId.INT)


def int64() -> PrimitiveType:
    return _primitive(PrimitiveTypeId.LONG)


def double() -> PrimitiveType:
    return _primitive(PrimitiveTypeId.DOUBLE)


def bool_() -> PrimitiveType:
    return _primitive(PrimitiveTypeId.BOOL)


def null() -> PrimitiveType:
    return _primitive(PrimitiveTypeId.NULL)


def string(dict_encoding_key_type: DictEncodingKeyType | None = None) -> PrimitiveType:
    return _primitive(PrimitiveTypeId.STRING, dict_encoding_key_type)


def blob(dict_encoding_key_type: DictEncodingKeyType | None = None) -> PrimitiveType:
    return _primitive(PrimitiveTypeId.BLOB, dict_encoding_key_type)


def list_(inner_type: KnimeType) -> ListType:
    return ListType(inner_type)


def struct(*inner_types: KnimeType) -> StructType:
    return StructType(inner_types)


def datetime(date: bool = True, time: bool = True, timezone: bool = False) -> LogicalType:
    raise missing("date and time columns (knext.datetime)")


class CellKind(NamedTuple):
    """A logical type: its name for users, Python class, storage and Java value class."""

    name: str
    python_type: str
    storage: KnimeType
    java_value: str


def _factory(java_class: str) -> str:
    return f'{{"value_factory_class":"{java_class}"}}'


PNG = _factory("org.knime.core.data.image.png.PNGImageValueFactory")
BYTES = _factory("org.knime.core.data.v2.value.DenseByteVectorValueFactory")
PATH = _factory("org.knime.filehandling.core.data.location.FSLocationValueFactory")
CELL_TYPES: dict[str, CellKind] = {
    PNG: CellKind(
        "PNG Image",
        "PIL.Image.Image",
        struct(string(), blob()),
        "org.knime.core.data.image.png.PNGImageValue",
    ),
    BYTES: CellKind(
        "Byte vector",
        "knime.types.builtin.DenseByteVectorValue",
        blob(),
        "org.knime.core.data.vector.bytevector.ByteVectorValue",
    ),
    PATH: CellKind(
        "Path",
        "knime.types.builtin.FSLocationValue",
        struct(string(), string(), string()),
        "org.knime.filehandling.core.data.location.FSLocationValue",
    ),
}
_BY_PYTHON_TYPE = {cell.python_type: key for key, cell in CELL_TYPES.items()}
_BY_PYTHON_TYPE["PIL.PngImagePlugin.PngImageFile"] = PNG
_NOT_OFFERED = {"datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta",
                "xml.etree.ElementTree.ElementTree"}  # fmt: skip


def logical(value_type: Any) -> LogicalType:
    """Return the logical type for a Python class, matched by its module and name.

    Raises
    ------
    TypeError : if KNIME has no column type for the class.
    NotImplementedError : if KNIME has one and the stand-in has not.
    """
    name = f"{getattr(value_type, '__module__', '')}.{getattr(value_type, '__qualname__', '')}"
    if name in _NOT_OFFERED:
        raise missing(f"columns of {name}")
    if name not in _BY_PYTHON_TYPE:
        raise TypeError(
            f"KNIME has no column type for {value_type!r}; {LogicalType.supported_value_types()}"
        )
    key = _BY_PYTHON_TYPE[name]
    return LogicalType(key, CELL_TYPES[key].storage)


class _Plain(NamedTuple):
    code: str
    shown: str
    java_value: str


_PLAIN: dict[KnimeType, _Plain] = {
    int32(): _Plain("int", "Number (Integer)", "org.knime.core.data.IntValue"),
    int64(): _Plain("long", "Number (Long)", "org.knime.core.data.LongValue"),
    double(): _Plain("double", "Number (Float)", "org.knime.core.data.DoubleValue"),
    string(): _Plain("string", "String", "org.knime.core.data.StringValue"),
    bool_(): _Plain("boolean", "Boolean", "org.knime.core.data.BooleanValue"),
    null(): _Plain("void", "?", "org.knime.core.data.DataValue"),
}
_BY_CODE: dict[str, KnimeType] = {plain.code: ktype for ktype, plain in _PLAIN.items()}
_LIST_VALUE = "org.knime.core.data.collection.ListDataValue"


def encode_type(ktype: KnimeType) -> str:
    """Write a type as text for a spec: ``"int"``, ``"list(double)"``, or a value factory.

    Raises
    ------
    ValueError : for types that no column of KNIME can have (blob, struct, dictionary-encoded).
    """
    if isinstance(ktype, LogicalType):
        return ktype.logical_type
    if ktype in _PLAIN:
        return _PLAIN[ktype].code
    if isinstance(ktype, ListType) and ktype.inner_type in _PLAIN:
        return f"list({_PLAIN[ktype.inner_type].code})"
    if isinstance(ktype, ListType) and isinstance(ktype.inner_type, LogicalType | ListType):
        raise missing(f"columns of type {ktype}")
    raise ValueError(
        f"KNIME has no column type {ktype}; use a string, number, image or byte vector."
    )


def decode_type(text: str) -> KnimeType:
    """Read what `encode_type` wrote."""
    if text in CELL_TYPES:
        return LogicalType(text, CELL_TYPES[text].storage)
    if text.startswith("list("):
        return list_(_BY_CODE[text[5:-1]])
    return _BY_CODE[text]


def java_names(text: str) -> tuple[str, str]:
    """Return (name shown in KNIME, preferred Java value class) of an encoded type."""
    if text in CELL_TYPES:
        return CELL_TYPES[text].name, CELL_TYPES[text].java_value
    if text.startswith("list("):
        return f"List (Collection of: {_PLAIN[_BY_CODE[text[5:-1]]].shown})", _LIST_VALUE
    plain = _PLAIN[_BY_CODE[text]]
    return plain.shown, plain.java_value
