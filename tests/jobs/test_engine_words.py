"""The value of --on: every form, and a message for everything else."""

from __future__ import annotations

import pytest

from maskcls.errors import UsageError
from maskcls.jobs.engines.engine_words import (
    LocalWords,
    RayWords,
    SlurmWords,
    check_prediction_engine,
    check_training_engine,
    parse_engine,
    shards_of,
)
from maskcls.jobs.engines.slurm_jobs import parameters, parse_states


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("local:1", LocalWords(1)),
        ("local:16", LocalWords(16)),
        ("slurm", SlurmWords()),
        ("slurm:cpus=8,gpus=1", SlurmWords(cpus=8, gpus=1)),
        ("slurm:mem=1.5GB,time=1h30m", SlurmWords(mem_bytes=3 << 29, time_s=5400.0)),
        ("slurm:account=faces,qos=low", SlurmWords(texts=(("account", "faces"), ("qos", "low")))),
        ("slurm:gres=shard:2,shards=8", SlurmWords(shards=8, texts=(("gres", "shard:2"),))),
        ("ray", RayWords()),
        ("ray:auto", RayWords("auto")),
        ("ray:10.0.0.1:6379,gpus=0.25", RayWords("10.0.0.1:6379", gpus=0.25)),
        ("ray:cpus=2,mem=512M", RayWords(cpus=2.0, mem_bytes=512 << 20)),
        ("ray:auto,gpus=2,shards=3", RayWords("auto", gpus=2.0, shards=3)),
    ],
)
def test_every_form(text: str, words: object) -> None:
    assert parse_engine(text) == words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no engine ''"),
        ("local", "jobs: '' is no whole number from 1 to 1024"),
        ("local:", "nothing follows the colon"),
        ("local:0", "jobs: '0' is no whole number"),
        ("local:two", "jobs: 'two' is no whole number"),
        ("slrum:gpus=1", "did you mean slurm?"),
        ("slurm:gpu=1", "did you mean gpus?"),
        ("slurm:gpus", "'gpus' is no key=value"),
        ("slurm:gpus=", "'gpus=' is no key=value"),
        ("slurm:gpus=0.5", "gpus: '0.5' is no whole number"),
        ("slurm:gpus=1,gpus=2", "gpus is given twice"),
        ("slurm:mem=lots", "mem: 'lots' is no size such as 16GB"),
        ("slurm:mem=0GB", "mem: '0GB' is no size"),
        ("slurm:time=soon", "not a length of time"),
        ("ray:auto,time=4h", "known keys: cpus, gpus, mem, shards"),
        ("ray:gpus=1.5", "gpus: '1.5' is no whole number, and no fraction of 1"),
        ("ray:cpus=0", "cpus: a job needs more than 0"),
    ],
)
def test_everything_else_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_engine(text)
    assert said in str(raised.value)
    assert "where: --on" in str(raised.value)


def test_into_how_many_shards() -> None:
    assert [shards_of(parse_engine(text)) for text in ("local:3", "slurm:shards=8", "ray:auto,shards=2")] == [3, 8, 2]
    with pytest.raises(UsageError, match="into how many jobs"):
        shards_of(parse_engine("slurm:gpus=1"))


def test_what_a_training_cannot_do_with_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_training_engine("local:2") == LocalWords(2)
    with pytest.raises(UsageError, match="one job for each network"):
        check_training_engine("slurm:shards=8")
    with pytest.raises(UsageError, match="--dry-run submits no jobs"):
        check_training_engine("slurm", dry_run=True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="submits jobs runs in one process"):
        check_training_engine("slurm")


def test_what_a_prediction_cannot_do_with_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_prediction_engine("local:2") == LocalWords(2)
    with pytest.raises(UsageError, match="into how many jobs"):
        check_prediction_engine("slurm")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="submits jobs runs in one process"):
        check_prediction_engine("local:2")


def test_every_word_reaches_sbatch() -> None:
    words = parse_engine(
        "slurm:cpus=8,gpus=2,mem=16GB,time=61s,partition=p,account=a,qos=q,constraint=c,gres=g:1,nodelist=n,exclude=e"
    )
    assert isinstance(words, SlurmWords)
    assert parameters(words, "job") == {
        "job_name": "job",
        "time": 2,
        "signal_delay_s": 60,
        "stderr_to_stdout": True,
        "cpus_per_task": 8,
        "gpus_per_node": 2,
        "mem": "16384M",
        "partition": "p",
        "account": "a",
        "qos": "q",
        "constraint": "c",
        "gres": "g:1",
        "nodelist": "n",
        "exclude": "e",
    }
    assert parameters(SlurmWords(), "job")["time"] is None


def test_states_of_squeue() -> None:
    lines = "a|PENDING|Priority\nb|RUNNING|None\nc|TIMEOUT|TimeLimit\nd|REQUEUED|None\ne|COMPLETING|None\n"
    found = parse_states(lines)
    assert {name for name, state in found.items() if state.alive} == {"a", "b", "d", "e"}
    assert [found[name].said for name in "abc"] == ["PENDING, Priority", "RUNNING", "TIMEOUT, TimeLimit"]
