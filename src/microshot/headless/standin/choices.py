"""Parameters whose values are members of an enumeration."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from microshot.headless.standin.parameters import BaseParameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from microshot.headless.standin.runtime import Version


class EnumParameterOptions(Enum):
    """Base class of options: ``NAME = ("Label", "Description.")``."""

    def __init__(self, label: str, description: str) -> None:
        self.label = label
        self.description = description

    @classmethod
    def get_all_options(cls) -> list[str]:
        return list(cls.__members__)


def _members(enum: Any, label: str | None) -> dict[str, EnumParameterOptions]:
    if not (isinstance(enum, type) and issubclass(enum, EnumParameterOptions)):
        raise TypeError(
            f"The options of '{label}' must be a class of EnumParameterOptions, found {enum!r}."
        )
    members = dict(enum.__members__)
    if len(members) < 1 or len(set(map(id, members.values()))) < len(members):
        raise ValueError(f"The options of '{label}' must be present and differ in their texts.")
    for name, member in members.items():
        if not (isinstance(member.label, str) and member.label.strip()):
            raise ValueError(f"Option {name} of '{label}' needs a label.")
        if not (isinstance(member.description, str) and member.description.strip()):
            raise ValueError(f"Option {name} of '{label}' needs a description.")
    return members


class EnumParameter(BaseParameter):
    """One option, stored as the name of the member."""

    class Style(Enum):
        RADIO = "radio"
        VALUE_SWITCH = "valueSwitch"
        DROPDOWN = "string"

    def __init__(
        self,
        label: str | None = None,
        description: str | None = None,
        default_value: Any = None,
        enum: Any = None,
        validator: Callable[[str], None] | None = None,
        since_version: str | Version | None = None,
        is_advanced: bool = False,
        style: Style | None = None,
    ) -> None:
        if validator is not None:
            raise AttributeError(
                f"KNIME fails on EnumParameter(validator=…) of '{label}'; "
                "use the decorator @parameter.validator."
            )
        self._enum = _members(enum, label)
        if default_value is None:
            default_value = next(iter(self._enum))
        if isinstance(default_value, Enum):
            raise TypeError(
                f"The default of '{label}' must be a name, as in Options.{default_value.name}.name."
            )
        if style is not None and not isinstance(style, EnumParameter.Style):
            raise TypeError(f"The style of '{label}' must be an EnumParameter.Style.")
        self._style = style
        super().__init__(label, description, default_value, None, since_version, is_advanced)

    def _check_type(self, value: Any) -> None:
        if not isinstance(value, str) or value not in self._enum:
            raise ValueError(
                f"Parameter '{self._label}' takes one of {', '.join(self._enum)}, found {value!r}."
            )

    def _description(self) -> str:
        lines = [f"- {one.label}: {one.description}\n" for one in self._enum.values()]
        return f"{self.__doc__}\n\n**Available options:**\n\n{''.join(lines)}"

    def _type_schema(self) -> dict[str, Any]:
        return {"oneOf": [{"const": k, "title": one.label} for k, one in self._enum.items()]}

    def _options(self, dialog: Any) -> dict[str, Any]:
        if self._style is not None:
            return {"format": self._style.value}
        return {"format": "string" if len(self._enum) > 4 else "radio"}
