"""Settings that nothing reads while another one stands as it does, so that a user can be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from maskcls import config
from maskcls.faults import COMMAND_LINE
from maskcls.schema import Config

# Of the transforms: a chance, and what counts where it is above 0.
CHANCES = {
    "geometry": ("shift", "scale", "rotate_deg"),
    "zoom": ("zoom_share",),
    "colour": ("brightness", "contrast", "saturation", "hue"),
    "randaugment": ("randaugment_magnitude",),
    "cutout": ("cutout_size",),
    "erasing": ("erasing_boxes", "erasing_area", "erasing_fill"),
    "grid_dropout": ("grid_unit", "grid_ratio"),
}
# A setting that chooses, and with which of its values others count.
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
    "average.kind": {
        **dict.fromkeys(("average.decay", "average.power"), ("ema",)),
        "average.start": ("swa",),
    },
}


def idle_settings(cfg: Config, origins: Mapping[str, str]) -> list[str]:
    """Return a line for every setting somebody gave that changes nothing, such as `mix.alpha: mix.kind is none`.

    origins  what `config.load` returns beside the configuration: defaults and presets were given by nobody, and who
             switches something off on the command line knows that what a file says about it is idle.
    """
    plain = {task: config.flatten(member.model_dump(mode="json")) for task, member in config.members(cfg).items()}
    found = []
    for key, origin in origins.items():
        if origin == "default" or origin.startswith("preset "):
            continue
        *place, rest = key.split(".", 2)[1:] if key.startswith("separate.") else (key,)
        readers = [plain[place[0]]] if place else list(plain.values())
        deciding = [next(_deciding(rest, settings), None) for settings in readers]
        first = deciding[0]
        if first is None or not all(deciding):  # somebody reads it
            continue
        if origin == COMMAND_LINE or origins.get(first) != COMMAND_LINE:
            found.append(f"{key} changes nothing: {first} is {readers[0][first]}")
    return found


def _deciding(key: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the settings that stand so that this one does not count."""
    section, _, name = key.partition(".")
    if section == "transforms":
        for chance in (f"transforms.{chance}" for chance, names in CHANCES.items() if name in names):
            if not settings[chance]:
                yield chance
    for decides, keys in KINDS.items():
        if key in keys and settings[decides] not in keys[key]:
            yield decides
