"""The dialog of a node as KNIME's JSON: values, their schema, and what the user sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.headless.standin import settings
from microshot.headless.standin.groups import Group

if TYPE_CHECKING:
    from microshot.headless.standin.parameters import BaseParameter, Rule
    from microshot.headless.standin.runtime import Version

_ROOT = "#/properties/model/properties"


def describe(node: Any, version: Version, context: Any) -> dict[str, Any]:
    """Return ``{"data", "schema", "ui_schema"}`` as KNIME's dialog receives them.

    Descriptions are the Markdown the node wrote, where KNIME sends HTML.

    Raises
    ------
    ValueError, TypeError : if the dialog could not be opened.
    """
    return {
        "data": {"model": settings.read(node)},
        "schema": {
            "type": "object",
            "properties": {"model": settings.schema(node, version)},
        },
        "ui_schema": {"type": "VerticalLayout", "elements": _elements(node, _ROOT, context)},
    }


def _elements(holder: Any, scope: str, context: Any) -> list[dict[str, Any]]:
    siblings = settings.entries(holder)
    elements = []
    for name, entry in siblings.items():
        here = f"{scope}/{name}"
        options: dict[str, Any] = {}
        if isinstance(entry, Group):
            inner = _elements(entry._of(holder), f"{here}/properties", context)
            element: dict[str, Any] = {
                "type": "Section",
                "label": entry._label,
                "options": options,
                "elements": [{"type": entry._layout, "elements": inner}],
            }
        else:
            options = entry._options(context)
            element = {
                "scope": here,
                "type": "Control",
                "label": entry._label,
                "options": options,
            }
        if entry._is_advanced:
            options["isAdvanced"] = True
        if entry._rule is not None:
            element["rule"] = _rule(entry._rule, siblings, scope, context)
        elements.append(element)
    return elements


def _rule(
    rule: Rule, siblings: dict[str, settings.Entry], scope: str, context: Any
) -> dict[str, Any]:
    def scope_of(subject: BaseParameter) -> str:
        return f"{scope}/{name_of(subject, siblings)}"

    return {
        "effect": rule.effect.value,
        "condition": rule.condition._ui_schema(scope_of, context),
    }


def name_of(subject: BaseParameter, siblings: dict[str, settings.Entry]) -> str:
    """Return the name of the parameter a rule looks at.

    Raises
    ------
    ValueError : if it is not in the same group, which KNIME cannot look into.
    """
    for name, entry in siblings.items():
        if entry is subject:
            return name
    raise ValueError(
        f"A rule looks at the parameter '{subject._label}', which is not in the same group."
    )
