"""What must hold between settings of different sections. Each message follows the word "expected"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from maskcls.backbone import TAKEN
from maskcls.errors import nearest
from maskcls.labels import LabelSpace
from maskcls.schema.data import DataConfig, FoldsConfig, SamplerConfig
from maskcls.schema.device import DeviceConfig
from maskcls.schema.loss import BalanceConfig, LossConfig
from maskcls.schema.model import HeadsConfig, ModelConfig
from maskcls.schema.optim import AverageConfig, OptimConfig, ScheduleConfig
from maskcls.schema.predict import PredictConfig
from maskcls.schema.synth import SynthConfig
from maskcls.schema.tasks import AgeConfig, TaskConfig
from maskcls.schema.train import CRITERIA, TrainConfig
from maskcls.schema.transforms import MixConfig, TransformsConfig

MOST_RENEWALS = 100  # see folds.renew
MAX_JOINT = 10_000  # joint classes; a table of predictions has one column for each


@dataclass(frozen=True)
class WrongValue:
    """One setting whose value, or whose name where `got` is None, is not among those that other settings allow.

    near  what may have been meant.
    """

    key: str
    expected: str
    got: object
    near: tuple[str, ...] = ()


Rule = str | WrongValue


class Sections(Protocol):
    """What the rules read of a configuration. The configuration checks itself with them, so it is not named here."""

    tasks: tuple[TaskConfig, ...]
    data: DataConfig
    folds: FoldsConfig
    model: ModelConfig
    heads: HeadsConfig
    transforms: TransformsConfig
    loss: LossConfig
    balance: BalanceConfig
    age: AgeConfig
    sampler: SamplerConfig
    mix: MixConfig
    optim: OptimConfig
    schedule: ScheduleConfig
    average: AverageConfig
    train: TrainConfig
    predict: PredictConfig
    device: DeviceConfig
    synth: SynthConfig
    separate: dict[str, dict[str, Any]]

    @property
    def head_names(self) -> tuple[str, ...]: ...

    @property
    def binned(self) -> TaskConfig | None: ...

    @property
    def scored_by_step(self) -> bool: ...

    @property
    def space(self) -> LabelSpace: ...


def contradictions(cfg: Sections) -> Iterator[Rule]:
    """Yield every rule between settings that does not hold."""
    yield from _of_tasks(cfg)
    yield from _of_groups(cfg)
    yield from _of_repeats(cfg)
    yield from _of_options(cfg)
    yield from _of_training(cfg)
    yield from _of_selection(cfg)
    yield from _of_further_networks(cfg)
    yield from _of_losses(cfg)
    yield from _of_balance(cfg)
    yield from _of_sampler(cfg)
    yield from _of_mixing(cfg)
    yield from _of_age(cfg)
    yield from _of_synth(cfg)
    yield from _of_fitted_heads(cfg)


def _unknown_keys(section: str, given: Iterable[str], known: Sequence[str], when: str = "") -> Iterator[WrongValue]:
    """Yield the names in a section that are none of the known ones; `when` says when these are known."""
    for name in given:
        if name not in known:
            yield WrongValue(f"{section}.{name}", f"one of {', '.join(known)}{when}", None, _near(name, known))


def _unknown_values(key: str, given: Iterable[str], known: Sequence[str]) -> Iterator[WrongValue]:
    if unknown := [name for name in given if name not in known]:
        near = dict.fromkeys(one for name in unknown for one in _near(name, known))
        got = unknown[0] if len(unknown) == 1 else unknown
        yield WrongValue(key, f"one of {', '.join(known)}", got, tuple(near))


def _near(name: str, known: Sequence[str]) -> tuple[str, ...]:
    near = nearest(name, known)
    return (near,) if near else ()


def _of_tasks(cfg: Sections) -> Iterator[Rule]:
    names = [task.name for task in cfg.tasks]
    if len(set(names)) != len(names):
        yield "tasks that all have different names"
    if cfg.space.size > MAX_JOINT:
        yield f"tasks with at most {MAX_JOINT} joint classes, not {cfg.space.size}"
    yield from _unknown_values("folds.stratify", cfg.folds.stratify or (), names)
    yield from _unknown_keys("separate", cfg.separate, names)
    if cfg.separate and cfg.model.heads != "separate":
        yield "model.heads=separate, because separate is set"


def _of_groups(cfg: Sections) -> Iterator[Rule]:
    group, layout = cfg.data.group, cfg.data.format
    if layout == "contest" and group != "auto":
        yield WrongValue("data.group", "auto with data.format=contest, whose groups are people", group)
    if layout == "folders" and group not in ("auto", "none") and _groups_of(group) != 1:
        expected = "auto, none, or a regular expression with one group in parentheses, with data.format=folders"
        yield WrongValue("data.group", expected, group)


def _of_repeats(cfg: Sections) -> Iterator[Rule]:
    how = cfg.folds
    if how.repeats == 1:
        return
    if how.k == 1:
        yield "folds.k of at least 2 with folds.repeats: every row is predicted once per repeat"
    if how.renew + how.repeats - 1 > MOST_RENEWALS:
        yield f"folds.renew and folds.repeats - 1 that add up to at most {MOST_RENEWALS}"
    for key, file in (("data.pseudo", cfg.data.pseudo), ("data.synth", cfg.data.synth)):
        if file is not None:
            yield WrongValue(key, "null with folds.repeats: its rows are made for one set of folds", file)


def _groups_of(pattern: str) -> int | None:
    """Return the number of groups of a regular expression; None for text that is none."""
    try:
        return re.compile(pattern).groups
    except re.error:
        return None


def _of_options(cfg: Sections) -> Iterator[Rule]:
    for name, value in cfg.model.options.items():
        if setting := TAKEN.get(name):
            yield WrongValue(f"model.options.{name}", f"{setting} in its place", value)
        elif name in TAKEN:
            yield WrongValue(f"model.options.{name}", "no argument that maskcls itself gives to timm", value)


def _of_training(cfg: Sections) -> Iterator[Rule]:
    if cfg.model.pretrained and cfg.model.weights is not None:
        yield "only one of model.pretrained and model.weights"
    if cfg.model.drop_samples > 1 and cfg.model.drop == 0:
        yield "model.drop above 0 with model.drop_samples"
    if cfg.data.leaky and cfg.data.pseudo is None and cfg.data.synth is None:
        yield "data.pseudo=FILE or data.synth=FILE where data.leaky=true, which is about pseudo labels and samples"
    if cfg.train.sync_batchnorm and cfg.device.compile == "on":
        yield "device.compile=auto or off with train.sync_batchnorm"
    if sum(epochs for epochs, _ in cfg.train.stages) > cfg.train.epochs:
        yield f"train.stages of at most train.epochs ({cfg.train.epochs}) epochs together"
    if cfg.schedule.warmup_epochs > cfg.train.epochs:
        yield f"schedule.warmup_epochs ({cfg.schedule.warmup_epochs}) within train.epochs ({cfg.train.epochs})"
    if cfg.optim.freeze_epochs >= cfg.train.epochs:
        yield f"optim.freeze_epochs ({cfg.optim.freeze_epochs}) below train.epochs ({cfg.train.epochs})"
    if cfg.train.accumulate != "auto" and cfg.train.accumulate > cfg.train.batch_size:
        yield f"train.accumulate ({cfg.train.accumulate}) within train.batch_size ({cfg.train.batch_size})"
    view = cfg.transforms
    if cfg.device.augment == "device" and any((view.gray, view.clahe, view.sharpen, view.blur, view.randaugment)):
        alone = "gray, clahe, sharpen, blur and randaugment"
        yield f"device.augment=host or auto, as transforms.{alone} are computed on the host only"


def _of_selection(cfg: Sections) -> Iterator[Rule]:
    select, names = cfg.train.select, [task.name for task in cfg.tasks]
    if select not in (*CRITERIA, *names):
        yield from _unknown_values("train.select", [select], [*CRITERIA, *names])
    elif select not in CRITERIA and cfg.model.heads == "separate":
        yield "train.select=macro_f1 (each network's own task), loss or last with model.heads=separate"
    if cfg.average.soup > 1 and select == "last":
        yield "train.select other than last with average.soup above 1, as several epochs are averaged"
    if cfg.average.soup > cfg.train.keep_epochs:
        yield f"average.soup ({cfg.average.soup}) within train.keep_epochs ({cfg.train.keep_epochs})"


def _of_further_networks(cfg: Sections) -> Iterator[Rule]:
    train, networks = cfg.train, cfg.predict.networks
    names = ("continue_rows", "continue_lr_share")
    given = any(getattr(train, name) != type(train).model_fields[name].default for name in names)
    if given and not train.continue_epochs:
        yield "train.continue_epochs above 0 with train.continue_rows or train.continue_lr_share"
    if networks == "continued" and not train.continue_epochs:
        yield "train.continue_epochs above 0 with predict.networks=continued"
    if networks in ("refit", "all") and not train.refit:
        yield f"train.refit=true with predict.networks={networks}"
    if cfg.predict.adapt == "coral" and networks != "folds":
        yield "predict.networks=folds with predict.adapt=coral, which needs people that a network has not seen"
    if train.refit and cfg.schedule.kind == "plateau":
        yield "another schedule.kind than plateau with train.refit, as a network trained on all rows has no score"


def _of_losses(cfg: Sections) -> Iterator[Rule]:
    heads = cfg.head_names
    yield from _unknown_keys("loss", cfg.loss.own, ["all", *heads], f" with model.heads={cfg.model.heads}")
    if cfg.scored_by_step and cfg.train.accumulate not in ("auto", 1):
        yield "train.accumulate=1 with the f1 loss, as the F1 of a step is not the mean of the F1 of its pieces"
    if cfg.mix.kind != "none" and cfg.mix.partner != "same" and cfg.scored_by_step:
        yield "mix.kind=none or mix.partner=same with the f1 loss, as F1 is not defined for mixed labels"
    adjusted = any(term.kind == "la" for head in heads for term in cfg.loss.terms(head))
    if adjusted and cfg.sampler.draw != "shuffle":
        yield "sampler.draw=shuffle with the la loss, as both correct for rare classes"


def _of_balance(cfg: Sections) -> Iterator[Rule]:
    balance, heads = cfg.balance, cfg.head_names
    if len(heads) > 1:
        yield from _unknown_keys("balance.weights", balance.weights, heads)
    if balance != type(balance)() and (len(heads) == 1 or cfg.model.heads == "separate"):
        yield "balance only with several heads on one backbone (model.heads=multi)"
    if balance.learned and balance.weights:
        yield "either balance.weights or balance.learned"


def _of_sampler(cfg: Sections) -> Iterator[Rule]:
    names = [task.name for task in cfg.tasks]
    if cfg.sampler.by not in ("joint", "person", *names):
        yield from _unknown_values("sampler.by", [cfg.sampler.by], ["joint", "person", *names])
    elif cfg.sampler.by in names and cfg.model.heads == "separate":
        yield "sampler.by = joint (each network's own task) or person with model.heads=separate"


def _of_mixing(cfg: Sections) -> Iterator[Rule]:
    mix, names = cfg.mix, [task.name for task in cfg.tasks]
    if mix.ratio[0] > mix.ratio[1]:
        yield "mix.ratio with the smaller share first"
    if mix.partner_classes and cfg.model.heads == "separate":
        yield "mix.partner_classes below separate.TASK.mix with model.heads=separate"
    if mix.kind == "none" and mix.partner_classes:
        yield "mix.kind=cutmix, halves or mixup, because mix.partner_classes is set"
    yield from _unknown_keys("mix.partner_classes", mix.partner_classes, names)
    yield from _of_classes(cfg, "mix.partner_classes", mix.partner_classes)


def _of_classes(cfg: Sections, key: str, given: Mapping[str, tuple[str, ...]]) -> Iterator[Rule]:
    """Yield what is wrong with the classes of each task in a setting; unknown tasks are passed over."""
    for name in [task.name for task in cfg.tasks if task.name in given]:
        known = cfg.space.task(name).classes
        if not given[name]:
            yield WrongValue(f"{key}.{name}", f"one or more of {', '.join(known)}", [])
        yield from _unknown_values(f"{key}.{name}", given[name], known)


def _of_synth(cfg: Sections) -> Iterator[Rule]:
    synth, names = cfg.synth, [task.name for task in cfg.tasks]
    for key in ("classes", "from_classes"):
        given = getattr(synth, key)
        yield from _unknown_keys(f"synth.{key}", given, names)
        yield from _of_classes(cfg, f"synth.{key}", given)
    if synth.from_classes and set(synth.from_classes) != set(synth.classes):
        yield "synth.classes and synth.from_classes about the same tasks"
    if both := {
        name for name, classes in synth.from_classes.items() if set(classes) & set(synth.classes.get(name, ()))
    }:
        yield f"no class of {', '.join(sorted(both))} in both synth.classes and synth.from_classes"
    if synth.kind == "cyclegan" and (several := [name for name, some in synth.classes.items() if len(some) > 1]):
        yield f"one class of {', '.join(sorted(several))} in synth.classes with synth.kind=cyclegan"
    if any(side % 16 for side in synth.size):
        yield WrongValue("synth.size", "multiples of 16", list(synth.size))
    if len(set(synth.augment)) != len(synth.augment):
        yield "no change of images twice in synth.augment"


def _of_age(cfg: Sections) -> Iterator[Rule]:
    if cfg.age == type(cfg.age)():
        return
    if cfg.binned is None:
        yield "exactly one task with bins, because age is set"
        return
    yield from _of_age_head(cfg, cfg.binned.name)
    yield from _of_age_bins(cfg, cfg.binned.bins)
    yield from _of_age_labels(cfg, cfg.binned.name)


def _of_age_head(cfg: Sections, task: str) -> Iterator[Rule]:
    age = cfg.age
    if (age.head != "bands" or age.given is not None) and cfg.model.heads == "joint":
        yield "model.heads=multi or separate with age.head or age.given"
    if age.head in ("ordinal", "normal") and task in cfg.loss.own:
        yield f"no loss.{task} with age.head={age.head}, which has its own loss"
    others = [head for head in cfg.head_names if head not in ("joint", task)]
    if age.given is not None and others:
        yield from _unknown_values("age.given", [age.given], others)
    elif age.given is not None and cfg.model.heads != "joint":
        yield "a second task with age.given"
    if age.given is not None and cfg.model.heads == "separate":
        yield "model.heads=multi with age.given"


def _of_age_bins(cfg: Sections, bins: tuple[int, ...]) -> Iterator[Rule]:
    age = cfg.age
    if age.head == "fine" and age.fine_bins is None:
        yield "age.fine_bins with age.head=fine"
    if age.fine_bins is not None:
        if age.head not in ("fine", "ordinal"):
            yield "age.head=fine or ordinal with age.fine_bins"
        if list(age.fine_bins) != sorted(set(age.fine_bins)) or not set(age.fine_bins) > set(bins):
            yield f"age.fine_bins in ascending order, with {', '.join(map(str, bins))} and more"
    if age.train_bins is not None:
        if age.fine_bins is not None or age.head == "normal":
            yield "age.train_bins only with age.head=bands, or ordinal without age.fine_bins"
        if list(age.train_bins) != sorted(set(age.train_bins)) or len(age.train_bins) != len(bins):
            yield f"age.train_bins in ascending order, {len(bins)} of them"


def _of_age_labels(cfg: Sections, task: str) -> Iterator[Rule]:
    age = cfg.age
    heads = [head for head in cfg.head_names if head in ("joint", task)]
    by_f1 = any(term.kind == "f1" for head in heads for term in cfg.loss.terms(head))
    if by_f1 and age.spread is not None:
        yield "no age.spread with the f1 loss, as F1 is not defined for spread labels"
    if by_f1 and age.train_bins is not None and cfg.mix.kind != "none":
        yield "no age.train_bins with the f1 loss and mixing, as partners of one age class could get mixed labels"
    if age.spread is not None and age.head == "normal":
        yield "no age.spread with age.head=normal, which learns its own spread"


def _of_fitted_heads(cfg: Sections) -> Iterator[Rule]:
    if cfg.model.train != "heads":
        if cfg.train.start_heads == "fitted":
            yield from _of_strength(cfg)
            yield from _of_start_heads(cfg)
        return
    train, plain = cfg.train, type(cfg.age)()
    yield from _of_strength(cfg)
    if train.continue_epochs:
        yield "train.continue_epochs=0 with model.train=heads, which has no epochs"
    if train.seeds > 1 and cfg.heads.kind != "mlp":
        yield "train.seeds=1 with model.train=heads, whose heads do not depend on a seed, or heads.kind=mlp"
    if cfg.age.model_copy(update={"drop": plain.drop}) != plain:
        yield "only age.drop of the section age with model.train=heads, whose heads are over the classes"


def _of_strength(cfg: Sections) -> Iterator[Rule]:
    strength = cfg.heads.strength
    if cfg.heads.kind == "lda" and strength != "auto" and strength > 1:
        yield WrongValue("heads.strength", "auto or a number up to 1 with heads.kind=lda", strength)


def _of_start_heads(cfg: Sections) -> Iterator[Rule]:
    """Yield what fitted heads cannot start; with separate networks, each says on its own what it needs."""
    if cfg.model.heads == "separate":
        return
    if cfg.age.head != "bands" or cfg.age.given is not None:
        yield "age.head=bands and no age.given with train.start_heads=fitted, whose heads are over the classes"
    if any([term.kind for term in cfg.loss.terms(head)] == ["bce"] for head in cfg.head_names):
        yield "another loss than bce alone with train.start_heads=fitted, whose heads are softmaxes"
