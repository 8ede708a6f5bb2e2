"""The logs of one place in all trackers: of a network while it is trained, of the run when it is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, assert_never

from maskcls.rundir import FoldDir
from maskcls.runs.summary import RunSummary
from maskcls.schema import Config, TrackerName
from maskcls.training.experiment import Experiment
from maskcls.training.tracking.csv_log import CsvLog
from maskcls.training.tracking.guard import Guard
from maskcls.training.tracking.log import RUN, Log, Place
from maskcls.training.tracking.logged import draw_confusions, epoch_values, run_scores, settings_as_text
from maskcls.training.tracking.mlflow_log import MlflowLog
from maskcls.training.tracking.tensorboard_log import TensorBoardLog
from maskcls.training.tracking.wandb_log import WandbLog


def new_log(tracker: TrackerName, place: Place, epochs: int) -> Log:
    """Return a tracker's log of a place whose training has finished so many epochs."""
    match tracker:
        case "csv":
            return CsvLog(place, epochs)
        case "tensorboard":
            return TensorBoardLog(place, epochs)
        case "wandb":
            return WandbLog(place, epochs)
        case "mlflow":
            return MlflowLog(place, epochs)
        case _:
            assert_never(tracker)


class Logs:
    """One place in every tracker that works; a context manager, which closes them."""

    def __init__(self, guard: Guard, place: Place, epochs: int, trackers: Sequence[TrackerName]) -> None:
        self.guard = guard
        made = {name: guard.call(name, partial(new_log, name, place, epochs)) for name in trackers}
        self.logs = {name: log for name, log in made.items() if log is not None}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.each(lambda log: log.close(complete=kind is None))

    def each(self, work: Callable[[Log], object]) -> None:
        """Do something with the log of each tracker."""
        for name, log in self.logs.items():
            self.guard.call(name, partial(work, log))


class NetworkLogs(Logs):
    """The logs of one network; `update` brings them up to date."""

    def __init__(self, guard: Guard, experiment: Experiment, folder: FoldDir, cfg: Config, epochs: int) -> None:
        name = folder.path.relative_to(experiment.run.path).as_posix()
        super().__init__(guard, Place(experiment.run, name, cfg.tracking), epochs, cfg.track)
        self.leaky, self.cfg, self.first_batch = experiment.leaky, cfg, folder.first_batch

    def update(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write what the logs lack of these lines of log.jsonl, which are saved; a new one begins with the settings."""
        self.each(lambda log: self._add(log, history))

    def _add(self, log: Log, history: Sequence[Mapping[str, Any]]) -> None:
        if history and not log.held:
            log.settings(settings_as_text(self.cfg))
            log.picture("first_batch", self.first_batch)
        for epoch in range(log.held, len(history)):
            log.epoch(epoch, epoch_values(history[epoch], leaky=self.leaky))


class RunLogs(Logs):
    """The logs of the whole run; a leaky run has neither scores nor pictures."""

    def __init__(self, guard: Guard, experiment: Experiment) -> None:
        cfg, self.run = experiment.cfg, experiment.run
        super().__init__(guard, Place(experiment.run, RUN, cfg.tracking), 0, cfg.track)
        self.each(lambda log: log.settings(settings_as_text(cfg)))

    def results(self, summary: RunSummary) -> None:
        """Write scores, pictures of confusion, and where the results are."""
        paths = {"summary": self.run.summary, "oof": self.run.oof, "config": self.run.config}
        self.each(lambda log: log.scores(run_scores(summary)))
        for name, path in self._confusions(summary).items():
            self.each(partial(_add_picture, f"confusion/{name}", path))
        for name, path in paths.items():
            if path.exists():
                self.each(partial(_add_file, f"file/{name}", path.resolve()))

    def _confusions(self, summary: RunSummary) -> Mapping[str, Path]:
        """Draw in a guarded thread too: a disk that is full then is no reason to lose the end of a training."""
        if summary.leaky or not self.guard.working:
            return {}
        with Guard(["pictures of the confusion"], self.guard.report) as guard:
            return guard.call("pictures of the confusion", partial(draw_confusions, self.run)) or {}


def _add_picture(name: str, path: Path, log: Log) -> None:
    log.picture(name, path)


def _add_file(name: str, path: Path, log: Log) -> None:
    log.file(name, path)
