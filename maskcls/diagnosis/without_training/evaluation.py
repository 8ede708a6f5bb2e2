"""Does the same photo get the same probabilities every time?"""

from __future__ import annotations

import numpy as np

from maskcls.diagnosis.probe import Probe
from maskcls.diagnosis.without_training.gradient import with_random_heads
from maskcls.labels import Floats
from maskcls.results.diagnosis.finding import Finding

# Batches have equal lengths and the same kernels, so the last bits are equal too; a GPU may add in another order.
TOLERANCE = 1e-5


def predicted_twice(probe: Probe) -> tuple[Floats, Floats]:
    """Predict the probe's validation rows two times with one network, whose heads are random."""
    session = probe.session(with_random_heads(probe.network()), 1)
    session.model.train()  # as after the steps of an epoch
    return probe.probabilities(session), probe.probabilities(session)


def check_evaluation(first_nJ: Floats, second_nJ: Floats, network: str) -> Finding:
    """Compare two predictions (n, J) of the same photos."""
    change = float(np.abs(first_nJ - second_nJ).max())
    found = f"probabilities of {len(first_nJ)} photos differ by at most {change:.2g} between two predictions"
    values = {"largest_change": change}
    if change > TOLERANCE:
        next = ("predict in evaluation mode: model.eval() reaches every dropout layer", "model.drop=0 hides it")
        return Finding("evaluation", "fail", found, "dropout at evaluation", next, network, values)
    return Finding("evaluation", "pass", found, network=network, values=values)
