"""The same photo under two people, with two labels, or twice: what train and data check say about it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import experiment, tiny, train

from maskcls.backbone import Backbone
from maskcls.cli import run_app
from maskcls.data.layouts.source import read_labelled, read_unlabelled
from maskcls.data.photos import images
from maskcls.errors import ConfigError, DataError, Exit
from maskcls.labels import CONTEST
from maskcls.nn.network import build_network
from maskcls.training.added.added_source import AddedSource
from maskcls.training.checks import check_same_photos, check_stages
from maskcls.training.experiment import Experiment
from maskcls.training.readable_photos import check_photos

TABLE = ("data.format=table", "tasks=[{name: helmet, classes: [none, worn]}]")


class Lines:
    """A reporter that keeps its notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def images(self, what: str, done: int, of: int) -> None:
        """Show nothing."""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Eight people with two different photos each; those of every second person have a helmet."""
    rng, lines = np.random.default_rng(0), ["path,group,helmet"]
    for person in range(8):
        for photo in range(2):
            name = f"{person}_{photo}.png"
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / name, compress_level=0)
            lines.append(f"{name},p{person},{('none', 'worn')[person % 2]}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "t.csv"


def checked(table: Path, *words: str) -> tuple[Experiment, list[str]]:
    """Return the experiment with its equal photos, and what `check_same_photos` notes."""
    found, report = experiment(table, *TABLE, *words), Lines()
    groups, _ = check_photos(table.parent, found.photo_paths, found.cfg, report)  # type: ignore[arg-type]
    found = replace(found, same_photos=groups)
    check_same_photos(found, report)  # type: ignore[arg-type]
    return found, report.lines


def copy(table: Path, source: str, *targets: str) -> None:
    for target in targets:
        shutil.copy(table.parent / source, table.parent / target)


def two_of(table: Path, *, in_one_fold: bool) -> tuple[str, str]:
    """Return photos of two people with one label, whose people are in one fold, or in two."""
    found = experiment(table, *TABLE)
    fold = dict(zip(found.manifest["path"], found.fold.tolist(), strict=True))
    return next(
        (f"{a}_0.png", f"{b}_0.png")
        for a in range(8)
        for b in range(a + 2, 8, 2)
        if (fold[f"{a}_0.png"] == fold[f"{b}_0.png"]) == in_one_fold
    )


def test_clean_data_says_nothing(table: Path) -> None:
    found, notes = checked(table)
    assert (found.same_photos, notes) == ([], [])


def test_only_photos_that_may_be_equal_are_decoded_again(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy(table, "0_0.png", "5_1.png")
    with Image.open(table.parent / "2_0.png") as image:
        other = image.copy()
    other.putpixel((0, 0), (0, 0, 0))
    other.save(table.parent / "7_0.png")
    read: Counter[str] = Counter()
    read_bytes = images.read_bytes

    def counted(path: Path) -> bytes:
        read[path.name] += 1
        return read_bytes(path)

    monkeypatch.setattr(images, "read_bytes", counted)
    paths = sorted(path.name for path in table.parent.glob("*.png"))
    groups, _ = check_photos(table.parent, paths, tiny(), Lines())  # type: ignore[arg-type]
    assert [tuple(paths[row] for row in group) for group in groups] == [("0_0.png", "5_1.png")]
    assert {name for name, times in read.items() if times == 2} == {"0_0.png", "5_1.png", "2_0.png", "7_0.png"}
    assert sorted(read.values()) == [1] * 12 + [2] * 4


def test_one_photo_in_two_folds_is_refused_and_named(table: Path) -> None:
    a, b = two_of(table, in_one_fold=False)
    copy(table, a, b)
    with pytest.raises(DataError) as caught:
        checked(table)
    (fault,) = caught.value.offenders
    helmet = ("none", "worn")[int(a[0]) % 2]
    assert fault == f"{a} of 'p{a[0]}' (helmet={helmet}) = {b} of 'p{b[0]}' (helmet={helmet}): in different folds"
    assert "data.same_photos=allow" in str(caught.value.fix)
    _, (note,) = checked(table, "data.same_photos=allow")
    assert note == f"warning: 1 photo is of several groups or with different labels: {fault}"


def test_one_photo_of_two_people_in_one_fold_is_noted(table: Path) -> None:
    a, b = two_of(table, in_one_fold=True)
    copy(table, a, b)
    _, (note,) = checked(table)
    assert note.startswith(f"1 photo is repeated in one fold, with equal labels: {a} of ")


def test_a_photo_twice_of_one_person_is_noted_and_with_two_labels_refused(table: Path) -> None:
    copy(table, "0_0.png", "0_1.png")
    copy(table, "3_0.png", "3_1.png")
    _, (note,) = checked(table)
    assert note.startswith("2 photos are repeated in one fold, with equal labels: 0_0.png of 'p0'")
    table.write_text(table.read_text().replace("3_1.png,p3,worn", "3_1.png,p3,none"))
    with pytest.raises(DataError) as caught:
        checked(table)
    assert [fault.rpartition(": ")[2] for fault in caught.value.offenders] == ["different labels of helmet"]
    _, notes = checked(table, "data.same_photos=allow")
    assert len(notes) == 2


def test_a_leaky_run_has_no_score_to_protect(table: Path) -> None:
    copy(table, *two_of(table, in_one_fold=False))
    found, _ = checked(table, "data.same_photos=allow")
    leaky = AddedSource("pseudo", {}, leaky=True, root=table.parent)
    report = Lines()
    check_same_photos(replace(found, cfg=tiny(*TABLE), added=(leaky,)), report)  # type: ignore[arg-type]
    assert len(report.lines) == 1


def test_a_person_only_for_training_is_in_another_fold_than_the_rest(table: Path) -> None:
    """With a single held-out part, the other people are trained on."""
    found = experiment(table, *TABLE, "folds.k=1", "folds.holdout=0.4")
    fold = dict(zip(found.manifest["path"], found.fold.tolist(), strict=True))
    a = next(f"{p}_0.png" for p in range(0, 8, 2) if fold[f"{p}_0.png"] == 0)
    b = next(f"{p}_0.png" for p in range(0, 8, 2) if fold[f"{p}_0.png"] == -1)
    copy(table, a, b)
    with pytest.raises(DataError, match="in different folds"):
        checked(table, "folds.k=1", "folds.holdout=0.4")


def test_too_few_people_beside_the_sealed_ones_are_blamed_on_the_sealing(table: Path) -> None:
    with pytest.raises(DataError, match="too few groups") as caught:
        experiment(table, *TABLE, "folds.sealed=0.9", "folds.k=3")
    assert caught.value.where == "the 1 groups that folds.sealed=0.9 leaves; 7 are sealed"
    assert str(caught.value.fix).startswith("lower folds.sealed; or lower folds.k")
    with pytest.raises(DataError, match="too few groups") as caught:
        experiment(table, *TABLE, "folds.k=9")
    assert "sealed" not in str(caught.value)


@pytest.mark.parametrize(
    ("size", "share", "shares"),
    [((96, 96), 0.6, "0.5, 0.6667, 0.8333"), ((96, 48), 0.6, "0.3333, 0.6667, 1.0"), ((96, 96), 0.05, None)],
)
def test_a_stage_of_no_whole_patches_is_refused_with_shares_that_work(
    size: tuple[int, int], share: float, shares: str | None
) -> None:
    words = ("model.backbone=test_vit", f"transforms.size={list(size)}", "train.epochs=3")
    network = build_network(Backbone("test_vit"), {"a": 2}, size=size)
    with pytest.raises(ConfigError, match="images of a stage are no whole number") as caught:
        check_stages(network, tiny(*words, f"train.stages=[[1, {share}]]"))
    assert str(caught.value.where).startswith("train.stages")
    named = str(caught.value.fix).removeprefix("use a share such as ")
    assert shares in (None, named)
    for one in named.split(", "):
        check_stages(network, tiny(*words, f"train.stages=[[1, {one}]]"))


# ---- the commands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("data.cache=on",), ("data.cache=off",), ("--dry-run",)], ids=" ".join)
def test_train_stops_before_it_writes(
    table: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKCLS_CACHE", str(table.parent / "cache"))
    copy(table, *two_of(table, in_one_fold=False))
    run = table.parent / "run"
    assert train(table, run, *TABLE, *words) == Exit.DATA
    assert "in different folds" in capsys.readouterr().err
    assert not (run / "env.json").exists()


@pytest.mark.parametrize("cache", ["on", "off"])
def test_equal_pixels_in_another_file_are_the_same_photo(
    table: Path, cache: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKCLS_CACHE", str(table.parent / "cache"))
    a, b = two_of(table, in_one_fold=False)
    with Image.open(table.parent / a) as image:
        image.save(table.parent / b, compress_level=9)
    assert (table.parent / a).read_bytes() != (table.parent / b).read_bytes()
    assert train(table, table.parent / "run", *TABLE, f"data.cache={cache}") == Exit.DATA
    capsys.readouterr()
    assert run_app(["data", "check", str(table), "--json", *TABLE]) == Exit.DATA
    (same,) = json.loads(capsys.readouterr().out)["same_photos"]
    assert [photo["path"] for photo in same["photos"]] == [a, b]


def contest_with_copies(drawn: Path, root: Path) -> tuple[str, str, str]:
    """Copy a data set, and a photo in it onto another person's and onto one to predict; returns the three paths."""
    shutil.copytree(drawn, root)
    train_paths = read_labelled(root, "contest", CONTEST)["path"].tolist()
    eval_path = str(read_unlabelled(root, "contest", CONTEST)["path"].iloc[0])
    first, last = train_paths[0], train_paths[-1]
    for target in (last, eval_path):
        shutil.copy(root / first, root / target)
    return first, last, eval_path


def test_data_check_lists_the_photos(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, last, third = contest_with_copies(drawn, tmp_path / "faces")
    assert run_app(["data", "check", str(tmp_path / "faces"), "folds.k=2", "--json"]) == Exit.DATA
    (same,) = json.loads(capsys.readouterr().out)["same_photos"]
    assert {"people", "eval"} <= set(same["kinds"])
    assert [(photo["path"], photo["part"]) for photo in same["photos"]] == [
        (first, "train"),
        (last, "train"),
        (third, "eval"),
    ]
    assert same["photos"][0]["person"] == first.split("/")[2]
    assert set(same["photos"][0]["labels"]) == {"mask", "gender", "age"}
    assert same["photos"][2]["labels"] == {}


def test_train_warns_of_photos_that_are_also_to_be_predicted(drawn: Path, tmp_path: Path) -> None:
    root = tmp_path / "faces"
    first, _, third = contest_with_copies(drawn, root)
    shutil.copy(drawn / first, root / first)
    found = replace(experiment(root, "data.same_photos=allow"), same_photos=[])
    report = Lines()
    check_same_photos(found, report)  # type: ignore[arg-type]
    (note,) = report.lines
    assert note.startswith("warning: 1 photo is trained on and also to be predicted: ")
    assert note.endswith(f"= {third}")
    (root / "eval" / "info.csv").write_text("nonsense\n1\n")
    check_same_photos(found, report)  # type: ignore[arg-type]
    assert report.lines[1].startswith(
        "photos to predict were not compared with those trained on: the columns are wrong"
    )
