"""A training whose networks are jobs: the bytes of one process, on every engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from job_engines import has_slurm, run_inline, started, wait_until
from tiny import contents, outcome, resume, train

from maskcls import config
from maskcls.cli import run_app
from maskcls.files.file_locks import is_locked
from maskcls.jobs.queue import QueuedJob, new_queue, read_queue, write_queue
from maskcls.jobs.request import TrainRequest, read_request, write_request
from maskcls.rundir import JobsDir, RunDir

ON = ("--on", "local:2")


@pytest.fixture(scope="module")
def serial(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run whose folds were trained in one process."""
    run = tmp_path_factory.mktemp("serial") / "run"
    assert train(drawn, run) == 0
    return run


def test_jobs_leave_the_same_bytes(
    drawn: Path, serial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, opened = tmp_path / "run", run_inline(monkeypatch)
    assert train(drawn, run, *ON, "--json") == 0
    assert contents(run) == contents(serial)
    assert len(outcome(run)) == 3 + 2 * 7
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert json.loads(out)["summary"]["pooled"] == json.loads((serial / "summary.json").read_text())["pooled"]
    (engine,) = opened
    assert engine.submitted == ["prepare 1", "fold0 1", "fold1 1", "finish 1"]
    assert engine.closed == [True]
    assert not RunDir(run).jobs.path.exists()
    assert "fold 1: done, epoch 2 of 2" in err
    origins = [json.loads((made / "env.json").read_text())["origins"] for made in (serial, run)]
    assert origins[0] == origins[1]
    assert resume(run, *ON) == 0  # nothing to do
    assert len(opened) == 1


@pytest.mark.slow
def test_further_networks_are_jobs_of_their_own(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seeds, each refitted on all rows: the folds are scored first, as the median of their epochs is used."""
    words = ("train.seeds=2", "train.refit=true", "train.epochs=1")
    one, run, opened = tmp_path / "one", tmp_path / "run", run_inline(monkeypatch)
    assert train(drawn, one, *words) == 0
    assert train(drawn, run, *words, *ON) == 0
    assert contents(run) == contents(one)
    (engine,) = opened
    folds = [f"members-seed{seed}-fold{k} 1" for seed in (0, 1) for k in (0, 1)]
    refits = [f"members-seed{seed}-refit 1" for seed in (0, 1)]
    assert engine.submitted == ["prepare 1", *folds, "finish 1", *refits, "finish 2"]


@pytest.mark.slow
def test_an_unfinished_run_is_finished_by_jobs(
    drawn: Path, serial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, opened = tmp_path / "run", run_inline(monkeypatch)
    assert train(drawn, run, "--folds", "0") == 0
    assert resume(run, "--folds", "1", *ON) == 0
    assert [engine.submitted for engine in opened] == [["fold1 1", "finish 1"]]
    assert sorted(outcome(run)) == sorted(outcome(serial))


def test_an_error_of_a_job_is_the_error_of_the_command(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run_inline(monkeypatch)
    assert train(drawn, run, *ON, "optim.lr=1e30", "schedule.warmup_epochs=0") == 8
    message = capsys.readouterr().err
    assert "error[diverged] training diverged" in message
    assert f"job fold 0, log {run / 'jobs' / 'fold0' / 'log-1.txt'}" in message.replace("\n    ", " ")
    assert "lower optim.lr" in message
    assert read_queue(RunDir(run).jobs) is not None


def test_what_is_wrong_with_data_is_said_and_train_can_be_given_again(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, opened = tmp_path / "run", run_inline(monkeypatch)
    assert train(drawn, run, *ON, "folds.k=99") == 4
    assert "job preparing the run" in " ".join(capsys.readouterr().err.split())
    assert train(drawn, run, *ON, "train.epochs=1") == 0
    assert [engine.submitted[0] for engine in opened if engine.submitted] == ["prepare 1", "prepare 1"]


def test_a_job_that_is_not_wanted_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM may start a job late: after its command was given up and the jobs were taken over, or deleted."""
    from maskcls.jobs import job

    monkeypatch.setattr(job, "_obey_signals", lambda: None)
    jobs = RunDir(tmp_path).jobs
    jobs.job("fold0").path.mkdir(parents=True)
    assert job.run_job(jobs, "fold0", 1) == 0  # no queue
    write_queue(jobs, new_queue("slurm").with_job(QueuedJob(name="fold0", kind="network", title="", attempt=2)))
    assert job.run_job(jobs, "fold0", 1) == 0
    assert not jobs.job("fold0").log(1).exists()
    shutil.rmtree(jobs.path)
    assert job.run_job(jobs, "fold0", 1) == 6
    assert not jobs.path.exists()


def test_a_request_keeps_every_setting(tmp_path: Path) -> None:
    jobs = JobsDir(tmp_path / "jobs")
    for name in ("multi", "joint", "separate", "faces_best", "swin_large_gpu"):
        asked = TrainRequest(data="/faces", config=config.load(Path(name))[0], folds="0", origins={"seed": "x"})
        write_request(jobs, asked)
        assert read_request(jobs, TrainRequest) == asked


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--on", "slrum"], "did you mean slurm?"),
        (["--on", "local:2", "--dry-run"], "--dry-run submits no jobs"),
        (["--on", "slurm:shards=2"], "one job for each network"),
    ],
)
def test_what_cannot_be_given_together(
    drawn: Path, tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["train", str(drawn), "--run", str(tmp_path / "run"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_without_the_extra_one_message(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("maskcls.config.installed_extras.find_spec", lambda name: None)
    for on, extra in (("local:2", "jobs"), ("slurm", "jobs"), ("ray", "ray")):
        assert train(drawn, tmp_path / "run", "--on", on) == 6
        assert f"pip install 'maskcls[{extra}]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# ---- the engines themselves ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(find_spec("submitit") is None, reason="needs submitit")
def test_local_jobs_outlive_their_command(drawn: Path, serial: Path, tmp_path: Path) -> None:
    """The command is killed while jobs work; one job is killed too. The next command ends with the same bytes."""
    run = tmp_path / "run"
    jobs = RunDir(run).jobs
    command = started(drawn, run, "--on", "local:1")
    wait_until(lambda: jobs.job("fold0").log(1).exists() or jobs.job("fold1").log(1).exists())
    command.send_signal(signal.SIGKILL)
    command.wait()
    living = [job for job in jobs.all_jobs() if is_locked(job.lock_file)]
    assert len(living) == 2  # one at work, the other waiting for its turn
    assert len([job for job in living if job.log(1).exists()]) == 1
    assert resume(run) == 7
    number = int(living[0].lock_file.read_text().split()[1])
    os.kill(number, signal.SIGKILL)
    assert resume(run, "--on", "local:1") == 0
    assert contents(run) == contents(serial)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("submitit") is None, reason="needs submitit")
def test_local_predictions_have_the_same_bytes(drawn: Path, serial: Path, tmp_path: Path) -> None:
    photos = str(drawn / "eval" / "images")
    for folder, words in (("one", []), ("jobs", ["--on", "local:2"])):
        (tmp_path / folder).mkdir()
        assert run_app(["predict", str(serial), photos, "-o", str(tmp_path / folder / "a.csv"), *words]) == 0
    made = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "jobs")]
    assert sorted(made[0]) == ["a.csv", "a.json"]
    assert made[0] == made[1]


@pytest.mark.slow
@pytest.mark.skipif(not has_slurm(), reason="needs a SLURM that answers")
def test_slurm_gives_the_same_bytes_and_a_cancelled_job_is_tried_again(
    drawn: Path, serial: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    jobs = RunDir(run).jobs
    command = started(drawn, run, "--on", "slurm:cpus=1,mem=1GB,time=10m")
    wait_until(lambda: jobs.job("fold0").log(1).exists())
    queue = read_queue(jobs)
    assert queue is not None
    job = queue.job("fold0")
    assert job is not None
    subprocess.run(["scancel", "--me", f"--name={queue.engine_name(job)}"], check=True, timeout=30)
    assert command.wait(300) == 0
    assert contents(run) == contents(serial)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs ray")
def test_ray_gives_the_same_bytes_and_a_killed_job_is_tried_again(drawn: Path, serial: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    jobs = RunDir(run).jobs
    command = started(drawn, run, "--on", "ray:cpus=0.5")
    wait_until(lambda: jobs.job("fold0").log(1).exists())
    os.kill(int(jobs.job("fold0").lock_file.read_text().split()[1]), signal.SIGKILL)
    wait_until(lambda: jobs.job("fold0").log(2).exists())
    assert command.wait(500) == 0
    assert contents(run) == contents(serial)
