"""What `maskcls train` and `resume` print when a run is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from maskcls.groupnouns import PEOPLE, Noun
from maskcls.runs.summary import EpochSelection, GroupGain, RunSummary
from maskcls.show.report.after_training import AfterTraining
from maskcls.show.terminal.json_output import Versions, print_json
from maskcls.show.terminal.text import (
    NO_GAIN,
    classes_scored,
    near,
    new_people,
    number,
    number_of,
    plural,
    say,
    say_whole,
    span,
)
from maskcls.show.training.baseline import baseline_line


def print_training(
    run: Path,
    summary: RunSummary | None,
    after: AfterTraining | None = None,
    noun: Noun = PEOPLE,
    *,
    versions: Versions | None = None,
    json: bool = False,
) -> None:
    """Print the run's summary, or with `json` all of it, and what comes next.

    noun      what the groups of the data set are called, one and several.
    versions  of a run that began before: packages of other versions than then.

    Processes that do not write have no summary and print nothing.
    """
    if summary is None:
        return
    if json:
        steps = after.to_json() if after else {}
        others = {} if versions is None else {"other_versions": dict(versions)}
        print_json({"run": str(run), "summary": summary.to_json(), **steps, **others})
        return
    say_scores(run, summary, noun)
    if after:
        say_after(after)


def say_after(after: AfterTraining) -> None:
    """Print where the report is, and the command to give next, each on a line that is never broken."""
    if after.page:
        say_whole(f"report: {near(after.page)}\n")
    say_whole(f"next: {after.command}\n")


def say_scores(run: Path, summary: RunSummary, noun: Noun) -> None:
    """Print the scores of a run, and how its epochs were chosen."""
    pooled, interval = summary.pooled, summary.interval
    if pooled is None:
        why = f"it was trained with data.leaky=true: pseudo labels or samples may be of validation {noun[1]}"
        say(f"{run}  no out-of-fold score: {why}")
        return
    if interval:
        ends = span(interval.low, interval.high)
        scored = classes_scored(pooled.classes_scored, len(pooled.classes))
        say(f"{run}  out-of-fold macro-F1 {number(pooled.macro_f1)} (95 % interval {ends}){scored}")
        if summary.prediction_interval:
            say(f"  {new_people(summary.prediction_interval, noun[1])}")
    else:
        say(f"{run}  no row has a label for every task; macro-F1 per task:")
    tasks = "  ".join(f"{name} {number(task.macro_f1)}" for name, task in pooled.tasks.items())
    trained = sum(len(fold) > 0 for fold in summary.folds.values())
    say(f"  {tasks}  ({plural(trained, 'fold')}, {number_of(summary.people, noun)})")
    if selection := summary.selection:
        _say_selection(selection)
    if baseline := summary.baseline:
        say(f"  {baseline_line(baseline)}")
    if groups := summary.groups:
        _say_groups(groups)
    if summary.seeds:
        each = "  ".join(f"seed {seed} {number(scores.get('macro_f1'))}" for seed, scores in summary.seeds.items())
        say(f"  each seed alone: {each}")


def _say_selection(selection: EpochSelection) -> None:
    """Print which epochs are used, and what the last epochs would score."""
    used = epochs_used({title: selection.soups.get(title, (epoch,)) for title, epoch in selection.epochs.items()})
    if selection.by == "last" or len({title.rpartition("fold ")[2] for title in selection.epochs}) == 1:
        say(f"  {used} (the last)")
        return
    gain = selection.gain
    text = f" (difference {gain.value:+.4f}, 95 % interval {span(gain.low, gain.high, sign=True)})" if gain else ""
    kept = f"; kept from a training of fewer folds: {', '.join(selection.kept)}" if selection.kept else ""
    say(f"  {used}, chosen by {selection.by} of the other folds{kept}")
    say(f"  with every fold's last epoch: macro-F1 {number(selection.last)}{text}")


def epochs_used(epochs: Mapping[str, Sequence[int]]) -> str:
    """Write the epoch of every network, or those that are averaged, counted from 1; `epochs` has them from 0, by title.

    >>> epochs_used({"fold 0": [9], "fold 1": [11, 12]})
    'epochs used in folds 0, 1: 10, 12+13'
    >>> epochs_used({"age fold 0": [9], "age fold 1": [12], "mask fold 0": [3], "mask fold 1": [4]})
    'epochs used in folds 0, 1: age 10, 13; mask 4, 5'
    """
    by_network: dict[str, dict[str, str]] = {}
    for title, used in epochs.items():
        network, _, fold = title.rpartition("fold ")
        by_network.setdefault(network, {})[fold] = "+".join(str(epoch + 1) for epoch in used)
    folds = list(dict.fromkeys(fold for used in by_network.values() for fold in used))
    each = "; ".join(network + ", ".join(by_fold.values()) for network, by_fold in by_network.items())
    return f"epochs used in {'fold' if len(folds) == 1 else 'folds'} {', '.join(folds)}: {each}"


def _say_groups(groups: GroupGain) -> None:
    """Print the effect of averaging similar photos, and whether they are averaged."""
    gain, tasks = groups.gain, " and ".join(groups.tasks)
    done = "averaged" if groups.averaged else "not averaged"
    say(f"  {tasks} {done} over similar photos: macro-F1 {number(groups.alone)} without averaging")
    say(f"  {_gain(groups)}")
    if groups.expected is not None and groups.low is not None:
        expected = f"gain {groups.expected:+.4f}, 95 % interval from {groups.low:+.4f}"
        say(f"  expected among {groups.photos:,} new photos: {expected}")
    if not groups.averaged:
        say(f"  {_doubt(groups)}; every photo is scored and predicted alone")
    elif gain and gain.low <= 0:  # of an earlier version
        say(f"  {NO_GAIN}; train without predict.groups=look")
    if groups.pair_precision is not None and groups.pair_recall is not None:
        say(f"  pair precision {groups.pair_precision:.4f}, pair recall {groups.pair_recall:.4f}")
    if among := groups.precision_among:
        each = ", ".join(f"{value:.4f} among {int(photos):,}" for photos, value in among.items())
        say(f"  expected pair precision: {each} photos")


def _gain(groups: GroupGain) -> str:
    gain = groups.gain
    if gain is None:
        return "gain not known"
    interval = f"95 % interval {span(gain.low, gain.high, sign=True)}"
    if groups.cut is None or groups.whole is None:
        return f"gain {gain.value:+.4f}, {interval}"
    ways = f"groups inside one fold {groups.cut.value:+.4f}, groups over all folds {groups.whole.value:+.4f}"
    return f"gain measured in two ways: {ways}; the smaller is used, {interval}"


def _doubt(groups: GroupGain) -> str:
    """Write why photos are not averaged."""
    if groups.expected is None:
        return "no gain can be measured on the out-of-fold rows"
    if groups.expected <= 0:
        return f"among {groups.photos:,} new photos no gain is expected"
    return f"among {groups.photos:,} new photos the gain is not certain (the interval includes 0)"
