"""Configuration files: found by name, and built on each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from option_values import refused

from maskcls.config import find, load, members, to_yaml
from maskcls.errors import ConfigError


def test_a_folder_does_not_hide_a_shipped_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "multi").mkdir()
    assert find(Path("multi")).name == "multi.yaml"


@pytest.mark.parametrize("name", ["a" * 300, f"{'a' * 300}.yaml", f"{'a/' * 3000}b"])
def test_a_name_that_is_too_long_is_a_fault_of_the_configuration(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find(Path(name))
    assert (caught.value.where, "too long" in str(caught.value.got)) == ("--config", True)
    based = tmp_path / "b.yaml"
    based.write_text(f"base: {name}")
    with pytest.raises(ConfigError) as caught:
        load(based)
    assert (caught.value.where, "too long" in str(caught.value.got)) == (f"{based}: base", True)


@pytest.mark.parametrize("name", ["multi.yaml", "recipes/union.yaml", "multi.yml"])
def test_a_file_that_is_shipped_by_name_is_pointed_to(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        find(Path(name))
    assert str(caught.value.fix).endswith(f"--config {name.rpartition('.')[0]}")
    assert find(Path("absent.yaml")) == Path("absent.yaml")  # reading it is the error
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text("seed: 3")
    assert find(Path(name)) == Path(name)


# --- several files, and files built on each other


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Path]]:
    """Write configuration files into the current folder, `name="text"` to name.yaml; returns their paths in order."""
    monkeypatch.chdir(tmp_path)

    def write(**texts: str) -> list[Path]:
        for name, text in texts.items():
            Path(f"{name}.yaml").write_text(text, encoding="utf-8")
        return [Path(f"{name}.yaml") for name in texts]

    return write


def given(paths: list[Path] | Path, *overrides: str) -> dict[str, str]:
    """Return the origins of all values that are not defaults."""
    return {key: str(origin) for key, origin in load(paths, overrides)[1].items() if origin != "default"}


def test_of_several_files_the_later_one_wins(files: Callable[..., list[Path]]) -> None:
    a, b = files(a="seed: 1\noptim: {lr: 1e-3, weight_decay: 0.5}", b="seed: 2\noptim.lr: 2e-3\nfolds: {k: 3}")
    cfg, _ = load([a, b], ["folds.k=4"])
    assert (cfg.seed, cfg.optim.lr, cfg.optim.weight_decay, cfg.folds.k) == (2, 2e-3, 0.5, 4)
    assert load([b, a])[0].seed == 1
    assert given([a, b], "folds.k=4") == {
        "seed": "b.yaml",
        "optim.lr": "b.yaml",
        "optim.weight_decay": "a.yaml",
        "folds.k": "command line",
    }


def test_mappings_are_merged_and_lists_replaced(files: Callable[..., list[Path]]) -> None:
    low = (
        "model: {heads: separate}\nseparate: {mask: {train.epochs: 2}, age: {model.drop: 0.1}}\nloss: {age: focal}\n"
        "optim: {betas: [0.1, 0.2, 0.3]}\ntrain: {stages: [[1, 0.5], [1, 0.75]]}"
    )
    high = (
        "separate: {age: {model.drop: 0.3, optim.lr: 1}}\nloss: {mask: ce+f1}\noptim: {betas: [0.5]}\ntrain.stages: []"
    )
    cfg = load(files(a=low, b=high))[0]
    assert cfg.separate == {"mask": {"train": {"epochs": 2}}, "age": {"model": {"drop": 0.3}, "optim": {"lr": 1}}}
    assert cfg.loss.own == {"age": "focal", "mask": "ce+f1"}
    assert (cfg.optim.betas, cfg.train.stages) == ((0.5,), ())
    assert load(files(a=low, b="separate: {}"))[0].separate == {}


def test_a_base_is_below_the_file_that_names_it(files: Callable[..., list[Path]], tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "first.yaml").write_text("base: second.yaml\nseed: 1\ntrain: {epochs: 9}")
    (tmp_path / "below" / "second.yaml").write_text("seed: 5\nmodel: {drop: 0.5}\ntrain: {epochs: 8, batch_size: 8}")
    (top,) = files(top="seed: 2\nbase: below/first.yaml")
    cfg, _ = load(top)
    assert (cfg.seed, cfg.train.epochs, cfg.train.batch_size, cfg.model.drop) == (2, 9, 8, 0.5)
    assert given(top) == {
        "seed": "top.yaml",
        "train.epochs": "first.yaml",
        "train.batch_size": "second.yaml",
        "model.drop": "second.yaml",
    }
    assert "base:" not in to_yaml(cfg)
    assert load(tmp_path / "below" / "first.yaml")[0].seed == 1  # relative to the file, not to the current folder


def test_a_base_may_be_a_shipped_name(files: Callable[..., list[Path]]) -> None:
    (mine,) = files(mine="base: recipes/union\nseed: 3")
    shipped = load(find(Path("recipes/union")))[0]
    assert load(mine)[0] == shipped.model_copy(update={"seed": 3})
    assert given(mine)["optim.lr"] == "union.yaml"


def test_a_file_beside_it_wins_over_a_shipped_name_and_one_in_the_current_folder_does_not(
    files: Callable[..., list[Path]], tmp_path: Path
) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "mine.yaml").write_text("base: tiny_cpu")
    files(tiny_cpu="seed: 9")
    Path("tiny_cpu").write_text("seed: 8")  # read by --config tiny_cpu, but not beside below/mine.yaml
    assert load(tmp_path / "below" / "mine.yaml")[0].model.backbone == "test_resnet"
    (tmp_path / "below" / "tiny_cpu").write_text("seed: 7")
    assert load(tmp_path / "below" / "mine.yaml")[0].seed == 7


def test_a_base_of_several_files_is_applied_once_before_the_first(files: Callable[..., list[Path]]) -> None:
    _, a, b = files(
        shared="seed: 1\ntrain: {epochs: 5}", a="base: shared.yaml\nseed: 2", b="base: ./shared.yaml\nfolds: {k: 2}"
    )
    cfg, _ = load([a, b])
    assert (cfg.seed, cfg.train.epochs, cfg.folds.k) == (2, 5, 2)
    assert load([a, b, a, Path("shared.yaml")])[0].seed == 1  # a file that is given is applied where it is given


def test_files_of_one_name_are_told_apart_by_their_paths(files: Callable[..., list[Path]], tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "exp.yaml").write_text("seed: 1\nfolds: {k: 2}")
    (top,) = files(exp="base: below/exp.yaml\nseed: 2")
    assert given(top) == {"seed": "exp.yaml", "folds.k": "below/exp.yaml"}


@pytest.mark.parametrize(("start", "names"), [("a", ["a", "b", "c", "a"]), ("d", ["d", "b", "c", "a", "b"])])
def test_files_that_are_based_on_each_other_are_refused(
    files: Callable[..., list[Path]], start: str, names: list[str]
) -> None:
    files(a="base: b.yaml", b="base: c.yaml", c="base: a.yaml", d="base: b.yaml")
    error = refused(path=Path(f"{start}.yaml"))
    assert error.what == "configuration files are based on each other"
    assert error.got == " -> ".join(f"{name}.yaml" for name in names)
    assert "`base`" in str(error.fix)


def test_a_file_cannot_be_based_on_itself(files: Callable[..., list[Path]]) -> None:
    (path,) = files(a="base: ../here/a.yaml")
    path.parent.resolve().rename(path.parent.resolve().parent / "here")
    assert refused(path=Path("a.yaml")).got == "a.yaml -> ../here/a.yaml"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mutli", "did you mean 'multi'?"),
        ("absent.yaml", "an existing file"),
        ("3", "one path relative to this file, or a shipped name such as multi"),
        ("[a.yaml, b.yaml]", "one path relative to this file, or a shipped name such as multi"),
        ("null", "one path relative to this file, or a shipped name such as multi"),
        ("''", "one path relative to this file, or a shipped name such as multi"),
    ],
)
def test_a_base_that_does_not_exist_is_named_with_the_file(
    files: Callable[..., list[Path]], value: str, expected: str
) -> None:
    error = refused(path=files(a=f"base: {value}")[0])
    assert (error.where, error.fix or error.expected) == ("a.yaml: base", expected)


def test_a_base_on_the_command_line_is_answered_with_config(files: Callable[..., list[Path]]) -> None:
    error = refused("base=multi")
    assert error.where == "command line: base"
    assert "--config several times" in str(error.fix)


def test_a_fault_names_the_file_it_is_in(files: Callable[..., list[Path]]) -> None:
    a, b = files(a="seed: x\nmodel: {drop: 0.1}\nmix: {alpha: 0}", b="model: {drop: 1}\nfolds: {k: 0}")
    error = refused("train.epochs=0", path=[a, b])
    assert error.where == "a.yaml, b.yaml and command line"
    assert [line.partition(" expected")[0] for line in error.offenders] == [
        "a.yaml: seed:",
        "folds.k:",
        "model.drop:",
        "a.yaml: mix.alpha:",
        "command line: train.epochs:",
    ]
    assert refused(path=files(a="seed: x", b="folds: {k: 2}")).where == "a.yaml: seed"
    assert refused(path=files(a="model: {pretrained: true}", b="model: {weights: w}")).where == "a.yaml and b.yaml"


def test_a_fault_in_a_base_names_the_base(files: Callable[..., list[Path]]) -> None:
    _, b = files(a="optim: {lrr: 1}", b="base: a.yaml")
    assert refused(path=b).where == "a.yaml: optim.lrr"


PRESETS_OF_FILES = [
    # (lower file, higher file) -> hflip, cutout, origin of cutout
    (("transforms: {preset: faces}", "transforms: {cutout: 0.25}"), (0.5, 0.25, "b.yaml")),
    (("transforms: {cutout: 0.25, hflip: 0}", "transforms: {preset: faces}"), (0.5, 0.5, "preset faces")),
    (("transforms: {cutout: 0.25}", "transforms: {preset: faces, hflip: 0.1}"), (0.1, 0.5, "preset faces")),
    (("transforms: {preset: faces}", "transforms: {preset: light}"), (0.5, 0.0, "preset light")),
    (("transforms: {preset: faces, cutout: 0.1}", "transforms.preset: light"), (0.5, 0.0, "preset light")),
    (("base: b.yaml\ntransforms: {preset: light}", "transforms: {cutout: 0.1}"), (0.5, 0.1, "b.yaml")),
]


@pytest.mark.parametrize(("texts", "expected"), PRESETS_OF_FILES)
def test_a_preset_replaces_what_lower_files_say(
    files: Callable[..., list[Path]], texts: tuple[str, str], expected: tuple[float, float, str]
) -> None:
    cfg, origins = load(files(a=texts[0], b=texts[1]))
    assert (cfg.transforms.hflip, cfg.transforms.cutout, origins["transforms.cutout"]) == expected


def test_a_preset_of_one_task_replaces_what_lower_files_say_of_it(files: Callable[..., list[Path]]) -> None:
    low = "model: {heads: separate}\nseparate: {age: {transforms: {cutout: 0.25}}, mask: {transforms.cutout: 0.25}}"
    found = members(load(files(a=low, b="separate: {age: {transforms.preset: light}}"))[0])
    assert (found["age"].transforms.cutout, found["mask"].transforms.cutout) == (0, 0.25)


def test_layers_are_numbered_from_the_lowest(files: Callable[..., list[Path]]) -> None:
    a, b = files(a="seed: 1", b="base: tiny_cpu\ntransforms: {preset: faces}")
    origins = load([a, b], ["folds.k=2"])[1]
    keys = ("device.type", "seed", "average.decay", "transforms.preset", "transforms.cutout", "folds.k")
    found = [origins.get(key) for key in keys]
    assert [(origin.layer, origin.given) for origin in found if origin is not None] == [
        (0, False),
        (2, True),
        (2, True),
        (3, False),
        (4, True),
    ]
