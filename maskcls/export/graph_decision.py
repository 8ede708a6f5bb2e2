"""A run's decision as tensor operations: temperatures, and the decision rule.

B photos, J joint classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskcls.labels import LabelSpace
from maskcls.results.decisions.calibration import CLOSE, ROUNDS, TINY
from maskcls.runs.decision import Decision

Scale = dict[str, float]


class DecisionLayer(nn.Module):
    """Joint probabilities (B, J) to the joint class (B,) int64, as `Decision.labels` chooses it.

    decision  None, or one without a rule: the most probable class.

    A rule of kind "shift" cannot be used: it is fitted on all photos that are predicted together.
    """

    def __init__(self, space: LabelSpace, decision: Decision | None) -> None:
        super().__init__()
        rule = decision.rule if decision else None
        assert rule is None or rule.kind != "shift"
        self.space = space
        self.temperatures = dict(decision.temperatures) if decision and rule else {}
        # Plain numbers would be rounded to float32 in an exported graph.
        bias_J = torch.tensor(rule.bias if rule else [0.0] * space.size, dtype=torch.float64)
        threshold_J = torch.tensor(
            rule.threshold if rule and rule.threshold else [0.0] * space.size, dtype=torch.float64
        )
        self.weight_J = nn.Buffer(torch.exp(bias_J - bias_J.max()))
        self.threshold_J = nn.Buffer(threshold_J)

    def forward(self, prob_BJ: Tensor) -> Tensor:
        """Return the joint class of each row."""
        if not self.temperatures:
            return prob_BJ.argmax(1)
        rows_BJ = scaled_graph(prob_BJ, self.temperatures, self.space).to(torch.float64)
        return (self.weight_J * (rows_BJ - self.threshold_J)).argmax(1)


def scaled_graph(prob_BJ: Tensor, temperatures: Scale, space: LabelSpace) -> Tensor:
    """Apply every task's temperature, as `calibration.scaled` does; (B, J) float32."""
    grid = prob_BJ.to(torch.float64).clamp(min=TINY).unflatten(1, space.shape)
    axes = range(1, 1 + len(space.tasks))
    others = [[a for a in axes if a != axis] for axis in axes]
    targets = [
        torch.softmax(
            torch.log(
                _kept(prob_BJ.to(torch.float64).unflatten(1, space.shape), other)
                .to(torch.float32)
                .to(torch.float64)
                .clamp(min=TINY)
            )
            / temperatures[name],
            dim=axis,
        )
        for axis, other, name in zip(axes, others, space.names, strict=True)
    ]

    def unmet(turn: Tensor, worst: Tensor, grid: Tensor, *targets: Tensor) -> Tensor:
        return (turn < ROUNDS) & (worst >= CLOSE)

    def fit(turn: Tensor, worst: Tensor, grid: Tensor, *targets: Tensor) -> tuple[Tensor, ...]:
        worst = torch.zeros_like(worst)
        for other, target in zip(others, targets, strict=True):
            found = _kept(grid, other)
            worst = torch.maximum(worst, (target - found).abs().max())
            grid = grid * (target / found)
        return turn + 1, worst, grid, *(target.clone() for target in targets)

    start = (torch.zeros((), dtype=torch.int64), torch.ones((), dtype=torch.float64), grid, *targets)
    fitted: Tensor = torch.ops.higher_order.while_loop(unmet, fit, start, ())[2]
    return fitted.flatten(1).to(torch.float32)


def _kept(grid: Tensor, others: list[int]) -> Tensor:
    return grid.sum(others, keepdim=True) if others else grid
