"""The module of a whole run gives what the run model gives, on torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from random_runs import AGES, SPEC, WIDE, photos_of_one_size, random_network, random_run

from maskcls.engine.infer import Predictor, joint_probabilities
from maskcls.errors import UsageError
from maskcls.export.graph_names import check_output_names, output_names
from maskcls.export.whole_model import joint_of, marginals, task_classes, whole_model
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.nn.heads import JOINT, Head, plain_heads
from maskcls.results.decisions.rule import DecisionRule
from maskcls.results.photo_model import Photo
from maskcls.runs.decision import Decision
from maskcls.training.predicting.run_model import RunModel


def agree(model: RunModel, given: list[Photo]) -> None:
    """Check that the module gives the run model's probabilities and classes."""
    want = model.predict(given)
    with torch.no_grad():
        found = {name: value.numpy() for name, value in whole_model(model)(torch.from_numpy(np.stack(given))).items()}
    assert tuple(found) == output_names(model.space)
    # The sums over views and networks are float64 in one and float32 in the other.
    np.testing.assert_allclose(found[JOINT], want, atol=1e-6)
    assert want.std(axis=0).max() > 0.01
    for name, prob in model.space.marginals(want).items():
        np.testing.assert_allclose(found[name], prob, atol=1e-6)
    chosen = model.decide(want)
    np.testing.assert_array_equal(found["joint_class"], chosen)
    for name, classes in model.space.decode(chosen).items():
        np.testing.assert_array_equal(found[f"{name}_class"], classes)


@pytest.mark.parametrize("age", AGES, ids=lambda head: f"{head.reading}-{len(head.edges)}-{head.given}")
def test_every_head_gives_its_joint_probabilities(age: Head) -> None:
    heads = {"mask": Head("mask", 3, "sigmoid"), "gender": Head("gender", 2), "age": age}
    torch.manual_seed(0)
    logits = {name: 3 * torch.randn(20, head.outputs) for name, head in heads.items()}

    found = joint_of(logits, heads, CONTEST).numpy()

    np.testing.assert_allclose(found, joint_probabilities(logits, heads, CONTEST), atol=1e-6)


@pytest.mark.parametrize("heads", ["multi", "joint"])
@pytest.mark.parametrize("views", ["none", "hflip_zoom", "none+up+left", "geometric:hflip"])
def test_folds_and_views_are_averaged(heads: str, views: str) -> None:
    plain = plain_heads(heads, CONTEST)  # type: ignore[arg-type]
    networks = [("", 0, fold, Predictor(random_network(plain, fold), CONTEST, SPEC)) for fold in range(3)]

    agree(random_run(networks, f"predict.views={views}"), photos_of_one_size())


def test_one_network_per_task_and_seed_with_its_own_images() -> None:
    networks = []
    for task in CONTEST.tasks:
        space = CONTEST.only([task.name])
        spec = WIDE if task.name == "gender" else SPEC
        for seed in (0, 1):
            network = random_network(plain_heads("multi", space), 10 * seed + len(networks))
            networks.append((task.name, seed, 0, Predictor(network, space, spec)))

    agree(random_run(networks, "predict.views=hflip"), photos_of_one_size())


def test_a_decision_rule_is_applied() -> None:
    rng = np.random.default_rng(0)
    networks = [("", 0, k, Predictor(random_network(plain_heads("multi", CONTEST), k), CONTEST, SPEC)) for k in (0, 1)]
    rule = DecisionRule("task", tuple(rng.normal(0, 3, 18)))
    decision = Decision(CONTEST, {"mask": 1.5, "gender": 0.7, "age": 2.0}, rule, None, "")
    model = replace(random_run(networks, "predict.views=none"), decision=decision)
    given = photos_of_one_size(30)

    agree(model, given)
    assert (model.decide(model.predict(given)) != model.predict(given).argmax(axis=1)).any()


def test_marginals_and_classes_of_a_space_with_one_task() -> None:
    space = LabelSpace((Task("t", ("x", "y", "z")),))
    prob = torch.tensor([[0.2, 0.3, 0.5]])

    assert marginals(prob, space)["t"].tolist() == prob.tolist()
    assert task_classes(torch.tensor([0, 2]), space)["t"].tolist() == [0, 2]


@pytest.mark.parametrize("names", [("photos",), ("a", "a_class"), ("joint_class",)])
def test_tasks_with_the_name_of_another_value_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="same name"):
        check_output_names(LabelSpace(tuple(Task(name, ("x", "y")) for name in names)))
