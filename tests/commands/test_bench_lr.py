"""maskcls bench lr: losses at rising learning rates, and the rate where they fall fastest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import recipe

from maskcls.cli import run_app


def bench(drawn: Path, *words: str) -> int:
    return run_app(["bench", "lr", str(drawn), *recipe(*words)])


def test_the_rate_is_one_that_was_tried_and_lies_where_the_loss_fell(
    drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("model.backbone=test_convnext", "--steps", "40", "--low", "1e-6", "--high", "10", "--json")
    assert bench(drawn, *words) == 0
    found = json.loads(capsys.readouterr().out)["networks"]["network"]
    assert len(found["rates"]) == 40
    assert (found["rates"][0], found["rates"][-1]) == (pytest.approx(1e-6), pytest.approx(10))
    assert found["lr"] in found["rates"]
    losses = found["losses"]
    assert len(losses) <= 40
    place = found["rates"].index(found["lr"])
    assert losses.index(min(losses)) >= place - 3
    assert min(losses) < losses[0]


def test_what_is_printed_can_be_put_to_use(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(drawn, "model.heads=separate", "--steps", "20", "--high", "10") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["network", "mask", "gender", "age"]
    assert all("optim.lr=" in line for line in lines[1:])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--low", "1", "--high", "1"], "the rates do not rise"),
        (["--low", "0"], "the rates do not rise"),
        (["--high", "inf"], "the rates do not rise"),
        (["--steps", "19"], "too few steps"),
    ],
)
def test_rates_that_make_no_test_are_refused(
    drawn: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(drawn, *words) == 2
    assert message in capsys.readouterr().err
