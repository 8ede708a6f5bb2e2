"""Every target of maskcls export, from a small trained run; and an export in 8 bits with its cost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import train

from maskcls.cli import run_app
from maskcls.data.photos.images import read_image
from maskcls.errors import Exit
from maskcls.export.open_model import open_model
from maskcls.rundir import RunDir
from maskcls.runs.summary import read_summary
from maskcls.show.terminal.progress import Reporter

pytestmark = pytest.mark.slow
WORDS = ("model.backbone=test_efficientnet", "train.epochs=4", "optim.lr=1e-2", "schedule.warmup_epochs=0")
USE = """
import sys
sys.modules["maskcls"] = None
import numpy, torch
extra = {"maskcls.json": ""}
model = torch.export.load(sys.argv[1], extra_files=extra).module()
photos = torch.from_numpy(numpy.load(sys.argv[2]))
numpy.savez(sys.argv[3], facts=extra["maskcls.json"], **{name: found.numpy() for name, found in model(photos).items()})
"""


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("targets") / "run"
    assert train(drawn, made, *WORDS) == 0
    return made


def exported(run: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run_app(["export", str(run), "--json", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def photos_of(drawn: Path, count: int = 5) -> list[np.ndarray]:
    return [read_image(path) for path in sorted((drawn / "eval" / "images").iterdir())[:count]]


def test_a_torch_file_predicts_without_maskcls(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, photos = tmp_path / "m.pt2", np.stack(photos_of(drawn))
    found = exported(run, capsys, "--to", "torch-export", "-o", str(path), "--check", "20", "predict.views=hflip")
    np.save(tmp_path / "photos.npy", photos)
    words = [str(path), str(tmp_path / "photos.npy"), str(tmp_path / "found.npz")]

    done = subprocess.run([sys.executable, "-c", USE, *words], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    with Reporter() as report:
        model = open_model(run, ["predict.views=hflip", "device.type=cpu", "device.precision=fp32"], report=report)
        want = model.predict(list(photos))
    loaded = np.load(tmp_path / "found.npz")
    np.testing.assert_allclose(loaded["joint"], want, atol=1e-5)
    assert loaded["joint_class"].tolist() == want.argmax(axis=1).tolist()
    facts = json.loads(str(loaded["facts"]))
    assert facts["parity"] == found["parity"]
    assert facts["parity"]["photos"] == 20
    assert facts["views"] == "hflip"
    assert str(run.parent).encode() not in path.read_bytes()


def test_a_folder_of_checkpoints_has_networks_and_card(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    found = exported(run, capsys, "--to", "safetensors", "-o", str(folder), "--licence", "MIT")

    assert found["networks"] == ["seed0-fold0", "seed0-fold1"]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    parts = ("trunk.safetensors", "heads.safetensors")
    assert names == {"config.json", "load.py", "model-card.md"} | {
        f"networks/{name}/{part}" for name in found["networks"] for part in parts
    }
    assert "MIT" in (folder / "model-card.md").read_text()
    about = json.loads((folder / "config.json").read_text())
    assert about["origin"]["licence"] == "MIT"
    assert run_app(["export", str(run), "--to", "safetensors", "-o", str(folder)]) == Exit.BUSY
    assert run_app(["export", str(run), "--to", "safetensors", "-o", str(folder), "--force"]) == 0


def test_8_bits_are_measured_on_held_out_people(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from maskcls.export.int8 import held_out

    drawn_rows: list[tuple[int | None, set[int]]] = []
    real = held_out.RunPhotos.draw

    def draw(self: held_out.RunPhotos, count: int, *, without: int | None = None) -> list[int]:
        rows = real(self, count, without=without)
        drawn_rows.append((without, set(self.experiment.fold[rows].tolist())))
        return rows

    monkeypatch.setattr(held_out.RunPhotos, "draw", draw)
    monkeypatch.setattr(held_out, "ROUNDS", 3)
    path = tmp_path / "m.onnx"
    words = ["--int8", "--calibration", "11", "--max-loss", "1", "--check", "8"]
    found = exported(run, capsys, "-o", str(path), *words)

    summary, cost = read_summary(RunDir(run)), found["int8"]
    assert summary is not None
    assert summary.pooled is not None
    assert [one[0] for one in drawn_rows] == [0, 1, None]
    assert [one[1] for one in drawn_rows] == [{1}, {0}, {0, 1}]
    assert cost["calibration_photos"] == 11
    assert cost["photos"] == summary.pooled.rows
    # Photos are decoded as for prediction, and no row is rounded differently: the float score is that of the run.
    assert cost["macro_f1_float"] == pytest.approx(summary.pooled.macro_f1, abs=0.05)
    assert found["parity"] is None
    assert found["size_bytes"] < cost["float_bytes"]
    assert len(cost["speed"]["ratios"]) == 3
    with Reporter() as report:
        model = open_model(path, report=report)
        prob = model.predict(photos_of(drawn))
    np.testing.assert_allclose(prob.sum(axis=1), 1, atol=1e-5)
    card = Path(found["card"]).read_text()
    assert f"{cost['macro_f1_int8']:.4f}" in card.split("## 8 bits")[1]
    assert found["sha256"] in card


def test_a_significant_loss_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 200 people, every tenth photo gets another class in 8 bits."""
    from maskcls.export.int8 import held_out
    from maskcls.groupnouns import Noun
    from maskcls.results.comparison.int8_cost import Int8Cost, int8_cost
    from maskcls.results.comparison.rows import CommonRows

    def large(rows: CommonRows, *, calibration: int, noun: Noun) -> Int8Cost:
        true = np.arange(1000) % rows.space.size
        b = np.where(np.arange(1000) % 10 == 0, 0, true)
        people = [f"p{i // 5}" for i in range(1000)]
        ids = [str(i) for i in range(1000)]
        truth = rows.space.decode(true)
        return int8_cost(CommonRows(ids, true, b, rows.space, truth, people), calibration=calibration, noun=noun)

    monkeypatch.setattr(held_out, "int8_cost", large)
    words = ["export", str(run), "-o", str(tmp_path / "m.onnx"), "--int8", "--calibration", "4", "--check", "0"]

    assert run_app(words) == Exit.RESULT

    assert "lose too much in 8 bits" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
