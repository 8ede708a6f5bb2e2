"""The kind of processor is what torch computes with: the model and its kernels."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from maskcls.engine.compute import processor_kind as module
from maskcls.engine.compute.processor_kind import processor_kind


def test_the_kernels_are_those_that_torch_uses() -> None:
    """ATEN_CPU_CAPABILITY=default makes torch use the plainest ones, in a new process."""
    code = "from maskcls.engine.compute.processor_kind import processor_kind; print(*processor_kind('cpu'), sep='|')"
    plain = os.environ | {"ATEN_CPU_CAPABILITY": "default"}
    done = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=True)
    name, kernels = done.stdout.strip().split("|")
    here = processor_kind("cpu")
    assert (name, kernels) == (here[0], "DEFAULT")
    assert here[0]
    assert here[1] == torch.backends.cpu.get_cpu_capability()


def test_a_gpu_is_named_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.torch.cuda, "get_device_name", lambda device: f"GPU {device}")
    monkeypatch.setattr(module.torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert processor_kind("cuda:1") == ("GPU cuda:1", "9.0")
