"""Findings about people, labels and folds, from tables made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from maskcls import config
from maskcls.data.duplicates.search import NearDuplicates, NearPair
from maskcls.data.layouts.contest import LAYOUT
from maskcls.data.photos.identity.photo_digests import PhotoDigests
from maskcls.data.rows import manifest
from maskcls.data.rows.repeated_photos import same_photos
from maskcls.labels import LabelSpace, Task
from maskcls.training.data_check.findings import changed_findings, label_findings, near_findings, same_photo_findings
from maskcls.training.data_check.folds import NOWHERE, SEALED, configured_folds, fold_name, joined_folds

SPACE = LabelSpace((Task("helmet", ("none", "worn")), Task("team", ("red", "blue"))))


def table(people: int, photos: int = 2, evals: int = 2) -> pd.DataFrame:
    """Return people of one team each, whose first photo is without helmet."""
    ids = [f"p{person}_{photo}" for person in range(people) for photo in range(photos)]
    person = [name.partition("_")[0] for name in ids]
    helmet = np.array([int(name[-1] != "0") for name in ids])
    team = np.array([int(name[1:]) % 2 for name in person])
    train = manifest.build(
        ids, [f"{i}.png" for i in ids], SPACE, person=person, labels={"helmet": helmet, "team": team}
    )
    other = [f"e{i}" for i in range(evals)]
    return pd.concat(
        [train, manifest.build(other, [f"{i}.png" for i in other], SPACE, split="eval")], ignore_index=True
    )


def texts(found: list, kind: str) -> list[str]:
    return [item.text for one in found if one.kind == kind for item in one.items]


def test_a_person_of_two_teams_is_named_where_nearly_all_have_one() -> None:
    frame = table(40)[:80].copy()
    assert texts(label_findings(frame, SPACE, {}, folds=5), "person-labels") == []
    frame.loc[frame["id"] == "p7_1", "team"] = 0
    found = label_findings(frame, SPACE, {}, folds=5)
    assert texts(found, "person-labels") == ["p7: team is red, blue"]
    frame.loc[frame["id"].isin(["p9_1", "p11_1"]), "team"] = 0  # 3 of 40 people: the task may vary within a person
    assert texts(label_findings(frame, SPACE, {}, folds=5), "person-labels") == []


def test_photos_that_changed_since_the_run_are_listed() -> None:
    frame = table(2)[:4]
    digest_ND = np.arange(64, dtype=np.uint8).reshape(4, 16)
    known = PhotoDigests(["p1_1", "p0_0", "p1_0"], np.zeros(3, np.int64), digest_ND[[3, 0, 0]])
    readable_N = np.array([True, True, True, True])
    seen = type("Seen", (), {"digest_ND": digest_ND, "readable_N": readable_N})()
    (found,) = changed_findings(known, frame, seen)
    assert (found.kind, found.level, [item.paths for item in found.items]) == ("changed", "warning", [("p1_0.png",)])
    readable_N[2] = False
    assert changed_findings(known, frame, seen)[0].items == ()
    assert changed_findings(None, frame, seen) == []


def test_ids_of_several_people_and_classes_of_few_people() -> None:
    found = label_findings(table(9)[:18], SPACE, {"p0": "12", "p1": "13", "p2": "12"}, folds=5)
    assert texts(found, "shared-id") == ["id 12: p0, p2"]
    assert texts(found, "few-people") == ["team=blue: 4 people"]


def test_the_contest_has_an_id_per_profile(tmp_path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "train.csv").write_text("id,gender,age,path\n7,male,30,7_a\n7,male,31,7_b\n8,male,31,8_a\n")
    assert LAYOUT.profile_ids(tmp_path) == {"7_a": "7", "7_b": "7", "8_a": "8"}
    (tmp_path / "train" / "train.csv").write_text("gender,age,path\nmale,30,7_a\n")
    assert LAYOUT.profile_ids(tmp_path) == {}


def test_a_photo_of_several_rows_is_listed_by_what_is_worst() -> None:
    frame = table(6)
    row = {name: i for i, name in enumerate(frame["id"])}
    groups = [
        (row["p0_0"], row["p0_1"]),  # one person, two labels
        (row["p1_1"], row["p3_1"]),  # two people of one team in different folds
        (row["p2_1"], row["p4_1"]),  # two people in one fold
        (row["p5_0"], row["e0"]),
    ]
    fold = np.array([{"p0": 0, "p1": 0, "p3": 1, "p2": 1, "p4": 1}.get(name, 0) for name in frame["person"]])
    same = same_photos(frame, groups, SPACE)
    found = same_photo_findings(same, fold, [groups[2]], allow=False)
    assert {one.kind: [item.paths for item in one.items] for one in found} == {
        "labels": [("p0_0.png", "p0_1.png")],
        "folds": [("p1_1.png", "p3_1.png")],
        "people": [("p2_1.png", "p4_1.png")],
        "eval": [("p5_0.png", "e0.png")],
    }
    assert "equal files (SHA-256)" in texts(found, "people")[0]
    assert "equal pixels" in texts(found, "labels")[0]
    assert "fold 0 and fold 1" in texts(found, "folds")[0]
    allowed = same_photo_findings(same, fold, [], allow=True)
    assert {one.kind: one.level for one in allowed} == dict.fromkeys(("labels", "folds", "people", "eval"), "warning")


def test_near_duplicates_are_listed_by_where_their_photos_are() -> None:
    frame = table(6)
    row = {name: i for i, name in enumerate(frame["id"])}
    fold = np.array([int(name in ("p1", "p2")) for name in frame["person"]])
    pairs = [("p0_1", "p1_1"), ("p0_1", "p3_1"), ("p4_0", "p4_1"), ("p5_1", "e0"), ("e0", "e1")]
    near = NearDuplicates(tuple(NearPair(row[a], row[b], 0.98, a == "p0_1") for a, b in pairs), None, None)
    found = near_findings(near, frame, fold, SPACE)
    assert {one.kind: [item.paths for item in one.items] for one in found} == {
        "near-folds": [("p0_1.png", "p1_1.png")],
        "near-people": [("p0_1.png", "p3_1.png")],
        "near-labels": [("p4_0.png", "p4_1.png")],
        "near-eval": [("p5_1.png", "e0.png")],
        "near": [("e0.png", "e1.png")],
    }
    (text,) = texts(found, "near-folds")
    assert "agreement 0.980, mirrored" in text
    assert "fold 0 and fold 1; different labels of team" in text


def test_pairs_of_an_unknown_error_rate_are_information_wherever_their_photos_are() -> None:
    frame = table(6)
    row = {name: i for i, name in enumerate(frame["id"])}
    pairs = [("p0_1", "p3_1"), ("p4_0", "p4_1"), ("p5_1", "e0")]
    near = NearDuplicates(tuple(NearPair(row[a], row[b], 0.98, False, rated=False) for a, b in pairs), None, None)
    (found,) = near_findings(near, frame, np.zeros(len(frame), np.int64), SPACE)
    assert (found.kind, found.level, len(found.items)) == ("near-unrated", "information", 3)


def test_folds_are_those_of_the_configuration_or_of_a_table() -> None:
    frame = table(8)[:16]
    tasks = "tasks=[{name: helmet, classes: [none, worn]}, {name: team, classes: [red, blue]}]"
    cfg = config.load(None, [tasks, "data.format=table", "folds.k=2", "folds.sealed=0.25"])[0]
    fold, fault = configured_folds(frame, cfg)
    assert fault == ""
    assert set(fold.tolist()) == {0, 1, SEALED}
    assert (fold == SEALED).sum() == 4
    few, fault = configured_folds(frame[:4], cfg.model_copy(update={"folds": cfg.folds.model_copy(update={"k": 5})}))
    assert set(few.tolist()) == {NOWHERE}
    assert fault.startswith("too few groups for the folds")
    some = pd.DataFrame({"id": ["p0_0", "p1_0"], "fold": [1, 0]})
    assert joined_folds(frame, some)[:4].tolist() == [1, NOWHERE, 0, NOWHERE]
    assert [fold_name(one) for one in (2, SEALED, -1)] == [
        *("fold 2", "the sealed people", "the rows that are only for training"),
    ]
