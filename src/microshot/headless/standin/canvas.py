"""A node as it lies on KNIME's canvas: its settings, and its calls in fresh instances."""

from __future__ import annotations

import contextlib
import copy
import json
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from microshot.headless.standin import dialog, settings
from microshot.headless.standin.contexts import (
    ConfigurationContext,
    DialogCreationContext,
    ExecutionContext,
    FlowVariables,
    check_flow_variables,
)
from microshot.headless.standin.data import Spec
from microshot.headless.standin.failure import InvalidParametersError, NodeFailure
from microshot.headless.standin.ports import PortGroup
from microshot.headless.standin.runtime import Version, calling
from microshot.headless.standin.views import NodeView, check_self_contained, view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from microshot.headless.standin.data import Data
    from microshot.headless.standin.host import Host, NodeInfo
    from microshot.headless.standin.schema import Schema


class CanvasNode:
    """A node of an extension in a workflow; every call makes a fresh instance of its class.

    Attributes
    ----------
    warnings : texts given to ``set_warning`` in the latest call; KNIME shows the last only.
    configure_warnings : those given in the configure that an execute began with.
    progress : (fraction, message) of every ``set_progress`` in the latest execute.
    view_html : the page of the node's view after execute.
    flow_variables : variables that come in, and after a call those that go out.
    """

    def __init__(self, host: Host, info: NodeInfo) -> None:
        self._host = host
        self.info = info
        self.warnings: list[str] = []
        self.configure_warnings: list[str] = []
        self.progress: list[tuple[float, str | None]] = []
        self.view_html: str | None = None
        self.flow_variables: dict[str, Any] = {}
        with calling(host.session()):
            self._settings: dict[str, Any] = settings.read(info.make())

    @property
    def settings(self) -> dict[str, Any]:
        """A copy of the stored values of all parameters, groups as nested dicts."""
        return copy.deepcopy(self._settings)

    def set(self, name: str, value: Any) -> None:
        """Change one stored value, as in the dialog; ``"group.name"`` for one in a group.

        Raises
        ------
        KeyError : if there is no such parameter.
        NodeFailure : if the new settings are refused; they then stay as they were.
        """
        changed = self.settings
        *groups, last = name.split(".")
        place: Any = changed
        for group in groups:
            place = place.get(group) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            raise KeyError(f"Node '{self.info.id}' has no parameter '{name}'.")
        place[last] = value
        self._adopt(changed, self._host.version)

    def load_settings(self, saved: dict[str, Any], saved_version: str | Version) -> None:
        """Take over settings from a workflow that was saved with `saved_version`.

        Raises
        ------
        NodeFailure : if a value is refused, or one is missing that the version already had.
        """
        self._adopt(copy.deepcopy(saved), Version.parse_version(saved_version))

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of `settings`, with KNIME's types."""
        with calling(self._host.session()):
            return settings.schema(self.info.make(), self._host.version)

    def dialog(self, specs: Sequence[Any] | None = None) -> dict[str, Any]:
        """Return the dialog as JSON (data, schema, ui_schema) for the specs of its inputs.

        Raises
        ------
        NodeFailure : if the dialog does not open.
        """
        ports = self.info.input_ports
        given = (
            [[] if isinstance(p, PortGroup) else None for p in ports] if specs is None else specs
        )
        with calling(self._host.session()), _failing(self.info.name):
            made = self._instance()
            inputs = self._host.exchange.specs_in(ports, given)
            context = DialogCreationContext(FlowVariables(self.flow_variables), inputs)
            return dialog.describe(made, self._host.version, context)

    def configure(self, specs: Sequence[Spec | Schema | list | None]) -> list[Spec | None]:
        """Configure the node for the specs of its inputs, one per port.

        An unconnected optional port is None, a port group a list. The result has one spec per
        output port, None where the node cannot say yet.

        Raises
        ------
        NodeFailure : with the message KNIME would show.
        """
        self.warnings = []
        with calling(self._host.session()), _failing(self.info.name):
            made = self._instance()
            inputs = self._inputs(specs, self._host.exchange.specs_in)
            settings.check_specs(made, inputs)
            ports = self.info.input_ports, self.info.output_ports
            context = ConfigurationContext(FlowVariables(self.flow_variables), *ports, inputs)
            self.warnings = context._warnings
            results = made.configure(context, *inputs)
            announced = self._host.exchange.specs_out(self.info.output_ports, results)
            self._keep(made, context)
            return announced

    def execute(
        self,
        inputs: Sequence[Data | list | None],
        *,
        progress: Callable[[float, str | None], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
        data_area: Path | None = None,
    ) -> list[Data]:
        """Configure and execute the node, in a thread that is not the main thread.

        Parameters
        ----------
        inputs : one per port; None for an unconnected optional port, a list for a group.
        progress : receives what the node reports.
        is_cancelled : asked whenever the node asks.
        data_area : data folder of the workflow, which need not exist.

        Raises
        ------
        NodeFailure : with the message KNIME would show.
        """
        self.configure_warnings = []
        announced = self.configure([_spec_of(one) for one in inputs])
        self.configure_warnings = self.warnings
        self.warnings, self.progress, self.view_html = [], [], None
        stop = threading.Event()

        def asked() -> bool:
            return stop.is_set() or (is_cancelled is not None and bool(is_cancelled()))

        def report(fraction: float, message: str | None) -> None:
            self.progress.append((fraction, message))
            if progress is not None:
                progress(fraction, message)

        folders = self._host.folders(data_area)
        with calling(self._host.session(executing=True)), _failing(self.info.name, asked):
            made = self._instance()
            objects = self._inputs(inputs, self._host.exchange.objects_in)
            ports = self.info.input_ports, self.info.output_ports
            context = ExecutionContext(
                FlowVariables(self.flow_variables), *ports, objects,
                report=report, is_cancelled=asked, folders=folders,
            )  # fmt: skip
            self.warnings = context._warnings
            results = _in_thread(lambda: made.execute(context, *objects), stop)
            if asked():
                raise NodeFailure("Canceled", cancelled=True)
            results, page = self._without_view(results)
            stored = self._host.exchange.objects_out(self.info.output_ports, results, announced)
            self._keep(made, context)
            self.view_html = page
            return stored

    def _adopt(self, saved: dict[str, Any], version: Version) -> None:
        with calling(self._host.session()), _failing(self.info.name, invalid=True):
            made = self.info.make()
            settings.validate(made, saved, version)
            settings.write(made, saved)
            self._store(made)

    def _store(self, made: Any) -> None:
        """Keep the values of an instance as KNIME would, through JSON."""
        values = settings.read(made)
        settings.check_storable(values, settings.schema(made, self._host.version))
        self._settings = json.loads(json.dumps(values))

    def _keep(self, made: Any, context: ConfigurationContext) -> None:
        """Take over what a call changed: its own parameters and the flow variables."""
        variables = check_flow_variables(context.flow_variables)
        settings.validate(made, settings.read(made), self._host.version)
        self._store(made)
        self.flow_variables = variables

    def _instance(self) -> Any:
        made = self.info.make()
        settings.write(made, self.settings)
        return made

    def _inputs(
        self, given: Sequence[Any], convert: Callable[[Sequence[Any], Sequence[Any]], list[Any]]
    ) -> list[Any]:
        for port, one in zip(self.info.input_ports, given, strict=False):
            if one is None and not port.optional:
                raise InvalidParametersError(
                    f"Input '{port.name}' is not connected, or the node before it cannot say yet "
                    "what it will deliver; execute that node first."
                )
        return convert(self.info.input_ports, given)

    def _without_view(self, results: Any) -> tuple[Any, str | None]:
        """Take the view, which comes last, off the results and return both."""
        if self.info.view is None:
            return results, None
        listed = list(results) if isinstance(results, list | tuple) else [results]
        if not listed or listed[-1] is None:
            raise ValueError(
                f"The node declares the view '{self.info.view.name}' but returned none."
            )
        page = listed[-1] if isinstance(listed[-1], NodeView) else view(listed[-1])
        check_self_contained(page)
        return listed[:-1], page.html


@contextlib.contextmanager
def _failing(
    name: str, asked: Callable[[], bool] | None = None, *, invalid: bool = False
) -> Iterator[None]:
    """Turn every exception of a call into the failure that KNIME would show."""
    try:
        yield
    except (NodeFailure, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - it is raised again as what KNIME shows
        details = "".join(traceback.format_exception(error))
        cause = None if isinstance(error, StopIteration) else error  # contextlib would let it pass
        if asked is not None and asked():
            raise NodeFailure("Canceled", cancelled=True, details=details) from cause
        invalid = invalid or isinstance(error, InvalidParametersError)
        message = _shown(name, error)
        raise NodeFailure(message, invalid_settings=invalid, details=details) from cause


def _shown(name: str, error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"The node '{name}' tried to end Python, which KNIME does not survive."
    if not str(error).strip():
        return (
            f"The node '{name}' raised {type(error).__name__} without a text, so KNIME would show "
            "an empty message; raise it with a full sentence."
        )
    return str(error)


def _in_thread(work: Callable[[], Any], stop: threading.Event) -> Any:
    """Run `work` outside of the main thread, as KNIME does; Ctrl-C asks it to stop."""
    with ThreadPoolExecutor(1, thread_name_prefix="node") as pool:
        future = pool.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            stop.set()
            raise


def _spec_of(one: Any) -> Any:
    if isinstance(one, list):
        return [_spec_of(element) for element in one]
    if one is not None and not isinstance(getattr(one, "spec", None), Spec):
        raise TypeError(f"An input must be the output of a node, found {type(one).__name__}.")
    return None if one is None else one.spec
