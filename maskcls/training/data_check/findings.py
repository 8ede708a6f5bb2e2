"""Findings from what was read: photos, equal photos, near duplicates, people and classes. N rows of a manifest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from maskcls.data.duplicates.search import NearDuplicates, NearPair
from maskcls.data.findings import DataFinding, Item, Kind
from maskcls.data.photos.identity.photo_digests import PhotoDigests
from maskcls.data.photos.inspection import Inspection
from maskcls.data.photos.quality import Fault, by_name, quality_faults
from maskcls.data.rows import manifest
from maskcls.data.rows.repeated_photos import SamePhoto
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import UNKNOWN, Ints, LabelSpace
from maskcls.training.data_check.folds import fold_name

CONSTANT = 0.95  # share of the people with one label from which a task counts as constant per person
QUALITY: dict[Fault, Kind] = {"blank": "blank", "dark": "dark", "blurred": "blurred", "odd size": "odd-size"}


def photo_findings(paths: Sequence[str], seen: Inspection) -> list[DataFinding]:
    """Return photos that cannot be read, show nothing, are dark, blurred or of an odd size."""
    unreadable = tuple(Item((paths[row],), fault) for row, fault in sorted(seen.faults.items()))
    rows = np.flatnonzero(seen.readable_N)
    measures = by_name(seen.measure_NM[rows])
    found = [DataFinding("unreadable", unreadable)]
    for fault, wrong_N in quality_faults(measures).items():
        items = []
        for place in np.flatnonzero(wrong_N).tolist():
            size = f"{measures['width'][place]:.0f} x {measures['height'][place]:.0f} pixels"
            texts = {"odd size": size, "dark": f"brightest tenth from {measures['brightness'][place]:.0f} of 255"}
            items.append(Item((paths[int(rows[place])],), texts.get(fault, "")))
        found.append(DataFinding(QUALITY[fault], tuple(items)))
    return found


def changed_findings(known: PhotoDigests | None, frame: pd.DataFrame, seen: Inspection) -> list[DataFinding]:
    """Return the photos to train on whose content is not what a run began with; known: None where nobody knows.

    frame  the rows to train on, the first of those that were seen.
    """
    if known is None:
        return []
    ids, paths = frame["id"].tolist(), frame["path"].tolist()
    rows = [row for row, name in enumerate(ids) if name in known and seen.readable_N[row]]
    other_n = (known.of([ids[row] for row in rows]).digest_ND != seen.digest_ND[rows]).any(axis=1)
    return [DataFinding("changed", tuple(Item((paths[rows[n]],), "") for n in np.flatnonzero(other_n)))]


def same_photo_findings(
    same: Sequence[SamePhoto], fold_N: Ints, equal_files: Sequence[Sequence[int]], *, allow: bool, noun: Noun = PEOPLE
) -> list[DataFinding]:
    """Return what is wrong with photos that several rows have; each photo once, by what is worst.

    fold_N       (N,) int64, the fold of each row.
    equal_files  groups of rows whose files have the same bytes; others have equal pixels in different files.
    allow        data.same_photos=allow: `train` accepts them.
    """
    bytes_of = {frozenset(rows) for rows in equal_files}
    items: dict[Kind, list[Item]] = defaultdict(list)
    for one in same:
        folds = sorted(
            {int(fold_N[row]) for row, copy in zip(one.rows, one.copies, strict=True) if copy.part == "train"}
        )
        kind: Kind = "repeated"
        if one.labels:
            kind = "labels"
        elif one.people and len(folds) > 1:
            kind = "folds"
        elif one.eval:
            kind = "eval"
        elif one.people:
            kind = "people"
        how = "equal files (SHA-256)" if frozenset(one.rows) in bytes_of else "equal pixels"
        more = [f"different labels of {', '.join(one.labels)}"] if one.labels else []
        more += [" and ".join(fold_name(fold, noun) for fold in folds)] if one.people and len(folds) > 1 else []
        items[kind].append(Item(tuple(copy.path for copy in one.copies), "; ".join([f"{one}", how, *more])))
    return [
        DataFinding(kind, tuple(cases), allowed=allow and kind in ("labels", "folds")) for kind, cases in items.items()
    ]


def near_findings(
    near: NearDuplicates, frame: pd.DataFrame, fold_N: Ints, space: LabelSpace, noun: Noun = PEOPLE
) -> list[DataFinding]:
    """Return the near duplicates by where their two photos are; those that may be chance are a kind of their own."""
    labels = manifest.labels(frame, space)
    paths, people, parts = (frame[name].tolist() for name in ("path", "person", "split"))
    items: dict[Kind, list[Item]] = defaultdict(list)
    for pair in near.pairs:
        a, b = pair.first, pair.second
        differing = [
            n for n in space.names if UNKNOWN not in (u := {int(labels[n][a]), int(labels[n][b])}) and len(u) > 1
        ]
        text = f"{paths[a]} ~ {paths[b]} (agreement {pair.score:.3f}{', mirrored' if pair.mirrored else ''})"
        kind = _near_kind(pair, people, parts, fold_N, differing)
        if kind == "near-folds":
            text += f"; {fold_name(int(fold_N[a]), noun)} and {fold_name(int(fold_N[b]), noun)}"
        if differing:
            text += f"; different labels of {', '.join(differing)}"
        items[kind].append(Item((paths[a], paths[b]), text))
    return [DataFinding(kind, tuple(cases)) for kind, cases in items.items()]


def label_findings(
    frame: pd.DataFrame, space: LabelSpace, ids: Mapping[str, str], folds: int, noun: Noun = PEOPLE
) -> list[DataFinding]:
    """Return people with contradicting labels, ids of several people, and classes of few people.

    ids    person -> id, see `layouts.layout.Layout`.
    folds  a class of fewer people is listed.
    noun   what the people are called, one and several.
    """
    labels = manifest.labels(frame, space)
    contradicting: list[Item] = []
    few: list[Item] = []
    for task in space.tasks:
        known = pd.DataFrame({"person": frame["person"], "label": labels[task.name], "path": frame["path"]})
        known = known[known["label"] != UNKNOWN]
        counts = known.groupby("person")["label"].nunique()
        several = counts[counts > 1].index.tolist()
        if several and len(several) <= (1 - CONSTANT) * len(counts):
            for person in several:
                own = known[known["person"] == person]
                names = ", ".join(task.classes[label] for label in sorted(own["label"].unique().tolist()))
                contradicting.append(Item(tuple(own["path"].tolist()), f"{person}: {task.name} is {names}"))
        for label, name in enumerate(task.classes):
            people = int(known.loc[known["label"] == label, "person"].nunique())
            if people < folds:
                few.append(Item((), f"{task.name}={name}: {people} {noun[1]}"))
    of_id: dict[str, list[str]] = defaultdict(list)
    for person, number in ids.items():
        of_id[number].append(person)
    shared = [Item((), f"id {number}: {', '.join(own)}") for number, own in of_id.items() if len(own) > 1]
    return [
        DataFinding("person-labels", tuple(contradicting)),
        DataFinding("shared-id", tuple(shared)),
        DataFinding("few-people", tuple(few)),
    ]


def _near_kind(
    pair: NearPair, people: Sequence[str], parts: Sequence[str], fold_N: Ints, differing: Sequence[str]
) -> Kind:
    a, b = pair.first, pair.second
    if not pair.rated:
        return "near-unrated"
    if parts[a] != parts[b]:
        return "near-eval"
    if parts[a] == "eval":
        return "near"
    if people[a] != people[b]:
        return "near-folds" if fold_N[a] != fold_N[b] else "near-people"
    return "near-labels" if differing else "near"
