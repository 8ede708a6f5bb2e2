"""What a training adds to heads on the frozen backbone, in words."""

from __future__ import annotations

from maskcls.runs.repeats.repeat_baseline import RepeatedBaseline
from maskcls.runs.summary import HeadsBaseline
from maskcls.show.terminal.text import number, span


def baseline_line(baseline: HeadsBaseline) -> str:
    """Say what training the backbone adds to heads on it as it was, as `maskcls train` and the report page do."""
    said = _heads(baseline.macro_f1)
    if (gain := baseline.gain) is None:
        return said
    alone = f"training it adds {gain.value:+.4f} (95 % interval {span(gain.low, gain.high, sign=True)})"
    return f"{said}; {alone}"


def repeated_baseline_line(baseline: RepeatedBaseline) -> str:
    """Say the same of the repeats of a cross-validation: means, and how much the repeats differ."""
    said = f"{_heads(baseline.macro_f1)} (mean of {len(baseline.each)} repeats)"
    if baseline.gain is None:
        return said
    spread = "" if baseline.gain_sd is None else f", sd {number(baseline.gain_sd)}"
    each = "  ".join(f"{name} {number(value, sign=True)}" for name, value in baseline.each.items())
    return f"{said}; training it adds {number(baseline.gain, sign=True)} (mean{spread}: {each})"


def _heads(macro_f1: float | None) -> str:
    return f"heads on the frozen backbone: macro-F1 {number(macro_f1)}"
