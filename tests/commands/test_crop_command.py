"""maskcls data crop: a copy that every other verb reads, each photo at its face, whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import train

from maskcls import __version__, files
from maskcls.cli import run_app
from maskcls.commands.data import crop as cropping
from maskcls.commands.data.crop import Recipe, copy_cropped, crop, parse_aspect
from maskcls.data.layouts import contest, source
from maskcls.data.photos import crops
from maskcls.data.photos.crops import Box, Face, Window
from maskcls.data.photos.images import read_image
from maskcls.errors import BusyError, DataError, UsageError, WeightsError
from maskcls.labels import CONTEST
from maskcls.show.data.crop import Copy, print_copy
from maskcls.show.terminal.progress import Reporter

HEIGHT, WIDTH = 96, 72
STEMS = sorted(contest.STEMS)
PEOPLE = ("000001_female_Asian_20", "000002_male_Asian_60")
EVAL = ("b.jpg", "a.jpg", "c.jpg")
FACELESS = f"train/images/{PEOPLE[0]}/mask1.jpg"
RECIPE_MARGIN, RECIPE_ASPECT = 0.25, (4, 3)


def find(image_HWC: np.ndarray) -> list[Face]:
    """Stand in for a detector: the bounding box of what is bright."""
    rows, columns = np.nonzero(image_HWC.mean(axis=2) > 128)
    if not rows.size:
        return []
    top, left = rows.min(), columns.min()
    return [Face(float(left), float(top), float(np.ptp(columns) + 1), float(np.ptp(rows) + 1), 0.875)]


def paint(path: Path, face: Face | None, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    """Write a photo, dark and noisy but for a bright box where the face is."""
    seed = int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:4])
    image = np.random.default_rng(seed).integers(0, 60, (*size, 3), dtype=np.uint8)
    if face:
        left, top = int(face.left), int(face.top)
        image[top : top + int(face.height), left : left + int(face.width)] += 190
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=95)


def train_face(person: int, stem: int) -> Face:
    """Faces of 16 x 24 pixels whose centres lie around (36, 48), moving a little from photo to photo."""
    return Face(28 + stem - 3, 36 + 2 * person, 16, 24)


def make(root: Path) -> Path:
    """Write two people, one of whose photos has no face, and three photos to predict; some photos are PNG."""
    for i, person in enumerate(PEOPLE):
        for j, stem in enumerate(STEMS):
            folder = root / "train" / "images" / person
            paint(folder / f"{stem}{'.png' if stem == 'normal' else '.jpg'}", train_face(i, j))
            (folder / f"._{stem}.jpg").write_bytes(b"mac")
    paint(root / FACELESS, None)
    rows = [f"{p.split('_')[0]},{p.split('_')[1]},Asian,{p.split('_')[3]},{p}\n" for p in PEOPLE]
    (root / "train" / "train.csv").write_text("id,gender,race,age,path\n" + "".join(rows))
    for name in EVAL:
        paint(root / "eval" / "images" / name, Face(4, 4, 24, 32) if name != "c.jpg" else None)
    (root / "eval" / "info.csv").write_text("ImageID,ans\n" + "".join(f"{name},0\n" for name in EVAL))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "data")


RECIPE = Recipe(find=find, detector="00", margin=RECIPE_MARGIN, aspect=RECIPE_ASPECT)


def copied(data: Path, out: Path, **options: Any) -> Copy:
    recipe = Recipe(**{"find": find, "detector": "00", "margin": RECIPE_MARGIN, "aspect": RECIPE_ASPECT} | options)
    return copy_cropped(data, out, recipe, Reporter(quiet=True))


def hashes_of(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): files.file_sha256(path) for path in found}


def listed(out: Path) -> dict[str, dict[str, str]]:
    with (out / "crops.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["path"]: row for row in rows}


def box_of(row: dict[str, str]) -> Box:
    return Box(*(int(row[name]) for name in Box._fields))


def photo(person: str, stem: str) -> str:
    return f"train/images/{person}/{stem}{'.png' if stem == 'normal' else '.jpg'}"


# --- the copy -------------------------------------------------------------------------------------


def test_the_copy_is_a_data_set_of_its_own(root: Path, tmp_path: Path) -> None:
    before = hashes_of(root)
    out = tmp_path / "new" / "cropped"
    copied(root, out)
    photos = {photo(person, stem) for person in PEOPLE for stem in STEMS} | {f"eval/images/{n}" for n in EVAL}
    assert len(photos) == 17
    assert set(hashes_of(out)) == photos | {"train/train.csv", "eval/info.csv", "crops.csv", "crops.json"}
    for table in ("train/train.csv", "eval/info.csv"):
        assert (out / table).read_bytes() == (root / table).read_bytes()
    pd.testing.assert_frame_equal(contest.read_train(out, CONTEST), contest.read_train(root, CONTEST))
    pd.testing.assert_frame_equal(contest.read_eval(out, CONTEST), contest.read_eval(root, CONTEST))
    assert hashes_of(root) == before
    assert sorted(path.name for path in out.parent.iterdir()) == ["cropped"]
    assert run_app(["data", "check", str(out)]) == run_app(["data", "check", str(root)])


def test_every_photo_shows_its_own_face(root: Path, tmp_path: Path) -> None:
    copied(root, tmp_path / "out")
    rows = listed(tmp_path / "out")
    assert list(rows) == [*sorted(photo(p, s) for p in PEOPLE for s in STEMS), *(f"eval/images/{n}" for n in EVAL)]
    for i, person in enumerate(PEOPLE):
        for j, stem in enumerate(STEMS):
            row = rows[photo(person, stem)]
            if row["path"] == FACELESS:
                continue
            # 16 x 24 with a quarter on each side is 24 x 36; 4 : 3 asks for 27 columns: 13.5 to the left of the centre,
            # which rounds to an even left edge.
            x, y = 36 + j - 3, 48 + 2 * i
            left = round(x - 13.5)
            assert box_of(row) == Box(left, y - 18, left + 27, y + 18)
            assert (row["how"], row["score"]) == ("detector", "0.8750")
    # In the corner: 24 x 32 becomes 36 x 48 around (16, 20), shifted inside.
    assert box_of(rows["eval/images/b.jpg"]) == Box(0, 0, 36, 48)


def test_pixels_are_copied_as_they_are_and_encoded_once(root: Path, tmp_path: Path) -> None:
    copied(root, tmp_path / "out")
    seen = 0
    for path, row in listed(tmp_path / "out").items():
        box = box_of(row)
        whole, part = read_image(root / path), read_image(tmp_path / "out" / path)
        wanted = whole[box.top : box.bottom, box.left : box.right]
        seen += 1
        if path.endswith(".png"):
            np.testing.assert_array_equal(part, wanted)
        else:
            assert part.shape == wanted.shape
            # Noise of 60 levels is the worst for a JPEG; a crop a pixel aside would be off by about 20.
            assert np.abs(part.astype(int) - wanted).mean() < 4
    assert seen == 17


def test_the_exif_orientation_is_applied(root: Path, tmp_path: Path) -> None:
    path = root / "eval" / "images" / "b.jpg"
    image = Image.fromarray(read_image(path)).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise, to see it upright
    exif[0x010F] = "a camera"
    image.save(path, quality=95, exif=exif)
    copied(root, tmp_path / "out")
    assert box_of(listed(tmp_path / "out")["eval/images/b.jpg"]) == Box(0, 0, 36, 48)
    with Image.open(tmp_path / "out" / "eval" / "images" / "b.jpg") as part:
        assert part.size == (36, 48)
        assert not part.getexif()


# --- photos without a face ------------------------------------------------------------------------


def test_a_photo_without_a_face_is_cropped_where_train_faces_are(root: Path, tmp_path: Path) -> None:
    copy = copied(root, tmp_path / "out")
    # 13 faces, 6 of the first person (stem 1 is missing) at y 48 and 7 of the second at 50: the median is 50. Their x
    # is 33..39 twice, without one 34: sorted, the seventh of thirteen is 36.
    assert STEMS[1] == "mask1"
    assert copy.window is not None
    assert (copy.window.x, copy.window.y) == pytest.approx((36 / 72, 50 / 96))
    assert (copy.window.width, copy.window.height) == pytest.approx((16 / 72, 24 / 96))
    assert copy.window.faces == 13
    for path in (FACELESS, "eval/images/c.jpg"):
        row = listed(tmp_path / "out")[path]
        assert (row["how"], row["score"]) == ("fallback", "")
        assert box_of(row) == Box(22, 32, 49, 68)
    assert copy.counts == {"detector": 15, "fallback": 2}


def test_photos_to_predict_teach_nothing(root: Path, tmp_path: Path) -> None:
    first = copied(root, tmp_path / "first").window
    for name in EVAL:
        paint(root / "eval" / "images" / name, Face(50, 60, 8, 8))
    assert copied(root, tmp_path / "second").window == first
    shutil.rmtree(root / "eval")
    assert copied(root, tmp_path / "third").window == first


def test_without_train_photos_the_centre_is_kept(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "train")
    copy = copied(root, tmp_path / "out")
    assert copy.window is None
    assert box_of(listed(tmp_path / "out")["eval/images/c.jpg"]) == Box(0, 0, 72, 96)
    assert set(hashes_of(tmp_path / "out")) == {"crops.csv", "crops.json", "eval/info.csv"} | {
        f"eval/images/{name}" for name in EVAL
    }
    with pytest.raises(DataError, match="no train photos"):
        copied(root, tmp_path / "fixed", fixed=True)


def test_no_face_in_any_photo_is_an_error(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no face was found") as caught:
        copied(root, tmp_path / "out", find=lambda image: [])
    assert caught.value.got == "17 photos"
    assert not (tmp_path / "out").exists()


# --- one window for all ---------------------------------------------------------------------------


def test_fixed_crops_every_photo_at_the_window(root: Path, tmp_path: Path) -> None:
    copy = copied(root, tmp_path / "out", fixed=True)
    rows = listed(tmp_path / "out")
    assert {(row["how"], row["score"], box_of(row)) for row in rows.values()} == {("fixed", "", Box(22, 32, 49, 68))}
    assert copy.counts == {"fixed": 17}
    # Centres at x 33..39, 8 pixels of face on each side, in columns 22..49: x must lie in 30..41. All do.
    assert copy.held == 1.0


def test_fixed_alone_needs_no_detector(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every photo, also one to predict, is cropped where faces usually are, and the window says it was not measured."""
    copy = crop(root, tmp_path / "out", report=Reporter(quiet=True), **OPTIONS | {"fixed": True, "margin": 0.0})
    # Photos of 96 x 72, the face 0.5 * 96 = 48 high and 0.55 * 72 = 39.6 wide, around (36, 52.8). At 4 : 3 the box is
    # 39.6 * 4 / 3 = 52.8 high: rounded to whole pixels, 53 x 40.
    assert {row.box for row in copy.rows} == {Box(16, 26, 56, 79)}
    assert copy.counts == {"fixed": 17}
    assert copy.held is None
    print_copy(copy)
    assert "usual in portraits, not measured in these photos" in capsys.readouterr().out
    like = tmp_path / "out" / "crops.json"
    again = crop(root, tmp_path / "again", report=Reporter(quiet=True), **OPTIONS | {"like": like})
    assert {row.box for row in again.rows} == {Box(16, 26, 56, 79)}


def test_held_is_the_share_of_train_faces_inside_the_window(root: Path, tmp_path: Path) -> None:
    # Without a margin 4 : 3 keeps 18 columns and 24 rows, 27..45 and 38..62. Rows: the faces of the second person, at
    # 38..62, fit and those of the first, at 36..60, do not. Columns: 16 wide, so x must lie in 35..37: 3 of 7.
    copy = copied(root, tmp_path / "out", fixed=True, margin=0.0)
    assert {row.box for row in copy.rows} == {Box(27, 38, 45, 62)}
    assert copy.held == pytest.approx(3 / 13)


def test_another_sets_window_crops_like_that_set(root: Path, tmp_path: Path) -> None:
    copied(root, tmp_path / "first", fixed=True)
    only_eval = tmp_path / "only_eval"
    shutil.copytree(root / "eval", only_eval / "eval")
    options: dict[str, Any] = {"detector": None, "any_detector": False, "fixed": False, "margin": None, "aspect": None}
    like = tmp_path / "first" / "crops.json"
    crop(only_eval, tmp_path / "second", like=like, report=Reporter(quiet=True), **options)
    first, second = hashes_of(tmp_path / "first"), hashes_of(tmp_path / "second")
    photos = [f"eval/images/{name}" for name in EVAL]
    assert {path: first[path] for path in photos} == {path: second[path] for path in photos}
    told = json.loads((tmp_path / "second" / "crops.json").read_text())
    assert told["like"] == files.file_sha256(like)
    assert (told["margin"], told["aspect"], told["fixed"]) == (RECIPE_MARGIN, [4, 3], True)
    # And its crops.json serves a third set.
    crop(only_eval, tmp_path / "third", like=tmp_path / "second" / "crops.json", report=Reporter(quiet=True), **options)
    third = hashes_of(tmp_path / "third")
    assert {path: third[path] for path in photos} == {path: second[path] for path in photos}


def test_with_a_detector_another_sets_window_is_the_fallback(root: Path, tmp_path: Path) -> None:
    other = Window(0.25, 0.25, 0.25, 0.25, (0, 0, 0, 0), 1)
    copy = copied(root, tmp_path / "out", window=other)
    rows = listed(tmp_path / "out")
    # 18 x 24 at (18, 24), with a quarter on each side 27 x 36.
    assert box_of(rows["eval/images/c.jpg"]) == Box(4, 6, 31, 42)
    assert rows["eval/images/b.jpg"]["how"] == "detector"
    assert copy.window == other


# --- tables ---------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Path:
    home = tmp_path / "photos"
    paint(home / "anna" / "1.jpg", Face(28, 36, 16, 24))
    paint(home / "anna" / "2.png", Face(28, 36, 16, 24))
    paint(home / "ben.bmp", None, size=(192, 144))
    (home / "faces.csv").write_text(
        "path,group,mask,gender,age,note\nben.bmp,b,normal,male,,x\nanna/2.png,a,wear,female,34,\n"
        "anna/1.jpg,a,wear,female,34,\n"
    )
    return home / "faces.csv"


def test_a_table_is_copied_with_its_photos(table: Path, tmp_path: Path) -> None:
    out = table.parent / "cropped"  # beside the table is as good a place as any
    copy = copied(table, out)
    wanted = {"faces.csv", "anna/1.jpg", "anna/2.png", "ben.bmp", "crops.csv", "crops.json"}
    assert set(hashes_of(out)) == wanted
    assert (out / "faces.csv").read_bytes() == table.read_bytes()
    pd.testing.assert_frame_equal(
        source.read_unlabelled(out / "faces.csv", "table", CONTEST), source.read_unlabelled(table, "table", CONTEST)
    )
    assert list(listed(out)) == ["ben.bmp", "anna/2.png", "anna/1.jpg"]
    assert copy.train == 3
    # The window is in shares, so it fits a photo of twice the size.
    assert box_of(listed(out)["anna/1.jpg"]) == Box(22, 30, 49, 66)
    assert box_of(listed(out)["ben.bmp"]) == Box(45, 60, 99, 132)
    assert (out / "ben.bmp").read_bytes().startswith(b"BM")


@pytest.mark.parametrize("name", ["crops.csv", "crops.json"])
def test_the_copys_own_names_are_taken(table: Path, tmp_path: Path, name: str) -> None:
    table.rename(table.parent / name)
    with pytest.raises(DataError, match="these names") as caught:
        copied(table.parent / name, tmp_path / "out")
    assert caught.value.offenders == (name,)


def test_photos_with_absolute_paths_are_not_copied(table: Path, tmp_path: Path) -> None:
    table.write_text(f"path,group\n{table.parent}/anna/1.jpg,a\nben.bmp,b\n")
    with pytest.raises(DataError, match="cannot be copied") as caught:
        copied(table, tmp_path / "out")
    assert caught.value.offenders == (f"{table.parent}/anna/1.jpg",)


def test_data_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such data"):
        copied(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cannot read the table"):
        copied(tmp_path / "empty", tmp_path / "out")


# --- whole or not at all --------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [False, True])
def test_an_empty_folder_is_as_good_as_none(root: Path, tmp_path: Path, empty: bool) -> None:
    if empty:
        (tmp_path / "out").mkdir()
    copied(root, tmp_path / "out")
    assert len(listed(tmp_path / "out")) == 17


def test_nothing_is_overwritten(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("precious")
    with pytest.raises(BusyError):
        copied(root, out)
    out_file = tmp_path / "file"
    out_file.write_text("precious")
    with pytest.raises(BusyError):
        copied(root, out_file)
    assert hashes_of(out) == {"mine": files.sha256(b"precious")}


def test_what_appears_meanwhile_is_not_overwritten(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    original = files.commit_json

    def slow(path: Path, value: object) -> str:
        out.mkdir(exist_ok=True)
        (out / "mine").write_text("precious")
        return original(path, value)

    monkeypatch.setattr(cropping.files, "commit_json", slow)
    with pytest.raises(BusyError):
        copied(root, out)
    assert hashes_of(out) == {"mine": files.sha256(b"precious")}


def test_unreadable_photos_are_all_named_and_nothing_remains(root: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    broken = ("eval/images/a.jpg", photo(PEOPLE[1], "normal"))
    for path in broken:
        (root / path).write_bytes((root / path).read_bytes()[:500])
    for options in ({}, {"find": None, "window": Window(0.5, 0.5, 0.2, 0.2, (0, 0, 0, 0), 1)}):
        with pytest.raises(DataError) as caught:
            copied(root, home / "out", **options)
        assert sorted(text.split(":")[0] for text in caught.value.offenders) == sorted(broken)
        assert not home.exists() or not list(home.iterdir())


def test_an_interruption_leaves_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(cropping, "_list", stop)
    with pytest.raises(KeyboardInterrupt):
        copied(root, tmp_path / "home" / "out")
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize("inside", [".", "cropped", "train/images/cropped"])
def test_the_copy_may_not_stand_inside_the_data_set(root: Path, inside: str) -> None:
    before = hashes_of(root)
    with pytest.raises((UsageError, BusyError)):
        copied(root, root / inside)
    assert hashes_of(root) == before


# --- what is told ---------------------------------------------------------------------------------


def test_crops_json_says_where_the_copy_is_from(root: Path, tmp_path: Path) -> None:
    copy = copied(root, tmp_path / "out", detector="abc")
    told = json.loads((tmp_path / "out" / "crops.json").read_text())
    assert told.pop("window") == json.loads(json.dumps(copy.window.to_json() if copy.window else None))
    assert told.pop("opencv")
    assert told == {
        "maskcls": __version__,
        "detector": "abc",
        "like": None,
        "fixed": False,
        "margin": RECIPE_MARGIN,
        "aspect": [4, 3],
        "photos": 17,
        "train": 14,
        "counts": {"detector": 15, "fallback": 2, "fixed": 0},
        "held": 1.0,
    }


def test_copies_cropped_alike_are_known(root: Path, tmp_path: Path) -> None:
    copied(root, tmp_path / "a")
    copied(root, tmp_path / "b")
    copied(root, tmp_path / "c", margin=RECIPE_MARGIN / 2)
    found = crops.cropping(tmp_path / "a")
    assert found is not None
    assert found["margin"] == RECIPE_MARGIN
    assert found == crops.cropping(tmp_path / "b") != crops.cropping(tmp_path / "c")
    assert crops.cropping(root) is None
    (tmp_path / "a" / "crops.json").write_text("[]")
    assert crops.cropping(tmp_path / "a") is None


def test_other_photos_than_those_of_the_training_are_told(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces, run = tmp_path / "faces", tmp_path / "run"
    shutil.copytree(drawn, faces)
    about = {"detector": "00", "fixed": False, "margin": 0.3, "aspect": [4, 3], "window": None}
    files.commit_json(faces / "crops.json", about)
    assert train(faces, run, "--folds", "0", "train.epochs=1") == 0
    for data, told in ((faces, False), (drawn, True)):
        capsys.readouterr()
        assert run_app(["predict", str(run), "--data", str(data), "-o", str(tmp_path / f"{told}.csv")]) == 0
        assert ("not cropped like the training photos" in capsys.readouterr().err) == told


def test_the_summary_names_what_fell_back(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    print_copy(copied(root, out))
    text = capsys.readouterr().out
    assert f"{out}  17 photos, 14 of them train photos" in text
    assert "15 cropped at their own face" in text
    assert f"2 without a face, cropped at the window: {FACELESS}, eval/images/c.jpg; {out / 'crops.csv'}" in text
    assert "centre x 0.500" in text
    assert "of 13 faces" in text
    # Box(22, 32, 49, 68) in 96 x 72: 2 * 68 - 96 = 40 of 96 rows, 72 - 2 * 22 = 28 of 72 columns.
    assert "transforms.crop=[0.42,0.39] contains it in 96 x 72 photos" in text
    assert "transforms.crop=[1,1]" in text


def test_a_long_list_is_cut(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in EVAL:
        paint(root / "eval" / "images" / name, None)
    print_copy(copied(root, tmp_path / "out"))
    named = f"{FACELESS}, eval/images/b.jpg, eval/images/a.jpg, …;"
    assert f"4 without a face, cropped at the window: {named}" in capsys.readouterr().out


# --- options --------------------------------------------------------------------------------------

OPTIONS: dict[str, Any] = {
    "detector": None, "any_detector": False, "like": None, "fixed": False, "margin": None, "aspect": None
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "nothing says where"),
        ({"like": Path("a"), "any_detector": True}, "--any-detector without"),
        ({"like": Path("a"), "margin": 0.3}, "--like brings"),
        ({"like": Path("a"), "aspect": "4:3"}, "--like brings"),
        ({"like": Path("a"), "detector": Path("b"), "fixed": True}, "--fixed"),
        ({"detector": Path("b"), "margin": -0.1}, "margin"),
        ({"detector": Path("b"), "margin": 5.1}, "margin"),
    ],
)
def test_options_that_contradict(root: Path, tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        crop(root, tmp_path / "out", report=Reporter(quiet=True), **OPTIONS | given)


def test_a_missing_detector_is_told_before_photos_are_read(tmp_path: Path) -> None:
    options = OPTIONS | {"detector": tmp_path / "yunet.onnx"}
    with pytest.raises(WeightsError, match="face detector"):
        crop(tmp_path / "nowhere", tmp_path / "out", report=Reporter(quiet=True), **options)


@pytest.fixture
def yunet(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, bool]]:
    """Put the stand-in in the place of YuNet; returns what it was opened with."""
    opened: list[tuple[Path, bool]] = []

    class Found:
        sha256 = "5a"

        def __init__(self, path: Path, *, any_model: bool) -> None:
            opened.append((path, any_model))

        def __call__(self, image_HWC: np.ndarray) -> list[Face]:
            return find(image_HWC)

    monkeypatch.setattr(cropping, "YuNet", Found)
    return opened


@pytest.mark.parametrize(
    ("given", "margin", "aspect", "box"),
    [
        ({}, 0.3, [4, 3], Box(22, 31, 51, 69)),  # 25.6 x 38.4, 28.8 columns; around (36, 50), 21.5 to the even 22
        ({"margin": 0.0}, 0.0, [4, 3], Box(27, 38, 45, 62)),
        ({"margin": 0.0, "aspect": "1:1"}, 0.0, [1, 1], Box(24, 38, 48, 62)),
        ({"margin": 0.25, "aspect": "128x64"}, 0.25, [128, 64], Box(24, 26, 48, 74)),
    ],
)
def test_margin_and_aspect_decide_the_box(
    root: Path,
    tmp_path: Path,
    yunet: list[tuple[Path, bool]],
    given: dict[str, Any],
    margin: float,
    aspect: list[int],
    box: Box,
) -> None:
    options = OPTIONS | {"detector": Path("x.onnx"), "any_detector": True} | given
    crop(root, tmp_path / "out", report=Reporter(quiet=True), **options)
    told = json.loads((tmp_path / "out" / "crops.json").read_text())
    assert (told["margin"], told["aspect"], told["detector"]) == (margin, aspect, "5a")
    row = listed(tmp_path / "out")[photo(PEOPLE[1], STEMS[3])]
    assert (row["how"], box_of(row)) == ("detector", box)
    assert yunet == [(Path("x.onnx"), True)]


def test_like_and_a_detector_work_together(root: Path, tmp_path: Path, yunet: list[tuple[Path, bool]]) -> None:
    copied(root, tmp_path / "first", margin=0.5, aspect=(1, 1))
    options = OPTIONS | {"detector": Path("x.onnx"), "like": tmp_path / "first" / "crops.json"}
    crop(root, tmp_path / "second", report=Reporter(quiet=True), **options)
    first, second = hashes_of(tmp_path / "first"), hashes_of(tmp_path / "second")
    assert [path for path in first if first[path] != second[path]] == ["crops.json"]
    assert yunet == [(Path("x.onnx"), False)]


@pytest.mark.parametrize("text", ["", "4", "4/3", "4:3:2", "0:3", "-4:3", "4:3 ", "1.3:1", "9:2", "1:5", "٤:3"])
def test_an_aspect_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError, match="aspect"):
        parse_aspect(text)


def test_fixed_searches_the_train_photos_only(root: Path, tmp_path: Path) -> None:
    def counted(seen: list[int]) -> Callable[[np.ndarray], list[Face]]:
        return lambda image: seen.append(1) or find(image)  # type: ignore[func-returns-value]

    for fixed, photos in ((False, 17), (True, 14)):
        seen: list[int] = []
        copied(root, tmp_path / f"out{fixed}", find=counted(seen), fixed=fixed)
        assert len(seen) == photos
