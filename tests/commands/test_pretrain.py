"""maskcls pretrain: bits after kills and stops, what is recorded, who is refused or noted, use as starting weights."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interrupted import save_every_step
from safetensors.torch import load_file
from tiny import RECIPE, tiny, train

from maskcls import files
from maskcls.backbone import Backbone
from maskcls.cli import run_app
from maskcls.commands.pretraining import pretrain as command
from maskcls.nn import simsiam
from maskcls.nn.network import build_network, load_trunk
from maskcls.training.pretraining.loop import PretrainingPlan
from maskcls.training.pretraining.unlabelled import step_rows, unlabelled_photos
from maskcls.training.starting_weights import people_behind, people_seen

SETTINGS = [word for word in RECIPE if not word.startswith(("train.batch_size", "train.epochs", "predict"))]
WORDS = ("--epochs", "2", "--lr", "0.1")
PHOTOS = 12 * 7 + 21


def pretrain(data: Path, output: Path, *words: str, batch: int = 32) -> int:
    settings = [*SETTINGS, f"train.batch_size={batch}"]
    return run_app(["pretrain", str(data), "-o", str(output), *settings, *(words or WORDS)])


def about(output: Path) -> dict[str, Any]:
    return json.loads(output.with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def trunk(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("pretrained") / "trunk.safetensors"
    assert pretrain(drawn, output) == 0
    return output


def test_the_output_is_a_trunk_and_a_record_of_what_it_has_seen(trunk: Path, drawn: Path) -> None:
    assert {path.name for path in trunk.parent.iterdir() if not path.name.startswith(".")} == {
        "trunk.safetensors",
        "trunk.json",
    }
    found = about(trunk)
    assert found["sha256"] == files.file_sha256(trunk)
    assert (found["photos"], found["eval_photos"], len(found["people"])) == (PHOTOS, 21, 12)
    assert (found["start"], found["without_fold"], found["labelled_people"]) == ("random", None, [])
    assert len(found["loss"]) == len(found["spread"]) == 2
    assert found["loss"][1] < found["loss"][0] < 0  # cosines grow
    fresh = build_network(Backbone("test_efficientnet"), {}, size=(32, 32))
    before = {name: value.clone() for name, value in fresh.trunk.state_dict().items()}
    assert load_trunk(fresh, trunk).startswith(f"{len(before)} of {len(before)}")
    assert people_seen(trunk) == set(found["people"])
    assert people_behind(trunk) == frozenset()


def test_killed_after_every_commit_it_ends_with_the_same_bits(
    trunk: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[Path] = []
    place, replace = tmp_path / "whole", os.replace

    def and_copy(source: Path, target: Path) -> None:
        replace(source, target)
        if Path(target).is_relative_to(place):
            copies.append(tmp_path / str(len(copies)))
            shutil.copytree(place, copies[-1])

    with monkeypatch.context() as patch:
        save_every_step(patch)
        patch.setattr(os, "replace", and_copy)
        place.mkdir()
        assert pretrain(drawn, place / "trunk.safetensors") == 0
    want = {name: (place / name).read_bytes() for name in ("trunk.safetensors", "trunk.json")}
    assert want == {name: (trunk.parent / name).read_bytes() for name in want}  # saves change nothing
    assert len(copies) >= 2 * (PHOTOS // 32) + 1
    for copy in copies:
        if not (copy / "trunk.safetensors").exists():
            assert pretrain(drawn, copy / "trunk.safetensors") == 0, copy
        assert {name: (copy / name).read_bytes() for name in want} == want, copy
        assert not (copy / "trunk.state.safetensors").exists() or copy == copies[-1]


def test_a_time_limit_ends_cleanly_and_the_same_command_continues(
    trunk: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "trunk.safetensors"
    steps = 2 * (PHOTOS // 32)
    for step in range(1, steps):
        capsys.readouterr()
        assert pretrain(drawn, output, *WORDS, "--minutes", "0", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["step"], found["steps"], found["about"]) == (step, steps, None)
        assert not output.exists()
    assert pretrain(drawn, output, *WORDS, "--minutes", "0") == 0
    assert output.read_bytes() == trunk.read_bytes()
    assert pretrain(drawn, output) == 7  # it exists
    assert pretrain(drawn, output, "--force", *WORDS) == 0


def test_a_state_of_other_settings_is_refused(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "trunk.safetensors"
    assert pretrain(drawn, output, *WORDS, "--minutes", "0") == 0
    before = (tmp_path / "trunk.state.safetensors").read_bytes()
    for words in (("--epochs", "3", "--lr", "0.1"), ("--epochs", "2", "--lr", "0.2"), (*WORDS, "--without-fold", "0")):
        assert pretrain(drawn, output, *words) == 7
        assert "another pretraining" in capsys.readouterr().err
    assert pretrain(drawn, output, batch=16) == 7
    assert (tmp_path / "trunk.state.safetensors").read_bytes() == before
    assert run_app(["pretrain", str(drawn), "-o", str(tmp_path / "trunk.pt"), *SETTINGS]) == 2
    assert pretrain(drawn, tmp_path / "x.safetensors", *WORDS, "--without-fold", "2") == 2


def test_options_change_the_result(trunk: Path, drawn: Path, tmp_path: Path) -> None:
    seen = {trunk.read_bytes()}
    variants: Sequence[tuple[str, ...]] = (
        ("--epochs", "1", "--lr", "0.1"),
        ("--epochs", "2", "--lr", "0.2"),
        (*WORDS, "--without-fold", "1"),
        (*WORDS, "seed=5"),
        (*WORDS, "transforms.hflip=0", "transforms.geometry=0", "transforms.colour=0"),
    )
    for place, words in enumerate(variants):
        output = tmp_path / f"{place}.safetensors"
        assert pretrain(drawn, output, *words) == 0
        seen.add(output.read_bytes())
    assert len(seen) == 1 + len(variants)


def test_train_starts_from_it_and_says_whom_it_has_seen(
    trunk: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(drawn, tmp_path / "run", "train.epochs=1", f"model.weights={trunk}") == 0
    told = capsys.readouterr().err
    assert "pretrained without labels on photos of 12 of 12 validation people" in told
    alone = tmp_path / "alone.safetensors"
    assert pretrain(drawn, alone, *WORDS, "--without-fold", "0") == 0
    found = about(alone)
    left = unlabelled_photos(drawn, tiny(), without_fold=0)
    assert set(found["people"]) == set(left.people)
    assert len(found["people"]) == 6
    capsys.readouterr()
    assert train(drawn, tmp_path / "fold0", "train.epochs=1", f"model.weights={alone}", "--folds", "0") == 0
    assert "pretrained without labels" not in capsys.readouterr().err
    # A trunk that started from a network trained with labels passes its people on.
    second = tmp_path / "second.safetensors"
    start = tmp_path / "run" / "fold0" / "best" / "weights.safetensors"
    assert pretrain(drawn, second, *WORDS, f"model.weights={start}") == 0
    assert about(second)["labelled_people"]
    assert about(second)["start"] == files.file_sha256(start)
    capsys.readouterr()
    assert train(drawn, tmp_path / "leak", "train.epochs=1", f"model.weights={second}") == 4
    assert "trained on people of the validation folds" in capsys.readouterr().err


def test_sealed_people_are_not_seen_and_a_trunk_that_has_seen_them_is_refused(
    trunk: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = tmp_path / "sealed.safetensors"
    assert pretrain(drawn, sealed, *WORDS, "folds.sealed=0.25") == 0
    assert len(about(sealed)["people"]) < 12
    capsys.readouterr()
    words = ("train.epochs=1", "folds.sealed=0.25")
    assert train(drawn, tmp_path / "a", *words, f"model.weights={trunk}") == 4
    assert "sealed people" in capsys.readouterr().err
    assert train(drawn, tmp_path / "b", *words, f"model.weights={sealed}") == 0


def test_a_collapse_is_said(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "COLLAPSED", 2.0)  # every spread is below
    output = tmp_path / "trunk.safetensors"
    assert pretrain(drawn, output) == 0
    told = capsys.readouterr()
    assert "do not use this trunk" in told.out
    assert "(collapse)" in told.err
    assert about(output)["collapsed"]
    assert simsiam.COLLAPSED == 0.2


def test_a_changed_record_is_refused_and_another_file_s_says_nothing(trunk: Path, tmp_path: Path) -> None:
    for name in ("trunk.safetensors", "trunk.json"):
        shutil.copy(trunk.parent / name, tmp_path / name)
    copy = tmp_path / "trunk.safetensors"
    assert people_seen(copy) == people_seen(trunk)
    copy.write_bytes(copy.read_bytes() + b" ")
    assert people_seen(copy) == frozenset()


def test_rows_of_steps_are_a_function_of_seed_and_epoch_and_every_photo_comes_once() -> None:
    rows = step_rows(20, 6, seed=3, epoch=1)
    assert rows.shape == (3, 6)
    assert len(set(rows.ravel().tolist())) == 18
    np.testing.assert_array_equal(rows, step_rows(20, 6, seed=3, epoch=1))
    assert not np.array_equal(rows, step_rows(20, 6, seed=3, epoch=2))
    assert not np.array_equal(rows, step_rows(20, 6, seed=4, epoch=1))


def test_the_learning_rate_falls_along_half_a_cosine_from_its_share_of_256_images() -> None:
    plan = PretrainingPlan(epochs=4, batch=64, photos=130, lr=0.05, seed=0, identity="")
    assert plan.steps == 8
    assert plan.lr_at(0) == pytest.approx(0.05 / 4)
    assert plan.lr_at(4) == pytest.approx(0.05 / 8)
    assert plan.lr_at(2) == pytest.approx(0.05 / 8 * (1 + 2**-0.5))
    assert plan.lr_at(8) == pytest.approx(0, abs=1e-12)


def test_the_trunk_is_the_network_s_own_with_finite_numbers(trunk: Path) -> None:
    tensors = load_file(trunk)
    assert all(torch.isfinite(value.float()).all() for value in tensors.values())
    assert not any(name.startswith(("trunk.", "projector.", "predictor.")) for name in tensors)
