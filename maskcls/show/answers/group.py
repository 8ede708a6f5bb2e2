"""What `maskcls group` returns and prints: groups of photos that look alike, and the gain of averaging them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference
from maskcls.results.people.averaging import PhotoWeights
from maskcls.results.people.clustering import PairQuality
from maskcls.results.people.group_file import GroupSources
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import NO_GAIN, percent, plural, say, span


@dataclass(frozen=True)
class GroupingGain:
    """What averaging within groups does to a run's out-of-fold rows, with groups and weights from other people.

    tasks      what is averaged within a group.
    plain      macro-F1 of the rows unchanged; `equal`: averaged, all photos with the same weight; `weighted`: with a
               weight per class of the other tasks; `ceiling`: plain means over the true people.
    log_loss   of the joint classes: unchanged, averaged with equal weights, averaged with fitted weights.
    gain       of the better of the two averages by log loss, over plain.
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
    weights: PhotoWeights | None

    @property
    def proven(self) -> bool:
        """Whether the whole interval of the gain lies above 0."""
        return self.gain.low > 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "worth_it": self.proven}


@dataclass(frozen=True, eq=False)
class GroupResult:
    """What `group` found. ids, group_N: of the photos that were to be grouped; `most`: photos of a train person.

    output   the CSV that was written, or None.
    quality  of train people, grouped by what was learned from others.
    gain     the gain for a run, where one was given.
    sources  versions and hashes behind it.
    """

    ids: Sequence[str]
    group_N: Ints
    most: int
    output: Path | None
    quality: PairQuality
    gain: GroupingGain | None
    sources: GroupSources

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        photos = {"photos": len(self.ids), "groups": len(np.unique(self.group_N)), "most": self.most}
        scores = {"held_out": self.quality.to_json(), "worth": self.gain and self.gain.to_json()}
        return photos | scores | self.sources.to_json()


def print_group(found: GroupResult, *, json: bool = False) -> None:
    """Print the number and size of the groups, how reliable they are, and the gain for a run."""
    if json:
        print_json({"file": str(found.output) if found.output else None, **found.to_json()})
        return
    groups, held = len(np.unique(found.group_N)), found.quality
    sizes = f"{len(found.ids) / groups:.2f} photos per group, {found.most} at most"
    start = f"{found.output}  " if found.output else ""
    say(f"{start}{plural(len(found.ids), 'photo')} in {plural(groups, 'group')}, {sizes}")
    people = plural(held.people, "train person")
    say(f"tested on {people}, learned from one half, grouping the other:")
    say(f"  pair precision {held.precision:.4f}   pair recall {held.recall:.4f}   ", end="")
    say(f"{held.mean_size:.2f} photos per group")
    if found.gain:
        _say_gain(found.gain)


def _say_gain(found: GroupingGain) -> None:
    gain, tasks = found.gain, " and ".join(found.tasks)
    say(f"out-of-fold rows of {found.run}, {plural(found.rows, 'photo')}, {tasks} averaged within groups:")
    ways = ("not averaged", "equal weights", "fitted weights")
    for way, f1, loss in zip(ways, (found.plain, found.equal, found.weighted), found.log_loss, strict=True):
        say(f"  {way:<15} macro-F1 {f1:.4f}   log loss {loss:.4f}")
    say(f"  {'true people':<15} macro-F1 {found.ceiling:.4f}   (upper limit: needs known people)")
    if found.weights:
        say("  fitted weights: " + ", ".join(f"{name} {value:.2f}" for name, value in found.weights.items()))
    say(f"  gain {gain.value:+.4f}, {percent(gain.level)} interval {span(gain.low, gain.high, sign=True)}")
    say("averaging helps: predict with --groups" if found.proven else NO_GAIN)
