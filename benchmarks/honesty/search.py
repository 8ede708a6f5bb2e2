"""Does the printed score of a search hold on new people? Simulated studies whose true scores are known.

    python benchmarks/honesty/search.py [--studies 200] [--seed 0] [--only TEXT]

In each study, trials with drawn settings, or settings that Optuna's TPE proposes, are scored on the same drawn people
(`searched.py`). The best is chosen, and scored on 30,000 new people: the score that the intervals should cover. The
table says how often they do, in the first 20 studies and in all; the mean of the printed score minus that on new
people, +- 2 standard errors; and the mean width of the interval. The methods:

    naive      the best trial's score and interval, as if it were the only trial
    corrected  what `maskcls tune` prints: people resampled, to first order (results/search)
    sealed     a fourth as many people again, seen by no trial
    shrunk     naive less the excess that `runs list` prints for the best of several runs (results/comparison/optimism)
    Efron      naive less the mean gain of the best on people drawn with replacement, against all people
    BBC-CV     mean score of the people left out and its middle 95 %, as published
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from searched import CLASSES, Drawn, Search

from maskcls.results.comparison.optimism import optimism_of_best
from maskcls.results.scores.influence import score_influence
from maskcls.results.scores.intervals import score_interval
from maskcls.results.scores.metrics import confusion, macro_f1, share_of
from maskcls.results.scores.person_bootstrap import resamples
from maskcls.results.scores.person_counts import PersonCounts, count_people
from maskcls.results.search.score import corrected_score

Array = Any
Found = dict[str, tuple[float, float, float]]  # method: score, low, high
NEW_PEOPLE = 30_000
DRAWS = 200
FOLDS, PRUNED_AFTER, LEAST_SEEN = 5, 2, 5

SETTINGS: dict[str, tuple[Search, str]] = {
    "400 people, 30 equal trials": (Search(400, 30, 0.0), "random"),
    "400 people, 30 trials": (Search(400, 30, 0.5, 0.7), "random"),
    "400 people, 100 trials": (Search(400, 100, 0.2, 0.7), "random"),
    "100 people, 30 trials": (Search(100, 30, 0.5, 0.7), "random"),
    "1500 people, 60 trials": (Search(1500, 60, 0.5, 0.7), "random"),
    "400 people, 60 trials, half pruned": (Search(400, 60, 0.5, 0.7), "pruned"),
    "400 people, 60 trials, TPE": (Search(400, 60, 1.0, 0.7), "tpe"),
    "400 people, 60 equal trials, TPE": (Search(400, 60, 0.0, 1.0), "tpe"),
}


def drawn_settings(search: Search, score: Callable[[Array], float], rng: np.random.Generator) -> None:
    """Score settings that are drawn evenly."""
    for _ in range(search.trials):
        score(rng.random(search.dimensions))


def proposed_settings(search: Search, score: Callable[[Array], float], rng: np.random.Generator) -> None:
    """Score settings that TPE proposes from the scores before."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.TPESampler(seed=int(rng.integers(1 << 30)), multivariate=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    names = [f"x{place}" for place in range(search.dimensions)]
    study.optimize(lambda trial: score(np.array([trial.suggest_float(x, 0, 1) for x in names])), n_trials=search.trials)


def kept_after_folds(answers: list[Array], truth: Array, person: Array) -> list[int]:
    """Return the trials that are not below the median of those before them on the people of the first folds."""
    rows, seen, kept = person % FOLDS < PRUNED_AFTER, [], []
    for number, answer in enumerate(answers):
        found = macro_f1(confusion(truth[rows], answer[rows], CLASSES))
        if len(seen) < LEAST_SEEN or found >= np.median(seen):
            kept.append(number)
        seen.append(found)
    return kept


def one_study(search: Search, kind: str, rng: np.random.Generator) -> tuple[float, Found]:
    """Return the best trial's score on new people, and what each method says of it."""
    world = Drawn(search, rng)
    people = world.people(search.people)
    truth, person, tried, answers = people.truth, people.person, [], []

    def score(x_D: Array) -> float:
        tried.append(x_D)
        answers.append(world.answers(people, x_D))
        return macro_f1(confusion(truth, answers[-1], CLASSES))

    (proposed_settings if kind == "tpe" else drawn_settings)(search, score, rng)
    kept = kept_after_folds(answers, truth, person) if kind == "pruned" else range(search.trials)
    tried, answers = [tried[k] for k in kept], [answers[k] for k in kept]
    counts = [count_people(truth, answer, person, CLASSES) for answer in answers]
    found = [score_influence(one) for one in counts]
    best = int(np.argmax([one.value for one in found]))
    new = world.people(NEW_PEOPLE)
    true = macro_f1(confusion(new.truth, world.answers(new, tried[best]), CLASSES))

    corrected = corrected_score(answers, truth, person, CLASSES, tried=search.trials)
    other = world.people(search.people // 4)
    sealed = score_influence(count_people(other.truth, world.answers(other, tried[best]), other.person, CLASSES))
    sealed_interval = score_interval(sealed)
    result = {
        "naive": (corrected.naive, corrected.naive_interval.low, corrected.naive_interval.high),
        "corrected": (corrected.macro_f1, corrected.interval.low, corrected.interval.high),
        "sealed": (sealed.value, sealed_interval.low, sealed_interval.high),
    }
    gain, out_D = resampled(counts, best, int(rng.integers(1 << 30)))
    for name, less in (("shrunk", optimism_of_best(counts).value), ("Efron", gain)):
        interval = score_interval(replace(found[best], bias=found[best].bias + less))
        result[name] = found[best].value - less, interval.low, interval.high
    low, high = np.quantile(out_D, [0.025, 0.975])
    result["BBC-CV"] = float(out_D.mean()), float(low), float(high)
    return true, result


def resampled(counts: list[PersonCounts], best: int, seed: int) -> tuple[float, Array]:
    """Return the mean gain of the best of each draw, and its score on the people left out of the draw (D,)."""
    hits, marks = (
        np.stack([getattr(one, name) for one in counts], axis=1) for name in ("hits_PC", "marks_PC")
    )  # (P, T, C)
    people, trials, classes = hits.shape
    all_T = macro(hits.sum(axis=0), marks.sum(axis=0))
    gains, outs = [], []
    for weight_DP in resamples(people, DRAWS, seed):
        inside, outside = (
            macro(*((w @ part.reshape(people, -1)).reshape(-1, trials, classes) for part in (hits, marks)))
            for w in (weight_DP, (weight_DP == 0).astype(float))
        )
        best_D = inside.argmax(axis=1)
        rows = np.arange(len(best_D))
        # Against the mean of all trials: a draw has fewer classes than all people, whatever is chosen.
        gains.append(inside[rows, best_D] - all_T[best_D] - (inside - all_T).mean(axis=1))
        outs.append(outside[rows, best_D])
    return float(np.concatenate(gains).mean()), np.concatenate(outs)


def macro(hits: Array, marks: Array) -> Array:
    """Return the macro-F1 over the last axis."""
    mean: Array = share_of(2 * hits, marks).sum(axis=-1) / np.maximum((marks > 0).sum(axis=-1), 1)
    return mean


def lines(name: str, studies: int, seed: int) -> list[str]:
    """Return the lines of a setting, one per method."""
    search, kind = SETTINGS[name]
    found = [one_study(search, kind, np.random.default_rng((seed, number))) for number in range(studies)]
    made = []
    for method in found[0][1]:
        cells = np.array([(*result[method], true) for true, result in found])
        score, low, high, true = cells.T
        covers = (low <= true) & (true <= high)
        error = 2 * (score - true).std() / np.sqrt(studies)
        made.append(
            f"| {name} | {method} | {covers[:20].sum()} of {min(20, studies)} | {covers.mean():.3f} |"
            f" {(score - true).mean():+.4f} +- {error:.4f} | {(high - low).mean():.3f} |"
        )
    return made


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="settings whose name has this text")
    given = parser.parse_args()
    print("| search | score | covers | of all | too high | width |")
    print("|---|---|---|---|---|---|")
    for name in SETTINGS:
        if given.only in name:
            print("\n".join(lines(name, given.studies, given.seed)), flush=True)


if __name__ == "__main__":
    main()
