"""Only the networks of an exported model are quantized, with ranges from the photos that are given."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from maskcls.errors import UsageError
from maskcls.export.graph_names import JOINT_OUTPUT
from maskcls.export.int8.quantize import network_nodes, quantized


def small_model(weights: str = "networks.0.trunk.weight") -> onnx.ModelProto:
    """Return uint8 photos -> float -> network (convolution, ReLU, mean) -> softmax, with two channels."""
    kernel = np.random.default_rng(0).normal(size=(2, 3, 3, 3)).astype(np.float32) / 100
    nodes = [
        helper.make_node("Cast", ["photos"], ["real"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["images"], "order", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["images", weights], ["maps"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["maps"], ["positive"], "relu"),
        helper.make_node("Conv", ["positive", "networks.0.second"], ["more"], "second"),
        helper.make_node("GlobalAveragePool", ["more"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["logits"], "flat"),
        helper.make_node("Softmax", ["logits"], [JOINT_OUTPUT], "softmax"),
    ]
    second = np.eye(2, dtype=np.float32)[:, :, None, None]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("photos", TensorProto.UINT8, ["b", "h", "w", 3])],
        [helper.make_tensor_value_info(JOINT_OUTPUT, TensorProto.FLOAT, ["b", 2])],
        [numpy_helper.from_array(kernel, weights), numpy_helper.from_array(second, "networks.0.second")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def photo(row: int) -> np.ndarray:
    return np.random.default_rng(row).integers(0, 256, (9 + row % 3, 8, 3), dtype=np.uint8)


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([JOINT_OUTPUT], {"photos": image[None]})[0]


def test_network_nodes_are_those_between_the_weights() -> None:
    assert network_nodes(small_model().graph) == ["conv", "relu", "second"]


def test_the_preparation_of_photos_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[int] = []
    model = small_model()

    def read(row: int) -> np.ndarray:
        seen.append(row)
        return photo(row)

    small = quantized(model, read, [3, 1, 4])

    kinds = {node.name: node.op_type for node in small.graph.node}
    inputs = {node.name: list(node.input) for node in small.graph.node}
    assert sorted(seen) == [1, 3, 4]
    assert inputs["cast"] == ["photos"]
    assert inputs["order"] == ["real"]
    assert "QuantizeLinear" in kinds.values()
    (kernel,) = [one for one in small.graph.initializer if one.name.startswith("networks.0.trunk.weight_quant")]
    assert kernel.data_type == TensorProto.INT8
    scale = next(one for one in small.graph.initializer if one.name == "networks.0.trunk.weight_scale")
    assert list(scale.dims) == [2]  # one per channel
    assert capsys.readouterr().out == ""
    for row in range(3):
        np.testing.assert_allclose(run(small, photo(row)), run(model, photo(row)), atol=0.03)
    assert [node.name for node in model.graph.node] == [node.name for node in small_model().graph.node]


def test_the_ranges_are_those_of_the_photos() -> None:
    dark, light = (quantized(small_model(), lambda row, to=to: photo(row) // to, [0, 1]) for to in (16, 1))

    scales = [
        {one.name: float(numpy_helper.to_array(one)) for one in model.graph.initializer if one.name == "positive_scale"}
        for model in (dark, light)
    ]
    assert scales[1]["positive_scale"] > 8 * scales[0]["positive_scale"]


def test_a_model_without_weights_of_a_network_is_refused() -> None:
    model = small_model("other.weight")
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace("networks", "other")
    for node in model.graph.node:
        node.input[:] = [name.replace("networks", "other") for name in node.input]

    with pytest.raises(UsageError, match="no operation that 8 bits"):
        quantized(model, photo, [0])
