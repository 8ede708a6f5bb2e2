"""The page about a search for settings: what was tried, and what the best settings score for new people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maskcls.durations import duration
from maskcls.errors import visible
from maskcls.results.search.score import SearchScore
from maskcls.results.search.study import SearchStudy, SearchTrial, TrialState
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.page import render_page
from maskcls.show.pages.table import Table
from maskcls.show.terminal.text import number, plural
from maskcls.show.tuning.history import history_figure, interval_text
from maskcls.show.tuning.importance import importance_figure
from maskcls.show.tuning.parallel import parallel_figure
from maskcls.show.tuning.score_lines import score_lines
from maskcls.show.tuning.slices import slice_figures
from maskcls.show.tuning.value_axis import text_of, value_text

MOST_BEST = 10  # rows of the table of the best trials
MOST_NAMED = 8  # numbers of trials that ended for one reason


def study_page(study: SearchStudy, *, score: SearchScore | None, importance: Mapping[str, float]) -> str:
    """Return the HTML of the page.

    score       of the best trial; None while no trial is done.
    importance  {dotted setting: share of the differences in score}; empty where it is not known.
    """
    slices = slice_figures(study)
    sections: list[tuple[str, str, Sequence[Figure | None]]] = [
        ("history", "Scores by trial", [history_figure(study, score)]),
        ("settings", "Importance of the settings", [importance_figure(importance)]),
        ("parallel", "All settings together", [parallel_figure(study)]),
        ("slices", "Setting by setting", slices),
    ]
    figures = [
        {"id": f"section-{name}", "title": title, "figures": found}
        for name, title, every in sections
        if (found := [one for one in every if one is not None])
    ]
    contents = [{"id": "best", "title": "Best trials"}, *figures] if study.done else figures
    if study.count("failed") or study.count("pruned"):
        contents = [*contents, {"id": "ended", "title": "Pruned and failed trials"}]
    return render_page(
        "tuning",
        title=f"Search {visible(study.name)}",
        counts=counts_line(study),
        score=score_lines(score) if score else [],
        values=_best_values(study),
        best=_best_table(study),
        shared=_shared_values(study),
        sections=figures,
        listed=contents,
        ended=_ended_table(study),
    )


def counts_line(study: SearchStudy) -> str:
    """Write how many trials there are, in which states, and how long they took.

    >>> trials = (SearchTrial(0, "done", {}, 0.5, seconds=60.0), SearchTrial(1, "pruned", {}, seconds=5.0))
    >>> counts_line(SearchStudy("a", "tpe", (), trials))
    '2 trials by tpe: 1 done, 1 pruned; 65 s of training'
    """
    states: tuple[TrialState, ...] = ("done", "pruned", "failed", "running")
    counts = ", ".join(f"{study.count(state):,} {state}" for state in states if study.count(state))
    seconds = duration(sum(one.seconds for one in study.trials))
    trials = plural(len(study.trials), "trial")
    return f"{trials} by {visible(study.sampler)}: {counts}; {seconds} of training" if study.trials else trials


def _best_values(study: SearchStudy) -> Table | None:
    """Return the settings of the best trial, beside those of the first one."""
    best = study.best
    if best is None:
        return None
    first, names = study.trials[0], [one.name for one in study.dimensions if one.name in best.values]
    if first is best:
        return Table(["setting", "best"], [[value_text(name), text_of(best, name)] for name in names])
    rows = [[value_text(name), text_of(best, name), text_of(first, name)] for name in names]
    return Table(["setting", f"trial {best.number} (best)", f"trial {first.number} (base)"], rows)


def _best_table(study: SearchStudy) -> Table | None:
    """Return the best trials with the settings in which they differ."""
    shown = study.ranked[:MOST_BEST]
    if not shown:
        return None
    names = _names(shown, study, differing=True)
    head = ["trial", "macro-F1", "95 % interval", "folds", "epochs", "time", *map(value_text, names)]
    return Table(head, [[*_facts(one), *(text_of(one, name, "-") for name in names)] for one in shown])


def _facts(trial: SearchTrial) -> list[str]:
    folds = sorted(trial.fold_scores.values())
    ends = f"{folds[0]:.3f} .. {folds[-1]:.3f}" if folds else "-"
    facts = [str(trial.number), number(trial.score), interval_text(trial), ends, f"{trial.epochs:,}"]
    return [*facts, duration(trial.seconds)]


def _shared_values(study: SearchStudy) -> list[str]:
    """Return the settings that all of the best trials share; none for a single trial."""
    shown = study.ranked[:MOST_BEST]
    if len(shown) < 2:
        return []
    return [f"{value_text(name)}={text_of(shown[0], name)}" for name in _names(shown, study, differing=False)]


def _names(shown: Sequence[SearchTrial], study: SearchStudy, *, differing: bool) -> list[str]:
    every = [one.name for one in study.dimensions if any(one.name in trial.values for trial in shown)]
    return [name for name in every if (len({text_of(trial, name) for trial in shown}) > 1) is differing]


def _ended_table(study: SearchStudy) -> Table | None:
    """Return why trials were pruned or failed, the most frequent reason first; None without any."""
    numbers: dict[tuple[str, str], list[int]] = {}
    for one in study.trials:
        if one.state in ("pruned", "failed"):
            numbers.setdefault((one.state, visible(one.why) or "not said"), []).append(one.number)
    ordered = sorted(numbers.items(), key=lambda one: (one[0][0], -len(one[1])))
    rows = [[state, f"{len(found):,}", why, _named(found)] for (state, why), found in ordered]
    return Table(["state", "trials", "why", "numbers"], rows) if rows else None


def _named(numbers: Sequence[int]) -> str:
    """Write the first numbers, and how many more there are.

    >>> _named(range(11))
    '0, 1, 2, 3, 4, 5, 6, 7 and 3 more'
    """
    shown = ", ".join(map(str, numbers[:MOST_NAMED]))
    return f"{shown} and {len(numbers) - MOST_NAMED:,} more" if len(numbers) > MOST_NAMED else shown
