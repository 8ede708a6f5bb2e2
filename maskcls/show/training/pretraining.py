"""What `maskcls pretrain` prints: the trunk, how its embeddings spread, and how to use it."""

from __future__ import annotations

from pathlib import Path

from maskcls.errors import shell_word
from maskcls.groupnouns import Noun
from maskcls.runs.records.pretrained_file import PretrainedFile
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plural, say

ADVICE = (
    "the embeddings of different photos became one direction (collapse): do not use this trunk;"
    " lower --lr, use larger batches (train.batch_size) or stronger augmentation (transforms.*)"
)


def print_pretraining(
    trunk: Path, step: int, steps: int, about: PretrainedFile | None, noun: Noun, *, json: bool = False
) -> None:
    """Print what a pretraining made. about: None where it stopped before its end; noun: of the groups."""
    if json:
        facts = None
        if about is not None:
            facts = about.to_json() | {name: len(getattr(about, name)) for name in ("people", "labelled_people")}
        print_json({"trunk": str(trunk), "step": step, "steps": steps, "about": facts})
        return
    if about is None:
        say(f"stopped after step {step:,} of {steps:,}; the same command continues")
        return
    say(f"{trunk}  {about.trunk}, {step:,} steps, loss {about.loss[-1]:.4f}, spread {about.spread[-1]:.3f}")
    seen = f"{len(about.people):,} {noun[len(about.people) != 1]}"
    without = "" if about.without_fold is None else f", without the validation {noun[1]} of fold {about.without_fold}"
    say(f"seen without labels: photos of {seen}{without}, and {plural(about.eval_photos, 'photo')} to predict")
    say(ADVICE if about.collapsed else f"next: maskcls train DATA model.weights={shell_word(trunk)}")
