"""Settings that may be changed in a finished run's configuration: of prediction, of the device, of the cache."""

from __future__ import annotations

from collections.abc import Sequence

from maskcls import config
from maskcls.errors import ConfigError, UsageError
from maskcls.schema import Config

TRAINING_ONLY = ("device.compile", "device.augment")
RULE_WITHOUT_ADAPTATION = "the decision rule was fitted on predictions without adaptation"


def changes_prediction(key: str) -> bool:
    """Tell whether a dotted key may be changed in a finished run's configuration."""
    return (key.startswith(("predict.", "device.")) or key == "data.cache") and key not in TRAINING_ONLY


def with_overrides(cfg: Config, overrides: list[str]) -> Config:
    """Return the run's configuration with `predict.*`, `device.*`, `data.cache` changed; ConfigError for other keys.

    Keys of `device` that only change training are refused as well: they would have no effect.
    """
    plain = cfg.model_dump(mode="json")
    for key, value in map(config.parse_override, overrides):
        section = key.split(".")[0]
        # An unknown section is left to `validate`, which says what may have been meant.
        if section in Config.model_fields and section not in ("predict", "device") and key != "data.cache":
            raise ConfigError(
                "this setting belongs to the training of the run",
                where=key,
                expected="a key of predict or device, or data.cache",
                fix="train a new run with it",
            )
        for leaf, part in config.flatten({key: value}).items():
            if leaf in TRAINING_ONLY:
                raise ConfigError(
                    "this setting has no effect on prediction",
                    where=leaf,
                    got=str(part),
                    fix="leave it out",
                )
            config.put(plain, leaf, part)
    return config.validate(plain, where="command line")


def refuse_predicting(overrides: Sequence[str], what: str) -> None:
    """Raise UsageError for settings of which networks predict, and how, for commands that choose these themselves."""
    if given := config.setting(overrides, "predict.views", "predict.networks", "predict.groups"):
        raise UsageError(what, where=given[0], fix="leave it out")


def refuse_adapting(cfg: Config, what: str, fix: str = "leave it out") -> None:
    """Raise UsageError for networks adapted to the photos to predict, for commands that cannot adapt them."""
    if cfg.predict.adapt != "none":
        raise UsageError(what, where=f"predict.adapt={cfg.predict.adapt}", expected="predict.adapt=none", fix=fix)
