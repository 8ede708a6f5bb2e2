"""What the log of a generator's training says: faults by name, with advice.

Every rule looks at the last third of the log, because the first steps of every generator look like faults.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

FEWEST_LINES = 6  # of a log in which a trend can be seen
LOW_DIVERSITY = 0.35  # of the distances among photos; samples of a good generator come near 1
RISING = 1.5  # times the level of the second third, where diversity still grows
STRONG = 0.95  # share of images that a discriminator tells right, at which little is left to learn from it
GROWN = 20.0  # times the level of the first third, where a gradient or a loss has no level any more

Line = Mapping[str, float]
ImageKind = Literal["dcgan", "wgan-gp", "cyclegan"]


@dataclass(frozen=True)
class Advice:
    """What to do about a collapse, about a discriminator that is too strong, and about a divergence."""

    collapse: str
    strong: str
    divergence: str


_GENTLER = "all parts of synth.augment, a lower synth.lr_generator, or a larger synth.batch_size"
_SLOWER = "lower synth.lr_generator and synth.lr_critic"
ADVICE: Mapping[ImageKind, Advice] = {
    "dcgan": Advice(
        f"use synth.kind=wgan-gp, whose loss does not reward a single image; or {_GENTLER}",
        "weaken it: all parts of synth.augment, synth.instance_noise=0.1, synth.dropout=0.3, synth.label_flips=0.05, or"
        " a lower synth.lr_critic; or use synth.kind=wgan-gp",
        _SLOWER,
    ),
    "wgan-gp": Advice(
        f"use {_GENTLER}",
        "use all parts of synth.augment, or a lower synth.lr_critic",
        f"{_SLOWER}; or use a larger synth.penalty or more synth.critic_steps",
    ),
    "cyclegan": Advice(
        f"use {_GENTLER}",
        "weaken it: all parts of synth.augment, a larger synth.pool, or a lower synth.lr_critic",
        _SLOWER,
    ),
}


@dataclass(frozen=True)
class WatchFinding:
    """A fault in a training. name: mode-collapse, too-short, strong-discriminator or divergence; what: in numbers."""

    name: str
    what: str
    advice: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def image_kind(kind: str) -> ImageKind:
    """Return the kind of a generator of images as a type; ValueError for another kind."""
    match kind:
        case "dcgan" | "wgan-gp" | "cyclegan":
            return kind
        case _:
            raise ValueError(f"{kind} makes no images")


def watch_findings(lines: Sequence[Line], kind: ImageKind) -> list[WatchFinding]:
    """Return the faults of a training, from the lines of its log; none for a log of fewer than six lines.

    kind  of the generator: the advice names settings of this kind alone.

    A number belongs to a rule by how its name begins: `diversity`, `accuracy`, `gradient` or `loss`, so that kinds with
    several generators are examined too. A name that the lines lack says nothing.
    """
    if len(lines) < FEWEST_LINES:
        return []
    names = sorted({name for line in lines for name in line})
    series = {name: [line[name] for line in lines if name in line] for name in names}
    found = [rule for name, values in series.items() for rule in _of_series(name, values, ADVICE[kind])]
    first: dict[str, WatchFinding] = {}
    for finding in found:  # several numbers may show one fault
        first.setdefault(finding.name, finding)
    return list(first.values())


def _of_series(name: str, values: Sequence[float], advice: Advice) -> list[WatchFinding]:
    third = max(1, len(values) // 3)
    early, late = statistics.median(values[:third]), statistics.median(values[-third:])
    if name.startswith("diversity") and late < LOW_DIVERSITY:
        if late > RISING * statistics.median(values[third:-third] or values[:third]):
            return [
                WatchFinding(
                    "too-short",
                    f"samples differ from each other by {late:.0%} of what photos of the same labels differ by, which"
                    f" is more than before ({name})",
                    "train longer: more synth.steps",
                )
            ]
        return [
            WatchFinding(
                "mode-collapse",
                f"samples differ from each other by {late:.0%} of what photos of the same labels differ by ({name})",
                advice.collapse,
            )
        ]
    if name.startswith("accuracy") and late >= STRONG:
        return [
            WatchFinding(
                "strong-discriminator",
                f"the discriminator is right about {late:.0%} of the images, so the generator gets little gradient"
                f" ({name})",
                advice.strong,
            )
        ]
    if name.startswith(("gradient", "loss")):
        level = statistics.median(map(abs, values[:third]))
        now = statistics.median(map(abs, values[-third:]))
        if now > GROWN * max(level, 1.0):
            return [
                WatchFinding(
                    "divergence",
                    f"{name} grew from {early:.3g} to {late:.3g}",
                    advice.divergence,
                )
            ]
    return []
