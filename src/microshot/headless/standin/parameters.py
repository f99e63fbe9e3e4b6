"""Parameters of nodes: what they store, which values they take, how the dialog shows them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microshot.headless.standin.runtime import Version, current

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
            values[self._name] = self._default(None)
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

    def _default(self, version: Version | None) -> Any:
        if not callable(self._default_value):
            return copy.deepcopy(self._default_value)
        if version is None:
            session = current()
            if session is None:
                raise RuntimeError(
                    f"The default of '{self._name}' depends on the version of the extension, "
                    "which is known only inside a host."
                )
            version = session.version
        return self._default_value(version)

    def _check(self, value: Any, *, files_must_exist: bool = True) -> None:
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

    def _schema(self, dialog: Any = None) -> dict[str, Any]:
        return {
            "title": self._label,
            "description": self._description(),
            **self._type_schema(dialog),
        }

    def _description(self) -> str:
        return self.__doc__ or ""

    def _type_schema(self, dialog: Any) -> dict[str, Any]:
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

    def _type_schema(self, dialog: Any) -> dict[str, Any]:
        return {"type": "boolean"}

    def _options(self, dialog: Any) -> dict[str, Any]:
        return {"format": "boolean"}


class StringParameter(BaseParameter):
    """Text; with `enum` or `choices` the dialog offers a list, which KNIME does not enforce."""

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
        if enum is not None and (
            not isinstance(enum, list) or not all(isinstance(one, str) for one in enum)
        ):
            raise TypeError(f"enum must be a list of texts, found {enum!r}.")
        if enum and choices is not None:
            raise ValueError("A StringParameter takes enum or choices, not both.")
        if choices is not None and not callable(choices):
            raise TypeError("choices must be a function of the dialog context (KNIME 5.5).")
        if enum and not callable(default_value) and default_value not in enum:
            raise ValueError(
                f"The default {default_value!r} of '{label}' is none of its choices {enum}."
            )
        self._enum = enum
        self._choices = choices
        super().__init__(label, description, default_value, validator, since_version, is_advanced)

    def _check_type(self, value: Any) -> None:
        if not isinstance(value, str):
            raise self._refuse(value, "text")

    def _offered(self, dialog: Any) -> list[str] | None:
        if self._choices is None or dialog is None:
            return self._enum
        offered = self._choices(dialog)
        if not isinstance(offered, list | tuple) or not all(isinstance(x, str) for x in offered):
            raise TypeError(f"The choices of '{self._label}' must be texts, found {offered!r}.")
        if len(set(offered)) < len(offered):
            raise ValueError(f"The choices of '{self._label}' repeat: {offered!r}.")
        return list(offered)

    def _type_schema(self, dialog: Any) -> dict[str, Any]:
        offered = self._offered(dialog)
        if offered:
            return {"oneOf": [{"const": one, "title": one} for one in offered]}
        return {"type": "string"}

    def _options(self, dialog: Any) -> dict[str, Any]:
        if self._offered(dialog) == []:
            return {"format": "dropDown", "placeholder": "No values present"}
        return {"format": "string"}


class MultilineStringParameter(BaseParameter):
    def __init__(
        self,
        label: str | None = None,
        description: str | None = None,
        default_value: Any = "",
        validator: Callable[[Any], None] | None = None,
        since_version: str | Version | None = None,
        is_advanced: bool = False,
        number_of_lines: int = 3,
    ) -> None:
        if not isinstance(number_of_lines, int) or number_of_lines < 1:
            raise ValueError(f"number_of_lines must be at least 1, found {number_of_lines!r}.")
        self._n_lines = number_of_lines
        super().__init__(label, description, default_value, validator, since_version, is_advanced)

    def _check_type(self, value: Any) -> None:
        if not isinstance(value, str):
            raise self._refuse(value, "text")

    def _type_schema(self, dialog: Any) -> dict[str, Any]:
        return {"type": "string"}

    def _options(self, dialog: Any) -> dict[str, Any]:
        return {"format": "textArea", "rows": self._n_lines}


class LocalPathParameter(BaseParameter):
    """The path of an existing local file or folder, or empty; it has no default."""

    def __init__(
        self,
        label: str | None = None,
        description: str | None = None,
        placeholder_text: str = "",
        validator: Callable[[Any], None] | None = None,
        since_version: str | Version | None = None,
        is_advanced: bool = False,
    ) -> None:
        self._placeholder = placeholder_text
        super().__init__(label, description, "", validator, since_version, is_advanced)

    def _check(self, value: Any, *, files_must_exist: bool = True) -> None:
        if not isinstance(value, str):
            raise self._refuse(value, "text")
        if not files_must_exist:
            return
        if self._validator is not None:
            self._validator(value)
        elif value and not Path(value).exists():
            raise ValueError(f"Parameter '{self._label}': the path {value} does not exist.")

    def _type_schema(self, dialog: Any) -> dict[str, Any]:
        return {"type": "string"}

    def _options(self, dialog: Any) -> dict[str, Any]:
        return {
            "format": "stringFileChooser",
            "fileSystem": "LOCAL",
            "placeholder": self._placeholder,
        }
