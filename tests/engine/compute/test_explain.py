"""The sentence on what was chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compute_fakes import HALF_LAST, LAST, PLAIN, work
from torch import nn

from maskcls.engine.compute.candidates import Candidate
from maskcls.engine.compute.choose import Choice
from maskcls.engine.compute.explain import explain_choice
from maskcls.engine.compute.measure import Measurement, untimed
from maskcls.engine.compute.plan import Execution, Plan


def choice(plan: Plan, *, speed: float | None = None, busy: bool = False) -> Choice:
    best, infer = Candidate(plan.train, plan.threads), untimed(Candidate(plan.infer, 1), 32)
    rounds = (32 / speed,) * 3 if speed else ()
    return Choice(plan, Measurement(({best: rounds},), 32, busy=busy), infer)


@pytest.mark.parametrize(
    ("plan", "speed", "busy", "want"),
    [
        (Plan(LAST, LAST), 54.2, False, "chosen: fp32, 1 thread, 54 images/s (details: maskcls bench step)"),
        (Plan(LAST, LAST, threads=8), None, False, "chosen: fp32, 8 threads"),
        (
            Plan(Execution("bf16", "contiguous", compile=True), HALF_LAST, threads=2, fold_jobs=3),
            100.0,
            False,
            "chosen: bf16 contiguous compiled, 2 threads, 3 folds at the same time, 100 images/s, prediction in bf16 "
            "(details: maskcls bench step)",
        ),
        (
            Plan(PLAIN, PLAIN),
            54.2,
            True,
            "chosen: fp32 contiguous, 1 thread, 54 images/s; other programs used the processor, so the next start "
            "measures again (details: maskcls bench step)",
        ),
        (
            Plan(LAST, LAST, accumulate=4),
            None,
            False,
            "chosen: fp32, 1 thread, steps in 4 pieces to fit into memory, each with its own batch statistics",
        ),
    ],
)
def test_one_sentence(plan: Plan, speed: float | None, busy: bool, want: str) -> None:
    assert explain_choice(work(), choice(plan, speed=speed, busy=busy)) == want


def test_thread_counts_that_were_not_compared_are_named() -> None:
    found = replace(choice(Plan(LAST, LAST, threads=8)), threads="all cores; not compared: the training is short")
    assert explain_choice(work(), found) == "chosen: fp32, 8 threads (all cores; not compared: the training is short)"


def test_without_batch_norm_pieces_change_nothing() -> None:
    text = explain_choice(work(network=nn.Linear(1, 1)), choice(Plan(LAST, LAST, accumulate=4)))
    assert text == "chosen: fp32, 1 thread, steps in 4 pieces to fit into memory"
