"""Two processes on the CPU do the work of one: the same steps, every row once, one voice.

Each test starts real processes through torch's launcher, which takes many seconds to import everything twice. So all
are slow; in test_processes_as_one.py processes without a launcher do the same in less time.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from processes import PATIENCE_S, all_end
from tiny import PLAIN, hashes, log_lines, recipe, train

from maskcls.cli import run_app
from maskcls.results.predictions import Predictions

# 42 rows in steps of 11, 11, 11 and 9; each is shared by two processes in two pieces, such as 3 + 3 and 3 + 2. The
# 42 rows to validate come in batches of 16, 16 and 10.
WORDS = ("train.batch_size=11", "train.accumulate=2", "predict.batch_size=16", "--folds", "0")


def launched(*words: str) -> list[str]:
    """Return the command that runs maskcls in two processes; the lone -- keeps the launcher off our options.

    The launcher itself takes a free port, so that nobody else can take it meanwhile.
    """
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    return [*launcher, "--local_addr", "127.0.0.1", "-m", "--", "maskcls", *words]


def two_processes(*words: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(launched(*words), capture_output=True, text=True, env=env, timeout=PATIENCE_S)


def train_words(data: Path, run: Path, *more: str) -> list[str]:
    return ["train", str(data), "--run", str(run), *recipe(*PLAIN, *WORDS, *more)]


def ours(stderr: str) -> list[str]:
    """Return the lines that are maskcls's own; the launcher adds a report of its children."""
    return [line for line in stderr.splitlines() if line.startswith(("error[", "[process", "  "))][:12]


@pytest.fixture(scope="module")
def one(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a single process."""
    run = tmp_path_factory.mktemp("one") / "run"
    assert train(drawn, run, *PLAIN, *WORDS) == 0
    return run


@pytest.mark.slow
def test_two_processes_train_like_one(drawn: Path, one: Path, tmp_path: Path) -> None:
    two = tmp_path / "run"
    done = two_processes(*train_words(drawn, two))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("out-of-fold macro-F1") == 1
    assert len(done.stdout.splitlines()) == 5
    assert done.stderr.count(" 1/2 ") == 1
    assert set(hashes(two)) == set(hashes(one))
    assert json.loads((two / "env.json").read_text())["processes"] == 2
    lines = list(zip(log_lines(one / "fold0"), log_lines(two / "fold0"), strict=True))
    assert len(lines) == 2
    for alone, shared in lines:
        assert (alone["step"], alone["lr"]) == (shared["step"], shared["lr"])
        for name in ("loss", "mask", "gender", "age"):
            assert shared[f"train/{name}"] == pytest.approx(alone[f"train/{name}"], abs=1e-5)
    mine, theirs = (Predictions.load(run / "oof.npz") for run in (one, two))
    assert theirs.ids.tolist() == mine.ids.tolist()
    assert len(set(theirs.ids.tolist())) == 42
    # Gradients are summed in another order; AdamW enlarges what that does to the smallest of them.
    assert abs(theirs.prob - mine.prob).max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("loss.all=ce+f1", "train.accumulate=1", "sampler.draw=weighted"),
        ("mix.kind=cutmix", "loss.all=focal(weights=inverse)", "balance.learned=true", "sampler.draw=oversample"),
        ("optim.freeze_epochs=1", "train.epochs=3"),  # what is frozen at first is shared all the same
    ],
)
def test_two_processes_lower_the_same_loss(drawn: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """The F1 is that of the whole step, wherever its rows are; partners and draws are the same for all."""
    assert train(drawn, tmp_path / "one", *PLAIN, *WORDS, *words) == 0
    done = two_processes(*train_words(drawn, tmp_path / "two", *words))
    assert done.returncode == 0, done.stderr
    lines = list(zip(log_lines(tmp_path / "one/fold0"), log_lines(tmp_path / "two/fold0"), strict=True))
    assert len(lines) == (3 if "train.epochs=3" in words else 2)
    for alone, shared in lines:
        for name in ("loss", "mask", "gender", "age"):
            assert shared[f"train/{name}"] == pytest.approx(alone[f"train/{name}"], abs=2e-5)


@pytest.mark.slow
def test_two_processes_predict_the_same_bytes(drawn: Path, one: Path, tmp_path: Path) -> None:
    words = ["predict", str(one), "--data", str(drawn), "predict.batch_size=8"]
    assert run_app([*words, "-o", str(tmp_path / "one.csv")]) == 0
    done = two_processes(*words, "-o", str(tmp_path / "two.csv"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    sidecars = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two")]
    assert sidecars[0]["lineage"] == sidecars[1]["lineage"]
    assert done.stdout.count("21 rows") == 1


@pytest.mark.slow
def test_a_fault_in_the_data_is_told_and_ends_all(drawn: Path, tmp_path: Path) -> None:
    """The first process finds the photo; the others hear that it has gone, and say no more than that."""
    data = tmp_path / "faces"
    shutil.copytree(drawn, data)
    victim = sorted((data / "train/images").rglob("*.jpg"))[0]
    victim.write_bytes(victim.read_bytes()[:300])
    done = two_processes(*train_words(data, tmp_path / "run"))
    assert done.returncode != 0
    lines = ours(done.stderr)
    assert lines[0] == "error[data] images cannot be read"
    assert victim.name in lines[1]
    assert "bug in maskcls" not in done.stderr
    others = {line for line in lines if line.startswith("[process 1] error")}
    ended = "another process of this command has ended or does not answer, so this one ends too"
    assert others <= {f"[process 1] error[resource] {ended}"}
    assert not (tmp_path / "run").exists()


def second_signalled(
    words: Sequence[str], begun: Path, number: signal.Signals
) -> tuple[subprocess.Popen[str], list[psutil.Process], str]:
    """Signal the second of two processes once a file is there; return the ended command, both workers, and stderr."""
    process = subprocess.Popen(
        launched(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not begun.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        workers = [child for child in psutil.Process(process.pid).children() if "maskcls" in child.cmdline()]
        assert len(workers) == 2
        second = next(child for child in workers if child.environ()["RANK"] == "1")
        second.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    return process, workers, err


@pytest.mark.slow
def test_a_killed_process_takes_the_others_with_it(drawn: Path, one: Path, tmp_path: Path) -> None:
    """kill -9 of the second process in the middle of a training; what was committed resumes in one process."""
    run = tmp_path / "run"
    words = train_words(drawn, run, "train.epochs=200", "schedule.warmup_epochs=1")
    process, workers, err = second_signalled(words, run / "fold0" / "last" / "meta.json", signal.SIGKILL)
    assert process.returncode != 0
    assert "bug in maskcls" not in err
    assert all_end(workers)
    assert not (run / "summary.json").exists()
    assert len(log_lines(run / "fold0")) >= 1


@pytest.mark.slow
def test_a_process_that_hangs_is_ended_with_the_others(drawn: Path, tmp_path: Path) -> None:
    """SIGSTOP of the second process: the first waits for it no longer than its beats are missing, and names it."""
    run = tmp_path / "run"
    words = train_words(drawn, run, "train.epochs=200", "schedule.warmup_epochs=1")
    process, workers, err = second_signalled(words, run / "fold0" / "last" / "meta.json", signal.SIGSTOP)
    assert process.returncode != 0
    assert "got: process 1 has not answered for 20 s" in err
    assert all_end(workers)


@pytest.mark.slow
def test_a_signal_to_one_process_ends_all_after_the_same_step(drawn: Path, tmp_path: Path) -> None:
    """SIGTERM to the second process alone: nobody waits for ever, nothing is lost, and dropout goes on in both."""
    words = ("train.epochs=40", "schedule.warmup_epochs=1", "model.drop=0.3", "train.keep_epochs=1")
    whole, run = tmp_path / "whole", tmp_path / "run"
    done = two_processes(*train_words(drawn, whole, *words))
    assert done.returncode == 0, done.stderr
    process, _, err = second_signalled(
        train_words(drawn, run, *words), run / "fold0" / "last" / "meta.json", signal.SIGTERM
    )
    assert process.returncode != 0
    assert "bug in maskcls" not in err
    assert "another process of this command has ended" not in err
    assert err.count(f"maskcls resume {run}") == 2
    epochs = len(log_lines(run / "fold0"))
    assert 1 <= epochs < 40
    done = two_processes("resume", str(run))
    assert done.returncode == 0, done.stderr
    assert "fold 0: continuing" in done.stderr
    same = ("fold0/best/weights.safetensors", "fold0/last/weights.safetensors", "oof.npz", "summary.json")
    assert {name: hashes(run)[name] for name in same} == {name: hashes(whole)[name] for name in same}
