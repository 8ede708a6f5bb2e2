"""The page of `maskcls debug`: every check with its meaning, tables, and learning curves as figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from maskcls.groupnouns import Noun
from maskcls.results.diagnosis.finding import Finding, purpose
from maskcls.results.diagnosis.learning_curve import Curve
from maskcls.results.diagnosis.scored import Diagnosis
from maskcls.show.debug import (
    PART_HEAD,
    conclusion,
    curve_head,
    curve_rows,
    model_head,
    model_rows,
    part_rows,
    with_interval,
)
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.page import render_page, write_page
from maskcls.show.pages.table import Table

WORDS = {"pass": "Pass:", "fail": "Fail:", "unknown": "Cannot be told:"}


def write_debug_page(path: Path, found: Sequence[Diagnosis], about: str, *, force: bool) -> None:
    """Write the page; raises as `write_page`."""
    networks = [_network(one, place) for place, one in enumerate(found)]
    write_page(path, render_page("debug", title=f"Checks of {about}", networks=networks), force=force)


def _network(found: Diagnosis, place: int) -> dict[str, Any]:
    return {
        "title": f"Network of {found.network}" if found.network else "Checks",
        "conclusion": conclusion(found),
        "checks": [_check(one, found.noun) for one in found.findings],
        "tables": list(_tables(found)),
        "figures": [_curve_figure(curve, place, found.noun) for curve in found.curves],
    }


def _check(one: Finding, noun: Noun) -> dict[str, Any]:
    about = purpose(one.check, noun)
    return {
        "name": one.check,
        "verdict": one.verdict,
        "word": WORDS[one.verdict],
        "found": one.found,
        "cause": one.cause,
        "next": one.next,
        "meaning": about.meaning,
        "causes": "; ".join(about.causes),
    }


def _tables(found: Diagnosis) -> list[Table]:
    tables = []
    if found.models:
        caption = "The network beside simple models"
        tables.append(Table(model_head(found.models, found.noun), model_rows(found.models), caption))
    if found.parts:
        tables.append(
            Table(
                PART_HEAD,
                part_rows(found.parts, with_interval),
                f"The error in parts, with 95 % intervals over {found.noun[1]}",
            )
        )
    return tables


def _curve_figure(curve: Curve, place: int, noun: Noun) -> Figure:
    scores, many = [1 - error for error in curve.error], noun[1]
    text = (
        f"Macro-F1 of held-out {many} by the number of training {many}, from {scores[0]:.2f} to {scores[-1]:.2f};"
        f" with {curve.twice.people} {many} {scores[-1] + curve.twice.gain:.2f} is projected."
        " The last point is a projection with its 95 % interval."
    )
    title = f"Learning curve: {curve.name}"
    table = Table(curve_head(noun), curve_rows([curve]))
    return Figure(
        f"curve-{place}-{_slug(curve.name)}", title, text, table, partial(_paint_curve, curve=curve, many=many)
    )


def _paint_curve(axes: Any, *, curve: Curve, many: str) -> None:
    scores, twice = [1 - error for error in curve.error], curve.twice
    now = scores[-1]
    axes.plot(curve.people, scores, marker="o", label="measured")
    ends = [[max(0.0, twice.gain - twice.low)], [max(0.0, twice.high - twice.gain)]]
    axes.errorbar([twice.people], [now + twice.gain], yerr=ends, fmt="s", capsize=4, label="projected")
    axes.set_xscale("log", base=2)
    ticks = [*curve.people, twice.people]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(0, 1)
    axes.set_xlabel(f"training {many}")
    axes.set_ylabel("macro-F1")
    axes.legend(loc="lower right")


def _slug(name: str) -> str:
    """Return a name of lower-case letters, digits and hyphens.

    >>> _slug("Age band")
    'age-band'
    """
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())
