"""How networks are computed in a run: decided once, saved with the run, the same after a resume."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Execution:
    """The number format of the heavy operations, the order of an image's numbers in memory, and compiled or not."""

    precision: str = "fp32"
    memory_format: str = "channels_last"
    compile: bool = False

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[object]:
        """Return the context a forward pass belongs into."""
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
    """Everything about the machine that decides a run's speed, and its last bits.

    train, infer  how passes are computed in training, and in validation and prediction.
    threads       threads of one process for one operation.
    accumulate    pieces a process computes its share of an optimizer step in.
    fold_jobs     folds trained side by side, each in a process of its own.
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
