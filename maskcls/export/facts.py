"""What an exported file says about itself: where it comes from, what it predicts, how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from maskcls.config import members
from maskcls.export.graph_names import INPUT, output_names
from maskcls.rundir import RunDir
from maskcls.runs.decision import Decision
from maskcls.runs.summary import RunSummary, read_summary
from maskcls.training.predicting.run_model import RunModel


def exported_facts(run: RunDir, model: RunModel, *, licence: str | None = None) -> dict[str, Any]:
    """Return plain JSON data about the networks of a run; see docs/deploy.md for its keys.

    licence  of the weights, in the user's words.
    """
    return {
        **model.origin,
        "tasks": model.space.to_json(),
        "inputs": [{"name": INPUT, "dtype": "uint8", "shape": ["batch", "height", "width", 3], "colour": "RGB"}],
        "outputs": list(output_names(model.space)),
        "preparation": [
            {"crop": spec.crop, "crop_centre": spec.crop_centre, "size": spec.size, "mean": spec.mean, "std": spec.std}
            for spec in model.specs
        ],
        "decode_size": list(model.decode_size),
        "backbones": sorted({str(member.model.trunk) for member in members(model.cfg).values()}),
        "decision": decision_json(model.decision),
        "out_of_fold": _scores(read_summary(run)),
        "licence": licence,
        "torch": torch.__version__,
    }


def decision_json(decision: Decision | None) -> dict[str, Any] | None:
    """Return plain data of a decision; None for one without a rule, which changes nothing."""
    if decision is None or decision.rule is None:
        return None
    return {
        "temperatures": dict(decision.temperatures),
        "rule": decision.rule.to_json(),
        "oof_sha256": decision.oof_sha256,
    }


def _scores(summary: RunSummary | None) -> Mapping[str, Any] | None:
    """Return the scores of the out-of-fold rows; None for a run that has none."""
    if summary is None or summary.pooled is None:
        return None
    interval = summary.interval
    return {
        "macro_f1": summary.pooled.macro_f1,
        "interval": None if interval is None else [interval.low, interval.high],
        "tasks": {name: score.macro_f1 for name, score in summary.pooled.tasks.items()},
        "rows": summary.pooled.rows,
        "people": summary.people,
        "without_groups": summary.groups.alone if summary.groups and summary.groups.averaged else None,
    }
