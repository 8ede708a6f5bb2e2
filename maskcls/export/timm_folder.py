"""A run's networks as a folder of plain timm checkpoints, with a loader that does not need maskcls.

config.json                     tasks, preparation of photos, heads, hashes
load.py                         loads the networks with torch, timm and safetensors
networks/NAME/trunk.safetensors   the trunk, with timm's own names
networks/NAME/heads.safetensors   HEAD.weight (outputs, features), HEAD.bias (outputs)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from maskcls import config, files
from maskcls.backbone import Backbone
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.infer import Predictor
from maskcls.export.linear_heads import linear_layer, outputs_by_head
from maskcls.export.timm_checks import CONFIG, FORMAT
from maskcls.nn.backbone_facts import create_options
from maskcls.rundir import REFIT
from maskcls.schema import Config
from maskcls.training.predicting.loaded_networks import LoadedNetwork

COMBINE = (
    "make probabilities of each network's logits, see `heads`; multiply those of the tasks of one fold and seed to the "
    "joint classes; then take the mean over folds, seeds and views"
)
LOADER = '''"""Load the networks of this folder with torch, timm and safetensors.

    from load import NETWORKS, load
    logits = load("{first}")(images)      # {{head: (B, outputs)}}

images: (B, 3, height, width) float32. config.json says how photos are prepared (`input`), and what each output means
and how outputs become probabilities (`heads`).
"""

import json
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file

FOLDER = Path(__file__).resolve().parent
CONFIG = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
NETWORKS = {{network["name"]: network for network in CONFIG["networks"]}}


def load(name):
    network = NETWORKS[name]
    options = {{key: tuple(one) if isinstance(one, list) else one for key, one in network["options"].items()}}
    trunk = timm.create_model(network["backbone"], num_classes=0, **options).eval()
    trunk.load_state_dict(load_file(FOLDER / network["folder"] / "trunk.safetensors"))
    heads = load_file(FOLDER / network["folder"] / "heads.safetensors")

    @torch.inference_mode()
    def logits(images):
        features = trunk(images)
        return {{head: features @ heads[head + ".weight"].T + heads[head + ".bias"] for head in network["heads"]}}

    return logits
'''


@dataclass(frozen=True)
class TimmFolder:
    """What was written: the folder, the names of the networks, the bytes of all files, {path inside: sha256}."""

    folder: Path
    networks: tuple[str, ...]
    bytes: int
    hashes: Mapping[str, str]


def write_timm_folder(
    folder: Path, networks: Sequence[LoadedNetwork], cfg: Config, origin: Mapping[str, Any]
) -> TimmFolder:
    """Write networks, config.json and load.py into an empty folder.

    cfg     the run's configuration.
    origin  plain JSON data: where the networks come from, see `PhotoModel.origin`.

    Raises UsageError for a head that is not linear, ResourceError when a file cannot be written.
    """
    backbones = {task: member.model.trunk for task, member in config.members(cfg).items()}
    content: dict[str, bytes] = {}
    entries = []
    for network in networks:
        entry = _entry(network, backbones[network.task])
        parts = {"trunk.safetensors": _trunk(network.predictor), "heads.safetensors": _heads(network.predictor)}
        entry["sha256"] = {name: files.sha256(data) for name, data in parts.items()}
        content |= {f"{entry['folder']}/{name}": data for name, data in parts.items()}
        entries.append(entry)
    names = tuple(entry["name"] for entry in entries)
    content["load.py"] = LOADER.format(first=names[0]).encode()
    about = {
        "format": FORMAT,
        "tasks": cfg.space.to_json(),
        "joint_classes": list(cfg.space.joint_names),
        "combine": COMBINE,
        "origin": dict(origin),
        "networks": entries,
    }
    content[CONFIG] = (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode()
    hashes = {name: files.commit(folder / name, data) for name, data in content.items()}
    return TimmFolder(folder, names, sum(map(len, content.values())), hashes)


def _entry(network: LoadedNetwork, backbone: Backbone) -> dict[str, Any]:
    predictor, name = network.predictor, _name(network)
    return {
        "name": name,
        "task": network.task,
        "seed": network.seed,
        "fold": network.fold,
        "folder": f"networks/{name}",
        "backbone": backbone.name,
        "options": create_options(backbone, predictor.spec.size),
        "input": _input(predictor.spec),
        "heads": outputs_by_head(predictor.network.specs, predictor.space),
        "weights_sha256": network.sha256,
    }


def _name(network: LoadedNetwork) -> str:
    part = "refit" if network.fold == REFIT else f"fold{network.fold}"
    return "-".join(filter(None, (network.task, f"seed{network.seed}", part)))


def _input(spec: ViewSpec) -> dict[str, Any]:
    """Return how a photo becomes an input; see `eval_view`."""
    return {
        "photo": "RGB, uint8, upright (EXIF orientation applied)",
        "crop": list(spec.crop),
        "crop_centre": list(spec.crop_centre),
        "size": list(spec.size),
        "resize": "mean of the pixels in each area where both sides shrink (cv2.INTER_AREA), else cv2.INTER_LINEAR",
        "mean": list(spec.mean),
        "std": list(spec.std),
        "normalise": "(pixel / 255 - mean) / std, per channel",
        "order": "shares and sizes are (height, width)",
    }


def _trunk(predictor: Predictor) -> bytes:
    return _saved(predictor.network.trunk.state_dict())


def _heads(predictor: Predictor) -> bytes:
    tensors = {}
    for name, layer in predictor.network.heads.items():
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = linear_layer(layer)
    return _saved(tensors)


def _saved(tensors: Mapping[str, Tensor]) -> bytes:
    # Clones, because safetensors rejects tensors that share memory, as tied weights do.
    return save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()})
