"""Drawn faces: the files on disk, and that the same arguments give the same bytes."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskcls.data.drawn import faces
from maskcls.data.drawn.canvas import Pixels
from maskcls.data.drawn.faces import FacesSummary, make_faces
from maskcls.data.drawn.look import Look
from maskcls.data.drawn.people import SHOTS, Person, people_of
from maskcls.data.drawn.photo import draw_photo
from maskcls.data.drawn.traits import look_of
from maskcls.errors import BusyError, ResourceError, UsageError

SIZE = (64, 48)
STEMS = {"mask1", "mask2", "mask3", "mask4", "mask5", "incorrect_mask", "normal"}
ALL_CELLS = {(gender, band) for gender in ("male", "female") for band in (0, 1, 2)}


def _tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def _joint_without_mask(person: Person) -> int:
    """Gender and age part of the answer, written out by hand."""
    band = 0 if person.age_years < 30 else 1 if person.age_years < 60 else 2
    return {"male": 0, "female": 3}[person.gender] + band


def _look(**changes: object) -> Look:
    return replace(look_of(people_of("train", 1, seed=3)[0], seed=3), **changes)  # type: ignore[arg-type]


def _photo(look: Look, state: str, kind: str = "surgical", draw: int = 0) -> Pixels:
    rng = np.random.default_rng(draw)
    return draw_photo(look, state, kind, rng=rng, size=(128, 96))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> FacesSummary:
    """Six train people and two eval people; tests must not write here."""
    return make_faces(tmp_path_factory.mktemp("drawn") / "set", people=6, seed=4, eval_people=2, size=SIZE)


# ---- layout ---------------------------------------------------------------------------------------------------------


def test_the_files_are_exactly_the_contests(made: FacesSummary) -> None:
    files = set(_tree(made.root))
    train = {tuple(name.rsplit(".", 1)) for name in files if name.startswith("train/images/")}
    people = {row[4] for row in _rows(made.root / "train" / "train.csv")[1:]}
    assert len(people) == 6
    assert {stem for stem, _ in train} == {f"train/images/{person}/{stem}" for person in people for stem in STEMS}
    assert len(train) == made.train_photos == 42
    names = {row[0] for row in _rows(made.root / "eval" / "info.csv")[1:]}
    assert len(names) == made.eval_photos == 14
    others = {"train/train.csv", "eval/info.csv", "eval/answers.csv"} | {f"eval/images/{name}" for name in names}
    assert files == others | {".".join(name) for name in train}


def test_train_table_names_people_as_text(made: FacesSummary) -> None:
    header, *rows = _rows(made.root / "train" / "train.csv")
    assert header == ["id", "gender", "race", "age", "path"]
    assert [row[0] for row in rows] == ["000001", "000002", "000003", "000004", "000005", "000006"]
    for (id_, gender, race, age, path), person in zip(rows, made.train_people, strict=True):
        assert path == f"{id_}_{gender}_{race}_{age}" == person.folder
        assert (gender, race, int(age)) == (person.gender, "Drawn", person.age_years)


def test_eval_tables_share_shuffled_hexadecimal_names(made: FacesSummary) -> None:
    info, answers = (_rows(made.root / "eval" / name) for name in ("info.csv", "answers.csv"))
    assert info[0] == ["ImageID", "ans"]
    assert answers[0] == ["ImageID", "ans", "person"]
    assert [row[0] for row in info] == [row[0] for row in answers]
    assert {row[1] for row in info[1:]} == {"0"}
    assert all(re.fullmatch(r"[0-9a-f]{40}\.jpg", row[0]) for row in info[1:])
    bands = [int(row[1]) % 3 for row in answers[1:]]
    assert [person.age_years < 30 for person in made.eval_people] == [False, True]
    assert sum(one != next_ for one, next_ in pairwise(bands)) > 1  # one change if the two people came in turn


def test_answers_are_five_worn_one_incorrect_one_bare_for_each_person(made: FacesSummary) -> None:
    expected: Counter[int] = Counter()
    for person in made.eval_people:
        part = _joint_without_mask(person)
        expected.update({part: 5, 6 + part: 1, 12 + part: 1})
    assert len(made.eval_people) == 2
    assert Counter(int(row[1]) for row in _rows(made.root / "eval" / "answers.csv")[1:]) == expected


def test_answers_belong_to_the_pictures(made: FacesSummary) -> None:
    rows = _rows(made.root / "eval" / "answers.csv")[1:]
    answers, people = {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows}
    assert len(set(people.values())) == len(made.eval_people)
    seen = 0
    for person in made.eval_people:
        for shot, (_, state) in enumerate(SHOTS):
            photo = faces._Photo(person, shot, made.root.parent / "again.jpg")
            faces._draw_one(photo, look_of(person, 4), seed=4, size=SIZE)
            again = photo.path.read_bytes()
            photo.path.unlink()
            names = [name for name in answers if (made.root / "eval" / "images" / name).read_bytes() == again]
            mask = {"wear": 0, "incorrect": 1, "normal": 2}[state]
            assert [int(answers[name]) for name in names] == [6 * mask + _joint_without_mask(person)]
            assert [people[name] for name in names] == [f"eval-{person.id}"]
            seen += 1
    assert seen == 14


def test_extensions_are_mixed_and_true(made: FacesSummary) -> None:
    starts = {".jpg": b"\xff\xd8", ".jpeg": b"\xff\xd8", ".png": b"\x89PNG"}
    seen: Counter[str] = Counter()
    for path in (made.root / "train" / "images").rglob("*.*"):
        assert path.read_bytes().startswith(starts[path.suffix])
        seen[path.suffix] += 1
    assert seen == {".jpg": 38, ".png": 2, ".jpeg": 2}


def test_photos_have_the_size_asked_for(tmp_path: Path, made: FacesSummary) -> None:
    other = make_faces(tmp_path / "set", people=1, seed=0, size=(50, 70))
    for root, shape, count in ((made.root, (64, 48, 3), 56), (other.root, (50, 70, 3), 14)):
        photos = [path for path in root.rglob("*.*") if path.suffix in (".jpg", ".jpeg", ".png")]
        assert len(photos) == count
        assert {np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)).shape for path in photos} == {shape}


# ---- same bytes -----------------------------------------------------------------------------------------------------


def test_same_arguments_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first, second, third = (
        _tree(make_faces(tmp_path / name, people=1, seed=seed, eval_people=1, size=SIZE).root)
        for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert len(first) == 17
    assert first == second
    assert not set(first.values()) & set(third.values()) - {first["eval/answers.csv"], first["train/train.csv"]}


def test_more_people_keep_the_photos_of_fewer(made: FacesSummary, tmp_path: Path) -> None:
    fewer = _tree(make_faces(tmp_path / "set", people=2, seed=4, eval_people=1, size=SIZE).root)
    more = _tree(made.root)
    photos = [name for name in fewer if not name.endswith(".csv")]
    assert len(photos) == 21
    assert {name: fewer[name] for name in photos} == {name: more[name] for name in photos}


def test_every_photo_has_chance_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draws: list[float] = []

    def note_first_draw(*_: object, rng: np.random.Generator, **__: object) -> Pixels:
        draws.append(rng.random())
        return np.zeros((*SIZE, 3), np.uint8)

    monkeypatch.setattr(faces, "draw_photo", note_first_draw)
    make_faces(tmp_path / "set", people=2, seed=0, eval_people=1, size=SIZE)
    assert len(draws) == len(set(draws)) == 21


def test_train_and_eval_show_different_people() -> None:
    train, evaluation = people_of("train", 6, seed=0), people_of("eval", 6, seed=0)
    assert not {look_of(p, 0).scene for p in train} & {look_of(p, 0).scene for p in evaluation}


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"people": 0}, "people"),
        ({"people": 1_000_000}, "people"),
        ({"eval_people": 0}, "eval_people"),
        ({"seed": -1}, "seed"),
        ({"size": (15, 48)}, "size"),
        ({"size": (64, 15)}, "size"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, change: dict[str, int], word: str) -> None:
    arguments = {"people": 1, "seed": 0, **change}
    with pytest.raises(UsageError, match=word):
        make_faces(tmp_path / "set", **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_refused_before_drawing_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faces, "draw_photo", lambda *_, **__: pytest.fail("drew for nothing"))
    (tmp_path / "keep.txt").write_text("mine")
    for root in (tmp_path, tmp_path / "keep.txt"):
        with pytest.raises(BusyError):
            make_faces(root, people=1, seed=0, size=SIZE)
    assert _tree(tmp_path) == {"keep.txt": b"mine"}


def test_an_empty_folder_and_missing_parents_will_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "empty", tmp_path / "new" / "deep"):
        assert len(_tree(make_faces(root, people=1, seed=0, size=(16, 16)).root)) == 17
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "new"]


@pytest.mark.parametrize("existing", [True, False])
def test_a_failure_midway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: bool) -> None:
    drawn: list[int] = []

    def fail_at_third(*_: object, **__: object) -> Pixels:
        drawn.append(len(drawn))
        if len(drawn) == 3:
            raise OSError("no space left")
        return np.zeros((*SIZE, 3), np.uint8)

    monkeypatch.setattr(faces, "draw_photo", fail_at_third)
    root = tmp_path / "set"
    if existing:
        root.mkdir()
    with pytest.raises(ResourceError, match="no space left"):
        make_faces(root, people=1, seed=0, size=SIZE)
    assert len(drawn) == 3
    assert [path.name for path in tmp_path.iterdir()] == (["set"] if existing else [])
    assert not existing or not list(root.iterdir())
