"""The training of one generator, of any kind: steps, log, sheets, saves, and the end of the time."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from maskcls import files
from maskcls.engine.checkpoint import load_state, save_state
from maskcls.engine.saving import SaveClock
from maskcls.engine.stopping import HeldSignals
from maskcls.errors import DivergedError
from maskcls.rundir import SynthFoldDir
from maskcls.runs.integrity.epoch_log import write_log
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.loop.log_lines import LogLines
from maskcls.synth.loop.parts import check_finite, mark_generator_done, save_part
from maskcls.synth.loop.player import Player
from maskcls.synth.loop.training_state import player_state, restore_player
from maskcls.synth.rows.canvas import png_of


@dataclass(frozen=True)
class LoopPlan:
    """How long a generator is trained, and when it is saved.

    title         of the generator, for people. steps: in all.
    sheet_steps   steps between two sheets of samples.
    save_minutes  see `SaveClock`.
    ends_s        time of `time.monotonic` at which the training stops, whole steps being done; None: never.
    """

    title: str
    steps: int
    sheet_steps: int
    save_minutes: float | None
    ends_s: float | None = None


@dataclass(frozen=True)
class GeneratorEnd:
    """How far a training came. seconds: of this command, and steps_now: done by it; lines: of the log, all."""

    step: int
    steps: int
    steps_now: int
    seconds: float
    lines: tuple[Mapping[str, float], ...]

    @property
    def finished(self) -> bool:
        """Whether the last step is done."""
        return self.step == self.steps


class Training:
    """A player, its log and its step, and the folder they are saved in."""

    def __init__(self, player: Player, folder: SynthFoldDir, plan: LoopPlan) -> None:
        self.player, self.folder, self.plan = player, folder, plan
        self.log, self.step_count = LogLines(), 0
        if folder.state.exists():
            self.log, self.step_count = restore_player(player, *load_state(folder.state, root=folder.root))

    def do_step(self) -> None:
        """Do one step, and write the sheet if it is time; DivergedError for a number that is not finite."""
        numbers = self.player.step(self.step_count)
        self.step_count += 1
        where = f"{self.plan.title}, step {self.step_count}"
        if broken := [f"{name} = {value}" for name, value in numbers.items() if not math.isfinite(value)]:
            raise DivergedError(
                "the training of a generator diverged",
                where=where,
                offenders=broken,
                fix="lower synth.lr_generator and synth.lr_critic; what was saved before is unchanged",
            )
        self.log.add(numbers, self.step_count, self.plan.steps)
        if self.step_count % self.plan.sheet_steps == 0 or self.step_count == self.plan.steps:
            # Before any state that holds this step: what a state holds is not computed again.
            files.commit(self.folder.sheet(self.step_count), png_of(self.player.sheet()))

    def save(self) -> None:
        """Commit the state, and then what can be written again from it; after the last step, also DONE."""
        tensors, progress = player_state(self.player, self.log, self.step_count)
        check_finite(tensors, where=f"{self.plan.title}, step {self.step_count}")
        save_state(self.folder.state, tensors, progress, root=self.folder.root)
        self.write_results()

    def write_results(self) -> None:
        """Commit log, generator and critic as of this step; after the last step, also DONE."""
        if self.log.lines:
            write_log(self.folder, self.log.lines)
        generator = save_part(self.folder.generator, *self.player.generator(), step=self.step_count)
        critic = save_part(self.folder.critic, *self.player.critic(), step=self.step_count)
        if self.step_count == self.plan.steps:
            mark_generator_done(self.folder, generator=generator, critic=critic)


def train_generator(player: Player, folder: SynthFoldDir, plan: LoopPlan, report: Reporter) -> GeneratorEnd:
    """Train from the saved state, or from the start, to the last step or the end of the time; saved in both cases.

    It is also saved every `save_minutes`, and after the step in which Ctrl-C or SIGTERM comes. Raises DivergedError.
    """
    training, what = Training(player, folder, plan), f"{plan.title}, steps"
    first, began_s = training.step_count, time.monotonic()
    if first:
        report.note(f"{plan.title}: continuing after step {first:,} of {plan.steps:,}")
        training.write_results()  # a kill may have come between the state and these
    clock = SaveClock(plan.save_minutes)
    with HeldSignals() as signals:
        report.images(what, first, plan.steps)
        over = training.step_count == plan.steps
        while not over:  # at least one step, so that no time limit is too short to get on
            training.do_step()
            report.images(what, training.step_count, plan.steps)
            stop = signals.received is not None
            over = training.step_count == plan.steps or is_past(plan.ends_s)
            if over or stop or clock.due:
                with clock.saving():
                    training.save()
            if stop:
                signals.act()
    seconds, steps_now = time.monotonic() - began_s, training.step_count - first
    return GeneratorEnd(training.step_count, plan.steps, steps_now, seconds, tuple(training.log.lines))


def is_past(ends_s: float | None) -> bool:
    """Tell whether a time of `time.monotonic` is past; None never is."""
    return ends_s is not None and time.monotonic() >= ends_s
