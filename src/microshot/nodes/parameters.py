"""From settings to KNIME parameters and back: every knob is declared in `microshot.settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import knime.extension as knext

from microshot import knobs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from microshot.knobs import Knob

S = TypeVar("S")
N = TypeVar("N", bound=type)


def member(value: str) -> str:
    """Return the name under which KNIME stores a choice: ``res-unet`` becomes ``RES_UNET``."""
    return value.upper().replace("-", "_")


def parameter(k: Knob, default: Any) -> Any:
    """Return the KNIME parameter of one knob."""
    shared = {
        "label": k.label,
        "description": k.help,
        "since_version": None if k.since == "0.1.0" else k.since,
        "is_advanced": k.advanced,
    }
    if k.choices is not None:
        options = {member(value): (c.label, c.help) for value, c in k.choices.items()}
        enum = knext.EnumParameterOptions(f"{k.label} options", options)  # type: ignore[call-arg]
        return knext.EnumParameter(default_value=member(default), enum=enum, **shared)
    if isinstance(default, bool):
        return knext.BoolParameter(default_value=default, **shared)
    if isinstance(default, int):
        low, high = (None if v is None else int(v) for v in (k.minimum, k.maximum))
        return knext.IntParameter(default_value=default, min_value=low, max_value=high, **shared)
    if isinstance(default, float):
        limits = {"min_value": k.minimum, "max_value": k.maximum}
        return knext.DoubleParameter(default_value=default, **limits, **shared)
    return knext.StringParameter(default_value=default, **shared)


def _namespace(kind: type) -> dict[str, Any]:
    """Return the parameters of a group's own knobs by name, with their rules."""
    made: dict[str, Any] = {}
    rules = []
    for name, k, default in knobs.knobs(kind):
        made[name] = parameter(k, default)
        if k.show_if is not None:
            rules.append((name, *k.show_if))
    for name, subject, values in rules:
        made[name].rule(one_of(made, subject, values), knext.Effect.SHOW)
    return made


def group(kind: type, heading: Knob) -> Any:
    """Return a section of the dialog with the knobs of `kind`."""
    body = {"__doc__": heading.help, **_namespace(kind)}
    _add_sections(kind, body)
    made = type(kind.__name__, (), body)
    return knext.parameter_group(heading.label, is_advanced=heading.advanced)(made)()


def _add_sections(kind: type, made: dict[str, Any]) -> None:
    """Add the sections of `kind` to its parameters, each hidden where it does not apply."""
    for name, heading, inner in knobs.sections(kind):
        made[name] = group(inner, heading)
        if heading.show_if is not None:
            made[name].rule(one_of(made, *heading.show_if), knext.Effect.SHOW)


def one_of(made: dict[str, Any], subject: str, values: Sequence[Any]) -> Any:
    """Return the condition that a parameter has one of the values of its knob."""
    shown = [member(v) if isinstance(v, str) else v for v in values]
    return knext.OneOf(made[subject], shown)


def of_model(port: int, *tasks: str) -> Any:
    """Return the condition that the model at a port is made for one of the tasks, or unknown yet."""

    def fits(context: Any) -> bool:
        model = context.get_input_specs()[port]
        return model is None or model.task in tasks

    return knext.DialogContextCondition(fits)


def with_settings(kind: type, *, shown: Mapping[str, Any] | None = None) -> Callable[[N], N]:
    """Give a node class one parameter per knob of `kind`, and one section per section.

    `shown` says of further parameters of the class, or of sections, when they are shown: by a
    condition, or by the name of a knob and its values.
    """

    def decorate(node: N) -> N:
        made = _namespace(kind)
        _add_sections(kind, made)
        for name, when in (shown or {}).items():
            subject = made.get(name) or vars(node)[name]
            condition = one_of(made, *when) if isinstance(when, tuple) else when
            subject.rule(condition, knext.Effect.SHOW)
        for name, value in made.items():
            setattr(node, name, value)
            value.__set_name__(node, name)
        return node

    return decorate


def settings_of(node: Any, kind: type[S]) -> S:
    """Read a node's parameters back into settings, checked.

    Raises
    ------
    ValueError
        If a value is not allowed.
    """
    values: dict[str, Any] = {}
    for name, k, _ in knobs.knobs(kind):
        value = getattr(node, name)
        if k.choices is not None:
            value = next(v for v in k.choices if member(v) == value)
        values[name] = value
    for name, _, inner in knobs.sections(kind):
        values[name] = settings_of(getattr(node, name), inner)
    return knobs.check(kind(**values))
