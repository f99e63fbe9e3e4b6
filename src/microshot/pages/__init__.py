"""From results to HTML pages: what nodes show and the command line writes."""

from microshot.pages.applying import prediction_page, suggestion_page, translation_page
from microshot.pages.images import generated_page, images_page
from microshot.pages.learning import retrain_page, training_page
from microshot.pages.models import model_page, write_model
from microshot.pages.scoring import score_page

__all__ = [
    "generated_page",
    "images_page",
    "model_page",
    "prediction_page",
    "retrain_page",
    "score_page",
    "suggestion_page",
    "training_page",
    "translation_page",
    "write_model",
]
