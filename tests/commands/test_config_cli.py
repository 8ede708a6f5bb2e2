"""maskcls config: options listed, configurations resolved, a schema for editors; and --config in other verbs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from project import SHIPPED
from tiny import RECIPE, train

from maskcls import cli, config
from maskcls.commands.config.list import list_options
from maskcls.commands.config.schema import editor_schema
from maskcls.config.yaml12 import read_yaml
from maskcls.errors import Exit
from maskcls.schema import Config


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run `maskcls config …` and return its stdout."""

    def call(*words: str, code: Exit = Exit.OK) -> str:
        assert cli.run_app(["config", *words]) == code
        return capsys.readouterr().out

    return call


# --- list


def keys(wanted: str | None) -> list[str]:
    return [option.key for section in list_options(wanted) for option in section.options]


def test_all_options_are_listed_within_80_columns(run: Callable[..., str]) -> None:
    text = run("list")
    assert max(map(len, text.splitlines())) <= 80
    assert [key for key in keys(None) if f"\n  {key}  (" not in f"\n{text}"] == []
    assert len(keys(None)) == 185


def test_an_option_is_printed_with_default_values_and_description(run: Callable[..., str]) -> None:
    assert run("list", "optim.lr").splitlines() == [
        "optim: The optimizer. Weight decay leaves out biases and the parameters of",
        "normalisation layers.",
        "",
        "  optim.lr  (default 0.0003)",
        "    number above 0",
        "    Highest learning rate of the schedule.",
    ]
    assert "  tasks[].name  (must be given)" in run("list", "tasks")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("seed", ["seed"]),
        ("average", ["average.kind", "average.decay", "average.power", "average.start", "average.soup"]),
        ("train.continue", ["train.continue_epochs", "train.continue_rows", "train.continue_lr_share"]),
        ("tasks", ["tasks", "tasks[].name", "tasks[].classes", "tasks[].bins"]),
        ("lookahead", ["optim.name"]),
        ("CutMix", ["mix.kind", "mix.alpha"]),
    ],
)
def test_a_prefix_or_a_word_selects(wanted: str, expected: list[str]) -> None:
    assert keys(wanted) == expected


def test_what_matches_nothing_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_app(["config", "list", "otpim"]) == Exit.USAGE
    assert "did you mean 'optim'?" in capsys.readouterr().err
    assert cli.run_app(["config", "list", "qqqq"]) == Exit.USAGE
    assert "maskcls config list" in capsys.readouterr().err


def test_the_list_as_json(run: Callable[..., str]) -> None:
    data = json.loads(run("list", "--json"))
    assert data["version"] == 1
    assert [option["key"] for option in data["options"]] == keys(None)
    options = {option["key"]: option for option in data["options"]}
    assert options["optim.clip_norm"] == {
        "key": "optim.clip_norm",
        "section": "optim",
        "help": "Largest norm of the gradient of a step; longer gradients are scaled down. Null: no limit.",
        "allowed": "number above 0, or null",
        "choices": [],
        "required": False,
        "default": 5.0,
    }
    assert options["device.type"]["choices"] == ["auto", "cpu", "cuda", "mps"]
    assert options["train.fold_jobs"]["choices"] == ["auto"]
    assert (options["seed"]["section"], options["tasks[].name"]["required"]) == (None, True)


def test_the_page_is_the_whole_page(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--json"], ["optim"]):
        assert cli.run_app(["config", "list", "--markdown", *words]) == Exit.USAGE
        assert "the whole page" in capsys.readouterr().err


# --- show


def test_every_value_is_shown_with_its_origin(
    run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("base: tiny_cpu\ntransforms: {preset: faces}\n")
    monkeypatch.chdir(tmp_path)
    words = ("--config", "multi", "--config", "mine.yaml", "seed=7")
    shown = run("show", *words).splitlines()
    assert max(map(len, shown)) <= 100  # the long value of `tasks` moves no origin out of sight
    rows = {line.split()[0]: line.split()[1:] for line in shown if line[:1].strip()}
    assert rows["setting"] == ["value", "origin"]
    assert rows["seed"] == ["7", "command", "line"]
    assert rows["model.backbone"] == ['"test_resnet"', "tiny_cpu.yaml"]
    assert rows["model.drop"] == ["0.2", "multi.yaml"]
    assert rows["transforms.blur"] == ["0.0", "preset", "faces"]
    assert rows["device.type"] == ['"auto"', "default"]
    data = json.loads(run("show", "--json", *words))
    cfg, origins = config.load([Path("multi"), Path("mine.yaml")], ["seed=7"])
    assert data == {"version": 1, "config": cfg.model_dump(mode="json"), "origins": config.with_backbone(cfg, origins)}
    assert set(origins) <= set(rows)


def test_the_yaml_is_a_file_for_config(run: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "whole.yaml"
    path.write_text(run("show", "--yaml", "-c", "faces_best", "transforms.preset=light", "optim.betas=[0.5, 0.6]"))
    expected = config.load(Path("faces_best"), ["transforms.preset=light", "optim.betas=[0.5, 0.6]"])[0]
    assert config.load(path)[0] == expected
    assert "base" not in read_yaml(path)
    assert "preset" not in read_yaml(path)["transforms"]


def test_yaml_and_json_are_one_or_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_app(["config", "show", "--yaml", "--json"]) == Exit.USAGE
    assert "give one of them" in capsys.readouterr().err


def test_settings_without_effect_are_reported_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_app(["config", "show", "mix.alpha=2"]) == Exit.OK
    out, err = capsys.readouterr()
    assert err == "mix.alpha has no effect: mix.kind is none\n"
    assert "has no effect" not in out


# --- schema


def conforms(value: Any, node: dict[str, Any], schema: dict[str, Any], place: str = "") -> list[str]:
    """Check a value against the names and types of a JSON schema; returns the places that do not conform."""
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    if "anyOf" in node:
        found = [conforms(value, part, schema, place) for part in node["anyOf"]]
        return [] if any(not bad for bad in found) else [place]
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    kind = node.get("type")
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in ("number", "integer") and not (numeric and (kind == "number" or isinstance(value, int))):
        return [place]
    if kind in kinds and not isinstance(value, kinds[kind]):
        return [place]
    if "enum" in node and value not in node["enum"]:
        return [place]
    bad: list[str] = []
    for name, child in value.items() if kind == "object" else ():
        if name in node.get("properties", {}):
            bad += conforms(child, node["properties"][name], schema, f"{place}.{name}")
        elif node.get("additionalProperties") is False and "." not in name:
            bad.append(f"{place}.{name}")
    return bad


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_conform_to_the_schema(path: Path) -> None:
    assert conforms(read_yaml(path), editor_schema(), editor_schema()) == []


def test_the_schema_refuses_what_maskcls_refuses_and_knows_base() -> None:
    def bad(data: dict[str, Any]) -> list[str]:
        return conforms(data, editor_schema(), editor_schema())

    assert bad({"base": "multi", "optim": {"lr": 1}, "transforms": {"preset": "faces"}, "loss": {"age": "ce"}}) == []
    assert bad({"base": 3, "optm": {}, "optim": {"lrr": 1, "lr": "x"}}) == [".base", ".optm", ".optim.lrr", ".optim.lr"]


def test_the_schema_is_printed_with_every_description(run: Callable[..., str]) -> None:
    schema = json.loads(run("schema"))
    assert schema == editor_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == {"base", *Config.model_fields}
    lr = schema["$defs"]["OptimConfig"]["properties"]["lr"]
    assert (lr["description"], lr["default"], lr["exclusiveMinimum"]) == (
        "Highest learning rate of the schedule.",
        3e-4,
        0,
    )
    (pattern,) = schema["patternProperties"]
    assert pattern.startswith("^(data|folds|")


# --- --config in other verbs


def test_train_takes_several_files_and_is_named_after_the_last(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text("base: more.yaml\nseed: 7\n")
    (tmp_path / "more.yaml").write_text("folds: {k: 3}\n")
    monkeypatch.chdir(tmp_path)
    words = ["train", str(drawn), "--config", "tiny_cpu", "--config", "mine.yaml", "--dry-run", "--folds", "0"]
    # One way to compute: the dry run times each of several for seconds.
    one_way = [word for word in RECIPE if word.startswith("device.")]
    assert cli.run_app([*words, *one_way]) == Exit.OK
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line[:1].strip()}
    assert rows["seed"] == ["7", "mine.yaml"]
    assert rows["folds.k"] == ["3", "more.yaml"]
    assert rows["model.backbone"] == ['"test_resnet"', "tiny_cpu.yaml"]
    assert rows["run"][:2] == ["folder:", "runs/mine"]


def test_the_configuration_of_a_run_is_whole(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: tiny_cpu\nschedule: {warmup_epochs: 0}\n")
    run = tmp_path / "run"
    assert train(drawn, run, "--folds", "0", "--config", str(tmp_path / "mine.yaml"), "train.epochs=1") == Exit.OK
    written = read_yaml(run / "config.yaml")
    assert "base" not in written
    assert set(written) == set(Config.model_fields)
    assert (written["schedule"]["warmup_epochs"], written["average"]["decay"]) == (0, 0.95)
