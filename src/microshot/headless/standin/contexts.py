"""What a node can ask of KNIME while it is configured, executed, or its dialog opens."""

from __future__ import annotations

from collections import UserDict
from typing import TYPE_CHECKING, Any

from microshot.headless.standin.ports import PortGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from microshot.headless.standin.ports import Port


class FlowVariables(UserDict):
    """The flow variables; a node may set them but not delete them or touch KNIME's own."""

    def __init__(self, initial: dict[str, Any]) -> None:
        super().__init__()
        self.data.update(initial)

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"The name of a flow variable must be text, found {key!r}.")
        if key.startswith("knime"):
            raise ValueError(f"The flow variable '{key}' belongs to KNIME and cannot be set.")
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        raise RuntimeError(f"The flow variable '{key}' cannot be deleted, only set.")


def check_flow_variables(variables: FlowVariables) -> dict[str, Any]:
    """Return the variables as a dict.

    Raises
    ------
    TypeError : for values other than text, whole numbers, floats, booleans or lists of one kind.
    """
    for name, value in variables.items():
        kinds = {type(one) for one in value} if type(value) is list else {type(value)}
        if len(kinds) > 1 or not kinds <= {str, int, float, bool}:
            raise TypeError(
                f"The flow variable '{name}' must be text, a number, True or False, or a list of "
                f"one of these, found {value!r}; convert it with str(), int() or float()."
            )
    return dict(variables)


class _Context:
    def __init__(self, variables: FlowVariables) -> None:
        self._variables = variables

    @property
    def flow_variables(self) -> FlowVariables:
        return self._variables

    def get_credential_names(self) -> list[str]:
        return []

    def get_credentials(self, identifier: str) -> Any:
        raise KeyError(f"There are no credentials named {identifier}.")


class DialogCreationContext(_Context):
    """While the dialog opens; specs of unconnected ports are None."""

    def __init__(self, variables: FlowVariables, specs: list[Any]) -> None:
        super().__init__(variables)
        self._specs = specs

    def get_input_specs(self) -> list[Any]:
        return self._specs

    def get_flow_variables(self) -> FlowVariables:
        return self._variables


class ConfigurationContext(_Context):
    def __init__(
        self,
        variables: FlowVariables,
        input_ports: Sequence[Port],
        output_ports: Sequence[Port],
        inputs: Sequence[Any],
    ) -> None:
        super().__init__(variables)
        self._input_ports = input_ports
        self._output_ports = output_ports
        self._inputs = inputs
        self._warnings: list[str] = []

    def set_warning(self, message: str) -> None:
        """Show a warning on the node; in KNIME a second call replaces the first."""
        if not isinstance(message, str) or not message.strip():
            raise TypeError(f"A warning must be a text, found {message!r}.")
        self._warnings.append(message)

    def get_connected_input_port_numbers(self) -> list[int]:
        """Return how many ports each group has; every other port counts as 1, as in KNIME."""
        return [
            len(given) if isinstance(port, PortGroup) else 1
            for port, given in zip(self._input_ports, self._inputs, strict=True)
        ]

    def get_connected_output_port_numbers(self) -> list[int]:
        return [1] * len(self._output_ports)


class ExecutionContext(ConfigurationContext):
    def __init__(
        self,
        variables: FlowVariables,
        input_ports: Sequence[Port],
        output_ports: Sequence[Port],
        inputs: Sequence[Any],
        *,
        report: Callable[[float, str | None], None],
        is_cancelled: Callable[[], bool],
        folders: dict[str, Path],
    ) -> None:
        super().__init__(variables, input_ports, output_ports, inputs)
        self._report = report
        self._is_cancelled = is_cancelled
        self._folders = folders

    def set_progress(self, progress: float, message: str | None = None) -> None:
        """Report a fraction from 0 to 1, a Python number, and what is being done."""
        if type(progress) not in (int, float):
            raise TypeError(
                "Progress must be a Python float or int, found "
                f"{type(progress).__name__}; wrap it in float()."
            )
        if not 0 <= progress <= 1:
            raise ValueError(f"Progress must lie between 0 and 1, found {progress}.")
        if message is not None and not isinstance(message, str):
            raise TypeError(f"The progress message must be text, found {message!r}.")
        self._report(float(progress), message)

    def is_canceled(self) -> bool:
        return self._is_cancelled()

    def get_workflow_temp_dir(self) -> str:
        return str(self._folders["temp"])

    def get_workflow_data_area_dir(self) -> str:
        """Return the data folder of the workflow, which need not exist."""
        return str(self._folders["data"])

    def get_knime_home_dir(self) -> str:
        return str(self._folders["home"])
