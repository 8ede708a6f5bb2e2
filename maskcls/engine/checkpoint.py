"""Weights that need no source edit to be used, and the state a fold continues from. Safetensors and JSON, no pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

import maskcls
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.infer import Predictor
from maskcls.errors import WeightsError
from maskcls.files import commit, commit_json, read_json, sha256
from maskcls.labels import LabelSpace
from maskcls.nn.heads import JOINT, Head, plain_heads
from maskcls.nn.network import Network, build_network

SCHEMA = 2
TENSORS = "weights.safetensors"
META = "meta.json"


@dataclass(frozen=True)
class Blueprint:
    """All that is needed, beside the tensors, to rebuild a network and feed it."""

    backbone: str
    heads: tuple[Head, ...]
    drop: float
    space: LabelSpace
    spec: ViewSpec

    def build(self) -> Network:
        """Build the network with fresh weights."""
        return build_network(self.backbone, {h.name: h for h in self.heads}, size=self.spec.size, drop=self.drop)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        plain = {"backbone": self.backbone, "heads": [head.to_json() for head in self.heads], "drop": self.drop}
        return plain | {"labels": self.space.to_json(), "transforms": self.spec.to_json()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Blueprint:
        """Rebuild from `to_json` data."""
        space, spec = LabelSpace.from_json(data["labels"]), ViewSpec.from_json(data["transforms"])
        heads = data["heads"]
        if isinstance(heads, str):  # schema 1
            found = tuple(plain_heads("joint" if heads == JOINT else "multi", space).values())
        else:
            found = tuple(Head.from_json(head) for head in heads)
        return Blueprint(data["backbone"], found, data["drop"], space, spec)


def save_weights(
    folder: Path,
    tensors: Mapping[str, Tensor],
    blueprint: Blueprint,
    *,
    epoch: int,
    scores: Mapping[str, float],
    soup: Sequence[int] = (),
) -> str:
    """Commit the tensors and then their meta.json, and return the tensors' hash.

    soup: the epochs these weights are the average of, where it is one.
    Raises WeightsError, writing nothing, when a tensor is not finite.
    """
    broken = [name for name, t in tensors.items() if t.is_floating_point() and not torch.isfinite(t).all()]
    if broken:
        raise WeightsError("refusing to save weights with NaN or infinity", where=str(folder), offenders=broken)
    digest = commit(folder / TENSORS, save(_plain(tensors)))
    meta = {"schema": SCHEMA, "maskcls": maskcls.__version__, "epoch": epoch, "scores": dict(scores)}
    if soup:
        meta["soup"] = list(soup)
    commit_json(folder / META, meta | {"sha256": digest} | blueprint.to_json())
    return digest


def load_predictor(folder: Path) -> Predictor:
    """Rebuild the network saved in the folder.

    Raises WeightsError when the tensors are not the ones meta.json names, or meta.json is not ours; ResultError when
    meta.json is missing or damaged.
    """
    blueprint, expected = _read_meta(folder / META)
    path = folder / TENSORS
    data = _read(path)
    digest = sha256(data)
    if digest != expected:
        raise WeightsError(
            "the weights are not the ones that were saved",
            where=str(path),
            got=f"sha256 {digest[:12]}…",
            expected=f"sha256 {expected[:12]}…",
            fix="restore the file, or train the fold again",
        )
    network = blueprint.build()
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


def _read_meta(path: Path) -> tuple[Blueprint, str]:
    meta = read_json(path)
    try:
        if meta["schema"] <= SCHEMA:
            return Blueprint.from_json(meta), str(meta["sha256"])
        made_by = f"maskcls {meta['maskcls']}"
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError("this is no meta.json of maskcls", where=str(path), got=repr(error)) from None
    raise WeightsError("these weights were made by a newer maskcls", where=str(path), got=made_by)


def save_state(path: Path, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
    """Commit tensors and JSON progress as one file, so that they can never belong to different epochs."""
    plain = _plain(tensors)
    text = json.dumps(progress, sort_keys=True)
    commit(path, save(plain, metadata={"progress": text, "sha256": _digest(plain, text)}))


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_state` wrote; raises WeightsError when one bit of it differs."""
    data = _read(path)
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        text, expected = metadata["progress"], metadata["sha256"]
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError("the resume state is damaged", where=str(path), got=str(error), fix=_START_OVER) from None
    if _digest(tensors, text) != expected:
        raise WeightsError("the resume state is not the one that was saved", where=str(path), fix=_START_OVER)
    return tensors, json.loads(text)


_START_OVER = "delete this file to train the fold from its start"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fix = "maskcls runs prune may have deleted them: restore them, or train again"
        got = error.strerror or str(error)
        raise WeightsError("cannot read the weights", where=str(path), got=got, fix=fix) from None


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # Copies, because safetensors refuses tensors that share memory, as those of a network with tied weights do.
    return {n: t.detach().cpu().clone(memory_format=torch.contiguous_format) for n, t in tensors.items()}


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        # The type and the shape count: the same bytes read as other numbers are other weights.
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
