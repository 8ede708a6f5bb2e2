"""Do the weights of the backbone get gradients?"""

from __future__ import annotations

from maskcls.diagnosis.probe import Probe, parameters_of
from maskcls.results.diagnosis.finding import Finding

STEPS = 3  # the heads begin at zero, so the first step passes no gradient to the backbone
# Who trains the last layer alone of a backbone on purpose trains 5 % and more of it.
LEAST_SHARE = 0.01


def trained_share(probe: Probe) -> float:
    """Return the share of the backbone's parameters with a gradient that is not 0, in the last epoch of a training."""
    session = probe.session(probe.network(), STEPS)
    session.epoch = probe.cfg.train.epochs - 1
    for _ in probe.steps(session, STEPS, probe.cfg.optim.lr):
        pass
    moved = [p for p in session.network.trunk.parameters() if p.grad is not None and bool((p.grad != 0).any())]
    return sum(p.numel() for p in moved) / max(1, parameters_of(session.network))


def check_layers(share: float, network: str) -> Finding:
    """Check the share of parameters that are trained."""
    found = f"{share * 100:.0f} % of the backbone's parameters get a gradient in the last epoch"
    values = {"trained_share": share}
    if share < LEAST_SHARE:
        next = ("optim.freeze_layers=0", "optim.freeze_epochs=1 and more train.epochs", "look for requires_grad=False")
        return Finding("layers", "fail", found, "frozen backbone", next, network, values)
    return Finding("layers", "pass", found, network=network, values=values)
