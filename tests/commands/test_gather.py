"""Runs of single folds that are gathered: one run, as if one command had trained all folds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny import hashes, outcome, train

from maskcls.cli import run_app
from maskcls.engine.compute.plan import Execution
from maskcls.errors import Exit
from maskcls.rundir import RunDir
from maskcls.runs.environment import read_environment, write_environment
from maskcls.runs.gathering.gather_checks import read_fold_runs
from maskcls.runs.gathering.same_computation import KINDS, read_kinds
from maskcls.runs.identity import identity_hashes
from maskcls.runs.locks import run_lock

WORDS = ("folds.k=3", "train.epochs=3", "average.kind=none", "optim.lr=3e-3", "model.backbone=test_convnext")
QUICK = ("folds.k=3", "train.epochs=1", "schedule.warmup_epochs=0", "average.kind=none", "model.backbone=test_convnext")


def one_line(text: str) -> str:
    return " ".join(text.split())


def gather(output: Path, runs: Sequence[Path], *words: str) -> int:
    return run_app(["runs", "gather", *map(str, runs), "-o", str(output), *words])


def train_parts(drawn: Path, home: Path, *words: str, folds: Sequence[str] = ("0", "1", "2")) -> list[Path]:
    """Train one run per entry of `folds`."""
    runs = [home / f"part{fold.replace(',', '')}" for fold in folds]
    for run, fold in zip(runs, folds, strict=True):
        assert train(drawn, run, *words, "--folds", fold) == 0
    return runs


@pytest.fixture(scope="module")
def whole(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one command."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert train(drawn, run, *WORDS) == 0
    return run


@pytest.fixture(scope="module")
def trained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run per fold; not to be changed."""
    return train_parts(drawn, tmp_path_factory.mktemp("trained"), *WORDS)


def test_three_runs_of_one_fold_become_the_run_of_one_command(
    whole: Path, trained: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, before = tmp_path / "run", [hashes(part) for part in trained]
    capsys.readouterr()
    assert gather(run, trained) == 0
    said = one_line(capsys.readouterr().out)
    assert f"gathered: fold 0 of {trained[0]}, fold 1 of {trained[1]}, fold 2 of {trained[2]}" in said
    assert outcome(run) == outcome(whole)
    assert set(hashes(run)) | {".lock"} == set(hashes(whole))
    assert [hashes(part) for part in trained] == before
    used = list(json.loads((run / "summary.json").read_text())["selection"]["epochs"].values())
    assert used != [2, 2, 2]  # a run of one fold uses the last epoch: the choice was made anew
    gathered = json.loads((run / "env.json").read_text())["gathered"]
    assert [one["folds"] for one in gathered["runs"]] == [[0], [1], [2]]
    assert [one["run"] for one in gathered["runs"]] == [str(part) for part in trained]
    assert "accepted" not in gathered or gathered["accepted"] == []


def test_a_gathered_run_is_a_run_as_any_other(
    whole: Path, trained: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert gather(run, trained, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["gathered"] == {str(part): [k] for k, part in enumerate(trained)}
    assert (found["missing"], found["left"], found["accepted"]) == ([], [], [])
    assert found["summary"]["pooled"] == json.loads((run / "summary.json").read_text())["pooled"]
    assert "-o" in found["next"]
    assert run_app(["verify", str(run)]) == 0
    assert run_app(["evaluate", str(run)]) == 0
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(tmp_path / "s.csv")]) == 0
    assert run_app(["report", str(run), "-o", str(tmp_path / "page.html")]) == 0
    capsys.readouterr()
    assert run_app(["runs", "compare", str(run), str(whole), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["changed"].values()) == {0}
    assert run_app(["resume", str(run)]) == 0
    assert "is complete; nothing to do" in one_line(capsys.readouterr().err)
    before = hashes(run)
    assert gather(run, trained) == 0  # as after a kill at the very end
    assert "is complete; nothing to do" in one_line(capsys.readouterr().err)
    assert hashes(run) == before
    (tmp_path / "choices.json").unlink()
    assert gather(run, trained) == 0
    assert json.loads((tmp_path / "choices.json").read_text())["attempts"][0]["name"] == "run"
    assert gather(run, trained[:2]) == Exit.BUSY
    assert hashes(run) == before


def test_a_fold_that_is_missing_is_named_and_can_be_added(
    whole: Path, trained: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is then as a training of these folds, which keeps what the choice among all folds needs."""
    some, run = tmp_path / "some", tmp_path / "run"
    capsys.readouterr()
    assert gather(some, [trained[2], trained[0]]) == 0
    said = capsys.readouterr()
    assert f"fold 1 is in none of the runs; train it with maskcls resume {some} --folds 1; or with" in one_line(
        said.out
    )
    assert "2 of 3 folds" in one_line(said.err)
    assert json.loads((some / "env.json").read_text())["folds"] == [0, 2]
    resumed = tmp_path / "resumed"
    shutil.copytree(some, resumed)
    assert gather(run, [some, trained[1]]) == 0
    assert outcome(run) == outcome(whole)
    assert [one["folds"] for one in json.loads((run / "env.json").read_text())["gathered"]["runs"]] == [[2], [0], [1]]
    assert run_app(["resume", str(resumed), "--folds", "1"]) == 0
    assert outcome(resumed) == outcome(whole)


@pytest.mark.parametrize(
    ("more", "networks"),
    [
        (
            (
                *QUICK,
                "tasks=[{name: mask, classes: [wear, incorrect, normal]}, {name: gender, classes: [male, female]}]",
            ),
            2,
        ),
        pytest.param((*WORDS, "train.epochs=2"), 3, marks=pytest.mark.slow),
        pytest.param(
            (*WORDS, "train.epochs=2", "train.seeds=2", "average.soup=2", "data.cache=off"), 6, marks=pytest.mark.slow
        ),
    ],
)
def test_networks_of_tasks_and_seeds_are_gathered(
    more: Sequence[str], networks: int, drawn: Path, tmp_path: Path
) -> None:
    words = (*more, "folds.k=2", "model.heads=separate")
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert train(drawn, whole, *words) == 0
    parts = train_parts(drawn, tmp_path, *words, folds=("0", "1"))
    assert gather(run, parts) == 0
    assert len(list(run.glob("members/*"))) == networks
    assert outcome(run) == outcome(whole)


@pytest.mark.parametrize(
    "setting", [pytest.param("train.refit=true", marks=pytest.mark.slow), "train.continue_epochs=1"]
)
def test_networks_of_all_rows_are_left_to_resume(
    setting: str, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, run, words = tmp_path / "whole", tmp_path / "run", (*QUICK, "folds.k=2", setting)
    assert train(drawn, whole, *words) == 0
    parts = train_parts(drawn, tmp_path, *words, folds=("0", "1"))
    capsys.readouterr()
    assert gather(run, parts) == 0
    said = one_line(capsys.readouterr().out)
    left = "all rows" if "refit" in setting else "fold 0 continued, fold 1 continued"
    assert f"left to train: {left}; the run is scored after that next: maskcls resume {run}" in said
    assert not (run / "summary.json").exists()
    assert run_app(["resume", str(run)]) == 0
    assert outcome(run) == outcome(whole)


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of one epoch; not to be changed."""
    return train_parts(drawn, tmp_path_factory.mktemp("pair"), *QUICK, folds=("0", "1"))


def refused(
    pair: Sequence[Path], output: Path, capsys: pytest.CaptureFixture[str], *words: str, code: int = Exit.RESULT
) -> str:
    """Gather runs that are not gathered; return the message."""
    before = [hashes(run) for run in pair]
    capsys.readouterr()
    assert gather(output, pair, *words) == code
    said = one_line(capsys.readouterr().err)
    assert not list(output.parent.glob(".*.tmp"))
    assert not output.exists()
    assert [hashes(run) for run in pair] == before
    assert ("fix:" in said) or code == Exit.USAGE
    return said


def changed(run: Path, place: Path, **changes: object) -> Path:
    """Copy a run with other entries in its environment."""
    shutil.copytree(run, place)
    write_environment(RunDir(place), read_environment(RunDir(place)).model_copy(update=changes))
    return place


def test_another_setting_is_named(
    drawn: Path, pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (other,) = train_parts(drawn, tmp_path, *QUICK, "optim.lr=2e-3", folds=("1",))
    said = refused([pair[0], other], tmp_path / "run", capsys, code=Exit.CONFIG)
    assert "the runs have other settings: optim.lr" in said
    assert f"{pair[0]} and {other}" in said
    assert "and 0.002 expected: one configuration" in said


@pytest.mark.parametrize("what", ["label", "photo"])
def test_another_data_set_is_named(
    what: str, drawn: Path, pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "faces"
    shutil.copytree(drawn, data)
    if what == "label":
        table = data / "train/train.csv"
        head, first, *rest = table.read_text().splitlines()
        cells = dict(zip(head.split(","), first.split(","), strict=True))
        age = str(int(cells["age"]) + 1)
        table.write_text("\n".join([head, first.replace(f",{cells['age']},", f",{age},"), *rest]) + "\n")
    else:
        photo = next(iter(sorted((data / "train/images").glob("*/normal.*"))))
        with Image.open(photo) as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(photo)
    (other,) = train_parts(data, tmp_path, *QUICK, folds=("1",))
    said = refused([pair[0], other], tmp_path / "run", capsys, code=Exit.DATA)
    if what == "label":
        assert "the runs have other rows" in said
        assert f"(only in {other})" in said
    else:
        assert "the runs have other photos" in said
        assert "normal" in said


def test_other_code_packages_decoders_devices_processors_and_plans_are_named_and_can_be_accepted(
    pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = read_environment(RunDir(pair[1]))
    assert env.plans is not None
    changes: dict[str, tuple[dict[str, object], str]] = {
        "code": ({"code": "0" * 64}, "trained by other code of maskcls"),
        "packages": ({"packages": env.packages | {"torch": "1.0"}}, "and 1.0 expected"),
        "decoder": ({"packages": env.packages | {"libjpeg": "6b"}}, "and 6b expected"),
        "device": ({"device": "cuda"}, "device cpu and cuda"),
        "processor": ({"processor": "Elbrus"}, "and Elbrus expected"),
        "plan": ({"plans": {"": replace(env.plans[""], threads=3)}}, "threads 1 and 3"),
    }
    assert tuple(changes) == KINDS
    for kind, (entries, expected) in changes.items():
        other = changed(pair[1], tmp_path / kind, **entries)
        said = refused([pair[0], other], tmp_path / "run", capsys)
        assert expected in said
        assert f"--accept {kind}" in said
        wrong = next(name for name in KINDS if name != kind)
        assert expected in refused([pair[0], other], tmp_path / "run", capsys, "--accept", wrong)
        runs, output = [RunDir(pair[0]), RunDir(other)], RunDir(tmp_path / "run")
        (line,) = read_fold_runs(runs, output, accept=read_kinds([kind]), data=None).accepted
        assert line.endswith(f" in {pair[0]} and {other}")
    assert gather(tmp_path / "run", [pair[0], tmp_path / "plan"], "--accept", "code", "--accept", "plan") == 0
    assert "the folds were not computed in one way" in one_line(capsys.readouterr().out)
    assert json.loads((tmp_path / "run/env.json").read_text())["gathered"]["accepted"] == [line]
    assert "no such difference" in refused(pair, tmp_path / "all", capsys, "--accept", "all", code=Exit.USAGE)


def test_the_kernels_count_and_what_an_earlier_version_did_not_write_does_not(
    pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On one model of processor, torch uses other kernels by ATEN_CPU_CAPABILITY, or by another build."""
    env = read_environment(RunDir(pair[1]))
    assert env.kernels
    other = changed(pair[1], tmp_path / "other", kernels="SSE")
    said = refused([pair[0], other], tmp_path / "run", capsys)
    assert "trained on other kinds of processors" in said
    assert f"kernels {env.kernels} and SSE" in said
    older = changed(pair[1], tmp_path / "older", processor=None, kernels=None)
    runs = [RunDir(pair[0]), RunDir(older)]
    assert read_fold_runs(runs, RunDir(tmp_path / "run"), accept=(), data=None).accepted == ()


@pytest.mark.parametrize(
    ("entries", "setting"),
    [
        ({"train": Execution("bf16", "channels_last")}, "device.precision"),
        ({"train": Execution("fp32", "contiguous")}, "device.memory_format"),
        ({"infer": Execution("fp32", "channels_last", compile=True)}, "device.compile"),
        ({"accumulate": 2}, "train.accumulate"),
    ],
)
def test_every_part_of_a_plan_counts(
    entries: dict[str, Any], setting: str, pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plans = read_environment(RunDir(pair[1])).plans
    assert plans is not None
    other = changed(pair[1], tmp_path / "other", plans={"": replace(plans[""], **entries)})
    assert f"with {setting} of the other" in refused([pair[0], other], tmp_path / "run", capsys)


def test_what_changes_no_bits_is_a_note(
    drawn: Path, pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    plans = read_environment(RunDir(pair[1])).plans
    assert plans is not None
    words = (*QUICK, "device.workers=1", "train.save_minutes=3", "train.baseline=false")
    assert train(drawn, tmp_path / "first", *words, "--folds", "1") == 0
    changed(tmp_path / "first", other, platform="Plan9", python="3.99", plans={"": replace(plans[""], fold_jobs=2)})
    capsys.readouterr()
    assert gather(run, [pair[0], other]) == 0
    said = one_line(capsys.readouterr().err)
    assert "Plan9" in said
    assert "3.99" in said
    assert "device.workers=0 and 1" in said
    assert "train.save_minutes" in said
    assert "train.baseline" in said
    (tmp_path / "two").mkdir()
    assert gather(tmp_path / "two" / "run", pair) == 0
    assert outcome(run) == outcome(tmp_path / "two" / "run")


def test_starting_weights_are_compared_by_their_content(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their path may differ: then the files of the other run name another owner, and are written again."""
    torch.manual_seed(0)
    network = timm.create_model("test_convnext")
    places = [tmp_path / name / "w.safetensors" for name in "abc"]
    for place in places:
        place.parent.mkdir()
        save_file(network.state_dict(), places[0]) if place == places[0] else shutil.copy(places[0], place)
    save_file({name: tensor * 0.5 for name, tensor in network.state_dict().items()}, places[2])
    words, whole = (*QUICK, "folds.k=2"), tmp_path / "whole"
    assert train(drawn, whole, *words, f"model.weights={places[0]}") == 0
    runs = []
    for place, fold in zip(places, ("0", "1", "1"), strict=True):
        runs += train_parts(drawn, place.parent, *words, f"model.weights={place}", folds=(fold,))
    said = refused([runs[0], runs[2]], tmp_path / "run", capsys, code=Exit.WEIGHTS)
    assert "the runs began with other starting weights" in said
    assert gather(tmp_path / "run", runs[:2]) == 0
    assert f"model.weights={places[0]} and {places[1]}" in one_line(capsys.readouterr().err)
    assert outcome(tmp_path / "run") == outcome(whole)
    assert run_app(["verify", str(tmp_path / "run")]) == 0
    assert run_app(["resume", str(tmp_path / "run")]) == 0


def test_a_fold_in_two_runs_and_a_run_alone(
    pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = changed(pair[0], tmp_path / "again")
    said = refused([*pair, again], tmp_path / "run", capsys, code=Exit.USAGE)
    assert f"fold 0 is in two runs where: {pair[0]} and {again}" in said
    assert "a run is given twice" in refused([pair[0], pair[0]], tmp_path / "run", capsys, code=Exit.USAGE)
    assert "one run is not gathered" in refused(pair[:1], tmp_path / "run", capsys, code=Exit.USAGE)
    inside = drawn_of(pair[0]) / "run"
    assert "inside a folder that is read" in refused(pair, inside, capsys, code=Exit.USAGE)


def drawn_of(run: Path) -> Path:
    return Path(read_environment(RunDir(run)).data)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("manifest.csv", "files of the run were changed"),
        ("fold1/best/weights.safetensors", "not as maskcls wrote them"),
        ("fold1/candidates/0/weights.safetensors", "not as maskcls wrote them"),
        ("fold1/epochs/0.npy", "not as maskcls wrote them"),
    ],
)
def test_a_damaged_run_is_refused_and_its_file_named(
    name: str, said: str, pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = changed(pair[1], tmp_path / "other")
    raw = bytearray((other / name).read_bytes())
    raw[-1] ^= 1
    (other / name).write_bytes(raw)
    found = refused([pair[0], other], tmp_path / "run", capsys)
    assert said in found
    assert name in found


def test_runs_that_are_not_ready_are_refused(
    pair: list[Path], trained: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = changed(pair[1], tmp_path / "other")
    (other / "fold1/DONE").unlink()
    said = refused([pair[0], other], tmp_path / "run", capsys)
    assert f"not finished 1 in total: fold 1 where: {other} fix: maskcls resume {other}" in said
    pruned = changed(trained[1], tmp_path / "pruned")
    shutil.rmtree(pruned / "fold1/candidates")
    said = refused([trained[0], pruned], tmp_path / "run", capsys)
    assert f"the weights of the epochs to choose from are not on disk 1 in total: fold 1 of {pruned}" in said
    with run_lock.lock(RunDir(other)):
        assert "another process is working on this run" in refused(
            [pair[0], other], tmp_path / "run", capsys, code=Exit.BUSY
        )
    earlier = changed(pair[1], tmp_path / "earlier", plans=None)
    assert "made by an earlier maskcls" in refused([pair[0], earlier], tmp_path / "run", capsys)
    heads = changed(pair[1], tmp_path / "heads")
    (heads / "heads.json").write_text("{}")
    write_environment(
        RunDir(heads), read_environment(RunDir(heads)).model_copy(update={"hashes": identity_hashes(RunDir(heads))})
    )
    assert "retrained heads" in refused([pair[0], heads], tmp_path / "run", capsys, code=Exit.USAGE)


def test_a_data_set_that_has_moved_is_named(
    drawn: Path, pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    parts = [changed(part, tmp_path / part.name, data=str(tmp_path / "faces")) for part in pair]
    assert "--data" in refused(parts, run, capsys, code=Exit.DATA)
    assert gather(run, parts, "--data", str(drawn)) == 0
    assert json.loads((run / "env.json").read_text())["data"] == str(drawn)
    assert run_app(["resume", str(run)]) == 0
