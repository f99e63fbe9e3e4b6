"""Are objects as often right as their confidence says?

    python benchmarks/confidence.py

The model of `benchmarks/dsb2018.py`, on the test tenth that took no part in training: the curve is
fitted on a random half of its images and measured on the other half.
"""

from __future__ import annotations

import argparse

import numpy as np
from dsb2018 import SPLIT_SEED, TEST_PART
from measuring import CACHE, Results, dataset, one_thread

ABOUT = (
    "Expected calibration error of object scores (10 bins, IoU 0.5) on half of the images of the test "
    "tenth of dsb2018_fluo, the curve fitted on the other half."
)


def isotonic(p: np.ndarray, right: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the confidence of `new` by pooling adjacent violators."""
    order = np.argsort(p)
    sums: list[tuple[float, int]] = []
    for value in right[order].astype(float):
        sums.append((value, 1))
        while len(sums) > 1 and sums[-2][0] * sums[-1][1] >= sums[-1][0] * sums[-2][1]:
            last = sums.pop()
            sums[-1] = (sums[-1][0] + last[0], sums[-1][1] + last[1])
    steps = np.concatenate([np.full(n, total / n) for total, n in sums])
    return steps[np.clip(np.searchsorted(p[order], new) - 1, 0, len(p) - 1)]


def main() -> None:
    """Predict once, then divide the images in several ways."""
    from microshot import api, trust
    from microshot.bundle import Bundle
    from microshot.data.dataset import split
    from microshot.learning.fitting import Example
    from microshot.trust.certainty import calibration_error, fitted

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="dsb2018_12_1")
    parser.add_argument("--halves", type=int, default=10)
    given = parser.parse_args()
    one_thread()
    results = Results("confidence", ABOUT)
    data = dataset("dsb2018_fluo")
    test = data.take(split(data.groups, TEST_PART, SPLIT_SEED)[1])
    predictor = api.Predictor(Bundle.load(CACHE / f"{given.model}.microshot"))
    objects = []
    for sample in test:
        pair = trust.objects_of(Example(sample, predictor(sample), {}, held_out=True))
        if pair is not None:
            objects.append(pair)
    for seed in range(given.halves):
        key = {"model": given.model, "seed": seed}
        if results.has(key):
            continue
        order = np.random.default_rng(seed).permutation(len(objects))
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        p, right = (np.concatenate([objects[i][k] for i in first]) for k in (0, 1))
        q, truth = (np.concatenate([objects[i][k] for i in second]) for k in (0, 1))
        errors = {
            "raw": calibration_error(q, truth),
            "logistic": calibration_error(fitted(p, right)(q), truth),
            "isotonic": calibration_error(isotonic(p, right, q), truth),
        }
        facts = {"n_fitted": len(p), "n_measured": len(q), "right": float(truth.mean())}
        results.add({**key, **{k: round(v, 4) for k, v in {**errors, **facts}.items()}})


if __name__ == "__main__":
    main()
