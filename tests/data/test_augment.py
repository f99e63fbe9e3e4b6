"""Augmentation: labels stay true, nothing is filled, every draw can be repeated."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from microshot.data.augment import STRENGTHS, Augmenter, Strength, drawn_map, drawn_shade, libraries

SIZE = 96
GEOMETRY = {
    name: Strength(s.scale, s.rotate_deg, s.shear_deg, s.stretch, cubic=s.cubic)
    for name, s in STRENGTHS.items()
}


@pytest.fixture(scope="module")
def augmenters() -> dict[str, Augmenter]:
    """One augmenter per strength; making them takes longest."""
    return {name: Augmenter(s) for name, s in STRENGTHS.items()}


@pytest.fixture(scope="module")
def movers() -> dict[str, Augmenter]:
    """The same without changes of grey values."""
    return {name: Augmenter(s) for name, s in GEOMETRY.items()}


def discs(side: int, radius: int = 9, gap: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Bright discs on a lattice, and their labels."""
    y, x = np.mgrid[:side, :side]
    step = 2 * radius + gap
    index = (y // step) * (side // step + 1) + x // step + 1
    inside = ((y % step - step / 2) ** 2 + (x % step - step / 2) ** 2) < radius**2
    labels = np.where(inside, index, 0).astype(np.int32)
    return (labels > 0).astype(np.float32)[None], labels


def patch_of(augmenter: Augmenter) -> tuple[np.ndarray, np.ndarray]:
    return discs(SIZE + 2 * augmenter.margin(SIZE))


# ---------------------------------------------------------------------------------- geometry


@pytest.mark.parametrize("name", GEOMETRY)
def test_labels_move_like_the_image(movers, name) -> None:
    rng = np.random.default_rng(0)
    image, labels = patch_of(movers[name])
    for _ in range(10):
        moved, ids = movers[name](image, labels, SIZE, rng)
        assert moved.shape == (1, SIZE, SIZE)
        assert ids.shape == (SIZE, SIZE)
        agree = ((moved[0] > 0.5) == (ids > 0)).mean()
        assert agree > 0.96


@pytest.mark.parametrize("name", GEOMETRY)
def test_every_object_stays_one_object_with_its_own_id(movers, name) -> None:
    rng = np.random.default_rng(1)
    image, labels = patch_of(movers[name])
    for _ in range(10):
        _, ids = movers[name](image, labels, SIZE, rng)
        present = np.unique(ids[ids > 0])
        assert set(present) <= set(np.unique(labels))
        for one in present:
            pieces = np.bincount(ndimage.label(ids == one, np.ones((3, 3)))[0].ravel())[1:]
            assert sum(pieces) - max(pieces) <= 2  # single pixels at the edge of the patch


@pytest.mark.parametrize("name", ["standard", "heavy"])
def test_areas_change_by_the_square_of_the_magnification(movers, name) -> None:
    s = GEOMETRY[name]
    shear = np.tan(np.deg2rad(s.shear_deg)) ** 2
    low = s.scale[0] ** 2 * (1 - s.stretch) * (1 - shear)
    high = s.scale[1] ** 2 * (1 + s.stretch) * (1 + shear)
    rng = np.random.default_rng(2)
    side = SIZE + 2 * movers[name].margin(SIZE)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    labels = (y**2 + x**2 < 20**2).astype(np.int32)
    before = labels.sum()
    ratios = []
    for _ in range(60):
        _, ids = movers[name](labels[None].astype(np.float32), labels, SIZE, rng)
        ratios.append((ids > 0).sum() / before)
    assert low * 0.98 < min(ratios) < 1 < max(ratios) < high * 1.02
    assert min(ratios) < 1 - (1 - s.scale[0] ** 2) / 2  # the range is used
    assert max(ratios) > 1 + (s.scale[1] ** 2 - 1) / 2


def test_magnification_is_the_same_in_both_directions() -> None:
    mover = Augmenter(Strength(scale=(0.5, 1.7)))
    rng = np.random.default_rng(3)
    side = SIZE + 2 * mover.margin(SIZE)
    labels = np.zeros((side, side), np.int32)
    labels[side // 2 - 10 : side // 2 + 10, side // 2 - 10 : side // 2 + 10] = 1
    for _ in range(20):
        _, ids = mover(labels[None].astype(np.float32), labels, SIZE, rng)
        heights, widths = ids.any(1).sum(), ids.any(0).sum()
        assert abs(heights - widths) <= 1
        assert 9 <= heights <= 36


@pytest.mark.parametrize("size", [16, 65, 128])
@pytest.mark.parametrize("name", ["standard", "heavy"])
def test_the_margin_is_wide_enough_that_nothing_is_filled(movers, name, size) -> None:
    """Coordinates stay straight lines; a mirrored corner would bend them."""
    rng = np.random.default_rng(4)
    side = size + 2 * movers[name].margin(size)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    image, labels = np.stack([y, x]), np.zeros((side, side), np.int32)
    for _ in range(40):
        moved, _ = movers[name](image, labels, size, rng)
        for channel in moved:
            down, right = np.diff(channel, axis=0), np.diff(channel, axis=1)
            assert np.ptp(down) < 0.2  # interpolation rounds to 1/32 px
            assert np.ptp(right) < 0.2


def drawn(**strength) -> np.ndarray:
    """Return 600 maps (600, 2, 2) of a strength."""
    rng = np.random.default_rng(0)
    return np.array([drawn_map(Strength(**strength), rng) for _ in range(600)])


def test_half_of_the_patches_are_mirrored_and_all_are_turned_by_any_angle() -> None:
    maps = drawn(scale=(0.8, 1.25), rotate_deg=30)
    size = np.linalg.det(maps)
    assert np.mean(size < 0) == pytest.approx(0.5, abs=0.07)
    assert np.abs(size).min() == pytest.approx(1.25**-2, abs=0.02)
    assert np.abs(size).max() == pytest.approx(0.8**-2, abs=0.03)
    degrees = np.degrees(np.arctan2(maps[:, 1, 0], maps[:, 0, 0]))
    quarters = np.bincount(((degrees + 45) // 90).astype(int) % 4) / 600
    assert quarters == pytest.approx([0.25] * 4, abs=0.06)
    rest = (degrees + 45) % 90 - 45
    assert (rest.min(), rest.max()) == pytest.approx((-30, 30), abs=1)
    assert rest.std() == pytest.approx(60 / 12**0.5, abs=1.5)


def test_shear_is_drawn_both_ways_for_both_axes_and_half_of_the_patches_are_stretched() -> None:
    sheared = np.abs(np.linalg.inv(drawn(shear_deg=10)))
    turned = sheared[:, 0, 0] < 0.5
    sheared[turned] = sheared[turned, :, ::-1]
    for off in (sheared[:, 0, 1], sheared[:, 1, 0]):
        assert off.max() == pytest.approx(np.tan(np.radians(10)), abs=0.01)
        assert off.min() < 0.01
    longer = np.abs(np.linalg.det(np.linalg.inv(drawn(stretch=0.2))))
    assert np.mean(np.isclose(longer, 1)) == pytest.approx(0.5, abs=0.07)
    assert (longer.min(), longer.max()) == pytest.approx((0.8, 1.2), abs=0.01)


def test_an_offset_alone_is_drawn_too() -> None:
    rng = np.random.default_rng(0)
    shades = [drawn_shade(Strength(offset=0.2), rng) for _ in range(200)]
    assert {shade.gain for shade in shades} == {1}
    assert min(s.offset for s in shades) == pytest.approx(-0.2, abs=0.02)
    assert max(s.offset for s in shades) == pytest.approx(0.2, abs=0.02)


def test_without_moves_there_is_no_margin() -> None:
    assert Augmenter(STRENGTHS["none"]).margin(128) == 0
    assert Augmenter(STRENGTHS["light"]).margin(128) == 0


def test_none_gives_the_eight_symmetries_and_nothing_else(augmenters) -> None:
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    labels = image[0].astype(np.int32)
    symmetries = {
        np.rot90(base, k).tobytes() for base in (labels, labels[:, ::-1]) for k in range(4)
    }
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(200):
        moved, ids = augmenters["none"](image, labels, 4, rng)
        assert np.array_equal(moved[0].astype(np.int32), ids)
        seen.add(np.ascontiguousarray(ids).tobytes())
    assert seen == symmetries


def test_ignored_pixels_stay_ignored(movers) -> None:
    mover = movers["standard"]
    image, labels = patch_of(mover)
    labels = np.where(labels > 0, -1, 0).astype(np.int32)
    _, ids = mover(image, labels, SIZE, np.random.default_rng(6))
    assert set(np.unique(ids)) == {-1, 0}


@pytest.mark.parametrize("n_channels", [1, 2, 3, 4, 5, 7])
def test_all_channels_move_together(movers, n_channels) -> None:
    mover = movers["heavy"]
    image, labels = patch_of(mover)
    stacked = image.repeat(n_channels, 0) * np.arange(1, n_channels + 1)[:, None, None]
    moved, _ = mover(stacked.astype(np.float32), labels, SIZE, np.random.default_rng(7))
    assert moved.shape == (n_channels, SIZE, SIZE)
    for c in range(n_channels):
        assert np.allclose(moved[c], (c + 1) * moved[0], atol=1e-3)


def test_ids_up_to_a_million_survive(movers) -> None:
    mover = movers["standard"]
    image, labels = patch_of(mover)
    labels = np.where(labels > 0, (1 << 20) - labels, 0).astype(np.int32)
    _, ids = mover(image, labels, SIZE, np.random.default_rng(8))
    assert set(np.unique(ids)) <= set(np.unique(labels))
    assert len(np.unique(ids)) > 2


# ------------------------------------------------------------------------------- grey values


@pytest.mark.parametrize("name", STRENGTHS)
def test_a_draw_is_repeated_by_its_generator(augmenters, name) -> None:
    image, labels = patch_of(augmenters[name])
    first = augmenters[name](image, labels, SIZE, np.random.default_rng(9))
    augmenters[name](image, labels, SIZE, np.random.default_rng(77))  # in between
    second = augmenters[name](image, labels, SIZE, np.random.default_rng(9))
    other = Augmenter(STRENGTHS[name])(image, labels, SIZE, np.random.default_rng(9))
    for again in (second, other):
        assert np.array_equal(first[0], again[0])
        assert np.array_equal(first[1], again[1])
    third = augmenters[name](image, labels, SIZE, np.random.default_rng(10))
    assert not np.array_equal(first[0], third[0])


@pytest.mark.parametrize("name", STRENGTHS)
@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 1e4])
def test_constant_and_extreme_patches_stay_finite(augmenters, name, value) -> None:
    augmenter = augmenters[name]
    side = 32 + 2 * augmenter.margin(32)
    image = np.full((2, side, side), value, np.float32)
    labels = np.zeros((side, side), np.int32)
    rng = np.random.default_rng(11)
    for _ in range(10):
        changed, ids = augmenter(image, labels, 32, rng)
        assert np.isfinite(changed).all()
        assert changed.dtype == np.float32
        assert not ids.any()


@pytest.mark.parametrize("name", STRENGTHS)
def test_the_patch_given_is_left_as_it_was(augmenters, name) -> None:
    image, labels = patch_of(augmenters[name])
    before = image.copy(), labels.copy()
    augmenters[name](image, labels, SIZE, np.random.default_rng(12))
    assert np.array_equal(image, before[0])
    assert np.array_equal(labels, before[1])


def changed_step_by_step(s: Strength, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw each change when it is due; models of all versions were trained on such patches."""
    if s.invert and rng.random() < s.invert:
        image = 1 - image
    if s.gamma != (1.0, 1.0):
        exponent = float(np.exp(rng.uniform(*np.log(s.gamma))))
        low, high = float(image.min()), float(image.max())
        image = ((image - low) / (high - low)) ** exponent * (high - low) + low
    if s.blur_px and rng.random() < 0.5 and (sd := float(rng.uniform(0, s.blur_px))) > 0.1:
        image = ndimage.gaussian_filter(image, (0, sd, sd), mode="reflect")
    if s.gain != (1.0, 1.0) or s.offset:
        image = image * float(rng.uniform(*s.gain)) + float(rng.uniform(-s.offset, s.offset))
    if s.shading:
        height, angle = float(rng.uniform(0, s.shading)), rng.uniform(0, 2 * np.pi)
        at = np.linspace(-0.5, 0.5, SIZE)
        plane = height * (np.sin(angle) * at[:, None] + np.cos(angle) * at[None])
        image = image + plane.astype(np.float32)
    if s.noise:
        sd = float(rng.uniform(0, s.noise))
        image = image + rng.normal(0.0, 1.0, image.shape).astype(np.float32) * sd
    return image


@pytest.mark.parametrize("name", STRENGTHS)
def test_a_seed_gives_the_grey_values_of_earlier_versions_to_the_bit(augmenters, name) -> None:
    image = np.random.default_rng(0).normal(size=(2, SIZE, SIZE)).astype(np.float32)
    for seed in range(12):
        one, other = (np.random.default_rng(seed) for _ in range(2))
        expected = changed_step_by_step(STRENGTHS[name], image, one)
        assert np.array_equal(augmenters[name].values(image, other), expected)
        assert one.random() == other.random()  # and what is drawn next stays the same


@pytest.mark.parametrize("middle", [0.0, 0.5])
def test_contrast_is_inverted_around_the_middle(middle) -> None:
    always = Augmenter(Strength(invert=1.0), middle)
    rng = np.random.default_rng(13)
    image = rng.normal(size=(1, 8, 8)).astype(np.float32)
    inverted, _ = always(image, np.zeros((8, 8), np.int32), 8, rng)
    assert np.allclose(np.sort(inverted.ravel()), np.sort(2 * middle - image.ravel()), atol=1e-6)


def test_gain_and_offset_stay_in_their_range() -> None:
    changer = Augmenter(Strength(gain=(0.6, 2.0), offset=0.2))
    rng = np.random.default_rng(14)
    image = np.array([[[0.0, 1.0], [0.0, 1.0]]], np.float32)
    lows, highs = [], []
    for _ in range(300):
        changed, _ = changer(image, np.zeros((2, 2), np.int32), 2, rng)
        lows.append(changed.min())
        highs.append(changed.max() - changed.min())
    assert -0.2 <= min(lows) < -0.15
    assert 0.15 < max(lows) <= 0.2
    assert 0.6 <= min(highs) < 0.7
    assert 1.9 < max(highs) <= 2.0


def test_gamma_keeps_least_and_greatest_value_and_the_order() -> None:
    changer = Augmenter(Strength(gamma=(0.5, 2.0)))
    image = np.linspace(-3, 5, 64, dtype=np.float32).reshape(1, 8, 8)
    for seed in range(20):
        changed, _ = changer(image, np.zeros((8, 8), np.int32), 8, np.random.default_rng(seed))
        values = np.sort(changed.ravel())
        assert values[0] == pytest.approx(-3, abs=1e-4)
        assert values[-1] == pytest.approx(5, abs=1e-4)
        assert (np.diff(values) > 0).all()


def test_shading_is_a_plane_of_limited_height_with_mean_zero() -> None:
    changer = Augmenter(Strength(shading=0.4))
    for seed in range(20):
        changed, _ = changer(
            np.zeros((1, 9, 9), np.float32), np.zeros((9, 9), np.int32), 9,
            np.random.default_rng(seed),
        )  # fmt: skip
        plane = changed[0]
        assert abs(plane.mean()) < 1e-6
        assert np.ptp(np.diff(plane, axis=0)) < 1e-6
        assert np.ptp(np.diff(plane, axis=1)) < 1e-6
        assert np.ptp(plane) <= 0.4 * 2**0.5 + 1e-6


def test_noise_is_no_stronger_than_stated() -> None:
    changer = Augmenter(Strength(noise=0.1))
    zero = np.zeros((1, 64, 64), np.float32)
    sds = [
        changer(zero, zero[0].astype(np.int32), 64, np.random.default_rng(s))[0].std()
        for s in range(40)
    ]
    assert 0.08 < max(sds) < 0.105


def test_blur_keeps_the_mean_and_lowers_the_contrast() -> None:
    changer = Augmenter(Strength(blur_px=2.0))
    image = np.indices((16, 16)).sum(0)[None].astype(np.float32) % 2
    changed = [
        changer(image, np.zeros((16, 16), np.int32), 16, np.random.default_rng(s))[0]
        for s in range(30)
    ]
    assert all(abs(c.mean() - 0.5) < 0.02 for c in changed)
    untouched = sum(c.std() > 0.49 for c in changed)
    assert 5 <= untouched <= 25  # about every other patch


def test_light_is_what_the_notebooks_of_stardist_do() -> None:
    assert dataclasses.asdict(STRENGTHS["light"]) == {
        **dataclasses.asdict(Strength()), "gain": (0.6, 2.0), "offset": 0.2, "noise": 0.02,
    }  # fmt: skip


def test_shapes_blur_fine_structure_less_than_straight_lines_between_pixels_would() -> None:
    contrasts = {}
    for cubic in (False, True):
        mover = Augmenter(dataclasses.replace(STRENGTHS["shapes"], cubic=cubic))
        side = SIZE + 2 * mover.margin(SIZE)
        image = np.random.default_rng(0).normal(size=(1, side, side)).astype(np.float32)
        labels = np.zeros((side, side), np.int32)
        moved = [mover(image, labels, SIZE, np.random.default_rng(i))[0].std() for i in range(20)]
        contrasts[cubic] = np.mean(moved) / image.std()
    assert STRENGTHS["shapes"].cubic
    assert contrasts[False] < 0.75
    assert contrasts[True] > contrasts[False] + 0.1


@pytest.mark.parametrize("name", STRENGTHS)
def test_a_strength_is_what_moves_pixels_and_what_changes_grey_values(name) -> None:
    whole, nothing = STRENGTHS[name], Strength()
    shapes, shades = whole.of_shapes, whole.of_shades
    for field in dataclasses.fields(Strength):
        parts = [getattr(part, field.name) for part in (shapes, shades)]
        assert getattr(whole, field.name) in parts
        assert getattr(nothing, field.name) in parts or field.name == "cubic"
    assert shapes.cubic == whole.cubic
    assert not libraries(shades)


def test_strengths_grow() -> None:
    order = [STRENGTHS[n] for n in ("none", "light", "standard", "heavy")]
    for name in ("rotate_deg", "shear_deg", "stretch", "noise", "blur_px", "shading", "invert"):
        values = [getattr(s, name) for s in order]
        assert values == sorted(values)
