"""Settings that contradict each other are refused, each with its names."""

from __future__ import annotations

import pytest
from option_values import TASK, leaf, refused

from maskcls.config import (
    load,
)

CONTRADICTIONS: dict[str, tuple[list[str], str]] = {
    "names": ([f"tasks=[{TASK}, {TASK}]"], "tasks that all have different names"),
    "joint": (
        [f"tasks=[{', '.join(f'{{name: t{i}, classes: [a, b]}}' for i in range(14))}]"],
        "joint classes, not 16384",
    ),
    "weights": (["model.pretrained=true", "model.weights=a"], "only one of model.pretrained and model.weights"),
    "warmup": (["train.epochs=2", "schedule.warmup_epochs=2.5"], "warmup_epochs (2.5) within train.epochs (2)"),
    "synced and compiled": (
        ["train.sync_batchnorm=true", "device.compile=on"],
        "device.compile=auto or off with train.sync_batchnorm",
    ),
    "stages": (["train.epochs=2", "train.stages=[[2, 0.5], [1, 0.7]]"], "train.stages of at most train.epochs (2)"),
    "select apart": (
        ["train.select=age", "model.heads=separate"],
        "train.select=macro_f1 (each network's own task), loss or last with model.heads=separate",
    ),
    "soup of the last": (
        ["average.soup=2", "train.select=last"],
        "train.select other than last with average.soup above 1",
    ),
    "soup of few": (["average.soup=3", "train.keep_epochs=2"], "average.soup (3) within train.keep_epochs (2)"),
    "nobody": (["predict.networks=all"], "train.refit=true with predict.networks=all"),
    "nobody unseen": (
        ["predict.adapt=coral", "predict.networks=refit", "train.refit=true"],
        "predict.networks=folds with predict.adapt=coral",
    ),
    "going on": (
        ["train.continue_rows=valid"],
        "train.continue_epochs above 0 with train.continue_rows or train.continue_lr_share",
    ),
    "nobody went on": (
        ["predict.networks=continued"],
        "train.continue_epochs above 0 with predict.networks=continued",
    ),
    "leak of nothing": (["data.leaky=true"], "data.pseudo=FILE or data.synth=FILE where data.leaky=true"),
    "heads go on": (["model.train=heads", "train.continue_epochs=1"], "train.continue_epochs=0 with model.train=heads"),
    "heads of seeds": (["model.train=heads", "train.seeds=2"], "train.seeds=1 with model.train=heads"),
    "heads over ages": (["model.train=heads", "age.spread=2"], "only age.drop of the section age with model.train"),
    "fitted over ages": (
        ["train.start_heads=fitted", "age.head=ordinal"],
        "age.head=bands and no age.given with train.start_heads=fitted",
    ),
    "fitted for genders": (
        ["train.start_heads=fitted", "age.given=gender"],
        "age.head=bands and no age.given with train.start_heads=fitted",
    ),
    "fitted sigmoids": (
        ["train.start_heads=fitted", "loss.age=bce"],
        "another loss than bce alone with train.start_heads=fitted",
    ),
    "frozen": (["train.epochs=2", "optim.freeze_epochs=2"], "optim.freeze_epochs (2) below train.epochs (2)"),
    "f1 in pieces": (["loss.age=ce+f1", "train.accumulate=2"], "train.accumulate=1 with the f1 loss"),
    "f1 of mixtures": (["loss.all=f1", "mix.kind=cutmix"], "mix.kind=none or mix.partner=same with the f1 loss"),
    "balance of one": (
        ["model.heads=joint", "balance.learned=true"],
        "balance only with several heads on one backbone",
    ),
    "balance twice": (
        ["balance.learned=true", "balance.weights={age: 2}"],
        "either balance.weights or balance.learned",
    ),
    "dropout": (["model.drop_samples=2"], "model.drop above 0 with model.drop_samples"),
    "no bins": ([f"tasks=[{TASK}]", "age.spread=2"], "exactly one task with bins, because age is set"),
    "joint age": (["model.heads=joint", "age.head=normal"], "model.heads=multi or separate with age.head"),
    "fine bins": (["age.head=fine"], "age.fine_bins with age.head=fine"),
    "coarse head": (["age.fine_bins=[20, 30, 60]"], "age.head=fine or ordinal with age.fine_bins"),
    "both bins": (
        ["age.head=ordinal", "age.fine_bins=[20, 30, 60]", "age.train_bins=[29, 58]"],
        "age.train_bins only with age.head=bands, or ordinal without age.fine_bins",
    ),
    "own spread": (["age.head=normal", "age.spread=2"], "no age.spread with age.head=normal"),
    "own loss": (["age.head=ordinal", "loss.age=focal"], "no loss.age with age.head=ordinal"),
    "given alone": (
        [f"tasks=[{TASK.replace('}', ', bins: [30, 60]}')}]", "age.given=x"],
        "a second task with age.given",
    ),
    "given apart": (["model.heads=separate", "age.given=mask"], "model.heads=multi with age.given"),
    "group apart": (["model.heads=separate", "sampler.by=age"], "sampler.by = joint (each network's own task)"),
    "ratio": (["mix.ratio=[0.6, 0.5]"], "mix.ratio with the smaller share first"),
    "no mix": (["mix.partner_classes={age: ['>=60']}"], "because mix.partner_classes is set"),
    "prior twice": (["loss.all=la", "sampler.draw=weighted"], "sampler.draw=shuffle with the la loss"),
    "pieces": (["train.batch_size=4", "train.accumulate=5"], "train.accumulate (5) within train.batch_size (4)"),
    "device": (["device.augment=device", "transforms.clahe=0.1"], "device.augment=host or auto, as transforms.gray"),
    "refit by plateau": (
        ["train.refit=true", "schedule.kind=plateau"],
        "another schedule.kind than plateau with train.refit",
    ),
    "partners apart": (
        ["model.heads=separate", "mix.kind=halves", "mix.partner_classes={age: ['>=60']}"],
        "mix.partner_classes below separate.TASK.mix with model.heads=separate",
    ),
    "f1 of spread ages": (["loss.age=ce+f1", "age.spread=3"], "no age.spread with the f1 loss"),
    "f1 of moved bands": (
        ["loss.all=f1", "mix.kind=halves", "mix.partner=same", "age.train_bins=[29, 45]"],
        "no age.train_bins with the f1 loss and mixing",
    ),
    "translated into two": (
        ["synth.kind=cyclegan", "synth.classes={age: ['<30', '>=60']}"],
        "one class of age in synth.classes with synth.kind=cyclegan",
    ),
    "heads": (["separate.age.model.drop=0"], "model.heads=separate, because separate is set"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_named(name: str) -> None:
    overrides, expected = CONTRADICTIONS[name]
    error = refused(*overrides)
    assert error.what == "settings contradict each other"
    assert expected in str(error.expected)


HEADS = "with model.heads=multi"
UNKNOWN: dict[str, tuple[str, str, str, str | None]] = {  # setting: its key, got, the allowed names, the near one
    "train.select=agee": ("train.select", '"agee"', "macro_f1, tasks, loss, last, mask, gender, age", "age"),
    "sampler.by=years": ("sampler.by", '"years"', "joint, person, mask, gender, age", None),
    "age.given=age": ("age.given", '"age"', "mask, gender", None),
    "age.given=gendr": ("age.given", '"gendr"', "mask, gender", "gender"),
    "folds.stratify=[agee]": ("folds.stratify", '"agee"', "mask, gender, age", "age"),
    "folds.stratify=[age, x, y]": ("folds.stratify", '["x", "y"]', "mask, gender, age", None),
    "loss.agee=focal": ("loss.agee", "an unknown key", f"all, mask, gender, age {HEADS}", "age"),
    "loss.joint=focal": ("loss.joint", "an unknown key", f"all, mask, gender, age {HEADS}", None),
    "balance.weights={agee: 2}": ("balance.weights.agee", "an unknown key", "mask, gender, age", "age"),
    "mix.partner_classes={agee: [x]}": ("mix.partner_classes.agee", "an unknown key", "mask, gender, age", "age"),
    "mix.partner_classes={age: ['>60']}": ("mix.partner_classes.age", '">60"', "<30, 30-59, >=60", ">=60"),
    "separate.agee.model.drop=0": ("separate.agee", "an unknown key", "mask, gender, age", "age"),
}


@pytest.mark.parametrize("override", UNKNOWN)
def test_an_unknown_name_is_no_contradiction(override: str) -> None:
    key, got, known, near = UNKNOWN[override]
    needed = {"mix": ["mix.kind=mixup"], "separate": ["model.heads=separate"]}.get(key.split(".")[0], [])
    error = refused(override, *needed)
    assert (error.what, error.got, error.expected) == ("a setting is wrong", got, f"one of {known}")
    assert error.where == f"command line: {key}"
    assert error.fix == (near and f"did you mean {near!r}?")
    both = refused(override, *needed, "train.epochs=1", "schedule.warmup_epochs=2")
    assert both.what == "2 settings are wrong"
    assert both.offenders[0].startswith(f"{key}: expected one of {known}, got {got}")
    assert both.offenders[1].startswith("settings: expected schedule.warmup_epochs (2.0) within")


def test_a_share_of_the_covariance_is_at_most_1() -> None:
    for given in (["model.train=heads"], ["train.start_heads=fitted"]):
        error = refused(*given, "heads.kind=lda", "heads.strength=1.5")
        assert (error.got, error.expected) == ("1.5", "auto or a number up to 1 with heads.kind=lda")
        assert str(error.where).endswith(": heads.strength")
    assert load(None, ["model.train=heads", "heads.kind=lda", "heads.strength=1"])[0].heads.strength == 1
    assert load(None, ["model.train=heads", "heads.kind=ridge", "heads.strength=1.5"])[0].heads.strength == 1.5


def test_partners_of_no_class_are_refused() -> None:
    error = refused("mix.kind=mixup", "mix.partner_classes={age: []}")
    assert (error.got, error.expected) == ("[]", "one or more of <30, 30-59, >=60")
    assert str(error.where).endswith(": mix.partner_classes.age")


def test_a_network_of_one_task_reports_its_unknown_names() -> None:
    error = refused("model.heads=separate", "separate.age.loss.agee=focal")
    assert (error.got, error.expected) == ("an unknown key", f"one of all, age {HEADS}")
    assert str(error.where).endswith(": separate.age.loss.agee")


def test_all_contradictions_are_reported_at_once() -> None:
    assert len(CONTRADICTIONS) == 47
    assert len(UNKNOWN) == 12
    error = refused("train.epochs=1", "schedule.warmup_epochs=2", "train.batch_size=1", "train.accumulate=2")
    assert "schedule.warmup_epochs" in str(error.expected)
    assert "train.accumulate" in str(error.expected)


@pytest.mark.parametrize("change", ["gray", "clahe", "sharpen", "blur", "randaugment"])
def test_a_change_of_the_host_alone_is_never_asked_of_the_device(change: str) -> None:
    assert "device.augment=host" in str(refused("device.augment=device", f"transforms.{change}=1").expected)
    for other in ([f"transforms.{change}=1"], [f"transforms.{change}=1", "device.augment=host"]):
        assert leaf(load(None, other)[0], f"transforms.{change}") == 1
    assert load(None, ["device.augment=device", f"transforms.{change}=0"])[0].device.augment == "device"
