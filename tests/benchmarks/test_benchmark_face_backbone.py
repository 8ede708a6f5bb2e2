"""The converted face network computes what the network of the package computes."""

from __future__ import annotations

import itertools
import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from project import BENCHMARKS_DIR
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)


def written(folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """Write a network of the package's form with random weights, the batch normalisation of float16."""
    rng = np.random.default_rng(0)
    arrays = {"conv1/convolution/merged_input": rng.normal(0, 0.001, (3, 3, 3, 32))}
    arrays["conv1_bn/batchnorm_1/sub"] = rng.normal(0, 0.1, 32)
    for number, (width, new) in enumerate(itertools.pairwise(WIDTHS), start=1):
        arrays[f"conv_dw_{number}/depthwise_kernel"] = rng.normal(0, 0.5, (3, 3, width, 1))
        arrays[f"conv_dw_{number}_bn/batchnorm_1/mul"] = rng.uniform(0.5, 1.5, width)
        arrays[f"conv_dw_{number}_bn/batchnorm_1/sub"] = rng.normal(0, 0.1, width)
        arrays[f"conv_pw_{number}/convolution/merged_input"] = rng.normal(0, 1.4 / width**0.5, (1, 1, width, new))
        arrays[f"conv_pw_{number}_bn/batchnorm_1/sub"] = rng.normal(0, 0.1, new)
    kinds = {name: np.float16 if "batchnorm" in name else np.float32 for name in arrays}
    stored = {name: value.astype(kinds[name]) for name, value in arrays.items()}
    listed = [{"name": name, "shape": list(value.shape), "dtype": "float32"} for name, value in stored.items()]
    for one in listed:
        if kinds[str(one["name"])] is np.float16:
            one["quantization"] = {"dtype": "float16"}
    file = folder / "net.json"
    file.write_text(json.dumps({"weightsManifest": [{"weights": listed}]}))
    file.with_suffix(".bin").write_bytes(b"".join(value.tobytes() for value in stored.values()))
    return file, {name: value.astype(np.float32) for name, value in stored.items()}


def features(arrays: dict[str, np.ndarray], pixels_BCHW: Tensor) -> Tensor:
    """Return what MobileNet v1 computes of pixels in [0, 255]; a strided convolution is padded at the end alone."""

    def convolved(found: Tensor, name: str, stride: int, *, apart: bool = False) -> Tensor:
        value = torch.from_numpy(arrays[name])
        kernel = value.permute(2, 3, 0, 1) if apart else value.permute(3, 2, 0, 1)
        size = kernel.shape[-1]
        before, after = (0, 1) if stride == 2 else (size // 2, size // 2)
        padded = functional.pad(found, (before, after, before, after)) if size > 1 else found
        return functional.conv2d(padded, kernel, stride=stride, groups=kernel.shape[0] if apart else 1)

    def shifted(found: Tensor, name: str) -> Tensor:
        return (found + torch.from_numpy(arrays[name])[:, None, None]).clamp(0, 6)

    found = shifted(convolved(pixels_BCHW, "conv1/convolution/merged_input", 2), "conv1_bn/batchnorm_1/sub")
    for number, stride in enumerate(STRIDES, start=1):
        found = convolved(found, f"conv_dw_{number}/depthwise_kernel", stride, apart=True)
        found = found * torch.from_numpy(arrays[f"conv_dw_{number}_bn/batchnorm_1/mul"])[:, None, None]
        found = shifted(found, f"conv_dw_{number}_bn/batchnorm_1/sub")
        found = convolved(found, f"conv_pw_{number}/convolution/merged_input", 1)
        found = shifted(found, f"conv_pw_{number}_bn/batchnorm_1/sub")
    return found.mean(dim=(2, 3))


def test_the_converted_network_computes_the_same_features(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(BENCHMARKS_DIR / "face_backbone.py"))["main"]
    file, arrays = written(tmp_path)
    output = tmp_path / "face.safetensors"
    assert main([str(file), str(output)]) == 0
    told = capsys.readouterr().out
    assert "model.backbone=mobilenetv1_100" in told
    assert "'model.options={pad_type: same}'" in told
    trunk = timm.create_model("mobilenetv1_100", num_classes=0, pad_type="same").eval()
    trunk.load_state_dict(load_file(output))
    pixels_BCHW = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    with torch.no_grad():
        expected, found = features(arrays, pixels_BCHW), trunk(pixels_BCHW / 255)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(SystemExit):
        main([str(file), str(output)])


def test_a_file_of_another_length_is_refused(tmp_path: Path) -> None:
    main = runpy.run_path(str(BENCHMARKS_DIR / "face_backbone.py"))["main"]
    file, _ = written(tmp_path)
    stored = file.with_suffix(".bin")
    stored.write_bytes(stored.read_bytes() + b"\0")
    with pytest.raises(SystemExit, match=r"net\.bin: .* bytes, expected"):
        main([str(file), str(tmp_path / "face.safetensors")])
