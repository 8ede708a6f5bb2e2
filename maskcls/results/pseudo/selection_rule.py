"""The settings of the selection of pseudo labels, and the confidence thresholds by class."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import JsonValue

from maskcls.errors import ConfigError, nearest
from maskcls.labels import LabelSpace

Thresholds = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class SelectionRule:
    """How rows are chosen; the defaults ask for nothing but the thresholds and that all sources agree.

    thresholds   {task: one number per class}, in [0, 1]: a task passes when the marginal probability of its class is at
                 least that of the class; see `thresholds`.
    partial      take the tasks that pass and leave the others unknown; else a row is taken when all its tasks pass.
    agree        share of the sources, in [0, 1], that must name the class the mean names, in each task.
    cap_rows     at most so many rows a joint class.
    cap_share    at most this share, in (0, 1], of the rows that are predicted to be of a joint class.
    balance      at most so many times, from 1, the rows of the joint class that has fewest; those without any row
                 do not count.
    prior        J numbers from 0: as many rows as can be had in these proportions. Classes without any row are passed
                 over, and the others keep their proportions. It excludes `balance`.
    combine      a row's confidence is the "product" or the "minimum" of its tasks' marginal probabilities.
    weigh        multiply the weight by the confidence in the tasks that are taken.
    weight       weight of a row relative to a labelled one, above 0.
    soft         keep the probabilities too, as the target.
    temperature  soft probabilities are raised to 1 / temperature, above 0, and scaled to sum to 1: below 1 is sharper.

    Caps keep the rows with the highest confidence in all tasks, on a tie those whose id comes first. Raises ValueError
    for numbers outside these ranges.
    """

    thresholds: Thresholds
    partial: bool = False
    agree: float = 1.0
    cap_rows: int | None = None
    cap_share: float | None = None
    balance: float | None = None
    prior: tuple[float, ...] | None = None
    combine: Literal["product", "minimum"] = "product"
    weigh: bool = False
    weight: float = 1.0
    soft: bool = False
    temperature: float = 1.0

    def __post_init__(self) -> None:
        ranges = {
            "thresholds": all(0 <= value <= 1 for row in self.thresholds.values() for value in row),
            "agree": 0 <= self.agree <= 1,
            "cap_rows": self.cap_rows is None or self.cap_rows >= 1,
            "cap_share": self.cap_share is None or 0 < self.cap_share <= 1,
            "balance": self.balance is None or (1 <= self.balance < math.inf and self.prior is None),
            "prior": self.prior is None or (min(self.prior) >= 0 and 0 < sum(self.prior) < math.inf),
            "combine": self.combine in ("product", "minimum"),
            "weight": 0 < self.weight < math.inf,
            "temperature": 0 < self.temperature < math.inf,
        }
        for name, fits in ranges.items():
            if not fits:
                raise ValueError(f"{name} is out of range: {getattr(self, name)}")

    def to_json(self) -> dict[str, JsonValue]:
        """Return plain data, for the lineage: lists for tuples."""
        found: dict[str, JsonValue] = json.loads(json.dumps(asdict(self)))
        return found


def thresholds(given: float | Mapping[str, float | Mapping[str, float]], space: LabelSpace) -> Thresholds:
    """Return thresholds by class from one number for all, one per task, or one per class of a task.

    Raises ConfigError, listing every task or class that is missing or not known and every number outside [0, 1].

    >>> from maskcls.labels import CONTEST
    >>> thresholds({"mask": {"wear": 0.5, "incorrect": 0.95, "normal": 0.95}, "gender": 0.9, "age": 0.8}, CONTEST)
    {'mask': (0.5, 0.95, 0.95), 'gender': (0.9, 0.9), 'age': (0.8, 0.8, 0.8)}
    """
    by_task = given if isinstance(given, Mapping) else dict.fromkeys(space.names, given)
    faults = _name_faults(by_task, space.names, "")
    spelt: dict[str, tuple[float, ...]] = {}
    for task in space.tasks:
        value = by_task.get(task.name, 0.0)
        by_class = value if isinstance(value, Mapping) else dict.fromkeys(task.classes, value)
        faults += _name_faults(by_class, task.classes, f"{task.name}.")
        spelt[task.name] = tuple(float(by_class.get(name, 0.0)) for name in task.classes)
        faults += [f"{task.name}: {number}" for number in set(spelt[task.name]) if not 0 <= number <= 1]
    if faults:
        expected = f"one number in [0, 1], or one for each of {', '.join(space.names)}, or one a class"
        raise ConfigError("the confidence thresholds are wrong", offenders=faults, expected=expected)
    return spelt


def _name_faults(found: Mapping[str, object], known: Sequence[str], prefix: str) -> list[str]:
    strange = []
    for name in (name for name in found if name not in known):
        hint = nearest(name, known)
        strange.append(f"{prefix}{name} is not known" + (f", {hint} is" if hint else ""))
    return strange + [f"{prefix}{name} is missing" for name in known if name not in found]
