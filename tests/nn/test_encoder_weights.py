"""Published encoder weights: what is read, what is adapted, what is refused."""

from __future__ import annotations

import pickle
import subprocess
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from microshot.nn.channels import adapt_input_channels
from microshot.nn.encoder_weights import load_backbone_weights, load_encoder_weights
from microshot.nn.resnet import ResNetEncoder
from microshot.nn.unet import UNet


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """A state dict as published for ResNet-18: RGB, with a classifier, without counters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        state = {
            k: torch.randn(v.shape) for k, v in ResNetEncoder(3, "resnet18").state_dict().items()
        }
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    return {**state, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def fresh(n_channels: int = 3) -> ResNetEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        return ResNetEncoder(n_channels, "resnet18")


def assert_taken(encoder: ResNetEncoder, published: dict[str, torch.Tensor]) -> None:
    for name, value in encoder.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, published[name]), name


def save(values: Any, path: Any) -> Any:
    if path.suffix == ".safetensors":
        save_file(values, path)
    else:
        torch.save(values, path)
    return path


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.PTH", "w.safetensors"])
def test_a_state_dict_is_taken_over_whole(published, tmp_path, name) -> None:
    encoder = fresh()
    load_encoder_weights(encoder, save(published, tmp_path / name), "resnet18")
    assert_taken(encoder, published)


@pytest.mark.parametrize(
    "prefix", ["module.", "backbone.", "encoder.", "module.backbone.", "module.encoder.", "model."]
)
def test_wrappers_around_the_names_do_not_matter(published, tmp_path, prefix) -> None:
    encoder = fresh()
    path = save({prefix + k: v for k, v in published.items()}, tmp_path / "w.pth")
    load_encoder_weights(encoder, path, "resnet18")
    assert_taken(encoder, published)


def test_the_weights_inside_a_checkpoint_are_found(published, tmp_path) -> None:
    encoder = fresh()
    path = save({"epoch": 90, "state_dict": published}, tmp_path / "checkpoint.pth")
    load_encoder_weights(encoder, path, "resnet18")
    assert_taken(encoder, published)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_first_convolution_is_brought_to_the_channels_of_the_images(
    published, tmp_path, n
) -> None:
    encoder = fresh(n)
    load_encoder_weights(encoder, save(published, tmp_path / "w.safetensors"), "resnet18")
    expected = adapt_input_channels(published["conv1.weight"], n)
    assert torch.equal(encoder.conv1.weight, expected)
    assert torch.equal(encoder.layer1[0].conv1.weight, published["layer1.0.conv1.weight"])
    grey = torch.rand(1, 1, 16, 16)
    rgb = torch.nn.functional.conv2d(grey.repeat(1, 3, 1, 1), published["conv1.weight"])
    own = torch.nn.functional.conv2d(grey.repeat(1, n, 1, 1), encoder.conv1.weight)
    assert torch.allclose(rgb, own, atol=1e-4)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"weights\.pth: there is no such file"):
        load_encoder_weights(fresh(), tmp_path / "weights.pth", "resnet18")


def test_weights_of_another_network_are_refused_with_how_many_fit(published, tmp_path) -> None:
    encoder = fresh()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    path = save({"a.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"only 0 of the 100 tensors of a resnet18 encoder"):
        load_encoder_weights(encoder, path, "resnet18")
    partly = {k: v for k, v in published.items() if not k.startswith("layer4.1")}
    path = save(partly, tmp_path / "partly.pth")
    told = (
        r"only 90 of the 100 .* layer4\.1\.conv1\.weight, expected \(512, 512, 3, 3\), found none"
    )
    with pytest.raises(ValueError, match=told):
        load_encoder_weights(encoder, path, "resnet18")
    wide = {**published, "layer1.0.conv1.weight": torch.zeros(64, 32, 3, 3)}
    with pytest.raises(ValueError, match=r"only 99 of the 100 .* found \(64, 32, 3, 3\)"):
        load_encoder_weights(encoder, save(wide, tmp_path / "wide.pth"), "resnet18")
    after = encoder.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())  # nothing half done


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 64, b"PK\x03\x04 not a zip", b"hello world", b"\x80\x02\x8a\x0ahello world"],
)
def test_damaged_files_are_refused_in_one_sentence(tmp_path, name, content) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="no readable encoder weights"):
        load_encoder_weights(fresh(), tmp_path / name, "resnet18")


def test_files_written_before_pytorch_1_6_are_read(published, tmp_path) -> None:
    torch.save(published, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    encoder = fresh()
    load_encoder_weights(encoder, tmp_path / "old.pth", "resnet18")
    assert_taken(encoder, published)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # of a damaged file
def test_any_damage_to_a_file_is_told_in_one_sentence(tmp_path) -> None:
    encoder = fresh()
    for modern in (True, False):
        path = tmp_path / f"{modern}.pth"
        state = {"conv1.weight": torch.zeros(2, 3)}
        torch.save(state, path, _use_new_zipfile_serialization=modern)
        good = path.read_bytes()
        rng = np.random.default_rng(0)
        for _ in range(60):
            content = bytearray(good)
            for position in rng.integers(4, len(good), 3):
                content[position] = rng.integers(256)
            path.write_bytes(content[: rng.integers(5, len(good) + 1)])
            with pytest.raises(ValueError, match=r"no readable encoder weights|only 0 of the 100"):
                load_encoder_weights(encoder, path, "resnet18")


def test_other_kinds_of_files_are_refused(tmp_path) -> None:
    for name, kind in (("w.onnx", ".onnx"), ("weights", "no ending")):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(ValueError, match=f'found "{kind}"'):
            load_encoder_weights(fresh(), tmp_path / name, "resnet18")


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return subprocess.check_call, (["touch", "owned"],)


def test_code_in_a_file_is_never_run(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": _Evil()}, tmp_path / "evil.pth")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"conv1.weight": _Evil()}))
    for name in ("evil.pth", "evil.pt"):
        with pytest.raises(ValueError, match="nothing but tensors"):
            load_encoder_weights(fresh(), tmp_path / name, "resnet18")
    assert not (tmp_path / "owned").exists()


def test_a_file_that_holds_no_state_dict_fits_nothing(tmp_path) -> None:
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(ValueError, match="only 0 of the 100"):
        load_encoder_weights(fresh(), tmp_path / "tensor.pth", "resnet18")


def zoo_unet(width: int = 8, depth: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return a state dict as the BioImage Model Zoo has them."""
    g = torch.Generator().manual_seed(seed)
    widths = [1, *(width * 2**level for level in range(depth + 1))]
    state = {}
    for level in range(depth + 1):
        name = f"encoders.{level}" if level < depth else "base"
        for i, n_in in enumerate((widths[level], widths[level + 1])):
            shape = (widths[level + 1], n_in, 3, 3)
            state[f"{name}.{i}.weight"] = torch.randn(shape, generator=g)
            state[f"{name}.{i}.bias"] = torch.randn(shape[:1], generator=g)
    state["output.weight"] = torch.zeros(1, width, 1, 1)
    return state


@pytest.mark.parametrize("n", [1, 3])
def test_a_unet_of_the_model_zoo_is_where_the_way_down_begins(tmp_path, n) -> None:
    state = zoo_unet()
    path, unet = save(state, tmp_path / "zoo.pt"), UNet(n, 8, 2)
    before = {k: v.clone() for k, v in unet.state_dict().items()}
    load_backbone_weights(unet, path, "unet")
    x = torch.rand(2, 1, 8, 8)
    down, ours = x, x.repeat(1, n, 1, 1)
    for level in range(2):
        for i in range(2):
            w = (state[f"encoders.{level}.{i}.weight"], state[f"encoders.{level}.{i}.bias"])
            down = torch.relu(torch.nn.functional.conv2d(down, *w, padding=1))
        ours = unet.encoder[level](ours)
        torch.testing.assert_close(ours, down, rtol=1e-4, atol=1e-3)
    assert torch.equal(unet.bottleneck[0][0].weight, state["base.0.weight"])
    for name, value in unet.state_dict().items():
        if name.startswith(("decoder.", "bottleneck.1.")):
            assert torch.equal(value, before[name])


def test_a_unet_of_another_width_or_depth_is_refused_with_its_own(tmp_path) -> None:
    path = save(zoo_unet(), tmp_path / "zoo.pt")
    with pytest.raises(
        ValueError, match="has width 8 and depth 2, the one to train width 8 and depth 3"
    ):
        load_backbone_weights(UNet(1, 8, 3), path, "unet")
    path = save({"conv1.weight": torch.zeros(3)}, tmp_path / "resnet.pt")
    with pytest.raises(ValueError, match=r"expected the weights of a U-Net"):
        load_backbone_weights(UNet(1, 8, 2), path, "unet")


@pytest.mark.filterwarnings("ignore:.*TorchScript.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_archives_that_hold_a_program_are_refused_with_the_reason(tmp_path) -> None:
    traced = torch.jit.trace(torch.nn.Conv2d(1, 1, 3), torch.zeros(1, 1, 8, 8))
    torch.jit.save(traced, tmp_path / "script.pt")
    with pytest.raises(ValueError, match="a TorchScript archive, which holds a program"):
        load_encoder_weights(fresh(), tmp_path / "script.pt", "resnet18")
    (tmp_path / "pickled.pt").write_bytes(pickle.dumps({"conv1.weight": [1.0]}))
    with pytest.raises(ValueError, match="a pickle, which could run a program"):
        load_encoder_weights(fresh(), tmp_path / "pickled.pt", "resnet18")
