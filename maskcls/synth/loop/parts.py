"""Generator and critic saved apart, and the mark of a finished generator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, JsonValue
from safetensors.torch import load, save
from torch import Tensor

import maskcls
from maskcls import files, owned, typedjson
from maskcls.errors import DivergedError, WeightsError
from maskcls.rundir import SynthFoldDir, WeightsDir
from maskcls.typedjson import JsonFile

PART_SCHEMA = 1
WEIGHTS_FILE = files.FileKind("the weights of a generator", WeightsError, files.RUN_FILE.most)
AGAIN = "restore the file, or train the generators again"


class PartMeta(JsonFile):
    """The content of meta.json beside the weights of a generator or critic.

    step    finished training steps. sha256: of the file of weights. facts: what the network is rebuilt from.
    """

    version: int = Field(alias="schema")
    maskcls: str
    step: int
    sha256: str
    facts: dict[str, JsonValue]


class GeneratorDone(JsonFile):
    """The content of DONE of a generator: sha256 of the two files of weights."""

    generator: str
    critic: str


@dataclass(frozen=True)
class SavedPart:
    """A generator or critic as saved: weights, the facts to rebuild it, its last step, and sha256 of its weights."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    step: int
    sha256: str


def save_part(folder: WeightsDir, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], *, step: int) -> str:
    """Commit the weights and then their meta.json; returns sha256 of the weights."""
    plain = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    digest = files.commit(folder.tensors, save(plain))
    plain_facts = json.loads(json.dumps(facts))  # tuples become lists
    meta = PartMeta(schema=PART_SCHEMA, maskcls=maskcls.__version__, step=step, sha256=digest, facts=plain_facts)
    owned.write(folder.meta, folder.root, meta)
    return digest


def load_part(folder: WeightsDir) -> SavedPart:
    """Read a generator or critic; rebuild it with `generator_of` or `critic_of` of its kind.

    Raises WeightsError when the weights are missing or are not those of meta.json, ResultError when meta.json is
    missing, damaged, was changed, or belongs to another folder.
    """
    data = owned.without_owner(files.read_json(folder.meta), folder.meta, folder.root, required=True)
    meta = typedjson.parse(data, PartMeta, folder.meta)
    content = files.read_file(folder.tensors, WEIGHTS_FILE)
    if (digest := files.sha256(content)) != meta.sha256:
        raise WeightsError(
            "the weights differ from those that were saved",
            where=str(folder.tensors),
            got=f"sha256 {digest[:12]}…",
            expected=f"sha256 {meta.sha256[:12]}…",
            fix=AGAIN,
        )
    return SavedPart(load(content), meta.facts, meta.step, digest)


def check_part(folder: WeightsDir, sha256: str) -> None:
    """Raise WeightsError unless a generator or critic is the one that was finished. sha256: of its weights."""
    if (found := load_part(folder).sha256) != sha256:
        raise WeightsError(
            "these are not the weights that the generator was finished with",
            where=str(folder.tensors),
            got=f"sha256 {found[:12]}…",
            expected=f"sha256 {sha256[:12]}…",
            fix=AGAIN,
        )


def mark_generator_done(folder: SynthFoldDir, *, generator: str, critic: str) -> None:
    """Commit DONE, the last file of a generator. generator, critic: sha256 of their weights."""
    owned.write(folder.done, folder.root, GeneratorDone(generator=generator, critic=critic))


def read_generator_done(folder: SynthFoldDir) -> GeneratorDone | None:
    """Read DONE; None for a generator that is not finished, ResultError when it is damaged, changed or another's."""
    if not folder.done.exists():
        return None
    data = owned.without_owner(files.read_json(folder.done), folder.done, folder.root, required=True)
    return typedjson.parse(data, GeneratorDone, folder.done)


def check_finite(tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Raise DivergedError for weights from which no training can continue; what was saved before stays."""
    broken = [name for name, t in tensors.items() if t.is_floating_point() and not torch.isfinite(t).all()]
    if broken:
        raise DivergedError(
            "the training of a generator diverged: a weight is not finite",
            where=where,
            offenders=broken,
            fix="lower synth.lr_generator and synth.lr_critic; what was saved before is unchanged",
        )
