"""The task *count*: how many objects are in an image, and between which numbers that lies.

There is more than one way to count, each a module with a `Way`: what network, what it learns from,
and how it counts one image. All that is done with a count lies here.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from microshot.metrics.counts import count_scores
from microshot.progress import Progress, silent
from microshot.tasks.base import Task
from microshot.tasks.counting.base import (
    CountPrediction,
    Options,
    RawCount,
    decoded,
    half_widths,
    true_count,
)
from microshot.tasks.object_scale import is_asked, told_diameter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

    from microshot.data.dataset import Sample
    from microshot.data.image import Image
    from microshot.inference.predictor import Network
    from microshot.nn.onnx_graph import Graph
    from microshot.tasks.base import Intent, Recipe, Scores
    from microshot.tasks.counting.way import Way
    from microshot.tasks.hyper import Hyper
    from microshot.tasks.lesson import Lesson
    from microshot.training.solving import Solution
    from microshot.training.trainer import Stage

#: Name of a way in settings and model files, and its module in this package.
WAYS = {
    "density": "density",
    "twin-vae": "twin_vae",
    "watershed": "watershed",
    "frozen-cnn": "frozen",
}
DEFAULT_WAY = "density"


def way_named(name: Any) -> Way:
    """Return a way to count.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.
    """
    import importlib

    if not isinstance(name, str) or name not in WAYS:
        raise ValueError(
            f"Network: expected one of {', '.join(WAYS)} as the way to count, found {name!r:.60}."
        )
    return importlib.import_module(f"microshot.tasks.counting.{WAYS[name]}").WAY


def _way(settings: Any, start: Recipe | None) -> Way:
    if start is not None:
        return way_of(start.architecture)
    wish = settings.count.architecture
    return way_named(DEFAULT_WAY if wish == "auto" else wish)


def way_of(architecture: Mapping[str, Any]) -> Way:
    """Return the way to count that a network belongs to."""
    return way_named(architecture.get("name"))


#: The starter model that finds how large objects are for a counter that knows objects of any size.
SIZE_FINDER = "cells-generalist-fast"


class CountTask(Task):
    """See `tasks.base.Task`."""

    name = "count"
    needs = "count, points or label image"
    primary = "mae"
    primary_label = "MAE"
    larger_is_better = False

    @property
    def parts(self) -> Mapping[str, tuple[str, ...]]:
        """Parts of the networks of all ways; none has parameters of another's names."""
        found: dict[str, tuple[str, ...]] = {}
        for name in WAYS:
            for part, prefixes in way_named(name).parts.items():
                found[part] = (*found.get(part, ()), *prefixes)
        return found

    def strategies(self, architecture: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tables of frozen and thawed parts of ways that have their own."""
        return dict(way_of(architecture).strategies)

    # ---- training

    def is_labelled(self, sample: Sample) -> bool:
        """A count teaches, and so do points and labels, also where there is no object.

        An image with areas to be ignored needs a count of the whole beside them.
        """
        return true_count(sample) is not None

    def learns_unlabelled(self, recipe: Recipe, hyper: Hyper) -> bool:
        """Ways that also learn to draw images learn from uncounted ones."""
        say = way_of(recipe.architecture).learns_unlabelled
        return say is not None and say(recipe, hyper)

    def remarks(
        self, samples: Sequence[Sample], unlabelled: Sequence[Sample], intent: Intent
    ) -> list[str]:
        """Return what a way has to say about these settings with these samples."""
        say = way_of(intent.recipe.architecture).remarks
        return [] if say is None else say(samples, unlabelled, intent)

    def check(self, samples: Sequence[Sample]) -> list[str]:
        """Refuse counts that can teach nothing; warn of suspicious ones."""
        counts = {}
        for s in samples:
            if (count := true_count(s)) is None:
                continue
            if not (math.isfinite(count) and count >= 0):
                raise ValueError(
                    f"{s.name}: expected a count from 0 on, found {count:g}; correct it, or leave "
                    "it empty if the image was not counted."
                )
            counts[s.name] = count
        if not any(counts.values()):
            raise ValueError(
                "All images are counted as empty; expected some with objects, check that the "
                "counts belong to these images."
            )
        notes = []
        if len(counts) > 1 and len(set(counts.values())) == 1:
            notes.append(
                f"All {len(counts)} images have the same count, {max(counts.values()):g}: what makes it "
                "greater or smaller cannot be learned from them."
            )
        for s in samples:
            placed = true_count(dataclasses.replace(s, count=None))
            if s.count is not None and placed is not None and placed != s.count:
                what = "points" if s.points is not None else "objects in its label image"
                notes.append(
                    f"{s.name}: its count is {s.count:g}, but there are {placed:g} {what}."
                )
        return notes

    def hyper(self, samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Hyper:
        """Resolve automatic training values."""
        return _way(settings, start).hyper(samples, settings, start)

    def recipe(self, samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Recipe:
        """Make the choices that depend on the data; a retrained model keeps its architecture."""
        return _way(settings, start).recipe(samples, settings, start)

    def checked(self, recipe: Recipe) -> Recipe:
        """Return a model file's recipe completed; refuse one that makes no sense."""
        return way_of(recipe.architecture).checked(recipe)

    def build(self, architecture: Mapping[str, Any], seed: int) -> nn.Module:
        """Return the network with fresh weights drawn from `seed`."""
        return way_of(architecture).build(architecture, seed)

    def graph(self, architecture: Mapping[str, Any]) -> Graph | None:
        """Return the network as ONNX operators, from ways that know it so."""
        make = way_of(architecture).graph
        return None if make is None else make(architecture)

    def fresh(self, architecture: Mapping[str, Any], settings: Any, seed: int) -> nn.Module:
        """Return the network to train from scratch, with published encoder weights if wished."""
        start = way_of(architecture).fresh or super().fresh
        return start(architecture, settings, seed)

    def libraries(self, recipe: Recipe, hyper: Hyper) -> tuple[str, ...]:
        """Return the large libraries that training needs beside PyTorch."""
        say = way_of(recipe.architecture).libraries
        return () if say is None else say(hyper)

    def image(self, sample: Sample, recipe: Recipe, options: Options | None = None) -> Image:
        """Return the image as the model takes it; a way may know what to do with colours."""
        take = way_of(recipe.architecture).image or super().image
        return take(sample, recipe)

    def prepare(self, sample: Sample, recipe: Recipe) -> Any:
        """Bring one labelled sample into the form the training batches are drawn from."""
        return way_of(recipe.architecture).prepare(sample, recipe)

    def stages(self, model: nn.Module, lesson: Lesson[Any, Any]) -> list[Stage] | Solution:
        """Return what to train, in order, or how to find the weights."""
        return way_of(lesson.recipe.architecture).stages(model, lesson)

    # ---- prediction

    def raw(
        self,
        network: Network,
        recipe: Recipe,
        sample: Sample,
        options: Options | None = None,
        progress: Progress = silent,
    ) -> RawCount:
        """Count the objects of one image."""
        way = way_of(recipe.architecture)
        return way.raw(network, recipe, sample, options or Options(), progress)

    def raw_for_calibration(self, network: Network, recipe: Recipe, sample: Sample) -> RawCount:
        """Count the objects of one labelled image."""
        told = told_diameter(recipe, sample)
        return self.raw(network, recipe, sample, Options(diameter_px=told))

    def options(self, settings: Any) -> Options:
        """Take from the user's settings what this task knows."""
        names = [f.name for f in dataclasses.fields(Options)]
        known = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
        wish = getattr(settings, "interval", "auto")
        return Options(**known, level=0.0 if wish == "auto" else int(wish) / 100)

    def size_finder(self, recipe: Recipe, options: Options) -> str:
        """Return the starter model that finds the size of objects that a density map cannot tell."""
        takes_one = recipe.architecture["in_channels"] == 1
        return SIZE_FINDER if takes_one and is_asked(recipe, options) else ""

    def decode(
        self, raw: RawCount, recipe: Recipe, options: Options | None = None
    ) -> CountPrediction:
        """Put the interval around a raw count."""
        return decoded(raw, recipe, options or Options())

    def sized(
        self,
        network: Network,
        recipe: Recipe,
        samples: Sequence[Sample],
        settings: Any,
        find: Callable[[], float],
        progress: Progress = silent,
    ) -> tuple[Recipe, list[str]]:
        """Find out how large the objects are, for ways to which that matters."""
        way = way_of(recipe.architecture)
        if way.sized is None:
            return recipe, []
        return way.sized(network, recipe, samples, settings, find, progress)

    def adapted(self, recipe: Recipe, to: Recipe) -> Recipe:
        """Return `recipe` for images with the object diameter of `to`, where it has one."""
        diameter = to.preparation.get("image_diameter_px")
        if diameter is None or "image_diameter_px" not in recipe.preparation:
            return recipe
        preparation = {**recipe.preparation, "image_diameter_px": diameter}
        if "each_image" in preparation:
            preparation["each_image"] = False
        return dataclasses.replace(recipe, preparation=preparation)

    def calibrate(
        self,
        raw: Sequence[RawCount],
        samples: Sequence[Sample],
        recipe: Recipe,
        progress: Progress = silent,
        *,
        held_out: bool = True,
    ) -> dict[str, float]:
        """Return what intervals need; nothing where the samples were trained on.

        Errors on images that a model has seen are smaller than those to come, and intervals
        made from them would promise too much.
        """
        return half_widths(raw, samples) if held_out else half_widths((), ())

    def completed(self, prediction: CountPrediction, recipe: Recipe) -> CountPrediction:
        """Put the interval of `recipe` around the count."""
        return decoded(prediction.raw, recipe, Options())

    # ---- scores

    def score(self, prediction: CountPrediction, sample: Sample, **_options: Any) -> Scores:
        """Compare the count with the truth; ``mae`` is that of the rounded count."""
        truth = true_count(sample)
        if truth is None:
            raise ValueError(f"{sample.name}: has no count to compare with.")
        error = abs(prediction.n_objects - truth)
        return {
            "true_count": truth,
            "count": prediction.count,
            "mae": error,
            "error": prediction.count - truth,
            "relative_error": error / truth if truth > 0 else math.nan,
        }

    def summarize(self, scores: Sequence[Scores]) -> Scores:
        """Return MAE, relative error, exact counts and more over all images."""
        return count_scores([s["true_count"] for s in scores], [s["count"] for s in scores])
