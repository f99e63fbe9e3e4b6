#!/usr/bin/env python3
"""Make the environment and run the demo or every check.

    python3 dev.py demo              the main job on real images; ends with a report to open
    python3 dev.py test              lint, types, architecture, tests
    python3 dev.py test --slow       also the tests that take minutes
    python3 dev.py sbom              list what a release holds, with licences (release/)
    python3 dev.py docs              write what is made from the nodes: workflows, docs/nodes.md,
                                     settings kept for later versions
    python3 dev.py setup             only make the environment (.venv)

Needs Python 3.11 to 3.13 and, for the first call, a network for pip.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "microshot-installed"
LEAST, BELOW = (3, 11), (3, 14)
#: PyTorch for machines without an NVIDIA card: a tenth of the download from PyPI on Linux.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def call(*command: str | Path) -> int:
    """Run a command in the project folder and return its exit status."""
    return subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode


def must(*command: str | Path) -> None:
    """Run a command; stop here if it fails."""
    if call(*command):
        sys.exit(f"dev.py: stopped, because this failed: {' '.join(map(str, command))}")


def wanted() -> str:
    """Return what the environment must have been made from to be up to date."""
    files = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    content = b"".join(file.read_bytes() for file in files) + sys.version.encode() + bytes(ROOT)
    return hashlib.sha256(content).hexdigest()


def setup() -> None:
    """Make `.venv` and install Microshot with its tools, unless that is done already."""
    if not LEAST <= sys.version_info[:2] < BELOW:
        sys.exit(
            f"dev.py: expected Python 3.11, 3.12 or 3.13, found {platform.python_version()}; "
            "call it with another one, for example python3.12 dev.py."
        )
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == wanted():
        return
    print("Making the environment in .venv (once; a few minutes) ...", flush=True)
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True)
    install = (
        PYTHON,
        "-m",
        "pip",
        "install",
        "-qq",
        "--prefer-binary",
        "-c",
        "constraints.txt",
    )
    if sys.platform == "linux" and shutil.which("nvidia-smi") is None:
        fast_fail = ("--retries", "1", "--timeout", "30")
        call(*install, *fast_fail, "--no-deps", "torch", "--extra-index-url", CPU_INDEX)
    must(*install, "-e", ".[dev]")
    STAMP.write_text(wanted(), encoding="utf-8")


def test(*, slow: bool) -> int:
    """Run every check and say which failed."""
    everything = ("-m", "") if slow else ()
    checks = {
        "lint": (BIN / "ruff", "check", "."),
        "format": (BIN / "ruff", "format", "--check", "."),
        "types": (BIN / "basedpyright",),
        "architecture": (BIN / "lint-imports",),
        # tests of a file share what it trains, so they stay in one process
        "tests": (
            *(PYTHON, "-m", "pytest", "-q", "--durations=10", "-n", "auto", "--dist", "loadfile"),
            *everything,
        ),
    }
    failed = []
    for name, command in checks.items():
        print(f"\n=== {name}", flush=True)
        started = time.monotonic()
        if call(*command):
            failed.append(name)
        print(f"=== {name}: {time.monotonic() - started:.0f} s", flush=True)
    print(f"\nFailed: {', '.join(failed)}." if failed else "\nAll checks passed.")
    return 1 if failed else 0


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    demo = verbs.add_parser("demo", help="run the example workflow and write a report")
    demo.add_argument("--out", default="demo-report", help="folder for the report")
    tests = verbs.add_parser("test", help="run every check")
    tests.add_argument("--slow", action="store_true", help="also tests that take minutes")
    verbs.add_parser("sbom", help="list what a release holds, with licences")
    verbs.add_parser("docs", help="write what is made from the nodes")
    verbs.add_parser("setup", help="only make the environment")
    given = parser.parse_args()
    setup()
    if given.verb == "test":
        return test(slow=given.slow)
    if given.verb == "sbom":
        return call(PYTHON, "release/supply.py")
    if given.verb == "demo":
        return call(PYTHON, "-m", "microshot", "demo", "--out", given.out)
    if given.verb == "docs":
        for script in ("workflows/build.py", "docs/build.py", "tests/kept_files.py"):
            must(PYTHON, script)
    return 0


if __name__ == "__main__":
    sys.exit(main())
