"""Class shares by expectation maximisation: does it help when the shares alone change, and harm when they do not?

Planted   Photos of one class are counted several times among the out-of-fold rows of a run, so that the class is as
          many times as frequent. No pixel changes. A repeated photo stays of its person: intervals are over people.
Compared  Per fold, with what the other folds' rows calibrate: the most probable class (plain), the rule for the highest
          expected macro-F1 (expected), the same after estimated shares (em, as `maskcls calibrate --rule shift`), the
          most probable class after estimated shares without a prior (argmax), and expected with the true shares (true).
Printed   A line per shift and way: macro-F1, gain over plain, gain over expected, with 95 % intervals over people.
Run       python benchmarks/shares.py RUN [RUN…] [--trust 0.3]
          RUN: finished runs of the same folds, at least three, one run per seed. No network is loaded.
Read      em should gain over expected where shares changed, and not lose where they did not. true is the most that any
          estimate could gain.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.comparison.difference import paired_difference
from maskcls.results.decisions.bias_correction import bias_corrected, fit_bias_correction
from maskcls.results.decisions.bias_rule import class_shares
from maskcls.results.decisions.calibration import Probabilities
from maskcls.results.decisions.expected_rule import expected_rule
from maskcls.results.decisions.rule import DecisionRule
from maskcls.results.decisions.shift_rule import fill_empty_classes, shift_rule
from maskcls.results.decisions.shifted_labels import TRUST
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.scores.metrics import Doubles, confusion, macro_f1
from maskcls.rundir import RunDir
from maskcls.runs.read_labelled import read_out_of_fold

TIMES = (3, 6)


def planted(found: LabelledPredictions) -> dict[str, Ints]:
    """Return by name how often each row (N,) counts: every class of every task three and six times as often."""
    shifts = {"none": np.ones(len(found.ids), np.int64)}
    for task in found.space.tasks:
        for c, name in enumerate(task.classes):
            for times in TIMES:
                shifts[f"{task.name} {name} x{times}"] = np.where(found.truth[task.name] == c, times, 1)
    return shifts


def true_rule(prior_J: Doubles, share_J: Doubles, space: LabelSpace) -> DecisionRule:
    """Return the rule that knows the shares of each task."""
    part_of, prior_J = space.decode(np.arange(space.size)), fill_empty_classes(prior_J)
    bias_J = np.zeros(space.size)
    for task in space.tasks:
        of_JC = np.eye(len(task.classes))[part_of[task.name]]
        bias_J += np.log(np.maximum(share_J @ of_JC, 1e-6) / (prior_J @ of_JC))[part_of[task.name]]
    return DecisionRule("shift", tuple(bias_J.tolist()))


def answer(prob_NJ: Probabilities) -> Ints:
    """Return the labels for the highest expected macro-F1."""
    return expected_rule(prob_NJ).labels(prob_NJ)


def labels_of(found: LabelledPredictions, times_N: Ints, trust: float) -> tuple[Ints, dict[str, Ints]]:
    """Return the rows as often as they count, fold after fold, and their labels in every way."""
    assert found.prob_NJ is not None
    assert found.fold_N is not None
    space, truth_N = found.space, found.space.encode(found.truth)
    rows: list[Ints] = []
    labels: dict[str, list[Ints]] = {}
    for k in np.unique(found.fold_N):
        own, other = np.flatnonzero(found.fold_N == k), np.flatnonzero(found.fold_N != k)
        row_N = np.repeat(own, times_N[own])
        marginals, prior_J = space.marginals(found.prob_NJ[other]), class_shares(truth_N[other], space.size)
        corrections = {name: fit_bias_correction(marginals[name], found.truth[name][other]) for name in space.names}
        plain_NJ: Floats = found.prob_NJ[row_N]
        prob_NJ = bias_corrected(plain_NJ, corrections, space)
        by_true = true_rule(prior_J, class_shares(truth_N[row_N], space.size), space)
        ways = {
            "plain": plain_NJ.argmax(axis=1),
            "argmax": shift_rule(prob_NJ, prior_J, space).labels(prob_NJ),
            "expected": answer(prob_NJ),
            "em": answer(shift_rule(prob_NJ, prior_J, space, trust=trust).adjusted(prob_NJ)),
            "true": answer(by_true.adjusted(prob_NJ)),
        }
        rows.append(row_N)
        for name, label_N in ways.items():
            labels.setdefault(name, []).append(label_N.astype(np.int64))
    return np.concatenate(rows), {name: np.concatenate(several) for name, several in labels.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--trust", type=float, default=TRUST, help="weight of the training shares in the estimate")
    given = parser.parse_args(argv)
    runs = [read_out_of_fold(RunDir(path)) for path in given.runs]
    first, size = runs[0], runs[0].space.size
    assert first.people_N is not None
    if any(not np.array_equal(one.ids, first.ids) or not np.array_equal(one.fold_N, first.fold_N) for one in runs):
        raise SystemExit("the runs have different folds")
    print("| shift | way | macro-F1 | over plain | over expected |\n|---|---|---|---|---|")
    for shift, times_N in planted(first).items():
        found = [labels_of(one, times_N, given.trust) for one in runs]
        row_N = found[0][0]
        truth_N, people_N = first.space.encode(first.truth)[row_N], first.people_N[row_N]
        for name in found[0][1]:
            labels = [one[1][name] for one in found]
            score = float(np.mean([macro_f1(confusion(truth_N, label_N, size)) for label_N in labels]))
            gains = []
            for base in ("plain", "expected"):
                gain = paired_difference(truth_N, [one[1][base] for one in found], labels, people_N, size)
                gains.append("" if name == base else f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")
            print(f"| {shift} | {name} | {score:.4f} | {' | '.join(gains)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
