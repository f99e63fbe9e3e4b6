"""The camera: blur, uneven illumination, photon and read noise, and the grey values stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from microshot.synth import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

Noise = Literal["low", "medium", "high"]
#: Noise levels that can be asked for by name.
NOISE_LEVELS: tuple[Noise, ...] = get_args(Noise)
#: Exposure of each noise level: 500, 100 and 20 ms, as in the HL60 data simulated with
#: CytoPacq (Wiesner et al. 2019, doi:10.1093/bioinformatics/btz417) for transfer studies.
EXPOSURE_MS: Mapping[str, float] = {"low": 500.0, "medium": 100.0, "high": 20.0}
#: Electrons per millisecond of a typical nucleus: 500 ms fill 15 % of the full well.
FLUORESCENCE_E_PER_MS = 5.4
#: Electrons per millisecond of the empty field in transmitted light: 500 ms fill a third.
TRANSMITTED_E_PER_MS = 12.0


@dataclass(frozen=True)
class Camera:
    """A sensor and how its numbers are stored.

    Full well, read noise, gain and baseline are those of the simulations that
    `EXPOSURE_MS` names (read noise 19, baseline 140, 12 bit, gain 6, full well 18 000).
    """

    exposure_ms: float = 100.0
    electrons_per_ms: float = TRANSMITTED_E_PER_MS
    """Electrons per millisecond where the image is 1."""
    read_noise_e: float = 19.0
    """Standard deviation in electrons."""
    full_well_e: float = 18_000.0
    """A pixel holds no more electrons."""
    gain_e_per_adu: float = 6.0
    """Electrons per step of the analogue-digital converter."""
    baseline_adu: float = 140.0
    """Added to every pixel."""
    adc_bits: int = 12
    bits: Literal[8, 12, 16] = 8
    """8 (uint8) and 16 (uint16): grey values stretched from `black` to `white`.
    12 (uint16): the converter's own numbers."""
    white: float = 2.5
    """Image value that becomes the largest grey value."""
    black: float = 0.02
    """Grey value of no light, as a fraction of the largest."""
    psf_sigma_px: float = 0.7
    """Gaussian blur of the optics."""
    vignetting: float = 0.0
    """Loss of light in the corners, 0 to 1."""
    uneven: float = 0.0
    """Amplitude of a smooth random change of the illumination, 0 to 1."""
    hot_pixels: float = 0.0
    """Fraction of pixels that are bright by themselves."""

    def expose(
        self, image: np.ndarray, rng: np.random.Generator, light: np.ndarray | None = None
    ) -> np.ndarray:
        """Record a (Y, X) float image; uint8 or uint16 as `bits` says.

        `light` (Y, X) is the illumination where it is that of other exposures, else it is drawn.
        """
        shape = (image.shape[0], image.shape[1])
        signal = fields.blurred(image.astype(np.float32), self.psf_sigma_px)
        light = self.illumination(shape, rng) if light is None else light
        signal = np.maximum(signal * light, 0)
        unit = self.electrons_per_ms * self.exposure_ms
        electrons = rng.poisson(signal * unit).astype(np.float32)
        if self.hot_pixels > 0:
            hot = rng.random(shape) < self.hot_pixels
            electrons[hot] += rng.uniform(0.1, 0.8) * self.white * unit
        electrons = np.minimum(electrons, self.full_well_e)
        electrons += np.float32(self.read_noise_e) * rng.standard_normal(shape, dtype=np.float32)
        adu = np.rint(electrons / self.gain_e_per_adu + self.baseline_adu)
        adu = np.clip(adu, 0, 2**self.adc_bits - 1)
        if self.bits == 12:
            return adu.astype(np.uint16)
        top = 2**self.bits - 1
        relative = (adu - self.baseline_adu) * self.gain_e_per_adu / (unit * self.white)
        grey = (self.black + (1 - self.black) * relative) * top
        return np.clip(np.rint(grey), 0, top).astype(np.uint8 if self.bits == 8 else np.uint16)

    def illumination(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Relative light (Y, X) float32: vignetting 1 - v r^2 (r = 1 in the corners) and a field."""
        y, x = (
            np.linspace(-1, 1, n, dtype=np.float32) if n > 1 else np.zeros(1, np.float32)
            for n in shape
        )
        light = 1 - np.float32(self.vignetting) * (y[:, None] ** 2 + x[None, :] ** 2) / 2
        if self.uneven:
            light = light * (1 + np.float32(self.uneven) * fields.uneven(rng, shape, 2))
        return light


def camera(noise: str, *, transmitted: bool, bits: Literal[8, 12, 16] = 8) -> Camera:
    """Return the camera of a noise level: ``"low"``, ``"medium"`` or ``"high"``.

    Raises
    ------
    ValueError
        If the level is unknown.
    """
    exposure = EXPOSURE_MS.get(noise)
    if exposure is None:
        raise ValueError(f'Unknown noise level "{noise}": choose one of {", ".join(NOISE_LEVELS)}.')
    rate = TRANSMITTED_E_PER_MS if transmitted else FLUORESCENCE_E_PER_MS
    return Camera(exposure_ms=exposure, electrons_per_ms=rate, bits=bits)


def varied(device: Camera, rng: np.random.Generator, *, transmitted: bool) -> Camera:
    """Vary a camera from image to image: exposure by up to 1.4 either way, optics, grey scale."""
    return replace(
        device,
        exposure_ms=device.exposure_ms * float(np.exp(rng.uniform(-0.34, 0.34))),
        white=float(rng.uniform(1.6, 3.6)) if transmitted else fields.log_uniform(rng, 1.2, 7.0),
        black=float(rng.uniform(0.0, 0.05)),
        psf_sigma_px=fields.log_uniform(rng, 0.4, 1.3 if transmitted else 2.0),
        vignetting=float(rng.uniform(0, 0.2)) * float(rng.random() < 0.5),
        uneven=float(rng.uniform(0, 0.1 if transmitted else 0.25)) * float(rng.random() < 0.5),
        hot_pixels=float(rng.uniform(0, 2e-4)) * float(rng.random() < 0.2),
    )


def like_reference(
    image: np.ndarray, rng: np.random.Generator, *, noise_sd: float, level: float, dtype: np.dtype
) -> np.ndarray:
    """Add noise to a (Y, X) image in grey values and store it as another camera would.

    The standard deviation is `noise_sd` where the image is at `level` and grows with the
    square root of the light above black, never below a third of `noise_sd`.
    """
    light = np.clip(image / level, 1 / 9, 9) if level > 0 else np.ones_like(image)
    white = rng.standard_normal(image.shape, dtype=np.float32)
    grey = image + np.float32(noise_sd) * np.sqrt(light) * white
    if dtype.kind == "f":
        return grey.astype(dtype)
    return np.clip(np.rint(grey), 0, np.iinfo(dtype).max).astype(dtype)
