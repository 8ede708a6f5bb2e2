"""The module of a run, exported, predicts in onnxruntime what the run predicts with torch: photos of any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from random_runs import AGES, SPEC, WIDE, random_network, random_run

from maskcls.engine.infer import Predictor
from maskcls.errors import ResultError, UsageError
from maskcls.export import onnx_file
from maskcls.export.facts import decision_json
from maskcls.export.graph_names import output_names
from maskcls.export.onnx_file import OPSET, check_size_of_file, onnx_bytes, to_onnx
from maskcls.export.onnx_model import OnnxModel, onnx_model
from maskcls.export.torch_file import torch_program
from maskcls.export.whole_model import WholeModel, whole_model
from maskcls.labels import CONTEST
from maskcls.nn.heads import Head, plain_heads
from maskcls.results.decisions.rule import DecisionRule
from maskcls.results.photo_model import Photo
from maskcls.runs.decision import Decision
from maskcls.training.predicting.run_model import RunModel

SIZES = [(32, 24), (90, 70), (64, 48), (20, 18), (33, 200), (17, 60), (90, 70), (90, 70)]


def photos() -> list[Photo]:
    rng = np.random.default_rng(9)
    return [rng.integers(0, 256, (*s, 3), dtype=np.uint8) // rng.integers(1, 5, 3, dtype=np.uint8) for s in SIZES]


def exported(model: RunModel) -> OnnxModel:
    facts = {"tasks": model.space.to_json(), "decision": decision_json(model.decision), "decode_size": [1, 1]}
    facts |= {"views": "none", "networks": "folds"}
    return onnx_model(onnx_bytes(to_onnx(whole_model(model)), facts), where="here", threads=1)


def agree(model: RunModel) -> OnnxModel:
    found, given = exported(model), photos()
    want = model.predict(given)
    prob, chosen = found.run(given)
    # Sums in another order; a wrong pixel or a wrong weight gives differences above 1e-3.
    np.testing.assert_allclose(prob, want, atol=1e-5)
    assert want.std(axis=0).max() > 0.01
    np.testing.assert_array_equal(chosen, model.decide(want))
    np.testing.assert_array_equal(found.decide(prob), model.decide(want))
    np.testing.assert_allclose(found.predict(given[:1]), want[:1], atol=1e-5)
    return found


def multi(seed: int, age: Head | None = None) -> Predictor:
    heads = plain_heads("multi", CONTEST) | ({"age": age} if age else {})
    return Predictor(random_network(heads, seed), CONTEST, SPEC)


@pytest.mark.slow
def test_folds_and_views_and_a_decision_rule() -> None:
    rule = DecisionRule("expected", tuple(np.random.default_rng(0).normal(0, 2, 18)), (0.05,) * 18)
    decision = Decision(CONTEST, {"mask": 1.5, "gender": 0.7, "age": 2.0}, rule, None, "")
    networks = [("", 0, fold, multi(fold)) for fold in range(2)]
    model = replace(random_run(networks, "predict.views=hflip_zoom"), decision=decision)

    found = agree(model)

    outputs = {value.name: value.shape for value in found.session.get_outputs()}
    assert tuple(outputs) == output_names(CONTEST)
    given = np.stack([photo for photo in photos() if photo.shape[:2] == (90, 70)])
    values = dict(zip(outputs, found.session.run(None, {"photos": given}), strict=True))
    for name, prob in CONTEST.marginals(values["joint"]).items():
        np.testing.assert_allclose(values[name], prob, atol=1e-6)
    for name, classes in CONTEST.decode(values["joint_class"]).items():
        np.testing.assert_array_equal(values[f"{name}_class"], classes)


@pytest.mark.slow
def test_one_network_per_task_with_its_own_images() -> None:
    spaces = [CONTEST.only([task.name]) for task in CONTEST.tasks]
    networks = [
        (space.names[0], 0, 0, Predictor(random_network(plain_heads("multi", space), k), space, spec))
        for k, (space, spec) in enumerate(zip(spaces, (SPEC, WIDE, SPEC), strict=True))
    ]

    agree(random_run(networks, "predict.views=none+up"))


@pytest.mark.slow
def test_a_head_for_the_joint_classes() -> None:
    heads = plain_heads("joint", CONTEST)

    agree(random_run([("", 0, 0, Predictor(random_network(heads, 0), CONTEST, SPEC))], "predict.views=none"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "age", [AGES[3], AGES[4], AGES[6]], ids=lambda head: f"{head.reading}-{len(head.edges)}-{head.given}"
)
def test_every_reading_of_an_age(age: Head) -> None:
    agree(random_run([("", 0, 0, multi(0, age))], "predict.views=none"))


def test_networks_that_are_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = whole_model(random_run([("", 0, 0, multi(0))], "predict.views=none"))
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 1000)

    with pytest.raises(UsageError, match="too large for one ONNX file"):
        to_onnx(whole)
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 1_000_000)
    check_size_of_file(whole)


@pytest.mark.parametrize(
    ("stage", "export"),
    [("torch.export.export", to_onnx), ("torch.onnx.export", to_onnx), ("torch.export.export", torch_program)],
)
def test_a_backbone_that_cannot_be_exported_is_one_message(
    stage: str,
    export: Callable[[WholeModel], object],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    whole = whole_model(random_run([("", 0, 0, multi(0))], "predict.views=none"))

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no such operation\nmore lines")

    monkeypatch.setattr(stage, fails)

    with pytest.raises(ResultError, match="cannot be exported") as caught:
        export(whole)
    assert caught.value.got == "RuntimeError: no such operation"
    assert capfd.readouterr() == ("", "")


def test_the_opset_is_one_that_onnx_knows() -> None:
    assert onnx.defs.onnx_opset_version() >= OPSET
