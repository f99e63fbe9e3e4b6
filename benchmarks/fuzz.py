"""Feed damaged files to every reader and count what is not answered in one sentence.

    python benchmarks/fuzz.py --cases 1000000          all targets together
    python benchmarks/fuzz.py --cases 20000 --only TIFF --only PNG

A case is a number; the same seed and number give the same bytes everywhere, so that a finding can be
repeated with `--show TARGET NUMBER`. What is done is kept in `results/fuzz.json`; a second call goes on
where the first ended. `mended` lists what was found before and is no more; tests/reliability/test_hostile_input.py
holds a test of each kind.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "reliability"), str(HERE.parent / "src")]

RESULTS = HERE / "results" / "fuzz.json"
#: A case that takes longer, in seconds of processor time, is a finding.
SLOW = 5.0
#: A case that makes the process grow by more MiB is a finding.
LARGE = 600
STEP = 500


def main() -> int:
    """Do what the command line says; 1 where something was found."""
    given = arguments()
    from microshot.device import prepare_process

    prepare_process()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory_disk()) as folder:
        import fuzz_more_targets
        import fuzz_targets

        tempfile.tempdir = folder  # workflows are unpacked there
        targets = fuzz_targets.targets(Path(folder))
        targets |= fuzz_more_targets.targets(Path(folder))
        if given.show:
            data = fuzz_targets.case(targets[given.show[0]], given.seed, int(given.show[1]))
            sys.stdout.buffer.write(data)
            print("\n", fuzz_targets.outcome(targets[given.show[0]], data))
            return 0
        chosen = {name: targets[name] for name in given.only or targets}
        return run(chosen, given, fuzz_targets, Path(folder))


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=1_000_000, help="in all")
    parser.add_argument("--minutes", type=float, default=0, help="of processor time; 0 = no limit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="a target")
    parser.add_argument("--show", nargs=2, metavar=("TARGET", "NUMBER"), help="write one case")
    return parser.parse_args()


def memory_disk() -> str | None:
    """Return a folder in memory, where there is one: every case writes a file."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def run(targets: dict[str, Any], given: argparse.Namespace, fuzz: Any, folder: Path) -> int:
    """Run all targets in turns until their cases are done."""
    kept = load(given.seed)
    total = sum(t.share for t in targets.values())
    wanted = {name: round(given.cases * t.share / total) for name, t in targets.items()}
    watch = fuzz.Watch(folder)
    settle(kept, targets, fuzz)
    save(kept)
    started = time.process_time()
    left = set(targets)
    while left:
        for name in [name for name in targets if name in left]:
            entry = kept["targets"].setdefault(name, {"cases": 0, "seconds": 0.0, "findings": {}})
            n = min(max(20, round(STEP * targets[name].share)), wanted[name] - entry["cases"])
            if n <= 0:
                left.discard(name)
                continue
            some(targets[name], entry, given.seed, n, fuzz, watch)
            kept["cases"] = sum(one["cases"] for one in kept["targets"].values())
            save(kept)
            if 0 < given.minutes * 60 < time.process_time() - started:
                left.clear()
                break
    report(kept)
    return any(one["findings"] for one in kept["targets"].values())


def settle(kept: dict[str, Any], targets: dict[str, Any], fuzz: Any) -> None:
    """Try findings of earlier calls again; those that are no more are listed as mended."""
    for name in targets.keys() & kept["targets"].keys():
        findings = kept["targets"][name]["findings"]
        for what, where in list(findings.items()):
            again = fuzz.outcome(
                targets[name], fuzz.case(targets[name], kept["seed"], where["first"])
            )
            if not again:
                kept["mended"].append({"target": name, "found": what, **findings.pop(what)})


def some(target: Any, entry: dict[str, Any], seed: int, n: int, fuzz: Any, watch: Any) -> None:
    """Run the next `n` cases of a target."""
    begin = time.process_time()
    for number in range(entry["cases"], entry["cases"] + n):
        data = fuzz.case(target, seed, number)
        before, size = time.process_time(), peak()
        with watch() as seen:
            found = fuzz.outcome(target, data)
        found = found or ", ".join(seen)
        if time.process_time() - before > SLOW:
            found = f"slow: {found}"
        if peak() - size > LARGE:
            found = f"large: {found}"
        if found:
            one = entry["findings"].setdefault(found, {"first": number, "times": 0})
            one["times"] += 1
    entry["cases"] += n
    entry["seconds"] = round(entry["seconds"] + time.process_time() - begin, 1)


def peak() -> float:
    """Return the most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def load(seed: int) -> dict[str, Any]:
    """Return what earlier calls with this seed have done."""
    if RESULTS.is_file():
        kept = json.loads(RESULTS.read_text("utf-8"))
        if kept["seed"] == seed:
            return kept
        return {"seed": seed, "cases": 0, "mended": kept["mended"], "targets": {}}
    return {"seed": seed, "cases": 0, "mended": [], "targets": {}}


def save(kept: dict[str, Any]) -> None:
    """Write the results, whole or not at all."""
    from microshot.data.disk import replacing

    with replacing(RESULTS, overwrite=True) as part:
        part.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")


def report(kept: dict[str, Any]) -> None:
    """Say what was done and found."""
    for name, one in kept["targets"].items():
        print(f"{name:22} {one['cases']:8} cases {one['seconds']:7.1f} s")
        for what, where in one["findings"].items():
            print(f"    {where['times']} times, first {where['first']}: {what}")
    print(f"{kept['cases']} cases")


if __name__ == "__main__":
    sys.exit(main())
