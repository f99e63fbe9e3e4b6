"""Scores: counts, labels, images."""
