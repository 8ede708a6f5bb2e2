"""What every test of the choice needs: a machine of known cores and memory, and an empty cache folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskcls.engine.compute import candidates, memory, remembered, side_by_side


@pytest.fixture
def fixed_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores with bf16 instructions and ample memory, whatever this machine has."""
    for module in (candidates, side_by_side, remembered):
        monkeypatch.setattr(module, "cores", lambda: 8)
    for module in (memory, side_by_side):
        monkeypatch.setattr(module, "available_bytes", lambda: 1 << 40)
    monkeypatch.setattr(candidates, "processor_has_bf16", lambda: True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixed_cores: None) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
