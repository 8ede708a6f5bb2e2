"""The table of epochs: it fits the terminal, its lines are aligned, and the names are printed where they change."""

from __future__ import annotations

import io
import math
import re

import pytest
from rich.console import Console

from maskcls.engine.fit import EpochResult
from maskcls.groupnouns import PEOPLE
from maskcls.show.terminal.epoch_lines import epoch_cells, epoch_columns, epoch_legend, header_line, table_line
from maskcls.show.terminal.progress import Reporter

SCORES = {"macro_f1": 0.0233, "loss": 2.9, "mask": 0.278, "gender": 0.375, "age": 0.234}


def result(
    epoch: int = 0, *, best: bool = True, scores: dict[str, float] = SCORES, speed: float = 1030.4
) -> EpochResult:
    return EpochResult(epoch, 9, 0.1, {"loss": 2.7321}, scores, 4.6, speed, best)


def lines(title: str, epochs: int, width: int | None, **given: object) -> list[str]:
    cells = epoch_cells(title, epochs, result(**given))  # type: ignore[arg-type]
    columns = epoch_columns(cells, width)
    return [header_line(columns), table_line(cells, columns)]


def test_a_whole_line() -> None:
    assert lines("fold 0", 20, None) == [
        "network   epoch     loss  macro-F1     mask  gender    age    time   img/s",
        "fold 0     1/20    2.732    0.0233 *  0.278   0.375  0.234     5 s    1030",
    ]
    assert lines("fold 0", 20, None, best=False)[1].split()[4:6] == ["0.0233", "0.278"]


@pytest.mark.parametrize("title", ["fold 0", "all rows", "fold 3 continued", "gender-seed12 fold 10"])
@pytest.mark.parametrize("width", [56, 80, 140])
def test_lines_fit_and_what_matters_most_stays(title: str, width: int) -> None:
    header, line = lines(title, 100, width)
    assert len(header) <= width
    assert len(line) <= width
    assert header.split()[:4] == ["network", "epoch", "loss", "macro-F1"]


def test_the_least_important_columns_go_first() -> None:
    names = [header.split()[4:] for header in (lines("fold 0", 20, width)[0] for width in (74, 73, 65, 57, 50, 42, 10))]
    assert names == [
        ["mask", "gender", "age", "time", "img/s"],
        ["mask", "gender", "age", "time"],
        ["mask", "gender", "age"],
        ["mask", "gender"],
        ["mask"],
        [],
        [],
    ]


def test_a_network_without_scores_has_no_star() -> None:
    without = dict.fromkeys(SCORES, math.nan)
    (_, line) = lines("all rows", 3, None, scores=without)
    assert line.split() == ["all", "rows", "1/3", "2.732", *"----", "5", "s", "1030"]


def test_lines_of_all_folds_are_aligned_and_the_names_are_printed_once() -> None:
    with Reporter() as report:
        report.console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None, highlight=False)
        for title in ("fold 0", "fold 1", "all rows"):
            report.fold(title, 12, 0)
        report.epoch("fold 0", result(0))
        report.epoch("fold 1", result(0, speed=98.0, best=False))
        report.epoch("all rows", result(11))
        report.fold("fold 0 continued", 2, 0)
        report.epoch("fold 0 continued", result(1))
        written = report.console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    start = next(i for i, line in enumerate(written) if line.startswith("network"))
    assert " ".join(line.strip() for line in written[:start]) == epoch_legend(PEOPLE)
    written = ["", *written[start:]]
    assert [line.split()[0] for line in written[1:]] == ["network", "fold", "fold", "all", "network", "fold"]
    assert len({[found.end() for found in re.finditer(r"\d\.\d{3}\b", line)][-1] for line in written[2:5]}) == 1
    assert max(map(len, written)) <= 80
