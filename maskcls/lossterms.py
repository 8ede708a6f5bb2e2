"""What a head's loss is made of, as one line of text: `0.5*focal(gamma=2)+0.5*f1`.

A loss is a sum of terms; a term is a kind, with a factor in front and settings in brackets where the usual ones are not
wanted. Plain data: `nn.losses` computes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from maskcls.errors import nearest

WEIGHTINGS = ("none", "inverse", "effective")
_WEIGHTED: dict[str, float | str] = {"weights": "none", "beta": 0.999}
# Every kind with its settings and their usual values.
KINDS: dict[str, dict[str, float | str]] = {
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
              focal: (1 - p) ** gamma times the cross-entropy; f1: 1 - soft macro-F1 of the step; bce: a sigmoid a
              class, the largest decides; la: cross-entropy adjusted by tau times the log of the classes' shares.
    factor    what it is multiplied with.
    weights   of the classes: none, inverse (1 / count), effective (by `beta`, the number of effective samples).
    """

    kind: str
    factor: float = 1.0
    epsilon: float = 0.1
    gamma: float = 2.0
    weights: str = "none"
    beta: float = 0.999
    tau: float = 1.0


def parse_loss(text: str) -> tuple[Term, ...]:
    """Read a loss. Raises ValueError in words that follow "expected".

    >>> [(t.kind, t.factor, t.gamma) for t in parse_loss("0.3*focal(gamma=1) + f1")]
    [('focal', 0.3, 1.0), ('f1', 1.0, 2.0)]
    """
    parts = [re.sub(r"\s", "", part) for part in re.split(r"\+(?![^()]*\))", text)]
    terms = tuple(_term(part) for part in parts)
    kinds = [term.kind for term in terms]
    if len(set(kinds)) != len(kinds):
        raise ValueError("a sum in which every kind of loss stands once")
    if "bce" in kinds and len(kinds) > 1:
        raise ValueError("bce alone: its outputs are a sigmoid a class, those of the others a softmax")
    if "la" in kinds and set(kinds) & {"ce", "smooth", "focal"}:
        raise ValueError("la without ce, smooth or focal: it takes the classes' shares out of what they put in")
    return terms


def _term(text: str) -> Term:
    match = _TERM.fullmatch(text)
    if match is None:
        raise ValueError(f"a sum of {', '.join(KINDS)}, such as 0.5*focal(gamma=2)+0.5*f1; {text!r} is no term")
    kind, factor = match["kind"], match["factor"]
    if kind not in KINDS:
        raise ValueError(f"a sum of {', '.join(KINDS)}{_hint(kind, KINDS)}")
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


def _weighting(text: str) -> str:
    if text not in WEIGHTINGS:
        raise ValueError(f"weights={', '.join(WEIGHTINGS)}{_hint(text, dict.fromkeys(WEIGHTINGS))}")
    return text


def _number(name: str, text: str, low: float, high: float, closed: bool, *, above: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if low <= value <= high and (closed or value < high) and not (above and value == low):
        return value
    raise ValueError(
        f"{name} {'more than' if above else 'at least'} {low:g} and {'at most' if closed else 'less than'} {high:g}"
    )


def _hint(word: str, known: Mapping[str, object]) -> str:
    near = nearest(word, list(known))
    return f"; {word!r} is none of them" + (f", did you mean {near!r}?" if near else "")
