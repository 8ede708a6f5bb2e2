"""A training whose memory is full ends as an error of the machine, and says what to set and how to continue."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import train

from maskcls.cli import run_app
from maskcls.engine import fit, infer
from maskcls.engine.compute.memory import smaller_step
from maskcls.errors import Exit
from maskcls.machine import memory_for

FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: 8 bytes"),
]


def fail_at(step: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one training step, counted from 1, raise an error."""
    real, steps = fit.train_step, itertools.count(1)

    def train_step(*arguments: Any, **options: Any) -> Any:
        if next(steps) == step:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(fit, "train_step", train_step)


@pytest.mark.parametrize("error", FULL, ids=["gpu", "cpu"])
def test_full_memory_in_a_step_says_what_to_set_and_how_to_continue(
    tmp_path: Path,
    drawn: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    run = tmp_path / "run"
    fail_at(2, error, monkeypatch)
    assert train(drawn, run, "model.backbone=test_convnext", "train.epochs=1") == Exit.RESOURCE
    message = capsys.readouterr().err
    assert "is full" in message
    said = " ".join(message.split())
    # 16 images per step: RECIPE has train.batch_size=16, and all of them fit at once.
    assert "16 images at a time (train.batch_size=16, train.accumulate=1, 1 processes, device.threads=1)" in said
    assert "train a new run with train.accumulate=2: 8 images at a time, and 16 per step as before" in said
    assert f"maskcls resume {run}" in " ".join(message.split())
    assert "bug" not in message


@pytest.mark.slow
def test_after_full_memory_a_resume_ends_with_the_same_weights(
    tmp_path: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the recipe is changed in silence, so the run continues as if it had not been interrupted."""
    words = ("model.backbone=test_convnext", "train.epochs=2")
    assert train(drawn, tmp_path / "a", *words) == 0
    with monkeypatch.context() as patch:
        fail_at(4, FULL[0], patch)
        assert train(drawn, tmp_path / "b", *words) == Exit.RESOURCE
    assert run_app(["resume", str(tmp_path / "b")]) == 0
    found = [sorted((tmp_path / name).rglob("weights.safetensors")) for name in "ab"]
    assert len(found[0]) == len(found[1]) > 2
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(*found, strict=True))


@pytest.mark.parametrize(("error", "of"), [(FULL[0], "the GPU"), (FULL[1], "this machine")], ids=["gpu", "cpu"])
def test_full_memory_in_a_validation_names_a_smaller_batch(
    tmp_path: Path,
    drawn: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    of: str,
) -> None:
    def forward(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(infer, "_forward", forward)
    words = ("model.backbone=test_convnext", "train.epochs=1", "predict.batch_size=8", "predict.views=hflip")
    assert train(drawn, tmp_path / "run", *words) == Exit.RESOURCE
    said = " ".join(capsys.readouterr().err.split())
    assert f"the memory of {of} is full" in said
    assert "8 images per forward pass, 1 at the same time" in said
    assert "set predict.batch_size=4" in said
    assert f"maskcls resume {tmp_path / 'run'}" in said


def test_a_smaller_step_is_smaller_and_keeps_the_images_per_step() -> None:
    assert smaller_step(64, 2, 4, 1, whole=False)[1].startswith("train a new run with train.accumulate=8: 4 images")
    assert smaller_step(64, 1, 1, 1, whole=True)[1].startswith(
        "train a new run with train.batch_size=32, which changes"
    )
    assert "transforms.size" in smaller_step(4, 1, 2, 1, whole=False)[1]  # a piece has two images at least


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(ValueError, match=r"^other$"), memory_for(lambda: pytest.fail("nothing is full")):
        raise ValueError("other")
