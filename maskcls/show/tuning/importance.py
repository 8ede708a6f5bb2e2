"""How much of the differences between the scores of a study each setting explains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskcls.show.pages import palette
from maskcls.show.pages.figure import WIDTH, Figure
from maskcls.show.pages.table import Table
from maskcls.show.tuning.value_axis import value_text, without_middle

LABEL = 34  # characters


def importance_figure(importance: Mapping[str, float]) -> Figure | None:
    """Draw the shares, the largest first; None without any. importance: {dotted setting: share, 0..1}."""
    if not importance:
        return None
    ordered = sorted(importance.items(), key=lambda one: (-one[1], one[0]))

    def paint(axes: Any) -> None:
        places = range(len(ordered))
        axes.barh(places, [share for _, share in ordered], color=palette.SERIES[0].light, height=0.65)
        axes.set_yticks(places, [without_middle(value_text(name), LABEL) for name, _ in ordered])
        axes.invert_yaxis()
        axes.set_xlim(0, max(1e-9, *(share for _, share in ordered)) * 1.12)
        axes.set_xlabel("share of the differences in score")
        axes.grid(visible=False, axis="y")
        for place, (_, share) in zip(places, ordered, strict=True):
            axes.annotate(f"{share:.2f}", (share, place), (3, 0), textcoords="offset points", va="center", fontsize=9)

    return Figure(
        "importance",
        "Share of the differences in score",
        "The share of the differences between the trials' scores that a model of the scores gives to each setting. It "
        "holds for the values that were tried, and is uncertain with few trials.",
        Table(["setting", "share"], [[value_text(name), f"{share:.3f}"] for name, share in ordered]),
        paint,
        (1.3 * WIDTH, 1.0 + 0.34 * len(ordered)),
    )
