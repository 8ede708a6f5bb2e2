"""Options of an export that its target does not have are refused before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from finished_run import finish_run

from maskcls.cli import run_app
from maskcls.errors import Exit
from maskcls.export.targets import Target, card_beside, default_output
from maskcls.rundir import RunDir

TARGETS: tuple[Target, ...] = get_args(Target)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finish_run(tmp_path_factory.mktemp("runs") / "a").path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "m.pt2"], "a name that ends in .onnx"),
        (["--to", "torch-export", "-o", "m.onnx"], "a name that ends in .pt2"),
        (["--to", "model-card", "-o", "m.txt"], "a name that ends in .md"),
        (["--to", "safetensors", "--check", "3"], "not compared with the run"),
        (["--to", "model-card", "--check", "3"], "not compared with the run"),
        (["--to", "safetensors", "--decide"], "no place for a decision rule"),
        (["--to", "torch-export", "--int8"], "8 bits are for ONNX files"),
        (["--calibration", "3"], "for exports in 8 bits"),
        (["--max-loss", "0.1"], "for exports in 8 bits"),
        (["--int8", "--calibration", "0"], "ranges need photos"),
        (["--int8", "--max-loss", "2"], "this is no macro-F1"),
        (["--check", "-1"], "there is no such number of photos"),
    ],
)
def test_options_that_do_not_fit(run: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["export", str(run), *words]) == Exit.USAGE
    assert message in capsys.readouterr().err


def test_settings_that_change_nothing_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["export", str(run), "--to", "safetensors", "predict.views=hflip"]) == Exit.CONFIG
    assert run_app(["export", str(run), "device.threads=1"]) == Exit.CONFIG
    assert capsys.readouterr().err.count("does not change the exported model") == 2


def test_a_card_that_exists_is_not_replaced(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.onnx.card.md").write_text("mine")

    assert run_app(["export", str(run), "-o", str(tmp_path / "m.onnx")]) == Exit.BUSY
    assert "m.onnx.card.md" in capsys.readouterr().err


def test_every_target_has_an_output_and_a_card_of_its_own() -> None:
    run = RunDir(Path("r"))
    outputs = [
        default_output(run, to, int8=int8) for to in TARGETS for int8 in ([False, True] if to == "onnx" else [False])
    ]

    cards = {card_beside(output, "onnx", run) for output in outputs if output.suffix == ".onnx"}

    assert len(set(outputs)) == len(outputs) == 5
    assert len(cards) == 2


def test_the_card_alone_needs_no_networks(run: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.md"

    words = ["export", str(run), "--to", "model-card", "-o", str(card), "--licence", "MIT", "predict.views=none"]
    assert run_app(words) == 0

    text = card.read_text()
    assert "MIT" in text
    assert "predict.views=hflip, not with none" in text


def test_a_leaky_run_has_no_people_to_measure_8_bits_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finish_run(tmp_path / "a", leaky=True).path

    assert run_app(["export", str(run), "--int8"]) == Exit.RESULT
    assert "--int8" in capsys.readouterr().err
