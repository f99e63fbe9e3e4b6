"""Models and settings of every version kept here load, and say the same as they did then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kept_files
from microshot import __version__
from microshot.bundle import Bundle
from microshot.headless import standin
from microshot.headless.settings_xml import config_to_settings, settings_version
from microshot.headless.workflow_xml import read_config

ROOT = Path(__file__).parents[1]
MODELS = sorted(kept_files.KEPT.glob("*/models/*.microshot"))
SETTINGS = sorted(kept_files.KEPT.glob("*/settings/*.xml"))


def told(path: Path) -> str:
    return path.relative_to(kept_files.KEPT).as_posix()


@pytest.mark.parametrize("path", MODELS, ids=told)
def test_a_kept_model_says_what_it_said_then(path):
    bundle = Bundle.load(path)
    assert Bundle.make(bundle.card, bundle.weights).card.id == bundle.card.id
    expected, found = np.load(path.with_suffix(".npy")), kept_files.answer(bundle)
    assert found.shape == expected.shape
    if bundle.card.task == "segment":
        assert expected.max() > 0
        assert (found != expected).mean() < 0.002  # rounding differs between processors
    else:
        assert np.ptp(expected) > 0 or expected.ndim == 0
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.fixture(scope="module")
def host() -> standin.Host:
    if not standin.install():
        pytest.skip("KNIME's own API is installed, so the stand-in is not used")
    return standin.Host(ROOT)


@pytest.mark.parametrize("path", SETTINGS, ids=told)
def test_kept_settings_load_into_the_node_of_today(host, path):
    config = read_config(path)
    node = host.node(path.stem)
    defaults = node.settings
    node.load_settings(config_to_settings(config), settings_version(config))
    assert node.settings.keys() == defaults.keys()
    node.dialog()


def test_there_are_a_model_per_task_and_settings_per_node_of_this_version(host):
    folder = kept_files.KEPT / __version__
    assert {p.stem for p in (folder / "models").glob("*.microshot")} == set(kept_files.TASKS)
    assert {p.stem for p in (folder / "settings").glob("*.xml")} == set(host.nodes)


def test_the_files_of_a_version_that_is_not_released_are_those_of_today():
    """A released version's files stay as they are; until then they follow what the nodes store."""
    folder = kept_files.KEPT / __version__ / "settings"
    if not kept_files.is_released(__version__):
        kept = {path.stem: path.read_bytes() for path in folder.glob("*.xml")}
        assert kept == kept_files.settings_files(), "run python3 dev.py docs and commit"


def test_files_of_a_released_version_are_never_written_again(monkeypatch, tmp_path):
    monkeypatch.setattr(kept_files, "is_released", lambda version: True)
    (tmp_path / "0.0.9").mkdir()
    with pytest.raises(FileExistsError, match="never written again"):
        kept_files.write(tmp_path / "0.0.9")
    assert not any((tmp_path / "0.0.9").iterdir())
