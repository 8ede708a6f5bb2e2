"""Whether the folds of two runs were computed in the same way, as far as that can change the bits of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from maskcls.engine.compute.plan import Plan
from maskcls.errors import ResultError, UsageError
from maskcls.runs.environment import PIXEL_DECODER, SHOWN_CODE, Machine

ComputationKind = Literal["code", "packages", "decoder", "device", "processor", "plan"]
KINDS: tuple[ComputationKind, ...] = get_args(ComputationKind)
HOW: Mapping[ComputationKind, str] = {
    "code": "were trained by other code of maskcls",
    "packages": "were trained with other versions of packages",
    "decoder": "have decoded their photos by other libraries",
    "device": "were trained on other kinds of devices",
    "processor": "were trained on other kinds of processors",
    "plan": "have networks that were computed in other ways",
}
FIX: Mapping[ComputationKind, str] = {
    "code": "install one version of maskcls everywhere, and train the folds of one of them again",
    "packages": "install one version everywhere, and train the folds of one of them again",
    "decoder": "install one version of Pillow everywhere, and train the folds of one of them again",
    "device": "train the folds of one of them again on the other's kind of device",
    "processor": "train the folds of one of them again on the other's kind of processor",
    "plan": "train the folds of one of them again with {setting} of the other",
}
DECODERS = ("pillow", PIXEL_DECODER)
HARMLESS = ("pandas",)  # it reads tables, whose rows are compared
SETTINGS = {  # parts of a plan, and the settings that choose them
    "precision": "device.precision",
    "memory_format": "device.memory_format",
    "compile": "device.compile",
    "threads": "device.threads",
    "accumulate": "train.accumulate",
    "processes": "the number of processes",
}


@dataclass(frozen=True)
class Computation:
    """How the networks of a run were computed, and on what.

    name   of the run, for messages.
    plans  by task; empty for a machine that trains nothing.
    """

    name: str
    machine: Machine
    plans: Mapping[str, Plan]


@dataclass(frozen=True)
class OtherComputation:
    """One thing in which two computations differ. setting: what chose it, for a part of a plan."""

    kind: ComputationKind
    name: str
    values: tuple[str, str]
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.values[0]} and {self.values[1]}"


def other_computations(a: Computation, b: Computation) -> Iterator[OtherComputation]:
    """Yield what can change the bits of a network, and differs; in the order of `KINDS`."""
    one, two = a.machine, b.machine
    if one.code != two.code:
        digests = tuple(f"{machine.maskcls} {(machine.code or 'unknown')[:SHOWN_CODE]}" for machine in (one, two))
        yield OtherComputation("code", "maskcls", (digests[0], digests[1]))
    names = dict.fromkeys((*one.packages, *two.packages))
    for kind in ("packages", "decoder"):
        for name in names:
            versions = one.packages.get(name, "unknown"), two.packages.get(name, "unknown")
            if versions[0] != versions[1] and name not in HARMLESS and (name in DECODERS) == (kind == "decoder"):
                yield OtherComputation("decoder" if kind == "decoder" else "packages", name, versions)
    kinds = one.device.partition(":")[0], two.device.partition(":")[0]
    if kinds[0] != kinds[1]:
        yield OtherComputation("device", "device", kinds)
    else:
        yield from _other_processors(one, two)
    if not (a.plans and b.plans):
        return
    for task in dict.fromkeys((*a.plans, *b.plans)):
        parts = [_parts(side.plans.get(task, Plan())) for side in (a, b)]
        for name, value in parts[0].items():
            if value != parts[1][name]:
                setting = SETTINGS[name.rpartition(".")[2]]
                yield OtherComputation("plan", f"{task} {name}".strip(), (value, parts[1][name]), setting)
    if one.processes != two.processes:
        counts = str(one.processes), str(two.processes)
        yield OtherComputation("plan", "processes", counts, SETTINGS["processes"])


def _other_processors(one: Machine, two: Machine) -> Iterator[OtherComputation]:
    """Yield the name of the processor, and its kernels, where they differ; runs of earlier versions have neither."""
    for name, values in {"processor": (one.processor, two.processor), "kernels": (one.kernels, two.kernels)}.items():
        if values[0] is not None and values[1] is not None and values[0] != values[1]:
            yield OtherComputation("processor", name, (values[0], values[1]))


def harmless_differences(a: Computation, b: Computation) -> list[str]:
    """Return a line per difference that does not change the bits of a network by itself."""
    pairs = {name: (getattr(a.machine, name), getattr(b.machine, name)) for name in ("python", "platform")}
    pairs |= {name: (a.machine.packages.get(name), b.machine.packages.get(name)) for name in HARMLESS}
    return [f"{name}: {one} in {a.name}, {two} in {b.name}" for name, (one, two) in pairs.items() if one != two]


def accepted_differences(a: Computation, b: Computation, accept: Sequence[ComputationKind]) -> list[str]:
    """Return a line per difference of an accepted kind; ResultError for the first of another kind."""
    found = []
    for other in other_computations(a, b):
        if other.kind not in accept:
            raise ResultError(
                f"the runs {HOW[other.kind]}",
                where=f"{a.name} and {b.name}",
                got=str(other),
                expected="one value: the bits of a network depend on it",
                fix=f"{FIX[other.kind].format(setting=other.setting)}; or accept it with --accept {other.kind}",
            )
        found.append(f"{other} in {a.name} and {b.name}")
    return found


def read_kinds(words: Sequence[str]) -> tuple[ComputationKind, ...]:
    """Return the kinds of differences that these words name; UsageError for another word."""
    for word in words:
        if word not in KINDS:
            raise UsageError("no such difference", where="--accept", got=repr(word), expected=", ".join(KINDS))
    return tuple(kind for kind in KINDS if kind in words)


def _parts(plan: Plan) -> dict[str, str]:
    """Return what a plan says about the bits of a network; how many folds are trained side by side does not."""
    passes = {"train": plan.train, "infer": plan.infer}
    names = ("precision", "memory_format", "compile")
    parts = {f"{when}.{name}": str(getattr(one, name)) for when, one in passes.items() for name in names}
    return parts | {"threads": str(plan.threads), "accumulate": str(plan.accumulate)}
