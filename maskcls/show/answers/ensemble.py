"""What `maskcls ensemble` returns and prints: the members, how they differ, and the score of their combination."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskcls.errors import visible
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.results.ensembles.methods import FITTED, EnsembleScores, FittedEnsemble
from maskcls.results.submissions.write import Written
from maskcls.show.answers.tried import say_tried
from maskcls.show.terminal.json_output import NONE, Versions, print_json
from maskcls.show.terminal.text import (
    KAPPA,
    NO_GAIN,
    near,
    new_people,
    number,
    percent,
    plain_table,
    plural,
    say,
    show,
    span,
)

if TYPE_CHECKING:
    from rich.table import Table

    from maskcls.runs.calibration import Calibration
    from maskcls.runs.choices.tried import Tried


@dataclass(frozen=True, eq=False)
class EnsembleResult:
    """What `ensemble` made.

    members               their names in tables; given: as on the command line.
    verdict, calibration  None without out-of-fold rows, or without --decide.
    tried                 how many ensembles were tried on these rows; None as `verdict`.
    noun                  what the groups of these rows are called.
    repeatable            `--recipe` repeats it on other photos: no member is a file, or has its own copy of the photos.
    """

    written: Written
    recipe: Path
    given: list[str]
    members: list[str]
    blend: FittedEnsemble
    verdict: EnsembleScores | None
    calibration: Calibration | None
    tried: Tried | None = None
    noun: Noun = PEOPLE
    repeatable: bool = True

    def weight_of(self, place: int) -> str:
        """Return a member's weight, one per task where they differ, or the tasks it answers."""
        weights, sources = self.blend.weights, self.blend.sources
        if sources is not None:
            return " ".join(task for task, member in sources.items() if member == place) or "-"
        if isinstance(weights, Mapping):
            return " ".join(f"{weights_M[place]:.2f}" for weights_M in weights.values())
        return "" if weights is None else f"{weights[place]:.2f}"

    @property
    def by_task(self) -> dict[str, str]:
        """Return what each task takes from the members, in words, where that differs between tasks."""
        weights, sources = self.blend.weights, self.blend.sources
        if sources is not None:
            return {task: self.members[member] for task, member in sources.items()}
        if not isinstance(weights, Mapping):
            return {}
        return {
            task: ", ".join(f"{name} {weight:.2f}" for name, weight in zip(self.members, weights_M, strict=True))
            for task, weights_M in weights.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain data; NaN stays NaN."""
        verdict, ruled = self.verdict, self.calibration and self.calibration.nested
        data: dict[str, Any] = {
            "file": str(self.written.path),
            "sha256": self.written.sha256,
            "rows": self.written.rows,
        }
        data |= {"recipe": str(self.recipe), "method": self.blend.method}
        data["members"] = [self._member(place) for place in range(len(self.members))]
        if verdict is not None:
            data["nested"] = {"macro_f1": verdict.nested.macro_f1, "interval": asdict(verdict.interval)}
            data["nested"]["prediction_interval"] = asdict(verdict.prediction)
            over = [{"member": self.members[place], "parts": n} for place, n in verdict.rival.chosen.items()]
            data["gain"] = asdict(verdict.gain) | {"over": over, "over_macro_f1": verdict.rival.macro_f1}
        if self.tried is not None:
            data["tried"] = asdict(self.tried)
        if ruled:
            data["decision"] = asdict(ruled.gain) | {"worth_it": ruled.proven}
        return data

    def _member(self, place: int) -> dict[str, Any]:
        """Return one member. kappa and correlation: with every member, in their order."""
        verdict, weights, sources = self.verdict, self.blend.weights, self.blend.sources
        weight: float | dict[str, float] | None = None
        if sources is not None:
            weight = {task: float(member == place) for task, member in sources.items()}
        elif isinstance(weights, Mapping):
            weight = {task: float(weights_M[place]) for task, weights_M in weights.items()}
        elif weights is not None:
            weight = float(weights[place])
        data = {"name": self.members[place], "given": self.given[place], "weight": weight}
        if verdict is None:
            return data
        scores = {"macro_f1": verdict.alone[place].macro_f1, "loss_without": verdict.values[place]}
        rows = {"kappa": list(verdict.kappas[place]), "correlation": list(verdict.correlations[place])}
        return data | scores | rows


def print_ensemble(found: EnsembleResult, *, versions: Versions = NONE, json: bool = False) -> None:
    """Print the members, how they differ, the score of the ensemble and its files."""
    if json:
        print_json(found.to_json() | {"other_versions": dict(versions)})
        return
    if found.verdict is None:
        say("no scores: some members have no out-of-fold rows")
    else:
        show(_member_table(found, found.verdict))
        say()
        _say_scores(found, found.verdict)
    if found.calibration is not None and found.calibration.nested is not None:
        ruled = found.calibration.nested
        gain = ruled.gain
        use = "used" if ruled.proven else f"{NO_GAIN}; not used"
        say(f"decision rule: gain {gain.value:+.4f}, 95 % interval {span(gain.low, gain.high, sign=True)}\n  {use}")
    say(f"{near(found.written.path)}  {plural(found.written.rows, 'row')}")
    others = "maskcls ensemble --recipe" if found.repeatable else "name the members again, with files or copies of them"
    say(f"{near(found.recipe)}  for other photos: {others}")


def _member_table(found: EnsembleResult, verdict: EnsembleScores) -> Table:
    names = list(verdict.alone[0].tasks)
    weights = [found.weight_of(place) for place in range(len(found.members))]
    weight = ["weight"] if any(weights) and not found.by_task else []
    numbers_last = ["lost\nwithout", "mean\nkappa", "mean\ncorrelation"]
    table = plain_table("member", "macro-F1", *map(visible, names), *weight, *numbers_last, width=6)
    for place, (name, alone) in enumerate(zip(found.members, verdict.alone, strict=True)):
        scores = [alone.macro_f1, *(alone.tasks[task].macro_f1 for task in names)]
        apart = [_others(verdict.kappas[place], place), _others(verdict.correlations[place], place)]
        given = [weights[place]] if weight else []
        numbers = [*map(number, scores), *given, number(verdict.values[place], sign=True)]
        table.add_row(visible(name), *numbers, *map(number, apart))
    return table


def _say_scores(found: EnsembleResult, verdict: EnsembleScores) -> None:
    gain, interval = verdict.gain, verdict.interval
    chosen = ", chosen on the other folds" if found.blend.method in FITTED else ""
    say("lost without: macro-F1 of the ensemble that is lost without the member", 2)
    say("correlation: of the probabilities of the true class; both means are over the other members", 2)
    say(KAPPA, 2)
    for task, weights in found.by_task.items():
        say(f"weights for {task}: {weights}")
    say(f"\n{found.blend.method}: macro-F1 {verdict.nested.macro_f1:.4f}{chosen}")
    say(f"  95 % interval {span(interval.low, interval.high)}")
    say(f"  {new_people(verdict.prediction, found.noun[1])}")
    ends = f"{percent(gain.level)} interval {span(gain.low, gain.high, sign=True)}"
    how = f"chosen on other {found.noun[1]}: {_chosen(found, verdict)}"
    say(f"  {gain.value:+.4f} over the best member alone ({how}), {ends}")
    if found.tried is not None:
        say_tried(found.tried, "ensemble", gain.level)


def _chosen(found: EnsembleResult, verdict: EnsembleScores) -> str:
    """Name the members that were the best on the other parts of the people, and on how many where they differ."""
    chosen = verdict.rival.chosen
    names = {place: visible(found.members[place]) for place in chosen}
    if len(chosen) == 1:
        return next(iter(names.values()))
    return ", ".join(f"{names[place]} ({parts} of {sum(chosen.values())})" for place, parts in chosen.items())


def _others(row: Sequence[float], place: int) -> float:
    """Return the mean over the other members, NaN where there is none."""
    others = [value for other, value in enumerate(row) if other != place]
    return float(np.mean(others)) if others else math.nan
