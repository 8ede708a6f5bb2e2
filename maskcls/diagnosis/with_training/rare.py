"""Is every class with enough photos found at least once?"""

from __future__ import annotations

from collections.abc import Sequence

from maskcls.diagnosis.probe import Probe
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import Floats
from maskcls.results.diagnosis.finding import Finding
from maskcls.results.diagnosis.rare_classes import Balancing, RareClass, class_recalls, what_to_set
from maskcls.schema import Config


def recalls_of(probe: Probe, prob_nJ: Floats) -> list[RareClass]:
    """Return the recall of every class of every task on the validation rows."""
    rows, space = probe.rows, probe.member.space
    predicted = space.decode(prob_nJ.argmax(axis=1).astype("int64"))
    found = []
    for task in space.tasks:
        label_N = rows.labels[task.name]
        found += class_recalls(
            task.name,
            task.classes,
            label_N[rows.train],
            label_N[rows.valid],
            predicted[task.name],
            rows.people[rows.valid],
        )
    return found


def balancing_of(cfg: Config, task: str) -> Balancing:
    """Return what a configuration does for rare classes of a task."""
    head = "joint" if cfg.model.heads == "joint" else task
    binned = cfg.binned is not None and cfg.binned.name == task
    softmax = not (binned and cfg.age.head in ("ordinal", "normal"))
    fitted = cfg.heads.balance if cfg.model.train == "heads" else None
    return Balancing(cfg.sampler.draw, cfg.loss.own.get(head, cfg.loss.all), softmax, fitted)


def check_rare_classes(recalls: Sequence[RareClass], cfg: Config, network: str, noun: Noun = PEOPLE) -> Finding:
    """Name the classes that are never found, with settings to try."""
    values = {f"{one.task}={one.name}": one.found / max(1, one.support) for one in recalls}
    missed = sorted((one for one in recalls if one.missed), key=lambda one: -one.rarity)
    if not missed:
        counted = [one for one in recalls if one.support]
        least = min(counted, key=lambda one: one.found / one.support, default=None)
        text = "no class has held-out photos"
        if least is not None:
            text = f"the least found class is {least.task}={least.name}: {least.found} of {least.support} photos"
        unclear = not counted or any(one.found == 0 for one in counted)  # of fewer photos than a failure needs
        text += "; too few held-out photos to tell" if unclear and counted else ""
        return Finding("rare classes", "unknown" if unclear else "pass", text, network=network, values=values)
    found = "; ".join(
        f"{one.task}={one.name}: 0 of {one.support} held-out photos found, 1 training photo per"
        f" {one.rarity:.0f} of the largest class"
        for one in missed
    )
    next = what_to_set(missed[0], balancing_of(cfg, missed[0].task), noun)
    if cfg.model.heads == "joint":
        next = tuple(step.replace(f"loss.{missed[0].task}=", "loss.joint=") for step in next)
    return Finding("rare classes", "fail", found, "class without recall", next, network, values)
