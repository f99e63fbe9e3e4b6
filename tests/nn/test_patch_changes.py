"""Patches cut and changed in bulk are those that the processor cuts and changes one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from microshot.data.augment import Augmenter, Shade, Strength, drawn_map, drawn_shade
from microshot.data.patches import Field, draw_patch, drawn_corner, mirrored
from microshot.nn.patch_changes import cut, kept, shaded

quick = settings(max_examples=40, deadline=None)
CPU = torch.device("cpu")


def pictures(rng: np.random.Generator, n: int, n_channels: int = 2) -> list[Field]:
    """Return images of different sizes, some ignored pixels among their labels."""
    made = []
    for shape in rng.integers(1, 40, (n, 2)):
        image = rng.normal(size=(n_channels, *shape)).astype(np.float32)
        made.append(Field.of(image, rng.integers(-1, 6, shape)))
    return made


def cut_out(
    fields: list[Field], which: list[int], corner: object, back: object, size: int,
    *, cubic: bool = False,
):  # fmt: skip
    images = kept([f.image for f in fields], [f.labels for f in fields], CPU)
    where = torch.tensor(which), torch.as_tensor(corner), torch.as_tensor(back).float()
    image, labels = cut(images, *where, size, cubic=cubic)
    return image.numpy(), labels.numpy()


@quick
@given(st.integers(0, 2**31), st.integers(1, 24), st.integers(1, 4))
def test_patches_that_are_only_mirrored_and_turned_are_the_same_to_the_bit(seed, size, n) -> None:
    """Of images of any size, also over their edges; image, labels and ignored pixels alike."""
    rng = np.random.default_rng(seed)
    fields, still = pictures(rng, 3), Augmenter(Strength())
    which = rng.integers(3, size=n).tolist()
    corners, maps, expected = [], [], []
    for one in which:
        state = rng.bit_generator.state
        image, labels = draw_patch(fields[one], size, rng, 0.6)
        expected.append(still(image, labels, size, rng))
        rng.bit_generator.state = state
        corners.append(drawn_corner(fields[one], size, rng, 0.6))
        maps.append(drawn_map(Strength(), rng))
    image, labels = cut_out(fields, which, corners, np.array(maps), size)
    assert image.dtype == np.float32
    assert labels.dtype == np.int32
    for i in range(n):
        assert np.array_equal(image[i], expected[i][0])
        assert np.array_equal(labels[i], expected[i][1])


@quick
@given(st.integers(0, 2**31), st.integers(2, 16), st.booleans())
def test_moved_patches_show_what_lies_where_the_map_says(seed, size, cubic) -> None:
    """Against every pixel computed alone: interpolated image, nearest label, mirrored edges."""
    rng = np.random.default_rng(seed)
    (field,) = pictures(rng, 1)
    heavy = Strength(scale=(0.5, 1.7), rotate_deg=180, shear_deg=16, stretch=0.2, cubic=cubic)
    back, corner = drawn_map(heavy, rng), rng.integers(-50, 80, 2)
    image, labels = cut_out([field], [0], corner[None], back[None], size, cubic=cubic)
    middle = (size - 1) / 2
    height, width = field.labels.shape
    for y, x in rng.integers(0, size, (20, 2)):
        there = back @ [y - middle, x - middle] + middle + corner
        low = np.floor(there).astype(int)
        rows = mirrored(low[0] + np.arange(-1, 3), height)
        columns = mirrored(low[1] + np.arange(-1, 3), width)
        (down, right), around = there - low, field.image[:, rows][:, :, columns]
        expected = weights_of(down, cubic=cubic) @ around @ weights_of(right, cubic=cubic)
        assert image[0, :, y, x] == pytest.approx(expected, abs=1e-4)
        if abs(there - low - 0.5).min() > 1e-3:  # between two pixels either is right
            nearest = field.labels[rows[1 + (down > 0.5)], columns[1 + (right > 0.5)]]
            assert labels[0, y, x] == nearest


def weights_of(part: float, *, cubic: bool) -> np.ndarray:
    """Return the weights of four pixels, the second and third of which are the nearest."""
    at = torch.tensor([2 * (1 + float(part)) / 3 - 1, 0.0]).expand(4, 1, 1, 2)
    each = torch.eye(4)[:, None, None]  # a row of four pixels, one of them bright
    mode = "bicubic" if cubic else "bilinear"
    made = F.grid_sample(each, at, mode, padding_mode="border", align_corners=True)
    return made.flatten().double().numpy()


def coordinates(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where every pixel of a square is, y and x relative to the middle."""
    at = np.mgrid[:side, :side].astype(np.float32) - (side - 1) / 2
    return at, np.zeros((side, side), np.int32)


def map_of(moved: np.ndarray) -> np.ndarray:
    """Return the map (2, 2) that brought coordinates where they are now."""
    side = moved.shape[-1]
    here = coordinates(side)[0].reshape(2, -1)
    return np.linalg.lstsq(here.T, moved.reshape(2, -1).T, rcond=None)[0].T


@pytest.mark.parametrize(
    "strength",
    [
        Strength(scale=(0.8, 1.25), rotate_deg=180, shear_deg=5, stretch=0.1),
        Strength(scale=(0.8, 1.25), rotate_deg=180, shear_deg=5, stretch=0.1, cubic=True),
        Strength(scale=(0.5, 1.7), rotate_deg=20, shear_deg=16, stretch=0.2),
    ],
)
def test_a_map_is_what_the_processor_moves_a_patch_by(strength) -> None:
    size, augment = 8, Augmenter(strength)
    image, labels = coordinates(size + 2 * augment.margin(size))
    for seed in range(20):
        moved, _ = augment(image, labels, size, np.random.default_rng(seed))
        drawn = drawn_map(strength, np.random.default_rng(seed))
        assert np.allclose(map_of(moved), drawn, atol=0.02)  # OpenCV rounds places to 1/32 px


def test_maps_follow_the_ranges_of_a_strength() -> None:
    rng, wish = np.random.default_rng(0), Strength((0.8, 1.25), 180, stretch=0.1)
    maps = np.stack([drawn_map(wish, rng) for _ in range(2000)])
    long, short = 1 / np.linalg.svd(maps, compute_uv=False)[:, ::-1].T
    assert 0.8 * 0.9 <= short.min() < 0.76
    assert 1.32 < long.max() <= 1.25 * 1.1
    assert 0.4 < np.mean(np.linalg.det(maps) < 0) < 0.6  # mirrored
    turned = maps[np.linalg.det(maps) > 0]
    angle = np.arctan2(turned[:, 1, 0], turned[:, 0, 0])
    assert np.histogram(angle, 4, (-np.pi, np.pi))[0].min() > len(turned) / 5


# ------------------------------------------------------------------------------- grey values

ALL_BUT_NOISE = Strength(
    gain=(0.4, 2.0), offset=0.3, gamma=(0.5, 2.0), blur_px=2.0, shading=0.4, invert=0.3
)


@pytest.mark.parametrize("middle", [0.0, 0.5])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_grey_values_change_as_on_the_processor(middle, n_channels) -> None:
    augment, n = Augmenter(ALL_BUT_NOISE, middle), 24
    patches = np.random.default_rng(1).normal(size=(n, n_channels, 16, 16)).astype(np.float32)
    patches[3] = 7.0
    expected = [augment.values(p, np.random.default_rng(i)) for i, p in enumerate(patches)]
    shades = [drawn_shade(ALL_BUT_NOISE, np.random.default_rng(i)) for i in range(n)]
    assert {s.inverted for s in shades} == {0, 1}
    assert any(s.blur_px == 0 for s in shades)
    assert any(s.blur_px > 1.5 for s in shades)
    columns = torch.from_numpy(np.array(shades, np.float32).T.copy())
    assert not columns[-1].any()  # noise
    found = shaded(
        torch.from_numpy(patches), dict(zip(Shade._fields, columns, strict=True)), middle
    )
    np.testing.assert_allclose(found.numpy(), np.stack(expected), atol=2e-5)


def test_what_is_not_drawn_changes_nothing() -> None:
    image = torch.randn(2, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(shaded(image, {"which": torch.zeros(2)}, 0.5), image)
    neutral = {
        name: torch.full((2,), value) for name, value in zip(Shade._fields, Shade(), strict=True)
    }
    neutral.pop("exponent")  # powers of 1 are rounded
    assert torch.equal(shaded(image, neutral, 0.5), image)


def test_every_patch_has_noise_of_its_own_strength_that_a_seed_repeats() -> None:
    sd = torch.tensor([0.0, 0.05, 0.4])
    found = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            found.append(shaded(torch.zeros(3, 2, 64, 64), {"noise": sd}, 0.5))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert not found[0][0].any()
    assert found[0].std((1, 2, 3)).tolist() == pytest.approx(sd.tolist(), rel=0.05)
    assert abs(float(found[0].mean())) < 0.01
