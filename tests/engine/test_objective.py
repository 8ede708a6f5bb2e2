"""Heads, targets and losses from a configuration; and that training takes every option to heart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from tiny import PLAIN, experiment, train
from torch import Tensor

from maskcls.engine.compute.plan import Plan
from maskcls.engine.fit import EpochResult, SavePoint, fit
from maskcls.engine.objective import HeadTarget, build_heads, head_targets, step_totals
from maskcls.engine.session import Session, open_session
from maskcls.engine.step import Tick
from maskcls.engine.step_plan import FoldRows, StepPlan
from maskcls.lossterms import LossKind
from maskcls.nn.heads import Head
from maskcls.schema import AgeConfig, Config
from maskcls.training.plans import fresh_network

STEADY = (*PLAIN, "schedule.warmup_epochs=0", "schedule.end_share=1", "average.kind=none", "train.epochs=1")


def rows_and(drawn: Path, *overrides: str) -> tuple[FoldRows, Config]:
    plan = experiment(drawn, *overrides)
    return plan.rows(plan.members[0], 0), plan.members[0].cfg


def targets(drawn: Path, *overrides: str) -> tuple[dict[str, HeadTarget], FoldRows, Config]:
    rows, cfg = rows_and(drawn, *overrides)
    heads = build_heads(cfg)
    device = torch.device("cpu")
    return head_targets(heads, rows.labels, rows.values, rows.weight, rows.train, cfg, device), rows, cfg


# ---- heads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "want"),
    [
        ((), Head("age", 3, "softmax", (30, 60), (30, 60))),
        (("age.spread=3",), Head("age", 3, "softmax", (30, 60), (30, 60))),
        (("loss.age=bce",), Head("age", 3, "sigmoid", (30, 60), (30, 60))),
        (("age.head=ordinal",), Head("age", 3, "ordinal", (30, 60), (30, 60))),
        (("age.head=ordinal", "age.fine_bins=[20, 30, 60]"), Head("age", 3, "ordinal", (30, 60), (20, 30, 60))),
        (("age.head=fine", "age.fine_bins=[30, 45, 60]"), Head("age", 3, "softmax", (30, 60), (30, 45, 60))),
        (("age.head=normal",), Head("age", 3, "normal", (30, 60), (30, 60))),
        (("age.head=normal", "loss.all=bce"), Head("age", 3, "normal", (30, 60), (30, 60))),
        (("age.given=mask",), Head("age", 3, "softmax", (30, 60), (30, 60), "mask", 3)),
        (("age.given=gender",), Head("age", 3, "softmax", (30, 60), (30, 60), "gender", 2)),
    ],
)
def test_the_head_of_the_ages(drawn: Path, overrides: tuple[str, ...], want: Head) -> None:
    _, cfg = rows_and(drawn, *overrides)
    assert build_heads(cfg)["age"] == want


def test_a_joint_head(drawn: Path) -> None:
    _, cfg = rows_and(drawn, "model.heads=joint", "age.train_bins=[29, 58]", "loss.joint=bce")
    assert build_heads(cfg) == {"joint": Head("joint", 18, "sigmoid")}


# ---- a step's loss ---------------------------------------------------------------------------------------------------


def loss_of(target: HeadTarget, logits: Tensor, rows: np.ndarray) -> Tensor:  # type: ignore[type-arg]
    """Return the head's loss of one step of these rows."""
    dense = target.rows[torch.from_numpy(rows)]
    totals = [mass[rows].sum() for mass in target.masses]
    parts = [f * s / total for (f, s), total in zip(target.per_row(logits, dense), totals, strict=True)]
    return torch.stack(parts).sum()


def test_class_weights_count_the_training_rows_alone(drawn: Path) -> None:
    found, rows, _ = targets(drawn, "loss.mask=ce(weights=inverse)")
    target = found["mask"]
    labels = torch.from_numpy(rows.labels["mask"])
    counts = torch.bincount(labels[rows.train], minlength=3).float()
    weights = (1 / counts) * 3 / (1 / counts).sum()
    torch.testing.assert_close(target.loss.weights[0], weights)
    step = rows.train[:16]
    logits = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loss_of(target, logits, step), F.cross_entropy(logits, labels[step], weights))


def test_a_sum_of_losses_divides_each_by_its_own_weights(drawn: Path) -> None:
    found, rows, _ = targets(drawn, "loss.age=0.3*ce(weights=inverse)+0.7*smooth(epsilon=0.2)")
    target, step = found["age"], rows.train[:20]
    logits = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.from_numpy(rows.labels["age"])[step]
    want = 0.3 * F.cross_entropy(logits, labels, target.loss.weights[0])
    want = want + 0.7 * F.cross_entropy(logits, labels, label_smoothing=0.2)
    torch.testing.assert_close(loss_of(target, logits, step), want)


# A kind of loss, and torch's own loss of the same rows; `None`: computed once per step, and so without a mass.
WHOLE_STEP = {"f1"}


@pytest.mark.parametrize("kind", get_args(LossKind))
@pytest.mark.parametrize("weights", ["none", "inverse"])
def test_a_term_beside_any_kind_is_normalised_by_its_own_total(drawn: Path, kind: str, weights: str) -> None:
    """A kind that only one of the two lists knew would shift the totals of every later term."""
    if kind in ("bce", "la"):
        loss, beside = kind, None  # refused beside others
    else:
        loss, beside = f"0.5*{kind}+2*smooth(weights={weights})", "smooth"
        if kind == "smooth":
            loss, beside = f"0.5*smooth+2*ce(weights={weights})", "ce"
    found, rows, _ = targets(drawn, f"loss.mask={loss}", "train.accumulate=1")
    target, step = found["mask"], rows.train[:20]
    logits = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    parts = target.per_row(logits, target.rows[torch.from_numpy(step)])
    assert len(parts) == len(target.masses) == (0 if kind in WHOLE_STEP else 1) + (beside is not None)
    assert target.f1 == (0.5 if kind in WHOLE_STEP else 0)
    if beside is not None:
        labels, weight = torch.from_numpy(rows.labels["mask"])[step], target.loss.weights[1]
        want = F.cross_entropy(logits, labels, weight, label_smoothing=0.1 if beside == "smooth" else 0)
        factor, total = parts[-1]
        got = total / target.masses[-1][step].sum()
        assert factor == 2
        torch.testing.assert_close(got.double(), want.double(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("how", get_args(AgeConfig.model_fields["head"].annotation))
def test_every_treatment_of_the_ages_has_a_loss(drawn: Path, how: str) -> None:
    wanted = {"bands": "softmax", "fine": "softmax", "ordinal": "ordinal", "normal": "normal"}
    overrides = ("age.fine_bins=[20, 30, 60]",) if how == "fine" else ()
    found, rows, _ = targets(drawn, f"age.head={how}", *overrides)
    target, step = found["age"], rows.train[:20]
    assert target.head.reading == wanted[how]
    logits = torch.zeros(20, target.head.outputs)
    ((factor, total),) = target.per_row(logits, target.rows[torch.from_numpy(step)])
    assert factor == 1
    assert total > 0
    assert target.masses[0][step].tolist() == pytest.approx([1.0] * 20)


def test_a_given_head_learns_from_the_group_of_its_label(drawn: Path) -> None:
    found, rows, _ = targets(drawn, "age.given=mask")
    step = rows.train[:20]
    logits = torch.randn(20, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
    mask, age = (torch.from_numpy(rows.labels[name])[step] for name in ("mask", "age"))
    own = logits.view(20, 3, 3)[torch.arange(20), mask]
    torch.testing.assert_close(loss_of(found["age"], logits, step), F.cross_entropy(own, age))
    loss_of(found["age"], logits, step).backward()
    assert logits.grad is not None
    moved = logits.grad.view(20, 3, 3).abs().sum(dim=2) > 0
    assert torch.equal(moved, F.one_hot(mask, 3).bool())


def test_totals_of_a_mixed_step_count_both_partners(drawn: Path) -> None:
    overrides = ("mix.kind=mixup", "mix.prob=1", "loss.all=ce(weights=inverse)")
    found, rows, cfg = targets(drawn, *overrides)
    step = StepPlan(rows, cfg).steps(0)[0]
    assert step.mixes is not None
    totals = step_totals(list(found.values()), step)
    for total, target in zip(totals, found.values(), strict=True):
        share, weight = step.mixes.share[:, None], target.loss.weights[0].numpy()
        mixed = share * target.rows.numpy()[step.rows] + (1 - share) * target.rows.numpy()[step.mixes.partner]
        assert total == pytest.approx((mixed @ weight).sum(), rel=1e-5)


# ---- training --------------------------------------------------------------------------------------------------------


def training(
    drawn: Path, *overrides: str, accumulate: int = 1
) -> tuple[Session, int, Iterator[Tick | SavePoint | EpochResult]]:
    """Begin a training of one epoch if not told otherwise; returns its session, number of steps and events.

    Of the validation rows only some are scored: nothing here depends on the score.
    """
    plan = experiment(drawn, *STEADY, *overrides)
    member = plan.members[0]
    rows = plan.rows(member, 0)
    rows = replace(rows, valid=rows.valid[:4])
    network, _ = fresh_network(member, 0, 0)
    total = member.cfg.train.epochs * StepPlan(rows, member.cfg).steps_per_epoch
    session = open_session(
        network, member.cfg, member.space, Accelerator(cpu=True), Plan(accumulate=accumulate), total_steps=total
    )
    return session, total, fit(session, rows, member.cfg, key=(0, 0, 0))


def weights_of(session: Session) -> Tensor:
    """Return the weights that are scored, in a row."""
    return torch.cat([p.detach().flatten() for p in session.scored_network.parameters()])


def trained(drawn: Path, *overrides: str, accumulate: int = 1) -> tuple[Tensor, dict[str, float]]:
    """Train, and return the weights, and the last means of the losses."""
    session, _, events = training(drawn, *overrides, accumulate=accumulate)
    *_, result = [e for e in events if isinstance(e, EpochResult)]
    return weights_of(session), result.train


def last_weights(drawn: Path, *overrides: str) -> Tensor:
    """Train up to the last step, and return the weights; they are not scored."""
    session, total, events = training(drawn, *overrides)
    assert any(session.step == total for _ in events)
    return weights_of(session)


OPTIONS = (
    ("loss.all=smooth",),
    ("loss.all=smooth(epsilon=0.3)",),
    ("loss.all=focal",),
    ("loss.all=focal(gamma=1)",),
    ("loss.all=ce(weights=inverse)",),
    ("loss.all=ce(weights=effective)",),
    ("loss.all=ce(weights=effective,beta=0.9)",),
    ("loss.all=ce+f1",),
    ("loss.all=f1",),
    ("loss.all=bce",),
    ("loss.all=la",),
    ("loss.all=la(tau=0.5)",),
    ("loss.mask=focal",),
    ("loss.age=focal",),
    ("balance.weights={age: 2}",),
    ("balance.learned=true",),
    ("model.drop=0.3",),
    ("model.drop=0.3", "model.drop_samples=4"),
    ("age.train_bins=[25, 50]",),
    ("age.spread=4",),
    ("age.head=fine", "age.fine_bins=[20, 30, 45, 60]"),
    ("age.head=ordinal",),
    ("age.head=ordinal", "age.fine_bins=[20, 30, 45, 60]"),
    ("age.head=normal",),
    ("age.given=mask",),
    ("age.given=gender",),
    ("sampler.draw=weighted",),
    ("sampler.draw=weighted", "sampler.by=age"),
    ("sampler.draw=weighted", "sampler.power=0.5"),
    ("sampler.draw=oversample",),
    ("sampler.one_per_person=true",),
    ("sampler.epoch_fraction=0.5",),
    ("mix.kind=cutmix",),
    ("mix.kind=cutmix", "mix.prob=1"),
    ("mix.kind=cutmix", "mix.alpha=0.2"),
    ("mix.kind=cutmix", "mix.partner=same"),
    ("mix.kind=cutmix", "mix.partner_classes={mask: [wear]}"),
    ("mix.kind=halves",),
    ("mix.kind=halves", "mix.ratio=[0.2, 0.3]"),
    ("mix.kind=mixup",),
    ("transforms.size=[64, 64]",),
    ("transforms.size=[64, 64]", "train.stages=[[1, 0.5]]"),
    ("transforms.size=[64, 64]", "train.stages=[[1, 0.75]]"),
)


def test_no_option_is_ignored(drawn: Path) -> None:
    """Every one gives other weights than any other after one epoch."""
    found = {option: last_weights(drawn, *option) for option in ((), *OPTIONS)}
    assert all(torch.isfinite(weights).all() for weights in found.values())
    prints = {option: (len(weights), float(weights.double().abs().sum())) for option, weights in found.items()}
    assert len(set(prints.values())) == len(OPTIONS) + 1 == 44, prints


MOVES = (
    ("optim.name=lion",),
    ("optim.name=sgd",),
    ("optim.name=sgd", "optim.momentum=0.5"),
    ("optim.betas=[0.8, 0.9]",),
    ("optim.layer_decay=0.5",),
    ("optim.freeze_layers=1",),
    ("optim.freeze_epochs=1",),
    ("optim.freeze_epochs=2",),
    ("optim.head_lr_scale=3",),
    ("optim.weight_decay=0.9",),
    ("schedule.kind=linear",),
    ("schedule.kind=constant",),
    ("schedule.kind=onecycle", "schedule.warmup_epochs=1"),
    ("schedule.kind=onecycle", "schedule.warmup_epochs=1", "schedule.start_share=0.5"),
    ("schedule.kind=step", "schedule.every_epochs=0.7"),
    ("schedule.kind=step", "schedule.every_epochs=0.7", "schedule.gamma=0.5"),
    ("schedule.kind=wsd",),
    ("schedule.kind=wsd", "schedule.decay_share=0.6"),
    ("schedule.kind=cosine_restarts",),
    ("schedule.kind=cosine_restarts", "schedule.cycles=3"),
    ("schedule.end_share=0.5",),
    ("schedule.warmup_epochs=1",),
    ("average.kind=ema",),
    ("average.kind=ema", "average.decay=0.3"),
    ("average.kind=ema", "average.power=0.3"),
    ("average.kind=swa",),
    ("average.kind=swa", "average.start=0"),
)


def test_no_setting_of_optimizer_schedule_or_average_is_ignored(drawn: Path) -> None:
    base = ("train.epochs=3", "sampler.epoch_fraction=0.4", "schedule.end_share=0.01", "optim.lr=1e-2")
    found = {moves: last_weights(drawn, *base, *moves) for moves in ((), *MOVES)}
    assert all(torch.isfinite(weights).all() for weights in found.values())
    prints = {moves: float(weights.double().abs().sum()) for moves, weights in found.items()}
    assert len(set(prints.values())) == len(MOVES) + 1 == 28, prints


def test_the_rate_falls_where_the_score_stands_still(drawn: Path) -> None:
    still = ("schedule.kind=plateau", "schedule.patience=0", "schedule.gamma=0.25", "optim.lr=1e-30", "train.epochs=4")
    plan = experiment(drawn, *STEADY, *still)
    member = plan.members[0]
    network, _ = fresh_network(member, 0, 0)
    session = open_session(network, member.cfg, member.space, Accelerator(cpu=True), Plan(), total_steps=12)
    events = fit(session, plan.rows(member, 0), member.cfg, key=(0, 0, 0))
    results = [event for event in events if isinstance(event, EpochResult)]
    assert len({result.val["macro_f1"] for result in results}) == 1
    assert [result.lr for result in results] == pytest.approx([1e-30, 1e-30, 2.5e-31, 6.25e-32], rel=1e-6, abs=0)


def test_images_grow_by_stages_in_training_alone(drawn: Path) -> None:
    plan = experiment(
        drawn, *STEADY, "train.stages=[[1, 0.5], [1, 0.75]]", "train.epochs=3", "transforms.size=[128, 96]"
    )
    member = plan.members[0]
    network, _ = fresh_network(member, 0, 0)
    session = open_session(network, member.cfg, member.space, Accelerator(cpu=True), Plan(), total_steps=9)
    seen: list[tuple[int, ...]] = []
    network.register_forward_pre_hook(lambda module, args: seen.append(tuple(args[0].shape[2:])))
    for event in fit(session, plan.rows(member, 0), member.cfg, key=(0, 0, 0)):
        assert event
    assert [size for size in dict.fromkeys(seen) if size != (128, 96)] == [(64, 48), (96, 72)]
    assert seen[-1] == (128, 96)


def test_a_stage_a_backbone_cannot_take_is_refused_at_once(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(drawn, tmp_path / "run", "model.backbone=test_convnext", "train.stages=[[1, 0.5]]") == 3
    message = capsys.readouterr().err
    assert "in a pass over an image of 16 x 16" in message
    assert "train.stages" in message
    assert not (tmp_path / "run").exists()


def test_frozen_epochs_train_the_heads_alone(drawn: Path) -> None:
    plan = experiment(drawn, *STEADY, "optim.freeze_epochs=1", "train.epochs=2", "optim.lr=1e-2")
    member = plan.members[0]
    network, _ = fresh_network(member, 0, 0)
    session = open_session(network, member.cfg, member.space, Accelerator(cpu=True), Plan(), total_steps=6)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    events = fit(session, plan.rows(member, 0), member.cfg, key=(0, 0, 0))
    moved = []
    while len(moved) < 2:
        if isinstance(next(events), EpochResult):
            now = network.state_dict()
            moved.append({name.split(".")[0] for name, value in now.items() if not torch.equal(value, before[name])})
    assert moved == [{"heads"}, {"heads", "trunk"}]


@pytest.mark.parametrize(
    "overrides",
    [
        ("loss.all=0.3*ce(weights=inverse)+focal(gamma=1)", "age.spread=4"),
        ("mix.kind=cutmix", "loss.all=smooth(weights=effective,beta=0.9)"),
        ("mix.kind=mixup", "age.head=normal"),
        ("age.head=ordinal", "age.given=mask", "mix.kind=halves"),
        ("balance.learned=true", "sampler.draw=oversample"),
        ("balance.weights={age: 3, mask: 0.5}",),
    ],
)
def test_a_step_in_pieces_is_the_step_at_once(drawn: Path, overrides: tuple[str, ...]) -> None:
    whole, losses = trained(drawn, "optim.lr=1e-4", *overrides)
    pieces, again = trained(drawn, "optim.lr=1e-4", *overrides, accumulate=3)
    # AdamW takes a step of the same size for a gradient of any size, so rounding shows where a gradient is near 0.
    assert (whole - pieces).abs().mean() < 2e-6
    assert again == pytest.approx(losses, abs=2e-5)


def test_the_f1_of_a_step_is_that_of_the_whole_step(drawn: Path) -> None:
    _, losses = trained(drawn, "loss.all=f1", "train.batch_size=64", "optim.lr=1e-9")
    rows, _ = rows_and(drawn)
    for name in ("mask", "gender", "age"):
        counts = np.bincount(rows.labels[name][rows.train])
        counts = counts[counts > 0] / len(rows.train)
        classes = len(np.bincount(rows.labels[name], minlength={"mask": 3, "gender": 2, "age": 3}[name]))
        # A fresh head answers 1 / C for every row: F1 of a class is 2 s / C / (s + 1 / C), s its share.
        f1 = 2 * counts / classes / (counts + 1 / classes)
        assert losses[name] == pytest.approx(1 - f1.mean(), abs=1e-5)


def test_fixed_weights_scale_the_losses_and_learned_variances_begin_at_one(drawn: Path) -> None:
    still = ("optim.lr=1e-12", "train.batch_size=64")
    plain, heavy = trained(drawn, *still)[1], trained(drawn, *still, "balance.weights={age: 2}")[1]
    learned = trained(drawn, *still, "balance.learned=true")[1]
    assert heavy["age"] == pytest.approx(2 * plain["age"], rel=1e-6)
    assert heavy["mask"] == pytest.approx(plain["mask"], rel=1e-6)
    assert learned == pytest.approx(plain, rel=1e-6)
