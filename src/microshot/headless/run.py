"""Running a saved workflow without KNIME, node by node in the order of its connections."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microshot.headless import standin
from microshot.headless.kept_data import PassingArea
from microshot.headless.result_folder import ResultFolder
from microshot.headless.results import NodeResult, NodeState, PortResult, WorkflowResult
from microshot.headless.standin import NodeFailure
from microshot.headless.wiring import Wired, check_table_input, configure_all, wire
from microshot.headless.workflow_reader import open_workflow
from microshot.progress import Cancelled, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from microshot.headless.workflow import Workflow, WorkflowNode
    from microshot.progress import Progress

_SECONDS = {"Learner": 60.0, "Predictor": 3.0, "Source": 2.0}
"""How long nodes of a kind take, roughly, for the overall progress; others take 2 s."""
_TIME_LIMIT = "minutes"
"""A node with this setting works as long as it says, and a little longer."""
_POLL_S = 0.2
"""How often, in seconds, a node that asks whether to stop passes the question on."""


def run_workflow(
    path: Path,
    *,
    extension_root: Path,
    overrides: Mapping[str, object] | None = None,
    out: Path | None = None,
    progress: Progress = silent,
) -> WorkflowResult:
    """Run every node of a saved workflow.

    Parameters
    ----------
    path : workflow folder or `.knwf` file.
    extension_root : folder with the extension's `knime.yml`.
    overrides : parameters to change, by ``node.parameter`` (see `resolve_overrides`).
    out : folder for the results, new or empty or of an earlier run; filled after every node.
    progress : receives the share of the whole work and, before the message, the node's name.
        If it raises `Cancelled`, the running node is asked to stop and no further one starts.

    Returns
    -------
    What every node gave. A node that fails or is stopped ends the run: see `error` and
    `cancelled` of the result; the nodes before it keep their results. Nothing is run if a node
    can be seen to fail from its settings; results of an earlier run in `out` stay then. The data
    area of a `.knwf` file lasts as long as the run; what nodes wrote there is copied into the
    folder ``data`` of `out`, else into a new folder of the current one (see `kept` of the result).

    Raises
    ------
    FileNotFoundError : if there is no workflow.
    FileExistsError : if `out` holds other files.
    ValueError : if `out` lies in the workflow folder, with which results would be packed and sent, or
        the workflow is damaged or holds nodes that only KNIME can run.
    OverrideError : if `overrides` name something that does not exist, or a value does not fit.
    RuntimeError : where KNIME's own Python API is installed.
    """
    if not standin.install():
        raise RuntimeError(
            "This Python has KNIME's own API, beside which workflows cannot be run without KNIME; "
            "use another Python environment."
        )
    with open_workflow(path) as opened:
        host = standin.Host(extension_root)
        wired = wire(opened.workflow, host, overrides or {})
        area = None
        if not Path(path).is_dir():
            here = Path(f"{opened.workflow.name} data")
            area = PassingArea.at(opened.data_area, here if out is None else out / "data")
        folder = None
        if out is not None:
            _check_outside(out, Path(path))
            folder = ResultFolder(out, opened.workflow, area.told if area else str)
        said = area.said if area else str
        run = _Run(wired, progress, opened.data_area, folder, said)
        failures = configure_all(wire(opened.workflow, host, overrides or {})).failures
        if failures:
            return run.refused(failures)
        if folder is not None:
            folder.begin()
        return run.all_nodes() if area is None else _packed_run(run, area)


def _check_outside(out: Path, workflow: Path) -> None:
    """Refuse results in the folder of the workflow, of which they would become a part."""
    there = out.resolve()
    if workflow.is_dir() and workflow.resolve() in (there, *there.parents):
        raise ValueError(
            f'"{out}": expected a place outside of the workflow folder, whose part the results would '
            "become; choose another folder."
        )


def _packed_run(run: _Run, area: PassingArea) -> WorkflowResult:
    """Run the nodes and keep what they write into the data area, which is deleted afterwards."""
    try:
        result = run.all_nodes()
    finally:
        kept = area.keep()
    return replace(result, kept=kept)


@dataclass
class _Run:
    """One run; `results` grows with every node that has had its turn."""

    wired: Wired
    progress: Progress
    data_area: Path
    folder: ResultFolder | None
    said: Callable[[str], str]
    """Returns what a node says as it is true when the run is over."""
    results: list[NodeResult] = field(default_factory=list)
    produced: dict[int, list[Any]] = field(default_factory=dict)
    cancelled: bool = False

    def refused(self, failures: Mapping[int, NodeFailure]) -> WorkflowResult:
        """Report nodes that cannot work, whatever the nodes before them give.

        Nothing has run that is worth the results of an earlier run: these are left alone.
        """
        if self.folder is not None:
            if self.folder.holds_results:
                self.folder = None
            else:
                self.folder.begin()
        for node in self.wired.workflow.in_order():
            if node.id in failures:
                self._add(_failed(node, failures[node.id]))
        return self._result()

    def all_nodes(self) -> WorkflowResult:
        """Run the nodes until one fails or is stopped."""
        spans = _spans(self.wired)
        for node in self.wired.workflow.in_order():
            self._add(self._one_node(node, *spans[node.id]))
            if self.results[-1].state != "executed":
                break
        return self._result()

    def _result(self) -> WorkflowResult:
        ended = {result.node.id for result in self.results}
        rest = [
            NodeResult(node, "not run")
            for node in self.wired.workflow.in_order()
            if node.id not in ended
        ]
        results = (*self.results, *rest)
        page = None if self.folder is None else self.folder.page
        return WorkflowResult(self.wired.workflow, results, keeper=self.wired.host, page=page)

    def _add(self, result: NodeResult) -> None:
        warnings = tuple(map(self.said, result.warnings))
        error = None if result.error is None else self.said(result.error)
        result = replace(result, warnings=warnings, error=error)
        self.results.append(result)
        if self.folder is not None:
            self.folder.add(result)

    def _one_node(self, node: WorkflowNode, start: float, stop: float) -> NodeResult:
        """Configure and execute one node; `start` to `stop` is its share of the progress."""
        name = _progress_name(self.wired.workflow, node)
        watch = _Watch(self.progress, start, stop, name, cancelled=self.cancelled)
        began = time.perf_counter()
        if not self.cancelled:
            watch.report(0.0, "starts")
        if watch.cancelled:
            return NodeResult(node, "cancelled")
        try:
            self.wired.receive_variables(node)
            inputs = self.wired.gather(node, self.produced)
            if self.wired.is_table_view(node):
                check_table_input(inputs[0])
                self.produced[node.id] = []
                result = NodeResult(node, "executed", shown=PortResult("Table", inputs[0]))
            else:
                result = self._execute(node, inputs, watch)
        except NodeFailure as failure:
            result = _failed(node, failure, self._warnings(node))
        else:
            watch.report(1.0, "done")
        self.cancelled = watch.cancelled
        return replace(result, seconds=time.perf_counter() - began)

    def _execute(self, node: WorkflowNode, inputs: list[Any], watch: _Watch) -> NodeResult:
        canvas = self.wired.canvas[node.id]
        outputs = canvas.execute(
            inputs,
            progress=watch.report,
            is_cancelled=watch.is_cancelled,
            data_area=self.data_area,
        )
        self.produced[node.id] = list(outputs)
        self.wired.variables[node.id] = dict(canvas.flow_variables)
        ports = canvas.info.output_ports
        return NodeResult(
            node,
            "executed",
            outputs=tuple(
                PortResult(port.name, data) for port, data in zip(ports, outputs, strict=True)
            ),
            warnings=self._warnings(node),
            view_html=canvas.view_html,
        )

    def _warnings(self, node: WorkflowNode) -> tuple[str, ...]:
        if self.wired.is_table_view(node):
            return ()
        canvas = self.wired.canvas[node.id]
        warnings = [*canvas.configure_warnings, *canvas.warnings]
        installed = self.wired.host.version
        if node.saved_version and type(installed).parse_version(node.saved_version) > installed:
            warnings.insert(
                0,
                f"The settings were saved by version {node.saved_version} of the extension, "
                f"newer than {installed}; what that version added is ignored.",
            )
        return tuple(dict.fromkeys(warnings))


@dataclass
class _Watch:
    """Passes a node's progress on, and the wish to stop back."""

    progress: Progress
    start: float
    stop: float
    name: str
    cancelled: bool = False
    _last: tuple[float, str] = (0.0, "")
    _asked: float = 0.0

    def report(self, fraction: float, message: str | None = None) -> None:
        """Report `fraction` of the node's own work; a message stays until the next one."""
        self._last = (fraction, message or self._last[1])
        self._asked = time.monotonic()
        share = self.start + (self.stop - self.start) * min(max(fraction, 0.0), 1.0)
        try:
            self.progress(share, f"{self.name}: {self._last[1]}")
        except Cancelled:
            self.cancelled = True

    def is_cancelled(self) -> bool:
        """Ask whether to stop; the callback is asked, too, if it has not been for a while."""
        if not self.cancelled and time.monotonic() - self._asked > _POLL_S:
            self.report(*self._last)
        return self.cancelled


def _failed(node: WorkflowNode, failure: NodeFailure, warnings: tuple[str, ...] = ()) -> NodeResult:
    state: NodeState = "not configured" if failure.invalid_settings else "failed"
    if failure.cancelled:
        return NodeResult(node, "cancelled", warnings=warnings)
    return NodeResult(
        node, state, warnings=warnings, error=failure.message, details=failure.details
    )


def _progress_name(workflow: Workflow, node: WorkflowNode) -> str:
    """Return the node's name, with its number where several nodes have the same name."""
    same = [other for other in workflow.nodes if other.name == node.name]
    return node.name if len(same) == 1 else f"{node.name} (#{node.id})"


def _spans(wired: Wired) -> dict[int, tuple[float, float]]:
    """Return which part of the overall progress belongs to each node."""
    order = wired.workflow.in_order()
    weights = [_seconds(wired, node) for node in order]
    total = sum(weights)
    spans: dict[int, tuple[float, float]] = {}
    start = 0.0
    for node, weight in zip(order, weights, strict=True):
        spans[node.id] = (start / total, (start + weight) / total)
        start += weight
    return spans


def _seconds(wired: Wired, node: WorkflowNode) -> float:
    """Guess how long a node takes: its own time limit, or what is usual for its kind."""
    if wired.is_table_view(node):
        return 0.1
    canvas = wired.canvas[node.id]
    minutes = canvas.settings.get(_TIME_LIMIT)
    if isinstance(minutes, (int, float)) and not isinstance(minutes, bool) and minutes > 0:
        return 60.0 * minutes + 3.0
    return _SECONDS.get(canvas.info.node_type, 2.0)
