"""Comparing two runs, predictions or submissions: joined by id; checked with made tables, scipy and plain loops."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score, f1_score
from test_runs import damage, guesses, make, make_leaky, photos, truth

from maskcls.commands.runs.compare import compare, comparison, read_sides
from maskcls.errors import BusyError, DataError, MaskclsError, ResultError, UsageError, WeightsError
from maskcls.labels import CONTEST, Ints, LabelSpace, Task
from maskcls.results.comparison.changes import changes
from maskcls.results.comparison.rows import CommonRows, KnownLabels, joined
from maskcls.results.comparison.scores import Comparison, score_both
from maskcls.results.comparison.sign_test import sign_test
from maskcls.results.predictions import Predictions
from maskcls.results.submissions.write import write_submission
from maskcls.show.answers.comparison import SHOWN_CHANGES, print_comparison, render_comparison

HATS = LabelSpace((Task("hat", ("no", "yes")), Task("beard", ("none", "short", "long"))))


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def put(path: Path, *rows: str, header: str = "ImageID,ans") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def save(path: Path, ids: Sequence[str], labels: Ints, space: LabelSpace = CONTEST) -> Path:
    Predictions(np.array(ids), np.eye(space.size, dtype=np.float32)[labels], space).save(path)
    return path


def found(a: Path, b: Path, answers: Path | None = None) -> Comparison:
    return comparison(*read_sides(a, b), answers)


def printed(result: Comparison, width: int = 100) -> list[str]:
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(render_comparison(result))
    return [line.rstrip() for line in captured.get().splitlines()]


# --- two runs


def test_two_runs_are_scored_by_their_own_truth(tmp_path: Path) -> None:
    a, b = make(tmp_path / "a", share=0.4), make(tmp_path / "b", "folds.seed=1", "optim.lr=1e-3", share=0.7)
    result = found(a.path, b.path)
    verdict, rows = result.verdict, result.rows
    assert verdict
    assert rows.people
    assert (len(rows.ids), len(set(rows.people)), rows.left_out) == (180, 30, (0, 0))
    by_id = dict(zip(photos()["id"], truth().tolist(), strict=True))
    assert rows.joint.tolist() == [by_id[name] for name in rows.ids]
    for labels, share, score in ((rows.a, 0.4, verdict.a), (rows.b, 0.7, verdict.b)):
        of_id = dict(zip(photos()["id"], guesses(share).tolist(), strict=True))  # other folds, so another order
        assert labels.tolist() == [of_id[name] for name in rows.ids]
        assert score.macro_f1 == pytest.approx(f1_score(truth(), guesses(share), average="macro"))
    assert verdict.differences["joint"].value == pytest.approx(verdict.b.macro_f1 - verdict.a.macro_f1)
    for name in ("mask", "gender", "age"):
        parts = [CONTEST.decode(labels)[name] for labels in (truth(), guesses(0.4), guesses(0.7))]
        expected = f1_score(parts[0], parts[2], average="macro") - f1_score(parts[0], parts[1], average="macro")
        assert verdict.differences[name].value == pytest.approx(expected)
        assert verdict.differences[name].low < expected < verdict.differences[name].high
    assert list(result.settings) == [
        ("folds.seed", "0", "1"),
        ("optim.lr", "0.0003", "0.001"),
        ("folds.csv", "another", "another"),
    ]


def test_runs_of_different_folds_are_compared_on_common_rows(tmp_path: Path) -> None:
    a, b = make(tmp_path / "a", folds=(0,)), make(tmp_path / "b", folds=(0, 1), share=0.8)
    count = {path: len(Predictions.load(path / "oof.npz")) for path in (a.path, b.path)}
    result = found(a.path, b.path)
    assert result.rows.left_out == (0, count[b.path] - count[a.path])
    assert len(result.rows.ids) == count[a.path] < count[b.path]
    assert set(result.rows.ids) == set(Predictions.load(a.oof).ids.tolist())
    text = "\n".join(printed(result))
    assert f"left out, only in one of the two: 0 rows of a, {count[b.path] - count[a.path]} rows of b" in text
    assert ("folds trained", "0", "0, 1") in result.settings
    other = make(tmp_path / "c", folds=(1,))
    with pytest.raises(DataError, match="no row in common"):
        found(a.path, other.path)


def test_a_run_against_predictions_of_its_rows(tmp_path: Path) -> None:
    run = make(tmp_path / "a", share=0.4)
    ids = photos()["id"].tolist()
    result = found(run.path, save(tmp_path / "mean.npz", ids[::-1], guesses(0.7)[::-1]))
    assert result.verdict
    assert result.verdict.b.macro_f1 == pytest.approx(f1_score(truth(), guesses(0.7), average="macro"))
    assert result.settings == ()


# --- what cannot be compared


def test_another_truth_for_the_same_id_is_refused(tmp_path: Path) -> None:
    a, b = make(tmp_path / "a"), make(tmp_path / "b")
    answers = put(tmp_path / "t.csv", "i0,normal,male,25,p0", "i7,,,,somebody", header="id,mask,gender,age,person")
    assert truth()[0] == 0  # wear, male, <30: the mask is another one
    with pytest.raises(DataError, match="contradict each other about the same rows") as caught:
        found(a.path, b.path, answers)
    assert caught.value.offenders == ("'i0' mask is wear and normal", "'i7' shows p1 and somebody")


def test_answers_may_add_to_what_a_run_knows(tmp_path: Path) -> None:
    a = save(tmp_path / "a.npz", ["x", "y"], ints(0, 1))
    b = save(tmp_path / "b.npz", ["x", "y"], ints(0, 2))
    sides = read_sides(a, b)
    tables = [
        KnownLabels("one", ["y"], {"mask": ints(-1), "gender": ints(0), "age": ints(2)}),
        KnownLabels("two", ["x", "y"], {"mask": ints(0, 0), "gender": ints(-1, 0), "age": ints(0, -1)}, ["p", "q"]),
    ]
    rows = joined(*sides, tables)
    assert rows.truth
    assert {name: labels.tolist() for name, labels in rows.truth.items()} == {
        "mask": [0, 0],
        "gender": [-1, 0],
        "age": [0, 2],
    }
    assert rows.joint.tolist() == [-1, 2]
    assert rows.people == ["p", "q"]


def test_other_label_spaces_are_refused(tmp_path: Path) -> None:
    a = save(tmp_path / "a.npz", ["x"], ints(0))
    b = save(tmp_path / "b.npz", ["x"], ints(0), HATS)
    with pytest.raises(WeightsError, match="different label spaces") as caught:
        found(a, b)
    assert "'mask'" in str(caught.value)
    assert "'hat'" in str(caught.value)


@pytest.mark.parametrize("how", ["no config", "manifest edited", "env is cut", "no env"])
def test_damaged_and_unfinished_runs_are_refused(how: str, tmp_path: Path) -> None:
    a, b = make(tmp_path / "a"), make(tmp_path / "b")
    damage(a, how)
    with pytest.raises(MaskclsError):
        found(a.path, b.path)
    b.oof.unlink()
    with pytest.raises(ResultError, match="not finished"):
        found(b.path, make(tmp_path / "c").path)
    with pytest.raises(ResultError, match="not a run"):
        found(tmp_path, make(tmp_path / "d").path)


def test_a_leaky_run_and_its_rows_are_refused(tmp_path: Path) -> None:
    honest, leaky = make(tmp_path / "a"), make(tmp_path / "b")
    oof = Predictions.load(leaky.oof)
    Predictions(oof.ids, oof.prob, oof.space, {"parts": [{"leaky": True}]}).save(tmp_path / "rows.npz")
    make_leaky(leaky)
    for path in (leaky.path, tmp_path / "rows.npz"):
        with pytest.raises(ResultError, match="the run is leaky"):
            found(honest.path, path)


def test_small_mistakes_are_refused(tmp_path: Path) -> None:
    a, b = put(tmp_path / "a.csv", "x,0"), put(tmp_path / "b.csv", "x,1")
    with pytest.raises(UsageError, match="the same"):
        compare(a, tmp_path / "." / "a.csv")
    with pytest.raises(UsageError, match="the output is a file that is read"):
        compare(a, b, output=b)
    with pytest.raises(BusyError, match="the output exists"):
        compare(a, b, output=put(tmp_path / "c.csv", "x,1"))
    with pytest.raises(DataError, match="no answer of a common row"):
        found(a, b, put(tmp_path / "t.csv", "y,1"))
    empty = put(tmp_path / "e.csv", "x,wear,,", header="id,mask,gender,age")
    with pytest.raises(DataError, match="leaves labels empty"):
        found(a, empty)


# --- submissions


def test_two_submissions_without_answers_only_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(18, size=400)
    two = np.where(rng.random(400) < 0.8, one, rng.integers(18, size=400))
    a = put(tmp_path / "a.csv", *(f"{i},{one[i]}" for i in range(400)))
    b = put(tmp_path / "b.csv", *(f"{i},{two[i]}" for i in rng.permutation(400)))
    result = compare(a, b)
    print_comparison(result, None, json=True)
    assert result.verdict is None
    assert result.agreement["joint"] == (
        pytest.approx((one == two).mean()),
        pytest.approx(cohen_kappa_score(one, two)),
    )
    assert result.agreement["age"] == (
        pytest.approx((one % 3 == two % 3).mean()),
        pytest.approx(cohen_kappa_score(one % 3, two % 3)),
    )
    assert sum(count for *_, count in result.moves) == result.changed.count == (one != two).sum()
    names = CONTEST.joint_names
    assert {(x, y): n for x, y, n in result.moves} == {
        (names[i], names[j]): int(((one == i) & (two == j)).sum())
        for i in range(18)
        for j in range(18)
        if i != j and ((one == i) & (two == j)).any()
    }
    assert [count for *_, count in result.moves] == sorted((n for *_, n in result.moves), reverse=True)
    data = json.loads(capsys.readouterr().out)
    assert data["scores"] is None
    assert data["changed"]["unknown"] == (one != two).sum()
    text = "\n".join(printed(result))
    assert "no labels are known" in text
    assert "macro-F1" not in text
    rest = result.moves[SHOWN_CHANGES:]
    assert f"{len(rest)} more" in text


def test_two_submissions_with_answers(tmp_path: Path) -> None:
    a = put(tmp_path / "a.csv", "p,0", "q,5", "r,7", "s,2", "only_a,1")
    b = put(tmp_path / "b.csv", "s,2", "r,8", "q,6", "p,1")
    answers = put(tmp_path / "t.csv", "p,0", "q,6", "r,9", "s,3")
    result = found(a, b, answers)
    rows, changed = result.rows, result.changed
    assert (rows.ids, rows.left_out, rows.people) == (["p", "q", "r", "s"], (1, 0), None)
    assert changed.kinds == {"fixed": [1], "broken": [0], "still wrong": [2], "unknown": []}
    assert result.verdict
    assert result.verdict.people is None
    text = "\n".join(printed(result))
    assert "too narrow if rows show the same person" in text
    assert "too small if rows show the same person" in text


def test_the_space_is_that_of_the_sidecar_or_the_others(tmp_path: Path) -> None:
    a, b = tmp_path / "a.csv", put(tmp_path / "b.csv", "x,no,short", "y,yes,long", header="path,hat,beard")
    write_submission(a, header=("path", "ans"), ids=["x", "y"], labels=ints(1, 2), space=HATS, lineage={})
    for result in (found(a, b), found(b, a)):
        assert result.rows.space == HATS
    assert found(a, b).rows.b.tolist() == [1, 5]
    assert found(a, b).agreement["hat"][0] == 0.5


def test_people_of_the_answers_count(tmp_path: Path) -> None:
    a, b = put(tmp_path / "a.csv", "x,0", "y,1", "z,2"), put(tmp_path / "b.csv", "x,0", "y,2", "z,3")
    answers = put(tmp_path / "t.csv", "x,0,ann", "y,2,ann", "z,3,", header="id,ans,person")
    result = found(a, b, answers)
    assert result.rows.people
    assert result.rows.people[:2] == ["ann", "ann"]
    assert len(set(result.rows.people)) == 2  # who is not named is somebody else
    assert result.verdict
    assert result.verdict.people == sign_test(*(np.array(x) > 0 for x in ([1, 0, 0], [1, 1, 1])), ["ann", "ann", "?"])


# --- how sure it is


def test_the_sign_test_against_a_plain_loop() -> None:
    rng = np.random.default_rng(3)
    a, b, who = rng.random(500) < 0.6, rng.random(500) < 0.7, rng.integers(60, size=500)
    better_a = better_b = 0
    for person in range(60):
        right = [sum(side[i] for i in range(500) if who[i] == person) for side in (a, b)]
        better_a, better_b = better_a + (right[0] > right[1]), better_b + (right[1] > right[0])
    test = sign_test(a, b, who)
    assert (test.for_a, test.for_b) == (better_a, better_b)
    assert test.p == pytest.approx(binomtest(better_b, better_a + better_b).pvalue)
    order = rng.permutation(500)
    assert sign_test(a[order], b[order], [f"p{i}" for i in who[order]]) == test
    with pytest.raises(ValueError, match="rows"):
        sign_test(a, b, who[:-1])


def test_a_person_counts_once_however_many_rows_they_have() -> None:
    # One person with 20 rows that b has right, and four with one row each that a has right.
    who = np.array([0] * 20 + [1, 2, 3, 4])
    a, b = np.array([False] * 20 + [True] * 4), np.array([True] * 20 + [False] * 4)
    test = sign_test(a, b, who)
    assert (test.for_a, test.for_b) == (4, 1)
    assert test.p == pytest.approx(binomtest(1, 5).pvalue)
    rows = CommonRows(
        [str(i) for i in range(24)],
        np.where(a, 0, 1),
        np.where(b, 0, 1),
        CONTEST,
        CONTEST.decode(ints(*[0] * 24)),
        [f"p{i}" for i in who],
    )
    verdict = score_both(rows)
    assert verdict.people == test
    assert verdict.p_rows == pytest.approx(binomtest(4, 24).pvalue)


def test_truth_known_in_part() -> None:
    known = {"mask": ints(0, 0, 1), "gender": ints(-1, -1, -1), "age": ints(0, -1, 2)}
    rows = CommonRows(["x", "y", "z"], ints(0, 0, 0), ints(0, 6, 8), CONTEST, known)
    verdict = score_both(rows)
    assert set(verdict.differences) == {"mask", "age"}
    assert changes(rows).kinds == {"fixed": [], "broken": [], "still wrong": [], "unknown": [1, 2]}
    result = Comparison(("a", "b"), rows, changes(rows), {"joint": (0.5, 0.5)}, [], verdict)
    text = "\n".join(printed(result))
    assert "3 rows have unknown labels" in text
    assert "no row has a label for every task" in text


# --- what is written and printed


def test_the_changed_rows_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = put(tmp_path / "a.csv", "p,0", "q,5", "r,7", "s,2", '"t,""1"",x",3')
    b = put(tmp_path / "b.csv", "p,1", "q,6", "r,8", "s,2", '"t,""1"",x",4')
    answers = put(
        tmp_path / "t.csv",
        "p,wear,male,20",
        "q,incorrect,male,25",
        "r,normal,male,",
        "s,wear,male,80",
        header="id,mask,gender,age",
    )
    out = tmp_path / "changed.csv"
    print_comparison(compare(a, b, answers=answers, output=out), out)
    rows = list(csv.reader(io.StringIO((tmp_path / "changed.csv").read_text())))
    names = CONTEST.joint_names
    assert rows == [
        ["id", "truth", "a", "b"],
        ["p", "wear/male/<30", names[0], names[1]],
        ["q", "incorrect/male/<30", names[5], names[6]],
        ["r", "normal/male/?", names[7], names[8]],
        ['t,"1",x', "?/?/?", names[3], names[4]],
    ]
    assert "changed.csv  4 rows" in capsys.readouterr().out
    content = out.read_bytes()
    out.write_text("mine")
    with pytest.raises(BusyError, match="the output exists"):
        compare(a, b, answers=answers, output=out)
    assert out.read_text() == "mine"
    compare(a, b, answers=answers, output=out, force=True)
    assert out.read_bytes() == content


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_terminal(width: int, tmp_path: Path) -> None:
    a, b = make(tmp_path / "a", share=0.4), make(tmp_path / "b", "loss.age=focal", "model.heads=separate", share=0.7)
    result = found(a.path, b.path)
    result = replace(result, settings=[*result.settings, ("folds.csv", "another", "another")])
    lines = printed(result, width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines if ", …" not in line)
    verdict = result.verdict
    assert verdict
    d, text = verdict.differences["joint"], " ".join(" ".join(lines).split())
    for words in (
        f"macro-F1 a {verdict.a.macro_f1:.4f} b {verdict.b.macro_f1:.4f} b - a {d.value:+.4f}",
        f"95 % interval {d.low:+.4f} to {d.high:+.4f}, over people",
        f"only b right {len(result.changed.fixed)}",
        "model.heads multi separate",
        "folds.csv different folds",
    ):
        assert words in text
    kinds = result.changed.kinds
    assert len(kinds["fixed"]) > 3
    first = ", ".join(result.rows.ids[row] for row in kinds["fixed"][:3])
    assert f"{first}, …" in text


def test_ids_that_need_a_second_line_keep_their_indent(tmp_path: Path) -> None:
    a, b = make(tmp_path / "a", share=0.4), make(tmp_path / "b", share=0.7)
    result = found(a.path, b.path)
    lines = printed(result, 28)
    start = next(i for i, line in enumerate(lines) if line.startswith("only b right "))
    column = lines[start].index(result.rows.ids[result.changed.kinds["fixed"][0]])
    block = lines[start : next(i for i, line in enumerate(lines) if line.startswith("both wrong "))]
    further = [line for line in block if line[0] == " "]
    assert further
    assert {len(line) - len(line.lstrip()) for line in further} == {column}


def test_json_holds_every_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = make(tmp_path / "a", share=0.4), make(tmp_path / "b", share=0.7)
    result = compare(a.path, b.path)
    print_comparison(result, None, json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    data: dict[str, Any] = json.loads(out)
    assert result.verdict
    assert data["scores"]["a"]["macro_f1"] == result.verdict.a.macro_f1
    assert data["differences"]["age"]["low"] == result.verdict.differences["age"].low
    assert data["people_sign_test"]["for_b"] == result.verdict.people.for_b if result.verdict.people else False
    assert (data["rows"], data["people"], data["left_out"]) == (180, 30, {"a": 0, "b": 0})
    assert sum(data["changed"].values()) == result.changed.count


def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    a, b = put(tmp_path / "a.csv", "\x1b[31mx,0"), put(tmp_path / "b.csv", "\x1b[31mx,1")
    result = found(a, b, put(tmp_path / "t.csv", "\x1b[31mx,1"))
    assert not any("\x1b" in line for line in printed(result))


def test_equal_labels_of_one_class_have_no_kappa(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(compare(put(tmp_path / "a.csv", "x,0"), put(tmp_path / "b.csv", "x,0")), None, json=True)
    assert json.loads(capsys.readouterr().out)["agreement"]["joint"] == {"share": 1.0, "kappa": None}
