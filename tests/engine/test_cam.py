"""Class activation maps: against grad-cam, against the classic formula for a linear head, and where they cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from tiny import tiny
from torch import Tensor, nn

from maskcls.backbone import Backbone
from maskcls.engine.cam import ExplainedLayer, cam_grids, energy_inside, enlarged, explained_layer
from maskcls.engine.infer import Predictor
from maskcls.errors import UsageError
from maskcls.labels import CONTEST
from maskcls.nn.heads import JOINT, Head, plain_heads
from maskcls.nn.network import Network, build_network
from maskcls.training.experiment import view_spec

SIZE = (64, 96)  # height and width differ, so that swapped axes show
# One small network of each family, and the layer that grad-cam's documentation would have explained.
FAMILIES = {
    "test_resnet": "layer4",
    "resnet10t": "layer4",
    "mobilenetv4_conv_small_035": "blocks.4",
    "test_convnext": "stages.3",
    "test_vit": "blocks.5.norm1",
    "test_efficientnet": "blocks.4",
    "swin_tiny_patch4_window7_224": "layers.3",
}
LARGE = {
    "resnet18": "layer4",
    "mobilenetv4_conv_small": "blocks.4",
    "convnext_atto": "stages.3",
    "vit_tiny_patch16_224": "blocks.11.norm1",
    "swinv2_tiny_window8_256": "layers.3",
    "efficientnet_b0": "blocks.6",
    "tf_efficientnetv2_b0": "blocks.5",
}
CPU = torch.device("cpu")
NOTHING = np.zeros(3, dtype=np.int64)


class OneTask(nn.Module):
    """A network as grad-cam wants it: images to the logits of one task."""

    def __init__(self, network: Network, task: str) -> None:
        super().__init__()
        self.network, self.task = network, task

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)[self.task]
        return logits


def predictor_of(backbone: str, heads: dict[str, Head] | None = None) -> Predictor:
    """Build a network whose heads are no longer zero, with statistics of normalisation that are not 0 and 1."""
    torch.manual_seed(0)
    network = build_network(Backbone(backbone), heads or plain_heads("multi", CONTEST), size=SIZE)
    for head in network.heads.values():
        for parameter in head.parameters():
            nn.init.normal_(parameter)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, *SIZE))
    return Predictor(network.eval(), CONTEST, view_spec(tiny(f"transforms.size=[{SIZE[0]}, {SIZE[1]}]")))


def images(seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (3, *SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def normalised(images_BHWC: Tensor, predictor: Predictor) -> Tensor:
    mean, std = torch.tensor(predictor.spec.mean), torch.tensor(predictor.spec.std)
    return ((images_BHWC / 255 - mean) / std).permute(0, 3, 1, 2)


def reference(predictor: Predictor, layer: str, classes: list[int]) -> np.ndarray:
    """Return grad-cam's maps, with a reshaping of the layer's output written for each family by hand."""
    # Imported here, because it takes seconds, in every process that collects the tests.
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    def reshaped(output: Tensor) -> Tensor:
        if output.ndim == 3:  # a class token, then the patches of 16 pixels
            return output[:, 1:].reshape(-1, SIZE[0] // 16, SIZE[1] // 16, output.shape[2]).permute(0, 3, 1, 2)
        return output.permute(0, 3, 1, 2) if layer.startswith("layers.") else output

    targets = [ClassifierOutputTarget(c) for c in classes]
    module = predictor.network.trunk.get_submodule(layer)
    with GradCAM(OneTask(predictor.network, "mask"), [module], reshape_transform=reshaped) as cam:
        found: np.ndarray = cam(normalised(images(), predictor), targets)
    return found


def check_against_reference(backbone: str, layer: str) -> None:
    predictor = predictor_of(backbone)
    grids = cam_grids(predictor, images(), "mask", np.array([0, 1, 2]), NOTHING, CPU)
    ours = np.stack([enlarged(grid, SIZE) for grid in grids])
    expected = reference(predictor, layer, [0, 1, 2])
    assert ours.shape == (3, *SIZE)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    assert expected.max() > 0.99  # not all maps are empty
    assert explained_layer(predictor.network.trunk).name == layer


@pytest.mark.parametrize("backbone", FAMILIES)
def test_it_equals_grad_cam(backbone: str) -> None:
    check_against_reference(backbone, FAMILIES[backbone])


@pytest.mark.slow
@pytest.mark.parametrize("backbone", LARGE)
def test_it_equals_grad_cam_for_larger_networks(backbone: str) -> None:
    check_against_reference(backbone, LARGE[backbone])


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet", "swin_tiny_patch4_window7_224"])
def test_the_explained_layer_is_timms_last_feature_map(backbone: str) -> None:
    predictor = predictor_of(backbone)
    trunk, layer = predictor.network.trunk, explained_layer(predictor.network.trunk)
    seen: list[Tensor] = []
    handle = trunk.get_submodule(layer.name).register_forward_hook(lambda *args: seen.append(args[2]))
    batch = normalised(images(), predictor)
    with torch.no_grad():
        (expected,) = trunk.forward_intermediates(batch, indices=1, output_fmt="NCHW", intermediates_only=True)
        handle.remove()
    places = seen[0].permute(0, 3, 1, 2) if layer.last else seen[0]
    torch.testing.assert_close(places, expected)


def test_before_a_linear_head_it_is_the_classic_map() -> None:
    predictor = predictor_of("test_resnet")
    nn.init.uniform_(predictor.network.heads["gender"].weight, -0.5, 1)  # features are positive, and so are their sums
    grids = cam_grids(predictor, images(), "gender", np.array([1, 0, 1]), NOTHING, CPU)
    with torch.no_grad():
        features = predictor.network.trunk.forward_features(normalised(images(), predictor))
    weight = predictor.network.heads["gender"].weight.detach()[[1, 0, 1]]
    raw = torch.einsum("bc,bchw->bhw", weight, features).clamp(min=0).numpy()
    for grid, one in zip(grids, raw, strict=True):
        assert one.max() > 0
        np.testing.assert_allclose(grid, (one - one.min()) / (one.max() - one.min()), atol=1e-5)


def test_a_batch_changes_no_map() -> None:
    predictor = predictor_of("test_convnext")
    many = images().repeat(12, 1, 1, 1)  # more than one batch
    classes = np.arange(36) % 3
    grids = cam_grids(predictor, many, "age", classes, np.zeros(36, dtype=np.int64), CPU)
    for row in (0, 31, 32, 35):
        (alone,) = cam_grids(predictor, many[row : row + 1], "age", classes[row : row + 1], NOTHING[:1], CPU)
        np.testing.assert_allclose(grids[row], alone, atol=1e-5)


HEADS = {
    "joint": {JOINT: Head(JOINT, 18)},
    "sigmoid": {JOINT: Head(JOINT, 18, "sigmoid")},
    "ordinal": plain_heads("multi", CONTEST) | {"age": Head("age", 3, "ordinal", (30, 60), (30, 60))},
    "normal": plain_heads("multi", CONTEST) | {"age": Head("age", 3, "normal", (30, 60), (30, 60))},
    "fine": plain_heads("multi", CONTEST) | {"age": Head("age", 3, "softmax", (30, 60), (20, 30, 45, 60))},
    "given": plain_heads("multi", CONTEST) | {"age": Head("age", 3, "softmax", (30, 60), (30, 60), "mask", 3)},
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("task", CONTEST.names)
def test_every_kind_of_head_has_maps_and_they_depend_on_the_class(name: str, task: str) -> None:
    predictor = predictor_of("test_convnext", HEADS[name])
    first, last = (
        cam_grids(predictor, images(), task, np.full(3, c), NOTHING, CPU)
        for c in (0, len(CONTEST.task(task).classes) - 1)
    )
    for grids in (first, last):
        assert np.isfinite(grids).all()
        assert grids.min() == 0
        assert grids.max() == 1
    assert not np.allclose(first, last, atol=0.05)


def test_a_head_that_depends_on_another_task_is_explained_for_the_given_class() -> None:
    predictor = predictor_of("test_convnext", HEADS["given"])
    head = predictor.network.heads["age"]
    maps = [cam_grids(predictor, images(), "age", NOTHING, np.full(3, g), CPU) for g in range(3)]
    assert not np.allclose(maps[0], maps[1], atol=0.05)
    plain = predictor_of("test_convnext")
    second = {"heads.age.weight": head.weight[3:6], "heads.age.bias": head.bias[3:6]}
    plain.network.load_state_dict(predictor.network.state_dict() | second)
    np.testing.assert_allclose(maps[1], cam_grids(plain, images(), "age", NOTHING, NOTHING, CPU), atol=1e-6)


def test_weights_gradients_and_hooks_are_as_before() -> None:
    predictor = predictor_of("test_vit")
    before = {name: value.clone() for name, value in predictor.network.state_dict().items()}
    cam_grids(predictor, images(), "mask", NOTHING, NOTHING, CPU)
    assert all(torch.equal(before[name], value) for name, value in predictor.network.state_dict().items())
    assert all(parameter.grad is None for parameter in predictor.network.parameters())
    assert not any(module._forward_hooks for module in predictor.network.modules())


def test_nothing_that_raises_the_logit_is_an_empty_map() -> None:
    predictor = predictor_of("test_convnext")
    nn.init.zeros_(predictor.network.heads["mask"].weight)
    grids = cam_grids(predictor, images(), "mask", NOTHING, NOTHING, CPU)
    assert (grids == 0).all()
    assert (enlarged(grids[0], SIZE) == 0).all()


# --- backbones without maps


class Plain(nn.Module):
    def __init__(self, facts: object) -> None:
        super().__init__()
        self.feature_info, self.layer = facts, nn.Flatten()

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images)


@pytest.mark.parametrize("facts", [None, [], [{"num_chs": 3}], [{"module": "gone", "num_chs": 3}]])
def test_a_backbone_without_known_stages_is_refused(facts: object) -> None:
    with pytest.raises(UsageError, match="no activation map") as caught:
        explained_layer(Plain(facts))
    assert caught.value.where == "Plain"


def test_a_feature_map_with_other_channels_is_refused() -> None:
    """The channels taken for places have a plausible shape, and would show nonsense."""
    predictor = predictor_of("swin_tiny_patch4_window7_224")
    predictor.network.trunk.output_fmt = "NCHW"
    with pytest.raises(UsageError, match=r"output of shape \(3, 2, 3, 768\)"):
        cam_grids(predictor, images(), "mask", NOTHING, NOTHING, CPU)


def test_a_layer_without_places_is_refused() -> None:
    trunk = Plain([{"module": "layer", "num_chs": 3}])
    network = Network(trunk, 3 * SIZE[0] * SIZE[1], plain_heads("multi", CONTEST))
    spec = predictor_of("test_convnext").spec
    assert explained_layer(trunk) == ExplainedLayer("layer", 3, False, 0)
    with pytest.raises(UsageError, match="no activation map"):
        cam_grids(Predictor(network, CONTEST, spec), images(), "mask", NOTHING, NOTHING, CPU)


def test_every_tiny_backbone_of_timm_has_maps() -> None:
    """A new family of timm with another layout fails here."""
    for backbone in timm.list_models("test_*"):
        grids = cam_grids(predictor_of(backbone), images(), "mask", np.array([0, 1, 2]), NOTHING, CPU)
        assert grids.shape in {(3, 2, 3), (3, 4, 6)}, backbone


# --- maps


def test_energy_inside_a_box_by_hand() -> None:
    cam = np.array([[0, 1, 2], [3, 4, 0]], dtype=np.float32)
    assert energy_inside(cam, (1, 0, 3, 1)) == pytest.approx(3 / 10)
    assert energy_inside(cam, (0, 0, 3, 2)) == pytest.approx(1)
    assert np.isnan(energy_inside(np.zeros((2, 2), dtype=np.float32), (0, 0, 1, 1)))


def test_an_enlarged_map_spans_0_to_1_at_the_asked_size() -> None:
    grid = np.array([[0, 1], [0.5, 0]], dtype=np.float32)
    big = enlarged(grid, (8, 12))
    assert big.shape == (8, 12)
    assert (big.min(), big.max()) == (0, 1)
    assert np.unravel_index(big.argmax(), big.shape)[0] < 4
    assert np.unravel_index(big.argmax(), big.shape)[1] >= 6
