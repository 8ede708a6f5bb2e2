"""maskcls data init, and tables and class folders that are trained on without a configuration."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import recipe, train

from maskcls import config
from maskcls.cli import run_app
from maskcls.config.yaml12 import parse_yaml
from maskcls.data.proposal.columns import counted
from maskcls.data.proposal.proposal import Proposal
from maskcls.data.proposal.proposed import ProposedLabels
from maskcls.data.proposal.recipe import Facts, pretrained_settings, propose_recipe
from maskcls.errors import DataError, Exit
from maskcls.labels import CONTEST, Task
from maskcls.rundir import RunDir
from maskcls.runs.environment import read_environment
from maskcls.show.data.proposal_file import file_text, pretrained_words

PATIENTS = 12
FAST = ("model.backbone=test_convnext", "train.epochs=1")
QUICK = recipe(*FAST)


def noise(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 12 patients with two photos each."""
    root = tmp_path_factory.mktemp("table")
    rows = []
    for n in range(2 * PATIENTS):
        patient = n // 2
        noise(root / f"{n}.png", n)
        rows.append([f"{n}.png", f"p{patient}", ("<30", "007")[n % 2], ("yes", "no")[patient % 2], "Seoul"])
    path = root / "photos.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "patient", "code", "scar", "site"], *rows])
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("classes")
    for n in range(16):
        noise(root / ("1e3", "no")[n % 2] / f"{n}.png", n)
    return root


def data_of(layout: str, table: Path, folders: Path, drawn: Path) -> Path:
    return {"table": table, "folders": folders, "contest": drawn}[layout]


@pytest.mark.parametrize(
    "layout", ["table", *(pytest.param(name, marks=pytest.mark.slow) for name in ("folders", "contest"))]
)
def test_what_init_writes_is_trained_on_as_it_is(
    layout: str, table: Path, folders: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, file = data_of(layout, table, folders, drawn), tmp_path / "a.yaml"
    assert run_app(["data", "init", str(data), "-o", str(file)]) == Exit.OK
    shown = capsys.readouterr().out
    assert f"next: maskcls train {data} --config {file} --run runs/first" in shown
    cfg, origins = config.load(file)
    assert cfg.data.format == layout
    assert origins["tasks"] == "a.yaml"
    plain = [f"device.{key}" for key in ("type=cpu", "threads=1", "precision=fp32", "memory_format=channels_last")]
    words = ["train", str(data), "--config", str(file), "--run", str(tmp_path / "r"), "--dry-run", *plain]
    assert run_app([*words, "train.epochs=1", "folds.k=2"]) == Exit.OK
    assert "test_resnet, 64 x 64 pixels" in capsys.readouterr().out


def test_tasks_and_groups_are_those_of_the_table(table: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    assert run_app(["data", "init", str(table), "-o", str(file)]) == Exit.OK
    cfg, _ = config.load(file)
    assert [(task.name, task.classes) for task in cfg.tasks] == [("code", ("007", "<30")), ("scar", ("no", "yes"))]
    assert cfg.data.group == "patient"
    assert cfg.folds.k == 5
    text = file.read_text()
    assert '- "007"  # 12 photos of 12 patients' in text
    assert "'site': all its values are 'Seoul'" in text
    assert "never in different folds" in text
    assert f"maskcls train {table} --config {file} --run runs/first" in text


@pytest.mark.parametrize("part", ["test", "train"])
def test_photos_to_predict_are_those_of_the_table_if_it_has_any(part: str, table: Path, tmp_path: Path) -> None:
    header, *rows = table.read_text().splitlines()
    data, file = table.parent / f"{part}.csv", tmp_path / "a.yaml"
    data.write_text("\n".join([f"{header},split", *(f"{row},train" for row in rows[1:]), f"{rows[0]},{part}"]))
    assert run_app(["data", "init", str(data), "-o", str(file)]) == Exit.OK
    photos = f"--data {data}" if part == "test" else "PHOTOS"
    assert f"maskcls predict runs/first {photos} -o predictions.csv" in file.read_text()


def test_class_folders_with_a_test_part_are_predicted(folders: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    for photo in (folders / "no").iterdir():
        copied = tmp_path / "data" / "train" / "no" / photo.name
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(photo.read_bytes())
    (tmp_path / "data" / "train" / "1e3").mkdir()
    for part, photo in (("train/1e3", "a.png"), ("test/no", "b.png")):
        target = tmp_path / "data" / part / photo
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(next((folders / "1e3").iterdir()).read_bytes())
    assert run_app(["data", "init", str(tmp_path / "data"), "-o", str(file)]) == Exit.OK
    assert f"maskcls predict runs/first --data {tmp_path / 'data'} -o predictions.csv" in file.read_text()


def test_tasks_and_group_can_be_chosen(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    words = ["data", "init", str(table), "--task", "scar", "--group", "none", "-o", str(file), "--json"]
    assert run_app(words) == Exit.OK
    assert json.loads(capsys.readouterr().out)["settings"] == {
        "data": {"format": "table", "group": "none"},
        "tasks": [{"name": "scar", "classes": ["no", "yes"]}],
    }
    assert [task.name for task in config.load(file)[0].tasks] == ["scar"]


def test_levels_of_folders_can_be_named(folders: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    assert run_app(["data", "init", str(folders), "--task", "animal", "-o", str(file)]) == Exit.OK
    (task,) = config.load(file)[0].tasks
    assert (task.name, task.classes) == ("animal", ("1e3", "no"))
    assert (
        run_app(["data", "init", str(folders), "--task", "a", "--task", "b", "-o", str(file), "--force"]) == Exit.USAGE
    )


def test_a_file_is_replaced_with_force_only(table: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("mine")
    assert run_app(["data", "init", str(table), "-o", str(file)]) == Exit.BUSY
    assert file.read_text() == "mine"
    assert run_app(["data", "init", str(table), "-o", str(file), "--force"]) == Exit.OK
    assert run_app(["data", "init", str(table), "-o", str(table), "--force"]) == Exit.USAGE  # the table itself


def test_what_train_would_refuse_is_refused(table: Path, tmp_path: Path) -> None:
    wrong = table.parent / "wrong.csv"
    wrong.write_text(table.read_text().replace("3.png", "absent.png"))
    assert run_app(["data", "init", str(wrong), "-o", str(tmp_path / "a.yaml")]) == Exit.DATA
    assert not (tmp_path / "a.yaml").exists()


# ---- without a configuration


@pytest.mark.parametrize("layout", ["table", "folders"])
def test_tables_and_folders_are_trained_on_without_a_configuration(
    layout: str, table: Path, folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = data_of(layout, table, folders, tmp_path), RunDir(tmp_path / "r")
    assert train(data, run.path, *FAST) == Exit.OK
    told = capsys.readouterr().err
    names = "code (2 classes), scar (2 classes)" if layout == "table" else "label (2 classes)"
    assert f"tasks read from {data}: {names}" in told
    assert told.count("maskcls data init") == 1
    cfg, _ = config.load(run.config)
    assert cfg.data.format == layout  # the run stores what was read
    assert cfg.data.group == ("patient" if layout == "table" else "none")
    origins = read_environment(run).origins
    assert origins is not None
    assert origins["tasks"] == origins["data.format"] == f"read from {data.name}"


def test_given_tasks_are_not_read(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(table), "--run", str(tmp_path / "r"), *QUICK, "--dry-run", "--json"]
    tasks = 'tasks=[{name: scar, classes: ["no", "yes"]}]'
    assert run_app(["train", *words, "data.format=table", "data.group=patient", tasks]) == Exit.OK
    captured = capsys.readouterr()
    assert "tasks read from" not in captured.err
    found = json.loads(captured.out)
    assert [task["name"] for task in found["config"]["tasks"]] == ["scar"]
    assert found["origins"]["tasks"] == "command line"


def test_a_given_group_is_used_for_what_is_read(table: Path, tmp_path: Path) -> None:
    cfg, origins = config.load_above(
        lambda given: {"data": {"format": "table"}, "tasks": [{"name": "a", "classes": ["x", "y"]}]},
        "read from t.csv",
        None,
        ["data.group=site", "seed=3"],
    )
    assert (cfg.data.format, cfg.data.group, cfg.seed) == ("table", "site", 3)
    assert (origins["data.format"], origins["data.group"]) == ("read from t.csv", "command line")
    assert not origins["data.format"].given
    assert origins["seed"].layer > origins["tasks"].layer > origins["train.epochs"].layer


def test_what_is_read_is_below_every_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("data: {format: contest}")
    cfg, _ = config.load_above(lambda given: {"data": {"format": "table"}, "seed": 7}, "read", file)
    assert (cfg.data.format, cfg.seed) == ("contest", 7)


# ---- the file

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
ODD = ["yes", "no", "1e3", "007", "<30", "null", "~", "# x", "a: b", "'", '"', "\u20ac", "\ud55c\uad6d", "-", "{}"]


def proposal_of(task: Task) -> Proposal:
    one = counted(task, list(range(len(task.classes))), ["g"] * len(task.classes), "a reason")
    data = {"format": "table", "group": "patient"}
    labels = ProposedLabels(data, {}, (one,), ("patient", "patients"), 9, 3, {"a\nb": "why # so"}, ("look: here",))
    facts = Facts(9, 3, "patients", 9.0, ((64, 64),), "all 64 x 64 pixels", faces=False, cores=2, gpu="")
    return Proposal(labels, propose_recipe(facts), pretrained_settings(facts), facts, ())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(NAMES, st.sampled_from(ODD)), min_size=2, max_size=6, unique_by=lambda name: name.strip()))
def test_names_of_classes_are_read_back_as_they_are(classes: list[str]) -> None:
    text = file_text(proposal_of(Task("t", tuple(classes))), Path("a b.csv"), Path("c.yaml"))
    read = parse_yaml(text, where="the file")
    assert read["tasks"] == [{"name": "t", "classes": classes}]
    assert read["data"] == {"format": "table", "group": "patient"}
    assert read["folds"] == {"k": 3}


def test_the_words_for_pretrained_weights_are_settings(tmp_path: Path) -> None:
    proposal = proposal_of(Task("t", ("a", "b")))
    file = tmp_path / "a.yaml"
    file.write_text(file_text(proposal, Path("a.csv"), file))
    words = [word.strip("'") for word in pretrained_words(proposal).split()]
    cfg, _ = config.load(file, words)
    assert (cfg.model.pretrained, cfg.model.backbone) == (True, "mobilenetv4_conv_small")
    assert cfg.transforms.size == (64, 64)


def test_many_classes_have_no_comments_and_too_many_are_an_error() -> None:
    many = file_text(proposal_of(Task("t", tuple(f"class {n}" for n in range(500)))), Path("a"), Path("b"))
    assert "# 1 photo" not in many
    with pytest.raises(DataError, match="do not fit"):
        file_text(proposal_of(Task("t", tuple(f"class {n}" for n in range(2000)))), Path("a"), Path("b"))


def test_the_contest_s_own_tasks_are_proposed_for_its_layout(drawn: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    assert run_app(["data", "init", str(drawn), "-o", str(file)]) == Exit.OK
    assert config.load(file)[0].space == CONTEST
    assert run_app(["data", "init", str(drawn), "--group", "id", "-o", str(file), "--force"]) == Exit.USAGE


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["table", "folders", "contest"])
def test_the_written_recipe_trains(layout: str, table: Path, folders: Path, drawn: Path, tmp_path: Path) -> None:
    data, file, run = data_of(layout, table, folders, drawn), tmp_path / "a.yaml", RunDir(tmp_path / "r")
    assert run_app(["data", "init", str(data), "-o", str(file)]) == Exit.OK
    words = ["train.epochs=2", "device.type=cpu", "device.threads=1", "train.report=false"]
    assert run_app(["train", str(data), "--config", str(file), "--run", str(run.path), *words]) == Exit.OK
    assert run.summary.exists()
