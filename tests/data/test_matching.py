"""Names that belong together are found; what is ambiguous is said, never guessed."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from test_folders import touch

from microshot.data.matching import find_pairs, group_by_stem, match_by_stem

SUFFIXES = (
    "_mask",
    "_masks",
    "_label",
    "_labels",
    "_seg",
    "_cp_masks",
    "-mask",
    ".labels",
    "_GT",
    "_Segmentation",
)


def names(pairs: tuple[tuple[Path, Path], ...]) -> list[tuple[str, str]]:
    return [(image.name, label.name) for image, label in pairs]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("a.tif", "a.tif"),
        ("a.tif", "a.png"),
        ("a.TIF", "A.tif"),
        ("a.ome.tif", "a_mask.tif"),
        *(("a b.tif", f"a b{end}.png") for end in SUFFIXES),
        ("a_img.tif", "a_mask.tif"),
        ("img_001.tif", "mask_001.tif"),
        ("image1.tif", "mask1.tif"),
        ("a.tif", "mask_a.tif"),
        ("a_bf.tif", "a_mask.tif"),
        ("a.tif", "a.tif.geojson"),
        ("a.ome.tif", "a.ome.tif - Series 0.geojson"),
        ("a b.ome.tif", "a b.ome.tif - Series.geojson"),
        ("a.tif", "a.tif - scan 1-labels.png"),
        ("a.ome.tif", "a.ome.tif-labels.png"),
        ("a b.tif", "Mask of a b.tif"),
        ("a.tif", "Count Masks of a.tif"),
        ("a.tif", "LblImg_a.tif"),
        (unicodedata.normalize("NFC", "größe.tif"), unicodedata.normalize("NFD", "größe.tif")),
    ],
)
def test_names_that_belong_together(image: str, label: str) -> None:
    found = match_by_stem([Path("images", image)], [Path("labels", label)])
    assert found.pairs == ((Path("images", image), Path("labels", label)),)
    assert found.images_alone == found.labels_alone == ()


def test_labels_of_an_image_that_is_not_the_first_of_its_file_stay_alone() -> None:
    label = Path("a.ome.tif - Series 1.geojson")
    assert match_by_stem([Path("a.ome.tif")], [label]).labels_alone == (label,)
    single = Path("a.ome.tif - Series 1.tif")
    assert match_by_stem([Path("a.ome.tif"), single], [label]).pairs == ((single, label),)


def test_the_same_name_goes_before_similar_names() -> None:
    images = [Path("a.tif"), Path("a_mask.tif")]
    found = match_by_stem(images, [Path("l/a.tif"), Path("l/a_mask.tif")])
    assert names(found.pairs) == [("a.tif", "a.tif"), ("a_mask.tif", "a_mask.tif")]


def test_what_stays_alone_is_reported() -> None:
    found = match_by_stem([Path("a.tif"), Path("b.tif")], [Path("l/b_mask.tif"), Path("l/c.tif")])
    assert found.images == (Path("b.tif"), Path("a.tif"))
    assert found.lines() == [
        "1 image matched with a label by name.",
        "b.tif ↔ l/b_mask.tif",
        "1 image without label: a.tif.",
        "1 label without image: c.tif.",
    ]


def test_long_reports_are_cut() -> None:
    files = [Path(f"{i}.tif") for i in range(100)]
    lines = match_by_stem(files, [Path("l") / f.name for f in files]).lines()
    assert len(lines) == 8
    assert lines[-1] == "… and 94 more"
    assert (
        match_by_stem(files, [])
        .lines()[-1]
        .endswith("0.tif, 1.tif, 2.tif, 3.tif, 4.tif and 95 more.")
    )


@pytest.mark.parametrize(
    ("images", "labels", "both"),
    [
        (["a.tif", "a.png"], [], ("a.tif", "a.png")),
        (["a.tif", "A.tif"], [], ("a.tif", "A.tif")),
        (["a.tif"], ["l/a_mask.tif", "l/a_labels.tif"], ("a_mask.tif", "a_labels.tif")),
        (["a.tif"], ["l/a.tif", "l/a.png"], ("a.tif", "a.png")),
        (
            ["a.tif"],
            ["l/a.tif - 1.geojson", "l/a.tif - 2.geojson"],
            ("a.tif - 1.geojson", "a.tif - 2.geojson"),
        ),
    ],
)
def test_two_files_for_one_name_are_an_error_that_names_both(images, labels, both) -> None:
    with pytest.raises(ValueError, match=f'{both[0]}" and ".*{both[1]}": two'):
        match_by_stem([Path(p) for p in images], [Path(p) for p in labels])


def test_a_name_that_is_longer_by_a_letter_is_another_name() -> None:
    found = match_by_stem([Path("a1.tif"), Path("b2.tif")], [Path("l/a_mask.tif")])
    assert found.pairs == ()


def test_similar_images_are_not_confused() -> None:
    images = [Path("img_1.tif"), Path("raw_1.tif")]
    found = match_by_stem(images, [Path("l/mask_1.tif")])
    assert found.pairs == ()
    assert found.labels_alone == (Path("l/mask_1.tif"),)


@pytest.mark.parametrize(
    "files",
    [
        ("images/a.tif", "images/b.tif", "masks/a.tif", "masks/b_mask.tif"),
        ("Images/a.tif", "Images/b.tif", "Labels/a.png", "Labels/b.png", "overview.png"),
        ("a.tif", "b.tif", "labels/a.tif", "labels/b.tif"),
        ("a.tif", "b.tif", "a_mask.tif", "b_cp_masks.png"),
        ("a_img.tif", "b_img.tif", "a_masks.tif", "b_masks.tif"),
    ],
)
def test_usual_arrangements_are_understood(tmp_path: Path, files: tuple[str, ...]) -> None:
    touch(tmp_path, *files)
    found = find_pairs(tmp_path)
    paths = [tmp_path / file for file in files]
    assert found.pairs == ((paths[0], paths[2]), (paths[1], paths[3]))
    assert not found.images_alone
    assert not found.labels_alone


def test_without_any_label_everything_is_an_image(tmp_path: Path) -> None:
    touch(tmp_path, "a_seg.tif", "b_seg.tif", "c.tif")
    found = [p.name for p in find_pairs(tmp_path).images_alone]
    assert found == ["a_seg.tif", "b_seg.tif", "c.tif"]
    touch(tmp_path, "images/x.tif")
    assert len(find_pairs(tmp_path).images) == 3


def test_an_images_folder_alone_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "images/x.tif", "notes.txt")
    assert [p.name for p in find_pairs(tmp_path).images] == ["x.tif"]


def test_images_beside_the_subfolder_that_is_read_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "images/x.tif", "labels/x.tif")
    assert not find_pairs(tmp_path).not_taken()
    touch(tmp_path, "mine.tif", "yours.png", "counts.csv")
    found = find_pairs(tmp_path)
    assert [p.name for p in found.images] == ["x.tif"]
    told = '2 images not read: mine.tif, yours.png; only those in the subfolder "images" are.'
    assert found.not_taken() == [told]
    assert find_pairs(tmp_path, "x*").not_taken() == []


def test_a_label_without_image_is_reported_not_taken_for_an_image(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "a_mask.tif", "b_mask.tif")
    found = find_pairs(tmp_path)
    assert [p.name for p in found.images] == ["a.tif"]
    assert [p.name for p in found.labels_alone] == ["b_mask.tif"]


def test_outlines_that_fit_no_image_are_reported(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "b.tif", "c.geojson", "mask_of_nothing.tif")
    found = find_pairs(tmp_path)
    assert [p.name for p in found.images] == ["a.tif", "b.tif", "mask_of_nothing.tif"]
    assert [p.name for p in found.labels_alone] == ["c.geojson"]


def test_a_pattern_limits_the_images_not_the_labels(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "a_mask.png", "b.tif", "b_mask.png")
    assert names(find_pairs(tmp_path, "a*").pairs) == [("a.tif", "a_mask.png")]
    touch(tmp_path, "c.tif")
    assert not find_pairs(tmp_path, "a*").images_alone
    assert names(find_pairs(tmp_path, "[ac]*").pairs) == [("a.tif", "a_mask.png")]
    assert find_pairs(tmp_path, "[ac]*").images_alone == (tmp_path / "c.tif",)


def test_a_pattern_limits_images_without_any_label(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "b.tif")
    assert find_pairs(tmp_path, "b*").images == (tmp_path / "b.tif",)


def test_labels_of_any_usual_name_lie_beside_their_images(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "b.tif", "c.tif", "d.tif", "mask_a.tif", "b.roi", "c_points.csv")
    touch(tmp_path, "plan.csv")  # no labels, whatever it is
    found = find_pairs(tmp_path)
    assert names(found.pairs) == [
        ("a.tif", "mask_a.tif"), ("b.tif", "b.roi"), ("c.tif", "c_points.csv"),
    ]  # fmt: skip
    assert [p.name for p in found.images_alone] == ["d.tif"]
    assert not found.labels_alone
    some = find_pairs(tmp_path, "[ad]*")
    assert [p.name for p in some.images] == ["a.tif", "d.tif"]


def test_an_image_of_points_is_an_image(tmp_path: Path) -> None:
    found = match_by_stem([Path("a.tif"), Path("a_points.tif")], [Path("l/a_points.tif")])
    assert names(found.pairs) == [("a_points.tif", "a_points.tif")]
    assert not match_by_stem([Path("a.tif")], [Path("l/a_points.tif")]).pairs


def test_targets_are_grouped_by_stain() -> None:
    images = [Path("a.tif"), Path("a_2.tif"), Path("b.tif")]
    targets = [
        Path("t", n) for n in ("a_dapi.tif", "a_lipids.tif", "a_2_dapi.tif", "b.tif", "x.tif")
    ]
    groups, alone = group_by_stem(images, targets)
    assert {i.name: list(g) for i, g in groups.items()} == {
        "a.tif": ["dapi", "lipids"],
        "a_2.tif": ["dapi"],
        "b.tif": [""],
    }
    assert alone == (Path("t/x.tif"),)


def test_targets_are_found_past_an_ending_that_all_images_share() -> None:
    groups, alone = group_by_stem(
        [Path("w1_bf.tif"), Path("w2_bf.tif")], [Path("t/w1_dapi.tif"), Path("t/w2_dapi.tif")]
    )
    assert [list(group) for group in groups.values()] == [["dapi"], ["dapi"]]
    assert not alone


def test_two_files_of_one_stain_are_an_error() -> None:
    with pytest.raises(ValueError, match="two target files"):
        group_by_stem([Path("a.tif")], [Path("t/a_dapi.tif"), Path("t/a_dapi.png")])


def test_labels_lie_beside_a_folder_called_images(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "images/b.tif", "masks/a.tif", "masks/z.tif")
    found = find_pairs(tmp_path / "images")
    assert found.pairs == ((tmp_path / "images/a.tif", tmp_path / "masks/a.tif"),)
    assert [p.name for p in found.images_alone] == ["b.tif"]
    assert [p.name for p in found.labels_alone] == ["z.tif"]


def test_a_folder_of_another_name_has_no_labels_beside_it(tmp_path: Path) -> None:
    touch(tmp_path, "day 1/a.tif", "masks/a.tif")
    assert not find_pairs(tmp_path / "day 1").pairs
