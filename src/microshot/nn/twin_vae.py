"""The Twin-VAE: two variational autoencoders that share their core and one counting head."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from microshot.nn.twin_vae_shapes import (
    CORE,
    DOMAINS,
    HIDDEN,
    LATENT,
    OUTER,
    check_architecture,
    features,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SLOPE = 0.2
#: The logarithm of the latent variance is kept below this, as in the released code.
GREATEST_LOGVAR = 15.0
#: Centred images are multiplied by this: their contrast is about a quarter of the range.
CENTRED_GAIN = 4.0
#: Latent samples of which the spread of the count is taken.
N_LATENT_SAMPLES = 64


@dataclass
class Branch:
    """What one of the two autoencoders makes of N images."""

    count: torch.Tensor
    """(N,)."""
    mu: torch.Tensor
    """(N, L)."""
    logvar: torch.Tensor
    """(N, L)."""
    logits: torch.Tensor | None
    """(N, 1, S, S) the reconstruction before its sigmoid; None where it was not asked for."""


class TwinVAE(nn.Module):
    """Network of the way *twin-vae* of counting.

    A reader and a writer for each domain (natural, synthetic), one shared core: the last layer
    of the encoder, the latent variables, the first layer of the decoder and the regressor
    that counts. All convolutions have stride 2 (but one) and no padding, so that an
    image of 128 (64) px ends as one pixel. At width 1 and 128 px it has 11,363,331 parameters.

    With ``decoder: False`` there are no writers, and no core decoder unless the regressor
    reads it.

    References
    ----------
    .. [1] Kenneweg, Stallmann & Hammer 2022, doi:10.1007/s00521-022-08115-2, section 2.3; layers
       as in the released code. The regressor reads the latent variables as in that code;
       ``regressor_input: decoder`` is what the paper says.
    """

    noise: torch.Tensor

    def __init__(self, architecture: Mapping[str, Any]) -> None:
        a = check_architecture(architecture)
        super().__init__()
        self.architecture = a
        self.side, width = int(a["side"]), float(a["width"])
        outer = [features(f, width) for f in OUTER[self.side]]
        core, latent = features(CORE, width), features(LATENT, width)
        dropout, norm = float(a["dropout"]), str(a["decoder_norm"])
        self.has_decoder = bool(a["decoder"])
        self.reads_decoder = a["regressor_input"] == "decoder"
        self.reader = nn.ModuleDict({d: _reader(outer, dropout) for d in DOMAINS})
        self.core_encoder = nn.Sequential(*_down(outer[-1], core, dropout))
        self.mu = nn.Sequential(nn.Linear(core, latent), nn.Dropout(dropout))
        self.logvar = nn.Sequential(nn.Linear(core, latent), nn.Dropout(dropout))
        if self.has_decoder or self.reads_decoder:
            self.expand = nn.Sequential(nn.Linear(latent, core), nn.Dropout(dropout))
            self.core_decoder = nn.Sequential(*_up(core, outer[-1], 5, 2, norm))
        if self.has_decoder:
            self.writer = nn.ModuleDict({d: _writer(outer, norm) for d in DOMAINS})
        n_in = 25 * outer[-1] if self.reads_decoder else latent
        hidden = [features(f, width) for f in HIDDEN]
        self.regressor = _regressor(n_in, hidden, dropout, str(a["regressor_activation"]))
        _initialise(self, a)
        generator = torch.Generator().manual_seed(0)
        # On the CPU also where a network is made without memory: no model file holds these numbers.
        draws = torch.randn(N_LATENT_SAMPLES // 2, latent, generator=generator, device="cpu")
        self.register_buffer("noise", torch.cat([draws, -draws]), persistent=False)

    def encode(self, image: torch.Tensor, domain: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (N, 1, S, S) to the mean and the log variance of the latent variables, (N, L).

        A centred input has its own mean taken away first. Otherwise the grey of the background,
        far greater than the contrast of cells, is what dropout disturbs, and the network counts
        differently in training and in evaluation.
        """
        if self.architecture["input"] == "centred":
            image = CENTRED_GAIN * (image - image.mean((1, 2, 3), keepdim=True))
        code = self.core_encoder(self.reader[domain](image)).flatten(1)
        return self.mu(code), self.logvar(code).clamp(max=GREATEST_LOGVAR)

    def hidden(self, z: torch.Tensor) -> torch.Tensor:
        """Map latent variables (N, L) through the shared part of the decoder: (N, F, 5, 5)."""
        return self.core_decoder(self.expand(z)[:, :, None, None])

    def count(self, z: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """Return the number of objects (N,) for latent variables (N, L)."""
        if self.reads_decoder:
            z = (self.hidden(z) if hidden is None else hidden).flatten(1)
        where = "cuda" if z.is_cuda else "cpu"
        with torch.autocast(where, enabled=False):  # bfloat16 tells 20 from 20.1 no more
            return self.regressor(z.float())[:, 0] * float(self.architecture["count_scale"])

    def write(self, hidden: torch.Tensor, domain: str) -> torch.Tensor:
        """Return the logits (N, 1, S, S) of a reconstruction by the writer of `domain`."""
        return self.writer[domain](hidden)

    def branch(self, image: torch.Tensor, domain: str, *, reconstruct: bool) -> Branch:
        """Pass (N, 1, S, S) through one autoencoder; latent variables are drawn while training."""
        mu, logvar = self.encode(image, domain)
        z = mu + torch.randn_like(mu) * torch.exp(logvar / 2) if self.training else mu
        hidden = self.hidden(z) if reconstruct or self.reads_decoder else None
        logits = self.write(hidden, domain) if reconstruct and hidden is not None else None
        return Branch(self.count(z, hidden), mu, logvar, logits)

    def tie(self, domain: str = "natural", *, readers: bool = True) -> None:
        """Let both domains use the writer that `domain` has, and its reader unless both have learned.

        For training with images of one domain only: the other branch, which would stay as it
        is while the core between them changes, becomes a copy. Weights are stored under both names.
        """
        branches = [self.reader] if readers else []
        for branch in [*branches, self.writer] if self.has_decoder else branches:
            for other in DOMAINS:
                branch[other] = branch[domain]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 1, S, S), 0 to 1, to (N, K, 1, 1): see `twin_vae_shapes.reading`.

        A second channel says which reader sees each image: 0 natural, 1 synthetic; natural
        where there is none. The order is count, spread, latent means, then the
        reconstructions by the natural and the synthetic writer.
        """
        mu, logvar = self._encode_mixed(x)
        deviation = torch.exp(logvar / 2)
        z = mu
        if self.architecture["latent_at_inference"] == "sample":
            z = mu + torch.randn_like(mu) * deviation
        hidden = self.hidden(z) if self.has_decoder or self.reads_decoder else None
        samples = (mu + self.noise[:, None] * deviation).flatten(0, 1)  # (64 N, L)
        counts = self.count(samples).reshape(N_LATENT_SAMPLES, -1)
        parts = [self.count(z, hidden)[:, None], counts.std(0, correction=1)[:, None], mu]
        if self.has_decoder and hidden is not None:
            parts += [torch.sigmoid(self.write(hidden, d)).flatten(1) for d in DOMAINS]
        return torch.cat(parts, 1)[:, :, None, None]

    def _encode_mixed(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        image = x[:, :1]
        if x.shape[1] == 1:
            return self.encode(image, "natural")
        synthetic = x[:, 1, 0, 0] > 0.5
        if bool(synthetic.all()) or not bool(synthetic.any()):
            return self.encode(image, DOMAINS[int(synthetic[0])])
        natural, other = self.encode(image, "natural"), self.encode(image, "synthetic")
        mu, logvar = (
            torch.where(synthetic[:, None], b, a) for a, b in zip(natural, other, strict=True)
        )
        return mu, logvar


def _down(n_in: int, n_out: int, dropout: float) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, 5, 2), nn.LeakyReLU(SLOPE), nn.Dropout(dropout)]


def _up(n_in: int, n_out: int, kernel: int, stride: int, norm: str) -> list[nn.Module]:
    layer = nn.GroupNorm(math.gcd(8, n_out), n_out) if norm == "group" else nn.BatchNorm2d(n_out)
    return [nn.ConvTranspose2d(n_in, n_out, kernel, stride), layer, nn.LeakyReLU(SLOPE)]


def _levels(blocks: list[list[nn.Module]], numbers: range) -> nn.Sequential:
    """Return blocks in order; their names count from the image inwards."""
    named = zip(numbers, blocks, strict=True)
    return nn.Sequential(OrderedDict((str(n), nn.Sequential(*block)) for n, block in named))


def _reader(outer: list[int], dropout: float) -> nn.Sequential:
    """Image to (N, F, 5, 5)."""
    pairs = zip([1, *outer[:-1]], outer, strict=True)
    return _levels([_down(a, b, dropout) for a, b in pairs], range(1, len(outer) + 1))


def _writer(outer: list[int], norm: str) -> nn.Sequential:
    """(N, F, 5, 5) to the image; the last two layers turn 61 (29) px into exactly 128 (64)."""
    inward = outer[::-1]
    blocks = [_up(a, b, 5, 2, norm) for a, b in pairwise(inward)]
    tail = [*_up(outer[0], outer[0], 2, 1, norm), nn.ConvTranspose2d(outer[0], 1, 6, 2)]
    return _levels([*blocks, tail], range(len(outer), 0, -1))


def _regressor(n_in: int, hidden: list[int], dropout: float, activation: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_out in hidden:
        layers.append(nn.Linear(n_in, n_out))
        if activation == "leaky-relu":
            layers.append(nn.LeakyReLU(0.1))
        layers.append(nn.Dropout(dropout))
        n_in = n_out
    return nn.Sequential(*layers, nn.Linear(n_in, 1))


def _initialise(model: TwinVAE, architecture: Mapping[str, Any]) -> None:
    """Draw fresh weights: orthogonal as in the paper, gain of the leaky ReLU, biases 0.

    The released code keeps PyTorch's default (``initialisation: default``). In both, the bias of
    the last layer starts at the count to begin with.

    References
    ----------
    .. [1] Saxe et al. 2014, arXiv:1312.6120; gain sqrt(2 / (1 + 0.2²)) as He et al. 2015,
       doi:10.1109/ICCV.2015.123.
    """
    if architecture["initialisation"] == "orthogonal":
        gain = nn.init.calculate_gain("leaky_relu", SLOPE)
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                nn.init.orthogonal_(module.weight, 1.0 if isinstance(module, nn.Linear) else gain)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    last = model.regressor[-1]
    assert isinstance(last, nn.Linear)
    if architecture["initial_count"]:
        nn.init.constant_(
            last.bias, float(architecture["initial_count"]) / float(architecture["count_scale"])
        )
