"""Real processes share 81 rows: each row is predicted once, with the bits of one process, in every process."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from forked_processes import in_processes
from photos import PLAIN, open_photos, small_network, write_photos

from maskcls.labels import CONTEST
from maskcls.nn.heads import plain_heads
from maskcls.schema import DeviceConfig

COUNT = 81
# Views, and images per forward pass: 11 batches of 8 rows with 7 fillers; 14 batches of 6 rows with 3 fillers.
READERS = (("none", 8), ("hflip", 12))


def predict(data: Path, out: Path) -> int:
    """Predict all rows twice; write what this process got, and the rows that it predicted itself."""
    from maskcls.engine.compute.plan import Execution
    from maskcls.engine.device import start
    from maskcls.engine.infer import Predictor, infer, open_reader

    accelerator = start(DeviceConfig(type="cpu", threads=1))
    predictor = Predictor(small_network(plain_heads("multi", CONTEST), seed=1), CONTEST, PLAIN)
    photos = open_photos(data, [f"{row}.png" for row in range(COUNT)], PLAIN)
    found: dict[str, np.ndarray] = {}
    for views, batch_size in READERS:
        how = {"views": views, "batch_size": batch_size, "workers": 0}
        reader = open_reader(photos, np.arange(COUNT)[::-1], accelerator=accelerator, **how)  # type: ignore[arg-type]
        (prob,) = infer([predictor], reader, accelerator=accelerator, execution=Execution())
        own = np.concatenate([places[places >= 0] for places in reader.places])
        found |= {f"{views} prob": prob, f"{views} own": own}
    np.savez(out / f"{os.environ['RANK']}.npz", allow_pickle=False, **found)
    return 0


@pytest.fixture(
    scope="module", params=[(1, 3), pytest.param((1, 2, 3, 4), marks=pytest.mark.slow)], ids=["three", "some"]
)
def predicted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, list[dict[str, np.ndarray]]]:
    """What each process got, by the number of processes."""
    data, found = tmp_path_factory.mktemp("photos"), {}
    write_photos(data, COUNT)
    for count in request.param:
        out = tmp_path_factory.mktemp("out")
        for ended in in_processes(count, partial(predict, data, out), out / "log"):
            assert ended.code == 0, ended.err
        found[count] = [dict(np.load(out / f"{rank}.npz")) for rank in range(count)]
    return found


@pytest.mark.parametrize("views", [views for views, _ in READERS])
def test_every_row_is_predicted_once(predicted: dict[int, list[dict[str, np.ndarray]]], views: str) -> None:
    (alone,) = predicted[1]
    assert alone[f"{views} prob"].shape == (COUNT, 18)
    assert len(np.unique(alone[f"{views} prob"], axis=0)) == COUNT  # so that no row stands for another
    for processes in predicted.values():
        assert sorted(np.concatenate([one[f"{views} own"] for one in processes])) == list(range(COUNT))
        assert all(len(one[f"{views} own"]) > 0 for one in processes)
        for one in processes:
            np.testing.assert_array_equal(one[f"{views} prob"], alone[f"{views} prob"])
