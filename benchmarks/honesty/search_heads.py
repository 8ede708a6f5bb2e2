"""Does the printed score of a search hold on sealed people, with networks that are really trained?

    python benchmarks/honesty/search_heads.py [--studies 20] [--trials 20] [--people 250] [--drawn 1000] [--seed 0]

Faces are drawn once. A study takes some of the people; its trials train linear heads on frozen random features of their
photos in three folds of people. The trials differ in the features used, the strength of the penalty and in balanced
classes. The best one by its out-of-fold rows is chosen. Its heads then predict the photos of all people that the study
did not take: the score there is what the printed intervals should cover. It is that of one fold's heads, as the
out-of-fold score is.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from maskcls.data.drawn.people import SHOTS, generator, people_of
from maskcls.data.drawn.photo import draw_photo
from maskcls.data.drawn.traits import look_of
from maskcls.labels import CONTEST
from maskcls.nn.fitting.fitted_head import head_probabilities
from maskcls.nn.fitting.logistic import fit_heads
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.results.search.score import corrected_score

Array = Any
SIZE, PIXELS = (64, 48), (32, 24)  # as drawn; as the features see it
FOLDS, WIDEST = 3, 128


def drawn_rows(count: int, seed: int) -> tuple[Array, Array, Array]:
    """Return small photos (N, pixels), joint classes (N,) and people (N,) 0..count-1; people in random order."""
    import cv2

    photos, truth = [], []
    people = [people_of("eval", count, seed)[place] for place in np.random.default_rng(seed).permutation(count)]
    for person in people:
        look = look_of(person, seed)
        for shot, (_, state) in enumerate(SHOTS):
            rng = generator(seed, "eval", person.index, 2 + shot)
            kind = look.mask_order[shot % len(look.mask_order)]
            photo = draw_photo(look, state, kind, rng=rng, size=SIZE)
            photos.append(cv2.resize(photo, PIXELS[::-1], interpolation=cv2.INTER_AREA).reshape(-1))
            truth.append(person.joint_class(state))
    return np.array(photos) / 127.5 - 1, np.array(truth), np.repeat(np.arange(count), len(SHOTS))


def random_features(pixel_ND: Array, seed: int) -> Array:
    """Return the activations (N, WIDEST) of one random layer that is not trained."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 2 / np.sqrt(pixel_ND.shape[1]), (pixel_ND.shape[1], WIDEST))
    return np.maximum(pixel_ND @ weight + rng.normal(0, 0.5, WIDEST), 0).astype(np.float32)


def one_study(feature: Array, truth: Array, person: Array, given: Any, number: int) -> tuple[float, Any]:
    """Return the score of the best trial's heads on the other people, and the printed score."""
    rng = np.random.default_rng((given.seed, number))
    taken = rng.choice(given.drawn, given.people, replace=False)
    rows, others = (np.flatnonzero(np.isin(person, taken, invert=other)) for other in (False, True))
    fold = rng.permutation(given.drawn)[person[rows]] % FOLDS
    labels, answers, elsewhere = CONTEST.decode(truth[rows]), [], []
    for _ in range(given.trials):
        width, strength = int(rng.integers(32, WIDEST + 1)), float(10 ** rng.uniform(-2, 0))
        balanced, columns = bool(rng.integers(2)), rng.permutation(WIDEST)[:width]
        answer, counts = np.zeros(len(rows), dtype=np.int64), np.zeros((CONTEST.size, CONTEST.size), dtype=np.int64)
        for k in range(FOLDS):
            train = np.flatnonzero(fold != k)
            part = {name: label[train] for name, label in labels.items()}
            seen = feature[rows[train]][:, columns]
            heads = fit_heads(seen, part, np.ones(len(train)), CONTEST, strength=strength, balanced=balanced)
            for where, use in ((rows[fold == k], "own"), (others, "others")):
                label = head_probabilities(heads, feature[where][:, columns], CONTEST).argmax(axis=1)
                if use == "own":
                    answer[fold == k] = label
                else:
                    counts += confusion(truth[where], label, CONTEST.size)
        answers.append(answer)
        elsewhere.append(macro_f1(counts))
    scores = [macro_f1(confusion(truth[rows], answer, CONTEST.size)) for answer in answers]
    return elsewhere[int(np.argmax(scores))], corrected_score(answers, truth[rows], person[rows], CONTEST.size)


def main() -> None:
    """Print a line per study, and how many intervals cover."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("studies", 20), ("trials", 20), ("people", 250), ("drawn", 1000), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    pixels, truth, person = drawn_rows(given.drawn, given.seed)
    feature, found = random_features(pixels, given.seed), []
    print("| study | sealed people | corrected, interval | naive, interval |")
    print("|---|---|---|---|")
    for number in range(given.studies):
        true, score = one_study(feature, truth, person, given, number)
        ends = [(one.low, one.high) for one in (score.interval, score.naive_interval)]
        covers = [low <= true <= high for low, high in ends]
        found.append((*covers, score.macro_f1 - true, score.naive - true))
        texts = [
            f"{value:.3f}, {low:.3f} to {high:.3f}"
            for value, (low, high) in zip((score.macro_f1, score.naive), ends, strict=True)
        ]
        print(f"| {number} | {true:.3f} | {texts[0]} | {texts[1]} |", flush=True)
    corrected, naive, high, naive_high = np.array(found, dtype=float).T
    print(f"covers: corrected {corrected.sum():.0f}, naive {naive.sum():.0f} of {given.studies}")
    print(f"too high on average: corrected {high.mean():+.4f}, naive {naive_high.mean():+.4f}")


if __name__ == "__main__":
    main()
