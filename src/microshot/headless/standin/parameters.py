"""Parameters of nodes: what they store, which values they take, how the dialog shows them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from microshot.headless.standin.failure import missing
from microshot.headless.standin.runtime import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from microshot.headless.standin.rules import Condition, Effect

VALUES = "__standin_values__"  # where a node or group keeps the values of its parameters


def values_of(holder: Any) -> dict[Any, Any]:
    """Return the values of a node or group, by parameter name; groups are nested dicts."""
    return holder.__dict__.setdefault(VALUES, {})


class Rule:
    """When a parameter or group is shown or enabled."""

    def __init__(self, condition: Condition, effect: Effect) -> None:
        from microshot.headless.standin.rules import Condition, Effect

        if not isinstance(condition, Condition) or not isinstance(effect, Effect):
            raise TypeError(
                f"A rule needs a condition and a knext.Effect, found {condition!r} and {effect!r}."
            )
        self.condition = condition
        self.effect = effect


class BaseParameter:
    """A descriptor on a node or group class; the value lives in the instance.

    Labels, descriptions and defaults are those of KNIME; `since_version` is the version of the
    extension that first had the parameter.
    """

    _name: str | None = None
    _rule: Rule | None = None

    def __init__(
        self,
        label: str | None,
        description: str | None,
        default_value: Any,
        validator: Callable[[Any], None] | None,
        since_version: str | Version | None,
        is_advanced: bool,
    ) -> None:
        if callable(default_value):
            raise missing(f"the default of '{label}' that depends on the version")
        self._label = label
        self.__doc__ = description or ""
        self._default_value = default_value
        self._validator: Callable[[Any], None] | None = None
        self._since_version = Version.parse_version(since_version)
        self._is_advanced = is_advanced
        if validator is not None:
            self.validator(validator)

    def __set_name__(self, owner: type, name: str) -> None:
        if self._name not in (None, name):
            raise ValueError(
                f"One parameter object cannot be used as '{self._name}' and as '{name}'; "
                "make one parameter for each."
            )
        self._name = name
        if self._label is None:
            self._label = name

    def __get__(self, holder: Any, owner: type | None = None) -> Any:
        if holder is None:
            return self
        values = values_of(holder)
        if self._name not in values:
            values[self._name] = copy.deepcopy(self._default_value)
        return values[self._name]

    def __set__(self, holder: Any, value: Any) -> None:
        self._check(value)
        values_of(holder)[self._name] = value

    def validator(self, func: Callable[[Any], None]) -> None:
        """Use `func`, which raises ValueError, as a check of the parameter's values."""
        if not callable(func):
            raise TypeError(f"A validator must be a function of the value, found {func!r}.")
        self._validator = func

    def rule(self, condition: Condition, effect: Effect) -> Self:
        self._rule = Rule(condition, effect)
        return self

    def _check(self, value: Any) -> None:
        self._check_type(value)
        if self._validator is not None:
            self._validator(value)

    def _check_type(self, value: Any) -> None:
        """Raise TypeError or ValueError if KNIME's own check refuses `value`."""

    def _refuse(self, value: Any, wanted: str) -> TypeError:
        return TypeError(
            f"Parameter '{self._label}' takes {wanted}, found {value!r} ({type(value).__name__})."
        )

    def _to_json(self, value: Any) -> Any:
        return value

    def _from_json(self, value: Any) -> Any:
        return value

    def _schema(self) -> dict[str, Any]:
        return {
            "title": self._label,
            "description": self._description(),
            **self._type_schema(),
        }

    def _description(self) -> str:
        return self.__doc__ or ""

    def _type_schema(self) -> dict[str, Any]:
        raise NotImplementedError

    def _options(self, dialog: Any) -> dict[str, Any]:
        raise NotImplementedError


class BoolParameter(BaseParameter):
    def __init__(
        self,
        label: str | None = None,
        description: str | None = None,
        default_value: Any = False,
        validator: Callable[[Any], None] | None = None,
        since_version: str | Version | None = None,
        is_advanced: bool = False,
    ) -> None:
        super().__init__(label, description, default_value, validator, since_version, is_advanced)

    def _check_type(self, value: Any) -> None:
        if not isinstance(value, bool):
            raise self._refuse(value, "True or False")

    def _type_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def _options(self, dialog: Any) -> dict[str, Any]:
        return {"format": "boolean"}


class StringParameter(BaseParameter):
    def __init__(
        self,
        label: str | None = None,
        description: str | None = None,
        default_value: Any = "",
        enum: list[str] | None = None,
        validator: Callable[[Any], None] | None = None,
        since_version: str | Version | None = None,
        is_advanced: bool = False,
        choices: Callable[[Any], Sequence[str]] | None = None,
    ) -> None:
        if enum is not None or choices is not None:
            raise missing(f"the texts to choose from of '{label}'")
        super().__init__(label, description, default_value, validator, since_version, is_advanced)

    def _check_type(self, value: Any) -> None:
        if not isinstance(value, str):
            raise self._refuse(value, "text")

    def _type_schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def _options(self, dialog: Any) -> dict[str, Any]:
        return {"format": "string"}
