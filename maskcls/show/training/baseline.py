"""What a training adds to heads on the frozen backbone, in words."""

from __future__ import annotations

from maskcls.runs.summary import HeadsBaseline
from maskcls.show.terminal.text import number, span


def baseline_line(baseline: HeadsBaseline) -> str:
    """Say what training the backbone adds to heads on it as it was, as `maskcls train` and the report page do."""
    said = f"heads on the frozen backbone: macro-F1 {number(baseline.macro_f1)}"
    if (gain := baseline.gain) is None:
        return said
    alone = f"training it adds {gain.value:+.4f} (95 % interval {span(gain.low, gain.high, sign=True)})"
    return f"{said}; {alone}"
