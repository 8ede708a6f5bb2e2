"""Saved weights with the facts to rebuild their network, and the state from which a training resumes.

Files are safetensors and JSON, never pickle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

import maskcls
from maskcls import owned, typedjson
from maskcls.backbone import Backbone, OptionValue
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.infer import Predictor
from maskcls.errors import ResultError, WeightsError
from maskcls.files import RUN_FILE, FileKind, commit, read_file, read_json, sha256
from maskcls.labels import LabelSpace, Task
from maskcls.machine import is_memory_error
from maskcls.nn.heads import Head, plain_heads
from maskcls.nn.network import Network, build_network
from maskcls.rundir import WeightsDir
from maskcls.typedjson import JsonFile

SCHEMA = 3
MOST_PER_BYTE = 4  # float32 in memory, at most 8 bits in the file
FIRST_DIGESTED = 3  # the first schema whose meta.json carries a digest of itself


@dataclass(frozen=True)
class Blueprint:
    """Everything, besides the tensors, that is needed to rebuild a network and prepare its images."""

    backbone: Backbone
    heads: tuple[Head, ...]
    drop: float
    space: LabelSpace
    spec: ViewSpec

    def build(self) -> Network:
        """Build the network with fresh weights."""
        return build_network(self.backbone, {h.name: h for h in self.heads}, size=self.spec.size, drop=self.drop)


class Meta(JsonFile, extra="forbid"):
    """The content of meta.json.

    epoch   the last epoch trained, from 0.
    scores  validation scores of these weights.
    soup    if the weights are an average of several epochs: these epochs.
    sha256  hex digest of the tensors' file.
    options  of the backbone, see model.options; not in the file where there are none.
    heads   "multi" or "joint" in files of schema 1, whose heads were softmaxes over the classes.
    """

    version: int = Field(alias="schema")
    maskcls: str
    epoch: int
    scores: dict[str, float | None]
    soup: tuple[int, ...] = ()
    sha256: str
    backbone: str
    options: dict[str, OptionValue] = Field(default={})
    heads: tuple[Head, ...] | Literal["multi", "joint"]
    drop: Annotated[float, Field(ge=0, lt=1)]
    labels: Annotated[tuple[Task, ...], Field(min_length=1)]
    transforms: ViewSpec

    @model_validator(mode="after")
    def _with_known_heads(self) -> Self:
        for head in () if isinstance(self.heads, str) else self.heads:
            if min(head.classes, head.groups) < 1:
                raise ValueError("a head has no classes")
        return self

    @property
    def blueprint(self) -> Blueprint:
        """The blueprint from which the network is rebuilt."""
        space = LabelSpace(self.labels)
        heads = plain_heads(self.heads, space).values() if isinstance(self.heads, str) else self.heads
        return Blueprint(Backbone(self.backbone, self.options), tuple(heads), self.drop, space, self.transforms)


def save_weights(
    folder: WeightsDir,
    tensors: Mapping[str, Tensor],
    blueprint: Blueprint,
    *,
    epoch: int,
    scores: Mapping[str, float | None],
    soup: Sequence[int] = (),
) -> str:
    """Commit the tensors and then their meta.json, and return the tensors' hash.

    soup: the epochs these weights are the average of, where it is one.
    Raises WeightsError, writing nothing, when a tensor is not finite.
    """
    broken = [name for name, t in tensors.items() if t.is_floating_point() and not torch.isfinite(t).all()]
    if broken:
        raise WeightsError(
            "weights with NaN or infinity are not saved",
            where=str(folder.path),
            offenders=broken,
            fix="lower optim.lr, or set optim.clip_norm; the last saved epoch is unchanged",
        )
    digest = commit(folder.tensors, save(_plain(tensors)))
    meta = Meta(
        schema=SCHEMA,
        maskcls=maskcls.__version__,
        epoch=epoch,
        scores=dict(scores),
        sha256=digest,
        backbone=blueprint.backbone.name,
        heads=blueprint.heads,
        drop=blueprint.drop,
        labels=blueprint.space.tasks,
        transforms=blueprint.spec,
    )
    further = {"soup": tuple(soup), "options": dict(blueprint.backbone.options)}
    further = {name: value for name, value in further.items() if value}
    owned.write(folder.meta, folder.root, meta.model_copy(update=further) if further else meta)
    return digest


def copy_weights(source: WeightsDir, folder: WeightsDir) -> None:
    """Commit a copy of saved weights and their meta.json, unless they are there; WeightsError when they are damaged."""
    meta, data = read_meta(source), _read(source.tensors)
    if sha256(data) != meta.sha256:
        where, fix = str(source.tensors), "restore the file, or train the fold again"
        raise WeightsError("the weights differ from those that were saved", where=where, fix=fix)
    if source != folder:
        commit(folder.tensors, data)
        owned.write(folder.meta, folder.root, meta)


def load_predictor(folder: WeightsDir) -> Predictor:
    """Rebuild the network saved in the folder.

    Raises WeightsError when the hash of the tensors differs from meta.json, or meta.json is not from maskcls, was
    changed, or belongs to another run or place; ResultError when it is missing or damaged.
    """
    meta, path = read_meta(folder), folder.tensors
    blueprint, expected = meta.blueprint, meta.sha256
    data = _read(path)
    digest = sha256(data)
    if digest != expected:
        raise WeightsError(
            "the weights differ from those that were saved",
            where=str(path),
            got=f"sha256 {digest[:12]}…",
            expected=f"sha256 {expected[:12]}…",
            fix="restore the file, or train the fold again",
        )
    try:
        network = blueprint.build()
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if is_memory_error(error) and not _asks_too_much(blueprint, len(data)):
            raise
        raise WeightsError(
            "the network meta.json describes cannot be built",
            where=str(folder.meta),
            got=" ".join(str(error).split()) or repr(error),
            fix="restore the file, or train the fold again",
        ) from None
    try:
        network.load_state_dict(load(data))
    except RuntimeError as error:
        raise WeightsError(
            "the weights do not fit the network meta.json describes",
            where=str(path),
            got="; ".join(line.strip() for line in str(error).splitlines()[1:4]),
            fix="restore both files of the folder, or install the timm these weights were made with",
        ) from None
    return Predictor(network.eval(), blueprint.space, blueprint.spec)


def _asks_too_much(blueprint: Blueprint, stored: int) -> bool:
    """Tell whether the network cannot be the one of a file of so many bytes, however they are stored."""
    with torch.device("meta"):  # allocates nothing
        network = blueprint.build()
    needed: int = sum(tensor.nbytes for tensor in network.state_dict().values())
    return needed > MOST_PER_BYTE * stored


def read_meta(folder: WeightsDir) -> Meta:
    """Read the meta.json of saved weights.

    Raises WeightsError when its form is unknown or newer, when it was changed, or belongs to another run or place;
    ResultError when it is missing, or env.json was changed.
    """
    data = read_json(folder.meta)
    schema = data.get("schema") if isinstance(data, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        got = f"maskcls {data.get('maskcls')}"
        raise WeightsError(
            "these weights were made by a newer maskcls",
            where=str(folder.meta),
            got=got,
            fix="pip install --upgrade maskcls",
        )
    try:
        digested = isinstance(schema, int) and schema >= FIRST_DIGESTED
        plain = owned.without_owner(data, folder.meta, folder.root, required=digested)
    except ResultError as error:
        raise _as_weights_error(error) from None
    try:
        return typedjson.parse(plain, Meta, folder.meta)
    except ResultError as error:
        fix = "restore the file, or train the fold again"
        where = str(folder.meta)
        raise WeightsError("this is not a meta.json of maskcls", where=where, got=error.got, fix=fix) from None


def save_state(
    path: Path, tensors: Mapping[str, Tensor], progress: Mapping[str, Any], *, root: Path | None = None
) -> None:
    """Write tensors and JSON progress atomically as one file, so that both always belong to the same epoch.

    root  the run it is in, which the file then names; None: it is in no run.
    """
    plain = _plain(tensors)
    text = json.dumps({**progress, **owned.owner_entry(path, root)}, sort_keys=True)
    commit(path, save(plain, metadata={"progress": text, "sha256": _digest(plain, text)}))


def load_state(path: Path, *, root: Path | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_state` wrote.

    Raises WeightsError when the file is missing, its digest differs, or it belongs to another run or place.
    """
    data = _read(path)
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        text, expected = metadata["progress"], metadata["sha256"]
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError("the resume state is damaged", where=str(path), got=str(error), fix=_START_OVER) from None
    if _digest(tensors, text) != expected:
        raise WeightsError("the resume state differs from the one that was saved", where=str(path), fix=_START_OVER)
    progress = json.loads(text)
    named, owner = progress.pop(owned.OWNER, None), owned.owner_of(path, root)
    if owner is not None:
        try:
            owned.check_owner(named, owner, path)
        except ResultError as error:
            raise _as_weights_error(error) from None
    return tensors, progress


_START_OVER = "delete this file to train the fold from its start"


def _read(path: Path) -> bytes:
    fix = "maskcls runs prune may have deleted them: restore them, or train again"
    return read_file(path, FileKind("the weights", WeightsError, RUN_FILE.most, fix))


def _as_weights_error(error: ResultError) -> WeightsError:
    return WeightsError(error.what, where=error.where, got=error.got, expected=error.expected, fix=error.fix)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # Copies, because safetensors rejects tensors that share memory, as those of a network with tied weights do.
    return {n: t.detach().cpu().clone(memory_format=torch.contiguous_format) for n, t in tensors.items()}


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        # With dtype and shape: the same bytes with another dtype or shape are different weights.
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
