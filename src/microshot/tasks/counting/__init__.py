"""Counting: what a counter predicts, and the ways to count."""
