"""Processes on one machine share its GPUs in turn; no GPU is needed to test it."""

from __future__ import annotations

import os

import pytest

from maskcls.machine.gpus import DEVICES, own_device, set_devices


@pytest.mark.parametrize(
    ("visible", "found", "expected"),
    [
        (None, 3, ["0", "1", "2", "0", "1"]),
        ("2,0", 2, ["2", "0", "2", "0", "2"]),
        ("GPU-8a,MIG-1f", 2, ["GPU-8a", "MIG-1f", "GPU-8a", "MIG-1f", "GPU-8a"]),
        ("5", 1, ["5"] * 5),
        ("1, 3", 2, ["1", "3", "1", "3", "1"]),
        ("2,-1,3", 1, ["2"] * 5),  # CUDA sees what is before -1
        ("", 0, [""] * 5),  # hidden on purpose
        (None, 0, [None] * 5),
    ],
)
def test_processes_get_the_allowed_gpus_in_turn(visible: str | None, found: int, expected: list[str | None]) -> None:
    assert [own_device(number, visible, found) for number in range(5)] == expected


def test_the_variable_is_set_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEVICES, "1")
    set_devices("3")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    set_devices(None)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
