"""The device: start it with accelerate, move networks to it, normalise images on it."""

from __future__ import annotations

import ctypes
import os
import re
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed import DistError

from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.compute.plan import Execution
from maskcls.engine.processes.interface import VARIABLES, choose_interface
from maskcls.engine.processes.shared_fate import watch_others
from maskcls.errors import ConfigError, ResourceError
from maskcls.machine import cores, process_count, processes_here
from maskcls.schema import DeviceConfig
from maskcls.startup import wake_collector

TORCH_FLOOR = (2, 10)  # before it, a weights file can run code in spite of weights_only=True: CVE-2026-24747
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of <malloc.h>

__all__ = ["Accelerator", "augments_on_device", "gpu_count", "move_network", "normalise", "start", "worker_count"]


def start(device: DeviceConfig, *, settable: bool = True) -> Accelerator:
    """Start the configured device, in each process if torchrun or accelerate launched several.

    settable  whether the command takes settings of the device, which an error then advises.

    Raises ResourceError when the device does not exist (there is no silent fallback to the CPU) or torch is too old,
    and ConfigError for fp16 on a CPU.
    """
    _check_torch(torch.__version__)
    choose_interface()
    wake_collector()  # all packages are imported by now
    fix = "set device.type=cpu or auto" if settable else "use a machine with one: the run keeps its device"
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ResourceError("no CUDA device can be used", where="device.type=cuda", fix=fix)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ResourceError("no MPS device can be used", where="device.type=mps", fix=fix)
    cpu = device.type == "cpu" or not (torch.cuda.is_available() or torch.backends.mps.is_available())
    if cpu and device.precision == "fp16":
        raise ConfigError("fp16 needs a GPU", where="device.precision", got="fp16 on a CPU", expected="fp32 or bf16")
    if device.threads != "auto":
        torch.set_num_threads(device.threads)
    # Moving averages decay to denormal numbers, with which a CPU is up to a hundred times slower. Set this before
    # anything is computed, because threads inherit the setting when they are created.
    torch.set_flush_denormal(True)
    if cpu:
        _keep_memory()
    # `Execution` sets the number format of our passes; accelerate only needs to know when gradients must be scaled.
    accelerator = _connected(cpu=cpu, mixed_precision="fp16" if device.precision == "fp16" else "no")
    watch_others()
    return accelerator


def gpu_count() -> int:
    """Return the number of GPUs of CUDA that this process sees, without starting CUDA in it."""
    return torch.cuda.device_count()


def _connected(**how: Any) -> Accelerator:
    """Return an Accelerator; ResourceError where the processes of this command cannot connect with each other."""
    try:
        return Accelerator(**how)
    except RuntimeError as error:
        if process_count() == 1 or not (isinstance(error, DistError) or "/gloo/" in str(error)):
            raise
        named = {name: os.environ[name] for name in (*VARIABLES, "MASTER_ADDR", "MASTER_PORT") if name in os.environ}
        raise ResourceError(
            "the processes of this command cannot connect with each other",
            where=", ".join(f"{name}={value}" for name, value in named.items()),
            got=str(error).splitlines()[0],
            fix="let the machines reach each other on all ports; set GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME to the"
            " network interface between them",
        ) from None


def _check_torch(version: str) -> None:
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None or tuple(map(int, found.groups())) < TORCH_FLOOR:
        wanted = ".".join(map(str, TORCH_FLOOR))
        raise ResourceError(
            "this torch is too old to read weights safely",
            got=f"torch {version}",
            expected=f"torch {wanted} or newer",
            fix=f"pip install 'torch>={wanted}'",
        )


def _keep_memory() -> None:
    """Make glibc keep freed memory for the next step instead of returning it to the system.

    Every training step frees and allocates the same hundreds of megabytes, and the system clears each page before it
    allocates it again. No effect with another C library.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version") and hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)  # never return memory, even if more than 2 GiB are free after a step


def worker_count(device: DeviceConfig, accelerator: Accelerator, *, cached: bool) -> int:
    """Return the number of loader processes: as configured, or from the number of cores this process may use.

    cached  photos come from the cache. On a CPU the training process then reads them itself and has all cores; with a
            GPU, a few loader processes copy and transfer them.
    """
    if device.workers is not None:
        return device.workers
    on_cpu, mine = accelerator.device.type == "cpu", max(1, cores() // processes_here(int(accelerator.num_processes)))
    if cached:
        return 0 if on_cpu else min(4, max(1, mine - 1))
    # A CPU trains on the same cores, and decoding is the smaller part; with a GPU the loader may use the cores.
    return min(4, mine) if on_cpu else min(16, max(1, mine - 1))


def move_network(network: nn.Module, device: torch.device, execution: Execution) -> nn.Module:
    """Move the network to the device, in the execution's memory format."""
    return network.to(device).to(memory_format=execution.layout)


def normalise(images_BHWC: Tensor, *, mean: tuple[float, ...], std: tuple[float, ...], execution: Execution) -> Tensor:
    """Turn values 0..255 (B, H, W, 3) into float32 (B, 3, H, W) on their device: (value / 255 - mean) / std."""
    batch, height, width, channels = images_BHWC.shape
    # By rows of pixels: operations on three channels at a time are too short for a processor's vector units.
    scale = (255 * torch.tensor(std)).reciprocal_().repeat(width).to(images_BHWC.device)
    shift = (torch.tensor(mean) / torch.tensor(std)).repeat(width).to(images_BHWC.device)
    rows = images_BHWC.reshape(batch, height, width * channels).to(torch.float32, copy=True).mul_(scale).sub_(shift)
    return rows.view(images_BHWC.shape).permute(0, 3, 1, 2).contiguous(memory_format=execution.layout)


def augments_on_device(device: DeviceConfig, spec: ViewSpec, on: torch.device) -> bool:
    """Return whether training images are augmented on the device: as configured; auto: on a GPU, if all steps can be.

    on  the device that is used.
    """
    if device.augment != "auto":
        return device.augment == "device"
    return on.type == "cuda" and not spec.host_alone
