"""How long something still takes, from what is done since it began."""

from __future__ import annotations

from dataclasses import dataclass, field

from maskcls.durations import duration

SURE = 0.01  # share of the work from which its own speed is believed more than a forecast


@dataclass
class Pace:
    """Work of `of` units, such as photos, that is done at an even speed.

    started_s  the clock when it began. skipped: units that need no work; they say nothing about the speed.
    expected_s  a forecast for all units, used until enough is done; None: there is none.
    """

    of: float
    started_s: float
    expected_s: float | None = None
    done: float = 0.0
    skipped: float = 0.0

    @property
    def share(self) -> float:
        """The share that is done or skipped."""
        return min(1.0, (self.done + self.skipped) / self.of) if self.of else 1.0

    def left_s(self, now_s: float) -> float | None:
        """Return the seconds that are left; None while that is not known.

        >>> Pace(of=10, started_s=0, done=2, skipped=4).left_s(now_s=6)
        12.0
        """
        rest = max(0.0, self.of - self.skipped - self.done)
        if not rest:
            return 0.0
        if self.done and (self.expected_s is None or self.done >= SURE * self.of):
            return (now_s - self.started_s) / self.done * rest
        return None if self.expected_s is None else self.expected_s * rest / self.of


@dataclass
class TrainingPace(Pace):
    """All networks of a training, in epochs; several may be trained at a time."""

    running: dict[str, float] = field(default_factory=dict)
    done_before: dict[str, float] = field(default_factory=dict)  # share of a continued epoch, by network
    finished: float = 0.0

    def begun(self, network: str, share: float) -> None:
        """Leave out the part of a network's next epoch that was done before."""
        self.done_before[network] = share
        self.skip(share)

    def tick(self, network: str, share: float) -> None:
        """Count a part of a network's epoch."""
        self.running[network] = share - self.done_before.get(network, 0.0)
        self._count()

    def epoch(self, network: str) -> None:
        """Count a finished epoch."""
        self.running.pop(network, None)
        self.finished += 1 - self.done_before.pop(network, 0.0)
        self._count()

    def skip(self, epochs: float) -> None:
        """Leave out epochs: finished before, or not needed."""
        self.skipped += epochs

    def _count(self) -> None:
        self.done = self.finished + sum(self.running.values())


def left_in_words(seconds: float | None) -> str:
    """Say how long it still takes; "" while that is not known, and at the end.

    >>> left_in_words(89.6), left_in_words(600), left_in_words(0.2), left_in_words(None)
    ('about 90 s left', 'about 10 min left', '', '')
    """
    return "" if seconds is None or seconds < 0.5 else f"about {duration(seconds)} left"
