"""Print docs/errors.md: every error with what to do, as the source raises it, and examples as they are printed.

python docs/errors.py > docs/errors.md

The examples are those of tests/errors/golden/, which a test compares with what the program prints.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT_DIR / "docs"))  # for those who run this file by its path

from raised_errors import UNKNOWN, Raised, raised_errors  # noqa: E402

from maskcls.errors import Exit  # noqa: E402

COMMAND = "python docs/errors.py > docs/errors.md"
GOLDEN_DIR = PROJECT_DIR / "tests" / "errors" / "golden"
INTRODUCTION = f"""<!-- Written by `{COMMAND}`. Do not edit it by hand. -->

# Errors and what to do

Every error is one message on stderr: what is wrong, where, what was found and expected, and a fix. The exit code names
the kind of error:

{{codes}}

- Search this page for the first line of your message. In the tables, words in capitals and "{UNKNOWN}" are what differs
  from case to case, such as a path (RUN, FILE) or a number (N). A "/" is between texts that depend on the case.
- A message shows at most ten wrong rows and their total number. The whole list is in a file that the message names.
- An error never changes an input, and never replaces an older result.
- Control characters in names are shown as escapes such as `\\x1b`.
"""
# Exit code -> heading, and what helps with most errors of this kind.
SECTIONS = {
    Exit.USAGE: (
        "the command line",
        "`maskcls VERB --help` prints options and examples, and [the reference](reference.md) lists all of them. "
        "Settings are words, not options: `optim.lr=1e-3`, not `--lr 1e-3`.",
    ),
    Exit.CONFIG: (
        "the configuration",
        "`maskcls config show --config FILE` prints every value with its origin, and `maskcls config list WORD` "
        "searches the [settings](configuration.md). Settings that contradict each other are errors; a setting "
        "without effect is only reported.",
    ),
    Exit.DATA: (
        "the data",
        "`maskcls data check DATA` lists everything that is wrong with a data set. [Data "
        "formats](../data/README.md) describes what is expected, [the same photo "
        "twice](../data/README.md#the-same-photo-twice) and "
        "[names](../data/README.md#names-are-compared-as-text). maskcls repairs no photo, and leaves none out "
        "unless told.",
    ),
    Exit.WEIGHTS: (
        "weights",
        "A file of weights that is damaged must be copied or downloaded again; with Git LFS, by `git lfs pull`. "
        "If the tensors do not match, `model.backbone` must be the network that the weights were made for.",
    ),
    Exit.RESOURCE: (
        "the machine",
        "If memory does not suffice: a smaller `transforms.size` or `train.batch_size`, a smaller backbone, or "
        "`train.fold_jobs=1`; then `maskcls resume RUN`. If the disk is full: `maskcls data cache prune --yes`, "
        "`MASKCLS_CACHE=FOLDER`, or `data.cache=off`. For CUDA, see [GPU](gpu.md).",
    ),
    Exit.BUSY: (
        "the output exists, or the run is busy",
        "Name another output, or replace it with `--force`, which keeps the old file as `.bak`. A killed command is "
        "given again as it was. The lock of a run ends with its process: nothing has to be deleted after a crash.",
    ),
    Exit.DIVERGED: (
        "the training diverged",
        "A loss or a gradient became NaN or infinite. `maskcls bench lr DATA --config multi` shows which rates "
        "are too high, and `maskcls debug DATA --config multi --quick` looks for other causes. The last saved "
        "epoch is kept.",
    ),
    Exit.RESULT: (
        "a result, or a file of a run",
        "Files of a run are read only as they were written: restore those that changed, or train again. `maskcls "
        "submission check FILE --data DATA` lists every fault of a submission; [debug](debug.md) explains its "
        "checks.",
    ),
    Exit.INTERRUPTED: ("Ctrl-C", "Finished epochs are kept. The message prints the command that continues."),
    Exit.PIPE: (
        "the output was closed",
        "The program that reads stdout, such as `head`, ended. Nothing is printed. What the command wrote to "
        "files is complete or absent.",
    ),
    Exit.TERMINATED: ("SIGTERM", "As for Ctrl-C: finished epochs are kept, and the message prints how to continue."),
    Exit.INTERNAL: (
        "a bug",
        "An error of maskcls itself. Please report it, with the file that the message names; `MASKCLS_DEBUG=1` "
        "prints the traceback.",
    ),
}
SEE = "see"  # begins what to do where only the program knows it
# Topic -> where its errors are raised; the longest path counts.
TOPICS = {
    "The machine: memory, files and limits": ("machine/",),
    "Verbs, settings and outputs": (
        *("verbs/", "config/", "cli.py", "files/", "commands/config/", "show/", "runs/overrides.py", "runs/checks.py"),
        *("commands/bench/", "commands/demo.py", "schema/", "typedjson.py", ""),  # and the rest
    ),
    "Python API": ("api.py",),
    "Tables, folders and labels": (
        *("csvfile.py", "data/layouts/", "data/proposal/", "data/rows/", "results/rows_by_id.py", "commands/data/"),
        *("runs/labels/", "results/labels/", "show/data/", "verbs/data.py", "verbs/labels.py", "data/", "labels.py"),
    ),
    "Photos, crops and the cache": (
        *("data/photos/", "data/dataset.py", "data/drawn/", "commands/data/crop.py", "results/photo_model.py"),
    ),
    "Training": (
        "training/",
        "engine/",
        "nn/",
        "commands/debug.py",
        "commands/resume.py",
        "commands/train.py",
        "diagnosis/",
    ),
    "Weights and checkpoints": ("engine/checkpoint.py", "nn/weights/", "training/starting_weights.py"),
    "Runs and their files": ("runs/", "rundir.py", "commands/runs/", "commands/report.py", "show/report/"),
    "Predictions, scores and submissions": (
        *("results/", "commands/predicting/", "commands/submission/", "commands/evaluate.py", "training/predicting/"),
        *(
            "training/prediction.py",
            "engine/infer.py",
            "runs/read_labelled.py",
            "verbs/predicting.py",
            "commands/tta.py",
        ),
    ),
    "Ensembles and comparisons": (
        *("results/ensembles/", "results/comparison/", "commands/ensemble.py", "commands/runs/compare.py"),
        *("runs/recipe.py", "training/predicting/ensemble_members.py"),
    ),
    "Groups, decision rules and pseudo labels": (
        *("results/people/", "results/pseudo/", "results/added/", "results/decisions/", "runs/calibration.py"),
        "runs/decision.py",
        *("runs/decision_file.py", "runs/group_averaging.py", "training/person_clustering.py", "commands/group.py"),
        *("commands/pseudo_label.py", "commands/self_train.py", "commands/unseal.py", "training/added/"),
        *("runs/records/sealed_people.py", "commands/calibrate.py"),
    ),
    "Generators and samples": ("results/synth/", "synth/", "commands/synth/"),
    "Maps, exported models and the server": (
        *("export/", "serve/", "commands/explain.py", "commands/export.py", "training/explaining/", "engine/cam.py"),
        *("commands/serve.py", "results/comparison/int8_cost.py", "results/comparison/parity.py"),
    ),
}


def error_page() -> str:
    """Return the whole page."""
    shown = examples()
    parts = [part for code in SECTIONS for part in section(code, shown.get(code, []))]
    codes = table(["code", "`error[…]`", "what is wrong"], [code_row(code) for code in SECTIONS])
    return "\n\n".join([INTRODUCTION.strip().replace("{codes}", codes), *parts]) + "\n"


def code_row(code: Exit) -> list[str]:
    """Return the row of an exit code, with a link to its section."""
    title = heading(code)
    kinds = sorted({one.kind.code for one in raised_errors() if one.kind.exit_code == code})
    return [str(int(code)), "".join(f"`{kind}`" for kind in kinds), f"[{SECTIONS[code][0]}](#{anchor(title)})"]


def heading(code: Exit) -> str:
    """Return the heading of the section of an exit code."""
    return f"{int(code)}: {SECTIONS[code][0]}"


def anchor(title: str) -> str:
    """Return the name under which a heading can be linked.

    >>> anchor("4: the data, again")
    '4-the-data-again'
    """
    return re.sub(r"[^\w]+", "-", title.lower()).strip("-")


def section(code: Exit, shown: Sequence[str]) -> Iterator[str]:
    """Yield the parts of an exit code's section: a table for each topic, and the examples that belong to it."""
    yield f"## {heading(code)}"
    yield SECTIONS[code][1]
    here = [one for one in raised_errors() if one.kind.exit_code == code and not one.passes_on]
    of_topic = {topic: [one for one in here if topic_of(one.module) == topic] for topic in TOPICS}
    several = sum(map(bool, of_topic.values())) > 1
    placed = {text: topic_of_example(text, here) for text in shown}
    yield from (fenced(text) for text in shown if placed[text] is None)
    for topic, found in of_topic.items():
        if found:
            yield from [f"### {topic}"] if several else []
            yield table(["message", "what to do"], rows(found))
            yield from (fenced(text) for text in shown if placed[text] == topic)


def topic_of(module: str) -> str:
    """Return the topic of a module."""
    fits = {path: topic for topic, paths in TOPICS.items() for path in paths if module.startswith(path)}
    return fits[max(fits, key=len)]


def topic_of_example(text: str, raised: Sequence[Raised]) -> str | None:
    """Return the topic of an example: that of the error whose first line fits best; None for other messages."""
    first = text.splitlines()[1] if "\n" in text else ""
    fits = {what: one for one in raised for what in one.texts["what"] if re.fullmatch(pattern(one, what), first)}
    return topic_of(fits[max(fits, key=len)].module) if fits else None


def pattern(error: Raised, what: str) -> str:
    """Return the regular expression of an error's first line."""
    words = re.sub(r"(?:\\…|…|\b(?:RUN|FILE|TASK|KEY|BACKBONE|N|people|person)\b)", ".+", re.escape(what))
    return rf"error\[{error.kind.code}\] {words}"


def rows(raised: Sequence[Raised]) -> list[list[str]]:
    """Return one row for each message, by message; the same message of several places is one row."""
    found = {(listed(one.texts["what"]) + place(one.texts["where"]), what_to_do(one)) for one in raised}
    known = {message for message, todo in found if not todo.startswith(SEE)}
    found = {(message, todo) for message, todo in found if not (message in known and todo.startswith(SEE))}
    return [[escaped(cell) for cell in row] for row in sorted(found, key=lambda row: (row[0].lower(), row))]


def place(where: Sequence[str]) -> str:
    """Return where an error is found, if that is an option or a setting.

    >>> place(("--folds",)), place(("…",)), place(("FILE, line 1",))
    (' (--folds)', '', '')
    """
    known = [text for text in where if re.match(r"--?\w|[a-z_]+(?:\.[a-z_]+)*(?:=|$)", text) and text != "stdout"]
    return f" ({', '.join(known)})" if known else ""


def what_to_do(error: Raised) -> str:
    """Return the fix of an error, and what it expects."""
    fix, expected = listed(error.texts["fix"]), listed(error.texts["expected"])
    if expected and fix:
        return f"{fix} (expected: {expected})"
    if fix or expected:
        return fix or f"expected: {expected}"
    part = next((name for name in ("fix", "expected") if error.texts[name]), "in total")
    return f"{SEE} `{part}` in the message"


def listed(texts: Sequence[str]) -> str:
    """Return alternatives in one cell; nothing where only the program knows the text."""
    return " / ".join(text for text in texts if re.search(r"\w", text))


def table(heads: Sequence[str], found: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *found])


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is: no columns, no emphasis, no tags."""
    return re.sub(r"([|*<>])", r"\\\1", " ".join(text.split()))


def fenced(text: str) -> str:
    """Return an example as a block of text."""
    return f"```text\n{text}\n```"


def examples() -> dict[Exit, list[str]]:
    """Return the examples of each exit code, one for each message, with the command in the first line."""
    found = {}
    for file in sorted(GOLDEN_DIR.glob("*.txt")):
        parts = [part.strip() for part in file.read_text(encoding="utf8").split("\n\n") if part.strip()]
        by_message = {what_is_printed(part): part for part in reversed(parts)}
        found[Exit(int(file.stem.partition("_")[0]))] = list(reversed(by_message.values()))
    return found


def what_is_printed(example: str) -> str:
    """Return the message of an example, without the lines that depend on the case; a usage error is all of it."""
    lines = example.splitlines()
    return lines[1] if len(lines) > 1 and lines[1].startswith("error[") else example


if __name__ == "__main__":
    print(error_page(), end="")
