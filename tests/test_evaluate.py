"""evaluate: joined by id, refused when it would be guesswork, and shown within any width."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from maskcls.commands.evaluate import evaluate, print_scores, render
from maskcls.errors import DataError
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.metrics import score
from maskcls.results.submission import write_submission

HATS = LabelSpace((Task("hat", ("no", "[red]yes[/red] :smile:")),))


def put(path: Path, *rows: str, header: str = "ImageID,ans") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_rows_are_joined_by_id(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth, pred = rng.integers(18, size=(2, 300))
    pred = np.where(rng.random(300) < 0.6, truth, pred)
    answers = put(tmp_path / "answers.csv", *(f"00{i},{truth[i]}" for i in range(300)))
    guess = put(tmp_path / "submission.csv", *(f"00{i},{pred[i]}" for i in rng.permutation(300)))
    scores = evaluate(guess, answers)
    assert scores.macro_f1 == pytest.approx(f1_score(truth, pred, average="macro"))
    assert scores.tasks["age"].macro_f1 == pytest.approx(f1_score(truth % 3, pred % 3, average="macro"))
    assert (scores.rows, scores.classes_scored, list(scores.tasks)) == (300, 18, ["mask", "gender", "age"])


def test_ids_that_differ_are_named(tmp_path: Path) -> None:
    guess, answers = put(tmp_path / "s.csv", "a,0", "b,1"), put(tmp_path / "t.csv", "b,1", "c,2", "1,3", "01,3", "d,4")
    with pytest.raises(DataError) as caught:
        evaluate(guess, answers)
    text = str(caught.value)
    assert "s.csv (2 ids)" in text
    assert "t.csv (5 ids)" in text
    assert "'a'; 4 only in" in text
    assert "'01', '1', 'c' …" in text


def test_answers_known_in_part(tmp_path: Path) -> None:
    guess = put(tmp_path / "s.csv", "a,0", "b,17")
    answers = put(tmp_path / "t.csv", "a,wear,,", "b,normal,female,71", header="path,mask,gender,age")
    scores = evaluate(guess, answers)
    assert (scores.rows, scores.tasks["mask"].rows, scores.tasks["gender"].rows) == (1, 2, 1)
    assert scores.macro_f1 == 1.0


def test_no_known_answer_and_unanswered_rows_are_refused(tmp_path: Path) -> None:
    header = "path,mask,gender,age"
    full, empty = "a,wear,male,20", "a,,,"
    with pytest.raises(DataError, match="no answer is known"):
        evaluate(put(tmp_path / "s.csv", full, header=header), put(tmp_path / "t.csv", empty, header=header))
    with pytest.raises(DataError, match="leaves labels empty") as caught:
        evaluate(put(tmp_path / "s.csv", "a,wear,male,", header=header), put(tmp_path / "t.csv", full, header=header))
    assert caught.value.offenders == ("'a'",)


def test_the_space_comes_from_the_argument_the_sidecar_or_the_contest(tmp_path: Path) -> None:
    ids, labels = ["a", "b"], np.array([0, 1])
    guess = tmp_path / "s.csv"
    write_submission(guess, header=("path", "ans"), ids=ids, labels=labels, space=HATS, lineage={})
    answers = put(tmp_path / "t.csv", "a,no", "b,no", header="path,hat")
    scores = evaluate(guess, answers)
    assert list(scores.tasks) == ["hat"]
    assert scores.accuracy == 0.5
    assert len(evaluate(guess, put(tmp_path / "u.csv", "a,0", "b,1"), CONTEST).joint.classes) == 18
    (tmp_path / "s.json").unlink()
    assert len(evaluate(guess, put(tmp_path / "u.csv", "a,0", "b,1")).joint.classes) == 18


def test_a_submission_changed_after_it_was_written_is_refused(tmp_path: Path) -> None:
    guess = tmp_path / "s.csv"
    write_submission(guess, header=("path", "ans"), ids=["a"], labels=np.array([0]), space=HATS, lineage={})
    put(guess, "a,1")
    with pytest.raises(DataError, match="sidecar describes"):
        evaluate(guess, put(tmp_path / "t.csv", "a,1"))


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    scores = score(np.array([0, 1]), {"hat": np.array([0, 1])}, HATS)
    print_scores(scores, json=True)
    out = capsys.readouterr().out
    assert json.loads(out) == scores.to_json()
    assert out.count("\n") == 1


def test_tables_hold_every_class_and_take_names_literally(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores(score(np.array([0, 0, 0]), {"hat": np.array([0, 0, -1])}, HATS))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "macro-F1 1.0000   accuracy 1.0000   2 images   1 of 2 classes scored"
    assert [line.split() for line in lines if line.startswith(" 0")] == [
        ["0", "no", "1.0000", "1.0000", "1.0000", "2", "2"]
    ]
    absent = next(line for line in lines if line.startswith(" 1"))
    assert absent.split() == ["1", "[red]yes[/red]", ":smile:", "-", "-", "-", "0", "0"]


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal(width: int) -> None:
    from rich.console import Console

    rng = np.random.default_rng(0)
    scores = score(rng.integers(18, size=500), CONTEST.decode(rng.integers(18, size=500)), CONTEST)
    console = Console(width=width, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(render(scores))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == 1 + 1 + 2 + 3 + 8 + 1 + 2 + 18  # nothing wraps
    assert not any("…" in line for line in lines)


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    space = LabelSpace((Task("t", ("a\x1b[31m", "b")),))
    print_scores(score(np.array([0]), {"t": np.array([0])}, space))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "a\\x1b[31m" in out


def test_importing_it_stays_light() -> None:
    code = "import sys, maskcls.commands.evaluate; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "'numpy'" in loaded
    for heavy in ("torch", "pandas", "scipy", "sklearn", "rich", "pydantic"):
        assert f"'{heavy}'" not in loaded
