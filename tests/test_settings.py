"""Every setting a user can turn: explained, in range, storable, settable from text."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest
from packaging.version import Version

from microshot import __version__, settings
from microshot.data.augment import STRENGTHS
from microshot.data.normalize import Normalization
from microshot.device import choose_device
from microshot.knobs import Knob, assign, check, from_json, knobs, sections, to_json
from microshot.nn.geometry import HEADS, RESNETS, STARTABLE, UNETS
from microshot.nn.translator_geometry import ATTENTIONS, KINDS
from microshot.nn.twin_vae_shapes import FROZEN as TWIN_VAE_FROZEN
from microshot.settings.density import CountSettings
from microshot.settings.generating import LegacySettings
from microshot.settings.translating import TranslationSettings
from microshot.synth.camera import NOISE_LEVELS
from microshot.synth.counts import LawName
from microshot.synth.legacy import RIM_OF_SOFTNESS
from microshot.tasks import task_named
from microshot.tasks.common_size import EACH, ONCE
from microshot.tasks.counting.task import WAYS
from microshot.tasks.counting.twin_vae_changes import CONTRASTS
from microshot.tasks.segmenting.recipes import PRESETS
from microshot.tasks.translating.recipes import PRESETS as TRANSLATION_PRESETS
from microshot.training.schedule import learning_rate_factor
from microshot.training.stage_run import OPTIMIZERS
from microshot.training.transfer import FROZEN

GROUPS = [
    settings.TrainSettings,
    settings.RetrainSettings,
    settings.PredictSettings,
    settings.GenerateSettings,
    settings.ScoreSettings,
]


def every_knob(kind: type, prefix: str = "") -> list[tuple[str, Knob, Any, type]]:
    own = [(prefix + name, k, default, kind) for name, k, default in knobs(kind)]
    for name, _, inner in sections(kind):
        own += every_knob(inner, f"{prefix}{name}.")
    return own


KNOBS = [(group, *one) for group in GROUPS for one in every_knob(group)]
ids = [f"{group.__name__}.{path}" for group, path, *_ in KNOBS]


@pytest.mark.parametrize(("group", "path", "k", "default", "kind"), KNOBS, ids=ids)
def test_every_knob_is_explained_and_its_default_is_allowed(group, path, k, default, kind) -> None:
    assert k.label
    assert k.label[0].isupper()
    assert k.help.endswith((".", "?"))
    assert len(k.help) > 5
    assert Version("0.1.0") <= Version(k.since) <= Version(__version__)
    if k.choices is not None:
        assert default in k.choices
        for choice in k.choices.values():
            assert choice.label
            assert choice.help.endswith(".")
    elif isinstance(default, (int, float)) and not isinstance(default, bool):
        assert k.minimum is not None
        assert k.maximum is not None
        assert k.minimum <= default <= k.maximum
    if k.show_if is not None:
        other, shown = k.show_if
        found = {name: one for name, one, _ in knobs(kind)}[other]
        assert found.choices is not None
        assert set(shown) <= set(found.choices)


@pytest.mark.parametrize(("group", "path", "k", "default", "kind"), KNOBS, ids=ids)
def test_every_knob_can_be_set_from_text(group, path, k, default, kind) -> None:
    other = default
    if k.choices is not None:
        other = next((c for c in k.choices if c != default), default)
    elif isinstance(default, bool):
        other = not default
    elif isinstance(default, (int, float)):
        other = type(default)(k.maximum)
    else:
        other = "words"
    changed = assign(group(), path, str(other))
    inner = changed
    for part in path.split("."):
        inner = getattr(inner, part)
    assert inner == other
    assert type(inner) is type(default)
    assert from_json(group, to_json(changed)) == changed


@pytest.mark.parametrize("group", GROUPS)
def test_all_fields_are_knobs_or_sections_and_defaults_pass(group) -> None:
    declared = [name for name, _, _ in knobs(group)] + [name for name, _, _ in sections(group)]
    assert sorted(declared) == sorted(f.name for f in fields(group))
    assert check(group()) == group()
    assert from_json(group, to_json(group())) == group()


def known(kind: type, name: str) -> set[str]:
    choices = {n: k.choices for n, k, _ in knobs(kind)}[name]
    assert choices is not None
    return set(choices) - {"auto"}


def test_choices_are_those_the_code_knows() -> None:
    """A choice nobody implements would fail in the middle of a training."""
    s = settings
    assert known(s.NetworkSettings, "backbone") == {*UNETS, *RESNETS}
    assert known(s.NetworkSettings, "head") == set(HEADS)
    assert known(CountSettings, "architecture") == set(WAYS)
    assert known(TranslationSettings, "network") == set(KINDS) - {"plain-unet"}
    assert known(TranslationSettings, "attention") == set(ATTENTIONS)
    assert known(s.OptimizerSettings, "optimizer") == set(OPTIMIZERS)
    assert known(s.CropSettings, "augmentation") == set(STRENGTHS) == set(CONTRASTS)
    assert known(s.GenerateSettings, "noise") == {*NOISE_LEVELS, "mixed"}
    assert known(s.GenerateSettings, "count_law") == {*get_args(LawName), "reference"}
    assert known(LegacySettings, "softness") == {*RIM_OF_SOFTNESS, "released"}
    assert known(s.PredictSettings, "size_found") == {EACH, ONCE}
    assert known(s.TrainSettings, "preset") == {*PRESETS, *TRANSLATION_PRESETS, "faithful"}
    for schedule in known(s.OptimizerSettings, "schedule"):
        assert 0 <= learning_rate_factor(schedule, 0.5, 50, 0) <= 1
    assert known(s.RetrainSettings, "strategy") == {*FROZEN, *TWIN_VAE_FROZEN, "thaw"}
    for kind in known(s.ImageSettings, "normalization"):
        assert Normalization(kind).kind == kind  # type: ignore[arg-type]
    for task in known(s.TrainSettings, "task"):
        assert task_named(task).name == task
    assert choose_device("cpu").name == "cpu"


def test_settings_of_some_backbones_are_shown_with_just_these() -> None:
    shown = {name: k.show_if for name, k, _ in knobs(settings.NetworkSettings)}
    assert shown["width"] == shown["depth"] == ("backbone", ("auto", *UNETS))
    weights = shown["encoder_weights"]
    assert weights is not None
    assert weights[0] == "backbone"
    assert set(weights[1]) == {"auto", *STARTABLE}


def test_scenes_are_those_of_the_generator() -> None:
    from microshot.synth.generator import PRESETS as SCENES

    assert set(settings.SCENES) == set(SCENES)


@pytest.mark.parametrize("preset", ["nuclei", "lipids", "cytoplasm"])
@pytest.mark.parametrize("task", ["segment", "count"])
def test_presets_of_another_task_are_refused(task, preset) -> None:
    given = settings.TrainSettings(task=task, preset=preset)
    with pytest.raises(ValueError, match=f'"{preset}" is made for the task translate; .* fast'):
        check(given)
    check(settings.TrainSettings(task="translate", preset=preset))
