"""Every option and its bounds; where values come from; how a wrong one is reported."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from effort import python_calls
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from maskcls.config import (
    MEMBER_SECTIONS,
    SHARED,
    find,
    flatten,
    load,
    members,
    parse_override,
    put,
    to_yaml,
    validate,
)
from maskcls.errors import ConfigError, MaskclsError, UsageError
from maskcls.faults import EXPECTED
from maskcls.labels import CONTEST
from maskcls.schema import Config, TaskConfig
from maskcls.yaml12 import parse_yaml

# The surface: an option that appears, disappears or changes its name fails here.
FIELDS = {
    "data": ("format", "fixes", "pseudo", "leaky", "cache"),
    "folds": ("k", "holdout", "seed", "stratify"),
    "model": ("heads", "backbone", "pretrained", "weights", "drop", "drop_samples", "drop_path"),
    "transforms": (
        *("crop", "size", "hflip", "geometry", "shift", "scale", "rotate_deg", "colour", "brightness", "contrast"),
        *("cutout", "cutout_size", "gray", "clahe", "sharpen", "blur", "mean", "std"),
        *("crop_centre", "saturation", "hue", "zoom", "zoom_share", "randaugment", "randaugment_magnitude"),
        *("erasing", "erasing_boxes", "erasing_area", "erasing_fill", "grid_dropout", "grid_unit", "grid_ratio"),
    ),
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
        "patience",
        "stages",
        "seeds",
        "refit",
        "continue_epochs",
        "continue_rows",
        "continue_lr_share",
        "fold_jobs",
    ),
    "predict": ("views", "networks", "groups", "batch_size"),
    "device": ("type", "precision", "memory_format", "compile", "threads", "augment", "workers"),
}
KEYS = frozenset(
    {"seed", "tasks", "separate"} | {f"{section}.{name}" for section in FIELDS for name in FIELDS[section]}
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
FLAG = (["true", "False"], ["no", "yes", "on", "1", "0", "'true'", "null"])
TEXT_OR_NULL = (["x", "010", "null"], ["''", "3", "true", "[x]"])
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
    "train.continue_rows": ["train.continue_epochs=1"],
    "train.continue_lr_share": ["train.continue_epochs=1"],
    "age.fine_bins": ["age.head=ordinal"],
    "predict.networks": ["train.refit=true", "train.continue_epochs=1"],
    "train.stages": ["train.epochs=1000000"],
    "optim.freeze_epochs": ["train.epochs=1000000"],
}

# key -> values on and inside its bounds, values beyond them
BOUNDS: dict[str, tuple[list[str], list[str]]] = {
    "seed": SEED,
    "tasks": (GOOD_TASKS, BAD_TASKS),
    "separate": (["{}"], ["null", "3", "[]", "{age: 3}", "{age: null}", "{age: {model.drop: 0}}", "{agee: {}}"]),
    "data.format": (["contest", "table"], ["csv", "Table", "null", "3"]),
    "data.fixes": TEXT_OR_NULL,
    "data.pseudo": TEXT_OR_NULL,
    "data.leaky": FLAG,
    "data.cache": (["auto", "on", "off"], ["true", "yes", "null"]),
    "folds.k": (["1", "100"], ["0", "101", "5.0", "true", "null"]),
    "folds.holdout": INSIDE,
    "folds.seed": SEED,
    "folds.stratify": (["null", "[]", "[age, mask]"], ["[agee]", "age", "[1]", "[null]"]),
    "model.heads": (["joint", "multi", "separate"], ["single", "null", "[multi]"]),
    "model.backbone": (["resnet34", "n"], ["''", "null", "18", "[resnet18]"]),
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
    "transforms.mean": (["[0, 1, 0.5]"], ["[0, 1, 1.01]", "[-0.01, 0, 0]", "[0, 0]", "[0, 0, 0, 0]", "0.5", "null"]),
    "transforms.std": (["[1e-9, 1, 9]"], ["[0, 1, 1]", "[1, 1, .inf]", "[1, 1]", "[1, 1, 1, 1]", "1", "null"]),
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
    "train.epochs": COUNT,
    "train.batch_size": COUNT,
    "train.accumulate": ([*COUNT[0], "auto"], [*COUNT[1], "Auto"]),
    "train.patience": COUNT_OR_NULL,
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
    "train.fold_jobs": (["1", "64", "auto"], ["0", "65", "1.0", "true", "all", "null"]),
    "predict.views": (
        ["none", "hflip", "zoom", "hflip_zoom", "shifts", "plain+up"],
        ["hflp", "null", "1", "up+up"],
    ),
    "predict.batch_size": COUNT,
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


def fault(*overrides: str, path: Path | None = None) -> ConfigError:
    """Return the error of a configuration that must be refused; its message has the house form."""
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    lines = str(caught.value).split("\n")
    assert len(lines) <= 6
    assert "pydantic" not in str(caught.value)
    return caught.value


@pytest.fixture
def yaml_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a configuration file and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "exp.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


# --- surface and bounds


def test_the_options_are_the_written_ones() -> None:
    assert len(KEYS) == 117
    assert set(flatten(Config().model_dump(mode="json"))) == KEYS
    assert set(TaskConfig.model_fields) == {"name", "classes", "bins"}


def test_every_option_has_a_row_in_the_table_of_bounds() -> None:
    assert set(BOUNDS) == KEYS
    assert all(good and bad for good, bad in BOUNDS.values())
    assert (len(OK), len(BAD)) == (295, 633)


def bounds_of(node: dict[str, Any], root: dict[str, Any], key: str = "") -> Iterator[tuple[str, str, float]]:
    """Yield (key, kind of bound, number) for every number in a JSON schema that limits a value."""
    if "$ref" in node:
        node = root["$defs"][node["$ref"].rpartition("/")[2]]
    for kind in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if kind in node:
            yield key, kind, node[kind]
    for name, child in node.get("properties", {}).items():
        yield from bounds_of(child, root, f"{key}.{name}".strip("."))
    for child in (*node.get("anyOf", ()), *node.get("prefixItems", ()), *filter(None, [node.get("items")])):
        if isinstance(child, dict):
            yield from bounds_of(child, root, key)


def test_the_table_stands_on_every_bound_of_the_schema() -> None:
    schema = Config.model_json_schema()
    seen = 0
    for key, kind, number in bounds_of(schema, schema):
        row = "tasks" if key.startswith("tasks") else key
        good, bad = (json.dumps([parse_yaml(text, where="") for text in column]) for column in BOUNDS[row])
        # A bound that belongs to the range is accepted, one that does not is refused.
        assert f"{number:g}" in numbers_in(bad if kind.startswith("exclusive") else good), (key, kind, number)
        seen += 1
    assert seen == 171


def numbers_in(text: str) -> set[str]:
    """Return every number in a text, in one spelling."""
    return {f"{float(n):g}" for n in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", text)}


@pytest.mark.parametrize("key", BOUNDS)
def test_values_on_the_bounds_are_accepted_as_they_are(key: str) -> None:
    for value in BOUNDS[key][0]:
        cfg, origins = load(None, [*COMPANIONS.get(key, ()), f"{key}={value}"])
        got, expected = leaf(cfg, key), parse_yaml(value, where="")
        if key == "tasks":
            expected = [{"bins": [], **task} for task in expected]
        assert got == expected, value
        assert origins[key] == "command line"


@pytest.mark.parametrize("key", BOUNDS)
def test_values_beyond_the_bounds_are_refused_by_name(key: str) -> None:
    for value in BOUNDS[key][1]:
        error = fault(*COMPANIONS.get(key, ()), f"{key}={value}")
        assert error.exit_code == 3
        assert key in f"{error.where} {error.expected}", value
        assert error.expected, value


def test_the_default_configuration_is_the_contest() -> None:
    cfg, origins = load(None)
    assert cfg == Config()
    assert cfg.space == CONTEST
    assert set(origins) == KEYS
    assert set(origins.values()) == {"default"}


def test_a_configuration_cannot_be_changed() -> None:
    cfg = Config()
    with pytest.raises(ValidationError):
        cfg.optim.lr = 1.0  # type: ignore[misc]


# --- YAML and overrides


def test_numbers_with_an_exponent_are_numbers_from_both_sides(yaml_file: Callable[[str], Path]) -> None:
    assert load(yaml_file("optim: {lr: 1e-3}"))[0].optim.lr == 0.001
    assert load(None, ["optim.lr=1e-3"])[0].optim.lr == 0.001


def test_origins_name_the_last_source_of_each_leaf(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file(
        "seed: 0\noptim: {lr: 1e-3, betas: [0.8, 0.9]}\nmodel: {heads: separate}\n"
        "separate: {age: {model.drop: 0.1, optim: {lr: 1e-5}}, mask: {train.epochs: 3}}"
    )
    cfg, origins = load(path, ["optim.lr=2", "separate.age.optim.lr=3", "folds={k: 2}"])
    theirs = {key: origin for key, origin in origins.items() if origin != "default"}
    assert theirs == {
        "seed": "exp.yaml",  # given, though equal to the default
        "optim.lr": "command line",
        "optim.betas": "exp.yaml",
        "folds.k": "command line",
        "model.heads": "exp.yaml",
        "separate.age.model.drop": "exp.yaml",
        "separate.age.optim.lr": "command line",
        "separate.mask.train.epochs": "exp.yaml",
    }
    assert (cfg.optim.lr, cfg.separate["age"]["optim"]["lr"], cfg.folds.k) == (2, 3, 2)


def test_a_section_is_merged_and_the_later_override_wins(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("optim: {lr: 0.5, weight_decay: 0.25}")
    cfg, origins = load(path, ["optim={lr: 1e-3}", "optim={}", "optim.layer_decay=1", "optim={layer_decay: 0.5}"])
    assert (cfg.optim.lr, cfg.optim.weight_decay, cfg.optim.layer_decay) == (0.001, 0.25, 0.5)
    assert [origins[f"optim.{k}"] for k in ("lr", "weight_decay", "layer_decay")] == [
        "command line",
        "exp.yaml",
        "command line",
    ]


def test_lists_are_replaced_whole() -> None:
    assert load(None, ["optim.betas=[0.1, 0.2]"])[0].optim.betas == (0.1, 0.2)
    assert load(None, [f"tasks=[{TASK}]"])[0].space.names == ("t",)


def test_dotted_keys_mean_the_same_in_a_file(yaml_file: Callable[[str], Path]) -> None:
    assert load(yaml_file("optim.lr: 3\noptim: {betas: [0, 0]}"))[0].optim.lr == 3


@pytest.mark.parametrize(
    "text",
    [
        "optim.lr: 3\noptim: {lr: 4}",
        "optim: {lr: 4}\noptim.lr: 3",
        "separate: {age: {model.drop: 0.1, model: {drop: 0.2}}}",
    ],
)
def test_a_key_given_dotted_and_nested_stands_twice(yaml_file: Callable[[str], Path], text: str) -> None:
    path = yaml_file(text)
    error = fault(path=path)
    assert error.what == "a key stands twice"
    assert str(error.where).startswith(f"{path}: ")


def test_the_command_line_wins_over_a_dotted_key_wherever_it_stands(yaml_file: Callable[[str], Path]) -> None:
    # The nested section comes first here, the dotted key second: the override must not depend on that.
    path = yaml_file("model: {heads: separate}\nseparate: {age: {model: {drop_path: 0.1}, model.drop: 0.2}}")
    cfg, _ = load(path, ["separate.age.model.drop=0.3"])
    assert members(cfg)["age"].model.drop == 0.3
    assert members(cfg)["age"].model.drop_path == 0.1


@pytest.mark.parametrize("text", ["", "=", "=3", "seed", "seed:3", ".=3", "optim..lr=3", "optim.=3", ".lr=3"])
def test_what_is_no_override_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match=r"dotted\.key=value"):
        load(None, [text])


def test_an_override_may_contain_equals_signs_and_be_null() -> None:
    assert parse_override("model.weights=a=b.pt") == ("model.weights", "a=b.pt")
    assert parse_override("average.decay=") == ("average.decay", None)


@pytest.mark.parametrize(
    ("overrides", "what", "where"),
    [
        (["seed=1", "seed.x=2"], "this key has no parts", "command line: seed.x"),
        (["optim.lr=1", "optim.lr={x: 2}"], "this key has no parts", "command line: optim.lr.x"),
        (["optim.lr=1", "optim=3"], "this key is a section", "command line: optim"),
        (["a." * 33 + "b=1"], "this key has too many parts", "command line: " + "a." * 33 + "b"),
        (["model={heads: separate}", "separate={age: {optim.lr.x: 2}}"], "this key has no parts", None),
    ],
)
def test_keys_that_pass_through_a_value_or_replace_a_section(
    overrides: list[str], what: str, where: str | None
) -> None:
    error = fault(*overrides)
    assert (error.what, error.where) == (what, where or "command line: separate.age.optim.lr.x")


def test_put_makes_the_way_and_leaves_sections_alone() -> None:
    data: dict[str, Any] = {"a": {"b": 1}}
    put(data, "a.c.d", [1])
    put(data, "a", {})
    put(data, "e", {})
    assert data == {"a": {"b": 1, "c": {"d": [1]}}, "e": {}}


def test_a_file_with_no_settings_at_all_is_refused(yaml_file: Callable[[str], Path]) -> None:
    assert "mapping" in fault(path=yaml_file("")).what


# --- messages

VIEWS = (
    "one of none, hflip, zoom, hflip_zoom, shifts, or different ones of "
    "plain, flip, zoomed, flip_zoomed, up, down, left, right joined by +"
)


@pytest.mark.parametrize(
    ("override", "expected", "fix"),
    [
        ("predict.views=hflp", f"{VIEWS} ('hflp' looks like 'hflip')", None),
        ("predict.views=HFLIP", f"{VIEWS} ('HFLIP' looks like 'hflip')", None),
        ("predict.view=hflip", "one of batch_size, groups, networks, views", "did you mean 'views'?"),
        ("optim.clip_norm=off", "a number or null", None),
        ("optim.momentum=1", "less than 1.0 or null", None),
        ("train.epochs=0", "at least 1", None),
        ("train.epochs=3.0", "a whole number", None),
        ("model=resnet18", "a section", None),
        ("model.weights=3", "text or null", None),
        ("transforms.size=96", "a list", None),
        ("transforms.crop=0.9", "a list", None),
        ("lr=3", None, "did you mean 'optim.lr'?"),
        ("optm.lr=3", None, "did you mean 'optim'?"),
        ("tasks=[{name: t, classes: [a, b], binz: [1]}]", "one of bins, classes, name", "did you mean 'bins'?"),
        ("tasks=[]", "a list of at least 1", None),
        ("tasks=[{name: t}]", "a value", None),
        ("transforms.size=[96]", "a value", None),
        # A type with two alternatives is one fault, which names both.
        ("device.threads=two", "auto or a whole number", None),
        ("device.threads=0", "auto or at least 1", None),
        ("train.fold_jobs=65", "auto or at most 64", None),
        ("train.accumulate=Auto", "auto or a whole number", "did you mean 'auto'?"),
    ],
)
def test_messages_say_what_to_write_instead(override: str, expected: str | None, fix: str | None) -> None:
    error = fault(override)
    assert error.what == "a setting is wrong"
    assert error.fix == fix
    assert expected is None or error.expected == expected


def test_pydantic_s_own_words_are_never_needed() -> None:
    kinds = set()
    for key, value in BAD:
        try:
            Config.model_validate_json(json.dumps(nested(key, parse_yaml(value, where=""))))
        except ValidationError as error:
            kinds |= {e["type"] for e in error.errors()}
    worded = {"extra_forbidden", "value_error", "literal_error"}
    assert kinds - worded == set(EXPECTED)  # each sentence is used, and no other is missing


def nested(key: str, value: Any) -> dict[str, Any]:
    data: dict[str, Any] = {}
    put(data, key, value)
    return data


def test_one_wrong_item_is_one_fault() -> None:
    error = fault("tasks=[{name: age, classes: [a, b, c], binz: [30, 60]}]")
    assert error.where == "command line: tasks.0.binz"
    assert error.offenders == ()


def test_all_faults_are_reported_at_once_each_with_its_place(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("optim: {lr: fast, clip_norm: 0}\nzzz: 1")
    alone = fault(path=path)
    assert alone.where == str(path)
    assert alone.offenders == (
        'optim.lr: expected a number, got "fast"',
        "optim.clip_norm: expected more than 0.0 or null, got 0",
        "zzz: expected one of age, average, balance, data, device, folds, loss, mix, model, optim, predict, sampler, "
        "schedule, seed, separate, tasks, train, transforms, got an unknown key",
    )
    both = fault("model.drop=1", "optim.clip_norm=-1", path=path)
    assert both.what == "4 settings are wrong"
    assert both.where == f"{path} and command line"
    assert [line.partition(" expected")[0] for line in both.offenders] == [
        "command line: model.drop:",
        "optim.lr:",
        "command line: optim.clip_norm:",
        "zzz:",
    ]


def test_a_fault_says_which_source_it_stands_in(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("seed: 3")
    assert fault("nonsense.x=1", path=path).where == "command line: nonsense"
    assert fault("tasks=[{name: t}]", path=path).where == "command line: tasks.0.classes"
    path = yaml_file("nonsense: {x: 1}")
    assert fault("seed=3", path=path).where == f"{path}: nonsense"


def test_long_values_are_cut() -> None:
    assert len(str(fault("optim.lr=" + "x" * 5000))) < 200
    assert len(str(fault("optim.lr=1", "optim=" + "x" * 5000))) < 200
    with pytest.raises(UsageError) as caught:
        load(None, ["x" * 5000])
    assert len(str(caught.value)) < 200


CONTRADICTIONS: dict[str, tuple[list[str], str]] = {
    "names": ([f"tasks=[{TASK}, {TASK}]"], "tasks that all have different names"),
    "joint": (
        [f"tasks=[{', '.join(f'{{name: t{i}, classes: [a, b]}}' for i in range(14))}]"],
        "joint classes, not 16384",
    ),
    "weights": (["model.pretrained=true", "model.weights=a"], "only one of model.pretrained and model.weights"),
    "warmup": (["train.epochs=2", "schedule.warmup_epochs=2.5"], "warmup_epochs (2.5) within train.epochs (2)"),
    "stages": (["train.epochs=2", "train.stages=[[2, 0.5], [1, 0.7]]"], "train.stages of at most train.epochs (2)"),
    "nobody": (["predict.networks=all"], "train.refit=true with predict.networks=all"),
    "going on": (
        ["train.continue_rows=valid"],
        "train.continue_epochs above 0 with train.continue_rows or train.continue_lr_share",
    ),
    "nobody went on": (
        ["predict.networks=continued"],
        "train.continue_epochs above 0 with predict.networks=continued",
    ),
    "leak of nothing": (["data.leaky=true"], "data.pseudo with data.leaky=true"),
    "frozen": (["train.epochs=2", "optim.freeze_epochs=2"], "optim.freeze_epochs (2) below train.epochs (2)"),
    "heads of losses": (["loss.agee=focal"], "loss with all, or names of heads (mask, gender, age), not agee"),
    "joint loss": (["loss.joint=focal"], "names of heads (mask, gender, age), not joint"),
    "f1 in pieces": (["loss.age=ce+f1", "train.accumulate=2"], "train.accumulate=1 with the f1 loss"),
    "f1 of mixtures": (["loss.all=f1", "mix.kind=cutmix"], "mix.kind=none or mix.partner=same with the f1 loss"),
    "balance names": (["balance.weights={agee: 2}"], "balance.weights with names of heads only"),
    "balance of one": (["model.heads=joint", "balance.learned=true"], "balance only with several heads on one trunk"),
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
    "own spread": (["age.head=normal", "age.spread=2"], "age.spread without age.head=normal"),
    "own loss": (["age.head=ordinal", "loss.age=focal"], "no loss.age with age.head=ordinal"),
    "given itself": (["age.given=age"], "age.given with the name of another task than age"),
    "given apart": (["model.heads=separate", "age.given=mask"], "model.heads=multi with age.given"),
    "group": (["sampler.by=agee"], "sampler.by = joint, person or a task (mask, gender, age), not agee"),
    "group apart": (["model.heads=separate", "sampler.by=age"], "sampler.by = joint (which is a network's own task)"),
    "ratio": (["mix.ratio=[0.6, 0.5]"], "mix.ratio from the smaller to the larger"),
    "no mix": (["mix.partner_classes={age: ['>=60']}"], "because mix.partner_classes is set"),
    "partner task": (["mix.kind=mixup", "mix.partner_classes={agee: [x]}"], "with names of tasks (mask, gender, age)"),
    "partner class": (["mix.kind=mixup", "mix.partner_classes={age: [old]}"], "with classes of it (<30, 30-59, >=60)"),
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
    "strata": (["folds.stratify=[agee]"], "folds.stratify with names of tasks only (mask, gender, age)"),
    "heads": (["separate.age.model.drop=0"], "model.heads=separate, because separate is set"),
    "members": (["model.heads=separate", "separate.agee.model.drop=0"], "separate with names of tasks only"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_named(name: str) -> None:
    overrides, expected = CONTRADICTIONS[name]
    error = fault(*overrides)
    assert error.what == "settings contradict each other"
    assert expected in str(error.expected)


def test_all_contradictions_are_reported_at_once() -> None:
    assert len(CONTRADICTIONS) == 43
    error = fault("train.epochs=1", "schedule.warmup_epochs=2", "train.batch_size=1", "train.accumulate=2")
    assert "schedule.warmup_epochs" in str(error.expected)
    assert "train.accumulate" in str(error.expected)


@pytest.mark.parametrize("change", ["gray", "clahe", "sharpen", "blur", "randaugment"])
def test_a_change_of_the_host_alone_is_never_asked_of_the_device(change: str) -> None:
    assert "device.augment=host" in str(fault("device.augment=device", f"transforms.{change}=1").expected)
    for other in ([f"transforms.{change}=1"], [f"transforms.{change}=1", "device.augment=host"]):
        assert leaf(load(None, other)[0], f"transforms.{change}") == 1
    assert load(None, ["device.augment=device", f"transforms.{change}=0"])[0].device.augment == "device"


@pytest.mark.parametrize("value", ['"\\ud800"', "[.nan]"])
def test_data_that_json_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(ConfigError):
        load(None, [f"model.backbone={value}"])
    with pytest.raises(ConfigError, match="not plain data") as caught:
        validate({"model": {"backbone": object()}}, where="here")
    assert caught.value.where == "here"


@pytest.mark.parametrize(
    ("key", "value", "rest"),
    [
        ("mix.partner_classes", "{age: ['>=60']}", ["mix.kind=halves"]),
        ("balance.weights", "{age: 2}", []),
        ("separate", "{age: {optim: {lr: 9}}}", ["model.heads=separate"]),
    ],
)
def test_a_section_of_any_names_can_be_emptied(tmp_path: Path, key: str, value: str, rest: list[str]) -> None:
    """An override stands above what a file says, also where it says nothing any more."""
    before = load(None, [*rest, f"{key}={value}"])[0]
    (tmp_path / "a.yaml").write_text(to_yaml(before))
    assert load(tmp_path / "a.yaml")[0] == before
    assert load(tmp_path / "a.yaml", [f"{key}={{}}"])[0] == load(None, rest)[0] != before


def test_a_folder_does_not_hide_a_shipped_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "multi").mkdir()
    assert find(Path("multi")).name == "multi.yaml"


# --- members


def test_joint_and_multi_are_one_network() -> None:
    for heads in ("joint", "multi"):
        cfg = load(None, [f"model.heads={heads}"])[0]
        assert members(cfg) == {"": cfg}


def test_separate_heads_are_one_single_task_network_a_task() -> None:
    cfg, _ = load(None, ["model.heads=separate", "folds.stratify=[gender]", "seed=7", "optim.lr=0.5"])
    found = members(cfg)
    assert list(found) == ["mask", "gender", "age"]
    for name, member in found.items():
        assert member.space == CONTEST.only([name])
        assert (member.model.heads, member.separate, member.seed, member.optim.lr) == ("multi", {}, 7, 0.5)
        assert members(member) == {"": member}


@pytest.mark.parametrize(
    "overrides",
    [
        ["separate.age.model.drop=0.5", "separate.age.optim.lr=9"],
        ["separate={age: {model: {drop: 0.5}, optim: {lr: 9}}}"],
        ["separate={age: {model.drop: 0.5, optim.lr: 9}}"],
        ["separate.age={model.drop: 0.5, optim: {lr: 9}, train: {}}"],
    ],
)
def test_a_member_takes_its_own_settings_dotted_or_nested(overrides: list[str]) -> None:
    cfg, _ = load(None, ["model.heads=separate", *overrides])
    found = members(cfg)
    assert (found["age"].model.drop, found["age"].optim.lr) == (0.5, 9)
    for name in ("mask", "gender"):
        assert (found[name].model, found[name].optim) == (
            found["age"].model.model_copy(update={"drop": 0.0}),
            cfg.optim,
        )


def test_every_section_a_member_may_set_can_be_set() -> None:
    one_each = {
        "model.backbone": "x",
        "transforms.hflip": 0.25,
        "loss.all": "focal",
        "age.spread": 0.25,
        "sampler.power": 0.25,
        "mix.prob": 0.25,
        "optim.lr": 0.25,
        "schedule.gamma": 0.25,
        "average.power": 0.25,
        "train.epochs": 25,
    }
    assert [key.partition(".")[0] for key in one_each] == list(MEMBER_SECTIONS)
    cfg, _ = load(None, ["model.heads=separate", *(f"separate.age.{key}={value}" for key, value in one_each.items())])
    assert {key: leaf(members(cfg)["age"], key) for key in one_each} == one_each


FORBIDDEN = sorted(key for key in KEYS if key.partition(".")[0] not in MEMBER_SECTIONS or key in SHARED)


@pytest.mark.parametrize("key", [*FORBIDDEN, "nonsense"])
def test_settings_that_all_members_share_cannot_be_set_for_one(key: str) -> None:
    error = fault("model.heads=separate", f"separate.age.{key}=1")
    assert error.where == f"command line: separate.age.{key}"
    assert "tasks share all others" in str(error.expected)


def test_the_shared_settings_are_all_there() -> None:
    assert len(FORBIDDEN) == 30
    assert {"folds.k", "model.heads", "data.format", "data.fixes", "seed", "tasks", "separate"} <= set(FORBIDDEN)


def test_faults_of_all_members_are_reported_with_their_keys(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file(
        "model: {heads: separate}\nseparate: {mask: {model.dropp: 1, data.format: csv}, age: {optim.lr: x}}"
    )
    error = fault("separate.gender.schedule.warmup_epochs=100", path=path)
    assert [line.partition(" expected")[0] for line in error.offenders] == [
        "separate.mask.data.format:",
        "command line: separate.gender:",
        "separate.age.optim.lr:",
    ]


def test_a_preset_is_the_origin_of_its_settings(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("transforms: {preset: faces, cutout: 0.25}")
    origins = load(path, ["transforms.hflip=0"])[1]
    assert origins["transforms.brightness"] == origins["transforms.randaugment"] == "preset faces"
    assert (origins["transforms.cutout"], origins["transforms.hflip"]) == ("exp.yaml", "command line")
    assert origins["transforms.size"] == "default"
    assert set(origins) == KEYS


def test_a_preset_of_the_command_line_stands_above_the_file(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("transforms: {cutout: 0.25, crop: [0.9, 0.9], size: [64, 48]}")
    for words in (["transforms.preset=light"], ["transforms={preset: light}"]):
        cfg, origins = load(path, [*words, "transforms.hflip=0"])
        assert (cfg.transforms.cutout, cfg.transforms.hflip, cfg.transforms.crop) == (0, 0, (0.9, 0.9))
        assert origins["transforms.cutout"] == "preset light"
        assert (origins["transforms.hflip"], origins["transforms.crop"]) == ("command line", "exp.yaml")
    both = load(path, ["transforms.hflip=0", "transforms.preset=light"])[0]
    assert both.transforms.hflip == 0  # what stands beside a preset wins, before it or after
    assert "did you mean" in str(fault("transforms.preset=lite", path=path).fix)


def test_a_member_s_preset_stands_above_what_all_share(yaml_file: Callable[[str], Path]) -> None:
    given = ["model.heads=separate", "transforms.preset=faces", "transforms.crop=[0.9, 0.9]"]
    own = ["separate.age.transforms.preset=none", "separate.age.transforms.hflip=0.25"]
    cfg = load(None, [*given, *own])[0]
    found = members(cfg)
    assert (found["age"].transforms.cutout, found["age"].transforms.hflip) == (0, 0.25)
    assert found["age"].transforms.crop == (0.9, 0.9)
    assert found["mask"].transforms == found["gender"].transforms == cfg.transforms
    assert members(load(yaml_file(to_yaml(cfg)))[0]) == found
    assert "did you mean" in str(fault("model.heads=separate", "separate.age.transforms.preset=face").fix)


# --- properties

T = TypeVar("T")


def outcome(function: Callable[[], T]) -> T | MaskclsError:
    """Return the result, or the error with a message; any other exception fails the test."""
    try:
        return function()
    except MaskclsError as error:
        return error


def choose(keys: list[str]) -> st.SearchStrategy[list[str]]:
    """Draw overrides with accepted values for some of the keys."""
    pairs = st.sampled_from(keys).flatmap(
        lambda key: st.sampled_from(BOUNDS[key][0]).map(lambda value: f"{key}={value}")
    )
    return st.lists(pairs, max_size=8)


TEXT = st.text(st.characters(codec="utf-8"), min_size=1)


@settings(max_examples=40)
@given(choose(sorted(KEYS)), TEXT, st.lists(TEXT, min_size=2, max_size=4, unique=True), st.floats(1e-300, 1e300))
def test_a_resolved_configuration_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, overrides: list[str], text: str, classes: list[str], lr: float
) -> None:
    cfg = outcome(lambda: load(None, overrides)[0])
    if isinstance(cfg, MaskclsError):
        assert cfg.what == "settings contradict each other"  # the only fault that accepted values can make
        return
    data = cfg.model_dump(mode="json")
    data["data"]["fixes"], data["optim"]["lr"] = text, lr
    data["tasks"][0] = {"name": data["tasks"][0]["name"], "classes": classes, "bins": []}
    cfg = validate(data)
    path = tmp_path_factory.getbasetemp() / "resolved.yaml"
    path.write_text(to_yaml(cfg), encoding="utf-8")
    again, origins = load(path)
    assert again == cfg
    assert to_yaml(again) == to_yaml(cfg)
    assert set(origins.values()) == {"resolved.yaml"}


def test_separate_settings_are_read_back_equal(yaml_file: Callable[[str], Path]) -> None:
    cfg, _ = load(None, ["model.heads=separate", "separate={age: {model.drop: 0.5, optim: {betas: [0, 0.5]}}}"])
    assert load(yaml_file(to_yaml(cfg)))[0] == cfg


WORDS = st.sampled_from(
    [
        *KEYS,
        *(v for _, v in OK),
        *(v for _, v in BAD),
        "separate.age",
        "a.b.c",
        "=",
        ".",
        "{",
        "[",
        ": ",
        ", ",
        "\0",
        "\ud800",
    ]
)
OVERRIDE_LIKE = st.one_of(
    st.text(max_size=20),
    st.lists(WORDS, max_size=5).map("".join),
    st.tuples(st.sampled_from(sorted(KEYS)), st.text(max_size=10) | WORDS).map("=".join),
)


@settings(max_examples=120)
@given(st.lists(OVERRIDE_LIKE, max_size=4), st.booleans())
def test_any_overrides_give_a_configuration_or_a_message(overrides: list[str], separate: bool) -> None:
    got = outcome(lambda: load(None, [*["model.heads=separate"] * separate, *overrides]))
    if isinstance(got, MaskclsError):
        assert got.exit_code in (2, 3)
        assert len(str(got).split("\n")) <= 6
    else:
        assert set(got[1]) == set(flatten(got[0].model_dump(mode="json")))


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["age", "mask"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from([*sorted(KEYS), "age", "model", "lr", "", "."]), children, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from(sorted({k.partition(".")[0] for k in KEYS} | KEYS)) | st.text(max_size=5), VALUES)
)
def test_any_data_gives_a_configuration_or_a_config_error(data: dict[str, Any]) -> None:
    cfg = outcome(lambda: validate(data))
    if isinstance(cfg, MaskclsError):
        assert cfg.exit_code == 3
        assert len(str(cfg).split("\n")) <= 6
    else:
        assert validate(parse_yaml(to_yaml(cfg), where="")) == cfg


def test_twice_the_faults_are_twice_the_work(yaml_file: Callable[[str], Path]) -> None:
    def work(faults: int) -> int:
        path = yaml_file("".join(f"k{i}: 1\n" for i in range(faults)))
        assert len(fault(path=path).offenders) == faults
        return python_calls(lambda: outcome(lambda: load(path)))

    assert work(1600) < 2.1 * work(800)
