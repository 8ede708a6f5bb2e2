"""The machine: nothing falls back unasked, loader processes follow the cores, and tiny numbers cost nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from photos import PLAIN
from project import PROJECT_DIR

from maskcls.engine import device
from maskcls.engine.device import augments_on_device, start, worker_count
from maskcls.errors import ConfigError, ResourceError
from maskcls.schema import DeviceConfig


def machine(kind: str, processes: int = 1) -> Any:
    """Return what worker_count asks of an Accelerator."""
    return SimpleNamespace(device=torch.device(kind), num_processes=processes)


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_not_replaced(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ResourceError, match=kind.upper()) as caught:
        start(DeviceConfig(type=kind))
    assert caught.value.where == f"device.type={kind}"
    assert caught.value.fix == "set device.type=cpu or auto"
    with pytest.raises(ResourceError, match=kind.upper()) as caught:
        start(DeviceConfig(type=kind), settable=False)
    assert "device.type" not in str(caught.value.fix)


def test_fp16_on_a_cpu_is_refused() -> None:
    with pytest.raises(ConfigError, match="fp16"):
        start(DeviceConfig(type="cpu", precision="fp16"))


@pytest.mark.parametrize(
    ("version", "old"),
    [
        ("2.9.1", True),
        ("1.13.0+cu117", True),
        ("2.10.0", False),
        ("2.10.0a0+git1", False),
        ("3.0.0", False),
        ("", True),
    ],
)
def test_a_torch_with_a_known_hole_is_refused(version: str, old: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", version)
    if not old:
        start(DeviceConfig(type="cpu"))
        return
    with pytest.raises(ResourceError, match="too old") as caught:
        start(DeviceConfig(type="cpu"))
    assert (caught.value.got, caught.value.expected) == (f"torch {version}", "torch 2.10 or newer")


def test_the_oldest_torch_is_that_of_the_package() -> None:
    needed = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]["dependencies"]
    (torch_line,) = [line for line in needed if re.match(r"torch\b", line)]
    assert torch_line.startswith(f"torch>={'.'.join(map(str, device.TORCH_FLOOR))},")


def test_workers_as_asked() -> None:
    asked = [
        worker_count(DeviceConfig(workers=n), machine(kind), cached=cached)
        for n in (0, 7)
        for kind in ("cpu", "cuda")
        for cached in (True, False)
    ]
    assert asked == [0, 0, 0, 0, 7, 7, 7, 7]


@pytest.mark.parametrize(
    ("cores", "processes", "kind", "cached", "decoded"),
    [
        (1, 1, "cpu", 0, 1),
        (2, 1, "cpu", 0, 2),
        (32, 1, "cpu", 0, 4),
        (32, 16, "cpu", 0, 2),
        (1, 1, "cuda", 1, 1),
        (8, 1, "cuda", 4, 7),
        (4, 1, "cuda", 3, 3),
        (64, 1, "cuda", 4, 16),
        (64, 8, "cuda", 4, 7),
        (4, 8, "cuda", 1, 1),
    ],
)
def test_workers_from_the_cores(
    cores: int, processes: int, kind: str, cached: int, decoded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "cores", lambda: cores)
    found = [worker_count(DeviceConfig(), machine(kind, processes), cached=c) for c in (True, False)]
    assert found == [cached, decoded]


def test_threads_are_set_as_asked_and_left_alone_otherwise() -> None:
    before = torch.get_num_threads()
    try:
        start(DeviceConfig(type="cpu", threads=3))
        assert torch.get_num_threads() == 3
        start(DeviceConfig(type="cpu"))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


# ---- where the train view is drawn -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "kind", "blur", "want"),
    [
        ("auto", "cpu", 0.0, False),
        ("auto", "cuda", 0.0, True),
        ("auto", "cuda", 0.5, False),  # a change that only the host can make
        ("auto", "mps", 0.0, False),
        ("host", "cuda", 0.0, False),
        ("device", "cpu", 0.0, True),
    ],
)
def test_where_images_are_augmented(asked: Any, kind: str, blur: float, want: bool) -> None:
    spec = replace(PLAIN, blur=blur)
    assert augments_on_device(DeviceConfig(augment=asked), spec, torch.device(kind)) is want


# ---- denormal numbers ------------------------------------------------------------------------------------------------

PRODUCT = """
import torch
from maskcls.schema import DeviceConfig
from maskcls.engine.device import start
start(DeviceConfig(type="cpu", threads=2))
tiny = torch.full((1 << 20,), 1e-30) * torch.full((1 << 20,), 1e-9)
print(torch.get_num_threads(), torch.count_nonzero(tiny).item())
"""


def test_no_thread_computes_with_denormal_numbers() -> None:
    """In a process of its own: threads that were made before the setting would go on without it."""
    done = subprocess.run([sys.executable, "-c", PRODUCT], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ["2", "0"]), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_beyond_two_gib_is_kept_too() -> None:
    """A step of a large network frees that much at once; given back, every page is cleared again in the next step."""
    code = """
import ctypes
from maskcls.engine.device import _keep_memory
_keep_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
blocks = [libc.malloc(100 << 20) for _ in range(22)]
for block in blocks:
    libc.memset(block, 1, 100 << 20)
for block in blocks:
    libc.free(block)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS:")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 2_200_000  # KiB
