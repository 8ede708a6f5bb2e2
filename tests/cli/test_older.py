"""Spellings of earlier versions: each gives what the new one gives, and one line on stderr names the new one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
from made_run import make_run
from test_cli import HIDDEN
from tiny import recipe, train

from maskcls.cli import run_app
from maskcls.commands.data import look as looking
from maskcls.errors import Exit
from maskcls.verbs import older
from maskcls.verbs.options import load_config
from maskcls.verbs.words import is_override, split_words

FAST = ("model.backbone=test_convnext", "train.epochs=1")
RULE = "--min-confidence 0 --agree 0"
# verb words | old words | new words | what the message names. RUN, DATA: a trained run, drawn faces; OUT: a new path.
TABLE = [
    ("predict RUN --data DATA -o OUT.csv", "--tta hflip", "predict.views=hflip"),
    ("predict RUN --data DATA -o OUT.csv", "predict.views=plain", "predict.views=none"),
    (f"pseudo-label RUN --data DATA -o OUT.csv {RULE}", "--tta plain,hflip", "--views none,hflip"),
    (f"pseudo-label RUN --data DATA -o OUT.csv {RULE}", "--set predict.batch_size=8", "predict.batch_size=8"),
    ("ensemble RUN --data DATA -o OUT.csv", "--set predict.batch_size=8", "predict.batch_size=8"),
    ("evaluate RUN", "--write OUT.csv", "-o OUT.csv"),
    ("runs compare RUN OTHER", "--changed OUT.csv", "-o OUT.csv"),
    ("group DATA -o OUT.csv", "--photos DATA", "--unlabelled DATA"),
    ("runs prune RUNS --keep 0", "--dry-run", ""),
    ("data cache prune --days 0", "--dry-run", ""),
    ("data crop DATA --like LIKE", "OUT", "-o OUT"),
    ("train DATA PSEUDO --run OUT --folds 0", "--leaky", "data.leaky=true"),
]
# What is no hidden option: a value, and a second argument.
OTHERS = {"predict.views=plain", "OUT"}


@pytest.fixture(scope="module")
def places(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what the capitals in the table stand for; tests must not write there."""
    root = tmp_path_factory.mktemp("older")
    assert train(drawn, root / "runs" / "a", *FAST) == 0
    like = root / "crops.json"
    window = {"x": 0.5, "y": 0.4, "width": 0.4, "height": 0.4, "spread": [0.1, 0.1, 0.1, 0.1], "faces": 3}
    like.write_text(json.dumps({"margin": 0.3, "aspect": [4, 3], "window": window}))
    other = make_run(root / "other", drawn)
    labels, by_hand = root / "pseudo.csv", root / "hand.csv"
    assert run_app(["pseudo-label", f"{root}/runs/a", "--data", str(drawn), "-o", str(labels), *RULE.split()]) == 0
    table = pd.read_csv(labels, dtype=str, keep_default_na=False).query("set == 'all'")
    table[["id", "path", "mask", "gender", "age"]].to_csv(by_hand, index=False)
    return {
        "PSEUDO": f"data.pseudo={by_hand}",
        "RUNS": str(root / "runs"),
        "RUN": str(root / "runs" / "a"),
        "OTHER": str(other.path),
        "DATA": str(drawn),
        "LIKE": str(like),
    }


def run(words: str, places: Mapping[str, str], out: Path) -> tuple[int, dict[str, bytes]]:
    """Run one command line; returns its code, and the bytes of the files that it wrote, without hashes and times."""
    named = dict(places) | {"OUT": str(out / "out"), "OUT.csv": str(out / "out.csv")}
    out.mkdir()
    given = [named.get(word, word) for word in words.split()]
    given += recipe(*FAST) if given[0] == "train" else []
    code = run_app(given)
    kept = (".csv", ".npz", ".jpg", ".png")
    return code, {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.name.endswith(kept)}


@pytest.mark.parametrize(("verb", "old", "new"), TABLE, ids=[f"{v.split(' ')[0]} {o}" for v, o, _ in TABLE])
def test_an_older_spelling_does_the_same_and_names_the_new_one(
    verb: str, old: str, new: str, places: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = run(f"{verb} {new}", places, tmp_path / "new")
    fresh = capsys.readouterr()
    assert "older spelling" not in fresh.err
    found = run(f"{verb} {old}", places, tmp_path / "old")
    aged = capsys.readouterr()
    assert found == expected
    assert expected[0] == Exit.OK
    notes = [line for line in aged.err.splitlines() if "older spelling" in line]
    assert "no option at all" not in aged.err
    assert len(notes) == 1, aged.err
    assert notes[0].startswith("note: ")
    out = str(tmp_path / "old" / "out")
    for word in (new or "--yes").replace("OUT", out).split():
        assert places.get(word, word) in notes[0], (word, notes)
    assert fresh.out.replace("/new/", "/old/") == aged.out


def test_the_table_holds_every_hidden_option() -> None:
    hidden = {option.rpartition(" ") for option in HIDDEN}
    table = {(verb, old.split()[0]) for verb, old, _ in TABLE if old not in OTHERS}
    assert len(TABLE) == 12
    for verb, _, option in hidden:
        assert any(words.startswith(verb) and option == word for words, word in table), (verb, option)
    assert len(table) == len(hidden)


def test_only_one_process_names_the_new_spelling(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    older.renamed("--a", "--b")
    assert capsys.readouterr().err == "note: --a is an older spelling of --b\n"
    monkeypatch.setenv("RANK", "1")
    older.renamed("--a", "--b")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "crop", "a", "b", "-o", "c"], "too many arguments"),
        (["data", "crop", "a", "b", "c"], "too many arguments"),
        (["data", "crop", "a"], "no folder to make"),
        (["runs", "prune", "--keep", "1", "--dry-run", "--yes"], "contradict"),
        (["data", "cache", "prune", "--dry-run", "--yes"], "contradict"),
        (["predict", "a", "--data", "b", "--tta", "hflip", "predict.views=none"], "--tta hflip and predict.views=none"),
        (["predict", "a", "--data", "b", "--tta", "hflip", "predict={views: none}"], "two spellings of one setting"),
        (["train", "a", "--leaky", "data.leaky=false"], "--leaky and data.leaky=false"),
        (["train", "a", "seed=1", "seed=2"], "seed=1 and seed=2"),
        (["train", "a", "train.epochs=1", "epochs=1"], "train.epochs=1 and epochs=1"),
        (["predict", "a", "--data", "b", "predict.views=none", "predict={views: hflip}"], "where: predict.views"),
        (["ensemble", "a", "--data", "b", "--set", "seed=1", "--set", "seed=2"], "--set seed=2 and seed=1"),
        (["ensemble", "a", "--data", "b", "--set", "device.threads=1", "device.threads=2"], "different values"),
        (["pseudo-label", "a", "--data", "b", "--set", "device.threads=1", "device.threads=2"], "different values"),
        (["pseudo-label", "a", "--data", "b", "--tta", "none", "--views", "hflip"], "--tta none and --views hflip"),
        (["pseudo-label", "a", "--data", "b", "--views", ""], "argument 6 after --views has no text"),
        (["pseudo-label", "a", "--data", "b", "--views", "none,"], "a view has no name"),
        (["evaluate", "a", "--write", "b", "-o", "c"], "--write b and -o c"),
        (["runs", "compare", "a", "b", "--changed", "b", "-o", "c"], "--changed b and -o c"),
        (["group", "a", "--photos", "b", "--unlabelled", "c"], "--photos b and --unlabelled c"),
        (["pseudo-label", "predict.batch_size=8", "--data", "a"], "no run to label with"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(words) == Exit.USAGE
    assert message in capsys.readouterr().err


def test_two_spellings_with_one_value_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert older.moved(("--write", Path("a")), "-o", Path("a")) == Path("a")
    assert older.moved(("--write", None), "-o", Path("a")) == Path("a")
    assert older.current_views("plain,hflip", "none,hflip") == ["none", "hflip"]
    assert older.current_views(None, None) == []
    assert older.with_older(["predict.views=none"], [("--tta plain", "predict.views=plain")]) == ["predict.views=none"]
    assert capsys.readouterr().err.count("older spelling") == 3


def test_an_older_view_in_a_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("predict: {views: plain+flip}")
    assert run_app(["config", "show", "--config", str(file), "--json"]) == Exit.OK
    shown = capsys.readouterr()
    assert json.loads(shown.out)["config"]["predict"]["views"] == "none+flip"
    assert shown.err == "note: predict.views=plain+flip in mine.yaml is an older spelling of predict.views=none+flip\n"
    cfg, _ = load_config([file], [])
    assert cfg.predict.views == "none+flip"


# --- overrides among paths


def test_a_word_with_a_key_of_the_configuration_is_an_override(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1e-4").mkdir()
    (tmp_path / "v1.lr=1").mkdir()
    overrides = ["predict.batch_size=8", "predict={groups: look}", "seed=3", "device.threads=1", "predct.views=hflip"]
    paths = ["runs/a", "runs/lr=1e-4", "lr=1e-4", "./predict.views=hflip", "a=1.csv", "f.csv,oof.csv", "v1.lr=1"]
    assert split_words([*paths, *overrides]) == (paths, overrides)
    assert split_words(None) == ([], [])


def test_a_folder_named_like_an_override_has_to_be_named_as_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_override("optim.lr=1e-4")
    (tmp_path / "optim.lr=1e-4").mkdir()
    assert run_app(["ensemble", "optim.lr=1e-4", "--data", "faces"]) == Exit.USAGE
    assert "./optim.lr=1e-4" in capsys.readouterr().err
    assert not is_override("./optim.lr=1e-4")


def test_a_run_in_a_folder_with_an_equals_sign_is_a_member(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1").symlink_to(places["RUN"])
    words = ["ensemble", "lr=1", "predict.batch_size=8", "--data", places["DATA"], "--json"]
    assert run_app(words) == Exit.OK
    assert '"members": [{"name": "lr=1", "given": "lr=1"' in capsys.readouterr().out


def test_looking_keeps_its_own_photos_option() -> None:
    """`data look --photos` is a number; `group --photos` was a data set, and is hidden."""
    assert looking.look.__kwdefaults__ == {
        **{"photos": 8, "draws": 6, "boxes": True},
        **{"page": None, "with_photos": False, "force": False},
    }
