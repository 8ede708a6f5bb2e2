"""A run knows its photos by content: an exchanged one is refused by name, moved ones are not."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edited import edit_json
from photos import PLAIN, noise, write_photos
from PIL import Image
from tiny import tiny

from maskcls.cli import run_app
from maskcls.commands.export import check_photos_of
from maskcls.commands.pseudo_label import known_files
from maskcls.data.dataset import Key, Photos
from maskcls.data.photos.identity.photo_digests import digests_of_files, read_photo_digests
from maskcls.engine.device import start
from maskcls.errors import DataError, Exit, MaskclsError, ResultError, WeightsError
from maskcls.results.added.added_set import AddedSet
from maskcls.results.photo_contents import PHOTOS
from maskcls.results.pseudo.write_labels import write_pseudo
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.environment import read_environment, this_machine
from maskcls.runs.records.sealed_people import refuse_sealed_photos
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import with_photos
from maskcls.training.experiment import Experiment, read_experiment
from maskcls.training.explaining.own_folds import find_in_table
from maskcls.training.known_photos import cured_by_restoring, known_photo, refuse_changed_rows
from maskcls.training.stored_experiment import (
    check_data_unchanged,
    note_changed_data,
    open_experiment,
    open_with_photos,
    write_identity,
)

PEOPLE = 5  # one digit: rows are in the order of the names
TABLE = ("data.format=table", "tasks=[{name: helmet, classes: [none, worn]}]", "data.cache=off")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_photos(folder, 2 * PEOPLE)
    lines = [f"{i}.png,p{i // 2},{('none', 'worn')[i // 2 % 2]}" for i in range(2 * PEOPLE)]
    (folder / "t.csv").write_text("path,group,helmet\n" + "\n".join(lines) + "\n")
    return folder / "t.csv"


def begin(data: Path, run: Path, *words: str) -> RunDir:
    """Write what a training writes before its first epoch."""
    found = with_its_photos(read_experiment(tiny(*TABLE, *words), data, RunDir(run)))
    write_identity(found, [0], this_machine("cpu", 1))
    return found.run


def with_its_photos(found: Experiment) -> Experiment:
    with Reporter(quiet=True) as report:
        return with_photos(found, start(found.cfg.device), report)


def exchange(photo: Path, row: int = 99) -> None:
    """Replace a photo by another one of the same number of bytes."""
    before = photo.stat().st_size
    Image.fromarray(noise(row)).save(photo, compress_level=0)
    other = photo.read_bytes()
    photo.write_bytes(other)
    assert before == len(other)


@pytest.fixture
def run(data: Path, tmp_path: Path) -> RunDir:
    for photo in data.parent.glob("*.png"):
        Image.open(photo).copy().save(photo, compress_level=0)
    return begin(data, tmp_path / "run")


def test_the_run_keeps_size_and_digest_of_every_photo(run: RunDir, data: Path) -> None:
    known = read_photo_digests(run.photos)
    assert list(known.ids) == [f"{i}.png" for i in range(2 * PEOPLE)]
    for name, size, digest in zip(known.ids, known.size_N, known.digest_ND, strict=True):
        content = (data.parent / name).read_bytes()
        assert size == len(content)
        assert bytes(digest) == hashlib.blake2b(content, digest_size=16).digest()
    assert run.photos.name in read_environment(run).hashes


def test_a_training_takes_pseudo_labels_only_of_the_photos_that_were_labelled(data: Path, tmp_path: Path) -> None:
    """Two photos change places between pseudo-label and train."""
    (album := data.parent / "album").mkdir()
    ids = [f"album/{i}.png" for i in range(3)]
    for row, name in enumerate(ids):
        Image.fromarray(noise(50 + row)).save(data.parent / name)
    contents = {id: hashlib.blake2b((data.parent / id).read_bytes(), digest_size=16).digest() for id in ids}
    rows = AddedSet(np.array(ids), np.array(ids), {"helmet": np.array([0, 1, 0])}, None, np.ones(3))
    words = [*TABLE, f"data.pseudo={tmp_path / 'p.csv'}", "data.leaky=true"]
    write_pseudo(
        tmp_path / "p.csv",
        {REFIT: rows},
        tiny(*TABLE).space,
        folds_sha256=None,
        k=2,
        lineage={},
        leaky=True,
        contents=contents,
    )
    first = read_experiment(tiny(*words), data, RunDir(tmp_path / "run"))
    assert with_its_photos(first).photos is not None
    for before, after in (("0.png", "x"), ("1.png", "0.png"), ("x", "1.png")):
        (album / before).rename(album / after)
    with pytest.raises(DataError, match="not the ones that were labelled") as error:
        with_its_photos(first)
    assert error.value.offenders == ("'album/0.png'", "'album/1.png'")
    assert error.value.where == str(tmp_path / "p.csv")
    edit_json(tmp_path / "p.json", {PHOTOS: None})  # an earlier version wrote it
    assert with_its_photos(read_experiment(tiny(*words), data, RunDir(tmp_path / "run"))).photos is not None


def test_sealed_photos_are_known_too(drawn: Path, tmp_path: Path) -> None:
    found = with_its_photos(read_experiment(tiny("folds.sealed=0.25", "data.cache=off"), drawn, RunDir(tmp_path)))
    assert found.sealed is not None
    assert found.photos is not None
    assert sorted(found.photos.ids) == sorted([*found.manifest["id"], *found.sealed["id"]])


def test_a_copy_of_a_sealed_photo_is_not_predicted(drawn: Path, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    found = with_its_photos(read_experiment(tiny("folds.sealed=0.25", "data.cache=off"), drawn, run))
    write_identity(found, [0], this_machine("cpu", 1))
    assert found.sealed is not None
    shutil.copy(drawn / found.sealed["path"].iat[0], tmp_path / "a.jpg")
    shutil.copy(drawn / found.manifest["path"].iat[0], tmp_path / "b.jpg")
    refuse_sealed_photos(run, drawn, tmp_path, ["b.jpg", "absent.jpg"])
    with pytest.raises(DataError) as caught:
        refuse_sealed_photos(run, drawn, tmp_path, ["b.jpg", "a.jpg"])
    assert caught.value.offenders == ("'a.jpg'",)


@pytest.mark.parametrize("cache", ["on", "off"])
def test_resume_names_every_exchanged_photo(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], cache: str
) -> None:
    for photo in data.parent.glob("*.png"):
        Image.open(photo).copy().save(photo, compress_level=0)
    run = begin(data, tmp_path / "run", f"data.cache={cache}")
    for row in (3, 8):
        exchange(data.parent / f"{row}.png")
    assert run_app(["resume", str(run.path)]) == Exit.WEIGHTS
    said = capsys.readouterr().err
    assert "their content has changed" in said
    assert "3.png" in said
    assert "8.png" in said
    assert "7.png" not in said


def test_a_photo_of_another_size_is_named_before_any_is_decoded(
    run: RunDir, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (18, 24)).save(data.parent / "5.png")
    monkeypatch.setattr("maskcls.training.checks.cached_views", lambda *_, **__: pytest.fail("photos were read"))
    with pytest.raises(WeightsError) as caught:
        with_its_photos(open_experiment(run)[0])
    assert caught.value.offenders == ("5.png",)


def test_a_run_of_an_earlier_version_has_no_digests_and_is_read(run: RunDir, data: Path) -> None:
    found = replace(open_experiment(run)[0], photos=None)
    exchange(data.parent / "3.png")
    assert with_its_photos(found).photos is not None


def test_a_damaged_table_of_photos_is_an_error(tmp_path: Path) -> None:
    for cells in ("a.png,x,00", "a.png,5,zz", "a.png,5,0011"):
        (tmp_path / "photos.csv").write_text(f"id,bytes,blake2b\n{cells}\n")
        with pytest.raises(ResultError, match="damaged"):
            read_photo_digests(tmp_path / "photos.csv")


def test_a_photo_exchanged_by_a_link_in_mid_run_is_named(tmp_path: Path) -> None:
    """Without the cache photos are read in every epoch."""
    write_photos(tmp_path, 4)
    names = [f"{i}.png" for i in range(4)]
    known = digests_of_files(tmp_path, names, names, threads=1)
    photos = Photos(tmp_path, names, names, [PLAIN], seed=0, digest_ND=known.digest_ND)
    assert isinstance(photos.__getitems__([Key(row) for row in range(4)]), list)
    for row in (1, 2):
        (tmp_path / names[row]).unlink()
        (tmp_path / names[row]).symlink_to(tmp_path / "0.png")
    error = photos.__getitems__([Key(row) for row in range(4)])
    assert isinstance(error, DataError)
    assert error.offenders == ("1.png", "2.png")


def test_an_experiment_gives_the_digests_to_its_photos(run: RunDir, data: Path) -> None:
    found, _ = open_experiment(run)
    rows = found.rows(found.members[0], 0)
    exchange(data.parent / "7.png")
    assert isinstance(rows.photos[Key(7)], DataError)
    assert isinstance(rows.photos[Key(6)], list)


def test_rows_that_are_read_alone_are_compared(run: RunDir, data: Path) -> None:
    found, _ = open_experiment(run)
    exchange(data.parent / "2.png")
    refuse_changed_rows(found, [0, 1, 3])
    with pytest.raises(WeightsError) as caught:
        refuse_changed_rows(found, [1, 2])
    assert caught.value.offenders == ("2.png",)
    assert known_photo(found, 1, at_least=(8, 8)).shape == (24, 18, 3)
    with pytest.raises(WeightsError):
        known_photo(found, 2, at_least=(8, 8))
    with pytest.raises(MaskclsError):
        check_photos_of(run, type("Model", (), {"decode_size": (8, 8)})(), 10)  # type: ignore[arg-type]


CURE = "restore these files as they were when the run began"


def test_photos_of_a_run_are_restored_not_corrected(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, photo = begin(data, tmp_path / "run"), data.parent / "3.png"
    content = photo.read_bytes()

    def refused(*words: str) -> str:
        assert run_app([*words, str(run.path)]) == Exit.DATA
        return capsys.readouterr().err

    photo.write_bytes(b"x" * len(content))
    said = refused("resume")
    assert "3.png: " in said
    assert f"fix: {CURE}, or say where the data are now: --data PATH\n" in said
    photo.unlink()
    said = refused("resume")
    assert "3.png" in said
    assert f"fix: {CURE}, or say where the data are now: --data PATH\n" in said
    with pytest.raises(DataError, match=CURE) as caught:
        check_photos_of(run, type("Model", (), {"decode_size": (8, 8)})(), 10)  # type: ignore[arg-type]
    assert str(caught.value.where).endswith("3.png")
    with pytest.raises(DataError) as caught, cured_by_restoring(takes_data=False):
        raise DataError("a", where="b", got="c", fix="correct it", offenders=["d"])
    assert str(caught.value) == f"error[data] a\n  1 in total: d\n  where: b\n  got: c\n  fix: {CURE}"


# verb -> where it reads the photos of the run; it has no photo to read here.
READERS = {
    "resume": "maskcls.commands.resume.with_photos",
    "tta": "maskcls.commands.tta.with_photos",
    "debug": "maskcls.diagnosis.with_training.finished.with_photos",
}


@pytest.mark.parametrize("verb", READERS)
def test_every_verb_that_reads_the_photos_of_a_run_says_so(
    verb: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begin(data, tmp_path / "run")
    edit_json(run.env, {"folds": [0, 1]})

    def unreadable(*_: object, **__: object) -> None:
        raise DataError("images cannot be read", fix="remove them from the data set")

    monkeypatch.setattr(READERS[verb], unreadable)
    monkeypatch.setattr("maskcls.diagnosis.with_training.finished.read_out_of_fold", lambda _: None)
    assert run_app([verb, str(run.path)]) == Exit.DATA
    assert f"fix: {CURE}, or say where" in capsys.readouterr().err


def test_photos_that_are_known_are_found_without_the_old_place(run: RunDir, data: Path) -> None:
    content = (data.parent / "4.png").read_bytes()
    shutil.rmtree(data.parent)
    known = known_files([open_experiment(run)[0]], set())
    assert hashlib.blake2b(content, digest_size=16).digest() in known[len(content)]


def test_moved_data_are_refused_with_the_option_and_taken_by_it(run: RunDir, data: Path, tmp_path: Path) -> None:
    before = run.env.read_bytes()
    data.parent.rename(tmp_path / "moved")
    moved = tmp_path / "moved" / "t.csv"
    with pytest.raises(DataError, match="--data"):
        open_with_photos(run, None)
    with pytest.raises(DataError, match="there is no such data") as caught:
        open_with_photos(run, tmp_path / "nowhere")
    assert (caught.value.where, caught.value.fix) == ("--data", "check the path")
    found, _ = open_with_photos(run, moved)
    assert found.data == moved
    assert len(with_its_photos(found).manifest) == 10
    assert run.env.read_bytes() == before
    exchange(moved.parent / "9.png")
    with pytest.raises(WeightsError):
        with_its_photos(found)
    moved.write_text(moved.read_text().replace("9.png,p4,none", "9.png,p4,worn"))
    with pytest.raises(WeightsError, match="no longer the one"):
        open_with_photos(run, moved)


VERBS: dict[str, Callable[[RunDir], list[str]]] = {
    "resume": lambda run: ["resume", str(run.path)],
    "tta": lambda run: ["tta", str(run.path)],
    "debug": lambda run: ["debug", str(run.path)],
    "explain": lambda run: ["explain", str(run.path), str(run.env), "-o", str(run.path / "x.png")],
    "unseal": lambda run: ["unseal", str(run.path)],
    "export": lambda run: ["export", str(run.path)],
}


@pytest.mark.parametrize("verb", VERBS)
def test_the_place_of_the_data_reaches_every_command(
    verb: str, run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[object] = []

    def work(*_: object, **options: object) -> None:
        seen.append(options.get("data", _[-1] if verb == "debug" else None))
        raise MaskclsError("seen")

    module = {"debug": "maskcls.commands.debug.debug_run"}.get(verb, f"maskcls.commands.{verb}.{verb}")
    monkeypatch.setattr(module, work)
    for check in (
        "runs.checks.check_trying_views",
        "runs.checks.check_unsealing",
        "export.export_checks.check_export",
    ):
        monkeypatch.setattr(f"maskcls.{check}", lambda *_, **__: None)
    run_app([*VERBS[verb](run), "--data", str(tmp_path / "new")])
    assert seen == [tmp_path / "new"]


def test_a_table_that_changes_during_the_training_is_reported_at_its_end(run: RunDir, data: Path) -> None:
    found, _ = open_experiment(run)
    check_data_unchanged(found)
    said: list[str] = []
    report = type("Lines", (), {"note": lambda self, text: said.append(text)})()
    note_changed_data(found, report)  # type: ignore[arg-type]
    assert said == []
    data.write_text(data.read_text().replace("9.png,p4,none", "9.png,p4,worn"))
    note_changed_data(found, report)  # type: ignore[arg-type]
    assert len(said) == 1
    assert "changed during the training" in said[0]
    assert "'9.png': helmet was 0, is 1" in said[0]


def test_digests_of_other_rows_are_found_by_id() -> None:
    from maskcls.data.photos.identity.photo_digests import PhotoDigests

    known = PhotoDigests(["a", "b", "c"], np.array([1, 2, 3]), np.arange(48, dtype=np.uint8).reshape(3, 16))
    some = known.of(["c", "a"])
    assert some.size_N.tolist() == [3, 1]
    assert some.digest_ND[:, 0].tolist() == [32, 0]
    assert known.changed(replace(known, digest_ND=known.digest_ND ^ np.uint8([[0], [1], [0]]))) == [1]


def test_a_copy_of_a_photo_is_found_by_what_the_run_began_with(run: RunDir, data: Path, tmp_path: Path) -> None:
    """Else it would be explained by the networks that were trained on it."""
    found, _ = open_experiment(run)
    copies = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "new.png", tmp_path / "absent.png"]
    shutil.copy(data.parent / "4.png", copies[0])
    shutil.copy(data.parent / "6.png", copies[1])
    Image.fromarray(noise(77)).save(copies[2])
    exchange(data.parent / "4.png")
    fold = found.fold.tolist()
    assert [place.rows for place in find_in_table(found, copies)] == [(4,), (6,), (), ()]
    assert find_in_table(found, copies)[0].left_out == (fold[4],)
    with pytest.raises(WeightsError) as caught:
        find_in_table(found, [copies[1], data.parent / "4.png"])
    assert caught.value.offenders == ("4.png",)
    earlier = replace(found, photos=None)  # of an earlier version: the files are compared
    assert [place.rows for place in find_in_table(earlier, copies[:2])] == [(), (6,)]
