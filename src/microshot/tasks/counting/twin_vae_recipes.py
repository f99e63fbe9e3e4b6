"""The choices of the Twin-VAE: its size, the preparation of images and the training values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.normalize import Normalization
from microshot.nn.twin_vae_shapes import LEAST_WIDTH, check_architecture
from microshot.tasks.base import Recipe
from microshot.tasks.counting.base import checked_thresholds, true_count
from microshot.tasks.counting.twin_vae_images import EIGHT_BIT, shrink_too_small
from microshot.tasks.hyper import Hyper, percentiles, resolved, unless_auto

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Sample

LARGE_IMAGES = ("resize", "windows")
#: Larger images are counted in windows where objects would become smaller than this when reduced.
LEAST_DIAMETER_PX = 8.0
#: Mean count up to which counts are learned as they are; greater ones are scaled down to it.
USUAL_COUNT = 10.0
#: Augmentations that leave grey values as they are, and so add no noise.
NOISELESS = ("none", "shapes")


@dataclass(frozen=True)
class TwinVaeHyper(Hyper):
    """Training values of the Twin-VAE; see `settings.counting.TwinVaeTraining`."""

    reconstruction: str = "mse"
    reconstruction_factor: float = 100.0
    counting_factor: float = 1.0
    divergence_factor: float = 2.0
    reconstruction_decay: float = 0.0
    delay_epochs: int = 0
    masked: bool = True
    """Whether the counting loss is averaged over counted images only."""
    labelled_share: float = 0.25
    """Part of counted images in what is drawn of the microscope's; 0 = as they come."""
    alternating: bool = False
    synthetic_ratio: float = 1.0
    """Synthetic images per microscope image; 0 = as many as there are (alternating only)."""
    begin_with: str = "both"
    cross_feed: bool = False
    crop_fraction: float = 0.9
    rotate_deg: float = 5.0
    noise: float = 0.0025
    changed_share: float = 0.5
    """Part of the pictures that are turned a little and cropped. Resampling blurs: a network that
    has seen blurred pictures only counts sharp ones with an error to one side."""
    shifted_share: float = 1.0
    """Part of the pictures that are shifted around their edges. Without it, few counted images are
    learned by heart: in bright field, 40 of them gave a MAE of 1.76 on others, and 1.42 with it."""
    steps_per_epoch: int = 100


#: Steadier with few counted images: masked mean, counted images drawn more often, both domains in
#: every step, a falling learning rate and averaged weights; images are centred (see `nn.twin_vae`).
#: Shifted images take longer to learn: with 2e-3 instead of 6e-4, 12 s of a processor gave a MAE of
#: 1.03 instead of 1.53 after 20 counted images in a new stain, and less in bright field, too.
FAST = TwinVaeHyper(
    learning_rate=2e-3, batch_size=32, patch_px=128, augmentation="light", weight_decay=1e-5,
)  # fmt: skip
#: Kenneweg, Stallmann & Hammer 2022, section 3, for phase contrast (bright field: RAdam, batches
#: of 64, cross-entropy with a decay of 3e-5); 50,000 epochs from scratch.
FAITHFUL = TwinVaeHyper(
    learning_rate=1.3e-4, batch_size=128, patch_px=128, augmentation="light", weight_decay=1e-5,
    schedule="constant", ema=0.0, clip=0.0, warmup_steps=0, epochs=50_000, counting_factor=3.0,
    delay_epochs=100, masked=False, labelled_share=0.0, alternating=True, synthetic_ratio=0.0,
    changed_share=1.0, shifted_share=0.0,
)  # fmt: skip
PRESETS = {"fast": FAST, "faithful": FAITHFUL}
WIDTHS = {"fast": 0.25, "faithful": 1.0}


def hyper(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> TwinVaeHyper:
    """Resolve automatic training values; retraining takes those of the fast preset."""
    base = FAST if start is not None else PRESETS[settings.preset]
    architecture = _architecture(settings) if start is None else start.architecture
    base = resolved(
        base,
        settings,
        patch_px=int(architecture["side"]),
        steps_per_epoch=settings.training.steps_per_epoch,
        **_synthetic(base, settings),
    )
    base = _with_own_knobs(base, settings.twin_vae)
    return _as_drawn(base, settings.twin_vae) if _draws(settings, start) else base


def _draws(settings: Any, start: Recipe | None) -> bool:
    """Say whether the network is to reconstruct images."""
    wish = settings.twin_vae.decoder
    if wish != "auto":
        return wish == "yes"
    return bool(start.architecture["decoder"]) if start else settings.preset == "faithful"


def _as_drawn(base: TwinVaeHyper, wish: Any) -> TwinVaeHyper:
    """Return `base` with what the user chose of the reconstruction, which a decoder alone heeds."""
    made = dataclasses.replace(base, **_numbers(wish, "reconstruction_factor"))
    if not made.reconstruction_factor:
        return made
    kind = unless_auto(wish.reconstruction) or base.reconstruction
    return dataclasses.replace(made, **_numbers(wish, "reconstruction_decay"), reconstruction=kind)


def _numbers(wish: Any, *names: str) -> dict[str, Any]:
    """Return the named numbers that are not left to the preset."""
    return {name: getattr(wish, name) for name in names if getattr(wish, name) >= 0}


def _with_own_knobs(base: TwinVaeHyper, wish: Any) -> TwinVaeHyper:
    """Return `base` with what the user chose among the knobs of every Twin-VAE."""
    numbers = ["counting_factor", "divergence_factor", "delay_epochs"]
    if not base.alternating:  # else every image has its turn
        numbers.append("labelled_share")
    if base.augmentation != "none":
        numbers += ["crop_fraction", "rotate_deg", "shifted_share"]
    if base.augmentation not in NOISELESS:
        numbers.append("noise")
    return dataclasses.replace(
        base,
        **_numbers(wish, *numbers),
        masked=base.masked if wish.mean == "auto" else wish.mean == "counted",
        begin_with=wish.begin_with,
        cross_feed=wish.cross_feed,
    )


def _synthetic(base: TwinVaeHyper, settings: Any) -> dict[str, Any]:
    """Return whether both kinds of images are in every step, and how many synthetic ones.

    Their number per microscope image, or the part of the crops where no number is set and it matters.
    """
    wish = settings.twin_vae
    alternating = base.alternating if wish.batches == "auto" else wish.batches == "alternating"
    ratio, part = wish.synthetic_ratio, None
    if not ratio and not alternating:
        part = settings.images.synthetic_fraction
        ratio = part / (1 - part)
    return {"alternating": alternating, "synthetic_ratio": ratio, "synthetic_fraction": part}


def recipe(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Recipe:
    """Choose network, normalisation and what is done with larger images.

    A retrained model keeps them all, but may leave its decoder behind or get a new one.

    Raises
    ------
    ValueError
        If the normalisation does not end between 0 and 1, cross-feed lacks its decoder, or the
        map of the latent space its package.
    """
    _check_map(settings.twin_vae.latent_map)
    if start is not None:
        network = {**start.architecture, "decoder": _draws(settings, start)}
        new_writers = network["decoder"] and not start.architecture["decoder"]
        made = dataclasses.replace(
            start,
            architecture=network,
            preparation={**start.preparation, "from_scratch": False, "new_writers": new_writers},
            thresholds=checked_thresholds({}),  # intervals come from the errors of the old model
        )
    else:
        network = {**_architecture(settings), **_scale(samples, settings.preset)}
        large = settings.twin_vae.large_images
        if large == "auto":
            small = shrink_too_small(list(samples), int(network["side"]), LEAST_DIAMETER_PX)
            large = "windows" if small else "resize"
        preparation = {"large_images": large, "from_scratch": True, "new_writers": False}
        made = Recipe(network, _normalization(samples, settings), preparation)
    if settings.twin_vae.cross_feed and not network["decoder"]:
        raise ValueError(
            'Cross-feed draws images, but "Reconstruct images" is off; switch it on (yes) or '
            "cross-feed off."
        )
    return made


def _check_map(kind: str) -> None:
    """Refuse a map that could not be drawn, before the training rather than after it."""
    if kind == "umap" and find_spec("umap") is None:
        raise ValueError(
            'The map by UMAP needs the Python package umap-learn, which is not installed; choose "Main '
            'axes (PCA)" as map of the latent space (twin_vae.latent_map=pca) or install it.'
        )


def _architecture(settings: Any) -> dict[str, Any]:
    v, preset = settings.twin_vae, settings.preset
    faithful = preset == "faithful"
    width = v.width or WIDTHS[preset]
    return check_architecture(
        {
            "side": int(v.side_px),
            "width": float(max(width, LEAST_WIDTH)),
            "decoder": _draws(settings, None),
            "decoder_norm": "batch" if faithful else "group",
            "input": "plain" if faithful else "centred",
            "dropout": 0.1 if faithful else 0.05,
            "regressor_input": v.regressor_input,
            "regressor_activation": v.regressor_activation,
            "latent_at_inference": v.latent_at_inference,
            "initialisation": v.initialisation,
        }
    )


def _scale(samples: Sequence[Sample], preset: str) -> dict[str, float]:
    """Let the fast preset begin with the mean count, and learn large counts in larger units."""
    counts = [c for c in map(true_count, samples) if c is not None]
    if preset == "faithful" or not counts:
        return {"initial_count": 0.0, "count_scale": 1.0}
    mean = float(np.mean(counts))
    return {"initial_count": mean, "count_scale": max(1.0, mean / USUAL_COUNT)}


def _normalization(samples: Sequence[Sample], settings: Any) -> Normalization:
    i = settings.images
    kind = i.normalization
    if kind == "zscore":
        raise ValueError(
            "The Twin-VAE needs images between 0 and 1, found the normalisation to mean 0 and "
            'deviation 1; choose "Percentiles" or "Minimum and maximum".'
        )
    if kind == "auto" and settings.preset == "faithful":
        eight_bit = all(s.image.pixels.dtype == np.uint8 for s in samples)
        return EIGHT_BIT if eight_bit else Normalization("minmax")
    kind = "percentile" if kind == "auto" else kind
    return Normalization(kind, **percentiles(kind, i))


def checked(given: Recipe) -> Recipe:
    """Return the recipe of a model file with what is optional filled in.

    Raises
    ------
    ValueError
        If the network is none that can be built, or the preparation makes no sense.
    """
    architecture = check_architecture(given.architecture)
    large = given.preparation.get("large_images", "resize")
    if not isinstance(large, str) or large not in LARGE_IMAGES:
        raise ValueError(
            f"The model's large_images must be one of {', '.join(LARGE_IMAGES)}, found "
            f"{large!r:.60}; the model file was changed by another program."
        )
    if given.normalization.kind == "zscore":
        raise ValueError(
            "The model's normalisation must end between 0 and 1, found zscore; the model file was "
            "changed by another program."
        )
    learned = {"from_scratch": False, "new_writers": False}
    preparation = {**learned, **given.preparation, "large_images": large}
    thresholds = checked_thresholds(given.thresholds)
    return dataclasses.replace(
        given, architecture=architecture, preparation=preparation, thresholds=thresholds
    )
