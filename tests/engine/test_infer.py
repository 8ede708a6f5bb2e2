"""Inference against a plain loop: order, padding, views, several networks at once."""

from __future__ import annotations

import contextlib
import hashlib
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from photos import PLAIN, noise, open_photos, small_network, wake, write_photos

from maskcls.backbone import Backbone
from maskcls.data import dataset
from maskcls.data.views.transforms import eval_view
from maskcls.engine import infer as inference
from maskcls.engine.compute.plan import Execution
from maskcls.engine.infer import Predictor, infer, joint_probabilities, open_reader
from maskcls.errors import ResultError
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.nn.heads import plain_heads
from maskcls.nn.network import Network, build_network

COUNT = 12
ROWS = np.array([7, 2, 11, 0, 5, 3, 9])
# float32 probabilities near 1, by other kernels for other batch sizes
SAME = 1e-6

TWO = LabelSpace((Task("hat", ("no", "yes")), Task("mood", ("sad", "calm", "glad"))))
OTHER_SPEC = replace(PLAIN, crop=(0.8, 0.9), size=(16, 20), mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.4))


@pytest.fixture(scope="module")
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    return write_photos(tmp_path, COUNT)


def multi() -> Predictor:
    return Predictor(small_network(plain_heads("multi", CONTEST), seed=1), CONTEST, PLAIN)


def joint() -> Predictor:
    return Predictor(small_network({"joint": TWO.size}, seed=2), TWO, OTHER_SPEC)


def softmax(logits: list[float]) -> list[float]:
    exponents = [math.exp(v - max(logits)) for v in logits]
    return [e / sum(exponents) for e in exponents]


def one_by_one(predictor: Predictor, row: int, *, mirrored: bool = False) -> list[float]:
    """Return the joint probabilities of one photo: no batch, no loader, plain sums."""
    pixels = eval_view(noise(row), predictor.spec).astype(np.float64) / 255
    ready = (pixels - predictor.spec.mean) / predictor.spec.std
    if mirrored:
        ready = ready[:, ::-1]
    image = torch.tensor(ready.transpose(2, 0, 1).copy(), dtype=torch.float32)[None]
    with torch.no_grad():
        logits = {name: value[0].tolist() for name, value in predictor.network.eval()(image).items()}
    if "joint" in logits:
        return softmax(logits["joint"])
    joint = [1.0]
    for name in predictor.space.names:
        joint = [p * q for p in joint for q in softmax(logits[name])]
    return joint


def run(
    predictors: list[Predictor], root: Path, names: list[str], rows: np.ndarray, **options: Any
) -> list[np.ndarray]:
    specs = list(dict.fromkeys(s.spec for s in predictors))
    settings: dict[str, Any] = {"views": "none", "batch_size": 4, "workers": 0} | options
    here = settings.pop("accelerator", None) or Accelerator(cpu=True)
    execution = settings.pop("execution", Execution())
    on_images = settings.pop("on_images", lambda count: None)
    reader = open_reader(open_photos(root, names, *specs), rows, accelerator=here, **settings)
    return infer(predictors, reader, accelerator=here, execution=execution, on_images=on_images)


@pytest.mark.parametrize("make", [multi, joint])
@pytest.mark.parametrize("layout", ["channels_last", "contiguous"])
def test_equals_a_plain_loop_over_single_photos(tmp_path: Path, names: list[str], make: Any, layout: str) -> None:
    predictor = make()
    (prob,) = run([predictor], tmp_path, names, ROWS, execution=Execution(memory_format=layout))
    assert prob.dtype == np.float32
    assert prob.shape == (len(ROWS), predictor.space.size)
    np.testing.assert_allclose(prob, [one_by_one(predictor, int(row)) for row in ROWS], atol=SAME, rtol=0)
    np.testing.assert_allclose(prob.sum(axis=1), 1, atol=SAME)
    assert np.ptp(prob, axis=0).max() > 0.01  # the photos matter


@pytest.mark.parametrize("batch_size", [1, 3, 7, 64])
def test_the_batch_size_changes_neither_order_nor_rows(tmp_path: Path, names: list[str], batch_size: int) -> None:
    predictor, counts, lengths = multi(), list[int](), list[int]()
    predictor.network.register_forward_pre_hook(lambda _, images: lengths.append(len(images[0])))
    want = [one_by_one(predictor, int(row)) for row in ROWS]
    run([predictor], tmp_path, names, ROWS, batch_size=1)  # measures the network, if no test has
    lengths.clear()
    (prob,) = run([predictor], tmp_path, names, ROWS, batch_size=batch_size, on_images=counts.append)
    assert set(lengths) == {min(batch_size, len(ROWS))}  # no batch is shorter, none longer than the rows
    np.testing.assert_allclose(prob, want, atol=SAME, rtol=0)
    assert prob.argmax(axis=1).tolist() == np.argmax(want, axis=1).tolist()
    assert sum(counts) == len(ROWS)  # padding is not counted
    assert len(counts) == math.ceil(len(ROWS) / batch_size)


@pytest.mark.parametrize(("views", "batch_size", "passes"), [("none", 4, 4), ("hflip", 8, 8), ("shifts", 12, 10)])
def test_the_batch_size_counts_all_views_of_a_photo(
    tmp_path: Path, names: list[str], views: str, batch_size: int, passes: int
) -> None:
    """7 photos: two batches of 4, or with five views four batches of 2."""
    predictor, lengths = multi(), list[int]()
    predictor.network.register_forward_pre_hook(lambda _, images: lengths.append(len(images[0])))
    run([predictor], tmp_path, names, ROWS, views=views, batch_size=1)  # measures the network, if no test has
    lengths.clear()
    (prob,) = run([predictor], tmp_path, names, ROWS, views=views, batch_size=batch_size)
    assert set(lengths) == {passes}
    (alone,) = run([predictor], tmp_path, names, ROWS, views=views, batch_size=1)  # never less than a photo
    np.testing.assert_allclose(prob, alone, atol=SAME, rtol=0)


def test_the_number_of_threads_changes_no_bit_and_is_left_as_it_was(tmp_path: Path, names: list[str]) -> None:
    """Threads compute whole batches, each its own."""
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found += run([multi()], tmp_path, names, ROWS, batch_size=2)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])


def lanes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many batches may be under way in each call."""
    found: list[int] = []
    real = inference._lanes

    def noted(device: torch.device, count: int) -> Any:
        found.append(count)
        return real(device, count)

    monkeypatch.setattr(inference, "_lanes", noted)
    return found


def test_what_an_image_adds_to_the_widest_operation() -> None:
    """One convolution reads 3 x 24 x 18 numbers of four bytes and writes 4 x 11 x 8; its weights do not grow."""
    for layout in ("channels_last", "contiguous"):
        network = small_network({"mask": 1000}).eval()
        width = inference.image_bytes(network, (24, 18), Execution(memory_format=layout))
        assert width == 4 * (3 * 24 * 18 + 4 * 11 * 8)
    with torch.no_grad():
        half = inference.image_bytes(multi().network.eval(), (24, 18), Execution("bf16"))
    assert half == (4 + 2) * 3 * 24 * 18  # the images once in each format


@pytest.mark.parametrize(
    ("room", "views", "want"), [(3.5, "none", 3), (8.0, "none", 5), (0.1, "none", 1), (3.5, "hflip", 1)]
)
def test_no_more_batches_side_by_side_than_there_is_memory_for(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch, room: float, views: str, want: int
) -> None:
    """Room in units of one batch of four photos: twice the images that enter, three times the convolution's numbers."""
    predictor, found = multi(), lanes(monkeypatch)
    (expected,) = run([predictor], tmp_path, names, ROWS, views=views, batch_size=4 if views == "none" else 8)
    size = 4 * (2 * 4 * 3 * 24 * 18 + 3 * 4 * (3 * 24 * 18 + 4 * 11 * 8))
    monkeypatch.setattr(inference, "available_bytes", lambda: room * size / inference.MEMORY_SHARE)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(5)
        (got,) = run([predictor], tmp_path, names, ROWS, views=views, batch_size=4 if views == "none" else 8)
        assert torch.get_num_threads() == 5
    finally:
        torch.set_num_threads(before)
    assert found[1:] == [want]
    np.testing.assert_array_equal(got, expected)


def test_bf16_is_another_arithmetic_but_the_same_answer(tmp_path: Path, names: list[str]) -> None:
    (exact,), (rough,) = (run([multi()], tmp_path, names, ROWS, execution=Execution(p)) for p in ("fp32", "bf16"))
    apart = np.abs(exact - rough).max()
    assert 10 * SAME < apart < 0.02  # bf16 keeps 8 bits; the logits are about 1


def test_a_row_asked_for_twice_is_answered_twice(tmp_path: Path, names: list[str]) -> None:
    (prob,) = run([multi()], tmp_path, names, np.array([4, 1, 4]))
    np.testing.assert_array_equal(prob[0], prob[2])
    assert not np.array_equal(prob[0], prob[1])


@pytest.mark.parametrize("workers", [0, 1])
def test_no_rows_give_no_rows(tmp_path: Path, names: list[str], workers: int) -> None:
    first, second = run([multi(), joint()], tmp_path, names, np.empty(0, dtype=np.int64), workers=workers)
    assert first.shape == (0, 18)
    assert second.shape == (0, 6)


def test_workers_change_no_bit(tmp_path: Path, names: list[str]) -> None:
    (alone,), (helped,) = (run([multi()], tmp_path, names, ROWS, workers=w) for w in (0, 1))
    np.testing.assert_array_equal(alone, helped)


def test_views_are_averaged_as_probabilities(tmp_path: Path, names: list[str]) -> None:
    predictor = multi()
    (prob,) = run([predictor], tmp_path, names, ROWS, views="hflip")
    pairs = [(one_by_one(predictor, int(r)), one_by_one(predictor, int(r), mirrored=True)) for r in ROWS]
    np.testing.assert_allclose(prob, np.mean(pairs, axis=1), atol=SAME, rtol=0)
    # the mean of the logits, or of the marginals, would be something else by far more than the tolerance
    geometric = np.sqrt(np.prod(pairs, axis=1))
    assert np.abs(prob - geometric / geometric.sum(axis=1, keepdims=True)).max() > 100 * SAME
    parts = [CONTEST.marginals(np.array(side, dtype=np.float32)) for side in zip(*pairs, strict=True)]
    marginal = CONTEST.compose({name: (parts[0][name] + parts[1][name]) / 2 for name in CONTEST.names})
    assert np.abs(prob - marginal).max() > 100 * SAME


def test_the_geometric_mean_of_views_is_the_softmax_of_their_mean_logits(tmp_path: Path, names: list[str]) -> None:
    predictor = multi()
    (prob,) = run([predictor], tmp_path, names, ROWS, views="geometric:hflip")
    pairs = [(one_by_one(predictor, int(r)), one_by_one(predictor, int(r), mirrored=True)) for r in ROWS]
    logs = [torch.from_numpy(np.log(np.array(side, dtype=np.float64))) for side in zip(*pairs, strict=True)]
    want = torch.softmax((logs[0] + logs[1]) / 2, dim=1).numpy()
    np.testing.assert_allclose(prob, want, atol=SAME, rtol=0)
    np.testing.assert_allclose(prob.sum(axis=1), 1, atol=1e-6)


def test_two_networks_with_other_specs_and_classes_share_the_decoding(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    original = dataset.read_bytes

    def counted(path: Path) -> bytes:
        calls.append(path.name)
        return original(path)

    monkeypatch.setattr(dataset, "read_bytes", counted)
    predictors = [multi(), joint(), multi()]
    found = run(predictors, tmp_path, names, ROWS, batch_size=4)  # the second batch has a filler
    assert calls == [f"{row}.png" for row in ROWS]
    for predictor, prob in zip(predictors, found, strict=True):
        np.testing.assert_allclose(prob, [one_by_one(predictor, int(row)) for row in ROWS], atol=SAME, rtol=0)


def state_hash(network: Network) -> str:
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def test_inference_leaves_the_network_as_it_was(tmp_path: Path, names: list[str]) -> None:
    predictor = multi()
    predictor.network.train()
    before = state_hash(predictor.network)
    (prob,) = run([predictor], tmp_path, names, ROWS)
    assert state_hash(predictor.network) == before
    assert predictor.network.training
    assert all(p.grad is None for p in predictor.network.parameters())
    np.testing.assert_allclose(prob, [one_by_one(predictor, int(row)) for row in ROWS], atol=SAME, rtol=0)


def test_options_that_a_backbone_does_not_show_are_told_apart(tmp_path: Path, names: list[str]) -> None:
    """The same layers and tensors, but other features of them: such networks share no pass."""
    spec = replace(PLAIN, size=(32, 32))
    predictors = []
    for pool in ("avg", "max", "avg"):
        torch.manual_seed(0)
        backbone = Backbone("test_vit", {"global_pool": pool})
        network = wake(build_network(backbone, plain_heads("multi", CONTEST), size=spec.size))
        predictors.append(Predictor(network.eval(), CONTEST, spec))
    first, second = (one.network.trunk for one in predictors[:2])
    assert str(first) == str(second)
    assert all(torch.equal(one, second.state_dict()[key]) for key, one in first.state_dict().items())
    together = run(predictors, tmp_path, names, ROWS)
    for one, found in zip(predictors, together, strict=True):
        assert np.array_equal(run([one], tmp_path, names, ROWS)[0], found)
    assert not np.allclose(together[0], together[1])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_network_that_gives_no_numbers_is_refused(tmp_path: Path, names: list[str], value: float) -> None:
    predictor = multi()
    with torch.no_grad():
        predictor.network.heads["age"].bias[1] = value
    with pytest.raises(ResultError, match="not finite") as caught:
        run([joint(), predictor], tmp_path, names, ROWS)
    assert caught.value.got == "NaN or infinity in 7 of 7 rows"


def test_a_joint_head_is_not_multiplied_out() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.1, 0.1, 0.2]]))
    got = joint_probabilities({"joint": logits}, plain_heads("joint", TWO), TWO)
    np.testing.assert_allclose(got, [[0.1, 0.2, 0.3, 0.1, 0.1, 0.2]], atol=SAME)
    halves = {"hat": torch.log(torch.tensor([[0.25, 0.75]])), "mood": torch.log(torch.tensor([[0.5, 0.3, 0.2]]))}
    want = [[0.125, 0.075, 0.05, 0.375, 0.225, 0.15]]
    np.testing.assert_allclose(joint_probabilities(halves, plain_heads("multi", TWO), TWO), want, atol=SAME)


# --- several processes, played one after the other


def process(index: int, count: int) -> Any:
    return SimpleNamespace(
        process_index=index, num_processes=count, device=torch.device("cpu"), autocast=contextlib.nullcontext
    )


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_number_of_processes_changes_no_bit(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Each process keeps its share; the last one is handed what all of them would have gathered."""
    (want,) = run([multi()], tmp_path, names, ROWS, batch_size=2)
    shares: list[Any] = []

    def gathered(found: list[Any]) -> list[Any]:
        shares.extend(found)
        return shares

    monkeypatch.setattr(inference, "gather_object", gathered)
    batches = math.ceil(len(ROWS) / 2)
    for index in range(min(count, batches) - 1):
        with pytest.raises(ResultError, match="missing or repeated"):
            run([multi()], tmp_path, names, ROWS, batch_size=2, accelerator=process(index, count))
    for index in range(min(count, batches) - 1, count):  # with the last share all is there; more processes have none
        (got,) = run([multi()], tmp_path, names, ROWS, batch_size=2, accelerator=process(index, count))
        np.testing.assert_array_equal(got, want)


def test_a_row_gathered_twice_is_noticed(tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "gather_object", lambda found: found + found[:1])
    with pytest.raises(ResultError, match="missing or repeated") as caught:
        run([multi()], tmp_path, names, ROWS[:4], batch_size=4, accelerator=process(0, 2))
    assert (caught.value.got, caught.value.expected) == ("8 rows", "4 rows")
