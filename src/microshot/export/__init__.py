"""What other programs open: labels as files of theirs, models as ONNX files and packages."""
