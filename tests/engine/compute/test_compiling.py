"""When a network is compiled."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compute_fakes import CPU, CUDA, HALF_PLAIN, LAST, work
from tiny import tiny

from maskcls.engine.compute import compiling, timing
from maskcls.engine.compute.candidates import Candidate, Workload
from maskcls.engine.compute.plan import Execution


@pytest.mark.parametrize(("asked", "want"), [("on", True), ("off", False), ("auto", False)])
def test_compiling_is_as_asked_and_on_a_cpu_never_unasked(asked: str, want: bool) -> None:
    found = compiling.compiled(work(images=10**9), tiny(f"device.compile={asked}"), CPU, HALF_PLAIN, 1.0)
    assert found == Execution("bf16", "contiguous", compile=want)


@pytest.mark.parametrize(
    ("images", "seconds", "want"),
    [
        (60_000, [50.0, 0.2, 0.2, 0.2], True),  # 60,000 at 160/s and 50 s to compile: 425 s against 600 s
        (60_000, [170.0, 0.2, 0.2, 0.2], True),  # 545 s: faster by 1.1009
        (60_000, [171.0, 0.2, 0.2, 0.2], False),  # by 1.0989
        (60_000, [50.0, 0.2, 0.27, 0.2], False),  # one round of 556 s
        (60_000, [300.0, 0.2, 0.2, 0.2], False),
        (59_999, [0.0, 0.01, 0.01, 0.01], False),  # over before ten minutes: not even tried
    ],
)
def test_a_long_training_on_a_gpu_is_compiled_where_that_clearly_pays(
    monkeypatch: pytest.MonkeyPatch, images: int, seconds: list[float], want: bool
) -> None:
    now, passes = [0.0], iter(seconds)

    class Trial:
        def __init__(self, work: Workload, candidate: Candidate, *args: object, **kwargs: object) -> None:
            assert candidate.execution.compile

        def run(self) -> float:
            now[0] += (taken := next(passes))
            return taken

    monkeypatch.setattr(timing, "Trial", Trial)
    monkeypatch.setattr(compiling.time, "monotonic", lambda: now[0])
    found = compiling.compiled(work(images=images), tiny(), CUDA, LAST, 100.0)
    assert found == replace(LAST, compile=want)
