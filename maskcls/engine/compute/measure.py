"""Time the candidates against each other, within a small share of the training time.

Three stages, each with the winner of the stage before: memory formats, number formats, thread counts. Within a stage
the candidates take turns. A candidate that loses one round by the rule cannot win and is not timed again. What does not
fit into the time limit is not timed and not chosen, so short trainings keep the exact format.
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

LIMIT_S = 15.0  # time limit for training passes
INFER_LIMIT_S = 5.0  # time limit for forward passes
SHORT_FOLD_S = 60.0  # a shorter training of a fold uses all cores; it would end before a second process has started
TIME_SHARE = 0.08  # time limit as a share of the expected training time: below the margin by which a candidate wins
SMALL_BATCH = 16  # images per pass if passes of the real batch would take too long
FIRST_PASSES = 3  # a first pass takes about as long as three later ones
HOPELESS = 4.0  # a candidate whose first pass takes this many times as long as the best one's is not timed further
UNSTEADY = 1.5  # slowest / fastest round of one candidate; above this, other processes are assumed to run

Progress = Callable[[int, int], None]  # called with passes done and maximum passes


@dataclass(frozen=True)
class Measurement:
    """The result of timing.

    stages    in their order; the first candidate of each is the winner of the stage before.
    batch     images per timed pass.
    complete  the time limit left nothing out.
    busy      other processes used the machine during the measurement.
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
        """All rounds per candidate, in seconds; for a candidate of several stages, the rounds of the last stage."""
        return {candidate: rounds for stage in self.stages for candidate, rounds in stage.items()}

    def speed(self, candidate: Candidate) -> float:
        """Return images per second in the median round; infinity if the candidate was not timed."""
        rounds = self.timings.get(candidate)
        return self.batch / statistics.median(rounds) if rounds else math.inf


def untimed(candidate: Candidate, batch: int) -> Measurement:
    """Return an empty measurement for a single candidate whose speed is not needed."""
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
    """Time the candidates within the time limit; the first candidate is the preferred one.

    train  True: training steps; False: forward passes.
    """
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
    """Time every stage on the real batch with all its candidates, without a time limit; arguments as `measure`."""
    before = read_clocks()
    stopwatch = timing.Stopwatch(workload, batch, device, train=train)
    stages, _ = _stages(_Clock(stopwatch, on_progress, _passes(candidates)), candidates, drop=False)
    busy = others_share(before, read_clocks()) > BUSY_SHARE or _unsteady(stages)
    return Measurement(tuple(stages), batch, busy=busy)


class _Clock:
    """A stopwatch with a time limit: sums the seconds of all passes, and gives the time left."""

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
    """Return the maximum number of passes in all stages, with a first pass counted as `FIRST_PASSES`."""
    layouts, precisions = ({getattr(c.execution, k) for c in candidates} for k in ("memory_format", "precision"))
    counts = [len(layouts), len(precisions), len({c.threads for c in candidates})]
    return FIRST_PASSES * (sum(counts) - 2) + ROUNDS * max(1, sum(n for n in counts if n > 1))


def _stages(clock: _Clock, candidates: Sequence[Candidate], *, drop: bool = True) -> tuple[list[Timings], bool]:
    """Time the stages; returns them, and whether the time limit was sufficient."""
    stages: list[Timings] = []
    best, complete = candidates[0], True
    for compete in (_other_layouts, _other_precisions, _other_threads):
        if rivals := list(compete(best, candidates)):
            # Fewer threads are slower for one fold, but may be faster for parallel folds: they need all rounds.
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
    """Time candidates in turns; returns their rounds in seconds, and whether the time was sufficient for all."""
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
    if not timings[reference]:  # its speed is always needed
        timings[reference].append(clock.latest.get(reference) or clock.again(reference))
    return {candidate: tuple(rounds) for candidate, rounds in timings.items()}, complete


def _unsteady(stages: Sequence[Timings]) -> bool:
    """Return whether the rounds of any candidate differ by more than is normal on an idle machine."""
    return any(max(rounds) > UNSTEADY * min(rounds) for stage in stages for rounds in stage.values() if rounds)
