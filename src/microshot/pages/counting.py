"""From results of counting to the parts of their pages."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from microshot.data.objects import centroids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from microshot.api import Example, Retrained, Trained
    from microshot.bundle import Card
    from microshot.data.dataset import Dataset, Sample
    from microshot.report.counted import Counted
    from microshot.report.page import Markup
    from microshot.report.pictures import Example as Picture
    from microshot.tasks.counting.base import CountPrediction

#: Said of marks that may lie beside the objects.
COUNTS_ONLY = (
    "The model was last trained on images without label images. Where it learned from counts alone, "
    "marks show what it counted, and may lie beside the objects."
)
#: Images whose reconstructions are shown, of either domain.
MOST_DRAWN = 3
#: Images on the map of the latent space.
MOST_MAPPED = 600


def counted(example: Example) -> Counted:
    """Return what is known of the count of a scored image, by one model or two."""
    made = _counted(example.sample, example.prediction)
    if example.old is None:
        return made
    return replace(made, old=_counted(example.sample, example.old))


def _counted(sample: Sample, prediction: CountPrediction) -> Counted:
    from microshot.report.counted import Counted
    from microshot.tasks.counting.base import true_count

    return Counted(
        sample.name,
        true_count(sample),
        prediction.count,
        prediction.low,
        prediction.high,
        prediction.level,
        points=prediction.points,
        true_points=_true_points(sample),
        heat=prediction.heat,
        embedding=prediction.raw.embedding,
        domain=sample.domain,
    )


def _true_points(sample: Sample) -> np.ndarray | None:
    """Return (n, 2) y and x of the true objects: marked ones, or the centres of labels."""
    if sample.points is not None or sample.labels is None:
        return sample.points
    return centroids(sample.labels)


def picture(example: Example) -> Picture:
    """Return what the report draws of a scored image."""
    from microshot.report.pictures import Example as Picture

    pixels = example.sample.image.pixels
    return Picture(example.sample.name, pixels, counted=counted(example))


def predicted(sample: Sample, prediction: CountPrediction) -> Picture:
    """Return what the report draws of an image without its truth."""
    from microshot.report.pictures import Example as Picture

    made = replace(_counted(sample, prediction), true=None, true_points=None)
    return Picture(sample.name, sample.image.pixels, counted=made)


def scored(name: str, pixels: np.ndarray, true: float, counts: Mapping[str, Any]) -> Picture:
    """Return what a page of scores draws of an image: the photograph with its counts.

    Parameters
    ----------
    counts : count and interval (low and high, or None) by prediction.
    """
    from microshot.report.counted import Counted
    from microshot.report.pictures import Example as Picture

    made = {
        model: Counted(name, true, count, *(interval or ()))
        for model, (count, interval) in counts.items()
    }
    if len(made) == 1:
        return Picture(name, pixels, counted=next(iter(made.values())))
    told = [f"{model} {replace(one, true=None).text}" for model, one in made.items()]
    return Picture(name, pixels, caption=", ".join(told), counted=Counted(name, true))


def training_sections(result: Trained) -> list[Markup]:
    """Return scatter, why intervals are without bound, reconstructions and latent map."""
    from microshot.report import count_views, latent_views

    every = [counted(e) for e in result.examples]
    notes = [e.prediction.note for e in result.examples if math.isinf(e.prediction.high)]
    return [
        count_views.unbounded_note(notes, len(every)),
        count_views.scatter_section(every),
        latent_views.drawn_section(reconstructions(result)),
        _map(result),
    ]


def _map(result: Trained) -> Markup:
    """Return the map of the latent space, from the model's card where it carries one."""
    from microshot.report import latent_views

    known = result.bundle.card.report.get("latent_map") or latent_map(result)
    return latent_views.map_section(known, [s.name for s in _on_map(result)])


def latent_map(result: Trained) -> dict[str, Any]:
    """Return the map of a Twin-VAE's latent space as JSON values; empty for other models."""
    from microshot.report import latent_views

    kind = result.bundle.card.settings.get("twin_vae", {}).get("latent_map", "pca")
    return latent_views.latent_map(mapped(result), kind)


def _on_map(result: Trained) -> Dataset:
    from microshot.data.dataset import spaced

    return result.data.take(spaced(range(len(result.data)), MOST_MAPPED))


def mapped(result: Trained) -> list[Counted]:
    """Return the images a Twin-VAE was trained on with their places in its latent space.

    Uncounted ones are there with the count that the network gives them.
    """
    from microshot.api import Predictor
    from microshot.settings import PredictSettings

    if result.bundle.card.architecture.get("name") != "twin-vae" or result.stopped == "cancelled":
        return []
    predictor = Predictor(result.bundle, PredictSettings(device="cpu"))
    return [_counted(sample, predictor(sample)) for sample in _on_map(result)]


def retrain_sections(result: Retrained) -> list[Markup]:
    """Return true against predicted counts of both models, drawings and latent map of the new."""
    from microshot.report import count_views, latent_views

    scatter = count_views.scatter_section([counted(e) for e in result.comparison])
    if result.kept == "old":
        return [scatter]
    return [
        scatter,
        latent_views.drawn_section(reconstructions(result)),
        _map(result),
    ]


def prediction_parts(
    card: Card, shown: Sequence[tuple[Sample, CountPrediction]], rows: Sequence[Any]
) -> list[Markup]:
    """Return what intervals without a bound mean, and marks of a model that learned no places."""
    from microshot.report import count_views
    from microshot.report.page import notes_list
    from microshot.report.wording import is_number

    n = sum("high" in row and not is_number(row["high"]) for row in rows)
    notes = list(dict.fromkeys(p.note for _, p in shown if math.isinf(p.high)))
    marked = any(p.points is not None for _, p in shown) and not card.data.get("n_labelled")
    return [
        count_views.unbounded_note((notes or [""]) * max(n, len(notes)), len(rows)),
        notes_list([COUNTS_ONLY] if marked else []),
    ]


def reconstructions(result: Trained) -> list[tuple[str, str, dict[str, np.ndarray]]]:
    """Return name, domain and drawings of a few images, by a Twin-VAE that draws; else nothing."""
    from microshot.device import choose_device
    from microshot.opening import network_of, recipe_of
    from microshot.tasks.counting import twin_vae

    architecture = result.bundle.card.architecture
    if architecture.get("name") != "twin-vae" or not architecture.get("decoder"):
        return []
    network, recipe = network_of(result.bundle, choose_device("cpu")), recipe_of(result.bundle.card)
    some = [
        s
        for domain in ("natural", "synthetic")
        for s in [s for s in result.data if s.domain == domain][:MOST_DRAWN]
    ]
    return [(s.name, s.domain, twin_vae.reconstructions(network, recipe, s)) for s in some]
