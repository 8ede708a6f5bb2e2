"""What `maskcls runs compare` prints: which of two answers is better, or how far they agree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from maskcls.errors import visible
from maskcls.groupnouns import PHOTOS
from maskcls.labels import UNKNOWN
from maskcls.results.comparison.rows import JOINT
from maskcls.results.comparison.scores import Comparison, ScoreComparison, to_json
from maskcls.show.answers.tried import NOT_COUNTED
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import KAPPA, number, number_of, plain_table, plural, say, show, span

SHOWN_IDS = 3
SHOWN_CHANGES = 12
NOT_PROVEN = "no proven difference"
# The kinds of changed rows, as printed; the keys are those of --json.
KINDS = {"fixed": "only b right", "broken": "only a right", "still wrong": "both wrong", "unknown": "label unknown"}


def print_comparison(found: Comparison, changed: Path | None, *, json: bool = False) -> None:
    """Print how two answers compare, and the file of the rows on which they differ, where one was written."""
    if json:
        print_json(to_json(found))
        return
    show(render_comparison(found))
    if changed is not None:
        say(f"\n{changed}  {plural(found.changed.count, 'row')}")


def render_comparison(found: Comparison) -> RenderableType:
    """Return the heading, the verdict or the agreement, the rows that changed, and the settings that differ."""
    parts: list[RenderableType] = list(_heading(found))
    if found.verdict:
        parts += ["", *_verdict(found, found.verdict), "", _task_table(found, found.verdict), KAPPA]
    else:
        parts += ["", "no labels are known: agreement only", "", _agreement_table(found), KAPPA]
    parts += ["", *_changed(found)]
    if not found.verdict and found.moves:
        parts += ["", _moves_table(found)]
    if found.settings:
        parts += ["", _settings_table(found)]
    return Group(*parts)


def _heading(found: Comparison) -> Iterator[RenderableType]:
    for letter, name in zip("ab", found.names, strict=True):
        yield Text(f"{letter}  {visible(name)}", overflow="fold")
    rows, (only_a, only_b) = found.rows, found.rows.left_out
    counted = rows.people is not None and found.noun != PHOTOS
    of = f" of {len(set(rows.people or ())):,} {found.noun[1]}" if counted else ""
    yield Text(f"{len(rows.ids):,} rows{of}", overflow="fold")
    if only_a or only_b:
        yield Text(f"left out, only in one of the two: {only_a:,} rows of a, {only_b:,} rows of b", "yellow")
    unscored = int((rows.joint == UNKNOWN).sum())
    if found.verdict and unscored:
        yield Text(f"{unscored:,} rows have unknown labels; they count in the tasks whose label is known", "yellow")


def _verdict(found: Comparison, verdict: ScoreComparison) -> Iterator[RenderableType]:
    joint = verdict.differences.get(JOINT)
    if joint is None:
        yield Text("no row has a label for every task, so there is no joint score")
        return
    by_person = found.rows.people is not None
    one, many = found.noun
    over = f"over {many}" if by_person else f"over rows (too narrow if rows show the same {one})"
    proven = found.corrected is None or found.corrected.p <= 1 - joint.level
    better = "b is better" if joint.low > 0 and proven else "a is better" if joint.high < 0 and proven else NOT_PROVEN
    yield Text(f"macro-F1  a {verdict.a.macro_f1:.4f}  b {verdict.b.macro_f1:.4f}  b - a {joint.value:+.4f}: {better}")
    yield Text(f"95 % interval {span(joint.low, joint.high, sign=True)}, {over}")
    if by_person and (new := verdict.prediction):
        ends = span(new.low, new.high, sign=True)
        yield Text(f"b - a of {new.people:,} new {many} lies within {ends} with 95 % probability")
    corrected, after, alone = found.corrected, "", ""
    if corrected and corrected.count > 1:
        after = f", {_p(corrected.p)} corrected for {corrected.count:,} comparisons on these rows (Holm)"
        alone = ", not corrected"
    yield Text(f"p {_p(joint.p)} of the difference in macro-F1{after}")
    if corrected and not proven and (joint.low > 0 or joint.high < 0):
        yield Text(f"not proven after correction for {plural(corrected.count, 'comparison')}")
    if corrected and not corrected.kept:
        yield Text(NOT_COUNTED, "yellow")
    by_row = f"p {_p(verdict.p_rows)} by row (McNemar's test{alone})"
    if verdict.people is None:
        yield Text(f"{by_row}; too small if rows show the same {one}")
        return
    signs = verdict.people
    better_for = f"b is better for {number_of(signs.for_b, found.noun)}, a for {signs.for_a:,}"
    yield Text(f"p {_p(signs.p)} by {one}: {better_for} (sign test{alone})")
    dependent = "" if found.noun == PHOTOS else f"; too small, as photos of one {one} are not independent"
    yield Text(f"{by_row}{dependent}")


def _task_table(found: Comparison, verdict: ScoreComparison) -> Table:
    table = plain_table("task", "a", "b", "b - a", "95 % interval", "agreement", "kappa")
    of_a, of_b = ({JOINT: scores.joint, **scores.tasks} for scores in (verdict.a, verdict.b))
    for name, (share, agreed) in found.agreement.items():
        one = verdict.differences.get(name)
        shown = [f"{one.value:+.4f}", span(one.low, one.high, sign=True)] if one else ["-", "-"]
        scores = [number(of_a[name].macro_f1), number(of_b[name].macro_f1)]
        table.add_row(visible(name), *scores, *shown, number(share), number(agreed))
    return table


def _agreement_table(found: Comparison) -> Table:
    table = plain_table("task", "agreement", "kappa")
    for name, (share, agreed) in found.agreement.items():
        table.add_row(visible(name), number(share), number(agreed))
    return table


def _changed(found: Comparison) -> Iterator[RenderableType]:
    rows, changed = found.rows, found.changed
    yield Text(f"{changed.count:,} of {len(rows.ids):,} rows differ, a share of {changed.count / len(rows.ids):.4f}")
    if found.verdict is None:
        return
    kinds = Table.grid(padding=(0, 0, 0, 2))
    kinds.add_column(min_width=12, overflow="fold")
    kinds.add_column(justify="right", no_wrap=True)
    kinds.add_column(overflow="fold")
    for name, kind in changed.kinds.items():
        if kind or name != "unknown":
            first = ", ".join(visible(rows.ids[row]) for row in kind[:SHOWN_IDS])
            kinds.add_row(KINDS[name], f"{len(kind):,}", first + (", …" if len(kind) > SHOWN_IDS else ""))
    yield kinds


def _moves_table(found: Comparison) -> Table:
    table = plain_table("a", "rows")
    table.add_column("b", overflow="fold")
    for a, b, count in found.moves[:SHOWN_CHANGES]:
        table.add_row(visible(a), f"{count:,}", visible(b))
    if rest := found.moves[SHOWN_CHANGES:]:
        table.add_row(f"{len(rest):,} more", f"{sum(count for _, _, count in rest):,}", "")
    return table


def _settings_table(found: Comparison) -> Table:
    table = plain_table("setting")
    for letter in "ab":
        table.add_column(letter, overflow="fold")
    for key, a, b in found.settings:
        if a == b:  # a table of the runs that is not the same: its content has no short form
            table.add_row(visible(key), f"different {key.removesuffix('.csv')}", "")
        else:
            table.add_row(*map(visible, (key, a, b)))
    return table


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"
