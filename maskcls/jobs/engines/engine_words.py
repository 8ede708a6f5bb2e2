"""The value of `--on`: which engine runs the jobs, and what each job needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from maskcls.durations import parse_duration
from maskcls.errors import UsageError, nearest
from maskcls.machine import refuse_several

FORMS = "local:2, slurm, slurm:partition=gpu,gpus=1,time=4h, ray or ray:auto,gpus=0.5"
MOST_LOCAL = 1024
SLURM_TEXTS = ("partition", "account", "qos", "constraint", "gres", "nodelist", "exclude")  # passed on to sbatch
SLURM_KEYS = ("cpus", "gpus", "mem", "time", "shards", *SLURM_TEXTS)
RAY_KEYS = ("cpus", "gpus", "mem", "shards")
WHERE = "--on"
SUBMITTING = "the command that submits jobs"
JOBS_END = "no Ray cluster runs here: one is started, which ends with this command, as its jobs do"
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKMGT])i?B?", re.ASCII)
_POWERS = {"k": 10, "K": 10, "M": 20, "G": 30, "T": 40}


@dataclass(frozen=True)
class LocalWords:
    """Jobs on this machine. jobs: at most so many at the same time."""

    jobs: int


@dataclass(frozen=True)
class SlurmWords:
    """Jobs of SLURM. What is None, or not in `texts`, is left to the cluster.

    cpus, gpus  of one job.
    mem_bytes   memory of one job.
    time_s      limit of one job; one that is stopped by it continues in another.
    shards      of a prediction: into so many jobs it is divided.
    texts       further options of sbatch, by their names.
    """

    cpus: int | None = None
    gpus: int | None = None
    mem_bytes: int | None = None
    time_s: float | None = None
    shards: int | None = None
    texts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RayWords:
    """Jobs on Ray.

    address    of a cluster; "auto": the one that runs here; None: the same, or a new one on this machine.
    cpus, gpus of one job; fractions share a device.
    mem_bytes  memory of one job, by which Ray places it; None: not counted.
    shards     of a prediction: into so many jobs it is divided.
    """

    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    mem_bytes: int | None = None
    shards: int | None = None


EngineWords = LocalWords | SlurmWords | RayWords


def parse_engine(text: str) -> EngineWords:
    """Read the value of `--on`; UsageError for anything that is not used.

    >>> parse_engine("local:2")
    LocalWords(jobs=2)
    >>> parse_engine("slurm:partition=gpu,gpus=1,time=4h")
    SlurmWords(cpus=None, gpus=1, mem_bytes=None, time_s=14400.0, shards=None, texts=(('partition', 'gpu'),))
    >>> parse_engine("ray:auto,gpus=0.5")
    RayWords(address='auto', cpus=1.0, gpus=0.5, mem_bytes=None, shards=None)
    """
    name, colon, rest = text.partition(":")
    if colon and not rest:
        raise _wrong(text, "nothing follows the colon")
    match name:
        case "local":
            return LocalWords(_whole("jobs", rest, text, most=MOST_LOCAL))
        case "slurm":
            return _slurm(rest, text)
        case "ray":
            return _ray(rest, text)
        case _:
            raise _unknown(name, text)


def shards_of(words: EngineWords) -> int:
    """Return into how many jobs a prediction is divided; UsageError where it is not said."""
    match words:
        case LocalWords(jobs):
            return jobs
        case SlurmWords(shards=shards) | RayWords(shards=shards):
            if shards is None:
                fix = "add it, such as shards=8"
                raise UsageError("into how many jobs?", where=WHERE, got="no shards=", expected="shards=N", fix=fix)
            return shards
        case _:
            assert_never(words)


def check_training_engine(text: str, *, dry_run: bool = False, budget: str | None = None) -> EngineWords:
    """Return the engine of a training; UsageError for what cannot be given with it, before anything is made."""
    words = parse_engine(text)
    if not isinstance(words, LocalWords) and words.shards is not None:
        got = f"shards={words.shards}"
        raise UsageError("a training has one job for each network", where=WHERE, got=got, fix="leave out shards=")
    if dry_run:
        raise UsageError("--dry-run submits no jobs", where=WHERE, got=text, fix="leave out --on, or --dry-run")
    if budget is not None:
        fix = "leave out one of them"
        raise UsageError("a training with a time limit has no jobs", where=WHERE, got=f"--budget {budget}", fix=fix)
    refuse_several(SUBMITTING, WHERE)
    return words


def check_prediction_engine(text: str) -> EngineWords:
    """Return the engine of a prediction; UsageError for what cannot be given with it, before anything is made."""
    words = parse_engine(text)
    shards_of(words)
    refuse_several(SUBMITTING, WHERE)
    return words


def _slurm(rest: str, text: str) -> SlurmWords:
    options = _options(rest.split(",") if rest else [], SLURM_KEYS, text)
    return SlurmWords(
        cpus=_whole("cpus", options["cpus"], text) if "cpus" in options else None,
        gpus=_whole("gpus", options["gpus"], text) if "gpus" in options else None,
        mem_bytes=_bytes(options["mem"], text) if "mem" in options else None,
        time_s=parse_duration(options["time"], WHERE) if "time" in options else None,
        shards=_whole("shards", options["shards"], text) if "shards" in options else None,
        texts=tuple((key, value) for key, value in options.items() if key in SLURM_TEXTS),
    )


def _ray(rest: str, text: str) -> RayWords:
    parts = rest.split(",") if rest else []
    address = parts.pop(0) if parts and "=" not in parts[0] else None
    options = _options(parts, RAY_KEYS, text)
    return RayWords(
        address=address,
        cpus=_share("cpus", options.get("cpus", "1"), text),
        gpus=_share("gpus", options.get("gpus", "0"), text),
        mem_bytes=_bytes(options["mem"], text) if "mem" in options else None,
        shards=_whole("shards", options["shards"], text) if "shards" in options else None,
    )


def _options(parts: list[str], known: tuple[str, ...], text: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or not value:
            raise _wrong(text, f"{part!r} is no key=value")
        if key not in known:
            close = nearest(key, known)
            keys = f"known keys: {', '.join(known)}"
            raise _wrong(text, f"no key {key!r}", f"did you mean {close}?" if close else keys)
        if key in found:
            raise _wrong(text, f"{key} is given twice")
        found[key] = value
    return found


def _whole(key: str, value: str, text: str, *, most: int = 1_000_000) -> int:
    if not re.fullmatch("[0-9]{1,7}", value) or not 1 <= int(value) <= most:
        raise _wrong(text, f"{key}: {value!r} is no whole number from 1 to {most}")
    return int(value)


def _share(key: str, value: str, text: str) -> float:
    """Read a number of devices. Ray takes fractions of one device, or whole numbers."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,4})?", value) or (float(value) > 1 and float(value) % 1):
        raise _wrong(text, f"{key}: {value!r} is no whole number, and no fraction of 1")
    if float(value) == 0 and key == "cpus":
        raise _wrong(text, "cpus: a job needs more than 0")
    return float(value)


def _bytes(value: str, text: str) -> int:
    match = _SIZE.fullmatch(value)
    if match is None or float(match[1]) == 0:
        raise _wrong(text, f"mem: {value!r} is no size such as 16GB")
    return round(float(match[1]) * (1 << _POWERS[match[2]]))


def _unknown(name: str, text: str) -> UsageError:
    close = nearest(name, ("local", "slurm", "ray"))
    return _wrong(text, f"no engine {name!r}", f"did you mean {close}?" if close else None)


def _wrong(text: str, why: str, fix: str | None = None) -> UsageError:
    return UsageError(
        "the engine for jobs cannot be read",
        where=WHERE,
        got=f"{text!r}: {why}",
        expected=FORMS,
        fix=fix or "correct it",
    )
