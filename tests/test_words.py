"""Numbers agree with their nouns, and memory has a unit in which it can be read."""

from microshot.words import how_many, memory


def test_one_is_single_and_all_else_is_many() -> None:
    assert [how_many(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [how_many(n, "box", "boxes") for n in (1, 3)] == ["1 box", "3 boxes"]


def test_little_memory_is_not_rounded_to_nothing() -> None:
    assert [memory(mb) for mb in (0, 40, 99, 100, 2048)] == [
        "0 MB", "40 MB", "99 MB", "0.1 GB", "2.0 GB",
    ]  # fmt: skip
