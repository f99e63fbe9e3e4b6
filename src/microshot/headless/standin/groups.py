"""Groups of parameters: sections of the dialog, with methods of their own."""

from __future__ import annotations

import copy
import inspect
from enum import Enum
from typing import TYPE_CHECKING, Any

from microshot.headless.standin.failure import missing
from microshot.headless.standin.parameters import VALUES, BaseParameter, Rule, values_of
from microshot.headless.standin.runtime import Version

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from microshot.headless.standin.rules import Condition, Effect

_RESERVED = {"since_version", "is_advanced", "validator"}


class LayoutDirection(Enum):
    """How the parameters of a group are laid out."""

    VERTICAL = "VerticalLayout"
    HORIZONTAL = "HorizontalLayout"


class Group:
    """What `parameter_group` adds to a class; an instance on a node's class is a descriptor."""

    _name: str | None = None
    _rule: Rule | None = None
    _label: str = ""
    _since_version: Version
    _is_advanced: bool = False
    _layout: str = LayoutDirection.VERTICAL.value
    _group_validator: Callable[[dict], None] | None = None
    _own_check_first = True

    def __set_name__(self, owner: type, name: str) -> None:
        if self._name not in (None, name):
            raise ValueError(f"One group object cannot be used as '{self._name}' and as '{name}'.")
        self._name = name

    def __get__(self, holder: Any, owner: type | None = None) -> Any:
        return self if holder is None else self._of(holder)

    def __set__(self, holder: Any, value: Any) -> None:
        raise RuntimeError(
            f"The group '{self._name}' cannot be replaced; set its parameters one by one."
        )

    def _of(self, holder: Any) -> Group:
        """Return a copy of this group whose values are those stored in `holder`."""
        bound = copy.copy(self)
        defaults = copy.deepcopy(values_of(self))
        bound.__dict__[VALUES] = values_of(holder).setdefault(self._name, defaults)
        return bound

    def rule(self, condition: Condition, effect: Effect) -> Self:
        self._rule = Rule(condition, effect)
        return self

    def validator(self, override: Any = None) -> Any:
        """Check all values of the group; ``override=False`` keeps the group's own `validate`."""
        if isinstance(override, bool):

            def decorate(func: Callable[[dict], None]) -> None:
                self._group_validator = func
                self._own_check_first = not override

            return decorate
        self._group_validator = override
        self._own_check_first = False
        return None

    def _check_group(self, values: dict[str, Any]) -> None:
        own = getattr(self, "validate", None)
        if own is not None and self._own_check_first:
            own(values)
        if self._group_validator is not None:
            self._group_validator(values)


def parameter_group(
    label: str,
    since_version: str | Version | None = None,
    is_advanced: bool = False,
    layout_direction: LayoutDirection = LayoutDirection.VERTICAL,
) -> Callable[[type], Any]:
    """Make a class a group of parameters, to be instantiated on the class of a node."""
    if not isinstance(label, str) or not label.strip():
        raise ValueError(f"A parameter group needs a label, found {label!r}.")
    if not isinstance(layout_direction, LayoutDirection):
        raise TypeError("layout_direction must be a knext.LayoutDirection.")

    def decorate(cls: type) -> Any:
        taken = _RESERVED & set(inspect.signature(cls.__init__).parameters)
        if taken:
            raise SyntaxError(f"The __init__ of group '{label}' must not take {', '.join(taken)}.")
        for name in ("rule", "validator"):
            if hasattr(cls, name):
                raise ValueError(f"The group '{label}' must not define '{name}', KNIME uses it.")

        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            values_of(self)
            self._label = label
            self._layout = layout_direction.value
            self._since_version = Version.parse_version(kwargs.pop("since_version", since_version))
            self._is_advanced = kwargs.pop("is_advanced", is_advanced)
            self._group_validator = kwargs.pop("validator", None)
            cls.__init__(self, *args, **kwargs)
            if any(isinstance(one, BaseParameter | Group) for one in self.__dict__.values()):
                raise missing("parameters made in the __init__ of a group; make them on its class")

        body = {
            "__init__": __init__,
            "__doc__": cls.__doc__,
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
        }
        return type(cls.__name__, (Group, cls), body)

    return decorate
