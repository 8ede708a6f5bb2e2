"""An experiment: configuration, rows, folds and run folder, and the networks they define."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maskcls import config
from maskcls.data.layouts.source import image_root, read_labelled
from maskcls.data.photos.identity.photo_digests import PhotoDigests
from maskcls.data.photos.same_photos import Groups
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.data.rows.sealing import split_sealed
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.checkpoint import Blueprint
from maskcls.engine.compute.plan import Plan
from maskcls.engine.normalisation import with_normalisation
from maskcls.engine.objective import build_heads
from maskcls.engine.step_plan import FoldRows
from maskcls.errors import DataError
from maskcls.labels import Ints, LabelSpace
from maskcls.results.people.clustering import PersonClustering
from maskcls.rundir import REFIT, FoldDir, RunDir
from maskcls.runs.networks import Choice, RunNetwork, network_name, predicting, run_networks, seeds
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun
from maskcls.training.added import added_rows
from maskcls.training.added.added_source import AddedSource, added_files, read_added
from maskcls.training.photos import Views, open_photos


@dataclass(frozen=True)
class Member:
    """One network of a fold, with its own configuration and seed; a run has each of them once per fold.

    task       the task it predicts; "" for all tasks.
    index      of the task.
    name       distinguishes it from the fold's other networks, see `networks.RunNetwork`.
    continued  whether it is trained further from the best weights of the network that was scored.
    """

    task: str
    index: int
    cfg: Config
    name: str = ""
    continued: bool = False

    @property
    def space(self) -> LabelSpace:
        """The label space of its predictions."""
        return self.cfg.space

    def title(self, k: int) -> str:
        """Name this network on fold k, or REFIT, for people."""
        part = "all rows" if k == REFIT else f"fold {k}"
        return f"{self.name} {part}{' continued' if self.continued else ''}".strip()

    @property
    def blueprint(self) -> Blueprint:
        """What its weights are saved with."""
        heads = tuple(build_heads(self.cfg).values())
        return Blueprint(self.cfg.model.trunk, heads, self.cfg.model.drop, self.space, view_spec(self.cfg))


@dataclass(frozen=True)
class Experiment:
    """Everything a training needs.

    data      the data folder or table.
    manifest  the training table, one row per photo; folds: id, person and fold of the same rows.
    views     the photo cache, if there is one.
    plans     how each member is computed, by task.
    expected_s  forecast of the time of all folds' networks, from the measured speeds; None without them.
    added     the rows that are only trained on: pseudo-labelled photos, samples; they come after the others.
    sealed    the rows of the sealed people, in no other table of the experiment; None without folds.sealed.
    person_clustering  how to recognise photos of one person, fitted on the labelled photos.
    same_photos  groups of rows with one photo, found when the photos are read or taken from the cache.
    photos    what the files of all photos are, sealed ones too; None: not known yet, or a run of an earlier version.
    notes     what the reader of the data set said about it.
    """

    cfg: Config
    data: Path
    manifest: pd.DataFrame
    folds: pd.DataFrame
    run: RunDir
    views: Views = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    expected_s: float | None = None
    added: tuple[AddedSource, ...] = ()
    person_clustering: PersonClustering | None = None
    same_photos: Groups = field(default_factory=list)
    sealed: pd.DataFrame | None = None
    photos: PhotoDigests | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def kinds(self) -> list[Member]:
        """The networks with the first seed, in the order of the tasks."""
        return [member for member in self.members if member.cfg.seed == self.cfg.seed]

    @cached_property
    def members(self) -> list[Member]:
        """The networks of a fold: in the order of the tasks, one seed after the other."""
        return [
            Member(task, index, cfg.model_copy(update={"seed": seed}), network_name(self.cfg, task, seed))
            for seed in self.seeds
            for index, (task, cfg) in enumerate(config.members(self.cfg).items())
        ]

    @property
    def seeds(self) -> range:
        """The seeds of a fold's networks."""
        return seeds(self.cfg)

    def trainings(self, folds: Sequence[int]) -> list[tuple[Member, int]]:
        """Return every network of these folds, see `networks.run_networks`, with its fold."""
        return [self._member(network) for network in run_networks(self.cfg, folds)]

    def predicting(self, folds: Sequence[int], choice: Choice) -> list[tuple[Member, int]]:
        """Return the networks that predict new photos under this value of predict.networks, with their folds."""
        return [self._member(network) for network in predicting(run_networks(self.cfg, folds), choice)]

    def _member(self, network: RunNetwork) -> tuple[Member, int]:
        (member,) = (one for one in self.members if one.name == network.name)
        return (replace(member, continued=True) if network.kind == "continued" else member), network.fold

    @cached_property
    def fold(self) -> NDArray[np.int8]:
        """The fold (N,) that validates each row, -1 for rows that are only trained on."""
        return self.folds["fold"].to_numpy(np.int8)

    @cached_property
    def labels(self) -> dict[str, Ints]:
        """Class indices (N,) of every task, -1 where unknown, as on added rows."""
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
    def labelled_rows(self) -> pd.DataFrame:
        """The rows with the data set's own labels, sealed ones too, in the order of the data set."""
        real = self.manifest[tables.real_rows(self.manifest)]
        if self.sealed is None:
            return real
        return pd.concat([real, self.sealed]).sort_values("id", ignore_index=True)

    @property
    def photo_root(self) -> Path:
        """The folder the manifest's paths are relative to."""
        return image_root(self.data, self.cfg.data.format)

    @property
    def leaky(self) -> bool:
        """Whether networks may have trained on people of their validation fold; such a run has no scores."""
        return any(one.leaky for one in self.added)

    @cached_property
    def photo_paths(self) -> list[str]:
        """The path of every photo (N,), relative to `photo_root`, or absolute for photos outside it."""
        return added_rows.located(self.manifest, self.added, self.photo_root)

    def title(self, member: Member, k: int) -> str:
        """Name a member on fold k, or REFIT, for people; it says where the run is leaky."""
        return member.title(k) + (", leaky" if self.leaky else "")

    def fold_dir(self, member: Member, k: int) -> FoldDir:
        """Return the folder of one member on one fold."""
        folder = self.run.fold(k, member.name)
        return folder.continued if member.continued else folder

    def rows(self, member: Member, k: int, *, bare: bool = False) -> FoldRows:
        """Return the rows a member trains on and is validated on in fold k; under REFIT it trains on all rows.

        A continued member is not validated; it trains on all rows, or on those of the fold.
        bare: the device augments the photos.
        """
        specs, seed = [view_spec(member.cfg)], member.cfg.seed
        frame = self.manifest.assign(path=self.photo_paths)
        photos = open_photos(self.photo_root, frame, specs, self.views, seed=seed, bare=bare, known=self.photos)
        targets = added_rows.fold_targets(self.manifest, self.added, k, self.cfg.space)
        validating = (self.fold == k) & (k != REFIT)
        train, valid = np.flatnonzero(~validating & targets.trains), np.flatnonzero(validating)
        if member.continued:
            every = np.append(train, valid)
            train, valid = (np.sort(every) if self.cfg.train.continue_rows == "all" else valid), valid[:0]
        if member.cfg.binned is not None and member.cfg.age.drop:
            train = train[~np.isin(self.values[member.cfg.binned.name][train], member.cfg.age.drop)]
        soft = targets.soft
        if soft is not None and member.task:  # this network predicts one task alone
            soft = self.cfg.space.marginals(soft)[member.task]
        values, people = self.values, self.people
        return FoldRows(photos, train, valid, targets.labels, values, people, targets.weight, soft)


def view_spec(cfg: Config) -> ViewSpec:
    """Return the view of a configuration of one network."""
    return ViewSpec(**with_normalisation(cfg).transforms.model_dump())


def read_experiment(cfg: Config, data: Path, run: RunDir) -> Experiment:
    """Read the labelled rows and make their folds; raises DataError or ConfigError.

    The experiment's configuration has numbers for `transforms.mean` and `std`, and `data.group` of `with_group`.
    """
    cfg = with_normalisation(cfg)
    fixes = Path(cfg.data.fixes) if cfg.data.fixes else None
    manifest = read_labelled(data, cfg.data.format, cfg.space, fixes, cfg.data.group)
    cfg, notes = with_group(cfg, manifest), tables.notes(manifest)
    how, sealed = cfg.folds, None
    if how.sealed:
        manifest, sealed = split_sealed(
            manifest, cfg.space, share=how.sealed, seed=how.sealed_seed, stratify=how.stratify
        )
    folds = _build_folds(manifest, cfg, sealed)
    root = image_root(data, cfg.data.format)
    added = read_added(added_files(cfg), cfg, manifest, folds, sealed, root)
    manifest, folds = added_rows.with_rows(manifest, folds, added, cfg.space)
    return Experiment(cfg, data.resolve(), manifest, folds, run, added=added, sealed=sealed, notes=notes)


def with_group(cfg: Config, manifest: pd.DataFrame) -> Config:
    """Return the configuration with data.group=none where `auto` left every photo alone, as a run records it."""
    if cfg.data.group != "auto" or not manifest["person"].equals(manifest["id"]):
        return cfg
    return cfg.model_copy(update={"data": cfg.data.model_copy(update={"group": "none"})})


def _build_folds(manifest: pd.DataFrame, cfg: Config, sealed: pd.DataFrame | None) -> pd.DataFrame:
    """Return the fold table; where the rest of the people do not suffice for it, the error names folds.sealed too."""
    how, noun = cfg.folds, group_noun(cfg)
    try:
        return folding.build(
            manifest,
            cfg.space,
            k=how.k,
            holdout=how.holdout,
            seed=how.seed,
            stratify=how.stratify,
            renew=how.renew,
            noun=noun,
        )
    except DataError as error:
        if sealed is not None:
            rest, apart = manifest["person"].nunique(), sealed["person"].nunique()
            error.where = f"the {rest} {noun[1]} that folds.sealed={how.sealed} leaves; {apart} are sealed"
            error.fix = f"lower folds.sealed; or {error.fix}"
        raise
