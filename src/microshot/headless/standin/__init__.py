"""A stand-in for KNIME's Python node API: runs an extension's nodes without KNIME, as strictly.

Nodes are classes decorated with ``knext.*`` and written for KNIME 5.5. The stand-in offers what a
pure-Python image extension needs of it, with real Arrow tables in files, and refuses what KNIME
(its Python or its Java side) refuses. What it does not offer raises NotImplementedError by name.

    from microshot.headless import standin

    standin.install()                    # False where KNIME's own API can be imported
    host = standin.Host(root)            # root holds knime.yml; imports extension_module
    assert host.problems() == []         # what KNIME would refuse before any node runs
    node = host.node("train")            # as if dropped on the canvas
    node.set("optimisation.epochs", 3)   # stored values, checked as when a dialog is applied
    table = standin.table_from_pandas(host, frame, rows_per_batch=4)
    (spec,) = node.configure([table.spec])
    (model,) = node.execute([table])     # configures first; runs in a thread of its own
    node.warnings, node.progress, node.view_html, node.flow_variables

Inputs and outputs have one entry per port: None for an unconnected optional port, a list for a
port group. Between nodes lie `TableData`, `PortData` and `ImageData`, each with its `spec`
(`Spec`, JSON). Every call makes a fresh instance of the node's class; only its parameters
survive, also those it changes itself. `NodeFailure` carries the message that KNIME would show.

`node.settings` and `node.schema()` are what KNIME keeps below ``model``; `node.dialog(specs)` is
the dialog's JSON with scopes that begin at ``#/properties/model``, descriptions in Markdown.
"""

from microshot.headless.standin.canvas import CanvasNode
from microshot.headless.standin.data import ImageData, PortData, Spec, TableData
from microshot.headless.standin.failure import NodeFailure
from microshot.headless.standin.host import Host, NodeInfo, table_from_pandas, table_from_pyarrow
from microshot.headless.standin.install import install, is_installed

__all__ = [
    "CanvasNode",
    "Host",
    "ImageData",
    "NodeFailure",
    "NodeInfo",
    "PortData",
    "Spec",
    "TableData",
    "install",
    "is_installed",
    "table_from_pandas",
    "table_from_pyarrow",
]
