"""Segmenting: outlines of cells and nuclei."""
