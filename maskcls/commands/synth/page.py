"""maskcls synth page: how near samples are to training photos of the same classes, as figures and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskcls.data.photos.images import read_image
from maskcls.data.rows.manifest import real_rows
from maskcls.errors import ResultError
from maskcls.results.added.set_names import set_name
from maskcls.rundir import REFIT, RunDir, SynthDir
from maskcls.runs.generators.sample_pages import check_sample_page
from maskcls.schema.group_noun import group_noun
from maskcls.show.pages.page import write_page
from maskcls.show.synth.quality_page import quality_page
from maskcls.show.synth.sample_report import SampleReport, SetReport
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.frozen_features import (
    FeatureRows,
    FoldFeatures,
    file_features,
    fold_features,
    open_extractor,
)
from maskcls.synth.facts_file import read_facts
from maskcls.synth.loop.parts import load_part
from maskcls.synth.quality.set_report import report_about_set
from maskcls.synth.quality.strips import input_strips
from maskcls.training.added.added_source import SYNTH, AddedSource, folds_sha256, read_added
from maskcls.training.experiment import Experiment
from maskcls.training.stored_experiment import check_data_unchanged, open_experiment

MOST_SHEETS = 12  # per set


def sample_page(
    table: Path,
    run: RunDir,
    *,
    generators: SynthDir | None,
    page: Path | None,
    with_photos: bool,
    force: bool,
    report: Reporter,
) -> SampleReport:
    """Compare the samples of each set with photos, by the embeddings of the run's network of that fold.

    run         whose folds are those of the table. Set "all" is compared by the network of the first fold.
    generators  whose sheets, and strips between random inputs, are on the page; None: without them.
    page        the HTML file to write; None: none.

    Raises DataError for samples that `read_samples` refuses, ResultError for generators with other folds.
    """
    check_sample_page(table, run, generators, page, force=force)
    experiment, _ = open_experiment(run)
    check_data_unchanged(experiment)
    if generators is not None:
        _refuse_other_generators(generators, experiment)
    source = _samples_of(table, experiment)
    sets: list[SetReport] = []
    parts: dict[int, FoldFeatures] = {}
    for k in source.sets:
        fold = 0 if k == REFIT else k
        if fold not in parts:
            parts[fold] = fold_features(experiment, fold, run=run, report=report)
        sets.append(_set_report(experiment, run, source, k, fold, parts[fold], generators, report))
    assert source.samples is not None
    found = SampleReport(
        table,
        page,
        source.samples.kind or "samples made by hand",
        run.path.name,
        group_noun(experiment.cfg),
        tuple(sets),
    )
    if page is not None:
        html = quality_page(
            page,
            found,
            sample_root=source.root,
            photo_path=lambda path: experiment.photo_root / path,
            with_photos=with_photos,
        )
        write_page(page, html, force=force)
    return found


def _samples_of(table: Path, experiment: Experiment) -> AddedSource:
    """Read the table as a training with the experiment's folds would."""
    data = experiment.cfg.data.model_copy(update={"synth": str(table.resolve()), "leaky": False})
    cfg = experiment.cfg.model_copy(update={"data": data})
    real_N = real_rows(experiment.manifest)
    manifest, folds = (frame[real_N].reset_index(drop=True) for frame in (experiment.manifest, experiment.folds))
    (found,) = read_added({SYNTH: table}, cfg, manifest, folds, experiment.sealed, experiment.photo_root)
    return found


def _refuse_other_generators(generators: SynthDir, experiment: Experiment) -> None:
    facts, digest = read_facts(generators), folds_sha256(experiment.manifest, experiment.folds)
    if facts.folds_sha256 != digest:
        raise ResultError(
            "the generators have other folds than the run",
            where=str(generators.path),
            got=f"folds with sha256 {facts.folds_sha256[:16]}…",
            expected=f"sha256 {digest[:16]}…, those of {experiment.run.path}",
            fix="give the folder that made the samples, and a run with its folds",
        )


def _set_report(
    experiment: Experiment,
    run: RunDir,
    source: AddedSource,
    k: int,
    fold: int,
    features: FoldFeatures,
    generators: SynthDir | None,
    report: Reporter,
) -> SetReport:
    assert source.samples is not None
    samples, space = source.sets[k], experiment.cfg.space
    photos = features.train if k != REFIT else _joined(features.train, features.valid)
    extractor = open_extractor(experiment, experiment.kinds[0], fold, run=run)
    paths = [source.root / path for path in samples.paths.tolist()]
    sample_ND = file_features(extractor, paths, report, cropped=False)
    sheets, strips = [], None
    if generators is not None and set_name(k) in read_facts(generators).sets:
        sheets = [(int(path.stem), _read_sheet(path)) for path in shown_sheets(generators.fold(k).all_sheets())]
        if read_facts(generators).kind != "cyclegan" and len(samples) and generators.fold(k).done.exists():
            label_T = [int(samples.labels[name][0]) for name in space.names]
            part = load_part(generators.fold(k).generator)
            strips = input_strips(part, label_T, seed=experiment.cfg.seed, fold=k)
    path_of = dict(zip(experiment.manifest["id"].tolist(), experiment.photo_paths, strict=True))
    return report_about_set(
        k,
        samples,
        sample_ND,
        photos,
        path_of,
        source.samples.parents,
        space,
        seed=experiment.cfg.seed,
        sheets=sheets,
        strips=strips,
    )


def shown_sheets(sheets: Sequence[Path]) -> list[Path]:
    """Return the sheets that are shown: all, or the first, the last and some evenly between them."""
    if len(sheets) <= MOST_SHEETS:
        return list(sheets)
    places = np.linspace(0, len(sheets) - 1, MOST_SHEETS).round().astype(int)
    return [sheets[place] for place in places]


def _read_sheet(path: Path) -> NDArray[np.uint8]:
    return read_image(path)


def _joined(first: FeatureRows, second: FeatureRows) -> FeatureRows:
    """Return the rows of both parts."""
    return FeatureRows(
        np.concatenate([first.row_n, second.row_n]),
        np.concatenate([first.ids, second.ids]),
        np.concatenate([first.feature_nD, second.feature_nD]),
        {name: np.concatenate([label_n, second.labels[name]]) for name, label_n in first.labels.items()},
        np.concatenate([first.person_n, second.person_n]),
        np.concatenate([first.weight_n, second.weight_n]),
    )
