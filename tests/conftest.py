"""Set up the test process as the product sets up its own."""

from __future__ import annotations

from microshot.device import prepare_process

prepare_process()  # before any test imports PyTorch
