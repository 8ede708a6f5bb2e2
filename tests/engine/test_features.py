"""Features of photos in views: those of the backbone, photo by photo; networks with one backbone share its pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from photos import PLAIN, noise, open_photos, small_network, write_photos
from torch import nn

from maskcls.data.views.transforms import eval_view
from maskcls.engine.compute.plan import Execution
from maskcls.engine.features import view_features
from maskcls.engine.infer import Predictor, Reader, infer, open_reader
from maskcls.errors import ResultError
from maskcls.labels import CONTEST
from maskcls.nn.heads import plain_heads
from maskcls.viewnames import parse_views

ROWS = np.array([4, 0, 5, 2, 1])
VIEWS = "none+flip+up"


@pytest.fixture(scope="module")
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    return write_photos(tmp_path, 6)


def predictor(seed: int = 1) -> Predictor:
    return Predictor(small_network(plain_heads("multi", CONTEST), seed=seed).eval(), CONTEST, PLAIN)


def reader(root: Path, names: list[str], accelerator: Accelerator, views: str = "hflip") -> Reader:
    photos = open_photos(root, names)
    return open_reader(
        photos, ROWS, accelerator=accelerator, views=views, batch_size=2 * len(parse_views(views)), workers=0
    )


def test_features_are_those_of_each_photo_alone(tmp_path: Path, names: list[str], accelerator: Accelerator) -> None:
    given = predictor()
    done: list[int] = []
    found = view_features(
        given,
        reader(tmp_path, names, accelerator),
        accelerator=accelerator,
        execution=Execution(),
        on_images=done.append,
    )
    assert found.dtype == np.float32
    assert found.shape[:2] == (2, len(ROWS))
    assert sum(done) == len(ROWS)
    for place, row in enumerate(ROWS.tolist()):
        pixels = (eval_view(noise(row), PLAIN) / 255 - PLAIN.mean) / PLAIN.std
        for view, image_HWC in enumerate((pixels, pixels[:, ::-1])):
            image = torch.tensor(image_HWC.transpose(2, 0, 1).copy(), dtype=torch.float32)[None]
            with torch.no_grad():
                expected = given.network.trunk(image)[0].numpy()
            np.testing.assert_allclose(found[view, place], expected, atol=1e-4)


def test_a_feature_that_is_not_finite_is_reported(tmp_path: Path, names: list[str], accelerator: Accelerator) -> None:
    given = predictor()
    with torch.no_grad():
        next(given.network.trunk.parameters()).fill_(torch.nan)
    with pytest.raises(ResultError, match="a feature that is not finite") as caught:
        view_features(given, reader(tmp_path, names, accelerator), accelerator=accelerator, execution=Execution())
    assert caught.value.got == "NaN or infinity in 5 of 5 rows"


def with_other_heads(given: Predictor) -> Predictor:
    """Return a network with a copy of the same backbone and other heads."""
    network = small_network(plain_heads("multi", CONTEST), seed=1).eval()
    network.load_state_dict(given.network.state_dict())
    for head in network.heads.values():
        nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(7))
    return replace(given, network=network)


def test_networks_with_one_backbone_share_its_pass(
    tmp_path: Path, names: list[str], accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their order, with the bits of each alone."""
    first, other = predictor(1), predictor(2)
    twin = with_other_heads(first)
    order = [first, other, twin, first]
    alone = [
        infer([one], reader(tmp_path, names, accelerator, VIEWS), accelerator=accelerator, execution=Execution())[0]
        for one in order
    ]
    seen: list[nn.Module] = []
    kind = type(first.network.trunk)
    forward = kind.forward

    def counted(self: nn.Module, images: torch.Tensor) -> torch.Tensor:
        if images.shape[:2] == (6, 3):  # two photos in three views; other passes look for norms to fuse
            seen.append(self)
        return forward(self, images)

    monkeypatch.setattr(kind, "forward", counted)
    together = infer(order, reader(tmp_path, names, accelerator, VIEWS), accelerator=accelerator, execution=Execution())
    for one, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one, expected)
    assert not np.array_equal(together[0], together[2])
    assert len(seen) == 2 * 3  # of two backbones, three batches
