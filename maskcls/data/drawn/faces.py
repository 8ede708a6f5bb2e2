"""A data set of drawn people in the contest's layout: a folder with tables and photos.

No face is real. Appearance depends on gender and age through overlapping distributions, so a network can predict the
labels, but not perfectly: age is the hardest task, and more people give a better score.

Everything is a function of (seed, split, person, shot). With the same seed and size, a larger set begins with the
people of a smaller one. The order of drawing has no effect.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from maskcls import files
from maskcls.data.drawn.ages import AS_DRAWN, AgePlan
from maskcls.data.drawn.look import Look
from maskcls.data.drawn.people import RACE, SHOTS, Person, generator, people_of
from maskcls.data.drawn.photo import draw_photo
from maskcls.data.drawn.traits import look_of
from maskcls.errors import BusyError, ResourceError, UsageError

SMALLEST_PX = 16
MOST_PEOPLE = 999_999
JPEG_QUALITIES = (75, 96)
MOST_ERROR_YEARS = 20
TRUE_AGES = "true_ages.csv"


@dataclass(frozen=True)
class FacesSummary:
    """The result of `make_faces`.

    root          the folder.
    train_people  the people of train.csv, in its order.
    eval_people   the people of the eval photos; on disk, only answers.csv has their labels.
    """

    root: Path
    train_people: tuple[Person, ...]
    eval_people: tuple[Person, ...]

    @property
    def train_photos(self) -> int:
        """Number of photos under train."""
        return len(self.train_people) * len(SHOTS)

    @property
    def eval_photos(self) -> int:
        """Number of photos under eval."""
        return len(self.eval_people) * len(SHOTS)


def make_faces(
    root: Path,
    *,
    people: int,
    seed: int,
    eval_people: int | None = None,
    size: tuple[int, int] = (256, 192),
    plan: AgePlan = AS_DRAWN,
) -> FacesSummary:
    """Draw people and write their photos and tables in the contest's layout.

    The folder is created completely or not at all. The same arguments give the same bytes with the same library
    versions; with more people, the photos of the first people stay the same.

    root         a new or an empty folder; missing parent folders are created.
    people       train people, 1..999999; from 18 on, every gender and age class has at least two.
    seed         0 or more.
    eval_people  people of the eval photos; None: a third of `people`, at least 1.
    size         (height, width) of each photo in pixels, 16 or more.
    plan         how old the people are. If it has errors, train.csv and the folders' names have the recorded ages,
                 and a further table, true_ages.csv, the true ones; the answers to the eval photos are the true classes.

    Raises UsageError for an argument out of range, BusyError when `root` is not empty, ResourceError when writing
    fails.
    """
    eval_people = max(1, people // 3) if eval_people is None else eval_people
    _check_arguments(people, eval_people, seed, size, plan.error_years)
    root = Path(root).resolve()
    _check_free(root)
    train, evaluation = people_of("train", people, seed, plan), people_of("eval", eval_people, seed, plan)
    try:
        with files.folder_aside(root) as draft:
            photos = [*_write_train(draft / "train", train), *_write_eval(draft / "eval", evaluation, seed)]
            if plan.error_years > 0:
                _write_true_ages(draft / TRUE_AGES, train)
            _draw_all(photos, seed, size)
            files.put_folder(draft, root)
    except OSError as error:
        raise ResourceError(
            "cannot write the faces",
            where=str(root),
            got=error.strerror or str(error),
            fix="free disk space, or name another folder",
        ) from None
    return FacesSummary(root, tuple(train), tuple(evaluation))


@dataclass(frozen=True)
class _Photo:
    """A photo to be drawn."""

    person: Person
    shot: int
    path: Path


def _check_arguments(people: int, eval_people: int, seed: int, size: tuple[int, int], error_years: float) -> None:
    for name, value in (("people", people), ("eval_people", eval_people)):
        if not 1 <= value <= MOST_PEOPLE:
            raise UsageError(f"{name} is out of range", got=str(value), expected=f"1..{MOST_PEOPLE}")
    if seed < 0:
        raise UsageError("seed is out of range", got=str(seed), expected="0 or more")
    if not 0 <= error_years <= MOST_ERROR_YEARS:
        expected = f"0..{MOST_ERROR_YEARS} years"
        raise UsageError("the error of recorded ages is out of range", got=str(error_years), expected=expected)
    if min(size) < SMALLEST_PX:
        expected = f"height and width of {SMALLEST_PX} or more"
        raise UsageError("size is too small to draw a face", got=f"{size[0]}x{size[1]}", expected=expected)


def _check_free(root: Path) -> None:
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise BusyError(
            "the folder is not empty",
            where=str(root),
            expected="a new or an empty folder",
            fix="name another folder, or remove this one",
        )


def _write_train(folder: Path, people: Sequence[Person]) -> list[_Photo]:
    """Write train.csv and the people's folders; returns the photos to draw in them."""
    photos = []
    for person in people:
        home = folder / "images" / person.folder
        home.mkdir(parents=True)
        for shot, (stem, _) in enumerate(SHOTS):
            photos.append(_Photo(person, shot, home / f"{stem}{_extension(person.index * len(SHOTS) + shot)}"))
    rows = [(p.id, p.gender, RACE, p.recorded_years, p.folder) for p in people]
    _write_table(folder / "train.csv", ("id", "gender", "race", "age", "path"), rows)
    return photos


def _write_true_ages(path: Path, people: Sequence[Person]) -> None:
    """Write the recorded and the true age of every train person: path, age, true_age."""
    _write_table(path, ("path", "age", "true_age"), [(p.folder, p.recorded_years, p.age_years) for p in people])


def _write_eval(folder: Path, people: Sequence[Person], seed: int) -> list[_Photo]:
    """Write the two tables of the eval part, sorted by hashed file name; returns the photos they list.

    The answers name the person on each photo, so that a score's interval is over people.
    """
    photos = []
    for person in people:
        for shot in range(len(SHOTS)):
            name = hashlib.sha1(f"{seed}/{person.index}/{shot}".encode(), usedforsecurity=False).hexdigest()
            photos.append(_Photo(person, shot, folder / "images" / f"{name}.jpg"))
    photos.sort(key=lambda photo: photo.path.name)
    (folder / "images").mkdir(parents=True)
    header = ("ImageID", "ans")
    _write_table(folder / "info.csv", header, [(photo.path.name, 0) for photo in photos])
    answers = [(p.path.name, p.person.joint_class(SHOTS[p.shot][1]), f"eval-{p.person.id}") for p in photos]
    _write_table(folder / "answers.csv", (*header, "person"), answers)
    return photos


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _extension(number: int) -> str:
    """Return the extension of a train photo: mostly .jpg, about one in 25 .png and one in 30 .jpeg.

    >>> [_extension(number) for number in (0, 5, 9)]
    ['.jpg', '.png', '.jpeg']
    """
    return ".png" if number % 25 == 5 else ".jpeg" if number % 30 == 9 else ".jpg"


def _draw_all(photos: Sequence[_Photo], seed: int, size: tuple[int, int]) -> None:
    """Draw every photo into its file."""
    looks = {person: look_of(person, seed) for person in dict.fromkeys(photo.person for photo in photos)}
    for photo in photos:
        _draw_one(photo, looks[photo.person], seed, size)


def _draw_one(photo: _Photo, look: Look, seed: int, size: tuple[int, int]) -> None:
    rng = generator(seed, photo.person.split, photo.person.index, 2 + photo.shot)
    kind = look.mask_order[photo.shot % len(look.mask_order)]
    pixels = draw_photo(look, SHOTS[photo.shot][1], kind, rng=rng, size=size)
    quality = [] if photo.path.suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*JPEG_QUALITIES))]
    written, data = cv2.imencode(photo.path.suffix, pixels[:, :, ::-1], quality)
    if not written:
        raise OSError(f"{photo.path.name} could not be encoded")
    photo.path.write_bytes(data.tobytes())
