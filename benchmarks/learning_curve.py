"""How often the interval of a learning curve's projection contains the true gain, on simulated trainings.

    python benchmarks/learning_curve.py [--repeats 60]

A training of n people makes errors at the rate of a known power law, with a deviation of its own, on 200 held-out
people with one photo each. Eight trainings of 10, 20, 40 and 80 people give the projection for 160; nothing is trained.
Prints, per law, how often the 95 % interval contains the true gain, and how often it lies above 0. Takes a minute.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from maskcls.results.diagnosis.learning_curve import Trained, learning_curve, predicted_error

SIZES = ((10, 3), (20, 2), (40, 2), (80, 1))
LAWS = ((0.1, 1.5, 0.5), (0.0, 1.2, 0.3), (0.3, 0.6, 0.8))
HELD_OUT = 200


def simulated(law: tuple[float, float, float], deviation: float, rng: np.random.Generator) -> list[Trained]:
    """Return trainings of two equally frequent classes."""
    true, rows, found = np.arange(HELD_OUT) % 2, np.arange(HELD_OUT), []
    for size, times in SIZES:
        for _ in range(times):
            rate = predicted_error(law, size) + deviation * rng.standard_normal()
            pred = np.where(rng.random(HELD_OUT) < rate, 1 - true, true)
            hits, marks = np.zeros((HELD_OUT, 2)), np.zeros((HELD_OUT, 2))
            hits[rows, true] = true == pred
            marks[rows, true] += 1
            marks[rows, pred] += 1
            found.append(Trained(size, np.array([size // 2, size // 2]), hits, marks))
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Print the coverage of every law."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=60)
    repeats = parser.parse_args(argv).repeats
    for law in LAWS:
        for deviation in (0.0, 0.03):
            rng, covered, above = np.random.default_rng(0), 0, 0
            true = predicted_error(law, SIZES[-1][0]) - predicted_error(law, 2 * SIZES[-1][0])
            for seed in range(repeats):
                curve = learning_curve("task", "ab", simulated(law, deviation, rng), seed=seed)
                assert curve is not None
                covered += curve.twice.low <= true <= curve.twice.high
                above += curve.twice.told
            text = f"{law[0]:g} + {law[1]:g} n^-{law[2]:g}, deviation {deviation:g}: gain {true:.3f}"
            print(f"{text}, covered {covered / repeats:.2f}, above 0 {above / repeats:.2f}", flush=True)


if __name__ == "__main__":
    main()
