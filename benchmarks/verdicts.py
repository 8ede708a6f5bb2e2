"""Which kinds of examples of a rare class help on this data set: generators trained with equal time, then one verdict.

Trained   A network that filters samples (--classifier RUN, or one trained here), and per kind one generator per fold.
          All generators of a kind together get --minutes: a few steps of each kind are timed, and the number of steps
          follows. It is kept in plan.json. --steps KIND=N gives it, so that the same generators are made again.
Compared  Heads on the features of the starting weights (as `synth judge --fit heads`): smote, copies by difficulty, and
          the samples of each kind that passed the filters, each with nothing, oversampling and CutMix with rare
          partners. The last two are compared with nothing and with each other. All intervals hold together.
Printed   A table: people and steps, minutes of one processor, samples made, left out and kept, gains, verdict.
Run       python benchmarks/verdicts.py DATA --config multi --out FOLDER [--minutes 10] model.weights=FILE KEY=VALUE…
          Given again, what is finished is kept. The sizes are given by synth.size, synth.width and
          synth.batch_size; cyclegan has a batch of an eighth, because each of its pairs passes six networks.
Read      A kind of which no sample is left is not usable at this budget. Two filters leave samples out: "disputed"
          ones, which the fold's network takes for another class, and "copies", too near to a training photo.
          With a GPU: more minutes and the default sizes, then `maskcls synth judge` with the tables in FOLDER/made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskcls import config
from maskcls.commands.synth.judge import rare_classes, rare_joint
from maskcls.results.synth.verdict import Gap, TableVerdict, Verdict, arms_verdict
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.arms.arm_settings import MIX, NOTHING, OVERSAMPLE, SMOTE, build_arms
from maskcls.synth.arms.frozen_arms import screen_arms
from maskcls.training.experiment import read_experiment

KINDS = ("dcgan", "wgan-gp", "cyclegan")
COPIES = "copies"
TIMED_STEPS = 50
CYCLE_SHARE = 8  # of the batch


@dataclass(frozen=True)
class Chain:
    """Where the chain works. words: config files and settings of every command; classifier: the run that filters."""

    data: Path
    out: Path
    words: tuple[str, ...]
    cfg: Config
    classifier: Path

    @property
    def folds(self) -> str:
        """All folds, and not the set of all rows, which no verdict uses."""
        return ",".join(map(str, range(self.cfg.folds.k)))


def arguments_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--config", action="append", type=Path, default=[], metavar="FILE")
    parser.add_argument("--out", type=Path, default=Path("verdicts"), metavar="FOLDER")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--minutes", type=float, default=10.0, help="for all generators of a kind")
    parser.add_argument("--steps", action="append", default=[], metavar="KIND=N", help="in place of --minutes")
    parser.add_argument("--classifier", type=Path, metavar="RUN", help="a run with these folds; default: trained here")
    parser.add_argument("--seeds", type=int, default=2)
    return parser.parse_intermixed_args(argv)


def call(words: Sequence[str], log: Path) -> tuple[dict[str, Any], float]:
    """Run a command of maskcls; returns its JSON object, and the minutes of processor time that it took."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as err:
        child = subprocess.Popen(
            [sys.executable, "-m", "maskcls", *words, "--json"], stdout=subprocess.PIPE, stderr=err, text=True
        )
        assert child.stdout is not None
        with child.stdout as out:
            text = out.read()
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    found: dict[str, Any] = json.loads(text) if text else {}
    return found | {"exit_code": child.returncode}, (usage.ru_utime + usage.ru_stime) / 60


def own_settings(chain: Chain, kind: str) -> list[str]:
    """Return the settings of the generators of a kind."""
    batch = chain.cfg.synth.batch_size
    own = [word for word in chain.words if not word.startswith("synth.batch_size=")]
    return [*own, f"synth.batch_size={max(1, batch // CYCLE_SHARE) if kind == 'cyclegan' else batch}"]


def timed_steps(chain: Chain, kind: str, minutes: float) -> int:
    """Return how many steps each fold's generator gets, by the elapsed time of a few steps."""
    place = chain.out / "timed"
    shutil.rmtree(place, ignore_errors=True)
    words = ["--kind", kind, "--run", str(place), "--folds", "0", *own_settings(chain, kind)]
    words.append(f"synth.steps={TIMED_STEPS}")
    found, _ = call(["synth", "train", str(chain.data), *words], chain.out / "commands.log")
    if found["exit_code"]:
        raise SystemExit(f"{kind} could not be timed: see {chain.out / 'commands.log'}")
    shutil.rmtree(place)
    (timed,) = found["generators"]
    return max(1, int(60 * minutes / chain.cfg.folds.k / (timed["seconds"] / timed["steps_now"])))


def train_generators(chain: Chain, kind: str, steps: int) -> dict[str, Any]:
    """Train the generators of a kind, or finish them; returns what the command says, with its processor minutes."""
    place, note = chain.out / kind, chain.out / f"{kind}.json"
    if note.exists():
        kept: dict[str, Any] = json.loads(note.read_text())
        return kept
    if place.exists():
        words = ["synth", "resume", str(place)]
    else:
        words = ["synth", "train", str(chain.data), "--kind", kind, "--run", str(place), "--folds", chain.folds]
        words += [*own_settings(chain, kind), f"synth.steps={steps}", f"synth.sheet_steps={max(1, steps // 4)}"]
    started = time.monotonic()
    found, minutes = call(words, chain.out / "commands.log")
    if found["exit_code"] or not found["finished"]:
        raise SystemExit(f"{kind} is not finished: see {chain.out / 'commands.log'}")
    found |= {"minutes": minutes, "elapsed_minutes": (time.monotonic() - started) / 60}
    note.write_text(json.dumps(found, indent=1) + "\n")
    return found


def train_classifier(chain: Chain) -> None:
    """Train the run whose networks filter samples, or finish it."""
    run = chain.classifier
    if (run / "summary.json").exists():
        return
    own = [one for one in chain.words if not one.startswith("synth.")]
    words = ["resume", str(run)] if run.exists() else ["train", str(chain.data), "--run", str(run), *own]
    if call(words, chain.out / "commands.log")[0]["exit_code"]:
        raise SystemExit(f"the classifier is not finished: see {chain.out / 'commands.log'}")


def make_samples(chain: Chain, kind: str) -> dict[str, Any]:
    """Make the samples of a kind, or of copies; returns what the command says, without rows if none is left."""
    table, note = chain.out / "made" / f"{kind}.csv", chain.out / "made" / f"{kind}.made.json"
    if note.exists():
        kept: dict[str, Any] = json.loads(note.read_text())
        return kept
    source = [str(chain.classifier), "synth.kind=oversample"] if kind == COPIES else [str(chain.out / kind)]
    source += [] if kind == COPIES else ["--classifier", str(chain.classifier)]
    found, minutes = call(["synth", "sample", *source, "-o", str(table)], chain.out / "commands.log")
    found["minutes"] = minutes
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(found, indent=1) + "\n")
    return found


def verdicts_on(chain: Chain, tables: Sequence[str], seeds: int) -> tuple[Verdict, Verdict, dict[str, float]]:
    """Return the verdict on the tables, that on the two simple arms, and the minutes of each arm."""
    base = read_experiment(chain.cfg, chain.data, RunDir(chain.out / "never-written"))
    rare = rare_classes(base)
    arms = build_arms(chain.cfg, tables, rare)
    numbers = tuple(range(chain.cfg.seed, chain.cfg.seed + seeds))
    with Reporter() as report:
        screened = screen_arms(chain.data, arms, rare, seeds=numbers, report=report)
    experiment, space = screened.experiment, chain.cfg.space
    scored = np.flatnonzero(experiment.fold >= 0)
    truth_N, people_N = space.encode(experiment.labels)[scored], experiment.people[scored]
    labels = {name: [one[scored] for one in several] for name, several in screened.labels.items()}
    rare_J, made = rare_joint(space, rare), [arm.name for arm in arms if arm.is_table]
    tried = len(made) + 2
    of_tables = arms_verdict(truth_N, labels, made, people_N, rare_J, tried=tried)
    simple = {name: labels[name] for name in (NOTHING, OVERSAMPLE, MIX)}
    of_simple = arms_verdict(truth_N, simple, [OVERSAMPLE, MIX], people_N, rare_J, tried=tried)
    return of_tables, of_simple, {name: seconds / 60 for name, seconds in screened.seconds.items()}


def gap_text(gap: Gap) -> str:
    """Write a gain with its interval."""
    one = gap.difference
    return f"{one.value:+.4f} ({one.low:+.4f} to {one.high:+.4f})"


def lines_of(
    of_tables: Verdict, of_simple: Verdict, trained: dict[str, Any], made: dict[str, Any], minutes: dict[str, float]
) -> list[str]:
    """Write a line per arm: what it cost, what it made, its score, its gains and the verdict."""
    score = {one.name: one for one in of_tables.arms}
    heading = ["arm", "generators: minutes", "made / copies / disputed / kept of wanted", "heads: minutes", "macro-F1"]
    heading += ["over nothing", "over oversample", "over mix", "rare classes, over nothing", "verdict"]
    found = [heading, ["---"] * len(heading)]
    verdicts: list[TableVerdict | None] = [None, *of_simple.tables, *of_tables.tables]
    for name, one in zip([NOTHING, OVERSAMPLE, MIX, *(t.arm for t in of_tables.tables)], verdicts, strict=True):
        kind = name.removeprefix("synth-")
        gaps = {} if one is None else {gap.other: gap for gap in one.gaps}
        rare = gaps[NOTHING].rare if NOTHING in gaps else None
        row = [kind, f"{trained[kind]['minutes']:.1f}" if kind in trained else "", counts_text(made.get(kind))]
        row += [f"{minutes[name]:.1f}", f"{score[name].mean:.4f} (sd {score[name].deviation:.4f})"]
        row += [gap_text(gaps[other]) if other in gaps else "" for other in (NOTHING, OVERSAMPLE, MIX)]
        row.append("" if rare is None else f"{rare.value:+.3f} ({rare.low:+.3f} to {rare.high:+.3f})")
        found.append([*row, "" if one is None else f"{one.outcome} (findable {one.findable:.3f})"])
    for kind in made:
        if f"synth-{kind}" not in score:
            row = [kind, f"{trained[kind]['minutes']:.1f}", counts_text(made[kind])]
            found.append([*row, *[""] * (len(heading) - 4), "not usable at this budget"])
    return [f"| {' | '.join(row)} |" for row in found]


def counts_text(found: dict[str, Any] | None) -> str:
    """Write how many samples were made and left out, over all folds."""
    if found is None:
        return ""
    if not found.get("counts"):
        return "none left"
    sums = {name: sum(one[name] for one in found["counts"] if one["set"] != "all") for name in found["counts"][0]
            if name not in ("set", "class")}  # fmt: skip
    return f"{sums['made']:,} / {sums['copies']:,} / {sums['disputed']:,} / {sums['kept']:,} of {sums['wanted']:,}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the chain, and print the table; returns the exit code."""
    a = arguments_of(argv)
    words = [word for path in a.config for word in ("--config", str(path))]
    cfg, _ = config.load(a.config or None, a.settings)
    chain = Chain(a.data, a.out, (*words, *a.settings), cfg, a.classifier or a.out / "classifier")
    a.out.mkdir(parents=True, exist_ok=True)
    plan, given = a.out / "plan.json", dict(word.split("=") for word in a.steps)
    steps: dict[str, int] = json.loads(plan.read_text()) if plan.exists() else {}
    trained: dict[str, Any] = {}
    for kind in a.kinds.split(","):
        steps.setdefault(kind, int(given[kind]) if kind in given else timed_steps(chain, kind, a.minutes))
        plan.write_text(json.dumps(steps) + "\n")
        trained[kind] = train_generators(chain, kind, steps[kind])
        print(f"{kind}: {steps[kind]:,} steps per fold, {trained[kind]['minutes']:.1f} min", flush=True)
    if a.classifier is None:
        train_classifier(chain)
    made = {kind: make_samples(chain, kind) for kind in (COPIES, *trained)}
    tables = [str(a.out / "made" / f"{kind}.csv") for kind, one in made.items() if not one["exit_code"]]
    of_tables, of_simple, minutes = verdicts_on(chain, [SMOTE, *tables], a.seeds)
    print("\n".join(lines_of(of_tables, of_simple, trained, made, minutes)))
    best = of_tables.best
    print(f"recommended: {best.arm if best else 'no samples'}; intervals of {of_tables.level:.2%} each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
