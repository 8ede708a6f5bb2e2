"""maskcls config show: what files and settings resolve to, and where each value comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls import config
from maskcls.config import SettingOrigin
from maskcls.config.unused_settings import unused_settings
from maskcls.schema import Config


@dataclass(frozen=True)
class Resolved:
    """A resolved configuration, the origin of each of its dotted keys, and a line for every setting without effect."""

    cfg: Config
    origins: Mapping[str, SettingOrigin]
    unused: list[str]


def resolve(files: Sequence[Path] | None, overrides: Sequence[str]) -> Resolved:
    """Resolve configuration files and `key=value` overrides as train would."""
    cfg, origins = config.load(files, overrides)
    return Resolved(cfg, config.with_backbone(cfg, origins), unused_settings(cfg, origins))
