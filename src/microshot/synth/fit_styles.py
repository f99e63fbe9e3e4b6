"""Fitting looks to reference images: random search for styles whose images are hard to tell apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from microshot.metrics.sliced_wasserstein import sliced_wasserstein
from microshot.progress import silent, span
from microshot.synth.blobs import activity_of
from microshot.synth.fields import blurred
from microshot.synth.generator import generate
from microshot.synth.presets import find_preset
from microshot.synth.styles import child_of, draw_style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.progress import Progress
    from microshot.synth.options import GenerateOptions
    from microshot.synth.reference import ReferenceStatistics
    from microshot.synth.styles import Style

#: Styles drawn at random, then children of the best in each further round.
N_RANDOM, N_CHILDREN, N_ROUNDS = 64, 28, 3
#: Parents of each round, and styles kept in the end.
N_PARENTS, N_KEPT = 8, 4
#: Images per style while searching, and when the best are judged again.
N_IMAGES, N_JUDGED = 4, 12
#: Part of the progress for the search; the rest is judging again.
_SEARCH = 0.9
FITTING, COMPARING = "Fitting to the reference images", "Comparing with the reference images"
#: Reference images looked at, and the sides of the pieces in pixels.
N_REFERENCES, MIN_SIDE, MAX_SIDE = 24, 96, 224


@dataclass(frozen=True)
class Likeness:
    """Sliced Wasserstein distances between synthetic and reference images."""

    before: float
    """Images of the same kind that know nothing of the references but their grey range."""
    after: float
    """Images as they are made now."""
    floor: float | None
    """Between the two halves of the reference images; None where there is only one."""

    def sentence(self) -> str:
        """Say in words how alike synthetic and reference images are."""
        told = (
            f"Distance between synthetic and reference images (sliced Wasserstein, 0 = alike): "
            f"{self.before:.2f} before following them, {self.after:.2f} after"
        )
        if self.floor is not None:
            told += f"; two halves of the reference images differ by {self.floor:.2f}"
        if self.after >= self.before:
            return f"{told}. Following did not bring them nearer; another kind of images may."
        return f"{told}."


@dataclass(frozen=True)
class _Target:
    """Reference images as the search sees them."""

    pieces: tuple[np.ndarray, ...]
    windows: tuple[np.ndarray, ...]
    side: int
    window: int


def fit_styles(
    preset: str,
    images: Sequence[np.ndarray],
    options: GenerateOptions,
    seed: int,
    progress: Progress = silent,
) -> tuple[Style, ...]:
    """Search for styles of a preset whose images resemble reference images.

    Random search, then an evolution in which about a third of a style's values are drawn anew:
    rejection sampling without a likelihood (Beaumont 2010,
    doi:10.1146/annurev-ecolsys-102209-144621) with the sliced Wasserstein distance, of whole
    pieces and of windows around what stands out, so that the empty background does not decide
    alone. Labels are not needed.

    Parameters
    ----------
    images : (C, Y, X), those `options.reference` was measured from.
    options : with `reference`; a given number or size of objects is kept.
    seed : the same seed gives the same styles.

    Returns
    -------
    The best styles; none where nothing stands out in the images, or where plain following of
    `options.reference` is nearer to them than any style.
    """
    reference = options.reference
    if reference is None:
        raise ValueError("Fitting needs reference images, found none.")
    chosen = find_preset(preset)
    if not chosen.cultures or not any(one.contrast > 0 for one in reference.each):
        return ()
    rng = np.random.default_rng((seed, 17))
    target = _target(images, reference, rng)
    scored: list[tuple[float, Style]] = []
    total = N_RANDOM + N_ROUNDS * N_CHILDREN
    for index in range(total):
        progress(_SEARCH * index / total, FITTING)
        if index < N_RANDOM:
            style = draw_style(rng, chosen, reference)
        else:
            if (index - N_RANDOM) % N_CHILDREN == 0:
                scored.sort(key=lambda pair: pair[0])
            parent = scored[int(rng.integers(N_PARENTS))][1]
            style = child_of(parent, rng, chosen, reference)
        scored.append((_score(preset, (style,), target, options, N_IMAGES, index), style))
    scored.sort(key=lambda pair: pair[0])
    best = [style for _, style in scored[: 2 * N_KEPT]]
    return _kept(preset, best, target, options, span(progress, _SEARCH, 1.0))


def _kept(
    preset: str,
    styles: Sequence[Style],
    target: _Target,
    options: GenerateOptions,
    progress: Progress,
) -> tuple[Style, ...]:
    """Judge the best again by fresh images; none if plain following is nearer."""
    done = iter(np.linspace(0, 1, len(styles) + 3).tolist())

    def score(styles: tuple[Style, ...], n: int, seed: int) -> float:
        progress(next(done), FITTING)
        return _score(preset, styles, target, options, n, seed)

    plain = score((), 2 * N_JUDGED, 7001)
    again = [score((style,), N_JUDGED, 7002) for style in styles]
    best = tuple(styles[i] for i in np.argsort(again)[:N_KEPT])
    together = score(best, 2 * N_JUDGED, 7001)
    alone = score(best[:1], 2 * N_JUDGED, 7001)
    if min(together, alone) >= plain:
        return ()
    return best if together <= 1.05 * alone else best[:1]


def _target(
    images: Sequence[np.ndarray], reference: ReferenceStatistics, rng: np.random.Generator
) -> _Target:
    diameter = reference.diameter_px or 24.0
    side = int(np.clip(5 * diameter, MIN_SIDE, MAX_SIDE))
    window = int(np.clip(2.5 * diameter, 24, side))
    pieces = pieces_of(images, side, reference, rng)
    return _Target(tuple(pieces), tuple(_windows(pieces, window)), side, window)


def pieces_of(
    images: Sequence[np.ndarray],
    side: int,
    reference: ReferenceStatistics,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Random pieces (Y, X) of at most `N_REFERENCES` images, spread evenly, grey range 0 to 1."""
    every = np.linspace(0, len(images) - 1, min(len(images), N_REFERENCES)).round().astype(int)
    pieces = []
    for index in every.tolist():
        grey = images[index].mean(axis=0, dtype=np.float64)
        y, x = (int(rng.integers(max(n - side, 0) + 1)) for n in grey.shape)
        pieces.append(ranged(grey[y : y + side, x : x + side], reference))
    return pieces


def real_pieces(
    images: Sequence[np.ndarray], reference: ReferenceStatistics, seed: int
) -> list[np.ndarray]:
    """Return the pieces (Y, X) of images that `likeness` compares with."""
    return list(_target(images, reference, np.random.default_rng((seed, 29))).pieces)


def ranged(grey: np.ndarray, reference: ReferenceStatistics) -> np.ndarray:
    """Grey values with the reference's range brought to 0 to 1, float32, cut at -0.5 and 1.5."""
    spread = max(reference.high - reference.low, 1e-9)
    return np.clip((grey - reference.low) / spread, -0.5, 1.5).astype(np.float32)


def _windows(pieces: Sequence[np.ndarray], window: int) -> list[np.ndarray]:
    """Two windows per piece around what stands out; in the middle where nothing does.

    Large things are met more often than specks: places are weighted by what stands out nearby.
    """
    found = []
    for piece in pieces:
        activity, threshold = activity_of(piece)
        rng = np.random.default_rng((piece.shape[0], 5))
        active = (activity > threshold) & (threshold > 0)
        weights = blurred(active.astype(np.float32), window / 10).ravel() * active.ravel()
        edges = np.cumsum(weights, dtype=np.float64)
        for _ in range(2):
            index = piece.size // 2 + piece.shape[1] // 2
            if edges[-1] > 0:
                index = min(int(np.searchsorted(edges, rng.random() * edges[-1])), piece.size - 1)
            y, x = (
                int(np.clip(c - window // 2, 0, max(n - window, 0)))
                for c, n in zip(divmod(index, piece.shape[1]), piece.shape, strict=True)
            )
            found.append(piece[y : y + window, x : x + window])
    return found


def _score(
    preset: str,
    styles: tuple[Style, ...],
    target: _Target,
    options: GenerateOptions,
    n: int,
    seed: int,
) -> float:
    """Distance of `n` images of the styles, or of plain following, from the target."""
    assert options.reference is not None
    given = replace(options.resized((target.side, target.side)), styles=styles, noise="medium")
    made = synthetic_pieces(preset, given, n, seed, options.reference)
    shown = _windows(made, target.window)
    return sum(
        sliced_wasserstein(own, other, n_patches=1536, n_directions=48).mean
        for own, other in ((made, target.pieces), (shown, target.windows))
    )


def synthetic_pieces(
    preset: str, options: GenerateOptions, n: int, seed: int, reference: ReferenceStatistics
) -> list[np.ndarray]:
    """Grey synthetic images (Y, X) in the range of the reference, float32."""
    made = generate(preset, n, seed, options=options)
    return [ranged(s.image.pixels.mean(axis=0, dtype=np.float64), reference) for s in made]


def likeness(
    preset: str,
    images: Sequence[np.ndarray],
    options: GenerateOptions,
    seed: int,
    progress: Progress = silent,
) -> Likeness:
    """Measure how near synthetic images are to the reference images, on fresh images of both.

    Before: images of the same preset without any reference, stretched to its grey range. Both are
    pieces of images, with as many objects per area as the images have; a number of objects that
    the user asked for holds for both, one that was counted in the references for those after.
    """
    reference = options.reference
    if reference is None:
        raise ValueError("Likeness needs reference images, found none.")
    target = _target(images, reference, np.random.default_rng((seed, 29)))
    real, size = list(target.pieces), (target.side, target.side)
    progress(0.0, COMPARING)
    after = synthetic_pieces(preset, options.resized(size), 24, seed + 1_000_003, reference)
    progress(0.3, COMPARING)
    law = None if options.count_law == "reference" else options.count_law
    free = replace(options, reference=None, styles=(), count_law=law).resized(size)
    before = _stretched(
        [
            s.image.pixels.mean(axis=0, dtype=np.float64)
            for s in generate(preset, 24, seed + 1_000_003, options=free)
        ]
    )

    def distance(done: float, a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
        progress(done, COMPARING)
        return sliced_wasserstein(a, b, seed=seed).mean

    return Likeness(
        before=distance(0.6, before, real),
        after=distance(0.75, after, real),
        floor=distance(0.9, real[::2], real[1::2]) if len(real) > 1 else None,
    )


def _stretched(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Bring the 0.1th and 99.9th percentile of all images together to 0 and 1."""
    values = np.concatenate([image.ravel() for image in images])
    low, high = np.percentile(values, [0.1, 99.9])
    spread = max(float(high - low), 1e-9)
    return [np.clip((i - low) / spread, -0.5, 1.5).astype(np.float32) for i in images]
