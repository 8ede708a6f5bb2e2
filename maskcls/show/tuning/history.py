"""The scores of a study's trials in the order of their start, and the best so far."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from maskcls.results.search.score import SearchScore
from maskcls.results.search.study import SearchStudy, SearchTrial, trial_scores
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.table import Table
from maskcls.show.terminal.text import number
from maskcls.show.tuning.value_axis import typical_low

SIZE = (7.5, 3.4)  # inches
NEW = "score for new people"


def history_figure(study: SearchStudy, score: SearchScore | None) -> Figure | None:
    """Draw the score of each trial; None where no trial has one. score: of the best for new people, if known."""
    done, pruned = study.done, [one for one in study.trials if one.state == "pruned" and one.score is not None]
    if not done and not pruned:
        return None
    low = typical_low(trial_scores(done or pruned))
    best = list(accumulate(trial_scores(done), max))

    def paint(axes: Any) -> None:
        if score is not None:
            interval = score.interval
            axes.axhspan(interval.low, interval.high, color=palette.SERIES[2].light, alpha=0.15, linewidth=0)
            axes.axhline(score.macro_f1, color=palette.SERIES[2].light, linestyle="--", linewidth=1.2, label=NEW)
        _scatter(axes, done, low, "o", "done", filled=True)
        _scatter(axes, pruned, low, "^", "pruned", filled=False)
        if done:
            places = [one.number for one in done] + [max(one.number for one in study.trials)]
            line = {"color": palette.INK.light, "linewidth": 1.2, "label": "best so far"}
            axes.step(places, [*best, best[-1]], where="post", **line)
        failed = [one.number for one in study.trials if one.state == "failed"]
        if failed:
            foot = axes.get_xaxis_transform()
            axes.plot(failed, [0.03] * len(failed), "x", color=palette.BAD.light, transform=foot, label="failed")
        shown = trial_scores([*done, *pruned])
        margin = 0.06 * (max(shown) - low or 0.1)
        ends = (score.interval.low, score.interval.high) if score else (low, max(shown))
        axes.set_ylim(min(low, ends[0]) - 2 * margin, max(*shown, ends[1]) + margin)
        axes.set_xlabel("trial, in the order of the start")
        axes.set_ylabel("macro-F1")
        _whole_numbers(axes)
        axes.figure.legend(loc="outside lower center", ncols=5, columnspacing=1.2)

    return Figure(
        "history", "Trials in the order of their start", _description(study, low, score), _table(study), paint, SIZE
    )


def _scatter(axes: Any, trials: Any, low: float, marker: str, label: str, *, filled: bool) -> None:
    colour = palette.SERIES[0].light if filled else palette.SERIES[1].light
    near = [one for one in trials if one.score >= low]
    far = [one for one in trials if one.score < low]
    look = {"s": 22, "facecolors": colour if filled else "none", "edgecolors": colour, "linewidths": 1.0}
    axes.scatter([one.number for one in near], [one.score for one in near], marker=marker, label=label, **look)
    if far:  # at the lower edge: their scores would leave no room for the others
        foot = axes.get_xaxis_transform()
        axes.scatter([one.number for one in far], [0.03] * len(far), marker="v", transform=foot, **look)


def _whole_numbers(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _description(study: SearchStudy, low: float, score: SearchScore | None) -> str:
    parts = ["Dots: trials with all folds scored. The line is the best so far."]
    if any(one.state == "pruned" and one.score is not None for one in study.trials):
        parts.append("Triangles: pruned trials, with the score they had when they were stopped, of the folds so far.")
    if any(one.state == "failed" for one in study.trials):
        parts.append("Crosses at the lower edge: failed trials.")
    if any(score < low for score in trial_scores(one for one in study.trials if one.state in ("done", "pruned"))):
        parts.append(f"Triangles that point down, at the lower edge: scores below {number(low, 3)}.")
    if score is not None:
        parts.append(
            f"Dashed, with its interval as a band: the best trial's score for new people, {number(score.macro_f1)}."
        )
    return " ".join(parts)


def _table(study: SearchStudy) -> Table:
    best, rows = None, []
    for one in study.trials:
        if one.state == "done" and one.score is not None:
            best = one.score if best is None else max(best, one.score)
        rows.append([str(one.number), one.state, number(one.score), number(best), interval_text(one)])
    return Table(["trial", "state", "macro-F1", "best so far", "95 % interval"], rows)


def interval_text(trial: SearchTrial) -> str:
    """Write the interval of a trial's score; a dash without."""
    return "-" if trial.interval is None else f"{number(trial.interval.low)} .. {number(trial.interval.high)}"
