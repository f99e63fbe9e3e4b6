"""Studies and sweeps: what is trained, what is remembered, what is concluded."""

from __future__ import annotations

import csv
import dataclasses
import re
from types import SimpleNamespace

import numpy as np
import pytest

from microshot import __version__, api
from microshot.cli import main
from microshot.data.dataset import Dataset
from microshot.data.image import Image
from microshot.progress import Cancelled, silent
from microshot.studies import jobs, study, sweep
from microshot.studies.tables import study_curve, study_page, study_sentence, sweep_page
from microshot.studies.trials import Ledger, assigned, fingerprint, numbers, set_aside, trial
from tasks_of_all_kinds import little_of
from tiny_images import page_text
from tiny_models import (
    RETRAIN,
    TRAIN,
    CancelWhen,
    changed,
    fields,
    model,
    unlabelled,
    write_fields,
)

QUICK = changed(RETRAIN, check="none")


def row(start, size, repeat, f1):
    return {"start": start, "n_images": str(size), "repeat": str(repeat), "f1": str(f1)}


def test_welch_is_students_t_with_the_freedom_that_unequal_variances_leave():
    from scipy.special import stdtr

    a, b = np.array([0.61, 0.7, 0.55, 0.66]), np.array([0.4, 0.1, 0.52])
    va, vb = a.var(ddof=1) / 4, b.var(ddof=1) / 3
    freedom = (va + vb) ** 2 / (va**2 / 3 + vb**2 / 2)
    expected = 2 * stdtr(freedom, -abs(a.mean() - b.mean()) / np.sqrt(va + vb))
    assert study.welch(a.tolist(), b.tolist()) == pytest.approx(expected)
    assert study.welch(b.tolist(), a.tolist()) == pytest.approx(expected)
    assert study.welch([1.0, 1.0], [1.0, 1.0]) is None
    assert study.welch([1.0], [1.0, 2.0]) is None
    equal = [0.9139072847682119] * 2  # one side without spread: no warning, freedom of the other
    one_sided = 2 * stdtr(2, -abs(b.mean() - equal[0]) / np.sqrt(vb))
    assert study.welch(equal, b.tolist()) == pytest.approx(one_sided)


def test_the_summary_compares_every_start_with_the_random_one():
    rows = [row(study.SCRATCH, 2, i, 0.2 + 0.01 * i) for i in range(4)]
    rows += [row("nuclei", 2, i, 0.6 + 0.01 * i) for i in range(4)]
    found = study.summary(rows, "segment")
    assert [r["start"] for r in found] == [study.SCRATCH, "nuclei"]
    assert found[1]["difference"] == pytest.approx(0.4)
    assert found[1]["p"] < 0.001
    assert "nuclei is better with 2 images" in study_sentence(found, "segment")
    text = page_text(study_page(found, "segment"))
    assert "0.615" in text
    assert "< 0.001" in text
    assert " 0.000" not in text


def test_mean_spread_and_difference_by_hand():
    rows = [row(study.SCRATCH, 2, i, score) for i, score in enumerate((0.1, 0.3))]
    rows += [row("nuclei", 2, i, score) for i, score in enumerate((0.9, 0.5, 0.7))]
    base, found = study.summary(rows, "segment")
    assert (base["mean"], base["sd"]) == pytest.approx((0.2, 0.1 * 2**0.5))
    assert (found["mean"], found["sd"], found["least"], found["greatest"], found["difference"]) == (
        pytest.approx((0.7, 0.2, 0.5, 0.9, 0.5))
    )


def test_it_is_said_why_a_difference_was_not_tested():
    once, equal = (
        [row(start, 2, i, score) for start, score in ((study.SCRATCH, 0.5), ("nuclei", 1.0))
         for i in range(n)]
        for n in (1, 3)
    )  # fmt: skip
    assert "give two or more" in study_sentence(study.summary(once, "segment"), "segment")
    assert "the same score" in study_sentence(study.summary(equal, "segment"), "segment")


def test_a_study_of_many_models_draws_the_random_start_first():
    rows = [row(name, 2, i, 0.5 + 0.1 * i) for name in "abcdefg" for i in range(2)]
    rows += [row(study.SCRATCH, 2, i, 0.2 + 0.1 * i) for i in range(2)]
    svg = study_curve(study.summary(rows, "segment"), "segment")
    assert "6 of 8 drawn" in svg
    assert svg.index(f">{study.SCRATCH}<") < svg.index(">a<")


def test_the_sentence_names_a_start_once_and_writes_chances_as_the_table_does():
    def of(n, start, p, difference=0.2):
        return {"n_images": n, "start": start, "repeats": 5, "difference": difference, "p": p}

    rows = [of(1, "a", 0.2), of(2, "a", 0.031), of(4, "a", 1e-5), of(8, "a", 0.002, -0.1)]
    assert study_sentence(rows, "segment") == (
        "Against the random start: a is better with 2 and 4 images (p ≤ 0.031); "
        "a is worse with 8 images (p = 0.002)."
    )
    assert study_sentence([of(1, "a", 3e-5)], "segment") == (
        "Against the random start: a is better with 1 image (p < 0.001)."
    )


def test_for_errors_less_is_better():
    rows = [row(study.SCRATCH, 5, i, 0) | {"mae": str(9 + 0.1 * i)} for i in range(3)]
    rows += [row("start", 5, i, 0) | {"mae": str(3 + 0.1 * i)} for i in range(3)]
    assert "start is better with 5 images" in study_sentence(study.summary(rows, "count"), "count")


@pytest.mark.parametrize(
    ("text", "n", "sizes"),
    [("2,5,10,full", 7, (2, 5, 7)), ("full", 3, (3,)), (" 2, 2 ", 9, (2,))],
)
def test_sizes_are_those_that_the_images_allow(text, n, sizes):
    assert study.sizes_of(text, n) == sizes


@pytest.mark.parametrize("text", ["", "2,x", "0", "-1", "50"])
def test_sizes_that_make_no_sense_are_refused(text):
    with pytest.raises(ValueError, match="Sizes"):
        study.sizes_of(text, 7)


def test_a_study_goes_on_where_it_was_cancelled(tmp_path):
    data, test = set_aside("segment", fields(5), 0.4, 0)
    plan = study.Plan((1, 3), 1, TRAIN_ON_STARDIST, QUICK)
    path, models = tmp_path / "runs.csv", {"discs": model()}
    with pytest.raises(Cancelled):
        study.study(models, data, test, plan, path, progress=CancelWhen("3 images, repeat 1"))
    done = path.read_text("utf-8").splitlines()
    assert len(done) == 3
    ledger = study.study(models, data, test, plan, path)
    assert path.read_text("utf-8").splitlines()[:3] == done
    assert [(r["start"], r["n_images"]) for r in ledger.rows] == [
        (study.SCRATCH, "1"), ("discs", "1"), (study.SCRATCH, "3"), ("discs", "3"),
    ]  # fmt: skip
    other = dataclasses.replace(plan, seed=1)
    with pytest.raises(ValueError, match="other images or settings"):
        study.study(models, data, test, other, path)


TRAIN_ON_STARDIST = changed(TRAIN, network__head="stardist")


class Noted:
    """Carries no training out but keeps what was to be trained."""

    def __init__(self):
        self.jobs = []

    def __call__(self, material, jobs, progress):
        self.jobs += jobs
        return [{"f1": 0.5} for _ in jobs]


def test_every_repeat_of_a_study_draws_other_images_and_all_starts_get_the_same(tmp_path):
    data, test = fields(7), fields(2, seed=9)
    plan = study.Plan((1, 3), 3, TRAIN, QUICK, seed=7)
    noted, again, models = Noted(), Noted(), {"discs": model()}
    study.study(models, data, test, plan, tmp_path / "runs.csv", carry=noted)
    assert len(noted.jobs) == 3 * 2 * 2
    draws = []
    for repeat in range(3):
        four = noted.jobs[4 * repeat : 4 * repeat + 4]
        assert [job.start for job in four] == [None, "discs"] * 2
        assert [type(job.settings) for job in four] == [type(TRAIN), type(QUICK)] * 2
        assert {job.settings.training.seed for job in four} == {7 + 1 + repeat}
        few, many = four[0].chosen, four[2].chosen
        assert (four[1].chosen, four[3].chosen) == (few, many)
        assert (len(few), len(set(many))) == (1, 3)
        assert set(few) < set(many)
        draws.append(many)
    assert len(set(draws)) == 3
    assert max(max(draw) for draw in draws) > 2
    study.study(models, data, test, plan, tmp_path / "runs.csv", carry=again)
    assert again.jobs == []


def test_a_job_trains_on_the_chosen_images_and_is_scored_on_those_set_aside(monkeypatch):
    data, test, synthetic, start = fields(4), fields(2, seed=9), fields(1, seed=5), model()
    told = []
    monkeypatch.setattr(jobs, "trial", lambda *given: told.append(given) or {"f1": 0.5})
    material = jobs.Material(data, test, synthetic, {"discs": start})
    some, every = jobs.Job("a", QUICK, "discs", (0, 2)), jobs.Job("b", TRAIN)
    assert list(jobs.here(material, [some, every], silent)) == [{"f1": 0.5}] * 2
    first, last = told
    assert first[0] is start
    assert [sample.name for sample in first[1]] == [data[0].name, data[2].name]
    assert last[0] is None
    assert list(last[1]) == list(data)
    assert [one[2:5] for one in told] == [(test, QUICK, synthetic), (test, TRAIN, synthetic)]


def test_half_a_training_is_no_result(monkeypatch):
    monkeypatch.setattr(api, "train", lambda *_, **__: SimpleNamespace(stopped="cancelled"))
    with pytest.raises(Cancelled):
        trial(None, fields(3), fields(1, seed=9), TRAIN, None, silent)


def test_a_sweep_trains_with_every_seed_what_is_not_in_its_file(tmp_path):
    data, test = fields(3), fields(2, seed=9)
    values, path, noted, more = (
        {"learning_rate": ["0.1", "0.2"]},
        tmp_path / "r.csv",
        Noted(),
        Noted(),
    )
    sweep.sweep(model(), data, test, QUICK, values, [1, 2], path, carry=noted)
    asked = [(j.settings.training.seed, j.settings.training.learning_rate) for j in noted.jobs]
    assert asked == [(1, 0.1), (1, 0.2), (2, 0.1), (2, 0.2)]
    assert {(job.start, job.chosen) for job in noted.jobs} == {(sweep.START, None)}
    wider = {"learning_rate": ["0.2", "0.3"]}
    ledger = sweep.sweep(model(), data, test, QUICK, wider, [2, 3], path, carry=more)
    asked = [(j.settings.training.seed, j.settings.training.learning_rate) for j in more.jobs]
    assert asked == [(2, 0.3), (3, 0.2), (3, 0.3)]
    assert len(ledger.rows) == 7
    other = model(head="foreground")
    with pytest.raises(ValueError, match="other images or settings"):
        sweep.sweep(other, data, test, QUICK, wider, [2, 3], path, carry=more)


@pytest.mark.parametrize(("task", "name", "best"), [("segment", "f1", 0.7), ("count", "mae", 0.3)])
def test_the_best_combination_is_that_of_the_best_mean_whether_more_or_less_is_better(
    task, name, best
):
    scores = {"a": (0.5, 0.1), "b": (0.9, 0.5), "c": (0.4, 0.6)}
    rows = [{"way": way, name: str(score)} for way, both in scores.items() for score in both]
    found = sweep.summary(rows, ["way"], task)
    assert found[0]["mean"] == pytest.approx(best)
    assert found[1]["mean"] == pytest.approx(0.5)
    assert (found[1]["settings"], found[1]["least"], found[1]["greatest"], found[1]["seeds"]) == (
        "way = c", 0.4, 0.6, 2,
    )  # fmt: skip


def test_a_sweep_trains_every_combination_once_and_shows_the_best_first(tmp_path):
    data, test = set_aside("segment", fields(4), 0.3, 0)
    values = {"learning_rate": ["0.001", "0.01"], "augmentation": ["none"]}
    path = tmp_path / "runs.csv"
    sweep.sweep(None, data, test, TRAIN, values, [1], path)
    before = path.read_bytes()
    ledger = sweep.sweep(None, data, test, TRAIN, values, [1], path)
    assert path.read_bytes() == before
    assert [r["learning_rate"] for r in ledger.rows] == ["0.001", "0.01"]
    found = sweep.summary(ledger.rows, list(values), "segment")
    assert found[0]["mean"] >= found[1]["mean"]
    assert "learning_rate = 0.01, augmentation = none" in page_text(sweep_page(found, "segment"))


def test_a_sweep_of_devices_is_remembered(tmp_path):
    data, test = set_aside("segment", fields(4), 0.3, 0)
    path = tmp_path / "runs.csv"
    sweep.sweep(None, data, test, TRAIN, {"device": ["cpu"]}, [1], path)

    def nothing(material, jobs, progress):
        assert not jobs
        return []

    ledger = sweep.sweep(None, data, test, TRAIN, {"device": ["cpu"]}, [1], path, carry=nothing)
    assert [r["device"] for r in ledger.rows] == ["cpu"]
    (found,) = sweep.summary(ledger.rows, ["device"], "segment")
    assert found["settings"] == "device = cpu"


def test_a_wrong_value_is_refused_before_anything_is_trained(tmp_path):
    data, test = set_aside("segment", fields(4), 0.3, 0)
    with pytest.raises(ValueError, match="learning_rate"):
        sweep.sweep(
            None, data, test, TRAIN, {"learning_rate": ["0.1", "much"]}, [1], tmp_path / "r.csv"
        )
    assert not (tmp_path / "r.csv").exists()
    with pytest.raises(ValueError, match="combinations"):
        sweep.grid({"a": list("abc"), "b": [str(i) for i in range(167)]})
    assert len(sweep.grid({"a": list("ab"), "b": [str(i) for i in range(250)]})) == 500


def test_every_combination_of_settings_is_checked_as_a_whole():
    sets = {"start": "cells-count", "task": "count"}
    assert assigned(TRAIN, sets).start == "cells-count"
    with pytest.raises(ValueError, match="made for the task count, found the task segment"):
        assigned(TRAIN, {"start": "cells-count"})


def test_images_that_give_no_score_are_refused_after_the_first_training(tmp_path):
    settings, data = little_of("translate")
    nothing = Image(np.zeros(data[0].target.pixels.shape, np.uint16), 0.5, ("nuclei",))
    flat = Dataset.of([dataclasses.replace(data[0], name="flat", target=nothing)])
    values = {"learning_rate": ["0.001", "0.002"]}
    with pytest.raises(ValueError, match=r"set aside to score on \(flat\) give no Pearson r"):
        sweep.sweep(None, data, flat, settings, values, [1], tmp_path / "runs.csv")


def test_a_training_that_fails_is_told_and_the_others_go_on(tmp_path):
    data, test = set_aside("segment", fields(4), 0.3, 0)
    values, path = {"strategy": ["freeze-core", "head"], "new_head": ["true"]}, tmp_path / "r.csv"
    for _ in range(2):  # the second time only what failed is tried again
        ledger = sweep.sweep(model(), data, test, QUICK, values, [1], path)
        assert [row["strategy"] for row in ledger.rows] == ["head"]
        assert re.match(
            "1 of 2 trainings failed and is tried again by the same command, the first: training 1 of 2, "
            'strategy = freeze-core: "What may change" is "freeze-core", which',
            *ledger.notes,
        )
    rows = sweep.summary(ledger.rows, list(values), "segment")
    assert ledger.notes[0] in page_text(sweep_page(rows, "segment", notes=ledger.notes))


@pytest.mark.parametrize("fault", [ValueError, FloatingPointError, MemoryError])
def test_a_study_tells_what_failed_and_ends_with_it_if_nothing_goes_well(
    tmp_path, monkeypatch, fault
):
    data, test = set_aside("segment", fields(4), 0.3, 0)
    plan = study.Plan((1, 2), 1, TRAIN, QUICK)
    real, failing = jobs.trial, [2]

    def some(start, own, *more):
        if len(own) in failing:
            raise fault("too much.")
        return real(start, own, *more)

    monkeypatch.setattr(jobs, "trial", some)
    ledger = study.study({"mine": model()}, data, test, plan, tmp_path / "some.csv")
    assert [row["n_images"] for row in ledger.rows] == ["1", "1"]
    assert ledger.notes == [
        "2 of 4 trainings failed and are tried again by the same command, the first: random start, "
        "2 images, repeat 1: too much."
    ]
    rows = study.summary(ledger.rows, "segment")
    assert {row["n_images"] for row in rows} == {1}
    assert ledger.notes[0] in page_text(study_page(rows, "segment", notes=ledger.notes))
    failing.append(1)
    with pytest.raises(ValueError, match=r"^random start, 1 image, repeat 1: too much\.$"):
        study.study({"mine": model()}, data, test, plan, tmp_path / "none.csv")


def test_only_labelled_images_are_used_and_some_are_set_aside():
    data = Dataset.of([*fields(6), unlabelled(fields(1, seed=9)[0])])
    own, test = set_aside("segment", data, 0.3, 1)
    assert (len(own), len(test)) == (4, 2)
    assert not {s.name for s in own} & {s.name for s in test}
    with pytest.raises(ValueError, match="at least 3 images"):
        set_aside("segment", fields(2), 0.3, 1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        set_aside("segment", fields(4), 1.0, 1)


def test_images_of_a_group_are_all_trained_on_or_all_scored():
    wells = [dataclasses.replace(s, group=f"well {i // 2}") for i, s in enumerate(fields(6))]
    for seed in range(5):
        own, test = set_aside("segment", Dataset.of(wells), 0.3, seed)
        assert not set(own.groups) & set(test.groups)
    with pytest.raises(ValueError, match='belong to the group "well 0"'):
        set_aside(
            "segment", Dataset.of(dataclasses.replace(s, group="well 0") for s in wells), 0.3, 1
        )


def test_images_with_equal_pixels_are_all_trained_on_or_all_scored():
    twice = [dataclasses.replace(s, name=f"{s.name} {i}") for s in fields(4) for i in range(2)]
    for seed in range(5):
        own, test = set_aside("segment", Dataset.of(twice), 0.3, seed)
        seen = {sample.image.pixels.tobytes() for sample in own}
        assert len(test) > 0
        assert not any(sample.image.pixels.tobytes() in seen for sample in test)


def test_what_was_made_from_other_images_truth_groups_or_settings_is_told_apart():
    (sample,) = fields(1)
    points = np.array([[3.0, 4.0]])
    others = [
        dataclasses.replace(sample, group="well 1"),
        dataclasses.replace(sample, labels=np.roll(sample.labels, 1)),
        dataclasses.replace(sample, labels=None),
        dataclasses.replace(sample, count=3),
        dataclasses.replace(sample, count=4),
        dataclasses.replace(sample, points=points),
        dataclasses.replace(sample, image=Image(sample.image.pixels + 1)),
    ]
    made = [fingerprint([Dataset.of([one])], {"epochs": 1}) for one in (sample, *others)]
    made += [fingerprint([Dataset.of([sample])], {"epochs": 2}), fingerprint([], {"epochs": 1})]
    assert len(set(made)) == len(made)
    assert fingerprint([Dataset.of([sample])], {"epochs": 1}) == made[0]


def test_a_row_is_found_by_all_of_its_values_and_what_is_no_number_is_left_out(tmp_path):
    ledger = Ledger(tmp_path / "r.csv", "x")
    for start, n, score in (
        ("a", 1, 0.5),
        ("a", 2, "nan"),
        ("b", 1, ""),
        ("b", 2, "inf"),
        ("c", 1, "no"),
    ):
        ledger.add({"start": start, "n_images": n, "f1": score})
    assert ledger.find({"start": "b", "n_images": 2}) == ledger.rows[3]
    assert ledger.find({"start": "c", "n_images": 2}) is None
    assert numbers(ledger.rows, "f1") == [0.5]
    assert numbers(ledger.rows, "mae") == []


def test_a_ledger_keeps_names_that_need_quotes(tmp_path):
    ledger = Ledger(tmp_path / "r.csv", "x")
    ledger.add({"start": 'a, "b"', "f1": 0.5})
    assert Ledger(tmp_path / "r.csv", "x").find({"start": 'a, "b"'}) is not None


@pytest.fixture
def folder(tmp_path):
    write_fields(tmp_path)
    model().save(tmp_path / "discs.microshot")
    return tmp_path


SETS = [
    "--set", "epochs=1", "--set", "steps_per_epoch=2", "--set", "patch_px=48", "--set", "network.width=4",
    "--set", "network.depth=1", "--set", "network.rays=8",
]  # fmt: skip


def test_the_command_lines_write_tables_curves_and_reports(folder, capsys):
    shared = [
        "--images", str(folder / "images"), "--labels", str(folder / "labels"), "--device", "cpu",
        "--minutes", "0", "--repeats", "1",
    ]  # fmt: skip
    model_file = ["--model", str(folder / "discs.microshot")]
    out = folder / "study"
    done = main(["study", *model_file, *shared, *SETS, "--sizes", "1,full", "--out", str(out)])
    assert done == 0, capsys.readouterr().err
    rows = list(csv.DictReader((out / "summary.csv").read_text("utf-8").splitlines()))
    assert [r["n_images"] for r in rows] == ["1", "1", "3", "3"]
    assert (out / "curves.svg").read_text("utf-8").startswith("<svg")
    text = page_text((out / "report.html").read_text("utf-8"))
    assert "Too few repeats" in text
    assert f"({model().card.id})" in text
    runs = list(csv.DictReader((out / "runs.csv").read_text("utf-8").splitlines()))
    assert {r["device"].split(",")[0] for r in runs} == {"CPU"}
    assert {r["version"] for r in runs} == {__version__}
    swept = ["sweep", *model_file, *shared, *SETS[:6], "--set", "strategy=all,head"]
    assert main([*swept, "--out", str(folder / "sweep")]) == 0
    rows = list(csv.DictReader((folder / "sweep" / "runs.csv").read_text("utf-8").splitlines()))
    assert [r["strategy"] for r in rows] == ["all", "head"]
    assert main([*swept, "--set", "nonsense=1,2", "--out", str(folder / "b")]) == 2
    assert '"nonsense" is not a setting' in capsys.readouterr().err
    for name, value, words in (
        ("--test-fraction", "2", "between 0 and 1, found 2"),
        ("--repeats", "0", "1 or more, found 0"),
        ("--sizes", "2,x", 'found "x"'),
    ):
        assert main(["study", *model_file, *shared, name, value, "--out", str(folder / "c")]) == 2
        told = capsys.readouterr().err
        assert words in told
        assert "images read" not in told
    wrong = ["study", *model_file, *shared, "--set", "nonsense=1", "--out", str(folder / "c")]
    assert main(wrong) == 2
