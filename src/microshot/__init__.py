"""Microshot: few-shot deep learning on microscopy images, in KNIME and without it."""

__version__ = "0.1.0"
