"""maskcls synth page: how near samples are to training photos of the same classes, as figures and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from maskcls.data.photos.images import read_image
from maskcls.data.rows.manifest import real_rows
from maskcls.errors import ResultError
from maskcls.rundir import REFIT, RunDir, SynthDir
from maskcls.schema.group_noun import group_noun
from maskcls.show.pages.page import write_page
from maskcls.show.synth.quality_page import quality_page
from maskcls.show.synth.sample_report import SampleReport, SetReport
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.frozen_features import file_features, open_extractor
from maskcls.synth.facts_file import SynthFacts
from maskcls.synth.quality.page_checks import check_sample_page
from maskcls.synth.quality.sample_size import features_like_samples, sample_size
from maskcls.synth.quality.set_report import report_about_set
from maskcls.synth.quality.strips import input_strips
from maskcls.synth.rows.sample_sources import finished_part
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
    data: Path | None = None,
) -> SampleReport:
    """Compare the samples of each set with photos, by the embeddings of the run's network of that fold.

    run         whose folds are those of the table. Set "all" is compared by the network of the first fold.
    generators  whose sheets, and strips between random inputs, are on the page; None: without them.
    page        the HTML file to write; None: none.
    data        where the data set of the run is now; None: where it was.

    Raises DataError for samples that `read_samples` refuses, ResultError for generators with other folds.
    """
    facts = check_sample_page(table, run, generators, page, with_photos=with_photos, force=force, data=data)
    experiment, _ = open_experiment(run, data)
    check_data_unchanged(experiment)
    if generators is not None and facts is not None:
        _refuse_other_generators(facts, generators, experiment)
    source = _samples_of(table, experiment)
    sets = [_set_report(experiment, run, source, k, generators, facts, report) for k in source.sets]
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


def _refuse_other_generators(facts: SynthFacts, generators: SynthDir, experiment: Experiment) -> None:
    digest = folds_sha256(experiment.manifest, experiment.folds)
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
    generators: SynthDir | None,
    facts: SynthFacts | None,
    report: Reporter,
) -> SetReport:
    assert source.samples is not None
    samples, space, member = source.sets[k], experiment.cfg.space, experiment.kinds[0]
    fold = 0 if k == REFIT else k
    extractor, rows = open_extractor(experiment, member, fold, run=run), experiment.rows(member, fold)
    seen = np.concatenate([rows.train, rows.valid]) if k == REFIT else rows.train
    paths = [source.root / path for path in samples.paths.tolist()]
    size = sample_size(paths, extractor.spec)
    photos = features_like_samples(experiment, rows, seen, extractor, size, report)
    sample_ND = file_features(extractor, paths, report, cropped=False)
    sheets, strips = [], None
    if generators is not None and facts is not None and k in facts.folds:
        sheets = [(int(path.stem), read_image(path)) for path in shown_sheets(generators.fold(k).all_sheets())]
        if facts.kind != "cyclegan" and len(samples) and generators.fold(k).done.exists():
            label_T = [int(samples.labels[name][0]) for name in space.names]
            strips = input_strips(finished_part(generators, k), label_T, seed=experiment.cfg.seed, fold=k)
    path_of = dict(zip(experiment.manifest["id"].tolist(), experiment.photo_paths, strict=True))
    about = report_about_set(
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
    return replace(about, photo_size=size)


def shown_sheets(sheets: Sequence[Path]) -> list[Path]:
    """Return the sheets that are shown: all, or the first, the last and some evenly between them."""
    if len(sheets) <= MOST_SHEETS:
        return list(sheets)
    places = np.linspace(0, len(sheets) - 1, MOST_SHEETS).round().astype(int)
    return [sheets[place] for place in places]
