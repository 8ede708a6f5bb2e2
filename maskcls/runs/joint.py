"""Joint predictions from a run's networks: one network per task multiplied, several folds and seeds averaged."""

from __future__ import annotations

from collections.abc import Mapping

from maskcls.labels import LabelSpace
from maskcls.results.predictions import Predictions


def joint_predictions(sources: Mapping[str, Mapping[str, Predictions]], space: LabelSpace) -> Predictions:
    """Return the mean of the sources' joint predictions; one source alone is returned as it is.

    sources  by name, each one network about all tasks under "", or one network per task of the space.
    """
    parts = [_composed(networks, space) for networks in sources.values()]
    return parts[0] if len(parts) == 1 else Predictions.mean(parts, names=list(sources))


def _composed(networks: Mapping[str, Predictions], space: LabelSpace) -> Predictions:
    """Return the product over one network per task, or the predictions of the one network about all tasks."""
    if list(networks) == [""]:
        return networks[""]
    first = next(iter(networks.values()))
    prob = space.compose({name: part.align(first.ids).prob for name, part in networks.items()})
    lineage = {"members": {name: part.lineage for name, part in networks.items()}}
    return Predictions(first.ids, prob, space, lineage)
