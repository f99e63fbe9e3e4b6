"""Every task learns in bfloat16 where the processor has it, and comes to much the same model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from microshot import api
from tasks_of_all_kinds import little_of
from tiny_models import TRAIN, changed, fields

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.settings import TrainSettings

KINDS = (
    "stardist", "foreground", "boundary", "count", "twin-vae", "translate", "nuclei", "lipids",
)  # fmt: skip


def settings_of(kind: str) -> tuple[TrainSettings, object]:
    """Return a short training of a kind of network, and images for it."""
    if kind in ("stardist", "foreground", "boundary"):
        return changed(TRAIN, network__head=kind), fields(3)
    if kind in ("nuclei", "lipids"):
        settings, data = little_of("translate")
        small = {"translation__width": 4, "translation__growth": 2, "translation__depth": 2}
        return changed(settings, preset=kind, **small), data
    return little_of(kind)


def losses(bundle: Bundle) -> list[float]:
    return [value for row in bundle.card.training["history"] for key, value in row.items()
            if key.endswith("loss")]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_in_bfloat16_sees_the_losses_of_one_in_32_bits(kind, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    settings, data = settings_of(kind)
    half = api.train(data, settings).bundle
    whole = api.train(data, changed(settings, training__precision="float32")).bundle
    assert "bfloat16" in half.card.device
    assert "bfloat16" not in whole.card.device
    np.testing.assert_allclose(losses(half), losses(whole), rtol=0.1, atol=0.02)
    assert half.weights.keys() == whole.weights.keys()
    assert all(v.dtype == whole.weights[k].dtype for k, v in half.weights.items())
    assert any(not np.array_equal(v, whole.weights[k]) for k, v in half.weights.items())


def test_what_is_solved_at_once_is_not_said_to_have_learned_in_bfloat16(monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    settings, data = little_of("count")
    by_parameters = changed(settings, count__architecture="watershed")
    assert "bfloat16" not in api.train(data, by_parameters).bundle.card.device
