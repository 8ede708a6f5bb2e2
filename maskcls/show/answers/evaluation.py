"""What `maskcls evaluate` prints: a headline, and tables that fit 80 columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from maskcls.errors import visible
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.results.scores.evaluation import Confusion, Evaluation
from maskcls.results.scores.metrics import ClassScore, Score, Scores
from maskcls.results.scores.ranking import Ranking, Rankings
from maskcls.results.scores.slices import Mistake, Recall, Slice, worst
from maskcls.show.answers.screenful import folds_line, lines_below, task_rows
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import KAPPA, new_people, number, number_of, percent, plain_table, show, span, whose

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

Section = Literal["short", "all", "scores", "confusion", "slices", "people"]

FREQUENT = 20  # mistakes shown


def render_evaluation(found: Evaluation, section: str) -> RenderableType:
    """Return the headline and one section: scores, confusion, slices or people; all; or short, a screenful."""
    if section == "short":
        return _short(found)
    sections = {
        "scores": lambda: _scores(found.scores, found.rankings),
        "confusion": lambda: _confusion(found, FREQUENT),
        "slices": lambda: _all_slices(found),
        "people": lambda: _people(found),
    }
    chosen = list(sections) if section == "all" else [section]
    return _spaced([_headline(found.scores), *_details(found)], [part for name in chosen for part in sections[name]()])


def _short(found: Evaluation) -> RenderableType:
    from rich.console import Group

    table, left_out = task_rows(found)
    return Group(_headline(found.scores), *_details(found), "", table, "", *lines_below(found, left_out))


def print_evaluation(found: Evaluation, section: Section = "short", *, json: bool = False) -> None:
    """Print the headline and one section, or with `json` everything."""
    if json:
        print_json(found.to_json())
    else:
        show(render_evaluation(found, section))


def print_scores(scores: Scores) -> None:
    """Print scores alone: the headline, the tasks and the joint classes."""
    show(render_scores(scores))


def render_scores(scores: Scores) -> RenderableType:
    """Return the headline, a table of the tasks with their classes, and a table of the joint classes."""
    return _spaced([_headline(scores)], _scores(scores, None))


def _spaced(lines: Sequence[str], parts: Sequence[RenderableType]) -> Group:
    from rich.console import Group

    return Group(*lines, *(item for part in parts for item in ("", part)))


def _headline(scores: Scores) -> str:
    joint = scores.joint
    return (
        f"macro-F1 {number(joint.macro_f1)}   accuracy {number(joint.accuracy)}   {joint.rows:,} images   "
        f"{joint.classes_scored} of {len(joint.classes)} classes scored"
    )


def _details(found: Evaluation) -> list[str]:
    """Return the lines below the headline: the interval, the folds, the probabilities; those there are."""
    lines = []
    if found.interval:
        who = "images" if found.people is None else number_of(found.people, found.noun)
        ends = span(found.interval.low, found.interval.high)
        lines.append(f"{percent(found.interval.level)} interval {ends}, from {who}")
    if found.prediction:
        of = "images" if found.people is None else found.noun[1]
        lines.append(new_people(found.prediction, of))
    if found.interval and found.people is None and found.noun == PEOPLE:
        lines.append("(too narrow if people have several images: give answers with a column person)")
    if found.adapted:
        lines.append(f"of networks that were adapted to these photos: predict.adapt={', '.join(found.adapted)}")
    if found.folds:
        lines.append(folds_line([(str(k), one.macro_f1) for k, one in found.folds.items()]))
    if found.rankings and found.qualities:
        quality = found.qualities.joint
        lines.append(
            f"ROC-AUC {number(found.rankings.joint.macro_auc)}   log loss {number(quality.log_loss)}   "
            f"calibration error {number(quality.ece)}"
        )
    return lines


def _scores(scores: Scores, rankings: Rankings | None) -> list[RenderableType]:
    return [_task_table(scores, rankings), _joint_table(scores.joint, rankings.joint if rankings else None)]


def _task_table(scores: Scores, rankings: Rankings | None) -> Table:
    table = plain_table("task", "F1", "precision", "recall", "accuracy", "images", *(["AUC"] if rankings else []))
    for name, of_task in scores.tasks.items():
        ranking = rankings.tasks[name] if rankings else None
        mean = [number(of_task.macro_f1), "", "", number(of_task.accuracy), f"{of_task.rows:,}"]
        table.add_row(visible(name), *mean, *([number(ranking.macro_auc)] if ranking else []), style="bold")
        for one, auc in zip(of_task.classes, _aucs(ranking, len(of_task.classes)), strict=True):
            f1, precision, recall, images, _ = class_cells(one)
            table.add_row("  " + visible(one.name), f1, precision, recall, "", images, *auc)
    return table


def _joint_table(joint: Score, ranking: Ranking | None) -> Table:
    names = ["F1", "precision", "recall", "images", "predicted", *(["AUC"] if ranking else [])]
    table = plain_table("joint class", *names)
    for label, (one, auc) in enumerate(zip(joint.classes, _aucs(ranking, len(joint.classes)), strict=True)):
        table.add_row(f"{label:>2}  {visible(one.name)}", *class_cells(one), *auc)
    return table


def _aucs(ranking: Ranking | None, classes: int) -> list[list[str]]:
    return [[number(value)] for value in ranking.auc_by_class] if ranking else [[]] * classes


def _confusion(found: Evaluation, count: int) -> list[RenderableType]:
    from rich.columns import Columns
    from rich.console import Group

    kappas = "   ".join(f"{visible(name)} {number(one.kappa)}" for name, one in found.confusion.items())
    note = f"Rows: truth. Columns: prediction. Images, and their share of the row.\nCohen's kappa  {kappas}\n{KAPPA}"
    matrices = Columns([_matrix(name, one) for name, one in found.confusion.items()], padding=(0, 4))
    return [Group(note, "", matrices), *([_mistake_table(found.mistakes[:count])] if found.mistakes else [])]


def _matrix(name: str, one: Confusion) -> Table:
    table = plain_table(visible(name), *map(visible, one.classes), width=0)
    for known, counts, shares in zip(one.classes, one.counts_CC.tolist(), one.shares, strict=True):
        cells = zip(counts, shares, strict=True)
        table.add_row(visible(known), *(f"{rows:,} {_narrow(share)}" for rows, share in cells))
    return table


def _mistake_table(mistakes: Sequence[Mistake]) -> Table:
    table = plain_table("most frequent mistakes")
    table.add_column("predicted as", overflow="fold", min_width=20)
    for name in ("images", "share of class"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in mistakes:
        table.add_row(visible(one.true), visible(one.predicted), f"{one.rows:,}", number(one.share))
    return table


def _all_slices(found: Evaluation) -> list[RenderableType]:
    others = [_others_table(name, slices) for name, slices in found.by_others.items() if len(found.by_others) > 1]
    tables = [
        _slice_table(name, part, found.noun)
        for name, part in (("true class", found.by_class), ("joint class", found.by_joint))
    ]
    (lowest,) = worst(found.by_joint) or [None]
    line = [f"lowest: {visible(lowest.name)}, {number(lowest.accuracy)} of {lowest.rows:,} images"] if lowest else []
    return [*tables, *line, *others, *_band_tables(found)]


def _slice_table(first: str, slices: Sequence[Slice], noun: Noun) -> Table:
    known, tasks = any(one.people is not None for one in slices), list(slices[0].tasks) if slices else []
    columns = ["images", *([noun[1]] if known else []), "correct", "95 %"]
    table = plain_table(first, *columns, *map(visible, tasks))
    for one in slices:
        ends = f"{one.interval.low:.2f}-{one.interval.high:.2f}" if one.interval else "-"
        shares = [number(one.accuracy), ends, *(number(value, 3) for value in one.tasks.values())]
        table.add_row(visible(one.name), f"{one.rows:,}", *([f"{one.people:,}"] if known else []), *shares)
    return table


def _others_table(name: str, slices: Sequence[Slice]) -> Table:
    table = plain_table(f"{visible(name)} within", "images", "accuracy")
    for one in slices:
        table.add_row(visible(one.name), f"{one.rows:,}", number(one.tasks[name]))
    return table


def _band_tables(found: Evaluation) -> list[Table]:
    return [_band_table(name, recalls, found.noun) for name, recalls in found.last_band.items()]


def _band_table(name: str, found: Sequence[Recall], noun: Noun) -> Table:
    known = any(one.people is not None for one in found)
    title = f"{visible(name)} {visible(found[0].label)} within"
    table = plain_table(title, "images", *([noun[1]] if known else []), "recall")
    table.add_column("predicted as", overflow="fold")
    for one in found:
        taken = ", ".join(f"{visible(other)} {rows:,}" for other, rows in one.mistaken.items())
        people = [f"{one.people:,}"] if known else []
        table.add_row(visible(one.name), f"{one.rows:,}", *people, number(one.recall), taken)
    return table


def _people(found: Evaluation) -> list[RenderableType]:
    from rich.console import Group

    one = found.consistency
    if one is None:
        return []
    table = plain_table(number_of(one.people, found.noun), "equal pairs of photos", "all photos equal")
    rows = {**one.tasks, **({"all tasks": one.together} if len(one.tasks) > 1 else {})}
    for name, agreement in rows.items():
        table.add_row(visible(name), number(agreement.pairs), number(agreement.whole))
    gain = one.averaged.macro_f1 - found.scores.macro_f1
    note = (
        f"Averaged over each {found.noun[0]}'s photos: macro-F1 {number(one.averaged.macro_f1)} ({gain:+.4f}), "
        f"an upper limit: it needs to know {whose(found.noun)}."
    )
    return [Group(table, note)]


def class_cells(one: ClassScore) -> list[str]:
    """Return F1, precision, recall, images, predicted; a dash where a share has nothing to divide by."""
    precision = number(one.precision if one.predicted else math.nan)
    recall = number(one.recall if one.support else math.nan)
    f1 = number(one.f1 if one.predicted or one.support else math.nan)
    return [f1, precision, recall, f"{one.support:,}", f"{one.predicted:,}"]


def _narrow(value: float) -> str:
    return "    -" if math.isnan(value) else f"{value:.3f}"
