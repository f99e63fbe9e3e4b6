"""What a task is: all that differs between counting, segmenting and translating."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from microshot.data.image import channel_of, grey_of
from microshot.nn.geometry import STARTABLE
from microshot.progress import Progress, silent
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import nn

    from microshot.data.dataset import Sample
    from microshot.data.image import Image
    from microshot.data.normalize import Normalization
    from microshot.inference.predictor import Network
    from microshot.nn.onnx_graph import Graph
    from microshot.tasks.common_size import Sizes
    from microshot.tasks.hyper import Hyper
    from microshot.tasks.lesson import Lesson
    from microshot.training.solving import Solution
    from microshot.training.trainer import Stage

#: Scores of one image by name; also what they are computed from (counts of hits and misses).
Scores = dict[str, float]


@dataclass(frozen=True)
class Recipe:
    """Everything beside the weights that is needed to use a network rightly."""

    architecture: Mapping[str, Any]
    normalization: Normalization
    preparation: Mapping[str, Any] = field(default_factory=dict)
    tile: Mapping[str, int] = field(default_factory=dict)
    thresholds: Mapping[str, Any] = field(default_factory=dict)

    @property
    def channel(self) -> str:
        """Which channel of images with several is looked at; empty = all."""
        return str(self.preparation.get("channel") or "")

    def for_channel(self, channel: str) -> Recipe:
        """Return the recipe for this channel of images with several; empty = as it is."""
        if not channel:
            return self
        return replace(self, preparation={**self.preparation, "channel": channel})


@dataclass(frozen=True)
class Intent:
    """What a training is about to do."""

    settings: Any
    recipe: Recipe
    hyper: Hyper
    start: Recipe | None = None
    """That of the model it starts from."""


#: How to mend that an image has several channels, in the dialog and on the command line.
CHOOSE_CHANNEL = 'say which one as "Channel" (on the command line: --set channel=1)'


def check_channels(
    name: str, n_channels: int, recipe: Recipe, *, is_colour: bool = False, planes: bool = False
) -> None:
    """Refuse the image called `name` if it has other channels than the model's training images.

    `planes` says that they are the planes of a stack, of which none can be chosen.

    Raises
    ------
    ValueError
        If their number differs.
    """
    expected = int(recipe.architecture["in_channels"])
    if n_channels == expected:
        return
    colours = " (red, green and blue)" if is_colour else ""
    what, mend = "channel", "choose the same channels as then"
    if planes:
        what, mend = "plane", "choose the same planes in the same order"
    elif expected == 1:
        mend = CHOOSE_CHANNEL
    raise ValueError(
        f"{name}: expected {how_many(expected, what)} as in the model's training images, "
        f"found {n_channels}{colours}; {mend}."
    )


def chosen(sample: Sample, recipe: Recipe) -> Image:
    """Return the image of `sample`; of several channels the one that the recipe names, if it does.

    Raises
    ------
    ValueError
        If there is none of that name or number.
    """
    if not recipe.channel:
        return sample.image
    return channel_of(sample.image, recipe.channel, sample.name)


def image_for(sample: Sample, recipe: Recipe, *, planes: bool = False) -> Image:
    """Return the image of `sample` as the model takes it.

    Of several channels that is the one that the recipe names, and a grey image that was saved in
    colour is one channel. `planes` says that channels are the planes of a stack.

    Raises
    ------
    ValueError
        If it has other channels than the model's training images.
    """
    image = chosen(sample, recipe)
    grey = grey_of(image) if recipe.architecture["in_channels"] == 1 else None
    taken = image if grey is None else grey
    check_channels(sample.name, taken.n_channels, recipe, is_colour=image.is_colour, planes=planes)
    return taken


class Task(ABC):
    """The verbs of a task, and what they do where a task says nothing else.

    A new task is one class derived from this one, one entry in `task_named` and one in
    `settings.TASKS`. What it does not decide, by the task's name: how doubt is told (`tasks.doubt`), what
    other programs see of its network (`tasks.exchange`), and what tables and reports show (`nodes.inputs`,
    `nodes.predict`, `pages.examples`).
    """

    name: str
    needs: str
    """What a labelled image has, as written in a sentence, such as ``label image``."""
    primary: str
    """The score that says which of two models is better."""
    primary_label: str
    """That score as written in a sentence, such as ``F1``."""
    larger_is_better: bool
    takes_stacks: bool = False
    """Whether an image is a stack of planes, of which all are needed."""
    bears_half: bool = False
    """Whether its predictions hardly change where layers compute in bfloat16."""

    def improvement(self, change: float) -> float:
        """Return the change of a score, positive where it got better."""
        return change if self.larger_is_better else -change

    @property
    @abstractmethod
    def parts(self) -> Mapping[str, tuple[str, ...]]:
        """Parts of the network that can be frozen or renewed: prefixes of parameter names."""

    def strategies(self, architecture: Mapping[str, Any]) -> dict[str, Any]:
        """Return the network's own tables of frozen and thawed parts, where it has any.

        These are the arguments `frozen` and `thaw` of `training.transfer.apply_strategy`.
        """
        return {}

    @abstractmethod
    def is_labelled(self, sample: Sample) -> bool:
        """Say whether `sample` can teach this task."""

    def learns_unlabelled(self, recipe: Recipe, hyper: Hyper) -> bool:
        """Say whether images of which nothing is known teach such a network something, too."""
        return False

    def remarks(
        self, samples: Sequence[Sample], unlabelled: Sequence[Sample], intent: Intent
    ) -> list[str]:
        """Return warnings about what suits these samples badly, one sentence each."""
        return []

    @abstractmethod
    def check(self, samples: Sequence[Sample]) -> list[str]:
        """Refuse training data that cannot work (ValueError); return warnings."""

    def arranged(
        self, samples: Sequence[Sample], settings: Any, progress: Progress = silent
    ) -> tuple[Sequence[Sample], list[str]]:
        """Return checked samples as they are learned from, and what was noticed or changed."""
        return samples, []

    @abstractmethod
    def hyper(self, samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Hyper:
        """Resolve automatic training values; `start` is the recipe of the model to retrain."""

    @abstractmethod
    def recipe(self, samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Recipe:
        """Make the choices that depend on the data; a retrained model keeps its architecture."""

    @abstractmethod
    def checked(self, recipe: Recipe) -> Recipe:
        """Return a model file's recipe with what is optional filled in; ValueError if senseless."""

    @abstractmethod
    def build(self, architecture: Mapping[str, Any], seed: int) -> nn.Module:
        """Return the network with fresh weights."""

    @abstractmethod
    def graph(self, architecture: Mapping[str, Any]) -> Graph | None:
        """Return the network as ONNX operators; None if it is written down for PyTorch only."""

    def fresh(self, architecture: Mapping[str, Any], settings: Any, seed: int) -> nn.Module:
        """Return the network to train from scratch, with published encoder weights if wished."""
        model = self.build(architecture, seed)
        path, variant = settings.network.encoder_weights, architecture.get("backbone")
        if path and variant in STARTABLE:
            from microshot.nn.encoder_weights import load_backbone_weights

            load_backbone_weights(cast("Any", model).backbone, path, variant)
        return model

    def libraries(self, recipe: Recipe, hyper: Hyper) -> tuple[str, ...]:
        """Return the large libraries that training needs beside PyTorch."""
        return ()

    def image(self, sample: Sample, recipe: Recipe, options: Any = None) -> Image:
        """Return the image of `sample` as the model takes it; see `image_for`.

        Raises
        ------
        ValueError
            If it has other channels than the model's training images, or `options` refuse it.
        """
        return image_for(sample, recipe, planes=self.takes_stacks)

    @abstractmethod
    def prepare(self, sample: Sample, recipe: Recipe) -> Any:
        """Bring one labelled sample into the form the training batches are drawn from."""

    @abstractmethod
    def stages(self, model: nn.Module, lesson: Lesson[Any, Any]) -> list[Stage] | Solution:
        """Return what to train, in order, or how to find the weights in one go."""

    def sized(
        self,
        network: Network,
        recipe: Recipe,
        samples: Sequence[Sample],
        settings: Any,
        find: Callable[[], float],
        progress: Progress = silent,
    ) -> tuple[Recipe, list[str]]:
        """Return the recipe of a retraining with the size of objects that a start `network` finds.

        And what to tell of it; the recipe as it is where size is known or does not matter.

        Parameters
        ----------
        find : looks for the diameter in px of the objects of all `samples`, as where the start model is
            applied; 0 where that tells nothing.
        """
        return recipe, []

    @abstractmethod
    def adapted(self, recipe: Recipe, to: Recipe) -> Recipe:
        """Return a model's `recipe` for images like those that `to` was made for."""

    @abstractmethod
    def calibrate(
        self,
        raw: Sequence[Any],
        samples: Sequence[Sample],
        recipe: Recipe,
        progress: Progress = silent,
        *,
        held_out: bool = True,
    ) -> dict[str, Any]:
        """Find the thresholds that suit the raw outputs on labelled samples best.

        `held_out` says that the network has not been trained on them; without that, errors
        are smaller than those to come and must not be promised to users.
        """

    @abstractmethod
    def raw(
        self,
        network: Network,
        recipe: Recipe,
        sample: Sample,
        options: Any = None,
        progress: Progress = silent,
    ) -> Any:
        """Run the network over one image; what is kept is small."""

    def raw_for_calibration(self, network: Network, recipe: Recipe, sample: Sample) -> Any:
        """Run the network over one image, keeping what any threshold could ask for."""
        return self.raw(network, recipe, sample)

    def looking(self, network: Any, recipe: Recipe, settings: Any) -> Any:
        """Return a `network` that looks at images the way the user's settings ask."""
        return network

    @abstractmethod
    def options(self, settings: Any) -> Any:
        """Take from the user's settings what this task knows."""

    def options_for(
        self,
        network: Network,
        recipe: Recipe,
        sample: Sample,
        options: Any,
        progress: Progress = silent,
    ) -> Any:
        """Return `options` with what is first to be found in this very image; the same where nothing is."""
        return options

    def size_finder(self, recipe: Recipe, options: Any) -> str:
        """Return the starter model that finds the size of the objects; empty = the model itself."""
        return ""

    def n_looked_at(self, recipe: Recipe, options: Any, n: int) -> int:
        """Return in how many of `n` images to look for what all have in common, see `in_common`."""
        return 0

    def in_common(
        self,
        network: Network,
        recipe: Recipe,
        samples: Iterable[Sample],
        options: Any,
        progress: Progress = silent,
    ) -> Sizes | None:
        """Return what some images say of the objects of all; None where there is nothing to say."""
        return None

    @abstractmethod
    def decode(self, raw: Any, recipe: Recipe, options: Any = None) -> Any:
        """Turn a raw output into a prediction."""

    def completed(self, prediction: Any, recipe: Recipe) -> Any:
        """Return a prediction with what is known only after the errors on all left-out images.

        That is the interval around a count. What is scored does not change.
        """
        return prediction

    @abstractmethod
    def score(self, prediction: Any, sample: Sample, **options: Any) -> Scores:
        """Compare a prediction with the truth of one image."""

    @abstractmethod
    def summarize(self, scores: Sequence[Scores]) -> Scores:
        """Combine the scores of several images; holds at least `primary`."""
