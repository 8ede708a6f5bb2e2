"""A plan is saved with a run."""

from __future__ import annotations

import json
from dataclasses import replace

from compute_fakes import HALF_PLAIN, PLAIN

from maskcls.engine.compute.plan import Plan


def test_a_plan_survives_json() -> None:
    made = Plan(replace(HALF_PLAIN, compile=True), PLAIN, threads=3, accumulate=5, fold_jobs=7)
    assert Plan.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert Plan.from_json(Plan().to_json()) == Plan()
