"""Every knob a user can turn, once: name, default, range, unit, help.

Dialogs, the command line, the model file and the documentation read them here.
``0`` and ``auto`` leave a value to the preset, which knows what suits the task.
"""

from microshot.settings.generating import SCENES, GenerateSettings
from microshot.settings.learning import (
    DEVICES,
    CropSettings,
    ImageSettings,
    NetworkSettings,
    OptimizerSettings,
)
from microshot.settings.translating import TranslateSettings
from microshot.settings.verbs import (
    PRESETS,
    TASKS,
    PredictSettings,
    RetrainSettings,
    ScoreSettings,
    TrainSettings,
)

__all__ = [
    "DEVICES",
    "PRESETS",
    "SCENES",
    "TASKS",
    "CropSettings",
    "GenerateSettings",
    "ImageSettings",
    "NetworkSettings",
    "OptimizerSettings",
    "PredictSettings",
    "RetrainSettings",
    "ScoreSettings",
    "TrainSettings",
    "TranslateSettings",
]
