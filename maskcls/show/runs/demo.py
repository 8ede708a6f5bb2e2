"""What `maskcls demo` returns and prints: scores, and where its run and submission are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maskcls.results.scores.metrics import Scores
from maskcls.show.report.after_training import AfterTraining
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import say


@dataclass(frozen=True)
class DemoResult:
    """The run and the submission, its scores, and the seconds it took. chance: the score of guessing, about."""

    run: Path
    submission: Path
    scores: Scores
    chance: float
    seconds: float


def print_demo(found: DemoResult, after: AfterTraining | None = None, *, json: bool = False) -> None:
    """Print the scores as evaluate does, and where everything is. after: the report about the run."""
    if json:
        files = {"run": str(found.run), "submission": str(found.submission), "seconds": found.seconds}
        files |= {name: text for name, text in after.to_json().items() if name != "next" and text} if after else {}
        print_json(files | {"chance": found.chance, "scores": found.scores.to_json()})
        return
    from maskcls.show.answers.evaluation import print_scores

    print_scores(found.scores)
    guess = f"random guessing gives about {found.chance:.2f}"
    shown = f"\nreport      {after.page}" if after and after.page else ""
    say(f"\nmacro-F1 {found.scores.macro_f1:.3f} on people the networks did not see; {guess}")
    say(f"run folder  {found.run}\nsubmission  {found.submission}{shown}\ntook        {found.seconds:.0f} s")
