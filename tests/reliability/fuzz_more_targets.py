"""More targets of the fuzz: models of others, Zarr folders, files of microscopes, states of trainings, options of commands."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import fuzz_targets as base
import numpy as np

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence


def members_of(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder by their path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def damaged_member(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return an archive with one member damaged (JSON as JSON) or missing; or a damaged archive."""
    if rng.random() < 0.1:
        return base.damaged(rng, seeds)
    with zipfile.ZipFile(io.BytesIO(rng.choice(seeds))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    if rng.random() < 0.1:
        del members[name]
    else:
        damage = base.damaged_json if name.endswith(".json") else base.damaged
        members[name] = damage(rng, [members[name]])
    return base.zipped(members)


# ------------------------------------------------------------------------- models of others


def stardist_model(folder: Path) -> bytes:
    """Return a StarDist model as an archive."""
    from stardist_files import write_model

    return base.zipped(members_of(write_model(folder / "stardist")))


def read_stardist(path: Path) -> object:
    """Make a model of ours of an archive, up to the network."""
    from microshot.importing import open_model
    from microshot.opening import skeleton_of

    return skeleton_of(open_model(path))


def encoder_files() -> list[bytes]:
    """Return a few tensors as safetensors and as PyTorch writes them."""
    import torch
    from safetensors.torch import save

    state = {"conv1.weight": torch.ones(2, 3, 3, 3), "module.bn1.bias": torch.zeros(2)}
    made = [save(state)]
    for content in (state, {"state_dict": state}):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        made.append(buffer.getvalue())
    return made


def encoder_reader(folder: Path) -> Callable[[bytes], object]:
    """Return a reader of encoder weights that names files by what they seem to be."""
    from microshot.nn.encoder_weights import read_tensors

    def read(data: bytes) -> object:
        path = folder / f"weights{'.pth' if data[:2] == b'PK' else '.safetensors'}"
        path.write_bytes(data)
        return read_tensors(path)

    return read


# -------------------------------------------------------------------------------- OME-Zarr


def zarr_images(folder: Path) -> list[bytes]:
    """Return OME-Zarr images as archives: one of ours, one of channels without OME."""
    import zarr

    from microshot.data.zarr_images import write_zarr_labels

    labels = np.arange(20 * 24, dtype=np.uint16).reshape(20, 24)
    own = folder / "own.zarr"
    write_zarr_labels(own, (20, 24), labels.dtype, [((slice(None), slice(None)), labels)], 0.5)
    plain = folder / "plain.zarr"
    array = zarr.create_array(str(plain), shape=(2, 20, 24), chunks=(1, 8, 8), dtype="float32")
    array[:] = 1.5
    made = [base.zipped(members_of(one)) for one in (own, plain)]
    for path in (own, plain):  # the event loop is made once, before anybody watches
        read_zarr(path)
    return made


def read_zarr(path: Path) -> object:
    """Read a corner of a Zarr folder."""
    from microshot.data.zarr_images import ZarrWindows

    image = ZarrWindows(path, "image.zarr")
    image.check()
    return image.stored(slice(0, 8), slice(0, 8))


def zarr_reader(folder: Path) -> Callable[[bytes], object]:
    """Return a reader of archives that unpacks them into a folder of its own first."""
    place = folder / "unpacked.zarr"

    def read(data: bytes) -> object:
        shutil.rmtree(place, ignore_errors=True)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = {n: archive.read(n) for n in archive.namelist() if n[-1:] not in "/"}
        except Exception:  # noqa: BLE001 - the archive is how a folder is carried here, not read by us
            return None
        for name, content in members.items():
            path = place / name
            if ".." in path.parts or not path.resolve().is_relative_to(place):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return read_zarr(place)

    return read


# ------------------------------------------------------------------- trainings and commands


def states(folder: Path) -> list[bytes]:
    """Return what a training keeps."""
    import torch

    from microshot.training.unfinished import Unfinished

    made = Unfinished(folder / "kept", {"settings": {}})
    made.write("step_0.safetensors", {"model/w": torch.ones(2, 3)}, {"elapsed": 1.0, "stage": 0})
    return [(folder / "kept" / "step_0.safetensors").read_bytes()]


def read_state(path: Path) -> object:
    """Read what a training has kept."""
    from microshot.training.unfinished import Unfinished

    folder = path.parent / "kept"
    path.replace(folder / "step_0.safetensors")
    return Unfinished.opened(folder, {"settings": {}}, restart=False).next().kept()


def read_job(path: Path) -> object:
    """Read what a training was about."""
    from microshot.training.unfinished import Unfinished

    folder = path.parent / "job"
    folder.mkdir(exist_ok=True)
    path.replace(folder / "job.json")
    return Unfinished.opened(folder, _JOB, restart=False)


def read_times(path: Path) -> object:
    """Read a table of times."""
    from microshot.cli.growing import read_times

    return read_times(path, ["a"])


def override_reader() -> Callable[[bytes], object]:
    """Return a reader of ``--set`` options of `microshot run`, for an example workflow."""
    from microshot.headless.overrides import resolve_overrides
    from microshot.headless.workflow_reader import read_workflow

    root = Path(__file__).parents[2] / "workflows" / "few-shot-segmentation"
    nodes = read_workflow(root).nodes
    choices = [{"const": "A", "title": "First"}, {"const": "B", "title": "Second"}]
    own = {**base._SCHEMA["properties"], "kind": {"type": "string", "oneOf": choices}}
    schemas = {node.id: {**base._SCHEMA, "properties": own} for node in nodes}

    def read(data: bytes) -> object:
        key, _, text = data.decode("utf-8", "surrogateescape").partition("=")
        return resolve_overrides({key: text}, nodes, schemas)

    return read


def overrides() -> list[bytes]:
    """Return options as users write them."""
    names = (
        "#1.minutes",
        "retrain.epochs",
        "four labelled images.name",
        "train.numbers",
        "#2.kind",
    )
    values = ("1", "0.5", "true", "[1, 2]", "First", "1,2")
    return [f"{name}={value}".encode() for name in names for value in values]


def share_reader(folder: Path) -> Callable[[bytes], object]:
    """Return a reader of packed workflows that says what others would lack."""
    from microshot.headless.sharing import lacks
    from microshot.headless.workflow_reader import read_workflow

    return base.from_file(
        lambda path: lacks(read_workflow(path), folder / "data", "org.microshot.microshot"),
        folder / "shared.knwf",
    )


# ------------------------------------------------------------------------- files of microscopes

_GUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def microscope_files(folder: Path) -> dict[str, list[bytes]]:
    """Return files of two small images by their endings; the same bytes every time."""
    import microscope_writers as writers

    stacks = [writers.noise((2, 1, 2, 20, 21), np.uint16, seed) for seed in range(2)]
    photograph = writers.noise((20, 21, 3), np.uint8)
    czi, lif, nd2 = (folder / f"seed{ending}" for ending in (".czi", ".lif", ".nd2"))
    made: dict[str, list[bytes]] = {".czi": []}
    for images, compression in ((stacks, "zstd1:ExplicitLevel=2"), ([photograph], None)):
        data = writers.write_czi(czi, images, tile=16, compression=compression).read_bytes()
        made[".czi"].append(_GUID.sub(b"0" * 36, data[:48] + bytes(32) + data[80:]))
    made[".lif"] = [
        writers.write_lif(lif, images).read_bytes()
        for images in (dict(zip("ab", stacks, strict=True)), {"a": photograph})
    ]
    made[".nd2"] = [writers.write_nd2(nd2, i).read_bytes() for i in (stacks, [photograph])]
    return made


def read_microscope(path: Path) -> object:
    """Read the last image of a microscope's file."""
    from microshot.data.microscope_files import images_in
    from microshot.data.read import read_image

    return read_image(images_in(path)[-1])


_JOB = {"settings": {"seed": 1}, "images": "ab"}
_TIMES = (
    b"file,time\na.tif,1.5\nb.tif,\n",
    b'\xef\xbb\xbffile,time,group\n"a.tif",3,x\n',
    b"time,file\n1e3,a\n",
)


def targets(folder: Path) -> dict[str, base.Target]:
    """Return every target by name; files are written in `folder` only."""
    at = base.from_file
    job = json.dumps(_JOB).encode()
    scopes = microscope_files(folder)
    workflow = [base.zipped(base._workflow_folder_once())]
    made = (
        base.Target("StarDist model", at(read_stardist, folder / "s.zip"),
                    [stardist_model(folder)], damaged_member, 0.5),
        base.Target("encoder weights", encoder_reader(folder), encoder_files(), base.damaged, 1),
        base.Target("OME-Zarr", zarr_reader(folder), zarr_images(folder), damaged_member, 0.3),
        *(base.Target(name, at(read_microscope, folder / f"m{ending}"), scopes[ending], base.damaged, 1)
          for name, ending in (("CZI", ".czi"), ("LIF", ".lif"), ("ND2", ".nd2"))),
        base.Target("state of a training", at(read_state, folder / "state"), states(folder),
                    base.damaged, 3),
        base.Target("job of a training", at(read_job, folder / "job.part"), [job],
                    base.damaged_json, 3),
        base.Target("table of times", at(read_times, folder / "t.csv"), _TIMES, base.damaged, 5),
        base.Target("--set of a workflow", override_reader(), overrides(), base.damaged, 5),
        base.Target("shared workflow", share_reader(folder), workflow, base.damaged_workflow, 0.05),
    )  # fmt: skip
    return {one.name: one for one in made}
