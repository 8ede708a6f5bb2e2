"""Whether the packages of the trackers that a configuration asks for are installed; none of them is imported."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from maskcls.errors import ConfigError
from maskcls.schema import Config, TrackerName

# What pip installs, as in the extras of pyproject.toml; the name that is imported is that of the tracker.
REQUIREMENTS: Mapping[TrackerName, str] = {
    "tensorboard": "tensorboard>=2.21",
    "wandb": "wandb>=0.19",
    "mlflow": "mlflow>=3",
}


def check_trackers(cfg: Config) -> None:
    """Raise ConfigError, with the command that installs them, if packages of trackers are missing."""
    missing = [name for name in cfg.track if name in REQUIREMENTS and find_spec(name) is None]
    if missing:
        wanted = " ".join(f"'{REQUIREMENTS[name]}'" for name in missing)
        raise ConfigError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed",
            where="track",
            got=",".join(cfg.track),
            fix=f"pip install {wanted}, or leave {'it' if len(missing) == 1 else 'them'} out",
        )
