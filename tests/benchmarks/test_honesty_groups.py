"""The check of promised gains of groups runs on few drawn people, and finds what it is there to find."""

from __future__ import annotations

import runpy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from project import BENCHMARKS_DIR


@pytest.fixture(scope="module")
def script() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(BENCHMARKS_DIR / "honesty" / "groups.py")))


def test_a_row_has_the_promises_and_the_truth(script: SimpleNamespace) -> None:
    words = ["--seed", "3", "simulate", "--people", "40", "--repeats", "2", "--noise", "0.1", "--sizes", "1", "2"]
    lines = list(script.simulate(script.argument_parser().parse_args(words)))
    assert [line.split("|")[1].strip() for line in lines] == ["0.1, 1 n", "0.1, 2 n"]
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 1 + len(script.HEAD) + 3
        assert float(cells[1]) == 1.0  # people apart: held-out pair precision
        assert cells[5] in ("0.000", "0.500", "1.000")


def learned(script: SimpleNamespace, noise: float, people: int = 60) -> Any:
    rng = np.random.default_rng(0)
    known = script.draw_people(people, noise, 1.0, rng)
    return script.learn_looks(known, script.train_folds(known, script.train_kernel, rng), rng)


def test_whole_groups_show_what_cut_ones_hide(script: SimpleNamespace) -> None:
    apart, alike = learned(script, 0.05), learned(script, 0.6)
    assert apart.measured.gain.whole == apart.measured.gain.cut
    assert alike.measured.gain.precision < 0.8
    assert alike.measured.gain.whole.value < alike.measured.gain.cut.value - 0.01
    assert alike.measured.gain.way == "whole"


def test_noise_makes_the_looks_worse_and_nothing_else(script: SimpleNamespace) -> None:
    photos = script.draw_people(5, 0.1, 1.0, np.random.default_rng(0))
    other = script.blurred(photos, 2.0, np.random.default_rng(1))
    assert 1.5 < (other.look - photos.look).std() < 2.5
    assert other.face is photos.face
