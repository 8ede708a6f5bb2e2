"""verify: every file of a run is named when a bit of it changes, and commands refuse what belongs elsewhere."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edited import edit_json
from tiny import PLAIN, hashes, resume, tiny, train

from maskcls import files, owned
from maskcls.cli import run_app
from maskcls.data.photos.cache import build_pack
from maskcls.data.photos.cache_folder import packs
from maskcls.data.views.transforms import ViewSpec
from maskcls.errors import Exit, MaskclsError, ResultError
from maskcls.files import file_locks
from maskcls.labels import CONTEST
from maskcls.results.predictions import Predictions
from maskcls.results.submissions.checks import Check
from maskcls.results.submissions.write import write_submission
from maskcls.rundir import FoldDir, RunDir
from maskcls.runs.integrity.done_file import read_done
from maskcls.runs.integrity.network_checks import network_checks
from maskcls.runs.integrity.run_checks import run_checks
from maskcls.runs.integrity.run_in_use import WRITING, use_of
from maskcls.runs.locks import run_lock
from maskcls.runs.records.notes import BEST_DELETED, Note, add_note
from maskcls.training.stored_experiment import open_experiment
from maskcls.training.tracking.log import Place

IN_FOLD = {
    *("DONE", "log.jsonl", "first_batch.png", "oof.npz", "summary.json", "epochs/0.npy"),
    *("best/weights.safetensors", "best/meta.json", "last/weights.safetensors", "last/meta.json"),
    "resume/state.safetensors",
}
IN_RUN = {
    "config.yaml",
    "labels.json",
    "manifest.csv",
    "folds.csv",
    "photos.csv",
    "env.json",
    "times.json",
    "oof.npz",
    "summary.json",
}
EVERY = IN_RUN | {f"fold{k}/{name}" for k in (0, 1) for name in IN_FOLD}
LOCK = ".lock"  # its content is for a message alone


@pytest.fixture(scope="module")
def trained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two folds and one epoch; it must not be written to."""
    run = tmp_path_factory.mktemp("verified") / "runs" / "a"
    assert train(drawn, run, *PLAIN, "train.epochs=1") == 0
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> RunDir:
    """A copy, with the register beside it."""
    shutil.copytree(trained.parent, tmp_path / "runs")
    return RunDir(tmp_path / "runs" / "a")


def wrong(run: RunDir) -> dict[str, str]:
    """Return the fault of every file that is wrong, by its name."""
    try:
        return {check.name: "; ".join(check.faults) for check in run_checks(run) if check.verdict == "FAILED"}
    except MaskclsError as error:
        return {str(Path(str(error.where)).relative_to(run.path)): error.what}


def flipped(path: Path, bits: int, seed: int) -> Iterator[int]:
    """Flip single bits of a file, one after the other; the file is as before at the end."""
    content, rng = path.read_bytes(), random.Random(seed)
    for bit in rng.sample(range(8 * len(content)), min(bits, 8 * len(content))):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        yield bit
    path.write_bytes(content)


# --- every file


def test_a_finished_run_is_right_and_these_are_its_files(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hashes(trained).keys() == EVERY | {LOCK}
    assert run_app(["verify", str(trained), "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    found = {check["name"]: check["verdict"] for check in told["checks"]}
    assert found == dict.fromkeys([*EVERY, "../choices.json"], "ok") | {LOCK: "skipped"}
    assert (told["ok"], told["kind"], len(found)) == (True, "run", 33)
    assert run_app(["verify", str(trained)]) == Exit.OK
    assert "sha256 in DONE" in capsys.readouterr().out


def check_flips(run: RunDir, bits: int) -> int:
    flips = 0
    for number, name in enumerate(sorted(hashes(run.path).keys() - {LOCK})):
        for bit in flipped(run.path / name, bits, seed=number):
            assert name in wrong(run), f"bit {bit} of {name}"
            flips += 1
    assert wrong(run) == {}
    return flips


def test_a_changed_bit_of_any_file_is_named(run: RunDir) -> None:
    assert check_flips(run, 1) == len(EVERY) == 31


@pytest.mark.parametrize("added", [b"\0", b"\n", b" \n\n", None])
def test_bytes_behind_the_end_of_any_file_and_a_missing_one_are_named(run: RunDir, added: bytes | None) -> None:
    """Bytes are added; None: the last one is removed."""
    unnoticed = []
    for name in sorted(hashes(run.path).keys() - {LOCK}):
        whole = (run.path / name).read_bytes()
        (run.path / name).write_bytes(whole[:-1] if added is None else whole + added)
        if name not in wrong(run):
            unnoticed.append(name)
        (run.path / name).write_bytes(whole)
    assert unnoticed == []


@pytest.mark.slow
def test_many_changed_bits_of_the_files_of_all_commands_are_named(run: RunDir, drawn: Path, tmp_path: Path) -> None:
    assert run_app(["calibrate", str(run.path)]) == 0
    assert run_app(["predict", str(run.path), "--data", str(drawn), "-o", str(tmp_path / "a.csv")]) == 0
    assert run_app(["runs", "note", str(run.path), "a note"]) == 0
    (test,) = run.all_tests()
    added = {run.place(path) for path in (run.decision, run.notes, test)}
    assert hashes(run.path).keys() == EVERY | added | {LOCK, run.notes_lock.name}
    run.notes_lock.unlink()
    for bit in flipped(test, 200, seed=0):  # an archive has bytes that no reader uses, such as the time of an entry
        assert run.place(test) in wrong(run) or Predictions.load(test).ids.size, bit
    test.unlink()
    assert check_flips(run, 30) == 33 * 30


def opened_with_fold_0(run: RunDir) -> None:
    open_experiment(run)
    read_done(run.fold(0))


@pytest.mark.parametrize(
    ("change", "without", "said"),
    [
        ({"folds": [0]}, (), "the run has fewer folds than its summary"),
        ({"folds": [0, 0, 1]}, (), "a fold occurs twice"),
        ({}, ("format",), "the run says it is of an earlier version than its files"),
        ({"format": 1, "folds": [0]}, ("packages_digest",), "the run says it is of an earlier version than its files"),
    ],
    ids=["a fold fewer", "a fold twice", "an earlier version", "both"],
)
def test_an_environment_that_was_changed_with_its_digest_does_not_fit_the_other_files(
    run: RunDir, change: dict[str, Any], without: tuple[str, ...], said: str
) -> None:
    edit_json(run.env, change, without=without)
    with pytest.raises(ResultError) as caught:
        opened_with_fold_0(run)
    assert said in str(caught.value)
    assert str(run.env) == caught.value.where
    assert wrong(run)


@pytest.mark.parametrize("task", ["", "gender"])
def test_a_score_that_was_changed_with_its_digest_is_not_that_of_the_rows(run: RunDir, task: str) -> None:
    pooled = files.read_json(run.summary)["pooled"]
    (pooled["tasks"][task] if task else pooled)["macro_f1"] = 0.987
    edit_json(run.summary, {"pooled": pooled})
    said = wrong(run)
    assert said.keys() == {"summary.json"}
    what = f"macro-F1 of {task}" if task else "macro-F1"
    assert said["summary.json"].startswith(f"{what} 0.987, but oof.npz gives 0.")


def test_a_file_that_is_missing_or_in_no_list_is_named(run: RunDir) -> None:
    run.fold(0).oof.unlink()
    run.fold(1).first_batch.unlink()
    (run.path / "fold0" / "stray.txt").write_text("x")
    assert wrong(run).keys() == {"fold0/oof.npz", "fold1/first_batch.png"}
    warned = {check.name for check in run_checks(run) if check.verdict == "warning"}
    assert warned == {"fold0/stray.txt"}


def test_what_a_tracker_continues_belongs_to_the_run(run: RunDir) -> None:
    place = Place(run, "fold0", tiny().tracking)
    place.keep_identity("mlflow", {"id": "abc"})
    place.keep_identity("wandb", {"id": "abc", "held": 1, "folders": []})
    own = run.tracker("mlflow", "fold0").identity
    stray = run.tracker("wandb", "fold0").path / "wandb" / "offline-run-1" / own.name
    stray.parent.mkdir(parents=True)
    stray.write_text("of wandb itself")
    assert wrong(run) == {}
    assert {check.name: check.verdict for check in run_checks(run)}[run.place(own)] == "ok"
    assert place.read_identity("mlflow") == {"id": "abc"}
    shutil.copytree(own.parent, run.tracker("mlflow", "fold1").path)
    files.commit_json(own, files.read_json(own) | {"id": "abd"})
    assert wrong(run).keys() == {run.place(own), run.place(run.tracker("mlflow", "fold1").identity)}
    with pytest.raises(ResultError, match="belongs to another path in this run"):
        replace(place, name="fold1").read_identity("mlflow")
    with pytest.raises(ResultError, match="changed after"):
        place.read_identity("mlflow")


@pytest.mark.parametrize("name", ["manifest.csv", "config.yaml"])
def test_a_changed_file_of_the_run_hides_no_other_fault(run: RunDir, name: str) -> None:
    with (run.path / name).open("a") as file:
        file.write("# edited\n")
    run.fold(1).best.tensors.unlink()
    assert wrong(run).keys() == {name, "fold1/best/weights.safetensors"}
    assert not [check.name for check in run_checks(run) if check.verdict == "warning"]


def test_of_an_unfinished_run_only_what_is_missing_is_warned_about(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    run.fold(1).done.unlink()
    run.summary.unlink()
    assert {check.name for check in run_checks(run) if check.verdict == "warning"} == {"fold1/DONE", "summary.json"}
    assert run_app(["verify", str(run.path)]) == Exit.OK
    told = capsys.readouterr().out
    assert "fold1/first_batch.png: not compared: its network is not finished" in told
    assert told.endswith(f"{run.path}: 28 files compared, each as maskcls wrote it\n")
    run.fold(1).oof.write_bytes(run.fold(1).oof.read_bytes()[:100])
    assert wrong(run).keys() == {"fold1/oof.npz"}


def test_a_run_that_lost_its_environment_was_not_stopped_before_it_began(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    run.env.unlink()
    for command in ("verify", "resume"):
        assert run_app([command, str(run.path)]) == Exit.RESULT
        told = capsys.readouterr().err
        assert "cannot read a file of the run" in told
        assert str(run.env) in told


def test_weights_that_prune_deleted_are_not_missed(run: RunDir) -> None:
    for k in (0, 1):
        run.fold(k).best.tensors.unlink()
        shutil.rmtree(run.fold(k).last.path)
        shutil.rmtree(run.fold(k).resume)
    assert wrong(run).keys() == {f"fold{k}/best/weights.safetensors" for k in (0, 1)}
    add_note(run, Note(date="2026-11-01", text=BEST_DELETED))
    assert wrong(run) == {}


# --- beside a training


def unfinished(run: RunDir) -> FoldDir:
    """Leave fold 1 as between the commits of an epoch: weights without their description, and a newer log."""
    fold = run.fold(1)
    for path in (fold.done, run.summary, fold.last.meta):
        path.unlink()
    fold.log.write_bytes(fold.log.read_bytes() + b"{}\n")
    fold.best.tensors.write_bytes(b"newer")
    return fold


def test_what_a_training_is_writing_is_not_called_damaged(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    fold = unfinished(run)
    assert run.place(fold.log) in wrong(run)
    with run_lock.lock(run):
        assert wrong(run) == {}
        found = {check.name: check for check in run_checks(run)}
        assert found[run.place(fold.log)].about == WRITING
        assert found[LOCK].verdict == "warning"
        assert f"process {os.getpid()}" in found[LOCK].faults[0]
        assert found[run.place(run.fold(0).best.tensors)].verdict == "ok"
        assert run_app(["verify", str(run.path)]) == Exit.OK
        assert "a command is working on this run" in capsys.readouterr().out
        run.fold(0).log.write_bytes(b"{}\n")  # the log has a digest of its own, and is in no DONE
        run.fold(0).oof.write_bytes(b"damaged")
        assert wrong(run).keys() == {run.place(run.fold(0).oof)}
    assert {run.place(run.fold(k).log) for k in (0, 1)} < wrong(run).keys()


def test_a_training_that_began_and_ended_meanwhile_is_noticed(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained_meanwhile(*arguments: object, **options: object) -> Iterator[Check]:
        with run_lock.lock(run):
            os.utime(run.lock_file, ns=(1, 1))
        return network_checks(*arguments, **options)  # type: ignore[arg-type]

    unfinished(run)
    monkeypatch.setattr("maskcls.runs.integrity.run_checks.network_checks", trained_meanwhile)
    assert wrong(run) == {}


def test_asking_who_works_on_a_run_keeps_nobody_from_it(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    assert use_of(run).holder is None
    asks = os.open(run.lock_file, os.O_RDONLY)
    fcntl.flock(asks, fcntl.LOCK_SH)
    monkeypatch.setattr(file_locks.time, "sleep", lambda _: os.close(asks))
    with run_lock.lock(run):
        assert use_of(run).holder is not None
    assert wrong(run) == {}


def test_a_training_that_has_just_begun_is_no_damage(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "new")
    with run_lock.lock_new(run):
        assert [check.name for check in run_checks(run)] == [LOCK]
    with pytest.raises(ResultError):
        run_checks(run)


# --- what commands refuse


def another(run: RunDir, path: Path) -> None:
    """Make a file one of another run, with a digest that is right."""
    edit_json(path, {owned.OWNER: {"run": "f" * 64, "place": run.place(path)}})


def swapped(run: RunDir) -> None:
    shutil.rmtree(run.fold(0).best.path)
    shutil.copytree(run.fold(1).best.path, run.fold(0).best.path)


def with_other_mean(run: RunDir) -> None:
    data = files.read_json(run.fold(0).best.meta)
    data["transforms"]["mean"][0] += 0.5
    files.commit_json(run.fold(0).best.meta, data)


def with_reversed_classes(run: RunDir) -> None:
    data = files.read_json(run.fold(0).best.meta)
    data["labels"][1]["classes"].reverse()
    files.commit_json(run.fold(0).best.meta, data)


def of_last_epoch(run: RunDir) -> None:
    for name in ("tensors", "meta"):
        shutil.copy(getattr(run.fold(0).last, name), getattr(run.fold(0).best, name))


def of_other_training(run: RunDir) -> None:
    """Other weights that say they are this fold's, as after a training that DONE knows nothing of."""
    best = run.fold(0).best
    files.commit(best.tensors, run.fold(1).best.tensors.read_bytes())
    edit_json(best.meta, {"sha256": files.file_sha256(best.tensors)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swapped, "got: fold1/best/meta.json"),
        (of_last_epoch, "got: fold0/last/meta.json"),
        (with_other_mean, "changed after maskcls wrote it"),
        (with_reversed_classes, "changed after maskcls wrote it"),
        (lambda run: another(run, run.fold(0).best.meta), "belongs to another run"),
        (of_other_training, "not the weights that the network was finished with"),
    ],
)
def test_weights_that_are_not_this_fold_s_are_refused(
    run: RunDir,
    drawn: Path,
    tmp_path: Path,
    change: Callable[[RunDir], None],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(run)
    assert run_app(["predict", str(run.path), "--data", str(drawn), "-o", str(tmp_path / "a.csv")]) == Exit.WEIGHTS
    told = capsys.readouterr().err
    assert said in told
    assert "fold0/best" in told
    assert wrong(run).keys() >= {"fold0/best/meta.json"}


@pytest.mark.parametrize("command", [["evaluate"], ["resume"], ["predict", "--data", "x"], ["calibrate"], ["verify"]])
def test_an_environment_with_folds_removed_is_refused(
    run: RunDir, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    files.commit_json(run.env, files.read_json(run.env) | {"folds": [0]})
    assert run_app([command[0], str(run.path), *command[1:]]) == Exit.RESULT
    told = capsys.readouterr().err
    assert "changed after maskcls wrote it" in told
    assert str(run.env) in told


def test_another_run_s_rows_are_not_evaluated(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    before = run.oof.read_bytes()
    found = Predictions.load(run.oof)
    Predictions(found.ids, np.roll(found.prob, 1, axis=0), found.space, found.lineage).save(run.oof)
    for words in (["evaluate"], ["calibrate"], ["verify"]):
        assert run_app([*words, str(run.path)]) == Exit.RESULT
        told = capsys.readouterr()
        assert "oof.npz" in (told.out if words == ["verify"] else told.err)
    assert resume(run.path) == 0  # it is made again from the folds
    assert (run.oof.read_bytes(), wrong(run)) == (before, {})


def test_files_that_are_wrong_are_named_once(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    changed = [run.fold(0).first_batch, run.fold(1).first_batch, run.fold(1).oof]
    for path in changed:
        path.write_bytes(path.read_bytes() + b"0")
    assert run_app(["verify", str(run.path)]) == Exit.RESULT
    told = capsys.readouterr()
    assert [told.out.count(f"FAILED   {run.place(path)}: ") for path in changed] == [1, 1, 1]
    lines = told.err.splitlines()
    assert lines[0].startswith("error[result] 3 of ")
    assert lines[1] == f"  where: {run.path}"
    assert lines[2].startswith("  fix: restore them from a copy")
    assert "first_batch" not in told.err
    assert run_app(["verify", str(run.path), "--json"]) == Exit.RESULT
    told = capsys.readouterr()
    failed = {one["name"]: one["faults"] for one in json.loads(told.out)["checks"] if one["verdict"] == "FAILED"}
    assert failed.keys() == {run.place(path) for path in changed}
    assert all("expected" in faults[0] for faults in failed.values())
    assert told.err.splitlines()[0] == lines[0]


@pytest.mark.parametrize("name", ["oof.npz", "summary.json", "first_batch.png", "best/meta.json", "epochs/0.npy"])
@pytest.mark.parametrize("foreign", [True, False])
def test_a_finished_run_is_not_complete_with_changed_files(
    run: RunDir, name: str, foreign: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path, other = run.fold(1).path / name, run.fold(0).path / name
    if foreign:
        assert path.read_bytes() != other.read_bytes()
        shutil.copy(other, path)
    else:
        path.unlink()
    assert resume(run.path) == Exit.RESULT
    told = capsys.readouterr()
    assert f"fold1/{name}: " in told.err
    assert "fold0" not in told.err
    assert "nothing to do" not in told.err + told.out


def test_a_finished_run_without_its_weights_is_complete(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    run.fold(1).best.tensors.unlink()  # as runs prune does
    assert resume(run.path) == 0
    assert "nothing to do" in capsys.readouterr().err


def test_another_run_s_rows_of_a_fold_are_not_put_together(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    found = Predictions.load(run.fold(0).oof)
    Predictions(found.ids, np.roll(found.prob, 1, axis=0), found.space, found.lineage).save(run.fold(0).oof)
    run.summary.unlink()
    assert resume(run.path) == Exit.RESULT
    assert "not the predictions that the training wrote" in capsys.readouterr().err
    assert not run.summary.exists()


@pytest.mark.parametrize("command", ["evaluate", "resume", "report", "calibrate"])
def test_an_edited_summary_is_refused(run: RunDir, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = files.read_json(run.summary)
    data["pooled"]["macro_f1"] = 0.99
    files.commit_json(run.summary, data)
    assert run_app([command, str(run.path)]) == Exit.RESULT
    assert str(run.summary) in capsys.readouterr().err


def test_a_summary_of_networks_that_were_trained_again_is_made_again(run: RunDir) -> None:
    """A fold was deleted and resumed, and the process killed before the summary: nothing looked undone before."""
    before = run.summary.read_bytes()
    edit_json(run.summary, {"files": files.read_json(run.summary)["files"] | {"fold1/DONE": "0" * 64}})
    assert "made from another fold1/DONE" in wrong(run)["summary.json"]
    assert resume(run.path) == 0
    assert run.summary.read_bytes() == before


# --- tables


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    path = tmp_path / "s.csv"
    write_submission(
        path, header=("ImageID", "ans"), ids=["a", "b"], labels=np.array([0, 5]), space=CONTEST, lineage={}, force=False
    )
    return path


def test_a_submission_as_it_was_written_is_right(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["verify", str(submission), "--json"]) == Exit.OK
    checks = {one["name"]: one["verdict"] for one in json.loads(capsys.readouterr().out)["checks"]}
    skipped = dict.fromkeys(("run", "weights", "data"), "skipped")
    assert checks == {"s.json": "ok", "s.csv": "ok", **skipped, "code": "ok"}


def test_a_sidecar_with_reversed_classes_is_refused(
    submission: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sidecar = submission.with_suffix(".json")
    data = files.read_json(sidecar)
    data["label_space"]["tasks"][1]["classes"].reverse()
    files.commit_json(sidecar, data)
    (tmp_path / "answers.csv").write_text("ImageID,ans\na,0\nb,5\n")
    for words, code in ((["verify"], Exit.RESULT), (["submission", "check"], Exit.RESULT), (["evaluate"], Exit.DATA)):
        answers = ["--answers", str(tmp_path / "answers.csv")] if words == ["evaluate"] else []
        assert run_app([*words, str(submission), *answers]) == code
        captured = capsys.readouterr()
        assert "changed after maskcls wrote it" in captured.out + captured.err


def test_an_edited_submission_and_one_without_sidecar_are_named(
    submission: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submission.write_text("ImageID,ans\na,0\nb,6\n")
    assert run_app(["verify", str(submission)]) == Exit.RESULT
    assert "FAILED   s.csv" in capsys.readouterr().out
    submission.with_suffix(".json").unlink()
    assert run_app(["verify", str(submission)]) == Exit.RESULT
    assert "nothing says how s.csv was made" in capsys.readouterr().out


def test_a_submission_is_compared_with_run_and_data(
    run: RunDir, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = [{"fold": k, "sha256": files.file_sha256(run.fold(k).best.tensors)} for k in (0, 1)]
    lineage = {"run": "a", "run_hashes": files.read_json(run.env)["hashes"], "weights": weights}
    write_submission(
        Path("s.csv"),
        header=("ImageID", "ans"),
        ids=["a"],
        labels=np.array([0]),
        space=CONTEST,
        lineage=lineage,
        force=False,
    )
    assert run_app(["verify", "s.csv"]) == Exit.OK  # the run is found by its name
    assert "2 networks" in capsys.readouterr().out
    assert run_app(["verify", "s.csv", "--data", str(drawn)]) == Exit.OK
    files.commit(run.fold(1).best.tensors, b"other weights")
    assert run_app(["verify", "s.csv", "--run", str(run.path)]) == Exit.RESULT
    assert "FAILED   weights" in capsys.readouterr().out


def test_predictions_are_verified_by_the_digest_in_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.npz"
    Predictions(["a", "b"], np.eye(18, dtype=np.float32)[:2], CONTEST, {"views": "none"}).save(path)
    assert run_app(["verify", str(path)]) == Exit.OK
    path.write_bytes(path.read_bytes().replace("views".encode("utf-32-le"), "vines".encode("utf-32-le")))
    assert run_app(["verify", str(path)]) == Exit.RESULT
    Predictions(["a", "b"], np.eye(18, dtype=np.float32)[:2], CONTEST, {"views": "none"}).save(path)
    whole = path.read_bytes()
    for changed in (whole + b"\n", b"\n" + whole):
        path.write_bytes(changed)
        capsys.readouterr()
        assert run_app(["verify", str(path)]) == Exit.RESULT
        said = " ".join("".join(capsys.readouterr()).split())
        assert "FAILED p.npz: damaged predictions" in said
        assert "restore them from a copy, or predict again" in said
    assert run_app(["verify", str(tmp_path / "nothing")]) == Exit.DATA
    assert run_app(["verify", str(tmp_path)]) == Exit.RESULT


# --- the cache


def test_the_cache_is_verified_pack_by_pack(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "kept"))
    spec = tiny().transforms.model_copy(update={"mean": (0.5,) * 3, "std": (0.5,) * 3})
    photos = sorted(path.relative_to(drawn).as_posix() for path in drawn.rglob("*.jpg"))[:4]
    build_pack(drawn, photos, ViewSpec(**spec.model_dump()), threads=1)
    (pack,) = packs(tmp_path / "kept")
    for words in (["cache"], [str(tmp_path / "kept")]):
        assert run_app(["verify", *words, "--json"]) == Exit.OK
        (check,) = json.loads(capsys.readouterr().out)["checks"]
        assert (check["name"], check["verdict"]) == (pack.folder.name, "ok")
    names = ["pack.json", "pixels.u8", "rows.bin"]
    assert sorted(path.name for path in pack.folder.iterdir()) == names
    for name in names:
        for bit in flipped(pack.folder / name, 8, seed=0):
            assert run_app(["verify", str(tmp_path / "kept")]) == Exit.RESULT, (name, bit)
            assert name in capsys.readouterr().out
