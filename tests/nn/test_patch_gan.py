"""The patch discriminator: parameters, sizes and what a score looks at."""

from __future__ import annotations

import pytest
import torch

from microshot.nn.patch_gan import PatchGAN


def test_the_published_discriminator_has_its_number_of_parameters() -> None:
    assert sum(p.numel() for p in PatchGAN(8).parameters()) == 1_746_337


def test_a_crop_of_512_px_gives_30_by_30_scores() -> None:
    net = PatchGAN(2, width=2).eval()
    assert net(torch.zeros(1, 2, 512, 512)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize(("n_layers", "side"), [(3, 70), (4, 142)])
def test_a_score_looks_at_as_many_pixels_as_stated(n_layers, side) -> None:
    torch.manual_seed(0)
    net = PatchGAN(1, width=2, n_layers=n_layers).eval()
    x = torch.rand(1, 1, 320, 320, requires_grad=True)
    scores = net(x)
    middle = scores.shape[-1] // 2
    scores[0, 0, middle, middle].backward()
    assert x.grad is not None
    rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == side
