"""train --budget: real stages of a tiny recipe, the verbs that take their folder, and a limit that is too short."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny

from maskcls import api
from maskcls.cli import run_app
from maskcls.errors import Exit
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.records.times import NETWORKS, add_times, read_times
from maskcls.runs.stages import ladder
from maskcls.runs.stages.answering import answering_run
from maskcls.runs.stages.record import read_stages, write_stages
from maskcls.runs.summary import read_summary
from maskcls.show.runs.stages import stage_title
from maskcls.show.terminal.progress import Reporter

FREE = [word for word in tiny.RECIPE if not word.startswith(("model.backbone", "train.epochs"))]
SETTINGS = [*FREE, "model.backbone=test_convnext"]
TWO_RUNGS = (ladder.Rung(0.5, 0.0, 2, 1, first=True), ladder.Rung(0.5, 0.34, 2, 1))


@pytest.fixture(scope="module", autouse=True)
def _two_rungs() -> Iterator[None]:
    """Let a ladder have two rungs, and count the time from the command on: the process is that of all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder, "RUNGS", TWO_RUNGS)
        patch.setattr("maskcls.verbs.training.process_start_s", time.monotonic)
        yield


@pytest.fixture(scope="module")
def weights(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the setting of weights of the backbone, copied out of their run: no fold of it validated anybody."""
    root = tmp_path_factory.mktemp("donor")
    words = ["train", str(drawn), "--run", str(root / "run"), "--folds", "0", "model.train=heads", *SETTINGS]
    assert run_app(words) == 0
    file = root / "trunk.safetensors"
    shutil.copyfile(root / "run/fold0/best/weights.safetensors", file)
    return f"model.weights={file}"


@pytest.fixture(scope="module")
def staged(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stages; tests write nothing into it."""
    folder = tmp_path_factory.mktemp("staged") / "runs" / "b"
    assert run_app(["train", str(drawn), "--run", str(folder), "--budget", "1h", *SETTINGS]) == 0
    return folder


def test_every_stage_is_an_ordinary_run_with_the_settings_of_its_rung(staged: Path) -> None:
    record = read_stages(StagesDir(staged))

    assert [stage_title(one.settings) for one in record.stages] == [
        "32x32, 1 epoch, 2 folds",
        "32x32, 2 epochs, 2 folds",
    ]
    for number, epochs in enumerate((1, 2)):
        run = StagesDir(staged).stage(number)
        assert (run.path / "fold0" / "DONE").exists()
        assert len(tiny.log_lines(run.path / "fold1")) == epochs
        assert read_summary(run) is not None
    assert record.limits_s == (3600,)
    assert all(one.took_s is not None for one in record.stages)


def test_the_folder_predicts_and_is_scored_with_its_best_stage(
    staged: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = answering_run(staged)
    for name, run in (("folder", staged), ("stage", best)):
        assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(tmp_path / f"{name}.csv")]) == 0
    assert (tmp_path / "folder.csv").read_bytes() == (tmp_path / "stage.csv").read_bytes()
    capsys.readouterr()

    assert run_app(["evaluate", str(staged), "--json"]) == 0
    shown = capsys.readouterr()
    assert f"{staged}: its best stage is used, {best}" in shown.err
    summary = read_summary(RunDir(best))
    assert summary is not None
    assert summary.pooled is not None
    assert json.loads(shown.out)["macro_f1"] == pytest.approx(summary.pooled.macro_f1)
    assert api.load(staged).path == best
    assert api.evaluate(staged).scores.joint.macro_f1 == pytest.approx(summary.pooled.macro_f1)


def test_a_backbone_with_weights_begins_with_the_run_of_its_fitted_heads(
    drawn: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, alone = tmp_path / "b", tmp_path / "alone"
    assert run_app(["train", str(drawn), "--run", str(folder), "--budget", "1h", *SETTINGS, weights]) == 0

    record = read_stages(StagesDir(folder))
    assert [stage_title(one.settings) for one in record.stages] == [
        "32x32, fitted heads, 2 folds",
        "32x32, 1 epoch, 2 folds",
        "32x32, 2 epochs, 2 folds",
    ]
    assert [one.forecast_s is None for one in record.stages] == [True, True, False]
    assert record.free == ("model.train", "train.epochs", "train.seeds", "sampler.epoch_fraction")
    assert run_app(["train", str(drawn), "--run", str(alone), "model.train=heads", *SETTINGS, weights]) == 0
    for name in ("fold0/best/weights.safetensors", "fold1/best/weights.safetensors"):
        assert (folder / "stage0" / name).read_bytes() == (alone / name).read_bytes()

    shutil.rmtree(folder / "stage2")
    (folder / "stage1" / "summary.json").unlink()  # as after a kill in the first stage that trains
    (folder / "stage1" / "oof.npz").unlink()
    assert answering_run(folder) == folder / "stage0"
    assert run_app(["predict", str(folder), "--data", str(drawn), "-o", str(tmp_path / "s.csv")]) == 0
    assert run_app(["submission", "check", str(tmp_path / "s.csv"), "--data", str(drawn)]) == 0
    assert verified(folder, capsys)[0] == Exit.OK


def verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    """Return the exit code of verify, and the verdict of every file."""
    capsys.readouterr()
    code = run_app(["verify", str(folder), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["ok"]) == ("stages", code == Exit.OK)
    assert len({check["name"] for check in told["checks"]}) == len(told["checks"])
    return code, {check["name"]: check["verdict"] for check in told["checks"]}


def test_verify_compares_the_files_of_all_stages(
    staged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All bytes below the folder are named; a changed bit is found in both stages, whichever of them answers."""
    folder = tmp_path / "b"
    shutil.copytree(staged, folder)
    code, found = verified(folder, capsys)
    assert code == Exit.OK
    assert found.keys() == tiny.hashes(folder).keys()
    skipped = {name for name, verdict in found.items() if verdict == "skipped"}
    assert skipped == {".choices.lock", "stages.yaml", "stage0/.lock", "stage1/.lock"}
    assert set(found.values()) == {"ok", "skipped"}

    for name in ("stage0/fold1/oof.npz", "stage1/fold1/oof.npz", "stages.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        code, changed = verified(folder, capsys)
        assert (code, changed[name]) == (Exit.RESULT, "FAILED")
        (folder / name).write_bytes(whole)
    for name, other in (("stage0", "x"), ("stage1", "stage0"), ("x", "stage1")):
        (folder / name).rename(folder / other)
    code, changed = verified(folder, capsys)
    assert (code, changed["stages.json"]) == (Exit.RESULT, "FAILED")
    assert run_app(["verify", str(folder)]) == Exit.RESULT
    assert "stage0 has other settings than this stage: epochs\n" in capsys.readouterr().out
    for name, other in (("stage0", "x"), ("stage1", "stage0"), ("x", "stage1")):
        (folder / name).rename(folder / other)
    (folder / "stray.txt").write_text("x")
    shutil.copytree(folder / "stage1", folder / "stage7")  # which the record does not name
    code, changed = verified(folder, capsys)
    assert code == Exit.OK
    assert {name for name, verdict in changed.items() if verdict == "warning"} == {"stray.txt", "stage7"}


def test_stages_that_lost_their_settings_say_what_they_are(
    staged: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(staged, tmp_path / "b")
    (folder / "stages.yaml").unlink()
    assert run_app(["verify", str(folder)]) == Exit.RESULT
    said = " ".join(capsys.readouterr().err.split())
    assert "the folder holds the stages of a training with a time limit, and the file is missing that says so" in said
    assert f"restore it from a copy; a stage alone is a run: {folder}/stage0" in said
    assert run_app(["train", str(drawn), "--run", str(folder), "--budget", "1h", *SETTINGS]) == Exit.BUSY
    assert not (folder / "stages.yaml").exists()


def test_verify_says_which_stages_are_not_finished(
    staged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "b"
    shutil.copytree(staged, folder)
    (folder / "stage1" / "summary.json").unlink()
    (folder / "stage1" / "oof.npz").unlink()
    code, found = verified(folder, capsys)
    assert (code, found["stage0/summary.json"]) == (Exit.OK, "ok")
    assert {name for name, verdict in found.items() if verdict == "warning"} == {"stage1"}
    assert run_app(["verify", str(folder)]) == Exit.OK
    out = " ".join(capsys.readouterr().out.split())
    assert f"this stage is not finished, and does not answer: maskcls resume {folder}" in out

    damaged = folder / "stage1" / "fold0" / "best" / "weights.safetensors"  # what resume would go on from
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert verified(folder, capsys)[1]["stage1/fold0/best/weights.safetensors"] == "FAILED"
    (folder / "stage1" / "env.json").write_text("{}")
    assert verified(folder, capsys)[1]["stage1/env.json"] == "FAILED"
    shutil.rmtree(folder / "stage1")
    (folder / "stage0" / "summary.json").unlink()  # none answers
    code, found = verified(folder, capsys)
    assert code == Exit.OK
    assert {name for name, verdict in found.items() if verdict == "warning"} == {"stage0", "stage1"}


def test_a_stage_that_was_killed_and_continued_took_what_it_had_taken_before(
    staged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = StagesDir(tmp_path / "b")
    shutil.copytree(staged, folder.path)
    run, record = folder.stage(1), read_stages(StagesDir(staged))
    killed = record.stages[1].model_copy(update={"passed_s": 0.0, "took_s": None})
    write_stages(folder, record.model_copy(update={"stages": (record.stages[0], killed)}))
    for path in (run.summary, run.oof, run.fold(1).done, run.fold(1).summary):
        path.unlink()
    times = read_times(run)
    assert times is not None
    parts = {name: 100.0 for name in times.commands[0].seconds if name != NETWORKS}
    assert parts
    add_times(run, None, times.commands[0].model_copy(update={"seconds": parts}))  # no networks: it was killed
    before_s = 100 * len(parts) + sum(line["seconds"] for k in (0, 1) for line in tiny.log_lines(run.fold(k).path))

    assert run_app(["resume", str(folder.path), "--json"]) == 0

    took_s = json.loads(capsys.readouterr().out)["stages"][1]["took_s"]
    assert took_s == read_stages(folder).stages[1].took_s
    assert before_s - 0.1 < took_s < before_s + 100


def test_a_folder_of_stages_is_not_trained_again_and_nothing_is_left_to_resume(
    staged: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["train", str(drawn), "--run", str(staged), "--budget", "1h", *SETTINGS]) == Exit.BUSY
    folder = tmp_path / "b"
    shutil.copytree(staged, folder)
    before = tiny.hashes(folder)
    capsys.readouterr()

    assert run_app(["resume", str(folder), "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["chosen"], found["budget_s"]) == (answering_run(folder).name, None)
    after = tiny.hashes(folder)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed <= {"stages.json"}


def test_a_time_limit_that_is_too_short_says_so_and_is_continued(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "short"
    words = ["train", str(drawn), "--run", str(folder), "--budget", "5.1s", *SETTINGS]
    assert run_app(words) == Exit.RESOURCE
    shown = capsys.readouterr().err
    assert "the time was up before the first stage was finished" in shown
    assert run_app(["predict", str(folder), "--data", str(drawn), "-o", str(tmp_path / "s.csv")]) == Exit.RESULT
    if StagesDir(folder).record.exists():  # else it was stopped before, and the command is given again
        assert run_app(["resume", str(folder)]) == 0
    else:
        assert run_app([*words[:4], "--budget", "1h", *words[6:]]) == 0
    assert answering_run(folder).parent == folder


def test_a_dry_run_prints_the_ladder_and_writes_nothing(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "dry"
    words = ["train", str(drawn), "--run", str(folder), "--budget", "1h", "--dry-run", *SETTINGS]
    assert run_app([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert [(one["epochs"], one["planned"]) for one in found["ladder"]] == [(1, True), (2, True)]
    assert found["free"] == ["train.epochs", "train.seeds", "sampler.epoch_fraction"]
    assert found["budget_s"] == 3600
    assert not folder.exists()
    assert run_app(words) == 0
    assert "chosen by the time limit: train.epochs, train.seeds, sampler.epoch_fraction" in capsys.readouterr().out


def test_a_dry_run_shows_the_stage_of_heads_or_why_there_is_none(
    drawn: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(drawn), "--run", str(tmp_path / "dry"), "--budget", "1h", "--dry-run", *SETTINGS]
    assert run_app([*words, weights, "heads.kind=ridge", "--json"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert [(one["epochs"], one["planned"]) for one in found["ladder"]] == [(0, True), (1, True), (2, True)]
    assert (found["free"][0], found["without_heads"]) == ("model.train", None)
    assert all(one["forecast_s"] > 0 for one in found["ladder"])
    assert "heads.kind has no effect" not in shown.err

    assert run_app([*words, weights]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "32x32, fitted heads, 2 folds" in out
    assert "of heads is not counted) with the settings of row 1, and on 4 steps of each network with the set" in out
    assert "no stage of fitted heads" not in out
    for given, why in (
        (["model.train=all", weights], "model.train=all was given"),
        ([], "the backbone has random weights"),
        (["age.head=ordinal", weights], "expected only age.drop of the section age"),
    ):
        assert run_app([*words, *given, "heads.kind=ridge"]) == 0
        shown = capsys.readouterr()
        out = " ".join(shown.out.split())
        assert f"no stage of fitted heads: {why}" in out
        assert "heads.kind has no effect: model.train is all" in shown.err
        assert "32x32, fitted heads" not in out


def test_the_folds_that_were_asked_for_are_those_of_every_stage(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[str] = []
    monkeypatch.setattr(Reporter, "begin", lambda self, what, *counts: bars.append(what))
    folder, asked = tmp_path / "one", [word for word in SETTINGS if not word.startswith("folds.k")]  # 5, the default
    assert run_app(["train", str(drawn), "--run", str(folder), "--budget", "1h", "--folds", "3", *asked]) == 0

    shown = capsys.readouterr()
    assert "stage 0: 32x32, 1 epoch, fold 3 of 5: measures this machine" in shown.err
    assert "32x32, 2 epochs, fold 3 of 5" in " ".join(shown.out.split())
    assert bars == ["fold 3 of 5"] * 2
    for number in (0, 1):
        assert [path.name for path in sorted(StagesDir(folder).stage(number).path.glob("fold*")) if path.is_dir()] == [
            "fold3"
        ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["train", "DATA", "--budget", "soon"], Exit.USAGE),
        (["train", "DATA", "--budget", "1h", "folds.repeats=2"], Exit.USAGE),
        (["resume", "STAGED", "--folds", "0"], Exit.USAGE),
        (["resume", "STAGED", "--budget", "0"], Exit.USAGE),
        (["resume", "STAGED", "--on", "local:2"], Exit.USAGE),
        (["resume", "STAGE", "--budget", "1h"], Exit.USAGE),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_computed(
    words: list[str], code: int, staged: Path, drawn: Path, tmp_path: Path
) -> None:
    places = {"DATA": drawn, "STAGED": staged, "STAGE": staged / "stage0"}
    given = [str(places.get(word, word)) for word in words]
    run = ["--run", str(tmp_path / "r")] if words[0] == "train" else []
    assert run_app([*given, *run]) == code
    assert not (tmp_path / "r").exists()
