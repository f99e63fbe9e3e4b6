"""How far to trust a prediction: how like the training images, and how sure each object is."""

from microshot.trust.judging import BLANK_WORDS, Judge, Trust, joined, learned, objects_of, together

__all__ = ["BLANK_WORDS", "Judge", "Trust", "joined", "learned", "objects_of", "together"]
