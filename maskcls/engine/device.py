"""The machine: accelerate's process group, device and precision, and images on their way onto it."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from maskcls.config import DeviceConfig
from maskcls.errors import ConfigError, ResourceError

__all__ = ["Accelerator", "normalise", "place", "start", "worker_count"]

ACCELERATE_PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def start(device: DeviceConfig) -> Accelerator:
    """Start the device the configuration asks for; several processes when torchrun or accelerate launched them.

    Raises ResourceError when the device is not there: nothing falls back to the CPU unasked.
    """
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ResourceError("no CUDA device can be used", where="device.type=cuda", fix="set device.type=cpu or auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ResourceError("no MPS device can be used", where="device.type=mps", fix="set device.type=cpu or auto")
    cpu = device.type == "cpu" or not (torch.cuda.is_available() or torch.backends.mps.is_available())
    if cpu and device.precision == "fp16":
        raise ConfigError("fp16 needs a GPU", where="device.precision", got="fp16 on a CPU", expected="fp32 or bf16")
    if device.threads:
        torch.set_num_threads(device.threads)
    # Denormal numbers, which moving averages decay into, cost a CPU up to a hundred times an ordinary operation.
    torch.set_flush_denormal(True)
    return Accelerator(cpu=cpu, mixed_precision=ACCELERATE_PRECISION[device.precision])


def worker_count(device: DeviceConfig, *, on_cpu: bool, processes: int = 1, cached: bool = False) -> int:
    """Return the number of loader processes: as asked, or from the cores this process may use.

    cached  photos come from the cache: cheap enough for a CPU's training process itself, which then has its cores to
            itself; beside a GPU a few processes keep copies and transfers out of its way.
    """
    if device.workers is not None:
        return device.workers
    cores = max(1, _cores() // processes)
    if cached:
        return 0 if on_cpu else min(4, max(1, cores - 1))
    # A CPU trains on the same cores and decoding is the smaller part; a GPU leaves the cores to the loader.
    return min(4, cores) if on_cpu else min(16, max(1, cores - 1))


def place(network: nn.Module, accelerator: Accelerator, *, channels_last: bool) -> nn.Module:
    """Move the network to the device, in the memory format convolutions run fastest in."""
    network = network.to(accelerator.device)
    return network.to(memory_format=torch.channels_last) if channels_last else network


def normalise(
    images_BHWC: Tensor, *, device: torch.device, mean: tuple[float, ...], std: tuple[float, ...], channels_last: bool
) -> Tensor:
    """Turn uint8 (B, H, W, 3) into float32 (B, 3, H, W) on the device: (value / 255 - mean) / std."""
    images = images_BHWC.to(device, non_blocking=True).permute(0, 3, 1, 2)
    if not channels_last:
        images = images.contiguous()
    mean_C = torch.tensor(mean, device=device).view(1, -1, 1, 1) * 255
    std_C = torch.tensor(std, device=device).view(1, -1, 1, 1) * 255
    return (images.float() - mean_C) / std_C


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
