"""When and how a training is saved within an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from accelerate import Accelerator

from maskcls.engine.checkpoint import save_state
from maskcls.engine.fit import SavePoint
from maskcls.engine.session import Session, session_state
from maskcls.engine.stopping import HeldSignals
from maskcls.errors import DivergedError
from maskcls.rundir import FoldDir

COST_SHARE = 0.01  # most of the time that saves within epochs take


class SaveClock:
    """Tells whether it is time to save: `every_minutes` after the last save, and at least 100 times as long as it took.

    every_minutes  None or 0: never. clock: seconds that only rise; the time of day may jump.
    """

    def __init__(self, every_minutes: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.every_s = 60 * every_minutes if every_minutes else None
        self.clock, self.saved_s, self.cost_s = clock, clock(), 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to save now."""
        if self.every_s is None:
            return False
        return self.clock() - self.saved_s >= max(self.every_s, self.cost_s / COST_SHARE)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Measure the save that the block makes; the next one is counted from its end."""
        began_s = self.clock()
        yield
        self.saved_s = self.clock()
        self.cost_s = self.saved_s - began_s


def agreed(accelerator: Accelerator, *, save: bool, stop: bool) -> tuple[bool, bool]:
    """Return what all processes do now: save if the main process wants to, stop if any process was told to.

    All processes call this at the same step; what one of them decided alone would make the others wait for ever.
    """
    if accelerator.num_processes == 1:
        return save, stop
    mine = torch.tensor([float(save and accelerator.is_main_process), float(stop)], device=accelerator.device)
    wanted = accelerator.reduce(mine, reduction="sum") > 0
    return bool(wanted[0]), bool(wanted[1])


class Saves:
    """Saves a session within its epochs: when it is time, and when the process is told to stop.

    folder  of the network. every_minutes: as in `SaveClock`. signals: those that are held meanwhile.
    """

    def __init__(self, session: Session, folder: FoldDir, every_minutes: float | None, signals: HeldSignals) -> None:
        self.session, self.folder, self.signals = session, folder, signals
        self.clock = SaveClock(every_minutes)
        self.point: SavePoint | None = None  # the last step of the running epoch that can be saved

    def resting(self) -> AbstractContextManager[None]:
        """Return the context for `fit` in which a signal acts at once; several processes stop together after a step."""
        return self.signals.let_through() if self.session.accelerator.num_processes == 1 else nullcontext()

    def step_done(self, point: SavePoint) -> None:
        """Save after this step if it is time or the process was told to stop; then stop."""
        self.point = point
        save, stop = self._wanted()
        if save or stop:
            self._save(point)
        if stop:
            self.signals.act()

    @contextmanager
    def epoch_done(self) -> Iterator[None]:
        """Count the block, which saves the end of an epoch, as a save; stop after it if the process was told to."""
        with self.clock.saving():
            yield
        self.point = None
        if self._wanted()[1]:
            self.signals.act()

    @contextmanager
    def kept_when_stopped(self) -> Iterator[None]:
        """Save the last step if a signal ends the block where nothing of the session changes, such as validation."""
        try:
            yield
        except BaseException:
            if self.signals.at_rest and self.point is not None:
                self._save(self.point)
            raise

    def _wanted(self) -> tuple[bool, bool]:
        return agreed(self.session.accelerator, save=self.clock.due, stop=self.signals.received is not None)

    def _save(self, point: SavePoint) -> None:
        with self.clock.saving():
            so_far, accelerator = point.so_far(), self.session.accelerator
            _check_finite(self.session)
            if accelerator.is_main_process:
                save_state(self.folder.state, *session_state(self.session, so_far), root=self.folder.root)
            accelerator.wait_for_everyone()


def _check_finite(session: Session) -> None:
    """Raise DivergedError for weights from which no training can continue; the state before them stays."""
    broken = [name for name, weights in session.network.named_parameters() if not torch.isfinite(weights).all()]
    if broken:
        raise DivergedError(
            "training diverged: a weight is not finite",
            where=f"epoch {session.epoch + 1}, step {session.step}",
            fix="lower optim.lr, lengthen schedule.warmup_epochs, or use device.precision=fp32; "
            "what was saved before is unchanged",
            offenders=broken,
        )
