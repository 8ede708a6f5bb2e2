"""maskcls demo: draw faces, train, predict and score, showing the command of every step."""

from __future__ import annotations

import time
from pathlib import Path

from maskcls import config
from maskcls.commands.evaluate import evaluate, print_scores
from maskcls.commands.predict import predict
from maskcls.commands.train import train
from maskcls.data.drawn.faces import make_faces
from maskcls.errors import BusyError
from maskcls.rundir import RunDir
from maskcls.show.progress import Reporter, say

PEOPLE, EVAL_PEOPLE, SEED = 120, 40, 0


def demo(directory: Path) -> None:
    """Go the whole way in `directory`: faces/ (drawn once), a new run folder, and its submission beside it."""
    started = time.monotonic()
    faces, name = directory / "faces", _free_name(directory)
    run, submission = RunDir(directory / "runs" / name), directory / f"{name}.csv"
    answers = faces / "eval" / "answers.csv"
    if answers.exists():
        say(f"$ # {faces} was drawn before")
    else:
        say(f"$ maskcls data make {faces} --people {PEOPLE} --eval-people {EVAL_PEOPLE} --seed {SEED}")
        make_faces(faces, people=PEOPLE, eval_people=EVAL_PEOPLE, seed=SEED)
    cfg, _ = config.load(config.find(Path("tiny_cpu")))
    with Reporter() as report:
        say(f"$ maskcls train {faces} --config tiny_cpu --run {run.path}")
        train(faces, cfg, run, folds=None, report=report)
        say(f"$ maskcls predict {run.path} --data {faces} -o {submission}")
        predict(run, faces, submission, overrides=[], force=False, report=report)
    say(f"$ maskcls evaluate {submission} --answers {answers}")
    scores = evaluate(submission, answers)
    print_scores(scores)
    say(f"\nmacro-F1 {scores.macro_f1:.3f} on people it never saw; guessing gives about {1 / cfg.space.size:.2f}")
    say(f"run folder  {run.path}\nsubmission  {submission}\ntook        {time.monotonic() - started:.0f} s")


def _free_name(directory: Path) -> str:
    """Return the first of demo-1, demo-2, … that no run and no submission has taken."""
    for number in range(1, 1000):
        name = f"demo-{number}"
        if not (directory / "runs" / name).exists() and not (directory / f"{name}.csv").exists():
            return name
    raise BusyError("a thousand demos are enough", where=str(directory), fix="delete the folder, or name another")
