"""Apply a network to images of any size."""
