"""The kind of processor that computes networks: two of other kinds may round to other bits."""

from __future__ import annotations

import platform

import torch

from maskcls.machine.processors import processor


def processor_kind(device: str) -> tuple[str, str]:
    """Return the name of the processor behind a device of torch, such as cuda:0, and the kernels that torch has for it.

    Of a CPU the model, and the instructions of ATen's kernels, such as AVX512; ATEN_CPU_CAPABILITY can lower them.
    Of a GPU of CUDA its name and its compute capability, such as 9.0.
    """
    if torch.device(device).type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return torch.cuda.get_device_name(device), f"{major}.{minor}"
    name = processor() or platform.processor() or platform.machine()
    return name, torch.backends.cpu.get_cpu_capability()
