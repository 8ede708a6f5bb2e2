"""Every option of `predict` and `export` arrives at its command, and `predict` uses those that its model gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_photo_model import FakePhotoModel, png

from maskcls.cli import run_app
from maskcls.commands import export as exporting
from maskcls.commands.predicting import photos as of_photos
from maskcls.commands.predicting import predict as of_data
from maskcls.errors import Exit
from maskcls.export import export_checks
from maskcls.export.int8.options import Int8Options
from maskcls.labels import CONTEST, Floats, Ints
from maskcls.results.predicted.gather import WantedTables
from maskcls.rundir import RunDir
from maskcls.runs import checks
from maskcls.show.answers.export import ExportedCard

RULED = 17  # the class that the rule of the model below decides on, whatever is most probable


class RuledModel(FakePhotoModel):
    def decide(self, prob_NJ: Floats) -> Ints:
        return super().decide(prob_NJ) * 0 + RULED


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a photo of class 3, and a file in the place of a model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(png(3))
    (tmp_path / "m.onnx").write_bytes(b"")
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what models were opened with; they are fakes."""
    found: list[dict[str, Any]] = []

    def model(path: Path, overrides: Any, **options: Any) -> RuledModel:
        options.pop("report")
        found.append({"path": path, "overrides": tuple(overrides), **options})
        return RuledModel()

    monkeypatch.setattr(of_photos, "open_model", model)
    return found


def printed_class(capsys: pytest.CaptureFixture[str]) -> int:
    found: int = json.loads(capsys.readouterr().out)["photos"][0]["ans"]
    return found


def test_options_for_named_photos(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[Path, of_photos.PhotoRequest]] = []

    def note(model: Path, asked: of_photos.PhotoRequest, _: object) -> of_photos.PredictedPhotos:
        found.append((model, asked))
        return of_photos.PredictedPhotos(CONTEST, 1, 0, shard=Path("s"))

    monkeypatch.setattr(of_photos, "predict_photos", note)
    words = "predict m.onnx a.png predict.views=none -o t.csv --probabilities p.csv --format jsonl --engine onnxruntime"
    assert run_app([*words.split(), "--decide", "--skip-unreadable", "--shard", "2/3", "--force"]) == Exit.OK
    wanted = WantedTables(Path("t.csv"), Path("p.csv"), "jsonl", skip_unreadable=True, force=True)
    want = of_photos.PhotoRequest(("a.png",), wanted, ("predict.views=none",), "onnxruntime", decide=True, shard=(2, 3))
    assert found == [(Path("m.onnx"), want)]


def test_options_for_a_data_set(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {}
    monkeypatch.setattr(checks, "check_prediction", lambda *_, **__: None)
    monkeypatch.setattr(of_data, "predict", lambda *words, **options: found.update(options, words=words))
    words = "predict r predict.views=none --data faces -o s.csv --probabilities p.csv --format parquet --groups g.csv"
    assert run_app([*words.split(), "--decide", "--force"]) == Exit.OK
    found.pop("report")
    assert found == {
        "words": (RunDir(Path("r")), Path("faces"), Path("s.csv")),
        "overrides": ["predict.views=none"],
        "decide": True,
        "groups": Path("g.csv"),
        "probabilities": Path("p.csv"),
        "table_format": "parquet",
        "force": True,
    }


def test_options_of_an_export(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[dict[str, Any]] = []

    def note(*words: Any, **options: Any) -> ExportedCard:
        options.pop("report")
        found.append(options | {"words": words})
        return ExportedCard(Path("card.md"))

    monkeypatch.setattr(exporting, "export", note)
    monkeypatch.setattr(export_checks, "check_export", lambda *_, **__: None)
    words = "export r predict.views=none -o m.onnx --decide --check 3 --licence MIT --int8 --calibration 5"
    assert run_app([*words.split(), "--max-loss", "0.2", "--data", "moved", "--force"]) == Exit.OK
    assert run_app(["export", "r", "--to", "safetensors"]) == Exit.OK
    assert found[0] == {
        "words": (RunDir(Path("r")), Path("m.onnx")),
        "to": "onnx",
        "overrides": ["predict.views=none"],
        "decide": True,
        "check": 3,
        "licence": "MIT",
        "int8": Int8Options(5, 0.2),
        "data": Path("moved"),
        "force": True,
    }
    assert (found[1]["to"], found[1]["int8"], found[1]["words"][1]) == ("safetensors", None, None)


def test_the_model_gets_engine_settings_and_rule(here: Path, opened: list[dict[str, Any]]) -> None:
    words = ["predict", "m.onnx", "a.png", "--engine", "onnxruntime", "predict.batch_size=2"]
    assert run_app([*words, "--decide"]) == Exit.OK
    want = {"path": Path("m.onnx"), "overrides": ("predict.batch_size=2",), "engine": "onnxruntime", "decide": True}
    assert opened == [want]


def test_the_rule_decides_only_if_asked(
    here: Path, opened: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["predict", "m.onnx", "a.png", "--json"]) == Exit.OK
    assert printed_class(capsys) == 3
    assert run_app(["predict", "m.onnx", "a.png", "--json", "--decide"]) == Exit.OK
    assert printed_class(capsys) == RULED
    for name, words, label in (("t.jsonl", [], 3), ("d.jsonl", ["--decide"], RULED)):
        assert run_app(["predict", "m.onnx", "a.png", "-o", name, *words]) == Exit.OK
        assert json.loads((here / name).read_text())["ans"] == label


def test_a_table_is_replaced_only_with_force(here: Path, opened: list[dict[str, Any]]) -> None:
    (here / "t.csv").write_text("mine\n")
    assert run_app(["predict", "m.onnx", "a.png", "-o", "t.csv"]) == Exit.BUSY
    assert (here / "t.csv").read_text() == "mine\n"
    assert run_app(["predict", "m.onnx", "a.png", "-o", "t.csv", "--force"]) == Exit.OK
    assert (here / "t.csv").read_text().startswith("path,ans,")
    assert (here / "t.csv.bak").read_text() == "mine\n"
