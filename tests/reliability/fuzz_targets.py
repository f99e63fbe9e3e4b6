"""What is fuzzed: readers of foreign bytes, intact examples for each, and ways to damage them.

A case is a number: target, seed and number give the same bytes everywhere.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import io
import json
import random
import re
import struct
import sys
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import knobs, settings
from microshot.bundle import Bundle, Card
from microshot.data import coco, geojson, json_text, labelme, roi_files, via
from microshot.data.count_table import read_counts
from microshot.data.label_files import read_annotation
from microshot.data.png import decode_png
from microshot.data.point_table import is_point_table, marks_by_image
from microshot.data.read import read_image
from microshot.data.regions import drawn
from microshot.data.text_tables import table_rows
from microshot.headless.settings_xml import config_to_settings, settings_to_config, used_variables
from microshot.headless.workflow_reader import read_workflow
from microshot.headless.workflow_xml import config_bytes, parse_config
from tiny_images import png_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: What a reader may raise: our own sentences.
ALLOWED = (ValueError, FileNotFoundError, FileExistsError, NotADirectoryError, MemoryError)
SHAPE = (48, 56)
#: Characters that a sentence may have: the longest lists all settings.
LONGEST = 2500
NUMBERS = (
    *(0, 1, -1, 2, 255, 256, 65535, 65536, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, 2**64),
    *(1e308, -1e308, 5e-324, 1e999, float("nan"), 0.5, -0.0, 10**400),
)
JUNK = (
    *(
        None,
        True,
        False,
        "",
        "x",
        "../../etc/passwd",
        "\x00",
        "ä" * 300,
        "9" * 5000,
        "NaN",
        "\ud800",
    ),
    *([], {}, [[]], [None], [1, 2], {"a": 1}, [[0, 0], [1, 1], [2, 0]]),
)
TOKENS = (
    *(b"NaN", b"1e999", b"null", b"[", b"]", b"{", b"}", b"<", b">", b"&", b'"', b"'", b",", b";"),
    *(b"\t", b"\r", b"\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"../", b"..\\", b"C:\\", b"/etc/"),
    *(
        b"%%00000",
        b"\xed\xa0\x80",
        b"9" * 400,
        b"-",
        b"+",
        b"e",
        b".",
        b"true",
        b"sep=",
        b"\\u0000",
    ),
    *(b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"<![CDATA[", b"]]>", b"<!--", b"\xc0\x80"),
)


@dataclass(frozen=True)
class Target:
    """A reader with intact examples of what it reads."""

    name: str
    read: Callable[[bytes], object]
    seeds: Sequence[bytes]
    damage: Callable[[random.Random, Sequence[bytes]], bytes]
    share: float = 1.0
    """Cases, relative to the other targets."""


def case(target: Target, seed: int, number: int) -> bytes:
    """Return the bytes of one case."""
    rng = random.Random(f"{target.name} {seed} {number}")
    return target.damage(rng, target.seeds)


def outcome(target: Target, data: bytes) -> str:
    """Return "" if the reader accepts or refuses in one sentence, else what it did instead."""
    try:
        target.read(data)
    except ALLOWED as error:
        text = str(error)
        if "\n" in text or not text.endswith(".") or len(text) > LONGEST:
            return f"no sentence: {type(error).__name__}: {_without_details(text)!r}"
    except Exception as error:  # noqa: BLE001 - to find those is the purpose
        return f"{type(error).__name__} in {_place(error)}: {_without_details(str(error))!r}"
    return ""


def _without_details(text: str) -> str:
    """Return what is the same in all messages of a kind."""
    return re.sub(r'"[^"]*"|\d+', "_", text)[:120]


def _place(error: BaseException) -> str:
    """Return the last line of our own that an error came through."""
    found, trace = "?", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "microshot" in file.split("/src/")[-1]:
            found = f"{Path(file).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


# ------------------------------------------------------------------------------ watching


class Watch:
    """Notes what must not happen while foreign bytes are read: files elsewhere, sockets, pickles."""

    def __init__(self, *folders: Path) -> None:
        self.seen: list[str] = []
        self.active = False
        known = (*folders, Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2])
        self.known = (*(str(folder.resolve()) for folder in known), "/dev/", "/proc/", "/usr/")
        sys.addaudithook(self._event)

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            path = arguments[0] if isinstance(arguments[0], str) else arguments[0].decode()
            below_a_handle = not path.startswith("/") and arguments[1] is None
            if not below_a_handle and not path.startswith(self.known):
                self.seen.append(f"opened {path}")
        elif event.startswith(
            ("socket.", "subprocess.", "os.system", "pickle.find_class", "urllib")
        ):
            self.seen.append(event)

    @contextlib.contextmanager
    def __call__(self) -> Iterator[list[str]]:
        self.active, self.seen = True, []
        try:
            yield self.seen
        finally:
            self.active = False


# --------------------------------------------------------------------------------- damage


def damaged(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return an example with some bytes changed, moved, cut out or put in."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        _damage_once(rng, data, seeds)
    return bytes(data)


def _damage_once(rng: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    kind = rng.randrange(9)
    if kind == 0 and data:
        data[at % len(data)] ^= 1 << rng.randrange(8)
    elif kind == 1 and data:
        data[at % len(data)] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    elif kind == 2:
        width, order = rng.choice((2, 4, 8)), rng.choice(("little", "big"))
        value = int(rng.choice(NUMBERS[:13])) % (1 << 8 * width)
        data[at : at + width] = value.to_bytes(width, order)  # type: ignore[arg-type]
    elif kind == 3:
        del data[at : at + rng.choice((1, 2, 8, 64))]
    elif kind == 4:
        del data[at:]
    elif kind == 5:
        data[at:at] = rng.choice(TOKENS)
    elif kind == 6:
        data[at:at] = data[at : at + rng.choice((1, 12, 200))]
    elif kind == 7:
        data[at:at] = rng.randbytes(rng.choice((1, 4, 16)))
    else:
        other = rng.choice(seeds)
        start = rng.randrange(len(other) + 1)
        data[at : at + 16] = other[start : start + 16]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of everything in a JSON document."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in list(keys):
            found.append((one, key))
            waiting.append(one[key])
    return found


def damaged_json(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return JSON in which values are others or missing; now and then broken text."""
    if rng.random() < 0.25:
        return damaged(rng, seeds)
    return _dumps(changed(rng, _loaded(rng.choice(seeds))))


@cache
def _loaded(data: bytes) -> Any:
    return json.loads(data)


def _dumps(document: Any) -> bytes:
    try:
        return json.dumps(document).encode()
    except ValueError:  # a number of more digits than Python writes
        return b"[]"


def changed(rng: random.Random, document: Any) -> Any:
    """Return a JSON document with some values replaced, removed, repeated or put elsewhere."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = _places(document)
        if not places:
            return document
        container, key = rng.choice(places)
        kind = rng.randrange(6)
        if kind <= 1:
            container[key] = rng.choice(NUMBERS)
        elif kind == 2:
            container[key] = copy.deepcopy(rng.choice(JUNK))
        elif kind == 3:
            del container[key]
        elif kind == 4 and isinstance(container, list):
            container.extend([copy.deepcopy(container[key])] * rng.choice((1, 3)))
        else:
            other, name = rng.choice(places)
            with contextlib.suppress(KeyError, IndexError):
                container[key] = copy.deepcopy(other[name])
    return document


# ------------------------------------------------------------------------------ model files


def tiny_bundle() -> Bundle:
    """Return a model file of two small tensors with everything a card may hold."""
    card = Card(
        "segment", {"name": "unet", "head": "stardist", "width": 8}, {"kind": "percentile"},
        name="ä", channels=("a",), targets=("b",), pixel_size_um=0.5, lineage=({"id": "x"},),
        training={"history": [{"loss": 1.0}]}, versions={"microshot": "0.1.0"},
    )  # fmt: skip
    return Bundle.make(card, {"a": np.ones((2, 3), np.float32), "b": np.zeros((), np.int64)})


def _parts(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return header, card and weights of a model file."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["microshot"]), data[8 + length :]


def _model_file(header: dict[str, Any], card: Any, weights: bytes) -> bytes:
    text = {"microshot": _dumps(card).decode()}
    found = header.get("__metadata__")
    inner = {**header, "__metadata__": {**found, **text} if isinstance(found, dict) else found}
    content = _dumps(inner)
    return len(content).to_bytes(8, "little") + content + weights


def damaged_model(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a model file with a damaged card, header, or bytes."""
    kind = rng.random()
    if kind < 0.4:
        return damaged(rng, seeds)
    header, card, weights = _parts(rng.choice(seeds))
    if kind < 0.7:
        return _model_file(header, changed(rng, card), weights)
    return _model_file(changed(rng, header), card, weights)


def damaged_card(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a model file whose network, normalisation or preparation is another."""
    header, card, weights = _parts(rng.choice(seeds))
    keys = ("architecture", "normalization", "preparation", "tile", "thresholds", "calibration")
    own = changed(rng, {key: card[key] for key in keys if key in card})
    return _model_file(header, {**card, **own}, weights)


def use_model(data: bytes) -> object:
    """Read a model file up to the network it describes."""
    from microshot.opening import recipe_of, skeleton_of

    bundle = Bundle.from_bytes(data)
    recipe_of(bundle.card)
    return skeleton_of(bundle)


def _trained() -> list[bytes]:
    from tasks_of_all_kinds import one_of_each
    from tiny_models import model

    made = [model(), model(head="foreground")]
    made += [one_of_each(task)[0] for task in ("count", "twin-vae", "translate")]
    small = [replace(b.card, preview="", training={}, data={}, settings={}) for b in made]
    return [Bundle(card, b.weights).to_bytes() for card, b in zip(small, made, strict=True)]


# ----------------------------------------------------------------------------------- images


def damaged_png(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a PNG with damaged chunks whose checksums are right more often than not."""
    data = damaged(rng, seeds)
    return with_checksums(data) if rng.random() < 0.7 else data


def with_checksums(data: bytes) -> bytes:
    """Write the right checksum behind every chunk of a PNG."""
    made, at = bytearray(data), 8
    while at + 12 <= len(made):
        (size,) = struct.unpack_from(">I", made, at)
        end = at + 12 + size
        if end > len(made):
            break
        struct.pack_into(">I", made, end - 4, zlib.crc32(made[at + 4 : end - 4]))
        at = end
    return bytes(made)


def _pngs() -> list[bytes]:
    from PIL import Image

    rng = np.random.default_rng(0)
    made = [
        png_bytes(rng.integers(0, 255, shape).astype(dtype))
        for shape, dtype in (((9, 7), np.uint8), ((9, 7), np.uint16), ((3, 9, 7), np.uint8))
    ]
    for mode in ("1", "P", "LA", "RGBA"):
        buffer = io.BytesIO()
        Image.new(mode, (8, 6)).save(buffer, "PNG", pnginfo=None)
        made.append(buffer.getvalue())
    return made


def _tiffs() -> list[bytes]:
    import tifffile

    rng = np.random.default_rng(1)
    forms: list[dict[str, Any]] = [
        {"photometric": "minisblack"},
        {"imagej": True, "resolution": (2.0, 2.0), "metadata": {"unit": "um", "axes": "CYX"}},
        {"ome": True, "metadata": {"axes": "CYX", "PhysicalSizeX": 0.5, "Channel": {"Name": ["a", "b"]}}},
        {"compression": "zlib", "predictor": True, "photometric": "minisblack"},
        {"bigtiff": True, "tile": (16, 16), "photometric": "minisblack"},
        {"byteorder": ">", "photometric": "minisblack"},
    ]  # fmt: skip
    made = []
    for options in forms:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, rng.integers(0, 999, (2, 18, 20)).astype(np.uint16), **options)
        made.append(buffer.getvalue())
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((8, 9, 3), np.uint8), photometric="rgb")
    return [*made, buffer.getvalue()]


def _photographs() -> list[bytes]:
    from PIL import Image

    made = []
    for kind, mode in (("JPEG", "L"), ("JPEG", "RGB"), ("BMP", "RGB"), ("BMP", "1")):
        buffer = io.BytesIO()
        Image.new(mode, (12, 9)).save(buffer, kind)
        made.append(buffer.getvalue())
    return made


# --------------------------------------------------------------------------------- outlines

_RING = [[5.0, 5.0], [20.0, 5.0], [20.0, 19.5], [5.0, 19.5], [5.0, 5.0]]
_HOLE = [[8.0, 8.0], [12.0, 8.0], [12.0, 12.0]]


def _geojsons() -> list[bytes]:
    shapes = [
        {"type": "Polygon", "coordinates": [_RING, _HOLE]},
        {"type": "MultiPolygon", "coordinates": [[_RING], [_HOLE]]},
        {"type": "Point", "coordinates": [3.0, 4.0]},
        {"type": "MultiPoint", "coordinates": [[3.0, 4.0], [7.0, 8.0]]},
        {"type": "LineString", "coordinates": _HOLE},
    ]
    shapes.append({"type": "GeometryCollection", "geometries": [dict(s) for s in shapes[:2]]})
    about = {"objectType": "annotation", "classification": {"name": "Ignore*", "names": ["a"]}}
    features = [{"type": "Feature", "geometry": s, "properties": dict(about)} for s in shapes]
    plain = [{"type": "Feature", "geometry": s, "properties": {}} for s in shapes]
    documents: list[Any] = [{"type": "FeatureCollection", "features": features}, plain, shapes[0]]
    return [_dumps(one) for one in documents]


def _cocos() -> list[bytes]:
    pixels = SHAPE[0] * SHAPE[1]
    runs = {"size": list(SHAPE), "counts": [100, 50, pixels - 150]}
    text = {"size": list(SHAPE), "counts": "TUP1000001"}
    flat = [n for corner in _RING for n in corner]
    common = {"image_id": 1, "category_id": 1, "iscrowd": 0}
    document = {
        "images": [{"id": 1, "file_name": "a.tif", "height": SHAPE[0], "width": SHAPE[1]}],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "ignore"}],
        "annotations": [
            {"id": 1, "segmentation": [flat, flat], **common},
            {"id": 2, "segmentation": runs, **common, "iscrowd": 1},
            {"id": 3, "segmentation": text, **common},
            {"id": 4, "segmentation": [], "bbox": [1, 2, 3, 4], **common},
        ],
    }
    document_2 = copy.deepcopy(document)
    del document_2["annotations"][2]
    return [_dumps(document_2), _dumps(document)]


def _labelmes() -> list[bytes]:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.eye(3, dtype=np.uint8)).save(buffer, "PNG")
    kinds = {
        "polygon": _HOLE,
        "rectangle": _RING[:2],
        "circle": _RING[:2],
        "point": _RING[:1],
        "line": _RING[:2],
        "mask": [[3, 4], [5, 6]],
    }
    shapes = [
        {"label": "cell", "points": places, "group_id": None, "shape_type": kind, "flags": {},
         "mask": base64.b64encode(buffer.getvalue()).decode() if kind == "mask" else None}
        for kind, places in kinds.items()
    ]  # fmt: skip
    shapes += [shapes[0] | {"group_id": 1}] * 2 + [shapes[1] | {"label": "__ignore__"}]
    about = {"imagePath": "a.tif", "imageHeight": SHAPE[0], "imageWidth": SHAPE[1]}
    return [_dumps({"shapes": shapes, "imageData": None} | about)]


def _vias() -> list[bytes]:
    x, y = ([corner[axis] for corner in _RING] for axis in (0, 1))
    shapes = [
        {"name": "polygon", "all_points_x": x, "all_points_y": y},
        {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4},
        {"name": "circle", "cx": 9, "cy": 8, "r": 3.5},
        {"name": "ellipse", "cx": 9, "cy": 8, "rx": 3, "ry": 5, "theta": 0.5},
        {"name": "point", "cx": 9, "cy": 8},
        {"name": "polyline", "all_points_x": x, "all_points_y": y},
    ]
    regions = [{"shape_attributes": s, "region_attributes": {"type": "cell"}} for s in shapes]
    images = {"a.tif1": {"filename": "a.tif", "size": 1, "regions": regions}}
    return [_dumps(images), _dumps({"_via_settings": {}, "_via_img_metadata": images})]


def read_labelme(data: bytes) -> object:
    """Read labelme JSON and draw it."""
    document = json_text.parsed(data, "file")
    if not labelme.is_labelme(document):
        return None
    return drawn(labelme.read_labelme(document, "file").marks[""], SHAPE, "file")


def read_via(data: bytes) -> object:
    """Read VIA JSON and draw it."""
    document = json_text.parsed(data, "file")
    if not via.is_via(document):
        return None
    return [drawn(marks, SHAPE, "file") for marks in via.read_via(document, "file").marks.values()]


def read_geojson(data: bytes) -> object:
    """Read GeoJSON and draw it."""
    document = json_text.parsed(data, "file")
    return geojson.is_geojson(document) and drawn(geojson.marks_of(document, "file"), SHAPE, "file")


def read_coco(data: bytes) -> object:
    """Read COCO JSON and draw it."""
    document = json_text.parsed(data, "file")
    if not coco.is_coco(document):
        return None
    return [
        drawn(marks, SHAPE, "file") for marks in coco.read_coco(document, "file").marks.values()
    ]


def _rois() -> list[bytes]:
    import roifile

    ring = np.array(_RING[:-1])
    kinds = (
        roifile.ROI_TYPE.POLYGON, roifile.ROI_TYPE.FREEHAND, roifile.ROI_TYPE.TRACED,
        roifile.ROI_TYPE.POINT, roifile.ROI_TYPE.LINE,
    )  # fmt: skip
    made = []
    for kind in kinds:
        roi = roifile.ImagejRoi.frompoints(ring, name="cell")
        roi.roitype = kind
        made.append(roi.tobytes())
    for kind in (roifile.ROI_TYPE.RECT, roifile.ROI_TYPE.OVAL):
        roi = roifile.ImagejRoi.frompoints(ring)
        roi.roitype, roi.n_coordinates, roi.integer_coordinates = kind, 0, None
        roi.subpixel_coordinates = None
        roi.left, roi.top, roi.right, roi.bottom = 3, 4, 20, 15
        made.append(roi.tobytes())
    return made


def read_roi(data: bytes) -> object:
    """Read one region and draw it."""
    return drawn(roi_files.read_roi(data, "file"), SHAPE, "file")


def read_roi_zip(data: bytes) -> object:
    """Read an archive of regions and draw them."""
    return drawn(roi_files.read_roi_zip(data, "file"), SHAPE, "file")


def zipped(members: dict[str, bytes], *, compress: bool = False) -> bytes:
    """Return a ZIP archive of named contents."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def damaged_roi_zip(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a damaged archive of regions, or an intact one of damaged regions."""
    archives = [one for one in seeds if one[:2] == b"PK"]
    if rng.random() < 0.6:
        return damaged(rng, archives)
    rois = [one for one in seeds if one[:2] != b"PK"]
    return zipped({f"{i}.roi": damaged(rng, rois) for i in range(2)})


# ------------------------------------------------------------------------------ workflows


def _settings() -> dict[str, Any]:
    return {
        "minutes": 0.5, "name": "ä", "flag": True, "n": 3, "nothing": None, "list": ["a", "b"],
        "group": {"epochs": 5, "inner": {"rate": 0.1}}, "numbers": [1, 2],
    }  # fmt: skip


_SCHEMA = {
    "type": "object",
    "properties": {
        "minutes": {"type": "number", "format": "double"},
        "name": {"type": "string"},
        "flag": {"type": "boolean"},
        "n": {"type": "integer", "format": "int32"},
        "nothing": {"type": "string"},
        "list": {"type": "array", "items": {"type": "string"}},
        "numbers": {"type": "array", "items": {"type": "integer", "format": "int32"}},
        "group": {
            "type": "object",
            "properties": {
                "epochs": {"type": "integer", "format": "int32"},
                "inner": {
                    "type": "object",
                    "properties": {"rate": {"type": "number", "format": "double"}},
                },
            },
        },
    },
}


def _settings_files() -> list[bytes]:
    return [
        config_bytes(
            settings_to_config(_settings(), _SCHEMA, version="0.1.0", where="node"), "model"
        )
    ]


def read_settings(data: bytes) -> object:
    """Read a node's settings as a workflow holds them."""
    config = parse_config(data, "settings.xml")
    used_variables(config)
    return config_to_settings(config)


def _workflow_folder() -> dict[str, bytes]:
    """Return the files of the smallest example workflow."""
    folder = Path(__file__).parents[2] / "workflows" / "few-shot-segmentation"
    return {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "data" not in path.relative_to(folder).parts
    }


def damaged_workflow(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a packed workflow with one damaged file, or a damaged archive."""
    if rng.random() < 0.3:
        return damaged(rng, seeds)
    members = dict(_workflow_folder_once())
    name = rng.choice(list(members))
    members[name] = damaged(rng, [members[name]])
    if rng.random() < 0.2:
        members[rng.choice(("../x", "/x", "a\\..\\..\\x", "C:x", "con", "w/../../x"))] = b"x"
    return zipped(members)


@cache
def _workflow_folder_once() -> dict[str, bytes]:
    return _workflow_folder()


# --------------------------------------------------------------------------------- settings


def read_knobs(data: bytes) -> object:
    """Take settings as a model's card or a node hands them over."""
    values = json_text.parsed(data, "settings")
    if not isinstance(values, dict):
        return None
    own = {"preset": settings.TrainSettings, "strategy": settings.RetrainSettings}
    kinds = [kind for name, kind in own.items() if name in values]
    return settings_of((*kinds, settings.PredictSettings)[0], data)


def settings_of(kind: type, data: bytes) -> object:
    """Take settings of one kind."""
    return knobs.check(knobs.from_json(kind, json_text.parsed(data, "settings")))


def read_assignments(data: bytes) -> object:
    """Take ``--set`` options from a command line."""
    key, _, text = data.decode("utf-8", "surrogateescape").partition("=")
    return knobs.check(knobs.assign(settings.TrainSettings(), key, text))


def _assignments() -> list[bytes]:
    names = (
        "minutes",
        "network.width",
        "rays",
        "images.patch_px",
        "training.learning_rate",
        "task",
    )
    values = ("1", "0.5", "1e-3", "true", "segment", "-1")
    return [f"{name}={value}".encode() for name in names for value in values]


# ---------------------------------------------------------------------------------- targets


def from_file(read: Callable[[Path], object], path: Path) -> Callable[[bytes], object]:
    """Return a reader of bytes that writes them under `path` first."""

    def reading(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return reading


def read_points(path: Path) -> object:
    """Read a table of points and draw it."""
    rows = table_rows(path)
    if not is_point_table(rows):
        return None
    return [drawn(marks, SHAPE, "file") for marks in marks_by_image(path, rows).values()]


_COUNTS = (
    b"file,count\na.tif,3\nb.tif,\n",
    "Datei;Anzahl\nä;3,0\n".encode("utf-16"),
    b"sep=;\nimage;n\n\"a;b\";4\n",
)  # fmt: skip
_POINTS = (b"y,x\n3,4\n5.5,6\n", b"file;y;x\na.tif;3;4\nb.tif;;\n", b"axis-0\taxis-1\n1\t2\n")


def targets(folder: Path) -> dict[str, Target]:
    """Return every target by name; files are written in `folder` only."""
    image = from_file(read_image, folder / "image")
    rois = _rois()
    archive = zipped({f"{i}.roi": roi for i, roi in enumerate(rois)}, compress=True)
    labels = from_file(lambda p: read_annotation(p, shape=SHAPE, image="a.tif"), folder / "labels")
    json_seeds = [_dumps(knobs.to_json(kind())) for kind in (
        settings.TrainSettings, settings.RetrainSettings, settings.PredictSettings)]  # fmt: skip
    made = (
        Target("model file", Bundle.from_bytes, [tiny_bundle().to_bytes()], damaged_model, 20),
        Target("network of a model", use_model, _trained(), damaged_card, 0.1),
        Target("GeoJSON", read_geojson, _geojsons(), damaged_json, 4),
        Target("COCO", read_coco, _cocos(), damaged_json, 6),
        Target("labelme", read_labelme, _labelmes(), damaged_json, 4),
        Target("VIA", read_via, _vias(), damaged_json, 4),
        Target("ImageJ ROI", read_roi, rois, damaged, 3),
        Target("ImageJ ROI set", read_roi_zip, [archive, *rois], damaged_roi_zip, 1),
        Target("label file", labels, [*_geojsons(), *_cocos(), archive, *rois, *_POINTS], damaged, 1),
        Target("PNG", lambda d: decode_png(d, "file"), _pngs(), damaged_png, 20),
        Target("TIFF", image, _tiffs(), damaged, 1),
        Target("JPEG and BMP", image, _photographs(), damaged, 1.5),
        Target("table of counts", from_file(read_counts, folder / "c.csv"), _COUNTS, damaged, 15),
        Target("table of points", from_file(read_points, folder / "p.csv"), _POINTS, damaged, 12),
        Target("settings of a node", read_settings, _settings_files(), damaged, 15),
        Target("packed workflow", from_file(read_workflow, folder / "w.knwf"),
               [zipped(_workflow_folder())], damaged_workflow, 0.07),
        Target("settings", read_knobs, json_seeds, damaged_json, 2),
        Target("--set", read_assignments, _assignments(), damaged, 0.7),
    )  # fmt: skip
    return {one.name: one for one in made}
