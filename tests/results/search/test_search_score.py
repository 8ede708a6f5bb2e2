"""The corrected score of a search: by hand, against plain loops, and its properties."""

import numpy as np
import pytest

from maskcls.results.scores.influence import score_influence
from maskcls.results.scores.intervals import score_interval
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.results.scores.person_bootstrap import resamples
from maskcls.results.scores.person_counts import count_people
from maskcls.results.search.choice import excess_of_choice
from maskcls.results.search.score import SearchScore, corrected_score

PEOPLE, PHOTOS, CLASSES = 40, 3, 3


def rows(seed: int = 0, trials: int = 6, right: float = 0.7, people: int = PEOPLE):
    """Return the answers of equally good trials, which err on people of their own; truth and people."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), PHOTOS)
    truth = rng.integers(0, CLASSES, people * PHOTOS)
    errs = np.repeat(rng.random((trials, people)) > right, PHOTOS, axis=1)
    answers = np.where(errs, (truth + rng.integers(1, CLASSES, errs.shape)) % CLASSES, truth)
    return list(answers), truth, person


def score_of(answers, truth, person, **options) -> SearchScore:
    return corrected_score(answers, truth, person, CLASSES, **options)


def test_two_trials_that_are_each_right_about_one_of_two_people() -> None:
    # Draws are (2, 0), (0, 2), or (1, 1), which leaves nobody out. The trial that is right about the person drawn is
    # chosen, and is 0.2 lower on the other. The draws' own mean, -0.2 (1 - 2 s)^2 for a share s of (2, 0), is taken off
    weights = np.concatenate(list(resamples(2, 2000, 7)))
    first, second = ((weights == (2, 0)).all(axis=1).sum(), (weights == (0, 2)).all(axis=1).sum())
    share = first / (first + second)
    found = excess_of_choice(np.array([0.5, 0.5]), np.array([[0.1, -0.1], [-0.1, 0.1]]), seed=7)
    assert found == pytest.approx(0.2 - 0.2 * (1 - 2 * share) ** 2, abs=1e-12)


def test_equals_plain_loops() -> None:
    answers, truth, person = rows()
    found = [score_influence(count_people(truth, one, person, CLASSES)) for one in answers]
    score, effect = [one.value for one in found], [one.effect_P for one in found]
    inside_best, outside = [], []
    for weight in np.concatenate(list(resamples(PEOPLE, 200, 3))):
        left = [p for p in range(PEOPLE) if weight[p] == 0]
        inside = [score[t] + sum(weight[p] * effect[t][p] for p in range(PEOPLE)) for t in range(len(answers))]
        inside_best.append(inside.index(max(inside)))
        outside.append([sum(effect[t][p] for p in left) * PEOPLE / len(left) for t in range(len(answers))])
    draws = len(outside)
    share = [inside_best.count(t) / draws for t in range(len(answers))]
    mean = [sum(one[t] for one in outside) / draws for t in range(len(answers))]
    chosen = sum(one[best] for one, best in zip(outside, inside_best, strict=True)) / draws
    elsewhere = chosen + sum(share[t] * (score[t] - mean[t]) for t in range(len(answers)))
    assert excess_of_choice(np.array(score), np.stack(effect), draws=200, seed=3) == pytest.approx(
        max(score) - elsewhere, abs=1e-10
    )


def test_the_corrected_score_is_the_naive_one_less_the_excess_and_its_interval_moves_along() -> None:
    answers, truth, person = rows()
    found = score_of(answers, truth, person)
    values = [macro_f1(confusion(truth, one, CLASSES)) for one in answers]
    assert found.naive == pytest.approx(max(values), abs=1e-12)
    best = score_influence(count_people(truth, answers[int(np.argmax(values))], person, CLASSES))
    assert found.naive_interval == score_interval(best)
    assert 0.01 < found.naive - found.macro_f1 < 0.2
    assert found.interval.low < found.naive_interval.low
    assert found.interval.high < found.naive_interval.high
    assert found.interval.low < found.macro_f1 < found.interval.high
    assert (found.how, found.tried, found.people) == ("corrected", 6, PEOPLE)


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_equal_answers_need_no_correction(copies: int) -> None:
    answers, truth, person = rows(trials=1)
    found = score_of(answers * copies, truth, person)
    assert found.macro_f1 == found.naive
    assert found.interval == found.naive_interval


def test_copies_of_trials_change_nothing() -> None:
    answers, truth, person = rows()
    once, twice = score_of(answers, truth, person), score_of(answers + answers, truth, person)
    assert twice.macro_f1 == pytest.approx(once.macro_f1, abs=1e-12)


def test_a_trial_that_is_better_by_far_needs_no_correction() -> None:
    answers, truth, person = rows(right=0.2)
    found = score_of([*answers, truth.copy()], truth, person)
    assert found.naive == 1
    assert found.macro_f1 == 1


def test_the_order_of_trials_and_of_rows_does_not_matter() -> None:
    answers, truth, person = rows()
    found = score_of(answers, truth, person)
    order = np.random.default_rng(1).permutation(len(truth))
    moved = score_of([one[order] for one in answers[::-1]], truth[order], person[order])
    assert moved.macro_f1 == pytest.approx(found.macro_f1, abs=1e-12)
    assert moved.interval.low == pytest.approx(found.interval.low, abs=1e-12)


def test_rows_without_a_label_do_not_count() -> None:
    answers, truth, person = rows()
    found = score_of(answers, truth, person)
    longer = score_of([np.append(one, 1) for one in answers], np.append(truth, -1), np.append(person, PEOPLE))
    assert longer == found


def test_trials_that_were_only_started_are_counted() -> None:
    answers, truth, person = rows()
    assert score_of(answers, truth, person, tried=20).tried == 20
    assert score_of(answers, truth, person, tried=2).tried == 6


def test_a_higher_level_gives_a_wider_interval_and_the_same_score() -> None:
    answers, truth, person = rows()
    wide, plain = score_of(answers, truth, person, level=0.99), score_of(answers, truth, person)
    assert wide.macro_f1 == plain.macro_f1
    assert wide.interval.low < plain.interval.low
    assert wide.interval.high > plain.interval.high
    assert wide.interval.level == wide.naive_interval.level == 0.99


def test_another_seed_gives_nearly_the_same() -> None:
    answers, truth, person = rows()
    first, other = (score_of(answers, truth, person, seed=seed).macro_f1 for seed in (0, 1))
    assert first != other
    assert first == pytest.approx(other, abs=0.02)  # the standard error of 2,000 draws of 40 people is about 0.003


def test_one_person_says_nothing() -> None:
    answers, truth, person = rows(people=1)
    found = score_of(answers, truth, person)
    assert found.macro_f1 == found.naive
    assert (found.interval.low, found.interval.high) == (0, 1)


def test_no_trial_is_refused() -> None:
    _, truth, person = rows()
    with pytest.raises(ValueError, match="no trial is done"):
        score_of([], truth, person)


def test_on_average_the_naive_score_is_too_high_and_the_corrected_one_is_not() -> None:
    naive, corrected = [], []
    for seed in range(40):
        found = score_of(*rows(seed, trials=20, people=60))
        naive.append(found.naive - 0.7)  # of endless people: right in 0.7 of each class, whatever is predicted else
        corrected.append(found.macro_f1 - 0.7)
    error = np.std(corrected) / np.sqrt(40)
    assert np.mean(naive) > 0.08
    assert abs(np.mean(corrected)) < 3 * error + 0.01  # macro-F1 of 60 people is itself about 0.005 too low


def test_as_plain_data() -> None:
    answers, truth, person = rows()
    found = score_of(answers, truth, person)
    data = found.to_json()
    assert data["how"] == "corrected"
    assert data["interval"] == {"low": found.interval.low, "high": found.interval.high, "level": 0.95}
    assert set(data) == {"how", "macro_f1", "interval", "naive", "naive_interval", "tried", "people"}
