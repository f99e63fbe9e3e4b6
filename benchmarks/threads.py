"""How many threads a training should have, and how they should wait for each other.

    python benchmarks/threads.py

Default trainings on few generated images, each in a process of its own, with one thread and with as
many as there are cores; the latter with threads that sleep as soon as they have nothing to do, and with those
that spin for about a millisecond before, which is OpenMP's own default. *chosen* is what a training
with a limit in minutes does: it finds out by itself. All of it on idle cores and with one core kept busy
by another program. The ways take turns.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
from itertools import product
from typing import Any

from measuring import Results

ABOUT = (
    "Default trainings by the clock, ms per step; asleep: GOMP_SPINCOUNT is 0, spinning: OpenMP's "
    "default, chosen: the same, and the training finds out how many threads are fastest."
)
KINDS = ("segment", "translate", "count")
BUSY = "while True: pass"
WAYS = ("one", "asleep", "spinning", "chosen")


def trained(kind: str, way: str, seconds: float) -> dict[str, Any]:
    """Train with default settings; return what a step took."""
    from microshot import api
    from microshot.settings import OptimizerSettings, TrainSettings
    from microshot.synth.generator import generate
    from microshot.training import trainer

    if way != "chosen":
        trainer.Plan = functools.partial(_fixed, trainer.Plan)  # type: ignore[misc]
    look, side = {
        "segment": ("phase-contrast", 256),
        "translate": ("adipocyte-stack", 256),
        "count": ("mixed", 192),
    }[kind]
    settings = TrainSettings(
        task=kind, minutes=seconds / 60, training=OptimizerSettings(seed=0, device="cpu")
    )
    card = api.train(generate(look, 4, 0, size_px=(side, side)), settings).bundle.card
    took = card.training["seconds"] / card.training["steps"]
    return {"ms": round(1000 * took, 2), "steps": card.training["steps"], "device": card.device}


def _fixed(plan: Any, **values: Any) -> Any:
    return plan(**{**values, "paced": False})


def asked(kind: str, way: str, seconds: float) -> dict[str, Any]:
    """Train in a process of its own."""
    from microshot.device import available_cores

    env = {**os.environ, **({"GOMP_SPINCOUNT": "0"} if way == "asleep" else {})}
    env["OMP_NUM_THREADS"] = "1" if way == "one" else str(available_cores())
    command = [
        sys.executable, __file__, "--kind", kind, "--way", way, "--seconds", str(seconds)
    ]  # fmt: skip
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure what is missing in the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--seconds", type=float, default=6.0, help="of each training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", default="", choices=("", *KINDS), help="train once, here")
    parser.add_argument("--way", default="chosen", choices=WAYS)
    given = parser.parse_args()
    if given.kind:
        print(json.dumps(trained(given.kind, given.way, given.seconds)))
        return
    results = Results("threads", ABOUT)
    for busy in (False, True):
        other = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
        try:
            for number, kind, way in product(range(given.rounds), KINDS, WAYS):
                key = {"busy": busy, "kind": kind, "way": way, "round": number}
                if not results.has(key):
                    results.add({**key, **asked(kind, way, given.seconds)})
        finally:
            if other:
                other.kill()


if __name__ == "__main__":
    main()
