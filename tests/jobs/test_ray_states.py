"""Ray knows actors that have ended by their names; only one that answers, or cannot yet, counts as alive."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from maskcls.jobs.engines.engine import JobStart
from maskcls.jobs.engines.ray_jobs import RayJobs


class ActorDiedError(Exception):
    """As in ray.exceptions."""


class ActorUnavailableError(ActorDiedError):
    """As in ray.exceptions."""


class Actor:
    """An actor whose calls end as its state says: waiting, alive, dead, or away (its machine does not answer)."""

    def __init__(self, state: str) -> None:
        self.state, self.called = state, 0
        self.answer = SimpleNamespace(remote=self._call)

    def _call(self) -> Actor:
        self.called += 1
        return self


class FakeRay:
    """The functions of ray that the engine uses, for actors by their names."""

    exceptions = SimpleNamespace(
        GetTimeoutError=TimeoutError, RayActorError=ActorDiedError, ActorUnavailableError=ActorUnavailableError
    )

    def __init__(self, **actors: Actor) -> None:
        self.actors, self.waits = actors, list[tuple[int, float]]()

    def is_initialized(self) -> bool:
        return True

    def get_actor(self, name: str, namespace: str) -> Actor:
        if name not in self.actors:
            raise ValueError(name)
        return self.actors[name]

    def wait(self, refs: list[Actor], num_returns: int, timeout: float) -> None:
        assert len(refs) == num_returns
        self.waits.append((num_returns, timeout))

    def get(self, call: Actor, timeout: float) -> None:
        assert timeout == 0
        match call.state:
            case "waiting":
                raise TimeoutError
            case "dead":
                raise ActorDiedError
            case "away":
                raise ActorUnavailableError


@pytest.fixture
def ray() -> FakeRay:
    return FakeRay(a=Actor("waiting"), b=Actor("alive"), c=Actor("dead"), d=Actor("away"))


def alive(engine: RayJobs) -> dict[str, bool]:
    starts = [JobStart(name, name, []) for name in "abcde"]
    return {name: state.alive for name, state in engine.states(starts).items()}


def test_an_actor_lives_that_answers_or_waits(ray: FakeRay) -> None:
    engine: Any = RayJobs.__new__(RayJobs)
    engine.ray, engine.calls = ray, {}
    expected = {"a": True, "b": True, "c": False, "d": True, "e": False}
    for _ in range(3):
        assert alive(engine) == expected
    assert [count for count, _ in ray.waits] == [4, 4, 4]
    # One that waits for hours is not called again and again.
    assert {name: actor.called for name, actor in ray.actors.items()} == {"a": 1, "b": 3, "c": 3, "d": 3}
    ray.actors["a"].state = ray.actors["b"].state = "dead"
    assert alive(engine) == {"a": False, "b": False, "c": False, "d": True, "e": False}
