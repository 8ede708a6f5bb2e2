"""Pixel values are normalised as for the backbone's weights, unless the configuration says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
from project import SHIPPED

from maskcls import config
from maskcls.commands.config.show import resolve
from maskcls.engine.checkpoint import save_weights
from maskcls.engine.normalisation import normalisation_notes, with_normalisation
from maskcls.errors import MaskclsError
from maskcls.nn.backbone_facts import Normalisation, fixed_size, timm_normalisation
from maskcls.rundir import WeightsDir
from maskcls.schema import Config
from maskcls.training.experiment import Member, view_spec
from maskcls.training.plans import fresh_network

HALF = (0.5, 0.5, 0.5)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def loaded(*words: str) -> Config:
    return config.load(None, words)[0]


@pytest.mark.parametrize(
    ("backbone", "mean", "std"),
    [
        ("mobilenetv4_conv_small", *IMAGENET),
        ("vit_base_patch16_384", HALF, HALF),
        (
            "vit_base_patch16_clip_224.openai",
            (0.48145466, 0.4578275, 0.40821073),
            (0.26862954, 0.26130258, 0.27577711),
        ),
        ("there_is_no_such_backbone", *IMAGENET),  # it is refused when the network is built
    ],
)
def test_auto_is_what_timm_says(backbone: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    spec = view_spec(loaded(f"model.backbone={backbone}"))
    assert (spec.mean, spec.std) == (mean, std)
    assert timm_normalisation(backbone) == Normalisation(spec.mean, spec.std)


def test_shipped_configurations_keep_imagenets_but_one() -> None:
    views = {path.stem: view_spec(config.load(path)[0]) for path in SHIPPED}
    assert len(views) >= 13
    others = {name for name, view in views.items() if (view.mean, view.std) != IMAGENET}
    assert others == {"tiny_cpu"}  # timm's test networks expect values in [-1, 1]


def test_given_numbers_win_one_by_one() -> None:
    cfg = with_normalisation(loaded("model.backbone=test_vit", "transforms.mean=[0.1, 0.2, 0.3]"))
    assert (cfg.transforms.mean, cfg.transforms.std) == ((0.1, 0.2, 0.3), HALF)
    assert with_normalisation(cfg) == cfg
    assert config.validate(cfg.model_dump(mode="json")) == cfg


def test_each_network_of_separate_heads_has_its_own() -> None:
    own = (
        "separate={age: {model.backbone: test_vit}, gender: {model: {backbone: test_vit}, transforms.mean: [0, 0, 0]}}"
    )
    cfg = with_normalisation(loaded("model.heads=separate", own))
    views = {task: view_spec(member) for task, member in config.members(cfg).items()}
    assert {task: (view.mean, view.std) for task, view in views.items()} == {
        "mask": IMAGENET,
        "gender": ((0.0, 0.0, 0.0), HALF),
        "age": (HALF, HALF),
    }
    again = config.validate(cfg.model_dump(mode="json"))  # as a run's config.yaml stores it
    assert with_normalisation(again) == again == cfg


def test_the_weights_of_a_run_bring_its_normalisation(tmp_path: Path) -> None:
    """A run may have been trained with other numbers than timm's; its meta.json tells."""
    first = loaded("model.backbone=test_vit", "transforms.size=[32, 32]", "transforms.mean=[0.1, 0.2, 0.3]")
    folder = WeightsDir(tmp_path / "best")
    network, _ = fresh_network(Member("", 0, first), 0, 0)
    save_weights(folder, network.inference_state(), Member("", 0, first).blueprint, epoch=0, scores={})
    words = ("model.backbone=test_vit", "transforms.size=[32, 32]", f"model.weights={folder.tensors}")
    spec = view_spec(loaded(*words))
    assert (spec.mean, spec.std) == ((0.1, 0.2, 0.3), HALF)
    (note, _) = normalisation_notes(with_normalisation(loaded(*words, "transforms.mean=[0.5, 0.5, 0.5]")))
    assert "expects mean [0.1, 0.2, 0.3]" in note
    folder.meta.write_text('{"maskcls": "0.1.0", "schema": 99}')
    with pytest.raises(MaskclsError, match="newer maskcls"):
        view_spec(loaded(*words))
    folder.meta.write_text('{"made by": "another tool"}')
    assert view_spec(loaded(*words)).mean == HALF


def test_notes_name_what_differs() -> None:
    vit = ("model.backbone=test_vit", "transforms.size=[160, 160]")
    assert normalisation_notes(with_normalisation(loaded(*vit))) == []
    (note,) = normalisation_notes(with_normalisation(loaded(*vit, "transforms.std=[0.229, 0.224, 0.225]")))
    assert note == (
        "test_vit expects mean [0.5, 0.5, 0.5], std [0.5, 0.5, 0.5], but transforms has mean [0.5, 0.5, 0.5],"
        " std [0.229, 0.224, 0.225]; auto uses the former"
    )
    (note,) = normalisation_notes(with_normalisation(loaded(*vit[:1], "transforms.size=[64, 48]")))
    assert "made for images of 160 x 160 pixels" in note
    assert "64 x 48" in note
    assert normalisation_notes(with_normalisation(loaded("model.backbone=resnet18"))) == []


def test_the_fixed_size_is_timms() -> None:
    assert fixed_size("swin_large_patch4_window12_384") == (384, 384)
    assert fixed_size("resnet18") is None
    assert timm.get_pretrained_cfg("swin_large_patch4_window12_384").fixed_input_size


@pytest.mark.parametrize("words", [[], ["transforms.mean=auto"]])
def test_the_origin_of_auto_is_the_backbone(words: list[str]) -> None:
    found = resolve(None, words)
    assert found.cfg.transforms.mean == "auto"
    assert found.origins["transforms.mean"] == found.origins["transforms.std"] == "backbone"
    assert resolve(None, ["transforms.mean=[0, 0, 0]"]).origins["transforms.mean"] == "command line"
