"""Files of microscopes for tests: CZI by Zeiss's own library, LIF and ND2 as far as they are needed.

All arrays are (T, Z, C, Y, X), or (Y, X, 3) in colour.
"""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def noise(shape: Sequence[int], dtype: Any, seed: int = 0) -> np.ndarray:
    """Return an array in which no two parts are alike."""
    rng = np.random.default_rng(seed)
    return (rng.random(shape) * (1 if np.dtype(dtype).kind == "f" else 250)).astype(dtype)


# --------------------------------------------------------------------------------------- CZI


def write_czi(
    path: Path,
    scenes: Sequence[np.ndarray],
    *,
    names: Sequence[str] = (),
    size_um: float = 0.0,
    tile: int = 0,
    compression: str | None = None,
) -> Path:
    """Write images as scenes far from one another, in tiles of side `tile` (0 = in one)."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path), exist_ok=True, compression_options=compression) as file:
        for scene, pixels in enumerate(scenes):
            left, top = 5000 * scene - 7, 11
            stack = pixels[None, None, None] if pixels.shape[-1] == 3 else pixels
            for t, z, c in itertools.product(*map(range, stack.shape[:3])):
                plane = stack[t, z, c]
                side = tile or max(plane.shape)
                for y, x in itertools.product(*(range(0, n, side) for n in plane.shape[:2])):
                    part = np.ascontiguousarray(plane[y : y + side, x : x + side])
                    part = part[..., ::-1].copy() if part.ndim == 3 else part
                    file.write(part, (left + x, top + y), {"T": t, "Z": z, "C": c}, scene=scene)
        side = size_um * 1e-6
        file.write_metadata("a", dict(enumerate(names)), scale_x=side, scale_y=side)
    return path


# --------------------------------------------------------------------------------------- LIF


def write_lif(path: Path, images: Mapping[str, np.ndarray], *, size_um: float = 0.5) -> Path:
    """Write images by their names [1]_; one whose name ends with *tiles* has tiles instead of moments.

    References
    ----------
    .. [1] The source of the package liffile.
    """
    made = list(images.items())
    elements = "".join(_lif_element(i, name, a, size_um) for i, (name, a) in enumerate(made))
    text = (
        '<LMSDataContainerHeader Version="2"><Element Name="exp"><Data><Experiment/></Data>'
        f"<Children>{elements}</Children></Element></LMSDataContainerHeader>"
    )
    content = [_lif_block(text)]
    for index, (_, pixels) in enumerate(made):
        name, data = f"MemBlock_{index}", pixels.tobytes()
        if pixels.shape[-1] == 3:
            data = pixels[..., ::-1].tobytes()
        head = struct.pack("<BQBI", 0x2A, len(data), 0x2A, len(name)) + name.encode("utf-16-le")
        content += [struct.pack("<II", 0x70, len(head)), head, data]
    path.write_bytes(b"".join(content))
    return path


def _lif_block(text: str) -> bytes:
    data = text.encode("utf-16-le")
    return struct.pack("<IIBI", 0x70, len(data) + 5, 0x2A, len(text)) + data


def _lif_element(index: int, name: str, pixels: np.ndarray, size_um: float) -> str:
    item, is_colour = pixels.itemsize, pixels.shape[-1] == 3
    shape = pixels.shape if is_colour else pixels.shape[2:]
    kind = f'DataType="{int(pixels.dtype.kind == "f")}" Resolution="{8 * item}"'
    n = 3 if is_colour else pixels.shape[2]
    step = item if is_colour else pixels.strides[2]
    tags, luts = ((3, 2, 1), ("Blue", "Green", "Red")) if is_colour else ((0,) * n, "ABCDEFGH")
    channels = "".join(
        f'<ChannelDescription {kind} ChannelTag="{tags[c]}" NameOfMeasuredQuantity="" Min="0" Max="1" '
        f'Unit="" LUTName="{luts[c]}" IsLUTInverted="0" BytesInc="{c * step}" BitInc="0"/>'
        for c in range(n)
    )
    if is_colour:
        axes = [(1, shape[1], 3 * item), (2, shape[0], 3 * item * shape[1])]
    else:
        first = 10 if name.endswith("tiles") else 4
        axes = [
            (axis, pixels.shape[i], pixels.strides[i])
            for axis, i in ((1, 4), (2, 3), (3, 1), (first, 0))
        ]
    dimensions = "".join(
        f'<DimensionDescription DimID="{axis}" NumberOfElements="{n}" Origin="0" Unit="m" '
        f'Length="{(n - 1) * size_um * 1e-6:.12g}" BytesInc="{inc}" BitInc="0"/>'
        for axis, n, inc in axes
    )
    return (
        f"<Element Name={quoteattr(name)}><Data><Image><ImageDescription><Channels>{channels}</Channels>"
        f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{pixels.nbytes}" MemoryBlockID="MemBlock_{index}"/></Element>'
    )


# --------------------------------------------------------------------------------------- ND2


def write_nd2(
    path: Path,
    positions: Sequence[np.ndarray],
    *,
    names: Sequence[str] = (),
    size_um: float = 0.5,
    n_recorded: int | None = None,
) -> Path:
    """Write images as positions of the stage, of one shape [1]_; `n_recorded` of the frames.

    References
    ----------
    .. [1] The source of the package nd2.
    """
    is_colour = positions[0].shape[-1] == 3
    frames = np.stack(positions)  # (P, T, Z, C, Y, X)
    frames = frames[:, None, None] if is_colour else np.moveaxis(frames, 3, -1)
    n_channels, samples = (1, 3) if is_colour else (frames.shape[-1], 1)
    loops, (height, width, n) = frames.shape[:3], frames.shape[3:]
    frames = frames.reshape(-1, height, width, n)[:n_recorded]
    probe = {"pFluorescentProbe": {"m_EmissionSpectrum": {"uiCount": 0}}}
    planes = {
        f"a{c}": {"sDescription": (names or "ABCDEF")[c], "uiCompCount": samples, **probe}
        for c in range(n_channels)
    }
    item = frames.itemsize
    attributes = {
        "uiWidth": width, "uiWidthBytes": width * n * item, "uiHeight": height, "uiComp": n,
        "uiBpcInMemory": 8 * item, "uiBpcSignificant": 8 * item, "uiSequenceCount": len(frames),
        "eCompression": 2,
    }  # fmt: skip
    metadata = {
        "bCalibrated": size_um > 0, "dCalibration": size_um,
        "sPicturePlanes": {"uiCount": n_channels, "sPlaneNew": planes},
    }  # fmt: skip
    chunks = [
        ("ImageAttributesLV!", _clx({"SLxImageAttributes": attributes})),
        ("ImageMetadataSeqLV|0!", _clx({"SLxPictureMetadata": metadata})),
        ("ImageMetadataLV!", _clx({"SLxExperiment": _nd2_loops(*loops)})),
        *(
            (f"ImageDataSeq|{i}!", struct.pack("<d", 0.0) + f.tobytes())
            for i, f in enumerate(frames)
        ),
    ]
    signature = "ND2 FILE SIGNATURE CHUNK NAME01!"
    content, places = _nd2_chunk(signature, b"Ver3.0".ljust(64, b"\0"), 32), b""
    for name, data in chunks:
        places += name.encode() + struct.pack("<QQ", len(content), len(data))
        content += _nd2_chunk(name, data, 4072)
    end = b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", len(content))
    content += _nd2_chunk("ND2 FILEMAP SIGNATURE NAME 0001!", places + end, 32)
    path.write_bytes(content)
    return path


def _nd2_chunk(name: str, data: bytes, reserved: int) -> bytes:
    head = struct.pack("<IIQ", 0x0ABECEDA, reserved, len(data))
    return head + name.encode().ljust(reserved, b"\0") + data


def _nd2_loops(n_positions: int, n_moments: int, n_depths: int) -> dict[str, Any]:
    """Return the loops of an experiment, one in the other; those of one step are left out."""
    point = {"dPosX": 0.0, "dPosY": 0.0, "dPosZ": 0.0}
    every = [
        (2, n_positions, {"Points": {f"i{i:010}": point for i in range(n_positions)}}),
        (1, n_moments, {"uiCount": n_moments, "dStart": 0.0, "dPeriod": 1.0, "dDuration": 1.0}),
        (4, n_depths, {"uiCount": n_depths, "dZStep": 1.0}),
    ]
    made: dict[str, Any] = {}
    for kind, n, described in reversed(every):
        if n > 1:
            inner = {"ppNextLevelEx": {"i0000000000": made}} if made else {}
            made = {"eType": kind, "uLoopPars": described, **inner}
    return made


def _clx(values: Mapping[str, Any]) -> bytes:
    """Return nested values as NIS-Elements keeps them."""
    made = b""
    for name, value in values.items():
        if isinstance(value, dict):
            kind, data = 11, b""
        elif isinstance(value, bool):
            kind, data = 1, struct.pack("<B", value)
        elif isinstance(value, int):
            kind, data = 3, struct.pack("<I", value)
        elif isinstance(value, float):
            kind, data = 6, struct.pack("<d", value)
        else:
            kind, data = 8, (value + "\0").encode("utf-16-le")
        head = struct.pack("<BB", kind, len(name) + 1) + (name + "\0").encode("utf-16-le")
        if kind == 11:
            inner = _clx(value)
            data = struct.pack("<IQ", len(value), len(head) + 12 + len(inner)) + inner
            data += bytes(8 * len(value))
        made += head + data
    return made
