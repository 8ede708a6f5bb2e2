"""The whole state of a generator's training as one file: networks, optimizers, extra tensors, log and step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from maskcls.engine.session import optimizer_moments, restore_moments, with_prefix
from maskcls.synth.loop.log_lines import LogLines
from maskcls.synth.loop.player import Player

NETWORK, OPTIMIZER, EXTRA = "network/", "optimizer/", "extra/"


def player_state(player: Player, log: LogLines, step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state after `step` steps as tensors by name and JSON progress, for `checkpoint.save_state`."""
    tensors = {
        f"{NETWORK}{name}/{key}": tensor
        for name, network in player.networks.items()
        for key, tensor in network.state_dict().items()
    }
    numbers = {}
    for name, optimizer in player.optimizers.items():
        moments, numbers[name] = optimizer_moments(optimizer)
        tensors |= {f"{OPTIMIZER}{name}/{key}": tensor for key, tensor in moments.items()}
    tensors |= {f"{EXTRA}{key}": tensor for key, tensor in player.extra_tensors().items()}
    return tensors, {"step": step, "lines": log.lines, "sums": log.sums, "optimizers": numbers}


def restore_player(player: Player, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> tuple[LogLines, int]:
    """Load a saved state into a new player; returns the log and the number of finished steps.

    The training then continues bit for bit as if never interrupted.
    """
    for name, network in player.networks.items():
        network.load_state_dict(with_prefix(tensors, f"{NETWORK}{name}/"))
    for name, optimizer in player.optimizers.items():
        restore_moments(optimizer, with_prefix(tensors, f"{OPTIMIZER}{name}/"), progress["optimizers"][name])
    player.load_extra(with_prefix(tensors, EXTRA))
    return LogLines(list(progress["lines"]), dict(progress["sums"])), int(progress["step"])
