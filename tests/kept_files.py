"""What a version leaves behind for later ones to read: models of every task, settings of every node.

``python3 dev.py docs`` writes the folder of the version in knime.yml until that is released. Models that
are there stay as they are: what they say must not change.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import __version__, api
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.settings import PredictSettings, TranslateSettings

if TYPE_CHECKING:
    from microshot.bundle import Bundle

ROOT = Path(__file__).parents[1]
KEPT = Path(__file__).parent / "data" / "compat"
TASKS = ("segment", "count", "twin-vae", "translate")


def pattern(n_channels: int = 1) -> Sample:
    """Return the image that kept models are asked about: bright discs on a slope."""
    y, x = np.mgrid[:64, :96]
    inside = ((y % 32 - 16) ** 2 + (x % 32 - 16) ** 2 < 81 + x) & (x < 90)
    pixels = (1000 + 5 * x + 3000 * inside).astype(np.uint16)
    return Sample("pattern", Image(np.repeat(pixels[None], n_channels, axis=0)))


def answer(bundle: Bundle) -> np.ndarray:
    """Return what a model says of the pattern: labels, a count, or stains (C, Y, X)."""
    kind = TranslateSettings if bundle.card.task == "translate" else PredictSettings
    predictor = api.Predictor(bundle, kind(device="cpu"))
    found: Any = predictor(pattern(bundle.card.architecture.get("in_channels", 1)))
    if bundle.card.task == "segment":
        return found.labels
    return np.float64(found.count) if bundle.card.task == "count" else found.stains.pixels


def made(task: str) -> Bundle:
    """Return a small model of a task that has learned for a moment (the Twin-VAE: nothing)."""
    import models_of_all_kinds
    from microshot.settings import TrainSettings
    from tasks_of_all_kinds import one_of_each
    from tiny_models import TRAIN, changed, model

    if task == "twin-vae":
        return models_of_all_kinds.made("twin-vae")
    if task == "translate":
        settings: TrainSettings = changed(
            TRAIN, task=task, preset="fast", translation__width=4, translation__depth=1
        )
        return api.train(one_of_each(task)[1], settings).bundle
    return model() if task == "segment" else one_of_each(task)[0]


def is_released(version: str) -> bool:
    """Tell whether the list of changes says that a version is out."""
    head = f"## {version} "
    lines = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
    found = [line for line in lines if line.startswith(head)]
    return bool(found) and "unreleased" not in found[0]


def write(folder: Path) -> None:
    """Write the settings of the version of today, and the models that are not there yet.

    Raises
    ------
    FileExistsError
        If the version is released and its files are there: they are never written again.
    """
    if folder.exists() and is_released(folder.name):
        raise FileExistsError(f"{folder}: the files of a released version are never written again.")
    models, nodes = folder / "models", folder / "settings"
    for one in (models, nodes):
        one.mkdir(parents=True, exist_ok=True)
    for task in TASKS:
        if (models / f"{task}.microshot").exists():
            continue
        bundle = made(task)
        bundle.save(models / f"{task}.microshot")
        np.save(models / f"{task}.npy", answer(bundle))
    for name, text in settings_files().items():
        (nodes / f"{name}.xml").write_bytes(text)


def settings_files() -> dict[str, bytes]:
    """Return what a workflow stores for every node with default settings, by node."""
    from microshot.headless import standin
    from microshot.headless.settings_xml import settings_to_config
    from microshot.headless.workflow_xml import config_bytes

    standin.install()
    host = standin.Host(ROOT)
    files = {}
    for name in host.nodes:
        node = host.node(name)
        config = settings_to_config(node.settings, node.schema(), version=__version__, where=name)
        files[name] = config_bytes(config, "settings.xml")
    return files


if __name__ == "__main__":
    if is_released(__version__):
        sys.stdout.write(f"{__version__} is released: its files stay as they are\n")
    else:
        write(KEPT / __version__)
        sys.stdout.write(f"written: {KEPT / __version__}\n")
