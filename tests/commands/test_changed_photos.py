"""Photos that changed since the training: commands that show them say so, those that compute with them refuse."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from edited import edit_json
from finished_run import finish_run
from made_run import make_run

from maskcls.cli import run_app
from maskcls.data.layouts.contest import LAYOUT
from maskcls.data.photos.identity.photo_digests import PhotoDigests, digest
from maskcls.data.rows import manifest as tables
from maskcls.errors import Exit
from maskcls.labels import CONTEST
from maskcls.rundir import RunDir
from maskcls.runs.identity import identity_hashes
from maskcls.runs.integrity.photos_now import other_contents, other_sizes
from maskcls.show.labels.doctor import LabelDoctor, print_labels
from maskcls.show.report import page as page_module
from maskcls.show.report.sections import OF_EACH


def know_photos(run: RunDir, root: Path) -> dict[str, Path]:
    """Write the photos.csv of a run whose photos lie below root, and return the photos by id."""
    frame = tables.from_csv(run.manifest, CONTEST)
    photos = {name: root / path for name, path in zip(frame["id"], frame["path"], strict=True)}
    contents = [path.read_bytes() for path in photos.values()]
    digests = np.array([list(digest(data)) for data in contents], np.uint8)
    run.photos.write_bytes(PhotoDigests(list(photos), np.array([len(data) for data in contents]), digests).to_csv())
    edit_json(run.env, {"hashes": identity_hashes(run)})
    return photos


def exchange(photo: Path) -> None:
    """Change one byte near the end: the same size, and it still decodes."""
    data = bytearray(photo.read_bytes())
    data[-40] ^= 1
    photo.write_bytes(data)


@pytest.fixture
def faces(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "faces"))


def test_a_photo_is_compared_by_content_or_by_size(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    for name in "abcd":
        (tmp_path / name).write_bytes(b"x" * 10)
    one = np.frombuffer(digest(b"x" * 10), np.uint8)
    run.photos.write_bytes(PhotoDigests(list("abcd"), np.full(4, 10), np.tile(one, (4, 1))).to_csv())
    (tmp_path / "b").write_bytes(b"y" * 10)
    (tmp_path / "c").write_bytes(b"y" * 11)
    (tmp_path / "d").unlink()
    paths = {name: name for name in "abcde"}
    assert other_contents(run, tmp_path, paths) == ("b", "c")
    assert other_sizes(run, tmp_path, paths) == ("c",)
    run.photos.unlink()  # a run of an earlier version
    assert other_contents(run, tmp_path, paths) == ()


def test_a_report_names_changed_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], drawn: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(page_module, "OF_EACH", [one for one in OF_EACH if one.id == "mistakes"])
    run, root = finish_run(tmp_path / "a"), LAYOUT.image_root(Path("faces"))
    jpeg = next(drawn.rglob("*.jpg")).read_bytes()
    for path in tables.from_csv(run.manifest, CONTEST)["path"]:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(jpeg)
    photos = know_photos(run, root)

    def reported(*words: str) -> tuple[list[str], str]:
        assert run_app(["report", str(run.path), "--json", *words]) == Exit.OK
        return json.loads(capsys.readouterr().out)["changed_photos"], run.report.read_text()

    changed, page = reported("--with-photos")
    assert changed == []
    assert "changed since" not in page
    for photo in photos.values():
        exchange(photo)
    changed, page = reported("--with-photos")
    assert len(changed) > 5
    assert page.count(f"{changed[0]} (changed since the training)") >= 1
    assert f"{len(changed)} photos changed since the training: {changed[0]}, " in page
    assert reported()[0] == []  # of links nothing is read
    photos[changed[1]].write_bytes(b"longer" * 10_000)
    assert reported()[0] == [changed[1]]
    assert run_app(["report", str(run.path)]) == Exit.OK
    assert f"warning: 1 photo changed since the training: {changed[1]}\n" in capsys.readouterr().out
    lost = {changed[2]: "No such file", changed[3]: "a pipe, not a regular file", changed[4]: "empty file (0 bytes)"}
    for name in lost:
        photos[name].unlink()
    os.mkfifo(photos[changed[3]])
    photos[changed[4]].write_bytes(b"")
    assert run_app(["report", str(run.path), "--with-photos", "--json"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)["unreadable_photos"]
    assert found.keys() == {*lost, changed[1]}
    assert all(reason in found[name] for name, reason in lost.items()), found
    page = run.report.read_text()
    assert "4 photos cannot be read: " in page
    assert all(f"{name} (cannot be read)</a>" in page for name in lost)
    assert f"{changed[1]} (changed since the training) (cannot be read)</a>" in page
    assert page.count('class="photo missing"') >= 4
    assert run_app(["report", str(run.path), "--with-photos"]) == Exit.OK
    assert "warning: 4 photos cannot be read: " in capsys.readouterr().out
    assert run_app(["report", str(run.path), "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["unreadable_photos"] == {}  # of links nothing is read


def test_the_page_of_labels_names_changed_photos(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, page = make_run(tmp_path / "a", faces), tmp_path / "l.html"
    photos = know_photos(run, LAYOUT.image_root(faces))
    words = ["data", "labels", str(run.path), "--top", "1", "--least", "1", "--page", str(page), "--force"]
    assert run_app([*words, "--json"]) == Exit.OK
    exchange(photos[name := json.loads(capsys.readouterr().out)["cases"][0]["photos"][0]])
    assert run_app([*words, "--with-photos", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["changed_photos"] == [name]
    assert f"{name} (changed since the training)" in page.read_text()
    assert f"1 photo changed since the training: {name}. The networks saw" in page.read_text()
    assert run_app([*words, "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["changed_photos"] == []
    photos[name].write_bytes(photos[name].read_bytes() + b"\n")
    assert run_app(words) == Exit.OK
    assert f"warning: 1 photo changed since the training: {name}\n" in capsys.readouterr().out
    photos[name].write_bytes(b"")
    assert run_app([*words, "--with-photos", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["unreadable_photos"] == {name: "empty file (0 bytes)"}
    assert f"{name} (cannot be read)</a>" in page.read_text()
    assert f"1 photo cannot be read: {name} (empty file (0 bytes))." in page.read_text()
    print_labels(LabelDoctor([], 1, 0.5, 1, 1, 1, unreadable_photos={"a": "b"}))
    assert "warning: 1 photo cannot be read: a (b)\n" in capsys.readouterr().out


def test_groups_are_not_measured_on_changed_photos(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "a", faces)
    photos = know_photos(run, LAYOUT.image_root(faces))
    exchange(photos[sorted(photos)[5]])
    assert run_app(["group", str(faces), "--run", str(run.path)]) == Exit.WEIGHTS
    said = capsys.readouterr().err
    assert "their content has changed" in said
    assert photos[sorted(photos)[5]].name in said
