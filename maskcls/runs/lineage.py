"""Where predictions, submissions and pseudo labels come from: runs, weights, data and options.

A lineage is a part of a .npz of predictions, and of the .json beside a submission or a file of pseudo labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from maskcls.results.csv_with_origin import read_sidecar
from maskcls.results.pseudo.label_columns import PSEUDO_LABELS
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


class UsedGroups(JsonFile):
    """Groups within which predictions were averaged: their hash, the tasks, and the weights of photos, if fitted."""

    sha256: str
    tasks: tuple[str, ...]
    weights: dict[str, float] | None


class UsedAdaptation(JsonFile):
    """How networks were adapted to the photos they predicted.

    method        the value of predict.adapt.
    photos        number of photos to predict; ids_sha256: of their ids, sorted.
    train_photos  number of the run's photos whose features coral aimed at, of the network with most; 0 for adabn.
    shrinkage     of the covariances, per network, for coral.
    """

    method: str
    photos: int
    ids_sha256: str
    train_photos: int
    shrinkage: tuple[float, ...]


class RunLineage(JsonFile):
    """What a run's predictions for new photos were made from.

    run_hashes    of the run's identity, see runs/identity.py.
    oof_macro_f1  the run's out-of-fold score; None without one.
    data_sha256   of the table of photos.
    photos_sha256 of the content of the photos; None where they were not cached. Files of earlier versions lack it.
    adapt         how the networks were adapted to the photos; None: they were not.
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
    photos_sha256: str | None = None
    adapt: UsedAdaptation | None = None
    groups: UsedGroups | None = None
    predictions: str = ""
    decision: UsedDecision | None = None

    def with_groups(self, groups: UsedGroups | None) -> RunLineage:
        """Return the lineage of predictions averaged within these groups."""
        return self.model_copy(update={"groups": groups})

    def with_adaptation(self, adapt: UsedAdaptation | None) -> RunLineage:
        """Return the lineage of predictions of networks that were adapted in this way."""
        return self if adapt is None else self.model_copy(update={"adapt": adapt})

    def with_predictions(self, sha256: str) -> RunLineage:
        """Return the lineage with the hash of the file that holds the predictions."""
        return self.model_copy(update={"predictions": sha256})

    def with_decision(self, decision: Decision) -> RunLineage:
        """Return the lineage of labels chosen by a decision."""
        rule, temperatures = decision.rule.kind if decision.rule else None, dict(decision.temperatures)
        return self.model_copy(update={"decision": UsedDecision(rule=rule, temperatures=temperatures)})


class LabellingRun(JsonFile):
    """A run whose networks made pseudo labels, with the hashes of its identity and of the networks' weights.

    adapt  how the networks were adapted to the photos; None: they were not.
    """

    run: str
    run_hashes: dict[str, str]
    weights: tuple[UsedWeights, ...]
    adapt: UsedAdaptation | None = None


class PseudoLineage(JsonFile):
    """What pseudo labels were made from.

    root         folder of the photos.
    data_sha256  of the table of photos.
    views        test-time views; each was a separate vote.
    rule         how labels were selected: the fields of `SelectionRule`; `prior` may be a text.
    summary      number of rows by set and class; see `count_outcomes`.
    """

    maskcls: str
    runs: tuple[LabellingRun, ...]
    root: str
    data: str
    data_sha256: str
    views: tuple[str, ...]
    rule: dict[str, JsonValue]
    summary: tuple[dict[str, JsonValue], ...] = ()


def read_pseudo_lineage(labels: Path) -> PseudoLineage | None:
    """Read the lineage beside a file of pseudo labels; None without one, DataError when it is damaged."""
    return read_sidecar(
        labels, PSEUDO_LABELS, lambda data: PseudoLineage.model_validate_json(json.dumps(data["lineage"]))
    )


def mappings(lineage: object) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping in plain data, at any depth."""
    if isinstance(lineage, Mapping):
        yield lineage
        lineage = list(lineage.values())
    if isinstance(lineage, list | tuple):
        for part in lineage:
            yield from mappings(part)


def read_weights(data: object) -> Sequence[UsedWeights] | None:
    """Read a lineage's list of weights; None where it is of another form."""
    try:
        return [UsedWeights.model_validate_json(json.dumps(one)) for one in data] if isinstance(data, list) else None
    except ValidationError:
        return None
