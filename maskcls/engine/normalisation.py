"""How pixel values are normalised: `auto` becomes the numbers of the backbone's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskcls import config
from maskcls.engine.checkpoint import Meta, read_meta
from maskcls.files import read_json
from maskcls.nn.backbone_facts import Normalisation, fixed_size, timm_normalisation
from maskcls.rundir import WeightsDir
from maskcls.schema import Config, ModelConfig

SETTINGS = ("mean", "std")


def normalisation_of(model: ModelConfig) -> Normalisation:
    """Return the normalisation that the backbone's weights were trained with.

    It is that of meta.json where model.weights is the file of weights that maskcls saved, else timm's for the backbone.
    Raises WeightsError for a meta.json of a newer maskcls, ResultError for a damaged one.
    """
    if model.weights is not None and (meta := saved_meta(Path(model.weights))) is not None:
        return Normalisation(meta.transforms.mean, meta.transforms.std)
    return timm_normalisation(model.backbone)


def saved_meta(weights: Path) -> Meta | None:
    """Return the meta.json of a file of weights; None where maskcls did not save it. Raises as `normalisation_of`."""
    folder = WeightsDir(weights.parent)
    saved = folder.tensors == weights and folder.tensors.exists() and _is_ours(folder.meta)
    return read_meta(folder) if saved else None


def with_normalisation(cfg: Config) -> Config:
    """Return the configuration with numbers for transforms.mean and std, also of networks with another backbone."""
    wanted = {task: _numbers(member) for task, member in config.members(cfg).items()}
    resolved = cfg.model_copy(update={"transforms": cfg.transforms.model_copy(update=_numbers(cfg))})
    separate = dict(cfg.separate)
    for task, member in config.members(resolved).items():
        differing = {name: list(v) for name, v in wanted[task].items() if getattr(member.transforms, name) != v}
        if differing:
            own = {f"transforms.{name}": value for name, value in differing.items()}
            separate[task] = config.flatten(separate.get(task, {})) | own
    return resolved.model_copy(update={"separate": separate})


def normalisation_notes(cfg: Config) -> list[str]:
    """Return what is unusual about the images of one network, a line each.

    That is a normalisation other than that of its weights, and a size other than the one it was made for.
    """
    model, view, usual = cfg.model, cfg.transforms, normalisation_of(cfg.model)
    notes = []
    if (tuple(view.mean), tuple(view.std)) != (usual.mean, usual.std):
        given, own = (f"mean {_written(mean)}, std {_written(std)}" for mean, std in _pairs(view, usual))
        notes.append(f"{model.backbone} expects {own}, but transforms has {given}; auto uses the former")
    native = fixed_size(model.backbone)
    if native is not None and native != view.size:
        notes.append(
            f"{model.backbone} was made for images of {native[0]} x {native[1]} pixels,"
            f" and is built for {view.size[0]} x {view.size[1]} (transforms.size)"
        )
    return notes


def _pairs(*both: Any) -> list[tuple[Any, Any]]:
    return [(one.mean, one.std) for one in both]


def _written(values: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"


def _numbers(cfg: Config) -> dict[str, tuple[float, ...]]:
    given: dict[str, Any] = {name: getattr(cfg.transforms, name) for name in SETTINGS}
    if "auto" in given.values():
        usual = normalisation_of(cfg.model)
        given = {name: getattr(usual, name) if value == "auto" else value for name, value in given.items()}
    return given


def _is_ours(meta: Path) -> bool:
    data = read_json(meta) if meta.exists() else None
    return isinstance(data, dict) and "maskcls" in data
