"""Networks adapted to photos: a gain per channel is undone exactly, features are those of a plain pass, nothing else
changes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from photos import PLAIN, noise, open_photos, small_network, write_photos
from torch import nn

from maskcls.data.views.transforms import eval_view
from maskcls.engine.adaptation.batch_statistics import has_batch_norm, with_batch_statistics
from maskcls.engine.adaptation.recolouring import feature_moments, with_feature_map
from maskcls.engine.compute.plan import Execution
from maskcls.engine.infer import Predictor, infer, open_reader
from maskcls.labels import CONTEST
from maskcls.nn.heads import plain_heads
from maskcls.nn.network import Network
from maskcls.results.shift.coral import FeatureMap, FeatureMoments, coral_map, pulled_in

COUNT = 12
PLAN = Execution("fp32", "contiguous")


class Normed(nn.Module):
    """Two convolutions, each with a batch norm before and after, and pooling: a trunk with four features."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
            *(nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        return self.body(images_BCHW)


def normed(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    network = Network(Normed(), 4, {"a": 3})
    nn.init.normal_(
        network.heads["a"].weight if hasattr(network.heads["a"], "weight") else next(network.heads.parameters())
    )
    return network.eval()


def images(count: int = 24, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, 12, 10, generator=torch.Generator().manual_seed(seed))


def test_batch_statistics_undo_a_gain_and_an_offset_per_channel_exactly() -> None:
    network, plain = normed(), images()
    gain, offset = torch.tensor([3.0, 0.25, 1.5]).view(1, 3, 1, 1), torch.tensor([1.0, -2.0, 0.5]).view(1, 3, 1, 1)
    cast = plain * gain + offset
    of_plain, of_cast = (with_batch_statistics(network, one) for one in (plain, cast))
    want, found = of_plain.trunk(plain), of_cast.trunk(cast)
    torch.testing.assert_close(
        found, want, atol=1e-4, rtol=1e-4
    )  # float32, and the 1e-5 that a norm adds to a variance
    assert (network.trunk(cast) - network.trunk(plain)).abs().max() > 0.05  # unadapted, it is not nothing


def test_a_network_with_the_statistics_of_these_images_stays_as_it_is() -> None:
    once = with_batch_statistics(normed(), images())
    twice = with_batch_statistics(once, images())
    for name, value in once.state_dict().items():
        if "num_batches" not in name:
            torch.testing.assert_close(twice.state_dict()[name], value, msg=name)


def test_every_norm_gets_the_statistics_of_inputs_that_are_normalised_already() -> None:
    network, batch = normed(), images()
    adapted = with_batch_statistics(network, batch)
    body = adapted.trunk.body
    first = body[0](batch)  # eval mode, with the new statistics
    inside = body[1](
        (batch - batch.mean((0, 2, 3), keepdim=True)) / (batch.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    )
    torch.testing.assert_close(body[0].running_mean, batch.mean((0, 2, 3)), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(body[2].running_mean, inside.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(body[2].running_var, inside.var((0, 2, 3)), atol=1e-5, rtol=1e-4)
    assert first.shape == batch.shape


def test_the_network_given_is_left_as_it_was_and_only_statistics_differ() -> None:
    network = normed()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    adapted = with_batch_statistics(network, images()).state_dict()
    changed = {name.rsplit(".", 1)[1] for name, value in before.items() if not torch.equal(adapted[name], value)}
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_refuses_a_network_without_batch_norm() -> None:
    network = Network(nn.Flatten(), 12, {"a": 2})
    assert not has_batch_norm(network)
    assert has_batch_norm(normed())
    with pytest.raises(ValueError, match="no batch norm"):
        with_batch_statistics(network, images())


@pytest.fixture(scope="module")
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


def predictor() -> Predictor:
    return Predictor(small_network(plain_heads("multi", CONTEST), seed=1), CONTEST, PLAIN)


def by_hand(network: Network, rows: list[int], *, mirrored: bool) -> np.ndarray:
    """Return the features (N, D) of photos, one at a time."""
    found = []
    for row in rows:
        pixels = (eval_view(noise(row), PLAIN).astype(np.float64) / 255 - PLAIN.mean) / PLAIN.std
        for turned in (pixels, pixels[:, ::-1])[: 1 + mirrored]:
            image = torch.tensor(turned.transpose(2, 0, 1).copy(), dtype=torch.float32)[None]
            with torch.no_grad():
                found.append(network.eval().trunk(image)[0].numpy())
    return np.array(found)


@pytest.mark.parametrize(("views", "batch_size"), [("none", 5), ("hflip", 6), ("hflip", 100)])
def test_moments_are_those_of_every_photo_and_view_without_fillers(
    tmp_path: Path, accelerator: Accelerator, views: str, batch_size: int
) -> None:
    names, rows = write_photos(tmp_path, COUNT), [7, 2, 11, 0, 5, 3, 9]
    one = predictor()
    reader = open_reader(
        open_photos(tmp_path, names, PLAIN),
        np.array(rows),
        accelerator=accelerator,
        views=views,
        batch_size=batch_size,
        workers=0,
    )
    seen: list[int] = []
    found = feature_moments(one, reader, accelerator=accelerator, execution=PLAN, on_images=seen.append)
    want = FeatureMoments.of(pulled_in(by_hand(one.network, rows, mirrored=views == "hflip")))
    assert found.count == want.count == len(rows) * (1 + (views == "hflip"))
    assert sum(seen) == len(rows)
    np.testing.assert_allclose(found.mean_D, want.mean_D, atol=1e-5)
    np.testing.assert_allclose(found.cov_DD, want.cov_DD, atol=1e-5)


def test_heads_get_the_mapped_features_and_the_network_given_is_unchanged(
    tmp_path: Path, accelerator: Accelerator
) -> None:
    names, one, rng = write_photos(tmp_path, COUNT), predictor(), np.random.default_rng(0)
    features = by_hand(one.network, list(range(COUNT)), mirrored=False)
    size = features.shape[1]
    mapping = FeatureMap(rng.normal(size=(size, size)) / size**0.5, rng.normal(size=size))
    mapped = Predictor(with_feature_map(one.network, mapping), CONTEST, PLAIN)
    with torch.no_grad():
        inner = torch.tensor(mapping(features), dtype=torch.float32)
        want = {name: head(inner) for name, head in one.network.heads.items()}
        image = torch.zeros(1, 3, *PLAIN.size)
        assert one.network.trunk(image).shape == (1, size)  # not the mapped trunk

    def probs(which: Predictor) -> np.ndarray:
        reader = open_reader(
            open_photos(tmp_path, names, PLAIN),
            np.arange(COUNT),
            accelerator=accelerator,
            views="none",
            batch_size=4,
            workers=0,
        )
        return infer([which], reader, accelerator=accelerator, execution=PLAN)[0]

    marginals = CONTEST.marginals(probs(mapped))
    for name, logits in want.items():
        softmax = torch.softmax(logits.reshape(COUNT, -1), dim=1).numpy()
        np.testing.assert_allclose(marginals[name], softmax, atol=2e-5)
    assert np.abs(probs(one) - probs(mapped)).max() > 0.01
    moments = FeatureMoments.of(features)
    same = Predictor(with_feature_map(one.network, coral_map(moments, moments, shrinkage=0.2)), CONTEST, PLAIN)
    np.testing.assert_allclose(probs(same), probs(one), atol=1e-5)
