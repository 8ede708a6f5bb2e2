"""maskcls bench: what it prints can be read by any program, whatever the configuration leaves open."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tiny import recipe

from maskcls.cli import run_app
from maskcls.engine.compute import timing

ONE = {"precision": "fp32", "memory_format": "channels_last", "compile": False}


def strict(text: str) -> Any:
    """Read JSON as the standard has it, which knows no Infinity."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("words", [(), ("train.fold_jobs=1",)])
def test_the_only_way_is_timed(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    """The tiny recipe fixes number format, memory format and threads."""
    assert run_app(["bench", "step", *recipe(*words), "--json"]) == 0
    told = strict(capsys.readouterr().out)
    for side in ("train", "infer"):
        ((way, speed),) = (
            (row["execution"] | {"threads": row["threads"]}, row["images_per_second"]) for row in told[side]
        )
        assert way == ONE | {"threads": 1}
        assert 0 < speed < math.inf
    assert told["plan"]["train"] == told["plan"]["infer"] == ONE
    assert told["largest_batch"] >= 16


def test_ways_are_listed_with_their_threads(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prediction is timed on one thread, as each core computes batches of its own."""
    monkeypatch.setattr(timing.Trial, "run", lambda _: 0.5)
    words = ("device.memory_format=auto", "device.threads=3", "train.fold_jobs=1")
    assert run_app(["bench", "step", *recipe(*words)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = {tuple(words[:3]): words[3:] for words in lines if words[0] == "fp32"}
    for layout in ("channels_last", "contiguous"):
        assert rows["fp32", layout, "3"] == ["32", "-"]
        assert rows["fp32", layout, "1"] == ["-", "32"]
