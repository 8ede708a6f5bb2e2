"""A run's decision as tensor operations: temperatures, and the decision rule.

B photos, C classes of a task, J joint classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskcls.labels import LabelSpace
from maskcls.results.decisions.calibration import CLOSE, ROUNDS, TINY
from maskcls.runs.decision import Decision


class DecisionLayer(nn.Module):
    """Joint probabilities (B, J) to the joint class (B,) int64, as `Decision.labels` chooses it.

    decision  None, or one without a rule: the most probable class.

    A rule of kind "shift" is not allowed: it is fitted on all photos that are predicted together.
    """

    def __init__(self, space: LabelSpace, decision: Decision | None) -> None:
        super().__init__()
        rule = decision.rule if decision else None
        assert rule is None or rule.kind != "shift"
        self.space, self.ruled = space, rule is not None
        # Tensors, because the ONNX exporter rounds plain numbers to float32.
        bias_J = _doubles(rule.bias if rule else [0.0])
        self.weight_J = nn.Buffer(torch.exp(bias_J - bias_J.max()))
        self.threshold_J = nn.Buffer(_doubles((rule.threshold if rule else ()) or [0.0]))
        temperatures = decision.temperatures if decision else {}
        self.temperature_T = nn.Buffer(_doubles([temperatures.get(name, 1.0) for name in space.names]))

    def forward(self, prob_BJ: Tensor) -> Tensor:
        """Return the joint class of each row."""
        if not self.ruled:
            return prob_BJ.argmax(1)
        rows_BJ = scaled_rows_graph(prob_BJ, self.temperature_T, self.space).to(torch.float64)
        return (self.weight_J * (rows_BJ - self.threshold_J)).argmax(1)


def scaled_rows_graph(prob_BJ: Tensor, temperature_T: Tensor, space: LabelSpace) -> Tensor:
    """Apply a temperature per task, as `calibration.scaled` does; returns (B, J) float32.

    All rows are fitted until the last of them is, so a row may be fitted more closely than there.
    """
    axes = range(1, 1 + len(space.tasks))
    others = [[a for a in axes if a != axis] for axis in axes]
    rows = prob_BJ.to(torch.float64).reshape(-1, *space.shape)
    targets = [
        torch.softmax(_raised(_summed(rows, other)).log() / temperature_T[axis - 1], dim=axis)
        for axis, other in zip(axes, others, strict=True)
    ]

    def unmet(turn: Tensor, worst: Tensor, grid: Tensor, *targets: Tensor) -> Tensor:
        return (turn < ROUNDS) & (worst >= CLOSE)

    def fit(turn: Tensor, worst: Tensor, grid: Tensor, *targets: Tensor) -> tuple[Tensor, ...]:
        worst = torch.zeros_like(worst)
        for other, target in zip(others, targets, strict=True):
            found = _summed(grid, other)
            worst = torch.maximum(worst, (target - found).abs().max())
            grid = grid * (target / found)
        return turn + 1, worst, grid, *(target.clone() for target in targets)

    state = (torch.zeros((), dtype=torch.int64), torch.ones((), dtype=torch.float64), _raised(rows), *targets)
    if torch.compiler.is_exporting():
        state = torch.ops.higher_order.while_loop(unmet, fit, state, ())
    else:
        while unmet(*state):
            state = fit(*state)
    return state[2].flatten(1).to(torch.float32)


def _raised(prob: Tensor) -> Tensor:
    """Raise probabilities that float32 has rounded to 0."""
    return torch.maximum(prob, torch.full_like(prob, TINY))


def _summed(grid: Tensor, others: list[int]) -> Tensor:
    """Sum over the other tasks' axes, which stay with length 1."""
    return grid.sum(others, keepdim=True) if others else grid


def _doubles(numbers: object) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)
