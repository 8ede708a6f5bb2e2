"""Networks, photos and views to probabilities: the one path for validation, out-of-fold rows and test.

n rows asked for, J joint classes of a network's label space, B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor

from maskcls.data.batches import Rows
from maskcls.data.dataset import Key, Photos, batches, loader
from maskcls.data.transforms import ViewSpec
from maskcls.engine.device import normalise
from maskcls.engine.tta import VIEWS
from maskcls.errors import ResultError
from maskcls.labels import LabelSpace
from maskcls.nn.network import JOINT, Network

Prob = NDArray[np.float32]


@dataclass(frozen=True)
class Speaker:
    """A network, the label space it speaks about, and the view it was trained on."""

    network: Network
    space: LabelSpace
    spec: ViewSpec


@torch.inference_mode()
def infer(
    speakers: Sequence[Speaker],
    photos: Photos,
    rows_n: Rows,
    *,
    accelerator: Accelerator,
    views: str,
    batch_size: int,
    workers: int,
    channels_last: bool = True,
    on_images: Callable[[int], None] = lambda count: None,
) -> list[Prob]:
    """Return each speaker's joint probabilities (n, J) for the rows, in their order; every photo is decoded once.

    photos.specs must hold the spec of every speaker. The mean over the views is taken of probabilities. With several
    processes each takes whole batches and all get the full answer, so their number changes no bit of it.
    Raises ResultError when rows are lost or doubled, or a probability is not finite.
    """
    for speaker in speakers:
        speaker.network.eval()
    plan = _whole_batches(rows_n, min(batch_size, len(rows_n)))
    mine = plan[accelerator.process_index :: accelerator.num_processes]
    keys = [[Key(int(row)) for row in rows_n[places[places >= 0]]] for places in mine]
    source = loader(photos, keys, workers=workers, pin=accelerator.device.type == "cuda")
    found: list[tuple[NDArray[np.int64], list[Prob]]] = []
    for places, images in zip(mine, batches(source), strict=True):
        full = [_filled(of_spec, len(places)) for of_spec in images]
        probs = [_speak(s, full[photos.specs.index(s.spec)], accelerator, views, channels_last) for s in speakers]
        real = places >= 0
        found.append((places[real], [prob[real] for prob in probs]))
        on_images(int(real.sum()))
    return _gathered(found, speakers, len(rows_n), accelerator)


def _whole_batches(rows_n: Rows, batch_size: int) -> list[NDArray[np.int64]]:
    """Cut the places 0..n-1 into batches of one length, -1 filling up the last.

    The result of a row depends in its last bits on the length of its batch, so no batch is shorter.
    """
    count = -(-len(rows_n) // batch_size) if len(rows_n) else 0
    places = np.full(count * batch_size, -1, dtype=np.int64)
    places[: len(rows_n)] = np.arange(len(rows_n))
    return list(places.reshape(count, batch_size))


def _filled(images_BHWC: Tensor, length: int) -> Tensor:
    """Repeat the first image behind the others until there are `length`; fillers are not decoded again."""
    return torch.cat([images_BHWC, images_BHWC[:1].expand(length - len(images_BHWC), -1, -1, -1)])


def _speak(speaker: Speaker, images_BHWC: Tensor, accelerator: Accelerator, views: str, channels_last: bool) -> Prob:
    spec = speaker.spec
    images = normalise(
        images_BHWC, device=accelerator.device, mean=spec.mean, std=spec.std, channels_last=channels_last
    )
    total = np.zeros((len(images), speaker.space.size))
    for view in VIEWS[views]:
        with accelerator.autocast():
            logits = speaker.network(view(images))
        total += joint_probabilities(logits, speaker.space)
    return (total / len(VIEWS[views])).astype(np.float32)


def joint_probabilities(logits: dict[str, Tensor], space: LabelSpace) -> Prob:
    """Return joint probabilities (B, J): the softmax of the joint head, or the product of the tasks' softmaxes."""
    prob = {name: torch.softmax(value.float(), dim=1).cpu().numpy() for name, value in logits.items()}
    return prob[JOINT] if JOINT in prob else space.compose(prob)


def _gathered(
    found: list[tuple[NDArray[np.int64], list[Prob]]], speakers: Sequence[Speaker], count: int, accelerator: Accelerator
) -> list[Prob]:
    parts = gather_object(found) if accelerator.num_processes > 1 else found
    places = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, dtype=np.int64)
    # accelerate may pad or truncate what it gathers; only the set of rows proves that nothing was lost or doubled.
    if not np.array_equal(np.sort(places), np.arange(count)):
        raise ResultError("rows were lost or doubled in inference", got=f"{len(places)} rows", expected=f"{count} rows")
    results = []
    for index, speaker in enumerate(speakers):
        prob = np.empty((count, speaker.space.size), dtype=np.float32)
        for part_places, probs in parts:
            prob[part_places] = probs[index]
        broken = int((~np.isfinite(prob)).any(axis=1).sum())
        if broken:
            got = f"NaN or infinity in {broken} of {count} rows"
            raise ResultError("a network gave a probability that is not finite", got=got)
        results.append(prob)
    return results
