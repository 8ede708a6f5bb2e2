"""Joint predictions from several networks: products over tasks, means over sources, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.errors import DataError
from maskcls.labels import CONTEST, Floats
from maskcls.results.predictions import Predictions
from maskcls.runs.joint import joint_predictions

IDS = np.array(["c", "a", "b"])


def drawn(columns: int, seed: int) -> Floats:
    return np.random.default_rng(seed).dirichlet(np.ones(columns), len(IDS)).astype(np.float32)


def whole(seed: int) -> Predictions:
    return Predictions(IDS, drawn(CONTEST.size, seed), CONTEST, {"seed": seed})


def per_task(seed: int) -> dict[str, Predictions]:
    spaces = [CONTEST.only([name]) for name in CONTEST.names]
    return {s.names[0]: Predictions(IDS, drawn(s.size, seed), s, {"task": s.names[0]}) for s in spaces}


def test_one_network_is_returned_as_it_is() -> None:
    assert joint_predictions({"seed 0": {"": (one := whole(0))}}, CONTEST) is one


def test_one_network_per_task_is_multiplied() -> None:
    parts = per_task(1)
    parts["age"] = parts["age"].align(["a", "b", "c"])  # joined by id
    found = joint_predictions({"seed 0": parts}, CONTEST)
    assert found.ids.tolist() == IDS.tolist()
    assert (found.prob == CONTEST.compose({name: part.prob for name, part in per_task(1).items()})).all()
    assert found.lineage == {"members": {name: {"task": name} for name in CONTEST.names}}


def test_sources_are_averaged_in_float64() -> None:
    sources = {f"seed {seed}": {"": whole(seed)} for seed in range(3)}
    found = joint_predictions(sources, CONTEST)
    total = sum(whole(seed).prob.astype(np.float64) for seed in range(3))
    assert (found.prob == (total / 3).astype(np.float32)).all()
    assert found.lineage == {"mean": [{"seed": 0}, {"seed": 1}, {"seed": 2}]}


def test_sources_of_other_photos_are_refused_by_name() -> None:
    other = Predictions(np.array(["x", "a", "b"]), whole(1).prob, CONTEST)
    with pytest.raises(DataError) as caught:
        joint_predictions({"seed 0": {"": whole(0)}, "seed 1": {"": other}}, CONTEST)
    assert "seed 1" in str(caught.value)
