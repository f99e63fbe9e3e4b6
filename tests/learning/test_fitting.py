"""What a training is told by the settings."""

from __future__ import annotations

import pytest

from microshot import api
from microshot.training import trainer
from tiny_models import TRAIN, changed, fields


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
