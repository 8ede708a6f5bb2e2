"""Every command that writes more than a run: killed at any operation and given again, it leaves the same bytes.

Two commands are killed in tests of their own, as what they do next depends on the time that has passed: the stages of
`train --budget` in test_budget_stages.py; the workers of `tune` in tuning/test_workers.py, its end in
tuning/test_killed_end.py.
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from finished_run import finish_run
from tiny import train
from write_boundaries import CopyingDisk, Disk, break_at, content_below, watched

from maskcls import files
from maskcls.cli import run_app
from maskcls.engine.compute.plan import Plan
from maskcls.errors import Exit
from maskcls.runs.environment import read_environment, write_environment
from maskcls.show.pages import page as html_page
from maskcls.show.pages.figure import Figure, to_png, to_svg
from maskcls.show.report import page as report_page

QUICK = ("model.backbone=test_convnext", "train.epochs=1", "schedule.warmup_epochs=0", "average.kind=none")
LOCKS = (".lock", ".notes.lock", ".choices.lock", ".cache.lock")  # they hold a process and a time
TIME = re.compile(rb'\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([+-]\d\d:?\d\d)?|"minutes": [\d.e-]+')

RANDOM = re.compile(r"\.[0-9a-f]{16}\.tmp")  # names of temporary files
DIGEST = re.compile(rb'"digest": "\w+"')  # of notes, with their times


@dataclass(frozen=True)
class KilledCommand:
    """A command line, where it starts, and what is there before.

    begin  of BEGINNINGS: what is in the working folder before.
    every  kills inside a folder that is made aside: one in so many.
    """

    words: str
    begin: str
    every: int = 1


def scored(home: Path, drawn: Path) -> None:
    """Two finished runs without networks, and stand-ins for their weights and resume states."""
    for name, lr in (("r", "1e-3"), ("s", "2e-3")):
        run = finish_run(home / name, people=8, settings=[f"optim.lr={lr}"])
        write_environment(run, read_environment(run).model_copy(update={"plans": {"": Plan()}}))
        for k in (0, 1):
            files.commit(run.fold(k).best.tensors, b"weights")
            files.commit(run.fold(k).last.tensors, b"weights")
            files.commit(run.fold(k).state, b"state")


def trained(home: Path, drawn: Path) -> None:
    """A trained run, and photos."""
    assert train(drawn, home / "r", *QUICK) == 0
    shutil.copytree(drawn / "eval" / "images", home / "photos")
    assert run_app(["predict", str(home / "r"), "--data", str(drawn), "-o", str(home.parent / "unused.csv")]) == 0
    shutil.rmtree(home / "r" / "test")


def sharded(home: Path, drawn: Path) -> None:
    """Both shards of a prediction."""
    trained(home, drawn)
    for shard in ("1/2", "2/2"):
        words = [str(home / "r"), str(home / "photos"), "-o", str(home / "a.csv"), "--shard", shard]
        assert run_app(["predict", *words]) == 0


def few_photos(home: Path, drawn: Path) -> None:
    """A data set of one person to train on and one to predict."""
    assert run_app(["data", "make", str(home / "faces"), "--people", "1", "--eval-people", "1"]) == 0


def two_folds(home: Path, drawn: Path) -> None:
    """Two runs, each of one fold."""
    words = ("model.backbone=test_convnext", "train.epochs=2", "average.kind=none", "data.cache=off")
    for k in (0, 1):
        assert train(drawn, home / f"part{k}", *words, "--folds", str(k)) == 0


def empty(home: Path, drawn: Path) -> None:
    """Nothing."""


def generators(home: Path, drawn: Path) -> None:
    """A run, and generators of its folds."""
    assert train(drawn, home / "r", *QUICK) == 0
    sizes = ("synth.size=[16, 16]", "synth.width=4", "synth.steps=1", "synth.batch_size=4", "synth.latent=4")
    words = ("--kind", "dcgan", "--run", str(home / "g"), "--force", *sizes, "synth.classes={age: ['>=60']}")
    assert run_app(["synth", "train", str(home / "r"), *words]) == 0


BEGINNINGS: dict[str, Callable[[Path, Path], None]] = {
    "scored": scored,
    "trained": trained,
    "sharded": sharded,
    "few photos": few_photos,
    "generators": generators,
    "two folds": two_folds,
    "empty": empty,
}
FAST = (
    KilledCommand("runs note r text --leaderboard 0.5", "scored"),
    KilledCommand("evaluate r -o rows.csv", "scored"),
)
SLOW = (
    KilledCommand("data make new --people 1 --eval-people 1", "empty"),
    KilledCommand("runs prune . --keep 0 --yes", "scored"),
    KilledCommand("runs prune . --keep 1 --whole --yes", "scored"),
    KilledCommand("runs compare r s -o changed.csv", "scored"),
    KilledCommand("runs gather part0 part1 -o whole", "two folds", every=31),
    KilledCommand("calibrate r", "scored"),
    KilledCommand("report r", "scored"),
    KilledCommand("report r s -o page.html --png figures", "scored"),
    KilledCommand("data labels r s -o fixes.csv --page labels.html", "scored"),
    KilledCommand("data init DRAWN -o own.yaml", "empty"),
    KilledCommand("data crop faces -o out --fixed", "few photos"),
    KilledCommand("data look DRAWN -o look.png --page look.html data.cache=off", "empty"),
    KilledCommand("data check DRAWN --page check.html", "empty"),
    KilledCommand("group DRAWN -o g.csv", "empty"),
    KilledCommand("predict r --data DRAWN -o s.csv --probabilities p.csv", "trained"),
    KilledCommand("predict r photos -o a.csv --probabilities p.jsonl", "trained"),
    KilledCommand("predict r photos -o a.csv --shard 1/2", "trained"),
    KilledCommand("predict a.csv.shard-1-of-2 a.csv.shard-2-of-2 --gather -o a.csv --probabilities p.csv", "sharded"),
    KilledCommand("ensemble r --data DRAWN -o e.csv", "trained"),
    KilledCommand("pseudo-label r --data DRAWN -o pseudo.csv --min-confidence 0 --agree 0", "trained"),
    KilledCommand("synth sample g -o s.csv synth.per_class=1 synth.copy_quantile=0 synth.agree=false", "generators"),
    KilledCommand("explain r photos/PHOTO -o x.png --page x.html --no-maps", "trained"),
    KilledCommand("export r --to safetensors -o checkpoints", "trained"),
    KilledCommand("export r --to model-card", "trained"),
    KilledCommand("export r --to onnx --check 0", "trained"),
    KilledCommand("export r --to torch-export --check 0", "trained"),
    KilledCommand("debug r --page debug.html", "trained"),
    KilledCommand(
        "pretrain DRAWN -o t.safetensors --epochs 1 model.backbone=test_convnext transforms.size=[32,32]", "empty"
    ),
    KilledCommand(
        "synth judge DRAWN smote --fit heads --run arms --use u.yaml model.backbone=test_convnext folds.k=2 "
        "transforms.size=[32,32] synth.least_groups=1",
        "empty",
    ),
)


WRITERS = {  # modules that write outputs, and the command lines above that do so by them
    "commands/data/crop.py": ("data crop",),
    "commands/data/init.py": ("data init",),
    "commands/data/labels.py": ("data labels",),
    "commands/data/look.py": ("data look",),
    "commands/evaluate.py": ("evaluate",),
    "commands/explain.py": ("explain",),
    "commands/export.py": ("export r --to safetensors", "export r --to model-card", "export r --to onnx"),
    "commands/predicting/predict.py": ("predict r --data",),
    "commands/report.py": ("report r s -o",),
    "commands/runs/compare.py": ("runs compare",),
    "commands/runs/gather.py": ("runs gather",),
    "commands/pretraining/pretrain.py": ("pretrain",),
    "commands/synth/judge.py": ("synth judge",),
    "data/drawn/faces.py": ("data make",),
    "results/csv_with_origin.py": ("ensemble", "group", "pseudo-label", "synth sample"),
    "results/predicted/gather.py": ("predict r photos", "predict a.csv.shard-1-of-2"),
    "show/pages/page.py": ("data check", "debug"),
}


def test_every_module_that_writes_outputs_is_killed() -> None:
    package = Path(files.__file__).parents[1]
    texts = {path.relative_to(package).as_posix(): path.read_text() for path in package.rglob("*.py")}
    found = {name for name, text in texts.items() if re.search(r"\b(commit_outputs|put_folder)\(", text)}
    assert {name for name in found if not name.startswith("files/")} == WRITERS.keys()
    lines = [one.words for one in (*FAST, *SLOW)]
    starts = [start for named in WRITERS.values() for start in named]
    assert all(any(line.startswith(start) for line in lines) for start in starts)
    assert (len(lines), len(starts)) == (31, 24)


class Workplace:
    """A working folder that is as it was whenever it is asked for, at one path: outputs may name it."""

    def __init__(self, home: Path, start: Path) -> None:
        self.home, self.start = home, start

    def anew(self, start: Path | None = None) -> None:
        """Make the folder as it was at the beginning, or as a copy of it, and go there."""
        os.chdir(self.home.parent)
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(start or self.start, self.home, symlinks=True)
        os.chdir(self.home)

    def content(self) -> dict[str, bytes]:
        """Return what is there, apart from times and locks."""
        found = {name: TIME.sub(b"TIME", raw) for name, raw in content_below(self.home).items()}
        notes = {name: DIGEST.sub(b"", raw) for name, raw in found.items() if name.endswith("notes.json")}
        return {name: raw for name, raw in (found | notes).items() if Path(name).name not in LOCKS}


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> Callable[[str], Path]:
    """Return the folder of a beginning, made once; it must not be written to."""
    made: dict[str, Path] = {}

    def start(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name) / "home"
            made[name].mkdir()
            BEGINNINGS[name](made[name], drawn)
        return made[name]

    return start


@pytest.fixture
def back(tmp_path: Path) -> Iterator[None]:
    """Return to the folder of before."""
    before = Path.cwd()
    yield
    os.chdir(before)


def words_of(one: KilledCommand, drawn: Path) -> list[str]:
    photo = sorted(path.name for path in (drawn / "eval" / "images").iterdir())[0]
    return [word.replace("DRAWN", str(drawn)).replace("PHOTO", photo) for word in one.words.split()]


def kill_at_every_operation(words: Sequence[str], place: Workplace, every: int = 1) -> tuple[int, list[str]]:
    """Kill a command at its 1st, 2nd, … operation, each time followed by the same command again.

    Returns the number of operations, and what went wrong. A command that was killed after its last file may say that
    its output exists. Kills that leave the same need one command. every: see `CopyingDisk`.
    """
    place.anew()
    with watched(CopyingDisk(place.home, place.home.parent / "kills", every)) as disk:
        ended = run_app(list(words))
    assert ended in (Exit.OK, Exit.RESULT)  # the latter: debug found something
    whole = place.content()
    faults: list[str] = []
    seen: list[dict[str, bytes]] = []
    for n in sorted(int(path.name) for path in disk.copies.iterdir()):
        place.anew(disk.copies / str(n))
        left = place.content()
        if (known := {RANDOM.sub(".tmp", name): raw for name, raw in left.items()}) in seen:
            continue
        seen.append(known)
        again = run_app(list(words))
        found = place.content()
        if again != ended and not (again == Exit.BUSY and left == whole):
            faults.append(f"{n}: exit {again}")
        other = sorted(name for name in whole.keys() | found.keys() if whole.get(name) != found.get(name))
        if other:
            faults.append(f"{n}: {other}")
    return disk.count, faults


@pytest.fixture
def figures_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw each figure once with the same numbers: most of the time of a report."""

    def once(draw: Callable[[Figure], Any]) -> Callable[[Figure], Any]:
        drawn: dict[tuple[str, str], Any] = {}

        def drawing(figure: Figure) -> Any:
            key = figure.name, repr(figure.table)
            if key not in drawn:
                drawn[key] = draw(figure)
            return drawn[key]

        return drawing

    monkeypatch.setattr(report_page, "to_png", once(to_png))
    monkeypatch.setattr(html_page, "to_svg", once(to_svg))


@pytest.mark.usefixtures("back", "figures_drawn_once")
@pytest.mark.parametrize(
    "one", [*FAST, *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW)], ids=lambda one: one.words
)
def test_killed_anywhere_and_given_again(
    one: KilledCommand, starts: Callable[[str], Path], tmp_path: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count, faults = kill_at_every_operation(
        words_of(one, drawn), Workplace(tmp_path / "home", starts(one.begin)), one.every
    )
    with capsys.disabled():
        print(f"\n{count:4d} operations: {one.words}")
        print(*faults, sep="\n")
    assert not faults
    assert count >= 4


# --- a disk that fails, and places that cannot be written ---

BROKEN = ("evaluate r -o rows.csv --force", "runs note r text", "calibrate r")


@pytest.mark.slow
@pytest.mark.usefixtures("back")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("words", BROKEN)
def test_a_disk_that_fails_at_any_operation(
    words: str, code: int, starts: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says which file it could not write, and leaves what was there; or it did not need the operation."""
    place, n, failed = Workplace(tmp_path / "home", starts("scored")), 0, 0
    place.anew()
    assert run_app(words.split()) == 0
    whole = place.content()
    while True:
        n += 1
        place.anew()
        Path("rows.csv").write_text("old")
        Path("r/notes.json").write_text("[]")
        before = place.content()
        capsys.readouterr()
        with watched(Disk(place.home, break_at(n, code))) as disk:
            exit_code = run_app(words.split())
        if disk.count < n:
            break
        after = {name: raw for name, raw in place.content().items() if not name.endswith(".bak")}
        if exit_code == Exit.OK:
            assert {name for name, raw in whole.items() if after[name] != raw} <= {"choices.json", "r/notes.json"}
            continue
        failed += 1
        said = capsys.readouterr().err
        assert exit_code == Exit.RESOURCE, said
        assert "where: " in said
        if "complete" not in said:
            assert {name: after.get(name) for name in before} == before, disk.names[n - 1]
            assert os.strerror(code) in said
    assert failed >= 3


def slow(words: str) -> object:
    return pytest.param(words, marks=pytest.mark.slow)


@pytest.mark.usefixtures("back")
@pytest.mark.parametrize(
    "words",
    [
        "evaluate r -o OUT",
        "ensemble r s --data DRAWN -o OUT",
        slow("runs compare r s -o OUT"),
        slow("report r -o OUT.html"),
        slow("data labels r s -o OUT --page page.html"),
        slow("data init DRAWN -o OUT"),
        slow("data look DRAWN -o OUT.png"),
        slow("data check DRAWN --page OUT.html"),
        slow("debug r --page OUT.html"),
        slow("group DRAWN -o OUT"),
        slow("predict r --data DRAWN -o OUT"),
        slow("predict r --data DRAWN -o s.csv --probabilities OUT"),
        slow("predict r photos -o OUT"),
        slow("pseudo-label r --data DRAWN -o OUT"),
        slow("synth sample r synth.kind=oversample -o OUT.csv"),
        slow("explain r DRAWN/x.jpg -o OUT.png"),
        slow("export r --to onnx -o OUT.onnx"),
        slow("export r --to torch-export -o OUT.pt2"),
        slow("export r --to model-card -o OUT.md"),
    ],
)
def test_a_place_that_cannot_be_written_is_said_before_the_work(
    words: str,
    starts: Callable[[str], Path],
    tmp_path: Path,
    drawn: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A folder, a device, and a folder without rights, each in the place of an output."""
    place = Workplace(tmp_path / "home", starts("scored"))
    place.anew()
    ending = match[1] if (match := re.search(r"OUT(\.\w+)", words)) else ""
    Path(f"folder{ending}").mkdir()
    Path(f"device{ending}").symlink_to(os.devnull)
    before = place.content()
    for out in ("folder", "device"):
        given = words.replace("OUT", out).replace("DRAWN", str(drawn))
        assert run_app([*given.split(), "--force"]) == Exit.RESOURCE, out
        assert "not a regular file" in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda path, mode, **_: mode != os.W_OK | os.X_OK)  # a test may run as root
    given = words.replace("OUT", "new").replace("DRAWN", str(drawn))
    assert run_app(given.split()) == Exit.RESOURCE
    assert "the folder cannot be written" in capsys.readouterr().err
    assert place.content() == before
    assert Path(os.devnull).is_char_device()


# --- a real kill ---


def files_in(folders: Iterable[Path]) -> int:
    """Return how many files are below folders, also while these change."""
    return sum(len(names) for folder in folders for _, _, names in os.walk(folder))


@pytest.mark.slow
def test_a_real_kill_at_any_time(tmp_path: Path) -> None:
    """SIGKILL after any number of files: nothing but leftovers is there, and the same command removes them."""
    new, whole = tmp_path / "new", tmp_path / "whole"
    command = [sys.executable, "-m", "maskcls", "data", "make", str(new), "--people", "9", "--seed", "1"]
    assert run_app(["data", "make", str(whole), "--people", "9", "--seed", "1"]) == 0
    left = 0
    for wanted in random.Random(0).choices(range(files_in([whole])), k=12):
        before = set(tmp_path.iterdir())
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while child.poll() is None and files_in(set(tmp_path.iterdir()) - before) <= wanted:
            time.sleep(0.001)
        child.kill()
        child.wait()
        left += any(files.TEMPORARY.fullmatch(path.name) for path in tmp_path.iterdir())
        if new.exists():
            assert content_below(new) == content_below(whole)
            shutil.rmtree(new)
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert content_below(new) == content_below(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "whole"]
    print(f"{left} of 12 kills left a temporary folder")
