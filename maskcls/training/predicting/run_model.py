"""A run as a `PhotoModel`: photos in memory, predicted with torch.

N photos, J joint classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import maskcls
from maskcls import files
from maskcls.data.dataset import Photos
from maskcls.data.views.reduced import ReducedPhoto, reduced
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.compute.candidates import Workload
from maskcls.engine.compute.choose import infer_execution
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import Accelerator, start
from maskcls.engine.infer import Predictor, infer_prepared, open_reader, prepare
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.machine import refuse_several
from maskcls.results.photo_model import Photo, check_photo
from maskcls.rundir import RunDir
from maskcls.runs.decision import Decision, decided, read_decision, refuse_shift
from maskcls.runs.overrides import refuse_adapting, with_overrides
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.training.plans import listener_of
from maskcls.training.predicting.loaded_networks import LoadedNetwork, load_networks
from maskcls.training.prediction import joint, note_other_versions
from maskcls.training.stored_experiment import open_experiment


@dataclass(frozen=True, eq=False)
class RunModel:
    """The networks of a run, ready to predict arrays; see `PhotoModel`. decision: None: the most probable class."""

    cfg: Config
    networks: Sequence[LoadedNetwork]
    ready: Sequence[Predictor]
    accelerator: Accelerator
    execution: Execution
    decision: Decision | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def space(self) -> LabelSpace:
        """Tasks and classes."""
        return self.cfg.space

    @property
    def specs(self) -> list[ViewSpec]:
        """The views that the networks were trained on, each once."""
        return list(dict.fromkeys(predictor.spec for predictor in self.ready))

    @property
    def decode_size(self) -> tuple[int, int]:
        """Smallest (height, width) in pixels for decoding a photo."""
        heights, widths = zip(*(spec.decode_size for spec in self.specs), strict=True)
        return max(heights), max(widths)

    def prepare(self, photo: Photo) -> ReducedPhoto:
        """Return the views of a decoded photo that the networks get."""
        return reduced(photo, self.specs)

    def predict(self, photos: Sequence[Photo | ReducedPhoto]) -> Floats:
        """Return joint probabilities (N, J) float32, the mean over the networks and views of the run."""
        ids_N = np.array([str(place) for place in range(len(photos))])
        for place, photo in enumerate(photos):
            if not isinstance(photo, ReducedPhoto):
                check_photo(photo, f"photo {place}")
        ready = (one if isinstance(one, ReducedPhoto) else self.prepare(one) for one in photos)
        views = [np.stack(images) for images in zip(*(one.views for one in ready), strict=True)]
        reader = open_reader(
            Photos(Path(), [], ids_N.tolist(), self.specs, seed=self.cfg.seed, cached=views),
            np.arange(len(photos)),
            accelerator=self.accelerator,
            views=self.cfg.predict.views,
            batch_size=self.cfg.predict.batch_size,
            workers=0,
        )
        probs = infer_prepared(self.ready, reader, accelerator=self.accelerator, execution=self.execution)
        return joint(self.networks, probs, ids_N, self.space).prob

    def decide(self, prob_NJ: Floats) -> Ints:
        """Return the joint class (N,) of each row."""
        return decided(prob_NJ, self.space, self.decision)


def open_run_model(run: RunDir, overrides: Sequence[str] = (), *, decide: bool = False, report: Reporter) -> RunModel:
    """Load the networks that `predict` would use.

    overrides  of `predict.*` and `device.*` alone.
    decide     use the run's decision rule, see `calibrate`.

    Raises ResultError for a run that is damaged or not finished, UsageError for several processes, and for a rule that
    is fitted on all photos to predict together.
    """
    with report.busy("reading the run"):
        experiment, env = open_experiment(run)
    cfg = with_overrides(experiment.cfg, list(overrides))
    refuse_adapting(cfg, "photos in memory are predicted a few at a time, and networks are adapted to all together")
    note_other_versions(run, report)
    decision = read_decision(run) if decide else None
    refuse_shift(run, decision)
    with report.busy("loading networks"):
        networks = load_networks(experiment, experiment.predicting(env.folds, cfg.predict.networks))
    accelerator = start(cfg.device)
    refuse_several("the prediction of photos in memory")
    first = networks[0].predictor
    work = Workload(
        first.network.backbone, first.network, first.spec.size, cfg.predict.batch_size, images=0, predicted=1, jobs=1
    )
    execution = infer_execution(work, cfg, accelerator.device, listener=listener_of(report))
    ready = [prepare(network.predictor, accelerator, execution) for network in networks]
    origin = {
        "maskcls": maskcls.__version__,
        "run": run.path.resolve().name,
        "decision": files.file_sha256(run.decision) if decide else None,
        "run_hashes": env.hashes,
        "weights": [network.used.to_json() for network in networks],
        "views": cfg.predict.views,
        "networks": cfg.predict.networks,
        "execution": f"{accelerator.device.type} {execution}",
    }
    return RunModel(cfg, networks, ready, accelerator, execution, decision, origin)
