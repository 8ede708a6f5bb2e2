"""What is timed, in which order, for how long; seconds are made by hand."""

from __future__ import annotations

from itertools import product

import pytest
from compute_fakes import CPU, HALF_LAST, HALF_PLAIN, LAST, LONG, PLAIN, quiet, timed, work

from maskcls.engine.compute.candidates import Candidate
from maskcls.engine.compute.measure import Measurement, measure, measure_all
from maskcls.engine.compute.plan import Execution

ALL = [Candidate(execution, 2) for execution in (LAST, PLAIN, HALF_LAST, HALF_PLAIN)]
TWO = [Candidate(LAST, 2), Candidate(HALF_LAST, 2)]


def seconds(*values: float) -> dict[Candidate, float]:
    return dict(zip(ALL, values, strict=True))


def stage_of(measured: Measurement, index: int) -> dict[Execution, int]:
    """Return the number of rounds per execution in a stage."""
    return {one.execution: len(rounds) for one, rounds in measured.stages[index].items()}


def test_memory_formats_first_then_number_formats_in_the_better_one(monkeypatch: pytest.MonkeyPatch) -> None:
    times = timed(monkeypatch, seconds(0.2, 0.1, 0.05, 0.05))
    measured = measure(work(), ALL, 32, CPU, train=True)
    assert measured.best.execution == HALF_PLAIN
    assert [stage_of(measured, i) for i in range(2)] == [{LAST: 3, PLAIN: 3}, {PLAIN: 3, HALF_PLAIN: 3}]
    assert ALL[2] not in times.candidates(train=True)
    assert measured.complete
    assert (measured.batch, measured.speed(ALL[1]), measured.speed(ALL[3])) == (32, 320, 640)


def test_what_loses_a_round_is_not_timed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """9 % faster loses by the rule, whatever the later rounds would say."""
    timed(monkeypatch, {TWO[0]: 0.109, TWO[1]: [0.1, 0.01, 0.01]})
    measured = measure(work(), TWO, 32, CPU, train=True)
    assert stage_of(measured, 0) == {LAST: 1, HALF_LAST: 1}
    assert measured.best == TWO[0]
    assert measured.complete


def test_a_hopeless_candidate_is_not_timed_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, {TWO[0]: 0.1, TWO[1]: 0.41})
    assert stage_of(measure(work(), TWO, 32, CPU, train=True), 0) == {LAST: 1, HALF_LAST: 0}


@pytest.mark.parametrize("rounds", [[0.1, 0.1, 0.108], [0.108, 0.1, 0.1], [0.1, 0.12, 0.1]])
def test_one_slow_round_keeps_the_exact_format(monkeypatch: pytest.MonkeyPatch, rounds: list[float]) -> None:
    timed(monkeypatch, {TWO[0]: 0.115, TWO[1]: rounds})
    assert measure(work(), TWO, 32, CPU, train=True).best == TWO[0]


def test_a_short_training_is_measured_on_few_images_and_keeps_what_it_has_no_time_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pass of 16 images takes 0.1 s, so 0.08 of a training of 2 folds x 1,600 images is 1.6 s."""
    times = timed(monkeypatch, seconds(0.1, 0.1, 0.05, 0.05))
    measured = measure(work(images=1600), ALL, 32, CPU, train=True)
    assert times.batches(train=True) == {16}
    assert (measured.batch, measured.complete) == (16, False)
    assert measured.best.execution == HALF_LAST
    assert sum(0.1 if one.execution.precision == "fp32" else 0.05 for one, _, _ in times.asked) <= 1.6
    times.asked.clear()
    measured = measure(work(images=400), ALL, 32, CPU, train=True)  # 0.4 s: two passes and no more than a try
    assert measured.best.execution == LAST
    assert not measured.complete
    assert ALL[2] not in times.candidates(train=True)


def test_prediction_is_measured_for_its_own_length(monkeypatch: pytest.MonkeyPatch) -> None:
    times = timed(monkeypatch, seconds(0.1, 0.1, 0.05, 0.05))
    assert measure(work(predicted=10), ALL, 32, CPU, train=False).best.execution == LAST
    assert times.batches(train=False) == {16}
    assert measure(work(images=10), ALL, 32, CPU, train=False).best.execution == HALF_LAST
    assert times.batches(train=False) == {16, 32}


@pytest.mark.parametrize(("train", "limit_s"), [(True, 15.0), (False, 5.0)])
def test_the_time_limit_holds_for_the_longest_training(
    monkeypatch: pytest.MonkeyPatch, train: bool, limit_s: float
) -> None:
    times = timed(monkeypatch, seconds(1.0, 0.8, 0.6, 0.6))
    measured = measure(work(), ALL, 32, CPU, train=train)
    table = seconds(1.0, 0.8, 0.6, 0.6)
    assert limit_s - 5 < sum(table[one] for one, _, _ in times.asked) <= limit_s
    assert not measured.complete


def test_thread_counts_are_compared_for_the_best_execution_in_all_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = [Candidate(execution, threads) for threads, execution in product((8, 4, 1), (LAST, PLAIN))]
    table = dict(zip(candidates, (0.32, 0.2, 0.1, 0.1, 0.8, 0.8), strict=True))
    times = timed(monkeypatch, table)
    measured = measure(work(), candidates, 32, CPU, train=True)
    assert [{one: len(rounds) for one, rounds in stage.items()} for stage in measured.stages] == [
        {Candidate(LAST, 8): 3, Candidate(PLAIN, 8): 3},
        {Candidate(PLAIN, 8): 3, Candidate(PLAIN, 4): 3, Candidate(PLAIN, 1): 3},
    ]
    assert measured.best == Candidate(PLAIN, 4)
    times.asked.clear()
    short = measure(work(images=100), candidates, 32, CPU, train=True)  # a fold of less than a minute
    assert {one.threads for one in times.candidates(train=True)} == {8}
    assert not short.complete  # a longer training has to look at the others


def test_the_only_candidate_is_timed_for_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, {TWO[0]: [0.4, 0.2, 0.3]})
    measured = measure(work(), TWO[:1], 32, CPU, train=True)
    assert measured.speed(TWO[0]) == pytest.approx(32 / 0.3)  # the median
    assert measured.complete


def test_a_busy_machine_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, {TWO[0]: 0.1, TWO[1]: 0.05})
    assert not measure(work(), TWO, 32, CPU, train=True).busy
    quiet(monkeypatch, 0.09)
    assert not measure(work(), TWO, 32, CPU, train=True).busy
    quiet(monkeypatch, 0.11)
    for how in (measure, measure_all):
        assert how(work(), TWO, 32, CPU, train=True).busy
        assert how(work(), TWO, 32, CPU, train=True).best == TWO[1]  # the rule holds all the same


def test_rounds_that_differ_much_are_a_sign_of_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not report what others do."""
    timed(monkeypatch, {TWO[0]: [0.2, 0.29, 0.2], TWO[1]: 0.1})
    assert not measure(work(), TWO, 32, CPU, train=True).busy
    timed(monkeypatch, {TWO[0]: [0.2, 0.31, 0.2], TWO[1]: 0.1})
    assert measure(work(), TWO, 32, CPU, train=True).busy


def test_a_thorough_measurement_leaves_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    times = timed(monkeypatch, seconds(100.0, 150.0, 900.0, 50.0))
    measured = measure_all(work(images=1), ALL, 32, CPU, train=True)
    assert times.batches(train=True) == {32}
    assert [stage_of(measured, i) for i in range(2)] == [{LAST: 3, PLAIN: 3}, {LAST: 3, HALF_LAST: 3}]
    assert measured.complete


@pytest.mark.parametrize("how", [measure, measure_all])
def test_progress_ends_at_its_end(monkeypatch: pytest.MonkeyPatch, how: object) -> None:
    assert callable(how)
    timed(monkeypatch, seconds(0.2, 0.1, 0.05, 0.05))
    seen: list[tuple[int, int]] = []
    how(work(images=LONG), ALL, 32, CPU, train=True, on_progress=lambda done, of: seen.append((done, of)))
    assert len(seen) >= 12
    assert [done for done, of in seen if done >= of] == [seen[-1][1]]  # only the last one is the end
    assert seen[-1][0] == seen[-1][1]
