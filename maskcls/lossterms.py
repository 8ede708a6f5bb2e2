"""A head's loss as one line of text: `0.5*focal(gamma=2)+0.5*f1`.

A loss is a sum of terms. A term is a kind, with a factor in front of it and settings in brackets where they differ from
the defaults. Plain data: `nn.losses` computes the terms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, assert_never, get_args

from maskcls.errors import nearest
from maskcls.spelling import plain_number

LossKind = Literal["ce", "smooth", "focal", "f1", "bce", "la"]
Weighting = Literal["none", "inverse", "effective"]

WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)
_WEIGHTED: dict[str, float | str] = {"weights": "none", "beta": 0.999}
# The settings of every kind, with their defaults.
KINDS: dict[LossKind, dict[str, float | str]] = {
    "ce": _WEIGHTED,
    "smooth": {"epsilon": 0.1, **_WEIGHTED},
    "focal": {"gamma": 2.0, **_WEIGHTED},
    "f1": {},
    "bce": {},
    "la": {"tau": 1.0},
}
# (smallest, largest, whether the largest itself is allowed)
RANGES = {"epsilon": (0.0, 1.0, False), "gamma": (0.0, 10.0, True), "beta": (0.0, 1.0, False), "tau": (0.0, 5.0, True)}
_TERM = re.compile(r"(?:(?P<factor>[0-9.e-]+)\*)?(?P<kind>[a-z][a-z0-9_]*)(?:\((?P<settings>[^()]*)\))?")


@dataclass(frozen=True)
class Term:
    """One part of a loss.

    kind      ce: cross-entropy; smooth: with smoothed labels (epsilon of the weight spread over all classes);
              focal: (1 - p) ** gamma times the cross-entropy; f1: 1 - soft macro-F1 of the step; bce: binary
              cross-entropy, one sigmoid per class, and the class with the largest is predicted; la: cross-entropy of
              logits adjusted by tau times the log of the class shares.
    factor    what the term is multiplied by, above 0.
    epsilon   of smooth, in [0, 1): the share of the weight that is spread over all classes.
    gamma     of focal, in [0, 10].
    weights   of the classes: none, inverse (1 / count), effective (by `beta`, the effective number of samples).
    beta      in [0, 1).
    tau       of la, in [0, 5].
    """

    kind: LossKind
    factor: float = 1.0
    epsilon: float = 0.1
    gamma: float = 2.0
    weights: Weighting = "none"
    beta: float = 0.999
    tau: float = 1.0

    @property
    def is_sum_over_rows(self) -> bool:
        """Whether the term is a sum over rows; else it is computed once from all rows of a step."""
        match self.kind:
            case "ce" | "smooth" | "focal" | "bce" | "la":
                return True
            case "f1":
                return False
            case _:
                assert_never(self.kind)


def parse_loss(text: str) -> tuple[Term, ...]:
    """Read a loss. Raises ValueError; its text completes a message that begins with "expected".

    >>> [(t.kind, t.factor, t.gamma) for t in parse_loss("0.3*focal(gamma=1) + f1")]
    [('focal', 0.3, 1.0), ('f1', 1.0, 2.0)]
    """
    parts = [re.sub(r"\s", "", part) for part in re.split(r"\+(?![^()]*\))", text)]
    terms = tuple(_term(part) for part in parts)
    kinds = [term.kind for term in terms]
    if len(set(kinds)) != len(kinds):
        raise ValueError("a sum in which every kind of loss occurs once")
    if "bce" in kinds and len(kinds) > 1:
        raise ValueError("bce alone: its outputs are one sigmoid per class, those of the others a softmax")
    if "la" in kinds and set(kinds) & {"ce", "smooth", "focal"}:
        raise ValueError("la without ce, smooth or focal: it removes the classes' shares, which these learn")
    return terms


def _term(text: str) -> Term:
    match = _TERM.fullmatch(text)
    if match is None:
        raise ValueError(f"a sum of {', '.join(KINDS)}, such as 0.5*focal(gamma=2)+0.5*f1; {text!r} is not a term")
    kind, factor = next((known for known in KINDS if known == match["kind"]), None), match["factor"]
    if kind is None:
        raise ValueError(f"a sum of {', '.join(KINDS)}{_hint(match['kind'], KINDS)}")
    known = KINDS[kind]
    found: dict[str, float | str] = {}
    for setting in filter(None, (match["settings"] or "").split(",")):
        name, equals, value = setting.partition("=")
        if name not in known:
            allowed = f"{', '.join(known)} in {kind}(…){_hint(name, known)}" if known else f"{kind} without settings"
            raise ValueError(allowed)
        if not equals or name in found:
            raise ValueError(f"{name}=value once in {kind}(…)")
        found[name] = _weighting(value) if name == "weights" else _number(name, value, *RANGES[name])
    if "beta" in found and found.get("weights") != "effective":
        raise ValueError(f"beta only with weights=effective in {kind}(…)")
    return Term(kind, 1.0 if factor is None else _number("the factor", factor, 0.0, 1e6, True, above=True), **found)  # type: ignore[arg-type]


def _weighting(text: str) -> Weighting:
    for known in WEIGHTINGS:
        if known == text:
            return known
    raise ValueError(f"weights={', '.join(WEIGHTINGS)}{_hint(text, WEIGHTINGS)}")


def _number(name: str, text: str, low: float, high: float, closed: bool, *, above: bool = False) -> float:
    try:
        value = plain_number(text)
    except ValueError:
        value = float("nan")
    if low <= value <= high and (closed or value < high) and not (above and value == low):
        return value
    raise ValueError(
        f"{name} {'more than' if above else 'at least'} {low:g} and {'at most' if closed else 'less than'} {high:g}"
    )


def _hint(word: str, known: Iterable[str]) -> str:
    near = nearest(word, list(known))
    return f"; {word!r} is not one of them" + (f", did you mean {near!r}?" if near else "")
