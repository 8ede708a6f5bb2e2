"""The Python API: what it offers, that it does what the command line does, and what it imports."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fake_photo_model import FakePhotoModel
from finished_run import finish_run
from tiny import RECIPE

import maskcls
from maskcls import api
from maskcls.cli import run_app
from maskcls.config import parse_override
from maskcls.data.photos import decode_ahead
from maskcls.data.photos.images import read_image
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.predictions import Predictions
from maskcls.show.terminal.progress import Reporter

QUICK = dict(map(parse_override, (*RECIPE, "model.backbone=test_convnext", "train.epochs=1", "average.kind=none")))
WORDS = [f"{key}={json.dumps(value)}" for key, value in QUICK.items()]
PAGE = Path(__file__).parents[1] / "docs" / "api.md"
MODEL = ("predict", "decide", "out_of_fold", "evaluate", "network", "tasks")

SURFACE = {
    "load": "path, *, settings, engine, rule, progress",
    "train": "data, run, *, config, settings, folds, progress",
    "evaluate": "what, answers",
    "ensemble": "members, data, output, *, method, weights, rule, settings, force, progress",
}


@pytest.fixture(scope="module")
def two_runs(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same training by the API and by the command line."""
    mine, theirs = (tmp_path_factory.mktemp(name) / "run" for name in ("api", "command-line"))
    assert maskcls.train(drawn, mine, settings=QUICK, progress=False).path == mine
    assert run_app(["train", str(drawn), "--run", str(theirs), *WORDS]) == 0
    return mine, theirs


@pytest.fixture
def trained(two_runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> maskcls.Model:
    """The run of the API; a copy, as a prediction is kept in its run."""
    return maskcls.load(shutil.copytree(two_runs[0], tmp_path_factory.mktemp("api") / "run"))


@pytest.fixture
def by_command_line(two_runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the command line, a copy."""
    return shutil.copytree(two_runs[1], tmp_path_factory.mktemp("command-line") / "run")


def parameters(function: object) -> str:
    names, starred = [], False
    for name, one in inspect.signature(function).parameters.items():  # type: ignore[arg-type]
        if one.kind is one.KEYWORD_ONLY and not starred:
            names, starred = [*names, "*"], True
        names.append(name)
    return ", ".join(names)


def test_the_surface() -> None:
    assert {name: parameters(getattr(maskcls, name)) for name in SURFACE} == SURFACE
    assert sorted([*SURFACE, "Evaluation", "MaskclsError", "Model", "Predictions"]) == maskcls.__all__ == api.__all__
    fields = {"path", "space", "settings", "engine", "rule", "progress"}
    assert {name for name in dir(maskcls.Model) if not name.startswith("_")} - fields == set(MODEL)
    assert set(maskcls.__all__) <= set(dir(maskcls))


def test_every_public_name_has_a_docstring() -> None:
    named = [getattr(maskcls, name) for name in maskcls.__all__] + [getattr(maskcls.Model, name) for name in MODEL]
    assert [one for one in named if not inspect.getdoc(one)] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        maskcls.lode  # noqa: B018


def test_types_are_shipped() -> None:
    assert (Path(maskcls.__file__).parent / "py.typed").exists()


def imported_after(code: str) -> set[str]:
    script = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return set(json.loads(out.splitlines()[-1]))


def test_torch_is_imported_only_when_a_network_runs(tmp_path: Path) -> None:
    finish_run(tmp_path / "run")
    code = f"""
import maskcls, sys
assert not [name for name in sys.modules if name.startswith("maskcls.") or name in ("numpy", "pandas")]
model = maskcls.load({str(tmp_path / "run")!r})
assert model.tasks["mask"] == ("wear", "incorrect", "normal")
model.out_of_fold().frame()
model.evaluate()
"""
    assert not imported_after(code) & {"torch", "timm", "albumentations", "cv2", "accelerate"}


def test_train_makes_the_run_of_the_command_line(trained: maskcls.Model, by_command_line: Path) -> None:
    for name in ("config.yaml", "oof.npz", "folds.csv", "fold1/best/weights.safetensors"):
        assert (trained.path / name).read_bytes() == (by_command_line / name).read_bytes(), name
    assert {one.name for one in trained.path.iterdir()} == {one.name for one in by_command_line.iterdir()}


def test_files_and_arrays_are_predicted_as_predict_does(
    trained: maskcls.Model, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_ahead, "CHUNK_PHOTOS", 4)  # so that there are several parts
    assert run_app(["predict", str(trained.path), "--data", str(drawn), "-o", str(tmp_path / "s.csv")]) == 0
    (stored,) = (trained.path / "test").glob("*.npz")
    wanted = Predictions.load(stored)
    files = [drawn / "eval" / "images" / name for name in wanted.ids.tolist()][:10]

    found = trained.predict(files)
    mixed = trained.predict([files[0], read_image(files[1])])

    assert found.ids.tolist() == [str(name) for name in files]
    np.testing.assert_allclose(found.prob, wanted.prob[:10], atol=1e-5)
    assert mixed.ids.tolist() == [str(files[0]), "1"]
    np.testing.assert_allclose(mixed.prob, wanted.prob[:2], atol=0.02)
    assert trained.predict(str(files[0])).ids.tolist() == [str(files[0])]
    assert (trained.decide(found) == found.labels()).all()


def test_settings_of_a_loaded_run_are_used(trained: maskcls.Model, drawn: Path) -> None:
    photo = next((drawn / "eval" / "images").iterdir())
    flipped = maskcls.load(trained.path, settings={"predict.views": "flip"})

    by_hand = np.ascontiguousarray(read_image(photo)[:, ::-1])

    np.testing.assert_allclose(
        flipped.predict([read_image(photo)]).prob, trained.predict([by_hand]).prob, rtol=0, atol=1e-5
    )
    assert np.abs(flipped.predict([photo]).prob - trained.predict([photo]).prob).max() > 1e-6


def test_all_photos_that_cannot_be_read_are_listed(trained: maskcls.Model, drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"junk")
    good = next((drawn / "eval" / "images").iterdir())
    wrong = [str(tmp_path / "none.jpg"), str(tmp_path / "bad.jpg")]
    with pytest.raises(maskcls.MaskclsError, match="photos cannot be read") as caught:
        trained.predict([good, *wrong])
    assert [text.partition(": ")[0] for text in caught.value.offenders] == wrong


def test_options_of_load_and_train_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def model(path: Path, words: list[str], *, engine: str, decide: bool, report: Reporter) -> FakePhotoModel:
        given.append((path, words, engine, decide, report.console.quiet))
        return FakePhotoModel()

    monkeypatch.setattr("maskcls.api.open_model", model)
    (tmp_path / "m.onnx").write_bytes(b"")
    run = finish_run(tmp_path / "run").path
    options = {"settings": {"predict.views": "none"}, "engine": "onnxruntime", "rule": True, "progress": True}
    for path in (tmp_path / "m.onnx", run):
        maskcls.load(path, **options).network()  # type: ignore[arg-type]
        maskcls.load(path).network()
        assert given[-2:] == [
            (path, ['predict.views="none"'], "onnxruntime", True, False),
            (path, [], None, False, True),
        ]
    assert len(given) == 4


def test_config_and_folds_of_train_arrive(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr("maskcls.commands.train.train", lambda data, cfg, run, **options: given.append((cfg, options)))
    (tmp_path / "mine.yaml").write_text("folds: {k: 4}\n")
    maskcls.train(drawn, tmp_path / "a", config=["multi", tmp_path / "mine.yaml"], folds=[1, 3], progress=False)
    maskcls.train(drawn, tmp_path / "b", config=tmp_path / "mine.yaml", settings={"folds.k": 3})
    (first, with_folds), (second, without) = given
    assert (first.folds.k, second.folds.k) == (4, 3)
    assert first.model.backbone == "mobilenetv4_conv_small"
    assert (with_folds["folds"], without["folds"]) == ("1,3", None)
    assert (with_folds["report"].console.quiet, without["report"].console.quiet) == (True, False)


def test_train_reads_the_tasks_of_a_table_as_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Any] = []
    monkeypatch.setattr("maskcls.commands.train.train", lambda data, cfg, run, **options: given.append(cfg))
    table = tmp_path / "pets.csv"
    table.write_text("path,pet\n" + "".join(f"{i}.png,{'cat' if i % 2 else 'dog'}\n" for i in range(20)))
    for i in range(20):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((20, 20, 3), i, np.uint8))

    maskcls.train(table, tmp_path / "run")

    assert [(task.name, task.classes) for task in given[0].tasks] == [("pet", ("cat", "dog"))]
    assert given[0].data.format == "table"
    assert "pet (2 classes" in capsys.readouterr().err


@pytest.mark.parametrize("photos", [[], ["a.jpg", "a.jpg"], ["missing.jpg"], [np.zeros((4, 4), np.uint8)]])
def test_wrong_photos_raise_an_error_with_a_message(trained: maskcls.Model, photos: list[object]) -> None:
    with pytest.raises(maskcls.MaskclsError):
        trained.predict(photos)  # type: ignore[arg-type]


class Picture:
    """Stands for a picture of Pillow: no collection, no name of a file."""


def test_other_objects_are_no_photos_and_are_named_by_their_place(trained: maskcls.Model) -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    wrong = [Picture(), b"a.jpg", None, 3, [black, Picture()], [black] * 300 + [black[0]]]
    for photos, place in zip(wrong, (0, 0, 0, 0, 1, 300), strict=True):
        with pytest.raises(maskcls.MaskclsError, match="not a photo") as caught:
            trained.predict(photos)  # type: ignore[arg-type]
        assert caught.value.where == f"photo {place}"


def test_an_engine_or_a_setting_of_another_kind_is_refused(trained: maskcls.Model) -> None:
    with pytest.raises(maskcls.MaskclsError, match="no such engine"):
        maskcls.load(trained.path, engine="tensorflow")  # type: ignore[arg-type]
    with pytest.raises(maskcls.MaskclsError, match="another type") as caught:
        maskcls.load(trained.path, settings={"predict.batch_size": np.int64(4)}).predict(np.zeros((8, 8, 3), np.uint8))
    assert caught.value.where == "predict.batch_size"
    with pytest.raises(maskcls.MaskclsError, match="given twice") as caught:
        maskcls.load(trained.path, settings={"predict.batch_size": 4, "predict": {"batch_size": 8}}).predict(
            np.zeros((8, 8, 3), np.uint8)
        )
    assert caught.value.where == "predict.batch_size"


def test_wrong_folders_and_settings_raise_an_error(trained: maskcls.Model, drawn: Path, tmp_path: Path) -> None:
    for wrong in (
        lambda: maskcls.load(tmp_path),
        lambda: maskcls.load(tmp_path / "none.onnx"),
        lambda: maskcls.train(drawn, trained.path, settings=QUICK),
        lambda: maskcls.train(drawn, tmp_path / "new", settings={"optim.rl": 1}),
        lambda: maskcls.evaluate(tmp_path / "none.csv"),
        lambda: maskcls.ensemble([], drawn, tmp_path / "s.csv"),
    ):
        with pytest.raises(maskcls.MaskclsError):
            wrong()


def test_one_member_is_no_list_of_letters(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(maskcls.MaskclsError, match="no-run"):
        maskcls.ensemble("no-run", drawn, tmp_path / "s.csv")


ARGUMENTS = {
    "path": lambda value, **_: maskcls.load(value),
    "data": lambda value, run, **_: maskcls.train(value, run),
    "run": lambda value, data, **_: maskcls.train(data, value),
    "config": lambda value, data, run: maskcls.train(data, run, config=[value]),
    "what": lambda value, **_: maskcls.evaluate(value),
    "members": lambda value, data, run: maskcls.ensemble([value], data, run),
}
NO_PATHS = [None, 3, b"runs/a", "", 1.5, object(), "runs/\0a"]


@pytest.mark.parametrize("name", ARGUMENTS)
def test_what_is_no_path_is_named(name: str, drawn: Path, tmp_path: Path) -> None:
    for value in NO_PATHS:
        with pytest.raises(maskcls.MaskclsError, match="of another kind") as caught:
            ARGUMENTS[name](value, data=drawn, run=tmp_path / "run")
        assert caught.value.where == name
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("folds", ["0,1", 0, [0, "1"], [0.5], b"01"]),
        ("config", [None, 3, {"multi": 1}]),
        ("settings", [["seed=1"], "seed=1", 3]),
        ("weights", ["0.5,0.5", 0.5, [0.5, "a"], [None, 1]]),
        ("members", [None, 3, {"runs/a": 1}, [("runs/a",)], [("runs/a", "faces", "x")], [("runs/a", None)]]),
        ("answers", [3, b"a.csv"]),
        ("output", [None, 3]),
    ],
)
def test_an_argument_of_another_type_is_named(name: str, values: list[Any], drawn: Path, tmp_path: Path) -> None:
    calls: dict[str, tuple[Any, dict[str, Any]]] = {
        "train": (maskcls.train, {"data": drawn, "run": tmp_path / "run"}),
        "evaluate": (maskcls.evaluate, {"what": "s.csv"}),
        "ensemble": (maskcls.ensemble, {"members": ["a", "b"], "data": drawn, "output": "s.csv", "method": "weights"}),
    }
    of_train = {"folds", "config", "settings"}
    function, arguments = calls["train" if name in of_train else "evaluate" if name == "answers" else "ensemble"]
    for value in values:
        with pytest.raises(maskcls.MaskclsError, match="of another kind") as caught:
            function(**{**arguments, name: value})
        assert caught.value.where == name
    assert not any(tmp_path.iterdir())


def test_folds_and_weights_of_numpy_are_numbers(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr("maskcls.commands.train.train", lambda data, cfg, run, **options: given.append(options))
    monkeypatch.setattr("maskcls.commands.ensemble.ensemble", lambda *words, **options: given.append(options))
    maskcls.train(drawn, tmp_path / "a", folds=np.array([1, 3]), settings={"folds.k": 4})  # type: ignore[arg-type]
    maskcls.ensemble("a", drawn, "s.csv", method="weights", weights=np.array([0.5, 2]))  # type: ignore[arg-type]
    assert (given[0]["folds"], given[1]["weights"]) == ("1,3", "0.5,2.0")


def test_only_predictions_are_decided(trained: maskcls.Model) -> None:
    with pytest.raises(maskcls.MaskclsError, match="of another kind") as caught:
        trained.decide(np.zeros((1, 18), np.float32))  # type: ignore[arg-type]
    assert caught.value.where == "predictions"


def test_a_member_may_be_a_pair(
    trained: maskcls.Model, by_command_line: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with its own copy of the photos; names that a comma would divide in another way are refused."""
    copy = shutil.copytree(drawn, tmp_path / "copy")
    pair, text = tmp_path / "pair.csv", tmp_path / "text.csv"
    maskcls.ensemble([by_command_line, (trained.path, copy)], drawn, pair)
    maskcls.ensemble([by_command_line, f"{trained.path},{copy}"], drawn, text)
    assert pair.read_bytes() == text.read_bytes()
    members = [pair.with_suffix(".recipe.yaml").read_text(), text.with_suffix(".recipe.yaml").read_text()]
    assert members[0] == members[1]
    assert str(copy) in members[0]
    odd, first = tmp_path / "a,b", tmp_path / "a"
    first.mkdir()
    (tmp_path / f"b,{copy.name}").mkdir()
    shutil.copytree(trained.path, odd)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(maskcls.MaskclsError, match="commas"):
        maskcls.ensemble([by_command_line, ("a,b", copy.name)], drawn, tmp_path / "t.csv")


def test_ensemble_writes_what_the_command_line_writes(
    trained: maskcls.Model, by_command_line: Path, drawn: Path, tmp_path: Path
) -> None:
    mine, theirs = tmp_path / "mine.csv", tmp_path / "theirs.csv"
    words = [str(trained.path), str(by_command_line)]

    maskcls.ensemble(words, drawn, mine, method="weights", weights=[0.25, 0.75])

    shown = ["--method", "weights", "--weights", "0.25,0.75"]
    assert run_app(["ensemble", *words, "--data", str(drawn), "-o", str(theirs), *shown]) == 0
    assert mine.read_bytes() == theirs.read_bytes()
    with pytest.raises(maskcls.MaskclsError, match="exists"):
        maskcls.ensemble(words, drawn, mine)
    maskcls.ensemble(words, drawn, mine, force=True)


def test_evaluate_scores_a_run_as_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finish_run(tmp_path / "run")
    assert run_app(["evaluate", str(run.path), "--json"]) == 0

    printed = json.loads(capsys.readouterr().out)

    assert maskcls.load(run.path).evaluate().scores.joint.macro_f1 == pytest.approx(printed["macro_f1"])


def test_a_frame_by_hand() -> None:
    space = LabelSpace((Task("hat", ("no", "yes")), Task("age", ("<30", ">=30"), (30,))))
    predictions = Predictions(["a", "b"], np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]], np.float32), space)

    frame = predictions.frame()

    assert list(frame) == ["id", "hat", "age", "hat/no", "hat/yes", "age/<30", "age/>=30"]
    assert frame[["id", "hat", "age"]].to_numpy().tolist() == [["a", "yes", ">=30"], ["b", "no", "<30"]]
    np.testing.assert_allclose(frame.iloc[:, 3:], [[0.3, 0.7, 0.4, 0.6], [0.8, 0.2, 0.8, 0.2]], rtol=1e-6)
    assert predictions.frame(np.array([0, 3]))["hat"].tolist() == ["no", "yes"]


def test_only_a_run_has_out_of_fold_rows(tmp_path: Path) -> None:
    file = maskcls.Model(tmp_path / "model.onnx", CONTEST)

    for ask in (file.out_of_fold, file.evaluate):
        with pytest.raises(maskcls.MaskclsError, match="only a run folder"):
            ask()


@pytest.mark.slow
def test_the_code_of_the_page_runs(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(drawn, tmp_path / "faces")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf8"), re.DOTALL)
    assert len(blocks) >= 5

    exec(compile("".join(blocks), str(PAGE), "exec"), {})
