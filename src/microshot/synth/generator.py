"""The generator: from a preset and a seed to labelled synthetic images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.dataset import Dataset, Sample
from microshot.progress import each, silent
from microshot.synth import rendering
from microshot.synth.counts import empirical
from microshot.synth.legacy import sample_legacy
from microshot.synth.options import GenerateOptions
from microshot.synth.presets import PRESETS, STACKS, draw_culture, draw_scene_law, find_preset
from microshot.synth.rendering import Fitted
from microshot.synth.scene import Scene, sample_scene
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from microshot.progress import Progress
    from microshot.synth.counts import CountLaw
    from microshot.synth.options import Bits
    from microshot.synth.presets import LookName
    from microshot.synth.reference import ReferenceStatistics

__all__ = [
    "PRESETS",
    "GenerateOptions",
    "GeneratedDataset",
    "generate",
    "generate_one",
    "generate_scene",
    "generated",
    "shortage",
]


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
    options: GenerateOptions | None = None,
    progress: Progress = silent,
) -> GeneratedDataset:
    """Generate `n` labelled synthetic images.

    Image i depends on the options, `seed` and i alone, not on `n`; equal calls give equal
    bytes. The options are those of `GenerateOptions`; `options` takes their place as a whole.

    Parameters
    ----------
    preset : one of `PRESETS`.
    seed : 0 or more.

    Returns
    -------
    Samples ``synthetic_0001``, ... with a (1, Y, X) image, (Y, X) int32 labels 1..count and
    the count. Samples of ``adipocyte-stack`` have a (7, Y, X) image and the stains (3, Y, X)
    uint16 as target, both with channel names; labels are the nuclei. `notes` names the images that
    had no room for all objects.

    Raises
    ------
    ValueError
        If the preset is unknown or a value is out of range.
    Cancelled
        If `progress` raises it.
    """
    if n < 0:
        raise ValueError(f"The number of images must be 0 or more, found {n}.")
    options = options or GenerateOptions(
        size_px, noise, mean_count, diameter_px, count_law, reference, bits=bits
    )
    samples, notes = [], []
    for sample, note in generated(preset, n, seed, options, progress, "Synthetic image"):
        samples.append(sample)
        if note:
            notes.append(f"{sample.name}: {note}.")
    progress(1.0, f"{n} synthetic images")
    return GeneratedDataset(tuple(samples), tuple(notes))


def generated(
    preset: str,
    n: int,
    seed: int,
    options: GenerateOptions,
    progress: Progress = silent,
    what: str = "image",
) -> Iterator[tuple[Sample, str]]:
    """Yield the images of `generate` one by one, each with how many objects had no room, or nothing.

    `what` is what progress calls them.
    """
    check_request(preset, seed, options)
    asked = options.law() is not None
    for index in each(range(n), n, progress, what):
        sample, scene = _make(preset, index, seed, options)
        yield sample, scene.note if asked else ""


def shortage(notes: Sequence[str], n: int) -> list[str]:
    """Say in at most one sentence which of `n` images hold fewer objects than were asked for."""
    if not notes:
        return []
    told = f"{how_many(len(notes), 'image')} of {n} had no room for all objects asked for"
    return [f"{told}, first {notes[0]} Ask for fewer or smaller objects, or for larger images."]


def generate_one(
    preset: str, index: int, seed: int, options: GenerateOptions | None = None
) -> Sample:
    """Return image `index` (from 0) of the set alone, equal to ``generate(...)[index]``."""
    options = options or GenerateOptions()
    check_request(preset, seed, options)
    return _make(preset, index, seed, options)[0]


def generate_scene(
    preset: str, index: int, seed: int, options: GenerateOptions | None = None
) -> Scene:
    """Return the scene behind image `index`: outlines, centres and kinds of its objects."""
    options = options or GenerateOptions()
    check_request(preset, seed, options)
    return _scene(preset, index, seed, options)[0]


def check_request(preset: str, seed: int, options: GenerateOptions) -> None:
    """Refuse an unknown preset, a seed below 0, and references where they cannot be followed."""
    if find_preset(preset).is_stack and options.reference is not None:
        raise ValueError(
            f'Images of the kind "{preset}" cannot follow reference images; leave the reference '
            "away, or choose a kind of one plane."
        )
    if seed < 0:
        raise ValueError(f"The seed must be 0 or more, found {seed}.")


def _make(name: str, index: int, seed: int, options: GenerateOptions) -> tuple[Sample, Scene]:
    """Draw the scene, render it and expose it, each from a random stream of its own."""
    recipe, target = find_preset(name).legacy, None
    streams = _stream(seed, index, 1), _stream(seed, index, 2)
    scene, drawn = _scene(name, index, seed, options)
    if recipe is not None:
        image = rendering.legacy_plane(scene, recipe.varied(options.legacy), options, streams[0])
    elif isinstance(drawn, Fitted):
        image = rendering.fitted_plane(scene, drawn, options, *streams)
    elif drawn in STACKS:
        image, target = rendering.stack(scene, drawn, options, *streams)
    else:
        image = rendering.plane(scene, drawn, options, *streams)
    sample = Sample(
        name=f"synthetic_{index + 1:04d}",
        image=image,
        labels=scene.labels,
        target=target,
        count=float(scene.count),
        domain="synthetic",
    )
    return sample, scene


def _scene(
    name: str, index: int, seed: int, options: GenerateOptions
) -> tuple[Scene, LookName | Fitted]:
    """Draw the objects of one image, and how they are to look."""
    rng, reference, preset = _stream(seed, index, 0), options.reference, find_preset(name)
    diameter, spread, law = options.diameter_px, None, options.law()
    if preset.legacy is not None:
        recipe = preset.legacy.varied(options.legacy)
        scene = sample_legacy(rng, recipe, options.size_px, count=law, diameter_px=diameter)
        return scene, "bright-field"
    if options.styles and reference is not None:
        pick = _stream(seed, index, 3)
        like = reference.each[int(pick.integers(len(reference.each)))]
        style = options.styles[int(pick.integers(len(options.styles)))]
        if options.count_law == "reference" and like.density is not None:
            law = empirical([like.density * options.size_px[0] * options.size_px[1]])
        scene_law = style.scene_law(
            rng, options.size_px, count=law, like=like, diameter_px=diameter
        )
        return sample_scene(rng, scene_law), Fitted(style, like)
    if reference is not None and reference.diameter_px is not None and diameter is None:
        diameter, spread = reference.diameter_px, reference.diameter_spread
    culture, look_name = draw_culture(preset, rng, diameter)
    scene_law = draw_scene_law(
        culture, rng, options.size_px, count=law, diameter_px=diameter, diameter_spread=spread
    )
    return sample_scene(rng, scene_law), look_name


def _stream(seed: int, index: int, part: int) -> np.random.Generator:
    """Random stream of one part of one image: the child (index, part) of the seed."""
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence(seed, spawn_key=(index, part)))
    )
