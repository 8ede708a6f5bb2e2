"""The generators of a folder as sources of samples, fold by fold, each with the photos that it was trained on."""

from __future__ import annotations

import numpy as np

from maskcls.errors import ResultError, WeightsError, shell_word
from maskcls.results.added.set_names import set_name
from maskcls.rundir import REFIT, SynthDir
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.frozen_features import feature_rows
from maskcls.synth.facts_file import SynthFacts, read_facts
from maskcls.synth.loop.parts import SavedPart, load_part, read_generator_done
from maskcls.synth.loop.synth_rows import generator_rows, synth_rows
from maskcls.synth.rows.drawing import SampleSource
from maskcls.synth.rows.fold_classifier import FoldClassifier
from maskcls.training.added.added_source import folds_sha256
from maskcls.training.experiment import Experiment


def check_generators(folder: SynthDir, experiment: Experiment) -> SynthFacts:
    """Return what a folder of generators holds.

    Raises ResultError for generators of other folds than those beside them, and for folds without a finished one.
    """
    facts = read_facts(folder)
    if folds_sha256(experiment.manifest, experiment.folds) != facts.folds_sha256:
        raise ResultError(
            "the generators were made for other folds",
            where=str(folder.facts),
            expected=f"the folds of {folder.experiment.folds}",
            fix="restore both files, or train the generators again",
        )
    wanted = [*range(facts.k), *([REFIT] if REFIT in facts.folds else [])]
    lost = [k for k in wanted if k not in facts.folds]
    if lost:
        raise ResultError(
            "folds have no generator, and every fold needs samples of its own",
            where=str(folder.path),
            offenders=[f"fold {k}" for k in lost],
            fix="train generators of all folds: maskcls synth train without --folds",
        )
    if left := [k for k in wanted if read_generator_done(folder.fold(k)) is None]:
        raise ResultError(
            "generators are not finished",
            where=str(folder.path),
            offenders=[f"generator of {'all rows' if k == REFIT else f'fold {set_name(k)}'}" for k in left],
            fix=f"maskcls synth resume {shell_word(folder.path)}",
        )
    return facts


def trained_source(folder: SynthDir, experiment: Experiment, cfg: Config, k: int) -> SampleSource:
    """Return the generator of fold k, or of REFIT, with its rows; raises as `finished_part`."""
    part = finished_part(folder, k)
    return SampleSource(cfg, synth_rows(experiment, k), part.sha256, part.tensors, part.facts)


def finished_part(folder: SynthDir, k: int) -> SavedPart:
    """Return the generator of fold k, or of REFIT; WeightsError for other weights than it ended with."""
    part, done = load_part(folder.fold(k).generator), read_generator_done(folder.fold(k))
    if done is None or done.generator != part.sha256:
        raise WeightsError(
            "these are not the weights that the generator was finished with",
            where=str(folder.fold(k).generator.path),
            got=f"sha256 {part.sha256[:12]}…",
            expected="not finished" if done is None else f"sha256 {done.generator[:12]}…",
            fix="restore the folder, or train the generators again",
        )
    return part


def copying_source(
    experiment: Experiment, cfg: Config, k: int, classifier: FoldClassifier, report: Reporter
) -> SampleSource:
    """Return the source of copies of photos of fold k, or of REFIT; the classifier's features show which are hard."""
    chosen = generator_rows(experiment, k)
    own = classifier.experiment
    place = {name: row for row, name in enumerate(own.manifest["id"].tolist())}
    row_n = np.array([place[name] for name in experiment.manifest["id"].iloc[chosen].tolist()], dtype=np.int64)
    found = feature_rows(own, own.rows(own.kinds[0], k), row_n, classifier.extractor, report)
    return SampleSource(cfg, synth_rows(experiment, k), classifier.sha256, feature_ND=found.feature_nD)
