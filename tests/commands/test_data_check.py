"""maskcls data check on drawn faces: nothing on clean ones, every planted fault, folds of a run, page, JSON, code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from browser import axe_violations, browser_page, overflow
from PIL import Image
from tiny import RECIPE, recipe, tiny, train

from maskcls.cli import run_app
from maskcls.commands.data.check import NetworkSource, check
from maskcls.data.drawn.faces import make_faces
from maskcls.data.duplicates import candidates
from maskcls.data.findings import (
    ERRORS,
    INFORMATION,
    KINDS,
    LEVELS,
    MEANING,
    DataFinding,
    Item,
    sorted_findings,
    worst_level,
)
from maskcls.data.layouts.contest import read_train
from maskcls.data.layouts.source import image_root
from maskcls.data.photos.images import read_image
from maskcls.errors import ConfigError, Exit
from maskcls.groupnouns import PHOTOS
from maskcls.labels import CONTEST
from maskcls.results.shift.between_parts import Shift
from maskcls.results.shift.two_sample import TwoSample
from maskcls.show.data.check import DataCheck, certainty_lines, finding_lines
from maskcls.show.data.check_page import write_check_page
from maskcls.show.terminal.progress import Reporter
from maskcls.training.data_check import duplicates

K2 = ("folds.k=2",)
FAST = ("model.backbone=test_convnext", "train.epochs=1")


def checked(root: Path, *words: str, network: NetworkSource | None = None) -> DataCheck:
    with Reporter(quiet=True) as report:
        return check(root, tiny(*words), report, network=network)


def kinds(found: DataCheck) -> dict[str, list[set[str]]]:
    """Return the photos of each case, by kind."""
    return {one.kind: [set(item.paths) for item in one.items] for one in found.findings}


@pytest.fixture(autouse=True)
def fewer_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit the thresholds on copies of fewer photos: much of the time of a check goes into them.

    The planted faults, checked once for the module, and the test in a process of its own have the full number.
    """
    monkeypatch.setattr(duplicates, "MADE_FROM", 6)


@pytest.fixture
def fewer_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare fewer pairs of photos, where the test is not about near duplicates."""
    monkeypatch.setattr(candidates, "NEAREST", 2)


def save(image: np.ndarray, path: Path) -> None:
    Image.fromarray(image).save(path, quality=95)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, set[str]]]:
    """Return drawn faces with one fault of each kind, and the photos that each must name."""
    root = tmp_path_factory.mktemp("planted") / "faces"
    make_faces(root, people=14, seed=0, eval_people=3, size=(96, 72))
    frame = read_train(root, CONTEST)
    people = frame["person"].unique().tolist()
    path = {
        (person, id.rpartition("/")[2]): p
        for person, id, p in zip(frame["person"], frame["id"], frame["path"], strict=True)
    }
    evals = sorted(f"eval/images/{one.name}" for one in (root / "eval" / "images").iterdir())
    own = {
        stem: path[people[0], stem]
        for stem in ("mask1", "mask2", "mask3", "mask4", "mask5", "normal", "incorrect_mask")
    }
    (root / own["mask1"]).write_bytes((root / own["mask1"]).read_bytes()[:900])
    save(np.full((96, 72, 3), 77, np.uint8), root / own["mask2"])
    save((read_image(root / own["mask3"]) * 0.15).astype(np.uint8), root / own["mask3"])
    save(cv2.GaussianBlur(read_image(root / own["mask4"]), (0, 0), 3), root / own["mask4"])
    save(read_image(root / own["mask5"])[:, 20:50], root / own["mask5"])
    shutil.copy(root / own["normal"], root / own["incorrect_mask"])
    fold = dict(zip(frame["path"], folds_of(root), strict=True))
    a, b, c, d = apart(people[1:], path, fold)
    shutil.copy(root / a, root / b)
    save(read_image(root / c)[:, ::-1], root / d)
    third = path[people[1], "mask4"]
    shutil.copy(root / third, root / evals[0])
    save(np.clip(read_image(root / path[people[1], "mask3"]) * 0.85, 0, 255).astype(np.uint8), root / evals[1])
    return root, {
        "unreadable": {own["mask1"]},
        "blank": {own["mask2"]},
        "dark": {own["mask3"]},
        "blurred": {own["mask4"]},
        "odd-size": {own["mask5"]},
        "labels": {own["normal"], own["incorrect_mask"]},
        "folds": {a, b},
        "near-folds": {c, d},
        "eval": {third, evals[0]},
        "near-eval": {path[people[1], "mask3"], evals[1]},
    }


@pytest.fixture(scope="module")
def planted_check(planted: tuple[Path, dict[str, set[str]]]) -> DataCheck:
    return checked(planted[0], *K2)


def folds_of(root: Path) -> list[int]:
    from maskcls.data.rows import folds

    table = folds.build(read_train(root, CONTEST), CONTEST, k=2, holdout=0.2, seed=0)
    return [int(fold) for fold in table["fold"]]


def apart(people: list[str], path: dict[tuple[str, str], str], fold: dict[str, int]) -> tuple[str, str, str, str]:
    """Return two pairs of photos of people of one gender and age band in different folds."""
    found: list[str] = []
    for one in people:
        for other in people:
            a, b = path[one, "mask5"], path[other, "mask5"]
            alike = one.split("_")[1] == other.split("_")[1] and band(one) == band(other)
            if one < other and alike and fold[a] != fold[b] and not {a, b} & set(found):
                found += [a, b]
    return found[0], found[1], found[2], found[3]


def band(person: str) -> int:
    age = int(person.split("_")[3])
    return (age >= 30) + (age >= 60)


def test_clean_faces_have_nothing_but_small_classes(drawn: Path) -> None:
    found = checked(drawn, *K2)
    assert set(kinds(found)) <= {"few-people"}
    assert found.exit_code("error") == found.exit_code("warning") == Exit.OK
    assert found.near.across is not None
    assert found.near.across.pairs == 84 * 83 // 2 - 12 * 21
    assert found.near.within is not None
    assert found.near.within.pairs == 12 * 21


def test_every_planted_fault_is_found_and_no_other(
    planted: tuple[Path, dict[str, set[str]]], planted_check: DataCheck
) -> None:
    found = kinds(planted_check)
    assert {kind: set().union(*cases) for kind, cases in found.items() if kind != "few-people"} == planted[1]


def test_page_json_text_and_exit_code(
    planted: tuple[Path, dict[str, set[str]]],
    planted_check: DataCheck,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, expected = planted
    monkeypatch.setattr("maskcls.commands.data.check.check", lambda *_, network: planted_check)
    page, words = tmp_path / "check.html", recipe(*K2)
    assert run_app(["data", "check", str(root), *words, "--json", "--page", str(page)]) == Exit.DATA
    data = json.loads(capsys.readouterr().out)
    assert {one["kind"] for one in data["findings"]} - {"few-people"} == expected.keys()
    assert data["worst"] == "error"
    assert all(one["count"] == len(one["items"]) for one in data["findings"])
    pairs = [set(one["paths"]) for one in data["near_duplicates"]["pairs"]]
    assert expected["near-folds"] in pairs
    assert data["near_duplicates"]["across"]["recall"]["value"] > 0.9
    html = page.read_text()
    assert "data:image/jpeg" not in html  # photos are embedded only with --with-photos
    assert all(name in html for names in expected.values() for name in names)
    assert run_app(["data", "check", str(root), *words, "--page", str(page)]) == Exit.BUSY
    assert run_app(["data", "check", str(root), *words, "--page", str(tmp_path / "a.pdf")]) == Exit.USAGE
    assert run_app(["data", "check", str(root), *words, "--with-photos"]) == Exit.USAGE


def test_lines_are_a_table_with_the_first_cases(
    planted: tuple[Path, dict[str, set[str]]], planted_check: DataCheck, tmp_path: Path
) -> None:
    expected, found = planted[1], planted_check
    lines = finding_lines(found)
    (row,) = [i for i, line in enumerate(lines) if MEANING["unreadable"] in line]
    assert re.fullmatch(r"error\s+1  photos that cannot be read", lines[row])
    assert lines[row + 1].startswith(f"    {next(iter(expected['unreadable']))}: truncated or damaged image")
    shift = Shift(True, (), {"pixels": TwoSample(0.734, 0.708, 0.0125, 53, 371)}, ())
    sure = certainty_lines(replace(found, shift=shift))
    single = certainty_lines(replace(found, shift=shift, noun=PHOTOS))
    assert any("(each photo on its own)" in line for line in single)
    assert [line.partition(": ")[0] for line in sure[:2]] == [
        *("near duplicates, pairs of different people", "near duplicates, pairs of one person"),
    ]
    assert sure[2].startswith("    agreement: 1 for equal photos;")
    assert sure[3:] == [
        "eval against train, pixels: AUC 0.734, by chance up to 0.708, p = 0.0125 (people)",
        "    AUC: 0.5 if they cannot be told apart; p below 0.01 is a warning",
    ]
    page = tmp_path / "photos.html"
    write_check_page(found, page, name="<faces>", photos=True, force=False)
    html = page.read_text()
    assert "&lt;faces&gt;" in html
    assert html.count("data:image/jpeg") == sum(
        len(case) for one, cases in kinds(found).items() if one != "unreadable" for case in cases
    )
    for width, scheme in ((390, "dark"), (1280, "light")):
        with browser_page(width, scheme=scheme) as view:
            view.goto(page.as_uri())
            assert axe_violations(view) == []
            assert overflow(view) == 0


@pytest.mark.usefixtures("fewer_pairs")
def test_fail_on_warning_and_allowed_photos(tmp_path: Path, few: Path) -> None:
    root = tmp_path / "faces"
    shutil.copytree(few, root)
    frame = read_train(root, CONTEST)
    first = frame["path"].iloc[0]
    other = frame["path"].iloc[frame["id"].tolist().index(frame["id"].iloc[0].replace("incorrect_mask", "normal"))]
    assert first != other
    shutil.copy(root / first, root / other)
    words = ["data", "check", str(root), *recipe(*K2), "data.same_photos=allow"]
    assert run_app(words) == Exit.OK  # without the setting they are an error, see the planted faults
    assert run_app([*words, "--fail-on", "warning"]) == Exit.DATA


def test_the_verb_hands_on_its_options(
    drawn: Path,
    planted_check: DataCheck,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from maskcls.commands.data import check as command
    from maskcls.show.data import check_page

    asked: list[Any] = []
    found = replace(planted_check, findings=(DataFinding("near", (Item((), "a pair"),)),))
    monkeypatch.setattr(command, "check", lambda *_, network: asked.append(network) or found)
    monkeypatch.setattr("maskcls.runs.records.versions.other_versions", lambda _: {})
    monkeypatch.setattr(check_page, "write_check_page", lambda *_, name, photos, force: asked.append((name, photos)))
    words, page = ["data", "check", str(drawn), *recipe(*K2)], tmp_path / "page.html"
    page.write_text("mine")
    assert [one.level for one in found.findings] == ["information"]
    assert run_app([*words, "--run", "r", "--fail-on", "warning"]) == Exit.OK
    assert run_app([*words, "--weights", "w", "--fail-on", "information"]) == Exit.DATA
    assert run_app([*words, "--page", str(page)]) == Exit.BUSY
    assert run_app([*words, "--page", str(page), "--force"]) == Exit.OK
    assert run_app([*words, "--page", str(page), "--force", "--with-photos"]) == Exit.OK
    none = NetworkSource()
    networks = [NetworkSource(run=Path("r")), NetworkSource(weights=Path("w"))]
    assert asked == [*networks, none, (drawn.name, False), none, (drawn.name, True)]
    capsys.readouterr()


@pytest.mark.usefixtures("fewer_pairs")
def test_a_run_gives_folds_embeddings_and_class_shares(few: Path, tmp_path: Path) -> None:
    run, faces = tmp_path / "run", Path(shutil.copytree(few, tmp_path / "faces"))
    assert train(faces, run, *FAST) == 0
    photo = next(faces.rglob("train/images/*/*.jpg"))
    changed = photo.relative_to(image_root(faces, "contest")).as_posix()
    photo.write_bytes(photo.read_bytes() + b" ")
    found = checked(faces, *K2, network=NetworkSource(run=run))
    assert found.shift is not None
    assert [(one.task, one.label) for one in found.shift.shares][:4] == [
        *(("mask", name) for name in ("wear", "incorrect", "normal")),
        ("gender", "male"),
    ]
    assert sum(one.share for one in found.shift.shares if one.task == "age") == pytest.approx(1)
    assert [item.paths for one in found.findings if one.kind == "changed" for item in one.items] == [(changed,)]
    with pytest.raises(ConfigError, match="other classes"):
        checked(faces, "tasks=[{name: gender, classes: [male, female]}]", network=NetworkSource(run=run))
    weights = run / "fold0" / "best" / "weights.safetensors"
    assert checked(faces, *K2, FAST[0], network=NetworkSource(weights=weights)).near.across is not None
    words = ["data", "check", str(faces), *RECIPE, "--run", str(run), "--weights", str(weights)]
    assert run_app(words) == Exit.USAGE


@pytest.mark.slow  # tests/cli/test_startup.py has the same command line
def test_without_a_network_torch_is_not_imported(drawn: Path) -> None:
    code = (
        "import sys; from maskcls.cli import run_app\n"
        f"code = run_app(['data', 'check', {str(drawn)!r}, 'folds.k=2'])\n"
        "assert code == 0, code\nassert not {'torch', 'timm', 'matplotlib'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_kinds_have_a_meaning_and_one_level() -> None:
    assert len(KINDS) == len(set(KINDS)) == 25
    assert MEANING.keys() == set(KINDS)
    assert not set(ERRORS) & set(INFORMATION)
    one = Item((), "text")
    levels = {kind: DataFinding(kind, (one,)).level for kind in KINDS}
    assert {kind for kind, level in levels.items() if level == "error"} == {"unreadable", "labels", "folds", "no-folds"}
    information = {kind for kind, level in levels.items() if level == "information"}
    assert information == {"repeated", "near", "near-unrated", "few-people"}
    assert DataFinding("labels", (one,), allowed=True).level == "warning"
    found = sorted_findings([DataFinding("near", (one,)), DataFinding("dark", ()), DataFinding("eval", (one,))])
    assert [finding.kind for finding in found] == ["eval", "near"]
    assert (worst_level(found), worst_level([])) == ("warning", None)
    assert LEVELS == ("error", "warning", "information")
