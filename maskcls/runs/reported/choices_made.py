"""What was tried on the rows of a run, from the register of choices; nothing is added to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from maskcls.rundir import RunDir
from maskcls.runs.choices.register import Attempt, Kind, read_register
from maskcls.runs.choices.tried import rows_of_run


@dataclass(frozen=True)
class ChoicesMade:
    """What was tried on the same rows, by kind, in the order of trying; kinds that were not tried are left out."""

    by_kind: dict[Kind, tuple[Attempt, ...]]


def read_choices(run: RunDir) -> ChoicesMade:
    """Read the choices made on the run's rows; ResultError when the register or the run is damaged."""
    register, rows = read_register(run), rows_of_run(run)
    kinds: tuple[Kind, ...] = get_args(Kind)
    found = {kind: register.of(kind, rows) for kind in kinds}
    return ChoicesMade({kind: attempts for kind, attempts in found.items() if attempts})
