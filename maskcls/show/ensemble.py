"""What `maskcls ensemble` shows: the members, how they differ, and what they are worth together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskcls.errors import visible
from maskcls.files import none_for_nan
from maskcls.results.ensembles.methods import FITTED, EnsembleScores, FittedEnsemble
from maskcls.results.submissions.write import Written

if TYPE_CHECKING:
    from maskcls.runs.calibration import Calibration


@dataclass(frozen=True, eq=False)
class Found:
    """What `ensemble` made."""

    written: Written
    recipe: Path
    members: list[str]
    blend: FittedEnsemble
    verdict: EnsembleScores | None
    calibration: Calibration | None

    def weight_of(self, place: int) -> str:
        """Return what a member counts, in words."""
        weights, sources = self.blend.weights, self.blend.sources
        if sources is not None:
            return " ".join(task for task, member in sources.items() if member == place) or "-"
        if isinstance(weights, Mapping):
            return " ".join(f"{weights_M[place]:.2f}" for weights_M in weights.values())
        return "" if weights is None else f"{weights[place]:.2f}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data; a NaN becomes None."""
        verdict, ruled = self.verdict, self.calibration and self.calibration.nested
        data: dict[str, Any] = {
            "file": str(self.written.path),
            "sha256": self.written.sha256,
            "rows": self.written.rows,
        }
        data |= {"recipe": str(self.recipe), "method": self.blend.method, "members": self.members}
        data["weights"] = [self.weight_of(place) for place in range(len(self.members))]
        if verdict is not None:
            data["alone"] = [found.macro_f1 for found in verdict.alone]
            data["values"] = [none_for_nan(value) for value in verdict.values]
            data["kappa"] = [[none_for_nan(value) for value in row] for row in verdict.kappas]
            data["correlation"] = [[none_for_nan(value) for value in row] for row in verdict.correlations]
            data["nested"] = {"macro_f1": verdict.nested.macro_f1, "interval": asdict(verdict.interval)}
            data["gain"] = asdict(verdict.gain) | {"over": self.members[verdict.best]}
        if ruled:
            data["decision"] = asdict(ruled.gain) | {"worth_it": ruled.worth_it}
        return data


def print_found(found: Found, *, json: bool = False) -> None:
    """Print to stdout the members, how they differ, and what the ensemble is worth; with `json` one JSON object."""
    if json:
        print(dumps(found.to_json(), allow_nan=False))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False)
    verdict = found.verdict
    if verdict is None:
        console.print("no member can be judged: some have no out-of-fold rows")
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="")
        table.add_column("member", overflow="fold", min_width=12)
        names = list(verdict.alone[0].tasks)
        for name in ("macro-F1", *names, "weight", "worth", "kappa", "alike"):
            table.add_column(visible(name), justify="right", no_wrap=True)
        for place, (name, alone) in enumerate(zip(found.members, verdict.alone, strict=True)):
            scores = [alone.macro_f1, *(alone.tasks[task].macro_f1 for task in names)]
            apart = [_others(verdict.kappas[place], place), _others(verdict.correlations[place], place)]
            numbers = [*map(_number, scores), found.weight_of(place), _number(verdict.values[place], sign=True)]
            table.add_row(visible(name), *numbers, *map(_number, apart))
        console.print(table)
        gain, interval = verdict.gain, verdict.interval
        score_text = f"{verdict.nested.macro_f1:.4f} [{interval.low:.4f}, {interval.high:.4f}] over people"
        gain_text = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] over {found.members[verdict.best]} alone"
        chosen = ", chosen on the other folds" if found.blend.method in FITTED else ""
        console.print(f"{found.blend.method}: macro-F1 {score_text}{chosen}; {gain_text}", soft_wrap=True)
    if found.calibration is not None and found.calibration.nested is not None:
        ruled = found.calibration.nested
        gain = ruled.gain
        verdict_text = "used" if ruled.worth_it else "not worth it, not used"
        console.print(f"decision rule: {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], {verdict_text}")
    console.print(f"{found.written.path}  {found.written.rows:,} rows; {found.recipe.name} repeats it", soft_wrap=True)


def _others(row: Sequence[float], place: int) -> float:
    """Return the mean over the other members, NaN where there is none."""
    others = [value for other, value in enumerate(row) if other != place]
    return float(np.mean(others)) if others else math.nan


def _number(value: float, *, sign: bool = False) -> str:
    return "-" if math.isnan(value) else f"{value:+.4f}" if sign else f"{value:.4f}"
