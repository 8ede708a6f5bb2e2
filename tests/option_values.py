"""Values on and beyond the bounds of every option, which several tests go through."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from maskcls.config import load
from maskcls.errors import ConfigError
from maskcls.layoutnames import LayoutName
from maskcls.schema import Config

# The surface: an option that appears, disappears or changes its name fails here.
FIELDS = {
    "data": ("format", "group", "fixes", "pseudo", "synth", "leaky", "cache", "same_photos"),
    "folds": ("k", "holdout", "seed", "renew", "repeats", "sealed", "sealed_seed", "stratify"),
    "model": ("heads", "train", "backbone", "options", "pretrained", "weights", "drop", "drop_samples", "drop_path"),
    "transforms": (
        *("crop", "size", "hflip", "geometry", "shift", "scale", "rotate_deg", "colour", "brightness", "contrast"),
        *("cutout", "cutout_size", "gray", "clahe", "sharpen", "blur", "mean", "std"),
        *("crop_centre", "saturation", "hue", "zoom", "zoom_share", "randaugment", "randaugment_magnitude"),
        *("erasing", "erasing_boxes", "erasing_area", "erasing_fill", "grid_dropout", "grid_unit", "grid_ratio"),
    ),
    "heads": ("kind", "strength", "balance", "hidden", "augmented"),
    "loss": ("all",),
    "balance": ("weights", "learned"),
    "age": ("head", "train_bins", "fine_bins", "drop", "spread", "given"),
    "sampler": ("draw", "by", "power", "one_per_person", "epoch_fraction"),
    "mix": ("kind", "prob", "alpha", "ratio", "partner", "partner_classes"),
    "optim": (
        *("name", "lr", "head_lr_scale", "layer_decay", "freeze_layers", "freeze_epochs", "weight_decay", "betas"),
        *("momentum", "clip_norm"),
    ),
    "schedule": (
        *("kind", "warmup_epochs", "end_share", "start_share", "every_epochs", "gamma", "cycles", "decay_share"),
        "patience",
    ),
    "average": ("kind", "decay", "power", "start", "soup"),
    "train": (
        "epochs",
        "batch_size",
        "accumulate",
        "sync_batchnorm",
        "patience",
        "select",
        "keep_epochs",
        "save_minutes",
        "stages",
        "seeds",
        "refit",
        "continue_epochs",
        "continue_rows",
        "continue_lr_share",
        "fold_jobs",
        "start_heads",
        "baseline",
        "report",
    ),
    "predict": ("views", "networks", "groups", "adapt", "batch_size"),
    "synth": (
        *("kind", "classes", "from_classes", "least_groups", "neighbours", "size", "steps", "batch_size", "width"),
        *("latent", "condition", "upsample", "lr_generator", "lr_critic", "beta1", "beta2", "ema", "augment"),
        *("real_label", "label_noise", "label_flips", "instance_noise", "dropout"),
        *("penalty", "critic_steps", "critic_norm"),
        *("network", "blocks", "padding", "pool", "cycle", "identity", "decay_share"),
        *("sheet_steps", "per_class", "copy_quantile", "agree", "weight"),
    ),
    "tracking": ("project", "name", "mlflow"),
    "device": ("type", "precision", "memory_format", "compile", "threads", "augment", "workers"),
}
KEYS = frozenset(
    {"seed", "tasks", "track", "separate"} | {f"{section}.{name}" for section in FIELDS for name in FIELDS[section]}
)

TASK = "{name: t, classes: [a, b, c]}"
NAME_64, NAME_65 = "n" * 64, "n" * 65
COUNT = (["1", "1000000"], ["0", "-1", "1000001", "1.0", "true", "null"])
COUNT_OR_NULL = ([*COUNT[0], "null"], COUNT[1][:-1])
SEED = (["0", "4294967295"], ["-1", "4294967296", "0.0", "false", "1e3", "null"])
SHARE = (["0", "1", "0.5"], ["-1e-9", "1.000001", ".nan", ".inf", "true", "'0.5'", "null"])
BELOW_ONE = (["0", "0.999999"], ["-1e-9", "1", ".nan", "true", "x", "null"])
INSIDE = (["1e-9", "0.999999"], ["0", "1", "-1", ".nan", "null"])
POSITIVE = (["1e-9", "1e9"], ["0", "-1", ".inf", "no", "null"])
NOT_NEGATIVE = (["0", "1e9"], ["-1e-9", ".inf", "-.inf", "12:30", "null"])
KEPT = (["1e-9", "1"], ["0", "1.000001", ".nan", "null"])
UP_TO_A_MILLION = (["0", "1000000"], ["-1e-9", "1000001", ".inf", "null"])
FLAG = (["true", "False"], ["no", "yes", "on", "1", "0", "'true'", "null"])
TEXT_OR_NULL = (["x", "010", "null"], ["''", '"a\\0b"', "3", "true", "[x]"])
SIZE = (
    ["[8, 4096]", "[4096, 8]"],
    ["[7, 96]", "[96, 4097]", "[96]", "[96, 96, 3]", "96", "[96.0, 96]", "96x96", "null"],
)

GOOD_TASKS = [
    f"[{TASK}]",
    f"[{TASK}, {{name: u_2, classes: [a, b], bins: [1000000]}}]",
    f"[{{name: {NAME_64}, classes: [a, b]}}]",
    "[{name: t, classes: [a, b, c], bins: [1, 2]}]",
    "[{name: t, classes: [n, no, 'null', 얼굴]}]",
]
BAD_NAMES = [NAME_65, "T", "2t", "a-b", "a/b", "''", '"t\\n"', "얼", "1", "id", "joint"]
BAD_CLASSES = ["[a]", "[a, a]", "[a, '']", "[a, 1]", "[a, null]", "a"]
BAD_BINS = ["[0]", "[1000001]", "[1, 2]", "[1.0]", "['1']", "1", "[true]"]  # of a task with two classes
BAD_TASKS = [
    *("[]", "null", "[3]", TASK, f"[{TASK}, {TASK}]"),
    *("[{name: t}]", "[{classes: [a, b]}]", "[{name: t, classes: [a, b], binz: [1]}]"),
    *(f"[{{name: {name}, classes: [a, b]}}]" for name in BAD_NAMES),
    *(f"[{{name: t, classes: {classes}}}]" for classes in BAD_CLASSES),
    *(f"[{{name: t, classes: [a, b], bins: {bins}}}]" for bins in BAD_BINS),
    *(f"[{{name: t, classes: [a, b, c], bins: {bins}}}]" for bins in ("[2, 1]", "[1, 1]", "[1]")),
]

# What the highest value of a key needs beside it.
COMPANIONS = {
    "train.accumulate": ["train.batch_size=1000000"],
    "model.drop_samples": ["model.drop=0.1"],
    "data.leaky": ["data.pseudo=a.csv"],
    "data.group": ["data.format=table"],
    "train.continue_rows": ["train.continue_epochs=1"],
    "train.continue_lr_share": ["train.continue_epochs=1"],
    "age.fine_bins": ["age.head=ordinal"],
    "average.soup": ["train.keep_epochs=100"],
    "predict.networks": ["train.refit=true", "train.continue_epochs=1"],
    "train.stages": ["train.epochs=1000000"],
    "optim.freeze_epochs": ["train.epochs=1000000"],
    "synth.from_classes": ["synth.classes={age: ['>=60']}"],
}

# key -> values on and inside its bounds, values beyond them
BOUNDS: dict[str, tuple[list[str], list[str]]] = {
    "seed": SEED,
    "tasks": (GOOD_TASKS, BAD_TASKS),
    "separate": (["{}"], ["null", "3", "[]", "{age: 3}", "{age: null}", "{age: {model.drop: 0}}", "{agee: {}}"]),
    "track": (
        ["[]", "[csv, wandb]", "[tensorboard, wandb, mlflow, csv]"],
        ["csvs", "csv,csv", "''", "[[csv]]", "3", "null"],
    ),
    "tracking.project": (TEXT_OR_NULL[0][:-1], [*TEXT_OR_NULL[1], "null"]),
    "tracking.name": TEXT_OR_NULL,
    "tracking.mlflow": TEXT_OR_NULL,
    "data.format": (list(get_args(LayoutName)), ["csv", "Table", "null", "3"]),
    "data.group": (["auto", "none", "patient"], ["''", '"a\\0b"', "null", "3"]),
    "data.fixes": TEXT_OR_NULL,
    "data.pseudo": TEXT_OR_NULL,
    "data.synth": TEXT_OR_NULL,
    "data.leaky": FLAG,
    "data.cache": (["auto", "on", "off"], ["true", "yes", "null"]),
    "data.same_photos": (["refuse", "allow"], ["true", "warn", "null"]),
    "folds.k": (["1", "100"], ["0", "101", "5.0", "true", "null"]),
    "folds.holdout": INSIDE,
    "folds.seed": SEED,
    "folds.renew": (["0", "100"], ["-1", "101", "1.0", "true", "null"]),
    "folds.repeats": (["1", "20"], ["0", "21", "2.0", "null"]),
    "folds.sealed": BELOW_ONE,
    "folds.sealed_seed": SEED,
    "folds.stratify": (["null", "[]", "[age, mask]"], ["[agee]", "age", "[1]", "[null]"]),
    "model.heads": (["joint", "multi", "separate"], ["single", "null", "[multi]"]),
    "model.train": (["all", "heads"], ["none", "null", "true"]),
    "heads.kind": (["lda", "ridge", "logistic", "mlp"], ["svm", "null", "LDA"]),
    "heads.strength": (["auto", "1e-6", "1e6"], ["9e-7", "1000001", "0", "-1", ".nan", ".inf", "high", "null", "true"]),
    "heads.balance": SHARE,
    "heads.hidden": (["1", "4096"], ["0", "4097", "8.0", "true", "null", "auto"]),
    "heads.augmented": (["0", "100"], ["-1", "101", "1.0", "true", "null"]),
    "model.backbone": (["resnet34", "n"], ["''", "null", "18", "[resnet18]"]),
    "model.options": (
        ["{}"],
        [
            *("{pad_type: null}", "{pad_type: [same, null]}", "{norm: {eps: 1}}", "{depths: [[1]]}", "{alpha: .inf}"),
            *("{'a b': 1}", "{'': 1}", "{1: 2}", "{img_size: 224}", "{cache_dir: x}", "[pad_type]", "same", "null"),
        ],
    ),
    "model.pretrained": FLAG,
    "model.weights": TEXT_OR_NULL,
    "model.drop": BELOW_ONE,
    "model.drop_samples": (["1", "64"], ["0", "65", "2.0", "null"]),
    "model.drop_path": BELOW_ONE,
    "loss.all": (["ce", "0.5*focal(gamma=1) + 0.5*f1", "bce"], ["focl", "''", "ce+ce", "bce+f1", "3", "null"]),
    "balance.weights": (["{}"], ["{age: 0}", "{agee: 1}", "{age: x}", "[1]", "null"]),
    "balance.learned": FLAG,
    "age.head": (["bands", "ordinal", "normal"], ["fine", "coral", "null"]),
    "age.train_bins": (
        ["[1, 1000000]", "[29, 58]", "null"],
        ["[58, 29]", "[29]", "[0, 58]", "[29, 1000001]", "[]", "29", "[29.0, 58]"],
    ),
    "age.fine_bins": (
        ["[1, 30, 60, 1000000]", "null"],
        ["[30, 60]", "[20, 30]", "[60, 30, 20]", "[0, 30, 60]", "[30, 60, 1000001]", "[]", "30", "[30, 60.5]"],
    ),
    "age.drop": (["[]", "[0, 32767]"], ["[-1]", "[32768]", "29", "[x]", "null"]),
    "age.spread": ([*POSITIVE[0], "null"], POSITIVE[1][:-1]),
    "age.given": (["mask", "gender", "null"], ["age", "hat", "''", "1", "[mask]"]),
    "sampler.draw": (["shuffle", "weighted", "oversample"], ["random", "null"]),
    "sampler.by": (["joint", "person", "age"], ["agee", "''", "3", "null"]),
    "sampler.power": SHARE,
    "sampler.one_per_person": FLAG,
    "sampler.epoch_fraction": (["1e-9", "1"], ["0", "1.000001", ".nan", "all", "null"]),
    "mix.kind": (["none", "cutmix", "halves", "mixup"], ["cut", "null"]),
    "mix.prob": SHARE,
    "mix.alpha": POSITIVE,
    "mix.ratio": (
        ["[1e-9, 0.999999]", "[0.5, 0.5]"],
        ["[0, 0.5]", "[0.5, 1]", "[0.6, 0.5]", "[0.5]", "0.5", "null"],
    ),
    "mix.partner": (["any", "same", "other"], ["old", "null"]),
    "mix.partner_classes": (["{}"], ["{age: [old]}", "{hat: [x]}", "[age]", "null"]),
    "transforms.crop": (
        ["[1, 0.5]", "[1e-9, 1.0]"],
        ["[0, 1]", "[1, 1.000001]", "[1]", "[1, 1, 1]", "0.9", "[-0.1, 1]", "null"],
    ),
    "transforms.size": SIZE,
    "transforms.hflip": SHARE,
    "transforms.geometry": SHARE,
    "transforms.shift": BELOW_ONE,
    "transforms.scale": BELOW_ONE,
    "transforms.rotate_deg": (["0", "180"], ["-1e-9", "180.0001", ".nan", "ten", "null"]),
    "transforms.colour": SHARE,
    "transforms.brightness": BELOW_ONE,
    "transforms.contrast": BELOW_ONE,
    "transforms.cutout": SHARE,
    "transforms.cutout_size": INSIDE,
    "transforms.crop_centre": (["[0, 1]", "[0.5, 0.25]"], ["[-1e-9, 0]", "[0, 1.000001]", "[0.5]", "0.5", "null"]),
    "transforms.saturation": BELOW_ONE,
    "transforms.hue": (["0", "0.5"], ["-1e-9", "0.500001", ".nan", "red", "null"]),
    "transforms.zoom": SHARE,
    "transforms.zoom_share": (["1e-9", "1"], ["0", "1.000001", ".nan", "null"]),
    "transforms.randaugment": (["0", "3"], ["-1", "4", "1.0", "true", "null"]),
    "transforms.randaugment_magnitude": (["0", "10"], ["-1e-9", "10.0001", ".nan", "null"]),
    "transforms.erasing": SHARE,
    "transforms.erasing_boxes": (["1", "8"], ["0", "9", "2.0", "true", "null"]),
    "transforms.erasing_area": (
        ["[1e-9, 1]", "[0.5, 0.5]"],
        ["[0, 1]", "[0.5, 1.000001]", "[0.3, 0.2]", "[0.1]", "0.1", "null"],
    ),
    "transforms.erasing_fill": (["mean", "noise"], ["black", "0", "null"]),
    "transforms.grid_dropout": SHARE,
    "transforms.grid_unit": (["1e-9", "1"], ["0", "1.000001", ".nan", "null"]),
    "transforms.grid_ratio": INSIDE,
    **dict.fromkeys(("transforms.gray", "transforms.clahe", "transforms.sharpen", "transforms.blur"), SHARE),
    "transforms.mean": (
        ["[0, 1, 0.5]", "auto"],
        ["[0, 1, 1.01]", "[-0.01, 0, 0]", "[0, 0]", "[0, 0, 0, 0]", "0.5", "null"],
    ),
    "transforms.std": (["[1e-9, 1, 9]", "auto"], ["[0, 1, 1]", "[1, 1, .inf]", "[1, 1]", "[1, 1, 1, 1]", "1", "null"]),
    "optim.lr": POSITIVE,
    "optim.head_lr_scale": POSITIVE,
    "optim.weight_decay": NOT_NEGATIVE,
    "optim.name": (["adamw", "lion", "n"], ["''", "3", "null", "[adamw]"]),
    "optim.layer_decay": (["1e-9", "1"], ["0", "1.000001", ".nan", "null"]),
    "optim.freeze_layers": (["0", "10000"], ["-1", "10001", "1.0", "true", "null"]),
    "optim.freeze_epochs": (["0", "999999"], ["-1", "1000000", "1.0", "all", "null"]),
    "optim.betas": (
        ["[0, 0.999999]", "[0.999999, 0]", "[0]", "[0, 0, 0]", "null"],
        ["[0, 1]", "[1, 0]", "[-1e-9, 0]", "[]", "[0, 0, 0, 0]", "0.9"],
    ),
    "optim.momentum": (["0", "0.999999", "null"], ["-1e-9", "1", ".nan", "true"]),
    "schedule.warmup_epochs": (["0", "6"], ["-1e-9", "6.1", ".inf", "half", "null"]),
    "schedule.end_share": SHARE,
    "optim.clip_norm": ([*POSITIVE[0], "null"], POSITIVE[1][:-1]),
    "schedule.kind": (
        ["cosine", "linear", "step", "constant", "onecycle", "wsd", "cosine_restarts", "plateau"],
        ["cos", "Cosine", "null"],
    ),
    "schedule.start_share": SHARE,
    "schedule.every_epochs": POSITIVE,
    "schedule.gamma": INSIDE,
    "schedule.cycles": (["1", "1000"], ["0", "1001", "1.0", "true", "null"]),
    "schedule.decay_share": (["1e-9", "1"], ["0", "1.000001", ".nan", "null"]),
    "schedule.patience": (["0", "1000000"], ["-1", "1000001", "1.0", "null"]),
    "average.kind": (["ema", "swa", "none"], ["EMA", "off", "null"]),
    "average.start": BELOW_ONE,
    "average.soup": (["1", "100"], ["0", "101", "2.0", "true", "null"]),
    "average.decay": INSIDE,
    "average.power": (["1e-9", "1"], ["0", "1.000001", ".nan", "null"]),
    "train.start_heads": (["new", "fitted"], ["heads", "New", "true", "null"]),
    "train.baseline": ([*FLAG[0], "auto"], [*FLAG[1], "Auto"]),
    "train.epochs": COUNT,
    "train.batch_size": COUNT,
    "train.accumulate": ([*COUNT[0], "auto"], [*COUNT[1], "Auto"]),
    "train.sync_batchnorm": FLAG,
    "train.patience": COUNT_OR_NULL,
    "train.select": (["macro_f1", "tasks", "loss", "last"], ["best", "''", "null", "1"]),
    "train.keep_epochs": COUNT,
    "train.save_minutes": (["0", "0.5", "10", "1000000", "null"], ["-0.1", "1000001", ".nan", "auto", "true"]),
    "train.seeds": (["1", "100"], ["0", "101", "1.0", "true", "null"]),
    "train.refit": FLAG,
    "train.continue_epochs": (["0", "1000000"], ["-1", "1000001", "1.0", "true", "null"]),
    "train.continue_rows": (["all", "valid"], ["train", "null", "[all]"]),
    "train.continue_lr_share": (["1e-9", "1"], ["0", "1.000001", ".nan", "null"]),
    "train.stages": (
        ["[]", "[[1, 1e-9], [999999, 1]]", "[[1000000, 0.5]]"],
        ["[[0, 0.5]]", "[[1, 0]]", "[[1, 1.000001]]", "[[1000001, 0.5]]", "[[1]]", "0.5", "[[1.0, 0.5]]", "null"],
    ),
    "predict.networks": (["folds", "continued", "refit", "all"], ["fold", "null", "[folds]"]),
    "predict.groups": (["none", "look"], ["looks", "null", "true"]),
    "predict.adapt": (["none", "coral", "adabn"], ["bn", "null", "true", "[coral]"]),
    "train.fold_jobs": (["1", "64", "auto"], ["0", "65", "1.0", "true", "all", "null"]),
    "train.report": (["true", "false"], ["0", "1.0", "null", "later"]),
    "predict.views": (
        ["none", "hflip", "zoom", "hflip_zoom", "hflip_zooms", "shifts", "plain+up", "geometric:hflip", "geometric:up"],
        ["hflp", "null", "1", "up+up", "zoomed_60", "geometric:", "geometric"],
    ),
    "predict.batch_size": COUNT,
    "synth.kind": (["smote", "oversample", "dcgan", "wgan-gp", "cyclegan"], ["gan", "wgan_gp", "SMOTE", "null"]),
    "synth.classes": (
        ["{}"],
        ["{agee: ['>=60']}", "{age: []}", "{age: [old]}", "age", "null"],
    ),
    "synth.from_classes": (
        ["{}"],
        ["{agee: ['30-59']}", "{age: []}", "{age: ['>=60']}", "{mask: [wear]}", "null"],
    ),
    "synth.least_groups": COUNT,
    "synth.neighbours": COUNT,
    "synth.size": (
        ["[16, 256]", "[256, 16]", "[64, 48]"],
        ["[15, 64]", "[64, 257]", "[64, 40]", "[64]", "[64.0, 48]", "64", "null"],
    ),
    "synth.steps": COUNT,
    "synth.batch_size": COUNT,
    "synth.width": (["4", "512"], ["3", "513", "64.0", "null"]),
    "synth.latent": (["1", "4096"], ["0", "4097", "1.0", "null"]),
    "synth.condition": (["projection", "concat"], ["none", "null"]),
    "synth.upsample": (["transposed", "resize"], ["bilinear", "null"]),
    "synth.lr_generator": KEPT,
    "synth.lr_critic": KEPT,
    "synth.beta1": ([*BELOW_ONE[0], "auto"], BELOW_ONE[1]),
    "synth.beta2": ([*BELOW_ONE[0], "auto"], BELOW_ONE[1]),
    "synth.ema": BELOW_ONE,
    "synth.augment": (
        ["[]", "[colour]", "[cutout, colour, translation]"],
        ["[color]", "[colour, colour]", "flip", "[[colour]]", "null"],
    ),
    "synth.real_label": KEPT,
    "synth.label_noise": BELOW_ONE,
    "synth.label_flips": BELOW_ONE,
    "synth.instance_noise": UP_TO_A_MILLION,
    "synth.dropout": BELOW_ONE,
    "synth.penalty": UP_TO_A_MILLION,
    "synth.critic_steps": (["1", "100"], ["0", "101", "1.0", "null"]),
    "synth.critic_norm": (["layer", "instance", "none"], ["batch", "null"]),
    "synth.network": (["resnet", "unet"], ["vit", "null"]),
    "synth.blocks": (["1", "16"], ["0", "17", "9.0", "null"]),
    "synth.padding": (["reflect", "zero"], ["replicate", "null"]),
    "synth.pool": (["0", "10000"], ["-1", "10001", "1.0", "null"]),
    "synth.cycle": UP_TO_A_MILLION,
    "synth.identity": UP_TO_A_MILLION,
    "synth.decay_share": SHARE,
    "synth.sheet_steps": COUNT,
    "synth.per_class": ([*COUNT[0], "auto"], [*COUNT[1], "Auto"]),
    "synth.copy_quantile": SHARE,
    "synth.agree": FLAG,
    "synth.weight": POSITIVE,
    "device.type": (["auto", "cpu", "cuda", "mps"], ["gpu", "cuda:0", "null"]),
    "device.precision": (["auto", "fp32", "bf16", "fp16"], ["32", "float32", "null"]),
    "device.memory_format": (["auto", "channels_last", "contiguous"], ["nhwc", "true", "null"]),
    "device.compile": (["auto", "on", "off"], ["true", "yes", "null"]),
    "device.threads": (["1", "1024", "auto"], ["0", "1025", "1.0", "true", "all", "null"]),
    "device.augment": (["auto", "host", "device"], ["gpu", "true", "null"]),
    "device.workers": (["0", "256", "null"], ["-1", "257", "2.0", "true"]),
}
OK = [(key, value) for key, (good, _) in BOUNDS.items() for value in good]
BAD = [(key, value) for key, (_, bad) in BOUNDS.items() for value in bad]


def leaf(cfg: Config, key: str) -> Any:
    """Return one value by its dotted key, as plain data."""
    value: Any = cfg.model_dump(mode="json")
    for name in key.split("."):
        value = value[name]
    return value


def refused(*overrides: str, path: Path | list[Path] | None = None) -> ConfigError:
    """Return the error of a configuration that must be refused; its message has the house form."""
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    lines = str(caught.value).split("\n")
    assert len(lines) <= 6
    assert "pydantic" not in str(caught.value)
    return caught.value
