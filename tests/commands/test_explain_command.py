"""maskcls explain: the same probabilities as predict, by networks that did not train on the photo, with their maps."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from browser import axe_violations, browser_page, overflow
from PIL import Image
from tiny import train

from maskcls.cli import run_app
from maskcls.data.photos.images import read_image
from maskcls.data.views.transforms import eval_view
from maskcls.engine.cam import cam_grids, enlarged
from maskcls.engine.checkpoint import load_predictor
from maskcls.engine.infer import Predictor
from maskcls.errors import UsageError
from maskcls.labels import CONTEST, Floats
from maskcls.results.predictions import Predictions
from maskcls.rundir import REFIT, RunDir
from maskcls.training.explaining.cams import cams_of, row_views
from maskcls.training.explaining.own_folds import Chosen, InTable, choose_networks
from maskcls.training.stored_experiment import open_experiment

QUICK = (
    "model.backbone=test_convnext",
    "train.epochs=1",
    "optim.lr=1e-2",
    "schedule.warmup_epochs=0",
    "average.kind=none",
)
SEEDS = ("seed0", "seed1")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds and all rows, with two seeds; the age head depends on the mask; three people are sealed."""
    made = tmp_path_factory.mktemp("run") / "run"
    words = (
        "transforms.size=[64, 32]",
        "age.given=mask",
        "age.head=ordinal",
        "predict.views=hflip",
        "train.seeds=2",
        "train.refit=true",
        "folds.sealed=0.25",
    )
    assert train(drawn, made, *words, *QUICK) == 0
    return made


@pytest.fixture(scope="module")
def separate(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network per task, that of gender with a view of its own, in two folds."""
    made = tmp_path_factory.mktemp("separate") / "run"
    own = "separate={gender: {transforms.size: [48, 36], model.backbone: test_resnet}}"
    assert train(drawn, made, "model.heads=separate", own, *QUICK) == 0
    return made


@pytest.fixture
def photos(drawn: Path, tmp_path: Path) -> list[Path]:
    """Return five photos that are in no table, alone in their folder, in the order of their names."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((drawn / "eval" / "images").iterdir())[:5]:
        shutil.copy(path, folder)
    return sorted(folder.iterdir())


def explain(run: Path, photos: list[Path], out: Path, *words: str) -> int:
    return run_app(["explain", str(run), *map(str, photos), "-o", str(out), *words])


def explained(
    run: Path, photos: list[Path], out: Path, capsys: pytest.CaptureFixture[str], *words: str
) -> dict[str, Any]:
    """Return the JSON output."""
    capsys.readouterr()
    assert explain(run, photos, out, "--json", *words) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def photo_of_fold(run: Path, data: Path, fold: int) -> tuple[str, Path]:
    """Return id and path of a photo that a fold validates."""
    name = next(row["id"] for row in rows_of(run / "folds.csv") if row["fold"] == str(fold))
    return name, data / next(row["path"] for row in rows_of(run / "manifest.csv") if row["id"] == name)


def pixels(predictor: Predictor, path: Path) -> torch.Tensor:
    image = read_image(path, at_least=predictor.spec.decode_size)
    return torch.from_numpy(eval_view(image, predictor.spec))[None]


def grid_by_hand(weights: Path, path: Path, task: str, label: int, given: int = 0) -> Floats:
    predictor = load_predictor(RunDir(weights).fold(0).best.__class__(weights))
    index = np.array([label]), np.array([given])
    grid: Floats = cam_grids(predictor, pixels(predictor, path), task, *index, CPU)[0]
    return grid


def task_of(photo: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (task for task in photo["tasks"] if task["task"] == name)
    return dict(found)


# --- probabilities


@pytest.mark.parametrize("words", [(), ("predict.views=none+up",)])
def test_probabilities_are_those_of_predict_bit_for_bit(
    run: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    assert run_app(["predict", str(copy), "--data", str(photos[0].parent), "-o", str(tmp_path / "s.csv"), *words]) == 0
    (kept,) = (copy / "test").glob("*.npz")
    expected = Predictions.load(kept)
    assert expected.ids.tolist() == [path.name for path in photos]
    found = explained(run, photos, tmp_path / "a.png", capsys, *words)
    for task, prob in CONTEST.marginals(expected.prob).items():
        got = [list(task_of(photo, task)["probabilities"].values()) for photo in found["photos"]]
        np.testing.assert_array_equal(np.array(got, dtype=np.float32), prob)
        assert list(task_of(found["photos"][0], task)["probabilities"]) == list(CONTEST.task(task).classes)


def test_folds_and_views_average_to_the_whole(
    run: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explained(run, photos[:2], tmp_path / "a.png", capsys)
    assert found["views"] == ["none", "flip"]
    differ = []
    for photo in found["photos"]:
        assert (photo["folds"], photo["row"], photo["trained"]) == ([0, 1], None, False)
        for task in photo["tasks"]:
            folds = np.array([list(fold["probabilities"].values()) for fold in task["folds"]])
            np.testing.assert_allclose(folds.mean(axis=0), list(task["probabilities"].values()), atol=1e-6)
            for fold in task["folds"]:
                views = np.array([list(view["probabilities"].values()) for view in fold["views"]])
                assert [view["view"] for view in fold["views"]] == ["none", "flip"]
                np.testing.assert_allclose(views.mean(axis=0), list(fold["probabilities"].values()), atol=1e-6)
                differ.append(np.abs(views[0] - views[1]).max())
    assert max(differ) > 1e-4  # views are not all equal


# --- which networks


@pytest.mark.parametrize("fold", [0, 1])
def test_a_photo_of_the_runs_table_is_explained_by_the_fold_that_left_it_out(
    run: Path, drawn: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], fold: int
) -> None:
    name, path = photo_of_fold(run, drawn, fold)
    renamed = tmp_path / f"copy{path.suffix}"
    shutil.copy(path, renamed)
    found = explained(run, [path, photos[0], renamed], tmp_path / "a.png", capsys)
    own, other, copied = found["photos"]
    assert (own["row"], own["folds"], own["trained"]) == (name, [fold], False)
    assert (copied["row"], copied["folds"], copied["trained"]) == (name, [fold], False)
    assert (other["row"], other["folds"]) == (None, [0, 1])
    oof = Predictions.load(run / "oof.npz")
    (row,) = np.flatnonzero(oof.ids == name)
    for task, prob in CONTEST.marginals(oof.prob).items():
        np.testing.assert_allclose(list(task_of(own, task)["probabilities"].values()), prob[row], atol=1e-5)
    labels = {row["id"]: row for row in rows_of(run / "manifest.csv")}[name]
    assert [task["label"] for task in own["tasks"]] == [task.classes[int(labels[task.name])] for task in CONTEST.tasks]
    assert [task["label"] for task in other["tasks"]] == [None, None, None]


def test_asked_folds_are_used_and_said_to_have_trained_on_the_photo(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, path = photo_of_fold(run, drawn, 0)
    assert explain(run, [path], tmp_path / "a.png", "--folds", "1") == 0
    assert f"{path}  fold 1, trained on this photo\n" in capsys.readouterr().out
    assert explain(run, [path], tmp_path / "b.png") == 0
    assert f"{path}  fold 0, which did not train on this photo\n" in capsys.readouterr().out
    one, both = (
        explained(run, [path], tmp_path / f"{words[-1]}.png", capsys, *words)["photos"][0]
        for words in (("--folds", "0"), ("--folds", "0,1"))
    )
    assert (one["folds"], one["trained"]) == ([0], False)
    assert (both["folds"], both["trained"]) == ([0, 1], True)


def test_the_network_of_all_rows_explains_other_photos_only(
    run: Path, drawn: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, path = photo_of_fold(run, drawn, 1)
    found = explained(run, [path, photos[0]], tmp_path / "a.png", capsys, "predict.networks=refit")
    assert [photo["folds"] for photo in found["photos"]] == [[1], [None]]
    task = task_of(found["photos"][1], "mask")
    label = CONTEST.task("mask").classes.index(task["explained"])
    by_hand = [grid_by_hand(run / "members" / seed / "refit" / "best", photos[0], "mask", label) for seed in SEEDS]
    np.testing.assert_allclose(task["map"], np.mean(by_hand, axis=0), atol=1e-4)


@pytest.mark.parametrize(
    ("place", "asked", "expected", "trained"),
    [
        (InTable((), ()), None, Chosen((0, 1, 2), "all"), False),
        (InTable((5,), (1,)), None, Chosen((1,), "folds"), False),
        (InTable((5, 9), ()), None, Chosen((0, 1, 2), "all"), True),  # copies in several folds
        (InTable((5,), (4,)), None, Chosen((0, 1, 2), "all"), True),  # its fold is not trained
        (InTable((5,), (1,)), (0, 1), Chosen((0, 1), "folds"), True),
        (InTable((), ()), (2,), Chosen((2,), "folds"), False),
    ],
)
def test_the_choice_of_networks(place: InTable, asked: tuple[int, ...] | None, expected: Chosen, trained: bool) -> None:
    chosen = choose_networks(place, (0, 1, 2), "all", asked)
    assert (chosen, chosen.trained_on(place)) == (expected, trained)


# --- maps


def test_maps_are_those_of_the_networks_and_their_mean(
    run: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photo,) = explained(run, photos[:1], tmp_path / "a.png", capsys, "--class", "age=30-59")["photos"]
    mask = CONTEST.task("mask").classes.index(task_of(photo, "mask")["explained"])
    task = task_of(photo, "age")
    assert (task["explained"], task["given"]) == ("30-59", f"mask {CONTEST.task('mask').classes[mask]}")
    by_hand = [
        [grid_by_hand(run / "members" / s / f"fold{k}" / "best", photos[0], "age", 1, mask) for s in SEEDS]
        for k in (0, 1)
    ]
    for k in (0, 1):
        np.testing.assert_allclose(task["folds"][k]["map"], np.mean(by_hand[k], axis=0), atol=1e-4)
    np.testing.assert_allclose(task["map"], np.mean(by_hand, axis=(0, 1)), atol=1e-4)
    assert np.array(task["map"]).shape == (2, 1)
    assert np.array(task["map"]).max() > 0


def test_another_class_has_another_map_and_the_same_probabilities(
    separate: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [
        task_of(
            explained(separate, photos[:1], tmp_path / f"{c}.png", capsys, "--class", f"gender={c}")["photos"][0],
            "gender",
        )
        for c in ("male", "female")
    ]
    assert tasks[0]["probabilities"] == tasks[1]["probabilities"]
    assert [task["explained"] for task in tasks] == ["male", "female"]
    assert tasks[0]["map"] != tasks[1]["map"]


def test_without_maps_probabilities_remain(
    run: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_maps = explained(run, photos[:1], tmp_path / "a.png", capsys)["photos"][0]["tasks"]
    without = explained(run, photos[:1], tmp_path / "b.png", capsys, "--no-maps")["photos"][0]["tasks"]
    for task, other in zip(with_maps, without, strict=True):
        assert task["probabilities"] == other["probabilities"]
        assert task["map"] is not None
        assert other["map"] is None
        assert all(fold["map"] is None for fold in other["folds"])


def test_maps_of_rows_of_the_table(separate: Path, drawn: Path) -> None:
    experiment, env = open_experiment(RunDir(separate))
    rows = [int(np.flatnonzero(experiment.fold == k)[2]) for k in (1, 0, 1)]
    classes = np.array([1, 0, 0])
    found = cams_of(experiment, env, rows, "gender", class_n=classes)
    views = row_views(experiment, rows, "gender")
    for row, label, cam, view in zip(rows, classes, found, views, strict=True):
        fold = int(experiment.fold[row])
        path = drawn / experiment.manifest["path"].iloc[row]
        weights = separate / "members" / "gender" / f"fold{fold}" / "best"
        grid = grid_by_hand(weights, path, "gender", int(label))
        assert cam.shape == (48, 36)
        np.testing.assert_allclose(cam, enlarged(grid, (48, 36)), atol=1e-5)
        np.testing.assert_array_equal(
            view, pixels(load_predictor(RunDir(separate).fold(0).best.__class__(weights)), path)[0]
        )
    predicted = Predictions.load(separate / "oof.npz")
    places = [predicted.ids.tolist().index(experiment.manifest["id"].iloc[row]) for row in rows]
    usual = CONTEST.decode(predicted.labels()[places])["gender"]
    for cam, other in zip(
        cams_of(experiment, env, rows, "gender"), cams_of(experiment, env, rows, "gender", class_n=usual), strict=True
    ):
        np.testing.assert_array_equal(cam, other)


def test_a_row_that_every_network_trained_on_has_no_map_of_its_own(separate: Path) -> None:
    experiment, env = open_experiment(RunDir(separate))
    experiment.folds["fold"] = REFIT
    with pytest.raises(UsageError, match="every network trained on these photos"):
        cams_of(experiment, env, [0], "mask")


# --- the picture, and what is printed


def test_the_picture_has_a_row_per_photo_and_a_column_per_view_and_task(
    run: Path, separate: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = []
    for where, count in ((run, 1), (run, 2), (separate, 2)):
        out = tmp_path / f"{len(sizes)}.png"
        assert explain(where, photos[:count], out) == 0
        image = Image.open(io.BytesIO(out.read_bytes()))
        assert image.format == "PNG"
        sizes.append(image.size)
    text = capsys.readouterr().out
    assert "0.png  1 photo, views none+flip\n" in text
    assert f"{photos[0]}  folds 0, 1\n" in text
    assert text.count("map of ") == 5 * 3
    header = 14 + 18
    assert sizes[1][1] - header == 2 * (sizes[0][1] - header)
    # photo, view, three tasks; separate networks have two different views
    assert [width for width, _ in sizes] == [14 + 5 * 236, 14 + 5 * 236, 14 + 6 * 236]


def test_a_page_has_the_pictures_and_every_fold_and_view(run: Path, photos: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "why.html"
    assert explain(run, photos[:2], tmp_path / "a.png", "--page", str(page)) == 0
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/jpeg;base64,") == 2 * 4  # the photo, and the map of each task
    assert html.count('<tr><th scope="row">fold 1</th><td>flip</td>') == 2 * 3
    assert html.count("<caption><span>age: probabilities</span></caption>") == 2
    assert all(f"<h2>{path.parent.name}/{path.name}</h2>\n<p>{path}</p>" in html for path in photos[:2])
    for width, scheme in ((390, "dark"), (1280, "light")):
        with browser_page(width, scheme=scheme) as shown:
            shown.goto(page.as_uri())
            assert axe_violations(shown) == []
            assert overflow(shown) == 0
    assert explain(run, photos[:1], tmp_path / "b.png", "--page", str(page)) != 0
    assert explain(run, photos[:1], tmp_path / "b.png", "--page", str(tmp_path / "why.txt")) != 0
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--class", "mask=waer"), "did you mean mask=wear?"),
        (("--class", "hat=wear"), "TASK=CLASS with one of mask, gender, age"),
        (("--class", "wear"), "TASK=CLASS"),
        (("--class", "mask=wear", "--class", "mask=normal"), "one class of a task"),
        (("--folds", "2"), "no such fold"),
        (("--folds", "0", "predict.networks=refit"), "chooses among the networks of the folds"),
        (("optim.lr=1",), "belongs to the training"),
    ],
)
def test_wrong_words_are_refused(
    run: Path,
    photos: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    assert explain(run, photos[:1], tmp_path / "a.png", *words) in (2, 3)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_wrong_photos_and_outputs_are_refused(
    run: Path, drawn: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, broken = tmp_path / "a.png", tmp_path / "photos" / "broken.jpg"
    broken.write_bytes(b"no photo")
    sealed = drawn / rows_of(run / "sealed.csv")[0]["path"]
    for given, path, message in (
        ([photos[0], photos[0]], out, "photos are given twice"),
        ([photos[0].parent], out, "folders cannot be explained"),
        ([tmp_path / "none.jpg"], out, "none.jpg"),
        ([photos[0], broken], out, "broken.jpg"),
        ([photos[0]], tmp_path / "a.jpg", "the picture is a PNG"),
        ([photos[0], sealed], out, "these photos are of sealed people"),
        ([], out, "no photo to explain"),
    ):
        assert explain(run, given, path, *(() if given else ("predict.views=none",))) != 0
        assert message in capsys.readouterr().err
        assert not path.exists()
    png = tmp_path / "photo.png"
    cv2.imwrite(str(png), cv2.imread(str(photos[0])))
    before = png.read_bytes()
    assert explain(run, [png], png, "--force") != 0
    assert "the output is a file that is read" in capsys.readouterr().err
    assert png.read_bytes() == before
    out.write_bytes(b"mine")
    assert explain(run, photos[:1], out) != 0
    assert "the output exists" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert explain(run, photos[:1], out, "--force") == 0
    assert out.read_bytes() != b"mine"
