"""StarDist's models say the same here; what cannot be the same, or is hostile, is refused."""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile

import h5py
import numpy as np
import pytest

from microshot import __version__
from microshot.api import Predictor
from microshot.bundle import Bundle
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.device import choose_device
from microshot.importing import architecture_of, from_stardist, open_model
from microshot.nn.geometry import LIMITS
from microshot.opening import network_of
from stardist_files import CONFIG, SHAPES, weights, write_h5, write_model


@pytest.fixture
def folder(tmp_path):
    return write_model(tmp_path / "2D_mine")


def conv(x: np.ndarray, layer: tuple[np.ndarray, np.ndarray], *, relu: bool = True) -> np.ndarray:
    """Convolve (Y, X, C) as Keras does with padding "same"."""
    kernel, bias = layer
    h, w = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(x, ((h, h), (w, w), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], (0, 1))
    out = np.einsum("yxchw,hwcd->yxd", windows, kernel) + bias
    return np.maximum(out, 0) if relu else out


def pool(x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max((1, 3))


def stardist_output(
    x: np.ndarray, w: dict, stem: tuple[str, ...] = ("conv2d_7", "conv2d_10")
) -> tuple[np.ndarray, np.ndarray]:
    """Compute what StarDist's network says of (Y, X, C), from its own description."""
    for first, second in zip(stem[::2], stem[1::2], strict=True):
        x = pool(conv(conv(x, w[first]), w[second]))
    skips = []
    for level in range(2):
        for i in range(2):
            x = conv(x, w[f"down_level_{level}_no_{i}"])
        skips.append(x)
        x = pool(x)
    x = conv(conv(x, w["middle_0"]), w["middle_2"])
    for level in (1, 0):
        x = np.concatenate([x.repeat(2, 0).repeat(2, 1), skips[level]], -1)
        x = conv(conv(x, w[f"up_level_{level}_no_0"]), w[f"up_level_{level}_no_2"])
    x = conv(x, w["features"])
    probability = 1 / (1 + np.exp(-conv(x, w["prob"], relu=False)))
    return probability[..., 0], conv(x, w["dist"], relu=False)


def test_an_imported_model_says_what_stardist_says(folder):
    bundle = from_stardist(folder)
    assert len(bundle.weights) == 2 * (len(SHAPES) - 1)  # both heads are one layer
    image = np.random.default_rng(2).normal(0.5, 0.4, (32, 48, 1)).astype(np.float32)
    probability, distance = stardist_output(image.astype(np.float64), weights())
    found = network_of(bundle, choose_device("cpu"))(image[None].transpose(0, 3, 1, 2))[0]
    np.testing.assert_allclose(1 / (1 + np.exp(-found[0])), probability, atol=1e-5)  # float32
    np.testing.assert_allclose(found[1:].transpose(1, 2, 0), distance, atol=1e-4)


def test_a_model_whose_grid_is_4_says_what_stardist_says(tmp_path):
    """Its layers before the U-Net are numbered in the order in which Keras made them."""
    rng, stem = np.random.default_rng(1), ("conv2d", "conv2d_2", "conv2d_9", "conv2d_10")
    layers = {n: w for n, w in weights().items() if not n.startswith("conv2d")}
    for i, name in enumerate(stem):
        kernel = rng.normal(0, 0.3, (3, 3, 4 if i else 1, 4)).astype(np.float32)
        layers[name] = (kernel, rng.normal(0, 0.3, 4).astype(np.float32))
    folder = write_model(tmp_path / "m", grid=[4, 4])
    write_h5(folder / "weights_best.h5", layers)
    image = rng.normal(0.5, 0.4, (32, 48, 1)).astype(np.float32)
    probability, distance = stardist_output(image.astype(np.float64), layers, stem)
    bundle = from_stardist(folder)
    found = network_of(bundle, choose_device("cpu"))(image[None].transpose(0, 3, 1, 2))[0]
    np.testing.assert_allclose(1 / (1 + np.exp(-found[0])), probability, atol=1e-5)
    np.testing.assert_allclose(found[1:].transpose(1, 2, 0), distance, atol=1e-4)


def test_what_a_configuration_does_not_say_is_what_stardist_takes():
    """Defaults of `stardist.models.Config2D`."""
    assert architecture_of({}, "m") == {
        "name": "segmenter", "backbone": "unet", "head": "stardist", "in_channels": 1, "width": 32,
        "depth": 3, "rays": 32, "head_features": 128, "grid": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("n_channel_in", "in_channels"), ("unet_n_filter_base", "width"), ("unet_n_depth", "depth"),
     ("n_rays", "rays"), ("net_conv_after_unet", "head_features")],
)  # fmt: skip
def test_the_least_and_the_greatest_number_that_can_be_rebuilt_are_taken(theirs, ours):
    for n in LIMITS[ours]:
        assert architecture_of({theirs: n}, "m")[ours] == n


@pytest.mark.parametrize(
    ("key", "value"), [("prob", 1.5), ("nms", -0.1), ("prob", "0.5"), ("nms", True)]
)
def test_thresholds_that_are_none_are_refused(folder, key, value):
    (folder / "thresholds.json").write_text(json.dumps({"prob": 0.5, "nms": 0.4, key: value}))
    words = rf'2D_mine: "{key}" in thresholds.json must be a number from 0 to 1, found {value!r}.'
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        from_stardist(folder)


def test_a_model_is_imported_with_all_that_is_needed_to_use_it(folder, tmp_path):
    bundle = from_stardist(folder, diameter_px=31)
    card = bundle.card
    assert card.thresholds == {"probability": 0.479, "overlap": 0.3}
    assert (card.normalization["kind"], card.normalization["low"]) == ("percentile", 1.0)
    assert card.normalization["high"] == 99.8
    assert card.preparation["working_diameter_px"] == card.preparation["image_diameter_px"] == 31
    assert (card.name, card.licence, card.channels) == ("2D_mine", "see source", ("channel 1",))
    assert card.preparation["each_image"] is False
    assert card.tile == {"halo_px": 53}, "51 px that the network looks at, and a grid point of 2 px"
    assert card.training == {"imported_from": "StarDist"}
    assert card.versions["microshot"] == __version__
    assert card.created.startswith("20")
    assert from_stardist(folder).card.preparation["working_diameter_px"] == 24
    again = Bundle.load(bundle.save(tmp_path / "m.microshot"))
    pixels = np.random.default_rng(0).integers(0, 999, (1, 40, 45)).astype(np.uint16)
    assert Predictor(again)(Sample("x", Image(pixels))).labels.shape == (40, 45)


def test_zip_archives_and_files_of_ours_are_opened_alike(folder, tmp_path):
    direct = open_model(folder)
    shutil.make_archive(str(tmp_path / "deep"), "zip", tmp_path, "2D_mine")
    shutil.make_archive(str(tmp_path / "flat"), "zip", folder)
    for name in ("deep", "flat"):
        assert open_model(tmp_path / f"{name}.zip").card.id == direct.card.id
    assert open_model(direct.save(tmp_path / "m.microshot")).card.id == direct.card.id


def test_a_file_saved_with_the_whole_model_is_read_and_thresholds_may_be_missing(folder):
    (folder / "thresholds.json").unlink()
    direct = from_stardist(folder)
    with h5py.File(folder / "weights_best.h5", "r") as old, h5py.File(folder / "n.h5", "w") as new:
        group = new.create_group("model_weights")
        for name in old:
            old.copy(name, group)
    (folder / "n.h5").replace(folder / "weights_best.h5")
    assert from_stardist(folder).card.id == direct.card.id
    assert direct.card.thresholds == {"probability": 0.5, "overlap": 0.4}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_dim", 3), ("backbone", "resnet"), ("n_classes", 3), ("unet_kernel_size", [5, 5]),
        ("unet_n_conv_per_depth", 3), ("unet_pool", [4, 4]), ("unet_activation", "elu"),
        ("unet_last_activation", "linear"), ("unet_batch_norm", True), ("unet_prefix", "a"),
        ("grid", [1, 2]), ("grid", [8, 8]), ("n_rays", 2), ("net_conv_after_unet", 0),
        ("unet_n_depth", 40), ("unet_n_filter_base", 1 << 40), ("n_channel_in", "1"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_rebuilt_is_refused_by_its_key(folder, key, value):
    (folder / "config.json").write_text(json.dumps({**CONFIG, key: value}))
    with pytest.raises(ValueError, match=rf'^2D_mine: "{key}"') as caught:
        from_stardist(folder)
    assert "\n" not in str(caught.value)


def _virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout(KERNEL, "f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", KERNEL)
    group.create_virtual_dataset("kernel:0", layout)


def _linked(group: h5py.Group) -> None:
    file = group.file
    del file["features"]
    file["features"] = h5py.SoftLink("/prob")


def _more(group: h5py.Group) -> None:
    group["kernel:0"] = np.zeros(KERNEL, np.float32)
    group.file.create_group("conv2d_11")["kernel:0"] = np.zeros(3)


KERNEL = SHAPES["features"]
#: What may stand in the place of a kernel.
SPOILED = {
    "object": lambda g: g.create_dataset("kernel:0", KERNEL, h5py.special_dtype(vlen=str)),
    "external link": lambda g: g.__setitem__("kernel:0", h5py.ExternalLink("/etc/passwd", "x")),
    "soft link": lambda g: g.__setitem__("kernel:0", h5py.SoftLink("/prob/prob/kernel:0")),
    "huge": lambda g: g.create_dataset(
        "kernel:0", (1 << 20, 1 << 20, 4, 6), "f4", chunks=(1, 1, 4, 6)
    ),
    "rank": lambda g: g.create_dataset("kernel:0", KERNEL[1:], "f4"),
    "integers": lambda g: g.create_dataset("kernel:0", KERNEL, "i4"),
    "group": lambda g: g.create_group("kernel:0"),
    "missing": lambda g: None,
    "elsewhere": lambda g: g.create_dataset(
        "kernel:0", KERNEL, "f4", external=[("/etc/passwd", 0, 864)]
    ),
    "virtual": _virtual,
    "chunks": lambda g: g.create_dataset(
        "kernel:0", KERNEL, "f4", maxshape=(None,) * 4, chunks=(999, 99, 9, 9)
    ),
    "nan": lambda g: g.__setitem__("kernel:0", np.full(KERNEL, np.nan, np.float32)),
    "linked layer": _linked,
    "no layer": lambda g: g.file.__delitem__("features"),
    "more": _more,
}


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("object", "instead of floating-point numbers"), ("external link", "link to another place"),
        ("soft link", "link to another place"), ("huge", r"has the shape \(1048576, 1048576, 4, 6\)"),
        ("rank", r"has the shape \(3, 4, 6\), expected \(3, 3, 4, 6\)"),
        ("integers", "instead of floating-point numbers"), ("group", "is no array"),
        ("missing", "is missing"), ("elsewhere", "lies in another file"),
        ("virtual", "lies in another file"), ("chunks", "packed in a way"),
        ("nan", "not finite"), ("linked layer", "a link or no group"),
        ("no layer", 'a layer "features", found none'), ("more", "before the U-Net for grid 2, found 3"),
    ],
)  # fmt: skip
def test_a_hostile_or_wrong_weights_file_is_refused_in_one_sentence(folder, what, words):
    with h5py.File(folder / "weights_best.h5", "a") as file:
        del file["features/features/kernel:0"]
        SPOILED[what](file["features/features"])
    with pytest.raises(ValueError, match=words) as caught:
        from_stardist(folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("2D_mine, weights_best.h5: ")


def refusal(folder) -> str:
    """Return why a model was refused; empty where it was not."""
    try:
        from_stardist(folder)
    except ValueError as error:
        return str(error)
    return ""


def test_any_damage_to_the_weights_is_told_in_one_sentence(folder):
    file = folder / "weights_best.h5"
    good = file.read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(40):
        content = bytearray(good)
        for position in rng.integers(0, 4000, 6):
            content[position] = rng.integers(256)
        file.write_bytes(content[: rng.integers(100, len(good) + 1)])
        said = refusal(folder)
        n_refused += bool(said)
        assert "\n" not in said
    assert n_refused > 20


def test_missing_files_and_archives_of_other_kinds_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file or folder"):
        from_stardist(tmp_path / "nowhere.zip")
    (tmp_path / "other.zip").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ValueError, match="expected the zip archive of a StarDist model"):
        from_stardist(tmp_path / "other.zip")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for name in ("a", "b"):
            archive.writestr(f"{name}/config.json", "{}")
    with pytest.raises(ValueError, match="expected one model, found 2"):
        from_stardist(tmp_path / "two.zip")
    (folder / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match="expected a JSON object"):
        from_stardist(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "weights_best.h5").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match=r"expected weights as HDF5"):
        from_stardist(folder)
    (folder / "weights_best.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r'no "weights_best\.h5"'):
        from_stardist(folder)


def test_without_h5py_the_missing_package_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(RuntimeError, match="needs the package h5py"):
        from_stardist(folder)


def test_a_network_of_another_shape_is_imported_too(tmp_path):
    folder = write_model(tmp_path / "m", grid=[1, 1])
    layers = {n: w for n, w in weights().items() if not n.startswith("conv2d")}
    rng = np.random.default_rng(0)
    layers["down_level_0_no_0"] = (
        rng.normal(size=(3, 3, 1, 4)).astype(np.float32), np.zeros(4, np.float32),
    )  # fmt: skip
    write_h5(folder / "weights_best.h5", layers)
    bundle = from_stardist(folder)
    assert network_of(bundle, choose_device("cpu"))(np.zeros((1, 1, 8, 8))).shape == (1, 9, 8, 8)
