"""What the command line understands."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microshot import __version__, settings
from microshot.cli import skipping
from microshot.cli.calls import USAGE
from microshot.knobs import allowed, by_path
from microshot.settings.suggesting import SuggestSettings
from microshot.settings.translating import PRESETS
from microshot.starters import STARTERS, path_of

if TYPE_CHECKING:
    from microshot.knobs import Knob

#: How a model is given.
MODELS = f"a .microshot file, or one of {', '.join(STARTERS)}"


class _Parser(argparse.ArgumentParser):
    """Prints a wrong call as one sentence."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(USAGE, f"{self.prog}: {message}. See {self.prog} --help.\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = _Parser(
        prog="microshot",
        description="Few-shot deep learning on microscopy images.",
        epilog="Progress goes to stderr, results to files and, with --json, to stdout. "
        "Exit status: 0 done, 1 the work failed, 2 wrong usage.",
    )
    top.add_argument("--version", action="version", version=f"microshot {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    every = (
        _generate, _train, _retrain, _predict, _translate, _score, _suggest, _study, _sweep,
        _export_labels, _export, _import, _info, _report, _run, _pack, _demo,
    )  # fmt: skip
    for add in every:
        add(verbs)
    for verb in verbs.choices.values():
        verb.add_argument("--json", action="store_true", help="one JSON object on stdout")
        verb.add_argument("--debug", action="store_true", help="show where an error arose")
    return top


def _set_option(verb: argparse.ArgumentParser, kind: type) -> None:
    known = by_path(kind)
    verb.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="change any setting of the node's dialog; may be given several times",
    )  # fmt: skip
    wide = max(map(len, known)) + 2
    lines = [
        textwrap.fill(
            f"  {path:{wide}}{_described(knob, default)}", 100, break_on_hyphens=False,
            subsequent_indent=" " * (wide + 4),
        )
        for path, (knob, default) in known.items()
    ]  # fmt: skip
    heading = (
        "settings that --set changes, as the dialog calls them, with what they may be [and are]:"
    )
    verb.epilog = "\n".join([heading, *lines])
    verb.formatter_class = argparse.RawDescriptionHelpFormatter


def _described(knob: Knob, default: Any) -> str:
    """Return a setting's name in the dialog, what it may be, and in brackets what it is by default."""
    may_be = allowed(knob, default)
    is_now = f"{default:.15g}" if isinstance(default, float) else str(default)
    is_now = is_now.lower() if isinstance(default, bool) else is_now
    return f"{knob.label}{f': {may_be}' * bool(may_be)}{f' [{is_now}]' * bool(is_now)}"


def _generate(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser(
        "generate", help="make synthetic images with exact labels, or stacks with stains"
    )
    verb.add_argument("--preset", required=True, choices=list(settings.SCENES), metavar="NAME",
                      help=f"kind of images: {', '.join(settings.SCENES)}")  # fmt: skip
    verb.add_argument("--n", type=int, default=100, help="number of images (default 100)")
    verb.add_argument("--seed", type=int, default=42, help="random seed (default 42)")
    verb.add_argument("--like", "--reference", dest="reference", type=Path, metavar="DIR",
                      help="your own images, to be resembled; label images or counts.csv beside "
                      "them are used")  # fmt: skip
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for results")
    _set_option(verb, settings.GenerateSettings)


def _learning(verb: argparse.ArgumentParser, kind: type) -> None:
    verb.add_argument("--images", type=Path, required=True, metavar="DIR", help="images")
    verb.add_argument("--labels", type=Path, metavar="DIR|CSV",
                      help="label images, outlines or points (ImageJ, QuPath, COCO, labelme, VIA, CSV), or a table of "
                      "counts; default: labels or counts.csv, found by name in the folder of the images")  # fmt: skip
    verb.add_argument("--targets", type=Path, metavar="DIR",
                      help="measured stains for the task translate, one file per image and stain "
                      "(a_lipids.tif for a.tif); default: the folder targets beside the images")  # fmt: skip
    verb.add_argument("--synthetic", type=Path, metavar="DIR",
                      help="more labelled images to learn from, as `generate` writes them")  # fmt: skip
    _group_option(verb)
    minutes = by_path(kind)["minutes"][1]
    verb.add_argument("--minutes", type=float, help=f"time limit (default {minutes:g}; 0 = none)")
    verb.add_argument("--seed", type=int, help="random seed (default 42)")
    verb.add_argument("--device", choices=list(settings.DEVICES), help="where to compute")
    verb.add_argument("--name", help="name of the model")
    verb.add_argument(
        "--overwrite", action="store_true", help="replace an existing model file and report"
    )
    verb.add_argument("--report", type=Path, metavar="FILE", help="write an HTML report")
    verb.add_argument(
        "--out", type=Path, required=True, metavar="MODEL", help="model file to write"
    )
    _set_option(verb, kind)


def _preset(verb: argparse.ArgumentParser) -> None:
    stains = ", ".join(PRESETS)
    verb.add_argument("--preset", choices=list(settings.PRESETS), default="fast",
                      help="where settings that are not given come from: fast (default), for few images "
                      f"and a CPU; faithful, the published method; {stains}, the published systems for "
                      "those stains")  # fmt: skip


def _group_option(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--group", metavar="PATTERN",
                      help="regular expression whose first group in a file name is the image's well, "
                      "slide or day, such as _([A-H][0-9]+)_; images of one are never both learned from "
                      "and judged by")  # fmt: skip


def _train(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("train", help="train a model from scratch")
    verb.add_argument("--task", choices=list(settings.TASKS), default="segment",
                      help="what the model is to do (default segment)")  # fmt: skip
    _preset(verb)
    _learning(verb, settings.TrainSettings)


def _retrain(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    strategies = by_path(settings.RetrainSettings)["strategy"][0].choices or {}
    verb = verbs.add_parser("retrain", help="adapt a model to a few labelled images")
    verb.add_argument("--model", type=path_of, required=True, help=f"start: {MODELS}")
    verb.add_argument("--strategy", metavar="NAME",
                      help=f"what may change: {', '.join(strategies)}")  # fmt: skip
    _learning(verb, settings.RetrainSettings)


def _predict(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("predict", help="apply a model to images")
    verb.add_argument("--model", type=path_of, required=True, help=MODELS)
    verb.add_argument("--images", type=Path, required=True, metavar="DIR|FILE",
                      help="images to work on; of a CZI, LIF or ND2 file with several all, or one as exp.lif#3")  # fmt: skip
    verb.add_argument("--device", choices=list(settings.DEVICES), help="where to compute")
    verb.add_argument("--time", type=Path, metavar="CSV",
                      help="table with the columns file, time and perhaps group: the growth curve is "
                      "written, too")  # fmt: skip
    verb.add_argument("--labels-as", choices=("tiff", "zarr"), default="tiff",
                      help="form of label images of images that are worked through block by block "
                      "(default tiff; zarr = OME-Zarr)")  # fmt: skip
    _scheduler(verb)
    skipping.add_option(verb)
    verb.add_argument("--overwrite", action="store_true", help="replace existing files")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for results")
    _set_option(verb, settings.PredictSettings)


def _scheduler(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--scheduler", metavar="ADDRESS|local",
                      help="work on the Dask cluster at this address, or on several processes here "
                      "(local); models, images and results must have the same paths everywhere")  # fmt: skip


def _translate(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("translate", help="turn bright-field stacks into stains")
    verb.add_argument("--model", type=path_of, required=True, action="append",
                      help="a model for the task translate; give several to apply all at once")  # fmt: skip
    verb.add_argument("--images", type=Path, required=True, metavar="DIR|FILE",
                      help="multi-page TIFFs, one per field of view")  # fmt: skip
    verb.add_argument("--device", choices=list(settings.DEVICES), help="where to compute")
    _scheduler(verb)
    skipping.add_option(verb)
    verb.add_argument("--overwrite", action="store_true", help="replace existing files")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for results")
    _set_option(verb, settings.TranslateSettings)


def _score(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("score", help="compare predictions with the truth")
    verb.add_argument("--truth", type=Path, required=True, metavar="DIR|CSV",
                      help="true label images, a table of true counts, or measured stains")  # fmt: skip
    verb.add_argument("--prediction", type=Path, required=True, metavar="DIR|CSV",
                      help="predicted label images or table of counts, as `predict` writes them, or "
                      "stains, as `translate` does")  # fmt: skip
    verb.add_argument("--stains", action="store_true",
                      help="the folders hold measured and predicted stains, not label images")  # fmt: skip
    _scheduler(verb)
    verb.add_argument("--report", type=Path, metavar="FILE",
                      help="write an HTML report of label images or counts, the worst images first")  # fmt: skip
    verb.add_argument("--images", type=Path, metavar="DIR", help="images to show in the report")
    verb.add_argument("--overwrite", action="store_true", help="replace an existing report")
    _set_option(verb, settings.ScoreSettings)


def _export_labels(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("export-labels", help="write labels for ImageJ, QuPath and others")
    verb.add_argument("--labels", type=Path, required=True, metavar="DIR|FILE",
                      help="labels of any kind, as `predict` or other programs write them")  # fmt: skip
    verb.add_argument("--images", type=Path, metavar="DIR",
                      help="their images; needed where the labels are outlines, not label images")  # fmt: skip
    verb.add_argument("--to", choices=("tiff", "roi", "geojson", "csv"), required=True,
                      help="label images, ImageJ ROI sets, QuPath GeoJSON or tables of objects")  # fmt: skip
    verb.add_argument("--overwrite", action="store_true", help="replace existing files")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for results")


def _suggest(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("suggest", help="say which images to label next")
    verb.add_argument("--model", type=path_of, required=True, help="model that is to be improved")
    verb.add_argument("--images", type=Path, required=True, metavar="DIR", help="unlabelled images")
    verb.add_argument("--n", type=int, help="how many images to suggest (default: all, in order)")
    verb.add_argument("--device", choices=list(settings.DEVICES), help="where to compute")
    verb.add_argument("--report", type=Path, metavar="FILE", help="write an HTML report")
    verb.add_argument(
        "--overwrite", action="store_true", help="replace an existing table and report"
    )
    verb.add_argument("--out", type=Path, required=True, metavar="CSV", help="table to write")
    _set_option(verb, SuggestSettings)


def _many(verb: argparse.ArgumentParser, sets: str) -> None:
    """Add what both verbs that train many times take."""
    verb.add_argument("--images", type=Path, required=True, metavar="DIR", help="labelled images")
    verb.add_argument("--labels", type=Path, metavar="DIR|CSV", help="label images or counts")
    verb.add_argument("--targets", type=Path, metavar="DIR", help="measured stains")
    verb.add_argument("--synthetic", type=Path, metavar="DIR", help="more images to learn from")
    _group_option(verb)
    _preset(verb)
    verb.add_argument("--minutes", type=float, default=1.0, help="of every training (default 1)")
    verb.add_argument("--test-fraction", type=float, default=0.3,
                      help="part of the images to score on, never trained on (default 0.3)")  # fmt: skip
    verb.add_argument("--repeats", type=int, default=3, help="seeds (default 3)")
    verb.add_argument("--seed", type=int, help="first random seed (default 42)")
    verb.add_argument("--device", choices=list(settings.DEVICES), help="where to compute")
    verb.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=sets)
    _scheduler(verb)
    verb.add_argument("--out", type=Path, required=True, metavar="DIR",
                      help="folder for tables and report; what runs.csv there holds is not "
                      "trained again")  # fmt: skip


def _study(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser(
        "study", help="how good with 2, 5, 10 … labelled images, pretrained and from scratch"
    )
    verb.add_argument("--model", type=path_of, required=True, action="append",
                      help="pretrained model; give several to compare all with a random start")  # fmt: skip
    verb.add_argument("--sizes", default="2,5,10,50,200,full",
                      help="numbers of images; full = all (default 2,5,10,50,200,full)")  # fmt: skip
    _many(verb, "change any setting of both trainings (see microshot train --help)")


def _sweep(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("sweep", help="compare all combinations of some settings")
    verb.add_argument("--model", type=path_of, help="retrain this model; else train from scratch")
    verb.add_argument("--task", choices=list(settings.TASKS), default="segment",
                      help="what to train for from scratch (default segment)")  # fmt: skip
    _many(
        verb,
        "values to try, for example learning_rate=0.001,0.0003; for all settings see "
        "microshot train --help",
    )


def _export(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("export", help="write a model for programs that are not Microshot")
    verb.add_argument("model", type=path_of, metavar="MODEL", help=MODELS)
    verb.add_argument("--to", required=True, choices=["onnx", "bioimageio"],
                      help="an ONNX file, or a package of the BioImage Model Zoo")  # fmt: skip
    verb.add_argument("--overwrite", action="store_true", help="replace an existing file")
    verb.add_argument("--out", type=Path, required=True, metavar="PATH",
                      help="file to write; its ending is added if it is missing")  # fmt: skip


def _import(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("import", help="make a .microshot file of a StarDist 2-D model")
    verb.add_argument("source", type=Path, metavar="FOLDER|ZIP",
                      help="StarDist model: config.json, weights_best.h5, thresholds.json")  # fmt: skip
    verb.add_argument("--diameter", type=float, default=0.0, metavar="PX",
                      help="median diameter of objects in the images it was trained on, to which "
                      "images are brought when it is retrained (default 24)")  # fmt: skip
    verb.add_argument("--name", default="", help="name of the model (default that of the folder)")
    verb.add_argument("--overwrite", action="store_true", help="replace an existing model file")
    verb.add_argument(
        "--out", type=Path, required=True, metavar="MODEL", help="model file to write"
    )


def _info(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("info", help="say what a model file is")
    verb.add_argument("model", type=path_of, metavar="MODEL", help=MODELS)


def _report(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser(
        "report", help="write the report of a model as one page to open or print"
    )
    verb.add_argument("model", type=path_of, metavar="MODEL", help=MODELS)
    verb.add_argument("--out", type=Path, metavar="FILE",
                      help="HTML file to write (default: beside the model, of a starter model in "
                      "the working folder)")  # fmt: skip
    verb.add_argument("--overwrite", action="store_true", help="replace an existing report")


def _run(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser(
        "run", help="run a saved KNIME workflow without KNIME",
        epilog="What nodes of a .knwf file write into the workflow's data area is copied into the "
        "folder data of --out, else into a new folder NAME data of the current one.",
    )  # fmt: skip
    verb.add_argument("workflow", type=Path, help="workflow folder or .knwf file")
    verb.add_argument("--out", type=Path, metavar="DIR",
                      help="folder for tables, models, views: new, empty, or of an earlier run, whose "
                      "results are replaced as soon as nodes run")  # fmt: skip
    verb.add_argument(
        "--set", action="append", default=[], metavar="NODE.PARAMETER=VALUE",
        help='change a node\'s parameter; NODE is its name, label, id or "#number"',
    )  # fmt: skip


def _pack(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser(
        "pack", help="pack a workflow folder into one .knwf file, and say what others would lack"
    )
    verb.add_argument("workflow", type=Path, metavar="FOLDER", help="workflow folder")
    verb.add_argument("--overwrite", action="store_true", help="replace an existing file")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE",
                      help="file to write; the ending .knwf is added if it is missing")  # fmt: skip


def _demo(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verb = verbs.add_parser("demo", help="the main job on real images, with a report to open")
    verb.add_argument("--out", type=Path, metavar="DIR", help="folder for results (demo-report)",
                      default=Path("demo-report"))  # fmt: skip
