"""Time and memory of ensembles: searching weights on out-of-fold rows, and averaging members of a million rows.

    python benchmarks/ensemble.py [--members 20] [--rows 12600] [--large-rows 1000000] [--large-members 5]
                                  [--repeats 1] [--json FILE]

The searches use random members with the contest's 18 classes: the same rows are hard for all members, and each member
adds its own noise. There are five folds of people, seven rows per person. One search uses all rows and gives the
weights; one search per fold leaves out its rows and gives the score: six searches. Every second large member has its
ids in the opposite order, so its rows are reordered first.

Each stage runs in its own process. Its time is that of the work, without the imports of maskcls and numpy and without
making the input; its peak is the largest memory of the process, including imports and input. Predictions are averaged
without torch; a stage that has imported torch fails.
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
    """Return M arrays (N, 18) float32, the labels of every task, and the fold of each row."""
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
    """Return M predictions for the same ids, every second one in the opposite order."""
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


# ---- stages: each makes its input and returns a function to time ----------------------------------------------------


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
    """Search greedy weights in ten random halves of the members."""
    return _searched("bagged", members, rows)


def convex(members: int, rows: int) -> Work:
    """Search the weights with the lowest log loss of the joint classes."""
    return _searched("convex", members, rows)


def convex_tasks(members: int, rows: int) -> Work:
    """Search the weights with the lowest log loss, per task."""
    return _searched("convex-tasks", members, rows)


def stack(members: int, rows: int) -> Work:
    """Fit a stacking model and apply it."""
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
    """Average the large members by given weights."""
    import numpy as np

    from maskcls.results.ensembles.combine import combine_weighted

    made = large(members, rows)
    return lambda: combine_weighted(made, np.arange(1.0, members + 1))


def rules(members: int, rows: int) -> Work:
    """Combine the large members by vote and by geometric mean."""
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
    """Return the largest memory of this process in MiB; getrusage would include the parent's before the start."""
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    return next(int(line[1]) for line in lines if line[0] == "VmHWM:") / 1024


def run_stage(name: str, members: int, rows: int) -> dict[str, float]:
    """Run one stage in this process; returns seconds and CPU seconds of the work, and the peak memory in MiB."""
    work = {**SEARCHES, **LARGE}[name](members, rows)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    if "torch" in sys.modules:
        raise SystemExit(f"{name} has imported torch")
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak_mib()}


def measure(name: str, members: int, rows: int, repeats: int) -> dict[str, Any]:
    """Run one stage, each repeat in its own process; returns all seconds, the least CPU seconds, the largest peak."""
    command = [sys.executable, __file__, "--stage", name, "--members", str(members), "--rows", str(rows)]
    runs = [json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout) for _ in range(repeats)]
    return {
        "seconds": [run["seconds"] for run in runs],
        "cpu_seconds": min(run["cpu_seconds"] for run in runs),
        "peak_mib": max(run["peak_mib"] for run in runs),
    }


def verdicts(stages: dict[str, dict[str, Any]]) -> list[str]:
    """Return lines that compare the measured stages with their targets."""
    searches_s = sum(statistics.median(stages[name]["seconds"]) for name in ("greedy", "convex"))
    large_s = max(statistics.median(stages[name]["seconds"]) for name in ("mean", "weighted"))
    large_gib = max(stages[name]["peak_mib"] for name in ("mean", "weighted")) / 1024
    return [
        f"greedy and convex together: {searches_s:.1f} s (target {SECONDS_FOR_SEARCHES} s)",
        f"mean, weighted: at most {large_s:.1f} s and {large_gib:.1f} GiB "
        f"(targets {SECONDS_FOR_LARGE} s and {GIB_FOR_LARGE} GiB)",
    ]


def main() -> None:
    """Measure every stage and print a table; or, as a child process, run one stage."""
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
