"""The Twin-VAE: published sizes, what its branches share, what it skips, what it returns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from microshot.device import seeded
from microshot.nn.twin_vae import TwinVAE
from microshot.nn.twin_vae_shapes import (
    DOMAINS,
    FROZEN,
    LEAST_WIDTH,
    PARTS,
    THAW,
    check_architecture,
    latent_size,
    reading,
)
from microshot.training.transfer import freeze, in_parts, take_over

SMALL = {"side": 64, "width": LEAST_WIDTH}


def twin(**changes) -> TwinVAE:
    with seeded(0):
        return TwinVAE({**SMALL, **changes})


def full(side: int = 128) -> TwinVAE:
    """The published network without drawing its eleven million weights."""
    with torch.device("meta"):
        return TwinVAE({"side": side, "initialisation": "default"})


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def images(n: int, side: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed))


def test_the_published_network_has_the_published_numbers_of_parameters() -> None:
    model = full()
    found = {d: (size(model.reader[d]), size(model.writer[d])) for d in DOMAINS}
    assert found == dict.fromkeys(DOMAINS, (1_076_480, 1_081_217))
    assert size(model.core_encoder) == 3_277_312
    assert size(model.mu) == size(model.logvar) == 131_328
    assert size(model.expand) == 131_584
    assert size(model.regressor) == 98_817
    assert size(model.core_decoder) == 3_277_568
    assert size(model) == 11_363_331


def test_every_layer_of_the_published_network_has_the_published_shape() -> None:
    model, shapes = full(), []
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.register_forward_hook(lambda _m, _x, y: shapes.append(tuple(y.shape[1:])))
    model.branch(torch.empty(2, 1, 128, 128, device="meta"), "synthetic", reconstruct=True)
    assert shapes == [
        (32, 62, 62), (64, 29, 29), (128, 13, 13), (256, 5, 5), (512, 1, 1),
        (256, 5, 5), (128, 13, 13), (64, 29, 29), (32, 61, 61), (32, 62, 62), (1, 128, 128),
    ]  # fmt: skip


def test_the_network_for_64_px_lacks_the_outermost_layer_and_has_the_same_core() -> None:
    small, large = full(64), full(128)
    for name in ("core_encoder", "mu", "logvar", "expand", "core_decoder", "regressor"):
        assert size(getattr(small, name)) == size(getattr(large, name))
    out = small.branch(torch.empty(3, 1, 64, 64, device="meta"), "natural", reconstruct=True)
    assert out.logits is not None
    assert out.logits.shape == (3, 1, 64, 64)
    assert out.mu.shape == (3, 256)


@pytest.mark.parametrize("side", [64, 128])
@pytest.mark.parametrize("width", [LEAST_WIDTH, 0.25])
def test_the_width_scales_all_layers(side: int, width: float) -> None:
    model = twin(side=side, width=width).eval()
    with torch.no_grad():
        out = model.branch(images(2, side), "natural", reconstruct=True)
    assert out.mu.shape == (2, round(256 * width))
    assert out.logits is not None
    assert out.logits.shape == (2, 1, side, side)


def test_the_branches_share_the_core_and_nothing_else() -> None:
    model = twin()
    used: dict[str, set[str]] = {}
    for domain in DOMAINS:
        model.zero_grad(set_to_none=True)
        out = model.branch(images(2), domain, reconstruct=True)
        assert out.logits is not None
        (out.count.sum() + out.logits.sum() + out.logvar.sum()).backward()
        used[domain] = {n for n, p in model.named_parameters() if p.grad is not None}
    both = used["natural"] & used["synthetic"]
    assert both == {n for n, _ in model.named_parameters() if in_parts(n, ["core"], PARTS)}
    assert used["natural"] | used["synthetic"] == {n for n, _ in model.named_parameters()}
    assert all(".natural." in n for n in used["natural"] - both)


def test_without_reconstruction_no_decoder_is_computed() -> None:
    model, called = twin(), []
    for module in (model.expand, model.core_decoder, *model.writer.values()):
        module.register_forward_hook(lambda *_: called.append(1))
    out = model.branch(images(2), "natural", reconstruct=False)
    assert out.logits is None
    assert not called
    assert not any(n.startswith(PARTS["decoder"]) for n in twin(decoder=False).state_dict())


def test_the_count_can_be_read_from_the_shared_decoder() -> None:
    model = twin(regressor_input="decoder", decoder=False)
    out = model.branch(images(2), "natural", reconstruct=False)
    out.count.sum().backward()
    assert model.core_decoder[0].weight.grad is not None
    assert not hasattr(model, "writer")
    model.eval()
    x = images(3)
    with torch.no_grad():
        assert torch.allclose(model(x)[:, 0, 0, 0], model.count(model.encode(x, "natural")[0]))


def test_linear_layers_of_the_regressor_have_no_activation_unless_wished() -> None:
    model = twin(decoder=False).eval()
    z = torch.randn(5, latent_size(SMALL))
    with torch.no_grad():
        bent = model.count(z) + model.count(-z) - 2 * model.count(0 * z)
        assert torch.allclose(bent, torch.zeros(5), atol=1e-5)
        model = twin(decoder=False, regressor_activation="leaky-relu").eval()
        bent = model.count(z) + model.count(-z) - 2 * model.count(0 * z)
    assert model.regressor[1].negative_slope == 0.1
    assert bent.abs().max() > 1e-3


def test_fresh_weights_are_orthogonal_and_the_count_starts_where_it_is_told() -> None:
    model = twin(initial_count=12.0, count_scale=3.0).eval()
    weight = model.core_encoder[0].weight.detach().flatten(1)
    gain = 2 / (1 + 0.2**2)
    assert torch.allclose(weight @ weight.T, gain * torch.eye(len(weight)), atol=1e-4)
    with torch.no_grad():
        assert model.count(torch.zeros(1, latent_size(SMALL))).item() == pytest.approx(12.0)


def test_latent_variables_are_drawn_in_training_and_are_the_mean_in_evaluation() -> None:
    model = twin(dropout=0.0)
    with torch.no_grad(), seeded(1):
        a, b = (model.branch(images(2), "natural", reconstruct=False).count for _ in range(2))
        assert not torch.equal(a, b)
        model.eval()
        a, b = (model(images(2)) for _ in range(2))
        assert torch.equal(a, b)
        model = twin(latent_at_inference="sample").eval()
        assert not torch.equal(model(images(2))[:, 0], model(images(2))[:, 0])


def test_the_log_variance_is_bounded() -> None:
    model = twin(decoder=False).eval()
    with torch.no_grad():
        model.logvar[0].bias.fill_(100.0)
        assert model.encode(images(1), "natural")[1].max() == 15.0


def test_a_centred_input_does_not_depend_on_the_grey_of_the_background() -> None:
    for kind, same in (("centred", True), ("plain", False)):
        model = twin(decoder=False, input=kind).eval()
        with torch.no_grad():
            dark, bright = (model(0.1 * images(2) + grey)[:, 0] for grey in (0.2, 0.7))
        assert torch.allclose(dark, bright, atol=1e-4) == same


def test_the_output_taken_apart_is_what_the_branches_say() -> None:
    model = twin().eval()
    x = images(3)
    with torch.no_grad():
        read = reading(model(x).numpy(), model.architecture)
        own = model.branch(x, "natural", reconstruct=True)
        assert own.logits is not None
        switched = model.write(model.hidden(own.mu), "synthetic").sigmoid()
    assert np.allclose(read.count, own.count, atol=1e-5)
    assert np.allclose(read.latent, own.mu)
    assert np.allclose(read.reconstructions["natural"], own.logits.sigmoid()[:, 0], atol=1e-6)
    assert np.allclose(read.reconstructions["synthetic"], switched[:, 0], atol=1e-6)
    assert (read.spread > 0).all()
    assert not reading(np.zeros((3, 2 + 16, 1, 1), np.float32), SMALL).reconstructions


def test_a_second_channel_chooses_the_reader_image_by_image() -> None:
    model = twin(decoder=False).eval()
    x, flag = images(4), torch.tensor([0.0, 1.0, 0.0, 1.0])
    with torch.no_grad():
        mixed = model(torch.cat([x, flag[:, None, None, None].expand_as(x)], 1))
        natural, synthetic = (
            model(torch.cat([x, torch.full_like(x, value)], 1)) for value in (0.0, 1.0)
        )
        assert torch.equal(natural, model(x))
    assert torch.allclose(mixed[flag == 0], natural[flag == 0], atol=1e-6)
    assert torch.allclose(mixed[flag == 1], synthetic[flag == 1], atol=1e-6)


def test_the_spread_of_a_linear_regressor_is_that_of_the_latent_variables() -> None:
    model = twin(decoder=False, dropout=0.0).eval()
    with torch.no_grad():
        read = reading(model(images(50)).numpy(), model.architecture)
        _, logvar = model.encode(images(50), "natural")
        weight = model.regressor[4].weight @ model.regressor[2].weight @ model.regressor[0].weight
        expected = (logvar.exp() @ weight[0].square()).sqrt().numpy()
    assert np.median(read.spread / expected) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("domain", ["natural", "synthetic"])
def test_tied_branches_are_those_of_one_domain_stored_under_both_names(domain: str) -> None:
    model = twin()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.tie(domain)
    state = model.state_dict()
    assert set(state) == set(before)
    assert all(torch.equal(v, before[k]) for k, v in state.items() if f".{domain}." in k)
    assert all(
        torch.equal(v, state[k.replace(".natural.", ".synthetic.")]) for k, v in state.items()
    )
    fresh = twin()
    fresh.load_state_dict(state)
    assert fresh.reader["natural"] is not fresh.reader["synthetic"]


@pytest.mark.parametrize("strategy", FROZEN)
def test_strategies_freeze_what_they_say_and_every_tensor_belongs_to_one_half(
    strategy: str,
) -> None:
    model = twin()
    names = [n for n, _ in model.named_parameters()]
    assert all(in_parts(n, ["core"], PARTS) != in_parts(n, ["outer"], PARTS) for n in names)
    assert all(
        sum(in_parts(n, [p], PARTS) for p in ("encoder", "decoder", "head")) == 1 for n in names
    )
    frozen = freeze(model, FROZEN[strategy], PARTS)
    before = {k: v.clone() for k, v in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    outs = [model.branch(images(2), d, reconstruct=True) for d in DOMAINS]
    sum(o.count.sum() + o.logits.square().sum() + o.logvar.sum() for o in outs).backward()
    optimizer.step()
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name]) == (name in frozen), name


@pytest.mark.parametrize("side", [64, 128])
def test_thawing_opens_the_outermost_layers_and_the_linear_ones_first_then_inwards(
    side: int,
) -> None:
    model = twin(side=side)
    opened: list[set[str]] = []
    for _, parts in THAW:
        freeze(model, parts, PARTS)
        opened.append({n for n, p in model.named_parameters() if p.requires_grad})
    assert all(a <= b for a, b in pairwise(opened))
    first = {n.split(".0.")[0].split(".bias")[0] for n in opened[0]}
    assert {"mu", "logvar", "expand", "reader.natural.1", "reader.synthetic.1"} <= first
    assert not any(n.startswith(("regressor", "core_", "reader.natural.2")) for n in opened[0])
    assert any(n.startswith("writer.natural.1.") for n in opened[0])
    assert any(n.startswith("regressor") for n in opened[1])
    assert not any(n.startswith("core_") for n in opened[1])
    assert any(n.startswith("core_encoder") for n in opened[2])
    assert opened[-1] == {n for n, _ in model.named_parameters()}


def test_the_decoder_can_be_left_behind_in_transfer() -> None:
    source, target = twin(), twin(decoder=False)
    report = take_over(target, source.state_dict(), prefixes=PARTS)
    assert not report.new
    assert torch.equal(target.mu[0].weight, source.mu[0].weight)


@pytest.mark.parametrize(
    ("entry", "value"),
    [("side", 96), ("side", "128"), ("width", 2), ("width", True), ("in_channels", 3),
     ("decoder", "yes"), ("regressor_input", "z"), ("decoder_norm", []), ("count_scale", 0)],
)  # fmt: skip
def test_impossible_architectures_are_refused_by_name(entry: str, value: object) -> None:
    with pytest.raises(ValueError, match=entry):
        check_architecture({entry: value})


def test_switching_the_decoder_off_takes_its_cost_away() -> None:
    """No module of it is built, none is called, and no parameter of it gets a gradient."""
    called: dict[str, list[str]] = {}
    sizes = {}
    for decoder in (True, False):
        model = TwinVAE({"side": 128, "width": 0.125, "decoder": decoder})
        names = called.setdefault(str(decoder), [])
        for name, module in model.named_modules():
            if not list(module.children()):
                module.register_forward_hook(lambda *_, name=name, to=names: to.append(name))
        out = model.branch(torch.rand(2, 1, 128, 128), "natural", reconstruct=decoder)
        (out.count.sum() + (0 if out.logits is None else out.logits.sum())).backward()
        sizes[decoder] = sum(p.numel() for p in model.parameters())
    of_decoder = ("expand", "core_decoder", "writer")
    drawn = [n for n in called["True"] if n.startswith(of_decoder)]
    assert len(drawn) == 2 + 3 + 3 * 4 + 1  # linear layer, shared layer, writer
    assert called["False"] == [n for n in called["True"] if n not in drawn]
    full = TwinVAE({"side": 128, "width": 0.125, "decoder": True})
    own = sum(p.numel() for n, p in full.named_parameters() if n.startswith(of_decoder))
    assert sizes[True] - sizes[False] == own > 0.4 * sizes[True]
