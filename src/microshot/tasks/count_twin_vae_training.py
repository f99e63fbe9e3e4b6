"""Batches and losses of the Twin-VAE (imports torch)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch.nn import functional as F

from microshot.nn.twin_vae_shapes import DOMAINS
from microshot.nn.vae_losses import counting_loss, decayed, divergence, reconstruction_loss
from microshot.training.trainer import Batch, Losses, Player, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import nn

    from microshot.nn.twin_vae import Branch, TwinVAE
    from microshot.tasks.base import Recipe
    from microshot.tasks.count_twin_vae_images import Views
    from microshot.tasks.count_twin_vae_recipe import TwinVaeHyper

#: Part of the training in which only one domain may be shown, and after which counting begins
#: however long the delay.
BEGINNING = 0.1
#: Terms of the loss in the order of a batch's factors.
TERMS = ("reconstruction_loss", "divergence_loss", "counting_loss")


@dataclass(frozen=True)
class Contrast:
    """Ranges of random changes of brightness, beside the paper's changes of place."""

    gain: tuple[float, float] = (1.0, 1.0)
    """Factor around the middle of the range, 0.5."""
    offset: float = 0.0
    invert: float = 0.0
    """Probability of turning bright into dark."""


#: ``light`` is the paper's augmentation; ``none`` leaves mirror images and quarter turns.
CONTRASTS = {
    "none": Contrast(),
    "light": Contrast(),
    "standard": Contrast((0.7, 1.4), 0.1),
    "contrasts": Contrast((0.7, 1.4), 0.1, 0.5),
    "heavy": Contrast((0.5, 1.8), 0.2, 0.3),
}


class _Pool:
    """All pictures of one domain."""

    def __init__(self, views: Sequence[Views], seed: int) -> None:
        self.images = np.concatenate([v.images for v in views])  # (M, S, S) float16
        self.counts = np.concatenate([v.counts for v in views])  # (M,)
        self.counted = np.flatnonzero(~np.isnan(self.counts))
        self.uncounted = np.flatnonzero(np.isnan(self.counts))
        self.seed = seed
        self._shuffled: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.counts)

    def draw(self, n: int, counted_share: float, rng: np.random.Generator) -> np.ndarray:
        """Return `n` indices drawn with replacement, the given share of them counted images."""
        if counted_share <= 0 or not len(self.counted) or not len(self.uncounted):
            return rng.integers(len(self), size=n)
        n_counted = min(n, int(np.ceil(counted_share * n)))
        return np.concatenate(
            [rng.choice(self.counted, n_counted), rng.choice(self.uncounted, n - n_counted)]
        )

    def batch_of_cycle(self, cycle: int, position: int, size: int) -> np.ndarray:
        """Return the indices of one batch of a shuffled pass; passes that are longer wrap."""
        if self._shuffled[0] != cycle:
            order = np.random.default_rng((self.seed, cycle)).permutation(len(self))
            self._shuffled = cycle, order
        size = min(size, len(self))
        return self._shuffled[1].take(
            np.arange(position * size, (position + 1) * size), mode="wrap"
        )


class Batches:
    """Draws training batches; batch *i* depends only on the seed, *i* and the part that is over.

    Batches hold the pictures as they are and how each is to be changed; the change itself is
    made where the network is (`augmented`).
    """

    def __init__(
        self, views: Sequence[Views], hyper: TwinVaeHyper, seed: int, *, learn_uncounted: bool
    ) -> None:
        self.hyper, self.seed = hyper, seed
        self.fraction = 0.0
        if not learn_uncounted:
            views = [v for v in views if not np.isnan(v.counts).all()] or views
        self.pools: dict[str, _Pool] = {}
        for index, domain in enumerate(DOMAINS):
            own = [v for v in views if v.domain == domain]
            if own:
                self.pools[domain] = _Pool(own, seed + index)
        if hyper.synthetic_ratio == 0 and not hyper.alternating and len(self.pools) == 2:
            del self.pools["synthetic"]

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step: entries of one or both domains, and ``factors`` (3,)."""
        rng = np.random.default_rng((self.seed, step))
        batch: dict[str, torch.Tensor] = {"factors": torch.tensor(self.factors(step))}
        pools = self.pools
        if self.hyper.begin_with in pools and self.fraction < BEGINNING:
            pools = {self.hyper.begin_with: pools[self.hyper.begin_with]}
        chosen = self._in_turn(pools, step) if self.hyper.alternating else self._joint(pools, rng)
        for domain, index in chosen.items():
            pool = pools[domain]
            place, light = self._changes(len(index), rng)
            shift = self._shifts(len(index), pool.images.shape[-1], rng)
            batch |= {
                f"{domain}_image": torch.from_numpy(pool.images[index][:, None]),
                f"{domain}_count": torch.from_numpy(pool.counts[index]),
                f"{domain}_place": torch.from_numpy(place),
                f"{domain}_light": torch.from_numpy(light),
                f"{domain}_shift": torch.from_numpy(shift),
            }
        return batch

    def factors(self, step: int) -> list[float]:
        """Return the factors of reconstruction, divergence and count at a step."""
        h = self.hyper
        epoch = step // h.steps_per_epoch
        delayed = epoch < h.delay_epochs and self.fraction < BEGINNING
        reconstruction = decayed(h.reconstruction_factor, h.reconstruction_decay, epoch)
        return [reconstruction, h.divergence_factor, 0.0 if delayed else h.counting_factor]

    def _joint(self, pools: dict[str, _Pool], rng: np.random.Generator) -> dict[str, np.ndarray]:
        h = self.hyper
        sizes = {"natural": h.batch_size, "synthetic": h.batch_size}
        if len(pools) == 2:
            sizes["synthetic"] = max(1, round(h.batch_size * h.synthetic_ratio))
        return {d: pool.draw(sizes[d], h.labelled_share, rng) for d, pool in pools.items()}

    def _in_turn(self, pools: dict[str, _Pool], step: int) -> dict[str, np.ndarray]:
        """First all batches of synthetic images, then all natural ones, each image once."""
        h = self.hyper
        n = {d: -(-len(pool) // h.batch_size) for d, pool in pools.items()}
        if len(n) == 2 and h.synthetic_ratio > 0:
            n["synthetic"] = max(1, round(h.synthetic_ratio * n["natural"]))
        cycle, position = divmod(step, sum(n.values()))
        first = n.get("synthetic", 0)
        domain = "synthetic" if position < first else "natural"
        position -= 0 if position < first else first
        return {domain: pools[domain].batch_of_cycle(cycle, position, h.batch_size)}

    def _changes(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw (n, 2, 3) affine maps and (n, 2) gains and offsets, float32."""
        h = self.hyper
        share = 0.0 if h.augmentation == "none" else h.changed_share
        changed = rng.random(n) < share
        crop = np.where(changed, h.crop_fraction, 1.0)
        turn = np.deg2rad(rng.uniform(-h.rotate_deg, h.rotate_deg, n)) * changed
        angle = turn + np.pi / 2 * rng.integers(4, size=n)
        mirror = rng.choice([-1.0, 1.0], n)
        cos, sin = np.cos(angle), np.sin(angle)
        shift = rng.uniform(-1, 1, (2, n)) * (1 - crop)
        rows = [
            crop * cos * mirror,
            -crop * sin,
            shift[0],
            crop * sin * mirror,
            crop * cos,
            shift[1],
        ]
        place = np.stack(rows, 1).reshape(n, 2, 3)
        c = CONTRASTS[h.augmentation]
        low, high = np.log(c.gain)
        gain = np.exp(rng.uniform(low, high, n)) * np.where(rng.random(n) < c.invert, -1, 1)
        light = np.stack([gain, rng.uniform(-c.offset, c.offset, n)], 1)
        return place.astype(np.float32), light.astype(np.float32)

    def _shifts(self, n: int, side: int, rng: np.random.Generator) -> np.ndarray:
        """Draw by how many px pictures are shifted around, (n, 2) int64; 0 for those left alone."""
        share = 0.0 if self.hyper.augmentation == "none" else self.hyper.shifted_share
        return rng.integers(side, size=(n, 2)) * (rng.random((n, 1)) < share)


def shifted(image: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Move pictures (N, 1, S, S) by (N, 2) px; what leaves on one side comes in on the other."""
    n, _, height, width = image.shape
    rows = (torch.arange(height, device=image.device) - shift[:, :1]) % height
    columns = (torch.arange(width, device=image.device) - shift[:, 1:]) % width
    which = torch.arange(n, device=image.device)[:, None, None]
    return image[which, 0, rows[:, :, None], columns[:, None, :]][:, None]


def augmented(batch: Batch, domain: str, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pictures (N, 1, S, S) of a domain, changed as drawn, and their counts (N,).

    Turned and cropped in one resampling; what a turn brings in from outside repeats the edge.
    """
    image = shifted(batch[f"{domain}_image"], batch[f"{domain}_shift"]).float()
    place, light = batch[f"{domain}_place"], batch[f"{domain}_light"]
    points = F.affine_grid(place, list(image.shape), align_corners=False)
    image = F.grid_sample(image, points, padding_mode="border", align_corners=False)
    gain, offset = light[:, 0, None, None, None], light[:, 1, None, None, None]
    image = (image - 0.5) * gain + 0.5 + offset
    if noise:
        image = image + noise * torch.randn_like(image)
    return image.clamp(0, 1), batch[f"{domain}_count"]


class Loss:
    """The loss of a Twin-VAE on a batch: each domain's own terms, added."""

    def __init__(self, model: TwinVAE, hyper: TwinVaeHyper) -> None:
        self.model, self.hyper = model, hyper
        self.noise = 0.0 if hyper.augmentation == "none" else hyper.noise
        self.reconstruct = model.has_decoder and hyper.reconstruction_factor > 0
        self.cross = hyper.cross_feed and model.has_decoder

    def __call__(self, batch: Batch) -> Losses:
        """Return the loss and its terms before they are multiplied by their factors."""
        terms: Losses = {}
        for domain in DOMAINS:
            if f"{domain}_image" in batch:
                image, count = augmented(batch, domain, self.noise)
                self._add(terms, image, count, domain)
                if self.cross and domain == "synthetic":
                    self._add(terms, redrawn(self.model, image), count, "natural")
        factors = batch["factors"]
        total = torch.stack([factors[TERMS.index(k)] * v for k, v in terms.items()]).sum()
        return {"loss": total, **terms}

    def _add(self, terms: Losses, image: torch.Tensor, count: torch.Tensor, domain: str) -> None:
        out = self.model.branch(image, domain, reconstruct=self.reconstruct)
        for name, value in self.terms(out, image, count).items():
            terms[name] = terms[name] + value if name in terms else value

    def terms(self, out: Branch, image: torch.Tensor, count: torch.Tensor) -> Losses:
        """Return the terms for one domain; counts are compared in the network's own unit."""
        scale = float(self.model.architecture["count_scale"])
        n_pixels = image.shape[-2] * image.shape[-1]
        made = {
            "divergence_loss": divergence(out.mu, out.logvar, n_pixels),
            "counting_loss": counting_loss(
                out.count / scale, count / scale, masked=self.hyper.masked
            ),
        }
        if out.logits is not None:
            made["reconstruction_loss"] = reconstruction_loss(
                out.logits, image, self.hyper.reconstruction
            )
        return made


@torch.no_grad()
def redrawn(model: TwinVAE, image: torch.Tensor) -> torch.Tensor:
    """Return synthetic images (N, 1, S, S) as the writer of natural images draws them."""
    with _evaluating(model):
        mu, _ = model.encode(image, "synthetic")
        return model.write(model.hidden(mu), "natural").float().sigmoid()


@contextmanager
def _evaluating(model: TwinVAE) -> Iterator[None]:
    """Switch dropout and running statistics off; each module returns to its own mode."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def stage(
    model: TwinVAE,
    recipe: Recipe,
    hyper: TwinVaeHyper,
    views: Sequence[Views],
    validation: Sequence[Views],
    seed: int,
) -> Stage:
    """Return the training of a Twin-VAE on pictures of one or both domains.

    A model from scratch that sees one domain only gets the same reader and writer for both.
    """
    batches = Batches(views, hyper, seed, learn_uncounted=model.has_decoder)
    if recipe.preparation["from_scratch"] and len(batches.pools) == 1:
        model.tie()
    player = Player("network", list(model.parameters()), Loss(model, hyper), hyper.learning_rate)
    made = Stage("training", [player], batches, validation_of(validation, hyper))
    if hyper.delay_epochs or hyper.begin_with != "both":

        def on_fraction(fraction: float) -> None:
            batches.fraction = fraction

        made.on_fraction = on_fraction
    return made


def validation_of(
    views: Sequence[Views], hyper: TwinVaeHyper
) -> Callable[[nn.Module], dict[str, float]] | None:
    """Return a function that scores unchanged images, or None where none is counted.

    Its ``loss`` is the mean squared error of the count, in the unit of the training's
    ``counting_loss``: weights are chosen by how well they count, not by how well they draw.
    """
    counted = [v for v in views if not np.isnan(v.counts).any()]
    if not counted:
        return None
    owner = np.repeat(np.arange(len(counted)), [len(v.counts) for v in counted])
    domain = np.repeat([v.domain for v in counted], [len(v.counts) for v in counted])
    images = np.concatenate([v.images for v in counted])[:, None]  # (M, 1, S, S)
    truth = np.array([v.counts.sum() for v in counted])

    def validate(model: nn.Module) -> dict[str, float]:
        predicted = np.zeros(len(images))
        for name in DOMAINS:
            where = np.flatnonzero(domain == name)
            for begin in range(0, len(where), hyper.batch_size):
                part = where[begin : begin + hyper.batch_size]
                predicted[part] = _counts(cast("TwinVAE", model), images[part], name)
        error = np.bincount(owner, predicted) - truth
        scale = float(cast("TwinVAE", model).architecture["count_scale"])
        return {
            "loss": float(np.mean((error / scale) ** 2)),
            "mae": float(np.abs(error).mean()),
        }

    return validate


def _counts(model: TwinVAE, images: np.ndarray, domain: str) -> np.ndarray:
    device = next(model.parameters()).device
    pictures = torch.from_numpy(images).to(device).float()
    return model.branch(pictures, domain, reconstruct=False).count.cpu().numpy()
