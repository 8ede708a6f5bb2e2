"""The gain of each method over a base: one training per method and seed; all other settings are those of the base.

Compared  Every row of a YAML file with the base: a shipped configuration, folds, and overrides that fix a small budget.
          A row adds its own overrides. A row with the same settings as the base counts as the base.
Counted   Macro-F1 of the out-of-fold rows of all folds, pooled, as the mean over the seeds; its difference to the base
          on the same rows and seeds, with a 95 % interval from 1,000 resamples of people (with all their photos, for
          all seeds); the tasks' macro-F1; `seconds` of log.jsonl relative to the base, divided by the number of
          folds trained at the same time.
How       `run` starts `maskcls train`, or `maskcls resume` for an interrupted training, one after the other: all rows
          with the first seed, then with the next. Finished runs are skipped; after a failed run, its output is kept and
          the next row starts; Ctrl-C stops, and the same command continues. `table` only reads the results of `run`.
Run       python benchmarks/methods.py run DATA --rows benchmarks/methods.yaml --out runs/methods --seeds 0 1
          python benchmarks/methods.py run DATA --only ema drop/0.5 --set model.weights=FILE train.epochs=1 --folds 0
          python benchmarks/methods.py table --out runs/methods --write benchmarks/methods.md --json methods.json
Read      "helps": the whole interval is above 0; "hurts": it is below 0; "within noise": it includes 0. The interval
          covers the choice of people, not of seeds, and about one row in twenty differs from the base only by chance.
          A method that helps with a small budget may not help with a large one.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from alternate import say
from method_table.comparison import read_table
from method_table.report import as_json, report, shown_command
from method_table.rows import choose, read_plan
from method_table.training import Starter, start_process, train_all

from maskcls import files
from maskcls.errors import Exit, MaskclsError


def arguments_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="train all runs that are not finished")
    run.add_argument("data", type=Path, metavar="DATA")
    run.add_argument("--rows", type=Path, default=Path(__file__).with_suffix(".yaml"), metavar="FILE")
    run.add_argument("--out", type=Path, default=Path("runs/methods"), metavar="DIR")
    run.add_argument("--only", nargs="+", default=[], metavar="FAMILY[/NAME]", help="only these rows, and the base")
    run.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    run.add_argument("--folds", type=fold_numbers, default=(), metavar="0,1", help="default: those of the file")
    run.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="further settings of the base"
    )
    table = verbs.add_parser("table", help="compare finished runs with the base")
    table.add_argument("--out", type=Path, default=Path("runs/methods"), metavar="DIR")
    table.add_argument("--write", type=Path, default=None, metavar="FILE", help="Markdown file to write")
    table.add_argument("--json", type=Path, default=None, metavar="FILE", help="JSON file to write with all figures")
    return parser.parse_args(argv)


def fold_numbers(text: str) -> tuple[int, ...]:
    """Parse fold numbers such as `0,1`; returns them ascending, each once.

    >>> fold_numbers("2,0,2")
    (0, 2)
    """
    return tuple(sorted({int(part) for part in text.split(",")}))


def run(a: argparse.Namespace, command: str, start: Starter = start_process) -> Exit:
    """Train; returns the exit code."""
    plan = read_plan(a.rows, overrides=a.set, folds=a.folds, command=command)
    try:
        return train_all(plan, a.data, a.out, rows=choose(plan, a.only), seeds=a.seeds, start=start)
    except KeyboardInterrupt:
        say("interrupted; finished epochs are kept. Run the same command to continue")
        return Exit.INTERRUPTED


def show(a: argparse.Namespace, command: str) -> Exit:
    """Print the table, and write the files of --write and --json; returns the exit code."""
    today, table = date.today().isoformat(), read_table(a.out)
    text = report(table, today=today, command=command)
    print(text, end="")
    if a.write:
        files.commit(a.write, text.encode())
    if a.json:
        files.commit_json(a.json, as_json(table, today=today, command=command))
    return Exit.OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code; a MaskclsError is printed as a message."""
    words = list(sys.argv[1:] if argv is None else argv)
    a = arguments_of(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(Exit.TERMINATED)))
    try:
        if a.verb == "run":
            return int(run(a, shown_command(words, a.data)))
        return int(show(a, shown_command(words)))
    except MaskclsError as error:
        say(str(error))
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
