"""The machine: nothing falls back unasked, and loader processes follow the cores."""

from __future__ import annotations

import pytest
import torch

from maskcls.config import DeviceConfig
from maskcls.engine import device
from maskcls.engine.device import start, worker_count
from maskcls.errors import ConfigError, ResourceError


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_not_replaced(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ResourceError, match=kind.upper()) as caught:
        start(DeviceConfig(type=kind))
    assert caught.value.where == f"device.type={kind}"


def test_fp16_on_a_cpu_is_refused() -> None:
    with pytest.raises(ConfigError, match="fp16"):
        start(DeviceConfig(type="cpu", precision="fp16"))


def test_workers_as_asked() -> None:
    assert [worker_count(DeviceConfig(workers=n), on_cpu=cpu) for n in (0, 7) for cpu in (True, False)] == [0, 0, 7, 7]


@pytest.mark.parametrize(
    ("cores", "processes", "on_cpu", "want"),
    [
        (1, 1, True, 1),
        (2, 1, True, 2),
        (32, 1, True, 4),
        (32, 16, True, 2),
        (1, 1, False, 1),
        (8, 1, False, 7),
        (64, 1, False, 16),
        (64, 8, False, 7),
        (4, 8, False, 1),
    ],
)
def test_workers_from_the_cores(
    cores: int, processes: int, on_cpu: bool, want: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_cores", lambda: cores)
    assert worker_count(DeviceConfig(), on_cpu=on_cpu, processes=processes) == want
