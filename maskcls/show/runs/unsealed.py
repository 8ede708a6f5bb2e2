"""What `maskcls unseal` prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from maskcls.groupnouns import PEOPLE, PHOTOS, Noun
from maskcls.show.answers.tried import NOT_COUNTED
from maskcls.show.terminal.json_output import NONE, Versions, print_json
from maskcls.show.terminal.text import classes_scored, number, number_of, plural, say, span

if TYPE_CHECKING:
    from maskcls.runs.records.unsealed import SealedScore


def sealed_of(groups: int, noun: Noun) -> str:
    """Write how many groups are sealed.

    >>> sealed_of(1, ("person", "people")), sealed_of(12, ("patient", "patients"))
    ('1 sealed person', '12 sealed patients')
    """
    return number_of(groups, (f"sealed {noun[0]}", f"sealed {noun[1]}"))


def print_unsealed(
    run: Path,
    found: SealedScore,
    *,
    now: bool,
    runs: int,
    kept: bool,
    noun: Noun = PEOPLE,
    versions: Versions = NONE,
    json: bool = False,
) -> None:
    """Print the score of a run on its sealed people, or other groups, and how many runs were scored on them."""
    if json:
        about = {"run": str(run), "now": now, "runs": runs, "kept": kept}
        print_json({**about, **found.to_json(), "other_versions": dict(versions)})
        return
    of = sealed_of(found.people, noun)
    if noun != PHOTOS:
        of = f"{plural(found.rows, 'photo')} of {of}"
    ends = f" (95 % interval {span(found.interval.low, found.interval.high)})" if found.interval else ""
    classes = len(found.scores.classes)
    scored = classes_scored(found.scores.classes_scored, classes)
    say(f"{run}  macro-F1 {number(found.scores.macro_f1)}{ends}{scored}, {of}")
    say("  " + "  ".join(f"{name} {number(task.macro_f1)}" for name, task in found.scores.tasks.items()))
    scored = "" if found.out_of_fold_classes is None else classes_scored(found.out_of_fold_classes, classes)
    say(f"  out of fold {number(found.out_of_fold)}{scored}")
    if not now:
        say(f"  scored before, on {found.date}; nothing was computed now")
    if runs > 1:
        best = "better" if runs == 2 else "best"
        scored = f"{plural(runs, 'run')} were scored on these {noun[1]}"
        say(f"  {scored}; the score of the {best} one is too high by the choice")
    if not kept:
        say(f"  {NOT_COUNTED}")
