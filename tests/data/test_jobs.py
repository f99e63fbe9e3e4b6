"""A folder of unfinished work is gone on with by the same job only, and never by a damaged note."""

from __future__ import annotations

import pytest

from microshot.data.jobs import begin, goes_on, read_note, write_note

JOB = {"settings": {"seed": 1, "classes": ("a", "b")}, "image": "x.tif"}


def test_the_same_job_goes_on_and_an_empty_place_begins(tmp_path) -> None:
    folder = tmp_path / "new" / "one"
    assert not goes_on(folder, JOB, "training", restart=False)
    begin(folder, JOB)
    assert goes_on(folder, JOB, "training", restart=False)  # a tuple is a list once written
    assert goes_on(folder, JOB, "training", restart=True)
    assert [path.name for path in folder.iterdir()] == ["job.json"]


def test_another_job_is_refused_naming_what_differs(tmp_path) -> None:
    begin(tmp_path, JOB)
    other = {"settings": {}, "image": "y.tif"}
    with pytest.raises(
        ValueError, match=r"unfinished scan that differs in settings and image lies there; .*\.$"
    ):
        goes_on(tmp_path, other, "scan", restart=False)
    with pytest.raises(ValueError, match="differs in version lies there"):
        goes_on(tmp_path, {"image": "x.tif"}, "scan", restart=False)
    assert goes_on(tmp_path, JOB, "scan", restart=False)
    assert not goes_on(tmp_path, other, "scan", restart=True)
    assert not tmp_path.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_a_damaged_note_is_refused_in_one_sentence(text, tmp_path) -> None:
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(ValueError, match=r"is damaged; delete its folder to begin anew\.$"):
        goes_on(tmp_path, JOB, "training", restart=False)


def test_a_note_takes_the_place_of_the_one_before(tmp_path) -> None:
    path = tmp_path / "numbers.json"
    for values in ({"low": 1.5}, {"low": 2.5}):
        write_note(path, values)
        assert read_note(path) == values
    assert list(tmp_path.iterdir()) == [path]
