"""From files and the command line to one configuration, and the origin of each of its values.

Layers, each above the one before: the defaults, what was read from the data, the files a file is based on, the files,
`key=value` overrides. Mappings are merged key by key; lists and single values are replaced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskcls.config.faults import COMMAND_LINE, at
from maskcls.config.files import BASE, read_files
from maskcls.config.keys import PRESET, drop, flatten, preset_keys, put
from maskcls.config.overrides import parse_override
from maskcls.config.validation import validate
from maskcls.config.yaml12 import dump_yaml
from maskcls.errors import ConfigError, ResultError
from maskcls.schema import PRESETS, Config


class SettingOrigin(str):
    """Where a value comes from: "default", the data, a file, the preset of a file, "command line", or "backbone".

    layer    0 for defaults; a higher one wins over a lower one.
    given    whether a person wrote this value, and not a default or a preset.
    """

    layer: int
    given: bool

    def __new__(cls, name: str, *, layer: int, given: bool) -> SettingOrigin:
        origin = super().__new__(cls, name)
        origin.layer, origin.given = layer, given
        return origin


DEFAULT = SettingOrigin("default", layer=0, given=False)
BACKBONE = "backbone"  # the origin of `auto` in these settings, and of the numbers it stands for
NORMALISATION = ("transforms.mean", "transforms.std")


@dataclass(frozen=True)
class Layer:
    """The settings of one source: what a person calls it, where messages say it is, and its settings as dotted keys.

    given  whether a person wrote them.
    """

    name: str
    where: str
    leaves: list[tuple[str, Any]]
    given: bool = True


@dataclass
class Merged:
    """The layers put on top of each other: nested settings, and for each dotted key the number of its layer."""

    data: dict[str, Any] = field(default_factory=dict)
    layer_of: dict[str, int] = field(default_factory=dict)


def load(files: Path | Sequence[Path] | None, overrides: Sequence[str] = ()) -> tuple[Config, dict[str, SettingOrigin]]:
    """Resolve the defaults, YAML files (paths or shipped names) and `key=value` overrides, each above the one before.

    A dotted key means the same in a file as on the command line. Returns the configuration, and for each of its dotted
    keys the origin. Raises ConfigError or UsageError.
    """
    return load_above(lambda given: {}, "", files, overrides)


def load_above(
    read: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    name: str,
    files: Path | Sequence[Path] | None,
    overrides: Sequence[str] = (),
) -> tuple[Config, dict[str, SettingOrigin]]:
    """Resolve as `load`, with settings that were read elsewhere between the defaults and the files.

    read  gets the given settings, nested, and returns such settings; {} if nothing is needed.
    name  their origin, such as "read from photos.csv".
    """
    paths = [files] if isinstance(files, Path) else list(files or ())
    layers = [*_file_layers(paths), _override_layer(overrides)]
    merged = _merge(layers)
    if found := flatten(read(merged.data)):
        layers = [Layer(name, name, list(found.items()), given=False), *layers]
        merged = _merge(layers)
    main = (layers[-2] if paths else layers[-1]).where  # the last file
    places = sorted(merged.layer_of.items(), key=lambda item: item[1])
    elsewhere = {key: layers[n].where for key, n in places if layers[n].where != main}
    cfg = validate(merged.data, where=main, elsewhere=elsewhere)
    return cfg, _origins(cfg, layers, merged)


def of_run(path: Path) -> Config:
    """Read the configuration in a run folder; raises ResultError for one that this version does not read."""
    try:
        return load(path)[0]
    except ConfigError as error:
        raise ResultError(
            "the run's settings are of another version of maskcls, or were changed by hand",
            where=error.where or str(path),
            got=", ".join(text.partition(":")[0] for text in error.offenders) or error.got or error.what,
            fix="use the version in the run's env.json, or train the run again",
        ) from None


def with_backbone(cfg: Config, origins: Mapping[str, SettingOrigin]) -> dict[str, SettingOrigin]:
    """Return the origins as they are shown: "backbone" for `auto` in NORMALISATION, whoever wrote it."""
    plain = flatten(cfg.model_dump(mode="json"))
    of_backbone = {key: origins[key] for key in NORMALISATION if plain[key] == "auto"}
    new = {key: SettingOrigin(BACKBONE, layer=old.layer, given=old.given) for key, old in of_backbone.items()}
    return {**origins, **new}


def to_yaml(cfg: Config) -> str:
    """Write the resolved configuration; `load` reads it back to an equal one."""
    return dump_yaml(cfg.model_dump(mode="json"))


def _file_layers(paths: Sequence[Path]) -> list[Layer]:
    read = read_files(paths)
    count = Counter(file.path.name for file in read)
    names = [file.path.name if count[file.path.name] == 1 else str(file.path) for file in read]
    return [
        Layer(name, str(file.path), list(at(f"{file.path}: ", flatten, file.settings).items()))
        for name, file in zip(names, read, strict=True)
    ]


def _override_layer(overrides: Sequence[str]) -> Layer:
    parsed = [parse_override(text) for text in overrides]
    if any(key == BASE for key, _ in parsed):
        raise ConfigError(
            "a base is named in a file",
            where=f"{COMMAND_LINE}: {BASE}",
            fix="give --config several times; the later file wins",
        )
    # One after the other: a command may add its own after the user's, and the last one wins; see `refuse_set_twice`.
    leaves = [leaf for key, value in parsed for leaf in at(f"{COMMAND_LINE}: ", flatten, {key: value}).items()]
    return Layer(COMMAND_LINE, COMMAND_LINE, leaves)


def _merge(layers: Sequence[Layer]) -> Merged:
    merged = Merged()
    for number, layer in enumerate(layers):
        for key in preset_keys(layer.leaves):  # a preset replaces what lower layers set
            drop(merged.data, key)
            merged.layer_of.pop(key, None)
        for key, value in layer.leaves:
            at(f"{layer.where}: ", put, merged.data, key, value)
            merged.layer_of[key] = number
    return merged


def _origins(cfg: Config, layers: Sequence[Layer], merged: Merged) -> dict[str, SettingOrigin]:
    preset = merged.data.get("transforms", {}).get("preset")
    number = merged.layer_of.get(PRESET, 0)
    filled = SettingOrigin(f"preset {preset}", layer=number + 1, given=False)
    origins = {f"transforms.{key}": filled for key in PRESETS.get(preset, ())}
    for key, n in merged.layer_of.items():
        origins[key] = SettingOrigin(layers[n].name, layer=n + 1, given=layers[n].given)
    return {key: origins.get(key, DEFAULT) for key in flatten(cfg.model_dump(mode="json"))}
