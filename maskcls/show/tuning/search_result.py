"""What `maskcls tune` prints at its end, and with --dry-run before its start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskcls.durations import duration
from maskcls.errors import shell_word, visible
from maskcls.results.search.score import SearchScore
from maskcls.results.search.study import SearchStudy, SearchTrial, SettingValue
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import number, plain_table, plural, say, show
from maskcls.show.tuning.score_lines import score_lines
from maskcls.show.tuning.trial_lines import trial_name, values_line
from maskcls.show.tuning.value_axis import value_text

MOST_SHOWN = 5  # of the best trials


def print_search(
    study: SearchStudy,
    score: SearchScore | None,
    kept: tuple[str, ...],
    *,
    folder: Path,
    winner: Path,
    page: Path | None,
    data: str,
) -> None:
    """Print the best trials, the score that holds for new people, and what comes next."""
    counts = ", ".join(f"{study.count(state)} {state}" for state in ("done", "pruned", "failed") if study.count(state))
    say(f"{plural(len(study.trials), 'trial')} by {study.sampler}: {counts or 'none is done'}")
    if left := study.count("running"):
        say(f"{plural(left, 'trial')} not at an end: the same command goes on with {'it' if left == 1 else 'them'}")
    best = study.best
    if best is None or score is None:
        return
    say()
    show(_table(study))
    say()
    say(f"best: {trial_name(best)}  {values_line(_differing(study, best))}")
    for line in score_lines(score):
        say(f"  {line}")
    say(f"train with it: maskcls train {shell_word(data)} --config {shell_word(winner)} --run runs/best")
    if len(kept) > 1:
        runs = " ".join(shell_word(one) for one in kept)
        say(f"combine the best: maskcls ensemble {runs} --data {shell_word(data)} -o submission.csv")
    say(f"all trials: {folder / 'trials.csv'}" + ("" if page is None else f"; page: {page}"))


def _differing(study: SearchStudy, best: SearchTrial) -> dict[str, SettingValue]:
    """Return the settings in which the best trial differs from the first, which has those of the base configuration."""
    base = study.trials[0].values if study.trials else {}
    found = {key: value for key, value in best.values.items() if base.get(key, ...) != value}
    return found or dict(best.values)


def _table(study: SearchStudy) -> Any:
    table = plain_table("trial", "macro-F1", "time")
    table.add_column("settings", overflow="fold")
    for one in study.ranked[:MOST_SHOWN]:
        table.add_row(
            trial_name(one).removeprefix("trial "),
            number(one.score),
            duration(one.seconds),
            values_line(dict(one.values)),
        )
    return table


def print_plan(about: Mapping[str, Any], *, json: bool) -> None:
    """Print what a search would try, without training.

    about  space (setting -> its values as plain data), sampler, trials, grid_points, seconds of a trial and of all.
    """
    if json:
        print_json(about)
        return
    table = plain_table("setting")
    table.add_column("values", overflow="fold")
    for key, values in about["space"].items():
        table.add_row(key, visible(_in_words(values)))
    show(table)
    say()
    say(f"sampler {about['sampler']}; a grid of these values has {about['grid_points']:,} points")
    say(f"one trial takes about {duration(about['trial_s'])}, with the base configuration")
    if about["seconds"] is not None:
        of = plural(about["trials"], "trial")
        by = plural(about["workers"], "worker")
        say(f"{of} by {by} take about {duration(about['seconds'])}, less what is pruned")
    if about["budget_s"] is not None:
        say(f"the search ends after {duration(about['budget_s'])}")


def _in_words(values: Any) -> str:
    if isinstance(values, list):
        return ", ".join(value_text(one) if not isinstance(one, list) else str(one) for one in values)
    if "cases" in values:
        cases = values["cases"].items()
        return "; ".join(f"{name}" + (f" with {_nested(own)}" if own else "") for name, own in cases)
    kind = " whole numbers" if values.get("int") else ""
    step = f" in steps of {value_text(values['step'])}" if "step" in values else ""
    log = ", logarithmic" if values.get("log") else ""
    return f"{value_text(values['low'])} to {value_text(values['high'])}{kind}{step}{log}"


def _nested(own: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {_in_words(values)}" for key, values in own.items())
