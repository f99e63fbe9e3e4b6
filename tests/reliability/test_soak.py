"""Many executions in one process leave nothing behind: no handle, no file, no objects."""

from __future__ import annotations

import sys

import pytest
import soaking

from microshot.headless import standin


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_executing_again_and_again_leaves_nothing_behind(tmp_path) -> None:
    if not standin.install():
        pytest.skip("KNIME's own API is installed, so the stand-in is not used")
    _, warm, _, last = soaking.soak(tmp_path, 30, every=10)
    assert not last.used_mb > 1.05 * warm.used_mb  # not a number where it is not known
    assert last.handles == warm.handles
    assert last.files == warm.files
    assert last.objects - warm.objects < 20 * 20  # an execution makes thousands
