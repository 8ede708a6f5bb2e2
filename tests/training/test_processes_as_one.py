"""One, two and four processes are one experiment: the same rows in the same steps, the same losses, also resumed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from forked_processes import command, in_processes, rows_by_step
from tiny import hashes, log_lines, recipe

from maskcls.errors import Exit
from maskcls.results.predictions import Predictions

# 42 rows in steps of 11, 11, 11 and 9, which two or four processes share in parts of unequal length.
STEPS = ("train.batch_size=11", "predict.batch_size=16", "--folds", "0", "average.kind=ema", "average.decay=0.9")
WITHOUT_NORMS = ("model.backbone=test_convnext",)
PIECES = (*WITHOUT_NORMS, "train.accumulate=2", "mix.kind=cutmix", "mix.prob=0.7", "loss.all=focal")
F1 = (*WITHOUT_NORMS, "train.accumulate=1", "mix.kind=mixup", "mix.partner=same", "mix.prob=0.7", "loss.all=focal+f1")
SYNCED = ("train.accumulate=1", "train.sync_batchnorm=true", "sampler.draw=weighted")
EPOCHS, PER_EPOCH = 2, 4


def trained(data: Path, folder: Path, count: int, words: tuple[str, ...]) -> Path:
    run = folder / f"run{count}"
    job = command(["train", str(data), "--run", str(run), *recipe(*STEPS, *words)], rows=folder / f"rows{count}-")
    for ended in in_processes(count, job, folder / f"log{count}"):
        assert ended.code == 0, ended.err
    return run


@pytest.fixture(scope="module")
def alone(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run of one process on `PIECES`; beside it, in files that begin with rows1-, the rows of its steps."""
    run = trained(drawn, tmp_path_factory.mktemp("alone"), 1, PIECES)
    before = hashes(run)
    yield run
    assert hashes(run) == before, "a test has written into the run that all read"


def check_same(one: Path, other: Path) -> None:
    """Check losses, scores and out-of-fold rows of two runs: equal to the rounding of sums in another order."""
    lines = list(zip(log_lines(one / "fold0"), log_lines(other / "fold0"), strict=True))
    assert len(lines) == EPOCHS
    for alone, shared in lines:
        for name in ("train/loss", "train/mask", "train/gender", "train/age", "val/loss"):
            assert shared[name] == pytest.approx(alone[name], abs=1e-6), name
    mine, theirs = (Predictions.load(run / "oof.npz") for run in (one, other))
    assert theirs.ids.tolist() == mine.ids.tolist()
    assert len(set(theirs.ids.tolist())) == 42
    np.testing.assert_allclose(theirs.prob, mine.prob, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        pytest.param(PIECES, (2,), id="pieces"),
        pytest.param(PIECES, (4,), id="small pieces", marks=pytest.mark.slow),
        pytest.param(F1, (4,), id="f1", marks=pytest.mark.slow),
        pytest.param(SYNCED, (3,), id="batch norms", marks=pytest.mark.slow),
    ],
)
def test_processes_lower_the_same_loss_on_the_same_rows(
    drawn: Path, alone: Path, tmp_path: Path, words: tuple[str, ...], counts: tuple[int, ...]
) -> None:
    one = alone if words == PIECES else trained(drawn, tmp_path, 1, words)
    runs = [trained(drawn, tmp_path, count, words) for count in counts]
    first = rows_by_step(one.parent / "rows1-")
    others = [rows_by_step(tmp_path / f"rows{count}-") for count in counts]
    assert list(first) == list(range(EPOCHS * PER_EPOCH))
    for count, rows in zip(counts, others, strict=True):
        assert list(rows) == list(first)
        for step, parts in rows.items():
            assert len(parts) == count
            # Each row of the step in one process, and in the order of the whole step.
            assert list(chain(*parts)) == first[step][0]
    for other in runs:
        check_same(one, other)


def test_resumed_by_other_numbers_of_processes(drawn: Path, alone: Path, tmp_path: Path) -> None:
    """Two processes are stopped within an epoch, one within the next; four finish. No row is lost or doubled."""
    run, rows = tmp_path / "run", tmp_path / "rows-"
    train = ["train", str(drawn), "--run", str(run), *recipe(*STEPS, *PIECES)]
    parts = [
        (2, train, (1, 1, "SIGTERM")),
        (1, ["resume", str(run)], (5, 0, "SIGTERM")),
        (4, ["resume", str(run)], None),
    ]
    for index, (count, words, at) in enumerate(parts):
        job = command(words, rows=tmp_path / f"rows-{index}-", at=at)
        codes = {ended.code for ended in in_processes(count, job, tmp_path / f"log-{index}")}
        assert codes == {0 if at is None else Exit.TERMINATED}
    expected = {step: used[0] for step, used in rows_by_step(alone.parent / "rows1-").items()}
    assert {step: list(chain(*used)) for step, used in rows_by_step(rows).items()} == expected
    assert {step: len(used) for step, used in rows_by_step(rows).items()} == {
        **dict.fromkeys((0, 1), 2),
        **dict.fromkeys((2, 3, 4, 5), 1),
        **dict.fromkeys((6, 7), 4),
    }
    check_same(alone, run)
