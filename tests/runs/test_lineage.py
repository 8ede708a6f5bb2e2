"""Where predictions come from: written with the keys that are known, read back, and anything else is None."""

from __future__ import annotations

import json

from maskcls.labels import CONTEST
from maskcls.results.decisions.rule import DecisionRule as Rule
from maskcls.runs.decision import Decision
from maskcls.runs.lineage import RunLineage, UsedGroups, UsedWeights, mappings, read_weights

USED = UsedWeights(member="age", seed=1, fold=0, sha256="ab")
LINEAGE = RunLineage(
    maskcls="0.1.0",
    run="a",
    run_hashes={"config.yaml": "cd"},
    oof_macro_f1=None,
    weights=(USED,),
    data="faces",
    data_sha256="ef",
    views="hflip",
    networks="folds",
)


def test_what_is_known_is_written() -> None:
    assert list(LINEAGE.to_json()) == [
        *("maskcls", "run", "run_hashes", "oof_macro_f1", "weights", "data", "data_sha256", "views", "networks"),
    ]
    assert LINEAGE.to_json()["weights"] == [{"member": "age", "seed": 1, "fold": 0, "sha256": "ab"}]
    decision = Decision(CONTEST, {"mask": 1.5}, Rule("expected", (0.0,) * 18), None, "")
    whole = (
        LINEAGE.with_groups(UsedGroups(sha256="1", tasks=("age",), weights=None))
        .with_predictions("2")
        .with_decision(decision)
        .to_json()
    )
    assert list(whole)[-3:] == ["groups", "predictions", "decision"]
    assert whole["decision"] == {"rule": "expected", "temperatures": {"mask": 1.5}}
    assert LINEAGE.with_groups(None).to_json()["groups"] is None


def test_it_comes_back() -> None:
    assert RunLineage.model_validate_json(json.dumps(LINEAGE.to_json())) == LINEAGE


def test_mappings_are_found_at_any_depth() -> None:
    lineage = {"members": [{"a": 1}, ({"b": {"c": [2]}},)], "d": "text"}
    assert list(mappings(lineage)) == [lineage, {"a": 1}, {"b": {"c": [2]}}, {"c": [2]}]
    assert list(mappings("text")) == []


def test_weights_alone_are_read_as_far_as_they_are_named() -> None:
    assert read_weights([{"member": "age", "seed": 1, "fold": 0, "sha256": "ab"}]) == [USED]
    found = read_weights([{"fold": 2, "sha256": "ab"}, {"member": "", "seed": 0, "fold": -1, "sha256": "cd"}])
    assert found is not None
    assert [str(one) for one in (USED, *found)] == ["member age seed 1 fold 0", "fold 2", "seed 0 fold -1"]
    for strange in (None, {}, [3], [{"fold": 0}], [{"fold": 0, "sha256": ["a"]}]):
        assert read_weights(strange) is None
