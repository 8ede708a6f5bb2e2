"""env.json: where a run's data is, which folds it has, the hashes of its identity, how it is computed, and on what.

Written when a training starts; `maskcls resume --folds` replaces the folds. Nothing else writes it. It carries a digest
of itself; every other file of the run names the identity that follows from it, see `maskcls/owned`.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

import maskcls
from maskcls import files, owned, typedjson
from maskcls.engine.compute.plan import Plan
from maskcls.errors import ResultError
from maskcls.files.source_code import code_sha256
from maskcls.rundir import RunDir
from maskcls.runs.folders.folder_kinds import refuse_other_folder_kinds
from maskcls.runs.locks.run_lock import last_holder
from maskcls.typedjson import JsonFile

FORMAT = 2  # of a run folder; docs/formats.md says when it grows
PACKAGES = ("torch", "timm", "accelerate", "albumentations", "opencv-python-headless", "pillow", "numpy", "pandas")
SHOWN_CODE = 12  # hex digits of a digest of the code in a message
PIXEL_DECODER = "libjpeg"  # of Pillow: its versions may decode a JPEG to other pixels


def _distinct(folds: tuple[int, ...]) -> tuple[int, ...]:
    """Return the folds; ValueError when one occurs twice, as its networks would count twice."""
    if len(set(folds)) < len(folds):
        raise ValueError("a fold occurs twice")
    return folds


class Machine(JsonFile):
    """Versions and machine. No paths, names or variables of the user.

    processes  of a training over several devices; 1 otherwise.
    code       digest of maskcls's own source, see `code_sha256`.
    processor  that computes networks, by its name; kernels: those that torch chooses for it, see `processor_kind`.

    The last three are None in runs of earlier versions.
    """

    maskcls: str
    python: str
    packages: dict[str, str]
    platform: str
    device: str
    processes: int
    code: str | None = None
    processor: str | None = None
    kernels: str | None = None


class GatheredRun(JsonFile):
    """A run whose folds were gathered into another one: its folder, its folds, and where they were trained."""

    run: str
    folds: tuple[int, ...]
    machine: Machine

    @staticmethod
    def of(run: RunDir, env: Environment) -> GatheredRun:
        """Return what is said about a run."""
        return GatheredRun(run=str(run.path.resolve()), folds=env.folds, machine=env.machine)


class Gathering(JsonFile):
    """From which runs a run was gathered.

    accepted  differences in how the folds were computed, that were accepted: their bits are not those of one training.
    """

    runs: tuple[GatheredRun, ...]
    accepted: tuple[str, ...] = ()


class Environment(JsonFile):
    """The content of env.json.

    format    of the files of the run: 2 where each names its run and carries a digest, 1 before; the first had none.
    data      the data folder or table, absolute.
    folds     the numbers of the folds asked for.
    hashes    sha256 of each file of the identity, by name; see runs/identity.py.
    cropping  how the photos were cropped to faces; None: not by maskcls.
    weights   sha256 of the file each task's network starts from, by task; empty for those that start without one.
    plans     how each task's networks are computed, by task. None: made by an earlier maskcls, cannot be continued.
    origins   where each setting that is not a default comes from, by dotted key: a file's name, the preset of a file,
              "command line", "backbone". None: made by an earlier maskcls, or without a configuration's origins.
    gathered  from which runs the folds are; machine and versions are those of the first of them. None: of no others.
    """

    format: int = 1
    data: str
    folds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(_distinct)]
    hashes: Annotated[dict[str, str], Field(min_length=1)]
    cropping: dict[str, JsonValue] | None = None
    weights: dict[str, str] = Field(default_factory=dict)
    plans: dict[str, Plan] | None = None
    origins: dict[str, str] | None = None
    gathered: Gathering | None = None
    maskcls: str
    python: str
    packages: dict[str, str]
    platform: str
    device: str
    processes: int
    code: str | None = None
    processor: str | None = None
    kernels: str | None = None

    @property
    def machine(self) -> Machine:
        """Versions and machine alone."""
        return Machine(**{name: getattr(self, name) for name in Machine.model_fields})

    def with_folds(self, folds: Sequence[int]) -> Environment:
        """Return the same environment with other folds."""
        return self.model_copy(update={"folds": tuple(folds)})


def this_machine(device: object, processes: int) -> Machine:
    """Return the versions and the machine of this process. device: that computes, by its name."""
    from maskcls.engine.compute.processor_kind import processor_kind  # heavy for the commands that only read env.json

    name, kernels = processor_kind(str(device))
    return Machine(
        maskcls=maskcls.__version__,
        python=sys.version.split()[0],
        packages=package_versions((*PACKAGES, PIXEL_DECODER)),
        platform=platform.platform(),
        device=str(device),
        processes=processes,
        code=code_sha256(),
        processor=name,
        kernels=kernels,
    )


def package_versions(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of packages, and of the library by which Pillow decodes JPEG."""
    from PIL import features  # heavy for the commands that only read env.json

    return {name: str(features.version("jpg")) if name == PIXEL_DECODER else version(name) for name in names}


def read_environment(run: RunDir, *, generators: bool = False) -> Environment:
    """Read a run's env.json; raises ResultError when it is missing, damaged or of another form.

    It is written before the first network: a run that has one and no env.json has lost it.

    generators  the folder is expected to be one of generators; else such a folder is refused, as it is no run.
    """
    refuse_other_folder_kinds(run, generators=generators)
    begun = last_holder(run) is not None or (run.lock_file.exists() and not run.config.exists())
    if not run.env.exists() and not run.all_networks() and (begun or not run.config.exists()):
        raise ResultError(
            "the run was stopped before it began, or is just beginning" if begun else "this is not a run",
            where=str(run.path),
            expected="a folder that maskcls train made",
            fix="wait, or give the train command again" if begun else "check the path",
        )
    data = files.read_json(run.env)
    _refuse_newer(data, run)
    return typedjson.parse(owned.checked_environment(data, run.env), Environment, run.env)


def _refuse_newer(data: object, run: RunDir) -> None:
    """Raise ResultError for a run in a format of a later version."""
    given = data.get("format") if isinstance(data, dict) else None
    if isinstance(data, dict) and isinstance(given, int) and given > FORMAT:
        raise ResultError(
            "the run was made by a newer maskcls",
            where=str(run.env),
            got=f"format {given}, maskcls {data.get('maskcls')}",
            expected=f"format {FORMAT} or lower, as in maskcls {maskcls.__version__}",
            fix="pip install --upgrade maskcls",
        )


def write_environment(run: RunDir, environment: Environment) -> None:
    """Commit a run's env.json with its digests."""
    files.commit_json(run.env, owned.environment_data(environment.to_json()))


def machine_differences(before: Machine, now: Machine) -> list[str]:
    """Return `name: old -> new` for every version or part of the machine that differs; what was not kept is none."""
    old, new = (_flat(machine) for machine in (before, now))
    return [f"{name}: {old[name]} -> {value}" for name, value in new.items() if old.get(name, value) != value]


def _flat(machine: Machine) -> dict[str, str]:
    known = {name: value for name, value in machine.to_json().items() if name != "packages" and value is not None}
    parts = {name: str(value)[:SHOWN_CODE] if name == "code" else str(value) for name, value in known.items()}
    return parts | machine.packages
