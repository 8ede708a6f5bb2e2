"""A run as one file of torch.export (.pt2): it needs torch alone.

B photos, H height, W width.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from maskcls import files
from maskcls.export.whole_model import INPUT, WholeModel

METADATA = "maskcls.json"  # the name of the metadata among the extra files
EXAMPLE = (2, 70, 50, 3)  # any size will do; B, H and W are dynamic


def torch_program(module: WholeModel) -> ExportedProgram:
    """Return the exported program of a module, for photos uint8 (B, H, W, 3) of any B, H and W.

    Where in the source an operation comes from is removed, as these are paths of this machine.
    """
    sides = {0: Dim("batch"), 1: Dim("height"), 2: Dim("width")}
    example = torch.zeros(EXAMPLE, dtype=torch.uint8)
    program = torch.export.export(module, (example,), dynamic_shapes={INPUT: sides}, strict=False)
    for graph in _graphs(program.graph_module):
        for node in graph.nodes:
            node.meta.pop("stack_trace", None)
    return program


def write_torch_file(path: Path, program: ExportedProgram, metadata: Mapping[str, Any]) -> str:
    """Write the program with its metadata, plain JSON data, as an extra file; returns the file's sha256.

    In a program without maskcls: `torch.export.load(path).module()(photos)`.

    Raises ResourceError when the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={METADATA: json.dumps(dict(metadata), ensure_ascii=False)})
    return files.commit(path, buffer.getvalue())


def _graphs(module: nn.Module) -> Iterator[torch.fx.Graph]:
    """Yield the graph of a module and those of the branches inside."""
    for part in module.modules():
        if isinstance(part, torch.fx.GraphModule):
            yield part.graph
