"""Features of the deepest layer, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from microshot.inference.encoder_features import listening


class Net(nn.Module):
    """Gives its input back through a layer of a known name, as the last of two maps."""

    def __init__(self, name: str = "bottleneck") -> None:
        super().__init__()
        self.name = name
        self.add_module(name, Both())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return getattr(self, self.name)(x)[1]


class Both(nn.Module):
    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [x * 100, x]


def test_features_are_the_mean_over_tiles_of_mean_and_deviation_of_each_channel() -> None:
    net = Net()
    with listening(net) as features:
        net(torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]]))  # means 2 and 5, deviations 1 and 0
        net(torch.tensor([[[[0.0, 8.0]], [[1.0, 5.0]]]]))  # means 4 and 3, deviations 4 and 2
        assert features.take()[0].tolist() == [3, 4, 2.5, 1]
        net(torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]]))
        found, within = features.take()
    assert found.tolist() == [2, 5, 1, 0]
    assert found.dtype == within.dtype == np.float32


def test_halves_are_left_and_right_upper_and_lower() -> None:
    net = Net()
    with listening(net) as features:
        net(
            torch.tensor([[[[1.0, 3.0], [5.0, 5.0]]]])
        )  # means 3, 4 and 2, 5; deviations 2, 1 and 1, 0
        np.testing.assert_allclose(features.take()[1], [5**0.5, 1])
        net(torch.tensor([[[[7.0]]]]))
        assert features.take()[1].tolist() == [0, 0]


def test_a_network_without_a_layer_of_a_known_name_is_told() -> None:
    with (
        pytest.raises(ValueError, match=r"expected a layer named backbone\.bottleneck.*found none"),
        listening(Net("other")),
    ):
        pass
