"""Set up the test process as the product sets up its own, with one thread."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from microshot.device import prepare_process

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny networks gain nothing from a second one
prepare_process()  # before any test imports PyTorch

# The same examples in every run, and no verdict by the clock; HYPOTHESIS_PROFILE=search looks at
# other examples each time.
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", settings.get_profile("same"), derandomize=False, max_examples=500
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
