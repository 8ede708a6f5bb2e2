"""What was tried on the same rows is counted, and corrected for: comparisons, the best of several runs, lists."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score
from test_runs import begin, guesses, photos, train, truth

from maskcls import files
from maskcls.cli import run_app
from maskcls.commands.runs.compare import compare, compare_runs
from maskcls.commands.runs.list import list_runs
from maskcls.data.rows import folds as folding
from maskcls.errors import DataError, UsageError
from maskcls.results.comparison.difference import paired_influence
from maskcls.results.comparison.multiple import simultaneous
from maskcls.results.comparison.optimism import optimism_of_best
from maskcls.results.scores.person_counts import count_people
from maskcls.rundir import RunDir, StudyDir
from maskcls.runs.choices.register import read_register
from maskcls.show.answers.many import optimism_line
from maskcls.training.assemble import assemble


def make(path: Path, share: float, seed: int, *words: str, folds: tuple[int, ...] = (0, 1)) -> Path:
    experiment = begin(path, *words, folds=folds)
    train(experiment, guesses(share, seed), folds)
    assemble(experiment, folds)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four runs; not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "runs"
    for seed, name in enumerate("abcd"):
        make(folder / name, 0.5, seed)
    return folder


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> list[Path]:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return [tmp_path / name for name in "abcd"]


def test_comparisons_of_the_same_rows_are_counted_and_corrected_together(runs: list[Path]) -> None:
    a, b, c, d = runs
    first = compare(a, b)
    assert first.verdict
    assert first.corrected
    p_ab = first.verdict.differences["joint"].p
    assert (first.corrected.count, first.corrected.p, first.corrected.kept) == (1, pytest.approx(p_ab), True)
    again = compare(b, a)  # the other way round is the same comparison
    assert again.corrected
    assert (again.corrected.count, again.corrected.p) == (1, pytest.approx(p_ab))
    second = compare(c, d)
    assert second.verdict
    assert second.corrected
    p = sorted([p_ab, second.verdict.differences["joint"].p])
    expected = [min(1, 2 * p[0]), max(min(1, 2 * p[0]), p[1])]  # Holm, of two
    place = p.index(second.verdict.differences["joint"].p)
    assert (second.corrected.count, second.corrected.p) == (2, pytest.approx(expected[place]))
    assert len(read_register(RunDir(a)).attempts) == 5  # two comparisons; a, b and c, each the first of one


def test_other_rows_are_counted_apart(tmp_path: Path) -> None:
    whole, part = make(tmp_path / "a", 0.5, 0), make(tmp_path / "b", 0.5, 1, folds=(0,))
    found = compare(whole, part)
    assert found.verdict
    assert found.corrected is None
    assert not (tmp_path / "choices.json").exists()


def test_a_difference_that_one_comparison_proves_is_not_proven_by_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, better = make(tmp_path / "base", 0.5, 0), make(tmp_path / "better", 0.62, 0)
    others = [make(tmp_path / f"o{n}", 0.5, n + 1) for n in range(4)]
    alone = compare(base, better)
    assert alone.verdict
    p = alone.verdict.differences["joint"].p
    assert 0.0001 < p < 0.05
    assert run_app(["runs", "compare", str(base), str(better)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "b is better" in text
    assert f"p {p:.4f} of the difference in macro-F1" in text
    assert "corrected" not in text
    assert "correction" not in text
    for n, one in enumerate(others):
        compare(one, base)
        compare(one, others[n - 1])
    assert run_app(["runs", "compare", str(base), str(better)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "corrected for 9 comparisons on these rows (Holm)" in text
    found = compare(base, better)
    assert found.corrected
    assert found.corrected.p == pytest.approx(min(1, 9 * p))  # it has the smallest p of nine
    assert found.corrected.p > 0.05
    assert "no proven difference" in text
    assert f"p {p:.4f} of the difference in macro-F1, " in text
    assert "not proven after correction for 9 comparisons" in text
    assert "(sign test, not corrected)" in text
    assert "(McNemar's test, not corrected)" in text


def test_several_runs_are_compared_with_the_first(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = compare_runs(runs[:3])
    labels = [guesses(0.5, seed) for seed in range(3)]
    scores = [f1_score(truth(), one, average="macro") for one in labels]
    assert found.scores == pytest.approx(scores)
    people = photos()["person"].to_numpy()
    moved = [paired_influence(truth(), labels[0], one, people, 18) for one in labels[1:]]
    assert list(found.differences) == simultaneous(moved)
    fold = folding.from_csv(runs[0] / "folds.csv")["fold"].to_numpy(np.int64)
    answer = np.empty_like(truth())
    for k in (0, 1):
        rest = [f1_score(truth()[fold != k], one[fold != k], average="macro") for one in labels]
        answer[fold == k] = labels[int(np.argmax(rest))][fold == k]
    assert found.best.here == pytest.approx(max(scores))
    assert found.best.others == pytest.approx(f1_score(truth(), answer, average="macro"))
    assert (found.tried, found.rows, found.people) == (2, 180, 30)
    capsys.readouterr()
    assert run_app(["runs", "compare", *map(str, runs), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [one["run"] for one in data["runs"]] == list(map(str, runs))
    assert [one["run"] for one in data["differences"]] == list(map(str, runs[1:]))
    assert data["comparisons"] == 3
    assert run_app(["runs", "compare", *map(str, runs)]) == 0
    text = capsys.readouterr().out
    assert "corrected for 3 comparisons (largest t)" in text
    assert "best of 4 runs: macro-F1" in text


def test_several_must_be_runs_of_the_same_rows(runs: list[Path], tmp_path: Path) -> None:
    part = make(tmp_path / "part", 0.5, 9, folds=(0,))
    with pytest.raises(DataError, match="different rows") as caught:
        compare_runs([runs[0], runs[1], part])
    assert str(part) in str(caught.value.where)
    with pytest.raises(UsageError, match="named twice"):
        compare_runs([runs[0], runs[1], runs[0]])
    with pytest.raises(UsageError, match="if all are runs"):
        compare_runs([runs[0], runs[1], tmp_path / "oof.npz"])
    words = ["runs", "compare", *map(str, runs[:3])]
    assert run_app([*words, "-o", str(tmp_path / "c.csv")]) == 2
    assert run_app([*words, "--answers", str(tmp_path / "c.csv")]) == 2


def test_the_list_scores_the_best_on_other_people(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    home = runs[0].parent
    make(home / "part", 0.9, 9, "folds.k=3", folds=(0,))  # the best, of other rows: no second one to choose from
    assert list_runs([home], base=None, sort="score").best is None
    (home / "part" / "summary.json").unlink()
    expected = compare_runs(runs).best
    found = list_runs([home], base=None, sort="score").best
    assert found
    assert (found.runs, found.tried) == (4, 4)
    assert (found.score.here, found.score.others) == (pytest.approx(expected.here), pytest.approx(expected.others))
    capsys.readouterr()
    assert run_app(["runs", "list", str(home)]) == 0
    assert f"best of 4 runs: macro-F1 {expected.here:.4f}, which is too high by the choice; " in capsys.readouterr().out
    assert run_app(["runs", "list", str(home), "--json"]) == 0
    best = json.loads(capsys.readouterr().out)["best"]
    assert best["others"] == pytest.approx(expected.others)
    assert best["chosen"] == {str(runs[place]): folds for place, folds in expected.chosen.items()}
    assert (best["runs"], best["tried"]) == (4, 4)


def test_a_deleted_run_is_still_counted(runs: list[Path]) -> None:
    import shutil

    compare_runs([runs[3], runs[1], runs[2]])  # registers d, the first
    shutil.rmtree(runs[3])
    found = list_runs([runs[0].parent], base=None, sort="name").best
    assert found
    assert (found.runs, found.tried) == (3, 4)


def test_what_the_choice_is_worth_is_listed_and_compared(
    tmp_path: Path, runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [guesses(0.5, seed) for seed in range(4)]
    people = photos()["person"].to_numpy()
    counts = [count_people(truth(), one, people, 18) for one in labels]
    found = list_runs([tmp_path], base=None, sort="name").best
    assert found is not None
    expected = optimism_of_best(counts)
    assert found.optimism == expected
    assert expected.value > 0.005
    assert run_app(["runs", "list", str(tmp_path)]) == 0
    line = optimism_line(expected)
    assert line in " ".join(capsys.readouterr().out.split())
    many = compare_runs(runs[:3])
    assert many.optimism == optimism_of_best(counts[:3], runs=3)
    compare_runs([runs[3], *runs[:2]])
    again = compare_runs(runs[:3])
    assert again.optimism == optimism_of_best(counts[:3], runs=4)  # the fourth was tried as well
    capsys.readouterr()
    assert run_app(["runs", "compare", *map(str, runs[:3]), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert again.optimism is not None
    assert data["optimism"]["value"] == pytest.approx(again.optimism.value)


def test_trials_of_a_search_are_listed_with_its_own_score(
    tmp_path: Path, runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Three trials of a search alone: no other correction. With a run beside them: both, each under its name."""
    study = StudyDir(tmp_path / "runs" / "study")
    for number in range(3):
        make(study.trial(f"{number:04d}").path, 0.5, number)
    study.facts.write_text("{}")
    other = "runs were tried on these rows"

    def listed() -> tuple[str, dict[str, Any]]:
        capsys.readouterr()
        assert run_app(["runs", "list", str(study.path.parent)]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert run_app(["runs", "list", str(study.path.parent), "--json"]) == 0
        return text, json.loads(capsys.readouterr().out)

    text, found = listed()
    assert other in text  # the search has no result yet
    assert found["searches"] == []
    interval = {"low": 0.38, "high": 0.44, "level": 0.95}
    scored = {
        "macro_f1": 0.41,
        "interval": interval,
        "naive": 0.43,
        "naive_interval": interval,
        "tried": 5,
        "people": 9,
    }
    result = {"sampler": "tpe", "trials": {"done": 3, "pruned": 2}, "best": {"trial": 2, "values": {}}, "kept": []}
    files.commit_json(study.result, files.with_digest({**result, "score": {"how": "corrected", **scored}}))
    text, found = listed()
    assert f"search {study.path}: the best of 5 trials is 0002" in text
    assert "macro-F1 for new people: 0.4100, 95 % interval 0.3800 to 0.4400" in text
    assert "on the rows of the search: 0.4300, which is 0.0200 too high by the choice" in text
    assert other not in text
    assert "best of 3 runs" not in text
    (one,) = found["searches"]
    assert (one["study"], one["best"], one["trials"]) == (str(study.path), str(study.trial("0002").path), 5)
    assert one["score"] == {"how": "corrected", **scored}
    assert found["best"]["runs"] == 3

    make(study.path.parent / "beside", 0.5, 3)
    text, _ = listed()
    assert "macro-F1 for new people: 0.4100" in text
    assert f"4 {other}" in text
    assert "of a search alone, its own score is the better one" in text
    study.result.write_text(study.result.read_text().replace("0.41", "0.91"))
    text, found = listed()
    assert found["searches"] == []
    assert other in text
