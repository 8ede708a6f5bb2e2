"""Where a run's predictions come from: run, weights, data and options. Part of a .npz and of a submission's .json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue, ValidationError

from maskcls.runs.decision import Decision
from maskcls.typedjson import JsonFile


class UsedWeights(JsonFile):
    """One network that predicted: its task ("" for all tasks), seed and fold, and the sha256 of its tensors."""

    member: str = ""
    seed: int | None = None
    fold: int
    sha256: str

    def __str__(self) -> str:
        named = {"member": self.member or None, "seed": self.seed, "fold": self.fold}
        return " ".join(f"{key} {value}" for key, value in named.items() if value is not None)


class UsedDecision(JsonFile):
    """How labels were chosen: the kind of rule, None for the most probable class, and the temperatures."""

    rule: str | None
    temperatures: dict[str, float]


class RunLineage(JsonFile):
    """What a run's predictions for new photos were made from.

    run_hashes    of the run's identity, see runs/identity.py.
    oof_macro_f1  the run's out-of-fold score; None without one.
    data_sha256   of the table of photos.
    groups        which photos were averaged; None: none were.
    predictions   sha256 of the .npz in the run folder; only in a submission.
    decision      only in a submission made with --decide.
    """

    maskcls: str
    run: str
    run_hashes: dict[str, str]
    oof_macro_f1: float | None
    weights: tuple[UsedWeights, ...]
    data: str
    data_sha256: str
    views: str
    networks: str
    groups: dict[str, JsonValue] | None = None
    predictions: str = ""
    decision: UsedDecision | None = None

    def with_groups(self, groups: dict[str, Any] | None) -> RunLineage:
        """Return the lineage of predictions averaged within these groups."""
        return self.model_copy(update={"groups": groups})

    def with_predictions(self, sha256: str) -> RunLineage:
        """Return the lineage with the hash of the file that holds the predictions."""
        return self.model_copy(update={"predictions": sha256})

    def with_decision(self, decision: Decision) -> RunLineage:
        """Return the lineage of labels chosen by a decision."""
        rule, temperatures = decision.rule.kind if decision.rule else None, dict(decision.temperatures)
        return self.model_copy(update={"decision": UsedDecision(rule=rule, temperatures=temperatures)})


def read_lineage(data: Mapping[str, Any]) -> RunLineage | None:
    """Read the lineage of a run's predictions; None for predictions of another origin."""
    try:
        return RunLineage.model_validate_json(json.dumps(data))
    except (TypeError, ValueError, ValidationError):
        return None


def read_weights(data: object) -> Sequence[UsedWeights] | None:
    """Read a lineage's list of weights; None where it is of another form."""
    try:
        return [UsedWeights.model_validate_json(json.dumps(one)) for one in data] if isinstance(data, list) else None
    except ValidationError:
        return None
