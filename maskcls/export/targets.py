"""What `maskcls export` can write, and the names of the files; needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, assert_never

from maskcls.rundir import RunDir

Target = Literal["onnx", "torch-export", "safetensors", "model-card"]
ENDINGS: dict[Target, str] = {"onnx": ".onnx", "torch-export": ".pt2", "model-card": ".md"}


def default_output(run: RunDir, to: Target, *, int8: bool) -> Path:
    """Return what is written where no other name is given."""
    match to:
        case "onnx":
            return run.onnx_int8 if int8 else run.onnx
        case "torch-export":
            return run.torch_export
        case "safetensors":
            return run.checkpoints
        case "model-card":
            return run.model_card
        case _:
            assert_never(to)


def card_beside(output: Path, to: Target, run: RunDir) -> Path:
    """Return where the model card of an exported file or folder is written.

    >>> card_beside(Path("a/model.onnx"), "onnx", RunDir(Path("r")))
    PosixPath('a/model.onnx.card.md')
    """
    match to:
        case "onnx" | "torch-export":
            return output.with_name(f"{output.name}.card.md")
        case "safetensors":
            return output / run.model_card.name
        case "model-card":
            return output
        case _:
            assert_never(to)
