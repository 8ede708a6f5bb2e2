"""result.json of a search for settings, read by those that list its trials; tuning/winner.py writes it."""

from __future__ import annotations

from dataclasses import dataclass

from maskcls import files, typedjson
from maskcls.results.search.score import SearchScore
from maskcls.rundir import RunDir, StudyDir
from maskcls.typedjson import JsonFile


class BestTrial(JsonFile):
    """The number of the trial with the best score."""

    trial: int


class SearchFile(JsonFile):
    """What is read of the file. trials: how many there are, by their state."""

    trials: dict[str, int]
    best: BestTrial
    score: SearchScore


@dataclass(frozen=True)
class FinishedSearch:
    """A search that has a result: its best trial and the score of that for new people, as tune printed it."""

    study: StudyDir
    best: RunDir
    trials: int
    score: SearchScore


def study_of(run: RunDir) -> StudyDir | None:
    """Return the search that a run is a trial of; None for any other run."""
    study = StudyDir(run.path.parent.parent)
    is_trial = study.trial(run.path.name).path == run.path
    return study if is_trial and study.facts.is_file() else None


def read_search(study: StudyDir) -> FinishedSearch | None:
    """Read the result of a search; None before it has one, ResultError for a damaged file."""
    if not study.result.is_file():
        return None
    data = files.without_digest(files.read_json(study.result), study.result, required=True)
    found = typedjson.parse(data, SearchFile, study.result)
    best = study.trial(f"{found.best.trial:04d}")
    return FinishedSearch(study, best, sum(found.trials.values()), found.score)
