"""How transmitted light turns a phase shift into intensity: phase contrast and defocus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def phase_contrast(
    phase_rad: np.ndarray, *, halo_px: float, ring_transmission: float, positive: bool
) -> np.ndarray:
    """Intensity behind a Zernike phase-contrast objective, relative to the empty field.

    The wave u = exp(i phase) is split into the light that passes the phase ring, L u (a
    low-pass of u: the ring is not infinitely thin), and the diffracted rest. The ring turns
    its light by a quarter wave and dims it to the amplitude t:
    I = |u - (1 - t exp(-+ i pi/2)) L u|^2 / t^2, which for thin objects is
    (1 -+ (phase - L phase) / t)^2. That L phase reaches beyond the object makes the halo, and
    that it is subtracted inside, the shade-off; see Yin et al. 2012,
    doi:10.1016/j.media.2011.12.006 (linear form). L is a mixture of two Gaussians.

    Parameters
    ----------
    phase_rad : (Y, X) float32.
    halo_px : standard deviation of the narrow part of L, about half the visible halo.
    ring_transmission : amplitude t, 0.2 to 1; smaller is more contrast.
    positive : True for positive phase contrast, where thin objects are dark.

    Returns
    -------
    (Y, X) float32, 1 for an empty field, at least 0.
    """
    turn = 1j if positive else -1j

    def transfer(squared: np.ndarray) -> np.ndarray:
        exponent = -2 * np.pi**2 * halo_px**2 * squared
        wide, narrow = (np.exp(np.maximum(k * exponent, -60)) for k in (6, 1))
        low = 0.65 * narrow + 0.35 * wide
        return 1 - (1 + turn * ring_transmission) * low

    wave = _filtered(phase_rad, 0.0, transfer, pad_px=3 * halo_px)
    return (np.abs(wave) ** 2 / ring_transmission**2).astype(np.float32)


def bright_field(
    phase_rad: np.ndarray, *, absorption: float, defocus_px2: float, blur_px: float
) -> np.ndarray:
    """Intensity of a bright-field image out of focus, relative to the empty field.

    The wave exp((i - absorption) phase) travels on by the Fresnel transfer function
    exp(-i pi defocus f^2) (Goodman, Introduction to Fourier Optics, eq. 4-21) with
    `defocus_px2` = wavelength x distance / pixel^2; its sign decides whether cells have a
    bright or a dark centre. `blur_px` damps fine fringes as a lamp of finite size does.

    Returns
    -------
    (Y, X) float32, 1 for an empty field, at least 0.
    """

    def transfer(squared: np.ndarray) -> np.ndarray:
        return np.exp((-1j * np.pi * defocus_px2 - 2 * np.pi**2 * blur_px**2) * squared)

    wave = _filtered(phase_rad, absorption, transfer, pad_px=2 * abs(defocus_px2) ** 0.5 + 4)
    return (np.abs(wave) ** 2).astype(np.float32)


def _filtered(
    phase_rad: np.ndarray,
    absorption: float,
    transfer: Callable[[np.ndarray], np.ndarray],
    *,
    pad_px: float,
) -> np.ndarray:
    """Filter the wave behind a phase shift (Y, X) in the frequency domain, edges mirrored.

    `transfer` maps squared frequencies in cycles^2 / px^2 to complex factors.
    """
    from scipy import fft

    pad = min(int(np.ceil(pad_px)), 64)
    rows, columns = phase_rad.shape
    size = [fft.next_fast_len(n + 2 * pad) for n in (rows, columns)]
    whole = np.pad(
        phase_rad,
        [(pad, size[0] - rows - pad), (pad, size[1] - columns - pad)],
        mode="symmetric",
    ).astype(np.float32)
    wave = np.empty(whole.shape, dtype=np.complex64)
    wave.real, wave.imag = np.cos(whole), np.sin(whole)
    if absorption:
        wave *= np.exp(-absorption * whole)
    fy, fx = (fft.fftfreq(n).astype(np.float32) for n in size)
    factors = transfer((fy**2)[:, None] + (fx**2)[None, :]).astype(np.complex64)
    filtered = np.asarray(fft.ifft2(np.asarray(fft.fft2(wave)) * factors))
    return filtered[pad : pad + rows, pad : pad + columns]
