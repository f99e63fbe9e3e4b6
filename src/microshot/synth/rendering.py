"""From a scene to stored pixels: the look, then the camera or what reference images ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.image import Image
from microshot.synth.adipocytes import PLANES, STAINS
from microshot.synth.camera import camera, like_reference, varied
from microshot.synth.fields import blurred, log_uniform
from microshot.synth.legacy_look import chamber, render_legacy
from microshot.synth.presets import LOOKS, STACKS

if TYPE_CHECKING:
    from microshot.synth.legacy import LegacyRecipe
    from microshot.synth.looks import Look
    from microshot.synth.options import GenerateOptions
    from microshot.synth.presets import LookName
    from microshot.synth.reference import ImageStatistics, ReferenceStatistics
    from microshot.synth.scene import Scene
    from microshot.synth.styles import Style

#: How often each noise level is drawn for ``noise="mixed"``.
_MIXED_NOISE = {"low": 0.5, "medium": 0.35, "high": 0.15}
#: Noise relative to the reference images; photons differ by a factor of 5 per level.
_NOISE_FACTOR = {"low": 5**-0.5, "medium": 1.0, "high": 5**0.5}


@dataclass(frozen=True)
class Fitted:
    """What one image follows: a style, and one of the reference images."""

    style: Style
    like: ImageStatistics


def plane(
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


def fitted_plane(
    scene: Scene,
    fitted: Fitted,
    options: GenerateOptions,
    drawing: np.random.Generator,
    exposing: np.random.Generator,
) -> Image:
    """Return an image of one plane that follows a style and one reference image."""
    assert options.reference is not None
    image = fitted.style.look.render(scene, drawing)
    factor = 1.0 if options.noise == "mixed" else _NOISE_FACTOR[options.noise]
    pixels = _follow(options.reference, image, scene, fitted.style.look, exposing, factor, fitted)
    return Image(pixels[None])


def legacy_plane(
    scene: Scene, recipe: LegacyRecipe, options: GenerateOptions, rng: np.random.Generator
) -> Image:
    """Return one of the published counting images, without noise, over the reference's background.

    With a reference greys are those of its camera, 8 bits stretched to more (see `_white`).
    """
    reference, bits = options.reference, options.bits or 8
    dtype, top = np.dtype(np.uint8 if bits == 8 else np.uint16), 2.0**bits - 1
    if reference is None:
        field = chamber(scene.shape, bright_field=recipe.bright_field)
    else:
        dtype, top = reference.dtype, _white(reference)
        field = _empty_field(reference, scene.shape, rng) * (255 / top)
    grey = render_legacy(scene, recipe, np.clip(field, 0, 255), rng) * (top / 255)
    pixels = grey if dtype.kind == "f" else np.clip(np.rint(grey), 0, top)
    return Image(pixels.astype(dtype)[None])


def _white(reference: ReferenceStatistics) -> float:
    """Return the grey value of a reference that is white: the largest that its camera knows.

    Cameras of 10, 12 and 14 bits store in 16, so it is that of the fewest of 8, 10, 12, ... bits
    that hold the bright pixels; 1 for floats up to 1.
    """
    if reference.dtype.kind == "f" and reference.high <= 1:
        return 1.0
    pairs_of_bits = int(np.ceil(np.log2(max(reference.high, 0) + 1) / 2))
    return 4.0 ** max(pairs_of_bits, 4) - 1


def stack(
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


def _follow(
    reference: ReferenceStatistics,
    image: np.ndarray,
    scene: Scene,
    look: Look,
    rng: np.random.Generator,
    noise_factor: float,
    fitted: Fitted | None = None,
) -> np.ndarray:
    """Bring a rendered image to the background, contrast, noise and type of a reference.

    The contrast of the objects (root mean square difference from the background) is that of
    the reference, or as the style that was fitted says, times a factor of 0.8 to 1.25, so that
    images differ. A transmitted-light look is amplified 2.5 times at most.
    """
    blur = float(rng.uniform(0.4, 1.2)) if fitted is None else fitted.style.blur_px
    away = blurred(image, blur) - np.float32(look.transmitted)
    own = away[scene.labels > 0]
    rms = float(np.sqrt(np.mean(own**2))) if own.size else 0.0
    level, wanted = reference.background_level, reference.contrast
    field = _empty_field(reference, scene.shape, rng)
    if fitted is not None:
        wanted = fitted.style.gain * (fitted.like.contrast or wanted)
        field = _relit(field, level, fitted.like.level, look)
        level = fitted.like.level
    wanted = wanted or max(4 * reference.noise_sd, 0.1 * level, 1)
    strength = wanted / max(rms, 0.05) if own.size else wanted / 0.3
    if look.transmitted:  # a faint look must not become a mottled background
        strength = min(strength, 2.5 * max(level, 1))
    strength *= float(np.exp(rng.uniform(-0.22, 0.22)))
    return like_reference(
        field + np.float32(strength) * away,
        rng,
        noise_sd=reference.noise_sd * noise_factor,
        level=level,
        dtype=reference.dtype,
    )


def _relit(field: np.ndarray, level: float, wanted: float, look: Look) -> np.ndarray:
    """Bring a background to another level: another lamp, or another offset in the dark."""
    if look.transmitted and level > 0:
        return field * np.float32(wanted / level)
    return field + np.float32(wanted - level)


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
