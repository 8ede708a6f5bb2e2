"""What `maskcls train` and `resume` print when a run is complete."""

from __future__ import annotations

from pathlib import Path

from maskcls.runs.summary import EpochSelection, GroupGain, RunSummary
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import NO_GAIN, classes_scored, new_people, number, plural, say, span


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
        scored = classes_scored(pooled.classes_scored, len(pooled.classes))
        say(f"{run}  out-of-fold macro-F1 {number(pooled.macro_f1)} (95 % interval {ends}){scored}")
        if summary.prediction_interval:
            say(f"  {new_people(summary.prediction_interval)}")
    else:
        say(f"{run}  no row has a label for every task; macro-F1 per task:")
    tasks = "  ".join(f"{name} {number(task.macro_f1)}" for name, task in pooled.tasks.items())
    trained = sum(len(fold) > 0 for fold in summary.folds.values())
    say(f"  {tasks}  ({plural(trained, 'fold')}, {plural(summary.people, 'person')})")
    if selection := summary.selection:
        _say_selection(selection)
    if groups := summary.groups:
        _say_groups(groups)
    if summary.seeds:
        each = "  ".join(f"seed {seed} {number(scores.get('macro_f1'))}" for seed, scores in summary.seeds.items())
        say(f"  each seed alone: {each}")


def _say_selection(selection: EpochSelection) -> None:
    """Print which epochs are used, and what the last epochs would score."""
    epochs = ", ".join(str(epoch + 1) for epoch in selection.epochs.values())
    if selection.by == "last" or len(selection.epochs) == 1:
        say(f"  epochs used: {epochs} (the last)")
        return
    gain = selection.gain
    kept = f"; of a training of fewer folds: {', '.join(selection.kept)}" if selection.kept else ""
    text = f", difference {gain.value:+.4f}, 95 % interval {span(gain.low, gain.high, sign=True)}" if gain else ""
    how = f"by {selection.by} of the other folds{kept}"
    say(f"  epochs used: {epochs} ({how}); last epochs {number(selection.last)}{text}")


def _say_groups(groups: GroupGain) -> None:
    """Print the effect of averaging similar photos, and whether they are averaged."""
    gain, tasks = groups.gain, " and ".join(groups.tasks)
    text = f"gain {gain.value:+.4f}, 95 % interval {span(gain.low, gain.high, sign=True)}" if gain else "gain not known"
    done = "averaged" if groups.averaged else "not averaged"
    say(f"  {tasks} {done} over similar photos: {number(groups.alone)} without, {text}")
    if groups.cut and groups.whole:
        ways = f"gain with groups cut at the folds {groups.cut.value:+.4f}, with whole groups {groups.whole.value:+.4f}"
        say(f"  the smaller counts: {ways}")
    if groups.expected is not None and groups.low is not None:
        say(f"  expected among {groups.photos:,} new photos: gain {groups.expected:+.4f}, lower end {groups.low:+.4f}")
    if not groups.averaged:
        say("  no proven gain among so many new photos; every photo is scored and predicted alone")
    elif gain and gain.low <= 0:  # of an earlier version
        say(f"  {NO_GAIN}; train without predict.groups=look")
    say(f"  pair precision {groups.pair_precision:.4f}, pair recall {groups.pair_recall:.4f}")
    if among := groups.precision_among:
        each = ", ".join(f"{value:.4f} among {int(photos):,}" for photos, value in among.items())
        say(f"  expected pair precision: {each} photos")
