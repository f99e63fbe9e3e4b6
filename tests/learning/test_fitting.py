"""What a training is told by the settings."""

from __future__ import annotations

import pytest

from microshot import api
from microshot.learning.fitting import hurried
from microshot.training import trainer
from tiny_models import RETRAIN, TRAIN, changed, fields


@pytest.mark.parametrize(
    ("minutes", "epochs", "paced"), [(0.01, 0, True), (0, 1, False), (1, 1, False)]
)
def test_threads_are_tried_out_only_where_no_limit_in_epochs_promises_the_same_weights(
    monkeypatch, minutes, epochs, paced
) -> None:
    seen = []
    original = trainer.fit

    def fit(model, stages, plan, *rest):
        seen.append(plan.paced)
        return original(model, stages, plan, *rest)

    monkeypatch.setattr(trainer, "fit", fit)
    api.train(fields(2), changed(TRAIN, minutes=minutes, training__epochs=epochs))
    assert seen == [paced]


def of_time(notes: list[str]) -> list[str]:
    return [note for note in notes if "fitted into the time given" in note]


@pytest.mark.parametrize(
    ("minutes", "epochs", "told"),
    [(1e-6, 0, True), (1e-6, 5, True), (1, 1, False), (0, 1, False)],
)
def test_a_training_that_time_ends_after_few_steps_says_so_once(minutes, epochs, told) -> None:
    made = api.train(fields(2), changed(TRAIN, minutes=minutes, training__epochs=epochs))
    expected = "Only 1 step of training fitted into the time given, too few to learn much: give it more minutes."
    assert of_time(made.notes) == [expected] * told
    again = changed(RETRAIN, minutes=minutes, training__epochs=epochs)
    assert of_time(api.retrain(made.bundle, fields(2), again).notes) == [expected] * told


def test_where_the_check_alone_was_short_that_is_told() -> None:
    assert hurried([30, 500]) == hurried([]) == []
    assert hurried([500], [40, 30]) == []
    (told,) = hurried([500], [40, 7])
    assert told.startswith("Only 7 steps of each training of the check fitted into the time given")
    assert len(hurried([7], [3])) == 1
