"""Time the candidates against each other, in as little time as the training can spare.

Stages, each with the best of the one before: memory formats, then number formats, then thread counts. In a stage the
candidates take turns; one that loses a round by the rule can no longer win, and is not timed again. What does not fit
into the time limit is not timed, and so not chosen: short trainings keep the exact format.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from maskcls.engine.compute import timing
from maskcls.engine.compute.candidates import Candidate, Workload
from maskcls.engine.compute.machine_load import BUSY_SHARE, others_share, read_clocks
from maskcls.engine.compute.rule import ROUNDS, Timings, faster_by_margin, winner

LIMIT_S = 15.0  # the most that is spent on training passes
INFER_LIMIT_S = 5.0  # and on forward passes
SHORT_FOLD_S = 60.0  # a shorter training of a fold keeps all cores, and is over before a second process has started
TIME_SHARE = 0.08  # and its share of the expected training time: less than the margin that a choice gains
SMALL_BATCH = 16  # images per pass where passes of the real batch would take too long
FIRST_PASSES = 3  # a first pass takes about as long as three
HOPELESS = 4.0  # a candidate whose first pass takes this much longer than the best one's is not timed further
UNSTEADY = 1.5  # ratio of the slowest to the fastest round of one candidate on a machine that others use

Progress = Callable[[int, int], None]  # passes done, of at most


@dataclass(frozen=True)
class Measurement:
    """What was timed. stages: in their order; the first candidate of each is the winner of the stage before.

    batch     images per timed pass.
    complete  nothing was left out for lack of time.
    busy      other processes used the machine meanwhile.
    """

    stages: tuple[Timings, ...]
    batch: int
    complete: bool = True
    busy: bool = False

    @property
    def best(self) -> Candidate:
        """The candidate the rule chooses."""
        return winner(self.stages[-1])

    @property
    def timings(self) -> dict[Candidate, Sequence[float]]:
        """All rounds per candidate; of one that was timed in several stages, those of the last."""
        return {candidate: rounds for stage in self.stages for candidate, rounds in stage.items()}

    def speed(self, candidate: Candidate) -> float:
        """Return images per second by the median round; infinite where nothing was timed."""
        rounds = self.timings.get(candidate)
        return self.batch / statistics.median(rounds) if rounds else math.inf


def untimed(candidate: Candidate, batch: int) -> Measurement:
    """Return the measurement of a candidate that is the only one, and whose speed nobody asks for."""
    return Measurement(({candidate: ()},), batch)


def measure(
    workload: Workload,
    candidates: Sequence[Candidate],
    batch: int,
    device: torch.device,
    *,
    train: bool,
    on_progress: Progress = lambda done, of: None,
) -> Measurement:
    """Choose among the candidates, of which the first is the preferred one, within the time limit."""
    before, small, wanted = read_clocks(), min(batch, SMALL_BATCH), candidates
    clock = _Clock(timing.Stopwatch(workload, small, device, train=train), on_progress, _passes(candidates))
    clock.first(candidates[0])
    fold_s = clock.again(candidates[0]) * (workload.images if train else workload.predicted) / small
    clock.limit_s = min(LIMIT_S if train else INFER_LIMIT_S, TIME_SHARE * fold_s * workload.jobs)
    if fold_s < SHORT_FOLD_S:
        candidates = [one for one in candidates if one.threads == candidates[0].threads]
    if small < batch and clock.last_s * batch / small * _passes(candidates) <= clock.left_s:
        real = timing.Stopwatch(workload, batch, device, train=train)
        clock = _Clock(real, on_progress, _passes(candidates), limit_s=clock.left_s)
    stages, sufficed = _stages(clock, candidates)
    busy = others_share(before, read_clocks()) > BUSY_SHARE or _unsteady(stages)
    complete = sufficed and clock.stopwatch.batch == batch and len(candidates) == len(wanted)
    return Measurement(tuple(stages), clock.stopwatch.batch, complete, busy)


def measure_all(
    workload: Workload,
    candidates: Sequence[Candidate],
    batch: int,
    device: torch.device,
    *,
    train: bool,
    on_progress: Progress = lambda done, of: None,
) -> Measurement:
    """Time every stage on the real batch, however long it takes, and leave no candidate of a stage out."""
    before = read_clocks()
    stopwatch = timing.Stopwatch(workload, batch, device, train=train)
    stages, _ = _stages(_Clock(stopwatch, on_progress, _passes(candidates)), candidates, drop=False)
    busy = others_share(before, read_clocks()) > BUSY_SHARE or _unsteady(stages)
    return Measurement(tuple(stages), batch, busy=busy)


class _Clock:
    """A stopwatch with a limit: adds up the seconds of all passes, and says when the next would exceed the limit."""

    def __init__(
        self, stopwatch: timing.Stopwatch, on_progress: Progress, passes: int, *, limit_s: float = math.inf
    ) -> None:
        self.stopwatch, self.limit_s, self.on_progress, self.passes = stopwatch, limit_s, on_progress, passes
        self.spent_s, self.done, self.last_s = 0.0, 0, 0.0
        self.started: dict[Candidate, float] = {}  # seconds of the first pass
        self.latest: dict[Candidate, float] = {}

    @property
    def left_s(self) -> float:
        return self.limit_s - self.spent_s

    def first(self, candidate: Candidate) -> float:
        if candidate not in self.started:
            self.started[candidate] = self._count(self.stopwatch.first(candidate))
        return self.started[candidate]

    def again(self, candidate: Candidate) -> float:
        self.latest[candidate] = self._count(self.stopwatch.again(candidate))
        return self.latest[candidate]

    def _count(self, seconds: float) -> float:
        self.spent_s, self.last_s, self.done = self.spent_s + seconds, seconds, self.done + 1
        self.on_progress(min(self.done, self.passes - 1), self.passes)
        return seconds


def _passes(candidates: Sequence[Candidate]) -> int:
    """Return how many passes the stages take at most, a first pass counted as several."""
    layouts, precisions = ({getattr(c.execution, k) for c in candidates} for k in ("memory_format", "precision"))
    counts = [len(layouts), len(precisions), len({c.threads for c in candidates})]
    return FIRST_PASSES * (sum(counts) - 2) + ROUNDS * max(1, sum(n for n in counts if n > 1))


def _stages(clock: _Clock, candidates: Sequence[Candidate], *, drop: bool = True) -> tuple[list[Timings], bool]:
    """Time the stages; returns them, and whether the time sufficed."""
    stages: list[Timings] = []
    best, complete = candidates[0], True
    for compete in (_other_layouts, _other_precisions, _other_threads):
        if rivals := list(compete(best, candidates)):
            # Fewer threads are slower, and yet faster for folds that are trained at the same time: all rounds count.
            timings, sufficed = _stage(clock, [best, *rivals], drop=drop and compete is not _other_threads)
            stages.append(timings)
            best, complete = winner(timings), complete and sufficed
    if not stages:
        stages, complete = [_stage(clock, [best], drop=drop)[0]], True
    clock.on_progress(clock.passes, clock.passes)
    return stages, complete


def _other_layouts(best: Candidate, candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    mine = (best.execution.precision, best.threads)
    return (c for c in candidates if c != best and (c.execution.precision, c.threads) == mine)


def _other_precisions(best: Candidate, candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    mine = (best.execution.memory_format, best.threads)
    return (c for c in candidates if c != best and (c.execution.memory_format, c.threads) == mine)


def _other_threads(best: Candidate, candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    return (c for c in candidates if c != best and c.execution == best.execution)


def _stage(clock: _Clock, candidates: Sequence[Candidate], *, drop: bool) -> tuple[Timings, bool]:
    """Time candidates in turns; returns their rounds, and whether the time sufficed for all of them."""
    timings: dict[Candidate, list[float]] = {candidate: [] for candidate in candidates}
    reference, running, complete = candidates[0], [candidates[0]], True
    clock.first(reference)
    for rival in candidates[1:]:
        if clock.left_s < FIRST_PASSES * clock.last_s:
            complete = False
        elif clock.first(rival) <= HOPELESS * clock.started[reference] or not drop:
            running.append(rival)
    for _ in range(ROUNDS):
        if len(candidates) > 1 and len(running) < 2 and timings[reference]:
            break  # no rival is left
        if clock.left_s < sum(timings[one][-1] if timings[one] else clock.started[one] for one in running):
            complete = False
            break
        for candidate in running:
            timings[candidate].append(clock.again(candidate))
        last_s = timings[reference][-1]
        running = [c for c in running if c == reference or not drop or faster_by_margin(timings[c][-1], last_s)]
    if not timings[reference]:  # its speed is asked for in any case
        timings[reference].append(clock.latest.get(reference) or clock.again(reference))
    return {candidate: tuple(rounds) for candidate, rounds in timings.items()}, complete


def _unsteady(stages: Sequence[Timings]) -> bool:
    """Tell whether the rounds of some candidate differ by more than an idle machine explains."""
    return any(max(rounds) > UNSTEADY * min(rounds) for stage in stages for rounds in stage.values() if rounds)
