"""Drawn people in the contest's layout: who they are, how they look, and the folder that holds their photos.

Nothing here is a real face. The look follows gender and age through overlapping distributions, so that the labels can
be learnt from the pixels, but never perfectly: age is the hard task, and more people give a better score.

Everything hangs on (seed, split, person, shot) alone. A larger set repeats the people of a smaller one with the same
seed and size before it adds its own, and the order of drawing has no effect.
"""

from __future__ import annotations

import csv
import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from maskcls.data.drawn.drawing import MASK_KINDS, Look, State, draw_photo, mix
from maskcls.errors import BusyError, ResourceError, UsageError
from maskcls.labels import CONTEST

Split = Literal["train", "eval"]
Gender = Literal["male", "female"]

SHOTS: tuple[tuple[str, State], ...] = (
    ("mask1", "wear"),
    ("mask2", "wear"),
    ("mask3", "wear"),
    ("mask4", "wear"),
    ("mask5", "wear"),
    ("incorrect_mask", "incorrect"),
    ("normal", "normal"),
)
RACE = "Drawn"
SMALLEST_PX = 16
MOST_PEOPLE = 999_999
JPEG_QUALITIES = (75, 96)

# Shares of the people, and how years spread over a band: first year, span, and the two shapes of a beta distribution.
CELL_SHARES: dict[tuple[Gender, int], float] = {
    ("female", 1): 0.29,
    ("female", 0): 0.27,
    ("male", 0): 0.20,
    ("male", 1): 0.15,
    ("female", 2): 0.05,
    ("male", 2): 0.04,
}
BAND_YEARS = ((18, 12, 1.2, 1.8), (30, 30, 1.8, 1.1), (60, 16, 1.0, 2.0))
SECOND_SEAT_DIVISOR = 0.5


@dataclass(frozen=True)
class Person:
    """One drawn person.

    split       the part of the set they belong to.
    index       position in it, from 0.
    gender      male or female.
    age_years   18 and more.
    """

    split: Split
    index: int
    gender: Gender
    age_years: int

    @property
    def id(self) -> str:
        """Six digits, from 000001."""
        return f"{self.index + 1:06d}"

    @property
    def folder(self) -> str:
        """Name of the person's folder, the `path` of train.csv."""
        return f"{self.id}_{self.gender}_{RACE}_{self.age_years}"

    def answer(self, state: State) -> int:
        """Return the joint class of a photo of this person.

        >>> Person("eval", 0, "female", 30).answer("incorrect")
        10
        """
        mask, gender, age = CONTEST.tasks
        index = {mask.name: mask.classes.index(state), gender.name: gender.classes.index(self.gender)}
        labels = {name: np.array([value]) for name, value in index.items()}
        return int(CONTEST.encode({**labels, age.name: age.band(np.array([self.age_years]))})[0])


@dataclass(frozen=True)
class FacesSummary:
    """What `make_faces` wrote.

    root          the folder.
    train_people  the people of train.csv, in its order.
    eval_people   the people behind the eval photos; nothing on disk but answers.csv tells about them.
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
    root: Path, *, people: int, seed: int, eval_people: int | None = None, size: tuple[int, int] = (256, 192)
) -> FacesSummary:
    """Draw people and write their photos and tables in the contest's layout.

    The folder appears whole or not at all. The same arguments give the same bytes with the same library versions, and
    a larger number of people keeps the photos of the smaller one.

    root         absent or an empty folder; its parents are made where they lack.
    people       train people, 1..999999; from 18 on every gender and age band has two or more.
    seed         0 or more.
    eval_people  people behind the eval photos; a third of `people`, at least 1, when None.
    size         height and width of each photo in pixels, 16 or more.

    Returns the people drawn. Raises UsageError for an argument out of range, BusyError when `root` holds something,
    ResourceError when the disk refuses.
    """
    eval_people = max(1, people // 3) if eval_people is None else eval_people
    _check_arguments(people, eval_people, seed, size)
    root = Path(root).resolve()
    _check_free(root)
    train, evaluation = people_of("train", people, seed), people_of("eval", eval_people, seed)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}.") as scratch:
            draft = Path(scratch) / "faces"
            photos = [*_write_train(draft / "train", train), *_write_eval(draft / "eval", evaluation, seed)]
            _draw_all(photos, seed, size)
            _publish(draft, root)
    except OSError as error:
        raise ResourceError("cannot write the faces", where=str(root), got=error.strerror or str(error)) from None
    return FacesSummary(root, tuple(train), tuple(evaluation))


# ---- people ---------------------------------------------------------------------------------------------------------


def cells(count: int) -> list[tuple[Gender, int]]:
    """Return gender and age band of the first `count` people, close to `CELL_SHARES` at every length.

    Reference: Adams' divisor method, which seats one party after the other and favours the small ones; the second seat
    comes earlier still, so that 18 people put two into every cell.

    >>> cells(3)
    [('female', 1), ('female', 0), ('male', 0)]
    """
    seats = dict.fromkeys(CELL_SHARES, 0)

    def claim(cell: tuple[Gender, int]) -> float:
        taken = seats[cell]
        return CELL_SHARES[cell] / (SECOND_SEAT_DIVISOR if taken == 1 else taken) if taken else 1 + CELL_SHARES[cell]

    order = []
    for _ in range(count):
        order.append(max(CELL_SHARES, key=claim))
        seats[order[-1]] += 1
    return order


def people_of(split: Split, count: int, seed: int) -> list[Person]:
    """Return the first `count` people of a split; a longer list begins with the shorter one.

    >>> [person.folder for person in people_of("train", 2, seed=0)] == [
    ...     person.folder for person in people_of("train", 9, seed=0)][:2]
    True
    """
    people = []
    for index, (gender, band) in enumerate(cells(count)):
        first, span, low, high = BAND_YEARS[band]
        years = first + int(span * _rng(seed, split, index, 0).beta(low, high) * (1 - 1e-9))
        people.append(Person(split, index, gender, years))
    return people


def look_of(person: Person, seed: int) -> Look:
    """Draw the lasting traits of a person, given gender and age.

    Every trait is a draw from a distribution that gender or years only shift: there are men with long hair, women
    without lipstick, and some look ten years younger than they are.
    """
    rng = _rng(seed, person.split, person.index, 1)
    female = person.gender == "female"
    seeming_years = person.age_years + rng.normal(0, 3)
    skin = mix((247, 217, 193), (160, 115, 84), rng.beta(1.8, 5.0))
    recede = _unit((seeming_years - 38) / 32 + rng.normal(-0.15, 0.3)) * (0.35 if female else 1.0)
    return Look(
        skin=mix(skin, (160, 138, 118), 0.65 * _unit((seeming_years - 20) / 60)),
        hair=_hair(rng, seeming_years),
        lips=mix(mix(skin, (175, 85, 85), 0.45), (190, 20, 45), _unit(rng.normal(0.5 if female else 0.1, 0.22))),
        cloth=_cloth(rng, female, seeming_years),
        jaw=float(np.clip(rng.normal(0.73 if female else 0.83, 0.045), 0.6, 0.93)),
        face_length=float(np.clip(rng.normal(1.0 if female else 1.04, 0.04), 0.92, 1.12)),
        hair_length=_hair_length(rng, female, seeming_years),
        hair_volume=float(rng.uniform(0.08, 0.24)) * (1 - 0.5 * _unit((seeming_years - 35) / 45)),
        fringe=_unit(rng.normal(0.45 if female else 0.3, 0.35) - 0.4 * recede),
        parting=float(rng.choice([-1, 1]) * rng.uniform(0, 1)),
        recede=recede,
        grey=_grey(rng, female, seeming_years),
        brow=float(np.clip(rng.normal(0.06 if female else 0.095, 0.018), 0.03, 0.15)),
        eye_size=float(np.clip(rng.normal(0.225 if female else 0.205, 0.018), 0.16, 0.28)),
        eye_gap=float(rng.normal(0.43, 0.02)),
        nose_width=float(np.clip(rng.normal(0.19 if female else 0.22, 0.025), 0.13, 0.3)),
        lip_height=float(np.clip(rng.normal(0.1 if female else 0.08, 0.02), 0.04, 0.16)),
        stubble=0.0 if female else _unit(rng.normal(0.3, 0.35)),
        makeup=_unit(rng.normal(0.45 if female else -0.25, 0.25)),
        wrinkles=_unit((seeming_years - 27) / 42 + rng.normal(0, 0.07)),
        sag=_unit((seeming_years - 32) / 38 + rng.normal(0, 0.08)),
        spots=_unit((seeming_years - 38) / 40 + rng.normal(0, 0.1)),
        neck=float(rng.normal(0.5 if female else 0.6, 0.04)),
        shoulders=float(rng.normal(1.45 if female else 1.7, 0.12)),
        glasses=bool(rng.random() < 0.18 + 0.3 * _unit((seeming_years - 35) / 35)),
        earrings=bool(rng.random() < (0.35 if female else 0.04)),
        garment=_garment(rng, seeming_years),
        mask_order=tuple(str(kind) for kind in rng.permutation(MASK_KINDS)),
        scene=int(rng.integers(2**31)),
    )  # fmt: skip


def _rng(seed: int, split: Split, index: int, draw: int) -> np.random.Generator:
    """Return the generator of one draw: 0 the years, 1 the look, 2 and more the shots."""
    branch = (("train", "eval").index(split), index, draw)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=branch))


def _unit(value: float) -> float:
    return float(np.clip(value, 0.0, 1.0))


def _hair(rng: np.random.Generator, years: float) -> tuple[float, float, float]:
    natural = mix((24, 20, 20), (88, 56, 38), rng.beta(1.2, 2.5))
    dyed = (150, 95, 55), (176, 128, 78), (120, 45, 40)
    bleached = rng.random() < 0.3 - 0.2 * _unit((years - 20) / 40)
    return mix(natural, dyed[rng.integers(3)], 0.7) if bleached else natural


def _hair_length(rng: np.random.Generator, female: bool, years: float) -> float:
    """Share of the longest hair; some women crop theirs, the older more often, and some men let it grow."""
    other = rng.random() < (0.08 + 0.25 * _unit((years - 40) / 30) if female else 0.08)
    return _unit(rng.normal(0.62, 0.22) if female != other else rng.normal(0.08, 0.08))


def _grey(rng: np.random.Generator, female: bool, years: float) -> float:
    dyes = rng.random() < (0.22 if female else 0.1)
    grey = 1 / (1 + np.exp(-(years + rng.normal(0, 3) - 56.5) / 3.5))
    return float(grey) * (0.2 if dyes else 1.0)


def _cloth(rng: np.random.Generator, female: bool, years: float) -> tuple[float, float, float]:
    """Colour of the clothes: men's darker, older people's duller, all of it by chance."""
    light = np.clip(rng.normal(150 if female else 105, 55), 25, 235)
    tint = rng.normal(0, 38 * (1 - 0.45 * _unit((years - 25) / 45)), 3)
    red, green, blue = np.clip(light + tint, 10, 245).tolist()
    return red, green, blue


def _garment(rng: np.random.Generator, years: float) -> Literal["tee", "shirt", "hood"]:
    hood = 0.42 - 0.36 * _unit((years - 20) / 35)
    draw = rng.random()
    return "hood" if draw < hood else "shirt" if draw < hood + 0.25 + 0.3 * _unit((years - 25) / 40) else "tee"


# ---- disk -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Photo:
    """A photo still to be drawn."""

    person: Person
    shot: int
    path: Path


def _check_arguments(people: int, eval_people: int, seed: int, size: tuple[int, int]) -> None:
    for name, value in (("people", people), ("eval_people", eval_people)):
        if not 1 <= value <= MOST_PEOPLE:
            raise UsageError(f"{name} is out of range", got=str(value), expected=f"1..{MOST_PEOPLE}")
    if seed < 0:
        raise UsageError("seed is out of range", got=str(seed), expected="0 or more")
    if min(size) < SMALLEST_PX:
        expected = f"height and width of {SMALLEST_PX} or more"
        raise UsageError("size is too small to draw a face", got=f"{size[0]}x{size[1]}", expected=expected)


def _check_free(root: Path) -> None:
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise BusyError(
            "faces would overwrite what is there",
            where=str(root),
            expected="a new or an empty folder",
            fix="name another folder, or remove this one",
        )


def _publish(draft: Path, root: Path) -> None:
    """Move the finished folder to its place, unless something came up there meanwhile."""
    _check_free(root)
    if root.exists():
        root.rmdir()
    os.rename(draft, root)


def _write_train(folder: Path, people: Sequence[Person]) -> list[_Photo]:
    """Write train.csv and the folders of the people, and return the photos that belong in them."""
    photos = []
    for person in people:
        home = folder / "images" / person.folder
        home.mkdir(parents=True)
        for shot, (stem, _) in enumerate(SHOTS):
            photos.append(_Photo(person, shot, home / f"{stem}{_extension(person.index * len(SHOTS) + shot)}"))
    rows = [(p.id, p.gender, RACE, p.age_years, p.folder) for p in people]
    _write_table(folder / "train.csv", ("id", "gender", "race", "age", "path"), rows)
    return photos


def _write_eval(folder: Path, people: Sequence[Person], seed: int) -> list[_Photo]:
    """Write the two tables of the eval part, in the order of the hashed names, and return the photos they list."""
    photos = []
    for person in people:
        for shot in range(len(SHOTS)):
            name = hashlib.sha1(f"{seed}/{person.index}/{shot}".encode(), usedforsecurity=False).hexdigest()
            photos.append(_Photo(person, shot, folder / "images" / f"{name}.jpg"))
    photos.sort(key=lambda photo: photo.path.name)
    (folder / "images").mkdir(parents=True)
    header = ("ImageID", "ans")
    _write_table(folder / "info.csv", header, [(photo.path.name, 0) for photo in photos])
    answers = [(photo.path.name, photo.person.answer(SHOTS[photo.shot][1])) for photo in photos]
    _write_table(folder / "answers.csv", header, answers)
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
    rng = _rng(seed, photo.person.split, photo.person.index, 2 + photo.shot)
    kind = look.mask_order[photo.shot % len(look.mask_order)]
    pixels = draw_photo(look, SHOTS[photo.shot][1], kind, rng=rng, size=size)
    quality = [] if photo.path.suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*JPEG_QUALITIES))]
    written, data = cv2.imencode(photo.path.suffix, pixels[:, :, ::-1], quality)
    if not written:
        raise OSError(f"{photo.path.name} could not be encoded")
    photo.path.write_bytes(data.tobytes())
