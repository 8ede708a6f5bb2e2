"""What an ensemble should do: by the command line, or by the recipe of an earlier ensemble."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, JsonValue, ValidationError

from maskcls.config.yaml12 import read_yaml
from maskcls.errors import DataError, UsageError, shell_word
from maskcls.files import named_file, without_digest
from maskcls.labels import LabelSpace
from maskcls.results.ensembles.combine import to_shares
from maskcls.results.ensembles.methods import FITTED, METHODS, EnsembleMethod, EnsembleScores, FittedEnsemble, Searched
from maskcls.rundir import RunDir
from maskcls.runs.calibration import Calibration
from maskcls.runs.lineage import UsedGroups
from maskcls.typedjson import JsonFile, first_fault

ENDING = "recipe.yaml"  # of a recipe's name


class RecipeScore(JsonFile):
    """Macro-F1 of an ensemble on out-of-fold rows, with an interval over people."""

    value: float
    interval: tuple[float, float]


class EnsembleRecipe(JsonFile):
    """The content of a recipe, with which the ensemble is repeated on other photos.

    members          `{"run": FOLDER}`, or with `"data": DATA`, its own copy of the photos; or `{"file": FILE}` or
                     `{"file": "FILE,OOF_FILE"}`. Paths are absolute.
    weights          one per member, or so for each task; None for methods without weights.
    sources          {task: number of the member that is best at it}, for the method "tasks".
    decide           a decision rule was fitted.
    nested_macro_f1  where something was fitted; `macro_f1` otherwise.
    """

    kind: Literal["maskcls ensemble"]
    version: Literal[1]
    method: EnsembleMethod
    members: tuple[dict[Literal["run", "data", "file"], str], ...] = Field(min_length=1)
    weights: tuple[float, ...] | dict[str, tuple[float, ...]] | None
    sources: dict[str, int] | None
    decide: bool
    nested_macro_f1: RecipeScore | None = None
    macro_f1: RecipeScore | None = None


class EnsembleLineage(JsonFile):
    """What an ensemble's submission was made from.

    members      lineage of each member's predictions; of a member that is a file, what is known of the file.
    data_sha256  of the table of photos.
    groups       which photos were averaged; None: none were.
    """

    maskcls: str
    ensemble: EnsembleRecipe
    members: tuple[dict[str, JsonValue], ...]
    data: str
    data_sha256: str
    groups: UsedGroups | None


@dataclass(frozen=True, eq=False)
class Asked:
    """The settings of an ensemble. blend: given by weights or a recipe; None: to be chosen by `method`."""

    given: list[str]
    method: str
    decide: bool
    blend: FittedEnsemble | None = None


def read_settings(given: Sequence[str], method: str, weights: str | None, *, decide: bool) -> Asked:
    """Return the settings; raises UsageError for settings that contradict each other."""
    if not given:
        raise UsageError("no member is named", expected="run folders, or files of predictions")
    if method not in METHODS:
        raise UsageError("no such method", where="--method", got=repr(method), expected=", ".join(METHODS))
    if empty := [text for text in given if not all(part.strip() for part in files_of(text))]:
        raise UsageError(
            "a member names an empty path",
            got=repr(empty[0]),
            expected="RUN or RUN,DATA, FILE or FILE,OOF_FILE",
            fix="complete it, or leave out the comma",
        )
    _refuse_spaces(given)
    _refuse_twice(given)
    _refuse_runs_as_data(given)
    if (method == "weights") != (weights is not None):
        raise UsageError("--weights and --method weights belong together", fix="give both, or neither")
    if weights is None:
        return Asked(list(given), method, decide)
    try:
        numbers = [float(part) for part in weights.split(",")]
    except ValueError:
        raise UsageError("these are no weights", where="--weights", got=repr(weights), expected="0.6,0.3,0.1") from None
    return Asked(list(given), method, decide, FittedEnsemble(method, to_shares(numbers, len(given), where="--weights")))


def _refuse_spaces(given: Sequence[str]) -> None:
    """Raise UsageError for spaces beside a comma, as in "RUN, DATA", unless they belong to a name that exists."""
    for text in given:
        for part in files_of(text):
            if not os.path.exists(part) and os.path.exists(bare := os.path.expanduser(part.strip())):
                got, fix = repr(text), f"leave out the spaces beside {shell_word(bare)}"
                raise UsageError("a member has spaces that belong to no name", got=got, fix=fix)


def _refuse_twice(given: Sequence[str]) -> None:
    """Raise UsageError for a run or a file that is two members, also with other copies of the photos."""
    places: dict[Path, list[str]] = {}
    for text in given:
        places.setdefault(Path(files_of(text)[0]).resolve(), []).append(text)
    for same in places.values():
        if len(same) == 1:
            continue
        if member_run(same[0]) is not None and len(set(map(member_data, same))) > 1:
            raise UsageError(
                "one run is named with several copies of the photos",
                got=" and ".join(same),
                expected="each run once: its out-of-fold rows are the same for every copy",
                fix="name it with the copy that is like its training photos",
            )
        fix = "name each once; --method weights and --weights count one more"
        raise UsageError("a member is named twice", got=" and ".join(same), fix=fix)


def _refuse_runs_as_data(given: Sequence[str]) -> None:
    """Raise UsageError for `RUN,RUN` and `DATA,RUN`: what stands behind the comma is no data set but a run."""
    for text in given:
        run, data = member_run(text), member_data(text)
        if run is not None and data is not None and RunDir(data).env.is_file():
            both = run.env.is_file()
            raise UsageError(
                "a member names a run as its copy of the photos",
                got=text,
                expected="RUN,DATA",
                fix=f"divide runs by a space: {run.path} {data}" if both else f"name the run first: {data},{run.path}",
            )


def recipe_path(output: Path) -> Path:
    """Return the path of a submission's recipe."""
    return named_file(output).with_suffix(f".{ENDING}")


def is_recipe(path: Path) -> bool:
    """Tell by its name whether a file may be a recipe."""
    return path.name.endswith(ENDING)


def files_of(member: str) -> list[str]:
    """Return the paths a member names: RUN or FILE; or RUN,DATA or FILE,OOF_FILE.

    A name may have commas: the member is one path if that exists. Else it is divided at the first comma with existing
    paths on both sides, or with one before it, or at the first comma.

    >>> files_of("theirs.csv,theirs_oof.csv")
    ['theirs.csv', 'theirs_oof.csv']
    """
    signs = [place for place, sign in enumerate(member) if sign == ","]
    forms = [[member], *([member[:place], member[place + 1 :]] for place in signs)]
    whole, *pairs = [[os.path.expanduser(part) for part in form] for form in forms]
    if not pairs or os.path.exists(whole[0]):
        return whole
    begun = [pair for pair in pairs if os.path.exists(pair[0])]
    both = [pair for pair in begun if os.path.exists(pair[1])]
    return [*both, *begun, *pairs][0]


def member_run(member: str) -> RunDir | None:
    """Return the run that a member names, `RUN` or `RUN,DATA`; None where it names files."""
    first = files_of(member)[0]
    return RunDir(Path(first)) if first and Path(first).is_dir() else None


def member_data(member: str) -> Path | None:
    """Return the member's own copy of the photos to predict, as of `RUN,DATA`; None where it has none."""
    paths = files_of(member)
    return Path(paths[1]) if len(paths) > 1 and member_run(member) is not None else None


def is_repeatable(members: Sequence[str]) -> bool:
    """Tell whether a recipe of these members serves other photos: all are runs without their own copy of the photos."""
    return all(member_run(one) is not None and member_data(one) is None for one in members)


def with_answering_run(member: str, answering: Callable[[Path], Path | None]) -> str:
    """Return a member whose run is replaced by the one that answers for it; a member that is files stays as it is.

    >>> with_answering_run("theirs.csv", lambda run: run / "stage1")
    'theirs.csv'
    """
    run, (_, *own) = member_run(member), files_of(member)
    if run is None:
        return member
    return ",".join([os.fspath(answering(run.path) or run.path), *own])


def recipe_of(
    asked: Asked, blend: FittedEnsemble, calibration: Calibration | None, verdict: EnsembleScores | None
) -> EnsembleRecipe:
    """Return the recipe of an ensemble: members, method, what was chosen, and its score."""
    weights: tuple[float, ...] | dict[str, tuple[float, ...]] | None = None
    if isinstance(blend.weights, Mapping):
        weights = {task: tuple(weights_M.tolist()) for task, weights_M in blend.weights.items()}
    elif blend.weights is not None:
        weights = tuple(blend.weights.tolist())
    recipe = EnsembleRecipe(
        kind="maskcls ensemble",
        version=1,
        method=next(known for known in METHODS if known == blend.method),
        members=tuple(map(_kept, asked.given)),
        weights=weights,
        sources=None if blend.sources is None else dict(blend.sources),
        decide=calibration is not None,
    )
    if verdict is None:
        return recipe
    interval = (verdict.interval.low, verdict.interval.high)
    found = RecipeScore(value=verdict.nested.macro_f1, interval=interval)
    return recipe.model_copy(update={"nested_macro_f1" if blend.method in FITTED else "macro_f1": found})


def _kept(member: str) -> dict[Literal["run", "data", "file"], str]:
    paths = [str(Path(part).resolve()) for part in files_of(member)]
    if member_run(member) is None:
        return {"file": ",".join(paths)}
    return {"run": paths[0]} if len(paths) == 1 else {"run": paths[0], "data": paths[1]}


def read_recipe(path: Path, given: Sequence[str], method: str | None, weights: str | None) -> Asked:
    """Return the settings of an earlier ensemble: its runs, its method, and the weights or members it chose.

    A stack is fitted again, on the same out-of-fold rows. Raises DataError for what is no recipe, or one with members
    that are files or have their own copy of the photos, since these are the photos of then; ResultError for one that
    was changed; UsageError for settings beside it that it holds itself.
    """
    if said := [*given, *(text for text in (method, weights) if text is not None)]:
        what, fix = "a recipe names its members, its method and its weights", "leave them out"
        raise UsageError(what, where="--recipe", got=", ".join(said), fix=fix)
    try:
        recipe = EnsembleRecipe.model_validate_json(json.dumps(without_digest(read_yaml(path), path, required=False)))
        if strange := [member for member in recipe.members if set(member) not in ({"run"}, {"run", "data"}, {"file"})]:
            raise ValueError(f"member {strange[0]}")
        blend = _chosen(recipe, len(recipe.members))
    except ValidationError as error:
        raise DataError(
            "this is no recipe of maskcls ensemble",
            where=str(path),
            got=first_fault(error),
            fix="write it again: maskcls ensemble MEMBERS -o FILE",
        ) from None
    except (TypeError, ValueError) as error:
        raise DataError(
            "this is no recipe of maskcls ensemble",
            where=str(path),
            got=str(error),
            fix="write it again: maskcls ensemble MEMBERS -o FILE",
        ) from None
    except UsageError as error:
        raise DataError(
            error.what,
            where=str(path),
            got=error.got,
            expected=error.expected,
            fix="write it again: maskcls ensemble MEMBERS -o FILE",
        ) from None
    if files := [member["file"] for member in recipe.members if "file" in member]:
        fix = "name the members again, with files for these photos"
        raise DataError("members of the recipe are files for other photos", where=str(path), offenders=files, fix=fix)
    if copies := [member["data"] for member in recipe.members if "data" in member]:
        fix = "name the members again, as RUN,DATA with a copy of these photos"
        what = "members of the recipe have their own copy of other photos"
        raise DataError(what, where=str(path), offenders=copies, fix=fix)
    return Asked([os.path.expanduser(member["run"]) for member in recipe.members], recipe.method, recipe.decide, blend)


def _chosen(recipe: EnsembleRecipe, members: int) -> FittedEnsemble | None:
    """Return what a recipe chose, None where nothing is kept; ValueError or UsageError where that does not fit."""
    method, weights, sources = recipe.method, recipe.weights, recipe.sources
    if (weights is not None, sources is not None) != (method in (*get_args(Searched), "weights"), method == "tasks"):
        raise ValueError(f"method {method}, weights {weights!r}, sources {sources!r}")
    if sources is not None:
        if not all(0 <= member < members for member in sources.values()):
            raise ValueError(f"sources {sources!r} of {members} members")
        return FittedEnsemble(method, sources=dict(sources))
    if isinstance(weights, Mapping) != (method == "convex-tasks"):
        raise ValueError(f"method {method}, weights {weights!r}")
    if isinstance(weights, Mapping):
        return FittedEnsemble(method, {task: to_shares(part, members) for task, part in weights.items()})
    return None if weights is None else FittedEnsemble(method, to_shares(weights, members))


def check_recipe_tasks(recipe: Path, blend: FittedEnsemble, space: LabelSpace) -> None:
    """Raise DataError when a recipe chose for other tasks than those of the runs."""
    for chosen in (blend.weights, blend.sources):
        if isinstance(chosen, Mapping) and set(chosen) != set(space.names):
            raise DataError(
                "the recipe was made for other tasks",
                where=str(recipe),
                got=", ".join(map(str, chosen)),
                expected=", ".join(space.names),
                fix="use a recipe of members with these tasks",
            )
