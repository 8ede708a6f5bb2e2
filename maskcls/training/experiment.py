"""An experiment ready to run: configuration, rows, folds and the run folder, checked before any training."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import maskcls
from maskcls import config, files
from maskcls.data.layouts.source import image_root, read_labelled
from maskcls.data.photos.crops import cropping
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest
from maskcls.data.rows import manifest as tables
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.checkpoint import Blueprint
from maskcls.engine.execution import Plan
from maskcls.engine.objective import build_heads
from maskcls.engine.step_plan import FoldRows
from maskcls.errors import ResultError, UsageError, WeightsError
from maskcls.labels import Ints, LabelSpace
from maskcls.results.people.clustering import Learned
from maskcls.results.people.model_file import from_bytes, to_bytes
from maskcls.results.pseudo.label_file import Pseudo
from maskcls.rundir import REFIT, FoldDir, RunDir
from maskcls.schema import Config
from maskcls.training import pseudo_rows
from maskcls.training.photos import Views, open_photos

PACKAGES = ("torch", "timm", "accelerate", "albumentations", "opencv-python-headless", "pillow", "numpy", "pandas")


@dataclass(frozen=True)
class Member:
    """One network of a fold: its task when there is one a task ("" otherwise), and its own configuration and seed.

    index      of the task.
    seeded     whether the fold has networks of other seeds beside it.
    continued  whether it goes on from the best weights of the one that was judged.
    """

    task: str
    index: int
    cfg: Config
    seeded: bool = False
    continued: bool = False

    @property
    def name(self) -> str:
        """What tells it from the fold's other networks: `age`, `seed1`, `age-seed1`, or "" where it is alone."""
        return "-".join(part for part in (self.task, f"seed{self.cfg.seed}" if self.seeded else "") if part)

    @property
    def space(self) -> LabelSpace:
        """The label space this network speaks about."""
        return self.cfg.space

    def title(self, k: int) -> str:
        """Name this network on fold k, or REFIT, for people."""
        part = "all rows" if k == REFIT else f"fold {k}"
        return f"{self.name} {part}{' continued' if self.continued else ''}".strip()

    @property
    def blueprint(self) -> Blueprint:
        """What its weights are saved with."""
        heads = tuple(build_heads(self.cfg).values())
        return Blueprint(self.cfg.model.backbone, heads, self.cfg.model.drop, self.space, view_spec(self.cfg))


@dataclass(frozen=True)
class Experiment:
    """All that training needs, as it stands in the run folder; `views`: the photos' cache, where there is one;
    `plans`: how each member is computed, by its task; `pseudo`: labels of photos that train only; `looks`: who looks
    like whom, learned from the photos with labels."""

    cfg: Config
    data: Path
    manifest: pd.DataFrame
    folds: pd.DataFrame
    run: RunDir
    views: Views = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    pseudo: Pseudo | None = None
    looks: Learned | None = None

    @cached_property
    def kinds(self) -> list[Member]:
        """The networks with the first seed, in the order of the tasks."""
        return [member for member in self.members if member.cfg.seed == self.cfg.seed]

    @cached_property
    def members(self) -> list[Member]:
        """The networks of a fold: in the order of the tasks, one seed after the other."""
        several, kinds = self.cfg.train.seeds > 1, config.members(self.cfg)
        return [
            Member(task, index, cfg.model_copy(update={"seed": seed}), seeded=several)
            for seed in self.seeds
            for index, (task, cfg) in enumerate(kinds.items())
        ]

    @property
    def seeds(self) -> range:
        """The seeds a fold's networks are made from."""
        return range(self.cfg.seed, self.cfg.seed + self.cfg.train.seeds)

    def trainings(self, folds: Sequence[int]) -> list[tuple[Member, int]]:
        """Return every network these folds ask for, with its fold: those judged, those continued, those of all rows."""
        train, judged = self.cfg.train, [(member, k) for member in self.members for k in folds]
        further = [(replace(member, continued=True), k) for member, k in judged] if train.continue_epochs else []
        return judged + further + ([(member, REFIT) for member in self.members] if train.refit else [])

    @cached_property
    def fold(self) -> NDArray[np.int8]:
        """The fold (N,) that validates each row, -1 for rows that only train."""
        return self.folds["fold"].to_numpy(np.int8)

    @cached_property
    def labels(self) -> dict[str, Ints]:
        """Class indices (N,) of every task, -1 where unknown, as on pseudo-labelled rows."""
        return tables.labels(self.manifest, self.cfg.space)

    @cached_property
    def values(self) -> dict[str, Ints]:
        """The whole numbers (N,) of every task with bins, such as years, -1 where unknown."""
        return tables.values(self.manifest, self.cfg.space)

    @cached_property
    def people(self) -> Ints:
        """A number (N,) for each row's person."""
        return pd.factorize(self.manifest["person"])[0].astype(np.int64)

    @property
    def photo_root(self) -> Path:
        """The folder the manifest's paths are relative to."""
        return image_root(self.data, self.cfg.data.format)

    @property
    def leaky(self) -> bool:
        """Whether networks may have learnt about the people that judge them, so that no score means anything."""
        return self.pseudo is not None and self.pseudo.leaky

    @property
    def photo_paths(self) -> list[str]:
        """The path of every photo (N,), absolute where it lies elsewhere."""
        return pseudo_rows.located(self.manifest, self.pseudo, self.photo_root)

    def fold_dir(self, member: Member, k: int) -> FoldDir:
        """Return the folder of one member on one fold."""
        folder = self.run.fold(k, member.name)
        return folder.continued if member.continued else folder

    def rows(self, member: Member, k: int, *, bare: bool = False) -> FoldRows:
        """Return the rows member trains on and is judged by on fold k; under REFIT all train and none judges.

        Nobody judges a member that goes on, and it trains on all rows, or on those of the fold.
        bare: the device augments the photos.
        """
        specs, seed = [view_spec(member.cfg)], member.cfg.seed
        frame = self.manifest.assign(path=self.photo_paths)
        photos = open_photos(self.photo_root, frame, specs, self.views, seed=seed, bare=bare)
        targets = pseudo_rows.fold_targets(self.manifest, self.pseudo, k, self.cfg.space)
        judging = (self.fold == k) & (k != REFIT)
        train, valid = np.flatnonzero(~judging & targets.trains), np.flatnonzero(judging)
        if member.continued:
            every = np.append(train, valid)
            train, valid = (np.sort(every) if self.cfg.train.continue_rows == "all" else valid), valid[:0]
        if member.cfg.binned is not None and member.cfg.age.drop:
            train = train[~np.isin(self.values[member.cfg.binned.name][train], member.cfg.age.drop)]
        soft = targets.soft
        if soft is not None and member.task:  # this network speaks about one task alone
            soft = self.cfg.space.marginals(soft)[member.task]
        values, people = self.values, self.people
        return FoldRows(photos, train, valid, targets.labels, values, people, targets.weight, soft)


def view_spec(cfg: Config) -> ViewSpec:
    """Return the view of a configuration."""
    return ViewSpec(**cfg.transforms.model_dump())


def read_experiment(cfg: Config, data: Path, run: RunDir) -> Experiment:
    """Read the labelled rows and make their folds; raises DataError or ConfigError."""
    fixes = Path(cfg.data.fixes) if cfg.data.fixes else None
    manifest = read_labelled(data, cfg.data.format, cfg.space, fixes)
    how = cfg.folds
    folds = folding.build(manifest, cfg.space, k=how.k, holdout=how.holdout, seed=how.seed, stratify=how.stratify)
    if cfg.data.pseudo is None:
        return Experiment(cfg, data.resolve(), manifest, folds, run)
    pseudo = pseudo_rows.read(Path(cfg.data.pseudo), cfg, manifest, folds)
    manifest, folds = pseudo_rows.with_rows(manifest, folds, pseudo, image_root(data, cfg.data.format), cfg.space)
    return Experiment(cfg, data.resolve(), manifest, folds, run, pseudo=pseudo)


def wanted_folds(text: str | None, k: int) -> tuple[int, ...]:
    """Read `--folds 0,2`; None means all. Raises UsageError for anything but fold numbers 0..k-1."""
    if text is None:
        return tuple(range(k))
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) < k for part in parts):
        raise UsageError(
            "no such fold", where="--folds", got=repr(text), expected=f"numbers from 0 to {k - 1}, such as 0,2"
        )
    return tuple(sorted({int(part) for part in parts}))


def write_identity(experiment: Experiment, folds: Sequence[int], environment: dict[str, Any]) -> None:
    """Commit what the run is: configuration, labels, manifest, folds, environment."""
    run, cfg = experiment.run, experiment.cfg
    files.commit(run.config, config.to_yaml(cfg).encode())
    files.commit_json(run.labels, cfg.space.to_json())
    files.commit(run.manifest, tables.to_csv(experiment.manifest))
    files.commit(run.folds, folding.to_csv(experiment.folds))
    for left in (run.pseudo.with_suffix(".json"), run.pseudo, run.looks):  # by a command killed before env.json
        left.unlink(missing_ok=True)
    if cfg.data.pseudo is not None:
        source = Path(cfg.data.pseudo)
        if source.with_suffix(".json").exists():
            files.commit(run.pseudo.with_suffix(".json"), source.with_suffix(".json").read_bytes())
        files.commit(run.pseudo, source.read_bytes())
    if experiment.looks is not None:
        files.commit(run.looks, to_bytes(experiment.looks))
    identity: dict[str, Any] = {"data": str(experiment.data), "folds": list(folds), "hashes": identity_hashes(run)}
    identity["cropping"] = cropping(experiment.photo_root)
    identity["weights"] = weights_hashes(experiment)
    identity["plans"] = {name: plan.to_json() for name, plan in experiment.plans.items()}
    files.commit_json(run.env, identity | environment)


def weights_hashes(experiment: Experiment) -> dict[str, str]:
    """Return the hash of the file each task's trunk begins from; those that begin without one are left out."""
    weights = {member.task: member.cfg.model.weights for member in experiment.kinds}
    return {task: files.file_sha256(Path(file)) for task, file in weights.items() if file}


def identity_hashes(run: RunDir) -> dict[str, str]:
    """Return the hashes of the files that say what the run is."""
    return {path.name: files.file_sha256(path) for path in identity_files(run)}


def identity_files(run: RunDir) -> tuple[Path, ...]:
    """Return the files that say what the run is, in the order they are written."""
    further = (path for path in (run.pseudo.with_suffix(".json"), run.pseudo, run.looks) if path.exists())
    return run.config, run.labels, run.manifest, run.folds, *further


def open_experiment(run: RunDir) -> tuple[Experiment, dict[str, Any]]:
    """Read a run's experiment back; returns it with the content of env.json.

    Raises ResultError when files are missing or were changed, WeightsError when the data set has changed since.
    """
    if not run.env.exists():
        begun = run.lock_file.exists()
        raise ResultError(
            "the run was stopped before it began" if begun else "this is not a run",
            where=str(run.path),
            expected="a folder that maskcls train made",
            fix="give the train command again" if begun else "check the path",
        )
    env = files.read_json(run.env)
    if missing := [name for name in env["hashes"] if not (run.path / name).exists()]:
        raise ResultError("files of the run are missing", where=str(run.path), offenders=missing, fix="restore them")
    changed = [name for name, digest in identity_hashes(run).items() if env["hashes"].get(name) != digest]
    if changed:
        raise ResultError(
            "files of the run were changed by hand",
            where=str(run.path),
            offenders=changed,
            fix="restore them, or train a new run with what you want to change",
        )
    cfg, _ = config.load(run.config)
    manifest = tables.from_csv(run.manifest, cfg.space)
    if "plans" not in env:
        raise ResultError("the run was made by an earlier maskcls", where=str(run.path), fix="train it again")
    plans = {name: Plan.from_json(plan) for name, plan in env["plans"].items()}
    folds = folding.from_csv(run.folds)
    pseudo = pseudo_rows.read(run.pseudo, cfg, manifest, folds) if cfg.data.pseudo is not None else None
    looks = from_bytes(run.looks.read_bytes(), where=str(run.looks)) if cfg.predict.groups == "look" else None
    return Experiment(cfg, Path(env["data"]), manifest, folds, run, plans=plans, pseudo=pseudo, looks=looks), env


def check_data_unchanged(experiment: Experiment) -> None:
    """Raise WeightsError, naming the rows that differ, unless the data set still gives the run's manifest."""
    cfg = experiment.cfg
    fixes = Path(cfg.data.fixes) if cfg.data.fixes else None
    now = read_labelled(experiment.data, cfg.data.format, cfg.space, fixes)
    then = experiment.manifest[manifest.real_rows(experiment.manifest)]
    if tables.sha256(now) == tables.sha256(then):
        return
    raise WeightsError(
        "the data set is no longer the one this run began with",
        where=str(experiment.data),
        expected=f"the {len(then)} rows of {experiment.run.manifest}",
        fix="restore the data set, or train a new run",
        offenders=_row_changes(then, now),
    )


def _row_changes(before: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """Return what became of every row that differs, by id."""
    old, new = (_cells_by_id(frame) for frame in (before, now))
    lost = [f"{name!r} is gone" for name in old if name not in new]
    added = [f"{name!r} is new" for name in new if name not in old]
    changed = [
        f"{name!r}: {column} was {old[name][column] or 'empty'}, is {new[name][column] or 'empty'}"
        for name in old
        if name in new
        for column in old[name]
        if old[name][column] != new[name][column]
    ]
    return lost + added + changed or ["the rows stand in another order"]


def _cells_by_id(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    text = frame.astype(str).mask(frame.isna(), "").set_index("id", drop=False)
    return {str(name): {str(k): v for k, v in row.items()} for name, row in text.to_dict(orient="index").items()}


def environment(device: object, processes: int) -> dict[str, Any]:
    """Return versions and machine, for env.json; no paths, names or variables of the user."""
    packages = {name: version(name) for name in PACKAGES}
    machine = {"platform": platform.platform(), "device": str(device), "processes": processes}
    return {"maskcls": maskcls.__version__, "python": sys.version.split()[0], "packages": packages} | machine
