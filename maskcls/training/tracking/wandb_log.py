"""wandb: a run per place, all in one group. Offline unless WANDB_MODE says otherwise.

An offline run cannot be asked what it holds, so the number of epochs is kept beside it. A resumed training writes a
further offline folder of the same id; `wandb sync --append` joins them.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from maskcls import files
from maskcls.training.tracking.log import RUN, Place

INIT_S = 30.0
# Before the import, which reads them: no reports of errors to the makers of wandb, nothing on the terminal.
QUIET = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}


class WandbLog:
    """A log as a run of wandb; see `log.Log`."""

    def __init__(self, place: Place, epochs: int) -> None:
        self.place, self.folder = place, place.folder("wandb")
        self.id, self.held = secrets.token_hex(4), 0
        if self.folder.identity.exists():
            known = files.read_json(self.folder.identity)
            if known["held"] <= epochs:
                self.id, self.held = known["id"], known["held"]

    @cached_property
    def run(self) -> Any:
        """The run of wandb, begun or continued."""
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        import wandb

        mode = os.environ.get("WANDB_MODE", "offline")
        self.folder.path.mkdir(parents=True, exist_ok=True)
        self._remember()
        return wandb.init(
            project=self.place.how.project,
            name=self.place.title,
            group=self.place.run_name,
            job_type="run" if self.place.name == RUN else "network",
            id=self.id,
            dir=str(self.folder.path),
            mode=mode,  # type: ignore[arg-type]
            resume=None if mode == "offline" else "allow",
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                console="off",
                init_timeout=INIT_S,
                save_code=False,
                disable_code=True,
                disable_git=True,
                x_disable_meta=True,
                x_disable_stats=True,
            ),
        )

    def settings(self, settings: Mapping[str, str]) -> None:
        """Write the settings, with their types."""
        values = {key: json.loads(value) for key, value in settings.items()}
        self.run.config.update(values, allow_val_change=True)

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the numbers of one step."""
        self.run.log(dict(values), step=epoch)
        self.held = epoch + 1
        self._remember()

    def scores(self, values: Mapping[str, float]) -> None:
        """Write the scores into the summary."""
        self.run.summary.update(dict(values))

    def picture(self, name: str, path: Path) -> None:
        """Write the picture into the summary: it belongs to no step."""
        import wandb

        self.run.summary[name] = wandb.Image(str(path))

    def file(self, name: str, path: Path) -> None:
        """Write the path into the summary."""
        self.run.summary[name] = str(path)

    def close(self, *, complete: bool) -> None:
        """Finish the run, if it was begun."""
        if "run" in self.__dict__:
            self.run.finish(exit_code=0 if complete else 1)

    def _remember(self) -> None:
        files.commit_json(self.folder.identity, {"id": self.id, "held": self.held})
