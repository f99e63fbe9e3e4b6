"""Parameters that hold a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.headless.standin.parameters import BaseParameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from microshot.headless.standin.runtime import Version


class _NumberParameter(BaseParameter):
    def __init__(
        self,
        label: str | None = None,
        description: str | None = None,
        default_value: Any = 0,
        validator: Callable[[Any], None] | None = None,
        min_value: float | None = None,
        max_value: float | None = None,
        since_version: str | Version | None = None,
        is_advanced: bool = False,
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        super().__init__(label, description, default_value, validator, since_version, is_advanced)

    def validator(self, func: Callable[[Any], None]) -> None:
        if self.min_value is not None or self.max_value is not None:
            raise ValueError(
                f"KNIME ignores min_value and max_value of '{self._label}' when it has a "
                "validator; check the range in the validator."
            )
        super().validator(func)

    def _check_range(self, value: float) -> None:
        low, high = self.min_value, self.max_value
        if low is not None and value < low:
            raise ValueError(f"Parameter '{self._label}' must be at least {low}, found {value}.")
        if high is not None and value > high:
            raise ValueError(f"Parameter '{self._label}' must be at most {high}, found {value}.")

    def _options(self, dialog: Any) -> dict[str, Any]:
        limits: dict[str, Any] = {}
        for key, value, words in (
            ("min", self.min_value, "at least"),
            ("max", self.max_value, "at most"),
        ):
            if value is not None:
                limits[key] = {
                    "parameters": {key: value, "isExclusive": False},
                    "errorMessage": f"The value must be {words} {value}.",
                }
        return {"validation": limits} if limits else {}


class IntParameter(_NumberParameter):
    """A whole number, stored as int32."""

    def _check_type(self, value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._refuse(value, "a whole number")
        if not -(2**31) <= value < 2**31:
            raise ValueError(
                f"Parameter '{self._label}' is stored as a 32-bit number, which {value} exceeds."
            )
        self._check_range(value)

    def _type_schema(self) -> dict[str, Any]:
        return {"type": "integer", "format": "int32"}

    def _options(self, dialog: Any) -> dict[str, Any]:
        return {"format": "integer", **super()._options(dialog)}


class DoubleParameter(_NumberParameter):
    """A finite number."""

    def __init__(
        self,
        label: str | None = None,
        description: str | None = None,
        default_value: Any = 0.0,
        validator: Callable[[Any], None] | None = None,
        min_value: float | None = None,
        max_value: float | None = None,
        since_version: str | Version | None = None,
        is_advanced: bool = False,
    ) -> None:
        super().__init__(
            label, description, default_value, validator, min_value, max_value, since_version,
            is_advanced,
        )  # fmt: skip

    def _check_type(self, value: Any) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self._refuse(value, "a number")
        if not abs(value) < float("inf"):
            raise ValueError(f"Parameter '{self._label}' must be finite, found {value}.")
        self._check_range(value)

    def _to_json(self, value: Any) -> Any:
        return float(value)

    def _type_schema(self) -> dict[str, Any]:
        return {"type": "number", "format": "double"}

    def _options(self, dialog: Any) -> dict[str, Any]:
        return {"format": "number", **super()._options(dialog)}
