"""synth.json: what a folder of generators holds. It is written first; a folder that has it is no run."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from maskcls import files, typedjson
from maskcls.errors import ResultError
from maskcls.results.added.set_names import set_number
from maskcls.rundir import RunDir, SynthDir
from maskcls.typedjson import JsonFile

FACTS_SCHEMA = 1


class SynthSet(JsonFile):
    """What one generator is trained on. classes: per task; people, rows: of these classes, among its training rows."""

    classes: dict[str, tuple[str, ...]]
    people: int
    rows: int


class SynthFacts(JsonFile):
    """The content of synth.json.

    kind          of the generators. folds_sha256: of the folds of the real rows. k: number of folds.
    space         fingerprint of the label space.
    sets          by fold number, or "all" for the generator of all rows; in the order of training.
    least_groups  the number of people that was asked for; forced: whether fewer were accepted.
    run           folder of the run whose data and folds these are, absolute; None: they are of a data set.
    """

    version: int = Field(alias="schema")
    kind: str
    folds_sha256: str
    k: int
    space: str
    sets: dict[str, SynthSet]
    least_groups: int
    forced: bool
    run: str | None = None

    @property
    def folds(self) -> list[int]:
        """The folds that have a generator, REFIT among them."""
        return [fold_of_set(name) for name in self.sets]


def fold_of_set(name: str) -> int:
    """Return the fold of a set's name, REFIT for "all"."""
    return set_number(name)


def write_facts(folder: SynthDir, facts: SynthFacts) -> None:
    """Commit synth.json with its digest."""
    files.commit_json(folder.facts, files.with_digest(facts.to_json()))


def read_facts(folder: SynthDir) -> SynthFacts:
    """Read synth.json; ResultError for a folder without generators, and for a damaged or changed file."""
    if not folder.facts.exists():
        raise ResultError(
            "this is not a folder of generators",
            where=str(folder.path),
            expected="a folder that maskcls synth train made",
            fix="check the path",
        )
    data = files.without_digest(files.read_json(folder.facts), folder.facts, required=True)
    return typedjson.parse(data, SynthFacts, folder.facts)


def run_of_generators(folder: SynthDir) -> RunDir | None:
    """Return the run that generators were made from, which compares their samples unless another one is named.

    None for what is a run itself, and for generators of a data set. ResultError where the run is no longer there.
    """
    if not folder.facts.exists():
        return None
    named = read_facts(folder).run
    if named is not None and not RunDir(Path(named)).env.is_file():
        raise ResultError(
            "the run that the generators were made from is not there",
            where=named,
            expected="a finished run, whose networks compare the samples",
            fix="say where it is now, or name another run of the same folds: --classifier RUN",
        )
    return None if named is None else RunDir(Path(named))
