"""What is shipped: every package that Microshot needs, its licence, and a CycloneDX list of them.

    python release/supply.py            writes release/sbom.cdx.json and the table in release/README.md

It reads the metadata of the packages installed beside it; call it in the environment that is shipped.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

HERE = Path(__file__).resolve().parent
SBOM, PAGE = HERE / "sbom.cdx.json", HERE / "README.md"
BEGIN, END = "<!-- licences -->\n", "<!-- end -->\n"
#: Licences of packages that may be shipped with an MIT-licensed program, and why.
ALLOWED = {
    **dict.fromkeys(
        ("MIT", "MIT-CMU", "BSD-2-Clause", "BSD-3-Clause", "ISC", "HPND", "Zlib", "BSL-1.0"),
        "permissive: its notice is passed on",
    ),
    **dict.fromkeys(("0BSD", "CC0-1.0", "Unlicense"), "asks for nothing"),
    **dict.fromkeys(
        ("Apache-2.0", "Apache-2.0 WITH LLVM-exception"),
        "permissive: its notice is passed on, changes would be marked; grants patents",
    ),
    **dict.fromkeys(("PSF-2.0", "Python-2.0"), "permissive: Python's own licence"),
    "MPL-2.0": "copyleft per file: its files are shipped unchanged, ours are not derived from them",
    "LGPL-3.0-only": "copyleft of the library: it is shipped unchanged, as a package that may be replaced",
}
#: Words of older metadata and the licence they mean.
MEANT = {
    "MIT License": "MIT",
    "MIT": "MIT",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
}
#: Extras of ours that are shipped with KNIME's bundle (pixi.toml).
EXTRAS = ("microscopes",)
#: Never part of what is shipped; pip adds them on Linux machines for NVIDIA cards.
NOT_SHIPPED = re.compile(r"(nvidia|cuda)-")
#: What wheels hold beside what their metadata names.
INSIDE = {
    "numpy": "OpenBLAS (BSD-3-Clause), libgfortran (GPL-3.0 with the GCC runtime exception)",
    "scipy": "OpenBLAS (BSD-3-Clause), libgfortran (GPL-3.0 with the GCC runtime exception)",
    "opencv-python-headless": "FFmpeg (LGPL-2.1, as separate libraries that may be replaced)",
    "pylibczirw": "libCZI (LGPL-3.0), jxrlib (BSD-2-Clause), Zstandard (BSD-3-Clause)",
    "stardist": "Clipper (BSL-1.0), Qhull (its own permissive licence), nanoflann (BSD-2-Clause)",
}


def key_of(name: str) -> str:
    """Return a package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def runtime(root: str = "microshot") -> dict[str, importlib.metadata.Distribution]:
    """Return every installed package that `root` needs, directly or not, with `EXTRAS` of ours alone."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = needs(root)
    while waiting:
        name = waiting.pop()
        if name in found or NOT_SHIPPED.match(name):
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # not needed on this system
        waiting |= needs(name)
    return dict(sorted(found.items()))


def direct() -> list[str]:
    """Return what ours requires where it is shipped."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *(line for name in EXTRAS for line in extras[name])]


def needs(name: str) -> set[str]:
    """Return the names of what an installed package, or ours, requires on this system."""
    lines = direct() if name == "microshot" else importlib.metadata.requires(name) or ()
    wanted = map(Requirement, lines)
    return {
        key_of(one.name)
        for one in wanted
        if one.marker is None or one.marker.evaluate({"extra": ""})
    }


def licence_of(package: importlib.metadata.Distribution) -> str:
    """Return the SPDX expression of a package's licence; what it says where that is none we know."""
    about = package.metadata
    if about.get("License-Expression"):
        return about["License-Expression"]
    last = [
        c.split("::")[-1].strip() for c in about.get_all("Classifier") or () if "License ::" in c
    ]
    said = [*last, *(about.get("License") or "").strip().splitlines()[:1]]
    meant = [MEANT.get(one.strip(), one.strip()) for one in said if one.strip() != "OSI Approved"]
    if about.get("License") in ALLOWED:  # more exact than the classifier
        return about["License"]
    return meant[0] if meant else "none stated"


def is_allowed(expression: str) -> bool:
    """Say whether a licence expression lets us ship the package."""
    return any(
        all(part.strip(" ()") in ALLOWED for part in re.split(r"\s+AND\s+", choice))
        for choice in re.split(r"\s+OR\s+", expression)
    )


def sbom(packages: dict[str, importlib.metadata.Distribution], version: str) -> dict[str, Any]:
    """Return a CycloneDX 1.5 document; the same packages give the same document."""
    own = f"pkg:pypi/microshot@{version}"
    refs = {name: f"pkg:pypi/{name}@{one.version}" for name, one in packages.items()}
    components = [
        {
            "type": "library",
            "bom-ref": refs[name],
            "name": one.metadata["Name"],
            "version": one.version,
            "purl": refs[name],
            "licenses": [{"expression": licence_of(one)}],
        }
        for name, one in packages.items()
    ]
    edges = {own: needs("microshot"), **{refs[name]: needs(name) for name in packages}}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "microshot",
                "version": version,
                "purl": own,
                "licenses": [{"expression": "MIT"}],
            }
        },
        "components": components,
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(refs[n] for n in wanted if n in refs)}
            for ref, wanted in edges.items()
        ],
    }
    content = json.dumps(document, sort_keys=True)
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"https://microshot.invalid/{content}")
    return {**document, "serialNumber": f"urn:uuid:{serial}"}


def table(packages: dict[str, importlib.metadata.Distribution]) -> str:
    """Return the licences as a Markdown table."""
    lines = ["| package | version | licence | also inside its wheels |", "|---|---|---|---|"]
    for name, one in packages.items():
        lines.append(f"| {name} | {one.version} | {licence_of(one)} | {INSIDE.get(name, '')} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write list and table; 1 where a licence is not allowed."""
    from microshot import __version__

    packages = runtime()
    document = sbom(packages, __version__)
    SBOM.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    page = PAGE.read_text("utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(before + BEGIN + table(packages) + END + rest.split(END)[1], "utf-8")
    print(f"{len(packages)} packages in {SBOM.relative_to(HERE.parent)}.")  # noqa: T201
    wrong = [f"{name}: {licence_of(one)}" for name, one in packages.items()
             if not is_allowed(licence_of(one))]  # fmt: skip
    for one in wrong:
        print(f"not allowed or not known: {one}")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
