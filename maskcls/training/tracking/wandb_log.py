"""wandb: a run per place, all in one group. Offline unless WANDB_MODE says otherwise.

An offline run cannot be asked what it holds, so the number of epochs is kept beside it. A resumed training writes a
further offline folder of the same id; `wandb sync` joins them in the order of their times. wandb writes the last epochs
to disk only when a run is finished: a folder whose process was killed is removed, and its epochs are written again.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from maskcls.training.tracking.log import RUN, Place

INIT_S = 30.0
# Before the import, which reads them: no reports of errors to the makers of wandb, nothing on the terminal.
QUIET = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}


class WandbLog:
    """A log as a run of wandb; see `log.Log`."""

    def __init__(self, place: Place, epochs: int) -> None:
        self.place, self.folder = place, place.folder("wandb")
        new: dict[str, Any] = {"id": secrets.token_hex(4), "held": 0, "folders": []}
        known = place.read_identity("wandb") or new
        self.known: dict[str, Any] = known if known["held"] <= epochs else new
        self.held: int = self.known["held"]

    @cached_property
    def run(self) -> Any:
        """The run of wandb, begun or continued."""
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        import wandb

        mode = os.environ.get("WANDB_MODE", "offline")
        self.place.keep_identity("wandb", self.known)
        for left in self._offline_folders():
            if left.name not in self.known["folders"]:
                shutil.rmtree(left)
        return wandb.init(
            project=self.place.how.project,
            name=self.place.title,
            group=self.place.run_name,
            job_type="run" if self.place.name == RUN else "network",
            id=self.known["id"],
            dir=str(self.folder.path),
            mode=mode,
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
        """Write the numbers of one step, unless a server has them from a process that was killed."""
        if epoch >= self.run.starting_step:
            self.run.log(dict(values), step=epoch)
        self.held = epoch + 1

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
            folders = [path.name for path in self._offline_folders()]
            self.place.keep_identity("wandb", self.known | {"held": self.held, "folders": folders})

    def _offline_folders(self) -> list[Path]:
        """Return the folders that wandb itself has named."""
        return sorted((self.folder.path / "wandb").glob(f"offline-run-*-{self.known['id']}"))
