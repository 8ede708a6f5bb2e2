"""The scores of a study's trials by the value of each setting."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from maskcls.results.search.study import SearchDimension, SearchStudy, SearchTrial, trial_scores
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.table import Table
from maskcls.show.terminal.text import number
from maskcls.show.tuning.value_axis import ValueAxis, broken_name, typical_low, value_axis, value_text

MOST_PARTS = 5  # rows of the table for numbers
BESIDE = (0.0, 0.25, -0.25, 0.12, -0.12, 0.37, -0.37)  # of a kind's width: moves dots of one kind apart


def slice_figures(study: SearchStudy) -> list[Figure]:
    """Draw one figure per setting that some done trial has, in the order of the space."""
    found = [(one, value_axis(one, study.done)) for one in study.dimensions]
    return [
        _figure(study, dimension, axis, f"slice{place}")
        for place, (dimension, axis) in enumerate(found)
        if axis is not None
    ]


def _figure(study: SearchStudy, dimension: SearchDimension, axis: ValueAxis, name: str) -> Figure:
    done = [one for one in study.done if axis.name in one.values]
    low, best = typical_low(trial_scores(done)), study.best

    def paint(axes: Any) -> None:
        near = [one for one in done if (one.score or 0.0) >= low]
        far = [one for one in done if (one.score or 0.0) < low]
        colour = palette.SERIES[0].light
        axes.scatter(_places(near, axis), [one.score for one in near], s=22, color=colour, alpha=0.75, linewidths=0)
        if far:
            foot = axes.get_xaxis_transform()
            axes.scatter(_places(far, axis), [0.03] * len(far), s=22, marker="v", color=colour, transform=foot)
        if best in done:
            at = _places([one for one in done if one is best], axis)
            ring = {"s": 90, "facecolors": "none", "edgecolors": palette.INK.light, "linewidths": 1.4}
            axes.scatter(at, [best.score], **ring)
        ticks = axis.ticks()
        axes.set_xticks([place for place, _ in ticks], [label for _, label in ticks])
        if axis.kinds and max(len(label) for _, label in ticks) * len(ticks) > 40:
            axes.tick_params(axis="x", rotation=30)
            for label in axes.get_xticklabels():
                label.set_horizontalalignment("right")
        axes.set_xlim(-0.06, 1.06)
        top = max(trial_scores(done))
        margin = 0.08 * (top - low or 0.1)
        axes.set_ylim(low - 2 * margin, top + margin)
        axes.set_xlabel(f"{broken_name(axis.name)}{' (logarithmic)' if axis.is_log else ''}")
        axes.set_ylabel("macro-F1")

    below = "" if low == min(trial_scores(done)) else f" Triangles: scores below {number(low, 3)}."
    description = f"One dot per done trial, at its value of {value_text(axis.name)}; the best has a ring.{below}"
    return Figure(name, value_text(axis.name), description, _table(done, axis), paint)


def _places(trials: Sequence[SearchTrial], axis: ValueAxis) -> list[float]:
    """Return places on the axis; trials of one kind are moved apart a little, by their number."""
    places = [axis.place(one.values[axis.name]) for one in trials]
    if not axis.kinds:
        return places
    return [x + BESIDE[one.number % len(BESIDE)] / len(axis.kinds) for x, one in zip(places, trials, strict=True)]


def _table(done: Sequence[SearchTrial], axis: ValueAxis) -> Table:
    """Return mean and best score by kind, or by parts of the numbers with as many trials each."""
    parts: list[tuple[str, Sequence[SearchTrial]]]
    if axis.kinds:
        parts = [(kind, [one for one in done if value_text(one.values[axis.name]) == kind]) for kind in axis.kinds]
    else:
        parts = _number_parts(sorted(done, key=lambda one: axis.place(one.values[axis.name])), axis.name)
    rows = []
    for label, trials in parts:
        scores = trial_scores(trials)
        mean = sum(scores) / len(scores) if scores else None
        rows.append([label, str(len(scores)), number(mean), number(max(scores, default=None))])
    return Table(["value", "trials", "mean macro-F1", "best macro-F1"], rows)


def _number_parts(ordered: Sequence[SearchTrial], name: str) -> list[tuple[str, Sequence[SearchTrial]]]:
    count = min(MOST_PARTS, len(ordered))
    edges = [round(part * len(ordered) / count) for part in range(count + 1)]
    pieces = [ordered[start:end] for start, end in itertools.pairwise(edges)]
    return [(_range_text(value_text(one[0].values[name]), value_text(one[-1].values[name])), one) for one in pieces]


def _range_text(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"
