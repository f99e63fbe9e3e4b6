"""The first node that needs a large library asks about cancel while it is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Libraries whose import takes seconds; sympy stands for PyTorch's compiler.
LARGE = ("torch", "sympy", "albumentations", "cv2", "numba")


def executed(name: str, folder: Path) -> dict[str, list[bool]]:
    """Execute a node; return the large libraries, and whether each was imported in its thread."""
    from node_tables import Tables, set_tiny

    from microshot.headless import standin

    standin.install()
    host = standin.Host(ROOT, folder)
    node, tables = host.node(name), Tables(host)
    importers: dict[str, list[int]] = {}
    own: list[int] = []

    class Watch:
        def find_spec(self, name, path=None, target=None):
            if name in LARGE:
                importers.setdefault(name, []).append(threading.get_ident())

    def asked() -> bool:
        own.append(threading.get_ident())
        return False

    if name == "train":
        set_tiny(node).set("images.augmentation", "STANDARD")
        inputs = [tables.images(2), None]
    else:
        model = host.node("read_model")
        model.set("source", "NUCLEI_FLUORESCENCE")
        inputs = [*model.execute([]), *([tables.images(2)] if name == "suggest" else [])]
    if name == "write_model":
        node.set("path", str(folder / "model"))
        node.set("form", "ONNX")
    sys.meta_path.insert(0, Watch())
    node.execute(inputs, is_cancelled=asked)
    return {name: [ident in own for ident in found] for name, found in importers.items()}


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("train", {"torch", "sympy", "albumentations"}),
        ("suggest", {"torch"}),
        pytest.param("write_model", {"torch"}, marks=pytest.mark.slow),
    ],
)
def test_large_libraries_are_loaded_beside_the_thread_that_asks(name, needed, tmp_path) -> None:
    path = [ROOT / "src", ROOT / "tests", ROOT / "tests" / "nodes"]
    code = "import json, sys, pathlib\nfrom test_first_use import executed\n"
    code += "print(json.dumps(executed(sys.argv[1], pathlib.Path(sys.argv[2]))))"
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert needed <= set(found)
    assert "sympy" in needed or "sympy" not in found  # only training needs the compiler
    assert not any(here for listed in found.values() for here in listed)
