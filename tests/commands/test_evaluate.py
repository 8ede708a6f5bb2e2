"""evaluate: joined by id, refused when it would be guesswork, and shown within any width."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from made_run import answers_csv, make_run, predictions_for
from sklearn.metrics import (
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from maskcls.cli import run_app
from maskcls.commands import evaluate as evaluate_module
from maskcls.commands.evaluate import evaluate, rows_as_csv
from maskcls.errors import BusyError, DataError, Exit, ResultError, UsageError
from maskcls.groupnouns import PEOPLE
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.predictions import Predictions
from maskcls.results.scores import evaluation
from maskcls.results.scores.evaluation import Evaluation
from maskcls.results.scores.intervals import Interval, macro_f1_intervals
from maskcls.results.scores.metrics import Scores, score
from maskcls.results.scores.slices import Slice
from maskcls.results.submissions.write import write_submission
from maskcls.runs.read_labelled import read_labelled_predictions, read_submission
from maskcls.runs.summary import RunSummary, write_summary
from maskcls.show.answers.evaluation import (
    _slice_table,
    print_evaluation,
    print_scores,
    render_evaluation,
    render_scores,
)
from maskcls.show.terminal.json_output import print_json

HATS = LabelSpace((Task("hat", ("no", "[red]yes[/red] :smile:")),))


def scored(submission: Path, answers: Path, space: LabelSpace | None = None) -> Scores:
    """Score a submission on known answers."""
    labelled = read_submission(submission, answers, space)
    return score(labelled.pred_N, labelled.truth, labelled.space)


def shown(
    what: Path, answers: Path | None = None, *, output: Path | None = None, force: bool = False, json: bool = False
) -> Evaluation:
    """Evaluate and print."""
    found = evaluate(what, answers, output=output, force=force)
    print_evaluation(found, json=json)
    return found


def put(path: Path, *rows: str, header: str = "ImageID,ans") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_rows_are_joined_by_id(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth, pred = rng.integers(18, size=(2, 300))
    pred = np.where(rng.random(300) < 0.6, truth, pred)
    answers = put(tmp_path / "answers.csv", *(f"00{i},{truth[i]}" for i in range(300)))
    guess = put(tmp_path / "submission.csv", *(f"00{i},{pred[i]}" for i in rng.permutation(300)))
    scores = scored(guess, answers)
    assert scores.macro_f1 == pytest.approx(f1_score(truth, pred, average="macro"))
    assert scores.tasks["age"].macro_f1 == pytest.approx(f1_score(truth % 3, pred % 3, average="macro"))
    assert (scores.rows, scores.classes_scored, list(scores.tasks)) == (300, 18, ["mask", "gender", "age"])


def test_ids_that_differ_are_named(tmp_path: Path) -> None:
    guess, answers = put(tmp_path / "s.csv", "a,0", "b,1"), put(tmp_path / "t.csv", "b,1", "c,2", "1,3", "01,3", "d,4")
    with pytest.raises(DataError) as caught:
        scored(guess, answers)
    text = str(caught.value)
    assert "s.csv (2 ids)" in text
    assert "t.csv (5 ids)" in text
    assert "'a'; 4 only in" in text
    assert "'01', '1', 'c' …" in text


def test_answers_known_in_part(tmp_path: Path) -> None:
    guess = put(tmp_path / "s.csv", "a,0", "b,17")
    answers = put(tmp_path / "t.csv", "a,wear,,", "b,normal,female,71", header="path,mask,gender,age")
    scores = scored(guess, answers)
    assert (scores.rows, scores.tasks["mask"].rows, scores.tasks["gender"].rows) == (1, 2, 1)
    assert scores.macro_f1 == 1.0


def test_no_known_answer_and_unanswered_rows_are_refused(tmp_path: Path) -> None:
    header = "path,mask,gender,age"
    full, empty = "a,wear,male,20", "a,,,"
    with pytest.raises(DataError, match="the answers hold no label"):
        scored(put(tmp_path / "s.csv", full, header=header), put(tmp_path / "t.csv", empty, header=header))
    with pytest.raises(DataError, match="leaves labels empty") as caught:
        scored(put(tmp_path / "s.csv", "a,wear,male,", header=header), put(tmp_path / "t.csv", full, header=header))
    assert caught.value.offenders == ("'a'",)


def test_the_space_comes_from_the_argument_the_sidecar_or_the_contest(tmp_path: Path) -> None:
    ids, labels = ["a", "b"], np.array([0, 1])
    guess = tmp_path / "s.csv"
    write_submission(guess, header=("path", "ans"), ids=ids, labels=labels, space=HATS, lineage={})
    answers = put(tmp_path / "t.csv", "a,no", "b,no", header="path,hat")
    scores = scored(guess, answers)
    assert list(scores.tasks) == ["hat"]
    assert scores.accuracy == 0.5
    assert len(scored(guess, put(tmp_path / "u.csv", "a,0", "b,1"), CONTEST).joint.classes) == 18
    (tmp_path / "s.json").unlink()
    assert len(scored(guess, put(tmp_path / "u.csv", "a,0", "b,1")).joint.classes) == 18


def test_a_submission_changed_after_it_was_written_is_refused(tmp_path: Path) -> None:
    guess = tmp_path / "s.csv"
    write_submission(guess, header=("path", "ans"), ids=["a"], labels=np.array([0]), space=HATS, lineage={})
    put(guess, "a,1")
    with pytest.raises(DataError, match="does not match its sidecar"):
        scored(guess, put(tmp_path / "t.csv", "a,1"))


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    scores = score(np.array([0, 1]), {"hat": np.array([0, 1])}, HATS)
    print_json(scores.to_json())
    out = capsys.readouterr().out
    assert json.loads(out) == {"version": 1} | scores.to_json()
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
        console.print(render_scores(scores))
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


# ---- everything there is to say --------------------------------------------------------------------------------------

KEYS = [
    "macro_f1", "accuracy", "rows", "classes_scored", "classes", "tasks", "interval", "prediction_interval", "people",
    "confusion", "mistakes", "slices", "last_band", "consistency", "ranking", "calibration", "folds", "adapted",
]  # fmt: skip


def random_rows(seed: int, *, people: bool = True) -> LabelledPredictions:
    """Three photos a person; joint classes are absent and labels unknown here and there."""
    rng = np.random.default_rng(seed)
    person_N = rng.choice(6, size=3, replace=False)[rng.integers(3, size=50)]  # gender and age
    truth_N = rng.choice(3, size=2, replace=False)[rng.integers(2, size=150)] * 6 + np.repeat(person_N, 3)
    truth = CONTEST.decode(truth_N)
    for name in CONTEST.names:
        truth[name][rng.random(150) < 0.1] = -1
    prob_NJ = rng.dirichlet(np.full(18, 0.3), 150)
    prob_NJ[np.arange(150), truth_N] += rng.random(150)
    prob_NJ = (prob_NJ / prob_NJ.sum(axis=1, keepdims=True)).astype(np.float32)
    people_N = np.repeat([f"p{i}" for i in range(50)], 3) if people else None
    return LabelledPredictions([str(i) for i in range(150)], prob_NJ.argmax(axis=1), truth, CONTEST, prob_NJ, people_N)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")  # absent classes; 0 is the answer
def test_every_number_equals_scikit_learn(seed: int) -> None:
    labelled = random_rows(seed)
    data = json.loads(json.dumps(evaluation.evaluate_predictions(labelled).to_json(), allow_nan=False))
    assert list(data) == KEYS
    prob = {"": labelled.prob_NJ, **CONTEST.marginals(labelled.prob_NJ)}
    truth = {"": CONTEST.encode(labelled.truth), **labelled.truth}
    given = {"": labelled.pred_N, **CONTEST.decode(labelled.pred_N)}
    for name in ("", *CONTEST.names):
        known = truth[name] >= 0
        true_N, pred_N, prob_NC = truth[name][known], given[name][known], prob[name][known].astype(np.float64)
        classes = range(prob_NC.shape[1])
        of = data["tasks"][name] if name else data
        assert of["macro_f1"] == pytest.approx(f1_score(true_N, pred_N, average="macro"))
        table = precision_recall_fscore_support(true_N, pred_N, labels=classes, zero_division=0)
        mine = [[one[key] for one in of["classes"]] for key in ("precision", "recall", "f1", "support")]
        assert np.allclose(mine, np.array(table))
        ranks = data["ranking"]["tasks"][name] if name else data["ranking"]
        for label, value in zip(classes, ranks["auc_by_class"], strict=True):
            if 0 < (true_N == label).sum() < len(true_N):
                assert value == pytest.approx(roc_auc_score(true_N == label, prob_NC[:, label]))
            else:
                assert value is None
        quality = data["calibration"]["tasks"][name] if name else data["calibration"]["joint"]
        sums = prob_NC / prob_NC.sum(axis=1, keepdims=True)
        assert quality["log_loss"] == pytest.approx(log_loss(true_N, sums, labels=list(classes)), rel=1e-5)  # sums of 1
        if name:
            found = data["confusion"][name]
            assert found["counts"] == confusion_matrix(true_N, pred_N, labels=classes).tolist()
            shares = confusion_matrix(true_N, pred_N, labels=classes, normalize="true")
            assert np.allclose([[share or 0 for share in row] for row in found["shares"]], shares)
            assert found["kappa"] == pytest.approx(cohen_kappa_score(true_N, pred_N))


def test_the_intervals_are_over_people_where_they_are_known_and_rows_elsewhere() -> None:
    for people in (True, False):
        labelled = random_rows(0, people=people)
        found = evaluation.evaluate_predictions(labelled)
        who = labelled.people_N if people else range(150)
        truth = CONTEST.encode(labelled.truth)
        expected = macro_f1_intervals(truth, labelled.pred_N, list(who), 18)
        assert (found.interval, found.prediction) == (expected.confidence, expected.prediction)
        data = found.to_json()
        known = np.array(list(who))[truth >= 0]
        assert data["prediction_interval"]["people"] == len(set(known.tolist()))
        assert (data["interval"]["by"], data["people"]) == (("person", 50) if people else ("row", None))
        assert (data["consistency"] is None) == (not people)


def test_without_a_row_known_in_full_there_is_no_interval() -> None:
    truth = {"mask": np.array([0, 1]), "gender": np.array([0, -1]), "age": np.array([-1, 0])}
    data = evaluation.evaluate_predictions(LabelledPredictions(["a", "b"], np.array([0, 6]), truth, CONTEST)).to_json()
    assert (data["interval"], data["macro_f1"], data["mistakes"]) == (None, None, [])
    assert data["tasks"]["mask"]["accuracy"] == 1.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> Path:
    """A finished run on drawn faces, of probabilities nobody trained."""
    return make_run(tmp_path_factory.mktemp("made") / "run", drawn).path


def test_a_run_is_scored_on_its_own_rows(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(made, json=True)
    data = json.loads(capsys.readouterr().out)
    assert data == {"version": 1} | found.to_json()
    oof = Predictions.load(made / "oof.npz")
    lines = [line.split(",") for line in (made / "manifest.csv").read_text().splitlines()[1:]]
    row_of = {cells[0]: cells for cells in lines}
    columns = (made / "manifest.csv").read_text().splitlines()[0].split(",")
    labels = [[int(row_of[name][columns.index(task)]) for task in CONTEST.names] for name in oof.ids.tolist()]
    truth = CONTEST.encode(dict(zip(CONTEST.names, np.array(labels).T, strict=True)))
    assert data["macro_f1"] == pytest.approx(f1_score(truth, oof.labels(), average="macro"))
    assert (data["rows"], data["people"], list(data["folds"])) == (84, 12, ["0", "1"])
    assert sum(fold["rows"] for fold in data["folds"].values()) == 84
    people = [row_of[name][columns.index("person")] for name in oof.ids.tolist()]
    expected = macro_f1_intervals(truth, oof.labels(), people, 18).confidence
    assert (data["interval"]["low"], data["interval"]["high"]) == (expected.low, expected.high)
    assert list(data["consistency"]["tasks"]) == ["gender", "age"]


def test_a_run_that_cannot_be_scored_is_refused(made: Path, tmp_path: Path, drawn: Path) -> None:
    with pytest.raises(UsageError, match="a run has the labels"):
        shown(made, drawn / "eval" / "answers.csv")
    with pytest.raises(ResultError, match="not a run"):
        shown(tmp_path)
    run = make_run(tmp_path / "run", drawn)
    run.oof.rename(tmp_path / "oof.npz")
    with pytest.raises(ResultError, match="not finished"):
        shown(run.path)
    (tmp_path / "oof.npz").rename(run.oof)
    run.manifest.write_text(run.manifest.read_text().replace(",0,", ",1,", 1))
    with pytest.raises(ResultError, match="were changed") as caught:
        shown(run.path)
    assert caught.value.offenders == ("manifest.csv",)


@pytest.mark.parametrize("env", ["{}", "[]", '{"hashes": 3}'])
def test_a_run_whose_env_is_damaged_is_refused(tmp_path: Path, drawn: Path, env: str) -> None:
    run = make_run(tmp_path / "run", drawn)
    run.env.write_text(env)
    with pytest.raises(ResultError, match="unexpected form") as caught:
        shown(run.path)
    assert caught.value.where == str(run.env)


def test_leaky_rows_are_refused(tmp_path: Path, drawn: Path) -> None:
    run = make_run(tmp_path / "run", drawn)
    write_summary(run, RunSummary(leaky=True, pooled=None, interval=None, folds={"0": {}}, sd={}))
    run.oof.unlink()
    with pytest.raises(ResultError, match="the run is leaky"):
        shown(run.path)
    made, answers = predictions_for(4), answers_csv(tmp_path / "answers.csv", 4)
    for lineage, leaky in (
        ({"leaky": False}, False),
        ({"leaky": True}, True),
        ({"of": [{"x": {"leaky": True}}]}, True),
    ):
        Predictions(made.ids, made.prob, made.space, lineage).save(tmp_path / "p.npz")
        with pytest.raises(ResultError, match="the run is leaky") if leaky else nullcontext():
            read_labelled_predictions(tmp_path / "p.npz", answers)


def test_predictions_and_a_submission_of_the_same_rows_score_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions, answers = predictions_for(40), answers_csv(tmp_path / "answers.csv", 40)
    predictions.save(tmp_path / "p.npz")
    labels = zip(predictions.ids.tolist(), predictions.labels().tolist(), strict=True)
    guess = put(tmp_path / "s.csv", *(f"{name},{label}" for name, label in labels))
    of_npz, of_csv = shown(tmp_path / "p.npz", answers, json=True), shown(guess, answers, json=True)
    assert of_npz.scores == of_csv.scores == scored(guess, answers)
    assert of_npz.interval == of_csv.interval
    assert (of_npz.rankings is None, of_csv.rankings is None) == (False, True)
    assert json.loads(capsys.readouterr().out.splitlines()[1])["ranking"] is None
    with pytest.raises(UsageError, match="labels needed"):
        shown(guess)
    with pytest.raises(DataError, match="no such file or folder"):
        shown(tmp_path / "nosuch")
    with pytest.raises(DataError, match="ids of two tables differ"):
        shown(tmp_path / "p.npz", answers_csv(tmp_path / "more.csv", 41))


@pytest.mark.parametrize("name", ["person", "group"])
def test_people_come_from_a_column_of_the_answers(tmp_path: Path, name: str) -> None:
    guess = put(tmp_path / "s.csv", "a,0", "b,1", "c,2")
    answers = put(tmp_path / "t.csv", "c,2,bob", "a,0,ann", "b,1,ann", header=f"ImageID,ans,{name}")
    labelled = read_labelled_predictions(guess, answers)
    assert labelled.people_N is not None
    assert list(zip(labelled.ids, labelled.people_N.tolist(), strict=True)) == [
        ("c", "bob"),
        ("a", "ann"),
        ("b", "ann"),
    ]
    assert labelled.pred_N.tolist() == [2, 0, 1]
    put(answers, "a,0,ann", "b,1,", "c,2,bob", header=f"ImageID,ans,{name}")
    with pytest.raises(DataError, match="without a person") as caught:
        read_labelled_predictions(guess, answers)
    assert caught.value.offenders == ("'b'",)
    put(answers, "a,0,", "b,1,", "c,2,", header=f"ImageID,ans,{name}")
    assert read_labelled_predictions(guess, answers).people_N is None


def test_answers_with_a_split_are_the_rows_of_test_if_these_are_predicted(tmp_path: Path) -> None:
    rows = ["t,train,2,ann", "b,Test,1,bob", "a,test,0,cem"]
    answers = put(tmp_path / "t.csv", *rows, header="path,Split,ans,person")
    labelled = read_labelled_predictions(put(tmp_path / "s.csv", "a,0", "b,2"), answers)
    assert labelled.people_N is not None
    found = zip(labelled.ids, labelled.pred_N.tolist(), labelled.people_N.tolist(), strict=True)
    assert list(found) == [("b", 2, "bob"), ("a", 0, "cem")]
    assert np.array_equal(CONTEST.encode(labelled.truth), [1, 0])
    everything = read_labelled_predictions(put(tmp_path / "u.csv", "a,0", "b,2", "t,2"), answers)
    assert len(everything.ids) == 3
    with pytest.raises(DataError, match="ids of two tables differ"):
        read_labelled_predictions(put(tmp_path / "v.csv", "a,0"), answers)


def test_the_rows_are_written_on_request(tmp_path: Path, made: Path) -> None:
    out = tmp_path / "rows.csv"
    shown(made, output=out, json=True)
    header, *rows = [line.split(",") for line in out.read_text().splitlines()]
    assert header == [
        "id", "person", "fold", "true", "predicted", "true_mask", "mask", "true_gender", "gender", "true_age", "age",
        "prob_true", "prob_predicted", "mask/wear", "mask/incorrect", "mask/normal", "gender/male", "gender/female",
        "age/<30", "age/30-59", "age/>=60",
    ]  # fmt: skip
    oof = Predictions.load(made / "oof.npz")
    assert [row[0] for row in rows] == oof.ids.tolist()
    assert [int(row[4]) for row in rows] == oof.labels().tolist()
    assert [float(row[11]) for row in rows] == pytest.approx(
        [oof.prob[i, int(row[3])] for i, row in enumerate(rows)], rel=1e-5
    )
    # Mask is the slowest of the joint classes: the first six are those of `wear`.
    assert [float(row[13]) for row in rows] == pytest.approx(oof.prob[:, :6].sum(axis=1).tolist(), rel=1e-6)
    with pytest.raises(BusyError, match="the output exists"):
        shown(made, output=out, json=True)
    shown(made, output=out, json=True, force=True)
    with pytest.raises(UsageError, match="the output is a file that is read"):
        shown(made, output=made / "oof.npz", json=True, force=True)


def test_unknown_labels_leave_their_cells_empty() -> None:
    truth = {"hat": np.array([-1, 1])}
    prob_NJ = np.array([[0.75, 0.25], [0.75, 0.25]], dtype=np.float32)
    text = rows_as_csv(LabelledPredictions(["a", "b"], np.array([0, 0]), truth, HATS, prob_NJ)).decode()
    assert text.splitlines()[1:] == ["a,,0,,no,,0.75,0.75,0.25", "b,1,0,[red]yes[/red] :smile:,no,0.25,0.75,0.75,0.25"]


@pytest.mark.parametrize("section", ["all", "scores", "confusion", "slices", "people"])
@pytest.mark.parametrize("people", [True, False])
def test_every_section_fits_80_columns(section: str, people: bool) -> None:
    from rich.console import Console

    console = Console(width=80, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(render_evaluation(evaluation.evaluate_predictions(random_rows(3, people=people)), section))
    text = captured.get()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert text.startswith("macro-F1 ")
    words = {"scores": "joint class", "confusion": "kappa", "slices": "true class", "people": "equal pairs of photos"}
    for name, word in words.items():
        wanted = section in ("all", name) and (people or name != "people")
        assert (word in text) == wanted or (name == "scores" and section == "slices"), (name, section)
    assert ("from 50 people" in text) == (" new people" in text) == people
    assert ("too narrow" in text) == (not people)


def screen(rows: LabelledPredictions) -> list[str]:
    """Return the lines of the short form in a terminal of 80 columns."""
    from rich.console import Console

    console = Console(width=80, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(render_evaluation(evaluation.evaluate_predictions(rows), "short"))
    return captured.get().splitlines()


def test_the_short_form_names_a_mistake_with_its_images_and_none_where_all_is_right() -> None:
    truth = {"digit": np.array([0, 0, 1])}
    space = LabelSpace((Task("digit", ("3", "5")),))
    wrong = screen(LabelledPredictions(["a", "b", "c"], np.array([0, 1, 1]), truth, space))
    assert "most frequent mistake: 3 taken for 5 (1 image)" in wrong
    assert "lowest: 3  0.5000 of 2 images right" in wrong
    right = screen(LabelledPredictions(["a", "b", "c"], truth["digit"], truth, space))
    assert not any(line.startswith(("lowest", "most frequent")) for line in right)


@pytest.mark.parametrize("people", [True, False])
def test_the_short_form_is_a_screenful(people: bool) -> None:
    lines = screen(random_rows(3, people=people))
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("  ")] == [
        *("wear", "incorrect", "normal", "male", "female", "<30", "30-59", ">=60")
    ]
    assert lines[-1] == "more: --full, or --section scores, confusion, slices or people"
    assert any(line.startswith("lowest: ") for line in lines)
    assert any(line.startswith("most frequent mistake: ") for line in lines)


def test_the_short_form_of_many_tasks_folds_and_long_names_is_a_screenful_too() -> None:
    rng = np.random.default_rng(0)
    space = LabelSpace(tuple(Task(f"{'long_' * 9}{i}", ("a" * 60, "b" * 60)) for i in range(12)))
    truth = {task.name: rng.integers(0, 2, 300) for task in space.tasks}
    folds_N, pred_N = np.arange(300) % 20, rng.integers(0, space.size, 300)
    lines = screen(LabelledPredictions([str(i) for i in range(300)], pred_N, truth, space, fold_N=folds_N))
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert sum("long_long_" in line for line in lines) == 11
    assert lines[-1].startswith("1 task more; more: --full")
    assert any(line.startswith("per fold  0.") and line.endswith("(20 folds)") for line in lines)


@pytest.mark.parametrize(("words", "section"), [([], "short"), (["--full"], "all"), (["--section", "all"], "all")])
def test_full_prints_all_sections(
    words: list[str], section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = random_rows(3)
    monkeypatch.setattr(evaluate_module, "read_labelled_predictions", lambda what, answers: rows)
    assert run_app(["evaluate", str(tmp_path), *words]) == 0
    said = capsys.readouterr().out
    assert ("equal pairs of photos" in said) == (section == "all")


def test_full_and_one_section_contradict_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["evaluate", str(tmp_path), "--full", "--section", "people"]) == Exit.USAGE
    assert "--section people" in capsys.readouterr().err


def test_the_longest_joint_class_stays_whole_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    classes = {"mask": "incorrect", "gender": "female", "age": "30-59"}
    tasks = dict.fromkeys(classes, 0.5)
    table = _slice_table("lowest classes", [Slice(classes, 1000, 900, 0.25, Interval(0.1, 0.9, 0.95), tasks)], PEOPLE)
    Console(width=80, highlight=False, markup=False, emoji=False).print(table)
    assert capsys.readouterr().out.splitlines()[-1].split() == [
        "incorrect/female/30-59",
        *("1,000", "900", "0.2500", "0.10-0.90", "0.500", "0.500", "0.500"),
    ]
