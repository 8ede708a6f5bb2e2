"""wandb and MLflow: what they are asked for, with stand-ins for the packages; and the real ones where installed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskcls.rundir import FoldDir, RunDir
from maskcls.schema import Config, TrackingConfig
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import with_absolute_paths
from maskcls.training.tracking import logs, mlflow_log, wandb_log
from maskcls.training.tracking.guard import Guard
from maskcls.training.tracking.log import RUN, Place
from maskcls.training.tracking.mlflow_log import MlflowLog, files_location
from maskcls.training.tracking.wandb_log import WandbLog


def place(folder: Path, network: str = "fold0", /, **how: str) -> Place:
    return Place(RunDir(folder), network, TrackingConfig(**how))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what the trackers set in the environment."""
    for name in ("WANDB_MODE", *wandb_log.QUIET, *mlflow_log.QUIET):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]


# ---- wandb -----------------------------------------------------------------------------------------------------------


class FakeRun:
    """A run of wandb: it has made its folder, and keeps what it gets."""

    def __init__(self, given: dict[str, Any], starting_step: int) -> None:
        self.given, self.starting_step = given, starting_step
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.summary: dict[str, Any] = {}
        self.config = SimpleNamespace(update=lambda values, **_: self.summary.update(config=values))
        self.exit_code: int | None = None
        prefix = "offline-run" if given["mode"] == "offline" else "run"
        self.folder = Path(given["dir"]) / "wandb" / f"{prefix}-{len(FakeWandb.runs)}-{given['id']}"
        self.folder.mkdir(parents=True)

    def log(self, values: dict[str, float], *, step: int) -> None:
        self.rows.append((step, values))

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


class FakeWandb(ModuleType):
    runs: list[FakeRun]
    starting_step = 0

    def init(self, **given: Any) -> FakeRun:
        self.runs.append(FakeRun(given, self.starting_step))
        return self.runs[-1]

    Settings = staticmethod(dict)
    Image = staticmethod(lambda path: f"image {path}")


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb("wandb")
    FakeWandb.runs = []
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_wandb_is_offline_and_silent_unless_asked_otherwise(wandb: FakeWandb, tmp_path: Path) -> None:
    WandbLog(place(tmp_path / "a", project="p", name="n"), 0).scores({})
    given = wandb.runs[0].given
    assert {name: given[name] for name in ("mode", "project", "name", "group", "resume")} == {
        **{"mode": "offline", "project": "p", "name": "n/fold0", "group": "n", "resume": None},
    }
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"
    settings = given["settings"]
    assert (settings["silent"], settings["console"], settings["x_disable_stats"]) == (True, "off", True)
    os.environ["WANDB_MODE"] = "online"
    WandbLog(place(tmp_path / "b"), 0).scores({})
    assert (wandb.runs[1].given["mode"], wandb.runs[1].given["resume"]) == ("online", "allow")
    assert wandb.runs[1].given["project"] == "maskcls"
    assert wandb.runs[1].given["name"] == "b/fold0"


def test_a_finished_part_of_a_wandb_run_is_kept_and_goes_on_under_the_same_id(wandb: FakeWandb, tmp_path: Path) -> None:
    log = WandbLog(place(tmp_path), 0)
    log.settings({"seed": "3", "track": '["wandb"]'})
    log.epoch(0, {"train/loss": 2.0})
    log.close(complete=False)
    assert wandb.runs[0].exit_code == 1
    assert wandb.runs[0].summary["config"] == {"seed": 3, "track": ["wandb"]}
    again = WandbLog(place(tmp_path), 1)
    assert again.held == 1
    again.epoch(1, {"train/loss": 1.0})
    again.close(complete=True)
    assert [run.rows for run in wandb.runs] == [[(0, {"train/loss": 2.0})], [(1, {"train/loss": 1.0})]]
    assert wandb.runs[0].given["id"] == wandb.runs[1].given["id"]
    assert all(run.folder.is_dir() for run in wandb.runs)


def test_a_killed_part_of_a_wandb_run_is_written_again(wandb: FakeWandb, tmp_path: Path) -> None:
    WandbLog(place(tmp_path), 0).epoch(0, {"train/loss": 2.0})  # never closed: the process was killed
    again = WandbLog(place(tmp_path), 1)
    assert again.held == 0
    again.epoch(0, {"train/loss": 2.0})
    assert [run.folder.exists() for run in wandb.runs] == [False, True]
    assert wandb.runs[0].given["id"] == wandb.runs[1].given["id"]


def test_a_server_of_wandb_gets_no_step_twice(
    wandb: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    wandb.starting_step = 2  # what the server has of the process that was killed
    log = WandbLog(place(tmp_path), 3)
    for epoch in range(3):
        log.epoch(epoch, {"train/loss": float(epoch)})
    assert wandb.runs[0].rows == [(2, {"train/loss": 2.0})]


def test_a_wandb_run_that_nothing_was_written_to_leaves_nothing(wandb: FakeWandb, tmp_path: Path) -> None:
    WandbLog(place(tmp_path), 0).close(complete=True)
    assert wandb.runs == []
    assert list(tmp_path.iterdir()) == []


def test_the_real_wandb_works_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(picture)
    for epochs in (0, 1):
        log = WandbLog(place(tmp_path), epochs)
        assert log.held == epochs
        log.settings({"seed": "3"})
        log.picture("first_batch", picture)
        log.epoch(epochs, {"train/loss": 2.0})
        log.close(complete=True)
    assert len(list((tmp_path / "tracking/wandb/fold0/wandb").glob("offline-run-*/run-*.wandb"))) == 2


# ---- MLflow ----------------------------------------------------------------------------------------------------------


def test_the_store_of_mlflow_is_in_the_run_folder_unless_given(tmp_path: Path) -> None:
    run = tmp_path / "r"
    assert files_location(place(run)) == (run / "tracking/mlflow-files").as_uri()
    assert files_location(place(run, mlflow=f"sqlite:///{tmp_path}/all.db")) == (tmp_path / "all.files").as_uri()
    assert files_location(place(run, mlflow="http://localhost:5000")) is None


def test_a_relative_store_of_mlflow_is_named_absolutely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cfg = with_absolute_paths(Config(tracking=TrackingConfig(mlflow="sqlite:///all.db")))
    assert cfg.tracking.mlflow == f"sqlite:///{tmp_path}/all.db"


class FakeClient:
    """A store of MLflow in memory."""

    stores: dict[str, FakeClient]

    def __init__(self, tracking_uri: str) -> None:
        known = self.stores.setdefault(tracking_uri, self)
        if known is self:
            self.runs: list[dict[str, Any]] = []
            self.experiments: dict[str, str | None] = {}
        self.store = known

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=name) if name in self.store.experiments else None

    def create_experiment(self, name: str, artifact_location: str | None) -> str:
        self.store.experiments[name] = artifact_location
        return name

    def create_run(self, experiment: str, *, tags: dict[str, str], run_name: str) -> Any:
        run = {"experiment": experiment, "tags": dict(tags), "name": run_name, "status": "RUNNING"}
        self.store.runs.append(run | {"metrics": [], "params": {}, "files": []})
        return SimpleNamespace(info=SimpleNamespace(run_id=str(len(self.store.runs) - 1)))

    def get_metric_history(self, run: str, name: str) -> list[Any]:
        return [one for one in self.store.runs[int(run)]["metrics"] if one.key == name]

    def get_run(self, run: str) -> Any:
        metrics = {one.key: one.value for one in self.store.runs[int(run)]["metrics"]}
        return SimpleNamespace(data=SimpleNamespace(metrics=metrics))

    def log_batch(self, run: str, metrics: Any = (), params: Any = ()) -> None:
        assert len(params) <= 100
        self.store.runs[int(run)]["metrics"] += metrics
        self.store.runs[int(run)]["params"] |= {one.key: one.value for one in params}

    def log_artifact(self, run: str, path: str, artifact_path: str) -> None:
        self.store.runs[int(run)]["files"].append((artifact_path, path))

    def set_tag(self, run: str, name: str, value: str) -> None:
        self.store.runs[int(run)]["tags"][name] = value

    def update_run(self, run: str, status: str) -> None:
        self.store.runs[int(run)]["status"] = status

    set_terminated = update_run


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    package, tracking, entities = (ModuleType(name) for name in ("mlflow", "mlflow.tracking", "mlflow.entities"))
    tracking.MlflowClient = FakeClient  # type: ignore[attr-defined]
    entities.Param = lambda key, value: SimpleNamespace(key=key, value=value)  # type: ignore[attr-defined]
    entities.Metric = lambda key, value, time_ms, step: SimpleNamespace(key=key, value=value, step=step)  # type: ignore[attr-defined]
    for module in (package, tracking, entities):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    FakeClient.stores = {}
    return FakeClient


def test_mlflow_has_a_run_per_network_below_that_of_the_whole_run(mlflow: type[FakeClient], tmp_path: Path) -> None:
    whole = MlflowLog(place(tmp_path, RUN, project="p", name="n"), 0)
    whole.settings({f"key{i}": str(i) for i in range(130)})
    log = MlflowLog(place(tmp_path, project="p", name="n"), 0)
    log.epoch(0, {"val/age": 0.5, "train/loss": 2.0})
    log.picture("first_batch", Path("a.png"))
    log.close(complete=False)
    whole.file("file/oof", Path("oof.npz"))
    whole.scores({"oof/macro_f1": 0.5})
    whole.scores({"oof/macro_f1": 0.5})
    whole.close(complete=True)
    ((uri, store),) = mlflow.stores.items()
    assert uri == f"sqlite:///{tmp_path}/tracking/mlflow.db"
    assert store.experiments == {"p": (tmp_path / "tracking/mlflow-files").as_uri()}
    run, fold = store.runs
    assert (run["name"], run["status"], run["tags"]) == ("n", "FINISHED", {"file/oof": "oof.npz"})
    assert len(run["params"]) == 130
    assert [(one.key, one.step, one.value) for one in run["metrics"]] == [("oof/macro_f1", 0, 0.5)]
    assert (fold["name"], fold["status"]) == ("n/fold0", "FAILED")
    assert fold["tags"] == {"mlflow.parentRunId": "0"}
    assert fold["files"] == [("first_batch", "a.png")]
    assert [(one.key, one.step) for one in fold["metrics"]] == [("val/age", 0), ("train/loss", 0)]


def test_a_resumed_mlflow_run_is_the_same_run(mlflow: type[FakeClient], tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/all.db"
    MlflowLog(place(tmp_path, RUN, mlflow=store), 0).settings({"seed": "0"})
    MlflowLog(place(tmp_path, mlflow=store), 0).epoch(0, {"train/loss": 2.0})
    again = MlflowLog(place(tmp_path, mlflow=store), 1)
    assert again.held == 1
    again.epoch(1, {"train/loss": 1.0})
    assert list(mlflow.stores) == [store]
    assert len(mlflow.stores[store].runs) == 2
    assert [one.step for one in mlflow.stores[store].runs[1]["metrics"]] == [0, 1]
    begun_anew = MlflowLog(place(tmp_path, mlflow=store), 0)
    assert begun_anew.held == 0
    begun_anew.epoch(0, {"train/loss": 3.0})
    assert len(mlflow.stores[store].runs) == 3


def test_the_real_mlflow_keeps_each_epoch_once_in_its_database(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(picture)
    whole = MlflowLog(place(tmp_path, RUN), 0)
    whole.settings({"seed": "0"})
    for epochs in (0, 1):
        log = MlflowLog(place(tmp_path), epochs)
        assert log.held == epochs
        log.epoch(epochs, {"train/loss": 2.0 - epochs})
        log.picture("first_batch", picture)
        log.close(complete=True)
    run = json.loads((tmp_path / "tracking/mlflow/fold0/log.json").read_text())["id"]
    history = whole.client.get_metric_history(run, "train/loss")
    assert sorted((one.step, one.value) for one in history) == [(0, 2.0), (1, 1.0)]
    assert len(list((tmp_path / "tracking/mlflow-files").rglob("first_batch/a.png"))) == 1


# ---- from the configuration ------------------------------------------------------------------------------------------


def test_trackers_get_the_settings_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kinds of place, a network's and the run's: `track` names the trackers, `tracking` how they log."""
    made: list[tuple[str, str, TrackingConfig]] = []
    monkeypatch.setattr(logs, "new_log", lambda name, at, _: made.append((name, at.name, at.how)))
    how = TrackingConfig(project="p", name="n", mlflow="http://localhost:5000")
    cfg, run = Config(track=("csv", "mlflow"), tracking=how), RunDir(tmp_path)
    experiment: Any = SimpleNamespace(run=run, leaky=False, cfg=cfg)
    with Reporter(quiet=True) as report, Guard(cfg.track, report) as guard:
        logs.NetworkLogs(guard, experiment, FoldDir(tmp_path / "fold1"), cfg, 0)
        logs.RunLogs(guard, experiment)
    assert made == [(name, network, how) for network in ("fold1", RUN) for name in ("csv", "mlflow")]
