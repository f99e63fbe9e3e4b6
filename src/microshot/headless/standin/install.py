"""Puts the stand-in where nodes look for KNIME's API: ``import knime.extension as knext``."""

from __future__ import annotations

import importlib.util
import sys
import types as python_types
from typing import Any

from microshot.headless.standin import (
    cells,
    choices,
    columns,
    contexts,
    failure,
    groups,
    nodes,
    numeric,
    parameters,
    ports,
    rules,
    runtime,
    schema,
    table,
    types,
    views,
)

_OFFERED: dict[Any, str] = {
    numeric: "IntParameter DoubleParameter",
    parameters: "BoolParameter StringParameter",
    choices: "EnumParameter EnumParameterOptions",
    columns: "ColumnParameter MultiColumnParameter",
    groups: "parameter_group LayoutDirection",
    rules: "Effect OneOf DialogContextCondition Condition",
    runtime: "Version",
    ports: "PortType Port PortObject ViewDeclaration ImageFormat port_type input_binary input_table "
    "input_port output_binary output_table output_port output_view output_image "
    "input_table_group input_binary_group input_port_group BinaryPortObjectSpec "
    "ImagePortObjectSpec",
    contexts: "ConfigurationContext ExecutionContext DialogCreationContext",
    nodes: "PythonNode category NodeType node",
    failure: "InvalidParametersError WorkflowExecutionError",
    table: "Table BatchOutputTable",
    types: "KnimeType PrimitiveTypeId DictEncodingKeyType PrimitiveType ListType StructType "
    "LogicalType int32 int64 double bool_ string blob list_ struct logical datetime null",
    schema: "PortObjectSpec Column Schema",
    views: "view view_html view_svg view_png view_jpeg",
}
_IN_SCHEMA = (types, schema)
_NOT_OFFERED = (
    "MultilineStringParameter LocalPathParameter EnumSetParameter ColumnFilterParameter "
    "ColumnFilterConfig DateTimeParameter ParameterArray And Or Contains ConnectionPortObject "
    "output_table_group output_binary_group output_image_group output_port_group CredentialPortObjectSpec view_ipy_repr view_plotly "
    "view_matplotlib view_seaborn ProxySettings get_proxy_settings DenseBitVectorValue "
    "BooleanSetValue"
)


def _names(*sources: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for one in sources for name in _OFFERED[one].split()}


def _module(name: str, content: dict[str, Any], *, package: bool = False) -> Any:
    module = python_types.ModuleType(name, "Stand-in for the module of this name in KNIME.")

    def __getattr__(attribute: str) -> Any:
        if attribute in _NOT_OFFERED.split():
            raise failure.missing(f"{name}.{attribute}")
        raise AttributeError(f"module {name!r} has no attribute {attribute!r}")

    module.__dict__.update(content, __getattr__=__getattr__, __standin__=True)
    if package:
        module.__path__ = []
    return module


def is_installed() -> bool:
    """Tell whether ``knime.extension`` is this stand-in."""
    return getattr(sys.modules.get("knime.extension"), "__standin__", False)


def install() -> bool:
    """Register the stand-in as ``knime.extension``, unless KNIME's own can be imported.

    Returns
    -------
    True if ``knime.extension`` is the stand-in, False if it is KNIME's own.
    """
    if is_installed():
        return True
    try:
        if importlib.util.find_spec("knime.extension") is not None:
            return False
    except ModuleNotFoundError:  # there is no knime, or one of another kind
        pass
    cells.register_cell_type()
    in_schema = _names(*_IN_SCHEMA)
    everything = _names(*_OFFERED)
    everything["supported_value_types"] = types.LogicalType.supported_value_types
    in_types = {
        "FSLocationValue": cells.FSLocationValue,
        "DenseByteVectorValue": cells.DenseByteVectorValue,
    }
    for cell in in_types.values():  # known to `logical` and to pickles by this address
        cell.__module__ = "knime.types.builtin"
    modules = [
        _module("knime", {}, package=True),
        _module("knime.extension", everything),
        _module("knime.api", {}, package=True),
        _module("knime.api.schema", in_schema),
        _module("knime.api.table", _names(table)),
        _module("knime.types", {}, package=True),
        _module("knime.types.builtin", in_types),
    ]
    for module in modules:
        sys.modules[module.__name__] = module
        parent, _, child = module.__name__.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    return True
