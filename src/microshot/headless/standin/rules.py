"""Conditions that show, hide, enable or disable parameters in the dialog."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Any

from microshot.headless.standin.parameters import BaseParameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Effect(Enum):
    """What happens to the parameter when the condition holds."""

    SHOW = "SHOW"
    HIDE = "HIDE"
    ENABLE = "ENABLE"
    DISABLE = "DISABLE"


class Condition(ABC):
    """A condition on other parameters, or on what is connected."""

    @abstractmethod
    def _ui_schema(self, scope_of: Callable[[BaseParameter], str], dialog: Any) -> dict: ...

    def _tested(self) -> Iterator[tuple[BaseParameter, list[Any]]]:
        """Yield the parameters that the condition looks at, with the values it looks for."""
        yield from ()


class OneOf(Condition):
    """The parameter has one of the values."""

    def __init__(self, subject: Any, values: list[Any]) -> None:
        if not isinstance(values, list | tuple):
            raise TypeError(f"OneOf needs a list of values, found {values!r}.")
        if not isinstance(subject, BaseParameter):
            raise TypeError(
                f"A rule looks at a parameter of the same class body, found {subject!r}; "
                "a parameter inside another group cannot be looked at."
            )
        try:
            json.dumps(values)
        except TypeError as error:
            raise TypeError(
                f"A rule compares stored values (for options their names), found {values!r}."
            ) from error
        self._subject = subject
        self._wanted = list(values)

    def _tested(self) -> Iterator[tuple[BaseParameter, list[Any]]]:
        yield self._subject, self._wanted

    def _ui_schema(self, scope_of: Callable[[BaseParameter], str], dialog: Any) -> dict:
        wanted = [{"const": value} for value in self._wanted]
        return {"scope": scope_of(self._subject), "schema": {"oneOf": wanted}}


class DialogContextCondition(Condition):
    """A function of the dialog context, asked when the dialog opens."""

    def __init__(self, ctx_predicate: Callable[[Any], bool]) -> None:
        if not callable(ctx_predicate):
            raise TypeError(f"The condition must be a function, found {ctx_predicate!r}.")
        self._predicate = ctx_predicate

    def _ui_schema(self, scope_of: Callable[[BaseParameter], str], dialog: Any) -> dict:
        return {"scope": "#", "schema": {"type": ["object" if self._predicate(dialog) else "null"]}}
