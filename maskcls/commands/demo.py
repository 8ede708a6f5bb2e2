"""maskcls demo: draw faces, train, predict and score, showing the command of every step."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from maskcls import config
from maskcls.data.drawn.faces import make_faces
from maskcls.errors import BusyError, ResourceError, shell_word
from maskcls.results.scores.metrics import score
from maskcls.rundir import RunDir
from maskcls.runs.read_labelled import read_submission
from maskcls.schema import Config
from maskcls.show.runs.demo import DemoResult
from maskcls.show.terminal.progress import Reporter

PEOPLE, EVAL_PEOPLE, SEED = 120, 40, 0


def demo(
    directory: Path,
    *,
    train: Callable[[Path, Config, RunDir], object],
    predict: Callable[[RunDir, Path, Path], object],
    report: Reporter,
) -> DemoResult:
    """Do all steps in `directory`: faces/ (drawn once), a new run folder, and its submission beside it.

    train, predict  the verbs it is made of.
    """
    started = time.monotonic()
    if directory.exists() and not directory.is_dir():
        raise ResourceError("this is no folder", where=str(directory), fix="name a folder, or remove the file")
    faces, name = directory / "faces", _free_name(directory)
    run, submission = RunDir(directory / "runs" / name), directory / f"{name}.csv"
    answers = faces / "eval" / "answers.csv"
    if answers.exists():
        report.note(f"{faces} exists and is used again")
    else:
        report.note(
            f"$ maskcls data make {shell_word(faces)} --people {PEOPLE} --eval-people {EVAL_PEOPLE} --seed {SEED}"
        )
        with report.busy("drawing faces"):
            make_faces(faces, people=PEOPLE, eval_people=EVAL_PEOPLE, seed=SEED)
    cfg, _ = config.load(config.find(Path("tiny_cpu")))
    report.note(f"$ maskcls train {shell_word(faces)} --config tiny_cpu --run {shell_word(run.path)}")
    train(faces, cfg, run)
    report.note(f"$ maskcls predict {shell_word(run.path)} --data {shell_word(faces)} -o {shell_word(submission)}")
    predict(run, faces, submission)
    report.note(f"$ maskcls evaluate {shell_word(submission)} --answers {shell_word(answers)}")
    labelled = read_submission(submission, answers)
    scores = score(labelled.pred_N, labelled.truth, labelled.space)
    return DemoResult(run.path, submission, scores, 1 / cfg.space.size, time.monotonic() - started)


def _free_name(directory: Path) -> str:
    """Return the first of demo-1, demo-2, … that no run and no submission has taken."""
    for number in range(1, 1000):
        name = f"demo-{number}"
        if not (directory / "runs" / name).exists() and not (directory / f"{name}.csv").exists():
            return name
    raise BusyError("a thousand demos are enough", where=str(directory), fix="delete the folder, or name another")
