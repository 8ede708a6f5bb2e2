"""The size of the network's input, and sizes of photos from their headers."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskcls.backbone import Backbone
from maskcls.data.photos.header_sizes import evenly_spread, header_size, sample_sizes
from maskcls.data.proposal.input_size import describe_sizes, propose_size
from maskcls.data.proposal.recipe import Facts, pretrained_settings, propose_recipe
from maskcls.errors import DataError
from maskcls.nn.backbone_sizes import takes


@pytest.mark.parametrize(
    ("photo", "size"),
    [
        ((512, 384), (256, 192)),  # 4 : 3 exactly
        ((384, 512), (192, 256)),
        ((1080, 1920), (160, 288)),  # 16 : 9
        ((240, 250), (224, 224)),  # square enough
        ((224, 224), (224, 224)),
        ((28, 28), (64, 64)),  # the smallest
        ((100, 75), (96, 64)),  # not more pixels than the photo has
    ],
)
def test_the_shape_of_the_photos_is_kept(photo: tuple[int, int], size: tuple[int, int]) -> None:
    assert propose_size([photo], 224 * 224) == size


def test_the_median_photo_decides() -> None:
    assert propose_size([(512, 384), (512, 384), (100, 400)], 128 * 128) == (128, 96)
    assert describe_sizes([(40, 20), (40, 20), (20, 40), (30, 30)]) == (
        "median 35 x 25 pixels, heights 20 to 40, widths 20 to 40; 50 % portrait, 25 % square, 25 % landscape"
    )


@pytest.mark.parametrize("gpu", ["", "H100"])
@pytest.mark.parametrize("shape", [(640, 480), (480, 640), (50, 50), (2000, 600)])
def test_proposed_backbones_take_the_proposed_size(gpu: str, shape: tuple[int, int]) -> None:
    facts = Facts(1000, 40, "people", 1.0, (shape,), "", faces=True, cores=2, gpu=gpu)
    for settings in (propose_recipe(facts), pretrained_settings(facts)):
        found = {one.key: one.value for one in settings}
        height, width = found["transforms.size"]
        assert takes(Backbone(str(found["model.backbone"])), (height, width))


def test_headers_are_read_upright_and_nothing_is_decoded(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (40, 30)).save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGB", (40, 30)).save(tmp_path / "plain.png")
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    os.truncate(tmp_path / "cut.png", 200)  # nearly all pixels are missing
    (tmp_path / "text.png").write_text("no photo")
    os.mkfifo(tmp_path / "pipe.png")
    assert [header_size(tmp_path / name) for name in ("turned.jpg", "plain.png", "cut.png")] == [
        (40, 30),
        (30, 40),
        (30, 40),
    ]
    for name in ("text.png", "pipe.png", "absent.png"):
        with pytest.raises(DataError):
            header_size(tmp_path / name)
    assert sample_sizes(tmp_path, ["plain.png", "text.png"], 500) == ([(30, 40)], ["text.png"])


def test_a_sample_is_spread_over_all_photos() -> None:
    found = evenly_spread(10_000, 500)
    assert (len(set(found)), found[0], found[-1]) == (500, 0, 9999)
    assert max(b - a for a, b in itertools.pairwise(found)) <= 21


def recipe(**changed: object) -> dict[str, object]:
    facts = {"photos": 1000, "rarest": 40, "groups": "people", "imbalance": 1.0, "sizes": ((64, 64),), "shapes": ""}
    facts |= {"faces": False, "cores": 2, "gpu": ""}
    return {one.key: one.value for one in propose_recipe(Facts(**(facts | changed)))}  # type: ignore[arg-type]


def test_the_recipe_fits_the_data_and_the_machine() -> None:
    assert recipe()["folds.k"] == 5
    assert recipe(rarest=3)["folds.k"] == 3
    assert recipe(rarest=1)["folds.k"] == 2  # the fewest
    assert recipe(gpu="H100")["model.backbone"] == "resnet18"
    assert recipe()["model.backbone"] == "test_resnet"
    assert recipe(faces=True)["transforms.hflip"] == 0.5
    assert recipe()["transforms.hflip"] == 0.0
    assert recipe()["predict.views"] == "none"
    # 800 photos per fold in batches of 16 are 50 steps: 24 epochs make 1,200 steps.
    assert (recipe()["train.batch_size"], recipe()["train.epochs"]) == (16, 24)
    # 80,000 photos in batches of 64 are 1,250 steps: the fewest epochs.
    large = recipe(photos=100_000)
    assert (large["train.batch_size"], large["train.epochs"]) == (64, 6)
    assert recipe(photos=40)["train.epochs"] == 30
