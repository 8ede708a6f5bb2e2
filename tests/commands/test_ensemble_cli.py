"""`maskcls ensemble` from end to end: members joined by id, chosen out of fold, and a recipe that repeats it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edited import edit_json
from PIL import Image
from sklearn.metrics import f1_score
from tiny import train

from maskcls.cli import run_app
from maskcls.config.yaml12 import dump_yaml, read_yaml
from maskcls.data.photos.identity.photo_digests import digest, digests_of_table
from maskcls.errors import Exit
from maskcls.labels import CONTEST
from maskcls.results.ensembles.methods import METHODS
from maskcls.results.people import expected_gain
from maskcls.results.people.group_file import write_groups
from maskcls.results.photo_contents import contents_entry
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.runs.choices.register import read_register
from maskcls.runs.recipe import files_of
from maskcls.runs.summary import RunSummary, write_summary

WORDS = ("model.backbone=test_convnext", "train.epochs=2", "optim.lr=3e-3", "predict.views=none")
HARD = ("mean", "geometric", "vote", "rank", "greedy", "bagged", "convex", "convex-tasks", "tasks", "stack")


@pytest.fixture(scope="module")
def runs(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    home = tmp_path_factory.mktemp("members")
    for seed in range(2):
        assert train(drawn, home / f"r{seed}", *WORDS, f"seed={seed}") == 0
        words = ["predict", str(home / f"r{seed}"), "--data", str(drawn), "-o", str(home / f"r{seed}.csv")]
        assert run_app(words) == 0
    return [home / "r0", home / "r1"]


def ensemble(members: list[Any], data: Path, output: Path, *words: str) -> int:
    return run_app(["ensemble", *map(str, members), "--data", str(data), "-o", str(output), *words])


def answers(path: Path) -> list[int]:
    with path.open(newline="") as handle:
        return [int(row["ans"]) for row in csv.DictReader(handle)]


def test_given_again_with_kept_predictions_it_writes_the_same_bytes(
    runs: list[Path], drawn: Path, tmp_path: Path
) -> None:
    """The first command predicts the photos, the second reads what the first has kept in the runs."""
    copies = [shutil.copytree(run, tmp_path / run.name) for run in runs]
    for copy in copies:
        shutil.rmtree(copy / "test")
    assert ensemble(copies, drawn, tmp_path / "e.csv") == 0
    before = {path.name: path.read_bytes() for path in tmp_path.glob("e.*")}
    assert sorted(before) == ["e.csv", "e.json", "e.recipe.yaml"]
    (tmp_path / "e.recipe.yaml").unlink()
    assert ensemble(copies, drawn, tmp_path / "e.csv") == 0
    assert {path.name: path.read_bytes() for path in tmp_path.glob("e.*")} == before


def test_runs_of_other_sealed_people_are_refused_before_photos_are_predicted(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = tmp_path / "sealed"
    assert train(drawn, sealed, *WORDS, "train.epochs=1", "folds.sealed=0.25") == 0
    monkeypatch.setattr(
        "maskcls.training.predicting.ensemble_members._run_predictions", lambda *_: pytest.fail("photos are predicted")
    )
    capsys.readouterr()
    assert ensemble([runs[0], sealed], drawn, tmp_path / "s.csv") == Exit.DATA
    said = " ".join(capsys.readouterr().err.split())
    assert "got: folds.sealed=0.0, folds.sealed_seed=0 and folds.sealed=0.25, folds.sealed_seed=0" in said


def said_by(runs: list[Path]) -> list[Predictions]:
    return [Predictions.load(run / "test/faces-none.npz") for run in runs]


def truth_of(run: Path) -> tuple[Predictions, np.ndarray[Any, Any]]:
    oof = Predictions.load(run / "oof.npz")
    with (run / "manifest.csv").open(newline="") as handle:
        rows = {row["id"]: row for row in csv.DictReader(handle)}
    return oof, np.array([6 * int(rows[i]["mask"]) + 3 * int(rows[i]["gender"]) + int(rows[i]["age"]) for i in oof.ids])


def nested_best(
    run: Path, truth: np.ndarray[Any, Any], labels: list[np.ndarray[Any, Any]]
) -> tuple[np.ndarray[Any, Any], dict[str, int]]:
    """Answer each fold with the member that scores best on the others, by a plain loop."""
    with (run / "folds.csv").open(newline="") as handle:
        fold_of = {row["id"]: int(row["fold"]) for row in csv.DictReader(handle)}
    fold = np.array([fold_of[i] for i in Predictions.load(run / "oof.npz").ids])
    answer, parts = np.empty_like(truth), dict[str, int]()
    for k in np.unique(fold):
        scores = [f1_score(truth[fold != k], one[fold != k], average="macro", zero_division=0) for one in labels]
        best = int(np.argmax(scores))
        answer[fold == k] = labels[best][fold == k]
        parts[f"r{best}"] = parts.get(f"r{best}", 0) + 1
    return answer, parts


def test_the_mean_is_the_mean_and_is_scored_as_such(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s.csv"
    capsys.readouterr()
    assert ensemble(runs, drawn, out, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    a, b = said_by(runs)
    assert answers(out) == (a.prob.astype(float) + b.align(a.ids).prob).argmax(axis=1).tolist()
    oofs = [truth_of(run) for run in runs]
    truth, prob = oofs[0][1], np.mean([oof.prob for oof, _ in oofs], axis=0)
    assert found["nested"]["macro_f1"] == pytest.approx(
        f1_score(truth, prob.argmax(1), average="macro", zero_division=0), abs=1e-9
    )
    alone = [f1_score(truth, oof.prob.argmax(1), average="macro", zero_division=0) for oof, _ in oofs]
    assert [one["macro_f1"] for one in found["members"]] == pytest.approx(alone)
    best, parts = nested_best(runs[0], truth, [oof.prob.argmax(1) for oof, _ in oofs])
    assert found["gain"]["over_macro_f1"] == pytest.approx(f1_score(truth, best, average="macro", zero_division=0))
    assert found["gain"]["value"] == pytest.approx(found["nested"]["macro_f1"] - found["gain"]["over_macro_f1"])
    assert {one["member"]: one["parts"] for one in found["gain"]["over"]} == parts
    lineage = json.loads(out.with_suffix(".json").read_text())["lineage"]
    assert [member["run"] for member in lineage["members"]] == ["r0", "r1"]


@pytest.mark.parametrize("method", HARD)
def test_every_method_answers_and_its_recipe_repeats_it(
    method: str, runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, again = tmp_path / "s.csv", tmp_path / "again.csv"
    assert ensemble(runs, drawn, out, "--method", method) == 0
    assert f"{method}: macro-F1 0." in capsys.readouterr().out
    recipe = read_yaml(tmp_path / "s.recipe.yaml")
    assert (recipe["method"], [Path(m["run"]).name for m in recipe["members"]]) == (method, ["r0", "r1"])
    assert (
        run_app(["ensemble", "--recipe", str(tmp_path / "s.recipe.yaml"), "--data", str(drawn), "-o", str(again)]) == 0
    )
    assert answers(again) == answers(out)


def test_ensembles_of_the_same_rows_are_counted(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs were trained; another method or other weights count, the same once more does not."""
    home = tmp_path / "runs"
    copies = [shutil.copytree(run, home / run.name) for run in runs]

    def tried(*words: str) -> tuple[dict[str, Any], float]:
        capsys.readouterr()
        assert ensemble(copies, drawn, tmp_path / "s.csv", *words, "--json", "--force") == 0
        data = json.loads(capsys.readouterr().out)
        return data["tried"], data["gain"]["level"]

    assert tried() == ({"count": 1, "runs": 1, "kept": True}, 0.95)
    assert tried()[0]["count"] == 1
    assert tried("--method", "vote") == ({"count": 2, "runs": 1, "kept": True}, pytest.approx(0.975))
    assert tried("--method", "weights", "--weights", "1,2")[0]["count"] == 3
    assert tried("--method", "weights", "--weights", "2,1")[0]["count"] == 4
    assert tried("--method", "weights", "--weights", "2,4")[0]["count"] == 4
    assert ensemble(copies, drawn, tmp_path / "s.csv", "--force") == 0
    assert "4 ensembles were tried on these rows, so the interval is wider" in capsys.readouterr().out
    trained = read_register(RunDir(runs[0])).attempts
    assert [one.name for one in trained if one.kind == "run"] == ["r0", "r1"]


def test_the_methods_are_all_asked() -> None:
    assert set(METHODS) == {*HARD, "weights"}
    assert len(METHODS) == 11


def test_weights_are_used(runs: list[Path], drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    assert ensemble(runs, drawn, out, "--method", "weights", "--weights", "0,2") == 0
    assert answers(out) == said_by(runs)[1].labels().tolist()
    assert read_yaml(tmp_path / "s.recipe.yaml")["weights"] == [0, 1]


def test_json_lists_members_with_numbers_and_whole_paths(
    runs: list[Path], drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert ensemble(runs, drawn, Path("s.csv"), "--method", "weights", "--weights", "1,3", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["weight"] for one in found["members"]] == [0.25, 0.75]
    assert [one["given"] for one in found["members"]] == list(map(str, runs))
    for one, run in zip(found["members"], runs, strict=True):
        oof, truth = truth_of(run)
        assert one["macro_f1"] == pytest.approx(f1_score(truth, oof.prob.argmax(axis=1), average="macro"))
        assert len(one["kappa"]) == len(one["correlation"]) == 2
    assert (found["file"], found["recipe"]) == (str(tmp_path / "s.csv"), str(tmp_path / "s.recipe.yaml"))
    assert not {"weights", "alone", "values"} & found.keys()
    assert ensemble(runs, drawn, Path("t.csv"), "--method", "tasks", "--json") == 0
    members = json.loads(capsys.readouterr().out)["members"]
    for task in ("mask", "gender", "age"):
        assert sorted(one["weight"][task] for one in members) == [0, 1]
    assert ensemble(runs, drawn, Path("u.csv"), "--method", "vote", "--json") == 0
    assert {one["weight"] for one in json.loads(capsys.readouterr().out)["members"]} == {None}


def test_a_member_may_be_a_file_in_any_order(runs: list[Path], drawn: Path, tmp_path: Path) -> None:
    """Another's probabilities with the columns named and shuffled, rows too, and their out-of-fold rows beside them."""
    rng = np.random.default_rng(0)
    for name, predictions in (("test", said_by(runs)[1]), ("oof", Predictions.load(runs[1] / "oof.npz"))):
        columns, rows = rng.permutation(18), rng.permutation(len(predictions))
        with (tmp_path / f"{name}.csv").open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["id", *(CONTEST.joint_names[c] for c in columns)])
            for row in rows:
                writer.writerow([predictions.ids[row], *(repr(float(predictions.prob[row, c])) for c in columns)])
    theirs = f"{tmp_path / 'test.csv'},{tmp_path / 'oof.csv'}"
    for method in ("mean", "greedy"):
        ours, mixed = tmp_path / f"{method}1.csv", tmp_path / f"{method}2.csv"
        assert ensemble(runs, drawn, ours, "--method", method) == 0
        assert ensemble([runs[0], theirs], drawn, mixed, "--method", method) == 0
        assert answers(ours) == answers(mixed)
    alone = tmp_path / "alone.csv"
    assert ensemble([runs[0], tmp_path / "test.csv"], drawn, alone) == 0  # no out-of-fold rows: no verdict
    assert not {"nested_macro_f1", "macro_f1"} & set(read_yaml(tmp_path / "alone.recipe.yaml"))
    assert ensemble([runs[0], tmp_path / "test.csv"], drawn, tmp_path / "b.csv", "--method", "stack") == 2


def test_only_what_was_chosen_is_said_to_be_chosen(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for method, words in {"mean": [], "weights": ["--weights", "1,2"], "greedy": [], "tasks": []}.items():
        capsys.readouterr()
        assert ensemble(runs, drawn, tmp_path / f"{method}.csv", "--method", method, *words) == 0
        chosen = method in ("greedy", "tasks")
        assert ("chosen on the other folds" in capsys.readouterr().out) is chosen
        recipe = read_yaml(tmp_path / f"{method}.recipe.yaml")
        assert ("nested_macro_f1" in recipe, "macro_f1" in recipe) == (chosen, not chosen)


def test_rows_the_networks_may_have_learnt_from_are_refused(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Submissions of predict and ensemble, predictions below another step, and those of leaky networks."""
    assert ensemble(runs, drawn, tmp_path / "both.csv") == 0
    edit_json(tmp_path / "both.json", {"lineage": {"ensemble": {}}})
    oof = Predictions.load(runs[1] / "oof.npz")
    for name, lineage in (
        ("leaky.npz", {"concat": [{"fold": 0}, {"fold": 1, "leaky": True}]}),
        ("smoothed.npz", {"smoothed": {"networks": "folds"}}),
        ("fine.npz", {"concat": [{"fold": 0, "leaky": False}]}),
    ):
        Predictions(oof.ids, oof.prob, oof.space, lineage).save(tmp_path / name)
    said = runs[1] / "test/faces-none.npz"
    for bad in (runs[1].with_suffix(".csv"), *(tmp_path / name for name in ("both.csv", "leaky.npz", "smoothed.npz"))):
        capsys.readouterr()
        assert ensemble([runs[0], f"{said},{bad}"], drawn, tmp_path / "s.csv") == 9, bad
        assert "no out-of-fold rows" in capsys.readouterr().err
    assert ensemble([runs[0], f"{said},{tmp_path / 'fine.npz'}"], drawn, tmp_path / "s.csv") == 0


def test_a_leaky_run_has_no_out_of_fold_rows(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaky = Path(shutil.copytree(runs[1], tmp_path / "leaky"))
    (leaky / "oof.npz").unlink()
    write_summary(RunDir(leaky), RunSummary(leaky=True, pooled=None, interval=None, folds={"0": {}}, sd={}))
    for name, members in {"one": [runs[0], leaky], "all": [leaky]}.items():
        assert ensemble(members, drawn, tmp_path / f"{name}.csv") == 0
        assert "no scores: some members have no out-of-fold rows" in capsys.readouterr().out
        assert ensemble(members, drawn, tmp_path / "s.csv", "--method", "greedy") == 2
        assert "needs out-of-fold rows of all members" in capsys.readouterr().err
    assert answers(tmp_path / "all.csv") == said_by(runs)[1].labels().tolist()


def broken(run: Path, tmp_path: Path, change: Any) -> str:
    """Return a member whose out-of-fold rows were changed."""
    oof = Predictions.load(run / "oof.npz")
    change(oof).save(tmp_path / "oof.npz")
    return f"{run / 'test/faces-none.npz'},{tmp_path / 'oof.npz'}"


def test_members_that_do_not_fit_are_refused(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s.csv"
    short = broken(runs[1], tmp_path, lambda p: Predictions(p.ids[1:], p.prob[1:], p.space))
    assert ensemble([runs[0], short], drawn, out) == 4
    assert "the ids of two tables differ" in capsys.readouterr().err
    in_sample = f"{runs[1] / 'test/faces-none.npz'},{runs[1] / 'test/faces-none.npz'}"
    assert ensemble([runs[0], in_sample], drawn, out) == 9
    assert "no out-of-fold rows" in capsys.readouterr().err
    other = tmp_path / "other"
    words = (*WORDS, "tasks=[{name: age, classes: [young, old], bins: [40]}]", "folds.stratify=[]")
    assert train(drawn, other, *words) == 0
    assert ensemble([runs[0], other], drawn, out) == 5
    fixed = tmp_path / "fixed"
    shutil.copytree(runs[1], fixed)
    (fixed / "oof.npz").unlink()
    capsys.readouterr()
    assert ensemble([runs[0], fixed], drawn, out) == 9
    assert "not finished" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "maen"], "no such method"),
        (["--method", "weights"], "belong together"),
        (["--weights", "1,1"], "belong together"),
        (["--method", "weights", "--weights", "1,1,1"], "no weights for the members"),
        (["--method", "weights", "--weights", "a,b"], "no weights"),
    ],
)
def test_settings_that_make_no_sense(
    words: list[str], message: str, runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble(runs, drawn, tmp_path / "s.csv", *words) == 2
    assert message in capsys.readouterr().err


def test_nothing_is_overwritten_and_nothing_is_done_twice(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s.csv"
    assert ensemble(runs, drawn, out) == 0
    assert ensemble(runs, drawn, out) == 7
    assert ensemble(runs, drawn, out, "--force") == 0
    assert ensemble([], drawn, tmp_path / "t.csv") == 2
    assert ensemble([runs[0], runs[0]], drawn, tmp_path / "t.csv") == 2
    assert ensemble([runs[0], runs[1].parent / ".." / runs[0].parent.name / "r0"], drawn, tmp_path / "t.csv") == 2
    (tmp_path / "link").symlink_to(runs[0])
    assert ensemble([runs[0], tmp_path / "link"], drawn, tmp_path / "t.csv") == 2
    assert ensemble([tmp_path / "s.csv"], drawn, tmp_path / "t.csv") == 2


def test_a_run_may_have_a_comma_in_its_name(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = Path(shutil.copytree(runs[1], tmp_path / "lr=1,wd=2"))
    capsys.readouterr()
    assert ensemble([runs[0], odd], drawn, tmp_path / "s.csv", "--json") == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["members"]] == ["r0", "lr=1,wd=2"]
    recipe = tmp_path / "s.recipe.yaml"
    assert read_yaml(recipe)["members"][1] == {"run": str(odd)}
    assert ensemble([runs[0], odd], drawn, tmp_path / "u.csv") == 0
    assert "for other photos: maskcls ensemble --recipe" in capsys.readouterr().out
    assert run_app(["ensemble", "--recipe", str(recipe), "--data", str(drawn), "-o", str(tmp_path / "t.csv")]) == 0


@pytest.fixture
def dark(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the data in which all photos are other ones, as a crop would make them."""
    copy = Path(shutil.copytree(drawn, tmp_path / "dark"))
    for photo in [path for part in ("train", "eval") for path in (copy / part / "images").rglob("*") if path.is_file()]:
        with Image.open(photo) as image:
            pixels = np.asarray(image.convert("RGB"))
        Image.fromarray(255 - pixels).save(photo)
    return copy


def test_a_run_predicts_its_own_copy_of_the_photos(
    runs: list[Path], drawn: Path, dark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path(shutil.copytree(runs[1], tmp_path / "own"))
    shutil.rmtree(own / "test")
    assert run_app(["predict", str(own), "--data", str(dark), "-o", str(tmp_path / "own.csv")]) == 0
    first, (copied,) = said_by(runs)[0], [Predictions.load(file) for file in (own / "test").glob("*.npz")]
    assert np.abs(copied.prob - said_by(runs)[1].align(copied.ids).prob).max() > 1e-3
    expected = (first.prob.astype(float) + copied.align(first.ids).prob).argmax(axis=1).tolist()
    for made in (True, False):  # kept by the command above, and made by the ensemble
        out = tmp_path / f"s{made}.csv"
        capsys.readouterr()
        assert ensemble([runs[0], f"{own},{dark}"], drawn, out) == 0
        assert "for other photos: name the members again" in capsys.readouterr().out
        assert answers(out) == expected
        assert [file.name for file in (own / "test").glob("*.npz")] == ["dark-none.npz"]
        shutil.rmtree(own / "test")
    lineage = json.loads((tmp_path / "sTrue.json").read_text())["lineage"]
    assert [Path(member["data"]).name for member in lineage["members"]] == ["faces", "dark"]
    recipe = tmp_path / "sTrue.recipe.yaml"
    assert read_yaml(recipe)["members"][1] == {"run": str(own), "data": str(dark)}
    capsys.readouterr()
    words = ["--recipe", str(recipe), "--data", str(drawn), "-o", str(tmp_path / "t.csv")]
    assert run_app(["ensemble", *words]) == Exit.DATA
    said = capsys.readouterr().err
    assert "own copy of other photos" in said
    assert "RUN,DATA" in said


def test_a_copy_with_other_photos_is_refused(
    runs: list[Path], drawn: Path, dark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = dark / "eval" / "info.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:-1]))
    name = lines[-1].split(",")[0].strip()
    (dark / "eval" / "images" / name).unlink()
    capsys.readouterr()
    assert ensemble([runs[0], f"{runs[1]},{dark}"], drawn, tmp_path / "s.csv") == Exit.DATA
    said = " ".join(capsys.readouterr().err.split())
    assert "not a copy of those to predict" in said
    assert "0 ids in it alone, 1 in --data alone" in said
    assert name in said
    assert ensemble([runs[0], f"{runs[1]},{tmp_path / 'none'}"], drawn, tmp_path / "s.csv") == Exit.DATA
    assert "none" in capsys.readouterr().err
    assert not (tmp_path / "s.csv").exists()


def test_names_of_a_run_and_of_its_copy_may_have_commas(
    runs: list[Path], drawn: Path, dark: Path, tmp_path: Path
) -> None:
    odd, copy = Path(shutil.copytree(runs[1], tmp_path / "lr=1,wd=2")), dark.rename(tmp_path / "dark, two")
    assert ensemble([runs[0], f"{odd},{copy}"], drawn, tmp_path / "s.csv") == 0
    assert read_yaml(tmp_path / "s.recipe.yaml")["members"][1] == {"run": str(odd), "data": str(copy)}
    assert ensemble([runs[0], f"{odd},{copy}"], drawn, copy / "s.csv") == Exit.USAGE  # inputs are never written to
    assert not list(copy.glob("s.*"))


def test_a_member_is_divided_where_both_paths_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("run", "run,1", "data", "1,data"):
        Path(folder).mkdir()
    assert files_of("run,1") == ["run,1"]
    assert files_of("run,1,data") == ["run", "1,data"]
    Path("1,data").rmdir()
    assert files_of("run,1,data") == ["run,1", "data"]
    assert files_of("run,none,here") == ["run", "none,here"]
    assert files_of("no,none,here") == ["no", "none,here"]


@pytest.mark.parametrize("form", ["{},", "{}, ", ",{}"])
def test_an_empty_path_is_not_the_current_folder(
    form: str, runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble([runs[0], form.format(runs[1])], drawn, tmp_path / "s.csv") == Exit.USAGE
    assert "a member names an empty path" in capsys.readouterr().err


def test_a_file_that_is_a_member_is_not_replaced(
    runs: list[Path], drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    theirs = Path(shutil.copy(runs[1].with_suffix(".csv"), tmp_path / "their.csv"))
    before = theirs.read_bytes()
    assert ensemble([runs[0], "~/none.csv,~/their.csv"], drawn, theirs, "--force") == Exit.USAGE
    assert theirs.read_bytes() == before


def test_groups_may_be_of_any_copy_of_the_photos(
    runs: list[Path], drawn: Path, dark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run trained on crops has the same rows in other files; groups of either files are groups of the rows."""
    own = tmp_path / "own"
    assert train(dark, own, *WORDS, "seed=1") == 0
    members = [runs[0], f"{own},{dark}"]
    for place, data in enumerate((drawn, dark)):
        photos, rows = groups_of(data, tmp_path / str(place))
        words = ["--groups", str(photos), "--oof-groups", str(rows)]
        assert ensemble(members, drawn, tmp_path / f"s{place}.csv", *words) == 0
    capsys.readouterr()
    assert ensemble(runs, drawn, tmp_path / "t.csv", *words) == Exit.DATA  # of photos that no member has
    assert "photos are not the ones that were grouped" in capsys.readouterr().err


ABOUT = {"detector": None, "fixed": True, "margin": 0.3, "aspect": [4, 3], "window": None}  # of a crops.json


@pytest.fixture
def cropped(runs: list[Path], drawn: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the data with the record of a crop, and a run that was trained on it."""
    copy, run = Path(shutil.copytree(drawn, tmp_path / "cropped")), Path(shutil.copytree(runs[1], tmp_path / "own"))
    (copy / "crops.json").write_text(json.dumps(ABOUT))
    edit_json(run / "env.json", {"cropping": ABOUT, "data": str(copy)})
    return copy, run


def test_a_note_about_another_crop_names_the_run_and_the_way_out(
    runs: list[Path], drawn: Path, cropped: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, run = cropped

    def notes(*members: Any) -> list[str]:
        capsys.readouterr()
        assert ensemble(list(members), drawn, tmp_path / "s.csv", "--force") == 0
        return [line for line in capsys.readouterr().err.splitlines() if "not cropped like" in line]

    for _ in range(2):  # the photos are predicted, and then what is kept of it is read
        (note,) = notes(runs[0], run)
        assert note.startswith(f"{run}: these photos are not cropped like the training photos: ")
        assert f"{drawn} (no crops.json), {copy} (crops.json: margin 0.3, aspect 4:3, without a detector)" in note
        assert f"name the member with its own copy of the photos, {run},COPY" in note
        assert f"maskcls data crop … -o COPY --like {copy}/crops.json" in note
    assert notes(runs[0], f"{run},{copy}") == []
    assert notes(runs[0], f"{run},{copy}/eval/images") == []  # the record is above the photos
    (note,) = notes(f"{runs[0]},{copy}", f"{run},{copy}")
    assert note.startswith(f"{runs[0]}: ")
    assert note.endswith(f"{runs[0]},COPY: the photos as they were before a crop")


def test_predict_says_how_photos_are_cropped_alike(
    drawn: Path, cropped: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, run = cropped
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(tmp_path / "s.csv")]) == 0
    said = capsys.readouterr().err
    assert f"use a copy by maskcls data crop … -o COPY --like {copy}/crops.json" in said
    assert "name the member" not in said
    (copy / "crops.json").unlink()
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(tmp_path / "t.csv")]) == 0
    assert "use a copy that is cropped as the training photos were" in capsys.readouterr().err


def test_an_error_about_one_member_names_it(
    runs: list[Path], drawn: Path, dark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path(shutil.copytree(runs[1], tmp_path / "own"))
    for member, words, code in (
        (f"{own},{tmp_path / 'none'}", [], Exit.DATA),
        (f"{own},{dark}/eval/info.csv", [], Exit.DATA),
        (str(own), ["predict.adapt=adabn"], Exit.CONFIG),
    ):
        capsys.readouterr()
        assert ensemble([member, runs[0]], drawn, tmp_path / "s.csv", *words) == code
        assert f"where: member {member}: " in capsys.readouterr().err


def test_notes_about_a_table_are_printed_once_and_name_a_members_own(
    runs: list[Path], drawn: Path, dark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copies = [Path(shutil.copytree(run, tmp_path / run.name)) for run in runs]
    own, photos = dark / "eval/images", Path(shutil.copytree(drawn / "eval/images", tmp_path / "photos"))
    for folder in (own, photos):
        (folder / "notes.txt").write_text("")
    for copy in copies:
        shutil.rmtree(copy / "test")
    capsys.readouterr()
    assert ensemble([copies[0], f"{copies[1]},{own}"], photos, tmp_path / "s.csv") == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "left out: " in line]
    assert said == [
        "left out: 1 file that is no photo (notes.txt)",
        f"{own}: left out: 1 file that is no photo (notes.txt)",
    ]


def test_with_groups_photos_are_read_once(
    runs: list[Path], drawn: Path, dark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the check of what is kept and for the check of the groups; also where a run has just predicted them."""
    own = Path(shutil.copytree(runs[1], tmp_path / "own"))
    shutil.rmtree(own / "test")
    photos, _ = groups_of(dark, tmp_path)
    read: list[Path] = []

    def counted(root: Path, frame: Any, *, threads: int) -> Any:
        read.append(root)
        return digests_of_table(root, frame, threads=threads)

    monkeypatch.setattr("maskcls.data.photos.identity.photo_digests.digests_of_table", counted)
    for expected in ([drawn], [drawn, dark]):  # own has to predict its photos, and then has kept that
        read.clear()
        assert ensemble([runs[0], f"{own},{dark}"], drawn, tmp_path / "s.csv", "--groups", str(photos), "--force") == 0
        assert read == expected


def test_a_run_is_a_member_once_with_one_copy_of_the_photos(
    runs: list[Path], drawn: Path, dark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for members, what, got in (
        ([runs[0], runs[1], runs[0]], "a member is named twice", f"{runs[0]} and {runs[0]}"),
        ([f"{runs[0]},{dark}", runs[0]], "with several copies of the photos", f"{runs[0]},{dark} and {runs[0]}"),
        (
            [f"{runs[0]},{dark}", f"{runs[0]},{drawn}"],
            "with several copies of the photos",
            f"{runs[0]},{dark} and {runs[0]},{drawn}",
        ),
    ):
        capsys.readouterr()
        assert ensemble(members, drawn, tmp_path / "s.csv") == Exit.USAGE
        said = " ".join(capsys.readouterr().err.split())
        assert what in said
        assert f"got: {got} " in said


def test_paths_of_a_member_may_have_spaces_a_tilde_and_a_slash(
    runs: list[Path], drawn: Path, dark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(runs[1], tmp_path / "my run")
    shutil.move(dark, tmp_path / "my photos")
    csv_file = tmp_path / "their answers.csv"
    shutil.copy(runs[1].with_suffix(".csv"), csv_file)
    for place, member in enumerate(
        ("~/my run,~/my photos", "~/my run/,~/my photos/", f"{tmp_path}/my run,~/my photos")
    ):
        assert ensemble([runs[0], member], drawn, tmp_path / f"s{place}.csv") == 0
        assert read_yaml(tmp_path / f"s{place}.recipe.yaml")["members"][1] == {
            "run": str(tmp_path / "my run"),
            "data": str(tmp_path / "my photos"),
        }
    assert ensemble([runs[0], "~/their answers.csv"], drawn, tmp_path / "t.csv") == 0
    assert ensemble([runs[0], "~/my run, ~/my photos"], drawn, tmp_path / "u.csv") == Exit.USAGE


def test_a_cache_inside_a_copy_of_the_photos_is_refused(
    runs: list[Path], drawn: Path, dark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKCLS_CACHE", str(dark / "cache"))
    assert ensemble([runs[0], f"{runs[1]},{dark}"], drawn, tmp_path / "s.csv") == Exit.USAGE
    assert not (dark / "cache").exists()
    assert ensemble([runs[0], f"{runs[1]},{dark}"], drawn, tmp_path / "s.csv", "data.cache=off") == 0
    words = ["pseudo-label", str(runs[0]), "--data", str(dark), "-o", str(tmp_path / "p.csv"), "--min-confidence", "0"]
    assert run_app(words) == Exit.USAGE
    assert run_app([*words, "data.cache=off", "--agree", "0"]) == 0


TASKS = {"mask": [1, 1], "gender": [1, 1], "age": [1, 1]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "tasks", "sources": {"mask": 0, "gender": 1, "age": 2}},
        {"method": "tasks", "sources": {"mask": 0, "gender": 1, "age": -1}},
        {"method": "tasks", "sources": {"mask": 0, "gender": 1, "age": "r0"}},
        {"method": "tasks", "sources": {"mask": 0, "gender": 1}},
        {"method": "tasks", "sources": [0, 1, 0]},
        {"method": "tasks"},
        {"method": "tasks", "weights": [1, 1]},
        {"method": "greedy"},
        {"method": "greedy", "weights": [1]},
        {"method": "greedy", "weights": [1, float("nan")]},
        {"method": "greedy", "weights": [[1], [1, 2]]},
        {"method": "greedy", "weights": "ab"},
        {"method": "greedy", "weights": TASKS},
        {"method": "convex-tasks", "weights": [1, 1]},
        {"method": "convex-tasks", "weights": {**TASKS, "age": [1]}},
        {"method": "convex-tasks", "weights": {"mask": [1, 1], "gender": [1, 1]}},
        {"method": "convex-tasks", "weights": {**TASKS, "hat": [1, 1]}},
        {"method": "mean", "weights": [1, 1]},
        {"method": "stack", "sources": {"mask": 0, "gender": 1, "age": 0}},
        {"members": []},
        {"members": [{"runs": "r0"}]},
        {"members": [{"run": 1}]},
        {"members": [{"data": "faces"}]},
        {"members": [{"run": "r0", "file": "r0.csv"}]},
        {"members": "r0"},
        {"decide": "no"},
    ],
    ids=str,
)
def test_a_recipe_that_is_wrong_is_refused(
    wrong: dict[str, Any], runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"kind": "maskcls ensemble", "version": 1, "method": "mean", "weights": None, "sources": None}
    good |= {"decide": False, "members": [{"run": str(run)} for run in runs]}
    recipe, words = tmp_path / "r.yaml", ["--data", str(drawn), "-o", str(tmp_path / "s.csv")]
    recipe.write_text(dump_yaml({**good, **wrong}))
    assert run_app(["ensemble", "--recipe", str(recipe), *words]) == 4
    assert str(recipe) in capsys.readouterr().err
    recipe.write_text(dump_yaml(good))
    for more in (["--method", "mean"], ["--weights", "1,1"], [str(runs[0])]):
        assert run_app(["ensemble", *more, "--recipe", str(recipe), *words]) == 2
    assert not (tmp_path / "s.csv").exists()


def test_a_recipe_that_was_changed_is_refused_and_one_without_a_digest_is_read(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble(runs, drawn, tmp_path / "s.csv") == 0
    recipe, words = tmp_path / "s.recipe.yaml", ["--data", str(drawn), "-o", str(tmp_path / "t.csv")]
    text = recipe.read_text()
    recipe.write_text(text.replace("method: mean", "method: rank"))
    assert run_app(["ensemble", "--recipe", str(recipe), *words]) == 9
    assert str(recipe) in capsys.readouterr().err
    recipe.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("digest:")))
    assert run_app(["ensemble", "--recipe", str(recipe), *words]) == 0
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "s.csv").read_bytes()


def test_a_run_that_has_not_predicted_yet_does_so_now(runs: list[Path], drawn: Path, tmp_path: Path) -> None:
    copies = [Path(shutil.copytree(run, tmp_path / run.name)) for run in runs]
    shutil.rmtree(copies[1] / "test")
    assert ensemble(copies, drawn, tmp_path / "s.csv") == 0
    assert ensemble(runs, drawn, tmp_path / "t.csv") == 0
    assert answers(tmp_path / "s.csv") == answers(tmp_path / "t.csv")


def test_what_a_run_said_with_other_networks_is_not_taken(runs: list[Path], drawn: Path, tmp_path: Path) -> None:
    said, run = said_by(runs)[0], Path(shutil.copytree(runs[0], tmp_path / "r0"))
    reverse, one = np.ascontiguousarray(said.prob[:, ::-1]), {"weights": said.lineage["weights"][:1]}
    expected = {"now": reverse.argmax(1).tolist(), "before": said.labels().tolist()}
    for name, lineage in (("now", said.lineage), ("before", {**said.lineage, **one})):
        Predictions(said.ids, reverse, said.space, lineage).save(run / "test/faces-none.npz")
        assert ensemble([run], drawn, tmp_path / f"{name}.csv") == 0
        assert answers(tmp_path / f"{name}.csv") == expected[name]


def test_what_a_run_said_about_other_photos_of_the_same_names_is_not_taken(
    runs: list[Path], drawn: Path, tmp_path: Path
) -> None:
    """A data set of the same name, in which one photo is another, as after a new export."""
    said, run = said_by(runs)[0], Path(shutil.copytree(runs[0], tmp_path / "r0"))
    reverse = np.ascontiguousarray(said.prob[:, ::-1])
    Predictions(said.ids, reverse, said.space, said.lineage).save(run / "test/faces-none.npz")
    other = Path(shutil.copytree(drawn, tmp_path / drawn.name))
    first, second = (other / "eval" / "images" / name for name in said.ids[:2])
    first.write_bytes(second.read_bytes())
    assert ensemble([run], other, tmp_path / "e.csv") == 0
    assert answers(tmp_path / "e.csv") == [said.labels()[1], *said.labels()[1:]]


def test_decide_says_what_a_rule_is_worth(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble(runs, drawn, tmp_path / "s.csv", "--decide") == 0
    assert "decision rule:" in capsys.readouterr().out
    assert read_yaml(tmp_path / "s.recipe.yaml")["decide"] is True


def groups_of(drawn: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Return groups of the eval photos, and of the train photos, by `maskcls group`."""
    photos, rows = tmp_path / "groups.csv", tmp_path / "train_groups.csv"
    assert run_app(["group", str(drawn), "-o", str(photos)]) == 0
    assert run_app(["group", str(drawn), "--train", "-o", str(rows)]) == 0
    return photos, rows


def test_groups_without_a_proven_gain_are_left_out_and_a_line_says_so(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, rows = groups_of(drawn, tmp_path)
    given, plain = tmp_path / "given.csv", tmp_path / "plain.csv"
    capsys.readouterr()
    assert ensemble(runs, drawn, given, "--groups", str(photos), "--oof-groups", str(rows)) == 0
    assert "photos are not averaged in groups: expected gain" in capsys.readouterr().err
    assert ensemble(runs, drawn, plain) == 0
    assert given.read_bytes() == plain.read_bytes()
    assert json.loads(given.with_suffix(".json").read_text())["lineage"]["groups"] is None
    for words in (
        ["ensemble", *map(str, runs), "--data", str(drawn), "-o", str(tmp_path / "asked.csv"), "--groups", str(photos)],
        ["predict", str(runs[0]), "--data", str(drawn), "-o", str(tmp_path / "one.csv"), "--groups", str(photos)],
    ):
        assert run_app(words) == 0
        assert "as asked: no gain was measured" in capsys.readouterr().err


def test_photos_of_a_group_answer_together(
    runs: list[Path],
    drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(expected_gain, "PROVEN_ABOVE", -2.0)  # these networks know nothing
    photos, rows = groups_of(drawn, tmp_path)
    with photos.open(newline="") as handle:
        group = [row["group"] for row in csv.DictReader(handle)]
    capsys.readouterr()
    alone, scored, both = tmp_path / "alone.csv", tmp_path / "scored.csv", tmp_path / "both.csv"
    assert ensemble(runs, drawn, alone, "--groups", str(photos)) == 0
    assert ensemble(runs, drawn, scored, "--groups", str(photos), "--oof-groups", str(rows), "--json") == 0
    assert ensemble(runs, drawn, both, "--json") == 0
    plain, together = (json.loads(line) for line in capsys.readouterr().out.splitlines()[-2:][::-1])
    assert plain["nested"]["macro_f1"] != together["nested"]["macro_f1"]
    for path in (alone, scored):
        labels = [(answer // 3 % 2, answer % 3) for answer in answers(path)]
        assert {len({pair for pair, g in zip(labels, group, strict=True) if g == name}) for name in set(group)} == {1}
    told = json.loads(scored.with_suffix(".json").read_text())["lineage"]["groups"]
    assert (told["tasks"], set(told["weights"])) == (["gender", "age"], {"wear", "incorrect", "normal"})
    words = ["predict", str(runs[0]), "--data", str(drawn), "-o", str(tmp_path / "p.csv"), "--groups", str(photos)]
    assert run_app(words) == 0
    labels = [(answer // 3 % 2, answer % 3) for answer in answers(tmp_path / "p.csv")]
    assert {len({pair for pair, g in zip(labels, group, strict=True) if g == name}) for name in set(group)} == {1}
    assert run_app([*words, "--decide", "--force"]) == 2
    assert ensemble(runs, drawn, tmp_path / "x.csv", "--oof-groups", str(rows)) == 2
    assert ensemble(runs, drawn, tmp_path / "x.csv", "--groups", str(rows)) == 4


def groups_with_contents(path: Path, ids: list[str], photos: list[Path]) -> Path:
    """Write every photo as a group, with the digests of these files."""
    contents = {id: digest(photo.read_bytes()) for id, photo in zip(ids, photos, strict=True)}
    about = contents_entry(contents)
    write_groups(path, ids, np.arange(len(ids)), weights=None, about=about, force=False)
    return path


def test_groups_of_other_photos_with_the_same_names_are_refused(
    runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two photos changed places since the groups were made, once of those to predict, once of the training's."""
    ids = said_by(runs)[0].ids.tolist()
    photos = [drawn / "eval/images" / id for id in ids]
    right = groups_with_contents(tmp_path / "right.csv", ids, photos)
    swapped = groups_with_contents(tmp_path / "swapped.csv", ids, [photos[1], photos[0], *photos[2:]])
    with (runs[0] / "manifest.csv").open(newline="") as handle:
        train = {row["id"]: drawn / row["path"] for row in csv.DictReader(handle)}
    rows = list(train.values())
    of_train = groups_with_contents(tmp_path / "train.csv", list(train), [rows[1], rows[0], *rows[2:]])
    asked = ["--groups", str(swapped)]
    assert ensemble([runs[0]], drawn, tmp_path / "e.csv", *asked) == 4
    assert run_app(["predict", str(runs[0]), "--data", str(drawn), "-o", str(tmp_path / "e.csv"), *asked]) == 4
    told = capsys.readouterr().err
    assert told.count("photos are not the ones that were grouped") == 2
    assert [told.count(repr(id)) for id in ids[:3]] == [2, 2, 0]
    asked = ["--groups", str(right), "--oof-groups", str(of_train)]
    assert ensemble([runs[0]], drawn, tmp_path / "e.csv", *asked) == 4
    told = capsys.readouterr().err
    assert [told.count(repr(id)) for id in list(train)[:3]] == [1, 1, 0]
    assert not (tmp_path / "e.csv").exists()
    assert ensemble([runs[0]], drawn, tmp_path / "e.csv", "--groups", str(right)) == 0


@pytest.mark.parametrize("method", ["convex-tasks", "tasks", "convex"])
def test_the_table_fits_80_columns_and_says_what_each_task_takes(
    method: str, runs: list[Path], drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble(runs, drawn, tmp_path / "s.csv", "--method", method) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[: lines.index("")]
    assert max(map(len, table)) <= 80
    assert table[1].split()[-3:] == ["without", "kappa", "correlation"]
    weights = [line.partition(":")[0] for line in lines if line.startswith("weights for ")]
    assert weights == ([] if method == "convex" else [f"weights for {task}" for task in ("mask", "gender", "age")])
    assert ("weight" in table[1].split()) == (method == "convex")
