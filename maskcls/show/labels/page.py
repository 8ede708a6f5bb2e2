"""The page of `maskcls data labels`: one case after the other, decided with keys, exported as `fixes.csv`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls.data.layouts.fixes import COLUMNS, FixRow
from maskcls.runs.integrity.photos_now import changed_in_words, unreadable_in_words
from maskcls.runs.labels.cases import Case
from maskcls.runs.labels.rows import LabelRows
from maskcls.show.labels.doctor import KIND, suspicion_text
from maskcls.show.pages.page import render_page
from maskcls.show.pages.photos import PagePhoto, photo_or_placeholder, shown_name

MOST_PHOTOS = 12  # per case
PHOTO_PX = 200


@dataclass(frozen=True)
class ShownCase:
    """A case as the template shows it.

    kind, suspicion  as text.
    photos           with the given class of each; left_out: how many more there are.
    """

    case: Case
    kind: str
    suspicion: str
    photos: Sequence[tuple[PagePhoto, str]]
    left_out: int


def shown_photos(cases: Sequence[Case], rows: LabelRows) -> dict[str, str]:
    """Return {id: path relative to the photo root} of the photos that the page shows."""
    path = dict(zip(rows.ids, rows.path_N, strict=True))
    return {id: path[id] for case in cases for id in case.ids[:MOST_PHOTOS]}


def label_page(
    cases: Sequence[Case],
    rows: LabelRows,
    page: Path,
    *,
    embed: bool,
    changed: tuple[str, ...] = (),
    unreadable: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML of the page that is written to `page`.

    embed    put small copies of the photos into the page; else it has links to the files.
    changed  ids of the photos that changed since the training.
    unreadable  {id: why it cannot be read} of photos to embed.
    """
    number = {id: row for row, id in enumerate(rows.ids)}

    def shown(case: Case) -> ShownCase:
        task = rows.space.task(case.task)
        photos = []
        for id in case.ids[:MOST_PHOTOS]:
            row = number[id]
            given = int(rows.given[case.task][row])
            name = shown_name(id, changed)
            taken = photo_or_placeholder(rows.root / rows.path_N[row], name, page=page, embed=embed, px=PHOTO_PX)
            photos.append((taken, task.classes[given]))
        return ShownCase(
            case, KIND[case.kind], suspicion_text(case.suspicion), photos, max(0, len(case.ids) - MOST_PHOTOS)
        )

    return render_page(
        "labels",
        title="Label doctor",
        script="labels",
        data=page_data(cases, rows.earlier),
        cases=list(map(shown, cases)),
        earlier=len(rows.earlier),
        changed=changed_in_words(changed) if changed else "",
        unreadable=unreadable_in_words(unreadable) if unreadable else "",
    )


def page_data(cases: Sequence[Case], earlier: Sequence[FixRow]) -> dict[str, object]:
    """Return what the script needs; `key` names the progress in the browser, and changes with the cases."""
    plain = [
        {
            "name": f"{case.person}, {case.task}",
            "choices": [{"name": choice.name, "rows": list(map(list, choice.rows))} for choice in case.choices],
            "proposed": case.proposed,
        }
        for case in cases
    ]
    key = "maskcls-labels-" + hashlib.sha256(repr((plain, list(earlier))).encode()).hexdigest()[:16]
    return {"key": key, "columns": list(COLUMNS), "cases": plain, "earlier": [list(row) for row in earlier]}
