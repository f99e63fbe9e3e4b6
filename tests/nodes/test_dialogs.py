"""Dialogs of all nodes: every control has a label, a description and its range; what does not apply is hidden."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from node_tables import spec_of

if TYPE_CHECKING:
    from collections.abc import Iterator

NODES = (
    "read_images", "generate_synthetic", "train", "retrain", "translate", "predict", "score",
    "suggest", "read_model", "write_labels", "write_model",
)  # fmt: skip
each = pytest.mark.parametrize("node_id", NODES)
PREFIX = "#/properties/model"


def path_of(scope: str) -> str:
    """Return the dotted name of a parameter from its scope."""
    return scope.removeprefix(PREFIX).replace("/properties/", ".").lstrip(".")


def elements(page: dict, rules: tuple = ()) -> Iterator[tuple[dict, tuple]]:
    """Yield every control with the rules of itself and of the sections it lies in."""
    for one in page.get("elements", ()):
        own = (*rules, one["rule"]) if "rule" in one else rules
        if one["type"] == "Control":
            yield one, own
        yield from elements(one, own)


def controls(dialog: dict) -> dict[str, tuple[dict, dict, tuple]]:
    """Return (control, schema, rules) of every parameter by its dotted name."""
    found = {}
    for control, rules in elements(dialog["ui_schema"]):
        name, schema = path_of(control["scope"]), dialog["schema"]["properties"]["model"]
        for part in name.split("."):
            schema = schema["properties"][part]
        found[name] = (control, schema, rules)
    return found


def value(settings: dict, name: str) -> Any:
    for part in name.split("."):
        settings = settings[part]
    return settings


def holds(condition: dict, settings: dict) -> bool:
    if "conditions" in condition:
        parts = [holds(one, settings) for one in condition["conditions"]]
        return all(parts) if condition["type"] == "AND" else any(parts)
    if condition["scope"] == "#":  # settled when the dialog opened
        return condition["schema"]["type"] == ["object"]
    wanted = [one["const"] for one in condition["schema"]["oneOf"]]
    return value(settings, path_of(condition["scope"])) in wanted


def visible(node: Any, specs: list | None = None) -> set[str]:
    """Return the parameters that the dialog shows with the node's settings."""
    shown = set()
    for name, (_, _, rules) in controls(node.dialog(specs)).items():
        hidden = [
            holds(rule["condition"], node.settings) != (rule["effect"] == "SHOW")
            for rule in rules
            if rule["effect"] in ("SHOW", "HIDE")
        ]
        if not any(hidden):
            shown.add(name)
    return shown


def group(names: set[str], name: str) -> bool:
    return any(one.startswith(f"{name}.") for one in names)


@each
def test_every_setting_has_one_control_with_label_and_description(host, node_id):
    node = host.node(node_id)
    dialog = node.dialog()
    every = [path_of(one["scope"]) for one, _ in elements(dialog["ui_schema"])]
    assert len(every) == len(set(every)) == len(controls(dialog))

    def names(values: dict, before: str = "") -> set[str]:
        return {
            one
            for key, v in values.items()
            for one in (names(v, f"{before}{key}.") if isinstance(v, dict) else {before + key})
        }

    assert set(every) == names(node.settings)
    for name, (control, schema, _) in controls(dialog).items():
        assert control["label"].strip(), name
        assert not control["label"].endswith((":", ".")), name
        assert schema["title"] == control["label"], name
        assert len(schema["description"].split()) >= 2, name
        assert schema["description"].rstrip().endswith((".", "\n")), name


@each
def test_every_number_has_a_range_around_its_default(host, node_id):
    node = host.node(node_id)
    for name, (control, schema, _) in controls(node.dialog()).items():
        if schema.get("type") not in ("integer", "number"):
            continue
        limits = control["options"].get("validation", {})
        assert "min" in limits, name
        low = limits["min"]["parameters"]["min"]
        high = limits.get("max", {"parameters": {"max": float("inf")}})["parameters"]["max"]
        assert low <= value(node.settings, name) <= high, name


@each
def test_every_choice_says_what_it_means(host, node_id):
    for name, (_, schema, _) in controls(host.node(node_id).dialog()).items():
        for option in schema.get("oneOf", ()):
            assert option["title"].strip(), name
            assert f"- {option['title']}: " in schema["description"], (name, option)


@each
def test_rules_look_at_settings_and_values_that_there_are(host, node_id):
    node = host.node(node_id)
    found = controls(node.dialog())
    for name, (_, _, rules) in found.items():
        for rule in rules:
            condition = rule["condition"]
            if condition["scope"] == "#":
                continue
            subject = path_of(condition["scope"])
            allowed = {one["const"] for one in found[subject][1].get("oneOf", ())}
            wanted = {one["const"] for one in condition["schema"]["oneOf"]}
            assert wanted <= (allowed or {True, False}), (name, subject)
            assert wanted != allowed, (name, "is always shown")


def test_training_shows_what_belongs_to_the_task(host):
    shown = {}
    for task in ("SEGMENT", "COUNT", "TRANSLATE"):
        node = host.node("train")
        node.set("task", task)
        shown[task] = visible(node)
    assert [group(shown[t], "network") for t in shown] == [True, True, False]
    assert [group(shown[t], "count") for t in shown] == [False, True, False]
    assert [group(shown[t], "twin_vae") for t in shown] == [False, True, False]
    assert [group(shown[t], "translation") for t in shown] == [False, False, True]
    assert ["count_column" in shown[t] for t in shown] == [False, True, False]
    assert ["target_columns" in shown[t] for t in shown] == [False, False, True]
    assert all({"image_column", "label_column", "minutes"} <= names for names in shown.values())


def test_retraining_shows_what_belongs_to_the_model(host):
    reader = host.node("read_model")
    reader.set("source", "NUCLEI_FLUORESCENCE")
    (model,) = reader.configure([])
    images = spec_of(Image="png", Label="png")
    unknown = visible(host.node("retrain"))
    assert group(unknown, "translation")
    assert "count_column" in unknown
    shown = visible(host.node("retrain"), [model, images, None])
    assert not group(shown, "translation")
    assert not group(shown, "twin_vae")
    assert not shown & {"count_column", "target_columns"}
    assert {"check", "keep_better"} <= shown


def test_predicting_shows_what_belongs_to_the_model(host):
    images, only_counts = spec_of(Image="png"), {"count_name", "interval"}
    only_labels = {"prefix", "label_form", "probability", "least_area_px", "mirrored", "precision"}
    node, shown = host.node("predict"), {}
    assert only_counts | only_labels <= visible(node)
    for starter in ("CELLS_DENSITY", "NUCLEI_FLUORESCENCE_FAST"):
        reader = host.node("read_model")
        reader.set("source", starter)
        shown[starter] = visible(node, [*reader.configure([]), images])
    assert shown["CELLS_DENSITY"] & only_labels == set()
    assert only_counts <= shown["CELLS_DENSITY"]
    assert shown["NUCLEI_FLUORESCENCE_FAST"] & only_counts == set()
    assert only_labels <= shown["NUCLEI_FLUORESCENCE_FAST"]


def test_predicting_hides_just_those_settings_that_say_they_are_for_another_model(host):
    node, images = host.node("predict"), spec_of(Image="png")
    of_counts = re.compile(r"only for models that count\.")
    of_labels = re.compile(
        r"(only .*for models that segment|not (for|used by) models that count)\."
    )
    for starter, others in (("CELLS_DENSITY", of_labels), ("NUCLEI_FLUORESCENCE", of_counts)):
        reader = host.node("read_model")
        reader.set("source", starter)
        said = {
            name
            for name, (_, schema, _) in controls(node.dialog()).items()
            if others.search(" ".join(schema["description"].split("\n\n")[0].split()).lower())
        }
        hidden = visible(node) - visible(node, [*reader.configure([]), images])
        assert hidden == said, starter


@pytest.mark.parametrize(
    ("node_id", "setting", "hides", "shows"),
    [
        ("predict", "label_form", "PNG", "TIFF"),
        ("translate", "form", "PNG", "FLOAT"),
        ("read_model", "source", "CELLS_COUNT", "FILE"),
        ("retrain", "check", None, "LEAVE_ONE_OUT"),
        ("generate_synthetic", "scene", "MIXED", "LEGACY_BRIGHT_FIELD"),
        ("train", "images.normalization", "ZSCORE", "PERCENTILE"),
    ],
)
def test_a_setting_hides_what_does_not_apply(host, node_id, setting, hides, shows):
    node = host.node(node_id)
    schema = controls(node.dialog())[setting][1]
    other = hides or next(o["const"] for o in schema["oneOf"] if o["const"] != shows)
    node.set(setting, shows)
    more = visible(node)
    node.set(setting, other)
    less = visible(node)
    assert less < more
