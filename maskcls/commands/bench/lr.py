"""maskcls bench lr: train a few steps at rising learning rates, and say where the loss falls fastest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

from maskcls.engine.device import Accelerator, augments_on_device, start
from maskcls.engine.fit import open_stream, open_targets, process_share
from maskcls.engine.session import open_session
from maskcls.engine.step import train_step
from maskcls.engine.step_plan import StepPlan
from maskcls.errors import UsageError
from maskcls.nn.optim import set_lr
from maskcls.nn.schedule import DIVERGED, lr_ramp, lr_range_test
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.show.bench import LrRange, Ramp
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import check_experiment, with_photos
from maskcls.training.experiment import Experiment, Member, read_experiment, view_spec
from maskcls.training.plans import fresh_network, with_plans

FEWEST = 20


def lr_range(data: Path, cfg: Config, *, low: float, high: float, steps: int, report: Reporter) -> LrRange:
    """Return the rate at which each network's loss fell most steeply, on the training rows of fold 0.

    Raises UsageError for rates that do not rise or too few steps, ResultError when no rate lowers the loss.
    """
    if not 0 < low < high or not math.isfinite(high):
        raise UsageError("the rates do not rise", got=f"--low {low:g} --high {high:g}", expected="0 < low < high")
    if steps < FEWEST:
        raise UsageError("too few steps", where="--steps", got=str(steps), expected=f"at least {FEWEST}")
    accelerator = start(cfg.device)
    experiment = read_experiment(cfg, data, RunDir(Path("runs/none")))
    check_experiment(experiment, report)
    experiment = with_photos(experiment, accelerator, report)
    experiment = with_plans(experiment, [0], accelerator, report)
    rates = [lr_ramp(step, low, high, steps) for step in range(steps)]
    found = {}
    for member in experiment.kinds:
        what, losses = f"steps of {member.task or 'the network'}", list[float]()
        for loss in ramped(experiment, member, rates, accelerator):
            losses.append(loss)
            report.images(what, len(losses), steps)
        report.images(what, steps, steps)  # it may end early
        found[member.task or "network"] = Ramp(lr_range_test(losses, rates[: len(losses)]), losses, rates)
    return LrRange(low, high, found)


def ramped(experiment: Experiment, member: Member, rates: list[float], accelerator: Accelerator) -> Iterator[float]:
    """Yield the loss before the step of each rate; ends early where it is no number, or far above the lowest."""
    cfg = member.cfg
    rows = experiment.rows(member, 0, bare=augments_on_device(cfg.device, view_spec(cfg), accelerator.device))
    steps_per_epoch = StepPlan(rows, cfg).steps_per_epoch
    longer = cfg.train.model_copy(update={"epochs": -(-len(rates) // steps_per_epoch)})
    step_plan = StepPlan(rows, cfg.model_copy(update={"train": longer}))
    network, _ = fresh_network(member, cfg.seed, 0)
    plan = experiment.plans[member.task]
    session = open_session(network, cfg, member.space, accelerator, plan, total_steps=len(rates))
    heads, stream = open_targets(session, step_plan), open_stream(session, step_plan)
    session.model.train()
    lowest = math.inf
    steps = itertools.chain.from_iterable(map(step_plan.steps, range(longer.epochs)))
    for rate, step in zip(rates, steps, strict=False):
        set_lr(session.optimizer, rate)
        pieces = step_plan.pieces(step, **process_share(session))
        terms, _ = train_step(session, rows.photos, heads, cfg, step, pieces, stream)
        loss = float(terms.sum())
        if not math.isfinite(loss) or loss > DIVERGED * lowest:
            return
        lowest = min(lowest, loss)
        yield loss
