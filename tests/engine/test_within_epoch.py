"""Stopped after any step of any epoch, and restored from one file, a training ends with the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from tiny import experiment

from maskcls.engine import fit as loop
from maskcls.engine import session as keeping
from maskcls.engine.checkpoint import load_state, save_state
from maskcls.engine.compute.plan import Execution, Plan
from maskcls.engine.fit import EpochResult, SavePoint, fit
from maskcls.engine.session import EpochSoFar, Session, open_session, restore_session, session_state
from maskcls.engine.step import Meter
from maskcls.engine.step_plan import FoldRows
from maskcls.training.experiment import Member
from maskcls.training.plans import fresh_network

# 42 rows in steps of 16, 16 and 10, each in two pieces; everything that carries something from one step to the next.
STEPS, EPOCHS = 3, 2
WORDS = ("train.epochs=2", "model.drop=0.3", "average.decay=0.9", "optim.lr=1e-3", "mix.kind=cutmix", "mix.prob=1")
PLAN = Plan(accumulate=2)
KEY = (0, 0, 0)


@dataclass(frozen=True)
class Setting:
    """A network on one fold, and how it is computed."""

    rows: FoldRows
    member: Member
    plan: Plan

    def session(self) -> Session:
        """Open a new session, with the generator in a state of its own."""
        network, _ = fresh_network(self.member, 0, 0)
        cfg = self.member.cfg
        torch.manual_seed(99)
        return open_session(
            network, cfg, self.member.space, Accelerator(cpu=True), self.plan, total_steps=STEPS * EPOCHS
        )

    def events(self, session: Session) -> Iterator[object]:
        return iter(fit(session, self.rows, self.member.cfg, key=KEY))


def setting(data: Path, *words: str, plan: Plan = PLAN) -> Setting:
    plan_of_data = experiment(data, *WORDS, *words)
    (member, *_) = plan_of_data.members
    return Setting(plan_of_data.rows(member, 0), member, plan)


def ending(session: Session) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Return the bytes of every tensor of a state, and the lines of the log but for their times."""
    tensors, _ = session_state(session)
    times = ("seconds", "images_per_second")
    lines = [{name: value for name, value in line.items() if name not in times} for line in session.history]
    return {name: tensor.contiguous().view(-1).numpy().tobytes() for name, tensor in tensors.items()}, lines


def finished(one: Setting, session: Session) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    for _ in one.events(session):
        pass
    return ending(session)


def saved_at_every_step(one: Setting, folder: Path) -> tuple[list[Path], tuple[dict[str, bytes], list[dict[str, Any]]]]:
    """Train to the end; returns the states that were saved after each step, and the ending."""
    session, states = one.session(), list[Path]()
    for event in one.events(session):
        if isinstance(event, SavePoint):
            states.append(folder / f"{len(states)}.safetensors")
            save_state(states[-1], *session_state(session, event.so_far()))
    assert len(states) == STEPS * EPOCHS
    return states, ending(session)


def continued(one: Setting, state: Path) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    session = one.session()
    restore_session(session, *load_state(state))
    return finished(one, session)


@pytest.fixture(scope="module")
def one(drawn: Path) -> Setting:
    return setting(drawn)


@pytest.fixture(scope="module")
def saved(
    one: Setting, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Path], tuple[dict[str, bytes], list[dict[str, Any]]]]:
    return saved_at_every_step(one, tmp_path_factory.mktemp("states"))


def test_saving_changes_nothing(one: Setting, saved: Any) -> None:
    assert finished(one, one.session()) == saved[1]


@pytest.mark.parametrize("step", [2, 3, 5])  # before either validation; in the last epoch
def test_continued_after_a_step_it_ends_with_the_same_bits(one: Setting, saved: Any, step: int) -> None:
    states, whole = saved
    assert continued(one, states[step]) == whole


VARIANTS: dict[str, tuple[tuple[str, ...], Plan]] = {
    "fp32": ((), PLAN),
    "bf16": ((), replace(PLAN, train=Execution("bf16"))),
    "workers": (("device.workers=2",), PLAN),
    "swa, plateau": (("average.kind=swa", "average.start=0.3", "schedule.kind=plateau", "schedule.patience=0"), PLAN),
    "drop_path": (("model.backbone=test_convnext", "model.drop_path=0.5", "mix.kind=mixup"), Plan()),
    "on the device": (("device.augment=device",), PLAN),
    "frozen, stages": (("optim.freeze_epochs=1", "train.stages=[[1, 0.5]]"), PLAN),
    "sgd": (("optim.name=sgd", "sampler.draw=weighted", "mix.kind=none"), PLAN),
    "learned": (("balance.learned=true", "loss.all=ce+f1", "mix.kind=none", "optim.clip_norm=1"), PLAN),
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_continued_after_every_step_it_ends_with_the_same_bits(drawn: Path, tmp_path: Path, variant: str) -> None:
    words, plan = VARIANTS[variant]
    one = setting(drawn, *words, plan=plan)
    if "device.augment=device" in words:
        one = replace(one, rows=experiment(drawn, *WORDS, *words).rows(one.member, 0, bare=True))
        assert one.rows.photos.bare
    states, whole = saved_at_every_step(one, tmp_path)
    assert [continued(one, state) == whole for state in states] == [True] * len(states)


# ---- each part of the state is needed -------------------------------------------------------------------------------


def without(change: Callable[[EpochSoFar], EpochSoFar]) -> Callable[[pytest.MonkeyPatch], None]:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        restore = keeping.restore_session

        def restored(session: Session, *state: Any) -> None:
            restore(session, *state)
            assert session.so_far is not None
            session.so_far = change(session.so_far)

        monkeypatch.setitem(globals(), "restore_session", restored)

    return patch


def forget_average(monkeypatch: pytest.MonkeyPatch) -> None:
    part = keeping.with_prefix
    monkeypatch.setattr(
        keeping, "with_prefix", lambda tensors, name: part(tensors, "network/" if name == "average/" else name)
    )


def forget_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = loop.open_stream

    def from_the_start(session: Session, *rest: Any) -> Any:
        so_far, session.so_far = session.so_far, None
        found = stream(session, *rest)
        next_images = next(found)  # begun, so that the position is the one of an epoch's start
        session.so_far = so_far

        def images() -> Iterator[Any]:
            yield next_images
            yield from found

        return images()

    monkeypatch.setattr(loop, "open_stream", from_the_start)


FORGOTTEN = {
    "generators": without(lambda found: replace(found, random={})),
    "sums": without(lambda found: replace(found, sums=tuple(0.0 for _ in found.sums))),
    "images": without(lambda found: replace(found, images=0)),
    "steps": without(lambda found: replace(found, steps=0)),
    "average": forget_average,
    "position of the images": forget_cursor,
}


@pytest.mark.parametrize("part", FORGOTTEN)
def test_without_a_part_of_the_state_the_ending_differs(
    one: Setting, saved: Any, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Proof that the comparison sees it: continued after the first step of the last epoch."""
    states, whole = saved
    FORGOTTEN[part](monkeypatch)
    try:
        found = continued(one, states[STEPS])
    except ValueError:  # images of another step, with other mixing partners
        assert part == "position of the images"
    else:
        assert found != whole


# ---- what the file holds --------------------------------------------------------------------------------------------


def test_the_state_within_an_epoch(saved: Any) -> None:
    """It has the finished epochs alone as history, and what the running one needs; times are plain seconds."""
    tensors, progress = load_state(saved[0][4])
    assert (progress["epoch"], progress["step"], len(progress["history"])) == (1, 5, 1)
    so_far = progress["so_far"]
    assert (so_far["steps"], so_far["images"]) == (2, 32)
    assert len(so_far["sums"]) == 3
    assert so_far["seconds"] > 0
    assert {name for name in tensors if name.startswith("random/")} == {"random/cpu"}
    assert tensors["random/cpu"].shape == (1, len(torch.get_rng_state()))


def test_a_state_of_the_end_of_an_epoch_has_no_more_than_before(one: Setting, tmp_path: Path) -> None:
    """Those of earlier versions are read, and nothing is added to them."""
    session = one.session()
    for event in one.events(session):
        if isinstance(event, EpochResult):
            break
    save_state(tmp_path / "s", *session_state(session))
    tensors, progress = load_state(tmp_path / "s")
    assert sorted(progress) == ["best_epoch", "best_score", "epoch", "history", "optimizer", "scaler", "step"]
    assert not [name for name in tensors if name.startswith("random/")]
    other = one.session()
    restore_session(other, tensors, progress)
    assert other.so_far is None


def test_generators_of_another_machine_are_not_used(one: Setting, saved: Any) -> None:
    """With other processes or another device, dropout is seeded by the step, so a resume is still repeatable."""
    endings = []
    for processes in (0, 2):
        tensors, progress = load_state(saved[0][STEPS])
        states = {"random/cpu": tensors["random/cpu"].repeat(2, 1)} if processes else {}
        session = one.session()
        kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("random/")}
        restore_session(session, kept | states, progress)
        endings.append(finished(one, session))
    assert endings[0] == endings[1] != saved[1]


def test_the_seconds_of_an_epoch_go_on(one: Setting, saved: Any) -> None:
    """An epoch's time is that of both parts of it, without what lies between them."""
    tensors, progress = load_state(saved[0][4])
    session = one.session()
    restore_session(session, tensors, {**progress, "so_far": {**progress["so_far"], "seconds": 1000.0}})
    finished(one, session)
    line = session.history[-1]
    assert 1000 < line["seconds"] < 1100
    assert line["images_per_second"] < 42 / 1000


def test_a_tick_after_a_resume_counts_all_of_the_epoch(one: Setting) -> None:
    session = one.session()
    begun = EpochSoFar(2, 32, (64.0, 32.0, 32.0), 8.0, {})
    meter = Meter(["mask", "gender", "age"], session, 42, begun)
    meter.add(torch.ones(3), torch.tensor(1.0), 8)
    meter.ticked -= 1
    tick = meter.tick()
    assert tick is not None
    assert (tick.images, tick.loss) == (40, (64 + 32 + 32 + 3 * 8) / 40)
    assert tick.images_per_second == pytest.approx(40 / 8, rel=0.1)  # 8 s, and the moment since


def test_sums_do_not_depend_on_when_the_losses_were_fetched(one: Setting) -> None:
    """On a GPU they are fetched every 20 steps, and when the epoch is saved."""
    session, found = one.session(), []
    steps = torch.rand(7, 4, generator=torch.Generator().manual_seed(1)) + 0.1
    steps *= 10.0 ** torch.tensor([12.0, -9, -8, -7, -6, -5, -4])[:, None]  # so that the order of the sum shows
    for fetched_after in ((7,), (3, 7), (1, 2, 3, 4, 5, 6, 7)):
        meter = Meter(["mask", "gender", "age"], session, 42)
        for number, row in enumerate(steps, 1):
            meter.steps, meter.images = number, 6 * number
            meter.pending.append(row)
            if number in fetched_after:
                meter.fetch()
        found.append(meter.so_far().sums)
    assert found[0] == found[1] == found[2] == tuple(np.cumsum(steps[:, :3].double().numpy(), axis=0)[-1])
