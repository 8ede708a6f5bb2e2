"""What each light verb loads, read from sys.modules of another process: nobody waits for torch to see a typo.

Only what is loaded is asked, not how long it takes; benchmarks/cli.py measures that.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import pairwise
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
    (["train", "faces", "--budget", "soon"], 2, DEEP | SCIENCE),
    (["train", "faces", "--on", "slrum"], 2, DEEP | SCIENCE),
    (["resume", "made", "--on", "local:0"], 2, DEEP | SCIENCE),
    (["predict", "made", "photo.jpg", "-o", "new.csv", "--on", "slurm"], 2, DEEP | SCIENCE),
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
    (["train", "faces", "data.synth=nowhere.csv"], 4, DEEP | SCIENCE),
    (["synth", "judge", "nowhere", "smote", "--fit", "heads"], 4, DEEP | SCIENCE),
    (["synth", "judge", "faces", "nowhere.csv"], 4, DEEP | SCIENCE),
    (["synth", "judge", "faces", "smote"], 2, DEEP | SCIENCE),
    (["synth", "judge", "faces", "answers.csv", "--fit", "guess"], 2, DEEP | SCIENCE),
    (["synth", "judge", "faces", "smote", "--fit", "heads", "--use", "answers.csv"], 7, DEEP | SCIENCE),
    (["synth", "sample", "nowhere"], 9, DEEP | SCIENCE),
    (["synth", "sample", "made", "synth.kind=oversample", "-o", "answers.csv"], 7, DEEP | SCIENCE),
    (["synth", "sample", "made", "synth.kind=oversample", "optim.lr=1"], 3, DEEP | SCIENCE),
    (["synth", "sample", "made", "synth.kind=smote"], 2, DEEP | SCIENCE),
    (["export", "nowhere"], 9, DEEP | SCIENCE),
    (["export", "made", "-o", "m.pt"], 2, DEEP | SCIENCE),
    (["export", "made", "predict.batch_size=2"], 3, DEEP | SCIENCE),
    (["export", "made", "--decide"], 9, DEEP | SCIENCE),
    (["tta", "nowhere"], 9, DEEP | SCIENCE),
    (["tta", "made", "optim.lr=1"], 3, DEEP | SCIENCE),
    (["tta", "made", "predict.views=none"], 2, DEEP | SCIENCE),
    (["pretrain", "nowhere", "-o", "t.safetensors"], 4, DEEP | SCIENCE),
    (["pretrain", "faces", "-o", "t.pt"], 2, DEEP | SCIENCE),
    (["tta", "made", "--shift", "night"], 2, DEEP | SCIENCE),
    (["self-train", "nowhere"], 4, DEEP | SCIENCE),
    (["self-train", "faces", "--unlabelled", "nowhere"], 4, DEEP | SCIENCE),
    (["self-train", "faces", "--agree", "2"], 2, DEEP | SCIENCE),
    (["self-train", "faces", "data.pseudo=answers.csv"], 2, DEEP | SCIENCE),
    (["tune", "nowhere"], 4, DEEP | SCIENCE),
    (["tune", "faces", "--space", "nowhere"], 3, DEEP | SCIENCE),
    (["tune", "faces", "--sampler", "zoom", "--budget", "1h"], 2, DEEP | SCIENCE),
    (["tune", "faces", "--budget", "soon"], 2, DEEP | SCIENCE),
    (["tune", "faces", "--storage", "journal.log"], 2, DEEP | SCIENCE),
    (["tune", "faces", "data.leaky=true", "data.pseudo=answers.csv"], 2, DEEP | SCIENCE),
    (["synth", "train", "nowhere", "--kind", "dcgan"], 4, DEEP | SCIENCE),
    (["synth", "train", "faces", "--kind", "dcgan", "--folds", "9"], 2, DEEP | SCIENCE),
    (["synth", "train", "faces", "--kind", "dcgan", "--run", "made"], 7, DEEP | SCIENCE),
    (["synth", "train", "made", "--config", "multi"], 2, DEEP | SCIENCE),
    (["synth", "train", "made", "--kind", "dcgan", "optim.lr=1"], 3, DEEP | SCIENCE),
    (["synth", "train", "faces", "--kind", "gan"], 3, DEEP | SCIENCE),
    (["synth", "train", "faces", "--kind", "dcgan", "synth.batch_size=1"], 3, DEEP | SCIENCE),
    (["synth", "train", "faces", "--kind", "dcgan", "--minutes", "0"], 2, DEEP | SCIENCE),
    (["synth", "page", "answers.csv", "--run", "nowhere"], 9, DEEP | SCIENCE),
    (["synth", "resume", "nowhere"], 9, DEEP | SCIENCE),
    (["synth", "resume", "made"], 9, DEEP | SCIENCE),
    (["synth", "resume", "made", "--minutes", "0"], 2, DEEP | SCIENCE),
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
    (["data", "check", "few"], 0, DEEP - {"cv2"}),
    (["data", "check", "nowhere"], 4, DEEP | {"scipy", "sklearn", "cv2"}),
]

PROBE = """
import json, sys
from maskcls import cli
from maskcls.show.terminal import waiting
waiting.FIRST_S = 600.0  # what is shown after two seconds loads rich
found, before = [], set()
for words in json.loads(sys.argv[1]):
    code = cli.run_app(words)
    loaded = {name.partition(".")[0] for name in sys.modules}
    found.append((code, sorted(loaded - before)))
    before = loaded
    if (typers := sys.modules.get("typer.main")) and not hasattr(typers.get_command, "cache_info"):
        from functools import cache
        typers.get_command = cache(typers.get_command)  # as in tests/conftest.py, but once a line has loaded it
print("\\n" + json.dumps(found), file=sys.stderr)
"""


def loaded_by(lines: list[list[str]], folder: Path) -> list[tuple[int, set[str]]]:
    """Run command lines in `folder`, one after another in one process: the start of each takes half a second.

    Returns for each its exit code and the top-level packages that it was the first to load.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(lines)], capture_output=True, text=True, cwd=folder, check=True
    )
    return [(code, set(loaded)) for code, loaded in json.loads(done.stderr.splitlines()[-1])]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> Path:
    """A finished run; not to be changed."""
    return make_run(tmp_path_factory.mktemp("startup") / "made", drawn).path


@pytest.fixture
def folder(tmp_path: Path, made: Path, drawn: Path, few: Path) -> Path:
    """Return a folder that holds drawn faces, a file of answers and a finished run."""
    shutil.copytree(made, tmp_path / "made")
    (tmp_path / "faces").symlink_to(drawn)
    (tmp_path / "few").symlink_to(few)
    shutil.copy(drawn / "eval" / "answers.csv", tmp_path)
    (tmp_path / "taken.png").touch()
    return tmp_path


def chains() -> list[list[frozenset[str]]]:
    """Return the sets of forbidden packages in lists; in each, a set has all packages of those that follow.

    Lines of one list can share a process, in its order: what a line must not load, those before it must not load
    either. So a package that one of them loads is found there.
    """
    found: list[list[frozenset[str]]] = []
    for forbidden in sorted(
        {frozenset(packages) for _, _, packages in LIGHT}, key=lambda one: (-len(one), sorted(one))
    ):
        fitting = [chain for chain in found if chain[-1] > forbidden]
        if fitting:
            min(fitting, key=lambda chain: len(chain[-1])).append(forbidden)
        else:
            found.append([forbidden])
    return found


@pytest.mark.parametrize("chain", chains(), ids=lambda chain: " ".join(sorted(chain[0])))
def test_a_light_verb_loads_no_heavy_package(chain: list[frozenset[str]], folder: Path) -> None:
    lines = [line for forbidden in chain for line in LIGHT if line[2] == forbidden]
    found = loaded_by([words for words, _, _ in lines], folder)

    got = [(words, code, loaded & packages) for (words, _, packages), (code, loaded) in zip(lines, found, strict=True)]
    assert got == [(words, code, set()) for words, code, _ in lines]


def test_every_line_is_in_one_list() -> None:
    sets = [forbidden for chain in chains() for forbidden in chain]
    assert len(sets) == len(set(sets))
    assert set(sets) == {frozenset(packages) for _, _, packages in LIGHT}
    assert all(one > other for chain in chains() for one, other in pairwise(chain))
    assert len(chains()) < len(sets)


def test_the_probe_sees_what_is_loaded(folder: Path) -> None:
    [(_, first), (_, second)] = loaded_by([["--version"], ["group", "nowhere"]], folder)

    assert {"maskcls", "typer"} <= first - second
    assert {"numpy", "pandas", "PIL", "yaml", "pydantic", "rich"} <= second - first


def test_the_help_of_every_verb_is_asked() -> None:
    assert len(HELP) >= 7, HELP
