"""What the nodes are asked to do in KNIME's own code and in the stand-in: the usual and the odd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from both_hosts import step

ROOT = Path(__file__).parents[2]
SMALL = {
    "minutes": 0.0, "images.patch_px": 32, "images.augmentation": "NONE", "training.epochs": 1,
    "training.steps_per_epoch": 20, "training.learning_rate": 0.01, "training.device": "CPU",
}  # fmt: skip
NETWORK = {"network.width": 4, "network.depth": 1, "network.rays": 8}
COUNTER = {"task": "COUNT", "network.width": 4, "network.depth": 1}
STAINER = {"task": "TRANSLATE", "translation.width": 4, "translation.depth": 1}
CPU = {"device": "CPU"}


def of(name: str, port: int = 0) -> dict[str, Any]:
    """Return the output of a step."""
    return {"from": name, "port": port}


def table(name: str, rows: int | None = 2) -> dict[str, Any]:
    """Return a table of knime_tables.py, in batches of two rows."""
    return {"table": name, "rows": rows}


def models() -> list[dict[str, Any]]:
    """Return the steps that make one small model per task."""
    discs, stacks = table("discs"), table("stacks")
    return [
        step("segmenter", "train", [discs, None], set={**SMALL, **NETWORK}),
        step("counter", "train", [discs, None], set={**SMALL, **COUNTER}),
        step("stainer", "train", [stacks, None], set={**SMALL, **STAINER}),
    ]


def chain(folder: Path) -> list[dict[str, Any]]:
    """Return every node at its usual work; files are written below a folder."""
    made, stacks = of("made"), of("stacks")
    file = str(folder / "chain.microshot")
    scene = {"n": 3, "height_px": 64, "width_px": 64}
    fat = {"n": 3, "height_px": 40, "width_px": 48, "scene": "ADIPOCYTE_STACK"}
    return [
        *models(),
        step("made", "generate_synthetic", [None], set={**scene, "scene": "FLUORESCENCE_NUCLEI"}),
        step("made like others", "generate_synthetic", [table("discs")], set={**scene, "fit": False}),
        step("trained", "train", [made, None], set={**SMALL, **NETWORK}),
        step("retrained", "retrain", [of("trained"), made, made], set=SMALL),
        step("written", "write_model", [of("trained")], set={"path": file, "overwrite": True}),
        step("written as ONNX", "write_model", [of("trained")],
             set={"path": str(folder / "chain.onnx"), "form": "ONNX"}),
        step("read", "read_model", [], set={"path": file}),
        step("predicted", "predict", [of("read"), made], set=CPU),
        step("scored", "score", [of("predicted")]),
        step("counted more", "train", [made, made], set={**SMALL, **COUNTER}),
        step("counted again", "retrain", [of("counted more"), made, None], set=SMALL),
        step("counted", "predict", [of("counted again"), made], set=CPU),
        step("counts scored", "score", [of("counted")]),
        step("stacks", "generate_synthetic", [None], set=fat),
        step("stains", "train", [stacks, None], set={**SMALL, **STAINER}),
        step("stains again", "retrain", [of("stains"), stacks, None], set=SMALL),
        step("stained", "translate", [of("stains again"), stacks, [of("stains")]], set=CPU),
        step("stains scored", "score", [of("stained")]),
        step("starter", "read_model", [], set={"source": "NUCLEI_FLUORESCENCE"}),
        step("found by starter", "predict", [of("starter"), made], set=CPU),
        step("suggested", "suggest", [of("trained"), made], set=CPU),
        step("outlines", "write_labels", [of("found by starter")],
             set={"folder": str(folder / "outlines"), "kind": "GEOJSON"}),
        step("rois", "write_labels", [made], set={"folder": str(folder / "r"), "kind": "ROI"}),
        step("folder", "read_images", [None],
             set={"folder": str(ROOT / "workflows" / "few-shot-segmentation" / "data" / "new")}),
        step("files", "read_images", [table("files")]),
        step("through time", "predict", [of("segmenter"), table("discs")],
             set={**CPU, "time_column": "Hours"}),
        step("diameter given", "predict", [of("segmenter"), table("discs", 1)],
             set={**CPU, "prefix": "Kerne"}),
    ]  # fmt: skip


#: Nodes with tables: what they receive before and after the table, their settings, and the table.
_WITH_TABLES: dict[str, tuple[list, list, dict, str]] = {
    "train": ([], [None], {**SMALL, **NETWORK}, "discs"),
    "train a counter": ([], [None], {**SMALL, **COUNTER}, "discs"),
    "train stains": ([], [None], {**SMALL, **STAINER}, "stacks"),
    "retrain": ([of("segmenter")], [None], SMALL, "discs"),
    "retrain a counter": ([of("counter")], [None], SMALL, "discs"),
    "predict": ([of("segmenter")], [], CPU, "discs"),
    "predict counts": ([of("counter")], [], CPU, "discs"),
    "suggest": ([of("segmenter")], [], CPU, "discs"),
    "translate": ([of("stainer")], [[]], CPU, "stacks"),
    "score": ([], [], {"truth_column": "Label", "prediction_columns": ["Label"]}, "discs"),
    "score counts": ([], [], {"truth_column": "Count", "prediction_columns": ["Count"]}, "discs"),
    "generate_synthetic": (
        [],
        [],
        {"n": 1, "height_px": 64, "width_px": 64, "fit": False},
        "discs",
    ),
    "read_images": ([], [], {}, "files"),
}
HOW = ("empty", "one", "holes")


def odd_tables(folder: Path) -> list[dict[str, Any]]:
    """Return every node with an empty table, with one row, and with missing cells."""
    made = []
    for name, (before, after, values, kind) in _WITH_TABLES.items():
        node = name if name.startswith(("generate", "read")) else name.split()[0]
        for how in HOW:
            given = [*before, table(f"{kind}, {how}"), *after]
            made.append(step(f"{name}: {how}", node, given, set=values))
    for how in HOW:
        values = {"folder": str(folder / how)}
        given = [table(f"discs, {how}")]
        made.append(step(f"write_labels: {how}", "write_labels", given, set=values))
    return made


def wrong_tables(folder: Path) -> list[dict[str, Any]]:
    """Return nodes that receive what does not fit."""
    model, discs, nothing = of("segmenter"), table("discs"), table("no image")
    labels = {"label_column": "Label"}
    return [
        step("train without image", "train", [nothing, None], set=SMALL),
        step("train without second label", "train", [discs, nothing], set=SMALL),
        step("train on a number", "train", [discs, None], set={**SMALL, "image_column": "Count"}),
        step("train on no column", "train", [discs, None], set={**SMALL, "image_column": "Gone"}),
        step("train on no files", "train", [table("texts"), None], set=SMALL),
        step("train on other sizes", "train", [table("unlike"), None], set={**SMALL, **labels}),
        step("retrain without image", "retrain", [model, nothing, None], set=SMALL),
        step("retrain in colour", "retrain", [model, table("colours"), None], set=SMALL),
        step("retrain stains on discs", "retrain", [of("stainer"), discs, None], set=SMALL),
        step("predict without image", "predict", [model, nothing], set=CPU),
        step("predict in colour", "predict", [model, table("colours")], set=CPU),
        step("predict from no files", "predict", [model, table("texts")], set=CPU),
        step("predict and skip", "predict", [model, table("texts")],
             set={**CPU, "unreadable": "SKIP"}),
        step("predict stains", "predict", [of("stainer"), discs], set=CPU),
        step("predict through no time", "predict", [model, discs],
             set={**CPU, "time_column": "Note"}),
        step("translate counts", "translate", [of("counter"), table("stacks"), []], set=CPU),
        step("translate with another", "translate", [of("stainer"), table("stacks"), [model]],
             set=CPU),
        step("translate discs", "translate", [of("stainer"), discs, []], set=CPU),
        step("suggest without image", "suggest", [model, nothing], set=CPU),
        step("score without truth", "score", [nothing]),
        step("score a text", "score", [discs], set={"truth_column": "Note"}),
        step("score other sizes", "score", [table("unlike")],
             set={"truth_column": "Label", "prediction_columns": ["Image"]}),
        step("generate like no image", "generate_synthetic", [nothing], set={"n": 1}),
        step("generate fat like discs", "generate_synthetic", [discs],
             set={"n": 1, "scene": "ADIPOCYTE_STACK"}),
        step("write no labels", "write_labels", [nothing], set={"folder": str(folder)}),
        step("write nowhere", "write_labels", [discs], set={"folder": ""}),
        step("write names twice", "write_labels", [table("discs")],
             set={"folder": str(folder), "name_column": "Slide"}),
        step("write a model nowhere", "write_model", [model], set={"path": " "}),
        step("read no model", "read_model", [], set={"path": str(folder / "none.microshot")}),
        step("read nothing", "read_model", []),
        step("read a page", "read_model", [], set={"path": str(ROOT / "README.md")}),
        step("read no folder", "read_images", [None], set={"folder": str(folder / "none")}),
        step("read no paths", "read_images", [nothing]),
    ]  # fmt: skip


#: Values that no dialog would store: name of the node, of the setting, and the value.
REFUSED = [
    ("train", "training.epochs", 0), ("train", "training.epochs", "3"),
    ("train", "training.epochs", 2**31), ("train", "minutes", -1.0), ("train", "minutes", "one"),
    ("train", "task", "Segment"), ("train", "task", 1), ("train", "images.patch_px", 7),
    ("train", "network.width", 10**6), ("train", "training.learning_rate", 0.0),
    ("train", "training.learning_rate", 1e9), ("train", "name", 3), ("train", "licence", []),
    ("train", "image_column", 3), ("train", "more_channels", "Image"),
    ("train", "more_channels", [1]), ("retrain", "training.device", "GPU"),
    ("retrain", "minutes", True), ("predict", "device", ""), ("predict", "prefix", 1),
    ("predict", "overwrite", 1), ("predict", "overwrite", "true"), ("predict", "time_column", 1),
    ("predict", "label_form", "png"), ("translate", "ending", 0), ("translate", "mask", "no"),
    ("score", "prediction_columns", "Label"), ("score", "truth_column", 0),
    ("generate_synthetic", "n", 0), ("generate_synthetic", "n", 2.0),
    ("generate_synthetic", "n", 10**9), ("generate_synthetic", "height_px", -1),
    ("generate_synthetic", "scene", "nuclei"), ("read_model", "source", "OTHER"),
    ("read_model", "path", 1), ("write_model", "form", "PICKLE"), ("write_labels", "kind", 0),
    ("write_labels", "name_column", True), ("read_images", "pattern", 1),
    ("read_images", "form", "tiff"), ("suggest", "device", "TPU"),
]  # fmt: skip


def refused_values() -> list[dict[str, Any]]:
    """Return nodes with one value each that is out of range or of another type."""
    tables = {
        "train": [table("discs"), None], "retrain": [of("segmenter"), table("discs"), None],
        "predict": [of("segmenter"), table("discs")], "score": [table("discs")],
        "translate": [of("stainer"), table("stacks"), []], "generate_synthetic": [None],
        "read_model": [], "write_model": [of("segmenter")], "write_labels": [table("discs")],
        "read_images": [None], "suggest": [of("segmenter"), table("discs")],
    }  # fmt: skip
    return [
        step(f"{node}.{name} = {value!r}", node, tables[node], set={name: value}, until="configure")
        for node, name, value in REFUSED
    ]


def every_step(folder: Path) -> list[dict[str, Any]]:
    """Return all steps in an order in which each finds what it needs."""
    return [*chain(folder), *odd_tables(folder), *wrong_tables(folder), *refused_values()]
