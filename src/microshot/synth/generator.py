"""The generator: from a preset and a seed to labelled synthetic images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.progress import each, silent
from microshot.synth.adipocytes import PLANES, STAINS
from microshot.synth.camera import NOISE_LEVELS, camera, like_reference, varied
from microshot.synth.counts import LAW_NAMES, MAX_MEAN, CountLaw, empirical, named
from microshot.synth.fields import blurred, log_uniform
from microshot.synth.presets import (
    LOOKS,
    PRESETS,
    STACKS,
    draw_culture,
    draw_scene_law,
    find_preset,
)
from microshot.synth.scene import Scene, sample_scene

if TYPE_CHECKING:
    from microshot.progress import Progress
    from microshot.synth.looks import Look
    from microshot.synth.presets import LookName
    from microshot.synth.reference import ReferenceStatistics

__all__ = [
    "PRESETS",
    "GenerateOptions",
    "GeneratedDataset",
    "generate",
    "generate_one",
    "generate_scene",
]

Bits = Literal[8, 12, 16]
#: How often each noise level is drawn for ``noise="mixed"``.
_MIXED_NOISE = {"low": 0.5, "medium": 0.35, "high": 0.15}
#: Noise relative to the reference images; photons differ by a factor of 5 per level.
_NOISE_FACTOR = {"low": 5**-0.5, "medium": 1.0, "high": 5**0.5}


@dataclass(frozen=True, eq=False)
class GenerateOptions:
    """What all images of a set have in common, beside preset and seed."""

    size_px: tuple[int, int] = (256, 256)
    """Height and width."""
    noise: str = "medium"
    """``"low"``, ``"medium"``, ``"high"`` or, drawn per image, ``"mixed"``. With a reference,
    ``"medium"`` is the noise of the reference images."""
    mean_count: float | None = None
    """Mean number of objects per image; None = as the preset's cover and size give it."""
    diameter_px: float | None = None
    """Typical diameter (disc of equal area); None = the reference's, else the preset's range."""
    count_law: str | CountLaw | None = None
    """A law, one of `LAW_NAMES` around `mean_count`, or ``"reference"`` for the histogram of the
    reference images' counts; None = ``"poisson"`` if `mean_count` is given."""
    reference: ReferenceStatistics | None = None
    """Images to follow in size, background, contrast, noise and pixel type."""
    bits: Bits | None = None
    """8 (uint8), 12 or 16 (uint16); None = the reference's type, else 8, for stacks 16."""

    def __post_init__(self) -> None:
        """Refuse values outside their ranges and combinations that contradict each other."""
        if min(self.size_px) < 1:
            raise ValueError(
                f"The image size must be at least 1 x 1 px, found {self.size_px[0]} x {self.size_px[1]} px."
            )
        if self.noise not in (*NOISE_LEVELS, "mixed"):
            raise ValueError(
                f'Unknown noise level "{self.noise}": choose one of {", ".join(NOISE_LEVELS)}, mixed.'
            )
        if self.diameter_px is not None and not self.diameter_px > 0:
            raise ValueError(f"The diameter must be above 0 px, found {self.diameter_px}.")
        if self.bits is not None and self.reference is not None:
            raise ValueError(
                f"Images that follow a reference have its pixel type; leave bits unset, found {self.bits}."
            )
        if self.bits not in (None, 8, 12, 16):
            raise ValueError(f"The bit depth must be 8, 12 or 16, found {self.bits}.")
        self.law()

    def law(self) -> CountLaw | None:
        """Return the law of the number of objects; None = that of the preset's cover.

        Raises
        ------
        ValueError
            If the law is unknown or lacks what it needs.
        """
        if isinstance(self.count_law, CountLaw):
            return self.count_law
        if self.count_law == "reference":
            if self.reference is None or not self.reference.counts:
                raise ValueError(
                    'The count law "reference" needs reference images with labels or counts, found none.'
                )
            return empirical(self.reference.counts)
        if self.mean_count is not None:
            return named(self.count_law or "poisson", self.mean_count)
        if self.count_law in (None, "linear"):
            return None if self.count_law is None else named("linear", 71 / 6)
        if self.count_law in LAW_NAMES:
            raise ValueError(
                f'The count law "{self.count_law}" needs a mean number of objects between 0 and '
                f"{MAX_MEAN:.0f}, found none."
            )
        raise ValueError(
            f'Unknown count law "{self.count_law}": choose one of {", ".join(LAW_NAMES)}, reference.'
        )


@dataclass(frozen=True)
class GeneratedDataset(Dataset):
    """Synthetic samples and what the user should know about them."""

    notes: tuple[str, ...] = ()
    """One sentence per image that holds fewer objects than the user's count law asked for."""


def generate(
    preset: str,
    n: int,
    seed: int,
    *,
    size_px: tuple[int, int] = (256, 256),
    noise: str = "medium",
    mean_count: float | None = None,
    diameter_px: float | None = None,
    count_law: str | CountLaw | None = None,
    reference: ReferenceStatistics | None = None,
    bits: Bits | None = None,
    progress: Progress = silent,
) -> GeneratedDataset:
    """Generate `n` labelled synthetic images.

    Image i depends on the options, `seed` and i alone, not on `n`; equal calls give equal
    bytes. The options are those of `GenerateOptions`.

    Parameters
    ----------
    preset : one of `PRESETS`.
    seed : 0 or more.

    Returns
    -------
    Samples ``synthetic_0001``, ... with a (1, Y, X) image, (Y, X) int32 labels 1..count and
    the count. Samples of ``adipocyte-stack`` have a (7, Y, X) image and the stains (3, Y, X)
    uint16 as target, both with channel names; labels are the nuclei. `notes` names the images that had no room for all objects.

    Raises
    ------
    ValueError
        If the preset is unknown or a value is out of range.
    Cancelled
        If `progress` raises it.
    """
    if n < 0:
        raise ValueError(f"The number of images must be 0 or more, found {n}.")
    options = GenerateOptions(size_px, noise, mean_count, diameter_px, count_law, reference, bits)
    _check(preset, seed, options)
    asked = options.law() is not None
    samples, notes = [], []
    for index in each(range(n), n, progress, "Synthetic image"):
        sample, scene = _make(preset, index, seed, options)
        samples.append(sample)
        if scene.note and asked:
            notes.append(f"{sample.name}: {scene.note}.")
    progress(1.0, f"{n} synthetic images")
    return GeneratedDataset(tuple(samples), tuple(notes))


def generate_one(
    preset: str, index: int, seed: int, options: GenerateOptions | None = None
) -> Sample:
    """Return image `index` (from 0) of the set alone, equal to ``generate(...)[index]``."""
    options = options or GenerateOptions()
    _check(preset, seed, options)
    return _make(preset, index, seed, options)[0]


def generate_scene(
    preset: str, index: int, seed: int, options: GenerateOptions | None = None
) -> Scene:
    """Return the scene behind image `index`: outlines, centres and kinds of its objects."""
    options = options or GenerateOptions()
    _check(preset, seed, options)
    return _scene(preset, index, seed, options)[0]


def _check(preset: str, seed: int, options: GenerateOptions) -> None:
    if find_preset(preset).is_stack and options.reference is not None:
        raise ValueError(
            f'Images of the kind "{preset}" cannot follow reference images; leave the reference '
            "away, or choose a kind of one plane."
        )
    if seed < 0:
        raise ValueError(f"The seed must be 0 or more, found {seed}.")


def _make(name: str, index: int, seed: int, options: GenerateOptions) -> tuple[Sample, Scene]:
    """Draw the scene, render it and expose it, each from a random stream of its own."""
    scene, look_name = _scene(name, index, seed, options)
    streams = _stream(seed, index, 1), _stream(seed, index, 2)
    if look_name in STACKS:
        image, target = _stack(scene, look_name, options, *streams)
    else:
        image, target = _plane(scene, look_name, options, *streams), None
    sample = Sample(
        name=f"synthetic_{index + 1:04d}",
        image=image,
        labels=scene.labels,
        target=target,
        count=float(scene.count),
        domain="synthetic",
    )
    return sample, scene


def _plane(
    scene: Scene,
    look_name: LookName,
    options: GenerateOptions,
    drawing: np.random.Generator,
    exposing: np.random.Generator,
) -> Image:
    """Return an image of one plane."""
    reference = options.reference
    look = LOOKS[look_name](drawing, None if reference is None else reference.brighter)
    image = look.render(scene, drawing)
    noise = _noise(options, exposing)
    if reference is None:
        device = camera(noise, transmitted=look.transmitted, bits=options.bits or 8)
        pixels = varied(device, exposing, transmitted=look.transmitted).expose(image, exposing)
    else:
        pixels = _follow(reference, image, scene, look, exposing, _NOISE_FACTOR[noise])
    return Image(pixels[None])


def _stack(
    scene: Scene,
    look_name: LookName,
    options: GenerateOptions,
    drawing: np.random.Generator,
    exposing: np.random.Generator,
) -> tuple[Image, Image]:
    """Return planes, exposed alike under the same light, and stains, each with its own exposure."""
    planes, stains = STACKS[look_name](drawing).render(scene, drawing)
    noise, bits = _noise(options, exposing), options.bits or 16
    lamp = varied(camera(noise, transmitted=True, bits=bits), exposing, transmitted=True)
    light = lamp.illumination(scene.shape, exposing)
    image = np.stack([lamp.expose(plane, exposing, light) for plane in planes])
    target = []
    for stain in stains:
        device = camera(noise, transmitted=False, bits=12 if bits == 12 else 16)
        device = varied(device, exposing, transmitted=False)
        white, black = log_uniform(exposing, 3.0, 7.0), float(exposing.uniform(0.02, 0.06))
        target.append(replace(device, white=white, black=black).expose(stain, exposing))
    return Image(image, channels=PLANES), Image(np.stack(target), channels=STAINS)


def _noise(options: GenerateOptions, rng: np.random.Generator) -> str:
    """Return the noise level of one image."""
    if options.noise != "mixed":
        return options.noise
    return str(rng.choice(list(_MIXED_NOISE), p=list(_MIXED_NOISE.values())))


def _scene(name: str, index: int, seed: int, options: GenerateOptions) -> tuple[Scene, LookName]:
    rng = _stream(seed, index, 0)
    reference = options.reference
    diameter, spread = options.diameter_px, None
    if reference is not None and reference.diameter_px is not None and diameter is None:
        diameter, spread = reference.diameter_px, reference.diameter_spread
    culture, look_name = draw_culture(find_preset(name), rng, diameter)
    law = draw_scene_law(
        culture,
        rng,
        options.size_px,
        count=options.law(),
        diameter_px=diameter,
        diameter_spread=spread,
    )
    return sample_scene(rng, law), look_name


def _stream(seed: int, index: int, part: int) -> np.random.Generator:
    """Random stream of one part of one image: the child (index, part) of the seed."""
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence(seed, spawn_key=(index, part)))
    )


def _follow(
    reference: ReferenceStatistics,
    image: np.ndarray,
    scene: Scene,
    look: Look,
    rng: np.random.Generator,
    noise_factor: float,
) -> np.ndarray:
    """Bring a rendered image to the background, contrast, noise and type of a reference.

    The contrast of the objects (root mean square difference from the background) is that of
    the reference times a factor of 0.8 to 1.25, so that images differ. A transmitted-light look is
    amplified 2.5 times at most.
    """
    away = blurred(image, float(rng.uniform(0.4, 1.2))) - np.float32(look.transmitted)
    own = away[scene.labels > 0]
    rms = float(np.sqrt(np.mean(own**2))) if own.size else 0.0
    level = reference.background_level
    wanted = reference.contrast or max(4 * reference.noise_sd, 0.1 * level, 1)
    strength = wanted / max(rms, 0.05) if own.size else wanted / 0.3
    if look.transmitted:  # a faint look must not become a mottled background
        strength = min(strength, 2.5 * max(level, 1))
    strength *= float(np.exp(rng.uniform(-0.22, 0.22)))
    grey = _empty_field(reference, scene.shape, rng) + np.float32(strength) * away
    return like_reference(
        grey,
        rng,
        noise_sd=reference.noise_sd * noise_factor,
        level=level,
        dtype=reference.dtype,
    )


def _empty_field(
    reference: ReferenceStatistics, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Background (Y, X) float32: the reference's, cut at random or mirrored on to the size."""
    if reference.background is None:
        return np.full(shape, reference.background_level, dtype=np.float32)
    field = reference.background
    missing = [max(n - k, 0) for n, k in zip(shape, field.shape, strict=True)]
    field = np.pad(field, [(0, missing[0]), (0, missing[1])], mode="symmetric")
    y, x = (int(rng.integers(k - n + 1)) for n, k in zip(shape, field.shape, strict=True))
    return field[y : y + shape[0], x : x + shape[1]].astype(np.float32)
