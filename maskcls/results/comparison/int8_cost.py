"""What 8-bit networks cost: held-out photos predicted by the float and by the int8 network of the same fold.

N photos.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from maskcls.errors import ResultError
from maskcls.files import none_for_nan
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.results.comparison.difference import Difference
from maskcls.results.comparison.rows import JOINT, CommonRows
from maskcls.results.comparison.scores import ScoreComparison, score_both


@dataclass(frozen=True)
class ModelSpeed:
    """Photos per second on one thread, one value per round; in a round float and int8 take turns.

    photos  in one call.
    """

    float_per_s: tuple[float, ...]
    int8_per_s: tuple[float, ...]
    photos: int

    @property
    def ratios(self) -> tuple[float, ...]:
        """Int8 over float, round by round."""
        return tuple(b / a for a, b in zip(self.float_per_s, self.int8_per_s, strict=True))


@dataclass(frozen=True)
class Int8Cost:
    """Float (a) against int8 (b) on photos of people whom the network of the fold was not trained or calibrated on.

    scores      macro-F1 of both, and b - a with intervals over people.
    same        share of photos with the same class, by task, and `joint`.
    photos      that were predicted; of people: None where they are not known.
    calibration photos of each fold's training people that the ranges are taken from.
    noun        what the groups of the photos are called.
    """

    scores: ScoreComparison
    same: Mapping[str, float]
    photos: int
    people: int | None
    calibration: int
    noun: Noun = PEOPLE

    @property
    def joint(self) -> Difference | None:
        """The difference of the joint classes; None where no photo has a label of every task."""
        return self.scores.differences.get(JOINT)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "photos": self.photos,
            "people": self.people,
            "calibration_photos": self.calibration,
            "macro_f1_float": none_for_nan(self.scores.a.macro_f1),
            "macro_f1_int8": none_for_nan(self.scores.b.macro_f1),
            "differences": {name: asdict(one) for name, one in self.scores.differences.items()},
            "same_class": dict(self.same),
        }


def int8_cost(rows: CommonRows, *, calibration: int, noun: Noun = PEOPLE) -> Int8Cost:
    """Compare the classes of float networks (a) and int8 networks (b) on the same held-out rows with known labels."""
    a, b = rows.space.decode(rows.a), rows.space.decode(rows.b)
    same = {name: float((a[name] == b[name]).mean()) for name in rows.space.names}
    same[JOINT] = float((rows.a == rows.b).mean())
    people = None if rows.people is None else len(set(rows.people))
    return Int8Cost(score_both(rows), same, len(rows.ids), people, calibration, noun)


def refuse_loss(cost: Int8Cost, *, most: float, where: str) -> None:
    """Raise ResultError for a loss of macro-F1 above `most` whose interval lies below 0."""
    found = cost.joint
    if found is not None and found.high < 0 and found.value < -most:
        raise ResultError(
            "the networks lose too much in 8 bits; nothing was written",
            where=where,
            got=f"macro-F1 {cost.scores.b.macro_f1:.4f} instead of {cost.scores.a.macro_f1:.4f} on {cost.photos:,} "
            f"held-out photos: {found.value:+.4f}, {100 * found.level:.0f} % interval {found.low:+.4f} to "
            f"{found.high:+.4f}",
            expected=f"a loss of at most {most:g}, or one that is not significant",
            fix=f"export without --int8, or accept the loss: --max-loss {-found.value:.2g}",
        )


@dataclass(frozen=True)
class Int8Measured:
    """Cost and speed of an exported int8 model, and the bytes of the same model in float."""

    cost: Int8Cost
    speed: ModelSpeed
    float_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data; the speed is that of the machine that exported."""
        speed = {name: list(getattr(self.speed, name)) for name in ("float_per_s", "int8_per_s", "ratios")}
        return {**self.cost.to_json(), "float_bytes": self.float_bytes, "speed": speed}
