"""Small ONNX files in the form of exported runs, made without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from maskcls.export.onnx_facts import to_metadata
from maskcls.labels import Floats, LabelSpace, Task

SPACE = LabelSpace((Task("colour", ("red", "green", "blue")),))
FACTS: Mapping[str, Any] = {
    "maskcls": "0",
    "run": "made",
    "run_hashes": {"folds.csv": "1"},
    "weights": [{"member": "", "seed": 0, "fold": 0, "sha256": "2"}],
    "views": "hflip",
    "networks": "folds",
    "tasks": SPACE.to_json(),
    "decode_size": [30, 20],
    "decision": None,
}


def colour_model(facts: Mapping[str, Any] = FACTS, *, scale: float = 1.0) -> bytes:
    """Return a model whose probabilities are the shares of red, green and blue in a photo.

    scale  of the blue channel; 1: as it is.
    """
    weight = numpy_helper.from_array(np.array([1, 1, scale], np.float32), "weight")
    axes = numpy_helper.from_array(np.array([1, 2], np.int64), "axes")
    last = numpy_helper.from_array(np.array([1], np.int64), "last")
    nodes = [
        helper.make_node("Cast", ["photos"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "weight"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "last"], ["total"], keepdims=1),
        helper.make_node("Div", ["weighted", "total"], ["joint"]),
        helper.make_node("ArgMax", ["joint"], ["joint_class"], axis=1, keepdims=0),
        helper.make_node("Identity", ["joint"], ["colour"]),
        helper.make_node("Identity", ["joint_class"], ["colour_class"]),
    ]
    photos = helper.make_tensor_value_info("photos", TensorProto.UINT8, ["batch", "height", "width", 3])
    shares = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in ("colour", "joint")]
    chosen = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch"]) for name in ("colour_class", "joint_class")
    ]
    graph = helper.make_graph(nodes, "made", [photos], [*shares, *chosen], [weight, axes, last])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    helper.set_model_props(model, to_metadata(facts) if facts else {})
    return model.SerializeToString()


def shares(photos: list[np.ndarray]) -> Floats:
    """Return what `colour_model` predicts."""
    mean = np.stack([photo.mean((0, 1)) for photo in photos])
    return (mean / mean.sum(1, keepdims=True)).astype(np.float32)


def write_model(path: Path, facts: Mapping[str, Any] = FACTS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(colour_model(facts))
    return path
