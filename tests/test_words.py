"""Numbers agree with their nouns."""

from microshot.words import how_many


def test_one_is_single_and_all_else_is_many() -> None:
    assert [how_many(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [how_many(n, "box", "boxes") for n in (1, 3)] == ["1 box", "3 boxes"]
