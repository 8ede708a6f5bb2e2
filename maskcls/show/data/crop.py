"""What `maskcls data crop` returns and prints: how photos were cropped, and which centre crop would do the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from maskcls.data.photos import crops
from maskcls.data.photos.crops import Box, Size, Window
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plural, say

How = Literal["detector", "fallback", "fixed"]

LIST = "crops.csv"
NAMED = 3  # photos without a face that are named


@dataclass(frozen=True)
class Cropped:
    """What became of one photo; size: of the whole one; score: the detector's, or None."""

    path: str
    how: How
    score: float | None
    box: Box
    size: Size


@dataclass(frozen=True)
class Copy:
    """What was written to the folder `out`: train photos first, then the others, and the window used or learned.

    held    share of the faces found in train photos that lie wholly inside the window; None when none was looked for.
    margin, aspect  of the crops, as in `Recipe`.
    """

    out: Path
    rows: tuple[Cropped, ...]
    train: int
    window: Window | None
    held: float | None
    margin: float
    aspect: tuple[int, int]

    @property
    def counts(self) -> Counter[str]:
        """Photos by how they were cropped."""
        return Counter(row.how for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        counts = {how: self.counts[how] for how in get_args(How)}
        about = {"folder": str(self.out), "photos": len(self.rows), "train": self.train, "counts": counts}
        window = self.window.to_json() if self.window else None
        return about | {"without_face": self.without_face, "window": window, "held": self.held}

    @property
    def without_face(self) -> list[str]:
        """Paths of the photos in which no face was found."""
        return [row.path for row in self.rows if row.how == "fallback"]


def print_copy(copy: Copy, *, json: bool = False) -> None:
    """Print what was written, in which photos no face was found, and which centre crop would do instead of a copy."""
    if json:
        print_json(copy.to_json())
        return
    counts, out = copy.counts, copy.out
    rest = len(copy.rows) - copy.train
    say(
        f"{out}  {plural(len(copy.rows), 'photo')}"
        + (f", {copy.train:,} of them train photos" if copy.train and rest else "")
    )
    if counts["detector"]:
        say(f"  {counts['detector']:,} cropped at their own face")
    if counts["fixed"]:
        say(f"  {counts['fixed']:,} cropped at the window")
    if missed := copy.without_face:
        named = ", ".join(missed[:NAMED]) + (", …" if len(missed) > NAMED else "")
        where = (
            "at the window" if copy.window else "at the centre, as no train photo showed where faces are (see --like)"
        )
        say(f"  {len(missed):,} without a face, cropped {where}: {named}; {out / LIST} lists them")
    if copy.window:
        _say_window(copy, copy.window)
    say("  train and predict on copies with transforms.crop=[1,1]; crop the photos to predict like the train photos")


def _say_window(copy: Copy, window: Window) -> None:
    w, (x, y, wide, tall) = window, window.spread
    at = f"centre x {w.x:.3f} ± {x:.3f}, y {w.y:.3f} ± {y:.3f}"
    measured = f"of {w.faces:,} faces" if w.faces else "usual in portraits, not measured in these photos"
    say(f"  window: {at}, width {w.width:.3f} ± {wide:.3f}, height {w.height:.3f} ± {tall:.3f}, {measured}")
    if copy.held is not None:
        say(f"  a share of {copy.held:.3f} of the faces lies wholly inside the crop at the window")
    size = Counter(row.size for row in copy.rows).most_common(1)[0][0]
    height, width = copy.aspect
    box = crops.widen(window.face(size), margin=copy.margin, aspect=height / width, size=size)
    shares = crops.centred_shares(box, size)
    say(f"  without a copy: transforms.crop=[{shares[0]:g},{shares[1]:g}] contains it in {size[0]} x {size[1]} photos")
