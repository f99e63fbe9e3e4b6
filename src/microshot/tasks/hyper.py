"""Training values with nothing left automatic: what the user set over what a preset says."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Sample

#: What sets AdamW apart from Adam; Loshchilov & Hutter 2019, arXiv:1711.05101, and PyTorch.
ADAMW_DECAY = 0.01


@dataclass(frozen=True)
class Hyper:
    """Training values with nothing left automatic."""

    learning_rate: float
    batch_size: int
    patch_px: int
    augmentation: str
    optimizer: str = "adam"
    schedule: str = "cosine"
    ema: float = 0.995
    clip: float = 1.0
    warmup_steps: int = 30
    epochs: int = 0
    weight_decay: float = 0.0
    foreground_fraction: float = 0.9
    synthetic_fraction: float = 0.5


H = TypeVar("H", bound=Hyper)


def resolved(base: H, settings: Any, **own: Any) -> H:
    """Return the preset `base` with what the user set.

    AdamW gets its usual weight decay where the preset has none: without any it is Adam.

    Parameters
    ----------
    own : what the task resolves itself, by the names of fields; None = as the preset says.
    """
    t, i = settings.training, settings.images
    given = {
        "learning_rate": t.learning_rate or None,
        "batch_size": t.batch_size or None,
        "augmentation": unless_auto(i.augmentation),
        "optimizer": unless_auto(t.optimizer),
        "schedule": unless_auto(t.schedule),
        "epochs": t.epochs or None,
        **own,
    }
    if "synthetic_fraction" not in own:  # what is not even read is told to be without effect
        given["synthetic_fraction"] = i.synthetic_fraction
    made = dataclasses.replace(base, **{k: v for k, v in given.items() if v is not None})
    if made.optimizer == "adamw" and not made.weight_decay:
        made = dataclasses.replace(made, weight_decay=ADAMW_DECAY)
    return made


def unless_auto(choice: str) -> str | None:
    """Return a choice of the user, None where it is left to the preset."""
    return None if choice == "auto" else choice


def percentiles(kind: str, images: Any) -> dict[str, Any]:
    """Return the user's percentiles by the names of `Normalization`; none for another `kind`, which has none."""
    if kind != "percentile":
        return {}
    return {"low": images.low_percentile, "high": images.high_percentile}


def patch_side(wish: int, multiple: int, least: int = 0) -> int:
    """Return the smallest side of a patch, from `wish` and `least` px on, that a network can take.

    It is divisible by `multiple`. At the network's coarsest level it has two pixels at least: the
    deviation of a single one, which batch normalisation asks for, does not exist.
    """
    return -(-max(wish, least, 2 * multiple) // multiple) * multiple


def all_synthetic(samples: Sequence[Sample]) -> bool:
    """Say whether every image was generated."""
    return all(s.domain == "synthetic" for s in samples)
