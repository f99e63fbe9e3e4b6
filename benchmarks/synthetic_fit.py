"""How near synthetic images come to real ones before and after fitting, without any labels.

    python benchmarks/synthetic_fit.py --seeds 0,1,2

Half of the images drawn for a seed are fitted to; distances are taken to the other half.
"""

from __future__ import annotations

import argparse
import dataclasses
import time

import numpy as np
from measuring import Results, folder_of, one_thread, rounded

ABOUT = (
    "Sliced Wasserstein distance (4 levels of a Laplacian pyramid, mean) between synthetic images "
    "and real ones that took no part in the fit. preset: images of the kind, stretched to the real "
    "grey range; followed: background, object size, contrast and noise follow 24 real images; "
    "fitted: also the look is searched for; real: those 24 real images themselves. Without labels. "
    "Time in processor seconds on one thread. Development data."
)
SETS = {
    "count_bf_suspension": "bright-field",
    "usiigaci_phc": "phase-contrast",
    "bbbc039_u2os": "fluorescence-nuclei",
}
N_FITTED = 24
SCORES = ("preset", "followed", "fitted", "real", "seconds")


def distances(name: str, preset: str, seed: int) -> dict[str, float]:
    """Return the distances of one set and seed from the half not fitted to."""
    from microshot.data.read import read_dataset
    from microshot.metrics.sliced_wasserstein import sliced_wasserstein
    from microshot.synth.fit_styles import fit_styles, likeness, real_pieces
    from microshot.synth.options import GenerateOptions
    from microshot.synth.reference import fit_reference

    data, _ = read_dataset(folder_of(name) / "images")
    order = np.random.default_rng(seed).permutation(len(data))
    n = min(N_FITTED, len(data) // 2)
    fitted, rest = (
        [data[int(i)].image.pixels for i in part] for part in (order[:n], order[n : 2 * n])
    )
    started = time.process_time()
    reference = fit_reference(fitted)
    options = GenerateOptions(reference=reference)
    styles = fit_styles(preset, fitted, options, seed)
    seconds = time.process_time() - started
    plain = likeness(preset, rest, options, seed)
    near = likeness(preset, rest, dataclasses.replace(options, styles=styles), seed)
    own, other = (real_pieces(images, reference, seed) for images in (fitted, rest))
    return {
        "preset": plain.before,
        "followed": plain.after,
        "fitted": near.after,
        "real": sliced_wasserstein(own, other, seed=seed).mean,
        "seconds": seconds,
    }


def main() -> None:
    """Measure what is not in the result file yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0,1,2")
    given = parser.parse_args()
    one_thread()
    results = Results("synthetic_fit", ABOUT)
    for name, preset in SETS.items():
        for seed in map(int, given.seeds.split(",")):
            key = {"set": name, "kind": preset, "seed": seed}
            if not results.has(key):
                results.add({**key, **rounded(distances(name, preset, seed), SCORES)})


if __name__ == "__main__":
    main()
