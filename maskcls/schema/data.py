"""Which rows are used: where photos and labels are read from, the folds, and how an epoch draws its rows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from maskcls.layoutnames import LayoutName
from maskcls.schema.section import Below, FilePath, Inside, Kept, Section, Seed, Share, Text


class DataConfig(Section):
    """Where labels and photos come from."""

    format: LayoutName = "contest"
    """Layout of the data set. contest: a folder with train/ and eval/. folders: photos in folders named by class.
    table: a CSV file with one row per photo. See data/README.md."""
    group: Text = "auto"
    """Which photos belong together; a group is never divided between folds. For a table: the name of a column. For
    folders: a regular expression with one group in parentheses, searched in each photo's relative path. none: every
    photo is its own group. auto: the person (contest), the column `group` if there is one (table), else none."""
    fixes: FilePath | None = None
    """Path of a CSV file with corrected labels. The data set itself is not changed. Null: no corrections."""
    pseudo: FilePath | None = None
    """Path of a file written by `maskcls pseudo-label`, whose rows are added to the training rows. Null: none."""
    synth: FilePath | None = None
    """Path of a table written by `maskcls synth sample`, whose samples are added to the training rows. Null: none."""
    leaky: bool = False
    """Accept pseudo labels from networks, and samples from generators, that were trained on people of the validation
    folds. The run then has no out-of-fold score."""
    cache: Literal["auto", "on", "off"] = "auto"
    """Whether decoded photos are kept on disk. auto: if there is enough free space. on: stop if there is not. off:
    decode every photo in every epoch."""
    same_photos: Literal["refuse", "allow"] = "refuse"
    """What train does when the same photo is of several people in different folds, so that it is trained on and scored,
    or has different labels. refuse: stop and name the photos. allow: print a warning and train."""


class FoldsConfig(Section):
    """Cross-validation folds. All photos of a person are in one fold. Folds have equal shares of the people, the photos
    and their classes, as far as possible."""

    k: Annotated[int, Field(ge=1, le=100)] = 5
    """Number of folds. With 1, the share folds.holdout of the people is held out once."""
    holdout: Inside = 0.2
    """Share of the people held out when folds.k is 1."""
    seed: Seed = 0
    """Seed of the assignment of people to folds. Runs with the same folds can be compared and combined."""
    renew: Annotated[int, Field(ge=0, le=100)] = 0
    """How often the same people are dealt into folds again. Each time as few as possible are together with people they
    shared a fold with before. Sealed people and the balance of the folds stay. 0: the folds of folds.seed."""
    repeats: Annotated[int, Field(ge=1, le=20)] = 1
    """How often the cross-validation is repeated, each time with renewed folds (folds.renew) and other seeds. Each
    repeat is a run below the folder of --run; predict takes that folder and uses all networks. 1: no repetition."""
    sealed: Below = 0.0
    """Share of the people set aside before anything else: no network, statistic or choice sees them until `maskcls
    unseal` scores the run on them, once. 0: none."""
    sealed_seed: Seed = 0
    """Seed of who is sealed. Keep it, so that the same people are sealed whatever the folds are."""
    stratify: tuple[str, ...] | None = None
    """Names of tasks whose classes should be equally frequent in all folds. An empty list: folds of equal size suffice.
    Null: all tasks."""


class SamplerConfig(Section):
    """Which rows an epoch draws, and how often."""

    draw: Literal["shuffle", "weighted", "oversample"] = "shuffle"
    """How rows are drawn. shuffle: every row once. weighted: at random with replacement, rows of rare groups more
    often. oversample: every row, rows of rare groups several times."""
    by: Text = "joint"
    """What forms a group for sampler.draw=weighted or oversample: joint (the joint class), person, or a task's name."""
    power: Share = 1.0
    """Strength of the balancing for sampler.draw=weighted or oversample. 1 makes all groups equally frequent, one half
    weights them by the square root of their rarity, 0 changes nothing."""
    one_per_person: bool = False
    """Count photos of one person with equal labels as one row. They take turns from epoch to epoch."""
    epoch_fraction: Kept = 1.0
    """Share of the rows in one epoch."""
