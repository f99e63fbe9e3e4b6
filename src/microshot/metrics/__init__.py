"""Scores: counts, labels, images, and what is measured on stains."""
