"""Set up the test process as the product sets up its own, with one thread."""

from __future__ import annotations

import os

from microshot.device import prepare_process

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny networks gain nothing from a second one
prepare_process()  # before any test imports PyTorch
