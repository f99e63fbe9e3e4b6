"""KNIME's entry module: everything is in `microshot.nodes`."""

import microshot.nodes  # noqa: F401
