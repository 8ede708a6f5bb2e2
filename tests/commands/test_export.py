"""maskcls export: one file, compared with the run before it is written, with its origin in the metadata."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from onnx_files import SPACE, colour_model, shares
from tiny import hashes, train

from maskcls.backbone import Backbone
from maskcls.cli import run_app
from maskcls.commands import export as command
from maskcls.config import installed_extras
from maskcls.data.photos.images import read_image
from maskcls.errors import Exit
from maskcls.export import export_checks
from maskcls.export.onnx_facts import from_metadata
from maskcls.export.open_model import open_model
from maskcls.labels import Floats, Ints
from maskcls.results.comparison.parity import LIMIT, Parity, compare_predictions
from maskcls.results.decisions.rule import DecisionRule
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.runs.decision import Decision
from maskcls.runs.summary import read_summary
from maskcls.show.answers.export import parity_lines
from maskcls.show.terminal.progress import Reporter

WORDS = ("model.backbone=test_convnext", "train.epochs=1", "optim.lr=1e-2", "schedule.warmup_epochs=0")


@dataclass
class ColourRun:
    """Stands for a run model; predicts what `colour_model` predicts."""

    decision: Decision | None = None
    space: Any = SPACE
    networks: tuple[int, ...] = (0, 1)
    specs: tuple[Any, ...] = ()
    decode_size: tuple[int, int] = (30, 20)
    origin: dict[str, Any] = field(
        default_factory=lambda: {"run": "made", "weights": [], "views": "hflip", "networks": "folds"}
    )

    def __post_init__(self) -> None:
        heads = SimpleNamespace(heads="multi", trunk=Backbone("some"))
        self.cfg = SimpleNamespace(model=heads, predict=SimpleNamespace(views="hflip"))

    def predict(self, photos: list[np.ndarray]) -> Floats:
        return shares(photos)

    def decide(self, prob: Floats) -> Ints:
        ids = [str(place) for place in range(len(prob))]
        plain = Predictions(ids, prob, SPACE)
        return self.decision.labels(plain) if self.decision else plain.labels()


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("exported") / "run"
    assert train(drawn, made, *WORDS) == 0
    return made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> ColourRun:
    """Replace the run's networks and the exporter by a model of colours; everything else is as it is."""
    model = ColourRun()
    monkeypatch.setattr(command, "open_run_model", lambda *given, **options: model)
    monkeypatch.setattr(command, "whole_model", lambda model: model)
    monkeypatch.setattr(command, "to_onnx", lambda model: onnx.load_from_string(colour_model({})))
    monkeypatch.setattr(command, "resize_differences", lambda photos, specs: (0.25, 1))
    return model


def facts_in(path: Path) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(path.read_bytes())
    return from_metadata(session.get_modelmeta().custom_metadata_map, where=str(path))


def test_the_file_holds_its_origin_and_the_comparison(
    run: Path, quick: ColourRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, path = hashes(run), tmp_path / "new" / "m.onnx"

    assert run_app(["export", str(run), "-o", str(path), "--check", "9", "--licence", "CC BY 4.0", "--json"]) == 0

    printed, facts = json.loads(capsys.readouterr().out), facts_in(path)
    summary = read_summary(RunDir(run))
    assert summary is not None
    assert summary.pooled is not None
    assert summary.interval is not None
    assert facts["licence"] == "CC BY 4.0"
    assert facts["tasks"] == SPACE.to_json()
    assert facts["opset"] == 20
    assert facts["decision"] is None
    assert facts["outputs"] == ["colour", "joint", "colour_class", "joint_class"]
    assert facts["out_of_fold"]["macro_f1"] == summary.pooled.macro_f1
    assert facts["out_of_fold"]["interval"] == [summary.interval.low, summary.interval.high]
    assert facts["parity"] == printed["parity"]
    assert printed["parity"] | {"max_dp": 0} == {
        **{"photos": 9, "max_dp": 0, "decisions": 0, "pixels": 0.25, "max_pixel": 1},
    }
    assert printed["parity"]["max_dp"] < 1e-6
    assert (printed["file"], printed["size_bytes"], printed["networks"]) == (str(path), path.stat().st_size, 2)
    assert printed["card"] == f"{path}.card.md"
    assert "CC BY 4.0" in Path(printed["card"]).read_text()
    assert sorted(one.name for one in path.parent.iterdir()) == ["m.onnx", "m.onnx.card.md"]
    assert hashes(run) == before


def test_the_usual_place_is_inside_the_run(run: Path, quick: ColourRun, capsys: pytest.CaptureFixture[str]) -> None:
    path = RunDir(run).onnx

    assert run_app(["export", str(run), "--check", "3"]) == 0
    assert "compared with the run on 3 photos" in capsys.readouterr().out
    assert run_app(["export", str(run)]) == Exit.BUSY
    assert run_app(["export", str(run), "--force", "--check", "0"]) == 0
    assert "not compared with the run" in capsys.readouterr().out
    assert facts_in(path)["parity"] is None
    kept = {f"{name}.bak" for name in (path.name, f"{path.name}.card.md")}
    assert {one.name for one in path.parent.iterdir()} == kept | {name.removesuffix(".bak") for name in kept}
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("fault", ["probability", "class"])
def test_a_file_that_predicts_something_else_is_not_written(
    fault: str,
    run: Path,
    quick: ColourRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if fault == "probability":
        planted = onnx.load_from_string(colour_model({}, scale=1.001))
        monkeypatch.setattr(command, "to_onnx", lambda model: planted)
    else:
        monkeypatch.setattr(ColourRun, "decide", lambda self, prob: (prob.argmax(axis=1) + 1) % 3)

    assert run_app(["export", str(run), "-o", str(tmp_path / "m.onnx")]) == Exit.RESULT

    error = capsys.readouterr().err
    assert "does not predict what the run predicts" in error
    assert "on 64 photos" in error
    assert list(tmp_path.iterdir()) == []


def test_a_rule_is_in_the_file_and_printed(
    run: Path, quick: ColourRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = DecisionRule("task", (0.0, 0.0, 0.0))
    quick.decision = Decision(SPACE, {"colour": 1.5}, rule, None, "abc")
    monkeypatch.setattr(export_checks, "check_calibrated", lambda run: None)

    assert run_app(["export", str(run), "-o", str(tmp_path / "m.onnx"), "--decide", "--check", "2"]) == 0

    assert "decision rule: task" in capsys.readouterr().out
    decision = facts_in(tmp_path / "m.onnx")["decision"]
    assert decision == {"temperatures": {"colour": 1.5}, "rule": rule.to_json(), "oof_sha256": "abc"}


def test_a_decision_without_a_rule_is_said(
    run: Path, quick: ColourRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick.decision = Decision(SPACE, {"colour": 1.5}, None, None, "abc")
    monkeypatch.setattr(export_checks, "check_calibrated", lambda run: None)

    assert run_app(["export", str(run), "-o", str(tmp_path / "m.onnx"), "--decide", "--check", "0"]) == 0
    assert "no decision rule had a proven gain" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-o", "model.pt"], Exit.USAGE, "a name that ends in .onnx"),
        (["--check", "-1"], Exit.USAGE, "no such number of photos"),
        (["device.type=cpu"], Exit.CONFIG, "does not change the exported model"),
        (["predict.batch_size=3"], Exit.CONFIG, "does not change the exported model"),
        (["predict.views=mirror"], Exit.CONFIG, "predict.views"),
        (["--decide"], Exit.RESULT, "not calibrated"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_loaded(
    words: list[str], code: int, said: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["export", str(run), *words]) == code
    assert said in capsys.readouterr().err


def test_a_rule_for_averaged_photos_is_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export_checks, "check_calibrated", lambda run: None)
    monkeypatch.setattr(export_checks, "averages_in_groups", lambda run: True)

    assert run_app(["export", str(run), "--decide"]) == Exit.USAGE
    assert "predicts every photo alone" in capsys.readouterr().err


def test_averaging_that_the_file_cannot_do_is_said(
    run: Path, quick: ColourRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "averages_in_groups", lambda run: True)

    assert run_app(["export", str(run), "-o", str(tmp_path / "m.onnx"), "--check", "0"]) == 0
    assert "predicts every photo alone" in capsys.readouterr().err


def test_missing_packages_are_named(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installed_extras, "find_spec", lambda name: None)

    assert run_app(["export", str(run)]) == Exit.RESOURCE
    assert "maskcls[export]" in capsys.readouterr().err


def test_photos_that_are_gone_are_named(
    run: Path, quick: ColourRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = command.open_with_photos

    def elsewhere(folder: RunDir, data: Path | None) -> Any:
        experiment, env = real(folder, data)
        paths = experiment.photo_paths
        return SimpleNamespace(manifest=experiment.manifest, photo_root=tmp_path, photo_paths=paths), env

    monkeypatch.setattr(command, "open_with_photos", elsewhere)

    assert run_app(["export", str(run), "-o", str(tmp_path / "m.onnx")]) == Exit.DATA
    assert "--check 0" in capsys.readouterr().err


def test_parity_is_about_probabilities_and_classes() -> None:
    want = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    other = want + np.float32([[0.0, 0.0], [-0.125, 0.125]])

    same = compare_predictions(want, np.array([1, 0]), want, np.array([1, 0]))
    found = compare_predictions(want, np.array([1, 0]), other, np.array([1, 1]), pixels=0.5, max_pixel=2)
    broken = compare_predictions(want, np.array([1, 0]), np.full_like(want, np.nan), np.array([1, 0]))

    assert same == Parity(2, 0.0, 0, 0.0, 0)
    assert same.holds
    assert found == Parity(2, 0.125, 1, 0.5, 2)
    assert not found.holds
    assert broken.max_dp == np.inf
    assert not Parity(2, 2 * LIMIT, 0, 0, 0).holds
    assert not Parity(2, 0.0, 1, 0, 0).holds
    assert parity_lines(found)[-1].endswith("0.5 of all values, by up to 2")


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["predict.views=none+zoomed"]])
def test_a_trained_run_is_exported_and_predicted(
    run: Path, drawn: Path, tmp_path: Path, words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.onnx"
    assert run_app(["export", str(run), "-o", str(path), *words, "--check", "30"]) == 0
    out, err = capfd.readouterr()
    assert "30 photos" in out
    assert "torch" not in err + out
    assert "Warning" not in err
    paths = sorted((drawn / "eval" / "images").iterdir())
    photos = [read_image(photo) for photo in paths] + [np.full((70, 20, 3), 90, np.uint8)]
    with Reporter() as report:
        torch_model = open_model(run, [*words, "device.type=cpu", "device.precision=fp32"], report=report)
        found = open_model(path, report=report)
    want = torch_model.predict(photos)

    np.testing.assert_allclose(found.predict(photos), want, atol=1e-5)
    assert found.space == torch_model.space
    assert found.decode_size == torch_model.decode_size
    same = {"maskcls", "run", "run_hashes", "weights", "views", "networks"}
    assert {name: found.origin[name] for name in same} == {name: torch_model.origin[name] for name in same}


@pytest.mark.slow
def test_a_wrong_weight_in_a_real_export_is_noticed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = command.to_onnx

    def planted(model: Any) -> onnx.ModelProto:
        proto = real(model)
        (bias,) = [one for one in proto.graph.initializer if one.name.endswith("networks.0.heads.mask.bias")]
        values = numpy_helper.to_array(bias).copy()
        values[0] += 0.01
        bias.CopyFrom(numpy_helper.from_array(values, bias.name))
        return proto

    monkeypatch.setattr(command, "to_onnx", planted)

    assert run_app(["export", str(run), "-o", str(tmp_path / "m.onnx")]) == Exit.RESULT
    assert not (tmp_path / "m.onnx").exists()
