"""What a dry run shows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from maskcls.schema import Config
from maskcls.show.runs.forecast import Forecast, Rates, Survey, print_forecast, print_survey

ONE = Forecast(2, 3, 150.0, 5 * 2**20, 7 * 2**20, 4, "4 steps of each network", "cpu", Path("runs/a"))


def test_a_forecast_names_time_disk_memory_and_what_it_was_measured_on(capsys: pytest.CaptureFixture[str]) -> None:
    print_forecast(ONE)
    assert capsys.readouterr().out.split("\n") == [
        "",
        "forecast: 2 folds x 3 networks, about 2.5 min, 5 MiB on disk, 7 MiB of memory",
        "measured on 4 steps of each network on cpu",
        "run folder: runs/a (nothing was written)",
        "",
    ]


@pytest.mark.parametrize(("gamma", "end"), [(None, ""), (0.5, ", times 0.5 where the score stands still")])
def test_a_survey_draws_the_learning_rates(capsys: pytest.CaptureFixture[str], gamma: float | None, end: str) -> None:
    cfg = Config()
    manifest = pd.DataFrame({name: pd.array([0, 1], "Int8") for name in cfg.space.names})
    manifest = manifest.assign(id=["a", "b"], person=["p", "q"], source="real")
    folds = pd.DataFrame({"id": ["a", "b"], "fold": [0, 1]})
    rates = Rates("age", (1e-4, 1e-3, 5e-4, 1e-5), epochs=2, gamma=gamma)
    print_survey(Survey(manifest, folds, (rates,)), cfg)
    lines = capsys.readouterr().out.rstrip().splitlines()
    text = " ".join(" ".join(lines[:-1]).split())
    assert lines[-1] == "  ▂█▄▁"
    assert "network resnet18, " in text
    assert "learning rate of age " in text
    assert text.endswith(f"1.0e-05 to 1.0e-03, 2 epochs of 2 steps{end}")


def test_only_the_main_process_prints(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    print_forecast(ONE)
    assert capsys.readouterr().out == ""
