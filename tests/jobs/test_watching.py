"""Jobs are watched: those that die are tried again, a failed one ends the command, a killed command loses none."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from job_engines import Scripted

from maskcls.errors import BusyError, DataError, ResourceError
from maskcls.jobs import running
from maskcls.jobs.engines.engine import JobStart, JobState
from maskcls.jobs.engines.engine_words import JOBS_END
from maskcls.jobs.queue import QueuedJob, new_queue, read_queue, write_queue
from maskcls.jobs.result import read_result, write_result
from maskcls.jobs.watching import Progress, WantedJob, Watch
from maskcls.rundir import JobsDir, RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.training.side_by_side import ChildError
from maskcls.verbs.options import jobs_go_on

ALIVE, DEAD = JobState(True), JobState(False, "CANCELLED")


def watch(jobs: JobsDir, engine: Scripted, told: io.StringIO | None = None) -> Watch:
    report = Reporter()
    report.console.file = told or io.StringIO()
    queue = read_queue(jobs) or new_queue("slurm")
    return Watch(jobs, engine, queue, report, again="maskcls resume", wait=lambda _: None)


def job(name: str, epochs: Callable[[], int] = lambda: 0) -> WantedJob:
    return WantedJob(QueuedJob(name=name, kind="network", title=name), lambda: Progress(epochs(), 9, None))


def ends_well(jobs: JobsDir) -> Callable[[list[JobStart]], Mapping[str, JobState]]:
    """Return what lets every job end well as soon as it is asked for."""

    def after(starts: list[JobStart]) -> Mapping[str, JobState]:
        for start in starts:
            write_result(jobs.job(start.job), int(start.command[-1]))
        return {start.name: DEAD for start in starts}

    return after


def test_each_job_is_submitted_once_with_its_command(tmp_path: Path) -> None:
    jobs = JobsDir(tmp_path / "jobs")
    engine = Scripted(ends_well(jobs))
    watch(jobs, engine).until_done([job("fold0"), job("fold1")])
    assert [start.job for start in engine.submitted] == ["fold0", "fold1"]
    first = engine.submitted[0]
    assert list(first.command[1:]) == ["-m", "maskcls.jobs", str(jobs.path), "fold0", "1"]
    queue = read_queue(jobs)
    assert queue is not None
    assert first.name == f"maskcls-{queue.token}-fold0-1"


def test_jobs_that_end_with_their_command_are_said_to_do_so(tmp_path: Path) -> None:
    for survives in (True, False):
        jobs, told = JobsDir(tmp_path / str(survives)), io.StringIO()
        engine = Scripted(ends_well(jobs))
        engine.survives = survives
        watching = watch(jobs, engine, told)
        for name in ("a", "b"):
            watching.until_done([job(name)])
        assert jobs_go_on(watching.report.said) is survives
        assert " ".join(told.getvalue().split()).count(JOBS_END) == (not survives)


def test_a_job_that_dies_is_tried_three_times(tmp_path: Path) -> None:
    jobs, told = JobsDir(tmp_path / "jobs"), io.StringIO()
    engine = Scripted(lambda starts: {start.name: DEAD for start in starts})
    with pytest.raises(ResourceError) as raised:
        watch(jobs, engine, told).until_done([job("fold0")])
    assert [start.command[-1] for start in engine.submitted] == ["1", "2", "3"]
    message = str(raised.value)
    assert "a job died 3 times" in message
    assert "where: fold0, log the engine's file of fold0" in message
    assert "got: CANCELLED" in message
    assert "read the log; then maskcls resume" in message
    assert "submitted again, 1 of 2" in told.getvalue()
    assert "submitted again, 2 of 2" in told.getvalue()


def test_deaths_between_epochs_are_not_counted_together(tmp_path: Path) -> None:
    """A job that a limit of time stops again and again comes to its end: each attempt trains an epoch more."""
    jobs, epochs = JobsDir(tmp_path / "jobs"), [0]

    def after(starts: list[JobStart]) -> Mapping[str, JobState]:
        epochs[0] += 1
        if epochs[0] > 12:
            return ends_well(jobs)(starts)
        return {start.name: DEAD for start in starts}

    engine = Scripted(after)
    watch(jobs, engine).until_done([job("fold0", lambda: epochs[0])])
    assert len(engine.submitted) == 7  # two rounds without a result, six times; then the end


def test_an_error_ends_the_command_when_the_other_jobs_have_ended(tmp_path: Path) -> None:
    jobs, asked, told = JobsDir(tmp_path / "jobs"), list[list[str]](), io.StringIO()
    error = DataError("no photo", where="a.jpg", got="text", fix="restore it")

    def after(starts: list[JobStart]) -> Mapping[str, JobState]:
        asked.append([start.job for start in starts])
        if len(asked) == 1:
            write_result(jobs.job("fold0"), 1, error)
        if len(asked) == 3:
            write_result(jobs.job("fold1"), 1, error)
        return {start.name: ALIVE for start in starts}

    jobs.job("fold0").path.mkdir(parents=True)
    jobs.job("fold0").log(1).write_text("what it printed\n")
    with pytest.raises(DataError) as raised:
        watch(jobs, Scripted(after), told).until_done([job("fold0"), job("fold1")])
    assert asked == [["fold0", "fold1"], ["fold1"], ["fold1"]]
    assert raised.value.where == f"a.jpg, job fold0, log {jobs.job('fold0').log(1)}"
    assert (raised.value.what, raised.value.got, raised.value.fix) == ("no photo", "text", "restore it")
    assert "fold1 failed too: no photo (text)" in " ".join(told.getvalue().split())


def test_a_bug_in_a_job_is_a_bug(tmp_path: Path) -> None:
    jobs = JobsDir(tmp_path / "jobs")

    def after(starts: list[JobStart]) -> Mapping[str, JobState]:
        write_result(jobs.job("fold0"), 1, bug="Traceback: KeyError")
        return {start.name: ALIVE for start in starts}

    with pytest.raises(ChildError, match="Traceback: KeyError"):
        watch(jobs, Scripted(after)).until_done([job("fold0")])


def test_jobs_of_a_killed_command_are_watched_not_doubled(tmp_path: Path) -> None:
    jobs, told = JobsDir(tmp_path / "jobs"), io.StringIO()
    queue = new_queue("slurm")
    for name in ("fold0", "fold1"):
        queue = queue.with_job(QueuedJob(name=name, kind="network", title=name, attempt=2, deaths=2))
    write_queue(jobs, queue)
    rounds: list[int] = []

    def after(starts: list[JobStart]) -> Mapping[str, JobState]:
        rounds.append(len(starts))
        if len(rounds) > 2:
            return ends_well(jobs)(starts)
        return {start.name: ALIVE if start.job == "fold0" else DEAD for start in starts}

    engine = Scripted(after)
    watch(jobs, engine, told).until_done([job("fold0"), job("fold1"), job("fold2")])
    assert [(start.job, start.command[-1]) for start in engine.submitted] == [("fold1", "3"), ("fold2", "1")]
    assert "fold0: its job is at work or waiting already" in told.getvalue()
    after_it = read_queue(jobs)
    assert after_it is not None
    assert after_it.token == queue.token
    first = after_it.job("fold0")
    assert first is not None
    assert (first.attempt, first.deaths) == (2, 0)


def test_an_engine_that_does_not_answer_is_waited_for(tmp_path: Path) -> None:
    jobs, answers = JobsDir(tmp_path / "jobs"), [None, None, None]

    def after(starts: list[JobStart]) -> Mapping[str, JobState] | None:
        return answers.pop() if answers else ends_well(jobs)(starts)

    engine = Scripted(after)
    watch(jobs, engine).until_done([job("fold0")])
    assert len(engine.submitted) == 1


def test_a_result_of_an_earlier_attempt_is_none(tmp_path: Path) -> None:
    jobs = JobsDir(tmp_path / "jobs")
    write_result(jobs.job("fold0"), 1)
    assert read_result(jobs.job("fold0"), 1) is not None
    assert read_result(jobs.job("fold0"), 2) is None


@pytest.mark.parametrize("states", [None, {}])
def test_a_command_without_jobs_is_refused_while_jobs_are_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, states: Mapping[str, JobState] | None
) -> None:
    run = RunDir(tmp_path)
    write_queue(run.jobs, new_queue("local:2").with_job(QueuedJob(name="fold0", kind="network", title="fold 0")))
    answer = (lambda _: None) if states is None else lambda starts: {start.name: ALIVE for start in starts}
    monkeypatch.setattr(running, "open_engine", lambda *_: Scripted(answer))
    with pytest.raises(BusyError) as raised:
        running.refuse_running_jobs(run)
    assert raised.value.got == ("the engine does not answer" if states is None else "fold 0")
    assert f"watch them with: maskcls resume {tmp_path} --on local:2" in str(raised.value.fix)
    assert run.jobs.queue.exists()
    monkeypatch.setattr(running, "open_engine", lambda *_: Scripted(lambda starts: {s.name: DEAD for s in starts}))
    running.refuse_running_jobs(run)
    assert not run.jobs.path.exists()
