"""One stage of a training: its steps, its rows of the history, and when it ends."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from microshot.training.ahead import drawn_ahead
from microshot.training.keeping import kept_on_card
from microshot.training.pacing import Pace, paced
from microshot.training.schedule import PlateauRate, learning_rate_factor
from microshot.training.state import captured, restore
from microshot.training.stepping import step
from microshot.training.telling import message
from microshot.training.transfer import training_mode

if TYPE_CHECKING:
    from microshot.training.trainer import Run, Stage

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}


class StageRun:
    """Trains one stage, which spans `begin` to `end` of the whole budget."""

    def __init__(self, run: Run, stage: Stage, begin: float, end: float) -> None:
        plan = run.plan
        self.run, self.stage, self.plan = run, stage, plan
        self.begin, self.end = begin, end
        self.optimizers = [
            OPTIMIZERS[plan.optimizer](
                list(player.parameters),  # frozen ones have no gradient and are left alone
                lr=player.learning_rate,
                weight_decay=plan.weight_decay,
            )
            for player in stage.players
        ]
        self.plateau = PlateauRate() if plan.schedule == "plateau" else None
        self.step, self.rate = 0, 0.0
        self.sums: dict[str, float] = {}
        self.n_summed = 0
        self.last_row = run.elapsed()
        self.best, self.best_step = math.inf, 0  # another stage has another loss
        self.pace: Pace | None = None

    def go(self) -> str:
        """Train until the budget is used up; return why it ended."""
        self.stage = kept_on_card(self.stage, self.run.device)
        with drawn_ahead(self.stage, self.run.device) as draw, paced(self.run) as self.pace:
            self.stage = replace(self.stage, draw=draw)
            return self._ended()

    def _ended(self) -> str:
        run, stopped = self.run, "finished"
        if run.kept:
            restore(self, *run.kept)
            run.kept = None
        training_mode(run.model)
        while (fraction := self._fraction()) < 1 or self.step == 0:
            fraction = min(fraction, 1.0)
            if run.cancelled(self._of_all(fraction), self._message()):
                stopped = "cancelled"
                break
            if not self._train_on(fraction):
                return run.broken_off("diverged")
            if self._row_due():
                stale = self._write_row()
                if self.plan.patience and self.stage.validate and stale >= self.plan.patience:
                    return "no longer improving"
            if run.place and run.place.due():
                run.place.keep(*captured(self))
        if self.n_summed or not run.fit.history:
            self._write_row()
        return stopped

    def _train_on(self, fraction: float) -> bool:
        """Take one step; return whether the loss was finite."""
        plan = self.plan
        if self.stage.on_fraction is not None:
            self.stage.on_fraction(self._of_all(fraction))
        self.rate = learning_rate_factor(
            plan.schedule, fraction, self.step, plan.warmup_steps, self.step / plan.steps_per_epoch
        )
        self.rate *= self.plateau.factor if self.plateau else 1.0
        started = time.perf_counter()
        losses = step(self.run, self.stage, self.optimizers, self.step, self.rate)
        if self.pace:
            self.pace.took(time.perf_counter() - started)
        self.step += 1
        self.run.fit.steps += 1
        for key, value in (losses or {}).items():
            self.sums[key] = self.sums.get(key, 0.0) + value
        self.n_summed += losses is not None
        return losses is not None

    def _of_all(self, fraction: float) -> float:
        """Part of the whole training that is over with a part of the stage."""
        return self.begin + (self.end - self.begin) * fraction

    def _fraction(self) -> float:
        """Part of the stage that is over: by time or by steps, whichever is further."""
        plan, parts = self.plan, [0.0]
        if plan.seconds > 0:
            elapsed = self.run.elapsed() / plan.seconds
            parts.append((elapsed - self.begin) / (self.end - self.begin))
        if plan.steps > 0:
            steps = round(plan.steps * self.end) - round(plan.steps * self.begin)
            parts.append(self.step / max(1, steps))
        return max(parts)

    def _row_due(self) -> bool:
        """Say whether to validate and log now.

        By epochs where steps are the only budget (so that a seed repeats exactly); by time
        otherwise, about 40 rows, and never more than a sixth of the time in validation.
        """
        plan, run = self.plan, self.run
        if plan.seconds <= 0:
            return self.step % plan.steps_per_epoch == 0
        since = run.elapsed() - self.last_row
        return since >= max(plan.seconds / 40, 5 * run.validation_seconds)

    def _write_row(self) -> float:
        """Log, validate, keep the best weights; return the epochs since the best loss.

        That is the validation loss, or the training loss where there is no validation.
        """
        run, stage = self.run, self.stage
        row: dict[str, Any] = {
            "stage": stage.name,
            "step": run.fit.steps,
            "epoch": self.step / self.plan.steps_per_epoch,
            "seconds": run.elapsed(),
            "learning_rate": self.rate * stage.players[-1].learning_rate,  # adversaries come first
        }
        if run.fit.at_once:
            row["images_at_once"] = run.fit.at_once
        row |= {k: v / max(self.n_summed, 1) for k, v in self.sums.items()}
        if stage.validate is not None:
            row |= {f"validation_{k}": v for k, v in run.score(stage.validate).items()}
        loss = row.get("loss", math.inf) if stage.validate is None else row["validation_loss"]
        loss = run.team.agreed(loss)
        better = loss < self.best
        if better:
            self.best, self.best_step = loss, self.step
        if better or stage.validate is None:
            run.keep()
        run.fit.history.append(row)
        self.sums, self.n_summed, self.last_row = {}, 0, run.elapsed()
        stale = (self.step - self.best_step) / self.plan.steps_per_epoch
        if self.plateau:
            self.plateau.update(stale)
        return stale

    def _message(self) -> str:
        now = {k: v / self.n_summed for k, v in self.sums.items()}
        return message(self.stage.name, self.run.fit, self.plan, self.run.elapsed(), now)
