"""The exported folder of plain timm checkpoints gives the logits of the networks, without maskcls."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny

from maskcls import files
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.infer import Predictor
from maskcls.errors import BusyError, UsageError
from maskcls.export.linear_heads import describe_head, linear_layer
from maskcls.export.timm_checks import check_timm_folder
from maskcls.export.timm_folder import write_timm_folder
from maskcls.labels import CONTEST
from maskcls.nn.heads import Head, build_head, probabilities
from maskcls.nn.network import build_network
from maskcls.schema import Config
from maskcls.training.experiment import view_spec
from maskcls.training.predicting.loaded_networks import LoadedNetwork

AGE = {
    "bands": (),
    "fine": ("age.head=fine", "age.fine_bins=[20,30,45,60]"),
    "ordinal": ("age.head=ordinal",),
    "normal": ("age.head=normal",),
    "conditional": ("age.given=gender",),
    "conditional ordinal": ("age.head=ordinal", "age.given=gender"),
    "sigmoid": ("loss.all=bce",),
}
# Imports of maskcls fail, as on a machine without it.
USE = """
import sys
sys.modules["maskcls"] = None
sys.path.insert(0, sys.argv[1])
import numpy, torch
from load import NETWORKS, load
torch.set_num_threads(1)
images = torch.from_numpy(numpy.load(sys.argv[2]))
found = {f"{name}/{head}": logits.numpy() for name in NETWORKS for head, logits in load(name)(images).items()}
numpy.savez(sys.argv[3], **found)
"""


def loaded(cfg: Config, fold: int) -> LoadedNetwork:
    """Return an untrained network of this configuration, with random heads and statistics of its batch norms."""
    from maskcls.engine.objective import build_heads

    torch.manual_seed(fold)
    spec = view_spec(cfg)
    network = build_network(cfg.model.trunk, build_heads(cfg), size=spec.size).eval()
    for tensor in network.heads.state_dict().values():
        tensor.normal_(0, 0.3)
    for name, tensor in network.trunk.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
    return LoadedNetwork("", 0, fold, "0" * 64, Predictor(network, cfg.space, spec))


def images_of(spec: ViewSpec) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 3, *spec.size)).astype(np.float32)


def logits_without_maskcls(folder: Path, images: np.ndarray, to: Path) -> dict[str, np.ndarray]:
    np.save(to / "images.npy", images)
    words = [sys.executable, "-c", USE, str(folder), str(to / "images.npy"), str(to / "logits.npz")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(np.load(to / "logits.npz"))


def test_the_loader_imports_no_more_than_it_says(tmp_path: Path) -> None:
    cfg = tiny()
    network = loaded(cfg, 0)
    write_timm_folder(tmp_path / "out", [network], cfg, {})
    text = (tmp_path / "out" / "load.py").read_text()
    names: dict[str, Any] = {"__file__": str(tmp_path / "out" / "load.py"), "__name__": "load"}
    images = torch.from_numpy(images_of(network.predictor.spec))

    exec(compile(text, "load.py", "exec"), names)

    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {(one.module or "") if isinstance(one, ast.ImportFrom) else one.names[0].name for one in imports}
    assert modules == {"json", "pathlib", "timm", "torch", "safetensors.torch"}
    with torch.inference_mode():
        wanted = network.predictor.network(images)
    found = names["load"]("seed0-fold0")(images)
    assert list(found) == list(wanted) == ["mask", "gender", "age"]
    for head, logits in wanted.items():
        torch.testing.assert_close(found[head], logits, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_the_loader_gives_the_logits_of_every_kind_of_head(tmp_path: Path) -> None:
    """One network per kind, in one folder: the loader starts only once."""
    space, networks, cfgs = CONTEST, {}, {kind: tiny(*settings) for kind, settings in AGE.items()}
    cfgs["joint"] = tiny("model.heads=joint")
    for place, cfg in enumerate(cfgs.values()):
        networks[place] = loaded(cfg, place)
    folder = tmp_path / "out"

    made = write_timm_folder(folder, list(networks.values()), cfgs["bands"], {"run": "a"})
    images = images_of(networks[0].predictor.spec)
    found = logits_without_maskcls(folder, images, tmp_path)

    assert len(made.networks) == 8
    with torch.inference_mode():
        for name, network in zip(made.networks, networks.values(), strict=True):
            for head, wanted in network.predictor.network(torch.from_numpy(images)).items():
                np.testing.assert_allclose(found.pop(f"{name}/{head}"), wanted.numpy(), atol=1e-5, err_msg=name)
    assert not found
    about = json.loads((folder / "config.json").read_text())
    assert about["joint_classes"] == list(space.joint_names)
    assert about["networks"][0]["input"]["size"] == [32, 32]
    assert about["networks"][0]["backbone"] == "test_efficientnet"
    assert about["origin"] == {"run": "a"}


@pytest.mark.parametrize("kind", AGE)
def test_every_output_has_a_name(kind: str) -> None:
    from maskcls.engine.objective import build_heads

    head = build_heads(tiny(*AGE[kind]))["age"]

    about = describe_head(head, CONTEST)

    assert len(about["outputs"]) == head.outputs
    assert len(set(about["outputs"])) == head.outputs
    assert about["reading"] == head.reading
    assert ("gender" in about["read"]) == (head.given == "gender")
    assert ("add up" in about["read"]) == (kind == "fine")


def test_names_of_outputs_by_hand() -> None:
    fine = Head("age", 3, bins=(30, 60), edges=(20, 30, 60))
    given = Head("age", 3, "ordinal", (30, 60), (30, 60), given="gender", groups=2)

    assert describe_head(fine, CONTEST)["outputs"] == ["< 20", "20 to 29", "30 to 59", ">= 60"]
    assert describe_head(given, CONTEST)["outputs"] == [
        "gender=male: >= 30",
        "gender=male: >= 60",
        "gender=female: >= 30",
        "gender=female: >= 60",
    ]


def test_the_description_of_normal_outputs_is_how_probabilities_are_computed() -> None:
    head = Head("age", 3, "normal", (30, 60), (30, 60))
    found = describe_head(head, CONTEST)

    assert "45 + 15 * x" in found["read"]
    # A mean of 1 is 60 years, with a variance near 0 just at the border: half is above it.
    assert probabilities(head, torch.tensor([[1.0, -8.0]])).flatten().tolist() == pytest.approx([0, 0.5, 0.5], abs=1e-4)


def test_a_layer_that_is_not_linear_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be written as a linear layer"):
        linear_layer(torch.nn.Bilinear(2, 2, 2))
    with pytest.raises(UsageError, match="cannot be written as a linear layer") as caught:
        linear_layer(build_head(Head("age", 3, hidden=4), 2))
    assert "--to onnx" in str(caught.value.fix)


def test_an_ordinal_head_is_the_same_linear_map() -> None:
    layer = build_head(Head("age", 3, "ordinal", (30, 60), (30, 60), given="gender", groups=2), 5)
    for tensor in layer.state_dict().values():
        tensor.normal_()
    features = torch.randn(4, 5)

    weight, bias = linear_layer(layer)

    assert weight.shape == (4, 5)
    torch.testing.assert_close(features @ weight.T + bias, layer(features))


def test_only_an_earlier_export_is_replaced(tmp_path: Path) -> None:
    cfg = tiny()
    folder, other = tmp_path / "out", tmp_path / "other"
    write_timm_folder(folder, [loaded(cfg, 0), loaded(cfg, 1)], cfg, {})
    other.mkdir()
    (other / "config.json").write_text('{"format": "something else"}')

    with pytest.raises(BusyError):
        check_timm_folder(folder, force=False)
    with pytest.raises(UsageError, match="only an exported folder"):
        check_timm_folder(other, force=True)
    check_timm_folder(folder, force=True)
    with files.folder_aside(folder) as draft:
        write_timm_folder(draft, [loaded(cfg, 2)], cfg, {})
        files.put_folder(draft, folder, force=True)

    assert [path.name for path in (folder / "networks").iterdir()] == ["seed0-fold2"]
