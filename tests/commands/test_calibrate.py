"""calibrate: a run folder made by hand in, decision.json out; what it says, and whom it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edited import edit_json

from maskcls import config, files
from maskcls.commands.calibrate import calibrate
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.errors import BusyError, DataError, ResultError, UsageError, WeightsError
from maskcls.labels import CONTEST, Floats, Ints, LabelSpace, Task
from maskcls.results.decisions.bias_correction import bias_corrected
from maskcls.results.decisions.bias_rule import class_shares
from maskcls.results.decisions.calibration import fit_temperatures, quality, scaled, scaled_rows
from maskcls.results.decisions.expected_rule import expected_rule
from maskcls.results.decisions.rule import DecisionRule
from maskcls.results.decisions.shift_rule import shift_rule
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.runs.decision import Decision, read_decision
from maskcls.runs.environment import Environment, this_machine, write_environment
from maskcls.runs.locks import run_lock
from maskcls.runs.summary import RunSummary, SavedScores, write_summary
from maskcls.show.answers.calibration import UNUSED, print_calibration, render_calibration

PEOPLE, PHOTOS, FOLDS = 60, 6, 3


def guesses(truth: dict[str, Ints], sharpness: float, seed: int = 0) -> Floats:
    """Joint rows that know each task a little; odds to the power `sharpness` of what they should be."""
    rng, parts = np.random.default_rng(seed), {}
    for task in CONTEST.tasks:
        evidence = 2 * np.eye(len(task.classes))[truth[task.name]] + rng.normal(
            size=(PEOPLE * PHOTOS, len(task.classes))
        )
        odds = np.exp(sharpness * 2 * evidence)  # the log-likelihood of a normal mean of 2
        parts[task.name] = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return CONTEST.compose(parts)


def make_run(
    path: Path,
    *,
    sharpness: float = 1.0,
    k: int = FOLDS,
    bias: dict[int, float] | None = None,
    unknown: dict[str, Any] | None = None,
) -> RunDir:
    """Write what a finished training leaves, as far as it is read here.

    bias     nats added to joint classes, for a rule to take off again.
    unknown  {task: the folds, or ... for all, in which its labels are not known}.
    """
    run, cfg = RunDir(path), config.load(None, [f"folds.k={k}", "seed=3"])[0]
    who_N = np.repeat(np.arange(PEOPLE), PHOTOS)
    truth = {"mask": np.tile(np.arange(PHOTOS) % 3, PEOPLE), "gender": who_N % 2, "age": who_N // 2 % 3}
    fold_N = who_N % k if k > 1 else np.where(who_N < PEOPLE // 2, 0, -1)
    prob_NJ = guesses(truth, sharpness)
    for label, nats in (bias or {}).items():
        prob_NJ[:, label] *= np.exp(nats)
    prob_NJ /= prob_NJ.sum(axis=1, keepdims=True)
    for name, folds in (unknown or {}).items():
        truth[name] = np.where(True if folds is ... else np.isin(fold_N, folds), -1, truth[name])
    ids = [f"i{row}" for row in range(len(who_N))]
    frame = tables.build(ids, [f"{i}.jpg" for i in ids], CONTEST, person=[f"p{w}" for w in who_N], labels=truth)
    table = folding.from_csv(_written(path / "folds.csv", ids, who_N, fold_N))
    files.commit(run.config, config.to_yaml(cfg).encode())
    files.commit_json(run.labels, CONTEST.to_json())
    files.commit(run.manifest, tables.to_csv(frame))
    files.commit(run.folds, folding.to_csv(table))
    hashes = {p.name: files.file_sha256(p) for p in (run.config, run.labels, run.manifest, run.folds)}
    machine = dict(this_machine("cpu", 1))
    write_environment(run, Environment(data="faces", folds=tuple(range(k)), hashes=hashes, **machine))
    here = np.random.default_rng(1).permutation(np.flatnonzero(fold_N >= 0))  # joined by id, never by position
    Predictions(np.array(ids)[here], prob_NJ[here], CONTEST).save(run.oof)
    write_summary(run, RunSummary(pooled=SavedScores(macro_f1=0.5, tasks={}), interval=None, folds={}, sd={}))
    return run


def _written(path: Path, ids: list[str], who_N: Ints, fold_N: Ints) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (f"{i},p{who},{fold}" for i, who, fold in zip(ids, who_N.tolist(), fold_N.tolist(), strict=True))
    path.write_text("\n".join(["id,person,fold", *rows]) + "\n")
    return path


def truth_of(run: RunDir, predictions: Predictions) -> dict[str, Ints]:
    frame = tables.from_csv(run.manifest, CONTEST).set_index("id", drop=False).loc[predictions.ids.tolist()]
    return tables.labels(frame, CONTEST)


BIASED = {label: 6.0 for label in range(18) if label % 3 == 2}


def test_temperatures_are_those_of_all_rows_and_the_table_that_of_the_other_folds(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", sharpness=3)
    found = calibrate(run)
    oof = Predictions.load(run.oof)
    truth = truth_of(run, oof)
    assert found.decision.temperatures == pytest.approx(fit_temperatures(oof.prob, truth, CONTEST))
    assert found.decision.temperatures["mask"] == pytest.approx(3, rel=0.35)  # 360 rows
    assert (found.rows, found.people, found.groups, found.folds) == (360, 60, 3, True)
    fold_N = np.array([int(i[1:]) // PHOTOS % FOLDS for i in oof.ids.tolist()])
    marginal, after = CONTEST.marginals(oof.prob)["mask"], np.zeros((360, 3))
    for fold in range(FOLDS):
        own = fold_N == fold
        others = fit_temperatures(oof.prob[~own], {n: t[~own] for n, t in truth.items()}, CONTEST)
        after[own] = scaled_rows(marginal[own], others["mask"])
    assert found.before.tasks["mask"].log_loss == pytest.approx(quality(marginal, truth["mask"]).log_loss)
    assert found.after.tasks["mask"].log_loss == pytest.approx(quality(after, truth["mask"]).log_loss, rel=1e-5)
    assert found.after.joint.log_loss < found.before.joint.log_loss


@pytest.mark.parametrize("tried", ["expected", "prior", "shift"])
def test_the_decision_comes_back_from_the_folder(tmp_path: Path, tried: str) -> None:
    run = make_run(tmp_path / "a")
    before = {path.name for path in run.path.iterdir()}
    found = calibrate(run, tried=tried)
    assert {path.name for path in run.path.iterdir()} == before | {"decision.json", ".lock"}
    assert read_decision(run) == found.decision
    assert found.tried == tried
    assert found.decision.oof_sha256 == files.file_sha256(run.oof)
    truth = CONTEST.encode(truth_of(run, Predictions.load(run.oof)))
    assert found.decision.prior == pytest.approx(class_shares(truth, 18).tolist())
    content = run.decision.read_bytes()
    calibrate(run, tried=tried)
    assert run.decision.read_bytes() == content


def test_a_rule_that_is_worth_it_decides(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", bias=BIASED)
    found = calibrate(run, tried="task")
    assert found.nested is not None
    assert found.nested.proven
    decision = read_decision(run)
    assert decision.rule is not None
    assert decision.rule.numbers["age >=60"] < -0.5
    new = Predictions.load(run.oof)
    expected = decision.rule.labels(scaled(new.prob, decision.temperatures, CONTEST))
    assert decision.labels(new).tolist() == expected.tolist() != new.labels().tolist()
    calibrated = decision.probabilities(new)
    np.testing.assert_array_equal(calibrated.prob, scaled(new.prob, decision.temperatures, CONTEST))
    assert calibrated.lineage["temperatures"] == decision.temperatures
    assert calibrated.ids.tolist() == new.ids.tolist()


def test_each_rule_tried_makes_the_next_interval_wider(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", bias=dict.fromkeys(BIASED, 0.8))
    levels = []
    for tried in ("shift", "shift", "expected", "prior", "shift"):
        found = calibrate(run, tried=tried)
        assert found.nested is not None
        assert found.counted
        levels.append((found.rules, found.nested.gain.level, files.read_json(run.decision)["rules"]))
    assert levels == [(n, pytest.approx(1 - 0.05 / n), n) for n in (1, 1, 2, 3, 3)]
    other = make_run(tmp_path / "b", bias=dict.fromkeys(BIASED, 0.7))  # other predictions of the same rows
    assert calibrate(other, tried="task").rules == 1


def test_a_shift_is_corrected_for_the_rows_that_are_asked_about(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", k=5, bias=dict.fromkeys(BIASED, 2.4))  # five folds have equal class shares
    found = calibrate(run, tried="shift")
    assert found.nested is not None
    assert found.nested.proven
    decision, oof = read_decision(run), Predictions.load(run.oof)
    assert decision.rule is not None
    assert decision.prior is not None
    old = CONTEST.decode(oof.labels())["age"] == 2
    prior_J = np.array(decision.prior)
    for rows in (np.arange(len(oof.ids)), np.flatnonzero(old)):
        new = Predictions(oof.ids[rows], oof.prob[rows], CONTEST)
        plain = scaled(new.prob, decision.temperatures, CONTEST)
        prob = bias_corrected(plain, decision.corrections, CONTEST)
        assert np.abs(prob - plain).max() > 0.01
        corrected = shift_rule(prob, prior_J, CONTEST, trust=0.3).adjusted(prob)
        assert decision.labels(new).tolist() == expected_rule(corrected).labels(corrected).tolist()
    assert decision.labels(new).tolist() != decision.rule.labels(prob).tolist()
    path = run.decision
    # Each task's corrections were fitted on the calibrated rows: they mean what the truth is.
    every = bias_corrected(scaled(oof.prob, decision.temperatures, CONTEST), decision.corrections, CONTEST)
    shares_J = class_shares(CONTEST.encode(truth_of(run, oof)), 18)
    for name, share_C in CONTEST.marginals(shares_J[None]).items():
        np.testing.assert_allclose(CONTEST.marginals(every)[name].mean(axis=0), share_C[0], atol=5e-3)
    kept = files.read_json(path)["corrections"]
    edit_json(path, {"corrections": {"age": kept["age"]}})
    with pytest.raises(ResultError, match="the decision cannot be read"):
        read_decision(run)
    edit_json(path, {"corrections": kept})
    assert read_decision(run) == decision
    edit_json(path, {"prior": None})
    with pytest.raises(ResultError, match="the decision cannot be read"):
        read_decision(run)


def test_without_a_worthy_rule_the_most_probable_class_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    found = calibrate(run, tried="task")
    assert found.nested is not None
    assert not found.nested.proven
    new = Predictions.load(run.oof)
    assert read_decision(run).rule is None
    assert read_decision(run).labels(new).tolist() == new.labels().tolist()


def test_a_run_of_one_fold_is_scored_by_groups_of_its_people(tmp_path: Path) -> None:
    found = calibrate(make_run(tmp_path / "a", k=1))
    assert (found.rows, found.people, found.groups, found.folds) == (180, 30, 5, False)
    assert found.nested is not None


def test_labels_of_some_tasks_give_temperatures_and_no_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "a", unknown={"mask": [0], "age": [1, 2], "gender": []})
    with pytest.raises(DataError, match="in one fold only") as caught:
        calibrate(run)
    assert caught.value.offenders == ("age",)
    run = make_run(tmp_path / "b", k=4, unknown={"mask": [0, 1], "age": [2, 3]})
    found = calibrate(run)
    assert (found.nested, found.decision.rule, found.decision.prior) == (None, None, None)
    assert found.before.tasks["age"].rows == 180
    print_calibration(found)
    out = capsys.readouterr().out
    assert "no rule: too few images" in out
    assert "the temperatures are not used either" in " ".join(out.split())
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("joint")] == ["0"]
    assert read_decision(run) == found.decision


def test_a_temperature_that_does_not_help_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = calibrate(make_run(tmp_path / "a"))
    worse = replace(found.before.tasks["age"], log_loss=0.1)
    made_up = replace(found, before=replace(found.before, tasks={**found.after.tasks, "age": worse}))
    print_calibration(made_up)
    out = " ".join(capsys.readouterr().out.split())
    assert "the temperature did not help age: log loss is higher on people it was not fitted on" in out
    print_calibration(replace(found, before=found.after))
    assert "did not help" not in capsys.readouterr().out


def test_predictions_newer_than_the_decision_are_noticed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    calibrate(run)
    oof = Predictions.load(run.oof)
    Predictions(oof.ids, oof.prob[::-1], CONTEST).save(run.oof)
    with pytest.raises(ResultError, match="other out-of-fold predictions") as caught:
        read_decision(run)
    assert caught.value.fix == f"maskcls calibrate {run.path}"
    calibrate(run)
    read_decision(run)


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"temperatures": {}}, {"rule": {"kind": "x"}}, {"space": None}, {"prior": ["a"]}]
)
def test_a_damaged_decision_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    run = make_run(tmp_path / "a")
    with pytest.raises(ResultError, match="not calibrated"):
        read_decision(run)
    calibrate(run)
    edit_json(run.decision, change)
    with pytest.raises(ResultError, match="cannot be read"):
        read_decision(run)


@pytest.mark.parametrize("rule", [("bias", [0.0] * 17), ("threshold", [1.0] * 18), ("threshold", [-0.1] * 18)])
def test_a_decision_with_a_rule_out_of_range_is_refused(tmp_path: Path, rule: tuple[str, list[float]]) -> None:
    run = make_run(tmp_path / "a")
    calibrate(run)
    whole = DecisionRule("expected", (0.0,) * 18).to_json()
    for changed, refused in ((whole, False), (whole | dict([rule]), True)):
        edit_json(run.decision, {"rule": changed})
        with pytest.raises(ResultError, match="cannot be read") if refused else nullcontext():
            read_decision(run)


@pytest.mark.parametrize("temperature", [0, -1, "inf", "nan", 10**400])
def test_a_decision_with_a_strange_temperature_is_refused(tmp_path: Path, temperature: object) -> None:
    run = make_run(tmp_path / "a")
    calibrate(run)
    data = files.read_json(run.decision)
    files.commit_json(run.decision, data | {"temperatures": data["temperatures"] | {"age": temperature}})
    with pytest.raises(ResultError, match="cannot be read"):
        read_decision(run)


@pytest.mark.parametrize("people", [1, 3])
def test_few_held_out_people_make_few_groups(tmp_path: Path, people: int) -> None:
    run = make_run(tmp_path / "a", k=1)
    oof = Predictions.load(run.oof)
    of_few = np.array([int(name[1:]) < people * PHOTOS for name in oof.ids.tolist()])
    Predictions(oof.ids[of_few], oof.prob[of_few], CONTEST).save(run.oof)
    if people == 1:
        with pytest.raises(DataError, match="calibrating needs two people or more"):
            calibrate(run)
    else:
        assert calibrate(run).groups == 3


def test_what_is_no_finished_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="not a run"):
        calibrate(RunDir(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
    run = make_run(tmp_path / "a")
    with pytest.raises(UsageError, match="no such rule"):
        calibrate(run, tried="other")
    with run_lock.lock(run), pytest.raises(BusyError):
        calibrate(run)
    files.commit(run.manifest, run.manifest.read_bytes().replace(b",real,", b",fake,"))
    with pytest.raises(ResultError, match="changed") as caught:
        calibrate(run)
    assert caught.value.offenders == ("manifest.csv",)
    run.oof.unlink()
    with pytest.raises(ResultError, match="not finished"):
        calibrate(run)
    assert not run.decision.exists()


def test_another_label_space_is_refused() -> None:
    hats = LabelSpace((Task("hat", ("no", "yes")),))
    decision = Decision(hats, {"hat": 2.0}, DecisionRule("task", (0.0, 1.0)), None, "")
    with pytest.raises(WeightsError, match="another label space"):
        decision.labels(Predictions(["a"], np.eye(18, dtype=np.float32)[:1], CONTEST))
    # odds of 9 become 3 by the temperature; e more for the second class is not enough, e squared is
    one = Predictions(["a"], np.array([[0.9, 0.1]], dtype=np.float32), hats)
    assert decision.labels(one).tolist() == [0]
    assert Decision(hats, {"hat": 2.0}, DecisionRule("task", (0.0, 2.0)), None, "").labels(one).tolist() == [1]


def test_json_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "a")
    found = calibrate(run)
    print_calibration(found, json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"version": 1} | found.to_json()
    assert files.with_digest(json.loads(out)) == files.read_json(run.decision)
    assert found.nested is not None
    assert json.loads(out)["nested"]["gain"]["low"] == found.nested.gain.low
    assert "labels" not in json.loads(out)["nested"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit_and_say_the_verdict(tmp_path: Path, width: int) -> None:
    from rich.console import Console

    for name, bias, verdict in (
        ("a", None, f"no proven gain: the interval is not above 0; not used {UNUSED}"),
        ("b", BIASED, "used by predict --decide, with these temperatures"),
    ):
        found = calibrate(make_run(tmp_path / name, bias=bias), tried="task")
        console = Console(width=width, highlight=False, markup=False)
        with console.capture() as captured:
            console.print(render_calibration(found))
        lines = [line.rstrip() for line in captured.get().splitlines()]
        assert max(map(len, lines)) <= width
        assert lines[0] == "360 out-of-fold images   60 people   3 folds"
        assert " ".join(lines).endswith(verdict)
        assert lines[2].split() == ["task", "temperature", "log", "loss", "after", "ECE", "after", "images"]
        rows = [line.split() for line in lines[4:8]]
        assert [row[0] for row in rows] == ["mask", "gender", "age", "joint"]
        assert rows[0][2:4] == [f"{q.tasks['mask'].log_loss:.4f}" for q in (found.before, found.after)]


def test_importing_and_running_it_stays_light(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    code = (
        "import sys; from pathlib import Path; from maskcls.rundir import RunDir\n"
        "from maskcls.commands.calibrate import calibrate\n"
        "first = {m.partition('.')[0] for m in sys.modules}\n"
        f"calibrate(RunDir(Path({str(run.path)!r})))\n"
        "print(sorted(first), '|', sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    first, later = loaded.split("|")
    assert "'numpy'" in first
    assert "'pandas'" in later
    for heavy in ("torch", "timm", "albumentations", "cv2"):
        assert f"'{heavy}'" not in later
    for slow in ("pandas", "scipy", "sklearn", "rich", "pydantic"):
        assert f"'{slow}'" not in first
