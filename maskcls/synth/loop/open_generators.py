"""The experiment of a folder of generators: real rows and folds of a data set or a run, and photos of their size."""

from __future__ import annotations

from pathlib import Path

from maskcls.data.rows import manifest as tables
from maskcls.engine.compute.plan import Plan
from maskcls.engine.device import Accelerator
from maskcls.rundir import RunDir, SynthDir
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.loop.synth_rows import synth_spec
from maskcls.training.checks import check_same_photos, with_absolute_paths, with_photos
from maskcls.training.experiment import Experiment, read_experiment
from maskcls.training.stored_experiment import open_with_photos


def for_generators(cfg: Config) -> Config:
    """Return the configuration without what only classifiers use of other photos: pseudo labels, samples, groups."""
    data = cfg.data.model_copy(update={"pseudo": None, "synth": None})
    return cfg.model_copy(update={"data": data, "predict": cfg.predict.model_copy(update={"groups": "none"})})


def experiment_of(source: Path, cfg: Config, folder: SynthDir, moved: Path | None = None) -> Experiment:
    """Return the experiment whose generators are trained: real rows and folds of a run, or of a data set.

    moved  where the data set of the run is now; None: where it was.

    Raises DataError or ConfigError for a data set; ResultError or WeightsError for a run that was changed.
    """
    cfg, run = for_generators(with_absolute_paths(cfg)), RunDir(source)
    if not run.env.is_file():
        return read_experiment(cfg, source, folder.experiment)
    found, _ = open_with_photos(run, moved)
    real_N = tables.real_rows(found.manifest)
    manifest = found.manifest[real_N].reset_index(drop=True)
    photos = found.photos
    if photos is not None:
        sealed = [] if found.sealed is None else found.sealed["id"].tolist()
        photos = photos.of([*manifest["id"].tolist(), *sealed])
    return Experiment(
        cfg,
        found.data,
        manifest,
        found.folds[real_N].reset_index(drop=True),
        folder.experiment,
        sealed=found.sealed,
        photos=photos,
    )


def with_small_photos(experiment: Experiment, accelerator: Accelerator, report: Reporter) -> Experiment:
    """Return the experiment with its photos in the cache in `synth.size`; raises as `with_photos`.

    Of a new data set, DataError if one photo is of several people in different folds.
    """
    known = experiment.photos is not None
    found = with_photos(experiment, accelerator, report, specs=[synth_spec(experiment.cfg)])
    if not known:
        with report.busy("looking for repeated photos"):
            check_same_photos(found, report)
    return found


def with_plan(cfg: Config, plan: Plan) -> Config:
    """Return the configuration with number format and memory format of a plan, instead of auto."""
    how = {"precision": plan.train.precision, "memory_format": plan.train.memory_format}
    return cfg.model_copy(update={"device": cfg.device.model_copy(update=how)})
