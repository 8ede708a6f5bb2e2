"""A run as one file of torch.export (.pt2): it needs torch alone.

B photos, H height, W width.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from maskcls.export.whole_model import WholeModel, dynamic_program

METADATA = "maskcls.json"  # the name of the metadata among the extra files


def torch_program(module: WholeModel) -> ExportedProgram:
    """Return the exported program of a module, for photos uint8 (B, H, W, 3) of any B, H and W.

    Where in the source an operation comes from is removed, as these are paths of this machine. Raises what
    `dynamic_program` raises.
    """
    program = dynamic_program(module)
    for graph in _graphs(program.graph_module):
        for node in graph.nodes:
            node.meta.pop("stack_trace", None)
    return program


def torch_file_bytes(program: ExportedProgram, facts: Mapping[str, Any]) -> bytes:
    """Return the content of a .pt2 file: the program, and facts, plain JSON data, as an extra file.

    In a program without maskcls: `torch.export.load(path).module()(photos)`.
    """
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={METADATA: json.dumps(dict(facts), ensure_ascii=False)})
    return buffer.getvalue()


def read_torch_file(data: bytes) -> nn.Module:
    """Return the module in the content of a .pt2 file."""
    return torch.export.load(io.BytesIO(data)).module()


def _graphs(module: nn.Module) -> Iterator[torch.fx.Graph]:
    """Yield the graph of a module and those of the branches inside."""
    for part in module.modules():
        if isinstance(part, torch.fx.GraphModule):
            yield part.graph
