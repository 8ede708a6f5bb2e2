"""What `maskcls group` returns and prints: groups of similar photos, and the gain of averaging them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference
from maskcls.results.people.averaging import PhotoWeights
from maskcls.results.people.clustering import PairQuality
from maskcls.results.people.expected_gain import ExpectedGain
from maskcls.results.people.group_file import Groups, GroupSources
from maskcls.runs.group_averaging import CheckedRows
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import NO_GAIN, number_of, percent, plural, say, span


@dataclass(frozen=True)
class GroupingGain:
    """What averaging within groups does to a run's out-of-fold rows, with groups and weights from other people.

    tasks      what is averaged within a group.
    plain      macro-F1 of the rows unchanged; `equal`: averaged, all photos with the same weight; `weighted`: with a
               weight per class of the other tasks; `ceiling`: plain means over the true people.
    log_loss   of the joint classes: unchanged, averaged with equal weights, averaged with fitted weights.
    gain       of the better of the two averages by log loss, over plain; the smaller of `cut` and `whole`, with groups
               cut at the folds and with whole ones. equal, weighted and log_loss are of the way in which fitted
               weights gain less.
    expected   the gain among the photos that were grouped, and `low`, the lower end of its interval.
    weights    fitted on all of the run's rows; None where equal weights have the lower log loss.
    """

    run: str
    tasks: tuple[str, ...]
    rows: int
    plain: float
    equal: float
    weighted: float
    ceiling: float
    log_loss: tuple[float, float, float]
    gain: Difference
    cut: Difference
    whole: Difference
    expected: float
    low: float
    weights: PhotoWeights | None

    @property
    def proven(self) -> bool:
        """Whether the whole interval of the expected gain lies above 0."""
        return ExpectedGain(self.expected, self.low).proven

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "worth_it": self.proven}


@dataclass(frozen=True, eq=False)
class GroupResult:
    """What `group` found. ids, group_N: of the photos that were to be grouped; `most`: photos of a train person.

    output   the CSV that was written, or None.
    quality  of train people, grouped by what was learned from others.
    expected_precision  pair precision to expect of group_N.
    gain     the gain for a run, where one was given.
    sources  versions and hashes behind it.
    noun     what the groups of the train photos are called.
    """

    ids: Sequence[str]
    group_N: Ints
    most: int
    output: Path | None
    quality: PairQuality
    expected_precision: float
    gain: GroupingGain | None
    sources: GroupSources
    noun: Noun = PEOPLE

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        photos = {"photos": len(self.ids), "groups": len(np.unique(self.group_N)), "most": self.most}
        held = {"held_out": self.quality.to_json(), "expected_precision": self.expected_precision}
        return photos | held | {"worth": self.gain and self.gain.to_json()} | self.sources.to_json()


def print_group(found: GroupResult, *, json: bool = False) -> None:
    """Print the number and size of the groups, how reliable they are, and the gain for a run."""
    if json:
        print_json({"file": str(found.output) if found.output else None, **found.to_json()})
        return
    groups, held = len(np.unique(found.group_N)), found.quality
    sizes = f"{len(found.ids) / groups:.2f} photos per group, {found.most} at most"
    start = f"{found.output}  " if found.output else ""
    say(f"{start}{plural(len(found.ids), 'photo')} in {plural(groups, 'group')}, {sizes}")
    people = number_of(held.people, (f"train {found.noun[0]}", f"train {found.noun[1]}"))
    say(f"tested on {people}, learned from one half, grouping the other:")
    pairs = f"pair precision {held.precision:.4f}   pair recall {held.recall:.4f}"
    say(f"  {pairs}   {held.mean_size:.2f} photos per group")
    say(f"  expected among {plural(len(found.ids), 'photo')}: pair precision {found.expected_precision:.4f}")
    if found.gain:
        _say_gain(found.gain, found.noun)


def _say_gain(found: GroupingGain, noun: Noun) -> None:
    gain, tasks = found.gain, " and ".join(found.tasks)
    say(f"out-of-fold rows of {found.run}, {plural(found.rows, 'photo')}, {tasks} averaged within groups:")
    ways = ("not averaged", "equal weights", "fitted weights")
    for way, f1, loss in zip(ways, (found.plain, found.equal, found.weighted), found.log_loss, strict=True):
        say(f"  {way:<15} macro-F1 {f1:.4f}   log loss {loss:.4f}")
    say(f"  {f'true {noun[1]}':<15} macro-F1 {found.ceiling:.4f}   (upper limit: needs known {noun[1]})")
    if found.weights:
        say("  fitted weights: " + ", ".join(f"{name} {value:.2f}" for name, value in found.weights.items()))
    both = f"groups inside one fold {found.cut.value:+.4f}, groups over all folds {found.whole.value:+.4f}"
    interval = f"{percent(gain.level)} interval {span(gain.low, gain.high, sign=True)}"
    say(f"  gain measured in two ways: {both}; the smaller is used, {interval}")
    say(f"  expected among these photos: gain {found.expected:+.4f}, 95 % interval from {found.low:+.4f}")
    say("averaging helps: predict with --groups" if found.proven else NO_GAIN)


def about_rows(checked: CheckedRows) -> str:
    """Return one line on whether out-of-fold rows, and so the photos, are averaged within groups, and why."""
    if checked.expected is None:
        return "photos are not averaged in groups: no gain can be measured on the out-of-fold rows"
    gain = f"expected gain {checked.expected.value:+.4f}, 95 % interval from {checked.expected.low:+.4f}"
    return (
        f"photos are averaged in groups: {gain}" if checked.averaged else f"photos are not averaged in groups: {gain}"
    )


def doubt_about(path: Path, groups: Groups) -> str | None:
    """Return one line where a file of groups is used without a proven gain; None where there is one."""
    if groups.proven:
        return None
    why = "no gain was measured (maskcls group --run RUN)" if groups.proven is None else NO_GAIN
    return f"photos are averaged in the groups of {path} as asked: {why}"
