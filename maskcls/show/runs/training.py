"""What `maskcls train` and `resume` print when a run is complete."""

from __future__ import annotations

from pathlib import Path

from maskcls.runs.summary import GroupGain, RunSummary
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import NO_GAIN, new_people, number, plural, say, span


def print_training(run: Path, summary: RunSummary | None, *, json: bool = False) -> None:
    """Print the run's summary, or with `json` all of it; processes that do not write have none and print nothing."""
    if summary is None:
        return
    if json:
        print_json({"run": str(run), "summary": summary.to_json()})
        return
    pooled, interval = summary.pooled, summary.interval
    if pooled is None:
        why = "the pseudo labels are from networks that saw validation people"
        say(f"{run}  no out-of-fold score: {why}")
        return
    if interval:
        ends = span(interval.low, interval.high)
        say(f"{run}  out-of-fold macro-F1 {pooled.macro_f1:.4f} (95 % interval {ends})")
        if summary.prediction_interval:
            say(f"  {new_people(summary.prediction_interval)}")
    else:
        say(f"{run}  no row has a label for every task; macro-F1 per task:")
    tasks = "  ".join(f"{name} {number(task.macro_f1)}" for name, task in pooled.tasks.items())
    trained = sum(len(fold) > 0 for fold in summary.folds.values())
    say(f"  {tasks}  ({plural(trained, 'fold')}, {plural(summary.people, 'person')})")
    if groups := summary.groups:
        _say_groups(groups)
    if summary.seeds:
        each = "  ".join(f"seed {seed} {number(scores['macro_f1'])}" for seed, scores in summary.seeds.items())
        say(f"  each seed alone: {each}")


def _say_groups(groups: GroupGain) -> None:
    """Print the effect of averaging the photos that look alike."""
    gain, tasks = groups.gain, " and ".join(groups.tasks)
    text = f"gain {gain.value:+.4f}, 95 % interval {span(gain.low, gain.high, sign=True)}" if gain else ""
    say(f"  {tasks} averaged over photos that look alike: {number(groups.alone)} without" + (text and f", {text}"))
    if gain and gain.low <= 0:
        say(f"  {NO_GAIN}; train without predict.groups=look")
    say(f"  pair precision {groups.pair_precision:.4f}, pair recall {groups.pair_recall:.4f}")
