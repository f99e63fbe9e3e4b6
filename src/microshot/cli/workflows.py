"""Running and packing saved workflows, and the demo."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from microshot.cli.calls import DONE, UsageError, refuse_existing
from microshot.data.disk import made_folder
from microshot.progress import Cancelled
from microshot.words import how_many

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from microshot.cli.console import Console
    from microshot.headless.results import WorkflowResult

#: The folder with knime.yml, icons and workflows: the checkout this package lies in.
ROOT = Path(__file__).resolve().parents[3]
DEMO = "few-shot-segmentation"


def _run(
    given: argparse.Namespace, console: Console, workflow: Path, out: Path | None,
    sets: Sequence[str] = (),
) -> WorkflowResult:  # fmt: skip
    from microshot.headless.overrides import OverrideError
    from microshot.headless.run import run_workflow

    if not (ROOT / "knime.yml").is_file():
        raise FileNotFoundError(
            f'"{ROOT}" holds no knime.yml; workflows run from a checkout of Microshot '
            "(pip install -e .)."
        )
    overrides = {}
    for one in sets:
        key, separator, value = one.partition("=")
        if not separator:
            raise UsageError(f'--set "{one}": expected NODE.PARAMETER=VALUE.')
        overrides[key.strip()] = value  # a space in front belongs to the ending of a name
    try:
        result = run_workflow(
            workflow, extension_root=ROOT, overrides=overrides, out=out, progress=console.progress
        )
    except OverrideError as error:
        raise UsageError(f"--set: {error}") from None
    if result.kept is not None:
        console.say(f"Files that nodes wrote into the workflow's data area: {result.kept}.")
    for node in result.nodes:
        for warning in node.warnings:
            console.say(f"{node.node.title}: {warning}")
        if given.debug and node.details:
            console.say(node.details)
    if not result.succeeded and result.page is not None:
        console.say(f"What the nodes gave until then: {result.page}.")
    if result.cancelled:
        raise Cancelled
    if result.error is not None:
        raise RuntimeError(result.error)
    return result


def run(given: argparse.Namespace, console: Console) -> int:
    """Run a workflow and, where asked for, write what every node gave."""
    result = _run(given, console, given.workflow, given.out, given.set)
    nodes = [
        {"id": n.node.id, "name": n.node.title, "state": n.state, "seconds": round(n.seconds, 4)}
        for n in result.nodes
    ]
    lines = [f"{n['state']:10} {n['seconds']:8.1f} s  {n['name']}" for n in nodes]
    if result.page is not None:
        lines.append(f"Results: {result.page}")
    told = {"seconds": result.seconds, "out": str(given.out or ""), "data": str(result.kept or "")}
    console.result({"nodes": nodes, **told}, lines)
    return DONE


def pack(given: argparse.Namespace, console: Console) -> int:
    """Write a workflow folder as one file, and say what would be missing elsewhere."""
    from microshot.headless.declaration import read_extension
    from microshot.headless.knwf import pack_workflow
    from microshot.headless.sharing import lacks, unfit
    from microshot.headless.workflow_reader import open_workflow

    if given.workflow.is_file():
        raise UsageError(f'"{given.workflow}": expected the folder of a workflow, found a file.')
    out = given.out if given.out.suffix == ".knwf" else Path(f"{given.out}.knwf")
    refuse_existing(out, overwrite=given.overwrite)
    made_folder(out.parent)
    with open_workflow(given.workflow) as opened:
        found = lacks(opened.workflow, opened.data_area, read_extension(ROOT).id)
        found += unfit(opened.folder)
        pack_workflow(opened.folder, out, replace=given.overwrite)
    console.say(*found)
    size = out.stat().st_size
    told = f"{how_many(len(opened.workflow.nodes), 'node')}, {size / 1e6:.1f} MB"
    ready = "Ready to be sent." if not found else "Mend what is named above before sending it."
    console.result(
        {"workflow": str(out), "bytes": size, "missing": found},
        [f"Packed into {out} ({told}). {ready}"],
    )
    return DONE


def demo(given: argparse.Namespace, console: Console) -> int:
    """Run the example workflow on real images and write a report."""
    from microshot.cli.demo_report import demo_report
    from microshot.cli.tables import write_text

    started = time.monotonic()
    console.say(
        "Four labelled images: generate synthetic cells, train on them, retrain on four labelled "
        "real images, and compare on real images that no model has seen."
    )
    result = _run(given, console, ROOT / "workflows" / DEMO, given.out / "nodes")
    page, sentence = demo_report(result, time.monotonic() - started)
    report = given.out / "report.html"
    write_text(report, page)
    seconds = round(time.monotonic() - started, 1)
    console.result(
        {"report": str(report.resolve()), "seconds": seconds, "verdict": sentence},
        [
            sentence,
            f"Finished in {seconds:.0f} s. Open the report: {report.resolve()}",
            f"What every node gave: {(given.out / 'nodes' / 'index.html').resolve()}",
        ],
    )
    return DONE
