"""Networks and losses in PyTorch, and networks as ONNX operators."""
