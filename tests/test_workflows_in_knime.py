"""Settings stored in workflows and by earlier versions pass KNIME's own check of parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from both_hosts import Extension, needs_knime, run_real, step
from kept_files import KEPT
from microshot import __version__
from microshot.headless import standin
from microshot.headless.settings_xml import config_to_settings, settings_version
from microshot.headless.workflow import ExtensionNode
from microshot.headless.workflow_reader import read_workflow
from microshot.headless.workflow_xml import read_config

ROOT = Path(__file__).parents[1]
EXTENSION = Extension(
    ROOT, "microshot_extension", __version__, ROOT / "tests" / "nodes" / "knime_tables.py"
)

pytestmark = needs_knime


def stored() -> list[tuple[str, str, dict[str, Any], str]]:
    """Return title, node, settings and version of everything that is stored."""
    found = []
    workflows = ROOT / "workflows"
    for path in sorted(
        [*workflows.glob("*.knwf"), *(p.parent for p in workflows.glob("*/*.knime"))]
    ):
        for node in read_workflow(path).nodes:
            if isinstance(node.kind, ExtensionNode):
                title = f"{path.name}: {node.title}"
                version = node.saved_version or __version__
                found.append((title, node.kind.node_id, dict(node.settings), version))
    for path in sorted(KEPT.glob("*/settings/*.xml")):
        config = read_config(path)
        version = settings_version(config)
        found.append((f"{version}: {path.stem}", path.stem, config_to_settings(config), version))
    return found


def test_stored_settings_are_taken_by_knime_as_they_are():
    assert standin.install()
    host, steps = standin.Host(ROOT), []
    for title, node, settings, version in stored():
        nothing = [None] * len(host.nodes[node].input_ports)
        steps.append(step(title, node, nothing, load=settings, version=version, until="validate"))
    assert len(steps) > 40
    real = run_real(EXTENSION, steps)
    assert {name: one["refused"] for name, one in real.items() if "refused" in one} == {}
    for one in steps:
        assert nulls(real[one["name"]]["taken"]) == nulls(one["load"]), one["name"]


def nulls(data: Any) -> Any:
    """Return settings in which KNIME 5.5's empty column is that of later versions."""
    if isinstance(data, dict):
        return {key: nulls(value) for key, value in data.items()}
    return "" if data is None else data
