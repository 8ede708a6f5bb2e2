"""An ONNX model with its networks in 8 bits; photos are prepared, and probabilities read, in float32 as before.

Static quantization of onnxruntime: QDQ nodes, weights int8 per channel, activations uint8 with ranges from photos.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from maskcls.errors import UsageError
from maskcls.export.graph_names import INPUT
from maskcls.results.photo_model import Photo

NETWORKS = "networks."  # begins the name of every weight of a network


def quantized(model: onnx.ModelProto, read: Callable[[int], Photo], rows: Sequence[int]) -> onnx.ModelProto:
    """Return the model with its networks in 8 bits.

    read  returns the photo of a row, uint8 (H, W, 3) RGB; photos may differ in size.
    rows  of the photos from which the ranges of the activations are taken, at least one.

    Raises UsageError for a model without an operation that can be quantized.
    """
    nodes = network_nodes(model.graph)
    if not nodes:
        raise UsageError(
            "the networks of this run have no operation that 8 bits can be used for",
            where="--int8",
            fix="export without --int8",
        )
    with tempfile.TemporaryDirectory() as folder, _silent():
        target = Path(folder) / "int8.onnx"
        quantize_static(
            _copy(model),
            str(target),
            _CalibrationPhotos(read, rows),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            nodes_to_quantize=nodes,
            # The mean of the photos' ranges, see docs/adr/0034-int8-is-measured.md. No activations are kept.
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"CalibMovingAverage": True},
        )
        return onnx.load(target)


def network_nodes(graph: onnx.GraphProto) -> list[str]:
    """Return the names of the nodes between the first and the last use of a network's weights, sorted."""
    weights = {one.name for one in graph.initializer if one.name.startswith(NETWORKS)}
    users = [node for node in graph.node if not weights.isdisjoint(node.input)]
    makers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    after = _reached(users, lambda node: (reader for name in node.output for reader in readers.get(name, ())))
    before = _reached(users, lambda node: (makers[name] for name in node.input if name in makers))
    return sorted(after & before)


def _reached(start: Iterable[Any], following: Callable[[Any], Iterator[Any]]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        node = waiting.pop()
        if node.name not in found:
            found.add(node.name)
            waiting += following(node)
    return found


class _CalibrationPhotos(CalibrationDataReader):  # type: ignore[misc]  # has no types
    """Gives one photo after the other."""

    def __init__(self, read: Callable[[int], Photo], rows: Sequence[int]) -> None:
        self.read, self.left = read, iter(rows)

    def get_next(self) -> dict[str, Any] | None:
        row = next(self.left, None)
        return None if row is None else {INPUT: self.read(row)[None]}


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Drop what onnxruntime prints while it quantizes: stdout is for the result of the command."""
    disabled = logging.root.manager.disable
    onnxruntime.set_default_logger_severity(3)
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        onnxruntime.set_default_logger_severity(2)
