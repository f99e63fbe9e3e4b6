"""What other programs open: label images, outlines and tables of objects."""
