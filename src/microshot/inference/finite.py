"""What a network says has to be numbers: a training that went wrong is told, not counted as nothing."""

from __future__ import annotations

import numpy as np


class NotFinite(ValueError):
    """A network's output that holds what is no finite number."""


def finite(output: np.ndarray) -> np.ndarray:
    """Return a network's output, (N, K, Y, X) or (N, K), as it is.

    Of (N, K, Y, X) the first channel is looked at, as all come from the same features; to look at all
    would take 2 % of the time of a prediction.

    Raises
    ------
    NotFinite
        If it holds what is no finite number.
    """
    seen = output[:, :1] if output.ndim == 4 else output
    if not np.isfinite(seen).all():
        raise NotFinite(
            "The network's output must be finite numbers, found others: either its weights have grown too "
            "large, then train again with a lower learning rate, or the image has extreme values."
        )
    return output
