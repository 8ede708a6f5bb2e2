"""Describe in one line how a network is computed."""

from __future__ import annotations

import math

from torch import nn

from maskcls.engine.compute.candidates import Workload
from maskcls.engine.compute.choose import Choice
from maskcls.engine.compute.plan import Execution

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def explain_choice(workload: Workload, choice: Choice) -> str:
    """Return what was chosen, and its speed if it was timed.

    Example: chosen: fp32, 1 thread, 54 images/s (details: maskcls bench step).
    """
    plan, speed = choice.plan, choice.train.speed(choice.train.best)
    why = f" ({choice.threads})" if choice.threads else ""
    parts = [execution_name(plan.train), f"{plan.threads} thread{'s' if plan.threads > 1 else ''}{why}"]
    if plan.fold_jobs > 1:
        parts.append(f"{plan.fold_jobs} folds at the same time")
    if plan.accumulate > 1:
        parts.append(f"steps in {plan.accumulate} pieces to fit into memory{_separate_statistics(workload)}")
    if math.isfinite(speed):
        parts.append(f"{speed:.0f} images/s")
    if _different(plan.train, plan.infer):
        parts.append(f"prediction in {execution_name(plan.infer)}")
    text = f"chosen: {', '.join(parts)}"
    if choice.train.busy or choice.infer.busy:
        text += "; other programs used the processor, so the next start measures again"
    timed = math.isfinite(speed) or math.isfinite(choice.infer.speed(choice.infer.best))
    return f"{text} (details: maskcls bench step)" if timed else text


def execution_name(execution: Execution) -> str:
    """Return the name of an execution; the default memory format is left out."""
    parts = [execution.precision]
    if execution.memory_format != Execution().memory_format:
        parts.append(execution.memory_format)
    return " ".join([*parts, "compiled"] if execution.compile else parts)


def _different(train: Execution, infer: Execution) -> bool:
    return (train.precision, train.memory_format) != (infer.precision, infer.memory_format)


def _separate_statistics(workload: Workload) -> str:
    """Return a note that BatchNorm normalises each piece separately; empty for a network without BatchNorm."""
    has_norms = any(isinstance(module, BATCH_NORMS) for module in workload.network.modules())
    return ", each with its own batch statistics" if has_norms else ""
