"""Focus stacks of adipocytes with their stains."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microshot.synth import counts
from microshot.synth.adipocytes import PLANES, STAINS, AdipocyteStack, draw_adipocytes
from microshot.synth.fluorescence import Fluorescence
from microshot.synth.generator import GenerateOptions, generate, generate_one
from microshot.synth.reference import fit_reference
from microshot.synth.scene import Scene, SceneLaw, sample_scene

SMALL = GenerateOptions(size_px=(96, 112))
PLAIN = AdipocyteStack(Fluorescence(), dust=0.0, uneven=0.0, absorption=0.0, haze=0.0)


def scene(n: int = 4, size: tuple[int, int] = (96, 112), seed: int = 0) -> Scene:
    law = SceneLaw(size_px=size, count=counts.fixed(n), radius_px=9)
    return sample_scene(np.random.default_rng(seed), law)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_a_stack_has_named_planes_and_stains_and_labels_of_the_nuclei() -> None:
    sample = generate_one("adipocyte-stack", 1, 5, SMALL)
    assert sample.target is not None
    assert sample.image.pixels.shape == (7, 96, 112)
    assert sample.target.pixels.shape == (3, 96, 112)
    assert sample.image.pixels.dtype == sample.target.pixels.dtype == np.uint16
    assert sample.image.channels == PLANES
    assert sample.target.channels == STAINS == ("nuclei", "lipids", "cytoplasm")
    nuclei = sample.target.pixels[0]
    assert sample.labels is not None
    assert sample.count == sample.labels.max() > 0
    assert nuclei[sample.labels > 0].mean() > 1.5 * nuclei[sample.labels == 0].mean()


def test_stains_too_are_the_same_for_the_same_seed_and_number() -> None:
    many = generate("adipocyte-stack", 3, 5, size_px=SMALL.size_px)
    alone = generate_one("adipocyte-stack", 2, 5, SMALL)
    assert alone.target is not None
    assert many[2].target is not None
    assert np.array_equal(many[2].target.pixels, alone.target.pixels)
    assert not np.array_equal(alone.target.pixels[0], many[1].target.pixels[0])  # type: ignore[union-attr]


def test_contrast_is_reversed_on_the_other_side_of_focus_and_least_in_focus() -> None:
    planes, _ = PLAIN.render(scene(), np.random.default_rng(1))
    assert correlation(planes[1] - planes[3], planes[5] - planes[3]) < -0.3
    contrast = [float(plane.std()) for plane in planes]
    assert np.argmin(contrast) == 3


def test_lipids_are_easier_to_see_than_cytoplasm_and_cytoplasm_than_nuclei() -> None:
    means = np.zeros(3)
    for seed in range(4):
        thick = dataclasses.replace(
            PLAIN, lipid_rad=1.0, cytoplasm_rad=0.3, nucleus_rad=0.15, fullness=0.3
        )
        planes, stains = thick.render(scene(seed=seed), np.random.default_rng(seed))
        change = np.abs(planes[-1] - 1)
        for i, stain in enumerate(stains):
            means[i] += correlation(change, stain) / 4
    assert means[1] > means[2] > means[0]


def test_lipids_lie_in_the_cytoplasm_beside_nuclei() -> None:
    one = scene()
    _, stains = PLAIN.render(one, np.random.default_rng(0))
    lipids = stains[1] > 0.3
    assert lipids.any()
    inside = np.count_nonzero(lipids & (one.labels > 0))
    assert inside < 0.05 * np.count_nonzero(lipids)


def test_defective_droplets_are_dark_inside() -> None:
    whole, holed = (
        dataclasses.replace(PLAIN, defects=part).render(scene(), np.random.default_rng(2))
        for part in (0.0, 1.0)
    )
    np.testing.assert_allclose(whole[0], holed[0])  # the stain is missing, not the droplet
    assert holed[1][1].sum() < 0.9 * whole[1][1].sum()


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (64, 80)])
@pytest.mark.parametrize("n", [0, 5])
def test_planes_and_stains_are_finite_for_all_sizes(size, n) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        planes, stains = draw_adipocytes(rng).render(scene(n, size), rng)
        for light, number in ((planes, 7), (stains, 3)):
            assert light.shape == (number, *size)
            assert light.dtype == np.float32
            assert np.isfinite(light).all()
            assert light.min() >= 0


def test_stacks_cannot_follow_reference_images() -> None:
    reference = fit_reference([np.zeros((1, 9, 9), np.uint8)])
    with pytest.raises(ValueError, match=r"adipocyte-stack.*cannot follow reference images"):
        generate("adipocyte-stack", 1, 0, reference=reference)
