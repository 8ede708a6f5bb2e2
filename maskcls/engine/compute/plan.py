"""How networks are computed in a run: chosen once, saved with the run, used again by a resume."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

EXACT = "fp32"


@dataclass(frozen=True)
class Execution:
    """How a network is computed.

    precision      number format of convolutions and matrix products: fp32, bf16 or fp16 (by autocast).
    memory_format  of images and weights: channels_last or contiguous.
    compile        whether torch.compile is used.
    """

    precision: str = EXACT
    memory_format: str = "channels_last"
    compile: bool = False

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[object]:
        """Return the autocast context manager for a forward pass."""
        import torch  # here, so that a run's plans can be read without it

        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        return torch.autocast(device.type, dtype) if dtype else contextlib.nullcontext()

    @property
    def layout(self) -> torch.memory_format:
        """torch's name of the memory format."""
        import torch

        return {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}[self.memory_format]

    def __str__(self) -> str:
        return f"{self.precision} {self.memory_format}{' compiled' if self.compile else ''}"


@dataclass(frozen=True)
class Plan:
    """All machine-dependent choices of a run; they affect its speed, and the last bits of its results.

    train         how passes are computed in training.
    infer         how passes are computed in validation and prediction.
    threads       threads per process.
    accumulate    number of pieces in which a process computes its share of an optimizer step.
    fold_jobs     folds trained at the same time, each in its own process.
    """

    train: Execution = Execution()
    infer: Execution = Execution()
    threads: int = 1
    accumulate: int = 1
    fold_jobs: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Plan:
        """Rebuild a plan from `to_json` data."""
        parts = {name: Execution(**data[name]) for name in ("train", "infer")}
        return Plan(**(dict(data) | parts))
