"""Is the loss before the first step log(classes)?

Heads begin at zero, so every class gets the same probability, and the loss of each head is known before anything is
trained. B rows of the step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from maskcls.lossterms import Term
from maskcls.nn.heads import Head
from maskcls.results.diagnosis.finding import Finding

# The loss is exact in float32 with logits of 0; a loss that is computed in bf16 has three digits.
TOLERANCE = 0.01


def uniform_loss(terms: Sequence[Term], classes: int) -> float | None:
    """Return the loss where every class has the same probability; None where it also depends on the labels.

    >>> from maskcls.lossterms import parse_loss
    >>> [round(uniform_loss(parse_loss(loss), 3), 4) for loss in ("ce", "smooth", "focal(gamma=2)", "bce")]
    [1.0986, 1.0986, 0.4883, 0.6931]
    >>> uniform_loss(parse_loss("0.5*ce+0.5*f1"), 3) is None
    True
    """
    parts = [_of_term(term, classes) for term in terms]
    return None if None in parts else sum(part for part in parts if part is not None)


def _of_term(term: Term, classes: int) -> float | None:
    if term.kind in ("f1", "la"):  # these depend on the class shares
        return None
    if term.kind == "bce":
        return term.factor * math.log(2)
    rest = (1 - 1 / classes) ** term.gamma if term.kind == "focal" else 1.0
    return term.factor * rest * math.log(classes)


def check_first_loss(
    heads: Sequence[Head], terms: Sequence[Sequence[Term]], weights: Sequence[float], losses: Sequence[float], net: str
) -> Finding:
    """Compare each head's loss of a step with that of equal probabilities.

    weights  of the heads in the sum; losses: of the step, per head, times its weight.
    """
    wrong, texts, values, untold = [], [], {}, []
    for head, own, weight, loss in zip(heads, terms, weights, losses, strict=True):
        expected = None if head.reading in ("ordinal", "normal") else uniform_loss(own, head.trained_classes)
        values[head.name] = loss / weight
        if expected is None:
            untold.append(head.name)
            continue
        texts.append(f"{head.name} {loss / weight:.4f} (expected {expected:.4f})")
        if not abs(loss / weight - expected) <= TOLERANCE * max(expected, 0.1):
            wrong.append((head.name, loss, expected))
    found = "; ".join([*texts, *(f"{name}: depends on the labels, not compared" for name in untold)])
    if not wrong:
        return Finding("first loss", "pass" if texts else "unknown", found, network=net, values=values)
    sign = any(loss < 0 for _, loss, _ in wrong)
    cause = "loss sign" if sign else "loss scale or heads"
    next = (
        "compare the loss with its formula in docs/methods.md",
        f"loss.{wrong[0][0]}=ce shows whether it is the loss",
    )
    return Finding("first loss", "fail", found, cause, next, net, values)
