"""A decision as tensor operations chooses the classes that the run's decision chooses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskcls.export.graph_decision import DecisionLayer, scaled_rows_graph
from maskcls.labels import CONTEST, Floats, LabelSpace, Task
from maskcls.results.decisions.calibration import scaled
from maskcls.results.decisions.rule import DecisionRule
from maskcls.results.predictions import Predictions
from maskcls.runs.decision import Decision

TEMPERATURES = {"mask": 1.3, "gender": 0.6, "age": 1.9}
ONE = LabelSpace((Task("t", ("x", "y", "z")),))


def rows(count: int = 400, seed: int = 0) -> Floats:
    """Means of three networks, whose tasks are not independent."""
    rng = np.random.default_rng(seed)
    parts = {t.name: rng.dirichlet(np.full(len(t.classes), 0.4), (3, count)) for t in CONTEST.tasks}
    networks = [CONTEST.compose({name: prob[i] for name, prob in parts.items()}) for i in range(3)]
    return np.mean(networks, axis=0).astype(np.float32)


def decision(rule: DecisionRule | None, space: LabelSpace = CONTEST) -> Decision:
    temperatures = TEMPERATURES if space is CONTEST else {"t": 1.7}
    return Decision(space, temperatures, rule, None, "")


def wanted(prob: Floats, found: Decision) -> np.ndarray:
    return found.labels(Predictions([str(i) for i in range(len(prob))], prob, found.space))


RNG = np.random.default_rng(5)
RULES = [
    DecisionRule("task", tuple(RNG.normal(0, 1, 18))),
    DecisionRule("expected", tuple(RNG.normal(0, 1, 18)), tuple(RNG.uniform(0, 0.3, 18))),
    DecisionRule("prior", tuple(RNG.normal(900, 1, 18))),  # exp(900) is infinite: only differences count
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_a_rule_chooses_the_same_classes(rule: DecisionRule) -> None:
    prob, found = rows(), decision(rule)

    chosen = DecisionLayer(CONTEST, found)(torch.from_numpy(prob)).numpy()

    np.testing.assert_array_equal(chosen, wanted(prob, found))
    assert (chosen != prob.argmax(axis=1)).any()


@pytest.mark.parametrize("found", [None, decision(None)])
def test_without_a_rule_the_most_probable_class_is_chosen(found: Decision | None) -> None:
    prob = rows()

    np.testing.assert_array_equal(DecisionLayer(CONTEST, found)(torch.from_numpy(prob)).numpy(), prob.argmax(axis=1))


def test_temperatures_give_the_rows_of_calibration() -> None:
    prob = rows()
    sure = np.eye(18, dtype=np.float32)  # probabilities that float32 has rounded to 0
    prob = np.concatenate([prob, sure])

    found = scaled_rows_graph(torch.from_numpy(prob), torch.tensor(list(TEMPERATURES.values())).double(), CONTEST)

    # Both stop when a task's probabilities are met within 1e-7.
    np.testing.assert_allclose(found.numpy(), scaled(prob, TEMPERATURES, CONTEST), atol=1e-6)


def test_a_single_task_is_scaled_too() -> None:
    prob = np.random.default_rng(1).dirichlet(np.ones(3), 50).astype(np.float32)
    found = decision(DecisionRule("joint", (0.0, 1.0, -1.0)), ONE)

    chosen = DecisionLayer(ONE, found)(torch.from_numpy(prob)).numpy()

    np.testing.assert_array_equal(chosen, wanted(prob, found))
