"""study.json and base.yaml: what a search is about. A command that differs from it is refused."""

from __future__ import annotations

from typing import Any, Literal

from maskcls import config, files, typedjson
from maskcls.config.faults import shown
from maskcls.config.keys import flatten
from maskcls.errors import BusyError
from maskcls.rundir import StudyDir
from maskcls.schema import Config
from maskcls.tuning.space.space import Space
from maskcls.tuning.space.space_file import parse_space
from maskcls.typedjson import JsonFile

SamplerName = Literal["tpe", "random", "grid", "zoom"]
EpochPruning = Literal["median", "hyperband", "none"]
FoldPruning = Literal["wilcoxon", "none"]

OPTIONS = {"data": "DATA", "space": "--space", "sampler": "--sampler", "seed": "--seed", "storage": "--storage"}
OPTIONS |= {"prune_epochs": "--prune-epochs", "prune_folds": "--prune-folds", "stages": "--trials"}


class StudyFacts(JsonFile):
    """The content of study.json.

    study    the name of the study in its storage, which may hold others; storage: its URL without the password.
    space    as plain data, see `space_file.to_plain`.
    stages   the trials that begin a narrower stage, for the sampler zoom.
    """

    version: Literal[1] = 1
    study: str
    storage: str
    data: str
    space: dict[str, Any]
    sampler: SamplerName
    seed: int
    prune_epochs: EpochPruning
    prune_folds: FoldPruning
    stages: tuple[int, ...] = ()

    def read_space(self) -> Space:
        """Return the space."""
        return parse_space(self.space, where="study.json: space")


def read_study_facts(folder: StudyDir) -> StudyFacts:
    """Read what a study is about; ResultError when the file is missing or damaged."""
    return typedjson.parse(
        files.without_digest(files.read_json(folder.facts), folder.facts, required=True), StudyFacts, folder.facts
    )


def begin_or_join(folder: StudyDir, base: Config, facts: StudyFacts) -> StudyFacts:
    """Write what the study is about, or compare with what it was begun with; returns what is on disk.

    The study's lock is held by the caller. Raises BusyError that names every option and setting that differs.
    """
    if not folder.facts.exists():
        files.commit(folder.base, config.to_yaml(base).encode())
        files.commit_json(folder.facts, files.with_digest(facts.to_json()))  # last: with it the study has begun
        return facts
    before = read_study_facts(folder)
    old, new = before.model_dump(), facts.model_dump()
    differing = [
        f"{option} {_short(new[name])} (the study has {_short(old[name])})"
        for name, option in OPTIONS.items()
        if old[name] != new[name]
    ]
    was, now = (flatten(one.model_dump(mode="json")) for one in (config.of_run(folder.base), base))
    keys = sorted({*was, *now})
    differing += [
        f"{k}={shown(now.get(k))} (the study has {shown(was.get(k))})" for k in keys if was.get(k) != now.get(k)
    ]
    if differing:
        raise BusyError(
            "the study was begun with other settings",
            where=str(folder.path),
            offenders=differing,
            fix="give the command it was begun with, or choose another --study",
        )
    return before


def _short(value: object) -> str:
    return value if isinstance(value, str) else shown(value)
