"""Batches and losses of the Twin-VAE (imports torch)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from microshot.nn.twin_vae_shapes import DOMAINS
from microshot.nn.vae_losses import counting_loss, decayed, divergence, reconstruction_loss
from microshot.tasks.counting.twin_vae_changes import Noise, augmented, changes
from microshot.tasks.counting.twin_vae_recipes import NOISELESS
from microshot.training.trainer import Batch, Losses, Player, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import nn

    from microshot.nn.twin_vae import Branch, TwinVAE
    from microshot.tasks.counting.twin_vae_images import Views
    from microshot.tasks.counting.twin_vae_recipes import TwinVaeHyper
    from microshot.tasks.lesson import Lesson

#: Part of the training in which only one domain may be shown, and after which counting begins
#: however long the delay.
BEGINNING = 0.1
#: Terms of the loss in the order of a batch's factors.
TERMS = ("reconstruction_loss", "divergence_loss", "counting_loss")


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
    made where the network is (`make`).
    """

    def __init__(
        self, views: Sequence[Views], hyper: TwinVaeHyper, seed: int, *, learn_uncounted: bool
    ) -> None:
        self.hyper, self.seed = hyper, seed
        self.fraction = 0.0
        noisy = hyper.noise > 0 and hyper.augmentation not in NOISELESS
        self.noise = Noise(hyper.noise, seed) if noisy else None
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
            drawn = {
                "image": pool.images[index][:, None],
                "count": pool.counts[index],
                **changes(len(index), pool.images.shape[-1], self.hyper, rng),
            }
            batch |= {f"{domain}_{name}": torch.from_numpy(v) for name, v in drawn.items()}
        return batch

    def make(self, batch: Batch) -> Batch:
        """Change the pictures of a batch as drawn.

        Returns ``image`` (N, 1, S, S) and ``count`` (N,) of each domain (``natural_image`` …), and
        every term's factor, a number (``reconstruction_loss_factor`` …).
        """
        made = {f"{k}_factor": v for k, v in zip(TERMS, batch["factors"].unbind(), strict=True)}
        for domain in self.pools:
            if f"{domain}_image" in batch:
                image, count = augmented(batch, domain, self.noise)
                made |= {f"{domain}_image": image, f"{domain}_count": count}
        return made

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


class Loss:
    """The loss of a Twin-VAE on a batch: each domain's own terms, added."""

    def __init__(self, model: TwinVAE, hyper: TwinVaeHyper) -> None:
        self.model, self.hyper = model, hyper
        self.reconstruct = model.has_decoder and hyper.reconstruction_factor > 0
        self.cross = hyper.cross_feed and model.has_decoder

    def __call__(self, batch: Batch) -> Losses:
        """Return the loss and its terms before they are multiplied by their factors."""
        terms: Losses = {}
        for domain in DOMAINS:
            if f"{domain}_image" in batch:
                image, count = batch[f"{domain}_image"], batch[f"{domain}_count"]
                self._add(terms, image, count, domain)
                if self.cross and domain == "synthetic":
                    self._add(terms, redrawn(self.model, image), count, "natural")
        total = torch.stack([batch[f"{k}_factor"] * v for k, v in terms.items()]).sum()
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


def stage(model: TwinVAE, lesson: Lesson[Views, TwinVaeHyper]) -> Stage:
    """Return the training of a Twin-VAE on pictures of one or both domains.

    A model from scratch that sees one domain only gets the same reader and writer for both, and so
    does one that goes on with synthetic images only: what it learns from them counts in all images.
    One that is given new writers and goes on with microscope images only gets the same writer.
    """
    hyper, views = lesson.hyper, [*lesson.natural, *lesson.synthetic]
    batches = Batches(views, hyper, lesson.seed, learn_uncounted=model.has_decoder)
    prepared = lesson.recipe.preparation
    if batches.pools.keys() == {"synthetic"}:
        model.tie("synthetic")
    elif len(batches.pools) == 1 and (prepared["from_scratch"] or prepared["new_writers"]):
        model.tie(readers=prepared["from_scratch"])
    player = Player("network", list(model.parameters()), Loss(model, hyper), hyper.learning_rate)
    check = validation_of(lesson.validation, hyper)
    made = Stage("training", [player], batches, check, make=batches.make)
    if hyper.delay_epochs or hyper.begin_with != "both":

        def on_fraction(fraction: float) -> None:
            batches.fraction = fraction

        made.on_fraction, made.by_step_alone = on_fraction, False
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
