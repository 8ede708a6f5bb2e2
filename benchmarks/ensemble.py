"""Time and memory of ensembles: weights searched and scored out of fold, and members of a million rows joined.

    python benchmarks/ensemble.py [--members 20] [--rows 12600] [--large-rows 1000000] [--large-members 5]
                                  [--repeats 1] [--json FILE]

The searches get drawn members of the contest's 18 classes: all find the same rows hard, each adds noise of its own.
Five folds of people, seven rows each. A search is done on every row, for the weights to use, and once more for every
fold without its rows, for the score to report: six searches. The large members come in two orders of ids, so every
second one is brought into the other's order first.

Each stage runs in a process of its own. Its time is that of the work named, without the imports of maskcls and numpy
and without making the input; its peak is the most memory that the process ever held, imports and input included.
Predictions are joined without torch, and a stage that has loaded it fails.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROWS_PER_PERSON = 7
FOLDS = 5
SECONDS_FOR_SEARCHES = 10  # greedy and convex together
SECONDS_FOR_LARGE, GIB_FOR_LARGE = 60, 6

Work = Callable[[], object]


def drawn(members: int, rows: int) -> tuple[list[Any], dict[str, Any], Any]:
    """Return M arrays (N, 18) float32, the truth of every task, and the fold of each row."""
    import numpy as np

    from maskcls.labels import CONTEST

    rng = np.random.default_rng(0)
    joint_N = rng.integers(CONTEST.size, size=rows)
    shared_NJ = rng.normal(0, 1.5, (rows, CONTEST.size)) + 5 * np.eye(CONTEST.size)[joint_N]
    prob_MNJ = []
    for member in range(members):
        prob_NJ = np.exp(shared_NJ + rng.normal(0, 0.6 + 0.05 * member, shared_NJ.shape))
        prob_MNJ.append((prob_NJ / prob_NJ.sum(axis=1, keepdims=True)).astype(np.float32))
    return prob_MNJ, CONTEST.decode(joint_N), np.arange(rows) // ROWS_PER_PERSON % FOLDS


def large(members: int, rows: int) -> list[Any]:
    """Return M predictions of the same ids, every second one in the opposite order."""
    import numpy as np

    from maskcls.labels import CONTEST
    from maskcls.results.predictions import Predictions

    rng = np.random.default_rng(0)
    ids_N = np.array([f"{i // ROWS_PER_PERSON:07d}_drawn/mask{i % ROWS_PER_PERSON}" for i in range(rows)])
    made = []
    for member in range(members):
        prob_NJ = rng.exponential(size=(rows, CONTEST.size)).astype(np.float32)
        prob_NJ /= prob_NJ.sum(axis=1, keepdims=True)
        made.append(Predictions(ids_N[:: 1 - member % 2 * 2], prob_NJ, CONTEST))
    return made


# ---- stages: each makes its input and returns the work to be timed --------------------------------------------------


def _searched(search: Any, members: int, rows: int) -> Work:
    from maskcls.labels import CONTEST
    from maskcls.results.ensembles.weight_search import nested_weights, search_weights

    prob_MNJ, truth, fold_N = drawn(members, rows)

    def work() -> None:
        search_weights(search, prob_MNJ, truth, CONTEST)
        nested_weights(search, prob_MNJ, truth, fold_N, CONTEST)

    return work


def greedy(members: int, rows: int) -> Work:
    """Search greedy weights for the macro-F1."""
    return _searched("greedy", members, rows)


def bagged(members: int, rows: int) -> Work:
    """Search greedy weights in ten halves of the members."""
    return _searched("bagged", members, rows)


def convex(members: int, rows: int) -> Work:
    """Search the weights of least log loss over the joint classes."""
    return _searched("convex", members, rows)


def convex_tasks(members: int, rows: int) -> Work:
    """Search the weights of least log loss of each task."""
    return _searched("convex-tasks", members, rows)


def stack(members: int, rows: int) -> Work:
    """Fit a stack and apply it."""
    from maskcls.labels import CONTEST
    from maskcls.results.ensembles.stacking import fit_stack, nested_stack

    prob_MNJ, truth, fold_N = drawn(members, rows)

    def work() -> None:
        fit_stack(prob_MNJ, truth, CONTEST)
        nested_stack(prob_MNJ, truth, fold_N, CONTEST)

    return work


def mean(members: int, rows: int) -> Work:
    """Average the large members."""
    from maskcls.results.ensembles.combine import combine

    made = large(members, rows)
    return lambda: combine(made, "mean")


def weighted(members: int, rows: int) -> Work:
    """Average the large members with weights."""
    import numpy as np

    from maskcls.results.ensembles.combine import combine_weighted

    made = large(members, rows)
    return lambda: combine_weighted(made, np.arange(1.0, members + 1))


def rules(members: int, rows: int) -> Work:
    """Join the large members by vote and by geometric mean."""
    from maskcls.results.ensembles.combine import combine

    made = large(members, rows)

    def work() -> None:
        combine(made, "vote")
        combine(made, "geometric")

    return work


SEARCHES: dict[str, Callable[[int, int], Work]] = {s.__name__: s for s in (greedy, bagged, convex, convex_tasks, stack)}
LARGE: dict[str, Callable[[int, int], Work]] = {s.__name__: s for s in (mean, weighted, rules)}

# ---- measuring ------------------------------------------------------------------------------------------------------


def peak_mib() -> float:
    """Return the most memory this process has held; getrusage would count what the parent held before the start."""
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    return next(int(line[1]) for line in lines if line[0] == "VmHWM:") / 1024


def run_stage(name: str, members: int, rows: int) -> dict[str, float]:
    """Run one stage in this process: seconds of the work, CPU seconds of it, and the peak in MiB."""
    work = {**SEARCHES, **LARGE}[name](members, rows)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    if "torch" in sys.modules:
        raise SystemExit(f"{name} has loaded torch")
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak_mib()}


def measure(name: str, members: int, rows: int, repeats: int) -> dict[str, Any]:
    """Run one stage in processes of its own; returns every repeat's seconds, the CPU's least, the largest peak."""
    command = [sys.executable, __file__, "--stage", name, "--members", str(members), "--rows", str(rows)]
    runs = [json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout) for _ in range(repeats)]
    return {
        "seconds": [run["seconds"] for run in runs],
        "cpu_seconds": min(run["cpu_seconds"] for run in runs),
        "peak_mib": max(run["peak_mib"] for run in runs),
    }


def verdicts(stages: dict[str, dict[str, Any]]) -> list[str]:
    """Say how the measured stages stand against their targets."""
    searches_s = sum(statistics.median(stages[name]["seconds"]) for name in ("greedy", "convex"))
    large_s = max(statistics.median(stages[name]["seconds"]) for name in ("mean", "weighted"))
    large_gib = max(stages[name]["peak_mib"] for name in ("mean", "weighted")) / 1024
    return [
        f"greedy and convex together: {searches_s:.1f} s (target {SECONDS_FOR_SEARCHES} s)",
        f"mean, weighted: at most {large_s:.1f} s and {large_gib:.1f} GiB "
        f"(targets {SECONDS_FOR_LARGE} s and {GIB_FOR_LARGE} GiB)",
    ]


def main() -> None:
    """Measure every stage and print a table; or run the one stage that a parent asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--rows", type=int, default=12_600)
    parser.add_argument("--large-rows", type=int, default=1_000_000)
    parser.add_argument("--large-members", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--stage", choices=[*SEARCHES, *LARGE], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        print(json.dumps(run_stage(arguments.stage, arguments.members, arguments.rows)))
        return
    sizes = dict.fromkeys(SEARCHES, (arguments.members, arguments.rows))
    sizes |= dict.fromkeys(LARGE, (arguments.large_members, arguments.large_rows))
    stages = {}
    print("| stage | members | rows | seconds | CPU seconds | peak |\n|---|---|---|---|---|---|")
    for name, (members, rows) in sizes.items():
        stages[name] = measure(name, members, rows, arguments.repeats)
        seconds, cpu_s = statistics.median(stages[name]["seconds"]), stages[name]["cpu_seconds"]
        peak = f"{stages[name]['peak_mib']:.0f} MiB"
        print(f"| {name} | {members} | {rows:,} | {seconds:.2f} | {cpu_s:.2f} | {peak} |", flush=True)
    print(*verdicts(stages), sep="\n")
    if arguments.json:
        names = ("members", "rows", "large_rows", "large_members")
        data = {name: getattr(arguments, name) for name in names}
        arguments.json.write_text(json.dumps({**data, "stages": stages}, indent=1) + "\n")


if __name__ == "__main__":
    main()
