"""Set up the test process as the product sets up its own, with one thread; the extension in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from microshot.device import prepare_process

if TYPE_CHECKING:
    from microshot.headless import standin

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


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> standin.Host:
    """The extension as KNIME would load it, in the stand-in for KNIME."""
    from microshot.headless import standin

    if not standin.install():
        pytest.skip("KNIME's own API is installed, so the stand-in is not used")
    return standin.Host(Path(__file__).parents[1], tmp_path_factory.mktemp("microshot"))
