"""A run's module as the bytes of one ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from maskcls.errors import UsageError
from maskcls.export.graph_names import INPUT
from maskcls.export.onnx_facts import to_metadata
from maskcls.export.whole_model import WholeModel, dynamic_program, not_exportable
from maskcls.machine import is_memory_error

if TYPE_CHECKING:
    import onnx

OPSET = 20
MOST_BYTES = 2_000_000_000  # a protobuf message holds at most 2 GiB; the rest is for the graph
NOISY = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")  # loggers


def to_onnx(model: WholeModel) -> onnx.ModelProto:
    """Return the module as an ONNX model with dynamic batch, height and width, without metadata.

    Raises UsageError when the weights are too large for one file, ResultError when an operation of the backbone cannot
    be exported.
    """
    check_size_of_file(model)
    with _quiet(), torch.no_grad():
        program = dynamic_program(model)
        try:
            exported = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(model.output_names),
                verbose=False,
            )
        except Exception as error:  # anything: such as an operation without a counterpart in ONNX
            if is_memory_error(error):
                raise
            raise not_exportable(error) from error
    assert exported is not None
    proto = exported.model_proto
    forget_sources(proto.graph)
    return proto


def forget_sources(graph: onnx.GraphProto) -> None:
    """Remove from every node, also of branches, where in the source it comes from: paths of this machine."""
    for node in graph.node:
        del node.metadata_props[:]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                forget_sources(attribute.g)
    for value in graph.value_info:
        del value.metadata_props[:]


def onnx_bytes(proto: onnx.ModelProto, facts: Mapping[str, Any]) -> bytes:
    """Return the content of the file: the model with these facts as its metadata, checked by onnx."""
    import onnx

    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, to_metadata(facts))
    proto.producer_name, proto.producer_version = "maskcls", str(facts.get("maskcls", ""))
    proto.graph.name = str(facts.get("run", "maskcls"))
    data: bytes = proto.SerializeToString()
    onnx.checker.check_model(data, full_check=False)
    return data


def check_size_of_file(model: WholeModel) -> None:
    """Raise UsageError when the weights do not fit into one file."""
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    if size > MOST_BYTES:
        raise UsageError(
            "the networks are too large for one ONNX file",
            got=f"{len(model.networks)} networks with {size / 1e9:.1f} GB of weights",
            expected=f"at most {MOST_BYTES / 1e9:.0f} GB",
            fix="export fewer networks, such as predict.networks=refit, or use the run folder itself",
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings and log lines of the exporter away from the user; its errors are raised."""
    loggers = [logging.getLogger(name) for name in NOISY]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
