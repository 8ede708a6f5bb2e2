"""The table of methods: which trainings it starts, what it makes of their folders, what it says. Nothing is trained."""

from __future__ import annotations

import doctest
import importlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from edited import edit_json
from project import BENCHMARKS_DIR
from sklearn.metrics import f1_score

from maskcls import config, files
from maskcls.config.overrides import refuse_set_twice
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.engine.compute.plan import Plan
from maskcls.engine.normalisation import with_normalisation
from maskcls.errors import ConfigError, Exit, ResultError, UsageError
from maskcls.labels import CONTEST, Ints
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.runs.environment import Machine, this_machine
from maskcls.runs.integrity.epoch_log import write_log
from maskcls.training.assemble import assemble
from maskcls.training.experiment import Experiment
from maskcls.training.stored_experiment import write_identity

BENCHMARKS = BENCHMARKS_DIR
RECIPE = "folds: {k: 2}\nmodel: {backbone: test_efficientnet, drop: 0.2}\ntrain: {epochs: 2}\n"
ROWS = """
base: {config: CONFIG, folds: [0, 1], overrides: [optim.lr=1e-3]}
families:
  drop:
    "0": [model.drop=0]
    "0.2": [model.drop=0.2]
    "0.5": [model.drop=0.5]
  ema:
    "off": [average.kind=none]
"""
PEOPLE, PHOTOS = 30, 6


@pytest.fixture(scope="module")
def methods() -> ModuleType:
    """Import the script as it is started, from its own folder."""
    before = sys.modules.pop("alternate", None)
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module("methods")
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in ("methods", "alternate"):
            sys.modules.pop(name, None)
        if before:
            sys.modules["alternate"] = before


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A small file of rows, and the configuration it names."""
    return write_rows(tmp_path)


def write_rows(folder: Path) -> Path:
    (folder / "tiny.yaml").write_text(RECIPE)
    path = folder / "rows.yaml"
    path.write_text(ROWS.replace("CONFIG", str(folder / "tiny.yaml")))
    return path


# --- runs made without training


@cache
def photos() -> pd.DataFrame:
    """Thirty people, five of each gender and age; each mask twice. One table for all; do not change it."""
    who_N = np.repeat(np.arange(PEOPLE), PHOTOS)
    ids = [f"i{row}" for row in range(len(who_N))]
    labels = {"mask": np.tile(np.arange(PHOTOS) % 3, PEOPLE), "gender": who_N % 2}
    values = {"age": np.array([20, 40, 70])[who_N // 2 % 3]}
    paths = [f"{name}.jpg" for name in ids]
    return tables.build(ids, paths, CONTEST, person=[f"p{who}" for who in who_N], labels=labels, values=values)


@cache
def machine() -> Machine:
    return this_machine("cpu", 1)


def guesses(truth_N: Ints, share: float, seed: int) -> Ints:
    """Joint labels, `share` of them right."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(truth_N)) < share, truth_N, rng.integers(CONTEST.size, size=len(truth_N)))


def begin(path: Path, recipe: Path, words: Sequence[str], folds: Sequence[int] = (0, 1), jobs: int = 1) -> Experiment:
    """Write what `maskcls train` writes first."""
    cfg, frame = with_normalisation(config.load(recipe, words)[0]), photos()
    how = cfg.folds
    table = folding.build(frame, cfg.space, k=how.k, holdout=how.holdout, seed=how.seed)
    plans = {name: Plan(fold_jobs=jobs) for name in config.members(cfg)}
    experiment = Experiment(cfg, path.parent / "data", frame, table, RunDir(path), plans=plans)
    write_identity(experiment, folds, machine())
    return experiment


def finish(experiment: Experiment, predicted_N: Ints, *, folds: Sequence[int] = (0, 1), epoch_s: float = 10.0) -> None:
    """Write what a training leaves: two epochs a log, sure predictions, the scores."""
    part_of = CONTEST.decode(predicted_N)
    for member in experiment.members:
        label_N = predicted_N if member.name == "" else part_of[member.name]
        for k in folds:
            folder, here = experiment.fold_dir(member, k), np.flatnonzero(experiment.fold == k)
            prob = np.eye(member.space.size, dtype=np.float32)[label_N[here]]
            Predictions(experiment.manifest["id"].to_numpy()[here], prob, member.space).save(folder.oof)
            write_log(folder, [{"seconds": epoch_s}] * 2)
    assemble(experiment, folds)


@cache
def truth() -> Ints:
    return CONTEST.encode(tables.labels(photos(), CONTEST))


@dataclass
class Pretender:
    """Stands where processes are started: notes each command, and leaves what maskcls would leave.

    ends  by folder: an exit code and what is printed, or an exception; a finished run otherwise.
    """

    recipe: Path
    ends: dict[str, Any] = field(default_factory=dict)
    share: Callable[[str], float] = lambda name: 0.6
    commands: list[list[str]] = field(default_factory=list)

    def __call__(self, command: Sequence[str], output: Path) -> int:
        words = list(command)
        self.commands.append(words)
        run = Path(words[4] if "resume" in words else words[words.index("--run") + 1])
        end = self.ends.get(run.name)
        if isinstance(end, BaseException):
            raise end
        output.write_text(end[1] if end else "done\n")
        if end:
            return int(end[0])
        overrides = config.load(run / "config.yaml")[0] if "resume" in words else None
        path, given = (run / "config.yaml", []) if overrides else (self.recipe, [w for w in words[5:] if "=" in w])
        finish(begin(run, path, given), guesses(truth(), self.share(run.name), seed=len(self.commands)))
        return 0

    @property
    def titles(self) -> list[str]:
        """What was started, in order: `train base.s0`."""
        return [f"{c[3]} {Path(c[4] if 'resume' in c else c[c.index('--run') + 1]).name}" for c in self.commands]


def start(methods: ModuleType, rows: Path, pretender: Pretender, *more: str) -> Exit:
    words = ["run", str(rows.parent / "data"), "--rows", str(rows), "--out", str(rows.parent / "out"), *more]
    code: Exit = methods.run(methods.arguments_of(words), methods.shown_command(words, rows.parent / "data"), pretender)
    return code


@pytest.fixture
def pretender(rows: Path) -> Pretender:
    return Pretender(rows.parent / "tiny.yaml")


def test_examples_in_docstrings(methods: ModuleType) -> None:
    parts = [module for name, module in sys.modules.items() if name.startswith("method_table.")]
    assert len(parts) == 6
    results = [doctest.testmod(module) for module in (methods, *parts)]
    assert (sum(r.failed for r in results), sum(r.attempted for r in results) >= 8) == (0, True)


# --- run: what is started


def test_the_command_lines(methods: ModuleType, rows: Path, pretender: Pretender) -> None:
    assert start(methods, rows, pretender, "--seeds", "3", "--folds", "1,0", "--set", "train.epochs=1") == Exit.OK

    out, recipe, data = rows.parent / "out", str(rows.parent / "tiny.yaml"), str(rows.parent / "data")

    def command(name: str, *own: str) -> list[str]:
        first = [sys.executable, "-m", "maskcls", "train", data, "--config", recipe, "--run", str(out / f"{name}.s3")]
        return [*first, "--folds", "0,1", "optim.lr=1e-3", "train.epochs=1", *own, "seed=3"]

    assert pretender.commands == [
        command("base"),
        command("drop.0", "model.drop=0"),
        command("drop.0.5", "model.drop=0.5"),  # drop 0.2 is the base
        command("ema.off", "average.kind=none"),
    ]


def test_seeds_come_in_rounds_and_finished_runs_are_skipped(
    methods: ModuleType, rows: Path, pretender: Pretender, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(methods, rows, pretender, "--seeds", "0") == Exit.OK
    assert pretender.titles == ["train base.s0", "train drop.0.s0", "train drop.0.5.s0", "train ema.off.s0"]
    pretender.commands.clear()
    capsys.readouterr()
    assert start(methods, rows, pretender, "--seeds", "0", "1") == Exit.OK
    assert pretender.titles == ["train base.s1", "train drop.0.s1", "train drop.0.5.s1", "train ema.off.s1"]
    said = capsys.readouterr().err
    assert "8 runs, 4 of them finished before" in said
    assert "[5/8] base seed 1: macro-F1 0." in said
    assert "3 left, about 0 min" in said


def test_an_unfinished_run_is_resumed(methods: ModuleType, rows: Path, pretender: Pretender) -> None:
    begin(rows.parent / "out/drop.0.s0", rows.parent / "tiny.yaml", ["optim.lr=1e-3", "model.drop=0"])
    assert start(methods, rows, pretender, "--seeds", "0", "--only", "drop/0") == Exit.OK
    assert pretender.titles == ["train base.s0", "resume drop.0.s0"]
    assert pretender.commands[1][1:] == ["-m", "maskcls", "resume", str(rows.parent / "out/drop.0.s0")]
    assert (rows.parent / "out/drop.0.s0/summary.json").exists()


def test_only_takes_families_and_rows(methods: ModuleType, rows: Path, pretender: Pretender) -> None:
    start(methods, rows, pretender, "--seeds", "0", "--only", "ema", "drop/0.5")
    assert pretender.titles == ["train base.s0", "train drop.0.5.s0", "train ema.off.s0"]
    with pytest.raises(UsageError, match=r"did you mean 'drop/0\.5'"):
        start(methods, rows, pretender, "--only", "drop/0.55")


def test_a_failure_is_kept_and_the_next_goes_on(
    methods: ModuleType, rows: Path, pretender: Pretender, capsys: pytest.CaptureFixture[str]
) -> None:
    pretender.ends["drop.0.s0"] = (8, "epoch 1\nerror[diverged] it diverged\n  where: step 3\n")
    assert start(methods, rows, pretender, "--seeds", "0") == Exit.RESULT
    assert pretender.titles[-1] == "train ema.off.s0"
    record = rows.parent / "out/drop.0.s0.failed.json"
    message = "failed with exit code 8: error[diverged] it diverged; where: step 3"
    assert json.loads(record.read_text()) == {"code": 8, "message": message}
    assert message in capsys.readouterr().err

    pretender.commands.clear()
    pretender.ends.clear()
    assert start(methods, rows, pretender, "--seeds", "0") == Exit.OK
    assert pretender.titles == ["train drop.0.s0"]
    assert not record.exists()


def test_a_process_that_leaves_no_result_has_failed(methods: ModuleType, rows: Path, pretender: Pretender) -> None:
    pretender.ends["ema.off.s0"] = ("0", "nothing to say")
    assert start(methods, rows, pretender, "--seeds", "0", "--only", "ema") == Exit.RESULT
    assert "nothing to say" in (rows.parent / "out/ema.off.s0.failed.json").read_text()


def test_without_the_base_nothing_goes_on(methods: ModuleType, rows: Path, pretender: Pretender) -> None:
    pretender.ends["base.s0"] = (4, "error[data] no photos")
    assert start(methods, rows, pretender) == Exit.RESULT
    assert pretender.titles == ["train base.s0"]


def test_an_interrupt_ends_it_without_a_failure(
    methods: ModuleType, rows: Path, pretender: Pretender, capsys: pytest.CaptureFixture[str]
) -> None:
    pretender.ends["drop.0.s0"] = KeyboardInterrupt()
    assert start(methods, rows, pretender, "--seeds", "0") == Exit.INTERRUPTED
    assert pretender.titles == ["train base.s0", "train drop.0.s0"]
    assert not list((rows.parent / "out").glob("*.failed.json"))
    assert "Run the same command to continue" in capsys.readouterr().err


def test_the_forecast_is_the_mean_so_far(
    methods: ModuleType, rows: Path, pretender: Pretender, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter([0.0, 120.0, 120.0, 360.0, 360.0, 420.0, 420.0, 480.0])
    plan, out = methods.read_plan(rows), rows.parent / "out"
    chosen = methods.choose(plan, [])
    methods.train_all(plan, rows.parent, out, rows=chosen, seeds=[0], start=pretender, clock=lambda: next(times))
    said = [line for line in capsys.readouterr().err.splitlines() if "macro-F1" in line]
    assert [line.partition(", ")[2] for line in said] == [
        "120 s; 3 left, about 6 min",  # 3 x 120 s
        "240 s; 2 left, about 6 min",  # 2 x 180 s
        "60 s; 1 left, about 2 min",  # 140 s
        "60 s",
    ]


def test_a_folder_of_other_settings_is_refused(methods: ModuleType, rows: Path, pretender: Pretender) -> None:
    start(methods, rows, pretender, "--seeds", "0", "--only", "drop")
    pretender.commands.clear()
    rows.write_text(rows.read_text().replace("model.drop=0.5", "model.drop=0.6"))
    with pytest.raises(ResultError, match="other settings") as caught:
        start(methods, rows, pretender, "--seeds", "1", "--only", "ema")  # not even for another row
    assert caught.value.offenders == ("drop.0.5.s0: model.drop is 0.5, not 0.6",)
    with pytest.raises(ResultError) as caught:
        start(methods, rows, pretender, "--folds", "0")
    assert "base.s0: folds trained is [0, 1], not [0]" in caught.value.offenders
    assert pretender.commands == []


def test_weights_that_are_not_there_are_refused_at_once(methods: ModuleType, rows: Path, pretender: Pretender) -> None:
    with pytest.raises(UsageError, match=r"--set model\.weights=PATH"):
        start(methods, rows, pretender, "--set", "model.weights=FILE")
    assert pretender.commands == []
    trunk = rows.parent / "trunk.bin"
    trunk.write_bytes(b"weights")
    assert start(methods, rows, pretender, "--set", "model.weights=FILE", f"model.weights={trunk}") == Exit.OK


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("model.drop=0.5", "model.dorp=0.5", ["drop/0.5", "did you mean 'drop'"]),
        ("model.drop=0.5", "model.drop", ["drop/0.5", "not an override"]),
        ('"off"', '"o/ff"', ["ema/o/ff"]),
        ("base: {config", "base: {conf: x, config", ["base.conf"]),
        ("folds: [0, 1]", "folds: 0,1", ["base.folds"]),
        ("[average.kind=none]", "average.kind=none", ["families.ema.off"]),
    ],
)
def test_a_wrong_file_is_refused(methods: ModuleType, rows: Path, old: str, new: str, words: list[str]) -> None:
    text = rows.read_text()
    assert old in text
    rows.write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        methods.read_plan(rows)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_all_wrong_rows_are_named_together(methods: ModuleType, rows: Path) -> None:
    rows.write_text(rows.read_text().replace("drop=0.5", "drop=5").replace("average.kind=none", "average.kind=of"))
    with pytest.raises(ConfigError) as caught:
        methods.read_plan(rows)
    assert [text.partition(":")[0] for text in caught.value.offenders] == ["drop/0.5", "ema/off"]


def test_the_rows_that_are_shipped(methods: ModuleType) -> None:
    plan = methods.read_plan(BENCHMARKS / "methods.yaml")
    assert (plan.config, plan.folds) == ("multi", (0, 1))
    assert {"train.epochs=3", "sampler.epoch_fraction=0.4"} <= set(plan.overrides)
    assert (len(plan.rows), len({row.family for row in plan.rows})) == (73, 13)
    same = {row.title for row in plan.rows if row.is_base}
    named = {"heads/multi", "loss/ce", "crop/0.9", "sampler/shuffle", "average/ema_0.998", "optimizer/adamw"}
    assert same == named | {"schedule/cosine"}


def test_no_key_is_given_twice_to_a_training(methods: ModuleType) -> None:
    plan = methods.read_plan(BENCHMARKS / "methods.yaml", overrides=["model.weights=own.safetensors", "epochs=2"])
    for row in plan.rows:
        refuse_set_twice(plan.words(row, 0))
    (row,) = [row for row in plan.rows if row.title == "sampler/oversample_root"]
    own = ["sampler.draw=oversample", "sampler.power=0.5", "sampler.epoch_fraction=0.24", "seed=0"]
    base = ["model.backbone=mobilenetv4_conv_small", "predict.views=none", "model.weights=own.safetensors", "epochs=2"]
    assert plan.words(row, 0) == [*base, *own]


def test_a_section_that_sets_a_key_of_the_base_is_a_wrong_row(methods: ModuleType, rows: Path) -> None:
    rows.write_text(rows.read_text().replace("overrides: [", "overrides: ['average={kind: ema, decay: 0.9}', "))
    with pytest.raises(ConfigError) as caught:
        methods.read_plan(rows)
    assert [text.partition(":")[0] for text in caught.value.offenders] == ["ema/off"]
    assert "a setting is given twice" in caught.value.offenders[0]


def test_a_process_is_started_and_its_words_are_kept(methods: ModuleType, tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"
    assert methods.start_process([sys.executable, "-c", code], tmp_path / "said.txt") == 7
    assert sorted((tmp_path / "said.txt").read_text().split()) == ["err", "out"]


@pytest.mark.parametrize("deaf", [False, True])
def test_an_interrupt_stops_the_process(
    methods: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(methods.start_process.__globals__, "GRACE_S", 0.2 if deaf else 60.0)
    previous = signal.signal(signal.SIGALRM, interrupt)
    said = tmp_path / "said.txt"
    lines = ["import os, signal, time", "print(os.getpid(), flush=True)"]
    lines += ["signal.signal(signal.SIGTERM, signal.SIG_IGN)"] if deaf else []
    lines += ["os.kill(os.getppid(), signal.SIGALRM)", "time.sleep(600)"]
    try:
        with pytest.raises(KeyboardInterrupt):
            methods.start_process([sys.executable, "-c", "\n".join(lines)], said)
    finally:
        signal.signal(signal.SIGALRM, previous)
    with pytest.raises(ProcessLookupError):
        os.kill(int(said.read_text()), 0)


# --- table: what is made of the folders


@pytest.fixture(scope="module")
def all_runs(methods: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train two seeds: the base is right on 6 of 10, drop 0 on 9, drop 0.5 on 3, ema off on 6; do not write there."""
    rows, shares = write_rows(tmp_path_factory.mktemp("methods")), {"drop.0": 0.9, "drop.0.5": 0.3}
    pretender = Pretender(rows.parent / "tiny.yaml", share=lambda name: shares.get(name.rpartition(".s")[0], 0.6))
    assert start(methods, rows, pretender) == Exit.OK
    return rows.parent / "out"


@pytest.fixture
def trained(all_runs: Path, tmp_path: Path) -> Path:
    """A copy of those runs."""
    return Path(shutil.copytree(all_runs, tmp_path / "out"))


def labels_of(run: Path) -> Ints:
    """Joint predictions in the order of `photos()`."""
    return Predictions.load(run / "oof.npz").align(photos()["id"].tolist()).labels()


def by_title(table: Any) -> dict[str, Any]:
    return {line.row.title: line for line in table.lines}


def test_figures_and_verdicts(methods: ModuleType, trained: Path) -> None:
    table = methods.read_table(trained)
    lines = by_title(table)
    assert list(lines) == ["drop/0", "drop/0.2", "drop/0.5", "ema/off"]
    assert [line.verdict for line in lines.values()] == ["helps", "is the base", "hurts", "within noise"]
    true_N = truth()
    for title in ("drop/0", "drop/0.5", "ema/off"):
        line, stem = lines[title], title.replace("/", ".")
        ours = [f1_score(true_N, labels_of(trained / f"{stem}.s{s}"), average="macro") for s in (0, 1)]
        base = [f1_score(true_N, labels_of(trained / f"base.s{s}"), average="macro") for s in (0, 1)]
        assert list(line.scores.items()) == [(0, pytest.approx(ours[0])), (1, pytest.approx(ours[1]))]
        assert line.score == pytest.approx(np.mean(ours))
        assert line.difference.value == pytest.approx(np.mean(ours) - np.mean(base))
        assert line.difference.low < line.difference.value < line.difference.high
        assert line.difference.level == 0.95
        for task in ("mask", "gender", "age"):
            part = {
                name: np.mean([task_f1(labels_of(trained / f"{name}.s{s}"), task) for s in (0, 1)])
                for name in (stem, "base")
            }
            assert line.tasks[task] == pytest.approx(part[stem] - part["base"])
    assert lines["drop/0.2"].scores == pytest.approx({s: table.scores[s].macro_f1 for s in (0, 1)})


def task_f1(predicted_N: Ints, task: str) -> float:
    return float(f1_score(CONTEST.decode(truth())[task], CONTEST.decode(predicted_N)[task], average="macro"))


def test_the_interval_is_of_both_seeds_together(methods: ModuleType, trained: Path) -> None:
    from maskcls.results.comparison.difference import paired_difference

    names = [(f"base.s{s}", f"ema.off.s{s}") for s in (0, 1)]
    a, b = ([labels_of(trained / name) for name in side] for side in zip(*names, strict=True))
    expected = paired_difference(truth(), a, b, photos()["person"].to_numpy(), 18)
    assert by_title(methods.read_table(trained))["ema/off"].difference == expected


def test_the_report(methods: ModuleType, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written, data = trained.parent / "methods.md", trained.parent / "methods-out.json"
    argv = ["table", "--out", str(trained), "--write", str(written), "--json", str(data)]
    assert methods.main(argv) == 0
    text = capsys.readouterr().out
    assert written.read_text() == text
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        *("# Methods against one base", "## The base", "## drop", "## ema", "## What the rows set"),
    ]
    for part in (
        "180 photos of 30 people",
        "folds 0, 1 of 2",
        "Seeds: 0, 1",
        "Versions: maskcls ",
        "`optim.lr=1e-3`",
        "- `ema/off`: `average.kind=none`",
        "python benchmarks/methods.py run DATA --rows rows.yaml --out out",
        "python benchmarks/methods.py table --out out --write methods.md",
    ):
        assert part in text, part
    assert str(trained.parent.parent) not in text  # nor where the configuration stood
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({len(line) for line in block.splitlines()}) == 1, block
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| 0.2 ")]
    assert [(row[0], row[3], row[-2], row[-1]) for row in rows] == [("0.2", "-", "1.00", "is the base")]

    kept = json.loads(data.read_text())
    assert [row["verdict"] for row in kept["rows"]] == ["helps", "is the base", "hurts", "within noise"]
    assert kept["rows"][0]["difference"]["low"] > 0
    assert list(kept["base"]) == ["0", "1"]
    assert str(trained.parent.parent) not in data.read_text()


def test_failures_are_rows_as_well(methods: ModuleType, rows: Path, pretender: Pretender) -> None:
    pretender.ends = {"drop.0.s0": (8, "error[diverged] it diverged"), "drop.0.s1": (8, "killed")}
    pretender.ends["ema.off.s1"] = (1, "error[internal] a bug")
    start(methods, rows, pretender, "--only", "drop/0", "ema")
    out = rows.parent / "out"
    table = methods.read_table(out)
    lines = by_title(table)
    assert [line.verdict for line in lines.values()] == ["failed", "is the base", "not run", "within noise"]
    assert lines["drop/0"].notes[0] == "seed 0: failed with exit code 8: error[diverged] it diverged"
    assert lines["drop/0.5"].notes == ("seed 0: was not run", "seed 1: was not run")
    assert list(lines["ema/off"].scores) == [0, 1]
    assert lines["ema/off"].scores[1] is None  # scored with the seed that is there
    alone = f1_score(truth(), labels_of(out / "ema.off.s0"), average="macro")
    base = f1_score(truth(), labels_of(out / "base.s0"), average="macro")
    assert lines["ema/off"].difference.value == pytest.approx(alone - base)
    text = methods.report(table, today="2026-01-01", command="x")
    assert "- `ema/off`, seed 1: failed with exit code 1: error[internal] a bug" in text
    assert "Date: 2026-01-01" in text
    begin(out / "drop.0.5.s0", rows.parent / "tiny.yaml", ["optim.lr=1e-3", "model.drop=0.5"])
    assert by_title(methods.read_table(out))["drop/0.5"].verdict == "unfinished"


OTHERS = [
    (["folds.seed=1"], "folds is "),
    (["train.epochs=3"], "train.epochs is 3, not 2"),
    (["seed=5"], "seed is 5, not 0"),
    (["data.format=table"], "data.format is table"),
]


@pytest.mark.parametrize(("words", "message"), OTHERS)
def test_a_run_that_differs_in_more_than_its_row_is_not_compared(
    methods: ModuleType, rows: Path, trained: Path, words: list[str], message: str
) -> None:
    experiment = begin(
        trained / "ema.off.s0", rows.parent / "tiny.yaml", ["optim.lr=1e-3", "average.kind=none", *words]
    )
    finish(experiment, truth())
    line = by_title(methods.read_table(trained))["ema/off"]
    assert message in line.notes[0]
    assert line.notes[0].startswith("seed 0: not trained and scored as the base: ")
    assert line.scores[0] is None
    finish(begin(trained / "ema.off.s1", rows.parent / "tiny.yaml", ["optim.lr=1e-3", "train.epochs=5"]), truth())
    assert by_title(methods.read_table(trained))["ema/off"].verdict == "not comparable"


def test_other_folds_other_labels_other_space_are_not_compared(
    methods: ModuleType, rows: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, words, run = rows.parent / "tiny.yaml", ["optim.lr=1e-3", "average.kind=none"], trained / "ema.off.s0"

    def note() -> str:
        text: str = by_title(methods.read_table(trained))["ema/off"].notes[0]
        return text

    finish(begin(run, recipe, words, folds=[0]), truth(), folds=[0])
    assert "folds trained is [0], not [0, 1]" in note()
    finish(begin(run, recipe, words), truth())
    files.commit_json(run / "labels.json", [{"name": "mask", "classes": ["no", "yes"], "bins": []}])
    assert "label space is " in note()
    frame = photos().copy()
    frame.loc[0, "mask"] = 2
    monkeypatch.setitem(globals(), "photos", lambda: frame)
    finish(begin(run, recipe, words), truth())
    assert "rows or labels is " in note()
    (run / "oof.npz").write_bytes(b"broken")
    assert "damaged predictions" in note()


def test_another_version_is_noted(methods: ModuleType, trained: Path) -> None:
    path = trained / "drop.0.s1/env.json"
    edit_json(path, {"packages": json.loads(path.read_text())["packages"] | {"torch": "1.0"}})
    line = by_title(methods.read_table(trained))["drop/0"]
    assert line.verdict == "helps"
    assert [note.partition(",")[0] for note in line.notes] == ["seed 1: torch is 1.0"]


def test_other_starting_weights_are_not_compared(methods: ModuleType, rows: Path, pretender: Pretender) -> None:
    trunk = rows.parent / "trunk.bin"
    trunk.write_bytes(b"one")
    text = rows.read_text().replace("[optim.lr=1e-3]", f"[model.weights={trunk}]")
    rows.write_text(text + f'  trunk:\n    other: ["model.weights={rows}"]\n')
    start(methods, rows, pretender, "--seeds", "0", "--only", "trunk")
    trunk.write_bytes(b"two")
    start(methods, rows, pretender, "--seeds", "0", "--only", "ema", "trunk")
    lines = by_title(methods.read_table(rows.parent / "out"))
    assert lines["ema/off"].verdict == "not comparable"
    assert "starting weights is " in lines["ema/off"].notes[0]
    assert lines["trunk/other"].difference is not None  # its weights are what it is about


def test_a_base_that_differs_from_itself_is_refused(methods: ModuleType, rows: Path, trained: Path) -> None:
    finish(begin(trained / "base.s1", rows.parent / "tiny.yaml", ["optim.lr=2e-3", "seed=1"]), truth())
    with pytest.raises(ResultError, match="differ in more than their seed") as caught:
        methods.read_table(trained)
    assert caught.value.offenders == ("base.s1: optim.lr is 0.002, not 0.001",)


def test_without_a_base_there_is_no_table(
    methods: ModuleType, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        (trained / f"base.s{seed}" / "summary.json").unlink()
    assert methods.main(["table", "--out", str(trained)]) == Exit.RESULT
    assert "the base has no finished run" in capsys.readouterr().err


def test_seconds_are_those_of_all_networks_and_shared_by_folds_side_by_side(
    methods: ModuleType, rows: Path, pretender: Pretender
) -> None:
    rows.write_text(rows.read_text() + "  heads:\n    separate: [model.heads=separate]\n")
    start(methods, rows, pretender, "--seeds", "0")
    out, recipe = rows.parent / "out", rows.parent / "tiny.yaml"
    assert by_title(methods.read_table(out))["heads/separate"].time == pytest.approx(3.0)
    words = ["optim.lr=1e-3", "average.kind=none"]
    finish(begin(out / "ema.off.s0", recipe, words, jobs=4), truth(), epoch_s=30.0)  # two folds: two at a time
    lines = by_title(methods.read_table(out))
    assert lines["ema/off"].time == pytest.approx(1.5)
    assert (lines["ema/off"].verdict, lines["drop/0"].time) == ("helps", pytest.approx(1.0))
