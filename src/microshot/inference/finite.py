"""What a network says has to be numbers: a training that went wrong is told, not counted as nothing."""

from __future__ import annotations

import numpy as np


class NotFinite(ValueError):
    """A network's output that holds what is no finite number."""


def finite(output: np.ndarray) -> np.ndarray:
    """Return a network's output of any shape as it is.

    Raises
    ------
    NotFinite
        If it holds what is no finite number.
    """
    if not np.isfinite(output).all():
        raise NotFinite(
            "The network's output must be finite numbers, found others: either its weights have grown too "
            "large, then train again with a lower learning rate, or the image has extreme values."
        )
    return output
