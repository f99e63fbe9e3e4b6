"""What an image costs per epoch in the published training of the Twin-VAE: our data path and the published one.

    python benchmarks/count_speed.py --images 256 --repeats 5

The published path is written anew from its description: no workers, image by image with PIL
(quarter turn, mirror images, crop by area and resize), then tensor and noise. It keeps its images
in memory as the released code does; ``from files`` opens and decodes them in every epoch. Both
paths feed the same network with the same loss; they take turns in one run on one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import Results, one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL import Image as PILImage
    from torch import Tensor

    from microshot.data.dataset import Sample

ABOUT = (
    "Milliseconds of processor time per image and epoch, preset faithful, 128 px, 8-bit grey. "
    "Loading: a batch drawn and changed at random, ready for the network. Full step: also the "
    "network at width 1, forwards and backwards with its decoder, and the optimiser. Ratios within one run."
)
SIDE, BATCH = 128, 128
#: Part of the area that the released code's crop keeps, and the noise it adds.
AREA, NOISE = 0.9, 0.0025


def samples(n: int) -> list[Sample]:
    """Return generated phase-contrast images of the network's size."""
    from microshot.synth.generator import generate

    return list(generate("phase-contrast", n, 0, size_px=(SIDE, SIDE), mean_count=12))


def changed(picture: PILImage.Image, rng: np.random.Generator) -> np.ndarray:
    """Return one picture changed at random as the released code does, (1, Y, X) float32."""
    from PIL import Image as PILImage

    picture = picture.convert("L").rotate(90 * int(rng.integers(2)))
    if rng.random() < 0.5:
        picture = picture.transpose(PILImage.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.5:
        picture = picture.transpose(PILImage.Transpose.FLIP_TOP_BOTTOM)
    side = round(SIDE * AREA**0.5)
    x, y = (int(v) for v in rng.integers(SIDE - side + 1, size=2))
    picture = picture.crop((x, y, x + side, y + side))
    picture = picture.resize((SIDE, SIDE), PILImage.Resampling.BILINEAR)
    return np.asarray(picture, np.float32)[None] / 255


def published(opened: Sequence[Callable[[], PILImage.Image]], seed: int) -> list[Tensor]:
    """Return the batches of one epoch, image by image."""
    import torch

    rng = np.random.default_rng(seed)
    order = rng.permutation(len(opened))
    batches = []
    for begin in range(0, len(order), BATCH):
        made = [torch.from_numpy(changed(opened[i](), rng)) for i in order[begin : begin + BATCH]]
        made = [picture + NOISE * torch.randn(1, SIDE, SIDE) for picture in made]
        batches.append(torch.stack(made))
    return batches


class Measured:
    """Both data paths and the network they feed."""

    def __init__(self, own: Sequence[Sample], folder: Path) -> None:
        import torch
        from PIL import Image as PILImage

        from microshot.settings import TrainSettings
        from microshot.tasks.counting import twin_vae as way
        from microshot.tasks.counting.twin_vae_changes import Noise
        from microshot.tasks.counting.twin_vae_training import Batches, Loss

        settings = TrainSettings(task="count", preset="faithful")
        recipe = way.recipe(own, settings, None)
        self.hyper = way.hyper(own, settings, None)
        views = [way.prepare(s, recipe) for s in own]
        self.draw = Batches(views, self.hyper, 0, learn_uncounted=True)
        self.model: Any = way.build(recipe.architecture, 0)
        self.loss, self.noise = Loss(self.model, self.hyper), Noise(self.hyper.noise)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=self.hyper.learning_rate)
        pictures = [PILImage.fromarray(s.image.pixels[0]) for s in own]
        self.n = len(pictures)
        self.counts = torch.tensor([float(s.count or 0) for s in own[:BATCH]])
        self.in_memory = [lambda p=p: p for p in pictures]
        paths = [folder / f"{i}.png" for i in range(self.n)]
        for picture, path in zip(pictures, paths, strict=True):
            picture.save(path)
        self.in_files = [lambda p=p: PILImage.open(p) for p in paths]

    def ours(self, seed: int) -> list[Tensor]:
        """Return the batches of one epoch of our data path."""
        from microshot.tasks.counting.twin_vae_changes import augmented

        steps = -(-self.n // BATCH)
        first = seed * steps
        return [
            augmented(self.draw(step), "synthetic", self.noise)[0]
            for step in range(first, first + steps)
        ]

    def step(self, image: Tensor) -> None:
        """Train on one batch."""
        out = self.model.branch(image, "synthetic", reconstruct=True)
        terms = self.loss.terms(out, image, self.counts[: len(image)])
        self.adam.zero_grad(set_to_none=True)
        sum(terms.values()).backward()  # type: ignore[union-attr]
        self.adam.step()


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor seconds that `work` took, and what it returned."""
    started = time.process_time()
    made = work()
    return time.process_time() - started, made


def measure(repeat: int, measured: Measured) -> dict[str, Any]:
    """Let the paths take turns once; milliseconds per image."""
    row: dict[str, Any] = {"repeat": repeat, "n_images": measured.n}
    n = measured.n / 1000
    files, _ = seconds(lambda: published(measured.in_files, repeat))
    memory, theirs = seconds(lambda: published(measured.in_memory, repeat))
    ours, own = seconds(lambda: measured.ours(repeat))
    loading = {"published_from_files": files, "published": memory, "ours": ours}
    row |= {f"loading_{k}": round(v / n, 4) for k, v in loading.items()}
    batch = min(BATCH, measured.n) / 1000
    network = [seconds(lambda b=b: measured.step(b))[0] / batch for b in (theirs[0], own[0])]
    row["full_published"] = round(memory / n + network[0], 3)
    row["full_ours"] = round(ours / n + network[1], 3)
    row["loading_ratio"] = round(memory / ours, 2)
    row["loading_ratio_from_files"] = round(files / ours, 2)
    row["full_ratio"] = round(row["full_published"] / row["full_ours"], 3)
    return row


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    one_thread()
    import torch

    torch.set_num_threads(1)
    results = Results("count_speed", ABOUT)
    with tempfile.TemporaryDirectory() as folder:
        measured = Measured(samples(given.images), Path(folder))
        measure(given.repeats, measured)  # memory and libraries are warm from now on
        for repeat in range(given.repeats):
            if not results.has({"repeat": repeat, "n_images": given.images}):
                results.add(measure(repeat, measured))


if __name__ == "__main__":
    main()
