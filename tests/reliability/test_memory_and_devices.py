"""Too little memory, graphics cards that fail, losses that are no number, clocks that jump."""

from __future__ import annotations

import dataclasses
import math
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot import api, opening
from microshot.cli import main
from microshot.data.dataset import Dataset
from microshot.data.windows import opened
from microshot.data.write import write_image
from microshot.device import Device, device_lost, out_of_memory
from microshot.inference.blending import run_blended
from microshot.inference.onnx_network import OnnxNetwork
from microshot.inference.predictor import TorchNetwork
from microshot.inference.tiling import halves, tiles
from microshot.large.segmenting import segmented
from microshot.settings import PredictSettings
from microshot.training import stage_run
from microshot.training.trainer import Plan, Player, Stage, fit
from tasks_of_all_kinds import little_of, one_of_each
from tiny_models import RETRAIN, TRAIN, Watch, changed, field, fields, model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NO_MEMORY = (
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 123456 bytes. Error code 12 (Cannot allocate memory)",
    "CUDA out of memory. Tried to allocate 20.00 MiB.",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
)
NO_CARD = (
    "CUDA error: unspecified launch failure\nCUDA kernel errors might be reported later.",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
)


class Card(Device):
    """A graphics card as far as this code can tell; it computes on the processor."""

    @property
    def torch(self) -> torch.device:
        return torch.device("cpu")


CARD = Card("cuda", "a test", 1)


def test_errors_are_told_apart() -> None:
    assert all(out_of_memory(RuntimeError(text)) for text in NO_MEMORY)
    assert out_of_memory(MemoryError())
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert all(device_lost(RuntimeError(text)) for text in NO_CARD)
    assert not any(device_lost(RuntimeError(text)) for text in NO_MEMORY)
    for other in (
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError(NO_CARD[0]),
    ):
        assert not out_of_memory(other)
        assert not device_lost(other)


# ----------------------------------------------------------------------------------- memory


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 250), st.integers(1, 250)),
    halo=st.integers(0, 40),
    multiple=st.sampled_from([4, 16]),
)
def test_halves_keep_what_the_tile_keeps_and_read_less(shape, halo, multiple) -> None:
    for tile in tiles(shape, 2 * (halo + multiple) + 8 * multiple, halo, multiple):
        parts = halves(tile, halo, multiple)
        if parts is None:
            continue
        kept = np.zeros(shape, int)
        for part in parts:
            assert math.prod(part.shape) < math.prod(tile.shape)
            for own, whole in ((part.y, tile.y), (part.x, tile.x)):
                assert whole.read_start <= own.read_start <= own.start < own.stop <= whole.stop
                assert own.read_stop <= whole.read_stop
                assert own.read_start % multiple == (own.read_stop % multiple) == 0
                assert own.read_start == whole.read_start or own.start - own.read_start >= halo
                assert own.read_stop == whole.read_stop or own.read_stop - own.stop >= halo
            kept[part.y.start : part.y.stop, part.x.start : part.x.stop] += 1
        expected = np.zeros(shape, int)
        expected[tile.y.start : tile.y.stop, tile.x.start : tile.x.stop] = 1
        np.testing.assert_array_equal(kept, expected)


ENGINES = (TorchNetwork, OnnxNetwork)


def limit_memory(monkeypatch, n_px: float, text: str = NO_MEMORY[0]) -> None:
    """Let networks fail with more than `n_px` pixels at once."""
    for engine in ENGINES:
        monkeypatch.setattr(engine, "_applied", _limited(engine._applied, n_px, text))


def _limited(applied: Callable[..., Any], n_px: float, text: str) -> Callable[..., Any]:
    def limited(self: Any, batch: np.ndarray) -> np.ndarray:
        if len(batch) * batch[0, 0].size > n_px:
            raise RuntimeError(text)
        return applied(self, batch)

    return limited


def replace_engines(monkeypatch, applied: Callable[..., Any]) -> None:
    for engine in ENGINES:
        monkeypatch.setattr(engine, "_applied", applied)


@pytest.mark.parametrize("head", ["stardist", "foreground"])
@pytest.mark.parametrize("text", NO_MEMORY)
def test_where_memory_ends_tiles_get_smaller_and_the_objects_stay(head, text, monkeypatch) -> None:
    sample = field(8, shape=(230, 330))
    whole = api.Predictor(model(head=head))(sample)
    limit_memory(monkeypatch, 250 * 260, text)
    parts = api.Predictor(model(head=head))(sample)
    assert whole.n_objects > 20
    pairs = np.unique(np.stack([whole.labels.ravel(), parts.labels.ravel()]), axis=1)
    assert pairs.shape[1] == whole.n_objects + 1 == parts.n_objects + 1


@pytest.mark.parametrize("head", ["stardist", "foreground"])
def test_blocks_of_a_large_image_get_smaller_too(head, tmp_path, monkeypatch) -> None:
    sample, wish = field(8, shape=(330, 400)), PredictSettings(tile_px=320, device="cpu")
    whole = api.Predictor(model(head=head), wish)(sample)
    write_image(tmp_path / "a.tif", sample.image)
    limit_memory(monkeypatch, 240 * 240)
    predictor = api.Predictor(model(head=head), wish)
    with (
        closing(opened(tmp_path / "a.tif")) as source,
        segmented(predictor, source, tmp_path / "labels.tif") as found,
    ):
        assert found.n_objects == whole.n_objects > 20
    parts = tifffile.imread(tmp_path / "labels.tif").astype(np.int32)
    pairs = np.unique(np.stack([whole.labels.ravel(), parts.ravel()]), axis=1)
    assert pairs.shape[1] == whole.n_objects + 1


@pytest.mark.parametrize("task", ["count", "translate", "twin-vae"])
def test_other_tasks_get_by_with_less_memory(task, monkeypatch) -> None:
    bundle, data = one_of_each(task)
    sample = data[0] if task == "translate" else field(1, shape=(240, 250))
    sample = dataclasses.replace(sample, target=None)
    whole = api.Predictor(bundle)(sample)
    most = {"count": 200 * 200, "translate": 40 * 40, "twin-vae": 128 * 128}[task]
    limit_memory(monkeypatch, most)
    found = api.Predictor(bundle)(sample)
    if task == "translate":
        assert found.stains.pixels.shape == whole.stains.pixels.shape
        np.testing.assert_allclose(found.stains.pixels, whole.stains.pixels, rtol=0.5)
    else:
        assert found.count == pytest.approx(whole.count, rel=1e-4)


def test_blended_tiles_get_smaller_and_it_is_said() -> None:
    image, watch = np.random.default_rng(0).random((1, 70, 90), np.float32), Watch()
    sizes: list[int] = []

    def network(batch: np.ndarray) -> np.ndarray:
        sizes.append(batch.shape[-1])
        if batch.shape[-1] > 32:
            raise RuntimeError(NO_MEMORY[0])
        return batch

    found = run_blended(network, image, 1, tile_px=512, multiple=8, progress=watch)
    np.testing.assert_allclose(found, image, rtol=1e-5)
    assert max(sizes) == 96
    assert sizes[-1] <= 32
    assert any("memory is short" in message for message in watch.messages)


@pytest.mark.parametrize("task", ["segment", "count", "translate", "twin-vae"])
def test_without_any_memory_one_sentence_says_what_helps(task, monkeypatch) -> None:
    bundle, data = (model(), fields(1)) if task == "segment" else one_of_each(task)
    limit_memory(monkeypatch, 0)
    with pytest.raises(MemoryError, match=r"^There is not enough memory .* px at once; .*\.$"):
        api.Predictor(bundle)(dataclasses.replace(data[0], target=None))


def test_the_command_line_says_it_too(tmp_path, monkeypatch, capsys) -> None:
    import tifffile

    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", field(1).image.pixels[0])
    path = model().save(tmp_path / "m.microshot")
    failing = _limited(OnnxNetwork._applied, 0, NO_MEMORY[0])
    for applied, sentence in ((failing, "not enough memory for"), (_no_memory, "not enough")):
        replace_engines(monkeypatch, applied)
        arguments = ["--model", path, "--images", tmp_path / "in", "--out", tmp_path / "out"]
        assert main(["predict", *map(str, arguments)]) == 1
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert last.startswith("microshot predict: There is ")
        assert sentence in last


def _no_memory(self: Any, batch: np.ndarray) -> np.ndarray:
    raise MemoryError


def test_other_errors_of_a_network_are_not_taken_for_a_lack_of_memory(monkeypatch) -> None:
    def broken(self: Any, batch: np.ndarray) -> np.ndarray:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    replace_engines(monkeypatch, broken)
    with pytest.raises(RuntimeError, match="mat1"):
        api.Predictor(model())(field(1))


# ---------------------------------------------------------------------------------- devices


class Failing(torch.nn.Conv2d):
    """A network on a card that fails at the given call and as long as it is used."""

    def __init__(self, at: int) -> None:
        super().__init__(1, 2, 3, padding=1)
        self.register_buffer("offset", torch.ones(1), persistent=False)
        self.left, self.card_failed = at, False

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        self.left -= 1
        if self.left < 0 and not self.card_failed:
            self.card_failed = True
            with torch.no_grad():  # what was on the card is lost
                for tensor in (*self.parameters(), *self.buffers()):
                    tensor.fill_(math.nan)
            raise RuntimeError(NO_CARD[0])
        return super().forward(input) + self.offset


@pytest.mark.parametrize("at", [0, 2])
def test_where_a_card_fails_the_processor_takes_over_and_it_is_said(at) -> None:
    torch.manual_seed(0)
    made = Failing(99)
    batch = np.random.default_rng(0).random((1, 1, 16, 16), np.float32)
    expected = TorchNetwork(made, Device("cpu", "test", 1))(batch)
    made.left = at
    network = TorchNetwork(made, CARD)
    for _ in range(4):
        np.testing.assert_allclose(network(batch), expected, rtol=1e-5)
    assert made.card_failed
    assert network.device.name == "cpu"
    assert network.device.line == (
        "CPU, 1 thread: the graphics card failed (CUDA error: unspecified launch failure), the "
        "processor took over"
    )


def test_where_a_card_has_no_memory_for_a_small_image_the_processor_takes_over(monkeypatch) -> None:
    applied, tried = TorchNetwork._applied, []

    def full(self: TorchNetwork, batch: np.ndarray) -> np.ndarray:
        if self.device.name == "cuda":
            tried.append(batch.shape)
            raise RuntimeError(NO_MEMORY[1])
        return applied(self, batch)

    monkeypatch.setattr(TorchNetwork, "_applied", full)
    convolution = torch.nn.Conv2d(1, 2, 3, padding=1)
    batch = np.random.default_rng(0).random((2, 1, 16, 16), np.float32)
    expected = TorchNetwork(convolution, Device("cpu", "test", 1))(batch)
    network = TorchNetwork(convolution, CARD)
    with pytest.raises(MemoryError, match="321 x 320 px"):  # larger ones are cut first
        network(np.zeros((1, 1, 321, 320), np.float32))
    assert network.device.name == "cuda"
    np.testing.assert_allclose(network(batch), expected, rtol=1e-5)
    assert [shape[0] for shape in tried] == [1, 2, 1]
    assert network.device.line == (
        "CPU, 1 thread: the memory of the graphics card did not suffice, the processor took over"
    )


def test_a_card_that_fails_while_a_model_is_put_on_it_is_replaced(monkeypatch) -> None:
    bundle, calls = model(), []

    def to_device(self: Card) -> torch.device:
        calls.append(1)
        raise RuntimeError(NO_CARD[0])

    monkeypatch.setattr(Card, "torch", property(to_device))
    monkeypatch.setattr(opening, "choose_device", lambda wish: CARD)
    predictor = api.Predictor(bundle)
    assert calls
    assert predictor.device.line.startswith("CPU, 1 thread: the graphics card failed")
    monkeypatch.undo()
    sample = field(5)
    expected = api.Predictor(bundle, PredictSettings(device="cpu"))(sample)
    np.testing.assert_array_equal(predictor(sample).labels, expected.labels)


def breaking_down(at: int, what: Any) -> Callable[..., Any]:
    """Return a training step that breaks down at the given call: an error, or no finite loss."""
    step, calls = stage_run.step, [0]

    def broken(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] < at:
            return step(*arguments)
        if isinstance(what, Exception):
            raise what
        return None

    return broken


BREAKDOWNS = pytest.mark.parametrize(
    ("what", "stopped", "words", "kind"),
    [
        (None, "diverged", "the loss is not a finite number", FloatingPointError),
        (RuntimeError(NO_MEMORY[0]), "out of memory", "there is not enough memory", MemoryError),
        (MemoryError(), "out of memory", "there is not enough memory", MemoryError),
        (RuntimeError(NO_CARD[0]), "device lost", "the graphics card failed", RuntimeError),
    ],
)


@BREAKDOWNS
def test_a_training_that_breaks_down_keeps_its_best_model_and_says_why(
    what, stopped, words, kind, monkeypatch
) -> None:
    settings = changed(TRAIN, training__epochs=3)
    monkeypatch.setattr(stage_run, "step", breaking_down(5, what))
    found = api.train(fields(2), settings)
    monkeypatch.undo()
    assert found.stopped == found.bundle.card.training["stopped"] == stopped
    notes = [note for note in found.notes if words in note]
    assert len(notes) == 1
    assert notes[0].startswith("Training stopped at step ")
    assert "The best model so far was kept; to go further, " in notes[0]
    assert found.bundle.card.training["steps"] < 9
    api.Predictor(found.bundle)(field(1))


@BREAKDOWNS
def test_a_training_that_breaks_down_at_once_says_what_to_do(
    what, stopped, words, kind, monkeypatch
) -> None:
    monkeypatch.setattr(stage_run, "step", breaking_down(1, what))
    with pytest.raises(kind, match=rf"^Training stopped at step \d: {words}.*; .*\.$"):
        api.train(fields(2), TRAIN)


@pytest.fixture
def single_images() -> Iterator[None]:
    """Let every network that learns fail with more than one image at once."""

    def limited(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        first = inputs[0] if inputs else None
        if (
            module.training
            and isinstance(first, torch.Tensor)
            and first.ndim == 4
            and len(first) > 1
        ):
            raise torch.OutOfMemoryError(NO_MEMORY[1])

    hook = torch.nn.modules.module.register_module_forward_pre_hook(limited)
    yield
    hook.remove()


@pytest.mark.parametrize(
    "task", ["foreground", "stardist", "count", "twin-vae", "translate", "adversary"]
)
def test_with_memory_for_single_images_every_task_is_learned_and_it_is_said(
    task, single_images
) -> None:
    if task in ("stardist", "foreground"):
        settings, data = changed(TRAIN, network__head=task), fields(2)
    else:
        settings, data = little_of("translate" if task == "adversary" else task)
    if task == "adversary":
        settings = changed(settings, translation__objective="adversarial")
    found = api.train(data, settings)
    assert found.stopped == "finished"
    assert len([note for note in found.notes if "There was not enough memory for all" in note]) == 1
    rows = found.bundle.card.training["history"]
    assert rows[-1]["images_at_once"] == 1
    assert all(np.isfinite(value).all() for value in found.bundle.weights.values())


def test_a_retraining_that_breaks_down_says_so(monkeypatch) -> None:
    settings = changed(RETRAIN, training__epochs=3, check="none")
    monkeypatch.setattr(stage_run, "step", breaking_down(5, MemoryError()))
    found = api.retrain(model(), Dataset.of([field(30)]), settings)
    assert any("there is not enough memory" in note for note in found.notes)


def test_errors_in_training_that_are_not_understood_are_passed_on(monkeypatch) -> None:
    monkeypatch.setattr(stage_run, "step", breaking_down(5, RuntimeError("mat1 and mat2 shapes")))
    with pytest.raises(RuntimeError, match="mat1"):
        api.train(fields(2), changed(TRAIN, training__epochs=3))


# ----------------------------------------------------------------------------------- clocks


class Jumping:
    """A clock that advances a second per reading and jumps once."""

    def __init__(self, at: int, by: float) -> None:
        self.now, self.readings, self.at, self.by = 1000.0, 0, at, by

    def __call__(self) -> float:
        self.readings += 1
        self.now += self.by if self.readings == self.at else 1.0
        return self.now


def timed(clock: Jumping) -> Any:
    """Train for 60 seconds of a clock."""
    net = torch.nn.Linear(2, 1)

    def loss(batch: Any) -> dict[str, torch.Tensor]:
        return {"loss": net(batch["x"]).square().mean()}

    player = Player("network", list(net.parameters()), loss, 0.01)
    stage = Stage("training", [player], lambda step: {"x": torch.ones(1, 2)})
    return fit(net, [stage], Plan(seconds=60, clock=clock), Device("cpu", "test", 1))


@settings(deadline=None, max_examples=25)
@given(at=st.integers(2, 60), by=st.floats(-1e6, 0))
def test_a_clock_that_jumps_back_neither_prolongs_nor_spoils_a_training(at, by) -> None:
    clock = Jumping(at, by)
    found = timed(clock)
    assert found.stopped == "finished"
    assert clock.readings <= 66  # a second each, and one that was lost
    seconds = [row["seconds"] for row in found.history]
    assert seconds == sorted(seconds)
    assert 0 <= seconds[0] <= seconds[-1] <= 66


@settings(deadline=None, max_examples=25)
@given(at=st.integers(2, 60), by=st.floats(60, 1e9))
def test_a_clock_that_jumps_ahead_ends_a_training_with_what_was_learned(at, by) -> None:
    """As after a computer was asleep: the time is over, the model and its history are there."""
    found = timed(Jumping(at, by))
    assert found.stopped == "finished"
    assert found.steps >= 1
    assert found.history[-1]["step"] == found.steps
    assert all(torch.isfinite(value).all() for value in found.state.values())
