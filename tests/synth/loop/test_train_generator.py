"""The training of one generator: its files, and the same bits after a kill at any moment, a signal or a time limit."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gan_rows import gan_player
from interrupted import save_every_step
from tiny import hashes
from toy_player import ToyPlayer
from write_boundaries import CopyingDisk, watched

from maskcls.engine.checkpoint import load_state
from maskcls.errors import DivergedError, WeightsError
from maskcls.rundir import SynthFoldDir
from maskcls.runs.integrity.epoch_log import read_log
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.loop.log_lines import LogLines, is_logged, log_steps
from maskcls.synth.loop.parts import load_part, read_generator_done
from maskcls.synth.loop.player import Player
from maskcls.synth.loop.train_generator import GeneratorEnd, LoopPlan, train_generator
from maskcls.synth.loop.training_state import player_state, restore_player

STEPS = 4
PLAN = LoopPlan("generator", STEPS, sheet_steps=2, save_minutes=None)
SHORT = LoopPlan("generator", 2, sheet_steps=1, save_minutes=None)
FILES = {
    "log.jsonl",
    "resume/state.safetensors",
    "generator/weights.safetensors",
    "generator/meta.json",
    "critic/weights.safetensors",
    "critic/meta.json",
    "sheets/2.png",
    "sheets/4.png",
    "DONE",
}
KINDS: dict[str, Callable[[], Player]] = {
    "dcgan": lambda: gan_player("synth.kind=dcgan", "synth.dropout=0.3", "synth.instance_noise=0.1"),
    "wgan-gp": lambda: gan_player("synth.kind=wgan-gp"),
    "toy": ToyPlayer,
}


def train(make: Callable[[], Player], folder: Path, plan: LoopPlan = PLAN) -> GeneratorEnd:
    return train_generator(make(), SynthFoldDir(folder), plan, Reporter(quiet=True))


def ending(folder: Path) -> dict[str, Any]:
    """Return hashes of all files; of the state its content, because safetensors orders its two facts by chance."""
    state = SynthFoldDir(folder).state
    tensors, progress = load_state(state)
    found: dict[str, Any] = hashes(folder)
    content = {name: (str(t.dtype), tuple(t.shape), t.numpy().tobytes()) for name, t in tensors.items()}
    return found | {state.relative_to(folder).as_posix(): (content, progress)}


@pytest.mark.parametrize(
    ("kind", "apart"),
    [
        *(pytest.param(kind, 1, marks=pytest.mark.slow) for kind in ("dcgan", "wgan-gp")),
        *(("dcgan", 7), ("wgan-gp", 7), ("toy", 1)),  # the order of the commits is that of all kinds
    ],
)
def test_killed_after_any_commit_it_ends_with_the_same_bits(
    kind: str, apart: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(KINDS[kind], tmp_path / "whole")
    whole = ending(tmp_path / "whole")
    assert whole.keys() == FILES

    save_every_step(monkeypatch)
    copies, replace = [], os.replace

    def and_copy(source: Path, target: Path) -> None:
        replace(source, target)
        copies.append(shutil.copytree(tmp_path / "saved", tmp_path / "copies" / str(len(copies))))

    monkeypatch.setattr(os, "replace", and_copy)
    train(KINDS[kind], tmp_path / "saved")
    monkeypatch.setattr(os, "replace", replace)
    assert ending(tmp_path / "saved") == whole
    assert len(copies) == 6 * STEPS + 3  # state, log and two times weights and meta; two sheets and DONE
    for copy in copies[::apart]:
        train(KINDS[kind], copy)
        assert ending(copy) == whole, copy


@pytest.mark.slow
def test_killed_within_any_operation_on_the_disk_it_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(ToyPlayer, tmp_path / "whole", SHORT)
    save_every_step(monkeypatch)
    (tmp_path / "saved").mkdir()
    (tmp_path / "copies").mkdir()
    with watched(CopyingDisk(tmp_path / "saved", tmp_path / "copies")) as disk:
        train(ToyPlayer, tmp_path / "saved", SHORT)
    assert disk.count > 40
    whole = ending(tmp_path / "whole")
    for copy in sorted((tmp_path / "copies").iterdir()):
        train(ToyPlayer, copy, SHORT)
        assert {name: one for name, one in ending(copy).items() if name in whole} == whole, copy


def test_a_state_holds_everything_and_the_pool() -> None:
    player, log = ToyPlayer(), LogLines()
    for step in range(3):
        log.add(player.step(step), step + 1, 10)
    tensors, progress = player_state(player, log, 3)
    assert {name.partition("/")[0] for name in tensors} == {"network", "optimizer", "extra"}
    again = ToyPlayer()
    found, step = restore_player(again, tensors, json.loads(json.dumps(progress)))
    assert (step, found) == (3, log)
    assert again.step(3) == player.step(3)


def test_a_signal_saves_the_step_and_ends(tmp_path: Path) -> None:
    class Interrupted(ToyPlayer):
        def step(self, step: int) -> dict[str, float]:
            if step == 1:
                signal.raise_signal(signal.SIGINT)
            return super().step(step)

    with pytest.raises(KeyboardInterrupt):
        train(Interrupted, tmp_path / "a")
    assert load_state(SynthFoldDir(tmp_path / "a").state)[1]["step"] == 2
    train(ToyPlayer, tmp_path / "a")
    train(ToyPlayer, tmp_path / "b")
    assert ending(tmp_path / "a") == ending(tmp_path / "b")


def test_a_time_limit_ends_at_a_save_after_at_least_one_step(tmp_path: Path) -> None:
    over = LoopPlan("generator", STEPS, 2, None, ends_s=0.0)
    ends = [train(ToyPlayer, tmp_path / "a", over) for _ in range(STEPS)]
    assert [(end.step, end.steps_now, end.finished) for end in ends] == [
        (1, 1, False),
        (2, 1, False),
        (3, 1, False),
        (4, 1, True),
    ]
    train(ToyPlayer, tmp_path / "b")
    assert ending(tmp_path / "a") == ending(tmp_path / "b")


def test_the_log_has_means_and_each_step_once(tmp_path: Path) -> None:
    players = []

    def made() -> ToyPlayer:
        players.append(ToyPlayer())
        return players[-1]

    plan = LoopPlan("generator", 250, 250, None)
    end = train(made, tmp_path / "a", plan)
    assert players[0].steps == list(range(250))
    lines = read_log(SynthFoldDir(tmp_path / "a"))
    assert [line["step"] for line in lines] == [*range(3, 250, 3), 250]
    assert tuple(lines) == end.lines
    again = ToyPlayer()
    losses = [again.step(step)["loss_generator"] for step in range(250)]
    assert lines[1]["loss_generator"] == pytest.approx(sum(losses[3:6]) / 3, rel=1e-12)
    assert lines[-1]["loss_generator"] == losses[-1]


def test_no_log_is_longer_than_a_hundred_lines() -> None:
    for steps in (1, 7, 100, 101, 5_000, 12_345):
        ends = [step for step in range(1, steps + 1) if is_logged(step, steps)]
        assert len(ends) <= 101
        assert ends[-1] == steps
    assert (log_steps(100), log_steps(101)) == (1, 2)


def test_a_number_that_is_not_finite_ends_the_training_and_keeps_what_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_every_step(monkeypatch)
    with pytest.raises(DivergedError) as caught:
        train(lambda: ToyPlayer(broken_at=2), tmp_path)
    assert caught.value.where == "generator, step 3"
    assert caught.value.offenders == ("loss_generator = nan",)
    assert load_state(SynthFoldDir(tmp_path).state)[1]["step"] == 2


def test_saves_come_after_the_minutes_that_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float | None] = []

    class Clock:
        due = False

        def __init__(self, every_minutes: float | None) -> None:
            seen.append(every_minutes)

        def saving(self) -> object:
            from contextlib import nullcontext

            return nullcontext()

    monkeypatch.setattr("maskcls.synth.loop.train_generator.SaveClock", Clock)
    train(ToyPlayer, tmp_path, LoopPlan("generator", 2, 2, 7.5))
    assert seen == [7.5]


def test_generator_and_critic_are_read_alone_and_compared(tmp_path: Path) -> None:
    train(ToyPlayer, tmp_path)
    folder = SynthFoldDir(tmp_path)
    part = load_part(folder.generator)
    assert (part.step, part.facts) == (STEPS, {"kind": "toy", "size": [3, 2]})
    assert part.tensors.keys() == {"weight", "bias"}
    done = read_generator_done(folder)
    assert done is not None
    assert (done.generator, done.critic) == (part.sha256, load_part(folder.critic).sha256)
    content = folder.generator.tensors.read_bytes()
    folder.generator.tensors.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(WeightsError, match="differ from those that were saved"):
        load_part(folder.generator)


def test_sheets_are_found_in_order(tmp_path: Path) -> None:
    train(ToyPlayer, tmp_path, LoopPlan("generator", 12, 2, None))
    assert [path.stem for path in SynthFoldDir(tmp_path).all_sheets()] == ["2", "4", "6", "8", "10", "12"]
