"""The jobs of a run are shown and ended by another command than theirs, and go on afterwards with the same bytes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from job_engines import Scripted, has_slurm, run_inline, started, wait_until
from test_watching import ALIVE, DEAD, job, watch
from tiny import contents, resume, train

from maskcls.cli import run_app
from maskcls.commands.runs.jobs import run_jobs
from maskcls.errors import DataError, ResourceError
from maskcls.files.file_locks import is_locked
from maskcls.jobs import job as job_process
from maskcls.jobs.ending import are_to_end, ask_to_end, end_jobs, until_unwatched
from maskcls.jobs.engines.engine import JobStart, JobState
from maskcls.jobs.engines.local_jobs import LocalJobs, process_lives
from maskcls.jobs.job_folders import jobs_of
from maskcls.jobs.queue import JobQueue, QueuedJob, new_queue, write_queue
from maskcls.jobs.request import PredictRequest, write_request
from maskcls.jobs.result import write_result
from maskcls.jobs.running import living_jobs
from maskcls.rundir import JobsDir, RunDir
from maskcls.runs.locks import run_lock

SLURM = "slurm:cpus=1,mem=1GB,time=10m"


@pytest.fixture(scope="module")
def serial(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run whose folds were trained in one process; tests write nothing into it."""
    run = tmp_path_factory.mktemp("serial") / "run"
    assert train(drawn, run) == 0
    return run


def queued(jobs: JobsDir, *names: str, engine: str = "slurm") -> JobQueue:
    """Write a queue with these jobs."""
    queue = new_queue(engine)
    for name in names:
        queue = queue.with_job(QueuedJob(name=name, kind="network", title=name.replace("fold", "fold ")))
    jobs.path.mkdir(parents=True, exist_ok=True)
    write_queue(jobs, queue)
    return queue


def dies_after(questions: int) -> Callable[[list[JobStart]], Mapping[str, JobState]]:
    """Return what says of all jobs that they are alive, so many times."""
    asked = list[int]()

    def after(starts: list[JobStart]) -> Mapping[str, JobState]:
        asked.append(1)
        return {start.name: ALIVE if len(asked) <= questions else DEAD for start in starts}

    return after


def test_jobs_that_are_alive_are_cancelled_once_and_waited_for(tmp_path: Path) -> None:
    jobs = JobsDir(tmp_path / "jobs")
    queue = queued(jobs, "fold0", "fold1", "fold2")
    write_result(jobs.job("fold1"), 1)  # has ended
    engine, waits = Scripted(dies_after(3)), list[float]()
    ended = end_jobs(jobs, queue, engine, wait=waits.append, clock=lambda: 0.0)
    assert [one.name for one in ended] == ["fold0", "fold2"]
    assert engine.cancelled == ["fold0", "fold2"]
    assert len(waits) == 3
    assert end_jobs(jobs, queue, engine, wait=waits.append, clock=lambda: 0.0) == []
    assert engine.cancelled == ["fold0", "fold2"]


def test_a_job_whose_process_holds_its_lock_has_not_ended(tmp_path: Path) -> None:
    """Ray says that an actor is gone while its process still saves."""
    jobs = JobsDir(tmp_path / "jobs")
    queue = queued(jobs, "fold0")
    times = iter([0.0, 1.0, 2.0, 3.0])
    with run_lock.lock_new(RunDir(jobs.job("fold0").path)), pytest.raises(ResourceError) as raised:
        end_jobs(jobs, queue, Scripted(dies_after(1)), wait=lambda _: None, clock=lambda: next(times), most_s=2.5)
    assert raised.value.what == "jobs have not ended"
    assert raised.value.offenders == ("fold 0",)
    assert end_jobs(jobs, queue, Scripted(dies_after(0)), wait=lambda _: None, clock=lambda: 0.0) == []


def test_a_job_with_a_damaged_result_is_at_work_if_the_engine_says_so(tmp_path: Path) -> None:
    """An earlier attempt may have left the file; a job that is at work would write into a folder deleted under it."""
    jobs = JobsDir(tmp_path / "jobs")
    queue = queued(jobs, "fold0", "fold1")
    for name in ("fold0", "fold1"):
        write_result(jobs.job(name), 1)
    jobs.job("fold1").result.write_text("{")
    alive = Scripted(lambda starts: {start.name: ALIVE for start in starts})
    dead = Scripted(lambda starts: {start.name: DEAD for start in starts})
    assert [one.name for one in living_jobs(jobs, queue, alive) or ()] == ["fold1"]
    assert living_jobs(jobs, queue, dead) == []


def test_an_engine_without_an_answer_is_an_error(tmp_path: Path) -> None:
    jobs = JobsDir(tmp_path / "jobs")
    queue = queued(jobs, "fold0")
    times = iter([0.0, 1.0, 9.0])
    with pytest.raises(ResourceError, match="does not answer"):
        end_jobs(jobs, queue, Scripted(lambda _: None), wait=lambda _: None, clock=lambda: next(times), most_s=2.0)


def test_the_command_that_watches_is_waited_for_but_not_for_ever() -> None:
    watched, times, waits = iter([True, True, False]), iter([0.0, 1.0, 2.0, 3.0]), list[float]()
    until_unwatched(lambda: next(watched), wait=waits.append, clock=lambda: next(times), most_s=9.0)
    assert len(waits) == 2
    until_unwatched(lambda: True, wait=waits.append, clock=iter([0.0, 1.0, 2.0]).__next__, most_s=2.0)
    assert len(waits) == 3


def test_ray_is_asked_when_nobody_watches_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cluster may end with the command that watches. Jobs that ended with it count as ended."""
    run = RunDir(tmp_path / "run")
    queued(run.jobs, "fold0", "fold1", "fold2", engine="ray")
    write_result(run.jobs.job("fold1"), 1)
    locked, unlocked = threading.Event(), threading.Event()

    def watch() -> None:
        with run_lock.lock_new(run):
            locked.set()
            while not are_to_end(run.jobs):
                time.sleep(0.01)
        unlocked.set()

    def opened(*_: object) -> Scripted:
        assert unlocked.is_set()
        return Scripted(dies_after(0))

    monkeypatch.setattr("maskcls.commands.runs.jobs.open_engine", opened)
    thread = threading.Thread(target=watch)
    thread.start()
    locked.wait(30)
    assert run_jobs(run.path, cancel=True).cancelled == 2
    thread.join()
    assert run_jobs(run.path, cancel=True).cancelled == 0


def test_a_command_that_watches_ends_and_submits_nothing_again(tmp_path: Path) -> None:
    jobs = JobsDir(tmp_path / "run" / "jobs")
    rounds = list[int]()

    def after(starts: list[JobStart]) -> Mapping[str, JobState]:
        rounds.append(1)
        if len(rounds) == 2:
            assert ask_to_end(jobs)
        return {start.name: ALIVE if len(rounds) < 2 else DEAD for start in starts}

    engine = Scripted(after)
    with pytest.raises(ResourceError) as raised:
        watch(jobs, engine).until_done([job("fold0")])
    assert (raised.value.what, raised.value.where) == ("the jobs were ended", str(tmp_path / "run"))
    assert raised.value.fix == "to go on: maskcls resume"
    assert len(engine.submitted) == 1
    assert len(rounds) == 2


def test_a_job_that_starts_late_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_process, "_obey_signals", lambda: None)
    jobs = RunDir(tmp_path).jobs
    queued(jobs, "fold0")
    jobs.job("fold0").path.mkdir(parents=True)
    assert ask_to_end(jobs)
    assert job_process.run_job(jobs, "fold0", 1) == 0
    assert not jobs.job("fold0").log(1).exists()


def test_nothing_is_made_where_the_command_has_just_ended(tmp_path: Path) -> None:
    jobs = RunDir(tmp_path).jobs
    assert not ask_to_end(jobs)
    jobs.path.mkdir()  # the rest of a folder that is being deleted
    assert not ask_to_end(jobs)
    assert not jobs.path.exists()


def test_resume_goes_on_with_the_same_bytes(
    drawn: Path, serial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two folds one is trained; then the jobs were ended. The same engine, and no engine, finish the run."""
    part = tmp_path / "part"
    assert train(drawn, part, "--folds", "0") == 0
    for name, words in (("same", ("--on", "local:2")), ("none", ())):
        run = tmp_path / name
        shutil.copytree(part, run)
        opened = run_inline(monkeypatch)
        monkeypatch.setattr("maskcls.commands.runs.jobs.open_engine", lambda *_: Scripted(dies_after(0)))
        queued(RunDir(run).jobs, "fold1", engine="local:2")
        capsys.readouterr()
        assert run_app(["runs", "jobs", str(run), "--cancel", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["cancelled"], told["ended"]) == (0, True)
        assert told["again"] == f"maskcls resume {run} --on local:2"
        assert resume(run, "--folds", "1", *words) == 0
        assert contents(run) == contents(serial)
        assert [engine.submitted for engine in opened if engine.submitted] == (
            [["fold1 1", "finish 1"]] if words else []
        )
        assert [engine.closed for engine in opened if engine.submitted] == ([[True]] if words else [])
        assert not RunDir(run).jobs.path.exists()


def test_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each state once, of a run that is not prepared yet."""
    jobs = RunDir(tmp_path).jobs
    queue = queued(jobs, *(f"fold{k}" for k in range(7)))
    states = {
        "fold0": JobState(True, "PENDING, Resources"),
        "fold1": JobState(True, "RUNNING"),
        "fold2": JobState(True, "RUNNING"),
        "fold6": JobState(False, "CANCELLED"),
    }
    write_result(jobs.job("fold3"), 1)
    write_result(jobs.job("fold4"), 1, DataError("no photo", where="a.jpg"))
    write_result(jobs.job("fold5"), 1, bug="Traceback")
    jobs.job("fold2").path.mkdir()
    jobs.job("fold2").log(1).write_text("")
    names = {queue.engine_name(one): one.name for one in queue.jobs}
    engine = Scripted(lambda starts: {start.name: states[names[start.name]] for start in starts})
    monkeypatch.setattr("maskcls.commands.runs.jobs.open_engine", lambda *_: engine)
    assert run_app(["runs", "jobs", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    said = " ".join(lines)
    assert "7 jobs of --on slurm; no command watches them" in said
    shown = [line.strip() for line in lines if line.startswith("  fold")]
    assert shown == [
        "fold 0: waiting (PENDING, Resources)",
        "fold 1: starting (RUNNING)",
        "fold 2: at work (RUNNING)",
        "fold 3: done",
        "fold 4: failed (no photo)",
        "fold 5: failed (a bug in maskcls)",
        "fold 6: gone (CANCELLED)",
    ]
    assert "go on with: the same train command" in said
    assert not are_to_end(jobs)
    assert engine.cancelled == []
    monkeypatch.setattr("maskcls.commands.runs.jobs.open_engine", lambda *_: Scripted(lambda _: None))
    assert run_app(["runs", "jobs", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["jobs"]
    assert [one["state"] for one in told] == ["unknown"] * 3 + ["done", "failed", "failed", "unknown"]


def test_jobs_of_a_prediction_are_named_by_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.csv"
    jobs = jobs_of(output)
    queued(jobs, "shard1")
    write_request(jobs, PredictRequest(folder="/", words=("predict", "run", "my photos", "-o", "a.csv"), shards={}))
    engine = Scripted(dies_after(1))
    monkeypatch.setattr("maskcls.commands.runs.jobs.open_engine", lambda *_: engine)
    assert run_app(["runs", "jobs", str(output), "--cancel", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["cancelled"], told["jobs"][0]["state"]) == (1, "gone")
    assert told["again"] == "maskcls predict run 'my photos' -o a.csv --on slurm"
    assert engine.cancelled == ["shard1"]


def test_without_jobs_nothing_is_done(serial: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--cancel"]):
        assert run_app(["runs", "jobs", str(serial), *words]) == 0
        assert "no jobs; a command with --on forgets them" in " ".join(capsys.readouterr().out.split())
    assert run_app(["runs", "jobs", str(tmp_path / "absent"), "--cancel"]) == 9
    assert "this is not a run" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("submitit") is None, reason="needs submitit")
def test_a_local_job_of_another_command_is_found_by_its_lock(tmp_path: Path) -> None:
    """A process is only ended if it is a job; one on another machine is not looked for here."""
    jobs = JobsDir(tmp_path / "jobs")
    lock = jobs.job("fold0").lock_file
    lock.parent.mkdir(parents=True)
    holding = (
        "import fcntl, os, platform, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
        "f.write(f'process {os.getpid()} on {sys.argv[2] or platform.node()} since 2026'); f.flush();"
        "print(flush=True); time.sleep(60)"
    )
    start, ended = JobStart("x", "fold0", []), list[bool]()
    for words in (["", "maskcls.jobs"], ["", "other"], ["elsewhere", "maskcls.jobs"]):
        command = [sys.executable, "-c", holding, str(lock), *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                if words[0]:
                    with pytest.raises(ResourceError, match="a job works on another machine"):
                        LocalJobs(jobs).cancel(start)
                else:
                    LocalJobs(jobs).cancel(start)
                if words == ["", "maskcls.jobs"]:
                    process.wait(30)
                ended.append(not process_lives(process.pid))
            finally:
                process.kill()
    assert ended == [True, False, False]
    LocalJobs(jobs).cancel(start)  # nobody holds it


# ---- the engines themselves ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "on",
    [
        pytest.param("local:1", marks=pytest.mark.skipif(find_spec("submitit") is None, reason="needs submitit")),
        pytest.param(SLURM, marks=pytest.mark.skipif(not has_slurm(), reason="needs a SLURM that answers")),
        pytest.param("ray:cpus=0.5", marks=pytest.mark.skipif(find_spec("ray") is None, reason="needs ray")),
    ],
)
def test_jobs_are_ended_twice_and_go_on(on: str, drawn: Path, serial: Path, tmp_path: Path) -> None:
    """The command that watches ends with 6, no process is left, and resume ends with the bytes of one process."""
    run = tmp_path / "run"
    jobs = RunDir(run).jobs
    command = started(drawn, run, "--on", on)
    wait_until(lambda: jobs.job("fold0").log(1).exists() or jobs.job("fold1").log(1).exists())
    before = answer("runs", "jobs", str(run))
    assert before["watched"].startswith(f"process {command.pid} on ")
    assert "at work" in {one["state"] for one in before["jobs"]}
    told = answer("runs", "jobs", str(run), "--cancel")
    assert told["cancelled"] >= 1
    assert {one["state"] for one in told["jobs"]} <= {"done", "gone"}
    assert command.wait(60) == 6
    assert [one for one in jobs.all_jobs() if is_locked(one.lock_file)] == []
    assert answer("runs", "jobs", str(run), "--cancel")["cancelled"] == 0
    answer("resume", str(run), "--on", on)
    assert contents(run) == contents(serial)


def answer(*words: str) -> Any:
    """Return what a command says as JSON, in a process of its own: Ray ends a process that has lost its cluster."""
    command = [sys.executable, "-m", "maskcls", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("submitit") is None, reason="needs submitit")
def test_jobs_without_a_command_are_ended(
    drawn: Path, serial: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    jobs = RunDir(run).jobs
    command = started(drawn, run, "--on", "local:2")
    wait_until(lambda: jobs.job("fold0").log(1).exists() and jobs.job("fold1").log(1).exists())
    command.send_signal(signal.SIGKILL)
    command.wait()
    numbers = [int(one.lock_file.read_text().split()[1]) for one in jobs.all_jobs() if is_locked(one.lock_file)]
    assert run_app(["runs", "jobs", str(run), "--cancel", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cancelled"] == len(numbers) >= 1
    wait_until(lambda: not any(map(process_lives, numbers)), 60)  # the lock is free a moment before the process ends
    assert resume(run) == 0  # no job is at work, so no engine is needed
    assert contents(run) == contents(serial)
