"""The result of a search: the best trial, its score for new people, and a configuration file to train from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from maskcls import config, files
from maskcls.config.faults import shown
from maskcls.errors import shell_word, visible
from maskcls.results.rows_by_id import rows_of
from maskcls.results.search.score import SearchScore, corrected_score
from maskcls.results.search.study import SearchStudy, SearchTrial
from maskcls.rundir import RunDir
from maskcls.runs.choices.register import Attempt, add_attempts
from maskcls.runs.choices.tried import rows_of_run, run_digest
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.runs.records.unsealed import SealedScore
from maskcls.show.tuning.score_lines import score_lines
from maskcls.tuning.claims import VALUES, OpenStudy
from maskcls.tuning.space.trial_config import all_settings, with_values


@dataclass(frozen=True)
class SearchResult:
    """The end of a search.

    study    all trials.
    score    of the best trial, for new people; None without a trial that is done.
    kept     the runs of the best trials that are whole, the best first.
    left     trials that are not at an end: the same command goes on with them.
    """

    study: SearchStudy
    score: SearchScore | None
    kept: tuple[str, ...]
    left: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        best = self.study.best
        return {
            "sampler": self.study.sampler,
            "trials": {state: self.study.count(state) for state in ("done", "pruned", "failed", "running")},
            "best": None if best is None else {"trial": best.number, "values": dict(best.values)},
            "score": None if self.score is None else self.score.to_json(),
            "kept": list(self.kept),
        }


def run_of(opened: OpenStudy, trial: SearchTrial) -> RunDir:
    """Return the run of a trial."""
    return opened.folder.trial(f"{trial.number:04d}")


def honest_score(opened: OpenStudy, study: SearchStudy, sealed: SealedScore | None) -> SearchScore | None:
    """Return the score of the best trial for new people: of the sealed people, or corrected for the choice.

    Raises ResultError where the out-of-fold rows of a trial were changed or removed.
    """
    if not study.done:
        return None
    found = [read_out_of_fold(run_of(opened, one)) for one in study.ranked]
    first = found[0]
    assert first.people_N is not None
    labels = [one.pred_N[rows_of(one.ids, first.ids)] for one in found]
    tried = study.count("done") + study.count("pruned")
    true_N = first.space.encode(first.truth)
    corrected = corrected_score(labels, np.asarray(true_N), first.people_N, first.space.size, tried=tried)
    if sealed is None or sealed.scores.macro_f1 is None or sealed.interval is None:
        return corrected
    value, interval = sealed.scores.macro_f1, sealed.interval
    return replace(corrected, how="sealed", macro_f1=value, interval=interval, people=sealed.people)


def register_trials(opened: OpenStudy, study: SearchStudy) -> None:
    """Register every done trial among the runs beside the study too: each was a choice on these rows."""
    beside = RunDir(opened.folder.path)
    name, new = opened.folder.path.resolve().name, []
    for one in study.done:
        run = run_of(opened, one)
        if run.oof.is_file():
            what = f"{name}/{run.path.parent.name}/{run.path.name}"
            new.append(Attempt(rows=rows_of_run(run), kind="run", what=run_digest(run), name=what))
    add_attempts(beside, new)


def write_winner(opened: OpenStudy, result: SearchResult) -> None:
    """Write best.yaml and result.json; nothing without a trial that is done."""
    best = result.study.best
    if best is None or result.score is None:
        return
    values = next(one.user_attrs[VALUES] for one in opened.trials if one.number == best.number)
    cfg = with_values(opened.base, values, where=f"trial {best.number}")
    text = "\n".join([*_header(opened, result, best, values), config.to_yaml(cfg)])
    with opened.locked():
        files.commit(opened.folder.winner, text.encode())
        files.commit_json(opened.folder.result, files.with_digest(result.to_json()))


def _header(opened: OpenStudy, result: SearchResult, best: SearchTrial, values: Mapping[str, Any]) -> list[str]:
    assert result.score is not None
    study, score, known = result.study, result.score, all_settings(opened.base)
    changed = [
        f"{key}={shown(value)} (base: {shown(known.get(key))})"
        for key, value in values.items()
        if known.get(key) != value
    ]
    config_file = shell_word(opened.folder.winner)
    lines = [
        f"Trial {best.number}, the best of {len(study.trials)} of a search by {study.sampler}.",
        "",
        f"command   maskcls train {shell_word(opened.facts.data)} --config {config_file} --run runs/best",
        *(f"{'expected' if number == 0 else '        '}  {line}" for number, line in enumerate(score_lines(score))),
        *(f"{'changed ' if number == 0 else '        '}  {line}" for number, line in enumerate(changed)),
    ]
    return [f"# {visible(line)}".rstrip() for line in lines]
