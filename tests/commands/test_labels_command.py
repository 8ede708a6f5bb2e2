"""`maskcls data labels`: planted faults are found, corrected and proved; the page is driven by keyboard."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import axe_violations, browser_page, overflow
from edited import edit_json
from made_run import make_run
from tiny import recipe, train

from maskcls import config, files
from maskcls.cli import run_app
from maskcls.commands.data import labels as command
from maskcls.commands.data.labels import label_gain
from maskcls.data.layouts import contest
from maskcls.data.layouts.fixes import with_earlier
from maskcls.data.rows import manifest as tables
from maskcls.errors import Exit, ResultError
from maskcls.labels import CONTEST
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir

LEAST = ("--least", "0.1")  # of 12 people with one fault no more can be said
QUICK = ("model.backbone=test_convnext", "train.epochs=1", "folds.k=2")


def people_of(data: Path) -> list[str]:
    return sorted({id.partition("/")[0] for id in contest.read_train(data, CONTEST)["id"]})


def doubting_run(path: Path, data: Path, *, seed: int = 0) -> RunDir:
    """A run that is right about everything, but gives the first person the other gender and the age after next, and
    takes the last two photos of the second person for each other."""
    run, frame = make_run(path, data, seed=seed), contest.read_train(data, CONTEST)
    labels, who = tables.labels(frame, CONTEST), frame["person"].to_numpy(np.str_)
    first, second = people_of(data)[:2]
    labels["gender"][who == first] ^= 1
    stems = [f"{second}/incorrect_mask", f"{second}/normal"]
    rows = [frame["id"].tolist().index(one) for one in stems]
    labels["mask"][rows] = labels["mask"][rows[::-1]]
    rng = np.random.default_rng(seed)
    prob = {t.name: 0.98 * np.eye(len(t.classes))[labels[t.name]] + 0.01 for t in CONTEST.tasks}
    prob = {name: each * rng.uniform(0.8, 1.2, each.shape) for name, each in prob.items()}
    Predictions(frame["id"].to_numpy(np.str_), CONTEST.compose(prob), CONTEST).save(run.oof)
    return run


@pytest.fixture(scope="module")
def runs(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("doubting")
    return [str(doubting_run(folder / name, drawn, seed=seed).path) for seed, name in enumerate("ab")]


def rows_of_csv(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def expected_fixes(drawn: Path) -> list[list[str]]:
    first, second = people_of(drawn)[:2]
    frame = contest.read_train(drawn, CONTEST)
    given = int(frame.loc[frame["person"] == first, "gender"].iloc[0])
    return [[first, "gender", ("female", "male")[given]], [second, "swap", "incorrect_mask normal"]]


def test_planted_faults_are_listed_first_and_corrected(
    drawn: Path, runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fixes.csv"
    assert run_app(["data", "labels", *runs, "-o", str(out), *LEAST, "--json"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["people"], found["photos"], found["runs"], found["labels"]) == (12, 84, 2, 36)
    first = [(one["person"], one["task"], one["kind"], one["proposed"]) for one in found["cases"][:2]]
    people = people_of(drawn)
    assert set(first) == {(people[0], "gender", "person", True), (people[1], "mask", "exchange", True)}
    assert not any(one["proposed"] for one in found["cases"][2:])
    head, *rows = rows_of_csv(out)
    assert head == ["path", "field", "value"]
    assert sorted(rows) == sorted(expected_fixes(drawn))
    contest.read_train(drawn, CONTEST, out)
    assert run_app(["data", "labels", *runs, "-o", str(out)]) == Exit.BUSY
    assert run_app(["data", "labels", *runs, "-o", str(out), "--least", "1", "--force"]) == Exit.OK
    assert rows_of_csv(out) == [["path", "field", "value"]]


def test_the_table_names_people_and_corrections(
    drawn: Path, runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["data", "labels", runs[0], "--top", "3", *LEAST]) == Exit.OK
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if re.search(r"\d of \d", line)]
    assert len(lines) == 3
    assert "7 of 7  fix" in out
    assert "fix: a correction is proposed, from suspicion 0.1 on\n" in out
    assert "corrections proposed: 2\nto decide on them: --page labels.html --with-photos; " in out
    assert run_app(["data", "labels", runs[0], "--least", "1"]) == Exit.OK
    assert capsys.readouterr().out.endswith("corrections proposed: 0\n")


def test_options_that_do_not_belong_together_are_refused(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["--with-photos"],
        ["--fixes", "f.csv"],
        ["optim.lr=1e-4"],
        ["--prove", "-o", "f.csv"],
        ["--prove", "--page", "p.html"],
    ):
        assert run_app(["data", "labels", runs[0], *words, "--force"]) == Exit.USAGE, words
    link = tmp_path / "link"
    link.symlink_to(runs[0])
    page = str(tmp_path / "p.html")
    for words in ([runs[0], str(link)], [runs[0], "-o", page, "--page", page], [runs[0], "-o", f"{link}/folds.csv"]):
        assert run_app(["data", "labels", *words, "--force"]) == Exit.USAGE, words
    assert not Path(page).exists()
    assert run_app(["data", "labels", "optim.lr=1"]) == Exit.USAGE
    assert run_app(["data", "labels", str(tmp_path)]) == Exit.RESULT
    capsys.readouterr()


def test_runs_with_other_labels_are_refused(
    drawn: Path, runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = doubting_run(tmp_path / "other", drawn)
    frame = tables.from_csv(other.manifest, CONTEST)
    person = people_of(drawn)[3]
    frame.loc[frame["person"] == person, "gender"] = 1 - frame.loc[frame["person"] == person, "gender"]
    files.commit(other.manifest, tables.to_csv(frame))
    hashes = files.read_json(other.env)["hashes"] | {other.manifest.name: files.file_sha256(other.manifest)}
    edit_json(other.env, {"hashes": hashes})
    assert run_app(["data", "labels", runs[0], str(other.path)]) == Exit.RESULT
    err = capsys.readouterr().err
    assert "other labels than in the first run" in err
    assert f"{person}/normal" in err


def test_earlier_corrections_are_kept(tmp_path: Path) -> None:
    earlier = [("a", "gender", "male"), ("b", "swap", "mask1 normal"), ("c", "age", "30")]
    new = [("a", "gender", "female"), ("b", "swap", "mask1 normal"), ("d", "age", "61")]
    assert with_earlier(new, earlier) == [("c", "age", "30"), ("a", "gender", "female"), ("d", "age", "61")]


def test_the_page_is_driven_by_keyboard_and_its_corrections_train(drawn: Path, runs: list[str], tmp_path: Path) -> None:
    """Fix, keep, unsure, undo, moves; progress outlives a reload; export, import, and a training with the result."""
    page_file = tmp_path / "labels.html"
    assert run_app(["data", "labels", *runs, "--page", str(page_file), "--with-photos", "--top", "6"]) == Exit.OK
    with browser_page(accept_downloads=True) as page:
        page.goto(page_file.as_uri())
        status = page.locator("#status")
        assert "Case 1 of 6" in status.inner_text()
        assert page.locator(".case:visible").count() == 1
        assert page.locator(".case:visible img").count() > 0
        page.keyboard.press("f")
        assert "Case 2 of 6" in status.inner_text()
        page.keyboard.press("k")
        page.keyboard.press("z")  # the second case is open again
        assert "Undone" in status.inner_text()
        assert "Case 2 of 6" in status.inner_text()
        assert "1 decided" in status.inner_text()
        page.keyboard.press("1")  # its first correction
        page.keyboard.press("u")
        page.keyboard.press("ArrowLeft")
        assert "unsure. 3 decided" in status.inner_text()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("k")
        assert not axe_violations(page)
        page.reload()
        assert "4 decided" in status.inner_text()
        assert page.evaluate("document.querySelectorAll('[aria-pressed=true]').length") == 4
        with page.expect_download() as download:
            page.keyboard.press("e")
        fixes = tmp_path / "fixes.csv"
        download.value.save_as(fixes)
        assert download.value.suggested_filename == "fixes.csv"
        # Keys leave the focus free to move on, and a field for files keeps its own keys.
        page.keyboard.press("Tab")
        page.locator("#import").focus()
        page.keyboard.press("k")
        assert page.evaluate("document.querySelectorAll('[aria-pressed=true]').length") == 4
        page.evaluate("localStorage.clear()")
        page.reload()
        assert "0 decided" in status.inner_text()
        extra = tmp_path / "more.csv"
        extra.write_text(fixes.read_text() + f"{people_of(drawn)[5]},age,44\n")
        page.locator("#import").set_input_files(extra)
        page.wait_for_function("document.getElementById('status').textContent.includes('Imported')")
        assert "Imported 2 decisions; 1 other corrections" in status.inner_text()
        with page.expect_download() as download:
            page.locator("#export").click()
        assert download.value.path().read_text().splitlines().count(f"{people_of(drawn)[5]},age,44") == 1
    head, *rows = rows_of_csv(fixes)
    assert head == ["path", "field", "value"]
    assert sorted(rows) == sorted(expected_fixes(drawn))
    assert train(drawn, tmp_path / "run", *QUICK, "folds.stratify=[age]", f"data.fixes={fixes}") == 0
    frame = tables.from_csv(RunDir(tmp_path / "run").manifest, CONTEST)
    given = contest.read_train(drawn, CONTEST)
    assert set(frame.loc[frame["gender"] != given["gender"], "person"]) == {people_of(drawn)[0]}
    assert set(frame.loc[frame["mask"] != given["mask"], "person"]) == {people_of(drawn)[1]}


def test_the_page_is_accessible_at_every_width(runs: list[str], tmp_path: Path) -> None:
    page_file = tmp_path / "labels.html"
    assert run_app(["data", "labels", runs[0], "--page", str(page_file), "--top", "4"]) == Exit.OK
    assert "data:image" not in page_file.read_text()  # photos are links unless asked for
    for scheme, width in (("dark", 390), ("light", 1280)):
        with browser_page(width, scheme=scheme) as page:
            page.goto(page_file.as_uri())
            page.locator("#list summary").click()
            assert not axe_violations(page)
            assert overflow(page) == 0
            page.locator("[data-go='3']").click()
            assert "Case 4 of 4" in page.locator("#status").inner_text()
            assert page.evaluate("document.activeElement.id") == "case-3"


def test_proof_trains_both_kinds_and_scores_untouched_people(
    drawn: Path, runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proof = ["data", "labels", runs[0], *recipe(*QUICK), "--prove", "--seeds", "1", "--run", str(tmp_path)]
    words = [*proof, *LEAST]
    assert run_app([*words, "--json"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["corrected"], found["people"], len(found["seeds"])) == (2, 10, 1)
    assert found["joint"]["value"] == pytest.approx(np.mean(found["seeds"]))
    names = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert names == {f"{arm}-seed{seed}" for arm in ("as-is", "fixed") for seed in (0,)}  # from the run's seed on
    folds = {(tmp_path / name / "folds.csv").read_bytes() for name in names}
    assert len(folds) == 1
    for name in names:
        fixes = config.load(tmp_path / name / "config.yaml")[0].data.fixes
        assert (fixes is not None) == name.startswith("fixed")
    # Given again, nothing is trained; other corrections need another folder.
    assert run_app(words) == Exit.OK
    assert "corrected labels of 2 people, scored on 10 others" in capsys.readouterr().out
    other = tmp_path / "other.csv"
    other.write_text(f"path,field,value\n{people_of(drawn)[4]},age,44\n")
    assert run_app([*proof, "--fixes", str(other)]) == Exit.BUSY


def test_every_seed_has_a_pair_of_trainings(
    drawn: Path, runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []
    monkeypatch.setattr(command, "_train", lambda cfg, run, *_: made.append((run.path.name, cfg.seed, cfg)))
    monkeypatch.setattr(command, "read_out_of_fold", lambda run: pair()[run.path.name.startswith("fixed")])
    words = ["data", "labels", runs[0], *LEAST, "--prove", "--seeds", "3", "--run", str(tmp_path), "seed=4"]
    assert run_app([*words, "train.epochs=3", "folds.stratify=[age, mask]"]) == Exit.OK
    assert [one[:2] for one in made] == [(f"{arm}-seed{s}", s) for s in (4, 5, 6) for arm in ("as-is", "fixed")]
    assert all(cfg.train.epochs == 3 and cfg.folds.stratify == ("age",) for *_, cfg in made)  # masks were corrected
    assert "per seed    +0.6667, +0.6667, +0.6667" in capsys.readouterr().out
    made.clear()
    (tmp_path / "own.yaml").write_text("optim: {lr: 0.0123}")
    assert run_app([*words, "-c", str(tmp_path / "own.yaml"), "folds.stratify=[]"]) == Exit.OK
    assert {(cfg.optim.lr, cfg.seed, cfg.folds.stratify) for *_, cfg in made} == {(0.0123, s, ()) for s in (4, 5, 6)}


def pair() -> tuple[LabelledPredictions, LabelledPredictions]:
    """Predictions before and after ann's gender is corrected: of bob, one row of two is wrong, then none."""
    truth = {"mask": np.array([0, 0, 0, 0]), "gender": np.array([0, 0, 0, 1]), "age": np.array([1, 1, 1, 1])}
    joint = CONTEST.encode(truth)
    wrong = np.array([*joint[:2], joint[3], joint[3]])
    people = np.array(["ann", "ann", "bob", "bob"])
    corrected, order = {**truth, "gender": np.array([1, 1, 0, 1])}, np.array([3, 2, 1, 0])
    fixed = {name: label_N[order] for name, label_N in corrected.items()}
    return (
        LabelledPredictions(list("abcd"), wrong, truth, CONTEST, people_N=people),
        LabelledPredictions(list("dcba"), joint[order], fixed, CONTEST, people_N=people[order]),
    )


def test_the_gain_is_that_of_people_without_correction() -> None:
    """Of two classes, both rows of bob given to the second: F1 0 and 2/3; all right: 1 and 1."""
    given, fixed = pair()
    found = label_gain([given], [fixed])
    assert (found.corrected, found.people) == (1, 1)
    assert found.joint.value == pytest.approx(1 - 1 / 3)
    assert found.tasks["gender"].value == pytest.approx(1 - 1 / 3)
    assert found.tasks["mask"].value == 0
    same = {name: label_N[::-1] for name, label_N in given.truth.items()}
    with pytest.raises(ResultError, match="no label"):
        label_gain([given], [replace(fixed, truth=same)])
