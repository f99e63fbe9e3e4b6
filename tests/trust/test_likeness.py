"""Which images are called unlike the training images, and what they are called."""

import json

import numpy as np
import pytest

from microshot.metrics.texture import (
    CONTRAST,
    ENERGY,
    N_NUMBERS,
    TAILS,
    TYPICAL_SCATTER,
    inverted,
    signature,
)
from microshot.trust.likeness import (
    BLURRED,
    LARGER,
    LEAST_CONTRAST,
    Likeness,
    Range,
)


def kind(seed: int, n: int, shift: float = 0.0) -> list[np.ndarray]:
    """Return signatures of `n` images of one kind; another shift is another kind."""
    rng = np.random.default_rng(seed)
    middle = np.random.default_rng(1000).normal(0, 1, N_NUMBERS) + shift
    middle[CONTRAST] = 0.8
    return list(middle + TYPICAL_SCATTER * rng.normal(size=(n, N_NUMBERS)))


def learned(n: int, **options) -> Likeness:
    made = Likeness.of(kind(0, n), **options)
    assert made is not None
    return made


@pytest.mark.parametrize("n", [4, 12, 48])
def test_few_images_of_the_same_kind_are_flagged_and_all_of_another(n):
    known = learned(n)
    same = [known.judge(s).score for s in kind(1, 200)]
    other = [known.judge(s) for s in kind(2, 50, shift=4.0)]
    assert np.mean(np.array(same) > 1) < 0.05
    assert all(v.score > 1 and v.warning == "other kind of image" for v in other)
    for one in kind(1, 200):
        verdict = known.judge(one)
        assert (verdict.warning == "") == (verdict.score <= 1)


def test_a_changed_training_image_is_named():
    blurred = [s + np.r_[0, -6, -2, np.zeros(13)] for s in kind(0, 8)]
    larger = [s + np.r_[0, -3, 0, 3, 3, 3, np.zeros(10)] for s in kind(0, 8)]
    known = learned(20, variants={BLURRED: blurred, LARGER: larger})
    flat = kind(1, 1)[0]
    assert known.judge(inverted(flat)).warning == "inverted contrast"
    assert known.judge(flat + np.r_[0, -6, -2, np.zeros(13)]).warning == "out of focus"
    big = known.judge(flat + np.r_[0, -3, 0, 3, 3, 3, np.zeros(10)])
    assert big.warning == "structures about twice as large"


def varied(contrasts: list[float]) -> Likeness:
    """Return what is kept of images that differ in everything, with these contrasts."""
    rng = np.random.default_rng(4)
    looks = [2 * TYPICAL_SCATTER * rng.normal(size=N_NUMBERS) for _ in contrasts]
    for look, contrast in zip(looks, contrasts, strict=True):
        look[CONTRAST] = contrast
    made = Likeness.of(looks)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("contrast", "told"),
    [(0.65, "inverted contrast"), (0.95, "darker background"), (-0.97, "brighter background"), (0.0, ""),
     (-0.5, "")],
)  # fmt: skip
def test_contrast_speaks_where_training_images_vary_too_much_for_their_distances(contrast, told):
    known = varied(np.random.default_rng(0).normal(-0.3, 0.15, 48).tolist())
    look = known.references[0] + 0.1
    look[CONTRAST] = contrast
    verdict = known.judge(look)
    assert verdict.warning == told
    assert (verdict.score > 1) == bool(told)


@pytest.mark.parametrize(("octaves", "told"), [(-1.6, "out of focus"), (1.6, "")])
def test_blur_is_told_where_training_images_vary_too_much_for_their_distances(octaves, told):
    looks = varied([0.5] * 48).references
    looks[:, ENERGY] = np.random.default_rng(2).normal(-np.log2(5), 0.3, looks[:, ENERGY].shape)
    known = Likeness.of(list(looks))
    assert known is not None
    look = looks[0].copy()
    look[ENERGY][0] += octaves  # the finest detail
    verdict = known.judge(look)
    assert verdict.warning == told
    assert (verdict.score > 1) == bool(told)


def test_an_image_of_another_kind_is_not_called_blurred_for_its_lack_of_detail():
    looks = varied([0.5] * 48).references
    looks[:, ENERGY] = np.random.default_rng(2).normal(-np.log2(5), 0.3, looks[:, ENERGY].shape)
    known = Likeness.of(list(looks))
    assert known is not None
    look = looks[0].copy()
    look[ENERGY][0] -= 1.6  # called blurred where nothing else differs
    look[TAILS] += 10
    assert known.judge(look).warning == "other kind of image"


def test_an_empty_field_is_nothing_but_noise_and_no_image_on_brighter_background():
    rng = np.random.default_rng(0)
    noise = rng.normal(100, 5, (20, 1, 128, 128))
    y, x = np.mgrid[:128, :128]
    full = noise + 200 * (np.hypot(y % 32 - 16, x % 32 - 16) < 6)
    looks = [s for one in full if (s := signature(one)) is not None]
    known = Likeness.of(looks, diameters=[12] * 20)
    assert known is not None
    empty, faint = signature(noise[0]), signature(noise[0] + (full - noise)[0] / 40)
    assert empty is not None
    assert faint is not None
    assert known.judge(empty).warning == "nothing but noise"
    assert known.judge(empty, [12] * 5).warning == "nothing but noise"
    assert known.judge(empty, [3] * 5).warning.startswith(
        "objects 4.0 times as small"
    )  # of the noise
    assert known.judge(faint).warning not in ("", "nothing but noise")


def test_images_like_very_uniform_ones_may_have_more_objects_or_fewer():
    known = varied([0.94] * 48)
    look = known.references[0].copy()
    assert known.contrast.reach == LEAST_CONTRAST
    for contrast, flagged in ((0.6, False), (0.4, True)):
        look[CONTRAST] = contrast
        assert (abs(known.contrast.excess(look[CONTRAST])) > 1) == flagged


@pytest.mark.parametrize(
    ("diameter", "told"),
    [(20, ""), (41, "objects twice as large"), (90, "objects 4.5 times as large"),
     (10, "objects half as large"), (5, "objects 4.0 times as small"),
     (28, "objects 1.4 times as large")],
)  # fmt: skip
def test_objects_of_another_size_are_named(diameter, told):
    known = learned(20, diameters=[19, 20, 21, 20] * 5)
    like = kind(0, 1)[0]
    found = known.judge(like, [diameter] * 9)
    assert found.warning == told
    assert (found.score > 1) == bool(told)
    assert known.judge(like, [diameter] * 5).warning == told
    assert not known.judge(like, [diameter] * 4).warning  # too few objects to say
    assert known.judge(like, [diameter] * 9 + [2000]).warning == told  # some lie on each other
    assert known.judge(inverted(like), [20] * 9).warning == "inverted contrast"


@pytest.mark.parametrize(("diameter", "flagged"), [(33, False), (36, True)])
def test_three_training_images_of_one_size_leave_room_for_others(diameter, flagged):
    """By Student's t with 6 degrees of freedom and a prior scatter of a quarter octave: 1.74 times."""
    known = learned(3, diameters=[20, 20, 20])
    assert (known.judge(known.references[0], [diameter] * 5).score > 1) == flagged


def test_four_training_images_of_one_contrast_leave_room_for_others():
    """4.785, Student's t with 7 degrees of freedom, times √(4 · 0.15² / 7 · 5 / 4)."""
    assert varied([0.3] * 4).contrast.reach == pytest.approx(0.6065, abs=1e-3)


def away(known: Likeness, index: int, step: float) -> float:
    """Return the score of an image that differs from a training image in one number."""
    look = known.references[0].copy()
    look[index] += step
    return known.judge(look).score


def test_a_difference_counts_by_how_much_the_number_varies_from_image_to_image():
    alike = Likeness.of([np.zeros(N_NUMBERS)] * 4)
    assert alike is not None
    scores = [away(alike, index, TYPICAL_SCATTER[index]) for index in range(N_NUMBERS)]
    assert scores == pytest.approx([scores[0]] * N_NUMBERS)
    looks = kind(0, 48)
    last = N_NUMBERS - 1
    for number, look in enumerate(looks):
        look[last] = 30 * TYPICAL_SCATTER[last] * (number % 2)
    mixed = Likeness.of(looks)
    assert mixed is not None
    steps = [20 * TYPICAL_SCATTER[index] for index in (last - 1, last)]
    assert away(mixed, last - 1, steps[0]) > 3 * away(mixed, last, steps[1])


def test_what_is_kept_judges_the_same():
    known = learned(6, diameters=[10, 11, 12], variants={BLURRED: kind(5, 2)})
    again = Likeness.from_json(json.loads(json.dumps(known.to_json())))
    assert again is not None
    for one in kind(3, 5, shift=1.0):
        assert again.judge(one, [30] * 5) == known.judge(one, [30] * 5)


def test_too_few_images_and_old_models_say_nothing():
    assert Likeness.of(kind(0, 2)) is None
    assert Likeness.of(kind(0, 3)) is not None
    assert Likeness.from_json(None) is None
    assert Likeness.from_json({}) is None


@pytest.mark.parametrize(
    "change",
    [{"references": []}, {"references": [[1.0] * 3]}, {"references": [["a"] * N_NUMBERS]},
     {"references": [[*[1.0] * (N_NUMBERS - 1), "a"]]}, {"references": [[1e9] * N_NUMBERS]},
     {"references": [[1.0] * N_NUMBERS] * 5000}, {"distances": [0, 0]}, {"distances": None},
     {"sharp": [1, True]}, {"variants": 3}, {"variants": {"blurred": "x"}}, {"sizes": [1]}],
)  # fmt: skip
def test_senseless_numbers_in_a_model_file_are_refused(change):
    values = learned(4).to_json() | change
    with pytest.raises(ValueError, match="changed by another program"):
        Likeness.from_json(values)


def test_the_range_of_two_values_by_hand():
    """4.032, Student's t with 5 degrees of freedom, times √((4 · 1² + 2) / 5 · 3 / 2)."""
    found = Range.of([1.0, 3.0], 1.0, 0.995)
    assert (found.middle, found.reach) == pytest.approx((2.0, 5.410), abs=1e-3)
    assert found.excess(2 - 5.410) == pytest.approx(-1, abs=1e-3)


def test_ranges_of_more_images_are_narrower_and_hold_the_next_value():
    rng = np.random.default_rng(0)
    reach = {n: Range.of(rng.normal(0, 1, n), 1.0).reach for n in (3, 10, 100)}
    assert reach[3] > reach[10] > reach[100]
    inside = [Range.of(v[:4], 1.0).excess(v[4]) <= 1 for v in rng.normal(0, 1, (400, 5))]
    assert np.mean(inside) > 0.97
