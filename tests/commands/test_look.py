"""maskcls data look: the photos it picks, the views it shows, and what it says about them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import experiment, tiny

from maskcls.commands.data.look import STEPS, augmentation_phrases, look, spread
from maskcls.data.dataset import Key
from maskcls.errors import BusyError, MaskclsError, UsageError
from maskcls.schema import Config, TransformsConfig
from maskcls.show.data.contact_sheet import print_contact_sheet
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
    print_contact_sheet(look(drawn, cfg, out, photos=5, draws=4))
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
    look(drawn, tiny(*plain), tmp_path / "a.png", photos=18, draws=1)
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
    print_contact_sheet(look(drawn, tiny(*separate), tmp_path / "a.png", photos=2, draws=1))
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
    look(drawn, tiny(), out, photos=1, draws=1, force=True)
    assert picture(out).shape == (TILE + 2 * LINE, 2 * TILE, 3)
    with pytest.raises(UsageError, match=r"\.png"):
        look(drawn, tiny(), tmp_path / "a.jpg")


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
