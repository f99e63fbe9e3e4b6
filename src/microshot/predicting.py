"""A model applied to images: loaded once, told how large objects are, then one image after another."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from microshot import knobs, starters
from microshot.bundle import Bundle
from microshot.data.dataset import Sample, first_of_parts
from microshot.opening import ready, recipe_of
from microshot.progress import Progress, silent, span
from microshot.settings import PredictSettings, TranslateSettings
from microshot.tasks import task_named
from microshot.tasks.object_scale import assumed_size
from microshot.tasks.segmenting.size_search import size_note, size_taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from microshot.data.dataset import Dataset
    from microshot.device import Device
    from microshot.tasks.common_size import Sizes

#: To look for the size of an image's objects takes about as long as to find objects in so many.
LOOK_COSTS = 8
Item = TypeVar("Item")


class Predictor:
    """A model ready to be applied to one image after another.

    ONNX Runtime computes on a processor, PyTorch on other devices, in bfloat16 and where the network
    is `inspected` (see `inference.encoder_features`).
    """

    def __init__(
        self,
        bundle: Bundle,
        settings: PredictSettings | TranslateSettings | None = None,
        *,
        inspected: bool = False,
        progress: Progress = silent,
    ) -> None:
        self.settings = knobs.check(settings or PredictSettings())
        self.card = bundle.card
        self.task = task_named(bundle.card.task)
        self.recipe = recipe_of(bundle.card)
        if not self.task.takes_stacks:
            self.recipe = self.recipe.for_channel(getattr(self.settings, "channel", ""))
        half = self.task.bears_half and getattr(self.settings, "precision", "") == "auto"
        network = ready(
            bundle, self.settings.device, inspected=inspected, half=half, progress=progress
        )
        self.network = self.task.looking(network, self.recipe, self.settings)
        self.options = self.task.options(self.settings)
        self._starter = self.task.size_finder(self.recipe, self.options)
        self.sizes: Sizes | None = None
        """What `look` has found."""

    @cached_property
    def finder(self) -> Predictor:
        """The model that finds the size of the objects, loaded where that is to be found."""
        return _size_finder(self._starter, self.settings) if self._starter else self

    @property
    def device(self) -> Device:
        """Where it computes, which changes when a graphics card fails."""
        return self.network.device

    def seen(self, sample: Sample) -> Sample:
        """Return `sample` with the channels that the model looks at, to judge, measure and show it.

        Raises
        ------
        ValueError
            If its image has other channels than the model's training images, or the settings refuse it.
        """
        image = self.task.image(sample, self.recipe, self.options)
        return dataclasses.replace(sample, image=image)

    def look(
        self, items: Iterable[Item], n_items: int, take: Callable[[Item], Sample | None],
        progress: Progress = silent,
    ) -> Progress:  # fmt: skip
        """Find in some images, spread over all, how large the objects of all are.

        Without it, that is looked for in each image. Returns what it leaves of `progress`.

        Parameters
        ----------
        items : what images are made of, `n_items` in all.
        take : makes an image of an item, with a name of its own; None where it cannot be used.
        """
        f = self.finder
        n = f.task.n_looked_at(f.recipe, f.options, n_items)
        if not n:
            return progress
        share = n / (n + n_items / LOOK_COSTS)
        samples = first_of_parts(items, n_items, n, take)
        looking = span(progress, 0.0, share)
        self.sizes = f.task.in_common(f.network, f.recipe, samples, f.options, looking)
        return span(progress, share, 1.0)

    def size_in_all(self, data: Dataset, progress: Progress = silent) -> float:
        """Look for the diameter in px that the objects of all images share; 0 where none is found.

        Where the settings want the size of each image, there is none for all.
        """
        self.look(data, len(data), lambda sample: sample, progress)
        return 0.0 if self.sizes is None else self.sizes.common or 0.0

    def options_for(self, sample: Sample, progress: Progress = silent) -> tuple[Any, Progress]:
        """Return the task's options with what is first to be found in this very image.

        And what it leaves of `progress`: half where anything was to be found, else all.
        """
        known = None if self.sizes is None else self.sizes.of(sample.name)
        if known is not None:
            return dataclasses.replace(self.options, diameter_px=known), progress
        looking, f = span(progress, 0.0, 0.5), self.finder
        found = f.task.options_for(f.network, f.recipe, sample, f.options, looking)
        if found is f.options:
            return self.options, progress
        made = dataclasses.replace(self.options, diameter_px=found.diameter_px)
        return made, span(progress, 0.5, 1.0)

    def size_taken(self, found: Any) -> dict[str, float | None]:
        """Return the ``diameter_px`` of a prediction's row: what objects were taken to measure, to 0.1 px.

        None where it was looked for in vain; no such entry where the model's own size holds.
        """
        return {} if self._sizeless else size_taken(found, self.recipe, self.options)

    def size_note(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Say in one sentence how large objects were taken to be, unless the user has told it.

        Parameters
        ----------
        rows : one per image, with what `size_taken` says of it.
        """
        if not rows or getattr(self.options, "diameter_px", 0.0):
            return ""
        if self._sizeless:
            return assumed_size(self.recipe)
        return size_note(rows, self.recipe, self.sizes)

    @property
    def _sizeless(self) -> bool:
        """Whether nothing finds the size of the objects for a model that counts them."""
        return self.task.name == "count" and not self._starter

    def __call__(self, sample: Sample, progress: Progress = silent) -> Any:
        """Return the task's prediction for one sample."""
        options, rest = self.options_for(sample, progress)
        raw = self.task.raw(self.network, self.recipe, sample, options, rest)
        return self.task.decode(raw, self.recipe, options)


def _size_finder(starter: str, settings: Any) -> Predictor:
    """Return a starter model that finds what objects measure for a model that cannot."""
    same = ("channel", "size_found", "tile_px", "device")
    wish = PredictSettings(**{name: getattr(settings, name) for name in same})
    made = Predictor(Bundle.load(starters.path_of(starter)), wish)
    made.options = dataclasses.replace(made.options, measured=True)
    return made


def translate(
    predictors: Sequence[Predictor], sample: Sample, progress: Progress = silent
) -> list[Any]:
    """Return one translation per model, all of the same image; its tiles are cut only once."""
    from microshot.tasks.translating.translation import translate_together

    models = [(p.network, p.recipe) for p in predictors]
    raws = translate_together(models, sample, predictors[0].options, progress)
    return [p.task.decode(r, p.recipe, p.options) for p, r in zip(predictors, raws, strict=True)]
