"""Settings without effect, because another setting switches them off; the user gets a warning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from maskcls.config.keys import flatten
from maskcls.config.load import SettingOrigin
from maskcls.config.validation import members
from maskcls.schema import Config

# Of the transforms: a probability, and the settings that are used only when it is above 0.
CHANCES = {
    "geometry": ("shift", "scale", "rotate_deg"),
    "zoom": ("zoom_share",),
    "colour": ("brightness", "contrast", "saturation", "hue"),
    "randaugment": ("randaugment_magnitude",),
    "cutout": ("cutout_size",),
    "erasing": ("erasing_boxes", "erasing_area", "erasing_fill"),
    "grid_dropout": ("grid_unit", "grid_ratio"),
}
# Of the generators of images: their kinds, and the settings of all of them, of dcgan and of cyclegan.
IMAGES = ("dcgan", "wgan-gp", "cyclegan")
OF_IMAGES = (
    *("size", "steps", "batch_size", "width", "lr_generator", "lr_critic", "beta1", "beta2", "ema", "augment"),
    *("sheet_steps", "copy_quantile", "agree"),
)
OF_DCGAN = ("real_label", "label_noise", "label_flips", "instance_noise", "dropout")
OF_CYCLEGAN = ("from_classes", "network", "blocks", "padding", "pool", "cycle", "identity", "decay_share")
# What only a training in steps uses, by section; of model.train=heads.
OF_STEPS = {
    "model": ("drop", "drop_samples", "drop_path"),
    "balance": ("weights", "learned"),
    "sampler": ("draw", "by", "power", "one_per_person", "epoch_fraction"),
    "mix": ("kind", "prob", "alpha", "ratio", "partner", "partner_classes"),
    "optim": (
        *("name", "lr", "head_lr_scale", "layer_decay", "freeze_layers", "freeze_epochs", "weight_decay", "betas"),
        *("momentum", "clip_norm"),
    ),
    "schedule": (
        *("kind", "warmup_epochs", "end_share", "start_share", "every_epochs", "gamma", "cycles", "decay_share"),
        "patience",
    ),
    "average": ("kind", "decay", "power", "start", "soup"),
    "train": (
        *("epochs", "batch_size", "accumulate", "sync_batchnorm", "patience", "select", "keep_epochs"),
        *("save_minutes", "stages", "fold_jobs", "start_heads", "baseline"),
    ),
    "device": ("compile", "augment"),
}
OF_EVERY_VIEW = ("crop", "crop_centre", "size", "mean", "std")  # of the transforms, the others augment
# A setting that chooses, and the other settings with the choices that use them.
KINDS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "sampler.draw": dict.fromkeys(("sampler.by", "sampler.power"), ("weighted", "oversample")),
    "mix.kind": {
        **dict.fromkeys(("mix.prob", "mix.partner"), ("cutmix", "halves", "mixup")),
        "mix.alpha": ("cutmix", "mixup"),
        "mix.ratio": ("halves",),
    },
    "schedule.kind": {
        "schedule.end_share": ("cosine", "linear", "onecycle", "wsd", "cosine_restarts"),
        "schedule.start_share": ("onecycle",),
        "schedule.every_epochs": ("step",),
        "schedule.gamma": ("step", "plateau"),
        "schedule.cycles": ("cosine_restarts",),
        "schedule.decay_share": ("wsd",),
        "schedule.patience": ("plateau",),
    },
    "synth.kind": {
        "synth.neighbours": ("smote", "oversample"),
        **{f"synth.{name}": IMAGES for name in OF_IMAGES},
        **{f"synth.{name}": IMAGES[:2] for name in ("latent", "condition", "upsample")},
        **{f"synth.{name}": ("dcgan",) for name in OF_DCGAN},
        **{f"synth.{name}": ("wgan-gp",) for name in ("penalty", "critic_steps", "critic_norm")},
        **{f"synth.{name}": ("cyclegan",) for name in OF_CYCLEGAN},
    },
    "model.train": {f"heads.{name}": ("heads",) for name in ("kind", "strength", "balance", "hidden", "augmented")},
    "heads.kind": {"heads.hidden": ("mlp",)},
    "average.kind": {
        **dict.fromkeys(("average.decay", "average.power"), ("ema",)),
        "average.start": ("swa",),
    },
}
# The settings of `tracking`, with the trackers that use them.
TRACKED = {"project": ("wandb", "mlflow"), "name": ("wandb", "mlflow"), "mlflow": ("mlflow",)}


def unused_settings(cfg: Config, origins: Mapping[str, SettingOrigin], *, fitting: bool = False) -> list[str]:
    """Return a line for every setting somebody wrote that has no effect, such as `mix.alpha has no effect: …`.

    origins  what `load` returns beside the configuration. Only values that a person wrote are reported, and none that a
             higher layer switched off: who writes mix.kind=none on the command line knows that mix.alpha in the file
             is not used.
    fitting  whether heads are fitted too, in a stage of its own.
    """
    plain = {task: flatten(member.model_dump(mode="json")) for task, member in members(cfg).items()}
    found = []
    for key, origin in origins.items():
        if not origin.given:
            continue
        *place, rest = key.split(".", 2)[1:] if key.startswith("separate.") else (key,)
        readers = [plain[place[0]]] if place else list(plain.values())
        deciding = [next(_deciding(rest, settings, fitting=fitting), None) for settings in readers]
        first = deciding[0]
        if first is None or not all(deciding):  # a network uses it
            continue
        if origin.layer >= origins[first].layer:
            found.append(f"{key} has no effect: {first} is {readers[0][first]}")
    return found


def switched_off(cfg: Config, keys: Iterable[str]) -> dict[str, str]:
    """Return those of some settings that no network uses, each with the setting that switches it off.

    >>> switched_off(Config(), ["mix.alpha", "optim.lr"])
    {'mix.alpha': 'mix.kind'}
    """
    plain = [flatten(member.model_dump(mode="json")) for member in members(cfg).values()]
    found = {}
    for key in keys:
        deciding = [next(_deciding(key, settings), None) for settings in plain]
        if deciding[0] is not None and all(deciding):
            found[key] = deciding[0]
    return found


def unused_in_training(cfg: Config, origins: Mapping[str, SettingOrigin], *, fitting: bool = False) -> list[str]:
    """Return the lines of `unused_settings`, and one for each setting of generators on the command line.

    A file may have them for `maskcls synth`, so those of files are passed over.
    """
    of_generators = [key for key, origin in origins.items() if key.startswith("synth.") and origin == "command line"]
    others = [line for line in unused_settings(cfg, origins, fitting=fitting) if not line.startswith("synth.")]
    return others + [f"{key} has no effect: a training takes samples from data.synth" for key in of_generators]


def _deciding(key: str, settings: Mapping[str, Any], *, fitting: bool = False) -> Iterator[str]:
    """Yield the settings whose values switch this one off."""
    section, _, name = key.partition(".")
    fitted = settings["model.train"] == "heads"
    if fitted and (section == "loss" or name in OF_STEPS.get(section, ())):
        yield "model.train"
    if fitted and section == "transforms" and name not in OF_EVERY_VIEW and not settings["heads.augmented"]:
        yield "heads.augmented"
    if section == "transforms":
        for chance in (f"transforms.{chance}" for chance, names in CHANCES.items() if name in names):
            if not settings[chance]:
                yield chance
    if section == "tracking" and not set(TRACKED[name]) & set(settings["track"]):
        yield "track"
    if key == "folds.sealed_seed" and not settings["folds.sealed"]:
        yield "folds.sealed"
    starting = section == "heads" and (fitting or settings["train.start_heads"] == "fitted")
    for decides, keys in KINDS.items():
        if key in keys and settings[decides] not in keys[key] and not (starting and decides == "model.train"):
            yield decides
