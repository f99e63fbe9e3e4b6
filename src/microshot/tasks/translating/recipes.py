"""The choices of the task *translate*: network, normalisation, losses and training values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.augment import STRENGTHS, Strength
from microshot.data.normalize import Normalization
from microshot.nn.translator_geometry import DENSE, has_mask, side_multiple
from microshot.tasks.base import Intent, Recipe
from microshot.tasks.hyper import Hyper, all_synthetic, patch_side, percentiles, resolved
from microshot.tasks.translating import magnification, stacks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.data.dataset import Sample
    from microshot.data.image import Image

#: Percentiles that become 0 and 1 (data-set statistics of the adipocyte system).
LOW, HIGH = 0.01, 99.99
#: Greatest side of a tile in prediction: memory, and a field of view as in training.
TILE_PX = 512
#: Logarithms of stains with more pixels at the bottom of their range than this need a higher noise floor.
BLACK_FRACTION = 0.01
#: From so many px per batch on, dense networks save memory.
FRUGAL_FROM_PX = 4 * 256**2
DEFAULT_MASK_THRESHOLD = 0.5
#: Changes of every task, and what the system for nuclei does: any rotation, a tenth larger or smaller
#: (albumentations' default, which its code leaves), values as they are. It shifts nuclei from the middle
#: by up to a fifth of the side; here crops lie up to a quarter off, as in every task.
CHANGES = {**STRENGTHS, "rotation": Strength(scale=(0.9, 1.1), rotate_deg=180.0)}


@dataclass(frozen=True)
class TranslateHyper(Hyper):
    """Training values of the task *translate*."""

    terms: Mapping[str, float] = field(default_factory=lambda: {"l1": 1.0})
    """Weights of the losses by name, see `nn.translation_losses`; ``nuclei`` for the whole of
    the loss with masks."""
    adversarial: float = 0.0
    """Weight of the adversary's judgement; 0 = there is none."""
    adversary_rate: float = 1e-6
    adversary_layers: int = 4
    pretraining: float = 0.0
    """Part of the training before the adversary comes in."""
    pretraining_terms: Mapping[str, float] = field(default_factory=lambda: {"lsl": 1.0})
    selection: str = "loss"
    """Whose best state is kept: ``loss``, ``pixel``, ``feature`` or ``both``."""
    frugal: bool = False


#: Squared error correlates better with the measured stain than absolute error after the same
#: minutes, and so do planes whose grey values are left as they are while their shapes change.
FAST = TranslateHyper(
    learning_rate=1e-3, batch_size=4, patch_px=128, augmentation="shapes", ema=0.99,
    foreground_fraction=0.5, terms={"l2": 1.0},
)  # fmt: skip
#: HASTE report, sections 4.1 and 4.2, and its released configurations; 100 steps are an epoch. The
#: epochs are those for 60x; for 40x and 20x the report has 30 and 20, each and 10 more.
NUCLEI = TranslateHyper(
    learning_rate=1e-3, batch_size=6, patch_px=512, augmentation="rotation", optimizer="adamw",
    schedule="warm-restarts", ema=0.0, warmup_steps=0, epochs=70, weight_decay=1e-3,
    foreground_fraction=1.0, terms={"nuclei": 1.0},
)  # fmt: skip
LIPIDS = TranslateHyper(
    learning_rate=1e-4, batch_size=4, patch_px=512, augmentation="none", schedule="constant",
    ema=0.0, warmup_steps=0, epochs=1200, foreground_fraction=0.0,
    terms={"med_mae": 1.0, "gradient": 10.0}, adversarial=0.01, pretraining=200 / 1200,
)  # fmt: skip
CYTOPLASM = dataclasses.replace(
    LIPIDS, epochs=800, terms={"med_mae": 1.0, "gradient": 100.0}, pretraining=200 / 800
)
#: Generated images have all shapes already: a start learned from them is better with their own.
PREPARE = dataclasses.replace(FAST, augmentation="none")
PRESETS = {"fast": FAST, "nuclei": NUCLEI, "lipids": LIPIDS, "cytoplasm": CYTOPLASM}
#: Weight of edges where neither preset nor user says; the authors' later choice for lipids.
GRADIENT_WEIGHT = 5.0


def preset_of(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> str:
    """Return the preset's name; ``faithful`` is the one for nuclei where there are masks."""
    if start is not None:
        return str(start.preparation.get("preset", "fast"))
    if settings.preset in PRESETS:
        return settings.preset
    return "nuclei" if any(s.labels is not None for s in samples) else "lipids"


def hyper(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> TranslateHyper:
    """Resolve automatic training values.

    A retrained model learns with the values of the fast preset and the losses of its preset, without an
    adversary unless the user asks for it: four images do not teach one.
    """
    base = PRESETS[preset_of(samples, settings, start)]
    if start is not None:
        base = dataclasses.replace(FAST, terms=base.terms)
    elif base is FAST and all_synthetic(samples):
        base = PREPARE
    t, i, wish = settings.training, settings.images, settings.translation
    network = architecture(samples, settings) if start is None else start.architecture
    aim = _objective(base, wish, network)
    judged = bool(aim["adversarial"])
    layers = 3 if judged and wish.adversary_field == "70" else 4
    least = 3 * 2**layers if judged else 0  # three pixels at the adversary's coarsest
    whole = max(max(s.image.shape) for s in samples)  # beyond it are only mirror images
    patch_px = patch_side(i.patch_px or min(base.patch_px, whole), side_multiple(network), least)
    n_px = (t.batch_size or base.batch_size) * patch_px**2
    return resolved(
        base,
        settings,
        patch_px=patch_px,
        selection=wish.selection,
        adversary_rate=(judged and wish.adversary_rate) or None,
        adversary_layers=layers,
        frugal=_frugal(wish, network, n_px),
        pretraining_terms={_first_term(samples, settings, start, network): 1.0},
        **aim,
    )


def _first_term(
    samples: Sequence[Sample], settings: Any, start: Recipe | None, network: Mapping[str, Any]
) -> str:
    """Return the loss before the adversary comes in: logarithms, unless outputs may be negative."""
    if network["output"] != "scaled-tanh":
        return "l2"
    black = _black(samples, _fitted_range(samples, settings, start))
    return "lsl_black" if black else "lsl"


def _frugal(wish: Any, network: Mapping[str, Any], pixels: int) -> bool:
    if network["kind"] not in DENSE:
        return False
    return wish.save_memory == "yes" or (wish.save_memory == "auto" and pixels >= FRUGAL_FROM_PX)


def _objective(
    base: TranslateHyper, wish: Any, network: Mapping[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """Return losses and adversary as the preset has them or the user wants them."""
    terms, adversarial, pretraining = dict(base.terms), base.adversarial, base.pretraining
    chosen = {
        "l2": {"l2": 1.0},
        "l1": {"l1": 1.0},
        "l1-gradient": {"l1": 1.0, "gradient": GRADIENT_WEIGHT},
        "foreground": {"foreground_l1": 1.0},
        "nuclei": {"nuclei": 1.0},
    }
    if wish.objective in chosen:
        terms, adversarial, pretraining = chosen[wish.objective], 0.0, 0.0
    elif wish.objective == "adversarial" and not adversarial:
        terms, adversarial = {"med_mae": 1.0, "gradient": GRADIENT_WEIGHT}, LIPIDS.adversarial
        pretraining = LIPIDS.pretraining
    if "nuclei" in terms and not has_mask(network):
        terms = {"l1": 1.0}  # the loss with masks needs the network with two decoders
    if "gradient" in terms and wish.gradient_weight >= 0:
        terms["gradient"] = wish.gradient_weight
    if adversarial and wish.adversarial_weight >= 0:
        adversarial = wish.adversarial_weight
    return {"terms": terms, "adversarial": adversarial, "pretraining": pretraining}


def remarks(samples: Sequence[Sample], intent: Intent) -> list[str]:
    """Return warnings about the order of planes, magnification and masks."""
    old = intent.start.preparation.get("focus_curve") if intent.start else None
    odd = stacks.turned_around(samples, old) + magnification.mixed(samples, intent.start)
    return odd + _masks_in_vain(samples, intent.settings, intent.recipe)


def _masks_in_vain(samples: Sequence[Sample], settings: Any, given: Recipe) -> list[str]:
    """Say where masks are to teach that are not there, or a network that has no use for them."""
    if has_mask(given.architecture):
        if any(s.labels is not None for s in samples):
            return []
        return [
            "None of the images has a label image of nuclei, so the network learned nothing of its "
            "mask: do not use the masks it predicts, or add label images."
        ]
    if settings.translation.objective != "nuclei":
        return []
    return [
        f'"With masks of nuclei" (translation.objective) needs the network "Dense U-Net with masks", '
        f"found {given.architecture['kind']}, which learned the absolute error instead; choose that "
        "network (translation.network=lupi-unet) when training from scratch, or something else to learn."
    ]


def _black(samples: Sequence[Sample], fitted: Normalization) -> bool:
    """Say whether too many pixels become 0 in the range `fitted` to the stains for logarithms."""
    parts = [s.target.pixels for s in samples if s.target is not None]
    n_black = sum(int(np.count_nonzero(fitted.apply(p) <= 0)) for p in parts)
    return n_black > BLACK_FRACTION * max(1, sum(p.size for p in parts))


def _fitted_range(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Normalization:
    """Return what brings the stains of all samples to the network's range."""
    if start is not None:
        kind = stain_range(start).kind
    else:
        kind = "minmax" if settings.translation.stain_range == "minmax" else "percentile"
    targets = [s.target.pixels for s in samples if s.target is not None]
    return Normalization.fit(kind, targets, per="dataset", low=LOW, high=HIGH)


def architecture(samples: Sequence[Sample], settings: Any) -> dict[str, Any]:
    """Return the network that settings and samples call for."""
    wish, name = settings.translation, preset_of(samples, settings, None)
    kind = wish.network
    if kind == "auto":
        kind = {"fast": "unet", "nuclei": "lupi-unet"}.get(name, "dense-unet")
        if kind == "lupi-unet" and not any(s.labels is not None for s in samples):
            kind = "dense-unet"
    fast = name == "fast"
    width = {"dense-unet": 24 if fast else 48, "lupi-unet": 16 if fast else 32}
    target = next(s.target for s in samples if s.target is not None)
    made: dict[str, Any] = {
        "name": "translator",
        "kind": kind,
        "in_channels": samples[0].image.n_channels,
        "out_channels": target.n_channels,
        "width": wish.width or width.get(kind, 16 if fast else 32),
        "depth": wish.depth or (3 if fast and kind not in DENSE else 4),
        "output": "identity" if fast else "scaled-tanh",
    }
    if kind in DENSE:
        made |= {"growth": wish.growth or (6 if fast else 12), "layers": wish.layers or 4}
        made |= {"dropout": 0.0 if fast else 0.2}
    if has_mask(made):
        made["attention"] = wish.attention
    return made


def recipe(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Recipe:
    """Choose network and ranges; a retrained model keeps its network, not the ranges.

    Ranges over a data set are always those of the samples at hand, for exposure and staining
    differ from day to day.
    """
    targets = [s.target for s in samples if s.target is not None]
    if start is None:
        network = architecture(samples, settings)
        planes = _input_normalization(samples, settings)
    else:
        shape = {"in_channels": samples[0].image.n_channels, "out_channels": targets[0].n_channels}
        network = {**start.architecture, **shape}
        planes = start.normalization
    if planes.per == "dataset":
        planes = Normalization.fit(
            planes.kind, [s.image.pixels for s in samples], per="dataset",
            low=planes.low, high=planes.high,
        )  # fmt: skip
    sizes = [s.image.pixel_size_um for s in samples if s.image.pixel_size_um]
    preparation = {
        "preset": preset_of(samples, settings, start),
        "stain_range": _fitted_range(samples, settings, start).to_json(),
        "targets": list(names_of_stains(targets[0])),
        "target_dtype": str(targets[0].pixels.dtype),
        "pixel_size_um": float(np.median(sizes)) if sizes else None,
        "focus_curve": stacks.mean_focus(samples),
        "colour": any(s.image.is_colour for s in samples),
    }
    thresholds = {"mask": DEFAULT_MASK_THRESHOLD} if has_mask(network) else {}
    return Recipe(network, planes, preparation, {"tile_px": TILE_PX}, thresholds)


def _input_normalization(samples: Sequence[Sample], settings: Any) -> Normalization:
    """Return how planes are normalised: each image by itself, or all alike as published."""
    i, fast = settings.images, preset_of(samples, settings, None) == "fast"
    kind = i.normalization
    if kind == "auto":
        kind = "zscore" if fast else "percentile"
    numbers: dict[str, Any] = percentiles(kind, i) if fast else {"low": LOW, "high": HIGH}
    return Normalization(kind, per="image" if fast else "dataset", **numbers)


def names_of_stains(target: Image) -> tuple[str, ...]:
    """Return what measured stains are called, by their numbers where they have no names."""
    return target.channels or tuple(f"stain {i + 1}" for i in range(target.n_channels))


def stain_range(given: Recipe) -> Normalization:
    """Return what brings stains to the network's range and back."""
    return Normalization.from_json(given.preparation["stain_range"])
