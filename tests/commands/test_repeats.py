"""A repeated cross-validation: runs with other folds below one folder, their mean, and what takes the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from sklearn.metrics import f1_score

from maskcls import config
from maskcls.cli import run_app
from maskcls.data.rows import folds as folding
from maskcls.data.rows.renewal import pairs_kept
from maskcls.errors import Exit
from maskcls.results.predictions import Predictions
from maskcls.results.scores.intervals import macro_f1_intervals
from maskcls.rundir import RepeatsDir, RunDir
from maskcls.runs.choices.register import read_register
from maskcls.runs.choices.tried import add_repeats, rows_of_run
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.runs.repeats.repeat_runs import repeat_config
from maskcls.schema import Config

FAST = ("model.backbone=test_convnext", "train.epochs=1", "folds.repeats=2")


@pytest.fixture(scope="module")
def repeated(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two repeats of two folds; tests write nothing into it."""
    folder = tmp_path_factory.mktemp("repeated") / "runs" / "r"
    assert tiny.train(drawn, folder, *FAST) == 0
    return folder


def test_the_first_repeat_is_the_run_without_repeats_and_the_others_have_other_folds(
    repeated: Path, drawn: Path, tmp_path: Path
) -> None:
    assert tiny.train(drawn, tmp_path / "single", *FAST[:2]) == 0
    alone, first = tmp_path / "single", repeated / "repeat0"
    for name in ("folds.csv", "manifest.csv", "config.yaml"):
        assert (alone / name).read_bytes() == (first / name).read_bytes(), name
    assert (Predictions.load(alone / "oof.npz").prob == Predictions.load(first / "oof.npz").prob).all()
    cfgs = [config.of_run(RunDir(repeated / f"repeat{number}").config) for number in (0, 1)]
    assert [(cfg.folds.renew, cfg.folds.repeats, cfg.seed) for cfg in cfgs] == [(0, 1, 0), (1, 1, 1)]
    folds = [folding.from_csv(repeated / f"repeat{n}" / "folds.csv")["fold"].to_numpy(np.int64) for n in (0, 1)]
    assert pairs_kept(folds[1], folds[:1]) < pairs_kept(folds[0], folds[:1])


def test_the_rows_are_averaged_and_every_person_counts_once(repeated: Path) -> None:
    rows = [read_out_of_fold(RunDir(repeated / f"repeat{number}")) for number in (0, 1)]
    order = [np.argsort(one.ids) for one in rows]
    prob = [np.array(one.prob_NJ, dtype=np.float64)[order_N] for one, order_N in zip(rows, order, strict=True)]
    mean, mean_NJ = Predictions.load(RepeatsDir(repeated).oof), np.mean(prob, axis=0)
    assert mean.prob[np.argsort(mean.ids)] == pytest.approx(mean_NJ, abs=1e-6)
    truth_N = rows[0].space.encode(rows[0].truth)[order[0]]
    label_N = mean_NJ.argmax(axis=1)
    assert rows[0].people_N is not None
    scores = json.loads(RepeatsDir(repeated).scores.read_text())
    assert scores["pooled"]["macro_f1"] == pytest.approx(f1_score(truth_N, label_N, average="macro"))
    interval = macro_f1_intervals(truth_N, label_N, rows[0].people_N[order[0]], 18).confidence
    assert scores["interval"]["low"] == pytest.approx(interval.low)
    each = [f1_score(truth_N, one.argmax(axis=1), average="macro") for one in prob]
    assert list(scores["each"].values()) == pytest.approx(each)
    assert scores["sd"] == pytest.approx(np.std(each, ddof=1))
    assert scores["changed"] == pytest.approx((prob[0].argmax(1) != prob[1].argmax(1)).mean())
    assert (scores["rows"], scores["people"], scores["folds"], scores["networks"]) == (84, 12, 2, 4)


def test_it_is_one_choice_in_the_register_of_the_folder_above(repeated: Path) -> None:
    run = RunDir(repeated / "repeat1")
    assert run.choices == repeated.parent.resolve() / "choices.json"
    assert [one.name for one in read_register(run).of("run", rows_of_run(run))] == ["r"]
    assert not (repeated / "choices.json").exists()


def test_a_repeat_that_is_compared_counts_as_its_cross_validation(repeated: Path, tmp_path: Path) -> None:
    folder = RepeatsDir(tmp_path / "r")
    shutil.copytree(repeated, folder.path)
    both = [str(folder.repeat(number).path) for number in (0, 1)]

    def counted() -> list[str]:
        return [one.name for one in read_register(folder.repeat(0)).of("run", rows_of_run(folder.repeat(0)))]

    assert run_app(["runs", "compare", *both]) == 0
    assert counted() == ["r"]
    (tmp_path / "choices.json").unlink()
    mean = folder.oof.read_bytes()
    folder.oof.unlink()  # the second repeat is not finished
    assert run_app(["runs", "compare", *both[::-1]]) == 0
    assert counted() == ["r"]
    folder.oof.write_bytes(mean)
    add_repeats(folder)
    assert run_app(["runs", "compare", *both]) == 0
    assert counted() == ["r"]


def test_predict_takes_the_folder_and_uses_the_networks_of_all(repeated: Path, drawn: Path, tmp_path: Path) -> None:
    outputs = {}
    for run in (repeated, repeated / "repeat0", repeated / "repeat1"):
        output, prob = tmp_path / f"{run.name}.csv", tmp_path / f"{run.name}-p.csv"
        words = ["predict", str(run), "--data", str(drawn), "-o", str(output), "--probabilities", str(prob)]
        assert run_app(words) == 0
        outputs[run.name] = pd.read_csv(prob).filter(like="/").to_numpy()  # of every class
        assert outputs[run.name].shape == (21, 8)
    assert outputs["r"] == pytest.approx((outputs["repeat0"] + outputs["repeat1"]) / 2, abs=2e-6)
    assert (outputs["repeat0"] != outputs["repeat1"]).any()
    lineage = json.loads((tmp_path / "r.json").read_text())["lineage"]
    assert len({network["sha256"] for one in lineage["repeats"] for network in one["weights"]}) == 4


@pytest.mark.parametrize(
    "words",
    [
        "evaluate {run}",
        "report {run}",
        "calibrate {run}",
        "tta {run}",
        "debug {run}",
        "runs note {run} remark",
        "runs compare {run} {run}/repeat0",
        "unseal {run}",
        "export {run} -o {out}/m.onnx",
        "explain {run} {data}/train/images/000001_x/mask1.jpg -o {out}/e.png",
        "ensemble {run} {run}/repeat0 --data {data} -o {out}/s.csv",
        "pseudo-label {run} --data {data} -o {out}/p.csv",
        "predict {run} {data}/eval/images",
    ],
)
def test_what_is_about_one_run_says_so(
    words: str, repeated: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tiny.hashes(repeated)
    assert run_app(words.format(run=repeated, data=drawn, out=tmp_path).split()) != 0
    error = " ".join(capsys.readouterr().err.split())
    assert "the folder holds a repeated cross-validation" in error
    assert "repeat0" in error
    assert tiny.hashes(repeated) == before


def test_repeats_are_combined_as_members_but_not_for_pseudo_labels(
    repeated: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [str(repeated / "repeat0"), str(repeated / "repeat1")]
    assert run_app(["pseudo-label", *both, "--data", str(drawn), "-o", str(tmp_path / "p.csv")]) == Exit.DATA
    assert "the runs have different folds" in capsys.readouterr().err
    labels = tmp_path / "q.csv"
    every = ["--min-confidence", "0", "--agree", "0"]
    assert run_app(["pseudo-label", both[0], "--data", str(drawn), "-o", str(labels), *every]) == 0
    capsys.readouterr()
    assert tiny.train(drawn, tmp_path / "x", *FAST[:2], f"data.pseudo={labels}", "folds.renew=1") == Exit.DATA
    assert "folds" in capsys.readouterr().err
    assert run_app(["runs", "compare", *both]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "folds.renew 0 1" in said
    assert "folds.csv different folds" in said


def test_verify_compares_the_files_of_all_repeats(
    repeated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "r"
    shutil.copytree(repeated, folder)
    shutil.copy(repeated.parent / "choices.json", tmp_path)

    def verdicts() -> tuple[int, dict[str, str]]:
        code = run_app(["verify", str(folder), "--json"])
        told = json.loads(capsys.readouterr().out)
        assert (told["kind"], told["ok"]) == ("repeats", code == Exit.OK)
        assert len({check["name"] for check in told["checks"]}) == len(told["checks"])
        return code, {check["name"]: check["verdict"] for check in told["checks"]}

    capsys.readouterr()
    code, found = verdicts()
    assert code == Exit.OK
    assert found.keys() == {*tiny.hashes(folder), "../choices.json"}
    assert {name for name, verdict in found.items() if verdict == "skipped"} == {
        "repeat0/.lock",
        "repeat1/.lock",
    }
    assert set(found.values()) == {"ok", "skipped"}
    for name in ("repeat0/fold1/oof.npz", "repeat1/summary.json", "repeats.json", "oof.npz"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        code, changed = verdicts()
        assert (code, changed[name]) == (Exit.RESULT, "FAILED")
        (folder / name).write_bytes(whole)
    (folder / "oof.npz").rename(tmp_path / "oof.npz")
    shutil.copy(folder / "repeat0" / "oof.npz", folder)  # of one repeat
    assert verdicts()[1]["repeats.json"] == "FAILED"
    (tmp_path / "oof.npz").replace(folder / "oof.npz")
    for name, other in (("repeat0", "x"), ("repeat1", "repeat0"), ("x", "repeat1")):
        (folder / name).rename(folder / other)
    code, found = verdicts()
    assert (code, found["repeats.yaml"], found["repeats.json"]) == (Exit.RESULT, "FAILED", "FAILED")
    for name, other in (("repeat0", "x"), ("repeat1", "repeat0"), ("x", "repeat1")):
        (folder / name).rename(folder / other)
    settings = (folder / "repeats.yaml").read_text()
    (folder / "repeats.yaml").write_text("folds: {repeats: 2}\n")
    assert verdicts()[1]["repeats.yaml"] == "FAILED"
    (folder / "repeats.yaml").write_text(settings)
    shutil.rmtree(folder / "repeat1")
    assert verdicts()[1]["repeats.json"] == "FAILED"  # it holds the score of that repeat
    (folder / "stray.txt").write_text("x")
    shutil.copytree(folder / "repeat0", folder / "copies" / "old")
    (folder / "repeat0" / "mine" / "further").mkdir(parents=True)
    for name in ("a", "further/b"):
        (folder / "repeat0" / "mine" / name).write_text("x")
    (folder / "repeats.json").unlink()
    code, found = verdicts()
    assert code == Exit.OK
    assert {name for name, verdict in found.items() if verdict == "warning"} == {
        "stray.txt",
        "copies",
        "repeat0/mine",
        "repeats.json",
        "repeat1",
    }
    assert run_app(["verify", str(folder)]) == Exit.OK
    lines = capsys.readouterr().out
    count = len(tiny.hashes(folder / "copies"))
    assert f"copies: a folder of {count} files; no folder of this training has this name" in lines
    assert "repeat0/mine: a folder of 2 files; no folder of this run has this name" in lines
    (folder / "repeats.yaml").write_text("folds: 3\n")
    code, found = verdicts()
    assert (code, found["repeats.yaml"], found["repeat0/summary.json"]) == (Exit.RESULT, "FAILED", "ok")


def test_repeats_that_lost_their_settings_say_what_they_are_and_how_to_go_on(
    repeated: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(repeated, tmp_path / "r")
    (folder / "repeats.yaml").unlink()
    before = tiny.hashes(folder)
    for words in (["verify"], ["resume"], ["evaluate"], ["runs", "jobs"]):
        assert run_app([*words, str(folder)]) == Exit.RESULT, words
        said = " ".join(capsys.readouterr().err.split())
        assert "the folder holds the repeats of a cross-validation, and the file is missing that says so" in said
        assert f"or copy {folder}/repeat0/config.yaml to it and set folds.repeats to the number of repeats" in said
    for words in (FAST, FAST[:2]):
        assert tiny.train(drawn, folder, *words) == Exit.BUSY
        assert "the folder holds a repeated cross-validation" in capsys.readouterr().err
    assert tiny.hashes(folder) == before
    text = (folder / "repeat0" / "config.yaml").read_text()  # what the message says to do
    assert text.count("repeats: 1\n") == 1
    (folder / "repeats.yaml").write_text(text.replace("repeats: 1\n", "repeats: 2\n"))
    assert run_app(["verify", str(folder)]) == Exit.OK
    assert tiny.resume(folder) == 0
    shutil.rmtree(folder / "repeat0")
    (folder / "repeats.yaml").unlink()
    capsys.readouterr()
    assert run_app(["verify", str(folder)]) == Exit.RESULT
    said = capsys.readouterr().err
    assert "restore it from a copy; a repeat alone is a run" in said


def test_a_killed_training_is_resumed_with_the_same_result(
    repeated: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from maskcls.commands.repeating import train_repeats
    from maskcls.commands.train import train
    from maskcls.show.terminal.progress import Reporter

    folder = RepeatsDir(tmp_path / "r")
    cfg = tiny.tiny(*FAST)

    def started(own: Config, run: RunDir) -> None:
        if run.path.name == "repeat1":
            raise KeyboardInterrupt
        with Reporter(quiet=True) as report:
            train(drawn, own, run, folds=None, report=report)

    with pytest.raises(KeyboardInterrupt):
        train_repeats.begin_repeats(folder, cfg, train=started, resume=lambda run: None)
    assert not folder.scores.exists()
    (tmp_path / "s").mkdir()
    RepeatsDir(tmp_path / "s").config.write_bytes(folder.config.read_bytes())  # killed before its first repeat
    assert tiny.train(drawn, tmp_path / "s", *FAST[:2]) == Exit.BUSY
    assert "that of a repeated cross-validation" in capsys.readouterr().err
    assert run_app(["predict", str(folder.path), "--data", str(drawn), "-o", str(tmp_path / "s.csv")]) == Exit.RESULT
    assert "repeats of the cross-validation are not finished" in capsys.readouterr().err
    assert tiny.train(drawn, folder.path, *FAST) == Exit.BUSY
    assert f"maskcls resume {folder.path}" in capsys.readouterr().err
    assert run_app(["resume", str(folder.path), "--folds", "1"]) == Exit.USAGE
    capsys.readouterr()
    assert run_app(["resume", str(folder.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["repeats"]
    whole = json.loads(RepeatsDir(repeated).scores.read_text())
    assert found == {name: whole[name] for name in found}
    assert folder.oof.read_bytes() == RepeatsDir(repeated).oof.read_bytes()
    assert run_app(["resume", str(folder.path)]) == 0  # all is there
    assert "mean of 2 repeats" in capsys.readouterr().out


def test_settings_of_a_repeat() -> None:
    cfg = tiny.tiny("folds.repeats=3", "folds.renew=4", "seed=7", "train.seeds=2")
    third = repeat_config(cfg, 2)
    assert (third.folds.renew, third.folds.repeats, third.seed) == (6, 1, 11)  # seeds 7 to 12, each once


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["folds.repeats=2", "folds.k=1"], "folds.k of at least 2"),
        (["folds.repeats=2", "data.pseudo=p.csv"], "null with folds.repeats"),
        (["folds.repeats=2", "data.synth=p.csv"], "null with folds.repeats"),
        (["folds.repeats=2", "folds.renew=100"], "add up to at most 100"),
        (["folds.repeats=2", "--folds", "0"], "each needs all folds"),
    ],
)
def test_what_cannot_be_repeated_is_refused(
    words: list[str], said: str, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.train(drawn, tmp_path / "r", *words) != 0
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "r").exists()


def test_commands_that_train_one_run_refuse_repeats(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tiny.recipe(*FAST)
    assert run_app(["self-train", str(drawn), "--run", str(tmp_path / "s"), *words]) == Exit.USAGE
    assert "single cross-validation" in capsys.readouterr().err


def test_a_dry_run_is_about_one_repeat(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["train", str(drawn), "--run", str(tmp_path / "r"), "--dry-run", *tiny.recipe(*FAST)]) == 0
    assert "what follows is about one of the repeats" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
