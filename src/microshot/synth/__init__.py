"""Synthetic microscopy images with exact labels."""
