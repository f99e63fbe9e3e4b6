"""Features of one image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stain_scenes import adipocytes

from microshot.metrics import stain_features as features
from microshot.metrics.stain_objects import GreyScale
from tiny_images import discs

KINDS = ("nuclei", "lipids", "cytoplasm")


def measured(stains: dict[str, np.ndarray]) -> dict[str, float]:
    return features.measure_stains(stains, {k: GreyScale.of(v) for k, v in stains.items()}, 40)


def test_shapes_of_a_square_by_hand() -> None:
    """4 x 4 px: area 16, perimeter 12 (between pixels' middles), hull = itself."""
    labels = np.zeros((10, 10), np.int32)
    labels[3:7, 3:7] = 5
    area, perimeter, compactness, form, solidity, radius = features.object_shapes(labels)[0]
    assert (area, perimeter, solidity) == (16, 12, 1)
    assert form == pytest.approx(4 * np.pi * 16 / 144)
    assert compactness == pytest.approx(1 / form)
    assert radius == pytest.approx((12 * 1 + 4 * 2) / 16)  # 12 pixels at the rim, 4 within


def test_light_of_objects_by_hand() -> None:
    labels = np.array([[0, 2, 2], [0, 4, 4]], np.int32)
    pixels = np.array([[9, 1, 3], [9, 10, 10]], np.uint16)
    assert features.object_light(labels, pixels) == pytest.approx(
        np.array([[2, 4, 1], [10, 20, 0]])
    )
    assert features.object_light(np.zeros((2, 3), np.int32), pixels).shape == (0, 3)
    assert features.object_shapes(np.zeros((2, 3), np.int32)).shape == (0, 6)


@settings(max_examples=20, deadline=None)
@given(st.permutations([1, 2, 3, 7]), st.integers(0, 99))
def test_light_does_not_depend_on_other_objects_ids(order: list[int], seed: int) -> None:
    pixels = np.random.default_rng(seed).random((8, 8))
    labels = np.kron(np.array([[1, 2], [3, 4]]), np.ones((4, 4), int))
    renamed = np.array([0, *order])[labels]
    rows = features.object_light(renamed, pixels)
    assert np.allclose(rows[np.argsort(np.argsort(order))], features.object_light(labels, pixels))


def test_objects_of_one_shape_have_no_spread() -> None:
    """Their perimeters are sums of roots: what rounding leaves is nothing to divide by."""
    nuclei = np.where(discs(n=4, seed=1)[1] > 0, 900, 300)
    row = features.measure_stains({"nuclei": nuclei}, {"nuclei": GreyScale.of(nuclei)}, 13.6)
    assert row["Nuclei: perimeter, mean (px)"] > 0
    assert row["Nuclei: perimeter, sd (px)"] == 0 < row["Nuclei: area, sd (px²)"]


def test_all_features_of_the_challenge_are_there_with_three_stains() -> None:
    row = measured(dict(zip(KINDS, adipocytes(1), strict=True)))
    per_object = {t: [k for k in row if k.startswith(f"{t}:")] for t in ("Nuclei", "Cells")}
    assert len(per_object["Nuclei"]) == 1 + 2 * (6 + 3 * 3)  # number; shapes, three stains
    assert len(per_object["Cells"]) == 2 * (6 + 2 * 3)
    assert len([k for k in row if k.startswith("Droplets:")]) == 1 + 2 * (6 + 2 * 3)
    assert len([k for k in row if "granularity" in k]) == 16
    assert sum(k.endswith("number") for k in row) == 5
    assert row["Nuclei: number"] >= row["Nuclei inside: number"] == row["Cells inside: number"] > 0
    assert row["Droplets: number"] > row["Defective droplets: number"] >= 0
    assert np.isfinite(list(row.values())).all()


def test_each_stain_gives_only_what_it_allows() -> None:
    stains = dict(zip(KINDS, adipocytes(1), strict=True))
    titles = {
        kind: {k.split(":")[0] for k in measured({kind: stains[kind]})}
        for kind in ("nuclei", "lipids", "cytoplasm")
    }
    assert titles["nuclei"] == {"Nuclei", "Nuclei inside"}
    assert titles["lipids"] == {"Droplets", "Defective droplets", "Lipids"}
    assert titles["cytoplasm"] == {"Cytoplasm"}
    two = measured({k: stains[k] for k in ("nuclei", "cytoplasm")})
    assert "Cells: cytoplasm mean, mean (grey values)" in two
    assert "Nuclei: lipids mean, mean (grey values)" not in two


def test_an_unknown_stain_gives_light_and_granularity() -> None:
    row = measured({"actin": np.random.default_rng(0).random((40, 40))})
    assert len(row) == 18
    assert row["Actin: mean (grey values)"] == pytest.approx(0.5, abs=0.05)


def test_empty_images_have_no_objects_and_the_same_features() -> None:
    full = measured(dict(zip(KINDS, adipocytes(1), strict=True)))
    empty = measured(dict.fromkeys(KINDS, np.full((192, 192), 100.0)))
    assert list(empty) == list(full)
    assert all(empty[k] == 0 for k in empty if k.endswith("number"))
    assert all(np.isnan(empty[k]) for k in empty if k.startswith("Cells: "))


def test_light_scales_with_the_camera_and_shapes_do_not() -> None:
    stains = dict(zip(KINDS, adipocytes(2), strict=True))
    one, ten = (measured({k: f * v for k, v in stains.items()}) for f in (1.0, 10.0))
    for key, value in one.items():
        factor = 10.0 if key.endswith("(grey values)") else 1.0
        assert ten[key] == pytest.approx(factor * value, rel=1e-6), key


def test_names_of_stains_say_what_they_show() -> None:
    assert features.kinds_of(["C01_DAPI", "Bodipy 493", "CellTracker Red"]) == list(KINDS)
    assert features.kinds_of(["dapi", "Hoechst", "actin"]) == ["nuclei", "", ""]
    assert features.kinds_of(["stain 1"]) == ["nuclei"]
    assert features.kinds_of(["stain 1", "stain 2"]) == ["", ""]
    assert features.kinds_of([]) == []
    assert features.kinds_of(["cell", "Nuclei", "cytoplasm"]) == ["", "nuclei", "cytoplasm"]


@pytest.mark.parametrize(
    "names",
    [["cell", "nuclei", "cytoplasm"], ["Hoechst", "nuclei"], ["DAPI", "Nuclei", "nuclei"]],
)
def test_every_stain_has_a_key_of_its_own(names) -> None:
    assert len(set(features.stain_keys(names))) == len(names)


@pytest.mark.parametrize(
    ("known", "names", "places"),
    [
        (KINDS, ["Lipids", "CYTOPLASM", "nuclei"], [2, 0, 1]),
        (KINDS, ["BODIPY", "CellMask", "DAPI"], [2, 0, 1]),
        (["DAPI", "actin"], ["Actin", "Hoechst"], [1, 0]),
        (["DAPI", "Hoechst"], ["hoechst", "dapi"], [1, 0]),
        (["DAPI", "Hoechst"], ["nuclei", "DNA"], None),
        (["a", "b"], ["a", "c"], None),
        (["a", "b"], ["a"], None),
        (["a"], ["b"], [0]),
        ([], [], []),
    ],
)
def test_stains_are_found_by_name_or_by_what_they_show(known, names, places) -> None:
    assert features.places_of(known, names) == places


def test_droplets_are_defective_from_a_least_sum_of_holes_on() -> None:
    droplets = np.array([[1, 1, 0, 2, 2, 3]], np.int32)
    holes = np.array([[0.25, 0.25, 9.0, 0.25, 0.125, 0.0]])  # sums 0.5, 0.375 and 0
    found = features.Objects(droplets=droplets, defects=holes)
    assert features.n_defective(found, 40.0) == 1
    assert features.n_defective(found, 80.0) == 0  # four times the area, four times the least
