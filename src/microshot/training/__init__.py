"""The one training loop, and which weights a retrained model keeps."""
