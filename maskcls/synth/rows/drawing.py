"""Samples drawn from a generator: the n-th sample of a class is a function of the generator and n.

M samples, N training photos of the generator's fold, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskcls.errors import UsageError
from maskcls.labels import Floats, Ints
from maskcls.schema import Config
from maskcls.synth.cyclegan.domains import Domains
from maskcls.synth.cyclegan.translate import chosen_parents, translate
from maskcls.synth.embedded.oversampling import copied_photos
from maskcls.synth.gans.generator_network import generator_of
from maskcls.synth.gans.pixels import to_pixels
from maskcls.synth.loop.step_draws import drawing
from maskcls.synth.loop.synth_rows import SynthRows

AT_ONCE = 32  # images; always as many, so that the rounding of a sample does not depend on how many are drawn
SAMPLE_NOISE = 1000  # the purpose of the random inputs, a part of their key; other than those of a training


@dataclass(frozen=True)
class SampleSource:
    """What makes the samples of one fold.

    rows     the photos of the fold's training people.
    tensors, facts  of the generator, as `Player.generator` returned them; none for oversample.
    sha256   of the generator's weights; for oversample, of the network that finds difficult photos.
    feature_ND  features of the photos, for oversample alone.
    """

    cfg: Config
    rows: SynthRows
    sha256: str
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    feature_ND: Floats | None = None


@dataclass(frozen=True)
class Drawn:
    """Samples of one class.

    images_MHWC  uint8 RGB, as the generator makes them.
    parents_M    the places in the rows that each was made from.
    """

    images_MHWC: NDArray[np.uint8]
    parents_M: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.parents_M)


def most_draws(source: SampleSource, label: int, quota: int, times: int) -> int:
    """Return how many samples of a joint class may be drawn for a quota.

    `times` as many; but each photo that can be translated once, as again it gives the same image, and of oversample the
    quota.
    """
    match source.cfg.synth.kind:
        case "dcgan" | "wgan-gp":
            return times * quota
        case "cyclegan":
            domains, labels = Domains.from_json(source.facts["domains"]), source.rows.labels
            one = source.rows.space.decode(np.array([label], dtype=np.int64))
            source_N, _ = domains.rows(labels)
            return min(times * quota, int((source_N & (domains.kept_key(labels) == domains.kept_key(one)[0])).sum()))
        case "oversample":
            return quota
        case "smote":
            raise _no_images()
        case _:
            assert_never(source.cfg.synth.kind)


def draw_samples(source: SampleSource, label: int, first: int, count: int, device: torch.device) -> Drawn:
    """Draw samples number `first` to `first + count` of a joint class.

    Raises UsageError for a kind without samples, DataError for a class that is not one of the generator's.
    """
    cfg, rows = source.cfg, source.rows
    match cfg.synth.kind:
        case "dcgan" | "wgan-gp":
            images_MHWC = _generated(source, label, first, count, device)
            return Drawn(images_MHWC, ((),) * count)
        case "cyclegan":
            wanted = np.full(first + count, label, dtype=np.int64)
            domains = Domains.from_json(source.facts["domains"])
            chosen = chosen_parents(wanted, rows.labels, rows.person_N, domains, seed=cfg.seed, fold=rows.fold)[first:]
            images_MHWC = translate(source.tensors, source.facts, rows.images_NHWC[chosen], device)
            return Drawn(images_MHWC, tuple((row,) for row in chosen.tolist()))
        case "oversample":
            copied = _copies(source, label, first + count)[first:]
            return Drawn(rows.images_NHWC[copied], tuple((row,) for row in copied.tolist()))
        case "smote":
            raise _no_images()
        case _:
            assert_never(cfg.synth.kind)


@torch.no_grad()
def _generated(source: SampleSource, label: int, first: int, count: int, device: torch.device) -> NDArray[np.uint8]:
    """Return images (M, H, W, 3) of dcgan or wgan-gp."""
    network = generator_of(source.tensors, source.facts).to(device)
    tasks = source.rows.space.decode(np.array([label], dtype=np.int64))
    label_BT = torch.tensor([[int(tasks[name][0]) for name in source.rows.space.names]]).repeat(AT_ONCE, 1).to(device)
    found = [np.empty((0, *network.plan.size, 3), dtype=np.uint8)]
    for start in range(first, first + count, AT_ONCE):
        keys = range(start, start + AT_ONCE)
        noise = [torch.randn(network.plan.latent, generator=_sample_key(source, label, n)) for n in keys]
        found.append(to_pixels(network(torch.stack(noise).to(device), label_BT)))
    return np.concatenate(found)[:count]


def _sample_key(source: SampleSource, label: int, number: int) -> torch.Generator:
    return drawing(source.cfg.seed, source.rows.fold, number, SAMPLE_NOISE, label)


def _copies(source: SampleSource, label: int, count: int) -> Ints:
    assert source.feature_ND is not None
    rows = source.rows
    return copied_photos(
        source.feature_ND,
        rows.label_N,
        rows.person_N,
        counts={label: count},
        neighbours=source.cfg.synth.neighbours,
    )


def _no_images() -> UsageError:
    return UsageError(
        "synth.kind=smote makes no images, so there are no samples of it",
        expected="dcgan, wgan-gp, cyclegan or oversample",
        fix="maskcls synth train --kind smote retrains the heads of a run with its examples",
    )
