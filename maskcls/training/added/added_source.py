"""The files of rows that are only trained on, read for an experiment: pseudo labels, and samples of generators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from maskcls.data.rows import folds as folding
from maskcls.data.rows.manifest import real_rows
from maskcls.errors import DataError
from maskcls.groupnouns import PEOPLE, Noun, photos_of
from maskcls.results.added.added_set import AddedSet
from maskcls.results.pseudo.read_labels import read_pseudo
from maskcls.results.synth.read_samples import read_samples
from maskcls.results.synth.sample_table import Samples
from maskcls.rundir import REFIT
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun

PSEUDO, SYNTH = "pseudo", "synth"  # in the manifest's column `source`
PHOTOS_THEMSELVES = "oversample"  # kind of samples that are photos of the data set


@dataclass(frozen=True)
class AddedText:
    """What messages say about the rows of one source.

    rows    what the rows are.
    own     what is wrong with rows that are among the real ones, and what to do.
    again   how the file is made again.
    labels  what teaches the heads.
    leaky   what is leaky.
    """

    rows: str
    own: tuple[str, str]
    again: str
    labels: str
    leaky: str


TEXTS = {
    PSEUDO: AddedText(
        "pseudo-labelled photos",
        ("photos are pseudo-labelled that have a label of their own", "leave them out of the unlabelled data"),
        "label again with maskcls pseudo-label",
        "pseudo labels",
        "the pseudo labels are",
    ),
    SYNTH: AddedText(
        "samples",
        ("samples have ids of photos of the data set", "rename these photos"),
        "make them again with maskcls synth sample",
        "samples",
        "the samples are",
    ),
}


@dataclass(frozen=True, eq=False)
class AddedSource:
    """The rows of one file.

    source    PSEUDO or SYNTH: of the setting data.<source>, and in the manifest.
    sets      {fold: its rows}, REFIT for a network of all rows; of leaky ones REFIT alone.
    leaky     a network may learn from rows made by one that saw its validation people.
    root      the folder the paths are relative to.
    contents  {id: digest} of the photos when the file was made; {}: not known.
    samples   the table of samples, for SYNTH.
    """

    source: str
    sets: Mapping[int, AddedSet]
    leaky: bool
    root: Path
    contents: Mapping[str, bytes] = field(default_factory=dict)
    samples: Samples | None = None

    @property
    def key(self) -> str:
        """The setting that names the file."""
        return f"data.{self.source}"

    @property
    def text(self) -> AddedText:
        """What messages say about these rows."""
        return TEXTS[self.source]

    def for_fold(self, k: int) -> AddedSet:
        """Return the rows that a network validated on fold k, or REFIT, may learn from; KeyError for no such fold."""
        return self.sets[REFIT if self.leaky else k]

    def path_of(self) -> dict[str, str]:
        """Return {id: path} of all sets."""
        sets = self.sets.values()
        return {one: path for rows in sets for one, path in zip(rows.ids.tolist(), rows.paths.tolist(), strict=True)}


def folds_sha256(manifest: pd.DataFrame, folds: pd.DataFrame) -> str:
    """Return the hash of the real rows' folds: runs of one hash hold out the same people together."""
    return folding.sha256(folds[real_rows(manifest)].reset_index(drop=True))


def added_files(cfg: Config) -> dict[str, Path]:
    """Return the files of added rows that a configuration names, by source."""
    named = {PSEUDO: cfg.data.pseudo, SYNTH: cfg.data.synth}
    return {source: Path(path) for source, path in named.items() if path is not None}


def read_added(
    paths: Mapping[str, Path],
    cfg: Config,
    manifest: pd.DataFrame,
    folds: pd.DataFrame,
    sealed: pd.DataFrame | None,
    root: Path,
) -> tuple[AddedSource, ...]:
    """Read the files of added rows {source: path} for these rows and folds.

    root  the folder of the data set's photos.

    Raises DataError for leaky ones unless `data.leaky`, and for rows of sealed people.
    """
    return tuple(_read_source(source, path, cfg, manifest, folds, sealed, root) for source, path in paths.items())


def _read_source(
    source: str,
    path: Path,
    cfg: Config,
    manifest: pd.DataFrame,
    folds: pd.DataFrame,
    sealed: pd.DataFrame | None,
    root: Path,
) -> AddedSource:
    digest, noun, leaky = folds_sha256(manifest, folds), group_noun(cfg), cfg.data.leaky
    if source == PSEUDO:
        found = read_pseudo(path, cfg.space, folds_sha256=digest, k=cfg.folds.k, allow_leaky=leaky, noun=noun)
        home = Path(str(found.lineage.get("root", root)))
        added = AddedSource(source, found.sets, found.leaky, home, found.contents)
        if sealed is not None:
            check_not_sealed(added, sealed, noun)
        return added
    real = real_rows(manifest)
    samples = read_samples(
        path,
        cfg.space,
        folds_sha256=digest,
        k=cfg.folds.k,
        fold_of=dict(zip(folds["id"][real].tolist(), folds["fold"][real].tolist(), strict=True)),
        sealed=() if sealed is None else sealed["id"].tolist(),
        allow_leaky=leaky,
        noun=noun,
    )
    home = root if samples.kind == PHOTOS_THEMSELVES else Path(str(cfg.data.synth)).resolve().parent
    return AddedSource(source, samples.sets, samples.leaky, home, samples.contents, samples)


def check_not_sealed(pseudo: AddedSource, sealed: pd.DataFrame, noun: Noun = PEOPLE) -> None:
    """Raise DataError when a sealed person's photo has a pseudo label."""
    labelled = pseudo.path_of()
    if met := [repr(id) for id in sealed["id"].tolist() if id in labelled]:
        raise DataError(
            f"photos of sealed {noun[1]} are pseudo-labelled",
            where="data.pseudo",
            expected=f"{photos_of(noun)} that are not in the training table",
            offenders=met,
            fix="leave them out of the unlabelled data, and label again",
        )
