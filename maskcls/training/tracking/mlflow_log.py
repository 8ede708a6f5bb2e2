"""MLflow: a run per place; the networks' runs are below that of the whole run. The store is a database by default."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from maskcls.training.tracking.log import LAST, RUN, Place

# Before the import, which reads them: no usage statistics, and a server that is gone is noticed soon.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
PARENT = "mlflow.parentRunId"  # MLflow's own name
SQLITE = "sqlite:///"
MOST_PARAMS = 100  # in one call


class MlflowLog:
    """A log as a run of MLflow; see `log.Log`."""

    def __init__(self, place: Place, epochs: int) -> None:
        self.place = place
        known = place.read_identity("mlflow")
        self.id: str | None = known["id"] if known else None
        self.held = self._epochs_in(self.id) if self.id else 0
        if self.held > epochs:
            self.id, self.held = None, 0

    @cached_property
    def client(self) -> Any:
        """The connection to the store."""
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        from mlflow.tracking import MlflowClient

        self.place.run.tracking.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=self.place.how.mlflow or f"{SQLITE}{self.place.run.mlflow_store.resolve()}")

    @cached_property
    def run(self) -> str:
        """The id of the run, begun or continued."""
        if self.id is not None:
            self.client.update_run(self.id, status="RUNNING")
            return self.id
        tags = {}
        if self.place.name != RUN:
            whole = replace(self.place, name=RUN).read_identity("mlflow")
            assert whole is not None  # the log of the whole run begins before those of its networks
            tags[PARENT] = whole["id"]
        made: str = self.client.create_run(self._experiment(), tags=tags, run_name=self.place.title).info.run_id
        self.place.keep_identity("mlflow", {"id": made})
        return made

    def _experiment(self) -> str:
        project = self.place.how.project
        if found := self.client.get_experiment_by_name(project):
            return str(found.experiment_id)
        return str(self.client.create_experiment(project, artifact_location=files_location(self.place)))

    def _epochs_in(self, run: str) -> int:
        return max((one.step + 1 for one in self.client.get_metric_history(run, LAST)), default=0)

    def settings(self, settings: Mapping[str, str]) -> None:
        """Write the settings as parameters."""
        from mlflow.entities import Param

        params = [Param(key, value) for key, value in settings.items()]
        for first in range(0, len(params), MOST_PARAMS):
            self.client.log_batch(self.run, params=params[first : first + MOST_PARAMS])

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the numbers of one step, all at once."""
        self._metrics(values, epoch)
        self.held = epoch + 1

    def scores(self, values: Mapping[str, float]) -> None:
        """Write the scores as metrics of step 0; those that have not changed are there already."""
        known = self.client.get_run(self.run).data.metrics
        self._metrics({name: value for name, value in values.items() if known.get(name) != value}, 0)

    def _metrics(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now_ms = round(time.time() * 1000)
        metrics = [Metric(name, value, now_ms, step) for name, value in values.items()]
        self.client.log_batch(self.run, metrics=metrics)

    def picture(self, name: str, path: Path) -> None:
        """Copy the picture into the store of files, in the folder of its name."""
        self.client.log_artifact(self.run, str(path), artifact_path=name)

    def file(self, name: str, path: Path) -> None:
        """Write the path as a tag."""
        self.client.set_tag(self.run, name, str(path))

    def close(self, *, complete: bool) -> None:
        """Mark the run as ended, if it was begun."""
        if "run" in self.__dict__:
            self.client.set_terminated(self.run, status="FINISHED" if complete else "FAILED")


def absolute_store(store: str | None) -> str | None:
    """Name the file of a database absolutely, so that a run can be resumed from any folder; other stores as they are.

    >>> absolute_store("http://localhost:5000"), absolute_store("sqlite:////a/b.db")
    ('http://localhost:5000', 'sqlite:////a/b.db')
    """
    if store is None or not store.startswith(SQLITE):
        return store
    return f"{SQLITE}{Path(store.removeprefix(SQLITE)).expanduser().resolve()}"


def files_location(place: Place) -> str | None:
    """Return where files go: beside a database; None: a server decides."""
    store = place.how.mlflow
    if store is None:
        return place.run.mlflow_files.resolve().as_uri()
    if not store.startswith(SQLITE):
        return None
    return Path(store.removeprefix(SQLITE)).resolve().with_suffix(".files").as_uri()
