"""Can the network learn a few photos by heart, with the configured learning rate?

Without random changes, mixing, dropout and weight averages, on at most 16 photos of different classes. Where it cannot,
smaller and larger rates show whether the rate is the cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from maskcls.diagnosis.probe import Probe, different_rows, without_chance
from maskcls.errors import DivergedError
from maskcls.lossterms import Term
from maskcls.nn.heads import Head
from maskcls.results.diagnosis.finding import Finding

PHOTOS = 16
STEPS, MOST_STEPS = 80, 240
# Measured with the shipped settings: after 80 steps 0.01 of the first loss is left, with ten times the rate 0.02 to
# 0.1, with a hundred times 0.45 to 1.1.
FITTED = 0.25
RIGHT = 0.95  # or this share of the photos is right in every task: soft labels have a loss above 0
LAST = 5  # steps whose mean is the loss in the end


@dataclass(frozen=True)
class Fitted:
    """How a batch was learned.

    lr      the learning rate.
    start   loss before the first step; end: mean of the last steps; both without what no network can avoid.
    right   share of the photos' labels that are right, the mean over tasks; after: their mean log loss then, nats.
    steps   optimizer steps.
    """

    lr: float
    start: float
    end: float
    right: float
    after: float
    steps: int

    @property
    def fits(self) -> bool:
        """Whether the photos are known by heart."""
        return self.end < FITTED * self.start or self.right >= RIGHT


def least_loss(terms: Sequence[Term], classes: int) -> float:
    """Return the loss of a network that is as right as the loss allows: above 0 for smoothed labels.

    >>> from maskcls.lossterms import parse_loss
    >>> least_loss(parse_loss("ce"), 2), round(least_loss(parse_loss("smooth(epsilon=0.2)"), 2), 4)
    (0.0, 0.3251)
    """
    total = 0.0
    for term in terms:
        if term.kind == "smooth" and term.epsilon > 0:
            rest = term.epsilon / classes
            best = 1 - term.epsilon + rest
            total += term.factor * -(best * math.log(best) + (classes - 1) * rest * math.log(rest))
    return total


def least_of(probe: Probe, heads: Sequence[Head]) -> float:
    """Return the least loss of all heads together, in the configured weights."""
    cfg = probe.cfg
    parts = [least_loss(cfg.loss.terms(head.name), head.trained_classes) for head in heads]
    return sum(cfg.balance.weights.get(head.name, 1.0) * part for head, part in zip(heads, parts, strict=True))


def batch_probe(probe: Probe) -> Probe:
    """Return the probe on one batch: the same rows to train on and to validate."""
    joint_N = probe.member.space.encode(probe.rows.labels)
    rows = different_rows(joint_N, probe.rows.train, PHOTOS, seed=0)
    return without_chance(probe).on(rows, rows).with_settings(train={"batch_size": max(1, len(rows))})


def fit_batch(probe: Probe, lr: float, steps: int) -> Fitted:
    """Train on the probe's rows, one step per pass; a training that diverges has an infinite loss in the end."""
    probe = probe.with_settings(optim={"lr": lr})
    network = probe.network()
    least = least_of(probe, list(network.specs.values()))
    session, losses = probe.session(network, steps), []
    try:
        losses = [float(terms.sum()) - least for terms in probe.steps(session, steps, lr)]
        prob_nJ = probe.probabilities(session)
    except DivergedError:
        return Fitted(lr, losses[0] if losses else math.nan, math.inf, 0.0, math.inf, steps)
    space, rows = probe.member.space, probe.rows.valid
    truth = {name: probe.rows.labels[name][rows] for name in space.names}
    predicted = space.decode(prob_nJ.argmax(axis=1).astype(np.int64))
    right = float(np.mean([(predicted[name] == truth[name]).mean() for name in space.names]))
    true_n = space.encode(truth)
    after = float(-np.log(prob_nJ[np.arange(len(true_n)), true_n].clip(1e-12)).mean())
    return Fitted(lr, losses[0], float(np.mean(losses[-LAST:])), right, after, steps)


def search(fit: Callable[[float, int], Fitted], lr: float) -> list[Fitted]:
    """Fit with the configured rate; where that fails, with smaller ones, for longer, and with a larger one.

    Returns the fits in this order; the last one fits, or none does.
    """
    tries = [(lr, STEPS), (lr / 10, STEPS), (lr / 100, STEPS), (lr, MOST_STEPS), (lr * 10, STEPS)]
    found: list[Fitted] = []
    for rate, steps in tries:
        found.append(fit(rate, steps))
        if found[-1].fits:
            break
    return found


def check_one_batch(fits: Sequence[Fitted], joint_classes: int, network: str) -> Finding:
    """Conclude from the fits of `search` what is wrong."""
    first, last = fits[0], fits[-1]
    values = {"first_loss": first.start, "last_loss": first.end, "right": first.right, "fitting_lr": last.lr}
    found = _described(first)
    if last.fits and last.lr == first.lr:
        longer = f"; after {last.steps} steps {last.end:.3f}" if last.steps > first.steps else ""
        return Finding("one batch", "pass", found + longer, network=network, values=values)
    if last.fits:
        high = last.lr < first.lr
        cause = "learning rate too high" if high else "learning rate too low"
        found += f"; with optim.lr={last.lr:.2g} it fell to {last.end:.3f}"
        next = (f"optim.lr={last.lr:.2g}", "maskcls bench lr DATA finds the rate at which the loss falls fastest")
        return Finding("one batch", "fail", found, cause, next, network, values)
    # With small rates a step follows the gradient: the log loss then rises only if the gradient has the wrong sign.
    slow, uniform = [one for one in fits if one.lr < first.lr], math.log(joint_classes)
    worse = max((one.after for one in slow), default=0.0)
    if worse > 1.02 * uniform and all(one.after > 0.999 * uniform and one.right < 0.5 for one in slow):
        next = ("the loss that is minimised has the wrong sign: look for a minus", "loss.all=ce")
        found += f"; with smaller rates the log loss rose to {worse:.2f}"
        return Finding("one batch", "fail", found, "loss sign", next, network, values)
    steps = ("see the checks inputs, layers and gradient", "a larger backbone or transforms.size", "loss.all=ce")
    return Finding("one batch", "fail", f"{found}; no other rate helped", "cannot learn", steps, network, values)


def _described(one: Fitted) -> str:
    right = f"{one.right * 100:.0f} % of the labels are right"
    return f"loss {one.start:.3f} before, {one.end:.3f} after {one.steps} steps; {right}"
