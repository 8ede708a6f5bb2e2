"""Does the gradient of a photo's loss touch this photo, and no other?"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from maskcls.diagnosis.probe import Probe
from maskcls.engine.device import normalise
from maskcls.engine.fit import open_targets
from maskcls.engine.step_plan import StepPlan
from maskcls.labels import Ints
from maskcls.nn.network import Network
from maskcls.results.diagnosis.finding import Finding

# A gradient that leaks from another row is as large as its own; rounding of kernels over a batch is 1e-6 of it.
LEAK = 1e-4


def with_random_heads(network: Network) -> Network:
    """Fill the heads with random weights, in place: they begin at zero, and would pass no gradient to the backbone."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.heads.parameters():
            scale = parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return network


def gradient_sizes(probe: Probe, rows: Ints) -> NDArray[np.float64]:
    """Return, for the loss of row i alone, the size of the gradient with respect to image j: (B, B).

    The network is in evaluation mode: batch normalisation in training mode mixes the rows on purpose.
    """
    session = probe.session(with_random_heads(probe.network()), 1)
    heads = open_targets(session, StepPlan(probe.rows, probe.cfg))
    device, execution = session.accelerator.device, session.plan.train
    spec = probe.rows.photos.specs[0]
    views = torch.from_numpy(probe.views(rows)).to(device)
    images = normalise(views, mean=spec.mean, std=spec.std, execution=execution).requires_grad_()
    session.model.eval()
    logits = session.model(images)
    found = np.zeros((len(rows), len(rows)))
    for i in range(len(rows)):
        loss = torch.zeros((), device=device)
        for name, head in heads.items():
            target = head.rows[torch.from_numpy(rows).to(device)]
            alone = torch.zeros_like(target)
            alone[i] = target[i]
            loss = loss + sum(factor * value for factor, value in head.per_row(logits[name], alone))
        (gradient,) = torch.autograd.grad(loss, images, retain_graph=True)
        found[i] = gradient.abs().amax(dim=(1, 2, 3)).double().cpu().numpy()
    return found


def check_gradient(sizes_BB: NDArray[np.float64], network: str) -> Finding:
    """Check the sizes of `gradient_sizes`: above 0 on the diagonal, 0 elsewhere."""
    own = np.diag(sizes_BB)
    other = (sizes_BB - np.diag(own)).max(axis=1)
    touched, leaking = int((own > 0).sum()), int((other > LEAK * own.clip(1e-30)).sum())
    values = {"rows": float(len(own)), "touched": float(touched), "leaking": float(leaking)}
    found = f"the loss of {touched} of {len(own)} photos depends on the photo; of {leaking} also on another photo"
    if leaking:
        next = ("look for an operation over the batch in the backbone", "try another model.backbone")
        return Finding("gradient", "fail", found, "rows are mixed", next, network, values)
    if touched < len(own):
        next = ("see the checks inputs and layers", "try another model.backbone")
        return Finding("gradient", "fail", found, "dead network", next, network, values)
    return Finding("gradient", "pass", found, network=network, values=values)
