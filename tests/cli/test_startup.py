"""What each light verb loads, read from sys.modules of a process of its own: nobody waits for torch to see a typo.

Only what is loaded is asked, not how long it takes; benchmarks/cli.py measures that.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from made_run import make_run
from test_cli import SURFACE

DEEP = {"torch", "torchvision", "timm", "accelerate", "albumentations", "albucore", "safetensors"}
SCIENCE = {"scipy", "sklearn", "cv2", "PIL"}
TABLES = {"numpy", "pandas", "yaml"}
# Typer itself loads pydantic to turn words into values, and rich to print help and usage errors.
TYPERS = {"pydantic", "rich"}

HELP = [[*verb.split(), "--help"] for verb in SURFACE]

# A command line, its exit code, and the packages it must not load.
LIGHT: list[tuple[list[str], int, set[str]]] = [
    (["--version"], 0, DEEP | SCIENCE | TABLES | TYPERS),
    (["--help"], 0, DEEP | SCIENCE | TABLES | {"pydantic"}),
    (["data", "--help"], 0, DEEP | SCIENCE | TABLES),
    *((words, 0, DEEP | SCIENCE | TABLES) for words in HELP),
    (["trian"], 2, DEEP | SCIENCE | TABLES),
    (["train"], 2, DEEP | SCIENCE | TABLES),
    (["predict", "run"], 2, DEEP | SCIENCE | TABLES),
    (["data", "make", "new", "--people", "0"], 2, DEEP | SCIENCE | TABLES),
    (["train", "faces", "--dry-run", "optim.lr=-1"], 3, DEEP | SCIENCE | {"pandas", "rich"}),
    (["train", "faces", "--config", "mutli"], 3, DEEP | SCIENCE | {"pandas", "rich"}),
    (["data", "check", "faces", "optim.rl=1"], 3, DEEP | SCIENCE | {"pandas", "rich"}),
    (["train", "faces", "--epochs", "3"], 2, DEEP | SCIENCE | {"pandas", "yaml"}),
    (["config", "list"], 0, DEEP | SCIENCE | {"pandas", "rich"}),
    (["config", "list", "--json", "optim"], 0, DEEP | SCIENCE | {"pandas", "rich"}),
    (["config", "schema"], 0, DEEP | SCIENCE | {"pandas", "rich"}),
    (["config", "show", "--config", "multi"], 0, DEEP | SCIENCE | {"pandas"}),
    (["config", "show", "--config", "multi", "--yaml"], 0, DEEP | SCIENCE | {"pandas", "rich"}),
    (["evaluate", "answers.csv", "--answers", "answers.csv"], 0, DEEP | SCIENCE | {"pandas", "yaml"}),
    (["evaluate", "answers.csv", "--answers", "answers.csv", "--json"], 0, DEEP | SCIENCE | {"pandas", "yaml", "rich"}),
    (["data", "make", "new", "--people", "1", "--eval-people", "1"], 0, DEEP | {"scipy", "sklearn", "PIL", "pandas"}),
    (["train", "nowhere"], 4, DEEP | SCIENCE),
    (["train", "nowhere", "--dry-run"], 4, DEEP | SCIENCE),
    (["train", "faces", "--folds", "9"], 2, DEEP | SCIENCE),
    (["train", "faces", "--run", "made"], 7, DEEP | SCIENCE),
    (["train", "faces", "--run", "made", "--dry-run"], 7, DEEP | SCIENCE),
    (["resume", "nowhere"], 9, DEEP | SCIENCE),
    (["serve", "made", "--queue", "8"], 2, DEEP | {"scipy", "sklearn", "cv2", "pandas"}),
    (["serve", "made", "--token", "short"], 2, DEEP | {"scipy", "sklearn", "cv2", "pandas"}),
    (["resume", "made", "--folds", "9"], 2, DEEP | SCIENCE),
    (["predict", "nowhere", "--data", "faces"], 9, DEEP | SCIENCE),
    (["predict", "made", "--data", "nowhere"], 4, DEEP | SCIENCE),
    (["predict", "made", "--data", "faces", "-o", "answers.csv"], 7, DEEP | SCIENCE),
    (["predict", "made", "--data", "faces", "optim.lr=1"], 3, DEEP | SCIENCE),
    (["predict", "made", "--data", "faces", "predict.views=mirror"], 3, DEEP | SCIENCE),
    (["predict", "made", "--data", "faces", "--groups", "nowhere.csv"], 4, DEEP | SCIENCE),
    (["predict", "made", "--data", "faces", "--groups", "answers.csv", "predict.groups=none"], 2, DEEP | SCIENCE),
    (["predict", "made", "--data", "faces", "--groups", "answers.csv", "--decide"], 2, DEEP | SCIENCE),
    (["predict", "made", "--data", "faces", "predict.groups=look", "--decide"], 2, DEEP | SCIENCE),
    (["predict", "made", "--data", "faces", "--decide"], 9, DEEP | SCIENCE),
    (["predict", "nowhere", "photo.jpg"], 9, DEEP | SCIENCE),
    (["predict", "made", "photo.jpg", "-o", "answers.csv"], 7, DEEP | SCIENCE),
    (["predict", "made", "photo.jpg", "predict.groups=look"], 2, DEEP | SCIENCE),
    (["predict", "--gather", "nowhere", "-o", "new.csv"], 9, DEEP | SCIENCE),
    (["train", "faces", "data.fixes=nowhere.csv"], 4, DEEP | SCIENCE),
    (["train", "faces", "data.pseudo=nowhere.csv"], 4, DEEP | SCIENCE),
    (["train", "faces", "model.weights=nowhere"], 5, DEEP | SCIENCE),
    (["pseudo-label", "nowhere", "--data", "faces"], 9, DEEP | SCIENCE),
    (["pseudo-label", "made", "--data", "nowhere"], 4, DEEP | SCIENCE),
    (["pseudo-label", "made", "--data", "faces", "-o", "answers.csv"], 7, DEEP | SCIENCE),
    (["pseudo-label", "made", "--data", "faces", "--agree", "2"], 2, DEEP | SCIENCE),
    (["pseudo-label", "made", "--data", "faces", "--min-confidence", "agee=0.5"], 3, DEEP | SCIENCE),
    (["pseudo-label", "made", "--data", "faces", "--views", "mirror"], 3, DEEP | SCIENCE),
    (["pseudo-label", "made", "--data", "faces", "optim.lr=1"], 3, DEEP | SCIENCE),
    (["pseudo-label", "made", "--data", "faces", "predict.views=none"], 2, DEEP | SCIENCE),
    (["export", "nowhere"], 9, DEEP | SCIENCE),
    (["export", "made", "-o", "m.pt"], 2, DEEP | SCIENCE),
    (["export", "made", "predict.batch_size=2"], 3, DEEP | SCIENCE),
    (["export", "made", "--decide"], 9, DEEP | SCIENCE),
    (["tta", "nowhere"], 9, DEEP | SCIENCE),
    (["tta", "made", "optim.lr=1"], 3, DEEP | SCIENCE),
    (["tta", "made", "predict.views=none"], 2, DEEP | SCIENCE),
    (["self-train", "nowhere"], 4, DEEP | SCIENCE),
    (["self-train", "faces", "--unlabelled", "nowhere"], 4, DEEP | SCIENCE),
    (["self-train", "faces", "--agree", "2"], 2, DEEP | SCIENCE),
    (["self-train", "faces", "data.pseudo=answers.csv"], 2, DEEP | SCIENCE),
    (["unseal", "nowhere"], 9, DEEP | SCIENCE),
    (["unseal", "made"], 2, DEEP | SCIENCE),
    (["verify", "nowhere"], 4, DEEP),
    (["verify", "answers.csv"], 9, DEEP),
    (["bench", "lr", "nowhere"], 4, DEEP | SCIENCE),
    (["bench", "data", "nowhere"], 4, DEEP | SCIENCE),
    (["data", "look", "nowhere"], 4, DEEP | SCIENCE),
    (["data", "look", "faces", "-o", "answers.csv"], 2, DEEP | SCIENCE),
    (["data", "look", "faces", "-o", "taken.png"], 7, DEEP | SCIENCE),
    (["group", "nowhere"], 4, DEEP),
    (["group", "faces", "--run", "nowhere"], 9, DEEP),
    (["ensemble", "made", "--data", "faces", "-o", "answers.csv"], 7, DEEP),
    (["ensemble", "made", "--data", "nowhere"], 4, DEEP),
    (["ensemble", "made", "--data", "faces", "typo.lr=1"], 3, DEEP),
    (["data", "check", "faces"], 0, DEEP - {"cv2"}),
    (["data", "check", "nowhere"], 4, DEEP | {"scipy", "sklearn", "cv2"}),
]

PROBE = """
import sys
from maskcls import cli
code = cli.run_app(sys.argv[1:])
print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
sys.exit(code)
"""


def loaded_by(words: list[str], folder: Path) -> tuple[int, set[str]]:
    """Run one command line in `folder`; returns its exit code and the top-level packages loaded by then."""
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True, cwd=folder)
    return done.returncode, set(done.stderr.splitlines()[-1].split())


@pytest.fixture
def folder(tmp_path: Path, drawn: Path) -> Path:
    """Return a folder that holds drawn faces, a file of answers and a finished run."""
    make_run(tmp_path / "made", drawn)
    (tmp_path / "faces").symlink_to(drawn)
    (tmp_path / "answers.csv").symlink_to(drawn / "eval" / "answers.csv")
    (tmp_path / "taken.png").touch()
    return tmp_path


@pytest.mark.parametrize(("words", "code", "forbidden"), LIGHT, ids=lambda v: " ".join(v) if type(v) is list else None)
def test_a_light_verb_loads_no_heavy_package(words: list[str], code: int, forbidden: set[str], folder: Path) -> None:
    got, loaded = loaded_by(words, folder)

    assert (got, loaded & forbidden) == (code, set())


def test_the_probe_sees_what_is_loaded(folder: Path) -> None:
    _, loaded = loaded_by(["data", "check", "faces"], folder)

    assert {"maskcls", "typer", "numpy", "pandas", "PIL", "yaml", "pydantic", "rich"} <= loaded


def test_the_help_of_every_verb_is_asked() -> None:
    assert len(HELP) >= 7, HELP
