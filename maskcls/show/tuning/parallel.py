"""All done trials of a study at once: one line per trial across one axis per setting, coloured by score."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from maskcls.results.search.study import SearchStudy, SearchTrial, trial_scores
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.table import Table
from maskcls.show.terminal.text import number
from maskcls.show.tuning.value_axis import (
    LONGEST,
    UNSET,
    ValueAxis,
    broken_name,
    text_of,
    typical_low,
    value_axis,
    value_text,
    without_middle,
)

AXIS_WIDTH, LEAST_WIDTH = 1.35, 6.5  # inches
THICK = 10  # lines of the best trials
MANY, LEAST_ALPHA = 60, 0.3  # more lines than these are fainter
BELOW = -0.14  # place of a setting that a trial does not have
SCORE = "macro-F1"


def parallel_figure(study: SearchStudy) -> Figure | None:
    """Draw the lines, the best trials above the others; None with fewer than two done trials or without settings."""
    done = study.done
    axes_of = [axis for one in study.dimensions if (axis := value_axis(one, done)) is not None]
    if len(done) < 2 or not axes_of:
        return None
    parts, faint = score_parts(study.ranked), max(LEAST_ALPHA, min(1.0, MANY / len(done)))
    unset = {axis.name for axis in axes_of if any(axis.name not in one.values for one in done)}

    def paint(axes: Any) -> None:
        low, top = typical_low(trial_scores(done)), max(trial_scores(done))
        colours = [palette.SCALE[-1 - part].light for part, trials in enumerate(parts) for _ in trials]
        for rank, (one, colour) in reversed(list(enumerate(zip(study.ranked, colours, strict=True)))):
            places = [_place(one, axis) for axis in axes_of]
            places.append(max(0.0, ((one.score or 0.0) - low) / ((top - low) or 1.0)))
            look = {"linewidth": 1.9} if rank < THICK else {"linewidth": 1.0, "alpha": faint}
            axes.plot(places, color=colour, **look)
        for place, axis in enumerate(axes_of):
            _draw_axis(axes, place, axis.ticks() + ([(BELOW, UNSET)] if axis.name in unset else []))
        _draw_axis(axes, len(axes_of), [(0.0, f"{low:.3f}"), (1.0, f"{top:.3f}")])
        axes.set_xticks(range(len(axes_of) + 1), [*(broken_name(one.name) for one in axes_of), SCORE])
        axes.tick_params(axis="x", length=0)
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.set_xlim(-0.15, len(axes_of) + 0.55)
        axes.set_ylim((BELOW if unset else 0.0) - 0.06, 1.06)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        _legend(axes, parts)

    width = max(LEAST_WIDTH, AXIS_WIDTH * (len(axes_of) + 1))
    names = ", ".join(value_text(one.name) for one in axes_of)
    return Figure(
        "parallel",
        "All done trials, setting by setting",
        f"One line per done trial across the settings {names}, and its macro-F1 at the right. The colour is the rank "
        "of the score; the best ten are thick. Where thick lines meet, the setting matters.",
        _table(study, axes_of),
        paint,
        (width, 4.2),
        wide=width > LEAST_WIDTH,
    )


def score_parts(ranked: Sequence[SearchTrial]) -> list[Sequence[SearchTrial]]:
    """Return the trials, the best first, in up to five parts of as many each; the best part is the first.

    >>> trials = [SearchTrial(n, "done", {}, 1 - n / 10) for n in range(7)]
    >>> [[one.number for one in part] for part in score_parts(trials)]
    [[0], [1, 2], [3], [4, 5], [6]]
    """
    count = min(len(palette.SCALE), len(ranked))
    edges = [math.floor(part * len(ranked) / count + 0.5) for part in range(count + 1)]
    return [ranked[start:end] for start, end in itertools.pairwise(edges)]


def _place(trial: SearchTrial, axis: ValueAxis) -> float:
    return axis.place(trial.values[axis.name]) if axis.name in trial.values else BELOW


def _draw_axis(axes: Any, place: int, ticks: Sequence[tuple[float, str]]) -> None:
    axes.plot([place, place], [0, 1], color=palette.MUTED.light, linewidth=1.2)
    for height, label in ticks:
        axes.plot([place - 0.02, place + 0.02], [height, height], color=palette.MUTED.light, linewidth=1.2)
        box = {"facecolor": palette.SURFACE.light, "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
        shown = without_middle(label, LONGEST - 6)
        axes.text(place + 0.05, height, shown, va="center", fontsize=9, color=palette.INK.light, bbox=box)


def _legend(axes: Any, parts: Sequence[Sequence[SearchTrial]]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=palette.SCALE[-1 - part].light, linewidth=2.4, label=_range(trials))
        for part, trials in enumerate(parts)
    ]
    axes.figure.legend(handles=handles, loc="outside lower center", ncols=5, columnspacing=1.2, handlelength=1.4)


def _range(trials: Sequence[SearchTrial]) -> str:
    high, low = (number(trials[place].score, 3) for place in (0, -1))
    return high if low == high else f"{low} to {high}"


def _table(study: SearchStudy, axes_of: Sequence[ValueAxis]) -> Table:
    rows = [
        [str(one.number), number(one.score), *(text_of(one, axis.name) for axis in axes_of)] for one in study.ranked
    ]
    return Table(["trial", SCORE, *(value_text(axis.name) for axis in axes_of)], rows)
