"""Does a model notice images unlike those it was trained on?

    python benchmarks/unlike.py

Images like the training images are others of the same set; unlike them are images of other
sets, and the first ones blurred (4 px), inverted, and enlarged twice. Models that count or
translate are trained on the images for a few seconds and kept.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import Results, count_processor_time, one_thread
from unlike_sets import SCENARIOS, learned_and_like, model, pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from unlike_sets import Scenario

    from microshot.api import Predictor
    from microshot.data.dataset import Sample

ABOUT = (
    "Area under the ROC curve (1 = every unlike image has a greater score than every like image), and "
    "parts flagged at the limit set from the training images alone. `likeness` is what models keep."
)
N_LIKE, N_CHANGED = 24, 8
#: Where the first layer lies; the first that a network has.
FIRST = ("stem", "backbone.encoder.0")
CHANGES = {"blurred": "out of focus", "inverted": "inverted contrast", "enlarged": "twice as large"}


@dataclass(frozen=True)
class Method:
    """A kind of number of an image and a distance."""

    features: str
    distance: str


METHODS = (
    Method("signature", "nearest"),
    Method("signature", "Mahalanobis"),
    Method("deepest layer", "nearest"),
    Method("deepest layer", "Mahalanobis"),
    Method("first layer", "nearest"),
    Method("first layer", "Mahalanobis"),
)


def changed(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Return images out of focus, inverted and enlarged."""
    from scipy.ndimage import gaussian_filter

    from microshot.data.dataset import Sample
    from microshot.data.image import Image
    from microshot.data.scale import resize_image

    made: dict[str, list[Sample]] = {name: [] for name in CHANGES}
    for sample in samples[:N_CHANGED]:
        pixels = sample.image.pixels.astype(np.float32)
        y, x = (n // 2 for n in pixels.shape[1:])
        parts = {
            "blurred": np.stack([gaussian_filter(plane, 4) for plane in pixels]),
            "inverted": pixels.max() + pixels.min() - pixels,
            "enlarged": resize_image(pixels[:, :y, :x], (2 * y, 2 * x)),
        }
        for name, part in parts.items():
            made[name].append(Sample(sample.name, Image(part)))
    return made


def described(predictor: Predictor, sample: Sample) -> dict[str, np.ndarray]:
    """Return the numbers of an image of every kind."""
    from microshot.inference.encoder_features import Features, listening
    from microshot.metrics.texture import signature

    network = predictor.network.model  # type: ignore[attr-defined]
    first = Features()
    with ExitStack() as stack:
        deepest = stack.enter_context(listening(network))
        modules = dict(network.named_modules())
        layer = next(modules[name] for name in FIRST if name in modules)
        hook = layer.register_forward_hook(lambda _module, _input, out: first.add(out))
        stack.callback(hook.remove)
        predictor.task.raw(predictor.network, predictor.recipe, sample, predictor.options)
        found = signature(sample.image.pixels)
        assert found is not None
        return {
            "signature": found,
            "deepest layer": deepest.take()[0].astype(float),
            "first layer": first.take()[0].astype(float),
        }


def scaled(known: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both in units of the scatter among the known, drawn to a typical one."""
    from microshot.trust.likeness import PRIOR_IMAGES

    squares = ((known - known.mean(0)) ** 2).sum(0)
    typical = np.median(known.var(0)) or 1e-12
    freedom = PRIOR_IMAGES + len(known) - 1
    scatter = np.sqrt((PRIOR_IMAGES * typical + squares) / freedom)
    return (known - known.mean(0)) / scatter, (found - known.mean(0)) / scatter


def nearest(known: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the distance of every (m, F) to the nearest of (n, F)."""
    a, b = scaled(known, found)
    return np.sqrt(((b[:, None] - a[None]) ** 2).mean(2)).min(1)


def mahalanobis(known: np.ndarray, found: np.ndarray, shrinkage: float = 0.3) -> np.ndarray:
    """Return the distance of every (m, F) to the middle of (n, F), covariance shrunk."""
    a, b = scaled(known, found)
    n, floor = len(a), shrinkage * float((a**2).mean()) + 1e-9
    inner = np.eye(n) * floor * n / (1 - shrinkage) + a @ a.T  # Woodbury's identity
    explained = np.einsum("ij,ji->i", b @ a.T, np.linalg.solve(inner, a @ b.T))
    return np.sqrt(np.maximum((b**2).sum(1) - explained, 0) / floor / a.shape[1])


DISTANCES: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "nearest": nearest,
    "Mahalanobis": mahalanobis,
}


def scores(method: Method, groups: Mapping[str, Sequence[dict[str, np.ndarray]]]) -> dict[str, Any]:
    """Return distances over the limit of all groups; the limit is made leaving one out."""
    from microshot.trust.likeness import DISTANCE_SCATTER, Range

    away = DISTANCES[method.distance]
    arrays = {k: np.stack([d[method.features] for d in v]) for k, v in groups.items()}
    train = arrays["train"]
    own = [away(np.delete(train, i, 0), train[i : i + 1])[0] for i in range(len(train))]
    usual = Range.of(np.log(np.maximum(own, 1e-6)), DISTANCE_SCATTER)
    limit = np.exp(usual.middle + usual.reach)
    return {k: away(train, v) / limit for k, v in arrays.items()}


def auroc(like: np.ndarray, unlike: np.ndarray) -> float:
    """Return how often an unlike image scores higher than a like one."""
    return float((unlike[:, None] > like).mean() + 0.5 * (unlike[:, None] == like).mean())


def row_of(found: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, float]:
    """Return areas under the curve and parts flagged."""
    other = np.concatenate([found[name] for name in names])
    made = {
        "false_alarms": float((found["like"] > 1).mean()),
        "other": auroc(found["like"], other),
        "worst_other": min(auroc(found["like"], found[name]) for name in names),
        "flagged_other": float((other > 1).mean()),
    }
    for name in CHANGES:
        made[name] = auroc(found["like"], found[name])
        made[f"flagged_{name}"] = float((found[name] > 1).mean())
    return {k: round(v, 4) for k, v in made.items()}


def measure(results: Results, scenario: Scenario, seed: int) -> None:
    """Measure all methods on one set."""
    from microshot import api, trust
    from microshot.trust.likeness import Likeness

    key = {
        "trained_on": scenario.data,
        "n": scenario.n,
        "task": scenario.task,
        "seed": seed,
    }
    if results.has({**key, "features": "likeness"}):
        return
    learned, like = learned_and_like(scenario, seed, N_LIKE)
    bundle = model(scenario, learned, seed)
    predictor = api.Predictor(bundle, inspected=True)
    others = {name: pictures(name) for name in scenario.others}
    groups = {"train": learned.samples, "like": like.samples, **others, **changed(like.samples)}
    known = {k: [described(predictor, s) for s in v] for k, v in groups.items()}
    for method in METHODS:
        found = scores(method, known)
        results.add({**key, "features": method.features, "distance": method.distance,
                     **row_of(found, list(others))})  # fmt: skip
    remembered = bundle.card.calibration
    if scenario.task == "segment":  # its own training images are others
        remembered = trust.learned(learned.samples, [], predictor.recipe)
    kept = Likeness.from_json(remembered["likeness"])
    assert kept is not None
    verdicts = {k: [kept.judge(d["signature"]) for d in v] for k, v in known.items()}
    found = {k: np.array([v.score for v in one]) for k, one in verdicts.items()}
    named = {
        f"named_{k}": round(float(np.mean([word in v.warning for v in verdicts[k]])), 4)
        for k, word in CHANGES.items()
    }
    results.add({**key, "features": "likeness", "distance": "nearest", **row_of(found, list(others)),
                 **named})  # fmt: skip


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1")
    given = parser.parse_args()
    one_thread()
    count_processor_time()
    results = Results("unlike", ABOUT)
    for seed in (int(one) for one in given.seeds.split(",")):
        for scenario in SCENARIOS:
            measure(results, scenario, seed)


if __name__ == "__main__":
    main()
