"""Random command lines of every verb, from the program's own list of verbs and options, with right and wrong words.

A third of the cases also damages one file of the inputs first. Every line ends with one message and an exit code that
is no bug, at once, in little memory, and changes no file that it was not asked to write.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args, get_origin

from typer.main import get_command

from maskcls.cli import app
from maskcls.errors import Exit
from maskcls.schema.options import NONE, option_sections
from soak import forks
from soak.commands import last_error
from soak.mutate_bytes import mutated
from soak.mutate_text import CELLS, mutated_csv, mutated_json, mutated_yaml
from soak.plan import Plan
from soak.tally import Tally
from soak.world import call, copied, network

FULL = 2_000
HANG_S = 5  # of processor time, until a command line is refused
WORK_S = 60  # for the work of a command: done, or done and with findings
WORKED = {Exit.OK, Exit.DATA, Exit.RESULT}
STOP_S = 1.5  # a verb that may work for long is terminated then, and must end within PATIENCE_S
PATIENCE_S = 60  # of a busy machine
PEAK_MIB = 1024
# Verbs that train, measure or serve: they may take longer than five seconds.
LONG = {"train", "self-train", "resume", "demo", "debug", "serve", "bench", "data labels", "explain", "report", "tta"}
LONG_WEIGHT = 0.3  # they are drawn less often than the others
KINDS = {".csv": mutated_csv, ".json": mutated_json, ".jsonl": mutated_json, ".yaml": mutated_yaml}
PATHS = (
    *("faces", "more", "faces/eval", "faces/eval/images", "faces/train", "runs/a", "runs/b", "runs", "runs/none", "."),
    *("table.csv", "submission.csv", "photos.csv", "photos_p.csv", "ensemble.csv", "ensemble.recipe.yaml"),
    *("groups.csv", "pseudo.csv", "fixes.csv", "faces/eval/answers.csv", "faces/eval/info.csv", "runs/a/oof.npz"),
    *("runs/a/config.yaml", "runs/a/fold0/best/weights.safetensors", "runs/a/fold0", "out.csv", "out", "out.html"),
    *("out.png", "out.json", "new/deep/out.csv", "none.csv", "", "~", "~/x", "/dev/null", "/dev/zero", "fifo"),
    *("x" * 300, "a\x00b", "a\udc80b", "../out.csv", "é.csv", "-", "@list.txt", "@none", "--", "link", "loop"),
    "faces/eval/images/*.jpg",
)
WORDS = (
    *("0", "1", "-1", "0.5", "2", "1e9", "nan", "inf", "none", "all", "0,1", "9", "9,9", "x", "hflip", "true", "é", ""),
)


def run(plan: Plan, world: Path, work: Path) -> list[Tally]:
    """Run random command lines."""
    tallies = {verb: Tally(f"lines: {verb}", plan.seed) for verb in sorted({name.split()[0] for name in _verbs()})}
    cases = plan.cases(FULL)
    found = forks.spread(lambda worker, mine: _cases(plan, world, work / f"l{worker}", mine), cases, plan.jobs)
    whole = Tally("lines", plan.seed)
    for case, verb, code, failure in found:
        told = failure and f"{failure}\n    python -m soak lines --case {case} --seed {plan.seed}"
        whole.add(f"exit {code}", told)
        tallies[verb.split()[0]].count += 1
    print("  " + ", ".join(f"{name.what[7:]} {name.count}" for name in tallies.values()), flush=True)
    return [whole]


def line(rng: Random) -> tuple[str, list[str]]:
    """Return a verb and a random command line of it."""
    verbs = _verbs()
    name = rng.choices(sorted(verbs), [LONG_WEIGHT if is_long(name) else 1 for name in sorted(verbs)])[0]
    words = name.split()
    for parameter in verbs[name].params:
        many = parameter.nargs == -1 or getattr(parameter, "multiple", False)
        asked = parameter.required or rng.random() < (0.9 if _is_argument(parameter) else 0.15)
        if parameter.name == "help" or not asked or (parameter.required and rng.random() < 0.03):
            continue
        for _ in range(rng.choice((1, 1, 2, 3)) if many else 1):
            if _is_argument(parameter):
                words.append(_value(rng, parameter, name))
                continue
            words.append(rng.choice(parameter.opts))
            if not getattr(parameter, "is_flag", False):
                words.append(_value(rng, parameter, name))
    if name in ("train", "self-train", "bench lr", "bench step", "debug"):
        words += network(*([_setting(rng)] if rng.random() < 0.5 else []))
    if rng.random() < 0.1:
        words.insert(rng.randrange(len(words) + 1), rng.choice((*WORDS, *CELLS, "--no-such", "-x", "--json")))
    if rng.random() < 0.05:
        del words[rng.randrange(len(words))]
    return name, words


def is_long(verb: str) -> bool:
    """Tell whether a verb may take longer than `HANG_S`."""
    return verb in LONG or verb.split()[0] in LONG


def _value(rng: Random, parameter: Any, verb: str) -> str:
    """Return a word for a parameter: most often one of its kind."""
    annotation = parameter.type_descriptor.annotation
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    likely = _likely(parameter.name, verb)
    draw = rng.random()
    if choices and draw < 0.8:
        return str(rng.choice(list(choices)))
    if likely and draw < 0.75:
        return rng.choice(likely)
    if "Path" in str(annotation) or draw < 0.3:
        return rng.choice(PATHS)
    return rng.choice((*WORDS, _setting(rng), *CELLS[:40]))


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _likely(name: str, verb: str) -> list[str]:
    known = {
        "run": ["runs/a", "runs/new"],
        "runs": ["runs/a", "runs/b"],
        "data": ["faces", "faces", "more", "table.csv"],
        "output": ["out.csv", "out", "out.html", "out.png"],
        "words": ["runs/a", "faces/eval/images", "faces/eval/images/*.jpg", "predict.views=hflip"],
        "overrides": ["predict.batch_size=3", "device.threads=1"],
        "what": ["runs/a", "submission.csv", "faces"],
        "answers": ["faces/eval/answers.csv"],
        "submission": ["submission.csv", "ensemble.csv"],
        "groups": ["groups.csv"],
        "recipe": ["ensemble.recipe.yaml"],
        "folder": ["out", "runs"],
        "folds": ["0", "0,1"],
        "config": ["runs/a/config.yaml", "tiny_cpu", "multi"],
    }
    return known.get(name, [])


def _setting(rng: Random) -> str:
    """Return a setting with a right or a wrong value."""
    option = rng.choice([one for section in option_sections() for one in section.options])
    default = () if option.default is NONE else (option.default,)
    value = rng.choice((*default, *option.choices, *WORDS, "[]", "[1, 2]", "{}", "null", "[32, 32]", *CELLS[:30]))
    return f"{option.key}={value}"


def _verbs() -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(command: Any, name: str) -> None:
        for part, below in getattr(command, "commands", {}).items():
            walk(below, f"{name} {part}".strip())
        if not hasattr(command, "commands"):
            found[name] = command

    walk(get_command(app), "")
    return found


def _cases(plan: Plan, world: Path, folder: Path, mine: list[int]) -> Iterator[Any]:
    forks.rest()
    for case in mine:
        rng = plan.draws("lines", case)
        copied(world, folder)
        _odd_files(folder)
        damaged = _damage(rng, folder) if rng.random() < 0.33 else ""
        verb, words = line(rng)
        before = _contents(folder)
        long = is_long(verb)
        ended = forks.run(_patient(folder, words), limit_s=PATIENCE_S + STOP_S, stop_after_s=STOP_S if long else None)
        failure = _failure(ended, long) or _changed(before, folder, verb)
        told = failure and f"maskcls {shlex.join(words)}{damaged and f' ({damaged} damaged)'}: {failure}"
        yield case, verb, ended.code, _printable(told)
    shutil.rmtree(folder, ignore_errors=True)


def _patient(folder: Path, words: list[str]) -> Any:
    given = call(folder, words)

    def called() -> int:
        os.environ["HOME"] = str(folder)
        return given()

    return called


def _failure(ended: forks.Ended, long: bool) -> str:
    if ended.late:
        return f"no end after {ended.seconds:.0f} s"
    if ended.code == Exit.INTERNAL or ended.code < 0 or ended.code not in set(Exit):
        return f"exit code {ended.code}: {last_error(ended.text)[-700:]}"
    if "Traceback (most recent call last)" in ended.text:
        return f"a traceback: {ended.text[-500:]}"
    if not long and ended.cpu_seconds > (WORK_S if ended.code in WORKED else HANG_S):
        return f"{ended.cpu_seconds:.1f} s of processor time"
    if ended.peak_mib > PEAK_MIB:
        return f"{ended.peak_mib:.0f} MiB of memory"
    return ""


def _odd_files(folder: Path) -> None:
    """Put beside the inputs what a path may lead to in the world outside."""
    os.mkfifo(folder / "fifo")
    os.symlink("faces", folder / "link")
    os.symlink("loop", folder / "loop")
    images = sorted((folder / "faces" / "eval" / "images").iterdir())
    (folder / "list.txt").write_text("".join(f"{path.relative_to(folder)}\n" for path in images[:3]))


def _damage(rng: Random, folder: Path) -> str:
    """Replace one file by a mutant and return its name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    path = rng.choice(paths)
    data = KINDS.get(path.suffix, mutated)(rng, path.read_bytes(), [rng.choice(paths).read_bytes()])
    path.unlink()
    path.write_bytes(data)
    return path.relative_to(folder).as_posix()


def _contents(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, size and time of the inputs that no command may write: photos, tables, weights, configurations."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name.startswith(("faces/", "more/", "table.csv", "fixes.csv", "runs/a/fold")):
            stat = path.stat()
            found[name] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


def _changed(before: dict[str, tuple[int, int, int]], folder: Path, verb: str) -> str:
    """Return which inputs were changed; an output may be an input that was named as one, with --force."""
    now = _contents(folder)
    wrong = [name for name, was in before.items() if now.get(name) != was]
    return f"it changed its inputs: {', '.join(wrong[:4])}" if wrong and verb not in WRITERS else ""


# These may change a run they are given, or replace any file they are told to with --force.
WRITERS = {"runs prune", "resume", "self-train", "data labels"}


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
