"""Inference: probabilities from networks, photos and views, for validation, out-of-fold rows and new photos.

n requested rows, J joint classes of a network's label space, B batch, V views.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from maskcls.data.dataset import Key, Photos, batches, loader
from maskcls.data.rows.batches import Rows
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.compute.free_memory import MEMORY_SHARE, available_bytes
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import move_network, normalise
from maskcls.engine.tta import views_of
from maskcls.errors import ResultError
from maskcls.labels import LabelSpace
from maskcls.machine import memory_for
from maskcls.nn.fuse_norms import Pairs, find_pairs, fuse_pairs
from maskcls.nn.heads import JOINT, Head, probabilities
from maskcls.nn.network import Network
from maskcls.results.predicted.view_means import mean_over_views
from maskcls.viewnames import ViewMean, parse_views, view_mean

Prob = NDArray[np.float32]
Places = NDArray[np.int64]
Output = TypeVar("Output")  # of one network for one batch
Logits = list[dict[str, Tensor]]  # per predictor: {head: (V * B, C)}

HELD = 3  # memory of a forward pass divided by that of its widest operation: residuals and workspaces come on top


@dataclass(frozen=True)
class Predictor:
    """A network with what inference needs: the label space of its outputs, and the view it was trained on."""

    network: Network
    space: LabelSpace
    spec: ViewSpec


@dataclass(frozen=True)
class Reader:
    """Rows of a photo set in batches of equal length, read once, or once per epoch by the same loader processes.

    count   number n of rows, over all processes.
    places  per batch of this process: (B,) int64 row numbers 0..n-1; -1 for a filler.
    """

    photos: Photos
    count: int
    places: list[Places]
    source: DataLoader[object]
    views: str


def open_reader(
    photos: Photos,
    rows_n: Rows,
    *,
    accelerator: Accelerator,
    views: str,
    batch_size: int,
    workers: int,
    keep: bool = False,
    epoch: int = -1,
) -> Reader:
    """Plan the reading of these rows. batch_size: images per forward pass, with all views of a photo counted.

    epoch  of the augmentation of the photos; -1: none.

    Each process gets whole batches, so the number of processes does not change the result.
    """
    plan = _whole_batches(len(rows_n), max(1, batch_size // len(parse_views(views))))
    mine = plan[accelerator.process_index :: accelerator.num_processes]
    keys = [[Key(int(row), epoch) for row in rows_n[places[places >= 0]]] for places in mine]
    pin = accelerator.device.type == "cuda"
    return Reader(photos, len(rows_n), mine, loader(photos, keys, workers=workers, pin=pin, keep=keep), views)


@torch.inference_mode()
def infer(
    predictors: Sequence[Predictor],
    reader: Reader,
    *,
    accelerator: Accelerator,
    execution: Execution,
    on_images: Callable[[int], None] = lambda count: None,
) -> list[Prob]:
    """Return each predictor's joint probabilities (n, J) float32 for the reader's rows, in their order.

    The reader's photos must have been opened with the spec of every predictor; a photo is read once for all of them.
    Views are averaged as `mean_over_views` does. on_images: called with the number of images just finished.
    Raises ResultError when rows are missing or repeated, or a probability is not finite.
    """
    ready = [prepare(predictor, accelerator, execution) for predictor in predictors]
    return infer_prepared(ready, reader, accelerator=accelerator, execution=execution, on_images=on_images)


@torch.inference_mode()
def infer_prepared(
    ready: Sequence[Predictor],
    reader: Reader,
    *,
    accelerator: Accelerator,
    execution: Execution,
    on_images: Callable[[int], None] = lambda count: None,
) -> list[Prob]:
    """Do what `infer` does with predictors that `prepare` returned, for callers that predict many times.

    Networks with one backbone, as those of model.train=heads, share its pass.
    """
    groups = _with_one_trunk(ready)
    heads = {id(group[0].network): [predictor.network for predictor in group] for group in groups}

    def call(network: Network, images: Tensor) -> Logits:
        together = heads[id(network)]
        if len(together) == 1:
            return [network(images)]
        feature_BF = network.drop(network.trunk(images))
        return [one.of_features(feature_BF) for one in together]

    ordered = [predictor for group in groups for predictor in group]
    found = [
        _collected(places, [one for group in outputs for one in group], ordered, view_mean(reader.views), on_images)
        for places, outputs in passes([group[0] for group in groups], reader, execution, call=call)
    ]
    probs = _gathered(found, ordered, reader.count, accelerator)
    place = {id(predictor): at for at, predictor in enumerate(ordered)}
    return [probs[place[id(predictor)]] for predictor in ready]


def _with_one_trunk(ready: Sequence[Predictor]) -> list[list[Predictor]]:
    """Return the predictors in groups whose networks have the same backbone with the same weights, and one view."""
    groups: list[list[Predictor]] = []
    for predictor in ready:
        for group in groups:
            if _same_trunk(predictor, group[0]):
                group.append(predictor)
                break
        else:
            groups.append([predictor])
    return groups


def _same_trunk(one: Predictor, other: Predictor) -> bool:
    if one.spec != other.spec or one.network.backbone != other.network.backbone:
        return False
    mine, theirs = one.network.trunk.state_dict(), other.network.trunk.state_dict()
    # The cheapest first, as a server asks per request: trained networks differ in the first tensor already.
    return (
        mine.keys() == theirs.keys()
        and all(torch.equal(mine[name], theirs[name]) for name in mine)
        and str(one.network.trunk) == str(other.network.trunk)
    )


@torch.inference_mode()
def passes(
    ready: Sequence[Predictor], reader: Reader, execution: Execution, *, call: Callable[[Network, Tensor], Output]
) -> Iterator[tuple[Places, list[Output]]]:
    """Yield the places of each batch of this process, and what `call` returns of each prepared predictor's network.

    call  takes a network and the normalised images of all views, (V * B, 3, H, W); fillers have place -1.
    """
    lanes = _lane_count(ready, reader, execution)
    with memory_for(partial(_smaller_batch, reader, lanes)), _lanes(_device_of(ready), lanes) as (submit, depth):
        waiting: deque[tuple[Places, Callable[[], list[Output]]]] = deque()
        for places, images in zip(reader.places, batches(reader.source), strict=True):
            work = partial(_forward, ready, full_batch(images, places), reader, execution, call)
            waiting.append((places, submit(work)))
            if len(waiting) > depth:
                done, wait = waiting.popleft()
                yield done, wait()
        while waiting:
            done, wait = waiting.popleft()
            yield done, wait()


def _smaller_batch(reader: Reader, lanes: int) -> tuple[str, str]:
    """Describe the forward passes that did not fit, and return what to set so that they are half as large."""
    images = len(reader.places[0]) * len(parse_views(reader.views)) if reader.places else 0
    where = f"validation or prediction, {images} images per forward pass, {lanes} at the same time"
    if images < 2 * len(parse_views(reader.views)):
        return where, "set device.threads=1, a smaller transforms.size in a new run, or close other programs"
    return where, f"set predict.batch_size={images // 2}, for a validation in a new run; or close other programs"


def prepare(predictor: Predictor, accelerator: Accelerator, execution: Execution) -> Predictor:
    """Return the predictor for inference on the accelerator's device: batch norms fused, weights copied there."""
    network, size = predictor.network, predictor.spec.size
    structure = f"{size} {network.backbone} {network.trunk}"
    if structure not in _pairs:
        example = torch.zeros(2, 3, *size).normal_(generator=torch.Generator().manual_seed(0))
        _pairs[structure] = find_pairs(network, example)
    fused = fuse_pairs(network, _pairs[structure])
    move_network(fused, accelerator.device, execution)
    return replace(predictor, network=fused)


_pairs: dict[str, Pairs] = {}  # by structure, so that one search serves all folds and epochs of a network


def _lane_count(ready: Sequence[Predictor], reader: Reader, execution: Execution) -> int:
    """Return how many batches a CPU computes in parallel: one per core, as far as memory allows.

    Batches are not divided among the cores: the last bits of a row's result depend on the length of its batch, and
    would then depend on the number of cores.
    """
    threads = torch.get_num_threads()
    if threads == 1 or not reader.places or _device_of(ready).type != "cpu":
        return 1
    passed = sum(3 * 4 * spec.size[0] * spec.size[1] for spec in reader.photos.specs)
    widest = max(image_bytes(predictor.network, predictor.spec.size, execution) for predictor in ready)
    lane = len(reader.places[0]) * len(parse_views(reader.views)) * (2 * passed + HELD * widest)
    return max(1, min(threads, int(available_bytes() * MEMORY_SHARE / lane)))


def image_bytes(network: Network, size: tuple[int, int], execution: Execution) -> float:
    """Return the bytes per image that the widest operation of a forward pass reads and writes, without the weights.

    Measured as the difference between a pass of two images and one of four.
    """
    key = f"{size} {execution} {network.trunk}"
    if key not in _widths:
        few, more = (_Bytes(), _Bytes())
        for count, noted in ((2, few), (4, more)):
            images = torch.zeros(count, 3, *size).to(memory_format=execution.layout)
            with execution.autocast(images.device), noted:
                network(images)
        _widths[key] = max((after - before) / 2 for before, after in zip(few.noted, more.noted, strict=True))
    return _widths[key]


_widths: dict[str, float] = {}  # by structure, as with _pairs


class _Bytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Record the bytes that every operation reads and writes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.noted: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        storages = [tensor.untyped_storage() for tensor in tensors]
        self.noted.append(sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values()))
        return result


@contextmanager
def _lanes(
    device: torch.device, count: int
) -> Iterator[tuple[Callable[[Callable[[], Output]], Callable[[], Output]], int]]:
    """Yield a function that starts a batch and returns a function that waits for its output; and how many may run.

    A CPU computes `count` whole batches in parallel, each on one thread, because cores that share an operation wait
    for each other. A GPU processes its own queue; only fetching a result waits for it.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu":
        yield _at_once, 1
        return
    with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield (lambda work: pool.submit(work).result), count
        finally:
            # The setting belongs to one thread, but threads created later inherit it.
            torch.set_num_threads(threads)


def _at_once(work: Callable[[], Output]) -> Callable[[], Output]:
    output = work()
    return lambda: output


def _device_of(ready: Sequence[Predictor]) -> torch.device:
    return next(ready[0].network.parameters()).device


def _whole_batches(count: int, batch_size: int) -> list[Places]:
    """Divide the rows 0..n-1 into batches of equal length, the shortest possible; -1 fills the last batch.

    All batches have the same length, because the last bits of a row's result depend on the length of its batch.
    """
    if not count:
        return []
    number = -(-count // batch_size)
    length = -(-count // number)
    places = np.full(number * length, -1, dtype=np.int64)
    places[:count] = np.arange(count)
    return list(places.reshape(number, length))


def full_batch(images: list[Tensor], places: Places) -> list[Tensor]:
    """Repeat the first image at the end until there is one per place; the results of fillers are dropped."""
    return [
        torch.cat([images_BHWC, images_BHWC[:1].expand(len(places) - len(images_BHWC), -1, -1, -1)])
        for images_BHWC in images
    ]


@torch.inference_mode()  # each thread has its own mode
def _forward(
    ready: Sequence[Predictor],
    images: list[Tensor],
    reader: Reader,
    execution: Execution,
    call: Callable[[Network, Tensor], Output],
) -> list[Output]:
    device = _device_of(ready)
    views: dict[ViewSpec, Tensor] = {}
    for spec, images_BHWC in zip(reader.photos.specs, images, strict=True):
        floats = normalise(images_BHWC.to(device, non_blocking=True), mean=spec.mean, std=spec.std, execution=execution)
        views[spec] = torch.cat([view(floats) for view in views_of(reader.views)])
    with execution.autocast(device):
        return [call(predictor.network, views[predictor.spec]) for predictor in ready]


def _collected(
    places: Places, found: Logits, ready: Sequence[Predictor], mean: ViewMean, on_images: Callable[[int], None]
) -> tuple[Places, list[Prob]]:
    real = places >= 0
    probs = []
    for predictor, logits in zip(ready, found, strict=True):
        joint = joint_probabilities(logits, predictor.network.specs, predictor.space)
        probs.append(mean_over_views(joint.reshape(-1, len(places), joint.shape[1]), mean)[real])
    on_images(int(real.sum()))
    return places[real], probs


def joint_probabilities(logits: Mapping[str, Tensor], specs: Mapping[str, Head], space: LabelSpace) -> Prob:
    """Return joint probabilities (B, J) float32: of the joint head, or the product of the tasks' (see `compose`)."""
    prob = {name: probabilities(specs[name], value).cpu().numpy() for name, value in logits.items()}
    if JOINT in prob:
        return prob[JOINT][:, 0]
    given = {name: head.given for name, head in specs.items() if head.given}
    return space.compose({name: value if name in given else value[:, 0] for name, value in prob.items()}, given)


def _gathered(
    found: list[tuple[Places, list[Prob]]], predictors: Sequence[Predictor], count: int, accelerator: Accelerator
) -> list[Prob]:
    parts = gather_object(found) if accelerator.num_processes > 1 else found
    places = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, dtype=np.int64)
    # accelerate may pad or truncate what it gathers, so the row numbers are checked: none missing, none repeated.
    if not np.array_equal(np.sort(places), np.arange(count)):
        raise ResultError(
            "rows are missing or repeated after inference",
            got=f"{len(places)} rows",
            expected=f"{count} rows",
            fix="give the command again in one process",
        )
    results = []
    for index, predictor in enumerate(predictors):
        prob = np.empty((count, predictor.space.size), dtype=np.float32)
        for part_places, probs in parts:
            prob[part_places] = probs[index]
        broken = int((~np.isfinite(prob)).any(axis=1).sum())
        if broken:
            got = f"NaN or infinity in {broken} of {count} rows"
            raise ResultError(
                "a network returned a probability that is not finite",
                got=got,
                fix="use device.precision=fp32; if it stays, train the fold again",
            )
        results.append(prob)
    return results
