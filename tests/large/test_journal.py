"""What is kept of an unfinished prediction."""

from __future__ import annotations

import numpy as np
import pytest

from microshot.inference.blocks import Rect
from microshot.large.journal import Done, Journal


def test_ids_are_painted_over_those_before_and_read_part_by_part(tmp_path) -> None:
    journal = Journal.opened(tmp_path / "job", {}, (30, 40), restart=False)
    rng, expected = np.random.default_rng(0), np.zeros((30, 40), np.uint32)
    for top, left, bottom, right in ((0, 0, 30, 40), (3, 5, 20, 17), (29, 39, 30, 40)):
        labels = rng.integers(0, 3, (bottom - top, right - left)) * 1_500_000_000
        journal.paint(Rect(top, left, bottom, right), labels)
        own = expected[top:bottom, left:right]
        own[labels > 0] = labels[labels > 0]
    for rows, columns in ((slice(0, 30), slice(0, 40)), (slice(2, 9), slice(39, 40))):
        assert np.array_equal(journal.labels(rows, columns), expected[rows, columns])


def test_what_a_power_cut_has_left_is_told(tmp_path) -> None:
    journal = Journal.opened(tmp_path / "job", {}, (4, 5), restart=False)
    journal.keep(0, {"maps": np.zeros((1, 2, 2), np.float32)})
    tile = tmp_path / "job" / "tile_0.npz"
    whole = tile.read_bytes()
    for left in (b"", whole[: len(whole) // 2], b"x" * len(whole)):
        tile.write_bytes(left)
        with pytest.raises(ValueError, match=r'tile_0.npz" is damaged; delete its folder'):
            journal.output(0)
    for left in ("\0\0\n", "[]\n", '{"block": 0}\n'):
        (tmp_path / "job" / "blocks.jsonl").write_text(left)
        with pytest.raises(ValueError, match=r'blocks.jsonl" is damaged; delete its folder'):
            journal.finished()


def test_ids_that_are_cut_off_or_missing_are_told(tmp_path) -> None:
    journal = Journal.opened(tmp_path / "job", {}, (30, 40), restart=False)
    ids = tmp_path / "job" / "labels.raw"
    damaged = r'labels.raw" is damaged; delete its folder'
    with ids.open("r+b") as file:
        file.truncate(30 * 40 * 4 - 1)
    with pytest.raises(ValueError, match=damaged):
        journal.labels(slice(0, 30), slice(0, 40))
    ids.unlink()
    with pytest.raises(ValueError, match=damaged):
        journal.labels(slice(0, 30), slice(0, 40))
    with pytest.raises(ValueError, match=damaged):
        journal.paint(Rect(0, 0, 2, 2), np.ones((2, 2), np.int64))


@pytest.mark.parametrize("left", ["{}", '{"diameter_px": null}', "half a"])
@pytest.mark.parametrize(
    ("name", "read"),
    [("size.json", Journal.diameter_px), ("normalization.json", Journal.normalization)],
)
def test_damaged_numbers_are_told(tmp_path, name, read, left) -> None:
    journal = Journal.opened(tmp_path / "job", {}, (30, 40), restart=False)
    (tmp_path / "job" / name).write_text(left)
    with pytest.raises(ValueError, match=rf'{name}" is damaged; delete its folder'):
        read(journal)


def test_a_table_that_is_missing_or_cut_off_is_told(tmp_path) -> None:
    journal = Journal.opened(tmp_path / "job", {}, (30, 40), restart=False)
    journal.finish(Done(0, 1, 0.5, 0, journal.append("1,2.5\n")))
    for left in (b"1,2.5", b""):
        journal.table.write_bytes(left)
        with pytest.raises(ValueError, match=r'objects.csv" is damaged; delete its folder'):
            journal.finished()
    journal.table.unlink()
    with pytest.raises(ValueError, match=r'objects.csv" is damaged; delete its folder'):
        journal.finished()


def test_a_block_whose_line_a_kill_has_cut_off_is_made_again_and_noted_on_a_line_of_its_own(
    tmp_path,
) -> None:
    journal = Journal.opened(tmp_path / "job", {}, (30, 40), restart=False)
    done = []
    for block, rows in enumerate(("1,2.5\n", "", "2,7\n3,8\n")):
        done.append(Done(block, block + 1, 0.5, 0, journal.append(rows)))
        journal.finish(done[-1])
    assert [each.table_bytes for each in done] == [6, 6, 14]
    assert journal.finished() == done
    lines = tmp_path / "job" / "blocks.jsonl"
    lines.write_bytes(lines.read_bytes()[:-1])  # complete but for the end of the line
    assert journal.finished() == done[:2]
    assert journal.table.read_bytes() == b"1,2.5\n"
    assert journal.append("2,7\n3,8\n") == 14
    journal.finish(done[2])
    assert journal.finished()[2:] == done[2:]
