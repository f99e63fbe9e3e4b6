"""Training tells where stains do not lie on their planes, and lays them there where it is wished."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microshot.data.registration import Offset
from microshot.synth.generator import GenerateOptions, generate_one
from microshot.tasks.translating import alignment
from microshot.tasks.translating.alignment import aligned


def sample_of(i: int, shift: tuple[int, int] = (0, 0)):
    made = generate_one("adipocyte-stack", i, 9, GenerateOptions(size_px=(192, 192)))
    assert made.target is not None
    pixels = np.roll(made.target.pixels, shift, axis=(1, 2))
    target = dataclasses.replace(made.target, pixels=pixels)
    return dataclasses.replace(made, name=f"row {i}", target=target, domain="natural")


@pytest.fixture(scope="module")
def shifted():
    return [sample_of(0), sample_of(1, (8, -6))]


def test_a_stain_10_px_off_is_told_with_row_and_numbers_and_left_as_it_is(shifted) -> None:
    same, notes = aligned(shifted, "check")
    assert same is shifted
    (note,) = (n for n in notes if '"lipids"' in n)
    assert note.startswith('row 1: the stain "lipids" lies ')
    number = float(note.split(" lies ")[1].split(" px")[0])
    assert number == pytest.approx(10, abs=0.3)
    assert "down" in note
    assert "left" in note
    assert not any("row 0" in n for n in notes)


def test_shifts_are_corrected_image_by_image(shifted) -> None:
    made, (note,) = aligned(shifted, "shift")
    assert note.startswith("Stains were moved onto their planes in ")
    truth = sample_of(1).target.pixels[1]
    own = made[1].target.pixels[1]
    y, x = own.shape
    assert (y, x) == (184, 186) or max(abs(y - 184), abs(x - 186)) <= 1
    off = 192 - x
    assert np.corrcoef(truth[:y, off:].ravel(), own.ravel())[0, 1] > 0.97


def test_nothing_is_measured_where_it_is_not_wished_or_images_were_generated(shifted) -> None:
    assert aligned(shifted, "off") == (shifted, [])
    made = [dataclasses.replace(s, domain="synthetic") for s in shifted]
    assert aligned(made, "check") == (made, [])


def test_the_middle_of_a_large_image_is_measured(shifted, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(alignment, "SHIFT_SIDE_PX", 128)
    monkeypatch.setattr(alignment.registration, "features_of", seen.append)
    monkeypatch.setattr(alignment.registration, "offset_of", lambda *_: None)
    assert aligned(shifted[:1], "check") == (shifted[:1], [])
    assert np.array_equal(seen[0], shifted[0].image.pixels[:, 32:160, 32:160])


def measuring(monkeypatch, shift: tuple[float, float], evidence: float = 99.0) -> None:
    """Let every stain be measured to lie so far off."""
    found = Offset(shift, evidence, np.zeros((9, 2)), np.tile(shift, (9, 1)))
    monkeypatch.setattr(alignment.registration, "offset_of", lambda *_: found)


@pytest.mark.parametrize(("down", "moved"), [(0.24, False), (0.26, True)])
def test_nothing_is_interpolated_for_less_than_a_quarter_of_a_pixel(
    down, moved, shifted, monkeypatch
) -> None:
    measuring(monkeypatch, (down, 0.0))
    made, (note,) = aligned(shifted[:1], "shift")
    assert (made[0] is not shifted[0]) == moved
    assert ("nothing was corrected" in note) != moved


def test_the_corner_that_moves_most_decides(shifted, monkeypatch) -> None:
    """A stretch of 0.1 % moves the edges of 192 px by 0.096 px: with the shift by 0.104 and 0.296."""
    measuring(monkeypatch, (0.2, 0.0))
    stretch = np.array([[0.001, 0.0], [0.0, 0.0]])
    monkeypatch.setattr(alignment.registration, "common_stretch", lambda _: stretch)
    assert "moved onto their planes in 1 of 1 image" in aligned(shifted[:1], "affine")[1][0]
    assert "nothing was corrected" in aligned(shifted[:1], "shift")[1][0]


def test_what_may_be_chance_moves_no_stain(shifted, monkeypatch) -> None:
    measuring(monkeypatch, (9.0, 0.0), evidence=1.0)
    made, (note,) = aligned(shifted, "shift")
    assert made is shifted
    assert "could not be measured on any image" in note
    assert aligned(shifted, "check") == (shifted, [])


def test_stretch_and_turn_in_words() -> None:
    turned = np.array([[0.01, -0.02], [0.04, 0.03]])  # (0.04 + 0.02) / 2 rad is 1.72°
    assert alignment._percent(turned) == "1.00 % along y, 3.00 % along x, turn 1.72°"


def test_many_images_are_told_together() -> None:
    many = [sample_of(i, (8 if i else 20, -6)) for i in range(5)]
    _, notes = aligned(many, "check")
    (note,) = (n for n in notes if '"lipids"' in n)
    assert "in the median of 5 of 5 images" in note
    assert float(note.split(" lies ")[1].split(" px")[0]) == pytest.approx(10, abs=0.3)


@pytest.mark.parametrize(("down", "told"), [(2, False), (4, True)])
def test_shifts_from_three_px_on_are_told(down, told) -> None:
    _, notes = aligned([sample_of(0, (down, 0))], "check")
    assert any('"lipids"' in n for n in notes) == told


def test_an_image_that_tells_nothing_goes_with_the_median_of_the_others(shifted) -> None:
    flat = np.full_like(shifted[0].image.pixels, 9)
    blank = dataclasses.replace(
        shifted[0], image=dataclasses.replace(shifted[0].image, pixels=flat)
    )
    made, (note,) = aligned([*shifted, blank], "shift")
    assert note.startswith("Stains were moved onto their planes in 2 of 3 images: ")
    assert "stretch" not in note
    assert note.endswith("1 of them by the median of the others; edges without stain were cut off.")
    heights = [s.image.shape[0] for s in made]
    assert heights == pytest.approx([192, 184, 188], abs=1)
    nothing, (note,) = aligned(shifted[:1], "shift")
    assert note == "Planes and stains lie on each other; nothing was corrected."
    assert nothing[0] is shifted[0]
    same, (note,) = aligned([blank], "shift")
    assert note.startswith("Whether the stains lie on their planes could not be measured")
    assert same[0] is blank
