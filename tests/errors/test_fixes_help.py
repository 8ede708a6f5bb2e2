"""What an error advises helps: the advised command runs, and the command that failed then succeeds."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny import PLAIN, recipe

from maskcls.cli import run_app
from maskcls.data.drawn.faces import make_faces
from maskcls.errors import Exit

WORDS = tuple(recipe(*PLAIN, "train.epochs=1", "train.fold_jobs=1"))


def unfinish(world: Path) -> None:
    """Leave a run as a kill before its end does."""
    for name in ("oof.npz", "summary.json", "fold1/DONE"):
        (world / "runs/a" / name).unlink()


def calibrate_other(world: Path) -> None:
    """Put the decision of another run into a run."""
    assert run_app(["calibrate", "runs/b"]) == 0
    shutil.copy(world / "runs/b/decision.json", world / "runs/a")


def export_other(world: Path) -> None:
    """Put the exported file of another run into a run."""
    assert run_app(["export", "runs/b", "--check", "0"]) == 0
    shutil.copytree(world / "runs/b/export", world / "runs/a/export")


def export(_: Path) -> None:
    """Export a run."""
    assert run_app(["export", "runs/a", "--check", "0"]) == 0


def as_it_is(_: Path) -> None:
    """Change nothing."""


@dataclass(frozen=True)
class Advice:
    """A command that fails, what is done before it, and its exit code."""

    before: Callable[[Path], None]
    command: str
    code: Exit


PHOTO = "faces/eval/images/0*.jpg"
COMMANDS = {
    "evaluate, unfinished": Advice(unfinish, "evaluate runs/a", Exit.RESULT),
    "report, unfinished": Advice(unfinish, "report runs/a -o page.html", Exit.RESULT),
    "predict, unfinished": Advice(unfinish, "predict runs/a --data faces -o s.csv", Exit.RESULT),
    "export, unfinished": Advice(unfinish, "export runs/a -o model.onnx --check 0", Exit.RESULT),
    "calibrate, unfinished": Advice(unfinish, "calibrate runs/a", Exit.RESULT),
    "not calibrated": Advice(as_it_is, "predict runs/a --data faces -o s.csv --decide", Exit.RESULT),
    "another decision": Advice(calibrate_other, "predict runs/a --data faces -o s.csv --decide", Exit.RESULT),
    "not exported": Advice(as_it_is, f"predict runs/a {PHOTO} --engine onnxruntime -o t.csv", Exit.USAGE),
    "another export": Advice(export_other, f"predict runs/a {PHOTO} --engine onnxruntime -o t.csv", Exit.RESULT),
    "exported with other views": Advice(
        export, f"predict runs/a {PHOTO} --engine onnxruntime -o t.csv predict.views=hflip", Exit.CONFIG
    ),
    "tta of one fold": Advice(as_it_is, "tta runs/one", Exit.RESULT),
    "pseudo labels for a missing fold": Advice(
        as_it_is, "pseudo-label runs/one --data faces -o p.csv --min-confidence 0 --agree 0", Exit.RESULT
    ),
    "photos of sealed people": Advice(as_it_is, "predict runs/sealed --data faces/train/images -o s.csv", Exit.DATA),
    "unknown option": Advice(as_it_is, "config list qqqq", Exit.USAGE),
}
AFTERWARDS_THE_SAME = {"unknown option"}  # lists what there is; the command that failed stays wrong
# A command that fails -> words that its fix advises, and the same command with them.
OPTIONS = {
    "config show optim.lrr=1": ("'lr'", "config show optim.lr=1"),
    "config show --config tiny": ("'tiny_cpu'", "config show --config tiny_cpu"),
    "config list optimm": ("'optim'", "config list optim"),
    "config show --yaml --json": ("give one of them", "config show --yaml"),
    "evaluate runs/a --full --section people": ("give one of them", "evaluate runs/a --full"),
    "calibrate runs/a --rule best": ("", "calibrate runs/a --rule expected"),
    "predict runs/a --data faces -o taken.csv": ("--force", "predict runs/a --data faces -o taken.csv --force"),
    "runs note runs/a": ("give a text", "runs note runs/a text"),
    "runs compare runs/a runs/a": ("name two", "runs compare runs/a runs/b"),
    "data crop faces -o cropped": ("", "data crop faces -o cropped --fixed"),
    "data make faces --people 2": ("name another folder", "data make others --people 2"),
    "predict runs/a --data faces -o s.csv optim.lr=1": (
        "",
        "predict runs/a --data faces -o s.csv predict.batch_size=2",
    ),
    "debug runs/a --quick": ("leave out the options", "debug runs/a"),
    "submission check none.csv --data faces": ("maskcls predict", "predict runs/a --data faces -o none.csv"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set and runs on it, made once; each test works in a copy."""
    root = tmp_path_factory.mktemp("advice") / "world"
    make_faces(root / "faces", people=12, seed=0, eval_people=3, size=(48, 36))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for run, words in {
            "a": [],
            "b": ["seed=1"],
            "one": ["--folds", "0"],
            "sealed": ["folds.sealed=0.25"],
        }.items():
            assert run_app(["train", "faces", "--run", f"runs/{run}", *WORDS, *words]) == 0
    return root


@pytest.fixture
def world(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """That folder, and afterwards as it was before: a run holds the path of its data, so it is not moved."""
    shutil.copytree(trained, tmp_path / "kept")
    monkeypatch.chdir(trained)
    yield trained
    shutil.rmtree(trained)
    shutil.copytree(tmp_path / "kept", trained)


def words_of(command: str) -> list[str]:
    """Return the words of a command; a pattern becomes the files of that name."""
    return [
        name
        for word in shlex.split(command)
        for name in (map(str, sorted(Path().glob(word))) if "*" in word else [word])
    ]


def fix_of(command: str, code: Exit, capsys: pytest.CaptureFixture[str]) -> str:
    """Give a command that fails; returns what its message advises."""
    capsys.readouterr()
    assert run_app(words_of(command)) == code
    error = capsys.readouterr().err
    found = re.search(r"^  fix: (.*)$", error, re.M)
    return found[1] if found else error


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_the_advised_command_helps(name: str, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    advice = COMMANDS[name]
    advice.before(world)
    fix = fix_of(advice.command, advice.code, capsys)
    found = re.search(r"maskcls ([\w-][^;]*)$", fix)
    assert found, fix
    assert run_app(words_of(found[1])) == 0
    if name not in AFTERWARDS_THE_SAME:
        assert run_app(words_of(advice.command)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("command", OPTIONS)
def test_the_advised_words_help(command: str, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (world / "taken.csv").write_text("")
    says, better = OPTIONS[command]
    capsys.readouterr()
    assert run_app(words_of(command)) != 0
    assert says in capsys.readouterr().err
    assert run_app(words_of(better)) == 0


def test_enough_advice_is_tried() -> None:
    assert len(COMMANDS) >= 12
    assert len(OPTIONS) >= 12
