"""maskcls synth train and resume: files, kills between commits, time limits, refusals, and that folds do not leak."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from interrupted import save_every_step
from made_run import make_run
from tiny import hashes, recipe, train

from maskcls.cli import run_app
from maskcls.engine.checkpoint import load_state
from maskcls.errors import Exit
from maskcls.rundir import REFIT, SynthDir
from maskcls.synth.facts_file import read_facts
from maskcls.synth.gans.generator_network import generator_of
from maskcls.synth.loop.parts import load_part
from maskcls.training.stored_experiment import open_experiment

TINY = (
    *("synth.size=[16, 16]", "synth.width=4", "synth.latent=4", "synth.batch_size=4", "synth.steps=2"),
    *("synth.sheet_steps=1", "synth.critic_steps=1", "synth.least_groups=1"),
)
OF_ONE = {
    *("log.jsonl", "resume/state.safetensors", "generator/weights.safetensors", "generator/meta.json", "DONE"),
    *("critic/weights.safetensors", "critic/meta.json", "sheets/1.png", "sheets/2.png"),
}
OF_ALL = {"config.yaml", "labels.json", "manifest.csv", "folds.csv", "photos.csv", "env.json", "synth.json", ".lock"}


def synth(data: Path, folder: Path, *words: str, kind: str = "wgan-gp") -> int:
    given = [word for word in words if word.startswith("--") or "=" not in word]
    settings = [word for word in words if word not in given]
    line = ["synth", "train", str(data), "--kind", kind, "--run", str(folder), *given]
    return run_app([*line, *recipe(*TINY, *settings)])


def weights(folder: Path) -> dict[str, str]:
    """Return the hashes of what makes samples and of the pictures; these files name no run."""
    return {name: one for name, one in hashes(folder).items() if name.endswith(("weights.safetensors", ".png"))}


def test_it_writes_exactly_these_files_and_generators_can_be_used_apart(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert synth(drawn, tmp_path / "g", "--json") == Exit.OK
    expected = OF_ALL | {f"{place}/{name}" for place in ("fold0", "fold1", "refit") for name in OF_ONE}
    assert hashes(tmp_path / "g").keys() == expected
    found = json.loads(capsys.readouterr().out)
    assert [(one["set"], one["step"], one["finished"]) for one in found["generators"]] == [
        ("0", 2, True),
        ("1", 2, True),
        ("all", 2, True),
    ]
    folder = SynthDir(tmp_path / "g")
    facts = read_facts(folder)
    assert (facts.kind, facts.folds, facts.k, facts.forced) == ("wgan-gp", [0, 1, REFIT], 2, False)
    experiment, _ = open_experiment(folder.experiment)
    for k in (0, 1):
        old = experiment.labels["age"] == 2
        trained = old & (experiment.fold != k)
        named = facts.sets[str(k)]
        if named.classes == {"age": (">=60",)}:
            assert named.people == len(set(experiment.people[trained].tolist()))
            assert named.rows == int(trained.sum())
    part = load_part(folder.fold(0).generator)
    network = generator_of(part.tensors, part.facts)
    assert network.plan.size == (16, 16)


def test_generators_of_different_folds_differ_and_their_rows_come_from_the_manifest(
    drawn: Path, tmp_path: Path
) -> None:
    assert synth(drawn, tmp_path / "g", kind="dcgan") == 0
    found = weights(tmp_path / "g")
    assert len({found[f"{place}/generator/weights.safetensors"] for place in ("fold0", "fold1", "refit")}) == 3


@pytest.mark.parametrize("apart", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_after_any_commit_it_is_continued_to_the_same_bits(
    apart: int, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the command line, folds and the generator of all rows: one copy of the folder per commit."""
    assert synth(drawn, tmp_path / "whole", "--folds", "0,1", "synth.steps=1") == 0
    whole = weights(tmp_path / "whole")
    save_every_step(monkeypatch)
    replace, copies, run = os.replace, list[Path](), tmp_path / "g"

    def and_copy(source: Path, target: Path) -> None:
        replace(source, target)
        if Path(target).is_relative_to(run):
            copies.append(shutil.copytree(run, tmp_path / "copies" / str(len(copies)) / "g"))

    monkeypatch.setattr(os, "replace", and_copy)
    assert synth(drawn, run, "--folds", "0,1", "synth.steps=1") == 0
    monkeypatch.setattr(os, "replace", replace)
    assert weights(run) == whole
    begun = [copy for copy in copies if (copy / "env.json").exists()]
    assert len(copies) - len(begun) == 6  # synth.json and five files of the identity, env.json being the last
    assert len(begun) == 1 + 2 * 8
    for copy in begun[::apart]:
        assert run_app(["synth", "resume", str(copy)]) == 0
        assert weights(copy) == whole, copy
    assert synth(drawn, copies[3], "--folds", "0,1", "synth.steps=1") == 0  # killed before it began: begun again
    assert weights(copies[3]) == whole


def test_a_time_limit_ends_it_and_resume_goes_on(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert synth(drawn, tmp_path / "g", "--minutes", "0.0001", "synth.steps=3") == 0
    said = capsys.readouterr().out
    assert "not finished" in said
    assert f"maskcls synth resume {tmp_path / 'g'}" in said
    assert load_state(SynthDir(tmp_path / "g").fold(0).state, root=tmp_path / "g")[1]["step"] == 1
    assert not SynthDir(tmp_path / "g").fold(1).path.exists()
    assert run_app(["synth", "resume", str(tmp_path / "g"), "--minutes", "0.0001"]) == 0
    assert "not finished" in capsys.readouterr().out
    assert run_app(["synth", "resume", str(tmp_path / "g")]) == 0
    assert "all generators are trained" in capsys.readouterr().out
    assert synth(drawn, tmp_path / "whole", "synth.steps=3") == 0
    assert weights(tmp_path / "g") == weights(tmp_path / "whole")


def test_a_run_gives_its_data_and_folds_and_stays_as_it_is(drawn: Path, tmp_path: Path) -> None:
    assert train(drawn, tmp_path / "a", "model.backbone=test_convnext", "train.epochs=1", "folds.seed=5") == 0
    before = hashes(tmp_path / "a")
    words = ["synth", "train", str(tmp_path / "a"), "--kind", "dcgan", "--run", str(tmp_path / "g"), "--folds", "1"]
    assert run_app([*words, *TINY]) == 0
    assert hashes(tmp_path / "a") == before
    for name in ("folds.csv", "manifest.csv", "labels.json", "photos.csv"):
        assert hashes(tmp_path / "g")[name] == before[name]
    assert read_facts(SynthDir(tmp_path / "g")).folds == [1]
    of_data = synth(drawn, tmp_path / "h", "--folds", "1", "folds.seed=5", "model.backbone=test_convnext", kind="dcgan")
    assert of_data == 0
    assert weights(tmp_path / "g") == weights(tmp_path / "h")


def test_rows_of_pseudo_labels_are_left_out(drawn: Path, tmp_path: Path) -> None:
    photos = sorted((drawn / "eval" / "images").iterdir())[:3]
    lines = ["id,path,mask,gender,age,weight", *(f"p{i},{p},wear,male,<30,1" for i, p in enumerate(photos))]
    labels = tmp_path / "p.csv"
    labels.write_text("\n".join(lines) + "\n")
    assert synth(drawn, tmp_path / "g", "--folds", "0", f"data.pseudo={labels}", "data.leaky=true") == 0
    assert synth(drawn, tmp_path / "h", "--folds", "0") == 0
    assert weights(tmp_path / "g") == weights(tmp_path / "h")
    assert hashes(tmp_path / "g")["manifest.csv"] == hashes(tmp_path / "h")["manifest.csv"]


def test_few_people_are_refused_with_number_fold_and_source_unless_forced(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("synth.classes={age: ['>=60']}", "synth.least_groups=20", "synth.steps=1")
    assert synth(drawn, tmp_path / "g", *words) == Exit.DATA
    said = capsys.readouterr().err
    assert "error[data] too few people for a generator" in said
    assert "arXiv:2603.16134" in said
    assert "generator of fold 0: " in said
    assert "people of age >=60" in said or "person of age >=60" in said
    assert "at least 20 people" in said
    assert not (tmp_path / "g").exists()
    assert synth(drawn, tmp_path / "g", *words, "--force", "--folds", "0") == 0
    assert read_facts(SynthDir(tmp_path / "g")).forced


def test_verbs_of_runs_refuse_a_folder_of_generators(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert synth(drawn, tmp_path / "g", "--folds", "0", "synth.steps=1") == 0
    g = str(tmp_path / "g")
    before = hashes(tmp_path / "g")
    lines = [
        ["predict", g, "--data", str(drawn), "-o", str(tmp_path / "s.csv")],
        *([verb, g] for verb in ("resume", "evaluate", "report", "calibrate", "tta", "export", "unseal", "verify")),
        ["ensemble", g, "--data", str(drawn), "-o", str(tmp_path / "s.csv")],
        ["pseudo-label", g, "--data", str(drawn), "-o", str(tmp_path / "p.csv")],
        ["synth", "train", g, "--kind", "dcgan", "--run", str(tmp_path / "h")],
    ]
    for line in lines:
        assert run_app(line) == Exit.RESULT, line
        assert "this is a folder of generators, not a run" in capsys.readouterr().err, line
    assert run_app(["runs", "list", str(tmp_path)]) == Exit.OK
    assert "no run in" in capsys.readouterr().out
    for other in (["train", str(drawn), "--run", g], ["synth", "train", str(drawn), "--kind", "dcgan", "--run", g]):
        assert run_app(other) == Exit.BUSY, other
    assert hashes(tmp_path / "g") == before


def test_a_run_is_no_folder_of_generators(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "a", drawn)
    assert run_app(["synth", "resume", str(run.path)]) == Exit.RESULT
    assert "this is not a folder of generators" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["smote", "oversample"])
def test_kinds_without_networks_say_so(
    kind: str, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert synth(drawn, tmp_path / "g", kind=kind) == Exit.USAGE
    assert f"synth.kind={kind}" in capsys.readouterr().err


def test_a_setting_of_another_kind_is_said_to_have_no_effect(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert synth(drawn, tmp_path / "g", "--folds", "0", "synth.dropout=0.3", "synth.steps=1") == 0
    assert "synth.dropout has no effect: synth.kind is wgan-gp" in capsys.readouterr().err


def test_a_changed_generator_or_photo_is_found_by_resume(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "faces"
    shutil.copytree(drawn, data)
    assert synth(data, tmp_path / "g", "--folds", "0", "synth.steps=1") == 0
    tensors = SynthDir(tmp_path / "g").fold(0).generator.tensors
    content = tensors.read_bytes()
    tensors.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert run_app(["synth", "resume", str(tmp_path / "g")]) == Exit.WEIGHTS
    tensors.write_bytes(content)
    assert run_app(["synth", "resume", str(tmp_path / "g")]) == Exit.OK
    one, other = sorted((data / "train" / "images").rglob("*.jpg"))[:2]
    one.write_bytes(other.read_bytes())
    capsys.readouterr()
    assert run_app(["synth", "resume", str(tmp_path / "g")]) == Exit.WEIGHTS
    assert one.name in capsys.readouterr().err


def test_sheets_are_pictures_of_samples(drawn: Path, tmp_path: Path) -> None:
    import cv2

    assert synth(drawn, tmp_path / "g", "--folds", "0", "synth.classes={age: ['<30']}") == 0
    sheet = cv2.imread(str(SynthDir(tmp_path / "g").fold(0).sheet(2)))
    assert isinstance(sheet, np.ndarray)
    assert (sheet.shape[0] % 16, sheet.shape[1:]) == (0, (8 * 16, 3))
