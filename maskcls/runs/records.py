"""What a run came to, read from its files alone, so that nothing here waits for torch.

A folder that is damaged is a record like any other, with what is wrong with it.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json as text
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maskcls import config, files
from maskcls.config.yaml12 import parse_yaml
from maskcls.errors import MaskclsError, ResultError
from maskcls.rundir import REFIT, FoldDir, RunDir
from maskcls.runs.judged import changed_files
from maskcls.schema import Config

T = TypeVar("T")
F = TypeVar("F", bound=BaseModel)
WEIGHTS = "weights.safetensors"
PLAIN_WORD = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.+()=-]*")


class _File(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Plan(_File):
    fold_jobs: Annotated[int, Field(ge=1)] = 1


class _Env(_File):
    folds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    hashes: dict[str, str]
    plans: dict[str, _Plan]


class _Score(_File):
    macro_f1: float | None


class _Pooled(_Score):
    tasks: dict[str, _Score]


class _Interval(_File):
    low: float
    high: float


class _Summary(_File):
    leaky: bool = False
    pooled: _Pooled | None
    interval: _Interval | None
    sd: dict[str, float | None]
    folds: dict[str, dict[str, float | None]]

    @model_validator(mode="after")
    def _scored_unless_leaky(self) -> Self:
        if (self.pooled is None) != self.leaky:
            raise ValueError("only a leaky run has no scores")
        return self


class Note(_File):
    """What a person wrote beside a run. leaderboard: scores by name; keep: whether prune has to leave the run alone."""

    date: str
    text: str = ""
    leaderboard: dict[str, float] = {}
    keep: bool | None = None


@dataclass(frozen=True)
class Network:
    """One training of a run: its task ("" when it is about all), its fold, its folder, whether it is judged there."""

    task: str
    fold: int
    folder: FoldDir
    judged: bool


@dataclass(frozen=True)
class Found:
    """A run folder as its files tell of it; what could not be read is empty, and `fault` says why.

    left      what is left to train, in words; "" for a finished run.
    busy      whether a process is working on an unfinished run just now.
    leaky     whether its networks may have learnt about the people that would judge them: there is no score then.
    score     pooled out-of-fold macro-F1; None without one. interval, sd and tasks belong to it.
    seconds   of all epochs of all networks; folds trained side by side share theirs.
    links     symbolic links inside, relative.
    judged_on stands for the rows that are judged: scores compare where it is equal.
    """

    run: RunDir
    fault: str = ""
    left: str = ""
    busy: bool = False
    leaky: bool = False
    score: float | None = None
    interval: tuple[float, float] | None = None
    sd: float | None = None
    tasks: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    bytes: int = 0
    date: datetime | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    folds: tuple[int, ...] = ()
    notes: tuple[Note, ...] = ()
    networks: tuple[Network, ...] = ()
    weights: bool = False
    links: tuple[str, ...] = ()
    judged_on: str = ""

    @property
    def state(self) -> str:
        """`finished`, `unfinished` or `broken`."""
        return "broken" if self.fault else "unfinished" if self.left else "finished"

    @property
    def status(self) -> str:
        """The state with its reason, and what is particular about it."""
        if self.fault:
            return f"broken: {self.fault}"
        if self.left:
            return f"{'in training' if self.busy else 'unfinished'}: {self.left}"
        return "finished" + ", leaky: no score" * self.leaky + ", weights deleted" * (not self.weights)

    @property
    def leaderboard(self) -> dict[str, float]:
        """The last score that was noted for each leaderboard."""
        return {name: score for note in self.notes for name, score in note.leaderboard.items()}

    @property
    def kept(self) -> bool:
        """Whether the last note about it says that the run has to stay as it is."""
        said = [note.keep for note in self.notes if note.keep is not None]
        return bool(said) and said[-1]


def find_runs(folders: Sequence[Path], *, links: bool = True) -> list[RunDir]:
    """Return the runs in these folders, at any depth, each once; a folder that is a run stands for itself.

    links  take a symbolic link to a run for one; no other link is followed, and no hidden folder entered.

    Raises ResultError for a folder that cannot be read.
    """
    found: dict[Path, RunDir] = {}
    for folder in folders:
        try:
            for path in _runs_below(folder, links):
                found.setdefault(Path(os.path.realpath(path)), RunDir(path))
        except OSError as error:
            raise ResultError(
                "cannot read the folder",
                where=error.filename or str(folder),
                got=error.strerror,
                fix="name the folder that holds your runs",
            ) from None
    return list(found.values())


def is_run(run: RunDir) -> bool:
    """Tell whether a folder holds two of the files a run begins with, so that one that has lost one is still found."""
    begun = (run.lock_file, run.env, *identity(run))
    return sum(path.is_file() for path in begun) >= 2


def identity(run: RunDir) -> tuple[Path, ...]:
    """Return the files whose hashes env.json holds."""
    return run.config, run.labels, run.manifest, run.folds


def networks(run: RunDir, cfg: Config, folds: Sequence[int]) -> tuple[Network, ...]:
    """Return every training these folds ask for: those that are judged, those that went on, those of all rows."""
    names = {
        "-".join(part for part in (task, f"seed{seed}" if cfg.train.seeds > 1 else "") if part): task
        for seed in range(cfg.seed, cfg.seed + cfg.train.seeds)
        for task in config.members(cfg)
    }
    judged = [Network(task, k, run.fold(k, name), True) for name, task in names.items() for k in folds]
    further = [Network(one.task, one.fold, one.folder.continued, False) for one in judged]
    refit = [Network(task, REFIT, run.fold(REFIT, name), False) for name, task in names.items()]
    return (*judged, *(further if cfg.train.continue_epochs else ()), *(refit if cfg.train.refit else ()))


def read_run(run: RunDir) -> Found:
    """Read a run folder as far as that is possible; what is wrong with it is in the result, nothing is raised."""
    faults: list[str] = []

    def part(read: Callable[[], T], instead: T) -> T:
        try:
            return read()
        except MaskclsError as error:
            faults.append(_one_line(error, run))
        except OSError as error:
            faults.append(f"{Path(error.filename or run.path).name}: {error.strerror}")
        return instead

    none: tuple[Note, ...] = ()
    files, notes = part(lambda: scan(run.path), _Files()), part(lambda: read_notes(run), none)
    env = part(lambda: _read_env(run), None)
    cfg = part(lambda: config.load(run.config)[0], None)
    summary = part(lambda: _read(run.summary, _Summary) if run.summary.exists() else None, None)
    trained = networks(run, cfg, env.folds) if env and cfg else ()
    if env:
        part(lambda: _check_identity(run, env), None)
    left = part(lambda: _left(env, trained, summary), "") if env else ""
    jobs = {task: plan.fold_jobs for task, plan in env.plans.items()} if env else {}
    seconds = part(lambda: training_seconds(trained, jobs), 0.0)
    date, busy = part(lambda: _last_written(run, trained), None), bool(left) and part(lambda: _is_held(run), False)
    judged_on = part(lambda: _judged_on(run, env, cfg), "") if env and cfg else ""
    interval = summary.interval if summary else None
    pooled = summary.pooled if summary else None
    return Found(
        run,
        fault="; ".join(faults),
        left=left,
        busy=busy,
        leaky=summary.leaky if summary else False,
        score=pooled.macro_f1 if pooled else None,
        interval=(interval.low, interval.high) if interval else None,
        sd=summary.sd.get("macro_f1") if summary else None,
        tasks={name: one.macro_f1 for name, one in pooled.tasks.items()} if pooled else {},
        seconds=seconds,
        bytes=files.bytes,
        date=date,
        settings=settings_of(cfg) if cfg else {},
        folds=tuple(env.folds) if env else (),
        notes=notes,
        networks=trained,
        weights=bool(trained) and all((one.folder.best / WEIGHTS).is_file() for one in trained),
        links=files.links,
        judged_on=judged_on,
    )


def training_seconds(trained: Sequence[Network], fold_jobs: Mapping[str, int]) -> float:
    """Return the training and validation seconds of a run's networks, from their logs.

    fold_jobs  how many folds of a task were trained side by side; what nobody judges is trained alone.

    Raises ResultError when a log cannot be read, or one of a finished network is missing.
    """
    folds = len({one.fold for one in trained if one.judged})
    return sum(
        _log_seconds(one.folder) / (min(fold_jobs.get(one.task, 1), folds) if one.judged else 1) for one in trained
    )


def read_notes(run: RunDir) -> tuple[Note, ...]:
    """Return what was noted about a run, the oldest first; raises ResultError."""
    path = notes_path(run)
    if not path.exists():
        return ()
    data = files.read_json(path)
    if not isinstance(data, list):
        raise ResultError("the notes are not a list", where=str(path))
    return tuple(_valid(item, Note, path) for item in data)


def notes_path(run: RunDir) -> Path:
    """Return where the notes of a run stand."""
    return run.path / "notes.json"


@dataclass(frozen=True)
class _Files:
    bytes: int = 0
    links: tuple[str, ...] = ()


def _runs_below(folder: Path, links: bool) -> Iterator[Path]:
    if is_run(RunDir(folder)):
        yield folder
        return
    with os.scandir(folder) as entries:
        inside = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in inside:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _runs_below(path, links)
        elif links and entry.is_symlink() and is_run(RunDir(path)):
            yield path


def scan(folder: Path) -> _Files:
    """Add up the files below a folder and list the links; what vanishes meanwhile, as in training, does not count."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    size, links = 0, []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        for name in (*folders, *names):
            path = Path(parent) / name
            with suppress(FileNotFoundError):
                about = path.lstat()
                if stat.S_ISLNK(about.st_mode):
                    links.append(str(path.relative_to(folder)))
                elif stat.S_ISREG(about.st_mode):
                    size += about.st_size
    return _Files(size, tuple(links))


def _read(path: Path, kind: type[F]) -> F:
    return _valid(files.read_json(path), kind, path)


def _valid(data: object, kind: type[F], path: Path) -> F:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        got = f"{key}: {first['msg']}" if key else first["msg"]
        raise ResultError("a file of the run is not in our form", where=str(path), got=got) from None


def _read_env(run: RunDir) -> _Env:
    if not run.env.exists() and run.lock_file.exists():
        raise ResultError("the run was stopped before it began, or is just beginning")
    return _read(run.env, _Env)


def _check_identity(run: RunDir, env: _Env) -> None:
    if changed := changed_files(run, env.hashes):
        raise ResultError(f"gone, or changed by hand: {', '.join(changed)}")


def _left(env: _Env, trained: Sequence[Network], summary: _Summary | None) -> str:
    undone = [one for one in trained if not one.folder.done.exists()]
    folds = {one.fold for one in undone if one.judged}
    if folds:
        return f"{len(env.folds) - len(folds)} of {len(env.folds)} folds"
    if undone:
        return f"all folds, but {len(undone)} further network{'s' * (len(undone) > 1)}"
    if summary is None or list(summary.folds) != [str(k) for k in env.folds]:
        return "all folds, but not put together"
    return ""


def _log_seconds(folder: FoldDir) -> float:
    if not folder.log.exists() and not folder.done.exists():
        return 0.0
    try:
        return float(sum(text.loads(line)["seconds"] for line in folder.log.read_text().splitlines()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError("a log cannot be read", where=str(folder.log), got=repr(error)) from None


def _last_written(run: RunDir, trained: Sequence[Network]) -> datetime | None:
    """Return when the run got further the last time: a note, or a prediction, does not count."""
    written = [
        path.stat().st_mtime for path in (run.env, run.summary, *(n.folder.log for n in trained)) if path.exists()
    ]
    return datetime.fromtimestamp(max(written)).astimezone() if written else None


def _judged_on(run: RunDir, env: _Env, cfg: Config) -> str:
    rows, folds = (env.hashes.get(path.name, "") for path in (run.manifest, run.folds))
    if cfg.data.pseudo is not None:
        rows, folds = _real_hashes(run)
    every = cfg.folds.k > 1 and sorted(env.folds) == list(range(cfg.folds.k))
    return rows if every else f"{rows} {folds} {sorted(env.folds)}"


def _real_hashes(run: RunDir) -> tuple[str, str]:
    """Return what manifest.csv and folds.csv would hash to without the pseudo-labelled rows, which stand last."""
    try:
        texts = (path.read_bytes().decode() for path in (run.manifest, run.folds))
        tables = [io.StringIO(table, newline="").readlines() for table in texts]
        real = sum(row["source"] == "real" for row in csv.DictReader(tables[0]))
        rows, folds = (files.sha256("".join(_first(lines, real)).encode()) for lines in tables)
    except (KeyError, ValueError, csv.Error) as error:
        raise ResultError("a table of the run cannot be read", where=str(run.manifest), got=repr(error)) from None
    return rows, folds


def _first(lines: Sequence[str], rows: int) -> Sequence[str]:
    """Return the lines of the header and of this many rows, some of which may be longer than a line."""
    reader = csv.reader(lines)
    for _ in islice(reader, rows + 1):
        pass
    return lines[: reader.line_num]


def _is_held(run: RunDir) -> bool:
    """Tell whether a process works on this run just now; nothing is written."""
    try:
        handle = os.open(run.lock_file, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _one_line(error: MaskclsError, run: RunDir) -> str:
    lines = "; ".join(line.strip() for line in error.lines() if not line.startswith("  fix: "))
    return lines.removeprefix(f"error[{error.code}] ").replace(f"{run.path}{os.sep}", "")


def settings_of(cfg: Config) -> dict[str, Any]:
    """Return every setting by its dotted key, as plain data."""
    return config.flatten(cfg.model_dump(mode="json"))


def shared_settings(every: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return, key by key, what most have; of values equally common the default, or else the first.

    >>> shared_settings([{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 2}])
    {'a': 2, 'b': 1}
    """
    default, shared = settings_of(Config()), {}
    for key in dict.fromkeys(key for one in every for key in one):
        counts = Counter(text.dumps(one[key]) if key in one else None for one in every)
        usual = text.dumps(default[key]) if key in default else None
        best = max(counts, key=lambda word: (counts[word], word == usual))
        if best is not None:
            shared[key] = text.loads(best)
    return shared


def differences(settings: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
    """Return `key=value` for every setting that differs from the base's; it can be given to train so.

    >>> differences({"seed": 1, "loss.all": "ce", "optim.lr": None}, {"seed": 0, "loss.age": "ce", "optim.lr": 0.1})
    ['seed=1', 'loss.all=ce', 'optim.lr=null', 'loss.age is unset']
    """
    changed = [assignment(key, value) for key, value in settings.items() if key not in base or base[key] != value]
    return changed + [f"{key} is unset" for key in base if key not in settings]


def assignment(key: str, value: Any) -> str:
    """Write a setting as the override that gives it.

    >>> assignment("optim.lr", 1e-05), assignment("mix.kind", "none"), assignment("seed", "null")
    ('optim.lr=1e-05', 'mix.kind=none', 'seed="null"')
    """
    plain = isinstance(value, str) and PLAIN_WORD.fullmatch(value) and parse_yaml(value, where=key) == value
    return f"{key}={value if plain else text.dumps(value, ensure_ascii=False)}"
