"""Batches that do not fit into memory are worked on in parts."""

from __future__ import annotations

import numpy as np
import pytest

from microshot.inference.shortage import in_parts


@pytest.mark.parametrize("most", [5, 2, 1])
def test_images_of_a_batch_stay_in_their_order(most) -> None:
    sizes = []

    def network(batch: np.ndarray) -> np.ndarray:
        sizes.append(len(batch))
        if len(batch) > most:
            raise MemoryError
        return batch * 10

    batch = np.arange(5, dtype=np.float32).reshape(5, 1, 1, 1)
    assert in_parts(network, batch).ravel().tolist() == [0, 10, 20, 30, 40]
    assert sizes == {5: [5], 2: [5, 2, 3, 1, 2], 1: [5, 2, 1, 1, 3, 1, 2, 1, 1]}[most]


def test_one_image_that_does_not_fit_is_told() -> None:
    def network(_batch: np.ndarray) -> np.ndarray:
        raise MemoryError

    with pytest.raises(MemoryError, match="not even for 6 x 7 px at once"):
        in_parts(network, np.zeros((3, 1, 6, 7), np.float32))
