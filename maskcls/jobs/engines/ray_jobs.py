"""Jobs on Ray. Each is an actor of its own, which Ray keeps without the command that made it; a task would end.

The actor starts the process of the job with the devices that Ray has given it, and ends with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from maskcls.config.installed_extras import check_extra
from maskcls.errors import ResourceError
from maskcls.jobs.engines.engine import JobStart, JobState
from maskcls.jobs.engines.engine_words import RayWords

NAMESPACE = "maskcls"
ANSWER_S = 0.5  # for the actors to answer, together
ADDRESS = "RAY_ADDRESS"
PATH = "PYTHONPATH"
PARENT = "MASKCLS_JOB_PARENT"  # the process whose end ends the job


class RayJobs:
    """The engine `ray`. Without an address, and where no cluster runs, one is started that ends with this process."""

    poll_s = 1.0

    def __init__(self, words: RayWords) -> None:
        check_extra("ray", needed_by="--on ray")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would send what is used to its makers
        import ray

        self.words, self.ray, self.actors = words, ray, list[Any]()
        self.calls: dict[str, Any] = {}  # of actors that have not answered yet
        common: dict[str, Any] = {
            "namespace": NAMESPACE,
            "log_to_driver": False,
            "logging_level": "ERROR",
            "ignore_reinit_error": True,
        }
        self.survives, self.common = True, common
        try:
            ray.init(address=words.address or os.environ.get(ADDRESS) or "auto", **common)
        except Exception as error:  # Ray raises ConnectionError, and errors of gRPC and of its own
            if words.address is not None or os.environ.get(ADDRESS):
                said = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise ResourceError(
                    "no Ray cluster answers",
                    where=f"--on ray:{words.address}" if words.address else ADDRESS,
                    got=said,
                    fix="start one with ray start --head, or leave out the address",
                ) from None
            self.survives = False

    def submit(self, start: JobStart) -> None:
        """Make the actor of a job; it waits in Ray until its devices are free."""
        if not self.ray.is_initialized():
            self.ray.init(address="local", include_dashboard=False, **self.common)
        words = self.words
        options: dict[str, Any] = {"num_cpus": words.cpus, "num_gpus": words.gpus, "max_restarts": 0}
        if words.mem_bytes is not None:
            options["memory"] = words.mem_bytes
        if self.survives:
            options["lifetime"] = "detached"
        actor = self.ray.remote(JobActor).options(name=start.name, **options)
        # Ray ends an actor that is not detached with the last reference to it.
        self.actors.append(actor.remote(list(start.command), start.name, dict(_passed_on())))

    def states(self, starts: Sequence[JobStart]) -> Mapping[str, JobState]:
        """Return whether the actors live: one that waits for its devices does, and one that answers a call.

        Ray may know an actor that has ended by its name, as long as the command that made it runs. So each is called,
        and called again when it has answered.
        """
        for start in starts:
            if start.name not in self.calls and (actor := self._actor(start)) is not None:
                self.calls[start.name] = actor.answer.remote()
        asked = {start.name: self.calls[start.name] for start in starts if start.name in self.calls}
        if asked:
            self.ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_S)
        return {start.name: JobState(start.name in asked and self._lives(start.name)) for start in starts}

    def cancel(self, start: JobStart) -> None:
        """End the actor, and with it the job."""
        if (actor := self._actor(start)) is not None:
            self.ray.kill(actor)

    def said_by(self, start: JobStart) -> str:
        """Return where Ray keeps what its workers print."""
        return "the logs of Ray, by default below /tmp/ray/session_latest/logs"

    def close(self) -> None:
        """End the cluster that this process has started.

        Ray ends a process that connects to a cluster while it ends.
        """
        if not self.survives and self.ray.is_initialized():
            self.ray.shutdown()

    def _lives(self, name: str) -> bool:
        """Tell whether an actor answers its call, or has not been able to yet."""
        errors = self.ray.exceptions
        try:
            self.ray.get(self.calls[name], timeout=0)
        except (errors.GetTimeoutError, TimeoutError):
            return True
        except errors.RayActorError as error:
            del self.calls[name]
            return isinstance(error, errors.ActorUnavailableError)  # its machine does not answer just now
        del self.calls[name]
        return True

    def _actor(self, start: JobStart) -> Any:
        if not self.ray.is_initialized():
            return None  # an actor that was not detached ended with its cluster
        with suppress(ValueError):
            return self.ray.get_actor(start.name, namespace=NAMESPACE)
        return None


class JobActor:
    """Starts the process of a job when it is made, and leaves Ray when that has ended."""

    def __init__(self, command: Sequence[str], name: str, environment: Mapping[str, str]) -> None:
        import subprocess
        import threading

        settings = {**environment, **os.environ, PARENT: str(os.getpid())}
        paths = [known[PATH] for known in (environment, os.environ) if known.get(PATH)]
        settings |= {PATH: os.pathsep.join(paths)} if paths else {}
        self.process = subprocess.Popen(list(command), env=settings)
        threading.Thread(target=self._wait, args=(name,), daemon=True).start()

    def _wait(self, name: str) -> None:
        import ray

        self.process.wait()
        ray.get_actor(name, namespace=NAMESPACE).leave.remote()

    def answer(self) -> None:
        """Return, which an actor that has ended cannot."""

    def leave(self) -> None:
        """End this actor; Ray then counts its devices as free."""
        import ray

        ray.actor.exit_actor()


def _passed_on() -> Mapping[str, str]:
    """Return the variables of this process that a job needs, where its worker has not got them."""
    return {name: value for name, value in os.environ.items() if name.startswith(("MASKCLS_", "PYTHON", "OMP_", "HF_"))}
