"""What was tried on the rows of a run, from the register of choices; nothing is added to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from maskcls.results.comparison.optimism import Optimism
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.rundir import RunDir
from maskcls.runs.choices.register import Attempt, Kind, read_register
from maskcls.runs.choices.tried import rows_of_run
from maskcls.runs.choices.tried_rows import optimism_of_tried


@dataclass(frozen=True)
class ChoicesMade:
    """What was tried on the same rows, by kind, in the order of trying; kinds that were not tried are left out.

    optimism  how much picking the best of the tried runs flatters its score; None where fewer than two are on disk.
    """

    by_kind: dict[Kind, tuple[Attempt, ...]]
    optimism: Optimism | None = None


def read_choices(run: RunDir, labelled: LabelledPredictions | None = None) -> ChoicesMade:
    """Read the choices made on the run's rows; ResultError when the register or the run is damaged.

    labelled  the run's out-of-fold rows; None: it has none.
    """
    register, rows = read_register(run), rows_of_run(run)
    kinds: tuple[Kind, ...] = get_args(Kind)
    found = {kind: register.of(kind, rows) for kind in kinds}
    optimism = None if labelled is None else optimism_of_tried(run, labelled, found["run"])
    return ChoicesMade({kind: attempts for kind, attempts in found.items() if attempts}, optimism)
