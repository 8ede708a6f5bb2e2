"""maskcls data look: the photos it picks, the views it shows, and what it says about them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import axe_violations, browser_page, overflow
from PIL import Image
from tiny import RECIPE, experiment, tiny

from maskcls.cli import run_app
from maskcls.commands.data.look import STEPS, augmentation_phrases, look, spread, target_shares
from maskcls.data.dataset import Key
from maskcls.errors import BusyError, Exit, MaskclsError, UsageError
from maskcls.schema import Config, TransformsConfig
from maskcls.show.data.contact_sheet import print_contact_sheet
from maskcls.show.pictures.fonts import readable
from maskcls.training.experiment import view_spec

TILE, LINE = 168, 15  # pixels of a tile's side, with its margin, and of a line of text
LIVELY = ("transforms.size=[80, 80]", "transforms.preset=strong", "transforms.gray=0.5")


def picture(path: Path) -> np.ndarray:
    """Return the pixels of a PNG."""
    image = Image.open(io.BytesIO(path.read_bytes()))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def tile(sheet: np.ndarray, row: int, column: int, lines: int = 2) -> np.ndarray:
    """Return the network's own pixels, (80, 80, 3), which a tile shows twice as large."""
    top, left = row * (TILE + LINE * lines) + 4, column * TILE + 4
    return sheet[top : top + 160 : 2, left : left + 160 : 2]


def chosen(data: Path, cfg: Config, photos: int) -> np.ndarray:
    whole = experiment(data)
    return spread(cfg.space.encode(whole.labels), photos, seed=cfg.seed)


def test_each_row_is_a_photo_s_eval_view_and_its_train_views_of_the_first_epochs(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg, out = tiny(*LIVELY, "seed=3"), tmp_path / "new" / "sheet.png"
    print_contact_sheet(look(drawn, cfg, out, photos=5, draws=4, boxes=False))
    sheet = picture(out)
    assert sheet.shape == (5 * (TILE + 2 * LINE), 5 * TILE, 3)
    whole = experiment(drawn, *LIVELY, "seed=3")
    photos, rows = whole.rows(whole.members[0], 0).photos, chosen(drawn, cfg, 5)
    for place, row in enumerate(rows):
        for column, epoch in enumerate(range(-1, 4)):
            views = photos[Key(int(row), epoch)]
            assert not isinstance(views, MaskclsError)
            np.testing.assert_array_equal(tile(sheet, place, column), views[0])
    text = capsys.readouterr().out
    assert text.startswith(f"{out}  5 photos of {drawn}: validation view and 4 augmented training views\n")
    assert "80 x 80 pixels  hflip 0.5  zoom 0.5 (zoom_share 0.75)" in text
    assert "gray 0.5" in text


def test_labels_stand_below_the_eval_view(drawn: Path, tmp_path: Path) -> None:
    plain = ("transforms.size=[80, 80]", "transforms.preset=none")
    look(drawn, tiny(*plain), tmp_path / "a.png", photos=18, draws=1, boxes=False)
    sheet = picture(tmp_path / "a.png")
    captions = [sheet[r * (TILE + 2 * LINE) + TILE :][: 2 * LINE, :TILE] for r in range(18)]
    assert all((caption < 128).any() for caption in captions)
    labels = experiment(drawn).labels
    rows = chosen(drawn, tiny(), 18)
    names = {tuple(int(labels[task][row]) for task in labels) for row in rows}
    assert len({caption.tobytes() for caption in captions}) == len(names) > 6
    for place in range(18):
        np.testing.assert_array_equal(tile(sheet, place, 0), tile(sheet, place, 1))


def test_networks_with_views_of_their_own_have_rows_of_their_own(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    separate = ("model.heads=separate", "transforms.size=[80, 80]", "separate.age.transforms.crop=[0.5, 0.5]")
    print_contact_sheet(look(drawn, tiny(*separate), tmp_path / "a.png", photos=2, draws=1, boxes=False))
    sheet = picture(tmp_path / "a.png")
    assert sheet.shape[0] == 4 * (TILE + 2 * LINE)
    assert not np.array_equal(tile(sheet, 0, 0), tile(sheet, 2, 0))
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in lines[1:]] == ["mask, gender", "age"]


def test_an_output_is_replaced_only_when_asked(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    out.write_bytes(b"mine")
    with pytest.raises(BusyError, match="the output exists"):
        look(drawn, tiny(), out, photos=1, draws=1)
    assert out.read_bytes() == b"mine"
    look(drawn, tiny(), out, photos=1, draws=1, boxes=False, force=True)
    assert picture(out).shape == (TILE + 2 * LINE, 2 * TILE, 3)
    with pytest.raises(UsageError, match=r"\.png"):
        look(drawn, tiny(), tmp_path / "a.jpg")


def test_a_photo_of_the_data_set_is_never_the_output(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("path,group,helmet\n0.png,0,none\n1.png,1,worn\n")
    for name in "01":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((32, 32, 3), 90, np.uint8))
    before = (tmp_path / "1.png").read_bytes()
    cfg = tiny("data.format=table", "tasks=[{name: helmet, classes: [none, worn]}]")
    with pytest.raises(UsageError, match="the output is a file that is read"):
        look(tmp_path / "photos.csv", cfg, tmp_path / "1.png", force=True)
    assert (tmp_path / "1.png").read_bytes() == before


def test_every_option_of_the_verb_has_an_effect(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data", "look", str(drawn), *RECIPE, "transforms.crop=[0.5, 0.5]", "--photos", "3", "--draws", "2"]
    files = [tmp_path / name for name in ("marked.png", "plain.png", "page.html")]
    assert run_app([*words, "-o", str(files[0]), "--json"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["path"], found["photos"], found["epochs"], found["page"]) == (str(files[0]), 3, 2, None)
    assert picture(files[0]).shape[1] == 4 * TILE  # photo with the crop, validation view, two epochs
    plain = [*words, "-o", str(files[1]), "--no-boxes", "--page", str(files[2])]
    assert run_app(plain) == Exit.OK
    assert picture(files[1]).shape[1] == 3 * TILE
    assert "data:image" not in files[2].read_text()
    assert run_app([*plain, "--with-photos"]) == Exit.BUSY
    assert run_app([*plain, "--with-photos", "--force"]) == Exit.OK
    assert files[2].read_text().count("data:image/jpeg") == 3 * 3


# --- which photos


def test_few_photos_lie_evenly_among_the_classes() -> None:
    labels = np.repeat(np.arange(18), 7)
    assert labels[spread(labels, 8, seed=0)].tolist() == [0, 2, 5, 7, 10, 12, 15, 17]
    assert labels[spread(labels, 1, seed=0)].tolist() == [0]


def test_every_class_comes_before_any_comes_again() -> None:
    labels = np.array([1] * 90 + [0] * 5 + [-1] * 2 + [2])
    assert labels[spread(labels, 4, seed=0)].tolist() == [-1, 0, 1, 2]
    assert labels[spread(labels, 7, seed=0)].tolist() == [-1, -1, 0, 0, 1, 1, 2]
    rows = spread(labels, 1000, seed=0)
    assert sorted(rows.tolist()) == list(range(98))


def test_the_seed_picks_other_photos_of_the_same_classes() -> None:
    labels = np.repeat(np.arange(3), 50)
    one, other = spread(labels, 6, seed=0), spread(labels, 6, seed=1)
    assert one.tolist() == spread(labels, 6, seed=0).tolist() != other.tolist()
    assert labels[one].tolist() == labels[other].tolist() == [0, 0, 1, 1, 2, 2]
    assert len(set(one.tolist())) == 6


# --- what is said


def test_every_setting_of_training_is_spoken_of() -> None:
    spoken = set(STEPS) | {part for strengths in STEPS.values() for part in strengths}
    always = {"preset", "crop", "crop_centre", "size", "mean", "std"}
    assert spoken | always == set(TransformsConfig.model_fields)
    assert not spoken & always


def test_steps_that_are_off_and_strengths_of_nothing_are_left_out() -> None:
    assert augmentation_phrases(view_spec(tiny("transforms.preset=none"))) == ["no augmentation"]
    some = ("transforms.preset=none", "transforms.colour=0.25", "transforms.contrast=0", "transforms.randaugment=2")
    assert augmentation_phrases(view_spec(tiny(*some))) == [
        "colour 0.25 (brightness 0.2)",
        "randaugment 2 (randaugment_magnitude 5)",
    ]
    area = ("transforms.preset=none", "transforms.erasing=1", "transforms.erasing_area=[0.1, 0.25]")
    assert augmentation_phrases(view_spec(tiny(*area))) == [
        "erasing 1 (erasing_boxes 1, erasing_area 0.1 to 0.25, erasing_fill mean)"
    ]


# --- crops, boxes, partners

MIXED = ("transforms.size=[80, 80]", "transforms.preset=none", "mix.kind=cutmix", "mix.prob=1", "seed=5")


def test_partners_boxes_and_targets_are_those_of_training(drawn: Path, tmp_path: Path) -> None:
    cfg = tiny(*MIXED, "mix.partner=other")
    found = look(drawn, cfg, tmp_path / "a.png", photos=1, draws=6)
    whole = experiment(drawn, *MIXED, "mix.partner=other")
    photos = whole.rows(whole.members[0], 0).photos
    every = [(row, view) for row in found.rows for view in row.views]
    assert len(every) == 6
    places = {path: place for place, path in enumerate(whole.manifest["path"])}
    sheet = picture(tmp_path / "a.png")
    for place, (row, view) in enumerate(every):
        assert view.partner is not None
        assert view.pasted is not None
        top, left, bottom, right = view.pasted
        pasted = (bottom - top) * (right - left) / 80**2
        own, other = places[row.path], places[view.partner]
        classes = [(task, int(label_N[own]), int(label_N[other])) for task, label_N in whole.labels.items()]
        assert any(a != b for _, a, b in classes)
        for task, a, b in classes:
            names = cfg.space.task(task).classes
            expected = {names[a]: 1.0} if a == b else {names[a]: 1 - pasted, names[b]: pasted}
            assert view.target[task] == pytest.approx(expected)
        assert [readable(share) for share in view.shares] == view.shares  # drawn as they are, without escapes
        at = (2 + place) * TILE + 4  # after the whole photo and the validation view
        image = sheet[4:164:2, at : at + 160 : 2]
        views = [photos[Key(one)] for one in (own, other)]  # nothing but mixing changes them
        inside, outside = np.zeros((80, 80), dtype=bool), np.ones((80, 80), dtype=bool)
        inside[top + 2 : bottom - 2, left + 2 : right - 2] = True  # the outline lies between
        outside[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = False
        for source, part in zip(views, (outside, inside), strict=True):
            assert not isinstance(source, MaskclsError)
            np.testing.assert_array_equal(image[part], source[0][part])


def test_a_row_without_a_label_has_no_share(drawn: Path) -> None:
    space = tiny().space
    labels = {"mask": np.array([0, 1]), "gender": np.array([1, 1]), "age": np.array([-1, 2])}
    assert target_shares(labels, 0, 1, 0.75, space) == {
        "mask": {"wear": 0.75, "incorrect": 0.25},
        "gender": {"female": 1.0},
        "age": {">=60": 0.25},
    }
    assert target_shares(labels, 0, None, 1.0, space) == {"mask": {"wear": 1.0}, "gender": {"female": 1.0}}


def test_the_whole_photo_stands_in_front_with_its_crop(drawn: Path, tmp_path: Path) -> None:
    words = ("transforms.size=[80, 80]", "transforms.preset=none", "transforms.crop=[0.5, 0.5]")
    look(drawn, tiny(*words), tmp_path / "a.png", photos=1, draws=1)
    sheet = picture(tmp_path / "a.png")
    assert sheet.shape[1] == 3 * TILE  # photo, validation view, one epoch
    white = (sheet[4:164, 4:164] == 255).all(axis=2)
    drawn_rows = np.flatnonzero(white[:, 60:100].all(axis=1))
    assert drawn_rows.tolist() == [40, 120]  # the upper and lower edge of the middle half


def test_sealed_people_are_not_shown(drawn: Path, tmp_path: Path) -> None:
    words = (*MIXED, "folds.sealed=0.25")
    sealed = experiment(drawn, *words).sealed
    assert sealed is not None
    found = look(drawn, tiny(*words), tmp_path / "a.png", photos=500, draws=1)
    shown = {row.path for row in found.rows} | {view.partner for row in found.rows for view in row.views}
    assert len(found.rows) == len(experiment(drawn).manifest) - len(sealed)
    assert not shown & set(sealed["path"])


def test_photos_are_in_the_page_only_when_asked(drawn: Path, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    found = look(drawn, tiny(*MIXED), tmp_path / "a.png", photos=2, draws=1, page=page)
    text = page.read_text()
    assert "data:image" not in text
    assert '<a href="a.png">' in text
    (row, other), view = found.rows, found.rows[0].views[0]
    assert all(f">{path}</a>" in text for path in (row.path, other.path))
    assert f"<td>{view.partner}</td>" in text
    look(drawn, tiny(*MIXED), tmp_path / "a.png", photos=2, draws=1, page=page, with_photos=True, force=True)
    assert page.read_text().count("data:image/jpeg") == 2 * 3
    with pytest.raises(BusyError, match="the output exists"):
        look(drawn, tiny(*MIXED), tmp_path / "b.png", page=page)
    with pytest.raises(UsageError, match="embeds photos in a page"):
        look(drawn, tiny(*MIXED), tmp_path / "b.png", with_photos=True)
    with pytest.raises(UsageError, match="the page is HTML"):
        look(drawn, tiny(*MIXED), tmp_path / "b.png", page=tmp_path / "a.txt")


def test_the_page_has_no_violation_and_fits_a_phone(drawn: Path, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    look(drawn, tiny(*MIXED), tmp_path / "a.png", photos=2, draws=2, page=page, with_photos=True)
    with browser_page(390) as browser:
        browser.goto(page.as_uri())
        assert axe_violations(browser) == []
        assert overflow(browser) == 0


def test_networks_with_partners_of_their_own_have_rows_of_their_own(drawn: Path, tmp_path: Path) -> None:
    words = ("model.heads=separate", "mix.kind=mixup", "mix.prob=1")
    together = look(drawn, tiny(*words), tmp_path / "a.png", photos=1, draws=1)
    assert [row.networks for row in together.rows] == ["mask, gender, age"]
    view = together.rows[0].views[0]
    assert (view.pasted, set(view.target)) == (None, {"mask", "gender", "age"})
    apart = look(drawn, tiny(*words, "mix.partner=other"), tmp_path / "b.png", photos=1, draws=1)
    assert [row.networks for row in apart.rows] == ["mask", "gender", "age"]
    for row in apart.rows:
        assert len(row.views[0].target[row.networks]) == 2
